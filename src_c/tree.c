/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trees: soundness, growth, counts.
 *
 * Growth works on sets of images, one bit an image. An open leaf keeps its set, the part of it in which the node is 1,
 * and for every candidate the number of images of both in which the candidate is 1; so the gain of every split is known.
 * After a split only the smaller child is counted, the other one's numbers are differences. Leaves that cannot gain
 * enough whatever the split (their own entropy is below the price) are never counted.
 *
 * All log-likelihoods are sums of n ln n over counts, read from one table. Threads own nodes.
 */
#include "trees.h"

int cbn_trees_check(const cbn_trees *trees) {
    if (!trees || !trees->begin || !trees->split || !trees->child) return CBN_E_NULL;
    CBN_TRY(cbn_grid_check(trees->channels, trees->height, trees->width));
    const int64_t n_nodes = cbn_tree_nodes(trees);
    if (trees->begin[0] != 0) return CBN_E_TREE;
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t n = trees->begin[node + 1] - trees->begin[node];
        if (n < 1 || n > 2 * CBN_MAX_LEAVES - 1 || trees->begin[node + 1] > INT64_MAX / 64) return CBN_E_TREE;
        const int32_t *split = trees->split + trees->begin[node], *child = trees->child + trees->begin[node];
        const int64_t own = cbn_raster_order(trees, node), required = cbn_required_node(trees, node);
        int64_t next = 1;
        for (int64_t t = 0; t < n; t++) {
            if (split[t] < 0) {
                if (split[t] != -1 || child[t] != 0) return CBN_E_TREE;
                continue;
            }
            if (next + 1 >= n || child[t] != next || t >= next || split[t] >= n_nodes) return CBN_E_TREE;
            if (cbn_raster_order(trees, split[t]) >= own) return CBN_E_TREE;
            next += 2;
        }
        if (next != n) return CBN_E_TREE;
        if (required >= 0 && (split[0] != required || split[1] != -1)) return CBN_E_TREE;
    }
    return CBN_OK;
}

/* ---- growth ---- */

typedef struct {
    int32_t vertex, slot; /* of the tree; of the sets and numbers below */
    int64_t n[2];         /* images by state of the node */
    double gain;          /* of the best split; 0 where there is none */
    int64_t best;         /* its number among the candidates */
} open_leaf;

/* What a thread has to itself, and what all share. */
typedef struct {
    const cbn_kernels *kernels;
    const uint64_t *planes;
    const double *n_ln_n;
    int64_t n_words, n_candidates;
    const int32_t *candidate;
    double price;
    int64_t min_leaf;
    uint64_t *members;    /* [slot][2][n_words]: the images of a leaf; those of them with the node at 1 */
    uint32_t (*numbers)[2]; /* [slot][candidate] */
    open_leaf *leaf;
} grower;

static uint64_t *members_of(const grower *g, int32_t slot) { return g->members + (int64_t)slot * 2 * g->n_words; }

static double likelihood(const double *n_ln_n, int64_t n0, int64_t n1) {
    return n_ln_n[n0] + n_ln_n[n1] - n_ln_n[n0 + n1];
}

/* Whether any split of the leaf could pay its price: at best both sides are pure. */
static int can_pay(const grower *g, const open_leaf *leaf) {
    return leaf->n[0] + leaf->n[1] >= 2 * g->min_leaf && -likelihood(g->n_ln_n, leaf->n[0], leaf->n[1]) > g->price;
}

static void find_best(const grower *g, open_leaf *leaf) {
    const uint32_t(*numbers)[2] = (const uint32_t(*)[2])(g->numbers + (int64_t)leaf->slot * g->n_candidates);
    const int64_t n = leaf->n[0] + leaf->n[1];
    const double own = likelihood(g->n_ln_n, leaf->n[0], leaf->n[1]);
    leaf->gain = 0.0;
    leaf->best = -1;
    for (int64_t c = 0; c < g->n_candidates; c++) {
        const int64_t n_on = numbers[c][0], on1 = numbers[c][1], on0 = n_on - on1;
        if (n_on < g->min_leaf || n - n_on < g->min_leaf) continue;
        const double gain = likelihood(g->n_ln_n, on0, on1) +
                            likelihood(g->n_ln_n, leaf->n[0] - on0, leaf->n[1] - on1) - own;
        if (gain > leaf->gain) {
            leaf->gain = gain;
            leaf->best = c;
        }
    }
}

static void count_leaf(const grower *g, const open_leaf *leaf) {
    const uint64_t *members = members_of(g, leaf->slot);
    g->kernels->count_candidates(g->planes, g->n_words, g->candidate, g->n_candidates, members, members + g->n_words,
                                 g->numbers + (int64_t)leaf->slot * g->n_candidates);
}

static int64_t popcount_words(const grower *g, const uint64_t *words) {
    int64_t superset[2];
    g->kernels->count_subsets(&words, 1, g->n_words, superset);
    return superset[1];
}

/* Splits the leaf by a plane: it becomes the child at 0, `on` the child at 1. */
static void split_members(const grower *g, const uint64_t *plane, open_leaf *leaf, open_leaf *on) {
    uint64_t *off_set = members_of(g, leaf->slot), *on_set = members_of(g, on->slot);
    for (int64_t w = 0; w < g->n_words; w++) {
        on_set[w] = off_set[w] & plane[w];
        on_set[g->n_words + w] = off_set[g->n_words + w] & plane[w];
        off_set[w] &= ~plane[w];
        off_set[g->n_words + w] &= ~plane[w];
    }
    const int64_t n_on = popcount_words(g, on_set), on1 = popcount_words(g, on_set + g->n_words);
    on->n[0] = n_on - on1, on->n[1] = on1;
    leaf->n[0] -= on->n[0], leaf->n[1] -= on->n[1];
}

/* Numbers and best splits of two new leaves; `off` still has the numbers of the leaf that both were. */
static void open_children(const grower *g, open_leaf *off, open_leaf *on) {
    uint32_t(*off_numbers)[2] = g->numbers + (int64_t)off->slot * g->n_candidates;
    uint32_t(*on_numbers)[2] = g->numbers + (int64_t)on->slot * g->n_candidates;
    const int off_pays = can_pay(g, off), on_pays = can_pay(g, on);
    if (off_pays && on_pays) {
        const int count_on = on->n[0] + on->n[1] <= off->n[0] + off->n[1];
        if (count_on) {
            count_leaf(g, on);
            for (int64_t c = 0; c < g->n_candidates; c++)
                for (int i = 0; i < 2; i++) off_numbers[c][i] -= on_numbers[c][i];
        } else {
            memcpy(on_numbers, off_numbers, sizeof *on_numbers * (size_t)g->n_candidates);
            count_leaf(g, off);
            for (int64_t c = 0; c < g->n_candidates; c++)
                for (int i = 0; i < 2; i++) on_numbers[c][i] -= off_numbers[c][i];
        }
    } else if (off_pays || on_pays) {
        count_leaf(g, off_pays ? off : on);
    }
    off->gain = on->gain = 0.0;
    if (off_pays) find_best(g, off);
    if (on_pays) find_best(g, on);
}

static void set_vertex(int32_t *split, int32_t *child, int64_t *counts, int32_t vertex, const open_leaf *leaf) {
    split[vertex] = -1;
    child[vertex] = 0;
    counts[2 * (int64_t)vertex] = leaf->n[0];
    counts[2 * (int64_t)vertex + 1] = leaf->n[1];
}

/* Breadth-first numbers in place of those in the order of growth. order, to: scratch of n numbers each. */
static void renumber(int32_t n, int32_t *split, int32_t *child, int64_t *counts, int32_t *order, int32_t *copy_split,
                     int32_t *copy_child, int64_t *copy_counts) {
    memcpy(copy_split, split, sizeof *split * (size_t)n);
    memcpy(copy_child, child, sizeof *child * (size_t)n);
    memcpy(copy_counts, counts, sizeof *counts * 2 * (size_t)n);
    int32_t next = 1;
    order[0] = 0;
    for (int32_t t = 0; t < n; t++) {
        const int32_t old = order[t];
        split[t] = copy_split[old];
        counts[2 * (int64_t)t] = copy_counts[2 * (int64_t)old];
        counts[2 * (int64_t)t + 1] = copy_counts[2 * (int64_t)old + 1];
        child[t] = 0;
        if (split[t] < 0) continue;
        child[t] = next;
        order[next] = copy_child[old];
        order[next + 1] = copy_child[old] + 1;
        next += 2;
    }
}

/* The tree of one node in the order of growth; the number of its vertices. */
static int32_t grow_node(grower *g, int64_t node, int64_t n_images, int32_t required, int max_leaves, int32_t *split,
                         int32_t *child, int64_t *counts) {
    const uint64_t *target = g->planes + node * g->n_words;
    open_leaf *leaf = g->leaf;
    uint64_t *all = members_of(g, 0);
    memset(all, 0xff, sizeof *all * (size_t)g->n_words);
    if (n_images % 64) all[g->n_words - 1] = ((uint64_t)1 << n_images % 64) - 1;
    memcpy(all + g->n_words, target, sizeof *all * (size_t)g->n_words);
    leaf[0].vertex = leaf[0].slot = 0;
    leaf[0].n[1] = popcount_words(g, target);
    leaf[0].n[0] = n_images - leaf[0].n[1];
    int32_t n_leaves = 1, n_vertices = 1;
    set_vertex(split, child, counts, 0, &leaf[0]);
    if (required >= 0) { /* the child at 0 is a leaf for ever: it keeps slot 1, whose numbers are never made */
        leaf[1] = leaf[0];
        leaf[1].slot = 1;
        split_members(g, g->planes + required * g->n_words, &leaf[0], &leaf[1]);
        const open_leaf off = leaf[0];
        leaf[0] = leaf[1];
        leaf[1] = off;
        leaf[1].vertex = 1, leaf[0].vertex = 2;
        leaf[1].gain = 0.0;
        split[0] = required;
        child[0] = 1;
        set_vertex(split, child, counts, 1, &leaf[1]);
        set_vertex(split, child, counts, 2, &leaf[0]);
        n_leaves = 2, n_vertices = 3;
    }
    leaf[0].gain = 0.0;
    if (can_pay(g, &leaf[0])) {
        count_leaf(g, &leaf[0]);
        find_best(g, &leaf[0]);
    }
    while (n_leaves < max_leaves) {
        int32_t chosen = -1;
        for (int32_t i = 0; i < n_leaves; i++)
            if (leaf[i].gain > g->price &&
                (chosen < 0 || leaf[i].gain > leaf[chosen].gain ||
                 (leaf[i].gain == leaf[chosen].gain && leaf[i].vertex < leaf[chosen].vertex)))
                chosen = i;
        if (chosen < 0) break;
        open_leaf *off = &leaf[chosen], *on = &leaf[n_leaves];
        const int32_t decides = g->candidate[off->best], vertex = off->vertex;
        on->slot = n_leaves++;
        split[vertex] = decides;
        child[vertex] = n_vertices;
        split_members(g, g->planes + decides * g->n_words, off, on);
        off->vertex = n_vertices, on->vertex = n_vertices + 1;
        n_vertices += 2;
        set_vertex(split, child, counts, off->vertex, off);
        set_vertex(split, child, counts, on->vertex, on);
        open_children(g, off, on);
    }
    return n_vertices;
}

/* 64-bit words of a thread's own memory. */
static int thread_words(int64_t n_words, int64_t max_candidates, int max_leaves, int64_t *words) {
    int64_t members, numbers;
    CBN_TRY(cbn_multiply(2 * (int64_t)max_leaves, n_words, &members));
    CBN_TRY(cbn_multiply(max_leaves, max_candidates, &numbers));
    if (members > INT64_MAX / 64 || numbers > INT64_MAX / 64) return CBN_E_SIZE;
    const int64_t vertices = 2 * (int64_t)max_leaves; /* one more than there are: an even number of 32-bit ones */
    *words = members + numbers + (int64_t)(sizeof(open_leaf) / 8) * max_leaves + 3 * vertices / 2 + 2 * vertices;
    return CBN_OK;
}

static int check_growth(int64_t n_images, int64_t max_candidates, int max_leaves, int num_threads) {
    if (n_images < 1 || n_images > UINT32_MAX || max_candidates < 0 || max_candidates > INT32_MAX) return CBN_E_SIZE;
    return max_leaves < 1 || max_leaves > CBN_MAX_LEAVES || num_threads < 1 ? CBN_E_PARAMETER : CBN_OK;
}

int cbn_tree_grow_workspace_size(int64_t n_images, int64_t max_candidates, int max_leaves, int num_threads,
                                 int64_t *bytes) {
    int64_t words, all;
    if (!bytes) return CBN_E_NULL;
    CBN_TRY(check_growth(n_images, max_candidates, max_leaves, num_threads));
    CBN_TRY(thread_words(cbn_plane_words(n_images), max_candidates, max_leaves, &words));
    CBN_TRY(cbn_multiply(words, 8 * (int64_t)num_threads, &all));
    if (all > INT64_MAX / 2) return CBN_E_SIZE;
    *bytes = all + 8 * (n_images + 1);
    return CBN_OK;
}

int cbn_candidates_check(const cbn_trees *grid, const int64_t *begin, const int32_t *candidate,
                         int64_t *max_candidates) {
    const int64_t n_nodes = cbn_tree_nodes(grid);
    *max_candidates = 0;
    if (begin[0] != 0) return CBN_E_TREE;
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t n = begin[node + 1] - begin[node], own = cbn_raster_order(grid, node);
        const int64_t required = cbn_required_node(grid, node);
        if (n < 0 || (n > 0 && !candidate)) return CBN_E_TREE;
        if (n > *max_candidates) *max_candidates = n;
        for (int64_t i = begin[node]; i < begin[node + 1]; i++)
            if (candidate[i] < 0 || candidate[i] >= n_nodes || cbn_raster_order(grid, candidate[i]) >= own)
                return CBN_E_TREE;
        if (required < -1 || required >= n_nodes || (required >= 0 && cbn_raster_order(grid, required) >= own))
            return CBN_E_TREE;
    }
    return CBN_OK;
}

int cbn_tree_grow(int32_t channels, int32_t height, int32_t width, const uint64_t *planes, int64_t n_images,
                  const int64_t *candidate_begin, const int32_t *candidate, const int32_t *required, double penalty,
                  int max_leaves, int64_t min_leaf, int32_t *n_vertices, int32_t *split, int32_t *child,
                  int64_t *counts, void *workspace, int64_t workspace_bytes, int num_threads) {
    int64_t max_candidates, words, needed;
    CBN_TRY(cbn_grid_check(channels, height, width));
    if (!planes || !candidate_begin || !n_vertices || !split || !child || !counts || !workspace) return CBN_E_NULL;
    const cbn_trees grid = {channels, height, width, NULL, NULL, NULL, required};
    CBN_TRY(cbn_candidates_check(&grid, candidate_begin, candidate, &max_candidates));
    CBN_TRY(cbn_tree_grow_workspace_size(n_images, max_candidates, max_leaves, num_threads, &needed));
    if (!(penalty >= 0.0 && penalty <= 1e9) || min_leaf < 1) return CBN_E_PARAMETER;
    if (required && max_leaves < 2) return CBN_E_PARAMETER;
    if (workspace_bytes < needed) return CBN_E_WORKSPACE;
    const int64_t n_words = cbn_plane_words(n_images), n_nodes = cbn_tree_nodes(&grid);
    CBN_TRY(thread_words(n_words, max_candidates, max_leaves, &words));
    double *n_ln_n = (double *)workspace;
    uint64_t *own = (uint64_t *)(n_ln_n + n_images + 1);
    n_ln_n[0] = 0.0;
    for (int64_t n = 1; n <= n_images; n++) n_ln_n[n] = (double)n * cbn_log((double)n);
    const double price = penalty * cbn_log((double)n_images);
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t capacity = 2 * (int64_t)max_leaves - 1;
    CBN_PRAGMA(omp parallel for schedule(dynamic) num_threads(cbn_useful_threads(num_threads, n_nodes)))
    for (int64_t node = 0; node < n_nodes; node++) {
        int thread = 0;
#ifdef _OPENMP
        thread = omp_get_thread_num();
#endif
        uint64_t *memory = own + thread * words;
        grower g = {kernels, planes, n_ln_n, n_words, candidate_begin[node + 1] - candidate_begin[node],
                    candidate ? candidate + candidate_begin[node] : NULL, price, min_leaf, memory, NULL, NULL};
        memory += 2 * max_leaves * n_words;
        g.numbers = (uint32_t(*)[2])memory;
        memory += max_leaves * max_candidates;
        g.leaf = (open_leaf *)memory;
        memory += (int64_t)(sizeof(open_leaf) / 8) * max_leaves;
        int64_t *copy_counts = (int64_t *)memory;
        int32_t *order = (int32_t *)(copy_counts + 4 * max_leaves);
        int32_t *node_split = split + node * capacity, *node_child = child + node * capacity;
        int64_t *node_counts = counts + 2 * node * capacity;
        const int32_t n = grow_node(&g, node, n_images, (int32_t)cbn_required_node(&grid, node), max_leaves, node_split,
                                    node_child, node_counts);
        renumber(n, node_split, node_child, node_counts, order, order + 2 * max_leaves, order + 4 * max_leaves,
                 copy_counts);
        n_vertices[node] = n;
    }
    return CBN_OK;
}

/* ---- counts ---- */

/* Words of a thread: one set of images a vertex, for a block of CBN_SCORE_WORDS words. */
static int64_t largest_tree(const cbn_trees *trees) {
    int64_t largest = 0;
    for (int64_t node = 0; node < cbn_tree_nodes(trees); node++) {
        const int64_t n = trees->begin[node + 1] - trees->begin[node];
        if (n > largest) largest = n;
    }
    return largest;
}

int cbn_tree_count_workspace_size(const cbn_trees *trees, int64_t n_images, int num_threads, int64_t *bytes) {
    CBN_TRY(cbn_trees_check(trees));
    if (!bytes) return CBN_E_NULL;
    if (n_images < 1 || num_threads < 1) return CBN_E_SIZE;
    int64_t words;
    CBN_TRY(cbn_multiply(largest_tree(trees), cbn_plane_words(n_images), &words));
    return cbn_multiply(words, 8 * (int64_t)num_threads, bytes);
}

int cbn_tree_count(const cbn_trees *trees, const uint64_t *planes, int64_t n_images, int64_t *counts, void *workspace,
                   int64_t workspace_bytes, int num_threads) {
    int64_t needed;
    CBN_TRY(cbn_tree_count_workspace_size(trees, n_images, num_threads, &needed));
    if (!planes || !counts || !workspace) return CBN_E_NULL;
    if (workspace_bytes < needed) return CBN_E_WORKSPACE;
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(n_images), n_nodes = cbn_tree_nodes(trees);
    const int64_t per_thread = largest_tree(trees) * n_words;
    CBN_PRAGMA(omp parallel for schedule(dynamic) num_threads(cbn_useful_threads(num_threads, n_nodes)))
    for (int64_t node = 0; node < n_nodes; node++) {
        int thread = 0;
#ifdef _OPENMP
        thread = omp_get_thread_num();
#endif
        uint64_t *members = (uint64_t *)workspace + thread * per_thread;
        const int64_t first = trees->begin[node], n = trees->begin[node + 1] - first;
        memset(members, 0xff, sizeof *members * (size_t)n_words);
        if (n_images % 64) members[n_words - 1] = ((uint64_t)1 << n_images % 64) - 1;
        for (int64_t t = 0; t < n; t++) {
            const uint64_t *own = members + t * n_words;
            const uint64_t *both[2] = {own, planes + node * n_words};
            int64_t superset[4];
            kernels->count_subsets(both, 2, n_words, superset);
            counts[2 * (first + t)] = superset[1] - superset[3];
            counts[2 * (first + t) + 1] = superset[3];
            if (trees->split[first + t] < 0) continue;
            const uint64_t *plane = planes + (int64_t)trees->split[first + t] * n_words;
            uint64_t *off = members + (int64_t)trees->child[first + t] * n_words, *on = off + n_words;
            for (int64_t w = 0; w < n_words; w++) {
                off[w] = own[w] & ~plane[w];
                on[w] = own[w] & plane[w];
            }
        }
    }
    return CBN_OK;
}

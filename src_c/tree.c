/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trees: soundness, growth, counts.
 *
 * Growth works on sets of images, one bit an image. An open leaf keeps its set, the part of it in which the node is 1,
 * and for every candidate the number of images of both in which the candidate is 1; so the gain of every split is
 * known. After a split only the smaller child is counted, the other one's numbers are differences. Leaves that cannot
 * gain enough whatever the split (their own entropy is below the price) are never counted, and a candidate that cannot
 * split a leaf (nearly constant in it) is dropped from all that come of that leaf.
 *
 * All log-likelihoods are sums of n ln n over counts, read from one table. The planes are copied so that every one
 * begins at a cache line. Threads own nodes.
 */
#include "trees.h"

int cbn_trees_check(const cbn_trees *trees) {
    if (!trees || !trees->begin || !trees->split || !trees->child) return CBN_E_NULL;
    CBN_TRY(cbn_grid_check(trees->channels, trees->height, trees->width));
    const int64_t n_nodes = cbn_tree_nodes(trees);
    if (trees->begin[0] != 0) return CBN_E_TREE;
    for (int64_t node = 0; node < n_nodes; node++) { /* all of them before the first vertex is read */
        const int64_t begin = trees->begin[node], end = trees->begin[node + 1];
        if (end <= begin || end - begin > 2 * CBN_MAX_LEAVES - 1) return CBN_E_TREE;
    }
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t n = trees->begin[node + 1] - trees->begin[node];
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
        if (required < -1 || (required >= 0 && (split[0] != required || split[1] != -1))) return CBN_E_TREE;
    }
    return CBN_OK;
}

/* ---- growth ---- */

typedef struct {
    int32_t vertex, slot; /* of the tree; of the sets and numbers below */
    int64_t n[2];         /* images by state of the node */
    int64_t n_useful;     /* candidates that may still split it, the first ones of its slot */
    double gain;          /* of the best split; 0 where there is none */
    int64_t best;         /* the node that makes it */
} open_leaf;

/* What a thread has to itself, and what all share. */
typedef struct {
    const cbn_kernels *kernels;
    const uint64_t *planes; /* (nodes, n_words), at cache lines */
    const double *n_ln_n;
    int64_t n_words, slot_size; /* words of a plane; candidates that a slot has room for */
    double price;
    int64_t min_leaf;
    uint64_t *members;      /* [slot][2][n_words]: the images of a leaf; those of them with the node at 1 */
    uint32_t (*numbers)[2]; /* [slot][slot_size]: the same of a candidate, where it is 1 */
    int32_t *useful;        /* [slot][slot_size]: that candidate */
    open_leaf *leaf;
    int64_t *copy_counts;   /* scratch of renumber(), and the next three */
    int32_t *order, *copy_split, *copy_child;
} grower;

static uint64_t *members_of(const grower *g, const open_leaf *leaf) {
    return g->members + leaf->slot * (2 * g->n_words);
}

static uint32_t (*numbers_of(const grower *g, const open_leaf *leaf))[2] {
    return g->numbers + leaf->slot * g->slot_size;
}

static int32_t *useful_of(const grower *g, const open_leaf *leaf) { return g->useful + leaf->slot * g->slot_size; }

static double likelihood(const double *n_ln_n, int64_t n0, int64_t n1) {
    return n_ln_n[n0] + n_ln_n[n1] - n_ln_n[n0 + n1];
}

/* Whether any split of the leaf could pay its price: at best both sides are pure. */
static int can_pay(const grower *g, const open_leaf *leaf) {
    return leaf->n[0] + leaf->n[1] >= 2 * g->min_leaf && -likelihood(g->n_ln_n, leaf->n[0], leaf->n[1]) > g->price;
}

/* The best split of a leaf whose numbers are known. Candidates that leave fewer than min_leaf images on a side go. */
static void find_best(const grower *g, open_leaf *leaf) {
    uint32_t(*numbers)[2] = numbers_of(g, leaf);
    int32_t *useful = useful_of(g, leaf);
    const int64_t n = leaf->n[0] + leaf->n[1];
    const double own = likelihood(g->n_ln_n, leaf->n[0], leaf->n[1]);
    int64_t kept = 0;
    for (int64_t c = 0; c < leaf->n_useful; c++) {
        const int64_t n_on = numbers[c][0], on1 = numbers[c][1], on0 = n_on - on1;
        if (n_on < g->min_leaf || n - n_on < g->min_leaf) continue;
        const double gain = likelihood(g->n_ln_n, on0, on1) +
                            likelihood(g->n_ln_n, leaf->n[0] - on0, leaf->n[1] - on1) - own;
        if (gain > leaf->gain) {
            leaf->gain = gain;
            leaf->best = useful[c];
        }
        numbers[kept][0] = (uint32_t)n_on, numbers[kept][1] = (uint32_t)on1;
        useful[kept++] = useful[c];
    }
    leaf->n_useful = kept;
}

static void count_leaf(const grower *g, const open_leaf *leaf) {
    const uint64_t *members = members_of(g, leaf);
    g->kernels->count_candidates(g->planes, g->n_words, useful_of(g, leaf), leaf->n_useful, members,
                                 members + g->n_words, numbers_of(g, leaf));
}

static int64_t popcount_words(const grower *g, const uint64_t *words) {
    int64_t superset[2];
    g->kernels->count_subsets(&words, 1, NULL, g->n_words, superset);
    return superset[1];
}

/* Splits the leaf by a node: it becomes the child at 0, `on` the child at 1. */
static void split_members(const grower *g, int64_t decides, open_leaf *leaf, open_leaf *on) {
    const uint64_t *plane = g->planes + decides * g->n_words;
    uint64_t *off_set = members_of(g, leaf), *on_set = members_of(g, on);
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

/* to = whole - part; to may be whole. */
static void subtract_numbers(int64_t n, uint32_t (*whole)[2], uint32_t (*part)[2], uint32_t (*to)[2]) {
    for (int64_t c = 0; c < n; c++)
        for (int i = 0; i < 2; i++) to[c][i] = whole[c][i] - part[c][i];
}

/* Numbers and best splits of two new leaves; `off` still has the numbers of the leaf that both were. */
static void open_children(const grower *g, open_leaf *off, open_leaf *on) {
    const int off_pays = can_pay(g, off), on_pays = can_pay(g, on);
    const int64_t n = on->n_useful = off->n_useful;
    if (on_pays) memcpy(useful_of(g, on), useful_of(g, off), sizeof *g->useful * (size_t)n);
    if (off_pays && on_pays && on->n[0] + on->n[1] <= off->n[0] + off->n[1]) {
        count_leaf(g, on);
        subtract_numbers(n, numbers_of(g, off), numbers_of(g, on), numbers_of(g, off));
    } else if (off_pays && on_pays) {
        memcpy(numbers_of(g, on), numbers_of(g, off), sizeof *g->numbers * (size_t)n);
        count_leaf(g, off);
        subtract_numbers(n, numbers_of(g, on), numbers_of(g, off), numbers_of(g, on));
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

/* Breadth-first numbers in place of those in the order of growth. */
static void renumber(const grower *g, int32_t n, int32_t *split, int32_t *child, int64_t *counts) {
    int32_t *order = g->order;
    memcpy(g->copy_split, split, sizeof *split * (size_t)n);
    memcpy(g->copy_child, child, sizeof *child * (size_t)n);
    memcpy(g->copy_counts, counts, sizeof *counts * 2 * (size_t)n);
    int32_t next = 1;
    order[0] = 0;
    for (int32_t t = 0; t < n; t++) {
        const int32_t old = order[t];
        split[t] = g->copy_split[old];
        counts[2 * (int64_t)t] = g->copy_counts[2 * (int64_t)old];
        counts[2 * (int64_t)t + 1] = g->copy_counts[2 * (int64_t)old + 1];
        child[t] = 0;
        if (split[t] < 0) continue;
        child[t] = next;
        order[next] = g->copy_child[old];
        order[next + 1] = g->copy_child[old] + 1;
        next += 2;
    }
}

/* The tree of one node in the order of growth; the number of its vertices. */
static int32_t grow_node(const grower *g, int64_t node, int64_t n_images, const int32_t *candidate,
                         int64_t n_candidates, int64_t required, int max_leaves, int32_t *split, int32_t *child,
                         int64_t *counts) {
    const uint64_t *target = g->planes + node * g->n_words;
    open_leaf *leaf = g->leaf;
    leaf[0] = (open_leaf){.n_useful = n_candidates};
    uint64_t *all = members_of(g, &leaf[0]);
    memset(all, 0, sizeof *all * (size_t)g->n_words);
    memset(all, 0xff, (size_t)(n_images / 64) * sizeof *all);
    if (n_images % 64) all[n_images / 64] = ((uint64_t)1 << n_images % 64) - 1;
    memcpy(all + g->n_words, target, sizeof *all * (size_t)g->n_words);
    leaf[0].n[1] = popcount_words(g, target);
    leaf[0].n[0] = n_images - leaf[0].n[1];
    int32_t n_leaves = 1, n_vertices = 1;
    set_vertex(split, child, counts, 0, &leaf[0]);
    if (required >= 0) { /* the child at 0 is a leaf for ever; the child at 1 goes on as leaf 0 */
        leaf[1] = (open_leaf){.vertex = 2, .slot = 1, .n_useful = n_candidates};
        split_members(g, required, &leaf[0], &leaf[1]);
        leaf[0].vertex = 1;
        split[0] = (int32_t)required;
        child[0] = 1;
        set_vertex(split, child, counts, 1, &leaf[0]);
        set_vertex(split, child, counts, 2, &leaf[1]);
        const open_leaf off = leaf[0];
        leaf[0] = leaf[1];
        leaf[1] = off;
        n_leaves = 2, n_vertices = 3;
    }
    if (can_pay(g, &leaf[0])) {
        if (n_candidates) memcpy(useful_of(g, &leaf[0]), candidate, sizeof *candidate * (size_t)n_candidates);
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
        const int32_t vertex = off->vertex;
        *on = (open_leaf){.vertex = n_vertices + 1, .slot = n_leaves};
        split[vertex] = (int32_t)off->best;
        child[vertex] = off->vertex = n_vertices;
        split_members(g, off->best, off, on);
        set_vertex(split, child, counts, off->vertex, off);
        set_vertex(split, child, counts, on->vertex, on);
        n_leaves++, n_vertices += 2;
        open_children(g, off, on);
    }
    return n_vertices;
}

/* Sizes of the parts of a workspace: whole cache lines, in 64-bit words. */
typedef struct {
    int64_t n_words, slot_size;             /* as in grower */
    int64_t members, numbers, useful, rest; /* of one thread */
    int64_t planes, n_ln_n;                 /* shared */
} growth_sizes;

static int64_t whole_lines(int64_t words) { return (words + CBN_LINE_WORDS - 1) / CBN_LINE_WORDS * CBN_LINE_WORDS; }

static int growth_sizes_of(int64_t n_nodes, int64_t n_images, int64_t max_candidates, int max_leaves, int num_threads,
                           growth_sizes *sizes, int64_t *bytes) {
    if (n_images < 1 || n_images > UINT32_MAX || max_candidates < 0 || max_candidates > INT32_MAX) return CBN_E_SIZE;
    if (max_leaves < 1 || max_leaves > CBN_MAX_LEAVES || num_threads < 1) return CBN_E_PARAMETER;
    /* below 2^27, 2^32, 2^13 and 2^31: no product of two overflows */
    sizes->n_words = whole_lines(cbn_plane_words(n_images));
    sizes->slot_size = (max_candidates + CBN_COUNTED_TOGETHER - 1) / CBN_COUNTED_TOGETHER * CBN_COUNTED_TOGETHER;
    sizes->members = 2 * max_leaves * sizes->n_words;
    sizes->numbers = whole_lines(max_leaves * sizes->slot_size);
    sizes->useful = whole_lines(max_leaves * sizes->slot_size / 2 + 1);
    /* the leaves; of 2 max_leaves vertices, one more than there are: counts, order, split, child */
    sizes->rest = whole_lines((int64_t)(sizeof(open_leaf) / 8 + 4 + 3) * max_leaves);
    sizes->planes = n_nodes * sizes->n_words;
    sizes->n_ln_n = whole_lines(n_images + 1);
    int64_t words;
    CBN_TRY(cbn_multiply(sizes->members + sizes->numbers + sizes->useful + sizes->rest, num_threads, &words));
    if (words > INT64_MAX / 16 - sizes->planes - sizes->n_ln_n) return CBN_E_SIZE;
    *bytes = 8 * (words + sizes->planes + sizes->n_ln_n + CBN_LINE_WORDS - 1);
    return CBN_OK;
}

/* The memory of a thread. */
static void place_grower(grower *g, const growth_sizes *sizes, int max_leaves, uint64_t *memory) {
    const int64_t vertices = 2 * (int64_t)max_leaves;
    g->members = memory;
    memory += sizes->members;
    g->numbers = (uint32_t(*)[2])memory;
    memory += sizes->numbers;
    g->useful = (int32_t *)memory;
    memory += sizes->useful;
    g->leaf = (open_leaf *)memory;
    g->copy_counts = (int64_t *)(g->leaf + max_leaves);
    g->order = (int32_t *)(g->copy_counts + 2 * vertices);
    g->copy_split = g->order + vertices;
    g->copy_child = g->copy_split + vertices;
}

int cbn_most_candidates(int64_t n_nodes, const int64_t *begin, int64_t *most) {
    *most = 0;
    if (begin[0] != 0) return CBN_E_TREE;
    for (int64_t node = 0; node < n_nodes; node++) {
        if (begin[node + 1] < begin[node]) return CBN_E_TREE;
        if (begin[node + 1] - begin[node] > *most) *most = begin[node + 1] - begin[node];
    }
    return CBN_OK;
}

int cbn_candidates_check(const cbn_trees *grid, const int64_t *begin, const int32_t *candidate) {
    const int64_t n_nodes = cbn_tree_nodes(grid);
    if (begin[n_nodes] > 0 && !candidate) return CBN_E_NULL;
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t own = cbn_raster_order(grid, node), required = cbn_required_node(grid, node);
        for (int64_t i = begin[node]; i < begin[node + 1]; i++)
            if (candidate[i] < 0 || candidate[i] >= n_nodes || cbn_raster_order(grid, candidate[i]) >= own)
                return CBN_E_TREE;
        if (required < -1 || required >= n_nodes || (required >= 0 && cbn_raster_order(grid, required) >= own))
            return CBN_E_TREE;
    }
    return CBN_OK;
}

int cbn_tree_grow_workspace_size(int32_t channels, int32_t height, int32_t width, int64_t n_images,
                                 const int64_t *candidate_begin, int max_leaves, int num_threads, int64_t *bytes) {
    growth_sizes sizes;
    int64_t max_candidates;
    CBN_TRY(cbn_grid_check(channels, height, width));
    if (!candidate_begin || !bytes) return CBN_E_NULL;
    const int64_t n_nodes = (int64_t)channels * height * width;
    CBN_TRY(cbn_most_candidates(n_nodes, candidate_begin, &max_candidates));
    return growth_sizes_of(n_nodes, n_images, max_candidates, max_leaves, num_threads, &sizes, bytes);
}

int cbn_tree_grow(int32_t channels, int32_t height, int32_t width, const uint64_t *planes, int64_t n_images,
                  const int64_t *candidate_begin, const int32_t *candidate, const int32_t *required, double penalty,
                  int max_leaves, int64_t min_leaf, int32_t *n_vertices, int32_t *split, int32_t *child,
                  int64_t *counts, void *workspace, int64_t workspace_bytes, int num_threads) {
    int64_t max_candidates, needed;
    growth_sizes sizes;
    CBN_TRY(cbn_grid_check(channels, height, width));
    if (!planes || !candidate_begin || !n_vertices || !split || !child || !counts || !workspace) return CBN_E_NULL;
    const cbn_trees grid = {channels, height, width, NULL, NULL, NULL, required};
    const int64_t n_nodes = cbn_tree_nodes(&grid);
    CBN_TRY(cbn_most_candidates(n_nodes, candidate_begin, &max_candidates));
    CBN_TRY(cbn_candidates_check(&grid, candidate_begin, candidate));
    CBN_TRY(growth_sizes_of(n_nodes, n_images, max_candidates, max_leaves, num_threads, &sizes, &needed));
    if (!(penalty >= 0.0 && penalty <= 1e9) || min_leaf < 1) return CBN_E_PARAMETER;
    if (required && max_leaves < 2) return CBN_E_PARAMETER;
    if (workspace_bytes < needed) return CBN_E_WORKSPACE;
    if (min_leaf > n_images) min_leaf = n_images; /* no split either way */
    uint64_t *aligned = (uint64_t *)(((uintptr_t)workspace + 63) / 64 * 64);
    double *n_ln_n = (double *)(aligned + sizes.planes);
    uint64_t *own = aligned + sizes.planes + sizes.n_ln_n;
    const int64_t n_words = cbn_plane_words(n_images), capacity = 2 * (int64_t)max_leaves - 1;
    for (int64_t node = 0; node < n_nodes; node++) {
        uint64_t *plane = aligned + node * sizes.n_words;
        memcpy(plane, planes + node * n_words, sizeof *plane * (size_t)n_words);
        memset(plane + n_words, 0, sizeof *plane * (size_t)(sizes.n_words - n_words));
    }
    n_ln_n[0] = 0.0;
    for (int64_t n = 1; n <= n_images; n++) n_ln_n[n] = (double)n * cbn_log((double)n);
    const double price = penalty * cbn_log((double)n_images);
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t per_thread = sizes.members + sizes.numbers + sizes.useful + sizes.rest;
    CBN_PARALLEL_FOR(num_threads, n_nodes, dynamic)
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t thread = cbn_thread();
        grower g = {.kernels = kernels, .planes = aligned, .n_ln_n = n_ln_n, .n_words = sizes.n_words,
                    .slot_size = sizes.slot_size, .price = price, .min_leaf = min_leaf};
        place_grower(&g, &sizes, max_leaves, own + thread * per_thread);
        int32_t *node_split = split + node * capacity, *node_child = child + node * capacity;
        int64_t *node_counts = counts + 2 * node * capacity;
        const int64_t first = candidate_begin[node], n_candidates = candidate_begin[node + 1] - first;
        n_vertices[node] = grow_node(&g, node, n_images, n_candidates ? candidate + first : NULL, n_candidates,
                                     cbn_required_node(&grid, node), max_leaves, node_split, node_child, node_counts);
        renumber(&g, n_vertices[node], node_split, node_child, node_counts);
    }
    return CBN_OK;
}

/* ---- counts ---- */

/* Words of every set of images that are counted at a time. */
#define COUNT_WORDS 64

static int64_t words_at_a_time(int64_t n_images) {
    return cbn_plane_words(n_images) < COUNT_WORDS ? cbn_plane_words(n_images) : COUNT_WORDS;
}

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
    if (n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    *bytes = 8 * (int64_t)num_threads * largest_tree(trees) * words_at_a_time(n_images); /* 2^3 2^31 2^13 2^6 at most */
    return CBN_OK;
}

/* Adds the counts of some words of a node's images. members [vertex][n_words]: scratch; that of the root is given. */
static void count_words(const cbn_kernels *kernels, const cbn_tree *tree, const uint64_t *first, int64_t plane_words,
                        int64_t n_words, uint64_t *members, int64_t *counts) {
    for (int64_t t = 0; t < tree->n_vertices; t++) {
        const uint64_t *own = members + t * n_words;
        const uint64_t *both[2] = {own, first + tree->node * plane_words};
        int64_t superset[4];
        kernels->count_subsets(both, 2, NULL, n_words, superset);
        counts[2 * t] += superset[1] - superset[3];
        counts[2 * t + 1] += superset[3];
        if (tree->split[t] < 0) continue;
        const uint64_t *plane = first + tree->split[t] * plane_words;
        uint64_t *off = members + tree->child[t] * n_words, *on = off + n_words;
        for (int64_t w = 0; w < n_words; w++) {
            off[w] = own[w] & ~plane[w];
            on[w] = own[w] & plane[w];
        }
    }
}

int cbn_tree_count(const cbn_trees *trees, const uint64_t *planes, int64_t n_images, int64_t *counts, void *workspace,
                   int64_t workspace_bytes, int num_threads) {
    int64_t needed;
    CBN_TRY(cbn_tree_count_workspace_size(trees, n_images, num_threads, &needed));
    if (!planes || !counts || !workspace) return CBN_E_NULL;
    if (workspace_bytes < needed) return CBN_E_WORKSPACE;
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t plane_words = cbn_plane_words(n_images), n_nodes = cbn_tree_nodes(trees);
    const int64_t per_thread = largest_tree(trees) * words_at_a_time(n_images);
    CBN_PARALLEL_FOR(num_threads, n_nodes, dynamic)
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t thread = cbn_thread();
        uint64_t *members = (uint64_t *)workspace + thread * per_thread;
        const cbn_tree tree = cbn_tree_of(trees, node, NULL);
        int64_t *node_counts = counts + 2 * trees->begin[node];
        memset(node_counts, 0, 2 * sizeof *counts * (size_t)tree.n_vertices);
        for (int64_t word = 0; word < plane_words; word += COUNT_WORDS) {
            const int64_t n = plane_words - word < COUNT_WORDS ? plane_words - word : COUNT_WORDS;
            memset(members, 0xff, sizeof *members * (size_t)n);
            if (word + n == plane_words && n_images % 64) members[n - 1] = ((uint64_t)1 << n_images % 64) - 1;
            count_words(kernels, &tree, planes + word, plane_words, n, members, node_counts);
        }
    }
    return CBN_OK;
}

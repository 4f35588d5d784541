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
#include "image_rows.h"
#include "trees.h"
#include "workspace.h"

/* Images up to which rows are kept beside the planes. */
#define MOST_ROWS (1 << 20)
/* Rows that cost as much as what count_columns does once for each vector. */
#define ROWS_FOR_VECTOR 64

int cbn_trees_check(const cbn_trees *trees) {
    if (!trees || !trees->begin || !trees->split || !trees->child) return CBN_E_NULL;
    CBN_TRY(cbn_grid_check(trees->grid));
    const int64_t n_nodes = cbn_grid_nodes(trees->grid);
    if (trees->begin[0] != 0) return CBN_E_TREE;
    for (int64_t node = 0; node < n_nodes; node++) { /* all of them before the first vertex is read */
        const int64_t begin = trees->begin[node], end = trees->begin[node + 1];
        if (end <= begin || end - begin > 2 * CBN_MAX_LEAVES - 1) return CBN_E_TREE;
    }
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t n = trees->begin[node + 1] - trees->begin[node];
        const int32_t *split = trees->split + trees->begin[node], *child = trees->child + trees->begin[node];
        const int64_t own = cbn_raster_order(trees->grid, node), required = cbn_required_node(trees->required, node);
        int64_t next = 1;
        for (int64_t t = 0; t < n; t++) {
            if (split[t] < 0) {
                if (split[t] != -1 || child[t] != 0) return CBN_E_TREE;
                continue;
            }
            if (next + 1 >= n || child[t] != next || t >= next || split[t] >= n_nodes) return CBN_E_TREE;
            if (cbn_raster_order(trees->grid, split[t]) >= own) return CBN_E_TREE;
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
    cbn_image_rows rows;    /* of the same bits; no words: none are kept */
    const double *n_ln_n;
    int64_t n_images, n_words, slot_size; /* words of a plane; candidates that a slot has room for */
    double price;
    int64_t min_leaf;
    int32_t max_leaves;
    uint64_t *members;      /* [slot][2][n_words]: the images of a leaf; those of them with the node at 1 */
    uint32_t (*numbers)[2]; /* [slot][slot_size]: the same of a candidate, where it is 1 */
    int32_t *useful;        /* [slot][slot_size]: that candidate */
    open_leaf *leaf;
    int32_t *at;            /* [n_words]: the words that have members; the next are these words */
    uint64_t *few;          /* [2][n_words] */
    cbn_column_counts columns;
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

/* By planes, all words of them or those that have members, or by rows of images: whatever costs least. */
static void count_leaf(grower *g, const open_leaf *leaf) {
    const cbn_kernels *kernels = g->kernels;
    const uint64_t *members = members_of(g, leaf), *members_on = members + g->n_words;
    const int32_t *useful = useful_of(g, leaf), *at = NULL;
    const int64_t n = leaf->n[0] + leaf->n[1], n_useful = leaf->n_useful;
    int64_t n_words = g->n_words, price = g->n_words / kernels->words_for_one;
    if (cbn_least_words(n, g->n_words) < price) {
        const int64_t few = cbn_squeeze(members, members_on, g->n_words, g->at, g->few, g->few + g->n_words);
        if (few < price) {
            members = g->few, members_on = g->few + g->n_words, at = g->at;
            n_words = price = few;
        }
    }
    uint32_t(*numbers)[2] = numbers_of(g, leaf);
    price *= n_useful;
    const int64_t by_rows = (n + ROWS_FOR_VECTOR) * kernels->words_for_row; /* for each vector of columns */
    if (g->rows.words && by_rows < price &&
        by_rows * cbn_cover_candidates(&g->rows, useful, n_useful, kernels->column_words, &g->columns) < price)
        cbn_count_by_rows(kernels, &g->rows, useful, n_useful, members, members_on, at, n_words, &g->columns, numbers);
    else if (at)
        kernels->count_candidates_at(g->planes, g->n_words, useful, n_useful, at, n_words, members, members_on, numbers);
    else
        kernels->count_candidates(g->planes, n_words, useful, n_useful, members, members_on, numbers);
}

/* Whether rows are worth their making: a leaf of a few images in a hundred would be counted by them. */
static int want_rows(const grower *g, cbn_grid grid, const cbn_candidates *candidates) {
    const int64_t n_nodes = cbn_grid_nodes(grid), *begin = candidates->begin;
    int64_t n_grown = 1; /* a part of the nodes may be grown: the others have no candidates */
    for (int64_t node = 0; node < n_nodes; node++) n_grown += begin[node + 1] > begin[node];
    const int64_t mean = begin[n_nodes] / n_grown;
    const int64_t n_vectors = 1 + mean / (64 * g->kernels->column_words);
    const int64_t by_rows = n_vectors * (g->n_images / 16 + ROWS_FOR_VECTOR) * g->kernels->words_for_row;
    return g->rows.words && by_rows < g->n_words / g->kernels->words_for_one * mean;
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
static void open_children(grower *g, open_leaf *off, open_leaf *on) {
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
static int32_t grow_node(grower *g, int64_t node, const cbn_candidates *candidates, int32_t *split,
                         int32_t *child, int64_t *counts) {
    const int64_t n_images = g->n_images, required = cbn_required_node(candidates->required, node);
    const int64_t first = candidates->begin[node], n_candidates = candidates->begin[node + 1] - first;
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
        if (n_candidates)
            memcpy(useful_of(g, &leaf[0]), candidates->node + first, sizeof *g->useful * (size_t)n_candidates);
        count_leaf(g, &leaf[0]);
        find_best(g, &leaf[0]);
    }
    while (n_leaves < g->max_leaves) {
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

static int64_t whole(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/* A thread's own memory. Slots of members begin at cache lines. */
static void take_own(cbn_arena *arena, grower *g) {
    const int64_t leaves = g->max_leaves, vertices = 2 * leaves;
    g->members = cbn_take_rows(arena, 2 * leaves, g->n_words, sizeof *g->members);
    g->numbers = cbn_take_rows(arena, leaves, g->slot_size, sizeof *g->numbers);
    g->useful = cbn_take_rows(arena, leaves, g->slot_size, sizeof *g->useful);
    g->leaf = cbn_take(arena, leaves, sizeof *g->leaf);
    g->at = cbn_take(arena, g->n_words, sizeof *g->at);
    g->few = cbn_take(arena, 2 * g->n_words, sizeof *g->few);
    if (g->rows.stride) cbn_take_column_counts(arena, &g->rows, g->n_words, &g->columns);
    g->copy_counts = cbn_take(arena, 2 * vertices, sizeof *g->copy_counts);
    g->order = cbn_take(arena, vertices, sizeof *g->order);
    g->copy_split = cbn_take(arena, vertices, sizeof *g->copy_split);
    g->copy_child = cbn_take(arena, vertices, sizeof *g->copy_child);
}

/* What threads share, and what each has to itself. */
typedef struct {
    uint64_t *planes;
    double *n_ln_n;
    void *each;
} growth_parts;

/* The sizes of a grower are set and its shared parts placed. */
static int take_parts(cbn_arena *arena, cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                      const cbn_growth *growth, int num_threads, grower *g, growth_parts *parts, cbn_arena *one) {
    int64_t most;
    CBN_TRY(cbn_grid_check(grid));
    if (!candidates || !candidates->begin || !growth) return CBN_E_NULL;
    CBN_TRY(cbn_most_candidates(grid, candidates, &most));
    if (n_images < 1 || n_images > UINT32_MAX || most > INT32_MAX) return CBN_E_SIZE;
    if (growth->max_leaves < 1 || growth->max_leaves > CBN_MAX_LEAVES || num_threads < 1) return CBN_E_PARAMETER;
    g->n_images = n_images;
    g->n_words = whole(cbn_plane_words(n_images), CBN_LINE_WORDS);
    g->slot_size = whole(most, CBN_COUNTED_TOGETHER);
    g->max_leaves = growth->max_leaves;
    parts->planes = cbn_take_rows(arena, cbn_grid_nodes(grid), g->n_words, sizeof *parts->planes);
    parts->n_ln_n = cbn_take(arena, n_images + 1, sizeof *parts->n_ln_n);
    g->rows = (cbn_image_rows){0};
    if (n_images <= MOST_ROWS)
        cbn_take_image_rows(arena, cbn_grid_nodes(grid), g->n_words, most, cbn_kernels_select()->column_words, num_threads,
                            &g->rows);
    *one = cbn_counting_arena();
    take_own(one, g);
    parts->each = cbn_take_each(arena, one, num_threads);
    return CBN_OK;
}

int cbn_most_candidates(cbn_grid grid, const cbn_candidates *candidates, int64_t *most) {
    const int64_t n_nodes = cbn_grid_nodes(grid), *begin = candidates->begin;
    *most = 0;
    if (begin[0] != 0) return CBN_E_TREE;
    for (int64_t node = 0; node < n_nodes; node++) {
        if (begin[node + 1] < begin[node]) return CBN_E_TREE;
        if (begin[node + 1] - begin[node] > *most) *most = begin[node + 1] - begin[node];
    }
    return CBN_OK;
}

int cbn_candidates_check(cbn_grid grid, const cbn_candidates *candidates) {
    const int64_t n_nodes = cbn_grid_nodes(grid), *begin = candidates->begin;
    if (begin[n_nodes] > 0 && !candidates->node) return CBN_E_NULL;
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t own = cbn_raster_order(grid, node), required = cbn_required_node(candidates->required, node);
        for (int64_t i = begin[node]; i < begin[node + 1]; i++) {
            const int64_t candidate = candidates->node[i];
            if (candidate < 0 || candidate >= n_nodes || cbn_raster_order(grid, candidate) >= own) return CBN_E_TREE;
        }
        if (required < -1 || required >= n_nodes || (required >= 0 && cbn_raster_order(grid, required) >= own))
            return CBN_E_TREE;
    }
    return CBN_OK;
}

int cbn_tree_grow_workspace_size(cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                                 const cbn_growth *growth, int num_threads, int64_t *bytes) {
    grower g;
    growth_parts parts;
    cbn_arena arena = cbn_counting_arena(), one;
    CBN_TRY(take_parts(&arena, grid, n_images, candidates, growth, num_threads, &g, &parts, &one));
    return cbn_arena_size(&arena, bytes);
}

int cbn_tree_grow(cbn_grid grid, cbn_planes planes, const cbn_candidates *candidates, const cbn_growth *growth,
                  const cbn_grown_trees *grown, cbn_workspace workspace, int num_threads) {
    grower shared = {0};
    growth_parts parts;
    cbn_arena arena = cbn_arena_of(workspace), one;
    if (!planes.words || !grown || !grown->n_vertices || !grown->split || !grown->child || !grown->counts)
        return CBN_E_NULL;
    const int64_t n_images = planes.n_images;
    CBN_TRY(take_parts(&arena, grid, n_images, candidates, growth, num_threads, &shared, &parts, &one));
    CBN_TRY(cbn_candidates_check(grid, candidates));
    if (!(growth->penalty >= 0.0 && growth->penalty <= 1e9) || growth->min_leaf < 1) return CBN_E_PARAMETER;
    if (candidates->required && growth->max_leaves < 2) return CBN_E_PARAMETER;
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const int64_t n_nodes = cbn_grid_nodes(grid), n_words = cbn_plane_words(n_images);
    const int64_t capacity = 2 * (int64_t)growth->max_leaves - 1;
    for (int64_t node = 0; node < n_nodes; node++) {
        uint64_t *plane = parts.planes + node * shared.n_words;
        memcpy(plane, planes.words + node * n_words, sizeof *plane * (size_t)n_words);
        memset(plane + n_words, 0, sizeof *plane * (size_t)(shared.n_words - n_words));
    }
    parts.n_ln_n[0] = 0.0;
    for (int64_t n = 1; n <= n_images; n++) parts.n_ln_n[n] = cbn_n_ln_n(n);
    shared.kernels = cbn_kernels_select();
    if (!want_rows(&shared, grid, candidates)) shared.rows.words = NULL;
    shared.planes = parts.planes;
    shared.n_ln_n = parts.n_ln_n;
    shared.price = growth->penalty * cbn_log((double)n_images);
    shared.min_leaf = growth->min_leaf < n_images ? growth->min_leaf : n_images; /* no split either way */
    for (int64_t first = 0, last; first < n_nodes; first = last) {
        last = n_nodes;
        if (shared.rows.words) {
            last = cbn_choose_window(grid, candidates, first, &shared.rows);
            cbn_fill_image_rows(parts.planes, shared.n_words, &shared.rows, num_threads);
        }
        CBN_PARALLEL_FOR(num_threads, last - first, dynamic)
        for (int64_t place = first; place < last; place++) {
            grower g = shared;
            cbn_arena own = cbn_own_arena(parts.each, &one);
            take_own(&own, &g);
            const int64_t node = cbn_raster_node(grid, place);
            int32_t *split = grown->split + node * capacity, *child = grown->child + node * capacity;
            int64_t *counts = grown->counts + 2 * node * capacity;
            grown->n_vertices[node] = grow_node(&g, node, candidates, split, child, counts);
            renumber(&g, grown->n_vertices[node], split, child, counts);
        }
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
    for (int64_t node = 0; node < cbn_grid_nodes(trees->grid); node++) {
        const int64_t n = trees->begin[node + 1] - trees->begin[node];
        if (n > largest) largest = n;
    }
    return largest;
}

/* The sets of images of all vertices of a tree, for every thread. */
static uint64_t *take_members(cbn_arena *arena, const cbn_trees *trees, int64_t n_images, int num_threads,
                              cbn_arena *one) {
    *one = cbn_counting_arena();
    cbn_take_rows(one, largest_tree(trees), words_at_a_time(n_images), sizeof(uint64_t));
    return cbn_take_each(arena, one, num_threads);
}

int cbn_tree_count_workspace_size(const cbn_trees *trees, int64_t n_images, int num_threads, int64_t *bytes) {
    CBN_TRY(cbn_trees_check(trees));
    if (n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_arena arena = cbn_counting_arena(), one;
    take_members(&arena, trees, n_images, num_threads, &one);
    return cbn_arena_size(&arena, bytes);
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

int cbn_tree_count(const cbn_trees *trees, cbn_planes planes, int64_t *counts, cbn_workspace workspace,
                   int num_threads) {
    CBN_TRY(cbn_trees_check(trees));
    if (!planes.words || !counts) return CBN_E_NULL;
    if (planes.n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    const int64_t n_images = planes.n_images;
    cbn_arena arena = cbn_arena_of(workspace), one;
    void *each = take_members(&arena, trees, n_images, num_threads, &one);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t plane_words = cbn_plane_words(n_images), n_nodes = cbn_grid_nodes(trees->grid);
    CBN_PARALLEL_FOR(num_threads, n_nodes, dynamic)
    for (int64_t node = 0; node < n_nodes; node++) {
        uint64_t *members = (uint64_t *)cbn_own_arena(each, &one).memory;
        const cbn_tree tree = cbn_tree_of(trees, node, NULL);
        int64_t *node_counts = counts + 2 * trees->begin[node];
        memset(node_counts, 0, 2 * sizeof *counts * (size_t)tree.n_vertices);
        for (int64_t word = 0; word < plane_words; word += COUNT_WORDS) {
            const int64_t n = plane_words - word < COUNT_WORDS ? plane_words - word : COUNT_WORDS;
            memset(members, 0xff, sizeof *members * (size_t)n);
            if (word + n == plane_words && n_images % 64) members[n - 1] = ((uint64_t)1 << n_images % 64) - 1;
            count_words(kernels, &tree, planes.words + word, plane_words, n, members, node_counts);
        }
    }
    return CBN_OK;
}

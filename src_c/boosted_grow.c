/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Growth of boosted trees. Each round: gradients of a node's images at their log-odds, a tree on them, its leaf values
 * added to the log-odds.
 *
 * An open leaf keeps its set of images as bits, the rounded gradients of the set as a few planes of bits (0 outside of
 * it), and for every candidate the sums of both over the images in which the candidate is 1: popcounts of ANDs. After a
 * split only one child is counted, the other's sums are differences. Rounding leaves the sums unbiased; its noise,
 * small beside that of the data (Shi et al. 2022), only affects which splits are chosen. Threads own nodes.
 */
#include "boosted.h"
#include "rng.h"

typedef struct {
    int32_t vertex, slot; /* of the tree, in the order of growth; of the sets and sums below */
    int64_t total[2];     /* rounded gradients and Hessians of its images, in quanta */
    double gain;          /* of the best split, in quanta of score; 0 where none pays */
    int64_t best;         /* its number among the drawn candidates */
} open_leaf;

/* What a thread has to itself, and what all share. */
typedef struct {
    const cbn_kernels *kernels;
    const cbn_boosting *boosting;
    const uint64_t *planes;
    int64_t n_words, n_drawn;
    double l2, price, min_hessian; /* in quanta */
    int32_t *usable, *drawn;       /* candidates of the node; of the tree */
    uint64_t *members;             /* [n_words]: images that take part */
    uint64_t *set;                 /* [slot][1 + CBN_GRADIENT_PLANES][n_words]: images; rounded gradients */
    int32_t *gradient_sum, *hessian_sum; /* [slot][drawn] */
    double *score;                 /* [drawn] */
    int32_t *odds, *gradient, *hessian; /* [64 n_words] */
    open_leaf *leaf;
    int32_t *order, *slot;         /* breadth-first renumbering; slot of a leaf's vertex */
    int32_t *grown_split, *grown_child;
} booster;

#define CBN_SET_ROWS (1 + CBN_GRADIENT_PLANES)

static uint64_t *set_of(const booster *b, int32_t slot) { return b->set + slot * CBN_SET_ROWS * b->n_words; }

static int64_t popcount_words(const booster *b, const uint64_t *words) {
    int64_t superset[2];
    b->kernels->count_subsets(&words, 1, NULL, b->n_words, superset);
    return superset[1];
}

static double own_score(const booster *b, const open_leaf *leaf) {
    return (double)leaf->total[0] * (double)leaf->total[0] / ((double)leaf->total[1] + b->l2);
}

static int can_split(const booster *b, const open_leaf *leaf) {
    return (double)leaf->total[1] >= 2.0 * b->min_hessian;
}

/* Best split of a leaf whose sums are known. */
static void find_best(const booster *b, open_leaf *leaf) {
    const int64_t at = leaf->slot * b->n_drawn;
    b->kernels->split_scores(b->gradient_sum + at, b->hessian_sum + at, b->n_drawn, leaf->total, b->l2, b->min_hessian,
                             b->score);
    double best = own_score(b, leaf) + b->price;
    leaf->gain = 0.0;
    for (int64_t c = 0; c < b->n_drawn; c++)
        if (b->score[c] > best) {
            best = b->score[c];
            leaf->best = c;
            leaf->gain = best - own_score(b, leaf);
        }
}

static void count_leaf(const booster *b, const open_leaf *leaf) {
    b->kernels->count_gradients(b->planes, b->n_words, b->drawn, b->n_drawn, set_of(b, leaf->slot) + b->n_words,
                                b->gradient_sum + leaf->slot * b->n_drawn, b->hessian_sum + leaf->slot * b->n_drawn);
}

/* Splits the leaf by a drawn candidate: it becomes the child at 0, `on` the child at 1. */
static void split_leaf(const booster *b, open_leaf *off, open_leaf *on) {
    uint64_t *off_set = set_of(b, off->slot), *on_set = set_of(b, on->slot);
    const uint64_t *plane = b->planes + b->drawn[off->best] * b->n_words;
    for (int64_t k = 0; k < CBN_SET_ROWS; k++)
        for (int64_t w = 0; w < b->n_words; w++) {
            on_set[k * b->n_words + w] = off_set[k * b->n_words + w] & plane[w];
            off_set[k * b->n_words + w] &= ~plane[w];
        }
    const int64_t at = off->slot * b->n_drawn + off->best;
    on->total[0] = b->gradient_sum[at];
    on->total[1] = b->hessian_sum[at];
    for (int i = 0; i < 2; i++) off->total[i] -= on->total[i];
}

/* Sums and best splits of two new leaves; `off` still has the sums of the leaf that both were. */
static void open_children(const booster *b, open_leaf *off, open_leaf *on) {
    const int off_may = can_split(b, off), on_may = can_split(b, on);
    if (off_may && on_may) {
        int32_t *const sums[2] = {b->gradient_sum, b->hessian_sum};
        count_leaf(b, on);
        for (int i = 0; i < 2; i++)
            for (int64_t c = 0; c < b->n_drawn; c++)
                sums[i][off->slot * b->n_drawn + c] -= sums[i][on->slot * b->n_drawn + c];
    } else if (off_may || on_may) {
        count_leaf(b, off_may ? off : on);
    }
    off->gain = on->gain = 0.0;
    if (off_may) find_best(b, off);
    if (on_may) find_best(b, on);
}

/* The candidates of a tree: the first steps of a Fisher-Yates shuffle. */
static void draw_candidates(const booster *b, int64_t n_usable, int64_t node, int32_t round) {
    const uint64_t seed = b->boosting->seed;
    uint32_t word[4];
    memcpy(b->drawn, b->usable, sizeof *b->drawn * (size_t)n_usable);
    for (int64_t c = 0; c < b->n_drawn; c++) {
        if (c % 4 == 0) {
            word[0] = (uint32_t)(c / 4), word[1] = (uint32_t)round, word[2] = (uint32_t)node;
            word[3] = CBN_RANDOM_CANDIDATE;
            cbn_philox_block(&word[0], &word[1], &word[2], &word[3], (uint32_t)seed, (uint32_t)(seed >> 32));
        }
        const int64_t other = c + (int64_t)(word[c % 4] * (uint64_t)(n_usable - c) >> 32);
        const int32_t kept = b->drawn[c];
        b->drawn[c] = b->drawn[other];
        b->drawn[other] = kept;
    }
}

/* The tree of one round in the order of growth, from the rounded gradients of slot 0; the number of its leaves. */
static int32_t grow_tree(const booster *b) {
    open_leaf *leaf = b->leaf;
    const uint64_t *rounded = set_of(b, 0) + b->n_words;
    leaf[0] = (open_leaf){0, 0, {0, 0}, 0.0, 0};
    for (int k = 0; k < CBN_GRADIENT_PLANES; k++) {
        const int64_t n = popcount_words(b, rounded + k * b->n_words);
        if (k < CBN_GRADIENT_BITS)
            leaf[0].total[0] += k == CBN_GRADIENT_BITS - 1 ? -(n << k) : n << k;
        else
            leaf[0].total[1] += n << (k - CBN_GRADIENT_BITS);
    }
    b->grown_split[0] = -1;
    if (!can_split(b, &leaf[0])) return 1;
    count_leaf(b, &leaf[0]);
    find_best(b, &leaf[0]);
    int32_t n_leaves = 1;
    while (n_leaves < b->boosting->max_leaves) {
        int32_t chosen = -1;
        for (int32_t i = 0; i < n_leaves; i++)
            if (leaf[i].gain > 0.0 &&
                (chosen < 0 || leaf[i].gain > leaf[chosen].gain ||
                 (leaf[i].gain == leaf[chosen].gain && leaf[i].vertex < leaf[chosen].vertex)))
                chosen = i;
        if (chosen < 0) break;
        open_leaf *off = &leaf[chosen], *on = &leaf[n_leaves];
        const int32_t first = 2 * n_leaves - 1;
        b->grown_split[off->vertex] = b->drawn[off->best];
        b->grown_child[off->vertex] = first;
        b->grown_split[first] = b->grown_split[first + 1] = -1;
        on->slot = n_leaves++;
        split_leaf(b, off, on);
        off->vertex = first, on->vertex = first + 1;
        if (n_leaves < b->boosting->max_leaves) open_children(b, off, on);
    }
    return n_leaves;
}

/* A Newton step, in units of 1 / CBN_LOG_ODDS_ONE. */
static int32_t leaf_value(const booster *b, const int64_t sums[2]) {
    const double g = (double)sums[0] * (1.0 / CBN_GRADIENT_ONE), h = (double)sums[1] * (1.0 / CBN_GRADIENT_ONE);
    const double step = b->boosting->rate * g / (h + b->boosting->l2) * CBN_LOG_ODDS_ONE;
    return cbn_round_odds(step);
}

/* Vertices in breadth-first order, values of leaves, log-odds moved by them. */
static void finish_tree(const booster *b, int32_t n_leaves, int32_t *split, int32_t *value) {
    for (int32_t i = 0; i < n_leaves; i++) b->slot[b->leaf[i].vertex] = b->leaf[i].slot;
    int32_t next = 1;
    b->order[0] = 0;
    for (int32_t t = 0; t < 2 * n_leaves - 1; t++) {
        const int32_t grown = b->order[t];
        split[t] = b->grown_split[grown];
        value[t] = 0;
        if (split[t] >= 0) {
            b->order[next++] = b->grown_child[grown];
            b->order[next++] = b->grown_child[grown] + 1;
            continue;
        }
        const uint64_t *images = set_of(b, b->slot[grown]);
        int64_t sums[2];
        b->kernels->leaf_sums(images, b->n_words, b->gradient, b->hessian, sums);
        value[t] = leaf_value(b, sums);
        b->kernels->add_leaf(images, b->n_words, value[t], b->odds);
    }
}

/* Candidates that are 1 in enough images, and 0 in enough, to meet min_hessian: an image's Hessian is at most 1/4. */
static int64_t find_usable(const booster *b, const int64_t *on, int64_t n_images, const int32_t *candidate,
                           int64_t n_candidates) {
    int64_t n_usable = 0;
    for (int64_t i = 0; i < n_candidates; i++) {
        const int64_t n = on[candidate[i]], rarer = n < n_images - n ? n : n_images - n;
        if ((double)rarer >= 4.0 * b->boosting->min_hessian) b->usable[n_usable++] = candidate[i];
    }
    return n_usable;
}

/* All trees of a node; their number. members and usable are set. */
static int32_t grow_node(booster *b, int64_t node, int64_t n_usable, int32_t *base, int32_t *n_vertices,
                         int32_t *split, int32_t *value) {
    const cbn_boosting *p = b->boosting;
    const uint64_t *target = b->planes + node * b->n_words;
    uint64_t *images = set_of(b, 0);
    for (int64_t w = 0; w < b->n_words; w++) images[w] = target[w] & b->members[w];
    const double n1 = (double)popcount_words(b, images), n = (double)popcount_words(b, b->members);
    *base = cbn_round_odds((cbn_log(n1 + p->pseudocount) - cbn_log(n - n1 + p->pseudocount)) * CBN_LOG_ODDS_ONE);
    for (int64_t i = 0; i < 64 * b->n_words; i++) b->odds[i] = *base;
    b->n_drawn = p->n_candidates < n_usable ? p->n_candidates : n_usable;
    if (b->n_drawn == 0) return 0;
    const int32_t capacity = 2 * p->max_leaves - 1;
    int32_t n_trees = 0, barren = 0;
    for (int32_t round = 0; round < p->rounds && barren < CBN_BARREN_ROUNDS; round++) {
        memcpy(images, b->members, sizeof *images * (size_t)b->n_words);
        b->kernels->gradients(b->odds, target, b->members, b->n_words, p->seed, (uint32_t)node, (uint32_t)round,
                              b->gradient, b->hessian, images + b->n_words);
        draw_candidates(b, n_usable, node, round);
        const int32_t n_leaves = grow_tree(b);
        barren = n_leaves == 1 ? barren + 1 : 0;
        if (barren) continue; /* other candidates may do better */
        n_vertices[n_trees] = 2 * n_leaves - 1;
        finish_tree(b, n_leaves, split + (int64_t)n_trees * capacity, value + (int64_t)n_trees * capacity);
        n_trees++;
    }
    return n_trees;
}

static int check_boosting(const cbn_boosting *p) {
    if (!p) return CBN_E_NULL;
    if (p->rounds < 0 || p->rounds > CBN_MAX_ROUNDS || p->max_leaves < 2 || p->max_leaves > CBN_MAX_BOOSTED_LEAVES ||
        p->n_candidates < 1 || !(p->rate > 0.0 && p->rate <= 1.0) || !(p->l2 >= 0.0 && p->l2 <= 1e9) ||
        !(p->min_gain >= 0.0 && p->min_gain <= 1e9) || !(p->min_hessian >= 1e-3 && p->min_hessian <= 1e9) ||
        !(p->pseudocount >= 1e-9 && p->pseudocount <= 1e9))
        return CBN_E_PARAMETER;
    return CBN_OK;
}

/* 64-bit words of a thread's own memory; numbers of 32 bits come in pairs. */
static int thread_words(const cbn_boosting *p, int64_t n_words, int64_t max_candidates, int64_t *words) {
    const int64_t leaves = p->max_leaves, drawn = p->n_candidates < max_candidates ? p->n_candidates : max_candidates;
    int64_t sums, sets;
    CBN_TRY(cbn_multiply(leaves, drawn, &sums));
    CBN_TRY(cbn_multiply(1 + leaves * CBN_SET_ROWS + 3 * 32, n_words, &sets));
    if (sums > INT64_MAX / 64 || sets > INT64_MAX / 64 || max_candidates > INT64_MAX / 64) return CBN_E_SIZE;
    *words = sums + sets + (max_candidates + 1) + drawn + (int64_t)(sizeof(open_leaf) / 8) * leaves + 4 * leaves;
    return CBN_OK;
}

/* words: of a thread; bytes: of all, with the number of images in which each node is 1. */
static int sizes_of(int64_t grid_nodes, int64_t n_images, int64_t max_candidates, const cbn_boosting *boosting,
                    int num_threads, int64_t *words, int64_t *bytes) {
    int64_t all;
    CBN_TRY(check_boosting(boosting));
    if (n_images < 1 || n_images > (int64_t)1 << 28) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    CBN_TRY(thread_words(boosting, cbn_plane_words(n_images), max_candidates, words));
    CBN_TRY(cbn_multiply(*words, 8 * (int64_t)num_threads, &all));
    if (all > INT64_MAX / 2) return CBN_E_SIZE;
    *bytes = all + 8 * grid_nodes;
    return CBN_OK;
}

int cbn_boosted_grow_workspace_size(int32_t channels, int32_t height, int32_t width, int64_t n_images,
                                    const int64_t *candidate_begin, const cbn_boosting *boosting, int num_threads,
                                    int64_t *bytes) {
    int64_t max_candidates, words;
    CBN_TRY(cbn_grid_check(channels, height, width));
    if (!candidate_begin || !bytes) return CBN_E_NULL;
    const int64_t grid_nodes = (int64_t)channels * height * width;
    CBN_TRY(cbn_most_candidates(grid_nodes, candidate_begin, &max_candidates));
    return sizes_of(grid_nodes, n_images, max_candidates, boosting, num_threads, &words, bytes);
}

/* Cuts a thread's memory. */
static booster booster_of(const cbn_boosting *p, const uint64_t *planes, int64_t n_words, int64_t max_candidates,
                          uint64_t *memory) {
    const int64_t leaves = p->max_leaves, drawn = p->n_candidates < max_candidates ? p->n_candidates : max_candidates;
    const double quanta = 4.0 * CBN_HESSIAN_LEVELS; /* of Hessian; those of the gradient: CBN_GRADIENT_LEVELS */
    const double score = 2.0 * CBN_GRADIENT_LEVELS * CBN_GRADIENT_LEVELS / quanta;
    booster b = {.kernels = cbn_kernels_select(), .boosting = p, .planes = planes, .n_words = n_words,
                 .l2 = p->l2 * quanta, .price = p->min_gain * score, .min_hessian = p->min_hessian * quanta};
    b.members = memory, memory += n_words;
    b.set = memory, memory += leaves * CBN_SET_ROWS * n_words;
    b.odds = (int32_t *)memory, memory += 32 * n_words;
    b.gradient = (int32_t *)memory, memory += 32 * n_words;
    b.hessian = (int32_t *)memory, memory += 32 * n_words;
    b.leaf = (open_leaf *)memory, memory += (int64_t)(sizeof(open_leaf) / 8) * leaves;
    b.score = (double *)memory, memory += drawn;
    b.gradient_sum = (int32_t *)memory;
    b.hessian_sum = b.gradient_sum + leaves * drawn, memory += leaves * drawn;
    b.usable = (int32_t *)memory;
    b.drawn = b.usable + max_candidates, memory += max_candidates + 1;
    b.order = (int32_t *)memory;
    b.slot = b.order + 2 * leaves, b.grown_split = b.slot + 2 * leaves, b.grown_child = b.grown_split + 2 * leaves;
    return b;
}

int cbn_boosted_grow(int32_t channels, int32_t height, int32_t width, const uint64_t *planes, int64_t n_images,
                     const int64_t *candidate_begin, const int32_t *candidate, const int32_t *required,
                     const cbn_boosting *boosting, int64_t first_node, int64_t n_nodes, int32_t *base, int32_t *n_trees,
                     int32_t *n_vertices, int32_t *split, int32_t *value, void *workspace, int64_t workspace_bytes,
                     int num_threads) {
    int64_t max_candidates, words, needed;
    CBN_TRY(cbn_grid_check(channels, height, width));
    if (!planes || !candidate_begin || !base || !n_trees || !n_vertices || !split || !value || !workspace)
        return CBN_E_NULL;
    const cbn_trees grid = {channels, height, width, NULL, NULL, NULL, required};
    const int64_t grid_nodes = cbn_tree_nodes(&grid);
    CBN_TRY(cbn_most_candidates(grid_nodes, candidate_begin, &max_candidates));
    CBN_TRY(cbn_candidates_check(&grid, candidate_begin, candidate));
    CBN_TRY(sizes_of(grid_nodes, n_images, max_candidates, boosting, num_threads, &words, &needed));
    if (first_node < 0 || n_nodes < 1 || n_nodes > grid_nodes - first_node) return CBN_E_SIZE;
    if (workspace_bytes < needed) return CBN_E_WORKSPACE;
    const int64_t n_words = cbn_plane_words(n_images), capacity = 2 * (int64_t)boosting->max_leaves - 1;
    const cbn_kernels *kernels = cbn_kernels_select();
    int64_t *on = (int64_t *)workspace; /* images in which a node is 1 */
    for (int64_t node = 0; node < grid_nodes; node++) {
        const uint64_t *plane = planes + node * n_words;
        int64_t superset[2];
        kernels->count_subsets(&plane, 1, NULL, n_words, superset);
        on[node] = superset[1];
    }
    CBN_PARALLEL_FOR(num_threads, n_nodes, dynamic)
    for (int64_t i = 0; i < n_nodes; i++) {
        const int64_t thread = cbn_thread();
        const int64_t node = first_node + i, needs = cbn_required_node(&grid, node);
        booster b = booster_of(boosting, planes, n_words, max_candidates,
                               (uint64_t *)workspace + grid_nodes + thread * words);
        memset(b.members, 0xff, sizeof *b.members * (size_t)n_words);
        if (n_images % 64) b.members[n_words - 1] = ((uint64_t)1 << n_images % 64) - 1;
        if (needs >= 0) memcpy(b.members, planes + needs * n_words, sizeof *b.members * (size_t)n_words);
        const int64_t n_usable = find_usable(&b, on, n_images, candidate ? candidate + candidate_begin[node] : NULL,
                                             candidate_begin[node + 1] - candidate_begin[node]);
        const int64_t row = i * boosting->rounds;
        n_trees[i] = grow_node(&b, node, n_usable, base + i, n_vertices + row, split + row * capacity,
                               value + row * capacity);
    }
    return CBN_OK;
}

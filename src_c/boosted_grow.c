/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Growth of boosted trees. Each round: gradients of a node's images at their log-odds, a tree on them, its leaf values
 * added to the log-odds.
 *
 * An open leaf keeps its set of images as bits, and for every candidate the sums of rounded gradients and Hessians over
 * the images of the set in which the candidate is 1. After a split only the smaller child is counted, the other's sums
 * are differences. Rounding leaves the sums unbiased; its noise, small beside that of the data (Shi et al. 2022), only
 * affects which splits are chosen. Threads own nodes.
 */
#include "boosted.h"
#include "workspace.h"

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
    uint64_t *set;                 /* [slot][n_words]: images of a leaf */
    uint64_t *rounded;             /* [CBN_GRADIENT_PLANES][n_words]: rounded gradients of all */
    cbn_split_search search;
    int32_t *gradient_sum, *hessian_sum; /* [slot][drawn] */
    double *score;                 /* [drawn] */
    int32_t *odds, *gradient, *hessian; /* [64 n_words] */
    open_leaf *leaf;
    int32_t *order, *slot;         /* breadth-first renumbering; slot of a leaf's vertex */
    int32_t *grown_split, *grown_child;
} booster;

static uint64_t *set_of(const booster *b, int32_t slot) { return b->set + slot * b->n_words; }

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

/* Sums of a leaf's candidates, in those of slot `to`. */
static void count_leaf(const booster *b, const open_leaf *leaf, int32_t to) {
    b->kernels->count_gradients(&b->search, set_of(b, leaf->slot), b->gradient_sum + to * b->n_drawn,
                                b->hessian_sum + to * b->n_drawn);
}

/* Splits the leaf by a drawn candidate: it becomes the child at 0, `on` the child at 1. */
static void split_leaf(const booster *b, open_leaf *off, open_leaf *on) {
    uint64_t *off_set = set_of(b, off->slot), *on_set = set_of(b, on->slot);
    const uint64_t *plane = b->planes + b->drawn[off->best] * b->n_words;
    for (int64_t w = 0; w < b->n_words; w++) {
        on_set[w] = off_set[w] & plane[w];
        off_set[w] &= ~plane[w];
    }
    const int64_t at = off->slot * b->n_drawn + off->best;
    on->total[0] = b->gradient_sum[at];
    on->total[1] = b->hessian_sum[at];
    for (int i = 0; i < 2; i++) off->total[i] -= on->total[i];
}

/* Sums and best splits of two new leaves; `off` still has the sums of the leaf that both were. */
static void open_children(const booster *b, open_leaf *off, open_leaf *on) {
    const int off_may = can_split(b, off), on_may = can_split(b, on);
    if (off_may && on_may) { /* the one with less Hessian has fewer images that count */
        const int off_counts = off->total[1] < on->total[1];
        count_leaf(b, off_counts ? off : on, on->slot);
        for (int i = 0; i < 2; i++) {
            int32_t *off_sum = (i ? b->hessian_sum : b->gradient_sum) + off->slot * b->n_drawn;
            int32_t *on_sum = (i ? b->hessian_sum : b->gradient_sum) + on->slot * b->n_drawn;
            for (int64_t c = 0; c < b->n_drawn; c++) {
                const int32_t counted = on_sum[c], other = off_sum[c] - counted;
                off_sum[c] = off_counts ? counted : other;
                on_sum[c] = off_counts ? other : counted;
            }
        }
    } else if (off_may || on_may) {
        count_leaf(b, off_may ? off : on, off_may ? off->slot : on->slot);
    }
    off->gain = on->gain = 0.0;
    if (off_may) find_best(b, off);
    if (on_may) find_best(b, on);
}

/* The tree of one round in the order of growth, from the rounded gradients of the set of slot 0; the number of its
 * leaves. */
static int32_t grow_tree(const booster *b) {
    open_leaf *leaf = b->leaf;
    leaf[0] = (open_leaf){0, 0, {0, 0}, 0.0, 0};
    for (int k = 0; k < CBN_GRADIENT_PLANES; k++) {
        const int64_t n = popcount_words(b, b->rounded + k * b->n_words);
        if (k < CBN_GRADIENT_BITS)
            leaf[0].total[0] += k == CBN_GRADIENT_BITS - 1 ? -(n << k) : n << k;
        else
            leaf[0].total[1] += n << (k - CBN_GRADIENT_BITS);
    }
    b->grown_split[0] = -1;
    if (!can_split(b, &leaf[0])) return 1;
    b->kernels->lay_out_search(&b->search);
    count_leaf(b, &leaf[0], 0);
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
    cbn_number_breadth_first(n_leaves, b->grown_split, b->grown_child, b->order, split);
    for (int32_t t = 0; t < 2 * n_leaves - 1; t++) {
        value[t] = 0;
        if (split[t] >= 0) continue;
        const uint64_t *images = set_of(b, b->slot[b->order[t]]);
        int64_t sums[2];
        b->kernels->leaf_sums(images, b->n_words, b->gradient, b->hessian, sums);
        value[t] = leaf_value(b, sums);
        b->kernels->add_leaf(images, b->n_words, value[t], b->odds);
    }
}

/* Candidates that are 1 in enough images, and 0 in enough, to meet min_hessian: an image's Hessian is at most 1/4. */
static int64_t find_usable(const booster *b, const int64_t *on, int64_t n_images, const cbn_candidates *candidates,
                           int64_t node) {
    int64_t n_usable = 0;
    for (int64_t i = candidates->begin[node]; i < candidates->begin[node + 1]; i++) {
        const int32_t candidate = candidates->node[i];
        const int64_t n = on[candidate], rarer = n < n_images - n ? n : n_images - n;
        if ((double)rarer >= 4.0 * b->boosting->min_hessian) b->usable[n_usable++] = candidate;
    }
    return n_usable;
}

/* All trees of a node; their number. members and usable are set. */
static int32_t grow_node(booster *b, int64_t node, int64_t n_usable, const int32_t *start, int32_t *base,
                         int32_t *n_vertices, int32_t *split, int32_t *value) {
    const cbn_boosting *p = b->boosting;
    const uint64_t *target = b->planes + node * b->n_words;
    uint64_t *images = set_of(b, 0);
    for (int64_t w = 0; w < b->n_words; w++) images[w] = target[w] & b->members[w];
    const double n1 = (double)popcount_words(b, images), n = (double)popcount_words(b, b->members);
    *base = cbn_round_odds((cbn_log(n1 + p->pseudocount) - cbn_log(n - n1 + p->pseudocount)) * CBN_LOG_ODDS_ONE);
    if (start) *base = 0;
    for (int64_t i = 0; i < 64 * b->n_words; i++) b->odds[i] = start ? start[i] : *base;
    b->n_drawn = p->n_candidates < n_usable ? p->n_candidates : n_usable;
    if (b->n_drawn == 0) return 0;
    b->search = (cbn_split_search){b->planes, b->n_words, b->drawn, b->n_drawn, b->rounded, b->search.scratch};
    const int32_t capacity = 2 * p->max_leaves - 1;
    int32_t n_trees = 0, barren = 0;
    for (int32_t round = 0; round < p->rounds && barren < CBN_BARREN_ROUNDS; round++) {
        memcpy(images, b->members, sizeof *images * (size_t)b->n_words);
        b->kernels->gradients(b->odds, target, b->members, b->n_words, p->seed, (uint32_t)node, (uint32_t)round,
                              b->gradient, b->hessian, b->rounded);
        memcpy(b->drawn, b->usable, sizeof *b->drawn * (size_t)n_usable);
        cbn_draw_first(b->drawn, n_usable, b->n_drawn, p->seed, CBN_RANDOM_CANDIDATE, (uint32_t)node, (uint32_t)round);
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

/* A thread's own memory. */
static void take_own(cbn_arena *arena, booster *b, int64_t n_words, int64_t most_candidates) {
    const int64_t leaves = b->boosting->max_leaves, wanted = b->boosting->n_candidates;
    const int64_t drawn = wanted < most_candidates ? wanted : most_candidates;
    b->members = cbn_take(arena, n_words, sizeof *b->members);
    b->set = cbn_take_rows(arena, leaves, n_words, sizeof *b->set);
    b->rounded = cbn_take_rows(arena, CBN_GRADIENT_PLANES, n_words, sizeof *b->rounded);
    b->search.scratch = cbn_take_rows(arena, cbn_search_words(drawn), n_words, sizeof *b->search.scratch);
    b->odds = cbn_take_rows(arena, 64, n_words, sizeof *b->odds);
    b->gradient = cbn_take_rows(arena, 64, n_words, sizeof *b->gradient);
    b->hessian = cbn_take_rows(arena, 64, n_words, sizeof *b->hessian);
    b->leaf = cbn_take(arena, leaves, sizeof *b->leaf);
    b->score = cbn_take(arena, drawn, sizeof *b->score);
    b->gradient_sum = cbn_take_rows(arena, leaves, drawn, sizeof *b->gradient_sum);
    b->hessian_sum = cbn_take_rows(arena, leaves, drawn, sizeof *b->hessian_sum);
    b->usable = cbn_take(arena, most_candidates, sizeof *b->usable);
    b->drawn = cbn_take(arena, most_candidates, sizeof *b->drawn);
    b->order = cbn_take(arena, 2 * leaves, sizeof *b->order);
    b->slot = cbn_take(arena, 2 * leaves, sizeof *b->slot);
    b->grown_split = cbn_take(arena, 2 * leaves, sizeof *b->grown_split);
    b->grown_child = cbn_take(arena, 2 * leaves, sizeof *b->grown_child);
}

/* What threads share, and what each has to itself. */
typedef struct {
    int64_t most_candidates;
    int64_t *on; /* (nodes of the grid): images in which a node is 1 */
    void *each;
} growth_parts;

static int take_parts(cbn_arena *arena, cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                      const cbn_boosting *boosting, int num_threads, growth_parts *parts, cbn_arena *one) {
    CBN_TRY(cbn_grid_check(grid));
    if (!candidates || !candidates->begin) return CBN_E_NULL;
    CBN_TRY(cbn_most_candidates(grid, candidates, &parts->most_candidates));
    CBN_TRY(check_boosting(boosting));
    if (n_images < 1 || n_images > (int64_t)1 << 28) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    booster b = {.boosting = boosting};
    parts->on = cbn_take(arena, cbn_grid_nodes(grid), sizeof *parts->on);
    *one = cbn_counting_arena();
    take_own(one, &b, cbn_plane_words(n_images), parts->most_candidates);
    parts->each = cbn_take_each(arena, one, num_threads);
    return CBN_OK;
}

int cbn_boosted_grow_workspace_size(cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                                    const cbn_boosting *boosting, int num_threads, int64_t *bytes) {
    growth_parts parts;
    cbn_arena arena = cbn_counting_arena(), one;
    CBN_TRY(take_parts(&arena, grid, n_images, candidates, boosting, num_threads, &parts, &one));
    return cbn_arena_size(&arena, bytes);
}

static booster booster_of(const cbn_boosting *p, const uint64_t *planes, int64_t n_words) {
    const double quanta = 4.0 * CBN_HESSIAN_LEVELS; /* of Hessian; those of the gradient: CBN_GRADIENT_LEVELS */
    const double score = 2.0 * CBN_GRADIENT_LEVELS * CBN_GRADIENT_LEVELS / quanta;
    const booster b = {.kernels = cbn_kernels_select(), .boosting = p, .planes = planes, .n_words = n_words,
                       .l2 = p->l2 * quanta, .price = p->min_gain * score, .min_hessian = p->min_hessian * quanta};
    return b;
}

int cbn_boosted_grow(cbn_grid grid, cbn_planes planes, const cbn_candidates *candidates, const cbn_boosting *boosting,
                     const cbn_grown_boosted *grown, cbn_workspace workspace, int num_threads) {
    growth_parts parts;
    cbn_arena arena = cbn_arena_of(workspace), one;
    if (!planes.words || !grown || !grown->base || !grown->n_trees || !grown->n_vertices || !grown->split ||
        !grown->value)
        return CBN_E_NULL;
    const int64_t n_images = planes.n_images;
    CBN_TRY(take_parts(&arena, grid, n_images, candidates, boosting, num_threads, &parts, &one));
    CBN_TRY(cbn_candidates_check(grid, candidates));
    const int64_t grid_nodes = cbn_grid_nodes(grid);
    if (grown->first_node < 0 || grown->n_nodes < 1 || grown->n_nodes > grid_nodes - grown->first_node)
        return CBN_E_SIZE;
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const int64_t n_words = cbn_plane_words(n_images), capacity = 2 * (int64_t)boosting->max_leaves - 1;
    const booster shared = booster_of(boosting, planes.words, n_words);
    for (int64_t node = 0; node < grid_nodes; node++)
        parts.on[node] = popcount_words(&shared, planes.words + node * n_words);
    CBN_PARALLEL_FOR(num_threads, grown->n_nodes, dynamic)
    for (int64_t i = 0; i < grown->n_nodes; i++) {
        booster b = shared;
        cbn_arena own = cbn_own_arena(parts.each, &one);
        take_own(&own, &b, n_words, parts.most_candidates);
        const int64_t node = grown->first_node + i, needs = cbn_required_node(candidates->required, node);
        memset(b.members, 0xff, sizeof *b.members * (size_t)n_words);
        if (n_images % 64) b.members[n_words - 1] = ((uint64_t)1 << n_images % 64) - 1;
        if (needs >= 0) memcpy(b.members, planes.words + needs * n_words, sizeof *b.members * (size_t)n_words);
        const int64_t n_usable = find_usable(&b, parts.on, n_images, candidates, node), row = i * boosting->rounds;
        grown->n_trees[i] = grow_node(&b, node, n_usable, grown->start ? grown->start + 64 * i * n_words : NULL,
                                      grown->base + i, grown->n_vertices + row, grown->split + row * capacity,
                                      grown->value + row * capacity);
    }
    return CBN_OK;
}

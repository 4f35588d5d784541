/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Growth of trees on rows of bits. Each round: blocks of rows are drawn, their gradients rounded and their bits of the
 * drawn features put side by side, a row behind the other; a tree on them; its leaf values added to the log-odds of all
 * rows, but not before a block is drawn again: what the trees until then say of it is read in one go.
 *
 * An open leaf is a range of rows. Its sums are one pass over them, a vector of features at a time, and after a split
 * only the smaller child is summed, the other's sums are differences; a split moves the rows in which the feature is 0
 * before the others, in their order. All sums are of integers, so that threads may share the rows as they like.
 */
#include "boosted.h"
#include "workspace.h"

/* Rows that one thread sums or moves at a time; below two of them a second thread costs more than it saves. */
#define ROWS_TOGETHER 8192

typedef struct {
    int32_t vertex;
    int64_t begin, end; /* rows */
    int64_t total[2];   /* rounded gradients and Hessians, in quanta */
    double gain;        /* of the best split, in quanta of score; 0 where none pays */
    int32_t best;       /* its number among the drawn features */
} open_leaf;

typedef struct {
    const cbn_kernels *kernels;
    const cbn_forest_growth *growth;
    const cbn_rows *rows;
    const cbn_grown_forest *grown;
    int64_t n_learning, n_taken, n_usable;
    int num_threads;
    int32_t n_drawn;
    double l2, price, min_hessian; /* in quanta */
    int32_t *block;                /* [n_learning]: the first n_taken are drawn */
    int64_t *begin;                /* [n_taken + 1]: first row of each */
    int32_t *n_added;              /* [n_blocks]: rounds of the call that are in the block's log-odds */
    int32_t *drawn;                /* [n_usable]: the first n_drawn are */
    cbn_coded_row *row, *other;    /* [64 n_taken] */
    int32_t *gradient, *hessian;   /* [64 n_taken], by place in the drawn blocks */
    int64_t *ones;                 /* [chunks of rows]: rows in which a feature is 1 */
    int32_t *thread_sum;           /* [threads][2][CBN_ROW_BITS] */
    int32_t *sum[2];               /* [leaf][CBN_ROW_BITS]: of gradients; of Hessians */
    double *score;                 /* [CBN_ROW_BITS] */
    open_leaf *leaf;
    int32_t *leaf_of, *order, *grown_split, *grown_child; /* [2 max_leaves] */
} forest;

static int threads_for(const forest *f, int64_t n) { return n < 2 * ROWS_TOGETHER ? 1 : f->num_threads; }

/* ---- the rows of a round ---- */

/* What tells random numbers of a forest from those of single nodes' trees. */
static uint32_t owner_of(const cbn_forest_growth *growth) { return growth->stream | 0x80000000u; }

/* Adds the trees of the first `rounds` rounds of the call that are missing to the log-odds of a block. */
static void add_trees(const forest *f, int64_t block, int32_t rounds) {
    const int64_t capacity = 2 * (int64_t)f->growth->max_leaves - 1;
    const uint64_t *features = f->rows->features + block * f->rows->n_features;
    for (int32_t i = f->n_added[block]; i < rounds; i++)
        f->kernels->add_tree(f->grown->split + i * capacity, f->grown->value + i * capacity, f->grown->n_vertices[i],
                             features, 1, f->grown->odds + 64 * block);
    f->n_added[block] = rounds;
}

/* Drawn blocks lie anywhere in memory: the features of the next one are asked for while one is worked on. */
static void prefetch_block(const forest *f, int64_t block) {
    const char *features = (const char *)(f->rows->features + block * f->rows->n_features);
    for (int64_t at = 0; at < 8 * f->rows->n_features; at += CBN_LINE_BYTES) __builtin_prefetch(features + at);
}

/* The drawn blocks' rows, for round i of the call. */
static void take_rows(const forest *f, int32_t i) {
    const cbn_rows *rows = f->rows;
    f->begin[0] = 0;
    for (int64_t k = 0; k < f->n_taken; k++)
        f->begin[k + 1] = f->begin[k] + __builtin_popcountll(rows->members[f->block[k]]);
    CBN_PARALLEL_FOR(f->num_threads, f->n_taken / 16, static)
    for (int64_t k = 0; k < f->n_taken; k++) {
        const int64_t block = f->block[k];
        const uint32_t counter[3] = {(uint32_t)block, (uint32_t)(f->grown->first_round + i),
                                     owner_of(f->growth)};
        cbn_coded_row own[64];
        if (k + 1 < f->n_taken) prefetch_block(f, f->block[k + 1]);
        add_trees(f, block, i);
        f->kernels->code_rows(f->grown->odds + 64 * block, rows->target[block],
                              rows->features + block * rows->n_features, f->drawn, f->n_drawn, counter,
                              f->growth->seed, f->gradient + 64 * k, f->hessian + 64 * k, own);
        cbn_coded_row *to = f->row + f->begin[k];
        for (uint64_t left = rows->members[block]; left; left &= left - 1) {
            const int row = __builtin_ctzll(left);
            own[row].number = (uint32_t)(64 * k + row);
            *to++ = own[row];
        }
    }
}

/* ---- leaves ---- */

static void sum_leaf(const forest *f, const open_leaf *leaf, int64_t slot) {
    const int64_t n = leaf->end - leaf->begin, chunks = (n + ROWS_TOGETHER - 1) / ROWS_TOGETHER;
    const int threads = cbn_useful_threads(threads_for(f, n), chunks);
    memset(f->thread_sum, 0, sizeof *f->thread_sum * (size_t)(2 * CBN_ROW_BITS * threads));
    CBN_PARALLEL_FOR(threads, chunks, static)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t first = leaf->begin + chunk * ROWS_TOGETHER, left = leaf->end - first;
        int32_t *sum = f->thread_sum + 2 * CBN_ROW_BITS * cbn_thread();
        f->kernels->row_sums(f->row + first, left < ROWS_TOGETHER ? left : ROWS_TOGETHER, sum, sum + CBN_ROW_BITS);
    }
    for (int i = 0; i < 2; i++) {
        int32_t *to = f->sum[i] + slot * CBN_ROW_BITS;
        memset(to, 0, sizeof *to * CBN_ROW_BITS);
        for (int t = 0; t < threads; t++)
            for (int c = 0; c < CBN_ROW_BITS; c++) to[c] += f->thread_sum[(2 * t + i) * CBN_ROW_BITS + c];
    }
}

static int can_split(const forest *f, const open_leaf *leaf) {
    return (double)leaf->total[1] >= 2.0 * f->min_hessian;
}

static void find_best(const forest *f, open_leaf *leaf, int64_t slot) {
    const double own = (double)leaf->total[0] * (double)leaf->total[0] / ((double)leaf->total[1] + f->l2);
    double best = own + f->price;
    f->kernels->split_scores(f->sum[0] + slot * CBN_ROW_BITS, f->sum[1] + slot * CBN_ROW_BITS, f->n_drawn, leaf->total,
                             f->l2, f->min_hessian, f->score);
    leaf->gain = 0.0;
    for (int32_t c = 0; c < f->n_drawn; c++)
        if (f->score[c] > best) {
            best = f->score[c];
            leaf->best = c;
            leaf->gain = best - own;
        }
}

/* Moves the rows of a range in which a feature is 0 before the others, all in their order; returns the first of these. */
static int64_t part_rows(const forest *f, int64_t begin, int64_t end, int32_t feature) {
    const int half = feature / 64, bit = feature % 64;
    const int64_t n = end - begin, chunks = (n + ROWS_TOGETHER - 1) / ROWS_TOGETHER;
    const int threads = threads_for(f, n);
    const cbn_coded_row *row = f->row + begin;
    CBN_PARALLEL_FOR(threads, chunks, static)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t stop = n < (chunk + 1) * ROWS_TOGETHER ? n : (chunk + 1) * ROWS_TOGETHER;
        int64_t ones = 0;
        for (int64_t r = chunk * ROWS_TOGETHER; r < stop; r++) ones += (int64_t)(row[r].bits[half] >> bit & 1);
        f->ones[chunk] = ones;
    }
    int64_t all = 0;
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t own = f->ones[chunk];
        f->ones[chunk] = all; /* in the chunks before */
        all += own;
    }
    CBN_PARALLEL_FOR(threads, chunks, static)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t stop = n < (chunk + 1) * ROWS_TOGETHER ? n : (chunk + 1) * ROWS_TOGETHER;
        cbn_coded_row *to[2] = {f->other + chunk * ROWS_TOGETHER - f->ones[chunk], f->other + n - all + f->ones[chunk]};
        for (int64_t r = chunk * ROWS_TOGETHER; r < stop; r++) *to[row[r].bits[half] >> bit & 1]++ = row[r];
    }
    CBN_PARALLEL_FOR(threads, chunks, static)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t first = chunk * ROWS_TOGETHER, left = n - first;
        memcpy(f->row + begin + first, f->other + first,
               sizeof *f->row * (size_t)(left < ROWS_TOGETHER ? left : ROWS_TOGETHER));
    }
    return end - all;
}

/* Splits the leaf of slot `old`: it becomes the child at 0, the leaf of slot `new` the child at 1. */
static void split_leaf(const forest *f, int64_t old, int64_t new, int32_t first_vertex, int last) {
    open_leaf *off = &f->leaf[old], *on = &f->leaf[new];
    const int64_t at = old * CBN_ROW_BITS + off->best;
    *on = (open_leaf){first_vertex + 1, part_rows(f, off->begin, off->end, off->best), off->end,
                      {f->sum[0][at], f->sum[1][at]}, 0.0, 0};
    off->vertex = first_vertex;
    off->end = on->begin;
    off->gain = 0.0;
    for (int i = 0; i < 2; i++) off->total[i] -= on->total[i];
    const int off_may = can_split(f, off), on_may = can_split(f, on);
    if (last || !(off_may || on_may)) return;
    const int64_t smaller = off->end - off->begin < on->end - on->begin ? old : new;
    if (off_may && on_may) {
        int32_t *const spare[2] = {f->sum[0] + f->growth->max_leaves * CBN_ROW_BITS,
                                   f->sum[1] + f->growth->max_leaves * CBN_ROW_BITS};
        sum_leaf(f, &f->leaf[smaller], f->growth->max_leaves);
        for (int i = 0; i < 2; i++)
            for (int c = 0; c < CBN_ROW_BITS; c++) {
                int32_t *both = f->sum[i] + old * CBN_ROW_BITS + c, *other = f->sum[i] + new * CBN_ROW_BITS + c;
                const int32_t own = spare[i][c], rest = *both - own;
                *both = smaller == old ? own : rest;
                *other = smaller == old ? rest : own;
            }
    } else {
        sum_leaf(f, off_may ? off : on, off_may ? old : new);
    }
    if (off_may) find_best(f, off, old);
    if (on_may) find_best(f, on, new);
}

static int32_t grow_tree(const forest *f) {
    open_leaf *leaf = f->leaf;
    const int64_t n = f->begin[f->n_taken];
    leaf[0] = (open_leaf){0, 0, n, {0, 0}, 0.0, 0};
    for (int64_t r = 0; r < n; r++) {
        leaf[0].total[0] += f->row[r].level;
        leaf[0].total[1] += f->row[r].curved;
    }
    f->grown_split[0] = -1;
    if (!can_split(f, &leaf[0])) return 1;
    sum_leaf(f, &leaf[0], 0);
    find_best(f, &leaf[0], 0);
    int32_t n_leaves = 1;
    while (n_leaves < f->growth->max_leaves) {
        int32_t chosen = -1;
        for (int32_t i = 0; i < n_leaves; i++)
            if (leaf[i].gain > 0.0 &&
                (chosen < 0 || leaf[i].gain > leaf[chosen].gain ||
                 (leaf[i].gain == leaf[chosen].gain && leaf[i].vertex < leaf[chosen].vertex)))
                chosen = i;
        if (chosen < 0) break;
        const int32_t first = 2 * n_leaves - 1, vertex = leaf[chosen].vertex;
        f->grown_split[vertex] = f->drawn[leaf[chosen].best];
        f->grown_child[vertex] = first;
        f->grown_split[first] = f->grown_split[first + 1] = -1;
        split_leaf(f, chosen, n_leaves, first, n_leaves + 1 == f->growth->max_leaves);
        n_leaves++;
    }
    return n_leaves;
}

/* ---- trees ---- */

static int32_t leaf_value(const forest *f, const open_leaf *leaf) {
    int64_t sums[2] = {0, 0};
    for (int64_t r = leaf->begin; r < leaf->end; r++) {
        sums[0] += f->gradient[f->row[r].number];
        sums[1] += f->hessian[f->row[r].number];
    }
    const double g = (double)sums[0] * (1.0 / CBN_GRADIENT_ONE), h = (double)sums[1] * (1.0 / CBN_GRADIENT_ONE);
    const double steps = f->growth->rate * g / (h + f->growth->l2) * (CBN_LOG_ODDS_ONE / CBN_TIED_STEP);
    const int32_t most = CBN_MAX_LEAF_VALUE / CBN_TIED_STEP, rounded = cbn_round_odds(steps);
    return CBN_TIED_STEP * (rounded > most ? most : rounded < -most ? -most : rounded);
}

/* Vertices in breadth-first order, and the values of leaves. */
static void finish_tree(const forest *f, int32_t n_leaves, int32_t *split, int32_t *value) {
    for (int32_t i = 0; i < n_leaves; i++) f->leaf_of[f->leaf[i].vertex] = i;
    cbn_number_breadth_first(n_leaves, f->grown_split, f->grown_child, f->order, split);
    CBN_PARALLEL_FOR(threads_for(f, f->begin[f->n_taken]), n_leaves, dynamic)
    for (int32_t t = 0; t < 2 * n_leaves - 1; t++)
        value[t] = split[t] < 0 ? leaf_value(f, &f->leaf[f->leaf_of[f->order[t]]]) : 0;
}

/* ---- the function ---- */

static void take_parts(cbn_arena *arena, forest *f) {
    const int64_t leaves = f->growth->max_leaves;
    f->block = cbn_take(arena, f->n_learning, sizeof *f->block);
    f->begin = cbn_take(arena, f->n_taken + 1, sizeof *f->begin);
    f->n_added = cbn_take(arena, f->rows->n_blocks, sizeof *f->n_added);
    f->drawn = cbn_take(arena, f->n_usable, sizeof *f->drawn);
    f->row = cbn_take_rows(arena, 64, f->n_taken, sizeof *f->row);
    f->other = cbn_take_rows(arena, 64, f->n_taken, sizeof *f->other);
    f->gradient = cbn_take_rows(arena, 64, f->n_taken, sizeof *f->gradient);
    f->hessian = cbn_take_rows(arena, 64, f->n_taken, sizeof *f->hessian);
    f->ones = cbn_take(arena, 64 * f->n_taken / ROWS_TOGETHER + 1, sizeof *f->ones);
    f->thread_sum = cbn_take_rows(arena, f->num_threads, 2 * CBN_ROW_BITS, sizeof *f->thread_sum);
    for (int i = 0; i < 2; i++) f->sum[i] = cbn_take_rows(arena, leaves + 1, CBN_ROW_BITS, sizeof *f->sum[i]);
    f->score = cbn_take(arena, CBN_ROW_BITS, sizeof *f->score);
    f->leaf = cbn_take(arena, leaves, sizeof *f->leaf);
    f->leaf_of = cbn_take(arena, 2 * leaves, sizeof *f->leaf_of);
    f->order = cbn_take(arena, 2 * leaves, sizeof *f->order);
    f->grown_split = cbn_take(arena, 2 * leaves, sizeof *f->grown_split);
    f->grown_child = cbn_take(arena, 2 * leaves, sizeof *f->grown_child);
}

static int forest_of(const cbn_rows *rows, int64_t n_learning, const cbn_forest_growth *g, int64_t n_usable,
                     int num_threads, forest *f) {
    if (!rows || !g) return CBN_E_NULL;
    /* the numbers of rows, and the sums of their levels, fit 32 bits */
    if (rows->n_blocks < 1 || rows->n_blocks > (int64_t)1 << 22 || rows->n_features < 1 ||
        rows->n_features > CBN_MAX_FEATURES || n_learning < 1 || n_learning > rows->n_blocks)
        return CBN_E_SIZE;
    if (n_usable < 0 || n_usable > rows->n_features) return CBN_E_SIZE;
    if (g->max_leaves < 2 || g->max_leaves > CBN_MAX_BOOSTED_LEAVES || g->n_candidates < 1 ||
        g->n_candidates > CBN_ROW_BITS || !(g->share > 0.0 && g->share <= 1.0) || !(g->rate > 0.0 && g->rate <= 1.0) ||
        !(g->l2 >= 0.0 && g->l2 <= 1e9) || !(g->min_gain >= 0.0 && g->min_gain <= 1e9) ||
        !(g->min_hessian >= 1e-3 && g->min_hessian <= 1e9) || g->stream > INT32_MAX || num_threads < 1)
        return CBN_E_PARAMETER;
    const double quanta = 4.0 * CBN_HESSIAN_LEVELS; /* of Hessian; those of the gradient: CBN_GRADIENT_LEVELS */
    const int64_t n_taken = (int64_t)(g->share * (double)n_learning + 0.5);
    *f = (forest){.kernels = cbn_kernels_select(), .growth = g, .rows = rows, .n_learning = n_learning,
                  .n_taken = n_taken < 1 ? 1 : n_taken, .n_usable = n_usable, .num_threads = num_threads,
                  .n_drawn = (int32_t)(g->n_candidates < n_usable ? g->n_candidates : n_usable), .l2 = g->l2 * quanta,
                  .price = g->min_gain * (2.0 * CBN_GRADIENT_LEVELS * CBN_GRADIENT_LEVELS / quanta),
                  .min_hessian = g->min_hessian * quanta};
    return CBN_OK;
}

int cbn_forest_grow_workspace_size(const cbn_rows *rows, int64_t n_learning, const cbn_forest_growth *growth,
                                   int64_t n_usable, int num_threads, int64_t *bytes) {
    forest f;
    CBN_TRY(forest_of(rows, n_learning, growth, n_usable, num_threads, &f));
    cbn_arena arena = cbn_counting_arena();
    take_parts(&arena, &f);
    return cbn_arena_size(&arena, bytes);
}

int cbn_forest_grow(const cbn_rows *rows, int64_t n_learning, const cbn_forest_growth *growth, const int32_t *usable,
                    int64_t n_usable, const cbn_grown_forest *grown, cbn_workspace workspace, int num_threads) {
    forest f;
    CBN_TRY(forest_of(rows, n_learning, growth, n_usable, num_threads, &f));
    if (!rows->features || !rows->target || !rows->members || (!usable && n_usable) || !grown || !grown->odds ||
        !grown->n_vertices || !grown->split || !grown->value)
        return CBN_E_NULL;
    if (grown->first_round < 0 || grown->n_rounds < 0 || grown->n_rounds > INT32_MAX - grown->first_round)
        return CBN_E_PARAMETER;
    for (int64_t i = 0; i < n_usable; i++)
        if (usable[i] < 0 || usable[i] >= rows->n_features) return CBN_E_PARAMETER;
    cbn_arena arena = cbn_arena_of(workspace);
    take_parts(&arena, &f);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    f.grown = grown;
    memset(f.n_added, 0, sizeof *f.n_added * (size_t)rows->n_blocks);
    const int64_t capacity = 2 * (int64_t)growth->max_leaves - 1;
    for (int32_t i = 0; i < grown->n_rounds; i++) {
        grown->n_vertices[i] = 0;
        if (n_usable == 0) continue;
        for (int32_t block = 0; block < n_learning; block++) f.block[block] = block;
        memcpy(f.drawn, usable, sizeof *usable * (size_t)n_usable);
        const uint32_t owner = owner_of(growth), number = (uint32_t)(grown->first_round + i);
        cbn_draw_first(f.block, n_learning, f.n_taken, growth->seed, CBN_RANDOM_BLOCK, owner, number);
        cbn_draw_first(f.drawn, n_usable, f.n_drawn, growth->seed, CBN_RANDOM_CANDIDATE, owner, number);
        take_rows(&f, i);
        const int32_t n_leaves = grow_tree(&f);
        if (n_leaves == 1) continue;
        grown->n_vertices[i] = 2 * n_leaves - 1;
        finish_tree(&f, n_leaves, grown->split + i * capacity, grown->value + i * capacity);
    }
    CBN_PARALLEL_FOR(num_threads, rows->n_blocks / 16, static)
    for (int64_t block = 0; block < rows->n_blocks; block++) add_trees(&f, block, grown->n_rounds);
    return CBN_OK;
}

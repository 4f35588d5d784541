/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows for tied networks: which (image, position) pairs are kept, and their features in blocks of 64. Threads own words
 * of images, whose rows fill blocks of their own.
 */
#include "causal.h"
#include "rng.h"
#include "workspace.h"

/* A pair of a word of images. */
typedef struct {
    uint32_t key;   /* random: by it rows are chosen and put in order */
    uint32_t place; /* 64 position + image in the word */
} pair;

typedef struct {
    cbn_causal_plan plan;
    cbn_planes planes;
    int32_t channel;
    const cbn_row_sampling *sampling;
    int64_t n_words;
} sample;

static int sample_of(const cbn_causal *causal, cbn_planes planes, int32_t channel, const cbn_row_sampling *sampling,
                     int num_threads, sample *s) {
    CBN_TRY(cbn_causal_plan_of(causal, &s->plan));
    if (!planes.words || !sampling) return CBN_E_NULL;
    if (planes.n_images < 1 || planes.n_images > UINT32_MAX) return CBN_E_SIZE;
    if (cbn_grid_positions(causal->grid) > UINT32_MAX / 64) return CBN_E_SIZE;
    if (sampling->first < 0) return CBN_E_PARAMETER;
    if (sampling->first > UINT32_MAX - planes.n_images) return CBN_E_SIZE;
    if (channel < 0 || channel >= causal->grid.channels || sampling->below > (uint64_t)1 << 32 ||
        sampling->thinning < 1 || sampling->nested < 0 || sampling->nested > 1 || num_threads < 1)
        return CBN_E_PARAMETER;
    s->planes = planes;
    s->channel = channel;
    s->sampling = sampling;
    s->n_words = cbn_plane_words(planes.n_images);
    return CBN_OK;
}

/* The images of a word that may be rows at a position, and those of them that are thinned. */
static uint64_t members_at(const sample *s, int64_t word, int64_t position, uint64_t *quiet, uint64_t *thinned) {
    const cbn_grid grid = s->plan.causal.grid;
    const uint64_t *column = s->planes.words + word;
    const int64_t node = s->channel * cbn_grid_positions(grid) + position;
    uint64_t members = cbn_images_of_word(s->planes.n_images, word);
    if (s->sampling->nested && s->channel > 0) members &= column[(node - cbn_grid_positions(grid)) * s->n_words];
    *quiet = cbn_causal_quiet(grid, s->channel, (int)(position / grid.width), (int)(position % grid.width), column,
                              s->n_words);
    *thinned = *quiet & ~column[node * s->n_words];
    return members;
}

/* The pairs of a word that are kept, position after position; their number. pairs may be NULL. */
static int64_t find_pairs(const sample *s, int64_t word, pair *pairs) {
    const cbn_row_sampling *how = s->sampling;
    const uint64_t one_in = ((uint64_t)1 << 32) / (uint64_t)how->thinning;
    const int64_t positions = cbn_grid_positions(s->plan.causal.grid);
    int64_t n = 0;
    for (int64_t position = 0; position < positions; position++) {
        uint64_t quiet, thinned;
        for (uint64_t left = members_at(s, word, position, &quiet, &thinned); left; left &= left - 1) {
            const int i = __builtin_ctzll(left);
            uint32_t c0 = (uint32_t)position, c1 = (uint32_t)(how->first + 64 * word + i), c2 = (uint32_t)s->channel;
            uint32_t c3 = CBN_RANDOM_ROW;
            cbn_philox_block(&c0, &c1, &c2, &c3, (uint32_t)how->seed, (uint32_t)(how->seed >> 32));
            if (c0 >= how->below || ((thinned >> i & 1) && c1 >= one_in)) continue;
            if (pairs) pairs[n] = (pair){c0, (uint32_t)(64 * position + i)};
            n++;
        }
    }
    return n;
}

int cbn_rows_count(const cbn_causal *causal, cbn_planes planes, int32_t channel, const cbn_row_sampling *sampling,
                   int64_t *counts, int num_threads) {
    sample s;
    CBN_TRY(sample_of(causal, planes, channel, sampling, num_threads, &s));
    if (!counts) return CBN_E_NULL;
    const double work = 450.0 * (double)cbn_grid_positions(s.plan.causal.grid) * (double)s.n_words;
    CBN_PARALLEL_FOR(cbn_worth(num_threads, work), s.n_words, dynamic)
    for (int64_t word = 0; word < s.n_words; word++) counts[word] = find_pairs(&s, word, NULL);
    return CBN_OK;
}

/* ---- features ---- */

/* What a thread needs for a word of images. */
typedef struct {
    pair *pairs;
    uint32_t *order, *other, *rank; /* by key; scratch; place of each pair in that order */
    uint64_t *cell;                 /* features of a position */
    cbn_causal_above *above;
} word_scratch;

static void take_scratch(cbn_arena *arena, const cbn_causal_plan *plan, word_scratch *own) {
    const int64_t most = 64 * cbn_grid_positions(plan->causal.grid);
    own->pairs = cbn_take(arena, most, sizeof *own->pairs);
    own->order = cbn_take(arena, most, sizeof *own->order);
    own->other = cbn_take(arena, most, sizeof *own->other);
    own->rank = cbn_take(arena, most, sizeof *own->rank);
    own->cell = cbn_take(arena, plan->n_features, sizeof *own->cell);
    own->above = cbn_take(arena, 1, sizeof *own->above);
}

int cbn_rows_take_workspace_size(const cbn_causal *causal, int num_threads, int64_t *bytes) {
    cbn_causal_plan plan;
    CBN_TRY(cbn_causal_plan_of(causal, &plan));
    if (num_threads < 1) return CBN_E_PARAMETER;
    word_scratch own;
    cbn_arena arena = cbn_counting_arena(), one = cbn_counting_arena();
    take_scratch(&one, &plan, &own);
    cbn_take_each(&arena, &one, num_threads);
    return cbn_arena_size(&arena, bytes);
}

/* rank[j]: place of pair j by key, of equal keys in the order of the pairs (four passes over bytes). */
static void rank_pairs(const word_scratch *own, int64_t n) {
    uint32_t *from = own->order, *to = own->other;
    for (int64_t j = 0; j < n; j++) from[j] = (uint32_t)j;
    for (int shift = 0; shift < 32; shift += 8) {
        int64_t begin[257] = {0};
        for (int64_t j = 0; j < n; j++) begin[1 + (own->pairs[j].key >> shift & 255)]++;
        for (int i = 0; i < 256; i++) begin[i + 1] += begin[i];
        for (int64_t j = 0; j < n; j++) to[begin[own->pairs[from[j]].key >> shift & 255]++] = from[j];
        uint32_t *const swapped = from;
        from = to;
        to = swapped;
    }
    for (int64_t j = 0; j < n; j++) own->rank[from[j]] = (uint32_t)j;
}

/* A row's bit in every word of its block. */
static inline void put_row(const cbn_rows *rows, int64_t block, int bit, const uint64_t *cell, int image) {
    uint64_t *features = rows->features + block * rows->n_features;
    for (int64_t f = 0; f < rows->n_features; f++) features[f] |= (cell[f] >> image & 1) << bit;
}

static int take_word(const sample *s, int64_t word, int64_t first_block, int64_t end_block, const cbn_rows *rows,
                     const word_scratch *own) {
    const cbn_grid grid = s->plan.causal.grid;
    const uint64_t *column = s->planes.words + word;
    const int64_t n = find_pairs(s, word, own->pairs), n_blocks = end_block - first_block;
    if ((n + 63) / 64 != n_blocks) return CBN_E_SIZE; /* no row outside of its blocks */
    rank_pairs(own, n);
    memset(rows->features + first_block * rows->n_features, 0,
           sizeof *rows->features * (size_t)(n_blocks * rows->n_features));
    for (int64_t b = first_block; b < end_block; b++) rows->target[b] = rows->members[b] = rows->quiet[b] = 0;
    int row = -1;
    for (int64_t j = 0; j < n;) {
        const int64_t position = own->pairs[j].place / 64;
        const int y = (int)(position / grid.width), x = (int)(position % grid.width);
        uint64_t quiet, thinned;
        members_at(s, word, position, &quiet, &thinned);
        if (y != row) cbn_causal_look_above(&s->plan, s->channel, row = y, column, s->n_words, own->above);
        cbn_causal_bits(&s->plan, own->above, s->channel, y, x, column, s->n_words, own->cell, 1);
        const uint64_t target = column[(s->channel * cbn_grid_positions(grid) + position) * s->n_words];
        for (; j < n && own->pairs[j].place / 64 == position; j++) {
            const int64_t block = first_block + own->rank[j] / 64;
            const int image = (int)(own->pairs[j].place % 64), bit = (int)(own->rank[j] % 64);
            put_row(rows, block, bit, own->cell, image);
            rows->target[block] |= (target >> image & 1) << bit;
            rows->quiet[block] |= (quiet >> image & 1) << bit;
            rows->members[block] |= (uint64_t)1 << bit;
        }
    }
    return CBN_OK;
}

int cbn_rows_take(const cbn_causal *causal, cbn_planes planes, int32_t channel, const cbn_row_sampling *sampling,
                  const int64_t *begin, const cbn_rows *rows, cbn_workspace workspace, int num_threads) {
    sample s;
    CBN_TRY(sample_of(causal, planes, channel, sampling, num_threads, &s));
    if (!begin || !rows || !rows->features || !rows->target || !rows->members || !rows->quiet) return CBN_E_NULL;
    if (rows->n_features != s.plan.n_features || begin[0] != 0 || begin[s.n_words] != rows->n_blocks) return CBN_E_SIZE;
    word_scratch own;
    cbn_arena arena = cbn_arena_of(workspace), one = cbn_counting_arena();
    take_scratch(&one, &s.plan, &own);
    void *each = cbn_take_each(&arena, &one, num_threads);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    for (int64_t word = 0; word < s.n_words; word++)
        if (begin[word + 1] < begin[word]) return CBN_E_SIZE;
    _Atomic int status = CBN_OK;
    CBN_PARALLEL_FOR(num_threads, s.n_words, dynamic)
    for (int64_t word = 0; word < s.n_words; word++) {
        word_scratch mine;
        cbn_arena part = cbn_own_arena(each, &one);
        take_scratch(&part, &s.plan, &mine);
        if (take_word(&s, word, begin[word], begin[word + 1], rows, &mine) != CBN_OK) status = CBN_E_SIZE;
    }
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* See image_rows.h. */
#include "image_rows.h"

#include "squares.h"

/* Room for the widest vector of any instruction set, whatever the place of the candidates. */
#define MOST_COLUMN_WORDS 8

/* Images up to which the rows of all nodes stay in a cache, and making them once is cheaper than windows are. */
#define FEW_ROWS (1 << 10)
/* Columns that a window has beyond those of one node, for every thread: nodes near each other share most of theirs. */
#define COLUMNS_FOR_THREAD 64

void cbn_take_image_rows(cbn_arena *arena, int64_t n_nodes, int64_t n_words, int64_t most_candidates, int column_words,
                         int num_threads, cbn_image_rows *rows) {
    const int64_t own_words = cbn_plane_words(n_nodes), vector = 64 * column_words;
    const int64_t window = (most_candidates + COLUMNS_FOR_THREAD * (int64_t)num_threads + vector - 1) / vector;
    rows->stride = own_words < MOST_COLUMN_WORDS ? MOST_COLUMN_WORDS : own_words;
    if (64 * n_words > FEW_ROWS && window * column_words < own_words) rows->stride = window * column_words;
    rows->none = (int32_t)(64 * n_words);
    rows->n_columns = 0;
    rows->words = cbn_take_rows(arena, 64 * n_words + 1, rows->stride, sizeof *rows->words);
    rows->place = cbn_take(arena, n_nodes, sizeof *rows->place);
    rows->column = cbn_take_rows(arena, 64, rows->stride, sizeof *rows->column);
}

void cbn_take_column_counts(cbn_arena *arena, const cbn_image_rows *rows, int64_t n_words, cbn_column_counts *own) {
    own->chosen = cbn_take(arena, 64 * n_words + 2 * CBN_ROWS_TOGETHER, sizeof *own->chosen);
    own->at = cbn_take(arena, rows->stride, sizeof *own->at);
    own->begin = cbn_take(arena, rows->stride, sizeof *own->begin);
    for (int x = 0; x < 2; x++)
        own->counts[x] = cbn_take_rows(arena, rows->stride + MOST_COLUMN_WORDS, 64, sizeof *own->counts[x]);
}

int64_t cbn_choose_window(cbn_grid grid, const cbn_candidates *candidates, int64_t first, cbn_image_rows *rows) {
    const int64_t n_nodes = cbn_grid_nodes(grid);
    for (int64_t node = 0; node < n_nodes; node++) rows->place[node] = -1;
    int64_t last = first;
    for (int64_t n = 0; last < n_nodes; last++) {
        const int64_t node = cbn_raster_node(grid, last), end = candidates->begin[node + 1];
        for (int64_t c = candidates->begin[node]; c < end; c++) n += rows->place[candidates->node[c]] < 0;
        if (last > first && n > 64 * rows->stride) break;
        for (int64_t c = candidates->begin[node]; c < end; c++) rows->place[candidates->node[c]] = 0;
    }
    rows->n_columns = 0;
    for (int64_t place = 0; place < last; place++) { /* candidates come before their nodes */
        const int64_t node = cbn_raster_node(grid, place);
        if (rows->place[node] < 0) continue;
        rows->column[rows->n_columns] = (int32_t)node;
        rows->place[node] = (int32_t)rows->n_columns++;
    }
    return last;
}

void cbn_fill_image_rows(const uint64_t *planes, int64_t n_words, const cbn_image_rows *rows, int num_threads) {
    const int64_t stride = rows->stride, n_columns = rows->n_columns;
    if (!n_columns) return;
    memset(rows->words + rows->none * stride, 0, sizeof *rows->words * (size_t)stride);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 7.0 * (double)(n_columns * n_words)), n_words / CBN_SQUARES, static)
    for (int64_t block = 0; block < n_words / CBN_SQUARES; block++) {
        uint64_t *row = rows->words + 64 * CBN_SQUARES * block * stride;
        for (int64_t word = 0; word < stride; word++) {
            uint64_t m[64][CBN_SQUARES] = {{0}};
            const int64_t left = n_columns - 64 * word;
            for (int64_t r = 0; r < 64 && r < left; r++)
                memcpy(m[r], planes + rows->column[64 * word + r] * n_words + CBN_SQUARES * block, sizeof m[r]);
            if (left > 0) cbn_transpose_squares(m);
            for (int64_t j = 0; j < CBN_SQUARES; j++)
                for (int64_t i = 0; i < 64; i++) row[(64 * j + i) * stride + word] = m[i][j];
        }
    }
}

int64_t cbn_cover_candidates(const cbn_image_rows *rows, const int32_t *candidate, int64_t n, int column_words,
                             cbn_column_counts *own) {
    const int64_t most = rows->stride - column_words;
    int64_t first = rows->stride, last = -1;
    for (int64_t c = 0; c < n; c++) {
        const int64_t word = rows->place[candidate[c]] / 64;
        if (word < first) first = word;
        if (word > last) last = word;
    }
    for (int64_t w = first; w <= last; w++) own->at[w] = -1;
    for (int64_t c = 0; c < n; c++) own->at[rows->place[candidate[c]] / 64] = 0;
    own->n_begin = 0;
    for (int64_t w = first; w <= last;) {
        if (own->at[w] < 0) {
            w++;
            continue;
        }
        const int64_t begin = w < most ? w : most, end = begin + column_words;
        for (; w < end && w <= last; w++) own->at[w] = (int32_t)(64 * (own->n_begin * column_words + w - begin));
        own->begin[own->n_begin++] = (int32_t)begin;
    }
    return own->n_begin;
}

void cbn_count_by_rows(const cbn_kernels *kernels, const cbn_image_rows *rows, const int32_t *candidate, int64_t n,
                       const uint64_t *members, const uint64_t *members_on, const int32_t *at, int64_t n_words,
                       cbn_column_counts *own, uint32_t (*counts)[2]) {
    const int64_t columns = 64 * kernels->column_words;
    for (int x = 0; x < 2; x++) {
        int64_t n_chosen = x ? kernels->list_rows(members, members_on, at, n_words, own->chosen)
                             : kernels->list_rows(members_on, NULL, at, n_words, own->chosen);
        while (n_chosen % CBN_ROWS_TOGETHER) own->chosen[n_chosen++] = rows->none;
        for (int64_t v = 0; v < own->n_begin; v++)
            kernels->count_columns(rows->words + own->begin[v], rows->stride, own->chosen, n_chosen,
                                   own->counts[x] + v * columns);
    }
    for (int64_t c = 0; c < n; c++) {
        const int32_t place = rows->place[candidate[c]], column = own->at[place / 64] + place % 64;
        counts[c][1] = own->counts[0][column];
        counts[c][0] = counts[c][1] + own->counts[1][column];
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts of candidates by rows of images: the kernel against a loop over bits, the whole against the kernel of planes. */
#include "harness.h"
#include "image_rows.h"
#include "trees.h"

static uint64_t next_word(uint64_t *state) {
    return (uint64_t)next_random(state) << 40 ^ (uint64_t)next_random(state) << 20 ^ next_random(state);
}

static void check_columns(const cbn_kernels *kernels, int64_t n_rows, int64_t n) {
    const int64_t stride = kernels->column_words + 3, columns = 64 * kernels->column_words;
    uint64_t *rows = allocate(n_rows * stride * 8), state = (uint64_t)(n_rows + n);
    int32_t *chosen = allocate((n + 1) * 4);
    uint32_t *counts = allocate(columns * 4);
    for (int64_t i = 0; i < n_rows * stride; i++) rows[i] = i % 3 ? next_word(&state) : ~(uint64_t)0;
    for (int64_t i = 0; i < n; i++) chosen[i] = (int32_t)(next_random(&state) % (uint32_t)n_rows);
    for (int64_t begin = 0; begin <= 3; begin++) {
        kernels->count_columns(rows + begin, stride, chosen, n, counts);
        int same = 1;
        for (int64_t c = 0; c < columns; c++) {
            uint32_t sum = 0;
            for (int64_t i = 0; i < n; i++) sum += rows[chosen[i] * stride + begin + c / 64] >> c % 64 & 1;
            same &= counts[c] == sum;
        }
        CHECK(same);
    }
    free(rows), free(chosen), free(counts);
}

/* Sets of every density, and candidates from one to all nodes, at both ends of the rows too. */
static void check_counts(const cbn_kernels *kernels, cbn_grid grid, int64_t n_images) {
    const int64_t n_nodes = cbn_grid_nodes(grid);
    const int64_t n_words = (cbn_plane_words(n_images) + CBN_LINE_WORDS - 1) / CBN_LINE_WORDS * CBN_LINE_WORDS;
    cbn_image_rows rows;
    cbn_column_counts own;
    cbn_arena arena = cbn_counting_arena();
    int64_t bytes = 0;
    void *room = NULL;
    for (int placed = 0; placed < 2; placed++) {
        cbn_take_image_rows(&arena, n_nodes, n_words, &rows);
        cbn_take_column_counts(&arena, &rows, n_words, &own);
        if (placed) break;
        CHECK(cbn_arena_size(&arena, &bytes) == CBN_OK);
        room = allocate(bytes);
        arena = cbn_arena_of(ROOM(room, bytes));
    }
    uint64_t *memory, *planes, *members, state = (uint64_t)(n_nodes + n_images);
    memory = allocate((n_nodes + 2) * n_words * 8 + 64);
    planes = (uint64_t *)(((uintptr_t)memory + 63) / 64 * 64);
    members = planes + n_nodes * n_words;
    memset(planes, 0, (size_t)((n_nodes + 2) * n_words * 8));
    for (int64_t node = 0; node < n_nodes; node++)
        for (int64_t i = 0; i < n_images; i++)
            planes[node * n_words + i / 64] |= (uint64_t)(next_random(&state) % 5 < 1 + (uint32_t)node % 4) << i % 64;
    cbn_fill_image_rows(grid, planes, n_words, &rows, 2);
    int32_t *at = allocate(n_words * 4);
    uint64_t *few = allocate(2 * n_words * 8);
    int32_t *candidate = allocate((n_nodes + CBN_COUNTED_TOGETHER) * 4);
    uint32_t(*counts)[2] = allocate((n_nodes + CBN_COUNTED_TOGETHER) * 8),
            (*expected)[2] = allocate((n_nodes + CBN_COUNTED_TOGETHER) * 8);
    for (uint32_t sparse = 1; sparse <= 64; sparse *= 4)
        for (uint32_t step = 1; step <= 40; step = 3 * step + 1) {
            int64_t n = 0;
            for (int64_t node = n_nodes - 1; node >= 0; node--)
                if ((uint32_t)node % step == 0 || node == n_nodes - 1) candidate[n++] = (int32_t)node;
            for (int64_t w = 0; w < 2 * n_words; w++) members[w] = 0;
            for (int64_t i = 0; i < n_images; i++) {
                const uint64_t in = next_random(&state) % sparse == 0, on = in & next_random(&state) % 2;
                members[i / 64] |= in << i % 64;
                members[n_words + i / 64] |= on << i % 64;
            }
            kernels->count_candidates(planes, n_words, candidate, n, members, members + n_words, expected);
            const int64_t vectors = cbn_cover_candidates(&rows, candidate, n, kernels->column_words, &own);
            CHECK(vectors >= 1 && vectors <= rows.stride);
            cbn_count_by_rows(kernels, &rows, candidate, n, members, members + n_words, NULL, n_words, &own, counts);
            CHECK(memcmp(counts, expected, sizeof *counts * (size_t)n) == 0);
            const int64_t n_few = cbn_squeeze(members, members + n_words, n_words, at, few, few + n_words);
            memset(counts, 0, sizeof *counts * (size_t)n);
            cbn_count_by_rows(kernels, &rows, candidate, n, few, few + n_words, at, n_few, &own, counts);
            CHECK(memcmp(counts, expected, sizeof *counts * (size_t)n) == 0);
        }
    free(room), free(memory), free(at), free(few), free(candidate), free(counts), free(expected);
}

int main(void) {
    const cbn_kernels *kernels = cbn_kernels_select();
    static const int64_t numbers[] = {0, 8, 16, 56, 248, 256, 264, 65528, 65544};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) check_columns(kernels, 50, numbers[i]);
    check_counts(kernels, GRID(1, 1, 1), 1);
    check_counts(kernels, GRID(1, 7, 9), 64);
    check_counts(kernels, GRID(1, 28, 28), 700);
    check_counts(kernels, GRID(5, 6, 7), 513);
    check_counts(kernels, GRID(20, 5, 9), 130);
    return report(__FILE__);
}

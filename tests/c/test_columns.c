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

/* Lists of candidates among the earlier nodes of a grid, for every node: of the nearest in raster order every step-th, not
 * more than `most`; every seventh node has none. */
static void choose_candidates(cbn_grid grid, int64_t most, int64_t step, int64_t *begin, int32_t *list) {
    const int64_t n_nodes = cbn_grid_nodes(grid);
    int64_t n = 0;
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t own = cbn_raster_order(grid, node);
        begin[node] = n;
        for (int64_t place = own - 1; place >= 0 && n - begin[node] < most && own % 7 != 3; place -= step)
            list[n++] = (int32_t)cbn_raster_node(grid, place);
    }
    begin[n_nodes] = n;
}

/* Counts of all nodes of a window, by sets of one density, against those of planes. */
static void check_window(const cbn_kernels *kernels, cbn_grid grid, const cbn_candidates *candidates, int64_t first,
                         int64_t last, const uint64_t *planes, int64_t n_words, const uint64_t *members,
                         const cbn_image_rows *rows, cbn_column_counts *own) {
    const int64_t room = cbn_grid_nodes(grid) + CBN_COUNTED_TOGETHER;
    int32_t *at = allocate(n_words * 4), *list = allocate(room * 4);
    uint64_t *few = allocate(2 * n_words * 8);
    uint32_t(*counts)[2] = allocate(room * 8), (*expected)[2] = allocate(room * 8);
    const int64_t n_few = cbn_squeeze(members, members + n_words, n_words, at, few, few + n_words);
    for (int64_t place = first; place < last; place++) {
        const int64_t node = cbn_raster_node(grid, place), n = candidates->begin[node + 1] - candidates->begin[node];
        if (!n) continue;
        memcpy(list, candidates->node + candidates->begin[node], (size_t)n * 4);
        for (int64_t c = 0; c < n; c++)
            CHECK(rows->place[list[c]] >= 0 && rows->place[list[c]] < rows->n_columns &&
                  rows->column[rows->place[list[c]]] == list[c]);
        kernels->count_candidates(planes, n_words, list, n, members, members + n_words, expected);
        const int64_t vectors = cbn_cover_candidates(rows, list, n, kernels->column_words, own);
        CHECK(vectors >= 1 && vectors <= rows->stride);
        memset(counts, 0xff, sizeof *counts * (size_t)n);
        cbn_count_by_rows(kernels, rows, list, n, members, members + n_words, NULL, n_words, own, counts);
        CHECK(memcmp(counts, expected, sizeof *counts * (size_t)n) == 0);
        memset(counts, 0xff, sizeof *counts * (size_t)n);
        cbn_count_by_rows(kernels, rows, list, n, few, few + n_words, at, n_few, own, counts);
        CHECK(memcmp(counts, expected, sizeof *counts * (size_t)n) == 0);
    }
    free(at), free(list), free(few), free(counts), free(expected);
}

/* All windows of a grid; how many there were. */
static int64_t check_counts(const cbn_kernels *kernels, cbn_grid grid, int64_t n_images, int64_t most, int64_t step,
                            int num_threads) {
    const int64_t n_nodes = cbn_grid_nodes(grid);
    const int64_t n_words = (cbn_plane_words(n_images) + CBN_LINE_WORDS - 1) / CBN_LINE_WORDS * CBN_LINE_WORDS;
    int64_t *begin = allocate((n_nodes + 1) * 8), bytes = 0;
    int32_t *list = allocate((n_nodes * most + 1) * 4);
    choose_candidates(grid, most, step, begin, list);
    const cbn_candidates candidates = {.begin = begin, .node = list};
    cbn_image_rows rows;
    cbn_column_counts own;
    cbn_arena arena = cbn_counting_arena();
    void *room = NULL;
    for (int placed = 0; placed < 2; placed++) {
        cbn_take_image_rows(&arena, n_nodes, n_words, most, kernels->column_words, num_threads, &rows);
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
    int64_t n_windows = 0;
    uint32_t sparse = 1;
    for (int64_t first = 0, last; first < n_nodes; first = last, n_windows++, sparse = sparse == 64 ? 1 : 4 * sparse) {
        last = cbn_choose_window(grid, &candidates, first, &rows);
        CHECK(last > first && last <= n_nodes && rows.n_columns <= 64 * rows.stride);
        if (last <= first) break;
        memset(rows.words, 0xff, (size_t)((rows.none + 1) * rows.stride * 8));
        cbn_fill_image_rows(planes, n_words, &rows, 2);
        for (int density = 0; density < (n_images > 9999 ? 1 : 3); density++) {
            memset(members, 0, (size_t)(2 * n_words * 8));
            for (int64_t i = 0; i < n_images; i++) {
                const uint64_t in = next_random(&state) % (sparse << 2 * density) == 0, on = in & next_random(&state) % 2;
                members[i / 64] |= in << i % 64;
                members[n_words + i / 64] |= on << i % 64;
            }
            check_window(kernels, grid, &candidates, first, last, planes, n_words, members, &rows, &own);
        }
    }
    free(room), free(memory), free(begin), free(list);
    return n_windows;
}

int main(void) {
    const cbn_kernels *kernels = cbn_kernels_select();
    static const int64_t numbers[] = {0, 8, 16, 56, 248, 256, 264, 65528, 65544};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) check_columns(kernels, 50, numbers[i]);
    CHECK(check_counts(kernels, GRID(1, 1, 1), 1, 0, 1, 1) == 1);
    CHECK(check_counts(kernels, GRID(1, 7, 9), 64, 63, 1, 1) == 1);
    CHECK(check_counts(kernels, GRID(1, 28, 28), 700, 100, 3, 1) == 1); /* few images: rows of all nodes */
    CHECK(check_counts(kernels, GRID(5, 6, 7), 513, 210, 2, 3) == 1);
    CHECK(check_counts(kernels, GRID(20, 5, 9), 130, 900, 31, 1) == 1);
    CHECK(check_counts(kernels, GRID(1, 28, 28), 17000, 40, 3, 1) > 1); /* many: windows of a vector */
    CHECK(check_counts(kernels, GRID(3, 20, 20), 16385, 600, 1, 2) > 1); /* and of several, where one node needs them */
    return report(__FILE__);
}

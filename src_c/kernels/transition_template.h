/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Convolution sums by table look-up, max pooling as the OR of "sum above 0": the largest sum of a pooling window is
 * above 0 where any of them is.
 *
 * Interface:
 *   CBN_FUNCTION    storage class and target attribute
 */

/* Bits x .. x + n - 1 of a row (n <= 10); rows end in a word of zeros, so reading one further word is safe. */
CBN_FUNCTION inline uint32_t row_bits(const uint64_t *row, int x, int n) {
    const int word = x >> 6, shift = x & 63;
    uint64_t bits = row[word] >> shift;
    if (shift + n > 64) bits |= row[word + 1] << (64 - shift);
    return (uint32_t)bits & ((1u << n) - 1);
}

/* State of the window rows of one chunk: `rows` rows from (y, x) on. row: first row of the channel. */
CBN_FUNCTION inline uint32_t chunk_index(const cbn_window_plan *plan, const uint64_t *row, int y, int x, int rows) {
    const int size = plan->transition->kernel_size;
    uint32_t index = 0;
    for (int r = 0; r < rows; r++) index |= row_bits(row + (int64_t)(y + r) * plan->row_words, x, size) << (r * size);
    return index;
}

/* Index into sums of each chunk of the window at (y, x). */
CBN_FUNCTION inline void window_chunks(const cbn_window_plan *plan, const uint64_t *rows, int y, int x,
                                       const int32_t **chunk) {
    const cbn_transition *t = plan->transition;
    for (int c = 0; c < t->in_channels; c++) {
        const uint64_t *row = rows + (int64_t)c * t->in_height * plan->row_words;
        for (int j = 0; j < plan->chunks; j++) {
            const int first = j * plan->chunk_rows, left = t->kernel_size - first;
            const uint32_t index =
                chunk_index(plan, row, y + first, x, left < plan->chunk_rows ? left : plan->chunk_rows);
            *chunk++ = plan->sums + ((((int64_t)c * plan->chunks + j) << plan->bits) + index) * plan->lanes;
        }
    }
}

CBN_FUNCTION inline uint64_t fired_at(const cbn_window_plan *plan, const uint64_t *rows, int y, int x) {
    if (plan->fire) return plan->fire[chunk_index(plan, rows, y, x, plan->transition->kernel_size)];
    const int n_chunks = plan->transition->in_channels * plan->chunks;
    const int32_t *chunk[CBN_MAX_KERNELS * CBN_MAX_KERNEL_SIZE];
    uint64_t fired = 0;
    window_chunks(plan, rows, y, x, chunk);
    for (int lane = 0; lane < plan->lanes; lane += CBN_LANES) {
        int32_t sum[CBN_LANES] = {0};
        for (int c = 0; c < n_chunks; c++)
            for (int k = 0; k < CBN_LANES; k++) sum[k] += chunk[c][lane + k];
        uint64_t above = 0;
        for (int k = 0; k < CBN_LANES; k++) above |= (uint64_t)(sum[k] > 0) << k;
        fired |= above << lane;
    }
    return fired;
}

CBN_FUNCTION void transition_image(const cbn_window_plan *plan, const uint64_t *rows, uint64_t *fired) {
    const int pool = plan->transition->pool;
    for (int y = 0; y < plan->height; y++)
        for (int x = 0; x < plan->width; x++) {
            uint64_t any = 0;
            for (int dy = 0; dy < pool; dy++)
                for (int dx = 0; dx < pool; dx++) any |= fired_at(plan, rows, y * pool + dy, x * pool + dx);
            fired[y * plan->width + x] = any;
        }
}

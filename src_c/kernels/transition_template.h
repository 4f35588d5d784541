/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Convolution sums by table look-up, for the 64 images of a plane word side by side. Bits become table indices in two
 * steps that vectorize over images: runs of kernel_size pixels of a row, then windows from the runs of their rows; a
 * run serves all windows that hold it. Then every image looks its window up, and finds all kernels in one place.
 *
 * Interface:
 *   CBN_FUNCTION      storage class and target attribute; after pack_template.h
 *   CBN_LANE_BYTES    optional: bytes of a vector of kernels, 16 (if not given) or 32
 */

/* A run is the one to its right, moved by one pixel: rows are walked from right to left. */
CBN_FUNCTION void window_runs(const cbn_window_plan *plan, const uint64_t *planes, int64_t n_words, int64_t word, int y,
                              uint16_t *runs) {
    const cbn_transition *t = plan->transition;
    const uint16_t mask = (uint16_t)((1u << t->kernel_size) - 1);
    uint16_t bit[64], pixels[64]; /* the bit of an image in its quarter of the word; that quarter */
    for (int i = 0; i < 64; i++) bit[i] = (uint16_t)(1u << i % 16);
    for (int c = 0; c < t->in_channels; c++)
        for (int r = 0; r < plan->run_rows; r++, runs += 64 * (int64_t)plan->run_columns) {
            const uint64_t *row =
                planes + ((int64_t)c * t->in_height + y * t->pool + r) * t->in_width * n_words + word;
            const uint16_t zero[64] = {0}, *right = zero;
            for (int x = plan->run_columns - 1; x >= 0; x--) {
                uint16_t *run = runs + 64 * (int64_t)x;
                const uint64_t all = row[x * n_words];
                for (int part = 0; part < 4; part++)
                    for (int i = 0; i < 16; i++) pixels[16 * part + i] = (uint16_t)(all >> 16 * part);
                for (int i = 0; i < 64; i++)
                    run[i] = (uint16_t)((right[i] * 2 + ((pixels[i] & bit[i]) != 0)) & mask);
                right = run;
            }
        }
}

/* State of a chunk's bits in every image: window at row y, column x of the runs of its channel. */
CBN_FUNCTION inline void window_index(const cbn_window_plan *plan, const uint16_t *runs, int chunk, int y, int x,
                                      uint16_t index[64]) {
    const int size = plan->transition->kernel_size, first = chunk * plan->chunk_rows;
    const int last = first + plan->chunk_rows < size ? first + plan->chunk_rows : size;
    const int64_t stride = 64 * (int64_t)plan->run_columns;
    const uint16_t *run = runs + (y + first) * stride + 64 * (int64_t)x;
    memcpy(index, run, 64 * sizeof *index);
    for (int r = first + 1; r < last; r++) {
        const uint16_t place = (uint16_t)(1u << (r - first) * size);
        run += stride;
        for (int i = 0; i < 64; i++) index[i] = (uint16_t)(index[i] + run[i] * place);
    }
}

#ifndef CBN_LANE_BYTES
#define CBN_LANE_BYTES 16
#endif

/* CBN_LANES kernels side by side, in vectors of LANES_OF_VECTOR. */
typedef int32_t lane_vector __attribute__((vector_size(CBN_LANE_BYTES)));
#define LANES_OF_VECTOR (CBN_LANE_BYTES / 4)

CBN_FUNCTION inline __attribute__((always_inline)) lane_vector load_lanes(const int32_t *from) {
    lane_vector lanes;
    memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

#define CHUNKS_TOGETHER 8

/* Sums of CBN_LANES kernels from `lane` on, in the window at row y, column x of the runs: of some chunks at a time, so that
 * they stay in a register meanwhile. */
CBN_FUNCTION inline void window_sums(const cbn_window_plan *plan, const uint16_t *runs, int y, int x, int lane,
                                     int32_t sum[64][CBN_LANES]) {
    const int64_t per_channel = 64 * (int64_t)plan->run_rows * plan->run_columns;
    const int64_t per_chunk = (int64_t)plan->lanes << plan->bits;
    const int n_chunks = plan->transition->in_channels * plan->chunks;
    for (int first = 0; first < n_chunks; first += CHUNKS_TOGETHER) {
        const int n = n_chunks - first < CHUNKS_TOGETHER ? n_chunks - first : CHUNKS_TOGETHER;
        uint16_t index[CHUNKS_TOGETHER][64];
        for (int j = 0; j < n; j++) {
            const int channel = (first + j) / plan->chunks, chunk = (first + j) % plan->chunks;
            window_index(plan, runs + channel * per_channel, chunk, y, x, index[j]);
        }
        for (int i = 0; i < 64; i++)
            for (int v = 0; v < CBN_LANES; v += LANES_OF_VECTOR) {
                const int32_t *table = plan->sums + lane + v + first * per_chunk;
                lane_vector all = load_lanes(table + (int64_t)index[0][i] * plan->lanes);
                if (first) all += load_lanes(&sum[i][v]);
                for (int j = 1; j < n; j++) {
                    table += per_chunk;
                    all += load_lanes(table + (int64_t)index[j][i] * plan->lanes);
                }
                memcpy(&sum[i][v], &all, sizeof all);
            }
    }
}

/* Bit k of every byte, byte 0 lowest: the inverse of spread_bits. The multiplication moves the bits side by side. */
CBN_FUNCTION inline uint64_t gather_bits(uint64_t bytes, int k) {
    return (bytes >> k & 0x0101010101010101ULL) * 0x0102040810204080ULL >> 56;
}

/* Max pooling and threshold: a node is 1 where any sum of its pooling window is above 0. */
CBN_FUNCTION void transition_position(const cbn_window_plan *plan, const uint16_t *runs, int x, uint64_t *fired) {
    const int pool = plan->transition->pool;
    for (int lane = 0; lane < plan->lanes; lane += CBN_LANES, fired += CBN_LANES) {
        uint8_t of_image[64] = {0}; /* bit k: kernel lane + k */
        for (int w = 0; w < pool * pool; w++) {
            const int row = w / pool, column = x * pool + w % pool;
            if (plan->fire) {
                const uint8_t *fire = plan->fire + ((int64_t)lane / CBN_LANES << plan->bits);
                uint16_t index[64];
                window_index(plan, runs, 0, row, column, index);
                for (int i = 0; i < 64; i++) of_image[i] |= fire[index[i]];
            } else {
                int32_t sum[64][CBN_LANES];
                window_sums(plan, runs, row, column, lane, sum);
                for (int i = 0; i < 64; i++)
                    for (int k = 0; k < CBN_LANES; k++) of_image[i] |= (uint8_t)((sum[i][k] > 0) << k);
            }
        }
        for (int k = 0; k < CBN_LANES; k++) fired[k] = 0;
        for (int i = 0; i < 64; i += 8) {
            uint64_t bytes = 0;
            for (int b = 0; b < 8; b++) bytes |= (uint64_t)of_image[i + b] << 8 * b;
            for (int k = 0; k < CBN_LANES; k++) fired[k] |= gather_bits(bytes, k) << i;
        }
    }
}

/* See kernels.h. */
CBN_FUNCTION void greatest_sums(const cbn_window_plan *plan, const uint16_t *runs, int x, int lane,
                                int32_t greatest[64][CBN_LANES]) {
    const int pool = plan->transition->pool;
    int32_t sum[64][CBN_LANES];
    window_sums(plan, runs, 0, x * pool, lane, greatest);
    for (int w = 1; w < pool * pool; w++) {
        window_sums(plan, runs, w / pool, x * pool + w % pool, lane, sum);
        for (int i = 0; i < 64; i++)
            for (int k = 0; k < CBN_LANES; k++) greatest[i][k] = sum[i][k] > greatest[i][k] ? sum[i][k] : greatest[i][k];
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gradient of the kernels for 64 images at one position of the layer above: which activation won the max, how steep the
 * surrogate is there, and which window it saw. The gradient of a weight is the sum of the factors of the windows in
 * which its bit was 1; so factors are collected by window state (histogram), and summed over states at the end.
 *
 * Interface:
 *   CBN_FUNCTION    storage class and target attribute; after transition_template.h
 */

/* factor[i] *= derivative of 1 / (1 + exp(-sharpness s)) at s = sum[i] / CBN_WEIGHT_ONE */
CBN_FUNCTION void multiply_slope(const int32_t *sum, int64_t n, double sharpness, double *factor) {
    const double scale = sharpness / CBN_WEIGHT_ONE;
    for (int64_t i = 0; i < n; i++) {
        const double s = scale * (double)sum[i], e = cbn_exp_negative(s < 0 ? s : -s);
        factor[i] *= sharpness * e / ((1.0 + e) * (1.0 + e));
    }
}

#define WINDOWS_TOGETHER 4

/* Where a sum is larger than the best one, it becomes the best, and its name the name. */
CBN_FUNCTION inline __attribute__((always_inline)) void keep_larger(lane_vector sum, lane_vector name,
                                                                    lane_vector *best, lane_vector *named) {
    const lane_vector wins = sum > *best; /* all bits where true */
    *best = (sum & wins) | (*best & ~wins);
    *named = (name & wins) | (*named & ~wins);
}

/* state[i][k]: the window of image i that won the max for kernel lane + k, where a window is one chunk: its state and sum
 * are found at once. The first of equals wins, in raster order of the pooling window. */
CBN_FUNCTION inline void winning_states(const cbn_window_plan *plan, const uint16_t *runs, int x, int lane,
                                        int32_t state[64][CBN_LANES]) {
    const int pool = plan->transition->pool, n_windows = pool * pool;
    int32_t most[64][CBN_LANES];
    for (int first = 0; first < n_windows; first += WINDOWS_TOGETHER) {
        const int n = n_windows - first < WINDOWS_TOGETHER ? n_windows - first : WINDOWS_TOGETHER;
        uint16_t index[WINDOWS_TOGETHER][64];
        for (int w = 0; w < n; w++)
            window_index(plan, runs, 0, (first + w) / pool, x * pool + (first + w) % pool, index[w]);
        for (int i = 0; i < 64; i++)
            for (int v = 0; v < CBN_LANES; v += LANES_OF_VECTOR) {
                const int32_t *sums = plan->sums + lane + v;
                const lane_vector zero = {0};
                lane_vector best = load_lanes(sums + (int64_t)index[0][i] * plan->lanes), own = zero + index[0][i];
                if (first) {
                    const lane_vector sum = best, name = own;
                    best = load_lanes(&most[i][v]), own = load_lanes(&state[i][v]);
                    keep_larger(sum, name, &best, &own);
                }
                for (int w = 1; w < n; w++)
                    keep_larger(load_lanes(sums + (int64_t)index[w][i] * plan->lanes), zero + index[w][i], &best, &own);
                memcpy(&most[i][v], &best, sizeof best);
                memcpy(&state[i][v], &own, sizeof own);
            }
    }
}

/* The same of windows of many chunks: best, won: of every image and kernel the largest sum and its window. */
CBN_FUNCTION inline void winning_windows(const cbn_window_plan *plan, const uint16_t *runs, int x, int lane,
                                         int32_t best[64][CBN_LANES], int32_t won[64][CBN_LANES]) {
    const int pool = plan->transition->pool;
    int32_t sum[64][CBN_LANES];
    memset(won, 0, 64 * sizeof *won);
    window_sums(plan, runs, 0, x * pool, lane, best);
    for (int w = 1; w < pool * pool; w++) {
        window_sums(plan, runs, w / pool, x * pool + w % pool, lane, sum);
        for (int i = 0; i < 64; i++)
            for (int k = 0; k < CBN_LANES; k++) {
                won[i][k] = sum[i][k] > best[i][k] ? w : won[i][k];
                best[i][k] = sum[i][k] > best[i][k] ? sum[i][k] : best[i][k];
            }
    }
}

/* See kernels.h. */
CBN_FUNCTION void gradient_position(const cbn_window_plan *plan, const uint16_t *runs, int x, int n_images,
                                    double sharpness, double *by_state, int64_t stride, double *histogram) {
    const cbn_transition *t = plan->transition;
    const int64_t per_channel = 64 * (int64_t)plan->run_rows * plan->run_columns;
    const int n_windows = t->pool * t->pool;
    for (int lane = 0; lane < plan->lanes; lane += CBN_LANES) {
        const int n = t->out_channels - lane < CBN_LANES ? t->out_channels - lane : CBN_LANES;
        double *table = histogram + lane;
        if (t->in_channels * plan->chunks == 1) {
            int32_t state[64][CBN_LANES];
            winning_states(plan, runs, x, lane, state);
            for (int i = 0; i < n_images; i++)
                for (int k = 0; k < n; k++)
                    table[(int64_t)state[i][k] * plan->lanes + k] += by_state[(lane + k) * stride + i];
            continue;
        }
        int32_t best[64][CBN_LANES], won[64][CBN_LANES];
        winning_windows(plan, runs, x, lane, best, won);
        int32_t window_of[CBN_LANES][64]; /* won, kernel by kernel */
        for (int k = 0; k < n; k++) {
            int32_t own[64];
            for (int i = 0; i < 64; i++) window_of[k][i] = won[i][k], own[i] = best[i][k];
            multiply_slope(own, 64, sharpness, by_state + (lane + k) * stride);
        }
        for (int c = 0; c < t->in_channels; c++)
            for (int j = 0; j < plan->chunks; j++, table += (int64_t)plan->lanes << plan->bits) {
                uint16_t index[64], state[CBN_LANES][64];
                for (int w = 0; w < n_windows; w++) {
                    window_index(plan, runs + c * per_channel, j, w / t->pool, x * t->pool + w % t->pool, index);
                    for (int k = 0; k < n; k++)
                        for (int i = 0; i < 64; i++) state[k][i] = window_of[k][i] == w ? index[i] : state[k][i];
                }
                for (int i = 0; i < n_images; i++)
                    for (int k = 0; k < n; k++)
                        table[(int64_t)state[k][i] * plan->lanes + k] += by_state[(lane + k) * stride + i];
            }
    }
}

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

/* See kernels.h. best, won: of every image and kernel the largest sum and its window, the first of equals in raster
 * order of the pooling window. */
CBN_FUNCTION void gradient_position(const cbn_window_plan *plan, const uint16_t *runs, int x, int n_images,
                                    double sharpness, double *by_state, int64_t stride, double *histogram) {
    const cbn_transition *t = plan->transition;
    const int64_t per_channel = 64 * (int64_t)plan->run_rows * plan->run_columns;
    const int n_windows = t->pool * t->pool, one_chunk = t->in_channels * plan->chunks == 1;
    for (int lane = 0; lane < plan->lanes; lane += CBN_LANES) {
        const int n = t->out_channels - lane < CBN_LANES ? t->out_channels - lane : CBN_LANES;
        int32_t sum[64][CBN_LANES], best[64][CBN_LANES], won[64][CBN_LANES] = {{0}};
        window_sums(plan, runs, 0, x * t->pool, lane, best);
        for (int w = 1; w < n_windows; w++) {
            window_sums(plan, runs, w / t->pool, x * t->pool + w % t->pool, lane, sum);
            for (int i = 0; i < 64; i++)
                for (int k = 0; k < CBN_LANES; k++) {
                    won[i][k] = sum[i][k] > best[i][k] ? w : won[i][k];
                    best[i][k] = sum[i][k] > best[i][k] ? sum[i][k] : best[i][k];
                }
        }
        int32_t window_of[CBN_LANES][64]; /* won, kernel by kernel */
        for (int k = 0; k < n; k++) {
            for (int i = 0; i < 64; i++) window_of[k][i] = won[i][k];
            if (one_chunk) continue;
            int32_t own[64];
            for (int i = 0; i < 64; i++) own[i] = best[i][k];
            multiply_slope(own, 64, sharpness, by_state + (lane + k) * stride);
        }
        double *table = histogram + lane;
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

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
CBN_FUNCTION void multiply_slope(const int32_t sum[64], double sharpness, double factor[64]) {
    const double scale = sharpness / CBN_WEIGHT_ONE;
    for (int i = 0; i < 64; i++) {
        const double s = scale * (double)sum[i], e = cbn_exp_negative(s < 0 ? s : -s);
        factor[i] *= sharpness * e / ((1.0 + e) * (1.0 + e));
    }
}

/*
 * Adds the factors of up to n_images images at position (y, x). by_state: [kernel][64] of dL/dz with `stride` doubles
 * between kernels; overwritten. histogram: as plan->sums, of doubles.
 */
CBN_FUNCTION void gradient_position(const cbn_window_plan *plan, const uint64_t *rows, int n_images, int y, int x,
                                    double sharpness, double *by_state, int64_t stride, double *histogram) {
    const cbn_transition *t = plan->transition;
    const int n_chunks = t->in_channels * plan->chunks, pool = t->pool;
    int32_t best[CBN_MAX_KERNELS][64];
    int32_t window_of[CBN_MAX_KERNELS][64]; /* the winner, in raster order of the pooling window; the first of equals */
    for (int i = 0; i < n_images; i++) {
        const uint64_t *image = rows + i * plan->image_words;
        for (int w = 0; w < pool * pool; w++) {
            const int32_t *chunk[CBN_MAX_KERNELS * CBN_MAX_KERNEL_SIZE];
            window_chunks(plan, image, y * pool + w / pool, x * pool + w % pool, chunk);
            for (int lane = 0; lane < plan->lanes; lane += CBN_LANES) {
                int32_t sum[CBN_LANES] = {0};
                for (int c = 0; c < n_chunks; c++)
                    for (int k = 0; k < CBN_LANES; k++) sum[k] += chunk[c][lane + k];
                for (int k = 0; k < CBN_LANES; k++)
                    if (w == 0 || sum[k] > best[lane + k][i]) {
                        best[lane + k][i] = sum[k];
                        window_of[lane + k][i] = w;
                    }
            }
        }
    }
    for (int k = 0; k < t->out_channels; k++) {
        double *factor = by_state + k * stride;
        for (int i = n_images; i < 64; i++) best[k][i] = 0;
        multiply_slope(best[k], sharpness, factor);
        for (int i = 0; i < n_images; i++) {
            const int32_t *chunk[CBN_MAX_KERNELS * CBN_MAX_KERNEL_SIZE];
            const int w = window_of[k][i];
            window_chunks(plan, rows + i * plan->image_words, y * pool + w / pool, x * pool + w % pool, chunk);
            for (int c = 0; c < n_chunks; c++) histogram[(chunk[c] - plan->sums) + k] += factor[i];
        }
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hot loops of convolution and sidewards models, on rows of positions with channels last.
 *
 * The including file defines
 *   CBN_FUNCTION              storage and target of every function
 *   CBN_FLOATS                a vector of CBN_FLOAT_LANES floats
 *   CBN_LOAD_FLOATS(p), CBN_STORE_FLOATS(p, v), CBN_SAME_FLOATS(f)
 *   CBN_MULTIPLY_ADD(a, b, c) a * b + c, rounded once
 *   CBN_ADD_FLOATS(a, b)
 *   CBN_RECTIFY(v)            larger of v and 0
 *   CBN_TILE_32, CBN_TILE_16  positions worked on together, for panels of 32 and 16 outputs
 *   CBN_TILE_INPUTS           inputs whose weight gradients are worked on together
 *
 * Lanes are outputs, never terms of a sum: every output adds its terms one by one in the order of taps, channels and
 * positions, each rounded once, so the bytes do not depend on the width of vectors or on the tiles.
 */
#define CBN_UNROLL _Pragma("GCC unroll 32")
#define CBN_POOLED_TOGETHER 64 /* channels */
#define CBN_TILE_MOST 24 /* at least each of CBN_TILE_32, CBN_TILE_16, CBN_TILE_INPUTS and 3 */
#define CBN_INLINE CBN_FUNCTION inline __attribute__((always_inline))

/* Outputs of `n` positions (a constant) for one panel of `vectors` vectors (a constant). */
CBN_INLINE void sum_tile(const int vectors, const int n, const cbn_row_plan *plan, const float *x, const float *panel,
                         const float *start, int64_t start_step, int rectify, float *out) {
    CBN_FLOATS sums[CBN_TILE_MOST][32 / CBN_FLOAT_LANES];
    CBN_UNROLL for (int p = 0; p < n; p++)
        CBN_UNROLL for (int v = 0; v < vectors; v++)
            sums[p][v] = CBN_LOAD_FLOATS(start + p * start_step + v * CBN_FLOAT_LANES);
    for (int64_t r = 0; r < plan->n_runs; r++) {
        const float *from = x + plan->runs[r].offset;
        for (int64_t c = 0; c < plan->runs[r].length; c++) {
            CBN_FLOATS weight[32 / CBN_FLOAT_LANES];
            CBN_UNROLL for (int v = 0; v < vectors; v++) weight[v] = CBN_LOAD_FLOATS(panel + v * CBN_FLOAT_LANES);
            panel += vectors * CBN_FLOAT_LANES;
            CBN_UNROLL for (int p = 0; p < n; p++) {
                const CBN_FLOATS value = CBN_SAME_FLOATS(from[p * plan->x_step + c]);
                CBN_UNROLL for (int v = 0; v < vectors; v++)
                    sums[p][v] = CBN_MULTIPLY_ADD(value, weight[v], sums[p][v]);
            }
        }
    }
    CBN_UNROLL for (int p = 0; p < n; p++)
        CBN_UNROLL for (int v = 0; v < vectors; v++)
            CBN_STORE_FLOATS(out + p * plan->outputs + v * CBN_FLOAT_LANES,
                             rectify ? CBN_RECTIFY(sums[p][v]) : sums[p][v]);
}

/* All positions of a row, for one panel. Where a tile leaves none over, no smaller one is compiled. */
CBN_INLINE void sum_panel(const int vectors, const int tile, const cbn_row_plan *plan, const float *x,
                          const float *panel, const float *start, int64_t start_step, int rectify, float *out) {
    int64_t p = 0;
    for (; p + tile <= plan->width; p += tile)
        sum_tile(vectors, tile, plan, x + p * plan->x_step, panel, start + p * start_step, start_step, rectify,
                 out + p * plan->outputs);
    for (; tile > 3 && p + 3 <= plan->width; p += 3)
        sum_tile(vectors, 3, plan, x + p * plan->x_step, panel, start + p * start_step, start_step, rectify,
                 out + p * plan->outputs);
    for (; tile > 1 && p < plan->width; p++)
        sum_tile(vectors, 1, plan, x + p * plan->x_step, panel, start + p * start_step, start_step, rectify,
                 out + p * plan->outputs);
}

CBN_FUNCTION void sum_row(const cbn_row_plan *plan, const float *x, const float *panels, const float *start,
                          int64_t start_step, int rectify, float *out) {
    int64_t o = 0;
    for (; o + 32 <= plan->outputs; o += 32)
        sum_panel(32 / CBN_FLOAT_LANES, CBN_TILE_32, plan, x, panels + o * plan->inputs, start + o, start_step, rectify,
                  out + o);
    if (o < plan->outputs)
        sum_panel(16 / CBN_FLOAT_LANES, CBN_TILE_16, plan, x, panels + o * plan->inputs, start + o, start_step, rectify,
                  out + o);
}

/* Adds to the weight gradients of `n` inputs (a constant) side by side, from one run, for one panel. */
CBN_INLINE void weight_tile(const int vectors, const int n, const cbn_row_plan *plan, const float *x,
                            const float *d_out, float *d_panel) {
    CBN_FLOATS sums[CBN_TILE_MOST][32 / CBN_FLOAT_LANES];
    CBN_UNROLL for (int c = 0; c < n; c++)
        CBN_UNROLL for (int v = 0; v < vectors; v++)
            sums[c][v] = CBN_LOAD_FLOATS(d_panel + (c * vectors + v) * CBN_FLOAT_LANES);
    for (int64_t p = 0; p < plan->width; p++) {
        CBN_FLOATS slope[32 / CBN_FLOAT_LANES];
        CBN_UNROLL for (int v = 0; v < vectors; v++)
            slope[v] = CBN_LOAD_FLOATS(d_out + p * plan->outputs + v * CBN_FLOAT_LANES);
        CBN_UNROLL for (int c = 0; c < n; c++) {
            const CBN_FLOATS value = CBN_SAME_FLOATS(x[p * plan->x_step + c]);
            CBN_UNROLL for (int v = 0; v < vectors; v++)
                sums[c][v] = CBN_MULTIPLY_ADD(value, slope[v], sums[c][v]);
        }
    }
    CBN_UNROLL for (int c = 0; c < n; c++)
        CBN_UNROLL for (int v = 0; v < vectors; v++)
            CBN_STORE_FLOATS(d_panel + (c * vectors + v) * CBN_FLOAT_LANES, sums[c][v]);
}

CBN_INLINE void weight_panel(const int vectors, const cbn_row_plan *plan, const float *x, const float *d_out,
                             float *d_panel) {
    for (int64_t r = 0; r < plan->n_runs; r++) {
        const float *from = x + plan->runs[r].offset;
        int64_t c = 0;
        for (; c + CBN_TILE_INPUTS <= plan->runs[r].length; c += CBN_TILE_INPUTS, d_panel += CBN_TILE_INPUTS * vectors * CBN_FLOAT_LANES)
            weight_tile(vectors, CBN_TILE_INPUTS, plan, from + c, d_out, d_panel);
        for (; CBN_TILE_INPUTS > 2 && c + 2 <= plan->runs[r].length; c += 2, d_panel += 2 * vectors * CBN_FLOAT_LANES)
            weight_tile(vectors, 2, plan, from + c, d_out, d_panel);
        for (; c < plan->runs[r].length; c++, d_panel += vectors * CBN_FLOAT_LANES)
            weight_tile(vectors, 1, plan, from + c, d_out, d_panel);
    }
}

CBN_FUNCTION void weight_row(const cbn_row_plan *plan, const float *x, const float *d_out, float *d_panels) {
    int64_t o = 0;
    for (; o + 32 <= plan->outputs; o += 32)
        weight_panel(32 / CBN_FLOAT_LANES, plan, x, d_out + o, d_panels + o * plan->inputs);
    if (o < plan->outputs) weight_panel(16 / CBN_FLOAT_LANES, plan, x, d_out + o, d_panels + o * plan->inputs);
}

CBN_FUNCTION void add_rows(const float *values, int64_t n, int64_t outputs, float *sums) {
    for (int64_t o = 0; o < outputs; o += CBN_FLOAT_LANES) {
        CBN_FLOATS sum = CBN_LOAD_FLOATS(sums + o);
        for (int64_t p = 0; p < n; p++)
            sum = CBN_ADD_FLOATS(sum, CBN_LOAD_FLOATS(values + p * outputs + o));
        CBN_STORE_FLOATS(sums + o, sum);
    }
}

/* Vectors of outputs of a last layer that are summed side by side. */
#define CBN_SIDE (16 / CBN_FLOAT_LANES)

CBN_FUNCTION void last_row(const cbn_last_plan *plan, const float *u, float *out) {
    for (int64_t p = 0; p < plan->width; p++, u += plan->padded_units, out += plan->padded_kernels) {
        const float *weights = plan->by_unit + p * plan->step_by_unit;
        for (int64_t k = 0; k < plan->padded_kernels; k += 16) {
            CBN_FLOATS sums[CBN_SIDE];
            CBN_UNROLL for (int v = 0; v < CBN_SIDE; v++)
                sums[v] = CBN_LOAD_FLOATS(weights + plan->units * plan->padded_kernels + k + v * CBN_FLOAT_LANES);
            for (int64_t j = 0; j < plan->units; j++) {
                const CBN_FLOATS value = CBN_SAME_FLOATS(u[j]);
                CBN_UNROLL for (int v = 0; v < CBN_SIDE; v++)
                    sums[v] = CBN_MULTIPLY_ADD(
                        value, CBN_LOAD_FLOATS(weights + j * plan->padded_kernels + k + v * CBN_FLOAT_LANES), sums[v]);
            }
            CBN_UNROLL for (int v = 0; v < CBN_SIDE; v++) CBN_STORE_FLOATS(out + k + v * CBN_FLOAT_LANES, sums[v]);
        }
    }
}

CBN_FUNCTION void last_row_gradient(const cbn_last_plan *plan, const float *u, const float *d_out, float *d_u) {
    for (int64_t p = 0; p < plan->width; p++, u += plan->padded_units, d_out += plan->padded_kernels) {
        const float *weights = plan->by_kernel + p * plan->step_by_kernel;
        for (int64_t j = 0; j < plan->padded_units; j += 16) {
            CBN_FLOATS sums[CBN_SIDE];
            CBN_UNROLL for (int v = 0; v < CBN_SIDE; v++) sums[v] = CBN_SAME_FLOATS(0.0f);
            for (int64_t k = 0; k < plan->kernels; k++) {
                const CBN_FLOATS slope = CBN_SAME_FLOATS(d_out[k]);
                CBN_UNROLL for (int v = 0; v < CBN_SIDE; v++)
                    sums[v] = CBN_MULTIPLY_ADD(
                        slope, CBN_LOAD_FLOATS(weights + k * plan->padded_units + j + v * CBN_FLOAT_LANES), sums[v]);
            }
            CBN_UNROLL for (int v = 0; v < CBN_SIDE; v++)
                CBN_STORE_FLOATS(d_u + p * plan->padded_units + j + v * CBN_FLOAT_LANES, sums[v]);
        }
        float *d_weights = plan->d_by_unit + p * plan->step_by_unit;
        for (int64_t j = 0; j <= plan->units; j++) {
            const CBN_FLOATS value = CBN_SAME_FLOATS(j < plan->units ? u[j] : 1.0f);
            for (int64_t k = 0; k < plan->padded_kernels; k += CBN_FLOAT_LANES) {
                float *sum = d_weights + j * plan->padded_kernels + k;
                CBN_STORE_FLOATS(sum, CBN_MULTIPLY_ADD(value, CBN_LOAD_FLOATS(d_out + k), CBN_LOAD_FLOATS(sum)));
            }
        }
    }
}

/* Takes over what is larger at one place of the window. Places are floats like the values, and all is read before it is
 * chosen: so the compiler compares whole vectors. */
CBN_FUNCTION void pool_place(const float *restrict values, float place, int64_t n, float *restrict best,
                             float *restrict best_place) {
    for (int64_t c = 0; c < n; c++) {
        const float value = values[c], before = best[c], place_before = best_place[c];
        best[c] = value > before ? value : before;
        best_place[c] = value > before ? place : place_before;
    }
}

CBN_FUNCTION void pool_row(const cbn_pool_plan *plan, const float *x, float *out, uint8_t *which) {
    const int64_t channels = plan->channels;
    float best_place[CBN_POOLED_TOGETHER];
    for (int64_t p = 0; p < plan->width; p++)
        for (int64_t c = 0; c < channels; c += CBN_POOLED_TOGETHER) {
            const int64_t n = channels - c < CBN_POOLED_TOGETHER ? channels - c : CBN_POOLED_TOGETHER;
            const float *corner = x + p * plan->stride * channels + c;
            memcpy(out + p * channels + c, corner, (size_t)n * sizeof *out);
            memset(best_place, 0, sizeof best_place);
            for (int place = 1; place < plan->size * plan->size; place++)
                pool_place(corner + (place / plan->size * plan->in_width + place % plan->size) * channels, (float)place,
                           n, out + p * channels + c, best_place);
            for (int64_t i = 0; i < n; i++) which[p * channels + c + i] = (uint8_t)(int)best_place[i];
        }
}
#undef CBN_SIDE
#undef CBN_INLINE
#undef CBN_POOLED_TOGETHER
#undef CBN_UNROLL

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hot loops of networks of inverted residuals, on panels of 16 channels. Macros as in neural_template.h, and
 *   CBN_LEAST(a, b)               smaller of two, lane by lane
 *   CBN_LOAD_HALF(p), CBN_STORE_HALF(p, v)  8 floats, in as many vectors as they take
 *   CBN_TILE_PANEL, CBN_TILE_8    positions worked on together, for panels of 16 and 8 outputs
 *   CBN_TILE_DEPTH                the same for depthwise windows
 *
 * Lanes are outputs, never terms of a sum, and every output adds its terms in the order of its inputs, each rounded once:
 * the bytes do not depend on the width of vectors or on the tiles. Tiles at the end of a row reach back over positions
 * that are done, and give them the same values again.
 */
#define CBN_UNROLL _Pragma("GCC unroll 32")
#define CBN_INLINE CBN_FUNCTION inline __attribute__((always_inline))
#define CBN_WHOLE (16 / CBN_FLOAT_LANES)
#define CBN_HALF (CBN_FLOAT_LANES > 8 ? 1 : 8 / CBN_FLOAT_LANES)
#define CBN_CLIP(v) CBN_LEAST(CBN_RECTIFY(v), CBN_SAME_FLOATS(6.0f))

/* Positions first .. first + n - 1 (n is a constant) of a panel. */
CBN_INLINE void panel_tile(const int half, const int n, const cbn_sums_plan *plan, int64_t first, const float *x,
                           const float *panel, const float *bias, const float *added, float *out) {
    const int vectors = half ? CBN_HALF : CBN_WHOLE, width = half ? 8 : 16;
    CBN_FLOATS sums[CBN_TILE_MOST][CBN_WHOLE];
    x += first * plan->x_step;
    CBN_UNROLL for (int p = 0; p < n; p++)
        CBN_UNROLL for (int v = 0; v < vectors; v++)
            sums[p][v] = half ? CBN_LOAD_HALF(bias + v * CBN_FLOAT_LANES) : CBN_LOAD_FLOATS(bias + v * CBN_FLOAT_LANES);
    for (int64_t r = 0; r < plan->n_runs; r++) {
        const float *from = x + r * plan->run_step;
        for (int64_t c = 0; c < plan->run; c++) {
            CBN_FLOATS weight[CBN_WHOLE];
            CBN_UNROLL for (int v = 0; v < vectors; v++)
                weight[v] = half ? CBN_LOAD_HALF(panel + v * CBN_FLOAT_LANES)
                                 : CBN_LOAD_FLOATS(panel + v * CBN_FLOAT_LANES);
            panel += width;
            CBN_UNROLL for (int p = 0; p < n; p++) {
                const CBN_FLOATS value = CBN_SAME_FLOATS(from[p * plan->x_step + c]);
                CBN_UNROLL for (int v = 0; v < vectors; v++)
                    sums[p][v] = CBN_MULTIPLY_ADD(value, weight[v], sums[p][v]);
            }
        }
    }
    CBN_UNROLL for (int p = 0; p < n; p++) {
        const int64_t place = plan->place ? plan->place[first + p] : (first + p) * plan->out_step;
        CBN_UNROLL for (int v = 0; v < vectors; v++) {
            const int64_t at = place + v * CBN_FLOAT_LANES;
            CBN_FLOATS sum = plan->clip ? CBN_CLIP(sums[p][v]) : sums[p][v];
            if (added) sum = CBN_ADD_FLOATS(sum, half ? CBN_LOAD_HALF(added + at) : CBN_LOAD_FLOATS(added + at));
            if (half)
                CBN_STORE_HALF(out + at, sum);
            else
                CBN_STORE_FLOATS(out + at, sum);
        }
    }
}

CBN_INLINE void panel_positions(const int half, const int tile, const cbn_sums_plan *plan, const float *x,
                                const float *panel, const float *bias, const float *added, float *out) {
    const int64_t n = plan->positions;
    int64_t p = 0;
    for (; p + tile <= n; p += tile) panel_tile(half, tile, plan, p, x, panel, bias, added, out);
    if (tile == 1) return;
    if (p < n && n >= tile)
        panel_tile(half, tile, plan, n - tile, x, panel, bias, added, out);
    else
        for (; p < n; p++) panel_tile(half, 1, plan, p, x, panel, bias, added, out);
}

CBN_FUNCTION void panel_sums(const cbn_sums_plan *plan, const float *x, const float *panel, const float *bias,
                             const float *added, float *out) {
    if (plan->half)
        panel_positions(1, CBN_TILE_8, plan, x, panel, bias, added, out);
    else
        panel_positions(0, CBN_TILE_PANEL, plan, x, panel, bias, added, out);
}

/* Positions first .. first + n - 1 (n is a constant) of a row. */
CBN_INLINE void depth_tile(const int n, const int size, const cbn_depth_plan *plan, int64_t first, const float *x,
                           const float *weights, const float *bias, float *out) {
    CBN_FLOATS sums[CBN_TILE_MOST][CBN_WHOLE];
    const int64_t step = plan->stride * CBN_LANE_PANEL;
    x += first * step;
    CBN_UNROLL for (int p = 0; p < n; p++)
        CBN_UNROLL for (int v = 0; v < CBN_WHOLE; v++) sums[p][v] = CBN_LOAD_FLOATS(bias + v * CBN_FLOAT_LANES);
    for (int dy = 0; dy < plan->rows; dy++) {
        const float *row = x + dy * plan->row_step;
        for (int dx = 0; dx < size; dx++, row += CBN_LANE_PANEL, weights += CBN_LANE_PANEL) {
            CBN_UNROLL for (int v = 0; v < CBN_WHOLE; v++) {
                const CBN_FLOATS weight = CBN_LOAD_FLOATS(weights + v * CBN_FLOAT_LANES);
                CBN_UNROLL for (int p = 0; p < n; p++)
                    sums[p][v] =
                        CBN_MULTIPLY_ADD(CBN_LOAD_FLOATS(row + p * step + v * CBN_FLOAT_LANES), weight, sums[p][v]);
            }
        }
    }
    CBN_UNROLL for (int p = 0; p < n; p++)
        CBN_UNROLL for (int v = 0; v < CBN_WHOLE; v++)
            CBN_STORE_FLOATS(out + (first + p) * CBN_LANE_PANEL + v * CBN_FLOAT_LANES, CBN_CLIP(sums[p][v]));
}

CBN_INLINE void depth_positions(const int size, const cbn_depth_plan *plan, const float *x, const float *weights,
                                const float *bias, float *out) {
    const int64_t n = plan->width;
    int64_t p = 0;
    for (; p + CBN_TILE_DEPTH <= n; p += CBN_TILE_DEPTH)
        depth_tile(CBN_TILE_DEPTH, size, plan, p, x, weights, bias, out);
    if (CBN_TILE_DEPTH == 1) return;
    if (p < n && n >= CBN_TILE_DEPTH)
        depth_tile(CBN_TILE_DEPTH, size, plan, n - CBN_TILE_DEPTH, x, weights, bias, out);
    else
        for (; p < n; p++) depth_tile(1, size, plan, p, x, weights, bias, out);
}

CBN_FUNCTION void depth_row(const cbn_depth_plan *plan, const float *x, const float *weights, const float *bias,
                            float *out) {
    depth_positions(plan->size, plan, x, weights, bias, out);
}
#undef CBN_CLIP
#undef CBN_HALF
#undef CBN_WHOLE
#undef CBN_INLINE
#undef CBN_UNROLL

/* SPDX-License-Identifier: BSD-3-Clause */
/* Weights in panels of outputs, taps as runs, and sums of blocks: what convolution and sidewards models share. */
#include "neural.h"

int64_t cbn_runs_of(const int32_t *taps, int64_t n_taps, int64_t in_width, int64_t channels, cbn_run *runs) {
    int64_t n = 0;
    for (int64_t t = 0; t < n_taps; t++) {
        const int32_t dy = taps[2 * t], dx = taps[2 * t + 1];
        const int follows = t && dy == taps[2 * t - 2] && dx == taps[2 * t - 1] + 1;
        if (follows) {
            runs[n - 1].length += channels;
        } else {
            runs[n].offset = (dy * in_width + dx) * channels;
            runs[n++].length = channels;
        }
    }
    return n;
}

/* Position of (input, output) in the panels. */
static inline int64_t panel_index(int64_t inputs, int64_t outputs, int64_t i, int64_t o) {
    const int64_t first = o / CBN_PANEL * CBN_PANEL, left = cbn_padded(outputs) - first;
    return first * inputs + i * (left < CBN_PANEL ? left : CBN_PANEL) + (o - first);
}

void cbn_panels_pack(const float *weights, int64_t inputs, int64_t outputs, float *panels) {
    memset(panels, 0, (size_t)(inputs * cbn_padded(outputs)) * sizeof *panels);
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t o = 0; o < outputs; o++) panels[panel_index(inputs, outputs, i, o)] = weights[i * outputs + o];
}

void cbn_panels_pack_transposed(const float *weights, int64_t inputs, int64_t outputs, float *panels) {
    memset(panels, 0, (size_t)(inputs * cbn_padded(outputs)) * sizeof *panels);
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t i = 0; i < inputs; i++) panels[panel_index(inputs, outputs, i, o)] = weights[o * inputs + i];
}

void cbn_panels_unpack(const float *panels, int64_t inputs, int64_t outputs, float *weights) {
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t o = 0; o < outputs; o++) weights[i * outputs + o] = panels[panel_index(inputs, outputs, i, o)];
}

void cbn_rows_pad(const float *from, int64_t n, int64_t columns, int64_t padded, float *to) {
    for (int64_t i = 0; i < n; i++) {
        memcpy(to + i * padded, from + i * columns, (size_t)columns * sizeof *to);
        memset(to + i * padded + columns, 0, (size_t)(padded - columns) * sizeof *to);
    }
}

void cbn_rows_unpad(const float *from, int64_t n, int64_t columns, int64_t padded, float *to) {
    for (int64_t i = 0; i < n; i++) memcpy(to + i * columns, from + i * padded, (size_t)columns * sizeof *to);
}

void cbn_blocks_add(float *blocks, int64_t size, int64_t n_blocks) {
    CBN_FOR(static)
    for (int64_t i = 0; i < size; i++)
        for (int64_t b = 1; b < n_blocks; b++) blocks[i] += blocks[b * size + i];
}

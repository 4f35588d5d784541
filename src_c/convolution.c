/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Convolution over taps, channels last. No window is ever copied: taps that lie side by side in the input are one run
 * of floats, and a tile of positions walks along the runs with its sums in registers (kernels/neural_template.h).
 * Threads own rows of the output; gradients are summed by block of rows, and the blocks in order.
 */
#include "neural.h"
#include "kernels/kernels.h"
#include "workspace.h"

int cbn_convolution_check(const cbn_convolution *c) {
    if (!c || !c->taps) return CBN_E_NULL;
    if (c->n_images < 1 || c->in_height < 1 || c->in_width < 1 || c->in_channels < 1 || c->height < 1 ||
        c->width < 1 || c->out_channels < 1 || c->stride < 1 || c->n_taps < 1 || c->n_taps > CBN_MAX_TAPS)
        return CBN_E_SIZE;
    for (int64_t t = 0; t < c->n_taps; t++) {
        const int64_t dy = c->taps[2 * t], dx = c->taps[2 * t + 1];
        if (dy < 0 || dx < 0 || dy + (int64_t)c->stride * (c->height - 1) >= c->in_height ||
            dx + (int64_t)c->stride * (c->width - 1) >= c->in_width)
            return CBN_E_TAP;
    }
    int64_t size;
    CBN_TRY(cbn_multiply(c->n_images, (int64_t)c->in_height * c->in_width, &size));
    CBN_TRY(cbn_multiply(size, 4 * (int64_t)c->in_channels, &size));
    CBN_TRY(cbn_multiply(c->n_images, (int64_t)c->height * c->width, &size));
    CBN_TRY(cbn_multiply(size, 4 * cbn_padded(c->out_channels), &size));
    CBN_TRY(cbn_multiply(c->n_taps, c->in_channels, &size));
    CBN_TRY(cbn_multiply(size, 8 * cbn_padded(c->out_channels) * CBN_BLOCKS, &size));
    return CBN_OK;
}

static cbn_row_plan plan_of(const cbn_convolution *c, cbn_run *runs) {
    const cbn_row_plan plan = {
        .n_runs = cbn_runs_of(c->taps, c->n_taps, c->in_width, c->in_channels, runs),
        .runs = runs,
        .inputs = c->n_taps * (int64_t)c->in_channels,
        .outputs = cbn_padded(c->out_channels),
        .width = c->width,
        .x_step = (int64_t)c->stride * c->in_channels,
    };
    return plan;
}

static const float *row_of(const cbn_convolution *c, const float *x, int64_t image, int64_t row) {
    return x + (image * c->in_height + row * c->stride) * c->in_width * c->in_channels;
}

/* Floats: weights and bias in panels, and a row of padded outputs per thread. */
static int64_t panel_floats(const cbn_convolution *c) {
    return (c->n_taps * (int64_t)c->in_channels + 1) * cbn_padded(c->out_channels);
}

static int64_t row_floats(const cbn_convolution *c) { return c->width * cbn_padded(c->out_channels); }

/* n_blocks of panels, and a row for every thread. */
typedef struct {
    float *panels, *row;
} convolution_parts;

static convolution_parts take_parts(cbn_arena *arena, const cbn_convolution *c, int64_t n_blocks, int num_threads) {
    convolution_parts parts;
    parts.panels = cbn_take_rows(arena, n_blocks, panel_floats(c), sizeof *parts.panels);
    parts.row = cbn_take_rows(arena, num_threads, row_floats(c), sizeof *parts.row);
    return parts;
}

static int workspace_size(const cbn_convolution *c, int64_t n_blocks, int num_threads, int64_t *bytes) {
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_arena arena = cbn_counting_arena();
    take_parts(&arena, c, n_blocks, num_threads);
    return cbn_arena_size(&arena, bytes);
}

int cbn_convolve_workspace_size(const cbn_convolution *c, int num_threads, int64_t *bytes) {
    CBN_TRY(cbn_convolution_check(c));
    return workspace_size(c, 1, num_threads, bytes);
}

/* Nanoseconds: of multiplications, some twenty each. */
static double work_of(const cbn_convolution *c) {
    const double weights = (double)c->n_taps * c->in_channels * c->out_channels;
    return 0.05 * weights * (double)c->n_images * c->height * c->width;
}

int cbn_convolve(const cbn_convolution *c, const float *x, const float *weights, const float *bias, float *out,
                 cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_convolution_check(c));
    if (!x || !weights || !bias || !out) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_arena arena = cbn_arena_of(workspace);
    const convolution_parts parts = take_parts(&arena, c, 1, num_threads);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    cbn_run runs[CBN_MAX_TAPS];
    const cbn_row_plan plan = plan_of(c, runs);
    const cbn_kernels *kernels = cbn_kernels_select();
    float *panels = parts.panels, *start = panels + plan.inputs * plan.outputs;
    cbn_panels_pack(weights, plan.inputs, c->out_channels, panels);
    cbn_rows_pad(bias, 1, c->out_channels, plan.outputs, start);
    const int64_t n_rows = c->n_images * c->height;
    CBN_PARALLEL_FOR(cbn_worth(num_threads, work_of(c)), n_rows, dynamic, 8)
    for (int64_t r = 0; r < n_rows; r++) {
        const float *from = row_of(c, x, r / c->height, r % c->height);
        float *to = out + r * c->width * c->out_channels;
        if (plan.outputs == c->out_channels) {
            kernels->sum_row(&plan, from, panels, start, 0, 0, to);
            continue;
        }
        float *row = parts.row + cbn_thread() * row_floats(c);
        kernels->sum_row(&plan, from, panels, start, 0, 0, row);
        cbn_rows_unpad(row, c->width, c->out_channels, plan.outputs, to);
    }
    return CBN_OK;
}

int cbn_convolve_weight_gradient_workspace_size(const cbn_convolution *c, int num_threads, int64_t *bytes) {
    CBN_TRY(cbn_convolution_check(c));
    return workspace_size(c, cbn_block_count(c->height), num_threads, bytes);
}

int cbn_convolve_weight_gradient(const cbn_convolution *c, const float *x, const float *d_out, float *d_weights,
                                 float *d_bias, cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_convolution_check(c));
    if (!x || !d_out || !d_weights || !d_bias) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    const int64_t n_blocks = cbn_block_count(c->height), size = panel_floats(c);
    cbn_arena arena = cbn_arena_of(workspace);
    const convolution_parts parts = take_parts(&arena, c, n_blocks, num_threads);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    cbn_run runs[CBN_MAX_TAPS];
    const cbn_row_plan plan = plan_of(c, runs);
    const cbn_kernels *kernels = cbn_kernels_select();
    float *blocks = parts.panels;
    CBN_PARALLEL(cbn_worth(num_threads, work_of(c)), n_blocks)
    {
        float *row = parts.row + cbn_thread() * row_floats(c);
        CBN_FOR(dynamic, 1)
        for (int64_t b = 0; b < n_blocks; b++) {
            float *panels = blocks + b * size, *sums = panels + plan.inputs * plan.outputs;
            memset(panels, 0, (size_t)size * sizeof *panels);
            for (int64_t y = cbn_block_begin(b, c->height); y < cbn_block_begin(b + 1, c->height); y++)
                for (int64_t i = 0; i < c->n_images; i++) {
                    const float *slope = d_out + (i * c->height + y) * c->width * c->out_channels;
                    cbn_rows_pad(slope, c->width, c->out_channels, plan.outputs, row);
                    kernels->weight_row(&plan, row_of(c, x, i, y), row, panels);
                    kernels->add_rows(row, c->width, plan.outputs, sums);
                }
        }
        cbn_blocks_add(blocks, size, n_blocks);
    }
    cbn_panels_unpack(blocks, plan.inputs, c->out_channels, d_weights);
    memcpy(d_bias, blocks + plan.inputs * plan.outputs, (size_t)c->out_channels * sizeof *d_bias);
    return CBN_OK;
}

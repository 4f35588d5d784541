/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sidewards models: a position's activations predicted from its neighbours', and the gradients of the squared errors.
 *
 * One row of positions at a time, for every image of the batch, goes through all layers and back, so that hidden
 * activations stay in the cache and are never stored for the whole layer. Own last layers of a row are copied twice, as
 * (unit, kernel) and (kernel, unit), once for all images: then both directions run over vectors. Threads own blocks of
 * rows; each block sums the gradients of shared weights by itself, and the blocks are added in order.
 */
#include "neural.h"
#include "kernels/kernels.h"
#include "workspace.h"

int cbn_sidewards_check(const cbn_sidewards *s) {
    if (!s || !s->taps || !s->units) return CBN_E_NULL;
    if (s->n_layers < 1 || s->n_layers > CBN_MAX_HIDDEN || s->kernels < 1 || s->n_extra < 0) return CBN_E_SIZE;
    for (int i = 0; i < s->n_layers; i++)
        if (s->units[i] < 1 || s->units[i] > CBN_MAX_UNITS) return CBN_E_SIZE;
    if (s->kernels > CBN_MAX_UNITS || s->n_extra > CBN_MAX_UNITS) return CBN_E_SIZE;
    const cbn_convolution first = {s->n_images, s->in_height, s->in_width, s->in_channels, s->height, s->width,
                                   s->units[0], 1,            s->n_taps,   s->taps};
    CBN_TRY(cbn_convolution_check(&first));
    int64_t size;
    CBN_TRY(cbn_multiply((int64_t)s->height * s->width, 4 * cbn_padded(s->kernels), &size));
    return cbn_multiply(size, s->n_images + 3 * (CBN_MAX_UNITS + 16), &size);
}

/* Floats of the shared weights as they are used, or of the gradients of one block; offsets of their parts. */
typedef struct {
    int64_t first, first_extra;         /* panels; (n_extra + 1, padded units) */
    int64_t hidden[CBN_MAX_HIDDEN];     /* panels of the layer above layer i, then its bias */
    int64_t transposed[CBN_MAX_HIDDEN]; /* panels of its transposed weights (not of gradients) */
    int64_t last, last_by_kernel;       /* where all positions share the last layer */
    int64_t size, gradient_size;
} cbn_weight_plan;

/* What one thread has to itself, in floats. */
typedef struct {
    int64_t start;                /* (width, padded units of the first layer) */
    int64_t layer[CBN_MAX_HIDDEN]; /* activations (width, padded units) */
    int64_t slope[2];             /* gradients of two neighbouring layers */
    int64_t out;                  /* (width, padded kernels) */
    int64_t by_unit, by_kernel, d_by_unit;
    int64_t size;
} cbn_scratch_plan;

typedef struct {
    const cbn_sidewards *s;
    const cbn_kernels *kernels;
    int64_t padded[CBN_MAX_HIDDEN], padded_kernels;
    cbn_weight_plan weights;
    cbn_scratch_plan scratch;
    cbn_row_plan first, dense[CBN_MAX_HIDDEN], transposed[CBN_MAX_HIDDEN];
    cbn_run runs[CBN_MAX_TAPS], dense_run[CBN_MAX_HIDDEN], transposed_run[CBN_MAX_HIDDEN];
} cbn_side_plan;

static int64_t take(int64_t *size, int64_t floats) {
    const int64_t begin = *size;
    *size += (floats + 15) / 16 * 16;
    return begin;
}

static void make_plan(const cbn_sidewards *s, cbn_side_plan *plan) {
    memset(plan, 0, sizeof *plan);
    plan->s = s;
    plan->padded_kernels = cbn_padded(s->kernels);
    for (int i = 0; i < s->n_layers; i++) plan->padded[i] = cbn_padded(s->units[i]);
    plan->first = (cbn_row_plan){
        .n_runs = cbn_runs_of(s->taps, s->n_taps, s->in_width, s->in_channels, plan->runs),
        .runs = plan->runs,
        .inputs = s->n_taps * (int64_t)s->in_channels,
        .outputs = plan->padded[0],
        .width = s->width,
        .x_step = s->in_channels,
    };
    for (int i = 0; i + 1 < s->n_layers; i++) {
        plan->dense_run[i] = (cbn_run){0, s->units[i]};
        plan->dense[i] = (cbn_row_plan){1, &plan->dense_run[i], s->units[i], plan->padded[i + 1], s->width,
                                        plan->padded[i]};
        plan->transposed_run[i] = (cbn_run){0, s->units[i + 1]};
        plan->transposed[i] = (cbn_row_plan){1, &plan->transposed_run[i], s->units[i + 1], plan->padded[i], s->width,
                                             plan->padded[i + 1]};
    }
    const int top = s->n_layers - 1;
    cbn_weight_plan *w = &plan->weights;
    w->first = take(&w->size, plan->first.inputs * plan->padded[0]);
    w->first_extra = take(&w->size, (s->n_extra + 1) * plan->padded[0]);
    for (int i = 0; i < top; i++) w->hidden[i] = take(&w->size, (s->units[i] + 1) * plan->padded[i + 1]);
    if (!s->own_last) w->last = take(&w->size, (s->units[top] + 1) * plan->padded_kernels);
    w->gradient_size = w->size;
    for (int i = 0; i < top; i++) w->transposed[i] = take(&w->size, s->units[i + 1] * plan->padded[i]);
    if (!s->own_last) w->last_by_kernel = take(&w->size, s->kernels * plan->padded[top]);
    cbn_scratch_plan *t = &plan->scratch;
    int64_t widest = plan->padded[0];
    t->start = take(&t->size, s->n_extra ? s->width * plan->padded[0] : 0);
    for (int i = 0; i < s->n_layers; i++) {
        t->layer[i] = take(&t->size, s->width * plan->padded[i]);
        widest = plan->padded[i] > widest ? plan->padded[i] : widest;
    }
    for (int i = 0; i < 2; i++) t->slope[i] = take(&t->size, s->width * widest);
    t->out = take(&t->size, s->width * plan->padded_kernels);
    if (s->own_last) {
        const int64_t by_unit = s->width * (s->units[top] + 1) * plan->padded_kernels;
        t->by_unit = take(&t->size, by_unit);
        t->d_by_unit = take(&t->size, by_unit);
        t->by_kernel = take(&t->size, s->width * s->kernels * plan->padded[top]);
    }
}

/* Last layer (kernels, units + 1) of one position -> (units + 1, padded kernels) and (kernels, padded units). */
static void copy_last(const cbn_side_plan *plan, const float *last, float *by_unit, float *by_kernel) {
    const int64_t kernels = plan->s->kernels, units = plan->s->units[plan->s->n_layers - 1];
    const int64_t padded = plan->padded[plan->s->n_layers - 1];
    for (int64_t j = 0; j <= units; j++) {
        for (int64_t k = 0; k < kernels; k++) by_unit[j * plan->padded_kernels + k] = last[k * (units + 1) + j];
        for (int64_t k = kernels; k < plan->padded_kernels; k++) by_unit[j * plan->padded_kernels + k] = 0.0f;
    }
    for (int64_t k = 0; k < kernels; k++) {
        memcpy(by_kernel + k * padded, last + k * (units + 1), (size_t)units * sizeof *last);
        memset(by_kernel + k * padded + units, 0, (size_t)(padded - units) * sizeof *last);
    }
}

static void pack_weights(const cbn_side_plan *plan, const cbn_sidewards_weights *given, float *shared) {
    const cbn_sidewards *s = plan->s;
    const cbn_weight_plan *w = &plan->weights;
    cbn_panels_pack(given->first, plan->first.inputs, s->units[0], shared + w->first);
    cbn_rows_pad(given->first_extra, s->n_extra + 1, s->units[0], plan->padded[0], shared + w->first_extra);
    const float *hidden = given->hidden;
    for (int i = 0; i + 1 < s->n_layers; i++) {
        const int64_t below = s->units[i], above = s->units[i + 1];
        cbn_panels_pack(hidden, below, above, shared + w->hidden[i]);
        cbn_rows_pad(hidden + below * above, 1, above, plan->padded[i + 1],
                 shared + w->hidden[i] + below * plan->padded[i + 1]);
        cbn_panels_pack_transposed(hidden, above, below, shared + w->transposed[i]);
        hidden += (below + 1) * above;
    }
    if (!s->own_last) copy_last(plan, given->last, shared + w->last, shared + w->last_by_kernel);
}

static void unpack_gradients(const cbn_side_plan *plan, const float *sums, const cbn_sidewards_gradients *out) {
    const cbn_sidewards *s = plan->s;
    const cbn_weight_plan *w = &plan->weights;
    cbn_panels_unpack(sums + w->first, plan->first.inputs, s->units[0], out->first);
    cbn_rows_unpad(sums + w->first_extra, s->n_extra + 1, s->units[0], plan->padded[0], out->first_extra);
    float *hidden = out->hidden;
    for (int i = 0; i + 1 < s->n_layers; i++) {
        const int64_t below = s->units[i], above = s->units[i + 1];
        cbn_panels_unpack(sums + w->hidden[i], below, above, hidden);
        memcpy(hidden + below * above, sums + w->hidden[i] + below * plan->padded[i + 1],
               (size_t)above * sizeof *hidden);
        hidden += (below + 1) * above;
    }
    if (s->own_last) return;
    const int64_t units = s->units[s->n_layers - 1];
    for (int64_t k = 0; k < s->kernels; k++)
        for (int64_t j = 0; j <= units; j++)
            out->last[k * (units + 1) + j] = sums[w->last + j * plan->padded_kernels + k];
}

/* Sums of the first layer that are the same for all images: the bias and the extra inputs of a row. */
static const float *start_of_row(const cbn_side_plan *plan, const float *extra, const float *shared, int64_t y,
                                 float *scratch, int64_t *step) {
    const cbn_sidewards *s = plan->s;
    const int64_t padded = plan->padded[0], n = s->n_extra;
    const float *weights = shared + plan->weights.first_extra, *bias = weights + n * padded;
    *step = n ? padded : 0;
    if (!n) return bias;
    float *start = scratch + plan->scratch.start;
    for (int64_t x = 0; x < s->width; x++)
        for (int64_t o = 0; o < padded; o++) {
            float sum = bias[o];
            for (int64_t e = 0; e < n; e++) sum += extra[(y * s->width + x) * n + e] * weights[e * padded + o];
            start[x * padded + o] = sum;
        }
    return start;
}

/* The last layer of a row of positions. d_last: gradients of a shared one, or NULL. */
static cbn_last_plan last_of_row(const cbn_side_plan *plan, const float *last, const float *shared, int64_t y,
                                 float *d_last, float *scratch) {
    const cbn_sidewards *s = plan->s;
    const int64_t units = s->units[s->n_layers - 1], padded = plan->padded[s->n_layers - 1];
    cbn_last_plan row = {.width = s->width, .units = units, .kernels = s->kernels, .padded_units = padded,
                         .padded_kernels = plan->padded_kernels};
    if (!s->own_last) {
        row.by_unit = shared + plan->weights.last;
        row.by_kernel = shared + plan->weights.last_by_kernel;
        row.d_by_unit = d_last;
        return row;
    }
    row.step_by_unit = (units + 1) * plan->padded_kernels;
    row.step_by_kernel = s->kernels * padded;
    row.by_unit = scratch + plan->scratch.by_unit;
    row.by_kernel = scratch + plan->scratch.by_kernel;
    row.d_by_unit = scratch + plan->scratch.d_by_unit;
    for (int64_t x = 0; x < s->width; x++)
        copy_last(plan, last + (y * s->width + x) * s->kernels * (units + 1),
                  scratch + plan->scratch.by_unit + x * row.step_by_unit,
                  scratch + plan->scratch.by_kernel + x * row.step_by_kernel);
    return row;
}

static const float *input_row(const cbn_sidewards *s, const float *x, int64_t image, int64_t y) {
    return x + (image * s->in_height + y) * s->in_width * s->in_channels;
}

/* Activations of all hidden layers of a row of one image, and its predictions, in the scratch. */
static void forward_row(const cbn_side_plan *plan, const float *x, const float *shared, const float *start,
                        int64_t start_step, const cbn_last_plan *last, float *scratch) {
    const cbn_sidewards *s = plan->s;
    const cbn_scratch_plan *t = &plan->scratch;
    plan->kernels->sum_row(&plan->first, x, shared + plan->weights.first, start, start_step, 1, scratch + t->layer[0]);
    for (int i = 0; i + 1 < s->n_layers; i++) {
        const float *panels = shared + plan->weights.hidden[i], *bias = panels + s->units[i] * plan->padded[i + 1];
        plan->kernels->sum_row(&plan->dense[i], scratch + t->layer[i], panels, bias, 0, 1, scratch + t->layer[i + 1]);
    }
    plan->kernels->last_row(last, scratch + t->layer[s->n_layers - 1], scratch + t->out);
}

/* Weights, the gradients of all blocks if asked for, and the scratch of every thread. */
typedef struct {
    float *shared, *blocks, *scratch;
} side_parts;

static side_parts take_parts(cbn_arena *arena, const cbn_side_plan *plan, int64_t n_blocks, int num_threads) {
    side_parts parts;
    parts.shared = cbn_take(arena, plan->weights.size, sizeof *parts.shared);
    parts.blocks = cbn_take_rows(arena, n_blocks, plan->weights.gradient_size, sizeof *parts.blocks);
    parts.scratch = cbn_take_rows(arena, num_threads, plan->scratch.size, sizeof *parts.scratch);
    return parts;
}

static int workspace_size(const cbn_sidewards *s, int gradients, int num_threads, int64_t *bytes) {
    CBN_TRY(cbn_sidewards_check(s));
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_side_plan plan;
    make_plan(s, &plan);
    cbn_arena arena = cbn_counting_arena();
    take_parts(&arena, &plan, gradients ? cbn_block_count(s->height) : 0, num_threads);
    return cbn_arena_size(&arena, bytes);
}

int cbn_sidewards_predict_workspace_size(const cbn_sidewards *s, int num_threads, int64_t *bytes) {
    return workspace_size(s, 0, num_threads, bytes);
}

/* Nanoseconds: of multiplications, some twenty each; a gradient takes three times as long. */
static double work_of(const cbn_side_plan *plan) {
    const cbn_sidewards *s = plan->s;
    double weights = (double)(plan->first.inputs * s->units[0]) + (double)s->units[s->n_layers - 1] * s->kernels;
    for (int i = 0; i + 1 < s->n_layers; i++) weights += (double)s->units[i] * s->units[i + 1];
    return 0.05 * weights * (double)s->n_images * s->height * s->width;
}

int cbn_sidewards_predict(const cbn_sidewards *s, const float *x, const float *extra,
                          const cbn_sidewards_weights *weights, float *out, cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_sidewards_check(s));
    if (!x || !weights || !weights->first || !weights->first_extra || !weights->last || !out ||
        (s->n_extra && !extra) || (s->n_layers > 1 && !weights->hidden))
        return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_side_plan plan;
    make_plan(s, &plan);
    cbn_arena arena = cbn_arena_of(workspace);
    const side_parts parts = take_parts(&arena, &plan, 0, num_threads);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    plan.kernels = cbn_kernels_select();
    float *shared = parts.shared;
    pack_weights(&plan, weights, shared);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, work_of(&plan)), s->height, dynamic, 1)
    for (int64_t y = 0; y < s->height; y++) {
        float *scratch = parts.scratch + cbn_thread() * plan.scratch.size;
        int64_t step;
        const float *start = start_of_row(&plan, extra, shared, y, scratch, &step);
        const cbn_last_plan last = last_of_row(&plan, weights->last, shared, y, NULL, scratch);
        for (int64_t i = 0; i < s->n_images; i++) {
            forward_row(&plan, input_row(s, x, i, y), shared, start, step, &last, scratch);
            cbn_rows_unpad(scratch + plan.scratch.out, s->width, s->kernels, plan.padded_kernels,
                       out + (i * s->height + y) * s->width * s->kernels);
        }
    }
    return CBN_OK;
}

/* out = prediction (padded) - target; the scratch then holds the slope of the squared error. */
static void errors_of_row(const cbn_side_plan *plan, const float *target, float *out, float *error) {
    const int64_t kernels = plan->s->kernels;
    for (int64_t p = 0; p < plan->s->width; p++) {
        float *slope = out + p * plan->padded_kernels;
        for (int64_t k = 0; k < kernels; k++) {
            error[p * kernels + k] = slope[k] - target[p * kernels + k];
            slope[k] = 2.0f * error[p * kernels + k];
        }
        for (int64_t k = kernels; k < plan->padded_kernels; k++) slope[k] = 0.0f;
    }
}

/* No gradient passes where the ReLU cut the activation off. */
static void cut(const float *activation, int64_t n, float *slope) {
    for (int64_t i = 0; i < n; i++) slope[i] = activation[i] > 0.0f ? slope[i] : 0.0f;
}

/* Adds the gradients of a row of one image to the sums of its block. Returns the slope of the first layer's sums. */
static const float *backward_row(const cbn_side_plan *plan, const float *x, const float *extra_row,
                                 const float *shared, const cbn_last_plan *last, float *sums, float *scratch) {
    const cbn_sidewards *s = plan->s;
    const cbn_scratch_plan *t = &plan->scratch;
    const int top = s->n_layers - 1;
    float *slope = scratch + t->slope[0], *below = scratch + t->slope[1];
    plan->kernels->last_row_gradient(last, scratch + t->layer[top], scratch + t->out, slope);
    cut(scratch + t->layer[top], s->width * plan->padded[top], slope);
    for (int i = top - 1; i >= 0; i--) {
        float *d_panels = sums + plan->weights.hidden[i];
        plan->kernels->weight_row(&plan->dense[i], scratch + t->layer[i], slope, d_panels);
        plan->kernels->add_rows(slope, s->width, plan->padded[i + 1], d_panels + s->units[i] * plan->padded[i + 1]);
        /* the sums of the slopes start from 0 */
        memset(below, 0, (size_t)(s->width * plan->padded[i]) * sizeof *below);
        plan->kernels->sum_row(&plan->transposed[i], slope, shared + plan->weights.transposed[i], below,
                               plan->padded[i], 0, below);
        cut(scratch + t->layer[i], s->width * plan->padded[i], below);
        float *swap = slope;
        slope = below;
        below = swap;
    }
    plan->kernels->weight_row(&plan->first, x, slope, sums + plan->weights.first);
    float *d_extra = sums + plan->weights.first_extra;
    for (int64_t p = 0; p < s->width; p++)
        for (int64_t e = 0; e < s->n_extra; e++)
            for (int64_t o = 0; o < plan->padded[0]; o++)
                d_extra[e * plan->padded[0] + o] += extra_row[p * s->n_extra + e] * slope[p * plan->padded[0] + o];
    plan->kernels->add_rows(slope, s->width, plan->padded[0], d_extra + s->n_extra * plan->padded[0]);
    return slope;
}

int cbn_sidewards_gradient_workspace_size(const cbn_sidewards *s, int num_threads, int64_t *bytes) {
    return workspace_size(s, 1, num_threads, bytes);
}

/* One row of all images. */
static void gradient_row(const cbn_side_plan *plan, const float *x, const float *extra, const float *last,
                         const float *target, const cbn_sidewards_gradients *out, const float *shared, int64_t y,
                         float *sums, float *scratch) {
    const cbn_sidewards *s = plan->s;
    int64_t step;
    const float *start = start_of_row(plan, extra, shared, y, scratch, &step);
    const cbn_last_plan row = last_of_row(plan, last, shared, y, sums + plan->weights.last, scratch);
    if (s->own_last) memset(row.d_by_unit, 0, (size_t)(s->width * row.step_by_unit) * sizeof *row.d_by_unit);
    for (int64_t i = 0; i < s->n_images; i++) {
        const int64_t to = (i * s->height + y) * s->width;
        forward_row(plan, input_row(s, x, i, y), shared, start, step, &row, scratch);
        errors_of_row(plan, target + to * s->kernels, scratch + plan->scratch.out, out->error + to * s->kernels);
        const float *extra_row = s->n_extra ? extra + y * s->width * s->n_extra : NULL;
        const float *slope = backward_row(plan, input_row(s, x, i, y), extra_row, shared, &row, sums, scratch);
        if (out->sums) cbn_rows_unpad(slope, s->width, s->units[0], plan->padded[0], out->sums + to * s->units[0]);
    }
    if (!s->own_last) return;
    float *d_last = out->last + y * s->width * s->kernels * (row.units + 1);
    for (int64_t p = 0; p < s->width; p++)
        for (int64_t k = 0; k < s->kernels; k++)
            for (int64_t j = 0; j <= row.units; j++)
                *d_last++ = row.d_by_unit[p * row.step_by_unit + j * plan->padded_kernels + k];
}

int cbn_sidewards_gradient(const cbn_sidewards *s, const float *x, const float *extra,
                           const cbn_sidewards_weights *weights, const float *target,
                           const cbn_sidewards_gradients *out, cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_sidewards_check(s));
    if (!x || !weights || !weights->first || !weights->first_extra || !weights->last || !target || !out ||
        !out->error || !out->first || !out->first_extra || !out->last || (s->n_extra && !extra) ||
        (s->n_layers > 1 && (!weights->hidden || !out->hidden)))
        return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_side_plan plan;
    make_plan(s, &plan);
    const int64_t n_blocks = cbn_block_count(s->height), size = plan.weights.gradient_size;
    cbn_arena arena = cbn_arena_of(workspace);
    const side_parts parts = take_parts(&arena, &plan, n_blocks, num_threads);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    plan.kernels = cbn_kernels_select();
    float *shared = parts.shared, *blocks = parts.blocks;
    pack_weights(&plan, weights, shared);
    CBN_PARALLEL(cbn_worth(num_threads, 3.0 * work_of(&plan)), n_blocks)
    {
        float *scratch = parts.scratch + cbn_thread() * plan.scratch.size;
        CBN_FOR(dynamic, 1)
        for (int64_t b = 0; b < n_blocks; b++) {
            float *sums = blocks + b * size;
            memset(sums, 0, (size_t)size * sizeof *sums);
            for (int64_t y = cbn_block_begin(b, s->height); y < cbn_block_begin(b + 1, s->height); y++)
                gradient_row(&plan, x, extra, weights->last, target, out, shared, y, sums, scratch);
        }
        cbn_blocks_add(blocks, size, n_blocks);
    }
    unpack_gradients(&plan, blocks, out);
    return CBN_OK;
}

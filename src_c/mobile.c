/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Networks of inverted residuals. What a block expands is six times as large as what goes in and comes out, so it is
 * never written as a whole: a group of rows is expanded one panel of 16 channels at a time, into a slab that stays in the
 * nearest cache, and the depthwise windows slide over it at once; the projection follows when all panels of the group are
 * there. Rows that the next group needs again are kept.
 *
 * A thread takes whole pictures through all blocks; the pictures that are left over are shared out by rows. No sum
 * depends on either.
 */
#include "kernels/kernels.h"
#include "workspace.h"

#define BLOCK_NUMBERS 4
#define STEM_SIZE 3
#define STEM_STRIDE 2
#define STEM_CHANNELS 3
/* A group has as many rows as keep the slab and what the windows give below these sizes. */
#define SLAB_FLOATS (24 * 1024)
#define WINDOWS_FLOATS (64 * 1024)

/* Positions of a window along one direction. */
typedef struct {
    int64_t length, out, before; /* of the input, of the output; zeros before the first */
    int64_t padded;              /* length with all zeros that windows reach */
} axis;

typedef struct {
    int64_t inputs, expanded, out_channels; /* inputs of one sum of the expansion */
    int size, stride;
    int stem, added;
    const float *expansion, *expansion_bias, *windows, *windows_bias, *projection, *projection_bias;
    axis rows, columns;               /* of the windows */
    axis stem_rows, stem_columns;     /* of the stem */
    int64_t together, slab_rows, new_rows; /* rows of a group: of the output, in the slab, and of those newly expanded */
} stage;

static axis axis_of(int64_t length, int size, int stride) {
    const int64_t out = (length + stride - 1) / stride, reach = (out - 1) * stride + size;
    const int64_t zeros = reach > length ? reach - length : 0;
    const axis a = {length, out, zeros / 2, length + zeros};
    return a;
}

static inline int64_t panels_of(int64_t channels) { return (channels + CBN_LANE_PANEL - 1) / CBN_LANE_PANEL; }

int cbn_mobile_check(const cbn_mobile *m) {
    if (!m || !m->blocks) return CBN_E_NULL;
    if (m->n_blocks < 1 || m->n_blocks > CBN_MAX_BLOCKS) return CBN_E_SIZE;
    for (int b = 0; b < m->n_blocks; b++) {
        const int32_t *block = m->blocks + BLOCK_NUMBERS * b;
        if (block[0] < 1 || block[0] > CBN_MAX_CHANNELS || block[1] < 1 || block[1] > CBN_MAX_CHANNELS) return CBN_E_SIZE;
        if (block[0] % CBN_LANE_PANEL || block[1] % (CBN_LANE_PANEL / 2)) return CBN_E_PARAMETER;
        if (block[2] < 1 || block[2] > CBN_MAX_WINDOW || block[3] < 1 || block[3] > block[2]) return CBN_E_TAP;
    }
    return CBN_OK;
}

/* The stages without their geometry; returns the number of weights. */
static int64_t stages_of(const cbn_mobile *m, const float *weights, stage *stages) {
    const float *at = weights;
    int64_t below = STEM_SIZE * STEM_SIZE * STEM_CHANNELS, n = 0;
    for (int b = 0; b < m->n_blocks; b++) {
        const int32_t *block = m->blocks + BLOCK_NUMBERS * b;
        stage *s = stages + b;
        s->inputs = below, s->expanded = block[0], s->out_channels = block[1];
        s->size = block[2], s->stride = block[3];
        s->stem = b == 0, s->added = b && s->stride == 1 && s->out_channels == below;
        const int64_t sizes[6] = {s->inputs * s->expanded, s->expanded,     s->size * s->size * s->expanded, s->expanded,
                                  s->expanded * s->out_channels, s->out_channels};
        const float **parts[6] = {&s->expansion,    &s->expansion_bias, &s->windows,
                                  &s->windows_bias, &s->projection,     &s->projection_bias};
        for (int i = 0; i < 6; i++) {
            *parts[i] = at;
            n += sizes[i];
            if (at) at += sizes[i];
        }
        below = s->out_channels;
    }
    return n;
}

int cbn_mobile_weights(const cbn_mobile *m, int64_t *n) {
    CBN_TRY(cbn_mobile_check(m));
    if (!n) return CBN_E_NULL;
    stage stages[CBN_MAX_BLOCKS];
    *n = stages_of(m, NULL, stages);
    return CBN_OK;
}

/* (inputs, outputs) -> panels [panel][input][16], the last one [input][8] when half a panel is left. */
static float *pack_panels(const float *from, int64_t inputs, int64_t outputs, float *to) {
    for (int64_t o = 0; o < outputs; o += CBN_LANE_PANEL) {
        const int64_t width = outputs - o < CBN_LANE_PANEL ? outputs - o : CBN_LANE_PANEL;
        for (int64_t i = 0; i < inputs; i++, to += width)
            memcpy(to, from + i * outputs + o, (size_t)width * sizeof *to);
    }
    return to;
}

int cbn_mobile_pack(const cbn_mobile *m, const float *weights, float *packed) {
    CBN_TRY(cbn_mobile_check(m));
    if (!weights || !packed) return CBN_E_NULL;
    stage stages[CBN_MAX_BLOCKS];
    stages_of(m, weights, stages);
    for (const stage *s = stages; s < stages + m->n_blocks; s++) {
        packed = pack_panels(s->expansion, s->inputs, s->expanded, packed);
        packed = pack_panels(s->expansion_bias, 1, s->expanded, packed);
        packed = pack_panels(s->windows, s->size * s->size, s->expanded, packed);
        packed = pack_panels(s->windows_bias, 1, s->expanded, packed);
        packed = pack_panels(s->projection, s->expanded, s->out_channels, packed);
        packed = pack_panels(s->projection_bias, 1, s->out_channels, packed);
    }
    return CBN_OK;
}

/* Rows that a group of output rows reads, when it is in the middle. */
static int64_t reach_of(const stage *s, int64_t together) {
    const int64_t reach = (together - 1) * s->stride + s->size;
    return reach < s->rows.length ? reach : s->rows.length;
}

/* Stages with the geometry of some pictures. */
static int plan_stages(const cbn_mobile *m, const float *packed, const cbn_pictures *p, stage *stages) {
    CBN_TRY(cbn_mobile_check(m));
    if (!p) return CBN_E_NULL;
    if (p->n_images < 1 || p->height < 1 || p->width < 1 || p->height > CBN_MAX_PICTURE || p->width > CBN_MAX_PICTURE)
        return CBN_E_SIZE;
    if (p->channels != 1 && p->channels != STEM_CHANNELS) return CBN_E_PARAMETER;
    stages_of(m, packed, stages);
    int64_t height = p->height, width = p->width;
    for (stage *s = stages; s < stages + m->n_blocks; s++) {
        if (s->stem) {
            s->stem_rows = axis_of(height, STEM_SIZE, STEM_STRIDE);
            s->stem_columns = axis_of(width, STEM_SIZE, STEM_STRIDE);
            height = s->stem_rows.out, width = s->stem_columns.out;
        }
        s->rows = axis_of(height, s->size, s->stride);
        s->columns = axis_of(width, s->size, s->stride);
        height = s->rows.out, width = s->columns.out;
        int64_t n = 1;
        while (n < height && reach_of(s, n + 1) * s->columns.padded * CBN_LANE_PANEL <= SLAB_FLOATS &&
               (n + 1) * width * s->expanded <= WINDOWS_FLOATS)
            n++;
        s->together = n;
        s->slab_rows = reach_of(s, n);
    }
    int64_t size;
    CBN_TRY(cbn_multiply(p->n_images, (int64_t)p->height * p->width, &size));
    return cbn_multiply(size, 64 * CBN_MAX_CHANNELS, &size);
}

/* What a thread needs for a group of rows. */
typedef struct {
    float *pixels;  /* rows of the picture as the stem reads them: (rows, padded width, 3) */
    float *slab;    /* (rows, padded width, 16): one panel of what is expanded */
    float *kept;    /* (panels, size - 1, padded width, 16): rows for the next group */
    float *windows; /* (panels, rows of the output, width, 16) */
    int32_t *place; /* of expanded positions in the slab */
} group_parts;

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static group_parts take_group(cbn_arena *arena, const stage *stages, int32_t n_blocks) {
    int64_t pixels = 0, slab = 0, kept = 0, windows = 0, place = 0;
    for (const stage *s = stages; s < stages + n_blocks; s++) {
        const int64_t row = s->columns.padded * CBN_LANE_PANEL;
        if (s->stem)
            pixels = (STEM_STRIDE * (s->slab_rows - 1) + STEM_SIZE) * s->stem_columns.padded * STEM_CHANNELS;
        slab = larger(slab, s->slab_rows * row);
        kept = larger(kept, panels_of(s->expanded) * (s->size - 1) * row);
        windows = larger(windows, s->expanded * s->together * s->columns.out);
        place = larger(place, s->slab_rows * s->columns.length);
    }
    group_parts parts;
    parts.pixels = cbn_take(arena, pixels, sizeof *parts.pixels);
    parts.slab = cbn_take(arena, slab, sizeof *parts.slab);
    parts.kept = cbn_take(arena, kept, sizeof *parts.kept);
    parts.windows = cbn_take(arena, windows, sizeof *parts.windows);
    parts.place = cbn_take(arena, place, sizeof *parts.place);
    return parts;
}

/* Outputs of blocks that nobody wants, in turns. */
typedef struct {
    cbn_arena group; /* size of one thread's part */
    void *groups;
    float *outputs; /* (whole pictures at a time, 2, output_floats) */
    int64_t output_floats;
} mobile_parts;

static mobile_parts take_parts(cbn_arena *arena, const cbn_mobile *m, const cbn_pictures *p, const stage *stages,
                               int num_threads) {
    mobile_parts parts = {.group = cbn_counting_arena(), .output_floats = 0};
    take_group(&parts.group, stages, m->n_blocks);
    for (const stage *s = stages; s < stages + m->n_blocks; s++)
        parts.output_floats = larger(parts.output_floats, s->rows.out * s->columns.out * s->out_channels);
    parts.groups = cbn_take_each(arena, &parts.group, num_threads);
    parts.outputs = cbn_take_rows(arena, 2 * (int64_t)cbn_useful_threads(num_threads, p->n_images), parts.output_floats,
                                  sizeof *parts.outputs);
    return parts;
}

int cbn_mobile_workspace_size(const cbn_mobile *m, const cbn_pictures *pictures, int num_threads, int64_t *bytes) {
    stage stages[CBN_MAX_BLOCKS];
    CBN_TRY(plan_stages(m, NULL, pictures, stages));
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_arena arena = cbn_counting_arena();
    take_parts(&arena, m, pictures, stages, num_threads);
    return cbn_arena_size(&arena, bytes);
}

/* Rows first .. first + n - 1 of a picture, of which some may lie outside, as the stem reads them. */
static void prepare_pixels(const cbn_pictures *p, const float *picture, int64_t first, int64_t n, const axis *columns,
                           float *to) {
    const int64_t row = columns->padded * STEM_CHANNELS;
    memset(to, 0, (size_t)(n * row) * sizeof *to);
    for (int64_t y = first; y < first + n; y++, to += row) {
        if (y < 0 || y >= p->height) continue;
        const float *from = picture + y * p->width * p->channels;
        float *inside = to + columns->before * STEM_CHANNELS;
        if (p->channels == STEM_CHANNELS)
            for (int64_t i = 0; i < (int64_t)p->width * STEM_CHANNELS; i++) inside[i] = from[i] * p->scale + p->shift;
        else
            for (int64_t x = 0; x < p->width; x++)
                for (int c = 0; c < STEM_CHANNELS; c++)
                    inside[x * STEM_CHANNELS + c] = from[x] * p->scale + p->shift;
    }
}

/* One panel of rows first .. end - 1 of what is expanded, into the slab from `to` on. */
static void expand_rows(const stage *s, const cbn_kernels *kernels, const float *x, const group_parts *parts,
                        int64_t panel, int64_t first, int64_t end, float *to) {
    const float *weights = s->expansion + panel * CBN_LANE_PANEL * s->inputs;
    const float *bias = s->expansion_bias + panel * CBN_LANE_PANEL;
    if (s->stem) {
        const int64_t row = s->stem_columns.padded * STEM_CHANNELS;
        const cbn_sums_plan plan = {.n_runs = STEM_SIZE,
                                    .run = STEM_SIZE * STEM_CHANNELS,
                                    .run_step = row,
                                    .x_step = STEM_STRIDE * STEM_CHANNELS,
                                    .positions = s->columns.length,
                                    .clip = 1,
                                    .out_step = CBN_LANE_PANEL};
        to += s->columns.before * CBN_LANE_PANEL;
        for (int64_t y = 0; y < end - first; y++)
            kernels->panel_sums(&plan, parts->pixels + STEM_STRIDE * y * row, weights, bias, NULL,
                                to + y * s->columns.padded * CBN_LANE_PANEL);
        return;
    }
    const cbn_sums_plan plan = {.n_runs = 1,
                                .run = s->inputs,
                                .x_step = s->inputs,
                                .positions = (end - first) * s->columns.length,
                                .clip = 1,
                                .place = parts->place};
    kernels->panel_sums(&plan, x + first * s->columns.length * s->inputs, weights, bias, NULL, to);
}

/* Output rows y .. y + n - 1 of the windows, for one panel, from a slab that begins with row `first`. */
static void slide_windows(const stage *s, const cbn_kernels *kernels, const float *slab, int64_t panel, int64_t first,
                          int64_t y, int64_t n, float *to) {
    const int64_t row = s->columns.padded * CBN_LANE_PANEL;
    const float *weights = s->windows + panel * CBN_LANE_PANEL * s->size * s->size;
    for (int64_t i = y; i < y + n; i++, to += s->columns.out * CBN_LANE_PANEL) {
        const int64_t top = i * s->stride - s->rows.before, from = larger(top, 0);
        const int64_t end = top + s->size < s->rows.length ? top + s->size : s->rows.length;
        const cbn_depth_plan plan = {s->columns.out, (int)(end - from), s->size, s->stride, row};
        kernels->depth_row(&plan, slab + (from - first) * row, weights + (from - top) * s->size * CBN_LANE_PANEL,
                           s->windows_bias + panel * CBN_LANE_PANEL, to);
    }
}

/* Output rows y .. y + n - 1 from what the windows gave. x is the input that is added, or NULL. */
static void project_rows(const stage *s, const cbn_kernels *kernels, const float *windows, const float *x, int64_t y,
                         int64_t n, float *out) {
    cbn_sums_plan plan = {.n_runs = panels_of(s->expanded),
                          .run = CBN_LANE_PANEL,
                          .run_step = n * s->columns.out * CBN_LANE_PANEL,
                          .x_step = CBN_LANE_PANEL,
                          .positions = n * s->columns.out,
                          .out_step = s->out_channels};
    for (int64_t o = 0; o < s->out_channels; o += CBN_LANE_PANEL) {
        const int64_t at = y * s->columns.out * s->out_channels + o;
        plan.half = s->out_channels - o < CBN_LANE_PANEL;
        kernels->panel_sums(&plan, windows, s->projection + o * s->expanded, s->projection_bias + o, x ? x + at : NULL,
                            out + at);
    }
}

/* Rows begin .. end - 1 of a block's output. x is its input, or the picture. */
static void block_rows(const stage *s, const cbn_kernels *kernels, const cbn_pictures *pictures, const float *x,
                       const group_parts *parts, int64_t begin, int64_t end, float *out) {
    const int64_t row = s->columns.padded * CBN_LANE_PANEL, kept_rows = s->size - 1;
    memset(parts->slab, 0, (size_t)(s->slab_rows * row) * sizeof *parts->slab); /* zeros at both sides */
    for (int64_t i = 0; i < s->slab_rows * s->columns.length; i++)
        parts->place[i] = (int32_t)(i / s->columns.length * row +
                                    (i % s->columns.length + s->columns.before) * CBN_LANE_PANEL);
    int64_t known = 0; /* rows below are expanded */
    for (int64_t y = begin; y < end; y += s->together) {
        const int64_t n = end - y < s->together ? end - y : s->together;
        const int64_t first = larger(y * s->stride - s->rows.before, 0);
        const int64_t reach = (y + n - 1) * s->stride - s->rows.before + s->size;
        const int64_t last = reach < s->rows.length ? reach : s->rows.length;
        const int64_t next = larger((y + n) * s->stride - s->rows.before, 0); /* first row of the next group */
        if (y == begin) known = first;
        if (s->stem)
            prepare_pixels(pictures, x, STEM_STRIDE * known - s->stem_rows.before,
                           STEM_STRIDE * (last - known - 1) + STEM_SIZE, &s->stem_columns, parts->pixels);
        for (int64_t panel = 0; panel < panels_of(s->expanded); panel++) {
            float *kept = parts->kept + panel * kept_rows * row;
            memcpy(parts->slab, kept, (size_t)((known - first) * row) * sizeof *kept);
            expand_rows(s, kernels, x, parts, panel, known, last, parts->slab + (known - first) * row);
            slide_windows(s, kernels, parts->slab, panel, first, y, n,
                          parts->windows + panel * n * s->columns.out * CBN_LANE_PANEL);
            if (y + n < end && next < last)
                memcpy(kept, parts->slab + (next - first) * row, (size_t)((last - next) * row) * sizeof *kept);
        }
        known = last;
        project_rows(s, kernels, parts->windows, s->added ? x : NULL, y, n, out);
    }
}

/* Threads that own whole pictures wait once; those that share one wait after every block, but not for long: they are not
 * asleep yet, or still have their turn, so that half the work pays. */
static int worth(const stage *stages, int32_t n_blocks, int64_t n_images, int num_threads) {
    double products = 0.0;
    for (const stage *s = stages; s < stages + n_blocks; s++) {
        products += (double)s->rows.length * (double)s->columns.length * (double)(s->inputs * s->expanded);
        const double outputs = (double)s->rows.out * (double)s->columns.out;
        products += outputs * (double)(s->expanded * (s->size * s->size + s->out_channels));
    }
    const double work = 0.05 * products; /* nanoseconds of a picture */
    return cbn_worth(num_threads, n_images < num_threads ? 2.0 * work / n_blocks : work * (double)n_images);
}

int cbn_mobile_features(const cbn_mobile *m, const float *packed, const cbn_pictures *pictures, float *const *out,
                        cbn_workspace workspace, int num_threads) {
    stage stages[CBN_MAX_BLOCKS];
    CBN_TRY(plan_stages(m, packed, pictures, stages));
    if (!packed || !pictures->values || !out) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_arena arena = cbn_arena_of(workspace);
    const mobile_parts parts = take_parts(&arena, m, pictures, stages, num_threads);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n = pictures->n_images;
    num_threads = worth(stages, m->n_blocks, n, num_threads);
    const int64_t whole = n - n % num_threads;
    const int64_t picture_floats = (int64_t)pictures->height * pictures->width * pictures->channels;
    CBN_PARALLEL(num_threads, num_threads)
    {
        cbn_arena own = cbn_own_arena(parts.groups, &parts.group);
        const group_parts group = take_group(&own, stages, m->n_blocks);
        CBN_FOR(dynamic, 1)
        for (int64_t i = 0; i < whole; i++) {
            const float *x = pictures->values + i * picture_floats;
            float *spare = parts.outputs + cbn_thread() * 2 * parts.output_floats;
            for (int b = 0; b < m->n_blocks; b++) {
                const stage *s = stages + b;
                float *to = out[b] ? out[b] + i * s->rows.out * s->columns.out * s->out_channels
                                   : spare + b % 2 * parts.output_floats;
                block_rows(s, kernels, pictures, x, &group, 0, s->rows.out, to);
                x = to;
            }
        }
        for (int64_t i = whole; i < n; i++) {
            const float *x = pictures->values + i * picture_floats;
            for (int b = 0; b < m->n_blocks; b++) {
                const stage *s = stages + b;
                float *to = out[b] ? out[b] + i * s->rows.out * s->columns.out * s->out_channels
                                   : parts.outputs + b % 2 * parts.output_floats;
                CBN_FOR(static, 1)
                for (int t = 0; t < num_threads; t++)
                    if (s->rows.out * t / num_threads < s->rows.out * (t + 1) / num_threads)
                        block_rows(s, kernels, pictures, x, &group, s->rows.out * t / num_threads,
                                   s->rows.out * (t + 1) / num_threads, to);
                x = to;
            }
        }
    }
    return CBN_OK;
}

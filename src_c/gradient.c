/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Surrogate gradient of the kernels. Two passes over 64 images at a time:
 *
 * 1. dL/dz of every node of the layer above: a sum of table look-ups, one in the node's own table (log-odds of the two
 *    rows' states) and one in a derived table of every child (log-odds that the node's state makes to the child). The
 *    derived tables are made once; the look-ups are those of score.c.
 * 2. At every position: the winner of the pooling, the slope of the surrogate, the window (gradient_template.h). Where
 *    one look-up table holds whole windows, the slope is a function of the window state, so that it multiplies the
 *    histogram at the end instead of every image.
 *
 * Images are cut into CBN_GRADIENT_PARTS runs of words whatever the number of threads. Each run has a histogram of its
 * own; they are added in order, so the sums have one order always.
 */
#include "windows.h"
#include "workspace.h"

#define CBN_GRADIENT_PARTS 16

/* Doubles of the derived tables of a channel: k + 1 tables for each node. */
static int64_t derived_size(const cbn_layer *layer, int channel) {
    const int k = cbn_parent_count(layer, channel);
    return (cbn_grid_positions(layer->grid) << (k + 1)) * (k + 1);
}

/* Start of the derived tables of a node: its own, then one for each relation of its channel. */
static int64_t derived_begin(const cbn_layer *layer, const cbn_place *place) {
    int64_t begin = 0;
    for (int c = 0; c < place->channel; c++) begin += derived_size(layer, c);
    const int64_t inside = (int64_t)place->row * layer->grid.width + place->column;
    return begin + (inside << (place->k + 1)) * (place->k + 1);
}

static void derive_tables(const cbn_layer *layer, const int64_t *counts, double pseudocount, int64_t node,
                          double *derived) {
    const cbn_place place = cbn_place_of(layer, node);
    const int64_t *n = counts + 2 * place.table;
    const int entries = 2 << place.k;
    double *own = derived + derived_begin(layer, &place);
    double *log_p = own; /* log p first, then each relation's differences, then the own log-odds in its place */
    int64_t sum[2] = {0, 0};
    for (int i = 0; i < entries; i += 2) {
        const double total = (double)(n[i] + n[i + 1]) + 2.0 * pseudocount;
        log_p[i] = cbn_log(((double)n[i] + pseudocount) / total);
        log_p[i + 1] = cbn_log(((double)n[i + 1] + pseudocount) / total);
        sum[0] += n[i];
        sum[1] += n[i + 1];
    }
    for (int j = 1; j <= place.k; j++) {
        double *difference = own + (int64_t)j * entries;
        for (int i = 0; i < entries; i++) difference[i] = log_p[i | 1 << j] - log_p[i & ~(1 << j)];
    }
    const double alone = cbn_log(((double)sum[1] + pseudocount) / ((double)sum[0] + pseudocount));
    for (int i = 0; i < entries; i += 2) own[i] = own[i + 1] = log_p[i + 1] - log_p[i] - alone;
}

/* by_state (nodes, 64) of the images of one word. */
static void state_gradient(const cbn_kernels *kernels, const cbn_layer *layer, const uint64_t *planes, int64_t n_words,
                           int64_t word, const double *derived, double *by_state) {
    const int64_t n_nodes = cbn_grid_nodes(layer->grid);
    memset(by_state, 0, sizeof *by_state * (size_t)(64 * n_nodes));
    for (int64_t node = 0; node < n_nodes; node++) {
        const cbn_place place = cbn_place_of(layer, node);
        int64_t parent[CBN_MAX_PARENTS];
        cbn_parents_of(layer, &place, parent);
        cbn_variables variables;
        cbn_variables_of(layer, &place, node, planes, n_words, &variables);
        double *sums[CBN_MAX_PARENTS + 1] = {by_state + 64 * node};
        for (int j = 0; j < place.k; j++) /* what this node, as a child, says to its parents */
            sums[j + 1] = parent[j] >= 0 ? by_state + 64 * parent[j] : NULL;
        kernels->score_tables(&variables, place.k + 1, word, derived + derived_begin(layer, &place), place.k + 1, sums);
    }
}

static int check_pair(const cbn_transition *transition, const cbn_layer *layer, int num_threads) {
    CBN_TRY(cbn_transition_check(transition));
    CBN_TRY(cbn_layer_check(layer));
    const cbn_window_plan plan = cbn_window_plan_of(transition);
    if (layer->grid.channels != transition->out_channels || layer->grid.height != plan.height ||
        layer->grid.width != plan.width)
        return CBN_E_SIZE;
    for (int64_t r = 0; r < layer->relation_begin[layer->grid.channels]; r++)
        if (layer->required[r]) return CBN_E_RELATION;
    return num_threads < 1 || num_threads > 65536 ? CBN_E_PARAMETER : CBN_OK;
}

/* The parts of a workspace that threads share, and what each has to itself. */
typedef struct {
    double *derived, *histograms;
    void *each;
} gradient_parts;

typedef struct {
    double *by_state;
    uint16_t *runs;
} own_parts;

static own_parts take_own(cbn_arena *arena, const cbn_layer *layer, const cbn_window_plan *plan) {
    own_parts own;
    own.by_state = cbn_take_rows(arena, 64, cbn_grid_nodes(layer->grid), sizeof *own.by_state);
    own.runs = cbn_take(arena, cbn_window_runs_size(plan), sizeof *own.runs);
    return own;
}

/* Places the sums in the plan, too. */
static gradient_parts take_parts(cbn_arena *arena, const cbn_layer *layer, cbn_window_plan *plan, int num_threads,
                                 cbn_arena *own) {
    gradient_parts parts;
    int64_t derived = 0;
    for (int c = 0; c < layer->grid.channels; c++) derived += derived_size(layer, c);
    plan->sums = cbn_take(arena, cbn_window_sums_size(plan), sizeof *plan->sums);
    parts.derived = cbn_take(arena, derived, sizeof *parts.derived);
    parts.histograms = cbn_take_rows(arena, CBN_GRADIENT_PARTS, cbn_window_sums_size(plan), sizeof *parts.histograms);
    *own = cbn_counting_arena();
    take_own(own, layer, plan);
    parts.each = cbn_take_each(arena, own, num_threads);
    return parts;
}

int cbn_kernel_gradient_workspace_size(const cbn_transition *transition, const cbn_layer *layer, int64_t n_images,
                                       int num_threads, int64_t *bytes) {
    CBN_TRY(check_pair(transition, layer, num_threads));
    if (n_images < 1) return CBN_E_SIZE;
    cbn_window_plan plan = cbn_window_plan_of(transition);
    cbn_arena arena = cbn_counting_arena(), own;
    take_parts(&arena, layer, &plan, num_threads, &own);
    return cbn_arena_size(&arena, bytes);
}

/* histogram: gradient by window state -> by weight. */
static void collect(const cbn_window_plan *plan, const double *histogram, double *weights, double *bias) {
    const cbn_transition *t = plan->transition;
    const int size = t->kernel_size, states = 1 << plan->bits;
    const int64_t per_channel = (int64_t)size * size;
    for (int k = 0; k < t->out_channels; k++)
        for (int c = 0; c < t->in_channels; c++)
            for (int j = 0; j < plan->chunks; j++) {
                const double *table = histogram + (((int64_t)c * plan->chunks + j) << plan->bits) * plan->lanes + k;
                for (int bit = 0; bit < plan->bits; bit++) {
                    const int row = j * plan->chunk_rows + bit / size;
                    if (row >= size) continue;
                    double sum = 0.0;
                    for (int s = 0; s < states; s++)
                        if (s >> bit & 1) sum += table[(int64_t)s * plan->lanes];
                    weights[((int64_t)k * t->in_channels + c) * per_channel + row * size + bit % size] = sum;
                }
                if (c == 0 && j == 0) {
                    bias[k] = 0.0;
                    for (int s = 0; s < states; s++) bias[k] += table[(int64_t)s * plan->lanes];
                }
            }
}

int cbn_kernel_gradient(const cbn_transition *transition, const cbn_objective *objective, cbn_planes planes_in,
                        const uint64_t *planes_out, double *weights, double *bias, cbn_workspace workspace,
                        int num_threads) {
    if (!objective) return CBN_E_NULL;
    const cbn_layer *layer = objective->layer;
    const double sharpness = objective->sharpness, pseudocount = objective->pseudocount;
    CBN_TRY(check_pair(transition, layer, num_threads));
    if (!planes_in.words || !planes_out || !objective->counts || !weights || !bias) return CBN_E_NULL;
    if (planes_in.n_images < 1) return CBN_E_SIZE;
    if (!(pseudocount >= 1e-9 && pseudocount <= 1e9) || !(sharpness >= 1e-3 && sharpness <= 1e3))
        return CBN_E_PARAMETER;
    cbn_window_plan plan = cbn_window_plan_of(transition);
    cbn_arena arena = cbn_arena_of(workspace), one;
    const gradient_parts parts = take_parts(&arena, layer, &plan, num_threads, &one);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(planes_in.n_images), positions = cbn_grid_positions(layer->grid);
    const int64_t n_nodes = cbn_grid_nodes(layer->grid), size = cbn_window_sums_size(&plan);
    cbn_window_fill(&plan);
    for (int64_t node = 0; node < n_nodes; node++)
        derive_tables(layer, objective->counts, pseudocount, node, parts.derived);
    memset(parts.histograms, 0, sizeof *parts.histograms * (size_t)(CBN_GRADIENT_PARTS * size));
    const double work = (double)n_words * 5.0 * cbn_window_work(&plan);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, work), CBN_GRADIENT_PARTS, dynamic)
    for (int part = 0; part < CBN_GRADIENT_PARTS; part++) {
        cbn_arena memory = cbn_own_arena(parts.each, &one);
        const own_parts own = take_own(&memory, layer, &plan);
        for (int64_t w = n_words * part / CBN_GRADIENT_PARTS; w < n_words * (part + 1) / CBN_GRADIENT_PARTS; w++) {
            const int n = planes_in.n_images - 64 * w < 64 ? (int)(planes_in.n_images - 64 * w) : 64;
            state_gradient(kernels, layer, planes_out, n_words, w, parts.derived, own.by_state);
            for (int y = 0; y < layer->grid.height; y++) {
                kernels->window_runs(&plan, planes_in.words, n_words, w, y, own.runs);
                for (int x = 0; x < layer->grid.width; x++)
                    kernels->gradient_position(&plan, own.runs, x, n, sharpness,
                                               own.by_state + 64 * ((int64_t)y * layer->grid.width + x),
                                               64 * positions, parts.histograms + part * size);
            }
        }
    }
    for (int part = 1; part < CBN_GRADIENT_PARTS; part++)
        for (int64_t i = 0; i < size; i++) parts.histograms[i] += parts.histograms[part * size + i];
    if (transition->in_channels * plan.chunks == 1)
        kernels->multiply_slope(plan.sums, size, sharpness, parts.histograms);
    collect(&plan, parts.histograms, weights, bias);
    return CBN_OK;
}

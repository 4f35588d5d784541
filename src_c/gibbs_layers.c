/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gibbs sampling through all layers (thesis Algorithm 1 over the product of the layers). The layers are laid out here;
 * the proposals are made in kernels/gibbs_layers_template.h. Threads own groups of chains, one group after another in
 * the same memory. Nothing depends on how chains are grouped, so groups are made as even as the threads allow.
 */
#include "chains.h"

/* A workspace is cut into parts, each rounded up to whole 64-byte lines. A NULL base only counts. */
typedef struct {
    char *base;
    int64_t used;
} cbn_cutter;

static int cut(cbn_cutter *cutter, int64_t count, int64_t size, void *part) {
    int64_t bytes;
    CBN_TRY(cbn_multiply(count, size, &bytes));
    if (bytes > INT64_MAX / 2 || cutter->used > INT64_MAX / 2) return CBN_E_SIZE;
    if (cutter->base) {
        char *start = cutter->base + cutter->used;
        memcpy(part, &start, sizeof start);
    }
    cutter->used += (bytes + 63) / 64 * 64;
    return CBN_OK;
}

static int check_layers(int n_layers, const cbn_layer *layers, const cbn_transition *transitions) {
    if (!layers) return CBN_E_NULL;
    if (n_layers < 1 || n_layers > CBN_MAX_LAYERS) return CBN_E_SIZE;
    if (n_layers > 1 && !transitions) return CBN_E_NULL;
    for (int l = 0; l < n_layers; l++) {
        CBN_TRY(cbn_layer_check(layers + l));
        if (l == 0) continue;
        const cbn_layer *below = layers + l - 1, *own = layers + l;
        const cbn_transition *t = transitions + l - 1;
        CBN_TRY(cbn_transition_check(t));
        if (t->in_channels != below->channels || t->in_height != below->height || t->in_width != below->width ||
            t->out_channels != own->channels || (t->in_height - t->kernel_size + 1) / t->pool != own->height ||
            (t->in_width - t->kernel_size + 1) / t->pool != own->width)
            return CBN_E_SIZE;
        for (int64_t r = 0; r < own->relation_begin[own->channels]; r++)
            if (own->required[r]) return CBN_E_RELATION;
    }
    return CBN_OK;
}

/* Sums of convolution windows along one side that change with `changed` neighbouring nodes below. */
static int box_side(int changed, const cbn_transition *t, int n_sums) {
    const int64_t side = (int64_t)changed + t->kernel_size - 1;
    return side < n_sums ? (int)side : n_sums;
}

/* The sizes of every layer, and where its tables and its relations by parent are; they are filled in if `fill`. */
static int plan_layers(cbn_chain_plan *plan, const cbn_layer *layers, const cbn_transition *transitions,
                       const int64_t *values, cbn_cutter *cutter) {
    int rows = 1, columns = 1; /* extent of what changes in the layer below */
    for (int l = 0; l < plan->n_layers; l++) {
        cbn_chain_layer *own = plan->layer + l;
        const cbn_layer *layer = own->layer = layers + l;
        const int64_t n_relations = layer->relation_begin[layer->channels];
        own->n_nodes = cbn_nodes(layer);
        own->values = values;
        if (values) values += 2 * cbn_channel_row(layer, layer->channels);
        if (l > 0) {
            const cbn_transition *t = own->transition = transitions + l - 1;
            own->sum_height = layer->height * t->pool, own->sum_width = layer->width * t->pool;
            own->box_height = box_side(rows, t, own->sum_height), own->box_width = box_side(columns, t, own->sum_width);
            rows = (own->box_height + t->pool - 2) / t->pool + 1;
            columns = (own->box_width + t->pool - 2) / t->pool + 1;
        }
        int64_t *channel_row = NULL, *child_begin = NULL;
        int32_t *child = NULL, *dy = NULL, *dx = NULL;
        CBN_TRY(cut(cutter, layer->channels, sizeof *channel_row, &channel_row));
        CBN_TRY(cut(cutter, (int64_t)layer->channels + 1, sizeof *child_begin, &child_begin));
        CBN_TRY(cut(cutter, n_relations, sizeof *child, &child));
        CBN_TRY(cut(cutter, n_relations, sizeof *dy, &dy));
        CBN_TRY(cut(cutter, n_relations, sizeof *dx, &dx));
        if (!cutter->base) continue;
        int64_t n = 0;
        for (int parent = 0; parent < layer->channels; parent++) {
            channel_row[parent] = cbn_channel_row(layer, parent);
            child_begin[parent] = n;
            for (int c = 0; c < layer->channels; c++)
                for (int64_t r = layer->relation_begin[c]; r < layer->relation_begin[c + 1]; r++) {
                    if (layer->parent_channel[r] != parent) continue;
                    child[n] = c, dy[n] = -layer->dy[r], dx[n] = -layer->dx[r];
                    own->required |= layer->required[r];
                    n++;
                }
        }
        child_begin[layer->channels] = n;
        own->channel_row = channel_row, own->child_begin = child_begin;
        own->child = child, own->child_dy = dy, own->child_dx = dx;
    }
    return CBN_OK;
}

/* The memory of one group of chains. */
static int cut_state(const cbn_chain_plan *plan, cbn_cutter *cutter, cbn_chain_state state[CBN_MAX_LAYERS]) {
    for (int l = 0; l < plan->n_layers; l++) {
        const cbn_chain_layer *own = plan->layer + l;
        cbn_chain_state *s = state + l;
        CBN_TRY(cut(cutter, own->n_nodes, sizeof *s->state, &s->state));
        CBN_TRY(cut(cutter, own->n_nodes, sizeof *s->changed, &s->changed));
        CBN_TRY(cut(cutter, own->n_nodes, sizeof *s->scored_at, &s->scored_at));
        CBN_TRY(cut(cutter, own->n_nodes, sizeof *s->list, &s->list));
        if (l == 0) continue;
        /* at most 2^31 / CBN_MAX_KERNELS positions (cbn_transition_check) times CBN_MAX_KERNELS kernels */
        const int64_t vector = CBN_GROUP * (int64_t)sizeof(int32_t) * own->layer->channels;
        CBN_TRY(cut(cutter, (int64_t)own->sum_height * own->sum_width, vector, &s->sums));
        CBN_TRY(cut(cutter, (int64_t)own->box_height * own->box_width, vector, &s->proposed));
    }
    return CBN_OK;
}

/* Chains of a group: as even as the threads allow, at most CBN_GROUP. */
static int64_t chains_per_group(int64_t n_chains, int num_threads) {
    const int64_t threads = cbn_useful_threads(num_threads, n_chains), share = (n_chains + threads - 1) / threads;
    const int64_t groups = (share + CBN_GROUP - 1) / CBN_GROUP;
    return (share + groups - 1) / groups;
}

int cbn_gibbs_layers_workspace_size(int n_layers, const cbn_layer *layers, const cbn_transition *transitions,
                                    int64_t n_chains, int num_threads, int64_t *bytes) {
    CBN_TRY(check_layers(n_layers, layers, transitions));
    if (!bytes) return CBN_E_NULL;
    if (n_chains < 1 || n_chains > UINT32_MAX) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_chain_plan plan = {.n_layers = n_layers};
    cbn_chain_state state[CBN_MAX_LAYERS];
    cbn_cutter shared = {NULL, 0}, own = {NULL, 0};
    CBN_TRY(plan_layers(&plan, layers, transitions, NULL, &shared));
    CBN_TRY(cut_state(&plan, &own, state));
    int64_t all;
    CBN_TRY(cbn_multiply(own.used, cbn_useful_threads(num_threads, n_chains), &all));
    if (all > INT64_MAX - shared.used) return CBN_E_SIZE;
    *bytes = shared.used + all;
    return CBN_OK;
}

int cbn_sample_gibbs_layers(int n_layers, const cbn_layer *layers, const cbn_transition *transitions,
                            const int64_t *values, double unit, const double *inverse_temperature, uint64_t seed,
                            uint64_t first_step, int64_t n_steps, const int64_t *sites, int64_t n_sites,
                            int64_t n_chains, uint8_t *states, void *workspace, int64_t workspace_bytes,
                            int num_threads) {
    int64_t needed;
    CBN_TRY(cbn_gibbs_layers_workspace_size(n_layers, layers, transitions, n_chains, num_threads, &needed));
    if (!values || !sites || !states || !workspace || (n_steps > 0 && !inverse_temperature)) return CBN_E_NULL;
    if (n_sites < 1 || n_sites > UINT32_MAX || n_steps < 0) return CBN_E_SIZE;
    if (!(unit > 0.0 && unit <= 1.7976931348623157e308)) return CBN_E_PARAMETER;
    if (workspace_bytes < needed) return CBN_E_WORKSPACE;
    for (int64_t n = 0; n < n_steps; n++)
        if (!(inverse_temperature[n] >= 0.0)) return CBN_E_PARAMETER;
    const int64_t n_nodes = cbn_nodes(layers);
    for (int64_t i = 0; i < n_sites; i++)
        if (sites[i] < 0 || sites[i] >= n_nodes) return CBN_E_SITE;
    cbn_chain_plan plan = {.n_layers = n_layers, .unit = unit, .inverse_temperature = inverse_temperature,
                           .seed = seed, .first_step = first_step, .n_steps = n_steps, .sites = sites,
                           .n_sites = (uint64_t)n_sites};
    cbn_cutter shared = {workspace, 0}, count = {NULL, 0};
    cbn_chain_state sizes[CBN_MAX_LAYERS];
    CBN_TRY(plan_layers(&plan, layers, transitions, values, &shared));
    CBN_TRY(cut_state(&plan, &count, sizes));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t width = chains_per_group(n_chains, num_threads), n_groups = (n_chains + width - 1) / width;
    char *const first = (char *)workspace + shared.used;
    CBN_PARALLEL_FOR(num_threads, n_groups, static)
    for (int64_t g = 0; g < n_groups; g++) {
        const int64_t thread = cbn_thread();
        cbn_chain_state state[CBN_MAX_LAYERS];
        cbn_cutter own = {first + thread * count.used, 0};
        cut_state(&plan, &own, state);
        const int64_t from = g * width, end = from + width < n_chains ? from + width : n_chains;
        cbn_gather_group(states, end, n_nodes, from, state[0].state);
        kernels->gibbs_layers_group(&plan, (uint32_t)from, (uint32_t)(((uint64_t)1 << (end - from)) - 1), state);
        cbn_scatter_group(state[0].state, end, n_nodes, from, states);
    }
    return CBN_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gibbs sampling through all layers (thesis Algorithm 1 over the product of the layers). The layers are laid out here;
 * the proposals are made in kernels/gibbs_layers_template.h. Threads own groups of chains, one group after another in
 * the same memory. Nothing depends on how chains are grouped, so groups are made as even as the threads allow.
 */
#include "chains.h"
#include "workspace.h"

static int check_stack(const cbn_stack *stack) {
    if (!stack || !stack->layers) return CBN_E_NULL;
    if (stack->n_layers < 1 || stack->n_layers > CBN_MAX_LAYERS) return CBN_E_SIZE;
    if (stack->n_layers > 1 && !stack->transitions) return CBN_E_NULL;
    for (int l = 0; l < stack->n_layers; l++) {
        CBN_TRY(cbn_layer_check(stack->layers + l));
        if (l == 0) continue;
        const cbn_layer *below = stack->layers + l - 1, *own = stack->layers + l;
        const cbn_transition *t = stack->transitions + l - 1;
        CBN_TRY(cbn_transition_check(t));
        const cbn_grid from = below->grid, to = own->grid;
        if (t->in_channels != from.channels || t->in_height != from.height || t->in_width != from.width ||
            t->out_channels != to.channels || (t->in_height - t->kernel_size + 1) / t->pool != to.height ||
            (t->in_width - t->kernel_size + 1) / t->pool != to.width)
            return CBN_E_SIZE;
        for (int64_t r = 0; r < own->relation_begin[to.channels]; r++)
            if (own->required[r]) return CBN_E_RELATION;
    }
    return CBN_OK;
}

/* Sums of convolution windows along one side that change with `changed` neighbouring nodes below. */
static int box_side(int changed, const cbn_transition *t, int n_sums) {
    const int64_t side = (int64_t)changed + t->kernel_size - 1;
    return side < n_sums ? (int)side : n_sums;
}

/* The sizes of every layer, and where its tables and its relations by parent are; over memory, these are filled in. */
static void plan_layers(cbn_chain_plan *plan, const cbn_stack *stack, const int64_t *values, cbn_arena *arena) {
    int rows = 1, columns = 1; /* extent of what changes in the layer below */
    for (int l = 0; l < plan->n_layers; l++) {
        cbn_chain_layer *own = plan->layer + l;
        const cbn_layer *layer = own->layer = stack->layers + l;
        const int64_t n_relations = layer->relation_begin[layer->grid.channels];
        own->n_nodes = cbn_grid_nodes(layer->grid);
        own->values = values;
        if (values) values += 2 * cbn_channel_row(layer, layer->grid.channels);
        if (l > 0) {
            const cbn_transition *t = own->transition = stack->transitions + l - 1;
            own->sum_height = layer->grid.height * t->pool, own->sum_width = layer->grid.width * t->pool;
            own->box_height = box_side(rows, t, own->sum_height), own->box_width = box_side(columns, t, own->sum_width);
            rows = (own->box_height + t->pool - 2) / t->pool + 1;
            columns = (own->box_width + t->pool - 2) / t->pool + 1;
        }
        int64_t *channel_row = cbn_take(arena, layer->grid.channels, sizeof *channel_row);
        int64_t *child_begin = cbn_take(arena, (int64_t)layer->grid.channels + 1, sizeof *child_begin);
        int32_t *child = cbn_take(arena, n_relations, sizeof *child);
        int32_t *dy = cbn_take(arena, n_relations, sizeof *dy), *dx = cbn_take(arena, n_relations, sizeof *dx);
        if (!arena->memory || arena->status != CBN_OK) continue;
        int64_t n = 0;
        for (int parent = 0; parent < layer->grid.channels; parent++) {
            channel_row[parent] = cbn_channel_row(layer, parent);
            child_begin[parent] = n;
            for (int c = 0; c < layer->grid.channels; c++)
                for (int64_t r = layer->relation_begin[c]; r < layer->relation_begin[c + 1]; r++) {
                    if (layer->parent_channel[r] != parent) continue;
                    child[n] = c, dy[n] = -layer->dy[r], dx[n] = -layer->dx[r];
                    own->required |= layer->required[r];
                    n++;
                }
        }
        child_begin[layer->grid.channels] = n;
        own->channel_row = channel_row, own->child_begin = child_begin;
        own->child = child, own->child_dy = dy, own->child_dx = dx;
    }
}

/* The memory of one group of chains. */
static void take_state(cbn_arena *arena, const cbn_chain_plan *plan, cbn_chain_state state[CBN_MAX_LAYERS]) {
    for (int l = 0; l < plan->n_layers; l++) {
        const cbn_chain_layer *own = plan->layer + l;
        cbn_chain_state *s = state + l;
        s->state = cbn_take(arena, own->n_nodes, sizeof *s->state);
        s->changed = cbn_take(arena, own->n_nodes, sizeof *s->changed);
        s->scored_at = cbn_take(arena, own->n_nodes, sizeof *s->scored_at);
        s->list = cbn_take(arena, own->n_nodes, sizeof *s->list);
        if (l == 0) continue;
        /* at most 2^31 / CBN_MAX_KERNELS positions (cbn_transition_check) times CBN_MAX_KERNELS kernels */
        const int64_t vector = CBN_GROUP * (int64_t)sizeof(int32_t) * own->layer->grid.channels;
        s->sums = cbn_take_rows(arena, own->sum_height, own->sum_width, vector);
        s->proposed = cbn_take_rows(arena, own->box_height, own->box_width, vector);
    }
}

/* Plans the layers; the states of every thread, `one` having counted those of one. */
static void *take_parts(cbn_arena *arena, cbn_chain_plan *plan, const cbn_stack *stack, const int64_t *values,
                        int64_t n_threads, cbn_arena *one) {
    cbn_chain_state state[CBN_MAX_LAYERS];
    plan_layers(plan, stack, values, arena);
    *one = cbn_counting_arena();
    take_state(one, plan, state);
    return cbn_take_each(arena, one, n_threads);
}

int cbn_gibbs_layers_workspace_size(const cbn_stack *stack, int64_t n_chains, int num_threads, int64_t *bytes) {
    CBN_TRY(check_stack(stack));
    if (n_chains < 1 || n_chains > UINT32_MAX) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_chain_plan plan = {.n_layers = stack->n_layers};
    cbn_arena arena = cbn_counting_arena(), one;
    take_parts(&arena, &plan, stack, NULL, cbn_useful_threads(num_threads, n_chains), &one);
    return cbn_arena_size(&arena, bytes);
}

static int check_energy(const cbn_energy *energy, const cbn_steps *steps) {
    if (!energy || !energy->values || (steps->n > 0 && !energy->inverse_temperature)) return CBN_E_NULL;
    if (!(energy->unit > 0.0 && energy->unit <= 1.7976931348623157e308)) return CBN_E_PARAMETER;
    for (int64_t n = 0; n < steps->n; n++)
        if (!(energy->inverse_temperature[n] >= 0.0)) return CBN_E_PARAMETER;
    return CBN_OK;
}

int cbn_sample_gibbs_layers(const cbn_stack *stack, const cbn_energy *energy, const cbn_steps *steps, cbn_chains chains,
                            cbn_workspace workspace, int num_threads) {
    CBN_TRY(check_stack(stack));
    if (!chains.states) return CBN_E_NULL;
    if (chains.n < 1 || chains.n > UINT32_MAX) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    const int64_t n_nodes = cbn_grid_nodes(stack->layers->grid);
    CBN_TRY(cbn_steps_check(steps, n_nodes));
    CBN_TRY(check_energy(energy, steps));
    cbn_chain_plan plan = {.n_layers = stack->n_layers, .unit = energy->unit,
                           .inverse_temperature = energy->inverse_temperature, .steps = steps};
    num_threads = cbn_worth(num_threads, 500.0 * plan.n_layers * (double)(steps->n * cbn_groups(chains.n)));
    const int64_t n_threads = cbn_useful_threads(num_threads, chains.n);
    cbn_arena counted = cbn_counting_arena(), arena = cbn_arena_of(workspace), one;
    take_parts(&counted, &plan, stack, energy->values, n_threads, &one);
    CBN_TRY(cbn_arena_fits(&counted, workspace)); /* before the layers are filled in */
    void *each = take_parts(&arena, &plan, stack, energy->values, n_threads, &one);
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t width = cbn_chains_per_group(chains.n, num_threads, CBN_GROUP);
    const int64_t n_groups = (chains.n + width - 1) / width;
    CBN_PARALLEL_FOR(num_threads, n_groups, static)
    for (int64_t g = 0; g < n_groups; g++) {
        cbn_chain_state state[CBN_MAX_LAYERS];
        cbn_arena own = cbn_own_arena(each, &one);
        take_state(&own, &plan, state);
        const int64_t from = g * width, end = from + width < chains.n ? from + width : chains.n;
        const cbn_chains group = {end, chains.states};
        cbn_gather_group(group, n_nodes, from, state[0].state);
        kernels->gibbs_layers_group(&plan, (uint32_t)from, (uint32_t)(((uint64_t)1 << (end - from)) - 1), state);
        cbn_scatter_group(state[0].state, n_nodes, from, group);
    }
    return CBN_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes and look-up tables of window sums. */
#include "windows.h"

cbn_window_plan cbn_window_plan_of(const cbn_transition *transition) {
    cbn_window_plan plan;
    const int size = transition->kernel_size;
    memset(&plan, 0, sizeof plan);
    plan.transition = transition;
    plan.height = (transition->in_height - size + 1) / transition->pool;
    plan.width = (transition->in_width - size + 1) / transition->pool;
    plan.chunk_rows = CBN_CHUNK_BITS / size < size ? CBN_CHUNK_BITS / size : size;
    plan.chunks = (size + plan.chunk_rows - 1) / plan.chunk_rows;
    plan.bits = plan.chunk_rows * size;
    plan.lanes = (transition->out_channels + CBN_LANES - 1) / CBN_LANES * CBN_LANES;
    plan.run_rows = transition->pool + size - 1;
    plan.run_columns = plan.width * transition->pool + size - 1;
    return plan;
}

int64_t cbn_window_sums_size(const cbn_window_plan *plan) {
    return ((int64_t)plan->transition->in_channels * plan->chunks << plan->bits) * plan->lanes;
}

void cbn_window_fill(cbn_window_plan *plan) {
    const cbn_transition *t = plan->transition;
    const int size = t->kernel_size;
    for (int c = 0; c < t->in_channels; c++)
        for (int j = 0; j < plan->chunks; j++) {
            int32_t *table = plan->sums + (((int64_t)c * plan->chunks + j) << plan->bits) * plan->lanes;
            for (int k = 0; k < plan->lanes; k++) {
                const int first = c == 0 && j == 0;
                table[k] = k < t->out_channels ? (first ? t->bias[k] : 0) : (first ? -1 : 0);
            }
            for (int s = 1; s < 1 << plan->bits; s++) { /* from the state without its lowest bit */
                int bit = 0;
                while (!(s >> bit & 1)) bit++;
                const int row = j * plan->chunk_rows + bit / size;
                const int32_t *rest = table + (int64_t)(s & (s - 1)) * plan->lanes;
                int32_t *own = table + (int64_t)s * plan->lanes;
                for (int k = 0; k < plan->lanes; k++) {
                    own[k] = rest[k];
                    if (k < t->out_channels && row < size)
                        own[k] += t->weights[(((int64_t)k * t->in_channels + c) * size + row) * size + bit % size];
                }
            }
        }
    if (plan->fire)
        for (int s = 0; s < 1 << plan->bits; s++)
            for (int lane = 0; lane < plan->lanes; lane += CBN_LANES) {
                const int32_t *sum = plan->sums + (int64_t)s * plan->lanes + lane;
                uint8_t above = 0;
                for (int k = 0; k < CBN_LANES; k++) above |= (uint8_t)((sum[k] > 0) << k);
                plan->fire[((int64_t)lane / CBN_LANES << plan->bits) + s] = above;
            }
}

int64_t cbn_window_runs_size(const cbn_window_plan *plan) {
    return 64 * (int64_t)plan->transition->in_channels * plan->run_rows * plan->run_columns;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Look-up tables of window sums, and bit-planes turned into rows of bits per image. */
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
    plan.row_words = (transition->in_width + 63) / 64 + 1;
    plan.image_words = (int64_t)transition->in_channels * transition->in_height * plan.row_words;
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
        for (int s = 0; s < 1 << plan->bits; s++) {
            plan->fire[s] = 0;
            for (int k = 0; k < t->out_channels; k++)
                plan->fire[s] |= (uint64_t)(plan->sums[(int64_t)s * plan->lanes + k] > 0) << k;
        }
}

void cbn_window_rows(const cbn_kernels *kernels, const cbn_window_plan *plan, const uint64_t *planes, int64_t n_words,
                     int64_t word, uint64_t *rows) {
    const cbn_transition *t = plan->transition;
    const int64_t n_rows = (int64_t)t->in_channels * t->in_height;
    uint64_t m[64];
    for (int64_t r = 0; r < n_rows; r++)
        for (int part = 0; part < plan->row_words; part++) {
            const int64_t first = 64 * (int64_t)part, left = t->in_width - first;
            for (int64_t x = 0; x < 64; x++) m[x] = x < left ? planes[(r * t->in_width + first + x) * n_words + word] : 0;
            if (left > 0) kernels->transpose(m);
            for (int64_t i = 0; i < 64; i++) rows[i * plan->image_words + r * plan->row_words + part] = m[i];
        }
}

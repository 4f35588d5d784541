/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Convolution, max pooling and threshold on bits. Threads own plane words, that is 64 images: row by row of the layer
 * above, pixels become runs, runs become windows, and what every kernel says of a window is looked up (see kernels.h).
 */
#include "windows.h"
#include "workspace.h"

int cbn_transition_check(const cbn_transition *t) {
    if (!t || !t->weights || !t->bias) return CBN_E_NULL;
    if (t->in_channels < 1 || t->in_height < 1 || t->in_width < 1 || t->out_channels < 1 || t->pool < 1)
        return CBN_E_SIZE;
    if (t->in_channels > CBN_MAX_KERNELS || t->out_channels > CBN_MAX_KERNELS || t->kernel_size < 1 ||
        t->kernel_size > CBN_MAX_KERNEL_SIZE)
        return CBN_E_TRANSITION;
    if ((int64_t)t->kernel_size + t->pool - 1 > (t->in_height < t->in_width ? t->in_height : t->in_width))
        return CBN_E_TRANSITION;
    if ((int64_t)t->in_height * t->in_width > INT32_MAX / CBN_MAX_KERNELS) return CBN_E_SIZE;
    const int64_t per_kernel = (int64_t)t->in_channels * t->kernel_size * t->kernel_size;
    for (int k = 0; k < t->out_channels; k++) {
        int64_t sum = t->bias[k] < 0 ? -(int64_t)t->bias[k] : t->bias[k];
        for (int64_t i = 0; i < per_kernel; i++) {
            const int64_t w = t->weights[k * per_kernel + i];
            sum += w < 0 ? -w : w;
        }
        if (sum > INT32_MAX) return CBN_E_TRANSITION;
    }
    return CBN_OK;
}

/* Places the tables in the plan; the runs of every thread. */
static uint16_t *take_parts(cbn_arena *arena, cbn_window_plan *plan, int num_threads, cbn_arena *own) {
    plan->sums = cbn_take(arena, cbn_window_sums_size(plan), sizeof *plan->sums);
    plan->fire = NULL;
    if (plan->transition->in_channels * plan->chunks == 1)
        plan->fire = cbn_take(arena, (int64_t)plan->lanes / CBN_LANES << plan->bits, sizeof *plan->fire);
    *own = cbn_counting_arena();
    cbn_take(own, cbn_window_runs_size(plan), sizeof(uint16_t));
    return cbn_take_each(arena, own, num_threads);
}

int cbn_transition_workspace_size(const cbn_transition *transition, int num_threads, int64_t *bytes) {
    CBN_TRY(cbn_transition_check(transition));
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_window_plan plan = cbn_window_plan_of(transition);
    cbn_arena arena = cbn_counting_arena(), own;
    take_parts(&arena, &plan, num_threads, &own);
    return cbn_arena_size(&arena, bytes);
}

static void forward_word(const cbn_kernels *kernels, const cbn_window_plan *plan, cbn_planes planes_in,
                         int64_t word, uint64_t *planes_out, uint16_t *runs) {
    const int64_t n_words = cbn_plane_words(planes_in.n_images), positions = (int64_t)plan->height * plan->width;
    const int64_t n = planes_in.n_images - 64 * word;
    const uint64_t there = n < 64 ? ((uint64_t)1 << n) - 1 : ~(uint64_t)0;
    for (int y = 0; y < plan->height; y++) {
        kernels->window_runs(plan, planes_in.words, n_words, word, y, runs);
        for (int x = 0; x < plan->width; x++) {
            uint64_t fired[CBN_MAX_KERNELS];
            kernels->transition_position(plan, runs, x, fired);
            const int64_t position = (int64_t)y * plan->width + x;
            for (int k = 0; k < plan->transition->out_channels; k++)
                planes_out[(k * positions + position) * n_words + word] = fired[k] & there;
        }
    }
}

static void sums_of_word(const cbn_kernels *kernels, const cbn_window_plan *plan, cbn_planes planes_in, int64_t word,
                         int32_t *sums, uint16_t *runs) {
    const int64_t n_images = planes_in.n_images, n_words = cbn_plane_words(n_images);
    const int64_t positions = (int64_t)plan->height * plan->width, first = 64 * word;
    const int n = n_images - first < 64 ? (int)(n_images - first) : 64, channels = plan->transition->out_channels;
    for (int y = 0; y < plan->height; y++) {
        kernels->window_runs(plan, planes_in.words, n_words, word, y, runs);
        for (int x = 0; x < plan->width; x++)
            for (int lane = 0; lane < channels; lane += CBN_LANES) {
                int32_t greatest[64][CBN_LANES];
                kernels->greatest_sums(plan, runs, x, lane, greatest);
                for (int k = 0; k < CBN_LANES && lane + k < channels; k++) {
                    int32_t *own = sums + ((lane + k) * positions + (int64_t)y * plan->width + x) * n_images + first;
                    for (int i = 0; i < n; i++) own[i] = greatest[i][k];
                }
            }
    }
}

/* planes_out or sums, whichever is there. */
static int each_word(const cbn_transition *transition, cbn_planes planes_in, uint64_t *planes_out, int32_t *sums,
                     cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_transition_check(transition));
    if (!planes_in.words || (!planes_out && !sums)) return CBN_E_NULL;
    if (planes_in.n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_window_plan plan = cbn_window_plan_of(transition);
    cbn_arena arena = cbn_arena_of(workspace), own;
    uint16_t *each = take_parts(&arena, &plan, num_threads, &own);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(planes_in.n_images);
    cbn_window_fill(&plan);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, (double)n_words * cbn_window_work(&plan)), n_words, static)
    for (int64_t w = 0; w < n_words; w++) {
        uint16_t *runs = (uint16_t *)cbn_own_arena(each, &own).memory;
        if (sums) sums_of_word(kernels, &plan, planes_in, w, sums, runs);
        else forward_word(kernels, &plan, planes_in, w, planes_out, runs);
    }
    return CBN_OK;
}

int cbn_transition_forward(const cbn_transition *transition, cbn_planes planes_in, uint64_t *planes_out,
                           cbn_workspace workspace, int num_threads) {
    return each_word(transition, planes_in, planes_out, NULL, workspace, num_threads);
}

int cbn_transition_sums(const cbn_transition *transition, cbn_planes planes_in, int32_t *sums, cbn_workspace workspace,
                        int num_threads) {
    return each_word(transition, planes_in, NULL, sums, workspace, num_threads);
}

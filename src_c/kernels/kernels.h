/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hot loops, one set per instruction set. Each set is made by including the four *_template.h files in a file that
 * defines their macros (generic.c, avx2.c, avx512.c). All sets give the same bytes: integers are exact, and sums of
 * doubles run over nodes in the same order for every image, whatever the vector width.
 */
#ifndef CBN_KERNELS_H
#define CBN_KERNELS_H

#include "../internal.h"

/* Most variables (a node and its present parents) that count_subsets takes: 2^6 counters. */
#define CBN_SUBSET_VARIABLES 6
/* Images that one call of score_block handles: 8 words of a plane, one cache line. */
#define CBN_SCORE_WORDS 8
#define CBN_SCORE_BLOCK (64 * CBN_SCORE_WORDS)

/* A node (first) and its present parents: the plane of variable i is bit bit[i] of the node's table index, which is
 * 2 * row + state. */
typedef struct {
    int n;
    const uint64_t *plane[CBN_MAX_PARENTS + 1];
    int bit[CBN_MAX_PARENTS + 1];
} cbn_variables;

static inline void cbn_variables_of(const cbn_layer *layer, const cbn_place *place, int64_t node,
                                    const uint64_t *planes, int64_t n_words, cbn_variables *variables) {
    int64_t parent[CBN_MAX_PARENTS];
    cbn_parents_of(layer, place, parent);
    variables->n = 1;
    variables->plane[0] = planes + node * n_words;
    variables->bit[0] = 0;
    for (int j = 0; j < place->k; j++) {
        if (parent[j] < 0) continue;
        variables->plane[variables->n] = planes + parent[j] * n_words;
        variables->bit[variables->n++] = j + 1;
    }
}

/* What a Gibbs chain group needs, besides its state. */
typedef struct {
    const cbn_layer *layer;
    const double *probability; /* (rows, 2) */
    uint64_t seed, first_step;
    int64_t n_steps;
    const int64_t *sites;
    uint64_t n_sites;
} cbn_gibbs_plan;

typedef struct {
    const char *name;
    /* planes[p * n_words + word] for the 64 images from `images` on (fewer: n_images < 64, rest 0). */
    void (*pack_word)(const uint8_t *images, int64_t n_images, int64_t n_pixels, int cutoff, uint64_t *planes,
                      int64_t n_words);
    /* superset[s] = number of images in which all variables of the subset s (a bit mask) are 1; superset[0] is left
     * alone. n <= CBN_SUBSET_VARIABLES. */
    void (*count_subsets)(const uint64_t *const *plane, int n, int64_t n_words, int64_t *superset);
    /* sums[i] += values[index of image i], for 64 * n_words images from word first_word on; n_words <= CBN_SCORE_WORDS. */
    void (*score_block)(const cbn_variables *variables, int table_bits, int64_t first_word, int n_words,
                        const double *values, double *sums);
    /* state: one 32-bit word per node, one bit per chain; chain number first_chain is bit 0. */
    void (*gibbs_group)(const cbn_gibbs_plan *plan, uint32_t first_chain, uint32_t *state);
    void (*ancestral_group)(const cbn_layer *layer, const double *probability, uint64_t seed, const uint8_t *clamped,
                            uint32_t first_chain, uint32_t *state);
} cbn_kernels;

extern const cbn_kernels cbn_kernels_generic;
#if defined(__x86_64__) && defined(__GNUC__)
#define CBN_HAVE_X86 1
extern const cbn_kernels cbn_kernels_avx2, cbn_kernels_avx512;
#endif

/* The best set for this processor. CBN_FORCE_GENERIC (anything but "" and "0") or CBN_INSTRUCTION_SET choose another;
 * a set that the processor lacks becomes the generic one. */
const cbn_kernels *cbn_kernels_select(void);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole test framework: CHECK counts and reports, a program ends with `return report(__FILE__);`. */
#ifndef CBN_HARNESS_H
#define CBN_HARNESS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cbn.h"

static int checks_done, checks_failed;

#define CHECK(condition)                                                                      \
    do {                                                                                      \
        checks_done++;                                                                        \
        if (!(condition)) {                                                                   \
            checks_failed++;                                                                  \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);           \
        }                                                                                     \
    } while (0)

static inline int report(const char *file) {
    printf("%s: %d checks, %d failed (%s)\n", file, checks_done, checks_failed, cbn_instruction_set());
    return checks_failed != 0;
}

/* Arguments that travel together; in one name each, so that their commas do not end an argument of CHECK. */
#define GRID(channels, height, width) ((cbn_grid){channels, height, width})
#define PLANES(words, n_images) ((cbn_planes){words, n_images})
#define ROOM(memory, bytes) ((cbn_workspace){memory, bytes})
#define SAMPLED(n, states) ((cbn_chains){n, states})
#define STEPS_OF(seed, first, n, sites, n_sites) (&(cbn_steps){seed, first, n, sites, n_sites})

/* A small generator for test data, not the engine's own. */
static inline uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33);
}

/* Grey images of a kind that fills tables unevenly: values of a node lean on the one before. */
static inline void fill_images(uint8_t *images, int64_t size, uint64_t seed) {
    uint64_t state = seed;
    for (int64_t i = 0; i < size; i++) {
        const uint32_t r = next_random(&state);
        images[i] = i && r % 3 ? images[i - 1] : (uint8_t)(r >> 8);
    }
}

/* The pixel layer of the thesis on a grid, as static data: parents NW, N, NE, W. */
static const int64_t thesis_begin[2] = {0, 4};
static const int32_t thesis_parent[4] = {0, 0, 0, 0};
static const int32_t thesis_dy[4] = {-1, -1, -1, 0};
static const int32_t thesis_dx[4] = {-1, 0, 1, -1};
static const uint8_t thesis_required[4] = {0, 0, 0, 0};

static inline cbn_layer thesis_layer(int32_t height, int32_t width) {
    cbn_layer layer = {{1, height, width}, thesis_begin, thesis_parent, thesis_dy, thesis_dx, thesis_required};
    return layer;
}

static inline void *allocate(int64_t bytes) {
    void *block = malloc(bytes > 0 ? (size_t)bytes : 1);
    if (!block) abort();
    return block;
}

#endif

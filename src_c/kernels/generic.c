/* SPDX-License-Identifier: BSD-3-Clause */
/* The portable kernels: plain C, built on every machine. */
#include <math.h>

#include "../rng.h"
#include "kernels.h"

#define CBN_FUNCTION static

/* Carry-free popcount (Warren, Hacker's Delight, 5-1): without a popcount instruction the compiler's own is a call. */
static inline uint64_t popcount_word(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    return x * 0x0101010101010101ULL >> 56;
}

#define CBN_PACK_BYTES 16
#include "pack_template.h"
#include "log_template.h"

#define CBN_VECTOR uint64_t
#define CBN_VECTOR_WORDS 1
#define CBN_LOAD(p) (*(p))
#define CBN_LOAD_TAIL(p, n) 0
#define CBN_AND(a, b) ((a) & (b))
#define CBN_POPCOUNT(a) popcount_word(a)
#define CBN_ADD(a, b) ((a) + (b))
#define CBN_ZERO() 0
#define CBN_SUM(a) ((int64_t)(a))
#include "count_template.h"
#define CBN_WORDS_FOR_ONE 1
#define CBN_POPCOUNT_WORD(a) ((uint32_t)popcount_word(a))
#include "tree_template.h"
#define CBN_COLUMN_WORDS 2
#define CBN_WORDS_FOR_ROW 2
#include "column_template.h"

static inline uint64_t bit_mask(const uint8_t *p, int bit) {
    uint64_t mask = 0;
    for (int j = 0; j < 64; j++) mask |= (uint64_t)(p[j] >> bit & 1) << j;
    return mask;
}
#define CBN_SUBTRACT(a, b) ((a) - (b))
#define CBN_BIT_MASK(p, bit) bit_mask(p, bit)
#define CBN_VECTOR_OF_WORDS 2
#include "boost_template.h"
#include "score_template.h"
#include "sample_template.h"
#include "tree_sample_template.h"
#include "particle_template.h"
#include "transition_template.h"
#include "gradient_template.h"
#include "gibbs_layers_template.h"

#define CBN_FLOATS float
#define CBN_FLOAT_LANES 1
#define CBN_LOAD_FLOATS(p) (*(p))
#define CBN_STORE_FLOATS(p, v) (*(p) = (v))
#define CBN_SAME_FLOATS(f) (f)
#define CBN_MULTIPLY_ADD(a, b, c) fmaf(a, b, c)
#define CBN_ADD_FLOATS(a, b) ((a) + (b))
#define CBN_RECTIFY(v) ((v) > 0.0f ? (v) : 0.0f)
#define CBN_TILE_32 1
#define CBN_TILE_16 1
#define CBN_TILE_INPUTS 2
#include "neural_template.h"

#define CBN_PAIRS int32_t
#define CBN_PAIR_LANES 1
#define CBN_LOAD_PAIRS(p) (*(p))
#define CBN_STORE_SUMS(p, v) (*(p) = (v))
#define CBN_SAME_PAIR(i) (i)
#define CBN_NO_SUMS() 0
#define CBN_ADD_PAIRS(a, b, c) ((c) + (int16_t)(a) * (int16_t)(b) + ((a) >> 16) * ((b) >> 16))
#define CBN_TILE_PAIRS 1
#include "gaussian_template.h"

#define CBN_LEAST(a, b) ((a) < (b) ? (a) : (b))
#define CBN_LOAD_HALF(p) (*(p))
#define CBN_STORE_HALF(p, v) (*(p) = (v))
#define CBN_TILE_8 1
#define CBN_TILE_PANEL 1
#define CBN_TILE_DEPTH 1
#include "mobile_template.h"

CBN_KERNEL_SET(generic);

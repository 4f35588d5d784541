/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 + FMA + POPCNT + BMI2 (x86-64 since 2013). The popcount instruction on single words beats vector popcounts here. */
#include "kernels.h"

#ifdef CBN_HAVE_X86
#include <immintrin.h>

#include "../rng.h"

#define CBN_FUNCTION static __attribute__((target("avx2,fma,popcnt,bmi,bmi2")))

/* Bytes compare as signed: both sides are moved by 128. */
CBN_FUNCTION inline uint32_t half_row_mask(const uint8_t *p, int cutoff) {
    const __m256i shift = _mm256_set1_epi8((char)-128);
    const __m256i v = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)p), shift);
    const __m256i c = _mm256_set1_epi8((char)(cutoff - 128));
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(v, c));
}
#define CBN_ROW_MASK(p, cutoff) (half_row_mask(p, cutoff) | (uint64_t)half_row_mask((p) + 32, cutoff) << 32)
#include "pack_template.h"

#define CBN_VECTOR uint64_t
#define CBN_VECTOR_WORDS 1
#define CBN_LOAD(p) (*(p))
#define CBN_LOAD_TAIL(p, n) 0
#define CBN_AND(a, b) ((a) & (b))
#define CBN_POPCOUNT(a) ((uint64_t)__builtin_popcountll(a))
#define CBN_ADD(a, b) ((a) + (b))
#define CBN_ZERO() 0
#define CBN_SUM(a) ((int64_t)(a))
#include "count_template.h"
#include "tree_template.h"

/* The bit moves to the top of its byte, across which a shift of 16-bit numbers carries nothing that matters. */
CBN_FUNCTION inline uint32_t half_bit_mask(const uint8_t *p, int bit) {
    const __m256i v = _mm256_loadu_si256((const __m256i *)p);
    return (uint32_t)_mm256_movemask_epi8(_mm256_sll_epi16(v, _mm_cvtsi32_si128(7 - bit)));
}
#define CBN_SUBTRACT(a, b) ((a) - (b))
#define CBN_BIT_MASK(p, bit) (half_bit_mask(p, bit) | (uint64_t)half_bit_mask((p) + 32, bit) << 32)
#include "boost_template.h"
#include "score_template.h"
#include "sample_template.h"
#include "tree_sample_template.h"
#include "transition_template.h"
#include "gradient_template.h"

CBN_FUNCTION inline uint32_t positive_lanes(const int32_t values[CBN_GROUP]) {
    uint32_t word = 0;
    for (int i = 0; i < CBN_GROUP; i += 8) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(values + i));
        const __m256i above = _mm256_cmpgt_epi32(v, _mm256_setzero_si256());
        word |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(above)) << i;
    }
    return word;
}
#define CBN_POSITIVE positive_lanes
#include "gibbs_layers_template.h"

#define CBN_FLOATS __m256
#define CBN_FLOAT_LANES 8
#define CBN_LOAD_FLOATS(p) _mm256_loadu_ps(p)
#define CBN_STORE_FLOATS(p, v) _mm256_storeu_ps(p, v)
#define CBN_SAME_FLOATS(f) _mm256_set1_ps(f)
#define CBN_MULTIPLY_ADD(a, b, c) _mm256_fmadd_ps(a, b, c)
#define CBN_ADD_FLOATS(a, b) _mm256_add_ps(a, b)
#define CBN_RECTIFY(v) _mm256_max_ps(v, _mm256_setzero_ps())
#define CBN_TILE_32 3
#define CBN_TILE_16 6
#define CBN_TILE_INPUTS 3
#include "neural_template.h"

CBN_KERNEL_SET(avx2);
#else
typedef int cbn_no_avx2; /* ISO C wants a declaration in every file */
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 + FMA + POPCNT + BMI2 (x86-64 since 2013). */
#include "kernels.h"

#ifdef CBN_HAVE_X86
#include <immintrin.h>
#include <math.h>

#include "../rng.h"

#define CBN_FUNCTION static __attribute__((target("avx2,fma,popcnt,bmi,bmi2")))

#define CBN_PACK_BYTES 32
#include "pack_template.h"
#include "log_template.h"

#define CBN_VECTOR uint64_t
#define CBN_VECTOR_WORDS 1
#define CBN_LOAD(p) (*(p))
#define CBN_LOAD_TAIL(p, n) 0
#define CBN_AND(a, b) ((a) & (b))
#define CBN_POPCOUNT(a) ((uint64_t)__builtin_popcountll(a))
#define CBN_ADD(a, b) ((a) + (b))
#define CBN_ZERO() 0
#define CBN_SUM(a) ((int64_t)(a))

/* Number of bits in each byte, by nibbles (Mula, Kurz, Lemire 2018). */
CBN_FUNCTION inline __m256i byte_counts(__m256i v) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, /* twice, for both halves */
                                           0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i low = _mm256_and_si256(v, nibble), high = _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble);
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high));
}

CBN_FUNCTION inline int64_t sum_bytes(__m256i counts) {
    const __m256i sums = _mm256_sad_epu8(counts, _mm256_setzero_si256());
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return _mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1);
}

#define CBN_BYTES __m256i
#define CBN_BYTES_WORDS 4
#define CBN_NO_BYTES() _mm256_setzero_si256()
#define CBN_AND_BYTES(a, b) _mm256_and_si256(a, b)
#define CBN_COUNT_BYTES(counts, v) _mm256_add_epi8(counts, byte_counts(v))
#define CBN_SUM_BYTES(counts) sum_bytes(counts)
#include "subsets_template.h"
#include "count_template.h"
#define CBN_WORDS_FOR_ONE 1
#include "tree_template.h"

/* The bit moves to the top of its byte, across which a shift of 16-bit numbers carries nothing that matters. */
CBN_FUNCTION inline uint32_t half_bit_mask(const uint8_t *p, int bit) {
    const __m256i v = _mm256_loadu_si256((const __m256i *)p);
    return (uint32_t)_mm256_movemask_epi8(_mm256_sll_epi16(v, _mm_cvtsi32_si128(7 - bit)));
}
/* Bit i of `bits` to byte i: 0 or 255. */
CBN_FUNCTION inline __m256i spread_32(uint32_t bits) {
    const __m256i which = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i own = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)bits), which);
    return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, own), own);
}

CBN_FUNCTION inline void column_bytes(const uint64_t (*bits)[4], int n, uint8_t bytes[256]) {
    for (int part = 0; part < 8; part++) {
        __m256i sum = _mm256_setzero_si256();
        for (int k = 0; k < n; k++) {
            const __m256i on = spread_32((uint32_t)(bits[k][part / 2] >> 32 * (part % 2)));
            sum = _mm256_or_si256(sum, _mm256_and_si256(on, _mm256_set1_epi8((char)(1 << k))));
        }
        _mm256_storeu_si256((__m256i *)(bytes + 32 * part), sum);
    }
}
#define CBN_COLUMN_BYTES column_bytes
#define CBN_COLUMN_WORDS 4
#define CBN_WORDS_FOR_ROW 3
#include "column_template.h"

#define ROW_VECTORS (CBN_ROW_BITS / 32)
#define ROWS_IN_BYTES 16          /* so many levels of at most 7 fit a byte */
#define ROWS_IN_HALVES (16 * 256) /* and so many 16 bits */

/* sums (ROW_VECTORS of 32 bytes) to 16-bit sums. */
CBN_FUNCTION inline __attribute__((always_inline)) void widen_bytes(const __m256i *bytes, int16_t *sums) {
    for (int v = 0; v < ROW_VECTORS; v++, sums += 32) {
        const __m256i low = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(bytes[v]));
        const __m256i high = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(bytes[v], 1));
        __m256i *at = (__m256i *)sums;
        _mm256_storeu_si256(at, _mm256_add_epi16(_mm256_loadu_si256(at), low));
        _mm256_storeu_si256(at + 1, _mm256_add_epi16(_mm256_loadu_si256(at + 1), high));
    }
}

CBN_FUNCTION void row_sums_32(const cbn_coded_row *rows, int64_t n, int32_t *gradient, int32_t *hessian) {
    for (int64_t first = 0; first < n; first += ROWS_IN_HALVES) {
        int16_t sums[2][CBN_ROW_BITS] = {{0}};
        const int64_t end = n - first < ROWS_IN_HALVES ? n : first + ROWS_IN_HALVES;
        for (int64_t r = first; r < end;) {
            const int64_t stop = end - r < ROWS_IN_BYTES ? end : r + ROWS_IN_BYTES;
            __m256i g[ROW_VECTORS], h[ROW_VECTORS];
            for (int v = 0; v < ROW_VECTORS; v++) g[v] = h[v] = _mm256_setzero_si256();
            for (; r < stop; r++) {
                const __m256i level = _mm256_set1_epi8(rows[r].level), curved = _mm256_set1_epi8((char)rows[r].curved);
                for (int v = 0; v < ROW_VECTORS; v++) {
                    const __m256i on = spread_32((uint32_t)(rows[r].bits[v / 2] >> 32 * (v % 2)));
                    g[v] = _mm256_add_epi8(g[v], _mm256_and_si256(on, level));
                    h[v] = _mm256_add_epi8(h[v], _mm256_and_si256(on, curved));
                }
            }
            widen_bytes(g, sums[0]);
            widen_bytes(h, sums[1]);
        }
        for (int c = 0; c < CBN_ROW_BITS; c++) gradient[c] += sums[0][c];
        for (int c = 0; c < CBN_ROW_BITS; c++) hessian[c] += sums[1][c];
    }
}
#define CBN_ROW_SUMS(rows, n, gradient, hessian) row_sums_32(rows, n, gradient, hessian)

/* Bit 8 j + i of `bits` to the sign of lane i. */
CBN_FUNCTION inline __m256i sign_lanes(__m256i bits, int j) {
    const __m256i lane = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
    return _mm256_sllv_epi32(bits, _mm256_sub_epi32(lane, _mm256_set1_epi32(8 * j)));
}

CBN_FUNCTION inline void add_masked_8(uint64_t set, int32_t value, int32_t *numbers) {
    const __m256i v = _mm256_set1_epi32(value);
    for (; set; set >>= 32, numbers += 32) {
        const __m256i bits = _mm256_set1_epi32((int32_t)(uint32_t)set);
        for (int j = 0; j < 4; j++) {
            __m256i *at = (__m256i *)(numbers + 8 * j);
            const __m256i own = _mm256_and_si256(_mm256_srai_epi32(sign_lanes(bits, j), 31), v);
            _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), own));
        }
    }
}

/* 64 numbers, at most CBN_GRADIENT_ONE in size, sum to less than 2^31. */
CBN_FUNCTION inline int64_t sum_masked_8(uint64_t set, const int32_t *numbers) {
    __m256i sum = _mm256_setzero_si256();
    for (; set; set >>= 32, numbers += 32) {
        const __m256i bits = _mm256_set1_epi32((int32_t)(uint32_t)set);
        for (int j = 0; j < 4; j++)
            sum = _mm256_add_epi32(sum, _mm256_maskload_epi32(numbers + 8 * j, sign_lanes(bits, j)));
    }
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
#define CBN_ADD_MASKED(set, value, numbers) add_masked_8(set, value, numbers)
#define CBN_SUM_MASKED(set, numbers) sum_masked_8(set, numbers)
#include "look_up_avx2.h"
#define CBN_OWN_SEARCH
#define CBN_BIT_MASK(p, bit) (half_bit_mask(p, bit) | (uint64_t)half_bit_mask((p) + 32, bit) << 32)
#define CBN_VECTOR_OF_WORDS 4
#include "boost_template.h"

/* Variables of a small table. */
#define SMALL_VARIABLES 5

CBN_FUNCTION inline void add_looked_up(const uint8_t *index, const double *values, double *sums) {
    const __m128d low = _mm_loadh_pd(_mm_load_sd(values + index[0]), values + index[1]);
    const __m128d high = _mm_loadh_pd(_mm_load_sd(values + index[2]), values + index[3]);
    const __m256d value = _mm256_insertf128_pd(_mm256_castpd128_pd256(low), high, 1);
    _mm256_storeu_pd(sums, _mm256_add_pd(_mm256_loadu_pd(sums), value));
}

/* index[i] = table index of image i, a byte: tables of at most 8 bits; n words of variables, and their table bits. */
CBN_FUNCTION inline __attribute__((always_inline)) void index_bytes(const uint64_t *word, const int32_t *bit, int n,
                                                                    uint8_t index[64]) {
    for (int half = 0; half < 64; half += 32) {
        __m256i bytes = _mm256_setzero_si256();
        for (int v = 0; v < n; v++) {
            const __m256i own = _mm256_set1_epi8((char)(1 << bit[v]));
            bytes = _mm256_or_si256(bytes, _mm256_and_si256(spread_32((uint32_t)(word[v] >> half)), own));
        }
        _mm256_storeu_si256((__m256i *)(index + half), bytes);
    }
}

/* Words in which all variables are 0, as at the border of pictures, have one value for all images. */
CBN_FUNCTION inline __attribute__((always_inline)) void score_small(const cbn_variables *variables, const int n,
                                                                    int table_bits, int64_t first_word, int n_words,
                                                                    const double *values, double *sums) {
    (void)table_bits;
    for (int w = 0; w < n_words; w++, sums += 64) {
        uint64_t word[SMALL_VARIABLES], any = 0;
        for (int v = 0; v < n; v++) any |= word[v] = variables->plane[v][first_word + w];
        if (any == 0) {
            const __m256d value = _mm256_set1_pd(values[0]);
            for (int i = 0; i < 64; i += 4) _mm256_storeu_pd(sums + i, _mm256_add_pd(_mm256_loadu_pd(sums + i), value));
            continue;
        }
        uint8_t index[64];
        index_bytes(word, variables->bit, n, index);
        for (int i = 0; i < 64; i += 4) add_looked_up(index + i, values, sums + i);
    }
}
#define CBN_SCORE_SMALL score_small

CBN_FUNCTION inline void score_small_tables(const cbn_variables *variables, int table_bits, int64_t word,
                                            const double *tables, int n_tables, double *const *sums) {
    uint64_t words[8];
    uint8_t index[64];
    for (int v = 0; v < variables->n; v++) words[v] = variables->plane[v][word];
    index_bytes(words, variables->bit, variables->n, index);
    for (int t = 0; t < n_tables; t++, tables += (int64_t)1 << table_bits) {
        if (!sums[t]) continue;
        for (int i = 0; i < 64; i += 4) add_looked_up(index + i, tables, sums[t] + i);
    }
}
#define CBN_SCORE_SMALL_TABLES score_small_tables
#define CBN_SMALL_TABLE_BITS 8
#include "score_template.h"
#include "sample_template.h"
#include "tree_sample_template.h"
#include "particle_template.h"
#define CBN_LANE_BYTES 32
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

#define CBN_PAIRS __m256i
#define CBN_PAIR_LANES 8
#define CBN_LOAD_PAIRS(p) _mm256_loadu_si256((const __m256i *)(p))
#define CBN_STORE_SUMS(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define CBN_SAME_PAIR(i) _mm256_set1_epi32(i)
#define CBN_NO_SUMS() _mm256_setzero_si256()
#define CBN_ADD_PAIRS(a, b, c) _mm256_add_epi32(c, _mm256_madd_epi16(a, b))
#define CBN_TILE_PAIRS 4
#include "gaussian_template.h"

#define CBN_LEAST(a, b) _mm256_min_ps(a, b)
#define CBN_LOAD_HALF(p) _mm256_loadu_ps(p)
#define CBN_STORE_HALF(p, v) _mm256_storeu_ps(p, v)
#define CBN_TILE_8 12
#define CBN_TILE_PANEL 6
#define CBN_TILE_DEPTH 6
#include "mobile_template.h"

CBN_KERNEL_SET(avx2);
#else
typedef int cbn_no_avx2; /* ISO C wants a declaration in every file */
#endif

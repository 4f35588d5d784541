/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 F, BW, DQ, VL and VPOPCNTDQ (Ice Lake, Zen 4 and later). */
#include "kernels.h"

#ifdef CBN_HAVE_X86
#include <immintrin.h>
#include <math.h>

#include "../rng.h"

#define CBN_FUNCTION static __attribute__((target("avx2,popcnt,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")))

#define CBN_PACK_BYTES 32
#include "pack_template.h"
#include "log_template.h"

#define CBN_VECTOR __m512i
#define CBN_VECTOR_WORDS 8
#define CBN_LOAD(p) _mm512_loadu_si512(p)
#define CBN_LOAD_TAIL(p, n) _mm512_maskz_loadu_epi64((__mmask8)((1u << (n)) - 1), p)
#define CBN_AND(a, b) _mm512_and_si512(a, b)
#define CBN_POPCOUNT(a) _mm512_popcnt_epi64(a)
#define CBN_ADD(a, b) _mm512_add_epi64(a, b)
#define CBN_ZERO() _mm512_setzero_si512()
#define CBN_SUM(a) ((int64_t)_mm512_reduce_add_epi64(a))
#include "count_template.h"

CBN_FUNCTION inline void add_masked_16(uint64_t set, int32_t value, int32_t *numbers) {
    const __m512i v = _mm512_set1_epi32(value);
    for (int j = 0; j < 64; j += 16) {
        const __m512i n = _mm512_loadu_si512(numbers + j);
        _mm512_storeu_si512(numbers + j, _mm512_mask_add_epi32(n, (__mmask16)(set >> j), n, v));
    }
}

/* Four numbers below 2^29 in size fit 32 bits; further sums are in 64. */
CBN_FUNCTION inline int64_t sum_masked_16(uint64_t set, const int32_t *numbers) {
    __m512i sum = _mm512_setzero_si512();
    for (int j = 0; j < 64; j += 16)
        sum = _mm512_mask_add_epi32(sum, (__mmask16)(set >> j), sum, _mm512_loadu_si512(numbers + j));
    const __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(sum));
    return _mm512_reduce_add_epi64(_mm512_add_epi64(low, _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(sum, 1))));
}
#define ROWS_IN_BYTES 16          /* so many levels of at most 7 fit a byte */
#define ROWS_IN_HALVES (16 * 256) /* and so many 16 bits */

CBN_FUNCTION inline __attribute__((always_inline)) void widen_bytes(__m512i bytes, __m512i sums[2]) {
    sums[0] = _mm512_add_epi16(sums[0], _mm512_cvtepi8_epi16(_mm512_castsi512_si256(bytes)));
    sums[1] = _mm512_add_epi16(sums[1], _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(bytes, 1)));
}

CBN_FUNCTION void row_sums_64(const cbn_coded_row *rows, int64_t n, int32_t *gradient, int32_t *hessian) {
    for (int64_t first = 0; first < n; first += ROWS_IN_HALVES) {
        __m512i g_sums[4], h_sums[4];
        int16_t sums[CBN_ROW_BITS];
        for (int v = 0; v < 4; v++) g_sums[v] = h_sums[v] = _mm512_setzero_si512();
        const int64_t end = n - first < ROWS_IN_HALVES ? n : first + ROWS_IN_HALVES;
        for (int64_t r = first; r < end;) {
            const int64_t stop = end - r < ROWS_IN_BYTES ? end : r + ROWS_IN_BYTES;
            __m512i g[2], h[2];
            for (int v = 0; v < 2; v++) g[v] = h[v] = _mm512_setzero_si512();
            for (; r < stop; r++) {
                const __m512i level = _mm512_set1_epi8(rows[r].level), curved = _mm512_set1_epi8((char)rows[r].curved);
                for (int v = 0; v < 2; v++) {
                    const __mmask64 on = rows[r].bits[v];
                    g[v] = _mm512_mask_add_epi8(g[v], on, g[v], level);
                    h[v] = _mm512_mask_add_epi8(h[v], on, h[v], curved);
                }
            }
            for (int v = 0; v < 2; v++) {
                widen_bytes(g[v], g_sums + 2 * v);
                widen_bytes(h[v], h_sums + 2 * v);
            }
        }
        memcpy(sums, g_sums, sizeof sums);
        for (int c = 0; c < CBN_ROW_BITS; c++) gradient[c] += sums[c];
        memcpy(sums, h_sums, sizeof sums);
        for (int c = 0; c < CBN_ROW_BITS; c++) hessian[c] += sums[c];
    }
}
#define CBN_ROW_SUMS(rows, n, gradient, hessian) row_sums_64(rows, n, gradient, hessian)
#define CBN_SUBTRACT(a, b) _mm512_sub_epi64(a, b)
#define CBN_BIT_MASK(p, bit)                                                                                           \
    ((uint64_t)_mm512_test_epi8_mask(_mm512_loadu_si512(p), _mm512_set1_epi8((char)(1 << (bit)))))
#define CBN_ADD_MASKED(set, value, numbers) add_masked_16(set, value, numbers)
#define CBN_SUM_MASKED(set, numbers) sum_masked_16(set, numbers)
#define CBN_VECTOR_OF_WORDS 8
#include "boost_template.h"

/* Tables of up to 32 doubles live in four registers; permutations look eight values up at once. */
#define SMALL_TABLE 32
typedef struct {
    __m512d part[4];
} small_table;

/* Entries beyond `size` are never indexed: they load as 0 without touching memory. */
CBN_FUNCTION inline small_table load_small(const double *table, int size) {
    const uint32_t there = (uint32_t)(((uint64_t)1 << size) - 1);
    small_table t;
    for (int i = 0; i < 4; i++) t.part[i] = _mm512_maskz_loadu_pd((__mmask8)(there >> 8 * i), table + 8 * i);
    return t;
}

CBN_FUNCTION inline __m512d look_up(const small_table *t, __m512i index) {
    const __m512d low = _mm512_permutex2var_pd(t->part[0], index, t->part[1]);
    const __m512d high = _mm512_permutex2var_pd(t->part[2], index, t->part[3]);
    return _mm512_mask_blend_pd(_mm512_test_epi64_mask(index, _mm512_set1_epi64(16)), low, high);
}

/* Sums of eight vectors at once, in 32 bits: halves of pairs are added until one vector holds all sums. */
CBN_FUNCTION inline void sum_candidates(__m512i sums[CBN_COUNTED_TOGETHER][2], uint32_t (*counts)[2]) {
    __m512i two[4], four[2];
    for (int i = 0; i < 4; i++)
        two[i] = _mm512_add_epi64(_mm512_unpacklo_epi64(sums[i][0], sums[i][1]),
                                  _mm512_unpackhi_epi64(sums[i][0], sums[i][1]));
    for (int i = 0; i < 2; i++)
        four[i] = _mm512_add_epi64(_mm512_shuffle_i64x2(two[2 * i], two[2 * i + 1], 0x88),
                                   _mm512_shuffle_i64x2(two[2 * i], two[2 * i + 1], 0xdd));
    const __m512i all = _mm512_add_epi64(_mm512_shuffle_i64x2(four[0], four[1], 0x88),
                                         _mm512_shuffle_i64x2(four[0], four[1], 0xdd));
    _mm256_storeu_si256((__m256i *)counts, _mm512_cvtepi64_epi32(all));
}
#define CBN_SUM_CANDIDATES sum_candidates

/* Images of the set get the byte `vertex`. */
CBN_FUNCTION inline void mark_leaf(uint8_t leaf[64], uint64_t set, int vertex) {
    _mm512_storeu_si512(leaf, _mm512_mask_set1_epi8(_mm512_loadu_si512(leaf), set, (char)vertex));
}

CBN_FUNCTION inline void add_leaves(const uint8_t leaf[64], uint64_t state, const double *values, int n_vertices,
                                    double sums[64]) {
    const int small = 2 * n_vertices <= SMALL_TABLE;
    small_table table;
    if (small) table = load_small(values, 2 * n_vertices);
    for (int i = 0; i < 64; i += 8) {
        const __m512i on = _mm512_maskz_set1_epi64((__mmask8)(state >> i), 1);
        const __m512i vertex = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(leaf + i)));
        const __m512i index = _mm512_or_si512(_mm512_slli_epi64(vertex, 1), on);
        const __m512d value = small ? look_up(&table, index) : _mm512_i64gather_pd(index, values, 8);
        _mm512_storeu_pd(sums + i, _mm512_add_pd(_mm512_loadu_pd(sums + i), value));
    }
}
#define CBN_MARK_LEAF mark_leaf
#define CBN_ADD_LEAVES add_leaves
#define CBN_WORDS_FOR_ONE 6
#include "tree_template.h"

CBN_FUNCTION inline void column_bytes(const uint64_t (*bits)[8], int n, uint8_t bytes[512]) {
    for (int w = 0; w < 8; w++) {
        __m512i sum = _mm512_setzero_si512();
        for (int k = 0; k < n; k++) {
            const __m512i own = _mm512_set1_epi8((char)(1 << k));
            sum = _mm512_or_si512(sum, _mm512_maskz_mov_epi8(bits[k][w], own));
        }
        _mm512_storeu_si512(bytes + 64 * w, sum);
    }
}
#define CBN_COLUMN_BYTES column_bytes
#define CBN_COLUMN_WORDS 8
#define CBN_WORDS_FOR_ROW 8
#include "column_template.h"

/* Bits of a word become index bytes of 64 images, in registers. Words in which all variables are 0, as at the border of
 * pictures, have one value for all images. */
CBN_FUNCTION inline __attribute__((always_inline)) void score_small(const cbn_variables *variables, const int n,
                                                                    int table_bits, int64_t first_word, int n_words,
                                                                    const double *values, double *sums) {
    const small_table table = load_small(values, 1 << table_bits);
    for (int w = 0; w < n_words; w++, sums += 64) {
        uint64_t any = 0;
        __m512i bytes = _mm512_setzero_si512();
        for (int v = 0; v < n; v++) {
            const uint64_t word = variables->plane[v][first_word + w];
            any |= word;
            bytes = _mm512_or_si512(bytes, _mm512_maskz_set1_epi8(word, (char)(1 << variables->bit[v])));
        }
        uint8_t index[64];
        if (any) _mm512_storeu_si512(index, bytes);
        for (int i = 0; i < 64; i += 8) {
            __m512d value = _mm512_set1_pd(values[0]);
            if (any) value = look_up(&table, _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(index + i))));
            _mm512_storeu_pd(sums + i, _mm512_add_pd(_mm512_loadu_pd(sums + i), value));
        }
    }
}
#define CBN_SCORE_SMALL score_small

CBN_FUNCTION inline void score_small_tables(const cbn_variables *variables, int table_bits, int64_t word,
                                            const double *tables, int n_tables, double *const *sums) {
    __m512i index[8];
    for (int g = 0; g < 8; g++) {
        index[g] = _mm512_setzero_si512();
        for (int v = 0; v < variables->n; v++)
            index[g] = _mm512_mask_or_epi64(index[g], (__mmask8)(variables->plane[v][word] >> 8 * g), index[g],
                                            _mm512_set1_epi64((int64_t)1 << variables->bit[v]));
    }
    for (int t = 0; t < n_tables; t++, tables += (int64_t)1 << table_bits) {
        if (!sums[t]) continue;
        const small_table table = load_small(tables, 1 << table_bits);
        for (int g = 0; g < 8; g++) {
            double *sum = sums[t] + 8 * g;
            _mm512_storeu_pd(sum, _mm512_add_pd(_mm512_loadu_pd(sum), look_up(&table, index[g])));
        }
    }
}
#define CBN_SCORE_SMALL_TABLES score_small_tables
#define CBN_SMALL_TABLE_BITS 5
#include "score_template.h"

CBN_FUNCTION inline void add_bit_masked(uint32_t index[CBN_GROUP], uint32_t word, int bit) {
    const __m512i one = _mm512_set1_epi32(1 << bit);
    for (int i = 0; i < CBN_GROUP; i += 16) {
        const __m512i v = _mm512_loadu_si512(index + i);
        _mm512_storeu_si512(index + i, _mm512_mask_or_epi32(v, (__mmask16)(word >> i), v, one));
    }
}
#define CBN_ADD_BIT add_bit_masked

CBN_FUNCTION inline void factor_small(const uint32_t index[CBN_GROUP], const double *table, int bits, int flip,
                                      double w[2][CBN_GROUP]) {
    const small_table t = load_small(table, 1 << bits);
    const __m512i flipped = _mm512_set1_epi64((int64_t)1 << flip);
    for (int i = 0; i < CBN_GROUP; i += 8) {
        const __m512i at = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(index + i)));
        _mm512_storeu_pd(w[0] + i, _mm512_mul_pd(_mm512_loadu_pd(w[0] + i), look_up(&t, at)));
        _mm512_storeu_pd(w[1] + i,
                         _mm512_mul_pd(_mm512_loadu_pd(w[1] + i), look_up(&t, _mm512_or_si512(at, flipped))));
    }
}
#define CBN_FACTOR_SMALL factor_small
#include "sample_template.h"
#include "tree_sample_template.h"
#include "particle_template.h"
#define CBN_LANE_BYTES 32
#include "transition_template.h"
#include "gradient_template.h"

CBN_FUNCTION inline uint32_t positive_lanes(const int32_t values[CBN_GROUP]) {
    const __m512i zero = _mm512_setzero_si512();
    return _mm512_cmpgt_epi32_mask(_mm512_loadu_si512(values), zero) |
           (uint32_t)_mm512_cmpgt_epi32_mask(_mm512_loadu_si512(values + 16), zero) << 16;
}
#define CBN_POSITIVE positive_lanes
#include "gibbs_layers_template.h"

#define CBN_FLOATS __m512
#define CBN_FLOAT_LANES 16
#define CBN_LOAD_FLOATS(p) _mm512_loadu_ps(p)
#define CBN_STORE_FLOATS(p, v) _mm512_storeu_ps(p, v)
#define CBN_SAME_FLOATS(f) _mm512_set1_ps(f)
#define CBN_MULTIPLY_ADD(a, b, c) _mm512_fmadd_ps(a, b, c)
#define CBN_ADD_FLOATS(a, b) _mm512_add_ps(a, b)
#define CBN_RECTIFY(v) _mm512_max_ps(v, _mm512_setzero_ps())
#define CBN_TILE_32 12
#define CBN_TILE_16 24
#define CBN_TILE_INPUTS 8
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

#define CBN_LEAST(a, b) _mm512_min_ps(a, b)
#define CBN_LOAD_HALF(p) _mm512_maskz_loadu_ps(0xff, p)
#define CBN_STORE_HALF(p, v) _mm512_mask_storeu_ps(p, 0xff, v)
#define CBN_TILE_8 12
#define CBN_TILE_PANEL 12
#define CBN_TILE_DEPTH 7
#include "mobile_template.h"

CBN_KERNEL_SET(avx512);
#else
typedef int cbn_no_avx512; /* ISO C wants a declaration in every file */
#endif

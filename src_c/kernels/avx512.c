/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 F, BW, DQ, VL and VPOPCNTDQ (Ice Lake, Zen 4 and later). */
#include "kernels.h"

#ifdef CBN_HAVE_X86
#include <immintrin.h>

#include "../rng.h"

#define CBN_FUNCTION static __attribute__((target("avx2,popcnt,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")))

#define CBN_ROW_MASK(p, cutoff)                                                                                        \
    ((uint64_t)_mm512_cmpgt_epu8_mask(_mm512_loadu_si512(p), _mm512_set1_epi8((char)(cutoff))))
#include "pack_template.h"

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

/* Tables of up to 32 doubles live in four registers; a two-register permutation looks eight values up at once. Plane
 * bits become index bits by masked ORs. Table entries beyond 2^table_bits are never indexed and load as 0. */
CBN_FUNCTION inline void score_small(const cbn_variables *variables, int table_bits, int64_t first_word, int n_words,
                                     const double *values, double *sums) {
    const uint32_t there = table_bits == 5 ? 0xffffffffu : (1u << (1 << table_bits)) - 1;
    const __m512d t0 = _mm512_maskz_loadu_pd((__mmask8)there, values);
    const __m512d t1 = _mm512_maskz_loadu_pd((__mmask8)(there >> 8), values + 8);
    const __m512d t2 = _mm512_maskz_loadu_pd((__mmask8)(there >> 16), values + 16);
    const __m512d t3 = _mm512_maskz_loadu_pd((__mmask8)(there >> 24), values + 24);
    const __m512i high = _mm512_set1_epi64(16);
    for (int w = 0; w < n_words; w++)
        for (int i = 0; i < 64; i += 8) {
            __m512i index = _mm512_setzero_si512();
            for (int v = 0; v < variables->n; v++)
                index = _mm512_mask_or_epi64(index, (__mmask8)(variables->plane[v][first_word + w] >> i), index,
                                             _mm512_set1_epi64((int64_t)1 << variables->bit[v]));
            const __m512d low = _mm512_permutex2var_pd(t0, index, t1), up = _mm512_permutex2var_pd(t2, index, t3);
            const __m512d value = _mm512_mask_blend_pd(_mm512_test_epi64_mask(index, high), low, up);
            double *sum = sums + 64 * w + i;
            _mm512_storeu_pd(sum, _mm512_add_pd(_mm512_loadu_pd(sum), value));
        }
}
#define CBN_SCORE_SMALL score_small
#include "score_template.h"
#include "sample_template.h"

const cbn_kernels cbn_kernels_avx512 = {"avx512", pack_word, count_subsets, score_block, gibbs_group, ancestral_group};
#else
typedef int cbn_no_avx512; /* ISO C wants a declaration in every file */
#endif

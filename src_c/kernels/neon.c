/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NEON (every arm64 processor). Vectors have 16 bytes; one instruction counts the bits of their bytes, so that adders that
 * save carries do not pay: theirs are five instructions for two vectors that are counted and added in four.
 */
#include "kernels.h"

#ifdef CBN_HAVE_NEON
#include <arm_neon.h>
#include <math.h>

#include "../rng.h"

#define CBN_FUNCTION static

#define CBN_PACK_BYTES 16
#include "pack_template.h"
#include "log_template.h"

/* A cache line of bits, and sums: these are 32-bit numbers in the first part, and the others are 0. */
typedef struct {
    uint8x16_t part[4];
} neon_line;

CBN_FUNCTION inline neon_line load_line(const uint64_t *p) {
    const uint8_t *bytes = (const uint8_t *)p;
    return (neon_line){{vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32), vld1q_u8(bytes + 48)}};
}

CBN_FUNCTION inline neon_line and_lines(neon_line a, neon_line b) {
    return (neon_line){{vandq_u8(a.part[0], b.part[0]), vandq_u8(a.part[1], b.part[1]), vandq_u8(a.part[2], b.part[2]),
                        vandq_u8(a.part[3], b.part[3])}};
}

CBN_FUNCTION inline neon_line sum_line(uint32x4_t sums) { return (neon_line){{vreinterpretq_u8_u32(sums)}}; }
CBN_FUNCTION inline uint32x4_t line_sums(neon_line line) { return vreinterpretq_u32_u8(line.part[0]); }

CBN_FUNCTION inline neon_line count_line(neon_line a) {
    const uint8x16_t low = vaddq_u8(vcntq_u8(a.part[0]), vcntq_u8(a.part[1]));
    const uint8x16_t high = vaddq_u8(vcntq_u8(a.part[2]), vcntq_u8(a.part[3]));
    return sum_line(vpaddlq_u16(vpaddlq_u8(vaddq_u8(low, high))));
}

#define CBN_VECTOR neon_line
#define CBN_VECTOR_WORDS 8
#define CBN_LOAD(p) load_line(p)
#define CBN_AND(a, b) and_lines(a, b)
#define CBN_POPCOUNT(a) count_line(a)
#define CBN_ADD(a, b) sum_line(vaddq_u32(line_sums(a), line_sums(b)))
#define CBN_ZERO() sum_line(vdupq_n_u32(0))
#define CBN_SUM(a) ((int64_t)vaddvq_u32(line_sums(a)))

/* Two vectors at a time: half as many blocks to sum up. */
typedef struct {
    uint8x16_t half[2];
} neon_bytes;

CBN_FUNCTION inline neon_bytes and_bytes(neon_bytes a, neon_bytes b) {
    return (neon_bytes){{vandq_u8(a.half[0], b.half[0]), vandq_u8(a.half[1], b.half[1])}};
}

CBN_FUNCTION inline neon_bytes count_bytes(neon_bytes counts, neon_bytes v) {
    return (neon_bytes){{vaddq_u8(counts.half[0], vcntq_u8(v.half[0])), vaddq_u8(counts.half[1], vcntq_u8(v.half[1]))}};
}

#define CBN_BYTES neon_bytes
#define CBN_BYTES_WORDS 4
#define CBN_NO_BYTES() ((neon_bytes){{vdupq_n_u8(0), vdupq_n_u8(0)}})
#define CBN_AND_BYTES(a, b) and_bytes(a, b)
#define CBN_COUNT_BYTES(counts, v) count_bytes(counts, v)
#define CBN_SUM_BYTES(counts) ((int64_t)vaddlvq_u8((counts).half[0]) + vaddlvq_u8((counts).half[1]))
#include "subsets_template.h"
#include "count_template.h"

/* In every byte, the bit of its number in a half. */
CBN_FUNCTION inline uint8x16_t own_bits(void) { return vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201ULL)); }

/* Bit 16 * part + i of `bits` to byte i: 0 or 255. */
CBN_FUNCTION inline uint8x16_t spread_16(uint8x16_t bits, int part) {
    const uint64x2_t first = vcombine_u64(vcreate_u64(0), vcreate_u64(0x0101010101010101ULL));
    const uint8x16_t which = vaddq_u8(vreinterpretq_u8_u64(first), vdupq_n_u8((uint8_t)(2 * part)));
    return vtstq_u8(vqtbl1q_u8(bits, which), own_bits());
}

CBN_FUNCTION inline void add_looked_up(const uint16_t index[64], const double *values, double sums[64]) {
    _Pragma("GCC unroll 4") for (int i = 0; i < 64; i += 2) {
        const float64x2_t value = vcombine_f64(vld1_f64(values + index[i]), vld1_f64(values + index[i + 1]));
        vst1q_f64(sums + i, vaddq_f64(vld1q_f64(sums + i), value));
    }
}

/* Images of the set get the byte `vertex`. */
CBN_FUNCTION inline void mark_leaf(uint8_t leaf[64], uint64_t set, int vertex) {
    const uint8x16_t bits = vreinterpretq_u8_u64(vdupq_n_u64(set)), own = vdupq_n_u8((uint8_t)vertex);
    for (int part = 0; part < 4; part++) {
        uint8_t *bytes = leaf + 16 * part;
        vst1q_u8(bytes, vbslq_u8(spread_16(bits, part), own, vld1q_u8(bytes)));
    }
}

CBN_FUNCTION inline void add_leaves(const uint8_t leaf[64], uint64_t state, const double *values, int n_vertices,
                                    double sums[64]) {
    (void)n_vertices;
    const uint8x16_t bits = vreinterpretq_u8_u64(vdupq_n_u64(state));
    uint16_t index[64];
    for (int part = 0; part < 4; part++) {
        const uint8x16_t vertex = vld1q_u8(leaf + 16 * part), on = vshrq_n_u8(spread_16(bits, part), 7);
        vst1q_u16(index + 16 * part, vaddw_u8(vshll_n_u8(vget_low_u8(vertex), 1), vget_low_u8(on)));
        vst1q_u16(index + 16 * part + 8, vaddw_high_u8(vshll_high_n_u8(vertex, 1), on));
    }
    add_looked_up(index, values, sums);
}
#define CBN_MARK_LEAF mark_leaf
#define CBN_ADD_LEAVES add_leaves
#define CBN_WORDS_FOR_ONE 4
#include "tree_template.h"
#define CBN_COLUMN_WORDS 2
#define CBN_WORDS_FOR_ROW 2
#include "column_template.h"

/* Bit i: whether byte i of the four vectors is 255 and not 0. */
CBN_FUNCTION inline uint64_t mask_of_bytes(const uint8x16_t byte[4]) {
    const uint8x16_t own = own_bits();
    const uint8x16_t low = vpaddq_u8(vandq_u8(byte[0], own), vandq_u8(byte[1], own));
    const uint8x16_t high = vpaddq_u8(vandq_u8(byte[2], own), vandq_u8(byte[3], own));
    const uint8x16_t all = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(all, all)), 0);
}

CBN_FUNCTION inline uint64_t bit_mask(const uint8_t *p, int bit) {
    const uint8x16_t asked = vdupq_n_u8((uint8_t)(1 << bit));
    uint8x16_t on[4];
    for (int v = 0; v < 4; v++) on[v] = vtstq_u8(vld1q_u8(p + 16 * v), asked);
    return mask_of_bytes(on);
}

#define ROW_VECTORS (CBN_ROW_BITS / 16)
#define ROWS_IN_BYTES 16          /* so many levels of at most 7 fit a byte */
#define ROWS_IN_HALVES (16 * 256) /* and so many 16 bits */
#define EACH_VECTOR _Pragma("GCC unroll 8") for (int v = 0; v < ROW_VECTORS; v++)

CBN_FUNCTION inline void widen_bytes(uint8x16_t bytes, int16_t *sums) {
    const int8x16_t levels = vreinterpretq_s8_u8(bytes);
    vst1q_s16(sums, vaddw_s8(vld1q_s16(sums), vget_low_s8(levels)));
    vst1q_s16(sums + 8, vaddw_high_s8(vld1q_s16(sums + 8), levels));
}

CBN_FUNCTION void row_sums_16(const cbn_coded_row *rows, int64_t n, int32_t *gradient, int32_t *hessian) {
    for (int64_t first = 0; first < n; first += ROWS_IN_HALVES) {
        int16_t sums[2][CBN_ROW_BITS] = {{0}};
        const int64_t end = n - first < ROWS_IN_HALVES ? n : first + ROWS_IN_HALVES;
        for (int64_t r = first; r < end;) {
            const int64_t stop = end - r < ROWS_IN_BYTES ? end : r + ROWS_IN_BYTES;
            uint8x16_t g[ROW_VECTORS], h[ROW_VECTORS];
            EACH_VECTOR g[v] = h[v] = vdupq_n_u8(0);
            for (; r < stop; r++) {
                const uint8x16_t bits = vreinterpretq_u8_u64(vld1q_u64(rows[r].bits));
                const uint8x16_t level = vdupq_n_u8((uint8_t)rows[r].level), curved = vdupq_n_u8(rows[r].curved);
                EACH_VECTOR {
                    const uint8x16_t on = spread_16(bits, v);
                    g[v] = vaddq_u8(g[v], vandq_u8(on, level));
                    h[v] = vaddq_u8(h[v], vandq_u8(on, curved));
                }
            }
            EACH_VECTOR {
                widen_bytes(g[v], sums[0] + 16 * v);
                widen_bytes(h[v], sums[1] + 16 * v);
            }
        }
        for (int c = 0; c < CBN_ROW_BITS; c++) gradient[c] += sums[0][c];
        for (int c = 0; c < CBN_ROW_BITS; c++) hessian[c] += sums[1][c];
    }
}
#define CBN_ROW_SUMS(rows, n, gradient, hessian) row_sums_16(rows, n, gradient, hessian)

/* So many words are 31 vectors, whose counts of at most 8 fit a byte. */
#define BLOCK_WORDS 62
#define EACH_PLANE _Pragma("GCC unroll 8") for (int k = 0; k < CBN_GRADIENT_PLANES; k++)

/* count[k] = images of a plane in plane k of a set, all planes side by side. */
CBN_FUNCTION inline void count_planes(const uint64_t *plane, const uint64_t *set, int64_t n_words,
                                      int32_t count[CBN_GRADIENT_PLANES]) {
    memset(count, 0, sizeof *count * CBN_GRADIENT_PLANES);
    for (int64_t first = 0; first < n_words; first += BLOCK_WORDS) {
        const int64_t end = n_words - first < BLOCK_WORDS ? n_words : first + BLOCK_WORDS;
        uint8x16_t bytes[CBN_GRADIENT_PLANES];
        EACH_PLANE bytes[k] = vdupq_n_u8(0);
        int64_t w = first;
        for (; w + 2 <= end; w += 2) {
            const uint64x2_t v = vld1q_u64(plane + w);
            EACH_PLANE {
                const uint64x2_t both = vandq_u64(v, vld1q_u64(set + k * n_words + w));
                bytes[k] = vaddq_u8(bytes[k], vcntq_u8(vreinterpretq_u8_u64(both)));
            }
        }
        EACH_PLANE count[k] += vaddlvq_u8(bytes[k]);
        if (w < end) EACH_PLANE count[k] += __builtin_popcountll(plane[w] & set[k * n_words + w]);
    }
}

CBN_FUNCTION inline void count_candidate(const uint64_t *plane, const uint64_t *set, int64_t n_words, int32_t *gradient,
                                         int32_t *hessian) {
    int32_t count[CBN_GRADIENT_PLANES];
    count_planes(plane, set, n_words, count);
    int32_t g = -count[CBN_GRADIENT_BITS - 1], h = count[CBN_GRADIENT_PLANES - 1];
    for (int k = CBN_GRADIENT_BITS - 2; k >= 0; k--) g = 2 * g + count[k];
    for (int k = CBN_GRADIENT_PLANES - 2; k >= CBN_GRADIENT_BITS; k--) h = 2 * h + count[k];
    *gradient = g;
    *hessian = h;
}
#define CBN_OWN_COUNT_GRADIENTS
#define CBN_BIT_MASK(p, bit) bit_mask(p, bit)
#define CBN_VECTOR_OF_WORDS 2
#include "boost_template.h"

/* Words in which all variables are 0, as at the border of pictures, have one value for all images. */
CBN_FUNCTION inline __attribute__((always_inline)) void score_small(const cbn_variables *variables, const int n,
                                                                    int table_bits, int64_t first_word, int n_words,
                                                                    const double *values, double *sums) {
    (void)table_bits;
    for (int w = 0; w < n_words; w++, sums += 64) {
        uint64_t word[5], any = 0;
        for (int v = 0; v < n; v++) any |= word[v] = variables->plane[v][first_word + w];
        if (any == 0) {
            const float64x2_t value = vdupq_n_f64(values[0]);
            for (int i = 0; i < 64; i += 2) vst1q_f64(sums + i, vaddq_f64(vld1q_f64(sums + i), value));
            continue;
        }
        uint16_t index[64];
        for (int part = 0; part < 4; part++) {
            uint8x16_t bytes = vdupq_n_u8(0);
            for (int v = 0; v < n; v++) {
                const uint8x16_t on = spread_16(vreinterpretq_u8_u64(vdupq_n_u64(word[v])), part);
                bytes = vorrq_u8(bytes, vandq_u8(on, vdupq_n_u8((uint8_t)(1 << variables->bit[v]))));
            }
            vst1q_u16(index + 16 * part, vmovl_u8(vget_low_u8(bytes)));
            vst1q_u16(index + 16 * part + 8, vmovl_high_u8(bytes));
        }
        add_looked_up(index, values, sums);
    }
}
#define CBN_SCORE_SMALL score_small
#include "score_template.h"
#include "sample_template.h"
#include "tree_sample_template.h"
#include "particle_template.h"
#include "transition_template.h"
#include "gradient_template.h"

CBN_FUNCTION inline uint32_t positive_lanes(const int32_t values[CBN_GROUP]) {
    uint8x16_t above[4] = {0};
    for (int v = 0; v < 2; v++, values += 16) {
        uint16x8_t half[2];
        for (int h = 0; h < 2; h++)
            half[h] = vuzp1q_u16(vreinterpretq_u16_u32(vcgtzq_s32(vld1q_s32(values + 8 * h))),
                                 vreinterpretq_u16_u32(vcgtzq_s32(vld1q_s32(values + 8 * h + 4))));
        above[v] = vuzp1q_u8(vreinterpretq_u8_u16(half[0]), vreinterpretq_u8_u16(half[1]));
    }
    return (uint32_t)mask_of_bytes(above);
}
#define CBN_POSITIVE positive_lanes
#include "gibbs_layers_template.h"

/* Of 32 registers, tiles take as many for sums as weights and a value leave. */
#define CBN_FLOATS float32x4_t
#define CBN_FLOAT_LANES 4
#define CBN_LOAD_FLOATS(p) vld1q_f32(p)
#define CBN_STORE_FLOATS(p, v) vst1q_f32(p, v)
#define CBN_SAME_FLOATS(f) vdupq_n_f32(f)
#define CBN_MULTIPLY_ADD(a, b, c) vfmaq_f32(c, a, b)
#define CBN_ADD_FLOATS(a, b) vaddq_f32(a, b)
#define CBN_RECTIFY(v) vmaxnmq_f32(v, vdupq_n_f32(0.0f)) /* of a number and none, the number: as on x86 */
#define CBN_TILE_32 2
#define CBN_TILE_16 6
#define CBN_TILE_INPUTS 2
#include "neural_template.h"

/* Pairs are in the first part; sums of the products of either half, side by side, in both. */
typedef struct {
    int32x4_t part[2];
} neon_pairs;

CBN_FUNCTION inline neon_pairs add_pairs(neon_pairs a, neon_pairs b, neon_pairs sums) {
    const int16x8_t x = vreinterpretq_s16_s32(a.part[0]), y = vreinterpretq_s16_s32(b.part[0]);
    return (neon_pairs){{vmlal_s16(sums.part[0], vget_low_s16(x), vget_low_s16(y)), vmlal_high_s16(sums.part[1], x, y)}};
}

#define CBN_PAIRS neon_pairs
#define CBN_PAIR_LANES 4
#define CBN_LOAD_PAIRS(p) ((neon_pairs){{vld1q_s32(p)}})
#define CBN_STORE_SUMS(p, v) vst1q_s32(p, vpaddq_s32((v).part[0], (v).part[1]))
#define CBN_SAME_PAIR(i) ((neon_pairs){{vdupq_n_s32(i)}})
#define CBN_NO_SUMS() ((neon_pairs){{vdupq_n_s32(0), vdupq_n_s32(0)}})
#define CBN_ADD_PAIRS(a, b, c) add_pairs(a, b, c)
#define CBN_TILE_PAIRS 3
#include "gaussian_template.h"

#define CBN_LEAST(a, b) vminnmq_f32(a, b)
#define CBN_LOAD_HALF(p) vld1q_f32(p)
#define CBN_STORE_HALF(p, v) vst1q_f32(p, v)
#define CBN_TILE_8 12
#define CBN_TILE_PANEL 6
#define CBN_TILE_DEPTH 6
#include "mobile_template.h"

CBN_KERNEL_SET(neon);
#else
typedef int cbn_no_neon; /* ISO C wants a declaration in every file */
#endif

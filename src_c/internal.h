/* SPDX-License-Identifier: BSD-3-Clause */
/* Private helpers of the engine: geometry of a layer, checked sizes, a logarithm and an exponential that are the same
 * on every machine. */
#ifndef CBN_INTERNAL_H
#define CBN_INTERNAL_H

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "cbn needs a little-endian processor: rows of bits are read as bytes and as words"
#endif

#include <float.h>
#include <stddef.h>
#include <string.h>

#include "cbn.h"

#if FLT_EVAL_METHOD != 0
#error "cbn needs doubles that are rounded at every step: with gcc on 32-bit x86 add -msse2 -mfpmath=sse"
#endif
#ifdef __FAST_MATH__
#error "cbn gives the same bytes everywhere: build it without -ffast-math"
#endif

#ifdef _OPENMP
#include <omp.h>
#endif

/* Leaves the function when a check fails. */
#define CBN_TRY(call)                                                                                                  \
    do {                                                                                                               \
        int status_ = (call);                                                                                          \
        if (status_ != CBN_OK) return status_;                                                                         \
    } while (0)

/* Chains of one group share a 32-bit word per node. */
#define CBN_GROUP 32

/* *out = a * b for a, b >= 0; CBN_E_SIZE when it does not fit. */
static inline int cbn_multiply(int64_t a, int64_t b, int64_t *out) {
    if (a < 0 || b < 0 || (b != 0 && a > INT64_MAX / b)) return CBN_E_SIZE;
    *out = a * b;
    return CBN_OK;
}

/* The bits of a word of a plane that stand for images. */
static inline uint64_t cbn_images_of_word(int64_t n_images, int64_t word) {
    const int64_t left = n_images - 64 * word;
    return left >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << left) - 1;
}

/* ---- threads: all that the engine has of OpenMP ---- */

/* No more threads than there are units of work: one that has nothing to do still costs a wake-up. */
static inline int cbn_useful_threads(int num_threads, int64_t units) {
    return units < num_threads ? (int)(units < 1 ? 1 : units) : num_threads;
}

/* Threads worth their wake-up for so many nanoseconds of work, at most num_threads (threads.c). Where threads wait for
 * each other in between, it is the work from one barrier to the next that counts. */
int cbn_worth(int num_threads, double nanoseconds);

/* Number of the calling thread of a parallel region. */
static inline int64_t cbn_thread(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

/*
 * The next loop, or block, in at most `threads` threads, and no more than there are `units` of work; the last argument
 * is OpenMP's schedule. In a block, CBN_FOR shares a loop between its threads and CBN_SINGLE leaves a statement to one.
 */
#ifdef _OPENMP
#define CBN_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define CBN_PARALLEL_FOR(threads, units, ...)                                                                          \
    CBN_PRAGMA(omp parallel for schedule(__VA_ARGS__) num_threads(cbn_useful_threads(threads, units)))
#define CBN_PARALLEL(threads, units) CBN_PRAGMA(omp parallel num_threads(cbn_useful_threads(threads, units)))
#define CBN_FOR(...) CBN_PRAGMA(omp for schedule(__VA_ARGS__))
#define CBN_SINGLE CBN_PRAGMA(omp single)
#else
#define CBN_PARALLEL_FOR(threads, units, ...) (void)cbn_useful_threads(threads, units);
#define CBN_PARALLEL(threads, units) (void)cbn_useful_threads(threads, units);
#define CBN_FOR(...)
#define CBN_SINGLE
#endif

/* ---- geometry of a grid ---- */

/* Sizes positive, and nodes that fit the 32-bit numbers of splits. */
static inline int cbn_grid_check(cbn_grid grid) {
    if (grid.channels < 1 || grid.height < 1 || grid.width < 1) return CBN_E_SIZE;
    return (int64_t)grid.height * grid.width > INT32_MAX / grid.channels ? CBN_E_SIZE : CBN_OK;
}

static inline int64_t cbn_grid_positions(cbn_grid grid) { return (int64_t)grid.height * grid.width; }
static inline int64_t cbn_grid_nodes(cbn_grid grid) { return grid.channels * cbn_grid_positions(grid); }

/* Place of a node in the order rows, columns, channels, in which parents come before children. */
static inline int64_t cbn_raster_order(cbn_grid grid, int64_t node) {
    const int64_t positions = cbn_grid_positions(grid);
    return node % positions * grid.channels + node / positions;
}

/* The node at a place of that order. */
static inline int64_t cbn_raster_node(cbn_grid grid, int64_t place) {
    return place % grid.channels * cbn_grid_positions(grid) + place / grid.channels;
}

/* ---- geometry of a layer that passed cbn_layer_check ---- */

/* Number of parents of the nodes of a channel, counting absent ones. */
static inline int cbn_parent_count(const cbn_layer *layer, int channel) {
    return (int)(layer->relation_begin[channel + 1] - layer->relation_begin[channel]);
}

/* First table row of a channel. */
static inline int64_t cbn_channel_row(const cbn_layer *layer, int channel) {
    int64_t row = 0;
    for (int c = 0; c < channel; c++) row += cbn_grid_positions(layer->grid) << cbn_parent_count(layer, c);
    return row;
}

typedef struct {
    int channel, row, column; /* position of the node */
    int k;                    /* relations of its channel */
    int64_t table;            /* first row of its table */
} cbn_place;

static inline cbn_place cbn_place_at(const cbn_layer *layer, int channel, int row, int column) {
    const int k = cbn_parent_count(layer, channel);
    const int64_t inside = (int64_t)row * layer->grid.width + column;
    const cbn_place place = {channel, row, column, k, cbn_channel_row(layer, channel) + (inside << k)};
    return place;
}

static inline cbn_place cbn_place_of(const cbn_layer *layer, int64_t node) {
    const int64_t positions = cbn_grid_positions(layer->grid), inside = node % positions;
    const int row = (int)(inside / layer->grid.width), column = (int)(inside % layer->grid.width);
    return cbn_place_at(layer, (int)(node / positions), row, column);
}

/* Index of the node at an offset from (row, column), or -1 outside the layer. */
static inline int64_t cbn_node_at(const cbn_layer *layer, int channel, int64_t row, int64_t column) {
    if (row < 0 || row >= layer->grid.height || column < 0 || column >= layer->grid.width) return -1;
    return (channel * (int64_t)layer->grid.height + row) * layer->grid.width + column;
}

/* parent[j] = node index of parent j, or -1 where it is absent. Returns the row bits that can be 1. */
static inline uint32_t cbn_parents_of(const cbn_layer *layer, const cbn_place *place, int64_t parent[CBN_MAX_PARENTS]) {
    const int64_t first = layer->relation_begin[place->channel];
    uint32_t present = 0;
    for (int j = 0; j < place->k; j++) {
        const int64_t r = first + j;
        parent[j] = cbn_node_at(layer, layer->parent_channel[r], (int64_t)place->row + layer->dy[r],
                                (int64_t)place->column + layer->dx[r]);
        if (parent[j] >= 0) present |= (uint32_t)1 << j;
    }
    return present;
}

/* Row bits of the required parents of a channel: state 1 is possible only in rows where all of them are set. */
static inline uint32_t cbn_required_bits(const cbn_layer *layer, int channel) {
    uint32_t bits = 0;
    for (int j = 0; j < cbn_parent_count(layer, channel); j++)
        if (layer->required[layer->relation_begin[channel] + j]) bits |= (uint32_t)1 << j;
    return bits;
}

/*
 * Natural logarithm of a positive normal double, from additions, multiplications and one division only: libm's
 * logarithms differ in the last bit between machines and versions, and scores must not.
 * x = 2^e m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.1716, so the series
 * s^(2i+1) / (2i+1) is cut at s^21 with an error below 1e-17. ln 2 is split into a part with 32 trailing zero bits, by
 * which every exponent multiplies exactly, and the rest. Error below 1 unit in the last place (tests/c/test_log.c).
 * No branches and 64-bit numbers alone, so that loops of logarithms become vectors.
 */
static inline double cbn_log(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    /* the exponent, biased by 1023, raised by 1 where the mantissa is above sqrt(2); beside 2^52 it becomes a double */
    const uint64_t raised = bits + (0x3ff0000000000000ULL - 0x3fe6a09e667f3bceULL);
    const uint64_t number = raised >> 52 | 0x4330000000000000ULL;
    bits -= (raised & 0xfff0000000000000ULL) - 0x3ff0000000000000ULL;
    double m, e;
    memcpy(&m, &bits, sizeof m);
    memcpy(&e, &number, sizeof e);
    e -= 0x1p52 + 1023.0;
    const double f = m - 1.0, s = f / (m + 1.0), z = s * s;
    double t = 1.0 / 21.0;
    t = t * z + 1.0 / 19.0;
    t = t * z + 1.0 / 17.0;
    t = t * z + 1.0 / 15.0;
    t = t * z + 1.0 / 13.0;
    t = t * z + 1.0 / 11.0;
    t = t * z + 1.0 / 9.0;
    t = t * z + 1.0 / 7.0;
    t = t * z + 1.0 / 5.0;
    t = t * z + 1.0 / 3.0;
    /* 2 s = f - s f exactly, so that for e = 0 the large term f carries no rounding error */
    const double tail = 2.0 * s * (t * z) - s * f;
    return e * 6.93147180369123816490e-01 + (f + (tail + e * 1.90821492927058770002e-10));
}

/* n ln n, and with it the ln-likelihood, at its maximum, of n0 and n1 images in the two states of a node. */
static inline double cbn_n_ln_n(int64_t n) { return n > 0 ? (double)n * cbn_log((double)n) : 0.0; }

static inline double cbn_likelihood(int64_t n0, int64_t n1) {
    return cbn_n_ln_n(n0) + cbn_n_ln_n(n1) - cbn_n_ln_n(n0 + n1);
}

/*
 * e^x for CBN_EXP_LEAST <= x <= 0, from additions and multiplications only, for the same reason.
 * x = n ln 2 + r, |r| <= 0.35; Taylor series of e^r to r^13. Error about 1 unit in the last place
 * (tests/c/test_log.c).
 */
#define CBN_EXP_LEAST (-700)
static inline double cbn_exp_in_range(double x) {
    /* adding 1.5 * 2^52 rounds to a whole number, in the lowest bits: no conversion, which AVX2 has for one number only */
    const double shifted = x * 1.4426950408889634 + 0x1.8p52, n = shifted - 0x1.8p52;
    const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    double t = 1.0 / 6227020800.0;
    t = t * r + 1.0 / 479001600.0;
    t = t * r + 1.0 / 39916800.0;
    t = t * r + 1.0 / 3628800.0;
    t = t * r + 1.0 / 362880.0;
    t = t * r + 1.0 / 40320.0;
    t = t * r + 1.0 / 5040.0;
    t = t * r + 1.0 / 720.0;
    t = t * r + 1.0 / 120.0;
    t = t * r + 1.0 / 24.0;
    t = t * r + 1.0 / 6.0;
    t = t * r + 0.5;
    t = t * r + 1.0;
    t = t * r + 1.0;
    uint64_t bits;
    double power;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52;
    memcpy(&power, &bits, sizeof power);
    return t * power;
}

/* The same for all x <= 0; below CBN_EXP_LEAST taken as that. */
static inline double cbn_exp_negative(double x) {
    return cbn_exp_in_range(x < (double)CBN_EXP_LEAST ? (double)CBN_EXP_LEAST : x);
}

/* to += factor * from, n numbers. */
static inline void cbn_add_times(double *restrict to, double factor, const double *restrict from, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] += factor * from[i];
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernels of boosted trees against plain loops over images: every tail of words and candidates, sets from empty to full,
 * levels up to the largest. */
#include "harness.h"
#include "kernels/kernels.h"

enum { MOST_WORDS = 131, MOST_CANDIDATES = 70, NODES = 90, MOST_IMAGES = 64 * MOST_WORDS };

static const cbn_kernels *kernels;
static uint64_t rounded[CBN_GRADIENT_PLANES * MOST_WORDS], set[MOST_WORDS];
static int32_t level[MOST_IMAGES], curved[MOST_IMAGES];

/* Each bit is 1 in `part` of 64 cases. */
static uint64_t random_word(uint32_t part, uint64_t *state) {
    uint64_t word = 0;
    for (int i = 0; i < 64; i++) word |= (uint64_t)(next_random(state) % 64 < part) << i;
    return word;
}

static int bit_of(const uint64_t *words, int64_t i) { return (int)(words[i / 64] >> i % 64 & 1); }

/* Rounded planes of images of which `part` of 64 have any level: anything, or -7, 7 and 7 by `extreme` of 1 and 2. */
static void make_levels(int64_t n_words, uint32_t part, int extreme, uint64_t *state) {
    memset(rounded, 0, sizeof rounded);
    for (int64_t i = 0; i < 64 * n_words; i++) {
        const int some = next_random(state) % 64 < part;
        level[i] = (int32_t)(next_random(state) % (2 * CBN_GRADIENT_LEVELS + 1)) - CBN_GRADIENT_LEVELS;
        curved[i] = (int32_t)(next_random(state) % (CBN_HESSIAN_LEVELS + 1));
        if (extreme) level[i] = extreme == 1 ? -CBN_GRADIENT_LEVELS : CBN_GRADIENT_LEVELS, curved[i] = CBN_HESSIAN_LEVELS;
        if (!some) level[i] = curved[i] = 0;
        for (int k = 0; k < CBN_GRADIENT_PLANES; k++) {
            const uint32_t code = k < CBN_GRADIENT_BITS ? (uint32_t)level[i] >> k : (uint32_t)curved[i] >> (k - CBN_GRADIENT_BITS);
            rounded[k * n_words + i / 64] |= (uint64_t)(code & 1) << i % 64;
        }
    }
}

static void check_counts(int64_t n_words, int64_t n, uint32_t in_planes, uint32_t in_set) {
    int32_t candidate[MOST_CANDIDATES];
    int32_t *g = allocate(4 * n), *h = allocate(4 * n); /* of exactly this size */
    uint64_t *scratch = allocate(8 * n_words * cbn_search_words(n)), state = (uint64_t)(n_words * 1000 + n);
    uint64_t *own = allocate(8 * NODES * n_words);
    for (int64_t w = 0; w < NODES * n_words; w++) own[w] = random_word(in_planes, &state);
    for (int64_t c = 0; c < n; c++) candidate[c] = (int32_t)(next_random(&state) % NODES);
    candidate[n - 1] = NODES - 1; /* whose plane ends where the memory does */
    const cbn_split_search search = {own, n_words, candidate, n, rounded, scratch};
    kernels->lay_out_search(&search);
    for (int leaf = 0; leaf < 2; leaf++) { /* what is laid out serves every leaf */
        for (int64_t w = 0; w < n_words; w++) set[w] = leaf ? ~set[w] : random_word(in_set, &state);
        kernels->count_gradients(&search, set, g, h);
        int good = 1;
        for (int64_t c = 0; c < n; c++) {
            int32_t all_g = 0, all_h = 0;
            for (int64_t i = 0; i < 64 * n_words; i++)
                if (bit_of(own + candidate[c] * n_words, i) && bit_of(set, i)) all_g += level[i], all_h += curved[i];
            good &= g[c] == all_g && h[c] == all_h;
        }
        CHECK(good);
    }
    free(g), free(h), free(scratch), free(own);
}

static void check_all_counts(void) {
    const int64_t words[] = {1, 2, 3, 31, 32, 33, 64, 65, 131}, candidates[] = {1, 2, 31, 32, 33, 64, 70};
    const uint32_t parts[] = {0, 1, 6, 32, 64};
    uint64_t state = 5;
    for (size_t w = 0; w < sizeof words / sizeof *words; w++)
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            make_levels(words[w], parts[p], 0, &state);
            for (size_t c = 0; c < sizeof candidates / sizeof *candidates; c++)
                check_counts(words[w], candidates[c], 20, parts[(p + c) % 5]);
        }
    for (int extreme = 1; extreme <= 2; extreme++) { /* the largest sums */
        make_levels(MOST_WORDS, 64, extreme, &state);
        check_counts(MOST_WORDS, 33, 64, 64);
        check_counts(MOST_WORDS, 33, 40, 50);
    }
}

/* Additions and sums of the images of a set. */
static void check_leaves(int64_t n_words, uint32_t part, int extreme) {
    uint64_t state = (uint64_t)n_words + part;
    const int64_t n = 64 * n_words;
    int32_t *g = allocate(4 * n), *h = allocate(4 * n), *odds = allocate(4 * n), *before = allocate(4 * n);
    int64_t sums[2], expected[2] = {0, 0};
    for (int64_t w = 0; w < n_words; w++) set[w] = random_word(part, &state);
    for (int64_t i = 0; i < n; i++) {
        g[i] = (int32_t)(next_random(&state) % (2 * CBN_GRADIENT_ONE + 1)) - CBN_GRADIENT_ONE;
        h[i] = (int32_t)(next_random(&state) % (CBN_GRADIENT_ONE / 4 + 1));
        if (extreme) g[i] = -CBN_GRADIENT_ONE, h[i] = CBN_GRADIENT_ONE;
        odds[i] = before[i] = (int32_t)(next_random(&state) % 2000000) - 1000000;
        if (bit_of(set, i)) expected[0] += g[i], expected[1] += h[i];
    }
    kernels->leaf_sums(set, n_words, g, h, sums);
    CHECK(sums[0] == expected[0] && sums[1] == expected[1]);
    kernels->add_leaf(set, n_words, -12345, odds);
    int good = 1;
    for (int64_t i = 0; i < n; i++) good &= odds[i] == before[i] - (bit_of(set, i) ? 12345 : 0);
    CHECK(good);
    free(g), free(h), free(odds), free(before);
}

static double plain_probability(int32_t odds, double *e) {
    const double x = (double)odds / CBN_LOG_ODDS_ONE;
    *e = cbn_exp_negative(x < 0.0 ? x : -x);
    return (x < 0.0 ? *e : 1.0) / (1.0 + *e);
}

/* Probabilities, gradients and Hessians at log-odds up to beyond those whose exponentials are cut. */
static void check_odds(int scale) {
    const int32_t edges[] = {0, 1, -1, 65536, -65536, 700 * 65536, -700 * 65536, 700 * 65536 + 1, -700 * 65536 - 1,
                             INT32_MAX, -INT32_MAX};
    int32_t odds[64], g[64], h[64];
    uint64_t state = (uint64_t)scale, target = random_word(32, &state), members = ~(uint64_t)0;
    double p[2][64];
    for (int i = 0; i < 64; i++) odds[i] = (int32_t)(next_random(&state) % (uint32_t)scale) - scale / 2;
    memcpy(odds, edges, sizeof edges);
    kernels->odds_probability(odds, p);
    kernels->gradients(odds, &target, &members, 1, 7, 8, 9, g, h, rounded);
    int same = 1, exact = 1, near = 1;
    for (int i = 0; i < 64; i++) {
        double e;
        const double p1 = plain_probability(odds[i], &e), p0 = plain_probability(-odds[i], &e);
        same &= p[1][i] == p1 && p[0][i] == p0;
        const int32_t size = (int32_t)(p1 * CBN_GRADIENT_ONE + 0.5), on = (int32_t)(target >> i & 1);
        exact &= g[i] == (on ? CBN_GRADIENT_ONE - size : -size);
        exact &= h[i] == (int32_t)(e / ((1.0 + e) * (1.0 + e)) * CBN_GRADIENT_ONE + 0.5);
        int32_t own = bit_of(rounded + CBN_GRADIENT_BITS - 1, i) ? -(1 << (CBN_GRADIENT_BITS - 1)) : 0;
        for (int k = 0; k < CBN_GRADIENT_BITS - 1; k++) own += bit_of(rounded + k, i) << k;
        const double off = own - (double)g[i] * CBN_GRADIENT_LEVELS / CBN_GRADIENT_ONE;
        near &= off < 1.0 && off > -1.0;
    }
    CHECK(same);
    CHECK(exact);
    CHECK(near);
}

int main(void) {
    kernels = cbn_kernels_select();
    check_all_counts();
    for (int64_t n_words = 1; n_words <= 3; n_words++)
        for (uint32_t part = 0; part <= 64; part += 8) check_leaves(n_words, part, part > 32);
    for (int scale = 2; scale < 1 << 28; scale *= 4) check_odds(scale);
    return report(__FILE__);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Boosted trees, 64 images (one word of a plane) at a time: log-odds from leaf sets, gradients and their roundings, the
 * statistics of candidate splits. Log-odds, gradients and their sums are integers, so every set gives the same bytes.
 *
 * Interface: after count_template.h, whose macros it uses, and
 *   CBN_SUBTRACT(a, b)              the missing operation of CBN_VECTOR
 *   CBN_BIT_MASK(p, bit)            64-bit mask of that bit of the 64 bytes at p
 *   CBN_VECTOR_OF_WORDS             64-bit words of a vector
 *   CBN_ADD_MASKED(set, value, n)   optional: add_masked below
 *   CBN_SUM_MASKED(set, n)          optional: sum_masked below
 *   CBN_ROW_SUMS(rows, n, g, h)     optional: row_sums below
 *   CBN_OWN_COUNT_GRADIENTS         optional: the file has count_candidate of its own (below); no CBN_SUBTRACT then
 *   CBN_OWN_SEARCH                  optional: the file has lay_out_search and count_gradients of its own; nor then
 */

/* numbers[i] += value for the images i of `set`. */
CBN_FUNCTION inline void add_masked(uint64_t set, int32_t value, int32_t numbers[64]) {
#ifdef CBN_ADD_MASKED
    CBN_ADD_MASKED(set, value, numbers);
#else
    for (; set; set &= set - 1) numbers[__builtin_ctzll(set)] += value;
#endif
}

CBN_FUNCTION inline int64_t sum_masked(uint64_t set, const int32_t numbers[64]) {
#ifdef CBN_SUM_MASKED
    return CBN_SUM_MASKED(set, numbers);
#else
    int64_t sum = 0;
    for (; set; set &= set - 1) sum += numbers[__builtin_ctzll(set)];
    return sum;
#endif
}

CBN_FUNCTION void add_leaf(const uint64_t *set, int64_t n_words, int32_t value, int32_t *odds) {
    for (int64_t w = 0; w < n_words; w++) add_masked(set[w], value, odds + 64 * w);
}

CBN_FUNCTION void leaf_sums(const uint64_t *set, int64_t n_words, const int32_t *gradient, const int32_t *hessian,
                            int64_t sums[2]) {
    sums[0] = sums[1] = 0;
    for (int64_t w = 0; w < n_words; w++) {
        sums[0] += sum_masked(set[w], gradient + 64 * w);
        sums[1] += sum_masked(set[w], hessian + 64 * w);
    }
}

CBN_FUNCTION void add_tree(const int32_t *split, const int32_t *value, int64_t n, const uint64_t *bits, int64_t step,
                           int32_t *odds) {
    uint64_t set[2 * CBN_MAX_BOOSTED_LEAVES];
    uint64_t *children = set + 1; /* vertices are numbered breadth first: the next two in line */
    set[0] = ~(uint64_t)0;
    for (int64_t t = 0; t < n; t++) {
        if (split[t] < 0) {
            add_masked(set[t], value[t], odds);
            continue;
        }
        const uint64_t decides = bits[split[t] * step];
        *children++ = set[t] & ~decides;
        *children++ = set[t] & decides;
    }
}

CBN_FUNCTION void log_odds(const cbn_boosted *boosted, int64_t node, const uint64_t *column, int64_t stride,
                           int32_t odds[64]) {
    for (int i = 0; i < 64; i++) odds[i] = boosted->base[node];
    for (int64_t tree = boosted->begin[node]; tree < boosted->begin[node + 1]; tree++) {
        const int64_t first = boosted->tree_begin[tree];
        add_tree(boosted->split + first, boosted->value + first, boosted->tree_begin[tree + 1] - first, column, stride,
                 odds);
    }
}

/* e[i]: the odds of the rarer state, exp(-|log-odds|); part[i]: state 1's of 1 + e[i]. Conditions are in loops of their
 * own or on whole numbers: one on an exponential or a division keeps it from being vectorized. */
CBN_FUNCTION inline void rarer_odds(const int32_t odds[64], double e[64], double part[64]) {
    for (int i = 0; i < 64; i++) {
        int32_t x = -__builtin_abs(odds[i]);
        x = x < CBN_EXP_LEAST * CBN_LOG_ODDS_ONE ? CBN_EXP_LEAST * CBN_LOG_ODDS_ONE : x;
        e[i] = cbn_exp_in_range((double)x * (1.0 / CBN_LOG_ODDS_ONE));
    }
    for (int i = 0; i < 64; i++) part[i] = odds[i] < 0 ? e[i] : 1.0;
}

CBN_FUNCTION void odds_probability(const int32_t odds[64], double p[2][64]) {
    double e[64], part[64];
    rarer_odds(odds, e, part);
    for (int i = 0; i < 64; i++) {
        const double other = odds[i] > 0 ? e[i] : 1.0;
        p[1][i] = part[i];
        p[0][i] = other;
    }
    for (int i = 0; i < 64; i++) {
        p[1][i] /= 1.0 + e[i];
        p[0][i] /= 1.0 + e[i];
    }
}

CBN_FUNCTION uint64_t draw_word(const double p1[64], uint64_t seed, uint32_t first_chain, uint64_t step) {
    double u[64];
    for (uint32_t i = 0; i < 64; i++) { /* as cbn_uniform */
        uint32_t c0 = (uint32_t)(step >> 1), c1 = (uint32_t)(step >> 33), c2 = first_chain + i;
        uint32_t c3 = CBN_RANDOM_ANCESTRAL;
        cbn_philox_block(&c0, &c1, &c2, &c3, (uint32_t)seed, (uint32_t)(seed >> 32));
        u[i] = step & 1 ? cbn_to_unit(c2, c3) : cbn_to_unit(c0, c1);
    }
    uint64_t drawn = 0;
    for (int i = 0; i < 64; i++) drawn |= (uint64_t)(u[i] < p1[i]) << i;
    return drawn;
}

CBN_FUNCTION void odds_values(const int32_t odds[64], uint64_t state, int kind, double values[64]) {
    for (int i = 0; i < 64; i++) {
        const double x = (double)odds[i] * (1.0 / CBN_LOG_ODDS_ONE), size = x < 0.0 ? -x : x;
        const double e = cbn_exp_negative(-size), rare = e / (1.0 + e), log_likely = -cbn_log(1.0 + e);
        const double log_p = log_likely - ((int)(state >> i & 1) == (x >= 0.0) ? 0.0 : size);
        const double entropy = size * rare - log_likely, variance = size * size * (rare / (1.0 + e));
        values[i] = kind == CBN_SURPRISE ? -log_p - entropy : kind == CBN_VARIANCE ? variance : log_p;
    }
}

/* Digits of numbers that are sliced into words: bit i of digit k is that of image i. */
#define CBN_DIGITS 32

/* So many words of a block are one vector of the processor. */
typedef uint64_t some_words __attribute__((vector_size(8 * CBN_VECTOR_OF_WORDS), aligned(8)));
#define CBN_VECTORS (CBN_SCORE_WORDS / CBN_VECTOR_OF_WORDS)

/* digit += what a tree adds, less the least that it adds; feature f is bits[f * CBN_VECTORS]. */
CBN_FUNCTION inline void add_sliced(const cbn_sliced_tree *tree, const some_words *bits, some_words *digit) {
    some_words set[2 * CBN_MAX_BOOSTED_LEAVES];
    const some_words none = {0};
    set[0] = ~none;
    for (int32_t i = 0; i < tree->n_inner; i++) {
        const some_words decides = bits[(int64_t)tree->feature[i] * CBN_VECTORS], own = set[tree->vertex[i]];
        set[2 * i + 1] = own & ~decides;
        set[2 * i + 2] = own & decides;
    }
    const uint16_t *under = tree->under;
    some_words carry = none;
    digit += tree->first;
    for (int k = 0; k < tree->digits; k++) {
        some_words sum = none;
        const int32_t without = tree->n_under[k] >> 31; /* 0 or all ones */
        for (int32_t n = tree->n_under[k] ^ without; n > 0; n--) sum |= set[*under++];
        sum ^= none - (uint64_t)(without & 1);
        const some_words a = digit[k], both = a ^ sum;
        digit[k] = both ^ carry;
        carry = (a & sum) | (both & carry);
    }
    for (int k = tree->digits; k < CBN_DIGITS - tree->first; k++) {
        uint64_t any = 0;
        for (int w = 0; w < CBN_VECTOR_OF_WORDS; w++) any |= carry[w];
        if (!any) break;
        const some_words a = digit[k];
        digit[k] = a ^ carry;
        carry &= a;
    }
}

CBN_FUNCTION void sum_trees(const cbn_sliced_tree *trees, int64_t n_trees, const uint64_t *bits, int32_t *odds) {
    int32_t least = 0;
    for (int64_t t = 0; t < n_trees; t++) least += trees[t].least;
    for (int v = 0; v < CBN_VECTORS; v++) {
        some_words digit[CBN_DIGITS] = {{0}};
        for (int64_t t = 0; t < n_trees; t++) add_sliced(trees + t, (const some_words *)bits + v, digit);
        for (int w = 0; w < CBN_VECTOR_OF_WORDS; w++, odds += 64) {
            uint32_t own[64] = {0};
            for (int k = 0; k < CBN_DIGITS; k++) {
                const uint32_t half[2] = {(uint32_t)digit[k][w], (uint32_t)(digit[k][w] >> 32)};
                for (int h = 0; h < 2; h++)
                    for (int i = 0; i < 32; i++) own[32 * h + i] += (half[h] >> i & 1) << k;
            }
            for (int i = 0; i < 64; i++) odds[i] += (int32_t)((uint32_t)least + own[i]);
        }
    }
}

/*
 * Gradients y - p and Hessians p (1 - p) of the images of one word, in units of 1 / CBN_GRADIENT_ONE, and both after
 * stochastic rounding: level[i] of the size of a gradient, without its sign; curved[i]. An image's rounding uses one
 * 32-bit random number, its upper half for the gradient.
 */
CBN_FUNCTION inline void round_word(const int32_t *odds, uint64_t target, const uint32_t counter[3], uint64_t seed,
                                    int32_t *gradient, int32_t *hessian, int8_t level[64], uint8_t curved[64]) {
    uint32_t random[4][16];
    for (uint32_t b = 0; b < 16; b++) {
        uint32_t c0 = counter[0] * 16 + b, c1 = counter[1], c2 = counter[2], c3 = CBN_RANDOM_ROUNDING;
        cbn_philox_block(&c0, &c1, &c2, &c3, (uint32_t)seed, (uint32_t)(seed >> 32));
        random[0][b] = c0, random[1][b] = c1, random[2][b] = c2, random[3][b] = c3;
    }
    /* image i: word i / 16 of block i % 16; loops are cut by the width of their types so that they vectorize */
    const uint32_t *noise = random[0];
    int32_t on[64], own[64], g[64], h[64]; /* apart from what the caller's pointers may name; on: 0 or all ones */
    memcpy(own, odds, sizeof own);
    for (int i = 0; i < 64; i++) on[i] = -(int32_t)(target >> i & 1);
    double e[64], part[64];
    rarer_odds(own, e, part);
    for (int i = 0; i < 64; i++) {
        const double all = 1.0 + e[i], scale = CBN_GRADIENT_ONE;
        g[i] = (int32_t)(part[i] / all * scale + 0.5);
        h[i] = (int32_t)(e[i] / (all * all) * scale + 0.5);
    }
    for (int i = 0; i < 64; i++) {
        const int32_t size = on[i] ? CBN_GRADIENT_ONE - g[i] : g[i];
        const int32_t rounded = (size * CBN_GRADIENT_LEVELS + (int32_t)(noise[i] >> 16 << 8)) >> 24;
        curved[i] = (uint8_t)((h[i] * (4 * CBN_HESSIAN_LEVELS) + (int32_t)((noise[i] & 0xffff) << 8)) >> 24);
        g[i] = on[i] ? size : -size;
        level[i] = (int8_t)(on[i] ? rounded : -rounded);
    }
    memcpy(gradient, g, sizeof g);
    memcpy(hessian, h, sizeof h);
}

/* The same as planes, 0 outside of `members`. */
CBN_FUNCTION inline void gradient_word(const int32_t *odds, uint64_t target, uint64_t members,
                                       const uint32_t counter[3], uint64_t seed, int32_t *gradient, int32_t *hessian,
                                       uint64_t *planes, int64_t n_words) {
    int8_t level[64];
    uint8_t curved[64], code[64];
    round_word(odds, target, counter, seed, gradient, hessian, level, curved);
    for (int i = 0; i < 64; i++)
        code[i] = (uint8_t)((level[i] & (2 * CBN_GRADIENT_LEVELS + 1)) | curved[i] << CBN_GRADIENT_BITS);
    for (int k = 0; k < CBN_GRADIENT_PLANES; k++) planes[k * n_words] = CBN_BIT_MASK(code, k) & members;
}

/* As in kernels.h: two transposed squares of 64 x 64 bits (Warren, Hacker's Delight, 7-3). */
CBN_FUNCTION inline void transpose_square(uint64_t bit[64]) {
    uint64_t mask = 0x00000000ffffffffULL;
    for (int j = 32; j; j >>= 1, mask ^= mask << j)
        for (int first = 0; first < 64; first += 2 * j)
            for (int k = first; k < first + j; k++) {
                const uint64_t moved = (bit[k] >> j ^ bit[k + j]) & mask;
                bit[k] ^= moved << j;
                bit[k + j] ^= moved;
            }
}

CBN_FUNCTION void code_rows(const int32_t *odds, uint64_t target, const uint64_t *features, const int32_t *drawn,
                            int64_t n_drawn, const uint32_t counter[3], uint64_t seed, int32_t *gradient,
                            int32_t *hessian, cbn_coded_row rows[64]) {
    int8_t level[64];
    uint8_t curved[64];
    uint64_t square[2][64];
    round_word(odds, target, counter, seed, gradient, hessian, level, curved);
    for (int64_t c = 0; c < CBN_ROW_BITS; c++) square[c / 64][c % 64] = c < n_drawn ? features[drawn[c]] : 0;
    for (int h = 0; h < 2; h++)
        if (64 * h < n_drawn) transpose_square(square[h]);
    for (int i = 0; i < 64; i++) {
        rows[i].bits[0] = square[0][i];
        rows[i].bits[1] = square[1][i];
        rows[i].level = level[i];
        rows[i].curved = curved[i];
    }
}

CBN_FUNCTION void row_sums(const cbn_coded_row *rows, int64_t n, int32_t gradient[CBN_ROW_BITS],
                           int32_t hessian[CBN_ROW_BITS]) {
#ifdef CBN_ROW_SUMS
    CBN_ROW_SUMS(rows, n, gradient, hessian);
#else
    for (int64_t r = 0; r < n; r++)
        for (int h = 0; h < 2; h++)
            for (uint64_t left = rows[r].bits[h]; left; left &= left - 1) {
                const int c = 64 * h + __builtin_ctzll(left);
                gradient[c] += rows[r].level;
                hessian[c] += rows[r].curved;
            }
#endif
}

CBN_FUNCTION void gradients(const int32_t *odds, const uint64_t *target, const uint64_t *members, int64_t n_words,
                            uint64_t seed, uint32_t node, uint32_t round, int32_t *gradient, int32_t *hessian,
                            uint64_t *planes) {
    for (int64_t w = 0; w < n_words; w++) {
        const uint32_t counter[3] = {(uint32_t)w, round, node};
        gradient_word(odds + 64 * w, target[w], members[w], counter, seed, gradient + 64 * w, hessian + 64 * w,
                      planes + w, n_words);
    }
}

#ifndef CBN_OWN_SEARCH
#ifndef CBN_OWN_COUNT_GRADIENTS
/* Sums over the images in which a plane is 1, in quanta. set: rounded planes of a leaf. */
CBN_FUNCTION inline void count_candidate(const uint64_t *plane, const uint64_t *set, int64_t n_words, int32_t *gradient,
                                         int32_t *hessian) {
    CBN_VECTOR sum[CBN_GRADIENT_PLANES];
    for (int k = 0; k < CBN_GRADIENT_PLANES; k++) sum[k] = CBN_ZERO();
    for (int64_t w = 0; w < n_words; w += CBN_VECTOR_WORDS) {
        const int64_t left = n_words - w;
        const int whole = left >= CBN_VECTOR_WORDS;
        const CBN_VECTOR v = whole ? CBN_LOAD(plane + w) : CBN_LOAD_TAIL(plane + w, left);
        for (int k = 0; k < CBN_GRADIENT_PLANES; k++) {
            const uint64_t *part = set + k * n_words + w;
            const CBN_VECTOR s = whole ? CBN_LOAD(part) : CBN_LOAD_TAIL(part, left);
            sum[k] = CBN_ADD(sum[k], CBN_POPCOUNT(CBN_AND(v, s)));
        }
    }
    CBN_VECTOR g = CBN_SUBTRACT(CBN_ZERO(), sum[CBN_GRADIENT_BITS - 1]);
    CBN_VECTOR h = sum[CBN_GRADIENT_PLANES - 1];
    for (int k = CBN_GRADIENT_BITS - 2; k >= 0; k--) g = CBN_ADD(CBN_ADD(g, g), sum[k]);
    for (int k = CBN_GRADIENT_PLANES - 2; k >= CBN_GRADIENT_BITS; k--) h = CBN_ADD(CBN_ADD(h, h), sum[k]);
    *gradient = (int32_t)CBN_SUM(g);
    *hessian = (int32_t)CBN_SUM(h);
}
#endif

CBN_FUNCTION void lay_out_search(const cbn_split_search *search) { (void)search; /* planes are counted as they are */ }

CBN_FUNCTION void count_gradients(const cbn_split_search *search, const uint64_t *set, int32_t *gradient,
                                  int32_t *hessian) {
    const int64_t n_words = search->n_words;
    for (int64_t k = 0; k < CBN_GRADIENT_PLANES; k++)
        for (int64_t w = 0; w < n_words; w++)
            search->scratch[k * n_words + w] = search->rounded[k * n_words + w] & set[w];
    for (int64_t c = 0; c < search->n; c++)
        count_candidate(search->planes + search->candidate[c] * n_words, search->scratch, n_words, gradient + c,
                        hessian + c);
}
#endif

/* score[c] = g0^2 / (h0 + l2) + g1^2 / (h1 + l2) of the two sides of each split, in quanta; -1 where a side has less
 * Hessian than it needs. total: of the leaf. */
CBN_FUNCTION void split_scores(const int32_t *gradient, const int32_t *hessian, int64_t n, const int64_t total[2],
                               double l2, double min_hessian, double *score) {
    const double all_g = (double)total[0], all_h = (double)total[1];
    for (int64_t c = 0; c < n; c++) {
        const double g1 = (double)gradient[c], h1 = (double)hessian[c], g0 = all_g - g1, h0 = all_h - h1;
        const double a = h0 + l2, b = h1 + l2;
        score[c] = (g0 * g0 * b + g1 * g1 * a) / (a * b); /* not a number where l2 and a side's Hessian are 0 */
    }
    for (int64_t c = 0; c < n; c++) /* apart: a condition on a division keeps it from being vectorized */
        if ((double)hessian[c] < min_hessian || all_h - (double)hessian[c] < min_hessian) score[c] = -1.0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For every non-empty subset of n bit-planes, the number of images in which all its planes are 1. A Moebius transform
 * of these 2^n - 1 numbers gives the joint histogram (counts.c), so that no plane is ever complemented and the zero
 * tail of the planes needs no care. One AND and one popcount per subset and vector of images. All of it either over all
 * images, or only over those in which one further plane (`within`) is 1.
 *
 * Interface:
 *   CBN_FUNCTION             storage class and target attribute
 *   CBN_VECTOR               a vector of CBN_VECTOR_WORDS 64-bit words
 *   CBN_LOAD(p)              loads a whole vector
 *   CBN_LOAD_TAIL(p, n)      loads n < CBN_VECTOR_WORDS words, the rest 0 (never called when CBN_VECTOR_WORDS is 1)
 *   CBN_AND(a, b), CBN_POPCOUNT(a), CBN_ADD(a, b), CBN_ZERO()
 *   CBN_SUM(a)               int64_t sum of the words
 *   CBN_OWN_COUNT_SUBSETS    optional: the file has a count_subsets of its own
 */

#ifndef CBN_OWN_COUNT_SUBSETS
/* n and whether there is a `within` are compile-time constants in every call below, so that the loops over subsets
 * unroll into registers. */
CBN_FUNCTION inline __attribute__((always_inline)) void count_subsets_n(const uint64_t *const *plane, const int n,
                                                                        const uint64_t *within, const int first,
                                                                        int64_t n_words, int64_t *superset) {
    CBN_VECTOR total[1 << CBN_SUBSET_VARIABLES], all[1 << CBN_SUBSET_VARIABLES];
    for (int s = first; s < 1 << n; s++) total[s] = CBN_ZERO();
    for (int64_t w = 0; w < n_words; w += CBN_VECTOR_WORDS) {
        const int64_t left = n_words - w;
        if (first == 0) all[0] = left >= CBN_VECTOR_WORDS ? CBN_LOAD(within + w) : CBN_LOAD_TAIL(within + w, left);
        for (int i = 0; i < n; i++) {
            const CBN_VECTOR v =
                left >= CBN_VECTOR_WORDS ? CBN_LOAD(plane[i] + w) : CBN_LOAD_TAIL(plane[i] + w, left);
            if (first == 1) all[1 << i] = v;
            for (int s = first; s < 1 << i; s++) all[(1 << i) | s] = CBN_AND(all[s], v);
        }
        for (int s = first; s < 1 << n; s++) total[s] = CBN_ADD(total[s], CBN_POPCOUNT(all[s]));
    }
    for (int s = first; s < 1 << n; s++) superset[s] = CBN_SUM(total[s]);
}

CBN_FUNCTION void count_subsets(const uint64_t *const *plane, int n, const uint64_t *within, int64_t n_words,
                                int64_t *superset) {
#define CBN_COUNT_SUBSETS(n)                                                                                           \
    case n:                                                                                                            \
        if (within) count_subsets_n(plane, n, within, 0, n_words, superset);                                           \
        else count_subsets_n(plane, n, NULL, 1, n_words, superset);                                                    \
        break
    switch (n) {
        CBN_COUNT_SUBSETS(1);
        CBN_COUNT_SUBSETS(2);
        CBN_COUNT_SUBSETS(3);
        CBN_COUNT_SUBSETS(4);
        CBN_COUNT_SUBSETS(5);
        CBN_COUNT_SUBSETS(6);
        CBN_COUNT_SUBSETS(7);
        CBN_COUNT_SUBSETS(8);
        default: break;
    }
#undef CBN_COUNT_SUBSETS
}
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For every non-empty subset of n bit-planes, the number of images in which all its planes are 1. A Moebius transform
 * of these 2^n - 1 numbers gives the joint histogram (counts.c), so that no plane is ever complemented and the zero
 * tail of the planes needs no care. One AND and one popcount per subset and vector of images.
 *
 * Interface:
 *   CBN_FUNCTION             storage class and target attribute
 *   CBN_VECTOR               a vector of CBN_VECTOR_WORDS 64-bit words
 *   CBN_LOAD(p)              loads a whole vector
 *   CBN_LOAD_TAIL(p, n)      loads n < CBN_VECTOR_WORDS words, the rest 0 (never called when CBN_VECTOR_WORDS is 1)
 *   CBN_AND(a, b), CBN_POPCOUNT(a), CBN_ADD(a, b), CBN_ZERO()
 *   CBN_SUM(a)               int64_t sum of the words
 */

/* n is a compile-time constant in every call below, so that the loops over subsets unroll into registers. */
CBN_FUNCTION inline __attribute__((always_inline)) void count_subsets_n(const uint64_t *const *plane, const int n,
                                                                        int64_t n_words, int64_t *superset) {
    CBN_VECTOR total[1 << CBN_SUBSET_VARIABLES], all[1 << CBN_SUBSET_VARIABLES];
    for (int s = 1; s < 1 << n; s++) total[s] = CBN_ZERO();
    for (int64_t w = 0; w < n_words; w += CBN_VECTOR_WORDS) {
        const int64_t left = n_words - w;
        for (int i = 0; i < n; i++) {
            const CBN_VECTOR v =
                left >= CBN_VECTOR_WORDS ? CBN_LOAD(plane[i] + w) : CBN_LOAD_TAIL(plane[i] + w, left);
            all[1 << i] = v;
            for (int s = 1; s < 1 << i; s++) all[(1 << i) | s] = CBN_AND(all[s], v);
        }
        for (int s = 1; s < 1 << n; s++) total[s] = CBN_ADD(total[s], CBN_POPCOUNT(all[s]));
    }
    for (int s = 1; s < 1 << n; s++) superset[s] = CBN_SUM(total[s]);
}

CBN_FUNCTION void count_subsets(const uint64_t *const *plane, int n, int64_t n_words, int64_t *superset) {
    switch (n) {
        case 1: count_subsets_n(plane, 1, n_words, superset); break;
        case 2: count_subsets_n(plane, 2, n_words, superset); break;
        case 3: count_subsets_n(plane, 3, n_words, superset); break;
        case 4: count_subsets_n(plane, 4, n_words, superset); break;
        case 5: count_subsets_n(plane, 5, n_words, superset); break;
        case 6: count_subsets_n(plane, 6, n_words, superset); break;
        case 7: count_subsets_n(plane, 7, n_words, superset); break;
        case 8: count_subsets_n(plane, 8, n_words, superset); break;
        default: break;
    }
}

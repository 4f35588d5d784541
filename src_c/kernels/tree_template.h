/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What growing a tree asks of the data: for every candidate variable, how many images of a leaf have it at 1, and how
 * many of those have the target at 1. Two ANDs and two popcounts per vector of images.
 *
 * Interface: after count_template.h, whose macros it uses.
 */

/* counts[c] = {images of `members`, images of `members_on`} in which plane candidate[c] is 1. */
CBN_FUNCTION void count_candidates(const uint64_t *planes, int64_t n_words, const int32_t *candidate, int64_t n,
                                   const uint64_t *members, const uint64_t *members_on, uint32_t (*counts)[2]) {
    for (int64_t c = 0; c < n; c++) {
        const uint64_t *plane = planes + (int64_t)candidate[c] * n_words;
        CBN_VECTOR all = CBN_ZERO(), on = CBN_ZERO();
        for (int64_t w = 0; w < n_words; w += CBN_VECTOR_WORDS) {
            const int64_t left = n_words - w;
            const int whole = left >= CBN_VECTOR_WORDS;
            const CBN_VECTOR v = whole ? CBN_LOAD(plane + w) : CBN_LOAD_TAIL(plane + w, left);
            const CBN_VECTOR m = whole ? CBN_LOAD(members + w) : CBN_LOAD_TAIL(members + w, left);
            const CBN_VECTOR t = whole ? CBN_LOAD(members_on + w) : CBN_LOAD_TAIL(members_on + w, left);
            all = CBN_ADD(all, CBN_POPCOUNT(CBN_AND(v, m)));
            on = CBN_ADD(on, CBN_POPCOUNT(CBN_AND(v, t)));
        }
        counts[c][0] = (uint32_t)CBN_SUM(all);
        counts[c][1] = (uint32_t)CBN_SUM(on);
    }
}

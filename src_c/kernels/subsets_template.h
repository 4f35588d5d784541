/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * count_subsets of count_template.h for processors whose vectors count the bits of bytes: a block of images after the
 * other, and in it a subset after the other, so that the set of a subset is there for those that hold it.
 *
 * Interface:
 *   CBN_FUNCTION                    storage class and target attribute
 *   CBN_BYTES                       a vector of CBN_BYTES_WORDS 64-bit words
 *   CBN_NO_BYTES(), CBN_AND_BYTES(a, b)
 *   CBN_COUNT_BYTES(counts, v)      counts, a vector of bytes, plus the number of bits in each byte of v
 *   CBN_SUM_BYTES(counts)           int64_t sum of the bytes
 */

/* Vectors of images that are counted at a time: so many counts of at most 8 fit a byte. */
#define CBN_BLOCK_VECTORS 31
#define CBN_BLOCK_WORDS (CBN_BYTES_WORDS * CBN_BLOCK_VECTORS)

/* Number of images in a and b; both = a & b, unless it is NULL. */
CBN_FUNCTION inline __attribute__((always_inline)) int64_t count_both(const CBN_BYTES *a, const CBN_BYTES *b, int n,
                                                                      CBN_BYTES *both) {
    CBN_BYTES counts = CBN_NO_BYTES();
    for (int i = 0; i < n; i++) {
        const CBN_BYTES v = CBN_AND_BYTES(a[i], b[i]);
        if (both) both[i] = v;
        counts = CBN_COUNT_BYTES(counts, v);
    }
    return CBN_SUM_BYTES(counts);
}

/*
 * Subsets in the order of their numbers: the images of each are those of the subset without its lowest variable, and
 * that variable. A set is kept at the place of its subset's lowest variable until the next one with the same comes, and
 * by then nothing more comes of it; those with variable 0 are never needed again.
 */
CBN_FUNCTION void count_subsets(const uint64_t *const *plane, int n, const uint64_t *within, int64_t n_words,
                                int64_t *superset) {
    CBN_BYTES given[CBN_SUBSET_VARIABLES + 1][CBN_BLOCK_VECTORS], kept[CBN_SUBSET_VARIABLES][CBN_BLOCK_VECTORS];
    int64_t n_kept[CBN_SUBSET_VARIABLES];
    memset(superset + !within, 0, sizeof *superset * (size_t)((1 << n) - !within));
    for (int64_t first = 0; first < n_words; first += CBN_BLOCK_WORDS) {
        const int64_t words = n_words - first < CBN_BLOCK_WORDS ? n_words - first : CBN_BLOCK_WORDS;
        const int vectors = (int)((words + CBN_BYTES_WORDS - 1) / CBN_BYTES_WORDS);
        for (int v = 0; v < n + !!within; v++) {
            given[v][vectors - 1] = CBN_NO_BYTES();
            memcpy(given[v], (v < n ? plane[v] : within) + first, sizeof(uint64_t) * (size_t)words);
        }
        const int64_t all = within ? count_both(given[n], given[n], vectors, NULL) : 1;
        if (within) superset[0] += all;
        for (int s = 1; s < 1 << n; s++) {
            const int lowest = __builtin_ctz((unsigned)s), rest = s & (s - 1);
            const int below = rest ? __builtin_ctz((unsigned)rest) : 0;
            if (!(rest ? n_kept[below] : all)) { /* of nothing comes nothing: most subsets at the border of pictures */
                n_kept[lowest] = 0;
                continue;
            }
            const CBN_BYTES *from = rest ? kept[below] : within ? given[n] : given[lowest];
            n_kept[lowest] = lowest ? count_both(from, given[lowest], vectors, kept[lowest])
                                    : count_both(from, given[lowest], vectors, NULL);
            superset[s] += n_kept[lowest];
        }
    }
}
#undef CBN_BLOCK_VECTORS
#undef CBN_BLOCK_WORDS
#define CBN_OWN_COUNT_SUBSETS

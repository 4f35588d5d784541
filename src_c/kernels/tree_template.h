/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What trees ask of bit-planes. Growth: for every candidate variable, how many images of a leaf have it at 1, and how
 * many of those have the target at 1; two ANDs and two popcounts per vector of images. Scores: which leaf every image
 * reaches; sets of images go down the tree, 512 images at a time.
 *
 * Interface, after count_template.h, whose macros it uses:
 *   CBN_SUM_CANDIDATES(sums, counts)   optional: counts[j][i] = sum of the words of vector sums[j][i]
 *   CBN_POPCOUNT_WORD(a)               optional: the number of bits of a word
 *   CBN_WORDS_FOR_ONE                  see words_for_one of the kernels
 *   CBN_MARK_LEAF(leaf, set, vertex)   optional, with the next: leaf[i] = vertex for the images i of the set
 *   CBN_ADD_LEAVES(leaf, state, values, n_vertices, sums)   sums[i] += values[2 leaf[i] + (bit i of state)], 64 images
 */

CBN_FUNCTION void count_candidates(const uint64_t *planes, int64_t n_words, const int32_t *candidate, int64_t n,
                                   const uint64_t *members, const uint64_t *members_on, uint32_t (*counts)[2]) {
    for (int64_t c = 0; c < n; c += CBN_COUNTED_TOGETHER) {
        const uint64_t *plane[CBN_COUNTED_TOGETHER];
        CBN_VECTOR sums[CBN_COUNTED_TOGETHER][2];
        for (int j = 0; j < CBN_COUNTED_TOGETHER; j++) {
            plane[j] = planes + candidate[c + j < n ? c + j : n - 1] * n_words; /* the last one again fills the group */
            sums[j][0] = sums[j][1] = CBN_ZERO();
        }
        for (int64_t w = 0; w < n_words; w += CBN_VECTOR_WORDS) {
            const CBN_VECTOR m = CBN_LOAD(members + w), on = CBN_LOAD(members_on + w);
            for (int j = 0; j < CBN_COUNTED_TOGETHER; j++) {
                const CBN_VECTOR v = CBN_LOAD(plane[j] + w);
                sums[j][0] = CBN_ADD(sums[j][0], CBN_POPCOUNT(CBN_AND(v, m)));
                sums[j][1] = CBN_ADD(sums[j][1], CBN_POPCOUNT(CBN_AND(v, on)));
            }
        }
#ifdef CBN_SUM_CANDIDATES
        CBN_SUM_CANDIDATES(sums, counts + c);
#else
        for (int j = 0; j < CBN_COUNTED_TOGETHER; j++)
            for (int i = 0; i < 2; i++) counts[c + j][i] = (uint32_t)CBN_SUM(sums[j][i]);
#endif
    }
}

#ifndef CBN_POPCOUNT_WORD
#define CBN_POPCOUNT_WORD(a) ((uint32_t)__builtin_popcountll(a))
#endif

/* Few images are in few words, wherever these are. */
CBN_FUNCTION void count_candidates_at(const uint64_t *planes, int64_t plane_words, const int32_t *candidate, int64_t n,
                                      const int32_t *at, int64_t n_words, const uint64_t *members,
                                      const uint64_t *members_on, uint32_t (*counts)[2]) {
    for (int64_t c = 0; c < n; c++) {
        const uint64_t *plane = planes + candidate[c] * plane_words;
        uint32_t sum = 0, on = 0;
        for (int64_t i = 0; i < n_words; i++) {
            const uint64_t v = plane[at[i]];
            sum += CBN_POPCOUNT_WORD(v & members[i]);
            on += CBN_POPCOUNT_WORD(v & members_on[i]);
        }
        counts[c][0] = sum;
        counts[c][1] = on;
    }
}

/* Steps of a way that are gone at a time. */
#define CBN_STEPS 4

CBN_FUNCTION int64_t follow_way(const uint64_t *planes, int64_t plane_words, const uint64_t *images, int64_t n_words,
                                const int32_t *way, int64_t n_way, int32_t *at, uint64_t *few) {
    int64_t n = 0;
    for (int64_t i = 0; i < n_way || !i; i += CBN_STEPS) {
        const uint64_t *plane[CBN_STEPS];
        uint64_t flip[CBN_STEPS];
        for (int64_t j = 0; j < CBN_STEPS && n_way; j++) {
            const int32_t step = way[i + j < n_way ? i + j : n_way - 1]; /* the last one again fills the group */
            plane[j] = planes + (step < 0 ? -1 - (int64_t)step : step) * plane_words;
            flip[j] = step < 0 ? ~(uint64_t)0 : 0;
        }
        const int64_t before = i ? n : n_words;
        if (!n_way)
            memcpy(few, images, sizeof *few * (size_t)n_words);
        else if (!i)
            for (int64_t w = 0; w < n_words; w++)
                few[w] = images[w] & (plane[0][w] ^ flip[0]) & (plane[1][w] ^ flip[1]) & (plane[2][w] ^ flip[2]) &
                         (plane[3][w] ^ flip[3]);
        n = 0;
        for (int64_t w = 0; w < before; w++) {
            const int32_t word = i ? at[w] : (int32_t)w;
            uint64_t set = few[w];
            if (i)
                set &= (plane[0][word] ^ flip[0]) & (plane[1][word] ^ flip[1]) & (plane[2][word] ^ flip[2]) &
                       (plane[3][word] ^ flip[3]);
            at[n] = word;
            few[n] = set;
            n += set != 0;
        }
    }
    return n;
}

/* Splits the images of a vertex between its children, left child first. */
CBN_FUNCTION inline void split_set(const uint64_t *set, const uint64_t *decides, int n_words, uint64_t *children) {
    for (int w = 0; w < n_words; w++) {
        children[w] = set[w] & ~decides[w];
        children[CBN_SCORE_WORDS + w] = set[w] & decides[w];
    }
}

/* Vertices in order, so that no branch depends on an image. */
CBN_FUNCTION inline __attribute__((always_inline)) void score_small_tree(const cbn_tree *tree, const uint64_t *first,
                                                                         int64_t plane_words, const int n_words,
                                                                         double *sums) {
    _Alignas(64) uint64_t set[CBN_BYTE_VERTICES][CBN_SCORE_WORDS];
    const uint64_t *state = first + tree->node * plane_words;
#ifdef CBN_MARK_LEAF
    _Alignas(64) uint8_t leaf[CBN_SCORE_WORDS][64] = {{0}};
#endif
    for (int w = 0; w < n_words; w++) set[0][w] = ~(uint64_t)0;
    for (int32_t t = 0; t < tree->n_vertices; t++) {
        if (tree->split[t] >= 0) {
            split_set(set[t], first + tree->split[t] * plane_words, n_words, set[tree->child[t]]);
            continue;
        }
        for (int w = 0; w < n_words; w++) {
#ifdef CBN_MARK_LEAF
            CBN_MARK_LEAF(leaf[w], set[t][w], t);
#else
            const double *value = tree->values + 2 * (int64_t)t;
            for (uint64_t left = set[t][w]; left; left &= left - 1) {
                const int i = __builtin_ctzll(left);
                sums[64 * w + i] += value[state[w] >> i & 1];
            }
#endif
        }
    }
#ifdef CBN_MARK_LEAF
    for (int w = 0; w < n_words; w++) CBN_ADD_LEAVES(leaf[w], state[w], tree->values, tree->n_vertices, sums + 64 * w);
#endif
}

/* Image by image: the sets of a large tree are mostly empty. */
CBN_FUNCTION void score_large_tree(const cbn_tree *tree, const uint64_t *first, int64_t plane_words, int n_words,
                                   double *sums) {
    const uint64_t *state = first + tree->node * plane_words;
    for (int w = 0; w < n_words; w++)
        for (int i = 0; i < 64; i++) {
            int32_t t = 0;
            while (tree->split[t] >= 0)
                t = tree->child[t] + (int32_t)(first[tree->split[t] * plane_words + w] >> i & 1);
            sums[64 * w + i] += tree->values[2 * (int64_t)t + (int64_t)(state[w] >> i & 1)];
        }
}

CBN_FUNCTION void score_tree(const cbn_tree *tree, const uint64_t *planes, int64_t plane_words, int64_t first_word,
                             int n_words, double *sums) {
    const uint64_t *first = planes + first_word;
    if (tree->n_vertices > CBN_BYTE_VERTICES)
        score_large_tree(tree, first, plane_words, n_words, sums);
    else if (n_words == CBN_SCORE_WORDS)
        score_small_tree(tree, first, plane_words, CBN_SCORE_WORDS, sums);
    else
        score_small_tree(tree, first, plane_words, n_words, sums);
}

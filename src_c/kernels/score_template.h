/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Adds one node's contribution to the scores of a block of images: build each image's table index from the planes,
 * look the value up, add it. The sum of an image runs over nodes in the caller's order in every instruction set.
 *
 * Interface:
 *   CBN_FUNCTION                                storage class and target attribute
 *   CBN_SCORE_SMALL(variables, w, n, v, sums)   optional: the same for tables of at most 32 entries, held in registers
 */

/* Bit i of b to byte i of the result: the byte is copied everywhere, its own bit is kept and moved to the bottom. */
CBN_FUNCTION inline uint64_t spread_bits(uint64_t b) {
    const uint64_t own = (b * 0x0101010101010101ULL) & 0x8040201008040201ULL;
    return ((own + 0x7f7f7f7f7f7f7f7fULL) >> 7) & 0x0101010101010101ULL;
}

CBN_FUNCTION void score_block(const cbn_variables *variables, int table_bits, int64_t first_word, int n_words,
                              const double *values, double *sums) {
#ifdef CBN_SCORE_SMALL
    if (table_bits <= 5) {
        CBN_SCORE_SMALL(variables, table_bits, first_word, n_words, values, sums);
        return;
    }
#endif
    for (int w = 0; w < n_words; w++, sums += 64) {
        if (table_bits <= 8) { /* indices fit bytes: eight images at a time in one word */
            for (int i = 0; i < 64; i += 8) {
                uint64_t index = 0;
                for (int v = 0; v < variables->n; v++)
                    index |= spread_bits(variables->plane[v][first_word + w] >> i & 0xff) << variables->bit[v];
                for (int b = 0; b < 8; b++) sums[i + b] += values[index >> (8 * b) & 0xff];
            }
        } else {
            uint32_t index[64] = {0};
            for (int v = 0; v < variables->n; v++) {
                const uint64_t word = variables->plane[v][first_word + w];
                for (int i = 0; i < 64; i++) index[i] |= (uint32_t)(word >> i & 1) << variables->bit[v];
            }
            for (int i = 0; i < 64; i++) sums[i] += values[index[i]];
        }
    }
}

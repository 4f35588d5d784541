/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Adds one node's contribution to the scores of a block of images: build each image's table index from the planes,
 * look the value up, add it. The sum of an image runs over nodes in the caller's order in every instruction set.
 *
 * Interface:
 *   CBN_FUNCTION                                storage class and target attribute
 *   CBN_SCORE_SMALL                             optional: score_block for tables of at most 32 entries; is given the
 *                                               number of variables
 *   CBN_SCORE_SMALL_TABLES                      optional: score_tables for tables of at most CBN_SMALL_TABLE_BITS bits
 */

/* Bit i of b to byte i of the result: the byte is copied everywhere, its own bit is kept and moved to the bottom. */
CBN_FUNCTION inline uint64_t spread_bits(uint64_t b) {
    const uint64_t own = (b * 0x0101010101010101ULL) & 0x8040201008040201ULL;
    return ((own + 0x7f7f7f7f7f7f7f7fULL) >> 7) & 0x0101010101010101ULL;
}

/* Table indices of the eight images from bit i of a word on, a byte each: tables of at most 8 bits. */
CBN_FUNCTION inline uint64_t byte_indices(const cbn_variables *variables, int64_t word, int i) {
    uint64_t index = 0;
    for (int v = 0; v < variables->n; v++)
        index |= spread_bits(variables->plane[v][word] >> i & 0xff) << variables->bit[v];
    return index;
}

/* Words in which all variables are 0, as at the border of pictures, have one value for all images. */
CBN_FUNCTION inline int is_empty(const cbn_variables *variables, int64_t word) {
    uint64_t any = 0;
    for (int v = 0; v < variables->n; v++) any |= variables->plane[v][word];
    return any == 0;
}

/* index[i] = table index of image i of a word, of any table. */
CBN_FUNCTION inline void wide_indices(const cbn_variables *variables, int64_t word, uint32_t index[64]) {
    memset(index, 0, 64 * sizeof *index);
    for (int v = 0; v < variables->n; v++) {
        const uint64_t bits = variables->plane[v][word];
        for (int i = 0; i < 64; i++) index[i] |= (uint32_t)(bits >> i & 1) << variables->bit[v];
    }
}

CBN_FUNCTION void score_block(const cbn_variables *variables, int table_bits, int64_t first_word, int n_words,
                              const double *values, double *sums) {
#ifdef CBN_SCORE_SMALL
    if (table_bits <= 5) { /* the number of variables becomes a constant, so that loops over them unroll */
        switch (variables->n) {
            case 1: CBN_SCORE_SMALL(variables, 1, table_bits, first_word, n_words, values, sums); return;
            case 2: CBN_SCORE_SMALL(variables, 2, table_bits, first_word, n_words, values, sums); return;
            case 3: CBN_SCORE_SMALL(variables, 3, table_bits, first_word, n_words, values, sums); return;
            case 4: CBN_SCORE_SMALL(variables, 4, table_bits, first_word, n_words, values, sums); return;
            default: CBN_SCORE_SMALL(variables, 5, table_bits, first_word, n_words, values, sums); return;
        }
    }
#endif
    for (int w = 0; w < n_words; w++, sums += 64) {
        if (is_empty(variables, first_word + w)) {
            for (int i = 0; i < 64; i++) sums[i] += values[0];
        } else if (table_bits <= 8) {
            for (int i = 0; i < 64; i += 8) {
                const uint64_t index = byte_indices(variables, first_word + w, i);
                for (int b = 0; b < 8; b++) sums[i + b] += values[index >> (8 * b) & 0xff];
            }
        } else {
            uint32_t index[64];
            wide_indices(variables, first_word + w, index);
            for (int i = 0; i < 64; i++) sums[i] += values[index[i]];
        }
    }
}

CBN_FUNCTION void score_tables(const cbn_variables *variables, int table_bits, int64_t word, const double *tables,
                               int n_tables, double *const *sums) {
#ifdef CBN_SCORE_SMALL_TABLES
    if (table_bits <= CBN_SMALL_TABLE_BITS) {
        CBN_SCORE_SMALL_TABLES(variables, table_bits, word, tables, n_tables, sums);
        return;
    }
#endif
    uint32_t index[64];
    if (table_bits <= 8)
        for (int i = 0; i < 64; i += 8) {
            const uint64_t bytes = byte_indices(variables, word, i);
            for (int b = 0; b < 8; b++) index[i + b] = (uint32_t)(bytes >> (8 * b)) & 0xff;
        }
    else
        wide_indices(variables, word, index);
    for (int t = 0; t < n_tables; t++, tables += (int64_t)1 << table_bits)
        if (sums[t])
            for (int i = 0; i < 64; i++) sums[t][i] += tables[index[i]];
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sums of the columns of a matrix of bits, over chosen rows: carry-save adders (Harley and Seal) over vectors of rows.
 * Eight rows become one vector of eights and what stays of ones, twos and fours; the eights are counted in slices, one
 * for each binary digit of the sums. Some five operations a row for all columns of a vector.
 *
 * Interface:
 *   CBN_COLUMN_WORDS                   words of a vector
 *   CBN_COLUMN_BYTES(bits, n, bytes)   optional: bit k of bytes[c] = bit c of bits[k], for all columns c; n <= 8, the
 *                                      other bits 0; bits[k] are CBN_COLUMN_WORDS words
 */
typedef uint64_t column_bits __attribute__((vector_size(8 * CBN_COLUMN_WORDS)));
typedef uint64_t row_bits __attribute__((vector_size(8 * CBN_COLUMN_WORDS), aligned(8), may_alias));

#ifndef CBN_COLUMN_BYTES
/* A byte of bits becomes the bytes 0 and 1 of a word: every byte takes its own bit, whatever is in it moves to bit 0. */
CBN_FUNCTION inline void column_bytes(const uint64_t (*bits)[CBN_COLUMN_WORDS], int n, uint8_t *bytes) {
    for (int w = 0; w < CBN_COLUMN_WORDS; w++)
        for (int shift = 0; shift < 64; shift += 8, bytes += 8) {
            uint64_t eight = 0;
            for (int k = 0; k < n; k++) {
                const uint64_t own = (bits[k][w] >> shift & 255) * 0x0101010101010101ULL & 0x8040201008040201ULL;
                eight |= ((own + 0x7f7f7f7f7f7f7f7fULL) >> 7 & 0x0101010101010101ULL) << k;
            }
            for (int c = 0; c < 8; c++) bytes[c] = (uint8_t)(eight >> 8 * c);
        }
}
#define CBN_COLUMN_BYTES column_bytes
#endif

/* Four at a time without a question, since how many a word has is anyone's guess; more than there are do no harm. */
CBN_FUNCTION int64_t list_rows(const uint64_t *set, const uint64_t *not_in, const int32_t *at, int64_t n_words,
                               int32_t *rows) {
    int64_t n = 0;
    for (int64_t w = 0; w < n_words; w++) {
        uint64_t left = not_in ? set[w] & ~not_in[w] : set[w];
        const int32_t first = 64 * (at ? at[w] : (int32_t)w);
        const int64_t end = n + (int64_t)CBN_POPCOUNT_WORD(left);
        for (int64_t i = n; i < end; i += 4)
            for (int j = 0; j < 4; j++, left &= left - 1)
                rows[i + j] = first + __builtin_ctzll(left | (uint64_t)1 << 63);
        n = end;
    }
    return n;
}

#define CBN_MOST_DIGITS 32

/* Rows of many images lie anywhere in memory, in increasing places that no prefetcher guesses. */
#define ROWS_AHEAD (12 * CBN_ROWS_TOGETHER)

/* high, low = the digits of a + b + c, column by column. */
CBN_FUNCTION inline __attribute__((always_inline)) void add_columns(const column_bits *a, const column_bits *b,
                                                                    const column_bits *c, column_bits *high,
                                                                    column_bits *low) {
    const column_bits one = *a ^ *b, carry = (*a & *b) | (one & *c);
    *low = one ^ *c;
    *high = carry;
}

CBN_FUNCTION inline __attribute__((always_inline)) column_bits load_row(const uint64_t *rows, int64_t stride,
                                                                        int32_t row) {
    return *(const row_bits *)(rows + row * stride);
}

CBN_FUNCTION void count_columns(const uint64_t *rows, int64_t stride, const int32_t *chosen, int64_t n,
                                uint32_t *counts) {
    column_bits digit[CBN_MOST_DIGITS], ones = {0}, twos = {0}, fours = {0};
    int n_digits = 3;
    while (n_digits < CBN_MOST_DIGITS && n >> n_digits) n_digits++;
    for (int d = 3; d < n_digits; d++) digit[d] = (column_bits){0};
    for (int64_t i = 0; i < n; i += CBN_ROWS_TOGETHER) {
        column_bits row[CBN_ROWS_TOGETHER], two[4], four[2], carry;
        const int32_t *later = chosen + (i + ROWS_AHEAD < n ? i + ROWS_AHEAD : i);
        for (int j = 0; j < CBN_ROWS_TOGETHER; j++) __builtin_prefetch(rows + later[j] * stride);
        for (int j = 0; j < CBN_ROWS_TOGETHER; j++) row[j] = load_row(rows, stride, chosen[i + j]);
        for (int j = 0; j < 4; j++) add_columns(&ones, &row[2 * j], &row[2 * j + 1], &two[j], &ones);
        for (int j = 0; j < 2; j++) add_columns(&twos, &two[2 * j], &two[2 * j + 1], &four[j], &twos);
        add_columns(&fours, &four[0], &four[1], &carry, &fours);
        for (int d = 3; d < n_digits; d++) {
            const column_bits both = digit[d] & carry;
            digit[d] ^= carry;
            carry = both;
        }
    }
    digit[0] = ones, digit[1] = twos, digit[2] = fours;
    uint64_t bits[CBN_MOST_DIGITS][CBN_COLUMN_WORDS];
    uint8_t bytes[64 * CBN_COLUMN_WORDS];
    memcpy(bits, digit, sizeof bits[0] * (size_t)n_digits);
    for (int first = 0; first < n_digits; first += 8) {
        CBN_COLUMN_BYTES((const uint64_t(*)[CBN_COLUMN_WORDS])bits + first, n_digits - first < 8 ? n_digits - first : 8, bytes);
        for (int c = 0; c < 64 * CBN_COLUMN_WORDS; c++)
            counts[c] = (first ? counts[c] : 0) + ((uint32_t)bytes[c] << first);
    }
}

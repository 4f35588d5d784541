/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sums of products of rounded features, two images in the halves of a 32-bit number.
 *
 * The including file defines, beside CBN_FUNCTION,
 *   CBN_PAIRS, CBN_PAIR_LANES        a vector of pairs, or of 32-bit sums; 16 is a multiple of its lanes
 *   CBN_LOAD_PAIRS(p), CBN_STORE_SUMS(p, v), CBN_SAME_PAIR(i), CBN_NO_SUMS()
 *   CBN_ADD_PAIRS(a, b, c)           c + low half of a * that of b + high half of a * that of b
 *   CBN_TILE_PAIRS                   rows of the triangle worked on together
 * Integers are exact: any order gives the same sums.
 */
#define CBN_COLUMNS_TOGETHER 16
#define CBN_UNROLL _Pragma("GCC unroll 32")
#define CBN_INLINE CBN_FUNCTION inline __attribute__((always_inline))

CBN_INLINE void product_tile(const int rows, const int32_t *pairs, int64_t n_pairs, int64_t padded, int64_t row,
                             int64_t column, int64_t *products) {
    CBN_PAIRS sums[CBN_TILE_PAIRS][CBN_COLUMNS_TOGETHER / CBN_PAIR_LANES];
    CBN_UNROLL for (int r = 0; r < rows; r++)
        CBN_UNROLL for (int v = 0; v < CBN_COLUMNS_TOGETHER / CBN_PAIR_LANES; v++) sums[r][v] = CBN_NO_SUMS();
    for (int64_t k = 0; k < n_pairs; k++, pairs += padded) {
        CBN_PAIRS other[CBN_COLUMNS_TOGETHER / CBN_PAIR_LANES];
        CBN_UNROLL for (int v = 0; v < CBN_COLUMNS_TOGETHER / CBN_PAIR_LANES; v++)
            other[v] = CBN_LOAD_PAIRS(pairs + column + v * CBN_PAIR_LANES);
        CBN_UNROLL for (int r = 0; r < rows; r++) {
            const CBN_PAIRS own = CBN_SAME_PAIR(pairs[row + r]);
            CBN_UNROLL for (int v = 0; v < CBN_COLUMNS_TOGETHER / CBN_PAIR_LANES; v++)
                sums[r][v] = CBN_ADD_PAIRS(own, other[v], sums[r][v]);
        }
    }
    for (int r = 0; r < rows; r++) {
        int32_t line[CBN_COLUMNS_TOGETHER];
        CBN_UNROLL for (int v = 0; v < CBN_COLUMNS_TOGETHER / CBN_PAIR_LANES; v++)
            CBN_STORE_SUMS(line + v * CBN_PAIR_LANES, sums[r][v]);
        int64_t *to = products + (row + r) * (row + r + 1) / 2 + column;
        for (int64_t c = 0; c < CBN_COLUMNS_TOGETHER && column + c <= row + r; c++) to[c] += line[c];
    }
}

CBN_FUNCTION void add_products(const int32_t *pairs, int64_t n_pairs, int64_t size, int64_t padded,
                               int64_t *products) {
    int64_t row = 0;
    for (; row + CBN_TILE_PAIRS <= size; row += CBN_TILE_PAIRS)
        for (int64_t column = 0; column < row + CBN_TILE_PAIRS; column += CBN_COLUMNS_TOGETHER)
            product_tile(CBN_TILE_PAIRS, pairs, n_pairs, padded, row, column, products);
    for (; CBN_TILE_PAIRS > 1 && row < size; row++)
        for (int64_t column = 0; column <= row; column += CBN_COLUMNS_TOGETHER)
            product_tile(1, pairs, n_pairs, padded, row, column, products);
}
#undef CBN_COLUMNS_TOGETHER
#undef CBN_INLINE
#undef CBN_UNROLL

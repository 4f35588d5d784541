/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sums of rounded gradients by table (AVX2). What 4 images of a leaf add to a candidate's sums is a function of 4 bits of
 * its plane: a table of 16 bytes, in which one shuffle looks up 32 candidates. For that the drawn candidates are laid
 * out once a tree: byte b of all their planes in line. Bytes in which no image of the leaf has a rounded gradient or
 * Hessian but 0 are passed over.
 *
 * Bytes are unsigned: with p and n the sizes of gradients above and below 0, the sum of p - n over the images at 1 is
 * the sum of (p at 1, n at 0) over all, less all n.
 *
 * Interface: after column_bytes and spread_32 of avx2.c.
 */
#define LOOKED_UP 32                    /* candidates of a vector */
#define CHUNK_WORDS 32                  /* words whose tables are made at a time */
#define CHUNK_BYTES (8 * CHUNK_WORDS)   /* their bytes; at most 292 groups of 4 keep the sums below in 16 bits */
#define SUMMED_BYTES 4                  /* so many bytes are 8 tables of at most 4 * 7: they fit a byte */

/* The tables of 8 images: of gradients and Hessians, for the lower and the upper 4. */
typedef struct {
    _Alignas(16) uint8_t gradient[2][16], hessian[2][16];
} byte_tables;

static inline int64_t looked_up_candidates(int64_t n) { return (n + LOOKED_UP - 1) / LOOKED_UP * LOOKED_UP; }

/* The scratch of a search: columns [8 n_words][candidates], levels [n_words][3][64], active words [n_words]. */
static inline uint8_t *columns_of(const cbn_split_search *s) { return (uint8_t *)s->scratch; }
static inline uint8_t *levels_of(const cbn_split_search *s) {
    return columns_of(s) + 8 * s->n_words * looked_up_candidates(s->n);
}
static inline uint64_t *active_of(const cbn_split_search *s) {
    return (uint64_t *)(levels_of(s) + s->n_words * (3 * 64));
}

/* Bytes of 32 planes in line, from two words at a time: row c has those of planes c and c + 16, then the same byte of all. */
CBN_FUNCTION inline void lay_columns(const uint64_t *const plane[LOOKED_UP], int64_t n_words, uint8_t *columns,
                                     int64_t stride) {
    for (int64_t w = 0; w < n_words; w += 2) {
        const int n_bytes = w + 1 < n_words ? 16 : 8;
        __m256i row[16], other[16];
        for (int c = 0; c < 16; c++) {
            const __m128i *a = (const __m128i *)(plane[c] + w), *b = (const __m128i *)(plane[c + 16] + w);
            const __m128i low = n_bytes == 16 ? _mm_loadu_si128(a) : _mm_loadl_epi64(a);
            const __m128i high = n_bytes == 16 ? _mm_loadu_si128(b) : _mm_loadl_epi64(b);
            row[c] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        }
        /* each step interleaves row i with row i + 8: four of them transpose 16 x 16 bytes */
        for (int step = 0; step < 4; step += 2) {
            for (int i = 0; i < 8; i++) {
                other[2 * i] = _mm256_unpacklo_epi8(row[i], row[i + 8]);
                other[2 * i + 1] = _mm256_unpackhi_epi8(row[i], row[i + 8]);
            }
            for (int i = 0; i < 8; i++) {
                row[2 * i] = _mm256_unpacklo_epi8(other[i], other[i + 8]);
                row[2 * i + 1] = _mm256_unpackhi_epi8(other[i], other[i + 8]);
            }
        }
        for (int b = 0; b < n_bytes; b++) _mm256_storeu_si256((__m256i *)(columns + (8 * w + b) * stride), row[b]);
    }
}

/* Sizes of the gradients above and below 0, and Hessians, of the images of a word: bytes from the rounded planes. */
CBN_FUNCTION inline void lay_levels(const uint64_t *rounded, int64_t n_words, uint8_t levels[3][64], uint64_t *active) {
    *active = 0;
    for (int k = 0; k < CBN_GRADIENT_PLANES; k++) *active |= rounded[k * n_words];
    const __m256i zero = _mm256_setzero_si256();
    for (int half = 0; half < 2; half++) {
        __m256i g = zero, h = zero;
        for (int k = 0; k < CBN_GRADIENT_PLANES; k++) {
            const __m256i on = spread_32((uint32_t)(rounded[k * n_words] >> 32 * half));
            const int sign = k == CBN_GRADIENT_BITS - 1, bit = k < CBN_GRADIENT_BITS ? k : k - CBN_GRADIENT_BITS;
            const __m256i own = _mm256_and_si256(on, _mm256_set1_epi8((char)(sign ? -(1 << bit) : 1 << bit)));
            if (k < CBN_GRADIENT_BITS) g = _mm256_or_si256(g, own);
            else h = _mm256_or_si256(h, own);
        }
        const __m256i level[3] = {_mm256_max_epi8(g, zero), _mm256_max_epi8(_mm256_sub_epi8(zero, g), zero), h};
        for (int i = 0; i < 3; i++) _mm256_storeu_si256((__m256i *)(levels[i] + 32 * half), level[i]);
    }
}

CBN_FUNCTION void lay_out_search(const cbn_split_search *s) {
    const int64_t stride = looked_up_candidates(s->n);
    for (int64_t first = 0; first < s->n; first += LOOKED_UP) {
        const uint64_t *plane[LOOKED_UP];
        for (int64_t c = 0; c < LOOKED_UP; c++) /* the last one again fills the vector */
            plane[c] = s->planes + s->candidate[first + c < s->n ? first + c : s->n - 1] * s->n_words;
        lay_columns(plane, s->n_words, columns_of(s) + first, stride);
    }
    uint8_t(*levels)[3][64] = (uint8_t(*)[3][64])levels_of(s);
    for (int64_t w = 0; w < s->n_words; w++) lay_levels(s->rounded + w, s->n_words, levels[w], active_of(s) + w);
}

/* Two tables of 16 for every lane (8 images) of numbers at state 0 and 1 of images, side by side: first those of pairs
 * of images, then of pairs of these. */
CBN_FUNCTION inline void store_tables(__m256i numbers, uint8_t (*low_lane)[16], uint8_t (*high_lane)[16]) {
    const __m256i first_state = _mm256_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13,
                                                 0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13);
    const __m256i second_state = _mm256_setr_epi8(2, 2, 3, 3, 6, 6, 7, 7, 10, 10, 11, 11, 14, 14, 15, 15,
                                                  2, 2, 3, 3, 6, 6, 7, 7, 10, 10, 11, 11, 14, 14, 15, 15);
    const __m256i first_pair = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
                                                8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11);
    const __m256i second_pair = _mm256_setr_epi8(4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7,
                                                 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15);
    const __m256i pairs =
        _mm256_add_epi8(_mm256_shuffle_epi8(numbers, first_state), _mm256_shuffle_epi8(numbers, second_state));
    const __m256i low = _mm256_permute4x64_epi64(pairs, 0x44), high = _mm256_permute4x64_epi64(pairs, 0xee);
    _mm256_storeu_si256((__m256i *)low_lane,
                        _mm256_add_epi8(_mm256_shuffle_epi8(low, first_pair), _mm256_shuffle_epi8(low, second_pair)));
    _mm256_storeu_si256((__m256i *)high_lane,
                        _mm256_add_epi8(_mm256_shuffle_epi8(high, first_pair), _mm256_shuffle_epi8(high, second_pair)));
}

/* Tables of 32 images of a leaf; what n (see above) sums to in them. */
CBN_FUNCTION inline __m256i make_tables(uint32_t set, const uint8_t *levels, byte_tables tables[4]) {
    const __m256i on = spread_32(set), zero = _mm256_setzero_si256();
    __m256i level[3];
    for (int i = 0; i < 3; i++)
        level[i] = _mm256_and_si256(on, _mm256_loadu_si256((const __m256i *)(levels + 64 * i)));
    store_tables(_mm256_unpacklo_epi8(level[1], level[0]), tables[0].gradient, tables[2].gradient);
    store_tables(_mm256_unpackhi_epi8(level[1], level[0]), tables[1].gradient, tables[3].gradient);
    store_tables(_mm256_unpacklo_epi8(zero, level[2]), tables[0].hessian, tables[2].hessian);
    store_tables(_mm256_unpackhi_epi8(zero, level[2]), tables[1].hessian, tables[3].hessian);
    return _mm256_sad_epu8(level[1], zero);
}

/* Tables of the bytes of a chunk of words that have any active image, and which bytes they are; their number. */
CBN_FUNCTION int chunk_tables(const cbn_split_search *s, const uint64_t *set, int64_t first, int64_t end,
                              byte_tables *tables, int32_t *at, __m256i *below) {
    const uint64_t *active = active_of(s);
    int n = 0;
    for (int64_t w = first; w < end; w++)
        for (int half = 0; half < 2; half++) {
            const uint32_t live = (uint32_t)((set[w] & active[w]) >> 32 * half);
            if (!live) continue;
            byte_tables own[4];
            *below = _mm256_add_epi64(*below, make_tables(live, levels_of(s) + w * (3 * 64) + 32 * half, own));
            for (int b = 0; b < 4; b++) {
                tables[n] = own[b];
                at[n] = (int32_t)(8 * (w - first) + 4 * half + b);
                n += (live >> 8 * b & 255) != 0;
            }
        }
    return n;
}

#define SAME_TABLE(t) _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(t)))

CBN_FUNCTION inline void widen_sums(__m256i bytes, __m256i sums[2]) {
    sums[0] = _mm256_add_epi16(sums[0], _mm256_and_si256(bytes, _mm256_set1_epi16(255)));
    sums[1] = _mm256_add_epi16(sums[1], _mm256_srli_epi16(bytes, 8));
}

/* to[c] += the sum of candidate c of n <= LOOKED_UP: even ones in sums[0], odd ones in sums[1]. */
CBN_FUNCTION inline void add_sums(const __m256i sums[2], int64_t n, int32_t *to) {
    uint16_t own[2][LOOKED_UP / 2];
    memcpy(own, sums, sizeof own);
    for (int64_t c = 0; c < n; c++) to[c] += own[c % 2][c / 2];
}

/* Adds the tables of n bytes, looked up by 32 candidates. */
CBN_FUNCTION inline void look_up_tables(const byte_tables *tables, const int32_t *at, int n, const uint8_t *columns,
                                        int64_t stride, __m256i g_sums[2], __m256i h_sums[2]) {
    const __m256i nibble = _mm256_set1_epi8(15);
    for (int i = 0; i < 2; i++) g_sums[i] = h_sums[i] = _mm256_setzero_si256();
    for (int first = 0; first < n; first += SUMMED_BYTES) {
        const int end = n - first < SUMMED_BYTES ? n : first + SUMMED_BYTES;
        __m256i g = _mm256_setzero_si256(), h = g;
        for (int i = first; i < end; i++) {
            const __m256i states = _mm256_loadu_si256((const __m256i *)(columns + at[i] * stride));
            const __m256i low = _mm256_and_si256(states, nibble);
            const __m256i high = _mm256_and_si256(_mm256_srli_epi16(states, 4), nibble);
            g = _mm256_add_epi8(g, _mm256_shuffle_epi8(SAME_TABLE(tables[i].gradient[0]), low));
            g = _mm256_add_epi8(g, _mm256_shuffle_epi8(SAME_TABLE(tables[i].gradient[1]), high));
            h = _mm256_add_epi8(h, _mm256_shuffle_epi8(SAME_TABLE(tables[i].hessian[0]), low));
            h = _mm256_add_epi8(h, _mm256_shuffle_epi8(SAME_TABLE(tables[i].hessian[1]), high));
        }
        widen_sums(g, g_sums);
        widen_sums(h, h_sums);
    }
}

CBN_FUNCTION void count_gradients(const cbn_split_search *s, const uint64_t *set, int32_t *gradient, int32_t *hessian) {
    _Alignas(64) byte_tables tables[CHUNK_BYTES + SUMMED_BYTES];
    int32_t at[CHUNK_BYTES + SUMMED_BYTES];
    __m256i below = _mm256_setzero_si256();
    const int64_t stride = looked_up_candidates(s->n);
    memset(gradient, 0, sizeof *gradient * (size_t)s->n);
    memset(hessian, 0, sizeof *hessian * (size_t)s->n);
    for (int64_t first = 0; first < s->n_words; first += CHUNK_WORDS) {
        const int64_t end = s->n_words - first < CHUNK_WORDS ? s->n_words : first + CHUNK_WORDS;
        const int n = chunk_tables(s, set, first, end, tables, at, &below);
        if (n == 0) continue;
        for (int64_t c = 0; c < s->n; c += LOOKED_UP) {
            const int64_t left = s->n - c < LOOKED_UP ? s->n - c : LOOKED_UP;
            __m256i g_sums[2], h_sums[2];
            look_up_tables(tables, at, n, columns_of(s) + 8 * first * stride + c, stride, g_sums, h_sums);
            add_sums(g_sums, left, gradient + c);
            add_sums(h_sums, left, hessian + c);
        }
    }
    uint64_t each[4];
    memcpy(each, &below, sizeof each);
    const int32_t all_below = (int32_t)(each[0] + each[1] + each[2] + each[3]);
    for (int64_t c = 0; c < s->n; c++) gradient[c] -= all_below;
}

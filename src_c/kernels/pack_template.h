/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threshold 64 pixels of 64 images and transpose the 64 x 64 bit matrix, so that each row becomes a plane word; and
 * bit-planes of some of the images.
 *
 * Interface:
 *   CBN_FUNCTION          storage class and target attribute of every function
 *   CBN_ROW_MASK(p, c)    64-bit mask, bit j = p[j] > c, of the 64 bytes at p
 */

/* Transposes in place: bit j of m[i] <-> bit i of m[j]. Swaps ever smaller off-diagonal squares (Warren, Hacker's
 * Delight, 7-3). The inner loop runs over consecutive words so that it vectorizes. */
CBN_FUNCTION void transpose_64(uint64_t m[64]) {
    static const uint64_t masks[6] = {0x00000000ffffffffULL, 0x0000ffff0000ffffULL, 0x00ff00ff00ff00ffULL,
                                      0x0f0f0f0f0f0f0f0fULL, 0x3333333333333333ULL, 0x5555555555555555ULL};
    for (int level = 0, j = 32; j; level++, j >>= 1)
        for (int block = 0; block < 64; block += 2 * j)
            for (int i = block; i < block + j; i++) {
                const uint64_t t = ((m[i] >> j) ^ m[i + j]) & masks[level];
                m[i + j] ^= t;
                m[i] ^= t << j;
            }
}

CBN_FUNCTION void pack_word(const uint8_t *images, int64_t n_images, int64_t n_pixels, int cutoff, uint64_t *planes,
                            int64_t n_words) {
    uint64_t m[64];
    for (int64_t first = 0; first < n_pixels; first += 64) {
        const int64_t n = n_pixels - first < 64 ? n_pixels - first : 64;
        for (int64_t i = 0; i < n_images; i++) {
            const uint8_t *p = images + i * n_pixels + first;
            if (n == 64) {
                m[i] = CBN_ROW_MASK(p, cutoff);
            } else {
                m[i] = 0;
                for (int64_t j = 0; j < n; j++) m[i] |= (uint64_t)(p[j] > cutoff) << j;
            }
        }
        for (int64_t i = n_images; i < 64; i++) m[i] = 0;
        transpose_64(m);
        for (int64_t j = 0; j < n; j++) planes[(first + j) * n_words] = m[j];
    }
}

/* The kept bits of every word move to its bottom, by 1, 2, 4 .. 32 places (Warren, Hacker's Delight, 7-4): the same moves
 * for all planes, so that the loop over words vectorizes. Then they go where the word's images are in the output. */
CBN_FUNCTION void select_plane(const cbn_selection *selection, const uint64_t *plane, uint64_t *out) {
    const int64_t n_words = selection->n_words;
    uint64_t open = 0; /* the output word that is not full yet */
    for (int64_t first = 0; first < n_words; first += CBN_SELECT_WORDS) {
        const int64_t n = n_words - first < CBN_SELECT_WORDS ? n_words - first : CBN_SELECT_WORDS;
        uint64_t squeezed[CBN_SELECT_WORDS];
        for (int64_t w = 0; w < n; w++) {
            uint64_t x = plane[first + w] & selection->keep[first + w];
            for (int level = 0; level < 6; level++) {
                const uint64_t moving = x & selection->moves[level * n_words + first + w];
                x = (x ^ moving) | moving >> (1 << level);
            }
            squeezed[w] = x;
        }
        for (int64_t w = 0; w < n; w++) {
            const int64_t begin = selection->begin[first + w], end = selection->begin[first + w + 1];
            const int shift = (int)(begin % 64);
            open |= squeezed[w] << shift;
            if (end / 64 == begin / 64) continue;
            out[begin / 64] = open;
            open = shift ? squeezed[w] >> (64 - shift) : 0;
        }
    }
    if (selection->begin[n_words] % 64) out[selection->begin[n_words] / 64] = open;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images to bit-planes, and bit-planes of some of the images.
 *
 * Interface:
 *   CBN_FUNCTION      storage class and target attribute of every function
 *   CBN_PACK_BYTES    bytes of a vector, 16 to 64
 */

typedef uint8_t pack_bytes __attribute__((vector_size(CBN_PACK_BYTES)));
typedef int8_t pack_signed __attribute__((vector_size(CBN_PACK_BYTES)));
typedef uint64_t pack_words __attribute__((vector_size(CBN_PACK_BYTES)));
#define CBN_PACK_WORDS (CBN_PACK_BYTES / 8)

/* bits[j] = the states of 8 images in pixel j of 64, the first image lowest; their rows are `step` bytes apart. */
CBN_FUNCTION inline __attribute__((always_inline)) void pack_images(const uint8_t *rows, int64_t step, int cutoff,
                                                                    pack_words *bits) {
    for (int v = 0; v < 64 / CBN_PACK_BYTES; v++) {
        pack_bytes sums = {0};
        pack_signed row;
        for (int i = 7; i >= 0; i--) {
            memcpy(&row, rows + i * step + v * CBN_PACK_BYTES, sizeof row);
            /* vectors compare as signed numbers: both sides are moved by 128; what is true is -1 */
            sums = sums + sums - (pack_bytes)((row ^ (int8_t)-128) > (int8_t)(cutoff - 128));
        }
        bits[v] = (pack_words)sums;
    }
}

/* Exchanges the upper halves of the parts of m[i] with the lower ones of m[j] (Warren, Hacker's Delight, 7-3). */
#define CBN_EXCHANGE(i, j, shift, mask)                                                                                \
    do {                                                                                                               \
        const pack_words t_ = ((m[i][v] >> (shift)) ^ m[j][v]) & (mask);                                               \
        m[j][v] ^= t_;                                                                                                 \
        m[i][v] ^= t_ << (shift);                                                                                      \
    } while (0)

/* A byte per pixel and 8 images, then a word per pixel and 64: squares of 8 x 8 bytes are transposed. */
CBN_FUNCTION void pack_word(const uint8_t *images, int64_t n_images, int64_t n_pixels, int cutoff, uint64_t *planes,
                            int64_t n_words) {
    for (int64_t first = 0; first < n_pixels; first += 64) {
        const int64_t n = n_pixels - first < 64 ? n_pixels - first : 64;
        pack_words m[8][8 / CBN_PACK_WORDS]; /* [8 images][8 pixels], a byte each */
        for (int64_t g = 0; g < 8; g++) {
            const int64_t left = n_images - 8 * g;
            const uint8_t *rows = images + 8 * g * n_pixels + first;
            if (n == 64 && left >= 8) {
                pack_images(rows, n_pixels, cutoff, m[g]);
                continue;
            }
            uint8_t there[8][64] = {{0}};
            for (int64_t i = 0; i < 8 && i < left; i++) memcpy(there[i], rows + i * n_pixels, (size_t)n);
            pack_images(there[0], 64, cutoff, m[g]);
        }
        uint64_t words[8][8];
        for (int v = 0; v < 8 / CBN_PACK_WORDS; v++) {
            for (int i = 0; i < 4; i++) CBN_EXCHANGE(i, i + 4, 32, 0x00000000ffffffffULL);
            for (int i = 0; i < 8; i += i % 4 ? 3 : 1) CBN_EXCHANGE(i, i + 2, 16, 0x0000ffff0000ffffULL);
            for (int i = 0; i < 8; i += 2) CBN_EXCHANGE(i, i + 1, 8, 0x00ff00ff00ff00ffULL);
            for (int i = 0; i < 8; i++) memcpy(words[i] + v * CBN_PACK_WORDS, &m[i][v], sizeof m[i][v]);
        }
        uint64_t *out = planes + first * n_words;
        for (int64_t j = 0; j < n; j++, out += n_words) *out = words[j % 8][j / 8];
    }
}
#undef CBN_EXCHANGE

/* The kept bits of every word move to its bottom, by 1, 2, 4 .. 32 places (Warren, Hacker's Delight, 7-4): the same
 * moves for all planes, so that the loop over words vectorizes. Then they go where the word's images are in the output. */
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

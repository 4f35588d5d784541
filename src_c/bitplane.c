/* SPDX-License-Identifier: BSD-3-Clause */
/* Images to bit-planes and back. Threads own runs of plane words, that is of 64 images. */
#include "internal.h"
#include "kernels/kernels.h"

/* Words that one thread selects from before another is worth its wake-up. */
#define CBN_LEAST_WORDS 32768

int64_t cbn_plane_words(int64_t n_images) { return n_images / 64 + (n_images % 64 != 0); }

static int check_sizes(int64_t n_images, int64_t n_nodes, int num_threads) {
    int64_t bytes;
    if (n_images < 1 || n_nodes < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    return cbn_multiply(n_images, n_nodes, &bytes);
}

int cbn_pack_planes(const uint8_t *images, int64_t n_images, int64_t n_pixels, int cutoff, uint64_t *planes,
                    int num_threads) {
    if (!images || !planes) return CBN_E_NULL;
    CBN_TRY(check_sizes(n_images, n_pixels, num_threads));
    if (cutoff < 0 || cutoff > 255) return CBN_E_PARAMETER;
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(n_images);
    CBN_PARALLEL_FOR(num_threads, n_words, static)
    for (int64_t w = 0; w < n_words; w++) {
        const int64_t n = n_images - 64 * w < 64 ? n_images - 64 * w : 64;
        kernels->pack_word(images + 64 * w * n_pixels, n, n_pixels, cutoff, planes + w, n_words);
    }
    return CBN_OK;
}

int cbn_unpack_planes(const uint64_t *planes, int64_t n_images, int64_t n_nodes, uint8_t *states, int num_threads) {
    if (!planes || !states) return CBN_E_NULL;
    CBN_TRY(check_sizes(n_images, n_nodes, num_threads));
    const int64_t n_words = cbn_plane_words(n_images);
    CBN_PARALLEL_FOR(num_threads, n_words, static)
    for (int64_t w = 0; w < n_words; w++) {
        const int64_t n = n_images - 64 * w < 64 ? n_images - 64 * w : 64;
        for (int64_t v = 0; v < n_nodes; v++) {
            const uint64_t word = planes[v * n_words + w];
            for (int64_t i = 0; i < n; i++) states[(64 * w + i) * n_nodes + v] = (uint8_t)(word >> i & 1);
        }
    }
    return CBN_OK;
}

int cbn_planes_select_workspace_size(int64_t n_images, int64_t *bytes) {
    if (!bytes) return CBN_E_NULL;
    if (n_images < 1) return CBN_E_SIZE;
    *bytes = 8 * (8 * cbn_plane_words(n_images) + 1);
    return CBN_OK;
}

/* Places by which the bits of keep move down when they are squeezed to the bottom of the word: moves[level] are those that
 * move by 1 << level, where they are by then (Warren, Hacker's Delight, 7-4). */
static void moves_of(uint64_t keep, uint64_t moves[6]) {
    uint64_t dropped = ~keep << 1; /* bits with an unkept one below, carried up: parity of all that are below */
    for (int level = 0; level < 6; level++) {
        uint64_t parity = dropped;
        for (int step = 1; step < 64; step *= 2) parity ^= parity << step;
        moves[level] = parity & keep;
        keep = (keep ^ moves[level]) | moves[level] >> (1 << level);
        dropped &= ~parity;
    }
}

int cbn_planes_select(const uint64_t *planes, int64_t n_images, int64_t n_nodes, const uint8_t *keep, int64_t out_words,
                      uint64_t *out, void *workspace, int64_t workspace_bytes, int num_threads) {
    int64_t needed;
    if (!planes || !keep || !out || !workspace) return CBN_E_NULL;
    CBN_TRY(check_sizes(n_images, n_nodes, num_threads));
    CBN_TRY(cbn_planes_select_workspace_size(n_images, &needed));
    if (workspace_bytes < needed) return CBN_E_WORKSPACE;
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(n_images);
    uint64_t *bits = (uint64_t *)workspace, *moves = bits + n_words;
    int64_t *begin = (int64_t *)(moves + 6 * n_words);
    begin[0] = 0;
    for (int64_t w = 0; w < n_words; w++) {
        uint64_t own_moves[6];
        bits[w] = 0;
        begin[w + 1] = begin[w];
        for (int64_t i = 0; i < 64 && 64 * w + i < n_images; i++)
            if (keep[64 * w + i]) bits[w] |= (uint64_t)1 << i, begin[w + 1]++;
        moves_of(bits[w], own_moves);
        for (int level = 0; level < 6; level++) moves[level * n_words + w] = own_moves[level];
    }
    if (begin[n_words] < 1 || out_words != cbn_plane_words(begin[n_words])) return CBN_E_SIZE;
    const cbn_selection selection = {n_words, bits, moves, begin};
    CBN_PARALLEL_FOR(num_threads, n_nodes * n_words / CBN_LEAST_WORDS, static)
    for (int64_t v = 0; v < n_nodes; v++) kernels->select_plane(&selection, planes + v * n_words, out + v * out_words);
    return CBN_OK;
}

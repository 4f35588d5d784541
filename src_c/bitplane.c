/* SPDX-License-Identifier: BSD-3-Clause */
/* Images to bit-planes and back. Threads own runs of plane words, that is of 64 images. */
#include "internal.h"
#include "kernels/kernels.h"

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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Digests of sets of images.
 *
 * The states of an image are read 64 nodes a word, node by node in their order. A hash goes through these words by
 * h = mix(h ^ word), mix being the finalizer of SplitMix64 (Stafford's variant 13): a bijection in which every bit of
 * the input changes about half of the output. Two hashes begin from different numbers, which depend on the number of
 * nodes.
 */
#include "internal.h"
#include "squares.h"

/* Parts that threads share. */
#define PARTS 64

static inline uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

/* digest += hashes of the images of words first .. first + n - 1, n <= CBN_SQUARES. */
static void add_images(cbn_planes planes, int64_t n_nodes, int64_t first, int64_t n, uint64_t digest[2]) {
    const int64_t n_words = cbn_plane_words(planes.n_images);
    uint64_t hash[2][64][CBN_SQUARES], m[64][CBN_SQUARES] = {{0}};
    for (int h = 0; h < 2; h++) {
        const uint64_t start = mix((uint64_t)n_nodes + (uint64_t)(h + 1) * 0x9e3779b97f4a7c15ULL);
        for (int i = 0; i < 64; i++)
            for (int j = 0; j < CBN_SQUARES; j++) hash[h][i][j] = start;
    }
    for (int64_t node = 0; node < n_nodes; node += 64) {
        const int64_t left = n_nodes - node;
        for (int64_t r = 0; r < 64; r++)
            for (int64_t j = 0; j < n; j++) m[r][j] = r < left ? planes.words[(node + r) * n_words + first + j] : 0;
        cbn_transpose_squares(m);
        for (int i = 0; i < 64; i++)
            for (int j = 0; j < CBN_SQUARES; j++) {
                hash[0][i][j] = mix(hash[0][i][j] ^ m[i][j]);
                hash[1][i][j] = mix(hash[1][i][j] ^ m[i][j]);
            }
    }
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < 64 && 64 * (first + j) + i < planes.n_images; i++) {
            digest[0] += hash[0][i][j];
            digest[1] += hash[1][i][j];
        }
}

int cbn_planes_digest(cbn_planes planes, int64_t n_nodes, uint64_t digest[2], int num_threads) {
    if (!planes.words || !digest) return CBN_E_NULL;
    if (planes.n_images < 1 || n_nodes < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    const int64_t n_words = cbn_plane_words(planes.n_images), n_blocks = (n_words + CBN_SQUARES - 1) / CBN_SQUARES;
    uint64_t part[PARTS][2] = {{0}};
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 7.0 * (double)(n_nodes * n_words)), PARTS, dynamic)
    for (int64_t p = 0; p < PARTS; p++) {
        const int64_t end = n_blocks / PARTS * (p + 1) + (p + 1 < n_blocks % PARTS ? p + 1 : n_blocks % PARTS);
        int64_t block = n_blocks / PARTS * p + (p < n_blocks % PARTS ? p : n_blocks % PARTS);
        for (; block < end; block++) {
            const int64_t first = block * CBN_SQUARES, left = n_words - first;
            add_images(planes, n_nodes, first, left < CBN_SQUARES ? left : CBN_SQUARES, part[p]);
        }
    }
    digest[0] = digest[1] = 0;
    for (int p = 0; p < PARTS; p++)
        for (int h = 0; h < 2; h++) digest[h] += part[p][h];
    return CBN_OK;
}

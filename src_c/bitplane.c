/* SPDX-License-Identifier: BSD-3-Clause */
/* Images to bit-planes and back. Threads own runs of plane words, that is of 64 images. */
#include "kernels/kernels.h"
#include "workspace.h"

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
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 0.06 * (double)n_images * (double)n_pixels), n_words, static)
    for (int64_t w = 0; w < n_words; w++) {
        const int64_t n = n_images - 64 * w < 64 ? n_images - 64 * w : 64;
        kernels->pack_word(images + 64 * w * n_pixels, n, n_pixels, cutoff, planes + w, n_words);
    }
    return CBN_OK;
}

int cbn_unpack_planes(cbn_planes planes, int64_t n_nodes, uint8_t *states, int num_threads) {
    if (!planes.words || !states) return CBN_E_NULL;
    CBN_TRY(check_sizes(planes.n_images, n_nodes, num_threads));
    const int64_t n_images = planes.n_images, n_words = cbn_plane_words(n_images);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 0.6 * (double)n_images * (double)n_nodes), n_words, static)
    for (int64_t w = 0; w < n_words; w++) {
        const int64_t n = n_images - 64 * w < 64 ? n_images - 64 * w : 64;
        for (int64_t v = 0; v < n_nodes; v++) {
            const uint64_t word = planes.words[v * n_words + w];
            for (int64_t i = 0; i < n; i++) states[(64 * w + i) * n_nodes + v] = (uint8_t)(word >> i & 1);
        }
    }
    return CBN_OK;
}

/* The parts of a workspace. */
typedef struct {
    uint64_t *keep, *moves;
    int64_t *begin;
} selection_parts;

static selection_parts take_parts(cbn_arena *arena, int64_t n_words) {
    selection_parts parts;
    parts.keep = cbn_take(arena, n_words, sizeof *parts.keep);
    parts.moves = cbn_take_rows(arena, 6, n_words, sizeof *parts.moves);
    parts.begin = cbn_take(arena, n_words + 1, sizeof *parts.begin);
    return parts;
}

int cbn_planes_select_workspace_size(int64_t n_images, int64_t *bytes) {
    if (n_images < 1) return CBN_E_SIZE;
    cbn_arena arena = cbn_counting_arena();
    take_parts(&arena, cbn_plane_words(n_images));
    return cbn_arena_size(&arena, bytes);
}

/* Places by which the bits of keep move down when they are squeezed to the bottom of the word: moves[level] are those
 * that move by 1 << level, where they are by then (Warren, Hacker's Delight, 7-4). */
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

int cbn_planes_select(cbn_planes planes, int64_t n_nodes, const uint8_t *keep, int64_t out_words, uint64_t *out,
                      cbn_workspace workspace, int num_threads) {
    if (!planes.words || !keep || !out) return CBN_E_NULL;
    CBN_TRY(check_sizes(planes.n_images, n_nodes, num_threads));
    const int64_t n_words = cbn_plane_words(planes.n_images);
    cbn_arena arena = cbn_arena_of(workspace);
    const selection_parts parts = take_parts(&arena, n_words);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    parts.begin[0] = 0;
    for (int64_t w = 0; w < n_words; w++) {
        uint64_t bits = 0, moves[6];
        parts.begin[w + 1] = parts.begin[w];
        for (int64_t i = 0; i < 64 && 64 * w + i < planes.n_images; i++)
            if (keep[64 * w + i]) bits |= (uint64_t)1 << i, parts.begin[w + 1]++;
        moves_of(bits, moves);
        for (int level = 0; level < 6; level++) parts.moves[level * n_words + w] = moves[level];
        parts.keep[w] = bits;
    }
    if (parts.begin[n_words] < 1 || out_words != cbn_plane_words(parts.begin[n_words])) return CBN_E_SIZE;
    const cbn_kernels *kernels = cbn_kernels_select();
    const cbn_selection selection = {n_words, parts.keep, parts.moves, parts.begin};
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 2.0 * (double)n_nodes * (double)n_words), n_nodes, static)
    for (int64_t v = 0; v < n_nodes; v++)
        kernels->select_plane(&selection, planes.words + v * n_words, out + v * out_words);
    return CBN_OK;
}

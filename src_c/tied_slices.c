/* SPDX-License-Identifier: BSD-3-Clause */
/* Trees as they are added in many images at once (cbn_sliced_tree). */
#include "tied.h"

/* One tree, of n vertices. The parts are taken from the arena, and filled if it has memory. */
static void slice_tree(const int32_t *split, const int32_t *value, int32_t n, cbn_arena *arena, cbn_sliced_tree *tree) {
    int32_t least = INT32_MAX, most = INT32_MIN, n_with[32] = {0}, n_listed = 0;
    for (int32_t t = 0; t < n; t++) {
        if (split[t] >= 0) continue;
        least = value[t] < least ? value[t] : least;
        most = value[t] > most ? value[t] : most;
    }
    for (int32_t t = 0; t < n; t++)
        for (uint32_t left = split[t] < 0 ? (uint32_t)(value[t] - least) : 0; left; left &= left - 1, n_listed++)
            n_with[__builtin_ctz(left)]++;
    int32_t first = 0, digits = most > least ? 32 - __builtin_clz((uint32_t)(most - least)) : 0;
    while (first < digits && n_with[first] == 0) first++;
    digits -= first;
    int32_t *feature = cbn_take(arena, n / 2, sizeof *feature), *n_leaves = cbn_take(arena, digits, sizeof *n_leaves);
    uint16_t *vertex = cbn_take(arena, n / 2, sizeof *vertex), *leaf = cbn_take(arena, n_listed, sizeof *leaf);
    if (!arena->memory) return;
    *tree = (cbn_sliced_tree){least, first, digits, n / 2, feature, vertex, n_leaves, leaf};
    memcpy(n_leaves, n_with + first, sizeof *n_leaves * (size_t)digits);
    for (int32_t t = 0; t < n; t++) {
        if (split[t] < 0) continue;
        *feature++ = split[t];
        *vertex++ = (uint16_t)t;
    }
    for (int32_t k = 0; k < digits; k++)
        for (int32_t t = 0; t < n; t++)
            if (split[t] < 0 && ((uint32_t)(value[t] - least) >> (first + k) & 1)) *leaf++ = (uint16_t)t;
}

cbn_sliced_tree *cbn_slice_trees(const cbn_tied *tied, cbn_arena *arena) {
    const int64_t n_trees = tied->begin[tied->causal.grid.channels];
    cbn_sliced_tree *trees = cbn_take(arena, n_trees + 1, sizeof *trees); /* not nothing: that says that none are sliced */
    for (int64_t t = 0; t < n_trees; t++) {
        const int64_t at = tied->tree_begin[t];
        slice_tree(tied->split + at, tied->value + at, (int32_t)(tied->tree_begin[t + 1] - at), arena,
                   trees ? trees + t : NULL);
    }
    return trees;
}

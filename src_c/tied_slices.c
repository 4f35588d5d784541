/* SPDX-License-Identifier: BSD-3-Clause */
/* Trees as they are added in many images at once (cbn_sliced_tree). */
#include "tied.h"

/*
 * The vertices under which all leaves, and together all those that do, have digit k of `value - least` equal to `on`:
 * under[] lists them if it is not NULL; their number. Children have higher numbers than their parents.
 */
static int32_t cover(const int32_t *split, const int32_t *value, int32_t n, int32_t least, int k, uint32_t on,
                     uint16_t *under) {
    uint8_t all[2 * CBN_MAX_BOOSTED_LEAVES];
    int32_t n_listed = 0;
    for (int32_t t = n - 1, inner = n / 2; t >= 0; t--) {
        if (split[t] < 0) {
            all[t] = ((uint32_t)(value[t] - least) >> k & 1) == on;
            continue;
        }
        inner--; /* children of the i-th inner vertex: 2 i + 1 and 2 i + 2 */
        all[t] = all[2 * inner + 1] && all[2 * inner + 2];
        for (int32_t child = 2 * inner + 1; child <= 2 * inner + 2 && !all[t]; child++)
            if (all[child]) {
                if (under) under[n_listed] = (uint16_t)child;
                n_listed++;
            }
    }
    if (all[0]) {
        if (under) under[n_listed] = 0;
        n_listed++;
    }
    return n_listed;
}

/* One tree, of n vertices. The parts are taken from the arena, and filled if it has memory. */
static void slice_tree(const int32_t *split, const int32_t *value, int32_t n, cbn_arena *arena, cbn_sliced_tree *tree) {
    int32_t least = INT32_MAX, most = INT32_MIN, n_listed = 0, n_with[32];
    uint32_t bits = 0;
    for (int32_t t = 0; t < n; t++) {
        if (split[t] >= 0) continue;
        least = value[t] < least ? value[t] : least;
        most = value[t] > most ? value[t] : most;
    }
    for (int32_t t = 0; t < n; t++) bits |= split[t] < 0 ? (uint32_t)(value[t] - least) : 0;
    const int32_t first = bits ? __builtin_ctz(bits) : 0, digits = bits ? 32 - __builtin_clz(bits) - first : 0;
    for (int32_t k = 0; k < digits; k++) {
        const int32_t with = cover(split, value, n, least, first + k, 1, NULL);
        const int32_t without = cover(split, value, n, least, first + k, 0, NULL);
        n_with[k] = with <= without ? with : ~without;
        n_listed += with <= without ? with : without;
    }
    int32_t *feature = cbn_take(arena, n / 2, sizeof *feature), *n_under = cbn_take(arena, digits, sizeof *n_under);
    uint16_t *vertex = cbn_take(arena, n / 2, sizeof *vertex), *listed = cbn_take(arena, n_listed, sizeof *listed);
    if (!arena->memory) return;
    *tree = (cbn_sliced_tree){least, first, digits, n / 2, feature, vertex, n_under, listed};
    memcpy(n_under, n_with, sizeof *n_under * (size_t)digits);
    for (int32_t t = 0; t < n; t++) {
        if (split[t] < 0) continue;
        *feature++ = split[t];
        *vertex++ = (uint16_t)t;
    }
    for (int32_t k = 0; k < digits; k++)
        listed += cover(split, value, n, least, first + k, n_with[k] >= 0, listed);
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

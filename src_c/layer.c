/* SPDX-License-Identifier: BSD-3-Clause */
/* Soundness and size of a layer. Every public function that takes a layer begins here. */
#include "internal.h"

int cbn_layer_check(const cbn_layer *layer) {
    if (!layer || !layer->relation_begin) return CBN_E_NULL;
    if (layer->grid.channels < 1 || layer->grid.height < 1 || layer->grid.width < 1) return CBN_E_SIZE;
    if (layer->relation_begin[0] != 0) return CBN_E_RELATION;
    int64_t positions, nodes, rows = 0;
    CBN_TRY(cbn_multiply(layer->grid.height, layer->grid.width, &positions));
    CBN_TRY(cbn_multiply(positions, layer->grid.channels, &nodes));
    for (int c = 0; c < layer->grid.channels; c++) {
        const int64_t first = layer->relation_begin[c], end = layer->relation_begin[c + 1];
        if (end < first) return CBN_E_RELATION;
        if (end - first > CBN_MAX_PARENTS) return CBN_E_PARENTS;
        if (end > 0 && (!layer->parent_channel || !layer->dy || !layer->dx || !layer->required)) return CBN_E_NULL;
        for (int64_t r = first; r < end; r++) {
            const int32_t p = layer->parent_channel[r], dy = layer->dy[r], dx = layer->dx[r];
            if (p < 0 || p >= layer->grid.channels) return CBN_E_RELATION;
            if (!(dy < 0 || (dy == 0 && (dx < 0 || (dx == 0 && p < c))))) return CBN_E_RELATION;
            if (layer->required[r] && (dy != 0 || dx != 0)) return CBN_E_RELATION;
            for (int64_t q = first; q < r; q++)
                if (layer->parent_channel[q] == p && layer->dy[q] == dy && layer->dx[q] == dx) return CBN_E_RELATION;
        }
        int64_t more;
        CBN_TRY(cbn_multiply(positions, (int64_t)1 << (end - first), &more));
        if (rows > INT64_MAX / 64 - more) return CBN_E_SIZE; /* room for two 8-byte entries a row in byte counts */
        rows += more;
    }
    return CBN_OK;
}

int cbn_layer_rows(const cbn_layer *layer, int64_t *rows) {
    CBN_TRY(cbn_layer_check(layer));
    if (!rows) return CBN_E_NULL;
    *rows = cbn_channel_row(layer, layer->grid.channels);
    return CBN_OK;
}

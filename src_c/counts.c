/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sufficient statistics of table CPDs.
 *
 * Nodes with up to five present parents: the kernel counts, for every subset of {node, parents}, the images in which
 * the whole subset is 1 (superset counts); the Moebius transform turns them into the joint histogram. Wider tables:
 * build each image's index from the planes and add 1, 64 images at a time. Both are exact, so they agree.
 */
#include "kernels/kernels.h"

/* superset[s] = images in which all of s are 1  ->  images in which exactly s is 1 (inclusion-exclusion, one variable
 * after the other). */
static void moebius(int64_t *superset, int n) {
    for (int v = 0; v < n; v++)
        for (int s = 0; s < 1 << n; s++)
            if (!(s >> v & 1)) superset[s] -= superset[s | 1 << v];
}

/* Adds the joint histogram of any number of variables, image by image. */
static void gather_counts(const cbn_variables *variables, const uint64_t *within, int64_t n_images, int64_t *table) {
    for (int64_t first = 0; first < n_images; first += 64) {
        const int n = n_images - first < 64 ? (int)(n_images - first) : 64;
        uint32_t index[64] = {0};
        for (int v = 0; v < variables->n; v++) {
            const uint64_t word = variables->plane[v][first / 64];
            for (int i = 0; i < 64; i++) index[i] |= (uint32_t)(word >> i & 1) << variables->bit[v];
        }
        const uint64_t counted = within ? within[first / 64] : ~(uint64_t)0;
        for (int i = 0; i < n; i++) table[index[i]] += counted >> i & 1;
    }
}

void cbn_histogram(const cbn_kernels *kernels, const cbn_variables *variables, int table_bits, const uint64_t *within,
                   int64_t n_images, int64_t *table) {
    memset(table, 0, sizeof *table << table_bits);
    if (variables->n > CBN_SUBSET_VARIABLES) {
        gather_counts(variables, within, n_images, table);
        return;
    }
    int64_t histogram[1 << CBN_SUBSET_VARIABLES];
    histogram[0] = n_images; /* unless there is a `within` */
    kernels->count_subsets(variables->plane, variables->n, within, cbn_plane_words(n_images), histogram);
    moebius(histogram, variables->n);
    for (int s = 0; s < 1 << variables->n; s++) {
        int index = 0; /* absent parents leave gaps between the variables' table bits */
        for (int v = 0; v < variables->n; v++) index |= (s >> v & 1) << variables->bit[v];
        table[index] = histogram[s];
    }
}

static void count_node(const cbn_kernels *kernels, const cbn_layer *layer, cbn_planes planes, int64_t node,
                       int64_t *counts) {
    const cbn_place place = cbn_place_of(layer, node);
    cbn_variables variables;
    cbn_variables_of(layer, &place, node, planes.words, cbn_plane_words(planes.n_images), &variables);
    cbn_histogram(kernels, &variables, place.k + 1, NULL, planes.n_images, counts + 2 * place.table);
}

/* Nanoseconds: every subset of a node's variables is counted word by word, of many variables every image. */
static double work_of(const cbn_layer *layer, int64_t n_words) {
    double subsets = 0.0;
    for (int c = 0; c < layer->grid.channels; c++) {
        const int variables = 1 + cbn_parent_count(layer, c);
        subsets += variables > CBN_SUBSET_VARIABLES ? 400.0 : (double)((int64_t)1 << variables);
    }
    return 0.2 * subsets * (double)cbn_grid_positions(layer->grid) * (double)(n_words + 16);
}

int cbn_count(const cbn_layer *layer, cbn_planes planes, int64_t *counts, int num_threads) {
    CBN_TRY(cbn_layer_check(layer));
    if (!planes.words || !counts) return CBN_E_NULL;
    if (planes.n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_nodes = cbn_grid_nodes(layer->grid);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, work_of(layer, cbn_plane_words(planes.n_images))), n_nodes, static)
    for (int64_t node = 0; node < n_nodes; node++) count_node(kernels, layer, planes, node, counts);
    return CBN_OK;
}

int cbn_counts_add(const int64_t *counts, int64_t size, int64_t *total) {
    if (!counts || !total) return CBN_E_NULL;
    if (size < 1) return CBN_E_SIZE;
    for (int64_t i = 0; i < size; i++) {
        if (counts[i] < 0 || total[i] < 0) return CBN_E_COUNTS;
        if (total[i] > INT64_MAX - counts[i]) return CBN_E_OVERFLOW;
    }
    for (int64_t i = 0; i < size; i++) total[i] += counts[i];
    return CBN_OK;
}

int cbn_counts_check(const cbn_layer *layer, const int64_t *counts, int64_t n_images) {
    CBN_TRY(cbn_layer_check(layer));
    if (!counts) return CBN_E_NULL;
    if (n_images < 0) return CBN_E_SIZE;
    const int64_t n_nodes = cbn_grid_nodes(layer->grid);
    for (int64_t node = 0; node < n_nodes; node++) {
        const cbn_place place = cbn_place_of(layer, node);
        int64_t parent[CBN_MAX_PARENTS], sum = 0;
        const uint32_t present = cbn_parents_of(layer, &place, parent);
        const uint32_t required = cbn_required_bits(layer, place.channel);
        const int64_t *table = counts + 2 * place.table;
        for (uint32_t row = 0; row < (uint32_t)1 << place.k; row++)
            for (int x = 0; x < 2; x++) {
                const int64_t n = table[2 * (int64_t)row + x];
                if (n < 0 || n > n_images - sum) return CBN_E_COUNTS;
                if (n > 0 && ((row & ~present) || (x == 1 && (row & required) != required))) return CBN_E_COUNTS;
                sum += n;
            }
        if (sum != n_images) return CBN_E_COUNTS;
    }
    return CBN_OK;
}

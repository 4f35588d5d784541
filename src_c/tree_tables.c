/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the counts of trees to their BIC, to probabilities and to values. A vertex's probability is shrunk towards its
 * parent's, so the leaf's is a mixture of all estimates on its way from the root. Vertices are numbered breadth first:
 * one forward pass sees parents before children.
 */
#include "rows.h"
#include "trees.h"

int cbn_tree_counts_check(const cbn_trees *trees, const int64_t *counts, int64_t n_images) {
    CBN_TRY(cbn_trees_check(trees));
    if (!counts) return CBN_E_NULL;
    if (n_images < 0) return CBN_E_SIZE;
    for (int64_t node = 0; node < cbn_grid_nodes(trees->grid); node++) {
        const cbn_tree tree = cbn_tree_of(trees, node, NULL);
        const int64_t *own = counts + 2 * trees->begin[node];
        for (int64_t t = 0; t < tree.n_vertices; t++)
            for (int x = 0; x < 2; x++) {
                const int64_t n = own[2 * t + x];
                if (n < 0 || n > n_images) return CBN_E_COUNTS;
                if (tree.split[t] < 0) continue;
                const int64_t *child = own + 2 * (int64_t)tree.child[t];
                if (child[x] < 0 || child[x] > n || child[2 + x] != n - child[x]) return CBN_E_COUNTS;
            }
        if (own[0] != n_images - own[1]) return CBN_E_COUNTS;
        if (cbn_required_node(trees->required, node) >= 0 && own[3] != 0) return CBN_E_COUNTS;
    }
    return CBN_OK;
}

int cbn_tree_bic(const cbn_trees *trees, const int64_t *counts, double *log_likelihood, int64_t *n_parameters,
                 double *bic) {
    CBN_TRY(cbn_trees_check(trees));
    if (!counts || !log_likelihood || !n_parameters || !bic) return CBN_E_NULL;
    if (counts[0] < 0 || counts[1] < 0 || counts[0] > INT64_MAX - counts[1]) return CBN_E_COUNTS;
    const int64_t n_images = counts[0] + counts[1];
    if (n_images < 1) return CBN_E_COUNTS;
    CBN_TRY(cbn_tree_counts_check(trees, counts, n_images));
    int64_t parameters = 0;
    double total = 0.0;
    for (int64_t node = 0; node < cbn_grid_nodes(trees->grid); node++) {
        double own = 0.0;
        if (cbn_required_node(trees->required, node) >= 0) parameters--; /* the leaf in which it is 0 for certain */
        for (int64_t t = trees->begin[node]; t < trees->begin[node + 1]; t++) {
            if (trees->split[t] >= 0) continue;
            const double n0 = (double)counts[2 * t], n1 = (double)counts[2 * t + 1];
            if (n0 > 0.0) own += n0 * cbn_log(n0 / (n0 + n1));
            if (n1 > 0.0) own += n1 * cbn_log(n1 / (n0 + n1));
            parameters++;
        }
        total += own;
    }
    *log_likelihood = total;
    *n_parameters = parameters;
    *bic = (double)parameters * cbn_log((double)n_images) - 2.0 * total;
    return CBN_OK;
}

/* Probability of state 1 at a vertex from its counts and its parent's probability; below < 0: a root. */
static inline double shrunk(double n0, double n1, cbn_smoothing smoothing, double parent) {
    const double p = parent < 0.0 ? (n1 + smoothing.pseudocount) / (n0 + n1 + 2.0 * smoothing.pseudocount)
                                  : (n1 + smoothing.shrinkage * parent) / (n0 + n1 + smoothing.shrinkage);
    return p < CBN_SMALLEST_P ? CBN_SMALLEST_P : p > 1.0 - CBN_SMALLEST_P ? 1.0 - CBN_SMALLEST_P : p;
}

/*
 * p1 (vertices, stride 2): probability of state 1 at every vertex of a node. left_out: -1, or the state of an image
 * that is taken out of every vertex's counts; entries that such an image cannot reach are of no use.
 */
static void node_probability(const cbn_trees *trees, int64_t node, const int64_t *counts, cbn_smoothing smoothing,
                             int left_out, double *p1) {
    const int64_t first = trees->begin[node], n = trees->begin[node + 1] - first;
    const int32_t *split = trees->split + first, *child = trees->child + first;
    const int required = cbn_required_node(trees->required, node) >= 0;
    p1[0] = -1.0;
    for (int64_t t = 0; t < n; t++) { /* p1[2 t] holds the parent's probability until its turn comes */
        const int64_t *c = counts + 2 * (first + t);
        const double n0 = (double)c[0] - (left_out == 0 && c[0] > 0), n1 = (double)c[1] - (left_out == 1 && c[1] > 0);
        double p = shrunk(n0, n1, smoothing, p1[2 * t]);
        if (required && t == 1) p = 0.0;
        p1[2 * t] = p;
        if (split[t] >= 0) p1[2 * child[t]] = p1[2 * (child[t] + 1)] = required && t == 0 ? -1.0 : p;
    }
}

static int check_arguments(const cbn_trees *trees, const int64_t *counts, cbn_smoothing smoothing, const double *out,
                           int num_threads) {
    CBN_TRY(cbn_trees_check(trees));
    if (!counts || !out) return CBN_E_NULL;
    if (!(smoothing.pseudocount >= 1e-9 && smoothing.pseudocount <= 1e9) ||
        !(smoothing.shrinkage >= 1e-9 && smoothing.shrinkage <= 1e9) || num_threads < 1)
        return CBN_E_PARAMETER;
    return CBN_OK;
}

int cbn_tree_probability(const cbn_trees *trees, const int64_t *counts, cbn_smoothing smoothing, double *probability,
                         int num_threads) {
    CBN_TRY(check_arguments(trees, counts, smoothing, probability, num_threads));
    const int64_t n_nodes = cbn_grid_nodes(trees->grid);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 8.0 * (double)trees->begin[n_nodes]), n_nodes, static)
    for (int64_t node = 0; node < n_nodes; node++) {
        double *p = probability + 2 * trees->begin[node];
        node_probability(trees, node, counts, smoothing, -1, p + 1);
        for (int64_t t = 0; t < trees->begin[node + 1] - trees->begin[node]; t++) p[2 * t] = 1.0 - p[2 * t + 1];
    }
    return CBN_OK;
}

static void node_values(const cbn_trees *trees, int64_t node, const int64_t *counts, const double *probability,
                        cbn_smoothing smoothing, int kind, int leave_one_out, double *values) {
    const int64_t first = trees->begin[node], n = trees->begin[node + 1] - first;
    cbn_moments moments = {0.0, 0.0, 0.0};
    if (leave_one_out)
        for (int x = 0; x < 2; x++) node_probability(trees, node, counts, smoothing, x, values + x);
    if (kind == CBN_NORMALIZED)
        for (int64_t t = 0; t < n; t++) {
            if (trees->split[first + t] >= 0) continue;
            const cbn_row row = cbn_row_of(probability[2 * t], probability[2 * t + 1]);
            cbn_add_moments(&moments, &row, counts[2 * (first + t)], counts[2 * (first + t) + 1], 1.0);
        }
    for (int64_t t = 0; t < n; t++) {
        const int64_t n0 = counts[2 * (first + t)], n1 = counts[2 * (first + t) + 1];
        const cbn_row row = cbn_row_of(probability[2 * t], probability[2 * t + 1]);
        for (int x = 0; x < 2; x++) {
            double *out = values + 2 * t + x;
            if (!leave_one_out || (x == 0 ? n0 : n1) < 1) {
                *out = cbn_row_value(&row, x, kind, &moments);
                continue;
            }
            const cbn_row without = cbn_row_of(1.0 - *out, *out);
            cbn_moments others = moments;
            if (kind == CBN_NORMALIZED) {
                cbn_add_moments(&others, &row, n0, n1, -1.0);
                cbn_add_moments(&others, &without, n0 - (x == 0), n1 - (x == 1), 1.0);
            }
            *out = cbn_row_value(&without, x, kind, &others);
        }
    }
}

int cbn_tree_values(const cbn_trees *trees, const int64_t *counts, const double *probability, cbn_smoothing smoothing,
                    int kind, int leave_one_out, double *values, int num_threads) {
    CBN_TRY(check_arguments(trees, counts, smoothing, values, num_threads));
    if (!probability) return CBN_E_NULL;
    if (kind < CBN_LOG_PROBABILITY || kind > CBN_NORMALIZED) return CBN_E_PARAMETER;
    const int64_t n_nodes = cbn_grid_nodes(trees->grid);
    const double each = leave_one_out ? 60.0 : 20.0; /* nanoseconds of a vertex */
    CBN_PARALLEL_FOR(cbn_worth(num_threads, each * (double)trees->begin[n_nodes]), n_nodes, static)
    for (int64_t node = 0; node < n_nodes; node++)
        node_values(trees, node, counts, probability + 2 * trees->begin[node], smoothing, kind, leave_one_out,
                    values + 2 * trees->begin[node]);
    return CBN_OK;
}

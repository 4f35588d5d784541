/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Bayesian information criterion, thesis eq. 3: k ln n - 2 ln P(D | B*), B* at maximum likelihood; of a layer, and
 * its change when a tied relation is added.
 *
 * The change needs, at every position, the joint histogram of the node, its present parents and the candidate. The
 * log-likelihood at maximum likelihood is a sum of n ln n over its entries and margins, so one table of n ln n for
 * n = 0 .. n_images replaces all logarithms. Threads own nodes, with all candidates of each; the sums over positions
 * come after.
 *
 * Of histograms that were added up the change is the same double: entries that need an absent parent, which they have
 * and the others have not, are zeros and add nothing, and all others come in the same order.
 */
#include "kernels/kernels.h"
#include "workspace.h"

#include <math.h>

int cbn_bic(const cbn_layer *layer, const int64_t *counts, double *log_likelihood, int64_t *n_parameters, double *bic) {
    CBN_TRY(cbn_layer_check(layer));
    if (!counts || !log_likelihood || !n_parameters || !bic) return CBN_E_NULL;
    const int64_t n_nodes = cbn_grid_nodes(layer->grid);
    int64_t parameters = 0, n_images = 0;
    double total = 0.0;
    for (int64_t node = 0; node < n_nodes; node++) {
        const cbn_place place = cbn_place_of(layer, node);
        int64_t parent[CBN_MAX_PARENTS];
        const uint32_t present = cbn_parents_of(layer, &place, parent);
        const uint32_t required = cbn_required_bits(layer, place.channel);
        const int64_t *table = counts + 2 * place.table;
        int64_t sum = 0;
        double own = 0.0;
        for (uint32_t row = 0; row < (uint32_t)1 << place.k; row++) {
            const int64_t n0 = table[2 * (int64_t)row], n1 = table[2 * (int64_t)row + 1], n = n0 + n1;
            if (n0 < 0 || n1 < 0) return CBN_E_COUNTS;
            /* a free parameter is a row that can occur and does not fix the state */
            if (!(row & ~present) && (row & required) == required) parameters++;
            if (n0 > 0) own += (double)n0 * cbn_log((double)n0 / (double)n);
            if (n1 > 0) own += (double)n1 * cbn_log((double)n1 / (double)n);
            sum += n;
        }
        if (node == 0) n_images = sum;
        if (sum != n_images || sum < 1) return CBN_E_COUNTS;
        total += own;
    }
    *log_likelihood = total;
    *n_parameters = parameters;
    *bic = (double)parameters * cbn_log((double)n_images) - 2.0 * total;
    return CBN_OK;
}

/* The parts of a workspace that threads share, and what each has to itself. */
typedef struct {
    double *n_ln_n; /* (n_images + 1) */
    double *gain;   /* (candidates, positions) */
    void *each;
} search_parts;

static uint64_t *take_own(cbn_arena *arena, int64_t n_images) {
    return cbn_take(arena, cbn_plane_words(n_images), sizeof(uint64_t));
}

static search_parts take_parts(cbn_arena *arena, const cbn_layer *layer, int64_t n_images, int64_t n_candidates,
                               int num_threads, cbn_arena *own) {
    search_parts parts;
    parts.n_ln_n = cbn_take(arena, n_images + 1, sizeof *parts.n_ln_n);
    parts.gain = cbn_take_rows(arena, n_candidates, cbn_grid_positions(layer->grid), sizeof *parts.gain);
    *own = cbn_counting_arena();
    take_own(own, n_images);
    parts.each = cbn_take_each(arena, own, num_threads);
    return parts;
}

static int check_sizes(int64_t n_images, int64_t n_candidates, int num_threads) {
    if (n_images < 1 || n_images > INT64_MAX / 16 || n_candidates < 1) return CBN_E_SIZE;
    return num_threads < 1 || num_threads > 65536 ? CBN_E_PARAMETER : CBN_OK;
}

int cbn_relation_gains_workspace_size(const cbn_layer *layer, int64_t n_images, int64_t n_candidates, int num_threads,
                                      int64_t *bytes) {
    CBN_TRY(cbn_layer_check(layer));
    CBN_TRY(check_sizes(n_images, n_candidates, num_threads));
    cbn_arena arena = cbn_counting_arena(), own;
    take_parts(&arena, layer, n_images, n_candidates, num_threads, &own);
    return cbn_arena_size(&arena, bytes);
}

/* ln-likelihood of a row with n0 and n1 images, from the table of n ln n. */
static inline double row_likelihood(const double *n_ln_n, int64_t n0, int64_t n1) {
    return n_ln_n[n0] + n_ln_n[n1] - n_ln_n[n0 + n1];
}

/* A node, with its parents that exist, as a search asks about it. */
typedef struct {
    cbn_variables variables; /* without gaps for absent parents */
    int64_t all[1 << (CBN_MAX_SEARCH_PARENTS + 1)]; /* histogram of all images */
    double likelihood[1 << CBN_MAX_SEARCH_PARENTS]; /* of each of its rows */
    int grown;                                      /* its last variable is the last relation of its channel */
} searched_node;

static void search_node(const cbn_kernels *kernels, const cbn_layer *layer, const cbn_place *place, int64_t node,
                        cbn_planes planes, const double *n_ln_n, searched_node *own) {
    cbn_variables_of(layer, place, node, planes.words, cbn_plane_words(planes.n_images), &own->variables);
    own->grown = own->variables.bit[own->variables.n - 1] == place->k;
    for (int v = 0; v < own->variables.n; v++) own->variables.bit[v] = v;
    cbn_histogram(kernels, &own->variables, own->variables.n, NULL, planes.n_images, own->all);
    for (int s = 0; s < 1 << own->variables.n; s += 2)
        own->likelihood[s / 2] = row_likelihood(n_ln_n, own->all[s], own->all[s + 1]);
}

/* with: the histogram of the images in which the candidate is 1. The one of the last step is the sum of the two that a
 * further parent makes of it, of which only one is counted. */
static void histogram_with(const cbn_kernels *kernels, const searched_node *own, const uint64_t *candidate,
                           int64_t n_images, const cbn_kept_tables *kept, int32_t *count, uint64_t *both, int64_t *with) {
    const int64_t size = (int64_t)1 << own->variables.n, known = own->grown ? size / 2 : size;
    if (kept && kept->of_last_step && known <= kept->entries) {
        for (int64_t s = 0; s < known; s++) with[s] = count[s];
        if (!own->grown) return;
        cbn_variables before = own->variables;
        const uint64_t *last = before.plane[--before.n];
        for (int64_t w = 0; w < cbn_plane_words(n_images); w++) both[w] = candidate[w] & last[w];
        cbn_histogram(kernels, &before, before.n, both, n_images, with + known);
        for (int64_t s = 0; s < known; s++) with[s] -= with[known + s];
    } else {
        cbn_histogram(kernels, &own->variables, own->variables.n, candidate, n_images, with);
    }
    for (int64_t s = 0; kept && size <= kept->entries && s < size; s++) count[s] = (int32_t)with[s];
}

/* gain[i * positions] = BIC change at the node by every candidate i of its channel; 0 where that parent does not exist.
 * NaN where kept tables cannot be. count: those of the node's place, of candidate i from i * positions * entries on. */
static void gains_at(const cbn_kernels *kernels, const cbn_layer *layer, cbn_planes planes, int64_t node,
                     const cbn_relations *candidates, const cbn_kept_tables *kept, int32_t *count, const double *n_ln_n,
                     double *gain, uint64_t *both) {
    const int64_t n_images = planes.n_images, n_words = cbn_plane_words(n_images);
    const int64_t positions = cbn_grid_positions(layer->grid);
    const cbn_place place = cbn_place_of(layer, node);
    searched_node own;
    int64_t with[1 << (CBN_MAX_SEARCH_PARENTS + 1)];
    int counted = 0;
    for (int64_t i = 0; i < candidates->n; i++) {
        if (candidates->child[i] != place.channel) continue;
        gain[i * positions] = 0.0;
        const int64_t candidate = cbn_node_at(layer, candidates->parent[i], (int64_t)place.row + candidates->dy[i],
                                              (int64_t)place.column + candidates->dx[i]);
        if (candidate < 0) continue;
        if (!counted) search_node(kernels, layer, &place, node, planes, n_ln_n, &own);
        counted = 1;
        histogram_with(kernels, &own, planes.words + candidate * n_words, n_images, kept,
                       kept ? count + i * positions * kept->entries : NULL, both, with);
        uint64_t most = 0; /* above 2^63 where any is negative, or more than all */
        for (int s = 0; s < 1 << own.variables.n; s++)
            most |= (uint64_t)with[s] | (uint64_t)(own.all[s] - with[s]);
        if (most >> 63) {
            gain[i * positions] = NAN;
            continue;
        }
        double gained = 0.0;
        for (int s = 0; s < 1 << own.variables.n; s += 2)
            gained += row_likelihood(n_ln_n, own.all[s] - with[s], own.all[s + 1] - with[s + 1]) +
                      row_likelihood(n_ln_n, with[s], with[s + 1]) - own.likelihood[s / 2];
        gain[i * positions] =
            (double)((int64_t)1 << (own.variables.n - 1)) * cbn_log((double)n_images) - 2.0 * gained;
    }
}

/* Nanoseconds of all candidates' histograms. */
static double work_of(const cbn_layer *layer, int64_t n_words, const cbn_relations *candidates) {
    double subsets = 0.0;
    for (int64_t i = 0; i < candidates->n; i++)
        subsets += (double)((int64_t)2 << cbn_parent_count(layer, candidates->child[i]));
    return 0.2 * subsets * (double)cbn_grid_positions(layer->grid) * (double)(n_words + 16);
}

/* A candidate must be a relation that the layer could have and has not. */
static int check_candidate(const cbn_layer *layer, int32_t child, int32_t parent, int32_t dy, int32_t dx) {
    const int32_t channels = layer->grid.channels;
    if (child < 0 || child >= channels || parent < 0 || parent >= channels) return CBN_E_RELATION;
    if (!(dy < 0 || (dy == 0 && (dx < 0 || (dx == 0 && parent < child))))) return CBN_E_RELATION;
    if (cbn_parent_count(layer, child) >= CBN_MAX_SEARCH_PARENTS) return CBN_E_PARENTS;
    for (int64_t r = layer->relation_begin[child]; r < layer->relation_begin[child + 1]; r++) {
        if (layer->required[r]) return CBN_E_RELATION; /* fixed states are no free parameters: not searched */
        if (layer->parent_channel[r] == parent && layer->dy[r] == dy && layer->dx[r] == dx) return CBN_E_RELATION;
    }
    return CBN_OK;
}

static int check_kept(const cbn_layer *layer, const cbn_relations *candidates, const cbn_kept_tables *kept,
                      int64_t n_images) {
    if (!kept) return CBN_OK;
    if (!kept->count) return CBN_E_NULL;
    if (kept->entries < 2 || kept->entries > 2 << CBN_MAX_SEARCH_PARENTS || (kept->entries & (kept->entries - 1)) ||
        n_images > INT32_MAX)
        return CBN_E_SIZE;
    for (int64_t i = 0; kept->of_last_step && i < candidates->n; i++)
        if (!cbn_parent_count(layer, candidates->child[i])) return CBN_E_RELATION;
    return CBN_OK;
}

int cbn_relation_gains(const cbn_layer *layer, cbn_planes planes, const cbn_relations *candidates, cbn_kept_tables *kept,
                       double *bic_change, cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_layer_check(layer));
    if (!candidates) return CBN_E_NULL;
    const cbn_relations *c = candidates;
    const int64_t n_images = planes.n_images;
    CBN_TRY(check_sizes(n_images, c->n, num_threads));
    if (!planes.words || !c->child || !c->parent || !c->dy || !c->dx || !bic_change) return CBN_E_NULL;
    cbn_arena arena = cbn_arena_of(workspace), one;
    const search_parts parts = take_parts(&arena, layer, n_images, c->n, num_threads, &one);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    for (int64_t i = 0; i < c->n; i++)
        CBN_TRY(check_candidate(layer, c->child[i], c->parent[i], c->dy[i], c->dx[i]));
    CBN_TRY(check_kept(layer, c, kept, n_images));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t positions = cbn_grid_positions(layer->grid), n_nodes = cbn_grid_nodes(layer->grid);
    parts.n_ln_n[0] = 0.0;
    for (int64_t n = 1; n <= n_images; n++) parts.n_ln_n[n] = cbn_n_ln_n(n);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, work_of(layer, cbn_plane_words(n_images), c)), n_nodes, dynamic)
    for (int64_t node = 0; node < n_nodes; node++) {
        cbn_arena memory = cbn_own_arena(parts.each, &one);
        const int64_t inside = node % positions;
        gains_at(kernels, layer, planes, node, c, kept, kept ? kept->count + inside * kept->entries : NULL, parts.n_ln_n,
                 parts.gain + inside, take_own(&memory, n_images));
    }
    for (int64_t i = 0; i < c->n; i++) {
        double sum = 0.0;
        for (int64_t inside = 0; inside < positions; inside++) sum += parts.gain[i * positions + inside];
        if (isnan(sum)) return CBN_E_COUNTS;
        bic_change[i] = sum;
    }
    return CBN_OK;
}

/* Entries of the tables of one candidate. */
static int64_t entries_of(const cbn_layer *layer, int32_t child) {
    return cbn_grid_positions(layer->grid) << (cbn_parent_count(layer, child) + 1);
}

static int check_candidates(const cbn_layer *layer, const cbn_relations *c) {
    CBN_TRY(cbn_layer_check(layer));
    if (!c) return CBN_E_NULL;
    if (c->n < 1) return CBN_E_SIZE;
    if (!c->child || !c->parent || !c->dy || !c->dx) return CBN_E_NULL;
    for (int64_t i = 0; i < c->n; i++)
        CBN_TRY(check_candidate(layer, c->child[i], c->parent[i], c->dy[i], c->dx[i]));
    return CBN_OK;
}

int cbn_relation_counts_size(const cbn_layer *layer, const cbn_relations *candidates, int64_t *size) {
    CBN_TRY(check_candidates(layer, candidates));
    if (!size) return CBN_E_NULL;
    int64_t sum = 0;
    for (int64_t i = 0; i < candidates->n; i++) {
        const int64_t own = entries_of(layer, candidates->child[i]);
        if (own > INT64_MAX / 8 - sum) return CBN_E_SIZE;
        sum += own;
    }
    *size = sum;
    return CBN_OK;
}

static void count_candidates_at(const cbn_kernels *kernels, const cbn_layer *layer, cbn_planes planes, int64_t node,
                                const cbn_relations *candidates, int64_t *with) {
    const int64_t n_words = cbn_plane_words(planes.n_images), inside = node % cbn_grid_positions(layer->grid);
    const cbn_place place = cbn_place_of(layer, node);
    cbn_variables variables;
    cbn_variables_of(layer, &place, node, planes.words, n_words, &variables);
    for (int64_t i = 0; i < candidates->n; with += entries_of(layer, candidates->child[i++])) {
        if (candidates->child[i] != place.channel) continue;
        int64_t *table = with + (inside << (place.k + 1));
        const int64_t candidate = cbn_node_at(layer, candidates->parent[i], (int64_t)place.row + candidates->dy[i],
                                              (int64_t)place.column + candidates->dx[i]);
        if (candidate < 0)
            memset(table, 0, sizeof *table << (place.k + 1));
        else
            cbn_histogram(kernels, &variables, place.k + 1, planes.words + candidate * n_words, planes.n_images, table);
    }
}

int cbn_relation_counts(const cbn_layer *layer, cbn_planes planes, const cbn_relations *candidates, int64_t *with,
                        int num_threads) {
    int64_t size;
    CBN_TRY(cbn_relation_counts_size(layer, candidates, &size));
    if (!planes.words || !with) return CBN_E_NULL;
    if (planes.n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_nodes = cbn_grid_nodes(layer->grid);
    const double work = work_of(layer, cbn_plane_words(planes.n_images), candidates);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, work), n_nodes, dynamic)
    for (int64_t node = 0; node < n_nodes; node++)
        count_candidates_at(kernels, layer, planes, node, candidates, with);
    return CBN_OK;
}

/* The sum over positions of what gains_at() gives for one candidate. */
static double change_of_counts(const cbn_layer *layer, const int64_t *counts, int64_t n_images,
                               const cbn_relations *candidates, int64_t i, const int64_t *with) {
    const int32_t child = candidates->child[i];
    const int64_t positions = cbn_grid_positions(layer->grid);
    double sum = 0.0;
    for (int64_t inside = 0; inside < positions; inside++) {
        const cbn_place place = cbn_place_of(layer, child * positions + inside);
        if (cbn_node_at(layer, candidates->parent[i], (int64_t)place.row + candidates->dy[i],
                        (int64_t)place.column + candidates->dx[i]) < 0)
            continue;
        int64_t parent[CBN_MAX_PARENTS], n_rows = 1;
        for (uint32_t present = cbn_parents_of(layer, &place, parent); present; present &= present - 1) n_rows *= 2;
        const int64_t *all = counts + 2 * place.table, *own = with + (inside << (place.k + 1));
        double gained = 0.0;
        for (int s = 0; s < 2 << place.k; s += 2)
            gained += cbn_likelihood(all[s] - own[s], all[s + 1] - own[s + 1]) +
                      cbn_likelihood(own[s], own[s + 1]) - cbn_likelihood(all[s], all[s + 1]);
        sum += (double)n_rows * cbn_log((double)n_images) - 2.0 * gained;
    }
    return sum;
}

/* Whether any part of a table has more images than the whole, or fewer than none. */
static int check_parts(const cbn_layer *layer, const int64_t *counts, int32_t child, const int64_t *with) {
    const int64_t *all = counts + 2 * cbn_channel_row(layer, child), n = entries_of(layer, child);
    for (int64_t e = 0; e < n; e++)
        if (with[e] < 0 || with[e] > all[e]) return CBN_E_COUNTS;
    return CBN_OK;
}

int cbn_relation_gains_of_counts(const cbn_layer *layer, const int64_t *counts, const cbn_relations *candidates,
                                 const int64_t *with, double *bic_change, int num_threads) {
    CBN_TRY(check_candidates(layer, candidates));
    if (!counts || !with || !bic_change) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    int64_t n_images = 0;
    for (int s = 0; s < 2 << cbn_parent_count(layer, 0); s++) n_images += counts[s];
    CBN_TRY(n_images < 1 ? CBN_E_COUNTS : cbn_counts_check(layer, counts, n_images));
    const int64_t *own = with;
    for (int64_t i = 0; i < candidates->n; own += entries_of(layer, candidates->child[i++]))
        CBN_TRY(check_parts(layer, counts, candidates->child[i], own));
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 30.0 * (double)(own - with)), candidates->n, dynamic)
    for (int64_t i = 0; i < candidates->n; i++) {
        const int64_t *tables = with;
        for (int64_t j = 0; j < i; j++) tables += entries_of(layer, candidates->child[j]);
        bic_change[i] = change_of_counts(layer, counts, n_images, candidates, i, tables);
    }
    return CBN_OK;
}

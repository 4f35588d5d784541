/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Growth of trees in rounds. Threads own nodes. The words of a node's candidates are brought together a block of images
 * at a time, small enough for the cache, and all open vertices of the node are counted in it: planes of many images are
 * read once a round, however many vertices there are.
 */
#include "cbn_rounds.h"
#include "trees.h"
#include "workspace.h"

/* Words of a plane that are counted at a time: with 84 candidates 86 KB. */
#define BLOCK_WORDS 128
/* Nodes that a thread counts in a block before it comes to the next one: they ask mostly the same planes. */
#define TOGETHER 32

/* What a thread has to itself. */
typedef struct {
    uint64_t *window;       /* [candidates][BLOCK_WORDS] */
    uint64_t *members;      /* [2][BLOCK_WORDS]: images of a vertex; those of them with the node at 1 */
    uint64_t *counted;      /* [BLOCK_WORDS]: images that are counted */
    uint64_t *few;          /* [2][BLOCK_WORDS]: the same of the words that have any */
    int32_t *at;            /* [BLOCK_WORDS]: these words */
    uint32_t (*numbers)[2]; /* [candidates, whole groups]: what the kernel counts in a block */
} counter;

static counter take_own(cbn_arena *arena, int64_t most) {
    counter own;
    own.window = cbn_take_rows(arena, most, BLOCK_WORDS, sizeof *own.window);
    own.members = cbn_take(arena, 2 * BLOCK_WORDS, sizeof *own.members);
    own.counted = cbn_take(arena, BLOCK_WORDS, sizeof *own.counted);
    own.few = cbn_take(arena, 2 * BLOCK_WORDS, sizeof *own.few);
    own.at = cbn_take(arena, BLOCK_WORDS, sizeof *own.at);
    own.numbers = cbn_take(arena, most + CBN_COUNTED_TOGETHER, sizeof *own.numbers);
    return own;
}

static int take_parts(cbn_arena *arena, cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                      const cbn_open_vertices *vertices, int num_threads, cbn_arena *one, void **each) {
    int64_t most;
    CBN_TRY(cbn_grid_check(grid));
    if (!candidates || !candidates->begin || !vertices || !vertices->begin) return CBN_E_NULL;
    CBN_TRY(cbn_most_candidates(grid, candidates, &most));
    if (n_images < 1 || most > INT32_MAX) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    *one = cbn_counting_arena();
    take_own(one, most);
    *each = cbn_take_each(arena, one, num_threads);
    return CBN_OK;
}

int cbn_count_vertices_workspace_size(cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                                      const cbn_open_vertices *vertices, int num_threads, int64_t *bytes) {
    cbn_arena arena = cbn_counting_arena(), one;
    void *each;
    CBN_TRY(take_parts(&arena, grid, n_images, candidates, vertices, num_threads, &one, &each));
    return cbn_arena_size(&arena, bytes);
}

static int begins_rise(const int64_t *begin, int64_t n) {
    if (begin[0] != 0) return 0;
    for (int64_t i = 0; i < n; i++)
        if (begin[i + 1] < begin[i]) return 0;
    return 1;
}

/* Ways lead through earlier nodes, and candidates are in the lists of their nodes. */
static int check_vertices(cbn_grid grid, const cbn_candidates *candidates, const cbn_open_vertices *v) {
    const int64_t n_nodes = cbn_grid_nodes(grid);
    if (!v->way_begin || !v->useful_begin) return CBN_E_NULL;
    if (!begins_rise(v->begin, n_nodes)) return CBN_E_TREE;
    const int64_t n = v->begin[n_nodes];
    if (!begins_rise(v->way_begin, n) || !begins_rise(v->useful_begin, n)) return CBN_E_TREE;
    if ((v->way_begin[n] && !v->way) || (v->useful_begin[n] && !v->useful)) return CBN_E_NULL;
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t own = cbn_raster_order(grid, node), n_own = candidates->begin[node + 1] - candidates->begin[node];
        const int64_t first = v->begin[node], end = v->begin[node + 1];
        for (int64_t i = v->way_begin[first]; i < v->way_begin[end]; i++) {
            const int64_t decides = v->way[i] < 0 ? -1 - (int64_t)v->way[i] : v->way[i];
            if (decides >= n_nodes || cbn_raster_order(grid, decides) >= own) return CBN_E_TREE;
        }
        for (int64_t i = v->useful_begin[first]; i < v->useful_begin[end]; i++)
            if (v->useful[i] < 0 || v->useful[i] >= n_own) return CBN_E_TREE;
    }
    return CBN_OK;
}

/* Adds the counts of a block of n words from word `word` on, of all vertices of a node. */
static void count_block(const cbn_kernels *kernels, const counter *own, cbn_planes planes, const uint64_t *members,
                        const cbn_candidates *candidates, const cbn_open_vertices *v, int64_t node, int64_t word,
                        int64_t n, int64_t *totals, int64_t *counts) {
    const int64_t plane_words = cbn_plane_words(planes.n_images);
    const int64_t padded = (n + CBN_LINE_WORDS - 1) / CBN_LINE_WORDS * CBN_LINE_WORDS;
    const int32_t *candidate = candidates->node + candidates->begin[node];
    const int64_t n_candidates = candidates->begin[node + 1] - candidates->begin[node];
    const uint64_t *first = planes.words + word, *state = first + node * plane_words;
    uint64_t *few_on = own->few + BLOCK_WORDS, *set_on = own->members + padded;
    if (v->useful_begin[v->begin[node + 1]] > v->useful_begin[v->begin[node]])
        for (int64_t c = 0; c < n_candidates; c++) {
            uint64_t *row = own->window + c * padded;
            memcpy(row, first + candidate[c] * plane_words, sizeof *row * (size_t)n);
            memset(row + n, 0, sizeof *row * (size_t)(padded - n));
        }
    for (int64_t w = 0; w < n; w++)
        own->counted[w] = cbn_images_of_word(planes.n_images, word + w) & (members ? members[word + w] : ~(uint64_t)0);
    for (int64_t i = v->begin[node]; i < v->begin[node + 1]; i++) {
        const int64_t n_few = kernels->follow_way(first, plane_words, own->counted, n, v->way + v->way_begin[i],
                                                  v->way_begin[i + 1] - v->way_begin[i], own->at, own->few);
        if (!n_few) continue;
        for (int64_t w = 0; w < n_few; w++) few_on[w] = own->few[w] & state[own->at[w]];
        const uint64_t *sets[2] = {own->few, few_on};
        int64_t superset[4];
        kernels->count_subsets(sets, 2, NULL, n_few, superset);
        totals[2 * i] += superset[1] - superset[3];
        totals[2 * i + 1] += superset[3];
        const int64_t useful = v->useful_begin[i], n_useful = v->useful_begin[i + 1] - useful;
        if (!n_useful) continue;
        if (kernels->words_for_one * n_few < padded) {
            kernels->count_candidates_at(own->window, padded, v->useful + useful, n_useful, own->at, n_few,
                                         own->few, few_on, own->numbers);
        } else {
            memset(own->members, 0, 2 * sizeof *own->members * (size_t)padded);
            for (int64_t w = 0; w < n_few; w++) {
                own->members[own->at[w]] = own->few[w];
                set_on[own->at[w]] = few_on[w];
            }
            kernels->count_candidates(own->window, padded, v->useful + useful, n_useful, own->members, set_on,
                                      own->numbers);
        }
        for (int64_t c = 0; c < n_useful; c++)
            for (int j = 0; j < 2; j++) counts[2 * (useful + c) + j] += own->numbers[c][j];
    }
}

int cbn_count_vertices(cbn_grid grid, cbn_planes planes, const uint64_t *members, const cbn_candidates *candidates,
                       const cbn_open_vertices *vertices, int64_t *totals, int64_t *counts, cbn_workspace workspace,
                       int num_threads) {
    cbn_arena arena = cbn_arena_of(workspace), one;
    void *each;
    if (!planes.words || !totals || !counts) return CBN_E_NULL;
    CBN_TRY(take_parts(&arena, grid, planes.n_images, candidates, vertices, num_threads, &one, &each));
    CBN_TRY(cbn_candidates_check(grid, candidates));
    CBN_TRY(check_vertices(grid, candidates, vertices));
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    int64_t most;
    CBN_TRY(cbn_most_candidates(grid, candidates, &most));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_nodes = cbn_grid_nodes(grid), plane_words = cbn_plane_words(planes.n_images);
    int64_t n_asked = 0;
    for (int64_t node = 0; node < n_nodes; node++) n_asked += vertices->begin[node + 1] > vertices->begin[node];
    const int64_t fair = n_asked / (2 * (int64_t)num_threads), together = fair < 1 ? 1 : fair < TOGETHER ? fair : TOGETHER;
    const int64_t n_groups = (n_nodes + together - 1) / together;
    const cbn_open_vertices *v = vertices;
    const int64_t n = v->begin[n_nodes];
    const double work = (double)plane_words * (2.0 * (double)n + 0.7 * (double)v->useful_begin[n]);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, work), n_groups, dynamic)
    for (int64_t group = 0; group < n_groups; group++) {
        cbn_arena room = cbn_own_arena(each, &one);
        const counter own = take_own(&room, most);
        const int64_t first = group * together, end = first + together < n_nodes ? first + together : n_nodes;
        const int64_t vertex = v->begin[first], useful = v->useful_begin[vertex];
        memset(totals + 2 * vertex, 0, 2 * sizeof *totals * (size_t)(v->begin[end] - vertex));
        memset(counts + 2 * useful, 0, 2 * sizeof *counts * (size_t)(v->useful_begin[v->begin[end]] - useful));
        for (int64_t word = 0; word < plane_words; word += BLOCK_WORDS) {
            const int64_t left = plane_words - word, n_block = left < BLOCK_WORDS ? left : BLOCK_WORDS;
            for (int64_t node = first; node < end; node++)
                if (v->begin[node + 1] > v->begin[node])
                    count_block(kernels, &own, planes, members, candidates, v, node, word, n_block, totals, counts);
        }
    }
    return CBN_OK;
}

/* ---- splits ---- */

/* As find_best() of tree.c, from the same sums in the same order. */
static void best_split(const cbn_counted_vertices *v, int64_t i, double price, int64_t min_leaf, double *gain,
                       int32_t *best, uint8_t *pays) {
    const int64_t n0 = v->totals[2 * i], n1 = v->totals[2 * i + 1], n = n0 + n1;
    const double own = cbn_likelihood(n0, n1);
    gain[i] = 0.0;
    best[i] = -1;
    pays[i] = n / 2 >= min_leaf && -own > price;
    if (!pays[i]) return;
    const int64_t first = v->useful_begin[i];
    for (int64_t c = 0; c < v->useful_begin[i + 1] - first; c++) {
        const int64_t n_on = v->counts[2 * (first + c)], on1 = v->counts[2 * (first + c) + 1], on0 = n_on - on1;
        if (n_on < min_leaf || n - n_on < min_leaf) continue;
        const double gained = cbn_likelihood(on0, on1) + cbn_likelihood(n0 - on0, n1 - on1) - own;
        if (gained > gain[i]) {
            gain[i] = gained;
            best[i] = (int32_t)c;
        }
    }
    if (!(gain[i] > price)) gain[i] = 0.0;
}

int cbn_best_splits(const cbn_counted_vertices *vertices, double penalty, int64_t n_images, int64_t min_leaf,
                    double *gain, int32_t *best, uint8_t *pays, int num_threads) {
    const cbn_counted_vertices *v = vertices;
    if (!v || !v->useful_begin || !gain || !best || !pays) return CBN_E_NULL;
    if (v->n < 0 || n_images < 1) return CBN_E_SIZE;
    if (v->n && !v->totals) return CBN_E_NULL;
    if (!begins_rise(v->useful_begin, v->n)) return CBN_E_TREE;
    if (v->useful_begin[v->n] && !v->counts) return CBN_E_NULL;
    if (!(penalty >= 0.0 && penalty <= 1e9) || min_leaf < 1 || num_threads < 1) return CBN_E_PARAMETER;
    for (int64_t i = 0; i < v->n; i++) {
        const int64_t n0 = v->totals[2 * i], n1 = v->totals[2 * i + 1];
        if (n0 < 0 || n1 < 0 || n0 > INT64_MAX / 4 || n1 > INT64_MAX / 4) return CBN_E_COUNTS;
        for (int64_t c = v->useful_begin[i]; c < v->useful_begin[i + 1]; c++) {
            const int64_t n_on = v->counts[2 * c], on1 = v->counts[2 * c + 1];
            if (on1 < 0 || on1 > n1 || n_on < on1 || n_on - on1 > n0) return CBN_E_COUNTS;
        }
    }
    const double price = penalty * cbn_log((double)n_images);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 40.0 * (double)v->useful_begin[v->n]), v->n, dynamic, 64)
    for (int64_t i = 0; i < v->n; i++) best_split(v, i, price, min_leaf, gain, best, pays);
    return CBN_OK;
}

/* ---- the order of splits ---- */

typedef struct {
    double gain;
    int64_t number, vertex; /* in the order of growth; of all trees */
} leaf;

static int before(const leaf *a, const leaf *b) {
    return a->gain > b->gain || (a->gain == b->gain && a->number < b->number);
}

/* A heap whose first leaf is split next. */
static void push(leaf *heap, int64_t *n, leaf new) {
    int64_t at = (*n)++;
    for (; at && before(&new, &heap[(at - 1) / 2]); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = new;
}

static leaf pop(leaf *heap, int64_t *n) {
    const leaf first = heap[0], last = heap[--*n];
    int64_t at = 0;
    for (int64_t below; (below = 2 * at + 1) < *n; at = below) {
        if (below + 1 < *n && before(&heap[below + 1], &heap[below])) below++;
        if (!before(&heap[below], &last)) break;
        heap[at] = heap[below];
    }
    heap[at] = last;
    return first;
}

static leaf *take_heaps(cbn_arena *arena, int32_t max_leaves, int num_threads, cbn_arena *one) {
    *one = cbn_counting_arena();
    cbn_take(one, (int64_t)max_leaves + 1, sizeof(leaf));
    return cbn_take_each(arena, one, num_threads);
}

static int check_known(const cbn_known_trees *t, int32_t max_leaves, int num_threads) {
    if (!t || !t->root || !t->child || !t->gain) return CBN_E_NULL;
    if (t->n_trees < 1 || t->n_vertices < 1) return CBN_E_SIZE;
    if (max_leaves < 1 || max_leaves > CBN_MAX_LEAVES || num_threads < 1) return CBN_E_PARAMETER;
    return CBN_OK;
}

int cbn_choose_splits_workspace_size(const cbn_known_trees *trees, int32_t max_leaves, int num_threads,
                                     int64_t *bytes) {
    CBN_TRY(check_known(trees, max_leaves, num_threads));
    cbn_arena arena = cbn_counting_arena(), one;
    take_heaps(&arena, max_leaves, num_threads, &one);
    return cbn_arena_size(&arena, bytes);
}

static void choose(const cbn_known_trees *t, int64_t tree, int32_t max_leaves, leaf *heap, uint8_t *taken,
                   uint8_t *chosen) {
    int64_t n = 0, number = 1;
    int certain = 1; /* what comes of the leaves before is known */
    if (t->gain[t->root[tree]] > 0.0) push(heap, &n, (leaf){t->gain[t->root[tree]], 0, t->root[tree]});
    for (int32_t n_leaves = 1; n && n_leaves < max_leaves; n_leaves++) {
        const leaf next = pop(heap, &n);
        const int64_t child = t->child[next.vertex];
        if (child < 0) {
            chosen[next.vertex] = 1;
            certain = 0;
            continue;
        }
        taken[next.vertex] = (uint8_t)certain;
        for (int i = 0; i < 2; i++)
            if (t->gain[child + i] > 0.0) push(heap, &n, (leaf){t->gain[child + i], number + i, child + i});
        number += 2;
    }
}

int cbn_choose_splits(const cbn_known_trees *trees, int32_t max_leaves, uint8_t *taken, uint8_t *chosen,
                      cbn_workspace workspace, int num_threads) {
    CBN_TRY(check_known(trees, max_leaves, num_threads));
    if (!taken || !chosen) return CBN_E_NULL;
    cbn_arena arena = cbn_arena_of(workspace), one;
    leaf *each = take_heaps(&arena, max_leaves, num_threads, &one);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    for (int64_t i = 0; i < trees->n_trees; i++)
        if (trees->root[i] < 0 || trees->root[i] >= trees->n_vertices) return CBN_E_TREE;
    for (int64_t i = 0; i < trees->n_vertices; i++)
        if (trees->child[i] >= 0 && (trees->child[i] <= i || trees->child[i] > trees->n_vertices - 2)) return CBN_E_TREE;
    memset(taken, 0, (size_t)trees->n_vertices);
    memset(chosen, 0, (size_t)trees->n_vertices);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 50.0 * (double)trees->n_vertices), trees->n_trees, dynamic, 16)
    for (int64_t tree = 0; tree < trees->n_trees; tree++)
        choose(trees, tree, max_leaves, (leaf *)cbn_own_arena(each, &one).memory, taken, chosen);
    return CBN_OK;
}

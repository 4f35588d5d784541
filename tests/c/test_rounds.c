/* SPDX-License-Identifier: BSD-3-Clause */
/* Growth in rounds: workspaces are exact, counts do not depend on threads, wrong arguments are refused. */
#include "harness.h"

#define HEIGHT 6
#define WIDTH 7
#define NODES (HEIGHT * WIDTH)
#define WAYS 3 /* vertices of a node: the root, and two on ways of one and two steps */

/* Every node but the first ones counts all earlier ones at its root, at the other ways every second. */
static void counts_of_many_images(void) {
    const int64_t n = 9001, words = cbn_plane_words(n);
    int64_t begin[NODES + 1] = {0}, n_candidates = 0, vertex[NODES + 1] = {0}, bytes;
    int64_t way_begin[WAYS * NODES + 1] = {0}, useful_begin[WAYS * NODES + 1] = {0};
    int32_t *candidate = allocate(4 * NODES * NODES), *useful = allocate(4 * WAYS * NODES * NODES);
    int32_t way[WAYS * NODES * 2];
    int64_t n_way = 0, n_useful = 0;
    for (int v = 0; v < NODES; v++) {
        for (int u = 0; u < v; u++) candidate[n_candidates++] = u;
        begin[v + 1] = n_candidates;
        for (int i = 0; i < WAYS; i++) {
            const int64_t own = WAYS * v + i;
            for (int s = 0; s < i && v > 1; s++) way[n_way++] = s ? -1 - (v - 1) : v - 2;
            for (int u = 0; u < v; u += 1 + (i > 0)) useful[n_useful++] = u;
            way_begin[own + 1] = n_way;
            useful_begin[own + 1] = n_useful;
        }
        vertex[v + 1] = WAYS * (v + 1);
    }
    uint8_t *images = allocate(n * NODES);
    uint64_t *planes = allocate(8 * NODES * words), *members = allocate(8 * words);
    fill_images(images, n * NODES, 5);
    CHECK(cbn_pack_planes(images, n, NODES, 90, planes, 1) == CBN_OK);
    memcpy(members, planes, 8 * (size_t)words);
    const cbn_grid grid = {1, HEIGHT, WIDTH};
    const cbn_candidates candidates = {begin, candidate, NULL};
    const cbn_open_vertices open = {vertex, way_begin, way, useful_begin, useful};
    int64_t *totals = allocate(16 * WAYS * NODES), *counts = allocate(16 * n_useful);
    int64_t *more_totals = allocate(16 * WAYS * NODES), *more_counts = allocate(16 * n_useful);
    for (int threads = 1; threads <= 3; threads++) {
        CHECK(cbn_count_vertices_workspace_size(grid, n, &candidates, &open, threads, &bytes) == CBN_OK);
        void *workspace = allocate(bytes);
        int64_t *to = threads == 1 ? totals : more_totals, *into = threads == 1 ? counts : more_counts;
        CHECK(cbn_count_vertices(grid, PLANES(planes, n), NULL, &candidates, &open, to, into,
                                 ROOM(workspace, bytes - 1), threads) == CBN_E_WORKSPACE);
        CHECK(cbn_count_vertices(grid, PLANES(planes, n), NULL, &candidates, &open, to, into, ROOM(workspace, bytes),
                                 threads) == CBN_OK);
        CHECK(memcmp(totals, to, 16 * WAYS * NODES) == 0 && memcmp(counts, into, 16 * (size_t)n_useful) == 0);
        free(workspace);
    }
    /* image by image; what a root has is what its members and the others have */
    int64_t node_ones = 0, on = 0;
    for (int64_t i = 0; i < n; i++) {
        node_ones += images[i * NODES + 7] > 90;
        on += images[i * NODES + 7] > 90 && images[i * NODES + 3] > 90;
    }
    CHECK(totals[2 * WAYS * 7 + 1] == node_ones && totals[2 * WAYS * 7] == n - node_ones);
    CHECK(counts[2 * (useful_begin[WAYS * 7] + 3) + 1] == on);
    CHECK(cbn_count_vertices_workspace_size(grid, n, &candidates, &open, 2, &bytes) == CBN_OK);
    void *workspace = allocate(bytes);
    CHECK(cbn_count_vertices(grid, PLANES(planes, n), members, &candidates, &open, more_totals, more_counts,
                             ROOM(workspace, bytes), 2) == CBN_OK);
    CHECK(more_totals[2 * WAYS * 7 + 1] == counts[2 * useful_begin[WAYS * 7] + 1]); /* node 7 and node 0, the members */
    free(workspace), free(candidate), free(useful), free(images), free(planes), free(members);
    free(totals), free(counts), free(more_totals), free(more_counts);
}

static void arguments(void) {
    const int64_t two[4] = {0, 0, 1, 2}, one[4] = {0, 0, 0, 1}, none[2] = {0, 0}, single[2] = {0, 1}, falls[2] = {0, -1};
    const int32_t earlier[2] = {0, 0}, step[1] = {1}, later[1] = {2}, off[1] = {-3}, place[1] = {0}, absent[1] = {1};
    uint64_t planes[3] = {1, 1, 0}, workspace[4096];
    int64_t bytes, totals[2], counts[2];
    const cbn_candidates lists = {two, earlier, NULL};
#define OPEN(way_begin, way, useful_begin, useful) (&(cbn_open_vertices){one, way_begin, way, useful_begin, useful})
#define COUNT(open)                                                                                                    \
    cbn_count_vertices(GRID(1, 1, 3), PLANES(planes, 1), NULL, &lists, open, totals, counts,                           \
                       ROOM(workspace, sizeof workspace), 1)
    CHECK(cbn_count_vertices_workspace_size(GRID(1, 1, 3), 1, &lists, OPEN(none, NULL, none, NULL), 1, NULL) == CBN_E_NULL);
    CHECK(cbn_count_vertices_workspace_size(GRID(1, 1, 3), 1, NULL, OPEN(none, NULL, none, NULL), 1, &bytes) == CBN_E_NULL);
    CHECK(cbn_count_vertices_workspace_size(GRID(1, 1, 3), 0, &lists, OPEN(none, NULL, none, NULL), 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_count_vertices_workspace_size(GRID(1, 1, 3), 1, &lists, OPEN(none, NULL, none, NULL), 0, &bytes) == CBN_E_PARAMETER);
    CHECK(COUNT(OPEN(single, step, single, place)) == CBN_OK && totals[0] + totals[1] == 1);
    CHECK(COUNT(OPEN(single, later, single, place)) == CBN_E_TREE);
    CHECK(COUNT(OPEN(single, off, single, place)) == CBN_E_TREE);
    CHECK(COUNT(OPEN(single, step, single, absent)) == CBN_E_TREE);
    CHECK(COUNT(OPEN(falls, step, single, place)) == CBN_E_TREE);
    CHECK(COUNT(OPEN(single, NULL, single, place)) == CBN_E_NULL);
    CHECK(COUNT(OPEN(single, step, single, NULL)) == CBN_E_NULL);

    const int64_t known[2] = {6, 2}, parts[2] = {4, 2}, many[2] = {9, 2}, negative[2] = {-1, 2};
    double gain;
    int32_t best;
    uint8_t pays;
#define COUNTED(totals, begin, counts) (&(cbn_counted_vertices){1, totals, begin, counts})
#define BEST(vertices, penalty, n, least) cbn_best_splits(vertices, penalty, n, least, &gain, &best, &pays, 1)
    CHECK(BEST(COUNTED(known, single, parts), 0.5, 8, 1) == CBN_OK && best == 0 && pays == 1 && gain > 0.0);
    CHECK(BEST(COUNTED(known, single, parts), 0.5, 8, 5) == CBN_OK && best == -1 && pays == 0 && gain == 0.0);
    CHECK(BEST(COUNTED(known, single, many), 0.5, 8, 1) == CBN_E_COUNTS);
    CHECK(BEST(COUNTED(negative, single, parts), 0.5, 8, 1) == CBN_E_COUNTS);
    CHECK(BEST(COUNTED(known, falls, parts), 0.5, 8, 1) == CBN_E_TREE);
    CHECK(BEST(COUNTED(known, single, NULL), 0.5, 8, 1) == CBN_E_NULL);
    CHECK(BEST(COUNTED(known, single, parts), -1.0, 8, 1) == CBN_E_PARAMETER);
    CHECK(BEST(COUNTED(known, single, parts), 0.5, 0, 1) == CBN_E_SIZE);
    CHECK(BEST(COUNTED(known, single, parts), 0.5, 8, 0) == CBN_E_PARAMETER);
    CHECK(BEST(NULL, 0.5, 8, 1) == CBN_E_NULL);

    const int64_t root[1] = {0}, outside[1] = {3}, child[3] = {1, -1, -1}, itself[3] = {0, -1, -1}, beyond[3] = {2, -1, -1};
    const double gains[3] = {2.0, 1.0, 0.0};
    uint8_t taken[3], chosen[3];
#define KNOWN(root, child) (&(cbn_known_trees){1, root, 3, child, gains})
#define CHOOSE(trees, leaves, room) cbn_choose_splits(trees, leaves, taken, chosen, ROOM(workspace, room), 1)
    CHECK(cbn_choose_splits_workspace_size(KNOWN(root, child), 3, 1, &bytes) == CBN_OK);
    CHECK(CHOOSE(KNOWN(root, child), 3, bytes - 1) == CBN_E_WORKSPACE);
    CHECK(CHOOSE(KNOWN(root, child), 3, bytes) == CBN_OK && taken[0] && chosen[1] && !chosen[2]);
    CHECK(CHOOSE(KNOWN(root, child), 2, bytes) == CBN_OK && taken[0] && !chosen[1]);
    CHECK(CHOOSE(KNOWN(outside, child), 3, bytes) == CBN_E_TREE);
    CHECK(CHOOSE(KNOWN(root, itself), 3, bytes) == CBN_E_TREE);
    CHECK(CHOOSE(KNOWN(root, beyond), 3, bytes) == CBN_E_TREE);
    CHECK(cbn_choose_splits_workspace_size(KNOWN(root, child), 0, 1, &bytes) == CBN_E_PARAMETER);
    CHECK(cbn_choose_splits_workspace_size(KNOWN(root, child), CBN_MAX_LEAVES + 1, 1, &bytes) == CBN_E_PARAMETER);
    CHECK(cbn_choose_splits_workspace_size(NULL, 3, 1, &bytes) == CBN_E_NULL);
}

int main(void) {
    counts_of_many_images();
    arguments();
    return report(__FILE__);
}

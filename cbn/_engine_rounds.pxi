# SPDX-License-Identifier: BSD-3-Clause
# The boundary of growth in rounds. Included by _engine.pyx, under its rules.


def count_vertices(grid, const uint64_t[:, ::1] planes, int64_t n_images, members, candidates, vertices,
                   int64_t[:, ::1] totals, int64_t[:, ::1] counts, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_open_vertices v
    cdef const int64_t[::1] begin, way_begin, useful_begin
    cdef const int32_t[::1] way, useful
    cdef const uint64_t[::1] keep
    cdef cbn_grid shape = grid_of(grid)
    cdef int64_t n_nodes = nodes_of(shape)
    cdef cbn_planes data = planes_of(planes, n_nodes, n_images)
    cdef cbn_candidates lists = candidates_of(candidates, n_nodes)
    cdef const uint64_t *kept = NULL
    if members is not None:
        keep = members
        expect("words of members", keep.shape[0], planes.shape[1])
        kept = &keep[0]
    begin, way_begin, way, useful_begin, useful = vertices
    expect("begin of vertices", begin.shape[0], n_nodes + 1)
    cdef int64_t n = begin[n_nodes]
    expect("way_begin", way_begin.shape[0], n + 1)
    expect("way", way.shape[0], way_begin[n])
    expect("useful_begin", useful_begin.shape[0], n + 1)
    expect("useful", useful.shape[0], useful_begin[n])
    expect_rows("vertices", "states", "totals", totals.shape, n, 2)
    expect_rows("useful", "states", "counts", counts.shape, useful.shape[0], 2)
    v.begin, v.way_begin, v.useful_begin = &begin[0], &way_begin[0], &useful_begin[0]
    v.way, v.useful = &way[0] if way.shape[0] else NULL, &useful[0] if useful.shape[0] else NULL
    if n < 1:
        return
    cdef int64_t nothing
    cdef int64_t *into = &counts[0, 0] if counts.shape[0] else &nothing
    cdef uint8_t[::1] memory = memory_of(
        cbn_count_vertices_workspace_size(shape, n_images, &lists, &v, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_count_vertices(shape, data, kept, &lists, &v, &totals[0, 0], into, workspace_in(memory),
                                    allowed(num_threads))
    check(status)


def best_splits(const int64_t[:, ::1] totals, const int64_t[::1] useful_begin, const int64_t[:, ::1] counts,
                how, found, int num_threads=1):
    cdef int status
    cdef double penalty
    cdef int64_t n_images, min_leaf
    cdef cbn_counted_vertices v
    cdef double[::1] gain
    cdef int32_t[::1] best
    cdef uint8_t[::1] pays
    penalty, n_images, min_leaf = how
    gain, best, pays = found
    v.n = totals.shape[0]
    expect_rows("vertices", "states", "totals", totals.shape, v.n, 2)
    expect("useful_begin", useful_begin.shape[0], v.n + 1)
    expect_rows("useful", "states", "counts", counts.shape, useful_begin[v.n], 2)
    expect("gain", gain.shape[0], v.n)
    expect("best", best.shape[0], v.n)
    expect("pays", pays.shape[0], v.n)
    if v.n < 1:
        return
    v.totals, v.useful_begin = &totals[0, 0], &useful_begin[0]
    v.counts = &counts[0, 0] if counts.shape[0] else NULL
    with nogil:
        status = cbn_best_splits(&v, penalty, n_images, min_leaf, &gain[0], &best[0], &pays[0],
                                 allowed(num_threads))
    check(status)


def choose_splits(const int64_t[::1] root, const int64_t[::1] child, const double[::1] gain, int max_leaves, found,
                  int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_known_trees t
    cdef uint8_t[::1] taken, chosen
    taken, chosen = found
    t.n_trees, t.n_vertices = root.shape[0], child.shape[0]
    if t.n_trees < 1 or t.n_vertices < 1:
        raise ValueError("root, child: no trees")
    for name, array in (("gain", gain), ("taken", taken), ("chosen", chosen)):
        expect(name, len(array), t.n_vertices)
    t.root, t.child, t.gain = &root[0], &child[0], &gain[0]
    cdef uint8_t[::1] memory = memory_of(
        cbn_choose_splits_workspace_size(&t, max_leaves, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_choose_splits(&t, max_leaves, &taken[0], &chosen[0], workspace_in(memory), allowed(num_threads))
    check(status)

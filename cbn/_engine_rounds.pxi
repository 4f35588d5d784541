# SPDX-License-Identifier: BSD-3-Clause
# The boundary of growth in rounds. Included by _engine.pyx, under its rules.


def count_vertices(grid, planes, int64_t n_images, members, candidates, vertices, totals, counts, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_open_vertices v
    cdef Words members_
    cdef Words planes_ = words_of("planes", planes, 2, READ)
    cdef Longs totals_ = longs_of("totals", totals, 2, FILLED)
    cdef Longs counts_ = longs_of("counts", counts, 2, FILLED)
    cdef cbn_grid shape = grid_of(grid)
    cdef int64_t n_nodes = nodes_of(shape)
    cdef cbn_planes data = planes_of(planes, n_nodes, n_images)
    cdef cbn_candidates lists = candidates_of(candidates, n_nodes)
    cdef const uint64_t *kept = NULL
    if members is not None:
        members_ = words_of("members", members, 1, READ)
        expect("words of members", members_.shape[0], planes_.shape[1])
        kept = members_.at
    begin, way_begin, way, useful_begin, useful = vertices
    cdef Longs begin_ = longs_of("begin of vertices", begin, 1, READ)
    cdef Longs way_begin_ = longs_of("way_begin", way_begin, 1, READ)
    cdef Ints way_ = ints_of("way", way, 1, READ)
    cdef Longs useful_begin_ = longs_of("useful_begin", useful_begin, 1, READ)
    cdef Ints useful_ = ints_of("useful", useful, 1, READ)
    expect("begin of vertices", begin_.shape[0], n_nodes + 1)
    cdef int64_t n = begin_.at[n_nodes]
    expect("way_begin", way_begin_.shape[0], n + 1)
    expect("way", way_.shape[0], way_begin_.at[n])
    expect("useful_begin", useful_begin_.shape[0], n + 1)
    expect("useful", useful_.shape[0], useful_begin_.at[n])
    expect_rows("vertices", "states", "totals", totals_.shape, n, 2)
    expect_rows("useful", "states", "counts", counts_.shape, useful_.shape[0], 2)
    v.begin, v.way_begin, v.useful_begin = begin_.at, way_begin_.at, useful_begin_.at
    v.way, v.useful = way_.at if way_.shape[0] else NULL, useful_.at if useful_.shape[0] else NULL
    if n < 1:
        return
    cdef int64_t nothing
    cdef int64_t *into = counts_.into if counts_.shape[0] else &nothing
    cdef bytearray memory = memory_of(
        cbn_count_vertices_workspace_size(shape, n_images, &lists, &v, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_count_vertices(shape, data, kept, &lists, &v, totals_.into, into, workspace, allowed(num_threads))
    check(status)


def best_splits(totals, useful_begin, counts, how, found, int num_threads=1):
    cdef int status
    cdef double penalty
    cdef int64_t n_images, min_leaf
    cdef cbn_counted_vertices v
    cdef Longs totals_ = longs_of("totals", totals, 2, READ)
    cdef Longs useful_begin_ = longs_of("useful_begin", useful_begin, 1, READ)
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    penalty, n_images, min_leaf = how
    gain, best, pays = found
    cdef Doubles gain_ = doubles_of("gain", gain, 1, FILLED)
    cdef Ints best_ = ints_of("best", best, 1, FILLED)
    cdef Bytes pays_ = bytes_of("pays", pays, 1, FILLED)
    v.n = totals_.shape[0]
    expect_rows("vertices", "states", "totals", totals_.shape, v.n, 2)
    expect("useful_begin", useful_begin_.shape[0], v.n + 1)
    expect_rows("useful", "states", "counts", counts_.shape, useful_begin_.at[v.n], 2)
    expect("gain", gain_.shape[0], v.n)
    expect("best", best_.shape[0], v.n)
    expect("pays", pays_.shape[0], v.n)
    if v.n < 1:
        return
    v.totals, v.useful_begin = totals_.at, useful_begin_.at
    v.counts = counts_.at if counts_.shape[0] else NULL
    with nogil:
        status = cbn_best_splits(&v, penalty, n_images, min_leaf, gain_.into, best_.into, pays_.into,
                                 allowed(num_threads))
    check(status)


def choose_splits(root, child, gain, int max_leaves, found, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_known_trees t
    cdef Longs root_ = longs_of("root", root, 1, READ)
    cdef Longs child_ = longs_of("child", child, 1, READ)
    cdef Doubles gain_ = doubles_of("gain", gain, 1, READ)
    taken, chosen = found
    cdef Bytes taken_ = bytes_of("taken", taken, 1, FILLED)
    cdef Bytes chosen_ = bytes_of("chosen", chosen, 1, FILLED)
    t.n_trees, t.n_vertices = root_.shape[0], child_.shape[0]
    if t.n_trees < 1 or t.n_vertices < 1:
        raise ValueError("root, child: no trees")
    for name, array in (("gain", gain), ("taken", taken), ("chosen", chosen)):
        expect(name, len(array), t.n_vertices)
    t.root, t.child, t.gain = root_.at, child_.at, gain_.at
    cdef bytearray memory = memory_of(
        cbn_choose_splits_workspace_size(&t, max_leaves, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_choose_splits(&t, max_leaves, taken_.into, chosen_.into, workspace, allowed(num_threads))
    check(status)

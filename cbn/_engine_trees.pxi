# SPDX-License-Identifier: BSD-3-Clause
# The boundary of trees and boosted trees. Included by _engine.pyx, under its rules.


# ---- trees ----


cdef class Trees:
    """A ``cbn_trees`` made from a ``cbn.cpd.tree.TreeLayer``; it keeps the arrays alive."""

    cdef cbn_trees c
    cdef readonly int64_t n_nodes, n_vertices
    cdef tuple _arrays

    def __init__(self, trees):
        begin, split, child, required = self._arrays = trees.arrays()
        cdef Longs begin_ = longs_of("begin", begin, 1, READ)
        cdef Ints split_ = ints_of("split", split, 1, READ)
        cdef Ints child_ = ints_of("child", child, 1, READ)
        cdef Ints required_ = ints_of("required", required, 1, READ)
        self.c.grid = grid_of((trees.channels, trees.height, trees.width))
        self.n_nodes = nodes_of(self.c.grid)
        expect("begin", begin_.shape[0], self.n_nodes + 1)
        self.n_vertices = begin_.at[self.n_nodes]
        expect("split", split_.shape[0], self.n_vertices)
        expect("child", child_.shape[0], self.n_vertices)
        expect("required", required_.shape[0], self.n_nodes)
        if self.n_vertices < 1:
            raise ValueError("begin: no vertices")
        self.c.begin, self.c.split, self.c.child = begin_.at, split_.at, child_.at
        self.c.required = required_.at
        check(cbn_trees_check(&self.c))


cdef cbn_candidates candidates_of(candidates, int64_t n_nodes) except *:
    """The caller's tuple keeps the arrays alive."""
    cdef cbn_candidates c
    begin, node, required = candidates
    cdef Longs begin_ = longs_of("begin of candidates", begin, 1, READ)
    cdef Ints node_ = ints_of("node of candidates", node, 1, READ)
    expect("begin of candidates", begin_.shape[0], n_nodes + 1)
    expect("node of candidates", node_.shape[0], begin_.at[n_nodes])
    c.begin, c.node = begin_.at, node_.at if node_.shape[0] else NULL
    c.required = numbers_or_null("required", required, n_nodes)
    return c


def tree_grow(grid, planes, int64_t n_images, candidates, growth, grown, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes, capacity
    cdef cbn_growth how
    cdef cbn_grown_trees out
    cdef cbn_grid shape = grid_of(grid)
    cdef int64_t n_nodes = nodes_of(shape)
    cdef cbn_planes data = planes_of(planes, n_nodes, n_images)
    cdef cbn_candidates lists = candidates_of(candidates, n_nodes)
    how.penalty, how.max_leaves, how.min_leaf = growth
    n_vertices, split, child, counts = grown
    cdef Ints n_vertices_ = ints_of("n_vertices", n_vertices, 1, FILLED)
    cdef Ints split_ = ints_of("split", split, 2, FILLED)
    cdef Ints child_ = ints_of("child", child, 2, FILLED)
    cdef Longs counts_ = longs_of("counts", counts, 3, FILLED)
    capacity = 2 * <int64_t>how.max_leaves - 1
    expect("n_vertices", n_vertices_.shape[0], n_nodes)
    expect_rows("nodes", "vertices", "split", split_.shape, n_nodes, capacity)
    expect_rows("nodes", "vertices", "child", child_.shape, n_nodes, capacity)
    expect_rows("nodes", "vertices", "counts", counts_.shape, n_nodes, capacity)
    expect("states of counts", counts_.shape[2], 2)
    cdef bytearray memory = memory_of(
        cbn_tree_grow_workspace_size(shape, n_images, &lists, &how, num_threads, &n_bytes), &n_bytes)
    out.n_vertices, out.split, out.child, out.counts = n_vertices_.into, split_.into, child_.into, counts_.into
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_tree_grow(shape, data, &lists, &how, &out, workspace, allowed(num_threads))
    check(status)


def tree_count(Trees trees, planes, int64_t n_images, counts, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Longs counts_ = longs_of("counts", counts, 2, FILLED)
    cdef cbn_planes data = planes_of(planes, trees.n_nodes, n_images)
    expect_pairs("vertices", "counts", counts_.shape, trees.n_vertices)
    cdef bytearray memory = memory_of(
        cbn_tree_count_workspace_size(&trees.c, n_images, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_tree_count(&trees.c, data, counts_.into, workspace, allowed(num_threads))
    check(status)


def tree_counts_check(Trees trees, counts, int64_t n_images):
    cdef int status
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    expect_pairs("vertices", "counts", counts_.shape, trees.n_vertices)
    with nogil:
        status = cbn_tree_counts_check(&trees.c, counts_.at, n_images)
    check(status)


def tree_bic(Trees trees, counts):
    cdef int status
    cdef double log_likelihood, value
    cdef int64_t n_parameters
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    expect_pairs("vertices", "counts", counts_.shape, trees.n_vertices)
    with nogil:
        status = cbn_tree_bic(&trees.c, counts_.at, &log_likelihood, &n_parameters, &value)
    check(status)
    return log_likelihood, n_parameters, value


cdef cbn_smoothing smoothing_of(double pseudocount, double shrinkage) noexcept:
    cdef cbn_smoothing smoothing
    smoothing.pseudocount, smoothing.shrinkage = pseudocount, shrinkage
    return smoothing


def tree_probability(Trees trees, counts, double pseudocount, double shrinkage, probability, int num_threads=1):
    cdef int status
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    cdef Doubles probability_ = doubles_of("probability", probability, 2, FILLED)
    cdef cbn_smoothing smoothing = smoothing_of(pseudocount, shrinkage)
    expect_pairs("vertices", "counts", counts_.shape, trees.n_vertices)
    expect_pairs("vertices", "probability", probability_.shape, trees.n_vertices)
    with nogil:
        status = cbn_tree_probability(&trees.c, counts_.at, smoothing, probability_.into, allowed(num_threads))
    check(status)


def tree_values(Trees trees, counts, probability, double pseudocount, double shrinkage, int kind, bint leave_one_out,
                values, int num_threads=1):
    cdef int status
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    cdef Doubles probability_ = doubles_of("probability", probability, 2, READ)
    cdef Doubles values_ = doubles_of("values", values, 2, FILLED)
    cdef cbn_smoothing smoothing = smoothing_of(pseudocount, shrinkage)
    expect_pairs("vertices", "counts", counts_.shape, trees.n_vertices)
    expect_pairs("vertices", "probability", probability_.shape, trees.n_vertices)
    expect_pairs("vertices", "values", values_.shape, trees.n_vertices)
    with nogil:
        status = cbn_tree_values(&trees.c, counts_.at, probability_.at, smoothing, kind, leave_one_out,
                                 values_.into, allowed(num_threads))
    check(status)


def tree_score_images(Trees trees, planes, int64_t n_images, values, scores, int num_threads=1):
    cdef int status
    cdef Doubles values_ = doubles_of("values", values, 2, READ)
    cdef Doubles scores_ = doubles_of("scores", scores, 1, FILLED)
    cdef cbn_planes data = planes_of(planes, trees.n_nodes, n_images)
    expect_pairs("vertices", "values", values_.shape, trees.n_vertices)
    expect("scores", scores_.shape[0], n_images)
    with nogil:
        status = cbn_tree_score_images(&trees.c, data, values_.at, scores_.into, allowed(num_threads))
    check(status)


def tree_score_nodes(Trees trees, planes, int64_t n_images, values, contributions, int num_threads=1):
    cdef int status
    cdef Doubles values_ = doubles_of("values", values, 2, READ)
    cdef Doubles contributions_ = doubles_of("contributions", contributions, 2, FILLED)
    cdef cbn_planes data = planes_of(planes, trees.n_nodes, n_images)
    expect_pairs("vertices", "values", values_.shape, trees.n_vertices)
    expect_rows("images", "nodes", "contributions", contributions_.shape, n_images, trees.n_nodes)
    with nogil:
        status = cbn_tree_score_nodes(&trees.c, data, values_.at, contributions_.into, allowed(num_threads))
    check(status)


# ---- boosted trees ----


cdef class Boosted:
    """A ``cbn_boosted`` made from a ``cbn.cpd.boosted.BoostedLayer``; it keeps the arrays alive."""

    cdef cbn_boosted c
    cdef readonly int64_t n_nodes
    cdef tuple _arrays

    def __init__(self, boosted):
        cdef int64_t n_vertices
        begin, tree_begin, split, value, base, required = self._arrays = boosted.arrays()
        cdef Longs begin_ = longs_of("begin", begin, 1, READ)
        cdef Longs tree_begin_ = longs_of("tree_begin", tree_begin, 1, READ)
        cdef Ints split_ = ints_of("split", split, 1, READ)
        cdef Ints value_ = ints_of("value", value, 1, READ)
        cdef Ints base_ = ints_of("base", base, 1, READ)
        cdef Ints required_ = ints_of("required", required, 1, READ)
        self.c.grid.channels, self.c.grid.height, self.c.grid.width = boosted.channels, boosted.height, boosted.width
        self.n_nodes = nodes_of(self.c.grid)
        expect("begin", begin_.shape[0], self.n_nodes + 1)
        expect("tree_begin", tree_begin_.shape[0], begin_.at[self.n_nodes] + 1)
        n_vertices = tree_begin_.at[begin_.at[self.n_nodes]]
        expect("split", split_.shape[0], n_vertices)
        expect("value", value_.shape[0], n_vertices)
        expect("base", base_.shape[0], self.n_nodes)
        expect("required", required_.shape[0], self.n_nodes)
        self.c.begin, self.c.tree_begin, self.c.base = begin_.at, tree_begin_.at, base_.at
        self.c.required = required_.at
        if n_vertices:
            self.c.split, self.c.value = split_.at, value_.at
        check(cbn_boosted_check(&self.c))


cdef cbn_boosting boosting_of(boosting, uint64_t seed) except *:
    cdef cbn_boosting how
    how.rounds, how.max_leaves, how.n_candidates = boosting.rounds, boosting.max_leaves, boosting.n_candidates
    how.rate, how.l2, how.min_gain = boosting.rate, boosting.l2, boosting.min_gain
    how.min_hessian, how.pseudocount, how.seed = boosting.min_hessian, boosting.pseudocount, seed
    return how


def boosted_grow(grid, planes, int64_t n_images, candidates, boosting, uint64_t seed, grown, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_grown_boosted out
    cdef Ints start_
    cdef Words planes_ = words_of("planes", planes, 2, READ)
    cdef cbn_boosting how = boosting_of(boosting, seed)
    cdef cbn_grid shape = grid_of(grid)
    cdef cbn_planes data = planes_of(planes, nodes_of(shape), n_images)
    cdef cbn_candidates lists = candidates_of(candidates, nodes_of(shape))
    out.first_node, base, n_trees, n_vertices, split, value, given = grown
    cdef Ints base_ = ints_of("base", base, 1, FILLED)
    cdef Ints n_trees_ = ints_of("n_trees", n_trees, 1, FILLED)
    cdef Ints n_vertices_ = ints_of("n_vertices", n_vertices, 2, FILLED)
    cdef Ints split_ = ints_of("split", split, 3, FILLED)
    cdef Ints value_ = ints_of("value", value, 3, FILLED)
    out.n_nodes = base_.shape[0]
    if out.n_nodes < 1:
        raise ValueError("base: empty")
    expect("n_trees", n_trees_.shape[0], out.n_nodes)
    expect_rows("nodes", "rounds", "n_vertices", n_vertices_.shape, out.n_nodes, how.rounds)
    expect_rows("nodes", "rounds", "split", split_.shape, out.n_nodes, how.rounds)
    expect("vertices of split", split_.shape[2], 2 * <int64_t>how.max_leaves - 1)
    expect_rows("nodes", "rounds", "value", value_.shape, out.n_nodes, how.rounds)
    expect("vertices of value", value_.shape[2], 2 * <int64_t>how.max_leaves - 1)
    cdef bytearray memory = memory_of(
        cbn_boosted_grow_workspace_size(shape, n_images, &lists, &how, num_threads, &n_bytes), &n_bytes)
    out.start = NULL
    if given is not None:
        start_ = ints_of("start", given, 2, READ)
        expect_rows("nodes", "images", "start", start_.shape, out.n_nodes, 64 * planes_.shape[1])
        out.start = start_.at
    out.base, out.n_trees = base_.into, n_trees_.into
    out.n_vertices = n_vertices_.into if how.rounds else n_trees_.into  # never written without rounds
    out.split = split_.into if how.rounds else n_trees_.into
    out.value = value_.into if how.rounds else n_trees_.into
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_boosted_grow(shape, data, &lists, &how, &out, workspace, allowed(num_threads))
    check(status)


def boosted_log_odds(Boosted boosted, planes, int64_t n_images, odds, int num_threads=1):
    cdef int status
    cdef Ints odds_ = ints_of("odds", odds, 2, FILLED)
    cdef cbn_planes data = planes_of(planes, boosted.n_nodes, n_images)
    expect_rows("images", "nodes", "odds", odds_.shape, n_images, boosted.n_nodes)
    with nogil:
        status = cbn_boosted_log_odds(&boosted.c, data, odds_.into, allowed(num_threads))
    check(status)


def boosted_score_images(Boosted boosted, planes, int64_t n_images, int kind, scores, int num_threads=1):
    cdef int status
    cdef Doubles scores_ = doubles_of("scores", scores, 1, FILLED)
    cdef cbn_planes data = planes_of(planes, boosted.n_nodes, n_images)
    expect("scores", scores_.shape[0], n_images)
    with nogil:
        status = cbn_boosted_score_images(&boosted.c, data, kind, scores_.into, allowed(num_threads))
    check(status)


def boosted_score_nodes(Boosted boosted, planes, int64_t n_images, int kind, contributions, int num_threads=1):
    cdef int status
    cdef Doubles contributions_ = doubles_of("contributions", contributions, 2, FILLED)
    cdef cbn_planes data = planes_of(planes, boosted.n_nodes, n_images)
    expect_rows("images", "nodes", "contributions", contributions_.shape, n_images, boosted.n_nodes)
    with nogil:
        status = cbn_boosted_score_nodes(&boosted.c, data, kind, contributions_.into, allowed(num_threads))
    check(status)


def boosted_sample(Boosted boosted, uint64_t seed, clamped, states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_chains chains = chains_of(states, boosted.n_nodes)
    cdef const uint8_t *kept = bytes_or_null("clamped", clamped, boosted.n_nodes)
    cdef bytearray memory = memory_of(
        cbn_boosted_sample_workspace_size(&boosted.c, chains.n, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_boosted_sample(&boosted.c, seed, kept, chains, workspace, allowed(num_threads))
    check(status)


# ---- inpainting ----


cdef cbn_particles particles_of(int64_t n_nodes, known, states, weight) except *:
    cdef cbn_particles particles
    cdef Bytes known_ = bytes_of("known", known, 1, READ)
    cdef Bytes states_ = bytes_of("states", states, 2, FILLED)
    cdef Doubles weight_ = doubles_of("weight", weight, 1, FILLED)
    expect("known", known_.shape[0], n_nodes)
    expect("nodes of states", states_.shape[1], n_nodes)
    expect("weight", weight_.shape[0], states_.shape[0])
    particles.n, particles.known, particles.states = states_.shape[0], known_.at, states_.into
    particles.weight = weight_.into
    return particles


def boosted_inpaint(Boosted boosted, uint64_t seed, known, states, weight, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef double log_marginal
    cdef cbn_particles particles = particles_of(boosted.n_nodes, known, states, weight)
    cdef bytearray memory = memory_of(
        cbn_inpaint_workspace_size(boosted.n_nodes, particles.n, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_boosted_inpaint(&boosted.c, seed, &particles, &log_marginal, workspace, allowed(num_threads))
    check(status)
    return log_marginal


def tree_inpaint(Trees trees, probability, uint64_t seed, known, states, weight, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef double log_marginal
    cdef Doubles probability_ = doubles_of("probability", probability, 2, READ)
    expect_pairs("vertices", "probability", probability_.shape, trees.n_vertices)
    cdef cbn_particles particles = particles_of(trees.n_nodes, known, states, weight)
    cdef bytearray memory = memory_of(
        cbn_inpaint_workspace_size(trees.n_nodes, particles.n, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_tree_inpaint(&trees.c, probability_.at, seed, &particles, &log_marginal, workspace,
                                  allowed(num_threads))
    check(status)
    return log_marginal


def table_inpaint(Layer layer, probability, uint64_t seed, known, states, weight, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef double log_marginal
    cdef Doubles probability_ = doubles_of("probability", probability, 2, READ)
    expect_pairs("rows", "probability", probability_.shape, layer.n_rows)
    cdef cbn_particles particles = particles_of(layer.n_nodes, known, states, weight)
    cdef bytearray memory = memory_of(
        cbn_inpaint_workspace_size(layer.n_nodes, particles.n, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_table_inpaint(&layer.c, probability_.at, seed, &particles, &log_marginal, workspace,
                                   allowed(num_threads))
    check(status)
    return log_marginal

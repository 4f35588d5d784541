# SPDX-License-Identifier: BSD-3-Clause
# The boundary of trees and boosted trees. Included by _engine.pyx, under its rules.


# ---- trees ----


cdef class Trees:
    """A ``cbn_trees`` made from a ``cbn.cpd.tree.TreeLayer``; it keeps the arrays alive."""

    cdef cbn_trees c
    cdef readonly int64_t n_nodes, n_vertices
    cdef const int64_t[::1] _begin
    cdef const int32_t[::1] _split, _child, _required

    def __init__(self, trees):
        self._begin, self._split, self._child, self._required = trees.arrays()
        self.c.grid = grid_of((trees.channels, trees.height, trees.width))
        self.n_nodes = nodes_of(self.c.grid)
        expect("begin", self._begin.shape[0], self.n_nodes + 1)
        self.n_vertices = self._begin[self.n_nodes]
        expect("split", self._split.shape[0], self.n_vertices)
        expect("child", self._child.shape[0], self.n_vertices)
        expect("required", self._required.shape[0], self.n_nodes)
        if self.n_vertices < 1:
            raise ValueError("begin: no vertices")
        self.c.begin, self.c.split, self.c.child = &self._begin[0], &self._split[0], &self._child[0]
        self.c.required = &self._required[0]
        check(cbn_trees_check(&self.c))


cdef cbn_candidates candidates_of(candidates, int64_t n_nodes) except *:
    """The caller's tuple keeps the arrays alive."""
    cdef cbn_candidates c
    cdef const int64_t[::1] begin
    cdef const int32_t[::1] node
    begin, node, required = candidates
    expect("begin of candidates", begin.shape[0], n_nodes + 1)
    expect("node of candidates", node.shape[0], begin[n_nodes])
    c.begin, c.node = &begin[0], &node[0] if node.shape[0] else NULL
    c.required = numbers_or_null("required", required, n_nodes)
    return c


def tree_grow(grid, const uint64_t[:, ::1] planes, int64_t n_images, candidates, growth, grown, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes, capacity
    cdef int32_t[::1] n_vertices
    cdef int32_t[:, ::1] split, child
    cdef int64_t[:, :, ::1] counts
    cdef cbn_growth how
    cdef cbn_grown_trees out
    cdef cbn_grid shape = grid_of(grid)
    cdef int64_t n_nodes = nodes_of(shape)
    cdef cbn_planes data = planes_of(planes, n_nodes, n_images)
    cdef cbn_candidates lists = candidates_of(candidates, n_nodes)
    how.penalty, how.max_leaves, how.min_leaf = growth
    n_vertices, split, child, counts = grown
    capacity = 2 * <int64_t>how.max_leaves - 1
    expect("n_vertices", n_vertices.shape[0], n_nodes)
    expect_rows("nodes", "vertices", "split", split.shape, n_nodes, capacity)
    expect_rows("nodes", "vertices", "child", child.shape, n_nodes, capacity)
    expect_rows("nodes", "vertices", "counts", counts.shape, n_nodes, capacity)
    expect("states of counts", counts.shape[2], 2)
    cdef uint8_t[::1] memory = memory_of(
        cbn_tree_grow_workspace_size(shape, n_images, &lists, &how, num_threads, &n_bytes), &n_bytes)
    out.n_vertices, out.split, out.child, out.counts = &n_vertices[0], &split[0, 0], &child[0, 0], &counts[0, 0, 0]
    with nogil:
        status = cbn_tree_grow(shape, data, &lists, &how, &out, workspace_in(memory), allowed(num_threads))
    check(status)


def tree_count(Trees trees, const uint64_t[:, ::1] planes, int64_t n_images, int64_t[:, ::1] counts,
               int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_planes data = planes_of(planes, trees.n_nodes, n_images)
    expect_pairs("vertices", "counts", counts.shape, trees.n_vertices)
    cdef uint8_t[::1] memory = memory_of(
        cbn_tree_count_workspace_size(&trees.c, n_images, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_tree_count(&trees.c, data, &counts[0, 0], workspace_in(memory), allowed(num_threads))
    check(status)


def tree_counts_check(Trees trees, const int64_t[:, ::1] counts, int64_t n_images):
    cdef int status
    expect_pairs("vertices", "counts", counts.shape, trees.n_vertices)
    with nogil:
        status = cbn_tree_counts_check(&trees.c, &counts[0, 0], n_images)
    check(status)


def tree_bic(Trees trees, const int64_t[:, ::1] counts):
    cdef int status
    cdef double log_likelihood, value
    cdef int64_t n_parameters
    expect_pairs("vertices", "counts", counts.shape, trees.n_vertices)
    with nogil:
        status = cbn_tree_bic(&trees.c, &counts[0, 0], &log_likelihood, &n_parameters, &value)
    check(status)
    return log_likelihood, n_parameters, value


cdef cbn_smoothing smoothing_of(double pseudocount, double shrinkage) noexcept:
    cdef cbn_smoothing smoothing
    smoothing.pseudocount, smoothing.shrinkage = pseudocount, shrinkage
    return smoothing


def tree_probability(Trees trees, const int64_t[:, ::1] counts, double pseudocount, double shrinkage,
                     double[:, ::1] probability, int num_threads=1):
    cdef int status
    cdef cbn_smoothing smoothing = smoothing_of(pseudocount, shrinkage)
    expect_pairs("vertices", "counts", counts.shape, trees.n_vertices)
    expect_pairs("vertices", "probability", probability.shape, trees.n_vertices)
    with nogil:
        status = cbn_tree_probability(&trees.c, &counts[0, 0], smoothing, &probability[0, 0], allowed(num_threads))
    check(status)


def tree_values(Trees trees, const int64_t[:, ::1] counts, const double[:, ::1] probability, double pseudocount,
                double shrinkage, int kind, bint leave_one_out, double[:, ::1] values, int num_threads=1):
    cdef int status
    cdef cbn_smoothing smoothing = smoothing_of(pseudocount, shrinkage)
    expect_pairs("vertices", "counts", counts.shape, trees.n_vertices)
    expect_pairs("vertices", "probability", probability.shape, trees.n_vertices)
    expect_pairs("vertices", "values", values.shape, trees.n_vertices)
    with nogil:
        status = cbn_tree_values(&trees.c, &counts[0, 0], &probability[0, 0], smoothing, kind, leave_one_out,
                                 &values[0, 0], allowed(num_threads))
    check(status)


def tree_score_images(Trees trees, const uint64_t[:, ::1] planes, int64_t n_images, const double[:, ::1] values,
                      double[::1] scores, int num_threads=1):
    cdef int status
    cdef cbn_planes data = planes_of(planes, trees.n_nodes, n_images)
    expect_pairs("vertices", "values", values.shape, trees.n_vertices)
    expect("scores", scores.shape[0], n_images)
    with nogil:
        status = cbn_tree_score_images(&trees.c, data, &values[0, 0], &scores[0], allowed(num_threads))
    check(status)


def tree_score_nodes(Trees trees, const uint64_t[:, ::1] planes, int64_t n_images, const double[:, ::1] values,
                     double[:, ::1] contributions, int num_threads=1):
    cdef int status
    cdef cbn_planes data = planes_of(planes, trees.n_nodes, n_images)
    expect_pairs("vertices", "values", values.shape, trees.n_vertices)
    expect_rows("images", "nodes", "contributions", contributions.shape, n_images, trees.n_nodes)
    with nogil:
        status = cbn_tree_score_nodes(&trees.c, data, &values[0, 0], &contributions[0, 0], allowed(num_threads))
    check(status)


# ---- boosted trees ----


cdef class Boosted:
    """A ``cbn_boosted`` made from a ``cbn.cpd.boosted.BoostedLayer``; it keeps the arrays alive."""

    cdef cbn_boosted c
    cdef readonly int64_t n_nodes
    cdef const int64_t[::1] _begin, _tree_begin
    cdef const int32_t[::1] _split, _value, _base, _required

    def __init__(self, boosted):
        cdef int64_t n_vertices
        self._begin, self._tree_begin, self._split, self._value, self._base, self._required = boosted.arrays()
        self.c.grid.channels, self.c.grid.height, self.c.grid.width = boosted.channels, boosted.height, boosted.width
        self.n_nodes = nodes_of(self.c.grid)
        expect("begin", self._begin.shape[0], self.n_nodes + 1)
        expect("tree_begin", self._tree_begin.shape[0], self._begin[self.n_nodes] + 1)
        n_vertices = self._tree_begin[self._begin[self.n_nodes]]
        expect("split", self._split.shape[0], n_vertices)
        expect("value", self._value.shape[0], n_vertices)
        expect("base", self._base.shape[0], self.n_nodes)
        expect("required", self._required.shape[0], self.n_nodes)
        self.c.begin, self.c.tree_begin, self.c.base = &self._begin[0], &self._tree_begin[0], &self._base[0]
        self.c.required = &self._required[0]
        if n_vertices:
            self.c.split, self.c.value = &self._split[0], &self._value[0]
        check(cbn_boosted_check(&self.c))


cdef cbn_boosting boosting_of(boosting, uint64_t seed) except *:
    cdef cbn_boosting how
    how.rounds, how.max_leaves, how.n_candidates = boosting.rounds, boosting.max_leaves, boosting.n_candidates
    how.rate, how.l2, how.min_gain = boosting.rate, boosting.l2, boosting.min_gain
    how.min_hessian, how.pseudocount, how.seed = boosting.min_hessian, boosting.pseudocount, seed
    return how


def boosted_grow(grid, const uint64_t[:, ::1] planes, int64_t n_images, candidates, boosting, uint64_t seed, grown,
                 int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef int32_t[::1] base, n_trees
    cdef int32_t[:, ::1] n_vertices
    cdef int32_t[:, :, ::1] split, value
    cdef const int32_t[:, ::1] start
    cdef cbn_grown_boosted out
    cdef cbn_boosting how = boosting_of(boosting, seed)
    cdef cbn_grid shape = grid_of(grid)
    cdef cbn_planes data = planes_of(planes, nodes_of(shape), n_images)
    cdef cbn_candidates lists = candidates_of(candidates, nodes_of(shape))
    out.first_node, base, n_trees, n_vertices, split, value, given = grown
    out.n_nodes = base.shape[0]
    if out.n_nodes < 1:
        raise ValueError("base: empty")
    expect("n_trees", n_trees.shape[0], out.n_nodes)
    expect_rows("nodes", "rounds", "n_vertices", n_vertices.shape, out.n_nodes, how.rounds)
    expect_rows("nodes", "rounds", "split", split.shape, out.n_nodes, how.rounds)
    expect("vertices of split", split.shape[2], 2 * <int64_t>how.max_leaves - 1)
    expect_rows("nodes", "rounds", "value", value.shape, out.n_nodes, how.rounds)
    expect("vertices of value", value.shape[2], 2 * <int64_t>how.max_leaves - 1)
    cdef uint8_t[::1] memory = memory_of(
        cbn_boosted_grow_workspace_size(shape, n_images, &lists, &how, num_threads, &n_bytes), &n_bytes)
    out.start = NULL
    if given is not None:
        start = given
        expect_rows("nodes", "images", "start", start.shape, out.n_nodes, 64 * planes.shape[1])
        out.start = &start[0, 0]
    out.base, out.n_trees = &base[0], &n_trees[0]
    out.n_vertices = &n_vertices[0, 0] if how.rounds else &n_trees[0]  # never written without rounds
    out.split = &split[0, 0, 0] if how.rounds else &n_trees[0]
    out.value = &value[0, 0, 0] if how.rounds else &n_trees[0]
    with nogil:
        status = cbn_boosted_grow(shape, data, &lists, &how, &out, workspace_in(memory), allowed(num_threads))
    check(status)


def boosted_log_odds(Boosted boosted, const uint64_t[:, ::1] planes, int64_t n_images, int32_t[:, ::1] odds,
                     int num_threads=1):
    cdef int status
    cdef cbn_planes data = planes_of(planes, boosted.n_nodes, n_images)
    expect_rows("images", "nodes", "odds", odds.shape, n_images, boosted.n_nodes)
    with nogil:
        status = cbn_boosted_log_odds(&boosted.c, data, &odds[0, 0], allowed(num_threads))
    check(status)


def boosted_score_images(Boosted boosted, const uint64_t[:, ::1] planes, int64_t n_images, int kind, double[::1] scores,
                         int num_threads=1):
    cdef int status
    cdef cbn_planes data = planes_of(planes, boosted.n_nodes, n_images)
    expect("scores", scores.shape[0], n_images)
    with nogil:
        status = cbn_boosted_score_images(&boosted.c, data, kind, &scores[0], allowed(num_threads))
    check(status)


def boosted_score_nodes(Boosted boosted, const uint64_t[:, ::1] planes, int64_t n_images, int kind,
                        double[:, ::1] contributions, int num_threads=1):
    cdef int status
    cdef cbn_planes data = planes_of(planes, boosted.n_nodes, n_images)
    expect_rows("images", "nodes", "contributions", contributions.shape, n_images, boosted.n_nodes)
    with nogil:
        status = cbn_boosted_score_nodes(&boosted.c, data, kind, &contributions[0, 0], allowed(num_threads))
    check(status)


def boosted_sample(Boosted boosted, uint64_t seed, clamped, uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_chains chains = chains_of(states, boosted.n_nodes)
    cdef const uint8_t *kept = bytes_or_null("clamped", clamped, boosted.n_nodes)
    cdef uint8_t[::1] memory = memory_of(
        cbn_boosted_sample_workspace_size(&boosted.c, chains.n, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_boosted_sample(&boosted.c, seed, kept, chains, workspace_in(memory), allowed(num_threads))
    check(status)


# ---- inpainting ----


cdef cbn_particles particles_of(int64_t n_nodes, const uint8_t[::1] known, uint8_t[:, ::1] states,
                                double[::1] weight) except *:
    cdef cbn_particles particles
    expect("known", known.shape[0], n_nodes)
    expect("nodes of states", states.shape[1], n_nodes)
    expect("weight", weight.shape[0], states.shape[0])
    particles.n, particles.known, particles.states = states.shape[0], &known[0], &states[0, 0]
    particles.weight = &weight[0]
    return particles


def boosted_inpaint(Boosted boosted, uint64_t seed, const uint8_t[::1] known, uint8_t[:, ::1] states,
                    double[::1] weight, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef double log_marginal
    cdef cbn_particles particles = particles_of(boosted.n_nodes, known, states, weight)
    cdef uint8_t[::1] memory = memory_of(
        cbn_inpaint_workspace_size(boosted.n_nodes, particles.n, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_boosted_inpaint(&boosted.c, seed, &particles, &log_marginal, workspace_in(memory),
                                     allowed(num_threads))
    check(status)
    return log_marginal


def tree_inpaint(Trees trees, const double[:, ::1] probability, uint64_t seed, const uint8_t[::1] known,
                 uint8_t[:, ::1] states, double[::1] weight, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef double log_marginal
    expect_pairs("vertices", "probability", probability.shape, trees.n_vertices)
    cdef cbn_particles particles = particles_of(trees.n_nodes, known, states, weight)
    cdef uint8_t[::1] memory = memory_of(
        cbn_inpaint_workspace_size(trees.n_nodes, particles.n, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_tree_inpaint(&trees.c, &probability[0, 0], seed, &particles, &log_marginal, workspace_in(memory),
                                  allowed(num_threads))
    check(status)
    return log_marginal


def table_inpaint(Layer layer, const double[:, ::1] probability, uint64_t seed, const uint8_t[::1] known,
                  uint8_t[:, ::1] states, double[::1] weight, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef double log_marginal
    expect_pairs("rows", "probability", probability.shape, layer.n_rows)
    cdef cbn_particles particles = particles_of(layer.n_nodes, known, states, weight)
    cdef uint8_t[::1] memory = memory_of(
        cbn_inpaint_workspace_size(layer.n_nodes, particles.n, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_table_inpaint(&layer.c, &probability[0, 0], seed, &particles, &log_marginal, workspace_in(memory),
                                   allowed(num_threads))
    check(status)
    return log_marginal

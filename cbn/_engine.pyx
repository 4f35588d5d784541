# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, binding=True, embedsignature=True
"""The boundary to the C engine: check shapes, release the GIL, one C call, check the status.

Functions have the names of cbn.h without the prefix, and fill the arrays they are given, which must be C-contiguous and
of exactly the type in the signature. What they mean is said in cbn.h. ``python/reference`` holds their NumPy twins.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from posix.unistd cimport getpid

LOG_PROBABILITY = CBN_LOG_PROBABILITY
SURPRISE = CBN_SURPRISE
VARIANCE = CBN_VARIANCE
NORMALIZED = CBN_NORMALIZED
RANDOM_START = CBN_RANDOM_START
RANDOM_RESAMPLE = CBN_RANDOM_RESAMPLE
MAX_PARENTS = CBN_MAX_PARENTS
MAX_SEARCH_PARENTS = CBN_MAX_SEARCH_PARENTS
MAX_LAYERS = CBN_MAX_LAYERS
MAX_KERNELS = CBN_MAX_KERNELS
MAX_KERNEL_SIZE = CBN_MAX_KERNEL_SIZE
WEIGHT_ONE = CBN_WEIGHT_ONE
MAX_LEAVES = CBN_MAX_LEAVES
LOG_ODDS_ONE = CBN_LOG_ODDS_ONE
MAX_ROUNDS = CBN_MAX_ROUNDS
MAX_BOOSTED_LEAVES = CBN_MAX_BOOSTED_LEAVES
MAX_LEAF_VALUE = CBN_MAX_LEAF_VALUE
BARREN_ROUNDS = CBN_BARREN_ROUNDS
MAX_TAPS = CBN_MAX_TAPS
MAX_POOL = CBN_MAX_POOL
MAX_HIDDEN = CBN_MAX_HIDDEN
MAX_UNITS = CBN_MAX_UNITS
STD_FLOOR = CBN_STD_FLOOR
SMALLEST_P = CBN_SMALLEST_P


cdef int owner = getpid()  # the process that loaded the module


cdef int allowed(int num_threads) noexcept nogil:
    """One thread in a forked child, the number asked for elsewhere; the results are the same bytes.

    A child has none of its parent's OpenMP threads, but its OpenMP believes that it has and waits for them for ever,
    whichever library of the parent started them.
    """
    return num_threads if num_threads <= 1 or getpid() == owner else 1


cdef int check(int status) except -1:
    """The one place where status codes become exceptions."""
    if status == 0:
        return 0
    message = cbn_strerror(status).decode()
    if status == CBN_E_OVERFLOW:
        raise OverflowError(message)
    raise ValueError(message)


cdef int expect(name, int64_t found, int64_t wanted) except -1:
    if found != wanted:
        raise ValueError(f"{name}: size {found} where {wanted} is needed")
    return 0


cdef int expect_pairs(unit, name, const Py_ssize_t *shape, int64_t n) except -1:
    """An array with two states for each of n rows, vertices ..."""
    if shape[0] != n:
        expect(f"{unit} of {name}", shape[0], n)
    if shape[1] != 2:
        expect(f"states of {name}", shape[1], 2)
    return 0


cdef int expect_rows(first, second, name, const Py_ssize_t *shape, int64_t rows, int64_t columns) except -1:
    if shape[0] != rows:
        expect(f"{first} of {name}", shape[0], rows)
    if shape[1] != columns:
        expect(f"{second} of {name}", shape[1], columns)
    return 0


cdef int expect_planes(name, const Py_ssize_t *shape, int64_t n_nodes, int64_t n_images) except -1:
    if n_images < 1:
        raise ValueError(f"n_images: {n_images}, at least 1 is needed")
    expect(name, shape[0], n_nodes)
    if shape[1] != cbn_plane_words(n_images):
        expect(f"words of {name}", shape[1], cbn_plane_words(n_images))
    return 0


cdef cbn_planes planes_of(const uint64_t[:, ::1] words, int64_t n_nodes, int64_t n_images) except *:
    cdef cbn_planes planes
    expect_planes("planes", words.shape, n_nodes, n_images)
    planes.words, planes.n_images = &words[0, 0], n_images
    return planes


cdef cbn_grid grid_of(int32_t channels, int32_t height, int32_t width) except *:
    cdef cbn_grid grid
    if channels < 1 or height < 1 or width < 1:
        raise ValueError(f"channels, height, width: {(channels, height, width)}, at least 1 is needed")
    grid.channels, grid.height, grid.width = channels, height, width
    return grid


cdef int64_t nodes_of(cbn_grid grid) noexcept nogil:
    return <int64_t>grid.channels * grid.height * grid.width


cdef cbn_chains chains_of(uint8_t[:, ::1] states, int64_t n_nodes) except *:
    cdef cbn_chains chains
    expect("nodes of states", states.shape[1], n_nodes)
    chains.n, chains.states = states.shape[0], &states[0, 0]
    return chains


cdef cbn_steps steps_of(uint64_t seed, uint64_t first_step, int64_t n_steps, const int64_t[::1] sites) except *:
    cdef cbn_steps steps
    if sites.shape[0] == 0:
        raise ValueError("sites: empty")
    steps.seed, steps.first, steps.n = seed, first_step, n_steps
    steps.sites, steps.n_sites = &sites[0], sites.shape[0]
    return steps


cdef const uint8_t *bytes_or_null(name, array, int64_t size) except? NULL:
    """An optional array, which the caller's argument keeps alive."""
    cdef const uint8_t[::1] view
    if array is None:
        return NULL
    view = array
    expect(name, view.shape[0], size)
    return &view[0]


cdef const int32_t *numbers_or_null(name, array, int64_t size) except? NULL:
    cdef const int32_t[::1] view
    if array is None:
        return NULL
    view = array
    expect(name, view.shape[0], size)
    return &view[0]


cdef uint8_t[::1] memory_of(int status, const int64_t *n_bytes):
    """Scratch memory of the size that a query, with this status, has answered."""
    check(status)
    return bytearray(n_bytes[0])


cdef cbn_workspace workspace_in(uint8_t[::1] memory) noexcept nogil:
    cdef cbn_workspace workspace
    workspace.memory, workspace.bytes = &memory[0], memory.shape[0]
    return workspace


# ---- tables ----


cdef class Layer:
    """A ``cbn_layer`` made from a ``cbn.cpd.grid.Layer``; it keeps the arrays alive."""

    cdef cbn_layer c
    cdef readonly int64_t n_nodes, n_rows
    cdef const int64_t[::1] _begin
    cdef const int32_t[::1] _parent, _dy, _dx
    cdef const uint8_t[::1] _required

    def __init__(self, layer):
        self._begin, self._parent, self._dy, self._dx, self._required = layer.arrays()
        self.c.grid.channels, self.c.grid.height, self.c.grid.width = layer.channels, layer.height, layer.width
        expect("relation_begin", self._begin.shape[0], self.c.grid.channels + 1)
        cdef int64_t n_relations = self._begin[self.c.grid.channels]
        expect("parent_channel", self._parent.shape[0], n_relations)
        expect("dy", self._dy.shape[0], n_relations)
        expect("dx", self._dx.shape[0], n_relations)
        expect("required", self._required.shape[0], n_relations)
        self.c.relation_begin = &self._begin[0]
        if self._parent.shape[0]:
            self.c.parent_channel = &self._parent[0]
            self.c.dy = &self._dy[0]
            self.c.dx = &self._dx[0]
            self.c.required = &self._required[0]
        check(cbn_layer_rows(&self.c, &self.n_rows))
        self.n_nodes = nodes_of(self.c.grid)


def version():
    return cbn_version().decode()


def instruction_set():
    return cbn_instruction_set().decode()


def has_openmp():
    return bool(cbn_has_openmp())


def max_threads():
    return allowed(cbn_max_threads())


def plane_words(int64_t n_images):
    return cbn_plane_words(n_images)


def pack_planes(const uint8_t[:, ::1] images, int cutoff, uint64_t[:, ::1] planes, int num_threads=1):
    cdef int status
    expect("planes", planes.shape[0], images.shape[1])
    expect("words of planes", planes.shape[1], cbn_plane_words(images.shape[0]))
    if images.size == 0:
        raise ValueError("images: empty")
    with nogil:
        status = cbn_pack_planes(&images[0, 0], images.shape[0], images.shape[1], cutoff, &planes[0, 0],
                                 allowed(num_threads))
    check(status)


def unpack_planes(const uint64_t[:, ::1] planes, uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef cbn_planes data = planes_of(planes, states.shape[1], states.shape[0])
    if states.size == 0:
        raise ValueError("states: empty")
    with nogil:
        status = cbn_unpack_planes(data, states.shape[1], &states[0, 0], allowed(num_threads))
    check(status)


def planes_select(const uint64_t[:, ::1] planes, int64_t n_images, const uint8_t[::1] keep, uint64_t[:, ::1] out,
                  int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_planes data = planes_of(planes, planes.shape[0], n_images)
    expect("keep", keep.shape[0], n_images)
    expect("nodes of out", out.shape[0], planes.shape[0])
    if planes.shape[0] == 0 or out.shape[1] == 0:
        raise ValueError("planes, keep: no image is left")
    cdef uint8_t[::1] memory = memory_of(cbn_planes_select_workspace_size(n_images, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_planes_select(data, planes.shape[0], &keep[0], out.shape[1], &out[0, 0], workspace_in(memory),
                                   allowed(num_threads))
    check(status)


def count(Layer layer, const uint64_t[:, ::1] planes, int64_t n_images, int64_t[:, ::1] counts, int num_threads=1):
    cdef int status
    cdef cbn_planes data = planes_of(planes, layer.n_nodes, n_images)
    expect_pairs("rows", "counts", counts.shape, layer.n_rows)
    with nogil:
        status = cbn_count(&layer.c, data, &counts[0, 0], allowed(num_threads))
    check(status)


def counts_add(const int64_t[:, ::1] counts, int64_t[:, ::1] total):
    cdef int status
    expect_rows("rows", "states", "counts", counts.shape, total.shape[0], total.shape[1])
    if counts.size == 0:
        raise ValueError("counts: empty")
    with nogil:
        status = cbn_counts_add(&counts[0, 0], counts.shape[0] * counts.shape[1], &total[0, 0])
    check(status)


def counts_check(Layer layer, const int64_t[:, ::1] counts, int64_t n_images):
    cdef int status
    expect_pairs("rows", "counts", counts.shape, layer.n_rows)
    with nogil:
        status = cbn_counts_check(&layer.c, &counts[0, 0], n_images)
    check(status)


def bic(Layer layer, const int64_t[:, ::1] counts):
    cdef int status
    cdef double log_likelihood, value
    cdef int64_t n_parameters
    expect_pairs("rows", "counts", counts.shape, layer.n_rows)
    with nogil:
        status = cbn_bic(&layer.c, &counts[0, 0], &log_likelihood, &n_parameters, &value)
    check(status)
    return log_likelihood, n_parameters, value


def relation_gains(Layer layer, const uint64_t[:, ::1] planes, int64_t n_images, const int32_t[:, ::1] candidates,
                   double[::1] bic_change, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes, n = candidates.shape[0]
    cdef cbn_planes data = planes_of(planes, layer.n_nodes, n_images)
    cdef cbn_relations relations
    expect("columns of candidates", candidates.shape[1], 4)
    expect("bic_change", bic_change.shape[0], n)
    cdef int32_t[:, ::1] column = candidates.copy().T.copy()
    cdef uint8_t[::1] memory = memory_of(
        cbn_relation_gains_workspace_size(&layer.c, n_images, n, &n_bytes), &n_bytes)
    relations.n, relations.child, relations.parent = n, &column[0, 0], &column[1, 0]
    relations.dy, relations.dx = &column[2, 0], &column[3, 0]
    with nogil:
        status = cbn_relation_gains(&layer.c, data, &relations, &bic_change[0], workspace_in(memory),
                                    allowed(num_threads))
    check(status)


def probability_table(Layer layer, const int64_t[:, ::1] counts, double pseudocount, double[:, ::1] probability,
                      int num_threads=1):
    cdef int status
    expect_pairs("rows", "counts", counts.shape, layer.n_rows)
    expect_pairs("rows", "probability", probability.shape, layer.n_rows)
    with nogil:
        status = cbn_probability_table(&layer.c, &counts[0, 0], pseudocount, &probability[0, 0], allowed(num_threads))
    check(status)


def value_table(Layer layer, const int64_t[:, ::1] counts, double pseudocount, int kind, bint leave_one_out,
                double[:, ::1] values, int num_threads=1):
    cdef int status
    expect_pairs("rows", "counts", counts.shape, layer.n_rows)
    expect_pairs("rows", "values", values.shape, layer.n_rows)
    with nogil:
        status = cbn_value_table(&layer.c, &counts[0, 0], pseudocount, kind, leave_one_out, &values[0, 0],
                                 allowed(num_threads))
    check(status)


def score_images(Layer layer, const uint64_t[:, ::1] planes, int64_t n_images, const double[:, ::1] values,
                 double[::1] scores, int num_threads=1):
    cdef int status
    cdef cbn_planes data = planes_of(planes, layer.n_nodes, n_images)
    expect_pairs("rows", "values", values.shape, layer.n_rows)
    expect("scores", scores.shape[0], n_images)
    with nogil:
        status = cbn_score_images(&layer.c, data, &values[0, 0], &scores[0], allowed(num_threads))
    check(status)


def score_nodes(Layer layer, const uint64_t[:, ::1] planes, int64_t n_images, const double[:, ::1] values,
                double[:, ::1] contributions, int num_threads=1):
    cdef int status
    cdef cbn_planes data = planes_of(planes, layer.n_nodes, n_images)
    expect_pairs("rows", "values", values.shape, layer.n_rows)
    expect_rows("images", "nodes", "contributions", contributions.shape, n_images, layer.n_nodes)
    with nogil:
        status = cbn_score_nodes(&layer.c, data, &values[0, 0], &contributions[0, 0], allowed(num_threads))
    check(status)


# ---- hidden layers ----


cdef class Transition:
    """A ``cbn_transition`` made from a ``cbn.layers.geometry.Transition``; it keeps the arrays alive."""

    cdef cbn_transition c
    cdef readonly int64_t n_nodes_in, n_nodes_out
    cdef const int32_t[:, :, :, ::1] _weights
    cdef const int32_t[::1] _bias

    def __init__(self, transition):
        t = transition
        self._weights, self._bias = t.weights, t.bias
        self.c.in_channels, self.c.in_height, self.c.in_width = t.in_channels, t.in_height, t.in_width
        self.c.out_channels, self.c.kernel_size, self.c.pool = t.out_channels, t.kernel_size, t.pool
        expect_kernels("weights", self._weights.shape, &self.c)
        expect("bias", self._bias.shape[0], t.out_channels)
        if self._weights.size == 0:
            raise ValueError("weights: empty")
        self.c.weights, self.c.bias = &self._weights[0, 0, 0, 0], &self._bias[0]
        check(cbn_transition_check(&self.c))
        self.n_nodes_in = <int64_t>t.in_channels * t.in_height * t.in_width
        self.n_nodes_out = <int64_t>t.out_channels * t.height * t.width


cdef int expect_kernels(name, const Py_ssize_t *shape, const cbn_transition *transition) except -1:
    expect_rows("kernels", "channels", name, shape, transition.out_channels, transition.in_channels)
    return expect_rows("rows", "columns", name, shape + 2, transition.kernel_size, transition.kernel_size)


cdef cbn_planes planes_below(Transition transition, const uint64_t[:, ::1] planes_in, int64_t n_images,
                             const Py_ssize_t *shape_out) except *:
    cdef cbn_planes planes
    expect_planes("planes_in", planes_in.shape, transition.n_nodes_in, n_images)
    expect_planes("planes_out", shape_out, transition.n_nodes_out, n_images)
    planes.words, planes.n_images = &planes_in[0, 0], n_images
    return planes


def transition_forward(Transition transition, const uint64_t[:, ::1] planes_in, int64_t n_images,
                       uint64_t[:, ::1] planes_out, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_planes below = planes_below(transition, planes_in, n_images, planes_out.shape)
    cdef uint8_t[::1] memory = memory_of(
        cbn_transition_workspace_size(&transition.c, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_transition_forward(&transition.c, below, &planes_out[0, 0], workspace_in(memory),
                                        allowed(num_threads))
    check(status)


def kernel_gradient(Transition transition, Layer layer, const uint64_t[:, ::1] planes_in,
                    const uint64_t[:, ::1] planes_out, int64_t n_images, const int64_t[:, ::1] counts,
                    double pseudocount, double sharpness, double[:, :, :, ::1] weights, double[::1] bias,
                    int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_objective objective
    cdef cbn_planes below = planes_below(transition, planes_in, n_images, planes_out.shape)
    expect_pairs("rows", "counts", counts.shape, layer.n_rows)
    expect_kernels("weights", weights.shape, &transition.c)
    expect("bias", bias.shape[0], transition.c.out_channels)
    objective.layer, objective.counts = &layer.c, &counts[0, 0]
    objective.pseudocount, objective.sharpness = pseudocount, sharpness
    cdef uint8_t[::1] memory = memory_of(
        cbn_kernel_gradient_workspace_size(&transition.c, &layer.c, n_images, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_kernel_gradient(&transition.c, &objective, below, &planes_out[0, 0], &weights[0, 0, 0, 0],
                                     &bias[0], workspace_in(memory), allowed(num_threads))
    check(status)


# ---- trees ----


cdef class Trees:
    """A ``cbn_trees`` made from a ``cbn.cpd.treelayer.TreeLayer``; it keeps the arrays alive."""

    cdef cbn_trees c
    cdef readonly int64_t n_nodes, n_vertices
    cdef const int64_t[::1] _begin
    cdef const int32_t[::1] _split, _child, _required

    def __init__(self, trees):
        self._begin, self._split, self._child, self._required = trees.arrays()
        self.c.grid = grid_of(trees.channels, trees.height, trees.width)
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


cdef cbn_candidates candidates_of(const int64_t[::1] begin, const int32_t[::1] node, required,
                                  int64_t n_nodes) except *:
    cdef cbn_candidates candidates
    expect("candidate_begin", begin.shape[0], n_nodes + 1)
    expect("candidate", node.shape[0], begin[n_nodes])
    candidates.begin, candidates.node = &begin[0], &node[0] if node.shape[0] else NULL
    candidates.required = numbers_or_null("required", required, n_nodes)
    return candidates


def tree_grow(int32_t channels, int32_t height, int32_t width, const uint64_t[:, ::1] planes, int64_t n_images,
              const int64_t[::1] candidate_begin, const int32_t[::1] candidate, required, double penalty,
              int max_leaves, int64_t min_leaf, int32_t[::1] n_vertices, int32_t[:, ::1] split, int32_t[:, ::1] child,
              int64_t[:, :, ::1] counts, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes, capacity = 2 * <int64_t>max_leaves - 1
    cdef cbn_growth growth
    cdef cbn_grown_trees grown
    cdef cbn_grid grid = grid_of(channels, height, width)
    cdef int64_t n_nodes = nodes_of(grid)
    cdef cbn_planes data = planes_of(planes, n_nodes, n_images)
    cdef cbn_candidates candidates = candidates_of(candidate_begin, candidate, required, n_nodes)
    expect("n_vertices", n_vertices.shape[0], n_nodes)
    expect_rows("nodes", "vertices", "split", split.shape, n_nodes, capacity)
    expect_rows("nodes", "vertices", "child", child.shape, n_nodes, capacity)
    expect_rows("nodes", "vertices", "counts", counts.shape, n_nodes, capacity)
    expect("states of counts", counts.shape[2], 2)
    growth.penalty, growth.max_leaves, growth.min_leaf = penalty, max_leaves, min_leaf
    cdef uint8_t[::1] memory = memory_of(
        cbn_tree_grow_workspace_size(grid, n_images, &candidates, &growth, num_threads, &n_bytes), &n_bytes)
    grown.n_vertices, grown.split, grown.child = &n_vertices[0], &split[0, 0], &child[0, 0]
    grown.counts = &counts[0, 0, 0]
    with nogil:
        status = cbn_tree_grow(grid, data, &candidates, &growth, &grown, workspace_in(memory), allowed(num_threads))
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
    """A ``cbn_boosted`` made from a ``cbn.cpd.boostedlayer.BoostedLayer``; it keeps the arrays alive."""

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


def boosted_grow(int32_t channels, int32_t height, int32_t width, const uint64_t[:, ::1] planes, int64_t n_images,
                 const int64_t[::1] candidate_begin, const int32_t[::1] candidate, required, boosting, uint64_t seed,
                 int64_t first_node, int32_t[::1] base, int32_t[::1] n_trees, int32_t[:, ::1] n_vertices,
                 int32_t[:, :, ::1] split, int32_t[:, :, ::1] value, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes, n_nodes = base.shape[0]
    cdef cbn_grown_boosted grown
    cdef cbn_boosting how = boosting_of(boosting, seed)
    cdef cbn_grid grid = grid_of(channels, height, width)
    cdef cbn_planes data = planes_of(planes, nodes_of(grid), n_images)
    cdef cbn_candidates candidates = candidates_of(candidate_begin, candidate, required, nodes_of(grid))
    if n_nodes < 1:
        raise ValueError("base: empty")
    expect("n_trees", n_trees.shape[0], n_nodes)
    expect_rows("nodes", "rounds", "n_vertices", n_vertices.shape, n_nodes, how.rounds)
    expect_rows("nodes", "rounds", "split", split.shape, n_nodes, how.rounds)
    expect("vertices of split", split.shape[2], 2 * <int64_t>how.max_leaves - 1)
    expect_rows("nodes", "rounds", "value", value.shape, n_nodes, how.rounds)
    expect("vertices of value", value.shape[2], 2 * <int64_t>how.max_leaves - 1)
    cdef uint8_t[::1] memory = memory_of(
        cbn_boosted_grow_workspace_size(grid, n_images, &candidates, &how, num_threads, &n_bytes), &n_bytes)
    grown.first_node, grown.n_nodes, grown.base, grown.n_trees = first_node, n_nodes, &base[0], &n_trees[0]
    grown.n_vertices = &n_vertices[0, 0] if how.rounds else &n_trees[0]  # never written without rounds
    grown.split = &split[0, 0, 0] if how.rounds else &n_trees[0]
    grown.value = &value[0, 0, 0] if how.rounds else &n_trees[0]
    with nogil:
        status = cbn_boosted_grow(grid, data, &candidates, &how, &grown, workspace_in(memory), allowed(num_threads))
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


# ---- random numbers and samples ----


def philox(counter, key):
    cdef uint32_t[4] c = counter
    cdef uint32_t[2] k = key
    cdef uint32_t[4] out
    cbn_philox(c, k, out)
    return out[0], out[1], out[2], out[3]


def uniform(uint64_t seed, uint32_t purpose, uint64_t first_step, double[:, ::1] out):
    cdef int status
    if out.size == 0:
        raise ValueError("out: empty")
    with nogil:
        status = cbn_uniform(seed, purpose, out.shape[0], first_step, out.shape[1], &out[0, 0])
    check(status)


def sampler_workspace_size(Layer layer, int64_t n_chains):
    cdef int64_t n_bytes
    check(cbn_sampler_workspace_size(&layer.c, n_chains, &n_bytes))
    return n_bytes


def sample_ancestral(Layer layer, const double[:, ::1] probability, uint64_t seed, clamped, uint8_t[:, ::1] states,
                     int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    expect_pairs("rows", "probability", probability.shape, layer.n_rows)
    cdef cbn_chains chains = chains_of(states, layer.n_nodes)
    cdef const uint8_t *kept = bytes_or_null("clamped", clamped, layer.n_nodes)
    cdef uint8_t[::1] memory = memory_of(cbn_sampler_workspace_size(&layer.c, chains.n, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_sample_ancestral(&layer.c, &probability[0, 0], seed, kept, chains, workspace_in(memory),
                                      allowed(num_threads))
    check(status)


def sample_gibbs(Layer layer, const double[:, ::1] probability, uint64_t seed, uint64_t first_step, int64_t n_steps,
                 const int64_t[::1] sites, uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    expect_pairs("rows", "probability", probability.shape, layer.n_rows)
    cdef cbn_chains chains = chains_of(states, layer.n_nodes)
    cdef cbn_steps steps = steps_of(seed, first_step, n_steps, sites)
    cdef uint8_t[::1] memory = memory_of(cbn_sampler_workspace_size(&layer.c, chains.n, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_sample_gibbs(&layer.c, &probability[0, 0], &steps, chains, workspace_in(memory),
                                  allowed(num_threads))
    check(status)


cdef class LayerStack:
    """Layers one above the other: ``Layer`` objects, the pixels first, and the ``Transition`` objects between them."""

    cdef cbn_layer[CBN_MAX_LAYERS] layers
    cdef cbn_transition[CBN_MAX_LAYERS] transitions
    cdef cbn_stack c
    cdef readonly int64_t n_nodes, n_rows
    cdef object _kept

    def __init__(self, layers, transitions):
        cdef Layer layer
        cdef Transition transition
        cdef int64_t n_bytes
        if not 1 <= len(layers) <= CBN_MAX_LAYERS:
            raise ValueError(f"layers: {len(layers)} where 1 to {CBN_MAX_LAYERS} are possible")
        expect("transitions", len(transitions), len(layers) - 1)
        self._kept = list(layers), list(transitions)  # they own the arrays
        for i, layer in enumerate(layers):
            self.layers[i] = layer.c
            self.n_rows += layer.n_rows
        for i, transition in enumerate(transitions):
            self.transitions[i] = transition.c
        self.c.n_layers, self.c.layers, self.c.transitions = len(layers), self.layers, self.transitions
        layer = layers[0]
        self.n_nodes = layer.n_nodes
        check(cbn_gibbs_layers_workspace_size(&self.c, 1, 1, &n_bytes))


def sample_gibbs_layers(LayerStack stack not None, const int64_t[:, ::1] values, double unit,
                        const double[::1] inverse_temperature not None, uint64_t seed, uint64_t first_step,
                        const int64_t[::1] sites, uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_energy energy
    expect_pairs("rows", "values", values.shape, stack.n_rows)
    cdef cbn_chains chains = chains_of(states, stack.n_nodes)
    cdef cbn_steps steps = steps_of(seed, first_step, inverse_temperature.shape[0], sites)
    energy.values, energy.unit = &values[0, 0], unit
    energy.inverse_temperature = &inverse_temperature[0] if steps.n else NULL
    cdef uint8_t[::1] memory = memory_of(
        cbn_gibbs_layers_workspace_size(&stack.c, chains.n, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_sample_gibbs_layers(&stack.c, &energy, &steps, chains, workspace_in(memory), allowed(num_threads))
    check(status)


def tree_sample_ancestral(Trees trees, const double[:, ::1] probability, uint64_t seed, clamped,
                          uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    expect_pairs("vertices", "probability", probability.shape, trees.n_vertices)
    cdef cbn_chains chains = chains_of(states, trees.n_nodes)
    cdef const uint8_t *kept = bytes_or_null("clamped", clamped, trees.n_nodes)
    cdef uint8_t[::1] memory = memory_of(
        cbn_tree_sampler_workspace_size(&trees.c, chains.n, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_tree_sample_ancestral(&trees.c, &probability[0, 0], seed, kept, chains, workspace_in(memory),
                                           allowed(num_threads))
    check(status)


def tree_sample_gibbs(Trees trees, const double[:, ::1] probability, uint64_t seed, uint64_t first_step,
                      int64_t n_steps, const int64_t[::1] sites, uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    expect_pairs("vertices", "probability", probability.shape, trees.n_vertices)
    cdef cbn_chains chains = chains_of(states, trees.n_nodes)
    cdef cbn_steps steps = steps_of(seed, first_step, n_steps, sites)
    cdef uint8_t[::1] memory = memory_of(
        cbn_tree_sampler_workspace_size(&trees.c, chains.n, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_tree_sample_gibbs(&trees.c, &probability[0, 0], &steps, chains, workspace_in(memory),
                                       allowed(num_threads))
    check(status)


include "_engine_neural.pxi"

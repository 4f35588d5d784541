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


cdef class Layer:
    """A ``cbn_layer`` made from a ``cbn.architecture.Layer``; it keeps the arrays alive."""

    cdef cbn_layer c
    cdef readonly int64_t n_nodes, n_rows
    cdef const int64_t[::1] _begin
    cdef const int32_t[::1] _parent, _dy, _dx
    cdef const uint8_t[::1] _required

    def __init__(self, layer):
        self._begin, self._parent, self._dy, self._dx, self._required = layer.arrays()
        self.c.channels, self.c.height, self.c.width = layer.channels, layer.height, layer.width
        expect("relation_begin", self._begin.shape[0], self.c.channels + 1)
        cdef int64_t n_relations = self._begin[self.c.channels]
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
        self.n_nodes = <int64_t>layer.channels * layer.height * layer.width


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
        status = cbn_pack_planes(&images[0, 0], images.shape[0], images.shape[1], cutoff, &planes[0, 0], allowed(num_threads))
    check(status)


def unpack_planes(const uint64_t[:, ::1] planes, uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    expect("states", states.shape[1], planes.shape[0])
    expect("words of planes", planes.shape[1], cbn_plane_words(states.shape[0]))
    if states.size == 0:
        raise ValueError("states: empty")
    with nogil:
        status = cbn_unpack_planes(&planes[0, 0], states.shape[0], states.shape[1], &states[0, 0], allowed(num_threads))
    check(status)


def planes_select(const uint64_t[:, ::1] planes, int64_t n_images, const uint8_t[::1] keep, uint64_t[:, ::1] out,
                  int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    expect("words of planes", planes.shape[1], cbn_plane_words(n_images))
    expect("keep", keep.shape[0], n_images)
    expect("nodes of out", out.shape[0], planes.shape[0])
    if planes.size == 0 or out.size == 0:
        raise ValueError("planes, keep: no image is left")
    check(cbn_planes_select_workspace_size(n_images, &n_bytes))
    cdef uint8_t[::1] workspace = bytearray(n_bytes)
    with nogil:
        status = cbn_planes_select(&planes[0, 0], n_images, planes.shape[0], &keep[0], out.shape[1], &out[0, 0],
                                   &workspace[0], n_bytes, allowed(num_threads))
    check(status)


cdef int expect_planes(Layer layer, const uint64_t[:, ::1] planes, int64_t n_images) except -1:
    if n_images < 1:
        raise ValueError(f"n_images: {n_images}, at least 1 is needed")
    expect("planes", planes.shape[0], layer.n_nodes)
    return expect("words of planes", planes.shape[1], cbn_plane_words(n_images))


def count(Layer layer, const uint64_t[:, ::1] planes, int64_t n_images, int64_t[:, ::1] counts, int num_threads=1):
    cdef int status
    expect_planes(layer, planes, n_images)
    expect("rows of counts", counts.shape[0], layer.n_rows)
    expect("states of counts", counts.shape[1], 2)
    with nogil:
        status = cbn_count(&layer.c, &planes[0, 0], n_images, &counts[0, 0], allowed(num_threads))
    check(status)


def counts_add(const int64_t[:, ::1] counts, int64_t[:, ::1] total):
    cdef int status
    expect("rows of counts", counts.shape[0], total.shape[0])
    expect("states of counts", counts.shape[1], total.shape[1])
    if counts.size == 0:
        raise ValueError("counts: empty")
    with nogil:
        status = cbn_counts_add(&counts[0, 0], counts.shape[0] * counts.shape[1], &total[0, 0])
    check(status)


def counts_check(Layer layer, const int64_t[:, ::1] counts, int64_t n_images):
    cdef int status
    expect("rows of counts", counts.shape[0], layer.n_rows)
    expect("states of counts", counts.shape[1], 2)
    with nogil:
        status = cbn_counts_check(&layer.c, &counts[0, 0], n_images)
    check(status)


def bic(Layer layer, const int64_t[:, ::1] counts):
    cdef int status
    cdef double log_likelihood, value
    cdef int64_t n_parameters
    expect("rows of counts", counts.shape[0], layer.n_rows)
    expect("states of counts", counts.shape[1], 2)
    with nogil:
        status = cbn_bic(&layer.c, &counts[0, 0], &log_likelihood, &n_parameters, &value)
    check(status)
    return log_likelihood, n_parameters, value


def relation_gains(Layer layer, const uint64_t[:, ::1] planes, int64_t n_images, const int32_t[:, ::1] candidates,
                   double[::1] bic_change, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes, n = candidates.shape[0]
    expect_planes(layer, planes, n_images)
    expect("columns of candidates", candidates.shape[1], 4)
    expect("bic_change", bic_change.shape[0], n)
    cdef int32_t[:, ::1] column = candidates.copy().T.copy()
    check(cbn_relation_gains_workspace_size(&layer.c, n_images, n, &n_bytes))
    cdef uint8_t[::1] workspace = bytearray(n_bytes)
    with nogil:
        status = cbn_relation_gains(&layer.c, &planes[0, 0], n_images, n, &column[0, 0], &column[1, 0], &column[2, 0],
                                    &column[3, 0], &bic_change[0], &workspace[0], n_bytes, allowed(num_threads))
    check(status)


cdef class Transition:
    """A ``cbn_transition`` made from a ``cbn.architecture.Transition``; it keeps the arrays alive."""

    cdef cbn_transition c
    cdef readonly int64_t n_nodes_in, n_nodes_out
    cdef const int32_t[:, :, :, ::1] _weights
    cdef const int32_t[::1] _bias

    def __init__(self, transition):
        t = transition
        self._weights, self._bias = t.weights, t.bias
        expect("kernels of weights", self._weights.shape[0], t.out_channels)
        expect("channels of weights", self._weights.shape[1], t.in_channels)
        expect("rows of weights", self._weights.shape[2], t.kernel_size)
        expect("columns of weights", self._weights.shape[3], t.kernel_size)
        expect("bias", self._bias.shape[0], t.out_channels)
        self.c.in_channels, self.c.in_height, self.c.in_width = t.in_channels, t.in_height, t.in_width
        self.c.out_channels, self.c.kernel_size, self.c.pool = t.out_channels, t.kernel_size, t.pool
        if self._weights.size == 0:
            raise ValueError("weights: empty")
        self.c.weights, self.c.bias = &self._weights[0, 0, 0, 0], &self._bias[0]
        check(cbn_transition_check(&self.c))
        self.n_nodes_in = <int64_t>t.in_channels * t.in_height * t.in_width
        self.n_nodes_out = <int64_t>t.out_channels * t.height * t.width


cdef int expect_transition(Transition transition, const uint64_t[:, ::1] planes_in, int64_t n_images,
                           const uint64_t[:, ::1] planes_out) except -1:
    if n_images < 1:
        raise ValueError(f"n_images: {n_images}, at least 1 is needed")
    expect("planes_in", planes_in.shape[0], transition.n_nodes_in)
    expect("words of planes_in", planes_in.shape[1], cbn_plane_words(n_images))
    expect("planes_out", planes_out.shape[0], transition.n_nodes_out)
    return expect("words of planes_out", planes_out.shape[1], cbn_plane_words(n_images))


def transition_forward(Transition transition, const uint64_t[:, ::1] planes_in, int64_t n_images,
                       uint64_t[:, ::1] planes_out, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    expect_transition(transition, planes_in, n_images, planes_out)
    check(cbn_transition_workspace_size(&transition.c, num_threads, &n_bytes))
    cdef uint8_t[::1] workspace = bytearray(n_bytes)
    with nogil:
        status = cbn_transition_forward(&transition.c, &planes_in[0, 0], n_images, &planes_out[0, 0], &workspace[0],
                                        n_bytes, allowed(num_threads))
    check(status)


def kernel_gradient(Transition transition, Layer layer, const uint64_t[:, ::1] planes_in,
                    const uint64_t[:, ::1] planes_out, int64_t n_images, const int64_t[:, ::1] counts,
                    double pseudocount, double sharpness, double[:, :, :, ::1] weights, double[::1] bias,
                    int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    expect_transition(transition, planes_in, n_images, planes_out)
    expect("rows of counts", counts.shape[0], layer.n_rows)
    expect("states of counts", counts.shape[1], 2)
    expect("kernels of weights", weights.shape[0], transition.c.out_channels)
    expect("channels of weights", weights.shape[1], transition.c.in_channels)
    expect("rows of weights", weights.shape[2], transition.c.kernel_size)
    expect("columns of weights", weights.shape[3], transition.c.kernel_size)
    expect("bias", bias.shape[0], transition.c.out_channels)
    check(cbn_kernel_gradient_workspace_size(&transition.c, &layer.c, n_images, num_threads, &n_bytes))
    cdef uint8_t[::1] workspace = bytearray(n_bytes)
    with nogil:
        status = cbn_kernel_gradient(&transition.c, &layer.c, &planes_in[0, 0], &planes_out[0, 0], n_images,
                                     &counts[0, 0], pseudocount, sharpness, &weights[0, 0, 0, 0], &bias[0],
                                     &workspace[0], n_bytes, allowed(num_threads))
    check(status)


def probability_table(Layer layer, const int64_t[:, ::1] counts, double pseudocount, double[:, ::1] probability,
                      int num_threads=1):
    cdef int status
    expect("rows of counts", counts.shape[0], layer.n_rows)
    expect("states of counts", counts.shape[1], 2)
    expect("rows of probability", probability.shape[0], layer.n_rows)
    expect("states of probability", probability.shape[1], 2)
    with nogil:
        status = cbn_probability_table(&layer.c, &counts[0, 0], pseudocount, &probability[0, 0], allowed(num_threads))
    check(status)


def value_table(Layer layer, const int64_t[:, ::1] counts, double pseudocount, int kind, bint leave_one_out,
                double[:, ::1] values, int num_threads=1):
    cdef int status
    expect("rows of counts", counts.shape[0], layer.n_rows)
    expect("states of counts", counts.shape[1], 2)
    expect("rows of values", values.shape[0], layer.n_rows)
    expect("states of values", values.shape[1], 2)
    with nogil:
        status = cbn_value_table(&layer.c, &counts[0, 0], pseudocount, kind, leave_one_out, &values[0, 0], allowed(num_threads))
    check(status)


cdef class Trees:
    """A ``cbn_trees`` made from a ``cbn.trees.TreeLayer``; it keeps the arrays alive."""

    cdef cbn_trees c
    cdef readonly int64_t n_nodes, n_vertices
    cdef const int64_t[::1] _begin
    cdef const int32_t[::1] _split, _child, _required

    def __init__(self, trees):
        self._begin, self._split, self._child, self._required = trees.arrays()
        self.c.channels, self.c.height, self.c.width = trees.channels, trees.height, trees.width
        self.n_nodes = <int64_t>trees.channels * trees.height * trees.width
        if trees.channels < 1 or trees.height < 1 or trees.width < 1:
            raise ValueError("channels, height, width: at least 1 is needed")
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


cdef int expect_tree_planes(Trees trees, const uint64_t[:, ::1] planes, int64_t n_images) except -1:
    if n_images < 1:
        raise ValueError(f"n_images: {n_images}, at least 1 is needed")
    expect("planes", planes.shape[0], trees.n_nodes)
    return expect("words of planes", planes.shape[1], cbn_plane_words(n_images))


def tree_grow(int32_t channels, int32_t height, int32_t width, const uint64_t[:, ::1] planes, int64_t n_images,
              const int64_t[::1] candidate_begin, const int32_t[::1] candidate, required, double penalty,
              int max_leaves, int64_t min_leaf, int32_t[::1] n_vertices, int32_t[:, ::1] split, int32_t[:, ::1] child,
              int64_t[:, :, ::1] counts, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes, n_nodes, capacity = 2 * <int64_t>max_leaves - 1
    cdef const int32_t[::1] required_view
    cdef const int32_t *required_data = NULL
    if n_images < 1 or channels < 1 or height < 1 or width < 1:
        sizes = (n_images, channels, height, width)
        raise ValueError(f"n_images, channels, height, width: {sizes}, at least 1 is needed")
    n_nodes = <int64_t>channels * height * width
    expect("planes", planes.shape[0], n_nodes)
    expect("words of planes", planes.shape[1], cbn_plane_words(n_images))
    expect("candidate_begin", candidate_begin.shape[0], n_nodes + 1)
    expect("candidate", candidate.shape[0], candidate_begin[n_nodes])
    if required is not None:
        required_view = required
        expect("required", required_view.shape[0], n_nodes)
        required_data = &required_view[0]
    expect("n_vertices", n_vertices.shape[0], n_nodes)
    expect("nodes of split", split.shape[0], n_nodes)
    expect("vertices of split", split.shape[1], capacity)
    expect("nodes of child", child.shape[0], n_nodes)
    expect("vertices of child", child.shape[1], capacity)
    expect("nodes of counts", counts.shape[0], n_nodes)
    expect("vertices of counts", counts.shape[1], capacity)
    expect("states of counts", counts.shape[2], 2)
    check(cbn_tree_grow_workspace_size(channels, height, width, n_images, &candidate_begin[0], max_leaves, num_threads,
                                       &n_bytes))
    cdef uint8_t[::1] workspace = bytearray(n_bytes)
    cdef const int32_t *candidate_data = &candidate[0] if candidate.shape[0] else NULL
    with nogil:
        status = cbn_tree_grow(channels, height, width, &planes[0, 0], n_images, &candidate_begin[0], candidate_data,
                               required_data, penalty, max_leaves, min_leaf, &n_vertices[0], &split[0, 0],
                               &child[0, 0], &counts[0, 0, 0], &workspace[0], n_bytes, allowed(num_threads))
    check(status)


cdef int expect_tree_counts(Trees trees, const int64_t[:, ::1] counts) except -1:
    expect("vertices of counts", counts.shape[0], trees.n_vertices)
    return expect("states of counts", counts.shape[1], 2)


def tree_count(Trees trees, const uint64_t[:, ::1] planes, int64_t n_images, int64_t[:, ::1] counts,
               int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    expect_tree_planes(trees, planes, n_images)
    expect_tree_counts(trees, counts)
    check(cbn_tree_count_workspace_size(&trees.c, n_images, num_threads, &n_bytes))
    cdef uint8_t[::1] workspace = bytearray(n_bytes)
    with nogil:
        status = cbn_tree_count(&trees.c, &planes[0, 0], n_images, &counts[0, 0], &workspace[0], n_bytes, allowed(num_threads))
    check(status)


def tree_counts_check(Trees trees, const int64_t[:, ::1] counts, int64_t n_images):
    cdef int status
    expect_tree_counts(trees, counts)
    with nogil:
        status = cbn_tree_counts_check(&trees.c, &counts[0, 0], n_images)
    check(status)


def tree_bic(Trees trees, const int64_t[:, ::1] counts):
    cdef int status
    cdef double log_likelihood, value
    cdef int64_t n_parameters
    expect_tree_counts(trees, counts)
    with nogil:
        status = cbn_tree_bic(&trees.c, &counts[0, 0], &log_likelihood, &n_parameters, &value)
    check(status)
    return log_likelihood, n_parameters, value


def tree_probability(Trees trees, const int64_t[:, ::1] counts, double pseudocount, double shrinkage,
                     double[:, ::1] probability, int num_threads=1):
    cdef int status
    expect_tree_counts(trees, counts)
    expect("vertices of probability", probability.shape[0], trees.n_vertices)
    expect("states of probability", probability.shape[1], 2)
    with nogil:
        status = cbn_tree_probability(&trees.c, &counts[0, 0], pseudocount, shrinkage, &probability[0, 0], allowed(num_threads))
    check(status)


def tree_values(Trees trees, const int64_t[:, ::1] counts, const double[:, ::1] probability, double pseudocount,
                double shrinkage, int kind, bint leave_one_out, double[:, ::1] values, int num_threads=1):
    cdef int status
    expect_tree_counts(trees, counts)
    expect("vertices of probability", probability.shape[0], trees.n_vertices)
    expect("states of probability", probability.shape[1], 2)
    expect("vertices of values", values.shape[0], trees.n_vertices)
    expect("states of values", values.shape[1], 2)
    with nogil:
        status = cbn_tree_values(&trees.c, &counts[0, 0], &probability[0, 0], pseudocount, shrinkage, kind,
                                 leave_one_out, &values[0, 0], allowed(num_threads))
    check(status)


cdef int expect_tree_scores(Trees trees, const uint64_t[:, ::1] planes, int64_t n_images,
                            const double[:, ::1] values) except -1:
    expect_tree_planes(trees, planes, n_images)
    expect("vertices of values", values.shape[0], trees.n_vertices)
    return expect("states of values", values.shape[1], 2)


def tree_score_images(Trees trees, const uint64_t[:, ::1] planes, int64_t n_images, const double[:, ::1] values,
                      double[::1] scores, int num_threads=1):
    cdef int status
    expect_tree_scores(trees, planes, n_images, values)
    expect("scores", scores.shape[0], n_images)
    with nogil:
        status = cbn_tree_score_images(&trees.c, &planes[0, 0], n_images, &values[0, 0], &scores[0], allowed(num_threads))
    check(status)


def tree_score_nodes(Trees trees, const uint64_t[:, ::1] planes, int64_t n_images, const double[:, ::1] values,
                     double[:, ::1] contributions, int num_threads=1):
    cdef int status
    expect_tree_scores(trees, planes, n_images, values)
    expect("images of contributions", contributions.shape[0], n_images)
    expect("nodes of contributions", contributions.shape[1], trees.n_nodes)
    with nogil:
        status = cbn_tree_score_nodes(&trees.c, &planes[0, 0], n_images, &values[0, 0], &contributions[0, 0],
                                      allowed(num_threads))
    check(status)


cdef class Boosted:
    """A ``cbn_boosted`` made from a ``cbn.boosted.BoostedLayer``; it keeps the arrays alive."""

    cdef cbn_boosted c
    cdef readonly int64_t n_nodes
    cdef const int64_t[::1] _begin, _tree_begin
    cdef const int32_t[::1] _split, _value, _base, _required

    def __init__(self, boosted):
        cdef int64_t n_vertices
        self._begin, self._tree_begin, self._split, self._value, self._base, self._required = boosted.arrays()
        self.c.channels, self.c.height, self.c.width = boosted.channels, boosted.height, boosted.width
        self.n_nodes = <int64_t>boosted.channels * boosted.height * boosted.width
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


cdef int expect_boosted_planes(Boosted boosted, const uint64_t[:, ::1] planes, int64_t n_images) except -1:
    if n_images < 1:
        raise ValueError(f"n_images: {n_images}, at least 1 is needed")
    expect("planes", planes.shape[0], boosted.n_nodes)
    return expect("words of planes", planes.shape[1], cbn_plane_words(n_images))


def boosted_grow(int32_t channels, int32_t height, int32_t width, const uint64_t[:, ::1] planes, int64_t n_images,
                 const int64_t[::1] candidate_begin, const int32_t[::1] candidate, required, boosting, uint64_t seed,
                 int64_t first_node, int32_t[::1] base, int32_t[::1] n_trees, int32_t[:, ::1] n_vertices,
                 int32_t[:, :, ::1] split, int32_t[:, :, ::1] value, int num_threads=1):
    cdef int status
    cdef cbn_boosting how
    cdef int64_t n_bytes, grid_nodes, n_nodes = base.shape[0]
    cdef const int32_t[::1] required_view
    cdef const int32_t *required_data = NULL
    grid_nodes = <int64_t>channels * height * width
    how.rounds, how.max_leaves, how.n_candidates = boosting.rounds, boosting.max_leaves, boosting.n_candidates
    how.rate, how.l2, how.min_gain = boosting.rate, boosting.l2, boosting.min_gain
    how.min_hessian, how.pseudocount, how.seed = boosting.min_hessian, boosting.pseudocount, seed
    if n_images < 1 or channels < 1 or height < 1 or width < 1:
        sizes = (n_images, channels, height, width)
        raise ValueError(f"n_images, channels, height, width: {sizes}, at least 1 is needed")
    if n_nodes < 1:
        raise ValueError("base: empty")
    expect("planes", planes.shape[0], grid_nodes)
    expect("words of planes", planes.shape[1], cbn_plane_words(n_images))
    expect("candidate_begin", candidate_begin.shape[0], grid_nodes + 1)
    expect("candidate", candidate.shape[0], candidate_begin[grid_nodes])
    if required is not None:
        required_view = required
        expect("required", required_view.shape[0], grid_nodes)
        required_data = &required_view[0]
    expect("n_trees", n_trees.shape[0], n_nodes)
    expect("nodes of n_vertices", n_vertices.shape[0], n_nodes)
    expect("rounds of n_vertices", n_vertices.shape[1], how.rounds)
    expect("nodes of split", split.shape[0], n_nodes)
    expect("rounds of split", split.shape[1], how.rounds)
    expect("vertices of split", split.shape[2], 2 * <int64_t>how.max_leaves - 1)
    expect("nodes of value", value.shape[0], n_nodes)
    expect("rounds of value", value.shape[1], how.rounds)
    expect("vertices of value", value.shape[2], 2 * <int64_t>how.max_leaves - 1)
    check(cbn_boosted_grow_workspace_size(channels, height, width, n_images, &candidate_begin[0], &how, num_threads,
                                          &n_bytes))
    cdef uint8_t[::1] workspace = bytearray(n_bytes)
    cdef const int32_t *candidate_data = &candidate[0] if candidate.shape[0] else NULL
    cdef int32_t *n_vertices_data = &n_vertices[0, 0] if how.rounds else &n_trees[0]  # never written without rounds
    cdef int32_t *split_data = &split[0, 0, 0] if how.rounds else &n_trees[0]
    cdef int32_t *value_data = &value[0, 0, 0] if how.rounds else &n_trees[0]
    with nogil:
        status = cbn_boosted_grow(channels, height, width, &planes[0, 0], n_images, &candidate_begin[0], candidate_data,
                                  required_data, &how, first_node, n_nodes, &base[0], &n_trees[0], n_vertices_data,
                                  split_data, value_data, &workspace[0], n_bytes, allowed(num_threads))
    check(status)


def boosted_log_odds(Boosted boosted, const uint64_t[:, ::1] planes, int64_t n_images, int32_t[:, ::1] odds,
                     int num_threads=1):
    cdef int status
    expect_boosted_planes(boosted, planes, n_images)
    expect("images of odds", odds.shape[0], n_images)
    expect("nodes of odds", odds.shape[1], boosted.n_nodes)
    with nogil:
        status = cbn_boosted_log_odds(&boosted.c, &planes[0, 0], n_images, &odds[0, 0], allowed(num_threads))
    check(status)


def boosted_score_images(Boosted boosted, const uint64_t[:, ::1] planes, int64_t n_images, int kind, double[::1] scores,
                         int num_threads=1):
    cdef int status
    expect_boosted_planes(boosted, planes, n_images)
    expect("scores", scores.shape[0], n_images)
    with nogil:
        status = cbn_boosted_score_images(&boosted.c, &planes[0, 0], n_images, kind, &scores[0], allowed(num_threads))
    check(status)


def boosted_score_nodes(Boosted boosted, const uint64_t[:, ::1] planes, int64_t n_images, int kind,
                        double[:, ::1] contributions, int num_threads=1):
    cdef int status
    expect_boosted_planes(boosted, planes, n_images)
    expect("images of contributions", contributions.shape[0], n_images)
    expect("nodes of contributions", contributions.shape[1], boosted.n_nodes)
    with nogil:
        status = cbn_boosted_score_nodes(&boosted.c, &planes[0, 0], n_images, kind, &contributions[0, 0], allowed(num_threads))
    check(status)


def boosted_sample(Boosted boosted, uint64_t seed, clamped, uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef const uint8_t[::1] clamped_view
    cdef const uint8_t *clamped_data = NULL
    expect("nodes of states", states.shape[1], boosted.n_nodes)
    if clamped is not None:
        clamped_view = clamped
        expect("clamped", clamped_view.shape[0], boosted.n_nodes)
        clamped_data = &clamped_view[0]
    check(cbn_boosted_sample_workspace_size(&boosted.c, states.shape[0], &n_bytes))
    cdef uint8_t[::1] workspace = bytearray(n_bytes)
    with nogil:
        status = cbn_boosted_sample(&boosted.c, seed, states.shape[0], clamped_data, &states[0, 0], &workspace[0],
                                    n_bytes, allowed(num_threads))
    check(status)


cdef uint8_t[::1] inpaint_workspace(int64_t n_nodes, const uint8_t[::1] known, uint8_t[:, ::1] states,
                                    double[::1] weight, int num_threads):
    """Checks what both particle filters take; their scratch memory."""
    cdef int64_t n_bytes
    expect("known", known.shape[0], n_nodes)
    expect("nodes of states", states.shape[1], n_nodes)
    expect("weight", weight.shape[0], states.shape[0])
    check(cbn_inpaint_workspace_size(n_nodes, states.shape[0], num_threads, &n_bytes))
    return bytearray(n_bytes)


def boosted_inpaint(Boosted boosted, uint64_t seed, const uint8_t[::1] known, uint8_t[:, ::1] states,
                    double[::1] weight, int num_threads=1):
    cdef int status
    cdef double log_marginal
    cdef uint8_t[::1] workspace = inpaint_workspace(boosted.n_nodes, known, states, weight, num_threads)
    with nogil:
        status = cbn_boosted_inpaint(&boosted.c, seed, states.shape[0], &known[0], &states[0, 0], &weight[0],
                                     &log_marginal, &workspace[0], workspace.shape[0], allowed(num_threads))
    check(status)
    return log_marginal


def tree_inpaint(Trees trees, const double[:, ::1] probability, uint64_t seed, const uint8_t[::1] known,
                 uint8_t[:, ::1] states, double[::1] weight, int num_threads=1):
    cdef int status
    cdef double log_marginal
    expect("vertices of probability", probability.shape[0], trees.n_vertices)
    expect("states of probability", probability.shape[1], 2)
    cdef uint8_t[::1] workspace = inpaint_workspace(trees.n_nodes, known, states, weight, num_threads)
    with nogil:
        status = cbn_tree_inpaint(&trees.c, &probability[0, 0], seed, states.shape[0], &known[0], &states[0, 0],
                                  &weight[0], &log_marginal, &workspace[0], workspace.shape[0], allowed(num_threads))
    check(status)
    return log_marginal


def table_inpaint(Layer layer, const double[:, ::1] probability, uint64_t seed, const uint8_t[::1] known,
                  uint8_t[:, ::1] states, double[::1] weight, int num_threads=1):
    cdef int status
    cdef double log_marginal
    expect("rows of probability", probability.shape[0], layer.n_rows)
    expect("states of probability", probability.shape[1], 2)
    cdef uint8_t[::1] workspace = inpaint_workspace(layer.n_nodes, known, states, weight, num_threads)
    with nogil:
        status = cbn_table_inpaint(&layer.c, &probability[0, 0], seed, states.shape[0], &known[0], &states[0, 0],
                                   &weight[0], &log_marginal, &workspace[0], workspace.shape[0], allowed(num_threads))
    check(status)
    return log_marginal


def score_images(Layer layer, const uint64_t[:, ::1] planes, int64_t n_images, const double[:, ::1] values,
                 double[::1] scores, int num_threads=1):
    cdef int status
    expect_planes(layer, planes, n_images)
    expect("rows of values", values.shape[0], layer.n_rows)
    expect("states of values", values.shape[1], 2)
    expect("scores", scores.shape[0], n_images)
    with nogil:
        status = cbn_score_images(&layer.c, &planes[0, 0], n_images, &values[0, 0], &scores[0], allowed(num_threads))
    check(status)


def score_nodes(Layer layer, const uint64_t[:, ::1] planes, int64_t n_images, const double[:, ::1] values,
                double[:, ::1] contributions, int num_threads=1):
    cdef int status
    expect_planes(layer, planes, n_images)
    expect("rows of values", values.shape[0], layer.n_rows)
    expect("states of values", values.shape[1], 2)
    expect("images of contributions", contributions.shape[0], n_images)
    expect("nodes of contributions", contributions.shape[1], layer.n_nodes)
    with nogil:
        status = cbn_score_nodes(&layer.c, &planes[0, 0], n_images, &values[0, 0], &contributions[0, 0], allowed(num_threads))
    check(status)


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


cdef uint8_t[::1] sampler_workspace(Layer layer, const double[:, ::1] probability, uint8_t[:, ::1] states):
    """Checks what both samplers take; their scratch memory."""
    expect("rows of probability", probability.shape[0], layer.n_rows)
    expect("states of probability", probability.shape[1], 2)
    expect("nodes of states", states.shape[1], layer.n_nodes)
    return bytearray(sampler_workspace_size(layer, states.shape[0]))


def sample_ancestral(Layer layer, const double[:, ::1] probability, uint64_t seed, clamped, uint8_t[:, ::1] states,
                     int num_threads=1):
    cdef int status
    cdef uint8_t[::1] workspace = sampler_workspace(layer, probability, states)
    cdef const uint8_t[::1] clamped_view
    cdef const uint8_t *clamped_data = NULL
    if clamped is not None:
        clamped_view = clamped
        expect("clamped", clamped_view.shape[0], layer.n_nodes)
        clamped_data = &clamped_view[0]
    with nogil:
        status = cbn_sample_ancestral(&layer.c, &probability[0, 0], seed, states.shape[0], clamped_data, &states[0, 0],
                                      &workspace[0], workspace.shape[0], allowed(num_threads))
    check(status)


def sample_gibbs(Layer layer, const double[:, ::1] probability, uint64_t seed, uint64_t first_step, int64_t n_steps,
                 const int64_t[::1] sites, uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef uint8_t[::1] workspace = sampler_workspace(layer, probability, states)
    if sites.shape[0] == 0:
        raise ValueError("sites: empty")
    with nogil:
        status = cbn_sample_gibbs(&layer.c, &probability[0, 0], seed, first_step, n_steps, &sites[0], sites.shape[0],
                                  states.shape[0], &states[0, 0], &workspace[0], workspace.shape[0], allowed(num_threads))
    check(status)


cdef class LayerStack:
    """Layers one above the other: ``Layer`` objects, the pixels first, and the ``Transition`` objects between them."""

    cdef cbn_layer[CBN_MAX_LAYERS] layers
    cdef cbn_transition[CBN_MAX_LAYERS] transitions
    cdef int n_layers
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
        self.n_layers = len(layers)
        for i, layer in enumerate(layers):
            self.layers[i] = layer.c
            self.n_rows += layer.n_rows
        for i, transition in enumerate(transitions):
            self.transitions[i] = transition.c
        layer = layers[0]
        self.n_nodes = layer.n_nodes
        check(cbn_gibbs_layers_workspace_size(self.n_layers, self.layers, self.transitions, 1, 1, &n_bytes))


def sample_gibbs_layers(LayerStack stack not None, const int64_t[:, ::1] values, double unit,
                        const double[::1] inverse_temperature not None, uint64_t seed, uint64_t first_step,
                        const int64_t[::1] sites, uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes, n_steps = inverse_temperature.shape[0]
    cdef const double *schedule = NULL
    expect("rows of values", values.shape[0], stack.n_rows)
    expect("states of values", values.shape[1], 2)
    expect("nodes of states", states.shape[1], stack.n_nodes)
    if sites.shape[0] == 0:
        raise ValueError("sites: empty")
    if n_steps > 0:
        schedule = &inverse_temperature[0]
    check(cbn_gibbs_layers_workspace_size(stack.n_layers, stack.layers, stack.transitions, states.shape[0], num_threads,
                                          &n_bytes))
    cdef uint8_t[::1] workspace = bytearray(n_bytes)
    with nogil:
        status = cbn_sample_gibbs_layers(stack.n_layers, stack.layers, stack.transitions, &values[0, 0], unit, schedule,
                                         seed, first_step, n_steps, &sites[0], sites.shape[0], states.shape[0],
                                         &states[0, 0], &workspace[0], n_bytes, allowed(num_threads))
    check(status)


cdef uint8_t[::1] tree_sampler_workspace(Trees trees, const double[:, ::1] probability, uint8_t[:, ::1] states,
                                         int num_threads):
    """Checks what both samplers of trees take; their scratch memory."""
    cdef int64_t n_bytes
    expect("vertices of probability", probability.shape[0], trees.n_vertices)
    expect("states of probability", probability.shape[1], 2)
    expect("nodes of states", states.shape[1], trees.n_nodes)
    check(cbn_tree_sampler_workspace_size(&trees.c, states.shape[0], num_threads, &n_bytes))
    return bytearray(n_bytes)


def tree_sample_ancestral(Trees trees, const double[:, ::1] probability, uint64_t seed, clamped,
                          uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef uint8_t[::1] workspace = tree_sampler_workspace(trees, probability, states, num_threads)
    cdef const uint8_t[::1] clamped_view
    cdef const uint8_t *clamped_data = NULL
    if clamped is not None:
        clamped_view = clamped
        expect("clamped", clamped_view.shape[0], trees.n_nodes)
        clamped_data = &clamped_view[0]
    with nogil:
        status = cbn_tree_sample_ancestral(&trees.c, &probability[0, 0], seed, states.shape[0], clamped_data,
                                           &states[0, 0], &workspace[0], workspace.shape[0], allowed(num_threads))
    check(status)


def tree_sample_gibbs(Trees trees, const double[:, ::1] probability, uint64_t seed, uint64_t first_step,
                      int64_t n_steps, const int64_t[::1] sites, uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef uint8_t[::1] workspace = tree_sampler_workspace(trees, probability, states, num_threads)
    if sites.shape[0] == 0:
        raise ValueError("sites: empty")
    with nogil:
        status = cbn_tree_sample_gibbs(&trees.c, &probability[0, 0], seed, first_step, n_steps, &sites[0],
                                       sites.shape[0], states.shape[0], &states[0, 0], &workspace[0],
                                       workspace.shape[0], allowed(num_threads))
    check(status)


include "_engine_neural.pxi"

# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, binding=True, embedsignature=True
"""The boundary to the C engine: check shapes, release the GIL, one C call, check the status.

Functions have the names of cbn.h without the prefix, and fill the arrays they are given, which must be C-contiguous and
of exactly the type in the signature. What they mean is said in cbn.h; what that gathers in a struct (``candidates``,
``growth``, ``grown``, ...) comes as a tuple in the order of its members. ``python/reference`` holds the NumPy twins.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
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
MAX_RADIUS = CBN_MAX_RADIUS
MAX_CUTS = CBN_MAX_CUTS
MAX_FEATURES = CBN_MAX_FEATURES
MAX_PROFILE_SIDE = CBN_MAX_PROFILE_SIDE
ROW_BITS = CBN_ROW_BITS
MAX_TIED_TREES = CBN_MAX_TIED_TREES
TIED_STEP = CBN_TIED_STEP
MAX_TAPS = CBN_MAX_TAPS
MAX_PICTURE = CBN_MAX_PICTURE
MAX_ROUNDED = CBN_MAX_ROUNDED
MAX_DIRECTIONS = CBN_MAX_DIRECTIONS
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


cdef cbn_grid grid_of(grid) except *:
    cdef cbn_grid c
    c.channels, c.height, c.width = grid
    if c.channels < 1 or c.height < 1 or c.width < 1:
        raise ValueError(f"channels, height, width: {tuple(grid)}, at least 1 is needed")
    return c


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


cdef int32_t[:, ::1] columns_of(const int32_t[:, ::1] candidates):
    """Candidate relations (n, 4), column by column."""
    expect("columns of candidates", candidates.shape[1], 4)
    if candidates.shape[0] < 1:
        raise ValueError("candidates: empty")
    return candidates.copy().T.copy()


cdef cbn_relations relations_of(int32_t[:, ::1] column) noexcept:
    """Of columns, which must live as long."""
    cdef cbn_relations relations
    relations.n, relations.child, relations.parent = column.shape[1], &column[0, 0], &column[1, 0]
    relations.dy, relations.dx = &column[2, 0], &column[3, 0]
    return relations


def relation_gains(Layer layer, const uint64_t[:, ::1] planes, int64_t n_images, const int32_t[:, ::1] candidates,
                   double[::1] bic_change, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_planes data = planes_of(planes, layer.n_nodes, n_images)
    cdef int32_t[:, ::1] column = columns_of(candidates)
    cdef cbn_relations relations = relations_of(column)
    expect("bic_change", bic_change.shape[0], relations.n)
    cdef uint8_t[::1] memory = memory_of(
        cbn_relation_gains_workspace_size(&layer.c, n_images, relations.n, &n_bytes), &n_bytes)
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


def kernel_gradient(Transition transition, objective, const uint64_t[:, ::1] planes_in,
                    const uint64_t[:, ::1] planes_out, int64_t n_images, gradient, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Layer layer
    cdef const int64_t[:, ::1] counts
    cdef double[:, :, :, ::1] weights
    cdef double[::1] bias
    cdef cbn_objective c
    cdef cbn_planes below = planes_below(transition, planes_in, n_images, planes_out.shape)
    layer, counts, c.pseudocount, c.sharpness = objective
    weights, bias = gradient
    expect_pairs("rows", "counts", counts.shape, layer.n_rows)
    expect_kernels("weights", weights.shape, &transition.c)
    expect("bias", bias.shape[0], transition.c.out_channels)
    c.layer, c.counts = &layer.c, &counts[0, 0]
    cdef uint8_t[::1] memory = memory_of(
        cbn_kernel_gradient_workspace_size(&transition.c, &layer.c, n_images, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_kernel_gradient(&transition.c, &c, below, &planes_out[0, 0], &weights[0, 0, 0, 0], &bias[0],
                                     workspace_in(memory), allowed(num_threads))
    check(status)


include "_engine_trees.pxi"
include "_engine_rounds.pxi"
include "_engine_sums.pxi"
include "_engine_tied.pxi"


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

# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, binding=True, embedsignature=True
"""The boundary to the C engine: check shapes, release the GIL, one C call, check the status.

Functions have the names of cbn.h without the prefix, and fill the NumPy arrays they are given, which must be C-contiguous
and of exactly the type in ``_engine.pyi``. What they mean is said in cbn.h; what that gathers in a struct (``candidates``,
``growth``, ``grown``, ...) comes as a tuple in the order of its members. ``python/reference`` holds the NumPy twins.
"""

from posix.unistd cimport getpid

include "_engine_arrays.pxi"

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


cdef cbn_planes planes_of(words, int64_t n_nodes, int64_t n_images) except *:
    cdef cbn_planes planes
    cdef Words words_ = words_of("words", words, 2, READ)
    expect_planes("planes", words_.shape, n_nodes, n_images)
    planes.words, planes.n_images = words_.at, n_images
    return planes


cdef cbn_grid grid_of(grid) except *:
    cdef cbn_grid c
    c.channels, c.height, c.width = grid
    if c.channels < 1 or c.height < 1 or c.width < 1:
        raise ValueError(f"channels, height, width: {tuple(grid)}, at least 1 is needed")
    return c


cdef int64_t nodes_of(cbn_grid grid) noexcept nogil:
    return <int64_t>grid.channels * grid.height * grid.width


cdef cbn_chains chains_of(states, int64_t n_nodes) except *:
    cdef cbn_chains chains
    cdef Bytes states_ = bytes_of("states", states, 2, FILLED)
    expect("nodes of states", states_.shape[1], n_nodes)
    chains.n, chains.states = states_.shape[0], states_.into
    return chains


cdef cbn_steps steps_of(uint64_t seed, uint64_t first_step, int64_t n_steps, sites) except *:
    cdef cbn_steps steps
    cdef Longs sites_ = longs_of("sites", sites, 1, READ)
    if sites_.shape[0] == 0:
        raise ValueError("sites: empty")
    steps.seed, steps.first, steps.n = seed, first_step, n_steps
    steps.sites, steps.n_sites = sites_.at, sites_.shape[0]
    return steps


# ---- tables ----


cdef class Layer:
    """A ``cbn_layer`` made from a ``cbn.cpd.grid.Layer``; it keeps the arrays alive."""

    cdef cbn_layer c
    cdef readonly int64_t n_nodes, n_rows
    cdef tuple _arrays

    def __init__(self, layer):
        begin, parent, dy, dx, required = self._arrays = layer.arrays()
        cdef Longs begin_ = longs_of("relation_begin", begin, 1, READ)
        cdef Ints parent_ = ints_of("parent_channel", parent, 1, READ)
        cdef Ints dy_ = ints_of("dy", dy, 1, READ)
        cdef Ints dx_ = ints_of("dx", dx, 1, READ)
        cdef Bytes required_ = bytes_of("required", required, 1, READ)
        self.c.grid.channels, self.c.grid.height, self.c.grid.width = layer.channels, layer.height, layer.width
        expect("relation_begin", begin_.shape[0], self.c.grid.channels + 1)
        cdef int64_t n_relations = begin_.at[self.c.grid.channels]
        expect("parent_channel", parent_.shape[0], n_relations)
        expect("dy", dy_.shape[0], n_relations)
        expect("dx", dx_.shape[0], n_relations)
        expect("required", required_.shape[0], n_relations)
        self.c.relation_begin = begin_.at
        if n_relations:
            self.c.parent_channel, self.c.dy, self.c.dx, self.c.required = parent_.at, dy_.at, dx_.at, required_.at
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


def pack_planes(images, int cutoff, planes, int num_threads=1):
    cdef int status
    cdef Bytes images_ = bytes_of("images", images, 2, READ)
    cdef Words planes_ = words_of("planes", planes, 2, FILLED)
    expect("planes", planes_.shape[0], images_.shape[1])
    expect("words of planes", planes_.shape[1], cbn_plane_words(images_.shape[0]))
    if images_.size == 0:
        raise ValueError("images: empty")
    with nogil:
        status = cbn_pack_planes(images_.at, images_.shape[0], images_.shape[1], cutoff, planes_.into,
                                 allowed(num_threads))
    check(status)


def unpack_planes(planes, states, int num_threads=1):
    cdef int status
    cdef Bytes states_ = bytes_of("states", states, 2, FILLED)
    cdef cbn_planes data = planes_of(planes, states_.shape[1], states_.shape[0])
    if states_.size == 0:
        raise ValueError("states: empty")
    with nogil:
        status = cbn_unpack_planes(data, states_.shape[1], states_.into, allowed(num_threads))
    check(status)


def planes_select(planes, int64_t n_images, keep, out, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Words planes_ = words_of("planes", planes, 2, READ)
    cdef Bytes keep_ = bytes_of("keep", keep, 1, READ)
    cdef Words out_ = words_of("out", out, 2, FILLED)
    cdef cbn_planes data = planes_of(planes, planes_.shape[0], n_images)
    expect("keep", keep_.shape[0], n_images)
    expect("nodes of out", out_.shape[0], planes_.shape[0])
    if planes_.shape[0] == 0 or out_.shape[1] == 0:
        raise ValueError("planes, keep: no image is left")
    cdef bytearray memory = memory_of(cbn_planes_select_workspace_size(n_images, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_planes_select(data, planes_.shape[0], keep_.at, out_.shape[1], out_.into, workspace,
                                   allowed(num_threads))
    check(status)


def count(Layer layer, planes, int64_t n_images, counts, int num_threads=1):
    cdef int status
    cdef Longs counts_ = longs_of("counts", counts, 2, FILLED)
    cdef cbn_planes data = planes_of(planes, layer.n_nodes, n_images)
    expect_pairs("rows", "counts", counts_.shape, layer.n_rows)
    with nogil:
        status = cbn_count(&layer.c, data, counts_.into, allowed(num_threads))
    check(status)


def counts_add(counts, total):
    cdef int status
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    cdef Longs total_ = longs_of("total", total, 2, FILLED)
    expect_rows("rows", "states", "counts", counts_.shape, total_.shape[0], total_.shape[1])
    if counts_.size == 0:
        raise ValueError("counts: empty")
    with nogil:
        status = cbn_counts_add(counts_.at, counts_.shape[0] * counts_.shape[1], total_.into)
    check(status)


def counts_check(Layer layer, counts, int64_t n_images):
    cdef int status
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    expect_pairs("rows", "counts", counts_.shape, layer.n_rows)
    with nogil:
        status = cbn_counts_check(&layer.c, counts_.at, n_images)
    check(status)


def bic(Layer layer, counts):
    cdef int status
    cdef double log_likelihood, value
    cdef int64_t n_parameters
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    expect_pairs("rows", "counts", counts_.shape, layer.n_rows)
    with nogil:
        status = cbn_bic(&layer.c, counts_.at, &log_likelihood, &n_parameters, &value)
    check(status)
    return log_likelihood, n_parameters, value


cdef object columns_of(candidates):
    """Candidate relations (n, 4), column by column."""
    cdef Ints candidates_ = ints_of("candidates", candidates, 2, READ)
    expect("columns of candidates", candidates_.shape[1], 4)
    if candidates_.shape[0] < 1:
        raise ValueError("candidates: empty")
    return candidates.T.copy()


cdef cbn_relations relations_of(columns) except *:
    """Of columns, which must live as long."""
    cdef cbn_relations relations
    cdef Ints columns_ = ints_of("columns", columns, 2, READ)
    cdef int64_t n = columns_.shape[1]
    relations.n, relations.child, relations.parent = n, columns_.at, columns_.at + n
    relations.dy, relations.dx = columns_.at + 2 * n, columns_.at + 3 * n
    return relations


def relation_gains(Layer layer, planes, int64_t n_images, candidates, bic_change, int num_threads=1, kept=None):
    cdef int status
    cdef int64_t n_bytes
    cdef Ints count_
    cdef cbn_kept_tables tables
    cdef cbn_kept_tables *given = NULL
    cdef Doubles bic_change_ = doubles_of("bic_change", bic_change, 1, FILLED)
    cdef cbn_planes data = planes_of(planes, layer.n_nodes, n_images)
    cdef object columns = columns_of(candidates)
    cdef cbn_relations relations = relations_of(columns)
    expect("bic_change", bic_change_.shape[0], relations.n)
    if kept is not None:
        count_ = ints_of("count", kept[0], 3, FILLED)
        expect("candidates of count", count_.shape[0], relations.n)
        expect("positions of count", count_.shape[1], layer.n_nodes // layer.c.grid.channels)
        tables.count, tables.entries, tables.of_last_step = count_.into, count_.shape[2], kept[1]
        given = &tables
    cdef bytearray memory = memory_of(
        cbn_relation_gains_workspace_size(&layer.c, n_images, relations.n, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_relation_gains(&layer.c, data, &relations, given, bic_change_.into, workspace,
                                    allowed(num_threads))
    check(status)


def probability_table(Layer layer, counts, double pseudocount, probability, int num_threads=1):
    cdef int status
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    cdef Doubles probability_ = doubles_of("probability", probability, 2, FILLED)
    expect_pairs("rows", "counts", counts_.shape, layer.n_rows)
    expect_pairs("rows", "probability", probability_.shape, layer.n_rows)
    with nogil:
        status = cbn_probability_table(&layer.c, counts_.at, pseudocount, probability_.into, allowed(num_threads))
    check(status)


def value_table(Layer layer, counts, double pseudocount, int kind, bint leave_one_out, values, int num_threads=1):
    cdef int status
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    cdef Doubles values_ = doubles_of("values", values, 2, FILLED)
    expect_pairs("rows", "counts", counts_.shape, layer.n_rows)
    expect_pairs("rows", "values", values_.shape, layer.n_rows)
    with nogil:
        status = cbn_value_table(&layer.c, counts_.at, pseudocount, kind, leave_one_out, values_.into,
                                 allowed(num_threads))
    check(status)


def score_images(Layer layer, planes, int64_t n_images, values, scores, int num_threads=1):
    cdef int status
    cdef Doubles values_ = doubles_of("values", values, 2, READ)
    cdef Doubles scores_ = doubles_of("scores", scores, 1, FILLED)
    cdef cbn_planes data = planes_of(planes, layer.n_nodes, n_images)
    expect_pairs("rows", "values", values_.shape, layer.n_rows)
    expect("scores", scores_.shape[0], n_images)
    with nogil:
        status = cbn_score_images(&layer.c, data, values_.at, scores_.into, allowed(num_threads))
    check(status)


def score_nodes(Layer layer, planes, int64_t n_images, values, contributions, int num_threads=1):
    cdef int status
    cdef Doubles values_ = doubles_of("values", values, 2, READ)
    cdef Doubles contributions_ = doubles_of("contributions", contributions, 2, FILLED)
    cdef cbn_planes data = planes_of(planes, layer.n_nodes, n_images)
    expect_pairs("rows", "values", values_.shape, layer.n_rows)
    expect_rows("images", "nodes", "contributions", contributions_.shape, n_images, layer.n_nodes)
    with nogil:
        status = cbn_score_nodes(&layer.c, data, values_.at, contributions_.into, allowed(num_threads))
    check(status)


# ---- hidden layers ----


cdef class Transition:
    """A ``cbn_transition`` made from a ``cbn.layers.geometry.Transition``; it keeps the arrays alive."""

    cdef cbn_transition c
    cdef readonly int64_t n_nodes_in, n_nodes_out
    cdef object _weights, _bias

    def __init__(self, transition):
        t = transition
        self._weights, self._bias = t.weights, t.bias
        cdef Ints weights_ = ints_of("weights", self._weights, 4, READ)
        cdef Ints bias_ = ints_of("bias", self._bias, 1, READ)
        self.c.in_channels, self.c.in_height, self.c.in_width = t.in_channels, t.in_height, t.in_width
        self.c.out_channels, self.c.kernel_size, self.c.pool = t.out_channels, t.kernel_size, t.pool
        expect_kernels("weights", weights_.shape, &self.c)
        expect("bias", bias_.shape[0], t.out_channels)
        if weights_.size == 0:
            raise ValueError("weights: empty")
        self.c.weights, self.c.bias = weights_.at, bias_.at
        check(cbn_transition_check(&self.c))
        self.n_nodes_in = <int64_t>t.in_channels * t.in_height * t.in_width
        self.n_nodes_out = <int64_t>t.out_channels * t.height * t.width


cdef int expect_kernels(name, const Py_ssize_t *shape, const cbn_transition *transition) except -1:
    expect_rows("kernels", "channels", name, shape, transition.out_channels, transition.in_channels)
    return expect_rows("rows", "columns", name, shape + 2, transition.kernel_size, transition.kernel_size)


cdef cbn_planes planes_below(Transition transition, planes_in, int64_t n_images) except *:
    cdef cbn_planes planes
    cdef Words planes_in_ = words_of("planes_in", planes_in, 2, READ)
    expect_planes("planes_in", planes_in_.shape, transition.n_nodes_in, n_images)
    planes.words, planes.n_images = planes_in_.at, n_images
    return planes


def transition_forward(Transition transition, planes_in, int64_t n_images, planes_out, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Words planes_out_ = words_of("planes_out", planes_out, 2, FILLED)
    cdef cbn_planes below = planes_below(transition, planes_in, n_images)
    expect_planes("planes_out", planes_out_.shape, transition.n_nodes_out, n_images)
    cdef bytearray memory = memory_of(
        cbn_transition_workspace_size(&transition.c, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_transition_forward(&transition.c, below, planes_out_.into, workspace, allowed(num_threads))
    check(status)


def transition_sums(Transition transition, planes_in, int64_t n_images, sums, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Ints sums_ = ints_of("sums", sums, 2, FILLED)
    cdef cbn_planes below = planes_below(transition, planes_in, n_images)
    expect_rows("nodes", "images", "sums", sums_.shape, transition.n_nodes_out, n_images)
    cdef bytearray memory = memory_of(
        cbn_transition_workspace_size(&transition.c, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_transition_sums(&transition.c, below, sums_.into, workspace, allowed(num_threads))
    check(status)


def kernel_gradient(Transition transition, objective, planes_in, planes_out, int64_t n_images, gradient,
                    int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Layer layer
    cdef cbn_objective c
    cdef Words planes_out_ = words_of("planes_out", planes_out, 2, READ)
    cdef cbn_planes below = planes_below(transition, planes_in, n_images)
    expect_planes("planes_out", planes_out_.shape, transition.n_nodes_out, n_images)
    layer, counts, c.pseudocount, c.sharpness = objective
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    weights, bias = gradient
    cdef Doubles weights_ = doubles_of("weights", weights, 4, FILLED)
    cdef Doubles bias_ = doubles_of("bias", bias, 1, FILLED)
    expect_pairs("rows", "counts", counts_.shape, layer.n_rows)
    expect_kernels("weights", weights_.shape, &transition.c)
    expect("bias", bias_.shape[0], transition.c.out_channels)
    c.layer, c.counts = &layer.c, counts_.at
    cdef bytearray memory = memory_of(
        cbn_kernel_gradient_workspace_size(&transition.c, &layer.c, n_images, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_kernel_gradient(&transition.c, &c, below, planes_out_.at, weights_.into, bias_.into,
                                     workspace, allowed(num_threads))
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


def uniform(uint64_t seed, uint32_t purpose, uint64_t first_step, out):
    cdef int status
    cdef Doubles out_ = doubles_of("out", out, 2, FILLED)
    if out_.size == 0:
        raise ValueError("out: empty")
    with nogil:
        status = cbn_uniform(seed, purpose, out_.shape[0], first_step, out_.shape[1], out_.into)
    check(status)


def sampler_workspace_size(Layer layer, int64_t n_chains):
    cdef int64_t n_bytes
    check(cbn_sampler_workspace_size(&layer.c, n_chains, &n_bytes))
    return n_bytes


def sample_ancestral(Layer layer, probability, uint64_t seed, clamped, states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Doubles probability_ = doubles_of("probability", probability, 2, READ)
    expect_pairs("rows", "probability", probability_.shape, layer.n_rows)
    cdef cbn_chains chains = chains_of(states, layer.n_nodes)
    cdef const uint8_t *kept = bytes_or_null("clamped", clamped, layer.n_nodes)
    cdef bytearray memory = memory_of(cbn_sampler_workspace_size(&layer.c, chains.n, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_sample_ancestral(&layer.c, probability_.at, seed, kept, chains, workspace, allowed(num_threads))
    check(status)


def sample_gibbs(Layer layer, probability, uint64_t seed, uint64_t first_step, int64_t n_steps, sites, states,
                 int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Doubles probability_ = doubles_of("probability", probability, 2, READ)
    expect_pairs("rows", "probability", probability_.shape, layer.n_rows)
    cdef cbn_chains chains = chains_of(states, layer.n_nodes)
    cdef cbn_steps steps = steps_of(seed, first_step, n_steps, sites)
    cdef bytearray memory = memory_of(cbn_sampler_workspace_size(&layer.c, chains.n, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_sample_gibbs(&layer.c, probability_.at, &steps, chains, workspace, allowed(num_threads))
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


def sample_gibbs_layers(LayerStack stack not None, values, double unit, inverse_temperature, uint64_t seed,
                        uint64_t first_step, sites, states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_energy energy
    cdef Longs values_ = longs_of("values", values, 2, READ)
    cdef Doubles inverse_temperature_ = doubles_of("inverse_temperature", inverse_temperature, 1, READ)
    expect_pairs("rows", "values", values_.shape, stack.n_rows)
    cdef cbn_chains chains = chains_of(states, stack.n_nodes)
    cdef cbn_steps steps = steps_of(seed, first_step, inverse_temperature_.shape[0], sites)
    energy.values, energy.unit = values_.at, unit
    energy.inverse_temperature = inverse_temperature_.at if steps.n else NULL
    cdef bytearray memory = memory_of(
        cbn_gibbs_layers_workspace_size(&stack.c, chains.n, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_sample_gibbs_layers(&stack.c, &energy, &steps, chains, workspace, allowed(num_threads))
    check(status)


def tree_sample_ancestral(Trees trees, probability, uint64_t seed, clamped, states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Doubles probability_ = doubles_of("probability", probability, 2, READ)
    expect_pairs("vertices", "probability", probability_.shape, trees.n_vertices)
    cdef cbn_chains chains = chains_of(states, trees.n_nodes)
    cdef const uint8_t *kept = bytes_or_null("clamped", clamped, trees.n_nodes)
    cdef bytearray memory = memory_of(
        cbn_tree_sampler_workspace_size(&trees.c, chains.n, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_tree_sample_ancestral(&trees.c, probability_.at, seed, kept, chains, workspace,
                                           allowed(num_threads))
    check(status)


def tree_sample_gibbs(Trees trees, probability, uint64_t seed, uint64_t first_step, int64_t n_steps, sites, states,
                      int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Doubles probability_ = doubles_of("probability", probability, 2, READ)
    expect_pairs("vertices", "probability", probability_.shape, trees.n_vertices)
    cdef cbn_chains chains = chains_of(states, trees.n_nodes)
    cdef cbn_steps steps = steps_of(seed, first_step, n_steps, sites)
    cdef bytearray memory = memory_of(
        cbn_tree_sampler_workspace_size(&trees.c, chains.n, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_tree_sample_gibbs(&trees.c, probability_.at, &steps, chains, workspace, allowed(num_threads))
    check(status)


include "_engine_neural.pxi"

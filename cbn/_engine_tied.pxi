# SPDX-License-Identifier: BSD-3-Clause
# The boundary of tied networks. Included by _engine.pyx, under its rules. ``causal`` is (grid, radius, place, profile),
# ``rows`` is (features, target, members, quiet).


cdef cbn_causal causal_of(causal) except *:
    cdef cbn_causal c
    cdef int64_t n_features
    grid, c.radius, c.place, c.profile = causal
    c.grid = grid_of(grid)
    check(cbn_causal_count(&c, &n_features))
    return c


cdef int64_t features_of(const cbn_causal *causal) noexcept nogil:
    cdef int64_t n_features = 0
    cbn_causal_count(causal, &n_features)
    return n_features


def causal_count(causal):
    cdef cbn_causal c = causal_of(causal)
    return features_of(&c)


def profile_thresholds():
    """A tuple of thresholds for every statistic of the profile."""
    cdef cbn_profile_thresholds own
    cbn_profile_thresholds_get(&own)
    return tuple(
        tuple(own.threshold[i] for i in range(own.begin[s], own.begin[s + 1])) for s in range(CBN_PROFILE_STATISTICS)
    )


def causal_features(causal, planes, int64_t n_images, int64_t node, bits, int num_threads=1):
    cdef int status
    cdef Words bits_ = words_of("bits", bits, 2, FILLED)
    cdef cbn_causal c = causal_of(causal)
    cdef cbn_planes data = planes_of(planes, nodes_of(c.grid), n_images)
    expect_planes("bits", bits_.shape, features_of(&c), n_images)
    with nogil:
        status = cbn_causal_features(&c, data, node, bits_.into, allowed(num_threads))
    check(status)


cdef cbn_row_sampling sampling_of(sampling) except *:
    cdef cbn_row_sampling how
    how.seed, how.below, how.thinning, how.nested, how.first = sampling
    return how


def rows_count(causal, planes, int64_t n_images, int32_t channel, sampling, counts, int num_threads=1):
    cdef int status
    cdef Words planes_ = words_of("planes", planes, 2, READ)
    cdef Longs counts_ = longs_of("counts", counts, 1, FILLED)
    cdef cbn_causal c = causal_of(causal)
    cdef cbn_row_sampling how = sampling_of(sampling)
    cdef cbn_planes data = planes_of(planes, nodes_of(c.grid), n_images)
    expect("counts", counts_.shape[0], planes_.shape[1])
    with nogil:
        status = cbn_rows_count(&c, data, channel, &how, counts_.into, allowed(num_threads))
    check(status)


def rows_take(causal, planes, int64_t n_images, int32_t channel, sampling, begin, rows, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_rows out
    cdef Words planes_ = words_of("planes", planes, 2, READ)
    cdef Longs begin_ = longs_of("begin", begin, 1, READ)
    cdef cbn_causal c = causal_of(causal)
    cdef cbn_row_sampling how = sampling_of(sampling)
    cdef cbn_planes data = planes_of(planes, nodes_of(c.grid), n_images)
    features, target, members, quiet = rows
    cdef Words features_ = words_of("features", features, 2, FILLED)
    cdef Words target_ = words_of("target", target, 1, FILLED)
    cdef Words members_ = words_of("members", members, 1, FILLED)
    cdef Words quiet_ = words_of("quiet", quiet, 1, FILLED)
    out.n_blocks, out.n_features = features_.shape[0], features_.shape[1]
    if out.n_blocks < 1:
        raise ValueError("features: empty")
    expect("begin", begin_.shape[0], planes_.shape[1] + 1)
    expect("target", target_.shape[0], out.n_blocks)
    expect("members", members_.shape[0], out.n_blocks)
    expect("quiet", quiet_.shape[0], out.n_blocks)
    out.features, out.target, out.members, out.quiet = features_.into, target_.into, members_.into, quiet_.into
    cdef bytearray memory = memory_of(cbn_rows_take_workspace_size(&c, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_rows_take(&c, data, channel, &how, begin_.at, &out, workspace, allowed(num_threads))
    check(status)


def forest_grow(features, target, members, int64_t n_learning, growth, usable, grown, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Words features_ = words_of("features", features, 2, READ)
    cdef Words target_ = words_of("target", target, 1, READ)
    cdef Words members_ = words_of("members", members, 1, READ)
    cdef Ints usable_ = ints_of("usable", usable, 1, READ)
    cdef int32_t none = 0
    cdef cbn_rows rows
    cdef cbn_forest_growth how
    cdef cbn_grown_forest out
    rows.n_blocks, rows.n_features = features_.shape[0], features_.shape[1]
    if rows.n_blocks < 1 or rows.n_features < 1:
        raise ValueError("features: empty")
    expect("target", target_.shape[0], rows.n_blocks)
    expect("members", members_.shape[0], rows.n_blocks)
    rows.features, rows.target = <uint64_t *>features_.at, <uint64_t *>target_.at
    rows.members, rows.quiet = <uint64_t *>members_.at, NULL
    how.max_leaves, how.n_candidates, how.share, how.rate, how.l2, how.min_gain, how.min_hessian, how.seed, how.stream = growth
    out.first_round, odds, n_vertices, split, value = grown
    cdef Ints odds_ = ints_of("odds", odds, 1, FILLED)
    cdef Ints n_vertices_ = ints_of("n_vertices", n_vertices, 1, FILLED)
    cdef Ints split_ = ints_of("split", split, 2, FILLED)
    cdef Ints value_ = ints_of("value", value, 2, FILLED)
    out.n_rounds = n_vertices_.shape[0]
    expect("odds", odds_.shape[0], 64 * rows.n_blocks)
    expect_rows("rounds", "vertices", "split", split_.shape, out.n_rounds, 2 * <int64_t>how.max_leaves - 1)
    expect_rows("rounds", "vertices", "value", value_.shape, out.n_rounds, 2 * <int64_t>how.max_leaves - 1)
    if out.n_rounds == 0:
        return
    out.odds, out.n_vertices, out.split, out.value = odds_.into, n_vertices_.into, split_.into, value_.into
    cdef const int32_t *drawn = usable_.at if usable_.shape[0] else &none
    cdef int64_t n_usable = usable_.shape[0]
    cdef bytearray memory = memory_of(
        cbn_forest_grow_workspace_size(&rows, n_learning, &how, n_usable, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_forest_grow(&rows, n_learning, &how, drawn, n_usable, &out, workspace, allowed(num_threads))
    check(status)


cdef class Tied:
    """A ``cbn_tied`` made from a ``cbn.cpd.tied.TiedLayer``; it keeps the arrays alive."""

    cdef cbn_tied c
    cdef readonly int64_t n_nodes
    cdef tuple _arrays
    cdef Boosted _corrections

    def __init__(self, tied):
        cdef int64_t n_vertices
        begin, tree_begin, split, value, base = self._arrays = tied.arrays()
        cdef Longs begin_ = longs_of("begin", begin, 1, READ)
        cdef Longs tree_begin_ = longs_of("tree_begin", tree_begin, 1, READ)
        cdef Ints split_ = ints_of("split", split, 1, READ)
        cdef Ints value_ = ints_of("value", value, 1, READ)
        cdef Ints base_ = ints_of("base", base, 1, READ)
        self.c.causal = causal_of(tied.causal)
        self.n_nodes = nodes_of(self.c.causal.grid)
        expect("begin", begin_.shape[0], self.c.causal.grid.channels + 1)
        expect("tree_begin", tree_begin_.shape[0], begin_.at[self.c.causal.grid.channels] + 1)
        n_vertices = tree_begin_.at[begin_.at[self.c.causal.grid.channels]]
        expect("split", split_.shape[0], n_vertices)
        expect("value", value_.shape[0], n_vertices)
        expect("base", base_.shape[0], self.c.causal.grid.channels)
        self.c.begin, self.c.tree_begin, self.c.base = begin_.at, tree_begin_.at, base_.at
        if n_vertices:
            self.c.split, self.c.value = split_.at, value_.at
        self.c.nested = tied.nested
        if tied.corrections is not None:
            self._corrections = Boosted(tied.corrections)
            self._corrections.c.required = NULL
            self.c.corrections = &self._corrections.c
        check(cbn_tied_check(&self.c))


def tied_log_odds(Tied tied, planes, int64_t n_images, odds, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Ints odds_ = ints_of("odds", odds, 2, FILLED)
    cdef cbn_planes data = planes_of(planes, tied.n_nodes, n_images)
    expect_rows("images", "nodes", "odds", odds_.shape, n_images, tied.n_nodes)
    cdef bytearray memory = memory_of(cbn_tied_score_workspace_size(&tied.c, n_images, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_tied_log_odds(&tied.c, data, odds_.into, workspace, allowed(num_threads))
    check(status)


def tied_node_odds(Tied tied, planes, int64_t n_images, int64_t first_node, odds, int num_threads=1):
    cdef int status
    cdef Words planes_ = words_of("planes", planes, 2, READ)
    cdef Ints odds_ = ints_of("odds", odds, 2, FILLED)
    cdef cbn_planes data = planes_of(planes, tied.n_nodes, n_images)
    expect("images of odds", odds_.shape[1], 64 * planes_.shape[1])
    with nogil:
        status = cbn_tied_node_odds(&tied.c, data, first_node, odds_.shape[0], odds_.into, allowed(num_threads))
    check(status)


def tied_score_images(Tied tied, planes, int64_t n_images, int kind, scores, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Doubles scores_ = doubles_of("scores", scores, 1, FILLED)
    cdef cbn_planes data = planes_of(planes, tied.n_nodes, n_images)
    expect("scores", scores_.shape[0], n_images)
    cdef bytearray memory = memory_of(cbn_tied_score_workspace_size(&tied.c, n_images, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_tied_score_images(&tied.c, data, kind, scores_.into, workspace, allowed(num_threads))
    check(status)


def tied_score_nodes(Tied tied, planes, int64_t n_images, int kind, contributions, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Doubles contributions_ = doubles_of("contributions", contributions, 2, FILLED)
    cdef cbn_planes data = planes_of(planes, tied.n_nodes, n_images)
    expect_rows("images", "nodes", "contributions", contributions_.shape, n_images, tied.n_nodes)
    cdef bytearray memory = memory_of(cbn_tied_score_workspace_size(&tied.c, n_images, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_tied_score_nodes(&tied.c, data, kind, contributions_.into, workspace, allowed(num_threads))
    check(status)


def tied_sample(Tied tied, uint64_t seed, clamped, states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_chains chains = chains_of(states, tied.n_nodes)
    cdef const uint8_t *kept = bytes_or_null("clamped", clamped, tied.n_nodes)
    cdef bytearray memory = memory_of(cbn_tied_sample_workspace_size(&tied.c, chains.n, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_tied_sample(&tied.c, seed, kept, chains, workspace, allowed(num_threads))
    check(status)


def tied_inpaint(Tied tied, uint64_t seed, known, states, weight, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef double log_marginal
    cdef cbn_particles particles = particles_of(tied.n_nodes, known, states, weight)
    cdef bytearray memory = memory_of(
        cbn_inpaint_workspace_size(tied.n_nodes, particles.n, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_tied_inpaint(&tied.c, seed, &particles, &log_marginal, workspace, allowed(num_threads))
    check(status)
    return log_marginal

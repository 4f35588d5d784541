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


def causal_features(causal, const uint64_t[:, ::1] planes, int64_t n_images, int64_t node, uint64_t[:, ::1] bits,
                    int num_threads=1):
    cdef int status
    cdef cbn_causal c = causal_of(causal)
    cdef cbn_planes data = planes_of(planes, nodes_of(c.grid), n_images)
    expect_planes("bits", bits.shape, features_of(&c), n_images)
    with nogil:
        status = cbn_causal_features(&c, data, node, &bits[0, 0], allowed(num_threads))
    check(status)


cdef cbn_row_sampling sampling_of(sampling) except *:
    cdef cbn_row_sampling how
    how.seed, how.below, how.thinning, how.nested, how.first = sampling
    return how


def rows_count(causal, const uint64_t[:, ::1] planes, int64_t n_images, int32_t channel, sampling,
               int64_t[::1] counts, int num_threads=1):
    cdef int status
    cdef cbn_causal c = causal_of(causal)
    cdef cbn_row_sampling how = sampling_of(sampling)
    cdef cbn_planes data = planes_of(planes, nodes_of(c.grid), n_images)
    expect("counts", counts.shape[0], planes.shape[1])
    with nogil:
        status = cbn_rows_count(&c, data, channel, &how, &counts[0], allowed(num_threads))
    check(status)


def rows_take(causal, const uint64_t[:, ::1] planes, int64_t n_images, int32_t channel, sampling,
              const int64_t[::1] begin, rows, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef uint64_t[:, ::1] features
    cdef uint64_t[::1] target, members, quiet
    cdef cbn_rows out
    cdef cbn_causal c = causal_of(causal)
    cdef cbn_row_sampling how = sampling_of(sampling)
    cdef cbn_planes data = planes_of(planes, nodes_of(c.grid), n_images)
    features, target, members, quiet = rows
    out.n_blocks, out.n_features = features.shape[0], features.shape[1]
    if out.n_blocks < 1:
        raise ValueError("features: empty")
    expect("begin", begin.shape[0], planes.shape[1] + 1)
    expect("target", target.shape[0], out.n_blocks)
    expect("members", members.shape[0], out.n_blocks)
    expect("quiet", quiet.shape[0], out.n_blocks)
    out.features, out.target, out.members, out.quiet = &features[0, 0], &target[0], &members[0], &quiet[0]
    cdef uint8_t[::1] memory = memory_of(cbn_rows_take_workspace_size(&c, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_rows_take(&c, data, channel, &how, &begin[0], &out, workspace_in(memory), allowed(num_threads))
    check(status)


def forest_grow(const uint64_t[:, ::1] features, const uint64_t[::1] target, const uint64_t[::1] members,
                int64_t n_learning, growth, const int32_t[::1] usable, grown, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef int32_t[::1] odds, n_vertices
    cdef int32_t[:, ::1] split, value
    cdef int32_t none = 0
    cdef cbn_rows rows
    cdef cbn_forest_growth how
    cdef cbn_grown_forest out
    rows.n_blocks, rows.n_features = features.shape[0], features.shape[1]
    if rows.n_blocks < 1 or rows.n_features < 1:
        raise ValueError("features: empty")
    expect("target", target.shape[0], rows.n_blocks)
    expect("members", members.shape[0], rows.n_blocks)
    rows.features, rows.target = <uint64_t *>&features[0, 0], <uint64_t *>&target[0]
    rows.members, rows.quiet = <uint64_t *>&members[0], NULL
    how.max_leaves, how.n_candidates, how.share, how.rate, how.l2, how.min_gain, how.min_hessian, how.seed, how.stream = growth
    out.first_round, odds, n_vertices, split, value = grown
    out.n_rounds = n_vertices.shape[0]
    expect("odds", odds.shape[0], 64 * rows.n_blocks)
    expect_rows("rounds", "vertices", "split", split.shape, out.n_rounds, 2 * <int64_t>how.max_leaves - 1)
    expect_rows("rounds", "vertices", "value", value.shape, out.n_rounds, 2 * <int64_t>how.max_leaves - 1)
    if out.n_rounds == 0:
        return
    out.odds, out.n_vertices, out.split, out.value = &odds[0], &n_vertices[0], &split[0, 0], &value[0, 0]
    cdef const int32_t *drawn = &usable[0] if usable.shape[0] else &none
    cdef int64_t n_usable = usable.shape[0]
    cdef uint8_t[::1] memory = memory_of(
        cbn_forest_grow_workspace_size(&rows, n_learning, &how, n_usable, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_forest_grow(&rows, n_learning, &how, drawn, n_usable, &out, workspace_in(memory),
                                 allowed(num_threads))
    check(status)


cdef class Tied:
    """A ``cbn_tied`` made from a ``cbn.cpd.tied.TiedLayer``; it keeps the arrays alive."""

    cdef cbn_tied c
    cdef readonly int64_t n_nodes
    cdef const int64_t[::1] _begin, _tree_begin
    cdef const int32_t[::1] _split, _value, _base
    cdef Boosted _corrections

    def __init__(self, tied):
        cdef int64_t n_vertices
        self._begin, self._tree_begin, self._split, self._value, self._base = tied.arrays()
        self.c.causal = causal_of(tied.causal)
        self.n_nodes = nodes_of(self.c.causal.grid)
        expect("begin", self._begin.shape[0], self.c.causal.grid.channels + 1)
        expect("tree_begin", self._tree_begin.shape[0], self._begin[self.c.causal.grid.channels] + 1)
        n_vertices = self._tree_begin[self._begin[self.c.causal.grid.channels]]
        expect("split", self._split.shape[0], n_vertices)
        expect("value", self._value.shape[0], n_vertices)
        expect("base", self._base.shape[0], self.c.causal.grid.channels)
        self.c.begin, self.c.tree_begin, self.c.base = &self._begin[0], &self._tree_begin[0], &self._base[0]
        if n_vertices:
            self.c.split, self.c.value = &self._split[0], &self._value[0]
        self.c.nested = tied.nested
        if tied.corrections is not None:
            self._corrections = Boosted(tied.corrections)
            self._corrections.c.required = NULL
            self.c.corrections = &self._corrections.c
        check(cbn_tied_check(&self.c))


def tied_log_odds(Tied tied, const uint64_t[:, ::1] planes, int64_t n_images, int32_t[:, ::1] odds, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_planes data = planes_of(planes, tied.n_nodes, n_images)
    expect_rows("images", "nodes", "odds", odds.shape, n_images, tied.n_nodes)
    cdef uint8_t[::1] memory = memory_of(cbn_tied_score_workspace_size(&tied.c, n_images, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_tied_log_odds(&tied.c, data, &odds[0, 0], workspace_in(memory), allowed(num_threads))
    check(status)


def tied_node_odds(Tied tied, const uint64_t[:, ::1] planes, int64_t n_images, int64_t first_node, int32_t[:, ::1] odds,
                   int num_threads=1):
    cdef int status
    cdef cbn_planes data = planes_of(planes, tied.n_nodes, n_images)
    expect("images of odds", odds.shape[1], 64 * planes.shape[1])
    with nogil:
        status = cbn_tied_node_odds(&tied.c, data, first_node, odds.shape[0], &odds[0, 0], allowed(num_threads))
    check(status)


def tied_score_images(Tied tied, const uint64_t[:, ::1] planes, int64_t n_images, int kind, double[::1] scores,
                      int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_planes data = planes_of(planes, tied.n_nodes, n_images)
    expect("scores", scores.shape[0], n_images)
    cdef uint8_t[::1] memory = memory_of(cbn_tied_score_workspace_size(&tied.c, n_images, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_tied_score_images(&tied.c, data, kind, &scores[0], workspace_in(memory), allowed(num_threads))
    check(status)


def tied_score_nodes(Tied tied, const uint64_t[:, ::1] planes, int64_t n_images, int kind,
                     double[:, ::1] contributions, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_planes data = planes_of(planes, tied.n_nodes, n_images)
    expect_rows("images", "nodes", "contributions", contributions.shape, n_images, tied.n_nodes)
    cdef uint8_t[::1] memory = memory_of(cbn_tied_score_workspace_size(&tied.c, n_images, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_tied_score_nodes(&tied.c, data, kind, &contributions[0, 0], workspace_in(memory),
                                      allowed(num_threads))
    check(status)


def tied_sample(Tied tied, uint64_t seed, clamped, uint8_t[:, ::1] states, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_chains chains = chains_of(states, tied.n_nodes)
    cdef const uint8_t *kept = bytes_or_null("clamped", clamped, tied.n_nodes)
    cdef uint8_t[::1] memory = memory_of(cbn_tied_sample_workspace_size(&tied.c, chains.n, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_tied_sample(&tied.c, seed, kept, chains, workspace_in(memory), allowed(num_threads))
    check(status)


def tied_inpaint(Tied tied, uint64_t seed, const uint8_t[::1] known, uint8_t[:, ::1] states, double[::1] weight,
                 int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef double log_marginal
    cdef cbn_particles particles = particles_of(tied.n_nodes, known, states, weight)
    cdef uint8_t[::1] memory = memory_of(
        cbn_inpaint_workspace_size(tied.n_nodes, particles.n, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_tied_inpaint(&tied.c, seed, &particles, &log_marginal, workspace_in(memory), allowed(num_threads))
    check(status)
    return log_marginal

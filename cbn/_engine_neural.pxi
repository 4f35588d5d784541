# SPDX-License-Identifier: BSD-3-Clause
# The neural part of the boundary: convolution, pooling, sidewards models and networks of inverted residuals. Included by _engine.pyx, under its rules.


cdef cbn_convolution convolution_of(x, taps, int32_t out_channels, int stride, int32_t height, int32_t width):
    cdef cbn_convolution c
    cdef Floats x_ = floats_of("x", x, 4, READ)
    cdef Ints taps_ = ints_of("taps", taps, 2, READ)
    c.n_images, c.in_height, c.in_width, c.in_channels = x_.shape[0], x_.shape[1], x_.shape[2], x_.shape[3]
    c.height, c.width, c.out_channels, c.stride = height, width, out_channels, stride
    c.n_taps = taps_.shape[0]
    c.taps = taps_.at if taps_.shape[0] else NULL
    return c


def convolve(x, taps, weights, bias, int stride, out, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Floats x_ = floats_of("x", x, 4, READ)
    cdef Ints taps_ = ints_of("taps", taps, 2, READ)
    cdef Floats weights_ = floats_of("weights", weights, 3, READ)
    cdef Floats bias_ = floats_of("bias", bias, 1, READ)
    cdef Floats out_ = floats_of("out", out, 4, FILLED)
    cdef int32_t n_out = out_.shape[3]
    expect("columns of taps", taps_.shape[1], 2)
    expect("taps of weights", weights_.shape[0], taps_.shape[0])
    expect("input channels of weights", weights_.shape[1], x_.shape[3])
    expect("output channels of weights", weights_.shape[2], n_out)
    expect("bias", bias_.shape[0], n_out)
    expect("images of out", out_.shape[0], x_.shape[0])
    cdef cbn_convolution c = convolution_of(x, taps, n_out, stride, out_.shape[1], out_.shape[2])
    cdef bytearray memory = memory_of(cbn_convolve_workspace_size(&c, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_convolve(&c, x_.at, weights_.at, bias_.at, out_.into, workspace, allowed(num_threads))
    check(status)


def convolve_weight_gradient(x, taps, d_out, int stride, d_weights, d_bias, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Floats x_ = floats_of("x", x, 4, READ)
    cdef Ints taps_ = ints_of("taps", taps, 2, READ)
    cdef Floats d_out_ = floats_of("d_out", d_out, 4, READ)
    cdef Floats d_weights_ = floats_of("d_weights", d_weights, 3, FILLED)
    cdef Floats d_bias_ = floats_of("d_bias", d_bias, 1, FILLED)
    cdef int32_t n_out = d_out_.shape[3]
    expect("columns of taps", taps_.shape[1], 2)
    expect("taps of d_weights", d_weights_.shape[0], taps_.shape[0])
    expect("input channels of d_weights", d_weights_.shape[1], x_.shape[3])
    expect("output channels of d_weights", d_weights_.shape[2], n_out)
    expect("d_bias", d_bias_.shape[0], n_out)
    expect("images of d_out", d_out_.shape[0], x_.shape[0])
    cdef cbn_convolution c = convolution_of(x, taps, n_out, stride, d_out_.shape[1], d_out_.shape[2])
    cdef bytearray memory = memory_of(
        cbn_convolve_weight_gradient_workspace_size(&c, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_convolve_weight_gradient(&c, x_.at, d_out_.at, d_weights_.into, d_bias_.into,
                                              workspace, allowed(num_threads))
    check(status)


cdef int expect_pooled(const cbn_pooling *p, int64_t n, int64_t height, int64_t width, int64_t channels) except -1:
    if p.size < 1 or p.stride < 1 or p.size > p.height or p.size > p.width:
        raise ValueError(f"size {p.size}, stride {p.stride}: no such window in {p.height} x {p.width} positions")
    expect("images of the output", n, p.n_images)
    expect("rows of the output", height, (p.height - p.size) // p.stride + 1)
    expect("columns of the output", width, (p.width - p.size) // p.stride + 1)
    expect("channels of the output", channels, p.channels)
    return 0


def max_pool(x, int size, int stride, out, which, int num_threads=1):
    cdef int status
    cdef cbn_pooling p
    cdef Floats x_ = floats_of("x", x, 4, READ)
    cdef Floats out_ = floats_of("out", out, 4, FILLED)
    cdef Bytes which_ = bytes_of("which", which, 4, FILLED)
    p.n_images, p.height, p.width, p.channels = x_.shape[0], x_.shape[1], x_.shape[2], x_.shape[3]
    p.size, p.stride = size, stride
    expect_pooled(&p, out_.shape[0], out_.shape[1], out_.shape[2], out_.shape[3])
    expect_pooled(&p, which_.shape[0], which_.shape[1], which_.shape[2], which_.shape[3])
    with nogil:
        status = cbn_max_pool(&p, x_.at, out_.into, which_.into, allowed(num_threads))
    check(status)


def max_pool_gradient(d_out, which, int size, int stride, d_x, int num_threads=1):
    cdef int status
    cdef cbn_pooling p
    cdef Floats d_out_ = floats_of("d_out", d_out, 4, READ)
    cdef Bytes which_ = bytes_of("which", which, 4, READ)
    cdef Floats d_x_ = floats_of("d_x", d_x, 4, FILLED)
    p.n_images, p.height, p.width, p.channels = d_x_.shape[0], d_x_.shape[1], d_x_.shape[2], d_x_.shape[3]
    p.size, p.stride = size, stride
    expect_pooled(&p, d_out_.shape[0], d_out_.shape[1], d_out_.shape[2], d_out_.shape[3])
    expect_pooled(&p, which_.shape[0], which_.shape[1], which_.shape[2], which_.shape[3])
    with nogil:
        status = cbn_max_pool_gradient(&p, d_out_.at, which_.at, d_x_.into, allowed(num_threads))
    check(status)


cdef class Sidewards:
    """A ``cbn_sidewards`` and its weights, checked against each other; it keeps the arrays alive."""

    cdef cbn_sidewards c
    cdef cbn_sidewards_weights weights
    cdef const float *extra
    cdef int64_t n_hidden
    cdef object _arrays

    def __init__(self, x, taps, extra, units, weights):
        cdef Floats x_ = floats_of("x", x, 4, READ)
        cdef Ints taps_ = ints_of("taps", taps, 2, READ)
        cdef Floats extra_ = floats_of("extra", extra, 3, READ)
        cdef Ints units_ = ints_of("units", units, 1, READ)
        first, first_extra, hidden, last = weights
        cdef Floats first_ = floats_of("first", first, 3, READ)
        cdef Floats first_extra_ = floats_of("first_extra", first_extra, 2, READ)
        cdef Floats hidden_ = floats_of("hidden", hidden, 1, READ)
        cdef Floats last_ = floats_of("last", last, 3, READ)
        self._arrays = (x, taps, extra, units, first, first_extra, hidden, last)
        expect("columns of taps", taps_.shape[1], 2)
        if units_.shape[0] == 0:
            raise ValueError("units: empty")
        self.c.n_images, self.c.in_height, self.c.in_width = x_.shape[0], x_.shape[1], x_.shape[2]
        self.c.in_channels = x_.shape[3]
        self.c.height, self.c.width, self.c.n_extra = extra_.shape[0], extra_.shape[1], extra_.shape[2]
        self.c.kernels, self.c.n_layers, self.c.n_taps = last_.shape[1], units_.shape[0], taps_.shape[0]
        self.c.taps = taps_.at if taps_.shape[0] else NULL
        self.c.units = units_.at
        self.c.own_last = last_.shape[0] > 1
        self.n_hidden = 0
        cdef int64_t i
        for i in range(units_.shape[0] - 1):
            self.n_hidden += (<int64_t>units_.at[i] + 1) * units_.at[i + 1]
        expect("taps of first", first_.shape[0], taps_.shape[0])
        expect("input channels of first", first_.shape[1], x_.shape[3])
        expect("units of first", first_.shape[2], units_.at[0])
        expect("inputs of first_extra", first_extra_.shape[0], extra_.shape[2] + 1)
        expect("units of first_extra", first_extra_.shape[1], units_.at[0])
        expect("hidden", hidden_.shape[0], self.n_hidden)
        if last_.shape[0] != 1:
            expect("positions of last", last_.shape[0], extra_.shape[0] * extra_.shape[1])
        expect("inputs of last", last_.shape[2], units_.at[units_.shape[0] - 1] + 1)
        self.weights.first = first_.at
        self.weights.first_extra = first_extra_.at
        self.weights.hidden = hidden_.at if hidden_.shape[0] else NULL
        self.weights.last = last_.at
        self.extra = extra_.at if extra_.shape[2] else NULL

    cdef int expect_outputs(self, name, array) except -1:
        cdef Floats array_ = floats_of(name, array, 4, READ)
        expect(f"images of {name}", array_.shape[0], self.c.n_images)
        expect(f"rows of {name}", array_.shape[1], self.c.height)
        expect(f"columns of {name}", array_.shape[2], self.c.width)
        return 0


def sidewards_predict(x, taps, extra, units, weights, out, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Floats x_ = floats_of("x", x, 4, READ)
    cdef Floats out_ = floats_of("out", out, 4, FILLED)
    cdef Sidewards s = Sidewards(x, taps, extra, units, weights)
    s.expect_outputs("out", out)
    expect("kernels of out", out_.shape[3], s.c.kernels)
    cdef bytearray memory = memory_of(cbn_sidewards_predict_workspace_size(&s.c, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_sidewards_predict(&s.c, x_.at, s.extra, &s.weights, out_.into, workspace, allowed(num_threads))
    check(status)


def sidewards_gradient(x, taps, extra, units, weights, target, gradients, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_sidewards_gradients out
    cdef Floats sums_
    cdef Floats x_ = floats_of("x", x, 4, READ)
    cdef Ints units_ = ints_of("units", units, 1, READ)
    cdef Floats target_ = floats_of("target", target, 4, READ)
    cdef Sidewards s = Sidewards(x, taps, extra, units, weights)
    d_first, d_first_extra, d_hidden, d_last, error, d_sums = gradients
    cdef Floats d_first_ = floats_of("d_first", d_first, 3, FILLED)
    cdef Floats d_first_extra_ = floats_of("d_first_extra", d_first_extra, 2, FILLED)
    cdef Floats d_hidden_ = floats_of("d_hidden", d_hidden, 1, FILLED)
    cdef Floats d_last_ = floats_of("d_last", d_last, 3, FILLED)
    cdef Floats error_ = floats_of("error", error, 4, FILLED)
    for name, array in (("target", target), ("error", error)):
        s.expect_outputs(name, array)
        expect(f"kernels of {name}", array.shape[3], s.c.kernels)
    for name, own, shaped in zip(("first", "first_extra", "hidden", "last"), gradients, weights):
        if own.shape != shaped.shape:
            raise ValueError(f"d_{name}: shape {own.shape} where {shaped.shape} is needed")
    out.first, out.first_extra, out.last = d_first_.into, d_first_extra_.into, d_last_.into
    out.hidden = d_hidden_.into if d_hidden_.shape[0] else NULL
    out.error, out.sums = error_.into, NULL
    if d_sums is not None:
        sums_ = floats_of("d_sums", d_sums, 4, FILLED)
        s.expect_outputs("d_sums", d_sums)
        expect("units of d_sums", sums_.shape[3], units_.at[0])
        out.sums = sums_.into
    cdef bytearray memory = memory_of(cbn_sidewards_gradient_workspace_size(&s.c, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_sidewards_gradient(&s.c, x_.at, s.extra, &s.weights, target_.at, &out,
                                        workspace, allowed(num_threads))
    check(status)


cdef cbn_mobile mobile_of(blocks) except *:
    cdef cbn_mobile m
    cdef Ints blocks_ = ints_of("blocks", blocks, 2, READ)
    expect("columns of blocks", blocks_.shape[1], 4)
    if not 1 <= blocks_.shape[0] <= CBN_MAX_BLOCKS:
        raise ValueError(f"blocks: {blocks_.shape[0]} where 1 to {CBN_MAX_BLOCKS} are needed")
    m.n_blocks, m.blocks = blocks_.shape[0], blocks_.at
    check(cbn_mobile_check(&m))
    return m


def mobile_weights(blocks):
    cdef cbn_mobile m = mobile_of(blocks)
    cdef int64_t n
    check(cbn_mobile_weights(&m, &n))
    return n


def mobile_pack(blocks, weights, packed):
    cdef int status
    cdef Floats weights_ = floats_of("weights", weights, 1, READ)
    cdef Floats packed_ = floats_of("packed", packed, 1, FILLED)
    cdef cbn_mobile m = mobile_of(blocks)
    expect("weights", weights_.shape[0], mobile_weights(blocks))
    expect("packed", packed_.shape[0], weights_.shape[0])
    with nogil:
        status = cbn_mobile_pack(&m, weights_.at, packed_.into)
    check(status)


def mobile_features(blocks, packed, pictures, float scale, float shift, out, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes, height, width
    cdef cbn_pictures p
    cdef float *outputs[CBN_MAX_BLOCKS]
    cdef Floats own_
    cdef Ints blocks_ = ints_of("blocks", blocks, 2, READ)
    cdef Floats packed_ = floats_of("packed", packed, 1, READ)
    cdef Floats pictures_ = floats_of("pictures", pictures, 4, READ)
    cdef cbn_mobile m = mobile_of(blocks)
    expect("packed", packed_.shape[0], mobile_weights(blocks))
    expect("blocks of out", len(out), m.n_blocks)
    if pictures_.size == 0:
        raise ValueError("pictures: empty")
    if max(pictures_.shape[1], pictures_.shape[2]) > CBN_MAX_PICTURE:
        raise ValueError(f"pictures: {pictures_.shape[1]} x {pictures_.shape[2]}, at most {CBN_MAX_PICTURE} a side")
    if pictures_.shape[3] not in (1, 3):
        raise ValueError(f"channels of pictures: {pictures_.shape[3]} where 1 or 3 are needed")
    p.n_images, p.height, p.width = pictures_.shape[0], pictures_.shape[1], pictures_.shape[2]
    p.channels, p.values, p.scale, p.shift = pictures_.shape[3], pictures_.at, scale, shift
    cdef int b
    height, width = (p.height + 1) // 2, (p.width + 1) // 2  # of the stem
    for b in range(m.n_blocks):
        height, width = -(-height // blocks_.at[4 * b + 3]), -(-width // blocks_.at[4 * b + 3])
        outputs[b] = NULL
        if out[b] is not None:
            own_ = floats_of(f"out {b}", out[b], 4, FILLED)
            expect(f"images of out {b}", own_.shape[0], p.n_images)
            expect(f"rows of out {b}", own_.shape[1], height)
            expect(f"columns of out {b}", own_.shape[2], width)
            expect(f"channels of out {b}", own_.shape[3], blocks_.at[4 * b + 1])
            outputs[b] = own_.into
    cdef bytearray memory = memory_of(cbn_mobile_workspace_size(&m, &p, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_mobile_features(&m, packed_.at, &p, outputs, workspace, allowed(num_threads))
    check(status)


cdef cbn_gaussians gaussians_of(int64_t height, int64_t width, int64_t size, law) except *:
    cdef cbn_gaussians g
    if not 1 <= size <= CBN_MAX_DIRECTIONS:
        raise ValueError(f"features of a position: {size} where 1 to {CBN_MAX_DIRECTIONS} are needed")
    if max(height, width) >= 2**31:
        raise ValueError("positions: too many")
    g.height, g.width, g.size = height, width, size
    g.n, g.unit, g.strength, g.ridge, g.prior = law
    g.reach = g.without_own = 0
    check(cbn_gaussians_check(&g))
    return g


def eigenvectors(matrix, values, vectors):
    cdef int status
    cdef Doubles matrix_ = doubles_of("matrix", matrix, 2, READ)
    cdef Doubles values_ = doubles_of("values", values, 1, FILLED)
    cdef Doubles vectors_ = doubles_of("vectors", vectors, 2, FILLED)
    cdef int64_t n_bytes, size = matrix_.shape[0]
    if not 1 <= size <= CBN_MAX_DIRECTIONS:
        raise ValueError(f"matrix: {size} rows where 1 to {CBN_MAX_DIRECTIONS} are needed")
    expect("columns of matrix", matrix_.shape[1], size)
    expect("values", values_.shape[0], size)
    expect("rows of vectors", vectors_.shape[0], size)
    expect("columns of vectors", vectors_.shape[1], size)
    cdef bytearray memory = memory_of(cbn_eigenvectors_workspace_size(<int32_t>size, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_eigenvectors(<int32_t>size, matrix_.at, values_.into, vectors_.into, workspace)
    check(status)


def factor_floats(int32_t size):
    return cbn_factor_floats(size)


def moments_add(x, sums, products, int num_threads=1):
    cdef int status
    cdef Shorts x_ = shorts_of("x", x, 3, READ)
    cdef Longs sums_ = longs_of("sums", sums, 2, FILLED)
    cdef Longs products_ = longs_of("products", products, 2, FILLED)
    cdef int64_t n_bytes, positions = x_.shape[1], size = x_.shape[2]
    cdef cbn_gaussians g = gaussians_of(1, positions, size, (1, 1.0, 0.0, 0.0, 0.0))
    expect("positions of sums", sums_.shape[0], positions)
    expect("features of sums", sums_.shape[1], size)
    expect("positions of products", products_.shape[0], positions)
    expect("products of a position", products_.shape[1], size * (size + 1) // 2)
    if x_.shape[0] == 0:
        raise ValueError("x: empty")
    cdef bytearray memory = memory_of(cbn_moments_workspace_size(&g, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_moments_add(&g, x_.at, x_.shape[0], sums_.into, products_.into, workspace, allowed(num_threads))
    check(status)


def gaussian_factors(sums, products, law, mean, factors, int num_threads=1, basis=None, offset=None):
    cdef int status
    cdef Longs sums_ = longs_of("sums", sums, 2, READ)
    cdef Longs products_ = longs_of("products", products, 2, READ)
    cdef Floats mean_ = floats_of("mean", mean, 2, FILLED)
    cdef Floats factors_ = floats_of("factors", factors, 2, FILLED)
    cdef Doubles basis_, offset_
    cdef int64_t n_bytes, positions = sums_.shape[0], of_sums = sums_.shape[1], size = mean_.shape[1]
    cdef cbn_whitening whitening
    cdef cbn_whitening *given = NULL
    cdef cbn_gaussians g = gaussians_of(1, positions, size, law)
    if basis is not None:
        if not 1 <= of_sums <= CBN_MAX_DIRECTIONS:
            raise ValueError(f"features of sums: {of_sums} where 1 to {CBN_MAX_DIRECTIONS} are needed")
        basis_ = doubles_of("basis", basis, 2, READ)
        expect("rows of basis", basis_.shape[0], of_sums)
        expect("columns of basis", basis_.shape[1], size)
        if offset is None:
            raise ValueError("offset: None; give it with the basis")
        offset_ = doubles_of("offset", offset, 1, READ)
        expect("offset", offset_.shape[0], size)
        whitening.inputs, whitening.basis, whitening.offset = of_sums, basis_.at, offset_.at
        given = &whitening
    else:
        expect("features of mean", size, of_sums)
    expect("positions of products", products_.shape[0], positions)
    expect("products of a position", products_.shape[1], of_sums * (of_sums + 1) // 2)
    expect("positions of mean", mean_.shape[0], positions)
    expect("positions of factors", factors_.shape[0], positions)
    expect("floats of a factor", factors_.shape[1], cbn_factor_floats(size))
    cdef bytearray memory = memory_of(cbn_gaussian_factors_workspace_size(&g, given, num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_gaussian_factors(&g, given, sums_.at, products_.at, mean_.into, factors_.into,
                                      workspace, allowed(num_threads))
    check(status)


def gaussian_energies(x, mean, factors, law, int reach, bint without_own, energies, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Shorts x_ = shorts_of("x", x, 4, READ)
    cdef Floats mean_ = floats_of("mean", mean, 2, READ)
    cdef Floats factors_ = floats_of("factors", factors, 2, READ)
    cdef Floats energies_ = floats_of("energies", energies, 3, FILLED)
    cdef cbn_gaussians g = gaussians_of(x_.shape[1], x_.shape[2], x_.shape[3], law)
    g.reach, g.without_own = reach, without_own
    expect("positions of mean", mean_.shape[0], x_.shape[1] * x_.shape[2])
    expect("features of mean", mean_.shape[1], x_.shape[3])
    expect("positions of factors", factors_.shape[0], x_.shape[1] * x_.shape[2])
    expect("floats of a factor", factors_.shape[1], cbn_factor_floats(x_.shape[3]))
    expect("images of energies", energies_.shape[0], x_.shape[0])
    expect("rows of energies", energies_.shape[1], x_.shape[1])
    expect("columns of energies", energies_.shape[2], x_.shape[2])
    if x_.shape[0] == 0:
        raise ValueError("x: empty")
    cdef bytearray memory = memory_of(
        cbn_gaussian_energies_workspace_size(&g, x_.shape[0], num_threads, &n_bytes), &n_bytes)
    cdef cbn_workspace workspace = workspace_in(memory)
    with nogil:
        status = cbn_gaussian_energies(&g, x_.at, x_.shape[0], mean_.at, factors_.at,
                                       energies_.into, workspace, allowed(num_threads))
    check(status)

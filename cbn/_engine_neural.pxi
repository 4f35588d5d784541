# SPDX-License-Identifier: BSD-3-Clause
# The neural part of the boundary: convolution, pooling, sidewards models and networks of inverted residuals. Included by _engine.pyx, under its rules.


cdef cbn_convolution convolution_of(const float[:, :, :, ::1] x, const int32_t[:, ::1] taps, int32_t out_channels,
                                    int stride, int32_t height, int32_t width):
    cdef cbn_convolution c
    c.n_images, c.in_height, c.in_width, c.in_channels = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    c.height, c.width, c.out_channels, c.stride = height, width, out_channels, stride
    c.n_taps = taps.shape[0]
    c.taps = &taps[0, 0] if taps.shape[0] else NULL
    return c


def convolve(const float[:, :, :, ::1] x, const int32_t[:, ::1] taps, const float[:, :, ::1] weights,
             const float[::1] bias, int stride, float[:, :, :, ::1] out, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef int32_t n_out = out.shape[3]
    expect("columns of taps", taps.shape[1], 2)
    expect("taps of weights", weights.shape[0], taps.shape[0])
    expect("input channels of weights", weights.shape[1], x.shape[3])
    expect("output channels of weights", weights.shape[2], n_out)
    expect("bias", bias.shape[0], n_out)
    expect("images of out", out.shape[0], x.shape[0])
    cdef cbn_convolution c = convolution_of(x, taps, n_out, stride, out.shape[1], out.shape[2])
    cdef uint8_t[::1] memory = memory_of(cbn_convolve_workspace_size(&c, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_convolve(&c, &x[0, 0, 0, 0], &weights[0, 0, 0], &bias[0], &out[0, 0, 0, 0], workspace_in(memory),
                              allowed(num_threads))
    check(status)


def convolve_weight_gradient(const float[:, :, :, ::1] x, const int32_t[:, ::1] taps,
                             const float[:, :, :, ::1] d_out, int stride, float[:, :, ::1] d_weights,
                             float[::1] d_bias, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef int32_t n_out = d_out.shape[3]
    expect("columns of taps", taps.shape[1], 2)
    expect("taps of d_weights", d_weights.shape[0], taps.shape[0])
    expect("input channels of d_weights", d_weights.shape[1], x.shape[3])
    expect("output channels of d_weights", d_weights.shape[2], n_out)
    expect("d_bias", d_bias.shape[0], n_out)
    expect("images of d_out", d_out.shape[0], x.shape[0])
    cdef cbn_convolution c = convolution_of(x, taps, n_out, stride, d_out.shape[1], d_out.shape[2])
    cdef uint8_t[::1] memory = memory_of(
        cbn_convolve_weight_gradient_workspace_size(&c, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_convolve_weight_gradient(&c, &x[0, 0, 0, 0], &d_out[0, 0, 0, 0], &d_weights[0, 0, 0], &d_bias[0],
                                              workspace_in(memory), allowed(num_threads))
    check(status)


cdef int expect_pooled(const cbn_pooling *p, int64_t n, int64_t height, int64_t width, int64_t channels) except -1:
    if p.size < 1 or p.stride < 1 or p.size > p.height or p.size > p.width:
        raise ValueError(f"size {p.size}, stride {p.stride}: no such window in {p.height} x {p.width} positions")
    expect("images of the output", n, p.n_images)
    expect("rows of the output", height, (p.height - p.size) // p.stride + 1)
    expect("columns of the output", width, (p.width - p.size) // p.stride + 1)
    expect("channels of the output", channels, p.channels)
    return 0


def max_pool(const float[:, :, :, ::1] x, int size, int stride, float[:, :, :, ::1] out,
             uint8_t[:, :, :, ::1] which, int num_threads=1):
    cdef int status
    cdef cbn_pooling p
    p.n_images, p.height, p.width, p.channels = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    p.size, p.stride = size, stride
    expect_pooled(&p, out.shape[0], out.shape[1], out.shape[2], out.shape[3])
    expect_pooled(&p, which.shape[0], which.shape[1], which.shape[2], which.shape[3])
    with nogil:
        status = cbn_max_pool(&p, &x[0, 0, 0, 0], &out[0, 0, 0, 0], &which[0, 0, 0, 0], allowed(num_threads))
    check(status)


def max_pool_gradient(const float[:, :, :, ::1] d_out, const uint8_t[:, :, :, ::1] which, int size, int stride,
                      float[:, :, :, ::1] d_x, int num_threads=1):
    cdef int status
    cdef cbn_pooling p
    p.n_images, p.height, p.width, p.channels = d_x.shape[0], d_x.shape[1], d_x.shape[2], d_x.shape[3]
    p.size, p.stride = size, stride
    expect_pooled(&p, d_out.shape[0], d_out.shape[1], d_out.shape[2], d_out.shape[3])
    expect_pooled(&p, which.shape[0], which.shape[1], which.shape[2], which.shape[3])
    with nogil:
        status = cbn_max_pool_gradient(&p, &d_out[0, 0, 0, 0], &which[0, 0, 0, 0], &d_x[0, 0, 0, 0],
                                       allowed(num_threads))
    check(status)


cdef class Sidewards:
    """A ``cbn_sidewards`` and its weights, checked against each other; it keeps the arrays alive."""

    cdef cbn_sidewards c
    cdef cbn_sidewards_weights weights
    cdef const float *extra
    cdef int64_t n_hidden
    cdef object _arrays

    def __init__(self, const float[:, :, :, ::1] x, const int32_t[:, ::1] taps, const float[:, :, ::1] extra,
                 const int32_t[::1] units, weights):
        cdef const float[:, :, ::1] first, last
        cdef const float[:, ::1] first_extra
        cdef const float[::1] hidden
        first, first_extra, hidden, last = weights
        self._arrays = (x, taps, extra, units, first, first_extra, hidden, last)
        expect("columns of taps", taps.shape[1], 2)
        if units.shape[0] == 0:
            raise ValueError("units: empty")
        self.c.n_images, self.c.in_height, self.c.in_width = x.shape[0], x.shape[1], x.shape[2]
        self.c.in_channels = x.shape[3]
        self.c.height, self.c.width, self.c.n_extra = extra.shape[0], extra.shape[1], extra.shape[2]
        self.c.kernels, self.c.n_layers, self.c.n_taps = last.shape[1], units.shape[0], taps.shape[0]
        self.c.taps = &taps[0, 0] if taps.shape[0] else NULL
        self.c.units = &units[0]
        self.c.own_last = last.shape[0] > 1
        self.n_hidden = 0
        cdef int64_t i
        for i in range(units.shape[0] - 1):
            self.n_hidden += (<int64_t>units[i] + 1) * units[i + 1]
        expect("taps of first", first.shape[0], taps.shape[0])
        expect("input channels of first", first.shape[1], x.shape[3])
        expect("units of first", first.shape[2], units[0])
        expect("inputs of first_extra", first_extra.shape[0], extra.shape[2] + 1)
        expect("units of first_extra", first_extra.shape[1], units[0])
        expect("hidden", hidden.shape[0], self.n_hidden)
        if last.shape[0] != 1:
            expect("positions of last", last.shape[0], extra.shape[0] * extra.shape[1])
        expect("inputs of last", last.shape[2], units[units.shape[0] - 1] + 1)
        self.weights.first = &first[0, 0, 0]
        self.weights.first_extra = &first_extra[0, 0]
        self.weights.hidden = &hidden[0] if hidden.shape[0] else NULL
        self.weights.last = &last[0, 0, 0]
        self.extra = &extra[0, 0, 0] if extra.shape[2] else NULL

    cdef int expect_outputs(self, name, const float[:, :, :, ::1] array) except -1:
        expect(f"images of {name}", array.shape[0], self.c.n_images)
        expect(f"rows of {name}", array.shape[1], self.c.height)
        expect(f"columns of {name}", array.shape[2], self.c.width)
        return 0


def sidewards_predict(const float[:, :, :, ::1] x, const int32_t[:, ::1] taps, const float[:, :, ::1] extra,
                      const int32_t[::1] units, weights, float[:, :, :, ::1] out, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef Sidewards s = Sidewards(x, taps, extra, units, weights)
    s.expect_outputs("out", out)
    expect("kernels of out", out.shape[3], s.c.kernels)
    cdef uint8_t[::1] memory = memory_of(cbn_sidewards_predict_workspace_size(&s.c, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_sidewards_predict(&s.c, &x[0, 0, 0, 0], s.extra, &s.weights, &out[0, 0, 0, 0],
                                       workspace_in(memory), allowed(num_threads))
    check(status)


def sidewards_gradient(const float[:, :, :, ::1] x, const int32_t[:, ::1] taps, const float[:, :, ::1] extra,
                       const int32_t[::1] units, weights, const float[:, :, :, ::1] target, gradients,
                       int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef float[:, :, ::1] d_first, d_last
    cdef float[:, ::1] d_first_extra
    cdef float[::1] d_hidden
    cdef float[:, :, :, ::1] error, sums
    cdef cbn_sidewards_gradients out
    cdef Sidewards s = Sidewards(x, taps, extra, units, weights)
    d_first, d_first_extra, d_hidden, d_last, error, d_sums = gradients
    for name, array in (("target", target), ("error", error)):
        s.expect_outputs(name, array)
        expect(f"kernels of {name}", array.shape[3], s.c.kernels)
    for name, own, shaped in zip(("first", "first_extra", "hidden", "last"), gradients, weights):
        if own.shape != shaped.shape:
            raise ValueError(f"d_{name}: shape {own.shape} where {shaped.shape} is needed")
    out.first, out.first_extra, out.last = &d_first[0, 0, 0], &d_first_extra[0, 0], &d_last[0, 0, 0]
    out.hidden = &d_hidden[0] if d_hidden.shape[0] else NULL
    out.error, out.sums = &error[0, 0, 0, 0], NULL
    if d_sums is not None:
        sums = d_sums
        s.expect_outputs("d_sums", sums)
        expect("units of d_sums", sums.shape[3], units[0])
        out.sums = &sums[0, 0, 0, 0]
    cdef uint8_t[::1] memory = memory_of(cbn_sidewards_gradient_workspace_size(&s.c, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_sidewards_gradient(&s.c, &x[0, 0, 0, 0], s.extra, &s.weights, &target[0, 0, 0, 0], &out,
                                        workspace_in(memory), allowed(num_threads))
    check(status)


cdef cbn_mobile mobile_of(const int32_t[:, ::1] blocks) except *:
    cdef cbn_mobile m
    expect("columns of blocks", blocks.shape[1], 4)
    if not 1 <= blocks.shape[0] <= CBN_MAX_BLOCKS:
        raise ValueError(f"blocks: {blocks.shape[0]} where 1 to {CBN_MAX_BLOCKS} are needed")
    m.n_blocks, m.blocks = blocks.shape[0], &blocks[0, 0]
    check(cbn_mobile_check(&m))
    return m


def mobile_weights(const int32_t[:, ::1] blocks):
    cdef cbn_mobile m = mobile_of(blocks)
    cdef int64_t n
    check(cbn_mobile_weights(&m, &n))
    return n


def mobile_pack(const int32_t[:, ::1] blocks, const float[::1] weights, float[::1] packed):
    cdef int status
    cdef cbn_mobile m = mobile_of(blocks)
    expect("weights", weights.shape[0], mobile_weights(blocks))
    expect("packed", packed.shape[0], weights.shape[0])
    with nogil:
        status = cbn_mobile_pack(&m, &weights[0], &packed[0])
    check(status)


def mobile_features(const int32_t[:, ::1] blocks, const float[::1] packed, const float[:, :, :, ::1] pictures,
                    float scale, float shift, out, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes, height, width
    cdef cbn_pictures p
    cdef float *outputs[CBN_MAX_BLOCKS]
    cdef float[:, :, :, ::1] own
    cdef cbn_mobile m = mobile_of(blocks)
    expect("packed", packed.shape[0], mobile_weights(blocks))
    expect("blocks of out", len(out), m.n_blocks)
    if pictures.size == 0:
        raise ValueError("pictures: empty")
    if max(pictures.shape[1], pictures.shape[2]) > CBN_MAX_PICTURE:
        raise ValueError(f"pictures: {pictures.shape[1]} x {pictures.shape[2]}, at most {CBN_MAX_PICTURE} a side")
    if pictures.shape[3] not in (1, 3):
        raise ValueError(f"channels of pictures: {pictures.shape[3]} where 1 or 3 are needed")
    p.n_images, p.height, p.width = pictures.shape[0], pictures.shape[1], pictures.shape[2]
    p.channels, p.values, p.scale, p.shift = pictures.shape[3], &pictures[0, 0, 0, 0], scale, shift
    cdef int b
    height, width = (p.height + 1) // 2, (p.width + 1) // 2  # of the stem
    for b in range(m.n_blocks):
        height, width = -(-height // blocks[b, 3]), -(-width // blocks[b, 3])
        outputs[b] = NULL
        if out[b] is not None:
            own = out[b]
            expect(f"images of out {b}", own.shape[0], p.n_images)
            expect(f"rows of out {b}", own.shape[1], height)
            expect(f"columns of out {b}", own.shape[2], width)
            expect(f"channels of out {b}", own.shape[3], blocks[b, 1])
            outputs[b] = &own[0, 0, 0, 0]
    cdef uint8_t[::1] memory = memory_of(cbn_mobile_workspace_size(&m, &p, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_mobile_features(&m, &packed[0], &p, outputs, workspace_in(memory), allowed(num_threads))
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


def eigenvectors(const double[:, ::1] matrix, double[::1] values, double[:, ::1] vectors):
    cdef int status
    cdef int64_t n_bytes, size = matrix.shape[0]
    if not 1 <= size <= CBN_MAX_DIRECTIONS:
        raise ValueError(f"matrix: {size} rows where 1 to {CBN_MAX_DIRECTIONS} are needed")
    expect("columns of matrix", matrix.shape[1], size)
    expect("values", values.shape[0], size)
    expect("rows of vectors", vectors.shape[0], size)
    expect("columns of vectors", vectors.shape[1], size)
    cdef uint8_t[::1] memory = memory_of(cbn_eigenvectors_workspace_size(<int32_t>size, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_eigenvectors(<int32_t>size, &matrix[0, 0], &values[0], &vectors[0, 0], workspace_in(memory))
    check(status)


def factor_floats(int32_t size):
    return cbn_factor_floats(size)


def moments_add(const int16_t[:, :, ::1] x, int64_t[:, ::1] sums, int64_t[:, ::1] products, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes, positions = x.shape[1], size = x.shape[2]
    cdef cbn_gaussians g = gaussians_of(1, positions, size, (1, 1.0, 0.0, 0.0, 0.0))
    expect("positions of sums", sums.shape[0], positions)
    expect("features of sums", sums.shape[1], size)
    expect("positions of products", products.shape[0], positions)
    expect("products of a position", products.shape[1], size * (size + 1) // 2)
    if x.shape[0] == 0:
        raise ValueError("x: empty")
    cdef uint8_t[::1] memory = memory_of(cbn_moments_workspace_size(&g, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_moments_add(&g, &x[0, 0, 0], x.shape[0], &sums[0, 0], &products[0, 0], workspace_in(memory),
                                 allowed(num_threads))
    check(status)


def gaussian_factors(const int64_t[:, ::1] sums, const int64_t[:, ::1] products, law, float[:, ::1] mean,
                     float[:, ::1] factors, int num_threads=1, const double[:, ::1] basis=None,
                     const double[::1] offset=None):
    cdef int status
    cdef int64_t n_bytes, positions = sums.shape[0], of_sums = sums.shape[1], size = mean.shape[1]
    cdef cbn_whitening whitening
    cdef cbn_whitening *given = NULL
    cdef cbn_gaussians g = gaussians_of(1, positions, size, law)
    if basis is not None:
        if not 1 <= of_sums <= CBN_MAX_DIRECTIONS:
            raise ValueError(f"features of sums: {of_sums} where 1 to {CBN_MAX_DIRECTIONS} are needed")
        expect("rows of basis", basis.shape[0], of_sums)
        expect("columns of basis", basis.shape[1], size)
        if offset is None:
            raise ValueError("offset: None; give it with the basis")
        expect("offset", offset.shape[0], size)
        whitening.inputs, whitening.basis, whitening.offset = of_sums, &basis[0, 0], &offset[0]
        given = &whitening
    else:
        expect("features of mean", size, of_sums)
    expect("positions of products", products.shape[0], positions)
    expect("products of a position", products.shape[1], of_sums * (of_sums + 1) // 2)
    expect("positions of mean", mean.shape[0], positions)
    expect("positions of factors", factors.shape[0], positions)
    expect("floats of a factor", factors.shape[1], cbn_factor_floats(size))
    cdef uint8_t[::1] memory = memory_of(cbn_gaussian_factors_workspace_size(&g, given, num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_gaussian_factors(&g, given, &sums[0, 0], &products[0, 0], &mean[0, 0], &factors[0, 0],
                                      workspace_in(memory), allowed(num_threads))
    check(status)


def gaussian_energies(const int16_t[:, :, :, ::1] x, const float[:, ::1] mean, const float[:, ::1] factors, law,
                      int reach, bint without_own, float[:, :, ::1] energies, int num_threads=1):
    cdef int status
    cdef int64_t n_bytes
    cdef cbn_gaussians g = gaussians_of(x.shape[1], x.shape[2], x.shape[3], law)
    g.reach, g.without_own = reach, without_own
    expect("positions of mean", mean.shape[0], x.shape[1] * x.shape[2])
    expect("features of mean", mean.shape[1], x.shape[3])
    expect("positions of factors", factors.shape[0], x.shape[1] * x.shape[2])
    expect("floats of a factor", factors.shape[1], cbn_factor_floats(x.shape[3]))
    expect("images of energies", energies.shape[0], x.shape[0])
    expect("rows of energies", energies.shape[1], x.shape[1])
    expect("columns of energies", energies.shape[2], x.shape[2])
    if x.shape[0] == 0:
        raise ValueError("x: empty")
    cdef uint8_t[::1] memory = memory_of(
        cbn_gaussian_energies_workspace_size(&g, x.shape[0], num_threads, &n_bytes), &n_bytes)
    with nogil:
        status = cbn_gaussian_energies(&g, &x[0, 0, 0, 0], x.shape[0], &mean[0, 0], &factors[0, 0],
                                       &energies[0, 0, 0], workspace_in(memory), allowed(num_threads))
    check(status)

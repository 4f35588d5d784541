# SPDX-License-Identifier: BSD-3-Clause
# Arrays of the caller as pointers. Included by _engine.pyx, under its rules. One function looks at all of them: typed
# memoryviews do that in code of their own for every type and every argument, most of what there was to compile.

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_STRIDES, PyBuffer_IsContiguous, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport strchr

cdef enum:
    MAX_DIMENSIONS = 4

cdef enum Use:
    READ
    FILLED

# Checked arrays: `at` is for reading, `into`, which only a filled one has, for writing. An array's memory stays where it is
# as long as the array lives, so whoever has these keeps the array. The one of an argument has its name and an underscore.
cdef struct Bytes:
    const uint8_t *at
    uint8_t *into
    Py_ssize_t size
    Py_ssize_t[MAX_DIMENSIONS] shape

cdef struct Words:
    const uint64_t *at
    uint64_t *into
    Py_ssize_t size
    Py_ssize_t[MAX_DIMENSIONS] shape

cdef struct Shorts:
    const int16_t *at
    int16_t *into
    Py_ssize_t size
    Py_ssize_t[MAX_DIMENSIONS] shape

cdef struct Ints:
    const int32_t *at
    int32_t *into
    Py_ssize_t size
    Py_ssize_t[MAX_DIMENSIONS] shape

cdef struct Longs:
    const int64_t *at
    int64_t *into
    Py_ssize_t size
    Py_ssize_t[MAX_DIMENSIONS] shape

cdef struct Floats:
    const float *at
    float *into
    Py_ssize_t size
    Py_ssize_t[MAX_DIMENSIONS] shape

cdef struct Doubles:
    const double *at
    double *into
    Py_ssize_t size
    Py_ssize_t[MAX_DIMENSIONS] shape


cdef object ndarray = None  # until the first array comes: help and versions need no NumPy
cdef const char *SIGNED = b"bhilq"  # the letters of the buffer protocol; their sizes depend on the machine
cdef const char *UNSIGNED = b"?BHILQ"
cdef const char *FLOATING = b"fd"


cdef void *memory_at(name, array, const char *kind, Py_ssize_t itemsize, int n_dimensions, Use use, Py_ssize_t *size,
                     Py_ssize_t *shape) except? NULL:
    """Where a C-contiguous array of the machine's own numbers lies."""
    global ndarray
    cdef Py_buffer buffer
    if ndarray is None:
        import numpy
        ndarray = numpy.ndarray
    if not isinstance(array, ndarray):
        raise ValueError(f"{name}: {type(array).__name__} where a NumPy array is needed")
    PyObject_GetBuffer(array, &buffer, PyBUF_STRIDES | PyBUF_FORMAT)
    cdef const char *letter = buffer.format
    if letter[0] == b"@" or letter[0] == b"=" or letter[0] == b"<":  # the engine is for little-endian machines
        letter += 1
    cdef bint own_numbers = letter[0] and not letter[1] and strchr(kind, letter[0]) and buffer.itemsize == itemsize
    cdef bint contiguous = PyBuffer_IsContiguous(&buffer, b"C"), closed = use == FILLED and buffer.readonly
    cdef int found = buffer.ndim, i
    cdef void *at = buffer.buf
    size[0] = buffer.len // itemsize
    for i in range(min(found, MAX_DIMENSIONS)):
        shape[i] = buffer.shape[i]
    PyBuffer_Release(&buffer)
    if not own_numbers:
        wanted = "int" if kind == SIGNED else "uint" if kind == UNSIGNED else "float"
        raise ValueError(f"{name}: {array.dtype} where {wanted}{8 * itemsize} is needed")
    if found != n_dimensions:
        raise ValueError(f"{name}: {found} dimensions where {n_dimensions} are needed")
    if not contiguous:
        raise ValueError(f"{name}: not C-contiguous; numpy.ascontiguousarray makes it so")
    if closed:
        raise ValueError(f"{name}: read-only where it is to be filled")
    return at


cdef Bytes bytes_of(name, array, int n, Use use) except *:
    cdef Bytes own
    cdef void *at = memory_at(name, array, UNSIGNED, sizeof(uint8_t), n, use, &own.size, own.shape)
    own.at, own.into = <const uint8_t *>at, <uint8_t *>at if use == FILLED else NULL
    return own


cdef Words words_of(name, array, int n, Use use) except *:
    cdef Words own
    cdef void *at = memory_at(name, array, UNSIGNED, sizeof(uint64_t), n, use, &own.size, own.shape)
    own.at, own.into = <const uint64_t *>at, <uint64_t *>at if use == FILLED else NULL
    return own


cdef Shorts shorts_of(name, array, int n, Use use) except *:
    cdef Shorts own
    cdef void *at = memory_at(name, array, SIGNED, sizeof(int16_t), n, use, &own.size, own.shape)
    own.at, own.into = <const int16_t *>at, <int16_t *>at if use == FILLED else NULL
    return own


cdef Ints ints_of(name, array, int n, Use use) except *:
    cdef Ints own
    cdef void *at = memory_at(name, array, SIGNED, sizeof(int32_t), n, use, &own.size, own.shape)
    own.at, own.into = <const int32_t *>at, <int32_t *>at if use == FILLED else NULL
    return own


cdef Longs longs_of(name, array, int n, Use use) except *:
    cdef Longs own
    cdef void *at = memory_at(name, array, SIGNED, sizeof(int64_t), n, use, &own.size, own.shape)
    own.at, own.into = <const int64_t *>at, <int64_t *>at if use == FILLED else NULL
    return own


cdef Floats floats_of(name, array, int n, Use use) except *:
    cdef Floats own
    cdef void *at = memory_at(name, array, FLOATING, sizeof(float), n, use, &own.size, own.shape)
    own.at, own.into = <const float *>at, <float *>at if use == FILLED else NULL
    return own


cdef Doubles doubles_of(name, array, int n, Use use) except *:
    cdef Doubles own
    cdef void *at = memory_at(name, array, FLOATING, sizeof(double), n, use, &own.size, own.shape)
    own.at, own.into = <const double *>at, <double *>at if use == FILLED else NULL
    return own


cdef const uint8_t *bytes_or_null(name, array, int64_t size) except? NULL:
    """An optional array."""
    if array is None:
        return NULL
    cdef Bytes own = bytes_of(name, array, 1, READ)
    expect(name, own.shape[0], size)
    return own.at


cdef const int32_t *numbers_or_null(name, array, int64_t size) except? NULL:
    if array is None:
        return NULL
    cdef Ints own = ints_of(name, array, 1, READ)
    expect(name, own.shape[0], size)
    return own.at


cdef bytearray memory_of(int status, const int64_t *n_bytes):
    """Scratch memory of the size that a query, with this status, has answered."""
    check(status)
    return bytearray(n_bytes[0])


cdef cbn_workspace workspace_in(bytearray memory) noexcept:
    cdef cbn_workspace workspace
    workspace.memory, workspace.bytes = PyByteArray_AS_STRING(memory), len(memory)
    return workspace

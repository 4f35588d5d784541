# SPDX-License-Identifier: BSD-3-Clause
# The boundary of sums over images in several places. Included by _engine.pyx, under its rules.


def planes_digest(const uint64_t[:, ::1] planes, int64_t n_images, uint64_t[::1] digest, int num_threads=1):
    cdef int status
    cdef cbn_planes data = planes_of(planes, planes.shape[0], n_images)
    expect("digest", digest.shape[0], 2)
    with nogil:
        status = cbn_planes_digest(data, planes.shape[0], &digest[0], allowed(num_threads))
    check(status)


def relation_counts_size(Layer layer, const int32_t[:, ::1] candidates):
    cdef int64_t size
    cdef int32_t[:, ::1] column = columns_of(candidates)
    cdef cbn_relations relations = relations_of(column)
    check(cbn_relation_counts_size(&layer.c, &relations, &size))
    return size


def relation_counts(Layer layer, const uint64_t[:, ::1] planes, int64_t n_images, const int32_t[:, ::1] candidates,
                    int64_t[::1] part, int num_threads=1):
    cdef int status
    cdef int64_t size
    cdef cbn_planes data = planes_of(planes, layer.n_nodes, n_images)
    cdef int32_t[:, ::1] column = columns_of(candidates)
    cdef cbn_relations relations = relations_of(column)
    check(cbn_relation_counts_size(&layer.c, &relations, &size))
    expect("part", part.shape[0], size)
    with nogil:
        status = cbn_relation_counts(&layer.c, data, &relations, &part[0], allowed(num_threads))
    check(status)


def relation_gains_of_counts(Layer layer, const int64_t[:, ::1] counts, const int32_t[:, ::1] candidates,
                             const int64_t[::1] part, double[::1] bic_change, int num_threads=1):
    cdef int status
    cdef int64_t size
    expect_pairs("rows", "counts", counts.shape, layer.n_rows)
    cdef int32_t[:, ::1] column = columns_of(candidates)
    cdef cbn_relations relations = relations_of(column)
    expect("bic_change", bic_change.shape[0], relations.n)
    check(cbn_relation_counts_size(&layer.c, &relations, &size))
    expect("part", part.shape[0], size)
    with nogil:
        status = cbn_relation_gains_of_counts(&layer.c, &counts[0, 0], &relations, &part[0], &bic_change[0],
                                              allowed(num_threads))
    check(status)

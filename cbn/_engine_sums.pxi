# SPDX-License-Identifier: BSD-3-Clause
# The boundary of sums over images in several places. Included by _engine.pyx, under its rules.


def planes_digest(planes, int64_t n_images, digest, int num_threads=1):
    cdef int status
    cdef Words planes_ = words_of("planes", planes, 2, READ)
    cdef Words digest_ = words_of("digest", digest, 1, FILLED)
    cdef cbn_planes data = planes_of(planes, planes_.shape[0], n_images)
    expect("digest", digest_.shape[0], 2)
    with nogil:
        status = cbn_planes_digest(data, planes_.shape[0], digest_.into, allowed(num_threads))
    check(status)


def relation_counts_size(Layer layer, candidates):
    cdef int64_t size
    cdef object columns = columns_of(candidates)
    cdef cbn_relations relations = relations_of(columns)
    check(cbn_relation_counts_size(&layer.c, &relations, &size))
    return size


def relation_counts(Layer layer, planes, int64_t n_images, candidates, part, int num_threads=1):
    cdef int status
    cdef int64_t size
    cdef Longs part_ = longs_of("part", part, 1, FILLED)
    cdef cbn_planes data = planes_of(planes, layer.n_nodes, n_images)
    cdef object columns = columns_of(candidates)
    cdef cbn_relations relations = relations_of(columns)
    check(cbn_relation_counts_size(&layer.c, &relations, &size))
    expect("part", part_.shape[0], size)
    with nogil:
        status = cbn_relation_counts(&layer.c, data, &relations, part_.into, allowed(num_threads))
    check(status)


def relation_gains_of_counts(Layer layer, counts, candidates, part, bic_change, int num_threads=1):
    cdef int status
    cdef int64_t size
    cdef Longs counts_ = longs_of("counts", counts, 2, READ)
    cdef Longs part_ = longs_of("part", part, 1, READ)
    cdef Doubles bic_change_ = doubles_of("bic_change", bic_change, 1, FILLED)
    expect_pairs("rows", "counts", counts_.shape, layer.n_rows)
    cdef object columns = columns_of(candidates)
    cdef cbn_relations relations = relations_of(columns)
    expect("bic_change", bic_change_.shape[0], relations.n)
    check(cbn_relation_counts_size(&layer.c, &relations, &size))
    expect("part", part_.shape[0], size)
    with nogil:
        status = cbn_relation_gains_of_counts(&layer.c, counts_.at, &relations, part_.at, bic_change_.into,
                                              allowed(num_threads))
    check(status)

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cutting a workspace into parts. ONE function describes the parts by taking them from an arena, in order: over no
 * memory the arena only counts, which answers *_workspace_size(); over the caller's memory the same calls place the
 * parts. So the two cannot disagree.
 *
 * Parts begin at cache lines. Sizes are checked: an arena whose parts do not fit 64 bits says so in its status, once.
 */
#ifndef CBN_WORKSPACE_H
#define CBN_WORKSPACE_H

#include "internal.h"

#define CBN_LINE_BYTES 64

typedef struct {
    char *memory; /* at a cache line; NULL: only count */
    int64_t used;
    int status;
} cbn_arena;

static inline cbn_arena cbn_counting_arena(void) {
    const cbn_arena arena = {NULL, 0, CBN_OK};
    return arena;
}

static inline cbn_arena cbn_arena_of(cbn_workspace workspace) {
    const uintptr_t line = ((uintptr_t)workspace.memory + CBN_LINE_BYTES - 1) / CBN_LINE_BYTES * CBN_LINE_BYTES;
    const cbn_arena arena = {workspace.memory ? (char *)line : NULL, 0, CBN_OK};
    return arena;
}

/* The next part: `count` things of `size` bytes. NULL when the arena only counts, or when the size overflows. */
static inline void *cbn_take(cbn_arena *arena, int64_t count, int64_t size) {
    int64_t bytes = 0;
    if (arena->status == CBN_OK && (cbn_multiply(count, size, &bytes) != CBN_OK || bytes > INT64_MAX / 4 ||
                                    arena->used > INT64_MAX / 4))
        arena->status = CBN_E_SIZE;
    if (arena->status != CBN_OK) return NULL;
    char *part = arena->memory ? arena->memory + arena->used : NULL;
    arena->used += (bytes + CBN_LINE_BYTES - 1) / CBN_LINE_BYTES * CBN_LINE_BYTES;
    return part;
}

/* The same for rows x columns things. */
static inline void *cbn_take_rows(cbn_arena *arena, int64_t rows, int64_t columns, int64_t size) {
    int64_t count;
    if (cbn_multiply(rows, columns, &count) != CBN_OK) count = -1; /* which cbn_take() refuses */
    return cbn_take(arena, count, size);
}

/* n parts of the size that `one` has counted, for n threads: each cuts its own by cbn_own_arena(). */
static inline void *cbn_take_each(cbn_arena *arena, const cbn_arena *one, int64_t n) {
    if (one->status != CBN_OK) arena->status = one->status;
    return cbn_take(arena, n, one->used);
}

static inline cbn_arena cbn_own_arena(void *each, const cbn_arena *one) {
    const cbn_arena arena = {(char *)each + cbn_thread() * one->used, 0, CBN_OK};
    return arena;
}

/* Answers a *_workspace_size(): what was taken, and what it costs to begin at a cache line. */
static inline int cbn_arena_size(const cbn_arena *arena, int64_t *bytes) {
    if (!bytes) return CBN_E_NULL;
    CBN_TRY(arena->status);
    *bytes = arena->used + CBN_LINE_BYTES - 1;
    return CBN_OK;
}

/* Whether what was taken is there; no part may be touched before. */
static inline int cbn_arena_fits(const cbn_arena *arena, cbn_workspace workspace) {
    int64_t needed;
    CBN_TRY(cbn_arena_size(arena, &needed));
    if (!workspace.memory) return CBN_E_NULL;
    return workspace.bytes < needed ? CBN_E_WORKSPACE : CBN_OK;
}

#endif

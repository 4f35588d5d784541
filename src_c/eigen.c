/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Eigenvectors of a symmetric matrix: Householder reflections to three diagonals, then rotations (the QL method with
 * implicit shifts; Golub & Van Loan, "Matrix computations", sections 8.3.1 and 8.3.3). One thread, additions,
 * multiplications, divisions and square roots in one order: the same bytes everywhere. Rows are worked on as wholes, so
 * that compilers can take several columns at a time.
 */
#include <float.h>
#include <math.h>

#include "workspace.h"

#define MOST_TURNS 60 /* for one eigenvalue; two or three are usual */

typedef struct {
    double *a;        /* (size, size): the matrix, then reflections have brought it to three diagonals */
    double *diagonal; /* (size,) */
    double *beside;   /* (size,): element i lies between diagonals i and i + 1, the last is 0 */
    double *v, *row;  /* (size,) each */
} cbn_eigen_parts;

static cbn_eigen_parts eigen_parts(cbn_arena *arena, int64_t size) {
    const cbn_eigen_parts parts = {
        cbn_take_rows(arena, size, size, sizeof(double)), cbn_take(arena, size, sizeof(double)),
        cbn_take(arena, size, sizeof(double)), cbn_take(arena, size, sizeof(double)),
        cbn_take(arena, size, sizeof(double))};
    return parts;
}

static int check_size(int32_t size) { return size < 1 || size > CBN_MAX_DIRECTIONS ? CBN_E_SIZE : CBN_OK; }

int cbn_eigenvectors_workspace_size(int32_t size, int64_t *bytes) {
    CBN_TRY(check_size(size));
    cbn_arena arena = cbn_counting_arena();
    eigen_parts(&arena, size);
    return cbn_arena_size(&arena, bytes);
}

/*
 * Reflections H = I - v v^T / half with H a H of three diagonals; the rows of `vectors` are reflected alike. Column k
 * keeps its first k + 2 elements.
 */
static void to_three_diagonals(const cbn_eigen_parts *t, int64_t size, double *vectors) {
    for (int64_t k = 0; k + 2 < size; k++) {
        const int64_t first = k + 1, left = size - first;
        double *v = t->v + first, *row = t->row + first;
        double largest = 0, square = 0;
        for (int64_t i = first; i < size; i++) largest = fmax(largest, fabs(t->a[i * size + k]));
        t->beside[k] = t->a[first * size + k];
        if (!(largest > 0)) continue;
        for (int64_t i = 0; i < left; i++) {
            v[i] = t->a[(first + i) * size + k] / largest;
            square += v[i] * v[i];
        }
        const double norm = v[0] > 0 ? -sqrt(square) : sqrt(square), half = square - norm * v[0];
        v[0] -= norm;
        t->beside[k] = norm * largest;
        /* row = A v / half - v (v^T A v) / (2 half^2), and A -= v row^T + row v^T */
        for (int64_t i = 0; i < left; i++) row[i] = 0;
        for (int64_t i = 0; i < left; i++) cbn_add_times(row, v[i], t->a + (first + i) * size + first, left);
        double product = 0;
        for (int64_t i = 0; i < left; i++) {
            row[i] /= half;
            product += row[i] * v[i];
        }
        cbn_add_times(row, -product / (2 * half), v, left);
        for (int64_t i = 0; i < left; i++) {
            double *own = t->a + (first + i) * size + first;
            for (int64_t j = 0; j < left; j++) own[j] -= v[i] * row[j] + row[i] * v[j];
        }
        for (int64_t j = 0; j < size; j++) t->row[j] = 0;
        for (int64_t i = 0; i < left; i++) cbn_add_times(t->row, v[i], vectors + (first + i) * size, size);
        for (int64_t i = 0; i < left; i++) cbn_add_times(vectors + (first + i) * size, -v[i] / half, t->row, size);
    }
    for (int64_t i = 0; i < size; i++) t->diagonal[i] = t->a[i * size + i];
    if (size > 1) t->beside[size - 2] = t->a[(size - 1) * size + size - 2];
    t->beside[size - 1] = 0;
}

/* One step of the QL method on diagonals first .. last. */
static void turn(const cbn_eigen_parts *t, int64_t size, int64_t first, int64_t last, double *vectors) {
    double *d = t->diagonal, *e = t->beside;
    const double half = (d[first + 1] - d[first]) / (2 * e[first]), root = sqrt(half * half + 1);
    /* the eigenvalue of the first 2 x 2 that is nearer to d[first] */
    double over = d[last] - d[first] + e[first] / (half + (half < 0 ? -root : root));
    double sine = 1, cosine = 1, moved = 0;
    for (int64_t i = last - 1; i >= first; i--) {
        const double outer = sine * e[i], inner = cosine * e[i];
        const double length = sqrt(outer * outer + over * over);
        e[i + 1] = length;
        if (!(length > 0)) { /* the diagonals fall apart here: what is left is another step */
            d[i + 1] -= moved;
            e[last] = 0;
            return;
        }
        sine = outer / length;
        cosine = over / length;
        const double shifted = d[i + 1] - moved, both = (d[i] - shifted) * sine + 2 * cosine * inner;
        moved = sine * both;
        d[i + 1] = shifted + moved;
        over = cosine * both - inner;
        double *restrict upper = vectors + i * size, *restrict lower = vectors + (i + 1) * size;
        for (int64_t j = 0; j < size; j++) {
            const double was = lower[j];
            lower[j] = sine * upper[j] + cosine * was;
            upper[j] = cosine * upper[j] - sine * was;
        }
    }
    d[first] -= moved;
    e[first] = over;
    e[last] = 0;
}

int cbn_eigenvectors(int32_t size, const double *matrix, double *values, double *vectors, cbn_workspace workspace) {
    CBN_TRY(check_size(size));
    if (!matrix || !values || !vectors) return CBN_E_NULL;
    const int64_t n = size;
    cbn_arena arena = cbn_arena_of(workspace);
    const cbn_eigen_parts t = eigen_parts(&arena, n);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            if (!isfinite(matrix[i * n + j])) return CBN_E_PARAMETER;
            largest = fmax(largest, fabs(matrix[i * n + j]));
        }
    const double unit = largest > 0 ? largest : 1;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            t.a[i * n + j] = matrix[i >= j ? i * n + j : j * n + i] / unit;
            vectors[i * n + j] = i == j;
        }
    to_three_diagonals(&t, n, vectors);
    double least = 0; /* what is no larger than rounding is 0 */
    for (int64_t i = 0; i < n; i++) least = fmax(least, DBL_EPSILON * (fabs(t.diagonal[i]) + fabs(t.beside[i])));
    for (int64_t first = 0; first < n; first++)
        for (int64_t turns = 0;; turns++) {
            int64_t last = first;
            while (last < n - 1 && fabs(t.beside[last]) > least) last++;
            if (last == first) break;
            if (turns == MOST_TURNS) return CBN_E_PARAMETER;
            turn(&t, n, first, last, vectors);
        }
    for (int64_t i = 0; i < n; i++) values[i] = t.diagonal[i] * unit;
    return CBN_OK;
}

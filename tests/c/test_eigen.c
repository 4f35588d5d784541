/* SPDX-License-Identifier: BSD-3-Clause */
/* Eigenvectors of symmetric matrices: what they must satisfy, and what is refused. */
#include <math.h>

#include "harness.h"

#define MOST 40

static double matrix[MOST * MOST], values[MOST], vectors[MOST * MOST], again[MOST * MOST];
static char memory[1 << 17];

static double element(int i, int j) { return sin(1.0 + 3.7 * (i < j ? i * 50 + j : j * 50 + i)) + (i == j ? i : 0); }

static void test_they_are_eigenvectors(void) {
    for (int n = 1; n <= MOST; n += n < 5 ? 1 : 7) {
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) matrix[i * n + j] = j <= i ? element(i, j) : 0.5; /* which nobody reads */
        int64_t bytes;
        CHECK(cbn_eigenvectors_workspace_size(n, &bytes) == CBN_OK && bytes <= (int64_t)sizeof memory);
        const cbn_workspace workspace = {memory, bytes};
        CHECK(cbn_eigenvectors(n, matrix, values, vectors, workspace) == CBN_OK);
        double worst = 0;
        for (int v = 0; v < n; v++)
            for (int i = 0; i < n; i++) {
                double product = 0, length = 0;
                for (int j = 0; j < n; j++) product += element(i, j) * vectors[v * n + j];
                for (int j = 0; j < n; j++) length += vectors[v * n + j] * vectors[i * n + j];
                worst = fmax(worst, fabs(product - values[v] * vectors[v * n + i]));
                worst = fmax(worst, fabs(length - (v == i)));
            }
        CHECK(worst < 1e-12);
        memcpy(again, vectors, sizeof again);
        CHECK(cbn_eigenvectors(n, matrix, values, vectors, workspace) == CBN_OK);
        CHECK(!memcmp(again, vectors, sizeof(double) * (size_t)(n * n)));
    }
}

static void test_what_is_refused(void) {
    int64_t bytes;
    CHECK(cbn_eigenvectors_workspace_size(0, &bytes) == CBN_E_SIZE);
    CHECK(cbn_eigenvectors_workspace_size(CBN_MAX_DIRECTIONS + 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_eigenvectors_workspace_size(3, NULL) == CBN_E_NULL);
    CHECK(cbn_eigenvectors_workspace_size(3, &bytes) == CBN_OK);
    const cbn_workspace whole = {memory, bytes}, small = {memory, bytes - 1}, none = {NULL, bytes};
    const double three[9] = {1, 0, 0, 0, 2, 0, 0, 0, 3}, wrong[9] = {1, 0, 0, INFINITY, 2, 0, 0, 0, 3};
    CHECK(cbn_eigenvectors(3, NULL, values, vectors, whole) == CBN_E_NULL);
    CHECK(cbn_eigenvectors(3, three, NULL, vectors, whole) == CBN_E_NULL);
    CHECK(cbn_eigenvectors(3, three, values, NULL, whole) == CBN_E_NULL);
    CHECK(cbn_eigenvectors(3, three, values, vectors, none) == CBN_E_NULL);
    CHECK(cbn_eigenvectors(3, three, values, vectors, small) == CBN_E_WORKSPACE);
    CHECK(cbn_eigenvectors(0, three, values, vectors, whole) == CBN_E_SIZE);
    CHECK(cbn_eigenvectors(3, wrong, values, vectors, whole) == CBN_E_PARAMETER);
    CHECK(cbn_eigenvectors(3, three, values, vectors, whole) == CBN_OK);
}

int main(void) {
    test_they_are_eigenvectors();
    test_what_is_refused();
    return report(__FILE__);
}

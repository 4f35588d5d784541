/* SPDX-License-Identifier: BSD-3-Clause */
/* Gaussian models of positions: refusals, nothing written outside the outputs (run with sanitizers), a run against plain
 * loops, threads and batches alike. */
#include <math.h>

#include "harness.h"

#define HEIGHT 2
#define WIDTH 3
#define SIZE 19
#define IMAGES 131 /* more than a block of sums, and odd */
#define POSITIONS (HEIGHT * WIDTH)
#define TRIANGLE (SIZE * (SIZE + 1) / 2)

static cbn_gaussians gaussians(void) {
    const cbn_gaussians g = {HEIGHT, WIDTH, SIZE, IMAGES, 1.0 / 64, 5.0, 0.01, 0.5, 1, 0};
    return g;
}

/* Room for exactly what a function asks for; freed by the caller. */
static cbn_workspace room(int status, int64_t bytes) {
    CHECK(status == CBN_OK && bytes > 0);
    return ROOM(allocate(bytes), bytes);
}

static int16_t *features(int64_t n) {
    uint64_t seed = 1;
    int16_t *x = allocate(2 * n);
    for (int64_t i = 0; i < n; i++) x[i] = (int16_t)((int32_t)(next_random(&seed) % 4095) - CBN_MAX_ROUNDED);
    return x;
}

static void add(const cbn_gaussians *g, const int16_t *x, int64_t n, int64_t *sums, int64_t *products, int threads) {
    int64_t bytes = 0;
    const int status = cbn_moments_workspace_size(g, threads, &bytes);
    const cbn_workspace workspace = room(status, bytes);
    CHECK(cbn_moments_add(g, x, n, sums, products, workspace, threads) == CBN_OK);
    free(workspace.memory);
}

static void measure(const cbn_gaussians *g, const int16_t *x, int64_t n, const float *mean, const float *factors,
                    float *energies, int threads) {
    int64_t bytes = 0;
    const int status = cbn_gaussian_energies_workspace_size(g, n, threads, &bytes);
    const cbn_workspace workspace = room(status, bytes);
    CHECK(cbn_gaussian_energies(g, x, n, mean, factors, energies, workspace, threads) == CBN_OK);
    free(workspace.memory);
}

/* Element (row, column) of a packed factor. */
static double element(const float *factor, int64_t row, int64_t column) {
    for (int64_t first = 0; first + 16 <= row; first += 16) factor += 16 * (first + 16);
    return (double)factor[16 * column + row % 16];
}

static double plain_energy(const cbn_gaussians *g, const int16_t *image, int64_t p, const float *mean,
                           const float *factors) {
    double least = INFINITY;
    for (int64_t q = 0; q < POSITIONS; q++) {
        if (labs((long)(p / WIDTH - q / WIDTH)) > g->reach || labs((long)(p % WIDTH - q % WIDTH)) > g->reach) continue;
        double square = 0;
        for (int64_t row = 0; row < SIZE; row++) {
            double y = 0;
            for (int64_t c = 0; c <= row; c++) {
                const double centre = (double)mean[q * SIZE + c] * (double)g->n / ((double)g->n + g->prior);
                y += element(factors + q * cbn_factor_floats(SIZE), row, c) * (image[p * SIZE + c] * g->unit - centre);
            }
            square += y * y;
        }
        least = square < least ? square : least;
    }
    return sqrt(least);
}

static void test_run(void) {
    cbn_gaussians g = gaussians();
    const int64_t n_floats = POSITIONS * cbn_factor_floats(SIZE), n_energies = IMAGES * POSITIONS;
    CHECK(cbn_factor_floats(SIZE) == 16 * 16 + 16 * 32 && cbn_factor_floats(16) == 256);
    int16_t *x = features((int64_t)IMAGES * POSITIONS * SIZE);
    int64_t *sums[2], *products[2];
    for (int r = 0; r < 2; r++) {
        sums[r] = calloc(POSITIONS * SIZE, 8), products[r] = calloc(POSITIONS * TRIANGLE, 8);
        if (!sums[r] || !products[r]) abort();
    }
    add(&g, x, IMAGES, sums[0], products[0], 1);
    add(&g, x, 10, sums[1], products[1], 3);
    add(&g, x + 10 * POSITIONS * SIZE, IMAGES - 10, sums[1], products[1], 2);
    CHECK(memcmp(sums[0], sums[1], POSITIONS * SIZE * 8) == 0);
    CHECK(memcmp(products[0], products[1], POSITIONS * TRIANGLE * 8) == 0);
    int differ = 0;
    for (int64_t p = 0; p < POSITIONS; p++)
        for (int64_t row = 0; row < SIZE; row++)
            for (int64_t c = 0; c <= row; c++) {
                int64_t product = 0;
                for (int64_t i = 0; i < IMAGES; i++) {
                    const int16_t *own = x + (i * POSITIONS + p) * SIZE;
                    product += (int64_t)own[row] * own[c];
                }
                differ |= products[0][p * TRIANGLE + row * (row + 1) / 2 + c] != product;
            }
    CHECK(!differ);

    float *mean[2], *factors[2], *energies[2];
    for (int r = 0; r < 2; r++) {
        mean[r] = allocate(4 * POSITIONS * SIZE), factors[r] = allocate(4 * n_floats);
        energies[r] = allocate(4 * n_energies);
        int64_t bytes = 0;
        const int status = cbn_gaussian_factors_workspace_size(&g, NULL, 1 + 2 * r, &bytes);
        const cbn_workspace workspace = room(status, bytes);
        CHECK(cbn_gaussian_factors(&g, NULL, sums[0], products[0], mean[r], factors[r], workspace, 1 + 2 * r) == CBN_OK);
        free(workspace.memory);
    }
    CHECK(memcmp(mean[0], mean[1], 4 * POSITIONS * SIZE) == 0);
    CHECK(memcmp(factors[0], factors[1], (size_t)(4 * n_floats)) == 0);
    for (g.without_own = 0; g.without_own < 2; g.without_own++)
        for (g.reach = 0; g.reach < 2; g.reach++) {
            measure(&g, x, IMAGES, mean[0], factors[0], energies[0], 1);
            measure(&g, x, 6, mean[0], factors[0], energies[1], 2);
            measure(&g, x + 6 * POSITIONS * SIZE, IMAGES - 6, mean[0], factors[0], energies[1] + 6 * POSITIONS, 3);
            CHECK(memcmp(energies[0], energies[1], (size_t)(4 * n_energies)) == 0);
            int far = 0;
            for (int64_t i = 0; i < n_energies && !g.without_own; i++) {
                const int16_t *image = x + i / POSITIONS * POSITIONS * SIZE;
                const double wanted = plain_energy(&g, image, i % POSITIONS, mean[0], factors[0]);
                far |= !(fabs((double)energies[0][i] - wanted) <= 1e-5 * wanted);
            }
            CHECK(!far);
        }
    free(x);
    for (int r = 0; r < 2; r++)
        free(sums[r]), free(products[r]), free(mean[r]), free(factors[r]), free(energies[r]);
}

static void test_sizes(void) {
    CHECK(cbn_gaussians_check(NULL) == CBN_E_NULL);
    cbn_gaussians g = gaussians();
    CHECK(cbn_gaussians_check(&g) == CBN_OK);
    int64_t bytes;
    for (int i = 0; i < 6; i++) {
        cbn_gaussians wrong = g;
        if (i == 0) wrong.height = 0;
        if (i == 1) wrong.width = -1;
        if (i == 2) wrong.size = 0;
        if (i == 3) wrong.size = CBN_MAX_DIRECTIONS + 1;
        if (i == 4) wrong.height = wrong.width = INT32_MAX;
        if (i == 5) wrong.height = INT32_MAX, wrong.width = 1 << 20, wrong.size = CBN_MAX_DIRECTIONS;
        CHECK(cbn_gaussians_check(&wrong) == CBN_E_SIZE);
        CHECK(cbn_moments_workspace_size(&wrong, 1, &bytes) == CBN_E_SIZE);
        CHECK(cbn_gaussian_factors_workspace_size(&wrong, NULL, 1, &bytes) == CBN_E_SIZE);
        CHECK(cbn_gaussian_energies_workspace_size(&wrong, 1, 1, &bytes) == CBN_E_SIZE);
    }
    CHECK(cbn_moments_workspace_size(&g, 1, NULL) == CBN_E_NULL);
    CHECK(cbn_gaussian_factors_workspace_size(&g, NULL, 1, NULL) == CBN_E_NULL);
    CHECK(cbn_gaussian_energies_workspace_size(&g, 1, 1, NULL) == CBN_E_NULL);
    CHECK(cbn_moments_workspace_size(&g, 0, &bytes) == CBN_E_PARAMETER);
    CHECK(cbn_gaussian_factors_workspace_size(&g, NULL, 0, &bytes) == CBN_E_PARAMETER);
    CHECK(cbn_gaussian_energies_workspace_size(&g, 1, 0, &bytes) == CBN_E_PARAMETER);
    CHECK(cbn_gaussian_energies_workspace_size(&g, 0, 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_gaussian_energies_workspace_size(&g, INT64_MAX / 2, 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_gaussian_energies_workspace_size(&g, INT64_MAX / 20, 1, &bytes) == CBN_E_SIZE);
}

/* What is refused is refused before anything is read or written. */
static void test_refusals(void) {
    cbn_gaussians g = gaussians();
    int16_t *x = calloc(2 * POSITIONS * SIZE, 2);
    int64_t *sums = calloc(POSITIONS * SIZE, 8), *products = calloc(POSITIONS * TRIANGLE, 8);
    float *mean = calloc(POSITIONS * SIZE, 4), *factors = calloc(POSITIONS * cbn_factor_floats(SIZE), 4);
    float *energies = calloc(2 * POSITIONS, 4);
    if (!x || !sums || !products || !mean || !factors || !energies) abort();
    int64_t bytes = 0, of_factors = 0, of_energies = 0;
    CHECK(cbn_moments_workspace_size(&g, 2, &bytes) == CBN_OK);
    CHECK(cbn_gaussian_factors_workspace_size(&g, NULL, 2, &of_factors) == CBN_OK);
    CHECK(cbn_gaussian_energies_workspace_size(&g, 2, 2, &of_energies) == CBN_OK);
    int64_t most = bytes > of_factors ? bytes : of_factors;
    most = most > of_energies ? most : of_energies;
    void *memory = allocate(most);
    const cbn_workspace whole = ROOM(memory, most);

    CHECK(cbn_moments_add(NULL, x, 2, sums, products, whole, 1) == CBN_E_NULL);
    CHECK(cbn_moments_add(&g, NULL, 2, sums, products, whole, 1) == CBN_E_NULL);
    CHECK(cbn_moments_add(&g, x, 2, NULL, products, whole, 1) == CBN_E_NULL);
    CHECK(cbn_moments_add(&g, x, 2, sums, NULL, whole, 1) == CBN_E_NULL);
    CHECK(cbn_moments_add(&g, x, 2, sums, products, ROOM(NULL, most), 1) == CBN_E_NULL);
    CHECK(cbn_moments_add(&g, x, 2, sums, products, ROOM(memory, bytes - 1), 2) == CBN_E_WORKSPACE);
    CHECK(cbn_moments_add(&g, x, 2, sums, products, whole, 0) == CBN_E_PARAMETER);
    CHECK(cbn_moments_add(&g, x, 0, sums, products, whole, 1) == CBN_E_SIZE);
    CHECK(cbn_moments_add(&g, x, INT64_MAX / 8, sums, products, whole, 1) == CBN_E_SIZE);
    for (int sign = -1; sign <= 1; sign += 2) {
        x[2 * POSITIONS * SIZE - 1] = (int16_t)(sign * (CBN_MAX_ROUNDED + 1));
        CHECK(cbn_moments_add(&g, x, 2, sums, products, whole, 2) == CBN_E_PARAMETER);
    }
    x[2 * POSITIONS * SIZE - 1] = 0;

    CHECK(cbn_gaussian_factors(NULL, NULL, sums, products, mean, factors, whole, 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_factors(&g, NULL, NULL, products, mean, factors, whole, 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_factors(&g, NULL, sums, NULL, mean, factors, whole, 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_factors(&g, NULL, sums, products, NULL, factors, whole, 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_factors(&g, NULL, sums, products, mean, NULL, whole, 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_factors(&g, NULL, sums, products, mean, factors, ROOM(NULL, most), 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_factors(&g, NULL, sums, products, mean, factors, ROOM(memory, of_factors - 1), 2) == CBN_E_WORKSPACE);
    CHECK(cbn_gaussian_factors(&g, NULL, sums, products, mean, factors, whole, 0) == CBN_E_PARAMETER);

    CHECK(cbn_gaussian_energies(NULL, x, 2, mean, factors, energies, whole, 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_energies(&g, NULL, 2, mean, factors, energies, whole, 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_energies(&g, x, 2, NULL, factors, energies, whole, 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_energies(&g, x, 2, mean, NULL, energies, whole, 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_energies(&g, x, 2, mean, factors, NULL, whole, 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_energies(&g, x, 2, mean, factors, energies, ROOM(NULL, most), 1) == CBN_E_NULL);
    CHECK(cbn_gaussian_energies(&g, x, 2, mean, factors, energies, ROOM(memory, of_energies - 1), 2) == CBN_E_WORKSPACE);
    CHECK(cbn_gaussian_energies(&g, x, 0, mean, factors, energies, whole, 1) == CBN_E_SIZE);
    CHECK(cbn_gaussian_energies(&g, x, INT64_MAX / 8, mean, factors, energies, whole, 1) == CBN_E_SIZE);
    CHECK(cbn_gaussian_energies(&g, x, 2, mean, factors, energies, whole, 0) == CBN_E_PARAMETER);

    for (int i = 0; i < 10; i++) {
        cbn_gaussians wrong = g;
        if (i == 0) wrong.n = 0;
        if (i == 1) wrong.unit = 0;
        if (i == 2) wrong.unit = (double)NAN;
        if (i == 3) wrong.strength = -1;
        if (i == 4) wrong.strength = (double)NAN;
        if (i == 5) wrong.ridge = -1;
        if (i == 6) wrong.prior = -1;
        if (i == 7) wrong.reach = 2;
        if (i == 8) wrong.reach = -1;
        if (i == 9) wrong.n = 1, wrong.without_own = 1;
        if (i < 6) CHECK(cbn_gaussian_factors(&wrong, NULL, sums, products, mean, factors, whole, 1) == CBN_E_PARAMETER);
        if (i != 5) CHECK(cbn_gaussian_energies(&wrong, x, 2, mean, factors, energies, whole, 1) == CBN_E_PARAMETER);
    }
    int touched = 0;
    for (int64_t i = 0; i < POSITIONS * TRIANGLE; i++) touched |= products[i] != 0;
    for (int64_t i = 0; i < POSITIONS * SIZE; i++) touched |= sums[i] != 0 || mean[i] != 0;
    for (int64_t i = 0; i < 2 * POSITIONS; i++) touched |= energies[i] != 0;
    CHECK(!touched);

    /* features that never change: only the ridge makes a covariance of them */
    CHECK(cbn_gaussian_factors(&g, NULL, sums, products, mean, factors, whole, 2) == CBN_OK);
    CHECK(fabs((double)factors[0] - 10) < 1e-6);
    g.ridge = 0;
    CHECK(cbn_gaussian_factors(&g, NULL, sums, products, mean, factors, whole, 2) == CBN_E_COVARIANCE);
    free(x), free(sums), free(products), free(mean), free(factors), free(energies), free(memory);
}

/* With an identity as basis, sums that are whitened later are the sums themselves. */
static void test_whitening(void) {
    enum { EDGE = 2, FEATURES = 5, PICTURES = 9 };
    const cbn_gaussians g = {EDGE, EDGE, FEATURES, PICTURES, 0.25, 3.0, 0.5, 0.5, 0, 0};
    int16_t *x = features((int64_t)PICTURES * EDGE * EDGE * FEATURES);
    int64_t sums[EDGE * EDGE * FEATURES] = {0}, products[EDGE * EDGE * FEATURES * (FEATURES + 1) / 2] = {0};
    add(&g, x, PICTURES, sums, products, 1);
    double basis[FEATURES * FEATURES] = {0}, offset[FEATURES] = {0};
    for (int i = 0; i < FEATURES; i++) basis[i * FEATURES + i] = 1;
    const cbn_whitening identity = {FEATURES, basis, offset};
    const int64_t n_floats = EDGE * EDGE * cbn_factor_floats(FEATURES);
    float mean[2][EDGE * EDGE * FEATURES], *factors[2] = {allocate(4 * n_floats), allocate(4 * n_floats)};
    for (int later = 0; later < 2; later++) {
        int64_t bytes = 0;
        const int status = cbn_gaussian_factors_workspace_size(&g, later ? &identity : NULL, 2, &bytes);
        const cbn_workspace workspace = room(status, bytes);
        CHECK(cbn_gaussian_factors(&g, later ? &identity : NULL, sums, products, mean[later], factors[later], workspace,
                                   2) == CBN_OK);
        free(workspace.memory);
    }
    for (int i = 0; i < EDGE * EDGE * FEATURES; i++) CHECK(fabs((double)mean[0][i] - (double)mean[1][i]) < 1e-4);
    double worst = 0;
    for (int64_t i = 0; i < n_floats; i++) worst = fmax(worst, fabs((double)factors[0][i] - (double)factors[1][i]));
    CHECK(worst < 1e-6);
    int64_t bytes;
    cbn_whitening wrong = identity;
    wrong.inputs = 0;
    CHECK(cbn_gaussian_factors_workspace_size(&g, &wrong, 1, &bytes) == CBN_E_SIZE);
    wrong.inputs = CBN_MAX_DIRECTIONS + 1;
    CHECK(cbn_gaussian_factors_workspace_size(&g, &wrong, 1, &bytes) == CBN_E_SIZE);
    wrong = identity, wrong.basis = NULL;
    CHECK(cbn_gaussian_factors_workspace_size(&g, &wrong, 1, &bytes) == CBN_E_NULL);
    wrong = identity, wrong.offset = NULL;
    CHECK(cbn_gaussian_factors_workspace_size(&g, &wrong, 1, &bytes) == CBN_E_NULL);
    free(x), free(factors[0]), free(factors[1]);
}

int main(void) {
    test_run();
    test_whitening();
    test_sizes();
    test_refusals();
    return report(__FILE__);
}

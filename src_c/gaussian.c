/* SPDX-License-Identifier: BSD-3-Clause */
/* Gaussian models of positions. Threads own positions; of the shared covariance, rows; of the last minimum, images. */
#include <math.h>

#include "kernels/kernels.h"
#include "neural.h"
#include "workspace.h"

#define PANEL 16
#define PAIRS 64      /* of images whose products one tile sums in 32 bits: 64 * 2 * 2047^2 < 2^31 */
#define TOGETHER 4    /* images whose differences one factor multiplies at a time */
#define NEIGHBOURS 9  /* at most, the position itself among them */
#define LEAST_LEFT 1e-6 /* of a direction's variance, when an image is taken out of it */

int64_t cbn_factor_floats(int32_t size) {
    const int64_t panels = (size + PANEL - 1) / PANEL;
    return PANEL * PANEL * panels * (panels + 1) / 2;
}

static int64_t triangle(int64_t size) { return size * (size + 1) / 2; }

int cbn_gaussians_check(const cbn_gaussians *g) {
    if (!g) return CBN_E_NULL;
    if (g->height < 1 || g->width < 1 || g->size < 1 || g->size > CBN_MAX_DIRECTIONS) return CBN_E_SIZE;
    int64_t positions, bytes;
    CBN_TRY(cbn_multiply(g->height, g->width, &positions));
    CBN_TRY(cbn_multiply(positions, 8 * triangle(g->size), &bytes));
    return cbn_multiply(positions, 4 * cbn_factor_floats(g->size), &bytes);
}

/* ---- sums ---- */

typedef struct {
    int32_t *pairs; /* (PAIRS, padded size): two images of a channel in the halves of a number */
} cbn_moments_own;

static cbn_moments_own moments_own(cbn_arena *arena, int64_t size) {
    const cbn_moments_own own = {cbn_take_rows(arena, PAIRS, cbn_padded(size), sizeof(int32_t))};
    return own;
}

int cbn_moments_workspace_size(const cbn_gaussians *g, int num_threads, int64_t *bytes) {
    CBN_TRY(cbn_gaussians_check(g));
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_arena one = cbn_counting_arena(), arena = cbn_counting_arena();
    moments_own(&one, g->size);
    cbn_take_each(&arena, &one, num_threads);
    return cbn_arena_size(&arena, bytes);
}

int cbn_moments_add(const cbn_gaussians *g, const int16_t *x, int64_t n_images, int64_t *sums, int64_t *products,
                    cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_gaussians_check(g));
    if (!x || !sums || !products) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    if (n_images < 1) return CBN_E_SIZE;
    const int64_t positions = (int64_t)g->height * g->width, size = g->size, padded = cbn_padded(size);
    int64_t values;
    CBN_TRY(cbn_multiply(n_images, positions * size, &values));
    for (int64_t i = 0; i < values; i++)
        if (x[i] > CBN_MAX_ROUNDED || x[i] < -CBN_MAX_ROUNDED) return CBN_E_PARAMETER;
    cbn_arena one = cbn_counting_arena(), arena = cbn_arena_of(workspace);
    moments_own(&one, size);
    void *each = cbn_take_each(&arena, &one, num_threads);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const cbn_kernels *kernels = cbn_kernels_select();
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 0.05 * (double)values * (double)size), positions, static)
    for (int64_t p = 0; p < positions; p++) {
        cbn_arena own_arena = cbn_own_arena(each, &one);
        const cbn_moments_own own = moments_own(&own_arena, size);
        for (int64_t first = 0; first < n_images; first += 2 * PAIRS) {
            const int64_t left = n_images - first, n = left < 2 * PAIRS ? left : 2 * PAIRS, n_pairs = (n + 1) / 2;
            for (int64_t k = 0; k < n_pairs; k++) {
                const int16_t *even = x + ((first + 2 * k) * positions + p) * size;
                const int16_t *odd = 2 * k + 1 < n ? even + positions * size : NULL;
                int32_t *pairs = own.pairs + k * padded;
                for (int64_t c = 0; c < padded; c++) {
                    const uint32_t low = c < size ? (uint16_t)even[c] : 0, high = c < size && odd ? (uint16_t)odd[c] : 0;
                    const uint32_t pair = low | high << 16;
                    memcpy(pairs + c, &pair, sizeof pair);
                    if (c < size) sums[p * size + c] += even[c] + (odd ? odd[c] : 0);
                }
            }
            kernels->add_products(own.pairs, n_pairs, size, padded, products + p * triangle(size));
        }
    }
    return CBN_OK;
}

/* ---- factors ---- */

typedef struct {
    double *lower;   /* (size, size): column by column, the covariance and then its factor L */
    double *inverse; /* the same of L's inverse */
    double *scatter; /* (inputs, inputs): of features that are not whitened yet; the parts below only with those */
    double *halfway; /* (inputs, size): times the basis */
    double *white;   /* (size, size), lower triangle, row by row */
} cbn_factor_own;

typedef struct {
    double *scatter; /* (inputs, inputs), lower triangle: the sum of the scatters of all positions */
    double *pooled;  /* (size, size), lower triangle: the same of whitened features */
    void *each;
} cbn_factor_parts;

static cbn_factor_own factor_own(cbn_arena *arena, int64_t size, int64_t inputs) {
    cbn_factor_own own = {cbn_take_rows(arena, size, size, sizeof(double)),
                          cbn_take_rows(arena, size, size, sizeof(double)), NULL, NULL, NULL};
    if (inputs) {
        own.scatter = cbn_take_rows(arena, inputs, inputs, sizeof(double));
        own.halfway = cbn_take_rows(arena, inputs, size, sizeof(double));
        own.white = cbn_take_rows(arena, size, size, sizeof(double));
    }
    return own;
}

static cbn_factor_parts factor_parts(cbn_arena *arena, cbn_arena *one, int64_t size, int64_t inputs, int num_threads) {
    factor_own(one, size, inputs);
    cbn_factor_parts parts = {NULL, cbn_take_rows(arena, size, size, sizeof(double)), NULL};
    parts.scatter = inputs ? cbn_take_rows(arena, inputs, inputs, sizeof(double)) : parts.pooled;
    parts.each = cbn_take_each(arena, one, num_threads);
    return parts;
}

static int check_factors(const cbn_gaussians *g, const cbn_whitening *w, int num_threads) {
    CBN_TRY(cbn_gaussians_check(g));
    if (num_threads < 1) return CBN_E_PARAMETER;
    if (!w) return CBN_OK;
    if (!w->basis || !w->offset) return CBN_E_NULL;
    cbn_gaussians of_inputs = *g;
    of_inputs.size = w->inputs;
    return cbn_gaussians_check(&of_inputs);
}

int cbn_gaussian_factors_workspace_size(const cbn_gaussians *g, const cbn_whitening *whitening, int num_threads,
                                        int64_t *bytes) {
    CBN_TRY(check_factors(g, whitening, num_threads));
    cbn_arena one = cbn_counting_arena(), arena = cbn_counting_arena();
    factor_parts(&arena, &one, g->size, whitening ? whitening->inputs : 0, num_threads);
    return cbn_arena_size(&arena, bytes);
}

/* white = basis^T scatter basis, lower triangle, of the lower triangle of scatter, which becomes whole. */
static void whiten_scatter(const cbn_whitening *w, int64_t size, double *scatter, double *halfway, double *white) {
    const int64_t inputs = w->inputs;
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t j = 0; j < i; j++) scatter[j * inputs + i] = scatter[i * inputs + j];
    for (int64_t i = 0; i < inputs; i++) {
        double *row = halfway + i * size;
        for (int64_t r = 0; r < size; r++) row[r] = 0;
        for (int64_t j = 0; j < inputs; j++) cbn_add_times(row, scatter[i * inputs + j], w->basis + j * size, size);
    }
    for (int64_t r = 0; r < size * size; r++) white[r] = 0;
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t r = 0; r < size; r++)
            cbn_add_times(white + r * size, w->basis[i * size + r], halfway + i * size, r + 1);
}

static inline double scatter_of(const int64_t *sums, const int64_t *products, int64_t row, int64_t column, double n) {
    return (double)products[row * (row + 1) / 2 + column] - (double)sums[row] * (double)sums[column] / n;
}

/* L L^T = a, in place, of the lower triangle that lies column by column. 0 where a is not positive. */
static int cholesky(double *a, int64_t size) {
    for (int64_t j = 0; j < size; j++) {
        double *column = a + j * size;
        for (int64_t k = 0; k < j; k++) {
            const double *earlier = a + k * size, factor = earlier[j];
            for (int64_t i = j; i < size; i++) column[i] -= earlier[i] * factor;
        }
        if (!(column[j] > 0)) return 0;
        const double root = sqrt(column[j]);
        for (int64_t i = j; i < size; i++) column[i] /= root;
    }
    return 1;
}

/* The inverse of a lower triangle, column by column both. */
static void invert_lower(const double *lower, int64_t size, double *inverse) {
    for (int64_t j = 0; j < size; j++) {
        double *column = inverse + j * size;
        for (int64_t i = 0; i < size; i++) column[i] = i == j;
        for (int64_t k = j; k < size; k++) {
            const double *own = lower + k * size, value = column[k] / own[k];
            column[k] = value;
            for (int64_t i = k + 1; i < size; i++) column[i] -= own[i] * value;
        }
    }
}

static void pack_factor(const double *inverse, int64_t size, float *factor) {
    for (int64_t first = 0; first < size; first += PANEL)
        for (int64_t column = 0; column < first + PANEL; column++, factor += PANEL)
            for (int64_t i = 0; i < PANEL; i++) {
                const int64_t row = first + i;
                factor[i] = row < size && column <= row ? (float)inverse[column * size + row] : 0.0f;
            }
}

int cbn_gaussian_factors(const cbn_gaussians *g, const cbn_whitening *whitening, const int64_t *sums,
                         const int64_t *products, float *mean, float *factors, cbn_workspace workspace,
                         int num_threads) {
    CBN_TRY(check_factors(g, whitening, num_threads));
    if (!sums || !products || !mean || !factors) return CBN_E_NULL;
    if (g->n < 1 || !(g->unit > 0) || !(g->strength >= 0) || !(g->ridge >= 0)) return CBN_E_PARAMETER;
    const int64_t positions = (int64_t)g->height * g->width, size = g->size;
    const int64_t inputs = whitening ? whitening->inputs : 0, of_sums = whitening ? inputs : size;
    const double n = (double)g->n;
    cbn_arena one = cbn_counting_arena(), arena = cbn_arena_of(workspace);
    const cbn_factor_parts parts = factor_parts(&arena, &one, size, inputs, num_threads);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const double square = g->unit * g->unit, of_pooled = 1 / (n * (double)positions), total = n + g->strength;
    const double cells = (double)positions * (double)(of_sums * of_sums);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, cells), of_sums, dynamic, 1)
    for (int64_t row = 0; row < of_sums; row++) {
        double *own = parts.scatter + row * of_sums;
        for (int64_t column = 0; column <= row; column++) own[column] = 0;
        for (int64_t p = 0; p < positions; p++)
            for (int64_t column = 0; column <= row; column++)
                own[column] += scatter_of(sums + p * of_sums, products + p * triangle(of_sums), row, column, n) * square;
    }
    if (whitening) {
        cbn_arena own_arena = cbn_own_arena(parts.each, &one);
        const cbn_factor_own own = factor_own(&own_arena, size, inputs);
        whiten_scatter(whitening, size, parts.scatter, own.halfway, parts.pooled);
    }
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 0.2 * cells * (double)size), positions, static)
    for (int64_t p = 0; p < positions; p++) {
        cbn_arena own_arena = cbn_own_arena(parts.each, &one);
        const cbn_factor_own own = factor_own(&own_arena, size, inputs);
        const int64_t *s = sums + p * of_sums, *t = products + p * triangle(of_sums);
        if (whitening) {
            for (int64_t row = 0; row < inputs; row++)
                for (int64_t column = 0; column <= row; column++)
                    own.scatter[row * inputs + column] = scatter_of(s, t, row, column, n) * square;
            whiten_scatter(whitening, size, own.scatter, own.halfway, own.white);
        }
        for (int64_t row = 0; row < size; row++) {
            double centre = whitening ? whitening->offset[row] : (double)s[row] * (g->unit / n);
            for (int64_t i = 0; i < inputs; i++)
                centre += (double)s[i] * (g->unit / n) * whitening->basis[i * size + row];
            mean[p * size + row] = (float)centre;
            for (int64_t column = 0; column <= row; column++) {
                const double shared = parts.pooled[row * size + column] * of_pooled;
                const double scatter =
                    whitening ? own.white[row * size + column] : scatter_of(s, t, row, column, n) * square;
                own.lower[column * size + row] =
                    (scatter + g->strength * shared) / total + (row == column ? g->ridge : 0.0);
            }
        }
        float *factor = factors + p * cbn_factor_floats(g->size);
        if (cholesky(own.lower, size)) {
            invert_lower(own.lower, size, own.inverse);
            pack_factor(own.inverse, size, factor);
        } else {
            factor[0] = 0.0f; /* which no factor has */
        }
    }
    int64_t not_positive = 0;
    for (int64_t p = 0; p < positions; p++) not_positive += factors[p * cbn_factor_floats(g->size)] == 0.0f;
    return not_positive ? CBN_E_COVARIANCE : CBN_OK;
}

/* ---- energies ---- */

typedef struct {
    float *start; /* (PANEL) zeros */
    float *x, *y; /* columns of TOGETHER images: differences, and the factor times them, panel by panel */
    float *centre; /* (size): mean of the Gaussian without the image */
} cbn_energy_own;

typedef struct {
    float *squares; /* (positions, images, NEIGHBOURS): of the Gaussian at a position, for the positions around it */
    void *each;
} cbn_energy_parts;

static int64_t columns_of(const cbn_gaussians *g) { return (g->reach ? NEIGHBOURS : 1) + (g->without_own ? 1 : 0); }

static cbn_energy_own energy_own(cbn_arena *arena, const cbn_gaussians *g) {
    const int64_t columns = TOGETHER * columns_of(g), padded = cbn_padded(g->size);
    const cbn_energy_own own = {
        cbn_take(arena, PANEL, sizeof(float)), cbn_take_rows(arena, columns, padded, sizeof(float)),
        cbn_take_rows(arena, columns, padded, sizeof(float)), cbn_take(arena, padded, sizeof(float))};
    return own;
}

static cbn_energy_parts energy_parts(cbn_arena *arena, cbn_arena *one, const cbn_gaussians *g, int64_t n_images,
                                     int num_threads) {
    int64_t rows = -1;
    energy_own(one, g);
    if (cbn_multiply((int64_t)g->height * g->width, n_images, &rows) != CBN_OK) rows = -1;
    const cbn_energy_parts parts = {cbn_take_rows(arena, rows, g->reach ? NEIGHBOURS : 1, sizeof(float)),
                                    cbn_take_each(arena, one, num_threads)};
    return parts;
}

static int check_energies(const cbn_gaussians *g, int64_t n_images, int num_threads) {
    CBN_TRY(cbn_gaussians_check(g));
    if (n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1 || g->reach < 0 || g->reach > 1 || !(g->unit > 0) || !(g->strength >= 0) || !(g->prior >= 0))
        return CBN_E_PARAMETER;
    return g->n < (g->without_own ? 2 : 1) ? CBN_E_PARAMETER : CBN_OK;
}

int cbn_gaussian_energies_workspace_size(const cbn_gaussians *g, int64_t n_images, int num_threads, int64_t *bytes) {
    CBN_TRY(check_energies(g, n_images, num_threads));
    cbn_arena one = cbn_counting_arena(), arena = cbn_counting_arena();
    energy_parts(&arena, &one, g, n_images, num_threads);
    return cbn_arena_size(&arena, bytes);
}

/* Sixteen partial sums, then a tree of them: the order is the same whatever the vectors. */
static float panel_product(const float *a, const float *b, int64_t panels, int64_t step) {
    float lanes[PANEL] = {0};
    for (int64_t j = 0; j < panels; j++)
        for (int i = 0; i < PANEL; i++) lanes[i] += a[j * step + i] * b[j * step + i];
    for (int half = PANEL / 2; half; half /= 2)
        for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

/* y = factor * x for columns that lie one after the other in x; in y all columns of a panel before those of the next. */
static void multiply_factor(const cbn_kernels *kernels, const float *factor, const cbn_energy_own *own, int64_t columns,
                            int64_t padded) {
    for (int64_t first = 0; first < padded; first += PANEL) {
        const int64_t length = first + PANEL;
        const cbn_run run = {0, length};
        const cbn_row_plan plan = {1, &run, length, PANEL, columns, padded};
        kernels->sum_row(&plan, own->x, factor, own->start, 0, 0, own->y + first * columns);
        factor += length * PANEL;
    }
}

/* Which neighbour of (row, column) a number names; 0 where it lies outside. */
static int neighbour(const cbn_gaussians *g, int64_t row, int64_t column, int64_t number, int64_t *r, int64_t *c) {
    *r = row + (g->reach ? number / 3 - 1 : 0), *c = column + (g->reach ? number % 3 - 1 : 0);
    return *r >= 0 && *r < g->height && *c >= 0 && *c < g->width;
}

/* Squared energies of the positions around p in `n` images, by the Gaussian at p. */
static void position_squares(const cbn_gaussians *g, const cbn_kernels *kernels, const int16_t *x, int64_t p, int64_t n,
                             const float *mean, const float *factor, const cbn_energy_own *own, float *squares) {
    const int64_t size = g->size, padded = cbn_padded(size), positions = (int64_t)g->height * g->width;
    const int64_t around = g->reach ? NEIGHBOURS : 1, each = columns_of(g), columns = n * each;
    const double seen = (double)g->n - g->without_own, total = (double)g->n + g->strength;
    const float unit = (float)g->unit, shrink = (float)(seen / (seen + g->prior));
    for (int64_t i = 0; i < n; i++) {
        const int16_t *image = x + i * positions * size;
        float *to = own->x + i * each * padded;
        for (int64_t c = 0; c < size; c++) own->centre[c] = shrink * mean[c];
        if (g->without_own) {
            const float others = (float)(1 / seen);
            float *deviation = to + around * padded;
            for (int64_t c = 0; c < padded; c++)
                deviation[c] = c < size ? (float)image[p * size + c] * unit - mean[c] : 0.0f;
            for (int64_t c = 0; c < size; c++) own->centre[c] = shrink * (mean[c] - deviation[c] * others);
        }
        for (int64_t k = 0; k < around; k++, to += padded) {
            int64_t r, column;
            if (!neighbour(g, p / g->width, p % g->width, k, &r, &column)) {
                memset(to, 0, (size_t)padded * sizeof *to);
                continue;
            }
            const int16_t *from = image + (r * g->width + column) * size;
            for (int64_t c = 0; c < size; c++) to[c] = (float)from[c] * unit - own->centre[c];
            for (int64_t c = size; c < padded; c++) to[c] = 0.0f;
        }
    }
    multiply_factor(kernels, factor, own, columns, padded);
    const int64_t panels = padded / PANEL, step = columns * PANEL;
    for (int64_t i = 0; i < n; i++) {
        const float *first = own->y + i * each * PANEL, *deviation = first + around * PANEL;
        double gain = 0, left = 1, share = 1;
        if (g->without_own) {
            gain = (double)g->n / seen / total;
            share = (total - 1) / total;
            left = 1 - gain * (double)panel_product(deviation, deviation, panels, step);
            left = left > LEAST_LEFT ? left : LEAST_LEFT;
        }
        for (int64_t k = 0; k < around; k++) {
            const float *y = first + k * PANEL;
            double square = (double)panel_product(y, y, panels, step);
            if (g->without_own) {
                const double along = (double)panel_product(y, deviation, panels, step);
                square += gain * along * along / left;
            }
            squares[i * around + k] = (float)(share * square);
        }
    }
}

int cbn_gaussian_energies(const cbn_gaussians *g, const int16_t *x, int64_t n_images, const float *mean,
                          const float *factors, float *energies, cbn_workspace workspace, int num_threads) {
    CBN_TRY(check_energies(g, n_images, num_threads));
    if (!x || !mean || !factors || !energies) return CBN_E_NULL;
    const int64_t positions = (int64_t)g->height * g->width, size = g->size, around = g->reach ? NEIGHBOURS : 1;
    int64_t values;
    CBN_TRY(cbn_multiply(n_images, positions * size, &values));
    cbn_arena one = cbn_counting_arena(), arena = cbn_arena_of(workspace);
    const cbn_energy_parts parts = energy_parts(&arena, &one, g, n_images, num_threads);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const cbn_kernels *kernels = cbn_kernels_select();
    /* a factor comes from memory, and is multiplied with the columns of all images */
    const double columns = (double)(n_images * columns_of(g)), floats = (double)(positions * cbn_factor_floats(g->size));
    CBN_PARALLEL(cbn_worth(num_threads, floats * (0.1 + 0.03 * columns)), positions) {
        cbn_arena own_arena = cbn_own_arena(parts.each, &one);
        const cbn_energy_own own = energy_own(&own_arena, g);
        memset(own.start, 0, PANEL * sizeof *own.start);
        CBN_FOR(static)
        for (int64_t p = 0; p < positions; p++)
            for (int64_t i = 0; i < n_images; i += TOGETHER) {
                const int64_t n = n_images - i < TOGETHER ? n_images - i : TOGETHER;
                position_squares(g, kernels, x + i * positions * size, p, n, mean + p * size,
                                 factors + p * cbn_factor_floats(g->size), &own,
                                 parts.squares + (p * n_images + i) * around);
            }
        CBN_FOR(static)
        for (int64_t p = 0; p < positions; p++)
            for (int64_t i = 0; i < n_images; i++) {
                float least = INFINITY;
                for (int64_t k = 0; k < around; k++) {
                    int64_t r, c; /* of the Gaussian to which p is neighbour number k */
                    if (!neighbour(g, p / g->width, p % g->width, around - 1 - k, &r, &c)) continue;
                    const float square = parts.squares[((r * g->width + c) * n_images + i) * around + k];
                    least = square < least ? square : least;
                }
                energies[i * positions + p] = sqrtf(least);
            }
    }
    return CBN_OK;
}

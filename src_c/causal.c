/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Causal features: bits of a position that are functions of the nodes before it in raster order, 64 images at a time.
 *
 * "Distance at least t" and "first column at most c" are prefixes of ORs, lengths of runs prefixes of ANDs; ones are
 * counted by adders whose digits are words, one image a bit. Only means need a number for every image.
 */
#include "causal.h"

/* ---- which features there are ---- */

#define GAPS {2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24}
#define GAPS_FROM_0 {1, 2, 3, 4, 5, 7, 9, 12, 16, 24}
#define LENGTHS {2, 3, 4, 5, 7, 10, 14, 20}
#define RUNS {1, 2, 3, 4}
#define ROW_INK {1, 2, 3, 4, 6, 8, 12, 16, 24}
#define ALL_INK {1, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 256, 384, 512, 1024}
#define COLUMNS {-9, -5, -3, -2, -1, 0, 1, 2, 3, 4, 6, 10}
#define SINCE {1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 24, 32}
#define WIDTHS {3, 4, 5, 6, 7, 8, 10, 12, 16}
#define MOST_THRESHOLDS 18

enum { LEFT, UP, ABOVE_LEFT, ABOVE_RIGHT, LEFT_RUN, UP_RUN, ROW_RUNS, ABOVE_RUNS, ABOVE_INK, EARLIER_INK, EDGES };
enum { ROWS_SINCE = EDGES + 10, MEAN_COLUMN, NEAR_MEAN_COLUMN, MEAN_WIDTH };
_Static_assert(MEAN_WIDTH + 1 == CBN_PROFILE_STATISTICS, "statistics");

typedef struct {
    int n;
    int16_t t[MOST_THRESHOLDS];
} thresholds;
#define COUNTED(...) sizeof((int16_t[])__VA_ARGS__) / sizeof(int16_t), __VA_ARGS__

static const thresholds statistics[CBN_PROFILE_STATISTICS] = {
    {COUNTED(GAPS)},    {COUNTED(GAPS)},    {COUNTED(GAPS_FROM_0)}, {COUNTED(GAPS)},    {COUNTED(LENGTHS)},
    {COUNTED(LENGTHS)}, {COUNTED(RUNS)},    {COUNTED(RUNS)},        {COUNTED(ROW_INK)}, {COUNTED(ALL_INK)},
    {COUNTED(COLUMNS)}, {COUNTED(COLUMNS)}, {COUNTED(COLUMNS)},     {COUNTED(COLUMNS)}, {COUNTED(COLUMNS)},
    {COUNTED(COLUMNS)}, {COUNTED(COLUMNS)}, {COUNTED(COLUMNS)},     {COUNTED(COLUMNS)}, {COUNTED(COLUMNS)},
    {COUNTED(SINCE)},   {COUNTED(COLUMNS)}, {COUNTED(COLUMNS)},     {COUNTED(WIDTHS)},
};

void cbn_profile_thresholds_get(cbn_profile_thresholds *out) {
    out->begin[0] = 0;
    for (int s = 0; s < CBN_PROFILE_STATISTICS; s++) {
        out->begin[s + 1] = out->begin[s] + statistics[s].n;
        for (int i = 0; i < statistics[s].n; i++) out->threshold[out->begin[s] + i] = statistics[s].t[i];
    }
}

static int cuts_of(int side, int *cut) {
    const int n = side - 1 < CBN_MAX_CUTS ? side - 1 : CBN_MAX_CUTS;
    for (int i = 1; i <= n; i++) cut[i - 1] = (int)(((int64_t)i * side + n) / (n + 1));
    return n;
}

/* Offsets nearest first: by distance, rows above, columns aside, dy, dx. */
static int window_of(int radius, int8_t *dy, int8_t *dx) {
    int n = 0;
    for (int distance = 1; distance <= radius; distance++)
        for (int up = 0; up <= distance; up++)
            for (int aside = up == distance ? 0 : distance; aside <= distance; aside++)
                for (int side = -1; side <= (up > 0 && aside > 0 ? 1 : -1); side += 2) {
                    dy[n] = (int8_t)-up;
                    dx[n++] = (int8_t)(side * aside);
                }
    return n;
}

int cbn_causal_plan_of(const cbn_causal *causal, cbn_causal_plan *plan) {
    if (!causal) return CBN_E_NULL;
    const cbn_grid grid = causal->grid;
    CBN_TRY(cbn_grid_check(grid));
    if (causal->radius < 1 || causal->radius > CBN_MAX_RADIUS || causal->place < 0 || causal->place > 1 ||
        causal->profile < 0 || causal->profile > 1)
        return CBN_E_PARAMETER;
    if (grid.channels > CBN_MAX_FEATURES) return CBN_E_SIZE;
    if (causal->profile && (grid.height > CBN_MAX_PROFILE_SIDE || grid.width > CBN_MAX_PROFILE_SIDE)) return CBN_E_SIZE;
    plan->causal = *causal;
    plan->n_offsets = window_of(causal->radius, plan->dy, plan->dx);
    plan->row_cuts = causal->place ? cuts_of(grid.height, plan->row_cut) : 0;
    plan->column_cuts = causal->place ? cuts_of(grid.width, plan->column_cut) : 0;
    cbn_profile_thresholds_get(&plan->thresholds);
    plan->n_features = (int64_t)plan->n_offsets * grid.channels + grid.channels - 1 + plan->row_cuts +
                       plan->column_cuts + (causal->profile ? plan->thresholds.begin[CBN_PROFILE_STATISTICS] : 0);
    return plan->n_features > CBN_MAX_FEATURES ? CBN_E_SIZE : CBN_OK;
}

int cbn_causal_count(const cbn_causal *causal, int64_t *n_features) {
    cbn_causal_plan plan;
    CBN_TRY(cbn_causal_plan_of(causal, &plan));
    if (!n_features) return CBN_E_NULL;
    *n_features = plan.n_features;
    return CBN_OK;
}

/* ---- numbers of 64 images ---- */

#define MOST_DIGITS 32

/* digit[k]: bit k of 64 numbers. */
typedef struct {
    uint64_t digit[MOST_DIGITS];
    int n;
} counter;

static inline void count_in(counter *c, uint64_t carry) {
    for (int k = 0; carry; k++) {
        if (k == c->n) c->digit[c->n++] = 0;
        const uint64_t digit = c->digit[k];
        c->digit[k] = digit ^ carry;
        carry &= digit;
    }
}

/* numbers[i] += scale * number of image i. */
static void add_numbers(const counter *c, int32_t scale, int32_t numbers[64]) {
    for (int k = 0; k < c->n; k++) {
        const uint64_t digit = c->digit[k];
        const uint32_t half[2] = {(uint32_t)digit, (uint32_t)(digit >> 32)};
        const int32_t value = (int32_t)((uint32_t)scale << k);
        for (int h = 0; h < 2; h++)
            for (int i = 0; i < 32; i++) numbers[32 * h + i] += (int32_t)(half[h] >> i & 1) * value;
    }
}

/* Bit i: a[i] >= b[i]. */
static uint64_t at_least(const int32_t a[64], const int32_t b[64]) {
    uint8_t flag[64];
    uint64_t bits = 0;
    for (int i = 0; i < 64; i++) flag[i] = a[i] >= b[i];
    for (int i = 0; i < 8; i++) { /* a product gathers the lowest bits of eight bytes in the top byte */
        uint64_t eight;
        memcpy(&eight, flag + 8 * i, sizeof eight);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        eight = __builtin_bswap64(eight);
#endif
        bits |= (eight * 0x0102040810204080ULL >> 56) << 8 * i;
    }
    return bits;
}

static uint64_t at_least_number(const int32_t a[64], int32_t number) {
    int32_t same[64];
    for (int i = 0; i < 64; i++) same[i] = number;
    return at_least(a, same);
}

/* ---- the pixels of a channel ---- */

typedef struct {
    const uint64_t *first; /* of the channel */
    int64_t stride;
    int height, width;
} pixels;

static pixels pixels_of(cbn_grid grid, int channel, const uint64_t *column, int64_t stride) {
    const pixels own = {column + channel * cbn_grid_positions(grid) * stride, stride, grid.height, grid.width};
    return own;
}

static inline uint64_t pixel(const pixels *p, int y, int x) {
    return y < 0 || x < 0 || x >= p->width ? 0 : p->first[((int64_t)y * p->width + x) * p->stride];
}

uint64_t cbn_causal_quiet(cbn_grid grid, int channel, int y, int x, const uint64_t *column, int64_t stride) {
    const pixels p = pixels_of(grid, channel, column, stride);
    uint64_t any = pixel(&p, y, x - 1) | pixel(&p, y, x - 2);
    for (int dy = 1; dy <= 2; dy++)
        for (int dx = -2; dx <= 2; dx++) any |= pixel(&p, y - dy, x + dx);
    return ~any;
}

void cbn_causal_look_above(const cbn_causal_plan *plan, int channel, int y, const uint64_t *column, int64_t stride,
                           cbn_causal_above *above) {
    if (!plan->causal.profile) return;
    const pixels p = pixels_of(plan->causal.grid, channel, column, stride);
    memset(above, 0, offsetof(cbn_causal_above, column) + sizeof(uint64_t) * (size_t)p.width);
    counter ink = {.n = 0}, runs = {.n = 0}, near_ink = {.n = 0};
    counter by_bit[16], near_by_bit[16]; /* ones whose column has a 1 in that bit of its number */
    for (int b = 0; b < 16; b++) by_bit[b].n = near_by_bit[b].n = 0;
    for (int row = 0; row < y; row++) {
        uint64_t any = row ? above->begun[row - 1] : 0, before = 0;
        for (int x = 0; x < p.width; x++) {
            const uint64_t own = pixel(&p, row, x);
            count_in(&runs, own & ~before);
            before = own;
            if (!own) continue;
            any |= own;
            above->column[x] |= own;
            count_in(&ink, own);
            for (int b = 0; x >> b; b++)
                if (x >> b & 1) count_in(&by_bit[b], own);
            if (row < y - 4) continue;
            count_in(&near_ink, own);
            for (int b = 0; x >> b; b++)
                if (x >> b & 1) count_in(&near_by_bit[b], own);
        }
        above->begun[row] = any;
    }
    add_numbers(&ink, 1, above->ink);
    add_numbers(&runs, 1, above->runs);
    add_numbers(&near_ink, 1, above->near_ink);
    for (int b = 0; b < 16; b++) {
        add_numbers(&by_bit[b], 1 << b, above->moment);
        add_numbers(&near_by_bit[b], 1 << b, above->near_moment);
    }
}

/* ---- statistics: each writes the bits of its thresholds, and returns what follows them ---- */

typedef struct {
    const pixels *p;
    int y, x;
    uint64_t *bits; /* of the next statistic */
    int64_t step;
} writer;

static inline void write(writer *w, uint64_t bit) {
    *w->bits = bit;
    w->bits += w->step;
}

/* Distance from (y, x) to the nearest 1 in a direction, from distance `first` on. */
static void write_gap(writer *w, const thresholds *own, int y, int x, int dy, int dx, int first) {
    uint64_t any = 0;
    int distance = first;
    for (int k = 0; k < own->n; k++) {
        for (; distance < own->t[k]; distance++) {
            const int row = y + dy * distance, column = x + dx * distance;
            if (row < 0 || column < 0 || column >= w->p->width) break;
            any |= pixel(w->p, row, column);
        }
        write(w, ~any);
    }
}

/* Length of the run of ones that ends before (y, x) in a direction. */
static void write_run(writer *w, const thresholds *own, int dy, int dx) {
    uint64_t all = ~(uint64_t)0;
    int length = 0;
    for (int k = 0; k < own->n; k++) {
        for (; length < own->t[k] && all; length++)
            all &= pixel(w->p, w->y + dy * (length + 1), w->x + dx * (length + 1));
        write(w, all);
    }
}

/* Number of runs of ones in the columns before `end` of a row. */
static void write_runs(writer *w, const thresholds *own, int y, int end) {
    uint64_t more[MOST_THRESHOLDS] = {0}, before = 0; /* more[k]: more than k runs */
    for (int x = 0; y >= 0 && x < end; x++) {
        const uint64_t state = pixel(w->p, y, x), begins = state & ~before;
        for (int k = own->n - 1; k > 0; k--) more[k] |= more[k - 1] & begins;
        more[0] |= begins;
        before = state;
    }
    for (int k = 0; k < own->n; k++) write(w, more[k]);
}

static void count_row(const pixels *p, int y, int end, counter *ink) {
    for (int x = 0; y >= 0 && x < end; x++) count_in(ink, pixel(p, y, x));
}

static void write_numbers(writer *w, const thresholds *own, const int32_t numbers[64]) {
    for (int k = 0; k < own->n; k++) write(w, at_least_number(numbers, own->t[k]));
}

/* x less the first column with a 1, x less the last one; column: its words, a row of the picture or all together. */
static void write_edges(writer *w, const thresholds *own, const uint64_t *column, int64_t stride) {
    const int width = w->p->width;
    uint64_t any = 0, right = 0, exists = 0;
    int at = 0;
    for (int k = own->n - 1; k >= 0; k--) { /* first <= x - t: any 1 up to that column */
        for (; at <= w->x - own->t[k] && at < width; at++) any |= column[at * stride];
        w->bits[k * w->step] = any;
    }
    w->bits += own->n * w->step;
    for (exists = any; at < width; at++) exists |= column[at * stride];
    at = width - 1;
    for (int k = 0; k < own->n; k++) { /* last <= x - t: none behind that column */
        for (; at > w->x - own->t[k] && at >= 0; at--) right |= column[at * stride];
        write(w, exists & ~right);
    }
}

/* x less moment / ink: at least t where (x - t) ink >= moment. */
static void write_mean_column(writer *w, const thresholds *own, const int32_t ink[64], const int32_t moment[64]) {
    const uint64_t exists = at_least_number(ink, 1);
    for (int k = 0; k < own->n; k++) {
        int32_t product[64];
        for (int i = 0; i < 64; i++) product[i] = (w->x - own->t[k]) * ink[i];
        write(w, exists & at_least(product, moment));
    }
}

static const uint64_t no_ones[CBN_MAX_PROFILE_SIDE];
static const int edge_rows[] = {1, 2, 3, 5};

static void write_profile(writer *w, const cbn_causal_above *above) {
    const pixels *p = w->p;
    const int y = w->y, x = w->x;
    int32_t row_ink[64] = {0}, ink[64], runs[64], twice[64];
    write_gap(w, &statistics[LEFT], y, x, 0, -1, 1);
    write_gap(w, &statistics[UP], y, x, -1, 0, 1);
    write_gap(w, &statistics[ABOVE_LEFT], y - 1, x, 0, -1, 0);
    write_gap(w, &statistics[ABOVE_RIGHT], y - 1, x, 0, 1, 1);
    write_run(w, &statistics[LEFT_RUN], 0, -1);
    write_run(w, &statistics[UP_RUN], -1, 0);
    write_runs(w, &statistics[ROW_RUNS], y, x);
    write_runs(w, &statistics[ABOVE_RUNS], y - 1, p->width);
    counter above_ink = {.n = 0}, own_ink = {.n = 0}, own_runs = {.n = 0};
    count_row(p, y - 1, p->width, &above_ink);
    add_numbers(&above_ink, 1, row_ink);
    write_numbers(w, &statistics[ABOVE_INK], row_ink);
    count_row(p, y, x, &own_ink);
    for (int column = 0; column < x; column++)
        count_in(&own_runs, pixel(p, y, column) & ~pixel(p, y, column - 1));
    memcpy(ink, above->ink, sizeof ink);
    memcpy(runs, above->runs, sizeof runs);
    add_numbers(&own_ink, 1, ink);
    add_numbers(&own_runs, 1, runs);
    write_numbers(w, &statistics[EARLIER_INK], ink);
    for (int i = 0; i < 4; i++) {
        const int row = y - edge_rows[i];
        if (row < 0)
            write_edges(w, &statistics[EDGES], no_ones, 1);
        else
            write_edges(w, &statistics[EDGES], p->first + (int64_t)row * p->width * p->stride, p->stride);
    }
    write_edges(w, &statistics[EDGES], above->column, 1);
    for (int k = 0; k < statistics[ROWS_SINCE].n; k++) {
        const int row = y - statistics[ROWS_SINCE].t[k];
        write(w, row < 0 ? 0 : above->begun[row]);
    }
    write_mean_column(w, &statistics[MEAN_COLUMN], above->ink, above->moment);
    write_mean_column(w, &statistics[NEAR_MEAN_COLUMN], above->near_ink, above->near_moment);
    const uint64_t exists = at_least_number(ink, 1);
    for (int i = 0; i < 64; i++) twice[i] = 2 * ink[i];
    for (int k = 0; k < statistics[MEAN_WIDTH].n; k++) {
        int32_t product[64];
        for (int i = 0; i < 64; i++) product[i] = statistics[MEAN_WIDTH].t[k] * runs[i];
        write(w, exists & at_least(twice, product));
    }
}

/* ---- all features ---- */

void cbn_causal_bits(const cbn_causal_plan *plan, const cbn_causal_above *above, int channel, int y, int x,
                     const uint64_t *column, int64_t stride, uint64_t *bits, int64_t step) {
    const cbn_grid grid = plan->causal.grid;
    const int64_t positions = cbn_grid_positions(grid);
    for (int k = 0; k < plan->n_offsets; k++) {
        const int row = y + plan->dy[k], place = x + plan->dx[k];
        const int inside = row >= 0 && place >= 0 && place < grid.width;
        for (int c = 0; c < grid.channels; c++, bits += step)
            *bits = inside ? column[(c * positions + (int64_t)row * grid.width + place) * stride] : 0;
    }
    for (int c = 0; c < grid.channels - 1; c++, bits += step)
        *bits = c < channel ? column[(c * positions + (int64_t)y * grid.width + x) * stride] : 0;
    for (int k = 0; k < plan->row_cuts; k++, bits += step) *bits = -(uint64_t)(y >= plan->row_cut[k]);
    for (int k = 0; k < plan->column_cuts; k++, bits += step) *bits = -(uint64_t)(x >= plan->column_cut[k]);
    if (!plan->causal.profile) return;
    const pixels p = pixels_of(grid, channel, column, stride);
    writer w = {&p, y, x, bits, step};
    write_profile(&w, above);
}

int cbn_causal_features(const cbn_causal *causal, cbn_planes planes, int64_t node, uint64_t *bits, int num_threads) {
    cbn_causal_plan plan;
    CBN_TRY(cbn_causal_plan_of(causal, &plan));
    const cbn_grid grid = causal->grid;
    if (!planes.words || !bits) return CBN_E_NULL;
    if (planes.n_images < 1 || node < 0 || node >= cbn_grid_nodes(grid)) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    const int64_t n_words = cbn_plane_words(planes.n_images), inside = node % cbn_grid_positions(grid);
    const int channel = (int)(node / cbn_grid_positions(grid));
    const int y = (int)(inside / grid.width), x = (int)(inside % grid.width);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 5000.0 * (double)n_words), n_words, static)
    for (int64_t word = 0; word < n_words; word++) {
        cbn_causal_above above;
        cbn_causal_look_above(&plan, channel, y, planes.words + word, n_words, &above);
        cbn_causal_bits(&plan, &above, channel, y, x, planes.words + word, n_words, bits + word, n_words);
        const uint64_t images = cbn_images_of_word(planes.n_images, word);
        for (int64_t f = 0; f < plan.n_features; f++) bits[f * n_words + word] &= images;
    }
    return CBN_OK;
}

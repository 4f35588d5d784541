/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hot loops, one set per instruction set. Each set is made by including the *_template.h files in a file that
 * defines their macros (generic.c, avx2.c, avx512.c, neon.c). All sets give the same bytes: integers are exact, and sums of
 * doubles run over nodes in the same order for every image, whatever the vector width.
 */
#ifndef CBN_KERNELS_H
#define CBN_KERNELS_H

#include "../internal.h"
#include "../mobile.h"
#include "../neural.h"

/* Most variables (a node and its present parents) that count_subsets takes: 2^8 counters. */
#define CBN_SUBSET_VARIABLES 8
/* Images that one call of score_block handles: 8 words of a plane, one cache line. */
#define CBN_SCORE_WORDS 8
#define CBN_SCORE_BLOCK (64 * CBN_SCORE_WORDS)
/* 64-bit words of a cache line, and of the widest vector. */
#define CBN_LINE_WORDS 8
/* Candidates that count_candidates works on at a time: their sets of images are loaded once. */
#define CBN_COUNTED_TOGETHER 4
/* Rows that count_columns adds up at a time. */
#define CBN_ROWS_TOGETHER 8

/* A node (first) and its present parents: the plane of variable i is bit bit[i] of the node's table index, which is
 * 2 * row + state. */
typedef struct {
    int n;
    const uint64_t *plane[CBN_MAX_PARENTS + 1];
    int bit[CBN_MAX_PARENTS + 1];
} cbn_variables;

static inline void cbn_variables_of(const cbn_layer *layer, const cbn_place *place, int64_t node,
                                    const uint64_t *planes, int64_t n_words, cbn_variables *variables) {
    int64_t parent[CBN_MAX_PARENTS];
    cbn_parents_of(layer, place, parent);
    variables->n = 1;
    variables->plane[0] = planes + node * n_words;
    variables->bit[0] = 0;
    for (int j = 0; j < place->k; j++) {
        if (parent[j] < 0) continue;
        variables->plane[variables->n] = planes + parent[j] * n_words;
        variables->bit[variables->n++] = j + 1;
    }
}

/* Which images of a plane are selected, word by word. */
#define CBN_SELECT_WORDS 64 /* that are squeezed at a time */
typedef struct {
    int64_t n_words;
    const uint64_t *keep;  /* (n_words): the selected images */
    const uint64_t *moves; /* (6, n_words): those of them that move down by 1 << level when they are squeezed */
    const int64_t *begin;  /* (n_words + 1): selected images in the words before */
} cbn_selection;

/* What a Gibbs chain group needs, besides its state. */
typedef struct {
    const cbn_layer *layer;
    const double *probability; /* (rows, 2) */
    const cbn_steps *steps;
} cbn_gibbs_plan;

/* One layer of the chains that go through all layers: what never changes. */
typedef struct {
    const cbn_layer *layer;
    const cbn_transition *transition; /* from the layer below; NULL for the pixels */
    const int64_t *values;            /* (rows, 2) of this layer, in units */
    const int64_t *channel_row;       /* (channels): first table row */
    const int64_t *child_begin;       /* (channels + 1): the relations of which the channel is the parent ... */
    const int32_t *child, *child_dy, *child_dx; /* ... where the child is from there */
    int64_t n_nodes;
    int required;              /* any relation is required (pixels only) */
    int sum_height, sum_width; /* convolution sums that are pooled: pool * height, pool * width */
    int box_height, box_width; /* at most so many of them change with one pixel */
} cbn_chain_layer;

/* What a group of chains keeps of one layer. */
typedef struct {
    uint32_t *state;    /* (nodes): bit i is chain i */
    uint32_t *changed;  /* (nodes): chains in which the proposal changes the node; 0 between proposals */
    cbn_place *list;    /* the nodes that the proposal changes in any chain ... */
    int64_t n_changed;  /* ... and their number */
    int64_t *scored_at; /* (nodes): proposal, counted from 1, for which the node's table was last looked up */
    int32_t *sums;      /* (sum_height, sum_width, channels, CBN_GROUP): convolution sums */
    int32_t *proposed;  /* (box_height, box_width, channels, CBN_GROUP): those of the proposal, inside the box ... */
    int top, left, bottom, right; /* ... of sums that it may change, the last ones included */
} cbn_chain_state;

/* What a group of chains through all layers needs, besides its state. */
typedef struct {
    int n_layers;
    cbn_chain_layer layer[CBN_MAX_LAYERS];
    double unit; /* nats of one unit of the values */
    const double *inverse_temperature; /* (steps) */
    const cbn_steps *steps;
} cbn_chain_plan;

/* The tree of a node, and its part of an array per vertex and state. */
typedef struct {
    int32_t node, n_vertices;
    const int32_t *split, *child;
    const double *values; /* (n_vertices, 2) */
} cbn_tree;

/* values: an array per vertex and state, or NULL. */
static inline cbn_tree cbn_tree_of(const cbn_trees *trees, int64_t node, const double *values) {
    const int64_t first = trees->begin[node];
    const cbn_tree tree = {(int32_t)node, (int32_t)(trees->begin[node + 1] - first), trees->split + first,
                           trees->child + first, values ? values + 2 * first : NULL};
    return tree;
}

/* A tree of at most this many vertices numbers its leaves with a byte. */
#define CBN_BYTE_VERTICES 256
/* Chains of one group of the tree samplers, which share a 64-bit word per node. */
#define CBN_TREE_GROUP 64

/* A vertex of the tree of a node. */
typedef struct {
    int32_t node, vertex;
} cbn_vertex;

/* What a group of Gibbs chains under trees needs, besides its state. */
typedef struct {
    const cbn_trees *trees;
    const double *probability; /* (vertices, 2) */
    const cbn_steps *steps;
    const int64_t *asked_begin; /* (nodes + 1): the vertices that split on node v, in order, are ... */
    const cbn_vertex *asked;    /* ... asked[asked_begin[v]] .. asked[asked_begin[v + 1] - 1] */
    const int32_t *above;       /* per vertex: 2 * parent + its side, counted from the root; -1 at a root */
} cbn_tree_gibbs_plan;

/*
 * How the sums of a convolution are looked up. A window is cut into chunks of up to CBN_CHUNK_BITS bits (whole rows of
 * one channel); the table of a chunk holds, for every state of its bits, the sum of the weights of the bits that are 1,
 * for all kernels side by side. The bias is in the first chunk.
 */
#define CBN_CHUNK_BITS 10
#define CBN_LANES 8 /* kernels come in groups of this many, unused ones with weight 0 and a bias below 0 */
typedef struct {
    const cbn_transition *transition;
    int height, width;      /* of the layer above */
    int chunk_rows, chunks; /* window rows in a chunk; chunks per channel */
    int bits;               /* of a full chunk */
    int lanes;              /* kernels, rounded up to groups of CBN_LANES */
    int run_rows;           /* rows below that one row of the layer above sees */
    int run_columns;        /* columns below that the layer above sees */
    int32_t *sums;          /* [channel * chunks + chunk][1 << bits][lanes] */
    uint8_t *fire;          /* [lanes / CBN_LANES][1 << bits]: kernels above 0; with one chunk in all, else NULL */
} cbn_window_plan;

/*
 * Gradients of boosted trees (Newton boosting): kept in units of 1 / CBN_GRADIENT_ONE for leaf values, and rounded
 * stochastically to a few levels for the choice of splits. A gradient is a signed number of CBN_GRADIENT_BITS bits from
 * -CBN_GRADIENT_LEVELS to CBN_GRADIENT_LEVELS, a Hessian (at most 1/4) an unsigned one; one plane a bit, the gradient's
 * first, lowest bits first.
 */
#define CBN_GRADIENT_ONE 16777216
#define CBN_GRADIENT_BITS 4
#define CBN_HESSIAN_BITS 3
#define CBN_GRADIENT_LEVELS ((1 << (CBN_GRADIENT_BITS - 1)) - 1)
#define CBN_HESSIAN_LEVELS ((1 << CBN_HESSIAN_BITS) - 1)
#define CBN_GRADIENT_PLANES (CBN_GRADIENT_BITS + CBN_HESSIAN_BITS)

/* The search for a tree's splits: candidates as planes of n_words, and the rounded planes [CBN_GRADIENT_PLANES][n_words] of
 * all its images. scratch: n_words rows of cbn_search_words(n) words, which lay_out_search may fill, once a tree. */
typedef struct {
    const uint64_t *planes;
    int64_t n_words;
    const int32_t *candidate;
    int64_t n;
    const uint64_t *rounded;
    uint64_t *scratch;
} cbn_split_search;

/* Words for each word of a plane. By tables: 8 bytes of every candidate (rounded up to a vector of 32), three levels of a byte for
 * each of 64 images (24 words), and a word of images that count. Otherwise a masked copy of the rounded planes: fewer. */
static inline int64_t cbn_search_words(int64_t n) { return (n + 31) / 32 * 32 + 25; }

/* A row of a sample (cbn_rows): its bits of the drawn features, its rounded gradient and Hessian, and its number. */
typedef struct {
    uint64_t bits[CBN_ROW_BITS / 64];
    uint32_t number;
    int8_t level;
    uint8_t curved;
} cbn_coded_row;

/*
 * A tree as it is added in many images at once: sets of images go down through its inner vertices, and the values of its
 * leaves, less the least of them, are sums of powers of two: bit `first` + k of an image is whether it is under any of
 * some vertices, or under none of some others, whichever are fewer.
 */
typedef struct {
    int32_t least, first, digits, n_inner;
    const int32_t *feature;  /* (n_inner): that decides; the children of inner vertex i are 2 i + 1 and 2 i + 2 */
    const uint16_t *vertex;  /* (n_inner): its number */
    const int32_t *n_under;  /* (digits): n vertices with the bit, or ~n without it, which stand in ... */
    const uint16_t *under;   /* ... one digit after the other */
} cbn_sliced_tree;

typedef struct {
    const char *name;
    /* planes[p * n_words + word] for the 64 images from `images` on (fewer: n_images < 64, rest 0). */
    void (*pack_word)(const uint8_t *images, int64_t n_images, int64_t n_pixels, int cutoff, uint64_t *planes,
                      int64_t n_words);
    /* out = the selected images of a plane, in their order. */
    void (*select_plane)(const cbn_selection *selection, const uint64_t *plane, uint64_t *out);
    /* superset[s] = number of images in which all variables of the subset s (a bit mask) are 1, of those in which
     * `within` is 1. Without it (NULL) superset[0] is left alone. n <= CBN_SUBSET_VARIABLES. */
    void (*count_subsets)(const uint64_t *const *plane, int n, const uint64_t *within, int64_t n_words,
                          int64_t *superset);
    /* out[i] = cbn_log(x[i]); out may be x. */
    void (*logs)(const double *x, int64_t n, double *out);
    /* sums[i] += values[index of image i], for 64 * n_words images from word first_word on; n_words <= CBN_SCORE_WORDS. */
    void (*score_block)(const cbn_variables *variables, int table_bits, int64_t first_word, int n_words,
                        const double *values, double *sums);
    /* The same for one word and n_tables tables, one after the other, of the same variables. sums[t] of table t has 64
     * images, or is NULL for a table to leave out. */
    void (*score_tables)(const cbn_variables *variables, int table_bits, int64_t word, const double *tables,
                         int n_tables, double *const *sums);
    /* Runs of pixels of 64 images below row y of the layer above: runs[channel][run_rows][run_columns][64], bit i the
     * pixel i columns further right, kernel_size of them. */
    void (*window_runs)(const cbn_window_plan *plan, const uint64_t *planes, int64_t n_words, int64_t word, int y,
                        uint16_t *runs);
    /* fired[k] = word of kernel k < lanes at column x of the row of the runs. Images beyond the last count as empty. */
    void (*transition_position)(const cbn_window_plan *plan, const uint16_t *runs, int x, uint64_t *fired);
    /* greatest[i][k] = largest sum of the pooling window at column x in image i, of kernel lane + k. */
    void (*greatest_sums)(const cbn_window_plan *plan, const uint16_t *runs, int x, int lane,
                          int32_t greatest[64][CBN_LANES]);
    /* Adds the kernel gradient of up to 64 images at column x of the row of the runs to a histogram by window state
     * (shaped as plan->sums). by_state: dL/dz, [kernel][64] with `stride` between kernels; overwritten. Transitions of
     * one chunk leave the slope out: it depends on the window state alone. */
    void (*gradient_position)(const cbn_window_plan *plan, const uint16_t *runs, int x, int n_images, double sharpness,
                              double *by_state, int64_t stride, double *histogram);
    /* factor[i] *= slope of the surrogate at the window sum sum[i]. */
    void (*multiply_slope)(const int32_t *sum, int64_t n, double sharpness, double *factor);
    /* counts[c] = {images of `members`, images of `members_on`} in which plane candidate[c] is 1; fewer than 2^32 images.
     * Planes and sets begin at cache lines: n_words is a multiple of CBN_LINE_WORDS. counts has room for a multiple of
     * CBN_COUNTED_TOGETHER. */
    void (*count_candidates)(const uint64_t *planes, int64_t n_words, const int32_t *candidate, int64_t n,
                             const uint64_t *members, const uint64_t *members_on, uint32_t (*counts)[2]);
    /* The same where all members are in n_words words: word i is word at[i] of the planes, which are plane_words long. */
    void (*count_candidates_at)(const uint64_t *planes, int64_t plane_words, const int32_t *candidate, int64_t n,
                                const int32_t *at, int64_t n_words, const uint64_t *members,
                                const uint64_t *members_on, uint32_t (*counts)[2]);
    /* The images of n_words words that go a way (cbn_rounds.h): word i of `few`, none 0, is word at[i]. Their number. */
    int64_t (*follow_way)(const uint64_t *planes, int64_t plane_words, const uint64_t *images, int64_t n_words,
                          const int32_t *way, int64_t n_way, int32_t *at, uint64_t *few);
    /* Words that count_candidates counts while the other one counts one. */
    int words_for_one;
    /* rows[] = the images of a set that are not in another one, if there is one, in order; their number. Word w is word
     * at[w] of the planes, without `at` word w. Three more may be written. */
    int64_t (*list_rows)(const uint64_t *set, const uint64_t *not_in, const int32_t *at, int64_t n_words, int32_t *rows);
    /* counts[c] = rows chosen[i] of a matrix of bits that have bit c, for the 64 column_words columns from `rows` on; row
     * r begins at word r * stride. n < 2^32 is a multiple of CBN_ROWS_TOGETHER; a row may be chosen more than once. */
    void (*count_columns)(const uint64_t *rows, int64_t stride, const int32_t *chosen, int64_t n, uint32_t *counts);
    int column_words;
    /* Words that count_candidates_at counts while count_columns adds a row. */
    int words_for_row;
    /* odds[i] = log-odds of the node in the 64 images of a word; state of node v: word column[v * stride]. */
    void (*log_odds)(const cbn_boosted *boosted, int64_t node, const uint64_t *column, int64_t stride,
                     int32_t odds[64]);
    /* p[x][i]: probability of state x from log-odds; values[i]: of the given kind, for the states in the bits. */
    void (*odds_probability)(const int32_t odds[64], double p[2][64]);
    void (*odds_values)(const int32_t odds[64], uint64_t state, int kind, double values[64]);
    /* p[x][i]: probability of state x in the particles of a word; state of node v: word column[v * stride]. The table of
     * a node begins at `table`, its parents are nodes, or -1 where they are absent. The values of the tree: p. */
    void (*table_probabilities)(const double *table, const int64_t *parent, int n_parents, const uint64_t *column,
                                int64_t stride, double p[2][64]);
    void (*tree_probabilities)(const cbn_tree *tree, const uint64_t *column, int64_t stride, double p[2][64]);
    /* As draw_word for one step after the other; prepared: the step before has been drawn, with the same `next`. */
    uint64_t (*draw_in_turn)(const double p1[64], uint64_t seed, uint32_t first_chain, uint64_t step, int prepared,
                             double next[64]);
    /* log_weight[i] += log p[i]; and weight[i] = exp(log_weight[i] - largest), with sums of weights and their squares. */
    void (*weigh_word)(const double p[64], double log_weight[64]);
    void (*weights_of_logs)(const double *log_weight, int64_t n, double largest, double *weight, double sums[2]);
    /* Particle i of n takes the states of particle ancestor[i] at up to 64 nodes; by_particle: 64 n_groups words of
     * scratch. */
    void (*take_ancestors)(uint64_t *state, const int64_t *node, int n_nodes, int64_t n, int64_t n_groups,
                           const uint32_t *ancestor, uint64_t *by_particle);
    /* Bit i: 1 with probability p1[i], by the uniform of a step of the ancestral stream of chain first_chain + i. */
    uint64_t (*draw_word)(const double p1[64], uint64_t seed, uint32_t first_chain, uint64_t step);
    /* Gradients and Hessians of a node's images at their log-odds, and planes [CBN_GRADIENT_PLANES][n_words] of both
     * after rounding, 0 outside of `members`. odds, gradient, hessian: 64 n_words numbers. */
    void (*gradients)(const int32_t *odds, const uint64_t *target, const uint64_t *members, int64_t n_words,
                      uint64_t seed, uint32_t node, uint32_t round, int32_t *gradient, int32_t *hessian,
                      uint64_t *planes);
    /* gradient[c], hessian[c]: sums of the rounded ones in the images of `set` in which candidate[c] is 1; after
     * lay_out_search. */
    void (*lay_out_search)(const cbn_split_search *search);
    void (*count_gradients)(const cbn_split_search *search, const uint64_t *set, int32_t *gradient, int32_t *hessian);
    /* score[c] = sum over both sides of a split of g^2 / (h + l2); -1 where a side's h is below min_hessian. */
    void (*split_scores)(const int32_t *gradient, const int32_t *hessian, int64_t n, const int64_t total[2], double l2,
                         double min_hessian, double *score);
    /* sums: of gradient and hessian over the images of a set. */
    void (*leaf_sums)(const uint64_t *set, int64_t n_words, const int32_t *gradient, const int32_t *hessian,
                      int64_t sums[2]);
    /* Gradients and Hessians of the 64 rows of a block as in `gradients`, and the rows without their numbers; n_drawn at
     * most CBN_ROW_BITS. counter: block, round, stream. */
    void (*code_rows)(const int32_t *odds, uint64_t target, const uint64_t *features, const int32_t *drawn,
                      int64_t n_drawn, const uint32_t counter[3], uint64_t seed, int32_t *gradient, int32_t *hessian,
                      cbn_coded_row rows[64]);
    /* Adds to every bit's sums those of the rounded gradients and Hessians of the rows in which it is 1. */
    void (*row_sums)(const cbn_coded_row *rows, int64_t n, int32_t gradient[CBN_ROW_BITS],
                     int32_t hessian[CBN_ROW_BITS]);
    /* odds[i] += the leaf's value of a tree of n vertices, for the 64 images of a word; what split s asks: bits[s * step]. */
    void (*add_tree)(const int32_t *split, const int32_t *value, int64_t n, const uint64_t *bits, int64_t step,
                     int32_t *odds);
    /* odds[64 w + i] += what trees add in the images of CBN_SCORE_WORDS words; feature f is
     * bits[CBN_SCORE_WORDS f + w]. */
    void (*sum_trees)(const cbn_sliced_tree *trees, int64_t n_trees, const uint64_t *bits, int32_t *odds);
    /* odds[i] += value for the images of a set. */
    void (*add_leaf)(const uint64_t *set, int64_t n_words, int32_t value, int32_t *odds);
    /* sums[i] += values[leaf of image i][state of its node], for 64 * n_words images from word first_word on of planes of
     * plane_words words; 1 <= n_words <= CBN_SCORE_WORDS. */
    void (*score_tree)(const cbn_tree *tree, const uint64_t *planes, int64_t plane_words, int64_t first_word, int n_words,
                       double *sums);
    /* state: one 32-bit word per node, one bit per chain; chain number first_chain is bit 0. */
    void (*gibbs_group)(const cbn_gibbs_plan *plan, uint32_t first_chain, uint32_t *state);
    /* The same through all layers, for the chains of the mask; state[0].state is the pixels, the rest scratch. */
    void (*gibbs_layers_group)(const cbn_chain_plan *plan, uint32_t first_chain, uint32_t chains,
                               cbn_chain_state state[CBN_MAX_LAYERS]);
    void (*ancestral_group)(const cbn_layer *layer, const double *probability, uint64_t seed, const uint8_t *clamped,
                            uint32_t first_chain, uint32_t *state);
    /* The two samplers for trees: n_chains <= CBN_TREE_GROUP; one 64-bit word per node, its other bits are scratch. */
    void (*gibbs_trees)(const cbn_tree_gibbs_plan *plan, uint32_t first_chain, int n_chains, uint64_t *state);
    void (*ancestral_trees)(const cbn_trees *trees, const double *probability, uint64_t seed, const uint8_t *clamped,
                            uint32_t first_chain, int n_chains, uint64_t *state);
    /* out (width, outputs) = start + inputs * panels, for a row of positions whose first one begins at x; start_step
     * floats between the starts of two positions. With `rectify` the larger of that and 0. out may be start. */
    void (*sum_row)(const cbn_row_plan *plan, const float *x, const float *panels, const float *start,
                    int64_t start_step, int rectify, float *out);
    /* Adds the row's gradients with respect to the panels; d_out (width, outputs). */
    void (*weight_row)(const cbn_row_plan *plan, const float *x, const float *d_out, float *d_panels);
    /* sums[o] += sum over n rows of values (n, outputs); outputs is a multiple of 16. */
    void (*add_rows)(const float *values, int64_t n, int64_t outputs, float *sums);
    /* out (width, padded kernels) from u (width, padded units). */
    void (*last_row)(const cbn_last_plan *plan, const float *u, float *out);
    /* d_u (width, padded units) from d_out (width, padded kernels); adds to plan->d_by_unit. */
    void (*last_row_gradient)(const cbn_last_plan *plan, const float *u, const float *d_out, float *d_u);
    /* One row of pooled positions; x is the first of the rows that it pools. */
    void (*pool_row)(const cbn_pool_plan *plan, const float *x, float *out, uint8_t *which);
    /* out = bias + inputs * panel, clipped or with what is added, for all positions of a plan. panel (inputs, 16 or 8);
     * `added`, if it is not NULL, lies as out does. */
    void (*panel_sums)(const cbn_sums_plan *plan, const float *x, const float *panel, const float *bias,
                       const float *added, float *out);
    /* out (width, 16), clipped, from weights (rows, size, 16); x is the corner of the first window. */
    void (*depth_row)(const cbn_depth_plan *plan, const float *x, const float *weights, const float *bias, float *out);
    /* products (lower triangle of size x size, row by row) += sums over pairs (n_pairs, padded) of images; n_pairs is at
     * most 64, the columns behind size are 0. */
    void (*add_products)(const int32_t *pairs, int64_t n_pairs, int64_t size, int64_t padded, int64_t *products);
} cbn_kernels;

/* Defines the set of an instruction set, after the templates. */
#define CBN_KERNEL_SET(set)                                                                                            \
    const cbn_kernels cbn_kernels_##set = {                                                                            \
        .name = #set,                                                                                                  \
        .sum_row = sum_row,                                                                                            \
        .weight_row = weight_row,                                                                                      \
        .add_rows = add_rows,                                                                                          \
        .last_row = last_row,                                                                                          \
        .last_row_gradient = last_row_gradient,                                                                        \
        .pool_row = pool_row,                                                                                          \
        .panel_sums = panel_sums,                                                                                      \
        .add_products = add_products,                                                                                  \
        .depth_row = depth_row,                                                                                        \
        .pack_word = pack_word,                                                                                        \
        .select_plane = select_plane,                                                                                  \
        .count_subsets = count_subsets,                                                                                \
        .count_candidates = count_candidates,                                                                          \
        .count_candidates_at = count_candidates_at,                                                                    \
        .follow_way = follow_way,                                                                                      \
        .words_for_one = CBN_WORDS_FOR_ONE,                                                                            \
        .list_rows = list_rows,                                                                                        \
        .count_columns = count_columns,                                                                                \
        .column_words = CBN_COLUMN_WORDS,                                                                              \
        .words_for_row = CBN_WORDS_FOR_ROW,                                                                            \
        .log_odds = log_odds,                                                                                          \
        .odds_probability = odds_probability,                                                                          \
        .odds_values = odds_values,                                                                                    \
        .draw_word = draw_word,                                                                                        \
        .gradients = gradients,                                                                                        \
        .lay_out_search = lay_out_search,                                                                              \
        .count_gradients = count_gradients,                                                                            \
        .split_scores = split_scores,                                                                                  \
        .leaf_sums = leaf_sums,                                                                                        \
        .add_leaf = add_leaf,                                                                                          \
        .code_rows = code_rows,                                                                                        \
        .row_sums = row_sums,                                                                                          \
        .add_tree = add_tree,                                                                                          \
        .sum_trees = sum_trees,                                                                                        \
        .logs = logs,                                                                                                  \
        .score_block = score_block,                                                                                    \
        .score_tables = score_tables,                                                                                  \
        .window_runs = window_runs,                                                                                    \
        .transition_position = transition_position,                                                                    \
        .greatest_sums = greatest_sums,                                                                                \
        .score_tree = score_tree,                                                                                      \
        .gradient_position = gradient_position,                                                                        \
        .multiply_slope = multiply_slope,                                                                              \
        .gibbs_group = gibbs_group,                                                                                    \
        .gibbs_layers_group = gibbs_layers_group,                                                                      \
        .ancestral_group = ancestral_group,                                                                            \
        .gibbs_trees = gibbs_trees,                                                                                    \
        .ancestral_trees = ancestral_trees,                                                                            \
        .table_probabilities = table_probabilities,                                                                    \
        .tree_probabilities = tree_probabilities,                                                                      \
        .draw_in_turn = draw_in_turn,                                                                                  \
        .weigh_word = weigh_word,                                                                                      \
        .weights_of_logs = weights_of_logs,                                                                            \
        .take_ancestors = take_ancestors,                                                                              \
    }

extern const cbn_kernels cbn_kernels_generic;
#if defined(__x86_64__) && defined(__GNUC__)
#define CBN_HAVE_X86 1
extern const cbn_kernels cbn_kernels_avx2, cbn_kernels_avx512;
#elif defined(__aarch64__) && defined(__GNUC__)
#define CBN_HAVE_NEON 1
extern const cbn_kernels cbn_kernels_neon;
#endif

/* table (2^table_bits entries) = joint histogram of the variables over the images, or only over those in which the
 * plane `within`, if it is not NULL, is 1 (counts.c). */
void cbn_histogram(const cbn_kernels *kernels, const cbn_variables *variables, int table_bits, const uint64_t *within,
                   int64_t n_images, int64_t *table);

/* The best set for this processor. CBN_FORCE_GENERIC (anything but "" and "0") or CBN_INSTRUCTION_SET choose another;
 * a set that the processor lacks becomes the generic one. */
const cbn_kernels *cbn_kernels_select(void);

#endif

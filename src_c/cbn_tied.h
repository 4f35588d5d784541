/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tied networks: one sum of small trees for all positions of a channel, a convolution taken at its word. Included by
 * cbn.h, whose conventions hold.
 *
 * A tree asks CAUSAL FEATURES: bits that are functions of the nodes before a node in raster order. Whatever they say,
 * p(1 | earlier) = 1 / (1 + exp(-log-odds)) makes the product over nodes a normalized distribution that is exact to
 * score and, in one raster pass, exact to sample. A row is an (image, position) pair; trees are learned from a sample of
 * all rows of a channel.
 */
#ifndef CBN_TIED_H
#define CBN_TIED_H

#include "cbn.h"

/* ---- causal features --------------------------------------------------------------------------------------------- */

#define CBN_MAX_RADIUS 32
#define CBN_MAX_FEATURES 4096
/* Height and width up to which there are profile features. */
#define CBN_MAX_PROFILE_SIDE 1024
/* Rows and columns of position bits at most: larger grids are cut into so many parts and one. */
#define CBN_MAX_CUTS 63

/* What the features of a node of channel c at (y, x) are. Nodes outside of the grid are 0. */
typedef struct {
    cbn_grid grid;
    int32_t radius;  /* window: earlier positions within this Chebyshev distance, all channels; 1 .. CBN_MAX_RADIUS */
    int32_t place;   /* 0 or 1: position bits */
    int32_t profile; /* 0 or 1: profile bits */
} cbn_causal;

/*
 * Number of features, which come in this order:
 *   window   offset after offset, nearest first as candidates are (distance, rows above, distance in columns, dy, dx),
 *            and within an offset channel after channel;
 *   channels that are lower, at the same position: channels - 1 bits (0 for those that are not lower);
 *   place    for i = 1 .. cuts: y >= ceil(i height / (cuts + 1)), cuts = min(height - 1, CBN_MAX_CUTS); then columns;
 *   profile  of the node's own channel, a bit for each threshold t, "statistic >= t":
 *              distance to the nearest 1 to the left, and upwards (none: infinite),
 *              the same in the row above: leftwards from column x on, and rightwards from column x + 1 on,
 *              length of the run of 1 that ends at the left, and above,
 *              runs of 1 in the row so far, and in the row above,
 *              ones in the row above, and in all earlier nodes,
 *              x less the first column with a 1, and less the last one, in the rows 1, 2, 3 and 5 above, and in all
 *              rows above together (no 1: every bit is 0),
 *              rows since the first row with a 1 (none: 0), rows above only,
 *              x less the mean column of the ones of all rows above, and of the last four (none: every bit is 0),
 *              twice the ones of all earlier nodes by the runs in their rows (none: 0).
 * The thresholds are those of cbn_profile_thresholds(). CBN_E_SIZE for too many features or too large a grid.
 */
int cbn_causal_count(const cbn_causal *causal, int64_t *n_features);

/* Which feature of the profile is what: the first bit of statistic s is begin[s], its thresholds are
 * threshold[begin[s]] .. threshold[begin[s + 1] - 1]. */
#define CBN_PROFILE_STATISTICS 24
typedef struct {
    int32_t begin[CBN_PROFILE_STATISTICS + 1];
    int32_t threshold[512];
} cbn_profile_thresholds;
void cbn_profile_thresholds_get(cbn_profile_thresholds *out);

/* bits (n_features, words of the planes): the features of a node in all images. */
int cbn_causal_features(const cbn_causal *causal, cbn_planes planes, int64_t node, uint64_t *bits, int num_threads);

/* ---- rows: a sample of (image, position) pairs -------------------------------------------------------------------- */

/*
 * Which pairs are rows. A pair is QUIET if the pixels of its own channel within distance 2 before it are all 0; of the
 * quiet pairs whose own pixel is 0 too, one in `thinning` is kept, which raises the odds of a 1 among quiet rows by
 * exactly that factor: growth is given log(thinning) more at quiet rows, a network is not. Of what is left, pairs with
 * a random 32-bit number below `below` are kept. Pairs in which the node of the next lower channel is 0 are no rows if
 * the channels are thresholds (`nested`), for then their state is certain.
 * Random numbers are functions of (seed, channel, image, position), where image i of the planes has the number first + i:
 * the rows of consecutive images, cut at multiples of 64, are together those of all.
 */
typedef struct {
    uint64_t seed;
    uint64_t below;   /* 0 .. 2^32 */
    int32_t thinning; /* 1 or more */
    int32_t nested;   /* 0 or 1 */
    int64_t first;    /* 0 or more; CBN_E_SIZE where the number of an image is above 2^32 - 1 */
} cbn_row_sampling;

/* counts (words): rows from the 64 images of each word of the planes. */
int cbn_rows_count(const cbn_causal *causal, cbn_planes planes, int32_t channel, const cbn_row_sampling *sampling,
                   int64_t *counts, int num_threads);

/* Rows in blocks of 64, a bit each. The rows of one word of images fill blocks of their own, in random order, so that
 * any blocks are a sample of the rows; those of an incomplete last block that are none are 0 in `members`. */
typedef struct {
    int64_t n_blocks, n_features;
    uint64_t *features; /* (blocks, features) */
    uint64_t *target;   /* (blocks): the state of the node */
    uint64_t *members;  /* (blocks) */
    uint64_t *quiet;    /* (blocks) */
} cbn_rows;

/* begin (words + 1): first block of each word's rows; the difference holds exactly its count. */
int cbn_rows_take_workspace_size(const cbn_causal *causal, int num_threads, int64_t *bytes);
int cbn_rows_take(const cbn_causal *causal, cbn_planes planes, int32_t channel, const cbn_row_sampling *sampling,
                  const int64_t *begin, const cbn_rows *rows, cbn_workspace workspace, int num_threads);

/* ---- growth ------------------------------------------------------------------------------------------------------- */

/* Features that a tree may draw: the bits of two words. */
#define CBN_ROW_BITS 128

typedef struct {
    int32_t max_leaves;   /* of a tree, 2 .. CBN_MAX_BOOSTED_LEAVES */
    int32_t n_candidates; /* features drawn for each tree, 1 .. CBN_ROW_BITS */
    double share;         /* of the blocks that a tree is learned from, drawn anew for each; 0 < share <= 1 */
    double rate, l2, min_gain, min_hessian; /* as in cbn_boosting */
    uint64_t seed;
    uint32_t stream; /* trees of one seed and different streams draw independently */
} cbn_forest_growth;

/* Values of leaves are whole multiples of this, in units of 1 / CBN_LOG_ODDS_ONE: less to add where many images are scored
 * at once, and far less than what training can tell. */
#define CBN_TIED_STEP 32

/* Trees of rounds first_round, .. as they grow; odds of all rows. */
typedef struct {
    int32_t first_round, n_rounds;
    int32_t *odds;          /* (64 blocks), in and out: log-odds before and after the rounds, as cbn_boosted has them */
    int32_t *n_vertices;    /* (n_rounds): 0 for a round in which no split pays */
    int32_t *split, *value; /* (n_rounds, 2 max_leaves - 1): split is a feature; numbered as in cbn_boosted */
} cbn_grown_forest;

/*
 * Grow trees by Newton boosting on rows, best leaf first, as cbn_boosted_grow: the statistics of splits come from
 * gradients rounded to a few levels, the values of leaves from exact ones, both of the drawn blocks. Every row's odds
 * are then raised by its leaf. The first n_learning blocks are learned from, the rest only follows, to be judged.
 * usable (n_usable): features that may be drawn, each at most once. Results depend on nothing but the arguments.
 */
int cbn_forest_grow_workspace_size(const cbn_rows *rows, int64_t n_learning, const cbn_forest_growth *growth,
                                   int64_t n_usable, int num_threads, int64_t *bytes);
int cbn_forest_grow(const cbn_rows *rows, int64_t n_learning, const cbn_forest_growth *growth, const int32_t *usable,
                    int64_t n_usable, const cbn_grown_forest *grown, cbn_workspace workspace, int num_threads);

/* ---- networks ----------------------------------------------------------------------------------------------------- */

/* Of a channel: the sum of their leaf values fits 32 bits with that of corrections. */
#define CBN_MAX_TIED_TREES 1000

typedef struct {
    cbn_causal causal;
    const int64_t *begin;      /* (channels + 1): trees of channel c are begin[c] .. begin[c + 1] - 1 */
    const int64_t *tree_begin; /* (trees + 1): vertices of tree t */
    const int32_t *split;      /* per vertex: the feature that decides, -1 at a leaf; numbered as in cbn_boosted */
    const int32_t *value;      /* per vertex: what a leaf adds to the log-odds, 0 at an inner vertex */
    const int32_t *base;       /* (channels) */
    int32_t nested;            /* a node is never 1 where that of the next lower channel at its position is 0 */
    const cbn_boosted *corrections; /* on the same grid, or NULL: their log-odds are added; nothing is `required` */
} cbn_tied;

/* CBN_OK when the trees and the corrections are sound (CBN_E_TREE otherwise). */
int cbn_tied_check(const cbn_tied *tied);

/* Bytes of workspace for log-odds and scores. */
int cbn_tied_score_workspace_size(const cbn_tied *tied, int64_t n_images, int64_t *bytes);
/* odds (n_images, nodes), in units of 1 / CBN_LOG_ODDS_ONE, whatever `nested` says. */
int cbn_tied_log_odds(const cbn_tied *tied, cbn_planes planes, int32_t *odds, cbn_workspace workspace,
                      int num_threads);
/* The same for n_nodes nodes from first_node on, without corrections and node after node: odds (n_nodes, 64 words of a
 * plane). */
int cbn_tied_node_odds(const cbn_tied *tied, cbn_planes planes, int64_t first_node, int64_t n_nodes, int32_t *odds,
                       int num_threads);
/* scores (n_images), contributions (n_images, nodes): as for boosted trees. */
int cbn_tied_score_images(const cbn_tied *tied, cbn_planes planes, int kind, double *scores, cbn_workspace workspace,
                          int num_threads);
int cbn_tied_score_nodes(const cbn_tied *tied, cbn_planes planes, int kind, double *contributions,
                         cbn_workspace workspace, int num_threads);

int cbn_tied_sample_workspace_size(const cbn_tied *tied, int64_t n_chains, int64_t *bytes);
/* Ancestral sampling as cbn_sample_ancestral, with the same random numbers. */
int cbn_tied_sample(const cbn_tied *tied, uint64_t seed, const uint8_t *clamped, cbn_chains chains,
                    cbn_workspace workspace, int num_threads);
/* Inpainting as cbn_boosted_inpaint. */
int cbn_tied_inpaint(const cbn_tied *tied, uint64_t seed, const cbn_particles *particles, double *log_marginal,
                     cbn_workspace workspace, int num_threads);

#endif

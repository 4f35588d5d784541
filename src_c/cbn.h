/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cbn: the engine of convolutional Bayesian networks for images.
 *
 * THE MODEL. A layer is a grid of binary nodes at (channel, row, column). Node index:
 *
 *     node = (channel * height + row) * width + column
 *
 * A relation (child channel, parent channel, dy, dx) is tied: it holds at every position of the child channel whose
 * parent position (row + dy, column + dx) lies inside the layer. A parent outside the layer is absent: its bit counts
 * as 0. Every parent must come before its child in raster order (rows, then columns, then channels), so that the
 * network is acyclic and one raster pass visits parents before children.
 *
 * TABLES. Each node has a full conditional probability table of its own. With k relations of its channel the table has
 * 2^k rows; bit j of the row index is the state of parent j (the j-th relation of the channel). The tables of all nodes
 * lie one behind the other in node order: the rows of a layer are numbered 0 .. cbn_layer_rows() - 1. An array "per
 * row and state" has two entries a row, [row][0] for state 0 and [row][1] for state 1.
 *
 * BIT-PLANES (cbn_planes). Data live as one row of 64-bit words per node, one bit per image: bit (i % 64) of word
 * (i / 64) is the state in image i. A plane has cbn_plane_words(n_images) words; the unused bits of the last word are 0.
 *
 * OWNERSHIP. The caller owns every array and frees it; no function allocates. Arrays are C-contiguous and do not
 * overlap unless it is said. Scratch memory (cbn_workspace) is asked for by the function's *_workspace_size(), with the
 * same arguments and number of threads; it may begin anywhere that malloc() begins.
 *
 * ERRORS. Functions that can fail return CBN_OK (0) or a negative CBN_E_* code; outputs come last and hold nothing of
 * use after an error. cbn_strerror() names the code. Sizes are checked for overflow before they are used; the contents
 * of arrays (planes with a zero tail, counts that fit the layer) are the caller's promise unless it is said.
 *
 * THREADS. num_threads >= 1 is the number of OpenMP threads of that call (ignored in a build without OpenMP); where its
 * work is not worth so many it takes fewer, unless environment variable CBN_EVERY_THREAD=1 asks for all (tests do).
 * Results are the same bytes for every thread count and every instruction set. Functions keep no state and may run at
 * the same time on different outputs. Environment variable CBN_FORCE_GENERIC=1 forces the portable code path,
 * CBN_INSTRUCTION_SET=avx2 (avx512, neon, generic) another one that the processor has. In a child forked from a process
 * whose OpenMP threads have run, calls must ask for one thread: libgomp would wait for threads that the child does not
 * have.
 */
#ifndef CBN_H
#define CBN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CBN_VERSION "0.1.0"

enum {
    CBN_OK = 0,
    CBN_E_NULL = -1,        /* a required pointer is NULL */
    CBN_E_SIZE = -2,        /* a size or count is not positive, or too large for 64-bit arithmetic */
    CBN_E_RELATION = -3,    /* a relation names a channel that is not there, or a parent that is not earlier */
    CBN_E_PARENTS = -4,     /* more than CBN_MAX_PARENTS relations for one channel */
    CBN_E_PARAMETER = -5,   /* a scalar argument outside its range */
    CBN_E_COUNTS = -6,      /* counts that no set of images can have in this layer */
    CBN_E_OVERFLOW = -7,    /* a sum of counts does not fit 64 bits */
    CBN_E_WORKSPACE = -8,   /* the workspace is too small */
    CBN_E_SITE = -9,        /* a site index is not a node of the layer */
    CBN_E_TRANSITION = -10, /* a transition leaves no position, or has too many or too large kernels */
    CBN_E_TREE = -11,       /* trees whose vertices are not in order, or that split on a node that is not earlier */
    CBN_E_IMPOSSIBLE = -12, /* known states to which the model gives probability 0 */
    CBN_E_TAP = -13,        /* a tap or a pooling window that lies outside its input */
    CBN_E_COVARIANCE = -14, /* a covariance that is not positive definite */
};

#define CBN_MAX_PARENTS 16
#define CBN_MAX_LAYERS 8 /* pixels and hidden layers */

/* ---- the build ------------------------------------------------------------------------------------------------- */

/* One line for every status code, without a full stop; never NULL. */
const char *cbn_strerror(int status);
/* Version of the engine, equal to CBN_VERSION at its compilation. */
const char *cbn_version(void);
/* "generic", "avx2", "avx512" or "neon": what calls use now (the environment variable is read at every call). */
const char *cbn_instruction_set(void);
/* 1 when built with OpenMP, else 0. */
int cbn_has_openmp(void);
/* Threads that OpenMP would use by itself (honours OMP_NUM_THREADS and the affinity mask); 1 without OpenMP. */
int cbn_max_threads(void);

/* ---- what travels ---------------------------------------------------------------------------------------------- */

/* The nodes of a network: channels x height x width. */
typedef struct {
    int32_t channels, height, width;
} cbn_grid;

/* Bit-planes of all nodes of a network. */
typedef struct {
    const uint64_t *words; /* (nodes, cbn_plane_words(n_images)) */
    int64_t n_images;
} cbn_planes;

/* Scratch memory. */
typedef struct {
    void *memory;
    int64_t bytes;
} cbn_workspace;

/* States of chains that are sampled side by side. */
typedef struct {
    int64_t n;       /* 1 or more, below 2^32 */
    uint8_t *states; /* (n, nodes) of 0 and 1, in and out */
} cbn_chains;

/* Which steps of Gibbs chains are made: first .. first + n - 1; two calls in a row give the same bytes as one long one. */
typedef struct {
    uint64_t seed, first;
    int64_t n;
    const int64_t *sites; /* (n_sites): the nodes of which each step picks one; others keep their state */
    int64_t n_sites;      /* below 2^32 */
} cbn_steps;

/* ---- layers ---------------------------------------------------------------------------------------------------- */

typedef struct {
    cbn_grid grid;
    const int64_t *relation_begin;  /* (channels + 1): relations of channel c are relation_begin[c] .. [c + 1] - 1 */
    const int32_t *parent_channel;  /* one entry per relation, like the next three */
    const int32_t *dy, *dx;         /* offset of the parent from the child, in positions */
    const uint8_t *required;        /* 1: the child is never 1 where this parent is 0 (a thermometer code: a pixel is
                                       above a high threshold only if it is above the lower one). Rows that break
                                       this have probability 0 for state 1 and no free parameter. Offset (0, 0) only. */
} cbn_layer;

/* CBN_OK when the layer is sound: sizes, relation lists, parents earlier than children, at most CBN_MAX_PARENTS. */
int cbn_layer_check(const cbn_layer *layer);
/* Number of table rows of all nodes together. */
int cbn_layer_rows(const cbn_layer *layer, int64_t *rows);

/* ---- bit-planes ------------------------------------------------------------------------------------------------ */

/* Words of a plane of n_images images: ceil(n_images / 64). */
int64_t cbn_plane_words(int64_t n_images);
/*
 * Binarize and pack: plane p holds the bit "images[i][p] > cutoff".
 * images (n_images, n_pixels); 0 <= cutoff <= 255; planes (n_pixels, cbn_plane_words(n_images)).
 * Pack a second threshold by a second call with the planes of the next channel.
 */
int cbn_pack_planes(const uint8_t *images, int64_t n_images, int64_t n_pixels, int cutoff, uint64_t *planes,
                    int num_threads);
/* The way back: states (n_images, n_nodes) of 0 and 1. */
int cbn_unpack_planes(cbn_planes planes, int64_t n_nodes, uint8_t *states, int num_threads);
/*
 * Planes of some of the images, in their order: those with keep[i] != 0. keep (n_images); out (n_nodes, out_words):
 * out_words is cbn_plane_words() of the number of images kept, at least one (CBN_E_SIZE).
 */
int cbn_planes_select_workspace_size(int64_t n_images, int64_t *bytes);
int cbn_planes_select(cbn_planes planes, int64_t n_nodes, const uint8_t *keep, int64_t out_words, uint64_t *out,
                      cbn_workspace workspace, int num_threads);

/* ---- counts: the sufficient statistics ------------------------------------------------------------------------- */

/* counts (rows, 2): number of images in which a node's parents are in that row and the node is in that state. */
int cbn_count(const cbn_layer *layer, cbn_planes planes, int64_t *counts, int num_threads);
/* total += counts, entry by entry; counts of disjoint image sets add exactly. CBN_E_OVERFLOW leaves total unchanged. */
int cbn_counts_add(const int64_t *counts, int64_t size, int64_t *total);
/* Checks that counts could come from n_images images: none negative, every node's sum equal to n_images, nothing in a
 * row that needs an absent parent, nothing that a required parent forbids. CBN_E_COUNTS otherwise. */
int cbn_counts_check(const cbn_layer *layer, const int64_t *counts, int64_t n_images);

/* ---- structure score ------------------------------------------------------------------------------------------- */

/*
 * BIC = n_parameters * ln(n_images) - 2 * log_likelihood (thesis eq. 3; smaller is better). log_likelihood: natural
 * log of the data's probability at maximum likelihood; n_parameters: one for every table row that can occur.
 */
int cbn_bic(const cbn_layer *layer, const int64_t *counts, double *log_likelihood, int64_t *n_parameters, double *bic);

/* Relations that a search may add, one number of each array for each. */
typedef struct {
    int64_t n;
    const int32_t *child, *parent, *dy, *dx;
} cbn_relations;

/*
 * What a greedy search asks at every step: bic_change[i] = change of the BIC if the tied relation i were added to the
 * layer; negative is better. It is summed over the positions where the parent exists, in position order; each adds one
 * more parameter for every row that its table can have, and gains likelihood. Candidates must be relations that the layer
 * could have and has not (CBN_E_RELATION), for channels with fewer than CBN_MAX_SEARCH_PARENTS parents (CBN_E_PARENTS).
 */
#define CBN_MAX_SEARCH_PARENTS 10

/* Tables that a search keeps from one step to the next, so that only the images with the last parent are counted again:
 * of the candidate's child, without gaps for absent parents, of those images in which the candidate parent is 1. */
typedef struct {
    int32_t *count;   /* (candidates, positions, entries); nothing where the candidate is absent or a table is larger */
    int64_t entries;  /* 2 .. 2048, a power of two */
    int of_last_step; /* as the call left them for a layer without each child's last relation; else they are only written */
} cbn_kept_tables;

/* kept: or NULL; up to 2^31 - 1 images. Counts that cannot be the last step's are CBN_E_COUNTS: nothing is then of use. */
int cbn_relation_gains_workspace_size(const cbn_layer *layer, int64_t n_images, int64_t n_candidates, int num_threads,
                                      int64_t *bytes);
int cbn_relation_gains(const cbn_layer *layer, cbn_planes planes, const cbn_relations *candidates, cbn_kept_tables *kept,
                       double *bic_change, cbn_workspace workspace, int num_threads);

/* ---- tables ---------------------------------------------------------------------------------------------------- */

/* probability (rows, 2): (count + pseudocount) / (row sum + 2 pseudocount), thesis eq. 2. Range of pseudocount:
 * 1e-9 .. 1e9. */
int cbn_probability_table(const cbn_layer *layer, const int64_t *counts, double pseudocount, double *probability,
                          int num_threads);

/* What a node contributes to the score of an image, in nats (CBN_VARIANCE: nats squared; CBN_NORMALIZED: no unit). */
enum {
    CBN_LOG_PROBABILITY = 0, /* log p(state | parents) */
    CBN_SURPRISE = 1,        /* -log p - H, H = entropy of the node given its parents */
    CBN_VARIANCE = 2,        /* variance of -log p given the parents; the same for both states */
    CBN_NORMALIZED = 3,      /* |-log p - mean| / max(std, CBN_STD_FLOOR): mean and deviation of the node's -log p over
                                the counted images (thesis eq. 14, 15) */
};
/* Smallest standard deviation by which CBN_NORMALIZED divides, in nats: a node that never changed has deviation 0. */
#define CBN_STD_FLOOR 0.01

/*
 * values (rows, 2) of the given kind. With leave_one_out != 0 the entry for (row, state) is what a counted image in that
 * row and state would get from the counts without itself; entries that no image has are left as without it.
 */
int cbn_value_table(const cbn_layer *layer, const int64_t *counts, double pseudocount, int kind, int leave_one_out,
                    double *values, int num_threads);

/* ---- transitions: from a layer of bits to the next ---------------------------------------------------------------- */

/*
 * Convolution ("valid", stride 1) over all channels of the layer below, pool x pool max pooling with stride pool,
 * threshold at 0: a node is 1 where the largest sum of its pooling window is above 0. Its size is
 * height = (in_height - kernel_size + 1) / pool, width likewise, rounded down; positions left over are not used.
 *
 * Weights are whole multiples of 1 / CBN_WEIGHT_ONE, so that sums are exact and do not depend on their order. The
 * absolute weights and bias of a kernel must sum to less than 2^31 (CBN_E_TRANSITION).
 */
typedef struct {
    int32_t in_channels, in_height, in_width;
    int32_t out_channels;   /* kernels, at most CBN_MAX_KERNELS */
    int32_t kernel_size;    /* 1 .. CBN_MAX_KERNEL_SIZE */
    int32_t pool;           /* 1 or more */
    const int32_t *weights; /* (out_channels, in_channels, kernel_size, kernel_size) */
    const int32_t *bias;    /* (out_channels) */
} cbn_transition;

#define CBN_WEIGHT_ONE 1048576
#define CBN_MAX_KERNELS 64
#define CBN_MAX_KERNEL_SIZE 10

/* CBN_OK when the transition is sound and leaves at least one position. */
int cbn_transition_check(const cbn_transition *transition);
/* Bytes of workspace of cbn_transition_forward and cbn_transition_sums. */
int cbn_transition_workspace_size(const cbn_transition *transition, int num_threads, int64_t *bytes);
/* planes_in (in_channels * in_height * in_width planes) to planes_out (out_channels * height * width planes). */
int cbn_transition_forward(const cbn_transition *transition, cbn_planes planes_in, uint64_t *planes_out,
                           cbn_workspace workspace, int num_threads);
/* sums (out_channels * height * width, n_images): of every node the largest activation of its pooling window, bias included;
 * the node is 1 where it is above 0. What a bias must be for some share of ones is found among them. */
int cbn_transition_sums(const cbn_transition *transition, cbn_planes planes_in, int32_t *sums, cbn_workspace workspace,
                        int num_threads);

/* ---- training of kernels --------------------------------------------------------------------------------------- */

/* The network that training differentiates: its tables, and the slope of the surrogate of the threshold. */
typedef struct {
    const cbn_layer *layer; /* the layer above, without required parents, its size that of the transition's output */
    const int64_t *counts;  /* (rows, 2) of the planes of that layer */
    double pseudocount;     /* of the tables */
    double sharpness;       /* 1e-3 .. 1e3 */
} cbn_objective;

/*
 * Surrogate gradient of the kernels (thesis eq. 8, 9). Objective: L = log P(D | BN) - log P(D | BN'), BN the layer above
 * with its relations, BN' the same nodes without any; tables from counts with a pseudo-count. At the binary states
 *
 *     dL/dz_v = log p(1 | pa) - log p(0 | pa) - log p'(1) + log p'(0)
 *               + sum over children c of [log p(x_c | pa_c, z_v = 1) - log p(x_c | pa_c, z_v = 0)]
 *
 * (multilinear extension of the counts; the tables drop out by the envelope theorem). It goes to the activation s that
 * won the max, the first of equals, times the derivative of 1 / (1 + exp(-sharpness s)) in place of the threshold's.
 *
 * planes_out: what cbn_transition_forward makes of planes_in. weights (as transition->weights) and bias (out_channels):
 * nats per unit of weight (not per 1 / CBN_WEIGHT_ONE).
 */
int cbn_kernel_gradient_workspace_size(const cbn_transition *transition, const cbn_layer *layer, int64_t n_images,
                                       int num_threads, int64_t *bytes);
int cbn_kernel_gradient(const cbn_transition *transition, const cbn_objective *objective, cbn_planes planes_in,
                        const uint64_t *planes_out, double *weights, double *bias, cbn_workspace workspace,
                        int num_threads);

/* ---- trees: CPDs that look further ------------------------------------------------------------------------------- */

/*
 * A node's CPD may be a decision tree over earlier nodes in place of a table: context-specific independence (Boutilier,
 * Friedman, Goldszmidt, Koller 1996; Friedman, Goldszmidt 1996). At an inner vertex the state of one earlier node
 * decides which child comes next; a leaf is what a table row is. The network stays acyclic and normalized.
 *
 * Vertices of a node are numbered breadth first, the root is 0: the children of the i-th inner vertex are 2 i + 1 (where
 * the deciding node is 0) and 2 i + 2 (where it is 1). The vertices of all nodes lie one behind the other in node order.
 * Counts (vertices, 2) are kept at inner vertices too: those of an inner vertex are the sums of its children's.
 */
typedef struct {
    cbn_grid grid;
    const int64_t *begin;    /* (nodes + 1): vertices of node v are begin[v] .. begin[v + 1] - 1 */
    const int32_t *split;    /* per vertex: the node that decides, earlier in raster order; -1 at a leaf */
    const int32_t *child;    /* per vertex: first child, counted from the root; 0 at a leaf */
    const int32_t *required; /* (nodes), or NULL: the node without which v is never 1 (the lower threshold of a
                                thermometer code), then the root's split with a leaf on the side of 0; -1 for none */
} cbn_trees;

/* CBN_OK when the trees are sound: numbered as said, splits earlier than the node. O(vertices). */
int cbn_trees_check(const cbn_trees *trees);

/* Most leaves of a tree. */
#define CBN_MAX_LEAVES 4096

/* The nodes that may decide for each node of a grid. */
typedef struct {
    const int64_t *begin;    /* (nodes + 1): those of node v are ... */
    const int32_t *node;     /* ... node[begin[v]] .. node[begin[v + 1] - 1], all earlier than v */
    const int32_t *required; /* (nodes), or NULL: as in cbn_trees */
} cbn_candidates;

/* How trees are grown. */
typedef struct {
    double penalty;     /* of one more leaf, in ln(n_images), 0 .. 1e9; 0.5 is the BIC's price of one more parameter */
    int32_t max_leaves; /* 1 .. CBN_MAX_LEAVES; at least 2 with required nodes */
    int64_t min_leaf;   /* images that every child holds, 1 or more */
} cbn_growth;

/* Trees as they grow: the vertices of node v stand at the beginning of its row. */
typedef struct {
    int32_t *n_vertices;     /* (nodes) */
    int32_t *split, *child;  /* (nodes, 2 max_leaves - 1) */
    int64_t *counts;         /* (nodes, 2 max_leaves - 1, 2) */
} cbn_grown_trees;

/*
 * Grow the tree of every node, best leaf first: the split with the largest gain of log-likelihood (nats, at maximum
 * likelihood) is made as long as that gain exceeds penalty * ln(n_images) and the tree has fewer than max_leaves
 * leaves. Of equal gains the leaf that is older and the candidate that comes first win. The split of a required node is
 * made first, without a price, whatever its sides hold. n_images < 2^32.
 */
int cbn_tree_grow_workspace_size(cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                                 const cbn_growth *growth, int num_threads, int64_t *bytes);
int cbn_tree_grow(cbn_grid grid, cbn_planes planes, const cbn_candidates *candidates, const cbn_growth *growth,
                  const cbn_grown_trees *grown, cbn_workspace workspace, int num_threads);

/* counts (vertices, 2): number of images that reach a vertex with the node in that state. */
int cbn_tree_count_workspace_size(const cbn_trees *trees, int64_t n_images, int num_threads, int64_t *bytes);
int cbn_tree_count(const cbn_trees *trees, cbn_planes planes, int64_t *counts, cbn_workspace workspace,
                   int num_threads);
/* Checks that counts could come from n_images images: none negative, every root's sum equal to n_images, every inner
 * vertex the sum of its children, nothing that a required node forbids. CBN_E_COUNTS otherwise. */
int cbn_tree_counts_check(const cbn_trees *trees, const int64_t *counts, int64_t n_images);
/* The BIC, as cbn_bic: the parameters are the leaves that do not fix the state. */
int cbn_tree_bic(const cbn_trees *trees, const int64_t *counts, double *log_likelihood, int64_t *n_parameters,
                 double *bic);

/* How counts of trees become probabilities. */
typedef struct {
    double pseudocount; /* at roots, as for tables */
    double shrinkage;   /* towards the parent, 1e-9 .. 1e9 */
} cbn_smoothing;

/*
 * probability (vertices, 2), shrunk towards the root (hierarchical shrinkage, one strength for all vertices):
 * root: (n_x + pseudocount) / (n + 2 pseudocount), other vertices: (n_x + shrinkage * p_parent) / (n + shrinkage).
 * Below a required root the child at 1 begins anew, as a root does,
 * and the child at 0 has state 0 for certain. No other probability is below CBN_SMALLEST_P.
 */
#define CBN_SMALLEST_P 1e-12
int cbn_tree_probability(const cbn_trees *trees, const int64_t *counts, cbn_smoothing smoothing, double *probability,
                         int num_threads);
/* values (vertices, 2) of the given kind, of use at leaves; probability: what cbn_tree_probability makes of the same
 * arguments. leave_one_out as for tables: the image is taken out of the counts of every vertex on its way, the splits
 * stay; CBN_NORMALIZED compares with the other leaves as they are, which its absence would change a little. */
int cbn_tree_values(const cbn_trees *trees, const int64_t *counts, const double *probability, cbn_smoothing smoothing,
                    int kind, int leave_one_out, double *values, int num_threads);

/* scores (n_images): sum over nodes, in node order, of values[leaf of the image][state in the image]. */
int cbn_tree_score_images(const cbn_trees *trees, cbn_planes planes, const double *values, double *scores,
                          int num_threads);
/* The same without the sum: contributions (n_images, nodes). */
int cbn_tree_score_nodes(const cbn_trees *trees, cbn_planes planes, const double *values, double *contributions,
                         int num_threads);

/* ---- boosted trees: CPDs as sums of trees ------------------------------------------------------------------------ */

/*
 * The log-odds of a node are a base and the sum of one leaf value of each of its trees over earlier nodes (Friedman
 * 2001; Chen, Guestrin 2016). p(1 | earlier) = 1 / (1 + exp(-log-odds)), so the network is a normalized one as before.
 *
 * Log-odds are whole multiples of 1 / CBN_LOG_ODDS_ONE: sums are exact and do not depend on their order.
 */
#define CBN_LOG_ODDS_ONE 65536
#define CBN_MAX_BOOSTED_LEAVES 256
#define CBN_MAX_ROUNDS 1000
/* Largest size of a base or a leaf value, 16 nats: the sum of CBN_MAX_ROUNDS of them fits 32 bits. */
#define CBN_MAX_LEAF_VALUE (16 * CBN_LOG_ODDS_ONE)

typedef struct {
    cbn_grid grid;
    const int64_t *begin;      /* (nodes + 1): trees of node v are begin[v] .. begin[v + 1] - 1; there may be none */
    const int64_t *tree_begin; /* (trees + 1): vertices of tree t are tree_begin[t] .. tree_begin[t + 1] - 1 */
    const int32_t *split;      /* per vertex: the node that decides, earlier in raster order; -1 at a leaf. Vertices are
                                  numbered breadth first as in cbn_trees: the children of the i-th inner vertex of a
                                  tree are 2 i + 1 (where the deciding node is 0) and 2 i + 2 */
    const int32_t *value;      /* per vertex: what a leaf adds to the log-odds; 0 at an inner vertex */
    const int32_t *base;       /* (nodes) */
    const int32_t *required;   /* (nodes), or NULL: the earlier node without which v is never 1, whatever the trees
                                  say; -1 for none */
} cbn_boosted;

/* CBN_OK when the trees are sound: numbered as said, splits and required nodes earlier than the node, values in range
 * (CBN_E_TREE otherwise). O(vertices). */
int cbn_boosted_check(const cbn_boosted *boosted);

#define CBN_BARREN_ROUNDS 5

/* How trees are grown. Gradients and Hessians are those of the log-likelihood by the log-odds. */
typedef struct {
    int32_t rounds;       /* in which a node may get a tree, 0 .. CBN_MAX_ROUNDS */
    int32_t max_leaves;   /* of a tree, 2 .. CBN_MAX_BOOSTED_LEAVES */
    int32_t n_candidates; /* drawn for each tree from those of the node, 1 or more */
    double rate;          /* step length: a leaf's Newton step times this, 0 < rate <= 1 */
    double l2;            /* added to the Hessian of a leaf, 0 .. 1e9 */
    double min_gain;      /* log-likelihood that a split must gain (nats, by the quadratic model), 0 .. 1e9 */
    double min_hessian;   /* sum of Hessians that a side of a split needs, 1e-3 .. 1e9: p (1 - p) times its images */
    double pseudocount;   /* of the base, as for tables */
    uint64_t seed;
} cbn_boosting;

/* Boosted trees as they grow, of n_nodes nodes from first_node on: trees and vertices stand at the beginning of their
 * rows. */
typedef struct {
    int64_t first_node, n_nodes;
    int32_t *base, *n_trees; /* (n_nodes) */
    int32_t *n_vertices;     /* (n_nodes, rounds) */
    int32_t *split, *value;  /* (n_nodes, rounds, 2 max_leaves - 1) */
    const int32_t *start;    /* (n_nodes, 64 words of a plane), or NULL: log-odds of the images by something else, which
                                trees correct; bases are then 0 */
} cbn_grown_boosted;

/*
 * Grow the trees of nodes by Newton boosting, best leaf first. Statistics of splits are sums of gradients and Hessians
 * rounded stochastically to a few levels (Shi, Ke, Chen, Zheng, Liu 2022), and so popcounts; the values of leaves come
 * from exact sums. Of equal gains the older leaf and the first candidate drawn win. A round in which no split pays
 * gives no tree; CBN_BARREN_ROUNDS of them in a row end a node's growth. Images in which the required node is 0 take no
 * part.
 * Random numbers are functions of (seed, purpose, node, round, image): the trees are the same whatever range they are
 * grown in. candidates: of all nodes of the grid. n_images <= 2^28.
 */
int cbn_boosted_grow_workspace_size(cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                                    const cbn_boosting *boosting, int num_threads, int64_t *bytes);
int cbn_boosted_grow(cbn_grid grid, cbn_planes planes, const cbn_candidates *candidates, const cbn_boosting *boosting,
                     const cbn_grown_boosted *grown, cbn_workspace workspace, int num_threads);

/* odds (n_images, nodes), in units of 1 / CBN_LOG_ODDS_ONE; what the trees say where a required node is 0 too. */
int cbn_boosted_log_odds(const cbn_boosted *boosted, cbn_planes planes, int32_t *odds, int num_threads);
/* scores (n_images): sum over nodes, in node order, of CBN_LOG_PROBABILITY, CBN_SURPRISE or CBN_VARIANCE. */
int cbn_boosted_score_images(const cbn_boosted *boosted, cbn_planes planes, int kind, double *scores, int num_threads);
/* The same without the sum: contributions (n_images, nodes). */
int cbn_boosted_score_nodes(const cbn_boosted *boosted, cbn_planes planes, int kind, double *contributions,
                            int num_threads);

int cbn_boosted_sample_workspace_size(const cbn_boosted *boosted, int64_t n_chains, int64_t *bytes);
/* Ancestral sampling as cbn_sample_ancestral, with the same random numbers. */
int cbn_boosted_sample(const cbn_boosted *boosted, uint64_t seed, const uint8_t *clamped, cbn_chains chains,
                       cbn_workspace workspace, int num_threads);

/* Weighted particles of an inpainting. */
typedef struct {
    int64_t n;            /* 1 or more, below 2^32 */
    const uint8_t *known; /* (nodes): nodes with known[v] != 0 keep the state of the first particle, which all get */
    uint8_t *states;      /* (n, nodes), in and out */
    double *weight;       /* (n): sums to 1 */
} cbn_particles;

/*
 * Inpainting by sequential Monte Carlo, a particle filter over the raster pass (Gordon, Salmond, Smith 1993; Doucet,
 * Johansen 2009): missing nodes are drawn from their CPD, a known node multiplies a particle's weight by the
 * probability of its state. When the effective sample size 1 / sum w^2 falls below half of the particles, they are
 * drawn anew by systematic resampling. As their number grows, the weighted particles become the posterior of the
 * missing nodes given the known ones, whether these come earlier or later.
 *
 * log_marginal: log of an unbiased estimate of the product over the known nodes of p(state | known nodes before), the
 * probability of the known nodes. CBN_E_IMPOSSIBLE when every particle has weight 0: a required node is known to be 0
 * and its dependent to be 1. Known nodes whose CPD asks for no missing node cost nothing; where all are such, the
 * particles are independent draws of weight 1 / n.
 */
int cbn_inpaint_workspace_size(int64_t n_nodes, int64_t n_particles, int num_threads, int64_t *bytes);
int cbn_boosted_inpaint(const cbn_boosted *boosted, uint64_t seed, const cbn_particles *particles,
                        double *log_marginal, cbn_workspace workspace, int num_threads);
/* The same for trees: probability (vertices, 2) as cbn_tree_probability makes it. */
int cbn_tree_inpaint(const cbn_trees *trees, const double *probability, uint64_t seed, const cbn_particles *particles,
                     double *log_marginal, cbn_workspace workspace, int num_threads);
/* The same for tables: probability (rows, 2) as cbn_probability_table makes it. */
int cbn_table_inpaint(const cbn_layer *layer, const double *probability, uint64_t seed, const cbn_particles *particles,
                      double *log_marginal, cbn_workspace workspace, int num_threads);

/* ---- scores ---------------------------------------------------------------------------------------------------- */

/* scores (n_images): sum over all nodes, in node order, of values[row of the image][state in the image]. */
int cbn_score_images(const cbn_layer *layer, cbn_planes planes, const double *values, double *scores, int num_threads);
/* The same without the sum: contributions (n_images, nodes). */
int cbn_score_nodes(const cbn_layer *layer, cbn_planes planes, const double *values, double *contributions,
                    int num_threads);

/* ---- random numbers -------------------------------------------------------------------------------------------- */

/* Every random number is a pure function of (seed, purpose, chain, step): Philox4x32-10 (Salmon et al. 2011). */
enum {
    CBN_RANDOM_ANCESTRAL = 1,
    CBN_RANDOM_SITE = 2,
    CBN_RANDOM_FLIP = 3,
    CBN_RANDOM_START = 4,
    CBN_RANDOM_CANDIDATE = 5,
    CBN_RANDOM_ROUNDING = 6,
    CBN_RANDOM_RESAMPLE = 7,
    CBN_RANDOM_ROW = 8,
    CBN_RANDOM_BLOCK = 9,
};

/* One block of Philox4x32-10. */
void cbn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* out (n_chains, n_steps): uniform doubles in [0, 1) with 53 bits. */
int cbn_uniform(uint64_t seed, uint32_t purpose, int64_t n_chains, uint64_t first_step, int64_t n_steps, double *out);

/* ---- sampling -------------------------------------------------------------------------------------------------- */

/* Bytes of workspace for the two samplers. */
int cbn_sampler_workspace_size(const cbn_layer *layer, int64_t n_chains, int64_t *bytes);
/*
 * Ancestral sampling: one raster pass, every node drawn from its table given its parents. probability (rows, 2).
 * clamped (nodes), or NULL: a node v with clamped[v] != 0 keeps the state it comes with (and its children see it; its
 * ancestors do not: with clamped nodes this is not the conditional distribution).
 */
int cbn_sample_ancestral(const cbn_layer *layer, const double *probability, uint64_t seed, const uint8_t *clamped,
                         cbn_chains chains, cbn_workspace workspace, int num_threads);
/*
 * Gibbs sampling (thesis Algorithm 1): each step proposes to flip one random node and accepts with probability
 * P' / (P + P'), the heat-bath rule. Step s picks the same node in every chain; the draws that decide are independent
 * between chains.
 */
int cbn_sample_gibbs(const cbn_layer *layer, const double *probability, const cbn_steps *steps, cbn_chains chains,
                     cbn_workspace workspace, int num_threads);

/* Layers one above the other. */
typedef struct {
    int32_t n_layers;                  /* 1 .. CBN_MAX_LAYERS */
    const cbn_layer *layers;           /* (n_layers), the pixels first; required relations only there */
    const cbn_transition *transitions; /* (n_layers - 1): number l makes layer l + 1 of layer l; NULL for one layer */
} cbn_stack;

/* The energy of a stack, and the temperatures at which its chains run. */
typedef struct {
    const int64_t *values; /* the tables (rows, 2) of all layers, one behind the other, in whole multiples of ... */
    double unit;           /* ... so many nats (weight x log p): sums are exact and do not depend on their order */
    const double *inverse_temperature; /* (steps): 0 or more; INFINITY: only what raises P is accepted */
} cbn_energy;

/* Bytes of workspace of cbn_sample_gibbs_layers. */
int cbn_gibbs_layers_workspace_size(const cbn_stack *stack, int64_t n_chains, int num_threads, int64_t *bytes);
/*
 * Gibbs sampling through all layers. P(pixels) = product over layers and nodes of exp(value), hidden nodes being
 * functions of the pixels below them; each step proposes to flip one random pixel node, with all that this changes
 * above it, and accepts with probability P'^b / (P^b + P'^b), b being the step's inverse temperature. Sites, draws and
 * splitting into calls are those of cbn_sample_gibbs, which is faster and for one layer and b = 1 has the same
 * distribution. A flip that breaks a required relation is never made, and one that mends one always, whatever b.
 *
 * What a required relation excludes is not used if the start does not break it. The caller promises that values of as
 * many nodes as all layers have sum to less than 2^62. chains: of the pixels. Threads own groups of at most 32 chains.
 */
int cbn_sample_gibbs_layers(const cbn_stack *stack, const cbn_energy *energy, const cbn_steps *steps, cbn_chains chains,
                            cbn_workspace workspace, int num_threads);

/* Bytes of workspace for the two samplers of trees. */
int cbn_tree_sampler_workspace_size(const cbn_trees *trees, int64_t n_chains, int num_threads, int64_t *bytes);
/* cbn_sample_ancestral under trees: probability (vertices, 2); the random numbers are the same, step by step. */
int cbn_tree_sample_ancestral(const cbn_trees *trees, const double *probability, uint64_t seed, const uint8_t *clamped,
                              cbn_chains chains, cbn_workspace workspace, int num_threads);
/*
 * cbn_sample_gibbs under trees: the same sites and random numbers. A step weighs the two states of its site by the site's
 * own probability and by those of the nodes on whose way through their tree the site decides. A site for which both states
 * are impossible (its required node is 0 and a node that requires it is 1) becomes 0.
 */
int cbn_tree_sample_gibbs(const cbn_trees *trees, const double *probability, const cbn_steps *steps, cbn_chains chains,
                          cbn_workspace workspace, int num_threads);

/* ---- convolution and sidewards models (the neural part) --------------------------------------------------------- */

/*
 * Arrays are floats, channels last: (n_images, height, width, channels). Every sum starts from its bias, or from 0, and
 * adds its terms one by one, each rounded once (a fused multiply-add): the same bytes for every thread count and
 * instruction set.
 *
 * A TAP is an offset (dy, dx), 0 or more, into an input that the caller has padded: output position (y, x) reads the
 * input at (y * stride + dy, x * stride + dx), for every tap; all of them lie inside. A window of 3 x 3 is nine taps,
 * a ring of neighbours only those of the ring.
 */
#define CBN_MAX_TAPS 1024

typedef struct {
    int64_t n_images;
    int32_t in_height, in_width, in_channels; /* of the padded input */
    int32_t height, width, out_channels;
    int32_t stride;
    int64_t n_taps;      /* at most CBN_MAX_TAPS */
    const int32_t *taps; /* (n_taps, 2): dy, dx */
} cbn_convolution;

int cbn_convolution_check(const cbn_convolution *c);

/* Bytes of workspace for the two functions below. */
int cbn_convolve_workspace_size(const cbn_convolution *c, int num_threads, int64_t *bytes);
int cbn_convolve_weight_gradient_workspace_size(const cbn_convolution *c, int num_threads, int64_t *bytes);
/* out[.., o] = bias[o] + sum over taps t and channels c of x[tap t, c] * weights[t][c][o]. */
int cbn_convolve(const cbn_convolution *c, const float *x, const float *weights, const float *bias, float *out,
                 cbn_workspace workspace, int num_threads);
/* Gradients with respect to weights (n_taps, in_channels, out_channels) and bias, from d_out, that of the output. */
int cbn_convolve_weight_gradient(const cbn_convolution *c, const float *x, const float *d_out, float *d_weights,
                                 float *d_bias, cbn_workspace workspace, int num_threads);

#define CBN_MAX_POOL 15 /* longest side of a pooling window */

typedef struct {
    int64_t n_images;
    int32_t height, width, channels; /* of the input */
    int32_t size, stride;            /* outputs: (height - size) / stride + 1, rounded down; the width alike */
} cbn_pooling;

int cbn_pooling_check(const cbn_pooling *p);
/* Largest value of every window, and which (the place in the window, row by row; the first of equals) has it. */
int cbn_max_pool(const cbn_pooling *p, const float *x, float *out, uint8_t *which, int num_threads);
/* Gradient with respect to the input, which is overwritten; windows that overlap add up. CBN_E_TAP for a place that is
 * not in the window. */
int cbn_max_pool_gradient(const cbn_pooling *p, const float *d_out, const uint8_t *which, float *d_x, int num_threads);

#define CBN_MAX_HIDDEN 8    /* hidden layers of a sidewards model */
#define CBN_MAX_UNITS 16384 /* of one of its layers */

/*
 * Sidewards models (thesis, eq. 10 to 13): a network per position predicts the position's activations from those of its
 * neighbours. u_1 = ReLU(sum over taps and channels of x * first + sum over e of extra[y][x][e] * first_extra[e] +
 * first_extra[n_extra]), u_(i+1) = ReLU(u_i * hidden_i + bias), prediction[k] = last[k][:] . u_m + bias. The last of the
 * input's channels is meant to be 1 at every position and 0 in the padding: it says which neighbours exist.
 */
typedef struct {
    int64_t n_images;
    int32_t height, width, kernels;           /* predictions (n_images, height, width, kernels) */
    int32_t in_height, in_width, in_channels; /* of the padded input */
    int64_t n_taps;
    const int32_t *taps;
    int32_t n_extra;  /* inputs that are the same for all images, such as coordinates */
    int32_t n_layers; /* hidden layers, m */
    const int32_t *units;
    int32_t own_last; /* 1: every position has a last layer of its own; 0: they share one */
} cbn_sidewards;

typedef struct {
    const float *first;       /* (n_taps, in_channels, units[0]) */
    const float *first_extra; /* (n_extra + 1, units[0]); the last row is the bias */
    const float *hidden;      /* (units[i] + 1, units[i + 1]), one after the other; the last row of each is the bias */
    const float *last;        /* (height * width or 1, kernels, units[m - 1] + 1); the last weight is the bias */
} cbn_sidewards_weights;

/* Outputs of the gradient; the first four are shaped as the weights. */
typedef struct {
    float *first, *first_extra, *hidden, *last;
    float *error; /* (n_images, height, width, kernels): prediction - target */
    float *sums;  /* (n_images, height, width, units[0]), or NULL: with respect to the sums that enter u_1 */
} cbn_sidewards_gradients;

int cbn_sidewards_check(const cbn_sidewards *s);
/* Bytes of workspace for the two functions below. */
int cbn_sidewards_predict_workspace_size(const cbn_sidewards *s, int num_threads, int64_t *bytes);
int cbn_sidewards_gradient_workspace_size(const cbn_sidewards *s, int num_threads, int64_t *bytes);
/* out (n_images, height, width, kernels). extra (height, width, n_extra) may be NULL when n_extra is 0. */
int cbn_sidewards_predict(const cbn_sidewards *s, const float *x, const float *extra,
                          const cbn_sidewards_weights *weights, float *out, cbn_workspace workspace,
                          int num_threads);
/* Gradients of the sum of squared errors over images, positions and kernels (eq. 12), the target held constant. */
int cbn_sidewards_gradient(const cbn_sidewards *s, const float *x, const float *extra,
                           const cbn_sidewards_weights *weights, const float *target,
                           const cbn_sidewards_gradients *out, cbn_workspace workspace,
                           int num_threads);

/* ---- networks of inverted residuals ------------------------------------------------------------------------------ */

/*
 * MobileNetV2, EfficientNet-Lite: a chain of blocks, batch norms folded into the weights. A block has three steps: an
 * EXPANSION to more channels, clipped to [0, 6]; a DEPTHWISE convolution with a window of its own for every channel,
 * clipped alike; a PROJECTION to fewer channels, not clipped. Where the stride is 1 and the block has as many channels
 * below as above, its input is added. The expansion of the first block is the stem, a 3 x 3 convolution with stride 2
 * over the picture, whose input is never added; those of the others look at single positions.
 *
 * A length h gives ceil(h / stride) positions; the max((ceil(h / stride) - 1) * stride + size - h, 0) zeros that their
 * windows need are put around it, the smaller half first. Arrays and sums are as in the convolution above.
 */
#define CBN_MAX_BLOCKS 64
#define CBN_MAX_WINDOW 9         /* side of a depthwise window */
#define CBN_MAX_CHANNELS 16384   /* of any step */
#define CBN_MAX_PICTURE 1048576  /* height and width of a picture */

typedef struct {
    int32_t n_blocks;
    const int32_t *blocks; /* (n_blocks, 4): expanded channels (a multiple of 16), output channels (a multiple of 8), side
                            * of the window, its stride (at most the side) */
} cbn_mobile;

typedef struct {
    int64_t n_images;
    int32_t height, width, channels; /* 3 (RGB) or 1 (grey, which is three times the same) */
    const float *values;             /* (n_images, height, width, channels) */
    float scale, shift;              /* the network reads value * scale + shift */
} cbn_pictures;

int cbn_mobile_check(const cbn_mobile *m);
/*
 * Number of weights and biases: for every block the expansion (inputs, expanded) and its bias, the windows (size * size,
 * expanded) and their bias, the projection (expanded, output channels) and its bias. The inputs of the stem are the
 * pixels of its window row by row, each red, green, blue.
 */
int cbn_mobile_weights(const cbn_mobile *m, int64_t *n);
/* The same numbers in the order in which cbn_mobile_features() reads them. */
int cbn_mobile_pack(const cbn_mobile *m, const float *weights, float *packed);
int cbn_mobile_workspace_size(const cbn_mobile *m, const cbn_pictures *pictures, int num_threads, int64_t *bytes);
/* Outputs of the blocks: out[b], if it is not NULL, becomes that of block b, (n_images, height, width, channels). */
int cbn_mobile_features(const cbn_mobile *m, const float *packed, const cbn_pictures *pictures, float *const *out,
                        cbn_workspace workspace, int num_threads);

/* ---- Gaussian models of positions -------------------------------------------------------------------------------- */

/*
 * A mean and a covariance at every position of a map of features (PaDiM: Defard, Setkov, Loesch & Audigier 2021), the
 * covariance shrunk to the one that all positions share. Features are rounded to whole numbers of at most
 * CBN_MAX_ROUNDED, so that their sums and sums of products are exact: sums of parts are the sums of the whole.
 */
#define CBN_MAX_ROUNDED 2047    /* in magnitude */
#define CBN_MAX_DIRECTIONS 4096 /* features of a position */

typedef struct {
    int32_t height, width, size; /* positions, and features of each */
    int64_t n;                   /* images in the sums */
    double unit;                 /* what 1 of the rounded features stands for */
    double strength, ridge;      /* covariance (n S_p + strength S) / (n + strength) + ridge I, S the mean of all S_p */
    double prior;                /* energies are from n / (n + prior) times the mean */
    int32_t reach;               /* 0: the position's own Gaussian; 1: the nearest of the 3 x 3 around */
    int32_t without_own;         /* 1: the images are among the n, each is measured by the Gaussians without it */
} cbn_gaussians;

/* Height, width and size; the functions check what else they read. */
int cbn_gaussians_check(const cbn_gaussians *g);
/*
 * Eigenvalues (size,), in no order, and eigenvectors (size, size), one in each row, of a symmetric matrix of which the
 * lower triangle is read; size at most CBN_MAX_DIRECTIONS. A x V^T is V^T x the values to about 1e-14 of the largest, the
 * same bytes on every machine. CBN_E_PARAMETER for numbers that are not finite.
 */
int cbn_eigenvectors_workspace_size(int32_t size, int64_t *bytes);
int cbn_eigenvectors(int32_t size, const double *matrix, double *values, double *vectors, cbn_workspace workspace);

/* Adds images x (n_images, height, width, size) to sums (height * width, size) and products (height * width, size *
 * (size + 1) / 2), lower triangles row by row. CBN_E_PARAMETER for a feature above CBN_MAX_ROUNDED. */
int cbn_moments_workspace_size(const cbn_gaussians *g, int num_threads, int64_t *bytes);
int cbn_moments_add(const cbn_gaussians *g, const int16_t *x, int64_t n_images, int64_t *sums, int64_t *products,
                    cbn_workspace workspace, int num_threads);
/* Floats of the factor of one position: the inverse of L, where L L^T is the covariance, in panels of 16 rows, each as
 * wide as the last of its rows, column by column. */
int64_t cbn_factor_floats(int32_t size);
/* Sums of features that are not whitened yet: a whitened feature is offset + basis^T (unit times the features). */
typedef struct {
    int32_t inputs;       /* features of a position in the sums, at most CBN_MAX_DIRECTIONS */
    const double *basis;  /* (inputs, size) */
    const double *offset; /* (size) */
} cbn_whitening;

/*
 * mean (height * width, size) and factors (height * width, cbn_factor_floats(size)) of sums. With a whitening, sums are
 * (height * width, inputs) and products (height * width, inputs * (inputs + 1) / 2), and the Gaussians are of the whitened
 * features; NULL: sums are of the features themselves. CBN_E_COVARIANCE where a covariance is not positive definite.
 */
int cbn_gaussian_factors_workspace_size(const cbn_gaussians *g, const cbn_whitening *whitening, int num_threads,
                                        int64_t *bytes);
int cbn_gaussian_factors(const cbn_gaussians *g, const cbn_whitening *whitening, const int64_t *sums,
                         const int64_t *products, float *mean, float *factors, cbn_workspace workspace,
                         int num_threads);
/* Mahalanobis distances (n_images, height, width). An image is taken out of its own Gaussians by the formula of Sherman &
 * Morrison (1950); the shared covariance stays. */
int cbn_gaussian_energies_workspace_size(const cbn_gaussians *g, int64_t n_images, int num_threads, int64_t *bytes);
int cbn_gaussian_energies(const cbn_gaussians *g, const int16_t *x, int64_t n_images, const float *mean,
                          const float *factors, float *energies, cbn_workspace workspace, int num_threads);

#include "cbn_rounds.h"
#include "cbn_sums.h"
#include "cbn_tied.h"

#ifdef __cplusplus
}
#endif
#endif

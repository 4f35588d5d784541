/* SPDX-License-Identifier: BSD-3-Clause */
/* Private parts of convolution and sidewards models: plans of one row, and weights in panels. */
#ifndef CBN_NEURAL_H
#define CBN_NEURAL_H

#include "internal.h"

/* Outputs come in panels of this many; the last panel of a layer may be half as wide. */
#define CBN_PANEL 32
/* A batch is cut into so many blocks of rows (fewer when there are fewer rows), whatever the number of threads: each
 * sums its gradients by itself, and the sums are added in the order of the blocks. */
#define CBN_BLOCKS 32

/* Neighbouring floats of the input that a position reads: taps side by side in one row of the input are one run. */
typedef struct {
    int64_t offset, length; /* in floats; the offset counts from the first channel under the position's corner */
} cbn_run;

/* A row of positions of a convolution, or of a dense layer (one run). */
typedef struct {
    int64_t n_runs;
    const cbn_run *runs;
    int64_t inputs;  /* of one output: the lengths of all runs together */
    int64_t outputs; /* padded to whole groups of 16 */
    int64_t width;   /* positions */
    int64_t x_step;  /* floats of the input between two positions */
} cbn_row_plan;

/* A row of positions of the last layer. Weights twice, for vectors of kernels and for vectors of units. */
typedef struct {
    int64_t width, units, kernels, padded_units, padded_kernels;
    const float *by_unit;   /* (units + 1, padded_kernels) per position; the last row is the bias */
    const float *by_kernel; /* (kernels, padded_units) per position */
    float *d_by_unit;       /* added to */
    int64_t step_by_unit, step_by_kernel; /* floats between two positions; 0 where they share the layer */
} cbn_last_plan;

typedef struct {
    int64_t width, channels, in_width;
    int size, stride;
} cbn_pool_plan;

static inline int64_t cbn_padded(int64_t outputs) { return (outputs + 15) / 16 * 16; }

/* Merges taps into runs; returns their number. */
int64_t cbn_runs_of(const int32_t *taps, int64_t n_taps, int64_t in_width, int64_t channels, cbn_run *runs);
/* Weights (inputs, outputs) -> panels [panel][input][output], padded with 0: inputs * cbn_padded(outputs) floats. */
void cbn_panels_pack(const float *weights, int64_t inputs, int64_t outputs, float *panels);
/* The same from the transposed weights (outputs, inputs). */
void cbn_panels_pack_transposed(const float *weights, int64_t inputs, int64_t outputs, float *panels);
void cbn_panels_unpack(const float *panels, int64_t inputs, int64_t outputs, float *weights);
/* n rows of `columns` floats -> rows of `padded` floats, the rest 0; and back. */
void cbn_rows_pad(const float *from, int64_t n, int64_t columns, int64_t padded, float *to);
void cbn_rows_unpad(const float *from, int64_t n, int64_t columns, int64_t padded, float *to);
/* blocks[i] = block 0 + block 1 + ..., for blocks of `size` floats that lie one after the other; into block 0. Every thread
 * of a parallel region calls it. */
void cbn_blocks_add(float *blocks, int64_t size, int64_t n_blocks);

static inline int64_t cbn_block_count(int64_t rows) { return rows < CBN_BLOCKS ? rows : CBN_BLOCKS; }
static inline int64_t cbn_block_begin(int64_t block, int64_t rows) { return block * rows / cbn_block_count(rows); }

#endif

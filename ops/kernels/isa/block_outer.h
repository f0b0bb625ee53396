/* The product whose depth is places: rows and columns are channels. */
#ifndef OT_KERNELS_ISA_BLOCK_OUTER_H
#define OT_KERNELS_ISA_BLOCK_OUTER_H

#include "block.h"

#if OT_VL == 16
#define OUTER_ROWS   8
#define OUTER_BLOCKS 2
#elif OT_VL == 8
#define OUTER_ROWS   6
#define OUTER_BLOCKS 1
#else
#define OUTER_ROWS   2
#define OUTER_BLOCKS 1
#endif

/* One tile: up to OUTER_ROWS rows by up to OUTER_BLOCKS blocks of 16 columns.
 *   c[r][k] = (more ? c[r][k] : 0) + sum over s < steps, d < depth of
 *             a[a_off[s] + r * a_row + d * a_step] * b[b_off[s] + k / 16 * b_block + d * b_step + k % 16]
 * Each element is one chain of multiply-adds over (s, d), whatever the tile is. */
typedef struct outer_tile {
    const float *a, *b;
    const int64_t *a_off, *b_off;
    int64_t steps, depth, a_row, a_step, b_step, b_block;
    float *c;
    int64_t c_row; /* a row's blocks follow each other */
    bool more;
} outer_tile;

void OT_K(ot_block_outer)(int rows, int blocks, const outer_tile *t);

/* All of `rows` rows by `blocks` blocks from that tile on. */
void OT_K(ot_block_outer_panel)(int64_t rows, int64_t blocks, const outer_tile *t);

bool OT_K(ot_block_wino_weights_takes)(const ot_block_conv *v);
size_t OT_K(ot_block_wino_weights_workspace)(const ot_block_conv *v);
void OT_K(ot_block_wino_weights)(const ot_block_conv *v, const float *x, const float *dy, float *dw, float *work,
                                 const ot_kernel_pool *pool);

#endif

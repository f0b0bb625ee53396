/* Blocked forms of pictures: x[N][C][H][W] as x[N][ceil(C / 16)][H][W][16], an ordinary tensor of rank 5.  The graph's
 * layout pass (runtime/graph/blocks.c) emits these operators; element-wise ones need no form of their own.  Lanes
 * behind the last channel hold anything: ToBlocks writes 0 there, and nothing that sums over channels reads them. */
#ifndef OT_OPS_BLOCK_H
#define OT_OPS_BLOCK_H

#include "pool_shape.h"
#include "kernels/block.h"

/* The fact of a blocked tensor (N, blocks, d..., 16) as if it were (N, blocks, d...): what windows are read from. */
ot_status ot_unblocked_fact(const ot_infer *c, int i, ot_fact *out);
/* Element (image, channel, place) of a blocked tensor of `size` places a plane. */
static inline int64_t ot_block_at(int64_t blocks, int64_t size, int64_t n, int64_t c, int64_t place)
{
    return ((n * blocks + c / OT_BLOCK) * size + place) * OT_BLOCK + c % OT_BLOCK;
}

#endif

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

/* X of a convolution over blocks as a plain tensor: its channels are those that W takes. */
ot_status ot_block_plain_x(const ot_fact *x, const ot_fact *w, int64_t group, ot_fact *out);
/* The convolution that a node is, from concrete facts that the rule accepted. */
ot_status ot_block_conv_read(ot_block_conv *v, const ot_node *n, const ot_fact *x, const ot_fact *w);
/* The same from tensors, with its window. */
ot_status ot_block_conv_window(ot_block_conv *v, ot_window *win, const ot_node *n, const ot_tensor *x,
                               const ot_tensor *w);

#endif

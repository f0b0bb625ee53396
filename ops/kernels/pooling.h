/* float32 pooling over planes: x is [planes][in...], y is [planes][out...], planes = N * C, 1 to 3 spatial dimensions.
 */
#ifndef OT_KERNELS_POOLING_H
#define OT_KERNELS_POOLING_H

#include "kernels.h"

/* Only the first `spatial` entries of the arrays count.  out is given; pad_end matters to averages that count padding.
 */
typedef struct ot_pool_shape {
    int spatial; /* 1, 2 or 3 */
    int64_t planes;
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3];
    bool count_pad; /* averages: padding counts as zeros (never what lies beyond pad_end) */
} ot_pool_shape;

/* Maximum; padding never wins, NaN does; a window of padding alone gives -infinity.  index, where not NULL, gets the
 * place of the winner in the whole of x (ONNX's Indices, row-major): the first where several are equal, -1 for none. */
void ot_max_pool(const ot_pool_shape *s, const float *x, float *y, int64_t *index, const ot_kernel_pool *pool);
/* dx gets each dy at the winner of its window, found in x again; all of dx is written. */
void ot_max_pool_backward(const ot_pool_shape *s, const float *x, const float *dy, float *dx,
                          const ot_kernel_pool *pool);
void ot_avg_pool(const ot_pool_shape *s, const float *x, float *y, const ot_kernel_pool *pool);
void ot_avg_pool_backward(const ot_pool_shape *s, const float *dy, float *dx, const ot_kernel_pool *pool);
/* y[p] = the mean of x[p][0 .. size-1]. */
void ot_global_avg_pool(int64_t planes, int64_t size, const float *x, float *y, const ot_kernel_pool *pool);

#endif

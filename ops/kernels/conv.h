/* float32 convolutions, NCHW, 1 to 3 spatial dimensions, and their gradients. */
#ifndef OT_KERNELS_CONV_H
#define OT_KERNELS_CONV_H

#include "kernels.h"

/* How a convolution is computed.  OT_CONV_WINOGRAD is for 3x3 kernels with stride and dilation 1 in two dimensions, and
 * is the direct way elsewhere: four times fewer products, packed weights of four times the size, and about twice the
 * rounding error. */
typedef enum ot_conv_way { OT_CONV_DIRECT, OT_CONV_WINOGRAD } ot_conv_way;

/* x is [n][c][in...], w is [k][c / group][kernel...], y is [n][k][out...]; only the first `spatial` entries of the
 * arrays count.  out is given: padding at the end is what out implies.  Reads outside of x are 0. */
typedef struct ot_conv_shape {
    int spatial; /* 1, 2 or 3 */
    int64_t n, c, k, group;
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3]; /* pad: at the begin; may be negative */
    ot_conv_way way;
} ot_conv_shape;

/* The way that is likely the fastest for this shape; put it into `way` before all else is asked.  It depends on the
 * shape alone, batch included, and takes the weights to be packed once for many runs. */
ot_conv_way ot_conv_choose(const ot_conv_shape *s);

/* Weights packed once for many runs of ot_conv_forward: bytes, and the packing.  The form depends on the instruction
 * set and on k, c, group, kernel and way only; it is never to be stored. */
size_t ot_conv_packed_size(const ot_conv_shape *s);
void ot_conv_pack_weights(const ot_conv_shape *s, const float *w, float *packed, const ot_kernel_pool *pool);

/* Bytes of workspace for each of the four functions below. */
typedef enum ot_conv_pass {
    OT_CONV_FORWARD,        /* ot_conv_forward with w */
    OT_CONV_FORWARD_PACKED, /* ot_conv_forward with packed */
    OT_CONV_BACKWARD_DATA,
    OT_CONV_BACKWARD_WEIGHTS
} ot_conv_pass;
size_t ot_conv_workspace(const ot_conv_shape *s, ot_conv_pass pass, int threads);

/* y = act(conv(x, w) + bias[k] + residual).  packed is NULL, or the packed form of w, and then w may be NULL. */
void ot_conv_forward(const ot_conv_shape *s, const float *x, const float *w, const float *packed, float *y,
                     const ot_epilogue *epi, void *work, const ot_kernel_pool *pool);
/* dx = the gradient of x; all of dx is written.  With an epilogue (bias[c]) this is the forward of ConvTranspose, whose
 * input is dy and whose output is dx.  epi may be NULL. */
void ot_conv_backward_data(const ot_conv_shape *s, const float *dy, const float *w, float *dx, const ot_epilogue *epi,
                           void *work, const ot_kernel_pool *pool);
/* dw = the gradient of w, db[k] = the sums of dy; both are written, not added to.  Either may be NULL. */
void ot_conv_backward_weights(const ot_conv_shape *s, const float *x, const float *dy, float *dw, float *db, void *work,
                              const ot_kernel_pool *pool);

#endif

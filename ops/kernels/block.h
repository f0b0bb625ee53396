/* float32 kernels over channels in blocks: x[n][ceil(c / 16)][h][w][16].  The 16 channels of a place lie in one vector
 * or few, so that windows need no shuffles and rows of places are the rows of a matrix product.
 *
 * Lanes behind the last channel may hold anything in inputs, whose finite numbers they never touch; convolutions write
 * 0 plus what the epilogue makes of it. */
#ifndef OT_KERNELS_BLOCK_H
#define OT_KERNELS_BLOCK_H

#include "conv.h"
#include "pooling.h"

#define OT_BLOCK 16

/* Which way a blocked convolution goes. */
typedef enum ot_block_way {
    OT_BLOCK_DIRECT,
    OT_BLOCK_WINOGRAD4, /* F(4x4, 3x3): 4 times fewer products; filters of 4 times the size */
    OT_BLOCK_WINOGRAD2, /* F(2x2, 3x3): 2.25 times fewer; filters of 1.8 times the size */
    OT_BLOCK_DEPTHWISE
} ot_block_way;

/* A convolution of two spatial dimensions (shape->spatial is 2): y blocked; x blocked, or plain [n][c][h][w] when
 * `planar`. */
typedef struct ot_block_conv {
    ot_conv_shape shape;
    bool planar;
    bool turned; /* w is [c][k / group][h][w] with its taps last first: what takes dy back to dx, stride 1 */
    ot_block_way way;
} ot_block_conv;

/* NULL, or why blocks do not serve this convolution. */
const char *ot_block_conv_declines(const ot_conv_shape *s, bool planar);
/* The way that is likely the fastest, or `lean`: the one whose packed weights are smallest; it depends on the shape
 * alone. */
ot_block_way ot_block_conv_choose(const ot_conv_shape *s, bool planar, bool lean);
/* Bytes of the packed weights of w[k][c / group][h][w], and the packing.  The form depends on the instruction set, k,
 * c, group, kernel, planar and way; it is never to be stored. */
size_t ot_block_conv_packed_size(const ot_block_conv *v);
void ot_block_conv_pack(const ot_block_conv *v, const float *w, float *packed, const ot_kernel_pool *pool);
size_t ot_block_conv_workspace(const ot_block_conv *v, int threads);
/* epi->bias has k elements, epi->residual is blocked as y. */
void ot_block_conv_run(const ot_block_conv *v, const float *x, const float *packed, float *y, const ot_epilogue *epi,
                       void *work, const ot_kernel_pool *pool);

/* The gradient of the weights of a convolution that is not turned: dw[k][c / group][h][w] and db[k] from blocked dy;
 * either may be NULL.  The way does not matter. */
size_t ot_block_weights_workspace(const ot_block_conv *v, int threads);
void ot_block_weights(const ot_block_conv *v, const float *x, const float *dy, float *dw, float *db, void *work,
                      const ot_kernel_pool *pool);

/* Windows over blocked planes; s->planes counts blocks of 16 channels. */
void ot_block_max_pool(const ot_pool_shape *s, const float *x, float *y, const ot_kernel_pool *pool);
void ot_block_avg_pool(const ot_pool_shape *s, const float *x, float *y, const ot_kernel_pool *pool);
/* y[block][16] = the mean over `size` places. */
void ot_block_global_avg_pool(int64_t blocks, int64_t size, const float *x, float *y, const ot_kernel_pool *pool);

/* All of dx is written: dy at the first winner of each window in x; dy / size everywhere. */
void ot_block_max_pool_backward(const ot_pool_shape *s, const float *x, const float *dy, float *dx,
                                const ot_kernel_pool *pool);
void ot_block_global_avg_pool_backward(int64_t blocks, int64_t size, const float *dy, float *dx,
                                       const ot_kernel_pool *pool);

/* Batch normalisation with the batch's statistics, x[n][blocks of c][size][16]; spare lanes of y and dx become 0 where
 * x and dy are finite there.  mean and inverse = 1 / sqrt(var + epsilon) are written by ot_block_norm_train, as are new
 * = keep * old + (1 - keep) * the batch's (any may be NULL); they are read by ot_block_norm_grad. */
typedef struct ot_block_norm {
    int64_t n, c, size;
    const float *scale, *bias, *old_mean, *old_var;
    double epsilon, keep;
    bool relu; /* y = max(y, 0); its gradient needs bias */
    float *mean, *inverse, *new_mean, *new_var;
} ot_block_norm;
void ot_block_norm_train(const ot_block_norm *s, const float *x, float *y, const ot_kernel_pool *pool);
/* dx may be dy. */
void ot_block_norm_grad(const ot_block_norm *s, const float *x, const float *dy, float *dx, float *dscale, float *dbias,
                        const ot_kernel_pool *pool);

/* Between the plain form [n][c][size] and blocks; spare lanes become 0. */
void ot_block_from_plain(int64_t n, int64_t c, int64_t size, const float *x, float *y, const ot_kernel_pool *pool);
void ot_block_to_plain(int64_t n, int64_t c, int64_t size, const float *x, float *y, const ot_kernel_pool *pool);

#endif

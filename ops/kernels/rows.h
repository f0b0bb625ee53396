/* Vectorised float32 rows that many operators use. */
#ifndef OT_KERNELS_ROWS_H
#define OT_KERNELS_ROWS_H

#include "kernels.h"

/* Element by element over n, on the calling thread; y may be an input.  NaN stays NaN. */
void ot_row_relu(int64_t n, const float *x, float *y);
void ot_row_relu_grad(int64_t n, const float *y, const float *dy, float *dx); /* dx = y > 0 ? dy : 0 */
void ot_row_clip(int64_t n, float lo, float hi, const float *x, float *y);    /* min(max(x, lo), hi) */
void ot_row_add(int64_t n, const float *a, const float *b, float *y);
void ot_row_sub(int64_t n, const float *a, const float *b, float *y);
void ot_row_mul(int64_t n, const float *a, const float *b, float *y);
void ot_row_scale(int64_t n, float scale, float shift, const float *x, float *y); /* y = scale * x + shift */
void ot_row_axpy(int64_t n, float a, const float *x, float *y);                   /* y += a * x */
void ot_row_exp(int64_t n, const float *x, float *y);  /* within 2 ulp, denormals flush to 0 */
void ot_row_erf(int64_t n, const float *x, float *y);  /* within 2 ulp */
void ot_row_gelu(int64_t n, const float *x, float *y); /* x / 2 (1 + erf(x / sqrt 2)) */
void ot_row_sigmoid(int64_t n, const float *x, float *y);
void ot_row_tanh(int64_t n, const float *x, float *y);
/* The sum, in float lanes of blocks of 4096 and in double over the blocks. */
double ot_row_sum(int64_t n, const float *x);
double ot_row_dot(int64_t n, const float *a, const float *b);

/* Per channel, x is [n][c][size]; channels are the threads' blocks.  y and dx may be x or dy. */
/* y = act(scale[c] * x + shift[c]): BatchNorm inference.  act is none or relu. */
void ot_channel_scale(int64_t n, int64_t c, int64_t size, const float *x, const float *scale, const float *shift,
                      ot_kernel_act act, float *y, const ot_kernel_pool *pool);
/* The mean, and the biased variance about it (two passes). */
void ot_channel_moments(int64_t n, int64_t c, int64_t size, const float *x, float *mean, float *var,
                        const ot_kernel_pool *pool);
/* sum_dy = sum of dy; sum_dyx = sum of dy * (x - mean[c]): the two sums of BatchNorm's gradient. */
void ot_channel_grad_sums(int64_t n, int64_t c, int64_t size, const float *x, const float *dy, const float *mean,
                          float *sum_dy, float *sum_dyx, const ot_kernel_pool *pool);
/* dx = p[c] * dy + q[c] * x + r[c]: BatchNorm's gradient with, for inv = 1 / sqrt(var + eps) and N = n * size,
 * p = gamma * inv, q = -p * inv^2 * sum_dyx / N, r = -q * mean - p * sum_dy / N. */
void ot_channel_grad_apply(int64_t n, int64_t c, int64_t size, const float *x, const float *dy, const float *p,
                           const float *q, const float *r, float *dx, const ot_kernel_pool *pool);

/* Over each row of x[rows][cols]; y may be x. */
void ot_softmax_rows(int64_t rows, int64_t cols, const float *x, float *y, const ot_kernel_pool *pool);
void ot_log_softmax_rows(int64_t rows, int64_t cols, const float *x, float *y, const ot_kernel_pool *pool);
/* From the forward's y: dx = y * (dy - sum(dy * y)), and dx = dy - exp(y) * sum(dy).  dx may be dy. */
void ot_softmax_grad_rows(int64_t rows, int64_t cols, const float *y, const float *dy, float *dx,
                          const ot_kernel_pool *pool);
void ot_log_softmax_grad_rows(int64_t rows, int64_t cols, const float *y, const float *dy, float *dx,
                              const ot_kernel_pool *pool);

#endif

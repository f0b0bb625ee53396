/* Products of float32 matrices. */
#ifndef OT_KERNELS_GEMM_H
#define OT_KERNELS_GEMM_H

#include "kernels.h"

/* C[m][n] = act(alpha * sum over k of A[m][k] B[k][n] + beta * C[m][n] + bias + residual).
 * A[i][p] is a[i * a_row + p * a_col], so a transpose is a swap of strides; B likewise.  C is c[i * ldc + j].
 * With beta == 0, C is not read.  k == 0 is a sum of nothing. */
typedef struct ot_gemm_args {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_col;
    const float *b;
    int64_t b_row, b_col;
    float *c;
    int64_t ldc;
    float alpha, beta;
    ot_epilogue epi;
} ot_gemm_args;

/* Bytes of workspace that ot_gemm needs; grows with threads, so size it for the pool that will run. */
size_t ot_gemm_workspace(int64_t m, int64_t n, int64_t k, int threads);
void ot_gemm(const ot_gemm_args *g, void *work, const ot_kernel_pool *pool);

/* The same with a B that was packed once for many runs: a_col and alpha are 1, beta is 0, and of the epilogue only
 * bias_col and the activation count; b is not read.  The packed form depends on the instruction set, n and k; it is
 * never to be stored. */
size_t ot_gemm_packed_size(int64_t n, int64_t k); /* in bytes */
void ot_gemm_pack(int64_t n, int64_t k, const float *b, int64_t b_row, int64_t b_col, float *packed,
                  const ot_kernel_pool *pool);
void ot_gemm_by_packed(const ot_gemm_args *g, const float *packed, const ot_kernel_pool *pool);

#endif

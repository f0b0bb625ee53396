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

#endif

/* The list of kernels that exist once for each instruction set.  V(name, parameters, arguments) returns nothing,
 * R(type, name, parameters, arguments) returns a type. */
#ifndef OT_KERNELS_TABLE_H
#define OT_KERNELS_TABLE_H

#include "block.h"
#include "conv.h"
#include "gemm.h"
#include "pooling.h"
#include "rows.h"

/* clang-format off */
#define OT_KERNEL_LIST(V, R) \
    R(size_t, ot_gemm_workspace, (int64_t m, int64_t n, int64_t k, int threads), (m, n, k, threads)) \
    V(ot_gemm, (const ot_gemm_args *g, void *work, const ot_kernel_pool *pool), (g, work, pool)) \
    R(size_t, ot_gemm_packed_size, (int64_t n, int64_t k), (n, k)) \
    V(ot_gemm_pack, (int64_t n, int64_t k, const float *b, int64_t b_row, int64_t b_col, float *packed, \
      const ot_kernel_pool *pool), (n, k, b, b_row, b_col, packed, pool)) \
    V(ot_gemm_by_packed, (const ot_gemm_args *g, const float *packed, const ot_kernel_pool *pool), (g, packed, pool)) \
    R(ot_conv_way, ot_conv_choose, (const ot_conv_shape *s), (s)) \
    R(size_t, ot_conv_packed_size, (const ot_conv_shape *s), (s)) \
    V(ot_conv_pack_weights, (const ot_conv_shape *s, const float *w, float *packed, const ot_kernel_pool *pool), \
      (s, w, packed, pool)) \
    R(size_t, ot_conv_workspace, (const ot_conv_shape *s, ot_conv_pass pass, int threads), (s, pass, threads)) \
    V(ot_conv_forward, (const ot_conv_shape *s, const float *x, const float *w, const float *packed, float *y, \
      const ot_epilogue *epi, void *work, const ot_kernel_pool *pool), (s, x, w, packed, y, epi, work, pool)) \
    V(ot_conv_backward_data, (const ot_conv_shape *s, const float *dy, const float *w, float *dx, \
      const ot_epilogue *epi, void *work, const ot_kernel_pool *pool), (s, dy, w, dx, epi, work, pool)) \
    V(ot_conv_backward_weights, (const ot_conv_shape *s, const float *x, const float *dy, float *dw, float *db, \
      void *work, const ot_kernel_pool *pool), (s, x, dy, dw, db, work, pool)) \
    OT_KERNEL_LIST_BLOCK(V, R) \
    OT_KERNEL_LIST_POOLING(V) \
    OT_KERNEL_LIST_ROWS(V, R)
#define OT_KERNEL_LIST_BLOCK(V, R) \
    R(const char *, ot_block_conv_declines, (const ot_conv_shape *s, bool planar), (s, planar)) \
    R(ot_block_way, ot_block_conv_choose, (const ot_conv_shape *s, bool planar, bool lean), (s, planar, lean)) \
    R(size_t, ot_block_conv_packed_size, (const ot_block_conv *v), (v)) \
    V(ot_block_conv_pack, (const ot_block_conv *v, const float *w, float *packed, const ot_kernel_pool *pool), \
      (v, w, packed, pool)) \
    R(size_t, ot_block_conv_workspace, (const ot_block_conv *v, int threads), (v, threads)) \
    V(ot_block_conv_run, (const ot_block_conv *v, const float *x, const float *packed, float *y, \
      const ot_epilogue *epi, void *work, const ot_kernel_pool *pool), (v, x, packed, y, epi, work, pool)) \
    R(size_t, ot_block_weights_workspace, (const ot_block_conv *v, int threads), (v, threads)) \
    V(ot_block_weights, (const ot_block_conv *v, const float *x, const float *dy, float *dw, float *db, void *work, \
      const ot_kernel_pool *pool), (v, x, dy, dw, db, work, pool)) \
    V(ot_block_max_pool, (const ot_pool_shape *s, const float *x, float *y, const ot_kernel_pool *pool), \
      (s, x, y, pool)) \
    V(ot_block_avg_pool, (const ot_pool_shape *s, const float *x, float *y, const ot_kernel_pool *pool), \
      (s, x, y, pool)) \
    V(ot_block_global_avg_pool, (int64_t blocks, int64_t size, const float *x, float *y, const ot_kernel_pool *pool), \
      (blocks, size, x, y, pool)) \
    V(ot_block_max_pool_backward, (const ot_pool_shape *s, const float *x, const float *dy, float *dx, \
      const ot_kernel_pool *pool), (s, x, dy, dx, pool)) \
    V(ot_block_global_avg_pool_backward, (int64_t blocks, int64_t size, const float *dy, float *dx, \
      const ot_kernel_pool *pool), (blocks, size, dy, dx, pool)) \
    V(ot_block_norm_train, (const ot_block_norm *s, const float *x, float *y, const ot_kernel_pool *pool), \
      (s, x, y, pool)) \
    V(ot_block_norm_grad, (const ot_block_norm *s, const float *x, const float *dy, float *dx, float *dscale, \
      float *dbias, const ot_kernel_pool *pool), (s, x, dy, dx, dscale, dbias, pool)) \
    V(ot_block_from_plain, (int64_t n, int64_t c, int64_t size, const float *x, float *y, \
      const ot_kernel_pool *pool), (n, c, size, x, y, pool)) \
    V(ot_block_to_plain, (int64_t n, int64_t c, int64_t size, const float *x, float *y, \
      const ot_kernel_pool *pool), (n, c, size, x, y, pool))
#define OT_KERNEL_LIST_POOLING(V) \
    V(ot_max_pool, (const ot_pool_shape *s, const float *x, float *y, int64_t *index, const ot_kernel_pool *pool), \
      (s, x, y, index, pool)) \
    V(ot_max_pool_backward, (const ot_pool_shape *s, const float *x, const float *dy, float *dx, \
      const ot_kernel_pool *pool), (s, x, dy, dx, pool)) \
    V(ot_avg_pool, (const ot_pool_shape *s, const float *x, float *y, const ot_kernel_pool *pool), (s, x, y, pool)) \
    V(ot_avg_pool_backward, (const ot_pool_shape *s, const float *dy, float *dx, const ot_kernel_pool *pool), \
      (s, dy, dx, pool)) \
    V(ot_global_avg_pool, (int64_t planes, int64_t size, const float *x, float *y, const ot_kernel_pool *pool), \
      (planes, size, x, y, pool))
#define OT_KERNEL_LIST_ROWS(V, R) \
    V(ot_row_relu, (int64_t n, const float *x, float *y), (n, x, y)) \
    V(ot_row_relu_grad, (int64_t n, const float *y, const float *dy, float *dx), (n, y, dy, dx)) \
    V(ot_row_clip, (int64_t n, float lo, float hi, const float *x, float *y), (n, lo, hi, x, y)) \
    V(ot_row_add, (int64_t n, const float *a, const float *b, float *y), (n, a, b, y)) \
    V(ot_row_sub, (int64_t n, const float *a, const float *b, float *y), (n, a, b, y)) \
    V(ot_row_mul, (int64_t n, const float *a, const float *b, float *y), (n, a, b, y)) \
    V(ot_row_scale, (int64_t n, float scale, float shift, const float *x, float *y), (n, scale, shift, x, y)) \
    V(ot_row_axpy, (int64_t n, float a, const float *x, float *y), (n, a, x, y)) \
    V(ot_row_exp, (int64_t n, const float *x, float *y), (n, x, y)) \
    V(ot_row_erf, (int64_t n, const float *x, float *y), (n, x, y)) \
    V(ot_row_gelu, (int64_t n, const float *x, float *y), (n, x, y)) \
    V(ot_row_sigmoid, (int64_t n, const float *x, float *y), (n, x, y)) \
    V(ot_row_tanh, (int64_t n, const float *x, float *y), (n, x, y)) \
    R(double, ot_row_sum, (int64_t n, const float *x), (n, x)) \
    R(double, ot_row_dot, (int64_t n, const float *a, const float *b), (n, a, b)) \
    V(ot_channel_scale, (int64_t n, int64_t c, int64_t size, const float *x, const float *scale, const float *shift, \
      ot_kernel_act act, float *y, const ot_kernel_pool *pool), (n, c, size, x, scale, shift, act, y, pool)) \
    V(ot_channel_moments, (int64_t n, int64_t c, int64_t size, const float *x, float *mean, float *var, \
      const ot_kernel_pool *pool), (n, c, size, x, mean, var, pool)) \
    V(ot_channel_grad_sums, (int64_t n, int64_t c, int64_t size, const float *x, const float *dy, const float *mean, \
      float *sum_dy, float *sum_dyx, const ot_kernel_pool *pool), (n, c, size, x, dy, mean, sum_dy, sum_dyx, pool)) \
    V(ot_channel_grad_apply, (int64_t n, int64_t c, int64_t size, const float *x, const float *dy, const float *p, \
      const float *q, const float *r, float *dx, const ot_kernel_pool *pool), (n, c, size, x, dy, p, q, r, dx, pool)) \
    V(ot_softmax_rows, (int64_t rows, int64_t cols, const float *x, float *y, const ot_kernel_pool *pool), \
      (rows, cols, x, y, pool)) \
    V(ot_log_softmax_rows, (int64_t rows, int64_t cols, const float *x, float *y, const ot_kernel_pool *pool), \
      (rows, cols, x, y, pool)) \
    V(ot_softmax_grad_rows, (int64_t rows, int64_t cols, const float *y, const float *dy, float *dx, \
      const ot_kernel_pool *pool), (rows, cols, y, dy, dx, pool)) \
    V(ot_log_softmax_grad_rows, (int64_t rows, int64_t cols, const float *y, const float *dy, float *dx, \
      const ot_kernel_pool *pool), (rows, cols, y, dy, dx, pool))
/* clang-format on */

typedef struct ot_kernel_table {
#define OT_V(name, params, args)       void(*name) params;
#define OT_R(type, name, params, args) type(*name) params;
    OT_KERNEL_LIST(OT_V, OT_R)
#undef OT_V
#undef OT_R
} ot_kernel_table;

#endif

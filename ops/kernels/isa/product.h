/* The driver under matrix products and convolutions: C = A B over tiles, with A packed and B packed a tile at a time by
 * a callback.  Tasks are tiles of C; the depth is never shared out, so bits do not depend on the threads. */
#ifndef OT_KERNELS_PRODUCT_H
#define OT_KERNELS_PRODUCT_H

#include "micro.h"

/* Columns j .. j+len-1 of a panel lie at C's row start + off, + step, + 2 step ... */
typedef struct product_seg {
    int64_t off;
    int j, len;
} product_seg;

typedef struct product product;
struct product {
    int64_t groups; /* independent products; only the callbacks, bias and C know the difference */
    int64_t m, n, k;
    /* Packs rows m0 .. m0+rows-1 and depth k0 .. k0+depth-1 of A into dst[depth][rows]; unused with `packed`. */
    void (*pack_a)(const product *p, int64_t group, int64_t m0, int rows, int64_t k0, int64_t depth, float *dst);
    /* Packs columns n0 .. n0+cols-1, cols <= OT_NT, of B into panels dst[panel][depth][OT_NR]; n0 begins a panel, spare
     * columns of the last one get 0. */
    void (*pack_b)(const product *p, int64_t group, int64_t n0, int cols, int64_t k0, int64_t depth, float *dst);
    /* Where columns n0 .. n0+cols-1 of C are; returns the number of segments, at most cols. */
    int (*segments)(const product *p, int64_t n0, int cols, product_seg *seg);
    const void *ctx;     /* the callbacks' */
    const float *packed; /* all of A in packed form, or NULL */
    float *c;
    int64_t c_row, c_group; /* strides of C; groups follow each other in bias too: bias[group * m + i] */
    int64_t step;           /* between columns in a segment */
    float beta;
    ot_epilogue epi; /* ldr is the residual's c_row; the residual's groups and columns lie as C's */
    int64_t m_most;  /* 0, or the m that the workspace was asked for, when m is a part of it */
    /* set by the driver */
    int64_t ka, kb;  /* the depth of this round */
    const float *pa; /* packed A of this round */
    float *work_a, *work_b;
    int64_t m_tiles, n_tiles, worker_floats;
};

int64_t OT_K(ot_product_packed)(int64_t groups, int64_t m, int64_t k); /* floats of A packed whole */
/* Packs all of A; p->m, k, groups, pack_a and ctx count. */
void OT_K(ot_product_pack)(product *p, float *dst, const ot_kernel_pool *pool);
/* Floats of workspace; packed says that p->packed will be set. */
int64_t OT_K(ot_product_workspace)(int64_t groups, int64_t m, int64_t n, int64_t k, bool packed, int threads);
void OT_K(ot_product_run)(product *p, float *work, const ot_kernel_pool *pool);

/* Helpers of the callbacks.  dst[depth][rows] = src[r * row + q * col]. */
void OT_K(ot_pack_rows)(int rows, int64_t depth, const float *src, int64_t row, int64_t col, float *dst);
/* dst[depth][OT_NR] = src[q * row + j * col], spare columns 0. */
void OT_K(ot_pack_cols)(int cols, int64_t depth, const float *src, int64_t row, int64_t col, float *dst);

#endif

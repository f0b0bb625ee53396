#include "gemm_thin.h"
#include "product.h"
#include "table.h"

#define ROWS_AT_ONCE 8192 /* rows of A that are packed together */

static void pack_a(const product *p, int64_t group, int64_t m0, int rows, int64_t k0, int64_t depth, float *dst)
{
    const ot_gemm_args *g = p->ctx;
    (void)group;
    OT_K(ot_pack_rows)(rows, depth, g->a + m0 * g->a_row + k0 * g->a_col, g->a_row, g->a_col, dst);
    if (g->alpha != 1)
        for (int64_t i = 0; i < depth * rows; i++)
            dst[i] *= g->alpha;
}

static void pack_b(const product *p, int64_t group, int64_t n0, int cols, int64_t k0, int64_t depth, float *dst)
{
    const ot_gemm_args *g = p->ctx;
    (void)group;
    for (int j = 0; j < cols; j += OT_NR, dst += depth * OT_NR)
        OT_K(ot_pack_cols)
    ((int)k_min(OT_NR, cols - j), depth, g->b + k0 * g->b_row + (n0 + j) * g->b_col, g->b_row, g->b_col, dst);
}

static int segments(const product *p, int64_t n0, int cols, product_seg *seg)
{
    (void)p;
    *seg = (product_seg){ n0, 0, cols };
    return 1;
}

size_t OT_K(ot_gemm_workspace)(int64_t m, int64_t n, int64_t k, int threads)
{
    return sizeof(float) * (size_t)OT_K(ot_product_workspace)(1, k_min(m, ROWS_AT_ONCE), n, k, false, threads);
}

void OT_K(ot_gemm)(const ot_gemm_args *g, void *work, const ot_kernel_pool *pool)
{
    if (OT_K(ot_gemm_is_thin)(g)) {
        OT_K(ot_gemm_thin)(g, pool);
        return;
    }
    for (int64_t m0 = 0; m0 < g->m; m0 += ROWS_AT_ONCE) {
        ot_gemm_args part = *g;
        part.m = k_min(ROWS_AT_ONCE, g->m - m0);
        part.a += m0 * g->a_row;
        part.c += m0 * g->ldc;
        if (part.epi.bias)
            part.epi.bias += m0;
        if (part.epi.residual)
            part.epi.residual += m0 * g->epi.ldr;
        product p = { .groups = 1,
                      .m = part.m,
                      .n = g->n,
                      .k = g->k,
                      .pack_a = pack_a,
                      .pack_b = pack_b,
                      .segments = segments,
                      .ctx = &part,
                      .c = part.c,
                      .c_row = g->ldc,
                      .step = 1,
                      .beta = g->beta,
                      .epi = part.epi,
                      .m_most = k_min(g->m, ROWS_AT_ONCE) };
        OT_K(ot_product_run)(&p, work, pool);
    }
}

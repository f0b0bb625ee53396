/* Products of few rows: C is so thin that reading B decides, and nothing is packed. */
#include "gemm_thin.h"

#define TASK_COLUMNS 64

bool OT_K(ot_gemm_is_thin)(const ot_gemm_args *g)
{
    return g->m >= 1 && g->m <= OT_THIN_ROWS && g->a_col == 1 && (g->b_row == 1 || g->b_col == 1) && g->k > 0;
}

/* Element (i, j) from its sum, as ot_gemm_args says. */
static void finish(const ot_gemm_args *g, int64_t i, int64_t j, float sum)
{
    const ot_epilogue *e = &g->epi;
    float *c = g->c + i * g->ldc + j, v = g->alpha * sum;
    if (g->beta != 0)
        v += g->beta * *c;
    if (e->bias)
        v += e->bias[i];
    if (e->bias_col)
        v += e->bias_col[j];
    if (e->residual)
        v += e->residual[i * e->ldr + j];
    if (e->act == OT_ACT_RELU)
        v = v < 0 ? 0 : v;
    if (e->act == OT_ACT_CLIP)
        v = v < e->lo ? e->lo : v > e->hi ? e->hi : v;
    *c = v;
}

/* Column j of C where columns of B are dense: one dot product a row. */
OT_INLINE void dots(const int m, const ot_gemm_args *g, int64_t j)
{
    const float *b = g->b + j * g->b_col;
    vf even[OT_THIN_ROWS], odd[OT_THIN_ROWS];
    int64_t p = 0;
#pragma GCC unroll 4
    for (int i = 0; i < m; i++)
        even[i] = odd[i] = v_set(0);
    for (; p + 2 * OT_VL <= g->k; p += 2 * OT_VL) {
        vf b0 = v_load(b + p), b1 = v_load(b + p + OT_VL);
#pragma GCC unroll 4
        for (int i = 0; i < m; i++) {
            even[i] += b0 * v_load(g->a + i * g->a_row + p);
            odd[i] += b1 * v_load(g->a + i * g->a_row + p + OT_VL);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < m; i++) {
        float sum = v_sum(even[i] + odd[i]);
        for (int64_t q = p; q < g->k; q++)
            sum += b[q] * g->a[i * g->a_row + q];
        finish(g, i, j, sum);
    }
}

/* Columns j .. j+3 vectors of C where rows of B are dense. */
OT_INLINE void columns(const int m, const ot_gemm_args *g, int64_t j)
{
    vf sum[OT_THIN_ROWS][4];
    float out[4 * OT_VL];
#pragma GCC unroll 4
    for (int i = 0; i < m; i++)
        for (int v = 0; v < 4; v++)
            sum[i][v] = v_set(0);
    for (int64_t p = 0; p < g->k; p++) {
        const float *b = g->b + p * g->b_row + j;
        vf b0 = v_load(b), b1 = v_load(b + OT_VL), b2 = v_load(b + 2 * OT_VL), b3 = v_load(b + 3 * OT_VL);
#pragma GCC unroll 4
        for (int i = 0; i < m; i++) {
            float a = g->a[i * g->a_row + p];
            sum[i][0] += a * b0;
            sum[i][1] += a * b1;
            sum[i][2] += a * b2;
            sum[i][3] += a * b3;
        }
    }
    for (int i = 0; i < m; i++) {
        for (int v = 0; v < 4; v++)
            v_store(out + v * OT_VL, sum[i][v]);
        for (int64_t l = 0; l < 4 * OT_VL; l++)
            finish(g, i, j + l, out[l]);
    }
}

static void one_column(const ot_gemm_args *g, int64_t j)
{
    for (int64_t i = 0; i < g->m; i++) {
        float sum = 0;
        for (int64_t p = 0; p < g->k; p++)
            sum += g->a[i * g->a_row + p] * g->b[p * g->b_row + j * g->b_col];
        finish(g, i, j, sum);
    }
}

OT_INLINE void run_columns(const int m, const ot_gemm_args *g, int64_t j, int64_t end)
{
    if (g->b_row == 1) {
        for (; j < end; j++)
            dots(m, g, j);
        return;
    }
    for (; j + 4 * OT_VL <= end; j += 4 * OT_VL)
        columns(m, g, j);
    for (; j < end; j++)
        one_column(g, j);
}

static void thin_task(void *ctx, int64_t block, int worker)
{
    const ot_gemm_args *g = ctx;
    int64_t j = block * TASK_COLUMNS, end = k_min(g->n, j + TASK_COLUMNS);
    (void)worker;
    switch (g->m) {
    case 1:
        run_columns(1, g, j, end);
        break;
    case 2:
        run_columns(2, g, j, end);
        break;
    case 3:
        run_columns(3, g, j, end);
        break;
    default:
        run_columns(4, g, j, end);
        break;
    }
}

void OT_K(ot_gemm_thin)(const ot_gemm_args *g, const ot_kernel_pool *pool)
{
    ot_gemm_args args = *g;
    k_run(pool, k_ceil(g->n, TASK_COLUMNS), thin_task, &args);
}

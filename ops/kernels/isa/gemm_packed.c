/* Products whose B is packed once for many runs, in panels as blocked convolutions have them: rows of A are the places,
 * and nothing of A is packed. */
#include "../gemm.h"
#include "block.h"

#include <string.h>

#define DEPTH     512 /* rows of B that a pass goes through: a panel of so many stays in the second-level cache */
#define BAND_ROWS 56

size_t OT_K(ot_gemm_packed_size)(int64_t n, int64_t k)
{
    return sizeof(float) * (size_t)(blocks_of(n) * OT_BLOCK * k);
}

typedef struct packing {
    int64_t n, k, b_row, b_col;
    const float *b;
    float *packed;
} packing;

/* [panel][k][columns of the panel]; spare columns are 0. */
static void pack_task(void *ctx, int64_t i, int worker)
{
    const packing *p = ctx;
    int64_t first, wide = panel_at(blocks_of(p->n), i, &first) * OT_BLOCK, j0 = first * OT_BLOCK;
    float *out = p->packed + j0 * p->k;
    int64_t there = k_min(wide, p->n - j0);
    (void)worker;
    for (int64_t q = 0; q < p->k; q++, out += wide) {
        for (int64_t j = 0; j < there; j++)
            out[j] = p->b[q * p->b_row + (j0 + j) * p->b_col];
        memset(out + there, 0, sizeof(float) * (size_t)(wide - there));
    }
}

void OT_K(ot_gemm_pack)(int64_t n, int64_t k, const float *b, int64_t b_row, int64_t b_col, float *packed,
                        const ot_kernel_pool *pool)
{
    packing p = { n, k, b_row, b_col, b, packed };
    k_run(pool, panel_count(blocks_of(n)), pack_task, &p);
}

typedef struct job {
    const ot_gemm_args *g;
    const float *packed;
    int64_t panels;
} job;

/* A tile of the last panel, some of whose columns are not there: it is computed beside C. */
static void run_edge(block_tile t, int rows, int blocks, int64_t there, const float *bias)
{
    float tile[14 * OT_PANEL * OT_BLOCK];
    int64_t wide = blocks * OT_BLOCK, c_row = t.c_row;
    float *c = t.c;
    memset(tile, 0, sizeof(float) * (size_t)(rows * wide));
    for (int i = 0; i < rows; i++)
        for (int64_t j = 0; j < there; j++)
            tile[i * wide + j] = t.start ? c[i * c_row + j] : bias ? bias[j] : 0;
    t.c = tile;
    t.c_row = wide;
    t.start = tile;
    t.bias = NULL;
    OT_K(ot_block_micro)(rows, blocks, &t);
    for (int i = 0; i < rows; i++)
        memcpy(c + i * c_row, tile + i * wide, sizeof(float) * (size_t)there);
}

static void run_task(void *ctx, int64_t index, int worker)
{
    const job *k = ctx;
    const ot_gemm_args *g = k->g;
    int64_t bands = k_ceil(g->m, BAND_ROWS), band = index % bands, first;
    int blocks = panel_at(blocks_of(g->n), index / bands, &first), most = block_rows(blocks);
    int64_t from = k_cut(g->m, bands, band), rows = k_cut(g->m, bands, band + 1) - from, parts = k_ceil(rows, most);
    int64_t j0 = first * OT_BLOCK, wide = blocks * OT_BLOCK, zero = 0;
    const float *bias = g->epi.bias_col ? g->epi.bias_col + j0 : NULL;
    (void)worker;
    for (int64_t q = 0; q < g->k; q += DEPTH)
        for (int64_t i = 0; i < parts; i++) {
            int64_t r = from + k_cut(rows, parts, i), n = from + k_cut(rows, parts, i + 1) - r;
            bool last = q + DEPTH >= g->k;
            float *c = g->c + r * g->ldc + j0;
            block_tile t = { .a = g->a + r * g->a_row + q,
                             .b = k->packed + j0 * g->k + q * wide,
                             .a_off = &zero,
                             .b_off = &zero,
                             .steps = 1,
                             .depth = k_min(DEPTH, g->k - q),
                             .a_row = g->a_row,
                             .c = c,
                             .c_row = g->ldc,
                             .c_block = OT_BLOCK,
                             .start = q > 0 ? c : NULL,
                             .bias = q == 0 ? bias : NULL,
                             .bounds = last ? block_bounds_of(&g->epi) : (block_bounds){ 0 } };
            if (j0 + wide > g->n)
                run_edge(t, (int)n, blocks, g->n - j0, bias);
            else
                OT_K(ot_block_micro)((int)n, blocks, &t);
        }
}

void OT_K(ot_gemm_by_packed)(const ot_gemm_args *g, const float *packed, const ot_kernel_pool *pool)
{
    job k = { g, packed, panel_count(blocks_of(g->n)) };
    k_run(pool, k.panels * k_ceil(g->m, BAND_ROWS), run_task, &k);
}

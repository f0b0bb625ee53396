/* The gradient of the filters by Winograd's adjoint, F(3x3, 4x4): dw = G' ((A dy A') . (B' d B) summed over tiles) G.
 * The 36 products of all channels are 36 matrix products over the tiles, summed block of tiles by block of tiles. */
#include "micro.h"
#include "transpose.h"
#include "winograd.h"
#include "winograd_points.h"

#include <string.h>

#define PAD          OT_LINE
#define MOST_TILES   384                /* of a block, so that a panel stays in the first-level cache */
#define BLOCK_FLOATS ((int64_t)4 << 20) /* of a block's transforms, about */

struct sizes {
    int64_t all, blocks, tiles; /* tiles in all; blocks; tiles of the largest block, up to a vector */
    int64_t columns, panels;    /* channels up to OT_NR; panels of rows */
    int64_t v, m, sums, worker; /* floats */
};

static struct sizes sizes_of(const winograd *w)
{
    struct sizes s = { .all = w->images * w->th * w->tw };
    int64_t most = BLOCK_FLOATS / (WINO_XI * (w->channels + w->rows));
    most = k_max(64, k_min(MOST_TILES, most));
    s.blocks = k_max(1, k_ceil(s.all, most));
    s.tiles = k_ceil(k_ceil(s.all, s.blocks), OT_VL) * OT_VL;
    s.columns = k_ceil(w->channels, OT_NR) * OT_NR;
    s.panels = k_ceil(w->rows, OT_MR);
    s.v = WINO_XI * (k_ceil(w->channels * s.tiles, OT_LINE) * OT_LINE + PAD);
    s.m = WINO_XI * (k_ceil(w->rows * s.tiles, OT_LINE) * OT_LINE + PAD);
    s.sums = WINO_XI * w->rows * s.columns;
    s.worker = k_ceil((s.columns + OT_MR) * s.tiles, OT_LINE) * OT_LINE;
    return s;
}

int64_t OT_K(ot_wino_weights_workspace)(const winograd *w, int threads)
{
    struct sizes s = sizes_of(w);
    return s.v + s.m + k_ceil(s.sums, OT_LINE) * OT_LINE + s.worker * k_max(1, threads);
}

struct job {
    const winograd *w;
    const float *dy;
    struct sizes s;
    wino_block b;
    bool more; /* not the first block */
    float *sums, *scratch, *dw;
};

/* Channels first, then rows of dy. */
static void transform_task(void *ctx, int64_t i, int worker)
{
    const struct job *j = ctx;
    (void)worker;
    if (i < j->w->channels)
        OT_K(ot_wino_input)(j->w, &j->b, i);
    else
        OT_K(ot_wino_gradient)(j->w, &j->b, j->dy, i - j->w->channels);
}

static void multiply_task(void *ctx, int64_t xi, int worker)
{
    const struct job *j = ctx;
    const winograd *w = j->w;
    const wino_block *b = &j->b;
    float *pb = j->scratch + worker * j->s.worker, *pa = pb + j->s.columns * j->s.tiles;
    for (int64_t c = 0; c < j->s.columns; c += OT_NR) {
        int64_t cols = k_min(OT_NR, w->channels - c);
        if (cols < OT_NR)
            memset(pb + c * b->row, 0, sizeof(float) * OT_NR * (size_t)b->row);
        k_transpose(cols, b->row, b->v + xi * b->v_xi + c * b->row, b->row, pb + c * b->row, OT_NR);
    }
    for (int64_t i = 0; i < j->s.panels; i++) {
        int64_t m0 = k_cut(w->rows, j->s.panels, i);
        int rows = (int)(k_cut(w->rows, j->s.panels, i + 1) - m0);
        float *sums = j->sums + (xi * w->rows + m0) * j->s.columns;
        k_transpose(rows, b->row, b->m + xi * b->m_xi + m0 * b->row, b->row, pa, rows);
        for (int64_t c = 0; c < j->s.columns; c += OT_NR)
            OT_K(ot_micro)
        (rows, w->channels - c > OT_VL ? 2 : 1, b->row, pa, pb + c * b->row, OT_NR, sums + c, j->s.columns, j->more);
    }
}

static void taps_task(void *ctx, int64_t row, int worker)
{
    const struct job *j = ctx;
    const winograd *w = j->w;
    float *dw = j->dw + (j->b.group * w->rows + row) * w->channels * 9;
    (void)worker;
    for (int64_t c = 0; c < w->channels; c += OT_VL) {
        vf t[3][6], g[3];
        float taps[9][OT_VL];
        for (int x = 0; x < 6; x++) {
            vf u[6];
            for (int y = 0; y < 6; y++)
                u[y] = v_load(j->sums + ((6 * y + x) * w->rows + row) * j->s.columns + c);
            WINO4_TAPS(g, u);
            for (int y = 0; y < 3; y++)
                t[y][x] = g[y];
        }
        for (int y = 0; y < 3; y++) {
            WINO4_TAPS(g, t[y]);
            for (int x = 0; x < 3; x++)
                v_store(taps[3 * y + x], g[x]);
        }
        for (int64_t i = 0; i < k_min(OT_VL, w->channels - c); i++)
            for (int tap = 0; tap < 9; tap++)
                dw[(c + i) * 9 + tap] = taps[tap][i];
    }
}

void OT_K(ot_wino_weights)(const winograd *w, const float *dy, float *dw, float *work, const ot_kernel_pool *pool)
{
    struct job j = { .w = w, .dy = dy, .s = sizes_of(w), .dw = dw };
    float *v = work, *m = v + j.s.v;
    j.sums = m + j.s.m;
    j.scratch = j.sums + k_ceil(j.s.sums, OT_LINE) * OT_LINE;
    for (int64_t group = 0; group < w->groups; group++) {
        for (int64_t i = 0; i < j.s.blocks; i++) {
            wino_block *b = &j.b;
            *b = (wino_block){ .group = group, .tile0 = k_cut(j.s.all, j.s.blocks, i), .v = v, .m = m };
            b->tiles = k_cut(j.s.all, j.s.blocks, i + 1) - b->tile0;
            b->row = k_ceil(b->tiles, OT_VL) * OT_VL;
            b->v_xi = k_ceil(w->channels * b->row, OT_LINE) * OT_LINE + PAD;
            b->m_xi = k_ceil(w->rows * b->row, OT_LINE) * OT_LINE + PAD;
            j.more = i > 0;
            k_run(pool, w->channels + w->rows, transform_task, &j);
            k_run(pool, WINO_XI, multiply_task, &j);
        }
        k_run(pool, w->rows, taps_task, &j);
    }
}

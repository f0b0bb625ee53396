/* Winograd convolution: filters once, then blocks of tiles: inputs, 36 products, outputs. */
#include "winograd.h"
#include "micro.h"

#define PAD OT_LINE /* floats between xi, so that they do not fall on the same cache sets */

static int64_t panels_of(const winograd *w)
{
    return k_ceil(w->rows, OT_MR);
}

int64_t OT_K(ot_wino_packed)(const winograd *w)
{
    return k_ceil(WINO_XI * w->groups * w->rows * w->channels, OT_LINE) * OT_LINE;
}

struct work {
    const winograd *w;
    wino_block b; /* with the threads: the block that all work on */
    float *u, *scratch;
    int64_t scratch_floats, blocks, splits;
};

static void filter_task(void *ctx, int64_t block, int worker)
{
    const struct work *k = ctx;
    int64_t panels = panels_of(k->w), group = block / panels, i = block % panels;
    int64_t m0 = k_cut(k->w->rows, panels, i), m1 = k_cut(k->w->rows, panels, i + 1);
    (void)worker;
    OT_K(ot_wino_filters)(k->w, group, m0, (int)(m1 - m0), k->u);
}

void OT_K(ot_wino_pack)(const winograd *w, float *u, const ot_kernel_pool *pool)
{
    struct work k = { .w = w, .u = u };
    k_run(pool, w->groups * panels_of(w), filter_task, &k);
}

static int64_t block_floats(const winograd *w)
{
    return WINO_XI * ((w->channels + w->rows) * WINO_TILES + 2 * PAD) + 2 * PAD;
}

int64_t OT_K(ot_wino_workspace)(const winograd *w, bool packed, int threads)
{
    return (packed ? 0 : OT_K(ot_wino_packed)(w)) + block_floats(w) * k_max(1, threads);
}

static wino_block block_of(const winograd *w, int64_t index, int64_t blocks, float *scratch)
{
    int64_t all = w->images * w->th * w->tw;
    wino_block b = { .group = index / blocks };
    b.tile0 = k_cut(all, blocks, index % blocks);
    b.tiles = k_cut(all, blocks, index % blocks + 1) - b.tile0;
    b.row = k_ceil(b.tiles, OT_VL) * OT_VL;
    b.v_xi = w->channels * b.row + PAD;
    b.m_xi = w->rows * b.row + PAD;
    b.v = scratch;
    b.m = scratch + WINO_XI * b.v_xi;
    return b;
}

/* Panels p0 .. p1-1 of one xi. */
static void multiply(const winograd *w, const wino_block *b, int64_t xi, int64_t p0, int64_t p1)
{
    int64_t panels = panels_of(w);
    for (int64_t i = p0; i < p1; i++) {
        int64_t m0 = k_cut(w->rows, panels, i);
        int rows = (int)(k_cut(w->rows, panels, i + 1) - m0);
        const float *u = w->u + wino_at(w, b->group, xi) + m0 * w->channels;
        for (int64_t t = 0; t < b->row; t += OT_NR)
            OT_K(ot_micro)
        (rows, b->row - t > OT_VL ? 2 : 1, w->channels, u, b->v + xi * b->v_xi + t, b->row,
         b->m + xi * b->m_xi + m0 * b->row + t, b->row, false);
    }
}

static void block_task(void *ctx, int64_t index, int worker)
{
    const struct work *k = ctx;
    const winograd *w = k->w;
    wino_block b = block_of(w, index, k->blocks, k->scratch + worker * k->scratch_floats);
    for (int64_t c = 0; c < w->channels; c++)
        OT_K(ot_wino_input)(w, &b, c);
    for (int64_t xi = 0; xi < WINO_XI; xi++)
        multiply(w, &b, xi, 0, panels_of(w));
    for (int64_t r = 0; r < w->rows; r++)
        OT_K(ot_wino_output)(w, &b, r);
}

/* Few blocks: the threads share each of its three phases. */
static void input_task(void *ctx, int64_t i, int worker)
{
    const struct work *k = ctx;
    (void)worker;
    for (int64_t c = k_cut(k->w->channels, k->splits, i); c < k_cut(k->w->channels, k->splits, i + 1); c++)
        OT_K(ot_wino_input)(k->w, &k->b, c);
}

static void multiply_task(void *ctx, int64_t i, int worker)
{
    const struct work *k = ctx;
    (void)worker;
    multiply(k->w, &k->b, i, 0, panels_of(k->w));
}

static void output_task(void *ctx, int64_t i, int worker)
{
    const struct work *k = ctx;
    (void)worker;
    for (int64_t r = k_cut(k->w->rows, k->splits, i); r < k_cut(k->w->rows, k->splits, i + 1); r++)
        OT_K(ot_wino_output)(k->w, &k->b, r);
}

void OT_K(ot_wino_run)(winograd *w, float *work, const ot_kernel_pool *pool)
{
    int threads = pool ? pool->threads : 1;
    int64_t all = w->images * w->th * w->tw;
    struct work k = { .w = w, .u = work, .scratch = work, .scratch_floats = block_floats(w) };
    if (all == 0 || w->groups == 0)
        return;
    if (!w->u) {
        OT_K(ot_wino_pack)(w, work, pool);
        w->u = work;
        k.scratch = work + OT_K(ot_wino_packed)(w);
    }
    k.blocks = k_ceil(all, WINO_TILES);
    if (threads == 1 || k.blocks * w->groups >= 2 * threads) {
        k_run(pool, k.blocks * w->groups, block_task, &k);
        return;
    }
    for (int64_t i = 0; i < k.blocks * w->groups; i++) {
        k.b = block_of(w, i, k.blocks, k.scratch);
        k.splits = k_min(4 * threads, w->channels);
        k_run(pool, k.splits, input_task, &k);
        k_run(pool, WINO_XI, multiply_task, &k);
        k.splits = k_min(4 * threads, w->rows);
        k_run(pool, k.splits, output_task, &k);
    }
}

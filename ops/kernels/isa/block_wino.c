/* Winograd convolutions over blocks of channels: F(4x4, 3x3) and F(2x2, 3x3).
 *
 * Lanes are channels, so the transforms are plain vector arithmetic.  V[xi][block][tile][16] are the transformed
 * inputs, U[xi][panel][channel][panel's outputs] the filters, M[xi][block][tile][16] the products.  Strides between xi
 * are padded, so that they do not fall on the same cache sets. */
#include "block_wino.h"
#include "transpose.h"
#include "winograd_points.h"

#define CACHE_FLOATS 230000 /* of V and M of a block of tiles that should stay in the second-level cache, about */

static int64_t v_stride(const wino *k, int64_t n)
{
    return k->cb * n * OT_BLOCK + OT_LINE;
}
static int64_t m_stride(const wino *k, int64_t n)
{
    return k->kb * n * OT_BLOCK + OT_LINE;
}

static wino wino_of(const ot_block_conv *v)
{
    const ot_conv_shape *s = &v->shape;
    wino k = { .v = v, .out = v->way == OT_BLOCK_WINOGRAD4 ? 4 : 2, .cg = s->c / s->group, .kg = s->k / s->group };
    k.xi = (k.out + 2) * (k.out + 2);
    k.cb = blocks_of(k.cg);
    k.kb = blocks_of(k.kg);
    k.panels = k_ceil(k.kb, WINO_PANEL);
    k.th = k_ceil(s->out[0], k.out);
    k.tw = k_ceil(s->out[1], k.out);
    k.low = s->out[0] - (k.th - 1) * k.out;
    k.narrow = s->out[1] - (k.tw - 1) * k.out;
    int64_t all = s->n * k.th * k.tw, most = CACHE_FLOATS / (k.xi * (k.cb + k.kb) * OT_BLOCK);
    most = k_min(k_max(most, 28), WINO_TILES);
    k.blocks = k_max(1, k_ceil(all, most));
    k.tiles = k_ceil(all, k.blocks);
    k.scratch_floats = k.xi * (v_stride(&k, k.tiles) + m_stride(&k, k.tiles));
    return k;
}

size_t OT_K(ot_block_wino_packed)(const ot_block_conv *v)
{
    wino k = wino_of(v);
    return sizeof(float) * (size_t)(v->shape.group * k.xi * k.kb * OT_BLOCK * k.cg);
}

size_t OT_K(ot_block_wino_workspace)(const ot_block_conv *v, int threads)
{
    return sizeof(float) * (size_t)(wino_of(v).scratch_floats * k_max(1, threads));
}

/* ---- Filters ----------------------------------------------------------------------------------------------------- */

/* G g G' of 16 filters in double; g[tap] and u[xi] by filter. */
static void filters(int64_t side, double g[9][OT_BLOCK], double u[36][OT_BLOCK])
{
    double t[6][3][OT_BLOCK];
    const double(*G)[3] = side == 6 ? wino_filter4 : wino_filter2;
    for (int64_t i = 0; i < side; i++)
        for (int j = 0; j < 3; j++)
            for (int l = 0; l < OT_BLOCK; l++)
                t[i][j][l] = G[i][0] * g[j][l] + G[i][1] * g[3 + j][l] + G[i][2] * g[6 + j][l];
    for (int64_t i = 0; i < side; i++)
        for (int64_t j = 0; j < side; j++)
            for (int l = 0; l < OT_BLOCK; l++)
                u[i * side + j][l] = G[j][0] * t[i][0][l] + G[j][1] * t[i][1][l] + G[j][2] * t[i][2][l];
}

/* The taps of input c for n outputs from k0 on; lanes behind them 0. */
static void load_filters(const wino *k, int64_t group, int64_t k0, int64_t n, int64_t c, double g[9][OT_BLOCK])
{
    const block_filters *f = &k->w;
    float t[9][OT_BLOCK] = { { 0 } };
    k_transpose(n, 9, f->w + group * f->group + k0 * f->k + c * f->c, f->k, t[0], OT_BLOCK);
    for (int tap = 0; tap < 9; tap++)
        for (int l = 0; l < OT_BLOCK; l++)
            g[tap][l] = (double)t[block_tap(f, tap)][l];
}

/* One panel of one group. */
static void pack_task(void *ctx, int64_t i, int worker)
{
    const wino *k = ctx;
    int64_t group = i / k->panels, first = i % k->panels * WINO_PANEL, size = k_min(WINO_PANEL, k->kb - first);
    float *out = k->pack + (group * k->xi * k->kb + first) * OT_BLOCK * k->cg;
    (void)worker;
    for (int64_t c = 0; c < k->cg; c++)
        for (int64_t block = 0; block < size; block++, out += OT_BLOCK) {
            int64_t k0 = (first + block) * OT_BLOCK;
            double g[9][OT_BLOCK], u[36][OT_BLOCK];
            load_filters(k, group, k0, k_min(OT_BLOCK, k->kg - k0), c, g);
            filters(k->out + 2, g, u);
            for (int64_t xi = 0; xi < k->xi; xi++) {
                float line[OT_BLOCK];
                for (int l = 0; l < OT_BLOCK; l++)
                    line[l] = (float)u[xi][l];
                for (int part = 0; part < OT_BLOCK; part += OT_VL)
                    v_stream(out + xi * k->kb * OT_BLOCK * k->cg + part, v_load(line + part));
            }
        }
    v_stream_end();
}

void OT_K(ot_block_wino_pack)(const ot_block_conv *v, const float *w, float *packed, const ot_kernel_pool *pool)
{
    wino k = wino_of(v);
    k.w = block_filters_of(v, w);
    k.pack = packed;
    k_run(pool, v->shape.group * k.panels, pack_task, &k);
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

#define MAX_STEPS 64 /* blocks of input channels that one call takes */

/* The products at point xi of all tiles that have one there. */
static void multiply(const wino *k, const wino_block *b, int64_t xi)
{
    int64_t a_off[MAX_STEPS], b_off[MAX_STEPS], whole = k->cg / OT_BLOCK, tail = k->cg % OT_BLOCK;
    int64_t from, to;
    wino_tiles_at(k, b, xi, &from, &to);
    for (int64_t p = 0; p < k->panels && from < to; p++) {
        int64_t first = p * WINO_PANEL;
        int blocks = (int)k_min(WINO_PANEL, k->kb - first), most = block_rows(blocks);
        int64_t parts = k_ceil(to - from, most);
        /* a panel is fetched while the one before it is used; rounding up reads a little more */
        int ahead_lines = (int)k_ceil(blocks, parts);
        const float *u = k->u + ((b->group * k->xi + xi) * k->kb + first) * OT_BLOCK * k->cg;
        for (int64_t c0 = 0; c0 < k->cb; c0 += MAX_STEPS) {
            int64_t c1 = k_min(k->cb, c0 + MAX_STEPS), steps = k_min(c1, whole) - c0;
            for (int64_t c = c0; c < c1; c++) {
                a_off[c - c0] = c * b->n * OT_BLOCK;
                b_off[c - c0] = c * OT_BLOCK * blocks * OT_BLOCK;
            }
            for (int64_t i = 0; i < parts; i++) {
                int64_t t0 = from + k_cut(to - from, parts, i);
                int rows = (int)(from + k_cut(to - from, parts, i + 1) - t0);
                block_tile t = { .a = b->v + xi * b->v_xi + t0 * OT_BLOCK,
                                 .b = u,
                                 .a_off = a_off,
                                 .b_off = b_off,
                                 .steps = steps,
                                 .depth = OT_BLOCK,
                                 .a_row = OT_BLOCK,
                                 .c = b->m + xi * b->m_xi + (first * b->n + t0) * OT_BLOCK,
                                 .c_row = OT_BLOCK,
                                 .c_block = b->n * OT_BLOCK,
                                 .ahead = u + blocks * OT_BLOCK * k->cg * (i + parts) / parts,
                                 .lines = ahead_lines };
                if (c0 > 0)
                    t.start = t.c;
                if (steps > 0)
                    OT_K(ot_block_micro)(rows, blocks, &t);
                if (tail && c1 == k->cb) {
                    t.start = c1 - c0 > 1 || c0 > 0 ? t.c : NULL;
                    t.a_off = a_off + steps;
                    t.b_off = b_off + steps;
                    t.steps = 1;
                    t.depth = tail;
                    OT_K(ot_block_micro)(rows, blocks, &t);
                }
            }
        }
    }
}

/* ---- Blocks of tiles --------------------------------------------------------------------------------------------- */

/* 0: in the last column, which is cut off; 1: whole; 2: in the last row, cut off; 3: both. */
static int kind_of(const wino *k, const wino_place *p)
{
    const ot_conv_shape *s = &k->v->shape;
    bool right = p->x + k->out > s->out[1], bottom = p->y + k->out > s->out[0];
    return bottom ? right ? 3 : 2 : right ? 0 : 1;
}

void OT_K(ot_wino_lay_out)(const wino *k, wino_block *b, int64_t first)
{
    int64_t each = k->th * k->tw, count[4] = { 0 }, at[4];
    wino_place place[WINO_TILES];
    for (int64_t t = 0; t < b->n; t++) {
        int64_t tile = first + t;
        place[t] = (wino_place){ tile / each, tile % each / k->tw * k->out, tile % k->tw * k->out };
        count[kind_of(k, &place[t])]++;
    }
    at[0] = 0;
    for (int i = 1; i < 4; i++)
        at[i] = at[i - 1] + count[i - 1];
    for (int64_t t = 0; t < b->n; t++)
        b->place[at[kind_of(k, &place[t])]++] = place[t];
    b->right = count[0];
    b->whole = count[1];
    b->bottom = count[2];
}

static void block_of(const wino *k, int64_t index, float *scratch, wino_block *b)
{
    int64_t all = k->v->shape.n * k->th * k->tw, first = k_cut(all, k->blocks, index % k->blocks);
    b->group = index / k->blocks;
    b->n = k_cut(all, k->blocks, index % k->blocks + 1) - first;
    b->v_xi = v_stride(k, b->n);
    b->m_xi = m_stride(k, b->n);
    b->v = scratch;
    b->m = scratch + k->xi * b->v_xi;
    OT_K(ot_wino_lay_out)(k, b, first);
}

static void block_task(void *ctx, int64_t index, int worker)
{
    const wino *k = ctx;
    wino_block b;
    block_of(k, index, k->scratch + worker * k->scratch_floats, &b);
    for (int64_t c = 0; c < k->cb; c++)
        OT_K(ot_wino_inputs)(k, &b, c);
    for (int64_t xi = 0; xi < k->xi; xi++)
        multiply(k, &b, xi);
    for (int64_t c = 0; c < k->kb; c++)
        OT_K(ot_wino_outputs)(k, &b, c);
}

/* Few blocks: the threads share each of its three phases. */
struct shared {
    const wino *k;
    wino_block b;
};

static void input_task(void *ctx, int64_t i, int worker)
{
    const struct shared *s = ctx;
    (void)worker;
    OT_K(ot_wino_inputs)(s->k, &s->b, i);
}

static void multiply_task(void *ctx, int64_t i, int worker)
{
    const struct shared *s = ctx;
    (void)worker;
    multiply(s->k, &s->b, i);
}

static void output_task(void *ctx, int64_t i, int worker)
{
    const struct shared *s = ctx;
    (void)worker;
    OT_K(ot_wino_outputs)(s->k, &s->b, i);
}

void OT_K(ot_block_wino_run)(const ot_block_conv *v, const float *x, const float *packed, float *y,
                             const ot_epilogue *epi, float *work, const ot_kernel_pool *pool)
{
    wino k = wino_of(v);
    int threads = pool ? pool->threads : 1;
    int64_t n = v->shape.group * k.blocks;
    k.x = x;
    k.u = packed;
    k.y = y;
    k.epi = epi;
    k.bounds = block_bounds_of(epi);
    k.scratch = work;
    if (v->shape.n * k.th * k.tw == 0)
        return;
    if (threads == 1 || n >= 2 * threads) {
        k_run(pool, n, block_task, &k);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        struct shared s = { .k = &k };
        block_of(&k, i, work, &s.b);
        k_run(pool, k.cb, input_task, &s);
        k_run(pool, k.xi, multiply_task, &s);
        k_run(pool, k.kb, output_task, &s);
    }
}

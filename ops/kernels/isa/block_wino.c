/* Winograd convolutions over blocks of channels: F(4x4, 3x3) and F(2x2, 3x3).
 *
 * Lanes are channels, so the transforms are plain vector arithmetic.  V[xi][block][tile][16] are the transformed
 * inputs, U[xi][panel][channel][panel's outputs] the filters, M[xi][block][tile][16] the products.  Strides between xi
 * are padded, so that they do not fall on the same cache sets. */
#include "block.h"
#include "winograd_points.h"

#define CACHE_FLOATS 230000 /* of V and M of a block of tiles that should stay in the second-level cache, about */

typedef struct wino {
    const ot_block_conv *v;
    int64_t out, xi; /* outputs of a tile along a side; products of a tile */
    int64_t cg, kg, cb, kb, panels, th, tw;
    const float *x, *u, *w;
    float *y, *pack;
    const ot_epilogue *epi;
    block_bounds bounds;
    float *scratch;
    int64_t tiles, blocks, scratch_floats; /* tiles of a block at most; blocks of a group */
} wino;

/* A block of tiles and where it is transformed. */
typedef struct tiles {
    int64_t group, first, n;
    int64_t v_xi, m_xi;
    float *v, *m;
} tiles;

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
    k.panels = panel_count(k.kb);
    k.th = k_ceil(s->out[0], k.out);
    k.tw = k_ceil(s->out[1], k.out);
    int64_t all = s->n * k.th * k.tw, most = CACHE_FLOATS / (k.xi * (k.cb + k.kb) * OT_BLOCK);
    most = k_min(k_max(most, 28), 112);
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

/* One block of output channels of one group. */
static void pack_task(void *ctx, int64_t i, int worker)
{
    const wino *k = ctx;
    int64_t group = i / k->kb, block = i % k->kb, first = 0, size = 1, k0 = block * OT_BLOCK;
    (void)worker;
    for (int64_t p = 0; p < k->panels; p++) {
        size = panel_at(k->kb, p, &first);
        if (block < first + size)
            break;
    }
    float *out = k->pack + (group * k->xi * k->kb + first) * OT_BLOCK * k->cg + (block - first) * OT_BLOCK;
    for (int64_t c = 0; c < k->cg; c++) {
        double g[9][OT_BLOCK] = { { 0 } }, u[36][OT_BLOCK];
        for (int64_t l = 0; l < k_min(OT_BLOCK, k->kg - k0); l++)
            for (int t = 0; t < 9; t++)
                g[t][l] = (double)k->w[((group * k->kg + k0 + l) * k->cg + c) * 9 + t];
        filters(k->out + 2, g, u);
        for (int64_t xi = 0; xi < k->xi; xi++)
            for (int l = 0; l < OT_BLOCK; l++)
                out[xi * k->kb * OT_BLOCK * k->cg + c * size * OT_BLOCK + l] = (float)u[xi][l];
    }
}

void OT_K(ot_block_wino_pack)(const ot_block_conv *v, const float *w, float *packed, const ot_kernel_pool *pool)
{
    wino k = wino_of(v);
    k.w = w;
    k.pack = packed;
    k_run(pool, v->shape.group * k.kb, pack_task, &k);
}

/* ---- Transforms -------------------------------------------------------------------------------------------------- */

static void load_tile(const wino *k, const float *x, int64_t y0, int64_t x0, vf d[36])
{
    const ot_conv_shape *s = &k->v->shape;
    int64_t side = k->out + 2;
    if (y0 >= 0 && x0 >= 0 && y0 + side <= s->in[0] && x0 + side <= s->in[1]) {
        for (int64_t i = 0; i < side; i++)
            for (int64_t j = 0; j < side; j++)
                d[i * side + j] = v_load(x + ((y0 + i) * s->in[1] + x0 + j) * OT_BLOCK);
        return;
    }
    for (int64_t i = 0; i < side; i++)
        for (int64_t j = 0; j < side; j++) {
            bool inside = y0 + i >= 0 && y0 + i < s->in[0] && x0 + j >= 0 && x0 + j < s->in[1];
            d[i * side + j] = inside ? v_load(x + ((y0 + i) * s->in[1] + x0 + j) * OT_BLOCK) : v_set(0);
        }
}

OT_INLINE void transform_in4(const vf d[36], float *out, int64_t stride)
{
    vf s[6][6];
    for (int j = 0; j < 6; j++) {
        vf c[6], t[6];
        for (int i = 0; i < 6; i++)
            c[i] = d[i * 6 + j];
        WINO4_INPUT(t, c);
        for (int i = 0; i < 6; i++)
            s[i][j] = t[i];
    }
    for (int i = 0; i < 6; i++) {
        vf t[6];
        WINO4_INPUT(t, s[i]);
        for (int j = 0; j < 6; j++)
            v_store(out + (i * 6 + j) * stride, t[j]);
    }
}

OT_INLINE void transform_in2(const vf d[36], float *out, int64_t stride)
{
    vf s[4][4];
    for (int j = 0; j < 4; j++) {
        vf c[4] = { d[j], d[4 + j], d[8 + j], d[12 + j] }, t[4];
        WINO2_INPUT(t, c);
        for (int i = 0; i < 4; i++)
            s[i][j] = t[i];
    }
    for (int i = 0; i < 4; i++) {
        vf t[4];
        WINO2_INPUT(t, s[i]);
        for (int j = 0; j < 4; j++)
            v_store(out + (i * 4 + j) * stride, t[j]);
    }
}

/* Where tile t of an image lies: image, and its first output. */
static void locate(const wino *k, const tiles *b, int64_t t, int64_t *image, int64_t at[2])
{
    int64_t tile = b->first + t, each = k->th * k->tw;
    *image = tile / each;
    at[0] = tile % each / k->tw * k->out;
    at[1] = tile % each % k->tw * k->out;
}

static void transform_inputs(const wino *k, const tiles *b, int64_t block)
{
    const ot_conv_shape *s = &k->v->shape;
    int64_t plane = s->in[0] * s->in[1] * OT_BLOCK;
    for (int64_t t = 0; t < b->n; t++) {
        int64_t image, at[2];
        locate(k, b, t, &image, at);
        const float *x = k->x + (image * s->group * k->cb + b->group * k->cb + block) * plane;
        float *out = b->v + (block * b->n + t) * OT_BLOCK;
        for (int part = 0; part < OT_BLOCK; part += OT_VL) {
            vf d[36];
            load_tile(k, x + part, at[0] - s->pad[0], at[1] - s->pad[1], d);
            if (k->out == 4)
                transform_in4(d, out + part, b->v_xi);
            else
                transform_in2(d, out + part, b->v_xi);
        }
    }
}

OT_INLINE void transform_out4(const float *m, int64_t stride, vf y[16])
{
    vf s[4][6];
    for (int j = 0; j < 6; j++) {
        vf c[6], t[6];
        for (int i = 0; i < 6; i++)
            c[i] = v_load(m + (i * 6 + j) * stride);
        WINO4_OUTPUT(t, c);
        for (int i = 0; i < 4; i++)
            s[i][j] = t[i];
    }
    for (int i = 0; i < 4; i++) {
        vf t[6];
        WINO4_OUTPUT(t, s[i]);
        for (int j = 0; j < 4; j++)
            y[i * 4 + j] = t[j];
    }
}

OT_INLINE void transform_out2(const float *m, int64_t stride, vf y[16])
{
    vf s[2][4];
    for (int j = 0; j < 4; j++) {
        vf c[4], t[2];
        for (int i = 0; i < 4; i++)
            c[i] = v_load(m + (i * 4 + j) * stride);
        WINO2_OUTPUT(t, c);
        s[0][j] = t[0];
        s[1][j] = t[1];
    }
    for (int i = 0; i < 2; i++) {
        vf t[2];
        WINO2_OUTPUT(t, s[i]);
        y[i * 2] = t[0];
        y[i * 2 + 1] = t[1];
    }
}

static void transform_outputs(const wino *k, const tiles *b, int64_t block)
{
    const ot_conv_shape *s = &k->v->shape;
    const ot_epilogue *e = k->epi;
    int64_t plane = s->out[0] * s->out[1] * OT_BLOCK, channel = (b->group * k->kb + block) * OT_BLOCK;
    for (int64_t t = 0; t < b->n; t++) {
        int64_t image, at[2];
        locate(k, b, t, &image, at);
        int64_t to = (image * s->group * k->kb + b->group * k->kb + block) * plane;
        int64_t high = k_min(k->out, s->out[0] - at[0]), wide = k_min(k->out, s->out[1] - at[1]);
        for (int part = 0; part < OT_BLOCK; part += OT_VL) {
            vf y[16], bias = e->bias ? v_load(e->bias + channel + part) : v_set(0);
            const float *m = b->m + (block * b->n + t) * OT_BLOCK + part;
            if (k->out == 4)
                transform_out4(m, b->m_xi, y);
            else
                transform_out2(m, b->m_xi, y);
            for (int64_t i = 0; i < high; i++)
                for (int64_t j = 0; j < wide; j++) {
                    int64_t place = to + ((at[0] + i) * s->out[1] + at[1] + j) * OT_BLOCK + part;
                    vf v = y[i * k->out + j] + bias;
                    if (e->residual)
                        v += v_load(e->residual + place);
                    v_store(k->y + place, block_clamp(&k->bounds, v));
                }
        }
    }
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

#define MAX_STEPS 64 /* blocks of input channels that one call takes */

static void multiply(const wino *k, const tiles *b, int64_t xi)
{
    int64_t a_off[MAX_STEPS], b_off[MAX_STEPS], whole = k->cg / OT_BLOCK, tail = k->cg % OT_BLOCK;
    for (int64_t p = 0; p < k->panels; p++) {
        int64_t first;
        int blocks = panel_at(k->kb, p, &first), most = block_rows(blocks);
        int64_t parts = k_ceil(b->n, most);
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
                int64_t t0 = k_cut(b->n, parts, i);
                int rows = (int)(k_cut(b->n, parts, i + 1) - t0);
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

static tiles tiles_of(const wino *k, int64_t index, float *scratch)
{
    const ot_conv_shape *s = &k->v->shape;
    int64_t all = s->n * k->th * k->tw;
    tiles b = { .group = index / k->blocks, .first = k_cut(all, k->blocks, index % k->blocks) };
    b.n = k_cut(all, k->blocks, index % k->blocks + 1) - b.first;
    b.v_xi = v_stride(k, b.n);
    b.m_xi = m_stride(k, b.n);
    b.v = scratch;
    b.m = scratch + k->xi * b.v_xi;
    return b;
}

static void block_task(void *ctx, int64_t index, int worker)
{
    const wino *k = ctx;
    tiles b = tiles_of(k, index, k->scratch + worker * k->scratch_floats);
    for (int64_t c = 0; c < k->cb; c++)
        transform_inputs(k, &b, c);
    for (int64_t xi = 0; xi < k->xi; xi++)
        multiply(k, &b, xi);
    for (int64_t c = 0; c < k->kb; c++)
        transform_outputs(k, &b, c);
}

/* Few blocks: the threads share each of its three phases. */
struct shared {
    const wino *k;
    tiles b;
};

static void input_task(void *ctx, int64_t i, int worker)
{
    const struct shared *s = ctx;
    (void)worker;
    transform_inputs(s->k, &s->b, i);
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
    transform_outputs(s->k, &s->b, i);
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
        struct shared s = { &k, tiles_of(&k, i, work) };
        k_run(pool, k.cb, input_task, &s);
        k_run(pool, k.xi, multiply_task, &s);
        k_run(pool, k.kb, output_task, &s);
    }
}

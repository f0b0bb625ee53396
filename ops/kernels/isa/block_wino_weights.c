/* The gradient of 3x3 filters over blocks by Winograd's adjoint, F(3x3, 4x4):
 * dw = G' (sum over tiles of (A dy A') . (B' d B)) G.  V[xi][block][tile][16] are the transformed inputs, as forward,
 * M[xi][block][tile][16] the transformed dy; their 36 products have the tiles as depth and give sums[xi][k][c], block
 * of tiles by block of tiles. */
#include "block_outer.h"
#include "block_wino.h"
#include "transpose.h"
#include "winograd_points.h"

#define TRANSFORM_FLOATS 3000000 /* of V and M of a block of tiles, about */
#define LEAST_TILES      64

typedef struct job {
    wino k;
    wino_block b;
    const float *dy;
    float *dw, *sums;
    int64_t sums_row, sums_xi; /* floats between rows of k, between xi */
    bool more;                 /* not the first block of tiles */
} job;

static job job_of(const ot_block_conv *v)
{
    const ot_conv_shape *s = &v->shape;
    wino k = { .v = v, .out = 4, .xi = 36, .cg = s->c / s->group, .kg = s->k / s->group };
    k.cb = blocks_of(k.cg);
    k.kb = blocks_of(k.kg);
    k.th = k_ceil(s->out[0], 4);
    k.tw = k_ceil(s->out[1], 4);
    k.low = s->out[0] - (k.th - 1) * 4;
    k.narrow = s->out[1] - (k.tw - 1) * 4;
    int64_t all = s->n * k.th * k.tw, most = TRANSFORM_FLOATS / (36 * (k.cb + k.kb) * OT_BLOCK);
    k.blocks = k_max(1, k_ceil(all, k_min(k_max(most, LEAST_TILES), WINO_TILES)));
    k.tiles = k_ceil(all, k.blocks);
    job j = { .k = k, .sums_row = k.cb * OT_BLOCK };
    j.sums_xi = k.kb * OT_BLOCK * j.sums_row + OT_LINE;
    j.b.v_xi = k.cb * k.tiles * OT_BLOCK + OT_LINE;
    j.b.m_xi = k.kb * k.tiles * OT_BLOCK + OT_LINE;
    return j;
}

bool OT_K(ot_block_wino_weights_takes)(const ot_block_conv *v)
{
    const ot_conv_shape *s = &v->shape;
    for (int d = 0; d < 2; d++)
        if (s->kernel[d] != 3 || s->stride[d] != 1 || s->dilation[d] != 1 || s->pad[d] < 0 || s->out[d] < 4)
            return false;
    return !v->planar && s->c / s->group >= OT_BLOCK && s->k / s->group >= OT_BLOCK;
}

size_t OT_K(ot_block_wino_weights_workspace)(const ot_block_conv *v)
{
    job j = job_of(v);
    return sizeof(float) * (size_t)(36 * (j.b.v_xi + j.b.m_xi + j.sums_xi));
}

OT_INLINE void points_of_outputs(vf t[6], const vf y[4], const bool few)
{
    if (few)
        WINO4_GRADIENT_FEW(t, y);
    else
        WINO4_GRADIENT(t, y);
}

/* high x wide outputs at dy, rows `row` apart, to m + xi * stride; few: at most two of them down (low), across
 * (narrow). */
OT_INLINE void transform_tile(const float *dy, int64_t row, int64_t high, int64_t wide, float *m, int64_t stride,
                              const bool low, const bool narrow)
{
    vf half[6][4];
    for (int x = 0; x < (narrow ? 2 : 4); x++) {
        vf y[4], t[6];
        for (int i = 0; i < (low ? 2 : 4); i++)
            y[i] = i < high && x < wide ? v_load(dy + i * row + x * OT_BLOCK) : v_set(0);
        points_of_outputs(t, y, low);
        for (int i = 0; i < 6; i++)
            if (!low || (i != 3 && i != 4))
                half[i][x] = t[i];
    }
    for (int i = 0; i < 6; i++) {
        vf t[6];
        if (low && (i == 3 || i == 4))
            continue;
        points_of_outputs(t, half[i], narrow);
        for (int x = 0; x < 6; x++)
            if (!narrow || (x != 3 && x != 4))
                v_store(m + (6 * i + x) * stride, t[x]);
    }
}

/* Transforms a block of channels of dy into b.m; outputs beyond the edge are 0. */
static void transform_dy(const job *j, int64_t block)
{
    const wino *k = &j->k;
    const ot_conv_shape *s = &k->v->shape;
    int64_t row = s->out[1] * OT_BLOCK, stride = j->b.m_xi;
    for (int64_t t = 0; t < j->b.n; t++) {
        const wino_place *p = &j->b.place[t];
        int64_t plane = p->image * s->group * k->kb + j->b.group * k->kb + block;
        const float *dy = j->dy + (plane * s->out[0] + p->y) * row + p->x * OT_BLOCK;
        float *m = j->b.m + (block * j->b.n + t) * OT_BLOCK;
        int64_t high = k_min(4, s->out[0] - p->y), wide = k_min(4, s->out[1] - p->x);
        for (int part = 0; part < OT_BLOCK; part += OT_VL)
            if (high <= 2 && wide <= 2)
                transform_tile(dy + part, row, high, wide, m + part, stride, true, true);
            else if (high <= 2)
                transform_tile(dy + part, row, high, wide, m + part, stride, true, false);
            else if (wide <= 2)
                transform_tile(dy + part, row, high, wide, m + part, stride, false, true);
            else if (high == 4 && wide == 4)
                transform_tile(dy + part, row, 4, 4, m + part, stride, false, false);
            else
                transform_tile(dy + part, row, high, wide, m + part, stride, false, false);
    }
}

static void transform_task(void *ctx, int64_t i, int worker)
{
    const job *j = ctx;
    (void)worker;
    if (i < j->k.cb)
        OT_K(ot_wino_inputs)(&j->k, &j->b, i);
    else
        transform_dy(j, i - j->k.cb);
}

static void multiply_task(void *ctx, int64_t xi, int worker)
{
    const job *j = ctx;
    const int64_t none = 0, each = j->b.n * OT_BLOCK;
    int64_t from, to;
    (void)worker;
    wino_tiles_at(&j->k, &j->b, xi, &from, &to);
    for (int64_t k = 0; k < j->k.kb; k++) {
        outer_tile t = { .a = j->b.m + xi * j->b.m_xi + k * each + from * OT_BLOCK,
                         .b = j->b.v + xi * j->b.v_xi + from * OT_BLOCK,
                         .a_off = &none,
                         .b_off = &none,
                         .steps = 1,
                         .depth = to - from,
                         .a_row = 1,
                         .a_step = OT_BLOCK,
                         .b_step = OT_BLOCK,
                         .b_block = each,
                         .c = j->sums + xi * j->sums_xi + k * OT_BLOCK * j->sums_row,
                         .c_row = j->sums_row,
                         .more = j->more };
        OT_K(ot_block_outer_panel)(OT_BLOCK, j->k.cb, &t);
    }
}

/* The taps of one row of dw. */
static void taps_task(void *ctx, int64_t row, int worker)
{
    const job *j = ctx;
    float *dw = j->dw + (j->b.group * j->k.kg + row) * j->k.cg * 9;
    (void)worker;
    for (int64_t c = 0; c < j->k.cg; c += OT_VL) {
        vf t[3][6], g[3];
        float taps[9][OT_VL];
        for (int x = 0; x < 6; x++) {
            vf u[6];
            for (int y = 0; y < 6; y++)
                u[y] = v_load(j->sums + (6 * y + x) * j->sums_xi + row * j->sums_row + c);
            WINO4_TAPS(g, u);
            for (int y = 0; y < 3; y++)
                t[y][x] = g[y];
        }
        for (int y = 0; y < 3; y++) {
            WINO4_TAPS(g, t[y]);
            for (int x = 0; x < 3; x++)
                v_store(taps[3 * y + x], g[x]);
        }
        k_transpose(9, k_min(OT_VL, j->k.cg - c), taps[0], OT_VL, dw + c * 9, 9);
    }
}

void OT_K(ot_block_wino_weights)(const ot_block_conv *v, const float *x, const float *dy, float *dw, float *work,
                                 const ot_kernel_pool *pool)
{
    job j = job_of(v);
    int64_t all = v->shape.n * j.k.th * j.k.tw;
    j.k.x = x;
    j.dy = dy;
    j.dw = dw;
    j.b.v = work;
    j.b.m = j.b.v + 36 * j.b.v_xi;
    j.sums = j.b.m + 36 * j.b.m_xi;
    for (j.b.group = 0; j.b.group < v->shape.group; j.b.group++) {
        for (int64_t i = 0; i < j.k.blocks; i++) {
            int64_t first = k_cut(all, j.k.blocks, i);
            j.b.n = k_cut(all, j.k.blocks, i + 1) - first;
            OT_K(ot_wino_lay_out)(&j.k, &j.b, first);
            j.more = i > 0;
            k_run(pool, j.k.cb + j.k.kb, transform_task, &j);
            k_run(pool, 36, multiply_task, &j);
        }
        k_run(pool, j.k.kg, taps_task, &j);
    }
}

/* The gradient of a convolution's weights over blocks of channels: dw[k][c][tap] = the sum over images and outputs of
 * dy[k][o] x[c][o * stride - pad + tap * dilation].
 *
 * x in blocks: rows are 16 outputs, columns a panel of inputs, for each tap a sum over the outputs whose tap is inside.
 * x plain, of few channels: rows are the taps along the width, columns a panel of outputs; x is copied with its
 * padding.  Depthwise: no product, lanes stay apart. */
#include "block_outer.h"
#include "transpose.h"

#include <string.h>

#define BAND_FLOATS 65536 /* of a panel of x, about: what a band of output rows reads */
#define PANEL       2     /* blocks of a panel */

typedef struct weights {
    ot_conv_shape s;
    const float *x, *dy;
    float *dw, *db;
    int64_t cg, kg, cb, kb, taps, panels;
    int64_t plane_x, plane_y, band;
    int64_t pad_in[2]; /* planar: the size of x with its padding */
    char *work;
    size_t each; /* bytes of a worker */
    float *sums; /* planar: of each image */
} weights;

static weights weights_of(const ot_block_conv *v)
{
    const ot_conv_shape *s = &v->shape;
    weights k = { .s = *s, .cg = s->c / s->group, .kg = s->k / s->group };
    k.cb = blocks_of(k.cg);
    k.kb = blocks_of(k.kg);
    k.taps = s->kernel[0] * s->kernel[1];
    k.panels = k_ceil(k.cb, PANEL);
    k.plane_x = s->in[0] * s->in[1];
    k.plane_y = s->out[0] * s->out[1];
    k.band = k_max(1, BAND_FLOATS / k_max(1, s->stride[0] * s->in[1] * PANEL * OT_BLOCK));
    for (int d = 0; d < 2; d++)
        k.pad_in[d] = (s->out[d] - 1) * s->stride[d] + (s->kernel[d] - 1) * s->dilation[d] + 1;
    return k;
}

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Outputs of dimension d whose tap t is inside of x: *lo .. *hi-1. */
static void inside(const ot_conv_shape *s, int d, int64_t t, int64_t *lo, int64_t *hi)
{
    int64_t at = t * s->dilation[d] - s->pad[d];
    *lo = at < 0 ? k_min(s->out[d], k_ceil(-at, s->stride[d])) : 0;
    *hi = at < s->in[d] ? k_min(s->out[d], k_ceil(s->in[d] - at, s->stride[d])) : 0;
    *hi = k_max(*lo, *hi);
}

/* ---- x in blocks ------------------------------------------------------------------------------------------------- */

static size_t blocked_bytes(const weights *k)
{
    return round_up(sizeof(float) * (size_t)(k->taps * OT_BLOCK * PANEL * OT_BLOCK)) +
           round_up(sizeof(int64_t) * (size_t)(2 * k->band));
}

/* A task: a block of outputs by a panel of inputs; sums[tap][output][input]. */
typedef struct panel {
    int64_t first, blocks, row; /* of inputs; floats of a row of sums */
    const float *x, *dy;        /* of the image */
    float *sums;
    int64_t *a_off, *b_off;
} panel;

/* Adds output rows from .. to-1 of an image to tap (i, j). */
static void add_rows(const weights *k, const panel *p, int64_t i, int64_t j, int64_t from, int64_t to, bool more)
{
    const ot_conv_shape *s = &k->s;
    int64_t h0, h1, w0, w1, n = 0;
    inside(s, 0, i, &h0, &h1);
    inside(s, 1, j, &w0, &w1);
    for (int64_t oh = k_max(h0, from); oh < k_min(h1, to); oh++, n++) {
        int64_t y = oh * s->stride[0] - s->pad[0] + i * s->dilation[0];
        int64_t x = w0 * s->stride[1] - s->pad[1] + j * s->dilation[1];
        p->a_off[n] = (oh * s->out[1] + w0) * OT_BLOCK;
        p->b_off[n] = (y * s->in[1] + x) * OT_BLOCK;
    }
    if (w0 == w1 && more)
        return;
    outer_tile t = { .a = p->dy,
                     .b = p->x,
                     .a_off = p->a_off,
                     .b_off = p->b_off,
                     .steps = n,
                     .depth = w1 - w0,
                     .a_row = 1,
                     .a_step = OT_BLOCK,
                     .b_step = s->stride[1] * OT_BLOCK,
                     .b_block = k->plane_x * OT_BLOCK,
                     .c = p->sums + (i * s->kernel[1] + j) * OT_BLOCK * p->row,
                     .c_row = p->row,
                     .more = more };
    OT_K(ot_block_outer_panel)(OT_BLOCK, p->blocks, &t);
}

/* sums[tap][k][c] of one block of outputs to dw. */
static void put(const weights *k, const panel *p, int64_t group, int64_t k0)
{
    int64_t c0 = p->first * OT_BLOCK, c1 = k_min(k->cg, c0 + p->blocks * OT_BLOCK);
    for (int64_t i = 0; i < k_min(OT_BLOCK, k->kg - k0); i++)
        k_transpose(k->taps, c1 - c0, p->sums + i * p->row, OT_BLOCK * p->row,
                    k->dw + ((group * k->kg + k0 + i) * k->cg + c0) * k->taps, k->taps);
}

static void blocked_task(void *ctx, int64_t index, int worker)
{
    const weights *k = ctx;
    const ot_conv_shape *s = &k->s;
    int64_t at = index % k->panels, block = index / k->panels % k->kb, group = index / k->panels / k->kb;
    char *work = k->work + (size_t)worker * k->each;
    panel p = { .first = at * PANEL, .blocks = k_min(PANEL, k->cb - at * PANEL), .sums = (float *)work };
    p.row = p.blocks * OT_BLOCK;
    p.a_off = (int64_t *)(work + round_up(sizeof(float) * (size_t)(k->taps * OT_BLOCK * PANEL * OT_BLOCK)));
    p.b_off = p.a_off + k->band;
    for (int64_t n = 0; n < s->n; n++) {
        p.x = k->x + (n * s->group * k->cb + group * k->cb + p.first) * k->plane_x * OT_BLOCK;
        p.dy = k->dy + (n * s->group * k->kb + group * k->kb + block) * k->plane_y * OT_BLOCK;
        for (int64_t oh = 0; oh < s->out[0]; oh += k->band)
            for (int64_t tap = 0; tap < k->taps; tap++)
                add_rows(k, &p, tap / s->kernel[1], tap % s->kernel[1], oh, oh + k->band, n > 0 || oh > 0);
    }
    put(k, &p, group, block * OT_BLOCK);
}

/* ---- x plain ----------------------------------------------------------------------------------------------------- */

#define PLANAR_BAND 8 /* output rows that are taken together */

static int64_t planar_sums(const weights *k) /* floats of an image: [c][tap][outputs] */
{
    return k->cg * k->taps * k->kb * OT_BLOCK;
}

static int64_t padded_floats(const weights *k)
{
    return k->cg * k->pad_in[0] * k->pad_in[1];
}

static size_t planar_bytes(const weights *k)
{
    return round_up(sizeof(float) * (size_t)padded_floats(k));
}

static void copy_padded(const weights *k, const float *x, float *to)
{
    const ot_conv_shape *s = &k->s;
    int64_t lo = k_min(k->pad_in[1], k_max(0, s->pad[1])), from = k_max(0, -s->pad[1]);
    int64_t n = k_max(0, k_min(s->in[1] - from, k->pad_in[1] - lo));
    for (int64_t c = 0; c < k->cg; c++)
        for (int64_t i = 0; i < k->pad_in[0]; i++, to += k->pad_in[1]) {
            int64_t y = i - s->pad[0];
            bool there = y >= 0 && y < s->in[0];
            memset(to, 0, sizeof(float) * (size_t)k->pad_in[1]);
            if (there)
                memcpy(to + lo, x + (c * s->in[0] + y) * s->in[1] + from, sizeof(float) * (size_t)n);
        }
}

static void planar_band(const weights *k, const float *x, const float *dy, int64_t oh, float *sums)
{
    const ot_conv_shape *s = &k->s;
    int64_t a_off[PLANAR_BAND], b_off[PLANAR_BAND], n = k_min(PLANAR_BAND, s->out[0] - oh), wide = k->kb * OT_BLOCK;
    for (int64_t b = 0; b < k->kb; b += PANEL)
        for (int64_t line = 0; line < k->cg * s->kernel[0]; line++) {
            int64_t c = line / s->kernel[0], i = line % s->kernel[0];
            for (int64_t r = 0; r < n; r++) {
                int64_t y = (oh + r) * s->stride[0] + i * s->dilation[0];
                a_off[r] = (c * k->pad_in[0] + y) * k->pad_in[1];
                b_off[r] = (b * k->plane_y + (oh + r) * s->out[1]) * OT_BLOCK;
            }
            outer_tile t = { .a = x,
                             .b = dy,
                             .a_off = a_off,
                             .b_off = b_off,
                             .steps = n,
                             .depth = s->out[1],
                             .a_row = s->dilation[1],
                             .a_step = s->stride[1],
                             .b_step = OT_BLOCK,
                             .b_block = k->plane_y * OT_BLOCK,
                             .c = sums + line * s->kernel[1] * wide + b * OT_BLOCK,
                             .c_row = wide,
                             .more = oh > 0 };
            OT_K(ot_block_outer_panel)(s->kernel[1], k_min(PANEL, k->kb - b), &t);
        }
}

static void planar_task(void *ctx, int64_t n, int worker)
{
    const weights *k = ctx;
    float *x = (float *)(k->work + (size_t)worker * k->each), *sums = k->sums + n * planar_sums(k);
    copy_padded(k, k->x + n * k->cg * k->plane_x, x);
    for (int64_t oh = 0; oh < k->s.out[0]; oh += PLANAR_BAND)
        planar_band(k, x, k->dy + n * k->kb * k->plane_y * OT_BLOCK, oh, sums);
}

static void planar_put(const weights *k)
{
    int64_t wide = k->kb * OT_BLOCK, rows = k->cg * k->taps;
    for (int64_t n = 1; n < k->s.n; n++)
        for (int64_t i = 0; i < planar_sums(k); i++)
            k->sums[i] += k->sums[n * planar_sums(k) + i];
    k_transpose(rows, k->kg, k->sums, wide, k->dw, rows);
}

/* ---- Depthwise --------------------------------------------------------------------------------------------------- */

/* One tap of a block over all images. */
static vf depthwise_tap(const weights *k, int64_t block, int64_t i, int64_t j, int part)
{
    const ot_conv_shape *s = &k->s;
    int64_t h0, h1, w0, w1, step = s->stride[1] * OT_BLOCK;
    vf sum = { 0 };
    inside(s, 0, i, &h0, &h1);
    inside(s, 1, j, &w0, &w1);
    for (int64_t n = 0; n < s->n; n++) {
        const float *x = k->x + (n * blocks_of(s->c) + block) * k->plane_x * OT_BLOCK + part;
        const float *dy = k->dy + (n * blocks_of(s->k) + block) * k->plane_y * OT_BLOCK + part;
        for (int64_t oh = h0; oh < h1; oh++) {
            int64_t y = oh * s->stride[0] - s->pad[0] + i * s->dilation[0];
            const float *a = x + (y * s->in[1] + w0 * s->stride[1] - s->pad[1] + j * s->dilation[1]) * OT_BLOCK;
            const float *b = dy + (oh * s->out[1] + w0) * OT_BLOCK;
            vf part_sum[4] = { { 0 } };
            int64_t o = w0;
            for (; o + 4 <= w1; o += 4, a += 4 * step, b += 4 * OT_BLOCK)
                for (int q = 0; q < 4; q++)
                    part_sum[q] += v_load(a + q * step) * v_load(b + q * OT_BLOCK);
            for (; o < w1; o++, a += step, b += OT_BLOCK)
                part_sum[0] += v_load(a) * v_load(b);
            sum += (part_sum[0] + part_sum[1]) + (part_sum[2] + part_sum[3]);
        }
    }
    return sum;
}

static void depthwise_task(void *ctx, int64_t block, int worker)
{
    const weights *k = ctx;
    float lane[OT_VL];
    (void)worker;
    for (int64_t tap = 0; tap < k->taps; tap++)
        for (int part = 0; part < OT_BLOCK; part += OT_VL) {
            v_store(lane, depthwise_tap(k, block, tap / k->s.kernel[1], tap % k->s.kernel[1], part));
            for (int64_t i = 0, c = block * OT_BLOCK + part; i < OT_VL && c + i < k->s.k; i++)
                k->dw[(c + i) * k->taps + tap] = lane[i];
        }
}

/* ---- The sums of dy ---------------------------------------------------------------------------------------------- */

static void bias_task(void *ctx, int64_t block, int worker)
{
    const weights *k = ctx;
    double sum[OT_BLOCK] = { 0 };
    float lane[OT_BLOCK];
    (void)worker;
    for (int64_t n = 0; n < k->s.n; n++) {
        const float *dy = k->dy + (n * blocks_of(k->s.k) + block) * k->plane_y * OT_BLOCK;
        for (int64_t p = 0; p < k->plane_y; p += 256) {
            for (int part = 0; part < OT_BLOCK; part += OT_VL) {
                vf s = { 0 };
                for (int64_t i = p; i < k_min(k->plane_y, p + 256); i++)
                    s += v_load(dy + i * OT_BLOCK + part);
                v_store(lane + part, s);
            }
            for (int l = 0; l < OT_BLOCK; l++)
                sum[l] += (double)lane[l];
        }
    }
    for (int64_t l = 0; l < OT_BLOCK && block * OT_BLOCK + l < k->s.k; l++)
        k->db[block * OT_BLOCK + l] = (float)sum[l];
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

static bool is_depthwise(const weights *k)
{
    return k->s.group > 1 && k->cg == 1 && k->kg == 1;
}

size_t OT_K(ot_block_weights_workspace)(const ot_block_conv *v, int threads)
{
    weights k = weights_of(v);
    if (is_depthwise(&k))
        return 0;
    if (OT_K(ot_block_wino_weights_takes)(v))
        return OT_K(ot_block_wino_weights_workspace)(v);
    size_t workers = (size_t)k_max(1, threads);
    if (!v->planar)
        return blocked_bytes(&k) * workers;
    return planar_bytes(&k) * workers + sizeof(float) * (size_t)(planar_sums(&k) * k.s.n);
}

void OT_K(ot_block_weights)(const ot_block_conv *v, const float *x, const float *dy, float *dw, float *db, void *work,
                            const ot_kernel_pool *pool)
{
    weights k = weights_of(v);
    k.x = x;
    k.dy = dy;
    k.dw = dw;
    k.db = db;
    k.work = work;
    if (db)
        k_run(pool, blocks_of(k.s.k), bias_task, &k);
    if (!dw)
        return;
    if (is_depthwise(&k)) {
        k_run(pool, blocks_of(k.s.k), depthwise_task, &k);
    } else if (OT_K(ot_block_wino_weights_takes)(v)) {
        OT_K(ot_block_wino_weights)(v, x, dy, dw, work, pool);
    } else if (v->planar) {
        k.each = planar_bytes(&k);
        k.sums = (float *)(k.work + k.each * (size_t)(pool ? pool->threads : 1));
        k_run(pool, k.s.n, planar_task, &k);
        planar_put(&k);
    } else {
        k.each = blocked_bytes(&k);
        k_run(pool, k.s.group * k.kb * k.panels, blocked_task, &k);
    }
}

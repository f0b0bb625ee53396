/* Convolutions over blocks of channels: weights, and the direct way. */
#include "block.h"

#include <string.h>

#define CHUNK_FLOATS 49152 /* of weights that a pass over the places keeps in the second-level cache */
#define BAND_PLACES  392   /* places of a task, about */

block_span OT_K(ot_block_span)(const ot_conv_shape *s, int d, int64_t o, int64_t end)
{
    block_span r = { .from = o };
    for (; o < end; o++) {
        int64_t at = o * s->stride[d] - s->pad[d], dil = s->dilation[d];
        int64_t tap0 = at < 0 ? k_min(s->kernel[d], k_ceil(-at, dil)) : 0;
        int64_t tap1 = at < s->in[d] ? k_min(s->kernel[d], k_ceil(s->in[d] - at, dil)) : 0;
        tap1 = k_max(tap0, tap1);
        if (o == r.from) {
            r.tap0 = tap0;
            r.tap1 = tap1;
        } else if (r.tap0 != tap0 || r.tap1 != tap1) {
            break;
        }
    }
    r.to = o;
    return r;
}

const char *OT_K(ot_block_conv_declines)(const ot_conv_shape *s, bool planar)
{
    int64_t cg = s->c / s->group, kg = s->k / s->group;
    if (s->spatial != 2)
        return "blocks are for two spatial dimensions";
    if (s->group > 1 && (planar || (!(cg == 1 && kg == 1) && (cg % OT_BLOCK || kg % OT_BLOCK))))
        return "groups that are no multiples of 16 channels";
    return NULL;
}

/* Winograd pays where there are channels enough to hide the transforms, and tiles enough to fill a tile of rows. */
ot_block_way OT_K(ot_block_conv_choose)(const ot_conv_shape *s, bool planar, bool lean)
{
    int64_t cg = s->c / s->group, kg = s->k / s->group, tiles = s->n * k_ceil(s->out[0], 4) * k_ceil(s->out[1], 4);
    if (s->group > 1 && cg == 1 && kg == 1)
        return OT_BLOCK_DEPTHWISE;
    for (int d = 0; d < 2; d++)
        if (s->kernel[d] != 3 || s->stride[d] != 1 || s->dilation[d] != 1 || s->pad[d] < 0 || s->out[d] < 4)
            return OT_BLOCK_DIRECT;
    if (planar || lean || cg < 16 || kg < 16)
        return OT_BLOCK_DIRECT;
    /* few tiles and large filters: reading the filters decides */
    return tiles >= 12 || 36 * cg * kg <= ((int64_t)1 << 20) ? OT_BLOCK_WINOGRAD4 : OT_BLOCK_WINOGRAD2;
}

static bool is_winograd(const ot_block_conv *v)
{
    return v->way == OT_BLOCK_WINOGRAD4 || v->way == OT_BLOCK_WINOGRAD2;
}

size_t OT_K(ot_block_conv_packed_size)(const ot_block_conv *v)
{
    const ot_conv_shape *s = &v->shape;
    int64_t taps = s->kernel[0] * s->kernel[1], kb = blocks_of(s->k / s->group);
    if (is_winograd(v))
        return OT_K(ot_block_wino_packed)(v);
    if (v->way == OT_BLOCK_DEPTHWISE)
        return sizeof(float) * (size_t)(blocks_of(s->k) * OT_BLOCK * taps);
    return sizeof(float) * (size_t)(s->group * kb * OT_BLOCK * (s->c / s->group) * taps);
}

/* ---- Weights: for each panel [block of input channels][tap][channel][output channels of the panel] --------------- */

typedef struct packing {
    const ot_block_conv *v;
    block_filters w;
    float *packed;
    int64_t panels;
} packing;

static void pack_task(void *ctx, int64_t i, int worker)
{
    const packing *p = ctx;
    const ot_conv_shape *s = &p->v->shape;
    int64_t cg = s->c / s->group, kg = s->k / s->group, taps = s->kernel[0] * s->kernel[1], group = i / p->panels,
            first;
    int blocks = panel_at(blocks_of(kg), i % p->panels, &first);
    int64_t wide = blocks * OT_BLOCK, k0 = first * OT_BLOCK, step = p->v->planar ? 1 : OT_BLOCK;
    float *out = p->packed + (group * blocks_of(kg) + first) * OT_BLOCK * cg * taps;
    const float *w = p->w.w + group * p->w.group + k0 * p->w.k;
    (void)worker;
    for (int64_t c0 = 0; c0 < cg; c0 += step)
        for (int64_t tap = 0; tap < taps; tap++)
            for (int64_t c = c0; c < k_min(cg, c0 + step); c++, out += wide)
                for (int64_t k = 0; k < wide; k++)
                    out[k] = k0 + k < kg ? w[k * p->w.k + c * p->w.c + block_tap(&p->w, tap)] : 0;
}

/* [block][tap][16] */
static void pack_depthwise(const ot_conv_shape *s, const block_filters *f, float *packed)
{
    int64_t taps = f->taps;
    for (int64_t b = 0; b < blocks_of(s->k); b++)
        for (int64_t tap = 0; tap < taps; tap++)
            for (int64_t k = b * OT_BLOCK; k < (b + 1) * OT_BLOCK; k++)
                *packed++ = k < s->k ? f->w[k * taps + block_tap(f, tap)] : 0;
}

void OT_K(ot_block_conv_pack)(const ot_block_conv *v, const float *w, float *packed, const ot_kernel_pool *pool)
{
    packing p = { .v = v,
                  .w = block_filters_of(v, w),
                  .packed = packed,
                  .panels = panel_count(blocks_of(v->shape.k / v->shape.group)) };
    if (is_winograd(v))
        OT_K(ot_block_wino_pack)(v, w, packed, pool);
    else if (v->way == OT_BLOCK_DEPTHWISE)
        pack_depthwise(&v->shape, &p.w, packed);
    else
        k_run(pool, v->shape.group * p.panels, pack_task, &p);
}

/* ---- Direct ------------------------------------------------------------------------------------------------------ */

typedef struct direct {
    ot_conv_shape s; /* 1x1 without stride and padding: all places are one row */
    bool planar;
    const float *x, *packed, *bias;
    float *y;
    const ot_epilogue *epi;
    block_bounds bounds;
    int64_t cg, taps, kb, panels, bands, floats; /* floats: of packed */
    int64_t step, chunk, plane_x, plane_y;       /* step: channels of a block of x; chunk: such blocks of a pass */
    int64_t *offsets;                            /* of each worker */
    int64_t n_offsets;
} direct;

/* A task's place: image, group, panel and pass over the channels. */
typedef struct pass {
    const direct *k;
    const float *x, *b;
    float *y;
    int64_t *a_off, *b_off;
    int64_t y_at, bias_at;
    int64_t block0, block1; /* blocks of input channels */
    int blocks;             /* of the panel */
    bool last;
    const float *ahead, *ahead_end; /* weights of the next pass that are still to be fetched */
} pass;

/* Steps over blocks c0 .. c1-1 and the taps of a rectangle. */
static int64_t list_steps(const pass *p, const block_span *v, const block_span *h, int64_t c0, int64_t c1)
{
    const direct *k = p->k;
    const ot_conv_shape *s = &k->s;
    int64_t n = 0, wide = p->blocks * OT_BLOCK, unit = k->planar ? 1 : OT_BLOCK;
    for (int64_t c = c0; c < c1; c++) {
        int64_t depth = k_min(k->step, k->cg - c * k->step);
        for (int64_t i = v->tap0; i < v->tap1; i++)
            for (int64_t j = h->tap0; j < h->tap1; j++, n++) {
                p->a_off[n] = (c * k->plane_x + i * s->dilation[0] * s->in[1] + j * s->dilation[1]) * unit;
                p->b_off[n] = (c * k->step * k->taps + (i * s->kernel[1] + j) * depth) * wide;
            }
    }
    return n;
}

/* Rows of places from (oh, ow) on, `across` or down, by the panel; the steps are listed. */
static void run_tile(pass *p, int64_t oh, int64_t ow, int rows, bool across, int64_t steps, int64_t depth, bool more,
                     bool last)
{
    const direct *k = p->k;
    const ot_conv_shape *s = &k->s;
    int64_t unit = k->planar ? 1 : OT_BLOCK, y0 = oh * s->stride[0] - s->pad[0], x0 = ow * s->stride[1] - s->pad[1];
    int64_t at = (oh * s->out[1] + ow) * OT_BLOCK;
    block_tile t = { .a = p->x + (y0 * s->in[1] + x0) * unit,
                     .b = p->b,
                     .a_off = p->a_off,
                     .b_off = p->b_off,
                     .steps = steps,
                     .depth = depth,
                     .a_row = (across ? s->stride[1] : s->stride[0] * s->in[1]) * unit,
                     .c = p->y + at,
                     .c_row = (across ? 1 : s->out[1]) * OT_BLOCK,
                     .c_block = k->plane_y * OT_BLOCK,
                     .start = more               ? p->y + at
                              : k->epi->residual ? k->epi->residual + p->y_at + at
                                                 : NULL,
                     .bias = !more && k->bias ? k->bias + p->bias_at : NULL,
                     .bounds = last ? k->bounds : (block_bounds){ 0 } };
    if (p->ahead < p->ahead_end) {
        t.ahead = p->ahead;
        t.lines = 1;
        p->ahead += steps * depth * OT_LINE;
    }
    OT_K(ot_block_micro)(rows, p->blocks, &t);
}

static void run_rectangle(pass *p, const block_span *v, const block_span *h, int64_t steps, int64_t depth, bool more,
                          bool last)
{
    int64_t high = v->to - v->from, wide = h->to - h->from;
    int most = block_rows(p->blocks);
    bool across = wide >= most || wide >= high;
    int64_t length = across ? wide : high, parts = k_ceil(length, most);
    for (int64_t line = 0; line < (across ? high : wide); line++)
        for (int64_t i = 0; i < parts; i++) {
            int64_t at = k_cut(length, parts, i), rows = k_cut(length, parts, i + 1) - at;
            run_tile(p, v->from + (across ? line : at), h->from + (across ? at : line), (int)rows, across, steps, depth,
                     more, last);
        }
}

/* Whole blocks of channels first, then those of a last block that is not full. */
static void convolve_rectangle(pass *p, const block_span *v, const block_span *h)
{
    const direct *k = p->k;
    int64_t whole = k_min(p->block1, k->cg / k->step), tail = k->cg - whole * k->step;
    bool has_tail = p->block1 > whole, more = p->block0 > 0;
    if (whole > p->block0 || !has_tail) {
        int64_t steps = list_steps(p, v, h, p->block0, whole);
        run_rectangle(p, v, h, steps, k->step, more, p->last && !has_tail);
        more = true;
    }
    if (has_tail) {
        int64_t steps = list_steps(p, v, h, whole, p->block1);
        run_rectangle(p, v, h, steps, tail, more, p->last);
    }
}

/* Rectangles of places that see the same taps. */
static void convolve_band(pass *p, int64_t h0, int64_t h1, int64_t w0, int64_t w1)
{
    const ot_conv_shape *s = &p->k->s;
    for (int64_t oh = h0; oh < h1;) {
        block_span v = OT_K(ot_block_span)(s, 0, oh, h1);
        for (int64_t ow = w0; ow < w1;) {
            block_span h = OT_K(ot_block_span)(s, 1, ow, w1);
            convolve_rectangle(p, &v, &h);
            ow = h.to;
        }
        oh = v.to;
    }
}

static void direct_task(void *ctx, int64_t index, int worker)
{
    const direct *k = ctx;
    const ot_conv_shape *s = &k->s;
    int64_t band = index % k->bands, panel = index / k->bands % k->panels, image = index / k->bands / k->panels, first;
    int64_t group = image % s->group, in_blocks = k_ceil(k->cg, k->step);
    image /= s->group;
    pass p = { .k = k, .a_off = k->offsets + worker * 2 * k->n_offsets };
    p.b_off = p.a_off + k->n_offsets;
    p.blocks = panel_at(k->kb, panel, &first);
    p.x = k->x + (k->planar ? image * s->c * k->plane_x
                            : (image * blocks_of(s->c) + group * in_blocks) * k->plane_x * OT_BLOCK);
    p.b = k->packed + (group * k->kb + first) * OT_BLOCK * k->cg * k->taps;
    p.y_at = (image * blocks_of(s->k) + group * k->kb + first) * k->plane_y * OT_BLOCK;
    p.y = k->y + p.y_at;
    p.bias_at = (group * k->kb + first) * OT_BLOCK;
    int64_t tall = s->out[0] > 1, length = s->out[tall ? 0 : 1];
    int64_t from = k_cut(length, k->bands, band), to = k_cut(length, k->bands, band + 1);
    for (p.block0 = 0; p.block0 < in_blocks; p.block0 = p.block1) {
        p.block1 = k_min(in_blocks, p.block0 + k->chunk);
        p.last = p.block1 == in_blocks;
        /* what follows is this panel's next blocks of channels, or the next panel: as much as this pass reads, or less
         */
        int64_t wide = p.blocks * OT_BLOCK * k->taps * k->step, at = p.b - k->packed + p.block1 * wide;
        p.ahead = k->packed + k_min(at, k->floats);
        p.ahead_end = k->packed + k_min(at + (p.block1 - p.block0) * wide, k->floats);
        convolve_band(&p, tall ? from : 0, tall ? to : 1, tall ? 0 : from, tall ? s->out[1] : to);
    }
}

/* Padded to whole blocks. */
static int64_t bias_floats(const ot_conv_shape *s)
{
    return blocks_of(s->k) * OT_BLOCK;
}

static void prepare(direct *k, const ot_block_conv *v)
{
    ot_conv_shape *s = &k->s;
    *s = v->shape;
    k->planar = v->planar;
    k->taps = s->kernel[0] * s->kernel[1];
    bool flat = k->taps == 1 && s->stride[0] == 1 && s->stride[1] == 1 && s->pad[0] == 0 && s->pad[1] == 0 &&
                s->out[0] == s->in[0] && s->out[1] == s->in[1];
    if (flat) {
        s->in[1] *= s->in[0];
        s->out[1] *= s->out[0];
        s->in[0] = s->out[0] = 1;
    }
    k->cg = s->c / s->group;
    k->kb = blocks_of(s->k / s->group);
    k->panels = panel_count(k->kb);
    k->floats = s->group * k->kb * OT_BLOCK * k->cg * k->taps;
    k->step = v->planar ? 1 : OT_BLOCK;
    k->plane_x = s->in[0] * s->in[1];
    k->plane_y = s->out[0] * s->out[1];
    k->chunk = k_max(1, CHUNK_FLOATS / (k->taps * k->step * OT_PANEL * OT_BLOCK));
    k->n_offsets = k_min(k->chunk, k_ceil(k->cg, k->step)) * k->taps;
    k->bands = k_max(1, k_min(s->out[s->out[0] > 1 ? 0 : 1], k->plane_y / BAND_PLACES));
}

size_t OT_K(ot_block_conv_workspace)(const ot_block_conv *v, int threads)
{
    direct k = { 0 };
    size_t bias = sizeof(float) * (size_t)bias_floats(&v->shape);
    if (is_winograd(v))
        return bias + OT_K(ot_block_wino_workspace)(v, threads);
    if (v->way == OT_BLOCK_DEPTHWISE)
        return bias;
    prepare(&k, v);
    return bias + sizeof(int64_t) * (size_t)(2 * k.n_offsets * threads);
}

static const ot_epilogue nothing;

void OT_K(ot_block_conv_run)(const ot_block_conv *v, const float *x, const float *packed, float *y,
                             const ot_epilogue *epi, void *work, const ot_kernel_pool *pool)
{
    const ot_conv_shape *s = &v->shape;
    float *bias = work;
    ot_epilogue e = epi ? *epi : nothing;
    if (e.bias) {
        memset(bias, 0, sizeof(float) * (size_t)bias_floats(s));
        memcpy(bias, e.bias, sizeof(float) * (size_t)s->k);
        e.bias = bias;
    }
    if (is_winograd(v)) {
        OT_K(ot_block_wino_run)(v, x, packed, y, &e, bias + bias_floats(s), pool);
        return;
    }
    if (v->way == OT_BLOCK_DEPTHWISE) {
        OT_K(ot_block_depthwise)(v, x, packed, y, &e, pool);
        return;
    }
    direct k = { .x = x, .packed = packed, .y = y, .epi = &e, .bias = e.bias, .bounds = block_bounds_of(&e) };
    prepare(&k, v);
    k.offsets = (int64_t *)(bias + bias_floats(s));
    k_run(pool, s->n * s->group * k.panels * k.bands, direct_task, &k);
}

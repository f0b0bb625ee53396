/* Kernels that keep the blocks of channels apart: depthwise convolution, pooling, and the way between the layouts. */
#include "block.h"
#include "transpose.h"

#include <math.h>
#include <string.h>

typedef enum window_kind { WINDOW_DEPTHWISE, WINDOW_MAX, WINDOW_SUM } window_kind;

typedef struct windows {
    ot_conv_shape s;
    const ot_pool_shape *pool; /* of averages */
    window_kind kind;
    const float *x, *packed, *bias;
    float *y;
    const ot_epilogue *epi;
    block_bounds bounds;
    int64_t blocks; /* of channels; images * blocks planes in all */
} windows;

/* A rectangle of places of one plane that see the same taps. */
typedef struct rectangle {
    const windows *k;
    const float *x, *w;
    float *y;
    const float *bias, *residual;
    block_span v, h;
} rectangle;

#define MOST_ROWS 8

OT_INLINE vf window_step(const window_kind kind, vf acc, const float *x, vf w)
{
    vf v = v_load(x);
    if (kind == WINDOW_DEPTHWISE)
        return acc + v * w;
    if (kind == WINDOW_SUM)
        return acc + v;
    return v_pick((vi)(v > acc) | (vi)(v != v), v, acc); /* NaN wins and stays */
}

/* Places (oh, ow) .. (oh, ow + rows - 1), lanes part .. part + OT_VL - 1. */
OT_INLINE void window_tile(const window_kind kind, const int rows, const rectangle *r, int64_t oh, int64_t ow, int part)
{
    const ot_conv_shape *s = &r->k->s;
    vf acc[MOST_ROWS];
    const int64_t row = s->stride[1] * OT_BLOCK;
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
        acc[i] = v_set(kind == WINDOW_MAX ? -INFINITY : 0);
    for (int64_t t = r->v.tap0; t < r->v.tap1; t++)
        for (int64_t u = r->h.tap0; u < r->h.tap1; u++) {
            int64_t y0 = oh * s->stride[0] - s->pad[0] + t * s->dilation[0];
            int64_t x0 = ow * s->stride[1] - s->pad[1] + u * s->dilation[1];
            const float *x = r->x + (y0 * s->in[1] + x0) * OT_BLOCK + part;
            vf w = kind == WINDOW_DEPTHWISE ? v_load(r->w + (t * s->kernel[1] + u) * OT_BLOCK + part) : v_set(0);
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++)
                acc[i] = window_step(kind, acc[i], x + i * row, w);
        }
    float *y = r->y + (oh * s->out[1] + ow) * OT_BLOCK + part;
    vf bias = r->bias ? v_load(r->bias + part) : v_set(0);
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        if (kind == WINDOW_DEPTHWISE) {
            acc[i] += bias;
            if (r->residual)
                acc[i] += v_load(r->residual + (y - r->y) + i * OT_BLOCK);
            acc[i] = block_clamp(&r->k->bounds, acc[i]);
        }
        v_store(y + i * OT_BLOCK, acc[i]);
    }
}

OT_INLINE void window_line(const window_kind kind, const rectangle *r, int64_t oh, int part)
{
    int64_t ow = r->h.from;
    for (; ow + 8 <= r->h.to; ow += 8)
        window_tile(kind, 8, r, oh, ow, part);
    for (; ow + 4 <= r->h.to; ow += 4)
        window_tile(kind, 4, r, oh, ow, part);
    for (; ow < r->h.to; ow++)
        window_tile(kind, 1, r, oh, ow, part);
}

static void run_rectangle(const rectangle *r)
{
    for (int64_t oh = r->v.from; oh < r->v.to; oh++)
        for (int part = 0; part < OT_BLOCK; part += OT_VL)
            switch (r->k->kind) {
            case WINDOW_DEPTHWISE:
                window_line(WINDOW_DEPTHWISE, r, oh, part);
                break;
            case WINDOW_MAX:
                window_line(WINDOW_MAX, r, oh, part);
                break;
            case WINDOW_SUM:
                window_line(WINDOW_SUM, r, oh, part);
                break;
            }
}

/* Taps of the window at o that lie in the input, or with its padding. */
static int64_t counted(const ot_pool_shape *p, int d, int64_t o, const block_span *span)
{
    if (!p->count_pad)
        return span->tap1 - span->tap0;
    int64_t at = o * p->stride[d] - p->pad[d];
    return k_min(p->kernel[d], k_ceil(p->in[d] + p->pad_end[d] - at, p->dilation[d]));
}

static void divide(const rectangle *r)
{
    const ot_pool_shape *p = r->k->pool;
    for (int64_t oh = r->v.from; oh < r->v.to; oh++)
        for (int64_t ow = r->h.from; ow < r->h.to; ow++) {
            float *y = r->y + (oh * p->out[1] + ow) * OT_BLOCK;
            vf n = v_set((float)(counted(p, 0, oh, &r->v) * counted(p, 1, ow, &r->h)));
            for (int part = 0; part < OT_BLOCK; part += OT_VL)
                v_store(y + part, v_load(y + part) / n);
        }
}

static void plane_task(void *ctx, int64_t i, int worker)
{
    const windows *k = ctx;
    const ot_conv_shape *s = &k->s;
    int64_t block = i % k->blocks, to = i * s->out[0] * s->out[1] * OT_BLOCK;
    rectangle r = { .k = k, .x = k->x + i * s->in[0] * s->in[1] * OT_BLOCK, .y = k->y + to };
    (void)worker;
    if (k->kind == WINDOW_DEPTHWISE) {
        r.w = k->packed + block * s->kernel[0] * s->kernel[1] * OT_BLOCK;
        r.bias = k->bias ? k->bias + block * OT_BLOCK : NULL;
        r.residual = k->epi->residual ? k->epi->residual + to : NULL;
    }
    for (int64_t oh = 0; oh < s->out[0]; oh = r.v.to) {
        r.v = OT_K(ot_block_span)(s, 0, oh, s->out[0]);
        for (int64_t ow = 0; ow < s->out[1]; ow = r.h.to) {
            r.h = OT_K(ot_block_span)(s, 1, ow, s->out[1]);
            run_rectangle(&r);
            if (k->kind == WINDOW_SUM)
                divide(&r);
        }
    }
}

void OT_K(ot_block_depthwise)(const ot_block_conv *v, const float *x, const float *packed, float *y,
                              const ot_epilogue *epi, const ot_kernel_pool *pool)
{
    windows k = { .s = v->shape,
                  .kind = WINDOW_DEPTHWISE,
                  .x = x,
                  .packed = packed,
                  .bias = epi->bias,
                  .y = y,
                  .epi = epi,
                  .bounds = block_bounds_of(epi),
                  .blocks = blocks_of(v->shape.k) };
    k_run(pool, v->shape.n * k.blocks, plane_task, &k);
}

static void run_pool(const ot_pool_shape *p, window_kind kind, const float *x, float *y, const ot_kernel_pool *pool)
{
    windows k = { .pool = p, .kind = kind, .x = x, .y = y, .blocks = 1 };
    for (int d = 0; d < 2; d++) {
        k.s.in[d] = p->in[d];
        k.s.out[d] = p->out[d];
        k.s.kernel[d] = p->kernel[d];
        k.s.stride[d] = p->stride[d];
        k.s.dilation[d] = p->dilation[d];
        k.s.pad[d] = p->pad[d];
    }
    k_run(pool, p->planes, plane_task, &k);
}

void OT_K(ot_block_max_pool)(const ot_pool_shape *s, const float *x, float *y, const ot_kernel_pool *pool)
{
    run_pool(s, WINDOW_MAX, x, y, pool);
}

void OT_K(ot_block_avg_pool)(const ot_pool_shape *s, const float *x, float *y, const ot_kernel_pool *pool)
{
    run_pool(s, WINDOW_SUM, x, y, pool);
}

/* ---- Means of planes, and the two layouts ------------------------------------------------------------------------ */

typedef struct planes {
    int64_t c, size;
    const float *x;
    float *y;
} planes;

static void mean_task(void *ctx, int64_t i, int worker)
{
    const planes *k = ctx;
    const float *x = k->x + i * k->size * OT_BLOCK;
    (void)worker;
    for (int part = 0; part < OT_BLOCK; part += OT_VL) {
        vf sum[4] = { { 0 } };
        for (int64_t p = 0; p < k->size; p++)
            sum[p & 3] += v_load(x + p * OT_BLOCK + part);
        v_store(k->y + i * OT_BLOCK + part, ((sum[0] + sum[1]) + (sum[2] + sum[3])) / v_set((float)k->size));
    }
}

void OT_K(ot_block_global_avg_pool)(int64_t blocks, int64_t size, const float *x, float *y, const ot_kernel_pool *pool)
{
    planes k = { .size = size, .x = x, .y = y };
    k_run(pool, blocks, mean_task, &k);
}

static void from_plain_task(void *ctx, int64_t i, int worker)
{
    const planes *k = ctx;
    int64_t blocks = blocks_of(k->c), image = i / blocks, c0 = i % blocks * OT_BLOCK, n = k_min(OT_BLOCK, k->c - c0);
    float *y = k->y + i * k->size * OT_BLOCK;
    (void)worker;
    k_transpose(n, k->size, k->x + (image * k->c + c0) * k->size, k->size, y, OT_BLOCK);
    for (int64_t p = 0; n < OT_BLOCK && p < k->size; p++)
        memset(y + p * OT_BLOCK + n, 0, sizeof(float) * (size_t)(OT_BLOCK - n));
}

static void to_plain_task(void *ctx, int64_t i, int worker)
{
    const planes *k = ctx;
    int64_t blocks = blocks_of(k->c), image = i / blocks, c0 = i % blocks * OT_BLOCK, n = k_min(OT_BLOCK, k->c - c0);
    (void)worker;
    k_transpose(k->size, n, k->x + i * k->size * OT_BLOCK, OT_BLOCK, k->y + (image * k->c + c0) * k->size, k->size);
}

void OT_K(ot_block_from_plain)(int64_t n, int64_t c, int64_t size, const float *x, float *y, const ot_kernel_pool *pool)
{
    planes k = { .c = c, .size = size, .x = x, .y = y };
    k_run(pool, n * blocks_of(c), from_plain_task, &k);
}

void OT_K(ot_block_to_plain)(int64_t n, int64_t c, int64_t size, const float *x, float *y, const ot_kernel_pool *pool)
{
    planes k = { .c = c, .size = size, .x = x, .y = y };
    k_run(pool, n * blocks_of(c), to_plain_task, &k);
}

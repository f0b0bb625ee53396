/* Gradients of pooling over blocks of channels. */
#include "block.h"

typedef struct planes {
    ot_conv_shape s;
    const float *x, *dy;
    float *dx;
} planes;

/* The tap of the largest of a window, by lane: the first of equal ones, the first NaN if there is one. */
OT_INLINE vi winner(const ot_conv_shape *s, const float *x, const block_span *v, const block_span *h)
{
    vf best = { 0 };
    vi at = { 0 };
    bool any = false;
    for (int64_t t = v->tap0; t < v->tap1; t++)
        for (int64_t u = h->tap0; u < h->tap1; u++) {
            vf e = v_load(x + (t * s->dilation[0] * s->in[1] + u * s->dilation[1]) * OT_BLOCK);
            vi tap = (vi){ 0 } + (int32_t)(t * s->kernel[1] + u);
            vi wins = (vi)(e > best) | ((vi)(e != e) & (vi)(best == best));
            if (!any)
                wins = ~(vi){ 0 };
            best = v_pick(wins, e, best);
            at = (wins & tap) | (~wins & at);
            any = true;
        }
    return at;
}

static void max_window(const planes *k, int64_t plane, const block_span *v, const block_span *h, int64_t oh, int64_t ow)
{
    const ot_conv_shape *s = &k->s;
    int64_t y0 = oh * s->stride[0] - s->pad[0], x0 = ow * s->stride[1] - s->pad[1];
    int64_t from = (plane * s->in[0] * s->in[1] + y0 * s->in[1] + x0) * OT_BLOCK;
    const float *dy = k->dy + ((plane * s->out[0] + oh) * s->out[1] + ow) * OT_BLOCK;
    for (int part = 0; part < OT_BLOCK; part += OT_VL) {
        vi at = winner(s, k->x + from + part, v, h);
        vf d = v_load(dy + part);
        for (int64_t t = v->tap0; t < v->tap1; t++)
            for (int64_t u = h->tap0; u < h->tap1; u++) {
                float *to = k->dx + from + part + (t * s->dilation[0] * s->in[1] + u * s->dilation[1]) * OT_BLOCK;
                vi tap = (vi){ 0 } + (int32_t)(t * s->kernel[1] + u);
                v_store(to, v_load(to) + v_pick((vi)(at == tap), d, v_set(0)));
            }
    }
}

static void max_task(void *ctx, int64_t plane, int worker)
{
    const planes *k = ctx;
    const ot_conv_shape *s = &k->s;
    int64_t size = s->in[0] * s->in[1] * OT_BLOCK;
    (void)worker;
    for (int64_t i = plane * size; i < (plane + 1) * size; i += OT_VL)
        v_store(k->dx + i, v_set(0));
    for (int64_t oh = 0; oh < s->out[0]; oh++) {
        block_span v = OT_K(ot_block_span)(s, 0, oh, oh + 1), h;
        for (int64_t ow = 0; ow < s->out[1]; ow = h.to) {
            h = OT_K(ot_block_span)(s, 1, ow, s->out[1]);
            for (int64_t o = h.from; o < h.to; o++)
                max_window(k, plane, &v, &h, oh, o);
        }
    }
}

void OT_K(ot_block_max_pool_backward)(const ot_pool_shape *p, const float *x, const float *dy, float *dx,
                                      const ot_kernel_pool *pool)
{
    planes k = { .x = x, .dy = dy, .dx = dx };
    for (int d = 0; d < 2; d++) {
        k.s.in[d] = p->in[d];
        k.s.out[d] = p->out[d];
        k.s.kernel[d] = p->kernel[d];
        k.s.stride[d] = p->stride[d];
        k.s.dilation[d] = p->dilation[d];
        k.s.pad[d] = p->pad[d];
    }
    k_run(pool, p->planes, max_task, &k);
}

struct mean {
    int64_t size;
    const float *dy;
    float *dx;
};

static void mean_task(void *ctx, int64_t i, int worker)
{
    const struct mean *k = ctx;
    (void)worker;
    for (int part = 0; part < OT_BLOCK; part += OT_VL) {
        vf d = v_load(k->dy + i * OT_BLOCK + part) / v_set((float)k->size);
        for (int64_t p = 0; p < k->size; p++)
            v_store(k->dx + (i * k->size + p) * OT_BLOCK + part, d);
    }
}

void OT_K(ot_block_global_avg_pool_backward)(int64_t blocks, int64_t size, const float *dy, float *dx,
                                             const ot_kernel_pool *pool)
{
    struct mean k = { size, dy, dx };
    k_run(pool, blocks, mean_task, &k);
}

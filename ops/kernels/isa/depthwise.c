/* Convolutions with one input channel a group, and their gradients: planes by rows. */
#include "conv.h"
#include "reach.h"

#include <string.h>

struct planes {
    const conv3 *v;
    window3 win;
    const float *x, *dy, *w;
    float *y; /* what is computed */
    const ot_epilogue *epi;
};

static window3 window_of(const conv3 *v)
{
    window3 w;
    for (int d = 0; d < 3; d++) {
        w.in[d] = v->in[d];
        w.out[d] = v->out[d];
        w.kernel[d] = v->kernel[d];
        w.stride[d] = v->stride[d];
        w.dilation[d] = v->dilation[d];
        w.pad[d] = v->pad[d];
    }
    return w;
}

static void finish_row(const ot_epilogue *e, int64_t n, int64_t at, float *y)
{
    if (e->residual)
        for (int64_t i = 0; i < n; i++)
            y[i] += e->residual[at + i];
    if (e->act == OT_ACT_RELU)
        OT_K(ot_row_relu)(n, y, y);
    else if (e->act == OT_ACT_CLIP)
        OT_K(ot_row_clip)(n, e->lo, e->hi, y, y);
}

/* A row of y is summed here, so that the residual may be y itself. */
#define CHUNK 256

static void forward_row(const struct planes *p, int64_t k, const float *x, int64_t oz, int64_t oy, int64_t at)
{
    const conv3 *v = p->v;
    const float *w = p->w + k * v->taps;
    float sum[CHUNK];
    for (int64_t o0 = 0; o0 < v->out[2]; o0 += CHUNK) {
        int64_t o1 = k_min(v->out[2], o0 + CHUNK);
        for (int64_t i = 0; i < o1 - o0; i++)
            sum[i] = p->epi->bias ? p->epi->bias[k] : 0;
        for (int64_t t = 0; t < v->taps; t++) {
            reach r = reach_of(&p->win, t, oz, oy);
            int64_t lo = k_max(r.lo, o0), hi = k_min(r.hi, o1);
            if (r.inside && lo < hi)
                gather_row(hi - lo, w[t], x + r.at + lo * v->stride[2], v->stride[2], sum + (lo - o0));
        }
        finish_row(p->epi, o1 - o0, at + o0, sum);
        memcpy(p->y + at + o0, sum, sizeof(float) * (size_t)(o1 - o0));
    }
}

static void forward_task(void *ctx, int64_t block, int worker)
{
    const struct planes *p = ctx;
    const conv3 *v = p->v;
    int64_t n = block / v->k, k = block % v->k, at = block * v->plane_y;
    const float *x = p->x + (n * v->c + k / v->kg) * v->plane_x;
    (void)worker;
    for (int64_t oz = 0; oz < v->out[0]; oz++)
        for (int64_t oy = 0; oy < v->out[1]; oy++, at += v->out[2])
            forward_row(p, k, x, oz, oy, at);
}

void OT_K(ot_depthwise_forward)(const conv3 *v, const float *x, const float *w, float *y, const ot_epilogue *epi,
                                const ot_kernel_pool *pool)
{
    struct planes p = { .v = v, .win = window_of(v), .x = x, .w = w, .y = y, .epi = epi };
    k_run(pool, v->n * v->k, forward_task, &p);
}

/* A residual may be dx itself only where it is added before: it starts the sums. */
static void data_task(void *ctx, int64_t block, int worker)
{
    const struct planes *p = ctx;
    const conv3 *v = p->v;
    const ot_epilogue *e = p->epi;
    int64_t n = block / v->c, c = block % v->c;
    float *dx = p->y + block * v->plane_x, start = e->bias ? e->bias[c] : 0;
    ot_epilogue act = { .act = e->act, .lo = e->lo, .hi = e->hi };
    (void)worker;
    for (int64_t i = 0; i < v->plane_x; i++)
        dx[i] = start + (e->residual ? e->residual[block * v->plane_x + i] : 0);
    for (int64_t k = c * v->kg; k < (c + 1) * v->kg; k++) {
        const float *dy = p->dy + (n * v->k + k) * v->plane_y, *w = p->w + k * v->taps;
        for (int64_t oz = 0; oz < v->out[0]; oz++)
            for (int64_t oy = 0; oy < v->out[1]; oy++, dy += v->out[2])
                for (int64_t t = 0; t < v->taps; t++) {
                    reach r = reach_of(&p->win, t, oz, oy);
                    if (r.inside)
                        scatter_row(r.hi - r.lo, w[t], dy + r.lo, v->stride[2], dx + r.at + r.lo * v->stride[2]);
                }
    }
    finish_row(&act, v->plane_x, 0, dx);
}

void OT_K(ot_depthwise_data)(const conv3 *v, const float *dy, const float *w, float *dx, const ot_epilogue *epi,
                             const ot_kernel_pool *pool)
{
    struct planes p = { .v = v, .win = window_of(v), .dy = dy, .w = w, .y = dx, .epi = epi };
    k_run(pool, v->n * v->c, data_task, &p);
}

static float dot_row(int64_t n, const float *dy, const float *x, int64_t stride)
{
    vf acc = { 0 };
    float sum = 0;
    int64_t i = 0;
    if (stride == 1)
        for (; i + OT_VL <= n; i += OT_VL)
            acc += v_load(dy + i) * v_load(x + i);
    for (; i < n; i++)
        sum += dy[i] * x[i * stride];
    return sum + v_sum(acc);
}

static void weights_task(void *ctx, int64_t k, int worker)
{
    const struct planes *p = ctx;
    const conv3 *v = p->v;
    (void)worker;
    for (int64_t t = 0; t < v->taps; t++) {
        double sum = 0;
        for (int64_t n = 0; n < v->n; n++) {
            const float *dy = p->dy + (n * v->k + k) * v->plane_y, *x = p->x + (n * v->c + k / v->kg) * v->plane_x;
            for (int64_t oz = 0; oz < v->out[0]; oz++)
                for (int64_t oy = 0; oy < v->out[1]; oy++, dy += v->out[2]) {
                    reach r = reach_of(&p->win, t, oz, oy);
                    if (r.inside)
                        sum += dot_row(r.hi - r.lo, dy + r.lo, x + r.at + r.lo * v->stride[2], v->stride[2]);
                }
        }
        p->y[k * v->taps + t] = (float)sum;
    }
}

void OT_K(ot_depthwise_weights)(const conv3 *v, const float *x, const float *dy, float *dw, const ot_kernel_pool *pool)
{
    struct planes p = { .v = v, .win = window_of(v), .x = x, .dy = dy, .y = dw };
    k_run(pool, v->k, weights_task, &p);
}

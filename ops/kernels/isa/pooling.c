#include "../pooling.h"
#include "reach.h"
#include "shape3.h"
#include "table.h"

#include <math.h>

#define CHUNK 256 /* outputs of a row that are found together */

struct pool {
    window3 w;
    int64_t taps, plane_x, plane_y, pad_end[3];
    bool count_pad;
    const float *x, *dy;
    float *y; /* what is computed */
    int64_t *index;
};

static struct pool pool_of(const ot_pool_shape *s)
{
    struct pool p = { .count_pad = s->count_pad };
    shape3(s->spatial, s->in, 1, p.w.in);
    shape3(s->spatial, s->out, 1, p.w.out);
    shape3(s->spatial, s->kernel, 1, p.w.kernel);
    shape3(s->spatial, s->stride, 1, p.w.stride);
    shape3(s->spatial, s->dilation, 1, p.w.dilation);
    shape3(s->spatial, s->pad, 0, p.w.pad);
    shape3(s->spatial, s->pad_end, 0, p.pad_end);
    p.taps = volume3(p.w.kernel);
    p.plane_x = volume3(p.w.in);
    p.plane_y = volume3(p.w.out);
    return p;
}

/* best[] of n outputs from o0 on of row (oz, oy); where[], if not NULL, the winners' places in the plane or -1. */
static void max_row(const struct pool *p, const float *x, int64_t oz, int64_t oy, int64_t o0, int64_t n, float *best,
                    int64_t *where)
{
    int64_t stride = p->w.stride[2];
    for (int64_t i = 0; i < n; i++)
        best[i] = -INFINITY;
    for (int64_t i = 0; where && i < n; i++)
        where[i] = -1;
    for (int64_t t = 0; t < p->taps; t++) {
        reach r = reach_of(&p->w, t, oz, oy);
        int64_t lo = k_max(r.lo, o0), hi = k_min(r.hi, o0 + n);
        if (!r.inside || lo >= hi)
            continue;
        const float *src = x + r.at + lo * stride;
        float *b = best + (lo - o0);
        if (!where) {
            for (int64_t i = 0; i < hi - lo; i++) {
                float v = src[i * stride];
                b[i] = v > b[i] || v != v ? v : b[i];
            }
            continue;
        }
        int64_t *at = where + (lo - o0);
        for (int64_t i = 0; i < hi - lo; i++) {
            float v = src[i * stride];
            bool wins = v > b[i] || at[i] < 0 || (v != v && b[i] == b[i]);
            at[i] = wins ? r.at + (lo + i) * stride : at[i];
            b[i] = wins ? v : b[i];
        }
    }
}

static void max_task(void *ctx, int64_t plane, int worker)
{
    const struct pool *p = ctx;
    const float *x = p->x + plane * p->plane_x;
    float *y = p->y + plane * p->plane_y;
    int64_t *index = p->index ? p->index + plane * p->plane_y : NULL, out = p->w.out[2];
    (void)worker;
    for (int64_t row = 0; row < p->w.out[0] * p->w.out[1]; row++)
        for (int64_t o = 0; o < out; o += CHUNK) {
            int64_t n = k_min(CHUNK, out - o);
            int64_t *where = index ? index + row * out + o : NULL;
            max_row(p, x, row / p->w.out[1], row % p->w.out[1], o, n, y + row * out + o, where);
            for (int64_t i = 0; where && i < n; i++)
                where[i] += where[i] >= 0 ? plane * p->plane_x : 0;
        }
}

void OT_K(ot_max_pool)(const ot_pool_shape *s, const float *x, float *y, int64_t *index, const ot_kernel_pool *pool)
{
    struct pool p = pool_of(s);
    p.x = x;
    p.y = y;
    p.index = index;
    k_run(pool, s->planes, max_task, &p);
}

static void max_backward_task(void *ctx, int64_t plane, int worker)
{
    const struct pool *p = ctx;
    const float *x = p->x + plane * p->plane_x, *dy = p->dy + plane * p->plane_y;
    float *dx = p->y + plane * p->plane_x, best[CHUNK];
    int64_t where[CHUNK], out = p->w.out[2];
    (void)worker;
    for (int64_t i = 0; i < p->plane_x; i++)
        dx[i] = 0;
    for (int64_t row = 0; row < p->w.out[0] * p->w.out[1]; row++)
        for (int64_t o = 0; o < out; o += CHUNK) {
            int64_t n = k_min(CHUNK, out - o);
            max_row(p, x, row / p->w.out[1], row % p->w.out[1], o, n, best, where);
            for (int64_t i = 0; i < n; i++)
                if (where[i] >= 0)
                    dx[where[i]] += dy[row * out + o + i];
        }
}

void OT_K(ot_max_pool_backward)(const ot_pool_shape *s, const float *x, const float *dy, float *dx,
                                const ot_kernel_pool *pool)
{
    struct pool p = pool_of(s);
    p.x = x;
    p.dy = dy;
    p.y = dx;
    k_run(pool, s->planes, max_backward_task, &p);
}

/* How many taps of output o in dimension d count. */
static int64_t taps_counted(const struct pool *p, int d, int64_t o)
{
    int64_t start = o * p->w.stride[d] - p->w.pad[d], dil = p->w.dilation[d], k = p->w.kernel[d];
    int64_t lo = p->count_pad ? -p->w.pad[d] : 0, hi = p->w.in[d] + (p->count_pad ? p->pad_end[d] : 0);
    if (start >= lo && start + (k - 1) * dil < hi)
        return k;
    int64_t first = start < lo ? (lo - start + dil - 1) / dil : 0;
    int64_t end = hi - start > 0 ? (hi - start + dil - 1) / dil : 0;
    return k_max(0, k_min(end, k) - first);
}

static float share(int64_t count) /* an empty window is 0, never 0/0 */
{
    return count > 0 ? 1.0f / (float)count : 0.0f;
}

static void avg_task(void *ctx, int64_t plane, int worker)
{
    const struct pool *p = ctx;
    const float *x = p->x + plane * p->plane_x;
    float *y = p->y + plane * p->plane_y;
    int64_t out = p->w.out[2];
    (void)worker;
    for (int64_t row = 0; row < p->w.out[0] * p->w.out[1]; row++, y += out) {
        int64_t oz = row / p->w.out[1], oy = row % p->w.out[1];
        int64_t count = taps_counted(p, 0, oz) * taps_counted(p, 1, oy);
        for (int64_t i = 0; i < out; i++)
            y[i] = 0;
        for (int64_t t = 0; t < p->taps; t++) {
            reach r = reach_of(&p->w, t, oz, oy);
            if (r.inside)
                gather_row(r.hi - r.lo, 1, x + r.at + r.lo * p->w.stride[2], p->w.stride[2], y + r.lo);
        }
        for (int64_t i = 0; i < out; i++)
            y[i] *= share(count * taps_counted(p, 2, i));
    }
}

void OT_K(ot_avg_pool)(const ot_pool_shape *s, const float *x, float *y, const ot_kernel_pool *pool)
{
    struct pool p = pool_of(s);
    p.x = x;
    p.y = y;
    k_run(pool, s->planes, avg_task, &p);
}

static void avg_backward_task(void *ctx, int64_t plane, int worker)
{
    const struct pool *p = ctx;
    const float *dy = p->dy + plane * p->plane_y;
    float *dx = p->y + plane * p->plane_x, g[CHUNK];
    int64_t out = p->w.out[2], stride = p->w.stride[2];
    (void)worker;
    for (int64_t i = 0; i < p->plane_x; i++)
        dx[i] = 0;
    for (int64_t row = 0; row < p->w.out[0] * p->w.out[1]; row++, dy += out) {
        int64_t oz = row / p->w.out[1], oy = row % p->w.out[1];
        int64_t count = taps_counted(p, 0, oz) * taps_counted(p, 1, oy);
        for (int64_t o = 0; o < out; o += CHUNK) {
            int64_t n = k_min(CHUNK, out - o);
            for (int64_t i = 0; i < n; i++)
                g[i] = dy[o + i] * share(count * taps_counted(p, 2, o + i));
            for (int64_t t = 0; t < p->taps; t++) {
                reach r = reach_of(&p->w, t, oz, oy);
                int64_t lo = k_max(r.lo, o), hi = k_min(r.hi, o + n);
                if (r.inside && lo < hi)
                    scatter_row(hi - lo, 1, g + (lo - o), stride, dx + r.at + lo * stride);
            }
        }
    }
}

void OT_K(ot_avg_pool_backward)(const ot_pool_shape *s, const float *dy, float *dx, const ot_kernel_pool *pool)
{
    struct pool p = pool_of(s);
    p.dy = dy;
    p.y = dx;
    k_run(pool, s->planes, avg_backward_task, &p);
}

static void global_task(void *ctx, int64_t plane, int worker)
{
    const struct pool *p = ctx;
    (void)worker;
    p->y[plane] = (float)(OT_K(ot_row_sum)(p->plane_x, p->x + plane * p->plane_x) / (double)p->plane_x);
}

void OT_K(ot_global_avg_pool)(int64_t planes, int64_t size, const float *x, float *y, const ot_kernel_pool *pool)
{
    struct pool p = { .plane_x = size, .x = x, .y = y };
    k_run(pool, planes, global_task, &p);
}

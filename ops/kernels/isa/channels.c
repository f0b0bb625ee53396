/* Work by channel over x[n][c][size]: the pieces of BatchNorm. */
#include "../rows.h"
#include "table.h"

#define BLOCK 4096 /* floats that are summed in float lanes */

struct channels {
    int64_t n, c, size;
    const float *x, *dy;
    const float *p, *q, *r;
    ot_kernel_act act;
    float *y, *z; /* what is computed */
};

static void scale_task(void *ctx, int64_t c, int worker)
{
    const struct channels *s = ctx;
    (void)worker;
    for (int64_t n = 0; n < s->n; n++) {
        int64_t at = (n * s->c + c) * s->size;
        OT_K(ot_row_scale)(s->size, s->p[c], s->q[c], s->x + at, s->y + at);
        if (s->act == OT_ACT_RELU)
            OT_K(ot_row_relu)(s->size, s->y + at, s->y + at);
    }
}

/* One value a channel: images are the blocks. */
static void scale_vector_task(void *ctx, int64_t n, int worker)
{
    const struct channels *s = ctx;
    const float *x = s->x + n * s->c;
    float *y = s->y + n * s->c;
    (void)worker;
    for (int64_t c = 0; c < s->c; c++)
        y[c] = s->p[c] * x[c] + s->q[c];
    if (s->act == OT_ACT_RELU)
        OT_K(ot_row_relu)(s->c, y, y);
}

void OT_K(ot_channel_scale)(int64_t n, int64_t c, int64_t size, const float *x, const float *scale, const float *shift,
                            ot_kernel_act act, float *y, const ot_kernel_pool *pool)
{
    struct channels s = { .n = n, .c = c, .size = size, .x = x, .p = scale, .q = shift, .act = act, .y = y };
    if (size == 1)
        k_run(pool, n, scale_vector_task, &s);
    else
        k_run(pool, c, scale_task, &s);
}

/* The sum of (x - mean)^2. */
static double square_sum(int64_t n, const float *x, float mean)
{
    double sum = 0;
    for (int64_t b = 0; b < n; b += BLOCK) {
        int64_t end = k_min(n, b + BLOCK), i = b;
        vf s = { 0 }, t = { 0 };
        float rest = 0;
        for (; i + 2 * OT_VL <= end; i += 2 * OT_VL) {
            vf u = v_load(x + i) - mean, v = v_load(x + i + OT_VL) - mean;
            s += u * u;
            t += v * v;
        }
        for (; i < end; i++)
            rest += (x[i] - mean) * (x[i] - mean);
        sum += (double)v_sum(s + t) + (double)rest;
    }
    return sum;
}

static void moments_task(void *ctx, int64_t c, int worker)
{
    const struct channels *s = ctx;
    double sum = 0, squares = 0, count = (double)(s->n * s->size);
    (void)worker;
    for (int64_t n = 0; n < s->n; n++)
        sum += OT_K(ot_row_sum)(s->size, s->x + (n * s->c + c) * s->size);
    double mean = sum / count;
    for (int64_t n = 0; n < s->n; n++)
        squares += square_sum(s->size, s->x + (n * s->c + c) * s->size, (float)mean);
    s->y[c] = (float)mean;
    s->z[c] = (float)(squares / count);
}

void OT_K(ot_channel_moments)(int64_t n, int64_t c, int64_t size, const float *x, float *mean, float *var,
                              const ot_kernel_pool *pool)
{
    struct channels s = { .n = n, .c = c, .size = size, .x = x, .y = mean, .z = var };
    k_run(pool, c, moments_task, &s);
}

/* The sum of dy * (x - mean). */
static double centred_dot(int64_t n, const float *x, const float *dy, float mean)
{
    double sum = 0;
    for (int64_t b = 0; b < n; b += BLOCK) {
        int64_t end = k_min(n, b + BLOCK), i = b;
        vf s = { 0 }, t = { 0 };
        float rest = 0;
        for (; i + 2 * OT_VL <= end; i += 2 * OT_VL) {
            s += v_load(dy + i) * (v_load(x + i) - mean);
            t += v_load(dy + i + OT_VL) * (v_load(x + i + OT_VL) - mean);
        }
        for (; i < end; i++)
            rest += dy[i] * (x[i] - mean);
        sum += (double)v_sum(s + t) + (double)rest;
    }
    return sum;
}

static void grad_sums_task(void *ctx, int64_t c, int worker)
{
    const struct channels *s = ctx;
    double sum = 0, dot = 0;
    (void)worker;
    for (int64_t n = 0; n < s->n; n++) {
        int64_t at = (n * s->c + c) * s->size;
        sum += OT_K(ot_row_sum)(s->size, s->dy + at);
        dot += centred_dot(s->size, s->x + at, s->dy + at, s->p[c]);
    }
    s->y[c] = (float)sum;
    s->z[c] = (float)dot;
}

void OT_K(ot_channel_grad_sums)(int64_t n, int64_t c, int64_t size, const float *x, const float *dy, const float *mean,
                                float *sum_dy, float *sum_dyx, const ot_kernel_pool *pool)
{
    struct channels s = { .n = n, .c = c, .size = size, .x = x, .dy = dy, .p = mean, .y = sum_dy, .z = sum_dyx };
    k_run(pool, c, grad_sums_task, &s);
}

static void grad_apply_task(void *ctx, int64_t c, int worker)
{
    const struct channels *s = ctx;
    const float p = s->p[c], q = s->q[c], r = s->r[c];
    (void)worker;
    for (int64_t n = 0; n < s->n; n++) {
        int64_t at = (n * s->c + c) * s->size;
        const float *x = s->x + at, *dy = s->dy + at;
        float *dx = s->y + at;
        for (int64_t i = 0; i < s->size; i++)
            dx[i] = p * dy[i] + (q * x[i] + r);
    }
}

void OT_K(ot_channel_grad_apply)(int64_t n, int64_t c, int64_t size, const float *x, const float *dy, const float *p,
                                 const float *q, const float *r, float *dx, const ot_kernel_pool *pool)
{
    struct channels s = { .n = n, .c = c, .size = size, .x = x, .dy = dy, .p = p, .q = q, .r = r, .y = dx };
    k_run(pool, c, grad_apply_task, &s);
}

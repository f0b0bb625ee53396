/* Batch normalisation in training, over blocks of channels: a task has all places of one block. */
#include "block.h"

#define CHUNK 128 /* places whose sums are kept in float */

/* One task's channels: spare lanes have a scale of 0. */
typedef struct lanes {
    float mean[OT_BLOCK], inverse[OT_BLOCK], scale[OT_BLOCK], factor[OT_BLOCK], shift[OT_BLOCK];
} lanes;

typedef struct norm {
    const ot_block_norm *s;
    const float *x, *dy;
    float *y, *dscale, *dbias;
    int64_t blocks;
} norm;

/* y = act(factor x + shift); forward and backward must round alike. */
static void set_scale(const ot_block_norm *s, int64_t c0, lanes *l)
{
    for (int64_t i = 0; i < OT_BLOCK; i++) {
        bool there = c0 + i < s->c;
        double scale = there ? (double)s->scale[c0 + i] * (double)l->inverse[i] : 0;
        l->scale[i] = there ? s->scale[c0 + i] : 0;
        l->factor[i] = (float)scale;
        l->shift[i] = there && s->bias ? (float)((double)s->bias[c0 + i] - (double)l->mean[i] * scale) : 0;
    }
}

OT_INLINE vf apply(vf factor, vf x, vf shift)
{
    return factor * x + shift;
}

/* Takes n places into the running mean and sum of squares about it; `before` places were taken. */
static void take(const float *x, int64_t n, double before, double mean[OT_BLOCK], double squares[OT_BLOCK])
{
    float sum[OT_BLOCK], square[OT_BLOCK];
    for (int part = 0; part < OT_BLOCK; part += OT_VL) {
        vf s[4] = { { 0 } }, q[2] = { { 0 } };
        int64_t i = 0;
        for (; i + 4 <= n; i += 4)
            for (int k = 0; k < 4; k++)
                s[k] += v_load(x + (i + k) * OT_BLOCK + part);
        for (; i < n; i++)
            s[0] += v_load(x + i * OT_BLOCK + part);
        vf m = ((s[0] + s[1]) + (s[2] + s[3])) / v_set((float)n);
        for (i = 0; i + 2 <= n; i += 2)
            for (int k = 0; k < 2; k++) {
                vf d = v_load(x + (i + k) * OT_BLOCK + part) - m;
                q[k] += d * d;
            }
        if (i < n) {
            vf d = v_load(x + i * OT_BLOCK + part) - m;
            q[0] += d * d;
        }
        v_store(sum + part, m);
        v_store(square + part, q[0] + q[1]);
    }
    double all = before + (double)n, share = (double)n / all;
    for (int l = 0; l < OT_BLOCK; l++) {
        double d = (double)sum[l] - mean[l];
        mean[l] += d * share;
        squares[l] += (double)square[l] + d * d * before * share;
    }
}

static void moments(const norm *k, int64_t block, double mean[OT_BLOCK], double var[OT_BLOCK])
{
    const ot_block_norm *s = k->s;
    double taken = 0;
    for (int l = 0; l < OT_BLOCK; l++)
        mean[l] = var[l] = 0;
    for (int64_t n = 0; n < s->n; n++) {
        const float *x = k->x + (n * k->blocks + block) * s->size * OT_BLOCK;
        for (int64_t p = 0; p < s->size; p += CHUNK) {
            int64_t count = k_min(CHUNK, s->size - p);
            take(x + p * OT_BLOCK, count, taken, mean, var);
            taken += (double)count;
        }
    }
    for (int l = 0; l < OT_BLOCK; l++)
        var[l] /= taken;
}

/* Statistics of the block's channels, to where they are wanted. */
static void measure(const norm *k, int64_t block, lanes *l)
{
    const ot_block_norm *s = k->s;
    double mean[OT_BLOCK], var[OT_BLOCK];
    moments(k, block, mean, var);
    for (int64_t i = 0, c = block * OT_BLOCK; i < OT_BLOCK; i++, c++) {
        l->mean[i] = (float)mean[i];
        l->inverse[i] = (float)(1 / sqrt(var[i] + s->epsilon));
        if (c >= s->c)
            continue;
        if (s->mean)
            s->mean[c] = l->mean[i];
        if (s->inverse)
            s->inverse[c] = l->inverse[i];
        if (s->new_mean)
            s->new_mean[c] = (float)(s->keep * (double)s->old_mean[c] + (1 - s->keep) * mean[i]);
        if (s->new_var)
            s->new_var[c] = (float)(s->keep * (double)s->old_var[c] + (1 - s->keep) * var[i]);
    }
}

static void train_task(void *ctx, int64_t block, int worker)
{
    const norm *k = ctx;
    const ot_block_norm *s = k->s;
    lanes l;
    (void)worker;
    measure(k, block, &l);
    set_scale(s, block * OT_BLOCK, &l);
    const vf low = v_set(s->relu ? 0 : -INFINITY);
    for (int64_t n = 0; n < s->n; n++) {
        int64_t at = (n * k->blocks + block) * s->size * OT_BLOCK;
        for (int part = 0; part < OT_BLOCK; part += OT_VL) {
            const vf factor = v_load(l.factor + part), shift = v_load(l.shift + part);
            for (int64_t i = at + part; i < at + part + s->size * OT_BLOCK; i += OT_BLOCK)
                v_store(k->y + i, v_at_least(low, apply(factor, v_load(k->x + i), shift)));
        }
    }
}

void OT_K(ot_block_norm_train)(const ot_block_norm *s, const float *x, float *y, const ot_kernel_pool *pool)
{
    norm k = { .s = s, .x = x, .y = y, .blocks = blocks_of(s->c) };
    k_run(pool, k.blocks, train_task, &k);
}

/* dy behind the activation: where y is 0, nothing comes through. */
OT_INLINE vf behind(bool relu, vf factor, vf x, vf shift, vf dy)
{
    return relu ? v_pick((vi)(apply(factor, x, shift) > v_set(0)), dy, v_set(0)) : dy;
}

/* The sums of dy and of dy (x - mean) over the block. */
OT_INLINE void sums_of(const bool relu, const norm *k, int64_t block, const lanes *l, double sum[OT_BLOCK],
                       double dot[OT_BLOCK])
{
    const ot_block_norm *s = k->s;
    for (int i = 0; i < OT_BLOCK; i++)
        sum[i] = dot[i] = 0;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t p = 0; p < s->size; p += CHUNK) {
            int64_t at = ((n * k->blocks + block) * s->size + p) * OT_BLOCK, count = k_min(CHUNK, s->size - p);
            float part_sum[OT_BLOCK], part_dot[OT_BLOCK];
            for (int part = 0; part < OT_BLOCK; part += OT_VL) {
                const vf mean = v_load(l->mean + part), factor = v_load(l->factor + part);
                const vf shift = v_load(l->shift + part);
                vf a[2] = { { 0 } }, b[2] = { { 0 } };
                for (int64_t i = 0; i < count; i++) {
                    vf x = v_load(k->x + at + i * OT_BLOCK + part), dy = v_load(k->dy + at + i * OT_BLOCK + part);
                    dy = behind(relu, factor, x, shift, dy);
                    a[i & 1] += dy;
                    b[i & 1] += dy * (x - mean);
                }
                v_store(part_sum + part, a[0] + a[1]);
                v_store(part_dot + part, b[0] + b[1]);
            }
            for (int i = 0; i < OT_BLOCK; i++) {
                sum[i] += (double)part_sum[i];
                dot[i] += (double)part_dot[i];
            }
        }
}

/* dx = p dy + q x + r. */
OT_INLINE void spread(const bool relu, const norm *k, int64_t block, const lanes *l, const float *by_dy,
                      const float *by_x, const float *rest)
{
    const ot_block_norm *s = k->s;
    for (int64_t n = 0; n < s->n; n++) {
        int64_t at = (n * k->blocks + block) * s->size * OT_BLOCK;
        for (int part = 0; part < OT_BLOCK; part += OT_VL) {
            const vf factor = v_load(l->factor + part), shift = v_load(l->shift + part);
            const vf p = v_load(by_dy + part), q = v_load(by_x + part), r = v_load(rest + part);
            for (int64_t i = at + part; i < at + part + s->size * OT_BLOCK; i += OT_BLOCK) {
                vf x = v_load(k->x + i), dy = behind(relu, factor, x, shift, v_load(k->dy + i));
                v_store(k->y + i, p * dy + (q * x + r));
            }
        }
    }
}

static void grad_task(void *ctx, int64_t block, int worker)
{
    const norm *k = ctx;
    const ot_block_norm *s = k->s;
    const double count = (double)(s->n * s->size);
    double sum[OT_BLOCK], dot[OT_BLOCK];
    float p[OT_BLOCK], q[OT_BLOCK], r[OT_BLOCK];
    lanes l;
    (void)worker;
    for (int64_t i = 0, c = block * OT_BLOCK; i < OT_BLOCK; i++, c++) {
        l.mean[i] = c < s->c ? s->mean[c] : 0;
        l.inverse[i] = c < s->c ? s->inverse[c] : 0;
    }
    set_scale(s, block * OT_BLOCK, &l);
    if (s->relu)
        sums_of(true, k, block, &l, sum, dot);
    else
        sums_of(false, k, block, &l, sum, dot);
    for (int64_t i = 0, c = block * OT_BLOCK; i < OT_BLOCK; i++, c++) {
        double inv = (double)l.inverse[i], by_dy = (double)l.scale[i] * inv;
        double by_x = -by_dy * inv * inv * dot[i] / count;
        bool there = c < s->c;
        p[i] = (float)by_dy;
        q[i] = there ? (float)by_x : 0;
        r[i] = there ? (float)(-by_x * (double)l.mean[i] - by_dy * sum[i] / count) : 0;
        if (there) {
            k->dscale[c] = (float)(dot[i] * inv);
            k->dbias[c] = (float)sum[i];
        }
    }
    if (s->relu)
        spread(true, k, block, &l, p, q, r);
    else
        spread(false, k, block, &l, p, q, r);
}

void OT_K(ot_block_norm_grad)(const ot_block_norm *s, const float *x, const float *dy, float *dx, float *dscale,
                              float *dbias, const ot_kernel_pool *pool)
{
    norm k = { .s = s, .x = x, .dy = dy, .y = dx, .dscale = dscale, .dbias = dbias, .blocks = blocks_of(s->c) };
    k_run(pool, k.blocks, grad_task, &k);
}

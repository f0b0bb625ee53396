/* Batch normalisation with the statistics of the batch, by ONNX's rule: over all but the channel, N elements each,
 *  m = mean of x, v = mean of (x - m)^2 (divided by N, not N - 1), i = 1 / sqrt(v + epsilon), y = scale (x - m) i + B.
 *
 *  BatchNormTrain:     (x, scale, B, mean, var) -> (y, mean * momentum + m * (1 - momentum), the same of var and v,
 *                      m, i).  Backward reads x, m and i; y may be freed.  mean and var have no gradient.
 *  BatchNormTrainGrad: (dy, x, scale, m, i) -> (dx, dscale, dB) with dB = sum of dy, dscale = sum of dy (x - m) i,
 *                      dx = scale i (dy - dB / N - (x - m) i dscale / N). */
#include "batchnorm.h"

#include <math.h>

static ot_status train_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    for (int i = 1; i < 5; i++)
        OT_TRY(ot_channel_vector(c, i, 0));
    for (int d = 0; d < c->x[0]->rank; d++)
        if (c->x[0]->dim[d] == 0)
            return ot_fail(OT_ESHAPE, "no statistics of %s", OT_DIMS(c->x[0]->rank, c->x[0]->dim));
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[0]->rank, c->x[0]->dim);
    ot_set_channels(c, 1, c->x[3]->dtype, 0);
    ot_set_channels(c, 2, c->x[4]->dtype, 0);
    ot_set_channels(c, 3, c->x[3]->dtype, 0);
    ot_set_channels(c, 4, c->x[4]->dtype, 0);
    return OT_OK;
}

static ot_status train_prepare(ot_prep *p)
{
    return ot_channel_scratch(p, 0, 4);
}

static ot_status train_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    const ot_planes s = ot_planes_of(r->x[0].rank, r->x[0].dim);
    const float *scale = r->x[1].data, *bias = r->x[2].data, *old_mean = r->x[3].data, *old_var = r->x[4].data;
    const double epsilon = ot_attr_float(r->node, "epsilon", 1e-5), keep = ot_attr_float(r->node, "momentum", 0.9);
    float *mean = r->scratch, *var = mean + s.c, *factor = var + s.c, *shift = factor + s.c;
    ot_channel_moments(s.n, s.c, s.size, r->x[0].data, mean, var, &pool);
    for (int64_t c = 0; c < s.c; c++) {
        double inv = 1 / sqrt((double)var[c] + epsilon);
        factor[c] = (float)((double)scale[c] * inv);
        shift[c] = (float)((double)bias[c] - (double)mean[c] * (double)scale[c] * inv);
        if (ot_has_y(r, 1))
            ((float *)r->y[1].data)[c] = (float)(keep * (double)old_mean[c] + (1 - keep) * (double)mean[c]);
        if (ot_has_y(r, 2))
            ((float *)r->y[2].data)[c] = (float)(keep * (double)old_var[c] + (1 - keep) * (double)var[c]);
        if (ot_has_y(r, 3))
            ((float *)r->y[3].data)[c] = mean[c];
        if (ot_has_y(r, 4))
            ((float *)r->y[4].data)[c] = (float)inv;
    }
    ot_channel_scale(s.n, s.c, s.size, r->x[0].data, factor, shift, OT_ACT_NONE, r->y[0].data, &pool);
    return OT_OK;
}

static void moments(const double *x, const ot_planes *s, int64_t c, double *mean, double *var)
{
    const double n = (double)(s->n * s->size);
    double sum = 0, squares = 0;
    for (int64_t p = 0; p < s->n; p++)
        for (int64_t i = 0; i < s->size; i++)
            sum += x[(p * s->c + c) * s->size + i];
    *mean = sum / n;
    for (int64_t p = 0; p < s->n; p++)
        for (int64_t i = 0; i < s->size; i++) {
            double d = x[(p * s->c + c) * s->size + i] - *mean;
            squares += d * d;
        }
    *var = squares / n;
}

static void put(const ot_run *r, int i, int64_t c, double v)
{
    if (ot_has_y(r, i))
        ((double *)r->y[i].data)[c] = v;
}

static ot_status train_reference(const ot_run *r)
{
    const ot_planes s = ot_planes_of(r->x[0].rank, r->x[0].dim);
    const double *x = r->x[0].data, *scale = r->x[1].data, *bias = r->x[2].data;
    const double *old_mean = r->x[3].data, *old_var = r->x[4].data;
    const double epsilon = ot_attr_float(r->node, "epsilon", 1e-5), keep = ot_attr_float(r->node, "momentum", 0.9);
    double *y = r->y[0].data;
    for (int64_t c = 0; c < s.c; c++) {
        double mean, var;
        moments(x, &s, c, &mean, &var);
        double inv = 1 / sqrt(var + epsilon);
        put(r, 1, c, keep * old_mean[c] + (1 - keep) * mean);
        put(r, 2, c, keep * old_var[c] + (1 - keep) * var);
        put(r, 3, c, mean);
        put(r, 4, c, inv);
        for (int64_t p = 0; p < s.n; p++)
            for (int64_t i = 0; i < s.size; i++) {
                int64_t at = (p * s.c + c) * s.size + i;
                y[at] = scale[c] * (x[at] - mean) * inv + bias[c];
            }
    }
    return OT_OK;
}

static void train_differentiate(ot_build *b)
{
    const ot_val dy = ot_dy(b, 0), mean = ot_y(b, 3), inverse = ot_y(b, 4);
    ot_val d[3] = { OT_NONE, OT_NONE, OT_NONE };
    if (dy == OT_NONE)
        return;
    if (mean == OT_NONE || inverse == OT_NONE)
        ot_build_fail(b, ot_fail(OT_ENOGRAD, "outputs 3 and 4 are needed"));
    else if (ot_wants(b, 0))
        ot_emit_outputs(b, "BatchNormTrainGrad", NULL, 5, (const ot_val[]){ dy, ot_x(b, 0), ot_x(b, 1), mean, inverse },
                        3, d);
    else
        ot_emit_outputs(b, "BatchNormAffineGrad", OT_ATTRS(OT_INT("inverse", 1)), 4,
                        (const ot_val[]){ dy, ot_x(b, 0), mean, inverse }, 2, d + 1);
    for (int i = 0; i < 3; i++)
        ot_give(b, i, d[i]);
}

/* ---- BatchNormTrainGrad ---------------------------------------------------------------------------------------- */

static ot_status train_grad_infer(ot_infer *c)
{
    ot_dim d;
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, c->x[0]->rank, c->x[0]->rank));
    OT_TRY(ot_needs_float(c, 0));
    for (int i = 0; i < c->x[0]->rank; i++)
        OT_TRY(ot_dims_agree(&d, c->x[0]->dim[i], c->x[1]->dim[i], "dy and x"));
    for (int i = 2; i < 5; i++)
        OT_TRY(ot_channel_vector(c, i, 1));
    ot_set_shape(&c->y[0], c->x[1]->dtype, c->x[1]->rank, c->x[1]->dim);
    ot_set_channels(c, 1, c->x[2]->dtype, 1);
    ot_set_channels(c, 2, c->x[2]->dtype, 1);
    return OT_OK;
}

static ot_status train_grad_prepare(ot_prep *p)
{
    return ot_channel_scratch(p, 1, 3);
}

static ot_status train_grad_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    const ot_planes s = ot_planes_of(r->x[1].rank, r->x[1].dim);
    const float *scale = r->x[2].data, *mean = r->x[3].data, *inverse = r->x[4].data;
    const double count = (double)(s.n * s.size);
    float *p = r->scratch, *q = p + s.c, *t = q + s.c;
    float *dscale = r->y[1].data, *db = r->y[2].data;
    ot_channel_grad_sums(s.n, s.c, s.size, r->x[1].data, r->x[0].data, mean, db, dscale, &pool);
    for (int64_t c = 0; c < s.c; c++) {
        double inv = (double)inverse[c], by_dy = (double)scale[c] * inv;
        double by_x = -by_dy * inv * inv * (double)dscale[c] / count;
        p[c] = (float)by_dy;
        q[c] = (float)by_x;
        t[c] = (float)(-by_x * (double)mean[c] - by_dy * (double)db[c] / count);
        dscale[c] = (float)((double)dscale[c] * inv);
    }
    ot_channel_grad_apply(s.n, s.c, s.size, r->x[1].data, r->x[0].data, p, q, t, r->y[0].data, &pool);
    return OT_OK;
}

static ot_status train_grad_reference(const ot_run *r)
{
    const ot_planes s = ot_planes_of(r->x[1].rank, r->x[1].dim);
    const double *dy = r->x[0].data, *x = r->x[1].data, *scale = r->x[2].data;
    const double *mean = r->x[3].data, *inverse = r->x[4].data, count = (double)(s.n * s.size);
    double *dx = r->y[0].data, *dscale = r->y[1].data, *db = r->y[2].data;
    for (int64_t c = 0; c < s.c; c++)
        dscale[c] = db[c] = 0;
    for (int64_t i = 0; i < s.n * s.c * s.size; i++) {
        int64_t c = i / s.size % s.c;
        dscale[c] += dy[i] * (x[i] - mean[c]) * inverse[c];
        db[c] += dy[i];
    }
    for (int64_t i = 0; i < s.n * s.c * s.size; i++) {
        int64_t c = i / s.size % s.c;
        double unit = (x[i] - mean[c]) * inverse[c];
        dx[i] = scale[c] * inverse[c] * (dy[i] - db[c] / count - unit * dscale[c] / count);
    }
    return OT_OK;
}

static const ot_kernel train_kernels[] = {
    { .name = "channels", .declines = ot_float32_only, .prepare = train_prepare, .run = train_fast },
    { .name = "reference", .run = train_reference, .in_double = true },
    { 0 },
};

static const ot_kernel train_grad_kernels[] = {
    { .name = "channels", .declines = ot_float32_only, .prepare = train_grad_prepare, .run = train_grad_fast },
    { .name = "reference", .run = train_grad_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_BatchNormTrain = { .domain = OT_INTERNAL,
                                     .name = "BatchNormTrain",
                                     .since = 1,
                                     .until = 1,
                                     .min_in = 5,
                                     .max_in = 5,
                                     .min_out = 1,
                                     .max_out = 5,
                                     .infer = train_infer,
                                     .grad = train_differentiate,
                                     .cpu = train_kernels,
                                     .in_place = 1 };

const ot_op ot_op_BatchNormTrainGrad = { .domain = OT_INTERNAL,
                                         .name = "BatchNormTrainGrad",
                                         .since = 1,
                                         .until = 1,
                                         .min_in = 5,
                                         .max_in = 5,
                                         .min_out = 3,
                                         .max_out = 3,
                                         .infer = train_grad_infer,
                                         .cpu = train_grad_kernels,
                                         .in_place = 1 };

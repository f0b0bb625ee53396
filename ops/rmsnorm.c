/* RMSNormalization: with q the mean of the squares over the dims from `axis` on and i = 1 / sqrt(q + epsilon):
 * y = x i * scale.  Backward reads x and scale and finds i again.
 *
 * RmsNorm: the same where scale may be absent.
 * RmsNormGrad: (dy, x, scale; axis, epsilon) -> dx = i (g - x i^2 * mean of g x) with g = dy * scale,
 *              dscale = sum of dy x i over the dims before `axis`; scale and dscale may be absent. */
#include "norm_rows.h"
#include "kernels/rows.h"

#include <math.h>
#include <string.h>

static ot_status rule(const ot_infer *c, int at_x)
{
    int axis;
    OT_TRY(ot_rank_between(c, at_x, 1, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, at_x));
    const ot_fact *x = c->x[at_x], *scale = at_x + 1 < c->n_in ? c->x[at_x + 1] : NULL;
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", -1), x->rank));
    if (!scale)
        return OT_OK;
    OT_TRY(ot_rank_between(c, at_x + 1, 0, OT_MAX_RANK));
    if (!ot_norm_fits(x, scale, axis, false))
        return ot_fail(OT_ESHAPE, "scale is %s, wanted are the dims of %s from axis %d on",
                       OT_DIMS(scale->rank, scale->dim), OT_DIMS(x->rank, x->dim), axis);
    if (scale->dtype != x->dtype)
        return ot_fail(OT_ESHAPE, "scale is %s", ot_dtype_name(scale->dtype));
    return OT_OK;
}

static ot_status rms_infer(ot_infer *c)
{
    OT_TRY(rule(c, 0));
    return ot_same_shape(c);
}

/* A scale of another type, or one that is broadcast otherwise, is multiplied afterwards. */
static void rms_normalise(ot_build *b)
{
    const ot_fact *x = ot_fact_of(b, ot_x(b, 0)), *scale = ot_fact_of(b, ot_x(b, 1));
    int axis;
    if (x->rank < 1 || scale->rank < 0 || ot_axis(&axis, ot_attr_int(ot_the_node(b), "axis", -1), x->rank) != OT_OK)
        return;
    if (scale->dtype == x->dtype && ot_norm_fits(x, scale, axis, true))
        return;
    if (scale->rank > x->rank) {
        ot_build_fail(b, ot_fail(OT_ESHAPE, "scale has rank %d, x has %d", scale->rank, x->rank));
        return;
    }
    ot_val u = OT_EMIT_WITH(b, "RmsNorm", ot_the_node(b)->attr, ot_x(b, 0));
    if (scale->dtype != x->dtype)
        u = OT_EMIT(b, "CastLike", u, ot_x(b, 1));
    ot_becomes(b, 0, OT_EMIT(b, "Mul", u, ot_x(b, 1)));
}

static void forward_rows(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[0].rank, r->x[0].dim);
    const double epsilon = ot_attr_float(r->node, "epsilon", 1e-5);
    for (int64_t i = from; i < to; i++) {
        const float *x = (const float *)r->x[0].data + i * s.n;
        float *y = (float *)r->y[0].data + i * s.n;
        ot_row_scale(s.n, (float)(1 / sqrt(ot_row_dot(s.n, x, x) / (double)s.n + epsilon)), 0, x, y);
        if (ot_has_x(r, 1))
            ot_row_mul(s.n, y, r->x[1].data, y);
    }
}

static ot_status rms_fast(const ot_run *r)
{
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[0].rank, r->x[0].dim);
    ot_for_ranges(r, s.rows, OT_GRAIN / (s.n + 1) + 1, forward_rows, (void *)r);
    return OT_OK;
}

static double inverse_of(const double *x, int64_t n, double epsilon)
{
    double squares = 0;
    for (int64_t k = 0; k < n; k++)
        squares += x[k] * x[k];
    return 1 / sqrt(squares / (double)n + epsilon);
}

static ot_status rms_reference(const ot_run *r)
{
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[0].rank, r->x[0].dim);
    const double *scale = ot_has_x(r, 1) ? r->x[1].data : NULL;
    for (int64_t i = 0; i < s.rows; i++) {
        const double *x = (const double *)r->x[0].data + i * s.n;
        const double inverse = inverse_of(x, s.n, ot_attr_float(r->node, "epsilon", 1e-5));
        for (int64_t k = 0; k < s.n; k++)
            ((double *)r->y[0].data)[i * s.n + k] = x[k] * inverse * (scale ? scale[k] : 1);
    }
    return OT_OK;
}

static void rms_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const ot_attr *attr =
        OT_ATTRS(OT_INT("axis", ot_attr_int(n, "axis", -1)), OT_REAL("epsilon", ot_attr_float(n, "epsilon", 1e-5)));
    const bool scaled = ot_x(b, 1) != OT_NONE;
    ot_val d[2] = { 0 };
    ot_emit_outputs(b, "RmsNormGrad", attr, scaled ? 3 : 2, (const ot_val[]){ ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1) },
                    scaled ? 2 : 1, d);
    ot_give(b, 0, d[0]);
    if (scaled && ot_wants(b, 1))
        ot_give(b, 1, OT_EMIT(b, "ReshapeLike", d[1], ot_x(b, 1)));
}

/* ---- RmsNormGrad ----------------------------------------------------------------------------------------------- */

#define PARTS 16 /* sums over rows are cut into at most so many */

static ot_status grad_infer(ot_infer *c)
{
    int axis;
    ot_dim d;
    OT_TRY(rule(c, 1));
    const ot_fact *x = c->x[1];
    OT_TRY(ot_rank_between(c, 0, x->rank, x->rank));
    for (int k = 0; k < x->rank; k++)
        OT_TRY(ot_dims_agree(&d, c->x[0]->dim[k], x->dim[k], "dy and x"));
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", -1), x->rank));
    ot_set_shape(&c->y[0], x->dtype, x->rank, x->dim);
    if (c->n_out > 1)
        ot_set_shape(&c->y[1], x->dtype, x->rank - axis, x->dim + axis);
    return OT_OK;
}

/* Scratch: for each part a row of g and the sums of dscale. */
static ot_status grad_prepare(ot_prep *p)
{
    const ot_norm_rows s = ot_norm_rows_of(p->node, p->x[1]->rank, p->x[1]->dim);
    if (!ot_mul(&p->scratch, (size_t)s.n, PARTS * 2 * sizeof(float)))
        return ot_fail(OT_ENOMEM, "rows of %lld", (long long)s.n);
    return OT_OK;
}

static void grad_parts(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[1].rank, r->x[1].dim);
    const int64_t each = (s.rows + PARTS - 1) / PARTS;
    const double epsilon = ot_attr_float(r->node, "epsilon", 1e-5);
    for (int64_t part = from; part < to; part++) {
        float *g = (float *)r->scratch + part * 2 * s.n, *dscale = g + s.n;
        memset(dscale, 0, (size_t)s.n * sizeof(float));
        for (int64_t i = part * each; i < s.rows && i < (part + 1) * each; i++) {
            const float *dy = (const float *)r->x[0].data + i * s.n, *x = (const float *)r->x[1].data + i * s.n;
            float *dx = (float *)r->y[0].data + i * s.n;
            const double inverse = 1 / sqrt(ot_row_dot(s.n, x, x) / (double)s.n + epsilon);
            if (ot_has_y(r, 1)) {
                ot_row_mul(s.n, dy, x, g);
                ot_row_axpy(s.n, (float)inverse, g, dscale);
            }
            if (ot_has_x(r, 2))
                ot_row_mul(s.n, dy, r->x[2].data, g);
            else
                memcpy(g, dy, (size_t)s.n * sizeof(float));
            const double mean_gx = ot_row_dot(s.n, g, x) / (double)s.n;
            ot_row_scale(s.n, (float)inverse, 0, g, dx);
            ot_row_axpy(s.n, (float)(-inverse * inverse * inverse * mean_gx), x, dx);
        }
    }
}

static ot_status grad_fast(const ot_run *r)
{
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[1].rank, r->x[1].dim);
    ot_for_ranges(r, PARTS, 1, grad_parts, (void *)r);
    if (!ot_has_y(r, 1))
        return OT_OK;
    float *sum = r->y[1].data;
    memset(sum, 0, ot_tensor_bytes(&r->y[1]));
    for (int part = 0; part < PARTS && s.n > 0; part++)
        ot_row_add(s.n, sum, (const float *)r->scratch + (part * 2 + 1) * s.n, sum);
    return OT_OK;
}

static ot_status grad_reference(const ot_run *r)
{
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[1].rank, r->x[1].dim);
    const double *scale = ot_has_x(r, 2) ? r->x[2].data : NULL;
    double *dscale = ot_has_y(r, 1) ? r->y[1].data : NULL;
    for (int64_t k = 0; k < s.n && dscale; k++)
        dscale[k] = 0;
    for (int64_t i = 0; i < s.rows; i++) {
        const double *dy = (const double *)r->x[0].data + i * s.n, *x = (const double *)r->x[1].data + i * s.n;
        double *dx = (double *)r->y[0].data + i * s.n, mean_gx = 0;
        const double inverse = inverse_of(x, s.n, ot_attr_float(r->node, "epsilon", 1e-5));
        for (int64_t k = 0; k < s.n; k++)
            mean_gx += dy[k] * (scale ? scale[k] : 1) * x[k] / (double)s.n;
        for (int64_t k = 0; k < s.n; k++) {
            dx[k] = inverse * (dy[k] * (scale ? scale[k] : 1) - x[k] * inverse * inverse * mean_gx);
            if (dscale)
                dscale[k] += dy[k] * x[k] * inverse;
        }
    }
    return OT_OK;
}

static const ot_kernel rms_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .run = rms_fast },
    { .name = "reference", .run = rms_reference, .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .prepare = grad_prepare, .run = grad_fast },
    { .name = "reference", .run = grad_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_RMSNormalization = { .domain = "",
                                       .name = "RMSNormalization",
                                       .since = 23,
                                       .until = OT_LATEST,
                                       .min_in = 2,
                                       .max_in = 2,
                                       .min_out = 1,
                                       .max_out = 1,
                                       .normalise = rms_normalise,
                                       .infer = rms_infer,
                                       .grad = rms_differentiate,
                                       .cpu = rms_kernels };

const ot_op ot_op_RmsNorm = { .domain = OT_INTERNAL,
                              .name = "RmsNorm",
                              .since = 1,
                              .until = 1,
                              .min_in = 1,
                              .max_in = 2,
                              .min_out = 1,
                              .max_out = 1,
                              .infer = rms_infer,
                              .grad = rms_differentiate,
                              .cpu = rms_kernels };

const ot_op ot_op_RmsNormGrad = { .domain = OT_INTERNAL,
                                  .name = "RmsNormGrad",
                                  .since = 1,
                                  .until = 1,
                                  .min_in = 2,
                                  .max_in = 3,
                                  .min_out = 1,
                                  .max_out = 2,
                                  .infer = grad_infer,
                                  .cpu = grad_kernels };

/* LayerNormalization: with m and v the mean and (biased) variance over the dims from `axis` on, i = 1 / sqrt(v +
 * epsilon) and u = (x - m) i:  y = u * scale + B; further outputs m and i, with 1 for each of those dims.  scale and B
 * have the dims from `axis` on; where they are broadcast otherwise, they are applied afterwards.  Backward reads x and
 * scale and finds m and i again.
 *
 * LayerNorm: the same where scale may be absent.
 *
 * LayerNormGrad: (dy, x, scale, dm, di; axis, epsilon) -> dx = i (g - mean of g - u * mean of g u) + (dm - di i^2 u) /
 * n with g = dy * scale, dscale = sum of dy u, dB = sum of dy over the dims before `axis`; without a scale, dx alone;
 * dm and di (of the further outputs) may be absent. */
#include "loss.h"
#include "norm_rows.h"
#include "kernels/rows.h"

#include <math.h>
#include <string.h>

static ot_status check_affine(const ot_infer *c, int i, const ot_fact *x, int axis)
{
    OT_TRY(ot_rank_between(c, i, 0, OT_MAX_RANK));
    const ot_fact *s = c->x[i];
    if (!ot_norm_fits(x, s, axis, false))
        return ot_fail(OT_ESHAPE, "scale or B is %s, wanted are the dims of %s from axis %d on",
                       OT_DIMS(s->rank, s->dim), OT_DIMS(x->rank, x->dim), axis);
    return s->dtype == x->dtype ? OT_OK : ot_fail(OT_ESHAPE, "input %d is %s", i, ot_dtype_name(s->dtype));
}

/* scale or B that is broadcast within the dims from `axis` on, or over those before. */
static void layernorm_normalise(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const ot_fact *x = ot_fact_of(b, ot_x(b, 0));
    ot_val out[3] = { 0 };
    int axis;
    bool all_fit = true;
    if (x->rank < 1 || ot_axis(&axis, ot_attr_int(n, "axis", -1), x->rank) != OT_OK)
        return;
    for (int i = 1; i < n->n_in; i++) {
        if (ot_x(b, i) == OT_NONE)
            continue;
        const ot_fact *s = ot_fact_of(b, ot_x(b, i));
        if (s->rank < 0)
            return;
        if (s->rank > x->rank) {
            ot_build_fail(b, ot_fail(OT_ESHAPE, "scale or B has rank %d, x has %d", s->rank, x->rank));
            return;
        }
        all_fit &= ot_norm_fits(x, s, axis, true);
    }
    if (all_fit)
        return;
    ot_emit_outputs(b, "LayerNorm", n->attr, 1, (const ot_val[]){ ot_x(b, 0) }, n->n_out < 3 ? n->n_out : 3, out);
    if (ot_x(b, 1) != OT_NONE)
        out[0] = OT_EMIT(b, "Mul", out[0], ot_x(b, 1));
    if (ot_x(b, 2) != OT_NONE)
        out[0] = OT_EMIT(b, "Add", out[0], ot_x(b, 2));
    for (int i = 0; i < n->n_out && i < 3; i++)
        ot_becomes(b, i, out[i]);
}

static ot_status layernorm_infer(ot_infer *c)
{
    int axis;
    ot_dim dim[OT_MAX_RANK];
    const ot_fact *x = c->x[0];
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", -1), x->rank));
    for (int i = 1; i < c->n_in; i++)
        if (c->x[i])
            OT_TRY(check_affine(c, i, x, axis));
    ot_set_shape(&c->y[0], x->dtype, x->rank, x->dim);
    for (int d = 0; d < x->rank; d++)
        dim[d] = d < axis ? x->dim[d] : 1;
    for (int i = 1; i < c->n_out; i++)
        ot_set_shape(&c->y[i], x->dtype == OT_DOUBLE ? OT_DOUBLE : OT_FLOAT, x->rank, dim);
    return OT_OK;
}

/* y becomes x - m; returns i. */
static float centre(int64_t n, double epsilon, const float *x, float *y, float *mean)
{
    *mean = (float)(ot_row_sum(n, x) / (double)n);
    ot_row_scale(n, 1, -*mean, x, y);
    return (float)(1 / sqrt(ot_row_dot(n, y, y) / (double)n + epsilon));
}

static void forward_rows(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[0].rank, r->x[0].dim);
    const double epsilon = ot_attr_float(r->node, "epsilon", 1e-5);
    for (int64_t i = from; i < to; i++) {
        float *y = (float *)r->y[0].data + i * s.n, mean;
        float inverse = centre(s.n, epsilon, (const float *)r->x[0].data + i * s.n, y, &mean);
        ot_row_scale(s.n, inverse, 0, y, y);
        if (ot_has_x(r, 1))
            ot_row_mul(s.n, y, r->x[1].data, y);
        if (ot_has_x(r, 2))
            ot_row_add(s.n, y, r->x[2].data, y);
        if (ot_has_y(r, 1))
            ((float *)r->y[1].data)[i] = mean;
        if (ot_has_y(r, 2))
            ((float *)r->y[2].data)[i] = inverse;
    }
}

static ot_status layernorm_fast(const ot_run *r)
{
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[0].rank, r->x[0].dim);
    ot_for_ranges(r, s.rows, OT_GRAIN / (s.n + 1) + 1, forward_rows, (void *)r);
    return OT_OK;
}

/* Mean and 1 / deviation of a row. */
static void moments(const double *x, int64_t n, double epsilon, double *mean, double *inverse)
{
    double sum = 0, squares = 0;
    for (int64_t k = 0; k < n; k++)
        sum += x[k];
    *mean = sum / (double)n;
    for (int64_t k = 0; k < n; k++)
        squares += (x[k] - *mean) * (x[k] - *mean);
    *inverse = 1 / sqrt(squares / (double)n + epsilon);
}

static ot_status layernorm_reference(const ot_run *r)
{
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[0].rank, r->x[0].dim);
    const double *scale = ot_has_x(r, 1) ? r->x[1].data : NULL, *bias = ot_has_x(r, 2) ? r->x[2].data : NULL;
    for (int64_t i = 0; i < s.rows; i++) {
        const double *x = (const double *)r->x[0].data + i * s.n;
        double *y = (double *)r->y[0].data + i * s.n, mean, inverse;
        moments(x, s.n, ot_attr_float(r->node, "epsilon", 1e-5), &mean, &inverse);
        for (int64_t k = 0; k < s.n; k++)
            y[k] = (x[k] - mean) * inverse * (scale ? scale[k] : 1) + (bias ? bias[k] : 0);
        if (ot_has_y(r, 1))
            ot_put_real(&r->y[1], i, mean);
        if (ot_has_y(r, 2))
            ot_put_real(&r->y[2], i, inverse);
    }
    return OT_OK;
}

static void layernorm_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const ot_attr *attr =
        OT_ATTRS(OT_INT("axis", ot_attr_int(n, "axis", -1)), OT_REAL("epsilon", ot_attr_float(n, "epsilon", 1e-5)));
    const int n_out = ot_x(b, 1) == OT_NONE ? 1 : 3;
    const ot_val dy = ot_dy(b, 0) == OT_NONE ? OT_EMIT(b, "ZerosLike", ot_x(b, 0)) : ot_dy(b, 0);
    ot_val d[3] = { 0 };
    ot_emit_outputs(b, "LayerNormGrad", attr, 5,
                    (const ot_val[]){ dy, ot_x(b, 0), ot_x(b, 1), ot_dy(b, 1), ot_dy(b, 2) }, n_out, d);
    for (int i = 0; i < n_out; i++)
        if (ot_x(b, i) != OT_NONE)
            ot_give(b, i, i == 0 ? d[i] : OT_EMIT(b, "ReshapeLike", d[i], ot_x(b, i)));
}

/* ---- LayerNormGrad --------------------------------------------------------------------------------------------- */

#define PARTS 16 /* sums over rows are cut into at most so many */

static ot_status grad_infer(ot_infer *c)
{
    int axis;
    ot_dim d;
    const ot_fact *x = c->x[1];
    OT_TRY(ot_rank_between(c, 1, 1, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 1));
    OT_TRY(ot_rank_between(c, 0, x->rank, x->rank));
    for (int k = 0; k < x->rank; k++)
        OT_TRY(ot_dims_agree(&d, c->x[0]->dim[k], x->dim[k], "dy and x"));
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", -1), x->rank));
    if (c->n_in > 2 && c->x[2])
        OT_TRY(check_affine(c, 2, x, axis));
    for (int i = 3; i < c->n_in; i++)
        if (c->x[i])
            OT_TRY(ot_rank_between(c, i, x->rank, x->rank));
    for (int i = 3; i < c->n_in; i++)
        for (int k = 0; c->x[i] && k < x->rank; k++)
            OT_TRY(ot_dims_agree(&d, c->x[i]->dim[k], k < axis ? x->dim[k] : 1, "the gradients of mean and x"));
    ot_set_shape(&c->y[0], x->dtype, x->rank, x->dim);
    for (int i = 1; i < c->n_out; i++)
        ot_set_shape(&c->y[i], x->dtype, x->rank - axis, x->dim + axis);
    return OT_OK;
}

/* Scratch: for each part a row of g and of u, and the sums of dscale and dB. */
static ot_status grad_prepare(ot_prep *p)
{
    const ot_norm_rows s = ot_norm_rows_of(p->node, p->x[1]->rank, p->x[1]->dim);
    if (!ot_mul(&p->scratch, (size_t)s.n, PARTS * 4 * sizeof(float)))
        return ot_fail(OT_ENOMEM, "rows of %lld", (long long)s.n);
    return OT_OK;
}

static void grad_row(const ot_run *r, const ot_norm_rows *s, int64_t i, float *g, float *u, float *dscale, float *db)
{
    const float *dy = (const float *)r->x[0].data + i * s->n, *x = (const float *)r->x[1].data + i * s->n;
    float *dx = (float *)r->y[0].data + i * s->n, mean;
    const float inverse = centre(s->n, ot_attr_float(r->node, "epsilon", 1e-5), x, u, &mean);
    ot_row_scale(s->n, inverse, 0, u, u);
    ot_row_mul(s->n, dy, u, g);
    ot_row_add(s->n, dscale, g, dscale);
    ot_row_add(s->n, db, dy, db);
    if (ot_has_x(r, 2))
        ot_row_mul(s->n, dy, r->x[2].data, g);
    else
        memcpy(g, dy, (size_t)s->n * sizeof(float));
    const double mean_g = ot_row_sum(s->n, g) / (double)s->n, mean_gu = ot_row_dot(s->n, g, u) / (double)s->n;
    ot_row_axpy(s->n, -(float)mean_gu, u, g);
    const double dm = ot_has_x(r, 3) ? ot_real(&r->x[3], i) : 0, di = ot_has_x(r, 4) ? ot_real(&r->x[4], i) : 0;
    ot_row_scale(s->n, inverse, -inverse * (float)mean_g + (float)(dm / (double)s->n), g, dx);
    if (di != 0)
        ot_row_axpy(s->n, (float)(-di / (double)s->n) * inverse * inverse, u, dx);
}

static void grad_parts(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[1].rank, r->x[1].dim);
    const int64_t each = (s.rows + PARTS - 1) / PARTS;
    for (int64_t part = from; part < to; part++) {
        float *g = (float *)r->scratch + part * 4 * s.n, *u = g + s.n, *dscale = u + s.n, *db = dscale + s.n;
        memset(dscale, 0, (size_t)s.n * 2 * sizeof(float));
        for (int64_t i = part * each; i < s.rows && i < (part + 1) * each; i++)
            grad_row(r, &s, i, g, u, dscale, db);
    }
}

static ot_status grad_fast(const ot_run *r)
{
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[1].rank, r->x[1].dim);
    ot_for_ranges(r, PARTS, 1, grad_parts, (void *)r);
    for (int k = 1; k < 3 && ot_has_y(r, k); k++) {
        float *sum = r->y[k].data;
        memset(sum, 0, ot_tensor_bytes(&r->y[k]));
        for (int part = 0; part < PARTS && s.n > 0; part++)
            ot_row_add(s.n, sum, (const float *)r->scratch + (part * 4 + k + 1) * s.n, sum);
    }
    return OT_OK;
}

static ot_status grad_reference(const ot_run *r)
{
    const ot_norm_rows s = ot_norm_rows_of(r->node, r->x[1].rank, r->x[1].dim);
    const double *scale = ot_has_x(r, 2) ? r->x[2].data : NULL;
    double *sum[2] = { ot_has_y(r, 1) ? r->y[1].data : NULL, ot_has_y(r, 2) ? r->y[2].data : NULL };
    for (int k = 0; k < 2; k++)
        if (sum[k] && s.n > 0)
            memset(sum[k], 0, (size_t)s.n * sizeof(double));
    for (int64_t i = 0; i < s.rows; i++) {
        const double *dy = (const double *)r->x[0].data + i * s.n, *x = (const double *)r->x[1].data + i * s.n;
        double *dx = (double *)r->y[0].data + i * s.n, mean, inverse, mean_g = 0, mean_gu = 0;
        moments(x, s.n, ot_attr_float(r->node, "epsilon", 1e-5), &mean, &inverse);
        for (int64_t k = 0; k < s.n; k++) {
            const double u = (x[k] - mean) * inverse, g = dy[k] * (scale ? scale[k] : 1);
            if (sum[0])
                sum[0][k] += dy[k] * u;
            if (sum[1])
                sum[1][k] += dy[k];
            mean_g += g / (double)s.n;
            mean_gu += g * u / (double)s.n;
        }
        const double dm = ot_has_x(r, 3) ? ot_real(&r->x[3], i) : 0, di = ot_has_x(r, 4) ? ot_real(&r->x[4], i) : 0;
        for (int64_t k = 0; k < s.n; k++) {
            const double u = (x[k] - mean) * inverse;
            dx[k] = inverse * (dy[k] * (scale ? scale[k] : 1) - mean_g - u * mean_gu) +
                    (dm - di * inverse * inverse * u) / (double)s.n;
        }
    }
    return OT_OK;
}

static const ot_kernel layernorm_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .run = layernorm_fast },
    { .name = "reference", .run = layernorm_reference, .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .prepare = grad_prepare, .run = grad_fast },
    { .name = "reference", .run = grad_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_LayerNormalization = { .domain = "",
                                         .name = "LayerNormalization",
                                         .since = 17,
                                         .until = OT_LATEST,
                                         .min_in = 2,
                                         .max_in = 3,
                                         .min_out = 1,
                                         .max_out = 3,
                                         .normalise = layernorm_normalise,
                                         .infer = layernorm_infer,
                                         .grad = layernorm_differentiate,
                                         .cpu = layernorm_kernels };

const ot_op ot_op_LayerNorm = { .domain = OT_INTERNAL,
                                .name = "LayerNorm",
                                .since = 1,
                                .until = 1,
                                .min_in = 1,
                                .max_in = 3,
                                .min_out = 1,
                                .max_out = 3,
                                .infer = layernorm_infer,
                                .grad = layernorm_differentiate,
                                .cpu = layernorm_kernels };

const ot_op ot_op_LayerNormGrad = { .domain = OT_INTERNAL,
                                    .name = "LayerNormGrad",
                                    .since = 1,
                                    .until = 1,
                                    .min_in = 2,
                                    .max_in = 5,
                                    .min_out = 1,
                                    .max_out = 3,
                                    .infer = grad_infer,
                                    .cpu = grad_kernels };

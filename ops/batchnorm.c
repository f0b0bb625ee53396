/* BatchNormalization with given statistics: y = scale * (x - mean) / sqrt(var + epsilon) + B for each channel.
 * The forms that take statistics of the batch become BatchNormTrain.  Backward reads x for the gradient of scale, and
 * no more than the vectors for that of x; mean and var have none.
 *
 *  BatchNormInferGrad:  (dy, scale, var) -> dx = dy * scale / sqrt(var + epsilon).
 *  BatchNormAffineGrad: (dy, x, mean, var) -> dscale = sum of dy * (x - mean) / sqrt(var + epsilon), dB = sum of dy;
 *                       with inverse = 1, var holds 1 / sqrt(var + epsilon). */
#include "batchnorm.h"

#include <math.h>

ot_status ot_channel_vector(const ot_infer *c, int i, int x)
{
    ot_dim d, channels = c->x[x]->rank > 1 ? c->x[x]->dim[1] : 1;
    OT_TRY(ot_rank_between(c, i, 1, 1));
    OT_TRY(ot_needs_float(c, i));
    if (ot_dims_agree(&d, c->x[i]->dim[0], channels, "") != OT_OK)
        return ot_fail(OT_ESHAPE, "input %d has %lld elements for %lld channels", i, (long long)c->x[i]->dim[0],
                       (long long)channels);
    return OT_OK;
}

void ot_set_channels(ot_infer *c, int i, ot_dtype dtype, int x)
{
    if (i < c->n_out)
        ot_set_shape(&c->y[i], dtype, 1, (const ot_dim[]){ c->x[x]->rank > 1 ? c->x[x]->dim[1] : 1 });
}

ot_status ot_channel_scratch(ot_prep *p, int x, int vectors)
{
    ot_planes s = ot_planes_of(p->x[x]->rank, p->x[x]->dim);
    size_t bytes;
    if (!ot_mul(&bytes, (size_t)s.c, (size_t)vectors * sizeof(float)))
        return ot_fail(OT_ENOMEM, "%lld channels", (long long)s.c);
    p->scratch = bytes;
    return OT_OK;
}

/* ---- Old forms ------------------------------------------------------------------------------------------------- */

/* Outputs of opset 1 to 9 in training: Y, running mean and variance, saved mean and variance. */
static void become_training(ot_build *b, double epsilon)
{
    const ot_node *n = ot_the_node(b);
    ot_val y[5];
    const ot_attr *attr = OT_ATTRS(OT_REAL("epsilon", epsilon), OT_REAL("momentum", ot_attr_float(n, "momentum", 0.9)));
    ot_emit_outputs(b, "BatchNormTrain", attr, 5,
                    (const ot_val[]){ ot_x(b, 0), ot_x(b, 1), ot_x(b, 2), ot_x(b, 3), ot_x(b, 4) }, 5, y);
    for (int i = 0; i < 4 && i < n->n_out; i++)
        ot_becomes(b, i, y[i]);
    if (n->n_out == 5) {
        ot_dtype t = ot_fact_of(b, y[4])->dtype;
        ot_val square = OT_EMIT(b, "Reciprocal", OT_EMIT(b, "Mul", y[4], y[4]));
        ot_becomes(b, 4, OT_EMIT(b, "Sub", square, ot_const_scalar(b, t, epsilon)));
    }
}

/* spatial = 0: statistics for each element of a picture, [C, D1, ...]. */
static void become_elementwise(ot_build *b, double epsilon)
{
    ot_val x = ot_x(b, 0), e = ot_const_scalar(b, ot_fact_of(b, x)->dtype, epsilon);
    ot_val deviation = OT_EMIT(b, "Sqrt", OT_EMIT(b, "Add", ot_x(b, 4), e));
    ot_val unit = OT_EMIT(b, "Div", OT_EMIT(b, "Sub", x, ot_x(b, 3)), deviation);
    ot_becomes(b, 0, OT_EMIT(b, "Add", OT_EMIT(b, "Mul", unit, ot_x(b, 1)), ot_x(b, 2)));
}

static void batchnorm_normalise(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const double epsilon = ot_attr_float(n, "epsilon", 1e-5);
    const bool training = n->opset >= 14 ? ot_attr_int(n, "training_mode", 0) != 0 : n->n_out > 1;
    const bool per_element = n->opset < 9 && ot_attr_int(n, "spatial", 1) == 0;
    if (n->opset >= 14 && n->n_out > (training ? 3 : 1))
        ot_build_fail(b, ot_fail(OT_EMODEL, "%d outputs with training_mode %d", n->n_out, training));
    else if (n->opset < 7 && training && ot_attr_int(n, "is_test", 0) != 0)
        ot_build_fail(b, ot_fail(OT_EMODEL, "%d outputs, and is_test says that there is one", n->n_out));
    else if (training && per_element)
        ot_build_fail(b, ot_fail(OT_EUNSUPPORTED, "training with spatial = 0"));
    else if (training)
        become_training(b, epsilon);
    else if (per_element && ot_fact_of(b, ot_x(b, 1))->rank > 1)
        become_elementwise(b, epsilon);
}

/* ---- Forward --------------------------------------------------------------------------------------------------- */

static ot_status batchnorm_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    for (int i = 1; i < 5; i++)
        OT_TRY(ot_channel_vector(c, i, 0));
    if (c->n_out > 1 || ot_attr_int(c->node, "training_mode", 0) != 0)
        return ot_fail(OT_EUNSUPPORTED, "the training form is BatchNormTrain");
    return ot_same_shape(c);
}

static ot_status batchnorm_prepare(ot_prep *p)
{
    return ot_channel_scratch(p, 0, 2);
}

static ot_status batchnorm_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    const ot_planes s = ot_planes_of(r->x[0].rank, r->x[0].dim);
    const float *scale = r->x[1].data, *bias = r->x[2].data, *mean = r->x[3].data, *var = r->x[4].data;
    const double epsilon = ot_attr_float(r->node, "epsilon", 1e-5);
    float *factor = r->scratch, *shift = factor + s.c;
    for (int64_t c = 0; c < s.c; c++) {
        double f = (double)scale[c] / sqrt((double)var[c] + epsilon);
        factor[c] = (float)f;
        shift[c] = (float)((double)bias[c] - (double)mean[c] * f);
    }
    ot_channel_scale(s.n, s.c, s.size, r->x[0].data, factor, shift, OT_ACT_NONE, r->y[0].data, &pool);
    return OT_OK;
}

static ot_status batchnorm_reference(const ot_run *r)
{
    const ot_planes s = ot_planes_of(r->x[0].rank, r->x[0].dim);
    const double *x = r->x[0].data, *scale = r->x[1].data, *bias = r->x[2].data;
    const double *mean = r->x[3].data, *var = r->x[4].data, epsilon = ot_attr_float(r->node, "epsilon", 1e-5);
    double *y = r->y[0].data;
    for (int64_t i = 0; i < s.n * s.c * s.size; i++) {
        int64_t c = i / s.size % s.c;
        y[i] = scale[c] * (x[i] - mean[c]) / sqrt(var[c] + epsilon) + bias[c];
    }
    return OT_OK;
}

static void batchnorm_differentiate(ot_build *b)
{
    const ot_attr *attr = OT_ATTRS(OT_REAL("epsilon", ot_attr_float(ot_the_node(b), "epsilon", 1e-5)));
    ot_val affine[2];
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "BatchNormInferGrad", attr, ot_dy(b, 0), ot_x(b, 1), ot_x(b, 4)));
    if (ot_wants(b, 1) || ot_wants(b, 2)) {
        ot_emit_outputs(b, "BatchNormAffineGrad", attr, 4,
                        (const ot_val[]){ ot_dy(b, 0), ot_x(b, 0), ot_x(b, 3), ot_x(b, 4) }, 2, affine);
        ot_give(b, 1, affine[0]);
        ot_give(b, 2, affine[1]);
    }
}

/* ---- BatchNormInferGrad ---------------------------------------------------------------------------------------- */

static ot_status infer_grad_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    for (int i = 1; i < 3; i++)
        OT_TRY(ot_channel_vector(c, i, 0));
    return ot_same_shape(c);
}

static ot_status infer_grad_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    const ot_planes s = ot_planes_of(r->x[0].rank, r->x[0].dim);
    const float *scale = r->x[1].data, *var = r->x[2].data;
    const double epsilon = ot_attr_float(r->node, "epsilon", 1e-5);
    float *factor = r->scratch, *zero = factor + s.c;
    for (int64_t c = 0; c < s.c; c++) {
        factor[c] = (float)((double)scale[c] / sqrt((double)var[c] + epsilon));
        zero[c] = 0;
    }
    ot_channel_scale(s.n, s.c, s.size, r->x[0].data, factor, zero, OT_ACT_NONE, r->y[0].data, &pool);
    return OT_OK;
}

static ot_status infer_grad_reference(const ot_run *r)
{
    const ot_planes s = ot_planes_of(r->x[0].rank, r->x[0].dim);
    const double *dy = r->x[0].data, *scale = r->x[1].data, *var = r->x[2].data;
    const double epsilon = ot_attr_float(r->node, "epsilon", 1e-5);
    double *dx = r->y[0].data;
    for (int64_t i = 0; i < s.n * s.c * s.size; i++) {
        int64_t c = i / s.size % s.c;
        dx[i] = dy[i] * scale[c] / sqrt(var[c] + epsilon);
    }
    return OT_OK;
}

static void infer_grad_differentiate(ot_build *b)
{
    const ot_attr *attr = ot_the_node(b)->attr;
    if (ot_wants(b, 1))
        ot_build_fail(b, ot_fail(OT_ENOGRAD, "only for dy"));
    if (ot_wants(b, 0)) /* linear in dy, and its own adjoint */
        ot_give(b, 0, OT_EMIT_WITH(b, "BatchNormInferGrad", attr, ot_dy(b, 0), ot_x(b, 1), ot_x(b, 2)));
}

/* ---- BatchNormAffineGrad --------------------------------------------------------------------------------------- */

static ot_status affine_grad_infer(ot_infer *c)
{
    ot_dim d;
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, c->x[0]->rank, c->x[0]->rank));
    OT_TRY(ot_needs_float(c, 0));
    for (int i = 0; i < c->x[0]->rank; i++)
        OT_TRY(ot_dims_agree(&d, c->x[0]->dim[i], c->x[1]->dim[i], "dy and x"));
    for (int i = 2; i < 4; i++)
        OT_TRY(ot_channel_vector(c, i, 0));
    ot_set_channels(c, 0, c->x[0]->dtype, 0);
    ot_set_channels(c, 1, c->x[0]->dtype, 0);
    return OT_OK;
}

static double inverse_of(const ot_run *r, double var)
{
    if (ot_attr_int(r->node, "inverse", 0))
        return var;
    return 1 / sqrt(var + ot_attr_float(r->node, "epsilon", 1e-5));
}

static ot_status affine_grad_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    const ot_planes s = ot_planes_of(r->x[0].rank, r->x[0].dim);
    const float *var = r->x[3].data;
    float *dscale = r->y[0].data;
    ot_channel_grad_sums(s.n, s.c, s.size, r->x[1].data, r->x[0].data, r->x[2].data, r->y[1].data, dscale, &pool);
    for (int64_t c = 0; c < s.c; c++)
        dscale[c] = (float)((double)dscale[c] * inverse_of(r, (double)var[c]));
    return OT_OK;
}

static ot_status affine_grad_reference(const ot_run *r)
{
    const ot_planes s = ot_planes_of(r->x[0].rank, r->x[0].dim);
    const double *dy = r->x[0].data, *x = r->x[1].data, *mean = r->x[2].data, *var = r->x[3].data;
    double *dscale = r->y[0].data, *db = r->y[1].data;
    for (int64_t c = 0; c < s.c; c++)
        dscale[c] = db[c] = 0;
    for (int64_t i = 0; i < s.n * s.c * s.size; i++) {
        int64_t c = i / s.size % s.c;
        dscale[c] += dy[i] * (x[i] - mean[c]) * inverse_of(r, var[c]);
        db[c] += dy[i];
    }
    return OT_OK;
}

static const ot_kernel batchnorm_kernels[] = {
    { .name = "channels", .declines = ot_float32_only, .prepare = batchnorm_prepare, .run = batchnorm_fast },
    { .name = "reference", .run = batchnorm_reference, .in_double = true },
    { 0 },
};

static const ot_kernel infer_grad_kernels[] = {
    { .name = "channels", .declines = ot_float32_only, .prepare = batchnorm_prepare, .run = infer_grad_fast },
    { .name = "reference", .run = infer_grad_reference, .in_double = true },
    { 0 },
};

static const ot_kernel affine_grad_kernels[] = {
    { .name = "channels", .declines = ot_float32_only, .run = affine_grad_fast },
    { .name = "reference", .run = affine_grad_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_BatchNormalization = { .domain = "",
                                         .name = "BatchNormalization",
                                         .since = 1,
                                         .until = OT_LATEST,
                                         .min_in = 5,
                                         .max_in = 5,
                                         .min_out = 1,
                                         .max_out = 5,
                                         .normalise = batchnorm_normalise,
                                         .infer = batchnorm_infer,
                                         .grad = batchnorm_differentiate,
                                         .cpu = batchnorm_kernels,
                                         .in_place = 1 };

const ot_op ot_op_BatchNormInferGrad = { .domain = OT_INTERNAL,
                                         .name = "BatchNormInferGrad",
                                         .since = 1,
                                         .until = 1,
                                         .min_in = 3,
                                         .max_in = 3,
                                         .min_out = 1,
                                         .max_out = 1,
                                         .infer = infer_grad_infer,
                                         .grad = infer_grad_differentiate,
                                         .cpu = infer_grad_kernels,
                                         .in_place = 1 };

const ot_op ot_op_BatchNormAffineGrad = { .domain = OT_INTERNAL,
                                          .name = "BatchNormAffineGrad",
                                          .since = 1,
                                          .until = 1,
                                          .min_in = 4,
                                          .max_in = 4,
                                          .min_out = 2,
                                          .max_out = 2,
                                          .infer = affine_grad_infer,
                                          .cpu = affine_grad_kernels };

/* BatchNormTrain and BatchNormTrainGrad over blocks of channels, with an activation where the attribute says relu:
 *  BlockNormTrain:     (x, scale, B, mean, var) -> (y, mean', var', m, i); C is the length of scale.
 *  BlockNormTrainGrad: (dy, x, scale, m, i, B or absent) -> (dx, dscale, dB); B is read for what the activation let
 *                      through, and needed where there is one.
 * m and i are floats, and y is made from them, so that the gradient finds the same sign again. */
#include "block.h"

#include <math.h>
#include <string.h>

static bool has_relu(const ot_node *n)
{
    return strcmp(ot_attr_text(n, "activation", "none"), "relu") == 0;
}

/* Inputs from .. to-1 are vectors of one length, that of as many channels as input x has blocks for. */
static ot_status vectors(const ot_infer *c, int x, int from, int to)
{
    ot_dim n = 0;
    for (int i = from; i < to; i++) {
        OT_TRY(ot_rank_between(c, i, 1, 1));
        OT_TRY(ot_needs_float(c, i));
        if (i == from)
            n = c->x[i]->dim[0];
        OT_TRY(ot_dims_agree(&n, n, c->x[i]->dim[0], "vectors of channels"));
    }
    ot_dim blocks = c->x[x]->dim[1];
    if (!ot_is_symbol(n) && !ot_is_symbol(blocks) && blocks != n / OT_BLOCK + (n % OT_BLOCK > 0))
        return ot_fail(OT_ESHAPE, "%lld channels in %lld blocks", (long long)n, (long long)blocks);
    return OT_OK;
}

static ot_status picture(const ot_infer *c, int i)
{
    ot_fact plain;
    OT_TRY(ot_rank_between(c, i, 5, 5));
    OT_TRY(ot_needs_float(c, i));
    OT_TRY(ot_unblocked_fact(c, i, &plain));
    for (int d = 0; d < 4; d++)
        if (plain.dim[d] == 0)
            return ot_fail(OT_ESHAPE, "no statistics of %s", OT_DIMS(5, c->x[i]->dim));
    return OT_OK;
}

static ot_status train_infer(ot_infer *c)
{
    OT_TRY(picture(c, 0));
    OT_TRY(vectors(c, 0, 1, 5));
    ot_set_shape(&c->y[0], c->x[0]->dtype, 5, c->x[0]->dim);
    for (int i = 1; i < c->n_out; i++)
        ot_set_shape(&c->y[i], c->x[0]->dtype, 1, c->x[1]->dim);
    return OT_OK;
}

static ot_block_norm norm_of(const ot_run *r, const ot_tensor *x, const ot_tensor *scale)
{
    return (ot_block_norm){ .n = x->dim[0],
                            .c = scale->dim[0],
                            .size = x->dim[2] * x->dim[3],
                            .scale = scale->data,
                            .epsilon = ot_attr_float(r->node, "epsilon", 1e-5),
                            .keep = ot_attr_float(r->node, "momentum", 0.9),
                            .relu = has_relu(r->node) };
}

static float *output(const ot_run *r, int i)
{
    return ot_has_y(r, i) ? r->y[i].data : NULL;
}

static ot_status train_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_block_norm s = norm_of(r, &r->x[0], &r->x[1]);
    s.bias = r->x[2].data;
    s.old_mean = r->x[3].data;
    s.old_var = r->x[4].data;
    s.new_mean = output(r, 1);
    s.new_var = output(r, 2);
    s.mean = output(r, 3);
    s.inverse = output(r, 4);
    ot_block_norm_train(&s, r->x[0].data, r->y[0].data, &pool);
    return OT_OK;
}

/* The mean, and the sum over all places of (x - about)^power, of a channel. */
static double moment(const ot_run *r, int64_t c, double about, int power)
{
    const ot_tensor *x = &r->x[0];
    int64_t size = x->dim[2] * x->dim[3];
    double sum = 0;
    for (int64_t n = 0; n < x->dim[0]; n++)
        for (int64_t i = 0; i < size; i++) {
            double d = ((const double *)x->data)[ot_block_at(x->dim[1], size, n, c, i)] - about;
            sum += power == 2 ? d * d : d;
        }
    return sum / (double)(x->dim[0] * size);
}

static void put(const ot_run *r, int i, int64_t c, double v)
{
    if (ot_has_y(r, i))
        ((double *)r->y[i].data)[c] = v;
}

static ot_status train_reference(const ot_run *r)
{
    const ot_block_norm s = norm_of(r, &r->x[0], &r->x[1]);
    const double *scale = r->x[1].data, *bias = r->x[2].data, *mean = r->x[3].data, *var = r->x[4].data;
    const double *x = r->x[0].data;
    double *y = r->y[0].data;
    memset(y, 0, ot_tensor_bytes(&r->y[0]));
    for (int64_t c = 0; c < s.c; c++) {
        double m = moment(r, c, 0, 1), v = moment(r, c, m, 2), inv = 1 / sqrt(v + s.epsilon);
        put(r, 1, c, s.keep * mean[c] + (1 - s.keep) * m);
        put(r, 2, c, s.keep * var[c] + (1 - s.keep) * v);
        put(r, 3, c, m);
        put(r, 4, c, inv);
        for (int64_t i = 0; i < s.n * s.size; i++) {
            int64_t at = ot_block_at(r->x[0].dim[1], s.size, i / s.size, c, i % s.size);
            double e = scale[c] * inv * x[at] + (bias[c] - m * scale[c] * inv);
            y[at] = s.relu && e < 0 ? 0 : e;
        }
    }
    return OT_OK;
}

/* ---- BlockNormTrainGrad ------------------------------------------------------------------------------------------ */

static ot_status grad_infer(ot_infer *c)
{
    ot_dim d;
    OT_TRY(picture(c, 0));
    OT_TRY(picture(c, 1));
    for (int i = 0; i < 5; i++)
        OT_TRY(ot_dims_agree(&d, c->x[0]->dim[i], c->x[1]->dim[i], "dy and x"));
    OT_TRY(vectors(c, 1, 2, c->n_in));
    if (has_relu(c->node) && c->n_in < 6)
        return ot_fail(OT_EMODEL, "B is needed to know what the activation let through");
    ot_set_shape(&c->y[0], c->x[1]->dtype, 5, c->x[1]->dim);
    ot_set_shape(&c->y[1], c->x[1]->dtype, 1, c->x[2]->dim);
    ot_set_shape(&c->y[2], c->x[1]->dtype, 1, c->x[2]->dim);
    return OT_OK;
}

static ot_status grad_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_block_norm s = norm_of(r, &r->x[1], &r->x[2]);
    s.mean = r->x[3].data;
    s.inverse = r->x[4].data;
    s.bias = r->n_in > 5 ? r->x[5].data : NULL;
    ot_block_norm_grad(&s, r->x[1].data, r->x[0].data, r->y[0].data, r->y[1].data, r->y[2].data, &pool);
    return OT_OK;
}

static ot_status grad_reference(const ot_run *r)
{
    const ot_block_norm s = norm_of(r, &r->x[1], &r->x[2]);
    const double *dy = r->x[0].data, *x = r->x[1].data, *scale = r->x[2].data;
    const double *mean = r->x[3].data, *inverse = r->x[4].data, *bias = s.relu ? r->x[5].data : NULL;
    double *dx = r->y[0].data, count = (double)(s.n * s.size);
    memset(dx, 0, ot_tensor_bytes(&r->y[0]));
    for (int64_t c = 0; c < s.c; c++) {
        double sum = 0, dot = 0, f = scale[c] * inverse[c];
        for (int pass = 0; pass < 2; pass++)
            for (int64_t i = 0; i < s.n * s.size; i++) {
                int64_t at = ot_block_at(r->x[1].dim[1], s.size, i / s.size, c, i % s.size);
                double d = s.relu && !(f * x[at] + (bias[c] - mean[c] * f) > 0) ? 0 : dy[at];
                double unit = (x[at] - mean[c]) * inverse[c];
                if (pass == 0) {
                    sum += d;
                    dot += d * unit;
                } else {
                    dx[at] = f * (d - sum / count - unit * dot / count);
                }
            }
        put(r, 1, c, dot);
        put(r, 2, c, sum);
    }
    return OT_OK;
}

static const ot_kernel train_kernels[] = {
    { .name = "lanes", .declines = ot_float32_only, .run = train_fast },
    { .name = "reference", .run = train_reference, .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "lanes", .declines = ot_float32_only, .run = grad_fast },
    { .name = "reference", .run = grad_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_BlockNormTrain = { .domain = OT_INTERNAL,
                                     .name = "BlockNormTrain",
                                     .since = 1,
                                     .until = 1,
                                     .min_in = 5,
                                     .max_in = 5,
                                     .min_out = 1,
                                     .max_out = 5,
                                     .infer = train_infer,
                                     .cpu = train_kernels,
                                     .in_place = 1 };

const ot_op ot_op_BlockNormTrainGrad = { .domain = OT_INTERNAL,
                                         .name = "BlockNormTrainGrad",
                                         .since = 1,
                                         .until = 1,
                                         .min_in = 5,
                                         .max_in = 6,
                                         .min_out = 3,
                                         .max_out = 3,
                                         .infer = grad_infer,
                                         .cpu = grad_kernels,
                                         .in_place = 1 };

/* The gradients of the losses over classes, with their attributes; g is dy, over the sum of weights for a mean.
 *  NegativeLogLikelihoodLossGrad: (dy, scores for their shape, labels, weights or absent) -> -g * weight at the label.
 *  CrossEntropyGrad: (dy, log_prob, labels, weights or absent) -> g * weight * (exp(log_prob) - target distribution).
 */
#include "loss.h"
#include "kernels/rows.h"

#include <math.h>
#include <string.h>

static ot_status grad_infer(ot_infer *c)
{
    ot_fact y = { .rank = -1 };
    ot_dim d;
    OT_TRY(ot_labelled_rule(c, 1, 2, 3, &y));
    OT_TRY(ot_rank_between(c, 0, y.rank, y.rank));
    for (int i = 0; i < y.rank; i++)
        OT_TRY(ot_dims_agree(&d, y.dim[i], c->x[0]->dim[i], "dy and the loss"));
    ot_set_shape(&c->y[0], c->x[1]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

/* g of element i is dy[i or 0] * the factor in *each. */
static ot_status factor_of(const ot_labelled *l, double *each)
{
    double sum = 1;
    if (l->reduction == OT_REDUCE_MEAN)
        OT_TRY(ot_labelled_weight(l, &sum));
    *each = 1 / sum;
    return OT_OK;
}

static double dy_at(const ot_labelled *l, const ot_run *r, int64_t i)
{
    return ot_real(&r->x[0], l->reduction == OT_REDUCE_NONE ? i : 0);
}

static ot_status nll_grad_run(const ot_run *r)
{
    ot_labelled l;
    double each, weight;
    int64_t label;
    ot_labelled_read(&l, r, &r->x[1], 2, 3);
    OT_TRY(factor_of(&l, &each));
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    for (int64_t i = 0; i < ot_labelled_count(&l); i++) {
        OT_TRY(ot_label_at(&l, i, &label, &weight));
        if (label >= 0)
            ot_put_real(&r->y[0], (i / l.a.inner * l.a.n + label) * l.a.inner + i % l.a.inner,
                        -dy_at(&l, r, i) * each * weight);
    }
    return OT_OK;
}

/* ---- CrossEntropyGrad ------------------------------------------------------------------------------------------ */

static ot_status cross_grad_prepare(ot_prep *p)
{
    int64_t n = 0;
    if (!ot_count(&n, p->x[2]->rank, p->x[2]->dim) || !ot_mul(&p->scratch, (size_t)n, sizeof(float)))
        return ot_fail(OT_ENOMEM, "labels of %s", OT_DIMS(p->x[2]->rank, p->x[2]->dim));
    return OT_OK;
}

typedef struct job {
    const ot_run *r;
    const ot_labelled *l;
    const float *g; /* of each element */
} job;

/* All of dx but what the labels themselves take away: rows of one class. */
static void class_rows(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const int64_t d = j->l->a.inner, c = j->l->a.n;
    const float *logs = j->r->x[1].data, even = (float)(j->l->smoothing / (double)c);
    float *dx = j->r->y[0].data;
    if (d == 1) { /* the classes lie side by side: from and to are elements */
        for (int64_t i = from; i < to; i++) {
            ot_row_exp(c, logs + i * c, dx + i * c);
            ot_row_scale(c, j->g[i], -j->g[i] * even, dx + i * c, dx + i * c);
        }
        return;
    }
    for (int64_t row = from; row < to; row++) {
        const float *g = j->g + row / c * d;
        float *out = dx + row * d;
        ot_row_exp(d, logs + row * d, out);
        for (int64_t i = 0; i < d; i++)
            out[i] = g[i] * (out[i] - even);
    }
}

static ot_status cross_grad_fast(const ot_run *r)
{
    ot_labelled l;
    double each, weight;
    int64_t label;
    float *g = r->scratch, *dx = r->y[0].data;
    ot_labelled_read(&l, r, &r->x[1], 2, 3);
    OT_TRY(factor_of(&l, &each));
    for (int64_t i = 0; i < ot_labelled_count(&l); i++) {
        OT_TRY(ot_label_at(&l, i, &label, &weight));
        g[i] = label < 0 ? 0 : (float)(dy_at(&l, r, i) * each * weight);
    }
    job j = { r, &l, g };
    const int64_t rows = l.a.inner == 1 ? l.a.outer : l.a.outer * l.a.n;
    const int64_t cols = l.a.inner == 1 ? l.a.n : l.a.inner;
    ot_for_ranges(r, cols ? rows : 0, cols > OT_GRAIN ? 1 : OT_GRAIN / (cols + 1) + 1, class_rows, &j);
    for (int64_t i = 0; i < ot_labelled_count(&l); i++) {
        OT_TRY(ot_label_at(&l, i, &label, &weight));
        if (label >= 0)
            dx[(i / l.a.inner * l.a.n + label) * l.a.inner + i % l.a.inner] -= g[i] * (float)(1 - l.smoothing);
    }
    return OT_OK;
}

static ot_status cross_grad_reference(const ot_run *r)
{
    ot_labelled l;
    double each, weight, *dx = r->y[0].data;
    const double *logs = r->x[1].data;
    int64_t label;
    ot_labelled_read(&l, r, &r->x[1], 2, 3);
    OT_TRY(factor_of(&l, &each));
    for (int64_t i = 0; i < ot_labelled_count(&l); i++) {
        OT_TRY(ot_label_at(&l, i, &label, &weight));
        for (int64_t k = 0; k < l.a.n; k++) {
            int64_t at = (i / l.a.inner * l.a.n + k) * l.a.inner + i % l.a.inner;
            double target = l.smoothing / (double)l.a.n + (k == label ? 1 - l.smoothing : 0);
            dx[at] = label < 0 ? 0 : dy_at(&l, r, i) * each * weight * (exp(logs[at]) - target);
        }
    }
    return OT_OK;
}

static const ot_kernel nll_grad_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = nll_grad_run },
    { .name = "reference", .run = nll_grad_run, .in_double = true },
    { 0 },
};

static const ot_kernel cross_grad_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .prepare = cross_grad_prepare, .run = cross_grad_fast },
    { .name = "reference", .run = cross_grad_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_NegativeLogLikelihoodLossGrad = { .domain = OT_INTERNAL,
                                                    .name = "NegativeLogLikelihoodLossGrad",
                                                    .since = 1,
                                                    .until = 1,
                                                    .min_in = 3,
                                                    .max_in = 4,
                                                    .min_out = 1,
                                                    .max_out = 1,
                                                    .infer = grad_infer,
                                                    .cpu = nll_grad_kernels,
                                                    .shape_only = 1u << 1 };

const ot_op ot_op_CrossEntropyGrad = { .domain = OT_INTERNAL,
                                       .name = "CrossEntropyGrad",
                                       .since = 1,
                                       .until = 1,
                                       .min_in = 3,
                                       .max_in = 4,
                                       .min_out = 1,
                                       .max_out = 1,
                                       .infer = grad_infer,
                                       .cpu = cross_grad_kernels };

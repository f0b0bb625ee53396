/* Losses over classes.  Scores are [N, C, d...], labels [N, d...], weights [C] or absent.
 *  NegativeLogLikelihoodLoss: l = -scores[label] * weights[label], 0 where the label is ignore_index.
 *  SoftmaxCrossEntropyLoss:   the same of log_prob = LogSoftmax(scores, axis 1), which is the second output.
 *  SmoothedCrossEntropy:      (scores, labels; smoothing s) -> (loss, log_prob), where the target distribution is
 *                             1 - s at the label plus s / C everywhere, as PyTorch's label_smoothing.
 * reduction: none gives l; sum its sum; mean the sum over the sum of weights of what is not ignored (as ONNX's function
 * body and PyTorch do; the text of ONNX divides by all).  Backward reads log_prob, or nothing but labels. */
#include "loss.h"

#include <string.h>

ot_status ot_reduction_of(const ot_node *n, ot_reduction *out)
{
    static const char *const names[] = { "none", "mean", "sum" };
    const char *text = ot_attr_text(n, "reduction", "mean");
    *out = OT_REDUCE_MEAN;
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (ot_reduction)i;
            return OT_OK;
        }
    return ot_fail(OT_EMODEL, "reduction is '%s'", text);
}

ot_status ot_labelled_rule(ot_infer *c, int scores, int labels, int weights, ot_fact *y)
{
    ot_reduction reduction;
    ot_dim d, dim[OT_MAX_RANK];
    OT_TRY(ot_rank_between(c, scores, 2, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, scores));
    OT_TRY(ot_reduction_of(c->node, &reduction));
    const ot_fact *x = c->x[scores];
    OT_TRY(ot_rank_between(c, labels, x->rank - 1, x->rank - 1));
    const ot_fact *t = c->x[labels];
    if (t->dtype != OT_INT32 && t->dtype != OT_INT64)
        return ot_fail(OT_ESHAPE, "labels are %s, wanted is int32 or int64", ot_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        OT_TRY(ot_dims_agree(&dim[i], t->dim[i], x->dim[i == 0 ? 0 : i + 1], "labels and scores"));
    if (weights < c->n_in && c->x[weights]) {
        OT_TRY(ot_rank_between(c, weights, 1, 1));
        OT_TRY(ot_dims_agree(&d, c->x[weights]->dim[0], x->dim[1], "weights and classes"));
        if (c->x[weights]->dtype != x->dtype)
            return ot_fail(OT_ESHAPE, "weights are %s, scores %s", ot_dtype_name(c->x[weights]->dtype),
                           ot_dtype_name(x->dtype));
    }
    ot_set_shape(y, x->dtype, reduction == OT_REDUCE_NONE ? t->rank : 0, dim);
    return OT_OK;
}

void ot_labelled_read(ot_labelled *l, const ot_run *r, const ot_tensor *scores, int labels, int weights)
{
    *l = (ot_labelled){ .a = { scores->dim[0], scores->dim[1], 1 } };
    for (int d = 2; d < scores->rank; d++)
        l->a.inner *= scores->dim[d];
    ot_reduction_of(r->node, &l->reduction);
    l->ignores = ot_attr_find(r->node, "ignore_index") != NULL;
    l->ignored = ot_attr_int(r->node, "ignore_index", 0);
    l->smoothing = ot_attr_float(r->node, "smoothing", 0);
    l->label = &r->x[labels];
    l->weight = ot_has_x(r, weights) ? &r->x[weights] : NULL;
}

ot_status ot_label_at(const ot_labelled *l, int64_t i, int64_t *label, double *weight)
{
    *label = ot_tensor_get_int(l->label, i);
    *weight = 0;
    if (l->ignores && *label == l->ignored) {
        *label = -1;
        return OT_OK;
    }
    if (*label < 0 || *label >= l->a.n)
        return ot_fail(OT_EDATA, "label %lld of element %lld is outside of 0 to %lld", (long long)*label, (long long)i,
                       (long long)l->a.n - 1);
    *weight = l->weight ? ot_real(l->weight, *label) : 1;
    return OT_OK;
}

ot_status ot_labelled_weight(const ot_labelled *l, double *sum)
{
    *sum = 0;
    for (int64_t i = 0; i < ot_labelled_count(l); i++) {
        int64_t label;
        double weight;
        OT_TRY(ot_label_at(l, i, &label, &weight));
        *sum += weight;
    }
    return OT_OK;
}

/* The loss from logarithms of probabilities into y; serves float and double. */
static ot_status sum_up(const ot_labelled *l, const ot_tensor *logs, const ot_tensor *y)
{
    double sum = 0, weights = 0;
    for (int64_t i = 0; i < ot_labelled_count(l); i++) {
        int64_t label, at = i / l->a.inner * l->a.n * l->a.inner + i % l->a.inner;
        double weight, all = 0;
        OT_TRY(ot_label_at(l, i, &label, &weight));
        for (int64_t k = 0; k < l->a.n && l->smoothing > 0 && label >= 0; k++)
            all += ot_real(logs, at + k * l->a.inner);
        double loss = label < 0 ? 0 : (1 - l->smoothing) * ot_real(logs, at + label * l->a.inner);
        loss = label < 0 ? 0 : -weight * (loss + l->smoothing / (double)l->a.n * all);
        if (l->reduction == OT_REDUCE_NONE)
            ot_put_real(y, i, loss);
        sum += loss;
        weights += weight;
    }
    if (l->reduction != OT_REDUCE_NONE)
        ot_put_real(y, 0, l->reduction == OT_REDUCE_MEAN ? sum / weights : sum);
    return OT_OK;
}

/* ---- NegativeLogLikelihoodLoss --------------------------------------------------------------------------------- */

static ot_status nll_infer(ot_infer *c)
{
    return ot_labelled_rule(c, 0, 1, 2, &c->y[0]);
}

static ot_status nll_run(const ot_run *r)
{
    ot_labelled l;
    ot_labelled_read(&l, r, &r->x[0], 1, 2);
    return sum_up(&l, &r->x[0], &r->y[0]);
}

static void no_weight_gradient(ot_build *b)
{
    if (ot_wants(b, 2))
        ot_build_fail(b, ot_fail(OT_ENOGRAD, "the weights of classes have no gradient"));
}

static void nll_differentiate(ot_build *b)
{
    no_weight_gradient(b);
    if (ot_wants(b, 0))
        ot_give(b, 0,
                OT_EMIT_WITH(b, "NegativeLogLikelihoodLossGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0),
                             ot_x(b, 1), ot_x(b, 2)));
}

/* ---- SoftmaxCrossEntropyLoss, SmoothedCrossEntropy ------------------------------------------------------------- */

static ot_status cross_infer(ot_infer *c)
{
    const double smoothing = ot_attr_float(c->node, "smoothing", 0);
    if (!(smoothing >= 0 && smoothing <= 1))
        return ot_fail(OT_EMODEL, "smoothing is %g", smoothing);
    OT_TRY(ot_labelled_rule(c, 0, 1, 2, &c->y[0]));
    if (c->n_out > 1)
        ot_set_shape(&c->y[1], c->x[0]->dtype, c->x[0]->rank, c->x[0]->dim);
    return OT_OK;
}

/* log_prob lies in scratch where it is no output; `size` bytes an element. */
static ot_status cross_scratch(ot_prep *p, size_t size)
{
    int64_t n = 0;
    if (p->n_out > 1 && p->y[1])
        return OT_OK;
    if (!ot_count(&n, p->x[0]->rank, p->x[0]->dim) || !ot_mul(&p->scratch, (size_t)n, size))
        return ot_fail(OT_ENOMEM, "scores of %s", OT_DIMS(p->x[0]->rank, p->x[0]->dim));
    return OT_OK;
}

static ot_status cross_prepare(ot_prep *p)
{
    return cross_scratch(p, sizeof(float));
}

static ot_status cross_prepare_double(ot_prep *p)
{
    return cross_scratch(p, sizeof(double));
}

static ot_status cross_run(const ot_run *r)
{
    ot_labelled l;
    ot_tensor logs = r->x[0];
    logs.data = ot_has_y(r, 1) ? r->y[1].data : r->scratch;
    ot_labelled_read(&l, r, &r->x[0], 1, 2);
    if (logs.dtype == OT_FLOAT)
        ot_log_softmax_float(r, &l.a, r->x[0].data, logs.data);
    else
        ot_log_softmax_double(&l.a, r->x[0].data, logs.data);
    return sum_up(&l, &logs, &r->y[0]);
}

static void cross_differentiate(ot_build *b)
{
    ot_val logs = ot_y(b, 1);
    no_weight_gradient(b);
    if (!ot_wants(b, 0))
        return;
    if (logs == OT_NONE)
        logs = OT_EMIT_WITH(b, "LogSoftmax", OT_ATTRS(OT_INT("axis", 1)), ot_x(b, 0));
    if (ot_dy(b, 0) != OT_NONE)
        ot_give(b, 0,
                OT_EMIT_WITH(b, "CrossEntropyGrad", ot_the_node(b)->attr, ot_dy(b, 0), logs, ot_x(b, 1), ot_x(b, 2)));
    if (ot_dy(b, 1) != OT_NONE)
        ot_give(b, 0, OT_EMIT_WITH(b, "LogSoftmaxGrad", OT_ATTRS(OT_INT("axis", 1)), ot_dy(b, 1), logs));
}

static const ot_kernel nll_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = nll_run },
    { .name = "reference", .run = nll_run, .in_double = true },
    { 0 },
};

static const ot_kernel cross_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .prepare = cross_prepare, .run = cross_run },
    { .name = "reference", .prepare = cross_prepare_double, .run = cross_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_NegativeLogLikelihoodLoss = { .domain = "",
                                                .name = "NegativeLogLikelihoodLoss",
                                                .since = 12,
                                                .until = OT_LATEST,
                                                .min_in = 2,
                                                .max_in = 3,
                                                .min_out = 1,
                                                .max_out = 1,
                                                .infer = nll_infer,
                                                .grad = nll_differentiate,
                                                .cpu = nll_kernels };

const ot_op ot_op_SoftmaxCrossEntropyLoss = { .domain = "",
                                              .name = "SoftmaxCrossEntropyLoss",
                                              .since = 12,
                                              .until = OT_LATEST,
                                              .min_in = 2,
                                              .max_in = 3,
                                              .min_out = 1,
                                              .max_out = 2,
                                              .infer = cross_infer,
                                              .grad = cross_differentiate,
                                              .cpu = cross_kernels };

const ot_op ot_op_SmoothedCrossEntropy = { .domain = OT_INTERNAL,
                                           .name = "SmoothedCrossEntropy",
                                           .since = 1,
                                           .until = 1,
                                           .min_in = 2,
                                           .max_in = 2,
                                           .min_out = 1,
                                           .max_out = 2,
                                           .infer = cross_infer,
                                           .grad = cross_differentiate,
                                           .cpu = cross_kernels };

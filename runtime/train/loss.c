#include "train/loss.h"

#include <math.h>
#include <string.h>

bool ot_loss_wants_floats(ot_loss loss)
{
    return loss == OT_LOSS_MSE || loss == OT_LOSS_BCE;
}

/* The node that made v, looking through Identity. */
static const ot_node *maker(const ot_graph *g, ot_val v)
{
    while (g->value[v].origin == OT_FROM_NODE && strcmp(g->value[v].producer->op->name, "Identity") == 0)
        v = g->value[v].producer->in[0];
    return g->value[v].origin == OT_FROM_NODE ? g->value[v].producer : NULL;
}

/* Scores of each step of a sequence, [T, N, C]. */
static bool is_sequence(const ot_fact *f, int64_t classes)
{
    return f->rank == 3 && classes > 1 && f->dim[2] == classes;
}

/* A softmax over the classes of [N, C] or of a sequence. */
static bool over_classes(const ot_graph *g, const ot_node *n, int64_t classes)
{
    const ot_fact *f = &g->value[n->in[0]].fact;
    int64_t axis = ot_attr_int(n, "axis", -1);
    return (f->rank == 2 && (axis == 1 || axis == -1)) || (is_sequence(f, classes) && (axis == 2 || axis == -1));
}

/* The steps of a sequence as samples. */
static ot_val rows_of(ot_build *b, ot_val v, int64_t classes)
{
    if (!is_sequence(&b->g->value[v].fact, classes))
        return v;
    return OT_EMIT(b, "Reshape", v, ot_const_ints(b, 2, (const int64_t[]){ -1, classes }));
}

static ot_status check_classes(const ot_graph *g, ot_val v, int64_t classes, ot_loss loss)
{
    const ot_fact *f = &g->value[v].fact;
    if (f->rank != 2)
        return ot_fail(OT_ESHAPE, "the model's output '%s' has rank %d, a classifier's is [N, classes]",
                       g->value[v].name, f->rank);
    bool one_score = f->dim[1] == 1 && classes == 2 && ot_loss_wants_floats(loss);
    if (classes > 0 && !ot_is_symbol(f->dim[1]) && f->dim[1] != classes && !one_score)
        return ot_fail(OT_ESHAPE, "the model gives %lld classes, the data has %lld", (long long)f->dim[1],
                       (long long)classes);
    return OT_OK;
}

ot_status ot_find_head(ot_head *h, ot_build *b, int64_t classes, ot_loss loss)
{
    ot_graph *g = b->g;
    ot_val out = g->output[0].value;
    const ot_node *n = maker(g, out);
    *h = (ot_head){ OT_ENDS_SCORES, out, out };
    bool log_softmax = n && strcmp(n->op->name, "LogSoftmax") == 0;
    if (n && (log_softmax || strcmp(n->op->name, "Softmax") == 0) && over_classes(g, n, classes)) {
        h->ending = log_softmax ? OT_ENDS_LOG_SOFTMAX : OT_ENDS_SOFTMAX;
        h->scores = n->in[0];
    } else if (g->value[out].fact.rank > 2 && !is_sequence(&g->value[out].fact, classes)) {
        h->scores = h->output = OT_EMIT_WITH(b, "Flatten", OT_ATTRS(OT_INT("axis", 1)), out);
    }
    bool same = h->scores == h->output;
    h->scores = rows_of(b, h->scores, classes);
    h->output = same ? h->scores : rows_of(b, h->output, classes);
    return b->st != OT_OK ? b->st : check_classes(g, h->scores, classes, loss);
}

ot_val ot_emit_loss(ot_build *b, const ot_head *h, ot_loss loss, double smoothing, ot_val target, double scale)
{
    ot_val l;
    if (loss == OT_LOSS_MSE)
        l = OT_EMIT(b, "MseLoss", h->output, target);
    else if (loss == OT_LOSS_BCE)
        l = OT_EMIT(b, "BceWithLogits", h->output, target);
    else if (loss == OT_LOSS_NLL && h->ending == OT_ENDS_SCORES)
        l = OT_EMIT(b, "NegativeLogLikelihoodLoss", h->output, target);
    else if (smoothing > 0)
        l = OT_EMIT_WITH(b, "SmoothedCrossEntropy", OT_ATTRS(OT_REAL("smoothing", smoothing)), h->scores, target);
    else
        l = OT_EMIT(b, "SoftmaxCrossEntropyLoss", h->scores, target);
    if (scale == 1)
        return l;
    return OT_EMIT(b, "Mul", l, ot_const_scalar(b, ot_fact_of(b, l)->dtype, scale));
}

ot_val ot_emit_eval(ot_build *b, const ot_head *h, ot_loss loss)
{
    bool as_it_is = ot_loss_wants_floats(loss) || h->ending == OT_ENDS_LOG_SOFTMAX ||
                    (loss == OT_LOSS_NLL && h->ending == OT_ENDS_SCORES);
    return as_it_is ? h->output : OT_EMIT_WITH(b, "LogSoftmax", OT_ATTRS(OT_INT("axis", 1)), h->scores);
}

/* log(1 + exp(x)) without overflow. */
static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

double ot_sample_loss(ot_loss loss, const float *row, int64_t c, int64_t label, int64_t classes, float *p)
{
    double sum = 0;
    for (int64_t k = 0; k < classes; k++)
        p[k] = 0;
    for (int64_t k = 0; k < c && k < classes; k++)
        p[k] = loss == OT_LOSS_MSE   ? row[k]
               : loss == OT_LOSS_BCE ? (float)(1 / (1 + exp(-(double)row[k])))
                                     : (float)exp((double)row[k]);
    if (c == 1 && classes == 2) { /* one output is the second class's */
        p[1] = p[0];
        p[0] = 1 - p[1];
    }
    if (!ot_loss_wants_floats(loss))
        return label >= 0 && label < c ? -(double)row[label] : (double)NAN;
    for (int64_t k = 0; k < c; k++) {
        double want = c == 1 ? (double)label : (double)(k == label), got = row[k];
        sum += loss == OT_LOSS_MSE ? (got - want) * (got - want) : softplus(got) - want * got;
    }
    return sum / (double)(c > 0 ? c : 1);
}

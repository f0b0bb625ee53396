/* y = s (conv(x) - mean) / sqrt(var + eps) + b is a convolution with the weights W s / sqrt(var + eps) and the bias
 * (bias - mean) s / sqrt(var + eps) + b.  The sums are made in double and rounded once. */
#include "graph/export.h"
#include "base/tensor.h"

#include <math.h>
#include <string.h>

enum { SCALE, SHIFT, MEAN, VAR, WEIGHT, BIAS, PARAMS };

typedef struct fold {
    ot_model *m;
    Onnx__NodeProto *conv, *norm;
    ot_tensor t[PARAMS];
    bool owned[PARAMS];
} fold;

static void release(fold *f)
{
    for (int i = 0; i < PARAMS; i++)
        if (f->owned[i])
            ot_tensor_release(&f->t[i]);
}

/* A constant: an initializer that no caller can override. */
static ot_status take(fold *f, int i, const char *name, bool *ok)
{
    const Onnx__GraphProto *g = f->m->proto->graph;
    const Onnx__TensorProto *p = ot_model_find_initializer(f->m, name);
    *ok = p != NULL;
    for (size_t k = 0; *ok && f->m->proto->ir_version >= 4 && k < g->n_input; k++)
        *ok = strcmp(ot_text(g->input[k]->name), name) != 0;
    return *ok ? ot_model_tensor(f->m, p, &f->t[i], &f->owned[i]) : OT_OK;
}

/* Are all parameters there, constant, and of fitting types and sizes? */
static ot_status collect(fold *f, bool *ok)
{
    const Onnx__NodeProto *n = f->norm, *c = f->conv;
    *ok = n->n_input == 5 && c->n_input >= 2;
    for (int i = 0; *ok && i < 4; i++)
        OT_TRY(take(f, i, n->input[i + 1], ok));
    if (*ok)
        OT_TRY(take(f, WEIGHT, c->input[1], ok));
    bool biased = c->n_input > 2 && *c->input[2];
    if (*ok && biased)
        OT_TRY(take(f, BIAS, c->input[2], ok));
    if (!*ok)
        return OT_OK;
    *ok = f->t[WEIGHT].rank > 2 && ot_dtype_is_float(f->t[WEIGHT].dtype) && ot_dtype_bits(f->t[WEIGHT].dtype) > 8;
    for (int i = 0; i < PARAMS; i++)
        if (i != WEIGHT && f->t[i].data)
            *ok = *ok && f->t[i].rank == 1 && f->t[i].dim[0] == f->t[WEIGHT].dim[0] && ot_dtype_is_float(f->t[i].dtype);
    *ok = *ok && ot_tensor_count(&f->t[WEIGHT]) > 0;
    return OT_OK;
}

static ot_status scale_weights(const fold *f, ot_tensor *w, ot_tensor *b)
{
    const ot_tensor *t = f->t;
    double eps = ot_node_float(f->norm, "epsilon", 1e-5);
    int64_t channels = t[WEIGHT].dim[0], each = ot_tensor_count(&t[WEIGHT]) / channels;
    for (int64_t c = 0; c < channels; c++) {
        double k = ot_tensor_get(&t[SCALE], c) / sqrt(ot_tensor_get(&t[VAR], c) + eps);
        double bias = t[BIAS].data ? ot_tensor_get(&t[BIAS], c) : 0;
        double shift = (bias - ot_tensor_get(&t[MEAN], c)) * k + ot_tensor_get(&t[SHIFT], c);
        if (!isfinite(k) || !isfinite(shift))
            return ot_fail(OT_EMODEL, "node '%s' (BatchNormalization): channel %lld has the variance %g",
                           ot_text(f->norm->name), (long long)c, ot_tensor_get(&t[VAR], c));
        for (int64_t i = c * each; i < (c + 1) * each; i++)
            ot_tensor_set(w, i, ot_tensor_get(&t[WEIGHT], i) * k);
        ot_tensor_set(b, c, shift);
    }
    return OT_OK;
}

/* An initializer with the new value under a name of its own, as input `at` of the convolution. */
static ot_status give(fold *f, size_t at, const char *wish, const ot_tensor *t)
{
    char *name = ot_unique_name(f->m->proto->graph, wish);
    ot_status st = name ? ot_model_add_initializer(f->m, name, t) : OT_ENOMEM;
    if (st == OT_OK && at < f->conv->n_input)
        st = ot_set_string(&f->conv->input[at], name);
    else if (st == OT_OK)
        st = ot_append_string(&f->conv->n_input, &f->conv->input, name);
    ot_free(name);
    return st;
}

static ot_status fold_one(fold *f)
{
    ot_tensor w = { 0 }, b = { 0 };
    const ot_tensor *old = &f->t[WEIGHT];
    ot_status st = ot_tensor_init(&w, old->dtype, old->rank, old->dim);
    if (st == OT_OK)
        st = ot_tensor_init(&b, old->dtype, 1, old->dim);
    if (st == OT_OK)
        st = scale_weights(f, &w, &b);
    if (st == OT_OK) /* the names of what it replaces, with a suffix while those are still there */
        st = give(f, 1, f->conv->input[1], &w);
    if (st == OT_OK)
        st = give(f, 2, f->norm->input[2], &b);
    if (st == OT_OK)
        st = ot_set_string(&f->conv->output[0], f->norm->output[0]);
    ot_tensor_release(&w);
    ot_tensor_release(&b);
    return st;
}

static int64_t producer(const Onnx__GraphProto *g, const char *value, size_t before)
{
    for (size_t i = before; i-- > 0;)
        if (g->node[i]->n_output && strcmp(g->node[i]->output[0], value) == 0)
            return (int64_t)i;
    return -1;
}

static bool is_op(const Onnx__NodeProto *n, const char *op)
{
    return ot_same_domain(n->domain, "") && strcmp(ot_text(n->op_type), op) == 0;
}

static ot_status fold_all(ot_model *m, const ot_strmap *reads)
{
    Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_node; i++) {
        Onnx__NodeProto *n = g->node[i];
        if (!is_op(n, "BatchNormalization") || n->n_output != 1 || !n->n_input || ot_node_int(n, "spatial", 1) != 1 ||
            ot_node_int(n, "training_mode", 0) || ot_strmap_get(reads, n->input[0], 0) != 1)
            continue;
        int64_t at = producer(g, n->input[0], i);
        if (at < 0 || !is_op(g->node[at], "Conv") || g->node[at]->n_output != 1)
            continue;
        fold f = { .m = m, .conv = g->node[at], .norm = n };
        bool ok;
        ot_status st = collect(&f, &ok);
        if (st == OT_OK && ok)
            st = fold_one(&f);
        release(&f);
        OT_TRY(st);
        if (ok)
            ot_remove(&g->base, "node", (int64_t)i--);
    }
    return OT_OK;
}

ot_status ot_export_fold_bn(ot_model *m)
{
    ot_strmap reads = { 0 };
    ot_status st = ot_count_reads(&reads, m->proto->graph);
    if (st == OT_OK)
        st = fold_all(m, &reads);
    ot_strmap_release(&reads);
    return st == OT_OK ? ot_model_sweep(m) : st;
}

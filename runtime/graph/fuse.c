/* Fusion, for nodes whose weights never change: BatchNormalization into the convolution before it; then a residual sum
 * and an activation into the convolution's epilogue.  A rule applies only where the inner value has one reader and
 * does not leave the graph. */
#include "graph/graph.h"

#include <math.h>
#include <string.h>

typedef struct fuser {
    ot_graph *g;
    int32_t *reads; /* by value, as ot_graph_count_reads */
    bool *gone;     /* by node */
    int64_t *at;    /* by value: the index of its producer */
} fuser;

static void look_around(fuser *f)
{
    const ot_graph *g = f->g;
    ot_graph_count_reads(g, f->reads);
    for (int64_t i = 0; i < g->n_node; i++)
        for (int k = 0; k < g->node[i]->n_out; k++)
            if (g->node[i]->out[k] != OT_NONE)
                f->at[g->node[i]->out[k]] = i;
}

/* The node that made v, when it is `name` and v has no other reader. */
static ot_node *sole_producer(const fuser *f, ot_val v, const char *name)
{
    if (v == OT_NONE || f->g->value[v].origin != OT_FROM_NODE || f->reads[v] != 1)
        return NULL;
    ot_node *n = f->g->value[v].producer;
    return strcmp(n->op->name, name) == 0 ? n : NULL;
}

static const ot_tensor *constant_float(const fuser *f, ot_val v)
{
    if (v == OT_NONE || f->g->value[v].origin != OT_FROM_CONSTANT || f->g->value[v].fact.dtype != OT_FLOAT)
        return NULL;
    return f->g->value[v].tensor;
}

static ot_val new_constant(fuser *f, const ot_tensor *t, const char *from)
{
    char *name = ot_arena_printf(&f->g->arena, "%s/folded", from);
    return name ? ot_graph_tensor(f->g, name, OT_FROM_CONSTANT, t) : OT_NONE;
}

/* The graph's own tensor behind a constant that one node reads, where nothing else lies in it, so that it may be
 * written; else NULL: the file's bytes, for one. */
static ot_tensor *own_copy(const fuser *f, ot_val v)
{
    const ot_graph *g = f->g;
    const void *data = g->value[v].tensor->data;
    ot_tensor *own = NULL;
    if (f->reads[v] != 1 || g->n_body)
        return NULL;
    for (int64_t i = 0; i < g->n_owned; i++)
        if (g->owned[i]->data == data)
            own = g->owned[i];
    for (int64_t i = 0; i < g->n_value && own; i++)
        if (i != v && g->value[i].tensor && g->value[i].tensor->data == data)
            own = NULL;
    return own;
}

/* y = s (W x + b - mean) + B with s = scale / sqrt(var + epsilon): W' = s W, b' = s (b - mean) + B, in double. */
static ot_status fold_weights(fuser *f, ot_node *conv, const ot_node *bn, const ot_tensor *const p[5])
{
    const ot_tensor *w = p[0], *bias = constant_float(f, conv->n_in > 2 ? conv->in[2] : OT_NONE);
    ot_tensor *mine = own_copy(f, conv->in[1]), *b2 = ot_graph_own(f->g, OT_FLOAT, 1, w->dim);
    ot_tensor *w2 = mine ? mine : ot_graph_own(f->g, OT_FLOAT, w->rank, w->dim);
    if (!w2 || !b2)
        return OT_ENOMEM;
    double epsilon = ot_attr_float(bn, "epsilon", 1e-5);
    int64_t channels = w->dim[0], each = channels ? ot_tensor_count(w) / channels : 0;
    for (int64_t k = 0; k < channels; k++) {
        double s = ot_tensor_get(p[1], k) / sqrt(ot_tensor_get(p[4], k) + epsilon);
        double b = bias ? ot_tensor_get(bias, k) : 0;
        ot_tensor_set(b2, k, s * (b - ot_tensor_get(p[3], k)) + ot_tensor_get(p[2], k));
        for (int64_t i = k * each; i < (k + 1) * each; i++)
            ((float *)w2->data)[i] = (float)(s * (double)((const float *)w->data)[i]);
    }
    ot_val weights = mine ? conv->in[1] : new_constant(f, w2, f->g->value[conv->in[1]].name);
    ot_val in[3] = { conv->in[0], weights, new_constant(f, b2, conv->name) };
    if (in[1] == OT_NONE || in[2] == OT_NONE)
        return OT_ENOMEM;
    conv->in = ot_arena_memdup(&f->g->arena, in, sizeof(in));
    conv->n_in = 3;
    return conv->in ? OT_OK : OT_ENOMEM;
}

/* The inner node takes the outer one's output and place in the order; what the outer read must be made before it. */
static void absorb(fuser *f, ot_node *inner, const ot_node *outer, int64_t outer_at)
{
    int64_t inner_at = f->at[inner->out[0]];
    inner->out[0] = outer->out[0];
    inner->n_out = 1;
    f->g->value[inner->out[0]].producer = inner;
    f->g->node[outer_at] = inner;
    f->gone[inner_at] = true;
    f->at[inner->out[0]] = outer_at;
}

static ot_status fuse_batchnorm(fuser *f, int64_t at)
{
    ot_node *bn = f->g->node[at];
    ot_node *conv = sole_producer(f, bn->in[0], "Conv");
    if (!conv || ot_attr_int(bn, "training_mode", 0))
        return OT_OK;
    const ot_tensor *p[5] = { constant_float(f, conv->in[1]) };
    bool constant = p[0] && (conv->n_in < 3 || conv->in[2] == OT_NONE || constant_float(f, conv->in[2]));
    for (int i = 1; i < 5; i++) {
        p[i] = constant_float(f, bn->in[i]);
        constant &= p[i] && p[0] && ot_tensor_count(p[i]) == p[0]->dim[0];
    }
    for (int i = 1; i < bn->n_out; i++)
        constant &= bn->out[i] == OT_NONE;
    if (!constant)
        return OT_OK;
    OT_TRY(fold_weights(f, conv, bn, p));
    absorb(f, conv, bn, at);
    return OT_OK;
}

/* Conv or ConvFused becomes ConvFused with these inputs and, when given, an activation. */
static ot_status make_fused(fuser *f, ot_node *conv, ot_val residual, const char *act, double lo, double hi)
{
    const ot_op *fused;
    ot_arena *arena = &f->g->arena;
    OT_TRY(ot_find_op(&fused, OT_INTERNAL, "ConvFused", 1));
    ot_val in[4] = { conv->in[0], conv->in[1], conv->n_in > 2 ? conv->in[2] : OT_NONE,
                     residual != OT_NONE ? residual
                     : conv->n_in > 3    ? conv->in[3]
                                         : OT_NONE };
    int n = 0;
    while (conv->attr[n].name)
        n++;
    ot_attr *attr = ot_arena_calloc(arena, (size_t)n + 4, sizeof(*attr));
    conv->in = ot_arena_memdup(arena, in, sizeof(in));
    if (!attr || !conv->in)
        return OT_ENOMEM;
    memcpy(attr, conv->attr, (size_t)n * sizeof(*attr));
    if (act) {
        attr[n] = (ot_attr)OT_TEXT("activation", act);
        attr[n + 1] = (ot_attr)OT_REAL("lo", lo);
        attr[n + 2] = (ot_attr)OT_REAL("hi", hi);
    }
    conv->attr = attr;
    conv->n_in = in[3] == OT_NONE ? 3 : 4;
    conv->op = fused;
    conv->opset = 1;
    return OT_OK;
}

static bool is_float(const fuser *f, ot_val v)
{
    return f->g->value[v].fact.dtype == OT_FLOAT;
}

static ot_node *sole_conv(const fuser *f, ot_val v, bool without_activation)
{
    ot_node *n = sole_producer(f, v, "Conv");
    if (!n)
        n = sole_producer(f, v, "ConvFused");
    return n && is_float(f, v) && !(without_activation && ot_attr_find(n, "activation")) ? n : NULL;
}

static ot_status fuse_sum(fuser *f, int64_t at)
{
    ot_node *add = f->g->node[at];
    for (int i = 1; i >= 0; i--) { /* the second first: a ResNet's main branch is usually the later */
        ot_node *conv = sole_conv(f, add->in[i], true);
        ot_val other = add->in[1 - i];
        if (!conv || (conv->n_in > 3 && conv->in[3] != OT_NONE) ||
            !ot_fact_same(&f->g->value[other].fact, &f->g->value[add->in[i]].fact))
            continue;
        OT_TRY(make_fused(f, conv, other, NULL, 0, 0));
        absorb(f, conv, add, at);
        return OT_OK;
    }
    return OT_OK;
}

static ot_status fuse_activation(fuser *f, int64_t at)
{
    ot_node *act = f->g->node[at];
    ot_node *conv = sole_conv(f, act->in[0], true);
    double bound[2] = { -HUGE_VAL, HUGE_VAL };
    if (!conv)
        return OT_OK;
    for (int i = 1; i < act->n_in; i++) {
        if (act->in[i] == OT_NONE)
            continue;
        const ot_tensor *t = constant_float(f, act->in[i]);
        if (!t || ot_tensor_count(t) != 1)
            return OT_OK;
        bound[i - 1] = ot_tensor_get(t, 0);
    }
    bool relu = strcmp(act->op->name, "Relu") == 0;
    OT_TRY(make_fused(f, conv, OT_NONE, relu ? "relu" : "clip", bound[0], bound[1]));
    absorb(f, conv, act, at);
    return OT_OK;
}

static ot_status apply(fuser *f, const char *op, ot_status (*rule)(fuser *, int64_t))
{
    for (int64_t i = 0; i < f->g->n_node; i++)
        if (!f->gone[i] && strcmp(f->g->node[i]->op->name, op) == 0)
            OT_TRY(rule(f, i));
    return OT_OK;
}

static ot_status apply_all(fuser *f)
{
    OT_TRY(apply(f, "BatchNormalization", fuse_batchnorm));
    OT_TRY(apply(f, "Add", fuse_sum));
    OT_TRY(apply(f, "Relu", fuse_activation));
    return apply(f, "Clip", fuse_activation);
}

ot_status ot_fuse(ot_graph *g)
{
    fuser f = { .g = g };
    size_t values = (size_t)g->n_value + 1;
    ot_status st = OT_ENOMEM;
    f.reads = ot_calloc(values, sizeof(*f.reads));
    f.at = ot_calloc(values, sizeof(*f.at));
    f.gone = ot_calloc((size_t)g->n_node + 1, sizeof(*f.gone));
    if (f.reads && f.at && f.gone) {
        look_around(&f);
        st = apply_all(&f);
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < g->n_node && st == OT_OK; i++)
        if (!f.gone[i])
            g->node[kept++] = g->node[i];
    if (st == OT_OK)
        g->n_node = kept;
    ot_free(f.reads);
    ot_free(f.at);
    ot_free(f.gone);
    return st;
}

ot_status ot_graph_finish(ot_graph *g)
{
    OT_TRY(ot_fuse(g));
    if (ot_graph_walks(g)) /* values of a walk lie in ONNX's order */
        return OT_OK;
    OT_TRY(ot_block_layout(g));
    return ot_chain(g);
}

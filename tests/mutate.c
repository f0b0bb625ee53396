#include "mutate_parts.h"

#include "op.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Random nodes -------------------------------------------------------------------------------------------- */

/* Of the operators that models may use: internal ones are tried now and then, and must be refused. */
static const char *some_operator(mutate_rng *r, const char **domain, int *n_in, int *n_out)
{
    int count;
    const ot_op *const *all = ot_all_ops(&count);
    for (;;) {
        const ot_op *op = all[mutate_below(r, count)];
        if (op->domain[0] && !one_in(r, 40))
            continue;
        int most_in = op->max_in == OT_MANY ? (one_in(r, 6) ? 40 : 4) : op->max_in;
        int most_out = op->max_out == OT_MANY ? (one_in(r, 6) ? 40 : 3) : op->max_out;
        *domain = op->domain;
        *n_in = op->min_in + (int)mutate_below(r, most_in - op->min_in + 1 > 0 ? most_in - op->min_in + 1 : 1);
        *n_out = op->min_out + (int)mutate_below(r, most_out - op->min_out + 1 > 0 ? most_out - op->min_out + 1 : 1);
        if (one_in(r, 60))
            *n_in += 1;
        return op->name;
    }
}

static ot_status add_constant(ot_model *m, const char *name, int rank, const int64_t *dim, ot_dtype dtype,
                              mutate_rng *r)
{
    ot_tensor *t;
    OT_TRY(ot_tensor_create(&t, dtype, rank, dim));
    mutate_fill(t, r);
    ot_status st = ot_model_add_initializer(m, name, t);
    ot_tensor_free(t);
    return st;
}

static ot_status add_input(ot_model *m, const char *name, int rank, const int64_t *dim, ot_dtype dtype, mutate_rng *r)
{
    ot_doc_dim d[OT_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        d[i] = (ot_doc_dim){ dim[i], NULL };
        if (one_in(r, 4))
            d[i] = (ot_doc_dim){ -1, one_in(r, 2) ? "N" : NULL };
        else if (one_in(r, 60))
            d[i].size = mutate_number(r);
    }
    Onnx__ValueInfoProto *v = ot_append(&m->proto->graph->base, "input");
    OT_TRY(v ? ot_set_string(&v->name, name) : OT_ENOMEM);
    return ot_set_value_type(v, dtype, rank, d);
}

/* A value for an input: made before, or a new constant or graph input, often of the shape that most others have. */
static ot_status some_value(ot_model *m, char *name, int made, int rank, const int64_t *dim, mutate_rng *r)
{
    int64_t own[OT_MAX_RANK], own_rank = rank;
    ot_dtype dtype = one_in(r, 4) ? mutate_dtype(r) : OT_FLOAT;
    if (one_in(r, 25)) {
        *name = 0;
        return OT_OK;
    }
    if (made && one_in(r, 2)) {
        snprintf(name, 24, "v%d", (int)mutate_below(r, made));
        return OT_OK;
    }
    memcpy(own, dim, (size_t)rank * sizeof(*dim));
    if (one_in(r, 4)) { /* a list of small integers: a shape, axes, ends */
        own_rank = 1;
        own[0] = mutate_below(r, 5);
        dtype = OT_INT64;
    } else if (one_in(r, 3)) {
        own_rank = mutate_dims(r, own, one_in(r, 2) ? rank : -1);
    } else if (one_in(r, 8)) {
        own_rank = 0;
    }
    snprintf(name, 24, "t%zu", m->proto->graph->n_initializer + 1000 * m->proto->graph->n_input);
    return one_in(r, 2) ? add_constant(m, name, (int)own_rank, own, dtype, r)
                        : add_input(m, name, (int)own_rank, own, dtype, r);
}

static ot_status add_random_node(ot_model *m, int *made, int rank, const int64_t *dim, mutate_rng *r)
{
    static char in[64][24], out[64][24];
    const char *in_p[64], *out_p[64], *domain, *name;
    int n_in, n_out;
    name = some_operator(r, &domain, &n_in, &n_out);
    bool many = n_in > 8;
    for (int i = 0; i < n_in; i++) {
        in_p[i] = in[i];
        if (many && i > 1)
            snprintf(in[i], sizeof(in[i]), "%s", in[i % 2]);
        else
            OT_TRY(some_value(m, in[i], *made, rank, dim, r));
    }
    for (int i = 0; i < n_out; i++) {
        snprintf(out[i], sizeof(out[i]), "v%d", *made + i);
        out_p[i] = out[i];
    }
    Onnx__NodeProto *n = ot_append_node(m->proto->graph, name, one_in(r, 2) ? "a node" : "", n_in, in_p, n_out, out_p);
    if (!n)
        return OT_ENOMEM;
    if (domain[0])
        OT_TRY(ot_set_string(&n->domain, domain));
    for (int64_t i = mutate_below(r, 4); i > 0; i--)
        OT_TRY(mutate_attr(m, n, r));
    *made += n_out;
    return OT_OK;
}

ot_status mutate_soup(ot_model **out, mutate_rng *r)
{
    static const int64_t opsets[] = { 1, 6, 7, 9, 10, 11, 12, 13, 13, 17, 18, 20, 21, 22, 24, 27, 28 };
    int64_t dim[OT_MAX_RANK];
    int made = 0, rank = mutate_dims(r, dim, -1);
    ot_model *m;
    *out = NULL;
    OT_TRY(ot_model_empty(&m, opsets[mutate_below(r, (int64_t)(sizeof(opsets) / sizeof(opsets[0])))]));
    ot_status st = one_in(r, 20) ? ot_model_set_opset(m, OT_INTERNAL, 1) : OT_OK;
    for (int64_t i = 1 + mutate_below(r, 5); i > 0 && st == OT_OK; i--)
        st = add_random_node(m, &made, rank, dim, r);
    for (int64_t i = 0; i < 2 && st == OT_OK; i++) {
        char name[24];
        snprintf(name, sizeof(name), "v%d", (int)mutate_below(r, made ? made : 1));
        if (i == 0)
            snprintf(name, sizeof(name), "v%d", made - 1);
        if (i == 0 || one_in(r, 2))
            st = ot_append_output(m->proto->graph, name, OT_FLOAT, 0, NULL) ? OT_OK : OT_ENOMEM;
    }
    if (st == OT_OK)
        *out = m;
    else
        ot_model_close(m);
    return st;
}

/* ---- A classifier ---------------------------------------------------------------------------------------------- */

/* The layers between the picture and the head keep [N,4,h,w]. */
static ot_status add_layer(ot_model *m, int i, mutate_rng *r)
{
    static const char *const ops[] = { "Conv",    "Relu",        "BatchNormalization",
                                       "MaxPool", "AveragePool", "Sigmoid",
                                       "Dropout", "LRN",         "Softmax",
                                       "Tanh",    "Mul",         "PRelu",
                                       "Pad",     "Elu",         "Transpose",
                                       "Clip",    "ReduceMean",  "Add" };
    const char *op = ops[mutate_below(r, (int64_t)(sizeof(ops) / sizeof(ops[0])))];
    char x[24], y[24], w[5][24];
    snprintf(x, sizeof(x), "h%d", i);
    snprintf(y, sizeof(y), "h%d", i + 1);
    const char *in[6] = { x, w[0], w[1], w[2], w[3], w[4] }, *out[1] = { y };
    int weights = 0, n_in = 1;
    int64_t dim[4] = { 4, 4, 3, 3 };
    int rank = 1;
    if (strcmp(op, "Conv") == 0)
        weights = 1, rank = 4;
    else if (strcmp(op, "BatchNormalization") == 0)
        weights = 4;
    else if (strcmp(op, "Mul") == 0 || strcmp(op, "PRelu") == 0)
        weights = 1, rank = 3, dim[1] = dim[2] = 1;
    else if (strcmp(op, "Add") == 0)
        in[1] = x, n_in = 2;
    for (int k = 0; k < weights; k++, n_in++) {
        snprintf(w[k], sizeof(w[k]), "w%d_%d", i, k);
        OT_TRY(add_constant(m, w[k], rank, dim, OT_FLOAT, r));
    }
    Onnx__NodeProto *n = ot_append_node(m->proto->graph, op, y, n_in, in, 1, out);
    if (!n)
        return OT_ENOMEM;
    if (strstr(op, "Pool") || strcmp(op, "Conv") == 0) {
        OT_TRY(ot_node_set_ints(n, "kernel_shape", 2, (const int64_t[]){ 3, 3 }));
        OT_TRY(ot_node_set_ints(n, "pads", 4, (const int64_t[]){ 1, 1, 1, 1 }));
    }
    if (strcmp(op, "LRN") == 0)
        OT_TRY(ot_node_set_int(n, "size", 3));
    if (strcmp(op, "Transpose") == 0)
        OT_TRY(ot_node_set_ints(n, "perm", 4, (const int64_t[]){ 0, 1, 3, 2 }));
    if (strcmp(op, "ReduceMean") == 0)
        OT_TRY(ot_node_set_ints(n, "axes", 1, (const int64_t[]){ 3 }));
    return OT_OK;
}

static ot_status build_classifier(ot_model *m, mutate_rng *r)
{
    int64_t stem[] = { 4, 3, 3, 3 }, fc[] = { 4, 3 };
    Onnx__ValueInfoProto *v = ot_append(&m->proto->graph->base, "input");
    OT_TRY(v ? ot_set_string(&v->name, "x") : OT_ENOMEM);
    OT_TRY(
        ot_set_value_type(v, OT_FLOAT, 4, (const ot_doc_dim[]){ { -1, "N" }, { 3, NULL }, { 8, NULL }, { 8, NULL } }));
    OT_TRY(add_constant(m, "stem", 4, stem, OT_FLOAT, r));
    OT_TRY(add_constant(m, "fc", 2, fc, OT_FLOAT, r));
    Onnx__GraphProto *g = m->proto->graph;
    int i = 0;
    bool ok = ot_append_node(g, "Conv", "c", 2, (const char *[]){ "x", "stem" }, 1, (const char *[]){ "h0" }) != NULL;
    for (int64_t n = mutate_below(r, 5); i < n && ok; i++)
        OT_TRY(add_layer(m, i, r));
    char last[24];
    snprintf(last, sizeof(last), "h%d", i);
    ok = ok && ot_append_node(g, "GlobalAveragePool", "p", 1, (const char *[]){ last }, 1, (const char *[]){ "p" }) &&
         ot_append_node(g, "Flatten", "f", 1, (const char *[]){ "p" }, 1, (const char *[]){ "f" }) &&
         ot_append_node(g, "MatMul", "m", 2, (const char *[]){ "f", "fc" }, 1, (const char *[]){ "y" }) &&
         ot_append_output(g, "y", OT_FLOAT, 2, (const ot_doc_dim[]){ { -1, "N" }, { 3, NULL } });
    return ok ? OT_OK : OT_ENOMEM;
}

ot_status mutate_classifier(ot_model **out, mutate_rng *r)
{
    ot_model *m;
    *out = NULL;
    OT_TRY(ot_model_empty(&m, 13));
    ot_status st = build_classifier(m, r);
    if (st == OT_OK)
        *out = m;
    else
        ot_model_close(m);
    return st;
}

/* ---- Changes -------------------------------------------------------------------------------------------------- */

static Onnx__NodeProto *some_node(const Onnx__GraphProto *g, mutate_rng *r)
{
    return g->n_node ? g->node[mutate_below(r, (int64_t)g->n_node)] : NULL;
}

/* The name of any value of the graph. */
static const char *some_name(const Onnx__GraphProto *g, mutate_rng *r)
{
    const Onnx__NodeProto *n = some_node(g, r);
    if (one_in(r, 12))
        return (const char *[]){ "", "none", "new\nline", "%s%n" }[mutate_below(r, 4)];
    if (g->n_initializer && one_in(r, 3))
        return ot_text(g->initializer[mutate_below(r, (int64_t)g->n_initializer)]->name);
    if (n && n->n_output)
        return ot_text(n->output[mutate_below(r, (int64_t)n->n_output)]);
    return g->n_input ? ot_text(g->input[0]->name) : "x";
}

static ot_status change_names(Onnx__GraphProto *g, mutate_rng *r)
{
    Onnx__NodeProto *n = some_node(g, r);
    char copy[256];
    if (!n)
        return OT_OK;
    snprintf(copy, sizeof(copy), "%s", some_name(g, r));
    switch (mutate_below(r, 6)) {
    case 0:
    case 1:
        return n->n_input ? ot_set_string(&n->input[mutate_below(r, (int64_t)n->n_input)], copy) : OT_OK;
    case 2:
        return ot_append_string(&n->n_input, &n->input, copy);
    case 3:
        return n->n_output ? ot_set_string(&n->output[mutate_below(r, (int64_t)n->n_output)], copy) : OT_OK;
    case 4:
        return ot_append_string(&n->n_output, &n->output, copy);
    default:
        return g->n_output ? ot_set_string(&g->output[0]->name, copy) : OT_OK;
    }
}

static ot_status change_operator(Onnx__GraphProto *g, mutate_rng *r)
{
    Onnx__NodeProto *n = some_node(g, r);
    const char *domain;
    int n_in, n_out;
    if (!n)
        return OT_OK;
    if (one_in(r, 6)) {
        ot_remove(&g->base, "node", mutate_below(r, (int64_t)g->n_node));
        return OT_OK;
    }
    if (one_in(r, 6)) {
        ot_move(&g->base, "node", mutate_below(r, (int64_t)g->n_node), mutate_below(r, (int64_t)g->n_node));
        return OT_OK;
    }
    const char *name = some_operator(r, &domain, &n_in, &n_out);
    OT_TRY(ot_set_string(&n->op_type, name));
    return domain[0] ? ot_set_string(&n->domain, domain) : OT_OK;
}

static ot_status change_initializer(Onnx__GraphProto *g, mutate_rng *r)
{
    if (!g->n_initializer)
        return OT_OK;
    Onnx__TensorProto *t = g->initializer[mutate_below(r, (int64_t)g->n_initializer)];
    switch (mutate_below(r, 5)) {
    case 0:
        t->data_type = (int32_t)(one_in(r, 4) ? mutate_number(r) : mutate_below(r, 27));
        return OT_OK;
    case 1:
        if (t->n_dims)
            t->n_dims--;
        return OT_OK;
    case 2: /* the same count in another order */
        if (t->n_dims > 1) {
            int64_t a = mutate_below(r, (int64_t)t->n_dims), b = mutate_below(r, (int64_t)t->n_dims), d = t->dims[a];
            t->dims[a] = t->dims[b];
            t->dims[b] = d;
        }
        return OT_OK;
    default:
        if (t->n_dims)
            t->dims[mutate_below(r, (int64_t)t->n_dims)] = mutate_number(r);
        return OT_OK;
    }
}

static ot_status change_input(Onnx__GraphProto *g, mutate_rng *r)
{
    int64_t dim[OT_MAX_RANK];
    ot_doc_dim d[OT_MAX_RANK];
    if (!g->n_input)
        return OT_OK;
    Onnx__ValueInfoProto *v = g->input[mutate_below(r, (int64_t)g->n_input)];
    bool tensor = v->type && v->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    Onnx__TypeProto__Tensor *t = tensor ? v->type->tensor_type : NULL;
    if (!t || !t->shape || one_in(r, 5)) {
        int rank = mutate_dims(r, dim, -1);
        for (int i = 0; i < rank; i++)
            d[i] = (ot_doc_dim){ dim[i], NULL };
        return ot_set_value_type(v, mutate_dtype(r), rank, d);
    }
    if (t->shape->n_dim) {
        Onnx__TensorShapeProto__Dimension *x = t->shape->dim[mutate_below(r, (int64_t)t->shape->n_dim)];
        if (x->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
            x->dim_value = mutate_number(r);
    }
    return OT_OK;
}

static ot_status change_attr(ot_model *m, mutate_rng *r)
{
    Onnx__NodeProto *n = some_node(m->proto->graph, r);
    if (!n)
        return OT_OK;
    if (!n->n_attribute || one_in(r, 3))
        return mutate_attr(m, n, r);
    Onnx__AttributeProto *a = n->attribute[mutate_below(r, (int64_t)n->n_attribute)];
    switch (mutate_below(r, 5)) {
    case 0:
        a->type = (int32_t)mutate_below(r, 16);
        return OT_OK;
    case 1:
        a->n_ints -= a->n_ints > 0;
        return OT_OK;
    case 2:
        a->f = (float[]){ 0, -1, NAN, HUGE_VALF, -HUGE_VALF }[mutate_below(r, 5)];
        return OT_OK;
    default:
        a->i = mutate_number(r);
        if (a->n_ints)
            a->ints[mutate_below(r, (int64_t)a->n_ints)] = mutate_number(r);
        return OT_OK;
    }
}

static ot_status change(ot_model *m, mutate_rng *r)
{
    Onnx__GraphProto *g = m->proto->graph;
    switch (mutate_below(r, 10)) {
    case 0:
    case 1:
        return change_names(g, r);
    case 2:
    case 3:
        return change_operator(g, r);
    case 4:
    case 5:
        return change_initializer(g, r);
    case 6:
        return change_input(g, r);
    case 7:
        return one_in(r, 2) ? ot_model_set_opset(m, "", one_in(r, 4) ? mutate_number(r) : 1 + mutate_below(r, 29))
                            : change_attr(m, r);
    default:
        return change_attr(m, r);
    }
}

ot_status mutate_model(ot_model *m, mutate_rng *r)
{
    for (int64_t i = 1 + mutate_below(r, 3); i > 0; i--)
        OT_TRY(change(m, r));
    return OT_OK;
}

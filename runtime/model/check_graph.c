/* Graphs and nodes: names, order, operators. */
#include "model/check.h"
#include "model/schema.h"

#include <string.h>

/* ---- Nodes ------------------------------------------------------------------------------------------------- */

/* Operators of the first versions that were only tried: ONNX's checker lets them pass. */
static bool is_experimental(const Onnx__NodeProto *n)
{
    static const char *const names[] = { "ATen",
                                         "Affine",
                                         "ConstantFill",
                                         "Crop",
                                         "DynamicSlice",
                                         "GRUUnit",
                                         "GivenTensorFill",
                                         "ImageScaler",
                                         "ParametricSoftplus",
                                         "Scale",
                                         "ScaledTanh" };
    for (size_t i = 0; ot_same_domain(n->domain, "") && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], ot_text(n->op_type)) == 0)
            return true;
    return false;
}

static bool calls_function(const ot_checker *c, const Onnx__NodeProto *n)
{
    char key[1024];
    return ot_function_key(key, sizeof(key), n->domain, n->op_type, n->overload) &&
           ot_strmap_get(&c->functions, key, 0);
}

static void tell_schema(void *ctx, const char *text)
{
    ot_found(ctx, "%s", text);
}

/* ai.onnx.preview holds experiments: an operator that it does not list may be a newer one. */
static bool is_complete(const char *domain)
{
    return ot_schema_domain(domain) && strcmp(domain, "ai.onnx.preview") != 0;
}

static void check_operator(ot_checker *c, const Onnx__NodeProto *n)
{
    const char *domain = ot_text(n->domain);
    int64_t version = ot_imported(&c->imports, domain);
    ot_schema s;
    if (version == 0)
        ot_found(c, "its domain '%.200s' is not imported", domain);
    else if (is_experimental(n) || calls_function(c, n))
        return;
    else if (ot_schema_find(&s, domain, ot_text(n->op_type), version))
        ot_schema_check_node(&s, n, tell_schema, c);
    else if (is_complete(domain))
        ot_found(c, "there is no such operator in version %lld of the domain '%s'", (long long)version, domain);
}

void ot_check_node(ot_checker *c, const Onnx__NodeProto *n, const ot_names *scope)
{
    ot_strmap seen = { 0 };
    if (!*ot_text(n->op_type)) {
        ot_found(c, "no operator");
        return;
    }
    if (!n->n_input && !n->n_output)
        ot_found(c, "neither inputs nor outputs");
    for (size_t i = 0; i < n->n_attribute; i++) {
        ot_check_once(c, &seen, "attribute", ot_text(n->attribute[i]->name));
        ot_check_attribute(c, n->attribute[i], scope);
    }
    ot_strmap_release(&seen);
    check_operator(c, n);
}

void ot_check_nodes(ot_checker *c, Onnx__NodeProto *const *node, size_t n, ot_names *scope)
{
    for (size_t i = 0; i < n && c->st == OT_OK; i++) {
        const Onnx__NodeProto *x = node[i];
        const char *name = *ot_text(x->name) || !x->n_output ? ot_text(x->name) : ot_text(x->output[0]);
        size_t at = ot_check_enter(c, "node %zu '%.100s' (%.60s)", i, name, ot_text(x->op_type));
        for (size_t k = 0; k < x->n_input; k++)
            if (*ot_text(x->input[k]) && !ot_names_sees(scope, x->input[k]))
                ot_found(c, "input %zu, '%.200s', is made by no node before this one", k, x->input[k]);
        ot_check_node(c, x, scope);
        for (size_t k = 0; k < x->n_output; k++) {
            const char *y = ot_text(x->output[k]);
            if (*y && ot_names_sees(scope, y))
                ot_found(c, "output %zu, '%.200s', is the name of another value", k, y);
            if (*y)
                ot_names_add(c, scope, y);
        }
        ot_check_leave(c, at);
    }
}

/* ---- Inputs, outputs, initializers ------------------------------------------------------------------------- */

static void check_value(ot_checker *c, const char *what, size_t i, const Onnx__ValueInfoProto *v, bool known)
{
    size_t at = ot_check_enter(c, "%s %zu '%.200s'", what, i, ot_text(v->name));
    if (!*ot_text(v->name))
        ot_found(c, "no name");
    if (v->type)
        ot_check_type(c, v->type, known);
    else if (known)
        ot_found(c, "no type");
    ot_check_leave(c, at);
}

static const Onnx__ValueInfoProto *find_input(const Onnx__GraphProto *g, const ot_strmap *inputs, const char *name)
{
    int64_t i = ot_strmap_get(inputs, name, 0);
    return i ? g->input[i - 1] : NULL;
}

/* An initializer is the default of the input of its name: they must agree. */
static void check_default(ot_checker *c, const Onnx__TensorProto *t, const Onnx__ValueInfoProto *v)
{
    if (!v->type || v->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !v->type->tensor_type)
        return;
    const Onnx__TypeProto__Tensor *type = v->type->tensor_type;
    if (type->elem_type && type->elem_type != t->data_type)
        ot_found(c, "element type %d, but the input of this name has %d", t->data_type, type->elem_type);
    if (!type->shape)
        return;
    if (type->shape->n_dim != t->n_dims) {
        ot_found(c, "rank %zu, but the input of this name has %zu", t->n_dims, type->shape->n_dim);
        return;
    }
    for (size_t i = 0; i < t->n_dims; i++) {
        const Onnx__TensorShapeProto__Dimension *d = type->shape->dim[i];
        if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && d->dim_value >= 0 &&
            d->dim_value != t->dims[i])
            ot_found(c, "dimension %zu is %lld, but that of the input of this name %lld", i, (long long)t->dims[i],
                     (long long)d->dim_value);
    }
}

static void check_initializers(ot_checker *c, const Onnx__GraphProto *g, const ot_strmap *inputs, ot_names *scope)
{
    ot_strmap seen = { 0 };
    for (size_t i = 0; i < g->n_initializer && c->st == OT_OK; i++) {
        const Onnx__TensorProto *t = g->initializer[i];
        const char *name = ot_text(t->name);
        const Onnx__ValueInfoProto *v = find_input(g, inputs, name);
        size_t at = ot_check_enter(c, "initializer %zu '%.200s'", i, name);
        if (!*name)
            ot_found(c, "no name");
        else
            ot_check_once(c, &seen, "the name", name);
        ot_check_tensor(c, t);
        if (v)
            check_default(c, t, v);
        else if (c->m->proto->ir_version <= 3)
            ot_found(c, "no input has its name, which IR version %lld asks for", (long long)c->m->proto->ir_version);
        ot_names_add(c, scope, name);
        ot_check_leave(c, at);
    }
    for (size_t i = 0; i < g->n_sparse_initializer && c->st == OT_OK; i++) {
        const Onnx__SparseTensorProto *s = g->sparse_initializer[i];
        const char *name = s->values ? ot_text(s->values->name) : "";
        size_t at = ot_check_enter(c, "sparse initializer %zu '%.200s'", i, name);
        if (!*name)
            ot_found(c, "no name");
        else
            ot_check_once(c, &seen, "the name", name);
        ot_check_sparse(c, s);
        ot_names_add(c, scope, name);
        ot_check_leave(c, at);
    }
    ot_strmap_release(&seen);
}

/* Names of quantization parameters: of values of the graph. */
static void check_annotations(ot_checker *c, const Onnx__GraphProto *g, const ot_names *scope)
{
    for (size_t i = 0; i < g->n_quantization_annotation; i++) {
        const Onnx__TensorAnnotation *a = g->quantization_annotation[i];
        ot_strmap keys = { 0 };
        size_t at = ot_check_enter(c, "quantization annotation %zu '%.200s'", i, ot_text(a->tensor_name));
        if (!ot_names_here(scope, ot_text(a->tensor_name)))
            ot_found(c, "the graph has no value of this name");
        for (size_t k = 0; k < a->n_quant_parameter_tensor_names; k++) {
            const Onnx__StringStringEntryProto *e = a->quant_parameter_tensor_names[k];
            ot_check_once(c, &keys, "the key", ot_text(e->key));
            if (!ot_names_here(scope, ot_text(e->value)))
                ot_found(c, "%.100s is '%.200s', and the graph has no such value", ot_text(e->key), ot_text(e->value));
        }
        ot_strmap_release(&keys);
        ot_check_leave(c, at);
    }
}

/* inputs: name to index + 1, which check_default looks up. */
static void check_inputs(ot_checker *c, const Onnx__GraphProto *g, ot_strmap *inputs, ot_names *scope, bool main_graph)
{
    for (size_t i = 0; i < g->n_input && c->st == OT_OK; i++) {
        const char *name = ot_text(g->input[i]->name);
        check_value(c, "input", i, g->input[i], main_graph);
        if (ot_names_here(scope, name))
            ot_found(c, "two inputs are called '%.200s'", name);
        ot_names_add(c, scope, name);
        c->st = c->st == OT_OK ? ot_strmap_put(inputs, name, (int64_t)i + 1) : c->st;
    }
}

void ot_check_graph(ot_checker *c, const Onnx__GraphProto *g, const ot_names *outer, bool main_graph, ot_strmap *made)
{
    ot_names scope = { .outer = outer };
    ot_strmap inputs = { 0 };
    size_t at = c->at;
    if (!*ot_text(g->name))
        ot_found(c, "the graph has no name");
    if (outer || c->at)
        at = ot_check_enter(c, "graph '%.100s'", ot_text(g->name));
    check_inputs(c, g, &inputs, &scope, main_graph);
    check_initializers(c, g, &inputs, &scope);
    ot_check_nodes(c, g->node, g->n_node, &scope);
    for (size_t i = 0; i < g->n_output; i++) {
        check_value(c, "output", i, g->output[i], main_graph);
        if (*ot_text(g->output[i]->name) && !ot_names_here(&scope, g->output[i]->name))
            ot_found(c, "output %zu, '%.200s', is made by no node", i, g->output[i]->name);
    }
    check_annotations(c, g, &scope);
    ot_check_leave(c, at);
    ot_strmap_release(&inputs);
    if (made)
        *made = scope.names;
    else
        ot_strmap_release(&scope.names);
}

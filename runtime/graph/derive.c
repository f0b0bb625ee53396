#include "graph/derive.h"
#include "graph/layers.h"

#include <stdio.h>
#include <string.h>

#define MOST_OF_A_NODE (1 << 20) /* inputs or outputs */

typedef struct deriver {
    const ot_model *m;
    const ot_derive_opts *o;
    ot_build b;
    ot_dim batch; /* the symbol that a literal 1 became; 0: none */
} deriver;

ot_status ot_derive_node(ot_build *b, const ot_op *op, int opset, const char *name, const ot_attr *attr, int n_in,
                         const ot_val *in, int n_out, ot_val *out, const char *const *out_names, bool for_gradient)
{
    bool expand = op->compose && (!op->cpu || (for_gradient && !op->grad));
    void (*rewrite)(ot_build *) = op->normalise ? op->normalise : expand ? op->compose : NULL;
    ot_val *absent = ot_arena_calloc(&b->g->arena, (size_t)n_out + 1, sizeof(*absent));
    ot_val *in_copy = ot_arena_memdup(&b->g->arena, in, (size_t)n_in * sizeof(*in));
    if (!absent || !in_copy)
        return OT_ENOMEM;
    for (int i = 0; i < n_out; i++)
        out[i] = absent[i] = OT_NONE;
    for (; rewrite; rewrite = rewrite == op->normalise && expand ? op->compose : NULL) {
        ot_node n = { .op = op,
                      .name = name,
                      .attr = attr,
                      .n_in = n_in,
                      .n_out = n_out,
                      .in = in_copy,
                      .out = absent,
                      .layer = b->layer,
                      .opset = opset };
        bool rewritten = false;
        b->node = &n;
        b->prefix = name;
        b->made = 0;
        b->becomes = out;
        rewrite(b);
        b->node = NULL;
        b->becomes = NULL;
        if (b->st != OT_OK)
            return ot_context(b->st, "node '%s' (%s-%d)", name, op->name, opset);
        for (int i = 0; i < n_out; i++)
            rewritten |= out[i] != OT_NONE;
        if (rewritten)
            return OT_OK;
    }
    return ot_add_node(b, op, opset, name, attr, n_in, in, n_out, out, out_names);
}

/* ---- Types, tensors, attributes -----------------------------------------------------------------------------------
 */

static ot_status fact_of_type(deriver *d, ot_fact *f, const Onnx__TypeProto *type, const char *name)
{
    ot_infer c = { .graph = d->b.g };
    *f = (ot_fact){ .kind = OT_TENSOR, .rank = -1 };
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type)
        return ot_fail(OT_EUNSUPPORTED, "input '%s' is not a tensor", name);
    f->dtype = (ot_dtype)type->tensor_type->elem_type;
    if (!ot_dtype_bits(f->dtype) && f->dtype != OT_STRING)
        return ot_fail(OT_EMODEL, "input '%s' has element type %d", name, (int)f->dtype);
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    if (!shape)
        return OT_OK;
    if (shape->n_dim > OT_MAX_RANK)
        return ot_fail(OT_EUNSUPPORTED, "input '%s' has rank %zu, at most %d is taken", name, shape->n_dim,
                       OT_MAX_RANK);
    f->rank = (int)shape->n_dim;
    for (int i = 0; i < f->rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0)
            f->dim[i] = dim->dim_value;
        else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && *ot_text(dim->dim_param))
            f->dim[i] = ot_symbol_named(d->b.g, dim->dim_param);
        else
            f->dim[i] = ot_dim_unknown(&c);
    }
    if (d->batch && f->rank > 0 && f->dim[0] == 1)
        f->dim[0] = d->batch;
    return OT_OK;
}

/* A view of the proto's data that lives as long as the graph. */
static ot_status take_tensor(deriver *d, ot_tensor *view, const Onnx__TensorProto *t)
{
    bool owned;
    OT_TRY(ot_model_tensor(d->m, t, view, &owned));
    ot_status st = ot_check_span(view->rank, view->dim);
    if (st != OT_OK) {
        if (owned)
            ot_tensor_release(view);
        return ot_context(st, "tensor '%s'", ot_text(t->name));
    }
    if (!owned)
        return OT_OK;
    ot_tensor *keep = ot_malloc(1, sizeof(*keep));
    ot_graph *g = d->b.g;
    if (!keep || ot_grow(&g->owned, g->n_owned, &g->cap_owned, sizeof(*g->owned)) != OT_OK) {
        ot_free(keep);
        ot_tensor_release(view);
        return OT_ENOMEM;
    }
    *keep = *view;
    g->owned[g->n_owned++] = keep;
    return OT_OK;
}

static ot_status take_attr(deriver *d, ot_attr *out, const Onnx__AttributeProto *a)
{
    ot_arena *arena = &d->b.g->arena;
    *out = (ot_attr){ .name = ot_arena_strdup(arena, ot_text(a->name)) };
    if (!out->name)
        return OT_ENOMEM;
    if (a->n_ints > INT32_MAX || a->n_floats > INT32_MAX)
        return ot_fail(OT_EUNSUPPORTED, "attribute '%s' has %zu entries", out->name,
                       a->n_ints > a->n_floats ? a->n_ints : a->n_floats);
    switch (a->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        out->type = OT_ATTR_INT;
        out->i = a->i;
        return OT_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        out->type = OT_ATTR_FLOAT;
        out->f = (double)a->f;
        return OT_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING: {
        char *s = ot_arena_calloc(arena, a->s.len + 1, 1);
        if (!s)
            return OT_ENOMEM;
        if (a->s.len)
            memcpy(s, a->s.data, a->s.len);
        out->type = OT_ATTR_STRING;
        out->s = s;
        return OT_OK;
    }
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        out->type = OT_ATTR_INTS;
        out->n = (int)a->n_ints;
        out->ints = ot_arena_memdup(arena, a->ints, a->n_ints * sizeof(*a->ints));
        return out->ints ? OT_OK : OT_ENOMEM;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        out->type = OT_ATTR_FLOATS;
        out->n = (int)a->n_floats;
        out->floats = ot_arena_memdup(arena, a->floats, a->n_floats * sizeof(*a->floats));
        return out->floats ? OT_OK : OT_ENOMEM;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR: {
        ot_tensor *t = ot_arena_calloc(arena, 1, sizeof(*t));
        if (!t)
            return OT_ENOMEM;
        if (!a->t)
            return ot_fail(OT_EMODEL, "attribute '%s' holds no tensor", out->name);
        out->type = OT_ATTR_TENSOR;
        out->tensor = t;
        return take_tensor(d, t, a->t);
    }
    default:
        return ot_fail(OT_EUNSUPPORTED, "attribute '%s' has type %d, which no operator here takes", out->name,
                       (int)a->type);
    }
}

static ot_status take_attrs(deriver *d, const ot_attr **out, const Onnx__NodeProto *n)
{
    ot_attr *list = ot_arena_calloc(&d->b.g->arena, n->n_attribute + 1, sizeof(*list));
    if (!list)
        return OT_ENOMEM;
    for (size_t i = 0; i < n->n_attribute; i++) {
        OT_TRY(take_attr(d, &list[i], n->attribute[i]));
        for (size_t k = 0; k < i; k++)
            if (strcmp(list[k].name, list[i].name) == 0)
                return ot_fail(OT_EMODEL, "attribute '%s' is given twice", list[i].name);
    }
    *out = list;
    return OT_OK;
}

/* ---- Names --------------------------------------------------------------------------------------------------------
 */

static ot_status name_value(deriver *d, const char *name, ot_val v)
{
    if (v == OT_NONE)
        return OT_ENOMEM;
    if (ot_graph_find(d->b.g, name) != OT_NONE)
        return ot_fail(OT_EMODEL, "the value '%s' is made twice", name);
    return ot_strmap_put(&d->b.g->by_name, name, v);
}

static ot_origin origin_of(const deriver *d, const char *name)
{
    return d->o->slots && ot_strmap_get(d->o->slots, name, -1) >= 0 ? OT_FROM_SLOT : OT_FROM_CONSTANT;
}

static ot_status take_initializers(deriver *d)
{
    const Onnx__GraphProto *g = d->m->proto->graph;
    if (g->n_sparse_initializer)
        return ot_fail(OT_EUNSUPPORTED, "%zu sparse initializers", g->n_sparse_initializer);
    for (size_t i = 0; i < g->n_initializer; i++) {
        const char *name = ot_text(g->initializer[i]->name);
        ot_tensor t;
        OT_TRY(take_tensor(d, &t, g->initializer[i]));
        OT_TRY(name_value(d, name, ot_graph_tensor(d->b.g, name, origin_of(d, name), &t)));
    }
    return OT_OK;
}

static ot_status take_inputs(deriver *d)
{
    const Onnx__GraphProto *g = d->m->proto->graph;
    for (size_t i = 0; i < g->n_input; i++) {
        const char *name = ot_text(g->input[i]->name);
        ot_fact f;
        if (ot_graph_find(d->b.g, name) != OT_NONE)
            continue; /* an initialiser gives its value */
        OT_TRY(fact_of_type(d, &f, g->input[i]->type, name));
        OT_TRY(name_value(d, name, ot_graph_input(d->b.g, name, &f)));
    }
    return OT_OK;
}

/* ---- Nodes --------------------------------------------------------------------------------------------------------
 */

static bool is_constant_node(const Onnx__NodeProto *n)
{
    return ot_same_domain(n->domain, "") && strcmp(ot_text(n->op_type), "Constant") == 0;
}

/* Constant: exactly one of its attributes, as a tensor. */
static ot_status constant_value(deriver *d, ot_tensor *t, const ot_attr *attr)
{
    ot_arena *arena = &d->b.g->arena;
    if (!attr->name || attr[1].name)
        return ot_fail(OT_EMODEL, "a Constant has one value attribute");
    switch (attr->type) {
    case OT_ATTR_TENSOR:
        *t = *attr->tensor;
        return OT_OK;
    case OT_ATTR_INT:
        *t = (ot_tensor){ .dtype = OT_INT64, .data = ot_arena_memdup(arena, &attr->i, sizeof(attr->i)) };
        break;
    case OT_ATTR_FLOAT: {
        float f = (float)attr->f;
        *t = (ot_tensor){ .dtype = OT_FLOAT, .data = ot_arena_memdup(arena, &f, sizeof(f)) };
        break;
    }
    case OT_ATTR_INTS:
        *t = (ot_tensor){ .dtype = OT_INT64, .rank = 1, .dim = { attr->n } };
        t->data = ot_arena_memdup(arena, attr->ints, (size_t)attr->n * sizeof(*attr->ints));
        break;
    case OT_ATTR_FLOATS:
        *t = (ot_tensor){ .dtype = OT_FLOAT, .rank = 1, .dim = { attr->n } };
        t->data = ot_arena_memdup(arena, attr->floats, (size_t)attr->n * sizeof(*attr->floats));
        break;
    default:
        return ot_fail(OT_EUNSUPPORTED, "the Constant attribute '%s'", attr->name);
    }
    return t->data ? OT_OK : OT_ENOMEM;
}

static ot_status take_constant(deriver *d, const Onnx__NodeProto *n)
{
    const ot_attr *attr;
    ot_tensor t;
    if (n->n_output != 1)
        return ot_fail(OT_EMODEL, "a Constant has one output, not %zu", n->n_output);
    OT_TRY(take_attrs(d, &attr, n));
    OT_TRY(constant_value(d, &t, attr));
    const char *name = ot_text(n->output[0]);
    return name_value(d, name, ot_graph_tensor(d->b.g, name, origin_of(d, name), &t));
}

/* A Reshape to [1, ...] of a value whose literal batch was freed keeps the batch: 1 becomes 0, "as the input has it".
 */
static ot_status free_reshape(deriver *d, ot_val *in, int n_in)
{
    if (n_in < 2 || in[0] == OT_NONE || in[1] == OT_NONE)
        return OT_OK;
    const ot_fact *x = &d->b.g->value[in[0]].fact;
    const ot_tensor *shape = d->b.g->value[in[1]].tensor;
    bool const_shape = d->b.g->value[in[1]].origin == OT_FROM_CONSTANT && shape->dtype == OT_INT64 && shape->rank == 1;
    if (x->rank < 1 || x->dim[0] != d->batch || !const_shape || shape->dim[0] < 1 || shape->dim[0] > OT_MAX_RANK ||
        ((const int64_t *)shape->data)[0] != 1)
        return OT_OK;
    int64_t target[OT_MAX_RANK];
    memcpy(target, shape->data, (size_t)shape->dim[0] * sizeof(*target));
    target[0] = 0;
    d->b.prefix = d->b.g->value[in[1]].name;
    in[1] = ot_const_ints(&d->b, (int)shape->dim[0], target);
    return d->b.st;
}

static ot_status bind_operator(deriver *d, const ot_op **op, int *opset, const Onnx__NodeProto *n)
{
    const char *domain = ot_same_domain(n->domain, "") ? "" : n->domain;
    int64_t version = ot_model_opset(d->m, domain);
    if (strcmp(domain, OT_INTERNAL) == 0) /* their rules trust the gradients that emit them */
        return ot_fail(OT_EUNSUPPORTED, "operator '%s' is of the domain '%s', which models cannot use",
                       ot_text(n->op_type), domain);
    if (version == 0)
        return ot_fail(OT_EMODEL, "the domain '%s' of operator '%s' is not imported", domain, ot_text(n->op_type));
    *opset = version > INT32_MAX ? INT32_MAX : (int)version;
    return ot_find_op(op, domain, ot_text(n->op_type), *opset);
}

static ot_status take_node(deriver *d, const Onnx__NodeProto *n)
{
    const ot_op *op;
    const ot_attr *attr;
    int opset = 0;
    ot_arena *arena = &d->b.g->arena;
    OT_TRY(bind_operator(d, &op, &opset, n));
    OT_TRY(take_attrs(d, &attr, n));
    if (n->n_input > MOST_OF_A_NODE || n->n_output > MOST_OF_A_NODE)
        return ot_fail(OT_EUNSUPPORTED, "%zu inputs and %zu outputs, at most %d are taken", n->n_input, n->n_output,
                       MOST_OF_A_NODE);
    ot_val *in = ot_arena_calloc(arena, n->n_input + 1, sizeof(*in));
    ot_val *out = ot_arena_calloc(arena, n->n_output + 1, sizeof(*out));
    const char **names = ot_arena_calloc(arena, n->n_output + 1, sizeof(*names));
    if (!in || !out || !names)
        return OT_ENOMEM;
    for (size_t i = 0; i < n->n_input; i++) {
        const char *name = ot_text(n->input[i]);
        in[i] = *name ? ot_graph_find(d->b.g, name) : OT_NONE;
        if (*name && in[i] == OT_NONE)
            return ot_fail(OT_EMODEL, "input '%s' is made by no node before this one", name);
    }
    for (size_t i = 0; i < n->n_output; i++)
        names[i] = ot_text(n->output[i]);
    if (d->batch && strcmp(op->name, "Reshape") == 0)
        OT_TRY(free_reshape(d, in, (int)n->n_input));
    OT_TRY(ot_derive_node(&d->b, op, opset, ot_node_name(n), attr, (int)n->n_input, in, (int)n->n_output, out, names,
                          d->o->for_gradient));
    for (size_t i = 0; i < n->n_output; i++) {
        if (*names[i] && out[i] == OT_NONE)
            return ot_fail(OT_EUNSUPPORTED, "output %zu ('%s') of %s-%d is not made", i, names[i], op->name, opset);
        if (*names[i])
            OT_TRY(name_value(d, names[i], out[i]));
    }
    return OT_OK;
}

static ot_status take_nodes(deriver *d)
{
    const Onnx__GraphProto *g = d->m->proto->graph;
    int layer = 0;
    for (size_t i = 0; i < g->n_node; i++) {
        const Onnx__NodeProto *n = g->node[i];
        d->b.layer = ot_is_layer(n) ? layer++ : -1;
        ot_status st = is_constant_node(n) ? take_constant(d, n) : take_node(d, n);
        if (st != OT_OK)
            return strncmp(ot_last_error(), "node '", 6) == 0
                       ? st
                       : ot_context(st, "node '%s' (%s)", ot_node_name(n), ot_text(n->op_type));
    }
    return OT_OK;
}

/* Every operator that is not here, once each with its count, before anything else is said. */
static ot_status report_missing(deriver *d)
{
    const Onnx__GraphProto *g = d->m->proto->graph;
    ot_strmap seen = { 0 };
    char list[512] = "";
    int64_t missing = 0;
    ot_status st = OT_OK;
    for (size_t i = 0; i < g->n_node && st == OT_OK; i++) {
        const ot_op *op;
        int opset;
        if (is_constant_node(g->node[i]) || bind_operator(d, &op, &opset, g->node[i]) == OT_OK)
            continue;
        const char *name = ot_text(g->node[i]->op_type);
        if (ot_strmap_get(&seen, name, 0) == 0) {
            size_t at = strlen(list);
            snprintf(list + at, sizeof(list) - at, "%s%s", missing++ ? ", " : "", name);
            if (missing == 1 && strncmp(ot_last_error(), "no operator", 11) != 0)
                snprintf(list, sizeof(list), "%.500s", ot_last_error());
        }
        st = ot_strmap_put(&seen, name, 1);
    }
    ot_strmap_release(&seen);
    if (st != OT_OK || !missing)
        return st;
    return ot_fail(OT_EUNSUPPORTED, "%lld operator%s missing: %s", (long long)missing, missing == 1 ? " is" : "s are",
                   list);
}

static ot_status take_outputs(deriver *d)
{
    const Onnx__GraphProto *g = d->m->proto->graph;
    if (g->n_output == 0)
        return ot_fail(OT_EMODEL, "the graph has no output");
    for (size_t i = 0; i < g->n_output; i++) {
        const char *name = ot_text(g->output[i]->name);
        ot_val v = ot_graph_find(d->b.g, name);
        if (v == OT_NONE)
            return ot_fail(OT_EMODEL, "the output '%s' is made by no node", name);
        OT_TRY(ot_graph_output(d->b.g, name, v));
    }
    return OT_OK;
}

static ot_status derive_once(ot_graph **out, const ot_model *m, const ot_derive_opts *opts, bool free_batch)
{
    deriver d = { .m = m, .o = opts };
    int64_t opset = ot_model_opset(m, "");
    *out = NULL;
    if (opset > OT_LATEST)
        return ot_fail(OT_EUNSUPPORTED, "the model is at opset %lld, this version knows up to %d", (long long)opset,
                       OT_LATEST);
    OT_TRY(ot_graph_create(&d.b.g));
    if (free_batch)
        d.batch = ot_symbol_named(d.b.g, "N");
    ot_status st = report_missing(&d);
    if (st == OT_OK)
        st = take_initializers(&d);
    if (st == OT_OK)
        st = take_inputs(&d);
    if (st == OT_OK)
        st = take_nodes(&d);
    if (st == OT_OK)
        st = take_outputs(&d);
    if (st == OT_OK)
        *out = d.b.g;
    else
        ot_graph_close(d.b.g);
    return st;
}

ot_status ot_derive(ot_graph **out, const ot_model *m, const ot_derive_opts *opts)
{
    if (opts->free_batch && derive_once(out, m, opts, true) == OT_OK)
        return OT_OK;
    return derive_once(out, m, opts, false); /* with a literal batch, or to say why it fails */
}

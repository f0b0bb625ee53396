#include "model/edit.h"

#include <stdio.h>
#include <string.h>

/* ---- Nodes ------------------------------------------------------------------------------------------------- */

Onnx__NodeProto *ot_append_node(Onnx__GraphProto *g, const char *op, const char *name, int n_in, const char *const *in,
                                int n_out, const char *const *out)
{
    Onnx__NodeProto *n = ot_append(&g->base, "node");
    if (!n)
        return NULL;
    ot_status st = ot_set_string(&n->op_type, op);
    if (st == OT_OK)
        st = ot_set_string(&n->name, name);
    for (int i = 0; st == OT_OK && i < n_in; i++)
        st = ot_append_string(&n->n_input, &n->input, in[i]);
    for (int i = 0; st == OT_OK && i < n_out; i++)
        st = ot_append_string(&n->n_output, &n->output, out[i]);
    if (st == OT_OK)
        return n;
    ot_remove(&g->base, "node", (int64_t)g->n_node - 1);
    return NULL;
}

static int64_t find_attr(const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(ot_text(node->attribute[i]->name), name) == 0)
            return (int64_t)i;
    return -1;
}

Onnx__AttributeProto *ot_node_attr(const Onnx__NodeProto *node, const char *name)
{
    int64_t i = find_attr(node, name);
    return i < 0 ? NULL : node->attribute[i];
}

/* The oldest files leave the attribute's type out, so the value's own presence counts. */
int64_t ot_node_int(const Onnx__NodeProto *node, const char *name, int64_t otherwise)
{
    const Onnx__AttributeProto *a = ot_node_attr(node, name);
    return a && a->has_i ? a->i : otherwise;
}

double ot_node_float(const Onnx__NodeProto *node, const char *name, double otherwise)
{
    const Onnx__AttributeProto *a = ot_node_attr(node, name);
    return a && a->has_f ? (double)a->f : otherwise;
}

void ot_node_remove_attr(Onnx__NodeProto *node, const char *name)
{
    int64_t i = find_attr(node, name);
    if (i >= 0)
        ot_remove(&node->base, "attribute", i);
}

/* A new attribute at the end; the caller fills it and then calls settle. */
static Onnx__AttributeProto *begin_attr(Onnx__NodeProto *node, const char *name, int type)
{
    Onnx__AttributeProto *a = ot_append(&node->base, "attribute");
    if (!a)
        return NULL;
    a->has_type = 1;
    a->type = type;
    if (ot_set_string(&a->name, name) == OT_OK)
        return a;
    ot_remove(&node->base, "attribute", (int64_t)node->n_attribute - 1);
    return NULL;
}

/* Drops the new attribute on failure, else an older one of the same name, whose place it takes. */
static ot_status settle(Onnx__NodeProto *node, ot_status st)
{
    int64_t last = (int64_t)node->n_attribute - 1;
    int64_t old = st == OT_OK ? find_attr(node, node->attribute[last]->name) : last;
    bool replaces = st == OT_OK && old != last;
    if (replaces || st != OT_OK)
        ot_remove(&node->base, "attribute", old);
    if (replaces)
        ot_move(&node->base, "attribute", last - 1, old);
    return st;
}

ot_status ot_node_set_int(Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *a = begin_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!a)
        return OT_ENOMEM;
    a->has_i = 1;
    a->i = value;
    return settle(node, OT_OK);
}

ot_status ot_node_set_float(Onnx__NodeProto *node, const char *name, float value)
{
    Onnx__AttributeProto *a = begin_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!a)
        return OT_ENOMEM;
    a->has_f = 1;
    a->f = value;
    return settle(node, OT_OK);
}

ot_status ot_node_set_string(Onnx__NodeProto *node, const char *name, const char *value)
{
    Onnx__AttributeProto *a = begin_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (!a)
        return OT_ENOMEM;
    a->s.data = (uint8_t *)ot_strdup(value);
    a->s.len = strlen(value);
    a->has_s = a->s.data != NULL;
    return settle(node, a->s.data ? OT_OK : OT_ENOMEM);
}

ot_status ot_node_set_ints(Onnx__NodeProto *node, const char *name, int n, const int64_t *value)
{
    Onnx__AttributeProto *a = begin_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    if (!a)
        return OT_ENOMEM;
    a->ints = ot_malloc((size_t)n, sizeof(*a->ints));
    if (!a->ints)
        return settle(node, OT_ENOMEM);
    memcpy(a->ints, value, (size_t)n * sizeof(*value));
    a->n_ints = (size_t)n;
    return settle(node, OT_OK);
}

ot_status ot_node_set_tensor(ot_model *m, Onnx__NodeProto *node, const char *name, const ot_tensor *value)
{
    Onnx__AttributeProto *a = begin_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    if (!a)
        return OT_ENOMEM;
    a->t = ot_new_message(&onnx__tensor_proto__descriptor);
    return settle(node, a->t ? ot_model_set_tensor(m, a->t, value, OT_SET_RESHAPE) : OT_ENOMEM);
}

/* ---- Types ------------------------------------------------------------------------------------------------- */

static ot_status fill_dim(Onnx__TensorShapeProto *shape, const ot_doc_dim *d)
{
    Onnx__TensorShapeProto__Dimension *p = ot_append(&shape->base, "dim");
    if (!p)
        return OT_ENOMEM;
    if (d->param) {
        OT_TRY(ot_set_string(&p->dim_param, d->param)); /* the union's other member is still zero */
        p->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    } else if (d->size >= 0) {
        p->dim_value = d->size;
        p->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    }
    return OT_OK;
}

static ot_status make_type(Onnx__TypeProto **out, ot_dtype dtype, int rank, const ot_doc_dim *dim)
{
    Onnx__TypeProto *type = ot_new_message(&onnx__type_proto__descriptor);
    if (!type)
        return OT_ENOMEM;
    Onnx__TypeProto__Tensor *t = ot_new_message(&onnx__type_proto__tensor__descriptor);
    ot_status st = t ? OT_OK : OT_ENOMEM;
    if (t) {
        type->tensor_type = t;
        type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
        t->has_elem_type = 1;
        t->elem_type = (int32_t)dtype;
        t->shape = ot_new_message(&onnx__tensor_shape_proto__descriptor);
        st = t->shape ? OT_OK : OT_ENOMEM;
    }
    for (int i = 0; st == OT_OK && i < rank; i++)
        st = fill_dim(t->shape, &dim[i]);
    if (st != OT_OK) {
        protobuf_c_message_free_unpacked(&type->base, &ot_proto_alloc);
        return st;
    }
    *out = type;
    return OT_OK;
}

ot_status ot_set_value_type(Onnx__ValueInfoProto *v, ot_dtype dtype, int rank, const ot_doc_dim *dim)
{
    Onnx__TypeProto *type;
    OT_TRY(make_type(&type, dtype, rank, dim));
    if (v->type)
        protobuf_c_message_free_unpacked(&v->type->base, &ot_proto_alloc);
    v->type = type;
    return OT_OK;
}

static Onnx__ValueInfoProto *append_value(Onnx__GraphProto *g, const char *field, const char *name, ot_dtype dtype,
                                          int rank, const ot_doc_dim *dim)
{
    Onnx__ValueInfoProto *v = ot_append(&g->base, field);
    if (!v)
        return NULL;
    ot_status st = ot_set_string(&v->name, name);
    if (st == OT_OK)
        st = ot_set_value_type(v, dtype, rank, dim);
    if (st == OT_OK)
        return v;
    ot_remove(&g->base, field, (int64_t)(strcmp(field, "output") == 0 ? g->n_output : g->n_input) - 1);
    return NULL;
}

Onnx__ValueInfoProto *ot_append_output(Onnx__GraphProto *g, const char *name, ot_dtype dtype, int rank,
                                       const ot_doc_dim *dim)
{
    return append_value(g, "output", name, dtype, rank, dim);
}

/* ---- The main graph ---------------------------------------------------------------------------------------- */

static int64_t find_input(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_input; i++)
        if (strcmp(ot_text(g->input[i]->name), name) == 0)
            return (int64_t)i;
    return -1;
}

ot_status ot_model_add_initializer(ot_model *m, const char *name, const ot_tensor *t)
{
    Onnx__GraphProto *g = m->proto->graph;
    if (ot_model_find_initializer(m, name))
        return ot_fail(OT_EARG, "there is an initializer '%s' already", name);
    Onnx__TensorProto *p = ot_append(&g->base, "initializer");
    if (!p)
        return OT_ENOMEM;
    ot_status st = ot_set_string(&p->name, name);
    if (st == OT_OK && m->proto->ir_version < 4 && find_input(g, name) < 0) {
        ot_doc_dim dim[OT_MAX_RANK];
        for (int i = 0; i < t->rank; i++)
            dim[i] = (ot_doc_dim){ t->dim[i], NULL };
        st = append_value(g, "input", name, t->dtype, t->rank, dim) ? OT_OK : OT_ENOMEM;
    }
    if (st == OT_OK)
        st = ot_model_set_tensor(m, p, t, OT_SET_RESHAPE);
    if (st != OT_OK)
        ot_model_remove_initializer(m, (int64_t)g->n_initializer - 1);
    return st;
}

void ot_model_remove_initializer(ot_model *m, int64_t i)
{
    Onnx__GraphProto *g = m->proto->graph;
    if (i < 0 || i >= (int64_t)g->n_initializer)
        return;
    int64_t input = find_input(g, ot_text(g->initializer[i]->name));
    if (input >= 0)
        ot_remove(&g->base, "input", input);
    const ot_payload *p = ot_model_payload(m, g->initializer[i]);
    if (p) {
        ot_payload *own = &m->payloads[p - m->payloads];
        ot_blob_drop(own->blob);
        *own = (ot_payload){ 0 };
    }
    ot_remove(&g->base, "initializer", i);
}

ot_status ot_model_set_opset(ot_model *m, const char *domain, int64_t version)
{
    Onnx__ModelProto *p = m->proto;
    Onnx__OperatorSetIdProto *o = NULL;
    for (size_t i = 0; i < p->n_opset_import; i++)
        if (ot_same_domain(p->opset_import[i]->domain, domain))
            o = p->opset_import[i];
    if (!o) {
        o = ot_append(&p->base, "opset_import");
        if (!o)
            return OT_ENOMEM;
        if (ot_set_string(&o->domain, domain) != OT_OK) {
            ot_remove(&p->base, "opset_import", (int64_t)p->n_opset_import - 1);
            return OT_ENOMEM;
        }
    }
    o->has_version = 1;
    o->version = version;
    return OT_OK;
}

/* ---- Names ------------------------------------------------------------------------------------------------- */

static bool taken(const Onnx__GraphProto *g, const char *name);

static bool taken_in_node(const Onnx__NodeProto *n, const char *name)
{
    if (strcmp(ot_text(n->name), name) == 0)
        return true;
    for (size_t k = 0; k < n->n_input; k++)
        if (strcmp(n->input[k], name) == 0)
            return true;
    for (size_t k = 0; k < n->n_output; k++)
        if (strcmp(n->output[k], name) == 0)
            return true;
    for (size_t k = 0; k < n->n_attribute; k++) {
        const Onnx__AttributeProto *a = n->attribute[k];
        if (a->g && taken(a->g, name))
            return true;
        for (size_t i = 0; i < a->n_graphs; i++)
            if (taken(a->graphs[i], name))
                return true;
    }
    return false;
}

static bool taken(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_node; i++)
        if (taken_in_node(g->node[i], name))
            return true;
    for (size_t i = 0; i < g->n_initializer; i++)
        if (strcmp(ot_text(g->initializer[i]->name), name) == 0)
            return true;
    for (size_t i = 0; i < g->n_output; i++)
        if (strcmp(ot_text(g->output[i]->name), name) == 0)
            return true;
    return find_input(g, name) >= 0;
}

char *ot_unique_name(const Onnx__GraphProto *g, const char *base)
{
    size_t room = strlen(base) + 24;
    char *name = ot_malloc(room, 1);
    if (!name)
        return NULL;
    snprintf(name, room, "%s", base);
    for (unsigned long i = 1; taken(g, name); i++)
        snprintf(name, room, "%s_%lu", base, i);
    return name;
}

ot_status ot_model_empty(ot_model **out, int64_t opset)
{
    static const uint8_t bytes[] = { 0x08, 8, 0x3a, 0, 0x42, 2, 0x10, 1 }; /* ir_version, graph, opset_import */
    OT_TRY(ot_model_open_memory(out, bytes, sizeof(bytes)));
    ot_status st = ot_model_set_opset(*out, "", opset);
    if (st != OT_OK) {
        ot_model_close(*out);
        *out = NULL;
    }
    return st;
}

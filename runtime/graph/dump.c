#include "graph/dump.h"
#include "model/edit.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_ELEMENTS 64 /* of a constant */

/* Values may share a name (a node's output and its gradient's do not, but folded ones may): the index tells them apart.
 */
static const char *name_of(const ot_graph *g, ot_val v, char *text, size_t n)
{
    if (v == OT_NONE)
        return "";
    if (ot_graph_find(g, g->value[v].name) == v)
        return g->value[v].name;
    snprintf(text, n, "%.200s#%d", g->value[v].name, (int)v);
    return text;
}

static ot_status put_type(const ot_graph *g, Onnx__ValueInfoProto *info, const ot_fact *f)
{
    char text[OT_MAX_RANK][96];
    ot_doc_dim dim[OT_MAX_RANK];
    for (int i = 0; i < f->rank; i++) {
        bool open = ot_is_symbol(f->dim[i]);
        dim[i] = (ot_doc_dim){ open ? -1 : f->dim[i], NULL };
        if (open)
            dim[i].param = ot_dim_text(g, f->dim[i], text[i], sizeof(text[i]));
    }
    return f->rank < 0 ? OT_OK : ot_set_value_type(info, f->dtype, f->rank, dim);
}

static ot_status put_value(ot_model *m, const ot_graph *g, ot_val v, const char *field)
{
    char text[256];
    Onnx__ValueInfoProto *info = ot_append(&m->proto->graph->base, field);
    if (!info)
        return OT_ENOMEM;
    OT_TRY(ot_set_string(&info->name, name_of(g, v, text, sizeof(text))));
    return put_type(g, info, &g->value[v].fact);
}

static bool is_shown(const ot_value *v)
{
    return v->origin == OT_FROM_CONSTANT && ot_tensor_count(v->tensor) <= SHOWN_ELEMENTS;
}

static ot_status put_attr(ot_model *m, Onnx__NodeProto *node, const ot_attr *a)
{
    switch (a->type) {
    case OT_ATTR_INT:
        return ot_node_set_int(node, a->name, a->i);
    case OT_ATTR_FLOAT:
        return ot_node_set_float(node, a->name, (float)a->f);
    case OT_ATTR_STRING:
        return ot_node_set_string(node, a->name, a->s);
    case OT_ATTR_INTS:
        return ot_node_set_ints(node, a->name, a->n, a->ints);
    case OT_ATTR_TENSOR:
        return ot_node_set_tensor(m, node, a->name, a->tensor);
    default:
        return OT_OK; /* lists of floats, strings and graphs tell a viewer little */
    }
}

static ot_status put_node(ot_model *m, const ot_graph *g, const ot_node *n)
{
    char text[256];
    Onnx__NodeProto *node = ot_append_node(m->proto->graph, n->op->name, n->name, 0, NULL, 0, NULL);
    if (!node)
        return OT_ENOMEM;
    if (*n->op->domain)
        OT_TRY(ot_set_string(&node->domain, n->op->domain));
    for (int i = 0; i < n->n_in; i++)
        OT_TRY(ot_append_string(&node->n_input, &node->input, name_of(g, n->in[i], text, sizeof(text))));
    for (int i = 0; i < n->n_out; i++)
        OT_TRY(ot_append_string(&node->n_output, &node->output, name_of(g, n->out[i], text, sizeof(text))));
    for (const ot_attr *a = n->attr; a && a->name; a++)
        OT_TRY(put_attr(m, node, a));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] != OT_NONE)
            OT_TRY(put_value(m, g, n->out[i], "value_info"));
    return OT_OK;
}

/* Every constant and slot that a node still reads. */
static ot_status put_tensors(ot_model *m, const ot_graph *g, const bool *read)
{
    for (int64_t v = 0; v < g->n_value; v++) {
        const ot_value *value = &g->value[v];
        char text[256];
        if (!read[v] || (value->origin != OT_FROM_CONSTANT && value->origin != OT_FROM_SLOT))
            continue;
        if (is_shown(value))
            OT_TRY(ot_model_add_initializer(m, name_of(g, (ot_val)v, text, sizeof(text)), value->tensor));
        else
            OT_TRY(put_value(m, g, (ot_val)v, "input"));
    }
    return OT_OK;
}

static ot_status fill(ot_model *m, const ot_graph *g, bool *read)
{
    char text[256];
    OT_TRY(ot_set_string(&m->proto->producer_name, "onnxtune"));
    OT_TRY(ot_set_string(&m->proto->graph->name, "step"));
    OT_TRY(ot_model_set_opset(m, OT_INTERNAL, 1));
    for (int64_t i = 0; i < g->n_node; i++)
        for (int k = 0; k < g->node[i]->n_in; k++)
            if (g->node[i]->in[k] != OT_NONE)
                read[g->node[i]->in[k]] = true;
    for (int64_t i = 0; i < g->n_input; i++)
        OT_TRY(put_value(m, g, g->input[i], "input"));
    OT_TRY(put_tensors(m, g, read));
    for (int64_t i = 0; i < g->n_node; i++)
        OT_TRY(put_node(m, g, g->node[i]));
    for (int64_t i = 0; i < g->n_output; i++) {
        Onnx__ValueInfoProto *info = ot_append(&m->proto->graph->base, "output");
        if (!info)
            return OT_ENOMEM;
        OT_TRY(ot_set_string(&info->name, name_of(g, g->output[i].value, text, sizeof(text))));
        OT_TRY(put_type(g, info, &g->value[g->output[i].value].fact));
    }
    for (int64_t i = 0; i < g->n_binding; i++)
        OT_TRY(put_value(m, g, g->binding[i].value, "output"));
    return OT_OK;
}

ot_status ot_graph_save(const ot_graph *g, const char *path)
{
    ot_model *m;
    OT_TRY(ot_model_empty(&m, OT_LATEST));
    bool *read = ot_calloc((size_t)g->n_value + 1, sizeof(*read));
    ot_status st = read ? fill(m, g, read) : OT_ENOMEM;
    if (st == OT_OK)
        st = ot_model_save(m, path);
    ot_free(read);
    ot_model_close(m);
    return st;
}

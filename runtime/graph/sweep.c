#include "graph/surgery.h"
#include "base/strmap.h"

#include <string.h>

ot_status ot_model_change(ot_model *m, ot_status (*fn)(ot_model *clone, void *ctx), void *ctx)
{
    ot_model *c;
    OT_TRY(ot_model_clone(&c, m));
    ot_status st = fn(c, ctx);
    if (st == OT_OK) {
        ot_model old = *m;
        *m = *c;
        *c = old;
    }
    ot_model_close(c);
    return st;
}

static ot_status graph_reads(const Onnx__GraphProto *g, ot_status (*fn)(void *, const char *), void *ctx)
{
    for (size_t i = 0; i < g->n_node; i++)
        OT_TRY(ot_node_reads(g->node[i], fn, ctx));
    for (size_t i = 0; i < g->n_output; i++)
        OT_TRY(fn(ctx, ot_text(g->output[i]->name)));
    return OT_OK;
}

/* A name that a subgraph makes itself is told too: names are unique across a graph and those around it, so that keeps
 * nothing alive that is dead. */
ot_status ot_node_reads(const Onnx__NodeProto *n, ot_status (*fn)(void *ctx, const char *name), void *ctx)
{
    for (size_t i = 0; i < n->n_input; i++)
        if (*n->input[i])
            OT_TRY(fn(ctx, n->input[i]));
    for (size_t i = 0; i < n->n_attribute; i++) {
        const Onnx__AttributeProto *a = n->attribute[i];
        if (a->g)
            OT_TRY(graph_reads(a->g, fn, ctx));
        for (size_t k = 0; k < a->n_graphs; k++)
            OT_TRY(graph_reads(a->graphs[k], fn, ctx));
    }
    return OT_OK;
}

static ot_status need(void *ctx, const char *name)
{
    return ot_strmap_put(ctx, name, 1);
}

static bool is_needed(const ot_strmap *needed, const Onnx__NodeProto *n)
{
    for (size_t i = 0; i < n->n_output; i++)
        if (*n->output[i] && ot_strmap_get(needed, n->output[i], 0))
            return true;
    return false;
}

/* What the outputs need; nodes come in an order in which they can run, so one pass from the end finds all. */
static ot_status mark(ot_strmap *needed, const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_output; i++)
        OT_TRY(need(needed, ot_text(g->output[i]->name)));
    for (size_t i = g->n_node; i-- > 0;)
        if (is_needed(needed, g->node[i]))
            OT_TRY(ot_node_reads(g->node[i], need, needed));
    for (size_t i = 0; i < g->n_quantization_annotation; i++) { /* scales and zero points of what stays */
        const Onnx__TensorAnnotation *a = g->quantization_annotation[i];
        for (size_t k = 0; k < a->n_quant_parameter_tensor_names; k++)
            if (ot_strmap_get(needed, ot_text(a->tensor_name), 0))
                OT_TRY(need(needed, ot_text(a->quant_parameter_tensor_names[k]->value)));
    }
    return OT_OK;
}

static void drop_notes(Onnx__GraphProto *g, const ot_strmap *needed)
{
    for (size_t i = g->n_value_info; i-- > 0;)
        if (!ot_strmap_get(needed, ot_text(g->value_info[i]->name), 0))
            ot_remove(&g->base, "value_info", (int64_t)i);
    for (size_t i = g->n_quantization_annotation; i-- > 0;)
        if (!ot_strmap_get(needed, ot_text(g->quantization_annotation[i]->tensor_name), 0))
            ot_remove(&g->base, "quantization_annotation", (int64_t)i);
}

ot_status ot_model_sweep(ot_model *m)
{
    Onnx__GraphProto *g = m->proto->graph;
    ot_strmap needed = { 0 };
    ot_status st = mark(&needed, g);
    if (st == OT_OK) {
        for (size_t i = g->n_node; i-- > 0;)
            if (!is_needed(&needed, g->node[i]))
                ot_remove(&g->base, "node", (int64_t)i);
        for (size_t i = g->n_initializer; i-- > 0;)
            if (!ot_strmap_get(&needed, ot_text(g->initializer[i]->name), 0))
                ot_model_remove_initializer(m, (int64_t)i);
        for (size_t i = g->n_sparse_initializer; i-- > 0;) {
            const Onnx__TensorProto *v = g->sparse_initializer[i]->values;
            if (!v || !ot_strmap_get(&needed, ot_text(v->name), 0))
                ot_remove(&g->base, "sparse_initializer", (int64_t)i);
        }
        drop_notes(g, &needed);
    }
    ot_strmap_release(&needed);
    return st;
}

static ot_status swap_name(char **field, const char *old, const char *fresh)
{
    return *field && strcmp(*field, old) == 0 ? ot_set_string(field, fresh) : OT_OK;
}

static ot_status replace_in_node(Onnx__NodeProto *n, const char *old, const char *fresh)
{
    for (size_t i = 0; i < n->n_input; i++)
        OT_TRY(swap_name(&n->input[i], old, fresh));
    for (size_t i = 0; i < n->n_output; i++)
        OT_TRY(swap_name(&n->output[i], old, fresh));
    for (size_t i = 0; i < n->n_attribute; i++) {
        Onnx__AttributeProto *a = n->attribute[i];
        if (a->g)
            OT_TRY(ot_replace_value(a->g, old, fresh));
        for (size_t k = 0; k < a->n_graphs; k++)
            OT_TRY(ot_replace_value(a->graphs[k], old, fresh));
    }
    return OT_OK;
}

ot_status ot_replace_value(Onnx__GraphProto *g, const char *old, const char *fresh)
{
    for (size_t i = 0; i < g->n_node; i++)
        OT_TRY(replace_in_node(g->node[i], old, fresh));
    for (size_t i = 0; i < g->n_input; i++)
        OT_TRY(swap_name(&g->input[i]->name, old, fresh));
    for (size_t i = 0; i < g->n_output; i++)
        OT_TRY(swap_name(&g->output[i]->name, old, fresh));
    for (size_t i = 0; i < g->n_value_info; i++)
        OT_TRY(swap_name(&g->value_info[i]->name, old, fresh));
    for (size_t i = 0; i < g->n_initializer; i++)
        OT_TRY(swap_name(&g->initializer[i]->name, old, fresh));
    for (size_t i = 0; i < g->n_sparse_initializer; i++)
        if (g->sparse_initializer[i]->values)
            OT_TRY(swap_name(&g->sparse_initializer[i]->values->name, old, fresh));
    for (size_t i = 0; i < g->n_quantization_annotation; i++) {
        Onnx__TensorAnnotation *a = g->quantization_annotation[i];
        OT_TRY(swap_name(&a->tensor_name, old, fresh));
        for (size_t k = 0; k < a->n_quant_parameter_tensor_names; k++)
            OT_TRY(swap_name(&a->quant_parameter_tensor_names[k]->value, old, fresh));
    }
    return OT_OK;
}

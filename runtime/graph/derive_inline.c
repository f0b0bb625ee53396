/* Graphs that composites hold (FlexAttention): their nodes stand where the composite says, so that gradients and plans
 * see nothing of them. */
#include "graph/derive_parts.h"

#include <string.h>

static ot_status take_inputs(ot_deriver *d, const Onnx__GraphProto *g, int n_in, const ot_val *in)
{
    if (g->n_input != (size_t)n_in)
        return ot_fail(OT_EMODEL, "the body has %zu inputs, %d are given", g->n_input, n_in);
    for (int i = 0; i < n_in; i++) {
        const Onnx__TypeProto *t = g->input[i]->type;
        const ot_dtype is = d->b.g->value[in[i]].fact.dtype;
        if (t && t->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && t->tensor_type &&
            t->tensor_type->elem_type != OT_UNDEFINED && (ot_dtype)t->tensor_type->elem_type != is)
            return ot_fail(OT_EMODEL, "input '%s' of the body is %s, given %s", ot_text(g->input[i]->name),
                           ot_dtype_name((ot_dtype)t->tensor_type->elem_type), ot_dtype_name(is));
        OT_TRY(ot_scope_put(d, ot_text(g->input[i]->name), in[i]));
    }
    return OT_OK;
}

static ot_status fill(ot_deriver *d, const Onnx__GraphProto *g, int n_in, const ot_val *in, int n_out, ot_val *out)
{
    if (g->n_output != (size_t)n_out)
        return ot_fail(OT_EMODEL, "the body has %zu outputs, wanted are %d", g->n_output, n_out);
    OT_TRY(take_inputs(d, g, n_in, in));
    OT_TRY(ot_derive_initializers(d, g));
    OT_TRY(ot_derive_nodes(d, g->n_node, g->node));
    for (int i = 0; i < n_out; i++) {
        out[i] = ot_scope_find(d, ot_text(g->output[i]->name));
        if (out[i] < 0)
            return d->failed != OT_OK
                       ? d->failed
                       : ot_fail(OT_EMODEL, "output '%s' of the body is made by no node", ot_text(g->output[i]->name));
    }
    return OT_OK;
}

static ot_status in_scope(ot_deriver *d, const Onnx__NodeProto *n, const Onnx__GraphProto *g, int n_in,
                          const ot_val *in, int n_out, ot_val *out)
{
    ot_scope s = { .caller = d->scope,
                   .graph = d->scope->graph,
                   .open = true,
                   .function = d->scope->function,
                   .attr = d->scope->attr,
                   .depth = d->scope->depth + 1 };
    OT_TRY(ot_check_depth(d, "the body of a node"));
    OT_TRY(ot_choose_prefix(d, &s.prefix, n));
    OT_TRY(ot_charge(d, 32 * (g->n_input + g->n_output + g->n_initializer + g->n_sparse_initializer)));
    OT_TRY(ot_charge_nodes(d, g->n_node, g->node, strlen(s.prefix)));
    d->scope = &s;
    ot_status st = fill(d, g, n_in, in, n_out, out);
    d->scope = s.caller;
    ot_strmap_release(&s.value);
    ot_strmap_release(&s.output);
    return st;
}

ot_status ot_derive_inline(void *ctx, const char *name, int n_in, const ot_val *in, int n_out, ot_val *out)
{
    const ot_inlining *of = ctx;
    ot_deriver *d = of->deriver;
    const Onnx__GraphProto *g = NULL;
    for (size_t i = 0; i < of->node->n_attribute; i++)
        if (strcmp(ot_text(of->node->attribute[i]->name), name) == 0)
            g = of->node->attribute[i]->g;
    if (!g)
        return ot_fail(OT_EUNSUPPORTED, "attribute '%s' is a graph by reference", name);
    const ot_build saved = d->b;
    d->b = (ot_build){ .g = saved.g, .layer = saved.layer };
    ot_status st = in_scope(d, of->node, g, n_in, in, n_out, out);
    d->b = saved;
    return st == OT_OK ? st : ot_context(st, "%s", name);
}

/* If whose condition the shapes decide, as exporters write it around a Squeeze of a dimension that they do not know:
 * the branch is made inline, its names beside those of the graph around it.  Where they do not, derive_body.c makes
 * graphs of the branches. */
#include "graph/derive_parts.h"
#include "model/edit.h"

#include <string.h>

/* *known: the condition's element is, and *out is it. */
static ot_status condition_of(ot_deriver *d, bool *known, bool *out, const Onnx__NodeProto *n)
{
    ot_val v = n->n_input == 1 ? ot_scope_find(d, n->input[0]) : OT_UNMADE;
    if (v < 0)
        return ot_fail(OT_EMODEL, "an If has one condition, made before it");
    const ot_value *c = &d->b.g->value[v];
    *known = true;
    if (c->fact.dtype != OT_BOOL)
        return ot_fail(OT_ESHAPE, "the condition is %s, not bool", ot_dtype_name(c->fact.dtype));
    if (c->fact.n_value == 1 && !ot_is_symbol(c->fact.value[0]))
        *out = c->fact.value[0] != 0;
    else if (c->origin == OT_FROM_CONSTANT && c->tensor && ot_tensor_count(c->tensor) == 1)
        *out = ot_tensor_get(c->tensor, 0) != 0;
    else
        *known = false;
    return OT_OK;
}

static ot_status branch_of(const Onnx__GraphProto **out, const Onnx__NodeProto *n, bool taken)
{
    const Onnx__AttributeProto *a = ot_node_attr(n, taken ? "then_branch" : "else_branch");
    if (!a || !a->g)
        return ot_fail(OT_EMODEL, "the If has no %s branch", taken ? "then" : "else");
    *out = a->g;
    return a->g->n_output == n->n_output
               ? OT_OK
               : ot_fail(OT_EMODEL, "%zu outputs; the branch has %zu", n->n_output, a->g->n_output);
}

/* Outputs of the branch get the names of the If's. */
static ot_status bind_outputs(ot_deriver *d, ot_scope *s, const Onnx__GraphProto *g, const Onnx__NodeProto *n)
{
    s->result = ot_arena_calloc(&d->b.g->arena, n->n_output + 1, sizeof(*s->result));
    if (!s->result)
        return OT_ENOMEM;
    for (size_t i = 0; i < n->n_output; i++) {
        if (!*n->output[i])
            continue;
        if (!(s->result[i] = ot_scope_value_name(d, n->output[i])))
            return OT_ENOMEM;
        OT_TRY(ot_strmap_put(&s->output, ot_text(g->output[i]->name), (int64_t)i));
    }
    return OT_OK;
}

static ot_status take_branch(ot_deriver *d, ot_scope *s, const Onnx__GraphProto *g, const Onnx__NodeProto *n)
{
    OT_TRY(ot_charge_nodes(d, g->n_node, g->node, strlen(s->prefix)));
    OT_TRY(bind_outputs(d, s, g, n));
    d->scope = s;
    ot_status st = ot_derive_initializers(d, g);
    if (st == OT_OK)
        st = ot_derive_nodes(d, g->n_node, g->node);
    ot_val *made = ot_arena_calloc(&d->b.g->arena, n->n_output + 1, sizeof(*made));
    for (size_t i = 0; made && st == OT_OK && i < n->n_output; i++) {
        made[i] = ot_scope_find(d, ot_text(g->output[i]->name));
        if (made[i] < 0)
            st = ot_fail(OT_EMODEL, "output '%s' of the branch is made by no node", ot_text(g->output[i]->name));
    }
    d->scope = s->caller;
    if (!made && st == OT_OK)
        st = OT_ENOMEM;
    for (size_t i = 0; st == OT_OK && i < n->n_output; i++)
        if (*n->output[i])
            st = ot_scope_put(d, n->output[i], made[i]);
    return st;
}

ot_status ot_derive_if(ot_deriver *d, bool *done, const Onnx__NodeProto *n)
{
    const Onnx__GraphProto *g = NULL;
    bool taken = false;
    ot_scope s = { .caller = d->scope,
                   .graph = d->scope->graph,
                   .open = true,
                   .function = d->scope->function,
                   .attr = d->scope->attr,
                   .depth = d->scope->depth + 1 };
    OT_TRY(ot_check_depth(d, "the branch of an If"));
    OT_TRY(condition_of(d, done, &taken, n));
    if (!*done)
        return OT_OK;
    OT_TRY(branch_of(&g, n, taken));
    OT_TRY(ot_choose_prefix(d, &s.prefix, n));
    ot_status st = take_branch(d, &s, g, n);
    ot_strmap_release(&s.value);
    ot_strmap_release(&s.output);
    return st;
}

bool ot_is_if(const Onnx__NodeProto *n)
{
    return ot_same_domain(n->domain, "") && strcmp(ot_text(n->op_type), "If") == 0;
}

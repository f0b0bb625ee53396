/* Bodies: graphs that nodes hold.  A body has the symbols of the graph around it, in the same places, and behind them
 * its own; values that it captures are inputs behind its own. */
#include "graph/graph.h"

#include <string.h>

#define MOST_DEPTH 32 /* of expressions that are carried outward whole */

ot_status ot_graph_body(ot_graph **out, ot_graph *g)
{
    OT_TRY(ot_grow(&g->body, g->n_body, &g->cap_body, sizeof(*g->body)));
    OT_TRY(ot_graph_create(out));
    ot_graph *body = *out;
    body->place = g->n_body;
    g->body[g->n_body++] = body;
    for (; body->n_symbol < g->n_symbol; body->n_symbol++) {
        OT_TRY(ot_grow(&body->symbol, body->n_symbol, &body->cap_symbol, sizeof(*body->symbol)));
        body->symbol[body->n_symbol] = g->symbol[body->n_symbol]; /* names live in g, which outlives the body */
    }
    body->n_shared = body->n_symbol;
    return OT_OK;
}

bool ot_node_flows(const ot_graph *g, const ot_node *n)
{
    bool flows = n->op->flow && !n->op->cpu;
    for (int i = 0; i < n->n_in && n->op->flow; i++)
        flows |= n->in[i] != OT_NONE && g->value[n->in[i]].fact.kind != OT_TENSOR;
    return flows;
}

bool ot_graph_walks(const ot_graph *g)
{
    bool walks = false;
    for (int64_t i = 0; i < g->n_input; i++)
        walks |= g->value[g->input[i]].fact.kind != OT_TENSOR;
    for (int64_t i = 0; i < g->n_node && !walks; i++)
        walks = ot_node_flows(g, g->node[i]);
    return walks;
}

ot_graph *ot_body(const ot_node *n, const char *name)
{
    const ot_attr *a = ot_attr_find(n, name);
    return a && a->type == OT_ATTR_GRAPH ? a->graph : NULL;
}

int ot_body_own(const ot_graph *body)
{
    return body->n_own;
}

int ot_body_captures(const ot_graph *body)
{
    return (int)body->n_input - body->n_own;
}

int ot_body_outputs(const ot_graph *body)
{
    return (int)body->n_output;
}

const ot_fact *ot_body_takes(const ot_graph *body, int i)
{
    return &body->value[body->input[i]].fact;
}

const ot_fact *ot_body_gives(const ot_graph *body, int i)
{
    return &body->value[body->output[i].value].fact;
}

/* ---- Facts of a body in the graph around it -------------------------------------------------------------------- */

static ot_dim outward(ot_infer *c, ot_graph *body, ot_dim d, int depth)
{
    if (!ot_is_symbol(d) || d - OT_SYMBOL(0) < body->n_shared)
        return d;
    int64_t i = d - OT_SYMBOL(0);
    if (body->outward[i])
        return body->outward[i];
    const ot_symbol *s = &body->symbol[i];
    ot_dim out;
    if (s->op == 'n') {
        out = ot_symbol_named(c->graph, s->name);
    } else if (s->op == '?' || depth == MOST_DEPTH) {
        out = ot_dim_unknown(c);
    } else {
        ot_dim a = outward(c, body, s->a, depth + 1), b = outward(c, body, s->b, depth + 1);
        out = s->op == '+'   ? ot_dim_add(c, a, b)
              : s->op == '-' ? ot_dim_sub(c, a, b)
              : s->op == '*' ? ot_dim_mul(c, a, b)
                             : ot_dim_div(c, a, b);
    }
    body->outward[i] = out;
    return out;
}

static ot_status fact_outward(ot_infer *c, ot_fact *out, ot_graph *body, const ot_fact *f)
{
    if (!body->outward)
        body->outward = ot_arena_calloc(&body->arena, (size_t)body->n_symbol + 1, sizeof(*body->outward));
    if (!body->outward)
        return OT_ENOMEM;
    *out = *f;
    out->value = NULL;
    out->n_value = 0;
    for (int i = 0; i < f->rank; i++)
        out->dim[i] = outward(c, body, f->dim[i], 0);
    if (!f->element)
        return OT_OK;
    ot_fact *e = ot_arena_calloc(c->arena, 1, sizeof(*e));
    out->element = e;
    return e ? fact_outward(c, e, body, f->element) : OT_ENOMEM;
}

ot_status ot_body_input(ot_infer *c, ot_fact *out, ot_graph *body, int i)
{
    return fact_outward(c, out, body, &body->value[body->input[i]].fact);
}

ot_status ot_body_output(ot_infer *c, ot_fact *out, ot_graph *body, int i)
{
    return fact_outward(c, out, body, &body->value[body->output[i].value].fact);
}

ot_status ot_fact_merge(ot_infer *c, ot_fact *out, const ot_fact *a, const ot_fact *b)
{
    if (a->kind != b->kind)
        return ot_fail(OT_EMODEL, "a value is of two kinds");
    if (a->dtype != b->dtype && a->dtype != OT_UNDEFINED && b->dtype != OT_UNDEFINED)
        return ot_fail(OT_EMODEL, "a value is of %s and of %s", ot_dtype_name(a->dtype), ot_dtype_name(b->dtype));
    ot_fact y = { .kind = a->kind, .dtype = a->dtype != OT_UNDEFINED ? a->dtype : b->dtype, .rank = a->rank };
    if (a->rank != b->rank)
        y.rank = -1;
    for (int i = 0; i < y.rank; i++)
        y.dim[i] = a->dim[i] == b->dim[i] ? a->dim[i] : ot_dim_unknown(c);
    if (a->element && b->element) {
        ot_fact *e = ot_arena_calloc(c->arena, 1, sizeof(*e));
        y.element = e;
        if (!e)
            return OT_ENOMEM;
        OT_TRY(ot_fact_merge(c, e, a->element, b->element));
    }
    *out = y;
    return OT_OK;
}

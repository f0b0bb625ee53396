/* The reverse walk.  A builder says only the mathematics of its operator; here lie the reduction of what was broadcast,
 * the sum over several readers, and the question whether an input's gradient is wanted at all. */
#include "graph/graph.h"

#include <stdio.h>
#include <string.h>

struct ot_grads {
    ot_val *d;   /* of each value that the forward graph has: its gradient so far */
    bool *needs; /* a wanted parameter lies at or before this value */
    int64_t n;   /* values of the forward graph */
};

ot_val ot_dy(const ot_build *b, int i)
{
    ot_val y = ot_y(b, i);
    return y == OT_NONE ? OT_NONE : b->grads->d[y];
}

bool ot_wants(const ot_build *b, int i)
{
    ot_val x = ot_x(b, i);
    return x != OT_NONE && b->grads->needs[x];
}

void ot_give(ot_build *b, int i, ot_val v)
{
    ot_val x = ot_x(b, i);
    if (b->st != OT_OK || v == OT_NONE || !ot_wants(b, i))
        return;
    if (!ot_fact_same(ot_fact_of(b, v), ot_fact_of(b, x)))
        v = OT_EMIT(b, "SumTo", v, x);
    ot_val *d = &b->grads->d[x];
    *d = *d == OT_NONE ? v : OT_EMIT(b, "Add", *d, v);
}

static ot_status keep(ot_build *b, ot_node *n, const ot_op *op, int at)
{
    ot_graph *g = b->g;
    const char *name = ot_arena_printf(&g->arena, "%s:%d", n->name, at);
    ot_fact *y = ot_arena_calloc(&g->arena, (size_t)at + 1, sizeof(*y));
    ot_val *out = ot_arena_calloc(&g->arena, (size_t)at + 1, sizeof(*out));
    if (!name || !y || !out)
        return OT_ENOMEM;
    for (int i = 0; i < at; i++)
        out[i] = i < n->n_out ? n->out[i] : OT_NONE;
    n->op = op;
    n->opset = 1;
    n->out = out;
    n->n_out = at + 1;
    OT_TRY(ot_infer_node(g, &g->arena, n, NULL, NULL, y));
    out[at] = ot_graph_value(g, name, OT_FROM_NODE, &y[at]);
    if (out[at] == OT_NONE)
        return OT_ENOMEM;
    g->value[out[at]].producer = n;
    return OT_OK;
}

ot_val ot_keep(ot_build *b, const char *op, int at)
{
    const ot_op *keeping;
    ot_node *n = b->node;
    if (b->st == OT_OK)
        ot_build_fail(b, ot_find_op(&keeping, OT_INTERNAL, op, 1));
    if (b->st == OT_OK)
        ot_build_fail(b, keep(b, n, keeping, at));
    return b->st == OT_OK ? n->out[at] : OT_NONE;
}

void ot_grad_none(ot_build *b)
{
    (void)b;
}

/* needs: forward from what is wanted, through inputs that can carry a gradient. */
static void mark_needs(const ot_graph *g, struct ot_grads *s, int64_t n_wrt, const ot_val *wrt)
{
    for (int64_t i = 0; i < n_wrt; i++)
        s->needs[wrt[i]] = true;
    for (int64_t i = 0; i < g->n_node; i++) {
        const ot_node *n = g->node[i];
        bool any = false;
        for (int k = 0; k < n->n_in; k++)
            any |= n->in[k] != OT_NONE && s->needs[n->in[k]];
        for (int k = 0; k < n->n_out && any && n->op->grad != ot_grad_none; k++)
            if (n->out[k] != OT_NONE && ot_dtype_is_float(g->value[n->out[k]].fact.dtype))
                s->needs[n->out[k]] = true;
    }
}

static bool takes_part(const struct ot_grads *s, const ot_node *n)
{
    bool has_dy = false, needed = false;
    for (int k = 0; k < n->n_out; k++)
        has_dy |= n->out[k] != OT_NONE && s->d[n->out[k]] != OT_NONE;
    for (int k = 0; k < n->n_in; k++)
        needed |= n->in[k] != OT_NONE && s->needs[n->in[k]];
    return has_dy && needed;
}

/* All operators without a gradient that lie between the loss and what is wanted, in one message. */
static ot_status report_missing(const ot_graph *g, const struct ot_grads *s, ot_val loss)
{
    char list[512] = "";
    int missing = 0;
    bool *reaches = ot_calloc((size_t)s->n + 1, sizeof(bool));
    if (!reaches)
        return OT_ENOMEM;
    reaches[loss] = true;
    for (int64_t i = g->n_node - 1; i >= 0; i--) {
        const ot_node *n = g->node[i];
        bool on_path = false, needed = false;
        for (int k = 0; k < n->n_out; k++)
            on_path |= n->out[k] != OT_NONE && reaches[n->out[k]];
        for (int k = 0; k < n->n_in && on_path; k++)
            if (n->in[k] != OT_NONE) {
                reaches[n->in[k]] = true;
                needed |= s->needs[n->in[k]];
            }
        if (needed && !n->op->grad) {
            size_t at = strlen(list);
            snprintf(list + at, sizeof(list) - at, "%s'%s' (%s)", missing ? ", " : "", n->name, n->op->name);
            missing++;
        }
    }
    ot_free(reaches);
    if (!missing)
        return OT_OK;
    return ot_fail(OT_ENOGRAD, "no gradient is known for %d node%s: %s; freeze every weight before them", missing,
                   missing == 1 ? "" : "s", list);
}

static ot_status walk(ot_build *b, int64_t n_forward)
{
    for (int64_t i = n_forward - 1; i >= 0 && b->st == OT_OK; i--) {
        ot_node *n = b->g->node[i];
        if (!takes_part(b->grads, n))
            continue;
        b->node = n;
        b->prefix = ot_arena_printf(&b->g->arena, "grad/%s", n->name);
        b->layer = n->layer;
        b->made = 0;
        if (!b->prefix)
            return OT_ENOMEM;
        n->op->grad(b);
        if (b->st != OT_OK)
            return ot_context(b->st, "gradient of '%s' (%s)", n->name, n->op->name);
    }
    return b->st;
}

ot_status ot_differentiate(ot_graph *g, ot_val loss, int64_t n, const ot_val *wrt, ot_val *grad)
{
    struct ot_grads s = { .n = g->n_value };
    ot_build b = { .g = g, .prefix = "grad", .layer = -1, .grads = &s };
    ot_status st = OT_ENOMEM;
    s.d = ot_malloc((size_t)s.n + 1, sizeof(*s.d));
    s.needs = ot_calloc((size_t)s.n + 1, sizeof(*s.needs));
    if (!s.d || !s.needs)
        goto done;
    for (int64_t i = 0; i < s.n; i++)
        s.d[i] = OT_NONE;
    mark_needs(g, &s, n, wrt);
    st = report_missing(g, &s, loss);
    if (st != OT_OK)
        goto done;
    s.d[loss] = ot_const_scalar(&b, g->value[loss].fact.dtype, 1);
    st = walk(&b, g->n_node);
    for (int64_t i = 0; i < n; i++)
        grad[i] = s.d[wrt[i]];
done:
    ot_free(s.d);
    ot_free(s.needs);
    return st;
}

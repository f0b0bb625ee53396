#include "graph/frozen.h"

#include <string.h>

typedef struct finder {
    ot_graph *g;
    ot_dim batch;
    bool *frozen;  /* by value: input 0 and what is computed of it */
    bool *crosses; /* by value */
    bool heavy;    /* some weight is read */
} finder;

/* Reads frozen values and constants alone, and each sample by itself. */
static bool is_frozen(finder *f, const ot_node *n)
{
    bool any = false;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] == OT_NONE)
            continue;
        if (f->frozen[n->in[i]])
            any = true;
        else if (f->g->value[n->in[i]].origin != OT_FROM_CONSTANT)
            return false;
    }
    return any && ot_node_keeps_samples(f->g, n, f->batch);
}

static bool reads_weight(const ot_graph *g, const ot_node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != OT_NONE && g->value[n->in[i]].origin == OT_FROM_CONSTANT && g->value[n->in[i]].fact.rank >= 2)
            return true;
    return false;
}

static void mark(finder *f)
{
    const ot_graph *g = f->g;
    f->frozen[g->input[0]] = true;
    for (int64_t i = 0; i < g->n_node; i++) {
        const ot_node *n = g->node[i];
        bool frozen = is_frozen(f, n);
        f->heavy |= frozen && reads_weight(g, n);
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] != OT_NONE)
                f->frozen[n->out[k]] = frozen;
        for (int k = 0; k < n->n_in && !frozen; k++)
            if (n->in[k] != OT_NONE && f->frozen[n->in[k]])
                f->crosses[n->in[k]] = true;
    }
    for (int64_t i = 0; i < g->n_output; i++)
        f->crosses[g->output[i].value] |= f->frozen[g->output[i].value];
    for (int64_t i = 0; i < g->n_binding; i++)
        f->crosses[g->binding[i].value] |= f->frozen[g->binding[i].value];
}

static ot_status collect(ot_crossing *out, finder *f)
{
    ot_graph *g = f->g;
    mark(f);
    int64_t n = 0;
    bool fits = f->heavy && !f->crosses[g->input[0]];
    for (int64_t v = 0; v < g->n_value; v++) {
        n += f->crosses[v];
        fits &= !f->crosses[v] || g->value[v].fact.dtype == OT_FLOAT;
    }
    if (!fits || !n)
        return OT_OK;
    out->value = ot_arena_calloc(&g->arena, (size_t)n, sizeof(*out->value));
    if (!out->value)
        return OT_ENOMEM;
    for (int64_t v = 0; v < g->n_value; v++)
        if (f->crosses[v])
            out->value[out->n++] = v;
    return OT_OK;
}

ot_status ot_frozen_find(ot_crossing *out, ot_graph *g)
{
    finder f = { .g = g };
    *out = (ot_crossing){ 0 };
    const ot_fact *x = g->n_input ? &g->value[g->input[0]].fact : NULL;
    if (!x || x->kind != OT_TENSOR || x->rank < 1 || !ot_is_symbol(x->dim[0]))
        return OT_OK;
    f.batch = x->dim[0];
    f.frozen = ot_calloc((size_t)g->n_value + 1, sizeof(*f.frozen));
    f.crosses = ot_calloc((size_t)g->n_value + 1, sizeof(*f.crosses));
    ot_status st = f.frozen && f.crosses ? collect(out, &f) : OT_ENOMEM;
    ot_free(f.frozen);
    ot_free(f.crosses);
    return st;
}

ot_status ot_frozen_keep(ot_graph *g, const ot_crossing *c)
{
    g->n_input = 1;
    g->n_output = g->n_binding = 0;
    g->guard = OT_NONE;
    for (int64_t i = 0; i < c->n; i++)
        OT_TRY(ot_graph_output(g, g->value[c->value[i]].name, c->value[i]));
    return ot_prune(g);
}

/* Does anything that the graph gives still come from v, were the values that cross there already? */
static ot_status still_read(bool *yes, const ot_graph *g, const ot_crossing *c, ot_val v)
{
    bool *used = ot_calloc((size_t)g->n_value + 1, sizeof(*used));
    if (!used)
        return OT_ENOMEM;
    for (int64_t i = 0; i < g->n_output; i++)
        used[g->output[i].value] = true;
    for (int64_t i = 0; i < g->n_binding; i++)
        used[g->binding[i].value] = true;
    if (g->guard != OT_NONE)
        used[g->guard] = true;
    for (int64_t i = g->n_node - 1; i >= 0; i--) {
        const ot_node *n = g->node[i];
        bool keep = false;
        for (int64_t k = 0; k < c->n; k++)
            used[c->value[k]] = false;
        for (int k = 0; k < n->n_out; k++)
            keep |= n->out[k] != OT_NONE && used[n->out[k]];
        for (int k = 0; k < n->n_in && keep; k++)
            if (n->in[k] != OT_NONE)
                used[n->in[k]] = true;
    }
    *yes = used[v];
    ot_free(used);
    return OT_OK;
}

ot_status ot_frozen_drop(ot_graph *g, const ot_crossing *c, bool *whole)
{
    OT_TRY(still_read(whole, g, c, g->input[0]));
    if (*whole)
        return OT_OK;
    for (int64_t i = 0; i < c->n; i++) {
        ot_value *v = &g->value[c->value[i]];
        ot_node *from = v->producer;
        for (int k = 0; from && k < from->n_out; k++)
            if (from->out[k] == c->value[i])
                from->out[k] = OT_NONE;
        v->origin = OT_FROM_INPUT;
        v->producer = NULL;
        if (i > 0) {
            OT_TRY(ot_grow(&g->input, g->n_input, &g->cap_input, sizeof(*g->input)));
            g->input[g->n_input++] = c->value[i];
        }
    }
    g->input[0] = c->value[0];
    return ot_prune(g);
}

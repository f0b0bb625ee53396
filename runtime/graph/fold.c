/* Constant folding: shapes, reshaped or cast weights and the like are computed once, when the graph is made. */
#include "graph/step.h"

#include <string.h>

/* All inputs constant and all output shapes numbers: can be computed now. */
static bool is_constant(const ot_graph *g, const ot_node *n)
{
    if (n->n_in == 0)
        return false;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != OT_NONE && g->value[n->in[i]].origin != OT_FROM_CONSTANT)
            return false;
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] == OT_NONE)
            continue;
        const ot_fact *f = &g->value[n->out[i]].fact;
        if (f->kind != OT_TENSOR || f->rank < 0 || f->dtype == OT_STRING)
            return false;
        for (int d = 0; d < f->rank; d++)
            if (f->dim[d] < 0)
                return false;
    }
    return true;
}

static ot_status small_enough(bool *yes, const ot_graph *g, const ot_node *n, size_t max_bytes)
{
    *yes = true;
    for (int i = 0; i < n->n_out; i++) {
        size_t bytes = 0;
        if (n->out[i] == OT_NONE)
            continue;
        const ot_fact *f = &g->value[n->out[i]].fact;
        OT_TRY(ot_bytes(&bytes, f->dtype, f->rank, f->dim));
        if (bytes > max_bytes)
            *yes = false;
    }
    return OT_OK;
}

static ot_status evaluate(ot_graph *g, ot_arena *arena, const ot_node *n)
{
    const ot_fact **x = ot_arena_calloc(arena, (size_t)n->n_in + 1, sizeof(*x));
    const ot_fact **y = ot_arena_calloc(arena, (size_t)n->n_out + 1, sizeof(*y));
    const ot_tensor **constant = ot_arena_calloc(arena, (size_t)n->n_in + 1, sizeof(*constant));
    ot_tensor **result = ot_arena_calloc(arena, (size_t)n->n_out + 1, sizeof(*result));
    if (!x || !y || !constant || !result)
        return OT_ENOMEM;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != OT_NONE) {
            x[i] = &g->value[n->in[i]].fact;
            constant[i] = g->value[n->in[i]].tensor;
        }
    for (int i = 0; i < n->n_out; i++)
        y[i] = n->out[i] == OT_NONE ? NULL : &g->value[n->out[i]].fact;
    ot_status st = OT_OK;
    for (int i = 0; i < n->n_out && st == OT_OK; i++)
        if (y[i]) {
            result[i] = ot_graph_own(g, y[i]->dtype, y[i]->rank, y[i]->dim);
            st = result[i] ? OT_OK : OT_ENOMEM;
        }
    if (st == OT_OK)
        st = ot_evaluate_node(arena, &g->arena, n, x, y, constant, result, NULL);
    for (int i = 0; i < n->n_out && st == OT_OK; i++)
        if (result[i]) {
            ot_value *v = &g->value[n->out[i]];
            v->origin = OT_FROM_CONSTANT;
            v->tensor = result[i];
            v->producer = NULL;
            st = ot_fact_of_tensor(&v->fact, &g->arena, result[i]);
        }
    return st;
}

ot_status ot_fold(ot_graph *g, size_t max_bytes)
{
    ot_arena arena = { 0 };
    int64_t kept = 0;
    ot_status st = OT_OK;
    for (int64_t i = 0; i < g->n_node; i++) {
        bool fold = st == OT_OK && g->node[i]->op->cpu && is_constant(g, g->node[i]);
        if (fold)
            st = small_enough(&fold, g, g->node[i], max_bytes);
        if (fold && st == OT_OK)
            st = evaluate(g, &arena, g->node[i]);
        else
            g->node[kept++] = g->node[i];
    }
    g->n_node = kept;
    ot_arena_release(&arena);
    return st;
}

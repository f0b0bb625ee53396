#include "graph/graph.h"

#include <string.h>

ot_status ot_graph_create(ot_graph **out)
{
    *out = ot_calloc(1, sizeof(**out));
    if (!*out)
        return OT_ENOMEM;
    (*out)->guard = OT_NONE;
    return OT_OK;
}

void ot_graph_close(ot_graph *g)
{
    if (!g)
        return;
    for (int64_t i = 0; i < g->n_body; i++)
        ot_graph_close(g->body[i]);
    ot_free(g->body);
    for (int64_t i = 0; i < g->n_owned; i++)
        ot_tensor_free(g->owned[i]);
    ot_free(g->owned);
    ot_free(g->value);
    ot_free(g->node);
    ot_free(g->input);
    ot_free(g->output);
    ot_free(g->binding);
    ot_free(g->symbol);
    ot_strmap_release(&g->by_name);
    ot_arena_release(&g->arena);
    ot_free(g);
}

ot_val ot_graph_value(ot_graph *g, const char *name, ot_origin origin, const ot_fact *fact)
{
    if (g->n_value >= INT32_MAX - 1) {
        ot_fail(OT_EUNSUPPORTED, "more than %d values in one graph", INT32_MAX - 1);
        return OT_NONE;
    }
    char *copy = ot_arena_strdup(&g->arena, name);
    if (!copy || ot_grow(&g->value, g->n_value, &g->cap_value, sizeof(*g->value)) != OT_OK)
        return OT_NONE;
    g->value[g->n_value] = (ot_value){ .name = copy, .fact = *fact, .origin = origin };
    return (ot_val)g->n_value++;
}

ot_val ot_graph_input(ot_graph *g, const char *name, const ot_fact *fact)
{
    ot_val v = ot_graph_value(g, name, OT_FROM_INPUT, fact);
    if (v == OT_NONE || ot_grow(&g->input, g->n_input, &g->cap_input, sizeof(*g->input)) != OT_OK)
        return OT_NONE;
    g->input[g->n_input++] = v;
    return v;
}

ot_val ot_graph_tensor(ot_graph *g, const char *name, ot_origin origin, const ot_tensor *t)
{
    ot_fact fact;
    if (ot_fact_of_tensor(&fact, &g->arena, t) != OT_OK)
        return OT_NONE;
    if (origin == OT_FROM_SLOT) { /* what changes is not known */
        fact.value = NULL;
        fact.n_value = 0;
    }
    ot_tensor *copy = ot_arena_memdup(&g->arena, t, sizeof(*t));
    ot_val v = copy ? ot_graph_value(g, name, origin, &fact) : OT_NONE;
    if (v != OT_NONE)
        g->value[v].tensor = copy;
    return v;
}

ot_tensor *ot_graph_own(ot_graph *g, ot_dtype dtype, int rank, const int64_t *dim)
{
    ot_tensor *t;
    if (ot_grow(&g->owned, g->n_owned, &g->cap_owned, sizeof(*g->owned)) != OT_OK ||
        ot_tensor_create(&t, dtype, rank, dim) != OT_OK)
        return NULL;
    g->owned[g->n_owned++] = t;
    return t;
}

ot_status ot_graph_output(ot_graph *g, const char *name, ot_val v)
{
    char *copy = ot_arena_strdup(&g->arena, name);
    if (!copy)
        return OT_ENOMEM;
    OT_TRY(ot_grow(&g->output, g->n_output, &g->cap_output, sizeof(*g->output)));
    g->output[g->n_output++] = (ot_output){ copy, v };
    return OT_OK;
}

ot_status ot_graph_bind(ot_graph *g, ot_val slot, ot_val value, bool always)
{
    if (g->value[slot].origin != OT_FROM_SLOT)
        return ot_fail(OT_EUNSUPPORTED, "'%s' is computed or given, and cannot be state that training updates",
                       g->value[slot].name);
    OT_TRY(ot_grow(&g->binding, g->n_binding, &g->cap_binding, sizeof(*g->binding)));
    g->binding[g->n_binding++] = (ot_binding){ slot, value, always };
    return OT_OK;
}

ot_val ot_graph_find(const ot_graph *g, const char *name)
{
    return (ot_val)ot_strmap_get(&g->by_name, name, OT_NONE);
}

ot_status ot_fact_of_tensor(ot_fact *out, ot_arena *arena, const ot_tensor *t)
{
    *out = (ot_fact){ .kind = OT_TENSOR };
    ot_set_shape(out, t->dtype, t->rank, t->dim);
    int64_t n = ot_tensor_count(t);
    if (n > OT_MAX_VALUE || !(ot_dtype_is_int(t->dtype) || t->dtype == OT_BOOL))
        return OT_OK;
    for (int64_t i = 0; i < n && t->dtype == OT_UINT64; i++)
        if (ot_tensor_get_int(t, i) < 0)
            return OT_OK; /* 2^63 and more */
    ot_dim *value = ot_arena_calloc(arena, (size_t)n + 1, sizeof(*value));
    if (!value)
        return OT_ENOMEM;
    for (int64_t i = 0; i < n; i++)
        value[i] = ot_known_element(ot_tensor_get_int(t, i));
    out->value = value;
    out->n_value = (int)n;
    return OT_OK;
}

bool ot_fact_same(const ot_fact *a, const ot_fact *b)
{
    return a->kind == b->kind && a->dtype == b->dtype && a->rank >= 0 && a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof(*a->dim)) == 0);
}

void ot_graph_count_reads(const ot_graph *g, int32_t *reads)
{
    for (int64_t i = 0; i < g->n_node; i++)
        for (int k = 0; k < g->node[i]->n_in; k++)
            if (g->node[i]->in[k] != OT_NONE)
                reads[g->node[i]->in[k]]++;
    for (int64_t i = 0; i < g->n_output; i++)
        reads[g->output[i].value]++;
    for (int64_t i = 0; i < g->n_binding; i++)
        reads[g->binding[i].value]++;
    if (g->guard != OT_NONE)
        reads[g->guard]++;
}

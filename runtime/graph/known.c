/* Data that shapes depend on (the sizes of a Resize, what a NonZero counts): the part of the graph that it comes from
 * runs while the plan is made, and what it gives are constants of the plan. */
#include "graph/plan.h"

#include <stdlib.h>
#include <string.h>

typedef struct search {
    ot_plan *p;
    const ot_plan_opts *o;
    ot_val *todo; /* values whose data is wanted */
    int64_t n_todo, cap_todo;
    int64_t *node; /* that must run, as indices */
    int64_t n_node, cap_node;
} search;

static ot_status index_makers(ot_plan *p)
{
    const ot_graph *g = p->graph;
    if (p->maker)
        return OT_OK;
    p->maker = ot_arena_calloc(&p->arena, (size_t)g->n_value + 1, sizeof(*p->maker));
    p->visited = ot_arena_calloc(&p->arena, (size_t)g->n_node + 1, sizeof(*p->visited));
    if (!p->maker || !p->visited)
        return OT_ENOMEM;
    for (int64_t i = 0; i < g->n_input; i++)
        p->maker[g->input[i]] = ~i;
    for (int64_t i = 0; i < g->n_node; i++)
        for (int k = 0; k < g->node[i]->n_out; k++)
            if (g->node[i]->out[k] != OT_NONE)
                p->maker[g->node[i]->out[k]] = i;
    return OT_OK;
}

static const ot_tensor *data_of(const ot_plan *p, ot_val v)
{
    const ot_value *value = &p->graph->value[v];
    return value->origin == OT_FROM_CONSTANT ? value->tensor : p->known[v];
}

static ot_status want(search *s, ot_val v)
{
    if (v == OT_NONE || data_of(s->p, v))
        return OT_OK;
    OT_TRY(ot_grow(&s->todo, s->n_todo, &s->cap_todo, sizeof(*s->todo)));
    s->todo[s->n_todo++] = v;
    return OT_OK;
}

/* Room for the data of a value; the cap holds for all of it together. */
static ot_tensor *make_room(ot_plan *p, const ot_plan_opts *o, ot_val v)
{
    const ot_fact *f = p->fact[v];
    size_t bytes;
    if (ot_bytes(&bytes, f->dtype, f->rank, f->dim) != OT_OK)
        return NULL;
    if (o->memory && (bytes > o->memory || p->known_bytes > o->memory - bytes)) {
        ot_fail(OT_ENOMEM, "%zu bytes of data decide on shapes, the cap is %zu", p->known_bytes + bytes, o->memory);
        return NULL;
    }
    ot_tensor *t = ot_arena_calloc(&p->arena, 1, sizeof(*t));
    void *data = ot_arena_calloc(&p->arena, bytes + 1, 1);
    if (!t || !data)
        return NULL;
    *t = (ot_tensor){ .dtype = f->dtype, .rank = f->rank, .data = data };
    memcpy(t->dim, f->dim, sizeof(t->dim));
    p->known_bytes += bytes;
    return t;
}

static ot_status make_known(ot_plan *p, ot_val v, const ot_tensor *t)
{
    ot_fact *f = ot_arena_calloc(&p->arena, 1, sizeof(*f));
    if (!f)
        return OT_ENOMEM;
    p->known[v] = t;
    p->fact[v] = f;
    return ot_fact_of_tensor(f, &p->arena, t);
}

static ot_status copy_input(ot_plan *p, const ot_plan_opts *o, ot_val v, int64_t i)
{
    const ot_tensor *given = &o->input[i];
    if (!given->data)
        return ot_fail(OT_EUNSUPPORTED, "input '%s' has no data yet", p->graph->value[v].name);
    ot_tensor *t = make_room(p, o, v);
    if (!t)
        return OT_ENOMEM;
    memcpy(t->data, given->data, ot_tensor_bytes(t));
    if (t->dtype == OT_STRING)
        OT_TRY(ot_copy_strings(&p->arena, t));
    p->looked_at[i] = true;
    return make_known(p, v, t);
}

static ot_status visit(search *s, ot_val v)
{
    ot_plan *p = s->p;
    const ot_graph *g = p->graph;
    if (data_of(p, v))
        return OT_OK;
    if (g->value[v].origin == OT_FROM_SLOT)
        return ot_fail(OT_EUNSUPPORTED, "'%s' is state that changes with training", g->value[v].name);
    int64_t at = p->maker[v];
    if (g->value[v].origin == OT_FROM_INPUT)
        return copy_input(p, s->o, v, ~at);
    if (p->visited[at])
        return OT_OK;
    p->visited[at] = true;
    OT_TRY(ot_grow(&s->node, s->n_node, &s->cap_node, sizeof(*s->node)));
    s->node[s->n_node++] = at;
    const ot_node *n = g->node[at];
    for (int i = 0; i < n->n_in; i++)
        if (!(i < 32 && n->op->shape_only >> i & 1))
            OT_TRY(want(s, n->in[i]));
    return OT_OK;
}

static ot_status evaluate(ot_plan *p, const ot_plan_opts *o, const ot_node *n)
{
    ot_arena scratch = { 0 };
    const ot_fact **x = ot_arena_calloc(&scratch, (size_t)n->n_in + 1, sizeof(*x));
    const ot_fact **y = ot_arena_calloc(&scratch, (size_t)n->n_out + 1, sizeof(*y));
    const ot_tensor **constant = ot_arena_calloc(&scratch, (size_t)n->n_in + 1, sizeof(*constant));
    ot_tensor **result = ot_arena_calloc(&scratch, (size_t)n->n_out + 1, sizeof(*result));
    ot_status st = x && y && constant && result ? OT_OK : OT_ENOMEM;
    for (int i = 0; i < n->n_in && st == OT_OK; i++)
        if (n->in[i] != OT_NONE) {
            x[i] = p->fact[n->in[i]];
            constant[i] = data_of(p, n->in[i]);
        }
    for (int i = 0; i < n->n_out && st == OT_OK; i++)
        if (n->out[i] != OT_NONE) {
            y[i] = p->fact[n->out[i]];
            result[i] = make_room(p, o, n->out[i]);
            st = result[i] ? OT_OK : OT_ENOMEM;
        }
    if (st == OT_OK)
        st = ot_evaluate_node(&scratch, &p->arena, n, x, y, constant, result, o->threads);
    for (int i = 0; i < n->n_out && st == OT_OK; i++)
        if (result[i])
            st = make_known(p, n->out[i], result[i]);
    ot_arena_release(&scratch);
    return st;
}

static int by_index(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool is_looked_at(const ot_fact *f, ot_look look)
{
    int64_t count;
    if (look == OT_SMALL_INTS && ot_dtype_is_float(f->dtype))
        return false;
    return look == OT_ALL || (ot_count(&count, f->rank, f->dim) && count <= OT_MAX_VALUE);
}

ot_status ot_plan_know_inputs(bool *more, ot_plan *p, const ot_plan_opts *o, const ot_node *n, ot_look look)
{
    search s = { .p = p, .o = o };
    *more = false;
    OT_TRY(index_makers(p));
    ot_status st = OT_OK;
    for (int i = 0; i < n->n_in && st == OT_OK; i++)
        if (n->in[i] != OT_NONE && is_looked_at(p->fact[n->in[i]], look))
            st = want(&s, n->in[i]);
    *more = s.n_todo > 0;
    while (s.n_todo > 0 && st == OT_OK)
        st = visit(&s, s.todo[--s.n_todo]);
    if (s.n_node)
        qsort(s.node, (size_t)s.n_node, sizeof(*s.node), by_index);
    for (int64_t i = 0; i < s.n_node && st == OT_OK; i++)
        st = evaluate(p, o, p->graph->node[s.node[i]]);
    ot_free(s.todo);
    ot_free(s.node);
    return st;
}

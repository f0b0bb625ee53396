#include "graph/plan.h"

#include <string.h>

typedef struct planner {
    ot_plan *p;
    ot_graph *g;
    const ot_plan_opts *o;
    int *view_of;    /* by node: the input that output 0 is a view of, or -1 */
    bool *needed;    /* by value: some step reads its data, or it leaves the graph */
    ot_dim *binding; /* by symbol: the number that an input gave it; -1 none */
} planner;

ot_status ot_bind_input(const ot_graph *g, ot_dim *binding, const ot_value *v, const ot_tensor *given)
{
    const ot_fact *want = &v->fact;
    if (given->dtype != want->dtype)
        return ot_fail(OT_ESHAPE, "input '%s' is %s, given %s", v->name, ot_dtype_name(want->dtype),
                       ot_dtype_name(given->dtype));
    if (want->rank >= 0 && given->rank != want->rank)
        return ot_fail(OT_ESHAPE, "input '%s' has rank %d, given %s", v->name, want->rank,
                       OT_DIMS(given->rank, given->dim));
    for (int i = 0; i < given->rank; i++)
        if (given->dim[i] < 0)
            return ot_fail(OT_ESHAPE, "input '%s' is given as %s", v->name, OT_DIMS(given->rank, given->dim));
    ot_status st = ot_check_span(given->rank, given->dim);
    if (st != OT_OK)
        return ot_context(st, "input '%s'", v->name);
    for (int i = 0; i < want->rank; i++) {
        ot_dim d = want->dim[i];
        ot_dim *bound = ot_is_symbol(d) ? &binding[d - OT_SYMBOL(0)] : NULL;
        bool named = bound && g->symbol[d - OT_SYMBOL(0)].op == 'n';
        ot_dim expect = !bound ? d : named && *bound >= 0 ? *bound : given->dim[i];
        if (given->dim[i] != expect)
            return ot_fail(OT_ESHAPE, "input '%s': dimension %d is %lld, given %s", v->name, i, (long long)expect,
                           OT_DIMS(given->rank, given->dim));
        if (bound)
            *bound = given->dim[i];
    }
    return OT_OK;
}

static bool all_numbers(const ot_dim *d, int n)
{
    for (int i = 0; i < n; i++)
        if (ot_is_symbol(d[i]) || d[i] == OT_CLAMPED)
            return false;
    return true;
}

/* A value whose elements came out of shape inference becomes a constant of this plan. */
static ot_status keep_known(ot_plan *p, ot_val v, const ot_fact *f)
{
    size_t bytes;
    OT_TRY(ot_bytes(&bytes, f->dtype, f->rank, f->dim));
    ot_tensor *t = ot_arena_calloc(&p->arena, 1, sizeof(*t));
    void *data = ot_arena_calloc(&p->arena, bytes + 1, 1);
    if (!t || !data)
        return OT_ENOMEM;
    t->dtype = f->dtype;
    t->rank = f->rank;
    memcpy(t->dim, f->dim, sizeof(t->dim));
    t->data = data;
    for (int i = 0; i < f->n_value; i++)
        ot_tensor_set_int(t, i, f->value[i]);
    p->known[v] = t;
    return OT_OK;
}

/* Rank and dims of every output are numbers; *which: the first that has some that are not. */
static bool is_shaped(const ot_node *n, const ot_fact *y, int *which)
{
    for (*which = 0; *which < n->n_out; ++*which) {
        const ot_fact *f = &y[*which];
        if (n->out[*which] != OT_NONE && (f->rank < 0 || !all_numbers(f->dim, f->rank)))
            return false;
    }
    return true;
}

/* Shapes first from what is known, then from the data of small integer inputs (axes, sizes), of small ones (scales), of
 * all: the less is looked at, the more runs a plan is good for. */
static ot_status infer_one(planner *w, const ot_node *n, ot_fact *y)
{
    ot_plan *p = w->p;
    int which;
    OT_TRY(ot_infer_node(w->g, &p->arena, n, p->fact, p->known, y));
    for (ot_look look = OT_SMALL_INTS; look <= OT_ALL && !is_shaped(n, y, &which); look++) {
        bool more;
        ot_status st = ot_plan_know_inputs(&more, p, w->o, n, look);
        if (st != OT_OK)
            return ot_context(st, "node '%s' (%s-%d): the shape of output %d depends on data", n->name, n->op->name,
                              n->opset, which);
        if (more)
            OT_TRY(ot_infer_node(w->g, &p->arena, n, p->fact, p->known, y));
    }
    if (!is_shaped(n, y, &which))
        return ot_fail(OT_EUNSUPPORTED, "node '%s' (%s-%d): the shape of output %d depends on data", n->name,
                       n->op->name, n->opset, which);
    return OT_OK;
}

static ot_status infer_all(planner *w)
{
    ot_plan *p = w->p;
    for (int64_t i = 0; i < w->g->n_node; i++) {
        const ot_node *n = w->g->node[i];
        ot_fact *y = ot_arena_calloc(&p->arena, (size_t)n->n_out + 1, sizeof(*y));
        if (!y)
            return OT_ENOMEM;
        OT_TRY(infer_one(w, n, y));
        bool known = true;
        for (int k = 0; k < n->n_out; k++) {
            if (n->out[k] == OT_NONE)
                continue;
            known &= y[k].value && all_numbers(y[k].value, y[k].n_value);
            p->fact[n->out[k]] = &y[k];
        }
        for (int k = 0; k < n->n_out && known; k++)
            if (n->out[k] != OT_NONE)
                OT_TRY(keep_known(p, n->out[k], &y[k]));
    }
    return OT_OK;
}

/* All outputs are constants of this plan: nothing is to be run. */
static bool is_known(const ot_plan *p, const ot_node *n)
{
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] != OT_NONE && !p->known[n->out[k]])
            return false;
    return true;
}

/* The arrays that a node's kernel sees: facts, constants and where weights lie. */
typedef struct node_args {
    const ot_fact **x, **y;
    const ot_tensor **constant;
    const void **weight;
} node_args;

static ot_status collect(planner *w, const ot_node *n, node_args *a)
{
    ot_arena *arena = &w->p->arena;
    a->x = ot_arena_calloc(arena, (size_t)n->n_in + 1, sizeof(*a->x));
    a->y = ot_arena_calloc(arena, (size_t)n->n_out + 1, sizeof(*a->y));
    a->constant = ot_arena_calloc(arena, (size_t)n->n_in + 1, sizeof(*a->constant));
    a->weight = ot_arena_calloc(arena, (size_t)n->n_in + 1, sizeof(*a->weight));
    if (!a->x || !a->y || !a->constant || !a->weight)
        return OT_ENOMEM;
    for (int i = 0; i < n->n_in; i++) {
        ot_val v = n->in[i];
        if (v == OT_NONE)
            continue;
        const ot_value *value = &w->g->value[v];
        a->x[i] = w->p->fact[v];
        if (value->origin == OT_FROM_CONSTANT)
            a->constant[i] = value->tensor;
        else if (w->p->known[v])
            a->constant[i] = w->p->known[v];
        if (value->origin == OT_FROM_CONSTANT)
            a->weight[i] = value->tensor->data;
        else if (value->origin == OT_FROM_SLOT)
            a->weight[i] = w->o->slot[v];
    }
    for (int i = 0; i < n->n_out; i++)
        a->y[i] = n->out[i] == OT_NONE ? NULL : w->p->fact[n->out[i]];
    return OT_OK;
}

static ot_status find_views(planner *w)
{
    for (int64_t i = 0; i < w->g->n_node; i++) {
        const ot_node *n = w->g->node[i];
        w->view_of[i] = -1;
        if (is_known(w->p, n) || !n->op->view)
            continue;
        node_args a;
        OT_TRY(collect(w, n, &a));
        ot_prep p = { .node = n, .n_in = n->n_in, .n_out = n->n_out, .x = a.x, .y = a.y, .constant = a.constant };
        w->view_of[i] = n->op->view(&p);
    }
    return OT_OK;
}

/* A slot and the value that is copied into it take the same bytes. */
static ot_status check_bindings(const planner *w)
{
    for (int64_t i = 0; i < w->g->n_binding; i++) {
        const ot_binding *b = &w->g->binding[i];
        const ot_fact *slot = w->p->fact[b->slot], *value = w->p->fact[b->value];
        if (!ot_fact_same(slot, value))
            return ot_fail(OT_ESHAPE, "state '%s' is %s of %s, its update is %s of %s", w->g->value[b->slot].name,
                           OT_DIMS(slot->rank, slot->dim), ot_dtype_name(slot->dtype), OT_DIMS(value->rank, value->dim),
                           ot_dtype_name(value->dtype));
    }
    return OT_OK;
}

/* Backward from what leaves the graph; what is known or only measured needs no data. */
static void find_needed(planner *w)
{
    const ot_graph *g = w->g;
    for (int64_t i = 0; i < g->n_output; i++)
        w->needed[g->output[i].value] = true;
    for (int64_t i = 0; i < g->n_binding; i++)
        w->needed[g->binding[i].value] = true;
    if (g->guard != OT_NONE)
        w->needed[g->guard] = true;
    for (int64_t i = g->n_node - 1; i >= 0; i--) {
        const ot_node *n = g->node[i];
        bool runs = false;
        for (int k = 0; k < n->n_out; k++)
            runs |= n->out[k] != OT_NONE && w->needed[n->out[k]];
        if (!runs || is_known(w->p, n))
            continue;
        for (int k = 0; k < n->n_in; k++) {
            bool reads = w->view_of[i] >= 0 ? k == w->view_of[i] : !(k < 32 && n->op->shape_only >> k & 1);
            if (reads && n->in[k] != OT_NONE)
                w->needed[n->in[k]] = true;
        }
    }
}

static ot_status make_steps(planner *w)
{
    ot_plan *p = w->p;
    const ot_graph *g = w->g;
    p->step = ot_arena_calloc(&p->arena, (size_t)g->n_node + 1, sizeof(*p->step));
    if (!p->step)
        return OT_ENOMEM;
    for (int64_t i = 0; i < g->n_node; i++) {
        const ot_node *n = g->node[i];
        bool runs = false;
        for (int k = 0; k < n->n_out; k++)
            runs |= n->out[k] != OT_NONE && w->needed[n->out[k]];
        if (is_known(p, n) || !runs)
            continue;
        if (w->view_of[i] >= 0) {
            p->view[n->out[0]] = n->in[w->view_of[i]];
            continue;
        }
        node_args a;
        OT_TRY(collect(w, n, &a));
        ot_step *s = &p->step[p->n_step++];
        OT_TRY(ot_step_prepare(s, &p->arena, n, a.x, a.y, a.constant, a.weight, w->o->packs,
                               ot_threads_count(w->o->threads)));
        if (s->scratch > p->scratch_bytes)
            p->scratch_bytes = s->scratch;
    }
    return OT_OK;
}

static ot_status bind_inputs(planner *w)
{
    ot_graph *g = w->g;
    const ot_tensor *input = w->o->input;
    for (int64_t i = 0; i < g->n_symbol; i++)
        w->binding[i] = -1;
    for (int64_t i = 0; i < g->n_input; i++)
        OT_TRY(ot_bind_input(g, w->binding, &g->value[g->input[i]], &input[i]));
    for (int64_t v = 0; v < g->n_value; v++)
        if (g->value[v].origin == OT_FROM_CONSTANT || g->value[v].origin == OT_FROM_SLOT)
            w->p->fact[v] = &g->value[v].fact;
    for (int64_t i = 0; i < g->n_input; i++) {
        ot_fact *f = ot_arena_calloc(&w->p->arena, 1, sizeof(*f));
        if (!f)
            return OT_ENOMEM;
        ot_set_shape(f, input[i].dtype, input[i].rank, input[i].dim);
        w->p->fact[g->input[i]] = f;
    }
    return OT_OK;
}

static ot_status make(planner *w)
{
    ot_plan *p = w->p;
    ot_arena *arena = &p->arena;
    size_t values = (size_t)w->g->n_value + 1, nodes = (size_t)w->g->n_node + 1;
    p->graph = w->g;
    p->fact = ot_arena_calloc(arena, values, sizeof(*p->fact));
    p->where = ot_arena_calloc(arena, values, sizeof(*p->where));
    p->known = ot_arena_calloc(arena, values, sizeof(*p->known));
    p->looked_at = ot_arena_calloc(arena, (size_t)w->g->n_input + 1, sizeof(*p->looked_at));
    p->view = ot_arena_calloc(arena, values, sizeof(*p->view));
    p->stored = ot_arena_calloc(arena, (size_t)w->g->n_binding + 1, sizeof(*p->stored));
    w->view_of = ot_arena_calloc(arena, nodes, sizeof(*w->view_of));
    w->needed = ot_arena_calloc(arena, values, sizeof(*w->needed));
    w->binding = ot_arena_calloc(arena, (size_t)w->g->n_symbol + 1, sizeof(*w->binding));
    if (!p->fact || !p->where || !p->known || !p->looked_at || !p->view || !p->stored || !w->view_of || !w->needed ||
        !w->binding)
        return OT_ENOMEM;
    for (size_t v = 0; v < values; v++)
        p->view[v] = OT_NONE;
    OT_TRY(bind_inputs(w));
    OT_TRY(infer_all(w));
    OT_TRY(find_views(w));
    OT_TRY(check_bindings(w));
    find_needed(w);
    OT_TRY(make_steps(w));
    return ot_plan_memory(p);
}

ot_status ot_plan_create(ot_plan **out, ot_graph *g, const ot_plan_opts *opts)
{
    *out = NULL;
    ot_plan *p = ot_calloc(1, sizeof(*p));
    if (!p)
        return OT_ENOMEM;
    planner w = { .p = p, .g = g, .o = opts };
    ot_status st = make(&w);
    if (st == OT_OK)
        *out = p;
    else
        ot_plan_close(p);
    return st;
}

void ot_plan_close(ot_plan *p)
{
    if (!p)
        return;
    for (int64_t i = 0; i < p->n_step; i++)
        ot_step_release(&p->step[i]);
    ot_arena_release(&p->arena);
    ot_free(p);
}

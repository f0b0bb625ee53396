#include "exec/walk.h"

#include <string.h>

/* A node as it was prepared last. */
typedef struct ready {
    ot_arena arena;
    ot_step step;
    bool whole;      /* step is to be released */
    bool good;       /* may serve again */
    int view;        /* the input that output 0 views; -1: none, the step runs */
    ot_fact *x, *y;  /* by input and output */
    ot_tensor **saw; /* by input: a copy of the data that was looked at; NULL */
} ready;

struct ot_frame {
    const ot_graph *g;
    ot_graph *graph;    /* the same; shape rules make symbols in it */
    void *const *slot;  /* NULL in bodies */
    ot_frame **body;    /* of the graph's bodies, once they ran */
    ready *node;        /* by node */
    int64_t *last;      /* by value: the last node that reads it; n_node: held after the run */
    ot_box **value;     /* by value, during a run */
    ot_box **in, **out; /* room for the inputs and outputs of any node */
};

/* ---- Frames ---------------------------------------------------------------------------------------------------- */

static void forget(ready *r)
{
    if (r->whole)
        ot_step_release(&r->step);
    ot_arena_release(&r->arena);
    *r = (ready){ 0 };
}

static void close_frame(ot_frame *f)
{
    if (!f)
        return;
    for (int64_t i = 0; i < f->g->n_value && f->value; i++)
        ot_box_drop(f->value[i]);
    for (int64_t i = 0; i < f->g->n_node && f->node; i++)
        forget(&f->node[i]);
    for (int64_t i = 0; i < f->g->n_body && f->body; i++)
        close_frame(f->body[i]);
    ot_free(f->body);
    ot_free(f->node);
    ot_free(f->last);
    ot_free(f->value);
    ot_free(f->in);
    ot_free(f->out);
    ot_free(f);
}

static void find_last(ot_frame *f)
{
    const ot_graph *g = f->g;
    for (int64_t v = 0; v < g->n_value; v++)
        f->last[v] = -1;
    for (int64_t i = 0; i < g->n_node; i++)
        for (int k = 0; k < g->node[i]->n_in; k++)
            if (g->node[i]->in[k] != OT_NONE)
                f->last[g->node[i]->in[k]] = i;
    for (int64_t i = 0; i < g->n_output; i++)
        f->last[g->output[i].value] = g->n_node;
    for (int64_t i = 0; i < g->n_binding; i++)
        f->last[g->binding[i].value] = g->n_node;
    if (g->guard != OT_NONE)
        f->last[g->guard] = g->n_node;
}

static ot_status open_frame(ot_frame **out, ot_graph *g, void *const *slot)
{
    size_t most_in = 1, most_out = 1;
    ot_frame *f = ot_calloc(1, sizeof(*f));
    *out = f;
    if (!f)
        return OT_ENOMEM;
    for (int64_t i = 0; i < g->n_node; i++) {
        most_in = (size_t)g->node[i]->n_in > most_in ? (size_t)g->node[i]->n_in : most_in;
        most_out = (size_t)g->node[i]->n_out > most_out ? (size_t)g->node[i]->n_out : most_out;
    }
    f->g = f->graph = g;
    f->slot = slot;
    f->body = ot_calloc((size_t)g->n_body + 1, sizeof(ot_frame *));
    f->node = ot_calloc((size_t)g->n_node + 1, sizeof(*f->node));
    f->last = ot_calloc((size_t)g->n_value + 1, sizeof(*f->last));
    f->value = ot_calloc((size_t)g->n_value + 1, sizeof(*f->value));
    f->in = ot_calloc(most_in, sizeof(*f->in));
    f->out = ot_calloc(most_out, sizeof(*f->out));
    if (!f->body || !f->node || !f->last || !f->value || !f->in || !f->out)
        return OT_ENOMEM;
    find_last(f);
    return OT_OK;
}

/* ---- A node of tensors ----------------------------------------------------------------------------------------- */

static bool is_fixed(const ot_frame *f, ot_val v)
{
    return f->g->value[v].origin == OT_FROM_CONSTANT;
}

/* The same shapes, and the same data where it was looked at. */
static bool serves(const ready *r, const ot_node *n, ot_box *const *in)
{
    for (int i = 0; i < n->n_in && r->good; i++) {
        const ot_fact *x = &r->x[i];
        if (n->in[i] == OT_NONE)
            continue;
        const ot_tensor *t = &in[i]->tensor;
        if (t->dtype != x->dtype || t->rank != x->rank ||
            (t->rank && memcmp(t->dim, x->dim, (size_t)t->rank * sizeof(*t->dim)) != 0) ||
            (r->saw[i] && !ot_tensor_same_data(r->saw[i], t)))
            return false;
    }
    return r->good;
}

static bool is_shaped(const ot_node *n, const ot_fact *y)
{
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k] == OT_NONE)
            continue;
        if (y[k].kind != OT_TENSOR || y[k].rank < 0 || y[k].dtype == OT_UNDEFINED)
            return false;
        for (int i = 0; i < y[k].rank; i++)
            if (y[k].dim[i] < 0)
                return false;
    }
    return true;
}

/* What shape rules and kernels see of a node's inputs. */
typedef struct sight {
    const ot_fact **x, **y;
    const ot_tensor **data; /* constants and what was looked at */
    const void **weight;
} sight;

static bool is_looked_at(const ot_tensor *t, ot_look look)
{
    if (look == OT_SMALL_INTS && ot_dtype_is_float(t->dtype))
        return false;
    return look == OT_ALL || ot_tensor_count(t) <= OT_MAX_VALUE;
}

/* The graph keeps no symbol of it: what serves a step are numbers. */
static ot_status infer(const ot_frame *f, const ot_node *n, const sight *s, ready *r)
{
    int64_t symbols = f->graph->n_symbol;
    ot_status st = ot_infer_inputs(f->graph, &r->arena, n, s->x, s->data, r->y);
    f->graph->n_symbol = symbols;
    return st;
}

/* Shapes from as little data as will do: the less is looked at, the more often the step serves. */
static ot_status find_shapes(const ot_frame *f, const ot_node *n, ot_box *const *in, sight *s, ready *r)
{
    OT_TRY(infer(f, n, s, r));
    for (ot_look look = OT_SMALL_INTS; look <= OT_ALL && !is_shaped(n, r->y); look++) {
        bool more = false;
        for (int i = 0; i < n->n_in; i++) {
            if (n->in[i] == OT_NONE || s->data[i] || !is_looked_at(&in[i]->tensor, look))
                continue;
            more = true;
            s->data[i] = &in[i]->tensor;
            OT_TRY(ot_box_fact(&r->x[i], &r->arena, in[i], true));
            if (look == OT_ALL) {
                r->good = false;
                continue;
            }
            r->saw[i] = ot_arena_memdup(&r->arena, &in[i]->tensor, sizeof(ot_tensor));
            void *copy = ot_arena_memdup(&r->arena, in[i]->tensor.data, ot_tensor_bytes(&in[i]->tensor));
            if (!r->saw[i] || !copy)
                return OT_ENOMEM;
            r->saw[i]->data = copy;
            if (in[i]->tensor.dtype == OT_STRING)
                OT_TRY(ot_copy_strings(&r->arena, r->saw[i]));
        }
        if (more)
            OT_TRY(infer(f, n, s, r));
    }
    if (!is_shaped(n, r->y))
        return ot_fail(OT_EUNSUPPORTED, "node '%s' (%s-%d): the shape of an output cannot be told", n->name,
                       n->op->name, n->opset);
    return OT_OK;
}

static ot_status make_ready(const ot_walker *w, const ot_frame *f, const ot_node *n, ot_box *const *in, ready *r)
{
    ot_arena *arena = &r->arena;
    size_t n_in = (size_t)n->n_in + 1, n_out = (size_t)n->n_out + 1;
    sight s = { 0 };
    r->good = true;
    r->x = ot_arena_calloc(arena, n_in, sizeof(*r->x));
    r->y = ot_arena_calloc(arena, n_out, sizeof(*r->y));
    r->saw = ot_arena_calloc(arena, n_in, sizeof(*r->saw));
    s.x = ot_arena_calloc(arena, n_in, sizeof(*s.x));
    s.y = ot_arena_calloc(arena, n_out, sizeof(*s.y));
    s.data = ot_arena_calloc(arena, n_in, sizeof(*s.data));
    s.weight = ot_arena_calloc(arena, n_in, sizeof(*s.weight));
    if (!r->x || !r->y || !r->saw || !s.x || !s.y || !s.data || !s.weight)
        return OT_ENOMEM;
    for (int i = 0; i < n->n_in; i++) {
        ot_val v = n->in[i];
        if (v == OT_NONE)
            continue;
        OT_TRY(ot_box_fact(&r->x[i], arena, in[i], is_fixed(f, v)));
        s.x[i] = &r->x[i];
        if (is_fixed(f, v))
            s.data[i] = f->g->value[v].tensor;
        s.weight[i] = is_fixed(f, v) ? s.data[i]->data : f->slot ? f->slot[v] : NULL;
    }
    OT_TRY(find_shapes(f, n, in, &s, r));
    for (int i = 0; i < n->n_out; i++)
        s.y[i] = n->out[i] == OT_NONE ? NULL : &r->y[i];
    ot_prep p = { .node = n, .n_in = n->n_in, .n_out = n->n_out, .x = s.x, .y = s.y, .constant = s.data };
    r->view = n->op->view ? n->op->view(&p) : -1;
    if (r->view >= 0)
        return OT_OK;
    r->whole = true;
    return ot_step_prepare(&r->step, arena, n, s.x, s.y, s.data, s.weight, &w->o->store->packs,
                           ot_threads_count(w->o->threads));
}

static ot_status need_scratch(ot_walker *w, size_t bytes)
{
    if (bytes <= w->scratch_bytes && w->scratch)
        return OT_OK;
    if (w->o->memory && (bytes > w->o->memory || w->live > w->o->memory - bytes))
        return ot_fail(OT_ENOMEM, "%zu bytes of work space beside %zu of values, the cap is %zu", bytes, w->live,
                       w->o->memory);
    ot_free(w->scratch);
    w->scratch = ot_malloc(bytes + 1, 1);
    w->scratch_bytes = w->scratch ? bytes : 0;
    return w->scratch ? OT_OK : OT_ENOMEM;
}

static ot_status run_step(ot_walker *w, const ot_frame *f, const ot_node *n, ot_box *const *in, ready *r, ot_box **out)
{
    ot_step *s = &r->step;
    OT_TRY(need_scratch(w, s->scratch));
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] == OT_NONE)
            continue;
        s->x[i].data = in[i]->tensor.data;
        s->version[i] = is_fixed(f, n->in[i]) ? 1 : f->slot && f->slot[n->in[i]] ? w->o->store->version : 0;
    }
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] != OT_NONE) {
            out[i] = ot_box_blank(w, &r->y[i]);
            if (!out[i])
                return ot_context(OT_ENOMEM, "node '%s' (%s-%d)", n->name, n->op->name, n->opset);
            s->y[i].data = out[i]->tensor.data;
        }
    w->steps++;
    ot_status st = ot_step_run(s, w->scratch, w->o->threads);
    for (int i = 0; i < n->n_out; i++) {
        if (!out[i] || out[i]->tensor.dtype != OT_STRING)
            continue;
        if (st == OT_OK)
            st = ot_box_own_text(out[i]);
        else /* bytes that others own */
            memset(out[i]->tensor.data, 0, ot_tensor_bytes(&out[i]->tensor));
    }
    return st;
}

static ot_status run_tensors(ot_walker *w, const ot_frame *f, int64_t at, ot_box *const *in, ot_box **out)
{
    const ot_node *n = f->g->node[at];
    ready *r = &f->node[at];
    for (int i = 0; i < n->n_in; i++)
        if (in[i] && in[i]->kind != OT_TENSOR)
            return ot_fail(OT_EMODEL, "node '%s' (%s-%d): input %d is not a tensor", n->name, n->op->name, n->opset, i);
    if (!serves(r, n, in)) {
        forget(r);
        ot_status st = make_ready(w, f, n, in, r);
        if (st != OT_OK) {
            r->good = false;
            return st;
        }
    }
    if (r->view < 0)
        return run_step(w, f, n, in, r, out);
    out[0] = ot_box_view(w, in[r->view], &r->y[0]);
    return out[0] ? OT_OK : OT_ENOMEM;
}

/* What was known of a value when the graph was derived, and so was built upon, must be so. */
static ot_status check_fact(const ot_graph *g, ot_val v, const ot_box *b)
{
    const ot_fact *f = &g->value[v].fact;
    bool good = f->kind == b->kind || (f->kind == OT_OPTIONAL && f->element && f->element->kind == b->kind);
    if (f->kind == OT_TENSOR && b->kind == OT_TENSOR) {
        const ot_tensor *t = &b->tensor;
        good = (f->dtype == t->dtype || f->dtype == OT_UNDEFINED) && (f->rank == t->rank || f->rank < 0);
        for (int i = 0; i < f->rank && good; i++)
            good = f->dim[i] == t->dim[i] || ot_is_symbol(f->dim[i]);
    }
    char text[OT_DIMS_TEXT];
    return good ? OT_OK
                : ot_fail(OT_ESHAPE, "'%s' is %s %s, the model says %s", g->value[v].name,
                          b->kind == OT_TENSOR ? ot_dtype_name(b->tensor.dtype) : "of another kind",
                          b->kind == OT_TENSOR ? OT_DIMS(b->tensor.rank, b->tensor.dim) : "",
                          ot_fact_text(g, f, text, sizeof(text)));
}

/* ---- Nodes that flow ------------------------------------------------------------------------------------------- */

typedef struct call {
    ot_flow flow;
    ot_frame *frame;
} call;

static bool flows(const ot_node *n, ot_box *const *in)
{
    bool yes = n->op->flow && !n->op->cpu;
    for (int i = 0; i < n->n_in && n->op->flow && !yes; i++)
        yes = in[i] && in[i]->kind != OT_TENSOR;
    return yes;
}

static ot_status run_flow(ot_walker *w, ot_frame *f, const ot_node *n, ot_box *const *in, ot_box **out)
{
    call c = { .flow = { .node = n, .n_in = n->n_in, .n_out = n->n_out, .x = in, .y = out, .walker = w }, .frame = f };
    ot_status st = n->op->flow(&c.flow);
    for (int i = 0; i < n->n_out && st == OT_OK; i++)
        if (n->out[i] != OT_NONE)
            st = out[i] ? check_fact(f->g, n->out[i], out[i]) : ot_fail(OT_EMODEL, "output %d is not made", i);
    return st == OT_OK ? st : ot_context(st, "node '%s' (%s-%d)", n->name, n->op->name, n->opset);
}

static ot_status walk(ot_walker *w, ot_frame *f, ot_box *const *in, ot_box **out);

ot_status ot_flow_call(const ot_flow *flow, const ot_graph *body, ot_box *const *in, ot_box **out)
{
    ot_frame *f = ((const call *)flow)->frame, **inner = &f->body[body->place];
    if (!*inner) {
        ot_status st = open_frame(inner, f->g->body[body->place], NULL);
        if (st != OT_OK) {
            close_frame(*inner);
            *inner = NULL;
            return st;
        }
    }
    return walk(flow->walker, *inner, in, out);
}

ot_status ot_flow_trip(const ot_flow *flow)
{
    ot_walker *w = flow->walker;
    return ++w->trips <= w->most_trips
               ? OT_OK
               : ot_fail(OT_EUNSUPPORTED, "more than %lld trips through bodies in one run", (long long)w->most_trips);
}

/* ---- A graph --------------------------------------------------------------------------------------------------- */

static void let_go(ot_frame *f, ot_val v)
{
    ot_box_drop(f->value[v]);
    f->value[v] = NULL;
}

static ot_status take_node(ot_walker *w, ot_frame *f, int64_t at)
{
    const ot_node *n = f->g->node[at];
    for (int i = 0; i < n->n_in; i++)
        f->in[i] = n->in[i] == OT_NONE ? NULL : f->value[n->in[i]];
    for (int i = 0; i < n->n_out; i++)
        f->out[i] = NULL;
    ot_status st = flows(n, f->in) ? run_flow(w, f, n, f->in, f->out) : run_tensors(w, f, at, f->in, f->out);
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] == OT_NONE || f->last[n->out[i]] < 0)
            ot_box_drop(f->out[i]);
        else
            f->value[n->out[i]] = f->out[i];
    }
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != OT_NONE && f->last[n->in[i]] == at && !is_fixed(f, n->in[i]))
            let_go(f, n->in[i]);
    return st;
}

/* Constants and slots stay from run to run. */
static ot_status lend_all(ot_walker *w, ot_frame *f)
{
    for (int64_t v = 0; v < f->g->n_value; v++) {
        const ot_value *value = &f->g->value[v];
        if (f->last[v] < 0 || f->value[v] || (value->origin != OT_FROM_CONSTANT && value->origin != OT_FROM_SLOT))
            continue;
        ot_tensor t = *value->tensor;
        if (value->origin == OT_FROM_SLOT)
            t.data = f->slot[v];
        f->value[v] = ot_box_lend(w, &t);
        if (!f->value[v])
            return OT_ENOMEM;
    }
    return OT_OK;
}

static void clear(ot_frame *f, bool all)
{
    for (int64_t v = 0; v < f->g->n_value; v++)
        if (f->value[v] && f->g->value[v].origin != OT_FROM_CONSTANT && (all || f->last[v] != f->g->n_node))
            let_go(f, (ot_val)v);
}

static ot_status walk(ot_walker *w, ot_frame *f, ot_box *const *in, ot_box **out)
{
    const ot_graph *g = f->g;
    clear(f, true);
    OT_TRY(lend_all(w, f));
    for (int64_t i = 0; i < g->n_input; i++)
        f->value[g->input[i]] = ot_box_share(in[i]);
    ot_status st = OT_OK;
    for (int64_t i = 0; i < g->n_input && st == OT_OK && f != w->root; i++)
        st = check_fact(g, g->input[i], in[i]);
    for (int64_t i = 0; i < g->n_node && st == OT_OK; i++)
        st = take_node(w, f, i);
    for (int64_t i = 0; i < g->n_output && st == OT_OK && f != w->root; i++)
        st = check_fact(g, g->output[i].value, f->value[g->output[i].value]);
    for (int64_t i = 0; i < g->n_output && st == OT_OK; i++)
        out[i] = ot_box_share(f->value[g->output[i].value]);
    clear(f, st != OT_OK || f != w->root);
    return st;
}

ot_status ot_walker_create(ot_walker **out, ot_graph *g, const ot_executor_opts *o, void *const *slot,
                           int64_t most_trips)
{
    *out = NULL;
    ot_walker *w = ot_calloc(1, sizeof(*w));
    if (!w)
        return OT_ENOMEM;
    *w = (ot_walker){ .o = o, .most_trips = most_trips };
    ot_status st = open_frame(&w->root, g, slot);
    if (st == OT_OK)
        *out = w;
    else
        ot_walker_close(w);
    return st;
}

void ot_walker_close(ot_walker *w)
{
    if (!w)
        return;
    close_frame(w->root);
    ot_free(w->scratch);
    ot_free(w);
}

ot_status ot_walker_run(ot_walker *w, ot_box *const *in, ot_box **out)
{
    clear(w->root, true);
    w->trips = w->steps = 0;
    w->peak = w->live;
    return walk(w, w->root, in, out);
}

const ot_tensor *ot_walker_value(const ot_walker *w, ot_val v)
{
    const ot_box *b = w->root->value[v];
    return b && b->kind == OT_TENSOR ? &b->tensor : NULL;
}

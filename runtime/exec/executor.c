#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "exec/executor.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define MAX_PLANS 16
#define HEAVY     ((size_t)1 << 20)

struct ot_executor {
    ot_graph *g;
    ot_executor_opts o;
    void **slot;              /* data of slots, by value */
    ot_plan *plan[MAX_PLANS]; /* the last used first */
    int n_plan;
    ot_tensor *output;
};

void ot_workspace_release(ot_workspace *w)
{
    ot_free(w->bytes);
    *w = (ot_workspace){ 0 };
}

static ot_status bind_slots(ot_executor *e)
{
    e->slot = ot_calloc((size_t)e->g->n_value + 1, sizeof(*e->slot));
    e->output = ot_calloc((size_t)e->g->n_output + 1, sizeof(*e->output));
    if (!e->slot || !e->output)
        return OT_ENOMEM;
    for (int64_t v = 0; v < e->g->n_value; v++) {
        if (e->g->value[v].origin != OT_FROM_SLOT)
            continue;
        int64_t i;
        OT_TRY(ot_store_slot(e->o.store, &i, e->g->value[v].name, e->g->value[v].tensor));
        e->slot[v] = e->o.store->slot[i].tensor.data;
    }
    return OT_OK;
}

ot_status ot_executor_create(ot_executor **out, ot_graph *g, const ot_executor_opts *opts)
{
    *out = NULL;
    ot_executor *e = ot_calloc(1, sizeof(*e));
    if (!e) {
        ot_graph_close(g);
        return OT_ENOMEM;
    }
    e->g = g;
    e->o = *opts;
    ot_status st = bind_slots(e);
    if (st == OT_OK)
        *out = e;
    else
        ot_executor_close(e);
    return st;
}

void ot_executor_close(ot_executor *e)
{
    if (!e)
        return;
    for (int i = 0; i < e->n_plan; i++)
        ot_plan_close(e->plan[i]);
    ot_free(e->slot);
    ot_free(e->output);
    ot_graph_close(e->g);
    ot_free(e);
}

const ot_graph *ot_executor_graph(const ot_executor *e)
{
    return e->g;
}

const ot_plan *ot_executor_plan(const ot_executor *e)
{
    return e->n_plan ? e->plan[0] : NULL;
}

const ot_tensor *ot_executor_output(const ot_executor *e, int64_t i)
{
    return &e->output[i];
}

/* The constants that the plan's steps read, each once: what was folded away no longer counts. */
static ot_status count_weights(size_t *out, const ot_executor *e, const ot_plan *p)
{
    bool *seen = ot_calloc((size_t)e->g->n_value + 1, sizeof(*seen));
    if (!seen)
        return OT_ENOMEM;
    *out = 0;
    for (int64_t i = 0; i < p->n_step; i++) {
        const ot_node *n = p->step[i].node;
        for (int k = 0; k < n->n_in; k++) {
            ot_val v = n->in[k];
            if (v == OT_NONE || seen[v] || e->g->value[v].origin != OT_FROM_CONSTANT)
                continue;
            seen[v] = true;
            *out += ot_tensor_bytes(e->g->value[v].tensor);
        }
    }
    ot_free(seen);
    return OT_OK;
}

ot_status ot_executor_memory(const ot_executor *e, ot_memory *out)
{
    const ot_plan *p = ot_executor_plan(e);
    *out = (ot_memory){ 0 };
    if (!p)
        return ot_fail(OT_EARG, "nothing was planned yet");
    OT_TRY(count_weights(&out->weights, e, p));
    out->state = e->o.store->bytes;
    out->packed = e->o.store->packs.bytes;
    out->activations = p->arena_bytes + p->known_bytes;
    out->workspace = p->scratch_bytes;
    out->steps = p->n_step;
    return OT_OK;
}

static bool fits(const ot_executor *e, const ot_plan *p, const ot_tensor *input)
{
    for (int64_t i = 0; i < e->g->n_input; i++) {
        ot_val v = e->g->input[i];
        const ot_fact *f = p->fact[v];
        if (f->dtype != input[i].dtype || f->rank != input[i].rank)
            return false;
        for (int d = 0; d < f->rank; d++)
            if (f->dim[d] != input[i].dim[d])
                return false;
        if (p->looked_at[i] && !(input[i].data && ot_tensor_same_data(p->known[v], &input[i])))
            return false;
    }
    return true;
}

static void move_to_front(ot_executor *e, int i)
{
    ot_plan *p = e->plan[i];
    memmove(&e->plan[1], &e->plan[0], (size_t)i * sizeof(*e->plan));
    e->plan[0] = p;
}

static ot_status check_memory(const ot_executor *e, const ot_plan *p)
{
    size_t state = e->o.store->bytes, packed = e->o.store->packs.bytes;
    size_t total = p->arena_bytes + p->scratch_bytes + state + packed + p->known_bytes;
    if (!e->o.memory || total <= e->o.memory)
        return OT_OK;
    return ot_fail(OT_ENOMEM,
                   "%zu bytes are needed (activations %zu, work space %zu, state %zu, packed weights %zu), "
                   "the cap is %zu",
                   total, p->arena_bytes + p->known_bytes, p->scratch_bytes, state, packed, e->o.memory);
}

static ot_status enlarge(ot_workspace *w, size_t size)
{
    if (w->size >= size)
        return OT_OK;
    char *bytes = ot_malloc(size, 1);
    if (!bytes)
        return OT_ENOMEM;
    ot_free(w->bytes);
    *w = (ot_workspace){ bytes, size };
    return OT_OK;
}

/* Plans that hold much data of one run are kept only until the next plan is made. */
static void drop_heavy(ot_executor *e)
{
    int kept = 0;
    for (int i = 0; i < e->n_plan; i++)
        if (e->plan[i]->known_bytes > HEAVY)
            ot_plan_close(e->plan[i]);
        else
            e->plan[kept++] = e->plan[i];
    e->n_plan = kept;
}

static ot_status make_plan(ot_executor *e, const ot_tensor *input)
{
    ot_plan *p = NULL;
    ot_plan_opts po = { input, e->slot, &e->o.store->packs, e->o.threads, e->o.memory };
    ot_status st = ot_plan_create(&p, e->g, &po);
    if (st == OT_OK)
        st = check_memory(e, p);
    if (st == OT_OK)
        st = enlarge(e->o.workspace, p->arena_bytes + p->scratch_bytes);
    if (st != OT_OK) {
        ot_plan_close(p);
        return st;
    }
    drop_heavy(e);
    if (e->n_plan == MAX_PLANS)
        ot_plan_close(e->plan[--e->n_plan]);
    e->plan[e->n_plan++] = p;
    move_to_front(e, e->n_plan - 1);
    return OT_OK;
}

ot_status ot_executor_prepare(ot_executor *e, const ot_tensor *input)
{
    for (int i = 0; i < e->n_plan; i++)
        if (fits(e, e->plan[i], input)) {
            move_to_front(e, i);
            return OT_OK;
        }
    return make_plan(e, input);
}

static void *data_of(const ot_executor *e, const ot_plan *p, const ot_tensor *input, ot_val v)
{
    ot_where w = p->where[v];
    switch (w.place) {
    case OT_IN_INPUT:
        return input[w.at].data;
    case OT_IN_WEIGHT:
        if (e->slot[w.at])
            return e->slot[w.at];
        return p->known[w.at] ? p->known[w.at]->data : e->g->value[w.at].tensor->data;
    case OT_IN_ARENA:
        return e->o.workspace->bytes + w.at;
    case OT_NOWHERE:
        break;
    }
    return NULL;
}

/* Addresses may change from run to run (inputs, a workspace that grew): they are set before each. */
static void bind_data(ot_executor *e, ot_plan *p, const ot_tensor *input)
{
    for (int64_t i = 0; i < p->n_step; i++) {
        ot_step *s = &p->step[i];
        for (int k = 0; k < s->node->n_in; k++) {
            ot_val v = s->node->in[k];
            if (v == OT_NONE)
                continue;
            s->x[k].data = data_of(e, p, input, v);
            if (e->slot[v])
                s->version[k] = e->o.store->version;
        }
        for (int k = 0; k < s->node->n_out; k++)
            if (s->node->out[k] != OT_NONE)
                s->y[k].data = data_of(e, p, input, s->node->out[k]);
    }
}

static void commit(ot_executor *e, const ot_plan *p, const ot_tensor *input)
{
    const ot_graph *g = e->g;
    if (g->n_binding == 0)
        return;
    bool good = true;
    if (g->guard != OT_NONE) {
        ot_tensor t = { .dtype = p->fact[g->guard]->dtype, .data = data_of(e, p, input, g->guard) };
        good = isfinite(ot_tensor_get(&t, 0));
    }
    for (int64_t b = 0; b < g->n_binding; b++) {
        if (p->stored[b] || !(good || g->binding[b].always))
            continue;
        const ot_fact *f = p->fact[g->binding[b].value];
        ot_tensor t = { .dtype = f->dtype, .rank = f->rank };
        memcpy(t.dim, f->dim, sizeof(t.dim));
        memcpy(e->slot[g->binding[b].slot], data_of(e, p, input, g->binding[b].value), ot_tensor_bytes(&t));
    }
    e->o.store->version++;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static ot_status run_steps(ot_executor *e, ot_plan *p)
{
    void *scratch = e->o.workspace->bytes + p->arena_bytes;
    for (int64_t i = 0; i < p->n_step; i++) {
        ot_step *s = &p->step[i];
        double start = e->o.timed ? now() : 0;
        OT_TRY(ot_step_run(s, scratch, e->o.threads));
        double took = e->o.timed ? now() - start : 0;
        if (s->seconds == 0 || took < s->seconds)
            s->seconds = took;
    }
    return OT_OK;
}

ot_status ot_executor_run(ot_executor *e, const ot_tensor *input)
{
    OT_TRY(ot_executor_prepare(e, input));
    ot_plan *p = e->plan[0];
    bind_data(e, p, input);
    OT_TRY(run_steps(e, p));
    commit(e, p, input);
    for (int64_t i = 0; i < e->g->n_output; i++) {
        ot_val v = e->g->output[i].value;
        const ot_fact *f = p->fact[v];
        e->output[i] = (ot_tensor){ .dtype = f->dtype, .rank = f->rank, .data = data_of(e, p, input, v) };
        memcpy(e->output[i].dim, f->dim, sizeof(f->dim));
    }
    return OT_OK;
}

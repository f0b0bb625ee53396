#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "exec/walk.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define MAX_PLANS 32 /* more than the lengths that batches of text are drawn of */
#define HEAVY     ((size_t)1 << 20)

struct ot_executor {
    ot_graph *g;
    ot_executor_opts o;
    void **slot;              /* data of slots, by value */
    ot_plan *plan[MAX_PLANS]; /* the last used first */
    int n_plan;
    ot_tensor *output;
    ot_item *item; /* the outputs again */
    bool ran;
    ot_walker *walker; /* NULL: the graph is planned */
    ot_box **out;      /* of the walker's last run */
    ot_arena items;    /* of the outputs' items */
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
    e->item = ot_calloc((size_t)e->g->n_output + 1, sizeof(*e->item));
    e->out = ot_calloc((size_t)e->g->n_output + 1, sizeof(*e->out));
    if (!e->slot || !e->output || !e->item || !e->out)
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
    if (st == OT_OK && ot_graph_walks(g))
        st = ot_walker_create(&e->walker, g, &e->o, e->slot, opts->trips > 0 ? opts->trips : OT_MOST_TRIPS);
    if (st == OT_OK)
        *out = e;
    else
        ot_executor_close(e);
    return st;
}

static void drop_outputs(ot_executor *e)
{
    for (int64_t i = 0; i < e->g->n_output && e->out; i++) {
        ot_box_drop(e->out[i]);
        e->out[i] = NULL;
    }
    e->ran = false;
}

void ot_executor_close(ot_executor *e)
{
    if (!e)
        return;
    drop_outputs(e);
    ot_walker_close(e->walker);
    ot_arena_release(&e->items);
    ot_free(e->out);
    ot_free(e->item);
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

const ot_walker *ot_executor_walker(const ot_executor *e)
{
    return e->walker;
}

static size_t constants_of(const ot_graph *g, bool captured)
{
    size_t bytes = 0;
    for (int64_t v = 0; v < g->n_value; v++)
        if (g->value[v].origin == OT_FROM_CONSTANT && (captured || g->value[v].stays))
            bytes += ot_tensor_bytes(g->value[v].tensor);
    for (int64_t i = 0; i < g->n_body; i++)
        bytes += constants_of(g->body[i], false);
    return bytes;
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
    if (e->walker) { /* values as the last run had them */
        *out = (ot_memory){ .weights = constants_of(e->g, true),
                            .state = e->o.store->bytes,
                            .packed = e->o.store->packs.bytes,
                            .activations = e->walker->peak,
                            .workspace = e->walker->scratch_bytes,
                            .steps = e->walker->steps };
        return OT_OK;
    }
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

static ot_status check_inputs(const ot_executor *e, const ot_tensor *input, const ot_item *const *item)
{
    ot_dim *binding = ot_malloc((size_t)e->g->n_symbol + 1, sizeof(*binding));
    ot_status st = binding ? OT_OK : OT_ENOMEM;
    for (int64_t i = 0; i < e->g->n_symbol && binding; i++)
        binding[i] = -1;
    for (int64_t i = 0; i < e->g->n_input && st == OT_OK; i++) {
        const ot_value *v = &e->g->value[e->g->input[i]];
        if (item)
            st = ot_check_item(e->g, binding, v, &v->fact, item[i]);
        else if (v->fact.kind != OT_TENSOR)
            st = ot_fail(OT_EARG, "input '%s' is no tensor: it is to be given as an item", v->name);
        else
            st = ot_bind_input(e->g, binding, v, &input[i]);
    }
    ot_free(binding);
    return st;
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

static ot_status plan_within(ot_plan **p, ot_executor *e, const ot_tensor *input)
{
    ot_plan_opts po = { input, e->slot, &e->o.store->packs, e->o.threads, e->o.memory };
    OT_TRY(ot_plan_create(p, e->g, &po));
    return check_memory(e, *p);
}

/* A plan that does not fit under the cap is made again with small forms of the weights, and all plans after it. */
static ot_status make_plan(ot_executor *e, const ot_tensor *input)
{
    ot_plan *p = NULL;
    ot_packs *packs = &e->o.store->packs;
    int64_t before = packs->n;
    ot_status st = plan_within(&p, e, input);
    if (st == OT_ENOMEM && e->o.memory && !packs->lean) {
        ot_plan_close(p);
        p = NULL;
        ot_packs_cut(packs, before);
        packs->lean = true;
        st = plan_within(&p, e, input);
    }
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
    if (e->walker)
        return check_inputs(e, input, NULL);
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

/* A value that is there after the run; p NULL: of the walker. */
static ot_tensor value_of(const ot_executor *e, const ot_plan *p, const ot_tensor *input, ot_val v)
{
    if (!p)
        return *ot_walker_value(e->walker, v);
    const ot_fact *f = p->fact[v];
    ot_tensor t = { .dtype = f->dtype, .rank = f->rank, .data = data_of(e, p, input, v) };
    memcpy(t.dim, f->dim, sizeof(t.dim));
    return t;
}

static void commit(ot_executor *e, const ot_plan *p, const ot_tensor *input)
{
    const ot_graph *g = e->g;
    if (g->n_binding == 0)
        return;
    bool good = true;
    if (g->guard != OT_NONE) {
        ot_tensor t = value_of(e, p, input, g->guard);
        good = isfinite(ot_tensor_get(&t, 0));
    }
    for (int64_t b = 0; b < g->n_binding; b++) {
        if ((p && p->stored[b]) || !(good || g->binding[b].always))
            continue;
        ot_tensor t = value_of(e, p, input, g->binding[b].value);
        memcpy(e->slot[g->binding[b].slot], t.data, ot_tensor_bytes(&t));
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

/* A slot and the value that is copied into it take the same bytes. */
static ot_status check_bindings(const ot_executor *e)
{
    for (int64_t b = 0; b < e->g->n_binding; b++) {
        const ot_value *slot = &e->g->value[e->g->binding[b].slot];
        const ot_tensor *t = ot_walker_value(e->walker, e->g->binding[b].value), *s = slot->tensor;
        if (!t || t->dtype != s->dtype || t->rank != s->rank || memcmp(t->dim, s->dim, sizeof(t->dim)) != 0)
            return ot_fail(OT_ESHAPE, "the update of state '%s' has another shape", slot->name);
    }
    if (e->g->guard != OT_NONE && !ot_walker_value(e->walker, e->g->guard))
        return ot_fail(OT_ESHAPE, "the guard is no tensor");
    return OT_OK;
}

/* Inputs as tensors, or as items where `item` is not NULL. */
static ot_status walk(ot_executor *e, const ot_tensor *input, const ot_item *const *item)
{
    int64_t n = e->g->n_input;
    OT_TRY(check_inputs(e, input, item));
    drop_outputs(e);
    ot_box **in = ot_calloc((size_t)n + 1, sizeof(*in));
    ot_status st = in ? OT_OK : OT_ENOMEM;
    for (int64_t i = 0; i < n && st == OT_OK; i++) {
        in[i] = item ? ot_box_of_item(e->walker, item[i]) : ot_box_lend(e->walker, &input[i]);
        st = in[i] ? OT_OK : OT_ENOMEM;
    }
    if (st == OT_OK)
        st = ot_walker_run(e->walker, in, e->out);
    for (int64_t i = 0; i < n && in; i++)
        ot_box_drop(in[i]);
    ot_free(in);
    if (st == OT_OK)
        st = check_bindings(e);
    if (st != OT_OK)
        return st;
    commit(e, NULL, NULL);
    ot_arena_release(&e->items);
    for (int64_t i = 0; i < e->g->n_output && st == OT_OK; i++) {
        e->output[i] = e->out[i]->tensor;
        st = ot_item_of_box(&e->item[i], &e->items, e->out[i]);
    }
    e->ran = st == OT_OK;
    return st;
}

ot_status ot_executor_run_items(ot_executor *e, const ot_item *const *item)
{
    if (e->walker)
        return walk(e, NULL, item);
    ot_tensor *input = ot_calloc((size_t)e->g->n_input + 1, sizeof(*input));
    ot_status st = input ? check_inputs(e, NULL, item) : OT_ENOMEM;
    for (int64_t i = 0; i < e->g->n_input && st == OT_OK; i++)
        input[i] = *item[i]->tensor;
    if (st == OT_OK)
        st = ot_executor_run(e, input);
    ot_free(input);
    return st;
}

const ot_item *ot_executor_output_item(const ot_executor *e, int64_t i)
{
    return e->ran ? &e->item[i] : NULL;
}

ot_status ot_executor_run(ot_executor *e, const ot_tensor *input)
{
    if (e->walker)
        return walk(e, input, NULL);
    e->ran = false;
    OT_TRY(ot_executor_prepare(e, input));
    ot_plan *p = e->plan[0];
    bind_data(e, p, input);
    OT_TRY(run_steps(e, p));
    commit(e, p, input);
    for (int64_t i = 0; i < e->g->n_output; i++) {
        e->output[i] = value_of(e, p, input, e->g->output[i].value);
        e->item[i] = (ot_item){ .kind = OT_TENSOR, .tensor = &e->output[i] };
    }
    e->ran = true;
    return OT_OK;
}

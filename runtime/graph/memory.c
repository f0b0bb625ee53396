/* Where values lie.  Lifetimes are counted in steps; values that never live at once share bytes of one arena. */
#include "graph/plan.h"

#include <stdlib.h>

#define ALIGN 64

typedef struct life {
    ot_val value;     /* a storage root */
    int64_t from, to; /* steps; to = n_step: leaves the run */
    size_t bytes;
    int64_t at;
} life;

typedef struct layout {
    ot_plan *p;
    life *life;
    int64_t n_life;
    int32_t *life_of; /* by value: index into life, -1 none */
    int64_t *last;    /* by value (root): the last step that reads it or a view of it */
} layout;

/* The value whose bytes v shares. */
static ot_val root_of(const ot_plan *p, ot_val v)
{
    while (p->view[v] != OT_NONE)
        v = p->view[v];
    return v;
}

static size_t exact_bytes(const ot_plan *p, ot_val v)
{
    size_t bytes = 0;
    const ot_fact *f = p->fact[v];
    return ot_bytes(&bytes, f->dtype, f->rank, f->dim) == OT_OK ? bytes : SIZE_MAX;
}

static size_t bytes_of(const ot_plan *p, ot_val v)
{
    size_t bytes = exact_bytes(p, v);
    if (bytes == SIZE_MAX)
        return SIZE_MAX;
    return bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
}

static void note_reads(layout *l)
{
    const ot_plan *p = l->p;
    const ot_graph *g = p->graph;
    for (int64_t v = 0; v < g->n_value; v++)
        l->last[v] = -1;
    for (int64_t s = 0; s < p->n_step; s++) {
        const ot_node *n = p->step[s].node;
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i] != OT_NONE && !(i < 32 && n->op->shape_only >> i & 1))
                l->last[root_of(p, n->in[i])] = s;
    }
    for (int64_t i = 0; i < g->n_output; i++)
        l->last[root_of(p, g->output[i].value)] = p->n_step;
    for (int64_t i = 0; i < g->n_binding; i++)
        l->last[root_of(p, g->binding[i].value)] = p->n_step;
    if (g->guard != OT_NONE)
        l->last[root_of(p, g->guard)] = p->n_step;
}

/* Under a guard, only a node that reads it can know whether it may write. */
static bool obeys_guard(const ot_graph *g, const ot_binding *b, const ot_node *n)
{
    bool reads = g->guard == OT_NONE || b->always;
    for (int i = 0; i < n->n_in; i++)
        reads |= n->in[i] == g->guard;
    return reads;
}

/* A binding's value goes straight into its slot when its node may write over the slot and nobody reads the slot later.
 */
static bool store_in_slot(layout *l, int64_t step, ot_val y)
{
    ot_plan *p = l->p;
    const ot_node *n = p->step[step].node;
    for (int64_t b = 0; b < p->graph->n_binding; b++) {
        ot_val slot = p->graph->binding[b].slot;
        if (p->graph->binding[b].value != y || l->last[slot] > step || !obeys_guard(p->graph, &p->graph->binding[b], n))
            continue;
        for (int i = 0; i < n->n_in && i < 32; i++)
            if (n->in[i] == slot && n->out[n->n_out > 1 && i < n->n_out ? i : 0] == y && n->op->in_place >> i & 1) {
                p->where[y] = (ot_where){ OT_IN_WEIGHT, slot };
                p->stored[b] = true;
                return true;
            }
    }
    return false;
}

/* Output 0 over an input that dies here, of the same size, read through no other input. */
static bool reuse_input(layout *l, int64_t step)
{
    ot_plan *p = l->p;
    const ot_node *n = p->step[step].node;
    ot_val y = n->out[0];
    for (int i = 0; i < (n->n_out > 1 ? 1 : n->n_in) && i < 32; i++) {
        if (!(n->op->in_place >> i & 1) || n->in[i] == OT_NONE)
            continue;
        ot_val r = root_of(p, n->in[i]);
        bool shared = false;
        for (int k = 0; k < n->n_in; k++)
            shared |= k != i && n->in[k] != OT_NONE &&
                      (n->in[k] != n->in[i] || k >= 32 || !(n->op->in_place >> k & 1)) && root_of(p, n->in[k]) == r;
        if (shared || l->life_of[r] < 0 || l->last[r] != step || exact_bytes(p, n->in[i]) != exact_bytes(p, y) ||
            bytes_of(p, r) != bytes_of(p, y) || p->fact[n->in[i]]->dtype != p->fact[y]->dtype)
            continue;
        p->view[y] = r;
        life *f = &l->life[l->life_of[r]];
        if (l->last[y] > f->to)
            f->to = l->last[y];
        l->last[r] = l->last[y];
        return true;
    }
    return false;
}

static ot_status place_outputs(layout *l)
{
    ot_plan *p = l->p;
    for (int64_t s = 0; s < p->n_step; s++) {
        const ot_node *n = p->step[s].node;
        for (int k = 0; k < n->n_out; k++) {
            ot_val y = n->out[k];
            if (y == OT_NONE || store_in_slot(l, s, y) || (k == 0 && reuse_input(l, s)))
                continue;
            size_t bytes = bytes_of(p, y);
            if (bytes == SIZE_MAX)
                return ot_context(OT_ENOMEM, "node '%s' (%s)", n->name, n->op->name);
            l->life_of[y] = (int32_t)l->n_life;
            l->life[l->n_life++] = (life){ y, s, l->last[y] > s ? l->last[y] : s, bytes, -1 };
        }
    }
    return OT_OK;
}

static int larger_first(const void *a, const void *b)
{
    const life *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->value < y->value ? -1 : 1;
}

static int lower_first(const void *a, const void *b)
{
    const life *x = *(const life *const *)a, *y = *(const life *const *)b;
    return (x->at > y->at) - (x->at < y->at);
}

/* The largest first, each at the lowest gap among those that live at the same time. */
static ot_status assign_offsets(layout *l)
{
    life **beside = ot_calloc((size_t)l->n_life + 1, sizeof(*beside));
    if (!beside)
        return OT_ENOMEM;
    qsort(l->life, (size_t)l->n_life, sizeof(*l->life), larger_first);
    for (int64_t i = 0; i < l->n_life; i++) {
        life *f = &l->life[i];
        int64_t n = 0, at = 0;
        for (int64_t k = 0; k < i; k++)
            if (l->life[k].from <= f->to && f->from <= l->life[k].to)
                beside[n++] = &l->life[k];
        qsort(beside, (size_t)n, sizeof(*beside), lower_first);
        for (int64_t k = 0; k < n; k++) {
            if (beside[k]->at >= at + (int64_t)f->bytes)
                break;
            if (beside[k]->at + (int64_t)beside[k]->bytes > at)
                at = beside[k]->at + (int64_t)beside[k]->bytes;
        }
        f->at = at;
        if (__builtin_add_overflow((size_t)at, f->bytes, &(size_t){ 0 }) || at > INT64_MAX / 2) {
            ot_free(beside);
            return ot_fail(OT_ENOMEM, "the activations would take over 2^62 bytes");
        }
        if ((size_t)at + f->bytes > l->p->arena_bytes)
            l->p->arena_bytes = (size_t)at + f->bytes;
        l->p->where[f->value] = (ot_where){ OT_IN_ARENA, at };
    }
    ot_free(beside);
    return OT_OK;
}

static void place_the_rest(ot_plan *p)
{
    const ot_graph *g = p->graph;
    for (int64_t i = 0; i < g->n_input; i++)
        p->where[g->input[i]] = (ot_where){ OT_IN_INPUT, i };
    for (int64_t v = 0; v < g->n_value; v++)
        if (g->value[v].origin == OT_FROM_CONSTANT || g->value[v].origin == OT_FROM_SLOT || p->known[v])
            p->where[v] = (ot_where){ OT_IN_WEIGHT, v };
}

ot_status ot_plan_memory(ot_plan *p)
{
    layout l = { .p = p };
    size_t values = (size_t)p->graph->n_value + 1, outputs = 1;
    ot_status st = OT_ENOMEM;
    for (int64_t s = 0; s < p->n_step; s++)
        outputs += (size_t)p->step[s].node->n_out;
    l.life = ot_calloc(outputs, sizeof(*l.life));
    l.life_of = ot_malloc(values, sizeof(*l.life_of));
    l.last = ot_malloc(values, sizeof(*l.last));
    if (!l.life || !l.life_of || !l.last)
        goto done;
    for (size_t v = 0; v < values; v++)
        l.life_of[v] = -1;
    place_the_rest(p);
    note_reads(&l);
    st = place_outputs(&l);
    if (st == OT_OK)
        st = assign_offsets(&l);
    for (int64_t v = 0; v < p->graph->n_value && st == OT_OK; v++)
        if (p->view[v] != OT_NONE)
            p->where[v] = p->where[root_of(p, (ot_val)v)];
done:
    ot_free(l.life);
    ot_free(l.life_of);
    ot_free(l.last);
    return st;
}

#include "graph/step.h"

#include <string.h>

#define ALIGN     64
#define MAX_PACKS 4096 /* the table never moves, since kernels keep pointers into it */

struct ot_pack_entry {
    const void *weight;
    char *form;
    ot_packed packed;
};

void ot_packs_cut(ot_packs *p, int64_t n)
{
    while (p->n > n) {
        struct ot_pack_entry *e = &p->entry[--p->n];
        p->bytes -= e->packed.bytes;
        ot_free(e->form);
        ot_free(e->packed.data);
    }
}

void ot_packs_release(ot_packs *p)
{
    ot_packs_cut(p, 0);
    ot_free(p->entry);
    *p = (ot_packs){ 0 };
}

ot_packed *ot_prep_packed(ot_prep *p, int i, const char *form, size_t bytes, ot_status *st)
{
    *st = OT_OK;
    const void *weight = i < p->n_in && p->weight ? p->weight[i] : NULL;
    if (!weight || !p->packs)
        return NULL;
    for (int64_t k = 0; k < p->packs->n; k++) {
        struct ot_pack_entry *e = &p->packs->entry[k];
        if (e->weight == weight && e->packed.bytes == bytes && strcmp(e->form, form) == 0)
            return &e->packed;
    }
    *st = OT_ENOMEM;
    if (p->packs->cap == 0) {
        p->packs->entry = ot_calloc(MAX_PACKS, sizeof(*p->packs->entry));
        if (!p->packs->entry)
            return NULL;
        p->packs->cap = MAX_PACKS;
    }
    if (p->packs->n == p->packs->cap) {
        *st = ot_fail(OT_EUNSUPPORTED, "more than %d packed weights", MAX_PACKS);
        return NULL;
    }
    struct ot_pack_entry e = { .weight = weight, .form = ot_strdup(form), .packed = { .bytes = bytes } };
    e.packed.data = ot_malloc(bytes, 1);
    if (!e.form || !e.packed.data) {
        ot_free(e.form);
        ot_free(e.packed.data);
        return NULL;
    }
    p->packs->bytes += bytes;
    p->packs->entry[p->packs->n] = e;
    *st = OT_OK;
    return &p->packs->entry[p->packs->n++].packed;
}

const char *ot_float32_only(const ot_prep *p)
{
    for (int i = 0; i < p->n_in; i++)
        if (p->x[i] && ot_dtype_is_float(p->x[i]->dtype) && p->x[i]->dtype != OT_FLOAT)
            return "only for float32";
    for (int i = 0; i < p->n_out; i++)
        if (p->y[i] && ot_dtype_is_float(p->y[i]->dtype) && p->y[i]->dtype != OT_FLOAT)
            return "only for float32";
    return NULL;
}

static ot_tensor tensor_of(const ot_fact *f)
{
    ot_tensor t = { 0 };
    if (f) {
        t.dtype = f->dtype;
        t.rank = f->rank;
        memcpy(t.dim, f->dim, (size_t)f->rank * sizeof(*t.dim));
    }
    return t;
}

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* The type in which the kernel sees values of this type. */
static ot_dtype seen_as(const ot_step *s, ot_dtype t)
{
    if (s->kernel->in_double && ot_dtype_is_float(t))
        return OT_DOUBLE;
    return s->kernel->in_bytes && t != OT_UNDEFINED && !ot_dtype_size(t) ? OT_UINT8 : t;
}

/* Bytes of the other form of t, 0 when it has none. */
static size_t other_form(const ot_step *s, const ot_tensor *t)
{
    ot_dtype seen = seen_as(s, t->dtype);
    return seen == t->dtype ? 0 : round_up((size_t)ot_tensor_count(t) * ot_dtype_size(seen) + 1);
}

static ot_status choose(ot_step *s, ot_prep *p)
{
    for (const ot_kernel *k = s->node->op->cpu; k && k->name; k++) {
        const char *why = k->declines ? k->declines(p) : NULL;
        if (!why) {
            s->kernel = k;
            return OT_OK;
        }
        if (!s->declined)
            s->declined = why;
    }
    return ot_fail(OT_EUNSUPPORTED, "no kernel takes %s", s->declined ? s->declined : "this operator");
}

ot_status ot_step_prepare(ot_step *s, ot_arena *arena, const ot_node *n, const ot_fact *const *x,
                          const ot_fact *const *y, const ot_tensor *const *constant, const void *const *weight,
                          ot_packs *packs, int threads)
{
    *s = (ot_step){ .node = n };
    s->x = ot_arena_calloc(arena, (size_t)n->n_in + 1, sizeof(*s->x));
    s->y = ot_arena_calloc(arena, (size_t)n->n_out + 1, sizeof(*s->y));
    s->version = ot_arena_calloc(arena, (size_t)n->n_in + 1, sizeof(*s->version));
    if (!s->x || !s->y || !s->version)
        return OT_ENOMEM;
    for (int i = 0; i < n->n_in; i++) {
        s->x[i] = tensor_of(x[i]);
        s->version[i] = constant && constant[i] ? 1 : 0;
    }
    for (int i = 0; i < n->n_out; i++)
        s->y[i] = tensor_of(y[i]);
    ot_prep p = {
        .node = n,
        .n_in = n->n_in,
        .n_out = n->n_out,
        .x = x,
        .y = y,
        .constant = constant,
        .threads = threads,
        .weight = weight,
        .packs = packs,
        .lean = packs && packs->lean,
    };
    ot_status st = choose(s, &p);
    if (st == OT_OK && s->kernel->prepare)
        st = s->kernel->prepare(&p);
    s->state = p.state;
    if (st != OT_OK)
        return ot_context(st, "node '%s' (%s-%d)", n->name, n->op->name, n->opset);
    s->convert = s->kernel->in_double || s->kernel->in_bytes;
    s->own_scratch = round_up(p.scratch);
    s->scratch = s->own_scratch;
    for (int i = 0; i < n->n_in; i++)
        if (!(i < 32 && n->op->shape_only >> i & 1))
            s->scratch += other_form(s, &s->x[i]);
    for (int i = 0; i < n->n_out; i++)
        s->scratch += other_form(s, &s->y[i]);
    return OT_OK;
}

#define MAX_CONVERTED 64 /* inputs and outputs of a node whose values are converted */

/* t in the form that the kernel sees, in room that is taken from *room; the data is not written. */
static ot_tensor in_other_form(const ot_step *s, const ot_tensor *t, char **room)
{
    ot_tensor other = *t;
    other.dtype = seen_as(s, t->dtype);
    if (other.dtype != t->dtype)
        other.data = *room;
    *room += other_form(s, t);
    return other;
}

static void convert_in(const ot_tensor *seen, const ot_tensor *x)
{
    int64_t n = ot_tensor_count(x);
    if (seen->dtype == OT_DOUBLE)
        for (int64_t i = 0; i < n; i++)
            ((double *)seen->data)[i] = ot_tensor_get(x, i);
    else
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)seen->data)[i] = (uint8_t)ot_tensor_get_packed(x, i);
}

static void convert_out(ot_tensor *y, const ot_tensor *seen)
{
    int64_t n = ot_tensor_count(y);
    if (seen->dtype == OT_DOUBLE)
        for (int64_t i = 0; i < n; i++)
            ot_tensor_set(y, i, ((const double *)seen->data)[i]);
    else
        for (int64_t i = 0; i < n; i++)
            ot_tensor_set_packed(y, i, ((const uint8_t *)seen->data)[i]);
}

static ot_status run_converted(ot_step *s, ot_run r, void *scratch, uint32_t shape_only)
{
    ot_tensor x[MAX_CONVERTED], y[MAX_CONVERTED];
    char *room = (char *)scratch + s->own_scratch;
    bool any = false;
    for (int i = 0; i < r.n_in; i++)
        any |= seen_as(s, s->x[i].dtype) != s->x[i].dtype;
    for (int i = 0; i < r.n_out; i++)
        any |= seen_as(s, s->y[i].dtype) != s->y[i].dtype;
    if (!any)
        return s->kernel->run(&r);
    if (r.n_in > MAX_CONVERTED || r.n_out > MAX_CONVERTED)
        return ot_fail(OT_EUNSUPPORTED, "more than %d inputs in this element type", MAX_CONVERTED);
    for (int i = 0; i < r.n_in; i++) {
        bool reads = !(i < 32 && shape_only >> i & 1);
        x[i] = reads ? in_other_form(s, &s->x[i], &room) : s->x[i];
        if (x[i].dtype != s->x[i].dtype)
            convert_in(&x[i], &s->x[i]);
    }
    for (int i = 0; i < r.n_out; i++)
        y[i] = in_other_form(s, &s->y[i], &room);
    r.x = x;
    r.y = y;
    OT_TRY(s->kernel->run(&r));
    for (int i = 0; i < r.n_out; i++)
        if (y[i].dtype != s->y[i].dtype)
            convert_out(&s->y[i], &y[i]);
    return OT_OK;
}

ot_status ot_step_run(ot_step *s, void *scratch, ot_threads *threads)
{
    ot_run r = { .node = s->node,
                 .n_in = s->node->n_in,
                 .n_out = s->node->n_out,
                 .x = s->x,
                 .y = s->y,
                 .version = s->version,
                 .state = s->state,
                 .scratch = scratch,
                 .threads = threads,
                 .text = &s->text };
    ot_arena_release(&s->text);
    ot_status st = s->convert ? run_converted(s, r, scratch, s->node->op->shape_only) : s->kernel->run(&r);
    return st == OT_OK ? st : ot_context(st, "node '%s' (%s-%d)", s->node->name, s->node->op->name, s->node->opset);
}

void ot_step_release(ot_step *s)
{
    if (s->kernel && s->kernel->release && s->state)
        s->kernel->release(s->state);
    else
        ot_free(s->state);
    s->state = NULL;
    ot_arena_release(&s->text);
}

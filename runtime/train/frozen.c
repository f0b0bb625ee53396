#include "train/frozen.h"
#include "graph/frozen.h"
#include "train/evaluate.h"

#include <string.h>

static ot_status finish(ot_graph **out, ot_graph *g, ot_status st)
{
    if (st == OT_OK)
        st = ot_graph_finish(g);
    if (st == OT_OK)
        *out = g;
    else
        ot_graph_close(g);
    return st;
}

static ot_status build(ot_graph **out, const ot_step_source *s, ot_step_kind kind)
{
    return ot_step_graph_build(out, s->m, s->ps, s->o, s->d->classes, kind);
}

static ot_step_kind whole_step(const ot_step_source *s)
{
    return s->o->accumulate > 1 ? OT_STEP_FINISH : OT_STEP_WHOLE;
}

static ot_status keep_names(ot_frozen *z, const ot_graph *g, const ot_crossing *c)
{
    z->name = ot_calloc((size_t)c->n, sizeof(*z->name));
    z->input = ot_calloc((size_t)c->n, sizeof(*z->input));
    if (!z->name || !z->input)
        return OT_ENOMEM;
    for (; z->n < c->n; z->n++)
        if (!(z->name[z->n] = ot_strdup(g->value[c->value[z->n]].name)))
            return OT_ENOMEM;
    return OT_OK;
}

static ot_status make_rows(ot_frozen *z, int64_t batch)
{
    size_t floats;
    if (!ot_mul(&floats, (size_t)batch, (size_t)z->f->floats))
        return ot_fail(OT_ENOMEM, "a batch of %lld times %lld features", (long long)batch, (long long)z->f->floats);
    z->rows = ot_malloc(floats, sizeof(float));
    z->apart = z->n > 1 ? ot_malloc(floats, sizeof(float)) : NULL;
    if (!z->rows || (z->n > 1 && !z->apart))
        return OT_ENOMEM;
    for (int64_t i = 0; i < z->n; i++)
        z->input[i] = z->f->shape[i];
    return OT_OK;
}

static int64_t nominal_batch(const ot_step_source *s)
{
    int64_t n = s->d->count[OT_TRAIN];
    return s->o->batch < n ? s->o->batch : n;
}

/* g: a step, which is taken over. */
static ot_status fill(ot_frozen *z, ot_graph *g, const ot_step_source *s, const ot_executor_opts *eo)
{
    ot_crossing c;
    ot_status st = ot_frozen_find(&c, g);
    if (st == OT_OK && c.n)
        st = keep_names(z, g, &c);
    if (st == OT_OK && c.n)
        st = ot_frozen_keep(g, &c);
    if (st != OT_OK || !c.n) {
        ot_graph_close(g);
        return st;
    }
    ot_tensor sample = ot_batch_tensor(s->d, &(ot_batch){ .n = 1 });
    for (int64_t i = 0; i < g->n_node; i++)
        z->layers = g->node[i]->layer >= z->layers ? g->node[i]->layer + 1 : z->layers;
    OT_TRY(finish(&g, g, OT_OK));
    OT_TRY(ot_features_create(&z->f, g, eo, &sample, nominal_batch(s)));
    return make_rows(z, s->o->batch);
}

ot_status ot_frozen_create(ot_frozen **out, const ot_step_source *s, const ot_executor_opts *eo)
{
    ot_graph *g;
    *out = NULL;
    if (s->d->text) /* its samples are no rows of floats */
        return OT_OK;
    OT_TRY(build(&g, s, whole_step(s)));
    ot_frozen *z = ot_calloc(1, sizeof(*z));
    if (!z) {
        ot_graph_close(g);
        return OT_ENOMEM;
    }
    ot_status st = fill(z, g, s, eo);
    if (st == OT_OK && z->n)
        *out = z;
    else
        ot_frozen_close(z);
    return st;
}

void ot_frozen_close(ot_frozen *z)
{
    if (!z)
        return;
    ot_features_close(z->f);
    for (int64_t i = 0; i < z->n; i++)
        ot_free((void *)(uintptr_t)z->name[i]);
    ot_free(z->name);
    ot_free(z->input);
    ot_free(z->rows);
    ot_free(z->apart);
    ot_free(z);
}

static ot_status drop(ot_graph *g, const ot_frozen *z)
{
    ot_crossing c;
    bool whole = false;
    OT_TRY(ot_frozen_find(&c, g));
    bool same = c.n == z->n;
    for (int64_t i = 0; same && i < c.n; i++)
        same = strcmp(g->value[c.value[i]].name, z->name[i]) == 0;
    if (same)
        OT_TRY(ot_frozen_drop(g, &c, &whole));
    return same && !whole ? OT_OK : ot_fail(OT_EUNSUPPORTED, "steps of one model have different frozen parts");
}

ot_status ot_frozen_step(ot_graph **out, const ot_frozen *z, const ot_step_source *s, ot_step_kind kind)
{
    ot_graph *g;
    *out = NULL;
    OT_TRY(build(&g, s, kind));
    return finish(out, g, z ? drop(g, z) : OT_OK);
}

/* The values by name, in a graph that was derived in another way. */
static ot_status drop_by_name(ot_graph *g, ot_frozen *z)
{
    ot_crossing c = { .value = ot_arena_calloc(&g->arena, (size_t)z->n, sizeof(*c.value)), .n = z->n };
    bool whole = false;
    if (!c.value)
        return OT_ENOMEM;
    for (int64_t i = 0; i < z->n; i++) {
        c.value[i] = ot_graph_find(g, z->name[i]);
        if (c.value[i] == OT_NONE || g->value[c.value[i]].origin != OT_FROM_NODE)
            return OT_OK;
    }
    OT_TRY(ot_frozen_drop(g, &c, &whole));
    z->validates = !whole;
    return OT_OK;
}

ot_status ot_frozen_eval(ot_graph **out, ot_frozen *z, const ot_step_source *s)
{
    ot_graph *g;
    *out = NULL;
    OT_TRY(ot_eval_graph_build(&g, s->m, &s->ps->slots, s->o->loss, s->d->classes, s->o->batch));
    return finish(out, g, z ? drop_by_name(g, z) : OT_OK);
}

/* From rows, which hold the values one after the other, to one array a value. */
static void take_apart(ot_frozen *z, const float *rows, int64_t n)
{
    float *to = z->apart;
    int64_t at = 0;
    for (int64_t i = 0; i < z->n; i++) {
        int64_t size = z->f->size[i];
        z->input[i].data = to;
        for (int64_t k = 0; k < n; k++, to += size)
            memcpy(to, rows + k * z->f->floats + at, (size_t)size * sizeof(float));
        at += size;
    }
}

ot_status ot_frozen_inputs(const ot_tensor **in, ot_frozen *z, const ot_batch *b)
{
    const float *rows = z->ready ? b->samples : z->rows;
    *in = z->input;
    for (int64_t i = 0; i < z->n; i++)
        z->input[i].dim[0] = b->n;
    if (!b->samples)
        return OT_OK;
    if (!z->ready)
        OT_TRY(ot_features_run(z->f, z->rows, b->samples, b->n));
    if (z->apart)
        take_apart(z, rows, b->n);
    else
        memcpy(&z->input[0].data, &rows, sizeof(rows)); /* only read */
    return OT_OK;
}

#include "exec/features.h"
#include "exec/split.h"

#include <string.h>

static ot_status measure(ot_features *f)
{
    const ot_plan *p = ot_executor_plan(f->e);
    if (!p)
        return ot_fail(OT_EUNSUPPORTED, "the frozen part of the model has no plan");
    for (int64_t i = 0; i < f->n_output; i++) {
        const ot_fact *y = p->fact[p->graph->output[i].value];
        f->shape[i] = (ot_tensor){ .dtype = y->dtype, .rank = y->rank };
        memcpy(f->shape[i].dim, y->dim, (size_t)y->rank * sizeof(*y->dim));
        if (y->dtype != OT_FLOAT || y->rank < 1 || y->dim[0] != 1)
            return ot_fail(OT_ESHAPE, "a sample's features '%s' are %s %s", p->graph->output[i].name,
                           ot_dtype_name(y->dtype), OT_DIMS(y->rank, y->dim));
        f->size[i] = ot_tensor_count(&f->shape[i]);
        f->floats += f->size[i];
    }
    return OT_OK;
}

/* As many samples as keep a part's activations small, evened out over the usual batch. */
static void choose_part(ot_features *f, size_t memory, int64_t batch)
{
    size_t one = ot_executor_plan(f->e)->arena_bytes, bytes = ot_part_bytes(ot_executor_graph(f->e), memory);
    int64_t most = one ? (int64_t)(bytes / one) : batch;
    most = most < 1 ? 1 : most;
    int64_t parts = (batch + most - 1) / most;
    f->part = (batch + parts - 1) / parts;
}

static ot_status create(ot_features *f, const ot_executor_opts *opts, int64_t batch)
{
    const ot_graph *g = ot_executor_graph(f->e);
    size_t floats;
    f->n_output = g->n_output;
    f->shape = ot_calloc((size_t)g->n_output + 1, sizeof(*f->shape));
    f->size = ot_calloc((size_t)g->n_output + 1, sizeof(*f->size));
    if (!f->shape || !f->size)
        return OT_ENOMEM;
    OT_TRY(ot_executor_prepare(f->e, &f->sample));
    OT_TRY(measure(f));
    choose_part(f, opts->memory, batch);
    if (!ot_mul(&floats, (size_t)f->part, (size_t)ot_tensor_count(&f->sample)))
        return ot_fail(OT_ENOMEM, "a part of %lld samples", (long long)f->part);
    f->pad = ot_calloc(floats, sizeof(*f->pad));
    if (!f->pad)
        return OT_ENOMEM;
    f->sample.dim[0] = f->part;
    return ot_executor_prepare(f->e, &f->sample);
}

ot_status ot_features_create(ot_features **out, ot_graph *g, const ot_executor_opts *opts, const ot_tensor *sample,
                             int64_t batch)
{
    *out = NULL;
    ot_features *f = ot_calloc(1, sizeof(*f));
    if (!f) {
        ot_graph_close(g);
        return OT_ENOMEM;
    }
    f->sample = *sample;
    f->sample.data = NULL;
    ot_status st = ot_executor_create(&f->e, g, opts);
    if (st == OT_OK)
        st = create(f, opts, batch);
    if (st == OT_OK)
        *out = f;
    else
        ot_features_close(f);
    return st;
}

void ot_features_close(ot_features *f)
{
    if (!f)
        return;
    ot_executor_close(f->e);
    ot_free(f->shape);
    ot_free(f->size);
    ot_free(f->pad);
    ot_free(f);
}

/* Rows of n samples from those of a part, of which the first `skip` are left out. */
static void gather(const ot_features *f, float *rows, int64_t skip, int64_t n)
{
    int64_t at = 0;
    for (int64_t i = 0; i < f->n_output; i++) {
        const float *y = (const float *)ot_executor_output(f->e, i)->data + skip * f->size[i];
        for (int64_t k = 0; k < n; k++)
            memcpy(rows + k * f->floats + at, y + k * f->size[i], (size_t)f->size[i] * sizeof(float));
        at += f->size[i];
    }
}

static ot_status run_part(ot_features *f, float *rows, const float *samples, int64_t skip, int64_t n)
{
    memcpy(&f->sample.data, &samples, sizeof(samples)); /* only read */
    OT_TRY(ot_executor_run(f->e, &f->sample));
    gather(f, rows, skip, n);
    return OT_OK;
}

ot_status ot_features_run(ot_features *f, float *rows, const float *samples, int64_t n)
{
    int64_t each = ot_tensor_count(&f->sample) / f->part, i = 0;
    for (; i + f->part <= n; i += f->part)
        OT_TRY(run_part(f, rows + i * f->floats, samples + i * each, 0, f->part));
    if (i == n)
        return OT_OK;
    if (n >= f->part) /* the last part begins within the one before */
        return run_part(f, rows + i * f->floats, samples + (n - f->part) * each, i - (n - f->part), n - i);
    memcpy(f->pad, samples, (size_t)(n * each) * sizeof(float));
    return run_part(f, rows, f->pad, 0, n);
}

/* ---- The hash --------------------------------------------------------------------------------------------------- */

static uint64_t mix_text(uint64_t h, const char *s)
{
    return ot_hash_bytes(h, s ? s : "", s ? strlen(s) + 1 : 1);
}

static uint64_t mix_tensor(uint64_t h, const ot_tensor *t)
{
    int64_t head[2] = { t->dtype, t->rank };
    h = ot_hash_bytes(h, head, sizeof(head));
    h = ot_hash_bytes(h, t->dim, (size_t)t->rank * sizeof(*t->dim));
    return t->data ? ot_hash_bytes(h, t->data, ot_tensor_bytes(t)) : h;
}

static uint64_t mix_attr(uint64_t h, const ot_attr *a)
{
    h = mix_text(ot_hash_bytes(h, &a->i, sizeof(a->i)), a->name);
    h = mix_text(ot_hash_bytes(h, &a->f, sizeof(a->f)), a->s);
    if (a->ints)
        h = ot_hash_bytes(h, a->ints, (size_t)a->n * sizeof(*a->ints));
    if (a->floats)
        h = ot_hash_bytes(h, a->floats, (size_t)a->n * sizeof(*a->floats));
    for (int i = 0; a->strings && i < a->n; i++)
        h = mix_text(h, a->strings[i]);
    return a->tensor ? mix_tensor(h, a->tensor) : h;
}

uint64_t ot_features_hash(const ot_features *f)
{
    const ot_plan *p = ot_executor_plan(f->e);
    const ot_graph *g = p->graph;
    uint64_t h = mix_tensor(OT_HASH_START, &(ot_tensor){ .dtype = OT_FLOAT, .rank = f->sample.rank });
    h = ot_hash_bytes(h, f->sample.dim, (size_t)f->sample.rank * sizeof(*f->sample.dim));
    h = mix_text(mix_text(h, ONNXTUNE_VERSION), ot_ops_isa());
    for (int64_t i = 0; i < p->n_step; i++) {
        const ot_node *n = p->step[i].node;
        h = mix_text(mix_text(h, n->op->name), p->step[i].kernel->name);
        for (const ot_attr *a = n->attr; a && a->name; a++)
            h = mix_attr(h, a);
        h = ot_hash_bytes(h, n->out, (size_t)n->n_out * sizeof(*n->out));
        for (int k = 0; k < n->n_in; k++) {
            bool constant = n->in[k] != OT_NONE && g->value[n->in[k]].origin == OT_FROM_CONSTANT;
            h = constant ? mix_tensor(h, g->value[n->in[k]].tensor) : ot_hash_bytes(h, &n->in[k], sizeof(n->in[k]));
        }
    }
    return h;
}

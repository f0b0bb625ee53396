#include "exec/split.h"

#include <string.h>

/* Activations of a part, in bytes: what a cache holds; more where there are many weights, which each part reads again.
 * A rule of shapes and not of the machine: how a batch is cut may decide which kernel computes it, and so its last
 * bits. */
#define LEAST_BYTES   ((size_t)8 << 20)
#define WEIGHTS_SHARE 4

struct ot_split {
    ot_executor *e;
    int64_t n_input, n_output;
    ot_tensor *shape;  /* of the inputs that were prepared last; no data */
    ot_tensor *part;   /* views of the inputs */
    ot_tensor *output; /* owned */
    int64_t parts;
    size_t part_bytes;
};

size_t ot_part_bytes(const ot_graph *g, size_t memory)
{
    size_t weights = 0;
    for (int64_t v = 0; v < g->n_value; v++)
        if (g->value[v].origin == OT_FROM_CONSTANT)
            weights += ot_tensor_bytes(g->value[v].tensor);
    size_t bytes = weights / WEIGHTS_SHARE > LEAST_BYTES ? weights / WEIGHTS_SHARE : LEAST_BYTES;
    return memory && bytes > memory / 2 ? memory / 2 : bytes;
}

ot_status ot_split_create(ot_split **out, ot_executor *e, size_t memory)
{
    const ot_graph *g = ot_executor_graph(e);
    *out = NULL;
    if (!ot_is_samplewise(g))
        return OT_OK;
    ot_split *s = ot_calloc(1, sizeof(*s));
    if (!s)
        return OT_ENOMEM;
    *s = (ot_split){ .e = e, .n_input = g->n_input, .n_output = g->n_output, .part_bytes = ot_part_bytes(g, memory) };
    s->shape = ot_calloc((size_t)g->n_input + 1, sizeof(*s->shape));
    s->part = ot_calloc((size_t)g->n_input + 1, sizeof(*s->part));
    s->output = ot_calloc((size_t)g->n_output + 1, sizeof(*s->output));
    if (!s->shape || !s->part || !s->output) {
        ot_split_close(s);
        return OT_ENOMEM;
    }
    *out = s;
    return OT_OK;
}

void ot_split_close(ot_split *s)
{
    if (!s)
        return;
    for (int64_t i = 0; i < s->n_output && s->output; i++)
        ot_tensor_release(&s->output[i]);
    ot_free(s->shape);
    ot_free(s->part);
    ot_free(s->output);
    ot_free(s);
}

static bool same_shapes(const ot_split *s, const ot_tensor *input)
{
    for (int64_t i = 0; i < s->n_input; i++) {
        const ot_tensor *a = &s->shape[i], *b = &input[i];
        if (a->dtype != b->dtype || a->rank != b->rank ||
            (a->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof(*a->dim)) != 0))
            return false;
    }
    return true;
}

/* Samples from .. to-1 of the inputs. */
static void view_part(ot_split *s, const ot_tensor *input, int64_t from, int64_t to)
{
    for (int64_t i = 0; i < s->n_input; i++) {
        s->part[i] = input[i];
        size_t sample = ot_tensor_bytes(&input[i]) / (size_t)input[i].dim[0];
        s->part[i].dim[0] = to - from;
        if (input[i].data)
            s->part[i].data = (char *)input[i].data + (size_t)from * sample;
    }
}

static int64_t cut(int64_t n, int64_t parts, int64_t i)
{
    return n * i / parts;
}

/* The whole outputs, from the plan of a part. */
static ot_status make_outputs(ot_split *s, int64_t batch)
{
    const ot_plan *p = ot_executor_plan(s->e);
    for (int64_t i = 0; i < s->n_output; i++) {
        int64_t dim[OT_MAX_RANK];
        const ot_fact *f = p->fact[p->graph->output[i].value];
        memcpy(dim, f->dim, sizeof(dim));
        dim[0] = batch;
        ot_tensor_release(&s->output[i]);
        OT_TRY(ot_tensor_init(&s->output[i], f->dtype, f->rank, dim));
    }
    return OT_OK;
}

ot_status ot_split_prepare(ot_split *s, const ot_tensor *input, int64_t *parts)
{
    int64_t batch = s->n_input && input[0].rank ? input[0].dim[0] : 0;
    *parts = s->parts;
    if (s->parts > 0 && same_shapes(s, input))
        return OT_OK;
    *parts = 1;
    s->parts = 0;
    for (int64_t i = 0; i < s->n_input; i++)
        if (batch < 2 || input[i].rank < 1 || input[i].dim[0] != batch || ot_dtype_bits(input[i].dtype) < 8)
            return OT_OK;
    view_part(s, input, 0, 1);
    if (ot_executor_prepare(s->e, s->part) != OT_OK)
        return OT_OK; /* the executor says why, with the whole shape */
    size_t one = ot_executor_plan(s->e)->arena_bytes;
    int64_t most = one ? (int64_t)(s->part_bytes / one) : batch;
    most = most < 1 ? 1 : most;
    *parts = (batch + most - 1) / most;
    if (*parts > 1)
        OT_TRY(make_outputs(s, batch));
    for (int64_t i = 0; i < s->n_input; i++) {
        s->shape[i] = input[i];
        s->shape[i].data = NULL;
    }
    s->parts = *parts;
    return OT_OK;
}

ot_status ot_split_run(ot_split *s, const ot_tensor *input)
{
    int64_t batch = input[0].dim[0];
    for (int64_t i = 0; i < s->parts; i++) {
        int64_t from = cut(batch, s->parts, i), to = cut(batch, s->parts, i + 1);
        view_part(s, input, from, to);
        OT_TRY(ot_executor_run(s->e, s->part));
        for (int64_t o = 0; o < s->n_output; o++) {
            const ot_tensor *y = ot_executor_output(s->e, o);
            size_t bytes = ot_tensor_bytes(y);
            if (bytes)
                memcpy((char *)s->output[o].data + bytes / (size_t)(to - from) * (size_t)from, y->data, bytes);
        }
    }
    return OT_OK;
}

ot_tensor *ot_split_output(ot_split *s, int64_t i)
{
    return &s->output[i];
}

size_t ot_split_bytes(const ot_split *s)
{
    size_t bytes = 0;
    for (int64_t i = 0; i < s->n_output && s->parts > 1; i++)
        bytes += ot_tensor_bytes(&s->output[i]);
    return bytes;
}

double ot_split_share(const ot_split *s)
{
    return s->parts > 1 ? (double)s->shape[0].dim[0] / (double)s->part[0].dim[0] : 1;
}

#include "net.h"
#include "base/rng.h"
#include "base/strmap.h"
#include "base/tensor.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void note(ot_net *n, ot_status st)
{
    if (n->st == OT_OK)
        n->st = st;
}

const char *ot_net_name(ot_net *n, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    const char *copy = n->st == OT_OK ? ot_arena_strdup(&n->names, text) : "";
    if (!copy)
        note(n, OT_ENOMEM);
    return copy ? copy : "";
}

static void add_value(ot_net *n, const char *field, const char *name, ot_dtype dtype, int rank, const int64_t *dim,
                      const char *open)
{
    ot_doc_dim d[OT_MAX_RANK];
    if (n->st != OT_OK)
        return;
    for (int i = 0; i < rank; i++)
        d[i] = (ot_doc_dim){ dim[i], dim[i] < 0 ? ot_net_name(n, "%c", open[i]) : NULL };
    Onnx__ValueInfoProto *v = ot_append(&n->m->proto->graph->base, field);
    note(n, v ? ot_set_string(&v->name, name) : OT_ENOMEM);
    if (n->st == OT_OK)
        note(n, ot_set_value_type(v, dtype, rank, d));
}

void ot_net_input(ot_net *n, const char *name, ot_dtype dtype, int rank, const int64_t *dim, const char *open)
{
    add_value(n, "input", name, dtype, rank, dim, open);
}

void ot_net_output(ot_net *n, const char *name, ot_dtype dtype, int rank, const int64_t *dim, const char *open)
{
    add_value(n, "output", name, dtype, rank, dim, open);
}

/* ---- Parameters ---------------------------------------------------------------------------------------------- */

typedef double draw(const ot_net *n, uint64_t key, uint64_t i, double a, int64_t last);

static double draw_uniform(const ot_net *n, uint64_t key, uint64_t i, double bound, int64_t last)
{
    (void)n;
    (void)last;
    return (2 * ot_rng_uniform(key, i) - 1) * bound;
}

static double draw_normal(const ot_net *n, uint64_t key, uint64_t i, double deviation, int64_t last)
{
    (void)n;
    (void)last;
    return deviation * ot_rng_normal(key, i);
}

static double draw_fill(const ot_net *n, uint64_t key, uint64_t i, double value, int64_t last)
{
    (void)n;
    (void)key;
    (void)i;
    (void)last;
    return value;
}

static double draw_eye(const ot_net *n, uint64_t key, uint64_t i, double value, int64_t last)
{
    (void)n;
    (void)key;
    (void)value;
    return i / (uint64_t)last == i % (uint64_t)last;
}

static void add_parameter(ot_net *n, const char *name, draw *how, double a, int rank, const int64_t *dim)
{
    ot_tensor t;
    if (n->st != OT_OK)
        return;
    note(n, ot_tensor_init(&t, OT_FLOAT, rank, dim));
    if (n->st != OT_OK)
        return;
    uint64_t key = ot_rng_key(n->o->seed, ot_hash("init"), ot_hash(name), 0);
    for (int64_t i = 0, count = ot_tensor_count(&t); i < count; i++)
        ((float *)t.data)[i] = (float)how(n, key, (uint64_t)i, a, rank ? dim[rank - 1] : 1);
    note(n, ot_model_add_initializer(n->m, name, &t));
    ot_tensor_release(&t);
}

void ot_net_uniform(ot_net *n, const char *name, double bound, int rank, const int64_t *dim)
{
    add_parameter(n, name, draw_uniform, bound, rank, dim);
}

void ot_net_normal(ot_net *n, const char *name, double deviation, int rank, const int64_t *dim)
{
    add_parameter(n, name, draw_normal, deviation, rank, dim);
}

void ot_net_fill(ot_net *n, const char *name, double value, int rank, const int64_t *dim)
{
    add_parameter(n, name, draw_fill, value, rank, dim);
}

void ot_net_eye(ot_net *n, const char *name, int rank, int64_t size)
{
    int64_t dim[OT_MAX_RANK];
    for (int i = 0; i < rank; i++)
        dim[i] = i < rank - 2 ? 1 : size;
    add_parameter(n, name, draw_eye, 0, rank, dim);
}

void ot_net_ints(ot_net *n, const char *name, int64_t count, const int64_t *value)
{
    ot_tensor t = { .dtype = OT_INT64, .rank = count > 0, .dim = { count } };
    memcpy(&t.data, &value, sizeof(value)); /* only read */
    if (n->st == OT_OK)
        note(n, ot_model_add_initializer(n->m, name, &t));
}

/* ---- Nodes --------------------------------------------------------------------------------------------------- */

void ot_net_node(ot_net *n, const char *op, int n_in, const char *const *in, int n_out, const char *const *out)
{
    if (n->st != OT_OK)
        return;
    const char *name = ot_net_name(n, "%s.%s", out[0], op);
    n->node = ot_append_node(n->m->proto->graph, op, name, n_in, in, n_out, out);
    note(n, n->node ? OT_OK : OT_ENOMEM);
}

void ot_net_int(ot_net *n, const char *name, int64_t value)
{
    if (n->st == OT_OK)
        note(n, ot_node_set_int(n->node, name, value));
}

void ot_net_list(ot_net *n, const char *name, int count, const int64_t *value)
{
    if (n->st == OT_OK)
        note(n, ot_node_set_ints(n->node, name, count, value));
}

void ot_net_linear(ot_net *n, const char *layer, const char *y, const char *x, int64_t in, int64_t out, bool draws)
{
    const char *w = ot_net_name(n, "%s.weight", layer), *b = ot_net_name(n, "%s.bias", layer),
               *product = ot_net_name(n, "%s.product", y);
    double bound = 1 / sqrt((double)in);
    if (draws) {
        ot_net_uniform(n, w, bound, 2, (const int64_t[]){ in, out });
        ot_net_uniform(n, b, bound, 1, &out);
    }
    OT_NET(n, "MatMul", product, x, w);
    OT_NET(n, "Add", y, product, b);
}

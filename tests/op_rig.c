#include "op_rig.h"
#include "op_table.h"
#include "base/rng.h"
#include "graph/derive.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static double draw_one(const op_in *in, uint64_t key, int64_t i, const int64_t *order, int64_t n)
{
    double u = ot_rng_uniform(key, (uint64_t)i);
    switch (in->draw) {
    case OP_SIGNED:
        return (u < 0.5 ? -1 : 1) * (0.25 + ot_rng_uniform(key, (uint64_t)(i + n)));
    case OP_POSITIVE:
        return 0.5 + u;
    case OP_UNIT:
        return 1.6 * u - 0.8;
    case OP_SPREAD:
        return 0.125 * ((double)order[i] - (double)n / 2 + 0.3);
    case OP_BETWEEN:
        break;
    }
    return in->lo + u * (in->hi - in->lo);
}

static ot_status fill_text(ot_tensor *t, const char *const *text)
{
    ot_str *s = t->data;
    for (int64_t i = 0, n = text ? ot_tensor_count(t) : 0; i < n; i++) {
        s[i] = (ot_str){ ot_strdup(text[i]), strlen(text[i]) };
        if (!s[i].bytes)
            return OT_ENOMEM;
    }
    return OT_OK;
}

ot_status op_fill_input(ot_tensor *t, const op_in *in, ot_dtype dtype, uint64_t key)
{
    OT_TRY(ot_tensor_init(t, dtype, in->rank, in->dim));
    if (dtype == OT_STRING)
        return fill_text(t, in->text);
    int64_t n = ot_tensor_count(t);
    int64_t *order = ot_malloc((size_t)n + 1, sizeof(*order));
    if (!order)
        return OT_ENOMEM;
    ot_rng_permute(key ^ 77, order, n);
    for (int64_t i = 0; i < n; i++) {
        double v = in->values ? in->values[i] : draw_one(in, key, i, order, n);
        if (!ot_dtype_is_float(in->dtype))
            v = floor(v);
        else if (in->dtype == OT_FLOAT && (!in->values || isfinite(v)))
            v = (double)(float)v;
        ot_tensor_set(t, i, v);
        if (dtype == OT_COMPLEX64)
            memcpy((float *)t->data + 2 * i, (const float[]){ (float)v, 1 - (float)v }, 2 * sizeof(float));
        else if (dtype == OT_COMPLEX128)
            memcpy((double *)t->data + 2 * i, (const double[]){ v, 1 - v }, 2 * sizeof(double));
    }
    ot_free(order);
    return OT_OK;
}

static ot_status add_inputs(op_rig *r, bool symbolic)
{
    for (int i = 0; i < r->n_in; i++) {
        const op_in *in = &r->row->in[i];
        r->in[i] = OT_NONE;
        if (in->dtype == OT_UNDEFINED)
            continue;
        ot_dtype dtype = in->dtype == OT_FLOAT ? r->real : in->dtype;
        OT_TRY(op_fill_input(&r->x[i], in, dtype, ot_rng_key(1, (uint64_t)i, 2, 3)));
        char name[32];
        snprintf(name, sizeof(name), "x%d", i);
        if (in->constant) {
            r->in[i] = ot_graph_tensor(r->g, name, OT_FROM_CONSTANT, &r->x[i]);
        } else {
            ot_fact f = { .kind = OT_TENSOR };
            ot_set_shape(&f, dtype, in->rank, in->dim);
            for (int d = 0; symbolic && d < in->rank; d++) {
                char symbol[32];
                snprintf(symbol, sizeof(symbol), "d%d_%d", i, d);
                f.dim[d] = ot_symbol_named(r->g, symbol);
            }
            r->feed[r->g->n_input] = r->x[i];
            r->in[i] = ot_graph_input(r->g, name, &f);
        }
        if (r->in[i] == OT_NONE)
            return OT_ENOMEM;
    }
    return OT_OK;
}

ot_status op_row_operator(const ot_op **op, int *opset, const op_case *row)
{
    *opset = row->opset ? row->opset : OT_LATEST;
    ot_status st = ot_find_op(op, row->domain ? row->domain : "", row->op, *opset);
    if (st == OT_OK || row->domain)
        return st;
    if (ot_find_op(op, OT_INTERNAL, row->op, 1) != OT_OK)
        return ot_find_op(op, "", row->op, *opset);
    *opset = 1;
    return OT_OK;
}

/* The node, in today's form. */
static ot_status add_node(op_rig *r)
{
    const op_case *row = r->row;
    int opset;
    const ot_op *op;
    OT_TRY(op_row_operator(&op, &opset, row));
    ot_build b = { .g = r->g, .prefix = "n", .layer = -1 };
    const char *names[OP_MAX_OUT];
    char text[OP_MAX_OUT][16];
    for (int i = 0; i < OP_MAX_OUT; i++) {
        snprintf(text[i], sizeof(text[i]), "y%d", i);
        names[i] = row->skip_out[i] ? "" : text[i];
    }
    static const ot_attr none = { 0 };
    return ot_derive_node(&b, op, opset, "n", row->attrs ? row->attrs : &none, r->n_in, r->in, r->n_out, r->out, names,
                          r->for_gradient);
}

void op_rig_close(op_rig *r)
{
    if (r->e)
        ot_executor_close(r->e);
    else
        ot_graph_close(r->g);
    ot_store_close(r->store);
    ot_threads_close(r->threads);
    ot_workspace_release(&r->work);
    for (int i = 0; i < OP_MAX_IN; i++)
        ot_tensor_release(&r->x[i]);
    for (int i = 0; i < OP_MAX_OUT; i++)
        ot_tensor_release(&r->weight[i]);
    memset(r, 0, sizeof(*r));
}

ot_status op_rig_open(op_rig *r, const op_case *row, ot_dtype real, int threads, bool symbolic, bool for_gradient)
{
    *r = (op_rig){
        .row = row, .real = real, .for_gradient = for_gradient, .n_in = OP_MAX_IN, .n_out = row->n_out ? row->n_out : 1
    };
    while (r->n_in > 0 && row->in[r->n_in - 1].dtype == OT_UNDEFINED)
        r->n_in--;
    OT_TRY(ot_graph_create(&r->g));
    OT_TRY(ot_store_create(&r->store));
    OT_TRY(ot_threads_create(&r->threads, threads));
    OT_TRY(add_inputs(r, symbolic));
    return add_node(r);
}

ot_status op_rig_start(op_rig *r)
{
    OT_TRY(ot_prune(r->g));
    op_table_note_graph(r->g);
    ot_executor_opts o = { .store = r->store, .threads = r->threads, .workspace = &r->work };
    ot_graph *g = r->g;
    r->g = NULL;
    OT_TRY(ot_executor_create(&r->e, g, &o));
    OT_TRY(ot_executor_prepare(r->e, r->feed));
    if (r->work.size) /* an arena of nothing has no memory */
        memset(r->work.bytes, 0xFF, r->work.size);
    return OT_OK;
}

ot_status op_rig_outputs(op_rig *r)
{
    for (int i = 0; i < r->n_out; i++)
        if (r->out[i] != OT_NONE)
            OT_TRY(ot_graph_output(r->g, "y", r->out[i]));
    return OT_OK;
}

bool op_is_real(ot_dtype t)
{
    return t == OT_FLOAT || t == OT_DOUBLE;
}

bool op_rig_forward(op_rig *r, const op_case *row, ot_dtype real, int threads, bool symbolic)
{
    ot_status st = op_rig_open(r, row, real, threads, symbolic, false);
    if (st == OT_OK)
        st = op_rig_outputs(r);
    if (st == OT_OK)
        st = op_rig_start(r);
    if (st == OT_OK)
        st = ot_executor_run(r->e, r->feed);
    return op_say(row, st == OT_OK, "%s, %d threads%s: %s", ot_dtype_name(real), threads, symbolic ? ", symbols" : "",
                  ot_last_error());
}

/* ---- Comparing -----------------------------------------------------------------------------------------------------
 */

bool op_say(const op_case *row, bool ok, const char *fmt, ...)
{
    if (ok)
        return test_check(true, __FILE__, __LINE__, row->op);
    char text[600], dims[200] = "";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (int i = 0; i < OP_MAX_IN && row->in[i].dtype != OT_UNDEFINED; i++) {
        size_t at = strlen(dims);
        snprintf(dims + at, sizeof(dims) - at, " %s%s", ot_dtype_name(row->in[i].dtype),
                 OT_DIMS(row->in[i].rank, row->in[i].dim));
    }
    char whole[900];
    snprintf(whole, sizeof(whole), "%s-%d of%s: %s", row->op, row->opset ? row->opset : OT_LATEST, dims, text);
    return test_check(false, __FILE__, __LINE__, whole);
}

static bool same_shape(const ot_tensor *a, const ot_tensor *b)
{
    return a->rank == b->rank && (a->rank == 0 || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof(*a->dim)) == 0);
}

static bool same_strings(const ot_tensor *a, const ot_tensor *b)
{
    const ot_str *p = a->data, *q = b->data;
    for (int64_t i = 0, n = ot_tensor_count(a); i < n; i++)
        if (p[i].n != q[i].n || (p[i].n && memcmp(p[i].bytes, q[i].bytes, p[i].n) != 0))
            return false;
    return true;
}

void op_check_same_bits(const op_case *row, const ot_tensor *a, const ot_tensor *b, const char *what)
{
    bool shape = a->dtype == b->dtype && same_shape(a, b);
    op_say(row, shape, "%s: %s %s beside %s %s", what, ot_dtype_name(a->dtype), OT_DIMS(a->rank, a->dim),
           ot_dtype_name(b->dtype), OT_DIMS(b->rank, b->dim));
    if (shape && a->dtype == OT_STRING)
        op_say(row, same_strings(a, b), "%s: other strings", what);
    else if (shape && ot_tensor_bytes(a))
        op_say(row, memcmp(a->data, b->data, ot_tensor_bytes(a)) == 0, "%s: other bits", what);
}

void op_check_close(const op_case *row, const ot_tensor *want, const ot_tensor *got, double tol, const char *what)
{
    if (!op_say(row, same_shape(want, got), "%s: shape %s, wanted is %s", what, OT_DIMS(got->rank, got->dim),
                OT_DIMS(want->rank, want->dim)))
        return;
    double scale = 1;
    int64_t n = ot_tensor_count(want);
    for (int64_t i = 0; i < n; i++) {
        double v = fabs(ot_tensor_get(want, i));
        if (isfinite(v) && v > scale)
            scale = v;
    }
    for (int64_t i = 0; i < n; i++) {
        double w = ot_tensor_get(want, i), v = ot_tensor_get(got, i);
        if (!op_say(row, test_close(w, v, tol * scale, 0), "%s: element %lld is %.9g, wanted is %.9g", what,
                    (long long)i, v, w))
            return;
    }
}

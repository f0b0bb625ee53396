#include "op_case.h"
#include "base/rng.h"
#include "exec/executor.h"
#include "graph/derive.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define GUARD 64

/* ---- Weigh: the loss of a row.  (outputs.., weights..) -> the sum of all products; only ever differentiated. -------
 */

static ot_status weigh_infer(ot_infer *c)
{
    ot_set_shape(&c->y[0], c->x[0]->dtype, 0, NULL);
    return OT_OK;
}

/* The driver's seed is 1, so the gradient of an output is its weight. */
static void weigh_differentiate(ot_build *b)
{
    int half = ot_the_node(b)->n_in / 2;
    for (int i = 0; i < half; i++)
        ot_give(b, i, ot_x(b, half + i));
}

static const ot_op weigh = { .domain = OT_INTERNAL,
                             .name = "Weigh",
                             .since = 1,
                             .until = 1,
                             .min_in = 2,
                             .max_in = OT_MANY,
                             .min_out = 1,
                             .max_out = 1,
                             .infer = weigh_infer,
                             .grad = weigh_differentiate };

/* ---- One graph of a row -------------------------------------------------------------------------------------------
 */

typedef struct rig {
    const op_case *row;
    ot_dtype real;     /* what floating inputs are in this graph */
    bool for_gradient; /* composites without a gradient are expanded */
    ot_graph *g;
    int n_in, n_out;
    ot_val in[OP_MAX_IN], out[OP_MAX_OUT];
    ot_tensor x[OP_MAX_IN];       /* owned data of all inputs, constants included */
    ot_tensor weight[OP_MAX_OUT]; /* of float outputs, for the loss */
    ot_executor *e;
    ot_store *store;
    ot_threads *threads;
    ot_workspace work;
    ot_tensor feed[OP_MAX_IN + OP_MAX_OUT]; /* views, in the order of the graph's inputs */
} rig;

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

static ot_status fill_input(ot_tensor *t, const op_in *in, ot_dtype dtype, uint64_t key)
{
    OT_TRY(ot_tensor_init(t, dtype, in->rank, in->dim));
    int64_t n = ot_tensor_count(t);
    int64_t *order = ot_malloc((size_t)n + 1, sizeof(*order));
    if (!order)
        return OT_ENOMEM;
    ot_rng_permute(key ^ 77, order, n);
    for (int64_t i = 0; i < n; i++) {
        double v = in->values ? in->values[i] : draw_one(in, key, i, order, n);
        if (!ot_dtype_is_float(in->dtype))
            v = floor(v);
        else if (!in->values || isfinite(v))
            v = (double)(float)v;
        ot_tensor_set(t, i, v);
    }
    ot_free(order);
    return OT_OK;
}

static ot_status add_inputs(rig *r, bool symbolic)
{
    for (int i = 0; i < r->n_in; i++) {
        const op_in *in = &r->row->in[i];
        r->in[i] = OT_NONE;
        if (in->dtype == OT_UNDEFINED)
            continue;
        ot_dtype dtype = in->dtype == OT_FLOAT ? r->real : in->dtype;
        OT_TRY(fill_input(&r->x[i], in, dtype, ot_rng_key(1, (uint64_t)i, 2, 3)));
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

/* The node, in today's form. */
static ot_status add_node(rig *r)
{
    const op_case *row = r->row;
    int opset = row->opset ? row->opset : OT_LATEST;
    const ot_op *op;
    ot_status st = ot_find_op(&op, row->domain ? row->domain : "", row->op, opset);
    if (st != OT_OK && !row->domain) {
        opset = 1;
        if (ot_find_op(&op, OT_INTERNAL, row->op, 1) != OT_OK)
            return ot_find_op(&op, "", row->op, row->opset ? row->opset : OT_LATEST);
    } else if (st != OT_OK) {
        return st;
    }
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

static void rig_close(rig *r)
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

static ot_status rig_open(rig *r, const op_case *row, ot_dtype real, int threads, bool symbolic, bool for_gradient)
{
    *r = (rig){
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

/* Hands the graph to an executor whose memory is full of NaN. */
static ot_status rig_start(rig *r)
{
    OT_TRY(ot_prune(r->g));
    ot_executor_opts o = { .store = r->store, .threads = r->threads, .workspace = &r->work };
    ot_graph *g = r->g;
    r->g = NULL;
    OT_TRY(ot_executor_create(&r->e, g, &o));
    OT_TRY(ot_executor_prepare(r->e, r->feed));
    if (r->work.size) /* an arena of nothing has no memory */
        memset(r->work.bytes, 0xFF, r->work.size);
    return OT_OK;
}

static ot_status add_outputs(rig *r)
{
    for (int i = 0; i < r->n_out; i++)
        if (r->out[i] != OT_NONE)
            OT_TRY(ot_graph_output(r->g, "y", r->out[i]));
    return OT_OK;
}

static bool is_real(ot_dtype t)
{
    return t == OT_FLOAT || t == OT_DOUBLE;
}

/* ---- Comparing -----------------------------------------------------------------------------------------------------
 */

static bool say(const op_case *row, bool ok, const char *fmt, ...) OT_PRINTF(3, 4);
static bool say(const op_case *row, bool ok, const char *fmt, ...)
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

static void check_same_bits(const op_case *row, const ot_tensor *a, const ot_tensor *b, const char *what)
{
    bool shape = a->dtype == b->dtype && same_shape(a, b);
    say(row, shape, "%s: %s %s beside %s %s", what, ot_dtype_name(a->dtype), OT_DIMS(a->rank, a->dim),
        ot_dtype_name(b->dtype), OT_DIMS(b->rank, b->dim));
    if (shape && a->dtype == OT_STRING)
        say(row, same_strings(a, b), "%s: other strings", what);
    else if (shape && ot_tensor_bytes(a))
        say(row, memcmp(a->data, b->data, ot_tensor_bytes(a)) == 0, "%s: other bits", what);
}

/* want and got within tol, relative to the largest element of want (at least 1). */
static void check_close(const op_case *row, const ot_tensor *want, const ot_tensor *got, double tol, const char *what)
{
    if (!say(row, same_shape(want, got), "%s: shape %s, wanted is %s", what, OT_DIMS(got->rank, got->dim),
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
        if (!say(row, test_close(w, v, tol * scale, 0), "%s: element %lld is %.9g, wanted is %.9g", what, (long long)i,
                 v, w))
            return;
    }
}

/* ---- Kernels one by one --------------------------------------------------------------------------------------------
 */

typedef struct guarded {
    ot_tensor t;
    char *bytes;
} guarded;

static bool guarded_open(guarded *p, const ot_fact *f)
{
    size_t n;
    p->t = (ot_tensor){ .dtype = f->dtype, .rank = f->rank };
    memcpy(p->t.dim, f->dim, sizeof(p->t.dim));
    if (ot_bytes(&n, f->dtype, f->rank, f->dim) != OT_OK || !(p->bytes = ot_malloc(n + 2 * GUARD, 1)))
        return false;
    memset(p->bytes, 0xFF, n + 2 * GUARD);
    p->t.data = p->bytes + GUARD;
    return true;
}

static bool guarded_intact(const guarded *p)
{
    size_t n = ot_tensor_bytes(&p->t);
    for (size_t i = 0; i < GUARD; i++)
        if ((uint8_t)p->bytes[i] != 0xFF || (uint8_t)p->bytes[GUARD + n + i] != 0xFF)
            return false;
    return true;
}

/* Runs kernel k of the row's only node by itself; its outputs are compared with those of the executor. */
static void run_kernel(rig *r, const ot_kernel *k, const ot_tensor *const *want, double tol)
{
    const ot_node *n = r->g->node[0];
    ot_kernel only[2] = { *k, { 0 } };
    ot_op op = *n->op;
    ot_node node = *n;
    ot_arena arena = { 0 };
    ot_step s = { 0 };
    guarded y[OP_MAX_OUT] = { 0 };
    const ot_fact *x_fact[OP_MAX_IN] = { 0 }, *y_fact[OP_MAX_OUT] = { 0 };
    const ot_tensor *constant[OP_MAX_IN] = { 0 };
    op.cpu = only;
    node.op = &op;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != OT_NONE) {
            x_fact[i] = &r->g->value[n->in[i]].fact;
            constant[i] = r->row->in[i].constant ? &r->x[i] : NULL;
        }
    for (int i = 0; i < n->n_out; i++)
        y_fact[i] = n->out[i] == OT_NONE ? NULL : &r->g->value[n->out[i]].fact;
    ot_status st = ot_step_prepare(&s, &arena, &node, x_fact, y_fact, constant, NULL, NULL, 1);
    if (st == OT_OK) {
        char what[80];
        void *scratch = ot_malloc(s.scratch + 1, 1);
        memset(scratch, 0xFF, s.scratch + 1);
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i] != OT_NONE)
                s.x[i].data = n->op->shape_only >> i & 1 ? NULL : r->x[i].data;
        for (int i = 0; i < n->n_out; i++)
            if (y_fact[i] && CHECK(guarded_open(&y[i], y_fact[i])))
                s.y[i].data = y[i].t.data;
        snprintf(what, sizeof(what), "kernel '%s'", k->name);
        say(r->row, ot_step_run(&s, scratch, NULL) == OT_OK, "%s: %s", what, ot_last_error());
        for (int i = 0; i < n->n_out; i++)
            if (y_fact[i]) {
                say(r->row, guarded_intact(&y[i]), "%s writes outside of output %d", what, i);
                if (want[i])
                    check_close(r->row, want[i], &y[i].t, tol, what);
            }
        ot_free(scratch);
        for (int i = 0; i < n->n_out; i++)
            ot_free(y[i].bytes);
    } else {
        say(r->row, k->declines != NULL, "kernel '%s': %s", k->name, ot_last_error());
    }
    ot_step_release(&s);
    ot_arena_release(&arena);
}

static bool is_concrete(const ot_fact *f)
{
    for (int i = 0; i < f->rank; i++)
        if (ot_is_symbol(f->dim[i]))
            return false;
    return f->kind == OT_TENSOR && f->rank >= 0 && f->dtype != OT_STRING;
}

static void run_kernels(const op_case *row, ot_dtype real, const ot_tensor *const *want, double tol)
{
    rig r;
    bool plain = CHECK_OK(rig_open(&r, row, real, 1, false, false)) && r.g->n_node == 1 && r.g->node[0]->n_in == r.n_in;
    for (int i = 0; plain && i < r.g->node[0]->n_out; i++)
        plain = r.out[i] == OT_NONE || is_concrete(&r.g->value[r.out[i]].fact);
    for (int i = 0; plain && i < r.n_in; i++)
        plain = r.in[i] == r.g->node[0]->in[i];
    for (const ot_kernel *k = plain ? r.g->node[0]->op->cpu : NULL; k && k->name; k++)
        run_kernel(&r, k, want, tol);
    rig_close(&r);
}

/* ---- Values --------------------------------------------------------------------------------------------------------
 */

static bool run_forward(rig *r, const op_case *row, ot_dtype real, int threads, bool symbolic)
{
    ot_status st = rig_open(r, row, real, threads, symbolic, false);
    if (st == OT_OK)
        st = add_outputs(r);
    if (st == OT_OK)
        st = rig_start(r);
    if (st == OT_OK)
        st = ot_executor_run(r->e, r->feed);
    return say(row, st == OT_OK, "%s, %d threads%s: %s", ot_dtype_name(real), threads, symbolic ? ", symbols" : "",
               ot_last_error());
}

static void check_want(const op_case *row, const ot_tensor *y)
{
    bool ok = true;
    if (row->want_rank) {
        ok = y->rank == row->want_rank - 1;
        for (int i = 0; ok && i < y->rank; i++)
            ok = y->dim[i] == row->want_dim[i];
        say(row, ok, "output 0 is %s, wanted is %s", OT_DIMS(y->rank, y->dim),
            OT_DIMS(row->want_rank - 1, row->want_dim));
    }
    for (int64_t i = 0, n = ot_tensor_count(y); ok && row->want && i < n; i++)
        ok = say(row, test_close(row->want[i], ot_tensor_get(y, i), 1e-6, 1e-6), "element %lld is %.9g, wanted is %.9g",
                 (long long)i, ot_tensor_get(y, i), row->want[i]);
}

static void check_values(const op_case *row)
{
    rig one, three, exact, open;
    double tol = row->tolerance > 0 ? row->tolerance : 2e-6;
    const ot_tensor *want[OP_MAX_OUT] = { 0 };
    bool ok = run_forward(&one, row, OT_FLOAT, 1, false);
    ok &= run_forward(&three, row, OT_FLOAT, 3, false);
    ok &= run_forward(&exact, row, OT_DOUBLE, 1, false);
    if (ok)
        check_want(row, ot_executor_output(exact.e, 0));
    for (int i = 0, at = 0; ok && i < exact.n_out; i++) {
        if (row->skip_out[i])
            continue;
        want[i] = ot_executor_output(exact.e, at);
        check_same_bits(row, ot_executor_output(one.e, at), ot_executor_output(three.e, at), "3 threads");
        if (want[i]->dtype == OT_STRING)
            check_same_bits(row, ot_executor_output(one.e, at), want[i], "double");
        else if (!row->random)
            check_close(row, want[i], ot_executor_output(one.e, at), tol, "float32");
        at++;
    }
    if (ok && !row->no_symbols) {
        ok = run_forward(&open, row, OT_DOUBLE, 1, true);
        for (int i = 0, at = 0; ok && i < open.n_out; i++)
            if (!row->skip_out[i])
                check_same_bits(row, ot_executor_output(exact.e, at), ot_executor_output(open.e, at), "symbols"), at++;
        rig_close(&open);
    }
    if (ok && !row->random) {
        run_kernels(row, OT_FLOAT, want, tol);
        run_kernels(row, OT_DOUBLE, want, 1e-12);
    }
    rig_close(&one);
    rig_close(&three);
    rig_close(&exact);
}

/* ---- Gradients -----------------------------------------------------------------------------------------------------
 */

/* Adds the loss, its weights and the gradients of the inputs in `subset`, which become the graph's outputs. */
static ot_status add_gradients(rig *r, uint32_t subset)
{
    ot_val in[2 * OP_MAX_OUT], wrt[OP_MAX_IN], grad[OP_MAX_IN], loss;
    int n = 0, n_wrt = 0;
    for (int i = 0; i < r->n_out; i++)
        if (r->out[i] != OT_NONE && is_real(r->g->value[r->out[i]].fact.dtype))
            in[n++] = r->out[i];
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof(name), "w%d", i);
        ot_fact f = r->g->value[in[i]].fact;
        f.value = NULL;
        f.n_value = 0;
        if (r->weight[i].dtype != f.dtype) { /* a Cast to the other floating type */
            ot_tensor as = { 0 };
            OT_TRY(ot_tensor_init(&as, f.dtype, r->weight[i].rank, r->weight[i].dim));
            for (int64_t k = 0, m = ot_tensor_count(&as); k < m; k++)
                ot_tensor_set(&as, k, ot_tensor_get(&r->weight[i], k));
            ot_tensor_release(&r->weight[i]);
            r->weight[i] = as;
        }
        r->feed[r->g->n_input] = r->weight[i];
        in[n + i] = ot_graph_input(r->g, name, &f);
        if (in[n + i] == OT_NONE)
            return OT_ENOMEM;
    }
    ot_build b = { .g = r->g, .prefix = "loss", .layer = -1 };
    OT_TRY(ot_add_node(&b, &weigh, 1, "loss", NULL, 2 * n, in, 1, &loss, NULL));
    for (int i = 0; i < r->n_in; i++)
        if (subset >> i & 1)
            wrt[n_wrt++] = r->in[i];
    OT_TRY(ot_differentiate(r->g, loss, n_wrt, wrt, grad));
    for (int i = 0; i < n_wrt; i++) {
        if (grad[i] == OT_NONE)
            return ot_fail(OT_ENOGRAD, "no gradient reached input %d of the subset", i);
        OT_TRY(ot_graph_output(r->g, "g", grad[i]));
    }
    return OT_OK;
}

/* Weights of the loss for the outputs of a run. */
static ot_status make_weights(rig *r, const rig *forward, ot_dtype real)
{
    int n = 0, at = 0;
    for (int i = 0; i < forward->n_out; i++) {
        if (forward->row->skip_out[i])
            continue;
        const ot_tensor *y = ot_executor_output(forward->e, at++);
        if (!is_real(y->dtype))
            continue;
        op_in in = { .dtype = OT_FLOAT, .draw = OP_SIGNED };
        in.rank = 1;
        in.dim[0] = ot_tensor_count(y);
        OT_TRY(fill_input(&r->weight[n], &in, real, ot_rng_key(9, (uint64_t)i, 8, 7)));
        r->weight[n].rank = y->rank;
        memcpy(r->weight[n].dim, y->dim, sizeof(y->dim));
        n++;
    }
    return OT_OK;
}

static bool run_gradients(rig *r, const op_case *row, const rig *forward, ot_dtype real, int threads, uint32_t subset,
                          bool symbolic)
{
    ot_status st = rig_open(r, row, real, threads, symbolic, true);
    if (st == OT_OK)
        st = make_weights(r, forward, real);
    if (st == OT_OK)
        st = add_gradients(r, subset);
    if (st == OT_OK)
        st = rig_start(r);
    if (st == OT_OK)
        st = ot_executor_run(r->e, r->feed);
    return say(row, st == OT_OK, "gradients of subset %x in %s%s: %s", subset, ot_dtype_name(real),
               symbolic ? " over symbols" : "", ot_last_error());
}

static double loss_of(rig *forward, const ot_tensor *weight)
{
    double sum = 0;
    int n = 0, at = 0;
    if (!CHECK_OK(ot_executor_run(forward->e, forward->feed)))
        return 0;
    for (int i = 0; i < forward->n_out; i++) {
        if (forward->row->skip_out[i])
            continue;
        const ot_tensor *y = ot_executor_output(forward->e, at++);
        if (!is_real(y->dtype))
            continue;
        for (int64_t k = 0, m = ot_tensor_count(y); k < m; k++)
            sum += ot_tensor_get(y, k) * ot_tensor_get(&weight[n], k);
        n++;
    }
    return sum;
}

/* Central differences of the loss for input i into a new double tensor. */
static void differences(ot_tensor *out, rig *forward, const ot_tensor *weight, int i)
{
    ot_tensor *x = &forward->x[i];
    double *v = x->data;
    if (!CHECK_OK(ot_tensor_init(out, OT_DOUBLE, x->rank, x->dim)))
        return;
    for (int64_t k = 0, n = ot_tensor_count(x); k < n; k++) {
        double keep = v[k], h = 1e-5 * (fabs(keep) > 1 ? fabs(keep) : 1);
        v[k] = keep + h;
        double up = loss_of(forward, weight), span = v[k];
        v[k] = keep - h;
        double down = loss_of(forward, weight);
        span -= v[k];
        v[k] = keep;
        ot_tensor_set(out, k, (up - down) / span);
    }
}

static void check_subset(const op_case *row, const rig *forward, uint32_t subset, const ot_tensor *want, bool all)
{
    rig r, s;
    bool ok = run_gradients(&r, row, forward, OT_DOUBLE, 1, subset, false);
    for (int i = 0, at = 0; ok && i < OP_MAX_IN; i++)
        if (subset >> i & 1) {
            char what[64];
            snprintf(what, sizeof(what), "gradient of input %d, subset %x", i, subset);
            check_close(row, &want[i], ot_executor_output(r.e, at++), 1e-7, what);
        }
    if (ok && all && run_gradients(&s, row, forward, OT_FLOAT, 1, subset, false)) {
        rig t;
        bool three = run_gradients(&t, row, forward, OT_FLOAT, 3, subset, false);
        for (int64_t i = 0; i < __builtin_popcount(subset); i++) {
            check_close(row, ot_executor_output(r.e, i), ot_executor_output(s.e, i),
                        row->tolerance > 0 ? 4 * row->tolerance : 1e-5, "float32 gradient");
            if (three)
                check_same_bits(row, ot_executor_output(s.e, i), ot_executor_output(t.e, i), "gradient, 3 threads");
        }
        rig_close(&t);
    }
    if (ok && all)
        rig_close(&s);
    if (ok && all && !row->no_symbols) {
        if (run_gradients(&s, row, forward, OT_DOUBLE, 1, subset, true))
            for (int64_t i = 0; i < __builtin_popcount(subset); i++)
                check_close(row, ot_executor_output(r.e, i), ot_executor_output(s.e, i), 1e-13, "gradient, symbols");
        rig_close(&s);
    }
    rig_close(&r);
}

static void check_gradients(const op_case *row)
{
    rig forward, weights = { 0 };
    ot_tensor want[OP_MAX_IN] = { 0 };
    uint32_t all = 0;
    for (int i = 0; i < OP_MAX_IN; i++)
        all |= row->in[i].dtype == OT_FLOAT && row->in[i].grad ? 1u << i : 0;
    if (!all)
        return;
    if (run_forward(&forward, row, OT_DOUBLE, 1, false) && CHECK_OK(make_weights(&weights, &forward, OT_DOUBLE))) {
        for (int i = 0; i < forward.n_in; i++)
            if (all >> i & 1)
                differences(&want[i], &forward, weights.weight, i);
        CHECK_OK(ot_executor_run(forward.e, forward.feed)); /* the last difference is forgotten */
        for (uint32_t subset = all; subset; subset = (subset - 1) & all)
            check_subset(row, &forward, subset, want, subset == all);
    }
    for (int i = 0; i < OP_MAX_IN; i++)
        ot_tensor_release(&want[i]);
    rig_close(&weights);
    rig_close(&forward);
}

/* ---- The table -----------------------------------------------------------------------------------------------------
 */

static void check_failure(const op_case *row)
{
    rig r;
    ot_status st = rig_open(&r, row, OT_FLOAT, 1, false, false);
    if (st == OT_OK)
        st = add_outputs(&r);
    if (st == OT_OK)
        st = rig_start(&r);
    if (st == OT_OK)
        st = ot_executor_run(r.e, r.feed);
    if (say(row, st != OT_OK, "no failure; wanted is '%s'", row->fails))
        say(row, strstr(ot_last_error(), row->fails) != NULL, "error '%s', wanted is '%s'", ot_last_error(),
            row->fails);
    rig_close(&r);
}

void op_cases_run(const op_case *rows)
{
    for (const op_case *row = rows; row->op; row++) {
        int64_t before = ot_live_blocks();
        if (row->fails) {
            check_failure(row);
        } else {
            check_values(row);
            check_gradients(row);
        }
        say(row, ot_live_blocks() == before, "%lld blocks leak", (long long)(ot_live_blocks() - before));
    }
}

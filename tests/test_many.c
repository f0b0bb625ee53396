/* Operators with hundreds of inputs or outputs, forward and backward. */
#include "exec/executor.h"
#include "graph/derive.h"
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PARTS 300
#define ROWS  302 /* the parts of Split are 1 row, two of them 2 */

typedef ot_val body(ot_build *b, ot_val x);

static ot_val derived(ot_build *b, const char *name, int opset, const ot_attr *attr, int n_in, const ot_val *in,
                      int n_out, ot_val *out)
{
    static char text[PARTS][16];
    static const ot_attr none = { 0 };
    const char *names[PARTS];
    const ot_op *op = NULL;
    for (int i = 0; i < n_out; i++) {
        snprintf(text[i], sizeof(text[i]), "%s.%d", name, i);
        names[i] = text[i];
    }
    CHECK_OK(ot_find_op(&op, "", name, opset));
    CHECK_OK(ot_derive_node(b, op, opset, name, attr ? attr : &none, n_in, in, n_out, out, names, true));
    return out[0];
}

static void split_rows(ot_build *b, ot_val x, int opset, ot_val *part)
{
    int64_t size[PARTS];
    for (int i = 0; i < PARTS; i++)
        size[i] = i == 10 || i == 290 ? 2 : 1;
    if (opset < 13)
        derived(b, "Split", opset, OT_ATTRS(OT_INTS("split", size, PARTS)), 1, &x, PARTS, part);
    else
        derived(b, "Split", opset, NULL, 2, (const ot_val[]){ x, ot_const_ints(b, PARTS, size) }, PARTS, part);
}

/* Every third part, from the last to the first, and x behind them. */
static ot_val backwards(ot_build *b, ot_val x, int opset)
{
    ot_val part[PARTS], in[PARTS], y;
    int n = 0;
    split_rows(b, x, opset, part);
    for (int i = PARTS - 1; i >= 0; i -= 1 + (i % 3 == 0))
        in[n++] = part[i];
    in[n++] = x;
    CHECK(n > 200);
    return derived(b, "Concat", 13, OT_ATTRS(OT_INT("axis", 0)), n, in, 1, &y);
}

static ot_val backwards_now(ot_build *b, ot_val x)
{
    return backwards(b, x, 18);
}

static ot_val backwards_then(ot_build *b, ot_val x)
{
    return backwards(b, x, 11);
}

static ot_val equal_parts(ot_build *b, ot_val x)
{
    ot_val part[PARTS / 2 + 1], y;
    derived(b, "Split", 18, OT_ATTRS(OT_INT("num_outputs", ROWS / 2)), 1, &x, ROWS / 2, part);
    return derived(b, "Concat", 13, OT_ATTRS(OT_INT("axis", 1)), ROWS / 2, part, 1, &y);
}

static ot_val joined(ot_build *b, ot_val x, const char *op)
{
    ot_val part[PARTS], in[PARTS], y;
    int n = 0;
    split_rows(b, x, 18, part);
    for (int i = 0; i < PARTS; i++)
        if (i != 10 && i != 290 && n < 200)
            in[n++] = part[i];
    return derived(b, op, 13, NULL, n, in, 1, &y);
}

#define JOINED(name, op)                                                                                               \
    static ot_val name(ot_build *b, ot_val x)                                                                          \
    {                                                                                                                  \
        return joined(b, x, op);                                                                                       \
    }
JOINED(sum_of, "Sum")
JOINED(mean_of, "Mean")
JOINED(max_of, "Max")
JOINED(min_of, "Min")

/* y, the sum of its sines, and the gradient of that. */
static ot_status graph_of(ot_graph *g, body *f, bool symbolic)
{
    ot_build b = { .g = g, .prefix = "n", .layer = -1 };
    ot_fact fact = { .kind = OT_TENSOR };
    ot_set_shape(&fact, OT_DOUBLE, 2, (const ot_dim[]){ ROWS, 2 });
    if (symbolic)
        fact.dim[0] = ot_symbol_named(g, "N");
    ot_val grad, x = ot_graph_input(g, "x", &fact), y = f(&b, x);
    ot_val loss = OT_EMIT_WITH(&b, "ReduceSum", OT_ATTRS(OT_INT("keepdims", 0)), OT_EMIT(&b, "Sin", y));
    OT_TRY(b.st);
    OT_TRY(ot_differentiate(g, loss, 1, &x, &grad));
    OT_TRY(ot_graph_output(g, "y", y));
    OT_TRY(ot_graph_output(g, "loss", loss));
    OT_TRY(ot_graph_output(g, "grad", grad));
    return ot_prune(g);
}

static double loss_at(ot_executor *e, ot_tensor *x, int64_t i, double v)
{
    double *at = (double *)x->data + i, was = *at;
    *at = v;
    CHECK_OK(ot_executor_run(e, x));
    *at = was;
    return ot_tensor_get(ot_executor_output(e, 1), 0);
}

static void compare(ot_executor *e, ot_tensor *x, double first)
{
    double grad[2 * ROWS];
    CHECK_OK(ot_executor_run(e, x));
    CHECK(test_close(first, ot_tensor_get(ot_executor_output(e, 0), 0), 1e-12, 1e-12));
    memcpy(grad, ot_executor_output(e, 2)->data, sizeof(grad));
    for (int64_t i = 0; i < 2 * ROWS; i += i < 40 ? 1 : 29) {
        const double v = ((const double *)x->data)[i], h = 1e-5;
        double want = (loss_at(e, x, i, v + h) - loss_at(e, x, i, v - h)) / (2 * h);
        if (!CHECK(test_close(want, grad[i], 1e-7, 1e-7))) {
            printf("    element %lld: %.9g, differences say %.9g\n", (long long)i, grad[i], want);
            return;
        }
    }
}

/* first: element 0 of y. */
static void check(body *f, double first, bool symbolic)
{
    double v[2 * ROWS];
    ot_tensor x = { .dtype = OT_DOUBLE, .rank = 2, .dim = { ROWS, 2 }, .data = v };
    ot_graph *g = NULL;
    ot_executor *e = NULL;
    ot_store *store = NULL;
    ot_threads *threads = NULL;
    ot_workspace work = { 0 };
    for (int i = 0; i < 2 * ROWS; i++)
        v[i] = i * 0.01; /* the largest is the last, and no two are equal */
    if (CHECK_OK(ot_store_create(&store)) && CHECK_OK(ot_threads_create(&threads, 1)) &&
        CHECK_OK(ot_graph_create(&g)) && CHECK_OK(graph_of(g, f, symbolic))) {
        ot_executor_opts o = { .store = store, .threads = threads, .workspace = &work };
        ot_status st = ot_executor_create(&e, g, &o);
        g = NULL;
        if (CHECK_OK(st))
            compare(e, &x, first);
    }
    ot_executor_close(e);
    ot_workspace_release(&work);
    ot_threads_close(threads);
    ot_store_close(store);
    ot_graph_close(g);
}

static void split_and_concat(void)
{
    for (int symbolic = 0; symbolic < 2; symbolic++) {
        check(backwards_now, 6.02, symbolic);
        check(backwards_then, 6.02, symbolic);
    }
    check(equal_parts, 0, false);
}

static void variadic(void)
{
    /* rows 0 .. 9, and 12 .. 201 behind the first part of two rows */
    check(sum_of, 0.02 * (45 + 190 * 106.5), false);
    check(mean_of, 0.02 * (45 + 190 * 106.5) / 200, false);
    check(max_of, 4.02, false);
    check(min_of, 0, false);
}

const ot_test many_tests[] = { { "split and concat", split_and_concat }, { "variadic", variadic }, { 0 } };

/* Gradients of a row: in double against central differences, in float32 against double. */
#include "base/rng.h"
#include "op_rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

/* ---- Gradients -----------------------------------------------------------------------------------------------------
 */

/* Adds the loss, its weights and the gradients of the inputs in `subset`, which become the graph's outputs. */
static ot_status add_gradients(op_rig *r, uint32_t subset)
{
    ot_val in[2 * OP_MAX_OUT], wrt[OP_MAX_IN], grad[OP_MAX_IN], loss;
    int n = 0, n_wrt = 0;
    for (int i = 0; i < r->n_out; i++)
        if (r->out[i] != OT_NONE && op_is_real(r->g->value[r->out[i]].fact.dtype))
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
        if (grad[i] == OT_NONE) /* truly zero, if the differences agree */
            grad[i] = OT_EMIT(&b, "ZerosLike", wrt[i]);
        OT_TRY(b.st);
        OT_TRY(ot_graph_output(r->g, "g", grad[i]));
    }
    return OT_OK;
}

/* Weights of the loss for the outputs of a run. */
static ot_status make_weights(op_rig *r, const op_rig *forward, ot_dtype real)
{
    int n = 0, at = 0;
    for (int i = 0; i < forward->n_out; i++) {
        if (forward->row->skip_out[i])
            continue;
        const ot_tensor *y = ot_executor_output(forward->e, at++);
        if (!op_is_real(y->dtype))
            continue;
        op_in in = { .dtype = OT_FLOAT, .draw = OP_SIGNED };
        in.rank = 1;
        in.dim[0] = ot_tensor_count(y);
        OT_TRY(op_fill_input(&r->weight[n], &in, real, ot_rng_key(9, (uint64_t)i, 8, 7)));
        r->weight[n].rank = y->rank;
        memcpy(r->weight[n].dim, y->dim, sizeof(y->dim));
        n++;
    }
    return OT_OK;
}

static bool run_gradients(op_rig *r, const op_case *row, const op_rig *forward, ot_dtype real, int threads,
                          uint32_t subset, bool symbolic)
{
    ot_status st = op_rig_open(r, row, real, threads, symbolic, true);
    if (st == OT_OK)
        st = make_weights(r, forward, real);
    if (st == OT_OK)
        st = add_gradients(r, subset);
    if (st == OT_OK)
        st = op_rig_start(r);
    if (st == OT_OK)
        st = ot_executor_run(r->e, r->feed);
    return op_say(row, st == OT_OK, "gradients of subset %x in %s%s: %s", subset, ot_dtype_name(real),
                  symbolic ? " over symbols" : "", ot_last_error());
}

static double loss_of(op_rig *forward, const ot_tensor *weight)
{
    double sum = 0;
    int n = 0, at = 0;
    if (!CHECK_OK(ot_executor_run(forward->e, forward->feed)))
        return 0;
    for (int i = 0; i < forward->n_out; i++) {
        if (forward->row->skip_out[i])
            continue;
        const ot_tensor *y = ot_executor_output(forward->e, at++);
        if (!op_is_real(y->dtype))
            continue;
        for (int64_t k = 0, m = ot_tensor_count(y); k < m; k++)
            sum += ot_tensor_get(y, k) * ot_tensor_get(&weight[n], k);
        n++;
    }
    return sum;
}

/* Central differences of the loss for input i into a new double tensor. */
static void differences(ot_tensor *out, op_rig *forward, const ot_tensor *weight, int i)
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

static void check_subset(const op_case *row, const op_rig *forward, uint32_t subset, const ot_tensor *want, bool all)
{
    op_rig r, s;
    bool ok = run_gradients(&r, row, forward, OT_DOUBLE, 1, subset, false);
    for (int i = 0, at = 0; ok && i < OP_MAX_IN; i++)
        if (subset >> i & 1) {
            char what[64];
            snprintf(what, sizeof(what), "gradient of input %d, subset %x", i, subset);
            op_check_close(row, &want[i], ot_executor_output(r.e, at++), 1e-7, what);
        }
    if (ok && all && run_gradients(&s, row, forward, OT_FLOAT, 1, subset, false)) {
        op_rig t;
        bool three = run_gradients(&t, row, forward, OT_FLOAT, 3, subset, false);
        for (int64_t i = 0; i < __builtin_popcount(subset); i++) {
            op_check_close(row, ot_executor_output(r.e, i), ot_executor_output(s.e, i),
                           row->tolerance > 0 ? 4 * row->tolerance : 1e-5, "float32 gradient");
            if (three)
                op_check_same_bits(row, ot_executor_output(s.e, i), ot_executor_output(t.e, i), "gradient, 3 threads");
        }
        op_rig_close(&t);
    }
    if (ok && all)
        op_rig_close(&s);
    if (ok && all && !row->no_symbols) {
        if (run_gradients(&s, row, forward, OT_DOUBLE, 1, subset, true))
            for (int64_t i = 0; i < __builtin_popcount(subset); i++)
                op_check_close(row, ot_executor_output(r.e, i), ot_executor_output(s.e, i), 1e-13, "gradient, symbols");
        op_rig_close(&s);
    }
    op_rig_close(&r);
}

void op_check_gradients(const op_case *row)
{
    op_rig forward, weights = { 0 };
    ot_tensor want[OP_MAX_IN] = { 0 };
    uint32_t all = 0;
    for (int i = 0; i < OP_MAX_IN; i++)
        all |= row->in[i].dtype == OT_FLOAT && row->in[i].grad ? 1u << i : 0;
    if (!all)
        return;
    if (op_rig_forward(&forward, row, OT_DOUBLE, 1, false) && CHECK_OK(make_weights(&weights, &forward, OT_DOUBLE))) {
        for (int i = 0; i < forward.n_in; i++)
            if (all >> i & 1)
                differences(&want[i], &forward, weights.weight, i);
        CHECK_OK(ot_executor_run(forward.e, forward.feed)); /* the last difference is forgotten */
        for (uint32_t subset = all; subset; subset = (subset - 1) & all)
            check_subset(row, &forward, subset, want, subset == all);
    }
    for (int i = 0; i < OP_MAX_IN; i++)
        ot_tensor_release(&want[i]);
    op_rig_close(&weights);
    op_rig_close(&forward);
}

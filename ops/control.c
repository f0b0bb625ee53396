/* If and Loop: graphs that run by what data says.  No gradients. */
#include "boxes.h"

#include <string.h>

/* ---- If -------------------------------------------------------------------------------------------------------- */

static ot_status if_infer(ot_infer *c)
{
    ot_graph *branch[] = { ot_body(c->node, "then_branch"), ot_body(c->node, "else_branch") };
    for (int k = 0; k < 2; k++)
        if (!branch[k] || ot_body_outputs(branch[k]) < c->n_out)
            return ot_fail(OT_EMODEL, "%d outputs, the %s branch has %d", c->n_out, k ? "else" : "then",
                           branch[k] ? ot_body_outputs(branch[k]) : 0);
    if (c->x[0]->kind != OT_TENSOR || c->x[0]->dtype != OT_BOOL)
        return ot_fail(OT_EMODEL, "the condition is no bool");
    for (int i = 0; i < c->n_out; i++) {
        ot_fact a, b;
        OT_TRY(ot_body_output(c, &a, branch[0], i));
        OT_TRY(ot_body_output(c, &b, branch[1], i));
        ot_status st = ot_fact_merge(c, &c->y[i], &a, &b);
        if (st != OT_OK)
            return ot_context(st, "output %d of the branches", i);
    }
    return OT_OK;
}

static ot_status if_flow(const ot_flow *f)
{
    int64_t yes;
    OT_TRY(ot_flow_scalar(&yes, f, 0, 0));
    const ot_graph *then = ot_body(f->node, "then_branch"), *other = ot_body(f->node, "else_branch");
    const ot_graph *body = yes ? then : other;
    int n = ot_body_outputs(body);
    ot_box **out = ot_calloc((size_t)n + 1, sizeof(*out));
    if (!out)
        return OT_ENOMEM;
    ot_status st = ot_flow_call(f, body, f->x + 1 + (yes ? 0 : ot_body_captures(then)), out);
    for (int i = 0; i < n && st == OT_OK; i++) {
        if (i < f->n_out)
            f->y[i] = out[i];
        else
            ot_box_drop(out[i]);
    }
    ot_free(out);
    return st;
}

const ot_op ot_op_If = {
    .domain = "",
    .name = "If",
    .since = 1,
    .until = OT_LATEST,
    .min_in = 1,
    .max_in = OT_MANY,
    .min_out = 1,
    .max_out = OT_MANY,
    .infer = if_infer,
    .flow = if_flow,
};

/* ---- Loop ------------------------------------------------------------------------------------------------------ */

/* How often a loop runs where that is certain, else an unknown: the condition stays true. */
static ot_dim trips_of(ot_infer *c, const ot_graph *body)
{
    const ot_fact *m = c->x[0], *start = c->x[1], *more = ot_body_gives(body, 0);
    bool starts = !start || (start->n_value == 1 && start->value[0] == 1);
    if (start && start->n_value == 1 && start->value[0] == 0)
        return 0;
    if (!m || m->n_value != 1 || ot_is_symbol(m->value[0]) || !starts || more->n_value != 1 || more->value[0] != 1)
        return ot_dim_unknown(c);
    return m->value[0] < 0 ? 0 : m->value[0];
}

static ot_status loop_infer(ot_infer *c)
{
    ot_graph *body = ot_body(c->node, "body");
    if (!body)
        return ot_fail(OT_EMODEL, "a Loop has a body");
    int carried = ot_body_own(body) - 2, outputs = ot_body_outputs(body) - 1;
    if (c->n_out > outputs || carried < 0)
        return ot_fail(OT_EMODEL, "%d outputs, the body gives %d", c->n_out, outputs);
    if (c->x[0] && (c->x[0]->kind != OT_TENSOR || c->x[0]->dtype != OT_INT64))
        return ot_fail(OT_EMODEL, "the trip count is no int64");
    if (c->x[1] && (c->x[1]->kind != OT_TENSOR || c->x[1]->dtype != OT_BOOL))
        return ot_fail(OT_EMODEL, "the condition is no bool");
    ot_dim trips = c->n_out > carried ? trips_of(c, body) : 0;
    for (int i = 0; i < c->n_out; i++) {
        ot_fact *y = &c->y[i];
        if (i < carried && ot_body_takes(body, 2 + i)->kind == ot_body_gives(body, 1 + i)->kind) {
            OT_TRY(ot_body_input(c, y, body, 2 + i));
            continue;
        }
        OT_TRY(ot_body_output(c, y, body, 1 + i));
        if (i < carried)
            continue;
        if (y->kind != OT_TENSOR || y->rank == OT_MAX_RANK)
            return ot_fail(OT_EUNSUPPORTED, "what the body gives as output %d cannot be stacked", 1 + i);
        for (int d = y->rank; d > 0; d--)
            y->dim[d] = y->dim[d - 1];
        if (y->rank >= 0) {
            y->dim[0] = trips;
            y->rank++;
        }
    }
    return OT_OK;
}

typedef struct loop {
    const ot_flow *f;
    const ot_graph *body;
    int carried, stacked;
    ot_box **in, **out; /* of the body; in: what is behind the carried values is the node's */
    ot_box_list *list;  /* by stacked output: what the trips gave */
} loop;

static ot_box *scalar_box(const loop *l, int i, int64_t v)
{
    const ot_fact *f = ot_body_takes(l->body, i);
    ot_box *b = ot_box_tensor(l->f, f->dtype, f->rank, f->dim);
    if (b)
        ot_tensor_set_int(&b->tensor, 0, v);
    return b;
}

static ot_status trip(loop *l, int64_t index, bool *more)
{
    OT_TRY(ot_flow_trip(l->f));
    for (int i = 0; i < 2; i++) {
        ot_box_drop(l->in[i]);
        l->in[i] = scalar_box(l, i, i ? 1 : index);
        if (!l->in[i])
            return OT_ENOMEM;
    }
    OT_TRY(ot_flow_call(l->f, l->body, l->in, l->out));
    const ot_box *cond = l->out[0];
    bool good = cond->kind == OT_TENSOR && cond->tensor.dtype == OT_BOOL && ot_tensor_count(&cond->tensor) == 1;
    *more = good && ot_tensor_get_int(&cond->tensor, 0);
    ot_box_drop(l->out[0]);
    ot_status st = good ? OT_OK : ot_fail(OT_EMODEL, "the body's condition is not one bool");
    for (int i = 0; i < l->carried; i++) {
        ot_box_drop(l->in[2 + i]);
        l->in[2 + i] = l->out[1 + i];
    }
    for (int i = 0; i < l->stacked; i++) {
        ot_status added = ot_list_add(&l->list[i], l->out[1 + l->carried + i]);
        st = st == OT_OK ? added : st;
    }
    return st;
}

/* A loop that made no trip: what is not known of the dims is 0. */
static ot_status nothing(ot_box **out, const loop *l, int i)
{
    const ot_fact *f = ot_body_gives(l->body, 1 + l->carried + i);
    int64_t dim[OT_MAX_RANK] = { 0 };
    for (int d = 0; d + 1 < OT_MAX_RANK && d < f->rank; d++)
        dim[d + 1] = ot_is_symbol(f->dim[d]) ? 0 : f->dim[d];
    if (f->dtype == OT_UNDEFINED)
        return ot_fail(OT_EMODEL, "the type of output %d is not known", l->carried + i);
    *out = ot_box_tensor(l->f, f->dtype, f->rank < 0 ? 1 : f->rank + 1, dim);
    return *out ? OT_OK : OT_ENOMEM;
}

static ot_status run_loop(loop *l)
{
    const ot_flow *f = l->f;
    int64_t most, more;
    OT_TRY(ot_flow_scalar(&most, f, 0, INT64_MAX));
    OT_TRY(ot_flow_scalar(&more, f, 1, 1));
    bool on = more != 0;
    for (int64_t i = 0; i < most && on; i++) {
        ot_status st = trip(l, i, &on);
        if (st != OT_OK)
            return ot_context(st, "trip %lld", (long long)i);
    }
    for (int i = 0; i < f->n_out && i < l->carried; i++)
        f->y[i] = ot_box_share(l->in[2 + i]);
    for (int i = 0; i + l->carried < f->n_out; i++) {
        ot_box **y = &f->y[l->carried + i];
        OT_TRY(l->list[i].n ? ot_join(y, f, l->list[i].n, l->list[i].box, 0, true, false) : nothing(y, l, i));
    }
    return OT_OK;
}

static ot_status loop_flow(const ot_flow *f)
{
    loop l = { .f = f, .body = ot_body(f->node, "body") };
    l.carried = ot_body_own(l.body) - 2;
    l.stacked = ot_body_outputs(l.body) - 1 - l.carried;
    l.in = ot_calloc((size_t)f->n_in + 1, sizeof(*l.in));
    l.out = ot_calloc((size_t)ot_body_outputs(l.body) + 1, sizeof(*l.out));
    l.list = ot_calloc((size_t)l.stacked + 1, sizeof(*l.list));
    ot_status st = l.in && l.out && l.list ? OT_OK : OT_ENOMEM;
    for (int i = 2; i < f->n_in && st == OT_OK; i++)
        l.in[i] = ot_box_share(f->x[i]);
    if (st == OT_OK)
        st = run_loop(&l);
    for (int i = 0; i < f->n_in && l.in; i++)
        ot_box_drop(l.in[i]);
    for (int i = 0; i < l.stacked && l.list; i++)
        ot_list_drop(&l.list[i]);
    ot_free(l.in);
    ot_free(l.out);
    ot_free(l.list);
    return st;
}

const ot_op ot_op_Loop = {
    .domain = "",
    .name = "Loop",
    .since = 1,
    .until = OT_LATEST,
    .min_in = 0, /* its first two may be absent */
    .max_in = OT_MANY,
    .min_out = 1,
    .max_out = OT_MANY,
    .infer = loop_infer,
    .flow = loop_flow,
};

/* SequenceMap: a body for each item.  No gradient. */
#include "boxes.h"

static ot_status map_infer(ot_infer *c)
{
    ot_graph *body = ot_body(c->node, "body");
    if (!body || c->n_out > ot_body_outputs(body))
        return ot_fail(OT_EMODEL, "%d outputs, the body has %d", c->n_out, body ? ot_body_outputs(body) : 0);
    if (c->x[0]->kind != OT_SEQUENCE)
        return ot_fail(OT_EMODEL, "input 0 is no sequence");
    for (int i = 0; i < c->n_out; i++) {
        ot_fact *e = ot_arena_calloc(c->arena, 1, sizeof(*e));
        if (!e)
            return OT_ENOMEM;
        OT_TRY(ot_body_output(c, e, body, i));
        if (e->kind != OT_TENSOR)
            return ot_fail(OT_EMODEL, "output %d of the body is no tensor", i);
        c->y[i] = (ot_fact){ .kind = OT_SEQUENCE, .rank = -1, .element = e };
    }
    return OT_OK;
}

static ot_status run_item(const ot_flow *f, const ot_graph *body, int64_t at, ot_box **in, ot_box **out,
                          ot_box_list *list)
{
    OT_TRY(ot_flow_trip(f));
    for (int i = 0; i < f->n_in; i++) {
        ot_box *x = f->x[i];
        bool item = i < ot_body_own(body) && x && x->kind == OT_SEQUENCE;
        if (item && x->n != f->x[0]->n)
            return ot_fail(OT_ESHAPE, "input %d has %lld items, input 0 has %lld", i, (long long)x->n,
                           (long long)f->x[0]->n);
        in[i] = item ? x->item[at] : x;
    }
    OT_TRY(ot_flow_call(f, body, in, out));
    ot_status st = OT_OK;
    for (int i = 0; i < ot_body_outputs(body); i++) {
        ot_status added = ot_list_add(&list[i], out[i]);
        st = st == OT_OK ? added : st;
    }
    return st;
}

static ot_status map_flow(const ot_flow *f)
{
    const ot_graph *body = ot_body(f->node, "body");
    int n = ot_body_outputs(body);
    if (f->x[0]->kind != OT_SEQUENCE)
        return ot_fail(OT_EMODEL, "input 0 is no sequence");
    ot_box **in = ot_calloc((size_t)f->n_in + 1, sizeof(*in)), **out = ot_calloc((size_t)n + 1, sizeof(*out));
    ot_box_list *list = ot_calloc((size_t)n + 1, sizeof(*list));
    ot_status st = in && out && list ? OT_OK : OT_ENOMEM;
    for (int64_t i = 0; i < f->x[0]->n && st == OT_OK; i++) {
        st = run_item(f, body, i, in, out, list);
        if (st != OT_OK)
            st = ot_context(st, "item %lld", (long long)i);
    }
    for (int i = 0; i < f->n_out && st == OT_OK; i++) {
        f->y[i] = ot_box_items(f, OT_SEQUENCE, OT_TENSOR, list[i].n, list[i].box);
        st = f->y[i] ? OT_OK : OT_ENOMEM;
    }
    for (int i = 0; i < n && list; i++)
        ot_list_drop(&list[i]);
    ot_free(in);
    ot_free(out);
    ot_free(list);
    return st;
}

const ot_op ot_op_SequenceMap = {
    .domain = "",
    .name = "SequenceMap",
    .since = 17,
    .until = OT_LATEST,
    .min_in = 1,
    .max_in = OT_MANY,
    .min_out = 1,
    .max_out = OT_MANY,
    .infer = map_infer,
    .flow = map_flow,
};

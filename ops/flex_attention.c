/* FlexAttention: Y = prob_mod(softmax(score_mod(Q K' scale))) V for each batch index and head; a group of heads of Q
 * shares a head of K and V.  The attributes score_mod and prob_mod are graphs from [batch, heads, steps, keys] to the
 * same, of the type that softmax_precision says (double for double, else float32, where it is absent); their nodes
 * stand between those of this composite. */
#include "attention.h"

static ot_status check(const ot_build *b)
{
    for (int i = 0; i < 3; i++)
        if (ot_x(b, i) == OT_NONE || ot_fact_of(b, ot_x(b, i))->rank != 4)
            return ot_fail(OT_ESHAPE, "Q, K and V must have a known rank of 4");
    const ot_fact *q = ot_fact_of(b, ot_x(b, 0)), *k = ot_fact_of(b, ot_x(b, 1)), *v = ot_fact_of(b, ot_x(b, 2));
    ot_dim d;
    if (q->dtype != k->dtype || q->dtype != v->dtype || !ot_dtype_is_float(q->dtype))
        return ot_fail(OT_ESHAPE, "Q is %s, K %s and V %s", ot_dtype_name(q->dtype), ot_dtype_name(k->dtype),
                       ot_dtype_name(v->dtype));
    OT_TRY(ot_dims_agree(&d, q->dim[0], k->dim[0], "batches of Q and K"));
    OT_TRY(ot_dims_agree(&d, q->dim[0], v->dim[0], "batches of Q and V"));
    OT_TRY(ot_dims_agree(&d, q->dim[3], k->dim[3], "head sizes of Q and K"));
    OT_TRY(ot_dims_agree(&d, k->dim[1], v->dim[1], "heads of K and V"));
    OT_TRY(ot_dims_agree(&d, k->dim[2], v->dim[2], "steps of K and V"));
    const ot_dtype precision = (ot_dtype)ot_attr_int(ot_the_node(b), "softmax_precision", OT_FLOAT);
    if (!ot_dtype_is_float(precision))
        return ot_fail(OT_EMODEL, "softmax_precision is %s", ot_dtype_name(precision));
    return OT_OK;
}

/* v after the graph `name` of the node, where it has one; type and dims stay. */
static ot_val modified(ot_build *b, const char *name, ot_val v)
{
    ot_val y;
    ot_dim d;
    if (!ot_emit_body(b, name, 1, &v, 1, &y) || y == OT_NONE)
        return v;
    const ot_fact *was = ot_fact_of(b, v), *is = ot_fact_of(b, y);
    ot_status st = OT_OK;
    if (is->kind != OT_TENSOR || is->dtype != was->dtype || is->rank != was->rank)
        st = ot_fail(OT_EMODEL, "%s makes %s of rank %d of %s of rank %d", name, ot_dtype_name(is->dtype), is->rank,
                     ot_dtype_name(was->dtype), was->rank);
    for (int i = 0; i < was->rank && st == OT_OK; i++)
        st = ot_dims_agree(&d, was->dim[i], is->dim[i], name);
    ot_build_fail(b, st);
    return y;
}

static void compose(ot_build *b)
{
    const ot_status st = check(b);
    if (st != OT_OK) {
        ot_build_fail(b, st);
        return;
    }
    const ot_val q = ot_x(b, 0), v = ot_x(b, 2);
    const ot_dtype type = ot_fact_of(b, q)->dtype;
    const ot_dtype precision =
        (ot_dtype)ot_attr_int(ot_the_node(b), "softmax_precision", type == OT_DOUBLE ? OT_DOUBLE : OT_FLOAT);
    ot_val s = modified(b, "score_mod", ot_as_type(b, ot_attention_scores(b, q, ot_x(b, 1)), precision));
    s = modified(b, "prob_mod", OT_EMIT_WITH(b, "Softmax", OT_ATTRS(OT_INT("axis", -1)), s));
    ot_becomes(b, 0, ot_attention_sums(b, ot_as_type(b, s, type), q, v));
}

const ot_op ot_op_FlexAttention = { .domain = "ai.onnx.preview",
                                    .name = "FlexAttention",
                                    .since = 1,
                                    .until = 1,
                                    .min_in = 3,
                                    .max_in = 3,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .compose = compose };

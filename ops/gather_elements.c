/* GatherElements: y[.., k, ..] = x[.., indices[.., k, ..], ..], the index replacing the one along `axis`.
 * GatherND: every tuple of indices picks an element or a slice of x, behind `batch_dims` dims that both share.
 * Negative indices count from the end.  Backward reads the indices, of x only the shape; what is picked several times
 * gets the sum in the order of the indices: GatherElements by ScatterElements, and
 * GatherNDGrad: (dy, x, indices) -> zeros of x's shape with every dy added where it came from. */
#include "known.h"
#include "scatter.h"

#include <string.h>

/* ---- GatherElements ------------------------------------------------------------------------------------------------
 */

static ot_status elements_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_tensor from, indices, to;
    ot_picks p;
    int axis;
    if (ot_open_rank(c, -1))
        return ot_open_like(c, 1);
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", 0), x->rank));
    OT_TRY(ot_check_elements(c, 1, x, axis));
    ot_set_shape(&c->y[0], x->dtype, x->rank, c->x[1]->dim);
    if (!ot_known_view(c, 0, &from) || !ot_known_numbers(c, 1, &indices) || !ot_value_room(c, &to))
        return OT_OK;
    OT_TRY(ot_pick_elements(&p, &from, &indices, axis));
    ot_gather_picks(NULL, &p, &from, &to);
    ot_hand_on(c, &to);
    return OT_OK;
}

static ot_status elements_run(const ot_run *r)
{
    ot_picks p;
    int axis;
    OT_TRY(ot_axis(&axis, ot_attr_int(r->node, "axis", 0), r->x[0].rank));
    OT_TRY(ot_pick_elements(&p, &r->x[0], &r->x[1], axis));
    ot_gather_picks(r, &p, &r->x[0], &r->y[0]);
    return OT_OK;
}

static void elements_differentiate(ot_build *b)
{
    int64_t axis = ot_attr_int(ot_the_node(b), "axis", 0);
    ot_val zeros = OT_EMIT(b, "ZerosLike", ot_x(b, 0));
    ot_give(b, 0,
            OT_EMIT_WITH(b, "ScatterElements", OT_ATTRS(OT_INT("axis", axis), OT_TEXT("reduction", "add")), zeros,
                         ot_x(b, 1), ot_dy(b, 0)));
}

/* ---- GatherND ------------------------------------------------------------------------------------------------------
 */

static int batch_of(const ot_node *n)
{
    int64_t v = ot_attr_int(n, "batch_dims", 0);
    return v < 0 || v > OT_MAX_RANK ? -1 : (int)v;
}

static ot_status tuples_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0], *i = c->x[1];
    ot_dim dim[2 * OT_MAX_RANK];
    ot_tensor from, indices, to;
    ot_picks p;
    int batch = batch_of(c->node), rank = 0;
    c->y[0].dtype = x->dtype;
    if (ot_open_rank(c, -1))
        return OT_OK;
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_check_tuples(c, 1, x, batch));
    if (ot_is_symbol(i->dim[i->rank - 1]))
        return OT_OK;
    for (int d = 0; d < i->rank - 1; d++)
        dim[rank++] = i->dim[d];
    for (int d = batch + (int)i->dim[i->rank - 1]; d < x->rank; d++)
        dim[rank++] = x->dim[d];
    if (rank > OT_MAX_RANK)
        return ot_fail(OT_EUNSUPPORTED, "rank %d; the most is %d", rank, OT_MAX_RANK);
    for (int d = 0; d < batch; d++)
        OT_TRY(ot_dims_agree(&dim[d], i->dim[d], x->dim[d], "a batch dimension"));
    ot_set_shape(&c->y[0], x->dtype, rank, dim);
    if (!ot_known_view(c, 0, &from) || !ot_known_numbers(c, 1, &indices) || !ot_value_room(c, &to))
        return OT_OK;
    OT_TRY(ot_pick_tuples(&p, &from, &indices, batch));
    ot_gather_picks(NULL, &p, &from, &to);
    ot_hand_on(c, &to);
    return OT_OK;
}

static ot_status tuples_run(const ot_run *r)
{
    ot_picks p;
    OT_TRY(ot_pick_tuples(&p, &r->x[0], &r->x[1], batch_of(r->node)));
    if (ot_tensor_count(&r->y[0]))
        ot_gather_picks(r, &p, &r->x[0], &r->y[0]);
    return OT_OK;
}

static void tuples_differentiate(ot_build *b)
{
    ot_give(b, 0,
            OT_EMIT_WITH(b, "GatherNDGrad", OT_ATTRS(OT_INT("batch_dims", batch_of(ot_the_node(b)))), ot_dy(b, 0),
                         ot_x(b, 0), ot_x(b, 1)));
}

/* ---- GatherNDGrad --------------------------------------------------------------------------------------------------
 */

static ot_status grad_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 1, 1, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_check_tuples(c, 2, c->x[1], batch_of(c->node)));
    return ot_like_shape(c);
}

static ot_status grad_run(const ot_run *r)
{
    ot_picks p;
    OT_TRY(ot_pick_tuples(&p, &r->y[0], &r->x[2], batch_of(r->node)));
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    ot_scatter(r, &p, &r->x[0], &r->y[0], OT_PLUS);
    return OT_OK;
}

static void grad_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "GatherND", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 2)));
}

/* ---- Registration --------------------------------------------------------------------------------------------------
 */

static const ot_kernel elements_kernels[] = { { .name = "copy", .run = elements_run }, { 0 } };
static const ot_kernel tuples_kernels[] = { { .name = "copy", .run = tuples_run }, { 0 } };
static const ot_kernel grad_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = grad_run },
    { .name = "reference", .run = grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_GatherElements = { .domain = "",
                                     .name = "GatherElements",
                                     .since = 11,
                                     .until = OT_LATEST,
                                     .min_in = 2,
                                     .max_in = 2,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = elements_infer,
                                     .grad = elements_differentiate,
                                     .cpu = elements_kernels };

const ot_op ot_op_GatherND = { .domain = "",
                               .name = "GatherND",
                               .since = 11,
                               .until = OT_LATEST,
                               .min_in = 2,
                               .max_in = 2,
                               .min_out = 1,
                               .max_out = 1,
                               .infer = tuples_infer,
                               .grad = tuples_differentiate,
                               .cpu = tuples_kernels };

const ot_op ot_op_GatherNDGrad = { .domain = OT_INTERNAL,
                                   .name = "GatherNDGrad",
                                   .since = 1,
                                   .until = 1,
                                   .min_in = 3,
                                   .max_in = 3,
                                   .min_out = 1,
                                   .max_out = 1,
                                   .infer = grad_infer,
                                   .grad = grad_differentiate,
                                   .cpu = grad_kernels,
                                   .shape_only = 1u << 1 };

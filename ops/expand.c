/* Expand: (x, shape) -> x broadcast to the shape (both ways: a 1 in the shape keeps x's dimension).
 * ExpandLike: (x, like) -> x broadcast to the dims of like, of which only the shape is read; the adjoint of SumTo.
 * Backward of both sums to x's shape and reads no data. */
#include "strided.h"

static ot_status expand_infer(ot_infer *c)
{
    const ot_fact *shape = c->x[1];
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, 1, 1));
    if (shape->dtype != OT_INT64)
        return ot_fail(OT_ESHAPE, "the shape is %s, wanted is int64", ot_dtype_name(shape->dtype));
    ot_fact want = { .kind = OT_TENSOR };
    ot_dim dim[OT_MAX_RANK];
    int rank;
    c->y[0].dtype = c->x[0]->dtype;
    if (ot_is_symbol(shape->dim[0]))
        return OT_OK;
    if (shape->dim[0] > OT_MAX_RANK)
        return ot_fail(OT_ESHAPE, "a shape of %lld dimensions; the most are %d", (long long)shape->dim[0], OT_MAX_RANK);
    want.rank = (int)shape->dim[0];
    for (int i = 0; i < want.rank; i++) {
        want.dim[i] = shape->value ? shape->value[i] : ot_dim_unknown(c);
        if (want.dim[i] < 0 && !ot_is_symbol(want.dim[i]))
            return ot_fail(OT_ESHAPE, "dimension %d of the shape is %lld", i, (long long)want.dim[i]);
    }
    OT_TRY(ot_broadcast_dims(c, &rank, dim, c->x[0], &want));
    ot_set_shape(&c->y[0], c->x[0]->dtype, rank, dim);
    return OT_OK;
}

static ot_status expand_like_infer(ot_infer *c)
{
    ot_dim dim[OT_MAX_RANK];
    int rank;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, c->x[0]->rank, OT_MAX_RANK));
    OT_TRY(ot_broadcast_dims(c, &rank, dim, c->x[0], c->x[1]));
    for (int i = 0; i < rank; i++)
        OT_TRY(ot_dims_agree(&dim[i], c->x[1]->dim[i], dim[i], "ExpandLike"));
    ot_set_shape(&c->y[0], c->x[0]->dtype, rank, dim);
    return OT_OK;
}

static ot_status expand_run(const ot_run *r)
{
    ot_walk w = ot_walk_into(&r->y[0], &r->x[0]);
    ot_broadcast_strides(w.from_stride, &r->x[0], &r->y[0]);
    ot_walk_copy(r, &w);
    return OT_OK;
}

static void expand_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "SumTo", ot_dy(b, 0), ot_x(b, 0)));
}

static const ot_kernel expand_kernels[] = {
    { .name = "strided", .run = expand_run, .in_bytes = true },
    { 0 },
};

const ot_op ot_op_Expand = { .domain = "",
                             .name = "Expand",
                             .since = 8,
                             .until = OT_LATEST,
                             .min_in = 2,
                             .max_in = 2,
                             .min_out = 1,
                             .max_out = 1,
                             .infer = expand_infer,
                             .grad = expand_differentiate,
                             .cpu = expand_kernels,
                             .view = ot_view_same_dims,
                             .shape_only = 1u << 1 };

const ot_op ot_op_ExpandLike = { .domain = OT_INTERNAL,
                                 .name = "ExpandLike",
                                 .since = 1,
                                 .until = 1,
                                 .min_in = 2,
                                 .max_in = 2,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = expand_like_infer,
                                 .grad = expand_differentiate,
                                 .cpu = expand_kernels,
                                 .view = ot_view_same_dims,
                                 .shape_only = 1u << 1 };

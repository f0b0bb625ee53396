/* CenterCropPad: (x, shape) -> x cut, or surrounded by zeros, to the shape along `axes` (all of them), its centre kept:
 * half of the difference, rounded down, lies before it.  Backward reads shapes alone: CenterCropPadLike: (dy, like) ->
 * dy cut or surrounded to the dims of like. */
#include "axes.h"
#include "known.h"
#include "strided.h"

#include <string.h>

static ot_status crop_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_dim dim[OT_MAX_RANK], want[OT_MAX_RANK];
    int n, count;
    bool seen[OT_MAX_RANK] = { 0 };
    const int64_t *axes = ot_attr_ints(c->node, "axes", &count);
    if (ot_open_rank(c, 0))
        return ot_open_like(c, 0);
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    count = axes ? count : x->rank;
    n = -1;
    if (!ot_open_rank(c, 1)) {
        OT_TRY(ot_rank_between(c, 1, 1, 1));
        OT_TRY(ot_known_ints(c, 1, OT_MAX_RANK, want, &n));
    }
    if (c->x[1]->rank == 1 && !ot_is_symbol(c->x[1]->dim[0]) && c->x[1]->dim[0] != count)
        return ot_fail(OT_ESHAPE, "%lld sizes for %d axes", (long long)c->x[1]->dim[0], count);
    memcpy(dim, x->dim, sizeof(dim));
    for (int k = 0; k < count; k++) {
        int d = k;
        if (axes)
            OT_TRY(ot_axis(&d, axes[k], x->rank));
        if (seen[d])
            return ot_fail(OT_EMODEL, "axis %d is there twice", d);
        seen[d] = true;
        dim[d] = n < 0 ? ot_dim_unknown(c) : want[k];
        if (dim[d] < 0 && !ot_is_symbol(dim[d]))
            return ot_fail(OT_ESHAPE, "the size of axis %d is %lld", d, (long long)dim[d]);
    }
    ot_set_shape(&c->y[0], x->dtype, x->rank, dim);
    return OT_OK;
}

static ot_status like_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, c->x[0]->rank, c->x[0]->rank));
    return ot_like_shape(c);
}

static ot_status crop_run(const ot_run *r)
{
    const ot_tensor *x = &r->x[0], *y = &r->y[0];
    ot_walk w = ot_walk_into(y, x);
    bool pads = false;
    ot_dense_strides(w.from_stride, x->rank, x->dim);
    for (int d = 0; d < x->rank; d++) {
        int64_t more = y->dim[d] - x->dim[d];
        w.dim[d] = more > 0 ? x->dim[d] : y->dim[d];
        w.from_at += more < 0 ? -more / 2 * w.from_stride[d] : 0;
        w.to_at += more > 0 ? more / 2 * w.to_stride[d] : 0;
        pads |= more > 0;
    }
    if (pads)
        memset(y->data, 0, ot_tensor_bytes(y));
    ot_walk_copy(r, &w);
    return OT_OK;
}

static void crop_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "CenterCropPadLike", ot_dy(b, 0), ot_x(b, 0)));
}

static const ot_kernel crop_kernels[] = { { .name = "strided", .run = crop_run }, { 0 } };

#define CROPS(id, of_domain, first, last, rule)                                                                        \
    const ot_op ot_op_##id = { .domain = of_domain,                                                                    \
                               .name = #id,                                                                            \
                               .since = first,                                                                         \
                               .until = last,                                                                          \
                               .min_in = 2,                                                                            \
                               .max_in = 2,                                                                            \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .infer = rule,                                                                          \
                               .grad = crop_differentiate,                                                             \
                               .cpu = crop_kernels,                                                                    \
                               .view = ot_view_same_dims,                                                              \
                               .shape_only = 1u << 1 };

CROPS(CenterCropPad, "", 18, OT_LATEST, crop_infer)
CROPS(CenterCropPadLike, OT_INTERNAL, 1, 1, like_infer)

/* ArgMax, ArgMin: the index of the largest or smallest element along an axis, as int64; the first of equals, or the
 * last with select_last_index.  No gradient. */
#include "run.h"

static ot_status arg_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_dim dim[OT_MAX_RANK];
    int axis, rank = 0;
    bool keep = ot_attr_int(c->node, "keepdims", 1) != 0;
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    if (!(ot_dtype_is_int(x->dtype) && ot_dtype_bits(x->dtype) >= 8))
        OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", 0), x->rank));
    if (x->dim[axis] == 0)
        return ot_fail(OT_ESHAPE, "axis %d is empty", axis);
    for (int d = 0; d < x->rank; d++)
        if (d != axis || keep)
            dim[rank++] = d == axis ? 1 : x->dim[d];
    ot_set_shape(&c->y[0], OT_INT64, rank, dim);
    return OT_OK;
}

static void arg_range(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const ot_tensor *x = &r->x[0];
    int axis = (int)ot_attr_int(r->node, "axis", 0);
    axis = axis < 0 ? axis + x->rank : axis;
    bool least = r->node->op->name[3] == 'M' && r->node->op->name[4] == 'i';
    bool last = ot_attr_int(r->node, "select_last_index", 0) != 0, is_int = ot_dtype_is_int(x->dtype);
    int64_t inner = 1, n = x->dim[axis];
    for (int d = axis + 1; d < x->rank; d++)
        inner *= x->dim[d];
    for (int64_t i = from; i < to; i++) {
        int64_t base = i / inner * n * inner + i % inner, best = 0;
        for (int64_t k = 1; k < n; k++) {
            int64_t p = base + k * inner, q = base + best * inner;
            bool more, same;
            if (is_int) {
                int64_t v = ot_tensor_get_int(x, p), w = ot_tensor_get_int(x, q);
                bool above = x->dtype == OT_UINT64 ? (uint64_t)v > (uint64_t)w : v > w;
                same = v == w;
                more = least ? !above && !same : above;
            } else {
                double v = x->dtype == OT_FLOAT ? ((const float *)x->data)[p] : ot_tensor_get(x, p);
                double w = x->dtype == OT_FLOAT ? ((const float *)x->data)[q] : ot_tensor_get(x, q);
                same = v == w;
                more = (least ? v < w : v > w) || (v != v && w == w); /* NaN wins, as in numpy */
            }
            if (more || (last && same))
                best = k;
        }
        ((int64_t *)r->y[0].data)[i] = best;
    }
}

static ot_status arg_run(const ot_run *r)
{
    int64_t n = ot_tensor_count(&r->y[0]), each = n ? ot_tensor_count(&r->x[0]) / n : 1;
    ot_for_ranges(r, n, each < OT_GRAIN ? OT_GRAIN / (each + 1) + 1 : 1, arg_range, (void *)r);
    return OT_OK;
}

static const ot_kernel arg_kernels[] = {
    { .name = "loop", .run = arg_run },
    { 0 },
};

#define ARG(id)                                                                                                        \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = 1,                                                                             \
                               .until = OT_LATEST,                                                                     \
                               .min_in = 1,                                                                            \
                               .max_in = 1,                                                                            \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .infer = arg_infer,                                                                     \
                               .grad = ot_grad_none,                                                                   \
                               .cpu = arg_kernels };

ARG(ArgMax)
ARG(ArgMin)

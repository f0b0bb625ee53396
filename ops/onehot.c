/* OneHot: (indices, depth, [off, on]) -> a new axis of `depth` elements, `on` where it is the index, else `off`.
 * Negative indices count from the end since opset 11; those outside give `off` everywhere.  Float indices are cut.
 * Backward reads the indices: the gradients of off and on are the sums of dy over their places. */
#include "known.h"
#include "run.h"

#include <string.h>

static ot_status is_number(const ot_infer *c, int i)
{
    ot_dtype t = c->x[i]->dtype;
    return ot_dtype_is_int(t) && ot_dtype_size(t) ? OT_OK : ot_needs_float(c, i);
}

static bool wraps_of(const ot_node *n) /* the attribute is ours: for a gradient, which is emitted as of today */
{
    return n->opset >= 11 && ot_attr_int(n, "wrap", 1) != 0;
}

/* Where index i points; -1: nowhere. */
static int64_t place(bool wraps, const ot_tensor *indices, int64_t i, int64_t depth)
{
    int64_t v;
    if (ot_dtype_is_float(indices->dtype)) {
        double d = ot_tensor_get(indices, i);
        v = d > -0x1p62 && d < 0x1p62 ? (int64_t)d : -1 - depth;
    } else {
        v = ot_tensor_get_int(indices, i);
        if (indices->dtype == OT_UINT64 && v < 0)
            return -1;
    }
    if (v < 0)
        v = !wraps || v < -depth ? -1 : v + depth;
    return v < depth ? v : -1;
}

static void hot_value(ot_infer *c, int axis)
{
    ot_tensor indices, two, y;
    bool wraps = wraps_of(c->node);
    if (!ot_known_numbers(c, 0, &indices) || !ot_known_view(c, 2, &two) || !ot_value_room(c, &y))
        return;
    int64_t inner = 1, depth = y.dim[axis];
    for (int d = axis + 1; d < y.rank; d++)
        inner *= y.dim[d];
    for (int64_t i = 0, n = ot_tensor_count(&y); i < n; i++) {
        int64_t at = place(wraps, &indices, i / inner / depth * inner + i % inner, depth);
        ((ot_dim *)y.data)[i] = ((const ot_dim *)two.data)[at == i / inner % depth];
    }
    ot_hand_on(c, &y);
}

static ot_status hot_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_dim dim[OT_MAX_RANK + 1], depth;
    int axis;
    c->y[0].dtype = c->x[2]->dtype;
    if (ot_open_rank(c, 0))
        return OT_OK;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK - 1));
    if (!ot_open_rank(c, 1))
        OT_TRY(ot_rank_between(c, 1, 0, 1));
    if (!ot_open_rank(c, 2))
        OT_TRY(ot_rank_between(c, 2, 1, 1));
    OT_TRY(is_number(c, 0));
    OT_TRY(is_number(c, 1));
    if (!ot_dtype_size(c->x[2]->dtype))
        return ot_fail(OT_ESHAPE, "OneHot is not defined for %s", ot_dtype_name(c->x[2]->dtype));
    if (c->x[2]->rank == 1 && !ot_is_symbol(c->x[2]->dim[0]) && c->x[2]->dim[0] != 2)
        return ot_fail(OT_ESHAPE, "%lld values, wanted are off and on", (long long)c->x[2]->dim[0]);
    if (c->x[1]->rank == 1 && !ot_is_symbol(c->x[1]->dim[0]) && c->x[1]->dim[0] != 1)
        return ot_fail(OT_ESHAPE, "the depth has %lld elements", (long long)c->x[1]->dim[0]);
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", -1), x->rank + 1));
    if (!ot_known_scalar(c, 1, &depth))
        depth = ot_dim_unknown(c);
    if (!ot_is_symbol(depth) && depth < 0)
        return ot_fail(OT_ESHAPE, "the depth is %lld", (long long)depth);
    for (int d = 0; d <= x->rank; d++)
        dim[d] = d < axis ? x->dim[d] : d == axis ? depth : x->dim[d - 1];
    ot_set_shape(&c->y[0], c->x[2]->dtype, x->rank + 1, dim);
    hot_value(c, axis);
    return OT_OK;
}

/* An outer index: `depth` rows of `inner` elements. */
typedef struct heating {
    const ot_run *r;
    int64_t depth, inner;
    bool wraps;
} heating;

static void hot_range(void *ctx, int64_t first, int64_t end)
{
    const heating *h = ctx;
    size_t size = ot_dtype_size(h->r->y[0].dtype), bytes = (size_t)(h->depth * h->inner) * size;
    const char *off = h->r->x[2].data, *on = off + size;
    for (int64_t o = first; o < end; o++) {
        char *y = (char *)h->r->y[0].data + (size_t)o * bytes;
        memcpy(y, off, size);
        for (size_t done = size; done < bytes; done *= 2)
            memcpy(y + done, y, done < bytes - done ? done : bytes - done);
        for (int64_t c = 0; c < h->inner; c++) {
            int64_t at = place(h->wraps, &h->r->x[0], o * h->inner + c, h->depth);
            if (at >= 0)
                memcpy(y + (size_t)(at * h->inner + c) * size, on, size);
        }
    }
}

static ot_status hot_run(const ot_run *r)
{
    const ot_tensor *y = &r->y[0];
    int axis;
    OT_TRY(ot_axis(&axis, ot_attr_int(r->node, "axis", -1), y->rank));
    heating h = { r, y->dim[axis], 1, wraps_of(r->node) };
    for (int d = axis + 1; d < y->rank; d++)
        h.inner *= y->dim[d];
    double depth = ot_tensor_get(&r->x[1], 0);
    if (!(depth >= (double)h.depth && depth < (double)h.depth + 1))
        return ot_fail(OT_ESHAPE, "the depth is %g, which is not what was planned", depth);
    int64_t n = ot_tensor_count(y), each = h.depth * h.inner;
    if (n)
        ot_for_ranges(r, n / each, OT_GRAIN / each + 1, hot_range, &h);
    return OT_OK;
}

static void hot_differentiate(ot_build *b)
{
    float zero_one[2] = { 0, 1 };
    const ot_tensor two = { .dtype = OT_FLOAT, .rank = 1, .dim = { 2 }, .data = zero_one };
    const ot_attr *flat = OT_ATTRS(OT_INT("keepdims", 0));
    const int64_t zero = 0;
    if (!ot_wants(b, 2))
        return;
    ot_val dy = ot_dy(b, 0), axes = ot_const_ints(b, 1, &zero);
    const ot_node *n = ot_the_node(b);
    ot_val hot =
        OT_EMIT_WITH(b, "OneHot", OT_ATTRS(OT_INT("axis", ot_attr_int(n, "axis", -1)), OT_INT("wrap", wraps_of(n))),
                     ot_x(b, 0), ot_x(b, 1), OT_EMIT(b, "CastLike", ot_const_tensor(b, &two), dy));
    ot_val on = OT_EMIT_WITH(b, "ReduceSum", flat, OT_EMIT(b, "Mul", dy, hot));
    ot_val off = OT_EMIT(b, "Sub", OT_EMIT_WITH(b, "ReduceSum", flat, dy), on);
    ot_give(b, 2,
            OT_EMIT_WITH(b, "Concat", OT_ATTRS(OT_INT("axis", 0)), OT_EMIT(b, "Unsqueeze", off, axes),
                         OT_EMIT(b, "Unsqueeze", on, axes)));
}

static const ot_kernel hot_kernels[] = { { .name = "fill", .run = hot_run }, { 0 } };

const ot_op ot_op_OneHot = { .domain = "",
                             .name = "OneHot",
                             .since = 9,
                             .until = OT_LATEST,
                             .min_in = 3,
                             .max_in = 3,
                             .min_out = 1,
                             .max_out = 1,
                             .infer = hot_infer,
                             .grad = hot_differentiate,
                             .cpu = hot_kernels };

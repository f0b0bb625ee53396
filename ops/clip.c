/* Clip: y = min(max(x, lo), hi) with optional scalars lo and hi; before opset 11 they are attributes.
 * ClipGrad: (dy, x, lo, hi) -> dy where lo <= x <= hi, else 0, as in PyTorch.  Backward reads x.
 * ClipBoundGrad: (dy, x, lo, hi) -> the sum of dy where y is hi (`upper` is 1), max(x, lo) > hi, or where it is lo, x <
 * lo <= hi. */
#include "kernels/rows.h"
#include "run.h"

#include <math.h>

static ot_status clip_infer_at(ot_infer *c, int first)
{
    ot_dtype t = c->x[0]->dtype;
    if (!ot_dtype_is_int(t) || ot_dtype_bits(t) < 8)
        OT_TRY(ot_needs_float(c, 0));
    for (int i = first; i < c->n_in; i++) {
        if (!c->x[i])
            continue;
        const ot_dim length = c->x[i]->rank == 1 ? c->x[i]->dim[0] : 1;
        bool scalar = (c->x[i]->rank == 0 || c->x[i]->rank == 1) && (length == 1 || ot_is_symbol(length));
        if (c->x[i]->dtype != t || !scalar)
            return ot_fail(OT_ESHAPE, "bound %d is %s%s, wanted is a scalar of %s", i, ot_dtype_name(c->x[i]->dtype),
                           OT_DIMS(c->x[i]->rank, c->x[i]->dim), ot_dtype_name(t));
    }
    return ot_same_shape(c);
}

static ot_status clip_infer(ot_infer *c)
{
    return clip_infer_at(c, 1);
}

static ot_status clip_grad_infer(ot_infer *c)
{
    return clip_infer_at(c, 2);
}

static void clip_normalise(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    ot_val bound[2];
    const char *const key[2] = { "min", "max" };
    if (n->opset >= 11)
        return;
    for (int i = 0; i < 2; i++)
        bound[i] = ot_attr_find(n, key[i])
                       ? ot_const_scalar(b, ot_fact_of(b, ot_x(b, 0))->dtype, ot_attr_float(n, key[i], 0))
                       : OT_NONE;
    ot_becomes(b, 0, OT_EMIT(b, "Clip", ot_x(b, 0), bound[0], bound[1]));
}

static double bound_of(const ot_run *r, int i, double otherwise)
{
    return ot_has_x(r, i) ? ot_tensor_get(&r->x[i], 0) : otherwise;
}

static const char *rows_decline(const ot_prep *p)
{
    return p->x[0]->dtype == OT_FLOAT ? NULL : "only for float32";
}

static void clip_range(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    ot_row_clip(to - from, (float)bound_of(r, 1, -(double)INFINITY), (float)bound_of(r, 2, (double)INFINITY),
                (const float *)r->x[0].data + from, (float *)r->y[0].data + from);
}

static ot_status clip_fast(const ot_run *r)
{
    ot_for_ranges(r, ot_tensor_count(&r->y[0]), OT_GRAIN, clip_range, (void *)r);
    return OT_OK;
}

#define CLIP_CASE(type, T)                                                                                             \
    case type: {                                                                                                       \
        const T *x = r->x[0].data, *lo = ot_has_x(r, 1) ? r->x[1].data : NULL;                                         \
        const T *hi = ot_has_x(r, 2) ? r->x[2].data : NULL;                                                            \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            T v = lo && x[i] < *lo ? *lo : x[i];                                                                       \
            ((T *)r->y[0].data)[i] = hi && v > *hi ? *hi : v;                                                          \
        }                                                                                                              \
        break;                                                                                                         \
    }

static ot_status clip_reference(const ot_run *r)
{
    int64_t n = ot_tensor_count(&r->y[0]);
    switch (r->x[0].dtype) {
        CLIP_CASE(OT_DOUBLE, double)
        CLIP_CASE(OT_INT8, int8_t)
        CLIP_CASE(OT_INT16, int16_t)
        CLIP_CASE(OT_INT32, int32_t)
        CLIP_CASE(OT_INT64, int64_t)
        CLIP_CASE(OT_UINT8, uint8_t)
        CLIP_CASE(OT_UINT16, uint16_t)
        CLIP_CASE(OT_UINT32, uint32_t)
        CLIP_CASE(OT_UINT64, uint64_t)
    default:
        break;
    }
    return OT_OK;
}

static void clip_differentiate(ot_build *b)
{
    for (int i = 1; i < 3; i++)
        if (ot_wants(b, i))
            ot_give(b, i,
                    OT_EMIT_WITH(b, "ClipBoundGrad", OT_ATTRS(OT_INT("upper", i - 1)), ot_dy(b, 0), ot_x(b, 0),
                                 ot_x(b, 1), ot_x(b, 2)));
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT(b, "ClipGrad", ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1), ot_x(b, 2)));
}

#define GRAD_LOOP(T)                                                                                                   \
    {                                                                                                                  \
        const T *dy = r->x[0].data, *x = r->x[1].data;                                                                 \
        T lo = (T)bound_of(r, 2, -(double)INFINITY), hi = (T)bound_of(r, 3, (double)INFINITY);                         \
        for (int64_t i = from; i < to; i++)                                                                            \
            ((T *)r->y[0].data)[i] = x[i] >= lo && x[i] <= hi ? dy[i] : 0;                                             \
    }

static void grad_range(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    GRAD_LOOP(float)
}

static ot_status grad_fast(const ot_run *r)
{
    ot_for_ranges(r, ot_tensor_count(&r->y[0]), OT_GRAIN, grad_range, (void *)r);
    return OT_OK;
}

static ot_status grad_reference(const ot_run *r)
{
    int64_t from = 0, to = ot_tensor_count(&r->y[0]);
    GRAD_LOOP(double)
    return OT_OK;
}

static void grad_differentiate(ot_build *b) /* linear in dy; constant almost everywhere in the rest */
{
    ot_give(b, 0, OT_EMIT(b, "ClipGrad", ot_dy(b, 0), ot_x(b, 1), ot_x(b, 2), ot_x(b, 3)));
}

/* ---- ClipBoundGrad -------------------------------------------------------------------------------------------------
 */

static int bound_input(const ot_node *n)
{
    return ot_attr_int(n, "upper", 0) ? 3 : 2;
}

static ot_status bound_infer(ot_infer *c)
{
    const int i = bound_input(c->node);
    OT_TRY(clip_grad_infer(c));
    OT_TRY(ot_rank_between(c, i, 0, 1));
    ot_set_shape(&c->y[0], c->x[i]->dtype, c->x[i]->rank, c->x[i]->dim);
    return OT_OK;
}

#define BOUND_SUM(T)                                                                                                   \
    {                                                                                                                  \
        const T *dy = r->x[0].data, *x = r->x[1].data;                                                                 \
        const T lo = (T)bound_of(r, 2, -(double)INFINITY), hi = (T)bound_of(r, 3, (double)INFINITY);                   \
        for (int64_t i = 0; i < n; i++)                                                                                \
            if (upper ? (x[i] < lo ? lo : x[i]) > hi : x[i] < lo && lo <= hi)                                          \
                sum += (double)dy[i];                                                                                  \
        *(T *)r->y[0].data = (T)sum;                                                                                   \
    }

static ot_status bound_run(const ot_run *r)
{
    const int64_t n = ot_tensor_count(&r->x[1]);
    const bool upper = bound_input(r->node) == 3;
    double sum = 0;
    if (r->y[0].dtype == OT_DOUBLE)
        BOUND_SUM(double)
    else
        BOUND_SUM(float)
    return OT_OK;
}

static const ot_kernel bound_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = bound_run },
    { .name = "reference", .run = bound_run, .in_double = true },
    { 0 },
};

static const ot_kernel clip_kernels[] = {
    { .name = "rows", .declines = rows_decline, .run = clip_fast, .elements = clip_range },
    { .name = "reference", .run = clip_reference, .in_double = true },
    { 0 },
};
static const ot_kernel grad_kernels[] = {
    { .name = "loop", .declines = ot_float32_only, .run = grad_fast, .elements = grad_range },
    { .name = "reference", .run = grad_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_Clip = { .domain = "",
                           .name = "Clip",
                           .since = 1,
                           .until = OT_LATEST,
                           .min_in = 1,
                           .max_in = 3,
                           .min_out = 1,
                           .max_out = 1,
                           .normalise = clip_normalise,
                           .infer = clip_infer,
                           .grad = clip_differentiate,
                           .cpu = clip_kernels,
                           .in_place = 1 };

const ot_op ot_op_ClipGrad = { .domain = OT_INTERNAL,
                               .name = "ClipGrad",
                               .since = 1,
                               .until = 1,
                               .min_in = 2,
                               .max_in = 4,
                               .min_out = 1,
                               .max_out = 1,
                               .infer = clip_grad_infer,
                               .grad = grad_differentiate,
                               .cpu = grad_kernels,
                               .in_place = 3 };

const ot_op ot_op_ClipBoundGrad = { .domain = OT_INTERNAL,
                                    .name = "ClipBoundGrad",
                                    .since = 1,
                                    .until = 1,
                                    .min_in = 2,
                                    .max_in = 4,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = bound_infer,
                                    .cpu = bound_kernels };

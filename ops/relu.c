/* Relu: y = max(x, 0), element by element.  Backward reads y, so x may be freed or overwritten. */
#include "kernels/rows.h"
#include "run.h"

static void relu_range(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    ot_row_relu(to - from, (const float *)r->x[0].data + from, (float *)r->y[0].data + from);
}

static ot_status relu_fast(const ot_run *r)
{
    ot_for_ranges(r, ot_tensor_count(&r->y[0]), OT_GRAIN, relu_range, (void *)r);
    return OT_OK;
}

static ot_status relu_reference(const ot_run *r)
{
    const double *x = r->x[0].data;
    double *y = r->y[0].data;
    for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i]; /* this way round, NaN stays NaN */
    return OT_OK;
}

/* Signed integers. */
static ot_status relu_ints(const ot_run *r)
{
    for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++) {
        int64_t v = ot_tensor_get_int(&r->x[0], i);
        ot_tensor_set_int(&r->y[0], i, v > 0 ? v : 0);
    }
    return OT_OK;
}

static const char *ints_decline(const ot_prep *p)
{
    return ot_dtype_is_int(p->x[0]->dtype) ? NULL : "only for integers";
}

static const char *rows_decline(const ot_prep *p)
{
    return p->x[0]->dtype == OT_FLOAT ? NULL : "only for float32";
}

static const char *reference_declines(const ot_prep *p)
{
    return ot_dtype_is_int(p->x[0]->dtype) ? "integers are computed as they are" : NULL;
}

static void relu_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "ReluGrad", ot_dy(b, 0), ot_y(b, 0)));
}

/* ReluGrad: (dy, y) -> dx; the slope at 0 is 0, as in PyTorch. */

static void relu_grad_range(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    ot_row_relu_grad(to - from, (const float *)r->x[1].data + from, (const float *)r->x[0].data + from,
                     (float *)r->y[0].data + from);
}

static ot_status relu_grad_fast(const ot_run *r)
{
    ot_for_ranges(r, ot_tensor_count(&r->y[0]), OT_GRAIN, relu_grad_range, (void *)r);
    return OT_OK;
}

static ot_status relu_grad_reference(const ot_run *r)
{
    const double *dy = r->x[0].data, *y = r->x[1].data;
    double *dx = r->y[0].data;
    for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++)
        dx[i] = y[i] > 0 ? dy[i] : 0;
    return OT_OK;
}

static void relu_grad_differentiate(ot_build *b) /* linear in dy; constant almost everywhere in y */
{
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT(b, "ReluGrad", ot_dy(b, 0), ot_x(b, 1)));
}

static ot_status relu_infer(ot_infer *c)
{
    ot_dtype t = c->x[0]->dtype;
    if (t != OT_INT8 && t != OT_INT16 && t != OT_INT32 && t != OT_INT64)
        OT_TRY(ot_needs_float(c, 0));
    return ot_same_shape(c);
}

static const ot_kernel relu_kernels[] = {
    { .name = "rows", .declines = rows_decline, .run = relu_fast, .elements = relu_range },
    { .name = "integers", .declines = ints_decline, .run = relu_ints },
    { .name = "reference", .declines = reference_declines, .run = relu_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_Relu = { .domain = "",
                           .name = "Relu",
                           .since = 1,
                           .until = OT_LATEST,
                           .min_in = 1,
                           .max_in = 1,
                           .min_out = 1,
                           .max_out = 1,
                           .infer = relu_infer,
                           .grad = relu_differentiate,
                           .cpu = relu_kernels,
                           .in_place = 1 };

static const ot_kernel relu_grad_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .run = relu_grad_fast, .elements = relu_grad_range },
    { .name = "reference", .run = relu_grad_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_ReluGrad = { .domain = OT_INTERNAL,
                               .name = "ReluGrad",
                               .since = 1,
                               .until = 1,
                               .min_in = 2,
                               .max_in = 2,
                               .min_out = 1,
                               .max_out = 1,
                               .infer = ot_same_shape,
                               .grad = relu_grad_differentiate,
                               .cpu = relu_grad_kernels,
                               .in_place = 1 };

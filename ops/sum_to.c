/* SumTo: (x, like) -> x summed over the axes along which `like` was broadcast to x.  The adjoint of broadcasting: the
 * driver of gradients emits it.  Where the shapes are equal, it is a view. */
#include "run.h"

#include <string.h>

static ot_status sum_to_infer(ot_infer *c)
{
    if (c->x[1]->rank < 0)
        return ot_fail(OT_EUNSUPPORTED, "the rank to sum to is not known");
    if (c->x[0]->rank < c->x[1]->rank)
        return ot_fail(OT_ESHAPE, "%s cannot be summed to %s", OT_DIMS(c->x[0]->rank, c->x[0]->dim),
                       OT_DIMS(c->x[1]->rank, c->x[1]->dim));
    for (int i = 0, skip = c->x[0]->rank - c->x[1]->rank; i < c->x[1]->rank; i++) {
        ot_dim from = c->x[0]->dim[i + skip], to = c->x[1]->dim[i];
        if (to != 1 && from != to && !ot_is_symbol(from) && !ot_is_symbol(to))
            return ot_fail(OT_ESHAPE, "%s cannot be summed to %s", OT_DIMS(c->x[0]->rank, c->x[0]->dim),
                           OT_DIMS(c->x[1]->rank, c->x[1]->dim));
    }
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

/* x is walked once, in order; every element is added to its place in y, in double: the order of a sum is that of x. */
#define SUM_TO(T)                                                                                                      \
    static void sum_to_##T##_(const ot_tensor *x, const ot_tensor *y, double *sum)                                     \
    {                                                                                                                  \
        int64_t stride[OT_MAX_RANK], at[OT_MAX_RANK] = { 0 }, place = 0, n = ot_tensor_count(x);                       \
        const T *v = x->data;                                                                                          \
        ot_broadcast_strides(stride, y, x);                                                                            \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            sum[place] += (double)v[i];                                                                                \
            for (int d = x->rank - 1; d >= 0; d--) {                                                                   \
                place += stride[d];                                                                                    \
                if (++at[d] < x->dim[d])                                                                               \
                    break;                                                                                             \
                place -= stride[d] * x->dim[d];                                                                        \
                at[d] = 0;                                                                                             \
            }                                                                                                          \
        }                                                                                                              \
    }
SUM_TO(float)
SUM_TO(double)

static ot_status sum_to_prepare(ot_prep *p)
{
    int64_t n = 0;
    ot_count(&n, p->y[0]->rank, p->y[0]->dim);
    p->scratch = (size_t)n * sizeof(double);
    return OT_OK;
}

static ot_status sum_to_float(const ot_run *r)
{
    double *sum = r->scratch;
    int64_t n = ot_tensor_count(&r->y[0]);
    memset(sum, 0, (size_t)n * sizeof(*sum));
    sum_to_float_(&r->x[0], &r->y[0], sum);
    for (int64_t i = 0; i < n; i++)
        ((float *)r->y[0].data)[i] = (float)sum[i];
    return OT_OK;
}

static ot_status sum_to_reference(const ot_run *r)
{
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    sum_to_double_(&r->x[0], &r->y[0], r->y[0].data);
    return OT_OK;
}

static void sum_to_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "ExpandLike", ot_dy(b, 0), ot_x(b, 0)));
}

static const ot_kernel sum_to_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .prepare = sum_to_prepare, .run = sum_to_float },
    { .name = "reference", .run = sum_to_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_SumTo = { .domain = OT_INTERNAL,
                            .name = "SumTo",
                            .since = 1,
                            .until = 1,
                            .min_in = 2,
                            .max_in = 2,
                            .min_out = 1,
                            .max_out = 1,
                            .infer = sum_to_infer,
                            .grad = sum_to_differentiate,
                            .cpu = sum_to_kernels,
                            .view = ot_view_same_dims,
                            .shape_only = 1u << 1 };

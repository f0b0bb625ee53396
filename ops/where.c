/* Where: (condition, a, b) -> a where the condition holds, else b, under numpy's broadcasting; every element type.
 * Backward reads the condition. */
#include "strided.h"

#include <string.h>

static void where_value(ot_infer *c)
{
    const ot_fact *k = c->x[0], *a = c->x[1], *b = c->x[2];
    if (!k->value || !a->value || !b->value || k->rank > 1 || a->rank > 1 || b->rank > 1)
        return;
    int n = k->n_value == 1 ? (a->n_value == 1 ? b->n_value : a->n_value) : k->n_value;
    ot_dim *v = ot_value_alloc(c, n);
    for (int i = 0; v && i < n; i++) {
        const ot_fact *from = k->value[k->n_value == 1 ? 0 : i] ? a : b;
        v[i] = from->value[from->n_value == 1 ? 0 : i];
    }
    c->y[0].value = v;
    c->y[0].n_value = v ? n : 0;
}

static ot_status where_infer(ot_infer *c)
{
    ot_dim dim[OT_MAX_RANK];
    int rank;
    for (int i = 0; i < 3; i++)
        OT_TRY(ot_rank_between(c, i, 0, OT_MAX_RANK));
    if (c->x[0]->dtype != OT_BOOL)
        return ot_fail(OT_ESHAPE, "the condition is %s, wanted is bool", ot_dtype_name(c->x[0]->dtype));
    if (c->x[1]->dtype != c->x[2]->dtype)
        return ot_fail(OT_ESHAPE, "input 1 is %s, input 2 is %s", ot_dtype_name(c->x[1]->dtype),
                       ot_dtype_name(c->x[2]->dtype));
    OT_TRY(ot_broadcast_dims(c, &rank, dim, c->x[0], c->x[1]));
    ot_fact two = { .kind = OT_TENSOR };
    ot_set_shape(&two, OT_BOOL, rank, dim);
    OT_TRY(ot_broadcast_dims(c, &rank, dim, &two, c->x[2]));
    ot_set_shape(&c->y[0], c->x[1]->dtype, rank, dim);
    where_value(c);
    return OT_OK;
}

static void where_range(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const ot_tensor *y = &r->y[0];
    int64_t stride[3][OT_MAX_RANK], at[OT_MAX_RANK], place[3] = { 0 }, rest = from;
    int64_t size = (int64_t)ot_dtype_size(y->dtype);
    for (int i = 0; i < 3; i++)
        ot_broadcast_strides(stride[i], &r->x[i], y);
    for (int d = y->rank - 1; d >= 0; d--) {
        at[d] = rest % y->dim[d];
        rest /= y->dim[d];
        for (int i = 0; i < 3; i++)
            place[i] += at[d] * stride[i][d];
    }
    for (int64_t i = from; i < to; i++) {
        int k = ((const uint8_t *)r->x[0].data)[place[0]] ? 1 : 2;
        memcpy((char *)y->data + i * size, (const char *)r->x[k].data + place[k] * size, (size_t)size);
        for (int d = y->rank - 1; d >= 0; d--) {
            for (int j = 0; j < 3; j++)
                place[j] += stride[j][d];
            if (++at[d] < y->dim[d])
                break;
            for (int j = 0; j < 3; j++)
                place[j] -= stride[j][d] * y->dim[d];
            at[d] = 0;
        }
    }
}

static ot_status where_run(const ot_run *r)
{
    ot_for_ranges(r, ot_tensor_count(&r->y[0]), OT_GRAIN / 4, where_range, (void *)r);
    return OT_OK;
}

static void where_differentiate(ot_build *b)
{
    ot_val zero = ot_const_scalar(b, ot_fact_of(b, ot_dy(b, 0))->dtype, 0);
    if (ot_wants(b, 1))
        ot_give(b, 1, OT_EMIT(b, "Where", ot_x(b, 0), ot_dy(b, 0), zero));
    if (ot_wants(b, 2))
        ot_give(b, 2, OT_EMIT(b, "Where", ot_x(b, 0), zero, ot_dy(b, 0)));
}

static const ot_kernel where_kernels[] = {
    { .name = "loop", .run = where_run, .in_bytes = true },
    { 0 },
};

const ot_op ot_op_Where = { .domain = "",
                            .name = "Where",
                            .since = 9,
                            .until = OT_LATEST,
                            .min_in = 3,
                            .max_in = 3,
                            .min_out = 1,
                            .max_out = 1,
                            .infer = where_infer,
                            .grad = where_differentiate,
                            .cpu = where_kernels };

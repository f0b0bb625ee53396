/* NonZero: the indices of the elements that are not 0, in row-major order, one row for each dim of x; a scalar has no
 * rows.  How many there are is known when the data is.
 * Compress: the elements of x, or its slices along `axis`, where the condition holds: a Gather by the condition's
 * NonZero, which is also its gradient. */
#include "known.h"
#include "run.h"

#include <string.h>

static bool is_zero(const ot_tensor *x, int64_t i)
{
    static const char zeros[16] = { 0 };
    size_t size = ot_dtype_size(x->dtype);
    switch (x->dtype) {
    case OT_BOOL:
    case OT_UINT8:
    case OT_INT8:
        return ((const uint8_t *)x->data)[i] == 0;
    case OT_FLOAT:
        return ((const float *)x->data)[i] == 0;
    case OT_STRING:
        return ((const ot_str *)x->data)[i].n == 0;
    case OT_COMPLEX64:
        return ((const float *)x->data)[2 * i] == 0 && ((const float *)x->data)[2 * i + 1] == 0;
    case OT_COMPLEX128:
        return ((const double *)x->data)[2 * i] == 0 && ((const double *)x->data)[2 * i + 1] == 0;
    default:
        return ot_dtype_is_float(x->dtype) ? ot_tensor_get(x, i) == 0
                                           : memcmp((const char *)x->data + (size_t)i * size, zeros, size) == 0;
    }
}

static ot_status nonzero_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_tensor data;
    if (ot_open_rank(c, 0)) {
        ot_set_shape(&c->y[0], OT_INT64, 2, (const ot_dim[]){ ot_dim_unknown(c), ot_dim_unknown(c) });
        return OT_OK;
    }
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    if (!ot_dtype_size(x->dtype))
        return ot_fail(OT_ESHAPE, "NonZero is not defined for %s", ot_dtype_name(x->dtype));
    ot_dim dim[2] = { x->rank, 0 };
    if (ot_known_numbers(c, 0, &data))
        for (int64_t i = 0, n = ot_tensor_count(&data); i < n; i++)
            dim[1] += !is_zero(&data, i);
    else if (ot_is_small(x, 0))
        dim[1] = 0;
    else
        dim[1] = ot_dim_unknown(c);
    ot_set_shape(&c->y[0], OT_INT64, 2, dim);
    return OT_OK;
}

static ot_status nonzero_run(const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    int64_t *y = r->y[0].data, n = r->y[0].dim[1], at = 0, index[OT_MAX_RANK] = { 0 };
    for (int64_t i = 0, all = ot_tensor_count(x); i < all; i++) {
        if (!is_zero(x, i)) {
            for (int d = 0; d < x->rank && at < n; d++)
                y[d * n + at] = index[d];
            at++;
        }
        for (int d = x->rank - 1; d >= 0 && ++index[d] == x->dim[d]; d--)
            index[d] = 0;
    }
    if (at != n)
        return ot_fail(OT_ESHAPE, "%lld elements are not 0, planned were %lld", (long long)at, (long long)n);
    return OT_OK;
}

static const ot_kernel nonzero_kernels[] = { { .name = "loop", .run = nonzero_run }, { 0 } };

const ot_op ot_op_NonZero = { .domain = "",
                              .name = "NonZero",
                              .since = 9,
                              .until = OT_LATEST,
                              .min_in = 1,
                              .max_in = 1,
                              .min_out = 1,
                              .max_out = 1,
                              .infer = nonzero_infer,
                              .grad = ot_grad_none,
                              .cpu = nonzero_kernels };

/* ---- Compress ------------------------------------------------------------------------------------------------------
 */

static void compress_compose(ot_build *b)
{
    const ot_attr *axis = ot_attr_find(ot_the_node(b), "axis");
    const int64_t zero = 0, all = -1;
    ot_val x = ot_x(b, 0), condition = ot_x(b, 1);
    if (x == OT_NONE || condition == OT_NONE) {
        ot_build_fail(b, ot_fail(OT_EMODEL, "an input is missing"));
        return;
    }
    const ot_fact *f = ot_fact_of(b, condition);
    if (f->dtype != OT_UNDEFINED && (f->dtype != OT_BOOL || f->rank > 1 || f->rank == 0)) {
        ot_build_fail(b, ot_fail(OT_ESHAPE, "the condition is %s of rank %d, wanted is a vector of bool",
                                 ot_dtype_name(f->dtype), f->rank));
        return;
    }
    ot_val at = OT_EMIT(b, "Squeeze", OT_EMIT(b, "NonZero", condition), ot_const_ints(b, 1, &zero));
    if (!axis)
        x = OT_EMIT(b, "Reshape", x, ot_const_ints(b, 1, &all));
    ot_becomes(b, 0, OT_EMIT_WITH(b, "Gather", OT_ATTRS(OT_INT("axis", axis ? axis->i : 0)), x, at));
}

const ot_op ot_op_Compress = { .domain = "",
                               .name = "Compress",
                               .since = 9,
                               .until = OT_LATEST,
                               .min_in = 2,
                               .max_in = 2,
                               .min_out = 1,
                               .max_out = 1,
                               .compose = compress_compose };

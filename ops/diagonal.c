/* Trilu: x with the part of its matrices below (upper) or above (lower) diagonal k as zeros; its gradient is itself.
 * EyeLike: ones on diagonal k of a matrix of x's dims, else zeros; only the shape of x is read. */
#include "known.h"
#include "run.h"

#include <string.h>

/* ---- Trilu ---------------------------------------------------------------------------------------------------------
 */

static ot_status trilu_infer(ot_infer *c)
{
    ot_tensor x, y;
    ot_dim k = 0;
    bool known = true, upper = ot_attr_int(c->node, "upper", 1) != 0;
    if (ot_open_rank(c, -1))
        return ot_open_like(c, 0);
    OT_TRY(ot_rank_between(c, 0, 2, OT_MAX_RANK));
    if (!ot_dtype_size(c->x[0]->dtype))
        return ot_fail(OT_ESHAPE, "Trilu is not defined for %s", ot_dtype_name(c->x[0]->dtype));
    if (c->n_in > 1 && c->x[1]) {
        OT_TRY(ot_rank_between(c, 1, 0, 1));
        if (c->x[1]->dtype != OT_INT64)
            return ot_fail(OT_ESHAPE, "k is %s, wanted is int64", ot_dtype_name(c->x[1]->dtype));
        known = ot_known_scalar(c, 1, &k) && !ot_is_symbol(k);
    }
    OT_TRY(ot_same_shape(c));
    if (!known || !ot_known_view(c, 0, &x) || !ot_value_room(c, &y))
        return OT_OK;
    int64_t rows = y.dim[y.rank - 2], cols = y.dim[y.rank - 1];
    for (int64_t i = 0, n = ot_tensor_count(&y); i < n; i++) {
        int64_t above = i % cols - i / cols % rows;
        ((ot_dim *)y.data)[i] = (upper ? above >= k : above <= k) ? ((const ot_dim *)x.data)[i] : 0;
    }
    ot_hand_on(c, &y);
    return OT_OK;
}

typedef struct cutting {
    const ot_run *r;
    int64_t rows, cols, k;
    bool upper;
} cutting;

static void trilu_rows(void *ctx, int64_t first, int64_t end)
{
    const cutting *c = ctx;
    size_t size = ot_dtype_size(c->r->y[0].dtype), row = (size_t)c->cols * size;
    for (int64_t i = first; i < end; i++) {
        int64_t cut = i % c->rows + (c->upper ? c->k : c->k + 1); /* the first column above, or behind, the part */
        size_t at = (size_t)(cut < 0 ? 0 : cut > c->cols ? c->cols : cut) * size;
        char *y = (char *)c->r->y[0].data + (size_t)i * row;
        const char *x = (const char *)c->r->x[0].data + (size_t)i * row;
        memset(c->upper ? y : y + at, 0, c->upper ? at : row - at);
        if (y != x)
            memcpy(c->upper ? y + at : y, c->upper ? x + at : x, c->upper ? row - at : at);
    }
}

static ot_status trilu_run(const ot_run *r)
{
    const ot_tensor *y = &r->y[0];
    cutting c = { r, y->dim[y->rank - 2], y->dim[y->rank - 1], 0, ot_attr_int(r->node, "upper", 1) != 0 };
    if (ot_has_x(r, 1)) {
        if (ot_tensor_count(&r->x[1]) != 1)
            return ot_fail(OT_ESHAPE, "k has %lld elements", (long long)ot_tensor_count(&r->x[1]));
        c.k = ot_tensor_get_int(&r->x[1], 0);
        c.k = c.k > INT32_MAX ? c.rows + c.cols : c.k < -INT32_MAX ? -c.rows - c.cols : c.k;
    }
    int64_t n = ot_tensor_count(y);
    if (n)
        ot_for_ranges(r, n / c.cols, OT_GRAIN / c.cols + 1, trilu_rows, &c);
    return OT_OK;
}

static void trilu_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "Trilu", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 1)));
}

static const ot_kernel trilu_kernels[] = { { .name = "rows", .run = trilu_run }, { 0 } };

const ot_op ot_op_Trilu = { .domain = "",
                            .name = "Trilu",
                            .since = 14,
                            .until = OT_LATEST,
                            .min_in = 1,
                            .max_in = 2,
                            .min_out = 1,
                            .max_out = 1,
                            .infer = trilu_infer,
                            .grad = trilu_differentiate,
                            .cpu = trilu_kernels,
                            .in_place = 1 };

/* ---- EyeLike -------------------------------------------------------------------------------------------------------
 */

static ot_status eye_infer(ot_infer *c)
{
    int64_t t = ot_attr_int(c->node, "dtype", (int64_t)c->x[0]->dtype);
    if (ot_open_rank(c, 0)) {
        c->y[0].dtype = (ot_dtype)t;
        return OT_OK;
    }
    OT_TRY(ot_rank_between(c, 0, 2, 2));
    if (t != OT_BOOL && t != OT_FLOAT && t != OT_DOUBLE && t != OT_FLOAT16 && t != OT_BFLOAT16 &&
        !(t > 0 && t <= OT_UINT64 && ot_dtype_is_int((ot_dtype)t)))
        return ot_fail(OT_EMODEL, "dtype is %lld, which is no number that EyeLike makes", (long long)t);
    ot_set_shape(&c->y[0], (ot_dtype)t, 2, c->x[0]->dim);
    return OT_OK;
}

static ot_status eye_run(const ot_run *r)
{
    ot_tensor y = r->y[0];
    int64_t rows = y.dim[0], cols = y.dim[1], k = ot_attr_int(r->node, "k", 0);
    memset(y.data, 0, ot_tensor_bytes(&y));
    if (k <= -rows || k >= cols)
        return OT_OK;
    for (int64_t i = k < 0 ? -k : 0; i < rows && i + k < cols; i++)
        ot_tensor_set(&y, i * cols + i + k, 1);
    return OT_OK;
}

static const ot_kernel eye_kernels[] = { { .name = "loop", .run = eye_run }, { 0 } };

const ot_op ot_op_EyeLike = { .domain = "",
                              .name = "EyeLike",
                              .since = 9,
                              .until = OT_LATEST,
                              .min_in = 1,
                              .max_in = 1,
                              .min_out = 1,
                              .max_out = 1,
                              .infer = eye_infer,
                              .grad = ot_grad_none,
                              .cpu = eye_kernels,
                              .shape_only = 1 };

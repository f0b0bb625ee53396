/* QuantizeLinear: (x, scale[, zero]) -> saturate(round(x / scale) + zero), rounding to even; for floats of 8 bits and
 * fewer x / scale + zero is rounded once.  The division has the precision of the scale, or as `precision` says.  No
 * gradient: it is a step function.
 * DequantizeLinear: (x, scale[, zero]) -> (x - zero) * scale.  It is composed where a gradient of the scale is needed.
 */
#include "quantize.h"
#include "base/half.h"

#include <math.h>
#include <string.h>

static bool is_one(const ot_fact *f)
{
    return f->rank == 0 || (f->rank == 1 && f->dim[0] == 1);
}

static ot_status blocks_fit(ot_dim dim, ot_dim blocks, int64_t block, int axis)
{
    if (ot_is_symbol(dim) || ot_is_symbol(blocks) || blocks == dim / block + (dim % block != 0))
        return OT_OK;
    return ot_fail(OT_ESHAPE, "dimension %d is %lld: in blocks of %lld that is not %lld", axis, (long long)dim,
                   (long long)block, (long long)blocks);
}

ot_status ot_quant_grain(ot_grain *grain, int *axis, const ot_node *n, const ot_fact *x, const ot_fact *scale)
{
    int64_t block = ot_attr_int(n, "block_size", 0);
    ot_dim same;
    *grain = OT_PER_TENSOR;
    *axis = 0;
    if (block < 0)
        return ot_fail(OT_EMODEL, "block_size is %lld", (long long)block);
    if (is_one(scale) && block == 0)
        return OT_OK;
    if (scale->rank == 1 && ot_is_symbol(scale->dim[0]) && block == 0)
        return OT_OK; /* 1 or the length of the axis: the plan will know */
    if (scale->rank == 0)
        return ot_fail(OT_ESHAPE, "one scale, but block_size is %lld", (long long)block);
    OT_TRY(ot_axis(axis, ot_attr_int(n, "axis", 1), x->rank));
    *grain = block ? OT_PER_BLOCK : OT_PER_AXIS;
    if (*grain == OT_PER_AXIS && scale->rank == 1)
        return ot_dims_agree(&same, x->dim[*axis], scale->dim[0], "the scale and the axis");
    if (*grain == OT_PER_AXIS || scale->rank != x->rank)
        return ot_fail(OT_ESHAPE, "x has rank %d and the scale %d; block_size is %lld", x->rank, scale->rank,
                       (long long)block);
    for (int d = 0; d < x->rank; d++)
        if (d != *axis)
            OT_TRY(ot_dims_agree(&same, x->dim[d], scale->dim[d], "x and the scale"));
    return blocks_fit(x->dim[*axis], scale->dim[*axis], block, *axis);
}

static ot_fact fact_of(const ot_tensor *t)
{
    ot_fact f = { .kind = OT_TENSOR };
    ot_set_shape(&f, t->dtype, t->rank, t->dim);
    return f;
}

ot_status ot_quant_map_of(ot_quant_map *m, const ot_run *r)
{
    ot_fact x = fact_of(&r->x[0]), scale = fact_of(&r->x[1]);
    int axis;
    OT_TRY(ot_quant_grain(&m->grain, &axis, r->node, &x, &scale));
    m->inner = 1;
    m->dim = m->blocks = m->block = 1;
    if (m->grain == OT_PER_TENSOR)
        return OT_OK;
    for (int d = axis + 1; d < x.rank; d++)
        m->inner *= x.dim[d];
    m->dim = x.dim[axis];
    m->block = ot_attr_int(r->node, "block_size", 0);
    m->blocks = m->grain == OT_PER_BLOCK ? scale.dim[axis] : 1;
    return OT_OK;
}

static bool is_small_float(ot_dtype t)
{
    return ot_dtype_is_float(t) && ot_dtype_bits(t) <= 8 && t != OT_FLOAT8E8M0;
}

static bool is_quantized(ot_dtype t)
{
    return (ot_dtype_is_int(t) && ot_dtype_bits(t) <= 16) || is_small_float(t);
}

static bool is_real(ot_dtype t)
{
    return t == OT_FLOAT || t == OT_DOUBLE || t == OT_FLOAT16 || t == OT_BFLOAT16;
}

static ot_status check_zero(const ot_infer *c, ot_dtype type)
{
    const ot_fact *scale = c->x[1], *zero = c->n_in > 2 ? c->x[2] : NULL;
    ot_dim same;
    if (!zero)
        return OT_OK;
    if (zero->dtype != type)
        return ot_fail(OT_ESHAPE, "the zero point is %s, wanted is %s", ot_dtype_name(zero->dtype),
                       ot_dtype_name(type));
    OT_TRY(ot_rank_between(c, 2, 0, OT_MAX_RANK));
    if (is_one(scale) && is_one(zero))
        return OT_OK;
    if (zero->rank != scale->rank)
        return ot_fail(OT_ESHAPE, "the zero point has rank %d, the scale %d", zero->rank, scale->rank);
    for (int d = 0; d < zero->rank; d++)
        OT_TRY(ot_dims_agree(&same, zero->dim[d], scale->dim[d], "the zero point and the scale"));
    return OT_OK;
}

static ot_status type_attr(ot_dtype *out, const ot_node *n, const char *name, ot_dtype otherwise)
{
    int64_t t = ot_attr_int(n, name, 0);
    if (t < 0 || t > OT_INT2)
        return ot_fail(OT_EMODEL, "%s is %lld", name, (long long)t);
    *out = t ? (ot_dtype)t : otherwise;
    return OT_OK;
}

/* ---- QuantizeLinear -------------------------------------------------------------------------------------------------
 */

/* The type in which x is divided. */
static ot_status precision_of(ot_dtype *out, const ot_node *n, ot_dtype x, ot_dtype scale)
{
    ot_dtype otherwise = is_real(scale) ? scale : scale == OT_FLOAT8E8M0 && is_real(x) ? x : OT_DOUBLE;
    OT_TRY(type_attr(out, n, "precision", otherwise));
    if (!is_real(*out))
        return ot_fail(OT_EMODEL, "precision is %s", ot_dtype_name(*out));
    return OT_OK;
}

static ot_status quantize_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0], *scale = c->x[1], *zero = c->n_in > 2 ? c->x[2] : NULL;
    ot_dtype to, said = OT_UNDEFINED, precision = OT_UNDEFINED;
    ot_grain grain;
    int axis;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, 0, OT_MAX_RANK));
    OT_TRY(type_attr(&said, c->node, "output_dtype", OT_UNDEFINED));
    to = zero ? zero->dtype : said ? said : OT_UINT8;
    if (said && said != to)
        return ot_fail(OT_EMODEL, "output_dtype is %s, the zero point is %s", ot_dtype_name(said), ot_dtype_name(to));
    if (!is_quantized(to))
        return ot_fail(OT_ESHAPE, "not defined to %s", ot_dtype_name(to));
    if (!is_real(x->dtype) && x->dtype != OT_INT32)
        return ot_fail(OT_ESHAPE, "not defined from %s", ot_dtype_name(x->dtype));
    if (!is_real(scale->dtype) && scale->dtype != OT_INT32 && scale->dtype != OT_FLOAT8E8M0)
        return ot_fail(OT_ESHAPE, "the scale is %s", ot_dtype_name(scale->dtype));
    OT_TRY(precision_of(&precision, c->node, x->dtype, scale->dtype));
    OT_TRY(ot_quant_grain(&grain, &axis, c->node, x, scale));
    OT_TRY(check_zero(c, to));
    ot_set_shape(&c->y[0], to, x->rank, x->dim);
    return OT_OK;
}

typedef struct quantizing {
    const ot_run *r;
    ot_quant_map map;
    ot_dtype precision;
    bool saturate;
} quantizing;

static void quantize_range(void *ctx, int64_t from, int64_t to)
{
    const quantizing *q = ctx;
    const ot_tensor *x = q->r->x;
    ot_tensor y = q->r->y[0];
    bool real = is_small_float(y.dtype), zeros = ot_has_x(q->r, 2);
    for (int64_t i = from; i < to; i++) {
        int64_t at = ot_quant_at(&q->map, i);
        double a = ot_rounded(q->precision, ot_tensor_get(&x[0], i));
        double v = ot_rounded(q->precision, a / ot_rounded(q->precision, ot_tensor_get(&x[1], at)));
        double zero = zeros ? ot_tensor_get(&x[2], at) : 0;
        if (!real)
            ot_tensor_set(&y, i, rint(v) + zero);
        else if (y.dtype == OT_FLOAT4E2M1)
            ot_tensor_set_packed(&y, i, ot_double_to_small(y.dtype, v + zero, true));
        else
            ((uint8_t *)y.data)[i] = (uint8_t)ot_double_to_small(y.dtype, v + zero, q->saturate);
    }
}

static ot_status quantize_run(const ot_run *r)
{
    quantizing q = { .r = r, .saturate = ot_attr_int(r->node, "saturate", 1) != 0 };
    OT_TRY(ot_quant_map_of(&q.map, r));
    OT_TRY(precision_of(&q.precision, r->node, r->x[0].dtype, r->x[1].dtype));
    ot_for_ranges(r, ot_tensor_count(&r->y[0]), OT_GRAIN, quantize_range, &q);
    return OT_OK;
}

static const ot_kernel quantize_kernels[] = { { .name = "loop", .run = quantize_run }, { 0 } };

const ot_op ot_op_QuantizeLinear = { .domain = "",
                                     .name = "QuantizeLinear",
                                     .since = 10,
                                     .until = OT_LATEST,
                                     .min_in = 2,
                                     .max_in = 3,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = quantize_infer,
                                     .cpu = quantize_kernels };

/* ---- DequantizeLinear -----------------------------------------------------------------------------------------------
 */

static ot_status dequantize_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0], *scale = c->x[1];
    ot_dtype to = OT_UNDEFINED;
    ot_grain grain;
    int axis;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, 0, OT_MAX_RANK));
    OT_TRY(type_attr(&to, c->node, "output_dtype", scale->dtype));
    if (!is_quantized(x->dtype) && x->dtype != OT_INT32)
        return ot_fail(OT_ESHAPE, "not defined from %s", ot_dtype_name(x->dtype));
    if (!is_real(scale->dtype) && scale->dtype != OT_FLOAT8E8M0)
        return ot_fail(OT_ESHAPE, "the scale is %s", ot_dtype_name(scale->dtype));
    if (!is_real(to))
        return ot_fail(OT_ESHAPE, "not defined to %s", ot_dtype_name(to));
    OT_TRY(ot_quant_grain(&grain, &axis, c->node, x, scale));
    OT_TRY(check_zero(c, x->dtype));
    ot_set_shape(&c->y[0], to, x->rank, x->dim);
    return OT_OK;
}

static void dequantize_range(void *ctx, int64_t from, int64_t to)
{
    const quantizing *q = ctx;
    const ot_tensor *x = q->r->x;
    ot_tensor y = q->r->y[0];
    bool zeros = ot_has_x(q->r, 2);
    for (int64_t i = from; i < to; i++) {
        int64_t at = ot_quant_at(&q->map, i);
        double v = ot_tensor_get(&x[0], i) - (zeros ? ot_tensor_get(&x[2], at) : 0);
        ot_tensor_set(&y, i, v * ot_tensor_get(&x[1], at));
    }
}

static ot_status dequantize_run(const ot_run *r)
{
    quantizing q = { .r = r };
    OT_TRY(ot_quant_map_of(&q.map, r));
    ot_for_ranges(r, ot_tensor_count(&r->y[0]), OT_GRAIN, dequantize_range, &q);
    return OT_OK;
}

static void dequantize_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const ot_attr *attr =
        OT_ATTRS(OT_INT("axis", ot_attr_int(n, "axis", 1)), OT_INT("block_size", ot_attr_int(n, "block_size", 0)));
    if (ot_wants(b, 0) || ot_wants(b, 2))
        ot_build_fail(b, ot_fail(OT_ENOGRAD, "of DequantizeLinear only the scale has a gradient"));
    ot_give(b, 1, OT_EMIT_WITH(b, "DequantizeGrad", attr, ot_x(b, 0), ot_x(b, 1), ot_dy(b, 0), ot_x(b, 2)));
}

static const ot_kernel dequantize_kernels[] = { { .name = "loop", .run = dequantize_run }, { 0 } };

const ot_op ot_op_DequantizeLinear = { .domain = "",
                                       .name = "DequantizeLinear",
                                       .since = 10,
                                       .until = OT_LATEST,
                                       .min_in = 2,
                                       .max_in = 3,
                                       .min_out = 1,
                                       .max_out = 1,
                                       .infer = dequantize_infer,
                                       .grad = dequantize_differentiate,
                                       .cpu = dequantize_kernels };

/* ---- DequantizeGrad -------------------------------------------------------------------------------------------------
 */

static ot_status grad_infer(ot_infer *c)
{
    ot_grain grain;
    int axis;
    for (int i = 0; i < 3; i++)
        OT_TRY(ot_rank_between(c, i, 0, OT_MAX_RANK));
    OT_TRY(ot_quant_grain(&grain, &axis, c->node, c->x[0], c->x[1]));
    ot_set_shape(&c->y[0], c->x[1]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

static ot_status grad_run(const ot_run *r)
{
    ot_quant_map map;
    const double *dy = r->x[2].data;
    double *y = r->y[0].data;
    OT_TRY(ot_quant_map_of(&map, r));
    memset(y, 0, ot_tensor_bytes(&r->y[0]));
    for (int64_t i = 0, n = ot_tensor_count(&r->x[0]); i < n; i++) {
        int64_t at = ot_quant_at(&map, i);
        y[at] += dy[i] * (ot_tensor_get(&r->x[0], i) - (ot_has_x(r, 3) ? ot_tensor_get(&r->x[3], at) : 0));
    }
    return OT_OK;
}

static const ot_kernel grad_kernels[] = { { .name = "reference", .run = grad_run, .in_double = true }, { 0 } };

const ot_op ot_op_DequantizeGrad = { .domain = OT_INTERNAL,
                                     .name = "DequantizeGrad",
                                     .since = 1,
                                     .until = 1,
                                     .min_in = 3,
                                     .max_in = 4,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = grad_infer,
                                     .cpu = grad_kernels,
                                     .shape_only = 1u << 1 };

/* Products of quantized tensors, composed of plain ones.
 * MatMulInteger: (a, b[, zero_a, zero_b]) -> (a - zero_a)(b - zero_b) as int32; the zero points are scalars, one for
 * each row of a, or for each column of b.  ConvInteger: the same for a convolution; zero_w may be one for each output
 * channel. QLinearMatMul, QLinearConv: the product of what both inputs stand for, quantized by the scale and zero point
 * of y. Products and sums are exact: in int32 or, for those that are scaled after, in double. DynamicQuantizeLinear: x
 * -> y, scale, zero: x quantized to uint8 over its own range, widened to hold 0. */
#include "run.h"

#define AS(t) OT_ATTRS(OT_INT("to", t))

static ot_val cast(ot_build *b, ot_val v, ot_dtype t)
{
    return OT_EMIT_WITH(b, "Cast", AS(t), v);
}

static int rank_of(const ot_build *b, ot_val v)
{
    return ot_fact_of(b, v)->rank;
}

/* A vector of more than one element with `trail` dims of 1 behind it. */
static ot_val with_trail(ot_build *b, ot_val v, int trail)
{
    const ot_fact *f = ot_fact_of(b, v);
    int64_t axes[OT_MAX_RANK];
    if (f->rank != 1 || f->dim[0] == 1 || trail < 1 || trail >= OT_MAX_RANK)
        return v;
    for (int i = 0; i < trail; i++)
        axes[i] = 1 + i;
    return OT_EMIT(b, "Unsqueeze", v, ot_const_ints(b, trail, axes));
}

/* v - zero in this type; zero may be absent. */
static ot_val centred(ot_build *b, ot_val v, ot_val zero, ot_dtype t, int trail)
{
    v = cast(b, v, t);
    return zero == OT_NONE ? v : OT_EMIT(b, "Sub", v, with_trail(b, cast(b, zero, t), trail));
}

/* ---- MatMulInteger, ConvInteger -------------------------------------------------------------------------------------
 */

/* Input i has a known rank and a type of 8 bits, and its zero point the same type; says false after an error. */
static bool has_bytes(ot_build *b, int i, int zero, bool floats)
{
    const ot_fact *x = ot_fact_of(b, ot_x(b, i));
    ot_dtype t = x->dtype;
    bool fine = t == OT_INT8 || t == OT_UINT8 || (floats && t >= OT_FLOAT8E4M3FN && t <= OT_FLOAT8E5M2FNUZ);
    ot_dtype other = ot_x(b, zero) == OT_NONE ? t : ot_fact_of(b, ot_x(b, zero))->dtype;
    ot_status st = OT_OK;
    if (!fine)
        st = ot_fail(OT_ESHAPE, "input %d is %s, wanted is a type of 8 bits", i, ot_dtype_name(t));
    else if (other != t)
        st = ot_fail(OT_ESHAPE, "the zero point, input %d, is %s, wanted is %s", zero, ot_dtype_name(other),
                     ot_dtype_name(t));
    else if (x->rank < 0)
        st = ot_fail(OT_EUNSUPPORTED, "the rank of input %d is not known", i);
    if (st != OT_OK)
        ot_build_fail(b, st);
    return st == OT_OK;
}

static void matmul_integer_compose(ot_build *b)
{
    if (!has_bytes(b, 0, 2, false) || !has_bytes(b, 1, 3, false))
        return;
    ot_val a = centred(b, ot_x(b, 0), ot_x(b, 2), OT_INT32, rank_of(b, ot_x(b, 0)) > 1);
    ot_becomes(b, 0, OT_EMIT(b, "MatMul", a, centred(b, ot_x(b, 1), ot_x(b, 3), OT_INT32, 0)));
}

static void conv_integer_compose(ot_build *b)
{
    if (!has_bytes(b, 0, 2, false) || !has_bytes(b, 1, 3, false))
        return;
    ot_val x = centred(b, ot_x(b, 0), ot_x(b, 2), OT_DOUBLE, 0);
    ot_val w = centred(b, ot_x(b, 1), ot_x(b, 3), OT_DOUBLE, rank_of(b, ot_x(b, 1)) - 1);
    ot_becomes(b, 0, cast(b, OT_EMIT_WITH(b, "Conv", ot_the_node(b)->attr, x, w), OT_INT32));
}

/* ---- QLinearMatMul, QLinearConv -------------------------------------------------------------------------------------
 */

static bool qlinear_fits(ot_build *b)
{
    const ot_fact *scale = ot_fact_of(b, ot_x(b, 6));
    if (!has_bytes(b, 0, 2, true) || !has_bytes(b, 3, 5, true) || !has_bytes(b, 7, 7, true))
        return false;
    if (scale->rank == 0 || (scale->rank == 1 && (scale->dim[0] == 1 || ot_is_symbol(scale->dim[0]))))
        return true;
    ot_build_fail(b, ot_fail(OT_EUNSUPPORTED, "y has more than one scale"));
    return false;
}

/* The product of the scales, which stand at inputs 1 and 4. */
static ot_val scales(ot_build *b, int trail_a, int trail_b)
{
    ot_val s = with_trail(b, cast(b, ot_x(b, 1), OT_DOUBLE), trail_a);
    return OT_EMIT(b, "Mul", s, with_trail(b, cast(b, ot_x(b, 4), OT_DOUBLE), trail_b));
}

static void quantized(ot_build *b, ot_val real)
{
    ot_val single = ot_const_ints(b, 0, NULL), scale = cast(b, ot_x(b, 6), OT_DOUBLE);
    ot_becomes(b, 0,
               OT_EMIT(b, "QuantizeLinear", real, OT_EMIT(b, "Reshape", scale, single),
                       OT_EMIT(b, "Reshape", ot_x(b, 7), single)));
}

static void qlinear_matmul_compose(ot_build *b)
{
    if (!qlinear_fits(b))
        return;
    int rows = rank_of(b, ot_x(b, 0)) > 1;
    ot_val a = centred(b, ot_x(b, 0), ot_x(b, 2), OT_DOUBLE, rows);
    ot_val y = OT_EMIT(b, "MatMul", a, centred(b, ot_x(b, 3), ot_x(b, 5), OT_DOUBLE, 0));
    quantized(b, OT_EMIT(b, "Mul", y, scales(b, rows, 0)));
}

static void qlinear_conv_compose(ot_build *b)
{
    if (!qlinear_fits(b))
        return;
    int dims = rank_of(b, ot_x(b, 3));
    ot_val x = centred(b, ot_x(b, 0), ot_x(b, 2), OT_DOUBLE, 0);
    ot_val w = centred(b, ot_x(b, 3), ot_x(b, 5), OT_DOUBLE, dims - 1);
    ot_val bias = ot_x(b, 8) == OT_NONE ? OT_NONE : cast(b, ot_x(b, 8), OT_DOUBLE);
    ot_val y = OT_EMIT_WITH(b, "Conv", ot_the_node(b)->attr, x, w, bias);
    quantized(b, OT_EMIT(b, "Mul", y, scales(b, 0, dims - 2)));
}

/* ---- DynamicQuantizeLinear ------------------------------------------------------------------------------------------
 */

static void dynamic_compose(ot_build *b)
{
    ot_val x = ot_x(b, 0);
    ot_dtype t = ot_fact_of(b, x)->dtype;
    if (!ot_dtype_is_float(t)) {
        ot_build_fail(b, ot_fail(OT_ESHAPE, "input 0 is %s, wanted is float", ot_dtype_name(t)));
        return;
    }
    const ot_attr *whole = OT_ATTRS(OT_INT("keepdims", 0));
    ot_val zero = ot_const_scalar(b, t, 0), one = ot_const_scalar(b, t, 1), most = ot_const_scalar(b, t, 255);
    ot_val low = OT_EMIT(b, "Min", zero, OT_EMIT_WITH(b, "ReduceMin", whole, x));
    ot_val high = OT_EMIT(b, "Max", zero, OT_EMIT_WITH(b, "ReduceMax", whole, x));
    ot_val range = OT_EMIT(b, "Sub", high, low);
    range = OT_EMIT(b, "Where", OT_EMIT(b, "Equal", range, zero), one, range);
    ot_val scale = OT_EMIT(b, "Div", range, most);
    ot_val at = OT_EMIT(b, "Clip", OT_EMIT(b, "Sub", zero, OT_EMIT(b, "Div", low, scale)), zero, most);
    at = cast(b, OT_EMIT(b, "Round", at), OT_UINT8);
    ot_becomes(b, 0, OT_EMIT(b, "QuantizeLinear", x, scale, at));
    if (ot_the_node(b)->n_out > 1)
        ot_becomes(b, 1, scale);
    if (ot_the_node(b)->n_out > 2)
        ot_becomes(b, 2, at);
}

#define COMPOSED(id, first, least, most, outputs, how)                                                                 \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = first,                                                                         \
                               .until = OT_LATEST,                                                                     \
                               .min_in = least,                                                                        \
                               .max_in = most,                                                                         \
                               .min_out = 1,                                                                           \
                               .max_out = outputs,                                                                     \
                               .compose = how };

COMPOSED(ConvInteger, 10, 2, 4, 1, conv_integer_compose)
COMPOSED(DynamicQuantizeLinear, 11, 1, 1, 3, dynamic_compose)
COMPOSED(MatMulInteger, 10, 2, 4, 1, matmul_integer_compose)
COMPOSED(QLinearConv, 10, 8, 9, 1, qlinear_conv_compose)
COMPOSED(QLinearMatMul, 10, 8, 8, 1, qlinear_matmul_compose)

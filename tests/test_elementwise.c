/* Operators that work element by element: of one tensor, of two, of several. */
#include "op_case.h"

#include <math.h>

#define ALPHA(v) .attrs = OT_ATTRS(OT_REAL("alpha", v))

static const op_case unary_rows[] = {
    { .op = "Abs", .in = { OP_X(2, 3) } },
    { .op = "Abs", .in = { { .dtype = OT_INT8, OP_DIMS(3), OP_VALUES(-128, -5, 4) } }, OP_WANT(-128, 5, 4) },
    { .op = "Acos", .in = { OP_XD(OP_UNIT, 5) } },
    { .op = "Acosh",
      .in = { { .dtype = OT_FLOAT, .grad = true, .draw = OP_BETWEEN, .lo = 1.5, .hi = 3, OP_DIMS(4) } } },
    { .op = "Asin", .in = { OP_XD(OP_UNIT, 5) } },
    { .op = "Asinh", .in = { OP_X(5) } },
    { .op = "Atan", .in = { OP_X(5) } },
    { .op = "Atanh", .in = { OP_XD(OP_UNIT, 5) } },
    { .op = "Ceil", .in = { OP_F(3, 4) } },
    { .op = "Celu", ALPHA(2), .in = { OP_X(7) } },
    { .op = "Cos", .in = { OP_X(5) } },
    { .op = "Cosh", .in = { OP_X(5) } },
    { .op = "Elu", ALPHA(1.5), .in = { OP_X(7) } },
    { .op = "Erf",
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(2), OP_VALUES(0.5, -2) } },
      OP_WANT(0.5204998778130465, -0.9953222650189527) },
    { .op = "Exp", .in = { OP_X(3, 7) } },
    { .op = "Floor",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(4), OP_VALUES(-1.5, 0.5, 2, NAN) } },
      OP_WANT(-2, 0, 2, NAN) },
    { .op = "Gelu",
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(3), OP_VALUES(-1, 0.5, 2) } },
      OP_WANT(-0.15865525393145707, 0.3457312306370009, 1.9544997361036416) },
    { .op = "Gelu",
      .attrs = OT_ATTRS(OT_TEXT("approximate", "tanh")),
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(3), OP_VALUES(-1, 0.5, 2) } },
      OP_WANT(-0.15880800939172324, 0.34571400982514394, 1.954597694087775) },
    { .op = "Gelu", .attrs = OT_ATTRS(OT_TEXT("approximate", "x")), .in = { OP_F(3) }, .fails = "approximate is 'x'" },
    { .op = "HardSigmoid",
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(4), OP_VALUES(-3, -1, 1, 4) } },
      OP_WANT(0, 0.3, 0.7, 1) },
    { .op = "HardSwish",
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(4), OP_VALUES(-4, -1, 1, 4) } },
      OP_WANT(0, -1.0 / 3, 2.0 / 3, 4) },
    { .op = "LeakyRelu", ALPHA(0.25), .in = { OP_X(3, 3) } },
    { .op = "LeakyRelu", .in = { OP_F(130, 300) } },
    { .op = "Log", .in = { OP_XD(OP_POSITIVE, 3, 3) } },
    { .op = "Mish", .in = { OP_X(9) } },
    { .op = "Neg", .in = { OP_X(2, 3) } },
    { .op = "Neg", .in = { { .dtype = OT_INT32, OP_DIMS(3), OP_VALUES(-1, 0, 7) } }, OP_WANT(1, 0, -7) },
    { .op = "Reciprocal", .in = { OP_X(2, 3) } },
    { .op = "Round",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(4), OP_VALUES(0.5, 1.5, -2.5, 2.6) } },
      OP_WANT(0, 2, -2, 3) },
    { .op = "Selu", .in = { OP_X(7) } },
    { .op = "Shrink", .attrs = OT_ATTRS(OT_REAL("bias", 0.5), OT_REAL("lambd", 0.75)), .in = { OP_X(9) } },
    { .op = "Sigmoid", .in = { OP_X(3, 11) } },
    { .op = "Sigmoid", .in = { OP_X(0) } },
    { .op = "Sign", .in = { OP_F(3, 4) } },
    { .op = "Sin", .in = { OP_X(5) } },
    { .op = "Sinh", .in = { OP_X(5) } },
    { .op = "Softplus", .in = { OP_X(5) } },
    { .op = "Softsign", .in = { OP_X(5) } },
    { .op = "Sqrt", .in = { OP_XD(OP_POSITIVE, 5) } },
    { .op = "Sqrt", .in = { { .dtype = OT_INT32, OP_DIMS(2) } }, .fails = "int32" },
    { .op = "Swish", ALPHA(1.5), .in = { OP_X(6) } },
    { .op = "Tan", .in = { OP_XD(OP_UNIT, 5) } },
    { .op = "Tanh", .in = { OP_X(3, 11) } },
    { .op = "ThresholdedRelu", ALPHA(0.7), .in = { OP_X(9) } },
    { .op = "Swish", .opset = 23, .in = { OP_F(2) }, .fails = "Swish is here for opset 24" },
    { 0 },
};

#define BOUND(v)                                                                                                       \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, .rank = 0, OP_VALUES(v)                                                       \
    }

static const op_case clip_rows[] = {
    { .op = "Clip",
      .in = { OP_X(3, 4), { .dtype = OT_FLOAT, OP_VALUES(-0.5) }, { .dtype = OT_FLOAT, OP_VALUES(0.6) } } },
    { .op = "Clip", .in = { OP_X(3, 4), OP_ABSENT, { .dtype = OT_FLOAT, OP_VALUES(0.6) } } },
    { .op = "Clip", .in = { OP_X(3, 4) } },
    { .op = "Clip", .in = { OP_X(3, 4), BOUND(-0.53), BOUND(0.61) } },
    { .op = "Clip", .in = { OP_X(3, 4), BOUND(-0.53) } },
    { .op = "Clip", .in = { OP_X(3, 4), OP_ABSENT, BOUND(0.61) } },
    { .op = "Clip", .in = { OP_X_SCALAR, { .dtype = OT_FLOAT, .grad = true, OP_DIMS(1), OP_VALUES(2) } } },
    { .op = "Clip", .in = { OP_X(0, 4), BOUND(-0.53), BOUND(0.61) } },
    { .op = "Clip", .in = { OP_X(3, 4), BOUND(0.61), BOUND(-0.53) } }, /* all are max */
    { .op = "Clip", .opset = 6, .attrs = OT_ATTRS(OT_REAL("min", 0), OT_REAL("max", 6)), .in = { OP_X(5) } },
    { .op = "Clip", .opset = 6, .attrs = OT_ATTRS(OT_REAL("max", 0.5)), .in = { OP_X(5) } },
    { .op = "Clip",
      .in = { { .dtype = OT_INT8, OP_DIMS(3), OP_VALUES(-100, 3, 100) },
              { .dtype = OT_INT8, OP_VALUES(-5) },
              { .dtype = OT_INT8, OP_VALUES(50) } },
      OP_WANT(-5, 3, 50) },
    { .op = "Clip",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2), OP_VALUES(1, 5) },
              { .dtype = OT_FLOAT, OP_VALUES(4) },
              { .dtype = OT_FLOAT, OP_VALUES(2) } },
      OP_WANT(2, 2) },
    { .op = "Clip", .in = { OP_F(3), OP_F(2) }, .fails = "wanted is a scalar" },
    { 0 },
};

#define I32(...)                                                                                                       \
    {                                                                                                                  \
        .dtype = OT_INT32, OP_DIMS(4), OP_VALUES(__VA_ARGS__)                                                          \
    }
#define OLD(axis_) .opset = 6, .attrs = OT_ATTRS(OT_INT("broadcast", 1), OT_INT("axis", axis_))

static const op_case binary_rows[] = {
    { .op = "Add", .in = { OP_X(2, 3), OP_X(2, 3) } },
    { .op = "Add", .in = { OP_X(2, 3, 4), OP_X(3, 1) } },
    { .op = "Add", .in = { OP_X(3), OP_X_SCALAR } },
    { .op = "Add", .in = { OP_X(1, 3), OP_X(2, 1) } },
    { .op = "Add", .in = { OP_X(0, 3), OP_X(1, 3) } },
    { .op = "Add", .in = { OP_F(70, 500), OP_F(70, 500) } },
    { .op = "Add", .in = { OP_F(3, 17000), OP_F(17000) } },
    { .op = "Add", OLD(1), .in = { OP_X(2, 3, 4), OP_X(3) }, OP_WANT_DIM(2, 3, 4) },
    { .op = "Add", OLD(0), .in = { OP_X(2, 3, 4), OP_X(2) }, OP_WANT_DIM(2, 3, 4) },
    { .op = "Add", OLD(2), .in = { OP_F(2, 3), OP_F(2) }, .fails = "axis 2" },
    { .op = "Add", .in = { I32(2147483647, -1, 5, 0), I32(1, 1, -7, 0) }, OP_WANT(-2147483648.0, 0, -2, 0) },
    { .op = "Add", .in = { OP_F(2, 3), OP_F(2, 2) }, .fails = "do not broadcast" },
    { .op = "Add", .in = { OP_F(2), I32(0, 0, 0, 0) }, .fails = "int32" },
    { .op = "Sub", .in = { OP_X(2, 3), OP_X(3) } },
    { .op = "Sub", .in = { OP_X_SCALAR, OP_X(3, 2) } },
    { .op = "Sub", .in = { OP_F(20000), OP_F(20000) } },
    { .op = "Mul", .in = { OP_X(2, 3), OP_X(2, 1) } },
    { .op = "Mul", .in = { OP_X(4, 1, 3), OP_X(2, 1) } },
    { .op = "Mul", .in = { OP_F(2, 3, 5, 7), OP_F(3, 1, 1) } },
    { .op = "Div", .in = { OP_X(2, 3), OP_X(3) } },
    { .op = "Div", .in = { OP_X(3), OP_X(2, 3) } },
    { .op = "Div", .in = { I32(7, -7, 7, -2147483648.0), I32(2, 2, -2, -1) }, OP_WANT(3, -3, -3, -2147483648.0) },
    { .op = "Div", .in = { I32(7, -7, 7, 1), I32(0, 7, 7, 1) }, OP_WANT(0, -1, 1, 1) },
    { .op = "Mod", .in = { I32(7, -7, 7, -7), I32(3, 3, -3, -3) }, OP_WANT(1, 2, -2, -1) },
    { .op = "Mod",
      .attrs = OT_ATTRS(OT_INT("fmod", 1)),
      .in = { I32(7, -7, 7, -7), I32(3, 3, -3, -3) },
      OP_WANT(1, -1, 1, -1) },
    { .op = "Mod", .attrs = OT_ATTRS(OT_INT("fmod", 1)), .in = { OP_F(2, 3), OP_F(3) } },
    { .op = "Mod", .in = { OP_F(2, 3), OP_F(3) }, .fails = "fmod must be 1" },
    { .op = "Pow", .in = { OP_XD(OP_POSITIVE, 2, 3), OP_X(3) } },
    { .op = "Pow", .in = { OP_X(2, 3), { .dtype = OT_FLOAT, OP_VALUES(2) } } },
    { .op = "Pow", .in = { OP_X(2, 3), { .dtype = OT_INT64, OP_VALUES(3) } } },
    { .op = "Pow", .in = { OP_X(3), { .dtype = OT_FLOAT, OP_VALUES(0) } }, OP_WANT(1, 1, 1) },
    { .op = "Pow", .in = { I32(2, -3, 10, 5), I32(10, 3, 0, -1) }, OP_WANT(1024, -27, 1, 0) },
    { .op = "PRelu", .in = { OP_X(2, 3), OP_X(3) } },
    { .op = "PRelu", .in = { OP_X(2, 3, 2), OP_X(3, 1) } },
    { .op = "PRelu", .opset = 6, .in = { OP_X(2, 3, 2), OP_X(3) } },
    { .op = "PRelu", .opset = 1, .in = { OP_X(2, 3), OP_X(3) } },
    { .op = "PRelu", .opset = 1, .in = { OP_X(2, 3, 2), OP_X(1) } },
    { .op = "PRelu",
      .opset = 9,
      .in = { { .dtype = OT_INT32, OP_DIMS(3), OP_VALUES(-2, 0, 3) },
              { .dtype = OT_INT32, OP_DIMS(1), OP_VALUES(-5) } },
      OP_WANT(10, 0, 3) },
    { .op = "PRelu",
      .in = { { .dtype = OT_UINT64, OP_DIMS(2), OP_VALUES(7, 0) },
              { .dtype = OT_UINT64, OP_DIMS(2), OP_VALUES(5, 4) } },
      OP_WANT(7, 0) },
    { 0 },
};

static const op_case variadic_rows[] = {
    { .op = "Max", .in = { OP_XD(OP_SPREAD, 2, 3), OP_X(3) } },
    { .op = "Max", .in = { OP_X(3), OP_XD(OP_SPREAD, 2, 3), OP_XD(OP_UNIT, 2, 1) } },
    { .op = "Max", .in = { OP_X(3) } },
    { .op = "Max",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(3), OP_VALUES(NAN, 1, 2) },
              { .dtype = OT_FLOAT, OP_DIMS(3), OP_VALUES(1, NAN, 1) } },
      OP_WANT(NAN, NAN, 2) },
    { .op = "Max", .in = { I32(1, -2, 3, 4), I32(0, 5, 3, -4) }, OP_WANT(1, 5, 3, 4) },
    { .op = "Min", .in = { OP_XD(OP_SPREAD, 2, 3), OP_X(3) } },
    { .op = "Min", .in = { OP_X(3), OP_XD(OP_SPREAD, 2, 3), OP_XD(OP_UNIT, 2, 1) } },
    { .op = "Sum", .in = { OP_X(2, 3) } },
    { .op = "Sum", .in = { OP_X(2, 3), OP_X(3) } },
    { .op = "Sum", .opset = 6, .in = { OP_X(2, 3), OP_X(2, 3), OP_X(2, 3) } },
    { .op = "Mean", .in = { OP_X(2, 3), OP_X(3), OP_X(2, 1) } },
    { .op = "Mean", .in = { OP_X(2, 3) } },
    { 0 },
};

#define OF(t, ...)                                                                                                     \
    {                                                                                                                  \
        .dtype = t, OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                                            \
    }
#define TURN(way) .attrs = OT_ATTRS(OT_TEXT("direction", way))

static const op_case bit_rows[] = {
    { .op = "BitwiseAnd",
      .in = { { .dtype = OT_UINT8, OP_DIMS(2, 2), OP_VALUES(255, 6, 3, 12) }, OF(OT_UINT8, 3, 4) },
      OP_WANT(3, 4, 3, 4) },
    { .op = "BitwiseOr", .in = { OF(OT_INT16, -256, 1), OF(OT_INT16, 15, 2) }, OP_WANT(-241, 3) },
    { .op = "BitwiseXor", .in = { OF(OT_INT64, -1, 5), OF(OT_INT64, 1) }, OP_WANT(-2, 4) },
    { .op = "BitwiseXor", .in = { OF(OT_UINT32, 4294967295.0), OF(OT_UINT32, 1) }, OP_WANT(4294967294.0) },
    { .op = "BitwiseNot", .in = { OF(OT_INT32, 0, 5) }, OP_WANT(-1, -6) },
    { .op = "BitwiseNot", .in = { OF(OT_UINT8, 0, 5) }, OP_WANT(255, 250) },
    { .op = "BitShift", TURN("LEFT"), .in = { OF(OT_UINT8, 255, 1, 1), OF(OT_UINT8, 1, 8, 200) }, OP_WANT(254, 0, 0) },
    { .op = "BitShift", TURN("RIGHT"), .in = { OF(OT_UINT64, 0x1p63, 1), OF(OT_UINT64, 63, 64) }, OP_WANT(1, 0) },
    { .op = "BitShift", TURN("UP"), .in = { OF(OT_UINT8, 1), OF(OT_UINT8, 1) }, .fails = "direction is 'UP'" },
    { .op = "BitShift", TURN("LEFT"), .in = { OF(OT_INT8, 1), OF(OT_INT8, 1) }, .fails = "int8" },
    { .op = "BitwiseAnd", .in = { OP_F(2), OP_F(2) }, .fails = "not defined for" },
    { 0 },
};

/* Types that few models have. */
static const op_case type_rows[] = {
    { .op = "Shrink",
      .attrs = OT_ATTRS(OT_REAL("bias", 1.5), OT_REAL("lambd", 2)),
      .in = { OF(OT_INT8, -4, 2, 5) },
      OP_WANT(-2, 0, 3) },
    { .op = "PRelu", .in = { OF(OT_INT32, -4, 2), OF(OT_INT32, 3) }, OP_WANT(-12, 2) },
    { .op = "PRelu", .in = { OF(OT_UINT64, 0x1p63, 2), OF(OT_UINT64, 3) }, OP_WANT(0x1p63, 2) },
    { .op = "IsNaN", .in = { OF(OT_FLOAT8E5M2, NAN, 2, INFINITY) }, OP_WANT(1, 0, 0) },
    { .op = "IsInf", .in = { OF(OT_FLOAT8E5M2FNUZ, 3, NAN) }, OP_WANT(0, 0) },
    { .op = "Neg", .in = { { .dtype = OT_INT8, .constant = true, OP_DIMS(1), OP_VALUES(-128) } }, OP_WANT(-128) },
    { .op = "Neg",
      .in = { { .dtype = OT_INT64, .constant = true, OP_DIMS(1), OP_VALUES(-0x1.8p62) } },
      OP_WANT(0x1.8p62) },
    { .op = "Div",
      .in = { { .dtype = OT_INT64, .constant = true, OP_DIMS(1), OP_VALUES(-0x1p63) }, OP_SHAPE(4) },
      OP_WANT(-0x1p61) },
    { .op = "Reshape",
      .in = { { .dtype = OT_UINT64, .constant = true, OP_DIMS(1), OP_VALUES(0x1p63) }, OP_SHAPE(1) },
      OP_WANT(0x1p63) },
    { .op = "Slice",
      .in = { { .dtype = OT_INT64, .constant = true, OP_DIMS(1), OP_VALUES(-0x1p63) }, OP_SHAPE(0), OP_SHAPE(1) },
      OP_WANT(-0x1p63) },
    { 0 },
};

static void unary(void)
{
    op_cases_run(unary_rows);
}

static void clip(void)
{
    op_cases_run(clip_rows);
}

static void binary(void)
{
    op_cases_run(binary_rows);
}

static void bitwise(void)
{
    op_cases_run(bit_rows);
}

static void element_types(void)
{
    op_cases_run(type_rows);
}

static void variadic(void)
{
    op_cases_run(variadic_rows);
}

const ot_test elementwise_tests[] = { { "bitwise", bitwise },
                                      { "element types", element_types },
                                      { "unary", unary },
                                      { "clip", clip },
                                      { "binary", binary },
                                      { "variadic", variadic },
                                      { 0 } };

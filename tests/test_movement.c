/* Operators that move elements: Concat, Split, Slice, Pad, Gather, Where; and those that make shapes and constants. */
#include "op_case.h"

#include <math.h>

#define LIST(key, ...) OT_INTS(key, ((const int64_t[]){ __VA_ARGS__ }), OP_COUNT_(__VA_ARGS__))
#define AXIS(v)        .attrs = OT_ATTRS(OT_INT("axis", v))
#define SEVEN                                                                                                          \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_DIMS(7), OP_VALUES(0, 1, 2, 3, 4, 5, 6)                                    \
    }
#define I64(n, ...)                                                                                                    \
    {                                                                                                                  \
        .dtype = OT_INT64, OP_DIMS(n), OP_VALUES(__VA_ARGS__)                                                          \
    }

static const op_case concat_rows[] = {
    { .op = "Concat", AXIS(0), .in = { OP_X(2, 3), OP_X(1, 3) }, OP_WANT_DIM(3, 3) },
    { .op = "Concat", AXIS(-1), .in = { OP_X(2, 3), OP_X(2, 1), OP_X(2, 2) }, OP_WANT_DIM(2, 6) },
    { .op = "Concat", AXIS(1), .in = { OP_X(2, 0, 2), OP_X(2, 3, 2) }, OP_WANT_DIM(2, 3, 2) },
    { .op = "Concat", AXIS(1), .in = { OP_X(2, 3) } },
    { .op = "Concat", .opset = 1, .in = { OP_X(2, 3), OP_X(2, 1) }, OP_WANT_DIM(2, 4) },
    { .op = "Concat", AXIS(1), .in = { OP_F(3, 40, 100), OP_F(3, 30, 100) } },
    { .op = "Concat", AXIS(0), .in = { I64(2, 1, 2), I64(1, 3) }, OP_WANT(1, 2, 3) },
    { .op = "Concat", AXIS(2), .in = { OP_F(2, 3), OP_F(2, 3) }, .fails = "axis 2" },
    { .op = "Concat", AXIS(0), .in = { OP_F(2, 3), OP_F(2, 2) }, .fails = "dimension 1 differs" },
    { .op = "Concat", .in = { OP_F(2, 3), OP_F(2, 3) }, .fails = "axis is missing" },
    { .op = "Split", .in = { SEVEN, OP_SHAPE(3, 4) }, .n_out = 2, OP_WANT(0, 1, 2) },
    { .op = "Split", AXIS(1), .in = { OP_X(2, 6, 2) }, .n_out = 3, OP_WANT_DIM(2, 2, 2) },
    { .op = "Split",
      .attrs = OT_ATTRS(OT_INT("num_outputs", 3)),
      .in = { OP_X(7) },
      .n_out = 3,
      OP_WANT_DIM(3),
      .no_symbols = true },
    { .op = "Split",
      .opset = 2,
      .attrs = OT_ATTRS(OT_INT("axis", -1), LIST("split", 1, 2)),
      .in = { OP_X(2, 3) },
      .n_out = 2,
      OP_WANT_DIM(2, 1) },
    { .op = "Split", .in = { OP_F(7), OP_SHAPE(3, 3) }, .n_out = 2, .fails = "add up to 6" },
    { .op = "Split", .in = { OP_F(7), OP_SHAPE(3, 3, 1) }, .n_out = 2, .fails = "3 sizes for 2 outputs" },
    { 0 },
};

static const op_case slice_rows[] = {
    { .op = "Slice", .in = { SEVEN, OP_SHAPE(1), OP_SHAPE(6), OP_SHAPE(0), OP_SHAPE(2) }, OP_WANT(1, 3, 5) },
    { .op = "Slice", .in = { SEVEN, OP_SHAPE(-1), OP_SHAPE(-100), OP_SHAPE(0), OP_SHAPE(-3) }, OP_WANT(6, 3, 0) },
    { .op = "Slice", .in = { SEVEN, OP_SHAPE(2), OP_SHAPE(1000) }, OP_WANT(2, 3, 4, 5, 6) },
    { .op = "Slice", .in = { SEVEN, OP_SHAPE(5), OP_SHAPE(2) }, OP_WANT_DIM(0), .no_symbols = true },
    { .op = "Slice", .in = { OP_X(3, 4, 5), OP_SHAPE(0, -3), OP_SHAPE(2, -1), OP_SHAPE(0, -1) }, OP_WANT_DIM(2, 4, 2) },
    { .op = "Slice",
      .in = { OP_X(3, 4, 5), OP_SHAPE(3, 1), OP_SHAPE(-9, 4), OP_SHAPE(1, 2), OP_SHAPE(-1, 1) },
      OP_WANT_DIM(3, 4, 3) },
    { .op = "Slice",
      .opset = 9,
      .attrs = OT_ATTRS(LIST("starts", 1), LIST("ends", 3), LIST("axes", 1)),
      .in = { OP_X(2, 4) },
      OP_WANT_DIM(2, 2) },
    { .op = "Slice",
      .opset = 1,
      .attrs = OT_ATTRS(LIST("starts", 0, 1), LIST("ends", 1, -1)),
      .in = { OP_X(2, 4) },
      OP_WANT_DIM(1, 2) },
    { .op = "Slice", .in = { OP_F(7), OP_SHAPE(1), OP_SHAPE(6), OP_SHAPE(0), OP_SHAPE(0) }, .fails = "is 0" },
    { .op = "Slice", .in = { OP_F(7), OP_SHAPE(1, 1), OP_SHAPE(6, 2) }, .fails = "more starts than" },
    { .op = "Slice", .in = { OP_F(7), OP_SHAPE(1) }, .fails = "input 2 is missing" },
    { .op = "Slice", .in = { OP_F(7), I64(1, 0), I64(1, 2) } },
    { 0 },
};

#define MODE(m) .attrs = OT_ATTRS(OT_TEXT("mode", m))
#define THREE                                                                                                          \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_DIMS(3), OP_VALUES(1, 2, 3)                                                \
    }

static const op_case pad_rows[] = {
    { .op = "Pad",
      .in = { THREE, OP_SHAPE(1, 2), { .dtype = OT_FLOAT, .grad = true, OP_VALUES(9) } },
      OP_WANT(9, 1, 2, 3, 9, 9) },
    { .op = "Pad", .in = { THREE, OP_SHAPE(-1, 1) }, OP_WANT(2, 3, 0) },
    { .op = "Pad", .in = { OP_X(2, 3), OP_SHAPE(1, 0, 0, 2) }, OP_WANT_DIM(3, 5) },
    { .op = "Pad", .in = { OP_X(2, 3, 2), OP_SHAPE(1, 2), OP_ABSENT, OP_SHAPE(-1) }, OP_WANT_DIM(2, 3, 5) },
    { .op = "Pad", MODE("reflect"), .in = { THREE, OP_SHAPE(2, 1) }, OP_WANT(3, 2, 1, 2, 3, 2) },
    { .op = "Pad", MODE("reflect"), .in = { THREE, OP_SHAPE(0, 4) }, OP_WANT(1, 2, 3, 2, 1, 2, 3) },
    { .op = "Pad", MODE("edge"), .in = { THREE, OP_SHAPE(2, 1) }, OP_WANT(1, 1, 1, 2, 3, 3) },
    { .op = "Pad", MODE("wrap"), .in = { THREE, OP_SHAPE(2, 1) }, OP_WANT(2, 3, 1, 2, 3, 1) },
    { .op = "Pad", MODE("reflect"), .in = { OP_X(3, 4), OP_SHAPE(1, 2, 1, 0) }, OP_WANT_DIM(5, 6) },
    { .op = "Pad",
      .opset = 2,
      .attrs = OT_ATTRS(LIST("pads", 0, 1, 0, 1), OT_REAL("value", 0.5)),
      .in = { OP_X(2, 3) },
      OP_WANT_DIM(2, 5) },
    { .op = "Pad",
      .opset = 1,
      .attrs = OT_ATTRS(LIST("paddings", 0, 1, 0, 1)),
      .in = { OP_X(2, 3) },
      OP_WANT_DIM(2, 5) },
    { .op = "Pad", MODE("mirror"), .in = { OP_F(3), OP_SHAPE(1, 1) }, .fails = "mode is 'mirror'" },
    { .op = "Pad", .in = { OP_F(3), OP_SHAPE(1) }, .fails = "1 pads for 1 axes" },
    { .op = "Pad", .in = { OP_F(3), OP_SHAPE(-2, -2) }, .fails = "leave nothing" },
    { 0 },
};

static const op_case gather_rows[] = {
    { .op = "Gather", .in = { SEVEN, I64(3, 2, -1, 2) }, OP_WANT(2, 6, 2) },
    { .op = "Gather",
      AXIS(1),
      .in = { OP_X(2, 4, 3), { .dtype = OT_INT32, OP_DIMS(2, 2), OP_VALUES(0, 3, 3, -4) } },
      OP_WANT_DIM(2, 2, 2, 3) },
    { .op = "Gather", AXIS(-1), .in = { OP_X(2, 4), { .dtype = OT_INT64, OP_VALUES(1) } }, OP_WANT_DIM(2) },
    { .op = "Gather", .in = { OP_X(3, 300), I64(4, 0, 1, 0, 2) } },
    { .op = "Gather", .in = { OP_X(3, 2), { .dtype = OT_INT64, OP_DIMS(0) } }, OP_WANT_DIM(0, 2) },
    { .op = "Gather", .in = { OP_F(3), I64(1, 3) }, .fails = "index 3 is outside of axis 0, which is 3" },
    { .op = "Gather", .in = { OP_F(3), OP_F(1) }, .fails = "indices are float" },
    { 0 },
};

#define B(n, ...)                                                                                                      \
    {                                                                                                                  \
        .dtype = OT_BOOL, OP_DIMS(n), OP_VALUES(__VA_ARGS__)                                                           \
    }

static const op_case where_rows[] = {
    { .op = "Where", .in = { B(3, 1, 0, 1), OP_X(3), OP_X(2, 3) } },
    { .op = "Where", .in = { B(2, 1, 0), OP_X_SCALAR, OP_X(2, 2) } },
    { .op = "Where", .in = { B(2, 1, 0), I64(2, 1, 2), I64(2, 3, 4) }, OP_WANT(1, 4) },
    { .op = "Where", .in = { OP_F(2), OP_F(2), OP_F(2) }, .fails = "condition is float" },
    { .op = "Equal", .in = { I64(3, 1, 2, 3), I64(3, 1, 5, 3) }, OP_WANT(1, 0, 1) },
    { .op = "Equal", .in = { B(2, 1, 0), B(2, 1, 1) }, OP_WANT(1, 0) },
    { .op = "Less", .in = { OP_F(3, 4), OP_F(4) } },
    { .op = "Less", .in = { I64(3, 1, 2, 3), I64(1, 2) }, OP_WANT(1, 0, 0) },
    { .op = "LessOrEqual", .in = { I64(3, 1, 2, 3), I64(1, 2) }, OP_WANT(1, 1, 0) },
    { .op = "Greater", .in = { I64(3, 1, 2, 3), I64(1, 2) }, OP_WANT(0, 0, 1) },
    { .op = "GreaterOrEqual", .in = { I64(3, 1, 2, 3), I64(1, 2) }, OP_WANT(0, 1, 1) },
    { .op = "And", .in = { B(4, 0, 0, 1, 1), B(4, 0, 1, 0, 1) }, OP_WANT(0, 0, 0, 1) },
    { .op = "Or", .in = { B(4, 0, 0, 1, 1), B(4, 0, 1, 0, 1) }, OP_WANT(0, 1, 1, 1) },
    { .op = "Xor", .in = { B(4, 0, 0, 1, 1), B(4, 0, 1, 0, 1) }, OP_WANT(0, 1, 1, 0) },
    { .op = "Not", .in = { B(2, 0, 1) }, OP_WANT(1, 0) },
    { .op = "IsNaN", .in = { { .dtype = OT_FLOAT, OP_DIMS(3), OP_VALUES(NAN, 1, INFINITY) } }, OP_WANT(1, 0, 0) },
    { .op = "IsInf",
      .attrs = OT_ATTRS(OT_INT("detect_negative", 0)),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(3), OP_VALUES(INFINITY, 1, -INFINITY) } },
      OP_WANT(1, 0, 0) },
    { .op = "And", .in = { OP_F(2), OP_F(2) }, .fails = "not defined for float" },
    { 0 },
};

/* Elements that are known while shapes are: the last node of each is never run. */
static const op_case known_rows[] = {
    { .op = "Mod", .in = { OP_SHAPE(7), OP_SHAPE(3) }, OP_WANT(1) },
    { .op = "Less", .in = { OP_SHAPE(7, 2), OP_SHAPE(3) }, OP_WANT(0, 1) },
    { .op = "GreaterOrEqual", .in = { OP_SHAPE(7, 3), OP_SHAPE(3) }, OP_WANT(1, 1) },
    { .op = "Div", .in = { OP_SHAPE(-7, 7), OP_SHAPE(2) }, OP_WANT(-3, 3) },
    { .op = "Slice",
      .in = { OP_SHAPE(4, 5, 6), OP_SHAPE(-1), OP_SHAPE(-9), OP_SHAPE(0), OP_SHAPE(-2) },
      OP_WANT(6, 4) },
    { .op = "Gather", .in = { OP_SHAPE(4, 5, 6), OP_SHAPE(-1, 0) }, OP_WANT(6, 4) },
    { .op = "Concat", AXIS(0), .in = { OP_SHAPE(4), OP_SHAPE(5, 6) }, OP_WANT(4, 5, 6) },
    { .op = "Squeeze", .in = { OP_X(1, 3), I64(1, 0) } },
    { .op = "ReduceSum", .in = { OP_X(1, 3), I64(1, 0) } },
    { .op = "Slice", .in = { OP_F(7), OP_SHAPE(1), OP_SHAPE(2), I64(1, 0) } },
    { 0 },
};

static const op_case shape_rows[] = {
    { .op = "Shape", .in = { OP_F(2, 3, 4) }, OP_WANT(2, 3, 4) },
    { .op = "Shape",
      .attrs = OT_ATTRS(OT_INT("start", -2), OT_INT("end", 10)),
      .in = { OP_F(2, 3, 4) },
      OP_WANT(3, 4),
      OP_WANT_DIM(2) },
    { .op = "Shape", .in = { { .dtype = OT_FLOAT } }, OP_WANT_DIM(0) },
    { .op = "Size", .in = { OP_F(2, 3, 4) }, OP_WANT(24) },
    { .op = "ConstantOfShape", .in = { OP_SHAPE(2, 3) }, OP_WANT(0, 0, 0, 0, 0, 0) },
    { .op = "ConstantOfShape", .in = { OP_SHAPE(-1) }, .fails = "is -1" },
    { .op = "Range",
      .in = { { .dtype = OT_INT64, .constant = true, OP_VALUES(10) },
              { .dtype = OT_INT64, .constant = true, OP_VALUES(3) },
              { .dtype = OT_INT64, .constant = true, OP_VALUES(-3) } },
      OP_WANT(10, 7, 4) },
    { .op = "Range",
      .in = { { .dtype = OT_FLOAT, .constant = true, OP_VALUES(1) },
              { .dtype = OT_FLOAT, .constant = true, OP_VALUES(2) },
              { .dtype = OT_FLOAT, .constant = true, OP_VALUES(0.25) } },
      OP_WANT(1, 1.25, 1.5, 1.75) },
    { .op = "Constant", .attrs = OT_ATTRS(LIST("value_ints", 4, 5)), OP_WANT(4, 5) },
    { .op = "Constant", .attrs = OT_ATTRS(OT_REAL("value_float", 2.5)), OP_WANT(2.5) },
    { .op = "Constant", .fails = "one attribute" },
    { .op = "ZerosLike", .in = { OP_F(2) }, OP_WANT(0, 0) },
    { 0 },
};

#define FILL(t, bits)                                                                                                  \
    .attrs = OT_ATTRS({ .name = "value",                                                                               \
                        .type = OT_ATTR_TENSOR,                                                                        \
                        .tensor = &(const ot_tensor){ .dtype = t, .data = (uint8_t[8]){ bits } } })
#define OF(t, ...)                                                                                                     \
    {                                                                                                                  \
        .dtype = t, OP_DIMS(__VA_ARGS__), .draw = OP_BETWEEN, .lo = 0, .hi = 1.9                                       \
    }

/* ---- Element types: one row a class that is moved in its own way. */

#define MOVES(t)                                                                                                       \
    { .op = "Transpose", .in = { OF(t, 3, 5) } }, { .op = "Slice", .in = { OF(t, 7, 3), OP_SHAPE(1), OP_SHAPE(6) } },  \
        { .op = "Concat", AXIS(1), .in = { OF(t, 3, 3), OF(t, 3, 2) } },                                               \
        { .op = "Split", AXIS(0), .in = { OF(t, 7), OP_SHAPE(3, 4) }, .n_out = 2 },                                    \
        { .op = "Gather", AXIS(1), .in = { OF(t, 3, 5), OP_SHAPE(4, 0, -2) } },                                        \
        { .op = "Expand", .in = { OF(t, 3, 1), OP_SHAPE(3, 3) } },                                                     \
        { .op = "Pad", .in = { OF(t, 3, 1), OP_SHAPE(0, 1, 1, 1) } },                                                  \
        { .op = "Pad", .attrs = OT_ATTRS(OT_TEXT("mode", "edge")), .in = { OF(t, 5), OP_SHAPE(2, 0) } },               \
        { .op = "Where", .in = { OF(OT_BOOL, 5), OF(t, 3, 5), OF(t, 1) } }, { .op = "Identity", .in = { OF(t, 5) } },  \
        { .op = "Reshape", .in = { OF(t, 3, 3), OP_SHAPE(9) } }, { .op = "Flatten", .in = { OF(t, 3, 3) } },           \
        { .op = "Squeeze", .in = { OF(t, 3, 1) } }, { .op = "Unsqueeze", .in = { OF(t, 3), OP_SHAPE(0) } },            \
        { .op = "Shape", .in = { OF(t, 3, 3) }, OP_WANT(3, 3) },                                                       \
    {                                                                                                                  \
        .op = "Size", .in = { OF(t, 3, 3) }, OP_WANT(9)                                                                \
    }

static const op_case type_rows[] = {
    MOVES(OT_UINT8),
    MOVES(OT_BFLOAT16),
    MOVES(OT_FLOAT16),
    MOVES(OT_UINT64),
    MOVES(OT_COMPLEX64),
    MOVES(OT_COMPLEX128),
    MOVES(OT_FLOAT8E4M3FN),
    MOVES(OT_FLOAT8E8M0),
    MOVES(OT_FLOAT4E2M1),
    MOVES(OT_INT4),
    MOVES(OT_UINT4),
    MOVES(OT_UINT2),
    MOVES(OT_INT2),
    MOVES(OT_STRING),
    { .op = "Transpose",
      .in = { { .dtype = OT_INT2, OP_DIMS(2, 3), OP_VALUES(-2, -1, 0, 1, 0, -1) } },
      OP_WANT(-2, 1, -1, 0, 0, -1) },
    { .op = "Pad",
      .in = { { .dtype = OT_UINT4, OP_DIMS(2), OP_VALUES(3, 15) },
              OP_SHAPE(1, 2),
              { .dtype = OT_UINT4, OP_VALUES(9) } },
      OP_WANT(9, 3, 15, 9, 9) },
    { .op = "Pad", .in = { OP_F(2), OP_SHAPE(1, 2), OP_F(0) }, .fails = "wanted is a scalar" },
    { .op = "Gather",
      .in = { { .dtype = OT_FLOAT4E2M1, OP_DIMS(3), OP_VALUES(0.5, -6, 3) }, OP_SHAPE(2, 0, 1, 1) },
      OP_WANT(3, 0.5, -6, -6) },
    { .op = "Where",
      .in = { { .dtype = OT_BOOL, OP_DIMS(3), OP_VALUES(1, 0, 1) },
              { OP_DIMS(3), OP_TEXT("a", "b", "c") },
              { OP_DIMS(1), OP_TEXT("z") } },
      OP_WANT_TEXT("a", "z", "c") },
    { .op = "Pad",
      .in = { { OP_DIMS(1), OP_TEXT("a") }, OP_SHAPE(1, 0), { .rank = 0, OP_TEXT("-") } },
      OP_WANT_TEXT("-", "a") },
    { .op = "Constant", .attrs = OT_ATTRS(OT_TEXT("value_string", "hello")), OP_WANT_TEXT("hello") },
    { .op = "Constant",
      .attrs = OT_ATTRS(
          { .name = "value_strings", .type = OT_ATTR_STRINGS, .n = 2, .strings = (const char *const[]){ "a", "" } }),
      OP_WANT_TEXT("a", ""),
      OP_WANT_DIM(2) },
    { .op = "ConstantOfShape", FILL(OT_INT4, 0xA), .in = { OP_SHAPE(3) }, OP_WANT(-6, -6, -6) },
    { .op = "ConstantOfShape", FILL(OT_UINT2, 0x2), .in = { OP_SHAPE(5) }, OP_WANT(2, 2, 2, 2, 2) },
    { .op = "ConstantOfShape", FILL(OT_FLOAT8E5M2, 0x3C), .in = { OP_SHAPE(2) }, OP_WANT(1, 1) },
    { 0 },
};

static void element_types(void)
{
    op_cases_run(type_rows);
}

static void concat(void)
{
    op_cases_run(concat_rows);
}

static void slice(void)
{
    op_cases_run(slice_rows);
}

static void pad(void)
{
    op_cases_run(pad_rows);
}

static void gather(void)
{
    op_cases_run(gather_rows);
}

static void where(void)
{
    op_cases_run(where_rows);
}

static void known(void)
{
    op_cases_run(known_rows);
}

static void shapes(void)
{
    op_cases_run(shape_rows);
}

const ot_test movement_tests[] = { { "concat", concat },
                                   { "slice", slice },
                                   { "pad", pad },
                                   { "gather", gather },
                                   { "where", where },
                                   { "known", known },
                                   { "shapes", shapes },
                                   { "element types", element_types },
                                   { 0 } };

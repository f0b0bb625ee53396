/* Operators that give the same elements other dims, or another order. */
#include "op_case.h"

#define AXES(...) .attrs = OT_ATTRS(OT_INTS("axes", ((const int64_t[]){ __VA_ARGS__ }), OP_COUNT_(__VA_ARGS__)))
#define PERM(...) .attrs = OT_ATTRS(OT_INTS("perm", ((const int64_t[]){ __VA_ARGS__ }), OP_COUNT_(__VA_ARGS__)))
#define AXIS(v)   .attrs = OT_ATTRS(OT_INT("axis", v))

static const op_case reshape_rows[] = {
    { .op = "Reshape", .in = { OP_X(2, 3, 4), OP_SHAPE(4, 6) }, OP_WANT_DIM(4, 6) },
    { .op = "Reshape", .in = { OP_X(2, 3, 4), OP_SHAPE(0, -1) }, OP_WANT_DIM(2, 12) },
    { .op = "Reshape", .in = { OP_X(2, 3, 4), OP_SHAPE(-1) }, OP_WANT_DIM(24) },
    { .op = "Reshape",
      .in = { OP_X(1), { .dtype = OT_INT64, .constant = true, .rank = 1, .dim = { 0 } } },
      .want_rank = 1 },
    { .op = "Reshape", .in = { OP_F(0, 3), OP_SHAPE(0, -1) }, OP_WANT_DIM(0, 3) },
    { .op = "Reshape",
      .attrs = OT_ATTRS(OT_INT("allowzero", 1)),
      .in = { OP_F(0, 3), OP_SHAPE(3, 0) },
      OP_WANT_DIM(3, 0) },
    { .op = "Reshape",
      .opset = 4,
      .attrs = OT_ATTRS(OT_INTS("shape", ((const int64_t[]){ 3, 0, -1 }), 3)),
      .in = { OP_X(2, 3, 4) },
      .fails = "cannot become" },
    { .op = "Reshape",
      .opset = 4,
      .attrs = OT_ATTRS(OT_INTS("shape", ((const int64_t[]){ 4, -1 }), 2)),
      .in = { OP_X(2, 3, 4) },
      OP_WANT_DIM(4, 6) },
    { .op = "Reshape", .in = { OP_F(2, 3), OP_SHAPE(4, -1) }, .fails = "cannot become" },
    { .op = "Reshape", .in = { OP_F(2, 3), OP_SHAPE(-1, -1) }, .fails = "two dimensions of -1" },
    { .op = "Reshape", .in = { OP_F(2, 3), OP_SHAPE(6, 1, 0) }, .fails = "is to be kept" },
    { .op = "Reshape", .in = { OP_F(2, 3), OP_SHAPE(-2, 3) }, .fails = "is -2" },
    { .op = "Reshape", .in = { OP_F(2, 3), OP_SHAPE(7) }, .fails = "[2,3] cannot become [7]" },
    { .op = "ReshapeLike", .in = { OP_X(2, 3), OP_F(3, 2) }, OP_WANT_DIM(3, 2) },
    { .op = "Flatten", .in = { OP_X(2, 3, 4) }, OP_WANT_DIM(2, 12) },
    { .op = "Flatten", AXIS(0), .in = { OP_X(2, 3) }, OP_WANT_DIM(1, 6) },
    { .op = "Flatten", AXIS(-1), .in = { OP_X(2, 3, 4) }, OP_WANT_DIM(6, 4) },
    { .op = "Flatten", AXIS(2), .in = { OP_X(2, 3) }, OP_WANT_DIM(6, 1) },
    { .op = "Flatten", AXIS(3), .in = { OP_X(2, 3) }, .fails = "axis 3" },
    { .op = "Squeeze", .in = { OP_X(1, 3, 1), OP_SHAPE(0, -1) }, OP_WANT_DIM(3) },
    { .op = "Squeeze", .in = { OP_X(1, 3, 1) }, OP_WANT_DIM(3), .no_symbols = true },
    { .op = "Squeeze", .opset = 11, AXES(-1), .in = { OP_X(1, 3, 1) }, OP_WANT_DIM(1, 3) },
    { .op = "Squeeze", .in = { OP_F(2, 3), OP_SHAPE(1) }, .fails = "axis 1 of [2,3] is not 1" },
    { .op = "Unsqueeze", .in = { OP_X(2, 3), OP_SHAPE(0, -1) }, OP_WANT_DIM(1, 2, 3, 1) },
    { .op = "Unsqueeze", .opset = 1, AXES(1, 3), .in = { OP_X(2, 3) }, OP_WANT_DIM(2, 1, 3, 1) },
    { .op = "Unsqueeze", .in = { OP_F(2), OP_SHAPE(0, 0) }, .fails = "axis 0 is there twice" },
    { .op = "Unsqueeze", .in = { OP_F(2), OP_SHAPE(3) }, .fails = "axis 3" },
    { .op = "Identity", .in = { OP_X(2, 3) } },
    { .op = "Identity", .in = { { .dtype = OT_UINT8, OP_DIMS(3), OP_VALUES(1, 2, 3) } }, OP_WANT(1, 2, 3) },
    { 0 },
};

static const op_case transpose_rows[] = {
    { .op = "Transpose",
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(2, 3), OP_VALUES(0, 1, 2, 3, 4, 5) } },
      OP_WANT(0, 3, 1, 4, 2, 5),
      OP_WANT_DIM(3, 2) },
    { .op = "Transpose", PERM(0, 2, 3, 1), .in = { OP_X(2, 3, 4, 5) }, OP_WANT_DIM(2, 4, 5, 3) },
    { .op = "Transpose", PERM(2, 0, 1), .in = { OP_X(2, 3, 4) }, OP_WANT_DIM(4, 2, 3) },
    { .op = "Transpose", PERM(1, 0, 2), .in = { OP_X(2, 1, 4) }, OP_WANT_DIM(1, 2, 4) },
    { .op = "Transpose", PERM(1, 0), .in = { OP_F(131, 257) } },
    { .op = "Transpose", PERM(0, 3, 1, 2), .in = { OP_F(2, 33, 35, 70) } },
    { .op = "Transpose", .in = { { .dtype = OT_INT16, OP_DIMS(2, 2), OP_VALUES(1, 2, 3, 4) } }, OP_WANT(1, 3, 2, 4) },
    { .op = "Transpose", .in = { { .dtype = OT_DOUBLE, OP_DIMS(5, 6, 7) } }, OP_WANT_DIM(7, 6, 5) },
    { .op = "Transpose", .in = { OP_F(0, 2) }, OP_WANT_DIM(2, 0) },
    { .op = "Transpose", .in = { OP_X_SCALAR } },
    { .op = "Transpose", PERM(0, 0), .in = { OP_F(2, 2) }, .fails = "no order of 2 axes" },
    { .op = "Transpose", PERM(0), .in = { OP_F(2, 2) }, .fails = "perm has 1 axes" },
    { 0 },
};

static void reshape(void)
{
    op_cases_run(reshape_rows);
}

static void transpose(void)
{
    op_cases_run(transpose_rows);
}

const ot_test reshape_tests[] = { { "reshape", reshape }, { "transpose", transpose }, { 0 } };

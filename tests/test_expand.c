#include "op_case.h"

static const op_case rows[] = {
    { .op = "Expand", .in = { OP_X(3, 1), OP_SHAPE(2, 1, 4) }, OP_WANT_DIM(2, 3, 4) },
    { .op = "Expand", .in = { OP_X_SCALAR, OP_SHAPE(2, 2) } },
    { .op = "Expand", .opset = 8, .in = { OP_X(3, 4), OP_SHAPE(1) }, OP_WANT_DIM(3, 4) },
    { .op = "Expand",
      .in = { { .dtype = OT_INT64, OP_DIMS(2, 1), OP_VALUES(5, 7) }, OP_SHAPE(2, 2) },
      OP_WANT(5, 5, 7, 7) },
    { .op = "Expand",
      .in = { { .dtype = OT_INT4, OP_DIMS(3, 1), OP_VALUES(0, 0, 0) }, OP_SHAPE(3, 3) },
      OP_WANT_DIM(3, 3) },
    { .op = "Expand", .in = { OP_F(1, 1), OP_SHAPE(0, 3) }, OP_WANT_DIM(0, 3) },
    { .op = "Expand", .in = { OP_F(2, 3), OP_SHAPE(2, 4) }, .fails = "do not broadcast" },
    { .op = "Expand", .in = { OP_F(2), OP_SHAPE(-1) }, .fails = "is -1" },
    { .op = "ExpandLike", .in = { OP_X(3, 1), OP_F(2, 3, 4) } },
    { .op = "ExpandLike", .in = { OP_X(5), OP_F(5) } },
    { .op = "ExpandLike", .in = { OP_X(300, 1), OP_F(300, 70) } },
    { .op = "ExpandLike", .in = { OP_F(2), OP_F(1) }, .fails = "ExpandLike" },
    { 0 },
};

static void expand(void)
{
    op_cases_run(rows);
}

const ot_test expand_tests[] = { { "expand", expand }, { 0 } };

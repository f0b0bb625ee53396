#include "op_case.h"

#define AXIS(v) .attrs = OT_ATTRS(OT_INT("axis", (v)))
#define BOTH(...)                                                                                                      \
    { .op = "Softmax", __VA_ARGS__ },                                                                                  \
    {                                                                                                                  \
        .op = "LogSoftmax", __VA_ARGS__                                                                                \
    }

static const op_case softmax_rows[] = {
    BOTH(.in = { OP_X(3, 5) }),
    BOTH(AXIS(0), .in = { OP_X(4, 3) }),
    BOTH(AXIS(1), .in = { OP_X(2, 4, 3, 2) }),
    BOTH(AXIS(-2), .in = { OP_X(2, 4, 3) }),
    BOTH(AXIS(1), .in = { OP_F(2, 5, 300) }),
    BOTH(.opset = 11, .in = { OP_X(2, 4, 3) }),
    BOTH(.opset = 1, AXIS(2), .in = { OP_X(2, 2, 3, 2) }),
    BOTH(.opset = 11, AXIS(-1), .in = { OP_X(2, 4, 3) }),
    BOTH(.in = { OP_X(0, 5) }),
    BOTH(.in = { OP_X(3, 0) }),
    BOTH(.in = { OP_F(70, 1000) }),
    BOTH(AXIS(2), .in = { OP_F(2, 3) }, .fails = "axis 2"),
    BOTH(AXIS(-3), .in = { OP_F(2, 3) }, .fails = "axis -3"),
    BOTH(.in = { { .dtype = OT_INT32, OP_DIMS(2) } }, .fails = "int32"),
    { .op = "Softmax",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(3), OP_VALUES(1000, 1000, -1000) } },
      OP_WANT(0.5, 0.5, 0) },
    { .op = "LogSoftmax", .in = { { .dtype = OT_FLOAT, OP_DIMS(2), OP_VALUES(1000, 0) } }, OP_WANT(0, -1000) },
    { .op = "Hardmax",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2, 3), OP_VALUES(1, 4, 4, 3, 2, 1) } },
      OP_WANT(0, 1, 0, 1, 0, 0) },
    { .op = "Hardmax",
      .opset = 11,
      AXIS(0),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2, 3), OP_VALUES(1, 4, 4, 3, 5, 1) } },
      OP_WANT(0, 0, 0, 0, 1, 0) },
    { 0 },
};

static void softmax(void)
{
    op_cases_run(softmax_rows);
}

const ot_test softmax_tests[] = { { "softmax", softmax }, { 0 } };

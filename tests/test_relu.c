#include "op_case.h"

#include <math.h>

static const op_case relu_rows[] = {
    { .op = "Relu", .in = { OP_X(2, 3) } },
    { .op = "Relu", .in = { OP_X_SCALAR } },
    { .op = "Relu", .opset = 6, .in = { OP_X(0, 3) } },
    { .op = "Relu", .in = { { .dtype = OT_FLOAT, OP_DIMS(4), OP_VALUES(-1, 0, 2, NAN) } }, OP_WANT(0, 0, 2, NAN) },
    { .op = "Relu", .in = { OP_F(131, 307) } },
    { .op = "Relu", .in = { { .dtype = OT_INT8, OP_DIMS(3), OP_VALUES(-128, 0, 127) } }, OP_WANT(0, 0, 127) },
    { .op = "Relu", .in = { { .dtype = OT_INT64, OP_DIMS(2), OP_VALUES(-0x1p63, 0x1p62) } }, OP_WANT(0, 0x1p62) },
    { .op = "Relu", .in = { { .dtype = OT_UINT8, OP_DIMS(2) } }, .fails = "uint8" },
    { .op = "ReluGrad", .in = { OP_X(5), OP_F(5) } },
    { 0 },
};

static const op_case sum_to_rows[] = {
    { .op = "SumTo", .in = { OP_X(2, 3), OP_F(3) } },
    { .op = "SumTo", .in = { OP_X(2, 3), { .dtype = OT_FLOAT } } },
    { .op = "SumTo", .in = { OP_X(2, 3, 4), OP_F(2, 1, 4) } },
    { .op = "SumTo", .in = { OP_X(2, 3), OP_F(2, 3) } },
    { .op = "SumTo", .in = { OP_X(2, 0, 3), OP_F(1, 3) } },
    { .op = "SumTo", .in = { OP_X(2, 3), OP_F(2) }, .fails = "cannot be summed" },
    { 0 },
};

static void relu(void)
{
    op_cases_run(relu_rows);
}

static void sum_to(void)
{
    op_cases_run(sum_to_rows);
}

const ot_test relu_tests[] = { { "relu", relu }, { "sum_to", sum_to }, { 0 } };

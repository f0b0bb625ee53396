#include "op_case.h"

#define F(...)                                                                                                         \
    {                                                                                                                  \
        .dtype = OT_FLOAT, __VA_ARGS__                                                                                 \
    }

static const op_case gemm_rows[] = {
    { .op = "Gemm", .in = { OP_X(3, 4), OP_X(4, 5), OP_X(5) } },
    { .op = "Gemm", .attrs = OT_ATTRS(OT_INT("transB", 1)), .in = { OP_X(3, 4), OP_X(5, 4), OP_X(5) } },
    { .op = "Gemm", .attrs = OT_ATTRS(OT_INT("transA", 1)), .in = { OP_X(4, 3), OP_X(4, 5), OP_X(3, 5) } },
    { .op = "Gemm",
      .attrs = OT_ATTRS(OT_INT("transA", 1), OT_INT("transB", 1), OT_REAL("alpha", 0.5), OT_REAL("beta", 1)),
      .in = { OP_X(4, 3), OP_X(5, 4), OP_X(3, 1) } },
    { .op = "Gemm", .attrs = OT_ATTRS(OT_REAL("beta", 0.25)), .in = { OP_X(3, 4), OP_X(4, 5), OP_X(1, 5) } },
    { .op = "Gemm", .opset = 7, .in = { OP_X(3, 4), OP_X(4, 5), OP_X_SCALAR } },
    { .op = "Gemm",
      .opset = 6,
      .attrs = OT_ATTRS(OT_INT("broadcast", 1)),
      .in = { OP_X(3, 4), OP_X(4, 5), OP_X(1, 5) } },
    { .op = "Gemm", .in = { OP_X(1, 7), OP_X(7, 3) } },
    { .op = "Gemm", .in = { OP_X(2, 0), OP_X(0, 3), OP_X(3) } },
    { .op = "Gemm", .in = { OP_X(0, 4), OP_X(4, 3), OP_X(3) } },
    { .op = "Gemm", .in = { OP_F(33, 70), OP_F(70, 130), OP_F(130) } },
    { .op = "Gemm",
      .attrs = OT_ATTRS(OT_REAL("alpha", 2), OT_REAL("beta", 0.5)),
      .in = { F(OP_DIMS(1, 2), OP_VALUES(1, 2)), F(OP_DIMS(2, 1), OP_VALUES(3, 4)), F(OP_DIMS(1), OP_VALUES(10)) },
      OP_WANT(27) },
    { .op = "Gemm",
      .in = { { .dtype = OT_INT32, OP_DIMS(1, 2), OP_VALUES(1, 2) },
              { .dtype = OT_INT32, OP_DIMS(2, 1), OP_VALUES(3, -4) },
              { .dtype = OT_INT32, OP_DIMS(1), OP_VALUES(10) } },
      OP_WANT(5) },
    { .op = "Gemm", .in = { OP_F(3, 4), OP_F(5, 4) }, .fails = "4 columns" },
    { .op = "Gemm", .in = { OP_F(3, 4), OP_F(4, 5), OP_F(4) }, .fails = "broadcast" },
    { .op = "Gemm", .in = { OP_F(3, 4, 1), OP_F(4, 5) }, .fails = "rank" },
    { 0 },
};

static const op_case matmul_rows[] = {
    { .op = "MatMul", .in = { OP_X(3, 4), OP_X(4, 5) } },
    { .op = "MatMul", .in = { OP_X(2, 3, 4), OP_X(4, 5) } },
    { .op = "MatMul", .in = { OP_X(3, 4), OP_X(2, 4, 5) }, OP_WANT_DIM(2, 3, 5) },
    { .op = "MatMul", .in = { OP_X(2, 1, 3, 4), OP_X(3, 4, 2) }, OP_WANT_DIM(2, 3, 3, 2) },
    { .op = "MatMul", .in = { OP_X(7, 2, 3), OP_X(7, 3, 2) } },
    { .op = "MatMul", .in = { OP_X(1, 2, 3), OP_X(2, 3, 2) } },
    { .op = "MatMul", .in = { OP_X(2, 0, 4), OP_X(4, 5) } },
    { .op = "MatMul", .in = { OP_X(2, 3, 0), OP_X(0, 5) } },
    { .op = "MatMul", .in = { OP_X(4), OP_X(4, 5) }, OP_WANT_DIM(5) },
    { .op = "MatMul", .in = { OP_X(4), OP_X(2, 4, 5) }, OP_WANT_DIM(2, 5) },
    { .op = "MatMul", .in = { OP_X(3, 4), OP_X(4) }, OP_WANT_DIM(3) },
    { .op = "MatMul", .in = { OP_X(2, 3, 4), OP_X(4) }, OP_WANT_DIM(2, 3) },
    { .op = "MatMul", .in = { OP_X(4), OP_X(4) }, .want_rank = 1 },
    { .op = "MatMul", .opset = 1, .in = { OP_F(33, 65), OP_F(65, 40) } },
    { .op = "MatMul",
      .in = { { .dtype = OT_INT64, OP_DIMS(2, 2), OP_VALUES(1, 2, 3, 4) },
              { .dtype = OT_INT64, OP_DIMS(2, 1), OP_VALUES(5, 6) } },
      OP_WANT(17, 39) },
    { .op = "MatMulTrans",
      .attrs = OT_ATTRS(OT_INT("transA", 1), OT_INT("flatten", 1)),
      .in = { OP_F(2, 3, 4), OP_F(2, 3, 5) },
      OP_WANT_DIM(4, 5) },
    { .op = "MatMulTrans",
      .attrs = OT_ATTRS(OT_INT("transA", 1), OT_INT("transB", 1)),
      .in = { OP_F(2, 3, 4), OP_F(5, 3) },
      OP_WANT_DIM(2, 4, 5) },
    { .op = "MatMul", .in = { OP_F(3, 4), OP_F(5, 4) }, .fails = "4 columns" },
    { .op = "MatMul", .in = { OP_F(2, 3, 4), OP_F(3, 4, 5) }, .fails = "broadcast" },
    { .op = "MatMul", .in = { { .dtype = OT_FLOAT }, OP_F(4) }, .fails = "rank" },
    { 0 },
};

static void gemm(void)
{
    op_cases_run(gemm_rows);
}

static void matmul(void)
{
    op_cases_run(matmul_rows);
}

const ot_test gemm_tests[] = { { "gemm", gemm }, { "matmul", matmul }, { 0 } };

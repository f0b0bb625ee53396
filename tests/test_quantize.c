/* QuantizeLinear, DequantizeLinear, and products of quantized tensors. */
#include "op_case.h"

#include <math.h>

#define OF(t, ...)                                                                                                     \
    {                                                                                                                  \
        .dtype = t, OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                                            \
    }
#define ONE(t, v)                                                                                                      \
    {                                                                                                                  \
        .dtype = t, OP_VALUES(v)                                                                                       \
    }
#define GRID(t, rows, cols, ...)                                                                                       \
    {                                                                                                                  \
        .dtype = t, OP_DIMS(rows, cols), OP_VALUES(__VA_ARGS__)                                                        \
    }
#define BLOCKS(along, size) .attrs = OT_ATTRS(OT_INT("axis", along), OT_INT("block_size", size))
#define TYPE(t)             .attrs = OT_ATTRS(OT_INT("output_dtype", t))
#define DRAW(t, low, high, ...)                                                                                        \
    {                                                                                                                  \
        .dtype = t, OP_DIMS(__VA_ARGS__), .draw = OP_BETWEEN, .lo = low, .hi = high                                    \
    }

static const op_case quantize_rows[] = {
    { .op = "QuantizeLinear",
      .in = { OF(OT_FLOAT, 0, 1, 3, 5, 1000, -254, -1000), ONE(OT_FLOAT, 2), ONE(OT_UINT8, 128) },
      OP_WANT(128, 128, 130, 130, 255, 1, 0) },
    { .op = "QuantizeLinear", .in = { OF(OT_FLOAT, 2.5, -7), OF(OT_FLOAT, 1) }, OP_WANT(2, 0) },
    { .op = "QuantizeLinear",
      .in = { GRID(OT_FLOAT, 2, 2, 4, 4, -9, -9), OF(OT_FLOAT, 1, 2), OF(OT_INT8, 1, -1) },
      OP_WANT(5, 1, -8, -5) },
    { .op = "QuantizeLinear",
      .attrs = OT_ATTRS(OT_INT("axis", -2)),
      .in = { GRID(OT_FLOAT, 2, 2, 4, 4, -9, -9), OF(OT_FLOAT, 1, 2), OF(OT_INT16, 1, -1) },
      OP_WANT(5, 5, -5, -5) },
    { .op = "QuantizeLinear",
      BLOCKS(1, 2),
      .in = { GRID(OT_FLOAT, 1, 3, 8, -8, 8), GRID(OT_FLOAT, 1, 2, 2, 4), GRID(OT_INT4, 1, 2, 1, 0) },
      OP_WANT(5, -3, 2) },
    { .op = "QuantizeLinear",
      TYPE(OT_UINT2),
      .in = { OF(OT_FLOAT, 9, 1, -1, 2, 3), ONE(OT_FLOAT, 1) },
      OP_WANT(3, 1, 0, 2, 3) },
    { .op = "QuantizeLinear",
      TYPE(OT_FLOAT8E4M3FN),
      .in = { OF(OT_FLOAT, 1, 2000, -0.3), ONE(OT_FLOAT, 2) },
      OP_WANT(0.5, 448, -0.15625) },
    { .op = "QuantizeLinear",
      .attrs = OT_ATTRS(OT_INT("output_dtype", OT_FLOAT8E4M3FN), OT_INT("saturate", 0)),
      .in = { OF(OT_FLOAT, 1, 2000), ONE(OT_FLOAT, 2) },
      OP_WANT(0.5, NAN) },
    { .op = "QuantizeLinear",
      TYPE(OT_FLOAT4E2M1),
      .in = { OF(OT_FLOAT, 5, -70, 1), ONE(OT_FLOAT, 2) },
      OP_WANT(2, -6, 0.5) },
    { .op = "QuantizeLinear", .in = { OF(OT_INT32, 7, 100000), ONE(OT_FLOAT, 2), ONE(OT_INT8, 0) }, OP_WANT(4, 127) },
    { .op = "QuantizeLinear", .in = { OF(OT_FLOAT16, 1000), ONE(OT_FLOAT16, 3), ONE(OT_UINT16, 0) }, OP_WANT(333) },
    { .op = "QuantizeLinear",
      .attrs = OT_ATTRS(OT_INT("precision", OT_FLOAT16)),
      .in = { OF(OT_INT32, 4097), ONE(OT_FLOAT16, 1), ONE(OT_UINT16, 0) },
      OP_WANT(4096) },
    { .op = "QuantizeLinear", .in = { DRAW(OT_FLOAT, -9, 9, 5, 9001), ONE(OT_FLOAT, 1.25), ONE(OT_INT4, 1) } },
    { .op = "QuantizeLinear", .in = { OP_F(2, 3), OP_F(2) }, .fails = "the scale and the axis" },
    { .op = "QuantizeLinear", .in = { OP_F(2, 3), OP_F(2, 3) }, .fails = "block_size is 0" },
    { .op = "QuantizeLinear", BLOCKS(1, 2), .in = { OP_F(2, 3), OP_F(2, 3) }, .fails = "in blocks of 2 that is not 3" },
    { .op = "QuantizeLinear", BLOCKS(1, -2), .in = { OP_F(2, 3), OP_F(2, 3) }, .fails = "block_size is -2" },
    { .op = "QuantizeLinear", TYPE(OT_INT32), .in = { OP_F(2), OP_F(1) }, .fails = "not defined to int32" },
    { .op = "QuantizeLinear",
      TYPE(OT_INT8),
      .in = { OP_F(2), OP_F(1), OF(OT_UINT8, 0) },
      .fails = "output_dtype is int8" },
    { .op = "QuantizeLinear",
      .in = { OP_F(2, 3), OP_F(3), OF(OT_UINT8, 0, 0) },
      .fails = "the zero point and the scale" },
    { 0 },
};

#define XS(...)                                                                                                        \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_DIMS(__VA_ARGS__), .draw = OP_POSITIVE                                     \
    }

static const op_case dequantize_rows[] = {
    { .op = "DequantizeLinear",
      .in = { OF(OT_UINT8, 0, 3, 128, 255), ONE(OT_FLOAT, 2), ONE(OT_UINT8, 128) },
      OP_WANT(-256, -250, 0, 254) },
    { .op = "DequantizeLinear", .in = { OF(OT_INT32, 0, -70000), ONE(OT_FLOAT, 0.5) }, OP_WANT(0, -35000) },
    { .op = "DequantizeLinear",
      .in = { OF(OT_INT2, 1, -2, -1), ONE(OT_FLOAT, 0.5), ONE(OT_INT2, 1) },
      OP_WANT(0, -1.5, -1) },
    { .op = "DequantizeLinear", .in = { OF(OT_FLOAT8E5M2, 0.25, -3), ONE(OT_FLOAT16, 2) }, OP_WANT(0.5, -6) },
    { .op = "DequantizeLinear", .in = { OF(OT_FLOAT4E2M1, 0.5, -6, 3), ONE(OT_FLOAT, 2) }, OP_WANT(1, -12, 6) },
    { .op = "DequantizeLinear",
      TYPE(OT_FLOAT16),
      .in = { OF(OT_INT8, 3, -4), ONE(OT_FLOAT8E8M0, 0.5) },
      OP_WANT(1.5, -2) },
    { .op = "DequantizeLinear", .in = { DRAW(OT_INT8, -9, 9, 2, 3), XS(1) } },
    { .op = "DequantizeLinear", .in = { DRAW(OT_INT8, -9, 9, 2, 3, 2), XS(3), DRAW(OT_INT8, -3, 3, 3) } },
    { .op = "DequantizeLinear",
      .attrs = OT_ATTRS(OT_INT("axis", 0)),
      .in = { DRAW(OT_UINT4, 0, 16, 2, 3), XS(2), DRAW(OT_UINT4, 0, 9, 2) } },
    { .op = "DequantizeLinear",
      BLOCKS(1, 2),
      .in = { DRAW(OT_INT4, -8, 8, 2, 5, 3), XS(2, 3, 3), DRAW(OT_INT4, -8, 8, 2, 3, 3) } },
    { .op = "DequantizeLinear", .opset = 10, .in = { DRAW(OT_INT8, -9, 9, 4), { .dtype = OT_FLOAT, .grad = true } } },
    { .op = "DequantizeLinear", .in = { DRAW(OT_INT8, -9, 9, 0, 3), XS(3) } },
    { .op = "DequantizeLinear", .in = { OF(OT_INT8, 1), ONE(OT_FLOAT8E8M0, 1) }, .fails = "not defined to float8e8m0" },
    { .op = "DequantizeLinear", .in = { OF(OT_INT64, 1), OP_F(1) }, .fails = "not defined from int64" },
    { .op = "DequantizeLinear", .in = { OF(OT_INT8, 1), OP_F(1), OF(OT_UINT8, 1) }, .fails = "wanted is int8" },
    { 0 },
};

#define A GRID(OT_UINT8, 2, 3, 11, 7, 3, 10, 6, 2)
#define B GRID(OT_INT8, 3, 2, 1, 4, -2, 5, 3, -6)

static const op_case product_rows[] = {
    { .op = "MatMulInteger", .in = { A, B }, OP_WANT(6, 61, 4, 58) },
    { .op = "MatMulInteger", .in = { A, B, ONE(OT_UINT8, 12), ONE(OT_INT8, 1) }, OP_WANT(-3, 40, -2, 40) },
    { .op = "MatMulInteger", .in = { A, B, OF(OT_UINT8, 12, 11), OF(OT_INT8, 1, 0) }, OP_WANT(-3, 25, -3, 25) },
    { .op = "MatMulInteger", .in = { DRAW(OT_INT8, -128, 128, 2, 3, 4), DRAW(OT_UINT8, 0, 256, 4, 5) } },
    { .op = "MatMulInteger", .in = { OP_F(2, 3), B }, .fails = "input 0 is" },
    { .op = "MatMulInteger", .in = { A, B, ONE(OT_INT8, 12) }, .fails = "input 2, is int8" },
    { .op = "QLinearMatMul",
      .in = { A, ONE(OT_FLOAT, 0.5), ONE(OT_UINT8, 12), B, ONE(OT_FLOAT, 2), ONE(OT_INT8, 1), ONE(OT_FLOAT, 4),
              ONE(OT_UINT8, 7) },
      OP_WANT(6, 17, 7, 17) },
    { .op = "QLinearMatMul",
      .in = { A, OF(OT_FLOAT, 1, 2), OF(OT_UINT8, 12, 11), B, OF(OT_FLOAT, 0.5, 1), OF(OT_INT8, 1, 0), OF(OT_FLOAT, 1),
              OF(OT_INT8, 0) },
      OP_WANT(-2, 25, -3, 50) },
    { .op = "QLinearMatMul",
      .in = { GRID(OT_FLOAT8E5M2, 1, 2, 0.5, 3), ONE(OT_FLOAT, 1), ONE(OT_FLOAT8E5M2, 0),
              GRID(OT_FLOAT8E4M3FN, 2, 1, 2, 1.5), ONE(OT_FLOAT, 2), ONE(OT_FLOAT8E4M3FN, 0), ONE(OT_FLOAT, 1),
              ONE(OT_FLOAT8E5M2, 0) },
      OP_WANT(12) },
    { .op = "QLinearMatMul",
      .in = { A, OP_F(1), OF(OT_UINT8, 12), B, OP_F(1), OF(OT_INT8, 1), OP_F(2), OF(OT_UINT8, 7, 7) },
      .fails = "more than one scale" },
    { .op = "ConvInteger",
      .attrs = OT_ATTRS(OT_INTS("pads", ((const int64_t[]){ 1, 0 }), 2)),
      .in = { { .dtype = OT_UINT8, OP_DIMS(1, 1, 3), OP_VALUES(2, 3, 4) },
              { .dtype = OT_INT8, OP_DIMS(2, 1, 2), OP_VALUES(1, 1, -1, 2) },
              ONE(OT_UINT8, 1),
              OF(OT_INT8, 0, 1) },
      OP_WANT(1, 3, 5, 1, 0, -1) },
    { .op = "QLinearConv",
      .in = { { .dtype = OT_UINT8, OP_DIMS(1, 1, 3), OP_VALUES(2, 3, 4) },
              ONE(OT_FLOAT, 2),
              ONE(OT_UINT8, 1),
              { .dtype = OT_INT8, OP_DIMS(2, 1, 2), OP_VALUES(1, 1, -1, 2) },
              OF(OT_FLOAT, 1, 0.5),
              OF(OT_INT8, 0, 1),
              ONE(OT_FLOAT, 0.5),
              ONE(OT_INT8, -1),
              OF(OT_INT32, 1, 100) },
      OP_WANT(15, 23, 127, 127) },
    { .op = "DynamicQuantizeLinear",
      .in = { OF(OT_FLOAT, 0, 2, -3, -2.4, 1.34, 0.5) },
      .n_out = 3,
      OP_WANT(153, 255, 0, 31, 221, 179) },
    { .op = "DynamicQuantizeLinear",
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(4), OP_VALUES(0.3, 2.1, -3.2, 1.4) } },
      .n_out = 3 },
    { .op = "DynamicQuantizeLinear", .in = { OF(OT_FLOAT, 0, 0) }, .n_out = 3, OP_WANT(0, 0) },
    { .op = "DynamicQuantizeLinear", .in = { OF(OT_INT32, 0, 0) }, .n_out = 3, .fails = "int32" },
    { 0 },
};

static void quantize(void)
{
    op_cases_run(quantize_rows);
}

static void dequantize(void)
{
    op_cases_run(dequantize_rows);
}

static void products(void)
{
    op_cases_run(product_rows);
}

const ot_test quantize_tests[] = {
    { "quantize", quantize }, { "dequantize", dequantize }, { "products", products }, { 0 }
};

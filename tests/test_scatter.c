/* Operators that address elements by indices: GatherElements, GatherND, ScatterElements, ScatterND, TensorScatter. */
#include "op_case.h"

#include <math.h>

#define AXIS(v)     .attrs = OT_ATTRS(OT_INT("axis", v))
#define REDUCE(r)   .attrs = OT_ATTRS(OT_TEXT("reduction", r))
#define ALONG(v, r) .attrs = OT_ATTRS(OT_INT("axis", v), OT_TEXT("reduction", r))
#define I64(n, ...)                                                                                                    \
    {                                                                                                                  \
        .dtype = OT_INT64, OP_DIMS(n), OP_VALUES(__VA_ARGS__)                                                          \
    }
#define OF(type, n, ...)                                                                                               \
    {                                                                                                                  \
        .dtype = type, OP_DIMS(n), OP_VALUES(__VA_ARGS__)                                                              \
    }
#define INDICES(dims, ...)                                                                                             \
    {                                                                                                                  \
        .dtype = OT_INT64, dims, OP_VALUES(__VA_ARGS__)                                                                \
    }
#define D(...) OP_DIMS(__VA_ARGS__)
#define PICKS(lo_, hi_, ...)                                                                                           \
    {                                                                                                                  \
        .dtype = OT_INT64, OP_DIMS(__VA_ARGS__), .draw = OP_BETWEEN, .lo = lo_, .hi = hi_                              \
    }
#define SEVEN                                                                                                          \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_DIMS(7), OP_VALUES(0, 1, 2, 3, 4, 5, 6)                                    \
    }

static const op_case gather_rows[] = {
    { .op = "GatherElements", .in = { SEVEN, I64(4, 2, -1, 2, 0) }, OP_WANT(2, 6, 2, 0) },
    { .op = "GatherElements", AXIS(1), .in = { OP_X(2, 3), INDICES(D(2, 2), 0, 2, -3, 1) }, OP_WANT_DIM(2, 2) },
    { .op = "GatherElements",
      AXIS(-2),
      .in = { OP_X(3, 4, 3), { .dtype = OT_INT32, OP_DIMS(2, 5, 2), .draw = OP_BETWEEN, .lo = -4, .hi = 4 } },
      OP_WANT_DIM(2, 5, 2) },
    { .op = "GatherElements", .opset = 11, .in = { OP_X(2, 3), PICKS(0, 2, 0, 3) }, OP_WANT_DIM(0, 3) },
    { .op = "GatherElements", .in = { OP_F(40, 70, 9), PICKS(-40, 40, 30, 70, 9) } },
    { .op = "GatherElements", .in = { OP_SHAPE(4, 5, 6), OP_SHAPE(-1, 0) }, OP_WANT(6, 4) },
    { .op = "GatherElements", .in = { OF(OT_BOOL, 3, 1, 0, 1), I64(2, 1, 2) }, OP_WANT(0, 1) },
    { .op = "GatherElements", .in = { OP_F(3), I64(1, 3) }, .fails = "index 3 is outside of axis 0, which is 3" },
    { .op = "GatherElements", .in = { OP_F(3), PICKS(0, 1, 1, 1) }, .fails = "indices have rank 2, the data 1" },
    { .op = "GatherElements", AXIS(1), .in = { OP_F(2, 3), PICKS(0, 1, 3, 1) }, .fails = "more than the data" },
    { .op = "GatherElements", .in = { OP_F(3), OP_F(3) }, .fails = "indices are float" },
    { .op = "GatherND", .in = { OP_X(2, 3), INDICES(D(3, 2), 0, 0, 1, -1, 0, 0) }, OP_WANT_DIM(3), .no_symbols = true },
    { .op = "GatherND",
      .in = { OP_X(3, 2, 2), INDICES(D(2, 2, 1), 0, 2, 2, -3) },
      OP_WANT_DIM(2, 2, 2, 2),
      .no_symbols = true },
    { .op = "GatherND",
      .attrs = OT_ATTRS(OT_INT("batch_dims", 1)),
      .in = { OP_X(2, 3, 2), INDICES(D(2, 4, 1), 0, 2, 0, 1, -1, -1, 0, 0) },
      OP_WANT_DIM(2, 4, 2),
      .no_symbols = true },
    { .op = "GatherND",
      .attrs = OT_ATTRS(OT_INT("batch_dims", 2)),
      .in = { OP_X(2, 2, 3), INDICES(D(2, 2, 1), 0, 2, 1, -1) },
      OP_WANT_DIM(2, 2),
      .no_symbols = true },
    { .op = "GatherND", .opset = 11, .in = { OP_X(3), INDICES(D(1), 1) }, .want_rank = 1, .no_symbols = true },
    { .op = "GatherND", .in = { OP_F(5, 300), PICKS(-5, 5, 40, 1) } },
    { .op = "GatherND",
      .in = { OP_X(3, 2), { .dtype = OT_INT64, OP_DIMS(0, 1) } },
      OP_WANT_DIM(0, 2),
      .no_symbols = true },
    { .op = "GatherND", .in = { OP_SHAPE(4, 5, 6), INDICES(D(1), -1) }, OP_WANT(6) },
    { .op = "GatherND", .in = { OP_F(3, 2), INDICES(D(1, 2), 0, 2) }, .fails = "index 2 is outside of axis 1" },
    { .op = "GatherND", .in = { OP_F(3), INDICES(D(1, 2), 0, 2) }, .fails = "tuples of 2 indices for rank 1" },
    { .op = "GatherND",
      .attrs = OT_ATTRS(OT_INT("batch_dims", 1)),
      .in = { OP_F(3), INDICES(D(3, 1), 0, 0, 0) },
      .fails = "batch_dims is 1" },
    { .op = "GatherNDGrad",
      .in = { OP_X(2, 2), OP_F(3, 2), INDICES(D(2, 1), 1, 1) },
      OP_WANT_DIM(3, 2),
      .no_symbols = true },
    { 0 },
};

static const op_case elements_rows[] = {
    { .op = "ScatterElements", .in = { SEVEN, I64(2, 5, -7), OP_X(2) } },
    { .op = "ScatterElements", .in = { SEVEN, I64(3, 5, 0, 5), OP_X(3) } },
    { .op = "ScatterElements", AXIS(1), .in = { OP_X(2, 3), INDICES(D(2, 2), 0, 2, -3, 1), OP_X(2, 2) } },
    { .op = "ScatterElements", ALONG(1, "add"), .in = { OP_X(2, 3), INDICES(D(2, 3), 0, 2, 2, 1, 1, 1), OP_X(2, 3) } },
    { .op = "ScatterElements", ALONG(-1, "mul"), .in = { OP_X(2, 3), INDICES(D(2, 3), 0, 2, 2, 1, 1, 1), OP_X(2, 3) } },
    { .op = "ScatterElements",
      REDUCE("mul"),
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(4), OP_VALUES(0, 2, 3, 0) },
              I64(5, 0, 1, 1, 3, 3),
              { .dtype = OT_FLOAT, .grad = true, OP_DIMS(5), OP_VALUES(2, 0, 5, 0, 3) } },
      OP_WANT(0, 0, 3, 0) },
    { .op = "ScatterElements",
      ALONG(1, "max"),
      .in = { OP_XD(OP_SPREAD, 2, 3), INDICES(D(2, 3), 0, 2, 2, 1, 1, 1), OP_X(2, 3) } },
    { .op = "ScatterElements",
      ALONG(0, "min"),
      .in = { OP_XD(OP_SPREAD, 3, 2), INDICES(D(3, 2), 0, 2, 2, 1, 0, 1), OP_X(3, 2) } },
    { .op = "ScatterElements",
      REDUCE("max"),
      .in = { OF(OT_FLOAT, 2, 1, NAN), I64(2, 0, 1), OF(OT_FLOAT, 2, NAN, 1) },
      OP_WANT(NAN, NAN) },
    { .op = "ScatterElements",
      REDUCE("max"),
      .in = { OF(OT_UINT8, 3, 1, 250, 3), I64(3, 0, 1, 0), OF(OT_UINT8, 3, 200, 7, 100) },
      OP_WANT(200, 250, 3) },
    { .op = "ScatterElements",
      REDUCE("add"),
      .in = { OF(OT_INT8, 2, 100, 1), I64(2, 0, 0), OF(OT_INT8, 2, 100, 3) },
      OP_WANT(-53, 1) },
    { .op = "ScatterElements",
      REDUCE("mul"),
      .in = { OF(OT_INT64, 2, 100, 1), I64(2, 0, 0), OF(OT_INT64, 2, -2, 3) },
      OP_WANT(-600, 1) },
    { .op = "ScatterElements",
      REDUCE("add"),
      .in = { OF(OT_BOOL, 3, 1, 0, 0), I64(2, 0, 1), OF(OT_BOOL, 2, 0, 1) },
      OP_WANT(1, 1, 0) },
    { .op = "ScatterElements",
      REDUCE("min"),
      .in = { OF(OT_FLOAT16, 2, 1, -2), I64(2, 0, 1), OF(OT_FLOAT16, 2, 0.5, 1) },
      OP_WANT(0.5, -2) },
    { .op = "ScatterElements",
      REDUCE("add"),
      .in = { OP_F(3, 50, 40),
              { .dtype = OT_INT64, OP_DIMS(30, 50, 40), .draw = OP_BETWEEN, .lo = -3, .hi = 3 },
              OP_F(30, 50, 40) } },
    { .op = "ScatterElements", .in = { OP_SHAPE(4, 5, 6), OP_SHAPE(-1, 0), OP_SHAPE(1, 2) }, OP_WANT(2, 5, 1) },
    { .op = "ScatterElements", .in = { OP_X(2, 3), PICKS(0, 2, 0, 3), OP_X(0, 3) }, OP_WANT_DIM(2, 3) },
    { .op = "Scatter", .opset = 9, AXIS(1), .in = { OP_X(1, 5), INDICES(D(1, 2), 1, 3), OP_X(1, 2) } },
    { .op = "ScatterElements", REDUCE("sum"), .in = { OP_F(3), I64(1, 0), OP_F(1) }, .fails = "reduction is 'sum'" },
    { .op = "ScatterElements", .in = { OP_F(3), I64(1, -4), OP_F(1) }, .fails = "index -4 is outside of axis 0" },
    { .op = "ScatterElements", .in = { OP_F(3), I64(1, 0), OP_F(2) }, .fails = "1 is not 2" },
    { .op = "ScatterElements", .in = { OP_F(3), I64(1, 0), I64(1, 0) }, .fails = "updates are int64, the data float" },
    { 0 },
};

static const op_case tuples_rows[] = {
    { .op = "ScatterND", .in = { SEVEN, INDICES(D(2, 1), 5, -7), OP_X(2) } },
    { .op = "ScatterND", .in = { OP_X(3, 2, 2), INDICES(D(2, 1), 2, 0), OP_X(2, 2, 2) } },
    { .op = "ScatterND", .in = { OP_X(3, 2), INDICES(D(2, 2, 2), 2, 0, 1, 1, 0, -1, 2, 0), OP_X(2, 2) } },
    { .op = "ScatterND",
      REDUCE("add"),
      .in = { OP_X(3, 2), INDICES(D(3, 1), 2, 0, 2), OP_X(3, 2) },
      .no_symbols = true },
    { .op = "ScatterND", REDUCE("mul"), .in = { OP_X(3, 2), INDICES(D(3, 1), 2, 0, 2), OP_X(3, 2) } },
    { .op = "ScatterND", REDUCE("max"), .in = { OP_XD(OP_SPREAD, 3, 2), INDICES(D(3, 1), 2, 0, 2), OP_X(3, 2) } },
    { .op = "ScatterND", REDUCE("min"), .in = { OP_XD(OP_SPREAD, 3, 2), INDICES(D(3, 1), 2, 0, 2), OP_X(3, 2) } },
    { .op = "ScatterND", REDUCE("add"), .in = { OP_F(4, 700), PICKS(-4, 4, 60, 1), OP_F(60, 700) } },
    { .op = "ScatterND", .opset = 11, .in = { OP_X(3), { .dtype = OT_INT64, OP_DIMS(0, 1) }, OP_X(0) } },
    { .op = "ScatterND",
      .in = { OP_SHAPE(4, 5, 6), { .dtype = OT_INT64, .constant = true, D(2, 1), OP_VALUES(1, 0) }, OP_SHAPE(1, 2) },
      OP_WANT(2, 1, 6) },
    { .op = "ScatterND", .in = { OP_F(3), INDICES(D(1, 1), 3), OP_F(1) }, .fails = "index 3 is outside of axis 0" },
    { .op = "ScatterND", .in = { OP_F(3), INDICES(D(1, 1), 0), OP_F(1, 3) }, .fails = "the updates are [1,3]" },
    { .op = "ScatterND", .in = { OP_F(3, 2), INDICES(D(1, 1), 0), OP_F(1, 3) }, .fails = "2 is not 3" },
    { 0 },
};

#define CIRCULAR .attrs = OT_ATTRS(OT_TEXT("mode", "circular"))

static const op_case cache_rows[] = {
    { .op = "TensorScatter", .in = { OP_X(2, 4, 3), OP_X(2, 2, 3), I64(2, 1, 2) } },
    { .op = "TensorScatter", .in = { OP_X(2, 4, 3), OP_X(2, 2, 3) } },
    { .op = "TensorScatter", CIRCULAR, .in = { OP_X(2, 2, 4, 3), OP_X(2, 2, 3, 3), I64(2, 3, 9) } },
    { .op = "TensorScatter", AXIS(2), .in = { OP_X(2, 2, 4), OP_X(2, 2, 1), I64(2, 3, 0) } },
    { .op = "TensorScatter",
      AXIS(1),
      .in = { INDICES(D(1, 4), 1, 2, 3, 4), INDICES(D(1, 2), 5, 6), I64(1, 1) },
      OP_WANT(1, 5, 6, 4) },
    { .op = "TensorScatter",
      AXIS(1),
      .in = { { .dtype = OT_UINT4, D(1, 4), OP_VALUES(1, 2, 3, 4) },
              { .dtype = OT_UINT4, D(1, 2), OP_VALUES(5, 6) },
              I64(1, 1) },
      OP_WANT_DIM(1, 4) },
    { .op = "TensorScatter", .in = { OP_F(2, 4, 3), OP_F(2, 2, 3), I64(2, 1, 3) }, .fails = "2 elements written at 3" },
    { .op = "TensorScatter", .in = { OP_F(2, 4, 3), OP_F(2, 5, 3) }, .fails = "an update of 5 for a cache of 4" },
    { .op = "TensorScatter", AXIS(0), .in = { OP_F(2, 4), OP_F(2, 4) }, .fails = "that of the batch" },
    { 0 },
};

static void gather(void)
{
    op_cases_run(gather_rows);
}

static void elements(void)
{
    op_cases_run(elements_rows);
}

static void tuples(void)
{
    op_cases_run(tuples_rows);
}

static void cache(void)
{
    op_cases_run(cache_rows);
}

const ot_test scatter_tests[] = {
    { "gather", gather }, { "elements", elements }, { "tuples", tuples }, { "cache", cache }, { 0 }
};

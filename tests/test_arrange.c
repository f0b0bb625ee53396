/* Operators that repeat, order, cut and rearrange elements. */
#include "op_case.h"

#include <math.h>

#define AXIS(v) .attrs = OT_ATTRS(OT_INT("axis", v))
#define I64(n, ...)                                                                                                    \
    {                                                                                                                  \
        .dtype = OT_INT64, OP_DIMS(n), OP_VALUES(__VA_ARGS__)                                                          \
    }
#define OF(type, n, ...)                                                                                               \
    {                                                                                                                  \
        .dtype = type, OP_DIMS(n), OP_VALUES(__VA_ARGS__)                                                              \
    }
#define SCALAR(type, v)                                                                                                \
    {                                                                                                                  \
        .dtype = type, .constant = true, OP_VALUES(v)                                                                  \
    }
#define XS(...)                                                                                                        \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                       \
    }

static const op_case tile_rows[] = {
    { .op = "Tile", .in = { XS(1, 2), OP_SHAPE(3) }, OP_WANT(1, 2, 1, 2, 1, 2) },
    { .op = "Tile", .in = { OP_X(2, 3, 2), OP_SHAPE(2, 1, 3) }, OP_WANT_DIM(4, 3, 6) },
    { .op = "Tile", .opset = 6, .in = { OP_X(2, 1, 2), OP_SHAPE(1, 3, 1) }, OP_WANT_DIM(2, 3, 2) },
    { .op = "Tile", .in = { OP_X(2, 3), OP_SHAPE(1, 1) }, OP_WANT_DIM(2, 3) },
    { .op = "Tile", .in = { OP_X(2, 3), OP_SHAPE(0, 2) }, OP_WANT_DIM(0, 6) },
    { .op = "Tile", .in = { OP_X(0, 3), OP_SHAPE(2, 2) }, OP_WANT_DIM(0, 6) },
    { .op = "Tile", .in = { OP_X_SCALAR, { .dtype = OT_INT64, .constant = true, OP_DIMS(0) } }, .want_rank = 1 },
    { .op = "Tile", .in = { OP_F(30, 40), OP_SHAPE(20, 30) } },
    { .op = "Tile", .in = { OP_SHAPE(4, 5), OP_SHAPE(2) }, OP_WANT(4, 5, 4, 5) },
    { .op = "Tile", .in = { OF(OT_BOOL, 2, 1, 0), OP_SHAPE(2) }, OP_WANT(1, 0, 1, 0) },
    { .op = "Tile", .opset = 1, .in = { OP_F(2, 3), SCALAR(OT_FLOAT, 2), SCALAR(OT_FLOAT, 1) }, OP_WANT_DIM(2, 6) },
    { .op = "Tile", .in = { OP_F(2, 3), OP_SHAPE(2) }, .fails = "1 repeats for rank 2" },
    { .op = "Tile", .in = { OP_F(2), OP_SHAPE(-2) }, .fails = "repeated -2 times" },
    { .op = "Tile", .in = { OP_F(2), OP_F(1) }, .fails = "repeats are float" },
    { .op = "TileGrad", .in = { OP_X(4, 3), OP_F(2, 3), OP_SHAPE(2, 1) }, OP_WANT_DIM(2, 3) },
    { 0 },
};

#define TOP(largest_, axis_) .attrs = OT_ATTRS(OT_INT("largest", largest_), OT_INT("axis", axis_))

static const op_case topk_rows[] = {
    { .op = "TopK", .in = { XS(3, 1, 4, 1, 5), OP_SHAPE(3) }, .n_out = 2, OP_WANT(5, 4, 3) },
    { .op = "TopK", TOP(0, -1), .in = { XS(3, 1, 4, 0, 5), OP_SHAPE(3) }, .n_out = 2, OP_WANT(0, 1, 3) },
    { .op = "TopK", TOP(1, 0), .in = { OP_XD(OP_SPREAD, 5, 3), OP_SHAPE(2) }, .n_out = 2, OP_WANT_DIM(2, 3) },
    { .op = "TopK", TOP(0, 1), .in = { OP_XD(OP_SPREAD, 2, 4, 3), OP_SHAPE(4) }, .n_out = 2 },
    { .op = "TopK", .in = { OP_XD(OP_SPREAD, 2, 4), OP_SHAPE(0) }, .n_out = 2, OP_WANT_DIM(2, 0) },
    { .op = "TopK", .opset = 1, .attrs = OT_ATTRS(OT_INT("k", 2)), .in = { XS(3, 1, 4) }, .n_out = 2, OP_WANT(4, 3) },
    { .op = "TopK", .opset = 10, .in = { XS(3, 1, 4), OP_SHAPE(1) }, .n_out = 2, OP_WANT(4) },
    { .op = "TopK",
      .in = { OP_XD(OP_SPREAD, 3, 4), OP_SHAPE(2) },
      .n_out = 2,
      .skip_out = { false, true },
      OP_WANT_DIM(3, 2) },
    { .op = "TopK", .in = { OF(OT_FLOAT, 4, 2, 7, 7, 2), OP_SHAPE(4) }, .n_out = 2, OP_WANT(7, 7, 2, 2) },
    { .op = "TopK", TOP(0, 0), .in = { OF(OT_FLOAT, 4, 2, 7, 7, 2), OP_SHAPE(4) }, .n_out = 2, OP_WANT(2, 2, 7, 7) },
    { .op = "TopK", .in = { OF(OT_FLOAT, 3, 2, NAN, 7), OP_SHAPE(2) }, .n_out = 2, OP_WANT(NAN, 7) },
    { .op = "TopK", .in = { OF(OT_INT8, 4, -2, 7, -128, 2), OP_SHAPE(2) }, .n_out = 2, OP_WANT(7, 2) },
    { .op = "TopK", .in = { OF(OT_UINT64, 3, 2, 1e19, 7), OP_SHAPE(2) }, .n_out = 2, OP_WANT(1e19, 7) },
    { .op = "TopK", .in = { OF(OT_FLOAT16, 3, 2, -1, 7), OP_SHAPE(2) }, .n_out = 2, OP_WANT(7, 2) },
    { .op = "TopK", .in = { { .dtype = OT_FLOAT, OP_DIMS(60, 500), .draw = OP_SPREAD }, OP_SHAPE(17) }, .n_out = 2 },
    { .op = "TopK", .in = { OP_F(3), OP_SHAPE(4) }, .n_out = 2, .fails = "4 elements of axis 0, which is 3" },
    { .op = "TopK", .in = { OP_F(3), OP_SHAPE(1, 1) }, .n_out = 2, .fails = "k has 2 elements" },
    { .op = "TopK", .opset = 1, .in = { OP_F(3) }, .n_out = 2, .fails = "k is missing" },
    { 0 },
};

#define CUM(rev, ex) .attrs = OT_ATTRS(OT_INT("reverse", rev), OT_INT("exclusive", ex))

static const op_case cumulate_rows[] = {
    { .op = "CumSum", .in = { XS(1, 2, 3), SCALAR(OT_INT64, 0) }, OP_WANT(1, 3, 6) },
    { .op = "CumSum", CUM(1, 0), .in = { XS(1, 2, 3), SCALAR(OT_INT32, 0) }, OP_WANT(6, 5, 3) },
    { .op = "CumSum", CUM(0, 1), .in = { XS(1, 2, 3), SCALAR(OT_INT64, -1) }, OP_WANT(0, 1, 3) },
    { .op = "CumSum", CUM(1, 1), .in = { OP_X(2, 3, 2), SCALAR(OT_INT64, 1) } },
    { .op = "CumSum", .in = { OP_X(2, 3), OP_SHAPE(0) } },
    { .op = "CumSum", .opset = 11, .in = { OP_X(2, 0), OP_SHAPE(0) } },
    { .op = "CumSum", .in = { OP_F(100, 300), SCALAR(OT_INT64, 0) } },
    { .op = "CumSum",
      .in = { OF(OT_UINT32, 3, 4e9, 4e9, 1), SCALAR(OT_INT64, 0) },
      OP_WANT(4e9, 3705032704.0, 3705032705.0) },
    { .op = "CumSum", .in = { OP_F(3), SCALAR(OT_INT64, 1) }, .fails = "axis 1 is outside of rank 1" },
    { .op = "CumSum", .in = { OP_F(3), SCALAR(OT_FLOAT, 1) }, .fails = "the axis is float" },
    { .op = "CumProd", .in = { XS(1, 2, 3), SCALAR(OT_INT64, 0) }, OP_WANT(1, 2, 6) },
    { .op = "CumProd", CUM(1, 0), .in = { XS(1, 0, 3), SCALAR(OT_INT64, 0) }, OP_WANT(0, 0, 3) },
    { .op = "CumProd", CUM(0, 1), .in = { XS(2, 0, 3, 0, 5), SCALAR(OT_INT64, 0) }, OP_WANT(1, 2, 0, 0, 0) },
    { .op = "CumProd", CUM(1, 1), .in = { OP_X(2, 4, 2), SCALAR(OT_INT64, 1) } },
    { .op = "CumProd", .in = { OF(OT_INT32, 3, 4, -5, 2), SCALAR(OT_INT64, 0) }, OP_WANT(4, -20, -40) },
    { 0 },
};

#define LOWER .attrs = OT_ATTRS(OT_INT("upper", 0))

static const op_case diagonal_rows[] = {
    { .op = "Trilu", .in = { OP_X(2, 3, 4) } },
    { .op = "Trilu", LOWER, .in = { OP_X(4, 3) } },
    { .op = "Trilu", .in = { OP_X(3, 3), SCALAR(OT_INT64, -1) } },
    { .op = "Trilu", LOWER, .in = { OP_X(3, 3), SCALAR(OT_INT64, 1) } },
    { .op = "Trilu", .in = { OP_X(2, 2), SCALAR(OT_INT64, 1e18) }, OP_WANT(0, 0, 0, 0) },
    { .op = "Trilu", LOWER, .in = { OP_X(2, 2), SCALAR(OT_INT64, -1e18) }, OP_WANT(0, 0, 0, 0) },
    { .op = "Trilu", .in = { OP_X(0, 2), OP_SHAPE(0) } },
    { .op = "Trilu",
      .in = { { .dtype = OT_INT64, .constant = true, OP_DIMS(2, 2), OP_VALUES(1, 2, 3, 4) }, OP_SHAPE(1) },
      OP_WANT(0, 2, 0, 0) },
    { .op = "Trilu", .in = { OP_F(3) }, .fails = "rank 1" },
    { .op = "EyeLike", .in = { OP_F(2, 3) }, OP_WANT(1, 0, 0, 0, 1, 0) },
    { .op = "EyeLike", .attrs = OT_ATTRS(OT_INT("k", 1)), .in = { OP_F(2, 3) }, OP_WANT(0, 1, 0, 0, 0, 1) },
    { .op = "EyeLike",
      .attrs = OT_ATTRS(OT_INT("k", -1), OT_INT("dtype", OT_INT8)),
      .in = { OP_F(3, 2) },
      OP_WANT(0, 0, 1, 0, 0, 1) },
    { .op = "EyeLike", .attrs = OT_ATTRS(OT_INT("k", INT64_MIN)), .in = { OP_F(1, 1) }, OP_WANT(0) },
    { .op = "EyeLike", .in = { OP_F(2) }, .fails = "rank 1" },
    { .op = "EyeLike", .attrs = OT_ATTRS(OT_INT("dtype", OT_STRING)), .in = { OP_F(2, 2) }, .fails = "dtype is 8" },
    { 0 },
};

#define OFF_ON XS(2, 5)

static const op_case onehot_rows[] = {
    { .op = "OneHot", .in = { I64(3, 1, -1, 7), SCALAR(OT_INT64, 3), OFF_ON }, OP_WANT(2, 5, 2, 2, 2, 5, 2, 2, 2) },
    { .op = "OneHot", .opset = 9, .in = { I64(2, 1, -1), SCALAR(OT_INT64, 3), OFF_ON }, OP_WANT(2, 5, 2, 2, 2, 2) },
    { .op = "OneHot",
      AXIS(1),
      .in = { { .dtype = OT_INT32, OP_DIMS(2, 2), OP_VALUES(0, 1, 1, 0) }, SCALAR(OT_FLOAT, 3), OFF_ON },
      OP_WANT(5, 2, 2, 5, 2, 2, 2, 5, 5, 2, 2, 2) },
    { .op = "OneHot", AXIS(0), .in = { OF(OT_FLOAT, 2, 1.5, -1.5), OP_SHAPE(2), OFF_ON }, OP_WANT(2, 2, 5, 5) },
    { .op = "OneHot", .in = { OP_SHAPE(1, 0), SCALAR(OT_INT64, 2), OP_SHAPE(0, 7) }, OP_WANT(0, 7, 7, 0) },
    { .op = "OneHot", .in = { OP_SHAPE(1, 0), SCALAR(OT_INT64, 2), OF(OT_BOOL, 2, 0, 1) }, OP_WANT(0, 1, 1, 0) },
    { .op = "OneHot", .in = { I64(1, 0), SCALAR(OT_INT64, -2), OFF_ON }, .fails = "the depth is -2" },
    { .op = "OneHot", .in = { I64(1, 0), SCALAR(OT_INT64, 2), OP_F(3) }, .fails = "3 values" },
    { .op = "OneHot", AXIS(2), .in = { I64(1, 0), SCALAR(OT_INT64, 2), OP_F(2) }, .fails = "axis 2" },
    { 0 },
};

#define BOOLS(n, ...)                                                                                                  \
    {                                                                                                                  \
        .dtype = OT_BOOL, .constant = true, OP_DIMS(n), OP_VALUES(__VA_ARGS__)                                         \
    }

static const op_case nonzero_rows[] = {
    { .op = "NonZero", .in = { OP_SHAPE(0, 4, 0, 5) }, OP_WANT(1, 3) },
    { .op = "NonZero",
      .in = { { .dtype = OT_FLOAT, .constant = true, OP_DIMS(2, 2), OP_VALUES(1, -0.0, 0, NAN) } },
      OP_WANT(0, 1, 0, 1) },
    { .op = "NonZero", .in = { BOOLS(3, 1, 0, 1) }, OP_WANT(0, 2), OP_WANT_DIM(1, 2) },
    { .op = "NonZero", .in = { SCALAR(OT_FLOAT, 2) }, OP_WANT_DIM(0, 1) },
    { .op = "Compress", AXIS(0), .in = { OP_X(3, 2), BOOLS(3, 1, 0, 1) }, OP_WANT_DIM(2, 2) },
    { .op = "Compress", AXIS(-1), .in = { OP_X(3, 2), BOOLS(1, 1) }, OP_WANT_DIM(3, 1) },
    { .op = "Compress", .in = { OP_X(3, 2), BOOLS(5, 0, 1, 0, 1, 1) }, OP_WANT_DIM(3) },
    { .op = "Compress", .in = { OP_X(3, 2), BOOLS(2, 0, 0) }, OP_WANT_DIM(0) },
    { .op = "Compress", .in = { OP_F(3), OP_F(2) }, .fails = "condition is float" },
    { 0 },
};

#define CONSTANT(type, dims, ...)                                                                                      \
    {                                                                                                                  \
        .dtype = type, .constant = true, dims, OP_VALUES(__VA_ARGS__)                                                  \
    }
#define UNSORTED .attrs = OT_ATTRS(OT_INT("sorted", 0))

static const op_case unique_rows[] = {
    { .op = "Unique", .in = { OP_SHAPE(2, 1, 1, 3, 4, 3) }, .n_out = 4, OP_WANT(1, 2, 3, 4) },
    { .op = "Unique", UNSORTED, .in = { OP_SHAPE(2, 1, 1, 3, 4, 3) }, .n_out = 4, OP_WANT(2, 1, 3, 4) },
    { .op = "Unique",
      AXIS(1),
      .in = { CONSTANT(OT_FLOAT, OP_DIMS(2, 4, 2), 1, 1, 0, 1, 2, 1, 0, 1, 1, 1, 0, 1, 2, 1, 0, 1) },
      .n_out = 4,
      OP_WANT(0, 1, 1, 1, 2, 1, 0, 1, 1, 1, 2, 1),
      OP_WANT_DIM(2, 3, 2) },
    { .op = "Unique",
      .in = { CONSTANT(OT_FLOAT, OP_DIMS(6), NAN, -0.0, 0, INFINITY, NAN, -1) },
      .n_out = 4,
      .skip_out = { false, true, false, true },
      OP_WANT(-1, 0, INFINITY, NAN) },
    { .op = "Unique", .in = { CONSTANT(OT_UINT64, OP_DIMS(3), 1e19, 3, 1e19) }, .n_out = 4, OP_WANT(3, 1e19) },
    { .op = "Unique", .in = { { .dtype = OT_FLOAT, OP_DIMS(20), .draw = OP_SPREAD } }, OP_WANT_DIM(20) },
    { .op = "Unique",
      AXIS(0),
      .in = { { .dtype = OT_INT8, OP_DIMS(50, 1), .draw = OP_BETWEEN, .lo = 0, .hi = 2 } },
      OP_WANT(0, 1) },
    { .op = "Unique", .in = { { .dtype = OT_INT8, .constant = true, OP_DIMS(0) } }, .n_out = 4, OP_WANT_DIM(0) },
    { .op = "Unique",
      AXIS(0),
      .in = { OP_F(3, 4, 0) },
      .n_out = 4,
      OP_WANT_DIM(1, 4, 0) }, /* equal slices of nothing */
    { .op = "Unique", AXIS(1), .in = { OP_SHAPE(1) }, .fails = "axis 1" },
    { 0 },
};

#define XV(v)                                                                                                          \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_VALUES(v)                                                                  \
    }
#define FV(type, v)                                                                                                    \
    {                                                                                                                  \
        .dtype = type, OP_VALUES(v)                                                                                    \
    }

static const op_case range_rows[] = {
    { .op = "Range", .in = { XV(1), FV(OT_FLOAT, 2.1), XV(0.25) }, OP_WANT(1, 1.25, 1.5, 1.75, 2) },
    { .op = "Range", .in = { XV(1), FV(OT_FLOAT, -1.1), XV(-1) }, OP_WANT(1, 0, -1) },
    { .op = "Range", .in = { FV(OT_FLOAT, 1), FV(OT_FLOAT, 2), FV(OT_FLOAT, -1) }, OP_WANT_DIM(0) },
    { .op = "Range", .in = { FV(OT_FLOAT16, 1), FV(OT_FLOAT16, 3), FV(OT_FLOAT16, 1) }, OP_WANT(1, 2) },
    { .op = "Range", .in = { FV(OT_INT16, 5), FV(OT_INT16, -4), FV(OT_INT16, -3) }, OP_WANT(5, 2, -1) },
    { .op = "Range",
      .in = { SCALAR(OT_INT64, 0x1p53), SCALAR(OT_INT64, 0x1p53 + 4), SCALAR(OT_INT64, 3) },
      OP_WANT(0x1p53, 0x1p53 + 3) },
    { .op = "Range", .in = { OP_SHAPE(3), OP_SHAPE(5), OP_SHAPE(1) }, OP_WANT(3, 4) },
    { .op = "Range", .in = { OP_SHAPE(3), OP_SHAPE(5), OP_SHAPE(0) }, .fails = "step of Range is 0" },
    { .op = "Range",
      .in = { OP_SHAPE(-9e18), OP_SHAPE(9e18), OP_SHAPE(1) },
      .fails = "a Range of 18000000000000000000" },
    { .op = "Range", .in = { FV(OT_FLOAT, 0), FV(OT_FLOAT, INFINITY), FV(OT_FLOAT, 1) }, .fails = "a Range of inf" },
    { .op = "Range", .in = { OP_SHAPE(3), OP_SHAPE(5, 6), OP_SHAPE(1) }, .fails = "input 1 has 2 elements" },
    { 0 },
};

#define BATCH(b, t) .attrs = OT_ATTRS(OT_INT("batch_axis", b), OT_INT("time_axis", t))
#define BLOCK(b, m) .attrs = OT_ATTRS(OT_INT("blocksize", b), OT_TEXT("mode", m))

static const op_case move_rows[] = {
    { .op = "ReverseSequence", .in = { OP_X(4, 3), I64(3, 4, 0, 2) } },
    { .op = "ReverseSequence", BATCH(0, 1), .in = { OP_X(2, 3, 2), I64(2, 3, 1) } },
    { .op = "ReverseSequence", BATCH(0, 1), .in = { OP_F(2, 3), I64(2, 4, 1) }, .fails = "sequence 0 has 4 steps" },
    { .op = "ReverseSequence", BATCH(0, 0), .in = { OP_F(2, 3), I64(2, 1, 1) }, .fails = "batch_axis is 0" },
    { .op = "DepthToSpace", BLOCK(2, "DCR"), .in = { OP_X(2, 8, 2, 3) }, OP_WANT_DIM(2, 2, 4, 6) },
    { .op = "DepthToSpace", BLOCK(2, "CRD"), .in = { OP_X(2, 8, 2, 3) }, OP_WANT_DIM(2, 2, 4, 6) },
    { .op = "DepthToSpace", BLOCK(3, "DCR"), .in = { OP_F(1, 8, 2, 3) }, .fails = "channels is 8" },
    { .op = "DepthToSpace", BLOCK(0, "DCR"), .in = { OP_F(1, 8, 2, 3) }, .fails = "blocksize is 0" },
    { .op = "DepthToSpace", BLOCK(2, "RCD"), .in = { OP_F(1, 8, 2, 3) }, .fails = "mode is 'RCD'" },
    { .op = "SpaceToDepth", BLOCK(2, "DCR"), .in = { OP_X(1, 2, 4, 6) }, OP_WANT_DIM(1, 8, 2, 3) },
    { .op = "SpaceToDepth", BLOCK(3, "CRD"), .in = { OP_X(2, 2, 3, 6) }, OP_WANT_DIM(2, 18, 1, 2) },
    { .op = "SpaceToDepth", BLOCK(4, "CRD"), .in = { OP_F(2, 2, 4, 6) }, .fails = "width is 6" },
    { .op = "CenterCropPad", .in = { XS(1, 2, 3), OP_SHAPE(6) }, OP_WANT(0, 1, 2, 3, 0, 0) },
    { .op = "CenterCropPad", .in = { XS(1, 2, 3, 4, 5, 6), OP_SHAPE(3) }, OP_WANT(2, 3, 4) },
    { .op = "CenterCropPad", .in = { OP_X(4, 3, 2), OP_SHAPE(3, 6, 2) }, OP_WANT_DIM(3, 6, 2) },
    { .op = "CenterCropPad",
      .attrs = OT_ATTRS(OT_INTS("axes", ((const int64_t[]){ -1, 0 }), 2)),
      .in = { OP_X(4, 3, 2), OP_SHAPE(5, 0) },
      OP_WANT_DIM(0, 3, 5) },
    { .op = "CenterCropPad", .in = { OP_F(3), OP_SHAPE(1, 2) }, .fails = "2 sizes for 1 axes" },
    { .op = "CenterCropPad", .in = { OP_F(3), OP_SHAPE(-1) }, .fails = "is -1" },
    { 0 },
};

static void tile(void)
{
    op_cases_run(tile_rows);
}

static void topk(void)
{
    op_cases_run(topk_rows);
}

static void cumulate(void)
{
    op_cases_run(cumulate_rows);
}

static void diagonal(void)
{
    op_cases_run(diagonal_rows);
}

static void onehot(void)
{
    op_cases_run(onehot_rows);
}

static void nonzero(void)
{
    op_cases_run(nonzero_rows);
}

static void range(void)
{
    op_cases_run(range_rows);
}

static void unique(void)
{
    op_cases_run(unique_rows);
}

static void move(void)
{
    op_cases_run(move_rows);
}

const ot_test arrange_tests[] = { { "tile", tile },         { "topk", topk },
                                  { "cumulate", cumulate }, { "diagonal", diagonal },
                                  { "onehot", onehot },     { "nonzero", nonzero },
                                  { "range", range },       { "unique", unique },
                                  { "move", move },         { 0 } };

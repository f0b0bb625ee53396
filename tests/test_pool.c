#include "op_case.h"

#define LIST(name, ...) OT_INTS(name, ((const int64_t[]){ __VA_ARGS__ }), OP_COUNT_(__VA_ARGS__))
#define VALUES(n, ...)                                                                                                 \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .rank = 3, .dim = { 1, 1, n }, OP_VALUES(__VA_ARGS__)                                       \
    }

/* Most of a window is padding. */
#define BIG  (1 << 30)
#define VAST LIST("kernel_shape", 40, 41), LIST("strides", 13, 11), LIST("pads", 39, 40, 39, 38)

static const op_case max_rows[] = {
    { .op = "MaxPool", .attrs = OT_ATTRS(LIST("kernel_shape", 2, 2)), .in = { OP_XD(OP_SPREAD, 2, 3, 5, 7) } },
    { .op = "MaxPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 3, 3), LIST("strides", 2, 2), LIST("pads", 1, 1, 1, 1)),
      .in = { OP_XD(OP_SPREAD, 2, 3, 8, 7) },
      .n_out = 2,
      OP_WANT_DIM(2, 3, 4, 4) },
    { .op = "MaxPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 3, 2), LIST("dilations", 2, 1), OT_INT("storage_order", 1)),
      .in = { OP_XD(OP_SPREAD, 2, 2, 6, 5) },
      .n_out = 2 },
    { .op = "MaxPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 3, 3), LIST("strides", 2, 2), OT_INT("ceil_mode", 1)),
      .in = { OP_XD(OP_SPREAD, 1, 2, 8, 7) },
      OP_WANT_DIM(1, 2, 4, 3) },
    { .op = "MaxPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 1, 1), LIST("strides", 2, 2), OT_INT("ceil_mode", 1)),
      .in = { OP_XD(OP_SPREAD, 1, 1, 2, 4) },
      .no_symbols = true,
      OP_WANT_DIM(1, 1, 1, 2) },
    { .op = "MaxPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2, 2), OT_TEXT("auto_pad", "SAME_LOWER")),
      .in = { OP_XD(OP_SPREAD, 1, 2, 4, 5) },
      OP_WANT_DIM(1, 2, 4, 5) },
    { .op = "MaxPool", .opset = 1, .attrs = OT_ATTRS(LIST("kernel_shape", 2)), .in = { OP_XD(OP_SPREAD, 2, 2, 6) } },
    { .op = "MaxPool", .attrs = OT_ATTRS(LIST("kernel_shape", 2, 1, 2)), .in = { OP_XD(OP_SPREAD, 1, 2, 3, 2, 4) } },
    { .op = "MaxPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2, 1, 2, 1)),
      .in = { OP_XD(OP_SPREAD, 1, 2, 3, 2, 4, 1) } },
    { .op = "MaxPool", .attrs = OT_ATTRS(LIST("kernel_shape", 2, 2)), .in = { OP_XD(OP_SPREAD, 0, 3, 5, 7) } },
    { .op = "MaxPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2, 2)),
      .in = { { .dtype = OT_INT8, OP_DIMS(1, 1, 2, 3), OP_VALUES(-3, -5, 7, -4, -9, 2) } },
      .n_out = 2,
      OP_WANT(-3, 7) },
    { .op = "MaxPool", .attrs = OT_ATTRS(VAST), .in = { OP_XD(OP_SPREAD, 1, 2, 5, 4) }, .n_out = 2 },
    { .op = "MaxPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", BIG, BIG, BIG), LIST("pads", BIG, BIG, BIG, BIG, BIG, BIG)),
      .in = { OP_F(1, 1, 3, 3, 3) },
      .fails = "more than 2^63" },
    { .op = "MaxPool", .in = { OP_F(1, 1, 3) }, .fails = "kernel_shape" },
    { .op = "MaxPool", .attrs = OT_ATTRS(LIST("kernel_shape", 4)), .in = { OP_F(1, 1, 3) }, .fails = "does not fit" },
    { .op = "MaxPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2), LIST("pads", -1, 0)),
      .in = { OP_F(1, 1, 3) },
      .fails = "pads" },
    { .op = "GlobalMaxPool", .in = { OP_XD(OP_SPREAD, 2, 3, 4, 5) }, OP_WANT_DIM(2, 3, 1, 1) },
    { .op = "GlobalMaxPool", .in = { OP_XD(OP_SPREAD, 2, 3, 4, 1, 2, 2) } },
    { 0 },
};

static const op_case average_rows[] = {
    { .op = "AveragePool", .attrs = OT_ATTRS(LIST("kernel_shape", 2, 3)), .in = { OP_X(2, 3, 5, 7) } },
    { .op = "AveragePool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 3, 3), LIST("strides", 2, 2), LIST("pads", 1, 0, 1, 1)),
      .in = { OP_X(2, 3, 8, 7) } },
    { .op = "AveragePool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 3, 3), LIST("pads", 1, 0, 1, 1), OT_INT("count_include_pad", 1),
                        LIST("dilations", 1, 2)),
      .in = { OP_X(2, 3, 8, 7) } },
    { .op = "AveragePool", /* a window that hangs over by 2 */
      .attrs = OT_ATTRS(LIST("kernel_shape", 4), LIST("strides", 3), OT_INT("ceil_mode", 1)),
      .in = { VALUES(5, 1, 2, 3, 4, 5) },
      OP_WANT(2.5, 4.5) },
    { .op = "AveragePool", /* the overhang is never counted */
      .attrs = OT_ATTRS(LIST("kernel_shape", 4), LIST("strides", 3), LIST("pads", 1, 1), OT_INT("ceil_mode", 1),
                        OT_INT("count_include_pad", 1)),
      .in = { VALUES(6, 1, 2, 3, 4, 5, 6) },
      OP_WANT(1.5, 4.5, 3) },
    { .op = "AveragePool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 3, 3), LIST("strides", 2, 2), OT_INT("ceil_mode", 1),
                        LIST("pads", 1, 1, 0, 0), OT_INT("count_include_pad", 1)),
      .in = { OP_X(1, 2, 5, 6) } },
    { .op = "AveragePool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2, 2), OT_TEXT("auto_pad", "SAME_UPPER")),
      .in = { OP_X(1, 2, 4, 5) } },
    { .op = "AveragePool",
      .opset = 7,
      .attrs = OT_ATTRS(LIST("kernel_shape", 2, 1, 2)),
      .in = { OP_X(1, 2, 3, 2, 4) } },
    { .op = "AveragePool", .attrs = OT_ATTRS(VAST), .in = { OP_X(1, 2, 5, 4) } },
    { .op = "AveragePool",
      .attrs = OT_ATTRS(VAST, OT_INT("count_include_pad", 1), LIST("dilations", 1, 2), OT_INT("ceil_mode", 1)),
      .in = { OP_X(1, 2, 5, 7) } },
    { .op = "AveragePoolGrad",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2), LIST("pads", 1, 1)),
      .in = { OP_X(1, 2, 6), OP_F(1, 2, 5) } },
    { .op = "AveragePool", .in = { { .dtype = OT_INT8, OP_DIMS(1, 1, 2) } }, .fails = "int8" },
    { .op = "GlobalAveragePool", .in = { OP_X(2, 3, 4, 5) }, OP_WANT_DIM(2, 3, 1, 1) },
    { .op = "GlobalAveragePool", .in = { OP_X(2, 3) } },
    { .op = "GlobalAveragePool", .in = { OP_X(1, 3, 7) } },
    { .op = "GlobalAveragePoolGrad", .in = { OP_X(2, 3, 1, 1), OP_F(2, 3, 4, 3) } },
    { .op = "GlobalAveragePool", .in = { OP_F(3) }, .fails = "rank" },
    { 0 },
};

static const op_case lp_rows[] = {
    { .op = "LpPool", .attrs = OT_ATTRS(LIST("kernel_shape", 2, 3)), .in = { OP_X(2, 2, 4, 5) } },
    { .op = "LpPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 3, 2), LIST("strides", 2, 1), LIST("pads", 1, 0, 1, 1), OT_INT("p", 3)),
      .in = { OP_X(1, 2, 4, 5) } },
    { .op = "LpPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2), LIST("dilations", 2), OT_INT("ceil_mode", 1), OT_INT("p", 1)),
      .in = { OP_X(1, 2, 5) } },
    { .op = "LpPool",
      .opset = 1,
      .attrs = OT_ATTRS(LIST("kernel_shape", 2), OT_REAL("p", 1.5), OT_TEXT("auto_pad", "SAME_UPPER")),
      .in = { OP_X(1, 2, 5) } },
    { .op = "LpPool", .attrs = OT_ATTRS(LIST("kernel_shape", 2)), .in = { VALUES(3, -3, 4, 0) }, OP_WANT(5, 4) },
    { .op = "LpPool", .attrs = OT_ATTRS(LIST("kernel_shape", 1, 2, 2)), .in = { OP_X(1, 1, 2, 3, 3) } },
    { .op = "LpPool", .attrs = OT_ATTRS(VAST), .in = { OP_X(1, 2, 5, 4) } },
    { .op = "LpPool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2), OT_INT("p", 0)),
      .in = { OP_F(1, 1, 3) },
      .fails = "p is 0" },
    { .op = "GlobalLpPool", .in = { OP_X(2, 3, 2, 3) }, OP_WANT_DIM(2, 3, 1, 1) },
    { .op = "GlobalLpPool", .opset = 1, .attrs = OT_ATTRS(OT_REAL("p", 3)), .in = { OP_X(2, 3, 4) } },
    { .op = "GlobalLpPool", .in = { OP_F(3) }, .fails = "rank" },
    { 0 },
};

#define INDEX(n, ...)                                                                                                  \
    {                                                                                                                  \
        .dtype = OT_INT64, .rank = 3, .dim = { 1, 1, n }, OP_VALUES(__VA_ARGS__)                                       \
    }

static const op_case unpool_rows[] = {
    { .op = "MaxUnpool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2), LIST("strides", 2)),
      .in = { VALUES(2, 5, 6), INDEX(2, 1, 2) },
      OP_WANT(0, 5, 6, 0) },
    { .op = "MaxUnpool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2), LIST("strides", 2)),
      .in = { OP_X(1, 1, 3), INDEX(3, 1, 4, 1) },
      OP_WANT_DIM(1, 1, 6) },
    { .op = "MaxUnpool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2, 2), LIST("strides", 2, 2)),
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(1, 1, 2, 2), OP_VALUES(1, 2, 3, 4) },
              { .dtype = OT_INT64, OP_DIMS(1, 1, 2, 2), OP_VALUES(1, 2, 8, 15) },
              OP_SHAPE(1, 1, 4, 5) },
      OP_WANT(0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0) },
    { .op = "MaxUnpool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2)),
      .in = { OP_F(1, 1, 2), INDEX(2, 1, 3) },
      .fails = "index 3" },
    { .op = "MaxUnpool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2)),
      .in = { OP_F(1, 1, 2), INDEX(2, 1, 2), OP_SHAPE(1, 1, 2) },
      .fails = "the least is 3" },
    { .op = "MaxUnpool",
      .attrs = OT_ATTRS(LIST("kernel_shape", 2)),
      .in = { OP_F(1, 1, 3), INDEX(2, 1, 2) },
      .fails = "indices" },
    { 0 },
};

static void lp(void)
{
    op_cases_run(lp_rows);
}

static void unpool(void)
{
    op_cases_run(unpool_rows);
}

static void maximum(void)
{
    op_cases_run(max_rows);
}

static void average(void)
{
    op_cases_run(average_rows);
}

const ot_test pool_tests[] = { { "max", maximum }, { "average", average }, { "lp", lp }, { "unpool", unpool }, { 0 } };

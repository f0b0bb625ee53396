#include "op_case.h"

#define AXIS(v) .attrs = OT_ATTRS(OT_INT("axis", (v)))

static const op_case layer_rows[] = {
    { .op = "LayerNormalization", .in = { OP_X(3, 5), OP_X(5), OP_X(5) } },
    { .op = "LayerNormalization", AXIS(1), .in = { OP_X(3, 2, 4), OP_X(2, 4), OP_X(2, 4) } },
    { .op = "LayerNormalization", AXIS(-2), .in = { OP_X(2, 3, 2, 4), OP_X(2, 4) } },
    { .op = "LayerNormalization", AXIS(0), .in = { OP_X(3, 4), OP_X(3, 4), OP_X(3, 4) } },
    { .op = "LayerNormalization",
      .opset = 17,
      .n_out = 3,
      .attrs = OT_ATTRS(OT_REAL("epsilon", 0.1)),
      .in = { OP_F(40, 300), OP_F(300), OP_F(300) } },
    { .op = "LayerNormalization", .n_out = 3, .in = { OP_F(0, 3), OP_F(3) } },
    { .op = "LayerNormalization", .n_out = 3, .in = { OP_X(4, 3), OP_X(3), OP_X(3) } },
    { .op = "LayerNormalization",
      .attrs = OT_ATTRS(OT_REAL("epsilon", 0.5)), /* mean 3, variance 3.5 */
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 4), OP_VALUES(1, 2, 3, 6) },
              { .dtype = OT_FLOAT, OP_DIMS(4), OP_VALUES(2, 2, 2, 4) },
              { .dtype = OT_FLOAT, OP_DIMS(4), OP_VALUES(1, 1, 1, 1) } },
      OP_WANT(-1, 0, 1, 7) },
    { .op = "LayerNormalization", AXIS(1), .in = { OP_X(3, 2, 4), OP_X(4), OP_X(2, 1) } },
    { .op = "LayerNormalization", AXIS(1), .n_out = 3, .in = { OP_X(2, 3, 4), OP_X(1, 1, 1), OP_X(2, 3, 4) } },
    { .op = "LayerNormalization", .in = { OP_X(3, 5), OP_X(1, 5), OP_X(3, 1) } },
    { .op = "LayerNormalization", .in = { OP_F(3, 5), OP_F(4) }, .fails = "do not broadcast" },
    { .op = "LayerNormalization", .in = { OP_F(3, 5), OP_F(1, 3, 5) }, .fails = "rank 3" },
    { .op = "LayerNormalization", AXIS(2), .in = { OP_F(3, 5), OP_F(5) }, .fails = "axis 2" },
    { 0 },
};

#define SIZE(n) .attrs = OT_ATTRS(OT_INT("size", (n)), OT_REAL("alpha", 0.5))
#define SIZE_B(n, b)                                                                                                   \
    .attrs = OT_ATTRS(OT_INT("size", (n)), OT_REAL("alpha", 0.5), OT_REAL("beta", b), OT_REAL("bias", 2))

static const op_case lrn_rows[] = {
    { .op = "LRN", SIZE(3), .in = { OP_X(2, 5, 3, 2) } },
    { .op = "LRN", SIZE_B(4, 0.6), .in = { OP_X(2, 5, 3) } },
    { .op = "LRN", SIZE(5), .opset = 1, .in = { OP_X(2, 3) } },
    { .op = "LRN", SIZE(9), .in = { OP_X(1, 3, 150) } },
    { .op = "LRN", SIZE(3), .in = { OP_X(0, 3, 2) } },
    { .op = "LRN",
      .attrs = OT_ATTRS(OT_INT("size", 2), OT_REAL("alpha", 2), OT_REAL("beta", 1), OT_REAL("bias", 0)),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 3), OP_VALUES(1, 2, 3) } }, /* windows c .. c + 1 */
      OP_WANT(1. / 5, 2. / 13, 3. / 9) },
    { .op = "LRN", .in = { OP_F(1, 3) }, .fails = "size is 0" },
    { .op = "LRN", .attrs = OT_ATTRS(OT_INT("size", 5000)), .in = { OP_F(1, 3) } },
    { .op = "LRN", .attrs = OT_ATTRS(OT_INT("size", 5000)), .in = { OP_F(1, 1025) }, .fails = "over 1025" },
    { .op = "LRN", SIZE(3), .in = { OP_F(3) }, .fails = "rank" },
    { 0 },
};

static const op_case rms_rows[] = {
    { .op = "RMSNormalization", .opset = 23, .in = { OP_X(3, 5), OP_X(5) } },
    { .op = "RMSNormalization", AXIS(1), .in = { OP_X(3, 2, 4), OP_X(2, 4) } },
    { .op = "RMSNormalization", AXIS(0), .in = { OP_X(3, 4), OP_X(3, 4) } },
    { .op = "RMSNormalization", AXIS(-2), .in = { OP_X(2, 3, 4), OP_X(1, 4) } },
    { .op = "RMSNormalization", .in = { OP_X(3, 4), OP_X(3, 1) } },
    { .op = "RMSNormalization", .in = { OP_F(40, 300), OP_F(300) } },
    { .op = "RMSNormalization",
      .in = { OP_F(3, 4), { .dtype = OT_FLOAT16, OP_DIMS(4) } },
      .tolerance = 1e-3,
      .no_symbols = true },
    { .op = "RMSNormalization", .in = { OP_F(0, 4), OP_F(4) } },
    { .op = "RMSNormalization",
      .attrs = OT_ATTRS(OT_REAL("epsilon", 0)),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2), OP_VALUES(1, 7) }, { .dtype = OT_FLOAT, OP_DIMS(2), OP_VALUES(5, 10) } },
      OP_WANT(1, 14) },
    { .op = "RMSNormalization", .in = { OP_F(3, 4), OP_F(3) }, .fails = "do not broadcast" },
    { .op = "RMSNormalization", AXIS(3), .in = { OP_F(3, 4), OP_F(4) }, .fails = "axis 3" },
    { 0 },
};

#define GROUPS(n) .attrs = OT_ATTRS(OT_INT("num_groups", (n)), OT_REAL("epsilon", 0.01))

static const op_case group_rows[] = {
    { .op = "InstanceNormalization", .opset = 1, .in = { OP_X(2, 3, 4), OP_X(3), OP_X(3) } },
    { .op = "InstanceNormalization", .in = { OP_X(2, 3, 2, 3), OP_X(3), OP_X(3) } },
    { .op = "InstanceNormalization", .in = { OP_F(3, 5, 31, 17), OP_F(5), OP_F(5) } },
    { .op = "InstanceNormalization", .in = { OP_F(2, 3, 0), OP_F(3), OP_F(3) } },
    { .op = "InstanceNormalization", .in = { OP_F(2, 3, 4), OP_F(4), OP_F(3) }, .fails = "channels" },
    { .op = "InstanceNormalization", .in = { OP_F(2), OP_F(4), OP_F(3) }, .fails = "rank" },
    { .op = "GroupNormalization", GROUPS(2), .in = { OP_X(2, 4, 3), OP_X(4), OP_X(4) } },
    { .op = "GroupNormalization", GROUPS(1), .in = { OP_X(3, 4), OP_X(4), OP_X(4) } },
    { .op = "GroupNormalization", GROUPS(2), .opset = 18, .in = { OP_X(2, 4, 2, 3), OP_X(2), OP_X(2) } },
    { .op = "GroupNormalization", GROUPS(4), .opset = 20, .in = { OP_F(2, 4, 2), OP_F(4), OP_F(4) } },
    { .op = "GroupNormalization", GROUPS(4), .in = { OP_F(3, 8, 21, 17), OP_F(8), OP_F(8) } },
    { .op = "GroupNormalization",
      GROUPS(2),
      .opset = 18,
      .in = { OP_F(2, 4, 3), OP_F(4), OP_F(4) },
      .fails = "groups" },
    { .op = "GroupNormalization", GROUPS(3), .in = { OP_F(2, 4, 3), OP_F(4), OP_F(4) }, .fails = "3 equal groups" },
    { .op = "GroupNormalization", .in = { OP_F(2, 4, 3), OP_F(4), OP_F(4) }, .fails = "0 equal groups" },
    { 0 },
};

#define P_AXIS(p, axis) .attrs = OT_ATTRS(OT_INT("p", (p)), OT_INT("axis", (axis)))
#define AXES(...)       .attrs = OT_ATTRS(OT_INTS("axes", ((const int64_t[]){ __VA_ARGS__ }), OP_COUNT_(__VA_ARGS__)))

static const op_case simple_rows[] = {
    { .op = "LpNormalization", .opset = 1, .in = { OP_X(3, 4) } },
    { .op = "LpNormalization", P_AXIS(1, 0), .in = { OP_X(3, 4) } },
    { .op = "LpNormalization", P_AXIS(2, 1), .in = { OP_X(2, 3, 4) } },
    { .op = "LpNormalization", P_AXIS(2, 0), .in = { OP_F(0, 4) } },
    { .op = "LpNormalization",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2, 2), OP_VALUES(3, -4, 0, 0) } },
      OP_WANT(0.6, -0.8, 0, 0) },
    { .op = "LpNormalization", P_AXIS(3, 0), .in = { OP_F(3) }, .fails = "p is 3" },
    { .op = "LpNormalization", P_AXIS(2, 1), .in = { OP_F(3) }, .fails = "axis 1" },
    { .op = "MeanVarianceNormalization", .opset = 9, .in = { OP_X(2, 2, 2, 3) } },
    { .op = "MeanVarianceNormalization", AXES(1, -1), .in = { OP_X(2, 3, 4) } },
    { .op = "MeanVarianceNormalization", .in = { OP_F(2, 2) }, .fails = "axis" },
    { 0 },
};

static void layer(void)
{
    op_cases_run(layer_rows);
}

static void lrn(void)
{
    op_cases_run(lrn_rows);
}

static void rms(void)
{
    op_cases_run(rms_rows);
}

static void group(void)
{
    op_cases_run(group_rows);
}

static void simple(void)
{
    op_cases_run(simple_rows);
}

const ot_test norm_tests[] = { { "layer", layer }, { "lrn", lrn },       { "rms", rms },
                               { "group", group }, { "simple", simple }, { 0 } };

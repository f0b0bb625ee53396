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
    { .op = "LayerNormalization",
      .attrs = OT_ATTRS(OT_REAL("epsilon", 0.5)), /* mean 3, variance 3.5 */
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 4), OP_VALUES(1, 2, 3, 6) },
              { .dtype = OT_FLOAT, OP_DIMS(4), OP_VALUES(2, 2, 2, 4) },
              { .dtype = OT_FLOAT, OP_DIMS(4), OP_VALUES(1, 1, 1, 1) } },
      OP_WANT(-1, 0, 1, 7) },
    { .op = "LayerNormalization", .in = { OP_F(3, 5), OP_F(4) }, .fails = "scale" },
    { .op = "LayerNormalization", .in = { OP_F(3, 5), OP_F(3, 5) }, .fails = "axis 1" },
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
    { .op = "LRN", SIZE(3), .in = { OP_F(3) }, .fails = "rank" },
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

const ot_test norm_tests[] = { { "layer", layer }, { "lrn", lrn }, { 0 } };

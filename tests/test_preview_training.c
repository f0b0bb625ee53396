/* Adagrad, Adam and Momentum as operators of a model. */
#include "op_case.h"

#define PREVIEW .domain = "ai.onnx.preview.training", .opset = 1
#define NUMBER(t, v)                                                                                                   \
    {                                                                                                                  \
        .dtype = (t), .values = (const double[])                                                                       \
        {                                                                                                              \
            v                                                                                                          \
        }                                                                                                              \
    }
#define RATE(v)  NUMBER(OT_FLOAT, v)
#define STEPS(v) NUMBER(OT_INT64, v)

static const op_case rows[] = {
    { PREVIEW, .op = "Adagrad", .n_out = 2,
      .attrs = OT_ATTRS(OT_REAL("norm_coefficient", 0.1), OT_REAL("decay_factor", 0.5)),
      .in = { RATE(0.2), STEPS(3), OP_X(2, 3), OP_X(2, 3), OP_XD(OP_POSITIVE, 2, 3) } },
    { PREVIEW, .op = "Adagrad", .n_out = 4,
      .in = { RATE(0.2), STEPS(0), OP_X(2), OP_F(3), OP_F(2), OP_X(3), OP_XD(OP_POSITIVE, 2), OP_XD(OP_POSITIVE, 3) } },
    { PREVIEW, .op = "Adam", .n_out = 3,
      .attrs = OT_ATTRS(OT_REAL("norm_coefficient", 0.1), OT_REAL("norm_coefficient_post", 0.2)),
      .in = { RATE(0.2), STEPS(2), OP_X(2, 3), OP_X(2, 3), OP_X(2, 3), OP_XD(OP_POSITIVE, 2, 3) } },
    { PREVIEW, .op = "Adam", .n_out = 3,
      .in = { RATE(0.2), STEPS(0), OP_X(3), OP_X(3), OP_X(3), OP_XD(OP_POSITIVE, 3) } },
    { PREVIEW, .op = "Momentum", .n_out = 2,
      .attrs = OT_ATTRS(OT_TEXT("mode", "nesterov"), OT_REAL("alpha", 0.9), OT_REAL("beta", 0.5),
                        OT_REAL("norm_coefficient", 0.1)),
      .in = { RATE(0.2), STEPS(2), OP_X(2, 3), OP_X(2, 3), OP_X(2, 3) } },
    { PREVIEW, /* V = 0.5 * 4 + 2, beta being 1 in the first step; X = 1 - 0.25 * 4 */
      .op = "Momentum", .n_out = 2,
      .attrs = OT_ATTRS(OT_TEXT("mode", "standard"), OT_REAL("alpha", 0.5), OT_REAL("beta", 0.1),
                        OT_REAL("norm_coefficient", 0)),
      .in = { RATE(0.25),
              STEPS(0),
              { .dtype = OT_FLOAT, OP_DIMS(1), OP_VALUES(1) },
              { .dtype = OT_FLOAT, OP_DIMS(1), OP_VALUES(2) },
              { .dtype = OT_FLOAT, OP_DIMS(1), OP_VALUES(4) } },
      OP_WANT(0) },
    { PREVIEW, .op = "Adam", .n_out = 3, .in = { RATE(0.2), STEPS(0), OP_F(3), OP_F(3), OP_F(3) },
      .fails = "5 inputs and 3 outputs" },
    { PREVIEW, .op = "Momentum", .n_out = 2, .attrs = OT_ATTRS(OT_TEXT("mode", "heavy")),
      .in = { RATE(0.2), STEPS(0), OP_F(3), OP_F(3), OP_F(3) }, .fails = "mode is 'heavy'" },
    { 0 },
};

static void steps(void)
{
    op_cases_run(rows);
}

const ot_test preview_training_tests[] = { { "steps", steps }, { 0 } };

#include "op_case.h"

#define STAT(...)                                                                                                      \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .draw = OP_POSITIVE, OP_DIMS(__VA_ARGS__)                                                   \
    }

static const op_case given_rows[] = {
    { .op = "BatchNormalization", .in = { OP_X(2, 3, 4, 5), OP_X(3), OP_X(3), OP_F(3), STAT(3) } },
    { .op = "BatchNormalization",
      .opset = 9,
      .attrs = OT_ATTRS(OT_REAL("epsilon", 0.01)),
      .in = { OP_X(2, 3), OP_X(3), OP_X(3), OP_F(3), STAT(3) } },
    { .op = "BatchNormalization", .opset = 7, .in = { OP_X(2, 3, 7), OP_X(3), OP_X(3), OP_F(3), STAT(3) } },
    { .op = "BatchNormalization",
      .opset = 6,
      .attrs = OT_ATTRS(OT_INT("is_test", 1)),
      .in = { OP_F(2, 3, 7), OP_F(3), OP_F(3), OP_F(3), STAT(3) } },
    { .op = "BatchNormalization", .in = { OP_X(4), OP_X(1), OP_X(1), OP_F(1), STAT(1) } },
    { .op = "BatchNormalization", .in = { OP_X(0, 3, 2), OP_X(3), OP_X(3), OP_F(3), STAT(3) } },
    { .op = "BatchNormalization",
      .in = { OP_F(2, 3), OP_F(3), OP_F(2), OP_F(3), STAT(3) },
      .fails = "2 elements for 3" },
    { .op = "BatchNormalization",
      .n_out = 3,
      .in = { OP_F(2, 3), OP_F(3), OP_F(3), OP_F(3), STAT(3) },
      .fails = "training_mode" },
    { .op = "BatchNormalization",
      .opset = 6,
      .n_out = 5,
      .attrs = OT_ATTRS(OT_INT("is_test", 1)),
      .in = { OP_F(2, 3), OP_F(3), OP_F(3), OP_F(3), STAT(3) },
      .fails = "is_test" },
    { .op = "BatchNormalization",
      .opset = 7,
      .attrs = OT_ATTRS(OT_INT("spatial", 0)),
      .in = { OP_F(2, 3, 4), OP_F(3, 4), OP_F(3, 4), OP_F(3, 4), STAT(3, 4) } },
    { .op = "BatchNormInferGrad", .in = { OP_X(2, 3, 4), OP_F(3), STAT(3) } },
    { 0 },
};

static const op_case batch_rows[] = {
    { .op = "BatchNormTrain", .n_out = 5, .in = { OP_F(4, 3, 2, 3), OP_X(3), OP_X(3), OP_F(3), STAT(3) } },
    { .op = "BatchNormTrain", .n_out = 5, .in = { OP_F(16, 5, 7, 7), OP_F(5), OP_F(5), OP_F(5), STAT(5) } },
    { .op = "BatchNormalization",
      .n_out = 3,
      .attrs = OT_ATTRS(OT_INT("training_mode", 1), OT_REAL("momentum", 0.75), OT_REAL("epsilon", 0.5)),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2, 1, 2), OP_VALUES(1, 2, 3, 6) },
              { .dtype = OT_FLOAT, OP_DIMS(1), OP_VALUES(2) },
              { .dtype = OT_FLOAT, OP_DIMS(1), OP_VALUES(1) },
              OP_F(1),
              STAT(1) },
      /* mean 3, variance (4 + 1 + 0 + 9) / 4 = 3.5, so 2 (x - 3) / 2 + 1 */
      OP_WANT(-1, 0, 1, 4) },
    { .op = "BatchNormalization",
      .opset = 14,
      .attrs = OT_ATTRS(OT_INT("training_mode", 1)),
      .in = { OP_X(3, 2, 4), OP_X(2), OP_X(2), OP_F(2), STAT(2) } },
    { .op = "BatchNormalization", .opset = 7, .n_out = 5, .in = { OP_F(3, 2, 4), OP_F(2), OP_F(2), OP_F(2), STAT(2) } },
    { .op = "BatchNormalization",
      .opset = 8,
      .n_out = 5,
      .attrs = OT_ATTRS(OT_INT("spatial", 0)),
      .in = { OP_F(3, 2, 4), OP_F(2, 4), OP_F(2, 4), OP_F(2, 4), STAT(2, 4) },
      .fails = "spatial" },
    { .op = "BatchNormTrain", .in = { OP_F(0, 2), OP_F(2), OP_F(2), OP_F(2), STAT(2) }, .fails = "no statistics" },
    { .op = "BatchNormTrain", .in = { OP_F(3, 2), OP_F(2), OP_F(3), OP_F(2), STAT(2) }, .fails = "3 elements for 2" },
    { 0 },
};

static void given(void)
{
    op_cases_run(given_rows);
}

static void of_the_batch(void)
{
    op_cases_run(batch_rows);
}

const ot_test batchnorm_tests[] = { { "given", given }, { "of_the_batch", of_the_batch }, { 0 } };

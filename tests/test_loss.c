#include "op_case.h"

#define LABELS(n, ...)                                                                                                 \
    {                                                                                                                  \
        .dtype = OT_INT64, .draw = OP_BETWEEN, .lo = 0, .hi = (n), OP_DIMS(__VA_ARGS__)                                \
    }
#define GIVEN(...)                                                                                                     \
    {                                                                                                                  \
        .dtype = OT_INT32, .rank = 1, .dim = { OP_COUNT_(__VA_ARGS__) }, OP_VALUES(__VA_ARGS__)                        \
    }
#define WEIGHTS(n)                                                                                                     \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .draw = OP_POSITIVE, OP_DIMS(n)                                                             \
    }
#define F(...)                                                                                                         \
    {                                                                                                                  \
        .dtype = OT_FLOAT, __VA_ARGS__                                                                                 \
    }
#define REDUCE(how) .attrs = OT_ATTRS(OT_TEXT("reduction", how))

static const op_case nll_rows[] = {
    { .op = "NegativeLogLikelihoodLoss", .in = { OP_X(4, 5), LABELS(5, 4) } },
    { .op = "NegativeLogLikelihoodLoss", REDUCE("sum"), .in = { OP_X(4, 5), LABELS(5, 4), WEIGHTS(5) } },
    { .op = "NegativeLogLikelihoodLoss", REDUCE("none"), .in = { OP_X(2, 3, 4), LABELS(3, 2, 4), WEIGHTS(3) } },
    { .op = "NegativeLogLikelihoodLoss", .opset = 12, .in = { OP_X(2, 3, 2, 2), LABELS(3, 2, 2, 2), WEIGHTS(3) } },
    { .op = "NegativeLogLikelihoodLoss",
      .attrs = OT_ATTRS(OT_INT("ignore_index", -7)),
      .in = { OP_X(4, 3), GIVEN(0, -7, 2, 1), WEIGHTS(3) } },
    { .op = "NegativeLogLikelihoodLoss", REDUCE("none"), .in = { OP_X(0, 3), LABELS(3, 0) } },
    { .op = "NegativeLogLikelihoodLoss",
      .attrs = OT_ATTRS(OT_INT("ignore_index", 1)), /* (-1 * 2 - 4 * 3) / (2 + 3) */
      .in = { F(OP_DIMS(3, 3), OP_VALUES(-1, -9, -9, -9, -9, -9, -9, -9, -4)), GIVEN(0, 1, 2),
              F(OP_DIMS(3), OP_VALUES(2, 5, 3)) },
      OP_WANT(2.8) },
    { .op = "NegativeLogLikelihoodLoss", .in = { OP_F(2, 3), GIVEN(0, 3) }, .fails = "label 3 of element 1" },
    { .op = "NegativeLogLikelihoodLoss", .in = { OP_F(2, 3), GIVEN(-1, 0) }, .fails = "label -1 of element 0" },
    { .op = "NegativeLogLikelihoodLoss", .in = { OP_F(2, 3), OP_F(2) }, .fails = "labels are float" },
    { .op = "NegativeLogLikelihoodLoss", .in = { OP_F(2, 3), LABELS(3, 3) }, .fails = "labels and scores" },
    { .op = "NegativeLogLikelihoodLoss", REDUCE("max"), .in = { OP_F(2, 3), LABELS(3, 2) }, .fails = "'max'" },
    { .op = "NegativeLogLikelihoodLoss", .in = { OP_F(2, 3), LABELS(3, 2), WEIGHTS(2) }, .fails = "weights" },
    { 0 },
};

static const op_case cross_rows[] = {
    { .op = "SoftmaxCrossEntropyLoss", .in = { OP_X(4, 5), LABELS(5, 4) } },
    { .op = "SoftmaxCrossEntropyLoss", .n_out = 2, .in = { OP_X(4, 5), LABELS(5, 4), WEIGHTS(5) } },
    { .op = "SoftmaxCrossEntropyLoss", REDUCE("none"), .n_out = 2, .in = { OP_X(2, 3, 4), LABELS(3, 2, 4) } },
    { .op = "SoftmaxCrossEntropyLoss",
      .opset = 12,
      REDUCE("sum"),
      .in = { OP_X(2, 3, 2, 2), LABELS(3, 2, 2, 2), WEIGHTS(3) } },
    { .op = "SoftmaxCrossEntropyLoss",
      .attrs = OT_ATTRS(OT_INT("ignore_index", 2)),
      .in = { OP_X(4, 3), GIVEN(0, 2, 2, 1) } },
    { .op = "SoftmaxCrossEntropyLoss", .in = { OP_F(64, 1000), LABELS(1000, 64) } },
    { .op = "SoftmaxCrossEntropyLoss", .in = { F(OP_DIMS(1, 2), OP_VALUES(0, 1000)), GIVEN(0) }, OP_WANT(1000) },
    { .op = "SoftmaxCrossEntropyLoss", .in = { OP_F(2, 3), GIVEN(0, 3) }, .fails = "label 3 of element 1" },
    /* the numbers are PyTorch's: cross_entropy with label_smoothing 0.1 */
    { .op = "SmoothedCrossEntropy",
      .attrs = OT_ATTRS(OT_REAL("smoothing", 0.1)),
      .in = { F(OP_DIMS(2, 3), OP_VALUES(0.5, -1, 2, 1.5, 0.25, -0.75)), GIVEN(2, 1) },
      OP_WANT(0.9818252864) },
    { .op = "SmoothedCrossEntropy",
      .attrs = OT_ATTRS(OT_REAL("smoothing", 0.2)),
      .n_out = 2,
      .in = { OP_X(4, 5), LABELS(5, 4) } },
    { .op = "SmoothedCrossEntropy",
      .attrs = OT_ATTRS(OT_REAL("smoothing", 0.2), OT_TEXT("reduction", "none")),
      .in = { OP_X(2, 3, 3), LABELS(3, 2, 3) } },
    { .op = "SmoothedCrossEntropy",
      .attrs = OT_ATTRS(OT_REAL("smoothing", 2)),
      .in = { OP_F(4, 5), LABELS(5, 4) },
      .fails = "smoothing" },
    { 0 },
};

static const op_case elementwise_rows[] = {
    { .op = "BceWithLogits", .in = { OP_X(3, 4), OP_F(3, 4) } },
    { .op = "BceWithLogits", REDUCE("none"), .in = { OP_X(5), OP_F(5) } },
    { .op = "BceWithLogits",
      REDUCE("none"),
      .in = { F(OP_DIMS(3), OP_VALUES(0, 800, -800)), F(OP_DIMS(3), OP_VALUES(1, 1, 0)) },
      OP_WANT(0.69314718056, 0, 0) },
    { .op = "MseLoss", .in = { OP_X(3, 4), OP_F(3, 4) } },
    { .op = "MseLoss", REDUCE("sum"), .in = { OP_X(2, 2), OP_X(2, 2) } },
    { .op = "L1Loss", .in = { OP_XD(OP_SPREAD, 3, 4), OP_F(3, 4) } },
    { .op = "MseLoss", .in = { OP_F(3), OP_F(4) }, .fails = "x and the target" },
    { .op = "MseLoss", .in = { OP_F(3), OP_F(3, 1) }, .fails = "rank" },
    { 0 },
};

static void nll(void)
{
    op_cases_run(nll_rows);
}

static void cross_entropy(void)
{
    op_cases_run(cross_rows);
}

static void elementwise(void)
{
    op_cases_run(elementwise_rows);
}

const ot_test loss_tests[] = {
    { "nll", nll }, { "cross_entropy", cross_entropy }, { "elementwise", elementwise }, { 0 }
};

/* Operators whose gradient is zero wherever it exists, and operators of gradients that have gradients themselves. */
#include "op_case.h"

#define AWAY(...)                                                                                                      \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                       \
    }
#define REAL(v)                                                                                                        \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, .rank = 0, OP_VALUES(v)                                                       \
    }
#define WHOLE(v)                                                                                                       \
    {                                                                                                                  \
        .dtype = OT_INT64, .constant = true, .rank = 0, OP_VALUES(v)                                                   \
    }
#define BOOLS(...)                                                                                                     \
    {                                                                                                                  \
        .dtype = OT_BOOL, OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                                      \
    }

static const op_case zero_rows[] = {
    { .op = "Ceil", .in = { AWAY(-1.5, 0.25, 2.75) }, OP_WANT(-1, 1, 3) },
    { .op = "Floor", .in = { AWAY(-1.5, 0.25, 2.75) }, OP_WANT(-2, 0, 2) },
    { .op = "Round", .in = { AWAY(-1.25, 0.25, 2.75) }, OP_WANT(-1, 0, 3) },
    { .op = "Sign", .in = { AWAY(-1.25, 0.25, 2.75) }, OP_WANT(-1, 1, 1) },
    { .op = "Hardmax", .in = { OP_XD(OP_SPREAD, 3, 5) } },
    { .op = "EyeLike", .in = { OP_X(3, 4) } },
    { .op = "Bernoulli", .random = true, .in = { OP_XD(OP_POSITIVE, 4) } },
    { .op = "RandomNormalLike", .random = true, .in = { OP_X(3, 4) } },
    { .op = "RandomUniformLike", .random = true, .in = { OP_X(3, 4) } },
    { .op = "MelWeightMatrix", .in = { WHOLE(2), WHOLE(8), WHOLE(16), REAL(0.25), REAL(7.75) } },
    { 0 },
};

static const op_case second_rows[] = {
    { .op = "CenterCropPadLike", .in = { OP_X(2, 5), OP_F(3, 2) } },
    { .op = "ClipGrad",
      .in = { OP_X(4),
              { .dtype = OT_FLOAT, OP_DIMS(4), OP_VALUES(-2, -0.5, 0.5, 2) },
              { .dtype = OT_FLOAT, .rank = 0, OP_VALUES(-1) },
              { .dtype = OT_FLOAT, .rank = 0, OP_VALUES(1) } } },
    { .op = "CastLike", .in = { OP_X(2, 3), OP_F(1) } },
    { .op = "DropoutGrad", .attrs = OT_ATTRS(OT_REAL("ratio", 0.25)), .in = { OP_X(4), BOOLS(1, 0, 1, 1) } },
    { .op = "DropoutSeeded",
      .attrs = OT_ATTRS(OT_INT("seed", 3)),
      .n_out = 2,
      .in = { OP_X(3, 5), BOOLS(1), { .dtype = OT_FLOAT, .rank = 0, OP_VALUES(0.25) } } },
    { .op = "DropoutSeeded", .n_out = 2, .in = { OP_X(3, 5), BOOLS(0) } },
    { .op = "GatherGrad",
      .attrs = OT_ATTRS(OT_INT("axis", 1)),
      .in = { OP_X(2, 3), OP_F(2, 4), { .dtype = OT_INT64, OP_DIMS(3), OP_VALUES(1, -1, 1) } } },
    { .op = "LayerNorm", .in = { OP_X(3, 5) } },
    { .op = "LayerNorm", .attrs = OT_ATTRS(OT_INT("axis", 1)), .in = { OP_X(2, 3, 2), OP_X(3, 2), OP_X(3, 2) } },
    { .op = "RmsNorm", .in = { OP_X(3, 5) } },
    { .op = "RmsNorm", .in = { OP_X(3, 5), OP_X(5) } },
    { .op = "PadGrad", .in = { OP_X(5, 3), OP_F(2, 2), OP_SHAPE(1, 0, 2, 1), OP_SHAPE(0, 1) } },
    { .op = "PadGrad",
      .attrs = OT_ATTRS(OT_TEXT("mode", "reflect")),
      .in = { OP_X(6), OP_F(3), OP_SHAPE(1, 2), OP_SHAPE(0) } },
    { .op = "SliceGrad", .in = { OP_X(2, 2), OP_F(2, 5), OP_SHAPE(4), OP_SHAPE(0), OP_SHAPE(1), OP_SHAPE(-2) } },
    { .op = "UnaryGrad", .attrs = OT_ATTRS(OT_TEXT("unary", "Sigmoid")), .in = { OP_X(5), OP_F(5) } },
    { .op = "UnaryGrad",
      .attrs = OT_ATTRS(OT_TEXT("unary", "Gelu"), OT_TEXT("approximate", "tanh")),
      .in = { OP_X(5), OP_F(5) } },
    { 0 },
};

static void zero(void)
{
    op_cases_run(zero_rows);
}

static void second(void)
{
    op_cases_run(second_rows);
}

const ot_test zero_gradient_tests[] = { { "zero", zero }, { "operators of gradients", second }, { 0 } };

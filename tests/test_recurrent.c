/* RNN, GRU and LSTM. */
#include "op_case.h"
#include "recurrent_values.h"

#define TEXTS(key, ...)                                                                                                \
    {                                                                                                                  \
        .name = (key), .type = OT_ATTR_STRINGS, .strings = (const char *const[]){ __VA_ARGS__ },                       \
        .n = (int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))                                      \
    }
#define REALS(key, ...)                                                                                                \
    {                                                                                                                  \
        .name = (key), .type = OT_ATTR_FLOATS, .floats = (const float[]){ __VA_ARGS__ },                               \
        .n = (int)(sizeof((const float[]){ __VA_ARGS__ }) / sizeof(float))                                             \
    }
#define LENGTHS(...)                                                                                                   \
    {                                                                                                                  \
        .dtype = OT_INT32, OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                                     \
    }
#define SMALL(...)                                                                                                     \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .draw = OP_BETWEEN, .lo = -0.2, .hi = 0.2, OP_DIMS(__VA_ARGS__)                             \
    }
#define TYPED(t, ...)                                                                                                  \
    {                                                                                                                  \
        .dtype = (t), OP_DIMS(__VA_ARGS__)                                                                             \
    }
#define BOTH    OT_TEXT("direction", "bidirectional")
#define REVERSE OT_TEXT("direction", "reverse")
#define BATCH   OT_INT("layout", 1)
#define LATE    OT_INT("linear_before_reset", 1)

static const op_case rnn_rows[] = {
    { .op = "RNN", .n_out = 2, .in = { OP_X(3, 2, 4), OP_X(1, 5, 4), OP_X(1, 5, 5) } },
    { .op = "RNN",
      .opset = 7,
      .n_out = 2,
      .attrs = OT_ATTRS(BOTH, OT_INT("hidden_size", 3)),
      .in = { OP_X(3, 2, 2), OP_X(2, 3, 2), OP_X(2, 3, 3), OP_X(2, 6), LENGTHS(2, 3), OP_X(2, 2, 3) } },
    { .op = "RNN",
      .n_out = 2,
      .attrs = OT_ATTRS(BATCH, REVERSE, TEXTS("activations", "relu")),
      .in = { OP_X(2, 3, 2), OP_XD(OP_POSITIVE, 1, 3, 2), OP_F(1, 3, 3), OP_F(1, 6), LENGTHS(3, 0), OP_F(2, 1, 3) } },
    { .op = "RNN",
      .n_out = 2,
      .skip_out = { true },
      .attrs = OT_ATTRS(BATCH, BOTH, TEXTS("activations", "Sigmoid", "Tanh"), OT_REAL("clip", 0.4)),
      .in = { OP_X(2, 3, 2), OP_F(2, 3, 2), OP_X(2, 3, 3), OP_F(2, 6), OP_ABSENT, OP_X(2, 2, 3) } },
    { .op = "RNN",
      .attrs = OT_ATTRS(BOTH, TEXTS("activations", "ELU", "Softplus"), REALS("activation_alpha", 0.7f)),
      .in = { OP_X(2, 2, 2), OP_X(2, 3, 2), OP_X(2, 3, 3) } },
    { .op = "RNN",
      .attrs = OT_ATTRS(BOTH, TEXTS("activations", "LeakyRelu", "HardSigmoid")),
      .in = { OP_X(2, 2, 2), OP_X(2, 3, 2), OP_X(2, 3, 3) } },
    { .op = "RNN",
      .attrs = OT_ATTRS(BOTH, TEXTS("activations", "ScaledTanh", "Affine"), REALS("activation_alpha", 0.7f, 0.5f),
                        REALS("activation_beta", 1.5f, 0.25f)),
      .in = { OP_X(2, 2, 2), OP_X(2, 3, 2), OP_X(2, 3, 3) } },
    { .op = "RNN",
      .attrs = OT_ATTRS(BOTH, TEXTS("activations", "ThresholdedRelu", "Softsign"), REALS("activation_alpha", 0.1f)),
      .in = { OP_X(2, 2, 2), OP_X(2, 3, 2), OP_X(2, 3, 3) } },
    { .op = "RNN", .n_out = 2, .in = { OP_F(0, 2, 3), OP_F(1, 4, 3), OP_F(1, 4, 4) } },
    { .op = "RNN", .n_out = 2, .in = { OP_F(2, 0, 3), OP_F(1, 4, 3), OP_F(1, 4, 4) } },
    { .op = "RNN", .n_out = 2, .in = { OP_F(3, 70, 40), SMALL(1, 130, 40), SMALL(1, 130, 130) } },
    { .op = "RNN", .in = { OP_X(3, 5, 4), OP_X(1, 19, 4), OP_X(1, 19, 19) } },
    { .op = "RNN", .in = { TYPED(OT_FLOAT16, 2, 2, 2), TYPED(OT_FLOAT16, 1, 2, 2), TYPED(OT_FLOAT16, 1, 2, 2) } },
    { .op = "RNN", .in = { TYPED(OT_BFLOAT16, 2, 2, 2), TYPED(OT_BFLOAT16, 1, 2, 2), TYPED(OT_BFLOAT16, 1, 2, 2) } },
    { .op = "RNN", .n_out = 2, .opset = 1, TORCH_RNN },
    { .op = "RNN", .in = { OP_F(2, 3), OP_F(1, 4, 3), OP_F(1, 4, 4) }, .fails = "X has rank 2" },
    { .op = "RNN", .in = { OP_F(2, 2, 3), OP_F(1, 4, 2), OP_F(1, 4, 4) }, .fails = "W: 3 is not 2" },
    { .op = "RNN", .in = { OP_F(2, 2, 3), OP_F(1, 5, 3), OP_F(1, 5, 4) }, .fails = "rows of W and R" },
    { .op = "RNN",
      .attrs = OT_ATTRS(BOTH),
      .in = { OP_F(2, 2, 3), OP_F(1, 4, 3), OP_F(1, 4, 4) },
      .fails = "2 is not 1" },
    { .op = "RNN",
      .in = { OP_F(2, 2, 3), OP_F(1, 4, 3), OP_F(1, 4, 4), OP_ABSENT, LENGTHS(2, 3) },
      .fails = "sequence 1 has 3 steps, there are 2" },
    { .op = "RNN",
      .attrs = OT_ATTRS(TEXTS("activations", "Sine")),
      .in = { OP_F(2, 2, 3), OP_F(1, 4, 3), OP_F(1, 4, 4) },
      .fails = "activation 'Sine' is not known" },
    { .op = "RNN",
      .attrs = OT_ATTRS(BOTH, TEXTS("activations", "Tanh")),
      .in = { OP_F(2, 2, 3), OP_F(2, 4, 3), OP_F(2, 4, 4) },
      .fails = "1 activations, wanted are 2" },
    { .op = "RNN",
      .attrs = OT_ATTRS(OT_TEXT("direction", "up")),
      .in = { OP_F(2, 2, 3), OP_F(1, 4, 3), OP_F(1, 4, 4) },
      .fails = "direction is 'up'" },
    { 0 },
};

static const op_case gru_rows[] = {
    { .op = "GRU",
      .n_out = 2,
      .in = { OP_X(3, 2, 2), OP_X(1, 9, 2), OP_X(1, 9, 3), OP_X(1, 18), OP_ABSENT, OP_X(1, 2, 3) } },
    { .op = "GRU",
      .n_out = 2,
      .attrs = OT_ATTRS(LATE),
      .in = { OP_X(3, 2, 2), OP_X(1, 9, 2), OP_X(1, 9, 3), OP_X(1, 18), OP_ABSENT, OP_X(1, 2, 3) } },
    { .op = "GRU",
      .opset = 7,
      .n_out = 2,
      .attrs = OT_ATTRS(BOTH),
      .in = { OP_X(3, 2, 2), OP_F(2, 6, 2), OP_X(2, 6, 2), OP_X(2, 12), LENGTHS(2, 3), OP_X(2, 2, 2) } },
    { .op = "GRU",
      .n_out = 2,
      .attrs = OT_ATTRS(BOTH, BATCH, LATE),
      .in = { OP_X(3, 4, 2), OP_F(2, 6, 2), OP_X(2, 6, 2), OP_X(2, 12), LENGTHS(2, 4, 0), OP_X(3, 2, 2) } },
    { .op = "GRU",
      .attrs = OT_ATTRS(REVERSE, OT_REAL("clip", 0.5), TEXTS("activations", "HardSigmoid", "Softsign"),
                        REALS("activation_alpha", 0.3f), REALS("activation_beta", 0.4f)),
      .in = { OP_X(3, 2, 2), OP_X(1, 6, 2), OP_X(1, 6, 2), OP_X(1, 12) } },
    { .op = "GRU",
      .opset = 3,
      .n_out = 2,
      .skip_out = { true },
      .in = { OP_X(2, 2, 3), OP_X(1, 9, 3), OP_F(1, 9, 3) } },
    { .op = "GRU", .n_out = 2, .skip_out = { false, true }, .in = { OP_F(2, 1, 3), OP_F(1, 51, 3), OP_F(1, 51, 17) } },
    { .op = "GRU",
      .n_out = 2,
      .attrs = OT_ATTRS(LATE),
      .in = { OP_F(3, 66, 20), SMALL(1, 390, 20), SMALL(1, 390, 130), SMALL(1, 780) } },
    { .op = "GRU", .n_out = 2, .in = { OP_X(2, 5, 4), OP_X(1, 33, 4), OP_X(1, 33, 11) } },
    { .op = "GRU", .n_out = 2, .attrs = OT_ATTRS(LATE), .in = { OP_X(2, 5, 4), OP_X(1, 33, 4), OP_X(1, 33, 11) } },
    { .op = "GRU", .in = { TYPED(OT_FLOAT16, 2, 2, 2), TYPED(OT_FLOAT16, 1, 6, 2), TYPED(OT_FLOAT16, 1, 6, 2) } },
    { .op = "GRU", .in = { TYPED(OT_BFLOAT16, 2, 2, 2), TYPED(OT_BFLOAT16, 1, 6, 2), TYPED(OT_BFLOAT16, 1, 6, 2) } },
    { .op = "GRU", .n_out = 2, TORCH_GRU },
    { .op = "GRU", .n_out = 2, PEER_GRU },
    { .op = "GRU", .opset = 1, .n_out = 2, .in = { OP_F(2, 2, 3), OP_F(1, 9, 3), OP_F(1, 9, 3) } },
    { .op = "GRU", .in = { OP_F(2, 2, 3), OP_F(1, 9, 3), OP_F(1, 9, 3), OP_F(1, 17) }, .fails = "B: 17 is not 18" },
    { 0 },
};

static const op_case lstm_rows[] = {
    { .op = "LSTM",
      .n_out = 3,
      .in = { OP_X(2, 2, 2), OP_X(1, 8, 2), OP_X(1, 8, 2), OP_X(1, 16), OP_ABSENT, OP_X(1, 2, 2), OP_X(1, 2, 2),
              OP_X(1, 6) } },
    { .op = "LSTM",
      .opset = 7,
      .n_out = 3,
      .attrs = OT_ATTRS(BOTH),
      .in = { OP_X(3, 2, 2), OP_F(2, 8, 2), OP_F(2, 8, 2), OP_X(2, 16), LENGTHS(2, 3), OP_X(2, 2, 2), OP_X(2, 2, 2),
              OP_F(2, 6) } },
    { .op = "LSTM",
      .n_out = 3,
      .attrs = OT_ATTRS(BOTH, BATCH, OT_INT("input_forget", 1)),
      .in = { OP_X(3, 4, 2), OP_F(2, 8, 2), OP_F(2, 8, 2), OP_F(2, 16), LENGTHS(2, 0, 4), OP_X(3, 2, 2), OP_X(3, 2, 2),
              OP_X(2, 6) } },
    { .op = "LSTM",
      .n_out = 3,
      .skip_out = { true, true },
      .attrs = OT_ATTRS(REVERSE, OT_REAL("clip", 0.5)),
      .in = { OP_X(3, 2, 2), OP_X(1, 8, 2), OP_F(1, 8, 2), OP_F(1, 16), OP_ABSENT, OP_F(1, 2, 2), OP_X(1, 2, 2),
              OP_X(1, 6) } },
    { .op = "LSTM",
      .n_out = 3,
      .attrs = OT_ATTRS(TEXTS("activations", "Tanh", "Relu", "Sigmoid")),
      .in = { OP_X(2, 2, 3), OP_X(1, 12, 3), OP_F(1, 12, 3) } },
    { .op = "LSTM",
      .n_out = 3,
      .attrs = OT_ATTRS(TEXTS("activations", "HardSigmoid", "Elu", "LeakyRelu"),
                        REALS("activation_alpha", 0.25f, 0.9f, 0.2f), REALS("activation_beta", 0.45f)),
      .in = { OP_X(2, 2, 3), OP_X(1, 12, 3), OP_F(1, 12, 3) } },
    { .op = "LSTM",
      .n_out = 3,
      .attrs = OT_ATTRS(BOTH),
      .in = { OP_F(3, 17, 20), SMALL(2, 260, 20), SMALL(2, 260, 65), SMALL(2, 520) } },
    { .op = "LSTM",
      .in = { OP_F(4, 1, 3),
              { .dtype = OT_FLOAT, .constant = true, OP_DIMS(1, 20, 3) },
              { .dtype = OT_FLOAT, .constant = true, OP_DIMS(1, 20, 5) } } },
    { .op = "LSTM", .n_out = 3, .in = { OP_F(0, 2, 3), OP_F(1, 16, 3), OP_F(1, 16, 4) } },
    { .op = "LSTM", .n_out = 3, .in = { OP_X(3, 5, 3), OP_X(1, 36, 3), OP_X(1, 36, 9) } },
    { .op = "LSTM", .in = { TYPED(OT_FLOAT16, 2, 2, 2), TYPED(OT_FLOAT16, 1, 8, 2), TYPED(OT_FLOAT16, 1, 8, 2) } },
    { .op = "LSTM", .in = { TYPED(OT_BFLOAT16, 2, 2, 2), TYPED(OT_BFLOAT16, 1, 8, 2), TYPED(OT_BFLOAT16, 1, 8, 2) } },
    { .op = "LSTM", .n_out = 3, .opset = 1, TORCH_LSTM },
    { .op = "LSTM", .n_out = 3, PEER_LSTM },
    { .op = "LSTM", .n_out = 3, PEER_COUPLED },
    { .op = "LSTM",
      .in = { OP_F(2, 2, 3), OP_F(1, 16, 3), OP_F(1, 16, 4), OP_ABSENT, OP_ABSENT, OP_ABSENT, OP_ABSENT, OP_F(1, 11) },
      .fails = "P: 11 is not 12" },
    { .op = "LSTM",
      .attrs = OT_ATTRS(OT_INT("hidden_size", 5)),
      .in = { OP_F(2, 2, 3), OP_F(1, 16, 3), OP_F(1, 16, 4) },
      .fails = "R: 5 is not 4" },
    { 0 },
};

static void rnn(void)
{
    op_cases_run(rnn_rows);
}

static void gru(void)
{
    op_cases_run(gru_rows);
}

static void lstm(void)
{
    op_cases_run(lstm_rows);
}

const ot_test recurrent_tests[] = { { "rnn", rnn }, { "gru", gru }, { "lstm", lstm }, { 0 } };

/* LabelEncoder, Binarizer and ArrayFeatureExtractor of ai.onnx.ml. */
#include "op_case.h"

#include <math.h>

#define TEXTS(...)                                                                                                     \
    {                                                                                                                  \
        OP_DIMS(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)), OP_TEXT(__VA_ARGS__)                   \
    }
#define NUMBERS(t, ...)                                                                                                \
    {                                                                                                                  \
        .dtype = (t), OP_DIMS(sizeof((const double[]){ __VA_ARGS__ }) / sizeof(double)), OP_VALUES(__VA_ARGS__)        \
    }
#define LIST(key, ...)                                                                                                 \
    OT_INTS(key, ((const int64_t[]){ __VA_ARGS__ }), (int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)))
#define REALS(key, ...)                                                                                                \
    {                                                                                                                  \
        .name = (key), .type = OT_ATTR_FLOATS, .floats = (const float[]){ __VA_ARGS__ },                               \
        .n = (int)(sizeof((const float[]){ __VA_ARGS__ }) / sizeof(float))                                             \
    }
#define WORDS(key, ...)                                                                                                \
    {                                                                                                                  \
        .name = (key), .type = OT_ATTR_STRINGS, .strings = (const char *const[]){ __VA_ARGS__ },                       \
        .n = (int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))                                      \
    }
#define TENSOR(key, t, n, p)                                                                                           \
    {                                                                                                                  \
        .name = (key), .type = OT_ATTR_TENSOR, .tensor = &(const ot_tensor)                                            \
        {                                                                                                              \
            .dtype = (t), .rank = 1, .dim = { n }, .data = (p)                                                         \
        }                                                                                                              \
    }
#define ENCODE .op = "LabelEncoder", .domain = "ai.onnx.ml"

static int16_t short_keys[] = { 3, -1, 3 };
static double real_keys[] = { NAN, 1 };
static double real_values[] = { 0.5, 1.5, 2.5 };
static double real_default[] = { 9 };

static const op_case encoder_rows[] = {
    { ENCODE, .opset = 4,
      .attrs =
          OT_ATTRS(WORDS("keys_strings", "b", "a", "ab"), LIST("values_int64s", 5, 6, 7), OT_INT("default_int64", 42)),
      .in = { TEXTS("a", "ab", "c", "b", "") }, OP_WANT(6, 7, 42, 5, 42) },
    { ENCODE, .opset = 2, .attrs = OT_ATTRS(LIST("keys_int64s", 4, 2), WORDS("values_strings", "four", "two")),
      .in = { NUMBERS(OT_INT64, 2, 3, 4) }, OP_WANT_TEXT("two", "_Unused", "four") },
    { ENCODE, .opset = 4,
      .attrs = OT_ATTRS(TENSOR("keys_tensor", OT_DOUBLE, 2, real_keys), REALS("values_floats", 7, 8)),
      .in = { NUMBERS(OT_DOUBLE, 1, NAN, 2) }, OP_WANT(8, 7, 0) },
    { ENCODE, .opset = 2,
      .attrs = OT_ATTRS(REALS("keys_floats", 0.5f, 2), REALS("values_floats", 7, 8), OT_REAL("default_float", 3)),
      .in = { NUMBERS(OT_FLOAT, 2, 0.5, 1) }, OP_WANT(8, 7, 3) },
    { ENCODE, .opset = 2,
      .attrs = OT_ATTRS(REALS("keys_floats", 0.5f, 2), REALS("values_floats", 7, 8), OT_REAL("default_float", 3)),
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(3), OP_VALUES(3.5, 4, 2.5) } }, OP_WANT(3, 3, 3) },
    { ENCODE, .opset = 5, /* the last of equal keys */
      .attrs =
          OT_ATTRS(TENSOR("keys_tensor", OT_INT16, 3, short_keys), TENSOR("values_tensor", OT_DOUBLE, 3, real_values),
                   TENSOR("default_tensor", OT_DOUBLE, 1, real_default)),
      .in = { NUMBERS(OT_INT16, -1, 3, 0) }, OP_WANT(1.5, 2.5, 9) },
    { ENCODE, .opset = 1, .attrs = OT_ATTRS(WORDS("classes_strings", "x", "y")), .in = { TEXTS("y", "z", "x") },
      OP_WANT(1, -1, 0) },
    { ENCODE, .opset = 1, .attrs = OT_ATTRS(WORDS("classes_strings", "x", "y"), OT_TEXT("default_string", "?")),
      .in = { NUMBERS(OT_INT64, 1, 2, 0) }, OP_WANT_TEXT("y", "?", "x") },
    { ENCODE, .opset = 4, .attrs = OT_ATTRS(LIST("keys_int64s", 4, 2), LIST("values_int64s", 1)),
      .in = { NUMBERS(OT_INT64, 2) }, .fails = "2 keys of int64 and 1 values" },
    { ENCODE, .opset = 4, .attrs = OT_ATTRS(LIST("keys_int64s", 4), LIST("values_int64s", 1)), .in = { TEXTS("a") },
      .fails = "X is string, the keys are int64" },
    { 0 },
};

#define OF_ML .domain = "ai.onnx.ml", .opset = 1

static const op_case other_rows[] = {
    { OF_ML, .op = "Binarizer", .attrs = OT_ATTRS(OT_REAL("threshold", 0.5)), .in = { NUMBERS(OT_INT32, 0, 1, -3) },
      OP_WANT(0, 1, 0) },
    { OF_ML, .op = "Binarizer", .in = { OP_X(2, 3) } },
    { OF_ML, .op = "Binarizer", .attrs = OT_ATTRS(OT_REAL("threshold", 1)), .in = { NUMBERS(OT_INT64, 2, 1) },
      OP_WANT(1, 0) },
    { OF_ML, .op = "ArrayFeatureExtractor",
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(2, 3), OP_VALUES(1, 2, 3, 4, 5, 6) },
              NUMBERS(OT_INT64, 2, 0, 2) },
      OP_WANT_DIM(2, 3), OP_WANT(3, 1, 3, 6, 4, 6) },
    { OF_ML, .op = "ArrayFeatureExtractor", .in = { NUMBERS(OT_INT32, 7, 8, 9), NUMBERS(OT_INT64, 1) },
      OP_WANT_DIM(1, 1), OP_WANT(8) },
    { OF_ML, .op = "ArrayFeatureExtractor", .in = { TEXTS("a", "b"), NUMBERS(OT_INT64, 1) }, OP_WANT_TEXT("b") },
    { 0 },
};

static void encoder(void)
{
    op_cases_run(encoder_rows);
}

static void other(void)
{
    op_cases_run(other_rows);
}

const ot_test label_encoder_tests[] = { { "encoder", encoder }, { "other", other }, { 0 } };

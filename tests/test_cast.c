/* Cast, CastLike and BitCast: every class of element types in both directions. */
#include "op_case.h"
#include "base/half.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

#define TO(dtype) .attrs = OT_ATTRS(OT_INT("to", dtype))
#define I64(...)                                                                                                       \
    {                                                                                                                  \
        .dtype = OT_INT64, OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                                     \
    }
#define OF(t, ...)                                                                                                     \
    {                                                                                                                  \
        .dtype = t, OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                                            \
    }
#define TEXT(...)                                                                                                      \
    {                                                                                                                  \
        OP_DIMS(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)), OP_TEXT(__VA_ARGS__)                   \
    }
#define TO_LOOSE(t) .attrs = OT_ATTRS(OT_INT("to", t), OT_INT("saturate", 0))
#define TO_E8M0(keep, mode)                                                                                            \
    .attrs = OT_ATTRS(OT_INT("to", OT_FLOAT8E8M0), OT_INT("saturate", keep), OT_TEXT("round_mode", mode))

static const op_case number_rows[] = {
    { .op = "Cast",
      TO(OT_INT32),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(5), OP_VALUES(-1.7, 2.9, 3e9, -3e9, NAN) } },
      OP_WANT(-1, 2, 2147483647, -2147483648.0, 0) },
    { .op = "Cast",
      TO(OT_UINT8),
      .in = { { .dtype = OT_INT32, OP_DIMS(3), OP_VALUES(300, -1, 7) } },
      OP_WANT(44, 255, 7) },
    { .op = "Cast",
      TO(OT_BOOL),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(3), OP_VALUES(0, -0.5, NAN) } },
      OP_WANT(0, 1, 1) },
    { .op = "Cast",
      TO(OT_FLOAT16),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2), OP_VALUES(1.0001, 70000) } },
      OP_WANT(1, INFINITY),
      .tolerance = 1e-3 },
    { .op = "Cast", TO(OT_DOUBLE), .in = { OP_X(2, 3) } },
    { .op = "Cast", TO(OT_INT64), .in = { I64(4, 5) }, OP_WANT(4, 5) },
    { .op = "Cast", .opset = 1, .attrs = OT_ATTRS(OT_TEXT("to", "INT32")), .in = { OP_F(2) }, OP_WANT_DIM(2) },
    { .op = "Cast", TO(99), .in = { OP_F(2) }, .fails = "names no element type" },
    { .op = "CastLike", .in = { OP_F(2, 3), I64(0) }, OP_WANT_DIM(2, 3) },
    { 0 },
};

static const op_case small_rows[] = {
    { .op = "Cast",
      TO(OT_FLOAT8E4M3FN),
      .in = { OF(OT_FLOAT16, 0.48, 1000, -INFINITY, NAN, 0.0009) },
      OP_WANT(0.46875, 448, -448, NAN, 0) },
    { .op = "Cast", TO_LOOSE(OT_FLOAT8E4M3FN), .in = { OF(OT_FLOAT16, 464, 465, INFINITY) }, OP_WANT(448, NAN, NAN) },
    { .op = "Cast",
      TO(OT_FLOAT8E5M2),
      .in = { OF(OT_FLOAT16, 61440, 65000, INFINITY, 0.0001) },
      OP_WANT(57344, 57344, 57344, 0.0001068115234375) },
    { .op = "Cast", TO_LOOSE(OT_FLOAT8E5M2), .in = { OF(OT_FLOAT16, -61440, 61408) }, OP_WANT(-INFINITY, 57344) },
    { .op = "Cast", TO(OT_FLOAT8E4M3FNUZ), .in = { OF(OT_FLOAT16, -0.0, -1e-5, 300, NAN) }, OP_WANT(0, 0, 240, NAN) },
    { .op = "Cast", TO_LOOSE(OT_FLOAT8E5M2FNUZ), .in = { OF(OT_FLOAT16, 65504, 3.5) }, OP_WANT(NAN, 3.5) },
    { .op = "Cast",
      TO(OT_FLOAT4E2M1),
      .in = { OF(OT_FLOAT16, 0.25, 0.75, 2.5, 5, -9, NAN, INFINITY) },
      OP_WANT(0, 1, 2, 4, -6, 0, 6) },
    { .op = "Cast", TO_E8M0(1, "up"), .in = { OF(OT_FLOAT16, 0, 1.1, INFINITY, 4) }, OP_WANT(0x1p-127, 2, 0x1p127, 4) },
    { .op = "Cast", TO_E8M0(0, "nearest"), .in = { OF(OT_FLOAT16, 0, 1.1, INFINITY, 3) }, OP_WANT(NAN, 1, NAN, 4) },
    { .op = "Cast", TO_E8M0(1, "down"), .in = { OF(OT_FLOAT16, 7.9, NAN) }, OP_WANT(4, NAN) },
    { .op = "Cast", TO_E8M0(1, "sideways"), .in = { OP_F(2) }, .fails = "'sideways'" },
    { .op = "Cast", TO(OT_UINT4), .in = { OF(OT_FLOAT16, -1, 16, 3.9) }, OP_WANT(15, 0, 3) },
    { .op = "Cast", TO(OT_INT4), .in = { OF(OT_INT32, 8, -9, 7) }, OP_WANT(-8, 7, 7) },
    { .op = "Cast", TO(OT_INT2), .in = { OF(OT_UINT4, 1, 2, 15, 4, 3) }, OP_WANT(1, -2, -1, 0, -1) },
    { .op = "Cast", TO(OT_UINT2), .in = { OF(OT_INT8, 1, 2, -1, 4, 3) }, OP_WANT(1, 2, 3, 0, 3) },
    { .op = "Cast", TO(OT_FLOAT16), .in = { OF(OT_INT2, 1, -2, -1, 0, 1) }, OP_WANT(1, -2, -1, 0, 1) },
    { .op = "Cast", TO(OT_INT8), .in = { OF(OT_FLOAT8E5M2, 1.75, -3) }, OP_WANT(1, -3) },
    { .op = "Cast", TO(OT_BOOL), .in = { OF(OT_INT4, 1, 0, -8) }, OP_WANT(1, 0, 1) },
    { .op = "Cast",
      TO(OT_INT4),
      .in = { { .dtype = OT_INT8, OP_DIMS(40001), .draw = OP_BETWEEN, .lo = -8, .hi = 8 } } },
    { .op = "CastLike",
      .attrs = OT_ATTRS(OT_INT("saturate", 0)),
      .in = { OF(OT_FLOAT16, 1000, 1), OF(OT_FLOAT8E4M3FN, 0) },
      OP_WANT(NAN, 1) },
    { .op = "Cast", TO(OT_FLOAT16), .in = { OF(OT_DOUBLE, 1 + 0x1p-11 + 0x1p-40) }, OP_WANT(1 + 0x1p-10) },
    { .op = "Cast", TO(OT_BFLOAT16), .in = { OF(OT_INT64, 0x1010000000000100) }, OP_WANT(0x1.02p60) },
    { .op = "Cast", TO(OT_COMPLEX64), .in = { OP_F(2) }, .fails = "to complex64 is not defined" },
    { 0 },
};

static const op_case text_rows[] = {
    { .op = "Cast",
      TO(OT_STRING),
      .in = { OF(OT_DOUBLE, 0.1, 3, -1e20, 1e-5, NAN, -INFINITY, 123456.75, -0.0) },
      OP_WANT_TEXT("0.1", "3.0", "-1e+20", "1e-05", "nan", "-inf", "123456.75", "-0.0") },
    { .op = "Cast", TO(OT_STRING), .in = { OF(OT_FLOAT16, 0.1, 65504) }, OP_WANT_TEXT("0.1", "65500.0") },
    { .op = "Cast", TO(OT_STRING), .in = { OF(OT_UINT64, 1e19, 0) }, OP_WANT_TEXT("10000000000000000000", "0") },
    { .op = "Cast", TO(OT_STRING), .in = { OF(OT_INT4, -8, 7) }, OP_WANT_TEXT("-8", "7") },
    { .op = "Cast", TO(OT_STRING), .in = { OF(OT_BOOL, 1, 0) }, OP_WANT_TEXT("True", "False") },
    { .op = "Cast", TO(OT_STRING), .in = { TEXT("a", "") }, OP_WANT_TEXT("a", "") },
    { .op = "Cast",
      TO(OT_DOUBLE),
      .in = { TEXT("3.14", "1E8", "-.5", "+iNf", "-INF", "nan", "7.") },
      OP_WANT(3.14, 1e8, -0.5, INFINITY, -INFINITY, NAN, 7) },
    { .op = "Cast", TO(OT_FLOAT16), .in = { TEXT("0.1", "1e9") }, OP_WANT(0.0999755859375, INFINITY) },
    { .op = "Cast", TO(OT_INT64), .in = { TEXT("-9223372036854775808", "100.5", "1e3") }, OP_WANT(-0x1p63, 100, 1000) },
    { .op = "Cast", TO(OT_UINT64), .in = { TEXT("18446744073709551615") }, OP_WANT(0x1p64) },
    { .op = "Cast", TO(OT_BOOL), .in = { TEXT("True", "false", "0", "2.5") }, OP_WANT(1, 0, 0, 1) },
    { .op = "Cast", TO(OT_INT4), .in = { TEXT("-8", "7", "3") }, OP_WANT(-8, 7, 3) },
    { .op = "Cast", TO(OT_FLOAT8E5M2), .in = { TEXT("1.5") }, OP_WANT(1.5) },
    { .op = "Cast", TO(OT_FLOAT), .in = { TEXT("1", "0x10") }, .fails = "element 1, '0x10', is no number" },
    { .op = "Cast", TO(OT_INT32), .in = { TEXT("") }, .fails = "element 0, ''" },
    { .op = "Cast", .opset = 9, TO(OT_INT32), .in = { TEXT("12") }, OP_WANT(12) },
    { 0 },
};

static const op_case bit_rows[] = {
    { .op = "BitCast", TO(OT_FLOAT), .in = { OF(OT_INT32, 1065353216, 0) }, OP_WANT(1, 0) },
    { .op = "BitCast", TO(OT_INT4), .in = { OF(OT_UINT4, 15, 7, 8) }, OP_WANT(-1, 7, -8) },
    { .op = "BitCast", TO(OT_FLOAT8E5M2), .in = { OF(OT_UINT8, 0x3c) }, OP_WANT(1) },
    { .op = "BitCast", TO(OT_INT64), .in = { { .dtype = OT_DOUBLE, OP_VALUES(1) } }, OP_WANT(0x3ffp52) },
    { .op = "BitCast", TO(OT_INT16), .in = { OF(OT_INT32, 1) }, .fails = "int32 (32 bits) cannot be read as int16" },
    { .op = "BitCast", TO(OT_STRING), .in = { OF(OT_INT32, 1) }, .fails = "cannot be read as string" },
    { .op = "BitCast", .opset = 25, TO(OT_INT32), .in = { OF(OT_INT32, 1) }, .fails = "26" },
    { 0 },
};

static void numbers(void)
{
    op_cases_run(number_rows);
}

static void small_types(void)
{
    op_cases_run(small_rows);
}

static void text(void)
{
    op_cases_run(text_rows);
}

static void bits(void)
{
    op_cases_run(bit_rows);
}

/* Every float of 8 bits survives the way to double and back, and the mean of two neighbours goes to the even one. */
static void small_floats(void)
{
    static const ot_dtype types[] = { OT_FLOAT8E4M3FN, OT_FLOAT8E4M3FNUZ, OT_FLOAT8E5M2, OT_FLOAT8E5M2FNUZ };
    for (int k = 0; k < 4; k++)
        for (unsigned code = 0; code < 256; code++) {
            double v = ot_small_to_double(types[k], code), next = ot_small_to_double(types[k], code + 1);
            CHECK(isnan(v) || ot_double_to_small(types[k], v, false) == code);
            if (isfinite(v) && isfinite(next) && code % 128 != 127)
                CHECK(ot_double_to_small(types[k], (v + next) / 2, false) == code + code % 2);
        }
    for (unsigned code = 0; code < 255; code++)
        CHECK(ot_double_to_e8m0(ot_small_to_double(OT_FLOAT8E8M0, code), false, OT_ROUND_UP) == code);
}

/* Text reads back as the number it came from. */
static void round_trip(void)
{
    char s[OT_NUMBER_TEXT];
    for (uint32_t h = 0; h < 65536; h += 7) {
        double v = (double)ot_f16_to_float((uint16_t)h), w = 0;
        int n = ot_number_text(s, v, OT_FLOAT16);
        CHECK(n > 0 && (size_t)n == strlen(s) && ot_number_read(&w, s, (size_t)n));
        CHECK(isnan(v) ? isnan(w) : ot_double_to_f16(w) == h);
    }
    for (double v = 5e-324; v < 1e300; v *= 1.7e3) {
        double w = 0;
        CHECK(ot_number_read(&w, s, (size_t)ot_number_text(s, -v, OT_DOUBLE)) && w == -v);
    }
}

const ot_test cast_tests[] = { { "numbers", numbers },
                               { "small types", small_types },
                               { "text", text },
                               { "bits", bits },
                               { "small floats", small_floats },
                               { "numbers as text", round_trip },
                               { 0 } };

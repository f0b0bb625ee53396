#include "op_case.h"

#define SCALAR(v)                                                                                                      \
    {                                                                                                                  \
        .dtype = OT_INT64, .constant = true, .rank = 0, OP_VALUES(v)                                                   \
    }
#define REAL(v)                                                                                                        \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .rank = 0, OP_VALUES(v)                                                                     \
    }
#define HOW(inverse, onesided) .attrs = OT_ATTRS(OT_INT("inverse", inverse), OT_INT("onesided", onesided))
#define LINE(n, parts, ...)                                                                                            \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .rank = 3, .dim = { 1, n, parts }, OP_VALUES(__VA_ARGS__)                                   \
    }

static const op_case dft_rows[] = {
    { .op = "DFT", .in = { LINE(4, 1, 1, 2, 3, 5) }, OP_WANT(11, 0, -2, 3, -3, 0, -2, -3) },
    { .op = "DFT", .in = { LINE(3, 1, 1, 2, 4) }, OP_WANT(7, 0, -2, 1.7320508, -2, -1.7320508) },
    { .op = "DFT", HOW(1, 0), .in = { LINE(4, 2, 11, 0, -2, 3, -3, 0, -2, -3) }, OP_WANT(1, 0, 2, 0, 3, 0, 5, 0) },
    { .op = "DFT", HOW(1, 1), .in = { LINE(3, 2, 11, 0, -2, 3, -3, 0) }, OP_WANT(1, 2, 3, 5) },
    { .op = "DFT", .in = { OP_X(2, 5, 2) } },
    { .op = "DFT", HOW(0, 1), .in = { OP_X(2, 6, 1) }, OP_WANT_DIM(2, 4, 2) },
    { .op = "DFT", HOW(0, 1), .in = { OP_X(7, 2, 1), SCALAR(5), SCALAR(0) }, OP_WANT_DIM(3, 2, 2) },
    { .op = "DFT", HOW(0, 0), .in = { OP_X(2, 3, 3, 2), SCALAR(8), SCALAR(-3) }, OP_WANT_DIM(2, 8, 3, 2) },
    { .op = "DFT", HOW(1, 0), .in = { OP_X(2, 7, 2), SCALAR(6) } },
    { .op = "DFT", HOW(1, 0), .in = { OP_X(2, 4, 1) } },
    { .op = "DFT", HOW(1, 1), .in = { OP_X(2, 4, 2) }, OP_WANT_DIM(2, 6, 1) },
    { .op = "DFT", HOW(1, 1), .in = { OP_X(2, 4, 2), SCALAR(7) }, OP_WANT_DIM(2, 7, 1) },
    { .op = "DFT", HOW(1, 1), .in = { OP_X(2, 3, 2), SCALAR(10) } },
    { .op = "DFT", .in = { OP_F(3, 100, 1), SCALAR(97) } },
    { .op = "DFT", .opset = 17, .attrs = OT_ATTRS(OT_INT("axis", 0)), .in = { OP_X(4, 2, 2) } },
    { .op = "DFT", .opset = 19, .in = { OP_X(2, 3, 2, 1) }, OP_WANT_DIM(2, 3, 2, 2) },
    { .op = "DFT", .in = { OP_F(2, 3, 3) }, .fails = "last dimension" },
    { .op = "DFT", .in = { OP_F(2, 0, 2) }, .fails = "length 0" },
    { .op = "DFT", .in = { OP_F(2, 3, 2), OP_ABSENT, SCALAR(2) }, .fails = "axis 2" },
    { .op = "DFT", .in = { OP_F(2, 3, 2), SCALAR(-4) }, .fails = "length -4" },
    { 0 },
};

#define SIDES(n) .attrs = OT_ATTRS(OT_INT("onesided", n))

static const op_case stft_rows[] = {
    { .op = "STFT", .in = { OP_X(2, 10, 1), SCALAR(3), OP_X(4) }, OP_WANT_DIM(2, 3, 3, 2) },
    { .op = "STFT", SIDES(0), .in = { OP_X(1, 9, 2), SCALAR(2), OP_X(5), SCALAR(5) }, OP_WANT_DIM(1, 3, 5, 2) },
    { .op = "STFT", .in = { OP_X(2, 9, 1), SCALAR(2), OP_ABSENT, SCALAR(4) }, OP_WANT_DIM(2, 3, 3, 2) },
    { .op = "STFT", .in = { OP_X(2, 5, 1), SCALAR(2) }, OP_WANT_DIM(2, 1, 3, 2) },
    { .op = "STFT",
      .in = { LINE(3, 1, 1, 2, 4), SCALAR(1), { .dtype = OT_FLOAT, OP_DIMS(2), OP_VALUES(1, 3) } },
      OP_WANT(7, 0, -5, 0, 14, 0, -10, 0) },
    { .op = "STFT", .in = { OP_F(2, 5, 1), SCALAR(0) }, .fails = "frame_step is 0" },
    { .op = "STFT", .in = { OP_F(2, 5, 1), SCALAR(1), OP_F(6) }, .fails = "frames of 6" },
    { .op = "STFT", .in = { OP_F(2, 5, 1), SCALAR(1), OP_F(4), SCALAR(3) }, .fails = "length of the window" },
    { 0 },
};

#define PERIODIC(n) .attrs = OT_ATTRS(OT_INT("periodic", n))
#define TYPE(t)     .attrs = OT_ATTRS(OT_INT("output_datatype", t))

static const op_case window_rows[] = {
    { .op = "HannWindow", .in = { SCALAR(4) }, OP_WANT(0, 0.5, 1, 0.5) },
    { .op = "HannWindow", PERIODIC(0), .in = { SCALAR(3) }, OP_WANT(0, 1, 0) },
    { .op = "HannWindow", PERIODIC(0), .in = { SCALAR(1) }, OP_WANT(1) },
    { .op = "HannWindow", .in = { SCALAR(0) }, OP_WANT_DIM(0) },
    { .op = "HannWindow", TYPE(OT_DOUBLE), .in = { SCALAR(2) }, OP_WANT(0, 1) },
    { .op = "HammingWindow", .in = { SCALAR(2) }, OP_WANT(0.0869565, 1) },
    { .op = "HammingWindow", TYPE(OT_INT32), .in = { SCALAR(2) }, OP_WANT(0, 1) },
    { .op = "BlackmanWindow", .in = { SCALAR(4) }, OP_WANT(0, 0.34, 1, 0.34) },
    { .op = "BlackmanWindow", TYPE(OT_STRING), .in = { SCALAR(4) }, .fails = "output_datatype" },
    { .op = "HannWindow", .in = { SCALAR(-1) }, .fails = "input 0 is -1" },
    { .op = "MelWeightMatrix",
      .in = { SCALAR(2), SCALAR(8), SCALAR(16), REAL(0), REAL(8) },
      OP_WANT(0, 0, 1, 0, 0, 1, 0, 0, 0, 0) },
    { .op = "MelWeightMatrix", .in = { SCALAR(2), SCALAR(8), SCALAR(16), REAL(0), REAL(80) }, .fails = "band" },
    { .op = "MelWeightMatrix", .in = { SCALAR(2), SCALAR(8), SCALAR(0), REAL(0), REAL(8) }, .fails = "band 0" },
    { 0 },
};

static void dft(void)
{
    op_cases_run(dft_rows);
}

static void stft(void)
{
    op_cases_run(stft_rows);
}

static void windows(void)
{
    op_cases_run(window_rows);
}

const ot_test signal_tests[] = { { "dft", dft }, { "stft", stft }, { "windows", windows }, { 0 } };

#include "op_case.h"

#define LIST(name, ...) OT_INTS(name, ((const int64_t[]){ __VA_ARGS__ }), OP_COUNT_(__VA_ARGS__))

static const op_case conv_rows[] = {
    { .op = "Conv", .in = { OP_X(2, 3, 5, 7), OP_X(4, 3, 3, 3), OP_X(4) } },
    { .op = "Conv", .attrs = OT_ATTRS(LIST("pads", 1, 1, 1, 1)), .in = { OP_X(1, 2, 6, 5), OP_X(3, 2, 3, 3) } },
    { .op = "Conv",
      .attrs = OT_ATTRS(LIST("strides", 2, 2), LIST("pads", 3, 3, 3, 3), LIST("kernel_shape", 7, 7)),
      .in = { OP_X(2, 3, 9, 10), OP_X(4, 3, 7, 7), OP_X(4) },
      OP_WANT_DIM(2, 4, 5, 5) },
    { .op = "Conv", .in = { OP_X(2, 5, 4, 4), OP_X(6, 5, 1, 1), OP_X(6) } },
    { .op = "Conv", .attrs = OT_ATTRS(LIST("strides", 2, 2)), .in = { OP_X(2, 5, 5, 4), OP_X(6, 5, 1, 1) } },
    { .op = "Conv",
      .attrs = OT_ATTRS(OT_INT("group", 2), LIST("pads", 0, 1, 2, 0), LIST("dilations", 2, 1)),
      .in = { OP_X(2, 4, 6, 5), OP_X(6, 2, 3, 2), OP_X(6) },
      OP_WANT_DIM(2, 6, 4, 5) },
    { .op = "Conv",
      .attrs = OT_ATTRS(OT_INT("group", 4), LIST("pads", 1, 1, 1, 1)),
      .in = { OP_X(2, 4, 5, 5), OP_X(4, 1, 3, 3), OP_X(4) } },
    { .op = "Conv",
      .attrs = OT_ATTRS(OT_INT("group", 3), LIST("pads", 1, 1, 1, 1), LIST("strides", 2, 1)),
      .in = { OP_X(1, 3, 5, 5), OP_X(6, 1, 3, 3) } },
    { .op = "Conv",
      .attrs = OT_ATTRS(OT_TEXT("auto_pad", "SAME_UPPER"), LIST("strides", 2, 2)),
      .in = { OP_X(1, 2, 6, 5), OP_X(3, 2, 3, 3) },
      OP_WANT_DIM(1, 3, 3, 3) },
    { .op = "Conv",
      .attrs = OT_ATTRS(OT_TEXT("auto_pad", "SAME_LOWER"), LIST("dilations", 2, 2)),
      .in = { OP_X(1, 2, 6, 5), OP_X(3, 2, 2, 3) },
      OP_WANT_DIM(1, 3, 6, 5) },
    { .op = "Conv",
      .attrs = OT_ATTRS(OT_TEXT("auto_pad", "VALID")),
      .in = { OP_X(1, 2, 6, 5), OP_X(3, 2, 3, 3) },
      OP_WANT_DIM(1, 3, 4, 3) },
    { .op = "Conv", .attrs = OT_ATTRS(LIST("pads", 1, 2)), .in = { OP_X(2, 3, 8), OP_X(4, 3, 3), OP_X(4) } },
    { .op = "Conv",
      .attrs = OT_ATTRS(LIST("pads", 1, 0, 1, 0, 1, 1), LIST("strides", 1, 2, 1)),
      .in = { OP_X(1, 2, 3, 4, 3), OP_X(2, 2, 2, 3, 2), OP_X(2) } },
    { .op = "Conv", .in = { OP_X(1, 2, 2, 3, 2, 2), OP_X(2, 2, 2, 2, 1, 2), OP_X(2) } },
    { .op = "Conv", .in = { OP_X(0, 3, 5, 5), OP_X(4, 3, 3, 3), OP_X(4) } },
    { .op = "Conv", .attrs = OT_ATTRS(LIST("pads", 1, 1, 1, 1)), .in = { OP_F(2, 16, 14, 14), OP_F(32, 16, 3, 3) } },
    { .op = "Conv",
      .opset = 1,
      .attrs = OT_ATTRS(LIST("pads", 1, 1, 1, 1)),
      .in = { OP_F(1, 1, 3, 3),
              { .dtype = OT_FLOAT, OP_DIMS(1, 1, 3, 3), OP_VALUES(0, 0, 0, 0, 1, 0, 0, 0, 0), .constant = true } } },
    { .op = "Conv",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 1, 4), OP_VALUES(1, 2, 3, 4) },
              { .dtype = OT_FLOAT, OP_DIMS(1, 1, 2), OP_VALUES(10, 1) },
              { .dtype = OT_FLOAT, OP_DIMS(1), OP_VALUES(0.5) } },
      OP_WANT(12.5, 23.5, 34.5) },
    { .op = "Conv", .in = { OP_F(2, 3, 5, 5), OP_F(4, 2, 3, 3) }, .fails = "3 channels" },
    { .op = "Conv", .in = { OP_F(2, 3, 2, 2), OP_F(4, 3, 3, 3) }, .fails = "does not fit" },
    { .op = "Conv", .in = { OP_F(2, 3, 5, 5), OP_F(4, 3, 3) }, .fails = "rank" },
    { .op = "Conv",
      .attrs = OT_ATTRS(LIST("kernel_shape", 3, 2)),
      .in = { OP_F(2, 3, 5, 5), OP_F(4, 3, 3, 3) },
      .fails = "kernel_shape" },
    { .op = "Conv",
      .attrs = OT_ATTRS(LIST("strides", 1)),
      .in = { OP_F(2, 3, 5, 5), OP_F(4, 3, 3, 3) },
      .fails = "strides" },
    { .op = "Conv",
      .attrs = OT_ATTRS(LIST("strides", 0, 1)),
      .in = { OP_F(2, 3, 5, 5), OP_F(4, 3, 3, 3) },
      .fails = "strides" },
    { .op = "Conv",
      .attrs = OT_ATTRS(OT_TEXT("auto_pad", "same")),
      .in = { OP_F(2, 3, 5, 5), OP_F(4, 3, 3, 3) },
      .fails = "auto_pad" },
    { .op = "Conv",
      .attrs = OT_ATTRS(OT_INT("group", 3)),
      .in = { OP_F(2, 3, 5, 5), OP_F(4, 1, 3, 3) },
      .fails = "groups" },
    { .op = "Conv", .in = { OP_F(2, 3, 5, 5), OP_F(4, 3, 3, 3), OP_F(5) }, .fails = "length of B" },
    { 0 },
};

static const op_case fused_rows[] = {
    { .op = "ConvFused",
      .attrs = OT_ATTRS(OT_TEXT("activation", "relu")),
      .in = { OP_F(2, 3, 5, 7), OP_F(4, 3, 3, 3) } },
    { .op = "ConvFused",
      .attrs = OT_ATTRS(OT_TEXT("activation", "relu"), LIST("pads", 1, 1, 1, 1)),
      .in = { OP_F(2, 3, 5, 7),
              { .dtype = OT_FLOAT, OP_DIMS(4, 3, 3, 3), .constant = true },
              { .dtype = OT_FLOAT, OP_DIMS(4), .constant = true },
              OP_F(2, 4, 5, 7) } },
    { .op = "ConvFused",
      .attrs = OT_ATTRS(OT_TEXT("activation", "clip"), OT_REAL("lo", 0), OT_REAL("hi", 0.5)),
      .in = { OP_F(2, 3, 5, 7), OP_F(4, 3, 3, 3), OP_ABSENT, OP_F(2, 4, 3, 5) } },
    { .op = "ConvFused",
      .attrs = OT_ATTRS(OT_TEXT("activation", "elu")),
      .in = { OP_F(1, 1, 3), OP_F(1, 1, 3) },
      .fails = "elu" },
    { .op = "ConvFused", .in = { OP_F(1, 1, 3), OP_F(1, 1, 3), OP_ABSENT, OP_F(1, 1, 2) }, .fails = "Z" },
    { 0 },
};

static const op_case grad_rows[] = {
    { .op = "ConvGradX",
      .attrs = OT_ATTRS(LIST("pads", 1, 1, 1, 1), LIST("strides", 2, 2)),
      .in = { OP_X(2, 4, 3, 3), OP_X(4, 3, 3, 3), OP_F(2, 3, 5, 6) } },
    { .op = "ConvGradW",
      .attrs = OT_ATTRS(LIST("pads", 1, 1, 1, 1), LIST("strides", 2, 2)),
      .in = { OP_X(2, 4, 3, 3), OP_X(2, 3, 5, 6), OP_F(4, 3, 3, 3) },
      .n_out = 2 },
    { .op = "ConvGradW", .in = { OP_X(2, 4, 3, 4), OP_X(2, 3, 5, 6), OP_F(4, 3, 3, 3) } },
    { .op = "ConvGradB", .in = { OP_F(2, 4, 3, 4) } },
    { .op = "ConvGradB", .in = { OP_F(0, 4, 3, 4) }, OP_WANT(0, 0, 0, 0) },
    { .op = "ConvGradX", .in = { OP_F(2, 4, 3, 3), OP_F(4, 3, 3, 3), OP_F(2, 3, 6, 6) }, .fails = "dy" },
    { 0 },
};

static const op_case transpose_rows[] = {
    { .op = "ConvTranspose", .in = { OP_X(2, 4, 3, 4), OP_X(4, 3, 3, 3), OP_X(3) }, OP_WANT_DIM(2, 3, 5, 6) },
    { .op = "ConvTranspose",
      .attrs = OT_ATTRS(LIST("strides", 2, 3), LIST("pads", 1, 0, 0, 1), LIST("output_padding", 1, 2)),
      .in = { OP_X(2, 2, 3, 2), OP_X(2, 3, 3, 2) },
      OP_WANT_DIM(2, 3, 7, 6) },
    { .op = "ConvTranspose",
      .attrs = OT_ATTRS(OT_INT("group", 2), LIST("dilations", 2, 1), LIST("strides", 1, 2)),
      .in = { OP_X(1, 4, 3, 2), OP_X(4, 2, 2, 3), OP_X(4) },
      OP_WANT_DIM(1, 4, 5, 5) },
    { .op = "ConvTranspose",
      .attrs = OT_ATTRS(OT_TEXT("auto_pad", "SAME_UPPER"), LIST("strides", 2, 2)),
      .in = { OP_X(1, 2, 3, 3), OP_X(2, 2, 3, 3) },
      OP_WANT_DIM(1, 2, 6, 6) },
    { .op = "ConvTranspose",
      .attrs = OT_ATTRS(LIST("output_shape", 10, 8), LIST("strides", 3, 2)),
      .in = { OP_X(1, 1, 3, 3), OP_X(1, 2, 3, 3) },
      OP_WANT_DIM(1, 2, 10, 8) },
    { .op = "ConvTranspose", .opset = 1, .in = { OP_X(2, 2, 4), OP_X(2, 3, 2) } },
    { .op = "ConvTranspose", .in = { OP_X(1, 2, 2, 2, 3), OP_X(2, 1, 2, 2, 2), OP_X(1) } },
    { .op = "ConvTranspose", .in = { OP_X(0, 2, 4), OP_X(2, 3, 2) } },
    { .op = "ConvTranspose",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 1, 2), OP_VALUES(1, 2) },
              { .dtype = OT_FLOAT, OP_DIMS(1, 1, 2), OP_VALUES(10, 1) } },
      OP_WANT(10, 21, 2) },
    { .op = "ConvTranspose", .in = { OP_F(1, 3, 4), OP_F(2, 3, 2) }, .fails = "channels" },
    { .op = "ConvTranspose",
      .attrs = OT_ATTRS(LIST("pads", 4, 4)),
      .in = { OP_F(1, 2, 2), OP_F(2, 3, 2) },
      .fails = "padding" },
    { .op = "ConvTranspose",
      .attrs = OT_ATTRS(LIST("output_padding", 1, 1)),
      .in = { OP_F(1, 2, 2), OP_F(2, 3, 2) },
      .fails = "output_padding" },
    { 0 },
};

static void transpose(void)
{
    op_cases_run(transpose_rows);
}

static void conv(void)
{
    op_cases_run(conv_rows);
}

static void fused(void)
{
    op_cases_run(fused_rows);
}

static void gradients(void)
{
    op_cases_run(grad_rows);
}

const ot_test conv_tests[] = {
    { "conv", conv }, { "transpose", transpose }, { "fused", fused }, { "gradients", gradients }, { 0 }
};

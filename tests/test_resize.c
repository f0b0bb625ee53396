#include "op_case.h"

#include <math.h>

#define MODE(m, ...) .attrs = OT_ATTRS(OT_TEXT("mode", m), __VA_ARGS__)
#define HOW(t)       OT_TEXT("coordinate_transformation_mode", t)
#define NEAREST(t)   OT_TEXT("nearest_mode", t)
#define AXES(...)    OT_INTS("axes", ((const int64_t[]){ __VA_ARGS__ }), OP_COUNT_(__VA_ARGS__))
#define FLOATS(...)                                                                                                    \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .constant = true, .rank = 1, .dim = { sizeof((double[]){ __VA_ARGS__ }) / sizeof(double) }, \
        OP_VALUES(__VA_ARGS__)                                                                                         \
    }
#define SCALES(...) OP_ABSENT, FLOATS(__VA_ARGS__)
#define SIZES(...)  OP_ABSENT, OP_ABSENT, OP_SHAPE(__VA_ARGS__)
#define V(type, n, ...)                                                                                                \
    {                                                                                                                  \
        .dtype = type, .rank = 1, .dim = { n }, OP_VALUES(__VA_ARGS__)                                                 \
    }

static const op_case nearest_rows[] = {
    { .op = "Resize", .in = { OP_X(1, 2, 3, 2), SCALES(1, 1, 2, 3) }, OP_WANT_DIM(1, 2, 6, 6) },
    { .op = "Resize", .in = { OP_X(2, 3, 5, 7), SIZES(2, 3, 3, 4) }, .no_symbols = true },
    { .op = "Resize",
      MODE("nearest", NEAREST("floor"), HOW("asymmetric")),
      .in = { V(OT_FLOAT, 4, 1, 2, 3, 4), SCALES(0.5) },
      OP_WANT(1, 3) },
    { .op = "Resize",
      MODE("nearest", NEAREST("ceil"), HOW("asymmetric")),
      .in = { V(OT_FLOAT, 2, 1, 2), SCALES(2) },
      OP_WANT(1, 2, 2, 2) },
    { .op = "Resize",
      MODE("nearest", NEAREST("round_prefer_ceil"), HOW("asymmetric")),
      .in = { V(OT_UINT8, 2, 1, 2), SCALES(2) },
      OP_WANT(1, 2, 2, 2) },
    { .op = "Resize", MODE("nearest", HOW("align_corners")), .in = { OP_X(3, 4), SCALES(2.5, 0.5) } },
    { .op = "Resize", MODE("nearest", AXES(-1)), .in = { OP_X(3, 4), SCALES(2) }, OP_WANT_DIM(3, 8) },
    { .op = "Resize",
      MODE("nearest", OT_TEXT("keep_aspect_ratio_policy", "not_larger"), AXES(1, 0)),
      .in = { OP_X(4, 2), SIZES(3, 9) },
      .no_symbols = true,
      OP_WANT_DIM(6, 3) },
    { .op = "Resize",
      MODE("nearest", OT_TEXT("keep_aspect_ratio_policy", "not_smaller")),
      .in = { OP_X(4, 2), SIZES(5, 3) },
      .no_symbols = true,
      OP_WANT_DIM(6, 3) },
    { .op = "Resize",
      MODE("nearest", HOW("tf_crop_and_resize"), OT_REAL("extrapolation_value", 7)),
      .in = { V(OT_INT16, 3, 1, 2, 3), FLOATS(0, 2), OP_ABSENT, OP_SHAPE(5) },
      OP_WANT(1, 2, 3, 7, 7) },
    { .op = "Resize", .in = { { .dtype = OT_BOOL, OP_DIMS(2), OP_VALUES(0, 1) }, SCALES(2) }, OP_WANT(0, 0, 1, 1) },
    { .op = "Resize", .in = { { .dtype = OT_COMPLEX128, OP_DIMS(2) }, SCALES(3) } },
    { .op = "Resize", .in = { OP_X(0, 3), SCALES(2, 2) } },
    { .op = "Resize", .opset = 10, .in = { V(OT_FLOAT, 2, 1, 2), FLOATS(1.5) }, OP_WANT(1, 1, 2) },
    { .op = "Upsample", .opset = 9, .in = { OP_X(1, 1, 2, 3), FLOATS(1, 1, 2, 2) } },
    { .op = "Upsample",
      .opset = 9,
      .attrs = OT_ATTRS(OT_TEXT("mode", "linear")),
      .in = { V(OT_FLOAT, 2, 1, 2), FLOATS(2) },
      OP_WANT(1, 1.5, 2, 2) },
    { .op = "Upsample",
      .opset = 7,
      .attrs = OT_ATTRS({ .name = "scales", .type = OT_ATTR_FLOATS, .n = 2, .floats = (const float[]){ 1, 2 } }),
      .in = { OP_X(2, 3) },
      OP_WANT_DIM(2, 6) },
    { .op = "Upsample",
      .opset = 1,
      .attrs = OT_ATTRS(OT_REAL("height_scale", 2), OT_REAL("width_scale", 3), OT_TEXT("mode", "bilinear")),
      .in = { OP_X(1, 2, 3, 2) },
      OP_WANT_DIM(1, 2, 6, 6) },
    { .op = "Upsample", .opset = 7, .in = { OP_F(2, 3) }, .fails = "scales" },
    { 0 },
};

static const op_case linear_rows[] = {
    { .op = "Resize", MODE("linear", HOW("half_pixel")), .in = { OP_X(1, 2, 3, 4), SCALES(1, 1, 2, 2) } },
    { .op = "Resize", MODE("linear", HOW("half_pixel")), .in = { OP_F(1, 3, 33, 50), SCALES(1, 1, 2, 2) } },
    { .op = "Resize", MODE("linear", HOW("half_pixel")), .in = { OP_X(1, 2, 5, 4), SIZES(1, 2, 3, 7) } },
    { .op = "Resize", MODE("linear", HOW("align_corners")), .in = { OP_X(2, 3, 4), SCALES(1, 1.7, 2) } },
    { .op = "Resize", MODE("linear", HOW("pytorch_half_pixel")), .in = { OP_X(3, 4), SIZES(1, 6) } },
    { .op = "Resize", MODE("linear", HOW("half_pixel_symmetric")), .in = { OP_X(3, 4), SCALES(2.3, 0.6) } },
    { .op = "Resize",
      MODE("linear", HOW("half_pixel"), OT_INT("exclude_outside", 1)),
      .in = { OP_X(3, 4), SCALES(2, 3) } },
    { .op = "Resize",
      MODE("linear", HOW("half_pixel"), OT_INT("antialias", 1)),
      .in = { OP_X(7, 2, 9), SCALES(0.4, 1, 0.6) } },
    { .op = "Resize",
      MODE("linear", HOW("tf_crop_and_resize"), OT_REAL("extrapolation_value", 2), AXES(1, 2)),
      .in = { OP_X(2, 4, 3), FLOATS(0.2, 0.4, 0.7, 1.3), OP_ABSENT, OP_SHAPE(3, 5) } },
    { .op = "Resize",
      MODE("linear", HOW("half_pixel")),
      .in = { V(OT_INT8, 2, -128, 127), SCALES(2) },
      OP_WANT(-128, -64, 63, 127) },
    { .op = "Resize", MODE("linear", HOW("half_pixel")), .in = { OP_X(2, 2, 2, 2, 2), SCALES(1, 2, 1, 2, 2) } },
    { .op = "Resize", MODE("cubic", HOW("half_pixel")), .in = { OP_X(1, 1, 4, 5), SCALES(1, 1, 2, 0.7) } },
    { .op = "Resize",
      MODE("cubic", HOW("half_pixel"), OT_INT("exclude_outside", 1), OT_REAL("cubic_coeff_a", -0.5)),
      .in = { OP_X(4, 5), SCALES(0.8, 1.5) } },
    { .op = "Resize", MODE("cubic", HOW("half_pixel"), OT_INT("antialias", 1)), .in = { OP_X(9, 5), SCALES(0.3, 2) } },
    { .op = "ResizeGrad",
      MODE("linear", HOW("half_pixel")),
      .in = { OP_X(4, 3), OP_F(2, 3), OP_ABSENT, FLOATS(2, 1) } },
    { .op = "Resize",
      MODE("linear", HOW("half_pixel")),
      .in = { { .dtype = OT_BOOL, OP_DIMS(2) }, SCALES(2) },
      .fails = "bool" },
    { .op = "Resize", .in = { OP_F(2) }, .fails = "neither" },
    { .op = "Resize", .in = { OP_F(2), OP_ABSENT, FLOATS(2), OP_SHAPE(4) }, .fails = "both" },
    { .op = "Resize", .in = { OP_F(2), SCALES(-1) }, .fails = "scale 0 is -1" },
    { .op = "Resize", .in = { OP_F(2), SCALES(NAN) }, .fails = "scale 0" },
    { .op = "Resize", .in = { OP_F(2), SCALES(1e30) }, .fails = "becomes" },
    { .op = "Resize", .in = { OP_F(2), SIZES(-3) }, .fails = "size 0 is -3" },
    { .op = "Resize", .in = { OP_F(2), SCALES(1, 1) }, .fails = "2 scales for 1 axes" },
    { .op = "Resize", .in = { OP_F(0), SIZES(3) }, .fails = "cannot become 3" },
    { .op = "Resize", MODE("nearest", HOW("tf_crop_and_resize")), .in = { OP_F(2), SCALES(1) }, .fails = "roi" },
    { .op = "Resize", MODE("nearest", AXES(0, -1)), .in = { OP_F(2), SCALES(1, 1) }, .fails = "2 axes" },
    { .op = "Resize", MODE("lanczos", AXES(0)), .in = { OP_F(2), SCALES(1) }, .fails = "lanczos" },
    { 0 },
};

static void nearest(void)
{
    op_cases_run(nearest_rows);
}

static void linear(void)
{
    op_cases_run(linear_rows);
}

const ot_test resize_tests[] = { { "nearest", nearest }, { "linear", linear }, { 0 } };

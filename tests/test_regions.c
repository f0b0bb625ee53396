#include "op_case.h"

#include <math.h>

#define LIST(name, ...) OT_INTS(name, ((const int64_t[]){ __VA_ARGS__ }), OP_COUNT_(__VA_ARGS__))
#define INTS(n, ...)                                                                                                   \
    {                                                                                                                  \
        .dtype = OT_INT64, .rank = 1, .dim = { n }, OP_VALUES(__VA_ARGS__)                                             \
    }
#define REGIONS(n, ...)                                                                                                \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, .rank = 2, .dim = { n, 4 }, OP_VALUES(__VA_ARGS__)                            \
    }
#define SIZE(h, w, ...) .attrs = OT_ATTRS(OT_INT("output_height", h), OT_INT("output_width", w), __VA_ARGS__)
#define TWO             REGIONS(2, 0.3, 0.45, 4.1, 5.2, 1.17, 2.29, 7.6, 3.3)

static const op_case align_rows[] = {
    { .op = "RoiAlign", SIZE(2, 3, OT_INT("sampling_ratio", 2)), .in = { OP_X(2, 2, 5, 6), TWO, INTS(2, 1, 0) } },
    { .op = "RoiAlign", SIZE(2, 2, OT_REAL("spatial_scale", 0.6)), .in = { OP_X(2, 2, 5, 6), TWO, INTS(2, 1, 1) } },
    { .op = "RoiAlign",
      SIZE(2, 1, OT_INT("sampling_ratio", 2)),
      .opset = 10,
      .in = { OP_X(2, 2, 5, 6), TWO, INTS(2, 1, 0) } },
    { .op = "RoiAlign",
      SIZE(1, 1, OT_INT("sampling_ratio", 2), OT_TEXT("coordinate_transformation_mode", "output_half_pixel")),
      .in = { OP_X(1, 2, 5, 6), REGIONS(1, 1.3, 2.2, 1.7, 2.4), INTS(1, 0) } },
    { .op = "RoiAlign",
      SIZE(2, 2, OT_INT("sampling_ratio", 2), OT_TEXT("mode", "max")),
      .in = { OP_XD(OP_SPREAD, 2, 2, 5, 6), TWO, INTS(2, 1, 0) } },
    { .op = "RoiAlign", SIZE(3, 3, OT_INT("sampling_ratio", 0)), .in = { OP_F(1, 20, 9, 9), OP_F(0, 4), INTS(0, 0) } },
    { .op = "RoiAlign", .in = { OP_F(2, 2, 5, 6), OP_F(1, 4), INTS(1, 2) }, .fails = "batch_indices[0] is 2" },
    { .op = "RoiAlign", .in = { OP_F(2, 2, 5, 6), REGIONS(1, 0, 0, 1e9, 1), INTS(1, 0) }, .fails = "bins" },
    { .op = "RoiAlign",
      .attrs = OT_ATTRS(OT_INT("sampling_ratio", 2000)),
      .in = { OP_F(2, 2, 5, 6), REGIONS(1, 0, 0, 1, 1), INTS(1, 0) },
      .fails = "4e+06 points" },
    { .op = "RoiAlign", .in = { OP_F(2, 2, 5, 6), REGIONS(1, 0, 0, 2000, 1500), INTS(1, 0) }, .fails = "3e+06 points" },
    { .op = "RoiAlign", .in = { OP_F(2, 2, 5, 6), REGIONS(1, NAN, 0, 1, 1), INTS(1, 0) }, .fails = "bins" },
    { .op = "RoiAlign", .in = { OP_F(2, 2, 5, 6), OP_F(1, 5), INTS(1, 0) }, .fails = "numbers of a region" },
    { .op = "RoiAlign", .in = { OP_F(2, 2, 0, 6), OP_F(1, 4), INTS(1, 0) }, .fails = "nothing to read" },
    { 0 },
};

#define POOLED(h, w, scale) .attrs = OT_ATTRS(LIST("pooled_shape", h, w), OT_REAL("spatial_scale", scale))
#define ROIS(n, ...)                                                                                                   \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .rank = 2, .dim = { n, 5 }, OP_VALUES(__VA_ARGS__)                                          \
    }

static const op_case max_rows[] = {
    { .op = "MaxRoiPool",
      POOLED(2, 2, 1),
      .in = { OP_XD(OP_SPREAD, 2, 2, 5, 6), ROIS(2, 1, 0.7, 1.2, 4, 3, 0, 3, 3, 9, 9) } },
    { .op = "MaxRoiPool",
      POOLED(1, 2, 0.5),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 1, 2, 3), OP_VALUES(1, 2, 3, 4, 5, 6) }, ROIS(1, 0, 0, 0, 6, 2) },
      OP_WANT(5, 6) },
    { .op = "MaxRoiPool", POOLED(1, 1, 1), .in = { OP_F(1, 1, 2, 3), ROIS(1, 0, 10, 10, 12, 12) }, OP_WANT(0) },
    { .op = "MaxRoiPool", POOLED(1, 1, 1), .in = { OP_F(1, 1, 2, 3), ROIS(1, 1, 0, 0, 1, 1) }, .fails = "rois[0][0]" },
    { .op = "MaxRoiPool",
      POOLED(0, 1, 1),
      .in = { OP_F(1, 1, 2, 3), ROIS(1, 0, 0, 0, 1, 1) },
      .fails = "pooled_shape" },
    { .op = "MaxRoiPool", .in = { OP_F(1, 1, 2, 3), ROIS(1, 0, 0, 0, 1, 1) }, .fails = "pooled_shape" },
    { 0 },
};

#define OFFSET(...)                                                                                                    \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, .draw = OP_BETWEEN, .lo = 0.1, .hi = 0.9, OP_DIMS(__VA_ARGS__)                \
    }

static const op_case deform_rows[] = {
    { .op = "DeformConv", .in = { OP_X(2, 2, 4, 5), OP_X(3, 2, 2, 2), OFFSET(2, 8, 3, 4) } },
    { .op = "DeformConv",
      .attrs = OT_ATTRS(LIST("pads", 1, 0, 1, 1), LIST("strides", 2, 1), LIST("dilations", 1, 2), OT_INT("group", 2),
                        OT_INT("offset_group", 2)),
      .in = { OP_X(1, 4, 4, 4), OP_X(2, 2, 2, 2), OFFSET(1, 16, 3, 3), OP_X(2), OP_X(1, 8, 3, 3) } },
    { .op = "DeformConv", .in = { OP_X(1, 2, 5), OP_X(2, 2, 2), OFFSET(1, 2, 4), OP_ABSENT, OP_X(1, 2, 4) } },
    { .op = "DeformConv", .in = { OP_X(1, 1, 3, 3, 3), OP_X(1, 1, 2, 1, 2), OFFSET(1, 12, 2, 3, 2) } },
    { .op = "DeformConv",
      .in = { OP_F(2, 16, 11, 13), OP_F(20, 16, 3, 3), OP_F(2, 18, 9, 11), OP_F(20), OP_F(2, 9, 9, 11) },
      .tolerance = 1e-5 },
    { .op = "DeformConv", .in = { OP_F(0, 2, 4, 5), OP_F(3, 2, 2, 2), OP_F(0, 8, 3, 4) } },
    { .op = "DeformConv",
      .in = { OP_F(2, 2, 4, 5), OP_F(3, 2, 2, 2), OP_F(2, 4, 3, 4) },
      .fails = "channels of offset" },
    { .op = "DeformConv",
      .in = { OP_F(2, 2, 4, 5), OP_F(3, 2, 2, 2), OP_F(2, 8, 3, 3) },
      .fails = "dims of the output" },
    { .op = "DeformConv",
      .attrs = OT_ATTRS(OT_INT("offset_group", 3)),
      .in = { OP_F(2, 2, 4, 5), OP_F(3, 2, 2, 2), OP_F(2, 8, 3, 4) },
      .fails = "3 equal offset groups" },
    { 0 },
};

static const op_case fold_rows[] = {
    { .op = "Col2Im", .in = { OP_X(2, 8, 6), OP_SHAPE(3, 4), OP_SHAPE(2, 2) }, OP_WANT_DIM(2, 2, 3, 4) },
    { .op = "Col2Im",
      .attrs = OT_ATTRS(LIST("pads", 1, 0, 0, 1), LIST("strides", 2, 1), LIST("dilations", 1, 2)),
      .in = { OP_X(1, 4, 6), OP_SHAPE(3, 4), OP_SHAPE(2, 2) },
      OP_WANT_DIM(1, 1, 3, 4) },
    { .op = "Col2Im", .in = { OP_X(1, 4, 4), OP_SHAPE(2, 3, 4), OP_SHAPE(1, 2, 2) }, .fails = "number of blocks" },
    { .op = "Col2Im",
      .in = { { .dtype = OT_INT8, OP_DIMS(1, 2, 2), OP_VALUES(1, 2, 100, 60) }, OP_SHAPE(3), OP_SHAPE(2) },
      OP_WANT(1, 102, 60) },
    { .op = "Im2Col", .in = { OP_X(1, 2, 3, 4), OP_SHAPE(3, 4), OP_SHAPE(2, 2) }, OP_WANT_DIM(1, 8, 6) },
    { .op = "Col2Im", .in = { OP_F(1, 5, 6), OP_SHAPE(3, 4), OP_SHAPE(2, 2) }, .fails = "5 rows" },
    { .op = "Col2Im", .in = { OP_F(1, 4, 6), OP_SHAPE(3, 4), OP_SHAPE(2) }, .fails = "the block 1" },
    { .op = "Col2Im", .in = { OP_F(1, 4, 6), OP_SHAPE(3, 4), OP_SHAPE(0, 4) }, .fails = "the block 0" },
    { 0 },
};

#define BOXES(...)                                                                                                     \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .constant = true, .rank = 3, .dim = { 1, 4, 4 }, OP_VALUES(__VA_ARGS__)                     \
    }
#define SCORES(...)                                                                                                    \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .rank = 3, .dim = { 1, 1, 4 }, OP_VALUES(__VA_ARGS__)                                       \
    }
#define REAL(v)                                                                                                        \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .rank = 0, OP_VALUES(v)                                                                     \
    }
#define FOUR BOXES(0, 0, 1, 1, 0, 0.1, 1, 1.1, 1, 1, 0, 0.05, 2, 2, 3, 3)

static const op_case nms_rows[] = {
    { .op = "NonMaxSuppression",
      .in = { FOUR, SCORES(0.5, 0.9, 0.7, 0.9), INTS(1, 10), REAL(0.5) },
      OP_WANT(0, 0, 1, 0, 0, 3) },
    { .op = "NonMaxSuppression",
      .opset = 10,
      .in = { FOUR, SCORES(0.5, 0.9, 0.7, 0.6), INTS(1, 1), REAL(0.5), REAL(0.65) },
      OP_WANT(0, 0, 1) },
    { .op = "NonMaxSuppression",
      .attrs = OT_ATTRS(OT_INT("center_point_box", 1)),
      .in = { BOXES(1, 1, 2, 2, 1, 1.1, 2, 2, 5, 5, 2, 2, 1, 3.1, 2, 2), SCORES(1, 2, 3, 4), INTS(1, 4), REAL(0.5) },
      OP_WANT(0, 0, 3, 0, 0, 2, 0, 0, 1) },
    { .op = "NonMaxSuppression", .in = { FOUR, SCORES(0.5, 0.9, 0.7, 0.9) }, OP_WANT_DIM(0, 3) },
    { .op = "NonMaxSuppression", .in = { FOUR, OP_F(1, 1, 3) }, .fails = "boxes and of scores" },
    { 0 },
};

static void align(void)
{
    op_cases_run(align_rows);
}

static void maximum(void)
{
    op_cases_run(max_rows);
}

static void deform(void)
{
    op_cases_run(deform_rows);
}

static void fold(void)
{
    op_cases_run(fold_rows);
}

static void nms(void)
{
    op_cases_run(nms_rows);
}

const ot_test regions_tests[] = { { "align", align }, { "max", maximum }, { "deform", deform },
                                  { "fold", fold },   { "nms", nms },     { 0 } };

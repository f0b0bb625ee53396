#include "op_case.h"

#include <math.h>

#define MODE(m, p, a) .attrs = OT_ATTRS(OT_TEXT("mode", m), OT_TEXT("padding_mode", p), OT_INT("align_corners", a))
/* Places that are no middles and no edges of the elements of 3 x 4: 2 x 2 of them. */
#define PLACES(...)                                                                                                    \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, .rank = 4, .dim = { 1, 2, 2, 2 }, OP_VALUES(__VA_ARGS__)                      \
    }
#define INSIDE PLACES(-0.7, 0.6, 0.1, 0.2, 0.55, -0.13, 0.31, 0.45)
#define AROUND PLACES(-1.3, 0.6, 0.1, 1.62, 2.55, -0.13, 0.31, -3.45)

static const op_case grid_rows[] = {
    { .op = "GridSample", MODE("linear", "zeros", 0), .in = { OP_X(1, 2, 3, 4), INSIDE } },
    { .op = "GridSample", MODE("bilinear", "zeros", 1), .opset = 16, .in = { OP_X(1, 2, 3, 4), AROUND } },
    { .op = "GridSample", MODE("linear", "border", 0), .in = { OP_X(1, 2, 3, 4), AROUND } },
    { .op = "GridSample", MODE("linear", "reflection", 0), .in = { OP_X(1, 2, 3, 4), AROUND } },
    { .op = "GridSample", MODE("linear", "reflection", 1), .in = { OP_X(1, 2, 3, 4), AROUND } },
    { .op = "GridSample", MODE("cubic", "zeros", 0), .in = { OP_X(1, 2, 3, 4), AROUND } },
    { .op = "GridSample", MODE("bicubic", "reflection", 1), .opset = 16, .in = { OP_X(1, 2, 3, 4), AROUND } },
    { .op = "GridSample", MODE("cubic", "border", 1), .in = { OP_X(1, 1, 3, 4), AROUND } },
    { .op = "GridSample", MODE("nearest", "zeros", 0), .in = { OP_X(1, 2, 3, 4), AROUND } },
    { .op = "GridSample",
      MODE("nearest", "reflection", 0),
      .in = { { .dtype = OT_INT16, OP_DIMS(1, 1, 3), OP_VALUES(1, 2, 3) },
              { .dtype = OT_FLOAT, OP_DIMS(1, 4, 1), OP_VALUES(-0.9, 0.1, 1.1, -1.9) } },
      OP_WANT(1, 2, 3, 2) },
    { .op = "GridSample",
      MODE("linear", "border", 1),
      .in = { OP_X(2, 1, 2, 3, 2), { .dtype = OT_FLOAT, .grad = true, .draw = OP_UNIT, OP_DIMS(2, 2, 1, 2, 3) } } },
    { .op = "GridSample",
      MODE("linear", "zeros", 0),
      .in = { OP_F(2, 5, 13, 17),
              { .dtype = OT_FLOAT, .draw = OP_BETWEEN, .lo = -1.2, .hi = 1.2, OP_DIMS(2, 9, 31, 2) } },
      .tolerance = 2e-5 },
    { .op = "GridSample",
      MODE("linear", "zeros", 0),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 1, 2), OP_VALUES(1, 2) },
              { .dtype = OT_FLOAT, OP_DIMS(1, 3, 1), OP_VALUES(NAN, INFINITY, -1e30) } },
      OP_WANT(0, 0, 0) },
    { .op = "GridSample", .in = { OP_F(1, 2, 3, 4), OP_F(1, 2, 0, 2) } },
    { .op = "GridSample", .in = { OP_F(1, 2, 3, 0), OP_F(1, 2, 2, 2) }, .fails = "nothing to read" },
    { .op = "GridSample", .in = { OP_F(1, 2, 3, 4), OP_F(1, 2, 2, 3) }, .fails = "last dimension" },
    { .op = "GridSample", .in = { OP_F(1, 2, 3, 4), OP_F(2, 2, 2, 2) }, .fails = "pictures" },
    { .op = "GridSample", MODE("linear", "wrap", 0), .in = { OP_F(1, 2, 3), OP_F(1, 2, 1) }, .fails = "wrap" },
    { .op = "GridSample", .in = { { .dtype = OT_INT32, OP_DIMS(1, 2, 3) }, OP_F(1, 2, 1) }, .fails = "int32" },
    { .op = "AffineGrid", .in = { OP_X(2, 2, 3), OP_SHAPE(2, 3, 4, 5) }, OP_WANT_DIM(2, 4, 5, 2) },
    { .op = "AffineGrid",
      .attrs = OT_ATTRS(OT_INT("align_corners", 1)),
      .in = { OP_X(1, 3, 4), OP_SHAPE(1, 3, 2, 1, 3) },
      OP_WANT_DIM(1, 2, 1, 3, 3) },
    { .op = "AffineGrid",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 2, 3), OP_VALUES(1, 0, 0.5, 0, 2, 0) }, OP_SHAPE(1, 1, 1, 2) },
      OP_WANT(0, 0, 1, 0) },
    { .op = "AffineGrid", .in = { OP_F(2, 2, 3), OP_SHAPE(2, 3, 4) }, .fails = "3 elements" },
    { .op = "AffineGrid", .in = { OP_F(2, 2, 3), OP_SHAPE(2, 3, 4, 5, 6) }, .fails = "rows of theta" },
    { 0 },
};

static void grid(void)
{
    op_cases_run(grid_rows);
}

const ot_test sampling_tests[] = { { "grid", grid }, { 0 } };

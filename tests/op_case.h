/* Rows that test operators.  A row is one node: operator, opset, attributes, inputs.  op_cases_run does for each row:
 *  - builds a graph with the node alone (old forms are normalised first) and runs it in float32 with 1 and 3 threads,
 *    which must give the same bits, and in double; the two agree within the tolerance; every kernel that takes the node
 *    is run by itself with poisoned outputs and guard bytes; a graph over symbolic dims gives the same bits;
 *  - compares output 0 with `want` where the row has it;
 *  - for gradients, with loss = sum of the float outputs times random weights: for every subset of the inputs that are
 *    marked `grad`, the double gradients agree with central differences, and the float32 gradients with the double
 *    ones.
 * Floating inputs (OT_FLOAT) are drawn as float32 numbers and become double in the double runs; other types stay.
 *
 *   static const op_case rows[] = {
 *       { .op = "Gemm", .attrs = OT_ATTRS(OT_INT("transB", 1)), .in = { OP_X(2, 3), OP_X(4, 3), OP_X(4) } },
 *       { .op = "Reshape", .in = { OP_X(2, 3), OP_SHAPE(3, -1) } },
 *       { .op = "Concat", .attrs = OT_ATTRS(OT_INT("axis", 2)), .in = { OP_X(2), OP_X(2) }, .fails = "axis 2" },
 *       { 0 },
 *   };
 */
#ifndef OT_TESTS_OP_CASE_H
#define OT_TESTS_OP_CASE_H

#include "harness.h"
#include "op.h"

#define OP_MAX_IN  12
#define OP_MAX_OUT 6

typedef enum op_draw {
    OP_SIGNED,   /* 0.25 <= |v| < 1.25, either sign: away from kinks at 0 */
    OP_POSITIVE, /* 0.5 <= v < 1.5 */
    OP_UNIT,     /* -0.8 < v < 0.8 */
    OP_SPREAD,   /* all different: a shuffle of steps of 0.125 around 0: for maxima */
    OP_BETWEEN   /* lo <= v < hi; integers: lo .. hi-1 */
} op_draw;

typedef struct op_in {
    ot_dtype dtype; /* OT_UNDEFINED: absent */
    int rank;
    int64_t dim[6];
    bool grad;     /* its gradient is checked */
    bool constant; /* a constant of the graph, not an input; never with grad */
    op_draw draw;
    double lo, hi;
    const double *values;    /* row-major, instead of a draw */
    const char *const *text; /* the elements of a string tensor; NULL: all are empty */
} op_in;

#define OP_COUNT_(...) ((int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)))
#define OP_DIMS(...)   .rank = OP_COUNT_(__VA_ARGS__), .dim = { __VA_ARGS__ }
#define OP_VALUES(...)                                                                                                 \
    .values = (const double[])                                                                                         \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define OP_TEXT(...)                                                                                                   \
    .dtype = OT_STRING, .text = (const char *const[])                                                                  \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
/* A float input whose gradient is checked; one whose gradient is not; a scalar. */
#define OP_X(...)                                                                                                      \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_DIMS(__VA_ARGS__)                                                          \
    }
#define OP_F(...)                                                                                                      \
    {                                                                                                                  \
        .dtype = OT_FLOAT, OP_DIMS(__VA_ARGS__)                                                                        \
    }
#define OP_X_SCALAR                                                                                                    \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, .rank = 0                                                                     \
    }
/* The same with a way to draw. */
#define OP_XD(how, ...)                                                                                                \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, .draw = (how), OP_DIMS(__VA_ARGS__)                                           \
    }
/* A constant vector of int64 (a shape, axes, pads); the same as an input that only the run knows. */
#define OP_SHAPE(...)                                                                                                  \
    {                                                                                                                  \
        .dtype = OT_INT64, .constant = true, .rank = 1, .dim = { OP_COUNT_(__VA_ARGS__) }, OP_VALUES(__VA_ARGS__)      \
    }
#define OP_ABSENT                                                                                                      \
    {                                                                                                                  \
        .dtype = OT_UNDEFINED                                                                                          \
    }

typedef struct op_case {
    const char *op;     /* NULL ends a table; ONNX's domain, then the internal one */
    const char *domain; /* NULL: as said */
    int opset;          /* 0: OT_LATEST */
    const ot_attr *attrs;
    op_in in[OP_MAX_IN];
    int n_out;                 /* 0: 1 */
    bool skip_out[OP_MAX_OUT]; /* the output has no name */
    double tolerance;          /* of float32 against double, relative to the largest element of the output; 0: 2e-6 */
    bool no_symbols;           /* the shape rule needs numbers */
    bool random;               /* outputs depend on no double twin: only threads, guards and gradients are checked */
    const double *want;        /* elements of output 0, within 1e-6 */
    const char *const *want_text; /* elements of output 0, strings */
    int want_rank;                /* with want_dim: 1 + the rank of output 0; 0: not checked */
    int64_t want_dim[6];
    const char *fails; /* building or running must fail, with these words */
} op_case;

#define OP_WANT(...)                                                                                                   \
    .want = (const double[])                                                                                           \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define OP_WANT_TEXT(...)                                                                                              \
    .want_text = (const char *const[])                                                                                 \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define OP_WANT_DIM(...) .want_rank = 1 + OP_COUNT_(__VA_ARGS__), .want_dim = { __VA_ARGS__ }

void op_cases_run(const op_case *rows);

#endif

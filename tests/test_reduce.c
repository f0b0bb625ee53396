/* Reductions, ArgMax and ArgMin, Dropout. */
#include "op_case.h"
#include "exec/executor.h"

#include <math.h>
#include <string.h>

#define LIST(key, ...) OT_INTS(key, ((const int64_t[]){ __VA_ARGS__ }), OP_COUNT_(__VA_ARGS__))
#define FLAT           OT_INT("keepdims", 0)
#define SIX(...)                                                                                                       \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_DIMS(2, 3), OP_VALUES(__VA_ARGS__)                                         \
    }
#define EMPTY                                                                                                          \
    {                                                                                                                  \
        .dtype = OT_INT64, .constant = true, .rank = 1                                                                 \
    }

/* Rows with no zero, one, two and all. */
#define ZEROS                                                                                                          \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_DIMS(4, 3), OP_VALUES(2, -3, 1, 0.5, 0, -4, 0, 3, 0, 0, 0, 0)              \
    }

static const op_case reduce_rows[] = {
    { .op = "ReduceSum", .in = { OP_X(2, 3, 4) }, OP_WANT_DIM(1, 1, 1) },
    { .op = "ReduceSum", .in = { SIX(1, 2, 3, 4, 5, 6), OP_SHAPE(1) }, OP_WANT(6, 15), OP_WANT_DIM(2, 1) },
    { .op = "ReduceSum",
      .attrs = OT_ATTRS(FLAT),
      .in = { SIX(1, 2, 3, 4, 5, 6), OP_SHAPE(-2) },
      OP_WANT(5, 7, 9),
      OP_WANT_DIM(3) },
    { .op = "ReduceSum", .attrs = OT_ATTRS(FLAT), .in = { OP_X(2, 3, 4, 2), OP_SHAPE(0, 2) }, OP_WANT_DIM(3, 2) },
    { .op = "ReduceSum", .attrs = OT_ATTRS(FLAT), .in = { OP_X(2, 3, 4, 2), OP_SHAPE(1, 3) }, OP_WANT_DIM(2, 4) },
    { .op = "ReduceSum", .attrs = OT_ATTRS(FLAT), .in = { OP_X(2, 3) }, .want_rank = 1 },
    { .op = "ReduceSum",
      .attrs = OT_ATTRS(OT_INT("noop_with_empty_axes", 1)),
      .in = { OP_X(2, 3), EMPTY },
      OP_WANT_DIM(2, 3) },
    { .op = "ReduceSum", .in = { OP_X(2, 3), EMPTY }, OP_WANT_DIM(1, 1) },
    { .op = "ReduceSum", .opset = 11, .attrs = OT_ATTRS(LIST("axes", 0), FLAT), .in = { OP_X(2, 3) }, OP_WANT_DIM(3) },
    { .op = "ReduceSum", .in = { OP_F(2, 0, 3), OP_SHAPE(1) }, OP_WANT(0, 0, 0, 0, 0, 0) },
    { .op = "ReduceSum", .in = { OP_F(200, 130), OP_SHAPE(0) } },
    { .op = "ReduceSum", .in = { OP_F(20, 9000), OP_SHAPE(1) } },
    { .op = "ReduceSum", .in = { OP_F(4, 30, 5, 70), OP_SHAPE(0, 2) } },
    { .op = "ReduceSum", .in = { OP_X_SCALAR }, .want_rank = 1 },
    { .op = "ReduceSum", .in = { { .dtype = OT_INT32, OP_DIMS(3), OP_VALUES(5, -2, 4) } }, OP_WANT(7) },
    { .op = "ReduceSum", .in = { OP_F(2, 3), OP_SHAPE(2) }, .fails = "axis 2" },
    { .op = "ReduceSum", .in = { OP_F(2, 3), OP_SHAPE(1, -1) }, .fails = "axis 1 is there twice" },
    { .op = "ReduceMean", .in = { SIX(1, 2, 3, 4, 5, 6), OP_SHAPE(1) }, OP_WANT(2, 5) },
    { .op = "ReduceMean",
      .opset = 11,
      .attrs = OT_ATTRS(LIST("axes", -1, 1), FLAT),
      .in = { OP_X(2, 3, 4) },
      OP_WANT_DIM(2) },
    { .op = "ReduceMax", .in = { OP_XD(OP_SPREAD, 3, 4), OP_SHAPE(0) }, OP_WANT_DIM(1, 4) },
    { .op = "ReduceMax", .attrs = OT_ATTRS(FLAT), .in = { OP_XD(OP_SPREAD, 3, 4, 2), OP_SHAPE(1) }, OP_WANT_DIM(3, 2) },
    { .op = "ReduceMax", .attrs = OT_ATTRS(FLAT), .in = { OP_XD(OP_SPREAD, 3, 4) }, .want_rank = 1 },
    { .op = "ReduceMax", .in = { { .dtype = OT_INT8, OP_DIMS(3), OP_VALUES(-5, -2, -4) } }, OP_WANT(-2) },
    { .op = "ReduceMax", .in = { { .dtype = OT_FLOAT, OP_DIMS(3), OP_VALUES(1, NAN, 2) } }, OP_WANT(NAN) },
    { .op = "ReduceMin", .in = { OP_XD(OP_SPREAD, 3, 4), OP_SHAPE(1) }, OP_WANT_DIM(3, 1) },
    { .op = "ReduceProd", .in = { OP_X(2, 3), OP_SHAPE(1) }, OP_WANT_DIM(2, 1) },
    { .op = "ReduceProd", .attrs = OT_ATTRS(FLAT), .in = { OP_X(2, 3, 2), OP_SHAPE(0, -1) }, OP_WANT_DIM(3) },
    { .op = "ReduceProd", .in = { OP_X(0, 3), OP_SHAPE(1) } },
    { .op = "ReduceProd", .in = { ZEROS }, OP_WANT(0) },
    { .op = "ReduceProd", .in = { ZEROS, OP_SHAPE(1) }, OP_WANT(-6, 0, 0, 0) },
    { .op = "ReduceProd", .attrs = OT_ATTRS(FLAT), .in = { ZEROS, OP_SHAPE(0) }, OP_WANT(0, 0, 0) },
    { .op = "ReduceProd", .attrs = OT_ATTRS(OT_INT("noop_with_empty_axes", 1)), .in = { ZEROS } },
    { .op = "ReduceProd", .opset = 11, .in = { ZEROS }, OP_WANT(0) },
    { .op = "ReduceProd", .in = { { .dtype = OT_INT64, OP_DIMS(3), OP_VALUES(5, -2, 4) } }, OP_WANT(-40) },
    { .op = "ReduceL1", .attrs = OT_ATTRS(FLAT), .in = { OP_X(2, 3), OP_SHAPE(1) } },
    { .op = "ReduceL2", .attrs = OT_ATTRS(FLAT), .in = { OP_X(2, 3), OP_SHAPE(0) } },
    { .op = "ReduceL2", .in = { { .dtype = OT_FLOAT, OP_DIMS(2), OP_VALUES(3, -4) } }, OP_WANT(5) },
    { .op = "ReduceLogSum", .attrs = OT_ATTRS(FLAT), .in = { OP_XD(OP_POSITIVE, 2, 3), OP_SHAPE(1) } },
    { .op = "ReduceLogSumExp", .attrs = OT_ATTRS(FLAT), .in = { OP_X(2, 3), OP_SHAPE(1) } },
    { .op = "ReduceLogSumExp",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2), OP_VALUES(1000, 1000) } },
      OP_WANT(1000.6931471805599) },
    { .op = "ReduceSumSquare", .attrs = OT_ATTRS(FLAT), .in = { OP_X(2, 3), OP_SHAPE(1) } },
    { .op = "MeanScale", .in = { OP_X(2), OP_F(2, 3) } },
    { 0 },
};

static const op_case arg_rows[] = {
    { .op = "ArgMax",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2, 3), OP_VALUES(1, 5, 3, 4, 5, 6) } },
      OP_WANT(1, 0, 1),
      OP_WANT_DIM(1, 3) },
    { .op = "ArgMax",
      .attrs = OT_ATTRS(OT_INT("axis", -1), FLAT),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2, 3), OP_VALUES(7, 5, 7, 4, 5, 6) } },
      OP_WANT(0, 2),
      OP_WANT_DIM(2) },
    { .op = "ArgMax",
      .attrs = OT_ATTRS(OT_INT("axis", 1), OT_INT("select_last_index", 1), FLAT),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2, 3), OP_VALUES(7, 5, 7, 4, 5, 6) } },
      OP_WANT(2, 2) },
    { .op = "ArgMin", .in = { { .dtype = OT_INT32, OP_DIMS(4), OP_VALUES(3, -1, 5, -1) } }, OP_WANT(1) },
    { .op = "ArgMin", .in = { OP_F(0, 2) }, .fails = "axis 0 is empty" },
    { 0 },
};

#define STEP                                                                                                           \
    {                                                                                                                  \
        .dtype = OT_INT64, OP_VALUES(3)                                                                                \
    }
#define RATIO OT_REAL("ratio", 0.25), OT_INT("seed", 7)

#define SEED(s) .attrs = OT_ATTRS(OT_INT("seed", s))
#define R(v)                                                                                                           \
    {                                                                                                                  \
        .dtype = OT_FLOAT, OP_VALUES(v)                                                                                \
    }
#define MODE(v)                                                                                                        \
    {                                                                                                                  \
        .dtype = OT_BOOL, OP_VALUES(v)                                                                                 \
    }

static const op_case dropout_rows[] = {
    { .op = "Dropout", .in = { OP_X(2, 3) } },
    { .op = "Dropout", .in = { OP_X(2, 3), { .dtype = OT_FLOAT, OP_VALUES(0.25) } }, .n_out = 2 },
    { .op = "Dropout", .in = { OP_X(2, 3), OP_ABSENT, { .dtype = OT_BOOL, .constant = true, OP_VALUES(0) } } },
    { .op = "Dropout", SEED(5), .in = { OP_X(3, 4), OP_ABSENT, MODE(1) }, .n_out = 2 },
    { .op = "Dropout",
      SEED(0), /* the draws are 0.549, 0.715, 0.603, 0.545, 0.424, 0.646 */
      .in = { { .dtype = OT_FLOAT, OP_DIMS(6), .grad = true, OP_VALUES(1, 2, 3, 4, 5, 6) }, R(0.6), MODE(1) },
      OP_WANT(0, 5, 7.5, 0, 0, 15) },
    { .op = "Dropout", .in = { OP_X(2, 3), R(0.6), MODE(0) } },
    { .op = "Dropout", .in = { OP_X(2, 3), R(0), MODE(1) }, .n_out = 2 },
    { .op = "Dropout", .in = { OP_F(2, 3), R(1), MODE(1) }, .fails = "ratio is 1" },
    { .op = "Dropout",
      .in = { OP_F(2, 3), R(0.5), { .dtype = OT_BOOL, OP_DIMS(2), OP_VALUES(1, 1) } },
      .fails = "training_mode has 2 elements" },
    { .op = "Dropout", .in = { OP_F(2, 3), R(0.5), R(1) }, .fails = "training_mode is" },
    { .op = "Dropout", .in = { { .dtype = OT_FLOAT8E5M2, OP_DIMS(3) } } },
    { .op = "Dropout", .opset = 7, .attrs = OT_ATTRS(OT_REAL("ratio", 0.5)), .in = { OP_X(2, 3) }, .n_out = 2 },
    { .op = "DropoutTrain", .attrs = OT_ATTRS(RATIO), .in = { OP_X(3, 7), STEP }, .n_out = 2 },
    { .op = "DropoutTrain", .attrs = OT_ATTRS(RATIO), .in = { OP_F(70, 500), STEP }, .n_out = 2 },
    { .op = "DropoutTrain", .attrs = OT_ATTRS(OT_REAL("ratio", 0)), .in = { OP_X(5), STEP }, .n_out = 2 },
    { .op = "DropoutTrain",
      .attrs = OT_ATTRS(OT_REAL("ratio", 1)),
      .in = { OP_F(5), STEP },
      .n_out = 2,
      .fails = "ratio is 1" },
    { 0 },
};

static void reduce(void)
{
    op_cases_run(reduce_rows);
}

static void arg(void)
{
    op_cases_run(arg_rows);
}

static void dropout(void)
{
    op_cases_run(dropout_rows);
}

/* Runs DropoutTrain over ones as node `name` at `step`: the number that stay, and the mask. */
static int64_t draw(const char *name, int64_t step, float *y, int64_t n)
{
    ot_graph *g = NULL;
    ot_store *store = NULL;
    ot_executor *e = NULL;
    ot_workspace work = { 0 };
    const ot_op *op = NULL;
    ot_val in[2], out[2];
    ot_fact f = { .kind = OT_TENSOR }, s = f;
    int64_t kept = 0;
    ot_set_shape(&f, OT_FLOAT, 1, &n);
    ot_set_shape(&s, OT_INT64, 0, NULL);
    CHECK_OK(ot_find_op(&op, OT_INTERNAL, "DropoutTrain", 1));
    CHECK_OK(ot_graph_create(&g));
    CHECK_OK(ot_store_create(&store));
    in[0] = ot_graph_input(g, "x", &f);
    in[1] = ot_graph_input(g, "step", &s);
    ot_build b = { .g = g, .prefix = "", .layer = -1 };
    CHECK_OK(ot_add_node(&b, op, 1, name, OT_ATTRS(RATIO), 2, in, 2, out, NULL));
    CHECK_OK(ot_graph_output(g, "y", out[0]));
    CHECK_OK(ot_executor_create(&e, g, &(ot_executor_opts){ .store = store, .workspace = &work }));
    float *x = ot_malloc((size_t)n, sizeof(*x));
    for (int64_t i = 0; i < n; i++)
        x[i] = 1;
    const ot_tensor feed[2] = { { .dtype = OT_FLOAT, .rank = 1, .dim = { n }, .data = x },
                                { .dtype = OT_INT64, .rank = 0, .data = &step } };
    if (CHECK_OK(ot_executor_run(e, feed)))
        memcpy(y, ot_executor_output(e, 0)->data, (size_t)n * sizeof(*y));
    for (int64_t i = 0; i < n; i++)
        kept += y[i] > 0;
    ot_free(x);
    ot_executor_close(e);
    ot_store_close(store);
    ot_workspace_release(&work);
    return kept;
}

static void dropout_draws(void)
{
    enum { N = 40000 };
    static float a[N], b[N];
    int64_t kept = draw("drop", 1, a, N); /* 30000 expected, a standard deviation is 87 */
    CHECK(kept > 29500 && kept < 30500);
    for (int i = 0; i < N; i++)
        if (!CHECK(a[i] == 0 || test_close(4.0 / 3, a[i], 1e-6, 0)))
            break;
    draw("drop", 1, b, N);
    CHECK(memcmp(a, b, sizeof(a)) == 0);
    draw("drop", 2, b, N);
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    draw("other", 1, b, N);
    CHECK(memcmp(a, b, sizeof(a)) != 0);
}

const ot_test reduce_tests[] = {
    { "reduce", reduce }, { "arg", arg }, { "dropout", dropout }, { "dropout draws", dropout_draws }, { 0 }
};

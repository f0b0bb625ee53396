/* Random operators: moments of what they draw, and that seeds decide it. */
#include "exec/executor.h"
#include "op_case.h"
#include "op_rig.h"

#include <math.h>
#include <string.h>

#define SHAPE(...) OT_INTS("shape", ((const int64_t[]){ __VA_ARGS__ }), OP_COUNT_(__VA_ARGS__))
#define ATTRS(...) .attrs = OT_ATTRS(__VA_ARGS__)
#define XS(...)                                                                                                        \
    {                                                                                                                  \
        .dtype = OT_FLOAT, OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                                     \
    }

static const op_case rows[] = {
    { .op = "RandomNormal", ATTRS(SHAPE(2, 3), OT_REAL("seed", 1.5)), OP_WANT_DIM(2, 3) },
    { .op = "RandomNormal", .opset = 1, ATTRS(SHAPE(50000)), OP_WANT_DIM(50000) },
    { .op = "RandomUniform", ATTRS(SHAPE(0, 2), OT_INT("dtype", OT_FLOAT16)), OP_WANT_DIM(0, 2) },
    { .op = "RandomUniform", ATTRS(SHAPE(3), OT_REAL("low", 2), OT_REAL("high", 2)), OP_WANT(2, 2, 2) },
    { .op = "RandomNormal", ATTRS(SHAPE(2), OT_REAL("mean", -3), OT_REAL("scale", 0)), OP_WANT(-3, -3) },
    { .op = "RandomNormalLike", ATTRS(OT_REAL("seed", 1)), .in = { OP_F(2, 3) }, OP_WANT_DIM(2, 3) },
    { .op = "RandomUniformLike",
      ATTRS(OT_INT("dtype", OT_DOUBLE)),
      .in = { { .dtype = OT_INT64, OP_DIMS(4), OP_VALUES(1, 2, 3, 4) } },
      OP_WANT_DIM(4) },
    { .op = "Bernoulli", .in = { XS(0, 1, 0, 1) }, OP_WANT(0, 1, 0, 1) },
    { .op = "Bernoulli", ATTRS(OT_INT("dtype", OT_BOOL)), .in = { OP_F(2, 3) }, OP_WANT_DIM(2, 3) },
    { .op = "Multinomial",
      ATTRS(OT_INT("sample_size", 3)),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 3), OP_VALUES(-1000, 5, -1000) } },
      OP_WANT(1, 1, 1) },
    { .op = "Multinomial",
      ATTRS(OT_INT("sample_size", 2), OT_INT("dtype", OT_INT64)),
      .in = { { .dtype = OT_FLOAT, OP_DIMS(2, 2), OP_VALUES(0, -INFINITY, -INFINITY, 0) } },
      OP_WANT(0, 0, 1, 1) },
    { .op = "RandomNormal", ATTRS(OT_INT("dtype", 1)), .fails = "shape is missing" },
    { .op = "RandomNormal", ATTRS(SHAPE(2, -1)), .fails = "dimension 1 of the shape is -1" },
    { .op = "RandomUniform", ATTRS(SHAPE(2), OT_INT("dtype", OT_INT64)), .fails = "dtype is 7" },
    { .op = "Multinomial", ATTRS(OT_INT("dtype", 1)), .in = { OP_F(1, 2) }, .fails = "dtype is 1" },
    { .op = "Multinomial", .in = { OP_F(1, 0) }, .fails = "no classes" },
    { .op = "Multinomial",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 1), OP_VALUES(NAN) } },
      .fails = "row 0 holds no log-probabilities" },
    { 0 },
};

static void shapes(void)
{
    op_cases_run(rows);
}

/* The first output of a row, as doubles that the caller frees; *n of them. */
static double *drawn(const op_case *row, int64_t *n)
{
    op_rig r;
    double *v = NULL;
    if (op_rig_forward(&r, row, OT_FLOAT, 2, false)) {
        const ot_tensor *y = ot_executor_output(r.e, 0);
        *n = ot_tensor_count(y);
        v = ot_malloc((size_t)*n + 1, sizeof(*v));
        for (int64_t i = 0; v && i < *n; i++)
            v[i] = ot_tensor_get(y, i);
    }
    op_rig_close(&r);
    return v;
}

/* Mean, variance, skewness and kurtosis within what 200,000 draws leave open. */
static void check_moments(const op_case *row, double mean, double variance, double skew, double kurtosis)
{
    int64_t n;
    double *v = drawn(row, &n), m[5] = { 0 };
    if (!CHECK(v != NULL))
        return;
    for (int64_t i = 0; i < n; i++)
        m[1] += v[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int k = 2; k < 5; k++)
            m[k] += pow(v[i] - m[1], k) / (double)n;
    double deviation = sqrt(variance), open = 4 / sqrt((double)n);
    CHECK(fabs(m[1] - mean) < open * deviation);
    CHECK(fabs(m[2] / variance - 1) < 2 * open);
    CHECK(fabs(m[3] / pow(deviation, 3) - skew) < 4 * open);
    CHECK(fabs(m[4] / pow(variance, 2) - kurtosis) < 12 * open);
    ot_free(v);
}

static void moments(void)
{
    const op_case normal = { .op = "RandomNormal",
                             ATTRS(SHAPE(200000), OT_REAL("seed", 3), OT_REAL("mean", 2), OT_REAL("scale", 0.5)) };
    const op_case uniform = { .op = "RandomUniform",
                              ATTRS(SHAPE(400, 500), OT_REAL("seed", 3), OT_REAL("low", -1), OT_REAL("high", 3)) };
    const op_case coin = {
        .op = "Bernoulli",
        ATTRS(OT_REAL("seed", 3)),
        .in = { { .dtype = OT_FLOAT, OP_DIMS(400, 500), .draw = OP_BETWEEN, .lo = 0.3, .hi = 0.3 + 1e-9 } }
    };
    const op_case dice = { .op = "Multinomial",
                           ATTRS(OT_REAL("seed", 3), OT_INT("sample_size", 200000)),
                           .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 2), OP_VALUES(log(0.7), log(0.3)) } } };
    double p = 0.3, q = p * (1 - p);
    check_moments(&normal, 2, 0.25, 0, 3);
    check_moments(&uniform, 1, 16.0 / 12, 0, 1.8);
    check_moments(&coin, p, q, (1 - 2 * p) / sqrt(q), 3 + (1 - 6 * q) / q);
    check_moments(&dice, p, q, (1 - 2 * p) / sqrt(q), 3 + (1 - 6 * q) / q);
}

static void seeds(void)
{
    const op_case one = { .op = "RandomNormal", ATTRS(SHAPE(100), OT_REAL("seed", 1)) };
    const op_case other = { .op = "RandomNormal", ATTRS(SHAPE(100), OT_REAL("seed", 1.25)) };
    int64_t n;
    double *a = drawn(&one, &n), *b = drawn(&one, &n), *c = drawn(&other, &n);
    if (CHECK(a && b && c)) {
        CHECK(memcmp(a, b, (size_t)n * sizeof(*a)) == 0);
        CHECK(memcmp(a, c, (size_t)n * sizeof(*a)) != 0);
    }
    ot_free(a);
    ot_free(b);
    ot_free(c);
}

const ot_test random_tests[] = { { "shapes", shapes }, { "moments", moments }, { "seeds", seeds }, { 0 } };

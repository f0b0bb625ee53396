/* Multiply-adds that operators count, and what sessions and trainers say of their steps. */
#include "harness.h"
#include "net.h"
#include "op.h"

#include <stdio.h>
#include <string.h>

typedef struct row {
    const char *domain, *op;
    double want;
    ot_tensor x[3], y;
    ot_attr attr[3];
} row;

#define T(n, ...)                                                                                                      \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .rank = (n), .dim = { __VA_ARGS__ }                                                         \
    }
#define CONV  2.0 * 49 * 4 * 3 * 9 /* each of 2 * 49 * 4 outputs from 3 channels of a group, 3x3 */
#define TRANS 2.0 * 25 * 6 * 2 * 9 /* each of 2 * 25 * 6 inputs into 2 channels, 3x3 */

static const row rows[] = {
    { "", "Conv", CONV, { T(4, 2, 6, 9, 9), T(4, 4, 3, 3, 3) }, T(4, 2, 4, 7, 7), { { 0 } } },
    { "", "Conv", 2.0 * 5 * 4 * 3 * 2, { T(3, 2, 3, 6), T(3, 4, 3, 2) }, T(3, 2, 4, 5), { { 0 } } },
    { OT_INTERNAL, "ConvFused", CONV, { T(4, 2, 6, 9, 9), T(4, 4, 3, 3, 3) }, T(4, 2, 4, 7, 7), { { 0 } } },
    { OT_INTERNAL, "BlockConv", CONV, { T(4, 2, 6, 9, 9), T(4, 4, 3, 3, 3) }, T(5, 2, 1, 7, 7, 16), { { 0 } } },
    { OT_INTERNAL,
      "ConvGradX",
      CONV,
      { T(4, 2, 4, 7, 7), T(4, 4, 3, 3, 3), T(4, 2, 6, 9, 9) },
      T(4, 2, 6, 9, 9),
      { { 0 } } },
    { OT_INTERNAL,
      "ConvGradW",
      CONV,
      { T(4, 2, 4, 7, 7), T(4, 2, 6, 9, 9), T(4, 4, 3, 3, 3) },
      T(4, 4, 3, 3, 3),
      { { 0 } } },
    { "", "ConvTranspose", TRANS, { T(4, 2, 6, 5, 5), T(4, 6, 2, 3, 3) }, T(4, 2, 2, 7, 7), { { 0 } } },
    { OT_INTERNAL,
      "ConvTransposeGradX",
      TRANS,
      { T(4, 2, 2, 7, 7), T(4, 6, 2, 3, 3), T(4, 2, 6, 5, 5) },
      T(4, 2, 6, 5, 5),
      { { 0 } } },
    { OT_INTERNAL,
      "ConvTransposeGradW",
      TRANS,
      { T(4, 2, 2, 7, 7), T(4, 2, 6, 5, 5), T(4, 6, 2, 3, 3) },
      T(4, 6, 2, 3, 3),
      { { 0 } } },
    { "", "Gemm", 3.0 * 5 * 7, { T(2, 3, 5), T(2, 5, 7) }, T(2, 3, 7), { { 0 } } },
    { "", "Gemm", 3.0 * 5 * 7, { T(2, 5, 3), T(2, 5, 7) }, T(2, 3, 7), { OT_INT("transA", 1) } },
    { "", "MatMul", 2.0 * 3 * 5 * 7, { T(3, 2, 3, 5), T(2, 5, 7) }, T(3, 2, 3, 7), { { 0 } } },
    { "", "MatMul", 5.0 * 7, { T(1, 5), T(2, 5, 7) }, T(1, 7), { { 0 } } },
    { "", "MatMul", 5, { T(1, 5), T(1, 5) }, T(0, 0), { { 0 } } },
    { OT_INTERNAL,
      "MatMulTrans",
      2.0 * 3 * 5 * 7,
      { T(3, 2, 3, 5), T(3, 2, 7, 5) },
      T(3, 2, 3, 7),
      { OT_INT("transB", 1) } },
    { OT_INTERNAL,
      "MatMulTrans",
      2.0 * 3 * 5 * 7,
      { T(3, 2, 3, 5), T(3, 2, 3, 7) },
      T(2, 5, 7),
      { OT_INT("transA", 1), OT_INT("flatten", 1) } },
};

static void by_operator(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const row *r = &rows[i];
        ot_node n = { .name = r->op, .attr = r->attr };
        int opset = *r->domain ? 1 : 22;
        if (!CHECK_OK(ot_find_op(&n.op, r->domain, r->op, opset)) || !CHECK(n.op->macs != NULL))
            continue;
        double got = n.op->macs(&n, r->x, &r->y);
        char what[128];
        snprintf(what, sizeof(what), "row %zu, %s: %g multiply-adds, wanted %g", i, r->op, got, r->want);
        test_check(got == r->want, __FILE__, __LINE__, what);
    }
}

/* All steps of the plan used last. */
static double session_macs(const ot_session *s, bool timed, double *parts)
{
    ot_memory memory = { 0 };
    ot_step_info info;
    double macs = 0, seconds = 0;
    CHECK_OK(ot_session_memory(s, &memory));
    for (int64_t i = 0; i < memory.steps && CHECK_OK(ot_session_step(s, i, &info)); i++) {
        seconds += info.seconds;
        CHECK(info.node && *info.node && info.op && info.kernel);
        macs += info.macs;
        *parts = info.parts;
    }
    CHECK((seconds > 0) == timed);
    CHECK(ot_session_step(s, memory.steps, &info) == OT_EARG);
    CHECK(ot_session_step(s, -1, &info) == OT_EARG);
    return macs;
}

/* net_small's at 64: 8 filters of 3x3 over 3 channels, after pooling 12 over 8, 12 features to 5 classes. */
static void of_a_session(void)
{
    const double one = 64.0 * 64 * 8 * 3 * 9 + 32.0 * 32 * 12 * 8 * 9 + 12 * 5;
    for (int timed = 0; timed < 2; timed++) {
        ot_session *s = NULL;
        ot_tensor *x = NULL;
        ot_session_options o = OT_SESSION_INIT;
        double parts = 0;
        o.timed = timed;
        ot_model *m = net_small(64, 5, true, 3);
        if (m && CHECK_OK(ot_session_create(&s, m, &o)) &&
            CHECK_OK(ot_tensor_create(&x, OT_FLOAT, 4, (const int64_t[]){ 101, 3, 64, 64 })) &&
            CHECK_OK(ot_session_run(s, x, 1))) {
            CHECK(test_close(session_macs(s, timed, &parts), 101 * one, 1e-9, 0));
            CHECK(parts > 1);
            x->dim[0] = 1;
            CHECK_OK(ot_session_run(s, x, 1));
            CHECK(session_macs(s, timed, &parts) == one);
            CHECK(parts == 1);
            x->dim[0] = 101;
        }
        ot_tensor_free(x);
        ot_session_close(s);
        ot_model_close(m);
    }
}

static void of_a_trainer(void)
{
    patterns p;
    ot_trainer *t = NULL;
    ot_train_plan plan;
    ot_step_info info;
    ot_train_options o = net_options();
    ot_model *m = net_small(16, 3, true, 5);
    patterns_init(&p, 32, 0, 3, 3, (const int64_t[]){ 3, 16, 16 });
    o.timed = true;
    if (m && CHECK_OK(ot_trainer_create(&t, m, &p.d, &o)) && CHECK_OK(ot_trainer_plan(t, &plan))) {
        double weights = 0, seconds = 0;
        CHECK_OK(ot_trainer_run(t, NULL, NULL));
        for (int64_t i = 0; i < plan.memory.steps && CHECK_OK(ot_trainer_step(t, i, &info)); i++) {
            weights += strstr(info.op, "ConvGradW") ? info.macs : 0;
            seconds += info.seconds;
            CHECK(info.parts == 1);
        }
        CHECK(weights == 16 * (16.0 * 16 * 8 * 3 * 9 + 8.0 * 8 * 12 * 8 * 9));
        CHECK(seconds > 0);
        CHECK(ot_trainer_step(t, plan.memory.steps, &info) == OT_EARG);
    }
    ot_trainer_close(t);
    ot_model_close(m);
}

const ot_test macs_tests[] = {
    { "by operator", by_operator }, { "of a session", of_a_session }, { "of a trainer", of_a_trainer }, { 0 }
};

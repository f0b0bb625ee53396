/* Steps of optimisers against PyTorch: four steps of each in double, through slots and bindings as training runs them.
 * The wanted parameters were printed by torch.optim 2 from the same numbers. */
#include "op_table.h"

#include "exec/executor.h"

#include <math.h>
#include <string.h>

#define STEPS 4
#define N     3

static const double start[N] = { 0.5, -1.25, 2.0 };
static const double gradient[STEPS][N] = {
    { 0.1, -0.2, 0.3 }, { 0.4, 0.05, -0.6 }, { -0.7, 0.8, 0.9 }, { 0.25, -0.35, 0.15 }
};

typedef struct path {
    const char *op;
    const ot_attr *attrs;
    int states;  /* slots that begin at 0 */
    bool counts; /* t or first is given */
    bool first;  /* it is 1, 0, 0, ... */
    double want[N];
} path;

static const path paths[] = {
    { .op = "SgdStep",
      .attrs = OT_ATTRS(OT_REAL("weight_decay", 0.01)),
      .want = { 0.493042928011, -1.27497744002, 1.91707196203 } },
    { .op = "SgdStep",
      .attrs = OT_ATTRS(OT_REAL("weight_decay", 0.01), OT_REAL("momentum", 0.9), OT_REAL("dampening", 0.3)),
      .states = 1,
      .counts = true,
      .first = true,
      .want = { 0.461754683286, -1.26348619319, 1.86585728653 } },
    { .op = "SgdStep",
      .attrs = OT_ATTRS(OT_REAL("momentum", 0.9), OT_INT("nesterov", 1)),
      .states = 1,
      .want = { 0.463689, -1.335593, 1.811087 } },
    { .op = "AdamStep",
      .attrs = OT_ATTRS(OT_REAL("weight_decay", 0.01)),
      .states = 2,
      .counts = true,
      .want = { 0.328611039493, -1.16284554534, 1.85741059603 } },
    { .op = "AdamStep",
      .attrs = OT_ATTRS(OT_REAL("beta1", 0.8), OT_REAL("beta2", 0.95), OT_REAL("epsilon", 1e-3),
                        OT_REAL("weight_decay", 0.1), OT_INT("decoupled", 1)),
      .states = 2,
      .counts = true,
      .want = { 0.322882507371, -1.1383607081, 1.789578146 } },
    { .op = "AdagradStep",
      .attrs = OT_ATTRS(OT_REAL("lr_decay", 0.05), OT_REAL("weight_decay", 0.01)),
      .states = 1,
      .counts = true,
      .want = { 0.35987785247, -1.21940015146, 1.89686031607 } },
    { .op = "RmspropStep",
      .attrs = OT_ATTRS(OT_REAL("alpha", 0.9), OT_REAL("weight_decay", 0.01)),
      .states = 1,
      .want = { 0.0536686201883, -1.16873385693, 1.65306764198 } },
    { .op = "RmspropStep",
      .attrs = OT_ATTRS(OT_REAL("momentum", 0.9)),
      .states = 2,
      .want = { -4.2253417915, 0.0795714795115, -0.672721693008 } },
};

typedef struct rig {
    ot_store *store;
    ot_executor *e;
    ot_workspace work;
} rig;

static ot_val input(ot_graph *g, const char *name, ot_dtype t, int rank)
{
    ot_fact f = { .kind = OT_TENSOR, .dtype = t, .rank = rank, .dim = { N } };
    return ot_graph_input(g, name, &f);
}

static ot_val slot(ot_graph *g, const char *name, ot_dtype t, const double *values)
{
    ot_tensor *data = ot_graph_own(g, t, 1, (const int64_t[]){ N });
    for (int i = 0; i < N && data && values; i++)
        ot_tensor_set(data, i, values[i]);
    return data ? ot_graph_tensor(g, name, OT_FROM_SLOT, data) : OT_NONE;
}

/* Graph: inputs g, lr, scale, t; slots w, s1, s2. */
static ot_status build(rig *r, const path *p, ot_dtype t)
{
    static const char *const names[] = { "w", "s1", "s2" };
    const int most = strcmp(p->op, "AdamStep") == 0 || strcmp(p->op, "RmspropStep") == 0 ? 2 : 1;
    ot_graph *g;
    ot_val in[8], out[3], v[3];
    int n = 0;
    OT_TRY(ot_graph_create(&g));
    for (int i = 0; i <= most; i++)
        in[n++] = v[i] = i <= p->states ? slot(g, names[i], t, i == 0 ? start : NULL) : OT_NONE;
    in[n++] = input(g, "g", t, 1);
    in[n++] = input(g, "lr", t, 0);
    in[n++] = input(g, "scale", t, 0);
    in[n++] = input(g, "t", OT_INT64, 0);
    ot_build b = { .g = g, .prefix = "test", .layer = -1 };
    ot_emit_outputs(&b, p->op, p->attrs, p->counts ? n : n - 1, in, p->states + 1, out);
    for (int i = 0; i <= p->states && b.st == OT_OK; i++)
        b.st = ot_graph_bind(g, v[i], out[i], false);
    if (b.st != OT_OK) {
        ot_graph_close(g);
        return b.st;
    }
    op_table_note_graph(g);
    ot_executor_opts o = { .store = r->store, .workspace = &r->work };
    return ot_executor_create(&r->e, g, &o);
}

static ot_status one_step(rig *r, ot_dtype t, const double *g, double rate, double scale, int64_t number)
{
    double room[3][N] = { { 0 } };
    ot_tensor in[] = { { .dtype = t, .rank = 1, .dim = { N }, .data = room[0] },
                       { .dtype = t, .data = room[1] },
                       { .dtype = t, .data = room[2] },
                       { .dtype = OT_INT64, .data = &number } };
    for (int i = 0; i < N; i++)
        ot_tensor_set(&in[0], i, g[i]);
    ot_tensor_set(&in[1], 0, rate);
    ot_tensor_set(&in[2], 0, scale);
    return ot_executor_run(r->e, in);
}

static void walk(const path *p, ot_dtype t, double tolerance)
{
    rig r = { 0 };
    if (CHECK_OK(ot_store_create(&r.store)) && CHECK_OK(build(&r, p, t))) {
        for (int k = 0; k < STEPS; k++) {
            int64_t number = p->first ? k == 0 : k + 1;
            double halves[N]; /* given doubled or halved, the clipping factor makes good for it */
            for (int i = 0; i < N; i++)
                halves[i] = gradient[k][i] * (k % 2 ? 2 : 0.5);
            CHECK_OK(one_step(&r, t, gradient[k], 0.1, k % 2 ? NAN : INFINITY, number));
            CHECK_OK(one_step(&r, t, halves, 0.1, k % 2 ? 0.5 : 2, number));
        }
        const ot_tensor *w = ot_store_find(r.store, "w");
        for (int i = 0; i < N && CHECK(w != NULL); i++)
            CHECK(test_close(p->want[i], ot_tensor_get(w, i), 0, tolerance));
    }
    ot_executor_close(r.e);
    ot_store_close(r.store);
    ot_workspace_release(&r.work);
}

static void trajectories(void)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        walk(&paths[i], OT_DOUBLE, 1e-11);
        walk(&paths[i], OT_FLOAT, 2e-5);
    }
}

#define SCALAR(v)                                                                                                      \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .rank = 0, OP_VALUES(v)                                                                     \
    }
#define COUNT(v)                                                                                                       \
    {                                                                                                                  \
        .dtype = OT_INT64, .rank = 0, OP_VALUES(v)                                                                     \
    }

static const op_case rows[] = {
    { .op = "SgdStep", .in = { OP_F(33, 700), OP_ABSENT, OP_F(33, 700), SCALAR(0.1), SCALAR(0.5) } },
    { .op = "SgdStep",
      .attrs = OT_ATTRS(OT_REAL("momentum", 0.5), OT_REAL("lr_mult", 2)),
      .n_out = 2,
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1), OP_VALUES(1) },
              { .dtype = OT_FLOAT, OP_DIMS(1), OP_VALUES(4) },
              { .dtype = OT_FLOAT, OP_DIMS(1), OP_VALUES(2) },
              SCALAR(0.125),
              SCALAR(0.5) },
      OP_WANT(0.25) }, /* 1 - 2/8 * (4 / 2 + 1) */
    { .op = "AdamStep",
      .n_out = 3,
      .tolerance = 1e-5,
      .in = { OP_F(33, 700),
              OP_F(33, 700),
              { .dtype = OT_FLOAT, .draw = OP_POSITIVE, OP_DIMS(33, 700) },
              OP_F(33, 700),
              SCALAR(0.1),
              SCALAR(0.5),
              COUNT(3) } },
    { .op = "SgdStep", .in = { OP_F(3), OP_ABSENT, OP_F(4), SCALAR(1), SCALAR(1) }, .fails = "gradient" },
    { .op = "SgdStep",
      .attrs = OT_ATTRS(OT_REAL("momentum", 0.5)),
      .in = { OP_F(3), OP_ABSENT, OP_F(3), SCALAR(1), SCALAR(1) },
      .fails = "input 1" },
    { .op = "AdamStep",
      .in = { OP_F(3), OP_F(3), OP_F(3), OP_F(3), SCALAR(1), SCALAR(1) },
      .fails = "number of the step" },
    { .op = "SgdStep", .in = { OP_F(3), OP_ABSENT, OP_F(3), OP_F(2), SCALAR(1) }, .fails = "lr" },
    { .op = "GradNorm", .n_out = 2, .in = { OP_F(3, 70000), OP_F(0), OP_F(5) } },
    { .op = "GradNorm", .in = { { .dtype = OT_FLOAT, OP_DIMS(2), OP_VALUES(3, NAN) } }, OP_WANT(NAN) },
    { .op = "GradNorm",
      .attrs = OT_ATTRS(OT_REAL("clip", 0.5)),
      .n_out = 2,
      .in = { { .dtype = OT_FLOAT, OP_DIMS(3), OP_VALUES(0.1, -0.2, 0.3) },
              { .dtype = OT_FLOAT, OP_DIMS(1), OP_VALUES(2) } },
      OP_WANT(2.0346989949375804) },
    { .op = "GradNorm", .attrs = OT_ATTRS(OT_REAL("clip", -1)), .in = { OP_F(3) }, .fails = "clipped" },
    { 0 },
};

static void row_tests(void)
{
    op_cases_run(rows);
}

/* The second output, the factor: as torch.nn.utils.clip_grad_norm_ scales; 1 below the limit; NaN for a broken norm. */
static void clipping(void)
{
    static const struct {
        double clip, value, want;
    } cases[] = { { 0.5, 2, 0.2457364728186077 }, { 3, 2, 1 }, { 0, 2, 1 }, { 0, INFINITY, NAN }, { 1, NAN, NAN } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ot_graph *g;
        ot_val in[2], out[2];
        double a[] = { 0.1, -0.2, 0.3 }, b[] = { cases[i].value };
        const ot_tensor x[] = { { .dtype = OT_DOUBLE, .rank = 1, .dim = { 3 }, .data = a },
                                { .dtype = OT_DOUBLE, .rank = 1, .dim = { 1 }, .data = b } };
        if (!CHECK_OK(ot_graph_create(&g)))
            return;
        ot_build build = { .g = g, .prefix = "test", .layer = -1 };
        for (int k = 0; k < 2; k++)
            in[k] = ot_const_tensor(&build, &x[k]);
        ot_emit_outputs(&build, "GradNorm", OT_ATTRS(OT_REAL("clip", cases[i].clip)), 2, in, 2, out);
        CHECK_OK(build.st);
        CHECK_OK(ot_graph_output(g, "norm", out[0]));
        CHECK_OK(ot_graph_output(g, "scale", out[1]));
        CHECK_OK(ot_fold(g, 1 << 20));
        const ot_tensor *scale = g->value[g->output[1].value].tensor;
        CHECK(scale && test_close(cases[i].want, ot_tensor_get(scale, 0), 1e-12, 0));
        ot_graph_close(g);
    }
}

const ot_test optimiser_step_tests[] = {
    { "trajectories", trajectories }, { "rows", row_tests }, { "clipping", clipping }, { 0 }
};

/* Blocks of 16 channels: the operators, and the layout pass over graphs that leave and enter them. */
#include "graph/derive.h"
#include "op_rig.h"

#include "model/edit.h"

#include <stdio.h>
#include <string.h>

#define W(...)                                                                                                         \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .constant = true, OP_DIMS(__VA_ARGS__)                                                      \
    }
static const int64_t same[] = { 1, 1, 1, 1 }, two[] = { 2, 2 }, three[] = { 3, 3 };
#define PADS    OT_INTS("pads", same, 4)
#define STRIDES OT_INTS("strides", two, 2)
#define KERNEL  OT_INTS("kernel_shape", three, 2)

static const op_case order_rows[] = {
    { .op = "ToBlocks", .in = { OP_F(2, 5, 3) }, OP_WANT_DIM(2, 1, 3, 16) },
    { .op = "ToBlocks", .in = { OP_F(1, 33, 3, 5) }, OP_WANT_DIM(1, 3, 3, 5, 16) },
    { .op = "ToBlocks", .in = { OP_F(0, 16, 2, 2) }, OP_WANT_DIM(0, 1, 2, 2, 16) },
    { .op = "ToBlocks", .in = { OP_F(2, 3) }, .fails = "rank 2" },
    { .op = "FromBlocks",
      .attrs = OT_ATTRS(OT_INT("channels", 20)),
      .in = { OP_F(2, 2, 3, 7, 16) },
      OP_WANT_DIM(2, 20, 3, 7) },
    { .op = "FromBlocks", .attrs = OT_ATTRS(OT_INT("channels", 33)), .in = { OP_F(1, 2, 3, 1, 16) }, .fails = "33" },
    { .op = "FromBlocks",
      .attrs = OT_ATTRS(OT_INT("channels", 16)),
      .in = { OP_F(1, 1, 3, 1, 8) },
      .fails = "8 lanes" },
    { 0 },
};

static const op_case conv_rows[] = {
    { .op = "BlockConv", .attrs = OT_ATTRS(PADS), .in = { OP_F(2, 3, 9, 8), W(20, 3, 3, 3), W(20) } },
    { .op = "BlockConv", .attrs = OT_ATTRS(PADS), .in = { OP_F(2, 2, 9, 8, 16), W(40, 21, 3, 3) } },
    { .op = "BlockConv", .attrs = OT_ATTRS(PADS, STRIDES), .in = { OP_F(1, 1, 9, 8, 16), W(16, 16, 3, 3), W(16) } },
    { .op = "BlockConv",
      .attrs = OT_ATTRS(PADS, OT_TEXT("activation", "relu")),
      .in = { OP_F(1, 2, 12, 14, 16), W(32, 32, 3, 3), W(32), OP_F(1, 2, 12, 14, 16) } },
    { .op = "BlockConv",
      .attrs = OT_ATTRS(OT_TEXT("activation", "clip"), OT_REAL("lo", -0.5), OT_REAL("hi", 2)),
      .in = { OP_F(2, 2, 5, 7, 16), W(16, 32, 1, 1), OP_ABSENT, OP_F(2, 1, 5, 7, 16) } },
    { .op = "BlockConv",
      .attrs = OT_ATTRS(PADS, OT_INT("group", 20)),
      .in = { OP_F(2, 2, 11, 10, 16), W(20, 1, 3, 3), W(20) } },
    { .op = "BlockConv",
      .attrs = OT_ATTRS(PADS, OT_INT("group", 2)),
      .in = { OP_F(1, 2, 6, 6, 16), W(32, 16, 3, 3), W(32) } },
    { .op = "BlockConv", .attrs = OT_ATTRS(PADS), .in = { OP_F(1, 1, 6, 6, 16), OP_F(16, 16, 3, 3) } },
    { .op = "BlockConv", .in = { OP_F(1, 2, 6, 6, 16), W(16, 16, 3, 3) }, .fails = "2 blocks, W takes 16" },
    { .op = "BlockConv", .in = { OP_F(1, 1, 6, 6, 15), W(16, 16, 3, 3) }, .fails = "15 lanes" },
    { .op = "BlockConv",
      .in = { OP_F(1, 1, 6, 6, 16), W(16, 16, 3, 3), OP_ABSENT, OP_F(1, 1, 6, 4, 16) },
      .fails = "the output and Z" },
    { 0 },
};

#define TRAINS OT_INT("trains", 1)
static const op_case grad_rows[] = {
    { .op = "BlockConvGradX",
      .attrs = OT_ATTRS(PADS, TRAINS),
      .in = { OP_F(4, 4, 2, 2, 16), OP_F(64, 64, 3, 3), OP_F(4, 4, 2, 2, 16) } },
    { .op = "BlockConvGradW",
      .attrs = OT_ATTRS(PADS),
      .in = { OP_F(4, 4, 2, 2, 16), OP_F(4, 4, 2, 2, 16), OP_F(64, 64, 3, 3) } },
    { .op = "BlockConvGradW",
      .attrs = OT_ATTRS(PADS, STRIDES),
      .in = { OP_F(4, 4, 2, 2, 16), OP_F(4, 4, 4, 4, 16), OP_F(64, 64, 3, 3) } },
    { .op = "BlockConvGradX",
      .attrs = OT_ATTRS(PADS, TRAINS),
      .in = { OP_F(4, 4, 4, 4, 16), OP_F(64, 64, 3, 3), OP_F(4, 4, 4, 4, 16) } },
    { .op = "BlockConvGradW",
      .attrs = OT_ATTRS(PADS),
      .in = { OP_F(4, 4, 4, 4, 16), OP_F(4, 4, 4, 4, 16), OP_F(64, 64, 3, 3) },
      .tolerance = 5e-6 },
    { .op = "BlockConvGradX",
      .attrs = OT_ATTRS(PADS),
      .in = { OP_F(2, 2, 9, 8, 16), W(20, 33, 3, 3), OP_F(2, 33, 9, 8) } },
    { .op = "BlockConvGradX",
      .attrs = OT_ATTRS(PADS, TRAINS),
      .in = { OP_F(3, 2, 14, 13, 16), OP_F(20, 32, 3, 3), OP_F(3, 2, 14, 13, 16) } },
    { .op = "BlockConvGradX",
      .attrs = OT_ATTRS(TRAINS),
      .in = { OP_F(2, 3, 5, 6, 16), OP_F(40, 20, 1, 1), OP_F(2, 2, 5, 6, 16) } },
    { .op = "BlockConvGradX",
      .attrs = OT_ATTRS(TRAINS),
      .in = { OP_F(2, 1, 5, 6, 16), OP_F(10, 20, 3, 5), OP_F(2, 2, 7, 10, 16) } },
    { .op = "BlockConvGradX",
      .attrs = OT_ATTRS(PADS, OT_INT("group", 20)),
      .in = { OP_F(2, 2, 11, 10, 16), OP_F(20, 1, 3, 3), OP_F(2, 2, 11, 10, 16) } },
    { .op = "BlockConvGradX",
      .attrs = OT_ATTRS(PADS, OT_INT("group", 2)),
      .in = { OP_F(1, 4, 6, 6, 16), OP_F(64, 16, 3, 3), OP_F(1, 2, 6, 6, 16) } },
    { .op = "BlockConvGradX",
      .attrs = OT_ATTRS(PADS, STRIDES),
      .in = { OP_F(1, 1, 3, 3, 16), OP_F(16, 16, 3, 3), OP_F(1, 1, 6, 6, 16) },
      .fails = "a stride of 2" },
    { .op = "BlockConvGradX",
      .attrs = OT_ATTRS(PADS),
      .in = { OP_F(1, 1, 5, 6, 16), OP_F(16, 16, 3, 3), OP_F(1, 1, 6, 6, 16) },
      .fails = "dy and the output" },
    { .op = "BlockConvGradW", /* by Winograd's adjoint */
      .attrs = OT_ATTRS(PADS),
      .in = { OP_F(2, 2, 9, 8, 16), OP_F(2, 3, 9, 8, 16), OP_F(20, 33, 3, 3) },
      .n_out = 2,
      .tolerance = 5e-6 },
    { .op = "BlockConvGradW", /* in several blocks of tiles */
      .attrs = OT_ATTRS(PADS),
      .in = { OP_F(3, 1, 50, 51, 16), OP_F(3, 1, 50, 51, 16), OP_F(16, 16, 3, 3) },
      .tolerance = 5e-6 },
    { .op = "BlockConvGradW",
      .attrs = OT_ATTRS(PADS, OT_INT("group", 2)),
      .in = { OP_F(1, 4, 6, 6, 16), OP_F(1, 2, 6, 6, 16), OP_F(64, 16, 3, 3) },
      .tolerance = 5e-6 },
    { .op = "BlockConvGradW",
      .attrs = OT_ATTRS(PADS, STRIDES),
      .in = { OP_F(2, 2, 5, 4, 16), OP_F(2, 3, 9, 8, 16), OP_F(20, 45, 3, 3) },
      .n_out = 2 },
    { .op = "BlockConvGradW",
      .attrs = OT_ATTRS(STRIDES),
      .in = { OP_F(2, 1, 5, 4, 16), OP_F(2, 1, 9, 8, 16), OP_F(7, 10, 1, 1) } },
    { .op = "BlockConvGradW", /* in several bands */
      .attrs = OT_ATTRS(OT_INTS("kernel_shape", three, 2)),
      .in = { OP_F(1, 1, 38, 68, 16), OP_F(1, 1, 40, 70, 16), OP_F(4, 5, 3, 3) },
      .tolerance = 5e-6 },
    { .op = "BlockConvGradW", /* x as it lies */
      .attrs = OT_ATTRS(PADS, STRIDES),
      .in = { OP_F(3, 2, 10, 4, 16), OP_F(3, 3, 19, 8), OP_F(20, 3, 3, 3) },
      .n_out = 2 },
    { .op = "BlockConvGradW",
      .attrs = OT_ATTRS(OT_INTS("dilations", two, 2)),
      .in = { OP_F(1, 3, 5, 4, 16), OP_F(1, 2, 9, 8), OP_F(40, 2, 3, 3) },
      .n_out = 2 },
    { .op = "BlockConvGradW",
      .attrs = OT_ATTRS(PADS, OT_INT("group", 20)),
      .in = { OP_F(2, 2, 11, 10, 16), OP_F(2, 2, 11, 10, 16), OP_F(20, 1, 3, 3) },
      .n_out = 2 },
    { .op = "BlockConvGradW",
      .attrs = OT_ATTRS(PADS, STRIDES, OT_INT("group", 20)),
      .in = { OP_F(2, 2, 6, 5, 16), OP_F(2, 2, 11, 10, 16), OP_F(20, 1, 3, 3) } },
    { 0 },
};

static const op_case pool_rows[] = {
    { .op = "BlockMaxPool", .attrs = OT_ATTRS(KERNEL, PADS, STRIDES), .in = { OP_F(2, 2, 9, 8, 16) } },
    { .op = "BlockMaxPool",
      .attrs = OT_ATTRS(KERNEL, OT_INT("ceil_mode", 1), STRIDES),
      .in = { OP_F(1, 1, 8, 30, 16) } },
    { .op = "BlockAveragePool", .attrs = OT_ATTRS(KERNEL, PADS), .in = { OP_F(2, 1, 9, 8, 16) } },
    { .op = "BlockAveragePool",
      .attrs = OT_ATTRS(KERNEL, PADS, STRIDES, OT_INT("count_include_pad", 1), OT_INT("ceil_mode", 1)),
      .in = { OP_F(1, 2, 8, 6, 16) } },
    { .op = "GlobalBlockAveragePool", .in = { OP_F(2, 3, 7, 5, 16) }, OP_WANT_DIM(2, 3, 1, 1, 16) },
    { .op = "BlockMaxPool", .attrs = OT_ATTRS(KERNEL), .in = { OP_F(2, 9, 8, 16) }, .fails = "rank 4" },
    { 0 },
};

#define RELU OT_TEXT("activation", "relu")
static const op_case norm_rows[] = {
    { .op = "BlockNormTrainGrad",
      .in = { OP_F(4, 4, 2, 2, 16), OP_F(4, 4, 2, 2, 16), OP_F(64), OP_F(64), OP_F(64) },
      .n_out = 3,
      .tolerance = 5e-6 },
    { .op = "BlockNormTrain",
      .in = { OP_F(3, 2, 5, 7, 16), OP_F(20), OP_F(20), OP_F(20), OP_F(20) },
      .n_out = 5,
      .tolerance = 5e-6 },
    { .op = "BlockNormTrain",
      .attrs = OT_ATTRS(RELU, OT_REAL("momentum", 0.8), OT_REAL("epsilon", 1e-3)),
      .in = { OP_F(2, 1, 19, 17, 16), OP_F(16), OP_F(16), OP_F(16), OP_F(16) },
      .n_out = 5,
      .skip_out = { false, true },
      .tolerance = 5e-6 },
    { .op = "BlockNormTrain",
      .in = { OP_F(1, 2, 5, 7, 16), OP_F(40), OP_F(40), OP_F(40), OP_F(40) },
      .fails = "40 channels in 2 blocks" },
    { .op = "BlockNormTrainGrad",
      .in = { OP_F(3, 2, 5, 7, 16), OP_F(3, 2, 5, 7, 16), OP_F(20), OP_F(20), OP_F(20), OP_F(20) },
      .n_out = 3,
      .tolerance = 5e-6 },
    { .op = "BlockNormTrainGrad",
      .attrs = OT_ATTRS(RELU),
      .in = { OP_F(2, 1, 19, 17, 16), OP_F(2, 1, 19, 17, 16), OP_F(16), OP_F(16), OP_F(16), OP_F(16) },
      .n_out = 3,
      .tolerance = 5e-6 },
    { .op = "BlockNormTrainGrad",
      .in = { OP_F(1, 1, 5, 7, 16), OP_F(1, 1, 5, 6, 16), OP_F(16), OP_F(16), OP_F(16), OP_F(16) },
      .n_out = 3,
      .fails = "dy and x" },
    { 0 },
};

#define SPREAD(...)                                                                                                    \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .draw = OP_SPREAD, OP_DIMS(__VA_ARGS__)                                                     \
    }
static const op_case pool_grad_rows[] = {
    { .op = "BlockMaxPoolGrad",
      .attrs = OT_ATTRS(KERNEL, PADS, STRIDES),
      .in = { OP_F(2, 2, 5, 4, 16), SPREAD(2, 2, 9, 8, 16) } },
    { .op = "BlockMaxPoolGrad",
      .attrs = OT_ATTRS(KERNEL, OT_INT("ceil_mode", 1), STRIDES),
      .in = { OP_F(1, 1, 4, 15, 16), SPREAD(1, 1, 8, 30, 16) } },
    { .op = "BlockMaxPoolGrad",
      .attrs = OT_ATTRS(KERNEL, STRIDES),
      .in = { OP_F(1, 1, 4, 15, 16), OP_F(1, 1, 8, 30, 16) },
      .fails = "dy and the output" },
    { .op = "GlobalBlockAveragePoolGrad", .in = { OP_F(2, 3, 1, 1, 16), OP_F(2, 3, 7, 5, 16) } },
    { 0 },
};

static void order(void)
{
    op_cases_run(order_rows);
}
static void conv(void)
{
    op_cases_run(conv_rows);
}
static void gradients(void)
{
    op_cases_run(grad_rows);
}
static void norm(void)
{
    op_cases_run(norm_rows);
}
static void pool_gradients(void)
{
    op_cases_run(pool_grad_rows);
}
static void pool(void)
{
    op_cases_run(pool_rows);
}

/* ---- The pass ---------------------------------------------------------------------------------------------------- */

static void weight(ot_model *m, const char *name, int rank, const int64_t *dim)
{
    ot_tensor *t = NULL;
    if (!CHECK_OK(ot_tensor_create(&t, OT_FLOAT, rank, dim)))
        return;
    for (int64_t i = 0, n = ot_tensor_count(t); i < n; i++)
        ((float *)t->data)[i] = (float)(i * 37 % 29 - 14) / 40;
    CHECK_OK(ot_model_add_initializer(m, name, t));
    ot_tensor_free(t);
}

static void node(ot_model *m, const char *op, const char *a, const char *b, const char *c, const char *out)
{
    int n = c ? 3 : b ? 2 : 1;
    CHECK(ot_append_node(m->proto->graph, op, out, n, (const char *[]){ a, b, c }, 1, &out) != NULL);
}

/* x -> convolutions with everything between them that the pass knows, and values that leave on the way. */
static ot_model *mixed_net(void)
{
    ot_model *m = NULL;
    if (!CHECK_OK(ot_model_empty(&m, 17)))
        return NULL;
    Onnx__ValueInfoProto *x = ot_append(&m->proto->graph->base, "input");
    CHECK_OK(ot_set_string(&x->name, "x"));
    CHECK_OK(ot_set_value_type(x, OT_FLOAT, 4, (ot_doc_dim[]){ { -1, "N" }, { 3, NULL }, { -1, "H" }, { -1, "W" } }));
    weight(m, "w1", 4, (const int64_t[]){ 16, 3, 3, 3 });
    weight(m, "w2", 4, (const int64_t[]){ 20, 16, 1, 1 });
    weight(m, "w3", 4, (const int64_t[]){ 36, 36, 1, 1 });
    weight(m, "squeeze", 4, (const int64_t[]){ 36, 36, 1, 1 });
    weight(m, "scale", 3, (const int64_t[]){ 16, 1, 1 });
    weight(m, "row", 1, (const int64_t[]){ 1 });
    node(m, "Conv", "x", "w1", NULL, "a");
    node(m, "HardSwish", "a", NULL, NULL, "b");
    node(m, "Mul", "scale", "b", NULL, "c");
    node(m, "Sub", "c", "row", NULL, "d");
    node(m, "Conv", "d", "w2", NULL, "e");
    node(m, "Concat", "d", "e", NULL, "f");
    CHECK(ot_node_set_int(m->proto->graph->node[5], "axis", 1) == OT_OK);
    node(m, "Conv", "f", "w3", NULL, "g");
    node(m, "GlobalAveragePool", "g", NULL, NULL, "h");
    node(m, "Conv", "h", "squeeze", NULL, "i");
    node(m, "Sigmoid", "i", NULL, NULL, "j");
    node(m, "Mul", "g", "j", NULL, "k");
    node(m, "Transpose", "k", NULL, NULL, "l"); /* not in blocks */
    node(m, "Add", "k", "g", NULL, "y");
    CHECK(ot_append_output(m->proto->graph, "y", OT_FLOAT, 0, NULL) != NULL);
    CHECK(ot_append_output(m->proto->graph, "l", OT_FLOAT, 0, NULL) != NULL);
    CHECK(ot_append_output(m->proto->graph, "c", OT_FLOAT, 0, NULL) != NULL);
    return m;
}

/* The same numbers as node by node, and in blocks wherever it can be. */
static void pass(void)
{
    ot_model *m = mixed_net();
    ot_session *s[2] = { NULL, NULL };
    ot_tensor *x = NULL;
    char *text = NULL;
    ot_session_options plain = OT_SESSION_INIT;
    plain.no_fusion = true;
    if (!m || !CHECK_OK(ot_tensor_create(&x, OT_FLOAT, 4, (const int64_t[]){ 2, 3, 9, 7 })))
        return;
    for (int64_t i = 0, n = ot_tensor_count(x); i < n; i++)
        ((float *)x->data)[i] = (float)(i * 53 % 97 - 48) / 48;
    if (CHECK_OK(ot_session_create(&s[0], m, NULL)) && CHECK_OK(ot_session_create(&s[1], m, &plain)) &&
        CHECK_OK(ot_session_run(s[0], x, 1)) && CHECK_OK(ot_session_run(s[1], x, 1)))
        for (int i = 0; i < 3; i++) {
            const ot_tensor *a = ot_session_output(s[0], i), *b = ot_session_output(s[1], i);
            CHECK(a->rank == 4 && b->rank == 4 && ot_tensor_count(a) == ot_tensor_count(b));
            for (int64_t k = 0, n = ot_tensor_count(a); k < n; k++)
                if (!CHECK(test_close(ot_tensor_get(a, k), ot_tensor_get(b, k), 1e-5, 1e-5)))
                    break;
        }
    if (s[0] && CHECK_OK(ot_session_explain(&text, s[0]))) {
        int into = 0, back = 0;
        for (const char *at = text; (at = strstr(at, "(ToBlocks)")); at++)
            into++;
        for (const char *at = text; (at = strstr(at, "(FromBlocks)")); at++)
            back++;
        if (!CHECK(into == 0 && back == 3))
            printf("%s", text);
    }
    ot_text_free(text);
    ot_session_close(s[0]);
    ot_session_close(s[1]);
    ot_tensor_free(x);
    ot_model_close(m);
}

const ot_test blocks_tests[] = {
    { "order", order },
    { "conv", conv },
    { "gradients", gradients },
    { "norm", norm },
    { "pool_gradients", pool_gradients },
    { "pool", pool },
    { "pass", pass },
    { 0 },
};

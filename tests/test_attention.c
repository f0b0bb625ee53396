/* Attention and the operators around it. */
#include "doc.h"
#include "model/edit.h"
#include "op_case.h"

#define HEADS(q, kv) OT_INT("q_num_heads", q), OT_INT("kv_num_heads", kv)
#define CAUSAL       OT_INT("is_causal", 1)
#define MODE(m)      OT_INT("qk_matmul_output_mode", m)
#define MASK(...)                                                                                                      \
    {                                                                                                                  \
        .dtype = OT_BOOL, __VA_ARGS__                                                                                  \
    }
#define LENGTHS(...)                                                                                                   \
    {                                                                                                                  \
        .dtype = OT_INT64, OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                                     \
    }
#define TYPED(t, ...)                                                                                                  \
    {                                                                                                                  \
        .dtype = (t), OP_DIMS(__VA_ARGS__)                                                                             \
    }

static const op_case attention_rows[] = {
    { .op = "Attention", .opset = 23, .in = { OP_X(2, 2, 3, 4), OP_X(2, 2, 5, 4), OP_X(2, 2, 5, 3) } },
    { .op = "Attention", .attrs = OT_ATTRS(CAUSAL), .in = { OP_X(1, 4, 3, 2), OP_X(1, 2, 3, 2), OP_X(1, 2, 3, 3) } },
    { .op = "Attention", .attrs = OT_ATTRS(HEADS(4, 2)), .in = { OP_X(2, 3, 8), OP_X(2, 4, 4), OP_X(2, 4, 6) } },
    { .op = "Attention",
      .attrs = OT_ATTRS(HEADS(3, 1), OT_REAL("scale", 0.3), OT_REAL("softcap", 1.5)),
      .in = { OP_X(1, 2, 6), OP_X(1, 3, 2), OP_X(1, 3, 2), OP_X(2, 3) } },
    { .op = "Attention",
      .n_out = 4,
      .attrs = OT_ATTRS(CAUSAL),
      .in = { OP_X(1, 2, 2, 2), OP_X(1, 1, 2, 2), OP_X(1, 1, 2, 3), OP_ABSENT, OP_X(1, 1, 3, 2), OP_X(1, 1, 3, 3) } },
    { .op = "Attention",
      .n_out = 4,
      .attrs = OT_ATTRS(MODE(1), OT_REAL("softcap", 2)),
      .in = { OP_X(1, 2, 2, 2), OP_X(1, 2, 3, 2), OP_X(1, 2, 3, 2), OP_X(1, 2, 2, 3) } },
    { .op = "Attention",
      .n_out = 4,
      .attrs = OT_ATTRS(MODE(2)),
      .in = { OP_X(1, 2, 2, 2), OP_X(1, 2, 3, 2), OP_X(1, 2, 3, 2), OP_X(2, 2, 3) } },
    { .op = "Attention",
      .n_out = 4,
      .attrs = OT_ATTRS(MODE(3)),
      .in = { OP_X(1, 2, 2, 2), OP_X(1, 2, 3, 2), OP_X(1, 2, 3, 2) } },
    /* a mask of fewer keys, and a row that sees none */
    { .op = "Attention",
      .in = { OP_X(1, 2, 2, 2), OP_X(1, 2, 4, 2), OP_X(1, 2, 4, 2),
              MASK(OP_DIMS(2, 3), OP_VALUES(1, 0, 1, 0, 0, 0)) } },
    { .op = "Attention",
      .attrs = OT_ATTRS(CAUSAL),
      .in = { OP_X(2, 2, 3, 2), OP_X(2, 2, 4, 2), OP_X(2, 2, 4, 2), OP_ABSENT, OP_ABSENT, OP_ABSENT, LENGTHS(2, 4) } },
    { .op = "Attention",
      .attrs = OT_ATTRS(OT_INT("left_window_size", 1), OT_INT("right_window_size", 1)),
      .in = { OP_X(1, 1, 4, 2), OP_X(1, 1, 4, 2), OP_X(1, 1, 4, 2), MASK(OP_DIMS(4), OP_VALUES(1, 1, 0, 1)) } },
    { .op = "Attention", .in = { OP_F(1, 1, 0, 2), OP_F(1, 1, 3, 2), OP_F(1, 1, 3, 2) } },
    { .op = "Attention", .in = { OP_F(1, 3, 40, 16), OP_F(1, 3, 50, 16), OP_F(1, 3, 50, 16) } },
    { .op = "Attention",
      .attrs = OT_ATTRS(OT_INT("softmax_precision", OT_FLOAT)),
      .tolerance = 2e-3,
      .in = { TYPED(OT_FLOAT16, 1, 1, 2, 2), TYPED(OT_FLOAT16, 1, 1, 2, 2), TYPED(OT_FLOAT16, 1, 1, 2, 2) } },
    { .op = "Attention",
      .tolerance = 1e-2,
      .in = { TYPED(OT_BFLOAT16, 1, 1, 2, 2), TYPED(OT_BFLOAT16, 1, 1, 2, 2), TYPED(OT_FLOAT, 1, 1, 2, 2) } },
    { .op = "Attention", .in = { OP_F(2, 3, 8), OP_F(2, 4, 4), OP_F(2, 4, 6) }, .fails = "q_num_heads is 0" },
    { .op = "Attention",
      .in = { OP_F(1, 3, 2, 2), OP_F(1, 2, 2, 2), OP_F(1, 2, 2, 2) },
      .fails = "3 heads of Q for 2" },
    { .op = "Attention",
      .in = { OP_F(1, 1, 2, 2), OP_F(1, 1, 2, 2), OP_F(1, 1, 2, 2), OP_ABSENT, OP_F(1, 1, 2, 2) },
      .fails = "come together" },
    { 0 },
};

static const op_case rotary_rows[] = {
    { .op = "RotaryEmbedding", .in = { OP_X(2, 2, 3, 4), OP_X(2, 3, 2), OP_X(2, 3, 2) } },
    { .op = "RotaryEmbedding",
      .attrs = OT_ATTRS(OT_INT("num_heads", 2), OT_INT("interleaved", 1)),
      .in = { OP_X(1, 3, 8), OP_X(5, 2), OP_X(5, 2), { .dtype = OT_INT64, OP_DIMS(1, 3), OP_VALUES(4, 0, 4) } } },
    { .op = "RotaryEmbedding",
      .attrs = OT_ATTRS(OT_INT("num_heads", 2), OT_INT("rotary_embedding_dim", 2)),
      .in = { OP_X(2, 2, 10), OP_X(2, 2, 1), OP_X(2, 2, 1) } },
    { .op = "RotaryEmbedding",
      .attrs = OT_ATTRS(OT_INT("interleaved", 1), OT_INT("rotary_embedding_dim", 4)),
      .in = { OP_X(1, 2, 2, 6), OP_X(1, 2, 2), OP_X(1, 2, 2) } },
    { .op = "RotaryEmbedding",
      .in = { { .dtype = OT_FLOAT, OP_DIMS(1, 1, 1, 2), OP_VALUES(3, 5) },
              { .dtype = OT_FLOAT, OP_DIMS(1, 1, 1), OP_VALUES(0.5) },
              { .dtype = OT_FLOAT, OP_DIMS(1, 1, 1), OP_VALUES(2) } },
      OP_WANT(1.5 - 10, 6 + 2.5) },
    { .op = "RotaryEmbedding",
      .tolerance = 1e-2,
      .in = { TYPED(OT_FLOAT16, 1, 1, 2, 2), TYPED(OT_FLOAT16, 1, 2, 1), TYPED(OT_FLOAT16, 1, 2, 1) } },
    { .op = "RotaryEmbedding",
      .tolerance = 1e-2,
      .in = { TYPED(OT_BFLOAT16, 1, 1, 2, 2), TYPED(OT_BFLOAT16, 1, 2, 1), TYPED(OT_BFLOAT16, 1, 2, 1) } },
    { .op = "RotaryEmbedding", .in = { OP_F(1, 3, 8), OP_F(1, 3, 2), OP_F(1, 3, 2) }, .fails = "num_heads is 0" },
    { .op = "RotaryEmbedding", .in = { OP_F(2, 2, 3, 4), OP_F(2, 3, 3), OP_F(2, 3, 3) }, .fails = "3 pairs for 4" },
    { .op = "RotaryEmbedding", .in = { OP_F(2, 2, 3, 4), OP_F(5, 2), OP_F(5, 2) }, .fails = "cos_cache has rank 2" },
    { 0 },
};

static const op_case swiglu_rows[] = {
    { .op = "SwiGLU", .in = { OP_X(2, 3), OP_X(2, 3) } },
    { .op = "SwiGLU", .attrs = OT_ATTRS(OT_REAL("alpha", 1.7)), .in = { OP_X(2, 0, 3), OP_X(2, 0, 3) } },
    { .op = "SwiGLU", .attrs = OT_ATTRS(OT_REAL("alpha", 1.7)), .in = { OP_X(5), OP_X(5) } },
    { .op = "SwiGLU", .in = { TYPED(OT_FLOAT16, 3), TYPED(OT_FLOAT16, 3) } },
    { .op = "SwiGLU", .in = { TYPED(OT_BFLOAT16, 3), TYPED(OT_BFLOAT16, 3) } },
    { .op = "SwiGLU", .in = { OP_F(2, 3), OP_F(3) }, .fails = "A is [2,3], B is [3]" },
    { 0 },
};

/* The weight's dims must be numbers. */
#define CAUSAL_CONV .op = "CausalConvWithState", .no_symbols = true
#define SILU        .attrs = OT_ATTRS(OT_TEXT("activation", "silu"))

static const op_case causal_rows[] = {
    { CAUSAL_CONV, .n_out = 2, .in = { OP_X(2, 3, 4), OP_X(3, 1, 3) } },
    { CAUSAL_CONV, .n_out = 2, SILU, .in = { OP_X(2, 3, 2), OP_X(3, 1, 4), OP_X(3), OP_X(2, 3, 3) } },
    { CAUSAL_CONV, .n_out = 2, SILU, .in = { OP_F(1, 2, 3), OP_F(2, 1, 1) } },
    { CAUSAL_CONV, .in = { OP_X(1, 2, 3), OP_X(2, 1, 2), OP_ABSENT, OP_X(1, 2, 1) } },
    { CAUSAL_CONV, .in = { TYPED(OT_FLOAT16, 1, 2, 3), TYPED(OT_FLOAT16, 2, 1, 2) } },
    { CAUSAL_CONV, .in = { TYPED(OT_BFLOAT16, 1, 2, 3), TYPED(OT_BFLOAT16, 2, 1, 2) } },
    { CAUSAL_CONV, .attrs = OT_ATTRS(OT_TEXT("activation", "gelu")), .in = { OP_F(1, 2, 3), OP_F(2, 1, 2) },
      .fails = "activation is 'gelu'" },
    { 0 },
};

#define RULE(q, kv, r) OT_INT("q_num_heads", q), OT_INT("kv_num_heads", kv), OT_TEXT("update_rule", r)

static const op_case linear_rows[] = {
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(2, 2, "linear")),
      .in = { OP_X(2, 3, 4), OP_X(2, 3, 4), OP_X(2, 3, 6) } },
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(4, 2, "gated"), OT_REAL("scale", 0.7)),
      .in = { OP_X(1, 5, 8), OP_X(1, 5, 4), OP_X(1, 5, 6), OP_X(1, 2, 2, 3), OP_X(1, 5, 2) } },
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(2, 2, "delta")),
      .in = { OP_X(2, 4, 4), OP_X(2, 4, 4), OP_X(2, 4, 2), OP_ABSENT, OP_ABSENT, OP_X(2, 4, 1) } },
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(2, 1, "gated_delta")),
      .in = { OP_X(2, 7, 4), OP_X(2, 7, 2), OP_X(2, 7, 3), OP_X(2, 1, 2, 3), OP_X(2, 7, 2), OP_X(2, 7, 1) } },
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(2, 2, "gated_delta")),
      .in = { OP_X(1, 0, 4), OP_F(1, 0, 4), OP_F(1, 0, 4), OP_X(1, 2, 2, 2), OP_F(1, 0, 4), OP_F(1, 0, 2) } },
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(1, 1, "linear")),
      .in = { TYPED(OT_FLOAT16, 1, 2, 2), TYPED(OT_FLOAT16, 1, 2, 2), TYPED(OT_FLOAT16, 1, 2, 2),
              TYPED(OT_FLOAT, 1, 1, 2, 2) } },
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(1, 1, "linear")),
      .in = { TYPED(OT_BFLOAT16, 1, 2, 2), TYPED(OT_BFLOAT16, 1, 2, 2), TYPED(OT_BFLOAT16, 1, 2, 2),
              TYPED(OT_FLOAT16, 1, 1, 2, 2) } },
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(1, 1, "linear")),
      .in = { OP_F(1, 2, 2), OP_F(1, 2, 2), OP_F(1, 2, 2), TYPED(OT_BFLOAT16, 1, 1, 2, 2) },
      .tolerance = 1e-2 },
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(2, 2, "gated")),
      .in = { OP_F(1, 2, 4), OP_F(1, 2, 4), OP_F(1, 2, 4) },
      .fails = "decay is missing" },
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(3, 2, "linear")),
      .in = { OP_F(1, 2, 6), OP_F(1, 2, 4), OP_F(1, 2, 4) },
      .fails = "q_num_heads is 3" },
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(2, 2, "linear")),
      .in = { OP_F(1, 2, 4), OP_F(1, 2, 6), OP_F(1, 2, 4) },
      .fails = "key: 2 is not 3" },
    { .op = "LinearAttention",
      .n_out = 2,
      .attrs = OT_ATTRS(RULE(2, 2, "fast")),
      .in = { OP_F(1, 2, 4), OP_F(1, 2, 4), OP_F(1, 2, 4) },
      .fails = "update_rule is 'fast'" },
    { 0 },
};

#define FLEX .op = "FlexAttention", .domain = "ai.onnx.preview", .opset = 1

static const op_case flex_rows[] = {
    { FLEX, .in = { OP_X(2, 3, 4, 5), OP_X(2, 3, 6, 5), OP_X(2, 3, 6, 2) }, OP_WANT_DIM(2, 3, 4, 2) },
    { FLEX, .attrs = OT_ATTRS(OT_REAL("scale", 0.7)), .in = { OP_X(1, 4, 3, 5), OP_X(1, 2, 6, 5), OP_X(1, 2, 6, 3) } },
    { FLEX, .in = { OP_X(0, 2, 3, 4), OP_X(0, 2, 3, 4), OP_X(0, 2, 3, 4) } },
    { FLEX, .in = { OP_F(2, 3, 4), OP_F(2, 3, 4), OP_F(2, 3, 4) }, .fails = "known rank of 4" },
    { FLEX, .in = { OP_F(2, 3, 4, 4), OP_F(2, 3, 4, 5), OP_F(2, 3, 4, 4) }, .fails = "head sizes" },
    { FLEX, .in = { OP_F(2, 3, 4, 4), OP_F(2, 2, 4, 4), OP_F(2, 2, 4, 4) }, .fails = "3 heads of Q for 2 of K" },
    { FLEX, .attrs = OT_ATTRS(OT_INT("softmax_precision", OT_INT32)),
      .in = { OP_F(1, 1, 2, 2), OP_F(1, 1, 2, 2), OP_F(1, 1, 2, 2) }, .fails = "softmax_precision is int32" },
    { 0 },
};

static void flex(void)
{
    op_cases_run(flex_rows);
}

static const doc_tensor flex_tensors[] = { DOC_FLOATS("k", 2, 1, 5, 3),    DOC_FLOATS("val", 2, 1, 5, 4),
                                           DOC_FLOATS("bias", 4, 5),       DOC_FLOATS("gate", 5),
                                           DOC_SCALAR("two", OT_FLOAT, 2), { 0 } };

/* Graphs that read values around them, and that have a node of the same name. */
static void modified(void)
{
    static const doc_node score[] = {
        NODE("Div", "v two", "a", NULL), NODE("Tanh", "a", "b", NULL), NODE("Add", "b bias", "out", NULL), { 0 }
    };
    static const doc_node prob[] = { NODE("Sigmoid", "gate", "b", NULL), NODE("Mul", "v b", "out", NULL), { 0 } };
    static const doc score_mod = { .nodes = score }, prob_mod = { .nodes = prob };
    static const doc_node nodes[] = { { "FlexAttention", "x k val", "y", NULL, &score_mod, &prob_mod },
                                      NODE("Identity", "y", "z", NULL),
                                      { 0 } };
    static const doc_node plain[] = { NODE("Expand", "k heads", "ks", NULL),
                                      NODE("Expand", "val heads", "vs", NULL),
                                      NODE("Transpose", "ks", "kt", "perm=0,1,3,2"),
                                      NODE("MatMul", "x kt", "s", NULL),
                                      NODE("Mul", "s scale", "v", NULL),
                                      NODE("Div", "v two", "a", NULL),
                                      NODE("Tanh", "a", "b", NULL),
                                      NODE("Add", "b bias", "c", NULL),
                                      NODE("Softmax", "c", "p", "axis=-1"),
                                      NODE("Sigmoid", "gate", "g", NULL),
                                      NODE("Mul", "p g", "q", NULL),
                                      NODE("MatMul", "q vs", "y", NULL),
                                      { 0 } };
    const doc_tensor more[] = { DOC_FLOATS("k", 2, 1, 5, 3),    DOC_FLOATS("val", 2, 1, 5, 4),
                                DOC_FLOATS("bias", 4, 5),       DOC_FLOATS("gate", 5),
                                DOC_SCALAR("two", OT_FLOAT, 2), DOC_SCALAR("scale", OT_FLOAT, 0.57735026918962573),
                                DOC_INTS("heads", 1, 2, 1, 1),  { 0 } };
    const doc d = { .opset = 21, .x = "N,2,4,3", .nodes = nodes, .tensors = flex_tensors };
    const doc same = { .opset = 21, .x = "N,2,4,3", .nodes = plain, .tensors = more };
    ot_tensor *want = doc_run(&same, DOC_DIMS(2, 2, 4, 3));
    if (want) {
        double v[2 * 2 * 4 * 4];
        CHECK(ot_tensor_count(want) == 64);
        for (int i = 0; i < 64; i++)
            v[i] = ot_tensor_get(want, i);
        doc_compare(&d, v, DOC_DIMS(2, 2, 4, 3), DOC_DIMS(2, 2, 4, 4));
    }
    ot_tensor_free(want);
    doc_check_gradients(&d, DOC_DIMS(2, 2, 4, 3));
}

/* `score` empty: a graph whose output is made by no node. */
static void refused(const doc_node *score, const char *words)
{
    static const doc_node copy[] = { NODE("Identity", "v", "out", NULL), { 0 } };
    const doc mod = { .nodes = score->op ? score : copy };
    const doc_node nodes[] = { { "FlexAttention", "x k val", "y", NULL, &mod, NULL }, { 0 } };
    const doc d = { .opset = 21, .x = "N,2,4,3", .nodes = nodes, .tensors = flex_tensors };
    ot_model *m = doc_model(&d, false);
    ot_session *s = NULL;
    if (m && !score->op)
        CHECK_OK(ot_set_string(&m->proto->graph->node[0]->attribute[0]->g->output[0]->name, "nothing"));
    if (m)
        CHECK_FAILS(ot_session_create(&s, m, NULL), OT_EMODEL, words);
    ot_session_close(s);
    ot_model_close(m);
}

static void bad_modifiers(void)
{
    static const doc_node flat[] = { NODE("Flatten", "v", "out", NULL), { 0 } };
    static const doc_node other[] = { NODE("Cast", "v", "out", "to=11"), { 0 } };
    static const doc_node unmade[] = { NODE("Add", "v nowhere", "out", NULL), { 0 } };
    refused(flat, "score_mod makes float of rank 2");
    refused(other, "score_mod makes double");
    refused(unmade, "nowhere");
    refused(unmade + 1, "output 'nothing' of the body is made by no node");
}

static void attention(void)
{
    op_cases_run(attention_rows);
}

static void rotary(void)
{
    op_cases_run(rotary_rows);
}

static void swiglu(void)
{
    op_cases_run(swiglu_rows);
}

static void linear(void)
{
    op_cases_run(linear_rows);
}

static void causal(void)
{
    op_cases_run(causal_rows);
}

const ot_test attention_tests[] = { { "attention", attention },
                                    { "rotary", rotary },
                                    { "swiglu", swiglu },
                                    { "causal", causal },
                                    { "flex", flex },
                                    { "flex modified", modified },
                                    { "flex bad modifiers", bad_modifiers },
                                    { "linear", linear },
                                    { 0 } };

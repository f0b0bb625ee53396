/* The graph's own machinery: dimensions as symbols, deriving (and refusing) documents, plans and their memory. */
#include "harness.h"
#include "exec/executor.h"
#include "graph/derive.h"
#include "graph/layers.h"
#include "model/edit.h"

#include <math.h>
#include <string.h>

static void symbols(void)
{
    ot_graph *g = NULL;
    char text[96];
    if (!CHECK_OK(ot_graph_create(&g)))
        return;
    ot_infer c = { .graph = g };
    ot_dim n = ot_symbol_named(g, "N"), h = ot_symbol_named(g, "H");
    CHECK(ot_symbol_named(g, "N") == n && n != h);
    CHECK(ot_dim_add(&c, 2, 3) == 5 && ot_dim_div(&c, -7, 2) == -4 && ot_dim_mul(&c, n, 0) == 0);
    CHECK(ot_dim_add(&c, n, 1) == ot_dim_add(&c, n, 1) && ot_dim_add(&c, n, h) == ot_dim_add(&c, h, n));
    /* a padded 3x3 convolution keeps its input's symbol: (H + 2 - 3) / 1 + 1 */
    CHECK(ot_dim_add(&c, ot_dim_div(&c, ot_dim_sub(&c, ot_dim_add(&c, h, 2), 3), 1), 1) == h);
    CHECK(ot_dim_div(&c, ot_dim_mul(&c, n, 6), 3) == ot_dim_mul(&c, n, 2));
    CHECK(ot_dim_sub(&c, n, n) == 0 && ot_dim_div(&c, n, n) == 1);
    CHECK(ot_dim_unknown(&c) != ot_dim_unknown(&c));
    CHECK(ot_is_symbol(ot_dim_mul(&c, INT64_MAX, 2)));
    CHECK(strcmp(ot_dim_text(g, ot_dim_add(&c, ot_dim_mul(&c, h, 2), -1), text, sizeof(text)), "((H*2)-1)") == 0);
    ot_graph_close(g);
}

/* ---- Small documents ------------------------------------------------------------------------------------------------
 */

/* x float[N,4] -> ... -> y, at an opset. */
static ot_model *document(int64_t opset)
{
    ot_model *m = NULL;
    if (!CHECK_OK(ot_model_empty(&m, opset)))
        return NULL;
    Onnx__ValueInfoProto *x = ot_append(&m->proto->graph->base, "input");
    CHECK_OK(ot_set_string(&x->name, "x"));
    CHECK_OK(ot_set_value_type(x, OT_FLOAT, 2, (ot_doc_dim[]){ { -1, "N" }, { 4, NULL } }));
    CHECK(ot_append_output(m->proto->graph, "y", OT_FLOAT, 2, (ot_doc_dim[]){ { -1, "N" }, { 4, NULL } }) != NULL);
    return m;
}

static void node(ot_model *m, const char *op, const char *name, const char *in, const char *out)
{
    CHECK(ot_append_node(m->proto->graph, op, name, 1, (const char *[]){ in }, 1, (const char *[]){ out }) != NULL);
}

static void refuse(ot_model *m, ot_status status, const char *words)
{
    ot_graph *g = NULL;
    CHECK_FAILS(ot_derive(&g, m, &(ot_derive_opts){ 0 }), status, words);
    CHECK(g == NULL);
    ot_model_close(m);
}

static void refusals(void)
{
    ot_model *m = document(17);
    node(m, "Relu", "r", "x", "y");
    node(m, "Frobnicate", "f", "y", "z");
    node(m, "Twiddle", "t", "y", "w");
    node(m, "Frobnicate", "f2", "y", "v");
    refuse(m, OT_EUNSUPPORTED, "2 operators are missing: Frobnicate, Twiddle");
    m = document(17);
    node(m, "Relu", "r", "later", "y");
    refuse(m, OT_EMODEL, "node 'r' (Relu): input 'later' is made by no node before this one");
    m = document(17);
    node(m, "Relu", "r", "x", "y");
    node(m, "Relu", "again", "x", "y");
    refuse(m, OT_EMODEL, "'y' is made twice");
    m = document(99);
    node(m, "Relu", "r", "x", "y");
    refuse(m, OT_EUNSUPPORTED, "opset 99");
    m = document(17);
    node(m, "Relu", "r", "x", "z");
    refuse(m, OT_EMODEL, "the output 'y' is made by no node");
    m = document(17);
    ot_append_node(m->proto->graph, "Relu", "r", 2, (const char *[]){ "x", "x" }, 1, (const char *[]){ "y" });
    refuse(m, OT_EMODEL, "2 inputs, Relu-14 takes 1");
    m = document(17);
    node(m, "Relu", "r", "x", "y");
    CHECK_OK(ot_set_value_type(m->proto->graph->input[0], OT_FLOAT, 2,
                               (ot_doc_dim[]){ { (int64_t)1 << 62, NULL }, { 4, NULL } }));
    refuse(m, OT_ENOMEM, "'x': the dims [4611686018427387904,4] have a product over 2^44");
}

static void layers(void)
{
    ot_model *m = document(17);
    int64_t i;
    node(m, "Relu", "stem/relu", "x", "a");
    node(m, "Identity", "id", "a", "b");
    node(m, "Relu", "head/relu", "b", "y");
    CHECK(ot_layer_total(m) == 2);
    CHECK_OK(ot_find_layer(&i, m, "-1"));
    CHECK(i == 1);
    CHECK_OK(ot_find_layer(&i, m, "head"));
    CHECK(i == 1);
    CHECK_OK(ot_find_layer(&i, m, "2"));
    CHECK(i == 2);
    CHECK_FAILS(ot_find_layer(&i, m, "3"), OT_EARG, "-2..2");
    CHECK_FAILS(ot_find_layer(&i, m, "tail"), OT_EARG, "tail");
    ot_model_close(m);
}

/* ---- Running --------------------------------------------------------------------------------------------------------
 */

static void shapes_are_checked(void)
{
    ot_model *m = document(17);
    ot_session *s = NULL;
    float data[12] = { -1, 2, -3, 4 };
    ot_tensor x = { .dtype = OT_FLOAT, .rank = 2, .dim = { 3, 4 }, .data = data };
    node(m, "Relu", "r", "x", "y");
    if (CHECK_OK(ot_session_create(&s, m, NULL)) && CHECK_OK(ot_session_run(s, &x, 1))) {
        const float *y = ot_session_output(s, 0)->data;
        CHECK(y[0] == 0 && y[1] == 2 && y[2] == 0 && y[3] == 4);
    }
    x.dim[1] = 5;
    CHECK_FAILS(ot_session_run(s, &x, 1), OT_ESHAPE, "input 'x': dimension 1 is 4, given [3,5]");
    x.dim[1] = 4;
    x.dtype = OT_DOUBLE;
    CHECK_FAILS(ot_session_run(s, &x, 1), OT_ESHAPE, "input 'x' is float, given double");
    CHECK_FAILS(ot_session_run(s, &x, 2), OT_EARG, "2 inputs, the model has 1");
    ot_session_close(s);
    ot_model_close(m);
}

/* A chain of element-wise nodes runs in place: one buffer, however long the chain. */
static void chain_is_in_place(void)
{
    ot_model *m = document(17);
    ot_session *s = NULL;
    ot_memory memory;
    float data[4 * 1000] = { 0 };
    ot_tensor x = { .dtype = OT_FLOAT, .rank = 2, .dim = { 1000, 4 }, .data = data };
    node(m, "Relu", "a", "x", "a");
    node(m, "Relu", "b", "a", "b");
    node(m, "Relu", "c", "b", "y");
    ot_session_options o = OT_SESSION_INIT;
    o.no_fusion = true;
    if (CHECK_OK(ot_session_create(&s, m, &o)) && CHECK_OK(ot_session_prepare(s, &x, 1)) &&
        CHECK_OK(ot_session_memory(s, &memory)))
        CHECK(memory.activations == sizeof(data) && memory.steps == 3);
    ot_session_close(s);
    x.dim[0] = 1; /* a larger batch would be run in parts that fit */
    o.memory = 63;
    if (CHECK_OK(ot_session_create(&s, m, &o)))
        CHECK_FAILS(ot_session_prepare(s, &x, 1), OT_ENOMEM, "64 bytes are needed");
    ot_session_close(s);
    ot_model_close(m);
}

static void a_run_allocates_nothing(void)
{
    ot_model *m = document(17);
    ot_session *s = NULL;
    float data[8] = { 0 };
    ot_tensor x = { .dtype = OT_FLOAT, .rank = 2, .dim = { 2, 4 }, .data = data };
    node(m, "Relu", "r", "x", "y");
    if (CHECK_OK(ot_session_create(&s, m, NULL)) && CHECK_OK(ot_session_run(s, &x, 1))) {
        int64_t before = ot_alloc_count();
        CHECK_OK(ot_session_run(s, &x, 1));
        CHECK(ot_alloc_count() == before);
    }
    ot_session_close(s);
    ot_model_close(m);
}

const ot_test graph_tests[] = {
    { "symbols", symbols },
    { "refusals", refusals },
    { "layers", layers },
    { "shapes are checked", shapes_are_checked },
    { "a chain runs in place", chain_is_in_place },
    { "a run allocates nothing", a_run_allocates_nothing },
    { 0 },
};

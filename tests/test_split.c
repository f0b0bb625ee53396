/* Batches in parts: which graphs allow it, and that the outputs are those of the whole batch. */
#include "exec/split.h"
#include "graph/derive.h"
#include "harness.h"
#include "model/edit.h"
#include "net.h"

#include <string.h>

/* x float[N,4,6]; one node to y; does it keep samples apart? */
static bool keeps(const char *op, const char *attr, int64_t value, int n_in)
{
    ot_model *m = NULL;
    ot_graph *g = NULL;
    const char *in[2] = { "x", "x" }, *out = "y";
    if (!CHECK_OK(ot_model_empty(&m, 17)))
        return false;
    Onnx__ValueInfoProto *x = ot_append(&m->proto->graph->base, "input");
    CHECK_OK(ot_set_string(&x->name, "x"));
    CHECK_OK(ot_set_value_type(x, OT_FLOAT, 3, (ot_doc_dim[]){ { -1, "N" }, { 4, NULL }, { 4, NULL } }));
    Onnx__NodeProto *node = ot_append_node(m->proto->graph, op, "n", n_in, in, 1, &out);
    if (attr)
        CHECK_OK(ot_node_set_int(node, attr, value));
    CHECK(ot_append_output(m->proto->graph, "y", OT_FLOAT, 0, NULL) != NULL);
    bool yes = CHECK_OK(ot_derive(&g, m, &(ot_derive_opts){ 0 })) && ot_is_samplewise(g);
    ot_graph_close(g);
    ot_model_close(m);
    return yes;
}

static void which_graphs(void)
{
    CHECK(keeps("Relu", NULL, 0, 1));
    CHECK(keeps("Add", NULL, 0, 2));
    CHECK(keeps("MatMul", NULL, 0, 2));
    CHECK(keeps("Softmax", "axis", -1, 1));
    CHECK(keeps("Concat", "axis", 2, 2));
    CHECK(keeps("Flatten", "axis", 1, 1));
    CHECK(!keeps("Softmax", "axis", 0, 1));
    CHECK(!keeps("Softmax", "axis", -3, 1));
    CHECK(!keeps("Concat", "axis", 0, 2));
    CHECK(!keeps("Flatten", "axis", 2, 1));
    CHECK(!keeps("Transpose", NULL, 0, 1));
    CHECK(!keeps("ReduceSum", NULL, 0, 1));
    CHECK(!keeps("Hardmax", "axis", 2, 1)); /* it does, but nobody said so */
}

/* A batch that goes in several parts, the last one smaller, against one sample at a time. */
static void parts(void)
{
    ot_model *m = net_small(64, 5, true, 3);
    ot_session *s = NULL;
    ot_tensor *x = NULL, *all = NULL;
    const int64_t n = 101, size = 3 * 64 * 64;
    if (!m || !CHECK_OK(ot_tensor_create(&x, OT_FLOAT, 4, (const int64_t[]){ n, 3, 64, 64 })))
        return;
    float *data = x->data;
    for (int64_t i = 0; i < n * size; i++)
        data[i] = (float)(i * 7919 % 1009) / 500 - 1;
    if (CHECK_OK(ot_session_create(&s, m, NULL)) && CHECK_OK(ot_session_run(s, x, 1))) {
        const ot_tensor *y = ot_session_output(s, 0);
        CHECK(y->rank == 2 && y->dim[0] == n && y->dim[1] == 5);
        ot_memory memory;
        if (CHECK_OK(ot_session_memory(s, &memory)))
            CHECK(memory.activations < (size_t)n * 16 * 64 * 64 * sizeof(float)); /* one blocked value of all */
        if (CHECK_OK(ot_tensor_create(&all, OT_FLOAT, 2, y->dim)))
            memcpy(all->data, y->data, (size_t)n * 5 * sizeof(float));
        int64_t before = ot_alloc_count();
        CHECK_OK(ot_session_run(s, x, 1));
        CHECK(ot_alloc_count() == before);
    }
    ot_session_close(s);
    s = NULL;
    ot_session_options o = OT_SESSION_INIT;
    o.memory = (size_t)3 << 20; /* a tenth of what the batch takes at once */
    CHECK(CHECK_OK(ot_session_create(&s, m, &o)) && CHECK_OK(ot_session_run(s, x, 1)));
    ot_session_close(s);
    CHECK_OK(ot_session_create(&s, m, NULL));
    for (int64_t i = 0; all && i < n; i++) {
        ot_tensor one = { .dtype = OT_FLOAT, .rank = 4, .dim = { 1, 3, 64, 64 }, .data = data + i * size };
        if (!CHECK_OK(ot_session_run(s, &one, 1)))
            break;
        const float *want = (const float *)ot_session_output(s, 0)->data, *got = (float *)all->data + i * 5;
        for (int k = 0; k < 5; k++)
            CHECK(test_close(want[k], got[k], 1e-5, 1e-5));
    }
    ot_tensor_free(all);
    ot_tensor_free(x);
    ot_session_close(s);
    ot_model_close(m);
}

/* Under a cap that Winograd's filters do not fit into, weights take smaller forms; the outputs are the same but for
 * rounding. */
static void small_forms(void)
{
    net n = net_begin(3, 12, 5);
    net_conv(&n, 64, 3, 1);
    net_conv(&n, 64, 3, 1);
    net_conv(&n, 64, 3, 1);
    ot_model *m = net_done(&n);
    ot_tensor *x = NULL, *want = NULL;
    ot_session *s = NULL;
    ot_session_options o = OT_SESSION_INIT;
    ot_memory fast = { 0 }, lean = { 0 };
    if (!m || !CHECK_OK(ot_tensor_create(&x, OT_FLOAT, 4, (const int64_t[]){ 1, 3, 12, 12 })))
        return;
    for (int64_t i = 0; i < ot_tensor_count(x); i++)
        ((float *)x->data)[i] = (float)(i * 7919 % 1009) / 500 - 1;
    if (CHECK_OK(ot_session_create(&s, m, NULL)) && CHECK_OK(ot_session_run(s, x, 1)) &&
        CHECK_OK(ot_session_memory(s, &fast)) &&
        CHECK_OK(ot_tensor_create(&want, OT_FLOAT, 4, ot_session_output(s, 0)->dim)))
        memcpy(want->data, ot_session_output(s, 0)->data, ot_tensor_bytes(want));
    ot_session_close(s);
    s = NULL;
    o.memory = fast.packed;
    if (want && CHECK_OK(ot_session_create(&s, m, &o)) && CHECK_OK(ot_session_run(s, x, 1)) &&
        CHECK_OK(ot_session_memory(s, &lean))) {
        CHECK(lean.packed < fast.packed / 3);
        for (int64_t i = 0; i < ot_tensor_count(want); i++)
            CHECK(test_close(((float *)want->data)[i], ((float *)ot_session_output(s, 0)->data)[i], 1e-4, 1e-4));
    }
    ot_session_close(s);
    s = NULL;
    o.memory = fast.packed / 8;
    if (CHECK_OK(ot_session_create(&s, m, &o)))
        CHECK(ot_session_run(s, x, 1) == OT_ENOMEM);
    ot_session_close(s);
    ot_tensor_free(want);
    ot_tensor_free(x);
    ot_model_close(m);
}

const ot_test split_tests[] = {
    { "which graphs", which_graphs }, { "parts", parts }, { "small forms", small_forms }, { 0 }
};

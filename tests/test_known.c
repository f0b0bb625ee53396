/* Shapes that depend on data: plans that are made for the values of some inputs, and used again for equal ones. */
#include "base/alloc.h"
#include "harness.h"
#include "model/edit.h"

#include <string.h>

static void input(ot_model *m, const char *name, ot_dtype dtype, int rank, const ot_doc_dim *dim)
{
    Onnx__ValueInfoProto *v = ot_append(&m->proto->graph->base, "input");
    CHECK_OK(ot_set_string(&v->name, name));
    CHECK_OK(ot_set_value_type(v, dtype, rank, dim));
}

static void node(ot_model *m, const char *op, const char *a, const char *b, const char *out)
{
    CHECK(ot_append_node(m->proto->graph, op, out, b ? 2 : 1, (const char *[]){ a, b }, 1, &out) != NULL);
}

/* x float[N,4] and s int64[K]; y = Relu(Reshape(x, s)), whose very rank only the run knows. */
static ot_session *reshape_session(ot_model **m)
{
    ot_session *s = NULL;
    if (!CHECK_OK(ot_model_empty(m, 17)))
        return NULL;
    input(*m, "x", OT_FLOAT, 2, (ot_doc_dim[]){ { -1, "N" }, { 4, NULL } });
    input(*m, "s", OT_INT64, 1, (ot_doc_dim[]){ { -1, "K" } });
    node(*m, "Reshape", "x", "s", "r");
    node(*m, "Relu", "r", NULL, "y");
    CHECK(ot_append_output((*m)->proto->graph, "y", OT_FLOAT, 0, NULL) != NULL);
    CHECK_OK(ot_session_create(&s, *m, NULL));
    return s;
}

static void values_of_inputs(void)
{
    ot_model *m = NULL;
    ot_session *s = reshape_session(&m);
    float data[8] = { -1, 1, 2, 3, 4, 5, 6, 7 };
    int64_t to[2] = { 4, -1 };
    ot_tensor in[] = { { .dtype = OT_FLOAT, .rank = 2, .dim = { 2, 4 }, .data = data },
                       { .dtype = OT_INT64, .rank = 1, .dim = { 2 }, .data = to } };
    if (s && CHECK_OK(ot_session_run(s, in, 2))) {
        const ot_tensor *y = ot_session_output(s, 0);
        CHECK(y->rank == 2 && y->dim[0] == 4 && y->dim[1] == 2 && ((const float *)y->data)[0] == 0);
        to[0] = 1; /* the same memory with other data */
        CHECK_OK(ot_session_run(s, in, 2));
        y = ot_session_output(s, 0);
        CHECK(y->rank == 2 && y->dim[0] == 1 && y->dim[1] == 8 && ((const float *)y->data)[7] == 7);
        in[1].dim[0] = 1;
        to[0] = -1;
        CHECK_OK(ot_session_run(s, in, 2));
        CHECK(ot_session_output(s, 0)->rank == 1);
        int64_t before = ot_alloc_count();
        data[0] = 9;
        CHECK_OK(ot_session_run(s, in, 2));
        CHECK(ot_alloc_count() == before && ((const float *)ot_session_output(s, 0)->data)[0] == 9);
        to[0] = 3;
        CHECK_FAILS(ot_session_run(s, in, 2), OT_ESHAPE, "r");
    }
    ot_session_close(s);
    ot_model_close(m);
}

static void no_data_yet(void)
{
    ot_model *m = NULL;
    ot_session *s = reshape_session(&m);
    ot_tensor in[] = { { .dtype = OT_FLOAT, .rank = 2, .dim = { 2, 4 } },
                       { .dtype = OT_INT64, .rank = 1, .dim = { 2 } } };
    if (s)
        CHECK_FAILS(ot_session_prepare(s, in, 2), OT_EUNSUPPORTED,
                    "node 'r' (Reshape-17): the shape of output 0 depends on data: input 's' has no data yet");
    ot_session_close(s);
    ot_model_close(m);
}

/* A size that nodes compute, while the plan is made: y has as many elements as the place of x's maximum says. */
static void values_of_nodes(void)
{
    ot_model *m = NULL;
    ot_session *s = NULL;
    float data[400] = { 1, 3, 2 };
    ot_tensor x = { .dtype = OT_FLOAT, .rank = 1, .dim = { 400 }, .data = data };
    ot_session_options o = OT_SESSION_INIT;
    if (!CHECK_OK(ot_model_empty(&m, 17)))
        return;
    input(m, "x", OT_FLOAT, 1, (ot_doc_dim[]){ { -1, "N" } });
    node(m, "Relu", "x", NULL, "positive");
    node(m, "ArgMax", "positive", NULL, "at");
    node(m, "ConstantOfShape", "at", NULL, "y");
    CHECK(ot_append_output(m->proto->graph, "y", OT_FLOAT, 1, (ot_doc_dim[]){ { -1, "M" } }) != NULL);
    if (CHECK_OK(ot_session_create(&s, m, NULL)) && CHECK_OK(ot_session_run(s, &x, 1))) {
        CHECK(ot_session_output(s, 0)->dim[0] == 1);
        data[7] = 4;
        CHECK_OK(ot_session_run(s, &x, 1));
        CHECK(ot_session_output(s, 0)->dim[0] == 7);
    }
    ot_session_close(s);
    o.memory = sizeof(data);
    if (CHECK_OK(ot_session_create(&s, m, &o)))
        CHECK_FAILS(ot_session_run(s, &x, 1), OT_ENOMEM, "3200 bytes of data decide on shapes, the cap is 1600");
    ot_session_close(s);
    ot_model_close(m);
}

const ot_test known_tests[] = {
    { "values of inputs", values_of_inputs },
    { "values of nodes", values_of_nodes },
    { "no data yet", no_data_yet },
    { 0 },
};

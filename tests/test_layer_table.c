#include "harness.h"
#include "wire_data.h"

#include <string.h>

static void put_value(wire_data *graph, uint32_t field, const char *name, const int *dim, int rank)
{
    wire_data shape = { .n = 0 }, tensor = { .n = 0 }, type = { .n = 0 }, info = { .n = 0 };
    for (int i = 0; i < rank; i++) {
        wire_data d = { .n = 0 };
        if (dim[i] < 0)
            wire_text(&d, 2, "N");
        else
            wire_int(&d, 1, (uint64_t)dim[i]);
        wire_nest(&shape, 1, &d);
    }
    wire_int(&tensor, 1, 1);
    wire_nest(&tensor, 2, &shape);
    wire_nest(&type, 1, &tensor);
    wire_text(&info, 1, name);
    wire_nest(&info, 2, &type);
    wire_nest(graph, field, &info);
}

static void put_node(wire_data *graph, const char *op, const char *a, const char *b, const char *y)
{
    wire_data n = { .n = 0 };
    wire_text(&n, 1, a);
    if (b)
        wire_text(&n, 1, b);
    wire_text(&n, 2, y);
    wire_text(&n, 4, op);
    wire_nest(graph, 1, &n);
}

static void put_weight(wire_data *graph, const char *name, int n)
{
    wire_data t = { .n = 0 };
    const float zeros[16] = { 0 };
    wire_int(&t, 1, (uint64_t)n);
    wire_int(&t, 2, 1);
    wire_text(&t, 8, name);
    wire_bytes(&t, 9, zeros, (size_t)n * sizeof(float));
    wire_nest(graph, 5, &t);
}

/* Dims without data. */
static void put_claim(wire_data *graph, const char *name, int64_t n)
{
    wire_data t = { .n = 0 };
    wire_int(&t, 1, (uint64_t)n);
    wire_int(&t, 2, 1);
    wire_text(&t, 8, name);
    wire_nest(graph, 5, &t);
}

/* x, Relu, Identity, `op`: two layers; a weight that nothing reads. */
static ot_model *make(const char *op, const int *dim)
{
    static wire_data g, m;
    ot_model *model = NULL;
    g.n = 0;
    put_node(&g, "Relu", "x", NULL, "a");
    put_node(&g, "Identity", "a", NULL, "b");
    put_node(&g, op, "b", NULL, "c");
    put_value(&g, 11, "x", dim, 4);
    put_value(&g, 12, "c", (int[]){ -1, 1, 1, 1 }, 0);
    put_weight(&g, "w", 3);
    wire_model(&m, &g);
    CHECK_OK(ot_model_open_memory(&model, m.bytes, m.n));
    return model;
}

static void layers_and_shapes(void)
{
    ot_model *m = make("Relu", (int[]){ -1, 3, 32, 32 });
    ot_layers *l = NULL;
    if (!m || !CHECK_OK(ot_layers_open(&l, m, NULL, NULL, 0)))
        return;
    CHECK(ot_layers_count(l) == 2 && !ot_layers_get(l, 2) && !ot_layers_get(l, -1) && !ot_layers_problem(l));
    CHECK(strcmp(ot_layers_get(l, 1)->name, "c") == 0 && strcmp(ot_layers_get(l, 1)->op, "Relu") == 0);
    CHECK(strcmp(ot_layers_get(l, 0)->shape, "float[N,3,32,32]") == 0);
    CHECK(strcmp(ot_layers_value(l, "b"), "float[N,3,32,32]") == 0 && strcmp(ot_layers_value(l, "q"), "") == 0);
    ot_layers_close(l);
    const char *name = "x";
    ot_tensor x = { .dtype = OT_FLOAT, .rank = 4, .dim = { 5, 3, 32, 32 } };
    if (CHECK_OK(ot_layers_open(&l, m, &name, &x, 1)))
        CHECK(strcmp(ot_layers_get(l, 1)->shape, "float[5,3,32,32]") == 0);
    ot_layers_close(l);
    x.dim[2] = 31;
    CHECK_FAILS(ot_layers_open(&l, m, &name, &x, 1), OT_ESHAPE, "dimension 2 is 32");
    CHECK(!l);
    x.rank = 3;
    CHECK_FAILS(ot_layers_open(&l, m, &name, &x, 1), OT_ESHAPE, "rank 4");
    name = "c";
    CHECK_FAILS(ot_layers_open(&l, m, &name, &x, 1), OT_EARG, "no input named 'c'");
    ot_model_close(m);
}

static void a_problem_leaves_the_table(void)
{
    ot_model *m = make("Frobnicate", (int[]){ -1, 3, 32, 32 });
    ot_layers *l = NULL;
    if (!m || !CHECK_OK(ot_layers_open(&l, m, NULL, NULL, 0)))
        return;
    CHECK(ot_layers_count(l) == 2 && ot_layers_problem(l) && strstr(ot_layers_problem(l), "Frobnicate"));
    CHECK(strcmp(ot_layers_get(l, 0)->shape, "") == 0 && strcmp(ot_layers_value(l, "x"), "") == 0);
    ot_layers_close(l);
    ot_model_close(m);
}

static void shared_weights_count_once(void)
{
    static wire_data g, w;
    ot_model *m = NULL;
    ot_layers *l = NULL;
    put_node(&g, "Mul", "x", "w", "a");
    put_node(&g, "Add", "a", "w", "b");
    put_node(&g, "Add", "b", "one", "c");
    put_weight(&g, "w", 3);
    put_weight(&g, "one", 1);
    put_value(&g, 11, "x", (int[]){ -1, 3 }, 2);
    put_value(&g, 12, "c", NULL, 0);
    wire_model(&w, &g);
    if (!CHECK_OK(ot_model_open_memory(&m, w.bytes, w.n)) || !CHECK_OK(ot_layers_open(&l, m, NULL, NULL, 0)))
        return;
    CHECK(ot_layers_get(l, 0)->parameters == 3 && ot_layers_get(l, 1)->parameters == 3);
    CHECK(ot_layers_get(l, 2)->parameters == 0 && ot_layers_parameters(l) == 3);
    ot_layers_close(l);
    ot_model_close(m);
}

/* What the dims of weights promise is not always there; the numbers stay at the largest one. */
static void huge_promises(void)
{
    static wire_data g, w;
    ot_model *m = NULL;
    ot_layers *l = NULL;
    put_node(&g, "Mul", "v", "w", "a");
    put_claim(&g, "v", INT64_MAX);
    put_claim(&g, "w", INT64_MAX - 1);
    put_value(&g, 12, "a", NULL, 0);
    wire_model(&w, &g);
    if (!CHECK_OK(ot_model_open_memory(&m, w.bytes, w.n)) || !CHECK_OK(ot_layers_open(&l, m, NULL, NULL, 0)))
        return;
    CHECK(ot_layers_get(l, 0)->parameters == INT64_MAX && ot_layers_parameters(l) == INT64_MAX);
    ot_layers_close(l);
    ot_model_close(m);
}

static void spec_of_a_model(void)
{
    static const struct {
        int dim[4];
        int64_t size;
        bool nhwc;
    } rows[] = {
        { { -1, 3, 32, 32 }, 32, false },  { { 1, 96, 96, 3 }, 96, true }, { { -1, 3, -1, -1 }, 224, false },
        { { -1, 3, 32, 48 }, 224, false }, { { -1, 3, 3, 3 }, 3, false },  { { -1, 3, 1 << 30, 1 << 30 }, 224, false },
        { { -1, 1, 28, 28 }, 28, false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ot_model *m = make("Relu", rows[i].dim);
        ot_image_spec s;
        if (!m)
            return;
        CHECK_OK(ot_image_spec_from_model(&s, m));
        CHECK(s.size == rows[i].size && s.nhwc == rows[i].nhwc && s.range == 1);
        CHECK_OK(ot_model_set_metadata(m, "onnxtune.input", "{\"size\": 40, \"channels\": \"bgr\"}"));
        CHECK_OK(ot_image_spec_from_model(&s, m));
        CHECK(s.size == 40 && s.bgr && s.nhwc == rows[i].nhwc);
        CHECK_OK(ot_model_set_metadata(m, "onnxtune.input", "{\"size\": }"));
        CHECK_FAILS(ot_image_spec_from_model(&s, m), OT_EDATA, "metadata onnxtune.input: ");
        ot_model_close(m);
    }
}

static void version(void)
{
    ot_version v;
    ot_version_info(&v);
    CHECK(v.version[0] && v.opset >= 21 && v.ir_version >= 10 && v.cores >= 1 && strncmp(v.devices, "cpu", 3) == 0);
    CHECK(strstr(v.libraries, "protobuf-c") && v.isa[0]);
}

const ot_test layer_table_tests[] = { { "layers and shapes", layers_and_shapes },
                                      { "a problem leaves the table", a_problem_leaves_the_table },
                                      { "shared weights count once", shared_weights_count_once },
                                      { "huge promises", huge_promises },
                                      { "spec of a model", spec_of_a_model },
                                      { "version", version },
                                      { NULL, NULL } };

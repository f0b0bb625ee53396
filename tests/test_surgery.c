/* Surgery on documents.  mnist-8 declares the shape of every value, so these need no operator of ours. */
#include "harness.h"
#include "base/tensor.h"
#include "graph/docshape.h"
#include "graph/layers.h"
#include "model/edit.h"

#include <stdio.h>
#include <string.h>

static ot_model *open_mnist(void)
{
    ot_model *m = NULL;
    const char *path = test_shared("data/models/mnist-8/model.onnx");
    return path && CHECK_OK(ot_model_open(&m, path)) ? m : NULL;
}

static const Onnx__NodeProto *last_node(const ot_model *m)
{
    return m->proto->graph->node[m->proto->graph->n_node - 1];
}

static bool output_is(const ot_model *m, const char *want)
{
    ot_doc_shape s;
    char text[256];
    const char *name = ot_model_output_name(m, 0);
    return CHECK(ot_model_output_count(m) == 1) && CHECK_OK(ot_doc_shape_of(&s, m, name)) &&
           CHECK(strcmp(ot_doc_shape_text(text, sizeof(text), &s), want) == 0);
}

static void collect(void *ctx, const char *text)
{
    snprintf(ctx, 256, "%s", text);
}

static void cuts(void)
{
    int64_t before = ot_live_blocks();
    ot_model *m = open_mnist();
    if (!m)
        return;
    CHECK(ot_layer_total(m) == 12);
    CHECK_FAILS(ot_model_cut(m, "13"), OT_EARG, "outside");
    CHECK_FAILS(ot_model_cut(m, "nothing"), OT_EARG, "nothing");
    CHECK_OK(ot_model_cut(m, "12"));
    CHECK(ot_layer_total(m) == 12);
    CHECK_FAILS(ot_model_cut(m, "0"), OT_EARG, "leaves nothing");
    CHECK_OK(ot_model_cut(m, "Times212_reshape0"));
    CHECK(strcmp(last_node(m)->op_type, "MaxPool") == 0);
    CHECK(ot_layer_total(m) == 8); /* the Reshape of the last weights went too */
    CHECK(ot_model_initializer_count(m) == 4 && m->proto->graph->n_input == 5);
    output_is(m, "[1,16,4,4]");
    ot_model_close(m);
    CHECK(ot_live_blocks() == before);
}

/* Add reads two values that are made before it. */
static void cut_with_two_ends(void)
{
    ot_model *m = open_mnist();
    if (!m)
        return;
    Onnx__GraphProto *g = m->proto->graph;
    CHECK(ot_append_node(g, "Relu", "left", 1, (const char *const[]){ "Plus214_Output_0" }, 1,
                         (const char *const[]){ "l" }) != NULL);
    CHECK(ot_append_node(g, "Add", "join", 2, (const char *const[]){ "l", "Plus214_Output_0" }, 1,
                         (const char *const[]){ "sum" }) != NULL);
    CHECK_FAILS(ot_model_cut(m, "join"), OT_EARG, "2 loose ends ('l', 'Plus214_Output_0')");
    CHECK_OK(ot_model_cut(m, "left"));
    output_is(m, "[1,10]");
    ot_model_close(m);
}

static void appends(void)
{
    char warned[256] = "";
    int64_t before = ot_live_blocks();
    ot_model *m = open_mnist(), *same = open_mnist();
    if (!m || !same)
        return;
    CHECK_OK(ot_model_cut(m, "Times212_reshape0"));
    CHECK_OK(ot_model_cut(same, "Times212_reshape0"));
    const char *head = "conv 6 3x3 pad=1 stride=2; batchnorm; relu; maxpool 2; dropout .25; conv 4 3 pad=1 bias=0;"
                       " concat-pool; flatten; linear 3; logsoftmax";
    CHECK_OK(ot_model_append(m, head, 7, collect, warned));
    CHECK(strcmp(warned, "conv 3x3 sees a 1x1 map: all that it reads besides the one cell is padding") == 0);
    CHECK(strcmp(last_node(m)->op_type, "LogSoftmax") == 0);
    output_is(m, "[1,3]");
    ot_tensor w, v;
    bool owned, other;
    const Onnx__TensorProto *p = ot_model_find_initializer(m, "head.linear.weight");
    CHECK_OK(ot_model_append(same, head, 7, NULL, NULL));
    const Onnx__TensorProto *q = ot_model_find_initializer(same, "head.linear.weight");
    if (CHECK(p && q) && CHECK_OK(ot_model_tensor(m, p, &w, &owned)) &&
        CHECK_OK(ot_model_tensor(same, q, &v, &other))) {
        double bound = 0.3536, most = 0; /* 1 / sqrt(8) */
        CHECK(w.rank == 2 && w.dim[0] == 3 && w.dim[1] == 8 && memcmp(w.data, v.data, ot_tensor_bytes(&w)) == 0);
        for (int64_t i = 0; i < ot_tensor_count(&w); i++) {
            double a = ot_tensor_get(&w, i);
            most = a > most ? a : -a > most ? -a : most;
        }
        CHECK(most <= bound && most > bound / 2);
        if (owned)
            ot_tensor_release(&w);
        if (other)
            ot_tensor_release(&v);
    }
    CHECK(ot_model_find_initializer(m, "head.conv.bias") && !ot_model_find_initializer(m, "head.conv_1.bias"));
    ot_model_close(m);
    ot_model_close(same);
    CHECK(ot_live_blocks() == before);
}

static void append_mistakes(void)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        { "", "character 1: a layer is missing" },
        { "relu;; relu", "character 6: a layer is missing" },
        { "foo", "character 1 (foo): no such layer; there are avgpool" },
        { "relu; linear", "character 7 (linear): the number of outputs is missing" },
        { "linear 0", "character 8 (linear): the number of outputs is '0'" },
        { "linear 5 6", "character 10 (linear): '6' is nothing" },
        { "linear 5 =6", "'=6' is not KEY=VALUE" },
        { "linear 5 pad=1", "character 10 (linear): 'pad' is nothing" },
        { "linear 99999999999999999999", "not a number" },
        { "dropout 1", "character 9 (dropout): the probability" },
        { "dropout nan", "the probability is 'nan'" },
        { "conv 2 3x3", "it needs a map [N,C,H,W], the value before it is [1,10]" },
        { "linear 4; gap", "it needs a map" },
    };
    ot_model *m = open_mnist();
    if (!m)
        return;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_FAILS(ot_model_append(m, bad[i].text, 1, NULL, NULL), OT_EARG, bad[i].words);
    CHECK(ot_layer_total(m) == 12 && ot_model_initializer_count(m) == 8);
    CHECK_OK(ot_model_cut(m, "Times212_reshape0"));
    CHECK_FAILS(ot_model_append(m, "conv 2 5x5", 1, NULL, NULL), OT_EARG, "a window of 5 does not fit a map of 4");
    CHECK_FAILS(ot_model_append(m, "conv 2 3x", 1, NULL, NULL), OT_EARG, "not numbers from 1 like 3 or 3x3");
    CHECK_FAILS(ot_model_append(m, "conv 3 1 group=2", 1, NULL, NULL), OT_EARG, "group 2 divides not both");
    CHECK_FAILS(ot_model_append(m, "linear 2", 1, NULL, NULL), OT_EARG, "put gap and flatten first");
    ot_model_close(m);
}

static void renames(void)
{
    ot_model *m = open_mnist();
    if (!m)
        return;
    CHECK_OK(ot_model_rename(m, "Plus214_Output_0", "logits"));
    CHECK(strcmp(ot_model_output_name(m, 0), "logits") == 0 && strcmp(last_node(m)->output[0], "logits") == 0);
    CHECK_OK(ot_model_rename(m, "Parameter193", "fc.weight"));
    CHECK(ot_model_find_initializer(m, "fc.weight") && !ot_model_find_initializer(m, "Parameter193"));
    CHECK_OK(ot_model_rename(m, "Plus214", "fc.add"));
    CHECK(strcmp(last_node(m)->name, "fc.add") == 0);
    CHECK_FAILS(ot_model_rename(m, "absent", "new"), OT_EARG, "no value or node is named 'absent'");
    CHECK_FAILS(ot_model_rename(m, "logits", "Input3"), OT_EARG, "taken");
    CHECK_FAILS(ot_model_rename(m, "logits", ""), OT_EARG, "empty");
    ot_model_close(m);
}

/* The Reshape of mnist-8 has the batch of 1 in its target. */
static void set_batch(void)
{
    ot_model *m = open_mnist();
    if (!m)
        return;
    CHECK_FAILS(ot_model_set_batch(m, "0"), OT_EARG, "no number");
    CHECK_FAILS(ot_model_set_batch(m, ""), OT_EARG, "no number");
    CHECK_OK(ot_model_set_batch(m, "N"));
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_input; i++)
        if (strcmp(g->input[i]->name, "Input3") == 0)
            CHECK(strcmp(g->input[i]->type->tensor_type->shape->dim[0]->dim_param, "N") == 0);
    CHECK(strcmp(g->output[0]->type->tensor_type->shape->dim[0]->dim_param, "N") == 0);
    bool freed = false;
    for (size_t i = 0; i < g->n_node; i++) {
        ot_tensor t;
        bool owned;
        if (strcmp(g->node[i]->name, "Times212_reshape0") != 0)
            continue;
        const Onnx__TensorProto *p = ot_model_find_initializer(m, g->node[i]->input[1]);
        if (CHECK(p != NULL) && CHECK_OK(ot_model_tensor(m, p, &t, &owned))) {
            freed = ot_tensor_get_int(&t, 0) == 0 && ot_tensor_get_int(&t, 1) == 256;
            if (owned)
                ot_tensor_release(&t);
        }
    }
    CHECK(freed);
    CHECK_OK(ot_model_set_batch(m, "4"));
    CHECK(g != NULL && m->proto->graph->output[0]->type->tensor_type->shape->dim[0]->dim_value == 4);
    ot_model_close(m);
}

/* ---- Export -------------------------------------------------------------------------------------------------- */

static bool has_node(const ot_model *m, const char *op)
{
    for (size_t i = 0; i < m->proto->graph->n_node; i++)
        if (strcmp(m->proto->graph->node[i]->op_type, op) == 0)
            return true;
    return false;
}

static double first_of(const ot_model *m, const char *name, int64_t i)
{
    ot_tensor t;
    bool owned;
    const Onnx__TensorProto *p = ot_model_find_initializer(m, name);
    if (!CHECK(p != NULL) || !CHECK_OK(ot_model_tensor(m, p, &t, &owned)))
        return 0;
    double v = ot_tensor_get(&t, i);
    if (owned)
        ot_tensor_release(&t);
    return v;
}

static ot_status set_vector(ot_model *m, const char *name, float a, float b)
{
    float v[2] = { a, b };
    return ot_model_set_initializer(m, name, &(ot_tensor){ .dtype = OT_FLOAT, .rank = 1, .dim = { 2 }, .data = v }, 0);
}

static void export_folds(void)
{
    ot_model *m = open_mnist();
    if (!m)
        return;
    CHECK_OK(ot_model_cut(m, "Times212_reshape0"));
    CHECK_OK(ot_model_append(
        m, "dropout; conv 2 1; batchnorm eps=0; dropout .3; relu; gap; flatten; logsoftmax; dropout", 3, NULL, NULL));
    CHECK_OK(set_vector(m, "head.batchnorm.weight", 2, 3));
    CHECK_OK(set_vector(m, "head.batchnorm.bias", 5, 7));
    CHECK_OK(set_vector(m, "head.batchnorm.running_mean", 0.5f, 0.25f));
    CHECK_OK(set_vector(m, "head.batchnorm.running_var", 4, 16));
    double w0 = first_of(m, "head.conv.weight", 0), w16 = first_of(m, "head.conv.weight", 16),
           b1 = first_of(m, "head.conv.bias", 1);
    char output[64];
    snprintf(output, sizeof(output), "%s", ot_model_output_name(m, 0));
    CHECK_OK(ot_model_export(m, &(ot_export_opts){ .fold_bn = true, .with_softmax = true, .opset = 17 }));
    CHECK(!has_node(m, "Dropout") && !has_node(m, "BatchNormalization") && !has_node(m, "LogSoftmax"));
    CHECK(has_node(m, "Softmax") && ot_model_opset(m, "") == 17 && ot_model_ir_version(m) == 8);
    CHECK(m->proto->graph->n_input == 1);
    CHECK(strcmp(ot_model_output_name(m, 0), output) == 0);
    const Onnx__NodeProto *conv = NULL;
    for (size_t i = 0; i < m->proto->graph->n_node; i++)
        if (strcmp(ot_text(m->proto->graph->node[i]->name), "head.conv") == 0)
            conv = m->proto->graph->node[i];
    if (CHECK(conv && conv->n_input == 3)) {
        CHECK(test_close(w0, first_of(m, conv->input[1], 0), 1e-7, 0));
        CHECK(test_close(w16 * 0.75, first_of(m, conv->input[1], 16), 1e-7, 0));
        CHECK(test_close((b1 - 0.25) * 0.75 + 7, first_of(m, conv->input[2], 1), 1e-6, 0));
    }
    ot_model_close(m);
}

static void export_refusals(void)
{
    ot_model *m = open_mnist();
    if (!m)
        return;
    CHECK_FAILS(ot_model_export(m, &(ot_export_opts){ .opset = 7 }), OT_EUNSUPPORTED, "newer than 7");
    CHECK_FAILS(ot_model_export(m, &(ot_export_opts){ .opset = 29 }), OT_EUNSUPPORTED, "newest that this version");
    Onnx__GraphProto *g = m->proto->graph;
    Onnx__NodeProto *n = ot_append_node(g, "Upsample", "up", 1, (const char *const[]){ "Plus214_Output_0" }, 1,
                                        (const char *const[]){ "bigger" });
    CHECK(n && ot_append_output(g, "bigger", OT_FLOAT, 0, NULL));
    CHECK_FAILS(ot_model_export(m, &(ot_export_opts){ .opset = 12 }), OT_EUNSUPPORTED, "node 'up' (Upsample)");
    CHECK(ot_model_opset(m, "") == 8);
    CHECK_OK(ot_set_string(&n->op_type, " Relu"));
    CHECK_OK(ot_model_export(m, &(ot_export_opts){ .opset = 9 }));
    g = m->proto->graph;
    n = g->node[g->n_node - 1];
    CHECK_OK(ot_set_string(&n->op_type, "Dropout"));
    CHECK_OK(ot_append_string(&n->n_output, &n->output, "mask"));
    CHECK(ot_append_output(g, "mask", OT_FLOAT, 0, NULL) != NULL);
    CHECK_FAILS(ot_model_export(m, &(ot_export_opts)OT_EXPORT_INIT), OT_EUNSUPPORTED, "'mask' exists in training only");
    ot_model_close(m);
}

/* Attributes of opset 8 that are inputs at 13. */
static void export_upgrades(void)
{
    ot_model *m = open_mnist();
    if (!m)
        return;
    Onnx__GraphProto *g = m->proto->graph;
    Onnx__NodeProto *slice = ot_append_node(g, "Slice", "slice", 1, (const char *const[]){ "Plus214_Output_0" }, 1,
                                            (const char *const[]){ "sliced" });
    CHECK_OK(ot_node_set_ints(slice, "starts", 1, (const int64_t[]){ 2 }));
    CHECK_OK(ot_node_set_ints(slice, "ends", 1, (const int64_t[]){ 5 }));
    CHECK_OK(ot_node_set_ints(slice, "axes", 1, (const int64_t[]){ 1 }));
    Onnx__NodeProto *clip =
        ot_append_node(g, "Clip", "clip", 1, (const char *const[]){ "sliced" }, 1, (const char *const[]){ "clipped" });
    CHECK_OK(ot_node_set_float(clip, "max", 6));
    CHECK(ot_append_output(g, "clipped", OT_FLOAT, 2, (const ot_doc_dim[]){ { 1, NULL }, { 3, NULL } }) != NULL);
    CHECK_OK(ot_model_export(m, &(ot_export_opts){ .opset = 13 }));
    g = m->proto->graph;
    slice = g->node[g->n_node - 2];
    clip = g->node[g->n_node - 1];
    if (CHECK(slice->n_input == 4 && slice->n_attribute == 0 && clip->n_input == 3 && clip->n_attribute == 0)) {
        CHECK(first_of(m, slice->input[1], 0) == 2 && first_of(m, slice->input[2], 0) == 5);
        CHECK(*clip->input[1] == 0 && first_of(m, clip->input[2], 0) == 6);
    }
    ot_model_close(m);
}

static void surgery_out_of_memory(void)
{
    ot_model *m = open_mnist();
    int64_t k = 0;
    if (!m)
        return;
    for (;; k++) {
        ot_model *c;
        if (!CHECK_OK(ot_model_clone(&c, m)))
            break;
        int64_t before = ot_live_blocks();
        ot_fail_alloc_after(k);
        ot_status st = ot_model_cut(c, "Times212_reshape0");
        if (st == OT_OK)
            st = ot_model_append(c, "dropout; conv 2 1; batchnorm; flatten; linear 4; softmax", 1, NULL, NULL);
        if (st == OT_OK)
            st = ot_model_rename(c, "Input3", "image");
        if (st == OT_OK)
            st = ot_model_set_batch(c, "N");
        if (st == OT_OK)
            st = ot_model_export(c, &(ot_export_opts){ .fold_bn = true, .opset = 13 });
        ot_fail_alloc_after(-1);
        ot_model_close(c);
        if (!CHECK(ot_live_blocks() < before) || st == OT_OK || !CHECK(st == OT_ENOMEM))
            break;
    }
    CHECK(k > 50);
    ot_model_close(m);
}

const ot_test surgery_tests[] = { { "cuts", cuts },
                                  { "a cut with two ends", cut_with_two_ends },
                                  { "appends", appends },
                                  { "mistakes in --append", append_mistakes },
                                  { "renames", renames },
                                  { "another batch", set_batch },
                                  { "export folds", export_folds },
                                  { "export refusals", export_refusals },
                                  { "export upgrades", export_upgrades },
                                  { "out of memory", surgery_out_of_memory },
                                  { NULL, NULL } };

/* Changing models: values, nodes, external data, clones; tensors in files. */
#define _DEFAULT_SOURCE
#include "harness.h"
#include "wire_data.h"
#include "base/file.h"
#include "base/tensor.h"
#include "model/edit.h"
#include "model/model.h"
#include "model/tensor_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ot_model *empty_model(void)
{
    static wire_data graph, model;
    ot_model *m;
    graph.n = 0;
    wire_model(&model, &graph);
    return CHECK_OK(ot_model_open_memory(&m, model.bytes, model.n)) ? m : NULL;
}

static ot_tensor ramp(float *data, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows * columns; i++)
        data[i] = (float)i * 0.5f;
    return (ot_tensor){ .dtype = OT_FLOAT, .rank = 2, .dim = { rows, columns }, .data = data };
}

static bool holds(const ot_model *m, const char *name, const ot_tensor *want)
{
    ot_tensor t;
    bool owned;
    const Onnx__TensorProto *p = ot_model_find_initializer(m, name);
    if (!CHECK(p != NULL) || !CHECK_OK(ot_model_tensor(m, p, &t, &owned)))
        return false;
    bool ok = CHECK(t.rank == want->rank && ot_tensor_bytes(&t) == ot_tensor_bytes(want) &&
                    memcmp(t.data, want->data, ot_tensor_bytes(want)) == 0);
    if (owned)
        ot_tensor_release(&t);
    return ok;
}

static void builds_and_saves(void)
{
    static float data[64 * 33], other[64 * 33];
    char path[512];
    int64_t before = ot_live_blocks();
    ot_model *m = empty_model(), *c = NULL, *back = NULL;
    if (!m)
        return;
    Onnx__GraphProto *g = m->proto->graph;
    ot_tensor big = ramp(data, 64, 33), small = ramp(data, 2, 3), changed = ramp(other, 64, 33);
    other[5] = -1;
    CHECK_OK(ot_model_add_initializer(m, "big", &big));
    CHECK_OK(ot_model_add_initializer(m, "small", &small));
    CHECK_FAILS(ot_model_add_initializer(m, "small", &small), OT_EARG, "already");
    static const char *const in[] = { "x", "big" }, *const out[] = { "y" };
    Onnx__NodeProto *n = ot_append_node(g, "Gemm", "fc", 2, in, 1, out);
    CHECK_OK(ot_node_set_int(n, "transB", 0));
    CHECK_OK(ot_node_set_float(n, "alpha", 2));
    CHECK_OK(ot_node_set_int(n, "transB", 1));
    CHECK_OK(ot_node_set_string(n, "note", "text"));
    CHECK_OK(ot_node_set_ints(n, "pads", 4, (const int64_t[]){ 1, 2, 3, 4 }));
    CHECK_OK(ot_node_set_tensor(m, n, "value", &big));
    CHECK(n->n_attribute == 5 && strcmp(n->attribute[0]->name, "transB") == 0 && ot_node_int(n, "transB", 9) == 1);
    ot_node_remove_attr(n, "note");
    CHECK(n->n_attribute == 4 && ot_node_int(n, "note", 9) == 9 && ot_node_float(n, "alpha", 0) == 2);
    CHECK(ot_append_output(g, "y", OT_FLOAT, 2, (const ot_doc_dim[]){ { 0, "N" }, { 64, NULL } }) != NULL);
    CHECK_OK(ot_model_set_opset(m, "ai.onnx.ml", 3));
    CHECK_OK(ot_model_set_opset(m, "ai.onnx", 18));
    char *name = ot_unique_name(g, "y"), *fresh = ot_unique_name(g, "z");
    CHECK(strcmp(name, "y_1") == 0 && strcmp(fresh, "z") == 0);
    ot_free(name);
    ot_free(fresh);
    CHECK_OK(ot_model_clone(&c, m));
    CHECK_FAILS(ot_model_set_initializer(m, "big", &small, 0), OT_ESHAPE, "[2,3] of float");
    CHECK_FAILS(ot_model_set_initializer(m, "none", &small, 0), OT_EARG, "'none'");
    CHECK_OK(ot_model_set_initializer(m, "big", &changed, 0));
    CHECK_OK(ot_model_set_initializer(m, "small", &changed, OT_SET_RESHAPE));
    snprintf(path, sizeof(path), "%s", test_tmp("built.onnx"));
    CHECK_OK(ot_model_save(m, path));
    ot_model_close(m);
    if (CHECK(c != NULL))
        holds(c, "big", &big);
    ot_model_close(c);
    if (CHECK_OK(ot_model_open(&back, path))) {
        holds(back, "big", &changed);
        holds(back, "small", &changed);
        CHECK(ot_model_opset(back, "") == 18 && ot_model_opset(back, "ai.onnx.ml") == 3);
        const Onnx__AttributeProto *a = ot_node_attr(back->proto->graph->node[0], "pads");
        CHECK(a && a->n_ints == 4 && a->ints[3] == 4);
        const Onnx__TypeProto__Tensor *t = back->proto->graph->output[0]->type->tensor_type;
        CHECK(t->shape->n_dim == 2 && strcmp(t->shape->dim[0]->dim_param, "N") == 0 &&
              t->shape->dim[1]->dim_value == 64);
        ot_model_remove_initializer(back, 0);
        CHECK(ot_model_initializer_count(back) == 1 && !ot_model_find_initializer(back, "big"));
    }
    ot_model_close(back);
    CHECK(ot_live_blocks() == before);
}

static void moves(void)
{
    ot_model *m = empty_model();
    if (!m)
        return;
    Onnx__GraphProto *g = m->proto->graph;
    for (char c = 'a'; c < 'f'; c++)
        CHECK(ot_append_node(g, (char[]){ c, 0 }, "", 0, NULL, 0, NULL) != NULL);
    ot_move(&g->base, "node", 4, 1);
    ot_move(&g->base, "node", 0, 3);
    ot_remove(&g->base, "node", 2);
    char order[8] = { 0 };
    for (size_t i = 0; i < g->n_node; i++)
        order[i] = g->node[i]->op_type[0];
    CHECK(strcmp(order, "ebad") == 0);
    ot_model_close(m);
}

/* ---- External data ----------------------------------------------------------------------------------------- */

/* Writes FOLDER/model.onnx with one float[4] initializer whose data is elsewhere, opens it and reads the value. */
static ot_status read_external(const char *folder, const char *location, const char *offset, const char *length,
                               ot_tensor **out)
{
    static wire_data entry, tensor, graph, model;
    char path[700];
    ot_model *m;
    *out = NULL;
    tensor.n = graph.n = 0;
    wire_int(&tensor, 1, 4);
    wire_int(&tensor, 2, OT_FLOAT);
    wire_text(&tensor, 8, "w");
    const char *const pair[][2] = { { "location", location }, { "offset", offset }, { "length", length } };
    for (int i = 0; i < 3; i++) {
        entry.n = 0;
        wire_text(&entry, 1, pair[i][0]);
        wire_text(&entry, 2, pair[i][1] ? pair[i][1] : "");
        if (pair[i][1])
            wire_nest(&tensor, 13, &entry);
    }
    wire_int(&tensor, 14, 1);
    wire_nest(&graph, 5, &tensor);
    wire_model(&model, &graph);
    snprintf(path, sizeof(path), "%s/model.onnx", folder);
    OT_TRY(ot_file_write(path, model.bytes, model.n));
    OT_TRY(ot_model_open(&m, path));
    ot_status st = ot_model_tensor_copy(out, m, m->proto->graph->initializer[0]);
    ot_model_close(m);
    return st;
}

static void external_data(void)
{
    char dir[512], path[700];
    ot_tensor *t;
    float data[6] = { 9, 1, 2, 3, 4, 9 };
    snprintf(dir, sizeof(dir), "%s", test_tmp("external"));
    mkdir(dir, 0777);
    snprintf(path, sizeof(path), "%s/sub", dir);
    mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/sub/w.bin", dir);
    CHECK_OK(ot_file_write(path, data, sizeof(data)));
    snprintf(path, sizeof(path), "%s/../outside.bin", dir);
    CHECK_OK(ot_file_write(path, data, 16));
    snprintf(path, sizeof(path), "%s/link.bin", dir);
    remove(path);
    CHECK(symlink("sub/w.bin", path) == 0);
    snprintf(path, sizeof(path), "%s/linked", dir);
    remove(path);
    CHECK(symlink("sub", path) == 0);
    snprintf(path, sizeof(path), "%s/pipe", dir);
    remove(path);
    CHECK(mkfifo(path, 0666) == 0);
    int64_t before = ot_live_blocks();
    if (CHECK_OK(read_external(dir, "sub/w.bin", "4", "16", &t)))
        CHECK(memcmp(t->data, data + 1, 16) == 0);
    ot_tensor_free(t);
    if (CHECK_OK(read_external(dir, "sub/w.bin", "8", NULL, &t)))
        CHECK(memcmp(t->data, data + 2, 16) == 0);
    ot_tensor_free(t);
    CHECK_OK(read_external(dir, "./sub//w.bin", "4", "16", &t));
    ot_tensor_free(t);
    static const struct {
        const char *location, *offset, *length, *words;
        ot_status st;
    } bad[] = {
        { "../outside.bin", NULL, NULL, "not a plain path", OT_EMODEL },
        { "sub/../../outside.bin", NULL, NULL, "not a plain path", OT_EMODEL },
        { "/etc/passwd", NULL, NULL, "not a plain path", OT_EMODEL },
        { "sub/", NULL, NULL, "not a plain path", OT_EMODEL },
        { ".", NULL, NULL, "not a plain path", OT_EMODEL },
        { "./", NULL, NULL, "not a plain path", OT_EMODEL },
        { "//w.bin", NULL, NULL, "not a plain path", OT_EMODEL },
        { ".//w.bin/..", NULL, NULL, "cannot be opened", OT_EIO },
        { "", NULL, NULL, "without a location", OT_EMODEL },
        { "link.bin", "4", "16", "symbolic link", OT_EMODEL },
        { "linked/w.bin", "4", "16", "symbolic link", OT_EMODEL },
        { "sub/w.bin/x", NULL, NULL, "symbolic link or no folder", OT_EMODEL },
        { "pipe", NULL, NULL, "not a regular file", OT_EIO },
        { "sub", NULL, NULL, "not a regular file", OT_EIO },
        { "none.bin", NULL, NULL, "cannot be opened", OT_EIO },
        { "sub/w.bin", "-4", "16", "no number", OT_EMODEL },
        { "sub/w.bin", "4", "0x10", "no number", OT_EMODEL },
        { "sub/w.bin", "4", "99999999999999999999", "no number", OT_EMODEL },
        { "sub/w.bin", "25", "0", "has 24 bytes", OT_EMODEL },
        { "sub/w.bin", "12", "16", "has 24 bytes", OT_EMODEL },
        { "sub/w.bin", "4", "12", "12 bytes of data", OT_EMODEL },
        { "sub/w.bin", "4", NULL, "20 bytes of data", OT_EMODEL },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_FAILS(read_external(dir, bad[i].location, bad[i].offset, bad[i].length, &t), bad[i].st, bad[i].words);
    CHECK(ot_live_blocks() == before);
}

/* Saved beside the old file the data stays outside; saved elsewhere it comes along. */
static void external_data_is_saved(void)
{
    char dir[512], path[700];
    float data[4] = { 1, 2, 3, 4 };
    ot_tensor *t, want = { .dtype = OT_FLOAT, .rank = 1, .dim = { 4 }, .data = data };
    ot_model *m;
    snprintf(dir, sizeof(dir), "%s", test_tmp("external-save"));
    mkdir(dir, 0777);
    snprintf(path, sizeof(path), "%s/w.bin", dir);
    CHECK_OK(ot_file_write(path, data, sizeof(data)));
    CHECK_OK(read_external(dir, "w.bin", NULL, NULL, &t));
    ot_tensor_free(t);
    snprintf(path, sizeof(path), "%s/model.onnx", dir);
    if (!CHECK_OK(ot_model_open(&m, path)))
        return;
    snprintf(path, sizeof(path), "%s/copy.onnx", dir);
    CHECK_OK(ot_model_save(m, path));
    snprintf(path, sizeof(path), "%s", test_tmp("whole.onnx"));
    CHECK_OK(ot_model_save(m, path));
    CHECK(m->proto->graph->initializer[0]->n_external_data == 1);
    ot_model_close(m);
    if (CHECK_OK(ot_model_open(&m, path))) {
        CHECK(m->proto->graph->initializer[0]->n_external_data == 0);
        holds(m, "w", &want);
        ot_model_close(m);
    }
    snprintf(path, sizeof(path), "%s/copy.onnx", dir);
    if (CHECK_OK(ot_model_open(&m, path))) {
        CHECK(m->proto->graph->initializer[0]->n_external_data == 1);
        holds(m, "w", &want);
        data[0] = 7;
        CHECK_OK(ot_model_set_initializer(m, "w", &want, 0));
        holds(m, "w", &want);
        ot_model_close(m);
    }
}

static void saves_external(void)
{
    static float data[64 * 33];
    char dir[512], path[700];
    struct stat st;
    ot_model *m = empty_model();
    ot_tensor big = ramp(data, 64, 33), small = ramp(data, 2, 3);
    if (!m)
        return;
    snprintf(dir, sizeof(dir), "%s", test_tmp("external-out"));
    mkdir(dir, 0777);
    snprintf(path, sizeof(path), "%s/m.onnx", dir);
    CHECK_OK(ot_model_add_initializer(m, "a", &big));
    CHECK_OK(ot_model_add_initializer(m, "small", &small));
    CHECK_OK(ot_model_add_initializer(m, "b", &big));
    CHECK_FAILS(ot_model_save_external(m, path, "../w.data"), OT_EARG, "no name for a data file");
    CHECK_FAILS(ot_model_save_external(m, path, "m.onnx"), OT_EARG, "no name for a data file");
    CHECK_OK(ot_model_save_external(m, path, "w.data"));
    ot_model_close(m);
    for (int again = 0; again < 2; again++) {
        if (!CHECK_OK(ot_model_open(&m, path)))
            return;
        holds(m, "a", &big);
        holds(m, "small", &small);
        holds(m, "b", &big);
        CHECK(m->proto->graph->initializer[2]->n_external_data == 3);
        CHECK_OK(ot_model_save_external(m, path, "w.data"));
        ot_model_close(m);
    }
    snprintf(path, sizeof(path), "%s/w.data", dir);
    CHECK(stat(path, &st) == 0 && st.st_size == 3 * 4096 + (off_t)sizeof(data));
}

/* ---- Tensor files ------------------------------------------------------------------------------------------ */

static void tensor_files(void)
{
    static float data[40 * 40];
    char path[512];
    ot_tensor x = ramp(data, 40, 40), *y, *s;
    snprintf(path, sizeof(path), "%s", test_tmp("t.pb"));
    CHECK_OK(ot_tensor_file_write(path, &x));
    if (CHECK_OK(ot_tensor_file_read(&y, path)))
        CHECK(y->rank == 2 && y->dim[1] == 40 && memcmp(y->data, data, sizeof(data)) == 0);
    ot_tensor_free(y);
    CHECK_OK(ot_tensor_create(&s, OT_STRING, 1, (const int64_t[]){ 2 }));
    ((ot_str *)s->data)[1] = (ot_str){ ot_strdup("a\0b"), 3 };
    CHECK_OK(ot_tensor_file_write(path, s));
    ot_tensor_free(s);
    if (CHECK_OK(ot_tensor_file_read(&y, path)))
        CHECK(y->dtype == OT_STRING && ((ot_str *)y->data)[0].n == 0 && ((ot_str *)y->data)[1].n == 3);
    ot_tensor_free(y);
    CHECK_OK(ot_file_write(path, "\x08\x02\x10\x01\x4a\x07", 6));
    CHECK_FAILS(ot_tensor_file_read(&y, path), OT_EDATA, "t.pb: ");
    const char *shared = test_shared("data/models/mnist-8/test_data_set_0/input_0.pb");
    if (shared && CHECK_OK(ot_tensor_file_read(&y, shared))) {
        CHECK(y->dtype == OT_FLOAT && y->rank == 4 && y->dim[2] == 28);
        ot_tensor_free(y);
    }
}

static void editing_out_of_memory(void)
{
    static float data[64 * 33];
    int64_t before = ot_live_blocks(), k = 0;
    ot_tensor big = ramp(data, 64, 33), small = ramp(data, 2, 3);
    for (;; k++) {
        ot_model *m = empty_model();
        if (!m)
            return;
        ot_fail_alloc_after(k);
        ot_status st = ot_model_add_initializer(m, "big", &big);
        if (st == OT_OK)
            st = ot_model_set_initializer(m, "big", &small, OT_SET_RESHAPE);
        if (st == OT_OK)
            st = ot_model_set_initializer(m, "big", &big, OT_SET_RESHAPE);
        Onnx__NodeProto *n = NULL;
        if (st == OT_OK && !(n = ot_append_node(m->proto->graph, "Relu", "r", 1, (const char *const[]){ "x" }, 1,
                                                (const char *const[]){ "y" })))
            st = OT_ENOMEM;
        if (st == OT_OK)
            st = ot_node_set_ints(n, "a", 1, (const int64_t[]){ 1 });
        if (st == OT_OK)
            st = ot_node_set_tensor(m, n, "t", &big);
        if (st == OT_OK && !ot_append_output(m->proto->graph, "y", OT_FLOAT, 1, (const ot_doc_dim[]){ { 0, "N" } }))
            st = OT_ENOMEM;
        if (st == OT_OK)
            st = ot_model_set_opset(m, "d", 1);
        ot_fail_alloc_after(-1);
        ot_model_close(m);
        if (!CHECK(ot_live_blocks() == before) || st == OT_OK || !CHECK(st == OT_ENOMEM))
            break;
    }
    CHECK(k > 20);
}

const ot_test edit_tests[] = { { "builds and saves", builds_and_saves },
                               { "moves", moves },
                               { "external data", external_data },
                               { "external data is saved", external_data_is_saved },
                               { "saves external data", saves_external },
                               { "tensor files", tensor_files },
                               { "editing out of memory", editing_out_of_memory },
                               { NULL, NULL } };

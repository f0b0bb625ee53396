#define _DEFAULT_SOURCE
#include "harness.h"
#include "wire_data.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/tensor.h"
#include "model/edit.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads every tensor of a model; the status of the first that fails. */
static ot_status read_one(void *ctx, Onnx__TensorProto *t)
{
    ot_tensor view;
    bool owned;
    OT_TRY(ot_model_tensor(ctx, t, &view, &owned));
    if (owned)
        ot_tensor_release(&view);
    return OT_OK;
}

static ot_status read_all(ot_model *m)
{
    return ot_each_tensor(&m->proto->base, read_one, m);
}

static void opens_resnet18(void)
{
    const char *path = test_shared("data/models/resnet18.onnx");
    ot_model *m;
    int64_t before = ot_live_blocks(), params = 0;
    if (!path || !CHECK_OK(ot_model_open(&m, path)))
        return;
    CHECK(ot_model_ir_version(m) == 7 && ot_model_opset(m, "") == 13 && ot_model_opset(m, "ai.onnx") == 13);
    CHECK(ot_model_opset(m, "ai.onnx.ml") == 0);
    CHECK(ot_model_input_count(m) == 1 && ot_model_output_count(m) == 1 && !ot_model_input_name(m, 1));
    for (int64_t i = 0; i < ot_model_initializer_count(m); i++) {
        ot_tensor t;
        bool owned;
        const Onnx__TensorProto *p = ot_model_find_initializer(m, ot_model_initializer_name(m, i));
        if (!CHECK(p != NULL) || !CHECK_OK(ot_model_tensor(m, p, &t, &owned)))
            continue;
        params += ot_tensor_count(&t);
        if (owned)
            ot_tensor_release(&t);
    }
    CHECK(params == 11699112);
    ot_model_close(m);
    CHECK(ot_live_blocks() == before);
}

static void unknown_fields_survive(void)
{
    static wire_data graph, node, model, extra;
    ot_model *m;
    uint8_t *got;
    size_t n;
    char out[512];
    graph.n = node.n = extra.n = 0;
    wire_int(&extra, 5, 7);
    wire_text(&node, 4, "Relu");
    wire_text(&node, 77, "from the future");
    wire_int(&node, 200, UINT64_MAX);
    wire_nest(&graph, 1, &node);
    wire_nest(&graph, 99, &extra);
    wire_model(&model, &graph);
    wire_nest(&model, 1000, &node);
    snprintf(out, sizeof(out), "%s", test_tmp("unknown.onnx"));
    if (!CHECK_OK(ot_model_open_memory(&m, model.bytes, model.n)))
        return;
    CHECK_OK(ot_model_save(m, out));
    ot_model_close(m);
    if (CHECK_OK(ot_file_read(&got, &n, out, 10000)))
        CHECK(n == model.n && wire_equal(got, n, model.bytes, model.n));
    ot_free(got);
}

static void saves_over_itself(void)
{
    char path[512];
    ot_model *m;
    ot_map a;
    const char *from = test_shared("data/models/cifar10-resnet20.onnx");
    if (!from || !CHECK_OK(ot_file_map(&a, from)))
        return;
    snprintf(path, sizeof(path), "%s", test_tmp("self.onnx"));
    CHECK_OK(ot_file_write(path, a.bytes, a.n));
    if (CHECK_OK(ot_model_open(&m, path))) {
        CHECK(ot_model_metadata(m, "k") == NULL);
        CHECK_OK(ot_model_set_metadata(m, "k", "first"));
        CHECK_OK(ot_model_save(m, path));
        CHECK_OK(ot_model_set_metadata(m, "k", "second"));
        CHECK_OK(ot_model_save(m, path));
        ot_model_close(m);
    }
    if (CHECK_OK(ot_model_open(&m, path))) {
        CHECK(strcmp(ot_model_metadata(m, "k"), "second") == 0);
        CHECK_OK(read_all(m));
        CHECK_OK(ot_model_set_metadata(m, "k", NULL));
        CHECK(ot_model_metadata(m, "k") == NULL && m->proto->n_metadata_props == 0);
        CHECK_OK(ot_model_save(m, path));
        ot_model_close(m);
    }
    ot_map b;
    if (CHECK_OK(ot_file_map(&b, path)))
        CHECK(wire_equal(a.bytes, a.n, b.bytes, b.n));
    ot_file_unmap(&b);
    ot_file_unmap(&a);
}

/* ---- Hostile files ----------------------------------------------------------------------------------------- */

static bool load_mnist(uint8_t **bytes, size_t *n)
{
    const char *path = test_shared("data/models/mnist-8/model.onnx");
    return path && CHECK_OK(ot_file_read(bytes, n, path, 1 << 20));
}

static void every_truncation(void)
{
    uint8_t *bytes;
    size_t n;
    ot_model *m;
    if (!load_mnist(&bytes, &n))
        return;
    int64_t before = ot_live_blocks(), wrong = 0;
    for (size_t k = 0; k < n; k++) {
        ot_status st = ot_model_open_memory(&m, bytes, k);
        wrong += st != OT_EMODEL;
        ot_model_close(m);
    }
    CHECK(wrong == 0);
    CHECK(ot_live_blocks() == before);
    ot_free(bytes);
}

static void bit_flips(void)
{
    uint8_t *bytes;
    size_t n;
    if (!load_mnist(&bytes, &n))
        return;
    int64_t before = ot_live_blocks(), opened = 0, refused = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        ot_model *m;
        size_t at = (size_t)(ot_rng_uniform(7, i) * (double)n);
        uint8_t old = bytes[at];
        bytes[at] = (uint8_t)(old ^ 1u << i % 8);
        if (ot_model_open_memory(&m, bytes, n) == OT_OK) {
            opened++;
            read_all(m);
        } else {
            refused++;
        }
        ot_model_close(m);
        bytes[at] = old;
    }
    CHECK(opened > 100 && refused > 100);
    CHECK(ot_live_blocks() == before);
    ot_free(bytes);
}

/* A TensorProto's value, or the refusal; `build` has written its fields. */
static ot_status tensor_of(const wire_data *t, ot_tensor **out)
{
    static wire_data graph, model;
    ot_model *m;
    *out = NULL;
    graph.n = 0;
    wire_nest(&graph, 5, t);
    wire_model(&model, &graph);
    OT_TRY(ot_model_open_memory(&m, model.bytes, model.n));
    ot_tensor view;
    bool owned;
    ot_status st = ot_model_tensor(m, m->proto->graph->initializer[0], &view, &owned);
    if (st == OT_OK)
        st = ot_tensor_create(out, view.dtype, view.rank, view.dim);
    if (st == OT_OK && view.dtype != OT_STRING)
        memcpy((*out)->data, view.data, ot_tensor_bytes(&view));
    if (owned)
        ot_tensor_release(&view);
    ot_model_close(m);
    return st;
}

static void hostile_wire(void)
{
    static wire_data w, inner, graph;
    ot_model *m;
    int64_t before = ot_live_blocks();
    w.n = 0;
    wire_varint(&w, 7 << 3 | 2);
    wire_varint(&w, UINT64_C(1) << 63);
    CHECK_FAILS(ot_model_open_memory(&m, w.bytes, w.n), OT_EMODEL, "length passes the end");
    w.n = 0;
    wire_varint(&w, 1 << 3);
    for (int i = 0; i < 12; i++)
        w.bytes[w.n++] = 0xFF;
    CHECK_FAILS(ot_model_open_memory(&m, w.bytes, w.n), OT_EMODEL, "64 bits");
    w.n = 0;
    wire_text(&w, 1, "a number as text");
    CHECK_FAILS(ot_model_open_memory(&m, w.bytes, w.n), OT_EMODEL, "ModelProto.ir_version: the field has a wrong");
    w.n = 0;
    wire_varint(&w, 7 << 3 | 3);
    CHECK_FAILS(ot_model_open_memory(&m, w.bytes, w.n), OT_EMODEL, "wire type");
    w.n = 0;
    wire_int(&w, 1, 8);
    wire_int(&w, 1, 9);
    CHECK_FAILS(ot_model_open_memory(&m, w.bytes, w.n), OT_EMODEL, "given twice");
    w.n = 0;
    wire_varint(&w, UINT64_C(536870911) << 3 | 5);
    memcpy(w.bytes + w.n, "\0\0\0\0", 4);
    CHECK_FAILS(ot_model_open_memory(&m, w.bytes, w.n + 4), OT_EMODEL, "reserved");
    w.n = 0;
    wire_bytes(&w, 2, "a\0b", 3);
    CHECK_FAILS(ot_model_open_memory(&m, w.bytes, w.n), OT_EMODEL, "zero byte");
    w.n = 0;
    wire_bytes(&w, 2, "\xED\xA0\x80", 3);
    CHECK_FAILS(ot_model_open_memory(&m, w.bytes, w.n), OT_EMODEL, "UTF-8");
    w.n = inner.n = graph.n = 0;
    wire_bytes(&inner, 7, "\x80", 1);
    wire_nest(&graph, 5, &inner);
    wire_nest(&w, 7, &graph);
    CHECK_FAILS(ot_model_open_memory(&m, w.bytes, w.n), OT_EMODEL, "TensorProto.int64_data: the last number");
    CHECK_FAILS(ot_model_open_memory(&m, "", 0), OT_EMODEL, "no ONNX model");
    w.n = graph.n = 0;
    wire_int(&w, 1, 15);
    CHECK_FAILS(ot_model_open_memory(&m, w.bytes, w.n), OT_EUNSUPPORTED, "IR version 15 is newer than 14");
    w.n = 0;
    wire_int(&w, 1, 8);
    wire_nest(&w, 7, &graph);
    CHECK_FAILS(ot_model_open_memory(&m, w.bytes, w.n), OT_EMODEL, "no opset");
    w.n = 0;
    wire_int(&w, 1, 2);
    wire_nest(&w, 7, &graph);
    if (CHECK_OK(ot_model_open_memory(&m, w.bytes, w.n)))
        CHECK(ot_model_opset(m, "") == 1);
    ot_model_close(m);
    CHECK(ot_live_blocks() == before);
}

/* TypeProto inside sequences inside TypeProto ... : n levels, built from the inside out. */
static ot_status open_nested(int n)
{
    static wire_data type, wrap, info, graph, model;
    ot_model *m;
    type.n = 0;
    for (int i = 0; i < n; i++) {
        wrap.n = 0;
        wire_nest(&wrap, i % 2 ? 4 : 1, &type); /* Sequence.elem_type, TypeProto.sequence_type */
        type = wrap;
    }
    info.n = graph.n = 0;
    wire_nest(&info, 2, &type);
    wire_nest(&graph, 11, &info);
    wire_model(&model, &graph);
    ot_status st = ot_model_open_memory(&m, model.bytes, model.n);
    ot_model_close(m);
    return st;
}

static void deep_nesting(void)
{
    CHECK_OK(open_nested(40));
    CHECK_FAILS(open_nested(10000), OT_EMODEL, "nested deeper than 64");
}

static void tensor_refusals(void)
{
    static wire_data t;
    ot_tensor *v;
    static const uint8_t bytes[64] = { 0 };
    int64_t before = ot_live_blocks();
#define TENSOR(dtype, d0)                                                                                              \
    do {                                                                                                               \
        t.n = 0;                                                                                                       \
        wire_int(&t, 1, (uint64_t)(d0));                                                                               \
        wire_int(&t, 2, dtype);                                                                                        \
    } while (0)
    TENSOR(OT_FLOAT, 2);
    CHECK_FAILS(tensor_of(&t, &v), OT_EMODEL, "0 values, but [2] of float takes 2");
    wire_bytes(&t, 9, bytes, 7);
    CHECK_FAILS(tensor_of(&t, &v), OT_EMODEL, "7 bytes of data, but [2] of float takes 8");
    wire_int(&t, 5, 3);
    CHECK_FAILS(tensor_of(&t, &v), OT_EMODEL, "more than one field");
    TENSOR(OT_FLOAT, 2);
    wire_int(&t, 7, 1);
    CHECK_FAILS(tensor_of(&t, &v), OT_EMODEL, "field for another type");
    TENSOR(OT_FLOAT, -1);
    CHECK_FAILS(tensor_of(&t, &v), OT_EMODEL, "out of range");
    TENSOR(OT_FLOAT, INT64_MAX);
    wire_int(&t, 1, 4);
    CHECK_FAILS(tensor_of(&t, &v), OT_EMODEL, "out of range");
    TENSOR(27, 1);
    CHECK_FAILS(tensor_of(&t, &v), OT_EUNSUPPORTED, "element type 27");
    TENSOR(OT_STRING, 1);
    wire_bytes(&t, 9, bytes, 16);
    CHECK_FAILS(tensor_of(&t, &v), OT_EMODEL, "strings cannot be raw");
    TENSOR(OT_INT8, 1);
    wire_int(&t, 5, 256);
    CHECK_FAILS(tensor_of(&t, &v), OT_EMODEL, "int32_data[0] is 256, which is no int8");
    t.n = 0;
    for (int i = 0; i <= OT_MAX_RANK; i++)
        wire_int(&t, 1, 1);
    wire_int(&t, 2, OT_FLOAT);
    CHECK_FAILS(tensor_of(&t, &v), OT_EMODEL, "rank 13");
    TENSOR(OT_FLOAT, 0);
    if (CHECK_OK(tensor_of(&t, &v)))
        CHECK(ot_tensor_count(v) == 0);
    ot_tensor_free(v);
    t.n = 0;
    wire_int(&t, 1, INT64_MAX);
    wire_int(&t, 1, INT64_MAX);
    wire_int(&t, 1, 0);
    wire_int(&t, 2, OT_FLOAT);
    CHECK_FAILS(tensor_of(&t, &v), OT_EMODEL, "out of range"); /* empty, but its strides would not fit */
    CHECK(ot_live_blocks() == before);
}

/* The same small numbers in raw_data and in the typed field, for every numeric type. */
static void every_type(void)
{
    static wire_data raw, typed;
    for (int dtype = OT_FLOAT; dtype <= OT_INT2; dtype++) {
        if (dtype == OT_STRING)
            continue;
        int bits = ot_dtype_bits((ot_dtype)dtype);
        uint8_t data[5 * 16] = { 0 };
        size_t n = (size_t)(5 * bits + 7) / 8;
        for (size_t i = 0; i < n; i++)
            data[i] = dtype == OT_BOOL ? (uint8_t)(i & 1) : (uint8_t)(i * 37 + 200);
        raw.n = typed.n = 0;
        wire_int(&raw, 1, 5);
        wire_int(&raw, 2, (uint64_t)dtype);
        typed = raw;
        wire_bytes(&raw, 9, data, n);
        uint32_t field = dtype == OT_FLOAT || dtype == OT_COMPLEX64     ? 4
                         : dtype == OT_DOUBLE || dtype == OT_COMPLEX128 ? 10
                         : dtype == OT_INT64                            ? 7
                         : dtype == OT_UINT32 || dtype == OT_UINT64     ? 11
                                                                        : 5;
        size_t each = bits < 8                                          ? 1
                      : dtype == OT_COMPLEX64 || dtype == OT_COMPLEX128 ? (size_t)bits / 16
                                                                        : (size_t)bits / 8;
        if (field == 4 || field == 10)
            wire_bytes(&typed, field, data, n);
        for (size_t i = 0; i < n && field != 4 && field != 10; i += each) {
            uint64_t v = 0;
            memcpy(&v, data + i, each);
            bool is_signed = dtype == OT_INT8 || dtype == OT_INT16 || dtype == OT_INT32;
            if (is_signed && v >> (8 * each - 1))
                v |= ~UINT64_C(0) << 8 * each;
            wire_int(&typed, field, v);
        }
        ot_tensor *a, *b;
        if (CHECK_OK(tensor_of(&raw, &a)) && CHECK_OK(tensor_of(&typed, &b))) {
            CHECK(a->dtype == (ot_dtype)dtype && ot_tensor_bytes(a) == n && memcmp(a->data, data, n) == 0);
            CHECK(b->dtype == (ot_dtype)dtype && ot_tensor_bytes(b) == n && memcmp(b->data, data, n) == 0);
            ot_tensor_free(b);
        }
        ot_tensor_free(a);
    }
}

static void out_of_memory(void)
{
    char path[512];
    const char *from = test_shared("data/models/mnist-8/model.onnx");
    if (!from)
        return;
    int64_t before = ot_live_blocks(), k = 0;
    snprintf(path, sizeof(path), "%s", test_tmp("oom.onnx"));
    for (;; k++) {
        ot_model *m = NULL, *c = NULL;
        ot_fail_alloc_after(k);
        ot_status st = ot_model_open(&m, from);
        if (st == OT_OK)
            st = read_all(m);
        if (st == OT_OK)
            st = ot_model_clone(&c, m);
        if (st == OT_OK)
            st = ot_model_set_metadata(c, "a", "b");
        if (st == OT_OK)
            st = ot_model_save(c, path);
        ot_fail_alloc_after(-1);
        ot_model_close(m);
        ot_model_close(c);
        if (!CHECK(ot_live_blocks() == before) || st == OT_OK || !CHECK(st == OT_ENOMEM))
            break;
    }
    CHECK(k > 100);
}

const ot_test model_tests[] = { { "opens resnet18", opens_resnet18 },
                                { "unknown fields survive", unknown_fields_survive },
                                { "saves over itself", saves_over_itself },
                                { "every truncation", every_truncation },
                                { "bit flips", bit_flips },
                                { "hostile wire data", hostile_wire },
                                { "deep nesting", deep_nesting },
                                { "tensor refusals", tensor_refusals },
                                { "every element type", every_type },
                                { "out of memory", out_of_memory },
                                { NULL, NULL } };

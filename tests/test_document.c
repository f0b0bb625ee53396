/* What a document may hold: every field of the schema, sparse initializers, defaults, all versions, all element types
 * in external data, a file that is larger than what protobuf can say. */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#include "harness.h"
#include "wire_data.h"
#include "base/file.h"
#include "base/tensor.h"
#include "graph/derive.h"
#include "model/edit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* x float[N,4] -> y at opset 17, IR version 8. */
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

static void node(ot_model *m, const char *op, int n_in, const char *const *in, const char *out)
{
    CHECK(ot_append_node(m->proto->graph, op, "", n_in, in, 1, &out) != NULL);
}

/* Runs on x = {0, 1, 2, 3} and, where it is not NULL, w; compares y. */
static void gives(const ot_model *m, float *w, const float want[4])
{
    float data[4] = { 0, 1, 2, 3 };
    ot_tensor x[2] = { { .dtype = OT_FLOAT, .rank = 2, .dim = { 1, 4 }, .data = data },
                       { .dtype = OT_FLOAT, .rank = 1, .dim = { 4 }, .data = w } };
    ot_session_options o = OT_SESSION_INIT;
    ot_session *s = NULL;
    o.given = (const char *const[]){ "w" };
    o.n_given = w != NULL;
    if (CHECK_OK(ot_session_create(&s, m, &o)) && CHECK_OK(ot_session_run(s, x, w ? 2 : 1)))
        for (int i = 0; i < 4; i++)
            CHECK(ot_tensor_get(ot_session_output(s, 0), i) == (double)want[i]);
    ot_session_close(s);
}

/* ---- Every field of every message -------------------------------------------------------------------------- */

#define DEEPEST 7

static int64_t serial; /* makes values, and names that may not repeat */

static void fill(wire_data *w, const ProtobufCMessageDescriptor *d, int depth);

static void fill_field(wire_data *w, const ProtobufCFieldDescriptor *f, int depth)
{
    char text[32];
    uint32_t bits = (uint32_t)serial;
    wire_data *inner;
    snprintf(text, sizeof(text), "%s-%d", f->name, (int)++serial);
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
        wire_text(w, f->id, text);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        inner = ot_calloc(1, sizeof(*inner));
        if (!CHECK(inner != NULL))
            return;
        fill(inner, f->descriptor, depth + 1);
        wire_nest(w, f->id, inner);
        ot_free(inner);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        if (f->flags & PROTOBUF_C_FIELD_FLAG_PACKED) {
            wire_bytes(w, f->id, (uint32_t[]){ bits, bits + 1 }, 8);
            break;
        }
        wire_varint(w, (uint64_t)f->id << 3 | 5);
        memcpy(w->bytes + w->n, &bits, 4);
        w->n += 4;
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        wire_bytes(w, f->id, (uint64_t[]){ bits, bits + 1 }, 16);
        break;
    default:
        if (f->flags & PROTOBUF_C_FIELD_FLAG_PACKED)
            wire_bytes(w, f->id, (const uint8_t[]){ 1, 2, 3 }, 3);
        else
            wire_int(w, f->id, strcmp(f->name, "ir_version") == 0 ? 10 : (uint64_t)(1 + serial % 9));
    }
}

/* Every field once, lists twice; of several of which only one may be, another each time. */
static void fill(wire_data *w, const ProtobufCMessageDescriptor *d, int depth)
{
    unsigned n_rivals = 0, rival = 0;
    for (unsigned i = 0; i < d->n_fields; i++)
        n_rivals += (d->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    unsigned chosen = n_rivals ? (unsigned)serial++ % n_rivals : 0;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && rival++ != chosen)
            continue;
        if (f->type == PROTOBUF_C_TYPE_MESSAGE && (depth >= DEEPEST || w->n > sizeof(w->bytes) / 4))
            continue;
        fill_field(w, f, depth);
        if (f->label == PROTOBUF_C_LABEL_REPEATED && f->type != PROTOBUF_C_TYPE_MESSAGE &&
            !(f->flags & PROTOBUF_C_FIELD_FLAG_PACKED))
            fill_field(w, f, depth);
    }
    wire_text(w, 4000, "of a later version");
}

/* One message of each type, below the field of ModelProto that leads to it first, with all that fits below. */
static void every_field_survives(void)
{
    static wire_data w, graph;
    char out[512];
    const ProtobufCMessageDescriptor *d = &onnx__model_proto__descriptor;
    for (unsigned k = 0; k < d->n_fields; k++)
        for (int depth = 0; depth < 6; depth++) {
            ot_model *m = NULL;
            uint8_t *got = NULL;
            size_t n = 0;
            w.n = graph.n = 0;
            wire_model(&w, &graph);
            bool given = strcmp(d->fields[k].name, "graph") == 0 || strcmp(d->fields[k].name, "opset_import") == 0 ||
                         strcmp(d->fields[k].name, "ir_version") == 0;
            if (given && strcmp(d->fields[k].name, "graph") == 0) {
                fill(&graph, &onnx__graph_proto__descriptor, DEEPEST - depth);
                wire_model(&w, &graph);
            } else if (!given) {
                fill_field(&w, &d->fields[k], DEEPEST - depth);
            }
            snprintf(out, sizeof(out), "%s", test_tmp("filled.onnx"));
            if (!CHECK_OK(ot_model_open_memory(&m, w.bytes, w.n)))
                continue;
            CHECK_OK(ot_model_save(m, out));
            if (CHECK_OK(ot_file_read(&got, &n, out, 1 << 20)))
                if (!CHECK(n == w.n && wire_equal(got, n, w.bytes, w.n)))
                    printf("    %s %d: %zu of %zu\n", d->fields[k].name, depth, n, w.n);
            ot_free(got);
            ot_model_close(m);
        }
}

/* Surgery keeps the scales of what stays. */
static void quantization_notes(void)
{
    ot_model *m = document(17);
    Onnx__GraphProto *g = m->proto->graph;
    float one = 1;
    const ot_tensor t = { .dtype = OT_FLOAT, .data = &one };
    CHECK_OK(ot_model_add_initializer(m, "scale", &t));
    CHECK_OK(ot_model_add_initializer(m, "unused", &t));
    Onnx__TensorAnnotation *a = ot_append(&g->base, "quantization_annotation");
    CHECK_OK(ot_set_string(&a->tensor_name, "h"));
    Onnx__StringStringEntryProto *e = ot_append(&a->base, "quant_parameter_tensor_names");
    CHECK_OK(ot_set_string(&e->key, "SCALE_TENSOR"));
    CHECK_OK(ot_set_string(&e->value, "scale"));
    node(m, "Relu", 1, (const char *const[]){ "x" }, "h");
    node(m, "Relu", 1, (const char *const[]){ "h" }, "k");
    node(m, "Relu", 1, (const char *const[]){ "k" }, "y");
    CHECK_OK(ot_model_rename(m, "scale", "fresh"));
    CHECK_OK(ot_model_cut(m, "-1"));
    g = m->proto->graph;
    CHECK(g->n_quantization_annotation == 1 && g->n_initializer == 1);
    CHECK(ot_model_find_initializer(m, "fresh") != NULL);
    CHECK(strcmp(g->quantization_annotation[0]->quant_parameter_tensor_names[0]->value, "fresh") == 0);
    ot_model_close(m);
}

/* ---- Sparse initializers ----------------------------------------------------------------------------------- */

/* y = x + w, w a sparse float[4]; indices of `rank` dims. */
static ot_model *sparse(int64_t n, const float *value, int rank, int64_t columns, const int64_t *index, int64_t size)
{
    union {
        const void *in;
        void *out;
    } v = { value }, i = { index };
    ot_model *m = document(17);
    Onnx__SparseTensorProto *s = ot_append(&m->proto->graph->base, "sparse_initializer");
    s->values = ot_new_message(&onnx__tensor_proto__descriptor);
    s->indices = ot_new_message(&onnx__tensor_proto__descriptor);
    s->dims = ot_malloc(1, sizeof(*s->dims));
    s->n_dims = 1;
    s->dims[0] = size;
    CHECK_OK(ot_set_string(&s->values->name, "w"));
    CHECK_OK(ot_model_set_tensor(
        m, s->values, &(ot_tensor){ .dtype = OT_FLOAT, .rank = 1, .dim = { n }, .data = v.out }, OT_SET_RESHAPE));
    CHECK_OK(ot_model_set_tensor(m, s->indices,
                                 &(ot_tensor){ .dtype = OT_INT64, .rank = rank, .dim = { n, columns }, .data = i.out },
                                 OT_SET_RESHAPE));
    node(m, "Add", 2, (const char *const[]){ "x", "w" }, "y");
    return m;
}

static void refuse(ot_model *m, ot_status status, const char *words)
{
    ot_graph *g = NULL;
    CHECK_FAILS(ot_derive(&g, m, &(ot_derive_opts){ 0 }), status, words);
    ot_model_close(m);
}

static void sparse_initializers(void)
{
    const float v[] = { 10, 20 };
    int64_t before = ot_live_blocks();
    for (int rank = 1; rank <= 2; rank++) {
        ot_model *m = sparse(2, v, rank, 1, (const int64_t[]){ 1, 3 }, 4);
        gives(m, NULL, (const float[]){ 0, 11, 2, 23 });
        ot_model_close(m);
        refuse(sparse(2, v, rank, 1, (const int64_t[]){ 1, 4 }, 4), OT_EMODEL, "sparse tensor 'w': index 1");
        refuse(sparse(2, v, rank, 1, (const int64_t[]){ -1, 2 }, 4), OT_EMODEL, "sparse tensor 'w': index 0");
        refuse(sparse(2, v, rank, 1, (const int64_t[]){ 2, 2 }, 4), OT_EMODEL, "does not come after the one before");
        refuse(sparse(2, v, rank, 1, (const int64_t[]){ 1, 2 }, INT64_C(1) << 40), OT_EUNSUPPORTED, "when made dense");
        refuse(sparse(2, v, rank, 1, (const int64_t[]){ 1, 2 }, -4), OT_EMODEL, "dims");
    }
    refuse(sparse(1, v, 2, 2, (const int64_t[]){ 1, 3 }, 4), OT_EMODEL, "indices of dims [1,2]");
    ot_model *m = sparse(0, v, 1, 1, NULL, 4);
    gives(m, NULL, (const float[]){ 0, 1, 2, 3 });
    ot_model_close(m);
    CHECK(ot_live_blocks() == before);
}

static void packed_and_string_elements(void)
{
    uint8_t nibbles[1] = { 0xA7 };
    int64_t index[2] = { 1, 4 };
    ot_tensor dense;
    Onnx__SparseTensorProto s;
    Onnx__TensorProto v, i;
    onnx__sparse_tensor_proto__init(&s);
    onnx__tensor_proto__init(&v);
    onnx__tensor_proto__init(&i);
    int64_t two[1] = { 2 }, six[1] = { 6 };
    ProtobufCBinaryData word[2] = { { 1, (uint8_t[]){ 'a' } }, { 2, (uint8_t[]){ 'b', 0 } } };
    v.has_data_type = i.has_data_type = i.has_raw_data = v.has_raw_data = 1;
    v.data_type = OT_UINT4;
    i.data_type = OT_INT64;
    v.n_dims = i.n_dims = s.n_dims = 1;
    v.dims = i.dims = two;
    s.dims = six;
    v.raw_data = (ProtobufCBinaryData){ 1, nibbles };
    i.n_int64_data = 2;
    i.int64_data = index;
    i.has_raw_data = 0;
    s.values = &v;
    s.indices = &i;
    if (CHECK_OK(ot_model_sparse(NULL, &s, &dense)))
        CHECK(memcmp(dense.data, (const uint8_t[]){ 0x70, 0, 0x0A }, 3) == 0);
    ot_tensor_release(&dense);
    v.data_type = OT_STRING;
    v.has_raw_data = 0;
    v.n_string_data = 2;
    v.string_data = word;
    if (CHECK_OK(ot_model_sparse(NULL, &s, &dense))) {
        const ot_str *t = dense.data;
        CHECK(t[0].n == 0 && t[1].n == 1 && t[1].bytes[0] == 'a' && t[4].n == 2 && t[5].n == 0);
    }
    ot_tensor_release(&dense);
}

/* ---- Defaults ---------------------------------------------------------------------------------------------- */

static void defaults(void)
{
    float w[4] = { 1, 1, 1, 1 }, other[4] = { 5, 6, 7, 8 };
    ot_model *m = document(17);
    ot_session *s = NULL;
    ot_session_options o = OT_SESSION_INIT;
    CHECK_OK(ot_model_add_initializer(m, "w", &(ot_tensor){ .dtype = OT_FLOAT, .rank = 1, .dim = { 4 }, .data = w }));
    node(m, "Add", 2, (const char *const[]){ "x", "w" }, "y");
    o.given = (const char *const[]){ "w" };
    o.n_given = 1;
    CHECK(ot_model_default_count(m) == 0);
    CHECK_FAILS(ot_session_create(&s, m, &o), OT_EARG, "'w' is no input with a default value");
    Onnx__ValueInfoProto *v = ot_append(&m->proto->graph->base, "input");
    CHECK_OK(ot_set_string(&v->name, "w"));
    CHECK_OK(ot_set_value_type(v, OT_FLOAT, 1, (ot_doc_dim[]){ { 4, NULL } }));
    CHECK(ot_model_input_count(m) == 1 && ot_model_default_count(m) == 1 && !ot_model_default_name(m, 1));
    CHECK(strcmp(ot_model_default_name(m, 0), "w") == 0);
    gives(m, NULL, (const float[]){ 1, 2, 3, 4 });
    gives(m, other, (const float[]){ 5, 7, 9, 11 });
    m->proto->ir_version = 3; /* an input because it had to be */
    CHECK(ot_model_default_count(m) == 0);
    gives(m, NULL, (const float[]){ 1, 2, 3, 4 });
    CHECK_FAILS(ot_session_create(&s, m, &o), OT_EARG, "'w' is no input with a default value");
    ot_model_close(m);
}

/* ---- Versions ---------------------------------------------------------------------------------------------- */

static void every_version(void)
{
    for (int64_t ir = 1; ir <= OT_NEWEST_IR; ir++)
        for (int64_t opset = 1; opset <= OT_LATEST; opset++) {
            ot_model *m = document(opset);
            if (ir < 3) /* they import none, and mean 1 */
                while (m->proto->n_opset_import)
                    ot_remove(&m->proto->base, "opset_import", 0);
            else
                CHECK_OK(ot_model_set_opset(m, "com.unknown", 3)); /* no node uses it */
            m->proto->ir_version = ir;
            node(m, "Relu", 1, (const char *const[]){ "x" }, "y");
            gives(m, NULL, (const float[]){ 0, 1, 2, 3 });
            ot_model_close(m);
        }
    ot_model *m = document(17);
    CHECK_OK(ot_model_set_opset(m, "com.unknown", 3));
    node(m, "Relu", 1, (const char *const[]){ "x" }, "y");
    CHECK_OK(ot_set_string(&m->proto->graph->node[0]->domain, "com.unknown"));
    refuse(m, OT_EUNSUPPORTED, "1 operator is missing: Relu");
}

/* ---- External data ----------------------------------------------------------------------------------------- */

static void every_type_external(void)
{
    static uint8_t bytes[16 * 6000];
    char path[512];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37 + i / 251);
    snprintf(path, sizeof(path), "%s", test_tmp("types.onnx"));
    ot_model *m = document(17);
    for (int dtype = OT_FLOAT; dtype <= OT_INT2; dtype++) {
        char name[8];
        ot_str text[6000] = { { "one", 3 }, { "a\0b", 3 } };
        ot_tensor t = { .dtype = (ot_dtype)dtype, .rank = 2, .dim = { 3, 2000 }, .data = bytes };
        uint8_t bools[6000];
        for (size_t i = 0; i < sizeof(bools); i++)
            bools[i] = bytes[i] & 1;
        t.data = dtype == OT_STRING ? (void *)text : dtype == OT_BOOL ? (void *)bools : (void *)bytes;
        snprintf(name, sizeof(name), "t%d", dtype);
        CHECK_OK(ot_model_add_initializer(m, name, &t));
    }
    CHECK_OK(ot_model_save_external(m, path, "types.data"));
    ot_model *back = NULL;
    if (CHECK_OK(ot_model_open(&back, path)))
        for (size_t i = 0; i < m->proto->graph->n_initializer; i++) {
            const Onnx__TensorProto *p = m->proto->graph->initializer[i], *q = back->proto->graph->initializer[i];
            ot_tensor a, b;
            bool a_owned = false, b_owned = false;
            CHECK((q->data_location == 1) == (q->data_type != OT_STRING));
            if (CHECK_OK(ot_model_tensor(m, p, &a, &a_owned)) && CHECK_OK(ot_model_tensor(back, q, &b, &b_owned)) &&
                CHECK(a.dtype == b.dtype && b.dim[1] == 2000) && a.dtype != OT_STRING)
                CHECK(memcmp(a.data, b.data, ot_tensor_bytes(&a)) == 0);
            if (b.dtype == OT_STRING)
                CHECK(((const ot_str *)b.data)[1].n == 3 && ((const ot_str *)b.data)[1].bytes[2] == 'b');
            if (a_owned)
                ot_tensor_release(&a);
            if (b_owned)
                ot_tensor_release(&b);
        }
    ot_model_close(back);
    ot_model_close(m);
}

/* Bytes of this process that are in memory. */
static int64_t resident(void)
{
    long long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lld %lld", &size, &pages) != 2)
        pages = 0;
    if (f)
        fclose(f);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

#define ROWS INT64_C(150000000) /* of 4 floats: 2.4 GB */

static bool make_large(const char *path)
{
    const float row[4] = { 1, 2, 3, 4 };
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    bool ok = fd >= 0 && ftruncate(fd, (off_t)(4096 + ROWS * 16)) == 0 &&
              pwrite(fd, row, sizeof(row), (off_t)(4096 + (ROWS - 1) * 16)) == (ssize_t)sizeof(row);
    if (fd >= 0)
        close(fd);
    return ok;
}

/* A table of 2.4 GB in a file that is nearly all hole: rows are looked up, and the rest is not read. */
static void larger_than_protobuf(void)
{
    char path[512], data[512];
    int64_t index[2] = { ROWS - 1, 7 };
    ot_tensor in[2] = { { .dtype = OT_FLOAT, .rank = 2, .dim = { 2, 4 }, .data = (float[8]){ 0 } },
                        { .dtype = OT_INT64, .rank = 1, .dim = { 2 }, .data = index } };
    snprintf(path, sizeof(path), "%s", test_tmp("large.onnx"));
    snprintf(data, sizeof(data), "%s", test_tmp("large.data"));
    if (!make_large(data)) {
        unlink(data);
        test_skip("no sparse file of 2.4 GB can be made");
        return;
    }
    ot_model *m = document(17);
    Onnx__ValueInfoProto *v = ot_append(&m->proto->graph->base, "input");
    Onnx__TensorProto *t = ot_append(&m->proto->graph->base, "initializer");
    CHECK_OK(ot_set_string(&v->name, "i"));
    CHECK_OK(ot_set_value_type(v, OT_INT64, 1, (ot_doc_dim[]){ { -1, "N" } }));
    CHECK_OK(ot_set_string(&t->name, "table"));
    t->has_data_type = 1;
    t->data_type = OT_FLOAT;
    t->n_dims = 2;
    t->dims = ot_malloc(2, sizeof(*t->dims));
    t->dims[0] = ROWS;
    t->dims[1] = 4;
    CHECK_OK(ot_model_set_external(m, t, "large.data", 4096, (size_t)ROWS * 16));
    node(m, "Gather", 2, (const char *const[]){ "table", "i" }, "rows");
    node(m, "Add", 2, (const char *const[]){ "x", "rows" }, "y");
    CHECK_OK(ot_model_save(m, path));
    ot_model_close(m);
    int64_t before = resident();
    ot_session *s = NULL;
    if (CHECK_OK(ot_model_open(&m, path)) && CHECK_OK(ot_session_create(&s, m, NULL)) &&
        CHECK_OK(ot_session_run(s, in, 2))) {
        CHECK(ot_tensor_get(ot_session_output(s, 0), 3) == 4 && ot_tensor_get(ot_session_output(s, 0), 4) == 0);
        CHECK(resident() - before < (64 << 20));
    }
    ot_session_close(s);
    ot_model_close(m);
    CHECK(truncate(data, 4096 + ROWS * 16 - 1) == 0);
    if (CHECK_OK(ot_model_open(&m, path)))
        CHECK_FAILS(ot_session_create(&s, m, NULL), OT_EMODEL, "but the tensor lies at 4096 and takes 2400000000");
    ot_model_close(m);
    unlink(data);
}

const ot_test document_tests[] = { { "every field survives", every_field_survives },
                                   { "quantization annotations", quantization_notes },
                                   { "sparse initializers", sparse_initializers },
                                   { "sparse elements under 8 bits, and strings", packed_and_string_elements },
                                   { "defaults that a caller replaces", defaults },
                                   { "every IR version and opset", every_version },
                                   { "every element type in external data", every_type_external },
                                   { "over 2 GB of external data", larger_than_protobuf },
                                   { 0 } };

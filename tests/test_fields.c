/* Every field of real files, damaged in turn: cut off there, of another wire type, dropped, doubled, emptied, or a
 * number that is huge or negative.  Whatever it is, opening and running end soon, in OT_OK or an error of one line, and
 * leave nothing behind.  And files whose parts are well formed but do not make a model. */
#define _DEFAULT_SOURCE /* clock_gettime, truncate, getrusage */
#include "base/alloc.h"
#include "base/file.h"
#include "doc.h"
#include "feed.h"
#include "harness.h"

#include "onnx.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define MAX_SECONDS 20.
#define MAX_GROWTH  INT64_MAX /* freed memory is kept to find its uses */
#else
#define MAX_SECONDS 1.
#define MAX_GROWTH  ((int64_t)200 << 20)
#endif
#define MEMORY ((size_t)64 << 20)

/* ---- Where the fields are -------------------------------------------------------------------------------------- */

typedef struct field {
    size_t tag, length, value, end; /* offsets; length: of the varint that says it, 0 where there is none */
    int64_t parent;                 /* index of the field that it lies in; -1 */
    int depth;
    bool message, list; /* list: of numbers, which may be packed */
    int wire;           /* its type */
} field;

typedef struct file {
    uint8_t *bytes;
    size_t n;
    field *fields;
    int64_t n_fields, cap;
} file;

static uint64_t varint(const uint8_t *p, size_t *at)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        v |= (uint64_t)(p[*at] & 127) << shift;
        if (!(p[(*at)++] & 128))
            break;
    }
    return v;
}

/* The file is a good one. */
static void walk(file *f, const ProtobufCMessageDescriptor *d, size_t from, size_t to, int64_t parent, int depth)
{
    for (size_t at = from; at < to;) {
        field x = { .tag = at, .parent = parent, .depth = depth };
        uint64_t key = varint(f->bytes, &at);
        const ProtobufCFieldDescriptor *is = protobuf_c_message_descriptor_get_field(d, (unsigned)(key >> 3));
        x.wire = (int)(key & 7);
        x.length = x.wire == 2 ? at : 0;
        size_t n = x.wire == 2 ? varint(f->bytes, &at) : 0;
        x.value = at;
        if (x.wire == 0)
            varint(f->bytes, &at);
        else
            at += x.wire == 1 ? 8 : x.wire == 5 ? 4 : n;
        x.end = at;
        x.message = is && is->type == PROTOBUF_C_TYPE_MESSAGE;
        x.list = is && is->label == PROTOBUF_C_LABEL_REPEATED && is->type < PROTOBUF_C_TYPE_STRING;
        if (!CHECK(x.end <= to) || !CHECK_OK(ot_grow(&f->fields, f->n_fields, &f->cap, sizeof(field))))
            return;
        f->fields[f->n_fields++] = x;
        if (x.message)
            walk(f, is->descriptor, x.value, x.end, f->n_fields - 1, depth + 1);
    }
}

static bool read_file(file *f, const char *name)
{
    const char *path = test_shared(name);
    *f = (file){ 0 };
    if (!path || !CHECK_OK(ot_file_read(&f->bytes, &f->n, path, SIZE_MAX)))
        return false;
    walk(f, &onnx__model_proto__descriptor, 0, f->n, -1, 0);
    return CHECK(f->n_fields > 50);
}

static void release(file *f)
{
    ot_free(f->bytes);
    ot_free(f->fields);
}

/* ---- What must hold -------------------------------------------------------------------------------------------- */

typedef struct watch {
    double start;
    int64_t live, peak; /* blocks; KiB */
} watch;

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int64_t peak_memory(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static watch watch_start(void)
{
    return (watch){ cpu_seconds(), ot_live_blocks(), peak_memory() };
}

static void watch_end(const watch *w, ot_status st, const char *what, int64_t number)
{
    double took = cpu_seconds() - w->start;
    bool line = st == OT_OK || (*ot_last_error() && !strchr(ot_last_error(), '\n'));
    if (!CHECK(line) || !CHECK(took < MAX_SECONDS) || !CHECK(ot_live_blocks() == w->live) ||
        !CHECK(peak_memory() - w->peak <= MAX_GROWTH / 1024))
        printf("    %s, field %lld: status %d, %.2f s, %lld KiB more: %s\n", what, (long long)number, (int)st, took,
               (long long)(peak_memory() - w->peak), st == OT_OK ? "" : ot_last_error());
}

static ot_status open_and_run(const uint8_t *bytes, size_t n, bool run)
{
    mutate_rng r = { n };
    ot_model *m = NULL;
    ot_status st = ot_model_open_memory(&m, bytes, n);
    if (st == OT_OK && run)
        st = feed_model(m, &r, MEMORY);
    ot_model_close(m);
    return st;
}

/* ---- Cut off ----------------------------------------------------------------------------------------------------- */

/* At the ends and inside of every field, from the last one on, in a file that becomes shorter and shorter. */
static void cut(const char *name)
{
    char path[512];
    file f;
    int64_t opened = 0;
    snprintf(path, sizeof(path), "%s", test_tmp("cut.onnx"));
    if (!read_file(&f, name) || !CHECK_OK(ot_file_write(path, f.bytes, f.n)))
        return;
    for (int64_t i = f.n_fields - 1; i >= 0; i--) {
        const field *x = &f.fields[i];
        const size_t places[] = { x->end - 1, x->value + (x->end - x->value) / 2, x->value, x->tag + 1, x->tag };
        for (size_t k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
            ot_model *m = NULL;
            if (x->message && k < 2) /* the fields inside have their own turn, and came before */
                continue;
            watch w = watch_start();
            if (!CHECK(truncate(path, (off_t)places[k]) == 0))
                break;
            ot_status st = ot_model_open(&m, path);
            opened += st == OT_OK;
            CHECK(st == OT_EMODEL || (st == OT_OK && x->depth == 0 && places[k] == x->tag));
            ot_model_close(m);
            watch_end(&w, st, name, i);
        }
    }
    CHECK(opened < 10);
    remove(path);
    release(&f);
}

static void cut_off(void)
{
    static const char *const names[] = { "mnist-8/model.onnx", "cifar10-resnet20.onnx", "resnet18.onnx" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[64];
        snprintf(name, sizeof(name), "data/models/%s", names[i]);
        cut(name);
    }
}

/* ---- Replaced ---------------------------------------------------------------------------------------------------- */

static size_t put_varint(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    for (; v > 127; v >>= 7)
        p[n++] = (uint8_t)(v | 128);
    p[n++] = (uint8_t)v;
    return n;
}

/* out[from, to) becomes these bytes; *n is the length of all. */
static void splice(uint8_t *out, size_t *n, size_t from, size_t to, const uint8_t *bytes, size_t count)
{
    memmove(out + from + count, out + to, *n - to);
    if (count)
        memcpy(out + from, bytes, count);
    *n += count - (to - from);
}

/* A copy in which [from, to) of field i is replaced, and the lengths around it say so. */
static size_t replaced(uint8_t *out, const file *f, int64_t i, size_t from, size_t to, const uint8_t *bytes,
                       size_t count)
{
    size_t n = f->n;
    memcpy(out, f->bytes, n);
    splice(out, &n, from, to, bytes, count);
    for (int64_t up = f->fields[i].parent; up >= 0; up = f->fields[up].parent) {
        const field *x = &f->fields[up];
        uint8_t length[10];
        size_t k = put_varint(length, x->end - x->value + (n - f->n));
        splice(out, &n, x->length, x->value, length, k);
    }
    return n;
}

static void try_it(const uint8_t *bytes, size_t n, const char *what, int64_t i)
{
    watch w = watch_start();
    watch_end(&w, open_and_run(bytes, n, true), what, i);
}

static void damage(const file *f, uint8_t *out, int64_t i)
{
    static const uint64_t numbers[] = { 0, UINT64_MAX, INT64_MAX, (uint64_t)1 << 63, INT32_MAX, (uint64_t)1 << 31 };
    const field *x = &f->fields[i];
    uint8_t number[10];
    try_it(out, replaced(out, f, i, x->tag, x->end, NULL, 0), "dropped", i);
    try_it(out, replaced(out, f, i, x->end, x->end, f->bytes + x->tag, x->end - x->tag), "doubled", i);
    if (x->wire == 2) {
        number[0] = 0;
        try_it(out, replaced(out, f, i, x->length, x->end, number, 1), "emptied", i);
    }
    for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++)
        if (x->wire == 0)
            try_it(out, replaced(out, f, i, x->value, x->end, number, put_varint(number, numbers[k])), "number", i);
        else if (x->wire == 2 && numbers[k]) /* a length that is wrong for what follows */
            try_it(out, replaced(out, f, i, x->length, x->value, number, put_varint(number, numbers[k])), "length", i);
}

static void replaced_fields(void)
{
    file f;
    if (!read_file(&f, "data/models/mnist-8/model.onnx"))
        return;
    uint8_t *out = malloc(2 * f.n + 1024);
    for (int64_t i = 0; i < f.n_fields && CHECK(out != NULL); i++)
        damage(&f, out, i);
    free(out);
    release(&f);
}

static void wire_types(void)
{
    file f;
    if (!read_file(&f, "data/models/mnist-8/model.onnx"))
        return;
    for (int64_t i = 0; i < f.n_fields; i++)
        for (int type = 0; type < 8; type++) {
            watch w = watch_start();
            uint8_t *tag = &f.bytes[f.fields[i].tag], old = *tag;
            *tag = (uint8_t)((old & ~7) | type);
            ot_status st = open_and_run(f.bytes, f.n, false);
            *tag = old;
            CHECK(st == OT_EMODEL || type == f.fields[i].wire || f.fields[i].list);
            watch_end(&w, st, "wire type", i);
        }
    release(&f);
}

/* One bit of every byte that is no weight. */
static void bits(void)
{
    file f;
    if (!read_file(&f, "data/models/mnist-8/model.onnx"))
        return;
    for (int64_t i = 0; i < f.n_fields; i++) {
        const field *x = &f.fields[i];
        size_t end = x->message || x->end - x->value > 100 ? x->value : x->end;
        for (size_t at = x->tag; at < end; at++) {
            f.bytes[at] ^= (uint8_t)(1u << at % 8);
            try_it(f.bytes, f.n, "bit", i);
            f.bytes[at] ^= (uint8_t)(1u << at % 8);
        }
    }
    release(&f);
}

/* ---- Well formed, but no model ------------------------------------------------------------------------------------
 */

/* Takes the model. */
static void refuse(ot_model *m, ot_status want, const char *words)
{
    mutate_rng r = { 5 };
    if (!m)
        return;
    CHECK_FAILS(feed_model(m, &r, MEMORY), want, words);
    ot_model_close(m);
}

static ot_model *chain(const doc_node *nodes)
{
    return doc_model(&(doc){ .opset = 17, .x = "N,4", .nodes = nodes }, false);
}

static void cycles(void)
{
    static const doc_node self[] = { NODE("Add", "x y", "y", NULL), { 0 } };
    static const doc_node two[] = { NODE("Add", "x b", "a", NULL), NODE("Relu", "a", "b", NULL), { 0 } };
    static const doc_node backwards[] = { NODE("Relu", "b", "y", NULL), NODE("Relu", "x", "b", NULL), { 0 } };
    static const doc_node twice[] = { NODE("Relu", "x", "y", NULL), NODE("Abs", "x", "y", NULL), { 0 } };
    static const doc_node input[] = { NODE("Relu", "x", "x", NULL), { 0 } };
    static const doc_node inner[] = { NODE("Relu", "z", "t", NULL), { 0 } },
                          other[] = { NODE("Relu", "x", "t", NULL), { 0 } };
    const doc then = { .nodes = inner }, otherwise = { .nodes = other };
    const doc_node branch[] = { { "If", "yes", "z", NULL, &then, &otherwise }, { 0 } };
    const doc_tensor tensors[] = { DOC_SCALAR("yes", OT_BOOL, 1), { 0 } };
    refuse(chain(self), OT_EMODEL, "'y'");
    refuse(chain(two), OT_EMODEL, "'b'");
    refuse(chain(backwards), OT_EMODEL, "'b'");
    refuse(chain(twice), OT_EMODEL, "'y'");
    refuse(chain(input), OT_EMODEL, "'x'");
    refuse(doc_model(&(doc){ .opset = 17, .x = "N,4", .nodes = branch, .tensors = tensors }, false), OT_EMODEL, "'z'");
}

static void types(void)
{
    static const doc_node add[] = { NODE("Cast", "x", "h", "to=10"), NODE("Add", "x h", "y", NULL), { 0 } };
    static const doc_node cast[] = { NODE("Cast", "x", "y", "to=99"), { 0 } };
    static const doc_node negative[] = { NODE("Cast", "x", "y", "to=-1"), { 0 } };
    static const doc_node relu[] = { NODE("Cast", "x", "h", "to=9"), NODE("Relu", "h", "y", NULL), { 0 } };
    static const doc_node where[] = { NODE("Where", "x x x", "y", NULL), { 0 } };
    static const doc_node gather[] = { NODE("Gather", "x x", "y", NULL), { 0 } };
    refuse(chain(add), OT_ESHAPE, "float16");
    refuse(chain(cast), OT_EMODEL, "no element type");
    refuse(chain(negative), OT_EMODEL, "no element type");
    refuse(chain(relu), OT_ESHAPE, "bool");
    refuse(chain(where), OT_ESHAPE, "float");
    refuse(chain(gather), OT_ESHAPE, "float");
}

/* A file that says to hold 2^40 bytes, nearly all of them a hole, is mapped and not read. */
static void vast_external_data(void)
{
    static const doc_node add[] = {
        NODE("Relu", "w", "r", NULL), NODE("ReduceMax", "r", "m", "keepdims=0"), NODE("Add", "x m", "y", NULL), { 0 }
    };
    const doc_tensor tensors[] = { DOC_FLOATS("w", 8, 8), { 0 } };
    char path[512], data[600];
    mutate_rng r = { 3 };
    ot_model *m = doc_model(&(doc){ .opset = 17, .x = "N,4", .nodes = add, .tensors = tensors }, false), *back = NULL;
    snprintf(path, sizeof(path), "%s", test_tmp("vast.onnx"));
    snprintf(data, sizeof(data), "%s.data", path);
    CHECK_OK(ot_file_write(data, "x", 1));
    if (truncate(data, (off_t)1 << 40))
        test_skip("no file of 2^40 bytes can be made here");
    Onnx__TensorProto *t = m ? m->proto->graph->initializer[0] : NULL;
    if (CHECK(t != NULL) && CHECK_OK(ot_model_set_external(m, t, "vast.onnx.data", 0, (size_t)1 << 40))) {
        t->dims[0] = (int64_t)1 << 35;
        CHECK_OK(ot_model_save(m, path));
        watch w = watch_start();
        if (CHECK_OK(ot_model_open(&back, path)))
            CHECK_FAILS(feed_model(back, &r, MEMORY), OT_ENOMEM, "cap");
        ot_model_close(back);
        watch_end(&w, OT_OK, "vast", 0);
    }
    ot_model_close(m);
    remove(data);
}

const ot_test fields_tests[] = { { "cut off at every field", cut_off },
                                 { "every field replaced", replaced_fields },
                                 { "every wire type", wire_types },
                                 { "a bit of every byte", bits },
                                 { "cycles", cycles },
                                 { "types", types },
                                 { "vast external data", vast_external_data },
                                 { 0 } };

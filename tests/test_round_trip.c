/* Round trips: what is saved equals what was read, field by field, also when every value goes through another file. */
#define _DEFAULT_SOURCE
#include "harness.h"
#include "wire_data.h"
#include "base/file.h"
#include "base/tensor.h"
#include "model/edit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* What a pipe carries, read by a thread of its own: saving there spares the disk thousands of files. */
typedef struct drain {
    int fd;
    uint8_t *bytes;
    size_t n, cap;
} drain;

static void *read_pipe(void *ctx)
{
    drain *d = ctx;
    for (;;) {
        if (d->n == d->cap) {
            d->cap = d->cap ? 2 * d->cap : 1 << 16;
            d->bytes = realloc(d->bytes, d->cap);
            if (!d->bytes)
                abort();
        }
        ssize_t got = read(d->fd, d->bytes + d->n, d->cap - d->n);
        if (got <= 0)
            return NULL;
        d->n += (size_t)got;
    }
}

/* The model's file in memory; d->bytes is freed with free. */
static bool save_to_memory(drain *d, const ot_model *m)
{
    char path[512];
    pthread_t reader;
    *d = (drain){ 0 };
    snprintf(path, sizeof(path), "%s", test_tmp("round.fifo"));
    unlink(path);
    if (!CHECK(mkfifo(path, 0600) == 0))
        return false;
    d->fd = open(path, O_RDONLY | O_NONBLOCK);
    int hold = open(path, O_WRONLY); /* so that the end comes when we say so */
    bool ok = CHECK(d->fd >= 0 && hold >= 0 && fcntl(d->fd, F_SETFL, 0) == 0) &&
              CHECK(pthread_create(&reader, NULL, read_pipe, d) == 0);
    if (ok) {
        ok = CHECK_OK(ot_model_save(m, path));
        close(hold);
        pthread_join(reader, NULL);
    }
    close(d->fd);
    unlink(path);
    return ok;
}

static bool round_trip(const char *path)
{
    ot_model *m;
    ot_map a;
    drain b;
    if (!CHECK_OK(ot_model_open(&m, path)))
        return false;
    bool ok = CHECK_OK(read_all(m)) && save_to_memory(&b, m);
    ot_model_close(m);
    if (!ok || !CHECK_OK(ot_file_map(&a, path)))
        return false;
    ok = CHECK(wire_equal(a.bytes, a.n, b.bytes, b.n));
    free(b.bytes);
    ot_file_unmap(&a);
    return ok;
}

/* Every value in the one form that setting it gives, so that documents which differ in nothing else are equal. */
static ot_status settle_one(void *ctx, Onnx__TensorProto *t)
{
    ot_tensor view;
    bool owned;
    OT_TRY(ot_model_tensor(ctx, t, &view, &owned));
    ot_status st = ot_model_set_tensor(ctx, t, &view, 0);
    if (owned)
        ot_tensor_release(&view);
    return st;
}

static bool open_settled(drain *out, const char *path)
{
    ot_model *m;
    if (!CHECK_OK(ot_model_open(&m, path)))
        return false;
    bool ok = CHECK_OK(ot_each_tensor(&m->proto->base, settle_one, m)) && save_to_memory(out, m);
    ot_model_close(m);
    return ok;
}

typedef struct moving {
    ot_model *m;
    FILE *data;
    int64_t n;
} moving;

/* Every value that may lie outside goes there, however small. */
static ot_status move_one(void *ctx, Onnx__TensorProto *t)
{
    moving *x = ctx;
    ot_tensor v;
    bool owned;
    if (t->data_type == OT_STRING)
        return OT_OK;
    OT_TRY(ot_model_tensor(x->m, t, &v, &owned));
    size_t n = ot_tensor_bytes(&v);
    long at = ftell(x->data);
    bool ok = at >= 0 && fwrite(n ? v.data : "", 1, n, x->data) == n;
    if (owned)
        ot_tensor_release(&v);
    x->n++;
    return ok ? ot_model_set_external(x->m, t, "round-out.data", (uint64_t)at, n) : ot_fail(OT_EIO, "round-out.data");
}

/* A message of which nothing is cut out; ot_model_save would bring external data of another folder in. */
static bool write_plain(const char *path, const ProtobufCMessage *msg)
{
    size_t n = protobuf_c_message_get_packed_size(msg);
    uint8_t *bytes = malloc(n);
    FILE *f = fopen(path, "wb");
    bool ok = bytes && f && fwrite(bytes, 1, protobuf_c_message_pack(msg, bytes), f) == n;
    free(bytes);
    return f && fclose(f) == 0 && ok;
}

static bool save_outside(ot_model *m, const char *path, int64_t *moved)
{
    moving x = { .m = m, .data = fopen(test_tmp("round-out.data"), "wb") };
    if (!CHECK(x.data != NULL))
        return false;
    bool ok = CHECK_OK(ot_each_tensor(&m->proto->base, move_one, &x));
    ok = CHECK(fclose(x.data) == 0) && ok && CHECK(write_plain(path, &m->proto->base));
    *moved += x.n;
    return ok;
}

/* The same through a file of external data: equal when both are read and their values settled. */
static bool round_trip_external(const char *path, bool by_api, int64_t *moved)
{
    char out[512];
    ot_model *m;
    drain a, b;
    snprintf(out, sizeof(out), "%s", test_tmp("round-out.onnx"));
    if (!CHECK_OK(ot_model_open(&m, path)))
        return false;
    bool ok = by_api ? CHECK_OK(ot_model_save_external(m, out, "round-out.data")) : save_outside(m, out, moved);
    ot_model_close(m);
    if (!ok || !open_settled(&a, path))
        return false;
    if ((ok = open_settled(&b, out))) {
        ok = CHECK(wire_equal(a.bytes, a.n, b.bytes, b.n));
        free(b.bytes);
    }
    free(a.bytes);
    return ok;
}

static void round_trip_shared(void)
{
    static const char *const names[] = { "cifar10-resnet18-thin.onnx", "cifar10-resnet20.onnx", "mnist-8/model.onnx",
                                         "mobilenetv2.onnx",           "resnet18.onnx",         "resnet34-grown.onnx",
                                         "squeezenet1_1.onnx" };
    int64_t before = ot_live_blocks();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[128];
        snprintf(name, sizeof(name), "data/models/%s", names[i]);
        const char *path = test_shared(name);
        char full[512];
        snprintf(full, sizeof(full), "%s", path ? path : "");
        if (path && (!round_trip(full) || !round_trip_external(full, true, NULL)))
            printf("  %s\n", names[i]);
    }
    CHECK(ot_live_blocks() == before);
}

/* ONNX's own test data, where tests/run has unpacked it. */
static void round_trip_conformance(void)
{
    const char *root = getenv("ONNXTUNE_CONFORMANCE");
    static const char *const sets[] = { "node", "simple" };
    int64_t tried = 0, moved = 0;
    for (int s = 0; root && s < 2; s++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s", root, sets[s]);
        DIR *d = opendir(path);
        for (struct dirent *e; d && (e = readdir(d));) {
            snprintf(path, sizeof(path), "%s/%s/%s/model.onnx", root, sets[s], e->d_name);
            if (e->d_name[0] == '.')
                continue;
            tried++;
            if (!round_trip(path) || !round_trip_external(path, false, &moved))
                printf("  %s\n", path);
        }
        if (d)
            closedir(d);
    }
    if (!root)
        test_skip("ONNXTUNE_CONFORMANCE is not set");
    else if (!CHECK(tried > 1800 && moved > 200))
        printf("    %lld models, %lld values\n", (long long)tried, (long long)moved);
}

const ot_test round_trip_tests[] = { { "the shared models", round_trip_shared },
                                     { "the conformance models", round_trip_conformance },
                                     { 0 } };

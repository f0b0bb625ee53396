#define _POSIX_C_SOURCE 200809L
#include "model/model.h"
#include "base/file.h"
#include "base/tensor.h"
#include "model/scan.h"

#include <string.h>
#include <sys/stat.h>

typedef struct target {
    const ot_model *m;
    ot_writer *w;
} target;

static ot_status find(void *ctx, uint32_t index, const uint8_t **bytes, size_t *n)
{
    const ot_model *m = ((target *)ctx)->m;
    if (index >= m->n_payloads || !m->payloads[index].blob)
        return ot_fail(OT_EMODEL, "while saving: tensor data %u is gone", (unsigned)index);
    *bytes = ot_blob_bytes(m->payloads[index].blob) + m->payloads[index].offset;
    *n = m->payloads[index].n;
    return OT_OK;
}

static ot_status put(void *ctx, const void *bytes, size_t n)
{
    return ot_writer_put(((target *)ctx)->w, bytes, n);
}

/* Everything but the cut-out bytes. */
static ot_status pack(uint8_t **out, size_t *n, const ProtobufCMessage *p)
{
    *n = protobuf_c_message_get_packed_size(p);
    if (*n > INT32_MAX)
        return ot_fail(OT_EUNSUPPORTED, "the model has %zu bytes besides its raw tensor data, more than 2^31 - 1", *n);
    *out = ot_malloc(*n, 1);
    if (!*out)
        return OT_ENOMEM;
    protobuf_c_message_pack(p, *out);
    return OT_OK;
}

/* Writes the model into w, which stays open. */
static ot_status write_model(const ot_model *m, ot_writer *w)
{
    uint8_t *skeleton = NULL;
    size_t n;
    target t = { m, w };
    OT_TRY(pack(&skeleton, &n, &m->proto->base));
    ot_expand e = { &onnx__model_proto__descriptor, find, put, &t };
    ot_status st = ot_expand_message(&e, skeleton, n);
    ot_free(skeleton);
    return st;
}

static ot_status save(const ot_model *m, const char *path)
{
    ot_writer *w;
    OT_TRY(ot_writer_open(&w, path));
    ot_status st = write_model(m, w);
    if (st == OT_OK)
        return ot_writer_commit(w);
    ot_writer_abort(w);
    return st;
}

static bool folder_of(struct stat *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? ot_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : ot_strdup(".");
    bool ok = folder && stat(folder, s) == 0;
    ot_free(folder);
    return ok;
}

static bool same_folder(const char *a, const char *b)
{
    struct stat sa, sb;
    return folder_of(&sa, a) && folder_of(&sb, b) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static ot_status count_external(void *ctx, Onnx__TensorProto *t)
{
    *(int64_t *)ctx += t->data_location == 1;
    return OT_OK;
}

ot_status ot_model_save(const ot_model *m, const char *path)
{
    int64_t external = 0;
    OT_TRY(ot_each_tensor(&m->proto->base, count_external, &external));
    if (!external || !m->path || same_folder(m->path, path))
        return save(m, path);
    ot_model *whole;
    OT_TRY(ot_model_clone(&whole, m));
    ot_status st = ot_model_embed_external(whole);
    if (st == OT_OK)
        st = save(whole, path);
    ot_model_close(whole);
    return st;
}

/* ---- External data ------------------------------------------------------------------------------------------ */

#define DATA_ALIGN 4096

typedef struct moving {
    ot_model *m;
    ot_writer *w;
    const char *location;
} moving;

/* Moves one large value into the data file. */
static ot_status move_out(void *ctx, Onnx__TensorProto *t)
{
    static const uint8_t zero[DATA_ALIGN];
    moving *x = ctx;
    ot_tensor v;
    bool owned;
    if (t->data_type == OT_STRING)
        return OT_OK;
    OT_TRY(ot_model_tensor(x->m, t, &v, &owned));
    size_t n = ot_tensor_bytes(&v);
    ot_status st = OT_OK;
    if (n >= OT_CUT_BYTES) {
        st = ot_writer_put(x->w, zero, (size_t)(-ot_writer_size(x->w) % DATA_ALIGN));
        uint64_t at = ot_writer_size(x->w);
        if (st == OT_OK)
            st = ot_writer_put(x->w, v.data, n);
        if (owned) /* before t changes: a view may lie in it */
            ot_tensor_release(&v);
        return st == OT_OK ? ot_model_set_external(x->m, t, x->location, at, n) : st;
    }
    if (t->data_location == 1)
        st = ot_model_set_tensor(x->m, t, &v, 0);
    if (owned)
        ot_tensor_release(&v);
    return st;
}

static ot_status move_all(ot_model *m, const char *path, const char *data, ot_writer *w)
{
    ot_writer *out;
    OT_TRY(ot_writer_open(&out, path));
    ot_status st = ot_each_tensor(&m->proto->base, move_out, &(moving){ m, w, data });
    if (st == OT_OK)
        st = write_model(m, out);
    if (st == OT_OK)
        st = ot_writer_commit(w);
    else
        ot_writer_abort(w);
    if (st == OT_OK)
        return ot_writer_commit(out);
    ot_writer_abort(out);
    return st;
}

ot_status ot_model_save_external(const ot_model *m, const char *path, const char *data)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash - path) + 1 : 0, room = folder + strlen(data) + 1;
    if (!*data || strchr(data, '/') || strcmp(data, ".") == 0 || strcmp(data, "..") == 0 ||
        strcmp(data, path + folder) == 0)
        return ot_fail(OT_EARG, "'%s' is no name for a data file beside '%s'", data, path + folder);
    char *full = ot_malloc(room, 1);
    if (!full)
        return OT_ENOMEM;
    memcpy(full, path, folder);
    memcpy(full + folder, data, room - folder);
    ot_model *c = NULL;
    ot_writer *w;
    ot_status st = ot_model_clone(&c, m);
    if (st == OT_OK)
        st = ot_writer_open(&w, full);
    if (st == OT_OK)
        st = move_all(c, path, data, w);
    ot_model_close(c);
    ot_free(full);
    return st;
}

#define _POSIX_C_SOURCE 200809L
#include "model/model.h"
#include "base/file.h"
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

static ot_status save(const ot_model *m, const char *path)
{
    uint8_t *skeleton = NULL;
    size_t n;
    target t = { m, NULL };
    OT_TRY(pack(&skeleton, &n, &m->proto->base));
    ot_status st = ot_writer_open(&t.w, path);
    if (st == OT_OK) {
        ot_expand e = { &onnx__model_proto__descriptor, find, put, &t };
        st = ot_expand_message(&e, skeleton, n);
        if (st == OT_OK)
            st = ot_writer_commit(t.w);
        else
            ot_writer_abort(t.w);
    }
    ot_free(skeleton);
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

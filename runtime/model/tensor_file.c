#include "model/tensor_file.h"
#include "base/file.h"
#include "base/tensor.h"
#include "model/wire.h"

#include <string.h>

static ot_status copy_strings(ot_tensor *y, const ot_tensor *x)
{
    const ot_str *from = x->data;
    ot_str *to = y->data;
    for (int64_t i = 0, n = ot_tensor_count(x); i < n; i++) {
        char *p = ot_malloc(from[i].n + 1, 1);
        if (!p)
            return OT_ENOMEM;
        if (from[i].n)
            memcpy(p, from[i].bytes, from[i].n);
        p[from[i].n] = 0;
        to[i] = (ot_str){ p, from[i].n };
    }
    return OT_OK;
}

ot_status ot_model_tensor_copy(ot_tensor **out, const ot_model *m, const Onnx__TensorProto *t)
{
    ot_tensor view, *y = NULL;
    bool owned;
    *out = NULL;
    OT_TRY(ot_model_tensor(m, t, &view, &owned));
    ot_status st = ot_tensor_create(&y, view.dtype, view.rank, view.dim);
    if (st == OT_OK && owned) {
        ot_tensor_release(y);
        *y = view;
        *out = y;
        return OT_OK;
    }
    if (st == OT_OK && view.dtype == OT_STRING)
        st = copy_strings(y, &view);
    else if (st == OT_OK && ot_tensor_bytes(y))
        memcpy(y->data, view.data, ot_tensor_bytes(y));
    if (owned)
        ot_tensor_release(&view);
    if (st != OT_OK) {
        ot_tensor_free(y);
        return st;
    }
    *out = y;
    return OT_OK;
}

static ot_status parse_blob(ot_tensor **out, ot_blob *blob)
{
    ProtobufCMessage *msg;
    ot_model holder = { 0 };
    OT_TRY(ot_unpack(&msg, &onnx__tensor_proto__descriptor, ot_blob_bytes(blob), ot_blob_size(blob), &holder.payloads,
                     &holder.n_payloads, blob));
    ot_status st = ot_model_tensor_copy(out, &holder, (const Onnx__TensorProto *)msg);
    protobuf_c_message_free_unpacked(msg, &ot_proto_alloc);
    for (int64_t i = 0; i < holder.n_payloads; i++)
        ot_blob_drop(holder.payloads[i].blob);
    ot_free(holder.payloads);
    return st;
}

ot_status ot_tensor_parse(ot_tensor **out, const uint8_t *bytes, size_t n)
{
    ot_blob *blob;
    *out = NULL;
    OT_TRY(ot_blob_copy(&blob, bytes, n));
    ot_status st = parse_blob(out, blob);
    ot_blob_drop(blob);
    return st == OT_EMODEL ? ot_context(OT_EDATA, "not a tensor") : st;
}

ot_status ot_tensor_file_read(ot_tensor **out, const char *path)
{
    ot_blob *blob;
    *out = NULL;
    OT_TRY(ot_blob_map(&blob, path));
    ot_status st = parse_blob(out, blob);
    ot_blob_drop(blob);
    return st == OT_OK ? OT_OK : ot_context(st == OT_EMODEL ? OT_EDATA : st, "%s", path);
}

/* One varint field, or the key and length of a field of bytes. */
static ot_status put_number(ot_writer *w, uint32_t id, int type, uint64_t v)
{
    uint8_t text[2 * OT_VARINT_MAX];
    size_t n = ot_varint_put(text, (uint64_t)id << 3 | (uint64_t)type);
    return ot_writer_put(w, text, n + ot_varint_put(text + n, v));
}

/* Field numbers of TensorProto: dims 1, data_type 2, string_data 6, raw_data 9. */
static ot_status put_tensor(ot_writer *w, const ot_tensor *t)
{
    const ot_str *s = t->data;
    for (int i = 0; i < t->rank; i++)
        OT_TRY(put_number(w, 1, OT_WIRE_VARINT, (uint64_t)t->dim[i]));
    OT_TRY(put_number(w, 2, OT_WIRE_VARINT, (uint64_t)t->dtype));
    if (t->dtype != OT_STRING) {
        OT_TRY(put_number(w, 9, OT_WIRE_BYTES, ot_tensor_bytes(t)));
        return ot_writer_put(w, t->data, ot_tensor_bytes(t));
    }
    for (int64_t i = 0, n = ot_tensor_count(t); i < n; i++) {
        OT_TRY(put_number(w, 6, OT_WIRE_BYTES, s[i].n));
        OT_TRY(ot_writer_put(w, s[i].bytes, s[i].n));
    }
    return OT_OK;
}

ot_status ot_tensor_file_write(const char *path, const ot_tensor *t)
{
    ot_writer *w;
    OT_TRY(ot_writer_open(&w, path));
    ot_status st = put_tensor(w, t);
    if (st == OT_OK)
        return ot_writer_commit(w);
    ot_writer_abort(w);
    return st;
}

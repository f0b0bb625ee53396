/* Values in files: what ONNX's test data has for inputs and outputs that are no tensors. */
#include "model/item_file.h"
#include "base/tensor.h"
#include "model/tensor_file.h"

#include <string.h>

/* The numbers of elem_type. */
enum { IS_TENSOR = 1, IS_SPARSE = 2, IS_SEQUENCE = 3, IS_MAP = 4, IS_OPTIONAL = 5 };

const ProtobufCMessageDescriptor *ot_item_message(ot_kind kind)
{
    return kind == OT_SEQUENCE   ? &onnx__sequence_proto__descriptor
           : kind == OT_OPTIONAL ? &onnx__optional_proto__descriptor
           : kind == OT_MAP      ? &onnx__map_proto__descriptor
                                 : &onnx__tensor_proto__descriptor;
}

ot_status ot_item_kind(ot_kind *out, int32_t elem_type)
{
    static const ot_kind kinds[] = { OT_TENSOR, OT_TENSOR, OT_TENSOR, OT_SEQUENCE, OT_MAP, OT_OPTIONAL };
    *out = OT_TENSOR;
    if (elem_type < 0 || elem_type > IS_OPTIONAL)
        return ot_fail(OT_EMODEL, "element kind %d is not known", (int)elem_type);
    *out = kinds[elem_type];
    return OT_OK;
}

void ot_item_release(ot_item *v)
{
    for (int64_t i = 0; i < v->n && v->item; i++)
        ot_item_release(&v->item[i]);
    ot_free(v->item);
    ot_tensor_free(v->tensor);
    ot_tensor_free(v->keys);
    *v = (ot_item){ .kind = v->kind };
}

void ot_item_free(ot_item *v)
{
    if (!v)
        return;
    ot_item_release(v);
    ot_free(v);
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

static ot_status parse_sparse(ot_item *v, const ot_model *m, const Onnx__SparseTensorProto *s)
{
    v->kind = OT_TENSOR;
    v->tensor = ot_calloc(1, sizeof(*v->tensor));
    return v->tensor ? ot_model_sparse(m, s, v->tensor) : OT_ENOMEM;
}

static ot_status parse_one(ot_item *v, const ot_model *m, const ProtobufCMessage *msg)
{
    if (msg->descriptor == &onnx__sparse_tensor_proto__descriptor)
        return parse_sparse(v, m, (const Onnx__SparseTensorProto *)msg);
    return ot_item_parse(v, m, msg);
}

/* One of the five lists of a sequence. */
typedef struct list {
    size_t n;
    void *first; /* an array of pointers to messages */
} list;

static ot_status parse_list(ot_item *v, const ot_model *m, list from)
{
    v->item = ot_calloc(from.n, sizeof(*v->item));
    if (!v->item)
        return OT_ENOMEM;
    for (size_t i = 0; i < from.n; i++) {
        const ProtobufCMessage *msg;
        memcpy(&msg, (const char *)from.first + i * sizeof(msg), sizeof(msg));
        v->n = (int64_t)i + 1;
        ot_status st = parse_one(&v->item[i], m, msg);
        if (st != OT_OK)
            return ot_context(st, "item %zu", i);
    }
    return OT_OK;
}

static ot_status parse_sequence(ot_item *v, const ot_model *m, const Onnx__SequenceProto *s)
{
    const list lists[] = { { 0, NULL },
                           { s->n_tensor_values, s->tensor_values },
                           { s->n_sparse_tensor_values, s->sparse_tensor_values },
                           { s->n_sequence_values, s->sequence_values },
                           { s->n_map_values, s->map_values },
                           { s->n_optional_values, s->optional_values } };
    OT_TRY(ot_item_kind(&v->holds, s->elem_type));
    for (int i = IS_TENSOR; i <= IS_OPTIONAL; i++)
        if (i != s->elem_type && lists[i].n)
            return ot_fail(OT_EMODEL, "%zu items of kind %d in a sequence of kind %d", lists[i].n, i,
                           (int)s->elem_type);
    return parse_list(v, m, lists[s->elem_type]);
}

static ot_status parse_optional(ot_item *v, const ot_model *m, const Onnx__OptionalProto *o)
{
    void *const held[] = { NULL,         o->tensor_value,  o->sparse_tensor_value, o->sequence_value,
                           o->map_value, o->optional_value };
    OT_TRY(ot_item_kind(&v->holds, o->elem_type));
    for (int i = IS_TENSOR; i <= IS_OPTIONAL; i++)
        if (i != o->elem_type && held[i])
            return ot_fail(OT_EMODEL, "an optional of kind %d holds one of kind %d", (int)o->elem_type, i);
    void *one = held[o->elem_type];
    return parse_list(v, m, (list){ one != NULL, &one });
}

static ot_status parse_string_keys(ot_tensor *keys, const Onnx__MapProto *p)
{
    ot_str *s = keys->data;
    for (size_t i = 0; i < p->n_string_keys; i++) {
        char *copy = ot_malloc(p->string_keys[i].len + 1, 1);
        if (!copy)
            return OT_ENOMEM;
        if (p->string_keys[i].len)
            memcpy(copy, p->string_keys[i].data, p->string_keys[i].len);
        copy[p->string_keys[i].len] = 0;
        s[i] = (ot_str){ copy, p->string_keys[i].len };
    }
    return OT_OK;
}

static ot_status parse_map(ot_item *v, const ot_model *m, const Onnx__MapProto *p)
{
    ot_dtype type = (ot_dtype)p->key_type;
    bool words = type == OT_STRING;
    if (!words && (!ot_dtype_is_int(type) || ot_dtype_bits(type) < 8))
        return ot_fail(OT_EMODEL, "keys of element type %d", (int)p->key_type);
    if (words ? p->n_keys : p->n_string_keys)
        return ot_fail(OT_EMODEL, "the keys of a map are in the field for another type");
    int64_t n = (int64_t)(words ? p->n_string_keys : p->n_keys);
    OT_TRY(ot_tensor_create(&v->keys, type, 1, &n));
    if (words)
        OT_TRY(parse_string_keys(v->keys, p));
    for (int64_t i = 0; i < n && !words; i++) {
        ot_tensor_set_int(v->keys, i, p->keys[i]);
        if (ot_tensor_get_int(v->keys, i) != p->keys[i])
            return ot_fail(OT_EMODEL, "key %lld is %lld, which is no %s", (long long)i, (long long)p->keys[i],
                           ot_dtype_name(type));
    }
    if (p->values)
        OT_TRY(parse_sequence(v, m, p->values));
    return v->n == n ? OT_OK : ot_fail(OT_EMODEL, "%lld keys have %lld values", (long long)n, (long long)v->n);
}

/* Recursion is bounded by the depth that ot_scan_message let pass. */
ot_status ot_item_parse(ot_item *v, const ot_model *m, const ProtobufCMessage *msg)
{
    *v = (ot_item){ .kind = OT_TENSOR };
    if (msg->descriptor == &onnx__tensor_proto__descriptor)
        return ot_model_tensor_copy(&v->tensor, m, (const Onnx__TensorProto *)msg);
    v->kind = msg->descriptor == &onnx__sequence_proto__descriptor   ? OT_SEQUENCE
              : msg->descriptor == &onnx__optional_proto__descriptor ? OT_OPTIONAL
                                                                     : OT_MAP;
    if (v->kind == OT_SEQUENCE)
        return parse_sequence(v, m, (const Onnx__SequenceProto *)msg);
    if (v->kind == OT_OPTIONAL)
        return parse_optional(v, m, (const Onnx__OptionalProto *)msg);
    return parse_map(v, m, (const Onnx__MapProto *)msg);
}

static ot_status parse_blob(ot_item *v, ot_blob *blob, ot_kind kind)
{
    ProtobufCMessage *msg;
    ot_model holder = { 0 };
    OT_TRY(ot_unpack(&msg, ot_item_message(kind), ot_blob_bytes(blob), ot_blob_size(blob), &holder.payloads,
                     &holder.n_payloads, blob));
    ot_status st = ot_item_parse(v, &holder, msg);
    protobuf_c_message_free_unpacked(msg, &ot_proto_alloc);
    for (int64_t i = 0; i < holder.n_payloads; i++)
        ot_blob_drop(holder.payloads[i].blob);
    ot_free(holder.payloads);
    return st;
}

ot_status ot_item_file_read(ot_item **out, const char *path, ot_kind kind)
{
    ot_blob *blob;
    *out = NULL;
    OT_TRY(ot_blob_map(&blob, path));
    ot_item *v = ot_calloc(1, sizeof(*v));
    ot_status st = v ? parse_blob(v, blob, kind) : OT_ENOMEM;
    ot_blob_drop(blob);
    if (st == OT_OK) {
        *out = v;
        return OT_OK;
    }
    ot_item_free(v);
    return ot_context(st == OT_EMODEL ? OT_EDATA : st, "%s", path);
}

/* Values of any kind as messages, and into files. */
#include "model/item_file.h"
#include "base/tensor.h"
#include "model/edit.h"

#include <string.h>

#define MOST_DEPTH 32 /* of items inside items; each is two messages at most, and OT_SCAN_DEPTH is 64 */

/* elem_type, and the field of a SequenceProto and of an OptionalProto for items of that kind. */
typedef struct place {
    int32_t elem_type;
    const char *list, *one;
} place;

static const place *place_of(ot_kind kind)
{
    static const place places[] = { [OT_TENSOR] = { 1, "tensor_values", "tensor_value" },
                                    [OT_SEQUENCE] = { 3, "sequence_values", "sequence_value" },
                                    [OT_MAP] = { 4, "map_values", "map_value" },
                                    [OT_OPTIONAL] = { 5, "optional_values", "optional_value" } };
    return &places[kind];
}

static ot_status fill(ProtobufCMessage *msg, const ot_item *v, int depth);

static ot_status check_items(const ot_item *v)
{
    for (int64_t i = 0; i < v->n; i++)
        if (v->item[i].kind != v->holds)
            return ot_fail(OT_EARG, "item %lld is of kind %d, the others of kind %d", (long long)i,
                           (int)v->item[i].kind, (int)v->holds);
    return OT_OK;
}

static ot_status fill_sequence(Onnx__SequenceProto *s, const ot_item *v, int depth)
{
    const place *p = place_of(v->holds);
    OT_TRY(check_items(v));
    s->has_elem_type = 1;
    s->elem_type = p->elem_type;
    for (int64_t i = 0; i < v->n; i++) {
        ProtobufCMessage *msg = ot_append(&s->base, p->list);
        OT_TRY(msg ? fill(msg, &v->item[i], depth + 1) : OT_ENOMEM);
    }
    return OT_OK;
}

static ot_status fill_optional(Onnx__OptionalProto *o, const ot_item *v, int depth)
{
    OT_TRY(check_items(v));
    if (v->n > 1)
        return ot_fail(OT_EARG, "an optional holds %lld items", (long long)v->n);
    o->has_elem_type = 1;
    o->elem_type = place_of(v->holds)->elem_type;
    if (!v->n)
        return OT_OK;
    ProtobufCMessage *msg = ot_new_message(ot_item_message(v->holds));
    if (!msg)
        return OT_ENOMEM;
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(o->base.descriptor, place_of(v->holds)->one);
    memcpy((char *)o + f->offset, &msg, sizeof(msg));
    return fill(msg, &v->item[0], depth + 1);
}

static ot_status fill_keys(Onnx__MapProto *m, const ot_tensor *keys)
{
    size_t n = (size_t)ot_tensor_count(keys);
    m->has_key_type = 1;
    m->key_type = (int32_t)keys->dtype;
    if (keys->dtype != OT_STRING) {
        m->keys = ot_malloc(n, sizeof(*m->keys));
        for (size_t i = 0; m->keys && i < n; i++)
            m->keys[m->n_keys++] = ot_tensor_get_int(keys, (int64_t)i);
        return m->keys ? OT_OK : OT_ENOMEM;
    }
    m->string_keys = ot_calloc(n, sizeof(*m->string_keys));
    if (!m->string_keys)
        return OT_ENOMEM;
    for (const ot_str *s = keys->data; m->n_string_keys < n; s++) {
        ProtobufCBinaryData *b = &m->string_keys[m->n_string_keys++];
        if (!(b->data = ot_malloc(s->n, 1)))
            return OT_ENOMEM;
        if (s->n)
            memcpy(b->data, s->bytes, s->n);
        b->len = s->n;
    }
    return OT_OK;
}

static ot_status fill_map(Onnx__MapProto *m, const ot_item *v, int depth)
{
    const ot_tensor *k = v->keys;
    bool words = k && k->dtype == OT_STRING;
    if (!k || k->rank != 1 || k->dim[0] != v->n ||
        (!words && (!ot_dtype_is_int(k->dtype) || ot_dtype_bits(k->dtype) < 8)))
        return ot_fail(OT_EARG, "a map of %lld items has keys of %s %s", (long long)v->n,
                       k ? ot_dtype_name(k->dtype) : "no", k ? OT_DIMS(k->rank, k->dim) : "tensor");
    OT_TRY(fill_keys(m, k));
    m->values = ot_new_message(&onnx__sequence_proto__descriptor);
    return m->values ? fill_sequence(m->values, v, depth) : OT_ENOMEM;
}

static ot_status fill(ProtobufCMessage *msg, const ot_item *v, int depth)
{
    if (depth > MOST_DEPTH)
        return ot_fail(OT_EARG, "items are nested deeper than %d", MOST_DEPTH);
    switch (v->kind) {
    case OT_SEQUENCE:
        return fill_sequence((Onnx__SequenceProto *)msg, v, depth);
    case OT_OPTIONAL:
        return fill_optional((Onnx__OptionalProto *)msg, v, depth);
    case OT_MAP:
        return fill_map((Onnx__MapProto *)msg, v, depth);
    case OT_TENSOR:
        break;
    }
    if (!v->tensor)
        return ot_fail(OT_EARG, "an item has no tensor");
    return ot_model_set_tensor(NULL, (Onnx__TensorProto *)msg, v->tensor, OT_SET_RESHAPE);
}

ot_status ot_item_build(ProtobufCMessage **out, const ot_item *v)
{
    ProtobufCMessage *msg = ot_new_message(ot_item_message(v->kind));
    *out = NULL;
    ot_status st = msg ? fill(msg, v, 0) : OT_ENOMEM;
    if (st == OT_OK)
        *out = msg;
    else if (msg)
        protobuf_c_message_free_unpacked(msg, &ot_proto_alloc);
    return st;
}

ot_status ot_item_file_write(const char *path, const ot_item *v)
{
    ProtobufCMessage *msg;
    OT_TRY(ot_item_build(&msg, v));
    size_t n = protobuf_c_message_get_packed_size(msg);
    uint8_t *bytes = ot_malloc(n, 1);
    ot_status st = bytes ? OT_OK : OT_ENOMEM;
    if (st == OT_OK) {
        protobuf_c_message_pack(msg, bytes);
        st = ot_file_write(path, bytes, n);
    }
    protobuf_c_message_free_unpacked(msg, &ot_proto_alloc);
    ot_free(bytes);
    return st;
}

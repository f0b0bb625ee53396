/* Setting the values of a model's tensors, visiting them all, and cloning a model. */
#include "model/model.h"
#include "base/tensor.h"
#include "model/edit.h"
#include "model/scan.h"

#include <stdio.h>
#include <string.h>

/* ---- Visiting ---------------------------------------------------------------------------------------------- */

static ot_status each(ProtobufCMessage *msg, ot_status (*fn)(void *, Onnx__TensorProto *), void *ctx);

static ot_status each_in_field(ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f,
                               ot_status (*fn)(void *, Onnx__TensorProto *), void *ctx)
{
    ProtobufCMessage *one = NULL, **items = &one;
    size_t n = 1;
    const char *at = (const char *)msg + f->offset;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        memcpy(&n, (const char *)msg + f->quantifier_offset, sizeof(n));
        memcpy(&items, at, sizeof(items));
    } else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        return OT_OK; /* types and dims: no tensors below */
    } else {
        memcpy(&one, at, sizeof(one));
    }
    for (size_t i = 0; i < n; i++)
        if (items[i])
            OT_TRY(each(items[i], fn, ctx));
    return OT_OK;
}

/* Recursion is bounded by the depth that ot_scan_message let pass, and by our own code for what was added. */
static ot_status each(ProtobufCMessage *msg, ot_status (*fn)(void *, Onnx__TensorProto *), void *ctx)
{
    const ProtobufCMessageDescriptor *d = msg->descriptor;
    if (d == &onnx__tensor_proto__descriptor)
        return fn(ctx, (Onnx__TensorProto *)msg);
    for (unsigned i = 0; i < d->n_fields; i++)
        if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            OT_TRY(each_in_field(msg, &d->fields[i], fn, ctx));
    return OT_OK;
}

ot_status ot_each_tensor(ProtobufCMessage *msg, ot_status (*fn)(void *ctx, Onnx__TensorProto *t), void *ctx)
{
    return each(msg, fn, ctx);
}

/* ---- Values ------------------------------------------------------------------------------------------------ */

/* The new state of t, made aside so that a failure leaves t alone: type, dims and room for t's unknown fields and one
 * more. */
static Onnx__TensorProto *new_state(const Onnx__TensorProto *t, int32_t dtype, size_t rank, const int64_t *dim)
{
    Onnx__TensorProto *f = ot_new_message(&onnx__tensor_proto__descriptor);
    if (!f)
        return NULL;
    f->has_data_type = 1;
    f->data_type = dtype;
    f->dims = ot_malloc(rank, sizeof(*f->dims));
    f->base.unknown_fields = ot_malloc((size_t)t->base.n_unknown_fields + 1, sizeof(*f->base.unknown_fields));
    if (!f->dims || !f->base.unknown_fields) {
        protobuf_c_message_free_unpacked(&f->base, &ot_proto_alloc);
        return NULL;
    }
    if (rank)
        memcpy(f->dims, dim, rank * sizeof(*dim));
    f->n_dims = rank;
    return f;
}

/* Swaps the state in and frees the old one; cannot fail. */
static void commit_state(ot_model *m, Onnx__TensorProto *t, Onnx__TensorProto *f)
{
    const ot_payload *p = ot_model_payload(m, t);
    if (p) {
        ot_payload *old = &m->payloads[p - m->payloads];
        ot_blob_drop(old->blob);
        *old = (ot_payload){ 0 };
    }
    for (unsigned i = 0; i < t->base.n_unknown_fields; i++) {
        ProtobufCMessageUnknownField *u = &t->base.unknown_fields[i];
        if (u->tag == OT_CUT_FIELD)
            continue;
        f->base.unknown_fields[f->base.n_unknown_fields++] = *u;
        u->data = NULL;
    }
    f->name = t->name;
    f->doc_string = t->doc_string;
    f->n_metadata_props = t->n_metadata_props;
    f->metadata_props = t->metadata_props;
    t->name = t->doc_string = NULL;
    t->n_metadata_props = 0;
    t->metadata_props = NULL;
    Onnx__TensorProto old = *t;
    *t = *f;
    *f = old;
    protobuf_c_message_free_unpacked(&f->base, &ot_proto_alloc);
}

/* Gives f the bytes of p; takes over the reference when it succeeds. */
static ot_status attach(ot_model *m, Onnx__TensorProto *f, ot_payload p)
{
    if (m->n_payloads > UINT32_MAX)
        return ot_fail(OT_EUNSUPPORTED, "more than 2^32 tensors");
    OT_TRY(ot_grow(&m->payloads, m->n_payloads, &m->cap_payloads, sizeof(*m->payloads)));
    uint8_t *index = ot_malloc(4, 1);
    if (!index)
        return OT_ENOMEM;
    for (int i = 0; i < 4; i++)
        index[i] = (uint8_t)((uint64_t)m->n_payloads >> 8 * i);
    f->base.unknown_fields[f->base.n_unknown_fields++] =
        (ProtobufCMessageUnknownField){ OT_CUT_FIELD, PROTOBUF_C_WIRE_TYPE_32BIT, 4, index };
    m->payloads[m->n_payloads++] = p;
    return OT_OK;
}

static ot_status give_strings(Onnx__TensorProto *f, const ot_tensor *v)
{
    size_t n = (size_t)ot_tensor_count(v);
    const ot_str *s = v->data;
    f->string_data = ot_calloc(n, sizeof(*f->string_data));
    if (!f->string_data)
        return OT_ENOMEM;
    for (; f->n_string_data < n; f->n_string_data++, s++) {
        ProtobufCBinaryData *b = &f->string_data[f->n_string_data];
        if (!(b->data = ot_malloc(s->n, 1)))
            return OT_ENOMEM;
        if (s->n)
            memcpy(b->data, s->bytes, s->n);
        b->len = s->n;
    }
    return OT_OK;
}

static ot_status give_value(ot_model *m, Onnx__TensorProto *f, const ot_tensor *v)
{
    size_t n = ot_tensor_bytes(v);
    if (v->dtype == OT_STRING)
        return give_strings(f, v);
    if (m && n >= OT_CUT_BYTES) {
        ot_payload p = { NULL, 0, n };
        OT_TRY(ot_blob_copy(&p.blob, v->data, n));
        ot_status st = attach(m, f, p);
        if (st != OT_OK)
            ot_blob_drop(p.blob);
        return st;
    }
    if (!(f->raw_data.data = ot_malloc(n, 1)))
        return OT_ENOMEM;
    if (n)
        memcpy(f->raw_data.data, v->data, n);
    f->raw_data.len = n;
    f->has_raw_data = 1;
    return OT_OK;
}

ot_status ot_model_set_tensor(ot_model *m, Onnx__TensorProto *t, const ot_tensor *v, int flags)
{
    bool same = t->data_type == (int32_t)v->dtype && t->n_dims == (size_t)v->rank;
    for (int i = 0; same && i < v->rank; i++)
        same = t->dims[i] == v->dim[i];
    if (!same && !(flags & OT_SET_RESHAPE))
        return ot_fail(OT_ESHAPE, "tensor '%s': the new value is %s of %s, not what it was", ot_text(t->name),
                       OT_DIMS(v->rank, v->dim), ot_dtype_name(v->dtype));
    Onnx__TensorProto *f = new_state(t, (int32_t)v->dtype, (size_t)v->rank, v->dim);
    if (!f)
        return OT_ENOMEM;
    ot_status st = give_value(m, f, v);
    if (st == OT_OK)
        commit_state(m, t, f);
    else
        protobuf_c_message_free_unpacked(&f->base, &ot_proto_alloc);
    return st;
}

ot_status ot_model_set_initializer(ot_model *m, const char *name, const ot_tensor *v, int flags)
{
    Onnx__TensorProto *t = ot_model_find_initializer(m, name);
    return t ? ot_model_set_tensor(m, t, v, flags) : ot_fail(OT_EARG, "the model has no initializer '%s'", name);
}

static ot_status embed(void *ctx, Onnx__TensorProto *t)
{
    ot_model *m = ctx;
    ot_payload p;
    if (t->data_location != 1)
        return OT_OK;
    ot_status st = ot_external_find(m, t, &p);
    if (st != OT_OK)
        return ot_context(st, "tensor '%s'", ot_text(t->name));
    Onnx__TensorProto *f = new_state(t, t->data_type, t->n_dims, t->dims);
    if (!f)
        return OT_ENOMEM;
    f->has_data_type = t->has_data_type;
    st = attach(m, f, p);
    if (st == OT_OK) {
        ot_blob_keep(p.blob);
        commit_state(m, t, f);
    } else {
        protobuf_c_message_free_unpacked(&f->base, &ot_proto_alloc);
    }
    return st;
}

ot_status ot_model_embed_external(ot_model *m)
{
    return ot_each_tensor(&m->proto->base, embed, m);
}

static ot_status add_entry(Onnx__TensorProto *f, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *e = ot_append(&f->base, "external_data");
    if (!e)
        return OT_ENOMEM;
    OT_TRY(ot_set_string(&e->key, key));
    return ot_set_string(&e->value, value);
}

ot_status ot_model_set_external(ot_model *m, Onnx__TensorProto *t, const char *location, uint64_t offset, size_t n)
{
    char from[24], length[24];
    snprintf(from, sizeof(from), "%llu", (unsigned long long)offset);
    snprintf(length, sizeof(length), "%zu", n);
    Onnx__TensorProto *f = new_state(t, t->data_type, t->n_dims, t->dims);
    if (!f)
        return OT_ENOMEM;
    f->has_data_location = 1;
    f->data_location = 1;
    ot_status st = add_entry(f, "location", location);
    if (st == OT_OK)
        st = add_entry(f, "offset", from);
    if (st == OT_OK)
        st = add_entry(f, "length", length);
    if (st == OT_OK)
        commit_state(m, t, f);
    else
        protobuf_c_message_free_unpacked(&f->base, &ot_proto_alloc);
    return st;
}

/* ---- Clones ------------------------------------------------------------------------------------------------ */

static ot_status copy_payloads(ot_model *c, const ot_model *m)
{
    c->payloads = ot_calloc((size_t)m->n_payloads, sizeof(*c->payloads));
    if (!c->payloads)
        return OT_ENOMEM;
    for (; c->n_payloads < m->n_payloads; c->n_payloads++) {
        ot_payload *p = &c->payloads[c->n_payloads];
        *p = m->payloads[c->n_payloads];
        if (p->blob)
            ot_blob_keep(p->blob);
    }
    c->cap_payloads = c->n_payloads;
    return OT_OK;
}

ot_status ot_proto_copy(ProtobufCMessage **out, const ProtobufCMessage *msg)
{
    *out = NULL;
    size_t n = protobuf_c_message_get_packed_size(msg);
    uint8_t *bytes = ot_malloc(n, 1);
    if (!bytes)
        return OT_ENOMEM;
    protobuf_c_message_pack(msg, bytes);
    *out = protobuf_c_message_unpack(msg->descriptor, &ot_proto_alloc, n, bytes);
    ot_free(bytes);
    return *out ? OT_OK : OT_ENOMEM; /* what came from a struct of ours can be read again, but for want of memory */
}

ot_status ot_model_clone(ot_model **out, const ot_model *m)
{
    ProtobufCMessage *proto = NULL;
    ot_model *c = ot_calloc(1, sizeof(*c));
    *out = NULL;
    if (!c)
        return OT_ENOMEM;
    ot_status st = ot_proto_copy(&proto, &m->proto->base);
    c->proto = (Onnx__ModelProto *)proto;
    if (st == OT_OK)
        st = copy_payloads(c, m);
    if (st == OT_OK)
        st = ot_externals_create(&c->externals);
    if (st == OT_OK && m->path && !(c->path = ot_strdup(m->path)))
        st = OT_ENOMEM;
    if (st != OT_OK) {
        ot_model_close(c);
        return st;
    }
    *out = c;
    return OT_OK;
}

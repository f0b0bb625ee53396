#include "model/scan.h"
#include "model/wire.h"

#include "onnx.pb-c.h"

#include <string.h>

typedef struct walk {
    ot_scan *out;
    const uint8_t *bytes;
    size_t cap;
    int64_t cap_cuts, pieces; /* messages, strings, unknown fields: each becomes a block of memory */
    bool cut;
} walk;

static ot_status bad(const walk *w, const uint8_t *at, const ProtobufCMessageDescriptor *d,
                     const ProtobufCFieldDescriptor *f, const char *what)
{
    return ot_fail(OT_EMODEL, "byte %zu, %s%s%s: %s", (size_t)(at - w->bytes), d->short_name, f ? "." : "",
                   f ? f->name : "", what);
}

static ot_status emit(walk *w, const void *p, size_t n)
{
    ot_scan *s = w->out;
    if (n > w->cap - s->n) {
        size_t cap = w->cap + w->cap / 2 + n + 256;
        uint8_t *grown = ot_realloc(s->skeleton, cap, 1);
        if (!grown)
            return OT_ENOMEM;
        s->skeleton = grown;
        w->cap = cap;
    }
    if (n)
        memcpy(s->skeleton + s->n, p, n);
    s->n += n;
    return OT_OK;
}

/* Well-formed UTF-8 without a zero byte: no overlong forms, no surrogates, at most U+10FFFF. */
static bool is_text(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint8_t c = p[i++];
        if (c > 0 && c < 0x80)
            continue;
        int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
        if (c < 0xC2 || c > 0xF4 || n - i < (size_t)more)
            return false;
        uint8_t lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        if (p[i] < lo || p[i] > hi)
            return false;
        for (int k = 1; k < more; k++)
            if (p[i + (size_t)k] >> 6 != 2)
                return false;
        i += (size_t)more;
    }
    return true;
}

static int wire_type(ProtobufCType t)
{
    switch (t) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return OT_WIRE_32;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return OT_WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return OT_WIRE_BYTES;
    default:
        return OT_WIRE_VARINT;
    }
}

static bool packed_is_whole(int type, const ot_wire *f)
{
    if (type != OT_WIRE_VARINT)
        return f->n % (type == OT_WIRE_64 ? 8 : 4) == 0;
    uint64_t v;
    const uint8_t *p = f->data, *end = p + f->n;
    while (p && p < end)
        p = *p < 128 ? p + 1 : ot_varint_get(&v, p, end);
    return p != NULL;
}

/* NULL, or what is wrong with a known field; `seen` has a bit for each field of the message met so far. */
static const char *check_field(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *fd,
                               const ot_wire *f, uint64_t *seen)
{
    int type = wire_type(fd->type);
    bool repeated = fd->label == PROTOBUF_C_LABEL_REPEATED;
    if (f->type != type && !(repeated && f->type == OT_WIRE_BYTES))
        return "the field has a wrong wire type";
    if (f->type != type && !packed_is_whole(type, f))
        return "the last number of a packed list is cut off";
    if (fd->type == PROTOBUF_C_TYPE_STRING && !is_text(f->data, f->n))
        return "the string is not UTF-8 or holds a zero byte";
    if (repeated)
        return NULL;
    for (unsigned i = 0; i < d->n_fields && i < 64; i++) {
        const ProtobufCFieldDescriptor *other = &d->fields[i];
        bool same = other == fd, rival = !same && fd->flags & other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
                                         other->quantifier_offset == fd->quantifier_offset;
        if (*seen >> i & 1 && (same || rival))
            return same ? "the field is given twice" : "two fields are given of which only one may be";
        if (same)
            *seen |= UINT64_C(1) << i;
    }
    return NULL;
}

/* Replaces a raw_data field by its stand-in. */
static ot_status emit_cut(walk *w, const ot_wire *f)
{
    ot_scan *s = w->out;
    OT_TRY(ot_grow(&s->cuts, s->n_cuts, &w->cap_cuts, sizeof(*s->cuts)));
    uint8_t ref[OT_VARINT_MAX + 4];
    size_t n = ot_varint_put(ref, (uint64_t)OT_CUT_FIELD << 3 | OT_WIRE_32);
    for (int i = 0; i < 4; i++)
        ref[n++] = (uint8_t)((uint64_t)s->n_cuts >> 8 * i);
    s->cuts[s->n_cuts++] = (ot_cut){ (size_t)(f->data - w->bytes), f->n };
    return emit(w, ref, n);
}

static ot_status walk_message(walk *w, const ProtobufCMessageDescriptor *d, const uint8_t *p, const uint8_t *end,
                              int depth);

/* A message inside another: its length in the skeleton is known only afterwards. */
static ot_status walk_nested(walk *w, const ProtobufCFieldDescriptor *fd, const ot_wire *f, int depth)
{
    uint8_t head[2 * OT_VARINT_MAX];
    size_t n = ot_varint_put(head, (uint64_t)f->id << 3 | OT_WIRE_BYTES), at = w->out->n;
    size_t room = n + ot_varint_put(head + n, f->n);
    OT_TRY(emit(w, head, room));
    OT_TRY(walk_message(w, fd->descriptor, f->data, f->data + f->n, depth + 1));
    size_t body = w->out->n - at - room, now = n + ot_varint_put(head + n, body);
    uint8_t *s = w->out->skeleton + at; /* cutting only shortens: now <= room */
    memcpy(s, head, now);
    if (now < room) {
        memmove(s + now, s + room, body);
        w->out->n -= room - now;
    }
    return OT_OK;
}

static ot_status walk_message(walk *w, const ProtobufCMessageDescriptor *d, const uint8_t *p, const uint8_t *end,
                              int depth)
{
    uint64_t seen = 0;
    ot_wire f;
    if (depth > OT_SCAN_DEPTH)
        return ot_fail(OT_EMODEL, "byte %zu, %s: messages are nested deeper than %d", (size_t)(p - w->bytes),
                       d->short_name, OT_SCAN_DEPTH);
    for (; p < end; p = f.data + f.n) {
        const char *why = ot_wire_next(&f, p, end);
        if (why)
            return bad(w, p, d, NULL, why);
        if (f.id == OT_CUT_FIELD)
            return bad(w, p, d, NULL, "field number 536870911 is reserved");
        const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(d, f.id);
        why = fd ? check_field(d, fd, &f, &seen) : NULL;
        if (why)
            return bad(w, p, d, fd, why);
        if ((f.type == OT_WIRE_BYTES || !fd) && ++w->pieces > OT_SCAN_PIECES)
            return ot_fail(OT_EMODEL, "byte %zu, %s: more than %d messages and strings", (size_t)(p - w->bytes),
                           d->short_name, OT_SCAN_PIECES);
        if (fd && fd->type == PROTOBUF_C_TYPE_MESSAGE)
            OT_TRY(walk_nested(w, fd, &f, depth));
        else if (w->cut && fd && f.n >= OT_CUT_BYTES && d == &onnx__tensor_proto__descriptor &&
                 fd->offset == offsetof(Onnx__TensorProto, raw_data))
            OT_TRY(emit_cut(w, &f));
        else
            OT_TRY(emit(w, f.start, (size_t)(f.data + f.n - f.start)));
    }
    return OT_OK;
}

ot_status ot_scan_message(ot_scan *out, const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t n, bool cut)
{
    *out = (ot_scan){ 0 };
    walk w = { .out = out, .bytes = bytes, .cut = cut };
    ot_status st = walk_message(&w, d, bytes, bytes + n, 1);
    if (st == OT_OK && out->n > INT32_MAX)
        st = ot_fail(OT_EUNSUPPORTED, "%zu bytes remain besides the raw tensor data, more than 2^31 - 1", out->n);
    if (st == OT_OK)
        st = emit(&w, "", 0);
    if (st != OT_OK)
        ot_scan_release(out);
    return st;
}

void ot_scan_release(ot_scan *s)
{
    ot_free(s->skeleton);
    ot_free(s->cuts);
    *s = (ot_scan){ 0 };
}

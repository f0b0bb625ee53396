#include "model/scan.h"
#include "model/wire.h"

#define RAW_DATA 9 /* TensorProto's field number */

/* Sizes of the messages once expanded, in the order in which they begin; the second pass takes them in that order. */
typedef struct sizes {
    size_t *size;
    int64_t n, cap, next;
} sizes;

static uint32_t cut_index(const ot_wire *f)
{
    return (uint32_t)f->data[0] | (uint32_t)f->data[1] << 8 | (uint32_t)f->data[2] << 16 | (uint32_t)f->data[3] << 24;
}

static bool is_cut(const ot_wire *f)
{
    return f->id == OT_CUT_FIELD && f->type == OT_WIRE_32;
}

static const ProtobufCMessageDescriptor *nested(const ProtobufCMessageDescriptor *d, const ot_wire *f)
{
    const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(d, f->id);
    return fd && fd->type == PROTOBUF_C_TYPE_MESSAGE && f->type == OT_WIRE_BYTES ? fd->descriptor : NULL;
}

/* Key and length of a field of n bytes; at most 2 * OT_VARINT_MAX. */
static size_t head(uint8_t *p, uint32_t id, size_t n)
{
    size_t k = ot_varint_put(p, (uint64_t)id << 3 | OT_WIRE_BYTES);
    return k + ot_varint_put(p + k, n);
}

static ot_status next_field(ot_wire *f, const uint8_t *p, const uint8_t *end, int depth)
{
    if (depth > 2 * OT_SCAN_DEPTH)
        return ot_fail(OT_EMODEL, "messages are nested deeper than %d", 2 * OT_SCAN_DEPTH);
    const char *why = ot_wire_next(f, p, end);
    return why ? ot_fail(OT_EMODEL, "while saving: %s", why) : OT_OK;
}

static ot_status measure(const ot_expand *e, sizes *s, const ProtobufCMessageDescriptor *d, const uint8_t *p,
                         const uint8_t *end, int depth)
{
    uint8_t text[2 * OT_VARINT_MAX];
    ot_wire f;
    size_t total = 0;
    OT_TRY(ot_grow(&s->size, s->n, &s->cap, sizeof(*s->size)));
    int64_t me = s->n++;
    for (; p < end; p = f.data + f.n) {
        OT_TRY(next_field(&f, p, end, depth));
        const ProtobufCMessageDescriptor *sub = nested(d, &f);
        size_t n = (size_t)(f.data + f.n - f.start), value = 0;
        if (sub) {
            int64_t child = s->n;
            OT_TRY(measure(e, s, sub, f.data, f.data + f.n, depth + 1));
            value = s->size[child];
            n = head(text, f.id, value);
        } else if (is_cut(&f)) {
            const uint8_t *bytes;
            OT_TRY(e->find(e->ctx, cut_index(&f), &bytes, &value));
            n = head(text, RAW_DATA, value);
        }
        if (!ot_add(&total, total, n) || !ot_add(&total, total, value))
            return ot_fail(OT_EUNSUPPORTED, "the model is too large to be one file");
    }
    s->size[me] = total;
    return OT_OK;
}

static ot_status copy(const ot_expand *e, sizes *s, const ProtobufCMessageDescriptor *d, const uint8_t *p,
                      const uint8_t *end, int depth)
{
    uint8_t text[2 * OT_VARINT_MAX];
    ot_wire f;
    s->next++;
    for (; p < end; p = f.data + f.n) {
        OT_TRY(next_field(&f, p, end, depth));
        const ProtobufCMessageDescriptor *sub = nested(d, &f);
        if (sub) {
            OT_TRY(e->put(e->ctx, text, head(text, f.id, s->size[s->next])));
            OT_TRY(copy(e, s, sub, f.data, f.data + f.n, depth + 1));
        } else if (is_cut(&f)) {
            const uint8_t *bytes;
            size_t n;
            OT_TRY(e->find(e->ctx, cut_index(&f), &bytes, &n));
            OT_TRY(e->put(e->ctx, text, head(text, RAW_DATA, n)));
            OT_TRY(e->put(e->ctx, bytes, n));
        } else {
            OT_TRY(e->put(e->ctx, f.start, (size_t)(f.data + f.n - f.start)));
        }
    }
    return OT_OK;
}

ot_status ot_expand_message(const ot_expand *e, const uint8_t *skeleton, size_t n)
{
    sizes s = { 0 };
    ot_status st = measure(e, &s, e->root, skeleton, skeleton + n, 1);
    if (st == OT_OK)
        st = copy(e, &s, e->root, skeleton, skeleton + n, 1);
    ot_free(s.size);
    return st;
}

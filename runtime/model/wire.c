#include "model/wire.h"

const uint8_t *ot_varint_get(uint64_t *v, const uint8_t *p, const uint8_t *end)
{
    *v = 0;
    for (int i = 0; i < OT_VARINT_MAX && p < end; i++, p++) {
        if (i == OT_VARINT_MAX - 1 && *p > 1)
            return NULL;
        *v |= (uint64_t)(*p & 127) << 7 * i;
        if (*p < 128)
            return p + 1;
    }
    return NULL;
}

size_t ot_varint_put(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    for (; v > 127; v >>= 7)
        p[n++] = (uint8_t)(v | 128);
    p[n++] = (uint8_t)v;
    return n;
}

const char *ot_wire_next(ot_wire *f, const uint8_t *p, const uint8_t *end)
{
    uint64_t key;
    f->start = p;
    f->value = 0;
    p = ot_varint_get(&key, p, end);
    if (!p)
        return "the key of a field is cut off or too long";
    if (key >> 3 == 0 || key >> 3 > 536870911)
        return "a field number is outside 1..536870911";
    f->id = (uint32_t)(key >> 3);
    f->type = (int)(key & 7);
    f->data = p;
    size_t left = (size_t)(end - p);
    switch (f->type) {
    case OT_WIRE_VARINT:
        p = ot_varint_get(&f->value, p, end);
        if (!p)
            return "a number is cut off or longer than 64 bits";
        f->n = (size_t)(p - f->data);
        return NULL;
    case OT_WIRE_64:
    case OT_WIRE_32:
        f->n = f->type == OT_WIRE_64 ? 8 : 4;
        return f->n <= left ? NULL : "a number is cut off";
    case OT_WIRE_BYTES: {
        uint64_t n;
        p = ot_varint_get(&n, p, end);
        if (!p)
            return "a length is cut off or longer than 64 bits";
        if (n > (uint64_t)(end - p))
            return "a length passes the end of what holds it";
        f->data = p;
        f->n = (size_t)n;
        return NULL;
    }
    default:
        return "a field has a wire type that ONNX does not use";
    }
}

/* The wire format of Protocol Buffers, one field at a time, every length checked. */
#ifndef OT_MODEL_WIRE_H
#define OT_MODEL_WIRE_H

#include "base/alloc.h"

enum { OT_WIRE_VARINT = 0, OT_WIRE_64 = 1, OT_WIRE_BYTES = 2, OT_WIRE_32 = 5 };

/* One field as it lies in the buffer: [start, data) is the key and, for OT_WIRE_BYTES, the length; [data, data + n)
 * is the value, and the next field begins there. */
typedef struct ot_wire {
    uint32_t id; /* 1 .. 2^29 - 1 */
    int type;
    uint64_t value; /* of a varint */
    const uint8_t *start, *data;
    size_t n;
} ot_wire;

/* Reads the field at p < end; NULL, or what is wrong with it. */
const char *ot_wire_next(ot_wire *f, const uint8_t *p, const uint8_t *end);

#define OT_VARINT_MAX 10
/* The byte after the varint, or NULL when it is cut off or longer than 64 bits. */
const uint8_t *ot_varint_get(uint64_t *v, const uint8_t *p, const uint8_t *end);
/* Writes 1 .. OT_VARINT_MAX bytes; says how many. */
size_t ot_varint_put(uint8_t *p, uint64_t v);

#endif

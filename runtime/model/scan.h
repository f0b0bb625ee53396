/* The first look at a file: walks the wire data of a message, driven by protobuf-c's descriptors, before protobuf-c
 * may see it.  protobuf-c recurses without limit, copies every field and cuts strings at a zero byte; what passes here
 * is safe for it.  Large raw tensor bytes are cut out, so that it copies only a small skeleton. */
#ifndef OT_MODEL_SCAN_H
#define OT_MODEL_SCAN_H

#include "base/alloc.h"

#include <protobuf-c/protobuf-c.h>

#define OT_SCAN_DEPTH  64         /* messages inside each other */
#define OT_SCAN_PIECES 16000000   /* messages and strings in a file: one of 2 bytes costs some 500 of memory */
#define OT_CUT_BYTES   1024       /* raw_data of this many bytes or more is cut out */
#define OT_CUT_FIELD   536870911u /* stands in the skeleton's TensorProto: fixed32, the index into cuts */

typedef struct ot_cut {
    size_t offset, n; /* of the bytes, in the buffer that was scanned */
} ot_cut;

typedef struct ot_scan {
    uint8_t *skeleton; /* n bytes, owned: the message with raw_data fields replaced by OT_CUT_FIELD */
    size_t n;
    ot_cut *cuts; /* owned */
    int64_t n_cuts;
} ot_scan;

/* Checks the message of type d in `bytes` and makes its skeleton; with `cut` false nothing is cut out.
 * OT_EMODEL, with the place: a length or number out of bounds, a known field of the wrong wire type, a singular field
 * given twice, a string that is no UTF-8 or holds a zero byte, too deep, too many, OT_CUT_FIELD in the file. */
ot_status ot_scan_message(ot_scan *out, const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t n, bool cut);
void ot_scan_release(ot_scan *s);

/* The reverse: writes the skeleton with each OT_CUT_FIELD replaced by the raw_data that `find` gives for its index.
 * `put` gets the pieces in order.  The skeleton must be one that protobuf-c packed from our own structs. */
typedef struct ot_expand {
    const ProtobufCMessageDescriptor *root;
    ot_status (*find)(void *ctx, uint32_t index, const uint8_t **bytes, size_t *n);
    ot_status (*put)(void *ctx, const void *bytes, size_t n);
    void *ctx;
} ot_expand;

ot_status ot_expand_message(const ot_expand *e, const uint8_t *skeleton, size_t n);

#endif

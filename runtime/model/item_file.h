/* Sequences, optionals and maps as messages of their own. */
#ifndef OT_MODEL_ITEM_FILE_H
#define OT_MODEL_ITEM_FILE_H

#include "model/model.h"

/* The message that a value of this kind is in a file. */
const ProtobufCMessageDescriptor *ot_item_message(ot_kind kind);
/* The kind that elem_type of a SequenceProto or OptionalProto says; OT_TENSOR for sparse tensors and 0. */
ot_status ot_item_kind(ot_kind *out, int32_t elem_type);

/* Fills *v from a message of that kind; v is to be released with ot_item_release whatever comes. */
ot_status ot_item_parse(ot_item *v, const ot_model *m, const ProtobufCMessage *msg);
void ot_item_release(ot_item *v);

/* A new message of v; protobuf_c_message_free_unpacked(.., &ot_proto_alloc). */
ot_status ot_item_build(ProtobufCMessage **out, const ot_item *v);

#endif

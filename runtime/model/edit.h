/* Changing a document: all memory comes from ot_proto_alloc, so that closing the model frees it.  A change that fails
 * for want of memory leaves the message as it was. */
#ifndef OT_MODEL_EDIT_H
#define OT_MODEL_EDIT_H

#include "model/model.h"

/* ---- Any message ------------------------------------------------------------------------------------------- */

/* A new element at the end of a repeated message field, all its fields absent; NULL when memory ran out (or the field
 * is not a repeated message of msg). */
void *ot_append(ProtobufCMessage *msg, const char *field);
/* Frees element i of a repeated message field and closes the gap. */
void ot_remove(ProtobufCMessage *msg, const char *field, int64_t i);
/* A new message of type d; free it with protobuf_c_message_free_unpacked(.., &ot_proto_alloc) unless a parent owns it.
 */
void *ot_new_message(const ProtobufCMessageDescriptor *d);

/* Replaces a string field by a copy of value; NULL makes it absent. */
ot_status ot_set_string(char **field, const char *value);
/* One string more in a repeated string field. */
ot_status ot_append_string(size_t *n, char ***list, const char *value);

#endif

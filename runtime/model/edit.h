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
/* Element `from` of a repeated message field goes to place `to`; the ones between close up. */
void ot_move(ProtobufCMessage *msg, const char *field, int64_t from, int64_t to);

/* ---- Nodes ------------------------------------------------------------------------------------------------- */

/* A new node at the end of g; NULL when memory ran out.  Names are copied; "" leaves an input out. */
Onnx__NodeProto *ot_append_node(Onnx__GraphProto *g, const char *op, const char *name, int n_in, const char *const *in,
                                int n_out, const char *const *out);

/* The attribute of this name, or NULL. */
Onnx__AttributeProto *ot_node_attr(const Onnx__NodeProto *node, const char *name);
/* The value, or `otherwise` when the node has no such attribute of that type. */
int64_t ot_node_int(const Onnx__NodeProto *node, const char *name, int64_t otherwise);
double ot_node_float(const Onnx__NodeProto *node, const char *name, double otherwise);
/* Each sets or replaces the attribute. */
ot_status ot_node_set_int(Onnx__NodeProto *node, const char *name, int64_t value);
ot_status ot_node_set_float(Onnx__NodeProto *node, const char *name, float value);
ot_status ot_node_set_string(Onnx__NodeProto *node, const char *name, const char *value);
ot_status ot_node_set_ints(Onnx__NodeProto *node, const char *name, int n, const int64_t *value);
/* m is the model that the node belongs to. */
ot_status ot_node_set_tensor(ot_model *m, Onnx__NodeProto *node, const char *name, const ot_tensor *value);
void ot_node_remove_attr(Onnx__NodeProto *node, const char *name);

/* ---- A new document: IR version 8, an empty graph, one import of the default operator set ---- */
ot_status ot_model_empty(ot_model **out, int64_t opset);

/* ---- The main graph ---------------------------------------------------------------------------------------- */

/* A new initializer with a copy of t; with an IR version under 4 also the graph input that it must have there.
 * OT_EARG: the name is taken. */
ot_status ot_model_add_initializer(ot_model *m, const char *name, const ot_tensor *t);
/* Removes it, the input of its name, and its bytes. */
void ot_model_remove_initializer(ot_model *m, int64_t i);

/* A dimension of an input or output: a number, or a name where `param` is not NULL; a number < 0 is unknown. */
typedef struct ot_doc_dim {
    int64_t size;
    const char *param;
} ot_doc_dim;
/* Replaces v's type by a tensor of this type and shape. */
ot_status ot_set_value_type(Onnx__ValueInfoProto *v, ot_dtype dtype, int rank, const ot_doc_dim *dim);
/* A new graph output; NULL when memory ran out. */
Onnx__ValueInfoProto *ot_append_output(Onnx__GraphProto *g, const char *name, ot_dtype dtype, int rank,
                                       const ot_doc_dim *dim);

/* Sets or adds the import of an operator set. */
ot_status ot_model_set_opset(ot_model *m, const char *domain, int64_t version);

/* `base`, or base_1, base_2, ...: the first that no value and no node of g or of its subgraphs has; ot_free it. */
char *ot_unique_name(const Onnx__GraphProto *g, const char *base);

#endif

/* A model as a document: what protobuf-c unpacked, and the large tensor bytes that stay where they are (in the mapped
 * file, or in a block of the model's own).  Everything else in runtime/ reaches a model through this header. */
#ifndef OT_MODEL_MODEL_H
#define OT_MODEL_MODEL_H

#include "base/alloc.h"

#include "onnx.pb-c.h"

#define OT_NEWEST_IR 14 /* the newest IR version that is read */

/* Bytes that several models may share: a mapped file, or a block of memory. */
typedef struct ot_blob ot_blob;

ot_status ot_blob_map(ot_blob **out, const char *path);
/* A regular file that is open for reading; `name` is for messages. */
ot_status ot_blob_map_fd(ot_blob **out, int fd, const char *name);
ot_status ot_blob_copy(ot_blob **out, const void *bytes, size_t n);
ot_blob *ot_blob_keep(ot_blob *b); /* one reference more */
void ot_blob_drop(ot_blob *b);     /* one less; NULL is fine */
const uint8_t *ot_blob_bytes(const ot_blob *b);
size_t ot_blob_size(const ot_blob *b);
void ot_blob_rest(const ot_blob *b); /* see ot_model_rest */

/* The raw_data of one TensorProto, cut out of it: bytes [offset, offset + n) of the blob. */
typedef struct ot_payload {
    ot_blob *blob; /* NULL: no longer used */
    size_t offset, n;
} ot_payload;

struct ot_model {
    Onnx__ModelProto *proto; /* never NULL, nor is proto->graph; all memory from ot_proto_alloc */
    ot_payload *payloads;
    int64_t n_payloads, cap_payloads;
    struct ot_externals *externals; /* files of external data opened so far */
    char *path;                     /* NULL: from memory */
};

/* protobuf-c leaves a string that is not in the file NULL. */
static inline const char *ot_text(const char *s)
{
    return s ? s : "";
}

/* "", "ai.onnx" and NULL are the same domain. */
bool ot_same_domain(const char *a, const char *b);

/* The allocator of every proto in a model. */
extern ProtobufCAllocator ot_proto_alloc;

/* Checks and unpacks a message of type d; large raw_data is cut out into *payloads, views of `blob` (one reference
 * each), when payloads is not NULL.  OT_EMODEL as ot_scan_message says. */
ot_status ot_unpack(ProtobufCMessage **out, const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t n,
                    ot_payload **payloads, int64_t *n_payloads, ot_blob *blob);

/* As ot_model_open, but the model may have no graph, any IR version and any imports: for ot_model_check_file. */
ot_status ot_model_read(ot_model **out, const char *path);

/* The cut-out bytes of t, or NULL when it has none. */
const ot_payload *ot_model_payload(const ot_model *m, const Onnx__TensorProto *t);

/* A view of t's value: straight onto the bytes where they are raw and aligned for the type (*owned false; it dies with
 * the model or the next change of t), else decoded into new memory (*owned true: release with ot_tensor_release).
 * m may be NULL for a tensor that belongs to no model.  External data is mapped and kept open by the model.
 * OT_EMODEL: no type, a rank over OT_MAX_RANK, sizes that do not fit the dims, a value given twice or not at all, a
 * number outside its type, an external file that is missing, outside the model's folder or too short.
 * OT_EUNSUPPORTED: an element type that is not known, a segment.  The text begins with the tensor's name. */
ot_status ot_model_tensor(const ot_model *m, const Onnx__TensorProto *t, ot_tensor *view, bool *owned);

/* A sparse tensor's value as a new dense one, which the caller releases with ot_tensor_release.  Indices may be flat
 * (into the dense elements) or tuples (one entry a dimension), and must rise.
 * OT_EMODEL: as for ot_model_tensor; lists whose dims do not fit; an index outside of the dims, or not after the one
 * before.  OT_EUNSUPPORTED: over 4 GiB when dense. */
ot_status ot_model_sparse(const ot_model *m, const Onnx__SparseTensorProto *s, ot_tensor *out);

/* The model's mapped files are not needed for a while: the memory that holds what was read of them is let go.  They
 * stay mapped; what is looked at again is read again. */
void ot_model_rest(const ot_model *m);

/* The initializer of the main graph, or NULL. */
Onnx__TensorProto *ot_model_find_initializer(const ot_model *m, const char *name);

enum { OT_SET_RESHAPE = 1 }; /* the new value may have another element type or other dims */
/* Replaces an initializer's value with a copy of t.  OT_EARG: no such initializer; OT_ESHAPE: dims or type differ. */
ot_status ot_model_set_initializer(ot_model *m, const char *name, const ot_tensor *t, int flags);
/* The same for any TensorProto of the model. */
ot_status ot_model_set_tensor(ot_model *m, Onnx__TensorProto *p, const ot_tensor *t, int flags);

/* A deep copy of the document that shares the cut-out bytes with m. */
ot_status ot_model_clone(ot_model **out, const ot_model *m);

/* A deep copy of any message that has no cut-out bytes of its own, or stays within its model. */
ot_status ot_proto_copy(ProtobufCMessage **out, const ProtobufCMessage *msg);

/* Turns external tensors into ones whose bytes are saved in the model's own file. */
ot_status ot_model_embed_external(ot_model *m);

/* t's value is n bytes at `offset` of a file in the model's folder; its own bytes are let go. */
ot_status ot_model_set_external(ot_model *m, Onnx__TensorProto *t, const char *location, uint64_t offset, size_t n);

/* Calls fn on every TensorProto below msg: initializers, attributes, sparse tensors, subgraphs, functions. */
ot_status ot_each_tensor(ProtobufCMessage *msg, ot_status (*fn)(void *ctx, Onnx__TensorProto *t), void *ctx);

/* The bytes of an external tensor: *blob belongs to the model.  Used by ot_model_tensor and ot_model_save. */
ot_status ot_external_find(const ot_model *m, const Onnx__TensorProto *t, ot_payload *out);
ot_status ot_externals_create(struct ot_externals **out);
void ot_externals_close(struct ot_externals *e);
void ot_externals_rest(const struct ot_externals *e);

#endif

/* The type and shape of a value of the document, for surgery. */
#ifndef OT_GRAPH_DOCSHAPE_H
#define OT_GRAPH_DOCSHAPE_H

#include "base/tensor.h"
#include "model/edit.h"

typedef struct ot_doc_shape {
    ot_dtype dtype;
    int rank;
    ot_doc_dim dim[OT_MAX_RANK]; /* param points into `name` */
    char name[OT_MAX_RANK][64];  /* of named dimensions */
} ot_doc_shape;

/* Inferred over the whole graph; where an operator is not known, what the document declares for the value.
 * OT_EUNSUPPORTED: neither gives a type and a rank (the text says why). */
ot_status ot_doc_shape_of(ot_doc_shape *out, const ot_model *m, const char *value);
/* Inferred or OT_EUNSUPPORTED. */
ot_status ot_doc_shape_infer(ot_doc_shape *out, const ot_model *m, const char *value);
/* Copies, so that `param` points into the copy. */
void ot_doc_shape_copy(ot_doc_shape *out, const ot_doc_shape *from);
/* "[N,512,7,7]" for messages. */
const char *ot_doc_shape_text(char *text, size_t n, const ot_doc_shape *s);

#endif

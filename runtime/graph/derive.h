/* The working graph from the document: names bound to values, nodes to operators, old attribute forms made new, sparse
 * values made dense, calls of the model's own functions replaced by the functions' nodes.  Those are named "call/node",
 * and belong to the layer of the call. */
#ifndef OT_GRAPH_DERIVE_H
#define OT_GRAPH_DERIVE_H

#include "graph/graph.h"
#include "model/model.h"

typedef struct ot_derive_opts {
    const ot_strmap *slots;   /* names of initialisers and Constants that become slots; NULL: none */
    bool for_gradient;        /* operators without a gradient of their own are composed of simpler ones */
    bool free_batch;          /* a literal leading 1 of the inputs becomes the symbol "N" */
    const char *const *given; /* names of ot_model_default_name that are inputs in spite of their default */
    int64_t n_given;
} ot_derive_opts;

/* All missing operators are reported in one error. */
ot_status ot_derive(ot_graph **out, const ot_model *m, const ot_derive_opts *opts);

/* One node: old forms normalised, composites expanded where they must be, else added as it is.  out[i] gets the value
 * of output i, OT_NONE where out_names[i] is "".  attr ends with a NULL name. */
ot_status ot_derive_node(ot_build *b, const ot_op *op, int opset, const char *name, const ot_attr *attr, int n_in,
                         const ot_val *in, int n_out, ot_val *out, const char *const *out_names, bool for_gradient);

#endif

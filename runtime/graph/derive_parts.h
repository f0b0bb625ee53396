/* What the parts of deriving share: derive.c makes values and nodes, derive_attrs.c reads types, tensors and
 * attributes, derive_bind.c finds what a node's operator is, derive_functions.c makes calls of the model's own
 * functions inline, derive_if.c the branches of If whose condition is known, derive_inline.c the graphs of composites,
 * derive_body.c makes graphs of what other nodes hold; derive_batch.c frees a literal batch. */
#ifndef OT_GRAPH_DERIVE_PARTS_H
#define OT_GRAPH_DERIVE_PARTS_H

#include "graph/derive.h"

#define OT_UNMADE ((ot_val)-2) /* no value has this name */

/* Where names are looked up: the main graph; a function's body while one call of it is made inline; a graph that a node
 * holds, which sees the names around it. */
typedef struct ot_scope {
    struct ot_scope *caller; /* NULL: the main graph, which uses the graph's own map and none of the following */
    const Onnx__FunctionProto *function; /* that the nodes are of, if any */
    ot_graph *graph;                     /* where the values lie */
    bool open;                           /* a graph of a node: names that it lacks are looked for around it */
    ot_val *capture; /* values of the caller's graph that became inputs here, in the order of these inputs */
    int64_t n_capture, cap_capture;
    const char *prefix;  /* of names in the body: "call/" */
    ot_strmap value;     /* the body's names to values; OT_NONE: an input that the call leaves out */
    ot_strmap output;    /* names of the function's outputs to their places */
    const char **result; /* by place: what the call names the output in full; NULL: nobody wants it */
    const ot_attr *attr; /* the call's attributes and the function's defaults */
    int depth;
} ot_scope;

typedef struct ot_inner {
    const char *name;
    ot_val value;
} ot_inner;

typedef struct ot_deriver {
    const ot_model *m;
    const ot_derive_opts *o;
    ot_graph *root;   /* the main graph: what all graphs share lies in it */
    ot_build b;       /* into the graph of the scope */
    ot_status failed; /* of a look-up that ran out of memory */
    ot_dim batch;     /* the symbol that a literal 1 became; 0: none */
    ot_scope main, *scope;
    ot_strmap functions; /* by key: index */
    ot_strmap prefixes;  /* that calls have taken */
    ot_strmap decoded;   /* tensors of bodies by address: the index of their copy in the graph's `owned` */
    int64_t inlined;     /* nodes of bodies so far */
    size_t inlined_bytes;
    ot_inner *inner; /* values of bodies by their full names */
    int64_t n_inner, cap_inner;
} ot_deriver;

/* ---- derive.c ---- */

/* OT_UNMADE where no node before made it.  A value from around a body is captured. */
ot_val ot_scope_find(ot_deriver *d, const char *name);
/* OT_EMODEL: there is one of this name. */
ot_status ot_scope_put(ot_deriver *d, const char *name, ot_val v);
/* What a value or node of the scope is called in the graph; NULL when memory ran out. */
const char *ot_scope_value_name(ot_deriver *d, const char *name);
const char *ot_scope_node_name(ot_deriver *d, const Onnx__NodeProto *n);
ot_status ot_derive_nodes(ot_deriver *d, size_t n, Onnx__NodeProto *const *node);
ot_status ot_derive_initializers(ot_deriver *d, const Onnx__GraphProto *g);
ot_status ot_derive_outputs(ot_deriver *d, const Onnx__GraphProto *g);

/* ---- derive_attrs.c ---- */

ot_status ot_derive_type(ot_deriver *d, ot_fact *f, const Onnx__TypeProto *type, const char *name);
/* Views that live as long as the graph. */
ot_status ot_derive_tensor(ot_deriver *d, ot_tensor *view, const Onnx__TensorProto *t);
ot_status ot_derive_sparse(ot_deriver *d, ot_tensor *view, const Onnx__SparseTensorProto *s);
/* In a body references are replaced by what the call gives, and left out where it gives nothing. */
ot_status ot_derive_attrs(ot_deriver *d, ot_attr **out, size_t n, Onnx__AttributeProto *const *attribute);

/* ---- derive_bind.c ---- */

bool ot_is_constant_node(const Onnx__NodeProto *n);
/* The operator and the opset of its domain that the scope imports. */
ot_status ot_bind_operator(const ot_deriver *d, const ot_op **op, int *opset, const Onnx__NodeProto *n);
/* Operators of ONNX's own domains must be as ONNX says: their rules and kernels need not look for attributes of another
 * type, or for inputs beyond the last.  OT_EMODEL with the first thing that is not so. */
ot_status ot_check_schema(const ot_deriver *d, const Onnx__NodeProto *n);
/* Every operator that is not here, of the main graph and of the functions that it calls, once each. */
ot_status ot_report_missing(ot_deriver *d);

/* ---- derive_functions.c ---- */

ot_status ot_index_functions(ot_deriver *d);
/* Counts what inlining copies; OT_EUNSUPPORTED when it is too much. */
ot_status ot_charge(ot_deriver *d, size_t bytes);
/* The function of the model that the node calls; -1: none.  It hides an operator of its name. */
ot_status ot_find_function(ot_deriver *d, int64_t *out, const Onnx__NodeProto *n);
ot_status ot_derive_call(ot_deriver *d, const Onnx__NodeProto *n, const Onnx__FunctionProto *f);
/* Counts the nodes, names and attributes of what is to be derived in a scope of this prefix. */
ot_status ot_charge_nodes(ot_deriver *d, size_t n, Onnx__NodeProto *const *node, size_t prefix);
ot_status ot_check_depth(const ot_deriver *d, const char *what);
/* "node/", or "node_2/" and so on where an earlier one has the name. */
ot_status ot_choose_prefix(ot_deriver *d, const char **out, const Onnx__NodeProto *n);

/* ---- derive_body.c ---- */

/* The bodies of a node; *in and *n_in grow by what they capture. */
ot_status ot_derive_bodies(ot_deriver *d, const ot_op *op, int opset, const Onnx__NodeProto *n, ot_attr *attr,
                           ot_val **in, int *n_in);

/* ---- derive_inline.c ---- */

typedef struct ot_inlining {
    ot_deriver *deriver;
    const Onnx__NodeProto *node; /* a composite that holds graphs */
} ot_inlining;

/* As ot_build.inline_body, ctx an ot_inlining. */
ot_status ot_derive_inline(void *ctx, const char *name, int n_in, const ot_val *in, int n_out, ot_val *out);

/* ---- derive_if.c ---- */

bool ot_is_if(const Onnx__NodeProto *n);
/* *done: the condition is known, and its branch stands in the place of the node. */
ot_status ot_derive_if(ot_deriver *d, bool *done, const Onnx__NodeProto *n);

/* ---- derive_batch.c: nothing happens where no batch was freed ---- */

/* Inputs and attributes of a node that is about to be added are changed where they hold a literal batch of 1. */
ot_status ot_free_batch(ot_deriver *d, const ot_op *op, const ot_attr **attr, ot_val *in, int n_in);
/* An output that still has a batch of 1 is an error. */
ot_status ot_check_freed(const ot_deriver *d);
/* An input that does not begin with a literal 1 has an open dimension: the batch is open already, and a literal 1 of
 * another input is none (the layers of a recurrent state). */
bool ot_batch_is_open(const ot_model *m);

#endif

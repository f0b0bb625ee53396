/* The working graph: derived from the user's document, changed by passes, run by the executor, never saved (but by
 * `show --grad`).  Values are indices; everything lives in the graph's arena and dies with it.
 *
 * A graph refers to the weights of its model without copying them, so the model must outlive it. */
#ifndef OT_GRAPH_GRAPH_H
#define OT_GRAPH_GRAPH_H

#include "base/strmap.h"
#include "op.h"

typedef enum ot_origin {
    OT_FROM_INPUT,    /* bound by the caller at each run */
    OT_FROM_CONSTANT, /* never changes: an initialiser that does not train, a Constant, a folded value */
    OT_FROM_SLOT,     /* state in the store: a parameter, a moment, a running statistic */
    OT_FROM_NODE
} ot_origin;

typedef struct ot_value {
    const char *name; /* the document's, or made from the node's; never NULL */
    ot_fact fact;     /* over symbols */
    ot_origin origin;
    ot_node *producer;       /* OT_FROM_NODE */
    const ot_tensor *tensor; /* OT_FROM_CONSTANT: the data; OT_FROM_SLOT: the initial data */
    bool stays; /* a constant that cannot train: sparse, or of a function's body, so the document has no place for it */
} ot_value;

typedef struct ot_output {
    const char *name;
    ot_val value;
} ot_output;

/* After a run, slot takes the value: all bindings or none, but for those that hold always. */
typedef struct ot_binding {
    ot_val slot, value;
    bool always; /* whatever the guard says */
} ot_binding;

typedef struct ot_symbol {
    char op; /* 'n' a dim_param, '?' an unknown, else the operation on a and b */
    ot_dim a, b;
    const char *name; /* 'n' */
} ot_symbol;

struct ot_graph {
    ot_arena arena;
    ot_value *value;
    int64_t n_value, cap_value;
    ot_node **node; /* in an order in which they can run */
    int64_t n_node, cap_node;
    ot_val *input;
    int64_t n_input, cap_input;
    ot_output *output;
    int64_t n_output, cap_output;
    ot_binding *binding;
    int64_t n_binding, cap_binding;
    /* A floating scalar: where it is not finite, only bindings that hold always are committed.  OT_NONE: all are.  A
     * node that reads it and may write over a slot must leave the slot as it was then. */
    ot_val guard;
    ot_symbol *symbol;
    int64_t n_symbol, cap_symbol;
    ot_strmap by_name; /* the document's names to values */
    ot_tensor **owned; /* tensors decoded or computed for this graph */
    int64_t n_owned, cap_owned;
    ot_graph **body; /* graphs that nodes hold or held; owned */
    int64_t n_body, cap_body;
    /* Of a body: */
    int64_t place;    /* its index in the graph around it */
    int n_own;        /* inputs that its operator gives; the others are captures */
    int64_t n_shared; /* symbols below are those of the graph around it */
    ot_dim *outward;  /* what the others are there; 0: not asked yet */
};

ot_status ot_graph_create(ot_graph **out);
void ot_graph_close(ot_graph *g);

/* New values; the name is copied; OT_NONE with the error set when memory runs out. */
ot_val ot_graph_value(ot_graph *g, const char *name, ot_origin origin, const ot_fact *fact);
ot_val ot_graph_input(ot_graph *g, const char *name, const ot_fact *fact);
/* A constant or slot over this tensor (not copied; its data must live as long as the graph). */
ot_val ot_graph_tensor(ot_graph *g, const char *name, ot_origin origin, const ot_tensor *t);
/* A tensor owned by the graph, zeroed. */
ot_tensor *ot_graph_own(ot_graph *g, ot_dtype dtype, int rank, const int64_t *dim);
ot_status ot_graph_output(ot_graph *g, const char *name, ot_val v);
ot_status ot_graph_bind(ot_graph *g, ot_val slot, ot_val value, bool always);
/* reads[n_value], zeroed: how often nodes, outputs, bindings and the guard name each value. */
void ot_graph_count_reads(const ot_graph *g, int32_t *reads);
/* By the document's name; OT_NONE when there is none. */
ot_val ot_graph_find(const ot_graph *g, const char *name);

/* The fact of a tensor, with its elements as `value` where they are few integers. */
ot_status ot_fact_of_tensor(ot_fact *out, ot_arena *arena, const ot_tensor *t);
/* Equal kind, type and dims for certain. */
bool ot_fact_same(const ot_fact *a, const ot_fact *b);
/* The symbol of this name, made when new. */
ot_dim ot_symbol_named(ot_graph *g, const char *name);
/* A dimension as text: a number, a name, an expression. */
const char *ot_dim_text(const ot_graph *g, ot_dim d, char *text, size_t n);
/* "float[N,3,224,224]" */
const char *ot_fact_text(const ot_graph *g, const ot_fact *f, char *text, size_t n);

/* OT_ENOMEM when the known dims that are not 0 have a product over 2^44.  Of an empty tensor too: kernels multiply some
 * of its dims without a thought for 64 bits. */
ot_status ot_check_span(int rank, const ot_dim *dim);

/* A body of g, which owns it, with the symbols that g has now. */
ot_status ot_graph_body(ot_graph **out, ot_graph *g);
/* Some node must run as flow, or an input or output is no tensor: the graph is walked, not planned. */
bool ot_graph_walks(const ot_graph *g);
bool ot_node_flows(const ot_graph *g, const ot_node *n);

/* Runs the shape rule of a node into y[0 .. n_out-1].  Facts of inputs are looked up by value in fact_of_value (NULL:
 * the graph's own), data that is known beside the graph's constants in `known` (may be NULL).  A rule that refuses an
 * input of which neither type nor rank is known leaves the outputs unknown: a plan, where all are, asks again.  Errors
 * name the node. */
ot_status ot_infer_node(ot_graph *g, ot_arena *arena, const ot_node *n, const ot_fact *const *fact_of_value,
                        const ot_tensor *const *known, ot_fact *y);

/* The same with the facts, and the data where it is known, of each input. */
ot_status ot_infer_inputs(ot_graph *g, ot_arena *arena, const ot_node *n, const ot_fact *const *x,
                          const ot_tensor *const *constant, ot_fact *y);

/* ---- Building --------------------------------------------------------------------------------------------------- */

struct ot_build {
    ot_graph *g;
    ot_status st;
    ot_node *node;          /* being normalised or differentiated; NULL: free emission */
    const char *prefix;     /* of the names of what is emitted */
    int layer;              /* recorded in what is emitted */
    int64_t made;           /* counts what is emitted under this prefix */
    ot_val *becomes;        /* of node->n_out, while normalising */
    struct ot_grads *grads; /* while differentiating */
    /* Makes the nodes of a graph that the node holds; NULL: the node has none, or it is not known. */
    ot_status (*inline_body)(void *ctx, const char *name, int n_in, const ot_val *in, int n_out, ot_val *out);
    void *inline_ctx;
};

/* Makes the node and its outputs (named by out_names where given) and infers their facts. */
ot_status ot_add_node(ot_build *b, const ot_op *op, int opset, const char *name, const ot_attr *attr, int n_in,
                      const ot_val *in, int n_out, ot_val *out, const char *const *out_names);

/* ---- Passes, in the order in which they run ------------------------------------------------------------------------
 */

/* gradient.c: appends the nodes that compute d(loss)/d(wrt[i]) into grad[i] (OT_NONE: loss does not depend on it).
 * loss is a float scalar.  All missing gradients are reported in one error. */
ot_status ot_differentiate(ot_graph *g, ot_val loss, int64_t n, const ot_val *wrt, ot_val *grad);
/* prune.c: removes nodes that no output and no binding needs. */
ot_status ot_prune(ot_graph *g);
/* fuse.c: BatchNormalization into the preceding Conv, activations and residual sums into Conv; constants only. */
ot_status ot_fuse(ot_graph *g);
/* samplewise.c: each sample along dimension 0 of the inputs gives its own sample of the outputs, for certain. */
bool ot_is_samplewise(const ot_graph *g);
/* Does the node give sample i of its outputs from sample i of its inputs and from constants?  Its inputs must be
 * constants or have `batch` as dimension 0; false where it cannot be told. */
bool ot_node_keeps_samples(const ot_graph *g, const ot_node *n, ot_dim batch);
/* blocks.c: convolutions of constant weights and what follows them work in blocks of 16 channels. */
ot_status ot_block_layout(ot_graph *g);
/* chain.c: neighbouring element-wise nodes as one. */
ot_status ot_chain(ot_graph *g);
/* Fusion, layout and chains: the last passes before a graph is planned. */
ot_status ot_graph_finish(ot_graph *g);

#endif

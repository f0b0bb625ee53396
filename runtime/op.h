/* op.h: what an operator is, and all that an operator may see.
 *
 * An operator is one constant `ot_op`: its name and opsets, a shape rule, a gradient builder and an ordered list of CPU
 * kernels.  Its file says all of that in this order; `ops/op_list.h` lists it with one line. docs/adding-an-operator.md
 * walks through an example. */
#ifndef OT_OP_H
#define OT_OP_H

#include "base/arena.h"
#include "base/tensor.h"
#include "base/threads.h"

#define OT_LATEST   28         /* the newest opset of the default domain that a person has read */
#define OT_INTERNAL "onnxtune" /* the domain of operators that only the library emits; they have version 1 */
#define OT_MANY     INT32_MAX  /* max_in or max_out of a variadic operator */

typedef struct ot_op ot_op;
typedef struct ot_graph ot_graph;

/* ---- Facts: what is known of a value before anything runs ------------------------------------------------------ */

/* A dimension: >= 0 is the size, otherwise a symbol of the graph (a dim_param, an expression over some, or an unknown).
 * Symbols lie below -2^62, so that a known element of an integer tensor, which may be negative, can be told from one.
 * Equal numbers are equal dimensions; different symbols may still turn out equal. */
typedef int64_t ot_dim;
#define OT_SYMBOL(index) (INT64_MIN + (index))
static inline bool ot_is_symbol(ot_dim d)
{
    return d < -((int64_t)1 << 62);
}
/* An element as a fact carries it: one that would pass for a symbol (a Slice "from the very start") is clamped, which
 * is still further than any tensor goes.  A clamped one serves as a bound, but not for arithmetic or as data. */
#define OT_CLAMPED (-((int64_t)1 << 62))
static inline ot_dim ot_known_element(int64_t v)
{
    return ot_is_symbol(v) ? OT_CLAMPED : v;
}

typedef struct ot_fact {
    ot_kind kind;
    ot_dtype dtype; /* of a tensor, of a map's values */
    int rank;       /* -1: not known */
    ot_dim dim[OT_MAX_RANK];
    const struct ot_fact *element; /* of a sequence or optional; else NULL */
    /* All elements of a small integer or bool tensor (a shape, axes, a slice's ends), where they are known; each may be
     * a symbol.  value == NULL: not known; n_value is then 0. */
    const ot_dim *value;
    int n_value;
} ot_fact;

#define OT_MAX_VALUE 256 /* no more elements than this are carried in a fact */

/* ---- Attributes and nodes -------------------------------------------------------------------------------------- */

typedef enum ot_attr_type {
    OT_ATTR_INT,
    OT_ATTR_FLOAT,
    OT_ATTR_STRING,
    OT_ATTR_INTS,
    OT_ATTR_FLOATS,
    OT_ATTR_TENSOR,
    OT_ATTR_STRINGS,
    OT_ATTR_GRAPH,
    OT_ATTR_TYPE,
    OT_ATTR_NODES /* of a Chain */
} ot_attr_type;

typedef struct ot_attr {
    const char *name; /* NULL ends a list */
    ot_attr_type type;
    int n; /* of ints, floats, strings, nodes */
    int64_t i;
    double f;
    const char *s;
    const int64_t *ints;
    const float *floats;
    const char *const *strings;
    const ot_tensor *tensor;
    const struct ot_node *const *nodes;
    ot_graph *graph;            /* a body: its inputs are its own and then the values that it captures */
    const struct ot_fact *fact; /* of a type */
} ot_attr;

#define OT_ATTRS(...) ((const ot_attr[]){ __VA_ARGS__, { .name = NULL } })
#define OT_INT(key, v)                                                                                                 \
    {                                                                                                                  \
        .name = (key), .type = OT_ATTR_INT, .i = (v)                                                                   \
    }
#define OT_REAL(key, v)                                                                                                \
    {                                                                                                                  \
        .name = (key), .type = OT_ATTR_FLOAT, .f = (v)                                                                 \
    }
#define OT_TEXT(key, v)                                                                                                \
    {                                                                                                                  \
        .name = (key), .type = OT_ATTR_STRING, .s = (v)                                                                \
    }
#define OT_INTS(key, p, count)                                                                                         \
    {                                                                                                                  \
        .name = (key), .type = OT_ATTR_INTS, .ints = (p), .n = (count)                                                 \
    }

typedef int32_t ot_val;      /* an index into the graph's values */
#define OT_NONE ((ot_val)-1) /* an absent input or output */

typedef struct ot_node {
    const ot_op *op;
    const char *name;    /* of the document's node, or made from it; stable from run to run */
    const ot_attr *attr; /* ends with a NULL name */
    int n_in, n_out;
    ot_val *in, *out;
    int layer; /* index of the document's layer that this node comes from; -1: of none */
    int opset; /* that the document's node was bound by; OT_LATEST for emitted ones */
} ot_node;

/* The attribute, or NULL. */
const ot_attr *ot_attr_find(const ot_node *n, const char *name);
/* The value, or `otherwise` when the attribute is absent or of another type. */
int64_t ot_attr_int(const ot_node *n, const char *name, int64_t otherwise);
double ot_attr_float(const ot_node *n, const char *name, double otherwise);
const char *ot_attr_text(const ot_node *n, const char *name, const char *otherwise);
/* The list and its length in *count; NULL and 0 when absent. */
const int64_t *ot_attr_ints(const ot_node *n, const char *name, int *count);

/* ---- The shape rule -------------------------------------------------------------------------------------------- */

/* infer fills y[i] of every output that is there from the facts of the inputs.  It runs twice: over symbols when the
 * node is made, over numbers when a plan is made.  It must check all that kernels rely on: ranks, equal dims,
 * attributes. */
typedef struct ot_infer {
    ot_graph *graph; /* owns symbols */
    ot_arena *arena; /* for `value` arrays */
    const ot_node *node;
    int n_in, n_out;
    const ot_fact *const *x;          /* NULL where the input is absent */
    const ot_tensor *const *constant; /* the data of inputs that never change; NULL where not known */
    ot_fact *y;                       /* zeroed; kind OT_TENSOR, rank -1 */
} ot_infer;

/* Arithmetic on dimensions; numbers give numbers, symbols give symbols that are equal when built alike. */
ot_dim ot_dim_add(ot_infer *c, ot_dim a, ot_dim b);
ot_dim ot_dim_sub(ot_infer *c, ot_dim a, ot_dim b);
ot_dim ot_dim_mul(ot_infer *c, ot_dim a, ot_dim b);
ot_dim ot_dim_div(ot_infer *c, ot_dim a, ot_dim b); /* floor; b == 0 gives an unknown */
ot_dim ot_dim_unknown(ot_infer *c);                 /* a fresh symbol, equal to nothing else */

/* Shared rules, usable as .infer. */
ot_status ot_same_shape(ot_infer *c);      /* every output: dtype and dims of input 0 */
ot_status ot_broadcast_shape(ot_infer *c); /* one output: numpy's broadcast of all inputs, dtype of input 0 */
ot_status ot_like_shape(ot_infer *c);      /* one output: dtype of input 0, dims of input 1 (xLike operators) */

/* Helpers for rules. */
void ot_set_shape(ot_fact *y, ot_dtype dtype, int rank, const ot_dim *dim);
/* a and b must be the same dimension; two numbers that differ are OT_ESHAPE naming `what`; *out the more definite one.
 */
ot_status ot_dims_agree(ot_dim *out, ot_dim a, ot_dim b, const char *what);
ot_status ot_broadcast_dims(ot_infer *c, int *rank, ot_dim *dim, const ot_fact *a, const ot_fact *b);
/* axis into 0 .. rank-1; OT_ESHAPE when it is outside -rank .. rank-1. */
ot_status ot_axis(int *out, int64_t axis, int rank);
/* Input i must be there, with a known rank from lo to hi. */
ot_status ot_rank_between(const ot_infer *c, int i, int lo, int hi);
/* Input i must be float, double, float16 or bfloat16. */
ot_status ot_needs_float(const ot_infer *c, int i);
/* Product of dims[from .. to-1]. */
ot_dim ot_dims_product(ot_infer *c, const ot_dim *dim, int from, int to);
ot_dim *ot_value_alloc(ot_infer *c, int n); /* room for y->value */
/* What two facts of one value have in common: dims that differ become unknown, ranks that differ too.  OT_EMODEL when
 * kinds or element types differ. */
ot_status ot_fact_merge(ot_infer *c, ot_fact *out, const ot_fact *a, const ot_fact *b);

/* ---- Bodies: graphs that a node holds ------------------------------------------------------------------------------
 */

/* The graph attribute; a node of an operator that has it always holds it. */
ot_graph *ot_body(const ot_node *n, const char *name);
int ot_body_own(const ot_graph *body);      /* inputs that the operator gives */
int ot_body_captures(const ot_graph *body); /* inputs behind them: values around it, which end the node's inputs */
int ot_body_outputs(const ot_graph *body);
/* Facts of input i and output i over the body's own symbols. */
const ot_fact *ot_body_takes(const ot_graph *body, int i);
const ot_fact *ot_body_gives(const ot_graph *body, int i);
/* The same over the symbols of c->graph. */
ot_status ot_body_input(ot_infer *c, ot_fact *out, ot_graph *body, int i);
ot_status ot_body_output(ot_infer *c, ot_fact *out, ot_graph *body, int i);

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

/* Weights in another form (packed, transformed): one copy for all plans, kept beside the weights. */
typedef struct ot_packed {
    void *data;
    size_t bytes;
    uint64_t version; /* of the weights that it was made from; 0: not made yet */
} ot_packed;

typedef struct ot_prep {
    const ot_node *node;
    int n_in, n_out;
    const ot_fact *const *x; /* all dims are numbers; NULL where absent */
    const ot_fact *const *y;
    const ot_tensor *const *constant; /* as in ot_infer */
    int threads;                      /* that run will have; work space may depend on it, results may not */
    const void *const *weight;        /* where the bytes of a constant or slot lie; NULL for other inputs */
    size_t scratch;                   /* out: bytes of work space that run wants, 64-byte aligned */
    void *state;                      /* out: whatever run wants; ot_malloc'ed, released by .release or else ot_free */
    struct ot_packs *packs;           /* where ot_prep_packed keeps things */
    bool lean;                        /* the cap on memory is too low for the fastest forms: take small ones */
} ot_prep;

/* A place for another form of input i, `bytes` long; NULL with no error when the input is not a weight (it changes with
 * every run): then convert in scratch.  NULL with OT_ENOMEM set in *st when memory ran out. */
ot_packed *ot_prep_packed(ot_prep *p, int i, const char *form, size_t bytes, ot_status *st);

typedef struct ot_run {
    const ot_node *node;
    int n_in, n_out;
    const ot_tensor *x;      /* dtype OT_UNDEFINED where absent */
    ot_tensor *y;            /* likewise; shapes are set, data is to be written */
    const uint64_t *version; /* of each input: what an ot_packed made from it must carry; 0: changes with every run */
    void *state, *scratch;
    ot_threads *threads;
    ot_arena *text; /* for the bytes of strings that run makes; they stay until the next run. Not from threads */
} ot_run;

/* Computes elements from .. to-1 of output 0 of a run in float32, on the calling thread; an input has the output's
 * elements, or one.  y may be such an input. */
typedef void ot_elements(void *run, int64_t from, int64_t to);

/* One way to compute an operator.  run may not allocate (but for strings) and may fail only for what data decides (an
 * index out of range). */
typedef struct ot_kernel {
    const char *name; /* NULL ends a list */
    /* NULL when it takes this node, else the reason in words.  No function: takes all. */
    const char *(*declines)(const ot_prep *p);
    ot_status (*prepare)(ot_prep *p); /* may be absent */
    ot_status (*run)(const ot_run *r);
    void (*release)(void *state); /* may be absent */
    /* The kernel computes in double whatever the floating type: such inputs are converted before and outputs after.
     * So one naive loop is the reference of every type, and exact for double. */
    bool in_double;
    /* The kernel moves elements: those of types under 8 bits come and go as uint8, one a byte.  declines and prepare
     * see the packed types. */
    bool in_bytes;
    ot_elements *elements; /* of element-wise operators that can be part of a Chain */
} ot_kernel;

/* ---- Flow: operators that run bodies, or values that are not tensors ------------------------------------------------
 */

/* A value while a graph is walked a node at a time.  Shared by count, and never written once it is made. */
typedef struct ot_box {
    ot_kind kind;
    ot_tensor tensor;     /* of a tensor */
    int64_t n;            /* of a sequence or optional */
    struct ot_box **item; /* [n] */
    ot_kind holds;        /* the kind of items */
    int64_t refs;
    struct ot_box *owner; /* whose bytes the tensor views; NULL: its own, or the caller's where it is `lent` */
    bool lent;
    struct ot_walker *walker; /* that counts its bytes */
} ot_box;

typedef struct ot_flow {
    const ot_node *node;
    int n_in, n_out;
    ot_box *const *x; /* NULL where absent */
    ot_box **y;       /* out: one reference each */
    struct ot_walker *walker;
} ot_flow;

/* New boxes, NULL with the error set: a tensor with zeroed elements; items, each shared once more. */
ot_box *ot_box_tensor(const ot_flow *f, ot_dtype dtype, int rank, const int64_t *dim);
ot_box *ot_box_items(const ot_flow *f, ot_kind kind, ot_kind holds, int64_t n, ot_box *const *item);
ot_box *ot_box_share(ot_box *b); /* b, NULL too */
void ot_box_drop(ot_box *b);
/* For string tensors after elements that others own were written to them: gives each bytes of its own. */
ot_status ot_box_own_text(ot_box *b);
/* Runs a body on all its inputs; out gets a reference for each output, and none when it fails. */
ot_status ot_flow_call(const ot_flow *f, const ot_graph *body, ot_box *const *in, ot_box **out);
/* Counts a trip through a body; OT_EUNSUPPORTED when the run has made too many. */
ot_status ot_flow_trip(const ot_flow *f);

/* Declines all but float32 inputs and outputs (integers may be among them); for fast kernels. */
const char *ot_float32_only(const ot_prep *p);

/* ---- Building: gradients, old forms, composites ---------------------------------------------------------------- */

/* Builders get one ot_build, emit nodes into the graph, and need no checks: the first error sticks in it. */
typedef struct ot_build ot_build;

/* Appends a node; the operator is looked up in ONNX's domain, then in OT_INTERNAL.  OT_NONE inputs are absent.
 * Returns the first output. */
ot_val ot_emit(ot_build *b, const char *op, const ot_attr *attrs, int n_in, const ot_val *in);
/* The same with n_out outputs written to out[]; out[i] holds OT_NONE on entry for outputs that are not wanted. */
void ot_emit_outputs(ot_build *b, const char *op, const ot_attr *attrs, int n_in, const ot_val *in, int n_out,
                     ot_val *out);
#define OT_EMIT(b, op, ...)                                                                                            \
    ot_emit(b, op, NULL, (int)(sizeof((const ot_val[]){ __VA_ARGS__ }) / sizeof(ot_val)),                              \
            (const ot_val[]){ __VA_ARGS__ })
#define OT_EMIT_WITH(b, op, attrs, ...)                                                                                \
    ot_emit(b, op, attrs, (int)(sizeof((const ot_val[]){ __VA_ARGS__ }) / sizeof(ot_val)),                             \
            (const ot_val[]){ __VA_ARGS__ })

/* Constants: a scalar of this type; a vector of int64; a copy of a tensor. */
ot_val ot_const_scalar(ot_build *b, ot_dtype dtype, double value);
ot_val ot_const_ints(ot_build *b, int n, const int64_t *v);
ot_val ot_const_tensor(ot_build *b, const ot_tensor *t);

const ot_node *ot_the_node(const ot_build *b); /* the node being differentiated, normalised or composed */
const ot_fact *ot_fact_of(const ot_build *b, ot_val v);
ot_val ot_x(const ot_build *b, int i); /* its input i; OT_NONE when absent or beyond n_in */
ot_val ot_y(const ot_build *b, int i);
void ot_build_fail(ot_build *b, ot_status st); /* after ot_fail: sticks */
/* The node that makes v; NULL where none does. */
const ot_node *ot_maker_of(const ot_build *b, ot_val v);
/* The data of a constant; NULL where v is none. */
const ot_tensor *ot_constant_of(const ot_build *b, ot_val v);

/* Gradients only: */
ot_val ot_dy(const ot_build *b, int i);  /* the gradient of output i; OT_NONE: nothing depends on that output */
bool ot_wants(const ot_build *b, int i); /* is the gradient of input i asked for? */
/* v is part of the gradient of input i; the driver reduces what was broadcast and adds what other readers give. */
void ot_give(ot_build *b, int i, ot_val v);
/* The node becomes the internal operator `op`, of the same inputs, attributes and outputs and one more at index `at`,
 * for backward to read; returns that one. */
ot_val ot_keep(ot_build *b, const char *op, int at);
void ot_grad_none(ot_build *b); /* as .grad: the gradient is truly zero for every input */

/* Composing only: the nodes of the graph that attribute `name` holds, in the place of the node; out[] gets its outputs.
 * False where there is no such attribute. */
bool ot_emit_body(ot_build *b, const char *name, int n_in, const ot_val *in, int n_out, ot_val *out);

/* Normalising and composing only: output i of the node is v.  A builder that says it for no output leaves the node. */
void ot_becomes(ot_build *b, int i, ot_val v);

/* ---- The operator ---------------------------------------------------------------------------------------------- */

struct ot_op {
    const char *domain, *name;            /* domain "" is ai.onnx */
    int since, until;                     /* opsets of the document's nodes that it serves; inclusive */
    int min_in, max_in, min_out, max_out; /* OT_MANY: variadic */
    /* Rewrites an older form (see ot_the_node(b)->opset) into today's when the working graph is derived. */
    void (*normalise)(ot_build *b);
    ot_status (*infer)(ot_infer *c);
    void (*grad)(ot_build *b); /* NULL: not known, a named error when it is needed */
    /* Emits the operator as simpler ones; used where there are no kernels, or no gradient and one is needed. */
    void (*compose)(ot_build *b);
    const ot_kernel *cpu; /* fastest first, reference last */
    /* Runs the operator where it holds bodies, or an input or output is no tensor; other operators take tensors alone.
     */
    ot_status (*flow)(const ot_flow *f);
    /* Output 0 is input `*` seen with other dims (Reshape, Identity): returns that input's index when it holds for
     * these concrete facts, else -1. */
    int (*view)(const ot_prep *p);
    /* Bit i: one output: it may be written over input i; several: output i may be written over input i. */
    uint32_t in_place;
    uint32_t shape_only; /* bit i: only the shape of input i is read, never its data */
    /* Multiply-adds of a convolution or matrix product with these shapes, by its definition and whatever the kernel
     * does; taps that fall into padding count.  NULL: not counted.  Data is not looked at. */
    double (*macs)(const ot_node *n, const ot_tensor *x, const ot_tensor *y);
};

/* Chains of element-wise nodes (ops/chain.c). */
#define OT_CHAIN_INPUTS 8
#define OT_CHAIN_LINKS  12
ot_elements *ot_elements_of(const ot_op *op); /* of the first kernel that has it; NULL: the operator is no link */
/* Can a chain whose links make dims y read an input of these dims: is its element for the chain's element i the one at
 * i / *inner % *count?  Over symbols, inner and count mean nothing. */
bool ot_chain_takes(int64_t *inner, int64_t *count, int rank, const ot_dim *dim, int rank_y, const ot_dim *dim_y);

int ot_view_always(const ot_prep *p);    /* as .view: output 0 is input 0 */
int ot_view_same_dims(const ot_prep *p); /* as .view: output 0 is input 0 when dims and types are equal */

/* The descriptor that serves (domain, name) at an opset: OT_EUNSUPPORTED says whether the operator or the opset lacks.
 */
ot_status ot_find_op(const ot_op **out, const char *domain, const char *name, int opset);
/* All of them, sorted by name. */
const ot_op *const *ot_all_ops(int *count);
/* The instruction set that the kernels use: "baseline", "avx2" or "avx512". */
const char *ot_ops_isa(void);

#endif

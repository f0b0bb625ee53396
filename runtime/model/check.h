/* Checking a document against the structural rules of ONNX, all findings at once.  The rules are those of ONNX's own
 * checker, and those of the standard that can be told without running anything.  What is inside: */
#ifndef OT_MODEL_CHECK_H
#define OT_MODEL_CHECK_H

#include "base/strmap.h"
#include "model/model.h"

/* The imports that nodes are looked up in: of the model, or of one function. */
typedef struct ot_imports {
    Onnx__OperatorSetIdProto *const *import;
    size_t n;
} ot_imports;

typedef struct ot_checker {
    const ot_model *m;
    ot_on_finding *tell;
    void *ctx;
    int64_t found;
    ot_status st; /* memory ran out: what follows is not looked at */
    char where[1024];
    size_t at; /* length of where */
    ot_imports imports;
    ot_strmap functions;                 /* ot_function_key: index */
    const Onnx__FunctionProto *function; /* whose body is looked at; NULL: none */
} ot_checker;

/* Names that a graph's nodes may read: its own, then those of the graphs around it. */
typedef struct ot_names {
    const struct ot_names *outer;
    ot_strmap names;
} ot_names;

/* Puts "text: " after what is said of the place so far; the result goes back to ot_check_leave. */
size_t ot_check_enter(ot_checker *c, const char *fmt, ...) OT_PRINTF(2, 3);
void ot_check_leave(ot_checker *c, size_t at);
/* One finding, with the place in front. */
void ot_found(ot_checker *c, const char *fmt, ...) OT_PRINTF(2, 3);

void ot_names_add(ot_checker *c, ot_names *s, const char *name);
bool ot_names_here(const ot_names *s, const char *name);
bool ot_names_sees(const ot_names *s, const char *name); /* here or outside */

/* A name into a set: false, and "WHAT 'NAME' is there twice" is found, when it is in it already. */
bool ot_check_once(ot_checker *c, ot_strmap *set, const char *what, const char *name);

/* The version of a domain among imports; 0: not imported. */
int64_t ot_imported(const ot_imports *l, const char *domain);
/* What a node and the function that it calls have in common; false when it does not fit. */
bool ot_function_key(char *out, size_t n, const char *domain, const char *name, const char *overload);

void ot_check_tensor(ot_checker *c, const Onnx__TensorProto *t);
void ot_check_sparse(ot_checker *c, const Onnx__SparseTensorProto *s);
/* `known`: the type must say all that an input of the main graph says. */
void ot_check_type(ot_checker *c, const Onnx__TypeProto *t, bool known);
void ot_check_attribute(ot_checker *c, const Onnx__AttributeProto *a, const ot_names *scope);
/* Attributes, domain and schema; not the names of inputs and outputs. */
void ot_check_node(ot_checker *c, const Onnx__NodeProto *n, const ot_names *scope);
/* Nodes in order: what they read must be in scope, what they make is added to it. */
void ot_check_nodes(ot_checker *c, Onnx__NodeProto *const *node, size_t n, ot_names *scope);
/* `main_graph`: inputs and outputs must have types.  made, if not NULL, gets the names of the graph: release it. */
void ot_check_graph(ot_checker *c, const Onnx__GraphProto *g, const ot_names *outer, bool main_graph, ot_strmap *made);
void ot_check_functions(ot_checker *c);
void ot_check_training(ot_checker *c, const ot_strmap *initializers);

#endif

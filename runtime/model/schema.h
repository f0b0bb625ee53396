/* What ONNX says of every operator at every version: how many inputs, outputs and which attributes it has, and which
 * types they take.  Facts for checking a model; whether an operator can be run is said in ops/. */
#ifndef OT_MODEL_SCHEMA_H
#define OT_MODEL_SCHEMA_H

#include "model/model.h"

/* Types that a value may have: bit t of a mask stands for element type t of ot_dtype (27 and 28 are float6e2m3 and
 * float6e3m2). */
typedef struct ot_type_set {
    uint32_t tensor, sequence, optional, optional_sequence; /* of tensors of these types */
    uint8_t maps; /* map int64 to string, float, double; string to int64, float, double; sequences of maps of float */
} ot_type_set;

enum { OT_FORMAL_SINGLE, OT_FORMAL_OPTIONAL, OT_FORMAL_VARIADIC };

/* Input or output i of a schema.  The values of two formals with the same `variable` have the same type, and so have
 * all values of a variadic one, unless it is mixed. */
typedef struct ot_formal {
    const char *name;
    int option;
    bool mixed;
    int variable; /* from 0, within the schema */
    const ot_type_set *types;
} ot_formal;

typedef struct ot_schema_attr {
    const char *name;
    Onnx__AttributeProto__AttributeType type;
    bool required;
} ot_schema_attr;

typedef struct ot_schema {
    const char *domain, *name;
    int since;
    bool deprecated, function, any_attribute; /* function: ONNX gives it a body of other operators */
    int n_in, n_out, n_attr;                  /* formals: the last one may be variadic */
    int min_in, max_in, min_out, max_out;     /* values of a node; INT32_MAX: any number */
    const struct schema_row *row;
} ot_schema;

/* The newest version of the operator that is not newer than `opset`; false when there is none. */
bool ot_schema_find(ot_schema *out, const char *domain, const char *name, int64_t opset);
/* Is this a domain of ONNX; "" and "ai.onnx" are the same. */
bool ot_schema_domain(const char *domain);
/* The newest version of such a domain, 0 for another. */
int ot_schema_newest(const char *domain);

/* i < n_in, i < n_out; an index beyond a variadic formal is its own. */
ot_formal ot_schema_input(const ot_schema *s, int i);
ot_formal ot_schema_output(const ot_schema *s, int i);
ot_schema_attr ot_schema_attribute(const ot_schema *s, int i);
bool ot_schema_find_attribute(ot_schema_attr *out, const ot_schema *s, const char *name);
/* May a node have this many outputs; some counts between least and most are left out. */
bool ot_schema_outputs_allowed(const ot_schema *s, size_t n);

/* "FLOAT", "INTS", ...; "?" for none. */
const char *ot_attr_type_name(int type);

/* Is the node one that its operator's schema allows: number of inputs and outputs, none left out that must be there,
 * attributes known and of their type, required ones there, operator not deprecated.  Calls tell for each finding,
 * with a text that does not name the node.  In a function's body an attribute may refer to one of the function. */
typedef void ot_schema_tell(void *ctx, const char *text);
void ot_schema_check_node(const ot_schema *s, const Onnx__NodeProto *n, ot_schema_tell *tell, void *ctx);

#endif

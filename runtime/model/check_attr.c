/* Types of values, and attributes. */
#include "model/check.h"
#include "model/schema.h"

#include <string.h>

enum { NEWEST_TYPE = 28 }; /* float6e3m2 */

/* ---- Types ------------------------------------------------------------------------------------------------- */

static void check_element(ot_checker *c, const char *what, int32_t type, bool known)
{
    if (type < 0 || type > NEWEST_TYPE)
        ot_found(c, "%s has element type %d, which is not known", what, type);
    else if (type == OT_UNDEFINED && known)
        ot_found(c, "%s has no element type", what);
}

/* What may be the key of a map: as ONNX's checker has it, wider than integers and strings. */
static bool is_key(int32_t type)
{
    switch (type) {
    case OT_UNDEFINED:
    case OT_FLOAT:
    case OT_BOOL:
    case OT_FLOAT16:
    case OT_COMPLEX64:
    case OT_COMPLEX128:
        return false;
    default:
        return type > 0 && type <= NEWEST_TYPE;
    }
}

static void check_inner(ot_checker *c, const char *what, const Onnx__TypeProto *t)
{
    size_t at = ot_check_enter(c, "%s", what);
    if (t)
        ot_check_type(c, t, false);
    else
        ot_found(c, "no element type");
    ot_check_leave(c, at);
}

void ot_check_type(ot_checker *c, const Onnx__TypeProto *t, bool known)
{
    switch (t->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        check_element(c, "the tensor", t->tensor_type->elem_type, known);
        if (known && !t->tensor_type->shape)
            ot_found(c, "the tensor has no shape");
        break;
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        check_element(c, "the sparse tensor", t->sparse_tensor_type->elem_type, known);
        if (known && !t->sparse_tensor_type->shape)
            ot_found(c, "the sparse tensor has no shape");
        break;
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        check_inner(c, "sequence", t->sequence_type->elem_type);
        break;
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        check_inner(c, "optional", t->optional_type->elem_type);
        break;
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        if (!t->map_type->has_key_type || !is_key(t->map_type->key_type))
            ot_found(c, "the map has key type %d, which is none", t->map_type->key_type);
        check_inner(c, "map", t->map_type->value_type);
        break;
    case ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE:
        if (!*ot_text(t->opaque_type->name))
            ot_found(c, "the opaque type has no name");
        break;
    default:
        if (known)
            ot_found(c, "the type is empty");
        break;
    }
}

/* ---- Attributes -------------------------------------------------------------------------------------------- */

/* The types whose value fields are there, as bits. */
static unsigned fields_of(const Onnx__AttributeProto *a)
{
    const bool there[] = {
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT] = a->has_f,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT] = a->has_i,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING] = a->has_s,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR] = a->t != NULL,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH] = a->g != NULL,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO] = a->tp != NULL,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR] = a->sparse_tensor != NULL,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS] = a->n_floats > 0,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS] = a->n_ints > 0,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS] = a->n_strings > 0,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSORS] = a->n_tensors > 0,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPHS] = a->n_graphs > 0,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSORS] = a->n_sparse_tensors > 0,
        [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTOS] = a->n_type_protos > 0,
    };
    unsigned bits = 0;
    for (unsigned i = 0; i < sizeof(there) / sizeof(there[0]); i++)
        bits |= (unsigned)there[i] << i;
    return bits;
}

static bool is_attribute_of(const Onnx__FunctionProto *f, const char *name)
{
    for (size_t i = 0; i < f->n_attribute; i++)
        if (strcmp(f->attribute[i], name) == 0)
            return true;
    for (size_t i = 0; i < f->n_attribute_proto; i++)
        if (strcmp(ot_text(f->attribute_proto[i]->name), name) == 0)
            return true;
    return false;
}

static void check_reference(ot_checker *c, const Onnx__AttributeProto *a, unsigned fields)
{
    if (!c->function)
        ot_found(c, "it refers to '%.100s', and only the body of a function may", a->ref_attr_name);
    else if (!is_attribute_of(c->function, a->ref_attr_name))
        ot_found(c, "it refers to '%.100s', which the function has not", a->ref_attr_name);
    if (fields)
        ot_found(c, "it refers to '%.100s', and has a value too", a->ref_attr_name);
}

static void check_head(ot_checker *c, const Onnx__AttributeProto *a)
{
    unsigned fields = fields_of(a), more = fields & (fields - 1);
    bool typed = a->has_type && a->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED;
    if (!*ot_text(a->name))
        ot_found(c, "no name");
    if (typed && (a->type < 0 || a->type > ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTOS))
        ot_found(c, "type %d is not known", a->type);
    else if (typed && fields && fields != 1u << a->type && !more)
        ot_found(c, "it is %s, but its value is in the field of another type", ot_attr_type_name(a->type));
    else if (!typed && c->m->proto->ir_version >= 2)
        ot_found(c, "no type");
    if (more)
        ot_found(c, "more than one field holds a value");
    if (*ot_text(a->ref_attr_name))
        check_reference(c, a, fields);
}

static void check_tensors(ot_checker *c, const Onnx__AttributeProto *a)
{
    if (a->t)
        ot_check_tensor(c, a->t);
    if (a->sparse_tensor)
        ot_check_sparse(c, a->sparse_tensor);
    for (size_t i = 0; i < a->n_tensors; i++) {
        size_t at = ot_check_enter(c, "%zu", i);
        ot_check_tensor(c, a->tensors[i]);
        ot_check_leave(c, at);
    }
    for (size_t i = 0; i < a->n_sparse_tensors; i++) {
        size_t at = ot_check_enter(c, "%zu", i);
        ot_check_sparse(c, a->sparse_tensors[i]);
        ot_check_leave(c, at);
    }
}

void ot_check_attribute(ot_checker *c, const Onnx__AttributeProto *a, const ot_names *scope)
{
    size_t at = ot_check_enter(c, "attribute '%.100s'", ot_text(a->name));
    check_head(c, a);
    check_tensors(c, a);
    if (a->tp)
        ot_check_type(c, a->tp, false);
    for (size_t i = 0; i < a->n_type_protos; i++)
        ot_check_type(c, a->type_protos[i], false);
    if (a->g)
        ot_check_graph(c, a->g, scope, false, NULL);
    for (size_t i = 0; i < a->n_graphs; i++)
        ot_check_graph(c, a->graphs[i], scope, false, NULL);
    ot_check_leave(c, at);
}

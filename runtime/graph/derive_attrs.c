/* Types, tensors and attributes of the document as the working graph has them. */
#include "graph/derive_parts.h"

#include <stdio.h>
#include <string.h>

#define MOST_ATTRIBUTES 10000 /* of a node */

/* ---- Types and tensors --------------------------------------------------------------------------------------- */

/* A sequence or an optional.  The wire scanner has bounded how deep they lie. */
static ot_status take_holder(ot_deriver *d, ot_fact *f, const Onnx__TypeProto *type, const char *name)
{
    const Onnx__TypeProto *held = NULL;
    if (type && type->value_case == ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE && type->sequence_type) {
        f->kind = OT_SEQUENCE;
        held = type->sequence_type->elem_type;
    } else if (type && type->value_case == ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE && type->optional_type) {
        f->kind = OT_OPTIONAL;
        held = type->optional_type->elem_type;
    }
    if (!held)
        return ot_fail(OT_EUNSUPPORTED, "'%s' is no tensor, sequence or optional", name);
    ot_fact *e = ot_arena_calloc(&d->b.g->arena, 1, sizeof(*e));
    if (!e)
        return OT_ENOMEM;
    ot_dim batch = d->batch;
    d->batch = 0; /* items have no batch in common */
    ot_status st = ot_derive_type(d, e, held, name);
    d->batch = batch;
    f->element = e;
    return st;
}

ot_status ot_derive_type(ot_deriver *d, ot_fact *f, const Onnx__TypeProto *type, const char *name)
{
    ot_infer c = { .graph = d->b.g };
    *f = (ot_fact){ .kind = OT_TENSOR, .rank = -1 };
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type)
        return take_holder(d, f, type, name);
    f->dtype = (ot_dtype)type->tensor_type->elem_type;
    if (!ot_dtype_bits(f->dtype) && f->dtype != OT_STRING)
        return ot_fail(OT_EMODEL, "'%s' has element type %d", name, (int)f->dtype);
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    if (!shape)
        return OT_OK;
    if (shape->n_dim > OT_MAX_RANK)
        return ot_fail(OT_EUNSUPPORTED, "'%s' has rank %zu, at most %d is taken", name, shape->n_dim, OT_MAX_RANK);
    f->rank = (int)shape->n_dim;
    for (int i = 0; i < f->rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0)
            f->dim[i] = dim->dim_value;
        else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && *ot_text(dim->dim_param))
            f->dim[i] = ot_symbol_named(d->b.g, dim->dim_param);
        else
            f->dim[i] = ot_dim_unknown(&c);
    }
    ot_status st = ot_check_span(f->rank, f->dim);
    if (st != OT_OK)
        return ot_context(st, "'%s'", name);
    if (d->batch && f->rank > 0 && f->dim[0] == 1)
        f->dim[0] = d->batch;
    return OT_OK;
}

/* Keeps a tensor that was decoded or made; takes it over, also when it fails. */
static ot_status keep_tensor(ot_deriver *d, ot_tensor *t)
{
    ot_tensor *keep = ot_malloc(1, sizeof(*keep));
    ot_graph *g = d->root;
    if (!keep || ot_grow(&g->owned, g->n_owned, &g->cap_owned, sizeof(*g->owned)) != OT_OK) {
        ot_free(keep);
        ot_tensor_release(t);
        return OT_ENOMEM;
    }
    *keep = *t;
    g->owned[g->n_owned++] = keep;
    return OT_OK;
}

static ot_status decode(ot_deriver *d, ot_tensor *view, bool *owned, const Onnx__TensorProto *t)
{
    OT_TRY(ot_model_tensor(d->m, t, view, owned));
    ot_status st = ot_check_span(view->rank, view->dim);
    if (st == OT_OK)
        return *owned ? keep_tensor(d, view) : OT_OK;
    if (*owned)
        ot_tensor_release(view);
    return ot_context(st, "tensor '%s'", ot_text(t->name));
}

/* A body is read once a call: what had to be decoded is kept for the next. */
ot_status ot_derive_tensor(ot_deriver *d, ot_tensor *view, const Onnx__TensorProto *t)
{
    char key[32];
    bool owned;
    if (!d->scope->caller)
        return decode(d, view, &owned, t);
    snprintf(key, sizeof(key), "%p", (const void *)t);
    int64_t at = ot_strmap_get(&d->decoded, key, -1);
    if (at >= 0) {
        *view = *d->root->owned[at];
        return OT_OK;
    }
    OT_TRY(decode(d, view, &owned, t));
    return owned ? ot_strmap_put(&d->decoded, key, d->root->n_owned - 1) : OT_OK;
}

ot_status ot_derive_sparse(ot_deriver *d, ot_tensor *view, const Onnx__SparseTensorProto *s)
{
    char key[32];
    snprintf(key, sizeof(key), "%p", (const void *)s);
    int64_t at = ot_strmap_get(&d->decoded, key, -1);
    if (at >= 0) {
        *view = *d->root->owned[at];
        return OT_OK;
    }
    OT_TRY(ot_model_sparse(d->m, s, view));
    OT_TRY(keep_tensor(d, view));
    return ot_strmap_put(&d->decoded, key, d->root->n_owned - 1);
}

/* ---- Attributes ---------------------------------------------------------------------------------------------- */

/* A file of the first IR versions need not say the type: the field that is there does. */
static int type_of(const Onnx__AttributeProto *a)
{
    if (a->type)
        return a->type;
    return a->t           ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR
           : a->g         ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH
           : a->has_s     ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING
           : a->n_floats  ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS
           : a->n_ints    ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS
           : a->n_strings ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS
           : a->has_f     ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT
           : a->has_i     ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT
                          : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED;
}

/* What attributes of ONNX's type become; -1: no operator here takes it. */
static int kind_of(int type)
{
    switch (type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        return OT_ATTR_INT;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        return OT_ATTR_FLOAT;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        return OT_ATTR_STRING;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        return OT_ATTR_INTS;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        return OT_ATTR_FLOATS;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS:
        return OT_ATTR_STRINGS;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR: /* made dense */
        return OT_ATTR_TENSOR;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH:
        return OT_ATTR_GRAPH;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO:
        return OT_ATTR_TYPE;
    default:
        return -1;
    }
}

static const char *take_text(ot_arena *arena, const ProtobufCBinaryData *s)
{
    char *copy = ot_arena_calloc(arena, s->len + 1, 1);
    if (copy && s->len)
        memcpy(copy, s->data, s->len);
    return copy;
}

static ot_status take_strings(ot_arena *arena, ot_attr *out, const Onnx__AttributeProto *a)
{
    const char **list = ot_arena_calloc(arena, a->n_strings + 1, sizeof(*list));
    if (!list)
        return OT_ENOMEM;
    for (size_t i = 0; i < a->n_strings; i++)
        if (!(list[i] = take_text(arena, &a->strings[i])))
            return OT_ENOMEM;
    out->n = (int)a->n_strings;
    out->strings = list;
    return OT_OK;
}

static ot_status take_tensor(ot_deriver *d, ot_attr *out, const Onnx__AttributeProto *a)
{
    ot_tensor *t = ot_arena_calloc(&d->b.g->arena, 1, sizeof(*t));
    if (!t)
        return OT_ENOMEM;
    out->tensor = t;
    if (type_of(a) == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR && a->sparse_tensor)
        return ot_derive_sparse(d, t, a->sparse_tensor);
    if (!a->t)
        return ot_fail(OT_EMODEL, "attribute '%s' holds no tensor", out->name);
    return ot_derive_tensor(d, t, a->t);
}

static ot_status take_value(ot_deriver *d, ot_attr *out, const Onnx__AttributeProto *a)
{
    ot_arena *arena = &d->b.g->arena;
    int kind = kind_of(type_of(a));
    size_t most = a->n_ints > a->n_floats ? a->n_ints : a->n_floats;
    most = most > a->n_strings ? most : a->n_strings;
    if (most > INT32_MAX)
        return ot_fail(OT_EUNSUPPORTED, "attribute '%s' has %zu entries", out->name, most);
    out->type = (ot_attr_type)kind;
    switch (kind) {
    case OT_ATTR_INT:
        out->i = a->i;
        return OT_OK;
    case OT_ATTR_FLOAT:
        out->f = (double)a->f;
        return OT_OK;
    case OT_ATTR_STRING:
        out->s = take_text(arena, &a->s);
        return out->s ? OT_OK : OT_ENOMEM;
    case OT_ATTR_INTS:
        out->n = (int)a->n_ints;
        out->ints = ot_arena_memdup(arena, a->ints, a->n_ints * sizeof(*a->ints));
        return out->ints ? OT_OK : OT_ENOMEM;
    case OT_ATTR_FLOATS:
        out->n = (int)a->n_floats;
        out->floats = ot_arena_memdup(arena, a->floats, a->n_floats * sizeof(*a->floats));
        return out->floats ? OT_OK : OT_ENOMEM;
    case OT_ATTR_STRINGS:
        return take_strings(arena, out, a);
    case OT_ATTR_TENSOR:
        return take_tensor(d, out, a);
    case OT_ATTR_GRAPH: /* derived when its node's inputs are known */
        return OT_OK;
    case OT_ATTR_TYPE: {
        ot_fact *f = ot_arena_calloc(arena, 1, sizeof(*f));
        out->fact = f;
        return f ? ot_derive_type(d, f, a->tp, out->name) : OT_ENOMEM;
    }
    default:
        return ot_fail(OT_EUNSUPPORTED, "attribute '%s' has type %d, which no operator here takes", out->name,
                       type_of(a));
    }
}

/* What the call of the body gives for the attribute that `a` refers to; *there false where it gives nothing. */
static ot_status take_reference(ot_deriver *d, ot_attr *out, bool *there, const Onnx__AttributeProto *a)
{
    *there = false;
    if (!d->scope->caller)
        return ot_fail(OT_EMODEL, "attribute '%s' refers to '%s' of a function, but stands in none", out->name,
                       a->ref_attr_name);
    for (const ot_attr *given = d->scope->attr; given && given->name && !*there; given++) {
        if (strcmp(given->name, a->ref_attr_name) != 0)
            continue;
        const char *name = out->name;
        *out = *given;
        out->name = name;
        *there = true;
        OT_TRY(ot_charge(d, 16 * (size_t)out->n + (out->s ? strlen(out->s) : 0)));
    }
    if (*there && a->type && kind_of(a->type) != (int)out->type)
        return ot_fail(OT_EMODEL, "attribute '%s' is to be of type %d, but '%s' of the call is of another", out->name,
                       (int)a->type, a->ref_attr_name);
    return OT_OK;
}

ot_status ot_derive_attrs(ot_deriver *d, ot_attr **out, size_t n, Onnx__AttributeProto *const *attribute)
{
    if (n > MOST_ATTRIBUTES)
        return ot_fail(OT_EUNSUPPORTED, "%zu attributes, at most %d are taken", n, MOST_ATTRIBUTES);
    ot_attr *list = ot_arena_calloc(&d->b.g->arena, n + 1, sizeof(*list));
    size_t count = 0;
    if (!list)
        return OT_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const Onnx__AttributeProto *a = attribute[i];
        bool there = true;
        ot_attr *to = &list[count];
        *to = (ot_attr){ .name = ot_arena_strdup(&d->b.g->arena, ot_text(a->name)) };
        if (!to->name)
            return OT_ENOMEM;
        for (size_t k = 0; k < count; k++)
            if (strcmp(list[k].name, to->name) == 0)
                return ot_fail(OT_EMODEL, "attribute '%s' is given twice", to->name);
        OT_TRY(*ot_text(a->ref_attr_name) ? take_reference(d, to, &there, a) : take_value(d, to, a));
        count += there;
    }
    list[count] = (ot_attr){ .name = NULL };
    *out = list;
    return OT_OK;
}

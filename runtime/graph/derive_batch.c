/* Freeing a literal batch of 1: the inputs' first dimension became the symbol "N", and nodes in which an exporter wrote
 * the 1 down are made to take any.  Where that is not enough the model is derived again with its literal batch. */
#include "graph/derive_parts.h"

#include <string.h>

#define MOST_DEPTH 8 /* of an expression */

/* The dimension for a batch of 1; -1: it depends on more than the batch, or is not worth the walk. */
static int64_t at_one(const ot_deriver *d, ot_dim dim, int depth)
{
    if (!ot_is_symbol(dim) || dim == d->batch)
        return dim == d->batch ? 1 : dim;
    int64_t i = dim - OT_SYMBOL(0), y;
    const ot_symbol *s = i < d->b.g->n_symbol ? &d->b.g->symbol[i] : NULL;
    if (!s || depth == MOST_DEPTH || !strchr("+-*/", s->op))
        return -1;
    int64_t a = at_one(d, s->a, depth + 1), b = at_one(d, s->b, depth + 1);
    if (a < 0 || b < 0 || (s->op == '/' && b == 0))
        return -1;
    bool over = s->op == '+'   ? __builtin_add_overflow(a, b, &y)
                : s->op == '*' ? __builtin_mul_overflow(a, b, &y)
                               : (y = s->op == '-' ? a - b : a / b, false);
    return over ? -1 : y;
}

/* ---- Reshape ------------------------------------------------------------------------------------------------- */

static const ot_attr *without(ot_deriver *d, const ot_attr *attr, const char *name)
{
    size_t n = 0, kept = 0;
    while (attr[n].name)
        n++;
    ot_attr *list = ot_arena_calloc(&d->b.g->arena, n + 1, sizeof(*list));
    for (size_t i = 0; list && i < n; i++)
        if (strcmp(attr[i].name, name) != 0)
            list[kept++] = attr[i];
    return list;
}

/* Does the target hold as many elements as x does for a batch of 1, when only x's first dimension has the batch? */
static bool fits_at_one(const ot_deriver *d, const ot_fact *x, int rank, const int64_t *target)
{
    int64_t has = at_one(d, x->dim[0], 0), wants = 1;
    for (int i = 1; i < x->rank && has >= 0; i++)
        if (ot_is_symbol(x->dim[i]) || __builtin_mul_overflow(has, x->dim[i], &has))
            has = -1;
    for (int i = 0; i < rank; i++)
        if (target[i] <= 0 || __builtin_mul_overflow(wants, target[i], &wants))
            return false;
    return has == wants;
}

/* A constant target whose first dimension is for a batch of 1: x's own first dimension is kept (0), or what is left
 * over goes there (-1), so that samples stay whole and in order. */
static ot_status free_reshape(ot_deriver *d, const ot_attr **attr, ot_val *in, int n_in)
{
    if (n_in < 2 || in[0] == OT_NONE || in[1] == OT_NONE)
        return OT_OK;
    const ot_fact *x = &d->b.g->value[in[0]].fact;
    const ot_tensor *shape = d->b.g->value[in[1]].tensor;
    bool is_const = d->b.g->value[in[1]].origin == OT_FROM_CONSTANT && shape->dtype == OT_INT64 && shape->rank == 1;
    if (x->rank < 1 || !ot_is_symbol(x->dim[0]) || !is_const || shape->dim[0] < 1 || shape->dim[0] > OT_MAX_RANK)
        return OT_OK;
    int64_t target[OT_MAX_RANK], first = 1;
    int rank = (int)shape->dim[0];
    bool zeros = false, literal_zero = false;
    memcpy(target, shape->data, (size_t)rank * sizeof(*target));
    for (const ot_attr *a = *attr; a->name; a++)
        literal_zero |= strcmp(a->name, "allowzero") == 0 && a->i;
    for (int i = 1; i < rank; i++)
        zeros |= target[i] == 0;
    if (x->dim[0] == d->batch && target[0] == 1 && !(literal_zero && zeros))
        first = 0;
    else if (rank > 1 && fits_at_one(d, x, rank, target))
        first = -1;
    if (first == 1)
        return OT_OK;
    target[0] = first;
    if (first == 0 && literal_zero && !(*attr = without(d, *attr, "allowzero")))
        return OT_ENOMEM;
    d->b.prefix = d->b.g->value[in[1]].name;
    in[1] = ot_const_ints(&d->b, rank, target);
    return d->b.st;
}

/* ---- Concat -------------------------------------------------------------------------------------------------- */

static bool has_first_dim(const ot_deriver *d, ot_val v, ot_dim dim)
{
    return v != OT_NONE && d->b.g->value[v].fact.rank > 1 && d->b.g->value[v].fact.dim[0] == dim;
}

/* One that is the same for every sample (a class token that was expanded to a batch of 1) beside one with the batch:
 * it is expanded to the batch. */
static ot_status free_concat(ot_deriver *d, const ot_attr *attr, ot_val *in, int n_in)
{
    int64_t axis = 1;
    int batched = 0;
    for (const ot_attr *a = attr; a->name; a++)
        axis = strcmp(a->name, "axis") == 0 && a->type == OT_ATTR_INT ? a->i : axis;
    while (batched < n_in && !has_first_dim(d, in[batched], d->batch))
        batched++;
    if (batched == n_in || axis == 0 || axis == -d->b.g->value[in[batched]].fact.rank)
        return OT_OK;
    ot_val batch = OT_NONE;
    for (int i = 0; i < n_in; i++) {
        if (!has_first_dim(d, in[i], 1))
            continue;
        int64_t ones[OT_MAX_RANK];
        int rank = d->b.g->value[in[i]].fact.rank;
        for (int k = 0; k < rank; k++)
            ones[k] = 1;
        d->b.prefix = ot_arena_printf(&d->b.g->arena, "%s.batch", d->b.g->value[in[i]].name);
        if (!d->b.prefix)
            return OT_ENOMEM;
        if (batch == OT_NONE)
            batch = OT_EMIT_WITH(&d->b, "Shape", OT_ATTRS(OT_INT("start", 0), OT_INT("end", 1)), in[batched]);
        ot_val to =
            OT_EMIT_WITH(&d->b, "Concat", OT_ATTRS(OT_INT("axis", 0)), batch, ot_const_ints(&d->b, rank - 1, ones));
        in[i] = OT_EMIT(&d->b, "Expand", in[i], to);
    }
    return d->b.st;
}

ot_status ot_free_batch(ot_deriver *d, const ot_op *op, const ot_attr **attr, ot_val *in, int n_in)
{
    if (!d->batch || *op->domain)
        return OT_OK;
    if (strcmp(op->name, "Reshape") == 0)
        return free_reshape(d, attr, in, n_in);
    return strcmp(op->name, "Concat") == 0 ? free_concat(d, *attr, in, n_in) : OT_OK;
}

ot_status ot_check_freed(const ot_deriver *d)
{
    const ot_graph *g = d->b.g;
    for (int64_t i = 0; d->batch && i < g->n_output; i++) {
        const ot_fact *f = &g->value[g->output[i].value].fact;
        bool open = f->rank < 1 || f->dim[0] != 1;
        for (int k = 1; k < f->rank; k++)
            open |= ot_is_symbol(f->dim[k]);
        if (!open)
            return ot_fail(OT_EUNSUPPORTED, "the batch is fixed inside the model");
    }
    return OT_OK;
}

static bool is_open(const Onnx__TensorShapeProto__Dimension *d)
{
    return d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
}

bool ot_batch_is_open(const ot_model *m)
{
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_input; i++) {
        const Onnx__TypeProto *t = g->input[i]->type;
        if (!t || t->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !t->tensor_type->shape)
            continue;
        const Onnx__TensorShapeProto *s = t->tensor_type->shape;
        bool one = s->n_dim && !is_open(s->dim[0]) && s->dim[0]->dim_value == 1, open = false;
        for (size_t k = 0; k < s->n_dim; k++)
            open |= is_open(s->dim[k]);
        if (open && !one)
            return true;
    }
    return false;
}

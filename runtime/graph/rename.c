/* New names for values and nodes, and another batch dimension. */
#include "graph/derive.h"
#include "graph/docshape.h"
#include "graph/surgery.h"

#include <stdlib.h>
#include <string.h>

/* ---- Names -------------------------------------------------------------------------------------------------- */

typedef struct names {
    const char *old, *fresh;
} names;

static bool makes_value(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            if (strcmp(g->node[i]->output[k], name) == 0)
                return true;
    for (size_t i = 0; i < g->n_input; i++)
        if (strcmp(ot_text(g->input[i]->name), name) == 0)
            return true;
    for (size_t i = 0; i < g->n_initializer; i++)
        if (strcmp(ot_text(g->initializer[i]->name), name) == 0)
            return true;
    for (size_t i = 0; i < g->n_sparse_initializer; i++)
        if (g->sparse_initializer[i]->values && strcmp(ot_text(g->sparse_initializer[i]->values->name), name) == 0)
            return true;
    return false;
}

/* Bindings of training_info speak of initializers by name. */
static ot_status rename_bindings(Onnx__ModelProto *p, const names *n)
{
    for (size_t i = 0; i < p->n_training_info; i++) {
        const Onnx__TrainingInfoProto *t = p->training_info[i];
        for (size_t k = 0; k < t->n_update_binding + t->n_initialization_binding; k++) {
            Onnx__StringStringEntryProto *e =
                k < t->n_update_binding ? t->update_binding[k] : t->initialization_binding[k - t->n_update_binding];
            if (strcmp(ot_text(e->key), n->old) == 0)
                OT_TRY(ot_set_string(&e->key, n->fresh));
        }
    }
    return OT_OK;
}

static ot_status rename_in(ot_model *m, void *ctx)
{
    const names *n = ctx;
    Onnx__GraphProto *g = m->proto->graph;
    bool found = *n->old && makes_value(g, n->old);
    char *free_name = ot_unique_name(g, n->fresh);
    if (!free_name)
        return OT_ENOMEM;
    bool taken = strcmp(free_name, n->fresh) != 0;
    ot_free(free_name);
    if (!*n->fresh || taken)
        return ot_fail(OT_EARG, "the name '%s' is %s", n->fresh, taken ? "taken" : "empty");
    if (found) {
        OT_TRY(ot_replace_value(g, n->old, n->fresh));
        OT_TRY(rename_bindings(m->proto, n));
    }
    for (size_t i = 0; i < g->n_node; i++) {
        if (strcmp(ot_text(g->node[i]->name), n->old) != 0 || !*n->old)
            continue;
        OT_TRY(ot_set_string(&g->node[i]->name, n->fresh));
        found = true;
    }
    return found ? OT_OK : ot_fail(OT_EARG, "no value or node is named '%s'", n->old);
}

ot_status ot_model_rename(ot_model *m, const char *old, const char *fresh)
{
    names n = { old, fresh };
    return ot_model_change(m, rename_in, &n);
}

/* ---- The batch ---------------------------------------------------------------------------------------------- */

typedef struct batch {
    ot_doc_dim to;
    int64_t from; /* the number that it was, -1: none */
    char from_name[64];
    const ot_graph *before; /* facts of the model as it was; NULL where they cannot be inferred */
} batch;

static Onnx__TensorShapeProto__Dimension *first_dim(const Onnx__ValueInfoProto *v)
{
    if (!v->type || v->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !v->type->tensor_type->shape ||
        !v->type->tensor_type->shape->n_dim)
        return NULL;
    return v->type->tensor_type->shape->dim[0];
}

static bool is_old(const batch *b, const Onnx__TensorShapeProto__Dimension *d)
{
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
        return b->from >= 0 && d->dim_value == b->from;
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM)
        return strcmp(d->dim_param, b->from_name) == 0;
    return b->from < 0 && !*b->from_name;
}

static ot_status set_first(const batch *b, Onnx__TensorShapeProto__Dimension *d)
{
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM)
        ot_free(d->dim_param);
    d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE__NOT_SET;
    d->dim_param = NULL; /* the pointer and the number share their place */
    d->dim_value = 0;
    if (!b->to.param) {
        d->dim_value = b->to.size;
        d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        return OT_OK;
    }
    char *copy = ot_strdup(b->to.param);
    if (!copy)
        return OT_ENOMEM;
    d->dim_param = copy;
    d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    return OT_OK;
}

/* The target of a Reshape: an initializer or the value of a Constant. */
static const Onnx__TensorProto *target_of(const ot_model *m, const Onnx__NodeProto *n)
{
    const Onnx__GraphProto *g = m->proto->graph;
    const Onnx__TensorProto *t = n->n_input > 1 ? ot_model_find_initializer(m, n->input[1]) : NULL;
    for (size_t i = 0; !t && n->n_input > 1 && i < g->n_node; i++) {
        const Onnx__NodeProto *c = g->node[i];
        const Onnx__AttributeProto *a =
            c->n_output && strcmp(c->output[0], n->input[1]) == 0 && strcmp(ot_text(c->op_type), "Constant") == 0
                ? ot_node_attr(c, "value")
                : NULL;
        t = a ? a->t : NULL;
    }
    return t;
}

/* Does the data that this Reshape reads have the batch as its first dimension? */
static bool reads_batch(const batch *b, const ot_model *m, const Onnx__NodeProto *n)
{
    if (!n->n_input || ot_model_find_initializer(m, n->input[0]))
        return false;
    ot_val v = b->before ? ot_graph_find(b->before, n->input[0]) : OT_NONE;
    if (v == OT_NONE)
        return true;
    const ot_fact *f = &b->before->value[v].fact;
    return f->rank < 1 || ot_is_symbol(f->dim[0]) || f->dim[0] == b->from;
}

/* 0 in a target means "as in the data". */
static ot_status free_reshape(ot_model *m, const batch *b, Onnx__NodeProto *n)
{
    ot_tensor t, copy;
    bool owned;
    if (!reads_batch(b, m, n) || ot_node_int(n, "allowzero", 0))
        return OT_OK;
    Onnx__AttributeProto *old_form = ot_node_attr(n, "shape");
    if (old_form && old_form->n_ints && old_form->ints[0] == b->from)
        old_form->ints[0] = 0;
    const Onnx__TensorProto *p = target_of(m, n);
    if (!p)
        return OT_OK;
    OT_TRY(ot_model_tensor(m, p, &t, &owned));
    bool wanted = t.dtype == OT_INT64 && t.rank == 1 && t.dim[0] > 0 && *(const int64_t *)t.data == b->from;
    ot_status st = wanted ? ot_tensor_init(&copy, OT_INT64, 1, t.dim) : OT_OK;
    if (wanted && st == OT_OK) {
        char *name = ot_unique_name(m->proto->graph, n->input[1]);
        memcpy(copy.data, t.data, ot_tensor_bytes(&t));
        *(int64_t *)copy.data = 0;
        st = name ? ot_model_add_initializer(m, name, &copy) : OT_ENOMEM;
        if (st == OT_OK)
            st = ot_set_string(&n->input[1], name);
        ot_free(name);
        ot_tensor_release(&copy);
    }
    if (owned)
        ot_tensor_release(&t);
    return st;
}

static ot_status find_old(batch *b, const ot_model *m)
{
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_input; i++) {
        const Onnx__TensorShapeProto__Dimension *d = first_dim(g->input[i]);
        if (!d || ot_model_find_initializer(m, ot_text(g->input[i]->name)))
            continue;
        b->from = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ? d->dim_value : -1;
        if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM) {
            strncpy(b->from_name, d->dim_param, sizeof(b->from_name) - 1);
            if (strlen(d->dim_param) >= sizeof(b->from_name))
                return ot_fail(OT_EUNSUPPORTED, "the batch dimension has a name of more than 63 characters");
        }
        return OT_OK;
    }
    return ot_fail(OT_EARG, "no input has a batch dimension");
}

/* The new batch must arrive at every output that had the old one. */
static ot_status check_output(const ot_model *m, const batch *b, const char *name)
{
    char text[256];
    ot_doc_shape s;
    ot_status st = ot_doc_shape_infer(&s, m, name);
    if (st == OT_EUNSUPPORTED) /* not inferred: the document's own word stands */
        return OT_OK;
    OT_TRY(st);
    bool same = s.rank > 0 && (s.dim[0].size < 0 || !b->to.param) &&
                (b->to.param || s.dim[0].size < 0 || s.dim[0].size == b->to.size);
    return same ? OT_OK
                : ot_fail(OT_EUNSUPPORTED, "the batch is fixed inside the model: output '%s' would be %s", name,
                          ot_doc_shape_text(text, sizeof(text), &s));
}

static ot_status change_batch(ot_model *m, void *ctx)
{
    batch *b = ctx;
    Onnx__GraphProto *g = m->proto->graph;
    OT_TRY(find_old(b, m));
    for (size_t i = 0; b->from >= 0 && i < g->n_node; i++)
        if (strcmp(ot_text(g->node[i]->op_type), "Reshape") == 0 && ot_same_domain(g->node[i]->domain, ""))
            OT_TRY(free_reshape(m, b, g->node[i]));
    for (size_t i = 0; i < g->n_input; i++) {
        Onnx__TensorShapeProto__Dimension *d = first_dim(g->input[i]);
        if (d && is_old(b, d) && !ot_model_find_initializer(m, ot_text(g->input[i]->name)))
            OT_TRY(set_first(b, d));
    }
    for (size_t i = g->n_value_info; i-- > 0;) { /* hints, not worth guessing which of them hold the batch */
        const Onnx__TensorShapeProto__Dimension *d = first_dim(g->value_info[i]);
        if (d && is_old(b, d))
            ot_remove(&g->base, "value_info", (int64_t)i);
    }
    OT_TRY(ot_model_sweep(m));
    for (size_t i = 0; i < g->n_output; i++) {
        Onnx__TensorShapeProto__Dimension *d = first_dim(g->output[i]);
        if (!d || !is_old(b, d))
            continue;
        OT_TRY(check_output(m, b, ot_text(g->output[i]->name)));
        OT_TRY(set_first(b, d));
    }
    return OT_OK;
}

ot_status ot_model_set_batch(ot_model *m, const char *text)
{
    char *end;
    batch b = { .from = -1 };
    long long n = strtoll(text, &end, 10);
    bool number = *text && *end == 0;
    if (!*text || (number && (n < 1 || n > INT32_MAX)))
        return ot_fail(OT_EARG, "batch '%s' is no number from 1 to %d and no name", text, INT32_MAX);
    b.to = number ? (ot_doc_dim){ n, NULL } : (ot_doc_dim){ -1, text };
    ot_graph *before = NULL;
    ot_status st = ot_derive(&before, m, &(ot_derive_opts){ 0 });
    if (st == OT_ENOMEM)
        return st;
    b.before = st == OT_OK ? before : NULL;
    st = ot_model_change(m, change_batch, &b);
    ot_graph_close(before);
    return st;
}

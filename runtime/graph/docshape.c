#include "graph/docshape.h"
#include "graph/derive.h"

#include <stdio.h>
#include <string.h>

static void set_named(ot_doc_shape *s, int i, const char *name)
{
    snprintf(s->name[i], sizeof(s->name[i]), "%s", name);
    s->dim[i] = (ot_doc_dim){ -1, *s->name[i] ? s->name[i] : NULL };
}

void ot_doc_shape_copy(ot_doc_shape *out, const ot_doc_shape *from)
{
    *out = *from;
    for (int i = 0; i < out->rank; i++)
        if (out->dim[i].param)
            out->dim[i].param = out->name[i];
}

const char *ot_doc_shape_text(char *text, size_t n, const ot_doc_shape *s)
{
    size_t at = (size_t)snprintf(text, n, "[");
    for (int i = 0; i < s->rank && at < n; i++) {
        const char *comma = i ? "," : "";
        const ot_doc_dim *d = &s->dim[i];
        int wrote = d->param       ? snprintf(text + at, n - at, "%s%s", comma, d->param)
                    : d->size >= 0 ? snprintf(text + at, n - at, "%s%lld", comma, (long long)d->size)
                                   : snprintf(text + at, n - at, "%s?", comma);
        at += (size_t)wrote;
    }
    if (at < n)
        snprintf(text + at, n - at, "]");
    return text;
}

static bool from_fact(ot_doc_shape *s, const ot_graph *g, const ot_fact *f)
{
    if (f->kind != OT_TENSOR || f->rank < 0 || f->dtype == OT_UNDEFINED)
        return false;
    s->dtype = f->dtype;
    s->rank = f->rank;
    for (int i = 0; i < f->rank; i++) {
        s->dim[i] = (ot_doc_dim){ f->dim[i], NULL };
        if (!ot_is_symbol(f->dim[i]))
            continue;
        const ot_symbol *y = &g->symbol[f->dim[i] - INT64_MIN];
        set_named(s, i, y->op == 'n' ? y->name : "");
    }
    return true;
}

static bool from_declared(ot_doc_shape *s, const Onnx__ValueInfoProto *v, const char *value)
{
    if (strcmp(ot_text(v->name), value) != 0 || !v->type ||
        v->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !v->type->tensor_type->shape ||
        v->type->tensor_type->shape->n_dim > OT_MAX_RANK)
        return false;
    const Onnx__TypeProto__Tensor *t = v->type->tensor_type;
    s->dtype = (ot_dtype)t->elem_type;
    s->rank = (int)t->shape->n_dim;
    for (int i = 0; i < s->rank; i++) {
        const Onnx__TensorShapeProto__Dimension *d = t->shape->dim[i];
        if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && d->dim_value >= 0)
            s->dim[i] = (ot_doc_dim){ d->dim_value, NULL };
        else
            set_named(s, i,
                      d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM ? ot_text(d->dim_param)
                                                                                            : "");
    }
    return s->dtype != OT_UNDEFINED;
}

ot_status ot_doc_shape_infer(ot_doc_shape *out, const ot_model *m, const char *value)
{
    ot_graph *g;
    *out = (ot_doc_shape){ 0 };
    ot_status st = ot_derive(&g, m, &(ot_derive_opts){ 0 });
    if (st == OT_OK) {
        ot_val v = ot_graph_find(g, value);
        bool known = v != OT_NONE && from_fact(out, g, &g->value[v].fact);
        ot_graph_close(g);
        st = known ? OT_OK : ot_fail(OT_EUNSUPPORTED, "it cannot be inferred");
    }
    return st == OT_OK ? OT_OK : ot_context(st, "the shape of value '%s'", value);
}

ot_status ot_doc_shape_of(ot_doc_shape *out, const ot_model *m, const char *value)
{
    const Onnx__GraphProto *p = m->proto->graph;
    ot_status st = ot_doc_shape_infer(out, m, value);
    if (st != OT_EUNSUPPORTED)
        return st;
    for (size_t i = 0; i < p->n_value_info; i++)
        if (from_declared(out, p->value_info[i], value))
            return OT_OK;
    for (size_t i = 0; i < p->n_output; i++)
        if (from_declared(out, p->output[i], value))
            return OT_OK;
    return st;
}

#include "reshape_model.h"
#include "base/tensor.h"
#include "model/edit.h"

#include <string.h>

static ot_status tensor_to_double(void *ctx, Onnx__TensorProto *p)
{
    ot_model *m = ctx;
    ot_tensor view, wide;
    bool owned;
    if (p->data_type != OT_FLOAT)
        return OT_OK;
    OT_TRY(ot_model_tensor(m, p, &view, &owned));
    ot_status st = ot_tensor_init(&wide, OT_DOUBLE, view.rank, view.dim);
    if (st == OT_OK) {
        for (int64_t i = 0; i < ot_tensor_count(&view); i++)
            ot_tensor_set(&wide, i, ot_tensor_get(&view, i));
        st = ot_model_set_tensor(m, p, &wide, OT_SET_RESHAPE);
        ot_tensor_release(&wide);
    }
    if (owned)
        ot_tensor_release(&view);
    return st;
}

static void type_to_double(Onnx__ValueInfoProto *v)
{
    if (v->type && v->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && v->type->tensor_type &&
        v->type->tensor_type->elem_type == OT_FLOAT)
        v->type->tensor_type->elem_type = OT_DOUBLE;
}

static void forget_inner_shapes(Onnx__GraphProto *g)
{
    while (g->n_value_info)
        ot_remove(&g->base, "value_info", 0);
}

ot_status ot_model_to_double(ot_model *m)
{
    Onnx__GraphProto *g = m->proto->graph;
    OT_TRY(ot_each_tensor(&g->base, tensor_to_double, m));
    for (size_t i = 0; i < g->n_input; i++)
        type_to_double(g->input[i]);
    for (size_t i = 0; i < g->n_output; i++)
        type_to_double(g->output[i]);
    forget_inner_shapes(g);
    return OT_OK;
}

ot_status ot_model_free_size(ot_model *m)
{
    Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_input; i++) {
        const Onnx__TypeProto *type = g->input[i]->type;
        if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type ||
            !type->tensor_type->shape)
            continue;
        const Onnx__TensorShapeProto *s = type->tensor_type->shape;
        ot_doc_dim dim[OT_MAX_RANK] = { { 0, NULL } };
        if (s->n_dim < 3 || s->n_dim > OT_MAX_RANK)
            continue;
        dim[0] = (ot_doc_dim){ 0, "N" };
        for (size_t k = 1; k < s->n_dim; k++)
            dim[k] = (ot_doc_dim){ k < 2 ? s->dim[k]->dim_value : -1, NULL };
        OT_TRY(ot_set_value_type(g->input[i], (ot_dtype)type->tensor_type->elem_type, (int)s->n_dim, dim));
    }
    forget_inner_shapes(g);
    return OT_OK;
}

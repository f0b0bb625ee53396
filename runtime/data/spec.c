/* What a model says of the pictures that it wants: the shape of its input, then "onnxtune.input" in its metadata. */
#include "model/model.h"

#include <string.h>

#define KEY      "onnxtune.input"
#define MAX_SIDE 65536

static int64_t fixed_dim(const Onnx__TensorShapeProto *s, size_t i)
{
    const Onnx__TensorShapeProto__Dimension *d = s->dim[i];
    return d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ? d->dim_value : -1;
}

/* A first input of [?,3,S,S] or [?,S,S,3] settles size and layout. */
static void from_shape(ot_image_spec *spec, const ot_model *m)
{
    const char *name = ot_model_input_name(m, 0);
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_input && name; i++) {
        const Onnx__TypeProto *t = g->input[i]->type;
        if (strcmp(ot_text(g->input[i]->name), name) != 0 || !t ||
            t->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !t->tensor_type || !t->tensor_type->shape)
            continue;
        const Onnx__TensorShapeProto *s = t->tensor_type->shape;
        if (s->n_dim != 4)
            continue;
        spec->nhwc = fixed_dim(s, 3) == 3 && fixed_dim(s, 1) != 3;
        int64_t side = fixed_dim(s, spec->nhwc ? 1 : 2);
        if (side > 0 && side <= MAX_SIDE && side == fixed_dim(s, spec->nhwc ? 2 : 3))
            spec->size = side;
        return;
    }
}

ot_status ot_image_spec_from_model(ot_image_spec *out, const ot_model *m)
{
    const char *text = ot_model_metadata(m, KEY);
    *out = (ot_image_spec)OT_IMAGE_SPEC_INIT;
    from_shape(out, m);
    if (text && ot_image_spec_parse(out, text) != OT_OK)
        return ot_context(OT_EDATA, "metadata " KEY);
    return OT_OK;
}

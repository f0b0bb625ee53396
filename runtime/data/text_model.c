/* What a model says of the text that it reads: its inputs and outputs, and the metadata "onnxtune.text" ({"lower":
 * true, "batch_first": false}) and "onnxtune.vocab". */
#include "data/json.h"
#include "data/corpus.h"
#include "model/model.h"

#include <stdio.h>
#include <string.h>

#define SPEC_KEY  "onnxtune.text"
#define VOCAB_KEY "onnxtune.vocab"

static const Onnx__TensorShapeProto *shape_of(Onnx__ValueInfoProto *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n && name; i++) {
        const Onnx__TypeProto *t = list[i]->type;
        if (strcmp(ot_text(list[i]->name), name) == 0 && t && t->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE &&
            t->tensor_type)
            return t->tensor_type->shape;
    }
    return NULL;
}

static ot_status read_bool(ot_json *j, bool *out)
{
    static const char *const word[] = { "false", "true" };
    for (int i = 0; i < 2; i++) {
        while (*j->p == ' ')
            j->p++;
        if (strncmp(j->p, word[i], strlen(word[i])) == 0) {
            j->p += strlen(word[i]);
            *out = i;
            return OT_OK;
        }
    }
    return ot_json_fail(j, "true or false");
}

ot_status ot_text_spec_parse(ot_text_options *o, const char *json)
{
    ot_json j = { json, json };
    if (!ot_json_take(&j, '{'))
        return ot_json_fail(&j, "'{'");
    if (ot_json_take(&j, '}'))
        return ot_json_end(&j);
    do {
        char key[64];
        OT_TRY(ot_json_string(&j, key, sizeof(key)));
        if (!ot_json_take(&j, ':'))
            return ot_json_fail(&j, "':'");
        if (strcmp(key, "lower") == 0)
            OT_TRY(read_bool(&j, &o->lower));
        else if (strcmp(key, "batch_first") == 0)
            OT_TRY(read_bool(&j, &o->batch_first));
        else
            OT_TRY(ot_json_skip(&j));
    } while (ot_json_take(&j, ','));
    return ot_json_take(&j, '}') ? ot_json_end(&j) : ot_json_fail(&j, "'}'");
}

ot_status ot_text_options_from_model(ot_text_options *o, const ot_model *m)
{
    const Onnx__GraphProto *g = m->proto->graph;
    const char *spec = ot_model_metadata(m, SPEC_KEY);
    if (spec && ot_text_spec_parse(o, spec) != OT_OK)
        return ot_context(OT_EDATA, "metadata " SPEC_KEY);
    if (ot_model_metadata(m, VOCAB_KEY))
        o->vocabulary = ot_model_metadata(m, VOCAB_KEY);
    const Onnx__TensorShapeProto *in = shape_of(g->input, g->n_input, ot_model_input_name(m, 0)),
                                 *out = shape_of(g->output, g->n_output, ot_model_output_name(m, 0));
    const size_t time = o->batch_first ? 1 : 0;
    o->stream = ot_model_input_count(m) > 1;
    o->each = o->stream || (out && out->n_dim == 3);
    o->steps = 0;
    if (in && in->n_dim == 2 && in->dim[time]->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
        o->steps = in->dim[time]->dim_value;
    if (!o->stream && o->steps == 0)
        o->steps = o->bptt;
    return OT_OK;
}

ot_status ot_text_describe(ot_model *m, const ot_dataset *d)
{
    char spec[64], *vocabulary;
    if (!d->text)
        return ot_fail(OT_EARG, "the data set is no text");
    snprintf(spec, sizeof(spec), "{\"lower\": %s, \"batch_first\": %s}", d->text->o.lower ? "true" : "false",
             d->text->o.batch_first ? "true" : "false");
    OT_TRY(ot_model_set_metadata(m, SPEC_KEY, spec));
    OT_TRY(ot_vocabulary_text(&vocabulary, &d->text->vocabulary));
    ot_status st = ot_model_set_metadata(m, VOCAB_KEY, vocabulary);
    ot_free(vocabulary);
    return st;
}

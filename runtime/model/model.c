#include "model/model.h"
#include "base/strmap.h"
#include "base/tensor.h"
#include "model/edit.h"
#include "model/scan.h"

#include <string.h>

bool ot_same_domain(const char *a, const char *b)
{
    a = a && strcmp(a, "ai.onnx") != 0 ? a : "";
    b = b && strcmp(b, "ai.onnx") != 0 ? b : "";
    return strcmp(a, b) == 0;
}

int64_t ot_model_ir_version(const ot_model *m)
{
    return m->proto->ir_version;
}

int64_t ot_model_opset(const ot_model *m, const char *domain)
{
    const Onnx__ModelProto *p = m->proto;
    for (size_t i = 0; i < p->n_opset_import; i++)
        if (ot_same_domain(p->opset_import[i]->domain, domain))
            return p->opset_import[i]->version;
    return !p->n_opset_import && ot_same_domain(domain, "") ? 1 : 0;
}

const char *ot_model_metadata(const ot_model *m, const char *key)
{
    const Onnx__ModelProto *p = m->proto;
    for (size_t i = 0; i < p->n_metadata_props; i++)
        if (strcmp(ot_text(p->metadata_props[i]->key), key) == 0)
            return ot_text(p->metadata_props[i]->value);
    return NULL;
}

ot_status ot_model_set_metadata(ot_model *m, const char *key, const char *value)
{
    Onnx__ModelProto *p = m->proto;
    for (size_t i = 0; i < p->n_metadata_props; i++) {
        if (strcmp(ot_text(p->metadata_props[i]->key), key) != 0)
            continue;
        if (value)
            return ot_set_string(&p->metadata_props[i]->value, value);
        ot_remove(&p->base, "metadata_props", (int64_t)i);
        return OT_OK;
    }
    if (!value)
        return OT_OK;
    Onnx__StringStringEntryProto *e = ot_append(&p->base, "metadata_props");
    ot_status st = e ? ot_set_string(&e->key, key) : OT_ENOMEM;
    if (st == OT_OK)
        st = ot_set_string(&e->value, value);
    if (st != OT_OK && e)
        ot_remove(&p->base, "metadata_props", (int64_t)p->n_metadata_props - 1);
    return st;
}

int64_t ot_model_initializer_count(const ot_model *m)
{
    return (int64_t)m->proto->graph->n_initializer;
}

const char *ot_model_initializer_name(const ot_model *m, int64_t i)
{
    const Onnx__GraphProto *g = m->proto->graph;
    return i >= 0 && i < (int64_t)g->n_initializer ? ot_text(g->initializer[i]->name) : NULL;
}

int64_t ot_model_output_count(const ot_model *m)
{
    return (int64_t)m->proto->graph->n_output;
}

const char *ot_model_output_name(const ot_model *m, int64_t i)
{
    const Onnx__GraphProto *g = m->proto->graph;
    return i >= 0 && i < (int64_t)g->n_output ? ot_text(g->output[i]->name) : NULL;
}

Onnx__TensorProto *ot_model_find_initializer(const ot_model *m, const char *name)
{
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_initializer; i++)
        if (strcmp(ot_text(g->initializer[i]->name), name) == 0)
            return g->initializer[i];
    return NULL;
}

static bool has_default(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_initializer; i++)
        if (strcmp(ot_text(g->initializer[i]->name), name) == 0)
            return true;
    for (size_t i = 0; i < g->n_sparse_initializer; i++) {
        const Onnx__TensorProto *values = g->sparse_initializer[i]->values;
        if (values && strcmp(ot_text(values->name), name) == 0)
            return true;
    }
    return false;
}

int64_t ot_model_input_count(const ot_model *m)
{
    const Onnx__GraphProto *g = m->proto->graph;
    int64_t n = 0;
    for (size_t i = 0; i < g->n_input; i++)
        n += !has_default(g, ot_text(g->input[i]->name));
    return n;
}

const char *ot_model_input_name(const ot_model *m, int64_t i)
{
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t k = 0; i >= 0 && k < g->n_input; k++)
        if (!has_default(g, ot_text(g->input[k]->name)) && i-- == 0)
            return ot_text(g->input[k]->name);
    return NULL;
}

/* Before IR version 4 every initializer was an input too, and none could be replaced. */
static bool is_default(const ot_model *m, const char *name)
{
    return m->proto->ir_version >= 4 && has_default(m->proto->graph, name);
}

int64_t ot_model_default_count(const ot_model *m)
{
    const Onnx__GraphProto *g = m->proto->graph;
    int64_t n = 0;
    for (size_t i = 0; i < g->n_input; i++)
        n += is_default(m, ot_text(g->input[i]->name));
    return n;
}

const char *ot_model_default_name(const ot_model *m, int64_t i)
{
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t k = 0; i >= 0 && k < g->n_input; k++)
        if (is_default(m, ot_text(g->input[k]->name)) && i-- == 0)
            return ot_text(g->input[k]->name);
    return NULL;
}

const ot_payload *ot_model_payload(const ot_model *m, const Onnx__TensorProto *t)
{
    for (unsigned i = 0; m && i < t->base.n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *u = &t->base.unknown_fields[i];
        if (u->tag != OT_CUT_FIELD || u->len != 4)
            continue;
        uint32_t at =
            (uint32_t)u->data[0] | (uint32_t)u->data[1] << 8 | (uint32_t)u->data[2] << 16 | (uint32_t)u->data[3] << 24;
        return at < m->n_payloads && m->payloads[at].blob ? &m->payloads[at] : NULL;
    }
    return NULL;
}

#include "graph/layers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool ot_is_layer(const Onnx__NodeProto *n)
{
    const char *op = ot_text(n->op_type);
    return !(ot_same_domain(n->domain, "") && (strcmp(op, "Constant") == 0 || strcmp(op, "Identity") == 0));
}

bool ot_is_call(const ot_model *m, const Onnx__NodeProto *n)
{
    for (size_t i = 0; i < m->proto->n_functions; i++) {
        const Onnx__FunctionProto *f = m->proto->functions[i];
        if (ot_same_domain(f->domain, n->domain) && strcmp(ot_text(f->name), ot_text(n->op_type)) == 0 &&
            strcmp(ot_text(f->overload), ot_text(n->overload)) == 0)
            return true;
    }
    return false;
}

int64_t ot_layer_total(const ot_model *m)
{
    int64_t total = 0;
    for (size_t i = 0; i < m->proto->graph->n_node; i++)
        total += ot_is_layer(m->proto->graph->node[i]);
    return total;
}

const Onnx__NodeProto *ot_layer_node(const ot_model *m, int64_t index)
{
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_node; i++)
        if (ot_is_layer(g->node[i]) && index-- == 0)
            return g->node[i];
    return NULL;
}

const char *ot_node_name(const Onnx__NodeProto *n)
{
    if (n->name && *n->name)
        return n->name;
    return n->n_output ? ot_text(n->output[0]) : "";
}

static bool find_named(int64_t *index, const ot_model *m, const char *text, bool prefix)
{
    const Onnx__GraphProto *g = m->proto->graph;
    int64_t layer = 0;
    for (size_t i = 0; i < g->n_node; i++) {
        if (!ot_is_layer(g->node[i]))
            continue;
        const char *name = ot_node_name(g->node[i]);
        if (prefix ? strncmp(name, text, strlen(text)) == 0 : strcmp(name, text) == 0) {
            *index = layer;
            return true;
        }
        layer++;
    }
    return false;
}

ot_status ot_find_layer(int64_t *index, const ot_model *m, const char *text)
{
    char *end;
    int64_t total = ot_layer_total(m);
    *index = 0;
    if (!*text)
        return ot_fail(OT_EARG, "a layer is a number, a name or a prefix of names; it is empty");
    if (find_named(index, m, text, false))
        return OT_OK;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (*end == 0 && errno == 0) {
        if (n < -total || n > total)
            return ot_fail(OT_EARG, "layer %lld is outside of %lld..%lld", n, (long long)-total, (long long)total);
        *index = n < 0 ? n + total : n;
        return OT_OK;
    }
    if (find_named(index, m, text, true))
        return OT_OK;
    return ot_fail(OT_EARG, "no layer is named '%s' or begins so", text);
}

/* Cutting the end off a model. */
#include "graph/docshape.h"
#include "graph/layers.h"
#include "graph/surgery.h"
#include "base/strmap.h"

#include <string.h>

/* Kinds of values that the kept nodes make. */
enum { UNKNOWN, DATA, FIXED, SHAPE }; /* DATA: depends on the inputs' elements; SHAPE: only on their shapes */

typedef struct cut {
    ot_strmap kind;      /* of every value before the cut */
    const char *open[8]; /* DATA values that the dropped nodes read */
    int n_open;
} cut;

typedef struct seen {
    const cut *c;
    int kind;
} seen;

static ot_status strongest(void *ctx, const char *name)
{
    seen *s = ctx;
    int k = (int)ot_strmap_get(&s->c->kind, name, UNKNOWN);
    if (k == DATA || (k == SHAPE && s->kind != DATA))
        s->kind = k;
    return OT_OK;
}

static ot_status classify(cut *c, const Onnx__NodeProto *n)
{
    seen s = { c, FIXED };
    OT_TRY(ot_node_reads(n, strongest, &s));
    bool is_shape = ot_same_domain(n->domain, "") &&
                    (strcmp(ot_text(n->op_type), "Shape") == 0 || strcmp(ot_text(n->op_type), "Size") == 0);
    int kind = is_shape && s.kind == DATA ? SHAPE : s.kind;
    for (size_t i = 0; i < n->n_output; i++)
        OT_TRY(ot_strmap_put(&c->kind, n->output[i], kind));
    return OT_OK;
}

static ot_status read_by_dropped(void *ctx, const char *name)
{
    cut *c = ctx;
    if (ot_strmap_get(&c->kind, name, UNKNOWN) != DATA)
        return OT_OK;
    for (int i = 0; i < c->n_open; i++)
        if (strcmp(c->open[i], name) == 0)
            return OT_OK;
    if (c->n_open < (int)(sizeof(c->open) / sizeof(c->open[0])))
        c->open[c->n_open++] = name;
    return OT_OK;
}

/* Finds the one value at which nodes [at, n) hang. */
static ot_status find_open(cut *c, const Onnx__GraphProto *g, size_t at)
{
    for (size_t i = 0; i < g->n_input; i++)
        OT_TRY(ot_strmap_put(&c->kind, ot_text(g->input[i]->name), DATA));
    for (size_t i = 0; i < g->n_initializer; i++)
        OT_TRY(ot_strmap_put(&c->kind, ot_text(g->initializer[i]->name), FIXED));
    for (size_t i = 0; i < at; i++)
        OT_TRY(classify(c, g->node[i]));
    for (size_t i = at; i < g->n_node; i++)
        OT_TRY(ot_node_reads(g->node[i], read_by_dropped, c));
    const char *node = ot_node_name(g->node[at]);
    if (c->n_open == 0)
        return ot_fail(OT_EARG, "cutting before layer '%s': what comes after reads nothing of what comes before", node);
    if (c->n_open > 1)
        return ot_fail(OT_EARG,
                       "cutting before layer '%s' would leave %d loose ends ('%s', '%s'%s): cut where one value passes",
                       node, c->n_open, c->open[0], c->open[1], c->n_open > 2 ? ", ..." : "");
    return OT_OK;
}

/* The cut-off point becomes the only output; its type is inferred from what is left, so that operators which are not
 * known do no harm in what goes. */
static ot_status close_open(ot_model *m, const char *name, size_t at)
{
    Onnx__GraphProto *g = m->proto->graph;
    ot_doc_shape s;
    bool there = false;
    for (size_t i = 0; i < g->n_input; i++)
        if (strcmp(ot_text(g->input[i]->name), name) == 0)
            return ot_fail(OT_EARG, "cutting before layer '%s' leaves nothing but input '%s'",
                           ot_node_name(g->node[at]), name);
    for (size_t i = g->n_output; i-- > 0;) {
        bool same = strcmp(ot_text(g->output[i]->name), name) == 0 && !there;
        there |= same;
        if (!same)
            ot_remove(&g->base, "output", (int64_t)i);
    }
    while (g->n_node > at)
        ot_remove(&g->base, "node", (int64_t)g->n_node - 1);
    while (m->proto->n_training_info) /* it speaks of what may be gone */
        ot_remove(&m->proto->base, "training_info", (int64_t)m->proto->n_training_info - 1);
    if (!there) {
        Onnx__ValueInfoProto *v = ot_append(&g->base, "output");
        if (!v)
            return OT_ENOMEM;
        OT_TRY(ot_set_string(&v->name, name));
    }
    OT_TRY(ot_model_sweep(m));
    OT_TRY(ot_doc_shape_of(&s, m, name));
    return ot_set_value_type(g->output[0], s.dtype, s.rank, s.dim);
}

static ot_status cut_model(ot_model *m, void *where)
{
    const Onnx__GraphProto *g = m->proto->graph;
    int64_t layer;
    size_t at = 0;
    OT_TRY(ot_find_layer(&layer, m, where));
    const Onnx__NodeProto *first = ot_layer_node(m, layer);
    if (!first)
        return OT_OK;
    while (g->node[at] != first)
        at++;
    cut c = { 0 };
    ot_status st = find_open(&c, g, at);
    char *name = st == OT_OK ? ot_strdup(c.open[0]) : NULL;
    if (st == OT_OK)
        st = name ? close_open(m, name, at) : OT_ENOMEM;
    ot_free(name);
    ot_strmap_release(&c.kind);
    return st;
}

ot_status ot_model_cut(ot_model *m, const char *where)
{
    char *copy = ot_strdup(where);
    if (!copy)
        return OT_ENOMEM;
    ot_status st = ot_model_change(m, cut_model, copy);
    ot_free(copy);
    return st;
}

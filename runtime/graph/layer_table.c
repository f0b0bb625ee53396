/* The table of a model's layers (ot_layers of onnxtune.h): operators, shapes, parameters. */
#include "base/text.h"
#include "graph/derive.h"
#include "graph/layers.h"

#include <string.h>

struct ot_layers {
    const ot_model *m;
    ot_graph *g;          /* NULL: could not be derived */
    const ot_fact **fact; /* by value: over the given input shapes, or as derived */
    ot_arena arena;
    ot_layer_info *layer;
    int64_t count;
    int64_t parameters;
    char *problem;
};

/* ---- Shapes ------------------------------------------------------------------------------------------------- */

static ot_status set_inputs(ot_layers *l, const char *const *name, const ot_tensor *shape, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        ot_val v = ot_graph_find(l->g, name[i]);
        if (v == OT_NONE || l->g->value[v].origin != OT_FROM_INPUT)
            return ot_fail(OT_EARG, "the model has no input named '%s'", name[i]);
        const ot_fact *old = &l->g->value[v].fact;
        if (old->rank >= 0 && old->rank != shape[i].rank)
            return ot_fail(OT_ESHAPE, "input '%s' has rank %d, the given shape has %d", name[i], old->rank,
                           shape[i].rank);
        ot_fact *f = ot_arena_memdup(&l->arena, old, sizeof(*old));
        if (!f)
            return OT_ENOMEM;
        f->rank = shape[i].rank;
        for (int d = 0; d < f->rank; d++) {
            if (old->rank >= 0 && !ot_is_symbol(old->dim[d]) && old->dim[d] != shape[i].dim[d])
                return ot_fail(OT_ESHAPE, "input '%s': dimension %d is %lld in the model, %lld was given", name[i], d,
                               (long long)old->dim[d], (long long)shape[i].dim[d]);
            f->dim[d] = shape[i].dim[d];
        }
        l->fact[v] = f;
    }
    return OT_OK;
}

/* Facts of all values; nodes are inferred again only where input shapes were given. */
static ot_status find_facts(ot_layers *l, const char *const *name, const ot_tensor *shape, int64_t n)
{
    ot_graph *g = l->g;
    l->fact = ot_calloc((size_t)g->n_value + 1, sizeof(*l->fact));
    if (!l->fact)
        return OT_ENOMEM;
    for (int64_t v = 0; v < g->n_value; v++)
        l->fact[v] = &g->value[v].fact;
    OT_TRY(set_inputs(l, name, shape, n));
    for (int64_t i = 0; i < g->n_node && n > 0; i++) {
        const ot_node *node = g->node[i];
        ot_fact *y = ot_arena_calloc(&l->arena, (size_t)node->n_out + 1, sizeof(*y));
        if (!y)
            return OT_ENOMEM;
        OT_TRY(ot_infer_node(g, &l->arena, node, l->fact, NULL, y));
        for (int k = 0; k < node->n_out; k++)
            if (node->out[k] != OT_NONE)
                l->fact[node->out[k]] = &y[k];
    }
    return OT_OK;
}

const char *ot_layers_value(ot_layers *l, const char *name)
{
    char text[256];
    ot_val v = l->g ? ot_graph_find(l->g, name) : OT_NONE;
    if (v == OT_NONE || !l->fact)
        return "";
    const char *copy = ot_arena_strdup(&l->arena, ot_fact_text(l->g, l->fact[v], text, sizeof(text)));
    return copy ? copy : "";
}

/* ---- Parameters --------------------------------------------------------------------------------------------- */

/* A running statistic of BatchNormalization, or a number that shapes and not values come from. */
static bool is_setting(const char *op, size_t input)
{
    return (strcmp(op, "BatchNormalization") == 0 && input >= 3) ||
           ((strcmp(op, "Resize") == 0 || strcmp(op, "Upsample") == 0) && input >= 1);
}

/* Elements of a weight of floating type and more than one element; 0 for anything else. */
static int64_t parameter_size(const ot_model *m, const char *name)
{
    const Onnx__TensorProto *t = *name ? ot_model_find_initializer(m, name) : NULL;
    int64_t n;
    if (!t || !ot_dtype_is_float((ot_dtype)t->data_type) || t->n_dims > OT_MAX_RANK ||
        !ot_count(&n, (int)t->n_dims, t->dims))
        return 0;
    return n > 1 ? n : 0;
}

/* The dims of a file promise any number of elements. */
static int64_t sum(int64_t a, int64_t b)
{
    int64_t s;
    return __builtin_add_overflow(a, b, &s) ? INT64_MAX : s;
}

static ot_status count_parameter(ot_layers *l, ot_layer_info *out, const char *name, ot_strmap *seen)
{
    int64_t size = parameter_size(l->m, name);
    out->parameters = sum(out->parameters, size);
    if (size == 0 || ot_strmap_get(seen, name, 0))
        return OT_OK; /* a tied weight counts once in the total */
    l->parameters = sum(l->parameters, size);
    return ot_strmap_put(seen, name, 1);
}

/* Does a node of the layer read the value as a weight?  A call of a function hands on statistics too. */
static bool is_weight_of(const ot_layers *l, int64_t layer, const char *name)
{
    ot_val v = ot_graph_find(l->g, name);
    for (int64_t i = 0; v != OT_NONE && i < l->g->n_node; i++) {
        const ot_node *n = l->g->node[i];
        for (int k = 0; k < n->n_in && n->layer == layer; k++)
            if (n->in[k] == v && !is_setting(n->op->name, (size_t)k))
                return true;
    }
    return false;
}

static ot_status fill_layer(ot_layers *l, ot_layer_info *out, const Onnx__NodeProto *n, ot_strmap *seen)
{
    *out = (ot_layer_info){ .name = ot_node_name(n), .op = ot_text(n->op_type), .domain = ot_text(n->domain) };
    out->output = n->n_output ? ot_text(n->output[0]) : "";
    out->shape = ot_layers_value(l, out->output);
    bool call = l->g && ot_is_call(l->m, n);
    for (size_t i = 0; i < n->n_input; i++) {
        const char *name = ot_text(n->input[i]);
        if (call ? is_weight_of(l, l->count - 1, name) : !is_setting(out->op, i))
            OT_TRY(count_parameter(l, out, name, seen));
    }
    return OT_OK;
}

static ot_status fill(ot_layers *l)
{
    const Onnx__GraphProto *g = l->m->proto->graph;
    ot_strmap seen = { 0 };
    ot_status st = OT_OK;
    l->layer = ot_calloc(g->n_node + 1, sizeof(*l->layer));
    if (!l->layer)
        return OT_ENOMEM;
    for (size_t i = 0; i < g->n_node && st == OT_OK; i++)
        if (ot_is_layer(g->node[i]))
            st = fill_layer(l, &l->layer[l->count++], g->node[i], &seen);
    ot_strmap_release(&seen);
    return st;
}

/* ---- The table ---------------------------------------------------------------------------------------------- */

/* A model that cannot be derived still has a table; why is in `problem`. */
static ot_status derive(ot_layers *l, const char *const *name, const ot_tensor *shape, int64_t n)
{
    ot_derive_opts d = { .free_batch = true };
    ot_status st = ot_derive(&l->g, l->m, &d);
    if (st == OT_OK)
        return find_facts(l, name, shape, n);
    if (st == OT_ENOMEM)
        return st;
    l->problem = ot_strdup(ot_last_error());
    return l->problem ? OT_OK : OT_ENOMEM;
}

ot_status ot_layers_open(ot_layers **out, const ot_model *m, const char *const *name, const ot_tensor *shape, int64_t n)
{
    *out = NULL;
    ot_layers *l = ot_calloc(1, sizeof(*l));
    if (!l)
        return OT_ENOMEM;
    l->m = m;
    ot_status st = derive(l, name, shape, n);
    if (st == OT_OK)
        st = fill(l);
    if (st == OT_OK)
        *out = l;
    else
        ot_layers_close(l);
    return st;
}

void ot_layers_close(ot_layers *l)
{
    if (!l)
        return;
    ot_free(l->layer);
    ot_free(l->fact);
    ot_free(l->problem);
    ot_arena_release(&l->arena);
    ot_graph_close(l->g);
    ot_free(l);
}

int64_t ot_layers_count(const ot_layers *l)
{
    return l->count;
}

const ot_layer_info *ot_layers_get(const ot_layers *l, int64_t i)
{
    return i >= 0 && i < l->count ? &l->layer[i] : NULL;
}

int64_t ot_layers_parameters(const ot_layers *l)
{
    return l->parameters;
}

const char *ot_layers_problem(const ot_layers *l)
{
    return l->problem;
}

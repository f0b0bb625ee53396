#include "graph/derive_parts.h"
#include "graph/layers.h"

#include <stdio.h>
#include <string.h>

#define MOST_OF_A_NODE (1 << 20) /* inputs or outputs */

ot_status ot_derive_node(ot_build *b, const ot_op *op, int opset, const char *name, const ot_attr *attr, int n_in,
                         const ot_val *in, int n_out, ot_val *out, const char *const *out_names, bool for_gradient)
{
    bool expand = op->compose && (!op->cpu || (for_gradient && !op->grad));
    void (*rewrite)(ot_build *) = op->normalise ? op->normalise : expand ? op->compose : NULL;
    ot_val *absent = ot_arena_calloc(&b->g->arena, (size_t)n_out + 1, sizeof(*absent));
    ot_val *in_copy = ot_arena_memdup(&b->g->arena, in, (size_t)n_in * sizeof(*in));
    if (!absent || !in_copy)
        return OT_ENOMEM;
    for (int i = 0; i < n_out; i++)
        out[i] = absent[i] = OT_NONE;
    for (; rewrite; rewrite = rewrite == op->normalise && expand ? op->compose : NULL) {
        ot_node n = { .op = op,
                      .name = name,
                      .attr = attr,
                      .n_in = n_in,
                      .n_out = n_out,
                      .in = in_copy,
                      .out = absent,
                      .layer = b->layer,
                      .opset = opset };
        bool rewritten = false;
        b->node = &n;
        b->prefix = name;
        b->made = 0;
        b->becomes = out;
        rewrite(b);
        b->node = NULL;
        b->becomes = NULL;
        if (b->st != OT_OK)
            return ot_context(b->st, "node '%s' (%s-%d)", name, op->name, opset);
        for (int i = 0; i < n_out; i++)
            rewritten |= out[i] != OT_NONE;
        if (rewritten)
            return OT_OK;
    }
    return ot_add_node(b, op, opset, name, attr, n_in, in, n_out, out, out_names);
}

/* ---- Names --------------------------------------------------------------------------------------------------------
 */

static ot_val own_value(const ot_scope *s, const char *name)
{
    return (ot_val)ot_strmap_get(s->caller ? &s->value : &s->graph->by_name, name, OT_UNMADE);
}

/* A value of the graph around becomes one of this graph: constants as such, others as inputs. */
static ot_status capture(ot_val *out, ot_scope *s, const char *name, ot_val around)
{
    const ot_value *v = &s->caller->graph->value[around];
    if (v->origin == OT_FROM_CONSTANT) {
        *out = ot_graph_tensor(s->graph, v->name, OT_FROM_CONSTANT, v->tensor);
    } else {
        OT_TRY(ot_grow(&s->capture, s->n_capture, &s->cap_capture, sizeof(*s->capture)));
        s->capture[s->n_capture++] = around;
        *out = ot_graph_input(s->graph, v->name, &v->fact);
    }
    return *out == OT_NONE ? OT_ENOMEM : ot_strmap_put(&s->value, name, *out);
}

static ot_val find_from(ot_deriver *d, ot_scope *s, const char *name)
{
    ot_val v = own_value(s, name);
    if (v != OT_UNMADE || !s->open)
        return v;
    v = find_from(d, s->caller, name);
    if (v < 0 || s->graph == s->caller->graph)
        return v;
    ot_status st = capture(&v, s, name, v);
    if (st == OT_OK)
        return v;
    d->failed = st;
    return OT_UNMADE;
}

ot_val ot_scope_find(ot_deriver *d, const char *name)
{
    return find_from(d, d->scope, name);
}

const char *ot_scope_value_name(ot_deriver *d, const char *name)
{
    const ot_scope *s = d->scope;
    if (!s->caller)
        return name;
    int64_t place = ot_strmap_get(&s->output, name, -1);
    return place >= 0 ? s->result[place] : ot_arena_printf(&d->b.g->arena, "%s%s", ot_text(s->prefix), name);
}

const char *ot_scope_node_name(ot_deriver *d, const Onnx__NodeProto *n)
{
    const char *name = ot_node_name(n);
    return d->scope->caller ? ot_arena_printf(&d->b.g->arena, "%s%s", ot_text(d->scope->prefix), name) : name;
}

ot_status ot_scope_put(ot_deriver *d, const char *name, ot_val v)
{
    if (v == OT_NONE)
        return OT_ENOMEM;
    if (own_value(d->scope, name) != OT_UNMADE)
        return ot_fail(OT_EMODEL, "the value '%s' is made twice", name);
    if (!d->scope->caller)
        return ot_strmap_put(&d->b.g->by_name, name, v);
    OT_TRY(ot_strmap_put(&d->scope->value, name, v));
    if (d->scope->graph != d->root)
        return OT_OK;
    OT_TRY(ot_grow(&d->inner, d->n_inner, &d->cap_inner, sizeof(*d->inner)));
    d->inner[d->n_inner].name = ot_scope_value_name(d, name);
    d->inner[d->n_inner++].value = v;
    return d->inner[d->n_inner - 1].name ? OT_OK : OT_ENOMEM;
}

/* Values of bodies can be asked for by their full names, where the document itself has no such name. */
static ot_status show_inner(ot_deriver *d)
{
    for (int64_t i = 0; i < d->n_inner; i++)
        if (ot_graph_find(d->b.g, d->inner[i].name) == OT_NONE)
            OT_TRY(ot_strmap_put(&d->b.g->by_name, d->inner[i].name, d->inner[i].value));
    return OT_OK;
}

/* A value that the document gives; one that `stays` has no place in it where another could be written back. */
static ot_status put_constant(ot_deriver *d, const char *name, const ot_tensor *t, bool stays)
{
    stays |= d->scope->caller != NULL;
    bool slot = !stays && d->o->slots && ot_strmap_get(d->o->slots, name, -1) >= 0;
    const char *full = ot_scope_value_name(d, name);
    ot_val v = full ? ot_graph_tensor(d->b.g, full, slot ? OT_FROM_SLOT : OT_FROM_CONSTANT, t) : OT_NONE;
    if (v != OT_NONE)
        d->b.g->value[v].stays = stays;
    return ot_scope_put(d, name, v);
}

/* Will the caller give a value in place of this default? */
static bool is_given(const ot_deriver *d, const char *name)
{
    for (int64_t i = 0; i < d->o->n_given && !d->scope->caller; i++)
        if (strcmp(d->o->given[i], name) == 0)
            return true;
    return false;
}

static ot_status check_given(const ot_deriver *d)
{
    for (int64_t i = 0; i < d->o->n_given; i++) {
        bool there = false;
        for (int64_t k = 0; k < ot_model_default_count(d->m) && !there; k++)
            there = strcmp(ot_model_default_name(d->m, k), d->o->given[i]) == 0;
        if (!there)
            return ot_fail(OT_EARG, "'%s' is no input with a default value that may be replaced", d->o->given[i]);
    }
    return OT_OK;
}

ot_status ot_derive_initializers(ot_deriver *d, const Onnx__GraphProto *g)
{
    ot_tensor t;
    for (size_t i = 0; i < g->n_initializer; i++) {
        const char *name = ot_text(g->initializer[i]->name);
        if (is_given(d, name))
            continue;
        OT_TRY(ot_derive_tensor(d, &t, g->initializer[i]));
        OT_TRY(put_constant(d, name, &t, false));
    }
    for (size_t i = 0; i < g->n_sparse_initializer; i++) {
        const Onnx__TensorProto *values = g->sparse_initializer[i]->values;
        const char *name = ot_text(values ? values->name : NULL);
        if (is_given(d, name))
            continue;
        OT_TRY(ot_derive_sparse(d, &t, g->sparse_initializer[i]));
        OT_TRY(put_constant(d, name, &t, true));
    }
    return OT_OK;
}

static ot_status take_inputs(ot_deriver *d)
{
    const Onnx__GraphProto *g = d->m->proto->graph;
    for (size_t i = 0; i < g->n_input; i++) {
        const char *name = ot_text(g->input[i]->name);
        ot_fact f;
        if (ot_graph_find(d->b.g, name) != OT_NONE)
            continue; /* an initialiser gives its value */
        OT_TRY(ot_derive_type(d, &f, g->input[i]->type, name));
        OT_TRY(ot_scope_put(d, name, ot_graph_input(d->b.g, name, &f)));
    }
    return OT_OK;
}

/* ---- Nodes --------------------------------------------------------------------------------------------------------
 */

static ot_str *text_elements(ot_arena *arena, int n, const char *const *text)
{
    ot_str *list = ot_arena_calloc(arena, (size_t)n + 1, sizeof(*list));
    for (int i = 0; list && i < n; i++)
        list[i] = (ot_str){ text[i], strlen(text[i]) };
    return list;
}

/* Constant: exactly one of its attributes, as a tensor. */
static ot_status constant_value(ot_deriver *d, ot_tensor *t, const ot_attr *attr)
{
    ot_arena *arena = &d->b.g->arena;
    if (!attr->name || attr[1].name)
        return ot_fail(OT_EMODEL, "a Constant has one value attribute");
    switch (attr->type) {
    case OT_ATTR_TENSOR:
        *t = *attr->tensor;
        return OT_OK;
    case OT_ATTR_INT:
        *t = (ot_tensor){ .dtype = OT_INT64, .data = ot_arena_memdup(arena, &attr->i, sizeof(attr->i)) };
        break;
    case OT_ATTR_FLOAT: {
        float f = (float)attr->f;
        *t = (ot_tensor){ .dtype = OT_FLOAT, .data = ot_arena_memdup(arena, &f, sizeof(f)) };
        break;
    }
    case OT_ATTR_INTS:
        *t = (ot_tensor){ .dtype = OT_INT64, .rank = 1, .dim = { attr->n } };
        t->data = ot_arena_memdup(arena, attr->ints, (size_t)attr->n * sizeof(*attr->ints));
        break;
    case OT_ATTR_FLOATS:
        *t = (ot_tensor){ .dtype = OT_FLOAT, .rank = 1, .dim = { attr->n } };
        t->data = ot_arena_memdup(arena, attr->floats, (size_t)attr->n * sizeof(*attr->floats));
        break;
    case OT_ATTR_STRING:
        *t = (ot_tensor){ .dtype = OT_STRING, .data = text_elements(arena, 1, &attr->s) };
        break;
    case OT_ATTR_STRINGS:
        *t = (ot_tensor){ .dtype = OT_STRING, .rank = 1, .dim = { attr->n } };
        t->data = text_elements(arena, attr->n, attr->strings);
        break;
    default:
        return ot_fail(OT_EUNSUPPORTED, "the Constant attribute '%s'", attr->name);
    }
    return t->data ? OT_OK : OT_ENOMEM;
}

static ot_status take_constant(ot_deriver *d, const Onnx__NodeProto *n)
{
    ot_attr *attr;
    ot_tensor t;
    if (n->n_output != 1)
        return ot_fail(OT_EMODEL, "a Constant has one output, not %zu", n->n_output);
    OT_TRY(ot_derive_attrs(d, &attr, n->n_attribute, n->attribute));
    OT_TRY(constant_value(d, &t, attr));
    return put_constant(d, ot_text(n->output[0]), &t, !n->attribute[0]->t);
}

/* Values of the inputs; those left out at the end are not counted. */
static ot_status find_inputs(ot_deriver *d, const Onnx__NodeProto *n, int least, ot_val *in, int *count)
{
    *count = (int)n->n_input;
    for (size_t i = 0; i < n->n_input; i++) {
        in[i] = *n->input[i] ? ot_scope_find(d, n->input[i]) : OT_NONE;
        if (in[i] == OT_UNMADE && d->failed != OT_OK)
            return d->failed;
        if (in[i] == OT_UNMADE)
            return ot_fail(OT_EMODEL, "input '%s' is made by no node before this one", n->input[i]);
    }
    while (*count > least && in[*count - 1] == OT_NONE)
        --*count;
    return OT_OK;
}

static bool holds_bodies(const ot_attr *a)
{
    while (a->name && a->type != OT_ATTR_GRAPH)
        a++;
    return a->name != NULL;
}

static ot_status take_node(ot_deriver *d, const Onnx__NodeProto *n)
{
    const ot_op *op;
    ot_attr *attr;
    int opset = 0, n_in, n_out = (int)n->n_output;
    ot_arena *arena = &d->b.g->arena;
    OT_TRY(ot_bind_operator(d, &op, &opset, n));
    OT_TRY(ot_derive_attrs(d, &attr, n->n_attribute, n->attribute));
    if (n->n_input > MOST_OF_A_NODE || n->n_output > MOST_OF_A_NODE)
        return ot_fail(OT_EUNSUPPORTED, "%zu inputs and %zu outputs, at most %d are taken", n->n_input, n->n_output,
                       MOST_OF_A_NODE);
    ot_val *in = ot_arena_calloc(arena, n->n_input + 1, sizeof(*in));
    ot_val *out = ot_arena_calloc(arena, n->n_output + 1, sizeof(*out));
    const char **names = ot_arena_calloc(arena, n->n_output + 1, sizeof(*names));
    const char *name = ot_scope_node_name(d, n);
    if (!in || !out || !names || !name)
        return OT_ENOMEM;
    OT_TRY(find_inputs(d, n, holds_bodies(attr) ? (int)n->n_input : op->min_in, in, &n_in)); /* captures follow */
    for (int i = 0; i < n_out; i++)
        if (!(names[i] = *n->output[i] ? ot_scope_value_name(d, n->output[i]) : ""))
            return OT_ENOMEM;
    ot_inlining bodies = { d, n };
    bool inlined = holds_bodies(attr) && op->compose && !op->flow;
    if (holds_bodies(attr) && !inlined)
        OT_TRY(ot_derive_bodies(d, op, opset, n, attr, &in, &n_in));
    const ot_attr *list = attr;
    OT_TRY(ot_free_batch(d, op, &list, in, n_in));
    d->b.inline_body = inlined ? ot_derive_inline : NULL;
    d->b.inline_ctx = &bodies;
    ot_status st = ot_derive_node(&d->b, op, opset, name, list, n_in, in, n_out, out, names, d->o->for_gradient);
    d->b.inline_body = NULL;
    d->b.inline_ctx = NULL;
    OT_TRY(st);
    for (int i = 0; i < n_out; i++) {
        if (*names[i] && out[i] == OT_NONE)
            return ot_fail(OT_EUNSUPPORTED, "output %d ('%s') of %s-%d is not made", i, names[i], op->name, opset);
        if (*names[i])
            OT_TRY(ot_scope_put(d, n->output[i], out[i]));
    }
    return OT_OK;
}

static ot_status take(ot_deriver *d, const Onnx__NodeProto *n)
{
    int64_t function;
    OT_TRY(ot_find_function(d, &function, n));
    if (function >= 0)
        return ot_derive_call(d, n, d->m->proto->functions[function]);
    OT_TRY(ot_check_schema(d, n));
    bool done = false;
    if (ot_is_if(n))
        OT_TRY(ot_derive_if(d, &done, n));
    if (done)
        return OT_OK;
    return ot_is_constant_node(n) ? take_constant(d, n) : take_node(d, n);
}

ot_status ot_derive_nodes(ot_deriver *d, size_t n, Onnx__NodeProto *const *node)
{
    int layer = 0;
    for (size_t i = 0; i < n; i++) {
        if (!d->scope->caller) /* nodes of a body belong to the call's layer */
            d->b.layer = ot_is_layer(node[i]) ? layer++ : -1;
        ot_status st = take(d, node[i]);
        if (st == OT_OK)
            continue;
        if (strncmp(ot_last_error(), "node '", 6) == 0)
            return st;
        return ot_context(st, "node '%s%s' (%s)", ot_text(d->scope->prefix), ot_node_name(node[i]),
                          ot_text(node[i]->op_type));
    }
    return OT_OK;
}

ot_status ot_derive_outputs(ot_deriver *d, const Onnx__GraphProto *g)
{
    if (g->n_output == 0 && !d->scope->caller)
        return ot_fail(OT_EMODEL, "the graph has no output");
    for (size_t i = 0; i < g->n_output; i++) {
        const char *name = ot_text(g->output[i]->name);
        ot_val v = ot_scope_find(d, name);
        if (v < 0)
            return d->failed != OT_OK ? d->failed : ot_fail(OT_EMODEL, "the output '%s' is made by no node", name);
        OT_TRY(ot_graph_output(d->b.g, name, v));
    }
    return OT_OK;
}

static ot_status derive_all(ot_deriver *d)
{
    const Onnx__GraphProto *g = d->m->proto->graph;
    d->root = d->main.graph = d->b.g;
    d->scope = &d->main;
    OT_TRY(ot_index_functions(d));
    OT_TRY(ot_report_missing(d));
    OT_TRY(check_given(d));
    OT_TRY(ot_derive_initializers(d, g));
    OT_TRY(take_inputs(d));
    OT_TRY(ot_derive_nodes(d, g->n_node, g->node));
    OT_TRY(ot_derive_outputs(d, g));
    OT_TRY(ot_check_freed(d));
    return show_inner(d);
}

static ot_status derive_once(ot_graph **out, const ot_model *m, const ot_derive_opts *opts, bool free_batch)
{
    ot_deriver d = { .m = m, .o = opts };
    int64_t opset = ot_model_opset(m, "");
    *out = NULL;
    if (opset > OT_LATEST)
        return ot_fail(OT_EUNSUPPORTED, "the model is at opset %lld, this version knows up to %d", (long long)opset,
                       OT_LATEST);
    OT_TRY(ot_graph_create(&d.b.g));
    if (free_batch)
        d.batch = ot_symbol_named(d.b.g, "N");
    ot_status st = derive_all(&d);
    ot_strmap_release(&d.functions);
    ot_strmap_release(&d.prefixes);
    ot_strmap_release(&d.decoded);
    ot_free(d.inner);
    if (st == OT_OK)
        *out = d.b.g;
    else
        ot_graph_close(d.b.g);
    return st;
}

ot_status ot_derive(ot_graph **out, const ot_model *m, const ot_derive_opts *opts)
{
    ot_graph *freed = NULL;
    if (opts->free_batch && !ot_batch_is_open(m) && derive_once(&freed, m, opts, true) == OT_OK &&
        !ot_graph_walks(freed)) {
        *out = freed;
        return OT_OK;
    }
    ot_status st = derive_once(out, m, opts, false); /* with a literal batch, or to say why it fails */
    if (!freed)
        return st;
    if (st != OT_OK || ot_graph_walks(*out)) {
        ot_graph_close(*out);
        *out = freed;
    } else { /* the batch decides on what would have to be walked otherwise */
        ot_graph_close(freed);
    }
    return OT_OK;
}

/* Functions that a model defines, and its training information. */
#include "model/check.h"
#include "model/schema.h"

#include <string.h>

enum { MOST_FUNCTIONS = 10000, DEEPEST_CALL = 100 }; /* the limits of ONNX's checker */

/* ---- Calls ------------------------------------------------------------------------------------------------- */

enum { NEW, ON_PATH, DONE };

typedef struct calls {
    ot_checker *c;
    Onnx__FunctionProto *const *function;
    ot_strmap index; /* ot_function_key: index + 1 */
    uint8_t *state;
    char key[1024]; /* here, not on the stack of visit_nodes, which calls itself */
} calls;

static void visit(calls *k, size_t f, int depth);

static void visit_nodes(calls *k, Onnx__NodeProto *const *node, size_t n, int depth)
{
    for (size_t i = 0; i < n; i++) {
        const Onnx__NodeProto *x = node[i];
        int64_t to = ot_function_key(k->key, sizeof(k->key), x->domain, x->op_type, x->overload)
                         ? ot_strmap_get(&k->index, k->key, 0)
                         : 0;
        if (to)
            visit(k, (size_t)to - 1, depth + 1);
        for (size_t a = 0; a < x->n_attribute; a++) {
            const Onnx__AttributeProto *attr = x->attribute[a];
            if (attr->g)
                visit_nodes(k, attr->g->node, attr->g->n_node, depth);
            for (size_t g = 0; g < attr->n_graphs; g++)
                visit_nodes(k, attr->graphs[g]->node, attr->graphs[g]->n_node, depth);
        }
    }
}

/* Recursion is bounded by DEEPEST_CALL times the depth that the scanner lets pass. */
static void visit(calls *k, size_t f, int depth)
{
    const Onnx__FunctionProto *p = k->function[f];
    if (k->state[f] == ON_PATH)
        ot_found(k->c, "function '%.200s' calls itself, directly or through others", ot_text(p->name));
    if (k->state[f] != NEW)
        return;
    if (depth > DEEPEST_CALL) {
        ot_found(k->c, "function '%.200s' lies under more than %d calls", ot_text(p->name), DEEPEST_CALL);
        return;
    }
    k->state[f] = ON_PATH;
    visit_nodes(k, p->node, p->n_node, depth);
    k->state[f] = DONE;
}

static void check_calls(ot_checker *c, const Onnx__ModelProto *p)
{
    calls k = { .c = c, .function = p->functions, .state = ot_calloc(p->n_functions, 1) };
    if (!k.state)
        c->st = OT_ENOMEM;
    for (size_t i = 0; i < p->n_functions && c->st == OT_OK; i++) {
        const Onnx__FunctionProto *f = p->functions[i];
        if (!ot_function_key(k.key, sizeof(k.key), f->domain, f->name, f->overload))
            continue;
        if (ot_strmap_get(&k.index, k.key, 0))
            ot_found(c, "function %zu: '%.900s' (domain:name:overload) is there twice", i, k.key);
        else
            c->st = ot_strmap_put(&k.index, k.key, (int64_t)i + 1);
    }
    for (size_t i = 0; i < p->n_functions && c->st == OT_OK; i++)
        visit(&k, i, 1);
    ot_strmap_release(&k.index);
    ot_free(k.state);
}

/* ---- One function ------------------------------------------------------------------------------------------ */

/* The version that the model imports, or the first function that does; 0: nobody. */
static int64_t model_version(const Onnx__ModelProto *p, const char *domain)
{
    int64_t v = ot_imported(&(ot_imports){ p->opset_import, p->n_opset_import }, domain);
    for (size_t i = 0; i < p->n_functions && v == 0; i++)
        v = ot_imported(&(ot_imports){ p->functions[i]->opset_import, p->functions[i]->n_opset_import }, domain);
    return v;
}

/* A function may import another version than the model only where that is the same operator. */
static void check_versions(ot_checker *c, const Onnx__FunctionProto *f)
{
    for (size_t i = 0; i < f->n_node; i++) {
        const Onnx__NodeProto *n = f->node[i];
        const char *name = ot_text(n->op_type);
        ot_schema mine, models;
        int64_t own = ot_imported(&c->imports, n->domain), outer = model_version(c->m->proto, n->domain);
        if (own == 0 || outer == 0 || own == outer)
            continue;
        bool here = ot_schema_find(&mine, ot_text(n->domain), name, own);
        bool there = ot_schema_find(&models, ot_text(n->domain), name, outer);
        if (here != there || (here && mine.since != models.since))
            ot_found(c, "node %zu (%.100s): version %lld of its domain has another one than the model's version %lld",
                     i, name, (long long)own, (long long)outer);
    }
}

static void check_imports(ot_checker *c, const Onnx__FunctionProto *f)
{
    ot_strmap seen = { 0 };
    for (size_t i = 0; i < f->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = f->opset_import[i];
        if (!o->has_version || o->version < 1 || o->version > INT32_MAX)
            ot_found(c, "domain '%.200s' is imported with version %lld", ot_text(o->domain), (long long)o->version);
        ot_check_once(c, &seen, "the import of domain", ot_same_domain(o->domain, "") ? "" : o->domain);
    }
    ot_strmap_release(&seen);
}

static void check_interface(ot_checker *c, const Onnx__FunctionProto *f, ot_names *scope)
{
    ot_strmap outputs = { 0 }, attributes = { 0 };
    for (size_t i = 0; i < f->n_input; i++) {
        if (!*f->input[i])
            ot_found(c, "input %zu has no name", i);
        else
            ot_check_once(c, &scope->names, "input", f->input[i]);
    }
    for (size_t i = 0; i < f->n_output; i++)
        ot_check_once(c, &outputs, "output", f->output[i]);
    for (size_t i = 0; i < f->n_attribute; i++)
        ot_check_once(c, &attributes, "attribute", f->attribute[i]);
    for (size_t i = 0; i < f->n_attribute_proto; i++) {
        ot_check_once(c, &attributes, "attribute", ot_text(f->attribute_proto[i]->name));
        ot_check_attribute(c, f->attribute_proto[i], scope);
    }
    ot_strmap_release(&outputs);
    ot_strmap_release(&attributes);
}

static void check_function(ot_checker *c, const Onnx__FunctionProto *f)
{
    ot_names scope = { 0 };
    ot_imports outer = c->imports;
    if (!*ot_text(f->name))
        ot_found(c, "no name");
    if (!f->domain)
        ot_found(c, "no domain");
    check_imports(c, f);
    check_interface(c, f, &scope);
    c->function = f;
    c->imports = (ot_imports){ f->opset_import, f->n_opset_import };
    check_versions(c, f);
    ot_check_nodes(c, f->node, f->n_node, &scope);
    c->imports = outer;
    c->function = NULL;
    for (size_t i = 0; i < f->n_output; i++)
        if (!ot_names_here(&scope, f->output[i]))
            ot_found(c, "output %zu, '%.200s', is made by no node", i, f->output[i]);
    ot_strmap_release(&scope.names);
}

void ot_check_functions(ot_checker *c)
{
    const Onnx__ModelProto *p = c->m->proto;
    if (p->n_functions > MOST_FUNCTIONS) {
        ot_found(c, "%zu functions, more than %d", p->n_functions, MOST_FUNCTIONS);
        return;
    }
    if (p->n_functions)
        check_calls(c, p);
    for (size_t i = 0; i < p->n_functions && c->st == OT_OK; i++) {
        size_t at = ot_check_enter(c, "function %zu '%.100s'", i, ot_text(p->functions[i]->name));
        check_function(c, p->functions[i]);
        ot_check_leave(c, at);
    }
}

/* ---- Training ---------------------------------------------------------------------------------------------- */

/* Pairs of an initializer and the output that becomes its value. */
static void check_bindings(ot_checker *c, const char *what, Onnx__StringStringEntryProto *const *list, size_t n,
                           const Onnx__GraphProto *g, const ot_strmap *initializers, const ot_strmap *own)
{
    ot_strmap keys = { 0 };
    for (size_t i = 0; i < n; i++) {
        const char *key = ot_text(list[i]->key), *value = ot_text(list[i]->value);
        bool made = false;
        size_t at = ot_check_enter(c, "%s %zu", what, i);
        ot_check_once(c, &keys, "the key", key);
        if (!ot_strmap_get(initializers, key, 0) && !ot_strmap_get(own, key, 0))
            ot_found(c, "there is no initializer '%.200s'", key);
        for (size_t k = 0; g && k < g->n_output && !made; k++)
            made = strcmp(ot_text(g->output[k]->name), value) == 0;
        if (!made)
            ot_found(c, "'%.200s' is no output of its graph", value);
        ot_check_leave(c, at);
    }
    ot_strmap_release(&keys);
}

static void check_info(ot_checker *c, const Onnx__TrainingInfoProto *t, const ot_strmap *initializers)
{
    ot_names outer = { .names = *initializers }; /* a view: not released here */
    ot_strmap own = { 0 };
    if (t->initialization)
        ot_check_graph(c, t->initialization, NULL, false, NULL);
    if (t->algorithm) {
        for (size_t i = 0; i < t->algorithm->n_initializer && c->st == OT_OK; i++)
            c->st = ot_strmap_put(&own, ot_text(t->algorithm->initializer[i]->name), 1);
        ot_check_graph(c, t->algorithm, &outer, false, NULL);
    }
    check_bindings(c, "initialization binding", t->initialization_binding, t->n_initialization_binding,
                   t->initialization, initializers, &own);
    check_bindings(c, "update binding", t->update_binding, t->n_update_binding, t->algorithm, initializers, &own);
    ot_strmap_release(&own);
}

void ot_check_training(ot_checker *c, const ot_strmap *initializers)
{
    const Onnx__ModelProto *p = c->m->proto;
    for (size_t i = 0; i < p->n_training_info && c->st == OT_OK; i++) {
        size_t at = ot_check_enter(c, "training info %zu", i);
        check_info(c, p->training_info[i], initializers);
        ot_check_leave(c, at);
    }
}

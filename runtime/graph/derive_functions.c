/* Functions that the model defines: each call becomes the body's nodes, named after the call.  A file may nest calls so
 * that few bytes mean more nodes than there are atoms: depth, nodes and bytes of what is made inline are bounded. */
#include "graph/derive_parts.h"
#include "graph/layers.h"

#include <stdio.h>
#include <string.h>

#define MOST_DEPTH 64                /* calls inside each other */
#define MOST_NODES 500000            /* of all bodies made inline */
#define MOST_BYTES ((size_t)1 << 28) /* of their names and attributes */

/* ---- Finding a function -------------------------------------------------------------------------------------- */

/* The lengths tell "a" of "bc" from "ab" of "c". */
static const char *key_of(ot_deriver *d, const char *domain, const char *name, const char *overload)
{
    domain = ot_same_domain(domain, "") ? "" : domain;
    return ot_arena_printf(&d->b.g->arena, "%zu,%zu:%s%s%s", strlen(domain), strlen(ot_text(name)), domain,
                           ot_text(name), ot_text(overload));
}

ot_status ot_index_functions(ot_deriver *d)
{
    const Onnx__ModelProto *p = d->m->proto;
    for (size_t i = 0; i < p->n_functions; i++) {
        const Onnx__FunctionProto *f = p->functions[i];
        const char *key = key_of(d, f->domain, f->name, f->overload);
        if (!key)
            return OT_ENOMEM;
        if (ot_strmap_get(&d->functions, key, -1) >= 0)
            return ot_fail(OT_EMODEL, "the function '%s' of domain '%s' is defined twice", ot_text(f->name),
                           ot_text(f->domain));
        OT_TRY(ot_strmap_put(&d->functions, key, (int64_t)i));
    }
    return OT_OK;
}

ot_status ot_find_function(ot_deriver *d, int64_t *out, const Onnx__NodeProto *n)
{
    *out = -1;
    if (!d->m->proto->n_functions)
        return OT_OK;
    const char *key = key_of(d, n->domain, n->op_type, n->overload);
    if (!key)
        return OT_ENOMEM;
    *out = ot_strmap_get(&d->functions, key, -1);
    return OT_OK;
}

/* ---- What a call may be -------------------------------------------------------------------------------------- */

ot_status ot_charge(ot_deriver *d, size_t bytes)
{
    d->inlined_bytes += bytes; /* each is at most what lies in the file */
    return d->inlined_bytes <= MOST_BYTES
               ? OT_OK
               : ot_fail(OT_EUNSUPPORTED, "the names and attributes of inlined functions pass %zu bytes", MOST_BYTES);
}

static size_t bytes_of_attrs(size_t n, Onnx__AttributeProto *const *attribute)
{
    size_t bytes = 32 * n;
    for (size_t i = 0; i < n; i++) {
        const Onnx__AttributeProto *a = attribute[i];
        bytes += strlen(ot_text(a->name)) + a->s.len + 8 * a->n_ints + 4 * a->n_floats;
        for (size_t k = 0; k < a->n_strings; k++)
            bytes += 16 + a->strings[k].len;
    }
    return bytes;
}

/* What a node of a body costs beside what every node costs. */
static size_t bytes_of(const Onnx__NodeProto *n, size_t prefix)
{
    size_t bytes = prefix + strlen(ot_text(n->name)) + strlen(ot_text(n->op_type)) + 16 * n->n_input;
    for (size_t i = 0; i < n->n_output; i++)
        bytes += prefix + strlen(n->output[i]);
    return bytes + bytes_of_attrs(n->n_attribute, n->attribute);
}

ot_status ot_charge_nodes(ot_deriver *d, size_t n, Onnx__NodeProto *const *node, size_t prefix)
{
    if (n > MOST_NODES || (d->inlined += (int64_t)n + 1) > MOST_NODES)
        return ot_fail(OT_EUNSUPPORTED, "the calls of functions and the bodies of nodes come to more than %d nodes",
                       MOST_NODES);
    for (size_t i = 0; i < n; i++)
        OT_TRY(ot_charge(d, bytes_of(node[i], prefix)));
    return OT_OK;
}

static ot_status check_size(ot_deriver *d, const Onnx__FunctionProto *f, size_t prefix)
{
    OT_TRY(ot_charge(d, 32 * (f->n_input + f->n_output) + bytes_of_attrs(f->n_attribute_proto, f->attribute_proto)));
    return ot_charge_nodes(d, f->n_node, f->node, prefix);
}

ot_status ot_check_depth(const ot_deriver *d, const char *what)
{
    return d->scope->depth < MOST_DEPTH
               ? OT_OK
               : ot_fail(OT_EUNSUPPORTED, "%s lies at a depth of more than %d", what, MOST_DEPTH);
}

static ot_status check_call(const ot_deriver *d, const Onnx__NodeProto *n, const Onnx__FunctionProto *f)
{
    const char *name = ot_text(f->name);
    if (n->n_input > f->n_input || n->n_output > f->n_output)
        return ot_fail(OT_EMODEL, "%zu inputs and %zu outputs; function '%s' has %zu and %zu", n->n_input, n->n_output,
                       name, f->n_input, f->n_output);
    for (const ot_scope *s = d->scope; s->caller; s = s->caller)
        if (s->function == f)
            return ot_fail(OT_EMODEL, "function '%s' calls itself%s%s%s", name, s == d->scope ? "" : " through '",
                           s == d->scope ? "" : ot_text(d->scope->function->name), s == d->scope ? "" : "'");
    if (d->scope->depth >= MOST_DEPTH)
        return ot_fail(OT_EUNSUPPORTED, "function '%s' is called at a depth of more than %d", name, MOST_DEPTH);
    for (size_t i = 0; i < f->n_opset_import; i++)
        if (ot_same_domain(f->opset_import[i]->domain, "") && f->opset_import[i]->version > OT_LATEST)
            return ot_fail(OT_EUNSUPPORTED, "function '%s' is at opset %lld, this version knows up to %d", name,
                           (long long)f->opset_import[i]->version, OT_LATEST);
    return OT_OK;
}

/* ---- One call ------------------------------------------------------------------------------------------------ */

ot_status ot_choose_prefix(ot_deriver *d, const char **out, const Onnx__NodeProto *n)
{
    ot_arena *arena = &d->b.g->arena;
    const char *base = ot_scope_node_name(d, n), *name = base;
    if (!base)
        return OT_ENOMEM;
    int64_t count = ot_strmap_get(&d->prefixes, base, 0);
    for (; name && ot_strmap_get(&d->prefixes, name, 0); count++)
        name = ot_arena_printf(arena, "%s_%lld", base, (long long)count + 1);
    if (!name)
        return OT_ENOMEM;
    OT_TRY(ot_strmap_put(&d->prefixes, base, count ? count : 1));
    if (name != base)
        OT_TRY(ot_strmap_put(&d->prefixes, name, 1));
    *out = ot_arena_printf(arena, "%s/", name);
    return *out ? OT_OK : OT_ENOMEM;
}

/* The call's attributes, and after them the function's defaults that it does not give. */
static ot_status give_attrs(ot_deriver *d, const ot_attr **out, const Onnx__NodeProto *n, const Onnx__FunctionProto *f)
{
    ot_attr *given, *defaults;
    size_t count = 0, more = 0;
    for (size_t i = 0; i < f->n_attribute_proto; i++)
        if (*ot_text(f->attribute_proto[i]->ref_attr_name))
            return ot_fail(OT_EMODEL, "the default of attribute '%s' of function '%s' is a reference",
                           ot_text(f->attribute_proto[i]->name), ot_text(f->name));
    OT_TRY(ot_derive_attrs(d, &given, n->n_attribute, n->attribute));
    OT_TRY(ot_derive_attrs(d, &defaults, f->n_attribute_proto, f->attribute_proto));
    while (given[count].name)
        count++;
    while (defaults[more].name)
        more++;
    ot_attr *all = ot_arena_calloc(&d->b.g->arena, count + more + 1, sizeof(*all));
    if (!all)
        return OT_ENOMEM;
    memcpy(all, given, count * sizeof(*all)); /* found first, so a default of the same name is never read */
    memcpy(all + count, defaults, more * sizeof(*all));
    *out = all;
    return OT_OK;
}

/* Names of the body that mean something outside: inputs are the caller's values, outputs get the caller's names. */
static ot_status bind_names(ot_deriver *d, ot_scope *s, const Onnx__NodeProto *n)
{
    const Onnx__FunctionProto *f = s->function;
    s->result = ot_arena_calloc(&d->b.g->arena, f->n_output + 1, sizeof(*s->result));
    if (!s->result)
        return OT_ENOMEM;
    for (size_t i = 0; i < f->n_input; i++) {
        const char *outside = i < n->n_input ? n->input[i] : "";
        ot_val v = *outside ? ot_scope_find(d, outside) : OT_NONE;
        if (v == OT_UNMADE)
            return ot_fail(OT_EMODEL, "input '%s' is made by no node before this one", outside);
        if (!*f->input[i] || ot_strmap_get(&s->value, f->input[i], OT_UNMADE) != OT_UNMADE)
            return ot_fail(OT_EMODEL, "input %zu of function '%s' has %s name", i, ot_text(f->name),
                           *f->input[i] ? "another's" : "no");
        OT_TRY(ot_strmap_put(&s->value, f->input[i], v));
    }
    for (size_t i = 0; i < f->n_output; i++) {
        if (i >= n->n_output || !*n->output[i])
            continue;
        if (!(s->result[i] = ot_scope_value_name(d, n->output[i])))
            return OT_ENOMEM;
        OT_TRY(ot_strmap_put(&s->output, f->output[i], (int64_t)i));
    }
    return OT_OK;
}

static ot_status take_results(ot_deriver *d, const ot_scope *s, const Onnx__NodeProto *n)
{
    for (size_t i = 0; i < n->n_output; i++) {
        if (!*n->output[i])
            continue;
        ot_val v = (ot_val)ot_strmap_get(&s->value, s->function->output[i], OT_UNMADE);
        if (v < 0)
            return ot_fail(OT_EMODEL, "output '%s' of function '%s' is %s", s->function->output[i],
                           ot_text(s->function->name),
                           v == OT_NONE ? "an input that the call leaves out" : "made by no node");
        OT_TRY(ot_scope_put(d, n->output[i], v));
    }
    return OT_OK;
}

static ot_status derive_body(ot_deriver *d, ot_scope *s, const Onnx__NodeProto *n)
{
    OT_TRY(check_call(d, n, s->function));
    OT_TRY(ot_choose_prefix(d, &s->prefix, n));
    OT_TRY(check_size(d, s->function, strlen(s->prefix)));
    OT_TRY(give_attrs(d, &s->attr, n, s->function));
    OT_TRY(bind_names(d, s, n));
    d->scope = s;
    ot_status st = ot_derive_nodes(d, s->function->n_node, s->function->node);
    d->scope = s->caller;
    return st == OT_OK ? take_results(d, s, n) : st;
}

ot_status ot_derive_call(ot_deriver *d, const Onnx__NodeProto *n, const Onnx__FunctionProto *f)
{
    ot_scope s = { .caller = d->scope, .graph = d->scope->graph, .function = f, .depth = d->scope->depth + 1 };
    ot_status st = derive_body(d, &s, n);
    ot_strmap_release(&s.value);
    ot_strmap_release(&s.output);
    return st;
}

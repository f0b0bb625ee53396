/* What operator a node means, and the report of all that are missing. */
#include "graph/derive_parts.h"
#include "model/schema.h"

#include <stdio.h>
#include <string.h>

bool ot_is_constant_node(const Onnx__NodeProto *n)
{
    return ot_same_domain(n->domain, "") && strcmp(ot_text(n->op_type), "Constant") == 0;
}

/* A function's body is bound by the function's own imports; f NULL: the model's. */
static int64_t version_of(const ot_deriver *d, const Onnx__FunctionProto *f, const char *domain)
{
    if (!f)
        return ot_model_opset(d->m, domain);
    for (size_t i = 0; i < f->n_opset_import; i++)
        if (ot_same_domain(f->opset_import[i]->domain, domain))
            return f->opset_import[i]->version;
    return 0;
}

static ot_status bind(const ot_deriver *d, const Onnx__FunctionProto *f, const ot_op **op, int *opset,
                      const Onnx__NodeProto *n)
{
    const char *domain = ot_same_domain(n->domain, "") ? "" : n->domain;
    int64_t version = version_of(d, f, domain);
    if (strcmp(domain, OT_INTERNAL) == 0) /* their rules trust the gradients that emit them */
        return ot_fail(OT_EUNSUPPORTED, "operator '%s' is of the domain '%s', which models cannot use",
                       ot_text(n->op_type), domain);
    if (version <= 0)
        return ot_fail(OT_EMODEL, "the domain '%s' of operator '%s' is not imported", domain, ot_text(n->op_type));
    *opset = version > INT32_MAX ? INT32_MAX : (int)version;
    return ot_find_op(op, domain, ot_text(n->op_type), *opset);
}

ot_status ot_bind_operator(const ot_deriver *d, const ot_op **op, int *opset, const Onnx__NodeProto *n)
{
    return bind(d, d->scope->function, op, opset, n);
}

typedef struct first_finding {
    char text[512];
} first_finding;

static void keep_first(void *ctx, const char *text)
{
    first_finding *f = ctx;
    if (!*f->text)
        snprintf(f->text, sizeof(f->text), "%s", text);
}

ot_status ot_check_schema(const ot_deriver *d, const Onnx__NodeProto *n)
{
    first_finding f = { "" };
    int64_t version = version_of(d, d->scope->function, ot_text(n->domain));
    ot_schema s;
    if (!ot_schema_find(&s, ot_text(n->domain), ot_text(n->op_type), version))
        return OT_OK;
    ot_schema_check_node(&s, n, keep_first, &f);
    return *f.text ? ot_fail(OT_EMODEL, "%s", f.text) : OT_OK;
}

/* ---- What is missing ----------------------------------------------------------------------------------------- */

typedef struct report {
    ot_deriver *d;
    ot_strmap seen; /* names of missing operators */
    char list[512];
    int64_t missing;
    const Onnx__FunctionProto **todo; /* functions that are called, each once */
    bool *met;                        /* by function */
    size_t n_todo;
} report;

static ot_status note(report *r, const char *name)
{
    if (ot_strmap_get(&r->seen, name, 0))
        return OT_OK;
    size_t at = strlen(r->list);
    snprintf(r->list + at, sizeof(r->list) - at, "%s%s", r->missing++ ? ", " : "", name);
    if (r->missing == 1 && strncmp(ot_last_error(), "no operator", 11) != 0)
        snprintf(r->list, sizeof(r->list), "%.500s", ot_last_error());
    return ot_strmap_put(&r->seen, name, 1);
}

static ot_status look_at(report *r, const Onnx__FunctionProto *f, size_t n, Onnx__NodeProto *const *node)
{
    for (size_t i = 0; i < n; i++) {
        int64_t called;
        const ot_op *op;
        int opset;
        OT_TRY(ot_find_function(r->d, &called, node[i]));
        if (called >= 0 && !r->met[called]) {
            r->met[called] = true;
            r->todo[r->n_todo++] = r->d->m->proto->functions[called];
        }
        if (called < 0 && !ot_is_constant_node(node[i]) && bind(r->d, f, &op, &opset, node[i]) != OT_OK)
            OT_TRY(note(r, ot_text(node[i]->op_type)));
        /* as deep as the wire scanner lets graphs lie; of an If one branch may stand there that is never derived */
        for (size_t k = 0; k < node[i]->n_attribute && !ot_is_if(node[i]); k++) {
            const Onnx__GraphProto *body = node[i]->attribute[k]->g;
            if (body)
                OT_TRY(look_at(r, f, body->n_node, body->node));
        }
    }
    return OT_OK;
}

static ot_status look_at_all(report *r)
{
    const Onnx__ModelProto *p = r->d->m->proto;
    r->todo = ot_calloc(p->n_functions + 1, sizeof(const Onnx__FunctionProto *));
    r->met = ot_calloc(p->n_functions + 1, sizeof(*r->met));
    if (!r->todo || !r->met)
        return OT_ENOMEM;
    OT_TRY(look_at(r, NULL, p->graph->n_node, p->graph->node));
    for (size_t i = 0; i < r->n_todo; i++)
        OT_TRY(look_at(r, r->todo[i], r->todo[i]->n_node, r->todo[i]->node));
    return OT_OK;
}

ot_status ot_report_missing(ot_deriver *d)
{
    report r = { .d = d };
    ot_status st = look_at_all(&r);
    ot_strmap_release(&r.seen);
    ot_free(r.todo);
    ot_free(r.met);
    if (st != OT_OK || !r.missing)
        return st;
    return ot_fail(OT_EUNSUPPORTED, "%lld operator%s missing: %s", (long long)r.missing,
                   r.missing == 1 ? " is" : "s are", r.list);
}

/* The public side of checking, the place of a finding, scopes, and what is said of a whole model. */
#include "model/check.h"
#include "model/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Findings ---------------------------------------------------------------------------------------------- */

size_t ot_check_enter(ot_checker *c, const char *fmt, ...)
{
    size_t at = c->at, room = sizeof(c->where) - at;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(c->where + at, room, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n + 3 > room) { /* no room: the finding stands with the outer places alone */
        c->where[at] = 0;
        return at;
    }
    memcpy(c->where + at + n, ": ", 3);
    c->at = at + (size_t)n + 2;
    return at;
}

void ot_check_leave(ot_checker *c, size_t at)
{
    c->at = at;
    c->where[at] = 0;
}

void ot_found(ot_checker *c, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    memcpy(text, c->where, c->at);
    va_start(ap, fmt);
    vsnprintf(text + c->at, sizeof(text) - c->at, fmt, ap);
    va_end(ap);
    c->found++;
    if (c->tell)
        c->tell(c->ctx, text);
}

/* ---- Names ------------------------------------------------------------------------------------------------- */

static void put(ot_checker *c, ot_strmap *set, const char *name)
{
    ot_status st = ot_strmap_put(set, name, 1);
    if (st != OT_OK)
        c->st = st;
}

void ot_names_add(ot_checker *c, ot_names *s, const char *name)
{
    put(c, &s->names, name);
}

bool ot_names_here(const ot_names *s, const char *name)
{
    return ot_strmap_get(&s->names, name, 0) != 0;
}

bool ot_names_sees(const ot_names *s, const char *name)
{
    for (; s; s = s->outer)
        if (ot_names_here(s, name))
            return true;
    return false;
}

bool ot_check_once(ot_checker *c, ot_strmap *set, const char *what, const char *name)
{
    if (ot_strmap_get(set, name, 0)) {
        ot_found(c, "%s '%.200s' is there twice", what, name);
        return false;
    }
    put(c, set, name);
    return true;
}

int64_t ot_imported(const ot_imports *l, const char *domain)
{
    for (size_t i = 0; i < l->n; i++)
        if (ot_same_domain(l->import[i]->domain, domain))
            return l->import[i]->version;
    return 0;
}

bool ot_function_key(char *out, size_t n, const char *domain, const char *name, const char *overload)
{
    domain = ot_same_domain(domain, "") ? "" : domain;
    int k = snprintf(out, n, "%s:%s:%s", domain, ot_text(name), ot_text(overload));
    return k >= 0 && (size_t)k < n;
}

/* ---- The model --------------------------------------------------------------------------------------------- */

static void check_imports(ot_checker *c, const Onnx__ModelProto *p)
{
    ot_strmap seen = { 0 };
    if (p->ir_version >= 3 && !p->n_opset_import)
        ot_found(c, "no operator set is imported, which IR version %lld asks for", (long long)p->ir_version);
    if (p->ir_version < 3 && p->n_opset_import)
        ot_found(c, "%zu operator sets are imported, which IR version %lld has no place for", p->n_opset_import,
                 (long long)p->ir_version);
    for (size_t i = 0; i < p->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = p->opset_import[i];
        const char *domain = ot_same_domain(o->domain, "") ? "" : o->domain;
        if (!o->has_version || o->version < 1 || o->version > INT32_MAX)
            ot_found(c, "domain '%.200s' is imported with version %lld", domain, (long long)o->version);
        ot_check_once(c, &seen, "the import of domain", domain);
    }
    ot_strmap_release(&seen);
}

static void check_metadata(ot_checker *c, const Onnx__ModelProto *p)
{
    ot_strmap seen = { 0 };
    for (size_t i = 0; i < p->n_metadata_props; i++)
        ot_check_once(c, &seen, "the metadata key", ot_text(p->metadata_props[i]->key));
    ot_strmap_release(&seen);
}

static void list_functions(ot_checker *c, const Onnx__ModelProto *p)
{
    char key[1024];
    for (size_t i = 0; i < p->n_functions; i++) {
        const Onnx__FunctionProto *f = p->functions[i];
        if (ot_function_key(key, sizeof(key), f->domain, f->name, f->overload))
            put(c, &c->functions, key);
    }
}

static void check_model(ot_checker *c)
{
    const Onnx__ModelProto *p = c->m->proto;
    Onnx__OperatorSetIdProto first = ONNX__OPERATOR_SET_ID_PROTO__INIT, *const list[] = { &first };
    ot_strmap initializers = { 0 };
    first.has_version = 1;
    first.version = 1;
    if (!p->ir_version)
        ot_found(c, "no IR version, so this is no ONNX model");
    else if (p->ir_version < 1 || p->ir_version > OT_NEWEST_IR)
        ot_found(c, "IR version %lld, known are 1 to %d", (long long)p->ir_version, OT_NEWEST_IR);
    check_metadata(c, p);
    check_imports(c, p);
    c->imports = (ot_imports){ p->opset_import, p->n_opset_import };
    if (p->ir_version < 3 && !p->n_opset_import)
        c->imports = (ot_imports){ list, 1 };
    list_functions(c, p);
    if (!p->graph) {
        ot_found(c, "the model has no graph");
    } else {
        ot_check_graph(c, p->graph, NULL, true, NULL);
        for (size_t i = 0; i < p->graph->n_initializer; i++)
            put(c, &initializers, ot_text(p->graph->initializer[i]->name));
    }
    if (p->ir_version >= 8)
        ot_check_functions(c);
    ot_check_training(c, &initializers);
    ot_strmap_release(&initializers);
    ot_strmap_release(&c->functions);
}

ot_status ot_model_check(int64_t *n, const ot_model *m, ot_on_finding *tell, void *ctx)
{
    ot_checker c = { .m = m, .tell = tell, .ctx = ctx };
    check_model(&c);
    *n = c.found;
    return c.st;
}

ot_status ot_model_check_file(int64_t *n, const char *path, ot_on_finding *tell, void *ctx)
{
    ot_model *m;
    *n = 0;
    ot_status st = ot_model_read(&m, path);
    if (st == OT_EMODEL) { /* nothing more can be said of it */
        ot_checker c = { .tell = tell, .ctx = ctx };
        ot_found(&c, "%s", ot_last_error());
        *n = c.found;
        return OT_OK;
    }
    if (st != OT_OK)
        return st;
    st = ot_model_check(n, m, tell, ctx);
    ot_model_close(m);
    return st;
}

#include "graph/append.h"
#include "graph/surgery.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ot_status ot_head_fail(const ot_head *h, const char *at, const char *fmt, ...)
{
    char why[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    return ot_fail(OT_EARG, "append, character %zu%s%s%s: %s", (size_t)(at - h->text) + 1, *h->kind ? " (" : "",
                   h->kind, *h->kind ? ")" : "", why);
}

ot_status ot_head_warn(const ot_head *h, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (h->warn)
        h->warn(h->warn_ctx, text);
    return OT_OK;
}

/* ---- Arguments --------------------------------------------------------------------------------------------- */

ot_head_arg *ot_head_find(ot_head *h, int place, const char *key)
{
    int at = 0;
    for (int i = 0; i < h->n_arg; i++) {
        ot_head_arg *a = &h->arg[i];
        bool match = a->n_key ? key && strlen(key) == a->n_key && strncmp(a->key, key, a->n_key) == 0 : at == place;
        at += !a->n_key;
        if (match) {
            a->used = true;
            return a;
        }
    }
    return NULL;
}

static ot_status missing(const ot_head *h, const char *what)
{
    return ot_head_fail(h, h->word, "%s is missing", what);
}

static bool digits(int64_t *out, const char *p, size_t n)
{
    int64_t v = 0;
    if (!n || n > 9)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        v = v * 10 + (p[i] - '0');
    }
    *out = v;
    return true;
}

ot_status ot_head_int(ot_head *h, int64_t *out, int place, const char *key, int64_t lo, int64_t otherwise,
                      const char *what)
{
    const ot_head_arg *a = ot_head_find(h, place, key);
    *out = otherwise;
    if (!a)
        return otherwise < lo ? missing(h, what) : OT_OK;
    if (!digits(out, a->value, a->n) || *out < lo)
        return ot_head_fail(h, a->value, "%s is '%.*s', not a number from %lld", what, (int)a->n, a->value,
                            (long long)lo);
    return OT_OK;
}

ot_status ot_head_pair(ot_head *h, int64_t out[2], int place, const char *key, int64_t lo, int64_t otherwise,
                       const char *what)
{
    const ot_head_arg *a = ot_head_find(h, place, key);
    out[0] = out[1] = otherwise;
    if (!a)
        return otherwise < lo ? missing(h, what) : OT_OK;
    const char *x = memchr(a->value, 'x', a->n);
    bool ok = x ? digits(&out[0], a->value, (size_t)(x - a->value)) &&
                      digits(&out[1], x + 1, a->n - (size_t)(x - a->value) - 1)
                : digits(&out[0], a->value, a->n);
    if (ok && !x)
        out[1] = out[0];
    if (!ok || out[0] < lo || out[1] < lo)
        return ot_head_fail(h, a->value, "%s is '%.*s', not numbers from %lld like 3 or 3x3", what, (int)a->n, a->value,
                            (long long)lo);
    return OT_OK;
}

ot_status ot_head_real(ot_head *h, double *out, int place, const char *key, double lo, double hi, double otherwise,
                       const char *what)
{
    const ot_head_arg *a = ot_head_find(h, place, key);
    char text[32], *end = text;
    *out = otherwise;
    if (!a)
        return OT_OK;
    if (a->n < sizeof(text)) {
        memcpy(text, a->value, a->n);
        text[a->n] = 0;
        *out = strtod(text, &end);
    }
    if (end == text || *end || !(*out >= lo && *out <= hi))
        return ot_head_fail(h, a->value, "%s is '%.*s', not a number from %g to %g", what, (int)a->n, a->value, lo, hi);
    return OT_OK;
}

ot_status ot_head_all_used(const ot_head *h)
{
    for (int i = 0; i < h->n_arg; i++) {
        const ot_head_arg *a = &h->arg[i];
        if (!a->used)
            return ot_head_fail(h, a->n_key ? a->key : a->value, "'%.*s' is nothing that this layer takes",
                                (int)(a->n_key ? a->n_key : a->n), a->n_key ? a->key : a->value);
    }
    return OT_OK;
}

/* ---- The language: LAYER {; LAYER}, where LAYER is WORD {VALUE | KEY=VALUE} ----------------------------------- */

static const char *skip_space(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

static const char *word_end(const char *p)
{
    while (*p && *p != ';' && !isspace((unsigned char)*p))
        p++;
    return p;
}

/* Reads one layer at p; *next is behind its ';' or at the end. */
static ot_status parse_layer(ot_head *h, const char *p, const char **next)
{
    h->n_arg = 0;
    *h->kind = 0;
    h->word = p;
    const char *end = word_end(p);
    size_t n = (size_t)(end - p);
    if (!n)
        return ot_head_fail(h, p, "a layer is missing");
    if (n >= sizeof(h->kind))
        return ot_head_fail(h, p, "no layer has so long a name");
    memcpy(h->kind, p, n);
    h->kind[n] = 0;
    for (p = skip_space(end); *p && *p != ';'; p = skip_space(end)) {
        end = word_end(p);
        if (h->n_arg == OT_HEAD_ARGS)
            return ot_head_fail(h, p, "more than %d arguments", OT_HEAD_ARGS);
        const char *eq = memchr(p, '=', (size_t)(end - p)), *value = eq ? eq + 1 : p;
        if (eq == p || value == end)
            return ot_head_fail(h, p, "'%.*s' is not KEY=VALUE", (int)(end - p), p);
        h->arg[h->n_arg++] =
            (ot_head_arg){ .key = p, .n_key = eq ? (size_t)(eq - p) : 0, .value = value, .n = (size_t)(end - value) };
    }
    *next = *p ? p + 1 : p;
    return OT_OK;
}

static const ot_head_layer *find_layer(const char *kind)
{
    for (const ot_head_layer *l = ot_head_layers; l->name; l++)
        if (strcmp(l->name, kind) == 0)
            return l;
    return NULL;
}

static ot_status build_layer(ot_head *h)
{
    char base[64];
    const ot_head_layer *l = find_layer(h->kind);
    if (!l) {
        char known[256] = "";
        size_t at = 0;
        for (l = ot_head_layers; l->name && at < sizeof(known); l++)
            at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s", at ? ", " : "", l->name);
        return ot_head_fail(h, h->word, "no such layer; there are %s", known);
    }
    snprintf(base, sizeof(base), "head.%s", h->kind);
    ot_free(h->base);
    h->base = ot_unique_name(h->m->proto->graph, base);
    return h->base ? l->build(h) : OT_ENOMEM;
}

static ot_status begin(ot_head *h, ot_model *m)
{
    const Onnx__GraphProto *g = m->proto->graph;
    h->m = m;
    h->opset = ot_model_opset(m, "");
    if (g->n_output != 1)
        return ot_fail(OT_EARG, "the model has %zu outputs, so it is not clear where to append: cut first",
                       g->n_output);
    OT_TRY(ot_doc_shape_of(&h->shape, m, ot_text(g->output[0]->name)));
    if (!ot_dtype_is_float(h->shape.dtype) || ot_dtype_bits(h->shape.dtype) < 16)
        return ot_fail(OT_EARG, "output '%s' is %s; layers are appended to floating values",
                       ot_text(g->output[0]->name), ot_dtype_name(h->shape.dtype));
    h->value = ot_strdup(ot_text(g->output[0]->name));
    return h->value ? OT_OK : OT_ENOMEM;
}

static ot_status grow(ot_model *m, void *ctx)
{
    ot_head *h = ctx;
    Onnx__GraphProto *g = m->proto->graph;
    OT_TRY(begin(h, m));
    const char *p = skip_space(h->text);
    do {
        OT_TRY(parse_layer(h, p, &p));
        OT_TRY(build_layer(h));
        OT_TRY(ot_head_all_used(h));
        p = skip_space(p);
    } while (*p);
    if (!ot_append_output(g, h->value, h->shape.dtype, h->shape.rank, h->shape.dim))
        return OT_ENOMEM;
    ot_remove(&g->base, "output", 0);
    return OT_OK;
}

ot_status ot_model_append(ot_model *m, const char *layers, uint64_t seed, ot_warning *warn, void *ctx)
{
    ot_head h = { .text = layers, .seed = seed, .warn = warn, .warn_ctx = ctx };
    ot_status st = ot_model_change(m, grow, &h);
    ot_free(h.value);
    ot_free(h.base);
    return st;
}

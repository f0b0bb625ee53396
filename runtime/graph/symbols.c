/* Dimensions as symbols.  Expressions are kept once each, so equal expressions are equal numbers; the few
 * simplifications make a padded convolution's output the same symbol as its input. */
#include "graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static ot_dim symbol_of(ot_graph *g, char op, ot_dim a, ot_dim b, const char *name)
{
    for (int64_t i = 0; i < g->n_symbol && op != '?'; i++) {
        const ot_symbol *s = &g->symbol[i];
        if (s->op == op && s->a == a && s->b == b && (op != 'n' || strcmp(s->name, name) == 0))
            return OT_SYMBOL(i);
    }
    if (ot_grow(&g->symbol, g->n_symbol, &g->cap_symbol, sizeof(*g->symbol)) != OT_OK)
        return OT_SYMBOL(0); /* any symbol is true enough for a graph that could not be built */
    const char *copy = op == 'n' ? ot_arena_strdup(&g->arena, name) : NULL;
    g->symbol[g->n_symbol] = (ot_symbol){ .op = op == 'n' && !copy ? '?' : op, .a = a, .b = b, .name = copy };
    return OT_SYMBOL(g->n_symbol++);
}

ot_dim ot_symbol_named(ot_graph *g, const char *name)
{
    return symbol_of(g, 'n', 0, 0, name);
}

ot_dim ot_dim_unknown(ot_infer *c)
{
    return symbol_of(c->graph, '?', 0, 0, NULL);
}

static const ot_symbol *symbol_at(const ot_graph *g, ot_dim d)
{
    return ot_is_symbol(d) && d - OT_SYMBOL(0) < g->n_symbol ? &g->symbol[d - OT_SYMBOL(0)] : NULL;
}

ot_dim ot_dim_add(ot_infer *c, ot_dim a, ot_dim b)
{
    int64_t sum;
    if (!ot_is_symbol(a) && !ot_is_symbol(b))
        return __builtin_add_overflow(a, b, &sum) || ot_is_symbol(sum) ? ot_dim_unknown(c) : sum;
    if (!ot_is_symbol(a)) { /* the number goes right */
        ot_dim t = a;
        a = b;
        b = t;
    }
    const ot_symbol *s = symbol_at(c->graph, a);
    if (!ot_is_symbol(b) && s && s->op == '+' && !ot_is_symbol(s->b)) /* (x + 1) + 2 = x + 3 */
        return ot_dim_add(c, s->a, ot_dim_add(c, s->b, b));
    if (b == 0)
        return a;
    if (ot_is_symbol(b) && a > b)
        return symbol_of(c->graph, '+', b, a, NULL);
    return symbol_of(c->graph, '+', a, b, NULL);
}

ot_dim ot_dim_sub(ot_infer *c, ot_dim a, ot_dim b)
{
    if (!ot_is_symbol(b))
        return ot_dim_add(c, a, -b);
    return a == b ? 0 : symbol_of(c->graph, '-', a, b, NULL);
}

ot_dim ot_dim_mul(ot_infer *c, ot_dim a, ot_dim b)
{
    int64_t product;
    if (!ot_is_symbol(a) && !ot_is_symbol(b))
        return __builtin_mul_overflow(a, b, &product) || ot_is_symbol(product) ? ot_dim_unknown(c) : product;
    if (!ot_is_symbol(a)) {
        ot_dim t = a;
        a = b;
        b = t;
    }
    const ot_symbol *s = symbol_at(c->graph, a);
    if (!ot_is_symbol(b) && s && s->op == '*' && !ot_is_symbol(s->b)) /* (x * 2) * 3 = x * 6 */
        return ot_dim_mul(c, s->a, ot_dim_mul(c, s->b, b));
    if (b == 0 || b == 1)
        return b ? a : 0;
    if (ot_is_symbol(b) && a > b)
        return symbol_of(c->graph, '*', b, a, NULL);
    return symbol_of(c->graph, '*', a, b, NULL);
}

ot_dim ot_dim_div(ot_infer *c, ot_dim a, ot_dim b)
{
    if (b == 0)
        return ot_dim_unknown(c);
    if (b == 1 || a == b)
        return b == 1 ? a : 1;
    if (!ot_is_symbol(a) && !ot_is_symbol(b))
        return a / b - (a % b != 0 && (a < 0) != (b < 0));
    const ot_symbol *s = symbol_at(c->graph, a);
    if (s && s->op == '*' && s->b == b)
        return s->a;
    if (s && s->op == '*' && s->a == b)
        return s->b;
    if (s && s->op == '*' && !ot_is_symbol(s->b) && !ot_is_symbol(b) && s->b % b == 0)
        return ot_dim_mul(c, s->a, s->b / b);
    return symbol_of(c->graph, '/', a, b, NULL);
}

/* A text that grows in a buffer of n bytes; what does not fit is cut. */
typedef struct text_out {
    char *text;
    size_t n, at;
} text_out;

static void put(text_out *t, const char *fmt, ...) OT_PRINTF(2, 3);
static void put(text_out *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int wrote = vsnprintf(t->text + t->at, t->n - t->at, fmt, ap);
    va_end(ap);
    t->at = wrote < 0 || (size_t)wrote >= t->n - t->at ? t->n - 1 : t->at + (size_t)wrote;
}

static void write_dim(const ot_graph *g, ot_dim d, text_out *t, int depth)
{
    const ot_symbol *s = symbol_at(g, d);
    if (!ot_is_symbol(d)) {
        put(t, "%lld", (long long)d);
    } else if (!s || s->op == '?' || depth > 8) {
        put(t, "?");
    } else if (s->op == 'n') {
        put(t, "%s", s->name);
    } else {
        bool minus = s->op == '+' && !ot_is_symbol(s->b) && s->b < 0; /* the number brings its own sign */
        put(t, "(");
        write_dim(g, s->a, t, depth + 1);
        if (!minus)
            put(t, "%c", s->op);
        write_dim(g, s->b, t, depth + 1);
        put(t, ")");
    }
}

const char *ot_dim_text(const ot_graph *g, ot_dim d, char *text, size_t n)
{
    text_out t = { text, n, 0 };
    write_dim(g, d, &t, 0);
    return text;
}

const char *ot_fact_text(const ot_graph *g, const ot_fact *f, char *text, size_t n)
{
    static const char *const kinds[] = { "", "sequence of ", "optional ", "map to " };
    text_out t = { text, n, 0 };
    for (; f->kind != OT_TENSOR && f->element; f = f->element)
        put(&t, "%s", kinds[f->kind]);
    put(&t, "%s%s[", kinds[f->kind], ot_dtype_name(f->dtype));
    if (f->rank < 0)
        put(&t, "...");
    for (int i = 0; i < f->rank; i++) {
        if (i)
            put(&t, ",");
        write_dim(g, f->dim[i], &t, 0);
    }
    put(&t, "]");
    return text;
}

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

static bool make_room(ot_text_buf *t, size_t more)
{
    size_t want = t->n + more + 1;
    if (want <= t->cap)
        return true;
    want = want < 2 * t->cap ? 2 * t->cap : want + 256;
    char *s = ot_realloc(t->s, want, 1);
    if (!s) {
        t->failed = true;
        return false;
    }
    t->s = s;
    t->cap = want;
    return true;
}

void ot_text_put(ot_text_buf *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (t->failed || n < 0 || !make_room(t, (size_t)n))
        return;
    va_start(ap, fmt);
    vsnprintf(t->s + t->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
}

ot_status ot_text_take(char **out, ot_text_buf *t)
{
    *out = NULL;
    if (!t->failed && (t->s || make_room(t, 0))) {
        t->s[t->n] = 0;
        *out = t->s;
        *t = (ot_text_buf){ 0 };
        return OT_OK;
    }
    ot_free(t->s);
    *t = (ot_text_buf){ 0 };
    return OT_ENOMEM;
}

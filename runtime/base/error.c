#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text[1024];

const char *ot_last_error(void)
{
    return text;
}

/* A model's names may hold anything: control characters would break the one-line promise. */
static void keep_one_line(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127)
            *s = '?';
}

ot_status ot_fail(ot_status st, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    keep_one_line(text);
    return st;
}

ot_status ot_context(ot_status st, const char *fmt, ...)
{
    char where[256], cause[sizeof(text)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(where, sizeof(where), fmt, ap);
    va_end(ap);
    keep_one_line(where);
    memcpy(cause, text, sizeof(text));
    size_t n = strlen(where), m = strlen(cause), room = sizeof(text) - n - 3;
    memcpy(text, where, n);
    memcpy(text + n, ": ", 2);
    m = m < room ? m : room;
    memcpy(text + n + 2, cause, m);
    text[n + 2 + m] = 0;
    return st;
}

#include "tool.h"
#include "output.h"
#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool quiet;

void ot_tool_set_quiet(bool on)
{
    quiet = on;
}

bool ot_tool_quiet(void)
{
    return quiet;
}

/* One line: what the terminal shows of a file's name or a model's text may not move the cursor. */
static void put_line(const char *head, const char *colour, const char *fmt, va_list ap)
{
    char text[4096];
    vsnprintf(text, sizeof(text), fmt, ap);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    bool coloured = colour && ot_colour(stderr);
    ot_progress_clear();
    fflush(stdout);
    fprintf(stderr, "%s%s%s%s\n", coloured ? colour : "", head, coloured ? "\033[0m" : "", text);
}

void ot_tool_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_line("onnxtune: ", "\033[31m", fmt, ap);
    va_end(ap);
}

void ot_tool_advice(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_line("  ", NULL, fmt, ap);
    va_end(ap);
}

void ot_tool_warning(const char *fmt, ...)
{
    va_list ap;
    if (quiet)
        return;
    va_start(ap, fmt);
    put_line("onnxtune: warning: ", "\033[33m", fmt, ap);
    va_end(ap);
}

void ot_tool_note(const char *fmt, ...)
{
    va_list ap;
    if (quiet)
        return;
    va_start(ap, fmt);
    put_line("", NULL, fmt, ap);
    va_end(ap);
}

int ot_tool_failed(ot_status st, const char *file)
{
    const char *text = ot_last_error();
    if (file && strncmp(text, file, strlen(file)) != 0)
        ot_tool_error("%s: %s", file, text);
    else
        ot_tool_error("%s", text);
    if (st == OT_EUNSUPPORTED && strstr(text, "missing"))
        ot_tool_advice("`onnxtune show MODEL` lists the layers; these operators are not in this version");
    if (st == OT_ENOGRAD)
        ot_tool_advice("freeze the layers before it with --freeze-to, or cut them off with `onnxtune surgery`");
    if (st == OT_ENOMEM)
        ot_tool_advice("a smaller batch takes less memory; --memory SIZE is the cap");
    return st == OT_EARG ? OT_EXIT_USAGE : OT_EXIT_FAILED;
}

static void *must(void *p)
{
    if (p)
        return p;
    ot_tool_error("out of memory");
    exit(OT_EXIT_FAILED);
}

void *ot_tool_calloc(size_t n, size_t size)
{
    return must(calloc(n ? n : 1, size));
}

void *ot_tool_grow(void *p, size_t n, size_t size)
{
    char *q = must(realloc(p, (n + 1) * size));
    memset(q + n * size, 0, size);
    return q;
}

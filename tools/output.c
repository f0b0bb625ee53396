#include "output.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool ot_colour(FILE *f)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(f)) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* ---- Tables ------------------------------------------------------------------------------------------------- */

struct ot_table {
    const char *columns;
    size_t n_columns, n;
    char **cell;
};

ot_table *ot_table_open(const char *columns)
{
    ot_table *t = ot_tool_calloc(1, sizeof(*t));
    t->columns = columns;
    t->n_columns = strlen(columns);
    return t;
}

void ot_table_cell(ot_table *t, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    t->cell = ot_tool_grow(t->cell, t->n, sizeof(*t->cell));
    t->cell[t->n] = ot_tool_calloc(strlen(text) + 1, 1);
    strcpy(t->cell[t->n++], text);
}

/* Characters of a UTF-8 text, as a terminal shows them but for wide ones. */
static size_t width_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static void print_cell(const char *s, char side, size_t width, bool last)
{
    size_t pad = width - width_of(s);
    if (side == 'r')
        printf("%*s%s", (int)pad, "", s);
    else
        printf("%s%*s", s, last ? 0 : (int)pad, "");
    fputs(last ? "\n" : "  ", stdout);
}

void ot_table_print(ot_table *t)
{
    size_t *width = ot_tool_calloc(t->n_columns, sizeof(*width));
    bool bold = ot_colour(stdout);
    for (size_t i = 0; i < t->n; i++) {
        size_t w = width_of(t->cell[i]);
        if (w > width[i % t->n_columns])
            width[i % t->n_columns] = w;
    }
    for (size_t i = 0; i < t->n; i++) {
        size_t c = i % t->n_columns;
        if (i == 0 && bold)
            fputs("\033[1m", stdout);
        print_cell(t->cell[i], t->columns[c], width[c], c + 1 == t->n_columns);
        if (i + 1 == t->n_columns && bold)
            fputs("\033[0m", stdout);
    }
    for (size_t i = 0; i < t->n; i++)
        free(t->cell[i]);
    free(t->cell);
    free(width);
    free(t);
}

/* ---- JSON --------------------------------------------------------------------------------------------------- */

bool ot_print_json(json_t *v)
{
    bool ok = v && json_dumpf(v, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 && putchar('\n') != EOF &&
              fflush(stdout) == 0;
    json_decref(v);
    if (!ok)
        ot_tool_error("the JSON result could not be written");
    return ok;
}

json_t *ot_json_real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *ot_json_dims(const ot_tensor *t)
{
    json_t *a = json_array();
    for (int i = 0; i < t->rank; i++)
        json_array_append_new(a, json_integer(t->dim[i]));
    return a;
}

json_t *ot_json_text(const char *s)
{
    json_t *v = json_string(s);
    if (v)
        return v;
    char *copy = ot_tool_calloc(strlen(s) + 1, 1);
    for (size_t i = 0; s[i]; i++)
        copy[i] = (unsigned char)s[i] < 0x80 ? s[i] : '?';
    v = json_string(copy);
    free(copy);
    return v;
}

/* ---- Numbers for people ------------------------------------------------------------------------------------- */

#define TEXT 64

static char *next_text(void)
{
    static char ring[8][TEXT];
    static unsigned at;
    return ring[at++ % 8];
}

const char *ot_bytes_text(double bytes)
{
    static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB" };
    char *s = next_text();
    int u = 0;
    for (; bytes >= 999.5 && u < 4; u++)
        bytes /= 1000;
    snprintf(s, TEXT, u && bytes < 99.95 ? "%.1f %s" : "%.0f %s", bytes, units[u]);
    return s;
}

const char *ot_count_text(int64_t n)
{
    char digits[32], *s = next_text(), *w = s;
    snprintf(digits, sizeof(digits), "%lld", (long long)n);
    for (size_t i = 0, len = strlen(digits); i < len; i++) {
        *w++ = digits[i];
        if (digits[i] != '-' && i + 1 < len && (len - i - 1) % 3 == 0)
            *w++ = ',';
    }
    *w = 0;
    return s;
}

const char *ot_time_text(double seconds)
{
    char *s = next_text();
    long long t = seconds < 0 || !isfinite(seconds) ? 0 : (long long)(seconds + 0.5);
    if (t < 3600)
        snprintf(s, TEXT, "%lld:%02lld", t / 60, t % 60);
    else
        snprintf(s, TEXT, "%lld:%02lld:%02lld", t / 3600, t / 60 % 60, t % 60);
    return s;
}

const char *ot_dims_text_of(const ot_tensor *t)
{
    char *s = next_text();
    size_t n = 0;
    snprintf(s, TEXT, t->rank < 0 ? "any" : "scalar");
    for (int i = 0; i < t->rank && n < TEXT; i++)
        n += (size_t)snprintf(s + n, TEXT - n, t->dim[i] < 0 ? "%s?" : "%s%lld", i ? "x" : "", (long long)t->dim[i]);
    return s;
}

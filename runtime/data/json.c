#include "data/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DEPTH 32

ot_status ot_json_fail(const ot_json *j, const char *what)
{
    return ot_fail(OT_EDATA, "json: expected %s at byte %lld", what, (long long)(j->p - j->start));
}

static void skip_space(ot_json *j)
{
    while (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r')
        j->p++;
}

bool ot_json_take(ot_json *j, char c)
{
    skip_space(j);
    if (*j->p != c)
        return false;
    j->p++;
    return true;
}

ot_status ot_json_end(ot_json *j)
{
    skip_space(j);
    return *j->p ? ot_json_fail(j, "the end") : OT_OK;
}

/* ---- Strings ----------------------------------------------------------------------------------------------- */

static bool hex4(ot_json *j, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, j->p++) {
        char c = *j->p;
        uint32_t v = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                            : 16;
        if (v == 16)
            return false;
        *out = *out << 4 | v;
    }
    return true;
}

static size_t utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)((0xF00 >> n & 0xFF) | c);
    return n;
}

/* What follows a backslash, as UTF-8 in out[4]; 0: it is no escape. */
static size_t escape(ot_json *j, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t c, low;
    char e = *j->p++;
    if (!e) {
        j->p--;
        return 0;
    }
    const char *at = strchr(from, e);
    if (at) {
        *out = to[at - from];
        return 1;
    }
    if (e != 'u' || !hex4(j, &c) || c == 0 || (c >= 0xDC00 && c < 0xE000))
        return 0;
    if (c >= 0xD800 && c < 0xDC00) { /* the first half of a pair */
        if (j->p[0] != '\\' || j->p[1] != 'u')
            return 0;
        j->p += 2;
        if (!hex4(j, &low) || low < 0xDC00 || low >= 0xE000)
            return 0;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    return utf8(out, c);
}

ot_status ot_json_string(ot_json *j, char *out, size_t room)
{
    if (!ot_json_take(j, '"'))
        return ot_json_fail(j, "a string");
    for (size_t n = 0;;) {
        char text[4] = { 0 };
        size_t k = 1;
        if (*j->p == '"') {
            j->p++;
            out[n] = 0;
            return OT_OK;
        }
        if ((unsigned char)*j->p < ' ')
            return ot_json_fail(j, "the end of a string");
        text[0] = *j->p++;
        if (text[0] == '\\' && !(k = escape(j, text)))
            return ot_json_fail(j, "an escape");
        if (n + k >= room)
            return ot_json_fail(j, "a shorter string");
        memcpy(out + n, text, k);
        n += k;
    }
}

/* Bytes of the UTF-8 sequence at s; 0: there is none. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : (s[0] & 0xF0) == 0xE0 ? 3 : 0;
    if (s[0] >= 0xF0 && s[0] < 0xF5)
        n = 4;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if (n == 3 && ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] >= 0xA0)))
        return 0; /* too long a form, or half of a pair */
    return n == 4 && ((s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] >= 0x90)) ? 0 : n;
}

size_t ot_json_quote(char *out, const char *s)
{
    size_t n = 0;
    char text[8];
    for (int part = 0; part < 3; part++) /* the quote, the text, the quote */
        for (const char *p = part == 1 ? s : "\""; *p;) {
            size_t k = utf8_length((const unsigned char *)p), m = k;
            if (part == 1 && ((unsigned char)*p < ' ' || *p == '"' || *p == '\\'))
                m = (size_t)snprintf(text, sizeof(text), "\\u%04x", (unsigned)(unsigned char)*p);
            else if (k)
                memcpy(text, p, k);
            else
                text[0] = '?';
            m = m ? m : 1;
            if (out)
                memcpy(out + n, text, m);
            n += m;
            p += k ? k : 1;
        }
    return n;
}

/* ---- Numbers and the rest ---------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Not by strtod, which asks the locale for the point. */
ot_status ot_json_number(ot_json *j, double *out)
{
    skip_space(j);
    bool minus = *j->p == '-';
    double v = 0;
    int places = 0, digits = 0, power = 0;
    j->p += minus;
    for (bool point = false; is_digit(*j->p) || (*j->p == '.' && !point); j->p++) {
        if (*j->p == '.') {
            point = true;
            continue;
        }
        digits++;
        if (v < 1e17) {
            v = v * 10 + (*j->p - '0');
            places += point;
        } else {
            places -= !point;
        }
    }
    if (!digits)
        return ot_json_fail(j, "a number");
    if (*j->p == 'e' || *j->p == 'E') {
        j->p++;
        bool down = *j->p == '-';
        j->p += *j->p == '-' || *j->p == '+';
        if (!is_digit(*j->p))
            return ot_json_fail(j, "an exponent");
        for (; is_digit(*j->p); j->p++)
            power = power < 10000 ? power * 10 + (*j->p - '0') : power;
        power = down ? -power : power;
    }
    power -= places;
    v = power < 0 ? v / pow(10, -power) : v * pow(10, power);
    *out = minus ? -v : v;
    return OT_OK;
}

static ot_status skip_string(ot_json *j)
{
    if (!ot_json_take(j, '"'))
        return ot_json_fail(j, "a string");
    while (*j->p != '"') {
        if ((unsigned char)*j->p < ' ')
            return ot_json_fail(j, "the end of a string");
        j->p += *j->p == '\\' && j->p[1] ? 2 : 1;
    }
    j->p++;
    return OT_OK;
}

static ot_status skip(ot_json *j, int depth)
{
    static const char *const words[] = { "true", "false", "null" };
    double number;
    skip_space(j);
    char open = *j->p, close = open == '{' ? '}' : ']';
    if (open == '"')
        return skip_string(j);
    for (int i = 0; i < 3; i++)
        if (strncmp(j->p, words[i], strlen(words[i])) == 0) {
            j->p += strlen(words[i]);
            return OT_OK;
        }
    if (open != '{' && open != '[')
        return ot_json_number(j, &number);
    j->p++;
    if (ot_json_take(j, close))
        return OT_OK;
    if (depth == DEPTH)
        return ot_json_fail(j, "less depth");
    do {
        if (open == '{') {
            OT_TRY(skip_string(j));
            if (!ot_json_take(j, ':'))
                return ot_json_fail(j, "':'");
        }
        OT_TRY(skip(j, depth + 1));
    } while (ot_json_take(j, ','));
    return ot_json_take(j, close) ? OT_OK : ot_json_fail(j, "',' or the end of a list");
}

ot_status ot_json_skip(ot_json *j)
{
    return skip(j, 0);
}

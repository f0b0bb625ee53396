/* What a model says of its input and its classes: the metadata "onnxtune.input" and "onnxtune.labels". */
#include "base/file.h"
#include "data/json.h"
#include "data/preprocess.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_LABELS     1000000
#define MAX_LABEL_FILE ((size_t)1 << 28)

/* ---- onnxtune.input ---------------------------------------------------------------------------------------- */

static ot_status read_three(ot_json *j, float out[3])
{
    double v;
    if (!ot_json_take(j, '['))
        return ot_json_fail(j, "a list of three numbers");
    for (int c = 0; c < 3; c++) {
        if (c && !ot_json_take(j, ','))
            return ot_json_fail(j, "a list of three numbers");
        OT_TRY(ot_json_number(j, &v));
        out[c] = (float)v;
    }
    return ot_json_take(j, ']') ? OT_OK : ot_json_fail(j, "the end of three numbers");
}

/* One of two words; *second says which. */
static ot_status read_word(ot_json *j, const char *key, const char *one, const char *two, bool *second)
{
    char word[16];
    OT_TRY(ot_json_string(j, word, sizeof(word)));
    *second = strcmp(word, two) == 0;
    if (!*second && strcmp(word, one))
        return ot_fail(OT_EDATA, "%s is '%s', neither %s nor %s", key, word, one, two);
    return OT_OK;
}

static ot_status read_whole(ot_json *j, int64_t *out)
{
    double v;
    OT_TRY(ot_json_number(j, &v));
    if (!(v >= 0 && v <= 1e6) || v != (double)(int64_t)v)
        return ot_fail(OT_EDATA, "json: %g is no whole number from 0 to a million", v);
    *out = (int64_t)v;
    return OT_OK;
}

static ot_status read_field(ot_json *j, ot_image_spec *s)
{
    char key[64];
    double v;
    OT_TRY(ot_json_string(j, key, sizeof(key)));
    if (!ot_json_take(j, ':'))
        return ot_json_fail(j, "':'");
    if (strcmp(key, "size") == 0)
        return read_whole(j, &s->size);
    if (strcmp(key, "resize") == 0)
        return read_whole(j, &s->resize);
    if (strcmp(key, "mean") == 0)
        return read_three(j, s->mean);
    if (strcmp(key, "std") == 0)
        return read_three(j, s->std);
    if (strcmp(key, "channels") == 0)
        return read_word(j, key, "rgb", "bgr", &s->bgr);
    if (strcmp(key, "layout") == 0)
        return read_word(j, key, "nchw", "nhwc", &s->nhwc);
    if (strcmp(key, "range"))
        return ot_json_skip(j); /* a later version's */
    OT_TRY(ot_json_number(j, &v));
    s->range = (float)v;
    return OT_OK;
}

ot_status ot_image_spec_parse(ot_image_spec *spec, const char *json)
{
    ot_json j = { json, json };
    ot_image_spec s = *spec;
    if (!ot_json_take(&j, '{'))
        return ot_json_fail(&j, "'{'");
    if (!ot_json_take(&j, '}')) {
        do
            OT_TRY(read_field(&j, &s));
        while (ot_json_take(&j, ','));
        if (!ot_json_take(&j, '}'))
            return ot_json_fail(&j, "'}'");
    }
    OT_TRY(ot_json_end(&j));
    if (ot_image_spec_check(&s) != OT_OK)
        return OT_EDATA; /* the text stays */
    *spec = s;
    return OT_OK;
}

/* Nine digits give a float back exactly; the locale may write a comma as the point. */
static const char *number(char text[32], float v)
{
    snprintf(text, 32, "%.9g", (double)v);
    char *comma = strchr(text, ',');
    if (comma)
        *comma = '.';
    return text;
}

ot_status ot_image_spec_text(char **out, const ot_image_spec *s)
{
    char n[7][32], text[512];
    *out = NULL;
    OT_TRY(ot_image_spec_check(s));
    for (int c = 0; c < 3; c++) {
        number(n[c], s->mean[c]);
        number(n[3 + c], s->std[c]);
    }
    snprintf(text, sizeof(text),
             "{\"size\": %" PRId64 ", \"resize\": %" PRId64 ", \"mean\": [%s, %s, %s], \"std\": [%s, %s, %s], "
             "\"channels\": \"%s\", \"range\": %s, \"layout\": \"%s\"}",
             s->size, ot_image_spec_resize(s), n[0], n[1], n[2], n[3], n[4], n[5], s->bgr ? "bgr" : "rgb",
             number(n[6], s->range), s->nhwc ? "nhwc" : "nchw");
    *out = ot_strdup(text);
    return *out ? OT_OK : OT_ENOMEM;
}

/* ---- onnxtune.labels --------------------------------------------------------------------------------------- */

ot_status ot_labels_text(char **out, const char *const *names, int64_t n)
{
    size_t bytes = 3, at = 0;
    for (int64_t i = 0; i < n; i++)
        bytes += ot_json_quote(NULL, names[i]) + 2;
    char *text = *out = ot_malloc(bytes, 1);
    if (!text)
        return OT_ENOMEM;
    text[at++] = '[';
    for (int64_t i = 0; i < n; i++) {
        if (i) {
            text[at++] = ',';
            text[at++] = ' ';
        }
        at += ot_json_quote(text + at, names[i]);
    }
    text[at++] = ']';
    text[at] = 0;
    return OT_OK;
}

static ot_status add_label(ot_labels *l, int64_t *cap, const char *name)
{
    if (l->n == MAX_LABELS)
        return ot_fail(OT_EDATA, "more than %d labels", MAX_LABELS);
    OT_TRY(ot_grow(&l->name, l->n, cap, sizeof(*l->name)));
    if (!(l->name[l->n] = ot_strdup(name)))
        return OT_ENOMEM;
    l->n++;
    return OT_OK;
}

static ot_status parse_labels(ot_labels *l, const char *json)
{
    char name[1024];
    int64_t cap = 0;
    ot_json j = { json, json };
    if (!ot_json_take(&j, '['))
        return ot_json_fail(&j, "'['");
    if (!ot_json_take(&j, ']')) {
        do {
            OT_TRY(ot_json_string(&j, name, sizeof(name)));
            OT_TRY(add_label(l, &cap, name));
        } while (ot_json_take(&j, ','));
        if (!ot_json_take(&j, ']'))
            return ot_json_fail(&j, "']'");
    }
    return ot_json_end(&j);
}

/* One a line; a line's end may be CR LF, empty lines at the end of the text do not count. */
static ot_status split_lines(ot_labels *l, char *text)
{
    int64_t cap = 0;
    for (size_t n = strlen(text); n && (text[n - 1] == '\n' || text[n - 1] == '\r');)
        text[--n] = 0;
    while (*text) {
        char *end = text + strcspn(text, "\n"), *next = *end ? end + 1 : end;
        *end = 0;
        if (end > text && end[-1] == '\r')
            end[-1] = 0;
        OT_TRY(add_label(l, &cap, text));
        text = next;
    }
    return OT_OK;
}

ot_status ot_labels_parse(ot_labels **out, const char *json)
{
    *out = NULL;
    ot_labels *l = ot_calloc(1, sizeof(*l));
    ot_status st = l ? parse_labels(l, json) : OT_ENOMEM;
    if (st != OT_OK)
        ot_labels_free(l);
    else
        *out = l;
    return st;
}

ot_status ot_labels_read(ot_labels **out, const char *path)
{
    uint8_t *bytes;
    size_t n;
    *out = NULL;
    OT_TRY(ot_file_read(&bytes, &n, path, MAX_LABEL_FILE));
    ot_labels *l = ot_calloc(1, sizeof(*l));
    char *text = (char *)bytes;
    ot_status st = l ? OT_OK : OT_ENOMEM;
    if (st == OT_OK && strlen(text) != n)
        st = ot_fail(OT_EDATA, "no text: a zero byte at %zu", strlen(text));
    if (st == OT_OK)
        st = text[strspn(text, " \t\r\n")] == '[' ? parse_labels(l, text) : split_lines(l, text);
    ot_free(bytes);
    if (st != OT_OK) {
        ot_labels_free(l);
        return ot_context(st, "%s", path);
    }
    *out = l;
    return OT_OK;
}

void ot_labels_free(ot_labels *l)
{
    if (!l)
        return;
    for (int64_t i = 0; i < l->n; i++)
        ot_free(l->name[i]);
    ot_free(l->name);
    ot_free(l);
}

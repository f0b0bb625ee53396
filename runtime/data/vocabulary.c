#include "data/vocabulary.h"
#include "data/utf8.h"

#include <stdlib.h>
#include <string.h>

#define MOST  0x110000
#define UNK   "<unk>"
#define PAD   "<pad>"
#define MARKS 2

/* The one character that a name is; false: it is a mark. */
static bool one_character(uint32_t *out, const char *name)
{
    size_t n = strlen(name);
    return n > 0 && ot_utf8_decode(out, (const uint8_t *)name, n) == n;
}

typedef struct entry {
    uint32_t code;
    int32_t id;
} entry;

static int by_code(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->code < y->code ? -1 : x->code > y->code;
}

/* The index by code, from the names. */
static ot_status index_names(ot_vocabulary *v)
{
    int64_t n = 0;
    v->n = v->names->n;
    v->unk = -1;
    entry *e = ot_calloc((size_t)v->n + 1, sizeof(*e));
    v->code = ot_calloc((size_t)v->n + 1, sizeof(*v->code));
    v->id = ot_calloc((size_t)v->n + 1, sizeof(*v->id));
    if (!e || !v->code || !v->id) {
        ot_free(e);
        return OT_ENOMEM;
    }
    for (int64_t i = 0; i < v->n; i++) {
        if (one_character(&e[n].code, v->names->name[i]))
            e[n++].id = (int32_t)i;
        else if (strcmp(v->names->name[i], UNK) == 0)
            v->unk = i;
    }
    v->marks = v->n - n;
    qsort(e, (size_t)n, sizeof(*e), by_code);
    ot_status st = n ? OT_OK : ot_fail(OT_EDATA, "the vocabulary has no characters");
    for (int64_t i = 0; i < n; i++) {
        v->code[i] = e[i].code;
        v->id[i] = e[i].id;
        if (i > 0 && e[i].code == e[i - 1].code)
            st = ot_fail(OT_EDATA, "the vocabulary has the character U+%04X twice", (unsigned)e[i].code);
    }
    ot_free(e);
    return st;
}

static ot_status settle(ot_vocabulary *v, ot_status st)
{
    if (st == OT_OK)
        st = index_names(v);
    if (st != OT_OK)
        ot_vocabulary_release(v);
    return st;
}

ot_status ot_vocabulary_parse(ot_vocabulary *out, const char *json)
{
    *out = (ot_vocabulary){ 0 };
    return settle(out, ot_labels_parse(&out->names, json));
}

static ot_status add_name(ot_labels *l, const char *name, size_t n)
{
    l->name[l->n] = ot_strndup(name, n);
    return l->name[l->n++] ? OT_OK : OT_ENOMEM;
}

static ot_status name_all(ot_labels *l, const int64_t *count, int64_t min_count)
{
    int64_t kept = 0;
    for (uint32_t c = 0; c < MOST; c++)
        kept += count[c] >= min_count;
    if (kept == 0)
        return ot_fail(OT_EDATA, "no character is there %lld times", (long long)min_count);
    l->name = ot_calloc((size_t)kept + MARKS, sizeof(*l->name));
    if (!l->name)
        return OT_ENOMEM;
    if (min_count > 1)
        OT_TRY(add_name(l, UNK, strlen(UNK)));
    OT_TRY(add_name(l, PAD, strlen(PAD)));
    for (uint32_t c = 0; c < MOST; c++) {
        char text[4];
        if (count[c] >= min_count)
            OT_TRY(add_name(l, text, ot_utf8_encode(text, c)));
    }
    return OT_OK;
}

ot_status ot_vocabulary_make(ot_vocabulary *out, const uint32_t *text, int64_t n, int64_t min_count)
{
    *out = (ot_vocabulary){ 0 };
    int64_t *count = ot_calloc(MOST, sizeof(*count));
    out->names = ot_calloc(1, sizeof(*out->names));
    ot_status st = count && out->names ? OT_OK : OT_ENOMEM;
    for (int64_t i = 0; i < n && st == OT_OK; i++)
        count[text[i]]++;
    if (st == OT_OK)
        st = name_all(out->names, count, min_count);
    ot_free(count);
    return settle(out, st);
}

ot_status ot_vocabulary_text(char **out, const ot_vocabulary *v)
{
    return ot_labels_text(out, (const char *const *)v->names->name, v->n);
}

int64_t ot_vocabulary_find(const ot_vocabulary *v, uint32_t c)
{
    int64_t low = 0, high = v->n - v->marks;
    while (low < high) {
        int64_t mid = (low + high) / 2;
        if (v->code[mid] < c)
            low = mid + 1;
        else
            high = mid;
    }
    return low < v->n - v->marks && v->code[low] == c ? v->id[low] : v->unk;
}

void ot_vocabulary_release(ot_vocabulary *v)
{
    ot_labels_free(v->names);
    ot_free(v->code);
    ot_free(v->id);
    *v = (ot_vocabulary){ 0 };
}

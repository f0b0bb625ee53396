/* What number a character has.  In a model it is the metadata "onnxtune.vocab": a JSON list of strings by number, each
 * a character or one of the marks <unk> (any character that is not in the list) and <pad>; others are never read. */
#ifndef OT_DATA_VOCABULARY_H
#define OT_DATA_VOCABULARY_H

#include "base/alloc.h"

typedef struct ot_vocabulary {
    int64_t n, marks;
    ot_labels *names; /* [n] */
    uint32_t *code;   /* the characters in rising order, [n - marks] */
    int32_t *id;      /* and their numbers */
    int64_t unk;      /* -1: there is none */
} ot_vocabulary;

/* The characters that are there min_count times or more, by code point, behind <unk> (when some may be left out) and
 * <pad>. */
ot_status ot_vocabulary_make(ot_vocabulary *out, const uint32_t *text, int64_t n, int64_t min_count);
/* OT_EDATA: no list of strings, a character twice, none at all. */
ot_status ot_vocabulary_parse(ot_vocabulary *out, const char *json);
/* As JSON; ot_text_free. */
ot_status ot_vocabulary_text(char **out, const ot_vocabulary *v);
/* The number of a character, that of <unk> where it is not known; -1: there is no such number. */
int64_t ot_vocabulary_find(const ot_vocabulary *v, uint32_t c);
void ot_vocabulary_release(ot_vocabulary *v);

#endif

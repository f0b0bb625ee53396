/* A reader for the small JSON texts in a model's metadata: no tree, the caller walks.  The text ends with a 0 byte. */
#ifndef OT_DATA_JSON_H
#define OT_DATA_JSON_H

#include "base/alloc.h"

typedef struct ot_json {
    const char *start, *p; /* p: what comes next */
} ot_json;

/* Skips white space and takes one character if it is there. */
bool ot_json_take(ot_json *j, char c);
/* A string into out, as UTF-8 with a 0 byte at the end, which room includes.  OT_EDATA: no string, or too long. */
ot_status ot_json_string(ot_json *j, char *out, size_t room);
ot_status ot_json_number(ot_json *j, double *out);
/* Skips a value of any kind, of a nesting depth up to 32. */
ot_status ot_json_skip(ot_json *j);
/* OT_EDATA unless only white space is left. */
ot_status ot_json_end(ot_json *j);
/* OT_EDATA with the place: "expected WHAT at byte N". */
ot_status ot_json_fail(const ot_json *j, const char *what);

/* The bytes that s takes as a JSON string with its quotes, without a 0 byte; out may be NULL to only count.  Bytes
 * that are no UTF-8 become '?'. */
size_t ot_json_quote(char *out, const char *s);

#endif

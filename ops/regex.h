/* Regular expressions in the syntax of RE2, without its Unicode classes (\p), single bytes (\C), and (?i) beside
 * characters beyond ASCII.  The time of a match is at most the length of the text times that of the program. */
#ifndef OT_OPS_REGEX_H
#define OT_OPS_REGEX_H

#include "op.h"

typedef struct ot_regex ot_regex;

/* OT_EMODEL where the pattern is not well formed, OT_EUNSUPPORTED where it is too large or says what is not here. */
ot_status ot_regex_create(ot_regex **out, const char *pattern);
void ot_regex_close(ot_regex *r);
/* Does the pattern match the whole text?  room: ot_regex_room bytes, aligned for int32_t; one caller each. */
size_t ot_regex_room(const ot_regex *r);
bool ot_regex_matches(const ot_regex *r, const char *text, size_t n, void *room);

#endif

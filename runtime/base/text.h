/* A text that grows as it is written. */
#ifndef OT_BASE_TEXT_H
#define OT_BASE_TEXT_H

#include "base/alloc.h"

typedef struct ot_text_buf {
    char *s; /* ends with a NUL once something was written; ot_free */
    size_t n, cap;
    bool failed; /* memory ran out: what follows is dropped */
} ot_text_buf;   /* all zero is an empty text */

void ot_text_put(ot_text_buf *t, const char *fmt, ...) OT_PRINTF(2, 3);
/* Hands the text over, "" at least; OT_ENOMEM when memory ran out on the way. */
ot_status ot_text_take(char **out, ot_text_buf *t);

#endif

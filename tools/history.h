/* What happened in a training run, epoch by epoch. */
#ifndef OT_TOOLS_HISTORY_H
#define OT_TOOLS_HISTORY_H

#include "tool.h"

#include <jansson.h>

typedef struct ot_history {
    ot_event *row; /* the events that ended epochs */
    size_t n;
} ot_history;

void ot_history_add(ot_history *h, const ot_event *e);
/* As CSV, with a heading. */
ot_status ot_history_write(const ot_history *h, const char *path);
json_t *ot_history_json(const ot_history *h, const char *model);

#endif

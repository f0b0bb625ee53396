/* The progress of long work, on stderr: one line that is rewritten in place on a terminal, else a plain line at
 * sensible steps.  Nothing under --quiet. */
#ifndef OT_TOOLS_PROGRESS_H
#define OT_TOOLS_PROGRESS_H

#include "tool.h"

typedef struct ot_progress_state {
    const char *what;    /* "epoch 1/7", "checking pictures" */
    int64_t done, total; /* of the whole work */
    double loss, lr;     /* NaN: not shown */
    bool changed;        /* `what` is new: shown at once on a terminal */
} ot_progress_state;

/* Shows it, at most ten times a second on a terminal; in a pipe when a tenth of the work is done since the last line
 * and a second has passed, and at the end of work that took that long.  The time left is from the speed since the work
 * began. */
void ot_progress_show(const ot_progress_state *p);
/* Begins the clock anew: before other work. */
void ot_progress_begin(void);
/* Takes the line off the terminal, so that something else may be printed; the next show brings it back. */
void ot_progress_clear(void);

#endif

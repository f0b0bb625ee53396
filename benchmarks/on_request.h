/* What the programs share that a script asks for one run or step at a time. */
#ifndef OT_BENCHMARKS_ON_REQUEST_H
#define OT_BENCHMARKS_ON_REQUEST_H

#include "onnxtune.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static inline void need(ot_status st)
{
    if (st == OT_OK)
        return;
    fprintf(stderr, "%s\n", ot_last_error());
    exit(1);
}

/* Waits for a line before each batch, false at the end of input; prints "ready" after the first step, then the
 * milliseconds of each.  ctx: a double, when the step began. */
static inline bool step_on_request(void *ctx, const ot_event *e)
{
    double *start = ctx;
    if (e->kind == OT_BATCH_END && e->step == 1)
        printf("ready\n");
    else if (e->kind == OT_BATCH_END)
        printf("%.4f\n", now_ms() - *start);
    fflush(stdout);
    if (e->kind != OT_BATCH_BEGIN)
        return true;
    for (int c = e->step > 0 ? getchar() : '\n'; c != '\n'; c = getchar())
        if (c == EOF)
            return false;
    *start = now_ms();
    return true;
}

/* Runs s on x once for every line that comes and prints the milliseconds. */
static inline void run_on_request(ot_session *s, const ot_tensor *x, int64_t n)
{
    for (int c; (c = getchar()) != EOF;) {
        if (c != '\n')
            continue;
        const double t = now_ms();
        need(ot_session_run(s, x, n));
        printf("%.4f\n", now_ms() - t);
        fflush(stdout);
    }
}

#endif

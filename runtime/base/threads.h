/* A small pool of threads.  Work is cut into blocks by the caller, from shapes only; who computes which block never
 * changes a result.  Blocks are handed out one by one.  A thread without work looks for more for some microseconds and
 * then sleeps; nobody waits for a thread that the system has not yet let run. */
#ifndef OT_BASE_THREADS_H
#define OT_BASE_THREADS_H

#include "base/alloc.h"

typedef struct ot_threads ot_threads;

/* Computes one block; worker is 0 .. ot_threads_count-1, no two at once with the same number. */
typedef void ot_task(void *ctx, int64_t block, int worker);

/* n threads in all, the caller's included; n <= 0: the physical cores that this process may use. */
ot_status ot_threads_create(ot_threads **out, int n);
void ot_threads_close(ot_threads *t);
int ot_threads_count(const ot_threads *t); /* 1 for NULL */
/* Runs fn for blocks 0 .. blocks-1 and waits for all; t == NULL runs them here.  Not re-entrant. */
void ot_threads_run(ot_threads *t, int64_t blocks, ot_task *fn, void *ctx);
/* The physical cores that this process may use: hyper-threads of a core count once. */
int ot_physical_cores(void);

#endif

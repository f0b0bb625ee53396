/* Memory: every allocation of the library goes through here, so that it is counted and can be told to fail.
 * Products of sizes are checked.  All functions return NULL with the error text set when memory runs out. */
#ifndef OT_BASE_ALLOC_H
#define OT_BASE_ALLOC_H

#include "base/error.h"

/* n * size bytes, zeroed, aligned to 64 bytes.  A request of zero bytes gives a valid pointer. */
void *ot_calloc(size_t n, size_t size);
/* The same, not zeroed. */
void *ot_malloc(size_t n, size_t size);
/* Grows (or shrinks) p to n * size bytes; on failure p is still valid. */
void *ot_realloc(void *p, size_t n, size_t size);
void ot_free(void *p);
char *ot_strdup(const char *s);
char *ot_strndup(const char *s, size_t n);

/* a * b into *out; false when it does not fit. */
bool ot_mul(size_t *out, size_t a, size_t b);
bool ot_add(size_t *out, size_t a, size_t b);

/* Makes room for one more element in a growing array of `size`-byte elements: *p holds n, has room for *cap. */
ot_status ot_grow(void *p, int64_t n, int64_t *cap, size_t size);

/* For tests, process-wide: blocks alive now; allocations made so far; let the n-th from now on fail (and all after
 * it), negative = never. */
int64_t ot_live_blocks(void);
int64_t ot_alloc_count(void);
void ot_fail_alloc_after(int64_t n);

#endif

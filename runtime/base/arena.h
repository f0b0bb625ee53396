/* A bump allocator: many small objects that die together (a graph's nodes, names, attributes). */
#ifndef OT_BASE_ARENA_H
#define OT_BASE_ARENA_H

#include "base/alloc.h"

typedef struct ot_arena {
    struct ot_arena_chunk *chunks;
} ot_arena; /* all zero is an empty arena */

/* n * size zeroed bytes, aligned to 16 (64 when 64 bytes or more); NULL with the error set when memory runs out. */
void *ot_arena_calloc(ot_arena *a, size_t n, size_t size);
void *ot_arena_memdup(ot_arena *a, const void *p, size_t bytes);
char *ot_arena_strdup(ot_arena *a, const char *s);
char *ot_arena_printf(ot_arena *a, const char *fmt, ...) OT_PRINTF(2, 3);
void ot_arena_release(ot_arena *a);

#endif

#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHUNK 16384

struct ot_arena_chunk {
    struct ot_arena_chunk *next;
    size_t used, size; /* bytes of this struct and what follows it */
};

void *ot_arena_calloc(ot_arena *a, size_t n, size_t size)
{
    size_t bytes, want;
    if (!ot_mul(&bytes, n, size) || !ot_add(&want, bytes, CHUNK)) {
        ot_fail(OT_ENOMEM, "out of memory: %zu elements of %zu bytes", n, size);
        return NULL;
    }
    size_t align = bytes >= 64 ? 64 : 16;
    struct ot_arena_chunk *c = a->chunks;
    size_t at = c ? (c->used + align - 1) / align * align : 0;
    if (!c || at + bytes > c->size) {
        want = bytes + 64 > CHUNK ? bytes + 64 : CHUNK;
        c = ot_malloc(want, 1);
        if (!c)
            return NULL;
        *c = (struct ot_arena_chunk){ .next = a->chunks, .used = sizeof(*c), .size = want };
        a->chunks = c;
        at = (c->used + align - 1) / align * align;
    }
    void *p = (char *)c + at;
    c->used = at + bytes;
    memset(p, 0, bytes);
    return p;
}

void *ot_arena_memdup(ot_arena *a, const void *p, size_t bytes)
{
    void *q = ot_arena_calloc(a, bytes, 1);
    if (q && bytes)
        memcpy(q, p, bytes);
    return q;
}

char *ot_arena_strdup(ot_arena *a, const char *s)
{
    return ot_arena_memdup(a, s, strlen(s) + 1);
}

char *ot_arena_printf(ot_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = ot_arena_calloc(a, (size_t)n + 1, 1);
    if (!p)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

void ot_arena_release(ot_arena *a)
{
    while (a->chunks) {
        struct ot_arena_chunk *c = a->chunks;
        a->chunks = c->next;
        ot_free(c);
    }
}

#define _DEFAULT_SOURCE /* madvise */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN 64 /* one cache line, one AVX-512 vector; the header in front of a block takes as much */

#define HUGE_PAGE ((size_t)2 << 20)

/* Large blocks (packed weights, activations) ask for huge pages: reading them in order is up to twice as fast. */
static void *aligned(size_t bytes)
{
    if (bytes < 2 * HUGE_PAGE)
        return aligned_alloc(ALIGN, bytes / ALIGN * ALIGN);
    void *p = NULL;
    if (posix_memalign(&p, HUGE_PAGE, bytes)) /* aligned_alloc takes multiples of the alignment only */
        return NULL;
#ifdef MADV_HUGEPAGE
    madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* a wish: what becomes of it does not matter */
#endif
    return p;
}

typedef struct header {
    size_t bytes;
} header;

static atomic_llong live, made;
static atomic_llong fail_after = -1;

static bool told_to_fail(void)
{
    long long left = atomic_load(&fail_after);
    while (left > 0)
        if (atomic_compare_exchange_weak(&fail_after, &left, left - 1))
            return false;
    return left == 0;
}

bool ot_mul(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool ot_add(size_t *out, size_t a, size_t b)
{
    return !__builtin_add_overflow(a, b, out);
}

void *ot_malloc(size_t n, size_t size)
{
    size_t bytes, total;
    if (!ot_mul(&bytes, n, size) || !ot_add(&total, bytes, 2 * ALIGN)) {
        ot_fail(OT_ENOMEM, "out of memory: %zu elements of %zu bytes", n, size);
        return NULL;
    }
    char *base = told_to_fail() ? NULL : aligned(total);
    if (!base) {
        ot_fail(OT_ENOMEM, "out of memory: %zu bytes", bytes);
        return NULL;
    }
    atomic_fetch_add(&made, 1);
    atomic_fetch_add(&live, 1);
    ((header *)base)->bytes = bytes;
    return base + ALIGN;
}

void *ot_calloc(size_t n, size_t size)
{
    void *p = ot_malloc(n, size);
    if (p)
        memset(p, 0, n * size);
    return p;
}

void *ot_realloc(void *p, size_t n, size_t size)
{
    void *q = ot_malloc(n, size);
    if (q && p) {
        size_t old = ((header *)((char *)p - ALIGN))->bytes, want = n * size;
        memcpy(q, p, old < want ? old : want);
        ot_free(p);
    }
    return q;
}

void ot_free(void *p)
{
    if (!p)
        return;
    atomic_fetch_sub(&live, 1);
    free((char *)p - ALIGN);
}

char *ot_strndup(const char *s, size_t n)
{
    char *p = ot_malloc(n + 1, 1);
    if (p) {
        memcpy(p, s, n);
        p[n] = 0;
    }
    return p;
}

char *ot_strdup(const char *s)
{
    return ot_strndup(s, strlen(s));
}

ot_status ot_grow(void *p, int64_t n, int64_t *cap, size_t size)
{
    if (n < *cap)
        return OT_OK;
    int64_t want = *cap < 8 ? 8 : *cap * 2;
    void *old, *grown;
    memcpy(&old, p, sizeof(old)); /* p points to a pointer of some object type */
    grown = ot_realloc(old, (size_t)want, size);
    if (!grown)
        return OT_ENOMEM;
    memcpy(p, &grown, sizeof(grown));
    *cap = want;
    return OT_OK;
}

int64_t ot_live_blocks(void)
{
    return atomic_load(&live);
}

int64_t ot_alloc_count(void)
{
    return atomic_load(&made);
}

void ot_fail_alloc_after(int64_t n)
{
    atomic_store(&fail_after, n);
}

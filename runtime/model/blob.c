#define _DEFAULT_SOURCE /* madvise */
#include "model/model.h"
#include "base/file.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct ot_blob {
    atomic_llong refs;
    ot_map map;     /* of a mapped file */
    uint8_t *block; /* of memory */
    const uint8_t *bytes;
    size_t n;
};

static ot_blob *new_blob(void)
{
    ot_blob *b = ot_calloc(1, sizeof(*b));
    if (b)
        atomic_init(&b->refs, 1);
    return b;
}

ot_status ot_blob_map(ot_blob **out, const char *path)
{
    *out = NULL;
    ot_blob *b = new_blob();
    if (!b)
        return OT_ENOMEM;
    ot_status st = ot_file_map(&b->map, path);
    if (st != OT_OK) {
        ot_free(b);
        return st;
    }
    b->bytes = b->map.bytes;
    b->n = b->map.n;
    *out = b;
    return OT_OK;
}

ot_status ot_blob_map_fd(ot_blob **out, int fd, const char *name)
{
    struct stat s;
    *out = NULL;
    if (fstat(fd, &s) || !S_ISREG(s.st_mode) || (uintmax_t)s.st_size > SIZE_MAX / 2)
        return ot_fail(OT_EIO, "%s: is not a regular file that fits in memory", name);
    ot_blob *b = new_blob();
    if (!b)
        return OT_ENOMEM;
    b->bytes = (const uint8_t *)"";
    b->n = (size_t)s.st_size;
    if (b->n) {
        void *p = mmap(NULL, b->n, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            ot_free(b);
            return ot_fail(OT_EIO, "%s: cannot map %zu bytes", name, (size_t)s.st_size);
        }
        b->bytes = p;
        b->map = (ot_map){ p, b->n };
    }
    *out = b;
    return OT_OK;
}

ot_status ot_blob_copy(ot_blob **out, const void *bytes, size_t n)
{
    *out = NULL;
    ot_blob *b = new_blob();
    uint8_t *block = b ? ot_malloc(n, 1) : NULL;
    if (!block) {
        ot_free(b);
        return OT_ENOMEM;
    }
    if (n)
        memcpy(block, bytes, n);
    b->bytes = b->block = block;
    b->n = n;
    *out = b;
    return OT_OK;
}

ot_blob *ot_blob_keep(ot_blob *b)
{
    atomic_fetch_add(&b->refs, 1);
    return b;
}

void ot_blob_drop(ot_blob *b)
{
    if (!b || atomic_fetch_sub(&b->refs, 1) > 1)
        return;
    ot_file_unmap(&b->map);
    ot_free(b->block);
    ot_free(b);
}

void ot_blob_rest(const ot_blob *b)
{
#ifdef MADV_DONTNEED
    if (b->map.n)
        madvise((void *)b->map.bytes, b->map.n, MADV_DONTNEED); /* private and never written: nothing is lost */
#endif
}

const uint8_t *ot_blob_bytes(const ot_blob *b)
{
    return b->bytes;
}

size_t ot_blob_size(const ot_blob *b)
{
    return b->n;
}

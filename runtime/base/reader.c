#define _POSIX_C_SOURCE 200809L
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ot_reader {
    int fd;
    char *path;
};

ot_status ot_reader_open(ot_reader **out, const char *path, uint64_t *n)
{
    struct stat s;
    *out = NULL;
    *n = 0;
    ot_reader *r = ot_calloc(1, sizeof(*r));
    if (!r)
        return OT_ENOMEM;
    r->path = ot_strdup(path);
    r->fd = r->path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
    ot_status st = r->path ? OT_OK : OT_ENOMEM;
    if (st == OT_OK && (r->fd < 0 || fstat(r->fd, &s) != 0))
        st = ot_fail(OT_EIO, "%s: cannot open: error %d", path, errno);
    else if (st == OT_OK && !S_ISREG(s.st_mode))
        st = ot_fail(OT_EIO, "%s: is not a regular file", path);
    if (st != OT_OK) {
        ot_reader_close(r);
        return st;
    }
    *n = (uint64_t)s.st_size;
    *out = r;
    return OT_OK;
}

ot_status ot_reader_at(const ot_reader *r, uint64_t offset, void *bytes, size_t n)
{
    char *p = bytes;
    while (n) {
        ssize_t k = pread(r->fd, p, n < (1u << 30) ? n : 1u << 30, (off_t)offset);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return ot_fail(OT_EIO, "%s: cannot read: error %d", r->path, errno);
        if (k == 0)
            return ot_fail(OT_EIO, "%s: ends at byte %llu", r->path, (unsigned long long)offset);
        p += k;
        offset += (uint64_t)k;
        n -= (size_t)k;
    }
    return OT_OK;
}

void ot_reader_close(ot_reader *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    ot_free(r->path);
    ot_free(r);
}

static char *join(const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = ot_malloc(n, 1);
    if (path)
        snprintf(path, n, "%s/%s", folder, name);
    return path;
}

ot_status ot_cache_folder(char **out)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *dir = NULL;
    *out = NULL;
    if (base && base[0] == '/')
        dir = ot_strdup(base);
    else if (home && home[0] == '/')
        dir = join(home, ".cache");
    else
        return OT_OK;
    if (!dir)
        return OT_ENOMEM;
    mkdir(dir, 0700);
    *out = join(dir, "onnxtune");
    ot_free(dir);
    if (*out)
        mkdir(*out, 0700);
    return *out ? OT_OK : OT_ENOMEM;
}

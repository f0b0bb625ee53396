#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE   700
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER 65536

struct ot_writer {
    int fd;
    bool direct, failed;
    size_t held;
    uint64_t size;
    char *path, *tmp; /* the file meant, links followed; the file written (NULL when direct) */
    char why[256];
    uint8_t buffer[BUFFER];
};

static ot_status fail_errno(const char *path, const char *doing)
{
    int e = errno;
    char text[128];
    if (strerror_r(e, text, sizeof(text)))
        snprintf(text, sizeof(text), "error %d", e);
    return ot_fail(e == ENOMEM ? OT_ENOMEM : OT_EIO, "%s: %s: %s", path, doing, text);
}

/* Opens a regular file; O_NONBLOCK keeps a pipe without a writer from hanging us. */
static ot_status open_regular(int *fd, size_t *n, const char *path)
{
    struct stat s;
    do
        *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (*fd < 0 && errno == EINTR);
    if (*fd < 0)
        return fail_errno(path, "cannot open");
    ot_status st = OT_OK;
    if (fstat(*fd, &s))
        st = fail_errno(path, "cannot look at it");
    else if (S_ISDIR(s.st_mode))
        st = ot_fail(OT_EIO, "%s: is a folder, not a file", path);
    else if (!S_ISREG(s.st_mode))
        st = ot_fail(OT_EIO, "%s: is not a regular file", path);
    else if ((uintmax_t)s.st_size > SIZE_MAX / 2)
        st = ot_fail(OT_EIO, "%s: %jd bytes are more than can be addressed", path, (intmax_t)s.st_size);
    else
        *n = (size_t)s.st_size;
    if (st != OT_OK)
        close(*fd);
    return st;
}

ot_status ot_file_map(ot_map *out, const char *path)
{
    int fd;
    size_t n;
    *out = (ot_map){ 0 };
    OT_TRY(open_regular(&fd, &n, path));
    void *p = NULL;
    ot_status st = OT_OK;
    if (n) {
        p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            st = fail_errno(path, "cannot map");
    }
    close(fd);
    if (st == OT_OK)
        *out = (ot_map){ n ? p : (const void *)"", n };
    return st;
}

void ot_file_unmap(ot_map *m)
{
    if (m->n) {
        union {
            const uint8_t *in;
            void *out;
        } p = { m->bytes }; /* munmap wants no const */
        munmap(p.out, m->n);
    }
    *m = (ot_map){ 0 };
}

static ot_status read_all(int fd, uint8_t *p, size_t n, size_t *got, const char *path)
{
    *got = 0;
    while (*got < n) {
        ssize_t k = read(fd, p + *got, n - *got < (1u << 30) ? n - *got : 1u << 30);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return fail_errno(path, "cannot read");
        if (k == 0)
            break;
        *got += (size_t)k;
    }
    return OT_OK;
}

ot_status ot_file_read(uint8_t **out, size_t *n, const char *path, size_t limit)
{
    int fd;
    size_t want = 0;
    *out = NULL;
    *n = 0;
    OT_TRY(open_regular(&fd, &want, path));
    ot_status st = OT_OK;
    if (want > limit)
        st = ot_fail(OT_EIO, "%s: %zu bytes, more than the limit of %zu", path, want, limit);
    uint8_t *p = st == OT_OK ? ot_malloc(want + 1, 1) : NULL;
    if (st == OT_OK && !p)
        st = OT_ENOMEM;
    if (st == OT_OK)
        st = read_all(fd, p, want, n, path);
    close(fd);
    if (st != OT_OK) {
        ot_free(p);
        *n = 0;
        return st;
    }
    p[*n] = 0;
    *out = p;
    return OT_OK;
}

/* ---- Writing ----------------------------------------------------------------------------------------------- */

static ot_status writer_fail(ot_writer *w, const char *doing)
{
    ot_status st = fail_errno(w->path, doing);
    if (!w->failed)
        snprintf(w->why, sizeof(w->why), "%s", ot_last_error());
    w->failed = true;
    return st;
}

/* "FOLDER/.NAME-PID-N.tmp", with a name short enough for any file system. */
static ot_status temporary_name(char **out, const char *path)
{
    static atomic_uint count;
    const char *slash = strrchr(path, '/');
    size_t dir = slash ? (size_t)(slash - path) + 1 : 0, room = dir + 64;
    char *p = ot_malloc(room, 1);
    if (!p)
        return OT_ENOMEM;
    memcpy(p, path, dir);
    snprintf(p + dir, room - dir, ".onnxtune-%ld-%u.tmp", (long)getpid(), atomic_fetch_add(&count, 1));
    *out = p;
    return OT_OK;
}

static ot_status open_temporary(ot_writer *w, const struct stat *old)
{
    for (int i = 0; i < 100; i++) {
        ot_free(w->tmp);
        w->tmp = NULL;
        OT_TRY(temporary_name(&w->tmp, w->path));
        w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0 || (errno != EEXIST && errno != EINTR))
            break;
    }
    if (w->fd < 0) {
        ot_status st = fail_errno(w->path, "cannot create");
        ot_free(w->tmp);
        w->tmp = NULL;
        return st;
    }
    if (old && fchmod(w->fd, old->st_mode & 0777))
        return fail_errno(w->path, "cannot keep the permissions");
    return OT_OK;
}

static ot_status open_target(ot_writer *w, const char *path)
{
    struct stat s;
    char *real = realpath(path, NULL);
    if (!real && errno != ENOENT)
        return fail_errno(path, "cannot create");
    w->path = ot_strdup(real ? real : path);
    bool there = real && stat(real, &s) == 0;
    free(real);
    if (!w->path)
        return OT_ENOMEM;
    if (there && S_ISDIR(s.st_mode))
        return ot_fail(OT_EIO, "%s: is a folder, not a file", path);
    if (!there || S_ISREG(s.st_mode))
        return open_temporary(w, there ? &s : NULL);
    w->direct = true;
    w->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return w->fd < 0 ? fail_errno(path, "cannot open") : OT_OK;
}

ot_status ot_writer_open(ot_writer **out, const char *path)
{
    *out = NULL;
    ot_writer *w = ot_calloc(1, sizeof(*w));
    if (!w)
        return OT_ENOMEM;
    w->fd = -1;
    ot_status st = *path ? open_target(w, path) : ot_fail(OT_EARG, "the name of the file to write is empty");
    if (st != OT_OK) {
        ot_writer_abort(w);
        return st;
    }
    *out = w;
    return OT_OK;
}

static ot_status write_all(ot_writer *w, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t k = write(w->fd, p, n < (1u << 30) ? n : 1u << 30);
        if (k < 0 && errno == EINTR)
            continue;
        if (k == 0)
            errno = ENOSPC;
        if (k <= 0)
            return writer_fail(w, "cannot write");
        p += k;
        n -= (size_t)k;
    }
    return OT_OK;
}

static ot_status flush(ot_writer *w)
{
    size_t n = w->held;
    w->held = 0;
    return write_all(w, w->buffer, n);
}

ot_status ot_writer_put(ot_writer *w, const void *bytes, size_t n)
{
    if (w->failed)
        return ot_fail(OT_EIO, "%s", w->why);
    if (n > BUFFER - w->held)
        OT_TRY(flush(w));
    w->size += n;
    if (n >= BUFFER)
        return write_all(w, bytes, n);
    if (n)
        memcpy(w->buffer + w->held, bytes, n);
    w->held += n;
    return OT_OK;
}

uint64_t ot_writer_size(const ot_writer *w)
{
    return w->size;
}

/* The rename itself must reach the disk; file systems that cannot sync a folder say EINVAL, and that is all right. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? ot_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : ot_strdup(".");
    int fd = dir ? open(dir, O_RDONLY | O_CLOEXEC | O_DIRECTORY) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    ot_free(dir);
}

ot_status ot_writer_commit(ot_writer *w)
{
    ot_status st = w->failed ? ot_fail(OT_EIO, "%s", w->why) : flush(w);
    if (st == OT_OK && !w->direct && fsync(w->fd))
        st = writer_fail(w, "cannot write to the disk");
    if (st == OT_OK) {
        int fd = w->fd;
        w->fd = -1;
        if (close(fd) && errno != EINTR)
            st = writer_fail(w, "cannot write");
    }
    if (st == OT_OK && !w->direct) {
        if (rename(w->tmp, w->path)) {
            st = writer_fail(w, "cannot put in place");
        } else {
            ot_free(w->tmp);
            w->tmp = NULL;
            sync_folder(w->path);
        }
    }
    ot_writer_abort(w);
    return st;
}

void ot_writer_abort(ot_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->tmp)
        unlink(w->tmp);
    ot_free(w->tmp);
    ot_free(w->path);
    ot_free(w);
}

ot_status ot_file_write(const char *path, const void *bytes, size_t n)
{
    ot_writer *w;
    OT_TRY(ot_writer_open(&w, path));
    ot_status st = ot_writer_put(w, bytes, n);
    if (st == OT_OK)
        return ot_writer_commit(w);
    ot_writer_abort(w);
    return st;
}

static bool is_left_over(const char *name, const char *path)
{
    long pid = 0;
    unsigned n = 0;
    char end[8] = "";
    struct stat s;
    if (sscanf(name, ".onnxtune-%ld-%u.%7s", &pid, &n, end) != 3 || strcmp(end, "tmp") != 0 || pid < 1)
        return false;
    bool gone = kill((pid_t)pid, 0) != 0 && errno == ESRCH;
    return gone && lstat(path, &s) == 0 && S_ISREG(s.st_mode) && time(NULL) - s.st_mtime > 3600;
}

void ot_writer_tidy(const char *folder)
{
    DIR *d = opendir(folder);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        size_t n = strlen(folder) + strlen(e->d_name) + 2;
        char *path = ot_malloc(n, 1);
        if (!path)
            break;
        snprintf(path, n, "%s/%s", folder, e->d_name);
        if (is_left_over(e->d_name, path))
            unlink(path);
        ot_free(path);
    }
    if (d)
        closedir(d);
}

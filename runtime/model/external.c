/* Tensor data in files beside the model.  The location comes from a hostile file: it must stay below the model's
 * folder, and no part of it may be a symbolic link. */
#define _POSIX_C_SOURCE 200809L
#include "model/model.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct external {
    char *location;
    ot_blob *blob;
} external;

struct ot_externals {
    external *files;
    int64_t n, cap;
};

void ot_externals_close(struct ot_externals *e)
{
    if (!e)
        return;
    for (int64_t i = 0; i < e->n; i++) {
        ot_free(e->files[i].location);
        ot_blob_drop(e->files[i].blob);
    }
    ot_free(e->files);
    ot_free(e);
}

void ot_externals_rest(const struct ot_externals *e)
{
    for (int64_t i = 0; e && i < e->n; i++)
        ot_blob_rest(e->files[i].blob);
}

/* A plain decimal number; false when it is none or passes SIZE_MAX / 2. */
static bool decimal(size_t *out, const char *s)
{
    size_t v = 0;
    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || v > (SIZE_MAX / 2 - 9) / 10)
            return false;
        v = v * 10 + (size_t)(*s - '0');
    }
    *out = v;
    return true;
}

typedef struct where {
    const char *location, *offset, *length;
} where;

static ot_status read_keys(where *w, const Onnx__TensorProto *t)
{
    *w = (where){ 0 };
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = ot_text(t->external_data[i]->key), **at = NULL;
        if (strcmp(key, "location") == 0)
            at = &w->location;
        else if (strcmp(key, "offset") == 0)
            at = &w->offset;
        else if (strcmp(key, "length") == 0)
            at = &w->length;
        if (at && *at)
            return ot_fail(OT_EMODEL, "external data gives '%s' twice", key);
        if (at)
            *at = ot_text(t->external_data[i]->value);
    }
    return w->location && *w->location ? OT_OK : ot_fail(OT_EMODEL, "external data without a location");
}

/* Opens DIR/location one component at a time, relative to an open folder, which it closes. */
static ot_status open_below(int *out, int dir, const char *location)
{
    const char *p = location;
    for (;;) {
        while ((p[0] == '.' && p[1] == '/') || (p[0] == '/' && p != location))
            p += p[0] == '.' ? 2 : 1; /* "./a", "a//b" */
        size_t n = strcspn(p, "/");
        bool last = p[n] == 0;
        char part[256];
        if (n == 0 || n >= sizeof(part) || (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.')))) {
            close(dir);
            return ot_fail(OT_EMODEL, "external data '%s' is not a plain path below the model's folder", location);
        }
        memcpy(part, p, n);
        part[n] = 0;
        int fd =
            openat(dir, part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | (last ? 0 : O_DIRECTORY));
        int e = errno;
        close(dir);
        if (fd < 0 && (e == ELOOP || e == ENOTDIR || e == EMLINK))
            return ot_fail(OT_EMODEL, "external data '%s' goes through a symbolic link or no folder", location);
        if (fd < 0)
            return ot_fail(OT_EIO, "external data '%s' cannot be opened (error %d)", location, e);
        if (last) {
            *out = fd;
            return OT_OK;
        }
        dir = fd;
        p += n + 1;
    }
}

static ot_status open_file(ot_blob **out, const ot_model *m, const char *location)
{
    if (!m || !m->path)
        return ot_fail(OT_EMODEL, "external data '%s', but the model comes from no file", location);
    const char *slash = strrchr(m->path, '/');
    char *folder = slash ? ot_strndup(m->path, slash == m->path ? 1 : (size_t)(slash - m->path)) : ot_strdup(".");
    if (!folder)
        return OT_ENOMEM;
    int fd = -1, dir = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    ot_free(folder);
    if (dir < 0)
        return ot_fail(OT_EIO, "the folder of %s cannot be opened", m->path);
    OT_TRY(open_below(&fd, dir, location));
    ot_status st = ot_blob_map_fd(out, fd, location);
    close(fd);
    return st;
}

static ot_status find_file(ot_blob **out, const ot_model *m, const char *location)
{
    struct ot_externals *e = m ? m->externals : NULL;
    for (int64_t i = 0; e && i < e->n; i++) {
        if (strcmp(e->files[i].location, location) == 0) {
            *out = e->files[i].blob;
            return OT_OK;
        }
    }
    ot_blob *blob;
    OT_TRY(open_file(&blob, m, location));
    char *name = ot_strdup(location);
    ot_status st = name ? ot_grow(&e->files, e->n, &e->cap, sizeof(*e->files)) : OT_ENOMEM;
    if (st != OT_OK) {
        ot_free(name);
        ot_blob_drop(blob);
        return st;
    }
    e->files[e->n++] = (external){ name, blob };
    *out = blob;
    return OT_OK;
}

ot_status ot_external_find(const ot_model *m, const Onnx__TensorProto *t, ot_payload *out)
{
    where w;
    ot_payload p = { 0 };
    OT_TRY(read_keys(&w, t));
    if (w.offset && !decimal(&p.offset, w.offset))
        return ot_fail(OT_EMODEL, "external data '%s': offset '%.40s' is no number", w.location, w.offset);
    if (w.length && !decimal(&p.n, w.length))
        return ot_fail(OT_EMODEL, "external data '%s': length '%.40s' is no number", w.location, w.length);
    OT_TRY(find_file(&p.blob, m, w.location));
    size_t size = ot_blob_size(p.blob);
    if (p.offset > size || (w.length && p.n > size - p.offset))
        return ot_fail(OT_EMODEL, "external data '%s' has %zu bytes, but the tensor lies at %zu and takes %zu",
                       w.location, size, p.offset, p.n);
    if (!w.length)
        p.n = size - p.offset;
    *out = p;
    return OT_OK;
}

ot_status ot_externals_create(struct ot_externals **out)
{
    *out = ot_calloc(1, sizeof(**out));
    return *out ? OT_OK : OT_ENOMEM;
}

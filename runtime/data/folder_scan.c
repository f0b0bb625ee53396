#define _POSIX_C_SOURCE 200809L
#include "data/folder.h"
#include "base/rng.h"
#include "base/strmap.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

char *ot_folder_join(const char *dir, const char *path)
{
    size_t n = strlen(dir), m = strlen(path);
    char *s = ot_malloc(n + m + 2, 1);
    if (s) {
        memcpy(s, dir, n);
        s[n] = '/';
        memcpy(s + n + 1, path, m + 1);
    }
    return s;
}

/* Names of the entries of a folder, hidden ones left out, sorted by their bytes. */
typedef struct names {
    char **at;
    int64_t n, cap;
} names;

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_release(names *l)
{
    for (int64_t i = 0; i < l->n; i++)
        ot_free(l->at[i]);
    ot_free(l->at);
    *l = (names){ 0 };
}

static ot_status list(names *l, const char *dir)
{
    ot_status st = OT_OK;
    *l = (names){ 0 };
    DIR *d = opendir(dir);
    if (!d)
        return ot_fail(OT_EIO, "%s: cannot be listed (error %d)", dir, errno);
    for (struct dirent *e; st == OT_OK && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        st = ot_grow(&l->at, l->n, &l->cap, sizeof(*l->at));
        if (st == OT_OK && !(l->at[l->n] = ot_strdup(e->d_name)))
            st = OT_ENOMEM;
        l->n += st == OT_OK;
    }
    closedir(d);
    if (st != OT_OK)
        names_release(l);
    else if (l->n)
        qsort(l->at, (size_t)l->n, sizeof(*l->at), by_bytes);
    return st;
}

static bool is_folder(const char *dir, const char *name)
{
    struct stat s;
    char *path = ot_folder_join(dir, name);
    bool yes = path && stat(path, &s) == 0 && S_ISDIR(s.st_mode);
    ot_free(path);
    return yes;
}

/* Formats that are refused count as pictures, so that the refusal is seen. */
static bool is_picture_name(const char *name)
{
    static const char *const ends[] = { "jpg",  "jpeg", "png",  "bmp", "ppm", "pgm",  "pnm", "webp",
                                        "heic", "heif", "avif", "gif", "tif", "tiff", "jxl" };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof(ends) / sizeof(ends[0]); i++)
        if (strcasecmp(dot + 1, ends[i]) == 0)
            return true;
    return false;
}

/* The pictures of ROOT/SUB/CLASS; sub is "" or ends with '/'. */
static ot_status scan_class(ot_folder_files *f, const char *root, const char *sub, int64_t label, int split)
{
    names l;
    char *rel = ot_arena_printf(&f->text, "%s%s", sub, f->classes[label]);
    char *dir = rel ? ot_folder_join(root, rel) : NULL;
    if (!dir)
        return OT_ENOMEM;
    ot_status st = list(&l, dir);
    ot_free(dir);
    ot_picture_list *p = &f->split[split];
    for (int64_t i = 0; st == OT_OK && i < l.n; i++) {
        if (!is_picture_name(l.at[i]))
            continue;
        st = ot_grow(&p->at, p->n, &p->cap, sizeof(*p->at));
        char *path = st == OT_OK ? ot_arena_printf(&f->text, "%s/%s", rel, l.at[i]) : NULL;
        if (path)
            p->at[p->n++] = (ot_picture){ path, label };
        else
            st = OT_ENOMEM;
    }
    names_release(&l);
    return st;
}

/* The folders in `dir` are the classes. */
static ot_status scan_classes(ot_folder_files *f, const char *dir)
{
    names l;
    OT_TRY(list(&l, dir));
    f->classes = ot_arena_calloc(&f->text, (size_t)l.n + 1, sizeof(*f->classes));
    ot_status st = f->classes ? OT_OK : OT_ENOMEM;
    for (int64_t i = 0; st == OT_OK && i < l.n; i++) {
        if (!is_folder(dir, l.at[i]))
            continue;
        f->classes[f->n_classes] = ot_arena_strdup(&f->text, l.at[i]);
        if (f->classes[f->n_classes++] == NULL)
            st = OT_ENOMEM;
    }
    names_release(&l);
    if (st == OT_OK && !f->n_classes)
        st = ot_fail(OT_EDATA, "%s: holds no folders, one for each class of pictures", dir);
    return st;
}

/* Every class of validation must be known from training; one may be absent. */
static ot_status scan_valid(ot_folder_files *f, const char *root, const char *sub)
{
    names l;
    char *dir = ot_folder_join(root, sub);
    if (!dir)
        return OT_ENOMEM;
    dir[strlen(dir) - 1] = 0; /* sub ends with '/' */
    ot_status st = list(&l, dir);
    for (int64_t i = 0, k = 0; st == OT_OK && i < l.n; i++) {
        if (!is_folder(dir, l.at[i]))
            continue;
        while (k < f->n_classes && strcmp(f->classes[k], l.at[i]) < 0)
            k++;
        if (k == f->n_classes || strcmp(f->classes[k], l.at[i]))
            st = ot_fail(OT_EDATA, "%s: class '%s' has no folder for training", dir, l.at[i]);
        else
            st = scan_class(f, root, sub, k, OT_VALID);
    }
    names_release(&l);
    ot_free(dir);
    return st;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const ot_picture *)a)->path, ((const ot_picture *)b)->path);
}

static void sort(ot_picture_list *p)
{
    if (p->n)
        qsort(p->at, (size_t)p->n, sizeof(*p->at), by_path);
}

ot_status ot_folder_scan(ot_folder_files *f, const char *root)
{
    *f = (ot_folder_files){ 0 };
    bool parts = is_folder(root, "train");
    const char *valid = is_folder(root, "valid") ? "valid/" : is_folder(root, "val") ? "val/" : NULL;
    char *dir = parts ? ot_folder_join(root, "train") : ot_strdup(root);
    if (!dir)
        return OT_ENOMEM;
    ot_status st = scan_classes(f, dir);
    ot_free(dir);
    for (int64_t k = 0; st == OT_OK && k < f->n_classes; k++)
        st = scan_class(f, root, parts ? "train/" : "", k, OT_TRAIN);
    if (st == OT_OK && parts && valid) {
        f->has_valid = true;
        st = scan_valid(f, root, valid);
    }
    sort(&f->split[OT_TRAIN]);
    sort(&f->split[OT_VALID]);
    return st;
}

ot_status ot_folder_split(ot_folder_files *f, double fraction, uint64_t seed)
{
    ot_picture_list *train = &f->split[OT_TRAIN], *valid = &f->split[OT_VALID];
    int64_t kept = 0, lowest = 0;
    double least = 2;
    if (fraction <= 0 || train->n < 2)
        return OT_OK;
    for (int64_t i = 0; i < train->n; i++) {
        double u = ot_rng_uniform(ot_rng_key(seed, ot_hash("valid"), 0, ot_hash(train->at[i].path)), 0);
        if (u >= fraction) {
            if (u < least) {
                least = u;
                lowest = kept;
            }
            train->at[kept++] = train->at[i];
            continue;
        }
        OT_TRY(ot_grow(&valid->at, valid->n, &valid->cap, sizeof(*valid->at)));
        valid->at[valid->n++] = train->at[i];
    }
    train->n = kept;
    if (valid->n || !kept)
        return OT_OK;
    OT_TRY(ot_grow(&valid->at, 0, &valid->cap, sizeof(*valid->at))); /* a tiny set: the nearest one validates */
    valid->at[valid->n++] = train->at[lowest];
    memmove(train->at + lowest, train->at + lowest + 1, (size_t)(kept - lowest - 1) * sizeof(*train->at));
    train->n--;
    return OT_OK;
}

void ot_folder_files_release(ot_folder_files *f)
{
    for (int s = 0; s < 2; s++)
        ot_free(f->split[s].at);
    ot_arena_release(&f->text);
    *f = (ot_folder_files){ 0 };
}

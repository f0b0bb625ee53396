#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE   700
#include "data/folder.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/strmap.h"
#include "data/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char magic[8] = "otseen1\n"; /* then the keys, sorted, as the machine stores them */

ot_status ot_seen_open(ot_seen *s, const char *dir)
{
    *s = (ot_seen){ 0 };
    char name[40], *real = realpath(dir, NULL), *cache;
    ot_map m = { 0 };
    snprintf(name, sizeof(name), "pictures-%016llx", (unsigned long long)ot_hash(real ? real : dir));
    free(real);
    OT_TRY(ot_cache_folder(&cache));
    if (!cache)
        return OT_OK;
    s->file = ot_folder_join(cache, name);
    ot_free(cache);
    if (!s->file)
        return OT_ENOMEM;
    if (ot_file_map(&m, s->file) != OT_OK)
        return OT_OK;
    size_t n = m.n > sizeof(magic) ? (m.n - sizeof(magic)) / sizeof(uint64_t) : 0;
    if (n && m.n == sizeof(magic) + n * sizeof(uint64_t) && memcmp(m.bytes, magic, sizeof(magic)) == 0) {
        s->keys = ot_malloc(n, sizeof(uint64_t));
        if (s->keys) {
            memcpy(s->keys, m.bytes + sizeof(magic), n * sizeof(uint64_t));
            s->n = (int64_t)n;
        }
    }
    ot_file_unmap(&m);
    return n && !s->keys ? OT_ENOMEM : OT_OK;
}

uint64_t ot_seen_key(const char *dir, const char *path)
{
    struct stat s;
    char *full = ot_folder_join(dir, path);
    bool there = full && stat(full, &s) == 0;
    ot_free(full);
    if (!there)
        return 0;
    uint64_t when = (uint64_t)s.st_mtim.tv_sec * 1000000000u + (uint64_t)s.st_mtim.tv_nsec;
    return ot_rng_key(ot_hash(path), (uint64_t)s.st_size, when, ot_hash(ot_image_libraries())) | 1;
}

char *ot_folder_place(const char *dir)
{
    char *real = realpath(dir, NULL), *place = ot_strdup(real ? real : dir);
    free(real);
    return place;
}

static uint64_t mix_float(uint64_t h, float v)
{
    return ot_hash_bytes(h, &v, sizeof(v));
}

uint64_t ot_image_spec_hash(const ot_image_spec *s)
{
    int64_t whole[4] = { s->size, s->resize, s->bgr, s->nhwc };
    uint64_t h = mix_float(ot_hash_bytes(OT_HASH_START, whole, sizeof(whole)), s->range);
    for (int c = 0; c < 3; c++)
        h = mix_float(mix_float(h, s->mean[c]), s->std[c]);
    return h;
}

uint64_t ot_augment_hash(const ot_folder_options *o)
{
    return mix_float(ot_rng_key(o->seed, (uint64_t)o->augment, 0, 0), o->zoom);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

bool ot_seen_has(const ot_seen *s, uint64_t key)
{
    return s->n && key && bsearch(&key, s->keys, (size_t)s->n, sizeof(key), by_value);
}

void ot_seen_save(const ot_seen *s, uint64_t *keys, int64_t n)
{
    ot_writer *w;
    if (!s->file || n < 1)
        return;
    qsort(keys, (size_t)n, sizeof(*keys), by_value);
    if (ot_writer_open(&w, s->file) != OT_OK)
        return;
    if (ot_writer_put(w, magic, sizeof(magic)) == OT_OK && ot_writer_put(w, keys, (size_t)n * sizeof(*keys)) == OT_OK)
        ot_writer_commit(w);
    else
        ot_writer_abort(w);
}

void ot_seen_release(ot_seen *s)
{
    ot_free(s->file);
    ot_free(s->keys);
    *s = (ot_seen){ 0 };
}

#include "data/folder.h"
#include "base/rng.h"
#include "base/strmap.h"
#include "base/threads.h"
#include "data/augment.h"
#include "data/preprocess.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define UNBALANCED 5 /* the largest class has this many times the pictures of the smallest: worth a warning */

typedef struct folder {
    ot_dataset data;
    ot_folder_files files;
    ot_folder_options o;
    char *dir, *place;
    uint64_t spec_hash, augment_hash;
} folder;

static void warn(const ot_folder_options *o, const char *fmt, ...) OT_PRINTF(2, 3);
static void warn(const ot_folder_options *o, const char *fmt, ...)
{
    char text[1200];
    va_list ap;
    if (!o->warn)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    o->warn(o->ctx, text);
}

/* ---- The data set ------------------------------------------------------------------------------------------ */

static ot_status load(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample, int64_t *label)
{
    const folder *f = ctx;
    const ot_picture *p = &f->files.split[split].at[index];
    const ot_folder_options *o = &f->o;
    ot_augment kind = augment ? o->augment : OT_AUGMENT_NONE;
    ot_image m;
    char *path = ot_folder_join(f->dir, p->path);
    if (!path)
        return OT_ENOMEM;
    *label = p->label;
    ot_status st = ot_image_read_near(&m, path, ot_augment_min_side(&o->spec, kind, o->zoom));
    if (st == OT_OK) {
        st = ot_image_augment(sample, &m, &o->spec, kind, o->zoom,
                              ot_rng_key(o->seed, ot_hash("augment"), epoch, ot_hash(p->path)));
        if (st != OT_OK)
            ot_context(st, "%s", path);
        ot_image_release(&m);
    }
    ot_free(path);
    return st;
}

static int64_t label_of(void *ctx, int split, int64_t index)
{
    const folder *f = ctx;
    return f->files.split[split].at[index].label;
}

static const char *name_of(void *ctx, int split, int64_t index)
{
    const folder *f = ctx;
    return f->files.split[split].at[index].path;
}

static uint64_t stamp_of(void *ctx, int split, int64_t index, bool augment, uint64_t epoch)
{
    const folder *f = ctx;
    const char *path = f->files.split[split].at[index].path;
    uint64_t file = ot_seen_key(f->dir, path);
    if (!file)
        return 0;
    bool changes = augment && f->o.augment != OT_AUGMENT_NONE;
    return ot_rng_key(file, f->spec_hash, changes ? f->augment_hash : 0, changes ? epoch + 1 : 0) | 1;
}

static void close_folder(void *ctx)
{
    folder *f = ctx;
    ot_folder_files_release(&f->files);
    ot_free(f->dir);
    ot_free(f->place);
    ot_free(f);
}

/* ---- The check: each picture is decoded once ---------------------------------------------------------------- */

typedef struct check {
    const folder *f;
    const ot_picture **at; /* both splits, one after the other */
    int64_t n;
    ot_seen seen;
    uint64_t *key; /* 0: bad */
    char **why;    /* of a bad one */
    atomic_llong done;
} check;

static void check_one(void *ctx, int64_t i, int worker)
{
    check *c = ctx;
    const char *dir = c->f->dir;
    uint64_t key = ot_seen_key(dir, c->at[i]->path);
    if (!ot_seen_has(&c->seen, key)) {
        ot_image m = { 0 };
        char *path = ot_folder_join(dir, c->at[i]->path);
        /* A JPEG may come out small: its data is read to the end all the same. */
        if (!path || ot_image_read_near(&m, path, 1) != OT_OK) {
            key = 0;
            c->why[i] = ot_strdup(ot_last_error());
        }
        ot_image_release(&m);
        ot_free(path);
    }
    c->key[i] = key;
    long long done = atomic_fetch_add(&c->done, 1) + 1;
    if (worker == 0 && c->f->o.progress)
        c->f->o.progress(c->f->o.ctx, done, c->n);
}

/* Names the bad ones; an error when they are more than one in a hundred. */
static ot_status judge(const check *c)
{
    int64_t bad = 0, first = -1;
    for (int64_t i = 0; i < c->n; i++)
        if (!c->key[i]) {
            if (!bad++)
                first = i;
            warn(&c->f->o, "left out: %s", c->why[i] ? c->why[i] : c->at[i]->path);
        }
    if (bad * 100 > c->n)
        return ot_fail(OT_EDATA, "%lld of %lld pictures are bad, more than 1 %%; the first is %s", (long long)bad,
                       (long long)c->n, c->why[first] ? c->why[first] : c->at[first]->path);
    return OT_OK;
}

/* Takes the bad ones out of the lists. */
static void drop_bad(folder *f, const check *c)
{
    int64_t i = 0;
    for (int s = 0; s < 2; s++) {
        ot_picture_list *l = &f->files.split[s];
        int64_t kept = 0, n = l->n;
        for (int64_t k = 0; k < n; k++, i++)
            if (c->key[i])
                l->at[kept++] = l->at[k];
        l->n = kept;
    }
}

static ot_status check_run(check *c, int threads)
{
    ot_threads *pool = NULL;
    size_t n = (size_t)c->n;
    c->at = ot_malloc(n, sizeof(*c->at));
    c->key = ot_calloc(n, sizeof(*c->key));
    c->why = ot_calloc(n, sizeof(*c->why));
    if (!c->at || !c->key || !c->why)
        return OT_ENOMEM;
    int64_t i = 0;
    for (int s = 0; s < 2; s++)
        for (int64_t k = 0; k < c->f->files.split[s].n; k++)
            c->at[i++] = &c->f->files.split[s].at[k];
    OT_TRY(ot_seen_open(&c->seen, c->f->dir));
    OT_TRY(ot_threads_create(&pool, threads));
    ot_threads_run(pool, c->n, check_one, c);
    ot_threads_close(pool);
    if (c->f->o.progress)
        c->f->o.progress(c->f->o.ctx, c->n, c->n);
    return judge(c);
}

static ot_status check_all(folder *f)
{
    check c = { .f = f, .n = f->files.split[0].n + f->files.split[1].n };
    ot_status st = check_run(&c, f->o.threads);
    if (st == OT_OK) {
        int64_t good = 0;
        drop_bad(f, &c);
        for (int64_t i = 0; i < c.n; i++)
            if (c.key[i])
                c.key[good++] = c.key[i];
        ot_seen_save(&c.seen, c.key, good);
    }
    for (int64_t i = 0; c.why && i < c.n; i++)
        ot_free(c.why[i]);
    ot_free(c.at);
    ot_free(c.key);
    ot_free(c.why);
    ot_seen_release(&c.seen);
    return st;
}

/* ---- Opening ----------------------------------------------------------------------------------------------- */

static ot_status warn_unbalanced(const folder *f)
{
    int64_t n = f->files.n_classes, most = 0, least = 0;
    int64_t *count = ot_calloc((size_t)n, sizeof(*count));
    if (!count)
        return OT_ENOMEM;
    for (int64_t i = 0; i < f->files.split[OT_TRAIN].n; i++)
        count[f->files.split[OT_TRAIN].at[i].label]++;
    for (int64_t k = 0; k < n; k++) {
        most = count[k] > count[most] ? k : most;
        least = count[k] < count[least] ? k : least;
        if (!count[k])
            warn(&f->o, "class '%s' has no pictures for training", f->files.classes[k]);
    }
    if (count[least] && count[most] >= UNBALANCED * count[least])
        warn(&f->o, "classes of very different size: '%s' has %lld pictures for training, '%s' %lld",
             f->files.classes[most], (long long)count[most], f->files.classes[least], (long long)count[least]);
    ot_free(count);
    return OT_OK;
}

static ot_status fill(folder *f, const char *dir)
{
    if (!(f->dir = ot_strdup(dir)) || !(f->place = ot_folder_place(dir)))
        return OT_ENOMEM;
    f->spec_hash = ot_image_spec_hash(&f->o.spec);
    f->augment_hash = ot_augment_hash(&f->o);
    OT_TRY(ot_folder_scan(&f->files, dir));
    if (!f->files.split[OT_TRAIN].n)
        return ot_fail(OT_EDATA, "%s: no pictures for training (.jpg .jpeg .png .bmp .ppm .pgm)", dir);
    if (!f->files.has_valid)
        OT_TRY(ot_folder_split(&f->files, f->o.valid_fraction, f->o.seed));
    OT_TRY(check_all(f));
    if (!f->files.split[OT_TRAIN].n)
        return ot_fail(OT_EDATA, "%s: no good pictures are left for training", dir);
    return warn_unbalanced(f);
}

static ot_status check_options(const ot_folder_options *o)
{
    OT_TRY(ot_image_spec_check(&o->spec));
    OT_TRY(ot_augment_check(o->augment, o->zoom));
    if (!(o->valid_fraction >= 0 && o->valid_fraction < 1))
        return ot_fail(OT_EARG, "a share of %g for validation is not in [0, 1)", o->valid_fraction);
    return OT_OK;
}

ot_status ot_folder_open(ot_dataset **out, const char *dir, const ot_folder_options *o)
{
    *out = NULL;
    OT_TRY(check_options(o));
    if (ot_cifar_there(dir))
        return ot_cifar_open(out, dir, o);
    folder *f = ot_calloc(1, sizeof(*f));
    if (!f)
        return OT_ENOMEM;
    f->o = *o;
    ot_status st = fill(f, dir);
    if (st != OT_OK) {
        close_folder(f);
        return st;
    }
    int64_t n = o->spec.size;
    f->data = (ot_dataset){ .ctx = f,
                            .count = { f->files.split[0].n, f->files.split[1].n },
                            .classes = f->files.n_classes,
                            .class_names = f->files.classes,
                            .rank = 3,
                            .dim = { o->spec.nhwc ? n : 3, n, o->spec.nhwc ? 3 : n },
                            .load = load,
                            .label = label_of,
                            .name = name_of,
                            .close = close_folder,
                            .place = f->place,
                            .stamp = stamp_of };
    *out = &f->data;
    return OT_OK;
}

#include "train/feature_set.h"
#include "base/rng.h"
#include "base/strmap.h"
#include "train/dataset.h"

#include <stdio.h>
#include <string.h>

typedef struct row {
    int split;
    int64_t index, variant;
} row;

static row row_at(const ot_feature_set *s, int64_t i)
{
    int64_t train = s->variants * s->d->count[OT_TRAIN];
    if (i >= train)
        return (row){ OT_VALID, i - train, 0 };
    return (row){ OT_TRAIN, i % s->d->count[OT_TRAIN], i / s->d->count[OT_TRAIN] };
}

static bool augmented(const ot_feature_set *s, const row *r)
{
    return s->augment && r->split == OT_TRAIN;
}

/* ---- As a data set ----------------------------------------------------------------------------------------------- */

static ot_status load_row(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample,
                          int64_t *label)
{
    const ot_feature_set *s = ctx;
    int64_t train = s->d->count[OT_TRAIN], variant = (int64_t)(epoch % (uint64_t)s->variants);
    int64_t at = split == OT_VALID ? s->variants * train + index : (augment ? variant : 0) * train + index;
    *label = s->d->label(s->d->ctx, split, index);
    if (!s->memory)
        return ot_feature_file_read(s->file, s->row_of[at], sample);
    memcpy(sample, s->memory + at * s->floats, (size_t)s->floats * sizeof(float));
    return OT_OK;
}

static int64_t label_of(void *ctx, int split, int64_t index)
{
    const ot_feature_set *s = ctx;
    return s->d->label(s->d->ctx, split, index);
}

static const char *name_of(void *ctx, int split, int64_t index)
{
    const ot_feature_set *s = ctx;
    return s->d->name ? s->d->name(s->d->ctx, split, index) : NULL;
}

ot_status ot_feature_set_create(ot_feature_set **out, const ot_dataset *d, bool augment, int64_t variants,
                                bool validates, int64_t floats)
{
    *out = NULL;
    ot_feature_set *s = ot_calloc(1, sizeof(*s));
    if (!s)
        return OT_ENOMEM;
    *s = (ot_feature_set){
        .d = d, .augment = augment, .variants = augment ? variants : 1, .validates = validates, .floats = floats
    };
    s->rows = s->variants * d->count[OT_TRAIN] + (validates ? d->count[OT_VALID] : 0);
    s->data = (ot_dataset){ .ctx = s,
                            .count = { d->count[OT_TRAIN], validates ? d->count[OT_VALID] : 0 },
                            .classes = d->classes,
                            .class_names = d->class_names,
                            .rank = 1,
                            .dim = { floats },
                            .load = load_row,
                            .label = label_of,
                            .name = name_of };
    *out = s;
    return OT_OK;
}

void ot_feature_set_close(ot_feature_set *s)
{
    if (!s)
        return;
    ot_feature_file_close(s->file);
    ot_free(s->memory);
    ot_free(s->path);
    ot_free(s->row_of);
    ot_free(s);
}

size_t ot_feature_set_bytes(const ot_feature_set *s)
{
    size_t n;
    return ot_mul(&n, (size_t)s->rows, (size_t)s->floats) && ot_mul(&n, n, sizeof(float)) ? n : SIZE_MAX;
}

/* ---- The samples whose features are to be computed, as a data set -------------------------------------------------
 */

typedef struct todo {
    const ot_feature_set *s;
    int64_t *row; /* NULL: all */
    ot_dataset data;
} todo;

static row todo_at(const todo *t, int64_t i)
{
    return row_at(t->s, t->row ? t->row[i] : i);
}

static ot_status load_todo(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample,
                           int64_t *label)
{
    const todo *t = ctx;
    const ot_dataset *d = t->s->d;
    row r = todo_at(t, index);
    (void)split, (void)augment, (void)epoch;
    return ot_dataset_load(d, r.split, r.index, augmented(t->s, &r), (uint64_t)r.variant, sample, label);
}

static int64_t label_todo(void *ctx, int split, int64_t index)
{
    const todo *t = ctx;
    row r = todo_at(t, index);
    (void)split;
    return t->s->d->label(t->s->d->ctx, r.split, r.index);
}

static void todo_init(todo *t, const ot_feature_set *s, int64_t n)
{
    *t = (todo){ .s = s, .row = t->row, .data = *s->d };
    t->data.ctx = t;
    t->data.count[OT_TRAIN] = n;
    t->data.count[OT_VALID] = 0;
    t->data.load = load_todo;
    t->data.label = label_todo;
    t->data.name = NULL;
    t->data.close = NULL;
}

/* Where the rows go; features: n rows from the todo's number `first` on. */
typedef ot_status take_rows(void *ctx, int64_t first, int64_t n, const float *features);

static ot_status compute(todo *t, const ot_feature_fill *fill, float *rows, take_rows *take, void *ctx)
{
    ot_loader *l;
    ot_loader_options lo = OT_LOADER_INIT;
    int64_t n = t->data.count[OT_TRAIN];
    lo.batch = fill->batch;
    lo.augment = lo.shuffle = false;
    lo.threads = fill->loaders;
    OT_TRY(ot_loader_create(&l, &t->data, &lo));
    ot_status st = ot_loader_start(l, 0, 0);
    while (st == OT_OK) {
        ot_batch b;
        st = ot_loader_next(l, &b);
        if (st != OT_OK || !b.n)
            break;
        float *to = rows ? rows : t->s->memory + b.first * t->s->floats;
        st = ot_features_run(fill->f, to, b.samples, b.n);
        if (st == OT_OK && take)
            st = take(ctx, b.first, b.n, to);
        if (st == OT_OK && fill->progress && !fill->progress(fill->ctx, b.first + b.n, n))
            st = ot_fail(OT_ESTOPPED, "stopped after the features of %lld of %lld samples", (long long)(b.first + b.n),
                         (long long)n);
    }
    ot_loader_close(l);
    return st;
}

ot_status ot_feature_set_fill(ot_feature_set *s, const ot_feature_fill *fill)
{
    todo t = { 0 };
    size_t n;
    if (!ot_mul(&n, (size_t)s->rows, (size_t)s->floats))
        return ot_fail(OT_ENOMEM, "%lld rows of %lld features", (long long)s->rows, (long long)s->floats);
    s->memory = ot_malloc(n, sizeof(float));
    if (!s->memory)
        return OT_ENOMEM;
    todo_init(&t, s, s->rows);
    ot_status st = compute(&t, fill, NULL, NULL, NULL);
    if (st == OT_OK)
        return st;
    ot_free(s->memory);
    s->memory = NULL;
    return st;
}

/* ---- In a file ----------------------------------------------------------------------------------------------------
 */

static ot_status stamp_of(uint64_t *out, const ot_feature_set *s, int64_t i)
{
    char text[64];
    row r = row_at(s, i);
    *out = s->d->stamp(s->d->ctx, r.split, r.index, augmented(s, &r), (uint64_t)r.variant);
    if (*out)
        return OT_OK;
    return ot_fail(OT_EIO, "%s: cannot be looked at", ot_dataset_name(s->d, r.split, r.index, text, sizeof(text)));
}

/* The file's rows that are good, into row_of; the others are listed in t->row. */
static ot_status look_up(ot_feature_set *s, todo *t, int64_t *missing, float *room)
{
    *missing = 0;
    s->found = 0;
    for (int64_t i = 0; i < s->rows; i++) {
        uint64_t key;
        OT_TRY(stamp_of(&key, s, i));
        int64_t at = s->file ? ot_feature_file_find(s->file, key) : -1;
        if (at >= 0 && ot_feature_file_read(s->file, at, room) != OT_OK)
            at = -1;
        s->row_of[i] = at;
        if (at < 0)
            t->row[(*missing)++] = i;
        else
            s->found++;
    }
    return OT_OK;
}

typedef struct copier {
    ot_feature_set *s;
    const todo *t;
    ot_feature_writer *w;
    float *room; /* a row */
    int64_t at;  /* rows before this one are written */
} copier;

/* Old rows up to `end`. */
static ot_status copy_old(copier *c, int64_t end)
{
    for (; c->at < end; c->at++) {
        uint64_t key;
        OT_TRY(stamp_of(&key, c->s, c->at));
        OT_TRY(ot_feature_file_read(c->s->file, c->s->row_of[c->at], c->room));
        OT_TRY(ot_feature_writer_put(c->w, key, c->room));
    }
    return OT_OK;
}

static ot_status put_rows(void *ctx, int64_t first, int64_t n, const float *features)
{
    copier *c = ctx;
    for (int64_t i = 0; i < n; i++, c->at++) {
        uint64_t key;
        OT_TRY(copy_old(c, c->t->row[first + i]));
        OT_TRY(stamp_of(&key, c->s, c->at));
        OT_TRY(ot_feature_writer_put(c->w, key, features + i * c->s->floats));
    }
    return OT_OK;
}

/* A new file of old rows and computed ones, which takes the old one's place. */
static ot_status rewrite(ot_feature_set *s, todo *t, const ot_feature_fill *fill, float *rows, float *room)
{
    copier c = { .s = s, .t = t, .room = room };
    OT_TRY(ot_feature_writer_open(&c.w, s->path, s->model, s->floats, s->rows));
    ot_status st = compute(t, fill, rows, put_rows, &c);
    if (st == OT_OK)
        st = copy_old(&c, s->rows);
    if (st != OT_OK) {
        ot_feature_writer_abort(c.w);
        return st;
    }
    OT_TRY(ot_feature_writer_commit(c.w));
    ot_feature_file_close(s->file);
    s->file = NULL;
    OT_TRY(ot_feature_file_open(&s->file, s->path, s->model, s->floats));
    if (!s->file || ot_feature_file_rows(s->file) != s->rows)
        return ot_fail(OT_EIO, "%s: another program changed it", s->path);
    for (int64_t i = 0; i < s->rows; i++)
        s->row_of[i] = i;
    return OT_OK;
}

static ot_status fill_file(ot_feature_set *s, todo *t, const ot_feature_fill *fill, float *rows, float *room)
{
    int64_t missing;
    OT_TRY(ot_feature_file_open(&s->file, s->path, s->model, s->floats));
    OT_TRY(look_up(s, t, &missing, room));
    if (!missing)
        return OT_OK;
    todo_init(t, s, missing);
    return rewrite(s, t, fill, rows, room);
}

static char *path_in(const char *folder, uint64_t model, const char *place)
{
    size_t n = strlen(folder) + 40;
    char *path = ot_malloc(n, 1);
    if (path)
        snprintf(path, n, "%s/features-%016llx", folder, (unsigned long long)ot_rng_key(model, ot_hash(place), 0, 0));
    return path;
}

ot_status ot_feature_set_fill_file(ot_feature_set *s, const ot_feature_fill *fill, const char *folder)
{
    todo t = { 0 };
    if (!s->d->stamp || !s->d->place)
        return ot_fail(OT_EARG, "the data set does not tell when its samples change: features go to memory only");
    size_t floats = 0;
    bool fits = ot_mul(&floats, (size_t)fill->batch, (size_t)s->floats);
    s->model = ot_features_hash(fill->f);
    s->path = path_in(folder, s->model, s->d->place);
    s->row_of = ot_calloc((size_t)s->rows + 1, sizeof(*s->row_of));
    t.row = ot_calloc((size_t)s->rows + 1, sizeof(*t.row));
    float *rows = fits ? ot_malloc(floats, sizeof(float)) : NULL;
    float *room = ot_malloc((size_t)s->floats, sizeof(float));
    ot_status st = s->path && s->row_of && t.row && rows && room ? OT_OK : OT_ENOMEM;
    if (st == OT_OK) {
        ot_writer_tidy(folder);
        st = fill_file(s, &t, fill, rows, room);
    }
    ot_free(t.row);
    ot_free(rows);
    ot_free(room);
    return st;
}

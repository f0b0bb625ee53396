#include "train/feature_file.h"
#include "base/strmap.h"

#include <stdlib.h>
#include <string.h>

/* As the machine stores numbers: head; rows; for each row its key and checksum; the checksum of all of these. */
typedef struct head {
    char magic[8];
    uint64_t model;
    int64_t floats, rows;
} head;

typedef struct entry {
    uint64_t key, sum;
} entry;

typedef struct place {
    uint64_t key;
    int64_t row;
} place;

static const char magic[8] = "otfeat1\n";

struct ot_feature_file {
    ot_reader *r;
    int64_t floats, rows;
    entry *entry; /* [rows] */
    place *place; /* [rows], by key */
};

static uint64_t sum_of(const void *bytes, size_t n)
{
    return ot_hash_bytes(OT_HASH_START, bytes, n);
}

/* Bytes of a row and of the whole file; false: more than can be counted. */
static bool sizes(size_t *row, size_t *all, int64_t floats, int64_t rows)
{
    size_t each;
    return floats > 0 && rows > 0 && ot_mul(row, (size_t)floats, sizeof(float)) && ot_add(&each, *row, sizeof(entry)) &&
           ot_mul(all, each, (size_t)rows) && ot_add(all, *all, sizeof(head) + sizeof(uint64_t)) &&
           *all <= SIZE_MAX / 2;
}

static int by_key(const void *a, const void *b)
{
    const place *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

/* OT_EDATA: not a file of this kind; the error text is of no use. */
static ot_status read_table(ot_feature_file *f, uint64_t model, int64_t floats, uint64_t n)
{
    head h;
    size_t row, all;
    uint64_t sum;
    OT_TRY(ot_reader_at(f->r, 0, &h, sizeof(h)));
    if (memcmp(h.magic, magic, sizeof(magic)) != 0 || h.model != model || h.floats != floats ||
        !sizes(&row, &all, h.floats, h.rows) || n != all)
        return OT_EDATA;
    f->floats = floats;
    f->rows = h.rows;
    f->entry = ot_malloc((size_t)h.rows, sizeof(*f->entry));
    f->place = ot_malloc((size_t)h.rows, sizeof(*f->place));
    if (!f->entry || !f->place)
        return OT_ENOMEM;
    size_t table = (size_t)h.rows * sizeof(*f->entry);
    uint64_t at = sizeof(h) + (uint64_t)row * (uint64_t)h.rows;
    OT_TRY(ot_reader_at(f->r, at, f->entry, table));
    OT_TRY(ot_reader_at(f->r, at + table, &sum, sizeof(sum)));
    if (sum != sum_of(f->entry, table))
        return OT_EDATA;
    for (int64_t i = 0; i < f->rows; i++)
        f->place[i] = (place){ f->entry[i].key, i };
    qsort(f->place, (size_t)f->rows, sizeof(*f->place), by_key);
    return OT_OK;
}

ot_status ot_feature_file_open(ot_feature_file **out, const char *path, uint64_t model, int64_t floats)
{
    uint64_t n;
    *out = NULL;
    ot_feature_file *f = ot_calloc(1, sizeof(*f));
    if (!f)
        return OT_ENOMEM;
    ot_status st = ot_reader_open(&f->r, path, &n);
    if (st == OT_OK)
        st = read_table(f, model, floats, n);
    if (st == OT_OK) {
        *out = f;
        return OT_OK;
    }
    ot_feature_file_close(f);
    return st == OT_ENOMEM ? st : OT_OK;
}

void ot_feature_file_close(ot_feature_file *f)
{
    if (!f)
        return;
    ot_reader_close(f->r);
    ot_free(f->entry);
    ot_free(f->place);
    ot_free(f);
}

int64_t ot_feature_file_rows(const ot_feature_file *f)
{
    return f->rows;
}

int64_t ot_feature_file_find(const ot_feature_file *f, uint64_t key)
{
    place want = { .key = key };
    const place *p = bsearch(&want, f->place, (size_t)f->rows, sizeof(want), by_key);
    return p ? p->row : -1;
}

ot_status ot_feature_file_read(const ot_feature_file *f, int64_t row, float *features)
{
    size_t bytes = (size_t)f->floats * sizeof(float);
    if (row < 0 || row >= f->rows)
        return ot_fail(OT_EARG, "row %lld of %lld", (long long)row, (long long)f->rows);
    OT_TRY(ot_reader_at(f->r, sizeof(head) + (uint64_t)row * bytes, features, bytes));
    return sum_of(features, bytes) == f->entry[row].sum
               ? OT_OK
               : ot_fail(OT_EDATA, "the cache of features is damaged at row %lld", (long long)row);
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

struct ot_feature_writer {
    ot_writer *w;
    int64_t floats, rows, done;
    entry *entry;
};

ot_status ot_feature_writer_open(ot_feature_writer **out, const char *path, uint64_t model, int64_t floats,
                                 int64_t rows)
{
    head h = { .model = model, .floats = floats, .rows = rows };
    size_t row, all;
    *out = NULL;
    memcpy(h.magic, magic, sizeof(magic));
    if (!sizes(&row, &all, floats, rows))
        return ot_fail(OT_EARG, "%lld rows of %lld features", (long long)rows, (long long)floats);
    ot_feature_writer *w = ot_calloc(1, sizeof(*w));
    if (!w)
        return OT_ENOMEM;
    w->floats = floats;
    w->rows = rows;
    w->entry = ot_calloc((size_t)rows, sizeof(*w->entry));
    ot_status st = w->entry ? ot_writer_open(&w->w, path) : OT_ENOMEM;
    if (st == OT_OK)
        st = ot_writer_put(w->w, &h, sizeof(h));
    if (st == OT_OK)
        *out = w;
    else
        ot_feature_writer_abort(w);
    return st;
}

ot_status ot_feature_writer_put(ot_feature_writer *w, uint64_t key, const float *features)
{
    size_t bytes = (size_t)w->floats * sizeof(float);
    if (w->done >= w->rows)
        return ot_fail(OT_EARG, "more than %lld rows", (long long)w->rows);
    OT_TRY(ot_writer_put(w->w, features, bytes));
    w->entry[w->done++] = (entry){ key, sum_of(features, bytes) };
    return OT_OK;
}

ot_status ot_feature_writer_commit(ot_feature_writer *w)
{
    size_t table = (size_t)w->rows * sizeof(*w->entry);
    uint64_t sum = sum_of(w->entry, table);
    ot_status st =
        w->done == w->rows ? OT_OK : ot_fail(OT_EARG, "%lld of %lld rows", (long long)w->done, (long long)w->rows);
    if (st == OT_OK)
        st = ot_writer_put(w->w, w->entry, table);
    if (st == OT_OK)
        st = ot_writer_put(w->w, &sum, sizeof(sum));
    if (st == OT_OK) {
        st = ot_writer_commit(w->w);
        w->w = NULL;
    }
    ot_feature_writer_abort(w);
    return st;
}

void ot_feature_writer_abort(ot_feature_writer *w)
{
    if (!w)
        return;
    ot_writer_abort(w->w);
    ot_free(w->entry);
    ot_free(w);
}

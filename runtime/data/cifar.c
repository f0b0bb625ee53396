/* CIFAR-10's binary version as a data set: five files for training, one for validation, each of 10,000 records of one
 * byte of label and 3 x 32 x 32 bytes, the channels one after the other. */
#include "data/folder.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/strmap.h"
#include "data/augment.h"
#include "data/preprocess.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SIDE    32
#define PLANE   (SIDE * SIDE)
#define RECORD  (1 + 3 * PLANE)
#define RECORDS 10000
#define FILES   6

static const char *const files[FILES] = { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                          "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin" };
static const char *const classes[10] = { "airplane", "automobile", "bird",  "cat",  "deer",
                                         "dog",      "frog",       "horse", "ship", "truck" };

typedef struct cifar {
    ot_dataset data;
    ot_folder_options o;
    uint8_t *file[FILES];
    int64_t records[FILES];
    uint64_t stamp[FILES];
    char *place;
    char (*name)[32]; /* "data_batch_1.bin#17", training then validation */
} cifar;

bool ot_cifar_there(const char *dir)
{
    struct stat s;
    int found = 0;
    for (int i = 0; i < FILES; i++) {
        char *path = ot_folder_join(dir, files[i]);
        found += path && stat(path, &s) == 0 && S_ISREG(s.st_mode);
        ot_free(path);
    }
    return found == FILES;
}

/* The record of a sample: training runs through the first five files. */
static const uint8_t *record(const cifar *c, int split, int64_t index)
{
    int i = split == OT_VALID ? FILES - 1 : 0;
    while (index >= c->records[i])
        index -= c->records[i++];
    return c->file[i] + index * RECORD;
}

static const char *name_of(void *ctx, int split, int64_t index)
{
    const cifar *c = ctx;
    return c->name[split == OT_VALID ? c->data.count[OT_TRAIN] + index : index];
}

static int64_t label_of(void *ctx, int split, int64_t index)
{
    return record(ctx, split, index)[0];
}

static ot_status load(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample, int64_t *label)
{
    const cifar *c = ctx;
    const uint8_t *r = record(c, split, index);
    uint8_t rgb[3 * PLANE];
    const ot_image m = { SIDE, SIDE, rgb };
    for (int i = 0; i < PLANE; i++)
        for (int k = 0; k < 3; k++)
            rgb[3 * i + k] = r[1 + k * PLANE + i];
    *label = r[0];
    return ot_image_augment(sample, &m, &c->o.spec, augment ? c->o.augment : OT_AUGMENT_NONE, c->o.zoom,
                            ot_rng_key(c->o.seed, ot_hash("augment"), epoch, ot_hash(name_of(ctx, split, index))));
}

static uint64_t stamp_of(void *ctx, int split, int64_t index, bool augment, uint64_t epoch)
{
    const cifar *c = ctx;
    int64_t i = split == OT_VALID ? FILES - 1 : 0, at = index;
    while (at >= c->records[i])
        at -= c->records[i++];
    bool changes = augment && c->o.augment != OT_AUGMENT_NONE;
    uint64_t file = ot_rng_key(c->stamp[i], (uint64_t)at, ot_image_spec_hash(&c->o.spec), 0);
    return c->stamp[i] ? ot_rng_key(file, changes ? ot_augment_hash(&c->o) : 0, changes ? epoch + 1 : 0, 0) | 1 : 0;
}

static void close_cifar(void *ctx)
{
    cifar *c = ctx;
    ot_free(c->place);
    for (int i = 0; i < FILES; i++)
        ot_free(c->file[i]);
    ot_free(c->name);
    ot_free(c);
}

static ot_status read_file(cifar *c, int i, const char *dir)
{
    size_t n;
    char *path = ot_folder_join(dir, files[i]);
    if (!path)
        return OT_ENOMEM;
    c->stamp[i] = ot_seen_key(dir, files[i]);
    ot_status st = ot_file_read(&c->file[i], &n, path, (size_t)RECORD * RECORDS * 10);
    c->records[i] = (int64_t)(n / RECORD);
    if (st == OT_OK && (n == 0 || n % RECORD))
        st = ot_fail(OT_EDATA, "%s: %zu bytes are not whole records of %d", path, n, RECORD);
    for (int64_t k = 0; st == OT_OK && k < c->records[i]; k++)
        if (c->file[i][k * RECORD] > 9)
            st =
                ot_fail(OT_EDATA, "%s: record %lld has label %d, not 0..9", path, (long long)k, c->file[i][k * RECORD]);
    ot_free(path);
    return st;
}

static ot_status fill(cifar *c, const char *dir)
{
    int64_t n = 0;
    if (!(c->place = ot_folder_place(dir)))
        return OT_ENOMEM;
    for (int i = 0; i < FILES; i++) {
        OT_TRY(read_file(c, i, dir));
        n += c->records[i];
        c->data.count[i == FILES - 1 ? OT_VALID : OT_TRAIN] += c->records[i];
    }
    c->name = ot_malloc((size_t)n, sizeof(*c->name));
    if (!c->name)
        return OT_ENOMEM;
    n = 0;
    for (int i = 0; i < FILES; i++)
        for (int64_t k = 0; k < c->records[i]; k++)
            snprintf(c->name[n++], sizeof(*c->name), "%s#%lld", files[i], (long long)k);
    return OT_OK;
}

ot_status ot_cifar_open(ot_dataset **out, const char *dir, const ot_folder_options *o)
{
    *out = NULL;
    cifar *c = ot_calloc(1, sizeof(*c));
    if (!c)
        return OT_ENOMEM;
    int64_t n = o->spec.size;
    c->o = *o;
    if (!c->o.spec.resize && n <= SIDE)
        c->o.spec.resize = n; /* pictures this small have no border to cut off */
    c->data = (ot_dataset){ .ctx = c,
                            .classes = 10,
                            .class_names = classes,
                            .rank = 3,
                            .dim = { o->spec.nhwc ? n : 3, n, o->spec.nhwc ? 3 : n },
                            .load = load,
                            .label = label_of,
                            .name = name_of,
                            .close = close_cifar,
                            .stamp = stamp_of };
    ot_status st = fill(c, dir);
    if (st != OT_OK) {
        close_cifar(c);
        return st;
    }
    c->data.place = c->place;
    *out = &c->data;
    return OT_OK;
}

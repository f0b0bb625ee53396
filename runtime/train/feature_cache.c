/* Whether features of the frozen part are kept, and their way into the trainer. */
#include "train/trainer.h"

#include <stdio.h>
#include <string.h>

#define FILL_PARTS 4 /* parts of the frozen plan in a batch, while filling */
#define SHARE      2 /* features take at most half of the memory that is free */

static bool asked(const ot_trainer *t)
{
    return t->o.cache == OT_CACHE_MEMORY || t->o.cache == OT_CACHE_DISK;
}

/* Off, for this reason; an error where it was asked for. */
static ot_status off(ot_trainer *t, const char *why)
{
    snprintf(t->cache_why, sizeof(t->cache_why), "%s", why);
    t->cache.why = t->cache_why;
    ot_feature_set_close(t->features);
    t->features = NULL;
    return asked(t) ? ot_fail(OT_EARG, "features cannot be kept: %s", why) : OT_OK;
}

/* Samples that would still be computed without keeping any. */
static int64_t to_compute(const ot_trainer *t)
{
    int64_t epochs = t->schedule.epochs - t->at.epoch, n = t->d->count[OT_TRAIN];
    int64_t steps = t->schedule.steps - t->at.t, each = t->o.batch * t->o.accumulate;
    int64_t most = epochs > 0 ? epochs * n : 0, valid = t->frozen->validates ? t->d->count[OT_VALID] : 0;
    int64_t train = steps > 0 && steps < most / each ? steps * each : most;
    return train + (epochs > 0 ? epochs * valid : 0);
}

static void bytes_text(char text[32], size_t n)
{
    snprintf(text, 32, n < (size_t)10 << 20 ? "%.1f MB" : "%.0f MB", (double)n / 1e6);
}

/* Is there room for this much, beside the plans? */
static ot_status check_room(ot_trainer *t, size_t bytes)
{
    char need[32], free_text[32], why[160];
    ot_train_plan p;
    size_t room = ot_memory_available() / SHARE;
    if (t->o.memory) {
        OT_TRY(ot_trainer_plan(t, &p));
        size_t used = p.memory.state + p.memory.packed + p.memory.activations + p.memory.workspace;
        room = t->o.memory > used ? t->o.memory - used : 0;
    } else if (asked(t)) {
        return OT_OK;
    }
    if (bytes <= room)
        return OT_OK;
    bytes_text(need, bytes);
    bytes_text(free_text, room);
    snprintf(why, sizeof(why), "they take %s, there is room for %s", need, free_text);
    ot_status st = off(t, why);
    return st == OT_OK ? st : ot_fail(OT_ENOMEM, "features cannot be kept: %s", why);
}

static ot_status decide(ot_trainer *t)
{
    bool disk = t->o.cache == OT_CACHE_DISK;
    if (!t->frozen)
        return off(t, asked(t) ? "no part before the first layer that trains is frozen" : "");
    t->cache.layers = t->frozen->layers;
    t->cache.floats = t->frozen->f->floats;
    if (t->o.cache == OT_CACHE_OFF)
        return off(t, "as asked");
    if (t->o.augment && !t->o.cache_variants)
        return off(t, "augmentation makes new samples in every epoch");
    OT_TRY(ot_feature_set_create(&t->features, t->d, t->o.augment, t->o.cache_variants, t->frozen->validates,
                                 t->frozen->f->floats));
    if (disk && (!t->d->stamp || !t->d->place))
        return off(t, "the data set does not tell when its samples change, as a file needs it");
    if (!asked(t) && to_compute(t) <= t->features->rows)
        return off(t, t->o.augment ? "this run sees few variants twice" : "this run sees no sample twice");
    size_t bytes = ot_feature_set_bytes(t->features);
    if (!disk)
        OT_TRY(check_room(t, bytes));
    if (!t->features)
        return OT_OK;
    t->cache.mode = disk ? OT_CACHE_DISK : OT_CACHE_MEMORY;
    t->cache.samples = t->features->rows;
    t->cache.variants = t->features->variants;
    t->cache.bytes = bytes;
    return OT_OK;
}

ot_status ot_cache_decide(ot_trainer *t)
{
    if ((int)t->o.cache < OT_CACHE_AUTO || t->o.cache > OT_CACHE_DISK || t->o.cache_variants < 0 ||
        t->o.cache_variants > 1000000)
        return ot_fail(OT_EARG, "cache %d or %lld variants are not known", (int)t->o.cache,
                       (long long)t->o.cache_variants);
    t->cache = (ot_cache_info){ .mode = OT_CACHE_OFF };
    return decide(t);
}

/* ---- Filling ------------------------------------------------------------------------------------------------------
 */

static ot_status fill(ot_trainer *t, const ot_feature_fill *fill)
{
    if (t->cache.mode == OT_CACHE_MEMORY)
        return ot_feature_set_fill(t->features, fill);
    char *folder;
    OT_TRY(ot_cache_folder(&folder));
    if (!folder && !t->o.checkpoint)
        return ot_fail(OT_EIO, "there is no folder for features: neither XDG_CACHE_HOME nor HOME is set");
    ot_status st = ot_feature_set_fill_file(t->features, fill, folder ? folder : t->o.checkpoint);
    ot_free(folder);
    return st;
}

/* Loaders over the features take the place of those over the samples. */
static ot_status change_loaders(ot_trainer *t)
{
    ot_loader *train = NULL, *valid = NULL;
    ot_loader_options l = OT_LOADER_INIT;
    l.batch = t->o.batch;
    l.augment = t->o.augment;
    l.variants = t->o.cache_variants;
    l.seed = t->o.seed;
    l.threads = 1;
    OT_TRY(ot_loader_create(&train, &t->features->data, &l));
    l.split = OT_VALID;
    l.augment = l.shuffle = false;
    ot_status st = t->features->data.count[OT_VALID] ? ot_loader_create(&valid, &t->features->data, &l) : OT_OK;
    if (st != OT_OK) {
        ot_loader_close(train);
        return st;
    }
    ot_loader_close(t->train);
    t->train = train;
    if (valid) {
        ot_loader_close(t->valid);
        t->valid = valid;
    }
    t->frozen->ready = true;
    return OT_OK;
}

ot_status ot_cache_fill(ot_trainer *t, bool (*progress)(void *ctx, int64_t done, int64_t total), void *ctx)
{
    if (!t->features || t->frozen->ready)
        return OT_OK;
    ot_feature_fill f = { .f = t->frozen->f,
                          .batch = FILL_PARTS * t->frozen->f->part,
                          .loaders = t->o.loaders,
                          .progress = progress,
                          .ctx = ctx };
    OT_TRY(fill(t, &f));
    t->cache.found = t->features->found;
    return change_loaders(t);
}

void ot_cache_note(ot_trainer *t, int64_t samples)
{
    ot_cache_info *c = &t->cache;
    int64_t computed = c->samples - c->found;
    if (!t->frozen || !t->frozen->ready)
        return;
    c->served += samples;
    c->saved = computed ? c->filled / (double)computed * (double)c->served - c->filled : 0;
}

void ot_trainer_cache(const ot_trainer *t, ot_cache_info *out)
{
    *out = t->cache;
}

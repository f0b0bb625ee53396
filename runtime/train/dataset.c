#include "train/dataset.h"

#include <stdio.h>
#include <string.h>

void ot_dataset_close(ot_dataset *d)
{
    if (d && d->close)
        d->close(d->ctx);
}

ot_status ot_set_error(ot_status st, const char *text)
{
    return ot_fail(st, "%s", text);
}

ot_status ot_dataset_check(const ot_dataset *d, int64_t *floats)
{
    size_t bytes;
    if (!d->load || !d->label)
        return ot_fail(OT_EARG, "the data set lacks its %s function", d->load ? "label" : "load");
    if (d->classes < 1 || d->count[0] < 0 || d->count[1] < 0)
        return ot_fail(OT_EARG, "the data set has %lld classes, %lld + %lld samples", (long long)d->classes,
                       (long long)d->count[0], (long long)d->count[1]);
    if (d->rank < 0 || d->rank >= OT_MAX_RANK)
        return ot_fail(OT_EARG, "the data set's samples have rank %d, not 0..%d", d->rank, OT_MAX_RANK - 1);
    OT_TRY(ot_bytes(&bytes, OT_FLOAT, d->rank, d->dim));
    *floats = (int64_t)(bytes / sizeof(float));
    return OT_OK;
}

const char *ot_dataset_name(const ot_dataset *d, int split, int64_t index, char *text, size_t n)
{
    const char *name = d->name ? d->name(d->ctx, split, index) : NULL;
    if (name)
        return name;
    snprintf(text, n, "sample %lld", (long long)index);
    return text;
}

ot_status ot_dataset_load(const ot_dataset *d, int split, int64_t index, bool augment, uint64_t epoch, float *sample,
                          int64_t *label)
{
    char text[64];
    *label = 0;
    ot_set_error(OT_OK, "");
    ot_status st = d->load(d->ctx, split, index, augment, epoch, sample, label);
    if (st == OT_OK && *label >= 0 && *label < d->classes)
        return OT_OK;
    if (st == OT_OK)
        st = ot_fail(OT_EDATA, "label %lld is not in 0..%lld", (long long)*label, (long long)d->classes - 1);
    const char *name = ot_dataset_name(d, split, index, text, sizeof(text));
    if (!ot_last_error()[0])
        ot_fail(st, "cannot be loaded");
    return strstr(ot_last_error(), name) ? st : ot_context(st, "%s", name);
}

ot_batch ot_usual_batch(const ot_dataset *d, int64_t batch)
{
    ot_batch b = { .n = batch < d->count[OT_TRAIN] ? batch : d->count[OT_TRAIN] };
    b.steps = d->text ? d->steps : 0;
    b.rows = d->text && d->each ? b.n * b.steps : b.n;
    return b;
}

ot_status ot_dataset_class_counts(const ot_dataset *d, int split, int64_t *count)
{
    for (int64_t c = 0; c < d->classes; c++)
        count[c] = 0;
    for (int64_t i = 0; i < d->count[split]; i++) {
        int64_t label = d->label(d->ctx, split, i);
        if (label < 0 || label >= d->classes)
            return ot_fail(OT_EDATA, "sample %lld: label %lld is not in 0..%lld", (long long)i, (long long)label,
                           (long long)d->classes - 1);
        count[label]++;
    }
    return OT_OK;
}

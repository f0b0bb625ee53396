/* What the trainer and the loader need of a data set (ot_dataset in onnxtune.h) besides its functions. */
#ifndef OT_TRAIN_DATASET_H
#define OT_TRAIN_DATASET_H

#include "base/tensor.h"

/* OT_EARG when a data set is not filled in properly; *floats: elements of one sample. */
ot_status ot_dataset_check(const ot_dataset *d, int64_t *floats);
/* d->name, or "sample 12" written into text (at least 32 bytes) when the set has no names. */
const char *ot_dataset_name(const ot_dataset *d, int split, int64_t index, char *text, size_t n);
/* Loads one sample; an error's text is given the sample's name unless it begins with it, and a label outside the
 * classes is an error. */
ot_status ot_dataset_load(const ot_dataset *d, int split, int64_t index, bool augment, uint64_t epoch, float *sample,
                          int64_t *label);
/* A batch of the usual size, without data: for plans. */
ot_batch ot_usual_batch(const ot_dataset *d, int64_t batch);
/* Samples of each class of a split into count[d->classes]. */
ot_status ot_dataset_class_counts(const ot_dataset *d, int split, int64_t *count);

#endif

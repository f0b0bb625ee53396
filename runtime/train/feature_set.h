/* Features of a data set's samples, computed once and kept: in memory, or in a file for later runs too.  Kept ones are
 * a data set themselves, with the labels and names of the samples. */
#ifndef OT_TRAIN_FEATURE_SET_H
#define OT_TRAIN_FEATURE_SET_H

#include "exec/features.h"
#include "train/feature_file.h"

typedef struct ot_feature_set {
    const ot_dataset *d; /* the samples */
    bool augment;        /* training samples are augmented: their epochs 0 .. variants-1 are kept */
    int64_t variants;    /* 1 without augmentation */
    bool validates;      /* the samples for validation are kept too */
    int64_t floats, rows;
    float *memory; /* [rows][floats], training by variant, then validation; NULL: in the file */
    char *path;
    uint64_t model;
    ot_feature_file *file;
    int64_t *row_of; /* [rows]: the file's row; -1: not there */
    ot_dataset data; /* the features as a data set */
    int64_t found;   /* rows that the file had already */
} ot_feature_set;

typedef struct ot_feature_fill {
    ot_features *f;
    int64_t batch;
    int loaders;
    bool (*progress)(void *ctx, int64_t done, int64_t total); /* false stops: OT_ESTOPPED */
    void *ctx;
} ot_feature_fill;

/* Nothing is computed yet.  d must outlive it. */
ot_status ot_feature_set_create(ot_feature_set **out, const ot_dataset *d, bool augment, int64_t variants,
                                bool validates, int64_t floats);
void ot_feature_set_close(ot_feature_set *s);
/* Bytes of all rows; SIZE_MAX when they cannot be counted. */
size_t ot_feature_set_bytes(const ot_feature_set *s);
/* Computes all rows, into memory. */
ot_status ot_feature_set_fill(ot_feature_set *s, const ot_feature_fill *fill);
/* The same into a file of `folder`, but for those that are there from an earlier run.  OT_EARG: the data set does not
 * tell when its samples change. */
ot_status ot_feature_set_fill_file(ot_feature_set *s, const ot_feature_fill *fill, const char *folder);

#endif

/* Features: what the frozen part of a graph gives for each sample.  It runs in parts that all have the same number of
 * samples, so that a sample's features have the same bits in whatever batch it comes. */
#ifndef OT_EXEC_FEATURES_H
#define OT_EXEC_FEATURES_H

#include "exec/executor.h"

typedef struct ot_features {
    ot_executor *e;   /* one input; every output has the batch as dimension 0; owned */
    int64_t part;     /* samples of a part */
    int64_t n_output; /* and of each: its shape for one sample, and its floats */
    ot_tensor *shape; /* dim[0] is 1; no data */
    int64_t *size;
    int64_t floats;   /* of one sample in all */
    ot_tensor sample; /* the input for a part */
    float *pad;       /* a part's samples where there are fewer; owned */
} ot_features;

/* Takes g over, also when it fails.  sample: the input for one sample, dim[0] is 1.  batch: the usual number of samples
 * of a run; the size of a part follows from it, the shapes and opts->memory. */
ot_status ot_features_create(ot_features **out, ot_graph *g, const ot_executor_opts *opts, const ot_tensor *sample,
                             int64_t batch);
void ot_features_close(ot_features *f);
/* Rows of f->floats, the outputs one after the other, for n samples. */
ot_status ot_features_run(ot_features *f, float *rows, const float *samples, int64_t n);
/* Of all that the features depend on besides the sample: nodes, weights, the size of a part, kernels. */
uint64_t ot_features_hash(const ot_features *f);

#endif

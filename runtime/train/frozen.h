/* The frozen part of a model in training: it runs as inference does, apart from the training step, which begins at the
 * values that cross.  Validation begins there too. */
#ifndef OT_TRAIN_FROZEN_H
#define OT_TRAIN_FROZEN_H

#include "exec/features.h"
#include "train/parameters.h"
#include "train/step_graph.h"

typedef struct ot_frozen {
    ot_features *f;
    const char **name; /* of the values that cross; f's outputs, in this order */
    int64_t n;
    ot_tensor *input; /* [n]: what a graph that begins there reads */
    float *rows;      /* [batch][f->floats] */
    float *apart;     /* the same by value, where several cross; else NULL */
    bool validates;   /* validation begins there too */
    int64_t layers;   /* of the document: the frozen part ends before this one */
    bool ready;       /* batches come as rows of features */
} ot_frozen;

/* What the graphs of a trainer are built from. */
typedef struct ot_step_source {
    const ot_model *m;
    const ot_parameters *ps;
    const ot_train_options *o;
    const ot_dataset *d;
} ot_step_source;

/* NULL in *out, and OT_OK, where nothing is frozen that is worth it. */
ot_status ot_frozen_create(ot_frozen **out, const ot_step_source *s, const ot_executor_opts *eo);
void ot_frozen_close(ot_frozen *z);
/* A training step, finished; z NULL: the whole of it, else what follows the frozen part. */
ot_status ot_frozen_step(ot_graph **out, const ot_frozen *z, const ot_step_source *s, ot_step_kind kind);
/* What evaluation runs; sets z->validates when it begins at the frozen part's values. */
ot_status ot_frozen_eval(ot_graph **out, ot_frozen *z, const ot_step_source *s);
/* z->input for a batch, valid until the next call; without samples only their shapes. */
ot_status ot_frozen_inputs(const ot_tensor **in, ot_frozen *z, const ot_batch *b);

#endif

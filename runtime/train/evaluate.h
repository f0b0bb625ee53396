/* One pass over a split: losses, predictions, probabilities. */
#ifndef OT_TRAIN_EVALUATE_H
#define OT_TRAIN_EVALUATE_H

#include "exec/executor.h"

#include <stdatomic.h>

typedef struct ot_scoring {
    ot_executor *e;           /* over an ot_eval_graph_build */
    struct ot_frozen *frozen; /* e runs on the frozen part's features; NULL: on the samples */
    ot_loader *loader;
    const ot_dataset *d;
    ot_loss loss;
    int64_t total;                                            /* samples of a pass, for progress */
    bool (*progress)(void *ctx, int64_t done, int64_t total); /* may be NULL */
    void *ctx;
    atomic_int *stop; /* may be NULL: not 0 ends the pass with OT_ESTOPPED */
} ot_scoring;

typedef struct ot_score {
    double loss, loss_unweighted; /* the mean over samples; the plain mean over batches */
    int64_t samples, correct;
} ot_score;

/* Scores an epoch of the loader.  probability, when not NULL, is [samples][classes] by index in the split and is added
 * to with weight `share`. */
ot_status ot_score_pass(ot_score *out, const ot_scoring *s, uint64_t epoch, float *probability, float share);

/* The input tensor over a batch of a data set's samples, or of text; no data is copied. */
ot_tensor ot_batch_tensor(const ot_dataset *d, const ot_batch *b);

#endif

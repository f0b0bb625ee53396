/* Inside of a trainer, for the parts of train/ that work on one: the loop, checkpoints, the rate finder. */
#ifndef OT_TRAIN_TRAINER_H
#define OT_TRAIN_TRAINER_H

#include "train/evaluate.h"
#include "train/feature_set.h"
#include "train/frozen.h"
#include "train/parameters.h"
#include "train/schedule.h"
#include "train/step_graph.h"

#include <stdatomic.h>

/* All that a resumed run needs besides the store: where it is, and its averages. */
typedef struct ot_progress {
    int64_t epoch, batch; /* the next batch to train on, within the epoch */
    int64_t batches_done; /* since the run began */
    int64_t t;            /* optimiser steps done */
    int64_t skipped;      /* of them, those whose gradients were not finite: they do not age the optimiser */
    int64_t averaged;     /* batches that the average holds */
    double average;       /* of the loss, .98, not debiased */
    double seconds;       /* of earlier sittings */
    double best;          /* accuracy, -1: none yet */
    int64_t best_epoch;
} ot_progress;

struct ot_trainer {
    ot_model *m; /* not owned */
    const ot_dataset *d;
    ot_train_options o; /* strings that outlive creation are copies */
    ot_arena arena;
    ot_parameters ps;
    ot_schedule schedule;
    ot_threads *threads;
    ot_store *store;
    ot_workspace workspace;
    ot_frozen *frozen;                 /* NULL: the step and the evaluation begin at the samples */
    ot_executor *step, *gather, *eval; /* gather: with accumulate over 1 */
    ot_loader *train, *valid;          /* valid: NULL without samples */
    int64_t batches;                   /* of an epoch */
    ot_tensor *input;                  /* of the step graph */
    float *targets;                    /* [batch][C] for losses that want floats */
    float rate[OT_MAX_GROUPS];
    int64_t number, t, first; /* scalars that the step reads */
    ot_progress at;
    ot_model *best;                     /* keep_best: the weights of the best epoch */
    uint64_t trained_hash, frozen_hash; /* of the names that train; of the names and bits that do not */
    char *last_saved, *saved_before;    /* names of this run's checkpoints; the older is removed */
    atomic_int stop, snapshot;
    ot_feature_set *features; /* NULL: none are kept */
    ot_cache_info cache;
    char cache_why[200];
};

/* One batch: loss, norm and whether it was skipped; the rates are t->rate. */
ot_status ot_trainer_batch(ot_trainer *t, const ot_batch *b, bool last_of_epoch, ot_event *e);
/* The states that the model carries from batch to batch, as they are now; free with ot_free, put back before that or
 * not.  A pass that is not counted puts them back. */
ot_status ot_states_copy(char **out, const ot_trainer *t);
void ot_states_restore(const ot_trainer *t, const char *copy);
/* The store's values into the model's initialisers. */
ot_status ot_trainer_write_back(const ot_trainer *t, ot_model *m);

/* feature_cache.c */
/* Decides whether features are kept, once all else is known.  OT_EARG: it was asked for and cannot be. */
ot_status ot_cache_decide(ot_trainer *t);
/* Computes them; from here on the loaders give features.  progress: false stops with OT_ESTOPPED. */
ot_status ot_cache_fill(ot_trainer *t, bool (*progress)(void *ctx, int64_t done, int64_t total), void *ctx);
/* Training samples that came from the loaders as features, or were validated. */
void ot_cache_note(ot_trainer *t, int64_t samples);

/* checkpoint.c */
/* What a resumed run is compared by, besides its options; before the first save or load. */
ot_status ot_checkpoint_fingerprint(ot_trainer *t);
ot_status ot_checkpoint_save(ot_trainer *t, const char **path);
/* Weights, state and progress from the folder's latest checkpoint.  OT_EARG: the options contradict it. */
ot_status ot_checkpoint_load(ot_trainer *t, const char *folder);

#endif

/* Training, evaluation, finding a rate.  Part of onnxtune.h, which includes it. */
#ifndef ONNXTUNE_TRAIN_H
#define ONNXTUNE_TRAIN_H

#ifndef ONNXTUNE_H
#error "include onnxtune.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ot_optimizer { OT_SGD, OT_ADAM, OT_ADAMW, OT_ADAGRAD, OT_RMSPROP } ot_optimizer; /* as PyTorch's */

/* AUTO: cross-entropy of a classifier, whether the model ends in LogSoftmax, Softmax or plain scores. */
typedef enum ot_loss { OT_LOSS_AUTO, OT_LOSS_CROSS_ENTROPY, OT_LOSS_NLL, OT_LOSS_MSE, OT_LOSS_BCE } ot_loss;

typedef enum ot_schedule_kind {
    OT_CONSTANT,  /* the rate as it is */
    OT_SGDR,      /* cosine from the rate to lr_min within each cycle, then a restart */
    OT_ONE_CYCLE, /* up to the rate over the first 30 % of the steps, then down to lr_min, both as a cosine */
    OT_STEP       /* the rate times decay after each decay_every epochs */
} ot_schedule_kind;

/* Features of the frozen part (all before the first layer that trains, or the first Dropout) may be computed once for
 * each sample and kept.  Results have the same bits with and without.  AUTO: in memory, where samples are the same in
 * every epoch, that saves work, and there is room. */
typedef enum ot_cache { OT_CACHE_AUTO, OT_CACHE_OFF, OT_CACHE_MEMORY, OT_CACHE_DISK } ot_cache;

#define OT_MAX_GROUPS 16 /* of layers with a rate of their own */

typedef struct ot_train_options {
    /* What trains.  A layer is a number (negative from the end), a name or a prefix, as in `show`. */
    const char *freeze_to;    /* layers before this one are frozen; NULL: none is */
    bool bn_freeze;           /* BatchNormalization keeps its running statistics everywhere */
    const char *const *train; /* names of initializers that train whatever freeze_to says */
    int64_t n_train;
    const char *const *no_train; /* and of ones that do not */
    int64_t n_no_train;

    /* Rates and decays of the layer groups, first to last; one for all, or one a group. */
    double lr[OT_MAX_GROUPS], wd[OT_MAX_GROUPS];
    int n_lr, n_wd;
    int64_t groups[OT_MAX_GROUPS]; /* the layer at which group 1, 2, ... begins */
    int n_groups;                  /* how many such layers; 0: split at the head and at half of the body's parameters */

    ot_optimizer optimizer;
    double momentum, dampening; /* SGD, RMSprop */
    bool nesterov;
    double beta1, beta2, alpha, eps; /* Adam's betas, RMSprop's smoothing, all adaptive ones' epsilon (0: PyTorch's) */
    double clip;                     /* largest norm of all gradients together; 0: not clipped */

    ot_loss loss;
    double label_smoothing; /* 0 .. 1, cross-entropy only */

    ot_schedule_kind schedule;
    int64_t epochs;                        /* of CONSTANT, ONE_CYCLE, STEP */
    int64_t steps;                         /* instead of epochs, when over 0 */
    int64_t cycles, cycle_len, cycle_mult; /* SGDR: epochs of the first cycle, and how each next one grows */
    int64_t cycle_steps; /* SGDR, over 0: steps of the first cycle, whatever an epoch has; `epochs` ends the run */
    bool compat_2017; /* SGDR as fastai had it in 2017: the rate is a hundredth in the first 20th of the first cycle */
    double lr_min;
    int64_t warmup;      /* steps over which the rate rises from a hundredth, at the very start */
    int64_t decay_every; /* epochs */
    double decay;

    int64_t batch, accumulate; /* samples of a batch; batches whose gradients make one step */
    bool augment;              /* as ot_dataset.load */
    uint64_t seed;
    int threads;   /* of the arithmetic; 0: the physical cores */
    int loaders;   /* threads that load; 0: as many as fit */
    size_t memory; /* cap in bytes; 0: none */

    const char *checkpoint; /* folder for checkpoints; NULL: none are written */
    const char *resume;     /* folder to go on from; NULL: a fresh start */
    bool keep_best; /* the model ends as it was after the epoch with the best accuracy; else as after the last */
    bool timed;     /* each kernel's time is taken, for ot_trainer_step */

    ot_cache cache;
    int64_t cache_variants; /* with augment: epoch e sees the samples of epoch e % cache_variants, which can be kept;
                               0: every epoch is new */
} ot_train_options;
/* SGD with momentum .9, rate .01, one epoch of batches of 64, seed 42. */
#define OT_TRAIN_INIT                                                                                                  \
    {                                                                                                                  \
        .lr = { 0.01 }, .n_lr = 1, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.999, .alpha = 0.99, .epochs = 1,          \
        .cycles = 1, .cycle_len = 1, .cycle_mult = 1, .decay_every = 1, .decay = 0.1, .batch = 64, .accumulate = 1,    \
        .augment = true, .seed = 42                                                                                    \
    }

typedef enum ot_event_kind {
    OT_TRAIN_BEGIN,
    OT_EPOCH_BEGIN,
    OT_BATCH_BEGIN,
    OT_BATCH_END,
    OT_CYCLE_END, /* SGDR: the step that ends a cycle was done */
    OT_EPOCH_END, /* validated, if there are samples for it */
    OT_SAVED,     /* a checkpoint was written: path */
    OT_TRAIN_END,
    OT_CACHING /* before the first epoch: the features of `batch` of `batches` samples are there */
} ot_event_kind;

typedef struct ot_event {
    ot_event_kind kind;
    int64_t epoch, epochs;             /* from 0; in all */
    int64_t step, steps;               /* done so far; in all */
    int64_t batch, batches;            /* within the epoch */
    double loss;                       /* debiased moving average (.98) since the run began */
    double batch_loss;                 /* of the last batch */
    double lr;                         /* of the last group, at this step */
    double grad_norm;                  /* of all gradients together, before clipping */
    bool skipped;                      /* the gradients were not finite and nothing was changed */
    double valid_loss, valid_accuracy; /* EPOCH_END: weighted by samples; NaN without samples */
    double valid_loss_unweighted;      /* the plain mean over batches, as the course logged it */
    double seconds;                    /* since the run began */
    double waited;                     /* share of the epoch's time in which the step waited for data */
    const char *path;                  /* SAVED */
} ot_event;

/* Returns false to stop after this batch: state is saved and OT_ESTOPPED returned. */
typedef bool ot_on_event(void *ctx, const ot_event *e);

typedef struct ot_trainer ot_trainer;

/* The model and the data set must outlive the trainer.  Builds and plans the step: all missing gradients are reported
 * at once, and a model whose output does not fit the number of classes. */
OT_API ot_status ot_trainer_create(ot_trainer **out, ot_model *m, const ot_dataset *d, const ot_train_options *o);
OT_API void ot_trainer_close(ot_trainer *t);
/* Trains; on_event may be NULL.  Afterwards, and after OT_ESTOPPED, the model holds the trained weights. */
OT_API ot_status ot_trainer_run(ot_trainer *t, ot_on_event *on_event, void *ctx);
/* Safe in signal handlers and other threads: finish the batch, save, return OT_ESTOPPED; and: save after this batch. */
OT_API void ot_trainer_stop(ot_trainer *t);
OT_API void ot_trainer_snapshot(ot_trainer *t);

/* A copy of the model with the weights as they are now, also from within an event.  Close it with ot_model_close. */
OT_API ot_status ot_trainer_model(ot_model **out, const ot_trainer *t);

/* What trains and how, before anything runs. */
typedef struct ot_train_plan {
    int64_t layers, first_layer; /* of the document; the first that trains */
    int64_t parameters, trained; /* elements */
    int64_t groups;
    int64_t group_layer[OT_MAX_GROUPS]; /* the first layer of each */
    int64_t batchnorms, bn_training;    /* BatchNormalization layers, and those that update their statistics */
    int64_t epochs, steps, batches;     /* batches: of an epoch */
    ot_memory memory;                   /* of the step at the nominal batch */
} ot_train_plan;
/* Known from ot_trainer_create on. */
OT_API ot_status ot_trainer_plan(const ot_trainer *t, ot_train_plan *out);
/* The step as text, a line a kernel, as ot_session_explain; free with ot_text_free. */
OT_API ot_status ot_trainer_explain(char **out, const ot_trainer *t);
/* Kernel i of a training step, as ot_session_step; with accumulate over 1 of the batch that ends one. */
OT_API ot_status ot_trainer_step(const ot_trainer *t, int64_t i, ot_step_info *out);
/* Whether features of the frozen part are kept. */
typedef struct ot_cache_info {
    ot_cache mode;    /* OFF, MEMORY or DISK */
    const char *why;  /* OFF: the reason, as half a sentence; "" where nothing is frozen; else NULL */
    int64_t layers;   /* the frozen part ends before this one; 0: there is none */
    int64_t floats;   /* that are kept of a sample */
    int64_t samples;  /* that are kept, a variant counted as one */
    int64_t variants; /* of a sample for training */
    size_t bytes;     /* of all */
    /* After ot_trainer_run: */
    int64_t found;  /* samples whose features an earlier run had left on the disk */
    int64_t served; /* samples that training and validation did not have to compute */
    double filled;  /* seconds that filling took */
    double saved;   /* seconds saved in all, filling subtracted, by the time that a computed one took; 0: none was */
} ot_cache_info;
/* Decided by ot_trainer_create. */
OT_API void ot_trainer_cache(const ot_trainer *t, ot_cache_info *out);
/* NONE: the layer is no BatchNormalization; FROZEN: it uses its running statistics; TRAINS: it updates them. */
typedef enum ot_bn_mode { OT_BN_NONE, OT_BN_FROZEN, OT_BN_TRAINS } ot_bn_mode;
/* Of one layer of the document, counted from 0. */
OT_API bool ot_trainer_layer_trains(const ot_trainer *t, int64_t layer);
OT_API ot_bn_mode ot_trainer_layer_bn(const ot_trainer *t, int64_t layer);
OT_API double ot_trainer_layer_lr(const ot_trainer *t, int64_t layer); /* 0 when it does not train */

/* ---- Evaluation ---- */

typedef struct ot_eval_options {
    int split; /* OT_VALID or OT_TRAIN */
    int64_t batch;
    int tta; /* augmented passes beside the plain ones: the mean of probabilities, 1 plain to 4 augmented */
    uint64_t seed;
    int threads;
    int loaders;
    size_t memory;
    bool (*progress)(void *ctx, int64_t done, int64_t total); /* may be NULL; false stops: OT_ESTOPPED */
    void *ctx;
} ot_eval_options;
#define OT_EVAL_INIT                                                                                                   \
    {                                                                                                                  \
        .split = OT_VALID, .batch = 64, .seed = 42                                                                     \
    }

typedef struct ot_eval_result {
    int64_t samples, classes, correct;
    double loss, accuracy; /* mean cross-entropy over the samples */
    int64_t *confusion;    /* [classes][classes]: row = true class, column = predicted */
    int64_t *predicted;    /* [samples] */
    int64_t *labels;       /* [samples] */
    float *probability;    /* [samples][classes] */
} ot_eval_result;
/* Runs a split through the model as in inference; any trained or downloaded classifier.  Release the result. */
OT_API ot_status ot_evaluate(ot_eval_result *out, const ot_model *m, const ot_dataset *d, const ot_eval_options *o);
OT_API void ot_eval_result_release(ot_eval_result *r);

/* ---- Finding a rate ---- */

typedef struct ot_lr_find_options {
    double from, to; /* the rate grows exponentially from one to the other */
    int64_t steps;   /* 0: one epoch, 100 at least */
    double stop_at;  /* ends when the smoothed loss passes this many times the best */
} ot_lr_find_options;
#define OT_LR_FIND_INIT                                                                                                \
    {                                                                                                                  \
        1e-5, 10, 0, 4                                                                                                 \
    }
typedef struct ot_lr_find_result {
    int64_t n;
    double *lr, *loss; /* [n]: the rate of the last group, and the debiased loss */
    double suggested;  /* the rate at the steepest fall; 0 when the loss never fell */
} ot_lr_find_result;
/* The model's weights are left as they were. */
OT_API ot_status ot_lr_find(ot_lr_find_result *out, ot_model *m, const ot_dataset *d, const ot_train_options *train,
                            const ot_lr_find_options *o, ot_on_event *on_event, void *ctx);
OT_API void ot_lr_find_result_release(ot_lr_find_result *r);

/* The step (forward, loss, gradients, optimiser) as a graph that Netron shows; not meant to be run. */
OT_API ot_status ot_trainer_save_graph(const ot_trainer *t, const char *path);

#ifdef __cplusplus
}
#endif
#endif

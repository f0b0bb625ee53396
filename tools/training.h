/* A training run of the command: what `tune` and `lm train` share. */
#ifndef OT_TOOLS_TRAINING_H
#define OT_TOOLS_TRAINING_H

#include "history.h"
#include "output.h"
#include "train_args.h"

/* Where a run writes. */
typedef struct ot_run_args {
    const char *out, *checkpoint, *resume, *history;
    bool keep_best;
} ot_run_args;
extern const struct argp ot_run_argp;

typedef struct ot_training {
    const ot_common_args *common;
    ot_train_args *train;
    const ot_run_args *run;
    const char *model;                                             /* the file, for messages */
    const char *note;                                              /* for the model's history */
    const char *waits_for;                                         /* "pictures" */
    void (*say)(const struct ot_training *s);                      /* the data, in a line of news */
    void (*after)(const struct ot_training *s, const ot_event *e); /* an epoch or a cycle; may be NULL */
    void *ctx;                                                     /* for the two */
    ot_model *m;                                                   /* owned, as all below */
    ot_dataset *d;
    ot_trainer *t;
    ot_history history;
    bool last_skipped;
} ot_training;

/* Trains s->m on s->d and writes the result.  The exit code. */
int ot_training_run(ot_training *s);
void ot_training_close(ot_training *s);

#endif

/* What `onnxtune bench` measures: how long a model takes to load, to run and to train a step. */
#ifndef OT_TOOLS_BENCH_H
#define OT_TOOLS_BENCH_H

#include "args.h"

#define OT_BENCH_LEAST 3 /* timed runs of anything; their minimum and median are told */

typedef struct ot_bench_args {
    ot_common_args common;
    const char *model;
    ot_strings shape_names;
    ot_tensor *shape; /* one a name */
    int64_t batch[16];
    int batches;    /* 0: the model's own, or 1 */
    int64_t repeat; /* 0: until two seconds have passed */
    const char *freeze_to;
    bool train, profile;
} ot_bench_args;

/* Milliseconds of each timed run. */
typedef struct ot_bench_times {
    double *ms;
    size_t n;
} ot_bench_times;
void ot_bench_add(ot_bench_times *t, double ms);
/* Of at least one. */
double ot_bench_min(const ot_bench_times *t);
double ot_bench_median(const ot_bench_times *t);

/* One node of a row's plan; the texts are owned. */
typedef struct ot_bench_node {
    char *node, *op, *kernel;
    int64_t output[4];
    double ms, macs; /* of the whole batch; macs 0: not counted */
} ot_bench_node;

typedef struct ot_bench_row {
    int64_t batch;
    bool train;
    ot_bench_times times;
    double parts;   /* of the batch, with --profile; 1: it runs whole */
    size_t planned; /* bytes: weights, state, activations, work space */
    ot_bench_node *node;
    size_t n_node; /* 0 without --profile */
} ot_bench_row;

typedef struct ot_bench {
    const ot_bench_args *a;
    ot_model *m;
    ot_session *s;
    ot_bench_times load, first; /* until it is planned; until the first result is there, both from opening the file */
    ot_bench_row *row;
    size_t n_row;
} ot_bench;

/* Each an exit code, 0 or after an error line.  Loading leaves m and s open. */
int ot_bench_load(ot_bench *b);
int ot_bench_infer(ot_bench *b);
/* Closes the session, and changes the weights of m. */
int ot_bench_train(ot_bench *b);
void ot_bench_release(ot_bench *b);

/* Prints all of it; false after an error line. */
bool ot_bench_report(const ot_bench *b);

#endif

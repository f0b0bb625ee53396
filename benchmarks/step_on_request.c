/* The side of compare_torch_step.py that runs onnxtune: step_on_request MODEL BATCH THREADS all|head SIDE CLASSES.
 *
 * Trains on SIDE x SIDE noise: every layer with the batch's statistics, or the last layer alone.  Prints "ready" after
 * the first step, then does one step for every line that comes on stdin and prints the milliseconds it took. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "on_request.h"

#include <string.h>

#define MOST_STEPS 100000

static ot_status load(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample, int64_t *label)
{
    const ot_dataset *d = ctx;
    (void)split, (void)augment, (void)epoch;
    for (int64_t i = 0, n = d->dim[0] * d->dim[1] * d->dim[2]; i < n; i++)
        sample[i] = (float)((i * 7 + index) % 31) / 31 - 0.5f;
    *label = index % d->classes;
    return OT_OK;
}

static int64_t label(void *ctx, int split, int64_t index)
{
    (void)split;
    return index % ((const ot_dataset *)ctx)->classes;
}

int main(int argc, char **argv)
{
    ot_model *m;
    ot_trainer *t;
    double start = 0;
    ot_train_options o = OT_TRAIN_INIT;
    if (argc < 7) {
        fprintf(stderr, "usage: step_on_request MODEL BATCH THREADS all|head SIDE CLASSES\n");
        return 2;
    }
    int64_t side = atoll(argv[5]);
    ot_dataset d = { .classes = atoll(argv[6]), .rank = 3, .dim = { 3, side, side }, .load = load, .label = label };
    o.batch = atoll(argv[2]);
    o.threads = atoi(argv[3]);
    o.freeze_to = strcmp(argv[4], "head") == 0 ? "-1" : NULL;
    o.lr[0] = 1e-4;
    o.steps = MOST_STEPS;
    o.augment = false;
    o.loaders = 1;
    d.ctx = &d;
    d.count[0] = o.batch * MOST_STEPS;
    need(ot_model_open(&m, argv[1]));
    need(ot_trainer_create(&t, m, &d, &o));
    ot_trainer_run(t, step_on_request, &start);
    ot_trainer_close(t);
    ot_model_close(m);
    return 0;
}

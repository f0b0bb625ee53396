/* Gradients and loss trajectories of a classifier, for benchmarks/compare_torch.py:
 *
 *   dump_gradients gradients MODEL X.npy LABELS.npy FOLDER float|double
 *       the gradient of the mean cross-entropy for every parameter, as FOLDER/0.npy, 1.npy, ...; prints the loss, then
 * a line "number name" for each.  BatchNormalization uses the statistics of the batch. dump_gradients steps MODEL X.npy
 * LABELS.npy STEPS RATE trains on this one batch by SGD with momentum .9; prints a line "loss norm" a step. */
#include "benchmarks/reshape_model.h"
#include "base/tensor.h"
#include "exec/executor.h"
#include "train/parameters.h"
#include "train/step_graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 2

typedef struct batch {
    ot_tensor *x, *label;
} batch;

static ot_status read_batch(batch *b, const char *x, const char *label)
{
    OT_TRY(ot_npy_read(&b->x, x));
    OT_TRY(ot_npy_read(&b->label, label));
    bool fits =
        b->x->rank > 1 && b->label->rank == 1 && b->label->dtype == OT_INT64 && b->label->dim[0] == b->x->dim[0];
    return fits ? OT_OK : ot_fail(OT_EDATA, "samples [N, ...] and int64 labels [N] are wanted");
}

static ot_status run_once(ot_executor *e, const ot_parameters *ps, const batch *b, double *loss)
{
    int64_t zero = 0, one = 1;
    float rate = 0;
    ot_tensor in[1 + OT_STEP_LR + OT_MAX_GROUPS] = {
        *b->x,
        *b->label,
        { .dtype = OT_INT64, .data = &zero },
        { .dtype = OT_INT64, .data = &one },
        { .dtype = OT_INT64, .data = &one },
    };
    for (int i = 0; i < ps->groups; i++)
        in[1 + OT_STEP_LR + i] = (ot_tensor){ .dtype = OT_FLOAT, .data = &rate };
    OT_TRY(ot_executor_run(e, in));
    *loss = ot_tensor_get(ot_executor_output(e, OT_STEP_LOSS), 0);
    return OT_OK;
}

/* After one gathering run from zero, the sums are the gradients. */
static ot_status write_sums(const ot_store *s, const char *folder)
{
    for (int64_t i = 0, n = 0; i < s->n; i++) {
        char path[1024];
        if (strncmp(s->slot[i].name, OT_STEP_SUM "/", sizeof(OT_STEP_SUM)) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%lld.npy", folder, (long long)n);
        OT_TRY(ot_npy_write(path, &s->slot[i].tensor));
        printf("%lld %s\n", (long long)n++, s->slot[i].name + sizeof(OT_STEP_SUM));
    }
    return OT_OK;
}

static ot_status gradients(ot_model *m, const batch *b, const char *folder)
{
    ot_train_options o = OT_TRAIN_INIT;
    ot_parameters ps;
    ot_graph *g;
    ot_store *store = NULL;
    ot_threads *threads = NULL;
    ot_workspace workspace = { 0 };
    ot_executor *e = NULL;
    double loss = 0;
    OT_TRY(ot_parameters_find(&ps, m, &o));
    ot_status st = ot_store_create(&store);
    if (st == OT_OK)
        st = ot_threads_create(&threads, THREADS);
    if (st == OT_OK)
        st = ot_step_graph(&g, m, &ps, &o, 0, OT_STEP_GATHER);
    if (st == OT_OK)
        st = ot_executor_create(&e, g, &(ot_executor_opts){ store, threads, &workspace, 0 });
    if (st == OT_OK)
        st = run_once(e, &ps, b, &loss);
    if (st == OT_OK) {
        printf("%.17g\n", loss);
        st = write_sums(store, folder);
    }
    ot_executor_close(e);
    ot_threads_close(threads);
    ot_store_close(store);
    ot_workspace_release(&workspace);
    ot_parameters_release(&ps);
    return st;
}

static ot_status load(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample, int64_t *label)
{
    const batch *b = ctx;
    int64_t each = ot_tensor_count(b->x) / b->x->dim[0];
    (void)split;
    (void)augment;
    (void)epoch;
    for (int64_t i = 0; i < each; i++)
        sample[i] = (float)ot_tensor_get(b->x, index * each + i);
    *label = ot_tensor_get_int(b->label, index);
    return OT_OK;
}

static int64_t label_of(void *ctx, int split, int64_t index)
{
    (void)split;
    return ot_tensor_get_int(((const batch *)ctx)->label, index);
}

static bool print_step(void *ctx, const ot_event *e)
{
    (void)ctx;
    if (e->kind == OT_BATCH_END)
        printf("%.9g %.9g\n", e->batch_loss, e->grad_norm);
    return true;
}

static ot_status steps(ot_model *m, batch *b, int64_t n, double rate)
{
    ot_train_options o = OT_TRAIN_INIT;
    ot_trainer *t;
    ot_dataset d = {
        .ctx = b, .count = { b->x->dim[0], 0 }, .classes = 1000, .rank = b->x->rank - 1, .load = load, .label = label_of
    };
    memcpy(d.dim, b->x->dim + 1, (size_t)d.rank * sizeof(*d.dim));
    o.batch = b->x->dim[0];
    o.steps = n;
    o.lr[0] = rate;
    o.augment = false;
    o.threads = THREADS;
    OT_TRY(ot_trainer_create(&t, m, &d, &o));
    ot_status st = ot_trainer_run(t, print_step, NULL);
    ot_trainer_close(t);
    return st;
}

static ot_status work(char **argv)
{
    ot_model *m;
    batch b = { 0 };
    bool trains = strcmp(argv[1], "steps") == 0;
    OT_TRY(ot_model_open(&m, argv[2]));
    ot_status st = read_batch(&b, argv[3], argv[4]);
    if (st == OT_OK)
        st = ot_model_free_size(m);
    if (st == OT_OK && !trains && strcmp(argv[6], "double") == 0)
        st = ot_model_to_double(m);
    if (st == OT_OK)
        st = trains ? steps(m, &b, atoll(argv[5]), atof(argv[6])) : gradients(m, &b, argv[5]);
    ot_tensor_free(b.x);
    ot_tensor_free(b.label);
    ot_model_close(m);
    return st;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: dump_gradients gradients MODEL X.npy LABELS.npy FOLDER float|double\n"
                        "       dump_gradients steps MODEL X.npy LABELS.npy STEPS RATE\n");
        return 2;
    }
    if (work(argv) == OT_OK)
        return 0;
    fprintf(stderr, "dump_gradients: %s\n", ot_last_error());
    return 1;
}

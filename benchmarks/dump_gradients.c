/* Gradients and loss trajectories of a classifier, for benchmarks/compare_torch.py:
 *
 *   dump_gradients gradients MODEL X.npy LABELS.npy float|double FOLDER
 *       the gradient of the mean cross-entropy for every parameter, as FOLDER/0.npy, 1.npy, ...; prints the loss, then
 * a line "number name" for each.  BatchNormalization uses the statistics of the batch. dump_gradients steps MODEL X.npy
 * LABELS.npy STEPS RATE trains on this one batch by SGD with momentum .9; prints a line "loss norm" a step. */
#include "tests/reshape_model.h"
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

/* Everything that one graph of a step runs in. */
typedef struct rig {
    ot_parameters ps;
    ot_store *store;
    ot_threads *threads;
    ot_workspace workspace;
    ot_executor *e;
} rig;

static ot_status prepare(rig *r, const ot_model *m, ot_step_kind kind)
{
    ot_train_options o = OT_TRAIN_INIT; /* SGD, momentum .9 */
    ot_graph *g;
    OT_TRY(ot_parameters_find(&r->ps, m, &o));
    OT_TRY(ot_store_create(&r->store));
    OT_TRY(ot_threads_create(&r->threads, THREADS));
    OT_TRY(ot_step_graph(&g, m, &r->ps, &o, 0, kind));
    return ot_executor_create(
        &r->e, g, &(ot_executor_opts){ .store = r->store, .threads = r->threads, .workspace = &r->workspace });
}

static void release(rig *r)
{
    ot_executor_close(r->e);
    ot_threads_close(r->threads);
    ot_store_close(r->store);
    ot_workspace_release(&r->workspace);
    ot_parameters_release(&r->ps);
}

static ot_status run_once(const rig *r, const batch *b, int64_t step, float rate)
{
    int64_t number = step + 1, first = step == 0;
    const ot_tensor in[] = {
        *b->x,
        *b->label,
        { .dtype = OT_INT64, .data = &step },
        { .dtype = OT_INT64, .data = &number },
        { .dtype = OT_INT64, .data = &first },
        { .dtype = OT_FLOAT, .data = &rate },
    };
    return ot_executor_run(r->e, in);
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

static ot_status gradients(const rig *r, const batch *b, const char *folder)
{
    OT_TRY(run_once(r, b, 0, 0));
    printf("%.17g\n", ot_tensor_get(ot_executor_output(r->e, OT_STEP_LOSS), 0));
    return write_sums(r->store, folder);
}

static ot_status steps(const rig *r, const batch *b, int64_t n, float rate)
{
    for (int64_t i = 0; i < n; i++) {
        OT_TRY(run_once(r, b, i, rate));
        printf("%.17g %.17g\n", ot_tensor_get(ot_executor_output(r->e, OT_STEP_LOSS), 0),
               ot_tensor_get(ot_executor_output(r->e, OT_STEP_NORM), 0));
    }
    return OT_OK;
}

/* argv as main says. */
static ot_status work(char **argv)
{
    ot_model *m;
    batch b = { 0 };
    rig r = { 0 };
    bool trains = strcmp(argv[1], "steps") == 0;
    OT_TRY(ot_model_open(&m, argv[2]));
    ot_status st = read_batch(&b, argv[3], argv[4]);
    if (st == OT_OK)
        st = ot_model_free_size(m);
    if (st == OT_OK && strcmp(argv[5], "double") == 0)
        st = ot_model_to_double(m);
    if (st == OT_OK)
        st = prepare(&r, m, trains ? OT_STEP_WHOLE : OT_STEP_GATHER);
    if (st == OT_OK)
        st = trains ? steps(&r, &b, atoll(argv[6]), (float)atof(argv[7])) : gradients(&r, &b, argv[6]);
    release(&r);
    ot_tensor_free(b.x);
    ot_tensor_free(b.label);
    ot_model_close(m);
    return st;
}

int main(int argc, char **argv)
{
    if (argc == 7 + (argc > 1 && strcmp(argv[1], "steps") == 0)) {
        if (work(argv) == OT_OK)
            return 0;
        fprintf(stderr, "dump_gradients: %s\n", ot_last_error());
        return 1;
    }
    fprintf(stderr, "usage: dump_gradients gradients MODEL X.npy LABELS.npy float|double FOLDER\n"
                    "       dump_gradients steps MODEL X.npy LABELS.npy float|double STEPS RATE\n");
    return 2;
}

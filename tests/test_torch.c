/* A real net trains as in PyTorch: ResNet-18's gradients and the losses of its first steps, against recorded numbers.
 */
#include "harness.h"
#include "reshape_model.h"
#include "torch_resnet18.h"
#include "base/tensor.h"
#include "exec/executor.h"
#include "model/model.h"
#include "train/parameters.h"
#include "train/step_graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SAMPLES 4
#define EACH    ((int64_t)3 * 64 * 64)

/* Noise, chosen such that no activation of the untrained net is so near 0 that rounding decides its sign. */
static float pixel(int64_t i)
{
    return (float)((i * 7919 + (i / 4096 + 1) * 39) % 1009) / 252.0f - 2.0f;
}

static ot_status load(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample, int64_t *label)
{
    (void)ctx;
    (void)split;
    (void)augment;
    (void)epoch;
    for (int64_t i = 0; i < EACH; i++)
        sample[i] = pixel(index * EACH + i);
    *label = index * 37 % 1000;
    return OT_OK;
}

static int64_t label_of(void *ctx, int split, int64_t index)
{
    (void)ctx;
    (void)split;
    return index * 37 % 1000;
}

/* ResNet-18 that takes pictures of any size; NULL where the shared models are not. */
static ot_model *resnet18(bool in_double)
{
    const char *path = test_shared("data/models/resnet18.onnx");
    ot_model *m = NULL;
    if (path && CHECK_OK(ot_model_open(&m, path)) && CHECK_OK(ot_model_free_size(m)) && in_double)
        CHECK_OK(ot_model_to_double(m));
    return m;
}

typedef struct rig {
    ot_parameters ps;
    ot_store *store;
    ot_threads *threads;
    ot_workspace workspace;
    ot_executor *e;
} rig;

static ot_status prepare(rig *r, const ot_model *m, ot_step_kind kind)
{
    ot_train_options o = OT_TRAIN_INIT;
    ot_graph *g;
    OT_TRY(ot_parameters_find(&r->ps, m, &o));
    OT_TRY(ot_store_create(&r->store));
    OT_TRY(ot_threads_create(&r->threads, 2));
    OT_TRY(ot_step_graph(&g, m, &r->ps, &o, 1000, kind));
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

/* Step 0, 1, ... on all samples, which are of the type that x is. */
static ot_status run_step(const rig *r, ot_tensor *x, int64_t step, float rate)
{
    static float sample[EACH];
    int64_t label[SAMPLES], number = step + 1, first = step == 0;
    for (int64_t i = 0; i < SAMPLES; i++) {
        load(NULL, 0, i, false, 0, sample, &label[i]);
        for (int64_t k = 0; k < EACH; k++)
            ot_tensor_set(x, i * EACH + k, (double)sample[k]);
    }
    const ot_tensor in[] = {
        *x,
        { .dtype = OT_INT64, .rank = 1, .dim = { SAMPLES }, .data = label },
        { .dtype = OT_INT64, .data = &step },
        { .dtype = OT_INT64, .data = &number },
        { .dtype = OT_INT64, .data = &first },
        { .dtype = OT_FLOAT, .data = &rate },
    };
    return ot_executor_run(r->e, in);
}

/* After one gathering run from zero, the sums are the gradients. */
static void check_norms(const ot_store *store, double tolerance)
{
    for (size_t i = 0; i < sizeof(torch_gradient) / sizeof(torch_gradient[0]); i++) {
        char name[128];
        double sum = 0;
        snprintf(name, sizeof(name), OT_STEP_SUM "/%s", torch_gradient[i].name);
        const ot_tensor *t = ot_store_find(store, name);
        if (!CHECK(t != NULL))
            continue;
        for (int64_t k = 0; k < ot_tensor_count(t); k++)
            sum += ot_tensor_get(t, k) * ot_tensor_get(t, k);
        if (!CHECK(test_close(torch_gradient[i].norm, sqrt(sum), 0, tolerance)))
            printf("    '%s': %g, PyTorch %g\n", torch_gradient[i].name, sqrt(sum), torch_gradient[i].norm);
    }
}

static void gradients_in(bool in_double)
{
    ot_model *m = resnet18(in_double);
    ot_tensor x;
    rig r = { 0 };
    if (!m)
        return;
    CHECK_OK(ot_tensor_init(&x, in_double ? OT_DOUBLE : OT_FLOAT, 4, (const int64_t[]){ SAMPLES, 3, 64, 64 }));
    if (CHECK_OK(prepare(&r, m, OT_STEP_GATHER)) && CHECK(ot_executor_graph(r.e)->n_input == 6) &&
        CHECK_OK(run_step(&r, &x, 0, 0))) {
        double loss = ot_tensor_get(ot_executor_output(r.e, OT_STEP_LOSS), 0);
        CHECK(test_close(torch_fast[0][0], loss, 0, in_double ? 1e-10 : 1e-5));
        check_norms(r.store, in_double ? 1e-9 : 1e-3);
    }
    release(&r);
    ot_tensor_release(&x);
    ot_model_close(m);
}

static void gradients(void)
{
    gradients_in(false);
}

static void gradients_in_double(void)
{
    gradients_in(true);
}

static void steps_in_double(void)
{
    ot_model *m = resnet18(true);
    ot_tensor x;
    rig r = { 0 };
    if (!m)
        return;
    CHECK_OK(ot_tensor_init(&x, OT_DOUBLE, 4, (const int64_t[]){ SAMPLES, 3, 64, 64 }));
    if (CHECK_OK(prepare(&r, m, OT_STEP_WHOLE)))
        for (int64_t i = 0; i < (int64_t)(sizeof(torch_fast) / sizeof(torch_fast[0])); i++) {
            CHECK_OK(run_step(&r, &x, i, 1e-3f));
            CHECK(test_close(torch_fast[i][0], ot_tensor_get(ot_executor_output(r.e, OT_STEP_LOSS), 0), 0, 1e-8));
            CHECK(test_close(torch_fast[i][1], ot_tensor_get(ot_executor_output(r.e, OT_STEP_NORM), 0), 0, 1e-8));
        }
    release(&r);
    ot_tensor_release(&x);
    ot_model_close(m);
}

static bool compare(void *ctx, const ot_event *e)
{
    int *step = ctx;
    if (e->kind != OT_BATCH_END)
        return true;
    const double *want = torch_slow[(*step)++];
    if (!CHECK(test_close(want[0], e->batch_loss, 1e-3, 0) && test_close(want[1], e->grad_norm, 1e-3, 1e-3)))
        printf("    step %d: loss %.6f, norm %.5f; PyTorch %.6f, %.5f\n", *step - 1, e->batch_loss, e->grad_norm,
               want[0], want[1]);
    return true;
}

static void steps(void)
{
    ot_dataset d = {
        .count = { SAMPLES, 0 }, .classes = 1000, .rank = 3, .dim = { 3, 64, 64 }, .load = load, .label = label_of
    };
    ot_train_options o = OT_TRAIN_INIT;
    ot_trainer *t = NULL;
    ot_model *m = resnet18(false);
    int done = 0;
    if (!m)
        return;
    o.batch = SAMPLES;
    o.steps = (int64_t)(sizeof(torch_slow) / sizeof(torch_slow[0]));
    o.augment = false;
    o.lr[0] = 1e-5;
    o.threads = 2;
    if (CHECK_OK(ot_trainer_create(&t, m, &d, &o)))
        CHECK_OK(ot_trainer_run(t, compare, &done));
    CHECK(done == o.steps);
    ot_trainer_close(t);
    ot_model_close(m);
}

const ot_test torch_tests[] = {
    { "gradients of ResNet-18", gradients },
    { "gradients in double", gradients_in_double },
    { "steps of ResNet-18", steps },
    { "steps in double", steps_in_double },
    { 0 },
};

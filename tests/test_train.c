/* Training from end to end on small nets and data in memory. */
#include "harness.h"
#include "net.h"
#include "base/alloc.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t picture[] = { 3, 12, 12 };

typedef struct record {
    double first, last, average, accuracy;
    int epochs, batches, events;
} record;

static bool watch(void *ctx, const ot_event *e)
{
    record *r = ctx;
    r->events++;
    if (e->kind == OT_BATCH_END) {
        if (r->batches++ == 0)
            r->first = e->batch_loss;
        r->last = e->batch_loss;
        r->average = e->loss;
        CHECK(isfinite(e->batch_loss) && isfinite(e->grad_norm) && !e->skipped);
    }
    if (e->kind == OT_EPOCH_END) {
        r->epochs++;
        r->accuracy = e->valid_accuracy;
    }
    return true;
}

static void learns(void)
{
    patterns p;
    record r = { 0 };
    patterns_init(&p, 96, 48, 4, 3, picture);
    ot_train_options o = net_options();
    o.epochs = 20;
    ot_model *m = net_small(12, 4, true, 1);
    if (net_train(m, &p.d, &o, watch, &r)) {
        CHECK(r.first > 0.7 && r.average < 0.5 * r.first && r.accuracy > 0.9);
        CHECK(r.epochs == 20 && r.batches == 120);
        ot_eval_options eo = OT_EVAL_INIT;
        ot_eval_result e;
        if (CHECK_OK(ot_evaluate(&e, m, &p.d, &eo)))
            CHECK(e.samples == 48 && fabs(e.accuracy - r.accuracy) < 1e-9);
        ot_eval_result_release(&e);
    }
    ot_model_close(m);
}

/* One step by plain gradient descent on the whole training split, at these rates; the trained model. */
static ot_model *step_once(const ot_model *from, const ot_dataset *d, ot_train_options o, record *r)
{
    ot_model *m = NULL;
    o.batch = d->count[OT_TRAIN];
    o.momentum = 0;
    CHECK_OK(ot_model_clone(&m, from));
    net_train(m, d, &o, watch, r);
    return m;
}

/* The gradient of a weight, from a step at rate 1. */
static ot_tensor *gradient(const ot_model *before, const ot_model *after, const char *name)
{
    ot_tensor *a = net_weight(before, name), *b = net_weight(after, name);
    if (CHECK(a && b))
        for (int64_t i = 0; i < ot_tensor_count(a); i++)
            ((float *)a->data)[i] -= ((float *)b->data)[i];
    ot_tensor_free(b);
    return a;
}

/* after = before - lr (g + wd before), within float32's rounding of a step at rate 1. */
static void check_step(const ot_model *before, const ot_model *after, const char *name, const ot_tensor *g, double lr,
                       double wd)
{
    ot_tensor *a = net_weight(before, name), *b = net_weight(after, name);
    double worst = 0;
    for (int64_t i = 0; a && b && i < ot_tensor_count(a); i++) {
        double w = ot_tensor_get(a, i), want = w - lr * (ot_tensor_get(g, i) + wd * w);
        worst = fmax(worst, fabs(want - ot_tensor_get(b, i)));
    }
    if (!CHECK(a && b && worst < 1e-6))
        printf("    %s is off by %g\n", name, worst);
    ot_tensor_free(a);
    ot_tensor_free(b);
}

static void rates_and_decays(void)
{
    static const char *const names[] = { "w0", "b0", "w3", "b3", "w7", "b7" };
    patterns p;
    record r = { 0 };
    patterns_init(&p, 24, 0, 4, 3, picture);
    ot_model *m = net_small(12, 4, false, 2);
    ot_train_options o = net_options();
    o.lr[0] = 1;
    ot_model *whole = step_once(m, &p.d, o, &r);
    o.n_groups = 2;
    o.groups[0] = 3;
    o.groups[1] = -2; /* 9 layers: 7 */
    o.n_lr = o.n_wd = 3;
    for (int i = 0; i < 3; i++) {
        o.lr[i] = (double[]){ 0, 0.25, 0.5 }[i];
        o.wd[i] = (double[]){ 0.5, 0.5, 0.125 }[i];
    }
    ot_model *parts = step_once(m, &p.d, o, &r);
    for (int i = 0; i < 6; i++) {
        ot_tensor *g = gradient(m, whole, names[i]);
        check_step(m, parts, names[i], g, o.lr[i / 2], o.wd[i / 2]);
        ot_tensor_free(g);
    }
    CHECK(net_same(m, parts, "w0") && net_same(m, parts, "b0") && !net_same(m, parts, "w3"));
    ot_model_close(parts);
    ot_model_close(whole);
    ot_model_close(m);
}

/* The distance between two models over all initialisers. */
static double distance(const ot_model *a, const ot_model *b)
{
    double sum = 0;
    for (int64_t k = 0; k < ot_model_initializer_count(a); k++) {
        ot_tensor *x = net_weight(a, ot_model_initializer_name(a, k)),
                  *y = net_weight(b, ot_model_initializer_name(a, k));
        for (int64_t i = 0; x && y && i < ot_tensor_count(x); i++)
            sum += pow(ot_tensor_get(x, i) - ot_tensor_get(y, i), 2);
        ot_tensor_free(x);
        ot_tensor_free(y);
    }
    return sqrt(sum);
}

static bool keep_norm(void *ctx, const ot_event *e)
{
    if (e->kind == OT_BATCH_END)
        *(double *)ctx = e->grad_norm;
    return true;
}

static void clips(void)
{
    patterns p;
    double norm = 0, clipped = 0;
    patterns_init(&p, 16, 0, 4, 3, picture);
    ot_train_options o = net_options();
    o.momentum = 0;
    o.lr[0] = 1;
    ot_model *m = net_small(12, 4, false, 3), *a = NULL, *b = NULL;
    CHECK_OK(ot_model_clone(&a, m));
    CHECK_OK(ot_model_clone(&b, m));
    net_train(a, &p.d, &o, keep_norm, &norm);
    CHECK(norm > 0.1 && fabs(distance(a, m) - norm) < 1e-4 * norm);
    o.clip = norm / 3;
    net_train(b, &p.d, &o, keep_norm, &clipped);
    CHECK(fabs(clipped - norm) < 1e-12); /* reported before clipping */
    CHECK(fabs(distance(b, m) - o.clip) < 1e-4 * norm);
    ot_model_close(a);
    ot_model_close(b);
    ot_model_close(m);
}

static void accumulates(void)
{
    patterns p;
    patterns_init(&p, 64, 0, 4, 3, picture);
    ot_train_options o = net_options();
    o.epochs = 3;
    o.batch = 32;
    ot_model *m = net_small(12, 4, false, 4), *big = NULL, *parts = NULL;
    CHECK_OK(ot_model_clone(&big, m));
    CHECK_OK(ot_model_clone(&parts, m));
    record r = { 0 }, q = { 0 };
    net_train(big, &p.d, &o, watch, &r);
    o.batch = 8;
    o.accumulate = 4;
    ot_trainer *t;
    if (CHECK_OK(ot_trainer_create(&t, parts, &p.d, &o))) {
        ot_train_plan plan;
        CHECK_OK(ot_trainer_plan(t, &plan));
        CHECK(plan.batches == 8 && plan.steps == 6);
        CHECK_OK(ot_trainer_run(t, NULL, &q));
    }
    ot_trainer_close(t);
    double moved = distance(m, big), apart = distance(big, parts);
    if (!CHECK(moved > 0.05 && apart < 1e-5 * moved))
        printf("    moved %g, apart %g\n", moved, apart);
    ot_model_close(m);
    ot_model_close(big);
    ot_model_close(parts);
}

static void same_for_any_threads(void)
{
    static const int threads[] = { 1, 2, 3, 7 };
    ot_model *first = NULL;
    for (int i = 0; i < 4; i++) {
        patterns p;
        patterns_init(&p, 40, 10, 4, 3, picture);
        ot_train_options o = net_options();
        o.threads = o.loaders = threads[i];
        o.augment = true;
        o.epochs = 3;
        ot_model *m = net_small(12, 4, true, 5);
        net_train(m, &p.d, &o, NULL, NULL);
        if (i > 0)
            CHECK(net_all_same(m, first));
        if (i > 0)
            ot_model_close(m);
        else
            first = m;
    }
    ot_model_close(first);
}

static bool count_skipped(void *ctx, const ot_event *e)
{
    if (e->kind == OT_BATCH_END)
        *(int *)ctx += e->skipped;
    return true;
}

/* Batches of one sample an epoch; the middle epoch is poisoned in one run, and not there at all in the other. */
static void skips(int64_t samples, int64_t accumulate, ot_optimizer optimizer, bool norm)
{
    patterns with, without;
    int skipped = 0, none = 0;
    patterns_init(&with, samples, 0, 2, 3, picture);
    patterns_init(&without, samples, 0, 2, 3, picture);
    with.poison = 0;
    with.poison_epoch = without.skip_epoch = 2;
    ot_train_options o = net_options();
    o.batch = 1;
    o.accumulate = accumulate;
    o.optimizer = optimizer;
    o.augment = true;
    o.lr[0] = 0.01;
    o.epochs = 5;
    ot_model *a = net_small(12, 2, norm, 6), *b = net_small(12, 2, norm, 6), *m = net_small(12, 2, norm, 6);
    net_train(a, &with.d, &o, count_skipped, &skipped);
    o.epochs = 4;
    net_train(b, &without.d, &o, count_skipped, &none);
    CHECK(skipped == 1 && none == 0);
    CHECK(net_all_same(a, b) && !net_all_same(a, m));
    ot_model_close(a);
    ot_model_close(b);
    ot_model_close(m);
}

static void skips_what_is_not_finite(void)
{
    for (int k = OT_SGD; k <= OT_RMSPROP; k++)
        skips(1, 1, (ot_optimizer)k, true);
    skips(2, 2, OT_ADAM, false);
    patterns p;
    patterns_init(&p, 4, 0, 2, 3, picture);
    p.poison = 1;
    ot_train_options o = net_options();
    o.epochs = 20;
    ot_trainer *t;
    ot_model *m = net_small(12, 2, true, 6), *before = net_small(12, 2, true, 6);
    if (CHECK_OK(ot_trainer_create(&t, m, &p.d, &o)))
        CHECK_FAILS(ot_trainer_run(t, NULL, NULL), OT_EDATA, "10 times");
    ot_trainer_close(t);
    CHECK(net_all_same(m, before));
    ot_model_close(m);
    ot_model_close(before);
}

static void all_optimizers_and_schedules(void)
{
    for (int k = OT_SGD; k <= OT_RMSPROP; k++)
        for (int s = OT_CONSTANT; s <= OT_STEP; s++) {
            patterns p;
            record r = { 0 };
            patterns_init(&p, 32, 0, 4, 3, picture);
            ot_train_options o = net_options();
            o.optimizer = (ot_optimizer)k;
            o.schedule = (ot_schedule_kind)s;
            o.lr[0] = k == OT_SGD || k == OT_ADAGRAD ? 0.05 : 0.01;
            o.decay = 0.8;
            o.momentum = k == OT_SGD ? 0.9 : 0.5;
            o.nesterov = s == OT_STEP;
            o.epochs = 15;
            o.cycles = 4;
            o.cycle_mult = 2;
            ot_model *m = net_small(12, 4, true, 7);
            net_train(m, &p.d, &o, watch, &r);
            if (!CHECK(r.last < 0.7 * r.first && r.epochs == 15))
                printf("    optimizer %d, schedule %d: %g to %g\n", k, s, r.first, r.last);
            ot_model_close(m);
        }
}

/* The same loss whether the softmax is in the model or not; a mean of squares and a sigmoid's learn too. */
static void losses(void)
{
    double first[3];
    for (int ending = 0; ending < 3; ending++) {
        patterns p;
        record r = { 0 };
        patterns_init(&p, 16, 0, 3, 1, (const int64_t[]){ 10 });
        net n = net_begin(10, 0, 8);
        net_gemm(&n, 3);
        if (ending == 1)
            net_softmax(&n);
        else if (ending == 2)
            net_log_softmax(&n);
        ot_model *m = net_done(&n);
        ot_train_options o = net_options();
        net_train(m, &p.d, &o, watch, &r);
        first[ending] = r.first;
        ot_model_close(m);
    }
    CHECK(fabs(first[0] - first[1]) < 1e-6 && fabs(first[0] - first[2]) < 1e-6);
    for (int k = OT_LOSS_MSE; k <= OT_LOSS_BCE; k++)
        for (int64_t outputs = 1; outputs <= 2; outputs++) {
            patterns p;
            record r = { 0 };
            patterns_init(&p, 32, 16, 2, 1, (const int64_t[]){ 10 });
            net n = net_begin(10, 0, 9);
            net_gemm(&n, outputs);
            ot_model *m = net_done(&n);
            ot_train_options o = net_options();
            o.loss = (ot_loss)k;
            o.epochs = 30;
            net_train(m, &p.d, &o, watch, &r);
            CHECK(r.last < 0.7 * r.first && r.accuracy > 0.9);
            ot_model_close(m);
        }
}

static bool count_allocations(void *ctx, const ot_event *e)
{
    int64_t *at = ctx;
    if (e->kind == OT_BATCH_END && e->step <= 3)
        at[e->step] = ot_alloc_count();
    return true;
}

static void a_step_allocates_nothing(void)
{
    patterns p;
    int64_t at[4] = { 0 };
    patterns_init(&p, 64, 0, 4, 3, picture);
    ot_train_options o = net_options();
    ot_model *m = net_small(12, 4, true, 1);
    net_train(m, &p.d, &o, count_allocations, at);
    CHECK(at[2] > 0 && at[3] == at[2]);
    ot_model_close(m);
}

/* Each allocation of creation and one step fails in turn: an error every time, nothing left behind. */
static void every_allocation_fails(void)
{
    patterns p;
    patterns_init(&p, 4, 2, 2, 3, (const int64_t[]){ 3, 6, 6 });
    ot_train_options o = net_options();
    o.keep_best = true;
    bool done = false;
    int64_t n = 0;
    for (; !done && n < 20000; n++) {
        ot_model *m = net_small(6, 2, true, 1);
        int64_t before = ot_live_blocks();
        ot_trainer *t = NULL;
        ot_fail_alloc_after(n);
        ot_status st = ot_trainer_create(&t, m, &p.d, &o);
        if (st == OT_OK)
            st = ot_trainer_run(t, NULL, NULL);
        ot_fail_alloc_after(-1);
        ot_trainer_close(t);
        done = st == OT_OK;
        if (!done && !CHECK(st == OT_ENOMEM && ot_live_blocks() == before)) {
            printf("    allocation %lld: status %d, %lld blocks left: %s\n", (long long)n, (int)st,
                   (long long)(ot_live_blocks() - before), ot_last_error());
            done = true;
        }
        ot_model_close(m);
    }
    CHECK(done && n > 100);
}

static void refusals(void)
{
    patterns p;
    ot_trainer *t;
    patterns_init(&p, 8, 0, 3, 3, picture);
    ot_model *m = net_small(12, 4, true, 1);
    ot_train_options o = net_options();
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_ESHAPE, "4 classes, the data has 3");
    CHECK(t == NULL);
    p.d.classes = 4;
    o.batch = 0;
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EARG, "batch");
    o = net_options();
    o.freeze_to = "nosuch";
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EARG, "nosuch");
    o.freeze_to = "11";
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EARG, "nothing trains");
    o = net_options();
    o.n_lr = 4;
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EARG, "groups");
    o = net_options();
    o.resume = test_tmp("nothing-here");
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EIO, "no checkpoint");
    o = net_options();
    o.memory = 1000;
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_ENOMEM, "the cap is 1000");
    p.d.count[OT_TRAIN] = 0;
    o = net_options();
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EDATA, "no samples");
    ot_model_close(m);
}

const ot_test train_tests[] = {
    { "a small net learns", learns },
    { "groups have rates and decays of their own", rates_and_decays },
    { "gradients are clipped to a norm", clips },
    { "accumulated batches are one big batch", accumulates },
    { "the same bits for any number of threads", same_for_any_threads },
    { "a step that is not finite changes nothing", skips_what_is_not_finite },
    { "every optimizer with every schedule", all_optimizers_and_schedules },
    { "losses", losses },
    { "a step allocates nothing", a_step_allocates_nothing },
    { "every allocation may fail", every_allocation_fails },
    { "refusals", refusals },
    { 0 },
};

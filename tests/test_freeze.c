/* What trains and what does not: freezing, the modes of batch normalisation, groups. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include "harness.h"
#include "net.h"
#include "base/tensor.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t picture[] = { 3, 12, 12 };

/* Trains a copy of m for some epochs. */
static ot_model *trained(const ot_model *m, const ot_train_options *o)
{
    patterns p;
    ot_model *c = NULL;
    patterns_init(&p, 32, 0, 4, 3, picture);
    if (CHECK_OK(ot_model_clone(&c, m)))
        net_train(c, &p.d, o, NULL, NULL);
    return c;
}

/* Names separated by spaces: each must be the same, or each must differ. */
static void check_names(const ot_model *a, const ot_model *b, const char *names, bool same)
{
    char text[256], *rest = text;
    snprintf(text, sizeof(text), "%s", names);
    for (char *name = strtok_r(text, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        if (!CHECK(net_same(a, b, name) == same))
            printf("    '%s' %s\n", name, same ? "changed" : "did not change");
}

static void frozen_stays(void)
{
    static const struct {
        const char *to, *same, *changed;
        bool bn_freeze;
    } rows[] = {
        { NULL, "", "w0 scale1 shift1 mean1 var1 w4 scale5 shift5 mean5 var5 w9 b9", false },
        { "4", "w0 b0 scale1 shift1 mean1 var1", "w4 scale5 shift5 mean5 var5 w9 b9", false },
        { "BatchNormalization.5", "w0 b0 scale1 shift1 mean1 var1 w4 b4", "scale5 shift5 mean5 var5 w9 b9", false },
        { "Gemm", "w0 b0 scale1 shift1 mean1 var1 w4 b4 scale5 shift5 mean5 var5", "w9 b9", false },
        { "-2", "w0 b0 scale1 shift1 mean1 var1 w4 b4 scale5 shift5 mean5 var5", "w9 b9", false },
        { NULL, "mean1 var1 mean5 var5", "w0 b0 scale1 shift1 w4 b4 scale5 shift5 w9 b9", true },
        { "4", "w0 b0 scale1 shift1 mean1 var1 mean5 var5", "w4 b4 scale5 shift5 w9 b9", true },
    };
    ot_model *m = net_small(12, 4, true, 1);
    for (size_t i = 0; m && i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int k = OT_SGD; k <= OT_RMSPROP; k++) {
            ot_train_options o = net_options();
            o.optimizer = (ot_optimizer)k;
            o.n_wd = 1;
            o.wd[0] = 1e-2;
            o.epochs = 2;
            o.freeze_to = rows[i].to;
            o.bn_freeze = rows[i].bn_freeze;
            ot_model *c = trained(m, &o);
            check_names(m, c, rows[i].same, true);
            check_names(m, c, rows[i].changed, false);
            ot_model_close(c);
        }
    ot_model_close(m);
}

static void named_overrides(void)
{
    static const char *const on[] = { "w0" }, *const off[] = { "b9", "scale5" };
    ot_model *m = net_small(12, 4, true, 1);
    ot_train_options o = net_options();
    o.freeze_to = "5";
    o.train = on;
    o.n_train = 1;
    o.no_train = off;
    o.n_no_train = 2;
    ot_model *c = trained(m, &o);
    check_names(m, c, "b0 scale1 shift1 mean1 var1 w4 b4 scale5 b9", true);
    check_names(m, c, "w0 shift5 mean5 var5 w9", false);
    ot_model_close(c);
    ot_model_close(m);
}

/* The whole training split as one tensor. */
static ot_tensor *all_samples(const ot_dataset *d)
{
    ot_tensor *x = NULL;
    const int64_t dim[] = { d->count[OT_TRAIN], d->dim[0], d->dim[1], d->dim[2] };
    if (!CHECK_OK(ot_tensor_create(&x, OT_FLOAT, 4, dim)))
        return NULL;
    int64_t label, each = ot_tensor_count(x) / dim[0];
    for (int64_t i = 0; i < dim[0]; i++)
        d->load(d->ctx, OT_TRAIN, i, false, 0, (float *)x->data + i * each, &label);
    return x;
}

/* Mean and population variance of channel c of [N, C, H, W]. */
static void moments(const ot_tensor *t, int64_t c, double *mean, double *var)
{
    int64_t plane = t->dim[2] * t->dim[3], n = t->dim[0] * plane;
    double sum = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < t->dim[0]; i++)
            for (int64_t k = 0; k < plane; k++) {
                double v = ot_tensor_get(t, (i * t->dim[1] + c) * plane + k);
                sum += pass ? 0 : v;
                squares += pass ? (v - *mean) * (v - *mean) : 0;
            }
        *mean = sum / (double)n;
    }
    *var = squares / (double)n;
}

/* running = running * .9 + batch * .1 with the population variance, for the statistics of the layer that reads
 * `value`; everything before it must be in its inference form. */
static void check_statistics(const ot_model *m, const ot_model *after, const ot_dataset *d, const char *value,
                             const char *mean_name, const char *var_name)
{
    ot_session_options so = OT_SESSION_INIT;
    ot_session *s = NULL;
    so.values = &value;
    so.n_values = 1;
    ot_tensor *x = all_samples(d), *mean0 = net_weight(m, mean_name), *mean1 = net_weight(after, mean_name);
    ot_tensor *var0 = net_weight(m, var_name), *var1 = net_weight(after, var_name);
    if (CHECK(mean0 && mean1 && var0 && var1) && CHECK_OK(ot_session_create(&s, m, &so)) &&
        CHECK_OK(ot_session_run(s, x, 1)))
        for (int64_t c = 0; c < ot_tensor_count(mean0); c++) {
            double mean = 0, var = 0;
            moments(ot_session_output(s, 0), c, &mean, &var);
            CHECK(fabs(ot_tensor_get(mean1, c) - (0.9 * ot_tensor_get(mean0, c) + 0.1 * mean)) < 1e-6);
            CHECK(fabs(ot_tensor_get(var1, c) - (0.9 * ot_tensor_get(var0, c) + 0.1 * var)) < 1e-6);
        }
    ot_session_close(s);
    ot_tensor_free(x);
    ot_tensor_free(mean0);
    ot_tensor_free(mean1);
    ot_tensor_free(var0);
    ot_tensor_free(var1);
}

static void statistics_follow_onnx(void)
{
    patterns p;
    patterns_init(&p, 8, 0, 4, 3, picture);
    ot_train_options o = net_options();
    o.batch = 8;
    o.lr[0] = 0;
    ot_model *m = net_small(12, 4, true, 3), *c = NULL;
    CHECK_OK(ot_model_clone(&c, m));
    net_train(c, &p.d, &o, NULL, NULL);
    check_statistics(m, c, &p.d, "v0", "mean1", "var1");
    ot_model_close(c);
    CHECK_OK(ot_model_clone(&c, m));
    o.freeze_to = "4";
    net_train(c, &p.d, &o, NULL, NULL);
    check_statistics(m, c, &p.d, "v4", "mean5", "var5");
    check_names(m, c, "w0 b0 scale1 shift1 mean1 var1 w4 b4 scale5 shift5 w9 b9", true);
    ot_model_close(c);
    ot_model_close(m);
}

static bool keep_loss(void *ctx, const ot_event *e)
{
    if (e->kind == OT_BATCH_END)
        *(double *)ctx = e->batch_loss;
    return true;
}

/* With frozen statistics the training loss is the inference loss; with learnt ones it is not. */
static void frozen_norm_is_inference(void)
{
    for (int frozen = 0; frozen < 2; frozen++) {
        patterns p;
        double loss = 0;
        ot_eval_options eo = OT_EVAL_INIT;
        ot_eval_result r;
        patterns_init(&p, 16, 0, 4, 3, picture);
        ot_train_options o = net_options();
        o.bn_freeze = frozen;
        ot_model *m = net_small(12, 4, true, 3);
        eo.split = OT_TRAIN;
        CHECK_OK(ot_evaluate(&r, m, &p.d, &eo));
        net_train(m, &p.d, &o, keep_loss, &loss);
        CHECK((fabs(loss - r.loss) < 1e-6) == frozen);
        ot_eval_result_release(&r);
        ot_model_close(m);
    }
}

static void plan_says_it(void)
{
    patterns p;
    ot_trainer *t;
    ot_train_plan plan;
    patterns_init(&p, 100, 0, 4, 3, picture);
    ot_model *m = net_small(12, 4, true, 3);
    ot_train_options o = net_options();
    o.freeze_to = "4";
    o.n_lr = 3;
    for (int i = 0; i < 3; i++)
        o.lr[i] = 0.1 * (i + 1);
    if (CHECK_OK(ot_trainer_create(&t, m, &p.d, &o)) && CHECK_OK(ot_trainer_plan(t, &plan))) {
        /* conv 8*27+8, bn 16, conv 12*72+12, bn 24, gemm 48+4 */
        CHECK(plan.parameters == 224 + 16 + 876 + 24 + 52 && plan.trained == 876 + 24 + 52);
        CHECK(plan.layers == 11 && plan.first_layer == 4 && plan.batchnorms == 2 && plan.bn_training == 1);
        CHECK(plan.batches == 7 && plan.steps == 7 && plan.epochs == 1 && plan.memory.activations > 0);
        /* the head is layer 9; half of the body's 1140 parameters are passed at layer 4 */
        CHECK(plan.groups == 3 && plan.group_layer[0] == 0 && plan.group_layer[1] == 5 && plan.group_layer[2] == 9);
        CHECK(!ot_trainer_layer_trains(t, 0) && ot_trainer_layer_trains(t, 4) && !ot_trainer_layer_trains(t, 6));
        CHECK(ot_trainer_layer_bn(t, 1) == OT_BN_FROZEN && ot_trainer_layer_bn(t, 5) == OT_BN_TRAINS);
        CHECK(ot_trainer_layer_bn(t, 0) == OT_BN_NONE && ot_trainer_layer_bn(t, 99) == OT_BN_NONE);
        CHECK(fabs(ot_trainer_layer_lr(t, 4) - 0.1) < 1e-12 && fabs(ot_trainer_layer_lr(t, 5) - 0.2) < 1e-12);
        CHECK(fabs(ot_trainer_layer_lr(t, 9) - 0.3) < 1e-12 && ot_trainer_layer_lr(t, 0) == 0);
    }
    ot_trainer_close(t);
    ot_model_close(m);
}

const ot_test freeze_tests[] = {
    { "nothing frozen changes", frozen_stays },
    { "weights by name", named_overrides },
    { "running statistics follow ONNX's rule", statistics_follow_onnx },
    { "frozen batch normalisation is that of inference", frozen_norm_is_inference },
    { "the plan says what trains", plan_says_it },
    { 0 },
};

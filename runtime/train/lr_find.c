/* The learning rate range test (Smith, "Cyclical learning rates for training neural networks", 2017): the rate grows
 * exponentially over some steps while the loss is watched. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

#define LEAST_STEPS 100
#define SKIP_FIRST  5 /* points at the start, whose average is still young, are not looked at */

typedef struct finder {
    ot_trainer *t;
    const ot_lr_find_options *o;
    ot_on_event *on_event;
    void *ctx;
    int64_t steps;
    double best;
    ot_lr_find_result *out;
} finder;

/* The rate where the loss, smoothed over three points, falls fastest along log(rate). */
static double steepest(const ot_lr_find_result *r)
{
    double rate = 0, slope = 0;
    for (int64_t i = SKIP_FIRST + 1; i + 1 < r->n; i++) {
        double d = (r->loss[i + 1] - r->loss[i - 1]) / (log(r->lr[i + 1]) - log(r->lr[i - 1]));
        if (d < slope) {
            slope = d;
            rate = r->lr[i];
        }
    }
    return rate;
}

/* The groups keep their proportions: each rate is the last group's, scaled. */
static void set_rates(finder *f, double rate)
{
    const ot_parameters *ps = &f->t->ps;
    double last = ps->lr[ps->groups - 1];
    for (int i = 0; i < ps->groups; i++)
        f->t->rate[i] = (float)(last > 0 ? rate * ps->lr[i] / last : rate);
}

/* Sets *done when the loss ran away. */
static ot_status one_step(finder *f, const ot_batch *b, bool *done)
{
    ot_lr_find_result *r = f->out;
    ot_event e = { .kind = OT_BATCH_END, .epochs = 1, .steps = f->steps, .batches = f->steps };
    double rate = f->o->from * pow(f->o->to / f->o->from, (double)r->n / (double)f->steps);
    set_rates(f, rate);
    OT_TRY(ot_trainer_batch(f->t, b, false, &e));
    e.lr = rate;
    e.step = e.batch = r->n + 1;
    bool finite = isfinite(e.loss) && !e.skipped;
    if (finite) {
        r->lr[r->n] = rate;
        r->loss[r->n++] = e.loss;
        if (r->n > SKIP_FIRST && !(e.loss > f->best))
            f->best = e.loss;
    }
    *done = !finite || (r->n > SKIP_FIRST && e.loss > f->o->stop_at * f->best);
    bool go_on = !f->on_event || f->on_event(f->ctx, &e);
    return go_on && !atomic_load(&f->t->stop) ? OT_OK
                                              : ot_fail(OT_ESTOPPED, "stopped after %lld steps", (long long)r->n);
}

static ot_status sweep(finder *f)
{
    bool done = false;
    for (uint64_t epoch = 0; !done && f->out->n < f->steps; epoch++) {
        OT_TRY(ot_loader_start(f->t->train, epoch, 0));
        while (!done && f->out->n < f->steps) {
            ot_batch b;
            OT_TRY(ot_loader_next(f->t->train, &b));
            if (b.n == 0)
                break;
            OT_TRY(one_step(f, &b, &done));
        }
    }
    return OT_OK;
}

static ot_status check(const ot_lr_find_options *o)
{
    if (!(o->from > 0 && o->to > o->from && isfinite(o->to)))
        return ot_fail(OT_EARG, "the rate would go from %g to %g", o->from, o->to);
    if (!(o->stop_at > 1) || o->steps < 0 || o->steps > 10000000)
        return ot_fail(OT_EARG, "stop at %g times the best, %lld steps", o->stop_at, (long long)o->steps);
    return OT_OK;
}

ot_status ot_lr_find(ot_lr_find_result *out, ot_model *m, const ot_dataset *d, const ot_train_options *train,
                     const ot_lr_find_options *o, ot_on_event *on_event, void *ctx)
{
    ot_train_options own = *train;
    finder f = { .o = o, .on_event = on_event, .ctx = ctx, .best = HUGE_VAL, .out = out };
    *out = (ot_lr_find_result){ 0 };
    OT_TRY(check(o));
    own.checkpoint = own.resume = NULL;
    own.accumulate = 1;
    own.cache = OT_CACHE_OFF; /* the sweep sees most samples once */
    OT_TRY(ot_trainer_create(&f.t, m, d, &own));
    f.steps = o->steps > 0 ? o->steps : f.t->batches > LEAST_STEPS ? f.t->batches : LEAST_STEPS;
    out->lr = ot_calloc((size_t)f.steps, sizeof(*out->lr));
    out->loss = ot_calloc((size_t)f.steps, sizeof(*out->loss));
    ot_status st = out->lr && out->loss ? sweep(&f) : OT_ENOMEM;
    if (st == OT_OK)
        out->suggested = steepest(out);
    else
        ot_lr_find_result_release(out);
    ot_trainer_close(f.t);
    return st;
}

void ot_lr_find_result_release(ot_lr_find_result *r)
{
    ot_free(r->lr);
    ot_free(r->loss);
    *r = (ot_lr_find_result){ 0 };
}

/* The training loop: epochs of batches, validation, events, checkpoints. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "train/trainer.h"

#include <math.h>
#include <time.h>

#define MAX_SKIPPED 10 /* steps in a row whose gradients were not finite end a run */

typedef struct loop {
    ot_trainer *t;
    ot_on_event *on_event;
    void *ctx;
    ot_event e;
    double began; /* of this sitting, minus the seconds of earlier ones */
    int skipped;  /* in a row */
    bool asked_to_stop;
} loop;

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void tell(loop *l, ot_event_kind kind)
{
    l->e.kind = kind;
    l->e.epoch = l->t->at.epoch;
    l->e.step = l->t->at.t;
    l->e.batch = l->t->at.batch;
    l->e.seconds = now() - l->began;
    if (l->on_event && !l->on_event(l->ctx, &l->e))
        l->asked_to_stop = true;
}

static bool stopping(const loop *l)
{
    return l->asked_to_stop || atomic_load(&l->t->stop);
}

static ot_status save(loop *l)
{
    ot_trainer *t = l->t;
    if (!t->o.checkpoint)
        return OT_OK;
    t->at.seconds = now() - l->began;
    OT_TRY(ot_checkpoint_save(t, &l->e.path));
    tell(l, OT_SAVED);
    l->e.path = NULL;
    return OT_OK;
}

/* Where the schedule stands.  An epoch of text may end early: what goes by epochs is then at the start of the next. */
static int64_t schedule_step(const ot_trainer *t)
{
    if (!t->d->text || t->o.cycle_steps > 0)
        return t->at.t;
    return t->at.epoch * t->schedule.batches + t->at.batch / t->o.accumulate;
}

/* The step that was done last ends a cycle. */
static bool cycle_ends(const ot_trainer *t, int64_t step, bool last)
{
    if (last && t->o.cycle_steps == 0)
        step = (t->at.epoch + 1) * t->schedule.batches - 1;
    return ot_schedule_cycle_ends(&t->schedule, step);
}

static void set_rates(loop *l)
{
    ot_trainer *t = l->t;
    const int64_t step = schedule_step(t);
    for (int i = 0; i < t->ps.groups; i++)
        t->rate[i] = (float)ot_schedule_rate(&t->schedule, t->ps.lr[i], step);
    l->e.lr = (double)t->rate[t->ps.groups - 1];
}

static ot_status one_batch(loop *l, const ot_batch *b)
{
    ot_trainer *t = l->t;
    int64_t t_before = t->at.t, step = schedule_step(t);
    set_rates(l);
    tell(l, OT_BATCH_BEGIN);
    OT_TRY(ot_trainer_batch(t, b, t->at.batch + 1 == t->batches, &l->e));
    t->at.batch++;
    l->skipped = l->e.skipped ? l->skipped + 1 : 0;
    tell(l, OT_BATCH_END);
    if (l->skipped == MAX_SKIPPED)
        return ot_fail(OT_EDATA, "step %lld: the gradients were not finite %d times in a row; a smaller rate may help",
                       (long long)t->at.t, MAX_SKIPPED);
    if (t->at.t > t_before && cycle_ends(t, step, b->last))
        tell(l, OT_CYCLE_END);
    if (atomic_exchange(&t->snapshot, 0) && t->at.batch < t->batches)
        return save(l);
    return OT_OK;
}

/* One that is stopped is done again by the resumed run, from the same states. */
static ot_status validate(loop *l)
{
    ot_trainer *t = l->t;
    char *states;
    l->e.valid_loss = l->e.valid_accuracy = l->e.valid_loss_unweighted = (double)NAN;
    if (!t->valid)
        return OT_OK;
    ot_scoring s = {
        .e = t->eval, .loader = t->valid, .d = t->d, .loss = t->o.loss, .total = t->d->count[OT_VALID], .stop = &t->stop
    };
    s.frozen = t->frozen && t->frozen->validates ? t->frozen : NULL;
    ot_score score;
    OT_TRY(ot_states_copy(&states, t));
    ot_status st = ot_score_pass(&score, &s, 0, NULL, 0);
    if (st == OT_ESTOPPED)
        ot_states_restore(t, states);
    ot_free(states);
    OT_TRY(st);
    if (s.frozen)
        ot_cache_note(t, score.samples);
    l->e.valid_loss = score.loss;
    l->e.valid_loss_unweighted = score.loss_unweighted;
    l->e.valid_accuracy = (double)score.correct / (double)score.samples;
    return OT_OK;
}

static ot_status keep_best(loop *l)
{
    ot_trainer *t = l->t;
    if (!t->o.keep_best || !(l->e.valid_accuracy > t->at.best))
        return OT_OK;
    if (!t->best)
        OT_TRY(ot_model_clone(&t->best, t->m));
    OT_TRY(ot_trainer_write_back(t, t->best));
    t->at.best = l->e.valid_accuracy;
    t->at.best_epoch = t->at.epoch;
    return OT_OK;
}

static ot_status train_epoch(loop *l)
{
    ot_trainer *t = l->t;
    OT_TRY(ot_loader_start(t->train, (uint64_t)t->at.epoch, t->at.batch));
    tell(l, OT_EPOCH_BEGIN);
    while (t->at.t < t->schedule.steps && t->at.batch < t->batches) {
        ot_batch b;
        OT_TRY(ot_loader_next(t->train, &b));
        if (b.n == 0)
            break;
        OT_TRY(one_batch(l, &b));
        ot_cache_note(t, b.n);
        if (stopping(l)) {
            OT_TRY(save(l));
            return ot_fail(OT_ESTOPPED, "stopped after batch %lld of epoch %lld", (long long)t->at.batch,
                           (long long)t->at.epoch);
        }
    }
    ot_loader_stats stats;
    ot_loader_statistics(t->train, &stats);
    l->e.waited = stats.elapsed > 0 ? stats.waited / stats.elapsed : 0;
    return OT_OK;
}

/* Epochs of text may end early, so that steps which were asked for take more of them. */
static bool is_over(const ot_trainer *t)
{
    bool more = t->d->text && t->o.steps > 0 && t->o.schedule != OT_SGDR && t->at.t < t->schedule.steps;
    return t->at.epoch >= t->schedule.epochs && !more;
}

/* Validates; the run goes on at the next epoch. */
static ot_status end_epoch(loop *l)
{
    ot_trainer *t = l->t;
    ot_status st = validate(l);
    if (st == OT_ESTOPPED) { /* the epoch's batches are done: a resumed run validates again */
        OT_TRY(save(l));
        return ot_fail(OT_ESTOPPED, "stopped while validating epoch %lld", (long long)t->at.epoch);
    }
    OT_TRY(st);
    OT_TRY(keep_best(l));
    tell(l, OT_EPOCH_END);
    t->at.epoch++;
    t->at.batch = 0;
    atomic_store(&t->snapshot, 0);
    OT_TRY(save(l));
    if (stopping(l) && !is_over(t))
        return ot_fail(OT_ESTOPPED, "stopped after epoch %lld", (long long)t->at.epoch - 1);
    return OT_OK;
}

static bool tell_filling(void *ctx, int64_t done, int64_t total)
{
    loop *l = ctx;
    ot_event e = l->e;
    e.kind = OT_CACHING;
    e.batch = done;
    e.batches = total;
    e.seconds = now() - l->began;
    if (l->on_event && !l->on_event(l->ctx, &e))
        l->asked_to_stop = true;
    return !stopping(l);
}

static ot_status fill_cache(loop *l)
{
    ot_trainer *t = l->t;
    double began = now();
    if (t->at.epoch >= t->schedule.epochs)
        return OT_OK;
    ot_status st = ot_cache_fill(t, tell_filling, l);
    t->cache.filled = now() - began;
    if (st != OT_ESTOPPED)
        return st;
    OT_TRY(save(l));
    return ot_fail(OT_ESTOPPED, "stopped before epoch %lld, while features were computed", (long long)t->at.epoch);
}

static ot_status run(loop *l)
{
    ot_trainer *t = l->t;
    tell(l, OT_TRAIN_BEGIN);
    OT_TRY(fill_cache(l));
    while (!is_over(t)) {
        OT_TRY(train_epoch(l));
        OT_TRY(end_epoch(l));
    }
    tell(l, OT_TRAIN_END);
    return OT_OK;
}

/* The best epoch's weights become the store's, so that what is written back is the best model. */
static ot_status take_best(ot_trainer *t)
{
    for (int64_t i = 0; i < t->store->n; i++) {
        const char *name = t->store->slot[i].name;
        const Onnx__TensorProto *p = ot_model_find_initializer(t->best, name);
        ot_tensor view;
        bool owned;
        if (ot_strmap_get(&t->ps.slots, name, -1) < 0 || !p)
            continue;
        OT_TRY(ot_model_tensor(t->best, p, &view, &owned));
        ot_status st = ot_store_set(t->store, name, &view);
        if (owned)
            ot_tensor_release(&view);
        OT_TRY(st);
    }
    return OT_OK;
}

ot_status ot_trainer_run(ot_trainer *t, ot_on_event *on_event, void *ctx)
{
    loop l = { .t = t, .on_event = on_event, .ctx = ctx, .began = now() - t->at.seconds };
    l.e.epochs = t->schedule.epochs;
    l.e.steps = t->schedule.steps;
    l.e.batches = t->batches;
    ot_status st = run(&l);
    if (st != OT_OK && st != OT_ESTOPPED)
        return st;
    if (st == OT_OK && t->best)
        OT_TRY(take_best(t));
    OT_TRY(ot_trainer_write_back(t, t->m));
    return st;
}

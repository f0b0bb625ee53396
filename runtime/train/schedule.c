#include "train/schedule.h"
#include "base/error.h"

#include <math.h>

#define PI 3.14159265358979323846

static ot_status out_of_range(const char *name, long long value)
{
    return ot_fail(OT_EARG, "%s is %lld, at least 1 is wanted", name, value);
}

/* cycle_len * (1 + mult + mult^2 ...) epochs, checked. */
static ot_status sgdr_epochs(int64_t *out, const ot_train_options *o)
{
    int64_t len = o->cycle_len, sum = 0;
    for (int64_t c = 0; c < o->cycles; c++) {
        if (__builtin_add_overflow(sum, len, &sum) || sum > 1000000000)
            return ot_fail(OT_EARG, "%lld cycles of %lld epochs, each %lld times longer, are over a billion epochs",
                           (long long)o->cycles, (long long)o->cycle_len, (long long)o->cycle_mult);
        if (c + 1 < o->cycles && __builtin_mul_overflow(len, o->cycle_mult, &len))
            len = INT64_MAX;
    }
    *out = sum;
    return OT_OK;
}

ot_status ot_schedule_init(ot_schedule *s, const ot_train_options *o, int64_t batches)
{
    *s = (ot_schedule){ .kind = o->schedule,
                        .batches = batches,
                        .epochs = o->epochs,
                        .cycle_len = o->cycle_len,
                        .cycle_mult = o->cycle_mult,
                        .cycle_steps = o->cycle_steps,
                        .compat_2017 = o->compat_2017,
                        .warmup = o->warmup,
                        .decay_every = o->decay_every,
                        .lr_min = o->lr_min,
                        .decay = o->decay };
    if ((int)o->schedule < OT_CONSTANT || o->schedule > OT_STEP)
        return ot_fail(OT_EARG, "schedule %d is not known", (int)o->schedule);
    if (!(o->lr_min >= 0) || !(o->decay >= 0))
        return ot_fail(OT_EARG, "lr_min %g or decay %g is below 0", o->lr_min, o->decay);
    if (o->warmup < 0)
        return ot_fail(OT_EARG, "warm-up of %lld steps", (long long)o->warmup);
    if (o->schedule == OT_STEP && o->decay_every < 1)
        return out_of_range("decay_every", o->decay_every);
    if (o->schedule == OT_SGDR) {
        if (o->cycles < 1)
            return out_of_range("cycles", o->cycles);
        if (o->cycle_len < 1)
            return out_of_range("cycle_len", o->cycle_len);
        if (o->cycle_mult < 1)
            return out_of_range("cycle_mult", o->cycle_mult);
        if (o->cycle_steps < 0)
            return out_of_range("cycle_steps", o->cycle_steps);
        if (o->cycle_steps == 0)
            OT_TRY(sgdr_epochs(&s->epochs, o));
    } else if (o->steps > 0) {
        s->epochs = o->steps / batches + (o->steps % batches != 0);
    }
    if (s->epochs < 1)
        return out_of_range("epochs", s->epochs);
    if (__builtin_mul_overflow(s->epochs, batches, &s->steps))
        return ot_fail(OT_EARG, "%lld epochs of %lld steps", (long long)s->epochs, (long long)batches);
    if (o->schedule != OT_SGDR && o->steps > 0)
        s->steps = o->steps;
    return OT_OK;
}

/* From a at x = 0 to b at x = 1, along half a cosine. */
static double cosine(double a, double b, double x)
{
    return b + (a - b) * (1 + cos(PI * x)) / 2;
}

/* The step's place within its cycle, and the cycle's length in steps. */
static void find_cycle(const ot_schedule *s, int64_t step, int64_t *at, int64_t *length)
{
    int64_t len = s->cycle_steps > 0 ? s->cycle_steps : s->cycle_len * s->batches;
    while (step >= len) {
        step -= len;
        if (__builtin_mul_overflow(len, s->cycle_mult, &len))
            len = INT64_MAX;
    }
    *at = step;
    *length = len;
}

#define COMPAT_SHARE    20. /* of the first cycle, in which fastai's rate of 2017 is a hundredth */
#define ONE_CYCLE_RISE  0.3 /* share of the steps in which the rate rises */
#define ONE_CYCLE_START 25. /* the rate begins at this fraction */

double ot_schedule_rate(const ot_schedule *s, double lr, int64_t step)
{
    int64_t at, length;
    double rate = lr;
    switch (s->kind) {
    case OT_CONSTANT:
        break;
    case OT_SGDR:
        find_cycle(s, step, &at, &length);
        rate = cosine(lr, s->lr_min, (double)at / (double)length);
        if (s->compat_2017 && (double)step < (double)length / COMPAT_SHARE)
            rate = lr / 100;
        break;
    case OT_ONE_CYCLE: {
        double x = (double)step / (double)s->steps;
        rate = x < ONE_CYCLE_RISE ? cosine(lr / ONE_CYCLE_START, lr, x / ONE_CYCLE_RISE)
                                  : cosine(lr, s->lr_min, (x - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE));
        break;
    }
    case OT_STEP:
        rate = lr * pow(s->decay, (double)(step / s->batches / s->decay_every));
        break;
    }
    if (step < s->warmup)
        rate *= 0.01 + 0.99 * (double)step / (double)s->warmup;
    return rate;
}

bool ot_schedule_cycle_ends(const ot_schedule *s, int64_t step)
{
    int64_t at, length;
    if (s->kind != OT_SGDR)
        return false;
    find_cycle(s, step, &at, &length);
    return at + 1 == length;
}

/* Rates by hand, at the steps where something begins or ends. */
#include "harness.h"
#include "train/schedule.h"

#include <math.h>

static void check(const ot_schedule *s, double lr, int64_t step, double want)
{
    CHECK(fabs(ot_schedule_rate(s, lr, step) - want) <= 1e-12 * fabs(want) + 1e-18);
}

static void sgdr(void)
{
    ot_train_options o = OT_TRAIN_INIT;
    ot_schedule s;
    o.schedule = OT_SGDR;
    o.cycles = 3;
    o.cycle_len = 1;
    o.cycle_mult = 2;
    o.lr_min = 0.02;
    if (!CHECK_OK(ot_schedule_init(&s, &o, 4)))
        return;
    CHECK(s.epochs == 7 && s.steps == 28);
    /* cycles of 4, 8 and 16 steps: begin at the rate, cross the middle between rate and minimum half-way */
    static const int64_t begins[] = { 0, 4, 12 }, length[] = { 4, 8, 16 };
    for (int c = 0; c < 3; c++) {
        check(&s, 0.1, begins[c], 0.1);
        check(&s, 0.1, begins[c] + length[c] / 2, 0.06);
        check(&s, 0.1, begins[c] + length[c] / 4, 0.06 + 0.04 * sqrt(0.5));
        check(&s, 0.1, begins[c] + length[c] * 3 / 4, 0.06 - 0.04 * sqrt(0.5));
    }
    check(&s, 0.1, 3, 0.06 + 0.04 * cos(3 * acos(-1) / 4));
    check(&s, 0.1, 27, 0.06 + 0.04 * cos(15 * acos(-1) / 16));
    for (int64_t step = 0; step < 28; step++)
        CHECK(ot_schedule_cycle_ends(&s, step) == (step == 3 || step == 11 || step == 27));
}

static void one_cycle(void)
{
    ot_train_options o = OT_TRAIN_INIT;
    ot_schedule s;
    o.schedule = OT_ONE_CYCLE;
    o.epochs = 10;
    o.lr_min = 0.001;
    if (!CHECK_OK(ot_schedule_init(&s, &o, 10)))
        return;
    CHECK(s.steps == 100);
    check(&s, 1, 0, 0.04);
    check(&s, 1, 15, 0.52);
    check(&s, 1, 30, 1);
    check(&s, 1, 65, 0.5005);
    CHECK(ot_schedule_rate(&s, 1, 99) > 0.001 && ot_schedule_rate(&s, 1, 99) < 0.002);
}

static void steps_and_warmup(void)
{
    ot_train_options o = OT_TRAIN_INIT;
    ot_schedule s;
    o.schedule = OT_STEP;
    o.epochs = 6;
    o.decay_every = 2;
    if (CHECK_OK(ot_schedule_init(&s, &o, 5))) {
        check(&s, 0.3, 0, 0.3);
        check(&s, 0.3, 9, 0.3);
        check(&s, 0.3, 10, 0.03);
        check(&s, 0.3, 20, 0.003);
        check(&s, 0.3, 29, 0.003);
    }
    o.schedule = OT_CONSTANT;
    o.warmup = 10;
    if (CHECK_OK(ot_schedule_init(&s, &o, 5))) {
        check(&s, 2, 0, 0.02);
        check(&s, 2, 5, 2 * (0.01 + 0.99 / 2));
        check(&s, 2, 10, 2);
        check(&s, 2, 29, 2);
        CHECK(!ot_schedule_cycle_ends(&s, 29));
    }
    o.steps = 12;
    if (CHECK_OK(ot_schedule_init(&s, &o, 5)))
        CHECK(s.steps == 12 && s.epochs == 3);
}

/* Cycles that do not keep to epochs, as the course's character models had them: 963 steps beside epochs of about 920.
 */
static void cycles_of_steps(void)
{
    ot_train_options o = OT_TRAIN_INIT;
    ot_schedule s;
    o.schedule = OT_SGDR;
    o.cycle_steps = 963;
    o.cycle_mult = 2;
    o.epochs = 7;
    o.compat_2017 = true;
    if (!CHECK_OK(ot_schedule_init(&s, &o, 920)))
        return;
    CHECK(s.epochs == 7 && s.steps == 7 * 920);
    check(&s, 1, 0, 0.01);
    check(&s, 1, 48, 0.01);
    check(&s, 1, 49, (1 + cos(3.14159265358979 * 49 / 963)) / 2);
    check(&s, 1, 962, (1 + cos(3.14159265358979 * 962 / 963)) / 2);
    check(&s, 1, 963, 1);
    check(&s, 1, 963 + 963, 0.5);
    check(&s, 1, 3 * 963, 1);
    CHECK(ot_schedule_cycle_ends(&s, 962) && !ot_schedule_cycle_ends(&s, 919));
    CHECK(ot_schedule_cycle_ends(&s, 3 * 963 - 1));
    o.compat_2017 = false;
    if (CHECK_OK(ot_schedule_init(&s, &o, 920)))
        check(&s, 1, 0, 1);
    o.cycle_steps = -1;
    CHECK_FAILS(ot_schedule_init(&s, &o, 920), OT_EARG, "cycle_steps is -1");
}

static void refusals(void)
{
    ot_train_options o = OT_TRAIN_INIT;
    ot_schedule s;
    o.epochs = 0;
    CHECK_FAILS(ot_schedule_init(&s, &o, 5), OT_EARG, "epochs is 0");
    o.epochs = INT64_MAX;
    CHECK_FAILS(ot_schedule_init(&s, &o, 5), OT_EARG, "epochs of 5 steps");
    o.schedule = OT_SGDR;
    o.cycles = 100;
    o.cycle_mult = 10;
    CHECK_FAILS(ot_schedule_init(&s, &o, 5), OT_EARG, "over a billion epochs");
    o.cycle_mult = 0;
    CHECK_FAILS(ot_schedule_init(&s, &o, 5), OT_EARG, "cycle_mult is 0");
    o.schedule = OT_STEP;
    o.epochs = 1;
    o.decay_every = 0;
    CHECK_FAILS(ot_schedule_init(&s, &o, 5), OT_EARG, "decay_every is 0");
    o.decay_every = 1;
    o.warmup = -1;
    CHECK_FAILS(ot_schedule_init(&s, &o, 5), OT_EARG, "warm-up");
    o.warmup = 0;
    o.schedule = (ot_schedule_kind)9;
    CHECK_FAILS(ot_schedule_init(&s, &o, 5), OT_EARG, "schedule 9");
    o.schedule = OT_STEP;
    o.lr_min = NAN;
    CHECK_FAILS(ot_schedule_init(&s, &o, 5), OT_EARG, "lr_min");
}

const ot_test schedule_tests[] = {
    { "sgdr", sgdr },
    { "one cycle", one_cycle },
    { "steps and warm-up", steps_and_warmup },
    { "cycles of steps", cycles_of_steps },
    { "refusals", refusals },
    { 0 },
};

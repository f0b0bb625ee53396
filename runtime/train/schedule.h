/* Schedules: the rate as a pure function of the step, so that a resumed run needs no state for it. */
#ifndef OT_TRAIN_SCHEDULE_H
#define OT_TRAIN_SCHEDULE_H

#include "onnxtune.h"

typedef struct ot_schedule {
    ot_schedule_kind kind;
    int64_t batches; /* optimiser steps of an epoch, at least 1 */
    int64_t steps;   /* in all */
    int64_t epochs;  /* in all; the last may be cut short */
    int64_t cycle_len, cycle_mult, cycle_steps;
    bool compat_2017;
    int64_t warmup, decay_every;
    double lr_min, decay;
} ot_schedule;

/* From the options and the steps of an epoch.  OT_EARG names the option that is out of range. */
ot_status ot_schedule_init(ot_schedule *s, const ot_train_options *o, int64_t batches);
/* The rate of step 0, 1, ... for a group whose own rate is lr. */
double ot_schedule_rate(const ot_schedule *s, double lr, int64_t step);
/* True when a cycle of SGDR ends with this step. */
bool ot_schedule_cycle_ends(const ot_schedule *s, int64_t step);

#endif

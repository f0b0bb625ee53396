/* log(softmax) for operators that contain it. */
#ifndef OT_OPS_SOFTMAX_H
#define OT_OPS_SOFTMAX_H

#include "run.h"

/* A tensor seen as [outer][n][inner]; the sums are over n. */
typedef struct ot_axes {
    int64_t outer, n, inner;
} ot_axes;

/* y = x - log(sum over n of exp(x)); y may be x. */
void ot_log_softmax_float(const ot_run *r, const ot_axes *a, const float *x, float *y);
void ot_log_softmax_double(const ot_axes *a, const double *x, double *y);

#endif

/* What operators' kernels share: threads for the arithmetic in ops/kernels, and loops cut into blocks. */
#ifndef OT_OPS_RUN_H
#define OT_OPS_RUN_H

#include "op.h"
#include "kernels/kernels.h"

/* The run's threads in the form that ops/kernels takes. */
ot_kernel_pool ot_pool_of(const ot_run *r);

/* Calls fn(ctx, from, to) for ranges that cover 0 .. n-1; the cuts depend on n and grain only. */
typedef void ot_range_fn(void *ctx, int64_t from, int64_t to);
void ot_for_ranges(const ot_run *r, int64_t n, int64_t grain, ot_range_fn *fn, void *ctx);
#define OT_GRAIN 16384 /* elements of cheap arithmetic that are worth a block of their own */

static inline bool ot_has_x(const ot_run *r, int i)
{
    return i < r->n_in && r->x[i].dtype != OT_UNDEFINED;
}

static inline bool ot_has_y(const ot_run *r, int i)
{
    return i < r->n_out && r->y[i].dtype != OT_UNDEFINED;
}

/* Walks two broadcast inputs along an output: strides[i] is the step, in elements, of an input when dim i of the output
 * goes up by one; 0 where it is broadcast. */
void ot_broadcast_strides(int64_t *stride, const ot_tensor *x, const ot_tensor *y);

#endif

/* What poolings and their gradients share: the window of a node, and sums over what it covers. */
#ifndef OT_OPS_POOL_SHAPE_H
#define OT_OPS_POOL_SHAPE_H

#include "conv_shape.h"
#include "kernels/pooling.h"

typedef struct ot_pool_size {
    int64_t planes; /* N * C */
    bool count_pad;
    ot_window win; /* of an operator named Global...: the whole plane, as one dimension */
} ot_pool_size;

/* The rule of Max-, Average- and Global...Pool over x into y. */
ot_status ot_pool_rule(ot_infer *c, const ot_fact *x, ot_fact *y);
/* Concrete sizes of a node whose rule has accepted x. */
ot_status ot_pool_read(ot_pool_size *s, const ot_node *n, const ot_tensor *x);
/* The same as a new state of a float32 kernel: an ot_pool_shape. */
ot_status ot_pool_prepare(ot_prep *p, const ot_fact *x);
/* NULL where the float32 kernels take it, else why not. */
const char *ot_pool_declines(const ot_prep *p, const ot_fact *x);
/* The rule of gradients: dy is input 0, x is input 1, one output of x's shape. */
ot_status ot_pool_grad_rule(ot_infer *c);

/* Elements that an average over the window at o is divided by. */
double ot_pool_divisor(const ot_pool_size *s, const int64_t *o);
/* The place in the plane of the largest element of the window at o, the first NaN if there is one; -1: padding only. */
int64_t ot_pool_winner(const ot_pool_size *s, const ot_tensor *x, int64_t plane, const int64_t *o);
/* Element i of a double, integer or bool tensor. */
static inline double ot_pool_get(const ot_tensor *t, int64_t i)
{
    return t->dtype == OT_DOUBLE ? ((const double *)t->data)[i] : (double)ot_tensor_get_int(t, i);
}

#endif

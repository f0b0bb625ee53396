/* Copies between strided views: what Expand, Transpose, Slice, Concat and their gradients are made of. */
#ifndef OT_OPS_STRIDED_H
#define OT_OPS_STRIDED_H

#include "run.h"

/* For every index below dim[]: to[to_at + sum of index * to_stride] = from[from_at + sum of index * from_stride].
 * Strides and places are in elements; a from_stride may be 0 or negative; no element of `to` is written twice.
 * `to` and `from` do not overlap.  Elements of less than 8 bits are packed, strings are copied as references. */
typedef struct ot_walk {
    int rank;
    int64_t dim[OT_MAX_RANK], to_stride[OT_MAX_RANK], from_stride[OT_MAX_RANK];
    int64_t to_at, from_at;
    void *to;
    const void *from;
    ot_dtype dtype;
} ot_walk;

void ot_walk_copy(const ot_run *r, const ot_walk *w);

/* Strides of a dense row-major tensor. */
void ot_dense_strides(int64_t *stride, int rank, const int64_t *dim);

/* The whole of y, which lies dense, from a tensor whose strides are from_stride: the walk with `to` filled in. */
ot_walk ot_walk_into(const ot_tensor *y, const ot_tensor *x);

#endif

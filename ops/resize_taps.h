/* Resize: where each output of an axis comes from, as taps: indices into the input and their weights.  Resizing is
 * separable, so a node is one such table for each axis. */
#ifndef OT_OPS_RESIZE_TAPS_H
#define OT_OPS_RESIZE_TAPS_H

#include "run.h"

typedef enum ot_resize_mode { OT_RESIZE_NEAREST, OT_RESIZE_LINEAR, OT_RESIZE_CUBIC } ot_resize_mode;

/* The attributes of a node over an input of `rank` dims. */
typedef struct ot_resize {
    ot_resize_mode mode;
    int nearest, transform, policy;
    bool antialias, exclude_outside;
    bool crops; /* reads roi */
    double cubic_a, extrapolation;
    int n_axes, axis[OT_MAX_RANK]; /* what roi, scales and sizes speak of */
} ot_resize;

ot_status ot_resize_read(ot_resize *h, const ot_node *n, int rank);
/* The shape rule of Resize and Upsample. */
ot_status ot_resize_rule(ot_infer *c);

/* One axis of a node. */
typedef struct ot_taps {
    int axis;
    int64_t outer, in, out, inner; /* the dims before the axis, the axis, and behind, while it is its turn */
    int n;                         /* taps of each output */
    bool same;                     /* nothing to do: output i is input i */
    int64_t *at;                   /* [out][n], each below `in`; -1 (all n): outside, the extrapolation value */
    double *weight;                /* [out][n] */
} ot_taps;

/* The inputs of a node that say how far to resize: those at `first` (roi), first + 1 (scales) and first + 2 (sizes). */
typedef struct ot_resize_target {
    const ot_tensor *roi, *scales, *sizes; /* NULL where absent or empty */
} ot_resize_target;
ot_resize_target ot_resize_target_of(const ot_run *r, int first);

/* Output dims from input dims and the target; all numbers.  Errors: lengths, scales that are no positive numbers. */
ot_status ot_resize_dims(const ot_resize *h, const ot_resize_target *t, int rank, const int64_t *in, int64_t *out);

/* Bytes of work space that ot_resize_tables needs for these dims; false: out of range. */
bool ot_resize_room(const ot_resize *h, int rank, const int64_t *in, const int64_t *out, size_t *bytes);
/* Fills taps[] (one for each of h->axis) from the target; the tables lie in `room`. */
ot_status ot_resize_tables(const ot_resize *h, const ot_resize_target *t, int rank, const int64_t *in,
                           const int64_t *out, void *room, ot_taps *taps);
/* The order in which axes are resized, the one that shrinks most first, with outer and inner for each turn.  Gives the
 * number of axes that are not the same. */
int ot_resize_order(ot_taps *taps, int n, int rank, const int64_t *in);

#endif

/* What the files of batch normalisation share: x as [n][c][size]. */
#ifndef OT_OPS_BATCHNORM_H
#define OT_OPS_BATCHNORM_H

#include "run.h"
#include "kernels/rows.h"

typedef struct ot_planes {
    int64_t n, c, size;
} ot_planes;

/* A tensor of rank 1 has one channel. */
static inline ot_planes ot_planes_of(int rank, const int64_t *dim)
{
    ot_planes p = { .n = dim[0], .c = rank > 1 ? dim[1] : 1, .size = 1 };
    for (int d = 2; d < rank; d++)
        p.size *= dim[d];
    return p;
}

/* Input i is a vector with one float for each channel of input `x`. */
ot_status ot_channel_vector(const ot_infer *c, int i, int x);
/* Output i is a vector with an element of this type for each channel of input `x`. */
void ot_set_channels(ot_infer *c, int i, ot_dtype dtype, int x);
/* Scratch for `vectors` float vectors of one element a channel of input x. */
ot_status ot_channel_scratch(ot_prep *p, int x, int vectors);

#endif

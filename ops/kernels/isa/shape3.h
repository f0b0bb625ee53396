/* Convolution and pooling shapes brought to three spatial dimensions: leading ones are added. */
#ifndef OT_KERNELS_SHAPE3_H
#define OT_KERNELS_SHAPE3_H

#include "isa.h"

OT_INLINE void shape3(int spatial, const int64_t *from, int64_t fill, int64_t to[3])
{
    for (int d = 0; d < 3; d++)
        to[d] = d < 3 - spatial ? fill : from[d - (3 - spatial)];
}
OT_INLINE int64_t volume3(const int64_t v[3])
{
    return v[0] * v[1] * v[2];
}

#endif

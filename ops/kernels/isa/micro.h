/* The inner product of packed panels. */
#ifndef OT_KERNELS_MICRO_H
#define OT_KERNELS_MICRO_H

#include "isa.h"

/* tile[rows][OT_NR] (+)= sum over p < depth of a[p][rows] x b[p][OT_NR].  a, b and tile are packed without gaps, b and
 * tile aligned to a vector.  vectors (1 or 2) of each row are computed; `more` adds to what the tile holds.
 * Each element is one chain of multiply-adds over p, whatever rows and vectors are. */
void OT_K(ot_micro)(int rows, int vectors, int64_t depth, const float *a, const float *b, float *tile, bool more);

#endif

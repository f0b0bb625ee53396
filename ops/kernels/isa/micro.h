/* The inner product of packed panels. */
#ifndef OT_KERNELS_MICRO_H
#define OT_KERNELS_MICRO_H

#include "isa.h"

/* tile[rows][..] (+)= sum over p < depth of a[p][rows] x b[p][..].  a is packed without gaps; rows of b are b_row
 * floats apart, rows of the tile tile_row; b, tile and these strides are multiples of a vector.  vectors (1 or 2) of
 * each row are computed; `more` adds to what the tile holds. Each element is one chain of multiply-adds over p,
 * whatever rows and vectors are. */
void OT_K(ot_micro)(int rows, int vectors, int64_t depth, const float *a, const float *b, int64_t b_row, float *tile,
                    int64_t tile_row, bool more);

#endif

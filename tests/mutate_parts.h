/* What the parts of mutate.h share: single things drawn at random. */
#ifndef OT_TESTS_MUTATE_PARTS_H
#define OT_TESTS_MUTATE_PARTS_H

#include "mutate.h"

static inline bool one_in(mutate_rng *r, int64_t n)
{
    return mutate_below(r, n) == 0;
}

ot_dtype mutate_dtype(mutate_rng *r);
/* Dims from a small pool, so that shapes of different inputs often fit; rank < 0: drawn.  Returns the rank. */
int mutate_dims(mutate_rng *r, int64_t *dim, int rank);
/* Sets an attribute of the node: half of the time one that its operator has, else any, of any type. */
ot_status mutate_attr(ot_model *m, Onnx__NodeProto *n, mutate_rng *r);

#endif

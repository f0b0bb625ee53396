/* Lists of axes, which were an attribute once and are an input now. */
#ifndef OT_OPS_AXES_H
#define OT_OPS_AXES_H

#include "op.h"

/* In a builder of .normalise: emits the node again with the list attribute `name` as constant input 1, all other
 * attributes kept.  Does nothing when the attribute is not there. */
void ot_list_to_input(ot_build *b, const char *name);

/* The axes of the constant or known input i as marks of the dims of a tensor of this rank; *count of them, 0 when the
 * input is absent or empty, -1 when they are not known (yet).  Errors: out of range, twice the same. */
ot_status ot_axes_of(const ot_infer *c, int i, int rank, bool mark[OT_MAX_RANK], int *count);

/* The elements of a known integer vector, at most `most`; *n of them, -1 when they are not known.  An absent input has
 * none. */
ot_status ot_known_ints(const ot_infer *c, int i, int most, ot_dim *v, int *n);

#endif

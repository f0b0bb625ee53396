/* The two products of attention over [batch, heads, steps, size], for composites.  A group of heads of q shares a head
 * of k and v: they are rows of one product, so that k and v are not repeated. */
#ifndef OT_OPS_ATTENTION_H
#define OT_OPS_ATTENTION_H

#include "op.h"

/* q k' times the attribute `scale` of the node, 1 / sqrt(size) where it is absent: [batch, heads of q, steps, keys]. */
ot_val ot_attention_scores(ot_build *b, ot_val q, ot_val k);
/* weights v, of the type of v: [batch, heads of q, steps, size of v]. */
ot_val ot_attention_sums(ot_build *b, ot_val weights, ot_val q, ot_val v);
/* v as this type. */
ot_val ot_as_type(ot_build *b, ot_val v, ot_dtype to);

#endif

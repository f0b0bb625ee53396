/* What a shape rule knows of the data of its inputs. */
#ifndef OT_OPS_KNOWN_H
#define OT_OPS_KNOWN_H

#include "op.h"

/* The only element of input i as an integer (a float one is cut) or a symbol; false when it is not known.  An input of
 * more or fewer elements is not known. */
bool ot_known_scalar(const ot_infer *c, int i, ot_dim *v);

/* A view of the known elements of input i, symbols among them, as int64; false when they or the dims are not known. */
bool ot_known_view(const ot_infer *c, int i, ot_tensor *t);
/* The same with all elements numbers: from the data of the input where its elements are not in its fact. */
bool ot_known_numbers(const ot_infer *c, int i, ot_tensor *t);

/* The rank of input i, or (-1) of some input, is not known yet: a rule then says what it can. */
bool ot_open_rank(const ot_infer *c, int i);
/* What it can: the type of input 0, and the dims of input i where those are known. */
ot_status ot_open_like(ot_infer *c, int i);

/* All dims are numbers and there are `most` elements at most. */
bool ot_is_small(const ot_fact *f, int64_t most);
/* Room for the known elements of output 0 as a view of its dims; false when they are too many or some dim is open.
 * ot_hand_on makes them known. */
bool ot_value_room(ot_infer *c, ot_tensor *t);
void ot_hand_on(ot_infer *c, const ot_tensor *t);

#endif

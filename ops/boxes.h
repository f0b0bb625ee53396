/* What the operators over boxes share: pieces of tensors put together and taken apart. */
#ifndef OPS_BOXES_H
#define OPS_BOXES_H

#include "op.h"

/* Boxes that are gathered; drop_list gives them back. */
typedef struct ot_box_list {
    ot_box **box;
    int64_t n, cap;
} ot_box_list;
ot_status ot_list_add(ot_box_list *l, ot_box *b); /* takes the reference over, also when it fails */
void ot_list_drop(ot_box_list *l);

/* Box i must be there and a tensor. */
ot_status ot_flow_tensor(const ot_tensor **out, const ot_flow *f, int i);
/* The one element of tensor i, an integer or bool; `otherwise` where it is absent. */
ot_status ot_flow_scalar(int64_t *out, const ot_flow *f, int i, int64_t otherwise);

/* The tensors one behind the other along an axis: an old one, along which they may differ, or a new one.  backward: the
 * last first. */
ot_status ot_join(ot_box **out, const ot_flow *f, int64_t n, ot_box *const *piece, int64_t axis, bool fresh,
                  bool backward);
/* Elements [at, at + n) along an axis; without `keep` n is 1 and the axis goes. */
ot_status ot_cut(ot_box **out, const ot_flow *f, const ot_tensor *x, int axis, int64_t at, int64_t n, bool keep);

#endif

#include "norm_rows.h"

ot_norm_rows ot_norm_rows_of(const ot_node *node, int rank, const int64_t *dim)
{
    ot_norm_rows s = { 1, 1 };
    int64_t axis = ot_attr_int(node, "axis", -1);
    axis += axis < 0 ? rank : 0;
    for (int d = 0; d < rank; d++)
        *(d < axis ? &s.rows : &s.n) *= dim[d];
    return s;
}

bool ot_norm_fits(const ot_fact *x, const ot_fact *s, int axis, bool sure)
{
    const int lead = s->rank - (x->rank - axis);
    for (int k = 0; k < s->rank; k++) {
        const ot_dim want = k < lead ? 1 : x->dim[axis + k - lead];
        const bool open = ot_is_symbol(s->dim[k]) || ot_is_symbol(want);
        if (s->dim[k] != want && (!open || (sure && (ot_is_symbol(s->dim[k]) || s->dim[k] == 1))))
            return false;
    }
    return lead >= 0;
}

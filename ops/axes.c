#include "axes.h"

#include <string.h>

#define MOST_ATTRS 32

void ot_list_to_input(ot_build *b, const char *name)
{
    const ot_node *n = ot_the_node(b);
    ot_attr rest[MOST_ATTRS + 1];
    int count, kept = 0;
    const int64_t *list = ot_attr_ints(n, name, &count);
    if (!ot_attr_find(n, name))
        return;
    for (const ot_attr *a = n->attr; a->name; a++) {
        if (strcmp(a->name, name) == 0)
            continue;
        if (kept == MOST_ATTRS) {
            ot_build_fail(b, ot_fail(OT_EMODEL, "more than %d attributes", MOST_ATTRS));
            return;
        }
        rest[kept++] = *a;
    }
    rest[kept] = (ot_attr){ .name = NULL };
    ot_val out[1] = { OT_NONE };
    ot_val in[2] = { ot_x(b, 0), ot_const_ints(b, count, list) };
    if (n->n_out == 1) {
        ot_emit_outputs(b, n->op->name, rest, 2, in, 1, out);
        ot_becomes(b, 0, out[0]);
    }
}

ot_status ot_known_ints(const ot_infer *c, int i, int most, ot_dim *v, int *n)
{
    *n = 0;
    if (i >= c->n_in || !c->x[i])
        return OT_OK;
    const ot_fact *f = c->x[i];
    OT_TRY(ot_rank_between(c, i, 0, 1));
    if (f->dtype != OT_INT64 && f->dtype != OT_INT32)
        return ot_fail(OT_ESHAPE, "input %d is %s, wanted is int64", i, ot_dtype_name(f->dtype));
    *n = -1;
    if (!f->value)
        return OT_OK;
    if (f->n_value > most)
        return ot_fail(OT_ESHAPE, "input %d has %d elements, the most are %d", i, f->n_value, most);
    *n = f->n_value;
    memcpy(v, f->value, (size_t)f->n_value * sizeof(*v));
    return OT_OK;
}

ot_status ot_axes_of(const ot_infer *c, int i, int rank, bool mark[OT_MAX_RANK], int *count)
{
    ot_dim v[OT_MAX_RANK];
    memset(mark, 0, OT_MAX_RANK * sizeof(*mark));
    OT_TRY(ot_known_ints(c, i, OT_MAX_RANK, v, count));
    for (int k = 0; k < *count; k++) {
        int axis;
        OT_TRY(ot_axis(&axis, v[k], rank));
        if (mark[axis])
            return ot_fail(OT_EMODEL, "axis %d is there twice", axis);
        mark[axis] = true;
    }
    return OT_OK;
}

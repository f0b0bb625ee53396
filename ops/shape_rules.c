/* Shape rules that several operators share, and the helpers that rules are made of. */
#include "op.h"

#include <string.h>

void ot_set_shape(ot_fact *y, ot_dtype dtype, int rank, const ot_dim *dim)
{
    y->kind = OT_TENSOR;
    y->dtype = dtype;
    y->rank = rank;
    if (rank > 0)
        memcpy(y->dim, dim, (size_t)rank * sizeof(*dim));
}

ot_status ot_dims_agree(ot_dim *out, ot_dim a, ot_dim b, const char *what)
{
    bool a_open = ot_is_symbol(a), b_open = ot_is_symbol(b);
    if (!a_open && !b_open && a != b)
        return ot_fail(OT_ESHAPE, "%s: %lld is not %lld", what, (long long)a, (long long)b);
    *out = a_open ? b : a;
    return OT_OK;
}

ot_status ot_axis(int *out, int64_t axis, int rank)
{
    if (axis < -rank || axis >= rank)
        return ot_fail(OT_ESHAPE, "axis %lld is outside of rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return OT_OK;
}

ot_status ot_rank_between(const ot_infer *c, int i, int lo, int hi)
{
    if (i >= c->n_in || !c->x[i])
        return ot_fail(OT_EMODEL, "input %d is missing", i);
    if (c->x[i]->kind != OT_TENSOR)
        return ot_fail(OT_ESHAPE, "input %d is not a tensor", i);
    if (c->x[i]->rank < 0)
        return ot_fail(OT_EUNSUPPORTED, "the rank of input %d is not known", i);
    if (c->x[i]->rank < lo || c->x[i]->rank > hi)
        return ot_fail(OT_ESHAPE, "input %d has rank %d, wanted is %d to %d", i, c->x[i]->rank, lo, hi);
    return OT_OK;
}

ot_status ot_needs_float(const ot_infer *c, int i)
{
    ot_dtype t = i < c->n_in && c->x[i] ? c->x[i]->dtype : OT_UNDEFINED;
    if (t != OT_FLOAT && t != OT_DOUBLE && t != OT_FLOAT16 && t != OT_BFLOAT16)
        return ot_fail(OT_ESHAPE, "input %d is %s, wanted is a float type", i, ot_dtype_name(t));
    return OT_OK;
}

ot_dim ot_dims_product(ot_infer *c, const ot_dim *dim, int from, int to)
{
    ot_dim p = 1;
    for (int i = from; i < to; i++)
        p = ot_dim_mul(c, p, dim[i]);
    return p;
}

ot_status ot_same_shape(ot_infer *c)
{
    for (int i = 0; i < c->n_out; i++) {
        c->y[i] = *c->x[0];
        c->y[i].value = NULL;
        c->y[i].n_value = 0;
    }
    return OT_OK;
}

ot_status ot_like_shape(ot_infer *c)
{
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

ot_status ot_broadcast_dims(ot_infer *c, int *rank, ot_dim *dim, const ot_fact *a, const ot_fact *b)
{
    int r = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < r; i++) {
        int ia = i - (r - a->rank), ib = i - (r - b->rank);
        ot_dim p = ia < 0 ? 1 : a->dim[ia], q = ib < 0 ? 1 : b->dim[ib];
        if (p == q || q == 1)
            dim[i] = p;
        else if (p == 1)
            dim[i] = q;
        else if (ot_is_symbol(p) && ot_is_symbol(q))
            dim[i] = ot_dim_unknown(c); /* either may be 1 */
        else if (ot_is_symbol(p) || ot_is_symbol(q))
            dim[i] = ot_is_symbol(p) ? q : p; /* the symbol is this number or 1 */
        else
            return ot_fail(OT_ESHAPE, "%s and %s do not broadcast", OT_DIMS(a->rank, a->dim), OT_DIMS(b->rank, b->dim));
    }
    *rank = r;
    return OT_OK;
}

ot_status ot_broadcast_shape(ot_infer *c)
{
    ot_fact so_far = *c->x[0];
    c->y[0].dtype = so_far.dtype; /* stands where a rank is not known */
    for (int i = 0; i < c->n_in; i++) {
        OT_TRY(ot_rank_between(c, i, 0, OT_MAX_RANK));
        if (c->x[i]->dtype != c->x[0]->dtype)
            return ot_fail(OT_ESHAPE, "input %d is %s, input 0 is %s", i, ot_dtype_name(c->x[i]->dtype),
                           ot_dtype_name(c->x[0]->dtype));
        ot_dim dim[OT_MAX_RANK];
        int rank;
        OT_TRY(ot_broadcast_dims(c, &rank, dim, &so_far, c->x[i]));
        ot_set_shape(&so_far, so_far.dtype, rank, dim);
    }
    ot_set_shape(&c->y[0], so_far.dtype, so_far.rank, so_far.dim);
    return OT_OK;
}

int ot_view_always(const ot_prep *p)
{
    (void)p;
    return 0;
}

int ot_view_same_dims(const ot_prep *p)
{
    const ot_fact *x = p->x[0], *y = p->y[0];
    bool same = x->dtype == y->dtype && x->rank == y->rank;
    for (int i = 0; same && i < x->rank; i++)
        same = x->dim[i] == y->dim[i];
    return same ? 0 : -1;
}

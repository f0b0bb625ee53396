/* What the shape rules of operators that address by indices share. */
#include "scatter.h"

#include <string.h>

static ot_status integer_indices(const ot_infer *c, int i)
{
    OT_TRY(ot_rank_between(c, i, 0, OT_MAX_RANK));
    if (c->x[i]->dtype != OT_INT64 && c->x[i]->dtype != OT_INT32)
        return ot_fail(OT_ESHAPE, "the indices are %s, wanted is int64 or int32", ot_dtype_name(c->x[i]->dtype));
    return OT_OK;
}

ot_status ot_check_elements(const ot_infer *c, int indices, const ot_fact *whole, int axis)
{
    OT_TRY(integer_indices(c, indices));
    const ot_fact *x = c->x[indices];
    if (x->rank != whole->rank)
        return ot_fail(OT_ESHAPE, "the indices have rank %d, the data %d", x->rank, whole->rank);
    for (int d = 0; d < x->rank; d++)
        if (d != axis && !ot_is_symbol(x->dim[d]) && !ot_is_symbol(whole->dim[d]) && x->dim[d] > whole->dim[d])
            return ot_fail(OT_ESHAPE, "the indices are %s, more than the data %s along axis %d",
                           OT_DIMS(x->rank, x->dim), OT_DIMS(whole->rank, whole->dim), d);
    return OT_OK;
}

ot_status ot_check_tuples(const ot_infer *c, int indices, const ot_fact *whole, int batch_dims)
{
    OT_TRY(integer_indices(c, indices));
    OT_TRY(ot_rank_between(c, indices, 1, OT_MAX_RANK));
    const ot_fact *x = c->x[indices];
    ot_dim tuple = x->dim[x->rank - 1], same;
    if (batch_dims < 0 || batch_dims >= x->rank || batch_dims >= whole->rank)
        return ot_fail(OT_ESHAPE, "batch_dims is %d, the ranks are %d and %d", batch_dims, whole->rank, x->rank);
    for (int d = 0; d < batch_dims; d++)
        OT_TRY(ot_dims_agree(&same, whole->dim[d], x->dim[d], "a batch dimension"));
    if (!ot_is_symbol(tuple) && (tuple < 1 || tuple > whole->rank - batch_dims))
        return ot_fail(OT_ESHAPE, "tuples of %lld indices for rank %d", (long long)tuple, whole->rank - batch_dims);
    return OT_OK;
}

ot_status ot_combining_of(ot_combining *how, const ot_node *n)
{
    static const char *const names[] = { "none", "add", "mul", "min", "max" };
    const char *name = ot_attr_text(n, "reduction", "none");
    for (int i = 0; i < 5; i++)
        if (strcmp(names[i], name) == 0) {
            *how = (ot_combining)i;
            return OT_OK;
        }
    return ot_fail(OT_EMODEL, "reduction is '%s', wanted is none, add, mul, min or max", name);
}

ot_status ot_scatter_type(ot_dtype t, ot_combining how)
{
    bool number =
        ot_dtype_is_int(t) || t == OT_BOOL || t == OT_FLOAT || t == OT_DOUBLE || t == OT_FLOAT16 || t == OT_BFLOAT16;
    bool is_complex = (t == OT_COMPLEX64 || t == OT_COMPLEX128) && (how == OT_PLUS || how == OT_TIMES);
    if (how == OT_PUT || ((number || is_complex) && ot_dtype_size(t)))
        return OT_OK;
    return ot_fail(OT_ESHAPE, "this reduction is not defined for %s", ot_dtype_name(t));
}

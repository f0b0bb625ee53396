/* Reshape, Flatten, Squeeze, Unsqueeze, Identity: the same elements under other dims, no bytes move.
 * ReshapeLike: (x, like) -> x with the dims of like, of which only the shape is read: the gradient of all of them. */
#include "axes.h"
#include "run.h"

#include <string.h>

static ot_status copy_run(const ot_run *r)
{
    memcpy(r->y[0].data, r->x[0].data, ot_tensor_bytes(&r->y[0]));
    return OT_OK;
}

static const ot_kernel copy_kernels[] = {
    { .name = "copy", .run = copy_run },
    { 0 },
};

static ot_status any_rank(ot_infer *c)
{
    c->y[0].dtype = c->x[0]->dtype;
    return ot_rank_between(c, 0, 0, OT_MAX_RANK);
}

static void keep_elements(ot_infer *c, int rank, const ot_dim *dim)
{
    ot_set_shape(&c->y[0], c->x[0]->dtype, rank, dim);
    c->y[0].value = c->x[0]->value;
    c->y[0].n_value = c->x[0]->n_value;
}

static void like_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "ReshapeLike", ot_dy(b, 0), ot_x(b, 0)));
}

static void identity_differentiate(ot_build *b)
{
    ot_give(b, 0, ot_dy(b, 0));
}

/* ---- Reshape -------------------------------------------------------------------------------------------------------
 */

/* Equal dims of both sides cancel, so that the division works over symbols and with dims of 0. */
static ot_dim left_over(ot_infer *c, const ot_fact *x, int rank, const ot_dim *dim, int open)
{
    bool used[OT_MAX_RANK] = { 0 };
    ot_dim over = 1, under = 1;
    for (int i = 0; i < rank; i++) {
        bool found = i == open;
        for (int k = 0; k < x->rank && !found; k++)
            if (!used[k] && x->dim[k] == dim[i])
                found = used[k] = true;
        if (!found)
            under = ot_dim_mul(c, under, dim[i]);
    }
    for (int k = 0; k < x->rank; k++)
        if (!used[k])
            over = ot_dim_mul(c, over, x->dim[k]);
    if (!ot_is_symbol(over) && !ot_is_symbol(under))
        return under > 0 && over % under == 0 ? over / under : -1;
    return ot_dim_div(c, over, under);
}

static ot_status check_counts(const ot_fact *x, int rank, const ot_dim *dim)
{
    int64_t a, b;
    for (int i = 0; i < x->rank; i++)
        if (ot_is_symbol(x->dim[i]))
            return OT_OK;
    for (int i = 0; i < rank; i++)
        if (ot_is_symbol(dim[i]))
            return OT_OK;
    if (!ot_count(&a, x->rank, x->dim) || !ot_count(&b, rank, dim) || a != b)
        return ot_fail(OT_ESHAPE, "%s cannot become %s", OT_DIMS(x->rank, x->dim), OT_DIMS(rank, dim));
    return OT_OK;
}

static ot_status reshape_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0], *shape = c->x[1];
    ot_dim dim[OT_MAX_RANK];
    bool literal_zero = ot_attr_int(c->node, "allowzero", 0) != 0;
    int rank, open = -1;
    OT_TRY(ot_rank_between(c, 1, 1, 1));
    OT_TRY(ot_known_ints(c, 1, OT_MAX_RANK, dim, &rank));
    c->y[0].dtype = x->dtype;
    if (rank < 0) {
        if (ot_is_symbol(shape->dim[0]))
            return OT_OK;
        if (shape->dim[0] > OT_MAX_RANK)
            return ot_fail(OT_ESHAPE, "a shape of %lld dims", (long long)shape->dim[0]);
        for (int i = 0; i < shape->dim[0]; i++)
            dim[i] = ot_dim_unknown(c);
        ot_set_shape(&c->y[0], x->dtype, (int)shape->dim[0], dim);
        return OT_OK;
    }
    if (x->rank < 0) {
        for (int i = 0; i < rank; i++)
            dim[i] = dim[i] == -1 || (dim[i] == 0 && !literal_zero) ? ot_dim_unknown(c) : dim[i];
        ot_set_shape(&c->y[0], x->dtype, rank, dim);
        return OT_OK;
    }
    for (int i = 0; i < rank; i++) {
        if (dim[i] == 0 && !literal_zero) {
            if (i >= x->rank)
                return ot_fail(OT_ESHAPE, "dimension %d is to be kept, %s has none", i, OT_DIMS(x->rank, x->dim));
            dim[i] = x->dim[i];
        } else if (dim[i] == -1) {
            if (open >= 0)
                return ot_fail(OT_ESHAPE, "two dimensions of -1 in the shape %s", OT_DIMS(rank, shape->value));
            open = i;
        } else if (dim[i] < 0 && !ot_is_symbol(dim[i])) {
            return ot_fail(OT_ESHAPE, "dimension %d of the shape is %lld", i, (long long)dim[i]);
        }
    }
    if (open >= 0) {
        dim[open] = left_over(c, x, rank, dim, open);
        if (dim[open] == -1)
            return ot_fail(OT_ESHAPE, "%s cannot become %s", OT_DIMS(x->rank, x->dim), OT_DIMS(rank, dim));
    }
    OT_TRY(check_counts(x, rank, dim));
    keep_elements(c, rank, dim);
    return OT_OK;
}

static void reshape_normalise(ot_build *b)
{
    if (ot_the_node(b)->n_in == 1)
        ot_list_to_input(b, "shape");
}

static ot_status reshape_like_infer(ot_infer *c)
{
    OT_TRY(any_rank(c));
    OT_TRY(ot_rank_between(c, 1, 0, OT_MAX_RANK));
    OT_TRY(check_counts(c->x[0], c->x[1]->rank, c->x[1]->dim));
    keep_elements(c, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

/* ---- Flatten, Squeeze, Unsqueeze, Identity --------------------------------------------------------------------------
 */

static ot_status flatten_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    OT_TRY(any_rank(c));
    int64_t axis = ot_attr_int(c->node, "axis", 1);
    if (axis < -x->rank || axis > x->rank)
        return ot_fail(OT_ESHAPE, "axis %lld is outside of rank %d", (long long)axis, x->rank);
    int at = (int)(axis < 0 ? axis + x->rank : axis);
    keep_elements(c, 2, (const ot_dim[]){ ot_dims_product(c, x->dim, 0, at), ot_dims_product(c, x->dim, at, x->rank) });
    return OT_OK;
}

static ot_status squeeze_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    bool mark[OT_MAX_RANK];
    ot_dim dim[OT_MAX_RANK];
    int count, rank = 0;
    OT_TRY(any_rank(c));
    OT_TRY(ot_axes_of(c, 1, x->rank, mark, &count));
    c->y[0].dtype = x->dtype;
    if (count < 0)
        return OT_OK;
    bool all = c->n_in < 2 || !c->x[1];
    for (int i = 0; i < x->rank; i++) {
        bool drop = all ? x->dim[i] == 1 : mark[i];
        if (drop && x->dim[i] != 1 && !ot_is_symbol(x->dim[i]))
            return ot_fail(OT_ESHAPE, "axis %d of %s is not 1", i, OT_DIMS(x->rank, x->dim));
        if (!drop)
            dim[rank++] = x->dim[i];
    }
    keep_elements(c, rank, dim);
    return OT_OK;
}

static ot_status unsqueeze_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    bool mark[OT_MAX_RANK];
    ot_dim dim[OT_MAX_RANK], axes[OT_MAX_RANK];
    int count;
    OT_TRY(any_rank(c));
    OT_TRY(ot_known_ints(c, 1, OT_MAX_RANK, axes, &count));
    c->y[0].dtype = x->dtype;
    if (count < 0)
        return OT_OK;
    if (x->rank + count > OT_MAX_RANK)
        return ot_fail(OT_EUNSUPPORTED, "rank %d; the most is %d", x->rank + count, OT_MAX_RANK);
    OT_TRY(ot_axes_of(c, 1, x->rank + count, mark, &count));
    for (int i = 0, from = 0; i < x->rank + count; i++)
        dim[i] = mark[i] ? 1 : x->dim[from++];
    keep_elements(c, x->rank + count, dim);
    return OT_OK;
}

static void axes_normalise(ot_build *b)
{
    if (ot_the_node(b)->n_in == 1)
        ot_list_to_input(b, "axes");
}

static ot_status identity_infer(ot_infer *c)
{
    c->y[0] = *c->x[0];
    return OT_OK;
}

/* Of sequences and optionals. */
static ot_status identity_flow(const ot_flow *f)
{
    f->y[0] = ot_box_share(f->x[0]);
    return OT_OK;
}

/* ---- Registration --------------------------------------------------------------------------------------------------
 */

#define VIEW(id, of_domain, last, least, most, rewrite, rule, differentiate, other)                                    \
    const ot_op ot_op_##id = { .domain = of_domain,                                                                    \
                               .name = #id,                                                                            \
                               .since = 1,                                                                             \
                               .until = last,                                                                          \
                               .min_in = least,                                                                        \
                               .max_in = most,                                                                         \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .normalise = rewrite,                                                                   \
                               .infer = rule,                                                                          \
                               .grad = differentiate,                                                                  \
                               .cpu = copy_kernels,                                                                    \
                               .flow = other,                                                                          \
                               .view = ot_view_always,                                                                 \
                               .shape_only = 1u << 1 };

VIEW(Reshape, "", OT_LATEST, 1, 2, reshape_normalise, reshape_infer, like_differentiate, NULL)
VIEW(Flatten, "", OT_LATEST, 1, 1, NULL, flatten_infer, like_differentiate, NULL)
VIEW(Squeeze, "", OT_LATEST, 1, 2, axes_normalise, squeeze_infer, like_differentiate, NULL)
VIEW(Unsqueeze, "", OT_LATEST, 1, 2, axes_normalise, unsqueeze_infer, like_differentiate, NULL)
VIEW(Identity, "", OT_LATEST, 1, 1, NULL, identity_infer, identity_differentiate, identity_flow)
VIEW(ReshapeLike, OT_INTERNAL, 1, 2, 2, NULL, reshape_like_infer, like_differentiate, NULL)

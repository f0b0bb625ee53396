/* ScatterElements: data with updates put, added, multiplied or compared in where indices say (see GatherElements for
 * the addresses); Scatter is its old name.  ScatterND: the same by tuples of indices (see GatherND).
 * TensorScatter: (past, update, write_indices) -> past with update written along `axis` from the index of each batch
 * on, around the end when mode is circular.
 * Of updates put on one place, the last stays; others are combined in the order of the indices.
 * Backward of a sum reads the indices alone; of the others ScatterGrad (scatter_grad.c) tells, which reads data and
 * updates where elements are multiplied or compared. */
#include "known.h"
#include "scatter.h"

#include <string.h>

static ot_status same_type(const ot_infer *c, int i)
{
    if (c->x[i]->dtype != c->x[0]->dtype)
        return ot_fail(OT_ESHAPE, "the updates are %s, the data %s", ot_dtype_name(c->x[i]->dtype),
                       ot_dtype_name(c->x[0]->dtype));
    return OT_OK;
}

/* Small integers that are put are known; p: where they are. */
static void known_result(ot_infer *c, const ot_picks *p, int updates, ot_combining how)
{
    ot_tensor from, with, to;
    if (how != OT_PUT || !ot_known_view(c, 0, &from) || !ot_known_view(c, updates, &with) || !ot_value_room(c, &to))
        return;
    memcpy(to.data, from.data, ot_tensor_bytes(&to));
    ot_scatter(NULL, p, &with, &to, how);
    ot_hand_on(c, &to);
}

/* y holds data; nothing to copy where it already does. */
static void begin(const ot_run *r)
{
    size_t n = ot_tensor_bytes(&r->y[0]);
    if (n && r->y[0].data != r->x[0].data)
        memcpy(r->y[0].data, r->x[0].data, n);
}

/* ---- ScatterElements, Scatter --------------------------------------------------------------------------------------
 */

static ot_status elements_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_tensor indices;
    ot_combining how;
    ot_picks p;
    int axis;
    OT_TRY(ot_combining_of(&how, c->node));
    if (ot_open_rank(c, -1))
        return ot_open_like(c, 0);
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 2, x->rank, x->rank));
    OT_TRY(same_type(c, 2));
    OT_TRY(ot_scatter_type(x->dtype, how));
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", 0), x->rank));
    OT_TRY(ot_check_elements(c, 1, x, axis));
    for (int d = 0; d < x->rank; d++) {
        ot_dim same;
        OT_TRY(ot_dims_agree(&same, c->x[1]->dim[d], c->x[2]->dim[d], "a dimension of indices and updates"));
    }
    ot_set_shape(&c->y[0], x->dtype, x->rank, x->dim);
    if (!x->value || !ot_is_small(x, OT_MAX_VALUE) || !ot_known_numbers(c, 1, &indices))
        return OT_OK;
    ot_tensor whole = { .dtype = x->dtype, .rank = x->rank };
    memcpy(whole.dim, x->dim, sizeof(whole.dim));
    OT_TRY(ot_pick_elements(&p, &whole, &indices, axis));
    known_result(c, &p, 2, how);
    return OT_OK;
}

static ot_status elements_run(const ot_run *r)
{
    ot_combining how;
    ot_picks p;
    int axis;
    OT_TRY(ot_combining_of(&how, r->node));
    OT_TRY(ot_axis(&axis, ot_attr_int(r->node, "axis", 0), r->x[0].rank));
    OT_TRY(ot_pick_elements(&p, &r->y[0], &r->x[1], axis));
    begin(r);
    ot_scatter(r, &p, &r->x[2], &r->y[0], how);
    return OT_OK;
}

static void scatter_normalise(ot_build *b)
{
    ot_becomes(b, 0, OT_EMIT_WITH(b, "ScatterElements", ot_the_node(b)->attr, ot_x(b, 0), ot_x(b, 1), ot_x(b, 2)));
}

/* kind: how ScatterGrad finds the places. */
static void differentiate(ot_build *b, const char *kind, const char *gather, const ot_attr *of_gather)
{
    const ot_node *n = ot_the_node(b);
    const char *reduction = ot_attr_text(n, "reduction", "none");
    bool plus = strcmp(reduction, "add") == 0, put = strcmp(reduction, "none") == 0;
    if (plus) {
        ot_give(b, 0, ot_dy(b, 0));
        if (ot_wants(b, 2))
            ot_give(b, 2, OT_EMIT_WITH(b, gather, of_gather, ot_dy(b, 0), ot_x(b, 1)));
        return;
    }
    const ot_val in[5] = { ot_dy(b, 0), ot_x(b, 2), ot_x(b, 1), put ? OT_NONE : ot_x(b, 0),
                           put ? OT_NONE : ot_x(b, 2) };
    ot_val out[2] = { OT_NONE, OT_NONE };
    ot_emit_outputs(
        b, "ScatterGrad",
        OT_ATTRS(OT_TEXT("kind", kind), OT_INT("axis", ot_attr_int(n, "axis", 0)), OT_TEXT("reduction", reduction)), 5,
        in, 2, out);
    ot_give(b, 0, out[0]);
    ot_give(b, 2, out[1]);
}

static void elements_differentiate(ot_build *b)
{
    int64_t axis = ot_attr_int(ot_the_node(b), "axis", 0);
    differentiate(b, "elements", "GatherElements", OT_ATTRS(OT_INT("axis", axis)));
}

/* ---- ScatterND -----------------------------------------------------------------------------------------------------
 */

static ot_status tuples_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0], *i = c->x[1], *u = c->x[2];
    ot_tensor indices;
    ot_combining how;
    ot_picks p;
    OT_TRY(ot_combining_of(&how, c->node));
    if (ot_open_rank(c, -1))
        return ot_open_like(c, 0);
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 2, 0, OT_MAX_RANK));
    OT_TRY(same_type(c, 2));
    OT_TRY(ot_scatter_type(x->dtype, how));
    OT_TRY(ot_check_tuples(c, 1, x, 0));
    ot_set_shape(&c->y[0], x->dtype, x->rank, x->dim);
    ot_dim tuple = i->dim[i->rank - 1];
    if (ot_is_symbol(tuple))
        return OT_OK;
    if (u->rank != i->rank - 1 + x->rank - (int)tuple)
        return ot_fail(OT_ESHAPE, "the updates are %s for indices %s and data %s", OT_DIMS(u->rank, u->dim),
                       OT_DIMS(i->rank, i->dim), OT_DIMS(x->rank, x->dim));
    for (int d = 0; d < u->rank; d++) {
        ot_dim same, want = d < i->rank - 1 ? i->dim[d] : x->dim[d - (i->rank - 1) + tuple];
        OT_TRY(ot_dims_agree(&same, want, u->dim[d], "a dimension of the updates"));
    }
    if (!x->value || !ot_is_small(x, OT_MAX_VALUE) || !ot_known_numbers(c, 1, &indices))
        return OT_OK;
    ot_tensor whole = { .dtype = x->dtype, .rank = x->rank };
    memcpy(whole.dim, x->dim, sizeof(whole.dim));
    OT_TRY(ot_pick_tuples(&p, &whole, &indices, 0));
    known_result(c, &p, 2, how);
    return OT_OK;
}

static ot_status tuples_run(const ot_run *r)
{
    ot_combining how;
    ot_picks p;
    OT_TRY(ot_combining_of(&how, r->node));
    OT_TRY(ot_pick_tuples(&p, &r->y[0], &r->x[1], 0));
    begin(r);
    ot_scatter(r, &p, &r->x[2], &r->y[0], how);
    return OT_OK;
}

static void tuples_differentiate(ot_build *b)
{
    differentiate(b, "tuples", "GatherND", NULL);
}

/* ---- TensorScatter -------------------------------------------------------------------------------------------------
 */

static ot_status wraps_of(bool *wraps, const ot_node *n)
{
    const char *mode = ot_attr_text(n, "mode", "linear");
    *wraps = strcmp(mode, "circular") == 0;
    if (!*wraps && strcmp(mode, "linear") != 0)
        return ot_fail(OT_EMODEL, "mode is '%s', wanted is linear or circular", mode);
    return OT_OK;
}

static ot_status cache_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0], *u = c->x[1];
    bool wraps;
    int axis;
    ot_dim same;
    OT_TRY(wraps_of(&wraps, c->node));
    if (ot_open_rank(c, -1))
        return ot_open_like(c, 0);
    OT_TRY(ot_rank_between(c, 0, 2, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, x->rank, x->rank));
    OT_TRY(same_type(c, 1));
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", -2), x->rank));
    if (axis == 0)
        return ot_fail(OT_EMODEL, "the axis is that of the batch");
    for (int d = 0; d < x->rank; d++)
        if (d != axis)
            OT_TRY(ot_dims_agree(&same, x->dim[d], u->dim[d], "a dimension of cache and update"));
    if (!ot_is_symbol(x->dim[axis]) && !ot_is_symbol(u->dim[axis]) && u->dim[axis] > x->dim[axis])
        return ot_fail(OT_ESHAPE, "an update of %lld for a cache of %lld", (long long)u->dim[axis],
                       (long long)x->dim[axis]);
    if (c->n_in > 2 && c->x[2]) {
        OT_TRY(ot_rank_between(c, 2, 1, 1));
        if (c->x[2]->dtype != OT_INT64)
            return ot_fail(OT_ESHAPE, "the write indices are %s, wanted is int64", ot_dtype_name(c->x[2]->dtype));
        OT_TRY(ot_dims_agree(&same, x->dim[0], c->x[2]->dim[0], "the batch"));
    }
    ot_set_shape(&c->y[0], x->dtype, x->rank, x->dim);
    return OT_OK;
}

static ot_status cache_run(const ot_run *r)
{
    ot_picks p;
    bool wraps;
    int axis;
    OT_TRY(wraps_of(&wraps, r->node));
    OT_TRY(ot_axis(&axis, ot_attr_int(r->node, "axis", -2), r->y[0].rank));
    OT_TRY(ot_pick_cache(&p, &r->y[0], ot_has_x(r, 2) ? &r->x[2] : NULL, axis, r->x[1].dim[axis], wraps));
    begin(r);
    ot_scatter(r, &p, &r->x[1], &r->y[0], OT_PUT);
    return OT_OK;
}

static void cache_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const char *mode = ot_attr_text(n, "mode", "linear");
    const ot_val in[3] = { ot_dy(b, 0), ot_x(b, 1), ot_x(b, 2) };
    ot_val out[2] = { OT_NONE, OT_NONE };
    ot_emit_outputs(b, "ScatterGrad",
                    OT_ATTRS(OT_TEXT("kind", strcmp(mode, "linear") == 0 ? "cache" : "circular"),
                             OT_INT("axis", ot_attr_int(n, "axis", -2))),
                    3, in, 2, out);
    ot_give(b, 0, out[0]);
    ot_give(b, 1, out[1]);
}

/* ---- Registration --------------------------------------------------------------------------------------------------
 */

static const char *puts_only(const ot_prep *p)
{
    ot_combining how = OT_PUT;
    return ot_combining_of(&how, p->node) == OT_OK && how == OT_PUT ? NULL : "updates are combined with the data";
}

static const char *combines(const ot_prep *p)
{
    return puts_only(p) ? NULL : "updates are put";
}

static const char *combines_any(const ot_prep *p)
{
    ot_dtype t = p->x[0]->dtype;
    if (t == OT_DOUBLE || t == OT_FLOAT16 || t == OT_BFLOAT16)
        return "not in double";
    return combines(p);
}

static const ot_kernel elements_kernels[] = {
    { .name = "copy", .declines = puts_only, .run = elements_run },
    { .name = "combine", .declines = combines_any, .run = elements_run },
    { .name = "reference", .declines = combines, .run = elements_run, .in_double = true },
    { 0 },
};
static const ot_kernel tuples_kernels[] = {
    { .name = "copy", .declines = puts_only, .run = tuples_run },
    { .name = "combine", .declines = combines_any, .run = tuples_run },
    { .name = "reference", .declines = combines, .run = tuples_run, .in_double = true },
    { 0 },
};
static const ot_kernel cache_kernels[] = { { .name = "copy", .run = cache_run }, { 0 } };

#define SCATTER(id, first, least, most, rewrite, rule, differentiate, kernels)                                         \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = first,                                                                         \
                               .until = OT_LATEST,                                                                     \
                               .min_in = least,                                                                        \
                               .max_in = most,                                                                         \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .normalise = rewrite,                                                                   \
                               .infer = rule,                                                                          \
                               .grad = differentiate,                                                                  \
                               .cpu = kernels,                                                                         \
                               .in_place = 1 };

SCATTER(Scatter, 9, 3, 3, scatter_normalise, elements_infer, elements_differentiate, elements_kernels)
SCATTER(ScatterElements, 11, 3, 3, NULL, elements_infer, elements_differentiate, elements_kernels)
SCATTER(ScatterND, 11, 3, 3, NULL, tuples_infer, tuples_differentiate, tuples_kernels)
SCATTER(TensorScatter, 24, 2, 3, NULL, cache_infer, cache_differentiate, cache_kernels)

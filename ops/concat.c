/* Concat: the inputs side by side along `axis`.  Split: the way back.  Backward of both moves dy only; of the inputs
 * nothing but shapes is needed.
 * ConcatPart: (dy, x0 .. xi) -> the part of dy that came from xi. */
#include "axes.h"
#include "strided.h"

#include <string.h>

/* ---- Concat --------------------------------------------------------------------------------------------------------
 */

static ot_status concat_axis(int *axis, const ot_node *n, int rank)
{
    const ot_attr *a = ot_attr_find(n, "axis");
    if (!a && n->opset >= 4)
        return ot_fail(OT_EMODEL, "the attribute axis is missing");
    return ot_axis(axis, a ? a->i : 1, rank);
}

static void concat_value(ot_infer *c)
{
    int n = 0, at = 0;
    for (int i = 0; i < c->n_in; i++) {
        if (!c->x[i]->value || c->x[i]->rank != 1)
            return;
        n += c->x[i]->n_value;
    }
    if (n > OT_MAX_VALUE)
        return;
    ot_dim *v = ot_value_alloc(c, n);
    for (int i = 0; v && i < c->n_in; i++)
        for (int k = 0; k < c->x[i]->n_value; k++)
            v[at++] = c->x[i]->value[k];
    c->y[0].value = v;
    c->y[0].n_value = v ? n : 0;
}

static ot_status concat_infer(ot_infer *c)
{
    int axis;
    c->y[0].dtype = c->x[0]->dtype;
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(concat_axis(&axis, c->node, c->x[0]->rank));
    ot_fact y = *c->x[0];
    for (int i = 1; i < c->n_in; i++) {
        OT_TRY(ot_rank_between(c, i, y.rank, y.rank));
        if (c->x[i]->dtype != y.dtype)
            return ot_fail(OT_ESHAPE, "input %d is %s, input 0 is %s", i, ot_dtype_name(c->x[i]->dtype),
                           ot_dtype_name(y.dtype));
        for (int d = 0; d < y.rank; d++)
            if (d == axis)
                y.dim[d] = ot_dim_add(c, y.dim[d], c->x[i]->dim[d]);
            else if (ot_dims_agree(&y.dim[d], y.dim[d], c->x[i]->dim[d], "Concat") != OT_OK)
                return ot_fail(OT_ESHAPE, "input %d is %s, input 0 is %s: dimension %d differs", i,
                               OT_DIMS(y.rank, c->x[i]->dim), OT_DIMS(y.rank, c->x[0]->dim), d);
    }
    ot_set_shape(&c->y[0], y.dtype, y.rank, y.dim);
    concat_value(c);
    return OT_OK;
}

static ot_status concat_run(const ot_run *r)
{
    int axis;
    const ot_tensor *y = &r->y[0];
    OT_TRY(concat_axis(&axis, r->node, y->rank));
    ot_walk w = { .rank = y->rank, .to = y->data, .dtype = y->dtype };
    ot_dense_strides(w.to_stride, y->rank, y->dim);
    for (int i = 0; i < r->n_in; i++) {
        const ot_tensor *x = &r->x[i];
        memcpy(w.dim, x->dim, sizeof(w.dim));
        ot_dense_strides(w.from_stride, x->rank, x->dim);
        w.from = x->data;
        ot_walk_copy(r, &w);
        w.to_at += x->dim[axis] * w.to_stride[axis];
    }
    return OT_OK;
}

/* Room for `n` values of a builder; NULL after an error, which sticks. */
static ot_val *list_of(ot_build *b, int n)
{
    ot_val *v = ot_calloc((size_t)n + 1, sizeof(*v));
    if (!v)
        ot_build_fail(b, OT_ENOMEM);
    return v;
}

#define MOST_PARTS 31 /* bits of .shape_only after dy */

/* Many inputs: all the parts at once, by a Split at their sizes. */
static void split_dy(ot_build *b, int axis)
{
    const int n = ot_the_node(b)->n_in;
    ot_val *v = list_of(b, n);
    for (int i = 0; v && i < n; i++)
        v[i] = OT_EMIT_WITH(b, "Shape", OT_ATTRS(OT_INT("start", axis), OT_INT("end", axis + 1)), ot_x(b, i));
    if (v) {
        const ot_val in[] = { ot_dy(b, 0), ot_emit(b, "Concat", OT_ATTRS(OT_INT("axis", 0)), n, v) };
        ot_emit_outputs(b, "Split", OT_ATTRS(OT_INT("axis", axis)), 2, in, n, v);
        for (int i = 0; i < n; i++)
            ot_give(b, i, v[i]);
    }
    ot_free(v);
}

static void concat_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    ot_val in[MOST_PARTS + 1] = { ot_dy(b, 0) };
    int axis;
    ot_status st = concat_axis(&axis, n, ot_fact_of(b, ot_x(b, 0))->rank);
    if (st != OT_OK) {
        ot_build_fail(b, st);
        return;
    }
    if (n->n_in > MOST_PARTS) {
        split_dy(b, axis);
        return;
    }
    for (int i = 0; i < n->n_in; i++) {
        in[i + 1] = ot_x(b, i);
        if (ot_wants(b, i))
            ot_give(b, i, ot_emit(b, "ConcatPart", OT_ATTRS(OT_INT("axis", axis)), i + 2, in));
    }
}

static int view_of_one(const ot_prep *p)
{
    return p->n_in == 1 ? 0 : -1;
}

static const ot_kernel concat_kernels[] = {
    { .name = "strided", .run = concat_run, .in_bytes = true },
    { 0 },
};

const ot_op ot_op_Concat = { .domain = "",
                             .name = "Concat",
                             .since = 1,
                             .until = OT_LATEST,
                             .min_in = 1,
                             .max_in = OT_MANY,
                             .min_out = 1,
                             .max_out = 1,
                             .infer = concat_infer,
                             .grad = concat_differentiate,
                             .cpu = concat_kernels,
                             .view = view_of_one };

/* ---- ConcatPart -----------------------------------------------------------------------------------------------------
 */

static ot_status part_infer(ot_infer *c)
{
    const ot_fact *x = c->x[c->n_in - 1];
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    ot_set_shape(&c->y[0], c->x[0]->dtype, x->rank, x->dim);
    return OT_OK;
}

static ot_status part_run(const ot_run *r)
{
    int axis = (int)ot_attr_int(r->node, "axis", 0);
    ot_walk w = ot_walk_into(&r->y[0], &r->x[0]);
    ot_dense_strides(w.from_stride, r->x[0].rank, r->x[0].dim);
    for (int i = 1; i < r->n_in - 1; i++)
        w.from_at += r->x[i].dim[axis] * w.from_stride[axis];
    ot_walk_copy(r, &w);
    return OT_OK;
}

static const ot_kernel part_kernels[] = {
    { .name = "strided", .run = part_run, .in_bytes = true },
    { 0 },
};

const ot_op ot_op_ConcatPart = { .domain = OT_INTERNAL,
                                 .name = "ConcatPart",
                                 .since = 1,
                                 .until = 1,
                                 .min_in = 2,
                                 .max_in = OT_MANY,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = part_infer,
                                 .cpu = part_kernels,
                                 .shape_only = ~1u };

/* ---- Split ---------------------------------------------------------------------------------------------------------
 */

/* Where output k begins along the axis and how long it is; sizes: the known ones or NULL (equal parts, the last one
 * may be shorter). */
static ot_dim equal_part(ot_infer *c, ot_dim whole, int n, int k)
{
    if (ot_is_symbol(whole))
        return ot_dim_div(c, whole, n);
    int64_t part = whole / n + (whole % n != 0), left = whole - part * k;
    return left < 0 ? 0 : left < part ? left : part;
}

/* How many sizes there are; -1: not known. */
static ot_status split_sizes(const ot_infer *c, int64_t *n)
{
    const ot_fact *f = c->x[1];
    OT_TRY(ot_rank_between(c, 1, 0, 1));
    if (f->dtype != OT_INT64 && f->dtype != OT_INT32)
        return ot_fail(OT_ESHAPE, "input 1 is %s, wanted is int64", ot_dtype_name(f->dtype));
    *n = f->value ? f->n_value : c->constant[1] ? ot_tensor_count(c->constant[1]) : -1;
    return OT_OK;
}

/* Size k of those that are known: a fact does not carry many. */
static ot_dim split_size(const ot_infer *c, int k)
{
    return c->x[1]->value ? c->x[1]->value[k] : ot_known_element(ot_tensor_get_int(c->constant[1], k));
}

static ot_status split_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_dim sum = 0;
    int64_t n = 0;
    int axis;
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", 0), x->rank));
    bool equal = c->n_in < 2 || !c->x[1];
    if (!equal)
        OT_TRY(split_sizes(c, &n));
    int64_t parts = ot_attr_int(c->node, "num_outputs", c->n_out);
    if (equal && parts != c->n_out)
        return ot_fail(OT_EMODEL, "num_outputs is %lld, there are %d", (long long)parts, c->n_out);
    if (!equal && n >= 0 && n != c->n_out)
        return ot_fail(OT_EMODEL, "%lld sizes for %d outputs", (long long)n, c->n_out);
    for (int k = 0; k < c->n_out; k++) {
        ot_dim dim[OT_MAX_RANK];
        memcpy(dim, x->dim, sizeof(dim));
        dim[axis] = equal ? equal_part(c, x->dim[axis], c->n_out, k) : n < 0 ? ot_dim_unknown(c) : split_size(c, k);
        if (dim[axis] < 0 && !ot_is_symbol(dim[axis]))
            return ot_fail(OT_ESHAPE, "size %d is %lld", k, (long long)dim[axis]);
        sum = ot_dim_add(c, sum, dim[axis]);
        ot_set_shape(&c->y[k], x->dtype, x->rank, dim);
    }
    if (!ot_is_symbol(sum) && !ot_is_symbol(x->dim[axis]) && sum != x->dim[axis])
        return ot_fail(OT_ESHAPE, "the sizes add up to %lld, dimension %d is %lld", (long long)sum, axis,
                       (long long)x->dim[axis]);
    return OT_OK;
}

static ot_status split_run(const ot_run *r)
{
    int axis;
    const ot_tensor *x = &r->x[0];
    int64_t stride[OT_MAX_RANK], at = 0;
    OT_TRY(ot_axis(&axis, ot_attr_int(r->node, "axis", 0), x->rank));
    ot_dense_strides(stride, x->rank, x->dim);
    for (int k = 0; k < r->n_out; k++) {
        if (!ot_has_y(r, k))
            return ot_fail(OT_EUNSUPPORTED, "output %d of Split has no name", k);
        ot_walk w = ot_walk_into(&r->y[k], x);
        memcpy(w.from_stride, stride, sizeof(stride));
        w.from_at = at;
        ot_walk_copy(r, &w);
        at += r->y[k].dim[axis] * stride[axis];
    }
    return OT_OK;
}

static void split_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    ot_val *part = list_of(b, n->n_out);
    for (int k = 0; part && k < n->n_out; k++)
        part[k] = ot_dy(b, k) != OT_NONE ? ot_dy(b, k) : OT_EMIT(b, "ZerosLike", ot_y(b, k));
    if (part)
        ot_give(b, 0, ot_emit(b, "Concat", OT_ATTRS(OT_INT("axis", ot_attr_int(n, "axis", 0))), n->n_out, part));
    ot_free(part);
}

/* Sizes were an attribute before opset 13. */
static void split_normalise(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    int count;
    const int64_t *sizes = ot_attr_ints(n, "split", &count);
    if (n->opset >= 13 || !sizes || n->n_in != 1)
        return;
    ot_val *out = list_of(b, n->n_out);
    const ot_val in[2] = { ot_x(b, 0), ot_const_ints(b, count, sizes) };
    if (out)
        ot_emit_outputs(b, "Split", OT_ATTRS(OT_INT("axis", ot_attr_int(n, "axis", 0))), 2, in, n->n_out, out);
    for (int k = 0; out && k < n->n_out; k++)
        ot_becomes(b, k, out[k]);
    ot_free(out);
}

static const ot_kernel split_kernels[] = {
    { .name = "strided", .run = split_run, .in_bytes = true },
    { 0 },
};

const ot_op ot_op_Split = { .domain = "",
                            .name = "Split",
                            .since = 1,
                            .until = OT_LATEST,
                            .min_in = 1,
                            .max_in = 2,
                            .min_out = 1,
                            .max_out = OT_MANY,
                            .normalise = split_normalise,
                            .infer = split_infer,
                            .grad = split_differentiate,
                            .cpu = split_kernels,
                            .shape_only = 1u << 1 };

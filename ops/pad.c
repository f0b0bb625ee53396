/* Pad: x with pads[i] elements before and pads[i + n] after along each axis (negative: elements cut away); the new ones
 * are a constant, the mirror image, the edge or the other end.  Before opset 11 pads and the value are attributes.
 * Backward needs the shape of x alone: PadGrad: (dy, x, pads, axes) -> every dy added to the element that it came
 * from. */
#include "axes.h"
#include "strided.h"

#include <string.h>

enum { CONSTANT, REFLECT, EDGE, WRAP };

static ot_status mode_of(int *mode, const ot_node *n)
{
    static const char *const names[] = { "constant", "reflect", "edge", "wrap" };
    const char *name = ot_attr_text(n, "mode", "constant");
    for (*mode = 0; *mode < 4; ++*mode)
        if (strcmp(names[*mode], name) == 0)
            return OT_OK;
    return ot_fail(OT_EMODEL, "mode is '%s', wanted is constant, reflect, edge or wrap", name);
}

/* Where index i of the output comes from, i counted from the first element of x; -1: from nowhere. */
static int64_t source(int mode, int64_t i, int64_t n)
{
    if (i >= 0 && i < n)
        return i;
    switch (mode) {
    case REFLECT: {
        int64_t period = 2 * (n - 1);
        if (period <= 0)
            return 0;
        i = (i % period + period) % period;
        return i < n ? i : period - i;
    }
    case EDGE:
        return i < 0 ? 0 : n - 1;
    case WRAP:
        return (i % n + n) % n;
    default:
        return -1;
    }
}

/* Pads of each axis, from the inputs `first` (pads) and `axes`. */
static ot_status pads_of(const ot_infer *c, int first, int axes, int rank, ot_dim *before, ot_dim *after, bool *known)
{
    ot_dim v[2 * OT_MAX_RANK], axis[OT_MAX_RANK];
    int n, n_axes;
    bool seen[OT_MAX_RANK] = { 0 };
    OT_TRY(ot_known_ints(c, first, 2 * OT_MAX_RANK, v, &n));
    OT_TRY(ot_known_ints(c, axes, OT_MAX_RANK, axis, &n_axes));
    bool given = axes < c->n_in && c->x[axes];
    int count = given ? n_axes : rank;
    *known = n >= 0 && n_axes >= 0;
    for (int d = 0; d < rank; d++)
        before[d] = after[d] = 0;
    if (!*known)
        return OT_OK;
    if (n != 2 * count)
        return ot_fail(OT_ESHAPE, "%d pads for %d axes", n, count);
    for (int k = 0; k < count; k++) {
        int d;
        OT_TRY(ot_axis(&d, given ? axis[k] : k, rank));
        if (seen[d])
            return ot_fail(OT_EMODEL, "axis %d is there twice", d);
        seen[d] = true;
        before[d] = v[k];
        after[d] = v[k + count];
    }
    return OT_OK;
}

static bool is_scalar(const ot_fact *f)
{
    return f->rank == 0 || (f->rank == 1 && (f->dim[0] == 1 || ot_is_symbol(f->dim[0])));
}

static ot_status pad_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_dim before[OT_MAX_RANK], after[OT_MAX_RANK], dim[OT_MAX_RANK];
    bool known;
    int mode;
    OT_TRY(mode_of(&mode, c->node));
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, 1, 1));
    OT_TRY(pads_of(c, 1, 3, x->rank, before, after, &known));
    if (c->n_in > 2 && c->x[2] && (c->x[2]->dtype != x->dtype || !is_scalar(c->x[2])))
        return ot_fail(OT_ESHAPE, "the value is %s of rank %d, wanted is a scalar of %s", ot_dtype_name(c->x[2]->dtype),
                       c->x[2]->rank, ot_dtype_name(x->dtype));
    for (int d = 0; d < x->rank; d++) {
        dim[d] = known ? ot_dim_add(c, x->dim[d], ot_dim_add(c, before[d], after[d])) : ot_dim_unknown(c);
        if (dim[d] < 0 && !ot_is_symbol(dim[d]))
            return ot_fail(OT_ESHAPE, "pads %lld and %lld leave nothing of dimension %d, which is %lld",
                           (long long)before[d], (long long)after[d], d, (long long)x->dim[d]);
        if (mode != CONSTANT && x->dim[d] == 0 && dim[d] != 0)
            return ot_fail(OT_ESHAPE, "dimension %d is 0: nothing to repeat", d);
    }
    ot_set_shape(&c->y[0], x->dtype, x->rank, dim);
    return OT_OK;
}

/* Pads before each axis at run time. */
static ot_status pads_before(const ot_run *r, int first, int axes, int rank, int64_t *before)
{
    int64_t n = ot_tensor_count(&r->x[first]) / 2;
    for (int d = 0; d < rank; d++)
        before[d] = 0;
    for (int64_t k = 0; k < n; k++) {
        int d = (int)k;
        if (ot_has_x(r, axes))
            OT_TRY(ot_axis(&d, ot_tensor_get_int(&r->x[axes], k), rank));
        before[d] = ot_tensor_get_int(&r->x[first], k);
    }
    return OT_OK;
}

/* The part of x that the output keeps, copied to its place. */
static void copy_inside(const ot_run *r, const int64_t *before)
{
    const ot_tensor *x = &r->x[0], *y = &r->y[0];
    ot_walk w = ot_walk_into(y, x);
    ot_dense_strides(w.from_stride, x->rank, x->dim);
    for (int d = 0; d < x->rank; d++) {
        int64_t from = before[d] < 0 ? -before[d] : 0, to = before[d] > 0 ? before[d] : 0;
        int64_t n = x->dim[d] - from < y->dim[d] - to ? x->dim[d] - from : y->dim[d] - to;
        w.dim[d] = n > 0 ? n : 0;
        w.from_at += from * w.from_stride[d];
        w.to_at += to * w.to_stride[d];
    }
    ot_walk_copy(r, &w);
}

/* All of y is this one element (zero bytes where there is none). */
static void fill(ot_tensor *y, const ot_tensor *value)
{
    size_t size = ot_dtype_size(y->dtype), bytes = ot_tensor_bytes(y);
    memset(y->data, 0, bytes);
    if (!value || bytes == 0)
        return;
    memcpy(y->data, value->data, size);
    for (size_t done = size; done < bytes; done *= 2)
        memcpy((char *)y->data + done, y->data, done < bytes - done ? done : bytes - done);
}

static ot_status pad_run(const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    ot_tensor *y = &r->y[0];
    int64_t before[OT_MAX_RANK], stride[OT_MAX_RANK], at[OT_MAX_RANK] = { 0 };
    size_t size = ot_dtype_size(y->dtype);
    int mode, rank = y->rank;
    OT_TRY(mode_of(&mode, r->node));
    OT_TRY(pads_before(r, 1, 3, rank, before));
    if (mode == CONSTANT) {
        fill(y, ot_has_x(r, 2) ? &r->x[2] : NULL);
        copy_inside(r, before);
        return OT_OK;
    }
    ot_dense_strides(stride, rank, x->dim);
    for (int64_t i = 0, n = ot_tensor_count(y); i < n; i++) {
        int64_t from = 0;
        for (int d = 0; d < rank; d++)
            from += source(mode, at[d] - before[d], x->dim[d]) * stride[d];
        memcpy((char *)y->data + i * (int64_t)size, (const char *)x->data + from * (int64_t)size, size);
        for (int d = rank - 1; d >= 0 && ++at[d] == y->dim[d]; d--)
            at[d] = 0;
    }
    return OT_OK;
}

static void pad_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    ot_val dx = OT_EMIT_WITH(b, "PadGrad", OT_ATTRS(OT_TEXT("mode", ot_attr_text(n, "mode", "constant"))), ot_dy(b, 0),
                             ot_x(b, 0), ot_x(b, 1), ot_x(b, 3));
    ot_give(b, 0, dx);
    if (ot_wants(b, 2)) { /* the sum of what did not come from x */
        const ot_attr *flat = OT_ATTRS(OT_INT("keepdims", 0));
        ot_val rest =
            OT_EMIT(b, "Sub", OT_EMIT_WITH(b, "ReduceSum", flat, ot_dy(b, 0)), OT_EMIT_WITH(b, "ReduceSum", flat, dx));
        ot_give(b, 2, OT_EMIT(b, "ReshapeLike", rest, ot_x(b, 2)));
    }
}

static void pad_normalise(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    int count;
    const int64_t *pads = ot_attr_ints(n, ot_attr_find(n, "pads") ? "pads" : "paddings", &count);
    if (n->opset >= 11)
        return;
    if (!pads) {
        ot_build_fail(b, ot_fail(OT_EMODEL, "the attribute pads is missing"));
        return;
    }
    ot_val value = ot_const_scalar(b, ot_fact_of(b, ot_x(b, 0))->dtype, ot_attr_float(n, "value", 0));
    ot_becomes(b, 0,
               OT_EMIT_WITH(b, "Pad", OT_ATTRS(OT_TEXT("mode", ot_attr_text(n, "mode", "constant"))), ot_x(b, 0),
                            ot_const_ints(b, count, pads), value));
}

static const ot_kernel pad_kernels[] = {
    { .name = "copy", .run = pad_run, .in_bytes = true },
    { 0 },
};

const ot_op ot_op_Pad = { .domain = "",
                          .name = "Pad",
                          .since = 1,
                          .until = OT_LATEST,
                          .min_in = 1,
                          .max_in = 4,
                          .min_out = 1,
                          .max_out = 1,
                          .normalise = pad_normalise,
                          .infer = pad_infer,
                          .grad = pad_differentiate,
                          .cpu = pad_kernels };

/* ---- PadGrad --------------------------------------------------------------------------------------------------------
 */

static ot_status grad_infer(ot_infer *c)
{
    int mode;
    OT_TRY(mode_of(&mode, c->node));
    return ot_like_shape(c);
}

/* In the order of dy, so the order of a sum does not change. */
#define GRAD(T)                                                                                                        \
    static ot_status grad_##T(const ot_run *r)                                                                         \
    {                                                                                                                  \
        const ot_tensor *dy = &r->x[0], *y = &r->y[0];                                                                 \
        int64_t before[OT_MAX_RANK], stride[OT_MAX_RANK], at[OT_MAX_RANK] = { 0 };                                     \
        int mode, rank = y->rank;                                                                                      \
        OT_TRY(mode_of(&mode, r->node));                                                                               \
        OT_TRY(pads_before(r, 2, 3, rank, before));                                                                    \
        ot_dense_strides(stride, rank, y->dim);                                                                        \
        memset(y->data, 0, ot_tensor_bytes(y));                                                                        \
        for (int64_t i = 0, n = ot_tensor_count(dy); i < n; i++) {                                                     \
            int64_t to = 0;                                                                                            \
            bool inside = true;                                                                                        \
            for (int d = 0; d < rank; d++) {                                                                           \
                int64_t k = source(mode, at[d] - before[d], y->dim[d]);                                                \
                inside &= k >= 0;                                                                                      \
                to += k * stride[d];                                                                                   \
            }                                                                                                          \
            if (inside)                                                                                                \
                ((T *)y->data)[to] += ((const T *)dy->data)[i];                                                        \
            for (int d = rank - 1; d >= 0 && ++at[d] == dy->dim[d]; d--)                                               \
                at[d] = 0;                                                                                             \
        }                                                                                                              \
        return OT_OK;                                                                                                  \
    }
GRAD(float)
GRAD(double)

static void grad_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "Pad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 2), OT_NONE, ot_x(b, 3)));
}

static const ot_kernel grad_kernels[] = {
    { .name = "loop", .declines = ot_float32_only, .run = grad_float },
    { .name = "reference", .run = grad_double, .in_double = true },
    { 0 },
};

const ot_op ot_op_PadGrad = { .domain = OT_INTERNAL,
                              .name = "PadGrad",
                              .since = 1,
                              .until = 1,
                              .min_in = 3,
                              .max_in = 4,
                              .min_out = 1,
                              .max_out = 1,
                              .infer = grad_infer,
                              .grad = grad_differentiate,
                              .cpu = grad_kernels,
                              .shape_only = 1u << 1 };

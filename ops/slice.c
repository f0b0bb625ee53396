/* Slice: (x, starts, ends, axes, steps) -> the elements start, start + step, .. before end, along each axis, clamped
 * as Python does.  Before opset 10 all but x are attributes.
 * SliceGrad: (dy, x, starts, ends, axes, steps) -> zeros of x's shape with dy where the slice was. */
#include "axes.h"
#include "strided.h"

#include <string.h>

#define FAR ((int64_t)1 << 62)

typedef struct part {
    int64_t first, step, count;
} part;

/* Along one dimension; step is not 0. */
static part part_of(int64_t dim, int64_t start, int64_t end, int64_t step)
{
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
    start = start < 0 ? (start < -dim ? low : start + dim) : start;
    end = end < 0 ? (end < -dim ? low : end + dim) : end;
    start = start > high ? high : start < low ? low : start;
    end = end > high ? high : end < low ? low : end;
    int64_t span = step > 0 ? end - start : start - end, by = step > 0 ? step : step < -FAR ? FAR : -step;
    return (part){ start, step, span > 0 ? (span - 1) / by + 1 : 0 };
}

/* The length where not all is a number.  What a short input would clamp is an unknown, but for an end of the input
 * itself, so that x[1:] and x[:-1] have the same length. */
static ot_dim open_count(ot_infer *c, ot_dim dim, ot_dim start, ot_dim end, ot_dim step)
{
    bool far_end = end == dim || (!ot_is_symbol(end) && end > INT32_MAX - 1);
    if (step != 1 || (!far_end && (ot_is_symbol(end) || end >= 0)))
        return start == 0 && step == 1 && ot_is_symbol(end) ? end : ot_dim_unknown(c);
    if (!ot_is_symbol(start) && start < 0) {
        if (far_end || start == -FAR)
            return start == -FAR ? (far_end ? dim : ot_dim_add(c, dim, end)) : -start;
        start = ot_dim_add(c, dim, start);
    }
    end = far_end ? dim : ot_dim_add(c, dim, end);
    return ot_dim_sub(c, end, start);
}

/* Elements of input i, widened over the axes. */
static ot_status spread(ot_infer *c, int first, int i, int n, const int *axis, ot_dim *out, bool *known)
{
    ot_dim v[OT_MAX_RANK];
    int count;
    OT_TRY(ot_known_ints(c, i, OT_MAX_RANK, v, &count));
    if (i >= c->n_in || !c->x[i])
        return OT_OK;
    if (count >= 0 && count != n)
        return ot_fail(OT_ESHAPE, "input %d has %d elements, input %d has %d", i, count, first, n);
    for (int k = 0; k < n; k++)
        if (count < 0)
            known[axis[k]] = false;
        else
            out[axis[k]] = v[k];
    return OT_OK;
}

typedef struct slices {
    ot_dim start[OT_MAX_RANK], end[OT_MAX_RANK], step[OT_MAX_RANK];
    bool cut[OT_MAX_RANK], known[OT_MAX_RANK];
} slices;

/* Reads the inputs from `first` on: starts, ends, axes, steps, for a tensor of this rank. */
static ot_status read_slices(ot_infer *c, int first, int rank, slices *s)
{
    ot_dim axes[OT_MAX_RANK];
    int axis[OT_MAX_RANK], n, n_axes;
    memset(s, 0, sizeof(*s));
    OT_TRY(ot_rank_between(c, first, 1, 1));
    OT_TRY(ot_rank_between(c, first + 1, 1, 1));
    ot_dim starts = c->x[first]->dim[0];
    if (!ot_is_symbol(starts) && starts > rank)
        return ot_fail(OT_ESHAPE, "more starts than the %d dimensions", rank);
    OT_TRY(ot_known_ints(c, first + 2, OT_MAX_RANK, axes, &n_axes));
    bool given = first + 2 < c->n_in && c->x[first + 2];
    if (n_axes < 0 || ot_is_symbol(starts)) { /* any dimension may be cut */
        for (int d = 0; d < rank; d++)
            s->cut[d] = true;
        return OT_OK;
    }
    n = (int)starts;
    if (given && n_axes != n)
        return ot_fail(OT_ESHAPE, "%d axes for %d starts", n_axes, n);
    for (int k = 0; k < n; k++) {
        OT_TRY(ot_axis(&axis[k], given ? axes[k] : k, rank));
        if (s->cut[axis[k]])
            return ot_fail(OT_EMODEL, "axis %d is there twice", axis[k]);
        s->cut[axis[k]] = s->known[axis[k]] = true;
        s->step[axis[k]] = 1;
    }
    OT_TRY(spread(c, first, first, n, axis, s->start, s->known));
    OT_TRY(spread(c, first, first + 1, n, axis, s->end, s->known));
    OT_TRY(spread(c, first, first + 3, n, axis, s->step, s->known));
    for (int d = 0; d < rank; d++)
        if (s->cut[d] && s->known[d] && s->step[d] == 0)
            return ot_fail(OT_EMODEL, "the step along axis %d is 0", d);
    return OT_OK;
}

static ot_status slice_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    slices s;
    ot_dim dim[OT_MAX_RANK];
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(read_slices(c, 1, x->rank, &s));
    bool numbers = true;
    for (int d = 0; d < x->rank; d++) {
        bool open =
            ot_is_symbol(x->dim[d]) || ot_is_symbol(s.start[d]) || ot_is_symbol(s.end[d]) || ot_is_symbol(s.step[d]);
        numbers &= !s.cut[d] || (!open && s.known[d]);
        if (!s.cut[d])
            dim[d] = x->dim[d];
        else if (!s.known[d])
            dim[d] = ot_dim_unknown(c);
        else if (open)
            dim[d] = open_count(c, x->dim[d], s.start[d], s.end[d], s.step[d]);
        else
            dim[d] = part_of(x->dim[d], s.start[d], s.end[d], s.step[d]).count;
        if (dim[d] < 0 && !ot_is_symbol(dim[d]))
            dim[d] = 0;
    }
    ot_set_shape(&c->y[0], x->dtype, x->rank, dim);
    if (x->value && x->rank == 1 && numbers && s.cut[0]) {
        part p = part_of(x->dim[0], s.start[0], s.end[0], s.step[0]);
        ot_dim *v = ot_value_alloc(c, (int)p.count);
        for (int i = 0; v && i < p.count; i++)
            v[i] = x->value[p.first + i * p.step];
        c->y[0].value = v;
        c->y[0].n_value = v ? (int)p.count : 0;
    }
    return OT_OK;
}

/* The steps through a tensor of these dims: where it starts, in *at, and the strides of a walk over the slice. */
static ot_status slice_strides(const ot_run *r, int first, const ot_tensor *whole, const ot_tensor *piece, int64_t *at,
                               int64_t *stride)
{
    ot_dense_strides(stride, whole->rank, whole->dim);
    *at = 0;
    for (int64_t k = 0, n = ot_tensor_count(&r->x[first]); k < n; k++) {
        int axis = (int)k;
        if (ot_has_x(r, first + 2))
            OT_TRY(ot_axis(&axis, ot_tensor_get_int(&r->x[first + 2], k), whole->rank));
        int64_t step = ot_has_x(r, first + 3) ? ot_tensor_get_int(&r->x[first + 3], k) : 1;
        part p =
            part_of(whole->dim[axis], ot_tensor_get_int(&r->x[first], k), ot_tensor_get_int(&r->x[first + 1], k), step);
        if (p.count != piece->dim[axis])
            return ot_fail(OT_ESHAPE, "the slice of axis %d is not what was planned", axis);
        if (p.count == 0)
            continue;
        *at += p.first * stride[axis];
        stride[axis] = p.count > 1 ? stride[axis] * p.step : 0;
    }
    return OT_OK;
}

static ot_status slice_run(const ot_run *r)
{
    ot_walk w = ot_walk_into(&r->y[0], &r->x[0]);
    OT_TRY(slice_strides(r, 1, &r->x[0], &r->y[0], &w.from_at, w.from_stride));
    ot_walk_copy(r, &w);
    return OT_OK;
}

static void slice_differentiate(ot_build *b)
{
    const ot_val in[6] = { ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1), ot_x(b, 2), ot_x(b, 3), ot_x(b, 4) };
    ot_give(b, 0, ot_emit(b, "SliceGrad", NULL, 6, in));
}

static void slice_normalise(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    int n_starts, n_ends, n_axes;
    const int64_t *starts = ot_attr_ints(n, "starts", &n_starts), *ends = ot_attr_ints(n, "ends", &n_ends);
    const int64_t *axes = ot_attr_ints(n, "axes", &n_axes);
    if (n->opset >= 10)
        return;
    if (!starts || !ends) {
        ot_build_fail(b, ot_fail(OT_EMODEL, "starts or ends are missing"));
        return;
    }
    ot_becomes(b, 0,
               OT_EMIT(b, "Slice", ot_x(b, 0), ot_const_ints(b, n_starts, starts), ot_const_ints(b, n_ends, ends),
                       axes ? ot_const_ints(b, n_axes, axes) : OT_NONE));
}

static const ot_kernel slice_kernels[] = {
    { .name = "strided", .run = slice_run, .in_bytes = true },
    { 0 },
};

const ot_op ot_op_Slice = { .domain = "",
                            .name = "Slice",
                            .since = 1,
                            .until = OT_LATEST,
                            .min_in = 1,
                            .max_in = 5,
                            .min_out = 1,
                            .max_out = 1,
                            .normalise = slice_normalise,
                            .infer = slice_infer,
                            .grad = slice_differentiate,
                            .cpu = slice_kernels };

/* ---- SliceGrad ------------------------------------------------------------------------------------------------------
 */

static ot_status grad_infer(ot_infer *c)
{
    slices s;
    OT_TRY(ot_rank_between(c, 1, 1, OT_MAX_RANK));
    OT_TRY(read_slices(c, 2, c->x[1]->rank, &s));
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

static ot_status grad_run(const ot_run *r)
{
    const ot_tensor *dy = &r->x[0], *y = &r->y[0];
    ot_walk w = { .rank = dy->rank, .to = y->data, .from = dy->data, .dtype = y->dtype };
    memcpy(w.dim, dy->dim, sizeof(w.dim));
    ot_dense_strides(w.from_stride, dy->rank, dy->dim);
    OT_TRY(slice_strides(r, 2, y, dy, &w.to_at, w.to_stride));
    memset(y->data, 0, ot_tensor_bytes(y));
    ot_walk_copy(r, &w);
    return OT_OK;
}

static void grad_differentiate(ot_build *b)
{
    const ot_val in[5] = { ot_dy(b, 0), ot_x(b, 2), ot_x(b, 3), ot_x(b, 4), ot_x(b, 5) };
    ot_give(b, 0, ot_emit(b, "Slice", NULL, 5, in));
}

static const ot_kernel grad_kernels[] = {
    { .name = "strided", .run = grad_run, .in_bytes = true },
    { 0 },
};

const ot_op ot_op_SliceGrad = { .domain = OT_INTERNAL,
                                .name = "SliceGrad",
                                .since = 1,
                                .until = 1,
                                .min_in = 4,
                                .max_in = 6,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = grad_infer,
                                .grad = grad_differentiate,
                                .cpu = grad_kernels,
                                .shape_only = 1u << 1 };

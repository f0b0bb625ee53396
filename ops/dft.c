/* DFT: the discrete Fourier transform of x along one axis, of length n: x is cut or filled with zeros to n.  The last
 * dim of x and y holds real and imaginary part, or the real one only.  onesided: of a real x, the first n / 2 + 1
 * elements; with inverse, the real signal that these belong to.  The inverse is divided by n.
 * Inputs are x, dft_length and axis; backward needs the shape of x alone:
 * DftGrad: (dy, x for its shape, dft_length, axis) -> dx, the adjoint. */
#include "axes.h"
#include "fft.h"
#include "run.h"

#include <string.h>

/* ---- Shape ----------------------------------------------------------------------------------------------------- */

/* The one element of the scalar input i; *known false when it is not known, or the input is absent. */
static ot_status scalar(const ot_infer *c, int i, ot_dim *v, bool *known)
{
    int n;
    OT_TRY(ot_known_ints(c, i, 1, v, &n));
    if (n == 0 && i < c->n_in && c->x[i])
        return ot_fail(OT_ESHAPE, "input %d is empty", i);
    *known = n == 1;
    return OT_OK;
}

static ot_status dft_infer(ot_infer *c)
{
    const bool inverse = ot_attr_int(c->node, "inverse", 0) != 0, onesided = ot_attr_int(c->node, "onesided", 0) != 0;
    ot_dim given = 0, at = -2, dim[OT_MAX_RANK];
    bool has_length = false, has_axis = false;
    int axis;
    OT_TRY(ot_rank_between(c, 0, 2, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    const ot_fact *x = c->x[0];
    const int last = x->rank - 1;
    OT_TRY(scalar(c, 1, &given, &has_length));
    OT_TRY(scalar(c, 2, &at, &has_axis));
    if (!ot_is_symbol(x->dim[last]) && x->dim[last] != 1 && x->dim[last] != 2)
        return ot_fail(OT_ESHAPE, "the last dimension is %lld, wanted is 1 (real) or 2 (complex)",
                       (long long)x->dim[last]);
    memcpy(dim, x->dim, sizeof(dim));
    dim[last] = inverse && onesided ? 1 : 2;
    const bool length_there = c->n_in > 1 && c->x[1], axis_there = c->n_in > 2 && c->x[2];
    if ((axis_there && !has_axis) ||
        ot_is_symbol(at)) { /* without a length, a plain transform changes no dim of these */
        for (int d = 0; d < last && (onesided || length_there); d++)
            dim[d] = ot_dim_unknown(c);
        ot_set_shape(&c->y[0], x->dtype, x->rank, dim);
        return OT_OK;
    }
    OT_TRY(ot_axis(&axis, at, x->rank));
    if (axis == last)
        return ot_fail(OT_ESHAPE, "axis %d holds real and imaginary parts", axis);
    ot_dim n = x->dim[axis];
    if (length_there)
        n = has_length ? given : ot_dim_unknown(c);
    else if (inverse && onesided)
        n = ot_dim_mul(c, ot_dim_sub(c, n, 1), 2);
    if (!ot_is_symbol(n) && (n < 1 || n > OT_MOST_FFT))
        return ot_fail(OT_ESHAPE, "a transform of length %lld", (long long)n);
    dim[axis] = onesided && !inverse ? ot_dim_add(c, ot_dim_div(c, n, 2), 1) : n;
    ot_set_shape(&c->y[0], x->dtype, x->rank, dim);
    return OT_OK;
}

static ot_status grad_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 1, 2, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_rank_between(c, 0, c->x[1]->rank, c->x[1]->rank));
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

/* One node's transform between a signal side (DFT's input) and an output side. */
typedef struct dft {
    bool inverse, onesided;
    int axis;
    int64_t n, outer, inner, in, out; /* in, out: dims of x and y along the axis */
    int parts_in, parts_out;          /* 1: real, 2: complex */
    ot_fft fft;
    double *line; /* of n complex numbers */
} dft;

/* Scratch for lengths up to what y, of the dims `out`, may come from. */
static ot_status room_for(ot_prep *p, const ot_fact *x, const ot_fact *y)
{
    int64_t n = 1;
    for (int d = 0; d < y->rank - 1; d++) {
        n = y->dim[d] > n ? y->dim[d] : n;
        n = x->dim[d] > n ? x->dim[d] : n;
    }
    if (n > OT_MOST_FFT)
        return ot_fail(OT_ENOMEM, "a transform of %lld", (long long)n);
    p->scratch = ot_fft_room(2 * n + 1) * 2 + (size_t)(2 * n + 1) * 2 * sizeof(double);
    return OT_OK;
}

static ot_status dft_prepare(ot_prep *p)
{
    return room_for(p, p->x[0], p->y[0]);
}

static ot_status grad_prepare(ot_prep *p)
{
    return room_for(p, p->x[1], p->x[0]);
}

/* x and y are the two sides; length and axis are the inputs from `first` on. */
static ot_status read_dft(dft *f, const ot_run *r, const ot_tensor *x, const ot_tensor *y, int first)
{
    const int64_t at = ot_has_x(r, first + 1) ? ot_tensor_get_int(&r->x[first + 1], 0) : -2;
    *f = (dft){ .inverse = ot_attr_int(r->node, "inverse", 0) != 0,
                .onesided = ot_attr_int(r->node, "onesided", 0) != 0,
                .outer = 1,
                .inner = 1 };
    OT_TRY(ot_axis(&f->axis, at, x->rank));
    if (f->axis == x->rank - 1)
        return ot_fail(OT_ESHAPE, "axis %d holds real and imaginary parts", f->axis);
    for (int d = 0; d < x->rank - 1; d++) {
        if (d == f->axis)
            continue;
        *(d < f->axis ? &f->outer : &f->inner) *= x->dim[d];
        if (x->dim[d] != y->dim[d])
            return ot_fail(OT_ESHAPE, "%s becomes %s", OT_DIMS(x->rank, x->dim), OT_DIMS(y->rank, y->dim));
    }
    f->in = x->dim[f->axis];
    f->out = y->dim[f->axis];
    f->parts_in = (int)x->dim[x->rank - 1];
    f->parts_out = (int)y->dim[y->rank - 1];
    f->n = ot_has_x(r, first)          ? ot_tensor_get_int(&r->x[first], 0)
           : f->inverse && f->onesided ? 2 * (f->in - 1)
                                       : f->in;
    if (f->n < 1 || f->out != (f->onesided && !f->inverse ? f->n / 2 + 1 : f->n))
        return ot_fail(OT_ESHAPE, "a transform of length %lld gives %lld elements", (long long)f->n, (long long)f->out);
    ot_fft_open(&f->fft, f->n, r->scratch);
    f->line = (double *)(void *)((char *)r->scratch + ot_fft_room(f->n));
    return OT_OK;
}

/* Up to n numbers of a line of `count`, `parts` each; zeros behind. */
static void load(const dft *f, const double *from, int64_t count, int parts)
{
    for (int64_t k = 0; k < f->n; k++) {
        const double *v = from + k * f->inner * parts;
        f->line[2 * k] = k < count ? v[0] : 0;
        f->line[2 * k + 1] = k < count && parts == 2 ? v[1] : 0;
    }
}

static void store(const dft *f, double *to, int64_t count, int parts, double scale)
{
    for (int64_t k = 0; k < count; k++) {
        double *v = to + k * f->inner * parts;
        v[0] = k < f->n ? f->line[2 * k] * scale : 0;
        if (parts == 2)
            v[1] = k < f->n ? f->line[2 * k + 1] * scale : 0;
    }
}

/* The second half of a line from the first, as a real signal has it. */
static void complete(const dft *f)
{
    f->line[1] = 0;
    for (int64_t k = f->n / 2 + 1; k < f->n; k++) {
        f->line[2 * k] = f->line[2 * (f->n - k)];
        f->line[2 * k + 1] = -f->line[2 * (f->n - k) + 1];
    }
    if (f->n % 2 == 0)
        f->line[f->n + 1] = 0;
}

/* Where line i begins in a tensor with `count` elements along the axis. */
static int64_t start(const dft *f, int64_t i, int64_t count, int parts)
{
    return (i / f->inner * count * f->inner + i % f->inner) * parts;
}

static ot_status dft_run(const ot_run *r)
{
    dft f;
    if (ot_tensor_count(&r->y[0]) == 0)
        return OT_OK;
    OT_TRY(read_dft(&f, r, &r->x[0], &r->y[0], 1));
    for (int64_t i = 0; i < f.outer * f.inner; i++) {
        load(&f, (const double *)r->x[0].data + start(&f, i, f.in, f.parts_in), f.in, f.parts_in);
        if (f.inverse && f.onesided)
            complete(&f);
        ot_fft_run(&f.fft, f.line, f.inverse);
        store(&f, (double *)r->y[0].data + start(&f, i, f.out, f.parts_out), f.out, f.parts_out,
              f.inverse ? 1 / (double)f.n : 1);
    }
    return OT_OK;
}

/* Of a one-sided inverse, each element but the ends stands for two, and the ends are real. */
static void fold_halves(const dft *f)
{
    for (int64_t k = 0; k < f->n; k++) {
        const bool end = k == 0 || 2 * k == f->n;
        f->line[2 * k] *= 2 * k > f->n ? 0 : end ? 1 : 2;
        f->line[2 * k + 1] *= 2 * k > f->n || end ? 0 : 2;
    }
}

static ot_status grad_run(const ot_run *r)
{
    dft f;
    if (ot_tensor_count(&r->y[0]) == 0 || ot_tensor_count(&r->x[0]) == 0) {
        memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
        return OT_OK;
    }
    OT_TRY(read_dft(&f, r, &r->y[0], &r->x[0], 2));
    for (int64_t i = 0; i < f.outer * f.inner; i++) {
        load(&f, (const double *)r->x[0].data + start(&f, i, f.out, f.parts_out), f.out, f.parts_out);
        ot_fft_run(&f.fft, f.line, !f.inverse);
        if (f.inverse && f.onesided)
            fold_halves(&f);
        store(&f, (double *)r->y[0].data + start(&f, i, f.in, f.parts_in), f.in, f.parts_in,
              f.inverse ? 1 / (double)f.n : 1);
    }
    return OT_OK;
}

static void dft_differentiate(ot_build *b)
{
    if (ot_wants(b, 0))
        ot_give(b, 0,
                OT_EMIT_WITH(b, "DftGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1), ot_x(b, 2)));
}

/* Before opset 20 the axis was an attribute, 1 where absent. */
static void dft_normalise(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const int64_t axis = ot_attr_int(n, "axis", 1);
    if (n->opset >= 20)
        return;
    const ot_attr *attr =
        OT_ATTRS(OT_INT("inverse", ot_attr_int(n, "inverse", 0)), OT_INT("onesided", ot_attr_int(n, "onesided", 0)));
    ot_becomes(b, 0, OT_EMIT_WITH(b, "DFT", attr, ot_x(b, 0), ot_x(b, 1), ot_const_ints(b, 1, &axis)));
}

static const ot_kernel dft_kernels[] = {
    { .name = "fft", .prepare = dft_prepare, .run = dft_run, .in_double = true },
    { 0 },
};
static const ot_kernel grad_kernels[] = {
    { .name = "fft", .prepare = grad_prepare, .run = grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_DFT = { .domain = "",
                          .name = "DFT",
                          .since = 17,
                          .until = OT_LATEST,
                          .min_in = 1,
                          .max_in = 3,
                          .min_out = 1,
                          .max_out = 1,
                          .normalise = dft_normalise,
                          .infer = dft_infer,
                          .grad = dft_differentiate,
                          .cpu = dft_kernels };

const ot_op ot_op_DftGrad = { .domain = OT_INTERNAL,
                              .name = "DftGrad",
                              .since = 1,
                              .until = 1,
                              .min_in = 2,
                              .max_in = 4,
                              .min_out = 1,
                              .max_out = 1,
                              .infer = grad_infer,
                              .cpu = grad_kernels,
                              .shape_only = 1u << 1 };

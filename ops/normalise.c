/* LpNormalization: x over its norm, the sum of |x| (p 1) or the root of the sum of x^2 (p 2) along `axis`; 0 where the
 * norm is 0.  Backward reads x.  LpNormGrad: (dy, x; axis, p) -> dx = dy / s - g sum(dy x) / s^2, g the gradient of the
 * norm s: sign(x), or x / s; 0 where s is 0.
 *
 * MeanVarianceNormalization: (x - mean) / (deviation + 1e-9) over `axes`; composed. */
#include "softmax.h"

#include <math.h>
#include <string.h>

static ot_status lp_infer(ot_infer *c)
{
    int axis;
    const int64_t p = ot_attr_int(c->node, "p", 2);
    for (int i = 0; i < c->n_in; i++) {
        OT_TRY(ot_rank_between(c, i, 1, OT_MAX_RANK));
        OT_TRY(ot_needs_float(c, i));
    }
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", -1), c->x[0]->rank));
    if (p != 1 && p != 2)
        return ot_fail(OT_EMODEL, "p is %lld, wanted is 1 or 2", (long long)p);
    return ot_same_shape(c);
}

typedef struct lp {
    const ot_run *r;
    ot_axes a;
    bool squares;
} lp;

static lp read_lp(const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    int64_t axis = ot_attr_int(r->node, "axis", -1);
    lp l = { r, { 1, 1, 1 }, ot_attr_int(r->node, "p", 2) == 2 };
    axis += axis < 0 ? x->rank : 0;
    for (int d = 0; d < x->rank; d++)
        *(d < axis ? &l.a.outer : d == axis ? &l.a.n : &l.a.inner) *= x->dim[d];
    return l;
}

/* Lines along the axis, in double whatever T is. */
#define LP(T)                                                                                                          \
    static double norm_##T(const lp *l, const T *x)                                                                    \
    {                                                                                                                  \
        double sum = 0;                                                                                                \
        for (int64_t k = 0; k < l->a.n; k++) {                                                                         \
            const double v = (double)x[k * l->a.inner];                                                                \
            sum += l->squares ? v * v : fabs(v);                                                                       \
        }                                                                                                              \
        return l->squares ? sqrt(sum) : sum;                                                                           \
    }                                                                                                                  \
    static void forward_##T(void *ctx, int64_t from, int64_t to)                                                       \
    {                                                                                                                  \
        const lp *l = ctx;                                                                                             \
        for (int64_t i = from; i < to; i++) {                                                                          \
            const int64_t at = i / l->a.inner * l->a.n * l->a.inner + i % l->a.inner;                                  \
            const T *x = (const T *)l->r->x[0].data + at;                                                              \
            T *y = (T *)l->r->y[0].data + at;                                                                          \
            const double s = norm_##T(l, x);                                                                           \
            for (int64_t k = 0; k < l->a.n; k++)                                                                       \
                y[k * l->a.inner] = s == 0 ? 0 : (T)((double)x[k * l->a.inner] / s);                                   \
        }                                                                                                              \
    }                                                                                                                  \
    static void backward_##T(void *ctx, int64_t from, int64_t to)                                                      \
    {                                                                                                                  \
        const lp *l = ctx;                                                                                             \
        for (int64_t i = from; i < to; i++) {                                                                          \
            const int64_t at = i / l->a.inner * l->a.n * l->a.inner + i % l->a.inner;                                  \
            const T *dy = (const T *)l->r->x[0].data + at, *x = (const T *)l->r->x[1].data + at;                       \
            T *dx = (T *)l->r->y[0].data + at;                                                                         \
            const double s = norm_##T(l, x);                                                                           \
            double dot = 0;                                                                                            \
            for (int64_t k = 0; k < l->a.n; k++)                                                                       \
                dot += (double)dy[k * l->a.inner] * (double)x[k * l->a.inner];                                         \
            for (int64_t k = 0; k < l->a.n; k++) {                                                                     \
                const double v = (double)x[k * l->a.inner], g = l->squares ? v / s : (double)((v > 0) - (v < 0));      \
                dx[k * l->a.inner] = s == 0 ? 0 : (T)((double)dy[k * l->a.inner] / s - g * dot / (s * s));             \
            }                                                                                                          \
        }                                                                                                              \
    }
LP(float)
LP(double)

static ot_status run(const ot_run *r, ot_range_fn *of_float, ot_range_fn *of_double)
{
    lp l = read_lp(r);
    if (ot_tensor_count(&r->y[0]) > 0)
        ot_for_ranges(r, l.a.outer * l.a.inner, OT_GRAIN / l.a.n + 1, r->x[0].dtype == OT_DOUBLE ? of_double : of_float,
                      &l);
    return OT_OK;
}

static ot_status lp_run(const ot_run *r)
{
    return run(r, forward_float, forward_double);
}

static ot_status grad_run(const ot_run *r)
{
    return run(r, backward_float, backward_double);
}

static void lp_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "LpNormGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0)));
}

static const ot_kernel lp_kernels[] = {
    { .name = "lines", .declines = ot_float32_only, .run = lp_run },
    { .name = "reference", .run = lp_run, .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "lines", .declines = ot_float32_only, .run = grad_run },
    { .name = "reference", .run = grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_LpNormalization = { .domain = "",
                                      .name = "LpNormalization",
                                      .since = 1,
                                      .until = OT_LATEST,
                                      .min_in = 1,
                                      .max_in = 1,
                                      .min_out = 1,
                                      .max_out = 1,
                                      .infer = lp_infer,
                                      .grad = lp_differentiate,
                                      .cpu = lp_kernels };

const ot_op ot_op_LpNormGrad = { .domain = OT_INTERNAL,
                                 .name = "LpNormGrad",
                                 .since = 1,
                                 .until = 1,
                                 .min_in = 2,
                                 .max_in = 2,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = lp_infer,
                                 .cpu = grad_kernels };

/* ---- MeanVarianceNormalization --------------------------------------------------------------------------------- */

static void mvn_compose(ot_build *b)
{
    static const int64_t usual[] = { 0, 2, 3 };
    int count;
    const int64_t *axes = ot_attr_ints(ot_the_node(b), "axes", &count);
    const ot_dtype t = ot_fact_of(b, ot_x(b, 0))->dtype;
    const ot_val over = axes ? ot_const_ints(b, count, axes) : ot_const_ints(b, 3, usual);
    const ot_val d = OT_EMIT(b, "Sub", ot_x(b, 0), OT_EMIT(b, "ReduceMean", ot_x(b, 0), over));
    const ot_val deviation = OT_EMIT(b, "Sqrt", OT_EMIT(b, "ReduceMean", OT_EMIT(b, "Mul", d, d), over));
    ot_becomes(b, 0, OT_EMIT(b, "Div", d, OT_EMIT(b, "Add", deviation, ot_const_scalar(b, t, 1e-9))));
}

const ot_op ot_op_MeanVarianceNormalization = { .domain = "",
                                                .name = "MeanVarianceNormalization",
                                                .since = 9,
                                                .until = OT_LATEST,
                                                .min_in = 1,
                                                .max_in = 1,
                                                .min_out = 1,
                                                .max_out = 1,
                                                .infer = ot_same_shape,
                                                .compose = mvn_compose };

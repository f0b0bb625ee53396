/* LpPool, GlobalLpPool: y = (sum of |x|^p over the window)^(1/p); padding counts as zeros.  p was a float before
 * opset 2. Backward reads x and y: LpPoolGrad, GlobalLpPoolGrad: (dy, x, y) -> dx, dy y^(1-p) |x|^(p-1) sign(x) added
 * to each element of the window; 0 where y is 0. */
#include "pool_shape.h"

#include <math.h>
#include <string.h>

static double power_of(const ot_node *n)
{
    const ot_attr *a = ot_attr_find(n, "p");
    return !a ? 2 : a->type == OT_ATTR_FLOAT ? a->f : (double)a->i;
}

static ot_status check_power(const ot_node *n)
{
    const double p = power_of(n);
    return p > 0 && isfinite(p) ? OT_OK : ot_fail(OT_EMODEL, "p is %g", p);
}

static ot_status lp_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 2, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(check_power(c->node));
    return ot_pool_rule(c, c->x[0], &c->y[0]);
}

static ot_status grad_infer(ot_infer *c)
{
    ot_dim d;
    OT_TRY(check_power(c->node));
    OT_TRY(ot_pool_grad_rule(c));
    OT_TRY(ot_rank_between(c, 2, c->x[0]->rank, c->x[0]->rank));
    for (int k = 0; k < c->x[0]->rank; k++)
        OT_TRY(ot_dims_agree(&d, c->x[0]->dim[k], c->x[2]->dim[k], "dy and y"));
    return OT_OK;
}

struct lp {
    const ot_run *r;
    ot_pool_size s;
    double p;
};

static double power(double x, double p)
{
    return p == 1 ? fabs(x) : p == 2 ? x * x : pow(fabs(x), p);
}

#define LP(T)                                                                                                          \
    static void forward_##T(void *ctx, int64_t from, int64_t to) /* planes */                                          \
    {                                                                                                                  \
        const struct lp *l = ctx;                                                                                      \
        const ot_window *w = &l->s.win;                                                                                \
        const int64_t size = ot_window_size(w, w->out), plane = ot_window_size(w, w->in);                              \
        int64_t o[OT_MAX_SPATIAL], tap;                                                                                \
        for (int64_t i = from * size; i < to * size; i++) {                                                            \
            const T *x = (const T *)l->r->x[0].data + i / size * plane;                                                \
            double sum = 0;                                                                                            \
            ot_unravel(w->spatial, w->out, i % size, o);                                                               \
            const ot_inside in = ot_window_inside(w, o);                                                               \
            for (int64_t k = 0; k < in.taps; k++)                                                                      \
                sum += power((double)x[ot_inside_place(w, o, &in, k, &tap)], l->p);                                    \
            ((T *)l->r->y[0].data)[i] = (T)(l->p == 1 ? sum : l->p == 2 ? sqrt(sum) : pow(sum, 1 / l->p));             \
        }                                                                                                              \
    }                                                                                                                  \
    static void backward_##T(void *ctx, int64_t from, int64_t to)                                                      \
    {                                                                                                                  \
        const struct lp *l = ctx;                                                                                      \
        const ot_window *w = &l->s.win;                                                                                \
        const int64_t size = ot_window_size(w, w->out), plane = ot_window_size(w, w->in);                              \
        const T *dy = l->r->x[0].data, *y = l->r->x[2].data;                                                           \
        int64_t o[OT_MAX_SPATIAL], tap;                                                                                \
        for (int64_t i = from * size; i < to * size; i++) {                                                            \
            const T *x = (const T *)l->r->x[1].data + i / size * plane;                                                \
            T *dx = (T *)l->r->y[0].data + i / size * plane;                                                           \
            ot_unravel(w->spatial, w->out, i % size, o);                                                               \
            const ot_inside in = ot_window_inside(w, o);                                                               \
            for (int64_t k = 0; k < in.taps && y[i] != 0; k++) {                                                       \
                const int64_t at = ot_inside_place(w, o, &in, k, &tap);                                                \
                if (x[at] != 0)                                                                                        \
                    dx[at] +=                                                                                          \
                        (T)((double)dy[i] * pow(fabs((double)x[at]) / (double)y[i], l->p - 1) * (x[at] < 0 ? -1 : 1)); \
            }                                                                                                          \
        }                                                                                                              \
    }
LP(float)
LP(double)

static ot_status lp_run(const ot_run *r)
{
    struct lp l = { .r = r, .p = power_of(r->node) };
    OT_TRY(ot_pool_read(&l.s, r->node, &r->x[0]));
    ot_for_ranges(r, l.s.planes, 1, r->x[0].dtype == OT_DOUBLE ? forward_double : forward_float, &l);
    return OT_OK;
}

static ot_status grad_run(const ot_run *r)
{
    struct lp l = { .r = r, .p = power_of(r->node) };
    OT_TRY(ot_pool_read(&l.s, r->node, &r->x[1]));
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    ot_for_ranges(r, l.s.planes, 1, r->x[0].dtype == OT_DOUBLE ? backward_double : backward_float, &l);
    return OT_OK;
}

static void lp_differentiate(ot_build *b)
{
    const bool whole = strcmp(ot_the_node(b)->op->name, "GlobalLpPool") == 0;
    ot_give(b, 0,
            OT_EMIT_WITH(b, whole ? "GlobalLpPoolGrad" : "LpPoolGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0),
                         ot_y(b, 0)));
}

static const ot_kernel lp_kernels[] = {
    { .name = "loop", .declines = ot_float32_only, .run = lp_run },
    { .name = "reference", .run = lp_run, .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "loop", .declines = ot_float32_only, .run = grad_run },
    { .name = "reference", .run = grad_run, .in_double = true },
    { 0 },
};

#define LP_POOL(Name)                                                                                                  \
    const ot_op ot_op_##Name = { .domain = "",                                                                         \
                                 .name = #Name,                                                                        \
                                 .since = 1,                                                                           \
                                 .until = OT_LATEST,                                                                   \
                                 .min_in = 1,                                                                          \
                                 .max_in = 1,                                                                          \
                                 .min_out = 1,                                                                         \
                                 .max_out = 1,                                                                         \
                                 .infer = lp_infer,                                                                    \
                                 .grad = lp_differentiate,                                                             \
                                 .cpu = lp_kernels };                                                                  \
    const ot_op ot_op_##Name##Grad = { .domain = OT_INTERNAL,                                                          \
                                       .name = #Name "Grad",                                                           \
                                       .since = 1,                                                                     \
                                       .until = 1,                                                                     \
                                       .min_in = 3,                                                                    \
                                       .max_in = 3,                                                                    \
                                       .min_out = 1,                                                                   \
                                       .max_out = 1,                                                                   \
                                       .infer = grad_infer,                                                            \
                                       .cpu = grad_kernels }

LP_POOL(LpPool);
LP_POOL(GlobalLpPool);

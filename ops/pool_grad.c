/* The gradients of pooling, with its attributes.
 *  MaxPoolGrad, GlobalMaxPoolGrad: (dy, x) -> dx, each dy added at the winner of its window.
 *  AveragePoolGrad, GlobalAveragePoolGrad: (dy, x for its shape) -> dx, dy / divisor added to each element counted. */
#include "pool_shape.h"

#include <string.h>

static const char *declines(const ot_prep *p)
{
    return ot_pool_declines(p, p->x[1]);
}

static ot_status prepare(ot_prep *p)
{
    return ot_pool_prepare(p, p->x[1]);
}

struct reference {
    const ot_run *r;
    ot_pool_size s;
};

static ot_status by_planes(const ot_run *r, ot_range_fn *fn)
{
    struct reference f = { .r = r };
    OT_TRY(ot_pool_read(&f.s, r->node, &r->x[1]));
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    ot_for_ranges(r, f.s.planes, 1, fn, &f);
    return OT_OK;
}

static ot_status max_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_max_pool_backward(r->state, r->x[1].data, r->x[0].data, r->y[0].data, &pool);
    return OT_OK;
}

static void max_planes(void *ctx, int64_t from, int64_t to)
{
    const struct reference *f = ctx;
    const ot_window *w = &f->s.win;
    const int64_t size = ot_window_size(w, w->out), plane = ot_window_size(w, w->in);
    const double *dy = f->r->x[0].data;
    double *dx = f->r->y[0].data;
    int64_t o[OT_MAX_SPATIAL];
    for (int64_t i = from * size; i < to * size; i++) {
        ot_unravel(w->spatial, w->out, i % size, o);
        int64_t at = ot_pool_winner(&f->s, &f->r->x[1], i / size, o);
        if (at >= 0)
            dx[i / size * plane + at] += dy[i];
    }
}

static ot_status max_reference(const ot_run *r)
{
    return by_planes(r, max_planes);
}

static ot_status average_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_avg_pool_backward(r->state, r->x[0].data, r->y[0].data, &pool);
    return OT_OK;
}

static void average_planes(void *ctx, int64_t from, int64_t to)
{
    const struct reference *f = ctx;
    const ot_window *w = &f->s.win;
    const int64_t size = ot_window_size(w, w->out), plane = ot_window_size(w, w->in);
    const double *dy = f->r->x[0].data;
    double *dx = f->r->y[0].data;
    int64_t o[OT_MAX_SPATIAL], tap;
    for (int64_t i = from * size; i < to * size; i++) {
        ot_unravel(w->spatial, w->out, i % size, o);
        double share = dy[i] / ot_pool_divisor(&f->s, o);
        const ot_inside in = ot_window_inside(w, o);
        for (int64_t k = 0; k < in.taps; k++)
            dx[i / size * plane + ot_inside_place(w, o, &in, k, &tap)] += share;
    }
}

static ot_status average_reference(const ot_run *r)
{
    return by_planes(r, average_planes);
}

static void average_differentiate(ot_build *b) /* linear: the adjoint of the adjoint */
{
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "AveragePool", ot_the_node(b)->attr, ot_dy(b, 0)));
}

static void global_average_differentiate(ot_build *b)
{
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT(b, "GlobalAveragePool", ot_dy(b, 0)));
}

static const ot_kernel max_kernels[] = {
    { .name = "float", .declines = declines, .prepare = prepare, .run = max_fast },
    { .name = "reference", .run = max_reference, .in_double = true },
    { 0 },
};

static const ot_kernel average_kernels[] = {
    { .name = "float", .declines = declines, .prepare = prepare, .run = average_fast },
    { .name = "reference", .run = average_reference, .in_double = true },
    { 0 },
};

#define POOL_GRAD(Name, differentiate, kernels, measured)                                                              \
    const ot_op ot_op_##Name = { .domain = OT_INTERNAL,                                                                \
                                 .name = #Name,                                                                        \
                                 .since = 1,                                                                           \
                                 .until = 1,                                                                           \
                                 .min_in = 2,                                                                          \
                                 .max_in = 2,                                                                          \
                                 .min_out = 1,                                                                         \
                                 .max_out = 1,                                                                         \
                                 .infer = ot_pool_grad_rule,                                                           \
                                 .grad = (differentiate),                                                              \
                                 .cpu = (kernels),                                                                     \
                                 .shape_only = (measured) }

POOL_GRAD(MaxPoolGrad, NULL, max_kernels, 0);
POOL_GRAD(GlobalMaxPoolGrad, NULL, max_kernels, 0);
POOL_GRAD(AveragePoolGrad, average_differentiate, average_kernels, 1u << 1);
POOL_GRAD(GlobalAveragePoolGrad, global_average_differentiate, average_kernels, 1u << 1);

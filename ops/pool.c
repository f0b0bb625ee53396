/* MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool: the largest element, or the mean, of each window of a plane.
 * Padding never wins a maximum; an average counts it only with count_include_pad, and never what ceil_mode lets a
 * window hang over the padded end.  The gradient of a maximum finds its winners in x again; that of an average needs
 * the shape of x only.  Indices have no gradient. */
#include "pool_shape.h"

#include <math.h>
#include <string.h>

static ot_status max_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 2, OT_MAX_RANK));
    if (c->x[0]->dtype != OT_INT8 && c->x[0]->dtype != OT_UINT8)
        OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_pool_rule(c, c->x[0], &c->y[0]));
    if (c->n_out > 1)
        ot_set_shape(&c->y[1], OT_INT64, c->y[0].rank, c->y[0].dim);
    return OT_OK;
}

static ot_status average_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 2, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    return ot_pool_rule(c, c->x[0], &c->y[0]);
}

static const char *declines(const ot_prep *p)
{
    return ot_pool_declines(p, p->x[0]);
}

static ot_status prepare(ot_prep *p)
{
    return ot_pool_prepare(p, p->x[0]);
}

/* ---- Maximum --------------------------------------------------------------------------------------------------- */

/* Indices with storage_order 1: within each plane, the first dimension runs fastest. */
static void order_by_columns(const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    int64_t *index = r->y[1].data, at[OT_MAX_RANK], size = 1;
    if (ot_attr_int(r->node, "storage_order", 0) == 0)
        return;
    for (int d = 2; d < x->rank; d++)
        size *= x->dim[d];
    for (int64_t i = 0, n = ot_tensor_count(&r->y[1]); i < n; i++) {
        if (index[i] < 0)
            continue;
        int64_t place = 0;
        ot_unravel(x->rank - 2, x->dim + 2, index[i] % size, at);
        for (int d = x->rank - 3; d >= 0; d--)
            place = place * x->dim[d + 2] + at[d];
        index[i] += place - index[i] % size;
    }
}

static ot_status max_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    int64_t *index = ot_has_y(r, 1) ? r->y[1].data : NULL;
    ot_max_pool(r->state, r->x[0].data, r->y[0].data, index, &pool);
    if (index)
        order_by_columns(r);
    return OT_OK;
}

struct reference {
    const ot_run *r;
    ot_pool_size s;
};

static double lowest(ot_dtype t)
{
    return t == OT_INT8 ? -128 : t == OT_UINT8 ? 0 : -INFINITY;
}

static void max_planes(void *ctx, int64_t from, int64_t to)
{
    const struct reference *f = ctx;
    const ot_window *w = &f->s.win;
    const int64_t size = ot_window_size(w, w->out), plane = ot_window_size(w, w->in);
    ot_tensor y = f->r->y[0];
    int64_t o[OT_MAX_SPATIAL];
    for (int64_t i = from * size; i < to * size; i++) {
        int64_t p = i / size;
        ot_unravel(w->spatial, w->out, i % size, o);
        int64_t at = ot_pool_winner(&f->s, &f->r->x[0], p, o);
        ot_tensor_set(&y, i, at < 0 ? lowest(y.dtype) : ot_pool_get(&f->r->x[0], p * plane + at));
        if (ot_has_y(f->r, 1))
            ((int64_t *)f->r->y[1].data)[i] = at < 0 ? -1 : p * plane + at;
    }
}

static ot_status max_reference(const ot_run *r)
{
    struct reference f = { .r = r };
    OT_TRY(ot_pool_read(&f.s, r->node, &r->x[0]));
    ot_for_ranges(r, f.s.planes, 1, max_planes, &f);
    if (ot_has_y(r, 1))
        order_by_columns(r);
    return OT_OK;
}

static void max_differentiate(ot_build *b)
{
    if (ot_dy(b, 0) != OT_NONE)
        ot_give(b, 0, OT_EMIT_WITH(b, "MaxPoolGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0)));
}

static void global_max_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "GlobalMaxPoolGrad", ot_dy(b, 0), ot_x(b, 0)));
}

/* ---- Average --------------------------------------------------------------------------------------------------- */

static ot_status average_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_avg_pool(r->state, r->x[0].data, r->y[0].data, &pool);
    return OT_OK;
}

static ot_status global_average_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    const ot_pool_shape *s = r->state;
    ot_global_avg_pool(s->planes, s->in[0], r->x[0].data, r->y[0].data, &pool);
    return OT_OK;
}

static void average_planes(void *ctx, int64_t from, int64_t to)
{
    const struct reference *f = ctx;
    const ot_window *w = &f->s.win;
    const int64_t size = ot_window_size(w, w->out), plane = ot_window_size(w, w->in);
    const double *x = f->r->x[0].data;
    double *y = f->r->y[0].data;
    int64_t o[OT_MAX_SPATIAL], tap;
    for (int64_t i = from * size; i < to * size; i++) {
        double sum = 0;
        ot_unravel(w->spatial, w->out, i % size, o);
        const ot_inside in = ot_window_inside(w, o);
        for (int64_t k = 0; k < in.taps; k++)
            sum += x[i / size * plane + ot_inside_place(w, o, &in, k, &tap)];
        y[i] = sum / ot_pool_divisor(&f->s, o);
    }
}

static ot_status average_reference(const ot_run *r)
{
    struct reference f = { .r = r };
    OT_TRY(ot_pool_read(&f.s, r->node, &r->x[0]));
    ot_for_ranges(r, f.s.planes, 1, average_planes, &f);
    return OT_OK;
}

static void average_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "AveragePoolGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0)));
}

static void global_average_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "GlobalAveragePoolGrad", ot_dy(b, 0), ot_x(b, 0)));
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

static const ot_kernel global_average_kernels[] = {
    { .name = "float", .declines = declines, .prepare = prepare, .run = global_average_fast },
    { .name = "reference", .run = average_reference, .in_double = true },
    { 0 },
};

#define POOL(Name, outputs, rule, differentiate, kernels)                                                              \
    const ot_op ot_op_##Name = { .domain = "",                                                                         \
                                 .name = #Name,                                                                        \
                                 .since = 1,                                                                           \
                                 .until = OT_LATEST,                                                                   \
                                 .min_in = 1,                                                                          \
                                 .max_in = 1,                                                                          \
                                 .min_out = 1,                                                                         \
                                 .max_out = (outputs),                                                                 \
                                 .infer = (rule),                                                                      \
                                 .grad = (differentiate),                                                              \
                                 .cpu = (kernels) }

POOL(MaxPool, 2, max_infer, max_differentiate, max_kernels);
POOL(AveragePool, 1, average_infer, average_differentiate, average_kernels);
POOL(GlobalMaxPool, 1, max_infer, global_max_differentiate, max_kernels);
POOL(GlobalAveragePool, 1, average_infer, global_average_differentiate, global_average_kernels);

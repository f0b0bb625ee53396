/* MaxRoiPool: for each region (picture, x1, y1, x2, y2; times spatial_scale and rounded) the largest element of X in
 * each of pooled_shape bins, which may share elements; 0 where a bin lies outside.  Since regions are rounded, they
 * have no gradient.  Backward finds the winners again: MaxRoiPoolGrad: (dy, X, rois) -> dX. */
#include "run.h"

#include <math.h>
#include <string.h>

static ot_status pool_rule(const ot_infer *c, int at_x, ot_fact *y)
{
    int count;
    const int64_t *shape = ot_attr_ints(c->node, "pooled_shape", &count);
    ot_dim five;
    OT_TRY(ot_rank_between(c, at_x, 4, 4));
    OT_TRY(ot_needs_float(c, at_x));
    OT_TRY(ot_rank_between(c, at_x + 1, 2, 2));
    const ot_fact *x = c->x[at_x], *r = c->x[at_x + 1];
    OT_TRY(ot_dims_agree(&five, r->dim[1], 5, "numbers of a region"));
    if (r->dtype != x->dtype)
        return ot_fail(OT_ESHAPE, "X is %s, rois are %s", ot_dtype_name(x->dtype), ot_dtype_name(r->dtype));
    if (count != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] > INT32_MAX || shape[1] > INT32_MAX)
        return ot_fail(OT_EMODEL, "pooled_shape is %s", count == 2 ? OT_DIMS(2, shape) : "not of 2 numbers");
    ot_set_shape(y, x->dtype, 4, (const ot_dim[]){ r->dim[0], x->dim[1], shape[0], shape[1] });
    return OT_OK;
}

static ot_status pool_infer(ot_infer *c)
{
    return pool_rule(c, 0, &c->y[0]);
}

typedef struct pool {
    const ot_run *r;
    const ot_tensor *x, *rois;
    int64_t h, w;
    double scale;
} pool;

static pool read_pool(const ot_run *r, int at_x)
{
    int count;
    const int64_t *shape = ot_attr_ints(r->node, "pooled_shape", &count);
    return (pool){ r, &r->x[at_x], &r->x[at_x + 1], shape[0], shape[1], ot_attr_float(r->node, "spatial_scale", 1) };
}

static ot_status check_regions(const pool *p)
{
    for (int64_t i = 0; i < p->rois->dim[0] * 5; i++) {
        const double v = ot_tensor_get(p->rois, i);
        if (i % 5 == 0 ? !(v >= 0 && v < (double)p->x->dim[0]) : !(fabs(v * p->scale) < 0x1p30))
            return ot_fail(OT_EDATA, "rois[%lld][%lld] is %g", (long long)(i / 5), (long long)(i % 5), v);
    }
    return OT_OK;
}

/* Elements from .. to-1 of bin b of `bins` along one side of a region. */
static void side(const pool *p, double from, double to, int64_t bins, int64_t b, int64_t n, int64_t *lo, int64_t *hi)
{
    const double start = round(from * p->scale), end = round(to * p->scale);
    const double size = end - start + 1 > 1 ? end - start + 1 : 1, step = size / (double)bins;
    const double first = floor((double)b * step) + start, last = ceil((double)(b + 1) * step) + start;
    *lo = first < 0 ? 0 : first > (double)n ? n : (int64_t)first;
    *hi = last < 0 ? 0 : last > (double)n ? n : (int64_t)last;
}

/* The place in the plane of the largest element of bin `bin` of region `region` in channel c, and in *picture the
 * picture; -1: none. */
static int64_t winner(const pool *p, int64_t region, int64_t bin, int64_t c, int64_t *picture)
{
    double r[5], best = 0;
    int64_t y0, y1, x0, x1, at = -1;
    for (int k = 0; k < 5; k++)
        r[k] = ot_tensor_get(p->rois, region * 5 + k);
    *picture = (int64_t)r[0];
    side(p, r[2], r[4], p->h, bin / p->w, p->x->dim[2], &y0, &y1);
    side(p, r[1], r[3], p->w, bin % p->w, p->x->dim[3], &x0, &x1);
    const int64_t plane = (*picture * p->x->dim[1] + c) * p->x->dim[2] * p->x->dim[3];
    for (int64_t y = y0; y < y1; y++)
        for (int64_t x = x0; x < x1; x++) {
            const int64_t i = y * p->x->dim[3] + x;
            const double v = ((const double *)p->x->data)[plane + i];
            if (at < 0 || v > best || (isnan(v) && !isnan(best))) {
                at = i;
                best = v;
            }
        }
    return at;
}

static void forward(void *ctx, int64_t from, int64_t to) /* planes of y */
{
    const pool *p = ctx;
    const int64_t bins = p->h * p->w, plane = p->x->dim[2] * p->x->dim[3], channels = p->x->dim[1];
    for (int64_t i = from * bins; i < to * bins; i++) {
        const int64_t c = i / bins % channels;
        int64_t picture;
        const int64_t at = winner(p, i / bins / channels, i % bins, c, &picture);
        ((double *)p->r->y[0].data)[i] =
            at < 0 ? 0 : ((const double *)p->x->data)[(picture * channels + c) * plane + at];
    }
}

static void backward(void *ctx, int64_t from, int64_t to) /* channels */
{
    const pool *p = ctx;
    const int64_t bins = p->h * p->w, plane = p->x->dim[2] * p->x->dim[3], channels = p->x->dim[1];
    for (int64_t c = from; c < to; c++)
        for (int64_t i = 0; i < p->rois->dim[0] * bins; i++) {
            int64_t picture;
            const int64_t at = winner(p, i / bins, i % bins, c, &picture);
            if (at >= 0)
                ((double *)p->r->y[0].data)[(picture * channels + c) * plane + at] +=
                    ((const double *)p->r->x[0].data)[(i / bins * channels + c) * bins + i % bins];
        }
}

static ot_status pool_run(const ot_run *r)
{
    pool p = read_pool(r, 0);
    OT_TRY(check_regions(&p));
    ot_for_ranges(r, p.rois->dim[0] * p.x->dim[1], 1, forward, &p);
    return OT_OK;
}

static void pool_differentiate(ot_build *b)
{
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "MaxRoiPoolGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1)));
}

static ot_status grad_infer(ot_infer *c)
{
    ot_fact y = { .rank = -1 };
    OT_TRY(pool_rule(c, 1, &y));
    OT_TRY(ot_rank_between(c, 0, 4, 4));
    for (int d = 0; d < 4; d++)
        OT_TRY(ot_dims_agree(&y.dim[d], y.dim[d], c->x[0]->dim[d], "dy and the output"));
    ot_set_shape(&c->y[0], c->x[1]->dtype, 4, c->x[1]->dim);
    return OT_OK;
}

static ot_status grad_run(const ot_run *r)
{
    pool p = read_pool(r, 1);
    OT_TRY(check_regions(&p));
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    ot_for_ranges(r, p.x->dim[1], 1, backward, &p);
    return OT_OK;
}

static const ot_kernel pool_kernels[] = { { .name = "reference", .run = pool_run, .in_double = true }, { 0 } };
static const ot_kernel grad_kernels[] = { { .name = "reference", .run = grad_run, .in_double = true }, { 0 } };

const ot_op ot_op_MaxRoiPool = { .domain = "",
                                 .name = "MaxRoiPool",
                                 .since = 1,
                                 .until = OT_LATEST,
                                 .min_in = 2,
                                 .max_in = 2,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = pool_infer,
                                 .grad = pool_differentiate,
                                 .cpu = pool_kernels };

const ot_op ot_op_MaxRoiPoolGrad = { .domain = OT_INTERNAL,
                                     .name = "MaxRoiPoolGrad",
                                     .since = 1,
                                     .until = 1,
                                     .min_in = 3,
                                     .max_in = 3,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = grad_infer,
                                     .cpu = grad_kernels };

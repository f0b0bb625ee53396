/* GroupNormalization and InstanceNormalization: the C channels of x [N, C, ...] lie in G equal groups (instance: one
 * channel each); with m and v the mean and (biased) variance of a group of a picture, i = 1 / sqrt(v + epsilon) and
 * u = (x - m) i:  y = u * scale + B.  scale and B are one a channel; of GroupNormalization before opset 21, one a
 * group. Backward reads x and scale and finds m and i again.
 *
 * GroupNormGrad: (dy, x, scale; groups, epsilon) -> dx = i (g - mean of g - u * mean of g u) with g = dy * scale,
 *                dscale = sum of dy u, dB = sum of dy over pictures and planes; groups 0: one a channel. */
#include "run.h"
#include "kernels/rows.h"

#include <math.h>
#include <string.h>

typedef struct sizes {
    int64_t n, c, groups, plane;
    int64_t share; /* channels that have one scale */
    double epsilon;
} sizes;

/* The attribute that counts groups, 0 where each channel is one. */
static int64_t groups_of(const ot_node *n)
{
    return ot_attr_int(n, strcmp(n->op->name, "GroupNormGrad") == 0 ? "groups" : "num_groups", 0);
}

static bool is_instance(const ot_node *n)
{
    const char *name = n->op->name;
    return strcmp(name, "InstanceNormalization") == 0 || (strcmp(name, "GroupNormGrad") == 0 && groups_of(n) == 0);
}

/* x and scale are the inputs at these places. */
static sizes sizes_of(const ot_run *r, int at_x, int at_scale)
{
    const ot_tensor *x = &r->x[at_x];
    sizes s = { x->dim[0], x->dim[1], is_instance(r->node) ? x->dim[1] : groups_of(r->node),
                1,         1,         ot_attr_float(r->node, "epsilon", 1e-5) };
    for (int d = 2; d < x->rank; d++)
        s.plane *= x->dim[d];
    const int64_t n_scale = r->x[at_scale].dim[0];
    s.share = n_scale > 0 ? s.c / n_scale : 1;
    return s;
}

static ot_status norm_rule(const ot_infer *c, int at_x)
{
    const ot_fact *x;
    const int64_t groups = groups_of(c->node);
    ot_dim d;
    OT_TRY(ot_rank_between(c, at_x, 2, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, at_x));
    x = c->x[at_x];
    const bool instance = is_instance(c->node), each_group = !instance && c->node->opset < 21;
    if (!instance && (groups < 1 || (!ot_is_symbol(x->dim[1]) && x->dim[1] % groups != 0)))
        return ot_fail(OT_ESHAPE, "%lld channels are not %lld equal groups", (long long)x->dim[1], (long long)groups);
    for (int i = at_x + 1; i < c->n_in; i++) {
        OT_TRY(ot_rank_between(c, i, 1, 1));
        if (c->x[i]->dtype != x->dtype)
            return ot_fail(OT_ESHAPE, "input %d is %s, x is %s", i, ot_dtype_name(c->x[i]->dtype),
                           ot_dtype_name(x->dtype));
        if (at_x > 0) /* of a gradient, which trusts its forward node */
            continue;
        OT_TRY(ot_dims_agree(&d, c->x[i]->dim[0], each_group ? groups : x->dim[1],
                             each_group ? "the length of scale or bias, and groups"
                                        : "the length of scale or bias, and channels"));
    }
    return OT_OK;
}

static ot_status norm_infer(ot_infer *c)
{
    OT_TRY(norm_rule(c, 0));
    return ot_same_shape(c);
}

/* ---- Forward --------------------------------------------------------------------------------------------------- */

/* out = x - mean over n elements; gives 1 / deviation. */
static float centre(int64_t n, double epsilon, const float *x, float *out)
{
    const float mean = n ? (float)(ot_row_sum(n, x) / (double)n) : 0;
    ot_row_scale(n, 1, -mean, x, out);
    return (float)(1 / sqrt((n ? ot_row_dot(n, out, out) / (double)n : 0) + epsilon));
}

static void moments(const double *x, int64_t n, double epsilon, double *mean, double *inverse)
{
    double sum = 0, squares = 0;
    for (int64_t k = 0; k < n; k++)
        sum += x[k];
    *mean = sum / (double)n;
    for (int64_t k = 0; k < n; k++)
        squares += (x[k] - *mean) * (x[k] - *mean);
    *inverse = 1 / sqrt(squares / (double)n + epsilon);
}

struct forward {
    const ot_run *r;
    sizes s;
};

static void forward_groups(void *ctx, int64_t from, int64_t to) /* (picture, group) */
{
    const struct forward *f = ctx;
    const sizes *s = &f->s;
    const int64_t each = s->c / s->groups;
    const float *scale = f->r->x[1].data, *bias = f->r->x[2].data;
    for (int64_t i = from; i < to; i++) {
        const float *x = (const float *)f->r->x[0].data + i * each * s->plane;
        float *y = (float *)f->r->y[0].data + i * each * s->plane;
        const float inverse = centre(each * s->plane, s->epsilon, x, y);
        for (int64_t k = 0; k < each; k++) {
            const int64_t a = (i % s->groups * each + k) / s->share;
            ot_row_scale(s->plane, inverse * scale[a], bias[a], y + k * s->plane, y + k * s->plane);
        }
    }
}

static void forward_groups_double(void *ctx, int64_t from, int64_t to)
{
    const struct forward *f = ctx;
    const sizes *s = &f->s;
    const int64_t each = s->c / s->groups;
    const double *scale = f->r->x[1].data, *bias = f->r->x[2].data;
    for (int64_t i = from; i < to; i++) {
        const double *x = (const double *)f->r->x[0].data + i * each * s->plane;
        double *y = (double *)f->r->y[0].data + i * each * s->plane, mean, inverse;
        moments(x, each * s->plane, s->epsilon, &mean, &inverse);
        for (int64_t k = 0; k < each * s->plane; k++) {
            const int64_t a = (i % s->groups * each + k / s->plane) / s->share;
            y[k] = (x[k] - mean) * inverse * scale[a] + bias[a];
        }
    }
}

static ot_status forward_run(const ot_run *r)
{
    struct forward f = { r, { 0 } };
    if (ot_tensor_count(&r->y[0]) == 0)
        return OT_OK;
    f.s = sizes_of(r, 0, 1);
    ot_for_ranges(r, f.s.n * f.s.groups, OT_GRAIN / (f.s.c / f.s.groups * f.s.plane + 1) + 1,
                  r->x[0].dtype == OT_DOUBLE ? forward_groups_double : forward_groups, &f);
    return OT_OK;
}

static void norm_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const ot_attr *attr = OT_ATTRS(OT_INT("groups", is_instance(n) ? 0 : groups_of(n)),
                                   OT_REAL("epsilon", ot_attr_float(n, "epsilon", 1e-5)));
    ot_val d[3] = { 0 };
    ot_emit_outputs(b, "GroupNormGrad", attr, 3, (const ot_val[]){ ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1) }, 3, d);
    for (int i = 0; i < 3; i++)
        ot_give(b, i, d[i]);
}

/* ---- Backward -------------------------------------------------------------------------------------------------- */

static ot_status grad_infer(ot_infer *c)
{
    ot_dim d;
    OT_TRY(norm_rule(c, 1));
    const ot_fact *dy = c->x[0], *x = c->x[1];
    OT_TRY(ot_rank_between(c, 0, x->rank, x->rank));
    for (int k = 0; k < x->rank; k++)
        OT_TRY(ot_dims_agree(&d, dy->dim[k], x->dim[k], "dy and x"));
    ot_set_shape(&c->y[0], x->dtype, x->rank, x->dim);
    ot_set_shape(&c->y[1], x->dtype, 1, c->x[2]->dim);
    ot_set_shape(&c->y[2], x->dtype, 1, c->x[2]->dim);
    return OT_OK;
}

/* Scratch: for each plane the sums of dy and of dy u, in double. */
static ot_status grad_prepare(ot_prep *p)
{
    size_t planes;
    if (!ot_mul(&planes, (size_t)p->x[1]->dim[0], (size_t)p->x[1]->dim[1]) ||
        !ot_mul(&p->scratch, planes, 2 * sizeof(double)))
        return ot_fail(OT_ENOMEM, "%s", OT_DIMS(p->x[1]->rank, p->x[1]->dim));
    return OT_OK;
}

static void backward_groups(void *ctx, int64_t from, int64_t to)
{
    const struct forward *f = ctx;
    const sizes *s = &f->s;
    const int64_t each = s->c / s->groups, count = each * s->plane;
    const float *scale = f->r->x[2].data;
    for (int64_t i = from; i < to; i++) {
        const float *dy = (const float *)f->r->x[0].data + i * count, *x = (const float *)f->r->x[1].data + i * count;
        float *dx = (float *)f->r->y[0].data + i * count;
        double *sums = (double *)f->r->scratch + i * each * 2, mean_g = 0, mean_gu = 0;
        const float inverse = centre(count, s->epsilon, x, dx);
        for (int64_t k = 0; k < each; k++) {
            const double w = (double)scale[(i % s->groups * each + k) / s->share] / (double)count;
            sums[2 * k] = ot_row_sum(s->plane, dy + k * s->plane);
            sums[2 * k + 1] = ot_row_dot(s->plane, dy + k * s->plane, dx + k * s->plane) * (double)inverse;
            mean_g += w * sums[2 * k];
            mean_gu += w * sums[2 * k + 1];
        }
        ot_row_scale(count, -inverse * inverse * (float)mean_gu, -inverse * (float)mean_g, dx, dx);
        for (int64_t k = 0; k < each; k++)
            ot_row_axpy(s->plane, inverse * scale[(i % s->groups * each + k) / s->share], dy + k * s->plane,
                        dx + k * s->plane);
    }
}

static void backward_groups_double(void *ctx, int64_t from, int64_t to)
{
    const struct forward *f = ctx;
    const sizes *s = &f->s;
    const int64_t each = s->c / s->groups, count = each * s->plane;
    const double *scale = f->r->x[2].data;
    for (int64_t i = from; i < to; i++) {
        const double *dy = (const double *)f->r->x[0].data + i * count;
        const double *x = (const double *)f->r->x[1].data + i * count;
        double *dx = (double *)f->r->y[0].data + i * count, *sums = (double *)f->r->scratch + i * each * 2;
        double mean, inverse, mean_g = 0, mean_gu = 0;
        moments(x, count, s->epsilon, &mean, &inverse);
        memset(sums, 0, (size_t)each * 2 * sizeof(*sums));
        for (int64_t k = 0; k < count; k++) {
            const double u = (x[k] - mean) * inverse, w = scale[(i % s->groups * each + k / s->plane) / s->share];
            sums[k / s->plane * 2] += dy[k];
            sums[k / s->plane * 2 + 1] += dy[k] * u;
            mean_g += w * dy[k] / (double)count;
            mean_gu += w * dy[k] * u / (double)count;
        }
        for (int64_t k = 0; k < count; k++)
            dx[k] = inverse * (dy[k] * scale[(i % s->groups * each + k / s->plane) / s->share] - mean_g -
                               (x[k] - mean) * inverse * mean_gu);
    }
}

/* dscale and dB from the sums of planes. */
static void sum_planes(const ot_run *r, const sizes *s)
{
    for (int64_t a = 0, n = ot_tensor_count(&r->y[1]); a < n; a++) {
        double dscale = 0, db = 0;
        for (int64_t i = 0; i < s->n; i++)
            for (int64_t k = a * s->share; k < (a + 1) * s->share && s->plane > 0; k++) {
                db += ((const double *)r->scratch)[(i * s->c + k) * 2];
                dscale += ((const double *)r->scratch)[(i * s->c + k) * 2 + 1];
            }
        if (r->y[1].dtype == OT_DOUBLE) {
            ((double *)r->y[1].data)[a] = dscale;
            ((double *)r->y[2].data)[a] = db;
        } else {
            ((float *)r->y[1].data)[a] = (float)dscale;
            ((float *)r->y[2].data)[a] = (float)db;
        }
    }
}

static ot_status backward_run(const ot_run *r)
{
    struct forward f = { r, sizes_of(r, 1, 2) };
    if (ot_tensor_count(&r->y[0]) > 0)
        ot_for_ranges(r, f.s.n * f.s.groups, OT_GRAIN / (f.s.c / f.s.groups * f.s.plane + 1) + 1,
                      r->x[1].dtype == OT_DOUBLE ? backward_groups_double : backward_groups, &f);
    else
        f.s.n = 0;
    sum_planes(r, &f.s);
    return OT_OK;
}

static const ot_kernel norm_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .run = forward_run },
    { .name = "reference", .run = forward_run, .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .prepare = grad_prepare, .run = backward_run },
    { .name = "reference", .prepare = grad_prepare, .run = backward_run, .in_double = true },
    { 0 },
};

#define NORM(Name, first)                                                                                              \
    const ot_op ot_op_##Name = { .domain = "",                                                                         \
                                 .name = #Name,                                                                        \
                                 .since = (first),                                                                     \
                                 .until = OT_LATEST,                                                                   \
                                 .min_in = 3,                                                                          \
                                 .max_in = 3,                                                                          \
                                 .min_out = 1,                                                                         \
                                 .max_out = 1,                                                                         \
                                 .infer = norm_infer,                                                                  \
                                 .grad = norm_differentiate,                                                           \
                                 .cpu = norm_kernels }

NORM(GroupNormalization, 18);
NORM(InstanceNormalization, 1);

const ot_op ot_op_GroupNormGrad = { .domain = OT_INTERNAL,
                                    .name = "GroupNormGrad",
                                    .since = 1,
                                    .until = 1,
                                    .min_in = 3,
                                    .max_in = 3,
                                    .min_out = 3,
                                    .max_out = 3,
                                    .infer = grad_infer,
                                    .cpu = grad_kernels };

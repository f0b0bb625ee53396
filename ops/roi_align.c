/* RoiAlign: for each region (x1, y1, x2, y2 times spatial_scale, of the picture batch_indices[r] of X) and each of
 * output_height x output_width bins, the mean of X read by bilinear interpolation at points spread evenly over the bin;
 * with mode max, the largest of the weighted neighbours of these points, as the reference has it.
 * Backward reads X and the regions: RoiAlignGrad: (dy, X, rois, batch_indices) -> dX, drois. */
#include "run.h"

#include <math.h>
#include <string.h>

#define MOST_POINTS 65536 /* along one side of a bin */
#define BIN_POINTS  1024  /* of a bin that are read in any case */
#define REGION_POINTS                                                                                                  \
    ((double)(1 << 20)) /* likewise of a region; one of more has at most four an element of a plane                    \
                         */

static ot_status align_rule(const ot_infer *c, int at_x, ot_fact *y)
{
    const char *mode = ot_attr_text(c->node, "mode", "avg");
    const char *how = ot_attr_text(c->node, "coordinate_transformation_mode", "half_pixel");
    const int64_t h = ot_attr_int(c->node, "output_height", 1), w = ot_attr_int(c->node, "output_width", 1);
    ot_dim rois, four;
    if (strcmp(mode, "avg") != 0 && strcmp(mode, "max") != 0)
        return ot_fail(OT_EMODEL, "mode is '%s', wanted is avg or max", mode);
    if (strcmp(how, "half_pixel") != 0 && strcmp(how, "output_half_pixel") != 0)
        return ot_fail(OT_EMODEL, "coordinate_transformation_mode is '%s'", how);
    if (h < 1 || w < 1 || h > INT32_MAX || w > INT32_MAX)
        return ot_fail(OT_EMODEL, "the output is %lld x %lld", (long long)h, (long long)w);
    OT_TRY(ot_rank_between(c, at_x, 4, 4));
    OT_TRY(ot_needs_float(c, at_x));
    OT_TRY(ot_rank_between(c, at_x + 1, 2, 2));
    OT_TRY(ot_rank_between(c, at_x + 2, 1, 1));
    const ot_fact *x = c->x[at_x], *r = c->x[at_x + 1], *b = c->x[at_x + 2];
    if (r->dtype != x->dtype || b->dtype != OT_INT64)
        return ot_fail(OT_ESHAPE, "X is %s, rois are %s, batch_indices %s", ot_dtype_name(x->dtype),
                       ot_dtype_name(r->dtype), ot_dtype_name(b->dtype));
    OT_TRY(ot_dims_agree(&four, r->dim[1], 4, "numbers of a region"));
    OT_TRY(ot_dims_agree(&rois, r->dim[0], b->dim[0], "rois and batch_indices"));
    if (x->dim[2] == 0 || x->dim[3] == 0)
        return ot_fail(OT_ESHAPE, "X is %s: nothing to read", OT_DIMS(4, x->dim));
    ot_set_shape(y, x->dtype, 4, (const ot_dim[]){ rois, x->dim[1], h, w });
    return OT_OK;
}

static ot_status align_infer(ot_infer *c)
{
    return align_rule(c, 0, &c->y[0]);
}

/* ---- Points ---------------------------------------------------------------------------------------------------- */

typedef struct align {
    const ot_run *r;
    const ot_tensor *x, *rois, *batch;
    int64_t regions, channels, height, width, out_h, out_w;
    double scale, offset;
    int64_t ratio;
    bool max, fixed; /* fixed: a region is at least one element wide and high */
} align;

static align read_align(const ot_run *r, int at_x)
{
    const ot_tensor *x = &r->x[at_x];
    const ot_node *n = r->node;
    const bool half = strcmp(ot_attr_text(n, "coordinate_transformation_mode", "half_pixel"), "half_pixel") == 0;
    return (align){ .r = r,
                    .x = x,
                    .rois = &r->x[at_x + 1],
                    .batch = &r->x[at_x + 2],
                    .regions = r->x[at_x + 1].dim[0],
                    .channels = x->dim[1],
                    .height = x->dim[2],
                    .width = x->dim[3],
                    .out_h = ot_attr_int(n, "output_height", 1),
                    .out_w = ot_attr_int(n, "output_width", 1),
                    .scale = ot_attr_float(n, "spatial_scale", 1),
                    .offset = half ? 0.5 : 0,
                    .ratio = ot_attr_int(n, "sampling_ratio", 0),
                    .max = strcmp(ot_attr_text(n, "mode", "avg"), "max") == 0,
                    .fixed = !half };
}

/* One side of a bin: point i lies at start + (i + 1/2) * step; `by_end` is how it moves with the region's end. */
typedef struct side {
    double start, step, size, bins;
    int64_t points, bin;
    bool fixed;
} side;

static side read_side(const align *a, double from, double to, int64_t bins, int64_t bin)
{
    side s = { .bins = (double)bins, .bin = bin };
    double start = from * a->scale - a->offset;
    s.size = to * a->scale - a->offset - start;
    s.fixed = a->fixed && !(s.size >= 1);
    if (s.fixed)
        s.size = 1;
    const double points = a->ratio > 0 ? (double)a->ratio : ceil(s.size / s.bins);
    s.points = points > 0 ? (int64_t)points : 0;
    s.step = s.points ? s.size / s.bins / (double)s.points : 0;
    s.start = start + (double)bin * s.size / s.bins;
    return s;
}

/* How far point i moves when the region's end does, as a part of that. */
static double by_end(const side *s, int64_t i)
{
    return s->fixed ? 0 : ((double)s->bin + ((double)i + 0.5) / (double)s->points) / s->bins;
}

/* The neighbours of a point, what they weigh, and how that changes with y and x. */
typedef struct corners {
    int64_t at[4];
    double weight[4], by_y[4], by_x[4];
} corners;

static void one_axis(double v, int64_t n, int64_t *low, int64_t *high, double *part, double *slope)
{
    *slope = v > 0 ? 1 : 0;
    v = v > 0 ? v : 0;
    *low = (int64_t)v;
    *high = *low + 1;
    *part = v - (double)*low;
    if (*low >= n - 1) {
        *low = *high = n - 1;
        *part = *slope = 0;
    }
}

static void read_corners(const align *a, double y, double x, corners *k)
{
    int64_t y0, y1, x0, x1;
    double py, px, sy, sx;
    memset(k, 0, sizeof(*k));
    if (!(y >= -1 && y <= (double)a->height && x >= -1 && x <= (double)a->width))
        return;
    one_axis(y, a->height, &y0, &y1, &py, &sy);
    one_axis(x, a->width, &x0, &x1, &px, &sx);
    for (int i = 0; i < 4; i++) {
        const bool down = i >= 2, right = i & 1;
        k->at[i] = (down ? y1 : y0) * a->width + (right ? x1 : x0);
        k->weight[i] = (down ? py : 1 - py) * (right ? px : 1 - px);
        k->by_y[i] = (down ? sy : -sy) * (right ? px : 1 - px);
        k->by_x[i] = (right ? sx : -sx) * (down ? py : 1 - py);
    }
}

static ot_status check_regions(const align *a)
{
    for (int64_t i = 0; i < a->regions; i++) {
        const int64_t b = ((const int64_t *)a->batch->data)[i];
        double v[4];
        if (b < 0 || b >= a->x->dim[0])
            return ot_fail(OT_EDATA, "batch_indices[%lld] is %lld of %lld pictures", (long long)i, (long long)b,
                           (long long)a->x->dim[0]);
        for (int k = 0; k < 4; k++)
            v[k] = ot_tensor_get(a->rois, i * 4 + k);
        const double h = (v[3] - v[1]) * a->scale / (double)a->out_h, w = (v[2] - v[0]) * a->scale / (double)a->out_w;
        if (!(fabs(h) < MOST_POINTS && fabs(w) < MOST_POINTS) || a->ratio >= MOST_POINTS || !isfinite(v[0] + v[1]))
            return ot_fail(OT_EDATA, "region %lld has bins of %g x %g", (long long)i, h, w);
        const double points = a->ratio > 0 ? (double)(a->ratio * a->ratio) : fmax(ceil(h), 1) * fmax(ceil(w), 1);
        const double all = points * (double)a->out_h * (double)a->out_w, plane = (double)(a->height * a->width);
        if (points > BIN_POINTS && all > REGION_POINTS && all > 4 * plane)
            return ot_fail(OT_EUNSUPPORTED, "region %lld has bins of %g x %g, read at %g points each", (long long)i, h,
                           w, points);
    }
    return OT_OK;
}

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

/* Region, bin and the two sides of unit i = region * bins + bin. */
static void read_bin(const align *a, int64_t i, side *v, side *h)
{
    const int64_t bins = a->out_h * a->out_w, region = i / bins, bin = i % bins;
    double r[4];
    for (int k = 0; k < 4; k++)
        r[k] = ot_tensor_get(a->rois, region * 4 + k);
    *v = read_side(a, r[1], r[3], a->out_h, bin / a->out_w);
    *h = read_side(a, r[0], r[2], a->out_w, bin % a->out_w);
}

#define ALIGN(T)                                                                                                       \
    static void forward_##T(void *ctx, int64_t from, int64_t to) /* bins of all regions */                             \
    {                                                                                                                  \
        const align *a = ctx;                                                                                          \
        const int64_t bins = a->out_h * a->out_w, plane = a->height * a->width;                                        \
        for (int64_t i = from; i < to; i++) {                                                                          \
            side v, h;                                                                                                 \
            corners k;                                                                                                 \
            read_bin(a, i, &v, &h);                                                                                    \
            const int64_t picture = ((const int64_t *)a->batch->data)[i / bins], count = v.points * h.points;          \
            T *y = (T *)a->r->y[0].data + i / bins * a->channels * bins + i % bins;                                    \
            for (int64_t c = 0; c < a->channels; c++)                                                                  \
                y[c * bins] = 0;                                                                                       \
            for (int64_t p = 0; p < count; p++) {                                                                      \
                read_corners(a, v.start + ((double)(p / h.points) + 0.5) * v.step,                                     \
                             h.start + ((double)(p % h.points) + 0.5) * h.step, &k);                                   \
                const T *x = (const T *)a->x->data + picture * a->channels * plane;                                    \
                for (int64_t c = 0; c < a->channels; c++, x += plane) {                                                \
                    T part[4];                                                                                         \
                    for (int n = 0; n < 4; n++)                                                                        \
                        part[n] = (T)k.weight[n] * x[k.at[n]];                                                         \
                    if (!a->max) {                                                                                     \
                        y[c * bins] += (part[0] + part[1] + part[2] + part[3]) / (T)count;                             \
                        continue;                                                                                      \
                    }                                                                                                  \
                    for (int n = 0; n < 4; n++)                                                                        \
                        if ((p == 0 && n == 0) || part[n] > y[c * bins])                                               \
                            y[c * bins] = part[n];                                                                     \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    /* Channel c of unit i: each neighbour that counts gets its part of dy, in dx (where not NULL) and in dr. */       \
    static void backward_one_##T(const align *a, int64_t i, int64_t c, const side *v, const side *h, T *dx,            \
                                 double *dr)                                                                           \
    {                                                                                                                  \
        const int64_t bins = a->out_h * a->out_w, plane = a->height * a->width, count = v->points * h->points;         \
        const int64_t picture = ((const int64_t *)a->batch->data)[i / bins];                                           \
        const T *x = (const T *)a->x->data + (picture * a->channels + c) * plane;                                      \
        const double dy = (double)((const T *)a->r->x[0].data)[(i / bins * a->channels + c) * bins + i % bins];        \
        corners k;                                                                                                     \
        int64_t best = -1;                                                                                             \
        T top = 0;                                                                                                     \
        for (int64_t p = 0; a->max && p < count * 4; p++) {                                                            \
            read_corners(a, v->start + ((double)(p / 4 / h->points) + 0.5) * v->step,                                  \
                         h->start + ((double)(p / 4 % h->points) + 0.5) * h->step, &k);                                \
            const T part = (T)k.weight[p % 4] * x[k.at[p % 4]];                                                        \
            if (best < 0 || part > top) {                                                                              \
                best = p;                                                                                              \
                top = part;                                                                                            \
            }                                                                                                          \
        }                                                                                                              \
        for (int64_t p = a->max ? best : 0; p >= 0 && p < (a->max ? best + 1 : count * 4); p++) {                      \
            const int64_t iy = p / 4 / h->points, ix = p / 4 % h->points;                                              \
            if (p % 4 == 0 || a->max)                                                                                  \
                read_corners(a, v->start + ((double)iy + 0.5) * v->step, h->start + ((double)ix + 0.5) * h->step, &k); \
            const double g = a->max ? dy : dy / (double)count;                                                         \
            const double value = (double)x[k.at[p % 4]] * g * a->scale;                                                \
            if (dx)                                                                                                    \
                dx[k.at[p % 4]] += (T)(g * k.weight[p % 4]);                                                           \
            dr[0] += value * k.by_x[p % 4] * (1 - by_end(h, ix));                                                      \
            dr[1] += value * k.by_y[p % 4] * (1 - by_end(v, iy));                                                      \
            dr[2] += value * k.by_x[p % 4] * by_end(h, ix);                                                            \
            dr[3] += value * k.by_y[p % 4] * by_end(v, iy);                                                            \
        }                                                                                                              \
    }                                                                                                                  \
    static void backward_x_##T(void *ctx, int64_t from, int64_t to) /* channels */                                     \
    {                                                                                                                  \
        const align *a = ctx;                                                                                          \
        const int64_t bins = a->out_h * a->out_w, plane = a->height * a->width;                                        \
        for (int64_t i = 0; i < a->regions * bins; i++) {                                                              \
            const int64_t picture = ((const int64_t *)a->batch->data)[i / bins];                                       \
            double unused[4] = { 0 };                                                                                  \
            side v, h;                                                                                                 \
            read_bin(a, i, &v, &h);                                                                                    \
            for (int64_t c = from; c < to; c++)                                                                        \
                backward_one_##T(a, i, c, &v, &h, (T *)a->r->y[0].data + (picture * a->channels + c) * plane, unused); \
        }                                                                                                              \
    }                                                                                                                  \
    static void backward_rois_##T(void *ctx, int64_t from, int64_t to) /* regions */                                   \
    {                                                                                                                  \
        const align *a = ctx;                                                                                          \
        const int64_t bins = a->out_h * a->out_w;                                                                      \
        for (int64_t region = from; region < to; region++) {                                                           \
            double dr[4] = { 0 };                                                                                      \
            for (int64_t i = region * bins; i < (region + 1) * bins; i++) {                                            \
                side v, h;                                                                                             \
                read_bin(a, i, &v, &h);                                                                                \
                for (int64_t c = 0; c < a->channels; c++)                                                              \
                    backward_one_##T(a, i, c, &v, &h, NULL, dr);                                                       \
            }                                                                                                          \
            for (int k = 0; k < 4; k++)                                                                                \
                ((T *)a->r->y[1].data)[region * 4 + k] = (T)dr[k];                                                     \
        }                                                                                                              \
    }
ALIGN(float)
ALIGN(double)

static ot_status align_run(const ot_run *r)
{
    align a = read_align(r, 0);
    OT_TRY(check_regions(&a));
    ot_for_ranges(r, a.regions * a.out_h * a.out_w, 512 / (a.channels + 1) + 1,
                  r->y[0].dtype == OT_DOUBLE ? forward_double : forward_float, &a);
    return OT_OK;
}

static void align_differentiate(ot_build *b)
{
    const int n_out = ot_wants(b, 1) ? 2 : 1;
    ot_val d[2] = { 0 };
    ot_emit_outputs(b, "RoiAlignGrad", ot_the_node(b)->attr, 4,
                    (const ot_val[]){ ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1), ot_x(b, 2) }, n_out, d);
    for (int i = 0; i < n_out; i++)
        ot_give(b, i, d[i]);
}

/* Before opset 16 regions were not moved by half an element. */
static void align_normalise(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    if (n->opset >= 16)
        return;
    const ot_attr *attr = OT_ATTRS(OT_TEXT("coordinate_transformation_mode", "output_half_pixel"),
                                   OT_TEXT("mode", ot_attr_text(n, "mode", "avg")),
                                   OT_INT("output_height", ot_attr_int(n, "output_height", 1)),
                                   OT_INT("output_width", ot_attr_int(n, "output_width", 1)),
                                   OT_INT("sampling_ratio", ot_attr_int(n, "sampling_ratio", 0)),
                                   OT_REAL("spatial_scale", ot_attr_float(n, "spatial_scale", 1)));
    ot_becomes(b, 0, OT_EMIT_WITH(b, "RoiAlign", attr, ot_x(b, 0), ot_x(b, 1), ot_x(b, 2)));
}

static ot_status grad_infer(ot_infer *c)
{
    ot_fact y = { .rank = -1 };
    OT_TRY(align_rule(c, 1, &y));
    OT_TRY(ot_rank_between(c, 0, 4, 4));
    for (int d = 0; d < 4; d++)
        OT_TRY(ot_dims_agree(&y.dim[d], y.dim[d], c->x[0]->dim[d], "dy and the output"));
    for (int i = 0; i < c->n_out; i++)
        ot_set_shape(&c->y[i], c->x[i + 1]->dtype, c->x[i + 1]->rank, c->x[i + 1]->dim);
    return OT_OK;
}

static ot_status grad_run(const ot_run *r)
{
    const bool wide = r->y[0].dtype == OT_DOUBLE;
    align a = read_align(r, 1);
    OT_TRY(check_regions(&a));
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    ot_for_ranges(r, a.channels, 8, wide ? backward_x_double : backward_x_float, &a);
    if (ot_has_y(r, 1))
        ot_for_ranges(r, a.regions, 1, wide ? backward_rois_double : backward_rois_float, &a);
    return OT_OK;
}

static const ot_kernel align_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = align_run },
    { .name = "reference", .run = align_run, .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = grad_run },
    { .name = "reference", .run = grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_RoiAlign = { .domain = "",
                               .name = "RoiAlign",
                               .since = 10,
                               .until = OT_LATEST,
                               .min_in = 3,
                               .max_in = 3,
                               .min_out = 1,
                               .max_out = 1,
                               .normalise = align_normalise,
                               .infer = align_infer,
                               .grad = align_differentiate,
                               .cpu = align_kernels };

const ot_op ot_op_RoiAlignGrad = { .domain = OT_INTERNAL,
                                   .name = "RoiAlignGrad",
                                   .since = 1,
                                   .until = 1,
                                   .min_in = 4,
                                   .max_in = 4,
                                   .min_out = 1,
                                   .max_out = 2,
                                   .infer = grad_infer,
                                   .cpu = grad_kernels };

/* GridSample: y[n][c][o] is x[n][c] read at the place grid[n][o], by nearest, linear or cubic interpolation; -1 and 1
 * in the grid are the ends of x: the middles of its outermost elements (align_corners) or their outer edges.  The last
 * axis of the grid counts dims from the last.  Outside lie zeros, the border or the mirror image.
 * Backward reads x and grid: GridSampleGrad: (dy, x, grid) -> dx, dgrid. */
#include "run.h"

#include <math.h>
#include <string.h>

#define MOST_TAPS 4096 /* of one place: 2 or 4 for each dimension */

typedef enum mode { NEAREST, LINEAR, CUBIC } mode;
typedef enum padding { ZEROS, BORDER, REFLECTION } padding;

typedef struct sampler {
    mode mode;
    padding padding;
    bool align;
    int n;         /* spatial dims */
    int each, all; /* taps of a dim, of a place */
    int64_t dim[OT_MAX_RANK], stride[OT_MAX_RANK];
    int64_t batch, channels, plane, places; /* places: of y, in one picture */
} sampler;

static ot_status read_mode(sampler *s, const ot_node *n)
{
    const char *text = ot_attr_text(n, "mode", "linear"), *pad = ot_attr_text(n, "padding_mode", "zeros");
    s->align = ot_attr_int(n, "align_corners", 0) != 0;
    if (strcmp(text, "linear") == 0 || strcmp(text, "bilinear") == 0)
        s->mode = LINEAR;
    else if (strcmp(text, "cubic") == 0 || strcmp(text, "bicubic") == 0)
        s->mode = CUBIC;
    else if (strcmp(text, "nearest") != 0)
        return ot_fail(OT_EMODEL, "mode is '%s', wanted is linear, nearest or cubic", text);
    if (strcmp(pad, "border") == 0)
        s->padding = BORDER;
    else if (strcmp(pad, "reflection") == 0)
        s->padding = REFLECTION;
    else if (strcmp(pad, "zeros") != 0)
        return ot_fail(OT_EMODEL, "padding_mode is '%s', wanted is zeros, border or reflection", pad);
    s->each = s->mode == NEAREST ? 1 : s->mode == LINEAR ? 2 : 4;
    return OT_OK;
}

/* x and grid are the inputs at these places; y gets the dims. */
static ot_status sample_rule(const ot_infer *c, int at_x, ot_fact *y)
{
    sampler s = { 0 };
    ot_dim dim[OT_MAX_RANK], d;
    OT_TRY(read_mode(&s, c->node));
    OT_TRY(ot_rank_between(c, at_x, 3, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, at_x + 1));
    const ot_fact *x = c->x[at_x], *grid = c->x[at_x + 1];
    OT_TRY(ot_rank_between(c, at_x + 1, x->rank, x->rank));
    if (s.mode != NEAREST)
        OT_TRY(ot_needs_float(c, at_x));
    else if (ot_dtype_size(x->dtype) == 0)
        return ot_fail(OT_ESHAPE, "x is %s", ot_dtype_name(x->dtype));
    OT_TRY(ot_dims_agree(&dim[0], x->dim[0], grid->dim[0], "pictures of x and of the grid"));
    OT_TRY(ot_dims_agree(&d, grid->dim[x->rank - 1], x->rank - 2, "the last dimension of the grid"));
    dim[1] = x->dim[1];
    for (int k = 2; k < x->rank; k++) {
        dim[k] = grid->dim[k - 1];
        if (x->dim[k] == 0)
            return ot_fail(OT_ESHAPE, "dimension %d of x is 0: nothing to read", k);
    }
    if (pow(s.each, x->rank - 2) > MOST_TAPS)
        return ot_fail(OT_EUNSUPPORTED, "interpolation of %d elements along each of %d dims", s.each, x->rank - 2);
    ot_set_shape(y, x->dtype, x->rank, dim);
    return OT_OK;
}

static ot_status sample_infer(ot_infer *c)
{
    return sample_rule(c, 0, &c->y[0]);
}

static sampler read_sampler(const ot_node *node, const ot_tensor *x, const ot_tensor *grid)
{
    sampler s = { .n = x->rank - 2, .all = 1, .batch = x->dim[0], .channels = x->dim[1], .plane = 1, .places = 1 };
    read_mode(&s, node);
    for (int d = s.n - 1; d >= 0; d--) {
        s.dim[d] = x->dim[d + 2];
        s.stride[d] = s.plane;
        s.plane *= s.dim[d];
        s.places *= grid->dim[d + 1];
        s.all *= s.each;
    }
    return s;
}

/* ---- One dimension of a place ---------------------------------------------------------------------------------- */

typedef struct line {
    int64_t at[4];              /* -1: a zero */
    double weight[4], slope[4]; /* slope: of the weight, by the grid */
} line;

/* v mirrored into lo .. hi; *sign changes with every turn. */
static double mirror(double v, double lo, double hi, double *sign)
{
    const double range = hi - lo;
    if (v >= lo && v <= hi)
        return v;
    if (!(range > 0)) {
        *sign = 0;
        return lo;
    }
    const double off = v < lo ? lo - v : v - hi, turns = floor(off / range), rest = off - turns * range;
    const bool even = fmod(turns, 2) == 0;
    *sign = even ? -*sign : *sign;
    return (v < lo) == even ? lo + rest : hi - rest;
}

static int64_t element(const sampler *s, int d, double i)
{
    const int64_t n = s->dim[d];
    double sign = 1;
    if (i >= 0 && i <= (double)(n - 1))
        return (int64_t)i;
    if (s->padding == ZEROS)
        return -1;
    if (s->padding == REFLECTION)
        i = s->align ? mirror(i, 0, (double)(n - 1), &sign) : mirror(i, -0.5, (double)n - 0.5, &sign);
    return i > 0 ? i < (double)(n - 1) ? (int64_t)i : n - 1 : 0;
}

/* Keys' cubic with a = -3/4 at distance d from its middle, and its derivative by the signed distance. */
static double cubic(double signed_d, double *slope)
{
    const double a = -0.75, d = fabs(signed_d), sign = signed_d < 0 ? -1 : 1;
    if (d <= 1) {
        *slope = sign * (3 * (a + 2) * d - 2 * (a + 3)) * d;
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    }
    *slope = sign * ((3 * a * d - 10 * a) * d + 8 * a);
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

static void read_line(const sampler *s, int d, double g, line *l)
{
    const double n = (double)s->dim[d], scale = s->align ? (n - 1) / 2 : n / 2;
    const double lo = s->align ? 0 : -0.5, hi = s->align ? n - 1 : n - 0.5;
    double x = s->align ? (g + 1) / 2 * (n - 1) : ((g + 1) * n - 1) / 2, slope = scale;
    x = x > -0x1p60 && x < 0x1p60 ? x : x > 0 ? 0x1p60 : -0x1p60; /* NaN: far outside */
    if (s->mode == NEAREST)
        x = rint(x);
    if (!(x >= lo && x <= hi) && s->padding == BORDER && s->mode != CUBIC) { /* cubic: its taps, one by one */
        x = x < 0 ? 0 : n - 1;
        slope = 0;
    } else if (s->padding == REFLECTION) {
        x = mirror(x, lo, hi, &slope);
    }
    if (s->mode == NEAREST) {
        l->at[0] = element(s, d, x);
        l->weight[0] = 1;
        l->slope[0] = 0;
        return;
    }
    const double first = floor(x) - (s->mode == CUBIC ? 1 : 0);
    for (int k = 0; k < s->each; k++) {
        const double off = x - (first + k);
        l->at[k] = element(s, d, first + k);
        if (s->mode == CUBIC) {
            l->weight[k] = cubic(off, &l->slope[k]);
        } else {
            l->weight[k] = k == 0 ? 1 - off : 1 + off;
            l->slope[k] = k == 0 ? -1 : 1;
        }
        l->slope[k] *= slope;
    }
}

/* The taps of a place from its lines: where in the plane (-1: a zero), and the products of weights. */
typedef struct taps {
    int64_t at[MOST_TAPS];
    double weight[MOST_TAPS];
} taps;

/* by: the dim whose slopes count instead of its weights; -1: none. */
static void read_taps(const sampler *s, const line *l, int by, taps *t)
{
    for (int k = 0; k < s->all; k++) {
        int rest = k;
        bool inside = true;
        t->at[k] = 0;
        t->weight[k] = 1;
        for (int d = s->n - 1; d >= 0; d--, rest /= s->each) {
            const int i = rest % s->each;
            inside &= l[d].at[i] >= 0;
            t->at[k] += l[d].at[i] * s->stride[d];
            t->weight[k] *= d == by ? l[d].slope[i] : l[d].weight[i];
        }
        if (!inside)
            t->at[k] = -1;
    }
}

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

typedef struct job {
    const ot_run *r;
    sampler s;
} job;

#define SAMPLE(T)                                                                                                      \
    static void lines_##T(const sampler *s, const T *grid, line *l)                                                    \
    {                                                                                                                  \
        for (int d = 0; d < s->n; d++)                                                                                 \
            read_line(s, d, (double)grid[s->n - 1 - d], &l[d]);                                                        \
    }                                                                                                                  \
    static void forward_##T(void *ctx, int64_t from, int64_t to) /* places of all pictures */                          \
    {                                                                                                                  \
        const job *j = ctx;                                                                                            \
        const sampler *s = &j->s;                                                                                      \
        line l[OT_MAX_RANK];                                                                                           \
        taps t;                                                                                                        \
        for (int64_t i = from; i < to; i++) {                                                                          \
            const int64_t n = i / s->places;                                                                           \
            const T *x = (const T *)j->r->x[0].data + n * s->channels * s->plane;                                      \
            T *y = (T *)j->r->y[0].data + n * s->channels * s->places + i % s->places;                                 \
            lines_##T(s, (const T *)j->r->x[1].data + i * s->n, l);                                                    \
            read_taps(s, l, -1, &t);                                                                                   \
            for (int64_t c = 0; c < s->channels; c++, x += s->plane, y += s->places) {                                 \
                T sum = 0;                                                                                             \
                for (int k = 0; k < s->all; k++)                                                                       \
                    sum += t.at[k] < 0 ? 0 : (T)t.weight[k] * x[t.at[k]];                                              \
                *y = sum;                                                                                              \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void backward_x_##T(void *ctx, int64_t from, int64_t to) /* pictures */                                     \
    {                                                                                                                  \
        const job *j = ctx;                                                                                            \
        const sampler *s = &j->s;                                                                                      \
        line l[OT_MAX_RANK];                                                                                           \
        taps t;                                                                                                        \
        for (int64_t i = from * s->places; i < to * s->places; i++) {                                                  \
            const int64_t n = i / s->places;                                                                           \
            const T *dy = (const T *)j->r->x[0].data + n * s->channels * s->places + i % s->places;                    \
            T *dx = (T *)j->r->y[0].data + n * s->channels * s->plane;                                                 \
            lines_##T(s, (const T *)j->r->x[2].data + i * s->n, l);                                                    \
            read_taps(s, l, -1, &t);                                                                                   \
            for (int64_t c = 0; c < s->channels; c++, dx += s->plane, dy += s->places)                                 \
                for (int k = 0; k < s->all; k++)                                                                       \
                    if (t.at[k] >= 0)                                                                                  \
                        dx[t.at[k]] += (T)t.weight[k] * *dy;                                                           \
        }                                                                                                              \
    }                                                                                                                  \
    static void backward_grid_##T(void *ctx, int64_t from, int64_t to) /* places of all pictures */                    \
    {                                                                                                                  \
        const job *j = ctx;                                                                                            \
        const sampler *s = &j->s;                                                                                      \
        line l[OT_MAX_RANK];                                                                                           \
        taps t;                                                                                                        \
        for (int64_t i = from; i < to; i++) {                                                                          \
            const int64_t n = i / s->places;                                                                           \
            lines_##T(s, (const T *)j->r->x[2].data + i * s->n, l);                                                    \
            for (int d = 0; d < s->n; d++) {                                                                           \
                const T *dy = (const T *)j->r->x[0].data + n * s->channels * s->places + i % s->places;                \
                const T *x = (const T *)j->r->x[1].data + n * s->channels * s->plane;                                  \
                double sum = 0;                                                                                        \
                read_taps(s, l, d, &t);                                                                                \
                for (int64_t c = 0; c < s->channels; c++, x += s->plane, dy += s->places)                              \
                    for (int k = 0; k < s->all; k++)                                                                   \
                        sum += t.at[k] < 0 ? 0 : t.weight[k] * (double)x[t.at[k]] * (double)*dy;                       \
                ((T *)j->r->y[1].data)[i * s->n + s->n - 1 - d] = (T)sum;                                              \
            }                                                                                                          \
        }                                                                                                              \
    }
SAMPLE(float)
SAMPLE(double)

static ot_status sample_run(const ot_run *r)
{
    job j = { r, { 0 } };
    if (ot_tensor_count(&r->y[0]) == 0)
        return OT_OK;
    j.s = read_sampler(r->node, &r->x[0], &r->x[1]);
    ot_for_ranges(r, j.s.batch * j.s.places, 2048 / (j.s.channels * j.s.all) + 1,
                  r->y[0].dtype == OT_DOUBLE ? forward_double : forward_float, &j);
    return OT_OK;
}

static const char *copy_declines(const ot_prep *p)
{
    sampler s = { 0 };
    return read_mode(&s, p->node) == OT_OK && s.mode == NEAREST ? NULL : "it interpolates";
}

static const char *float_declines(const ot_prep *p)
{
    return copy_declines(p) ? ot_float32_only(p) : "it copies";
}

static const char *reference_declines(const ot_prep *p)
{
    return copy_declines(p) ? NULL : "it copies";
}

/* Nearest, for any element type. */
static ot_status copy_run(const ot_run *r)
{
    const size_t size = ot_dtype_size(r->y[0].dtype);
    line l[OT_MAX_RANK];
    if (ot_tensor_count(&r->y[0]) == 0)
        return OT_OK;
    const sampler s = read_sampler(r->node, &r->x[0], &r->x[1]);
    for (int64_t i = 0; i < s.batch * s.places; i++) {
        int64_t at = 0;
        bool inside = true;
        for (int d = 0; d < s.n; d++) {
            read_line(&s, d, ot_tensor_get(&r->x[1], i * s.n + s.n - 1 - d), &l[d]);
            inside &= l[d].at[0] >= 0;
            at += l[d].at[0] * s.stride[d];
        }
        for (int64_t c = i / s.places * s.channels; c < (i / s.places + 1) * s.channels; c++) {
            char *y = (char *)r->y[0].data + (size_t)(c * s.places + i % s.places) * size;
            if (inside)
                memcpy(y, (const char *)r->x[0].data + (size_t)(c * s.plane + at) * size, size);
            else
                memset(y, 0, size);
        }
    }
    return OT_OK;
}

static void sample_differentiate(ot_build *b)
{
    const ot_attr *attr = ot_the_node(b)->attr;
    const int n_out = ot_wants(b, 1) ? 2 : 1;
    ot_val d[2] = { 0 };
    ot_emit_outputs(b, "GridSampleGrad", attr, 3, (const ot_val[]){ ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1) }, n_out, d);
    for (int i = 0; i < n_out; i++)
        ot_give(b, i, d[i]);
}

static ot_status grad_infer(ot_infer *c)
{
    ot_fact y = { .rank = -1 };
    OT_TRY(sample_rule(c, 1, &y));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_rank_between(c, 0, y.rank, y.rank));
    for (int d = 0; d < y.rank; d++)
        OT_TRY(ot_dims_agree(&y.dim[d], y.dim[d], c->x[0]->dim[d], "dy and the output"));
    ot_set_shape(&c->y[0], c->x[1]->dtype, c->x[1]->rank, c->x[1]->dim);
    if (c->n_out > 1)
        ot_set_shape(&c->y[1], c->x[2]->dtype, c->x[2]->rank, c->x[2]->dim);
    return OT_OK;
}

static ot_status grad_run(const ot_run *r)
{
    const bool wide = r->y[0].dtype == OT_DOUBLE;
    job j = { r, read_sampler(r->node, &r->x[1], &r->x[2]) };
    const int64_t places = j.s.batch * j.s.places;
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    if (ot_has_y(r, 1))
        memset(r->y[1].data, 0, ot_tensor_bytes(&r->y[1]));
    if (places == 0 || j.s.channels == 0)
        return OT_OK;
    ot_for_ranges(r, j.s.batch, 1, wide ? backward_x_double : backward_x_float, &j);
    if (ot_has_y(r, 1))
        ot_for_ranges(r, places, 2048 / (j.s.channels * j.s.all) + 1, wide ? backward_grid_double : backward_grid_float,
                      &j);
    return OT_OK;
}

static const ot_kernel sample_kernels[] = {
    { .name = "copy", .declines = copy_declines, .run = copy_run },
    { .name = "float", .declines = float_declines, .run = sample_run },
    { .name = "reference", .declines = reference_declines, .run = sample_run, .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = grad_run },
    { .name = "reference", .run = grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_GridSample = { .domain = "",
                                 .name = "GridSample",
                                 .since = 16,
                                 .until = OT_LATEST,
                                 .min_in = 2,
                                 .max_in = 2,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = sample_infer,
                                 .grad = sample_differentiate,
                                 .cpu = sample_kernels };

const ot_op ot_op_GridSampleGrad = { .domain = OT_INTERNAL,
                                     .name = "GridSampleGrad",
                                     .since = 1,
                                     .until = 1,
                                     .min_in = 3,
                                     .max_in = 3,
                                     .min_out = 1,
                                     .max_out = 2,
                                     .infer = grad_infer,
                                     .cpu = grad_kernels };

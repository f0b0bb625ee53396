/* DeformConv: a convolution whose taps lie beside the grid by `offset` (of each tap, in each offset group of channels,
 * at each output place), are read by multilinear interpolation with zeros outside, and are multiplied by `mask`. offset
 * is [N, groups * taps * dims, out...], mask [N, groups * taps, out...].  Each picture becomes a matrix of columns [C *
 * taps][places], which the weights are multiplied with. Backward reads all inputs: DeformConvGrad: (dy, X, W, offset,
 * mask) -> dX, dW, doffset, dmask; that of B is ConvGradB. */
#include "conv_shape.h"
#include "kernels/gemm.h"

#include <math.h>
#include <string.h>

#define MOST_DIMS 6

static ot_status deform_rule(ot_infer *c, int at_x, int at_mask, ot_fact *y)
{
    const int64_t groups = ot_attr_int(c->node, "offset_group", 1);
    OT_TRY(ot_rank_between(c, at_x, 3, MOST_DIMS + 2));
    OT_TRY(ot_rank_between(c, at_x + 1, 3, MOST_DIMS + 2));
    OT_TRY(ot_needs_float(c, at_x));
    const ot_fact *x = c->x[at_x], *w = c->x[at_x + 1];
    OT_TRY(ot_conv_rule(c, x, w, y));
    if (groups < 1 || groups > INT32_MAX || (!ot_is_symbol(x->dim[1]) && x->dim[1] % groups != 0))
        return ot_fail(OT_ESHAPE, "%lld channels are not %lld equal offset groups", (long long)x->dim[1],
                       (long long)groups);
    const ot_dim taps = ot_dim_mul(c, ot_dims_product(c, w->dim, 2, w->rank), groups);
    for (int i = at_x + 2; i <= at_mask; i += at_mask - at_x - 2) {
        if (i >= c->n_in || !c->x[i])
            break;
        ot_dim d;
        OT_TRY(ot_rank_between(c, i, x->rank, x->rank));
        if (c->x[i]->dtype != x->dtype)
            return ot_fail(OT_ESHAPE, "input %d is %s", i, ot_dtype_name(c->x[i]->dtype));
        OT_TRY(ot_dims_agree(&d, c->x[i]->dim[0], x->dim[0], "pictures of X and of offset or mask"));
        OT_TRY(ot_dims_agree(&d, c->x[i]->dim[1], i == at_mask ? taps : ot_dim_mul(c, taps, x->rank - 2),
                             i == at_mask ? "channels of mask" : "channels of offset"));
        for (int k = 2; k < x->rank; k++)
            OT_TRY(ot_dims_agree(&y->dim[k], y->dim[k], c->x[i]->dim[k], "dims of the output and of offset or mask"));
    }
    return OT_OK;
}

static ot_status deform_infer(ot_infer *c)
{
    ot_dim d;
    OT_TRY(ot_rank_between(c, 2, 3, MOST_DIMS + 2));
    OT_TRY(deform_rule(c, 0, 4, &c->y[0]));
    if (c->n_in > 3 && c->x[3]) {
        OT_TRY(ot_rank_between(c, 3, 1, 1));
        OT_TRY(ot_dims_agree(&d, c->y[0].dim[1], c->x[3]->dim[0], "output channels and the length of B"));
        if (c->x[3]->dtype != c->x[0]->dtype)
            return ot_fail(OT_ESHAPE, "B is %s", ot_dtype_name(c->x[3]->dtype));
    }
    return OT_OK;
}

/* ---- Places ---------------------------------------------------------------------------------------------------- */

typedef struct deform {
    const ot_run *r;
    ot_conv_size s;
    int64_t groups, taps, plane, places;
    int64_t n;                     /* the picture at hand */
    const void *x, *offset, *mask; /* of it; mask may be NULL */
    void *columns;                 /* [C * taps][places] */
    const void *dcolumns;
    void *dx, *doffset, *dmask;
} deform;

/* The corners around a point of the input: places (-1: outside), weights and their slopes along each dim. */
typedef struct corners {
    int n;
    int64_t at[1 << MOST_DIMS];
    double weight[1 << MOST_DIMS], slope[1 << MOST_DIMS][MOST_DIMS];
} corners;

/* Unit u (offset group and tap) at place o. */
static void read_corners(const deform *f, int64_t u, int64_t o, bool slopes, corners *k)
{
    const ot_window *w = &f->s.win;
    int64_t at[OT_MAX_SPATIAL], tap[OT_MAX_SPATIAL], low[MOST_DIMS] = { 0 };
    double part[MOST_DIMS] = { 0 };
    const int n = w->spatial < MOST_DIMS ? w->spatial : MOST_DIMS;
    ot_unravel(n, w->out, o, at);
    ot_unravel(n, w->kernel, u % f->taps, tap);
    for (int d = 0; d < n; d++) {
        const int64_t i = (u * n + d) * f->places + o;
        const double off =
            f->r->y[0].dtype == OT_DOUBLE ? ((const double *)f->offset)[i] : (double)((const float *)f->offset)[i];
        double v = (double)(at[d] * w->stride[d] - w->pad[d] + tap[d] * w->dilation[d]) + off;
        v = v > -2 && v < (double)w->in[d] + 1 ? v : -2; /* NaN and all that is far outside */
        low[d] = (int64_t)floor(v);
        part[d] = v - floor(v);
    }
    k->n = 1 << n;
    for (int c = 0; c < k->n; c++) {
        bool inside = true;
        k->at[c] = 0;
        k->weight[c] = 1;
        for (int d = 0; d < n; d++) {
            const int up = c >> d & 1;
            const int64_t i = low[d] + up;
            inside &= i >= 0 && i < w->in[d];
            k->at[c] = k->at[c] * w->in[d] + i;
            k->weight[c] *= up ? part[d] : 1 - part[d];
        }
        if (!inside)
            k->at[c] = -1;
        for (int d = 0; d < n && slopes; d++) {
            k->slope[c][d] = c >> d & 1 ? 1 : -1;
            for (int e = 0; e < n; e++)
                k->slope[c][d] *= e == d ? 1 : c >> e & 1 ? part[e] : 1 - part[e];
        }
    }
}

/* ---- Columns and back ------------------------------------------------------------------------------------------ */

#define DEFORM(T)                                                                                                      \
    static void columns_##T(void *ctx, int64_t from, int64_t to) /* units */                                           \
    {                                                                                                                  \
        const deform *f = ctx;                                                                                         \
        const int64_t each = f->s.c / f->groups;                                                                       \
        corners k;                                                                                                     \
        for (int64_t u = from; u < to; u++)                                                                            \
            for (int64_t o = 0; o < f->places; o++) {                                                                  \
                const T m = f->mask ? ((const T *)f->mask)[u * f->places + o] : 1;                                     \
                read_corners(f, u, o, false, &k);                                                                      \
                for (int64_t c = u / f->taps * each; c < (u / f->taps + 1) * each; c++) {                              \
                    const T *x = (const T *)f->x + c * f->plane;                                                       \
                    T sum = 0;                                                                                         \
                    for (int i = 0; i < k.n; i++)                                                                      \
                        sum += k.at[i] < 0 ? 0 : (T)k.weight[i] * x[k.at[i]];                                          \
                    ((T *)f->columns)[(c * f->taps + u % f->taps) * f->places + o] = m * sum;                          \
                }                                                                                                      \
            }                                                                                                          \
    }                                                                                                                  \
    static void backward_x_##T(void *ctx, int64_t from, int64_t to) /* offset groups */                                \
    {                                                                                                                  \
        const deform *f = ctx;                                                                                         \
        const int64_t each = f->s.c / f->groups;                                                                       \
        corners k;                                                                                                     \
        memset((T *)f->dx + from * each * f->plane, 0, (size_t)((to - from) * each * f->plane) * sizeof(T));           \
        for (int64_t u = from * f->taps; u < to * f->taps; u++)                                                        \
            for (int64_t o = 0; o < f->places; o++) {                                                                  \
                const T m = f->mask ? ((const T *)f->mask)[u * f->places + o] : 1;                                     \
                read_corners(f, u, o, false, &k);                                                                      \
                for (int64_t c = u / f->taps * each; c < (u / f->taps + 1) * each; c++) {                              \
                    const T g = m * ((const T *)f->dcolumns)[(c * f->taps + u % f->taps) * f->places + o];             \
                    for (int i = 0; i < k.n; i++)                                                                      \
                        if (k.at[i] >= 0)                                                                              \
                            ((T *)f->dx)[c * f->plane + k.at[i]] += g * (T)k.weight[i];                                \
                }                                                                                                      \
            }                                                                                                          \
    }                                                                                                                  \
    static void backward_offset_##T(void *ctx, int64_t from, int64_t to) /* units */                                   \
    {                                                                                                                  \
        const deform *f = ctx;                                                                                         \
        const int64_t each = f->s.c / f->groups;                                                                       \
        const int n = f->s.win.spatial;                                                                                \
        corners k;                                                                                                     \
        for (int64_t u = from; u < to; u++)                                                                            \
            for (int64_t o = 0; o < f->places; o++) {                                                                  \
                const double m = f->mask ? (double)((const T *)f->mask)[u * f->places + o] : 1;                        \
                double dmask = 0, doffset[MOST_DIMS] = { 0 };                                                          \
                read_corners(f, u, o, true, &k);                                                                       \
                for (int64_t c = u / f->taps * each; c < (u / f->taps + 1) * each; c++) {                              \
                    const double g = (double)((const T *)f->dcolumns)[(c * f->taps + u % f->taps) * f->places + o];    \
                    for (int i = 0; i < k.n; i++) {                                                                    \
                        if (k.at[i] < 0)                                                                               \
                            continue;                                                                                  \
                        const double x = g * (double)((const T *)f->x)[c * f->plane + k.at[i]];                        \
                        dmask += x * k.weight[i];                                                                      \
                        for (int d = 0; d < n && d < MOST_DIMS; d++)                                                   \
                            doffset[d] += x * m * k.slope[i][d];                                                       \
                    }                                                                                                  \
                }                                                                                                      \
                for (int d = 0; d < n && d < MOST_DIMS; d++)                                                           \
                    ((T *)f->doffset)[(u * n + d) * f->places + o] = (T)doffset[d];                                    \
                if (f->dmask)                                                                                          \
                    ((T *)f->dmask)[u * f->places + o] = (T)dmask;                                                     \
            }                                                                                                          \
    }
DEFORM(float)
DEFORM(double)

/* c = a b (+ c where add): m x k times k x n, with strides as ot_gemm has them, rows of c dense. */
static void product(const deform *f, int64_t m, int64_t n, int64_t k, const void *a, int64_t a_row, int64_t a_col,
                    const void *b, int64_t b_row, int64_t b_col, void *c, bool add, void *work)
{
    if (f->r->y[0].dtype == OT_FLOAT) {
        const ot_kernel_pool pool = ot_pool_of(f->r);
        const ot_gemm_args g = { .m = m,
                                 .n = n,
                                 .k = k,
                                 .a = a,
                                 .a_row = a_row,
                                 .a_col = a_col,
                                 .b = b,
                                 .b_row = b_row,
                                 .b_col = b_col,
                                 .c = c,
                                 .ldc = n,
                                 .alpha = 1,
                                 .beta = add ? 1 : 0 };
        ot_gemm(&g, work, &pool);
        return;
    }
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = add ? ((double *)c)[i * n + j] : 0;
            for (int64_t p = 0; p < k; p++)
                sum += ((const double *)a)[i * a_row + p * a_col] * ((const double *)b)[p * b_row + j * b_col];
            ((double *)c)[i * n + j] = sum;
        }
}

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

static ot_status read_deform(deform *f, const ot_run *r, int at_x)
{
    *f = (deform){ .r = r, .groups = ot_attr_int(r->node, "offset_group", 1) };
    OT_TRY(ot_conv_read_run(&f->s, r->node, &r->x[at_x], &r->x[at_x + 1]));
    f->taps = ot_window_size(&f->s.win, f->s.win.kernel);
    f->plane = ot_window_size(&f->s.win, f->s.win.in);
    f->places = ot_window_size(&f->s.win, f->s.win.out);
    return OT_OK;
}

static size_t aligned(size_t n)
{
    return (n + 63) / 64 * 64;
}

/* Scratch: `matrices` of columns, in doubles, then the work space of products. */
static ot_status prepare(ot_prep *p, int at_x, int matrices)
{
    ot_conv_size s;
    size_t bytes, gemm = 0;
    const ot_fact *x = p->x[at_x], *w = p->x[at_x + 1];
    OT_TRY(ot_conv_read(&s, p->node, x, w));
    const int64_t taps = ot_window_size(&s.win, s.win.kernel), places = ot_window_size(&s.win, s.win.out);
    if (!ot_mul(&bytes, (size_t)s.c, (size_t)taps) || !ot_mul(&bytes, bytes, (size_t)places) ||
        !ot_mul(&bytes, bytes, sizeof(double)) || bytes > SIZE_MAX / 8)
        return ot_fail(OT_ENOMEM, "columns of %s", OT_DIMS(x->rank, x->dim));
    if (x->dtype == OT_FLOAT) {
        const int64_t m = s.k / s.group, k = s.c / s.group * taps;
        const size_t need[3] = { ot_gemm_workspace(m, places, k, p->threads),
                                 ot_gemm_workspace(k, places, m, p->threads),
                                 ot_gemm_workspace(m, k, places, p->threads) };
        for (int i = 0; i < 3; i++)
            gemm = need[i] > gemm ? need[i] : gemm;
    }
    p->scratch = aligned(bytes) * (size_t)matrices + gemm;
    return OT_OK;
}

static ot_status deform_prepare(ot_prep *p)
{
    return prepare(p, 0, 1);
}

/* The data of picture n of a tensor that may be absent. */
static void *picture(const ot_tensor *t, int64_t n)
{
    const int64_t count = ot_tensor_count(t);
    return t->dtype == OT_UNDEFINED || count == 0
               ? NULL
               : (char *)t->data + (size_t)(n * (count / t->dim[0])) * ot_dtype_size(t->dtype);
}

/* Makes picture n the one at hand and computes its columns. */
static void take_picture(deform *f, int at_x, int at_mask, int64_t n)
{
    const bool wide = f->r->y[0].dtype == OT_DOUBLE;
    f->n = n;
    f->x = picture(&f->r->x[at_x], n);
    f->offset = picture(&f->r->x[at_x + 2], n);
    f->mask = ot_has_x(f->r, at_mask) ? picture(&f->r->x[at_mask], n) : NULL;
    ot_for_ranges(f->r, f->groups * f->taps, 1, wide ? columns_double : columns_float, f);
}

static ot_status deform_run(const ot_run *r)
{
    deform f;
    OT_TRY(read_deform(&f, r, 0));
    const int64_t m = f.s.k / f.s.group, k = f.s.c / f.s.group * f.taps;
    const size_t size = ot_dtype_size(r->y[0].dtype);
    if (ot_tensor_count(&r->y[0]) == 0)
        return OT_OK;
    f.columns = r->scratch;
    char *work = (char *)r->scratch + aligned((size_t)(f.s.c * f.taps * f.places) * sizeof(double));
    for (int64_t n = 0; n < f.s.n; n++) {
        take_picture(&f, 0, 4, n);
        for (int64_t g = 0; g < f.s.group; g++)
            product(&f, m, f.places, k, (const char *)r->x[1].data + (size_t)(g * m * k) * size, k, 1,
                    (const char *)f.columns + (size_t)(g * k * f.places) * size, f.places, 1,
                    (char *)picture(&r->y[0], n) + (size_t)(g * m * f.places) * size, false, work);
    }
    for (int64_t i = 0, count = ot_tensor_count(&r->y[0]); i < count && ot_has_x(r, 3); i++) {
        const int64_t c = i / f.places % f.s.k;
        if (size == sizeof(double))
            ((double *)r->y[0].data)[i] += ((const double *)r->x[3].data)[c];
        else
            ((float *)r->y[0].data)[i] += ((const float *)r->x[3].data)[c];
    }
    return OT_OK;
}

static void deform_differentiate(ot_build *b)
{
    const bool masked = ot_x(b, 4) != OT_NONE;
    ot_val d[4] = { 0 };
    if (ot_wants(b, 3))
        ot_give(b, 3, OT_EMIT(b, "ConvGradB", ot_dy(b, 0)));
    if (!ot_wants(b, 0) && !ot_wants(b, 1) && !ot_wants(b, 2) && !ot_wants(b, 4))
        return;
    ot_emit_outputs(b, "DeformConvGrad", ot_the_node(b)->attr, 5,
                    (const ot_val[]){ ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1), ot_x(b, 2), ot_x(b, 4) }, masked ? 4 : 3, d);
    for (int i = 0; i < 3; i++)
        ot_give(b, i, d[i]);
    if (masked)
        ot_give(b, 4, d[3]);
}

static ot_status grad_infer(ot_infer *c)
{
    ot_fact y = { .rank = -1 };
    OT_TRY(ot_rank_between(c, 3, 3, MOST_DIMS + 2));
    OT_TRY(deform_rule(c, 1, 4, &y));
    OT_TRY(ot_rank_between(c, 0, y.rank, y.rank));
    for (int d = 0; d < y.rank; d++)
        OT_TRY(ot_dims_agree(&y.dim[d], y.dim[d], c->x[0]->dim[d], "dy and the output"));
    for (int i = 0; i < c->n_out; i++)
        ot_set_shape(&c->y[i], c->x[i + 1]->dtype, c->x[i + 1]->rank, c->x[i + 1]->dim);
    return OT_OK;
}

static ot_status grad_prepare(ot_prep *p)
{
    return prepare(p, 1, 2);
}

static ot_status grad_run(const ot_run *r)
{
    deform f;
    OT_TRY(read_deform(&f, r, 1));
    const bool wide = r->y[0].dtype == OT_DOUBLE;
    const int64_t m = f.s.k / f.s.group, k = f.s.c / f.s.group * f.taps;
    const size_t size = ot_dtype_size(r->y[0].dtype);
    const size_t matrix = aligned((size_t)(f.s.c * f.taps * f.places) * sizeof(double));
    char *dcolumns = (char *)r->scratch + matrix, *work = dcolumns + matrix;
    for (int i = 0; i < r->n_out; i++)
        memset(r->y[i].data, 0, ot_tensor_bytes(&r->y[i]));
    if (ot_tensor_count(&r->x[0]) == 0 || f.s.c == 0)
        return OT_OK;
    f.columns = r->scratch;
    f.dcolumns = dcolumns;
    for (int64_t n = 0; n < f.s.n; n++) {
        take_picture(&f, 1, 4, n);
        for (int64_t g = 0; g < f.s.group; g++) {
            const char *dy = (const char *)picture(&r->x[0], n) + (size_t)(g * m * f.places) * size;
            const char *w = (const char *)r->x[2].data + (size_t)(g * m * k) * size;
            char *dw = (char *)r->y[1].data + (size_t)(g * m * k) * size;
            const size_t at = (size_t)(g * k * f.places) * size;
            product(&f, k, f.places, m, w, 1, k, dy, f.places, 1, dcolumns + at, false, work);
            product(&f, m, k, f.places, dy, f.places, 1, (const char *)f.columns + at, 1, f.places, dw, true, work);
        }
        f.dx = picture(&r->y[0], n);
        f.doffset = picture(&r->y[2], n);
        f.dmask = ot_has_y(r, 3) ? picture(&r->y[3], n) : NULL;
        ot_for_ranges(r, f.groups, 1, wide ? backward_x_double : backward_x_float, &f);
        ot_for_ranges(r, f.groups * f.taps, 1, wide ? backward_offset_double : backward_offset_float, &f);
    }
    return OT_OK;
}

static const ot_kernel deform_kernels[] = {
    { .name = "columns", .declines = ot_float32_only, .prepare = deform_prepare, .run = deform_run },
    { .name = "reference", .prepare = deform_prepare, .run = deform_run, .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "columns", .declines = ot_float32_only, .prepare = grad_prepare, .run = grad_run },
    { .name = "reference", .prepare = grad_prepare, .run = grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_DeformConv = { .domain = "",
                                 .name = "DeformConv",
                                 .since = 19,
                                 .until = OT_LATEST,
                                 .min_in = 3,
                                 .max_in = 5,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = deform_infer,
                                 .grad = deform_differentiate,
                                 .cpu = deform_kernels,
                                 .macs = ot_conv_macs };

const ot_op ot_op_DeformConvGrad = { .domain = OT_INTERNAL,
                                     .name = "DeformConvGrad",
                                     .since = 1,
                                     .until = 1,
                                     .min_in = 4,
                                     .max_in = 5,
                                     .min_out = 3,
                                     .max_out = 4,
                                     .infer = grad_infer,
                                     .cpu = grad_kernels };

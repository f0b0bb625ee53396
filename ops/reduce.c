/* Reductions over axes: ReduceSum, Mean, Max, Min, Prod, L1, L2, LogSum, LogSumExp, SumSquare.  Axes were an attribute
 * before opset 13 (ReduceSum) and 18 (the others); none means all, or no reduction with noop_with_empty_axes.
 * Sums run in double, in the order of the elements, whatever the number of threads.
 * Backward: Sum and Mean need the shape of x only; Max and Min share the gradient evenly among equal winners; Prod
 * reads x, which may hold zeros. */
#include "axes.h"
#include "kernels/rows.h"
#include "strided.h"

#include <math.h>
#include <string.h>

/* The axes given, as marks; all of them when there are none, unless that means no reduction; *known: false when they
 * are not known yet. */
static ot_status reduced_axes(ot_infer *c, int input, int rank, bool *mark, bool *known)
{
    int count;
    OT_TRY(ot_axes_of(c, input, rank, mark, &count));
    *known = count >= 0;
    if (count == 0 && !ot_attr_int(c->node, "noop_with_empty_axes", 0))
        for (int d = 0; d < rank; d++)
            mark[d] = true;
    return OT_OK;
}

static bool is_sum_like(char what)
{
    return what != 'x' && what != 'n';
}

/* One letter for what is computed. */
static char what_of(const ot_node *n)
{
    static const struct {
        const char *name;
        char what;
    } names[] = { { "ReduceSum", 's' },       { "ReduceMean", 'm' },     { "ReduceMax", 'x' }, { "ReduceMin", 'n' },
                  { "ReduceProd", 'p' },      { "ReduceL1", '1' },       { "ReduceL2", '2' },  { "ReduceLogSum", 'l' },
                  { "ReduceLogSumExp", 'e' }, { "ReduceSumSquare", 'q' } };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i].name, n->op->name) == 0)
            return names[i].what;
    return 's';
}

static ot_status reduce_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    bool mark[OT_MAX_RANK], known, keep = ot_attr_int(c->node, "keepdims", 1) != 0;
    ot_dim dim[OT_MAX_RANK];
    int rank = 0;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    bool is_int = ot_dtype_is_int(x->dtype) && ot_dtype_bits(x->dtype) >= 8;
    if (!is_int && !(x->dtype == OT_BOOL && !is_sum_like(what_of(c->node))))
        OT_TRY(ot_needs_float(c, 0));
    OT_TRY(reduced_axes(c, 1, x->rank, mark, &known));
    c->y[0].dtype = x->dtype;
    if (!known && !keep)
        return OT_OK;
    for (int d = 0; d < x->rank; d++)
        if (!known)
            dim[rank++] = ot_dim_unknown(c);
        else if (!mark[d])
            dim[rank++] = x->dim[d];
        else if (keep)
            dim[rank++] = 1;
    ot_set_shape(&c->y[0], x->dtype, rank, dim);
    if (x->value && x->n_value > 0 && x->rank == 1 && mark[0] && strcmp(c->node->op->name, "ReduceProd") == 0) {
        ot_dim *v = ot_value_alloc(c, 1);
        if (v)
            *v = ot_dims_product(c, x->value, 0, x->n_value);
        c->y[0].value = v;
        c->y[0].n_value = v ? 1 : 0;
    }
    return OT_OK;
}

/* ---- Kernels -------------------------------------------------------------------------------------------------------
 */

/* How the elements of one result lie: `outer` results, each from the elements of the inner dims. */
typedef struct fold {
    int kept, inner;
    int64_t kept_dim[OT_MAX_RANK], kept_stride[OT_MAX_RANK], dim[OT_MAX_RANK], stride[OT_MAX_RANK];
    int64_t count; /* elements of one result */
    const ot_run *r;
    char what;
} fold;

static ot_status fold_of(fold *f, const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    int64_t stride[OT_MAX_RANK], n = ot_has_x(r, 1) ? ot_tensor_count(&r->x[1]) : 0;
    bool mark[OT_MAX_RANK];
    *f = (fold){ .r = r, .what = what_of(r->node), .count = 1 };
    for (int d = 0; d < x->rank; d++)
        mark[d] = n == 0 && !ot_attr_int(r->node, "noop_with_empty_axes", 0);
    for (int64_t k = 0; k < n; k++) {
        int axis;
        OT_TRY(ot_axis(&axis, ot_tensor_get_int(&r->x[1], k), x->rank));
        mark[axis] = true;
    }
    ot_dense_strides(stride, x->rank, x->dim);
    for (int d = 0; d < x->rank; d++) {
        int *at = mark[d] ? &f->inner : &f->kept;
        int64_t *dims = mark[d] ? f->dim : f->kept_dim, *steps = mark[d] ? f->stride : f->kept_stride;
        if (x->dim[d] == 1)
            continue;
        if (*at > 0 && steps[*at - 1] == stride[d] * x->dim[d]) {
            dims[*at - 1] *= x->dim[d];
            steps[*at - 1] = stride[d];
        } else {
            dims[*at] = x->dim[d];
            steps[(*at)++] = stride[d];
        }
        if (mark[d])
            f->count *= x->dim[d];
    }
    return OT_OK;
}

static int64_t place_of(int rank, const int64_t *dim, const int64_t *stride, int64_t i)
{
    int64_t at = 0;
    for (int d = rank - 1; d >= 0; d--) {
        at += i % dim[d] * stride[d];
        i /= dim[d];
    }
    return at;
}

static double start_of(char what)
{
    return what == 'p' ? 1 : what == 'x' ? -(double)INFINITY : what == 'n' ? (double)INFINITY : 0;
}

static double join(char what, double acc, double v)
{
    switch (what) {
    case 'x':
        return v > acc || v != v ? v : acc;
    case 'n':
        return v < acc || v != v ? v : acc;
    case 'p':
        return acc * v;
    case '1':
        return acc + fabs(v);
    case '2':
    case 'q':
        return acc + v * v;
    default:
        return acc + v;
    }
}

static double finish(char what, double acc, int64_t n)
{
    switch (what) {
    case 'm':
        return acc / (double)n;
    case '2':
        return sqrt(acc);
    case 'l':
        return log(acc);
    default:
        return acc;
    }
}

/* The largest is taken out before exp. */
#define LOG_SUM_EXP(T)                                                                                                 \
    double top = -(double)INFINITY, sum = 0;                                                                           \
    for (int64_t i = 0; i < f->count; i++)                                                                             \
        top = join('x', top, x[place_of(f->inner, f->dim, f->stride, i)]);                                             \
    if (!isfinite(top))                                                                                                \
        return top;                                                                                                    \
    for (int64_t i = 0; i < f->count; i++)                                                                             \
        sum += exp(x[place_of(f->inner, f->dim, f->stride, i)] - top);                                                 \
    return top + log(sum);

#define ONE_RESULT(T)                                                                                                  \
    static double one_##T(const fold *f, const T *x)                                                                   \
    {                                                                                                                  \
        if (f->what == 'e') {                                                                                          \
            LOG_SUM_EXP(T)                                                                                             \
        }                                                                                                              \
        double acc = start_of(f->what);                                                                                \
        int64_t row = f->inner ? f->dim[f->inner - 1] : 1, step = f->inner ? f->stride[f->inner - 1] : 0;              \
        for (int64_t i = 0; i < f->count; i += row) {                                                                  \
            const T *v = x + place_of(f->inner - 1, f->dim, f->stride, i / row);                                       \
            for (int64_t k = 0; k < row; k++)                                                                          \
                acc = join(f->what, acc, v[k * step]);                                                                 \
        }                                                                                                              \
        return finish(f->what, acc, f->count);                                                                         \
    }
ONE_RESULT(float)
ONE_RESULT(double)

/* Sums of long rows go through the vector kernel; the cuts depend on the row's length only. */
static double sum_rows(const fold *f, const float *x)
{
    double acc = 0;
    int64_t row = f->dim[f->inner - 1];
    for (int64_t i = 0; i < f->count; i += row)
        acc += ot_row_sum(row, x + place_of(f->inner - 1, f->dim, f->stride, i / row));
    return finish(f->what, acc, f->count);
}

static void float_range(void *ctx, int64_t from, int64_t to)
{
    const fold *f = ctx;
    bool rows = (f->what == 's' || f->what == 'm') && f->inner && f->stride[f->inner - 1] == 1 && f->count;
    for (int64_t i = from; i < to; i++) {
        const float *x = (const float *)f->r->x[0].data + place_of(f->kept, f->kept_dim, f->kept_stride, i);
        ((float *)f->r->y[0].data)[i] = (float)(rows ? sum_rows(f, x) : one_float(f, x));
    }
}

/* Columns side by side: the sums of a block of results walk the rows together. */
#define COLUMNS 64
static void column_range(void *ctx, int64_t from, int64_t to)
{
    const fold *f = ctx;
    int64_t width = f->kept_dim[f->kept - 1], blocks = (width + COLUMNS - 1) / COLUMNS;
    for (int64_t b = from; b < to; b++) {
        int64_t c0 = b % blocks * COLUMNS, n = width - c0 < COLUMNS ? width - c0 : COLUMNS;
        const float *x =
            (const float *)f->r->x[0].data + c0 + place_of(f->kept - 1, f->kept_dim, f->kept_stride, b / blocks);
        double acc[COLUMNS] = { 0 };
        for (int64_t i = 0; i < f->count; i++) {
            const float *v = x + place_of(f->inner, f->dim, f->stride, i);
            for (int64_t c = 0; c < n; c++)
                acc[c] += v[c];
        }
        for (int64_t c = 0; c < n; c++)
            ((float *)f->r->y[0].data)[b / blocks * width + c0 + c] = (float)finish(f->what, acc[c], f->count);
    }
}

static ot_status float_run(const ot_run *r)
{
    fold f;
    OT_TRY(fold_of(&f, r));
    int64_t n = ot_tensor_count(&r->y[0]);
    bool columns = (f.what == 's' || f.what == 'm') && f.kept && f.kept_stride[f.kept - 1] == 1 && f.inner;
    if (columns && n) {
        int64_t width = f.kept_dim[f.kept - 1], blocks = n / width * ((width + COLUMNS - 1) / COLUMNS);
        int64_t work = f.count * (width < COLUMNS ? width : COLUMNS);
        ot_for_ranges(r, blocks, work < OT_GRAIN ? OT_GRAIN / (work + 1) : 1, column_range, &f);
    } else {
        ot_for_ranges(r, n, f.count < OT_GRAIN ? OT_GRAIN / (f.count + 1) + 1 : 1, float_range, &f);
    }
    return OT_OK;
}

static ot_status reference_run(const ot_run *r)
{
    fold f;
    OT_TRY(fold_of(&f, r));
    for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++)
        ((double *)r->y[0].data)[i] =
            one_double(&f, (const double *)r->x[0].data + place_of(f.kept, f.kept_dim, f.kept_stride, i));
    return OT_OK;
}

/* Integers: exact sums and products that wrap; the rest as doubles. */
static ot_status int_run(const ot_run *r)
{
    fold f;
    OT_TRY(fold_of(&f, r));
    const ot_tensor *x = &r->x[0];
    bool wide = x->dtype == OT_UINT64;
    for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++) {
        int64_t base = place_of(f.kept, f.kept_dim, f.kept_stride, i);
        uint64_t acc = f.what == 'p';
        double real = start_of(f.what);
        for (int64_t k = 0; k < f.count; k++) {
            int64_t v = ot_tensor_get_int(x, base + place_of(f.inner, f.dim, f.stride, k));
            uint64_t u = (uint64_t)v, size = !wide && v < 0 ? 0 - u : u;
            bool better =
                wide ? (f.what == 'x' ? u > acc : u < acc) : (f.what == 'x' ? v > (int64_t)acc : v < (int64_t)acc);
            if (f.what == 'x' || f.what == 'n')
                acc = k == 0 || better ? u : acc;
            else
                acc = f.what == 'p' ? acc * u
                                    : acc + (f.what == '1'                    ? size
                                             : f.what == 'q' || f.what == '2' ? u * u
                                                                              : u);
            real = f.what == 'e' ? real + exp((double)v) : 0;
        }
        double whole = wide ? (double)acc : (double)(int64_t)acc;
        if (f.what == 'm')
            ot_tensor_set_int(&r->y[0], i,
                              f.count ? (wide ? (int64_t)(acc / (uint64_t)f.count) : (int64_t)acc / f.count) : 0);
        else if (f.what == '2' || f.what == 'l' || f.what == 'e')
            ot_tensor_set(&r->y[0], i, f.what == '2' ? sqrt(whole) : log(f.what == 'e' ? real : whole));
        else
            ot_tensor_set_int(&r->y[0], i, (int64_t)acc);
    }
    return OT_OK;
}

static const char *int_declines(const ot_prep *p)
{
    return ot_dtype_is_float(p->x[0]->dtype) ? "only for integers" : NULL;
}

static const char *float_declines(const ot_prep *p)
{
    return p->x[0]->dtype == OT_FLOAT ? NULL : "only for float32";
}

static const char *real_declines(const ot_prep *p)
{
    return ot_dtype_is_float(p->x[0]->dtype) ? NULL : "only for floats";
}

static const ot_kernel reduce_kernels[] = {
    { .name = "integers", .declines = int_declines, .run = int_run },
    { .name = "float", .declines = float_declines, .run = float_run },
    { .name = "reference", .declines = real_declines, .run = reference_run, .in_double = true },
    { 0 },
};

/* ---- Gradients -----------------------------------------------------------------------------------------------------
 */

/* v, which has the dims of y, with the reduced axes put back as 1. */
static ot_val with_axes(ot_build *b, ot_val v)
{
    const ot_node *n = ot_the_node(b);
    if (ot_attr_int(n, "keepdims", 1))
        return v;
    bool noop = ot_attr_int(n, "noop_with_empty_axes", 0) != 0;
    const ot_fact *axes = ot_x(b, 1) == OT_NONE ? NULL : ot_fact_of(b, ot_x(b, 1));
    if (axes && axes->n_value > 0) /* a negative axis counts from the end of x, as it does in Unsqueeze */
        return OT_EMIT(b, "Unsqueeze", v, ot_x(b, 1));
    int64_t all[OT_MAX_RANK];
    int rank = ot_fact_of(b, ot_x(b, 0))->rank;
    for (int i = 0; i < rank; i++)
        all[i] = i;
    return noop ? v : OT_EMIT(b, "Unsqueeze", v, ot_const_ints(b, rank, all));
}

static ot_val spread(ot_build *b, ot_val v)
{
    return OT_EMIT(b, "ExpandLike", with_axes(b, v), ot_x(b, 0));
}

static void sum_differentiate(ot_build *b)
{
    ot_give(b, 0, spread(b, ot_dy(b, 0)));
}

/* MeanScale: (v, x, y) -> v divided by the elements of x for one of y. */
static void mean_differentiate(ot_build *b)
{
    ot_give(b, 0, spread(b, OT_EMIT(b, "MeanScale", ot_dy(b, 0), ot_x(b, 0))));
}

static void extremum_differentiate(ot_build *b)
{
    ot_val x = ot_x(b, 0);
    ot_val wins = OT_EMIT(b, "CastLike", OT_EMIT(b, "Equal", x, with_axes(b, ot_y(b, 0))), x);
    ot_val dy = with_axes(b, ot_dy(b, 0));
    ot_val each = OT_EMIT(b, "Div", dy, OT_EMIT(b, "SumTo", wins, dy));
    ot_give(b, 0, OT_EMIT(b, "Mul", wins, each));
}

static void l1_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "Mul", spread(b, ot_dy(b, 0)), OT_EMIT(b, "Sign", ot_x(b, 0))));
}

static void l2_differentiate(ot_build *b) /* x / y */
{
    ot_give(b, 0, OT_EMIT(b, "Mul", ot_x(b, 0), spread(b, OT_EMIT(b, "Div", ot_dy(b, 0), ot_y(b, 0)))));
}

static void log_sum_differentiate(ot_build *b) /* 1 / sum = exp(-y) */
{
    ot_val inverse = OT_EMIT(b, "Exp", OT_EMIT(b, "Neg", ot_y(b, 0)));
    ot_give(b, 0, spread(b, OT_EMIT(b, "Mul", ot_dy(b, 0), inverse)));
}

static void log_sum_exp_differentiate(ot_build *b) /* exp(x - y) */
{
    ot_val share = OT_EMIT(b, "Exp", OT_EMIT(b, "Sub", ot_x(b, 0), with_axes(b, ot_y(b, 0))));
    ot_give(b, 0, OT_EMIT(b, "Mul", share, with_axes(b, ot_dy(b, 0))));
}

static void sum_square_differentiate(ot_build *b)
{
    ot_val twice = OT_EMIT(b, "Add", ot_dy(b, 0), ot_dy(b, 0));
    ot_give(b, 0, OT_EMIT(b, "Mul", ot_x(b, 0), spread(b, twice)));
}

static void prod_differentiate(ot_build *b)
{
    const ot_attr *noop =
        OT_ATTRS(OT_INT("noop_with_empty_axes", ot_attr_int(ot_the_node(b), "noop_with_empty_axes", 0)));
    ot_give(b, 0, OT_EMIT_WITH(b, "ReduceProdGrad", noop, ot_x(b, 0), ot_x(b, 1), ot_dy(b, 0)));
}

static void reduce_normalise(ot_build *b)
{
    if (ot_the_node(b)->n_in == 1)
        ot_list_to_input(b, "axes");
}

/* ---- ReduceProdGrad -------------------------------------------------------------------------------------------------
 */

/* (x, axes, dy) -> dx: dy times the product of the other elements, those before it and those behind, so that zeros are
 * no matter. */
#define PROD_GRAD(T)                                                                                                   \
    static void prod_range_##T(void *ctx, int64_t from, int64_t to)                                                    \
    {                                                                                                                  \
        const fold *f = ctx;                                                                                           \
        for (int64_t i = from; i < to; i++) {                                                                          \
            const int64_t base = place_of(f->kept, f->kept_dim, f->kept_stride, i);                                    \
            const T *x = (const T *)f->r->x[0].data + base;                                                            \
            T *dx = (T *)f->r->y[0].data + base;                                                                       \
            double before = 1, behind = (double)((const T *)f->r->x[2].data)[i];                                       \
            for (int64_t k = 0; k < f->count; k++) {                                                                   \
                const int64_t at = place_of(f->inner, f->dim, f->stride, k);                                           \
                dx[at] = (T)before;                                                                                    \
                before *= (double)x[at];                                                                               \
            }                                                                                                          \
            for (int64_t k = f->count - 1; k >= 0; k--) {                                                              \
                const int64_t at = place_of(f->inner, f->dim, f->stride, k);                                           \
                dx[at] = (T)((double)dx[at] * behind);                                                                 \
                behind *= (double)x[at];                                                                               \
            }                                                                                                          \
        }                                                                                                              \
    }
PROD_GRAD(float)
PROD_GRAD(double)

static ot_status prod_grad_run(const ot_run *r)
{
    fold f;
    OT_TRY(fold_of(&f, r));
    const int64_t results = f.count ? ot_tensor_count(&r->x[0]) / f.count : 0;
    if (results != ot_tensor_count(&r->x[2]) && ot_tensor_count(&r->x[0]) > 0)
        return ot_fail(OT_ESHAPE, "%lld gradients of %lld products", (long long)ot_tensor_count(&r->x[2]),
                       (long long)results);
    ot_for_ranges(r, results, OT_GRAIN / (f.count + 1) + 1,
                  r->y[0].dtype == OT_DOUBLE ? prod_range_double : prod_range_float, &f);
    return OT_OK;
}

static const ot_kernel prod_grad_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = prod_grad_run },
    { .name = "reference", .run = prod_grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_ReduceProdGrad = { .domain = OT_INTERNAL,
                                     .name = "ReduceProdGrad",
                                     .since = 1,
                                     .until = 1,
                                     .min_in = 1,
                                     .max_in = 3,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = ot_same_shape,
                                     .cpu = prod_grad_kernels };

/* ---- MeanScale ------------------------------------------------------------------------------------------------------
 */

static ot_status scale_infer(ot_infer *c)
{
    return ot_same_shape(c);
}

#define SCALE(T)                                                                                                       \
    static ot_status scale_##T(const ot_run *r)                                                                        \
    {                                                                                                                  \
        int64_t n = ot_tensor_count(&r->y[0]);                                                                         \
        T by = n ? (T)n / (T)ot_tensor_count(&r->x[1]) : 0;                                                            \
        for (int64_t i = 0; i < n; i++)                                                                                \
            ((T *)r->y[0].data)[i] = ((const T *)r->x[0].data)[i] * by;                                                \
        return OT_OK;                                                                                                  \
    }
SCALE(float)
SCALE(double)

static void scale_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "MeanScale", ot_dy(b, 0), ot_x(b, 1)));
}

static const ot_kernel scale_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = scale_float },
    { .name = "reference", .run = scale_double, .in_double = true },
    { 0 },
};

const ot_op ot_op_MeanScale = { .domain = OT_INTERNAL,
                                .name = "MeanScale",
                                .since = 1,
                                .until = 1,
                                .min_in = 2,
                                .max_in = 2,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = scale_infer,
                                .grad = scale_differentiate,
                                .cpu = scale_kernels,
                                .in_place = 1,
                                .shape_only = 1u << 1 };

#define REDUCE(id, differentiate)                                                                                      \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = 1,                                                                             \
                               .until = OT_LATEST,                                                                     \
                               .min_in = 1,                                                                            \
                               .max_in = 2,                                                                            \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .normalise = reduce_normalise,                                                          \
                               .infer = reduce_infer,                                                                  \
                               .grad = differentiate,                                                                  \
                               .cpu = reduce_kernels };

REDUCE(ReduceL1, l1_differentiate)
REDUCE(ReduceL2, l2_differentiate)
REDUCE(ReduceLogSum, log_sum_differentiate)
REDUCE(ReduceLogSumExp, log_sum_exp_differentiate)
REDUCE(ReduceMax, extremum_differentiate)
REDUCE(ReduceMean, mean_differentiate)
REDUCE(ReduceMin, extremum_differentiate)
REDUCE(ReduceProd, prod_differentiate)
REDUCE(ReduceSum, sum_differentiate)
REDUCE(ReduceSumSquare, sum_square_differentiate)

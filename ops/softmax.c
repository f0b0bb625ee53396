/* Softmax, LogSoftmax, Hardmax along one axis.  Before opset 13, x is a matrix whose columns are all dims from `axis`
 * on (default 1); since then the axis stands alone (default -1).
 *  Softmax:    y = exp(x - max) / sum of exp(x - max);  dx = y (dy - sum of dy y).      Backward reads y.
 *  LogSoftmax: y = x - max - log(sum of exp(x - max));  dx = dy - exp(y) sum of dy.     Backward reads y.
 *  Hardmax:    1 at the first maximum, else 0.                                          No gradient.
 * SoftmaxGrad, LogSoftmaxGrad: (dy, y; axis, coerced = 1 for the old rule) -> dx. */
#include "softmax.h"
#include "kernels/rows.h"

#include <math.h>
#include <string.h>

typedef ot_axes axes;

static bool is_coerced(const ot_node *node)
{
    bool internal = node->op->domain[0] != '\0';
    return internal ? ot_attr_int(node, "coerced", 0) != 0 : node->opset < 13;
}

static int64_t axis_of(const ot_node *node)
{
    return ot_attr_int(node, "axis", is_coerced(node) ? 1 : -1);
}

static axes axes_of(const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    axes a = { 1, 1, 1 };
    int64_t axis = axis_of(r->node);
    axis += axis < 0 ? x->rank : 0;
    for (int d = 0; d < x->rank; d++) {
        if (d < axis)
            a.outer *= x->dim[d];
        else if (d == axis || is_coerced(r->node))
            a.n *= x->dim[d];
        else
            a.inner *= x->dim[d];
    }
    return a;
}

static ot_status softmax_infer(ot_infer *c)
{
    int axis, rank;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    rank = c->x[0]->rank;
    if (rank > 0 || axis_of(c->node) != -1) {
        if (!(is_coerced(c->node) && axis_of(c->node) == rank)) /* no columns: each element by itself */
            OT_TRY(ot_axis(&axis, axis_of(c->node), rank));
    }
    return ot_same_shape(c);
}

static ot_status grad_infer(ot_infer *c)
{
    ot_dim d;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, c->x[0]->rank, c->x[0]->rank));
    for (int i = 0; i < c->x[0]->rank; i++)
        OT_TRY(ot_dims_agree(&d, c->x[0]->dim[i], c->x[1]->dim[i], "dy and y"));
    return softmax_infer(c);
}

/* ---- float32, along rows or across columns --------------------------------------------------------------------- */

#define TILE 256 /* columns that are worked on together */

typedef struct job {
    const ot_run *r;
    axes a;
    int64_t tiles; /* of a matrix [n][inner] */
    bool log;
    const float *x, *dy; /* backward: x is the forward's y */
    float *y;
} job;

typedef void column_fn(const job *j, int64_t at, int64_t cols);

struct tiles {
    const job *j;
    column_fn *fn;
};

static void some_tiles(void *ctx, int64_t from, int64_t to)
{
    const struct tiles *t = ctx;
    const axes *a = &t->j->a;
    for (int64_t i = from; i < to; i++) {
        int64_t col = i % t->j->tiles * TILE;
        t->fn(t->j, i / t->j->tiles * a->n * a->inner + col, a->inner - col < TILE ? a->inner - col : TILE);
    }
}

static void by_tiles(job *j, column_fn *fn)
{
    j->tiles = (j->a.inner + TILE - 1) / TILE;
    ot_for_ranges(j->r, j->a.outer * j->tiles, 1, some_tiles, &(struct tiles){ j, fn });
}

static void softmax_columns(const job *j, int64_t at, int64_t cols)
{
    const float *x = j->x + at;
    float *y = j->y + at, top[TILE], sum[TILE], e[TILE];
    memcpy(top, x, (size_t)cols * sizeof(*top));
    for (int64_t k = 1; k < j->a.n; k++)
        for (int64_t c = 0; c < cols; c++) {
            float v = x[k * j->a.inner + c];
            top[c] = v > top[c] || v != v ? v : top[c];
        }
    memset(sum, 0, sizeof(sum));
    for (int64_t k = 0; k < j->a.n; k++) {
        float *row = y + k * j->a.inner;
        ot_row_sub(cols, x + k * j->a.inner, top, row);
        ot_row_exp(cols, row, e);
        ot_row_add(cols, sum, e, sum);
        if (!j->log)
            memcpy(row, e, (size_t)cols * sizeof(*e));
    }
    for (int64_t c = 0; c < cols; c++)
        sum[c] = j->log ? logf(sum[c]) : 1 / sum[c];
    for (int64_t k = 0; k < j->a.n; k++) {
        float *row = y + k * j->a.inner;
        if (j->log)
            ot_row_sub(cols, row, sum, row);
        else
            ot_row_mul(cols, row, sum, row);
    }
}

static void forward(const ot_run *r, const axes *a, bool log, const float *x, float *y)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    job j = { .r = r, .a = *a, .log = log, .x = x, .y = y };
    if (a->outer == 0 || a->n == 0 || a->inner == 0)
        return;
    if (a->inner > 1)
        by_tiles(&j, softmax_columns);
    else if (log)
        ot_log_softmax_rows(a->outer, a->n, x, y, &pool);
    else
        ot_softmax_rows(a->outer, a->n, x, y, &pool);
}

void ot_log_softmax_float(const ot_run *r, const ot_axes *a, const float *x, float *y)
{
    forward(r, a, true, x, y);
}

static ot_status softmax_fast(const ot_run *r)
{
    const axes a = axes_of(r);
    forward(r, &a, false, r->x[0].data, r->y[0].data);
    return OT_OK;
}

static ot_status log_softmax_fast(const ot_run *r)
{
    const axes a = axes_of(r);
    forward(r, &a, true, r->x[0].data, r->y[0].data);
    return OT_OK;
}

static void grad_columns(const job *j, int64_t at, int64_t cols)
{
    const float *dy = j->dy + at, *y = j->x + at;
    float *dx = j->y + at, sum[TILE] = { 0 }, e[TILE];
    for (int64_t k = 0; k < j->a.n; k++)
        for (int64_t c = 0; c < cols; c++) {
            float d = dy[k * j->a.inner + c];
            sum[c] += j->log ? d : d * y[k * j->a.inner + c];
        }
    for (int64_t k = 0; k < j->a.n; k++) {
        const float *row = y + k * j->a.inner;
        if (j->log)
            ot_row_exp(cols, row, e);
        for (int64_t c = 0; c < cols; c++) {
            float d = dy[k * j->a.inner + c];
            dx[k * j->a.inner + c] = j->log ? d - e[c] * sum[c] : row[c] * (d - sum[c]);
        }
    }
}

static ot_status backward(const ot_run *r, bool log)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    const float *dy = r->x[0].data, *y = r->x[1].data;
    job j = { .r = r, .a = axes_of(r), .log = log, .x = y, .dy = dy, .y = r->y[0].data };
    if (ot_tensor_count(&r->y[0]) == 0)
        return OT_OK;
    if (j.a.inner > 1)
        by_tiles(&j, grad_columns);
    else if (log)
        ot_log_softmax_grad_rows(j.a.outer, j.a.n, y, dy, r->y[0].data, &pool);
    else
        ot_softmax_grad_rows(j.a.outer, j.a.n, y, dy, r->y[0].data, &pool);
    return OT_OK;
}

static ot_status softmax_grad_fast(const ot_run *r)
{
    return backward(r, false);
}

static ot_status log_softmax_grad_fast(const ot_run *r)
{
    return backward(r, true);
}

/* ---- References ------------------------------------------------------------------------------------------------ */

typedef void line_fn(const ot_run *r, int64_t at, int64_t n, int64_t step);

static ot_status by_lines(const ot_run *r, line_fn *fn)
{
    const axes a = axes_of(r);
    for (int64_t i = 0; i < a.outer * a.inner && a.n > 0; i++)
        fn(r, i / a.inner * a.n * a.inner + i % a.inner, a.n, a.inner);
    return OT_OK;
}

/* log(sum of exp), and the place of the first maximum. */
static double log_sum(const double *x, int64_t n, int64_t step, int64_t *first)
{
    double top = x[0], sum = 0;
    *first = 0;
    for (int64_t k = 1; k < n; k++)
        if (x[k * step] > top || isnan(x[k * step])) {
            top = x[k * step];
            *first = k;
        }
    for (int64_t k = 0; k < n; k++)
        sum += exp(x[k * step] - top);
    return top + log(sum);
}

static void softmax_line(const ot_run *r, int64_t at, int64_t n, int64_t step)
{
    const double *x = (const double *)r->x[0].data + at;
    double *y = (double *)r->y[0].data + at;
    int64_t first;
    double all = log_sum(x, n, step, &first);
    for (int64_t k = 0; k < n; k++)
        y[k * step] = exp(x[k * step] - all);
}

static void log_line(const double *x, double *y, int64_t n, int64_t step)
{
    int64_t first;
    double all = log_sum(x, n, step, &first);
    for (int64_t k = 0; k < n; k++)
        y[k * step] = x[k * step] - all;
}

static void log_softmax_line(const ot_run *r, int64_t at, int64_t n, int64_t step)
{
    log_line((const double *)r->x[0].data + at, (double *)r->y[0].data + at, n, step);
}

void ot_log_softmax_double(const ot_axes *a, const double *x, double *y)
{
    for (int64_t i = 0; i < a->outer * a->inner && a->n > 0; i++) {
        int64_t at = i / a->inner * a->n * a->inner + i % a->inner;
        log_line(x + at, y + at, a->n, a->inner);
    }
}

static void hardmax_line(const ot_run *r, int64_t at, int64_t n, int64_t step)
{
    const double *x = (const double *)r->x[0].data + at;
    double *y = (double *)r->y[0].data + at;
    int64_t first;
    log_sum(x, n, step, &first);
    for (int64_t k = 0; k < n; k++)
        y[k * step] = k == first;
}

static void softmax_grad_line(const ot_run *r, int64_t at, int64_t n, int64_t step)
{
    const double *dy = (const double *)r->x[0].data + at, *y = (const double *)r->x[1].data + at;
    double *dx = (double *)r->y[0].data + at, sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += dy[k * step] * y[k * step];
    for (int64_t k = 0; k < n; k++)
        dx[k * step] = y[k * step] * (dy[k * step] - sum);
}

static void log_softmax_grad_line(const ot_run *r, int64_t at, int64_t n, int64_t step)
{
    const double *dy = (const double *)r->x[0].data + at, *y = (const double *)r->x[1].data + at;
    double *dx = (double *)r->y[0].data + at, sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += dy[k * step];
    for (int64_t k = 0; k < n; k++)
        dx[k * step] = dy[k * step] - exp(y[k * step]) * sum;
}

static ot_status softmax_reference(const ot_run *r)
{
    return by_lines(r, softmax_line);
}

static ot_status log_softmax_reference(const ot_run *r)
{
    return by_lines(r, log_softmax_line);
}

static ot_status hardmax_reference(const ot_run *r)
{
    return by_lines(r, hardmax_line);
}

static ot_status softmax_grad_reference(const ot_run *r)
{
    return by_lines(r, softmax_grad_line);
}

static ot_status log_softmax_grad_reference(const ot_run *r)
{
    return by_lines(r, log_softmax_grad_line);
}

/* ---- Gradients ------------------------------------------------------------------------------------------------- */

static void give_with(ot_build *b, const char *op)
{
    const ot_node *n = ot_the_node(b);
    const ot_attr *attr = OT_ATTRS(OT_INT("axis", axis_of(n)), OT_INT("coerced", is_coerced(n)));
    ot_give(b, 0, OT_EMIT_WITH(b, op, attr, ot_dy(b, 0), ot_y(b, 0)));
}

static void softmax_differentiate(ot_build *b)
{
    give_with(b, "SoftmaxGrad");
}

static void log_softmax_differentiate(ot_build *b)
{
    give_with(b, "LogSoftmaxGrad");
}

static const ot_kernel softmax_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .run = softmax_fast },
    { .name = "reference", .run = softmax_reference, .in_double = true },
    { 0 },
};

static const ot_kernel log_softmax_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .run = log_softmax_fast },
    { .name = "reference", .run = log_softmax_reference, .in_double = true },
    { 0 },
};

static const ot_kernel hardmax_kernels[] = {
    { .name = "reference", .run = hardmax_reference, .in_double = true },
    { 0 },
};

static const ot_kernel softmax_grad_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .run = softmax_grad_fast },
    { .name = "reference", .run = softmax_grad_reference, .in_double = true },
    { 0 },
};

static const ot_kernel log_softmax_grad_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .run = log_softmax_grad_fast },
    { .name = "reference", .run = log_softmax_grad_reference, .in_double = true },
    { 0 },
};

#define SOFTMAX(Name, differentiate, kernels)                                                                          \
    const ot_op ot_op_##Name = { .domain = "",                                                                         \
                                 .name = #Name,                                                                        \
                                 .since = 1,                                                                           \
                                 .until = OT_LATEST,                                                                   \
                                 .min_in = 1,                                                                          \
                                 .max_in = 1,                                                                          \
                                 .min_out = 1,                                                                         \
                                 .max_out = 1,                                                                         \
                                 .infer = softmax_infer,                                                               \
                                 .grad = (differentiate),                                                              \
                                 .cpu = (kernels) }

#define SOFTMAX_GRAD(Name, kernels)                                                                                    \
    const ot_op ot_op_##Name = { .domain = OT_INTERNAL,                                                                \
                                 .name = #Name,                                                                        \
                                 .since = 1,                                                                           \
                                 .until = 1,                                                                           \
                                 .min_in = 2,                                                                          \
                                 .max_in = 2,                                                                          \
                                 .min_out = 1,                                                                         \
                                 .max_out = 1,                                                                         \
                                 .infer = grad_infer,                                                                  \
                                 .cpu = (kernels) }

SOFTMAX(Softmax, softmax_differentiate, softmax_kernels);
SOFTMAX(LogSoftmax, log_softmax_differentiate, log_softmax_kernels);
SOFTMAX(Hardmax, ot_grad_none, hardmax_kernels);
SOFTMAX_GRAD(SoftmaxGrad, softmax_grad_kernels);
SOFTMAX_GRAD(LogSoftmaxGrad, log_softmax_grad_kernels);

/* CumSum, CumProd: along an axis, y[i] = the sum or product of x[0 .. i]; `exclusive` leaves x[i] out, `reverse` goes
 * from the end.  Sums of floats are made in double.  The sum's gradient is a CumSum the other way round. CumProdGrad:
 * (dy, x, axis) -> with p = the product before i and s = dy[i] + x[i+1] s', dx[i] = p s: no division, so that zeros are
 * no matter. */
#include "known.h"
#include "run.h"

#include <string.h>

static ot_status cum_infer(ot_infer *c)
{
    ot_dtype t = c->x[0]->dtype;
    ot_dim axis;
    int at;
    if (ot_open_rank(c, -1))
        return ot_open_like(c, 0);
    if (t != OT_INT32 && t != OT_INT64 && t != OT_UINT32 && t != OT_UINT64)
        OT_TRY(ot_needs_float(c, 0));
    int last = c->n_in - 1;
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, last, 0, 1));
    if (c->x[last]->dtype != OT_INT64 && c->x[last]->dtype != OT_INT32)
        return ot_fail(OT_ESHAPE, "the axis is %s, wanted is int64 or int32", ot_dtype_name(c->x[last]->dtype));
    if (ot_known_scalar(c, last, &axis) && !ot_is_symbol(axis))
        OT_TRY(ot_axis(&at, axis, c->x[0]->rank));
    return ot_same_shape(c);
}

typedef struct walk {
    const ot_run *r;
    int64_t n, inner, step, start; /* along the axis, behind it; from one element to the next, from the first */
    bool exclusive, times;
} walk;

static ot_status walk_of(walk *w, const ot_run *r, int axis_input, const char *name)
{
    const ot_tensor *x = &r->x[0];
    bool reverse = ot_attr_int(r->node, "reverse", 0) != 0;
    int axis;
    *w = (walk){ .r = r, .inner = 1, .exclusive = ot_attr_int(r->node, "exclusive", 0) != 0, .times = name[3] == 'P' };
    if (ot_tensor_count(&r->x[axis_input]) != 1)
        return ot_fail(OT_ESHAPE, "%lld axes", (long long)ot_tensor_count(&r->x[axis_input]));
    OT_TRY(ot_axis(&axis, ot_tensor_get_int(&r->x[axis_input], 0), x->rank));
    w->n = x->dim[axis];
    for (int d = axis + 1; d < x->rank; d++)
        w->inner *= x->dim[d];
    w->step = reverse ? -w->inner : w->inner;
    w->start = reverse ? (w->n - 1) * w->inner : 0;
    return OT_OK;
}

static void for_lines(const walk *w, ot_range_fn *fn)
{
    int64_t lines = w->n ? ot_tensor_count(&w->r->x[0]) / w->n : 0;
    ot_for_ranges(w->r, lines, OT_GRAIN / (w->n + 1) + 1, fn, (void *)w);
}

#define COLUMNS 128 /* of a block: lines side by side that go along together */

/* Blocks: of each outer index, some of the lines. */
static void for_blocks(const walk *w, ot_range_fn *fn)
{
    int64_t count = ot_tensor_count(&w->r->x[0]), blocks = (w->inner + COLUMNS - 1) / COLUMNS;
    int64_t each = w->n * (w->inner < COLUMNS ? w->inner : COLUMNS);
    if (count)
        ot_for_ranges(w->r, count / (w->n * w->inner) * blocks, OT_GRAIN / each + 1, fn, (void *)w);
}

#define RUN(kind, ACC, GET, SET)                                                                                       \
    static void kind##_range(void *ctx, int64_t first, int64_t end)                                                    \
    {                                                                                                                  \
        const walk *w = ctx;                                                                                           \
        const ot_tensor *x = &w->r->x[0];                                                                              \
        ot_tensor y = w->r->y[0];                                                                                      \
        int64_t blocks = (w->inner + COLUMNS - 1) / COLUMNS;                                                           \
        for (int64_t i = first; i < end; i++) {                                                                        \
            int64_t c0 = i % blocks * COLUMNS, width = w->inner - c0 < COLUMNS ? w->inner - c0 : COLUMNS;              \
            int64_t at = i / blocks * w->n * w->inner + c0 + w->start;                                                 \
            ACC sum[COLUMNS], one = w->times; /* one line is kept in a register */                                     \
            for (int64_t k = 0; k < w->n && w->inner == 1; k++, at += w->step) {                                       \
                ACC v = (ACC)GET(x, at), next = w->times ? one * v : one + v;                                          \
                SET(&y, at, w->exclusive ? one : next);                                                                \
                one = next;                                                                                            \
            }                                                                                                          \
            for (int64_t c = 0; c < width; c++)                                                                        \
                sum[c] = w->times;                                                                                     \
            for (int64_t k = 0; k < w->n && w->inner > 1; k++, at += w->step)                                          \
                for (int64_t c = 0; c < width; c++) {                                                                  \
                    ACC v = (ACC)GET(x, at + c), next = w->times ? sum[c] * v : sum[c] + v;                            \
                    SET(&y, at + c, w->exclusive ? sum[c] : next);                                                     \
                    sum[c] = next;                                                                                     \
                }                                                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
    static ot_status kind##_run(const ot_run *r)                                                                       \
    {                                                                                                                  \
        walk w;                                                                                                        \
        OT_TRY(walk_of(&w, r, 1, r->node->op->name));                                                                  \
        for_blocks(&w, kind##_range);                                                                                  \
        return OT_OK;                                                                                                  \
    }
#define GET_FLOAT(t, i)     (((const float *)(t)->data)[i])
#define SET_FLOAT(t, i, v)  (((float *)(t)->data)[i] = (float)(v))
#define GET_DOUBLE(t, i)    (((const double *)(t)->data)[i])
#define SET_DOUBLE(t, i, v) (((double *)(t)->data)[i] = (v))
#define SET_INT(t, i, v)    ot_tensor_set_int(t, i, (int64_t)(v))
RUN(float, double, GET_FLOAT, SET_FLOAT)
RUN(double, double, GET_DOUBLE, SET_DOUBLE)
RUN(ints, uint64_t, ot_tensor_get_int, SET_INT)

static void sum_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    ot_give(b, 0,
            OT_EMIT_WITH(b, "CumSum",
                         OT_ATTRS(OT_INT("reverse", !ot_attr_int(n, "reverse", 0)),
                                  OT_INT("exclusive", ot_attr_int(n, "exclusive", 0))),
                         ot_dy(b, 0), ot_x(b, 1)));
}

static void prod_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "CumProdGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1)));
}

/* ---- CumProdGrad ---------------------------------------------------------------------------------------------------
 */

static ot_status grad_infer(ot_infer *c)
{
    OT_TRY(ot_needs_float(c, 0));
    return cum_infer(c);
}

/* There with the products before each element, and back with the sums behind it. */
#define GRAD(T)                                                                                                        \
    static void grad_range_##T(void *ctx, int64_t first, int64_t end)                                                  \
    {                                                                                                                  \
        const walk *w = ctx;                                                                                           \
        const T *dy = w->r->x[0].data, *x = w->r->x[1].data;                                                           \
        T *dx = w->r->y[0].data;                                                                                       \
        double *before = w->r->scratch;                                                                                \
        for (int64_t i = first; i < end; i++) {                                                                        \
            int64_t at = i / w->inner * w->n * w->inner + i % w->inner + w->start;                                     \
            double p = 1, s = 0;                                                                                       \
            for (int64_t k = 0; k < w->n; k++, at += w->step) {                                                        \
                before[at] = p;                                                                                        \
                p *= (double)x[at];                                                                                    \
            }                                                                                                          \
            for (int64_t k = w->n - 1; k >= 0; k--) {                                                                  \
                at -= w->step;                                                                                         \
                if (w->exclusive) { /* y[j] lacks x[j]: only later ones have x[k] */                                   \
                    dx[at] = (T)(before[at] * s);                                                                      \
                    s = (double)dy[at] + (double)x[at] * s;                                                            \
                } else {                                                                                               \
                    s = (double)dy[at] + s;                                                                            \
                    dx[at] = (T)(before[at] * s);                                                                      \
                    s *= (double)x[at];                                                                                \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static ot_status grad_##T(const ot_run *r)                                                                         \
    {                                                                                                                  \
        walk w;                                                                                                        \
        OT_TRY(walk_of(&w, r, 2, "CumProd"));                                                                          \
        for_lines(&w, grad_range_##T);                                                                                 \
        return OT_OK;                                                                                                  \
    }
GRAD(float)
GRAD(double)

static ot_status grad_prepare(ot_prep *p)
{
    int64_t n = 0;
    ot_count(&n, p->y[0]->rank, p->y[0]->dim);
    p->scratch = (size_t)n * sizeof(double);
    return OT_OK;
}

/* ---- Registration --------------------------------------------------------------------------------------------------
 */

static const char *ints_decline(const ot_prep *p)
{
    return ot_dtype_is_int(p->x[0]->dtype) ? NULL : "only for integers";
}

static const char *floats_decline(const ot_prep *p)
{
    return p->x[0]->dtype == OT_FLOAT ? NULL : "only for float32";
}

static const char *reals_decline(const ot_prep *p)
{
    return ot_dtype_is_float(p->x[0]->dtype) ? NULL : "only for floats";
}

static const ot_kernel cum_kernels[] = {
    { .name = "float", .declines = floats_decline, .run = float_run },
    { .name = "integers", .declines = ints_decline, .run = ints_run },
    { .name = "reference", .declines = reals_decline, .run = double_run, .in_double = true },
    { 0 },
};
static const ot_kernel grad_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .prepare = grad_prepare, .run = grad_float },
    { .name = "reference", .prepare = grad_prepare, .run = grad_double, .in_double = true },
    { 0 },
};

#define CUM(id, of_domain, first, last, inputs, rule, differentiate, kernels)                                          \
    const ot_op ot_op_##id = { .domain = of_domain,                                                                    \
                               .name = #id,                                                                            \
                               .since = first,                                                                         \
                               .until = last,                                                                          \
                               .min_in = inputs,                                                                       \
                               .max_in = inputs,                                                                       \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .infer = rule,                                                                          \
                               .grad = differentiate,                                                                  \
                               .cpu = kernels };

CUM(CumSum, "", 11, OT_LATEST, 2, cum_infer, sum_differentiate, cum_kernels)
CUM(CumProd, "", 26, OT_LATEST, 2, cum_infer, prod_differentiate, cum_kernels)
CUM(CumProdGrad, OT_INTERNAL, 1, 1, 3, grad_infer, NULL, grad_kernels)

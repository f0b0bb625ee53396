/* TopK: the k largest or smallest elements along an axis, best first, and their indices; of equals the first comes
 * first, NaN counts as larger than all numbers.  Always sorted.  k is an attribute in opset 1, an input since.
 * Backward keeps the indices: dy is added to zeros where the elements came from. */
#include "known.h"
#include "run.h"

#include <string.h>

static ot_status check_type(const ot_infer *c)
{
    ot_dtype t = c->x[0]->dtype;
    return ot_dtype_is_int(t) && ot_dtype_size(t) ? OT_OK : ot_needs_float(c, 0);
}

static ot_status topk_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_dim dim[OT_MAX_RANK], k;
    int axis;
    if (ot_open_rank(c, 0)) {
        if (c->n_out > 1)
            c->y[1].dtype = OT_INT64;
        return ot_open_like(c, 0);
    }
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(check_type(c));
    if (!ot_open_rank(c, 1))
        OT_TRY(ot_rank_between(c, 1, 0, 1));
    if (c->x[1]->dtype != OT_INT64)
        return ot_fail(OT_ESHAPE, "k is %s, wanted is int64", ot_dtype_name(c->x[1]->dtype));
    if (c->x[1]->rank == 1 && !ot_is_symbol(c->x[1]->dim[0]) && c->x[1]->dim[0] != 1)
        return ot_fail(OT_ESHAPE, "k has %lld elements", (long long)c->x[1]->dim[0]);
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", -1), x->rank));
    if (!ot_known_scalar(c, 1, &k))
        k = ot_dim_unknown(c);
    if (!ot_is_symbol(k) && (k < 0 || (!ot_is_symbol(x->dim[axis]) && k > x->dim[axis])))
        return ot_fail(OT_ESHAPE, "%lld elements of axis %d, which is %lld", (long long)k, axis,
                       ot_is_symbol(x->dim[axis]) ? -1LL : (long long)x->dim[axis]);
    memcpy(dim, x->dim, sizeof(dim));
    dim[axis] = k;
    ot_set_shape(&c->y[0], x->dtype, x->rank, dim);
    if (c->n_out > 1)
        ot_set_shape(&c->y[1], OT_INT64, x->rank, dim);
    return OT_OK;
}

typedef struct topk {
    const ot_run *r;
    int64_t n, k, inner; /* along the axis, wanted of them, behind the axis */
    bool least;
    int64_t *index; /* of the output, or scratch of the same size */
} topk;

/* A heap of the k best so far, the worst on top, in the places where the indices are wanted.  BETTER(a, b) of element
 * numbers a and b along the axis is a total order, so that the result is one whatever the steps. */
#define SELECT(name, BETTER, NEXT)                                                                                     \
    static void sift_##name(const topk *t, int64_t base, int64_t *heap, int64_t size, int64_t at, int64_t v)           \
    {                                                                                                                  \
        int64_t s = t->inner;                                                                                          \
        (void)base;                                                                                                    \
        for (int64_t child; (child = 2 * at + 1) < size; at = child) {                                                 \
            if (child + 1 < size && BETTER(heap[child * s], heap[(child + 1) * s]))                                    \
                child++;                                                                                               \
            if (!BETTER(v, heap[child * s]))                                                                           \
                break;                                                                                                 \
            heap[at * s] = heap[child * s];                                                                            \
        }                                                                                                              \
        heap[at * s] = v;                                                                                              \
    }                                                                                                                  \
    static void select_##name(void *ctx, int64_t first, int64_t end)                                                   \
    {                                                                                                                  \
        const topk *t = ctx;                                                                                           \
        int64_t s = t->inner, k = t->k;                                                                                \
        for (int64_t i = first; i < end && k > 0; i++) {                                                               \
            int64_t base = i / s * t->n * s + i % s, *heap = t->index + i / s * k * s + i % s;                         \
            for (int64_t j = 0; j < k; j++)                                                                            \
                heap[j * s] = j;                                                                                       \
            for (int64_t j = k / 2 - 1; j >= 0; j--)                                                                   \
                sift_##name(t, base, heap, k, j, heap[j * s]);                                                         \
            for (int64_t j = k; (j = NEXT(t, base, heap[0], j)) < t->n; j++)                                           \
                if (BETTER(j, heap[0]))                                                                                \
                    sift_##name(t, base, heap, k, 0, j);                                                               \
            for (int64_t j = k - 1; j > 0; j--) { /* the worst goes last */                                            \
                int64_t worst = heap[0], v = heap[j * s];                                                              \
                sift_##name(t, base, heap, j, 0, v);                                                                   \
                heap[j * s] = worst;                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }

/* Which is better; and the first element from j on that may be better than the worst so far, NaN among them. */
#define REAL(T)                                                                                                        \
    static bool better_##T(const topk *t, int64_t base, int64_t a, int64_t b)                                          \
    {                                                                                                                  \
        const T *x = t->r->x[0].data;                                                                                  \
        T v = x[base + a * t->inner], w = x[base + b * t->inner];                                                      \
        if (v == w || (v != v && w != w))                                                                              \
            return a < b;                                                                                              \
        bool above = v != v || v > w; /* w NaN: v > w is false */                                                      \
        return t->least ? !above : above;                                                                              \
    }                                                                                                                  \
    static int64_t next_##T(const topk *t, int64_t base, int64_t worst, int64_t j)                                     \
    {                                                                                                                  \
        const T *x = (const T *)t->r->x[0].data + base;                                                                \
        int64_t s = t->inner, n = t->n;                                                                                \
        T w = x[worst * s];                                                                                            \
        if (t->least)                                                                                                  \
            while (j < n && x[j * s] >= w)                                                                             \
                j++;                                                                                                   \
        else                                                                                                           \
            while (j < n && x[j * s] <= w)                                                                             \
                j++;                                                                                                   \
        return j;                                                                                                      \
    }
REAL(float)
REAL(double)

static bool better_int(const topk *t, int64_t base, int64_t a, int64_t b)
{
    const ot_tensor *x = &t->r->x[0];
    int64_t v = ot_tensor_get_int(x, base + a * t->inner), w = ot_tensor_get_int(x, base + b * t->inner);
    if (v == w)
        return a < b;
    bool above = x->dtype == OT_UINT64 ? (uint64_t)v > (uint64_t)w : v > w;
    return t->least ? !above : above;
}

static int64_t next_int(const topk *t, int64_t base, int64_t worst, int64_t j)
{
    (void)t, (void)base, (void)worst;
    return j;
}

#define BY_FLOAT(a, b)  better_float(t, base, a, b)
#define BY_DOUBLE(a, b) better_double(t, base, a, b)
#define BY_INT(a, b)    better_int(t, base, a, b)
SELECT(float, BY_FLOAT, next_float)
SELECT(double, BY_DOUBLE, next_double)
SELECT(ints, BY_INT, next_int)

static void fetch(void *ctx, int64_t first, int64_t end)
{
    const topk *t = ctx;
    size_t size = ot_dtype_size(t->r->y[0].dtype);
    int64_t group = t->k * t->inner;
    for (int64_t i = first; i < end; i++) {
        int64_t from = (i / group * t->n + t->index[i]) * t->inner + i % t->inner;
        memcpy((char *)t->r->y[0].data + (size_t)i * size, (const char *)t->r->x[0].data + (size_t)from * size, size);
    }
}

static ot_status run_by(const ot_run *r, ot_range_fn *select)
{
    const ot_tensor *x = &r->x[0];
    topk t = { .r = r, .least = ot_attr_int(r->node, "largest", 1) == 0, .inner = 1 };
    int axis;
    OT_TRY(ot_axis(&axis, ot_attr_int(r->node, "axis", -1), x->rank));
    t.n = x->dim[axis];
    t.k = ot_tensor_get_int(&r->x[1], 0);
    if (t.k != (ot_has_y(r, 0) ? r->y[0].dim[axis] : r->y[1].dim[axis]))
        return ot_fail(OT_ESHAPE, "k is %lld, which is not what was planned", (long long)t.k);
    for (int d = axis + 1; d < x->rank; d++)
        t.inner *= x->dim[d];
    t.index = ot_has_y(r, 1) ? r->y[1].data : r->scratch;
    int64_t lines = t.n ? ot_tensor_count(x) / t.n : 0;
    ot_for_ranges(r, lines, t.n < OT_GRAIN / 4 ? OT_GRAIN / 4 / (t.n + 1) + 1 : 1, select, &t);
    if (ot_has_y(r, 0))
        ot_for_ranges(r, lines * t.k, OT_GRAIN, fetch, &t);
    return OT_OK;
}

static ot_status prepare(ot_prep *p)
{
    int64_t n = 0;
    if (p->n_out > 1 && p->y[1])
        return OT_OK;
    ot_count(&n, p->y[0]->rank, p->y[0]->dim);
    p->scratch = (size_t)n * sizeof(int64_t);
    return OT_OK;
}

static ot_status run_float(const ot_run *r)
{
    return run_by(r, select_float);
}

static ot_status run_double(const ot_run *r)
{
    return run_by(r, select_double);
}

static ot_status run_ints(const ot_run *r)
{
    return run_by(r, select_ints);
}

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

static const ot_kernel topk_kernels[] = {
    { .name = "float", .declines = floats_decline, .prepare = prepare, .run = run_float },
    { .name = "integers", .declines = ints_decline, .prepare = prepare, .run = run_ints },
    { .name = "reference", .declines = reals_decline, .prepare = prepare, .run = run_double, .in_double = true },
    { 0 },
};

static void topk_differentiate(ot_build *b)
{
    int64_t axis = ot_attr_int(ot_the_node(b), "axis", -1);
    ot_val again[2] = { OT_NONE, ot_y(b, 1) };
    if (ot_dy(b, 0) == OT_NONE)
        return;
    if (again[1] == OT_NONE)
        ot_emit_outputs(b, "TopK", ot_the_node(b)->attr, 2, (const ot_val[]){ ot_x(b, 0), ot_x(b, 1) }, 2, again);
    ot_give(b, 0,
            OT_EMIT_WITH(b, "ScatterElements", OT_ATTRS(OT_INT("axis", axis), OT_TEXT("reduction", "add")),
                         OT_EMIT(b, "ZerosLike", ot_x(b, 0)), again[1], ot_dy(b, 0)));
}

static void topk_normalise(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const ot_attr *k = ot_attr_find(n, "k");
    ot_val out[2] = { OT_NONE, OT_NONE };
    if (n->opset >= 10 || n->n_out > 2)
        return;
    if (!k || k->type != OT_ATTR_INT)
        ot_build_fail(b, ot_fail(OT_EMODEL, "k is missing"));
    else
        ot_emit_outputs(b, "TopK", OT_ATTRS(OT_INT("axis", ot_attr_int(n, "axis", -1))), 2,
                        (const ot_val[]){ ot_x(b, 0), ot_const_ints(b, 1, &k->i) }, n->n_out, out);
    for (int i = 0; i < n->n_out; i++)
        ot_becomes(b, i, out[i]);
}

const ot_op ot_op_TopK = { .domain = "",
                           .name = "TopK",
                           .since = 1,
                           .until = OT_LATEST,
                           .min_in = 1,
                           .max_in = 2,
                           .min_out = 1,
                           .max_out = 2,
                           .normalise = topk_normalise,
                           .infer = topk_infer,
                           .grad = topk_differentiate,
                           .cpu = topk_kernels };

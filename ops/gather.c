/* Gather: y[.., i.., ..] = x[.., indices[i..], ..] along `axis`; negative indices count from the end.
 * GatherGrad: (dy, x, indices) -> zeros of x's shape with every dy added where it came from, in the order of the
 * indices. Backward reads the indices, of x only the shape. */
#include "run.h"

#include <string.h>

static ot_status gather_axis(int *axis, const ot_node *n, int rank)
{
    return ot_axis(axis, ot_attr_int(n, "axis", 0), rank);
}

static ot_status check_indices(const ot_infer *c, int i)
{
    OT_TRY(ot_rank_between(c, i, 0, OT_MAX_RANK));
    if (c->x[i]->dtype != OT_INT64 && c->x[i]->dtype != OT_INT32)
        return ot_fail(OT_ESHAPE, "the indices are %s, wanted is int64 or int32", ot_dtype_name(c->x[i]->dtype));
    return OT_OK;
}

static void gather_value(ot_infer *c)
{
    const ot_fact *x = c->x[0], *i = c->x[1];
    if (!x->value || !i->value || x->rank != 1 || i->rank > 1)
        return;
    ot_dim *v = ot_value_alloc(c, i->n_value);
    for (int k = 0; v && k < i->n_value; k++) {
        int64_t at = i->value[k] < 0 ? i->value[k] + x->n_value : i->value[k];
        if (at < 0 || at >= x->n_value)
            return; /* the run says so */
        v[k] = x->value[at];
    }
    c->y[0].value = v;
    c->y[0].n_value = v ? i->n_value : 0;
}

static ot_status gather_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0], *i = c->x[1];
    ot_dim dim[2 * OT_MAX_RANK];
    int axis, rank = 0;
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(check_indices(c, 1));
    OT_TRY(gather_axis(&axis, c->node, x->rank));
    if (x->rank - 1 + i->rank > OT_MAX_RANK)
        return ot_fail(OT_EUNSUPPORTED, "rank %d; the most is %d", x->rank - 1 + i->rank, OT_MAX_RANK);
    for (int d = 0; d < axis; d++)
        dim[rank++] = x->dim[d];
    for (int d = 0; d < i->rank; d++)
        dim[rank++] = i->dim[d];
    for (int d = axis + 1; d < x->rank; d++)
        dim[rank++] = x->dim[d];
    ot_set_shape(&c->y[0], x->dtype, rank, dim);
    gather_value(c);
    return OT_OK;
}

/* The sizes before, along and after the axis. */
typedef struct sizes {
    int64_t outer, n, inner, picks;
} sizes;

static ot_status sizes_of(sizes *s, const ot_run *r, const ot_tensor *whole, const ot_tensor *indices)
{
    int axis;
    OT_TRY(gather_axis(&axis, r->node, whole->rank));
    *s = (sizes){ 1, whole->dim[axis], 1, ot_tensor_count(indices) };
    for (int d = 0; d < axis; d++)
        s->outer *= whole->dim[d];
    for (int d = axis + 1; d < whole->rank; d++)
        s->inner *= whole->dim[d];
    for (int64_t k = 0; k < s->picks; k++) {
        int64_t i = ot_tensor_get_int(indices, k);
        if (i < -s->n || i >= s->n)
            return ot_fail(OT_ESHAPE, "index %lld is outside of axis %d, which is %lld", (long long)i, axis,
                           (long long)s->n);
    }
    return OT_OK;
}

static int64_t pick(const ot_tensor *indices, int64_t k, int64_t n)
{
    int64_t i = ot_tensor_get_int(indices, k);
    return i < 0 ? i + n : i;
}

typedef struct gathering {
    const ot_run *r;
    sizes s;
    int64_t bytes; /* of a block of `inner` elements */
} gathering;

static void gather_range(void *ctx, int64_t from, int64_t to)
{
    const gathering *g = ctx;
    const char *x = g->r->x[0].data;
    char *y = g->r->y[0].data;
    for (int64_t i = from; i < to; i++) {
        int64_t at = i / g->s.picks * g->s.n + pick(&g->r->x[1], i % g->s.picks, g->s.n);
        memcpy(y + i * g->bytes, x + at * g->bytes, (size_t)g->bytes);
    }
}

static ot_status gather_run(const ot_run *r)
{
    gathering g = { .r = r };
    OT_TRY(sizes_of(&g.s, r, &r->x[0], &r->x[1]));
    g.bytes = g.s.inner * (int64_t)ot_dtype_size(r->y[0].dtype);
    if (ot_tensor_count(&r->y[0]))
        ot_for_ranges(r, g.s.outer * g.s.picks, g.s.inner < OT_GRAIN ? OT_GRAIN / g.s.inner : 1, gather_range, &g);
    return OT_OK;
}

static void gather_differentiate(ot_build *b)
{
    int axis;
    ot_status st = gather_axis(&axis, ot_the_node(b), ot_fact_of(b, ot_x(b, 0))->rank);
    if (st != OT_OK)
        ot_build_fail(b, st);
    ot_give(b, 0, OT_EMIT_WITH(b, "GatherGrad", OT_ATTRS(OT_INT("axis", axis)), ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1)));
}

static const ot_kernel gather_kernels[] = {
    { .name = "blocks", .run = gather_run, .in_bytes = true },
    { 0 },
};

const ot_op ot_op_Gather = { .domain = "",
                             .name = "Gather",
                             .since = 1,
                             .until = OT_LATEST,
                             .min_in = 2,
                             .max_in = 2,
                             .min_out = 1,
                             .max_out = 1,
                             .infer = gather_infer,
                             .grad = gather_differentiate,
                             .cpu = gather_kernels };

/* ---- GatherGrad
 * ------------------------------------------------------------------------------------------------------ */

static ot_status grad_infer(ot_infer *c)
{
    int axis;
    OT_TRY(ot_rank_between(c, 1, 1, OT_MAX_RANK));
    OT_TRY(check_indices(c, 2));
    OT_TRY(gather_axis(&axis, c->node, c->x[1]->rank));
    return ot_like_shape(c);
}

#define COLUMNS 256 /* of a block: its own part of every row, so all sums have the order of the indices */

static void grad_block(void *ctx, int64_t from, int64_t to)
{
    const gathering *g = ctx;
    const sizes *s = &g->s;
    int64_t blocks = (s->inner + COLUMNS - 1) / COLUMNS;
    for (int64_t b = from; b < to; b++) {
        int64_t o = b / blocks, c0 = b % blocks * COLUMNS, n = s->inner - c0 < COLUMNS ? s->inner - c0 : COLUMNS;
        const float *dy = (const float *)g->r->x[0].data + o * s->picks * s->inner + c0;
        float *y = (float *)g->r->y[0].data + o * s->n * s->inner + c0;
        for (int64_t k = 0; k < s->picks; k++) {
            float *row = y + pick(&g->r->x[2], k, s->n) * s->inner;
            for (int64_t c = 0; c < n; c++)
                row[c] += dy[k * s->inner + c];
        }
    }
}

static ot_status grad_float(const ot_run *r)
{
    gathering g = { .r = r };
    OT_TRY(sizes_of(&g.s, r, &r->y[0], &r->x[2]));
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    if (ot_tensor_count(&r->x[0]))
        ot_for_ranges(r, g.s.outer * ((g.s.inner + COLUMNS - 1) / COLUMNS), 1, grad_block, &g);
    return OT_OK;
}

static ot_status grad_reference(const ot_run *r)
{
    sizes s;
    const double *dy = r->x[0].data;
    double *y = r->y[0].data;
    OT_TRY(sizes_of(&s, r, &r->y[0], &r->x[2]));
    memset(y, 0, ot_tensor_bytes(&r->y[0]));
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t k = 0; k < s.picks; k++)
            for (int64_t i = 0; i < s.inner; i++)
                y[(o * s.n + pick(&r->x[2], k, s.n)) * s.inner + i] += dy[(o * s.picks + k) * s.inner + i];
    return OT_OK;
}

static void grad_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "Gather", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 2)));
}

static const ot_kernel grad_kernels[] = {
    { .name = "columns", .declines = ot_float32_only, .run = grad_float },
    { .name = "reference", .run = grad_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_GatherGrad = { .domain = OT_INTERNAL,
                                 .name = "GatherGrad",
                                 .since = 1,
                                 .until = 1,
                                 .min_in = 3,
                                 .max_in = 3,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = grad_infer,
                                 .grad = grad_differentiate,
                                 .cpu = grad_kernels,
                                 .shape_only = 1u << 1 };

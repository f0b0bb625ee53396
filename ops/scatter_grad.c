/* ScatterGrad: (dy, updates, indices, data, values) -> the gradients of data and updates of a Scatter whose places are
 * told by `kind`; of `updates` only the shape is read; data and values, which are the data and the updates, are there
 * when the reduction multiplies or compares.
 *   none: the last update of a place gets dy, the data where there is none, all others 0.
 *   mul: each gets dy times the product of all others of its place (zeros are counted, not divided by).
 *   min, max: the elements that are the extremum share dy. */
#include "scatter.h"

#include <math.h>
#include <string.h>

static ot_status picks_of(ot_picks *p, const ot_run *r)
{
    const char *kind = ot_attr_text(r->node, "kind", "elements");
    const ot_tensor *dy = &r->x[0], *indices = ot_has_x(r, 2) ? &r->x[2] : NULL;
    int axis;
    if (kind[0] == 't')
        return ot_pick_tuples(p, dy, indices, 0);
    OT_TRY(ot_axis(&axis, ot_attr_int(r->node, "axis", 0), dy->rank));
    if (kind[0] == 'e')
        return ot_pick_elements(p, dy, indices, axis);
    return ot_pick_cache(p, dy, indices, axis, r->x[1].dim[axis], kind[1] == 'i');
}

static ot_status grad_infer(ot_infer *c)
{
    ot_combining how;
    OT_TRY(ot_combining_of(&how, c->node));
    OT_TRY(ot_needs_float(c, 0));
    for (int i = 0; i < 3; i++)
        if (i < 2 || (c->n_in > 2 && c->x[2]))
            OT_TRY(ot_rank_between(c, i, 0, OT_MAX_RANK));
    if (how != OT_PUT) {
        OT_TRY(ot_rank_between(c, 3, 1, OT_MAX_RANK));
        OT_TRY(ot_rank_between(c, 4, 0, OT_MAX_RANK));
    }
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[0]->rank, c->x[0]->dim);
    if (c->n_out > 1)
        ot_set_shape(&c->y[1], c->x[0]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

/* What is known of a place: the last update (1 + its number; 0: none), or the product of the elements that are not 0
 * and the number of those that are, or the extremum and the number of elements that equal it. */
typedef struct cell {
    double v;
    int64_t n;
} cell;

typedef struct giving {
    const ot_run *r;
    const ot_picks *p;
    ot_combining how;
    cell *cell;
} giving;

static void take(cell *s, ot_combining how, double v)
{
    switch (how) {
    case OT_TIMES:
        s->n += v == 0;
        s->v *= v == 0 ? 1 : v;
        break;
    default:
        if (v == s->v)
            s->n++;
        else if (how == OT_LEAST ? v < s->v : v > s->v)
            *s = (cell){ v, 1 };
        break;
    }
}

/* The part of dy that an element of this value gets. */
static double share(const cell *s, ot_combining how, double v)
{
    if (how != OT_TIMES)
        return v == s->v ? 1.0 / (double)s->n : 0;
    if (s->n - (v == 0) > 0)
        return 0;
    return v == 0 ? s->v : s->v / v;
}

#define GIVE(T)                                                                                                        \
    static void begin_##T(void *ctx, int64_t first, int64_t end)                                                       \
    {                                                                                                                  \
        const giving *g = ctx;                                                                                         \
        const T *data = g->how == OT_PUT ? NULL : g->r->x[3].data;                                                     \
        for (int64_t i = first; i < end; i++) {                                                                        \
            g->cell[i] = (cell){ g->how == OT_TIMES ? 1 : NAN, 0 };                                                    \
            if (data && g->how == OT_TIMES)                                                                            \
                take(&g->cell[i], g->how, data[i]);                                                                    \
            else if (data)                                                                                             \
                g->cell[i] = (cell){ data[i], 1 };                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    static void collect_##T(void *ctx, int64_t first, int64_t end)                                                     \
    {                                                                                                                  \
        const giving *g = ctx;                                                                                         \
        const T *values = g->how == OT_PUT ? NULL : g->r->x[4].data;                                                   \
        for (int64_t i = first; i < end; i++) {                                                                        \
            ot_pick_block b;                                                                                           \
            ot_pick_begin(&b, g->p, i);                                                                                \
            for (int64_t j = 0; j < g->p->n;) {                                                                        \
                int64_t k = (b.o * g->p->n + j) * g->p->inner + b.c0, n = ot_pick_next(&b, &j);                        \
                for (int64_t c = 0; c < n; c++)                                                                        \
                    if (values)                                                                                        \
                        take(&g->cell[b.at[c]], g->how, values[k + c]);                                                \
                    else                                                                                               \
                        g->cell[b.at[c]].n = 1 + k + c;                                                                \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void give_data_##T(void *ctx, int64_t first, int64_t end)                                                   \
    {                                                                                                                  \
        const giving *g = ctx;                                                                                         \
        const T *dy = g->r->x[0].data, *data = g->how == OT_PUT ? NULL : g->r->x[3].data;                              \
        T *dx = g->r->y[0].data;                                                                                       \
        for (int64_t i = first; i < end; i++)                                                                          \
            dx[i] = data ? (T)(dy[i] * share(&g->cell[i], g->how, data[i])) : g->cell[i].n ? 0 : dy[i];                \
    }                                                                                                                  \
    static void give_updates_##T(void *ctx, int64_t first, int64_t end)                                                \
    {                                                                                                                  \
        const giving *g = ctx;                                                                                         \
        const T *dy = g->r->x[0].data, *values = g->how == OT_PUT ? NULL : g->r->x[4].data;                            \
        T *du = g->r->y[1].data;                                                                                       \
        for (int64_t i = first; i < end; i++) {                                                                        \
            ot_pick_block b;                                                                                           \
            ot_pick_begin(&b, g->p, i);                                                                                \
            for (int64_t j = 0; j < g->p->n;) {                                                                        \
                int64_t k = (b.o * g->p->n + j) * g->p->inner + b.c0, n = ot_pick_next(&b, &j);                        \
                for (int64_t c = 0; c < n; c++) {                                                                      \
                    const cell *s = &g->cell[b.at[c]];                                                                 \
                    T d = dy[b.at[c]];                                                                                 \
                    du[k + c] = values ? (T)(d * share(s, g->how, values[k + c])) : s->n == 1 + k + c ? d : 0;         \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static ot_status grad_##T(const ot_run *r)                                                                         \
    {                                                                                                                  \
        ot_picks p;                                                                                                    \
        giving g = { .r = r, .p = &p, .cell = r->scratch };                                                            \
        int64_t cells = ot_tensor_count(&r->x[0]);                                                                     \
        OT_TRY(ot_combining_of(&g.how, r->node));                                                                      \
        OT_TRY(picks_of(&p, r));                                                                                       \
        int64_t blocks = ot_pick_blocks(&p), grain = ot_pick_grain(&p);                                                \
        ot_for_ranges(r, cells, OT_GRAIN, begin_##T, &g);                                                              \
        ot_for_ranges(r, blocks, grain, collect_##T, &g);                                                              \
        if (ot_has_y(r, 0))                                                                                            \
            ot_for_ranges(r, cells, OT_GRAIN, give_data_##T, &g);                                                      \
        if (ot_has_y(r, 1))                                                                                            \
            ot_for_ranges(r, blocks, grain, give_updates_##T, &g);                                                     \
        return OT_OK;                                                                                                  \
    }
GIVE(float)
GIVE(double)

static ot_status grad_prepare(ot_prep *p)
{
    int64_t n = 0;
    if (!ot_count(&n, p->x[0]->rank, p->x[0]->dim))
        return ot_fail(OT_ESHAPE, "%s is too large", OT_DIMS(p->x[0]->rank, p->x[0]->dim));
    p->scratch = (size_t)n * sizeof(cell);
    return OT_OK;
}

static const ot_kernel grad_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .prepare = grad_prepare, .run = grad_float },
    { .name = "reference", .prepare = grad_prepare, .run = grad_double, .in_double = true },
    { 0 },
};

const ot_op ot_op_ScatterGrad = { .domain = OT_INTERNAL,
                                  .name = "ScatterGrad",
                                  .since = 1,
                                  .until = 1,
                                  .min_in = 2,
                                  .max_in = 5,
                                  .min_out = 1,
                                  .max_out = 2,
                                  .infer = grad_infer,
                                  .cpu = grad_kernels,
                                  .shape_only = 1u << 1 };

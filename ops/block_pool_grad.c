/* The gradients of pooling over two spatial dimensions in blocks, with its attributes.
 *  BlockMaxPoolGrad: (dy, x) -> dx, each dy added at the first winner of its window.
 *  GlobalBlockAveragePoolGrad: (dy, x for its shape) -> dx, dy / size everywhere. */
#include "block.h"

#include <string.h>

static ot_status grad_infer(ot_infer *c)
{
    ot_fact x, y;
    ot_dim d;
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_rank_between(c, 0, 5, 5));
    OT_TRY(ot_rank_between(c, 1, 5, 5));
    OT_TRY(ot_unblocked_fact(c, 1, &x));
    OT_TRY(ot_pool_rule(c, &x, &y));
    y.dim[4] = OT_BLOCK;
    for (int i = 0; i < 5; i++)
        OT_TRY(ot_dims_agree(&d, y.dim[i], c->x[0]->dim[i], "dy and the output"));
    ot_set_shape(&c->y[0], c->x[0]->dtype, 5, c->x[1]->dim);
    return OT_OK;
}

static const char *declines(const ot_prep *p)
{
    ot_fact plain = *p->x[1];
    plain.rank = 4;
    return ot_pool_declines(p, &plain);
}

static ot_status prepare(ot_prep *p)
{
    ot_fact plain = *p->x[1];
    plain.rank = 4;
    return ot_pool_prepare(p, &plain);
}

static ot_status max_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_block_max_pool_backward(r->state, r->x[1].data, r->x[0].data, r->y[0].data, &pool);
    return OT_OK;
}

static ot_status global_fast(const ot_run *r)
{
    const ot_tensor *x = &r->x[1];
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_block_global_avg_pool_backward(x->dim[0] * x->dim[1], x->dim[2] * x->dim[3], r->x[0].data, r->y[0].data, &pool);
    return OT_OK;
}

/* ---- In double --------------------------------------------------------------------------------------------------- */

/* The place of the first winner of one lane of one window; -1: padding only. */
static int64_t winner(const ot_window *w, const double *x, const int64_t *o)
{
    int64_t best = -1;
    for (int64_t tap = 0, n = ot_window_size(w, w->kernel); tap < n; tap++) {
        int64_t t[OT_MAX_SPATIAL];
        ot_unravel(w->spatial, w->kernel, tap, t);
        int64_t at = ot_window_place(w, o, t);
        if (at < 0)
            continue;
        double e = x[at * OT_BLOCK], b = best < 0 ? 0 : x[best * OT_BLOCK];
        if (best < 0 || e > b || (e != e && b == b))
            best = at;
    }
    return best;
}

static ot_status max_reference(const ot_run *r)
{
    ot_pool_size s;
    ot_tensor plain = r->x[1];
    const double *dy = r->x[0].data, *x = plain.data;
    double *dx = r->y[0].data;
    plain.rank = 4;
    OT_TRY(ot_pool_read(&s, r->node, &plain));
    memset(dx, 0, ot_tensor_bytes(&r->y[0]));
    int64_t in = ot_window_size(&s.win, s.win.in), out = ot_window_size(&s.win, s.win.out);
    for (int64_t i = 0; i < s.planes * out * OT_BLOCK; i++) {
        int64_t o[OT_MAX_SPATIAL], from = i / OT_BLOCK / out * in * OT_BLOCK + i % OT_BLOCK;
        ot_unravel(s.win.spatial, s.win.out, i / OT_BLOCK % out, o);
        int64_t at = winner(&s.win, x + from, o);
        if (at >= 0)
            dx[from + at * OT_BLOCK] += dy[i];
    }
    return OT_OK;
}

static ot_status global_reference(const ot_run *r)
{
    const ot_tensor *x = &r->x[1];
    const double *dy = r->x[0].data;
    double *dx = r->y[0].data;
    int64_t size = x->dim[2] * x->dim[3];
    for (int64_t i = 0, n = ot_tensor_count(x); i < n; i++)
        dx[i] = dy[i / OT_BLOCK / size * OT_BLOCK + i % OT_BLOCK] / (double)size;
    return OT_OK;
}

#define POOL_GRAD(op_name, kernel, in_double_kernel, measured)                                                         \
    static const ot_kernel op_name##_kernels[] = {                                                                     \
        { .name = "lanes", .declines = declines, .prepare = prepare, .run = kernel },                                  \
        { .name = "reference", .run = in_double_kernel, .in_double = true },                                           \
        { 0 },                                                                                                         \
    };                                                                                                                 \
    const ot_op ot_op_##op_name = { .domain = OT_INTERNAL,                                                             \
                                    .name = #op_name,                                                                  \
                                    .since = 1,                                                                        \
                                    .until = 1,                                                                        \
                                    .min_in = 2,                                                                       \
                                    .max_in = 2,                                                                       \
                                    .min_out = 1,                                                                      \
                                    .max_out = 1,                                                                      \
                                    .infer = grad_infer,                                                               \
                                    .cpu = op_name##_kernels,                                                          \
                                    .shape_only = (measured) };

POOL_GRAD(BlockMaxPoolGrad, max_fast, max_reference, 0)
POOL_GRAD(GlobalBlockAveragePoolGrad, global_fast, global_reference, 1u << 1)

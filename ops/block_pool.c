/* BlockMaxPool, BlockAveragePool: MaxPool and AveragePool over two spatial dimensions in blocks;
 * GlobalBlockAveragePool: the mean of each plane, (N, blocks, 1, 1, 16).  Lanes do not meet, so a block of channels is
 * a plane. */
#include "block.h"

#include <math.h>
#include <string.h>

static ot_status pool_infer(ot_infer *c)
{
    ot_fact x, y;
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_rank_between(c, 0, 5, 5));
    OT_TRY(ot_unblocked_fact(c, 0, &x));
    OT_TRY(ot_pool_rule(c, &x, &y));
    y.dim[4] = OT_BLOCK;
    ot_set_shape(&c->y[0], y.dtype, 5, y.dim);
    return OT_OK;
}

static ot_fact plain_of(const ot_fact *x)
{
    ot_fact plain = *x;
    plain.rank = 4;
    return plain;
}

static const char *declines(const ot_prep *p)
{
    ot_fact plain = plain_of(p->x[0]);
    return ot_pool_declines(p, &plain);
}

static ot_status prepare(ot_prep *p)
{
    ot_fact plain = plain_of(p->x[0]);
    return ot_pool_prepare(p, &plain);
}

static ot_status max_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_block_max_pool(r->state, r->x[0].data, r->y[0].data, &pool);
    return OT_OK;
}

static ot_status average_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_block_avg_pool(r->state, r->x[0].data, r->y[0].data, &pool);
    return OT_OK;
}

static ot_status global_fast(const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_block_global_avg_pool(x->dim[0] * x->dim[1], x->dim[2] * x->dim[3], x->data, r->y[0].data, &pool);
    return OT_OK;
}

/* ---- In double --------------------------------------------------------------------------------------------------- */

/* One lane of one window. */
static double reduce(const ot_pool_size *s, const double *x, const int64_t *o, bool max)
{
    const ot_window *w = &s->win;
    double v = max ? -INFINITY : 0;
    const ot_inside in = ot_window_inside(w, o);
    for (int64_t k = 0, tap; k < in.taps; k++) {
        double e = x[ot_inside_place(w, o, &in, k, &tap) * OT_BLOCK];
        if (!max)
            v += e;
        else if (e > v || isnan(e))
            v = e;
    }
    return max ? v : v / ot_pool_divisor(s, o);
}

static ot_status reference(const ot_run *r)
{
    ot_pool_size s;
    ot_tensor plain = r->x[0];
    const double *x = plain.data;
    double *y = r->y[0].data;
    bool max = strcmp(r->node->op->name, "BlockMaxPool") == 0;
    plain.rank = 4;
    OT_TRY(ot_pool_read(&s, r->node, &plain));
    int64_t in = ot_window_size(&s.win, s.win.in), out = ot_window_size(&s.win, s.win.out);
    for (int64_t i = 0; i < s.planes * out * OT_BLOCK; i++) {
        int64_t o[OT_MAX_SPATIAL], plane = i / OT_BLOCK / out;
        ot_unravel(s.win.spatial, s.win.out, i / OT_BLOCK % out, o);
        y[i] = reduce(&s, x + plane * in * OT_BLOCK + i % OT_BLOCK, o, max);
    }
    return OT_OK;
}

#define POOL(op_name, kernel)                                                                                          \
    static const ot_kernel op_name##_kernels[] = {                                                                     \
        { .name = "lanes", .declines = declines, .prepare = prepare, .run = kernel },                                  \
        { .name = "reference", .run = reference, .in_double = true },                                                  \
        { 0 },                                                                                                         \
    };                                                                                                                 \
    const ot_op ot_op_##op_name = { .domain = OT_INTERNAL,                                                             \
                                    .name = #op_name,                                                                  \
                                    .since = 1,                                                                        \
                                    .until = 1,                                                                        \
                                    .min_in = 1,                                                                       \
                                    .max_in = 1,                                                                       \
                                    .min_out = 1,                                                                      \
                                    .max_out = 1,                                                                      \
                                    .infer = pool_infer,                                                               \
                                    .cpu = op_name##_kernels };

POOL(BlockMaxPool, max_fast)
POOL(BlockAveragePool, average_fast)
POOL(GlobalBlockAveragePool, global_fast)

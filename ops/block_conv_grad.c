/* The gradients of BlockConv without an epilogue, with its attributes; dy is in blocks, x plain or in blocks.
 *  BlockConvGradX: (dy, w, x for its shape) -> dx in blocks; strides are 1.
 *  BlockConvGradW: (dy, x, w for its shape) -> dw, and the sums of dy as the second output. */
#include "block.h"

#include <stdio.h>
#include <string.h>

typedef struct grad_state {
    ot_block_conv conv;
    ot_packed *packed;
} grad_state;

/* dy is input 0; x and w are at these places. */
static ot_status grad_infer(ot_infer *c, int at_x, int at_w)
{
    ot_fact x, y = { .rank = -1 };
    ot_dim d;
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_rank_between(c, 0, 5, 5));
    OT_TRY(ot_rank_between(c, at_x, 4, 5));
    OT_TRY(ot_rank_between(c, at_w, 4, 4));
    OT_TRY(ot_block_plain_x(c->x[at_x], c->x[at_w], ot_attr_int(c->node, "group", 1), &x));
    OT_TRY(ot_conv_rule(c, &x, c->x[at_w], &y));
    if (y.rank != 4 || c->x[0]->dtype != y.dtype || c->x[at_w]->dtype != y.dtype)
        return ot_fail(OT_ESHAPE, "dy is not of the output's rank and type");
    y.dim[1] = ot_dim_div(c, ot_dim_add(c, y.dim[1], OT_BLOCK - 1), OT_BLOCK);
    y.dim[4] = OT_BLOCK;
    for (int i = 0; i < 5; i++)
        OT_TRY(ot_dims_agree(&d, y.dim[i], c->x[0]->dim[i], "dy and the output"));
    return OT_OK;
}

static const char *any_empty(const ot_prep *p)
{
    for (int i = 0; i < 3; i++)
        for (int d = 0; d < p->x[i]->rank; d++)
            if (p->x[i]->dim[d] == 0)
                return "an empty tensor";
    return ot_float32_only(p);
}

/* ---- BlockConvGradX ---------------------------------------------------------------------------------------------- */

static ot_status grad_x_infer(ot_infer *c)
{
    ot_fact x;
    int n;
    OT_TRY(grad_infer(c, 2, 1));
    OT_TRY(ot_block_plain_x(c->x[2], c->x[1], ot_attr_int(c->node, "group", 1), &x));
    const int64_t *stride = ot_attr_ints(c->node, "strides", &n);
    for (int i = 0; i < n; i++)
        if (stride[i] != 1)
            return ot_fail(OT_EUNSUPPORTED, "a stride of %lld", (long long)stride[i]);
    const ot_dim dim[5] = { x.dim[0], ot_dim_div(c, ot_dim_add(c, x.dim[1], OT_BLOCK - 1), OT_BLOCK), x.dim[2],
                            x.dim[3], OT_BLOCK };
    ot_set_shape(&c->y[0], c->x[0]->dtype, 5, dim);
    return OT_OK;
}

/* As a convolution of dy. */
static ot_status turned(ot_block_conv *v, const ot_prep *p)
{
    OT_TRY(ot_block_conv_read(v, p->node, p->x[2], p->x[1]));
    ot_conv_shape *s = &v->shape;
    const ot_conv_shape from = *s;
    s->c = from.k;
    s->k = from.c;
    for (int d = 0; d < 2; d++) {
        s->in[d] = from.out[d];
        s->out[d] = from.in[d];
        s->pad[d] = (from.kernel[d] - 1) * from.dilation[d] - from.pad[d];
    }
    v->planar = false;
    v->turned = true;
    v->way = ot_block_conv_choose(s, false, false);
    return OT_OK;
}

static const char *grad_x_declines(const ot_prep *p)
{
    ot_block_conv v;
    const char *why = any_empty(p);
    if (why)
        return why;
    return turned(&v, p) == OT_OK ? ot_block_conv_declines(&v.shape, false) : "its shape";
}

static ot_status grad_x_prepare(ot_prep *p)
{
    char form[64];
    ot_status st = OT_OK;
    grad_state *s = p->state = ot_calloc(1, sizeof(*s));
    if (!s)
        return OT_ENOMEM;
    OT_TRY(turned(&s->conv, p));
    snprintf(form, sizeof(form), "turned %s %lld %d", ot_kernels_isa(), (long long)s->conv.shape.group,
             (int)s->conv.way);
    size_t bytes = ot_block_conv_packed_size(&s->conv);
    if (!ot_attr_int(p->node, "trains", 0))
        s->packed = ot_prep_packed(p, 1, form, bytes, &st);
    p->scratch = ot_block_conv_workspace(&s->conv, p->threads);
    if (!s->packed) /* the packed form lies behind the work space */
        p->scratch = (p->scratch + 63) / 64 * 64 + bytes;
    return st;
}

static ot_status grad_x_fast(const ot_run *r)
{
    const grad_state *s = r->state;
    const ot_kernel_pool pool = ot_pool_of(r);
    size_t work = (ot_block_conv_workspace(&s->conv, pool.threads) + 63) / 64 * 64;
    float *packed = s->packed ? s->packed->data : (void *)((char *)r->scratch + work);
    if (!s->packed || s->packed->version != r->version[1]) {
        ot_block_conv_pack(&s->conv, r->x[1].data, packed, &pool);
        if (s->packed)
            s->packed->version = r->version[1];
    }
    ot_block_conv_run(&s->conv, r->x[0].data, packed, r->y[0].data, NULL, r->scratch, &pool);
    return OT_OK;
}

/* ---- In double: fn for each pair of elements that a weight joins --------------------------------------------------
 */

/* Offsets of the weight, of the element of x and of dy. */
typedef void pair_fn(const ot_run *r, int64_t w, int64_t x, int64_t y);

static ot_status each_pair(const ot_run *r, int at_x, int at_w, pair_fn *fn)
{
    ot_block_conv v;
    ot_window win;
    OT_TRY(ot_block_conv_window(&v, &win, r->node, &r->x[at_x], &r->x[at_w]));
    const ot_conv_shape *s = &v.shape;
    int64_t cg = s->c / s->group, kg = s->k / s->group, taps = s->kernel[0] * s->kernel[1], at[2], t[2];
    int64_t size = s->in[0] * s->in[1], out = s->out[0] * s->out[1];
    int64_t cb = (s->c + OT_BLOCK - 1) / OT_BLOCK, kb = (s->k + OT_BLOCK - 1) / OT_BLOCK;
    for (int64_t i = 0; i < s->n * s->k * out * taps; i++) {
        int64_t tap = i % taps, o = i / taps % out, k = i / taps / out % s->k, n = i / taps / out / s->k;
        ot_unravel(2, s->out, o, at);
        ot_unravel(2, s->kernel, tap, t);
        int64_t place = ot_window_place(&win, at, t);
        for (int64_t j = 0; j < cg && place >= 0; j++) {
            int64_t c = k / kg * cg + j;
            fn(r, (k * cg + j) * taps + tap,
               v.planar ? (n * s->c + c) * size + place : ot_block_at(cb, size, n, c, place),
               ot_block_at(kb, out, n, k, o));
        }
    }
    return OT_OK;
}

static void add_to_x(const ot_run *r, int64_t w, int64_t x, int64_t y)
{
    ((double *)r->y[0].data)[x] += ((const double *)r->x[0].data)[y] * ((const double *)r->x[1].data)[w];
}

/* x only lends its shape: as the result it is in blocks. */
static ot_status grad_x_reference(const ot_run *r)
{
    ot_run blocked = *r;
    const ot_tensor x[3] = { r->x[0], r->x[1], r->y[0] };
    blocked.x = x;
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    return each_pair(&blocked, 2, 1, add_to_x);
}

/* ---- BlockConvGradW ---------------------------------------------------------------------------------------------- */

static ot_status grad_w_infer(ot_infer *c)
{
    OT_TRY(grad_infer(c, 1, 2));
    ot_set_shape(&c->y[0], c->x[0]->dtype, 4, c->x[2]->dim);
    if (c->n_out > 1)
        ot_set_shape(&c->y[1], c->x[0]->dtype, 1, c->x[2]->dim);
    return OT_OK;
}

static const char *grad_w_declines(const ot_prep *p)
{
    ot_block_conv v;
    const char *why = any_empty(p);
    if (why)
        return why;
    return ot_block_conv_read(&v, p->node, p->x[1], p->x[2]) == OT_OK ? ot_block_conv_declines(&v.shape, v.planar)
                                                                      : "its shape";
}

static ot_status grad_w_prepare(ot_prep *p)
{
    grad_state *s = p->state = ot_calloc(1, sizeof(*s));
    if (!s)
        return OT_ENOMEM;
    OT_TRY(ot_block_conv_read(&s->conv, p->node, p->x[1], p->x[2]));
    p->scratch = ot_block_weights_workspace(&s->conv, p->threads);
    return OT_OK;
}

static ot_status grad_w_fast(const ot_run *r)
{
    const grad_state *s = r->state;
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_block_weights(&s->conv, r->x[1].data, r->x[0].data, ot_has_y(r, 0) ? r->y[0].data : NULL,
                     ot_has_y(r, 1) ? r->y[1].data : NULL, r->scratch, &pool);
    return OT_OK;
}

static void add_to_w(const ot_run *r, int64_t w, int64_t x, int64_t y)
{
    ((double *)r->y[0].data)[w] += ((const double *)r->x[0].data)[y] * ((const double *)r->x[1].data)[x];
}

static ot_status grad_w_reference(const ot_run *r)
{
    const ot_tensor *dy = &r->x[0];
    const double *from = dy->data;
    int64_t channels = r->x[2].dim[0], size = dy->dim[2] * dy->dim[3];
    for (int64_t k = 0; ot_has_y(r, 1) && k < channels; k++) {
        double sum = 0;
        for (int64_t n = 0; n < dy->dim[0]; n++)
            for (int64_t i = 0; i < size; i++)
                sum += from[ot_block_at(dy->dim[1], size, n, k, i)];
        ((double *)r->y[1].data)[k] = sum;
    }
    if (!ot_has_y(r, 0))
        return OT_OK;
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    return each_pair(r, 1, 2, add_to_w);
}

/* dy and dx are in blocks: their lanes are channels and no places. */
static double grad_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y)
{
    ot_tensor places = x[0];
    (void)y;
    places.rank = 4;
    return ot_window_macs(&places, &x[strcmp(n->op->name, "BlockConvGradX") == 0 ? 1 : 2]);
}

static const ot_kernel grad_x_kernels[] = {
    { .name = "blocks", .declines = grad_x_declines, .prepare = grad_x_prepare, .run = grad_x_fast },
    { .name = "reference", .run = grad_x_reference, .in_double = true },
    { 0 },
};

static const ot_kernel grad_w_kernels[] = {
    { .name = "blocks", .declines = grad_w_declines, .prepare = grad_w_prepare, .run = grad_w_fast },
    { .name = "reference", .run = grad_w_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_BlockConvGradX = { .domain = OT_INTERNAL,
                                     .name = "BlockConvGradX",
                                     .since = 1,
                                     .until = 1,
                                     .min_in = 3,
                                     .max_in = 3,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = grad_x_infer,
                                     .cpu = grad_x_kernels,
                                     .shape_only = 1u << 2,
                                     .macs = grad_macs };

const ot_op ot_op_BlockConvGradW = { .domain = OT_INTERNAL,
                                     .name = "BlockConvGradW",
                                     .since = 1,
                                     .until = 1,
                                     .min_in = 3,
                                     .max_in = 3,
                                     .min_out = 1,
                                     .max_out = 2,
                                     .infer = grad_w_infer,
                                     .cpu = grad_w_kernels,
                                     .shape_only = 1u << 2,
                                     .macs = grad_macs };

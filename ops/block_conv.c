/* BlockConv: (X, W, B or absent, Z or absent) as ConvFused, with W of rank 4: y = activation(Conv(X, W, B) + Z).  X is
 * plain (rank 4) or in blocks (rank 5), y and Z are in blocks.  Attribute trains: W is another in each run, so that its
 * packed form is not kept. */
#include "block.h"
#include "conv_fused.h"

#include <stdio.h>
#include <string.h>

typedef struct block_state {
    ot_block_conv conv;
    ot_packed *packed;
    ot_epilogue epi;
} block_state;

ot_status ot_block_plain_x(const ot_fact *x, const ot_fact *w, int64_t group, ot_fact *out)
{
    *out = *x;
    if (x->rank != 5)
        return OT_OK;
    out->rank = 4;
    if (x->dim[4] != OT_BLOCK && !ot_is_symbol(x->dim[4]))
        return ot_fail(OT_ESHAPE, "X has %lld lanes, blocks have %d", (long long)x->dim[4], OT_BLOCK);
    if (group < 1 || group > INT32_MAX || w->dim[1] > INT32_MAX)
        return ot_fail(OT_EMODEL, "group is %lld, W takes %lld channels", (long long)group, (long long)w->dim[1]);
    if (ot_is_symbol(w->dim[1])) {
        out->dim[1] = w->dim[1];
        return OT_OK;
    }
    out->dim[1] = w->dim[1] * group;
    if (!ot_is_symbol(x->dim[1]) && x->dim[1] != (out->dim[1] + OT_BLOCK - 1) / OT_BLOCK)
        return ot_fail(OT_ESHAPE, "X has %lld blocks, W takes %lld channels", (long long)x->dim[1],
                       (long long)out->dim[1]);
    return OT_OK;
}

static ot_status block_conv_infer(ot_infer *c)
{
    ot_epilogue epi;
    ot_fact x, y;
    OT_TRY(ot_rank_between(c, 0, 4, 5));
    OT_TRY(ot_rank_between(c, 1, 4, 4));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_read_activation(c->node, &epi));
    OT_TRY(ot_block_plain_x(c->x[0], c->x[1], ot_attr_int(c->node, "group", 1), &x));
    OT_TRY(ot_conv_rule(c, &x, c->x[1], &y));
    if (c->n_in > 2 && c->x[2]) {
        OT_TRY(ot_rank_between(c, 2, 1, 1));
        OT_TRY(ot_dims_agree(&y.dim[1], y.dim[1], c->x[2]->dim[0], "output channels and the length of B"));
    }
    const ot_dim dim[5] = { y.dim[0], ot_dim_div(c, ot_dim_add(c, y.dim[1], OT_BLOCK - 1), OT_BLOCK), y.dim[2],
                            y.dim[3], OT_BLOCK };
    ot_set_shape(&c->y[0], y.dtype, 5, dim);
    if (c->n_in > 3 && c->x[3]) {
        OT_TRY(ot_rank_between(c, 3, 5, 5));
        for (int d = 0; d < 5; d++)
            OT_TRY(ot_dims_agree(&c->y[0].dim[d], dim[d], c->x[3]->dim[d], "the output and Z"));
    }
    return OT_OK;
}

ot_status ot_block_conv_read(ot_block_conv *v, const ot_node *n, const ot_fact *x, const ot_fact *w)
{
    ot_fact plain;
    ot_conv_size size;
    OT_TRY(ot_block_plain_x(x, w, ot_attr_int(n, "group", 1), &plain));
    OT_TRY(ot_conv_read(&size, n, &plain, w));
    *v = (ot_block_conv){ .shape = ot_conv_shape_of(&size), .planar = x->rank == 4 };
    return OT_OK;
}

static ot_fact fact_of(const ot_tensor *t)
{
    ot_fact f = { .kind = OT_TENSOR, .dtype = t->dtype, .rank = t->rank };
    memcpy(f.dim, t->dim, sizeof(f.dim));
    return f;
}

ot_status ot_block_conv_window(ot_block_conv *v, ot_window *win, const ot_node *n, const ot_tensor *x,
                               const ot_tensor *w)
{
    ot_fact fx = fact_of(x), fw = fact_of(w), plain;
    OT_TRY(ot_block_conv_read(v, n, &fx, &fw));
    OT_TRY(ot_block_plain_x(&fx, &fw, v->shape.group, &plain));
    OT_TRY(ot_window_read(win, n, &plain, fw.dim + 2));
    ot_window_settle(win);
    return OT_OK;
}

static const char *block_conv_declines(const ot_prep *p)
{
    ot_block_conv v;
    const char *why = ot_float32_only(p);
    for (int i = 0; i < 2 && !why; i++)
        for (int d = 0; d < p->x[i]->rank && !why; d++)
            why = p->x[i]->dim[d] == 0 ? "an empty tensor" : NULL;
    if (why)
        return why;
    return ot_block_conv_read(&v, p->node, p->x[0], p->x[1]) == OT_OK ? ot_block_conv_declines(&v.shape, v.planar)
                                                                      : "its shape";
}

static ot_status block_conv_prepare(ot_prep *p)
{
    char form[64];
    ot_status st;
    block_state *s = p->state = ot_calloc(1, sizeof(*s));
    if (!s)
        return OT_ENOMEM;
    OT_TRY(ot_block_conv_read(&s->conv, p->node, p->x[0], p->x[1]));
    OT_TRY(ot_read_activation(p->node, &s->epi));
    s->conv.way = ot_block_conv_choose(&s->conv.shape, s->conv.planar, p->lean);
    snprintf(form, sizeof(form), "block %s %lld %d %d", ot_kernels_isa(), (long long)s->conv.shape.group,
             (int)s->conv.way, s->conv.planar);
    size_t bytes = ot_block_conv_packed_size(&s->conv);
    st = OT_OK;
    if (!ot_attr_int(p->node, "trains", 0))
        s->packed = ot_prep_packed(p, 1, form, bytes, &st);
    p->scratch = ot_block_conv_workspace(&s->conv, p->threads);
    if (!s->packed) /* the packed form lies behind the work space */
        p->scratch = (p->scratch + 63) / 64 * 64 + bytes;
    return st;
}

static ot_status block_conv_fast(const ot_run *r)
{
    const block_state *s = r->state;
    const ot_kernel_pool pool = ot_pool_of(r);
    float *packed;
    if (s->packed) {
        packed = s->packed->data;
    } else {
        size_t work = ot_block_conv_workspace(&s->conv, pool.threads);
        packed = (float *)((char *)r->scratch + (work + 63) / 64 * 64);
    }
    if (!s->packed || s->packed->version != r->version[1]) {
        ot_block_conv_pack(&s->conv, r->x[1].data, packed, &pool);
        if (s->packed)
            s->packed->version = r->version[1];
    }
    ot_epilogue epi = s->epi;
    epi.bias = ot_has_x(r, 2) ? r->x[2].data : NULL;
    epi.residual = ot_has_x(r, 3) ? r->x[3].data : NULL;
    ot_block_conv_run(&s->conv, r->x[0].data, packed, r->y[0].data, &epi, r->scratch, &pool);
    return OT_OK;
}

/* ---- In double --------------------------------------------------------------------------------------------------- */

/* One output: image n, channel k, place o of the plane. */
static double convolve(const ot_run *r, const ot_block_conv *v, const ot_window *win, int64_t n, int64_t k, int64_t o)
{
    const ot_conv_shape *s = &v->shape;
    const double *x = r->x[0].data, *w = r->x[1].data;
    int64_t cg = s->c / s->group, kg = s->k / s->group, taps = s->kernel[0] * s->kernel[1];
    int64_t size = s->in[0] * s->in[1], at[2], t[2];
    double sum = 0;
    ot_unravel(2, s->out, o, at);
    for (int64_t tap = 0; tap < taps; tap++) {
        ot_unravel(2, s->kernel, tap, t);
        int64_t place = ot_window_place(win, at, t);
        for (int64_t i = 0; i < cg && place >= 0; i++) {
            int64_t c = k / kg * cg + i;
            int64_t from = v->planar ? (n * s->c + c) * size + place : ot_block_at(r->x[0].dim[1], size, n, c, place);
            sum += x[from] * w[(k * cg + i) * taps + tap];
        }
    }
    return sum;
}

static ot_status block_conv_reference(const ot_run *r)
{
    ot_block_conv v;
    ot_epilogue epi;
    ot_window win;
    const double *bias = ot_has_x(r, 2) ? r->x[2].data : NULL, *residual = ot_has_x(r, 3) ? r->x[3].data : NULL;
    double *y = r->y[0].data;
    OT_TRY(ot_block_conv_window(&v, &win, r->node, &r->x[0], &r->x[1]));
    OT_TRY(ot_read_activation(r->node, &epi));
    int64_t blocks = r->y[0].dim[1], size = v.shape.out[0] * v.shape.out[1];
    for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++) {
        int64_t k = i / OT_BLOCK / size % blocks * OT_BLOCK + i % OT_BLOCK;
        double sum = k < v.shape.k ? convolve(r, &v, &win, i / OT_BLOCK / size / blocks, k, i / OT_BLOCK % size) : 0;
        y[i] = ot_activate(&epi, sum + (bias && k < v.shape.k ? bias[k] : 0) + (residual ? residual[i] : 0));
    }
    return OT_OK;
}

/* y is in blocks: its lanes are channels and no places. */
static double block_conv_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y)
{
    ot_tensor places = y[0];
    (void)n;
    places.rank = 4;
    return ot_window_macs(&places, &x[1]);
}

static const ot_kernel block_conv_kernels[] = {
    { .name = "blocks", .declines = block_conv_declines, .prepare = block_conv_prepare, .run = block_conv_fast },
    { .name = "reference", .run = block_conv_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_BlockConv = { .domain = OT_INTERNAL,
                                .name = "BlockConv",
                                .since = 1,
                                .until = 1,
                                .min_in = 2,
                                .max_in = 4,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = block_conv_infer,
                                .cpu = block_conv_kernels,
                                .macs = block_conv_macs };

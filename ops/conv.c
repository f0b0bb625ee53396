/* Conv: y[n][k][o] = B[k] + sum over c of the group and taps t of x[n][c][o * stride - pad + t * dilation] w[k][c][t],
 * reading zeros outside of x.  Backward reads x for the gradient of W and w for that of X; y may be freed.
 *
 * ConvFused: (X, W, B or absent, Z or absent) with Conv's attributes and activation none|relu|clip (lo, hi):
 * y = activation(Conv(X, W, B) + Z).  Fusion makes it after differentiation, so it has no gradient. */
#include "conv_fused.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct conv_state {
    ot_conv_shape shape;
    ot_packed *packed; /* NULL: W changes with every run */
    ot_epilogue epi;
} conv_state;

ot_status ot_read_activation(const ot_node *n, ot_epilogue *epi)
{
    const char *act = ot_attr_text(n, "activation", "none");
    *epi = (ot_epilogue){ .act = OT_ACT_NONE };
    if (strcmp(act, "relu") == 0)
        epi->act = OT_ACT_RELU;
    else if (strcmp(act, "clip") == 0)
        epi->act = OT_ACT_CLIP;
    else if (strcmp(act, "none") != 0)
        return ot_fail(OT_EMODEL, "activation is '%s'", act);
    epi->lo = (float)ot_attr_float(n, "lo", -INFINITY);
    epi->hi = (float)ot_attr_float(n, "hi", INFINITY);
    return OT_OK;
}

static ot_status conv_infer(ot_infer *c)
{
    ot_epilogue epi;
    OT_TRY(ot_rank_between(c, 0, 3, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, 3, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_read_activation(c->node, &epi));
    ot_fact *y = &c->y[0];
    OT_TRY(ot_conv_rule(c, c->x[0], c->x[1], y));
    if (c->n_in > 2 && c->x[2]) {
        OT_TRY(ot_rank_between(c, 2, 1, 1));
        OT_TRY(ot_dims_agree(&y->dim[1], y->dim[1], c->x[2]->dim[0], "output channels and the length of B"));
    }
    if (c->n_in > 3 && c->x[3]) {
        OT_TRY(ot_rank_between(c, 3, y->rank, y->rank));
        for (int d = 0; d < y->rank; d++)
            OT_TRY(ot_dims_agree(&y->dim[d], y->dim[d], c->x[3]->dim[d], "the output and Z"));
    }
    for (int i = 2; i < c->n_in; i++)
        if (c->x[i] && c->x[i]->dtype != y->dtype)
            return ot_fail(OT_ESHAPE, "input %d is %s, X is %s", i, ot_dtype_name(c->x[i]->dtype),
                           ot_dtype_name(y->dtype));
    return OT_OK;
}

static const char *conv_declines(const ot_prep *p)
{
    return ot_conv_declines(p, p->x[0], p->x[1]);
}

static ot_status conv_prepare(ot_prep *p)
{
    ot_conv_size size;
    char form[64];
    ot_status st;
    conv_state *s = p->state = ot_calloc(1, sizeof(*s));
    if (!s)
        return OT_ENOMEM;
    OT_TRY(ot_conv_read(&size, p->node, p->x[0], p->x[1]));
    OT_TRY(ot_read_activation(p->node, &s->epi));
    s->shape = ot_conv_shape_of(&size);
    s->shape.way = p->constant[1] ? ot_conv_choose(&s->shape) : ot_conv_choose_once(&s->shape);
    snprintf(form, sizeof(form), "conv %s %lld %d", ot_kernels_isa(), (long long)size.group, (int)s->shape.way);
    s->packed = ot_prep_packed(p, 1, form, ot_conv_packed_size(&s->shape), &st);
    p->scratch = ot_conv_workspace(&s->shape, s->packed ? OT_CONV_FORWARD_PACKED : OT_CONV_FORWARD, p->threads);
    return st;
}

static ot_status conv_fast(const ot_run *r)
{
    const conv_state *s = r->state;
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_packed *packed = s->packed;
    if (packed && packed->version != r->version[1]) {
        ot_conv_pack_weights(&s->shape, r->x[1].data, packed->data, &pool);
        packed->version = r->version[1];
    }
    ot_epilogue epi = s->epi;
    epi.bias = ot_has_x(r, 2) ? r->x[2].data : NULL;
    epi.residual = ot_has_x(r, 3) ? r->x[3].data : NULL;
    ot_conv_forward(&s->shape, r->x[0].data, r->x[1].data, packed ? packed->data : NULL, r->y[0].data, &epi, r->scratch,
                    &pool);
    return OT_OK;
}

double ot_activate(const ot_epilogue *epi, double v)
{
    if (epi->act == OT_ACT_RELU)
        return v < 0 ? 0 : v;
    if (epi->act == OT_ACT_CLIP)
        return v < (double)epi->lo ? (double)epi->lo : v > (double)epi->hi ? (double)epi->hi : v;
    return v;
}

static ot_status conv_reference(const ot_run *r)
{
    ot_conv_size s;
    ot_epilogue epi;
    const double *bias = ot_has_x(r, 2) ? r->x[2].data : NULL, *residual = ot_has_x(r, 3) ? r->x[3].data : NULL;
    double *y = r->y[0].data;
    OT_TRY(ot_conv_read_run(&s, r->node, &r->x[0], &r->x[1]));
    OT_TRY(ot_read_activation(r->node, &epi));
    ot_conv_double(r, &s, r->x[0].data, r->x[1].data, y);
    const int64_t size = ot_window_size(&s.win, s.win.out);
    for (int64_t i = 0; i < s.n * s.k * size; i++) {
        double v = y[i] + (bias ? bias[i / size % s.k] : 0) + (residual ? residual[i] : 0);
        y[i] = ot_activate(&epi, v);
    }
    return OT_OK;
}

static void conv_differentiate(ot_build *b)
{
    const ot_attr *attr = ot_the_node(b)->attr;
    const ot_val dy = ot_dy(b, 0), x = ot_x(b, 0), w = ot_x(b, 1);
    ot_val dw[2];
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "ConvGradX", attr, dy, w, x));
    if (ot_wants(b, 1)) {
        int outputs = ot_wants(b, 2) ? 2 : 1;
        ot_emit_outputs(b, "ConvGradW", attr, 3, (const ot_val[]){ dy, x, w }, outputs, dw);
        ot_give(b, 1, dw[0]);
        if (outputs == 2)
            ot_give(b, 2, dw[1]);
    } else if (ot_wants(b, 2)) {
        ot_give(b, 2, OT_EMIT(b, "ConvGradB", dy));
    }
}

static const ot_kernel conv_kernels[] = {
    { .name = "float", .declines = conv_declines, .prepare = conv_prepare, .run = conv_fast },
    { .name = "reference", .run = conv_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_Conv = { .domain = "",
                           .name = "Conv",
                           .since = 1,
                           .until = OT_LATEST,
                           .min_in = 2,
                           .max_in = 3,
                           .min_out = 1,
                           .max_out = 1,
                           .infer = conv_infer,
                           .grad = conv_differentiate,
                           .cpu = conv_kernels,
                           .macs = ot_conv_macs };

const ot_op ot_op_ConvFused = { .domain = OT_INTERNAL,
                                .name = "ConvFused",
                                .since = 1,
                                .until = 1,
                                .min_in = 2,
                                .max_in = 4,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = conv_infer,
                                .cpu = conv_kernels,
                                .macs = ot_conv_macs };

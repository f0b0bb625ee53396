/* The gradients of Conv, with its attributes.  All are linear in dy, and so are differentiated by Conv and each other.
 *  ConvGradX: (dy, w, x for its shape) -> dx[n][c][i] = sum of dy[n][k][o] w[k][c][t] where o and t meet at i.
 *  ConvGradW: (dy, x, w for its shape) -> dw[k][c][t] = sum of dy[n][k][o] x[n][c][i], and db as the second output.
 *  ConvGradB: (dy) -> db[k] = the sum of dy over all but k. */
#include "conv_shape.h"
#include "kernels/rows.h"

#include <string.h>

/* dy is input 0; x and w are at these places. */
static ot_status grad_infer(ot_infer *c, int at_x, int at_w)
{
    ot_fact y = { .rank = -1 };
    for (int i = 0; i < 3; i++)
        OT_TRY(ot_rank_between(c, i, 3, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_conv_rule(c, c->x[at_x], c->x[at_w], &y));
    if (c->x[0]->rank != y.rank || c->x[0]->dtype != y.dtype)
        return ot_fail(OT_ESHAPE, "dy is not of the output's rank and type");
    for (int d = 0; d < y.rank; d++)
        OT_TRY(ot_dims_agree(&y.dim[d], y.dim[d], c->x[0]->dim[d], "dy and the output"));
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[2]->rank, c->x[2]->dim);
    return OT_OK;
}

typedef struct grad_state {
    ot_conv_shape shape;
} grad_state;

static ot_status grad_prepare(ot_prep *p, int at_x, int at_w, ot_conv_pass pass)
{
    ot_conv_size size;
    grad_state *s = p->state = ot_calloc(1, sizeof(*s));
    if (!s)
        return OT_ENOMEM;
    OT_TRY(ot_conv_read(&size, p->node, p->x[at_x], p->x[at_w]));
    s->shape = ot_conv_shape_of(&size);
    s->shape.way = ot_conv_choose_once(&s->shape);
    p->scratch = ot_conv_workspace(&s->shape, pass, p->threads);
    return OT_OK;
}

/* ---- ConvGradX ------------------------------------------------------------------------------------------------- */

static ot_status grad_x_infer(ot_infer *c)
{
    return grad_infer(c, 2, 1);
}

static const char *grad_x_declines(const ot_prep *p)
{
    return ot_conv_declines(p, p->x[2], p->x[1]);
}

static ot_status grad_x_prepare(ot_prep *p)
{
    return grad_prepare(p, 2, 1, OT_CONV_BACKWARD_DATA);
}

static ot_status grad_x_fast(const ot_run *r)
{
    const grad_state *s = r->state;
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_conv_backward_data(&s->shape, r->x[0].data, r->x[1].data, r->y[0].data, NULL, r->scratch, &pool);
    return OT_OK;
}

static ot_status grad_x_reference(const ot_run *r)
{
    ot_conv_size s;
    OT_TRY(ot_conv_read_run(&s, r->node, &r->x[2], &r->x[1]));
    ot_conv_data_double(r, &s, r->x[0].data, r->x[1].data, r->y[0].data);
    return OT_OK;
}

static void grad_x_differentiate(ot_build *b)
{
    const ot_attr *attr = ot_the_node(b)->attr;
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "Conv", attr, ot_dy(b, 0), ot_x(b, 1)));
    if (ot_wants(b, 1))
        ot_give(b, 1, OT_EMIT_WITH(b, "ConvGradW", attr, ot_x(b, 0), ot_dy(b, 0), ot_x(b, 1)));
}

/* ---- ConvGradW ------------------------------------------------------------------------------------------------- */

static ot_status grad_w_infer(ot_infer *c)
{
    OT_TRY(grad_infer(c, 1, 2));
    if (c->n_out > 1)
        ot_set_shape(&c->y[1], c->x[0]->dtype, 1, c->x[2]->dim);
    return OT_OK;
}

static const char *grad_w_declines(const ot_prep *p)
{
    return ot_conv_declines(p, p->x[1], p->x[2]);
}

static ot_status grad_w_prepare(ot_prep *p)
{
    return grad_prepare(p, 1, 2, OT_CONV_BACKWARD_WEIGHTS);
}

static ot_status grad_w_fast(const ot_run *r)
{
    const grad_state *s = r->state;
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_conv_backward_weights(&s->shape, r->x[1].data, r->x[0].data, ot_has_y(r, 0) ? r->y[0].data : NULL,
                             ot_has_y(r, 1) ? r->y[1].data : NULL, r->scratch, &pool);
    return OT_OK;
}

static void sum_channels(const double *dy, int64_t n, int64_t k, int64_t size, double *db)
{
    for (int64_t c = 0; c < k; c++) {
        db[c] = 0;
        for (int64_t p = 0; p < n; p++)
            for (int64_t i = 0; i < size; i++)
                db[c] += dy[(p * k + c) * size + i];
    }
}

static ot_status grad_w_reference(const ot_run *r)
{
    ot_conv_size s;
    OT_TRY(ot_conv_read_run(&s, r->node, &r->x[1], &r->x[2]));
    if (ot_has_y(r, 0))
        ot_conv_weights_double(r, &s, r->x[0].data, r->x[1].data, r->y[0].data);
    if (ot_has_y(r, 1))
        sum_channels(r->x[0].data, s.n, s.k, ot_window_size(&s.win, s.win.out), r->y[1].data);
    return OT_OK;
}

static void grad_w_differentiate(ot_build *b)
{
    const ot_attr *attr = ot_the_node(b)->attr;
    if (ot_dy(b, 0) == OT_NONE) {
        ot_build_fail(b, ot_fail(OT_ENOGRAD, "only through the gradient of W"));
        return;
    }
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "Conv", attr, ot_x(b, 1), ot_dy(b, 0), ot_dy(b, 1)));
    if (ot_wants(b, 1))
        ot_give(b, 1, OT_EMIT_WITH(b, "ConvGradX", attr, ot_x(b, 0), ot_dy(b, 0), ot_x(b, 1)));
}

/* ---- ConvGradB ------------------------------------------------------------------------------------------------- */

static ot_status grad_b_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 2, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    ot_set_shape(&c->y[0], c->x[0]->dtype, 1, &c->x[0]->dim[1]);
    return OT_OK;
}

static void grad_b_channels(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const ot_tensor *dy = &r->x[0];
    int64_t size = ot_tensor_count(dy) / (dy->dim[0] * dy->dim[1]);
    for (int64_t k = from; k < to; k++) {
        double sum = 0;
        for (int64_t n = 0; n < dy->dim[0]; n++)
            sum += ot_row_sum(size, (const float *)dy->data + (n * dy->dim[1] + k) * size);
        ((float *)r->y[0].data)[k] = (float)sum;
    }
}

static ot_status grad_b_fast(const ot_run *r)
{
    if (ot_tensor_count(&r->x[0]) == 0)
        memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    else
        ot_for_ranges(r, r->y[0].dim[0], 1, grad_b_channels, (void *)r);
    return OT_OK;
}

static ot_status grad_b_reference(const ot_run *r)
{
    const ot_tensor *dy = &r->x[0];
    int64_t rows = dy->dim[0] * dy->dim[1];
    sum_channels(dy->data, dy->dim[0], dy->dim[1], rows ? ot_tensor_count(dy) / rows : 0, r->y[0].data);
    return OT_OK;
}

static double grad_x_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y)
{
    (void)n, (void)y;
    return ot_window_macs(&x[0], &x[1]);
}

static double grad_w_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y)
{
    (void)n, (void)y;
    return ot_window_macs(&x[0], &x[2]);
}

static const ot_kernel grad_x_kernels[] = {
    { .name = "float", .declines = grad_x_declines, .prepare = grad_x_prepare, .run = grad_x_fast },
    { .name = "reference", .run = grad_x_reference, .in_double = true },
    { 0 },
};

static const ot_kernel grad_w_kernels[] = {
    { .name = "float", .declines = grad_w_declines, .prepare = grad_w_prepare, .run = grad_w_fast },
    { .name = "reference", .run = grad_w_reference, .in_double = true },
    { 0 },
};

static const ot_kernel grad_b_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .run = grad_b_fast },
    { .name = "reference", .run = grad_b_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_ConvGradX = { .domain = OT_INTERNAL,
                                .name = "ConvGradX",
                                .since = 1,
                                .until = 1,
                                .min_in = 3,
                                .max_in = 3,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = grad_x_infer,
                                .grad = grad_x_differentiate,
                                .cpu = grad_x_kernels,
                                .shape_only = 1u << 2,
                                .macs = grad_x_macs };

const ot_op ot_op_ConvGradW = { .domain = OT_INTERNAL,
                                .name = "ConvGradW",
                                .since = 1,
                                .until = 1,
                                .min_in = 3,
                                .max_in = 3,
                                .min_out = 1,
                                .max_out = 2,
                                .infer = grad_w_infer,
                                .grad = grad_w_differentiate,
                                .cpu = grad_w_kernels,
                                .shape_only = 1u << 2,
                                .macs = grad_w_macs };

const ot_op ot_op_ConvGradB = { .domain = OT_INTERNAL,
                                .name = "ConvGradB",
                                .since = 1,
                                .until = 1,
                                .min_in = 1,
                                .max_in = 1,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = grad_b_infer,
                                .cpu = grad_b_kernels };

/* ConvTranspose: the gradient of a convolution for its input, used forward.  X is [N, C, in...], W [C, M / group, ...],
 * y[n][m] gets X[n][c][i] W[c][m][t] added at i * stride - pad + t * dilation.  Seen as the convolution that it is the
 * adjoint of, y is the input with M channels, X the output with C, and W has that convolution's order.
 *
 * ConvTransposeGradX: (dy, W, X for its shape) -> dX.  ConvTransposeGradW: (dy, X, W for its shape) -> dW.  The
 * gradient of B is ConvGradB. */
#include "conv_shape.h"

#include <string.h>

#define MAX_IN ((ot_dim)1 << 31) /* keeps every sum inside 63 bits */

/* output_padding or output_shape: `spatial` numbers; false where the attribute is absent. */
static ot_status read_sizes(const ot_node *n, const char *name, int spatial, int64_t *out, bool *there)
{
    int count;
    const int64_t *v = ot_attr_ints(n, name, &count);
    *there = count > 0;
    if (count == spatial + 2 && strcmp(name, "output_shape") == 0) { /* some exporters write N and C too */
        v += 2;
        count -= 2;
    }
    if (*there && count != spatial)
        return ot_fail(OT_EMODEL, "%s has %d entries, wanted are %d", name, count, spatial);
    for (int d = 0; d < spatial; d++) {
        out[d] = *there ? v[d] : 0;
        if (out[d] < 0 || out[d] > MAX_IN)
            return ot_fail(OT_EMODEL, "%s[%d] is %lld", name, d, (long long)out[d]);
    }
    return OT_OK;
}

/* The window with out = the dims of X; in, that of y, is filled in with arithmetic on dimensions where c is given, else
 * all are numbers. */
static ot_status read_window(ot_infer *c, const ot_node *n, const ot_fact *x, const ot_dim *kernel, ot_window *w)
{
    int64_t extra[OT_MAX_SPATIAL], given[OT_MAX_SPATIAL];
    bool has_extra, has_shape;
    OT_TRY(ot_window_read(w, n, x, kernel));
    OT_TRY(read_sizes(n, "output_padding", w->spatial, extra, &has_extra));
    OT_TRY(read_sizes(n, "output_shape", w->spatial, given, &has_shape));
    memcpy(w->out, w->in, sizeof(w->out));
    for (int d = 0; d < w->spatial; d++) {
        const bool same = w->auto_pad == OT_PAD_SAME_UPPER || w->auto_pad == OT_PAD_SAME_LOWER;
        const ot_dim x_dim = w->out[d];
        if (ot_is_symbol(x_dim) || ot_is_symbol(w->kernel[d])) {
            w->in[d] = has_shape ? given[d] : ot_dim_unknown(c);
            if (!has_shape && same)
                w->in[d] = ot_dim_mul(c, x_dim, w->stride[d]);
            else if (!has_shape && !ot_is_symbol(w->kernel[d]))
                w->in[d] = ot_dim_add(c, ot_dim_mul(c, ot_dim_sub(c, x_dim, 1), w->stride[d]),
                                      extra[d] + (w->kernel[d] - 1) * w->dilation[d] + 1 - w->pad[d] - w->pad_end[d]);
            continue;
        }
        if (x_dim > MAX_IN)
            return ot_fail(OT_ESHAPE, "dimension %d is %lld", d + 2, (long long)x_dim);
        const int64_t whole = (x_dim - 1) * w->stride[d] + extra[d] + (w->kernel[d] - 1) * w->dilation[d] + 1;
        if (has_shape || same) {
            w->in[d] = has_shape ? given[d] : x_dim * w->stride[d];
            const int64_t total = whole - w->in[d];
            w->pad[d] = total < 0 ? 0 : w->auto_pad == OT_PAD_SAME_UPPER ? total / 2 : total - total / 2;
            w->pad_end[d] = total - w->pad[d];
        } else {
            w->in[d] = whole - w->pad[d] - w->pad_end[d];
        }
        if (w->in[d] < 0)
            return ot_fail(OT_ESHAPE, "the padding takes more than there is of dimension %d", d + 2);
    }
    return OT_OK;
}

/* y of x and w. */
static ot_status transpose_rule(ot_infer *c, const ot_fact *x, const ot_fact *w, ot_fact *y)
{
    ot_window win;
    const int64_t group = ot_attr_int(c->node, "group", 1);
    ot_dim channels;
    if (w->rank != x->rank)
        return ot_fail(OT_ESHAPE, "X has rank %d and W %d", x->rank, w->rank);
    if (x->dtype != w->dtype)
        return ot_fail(OT_ESHAPE, "X is %s, W is %s", ot_dtype_name(x->dtype), ot_dtype_name(w->dtype));
    OT_TRY(ot_dims_agree(&channels, x->dim[1], w->dim[0], "channels of X and W"));
    if (group < 1 || group > MAX_IN || (!ot_is_symbol(channels) && channels % group != 0))
        return ot_fail(OT_ESHAPE, "%lld channels are not %lld equal groups", (long long)channels, (long long)group);
    OT_TRY(read_window(c, c->node, x, w->dim + 2, &win));
    ot_dim dim[OT_MAX_RANK] = { x->dim[0], ot_dim_mul(c, w->dim[1], group) };
    memcpy(dim + 2, win.in, (size_t)win.spatial * sizeof(*dim));
    ot_set_shape(y, x->dtype, x->rank, dim);
    return OT_OK;
}

static ot_status transpose_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 3, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, 3, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(transpose_rule(c, c->x[0], c->x[1], &c->y[0]));
    if (c->n_in > 2 && c->x[2]) {
        OT_TRY(ot_rank_between(c, 2, 1, 1));
        OT_TRY(ot_dims_agree(&c->y[0].dim[1], c->y[0].dim[1], c->x[2]->dim[0], "output channels and the length of B"));
        if (c->x[2]->dtype != c->x[0]->dtype)
            return ot_fail(OT_ESHAPE, "B is %s", ot_dtype_name(c->x[2]->dtype));
    }
    return OT_OK;
}

/* dy is input 0, X and W are at these places, the output has the shape of input 2. */
static ot_status grad_infer(ot_infer *c, int at_x, int at_w)
{
    ot_fact y = { .rank = -1 };
    for (int i = 0; i < 3; i++)
        OT_TRY(ot_rank_between(c, i, 3, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(transpose_rule(c, c->x[at_x], c->x[at_w], &y));
    if (c->x[0]->rank != y.rank || c->x[0]->dtype != y.dtype)
        return ot_fail(OT_ESHAPE, "dy is not of the output's rank and type");
    for (int d = 0; d < y.rank; d++)
        OT_TRY(ot_dims_agree(&y.dim[d], y.dim[d], c->x[0]->dim[d], "dy and the output"));
    ot_set_shape(&c->y[0], y.dtype, c->x[2]->rank, c->x[2]->dim);
    return OT_OK;
}

static ot_status grad_x_infer(ot_infer *c)
{
    return grad_infer(c, 2, 1);
}

static ot_status grad_w_infer(ot_infer *c)
{
    return grad_infer(c, 1, 2);
}

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

/* Where X and W are among the inputs of a node of this file. */
static int x_of(const ot_node *n)
{
    const char *name = n->op->name;
    return strcmp(name, "ConvTransposeGradX") == 0 ? 2 : strcmp(name, "ConvTransposeGradW") == 0 ? 1 : 0;
}

static int w_of(const ot_node *n)
{
    return strcmp(n->op->name, "ConvTransposeGradW") == 0 ? 2 : 1;
}

static ot_status read_size(ot_conv_size *s, const ot_node *n, const ot_fact *x, const ot_fact *w)
{
    OT_TRY(read_window(NULL, n, x, w->dim + 2, &s->win));
    s->group = ot_attr_int(n, "group", 1);
    s->n = x->dim[0];
    s->k = x->dim[1];
    s->c = w->dim[1] * s->group;
    return OT_OK;
}

static ot_status read_size_of_run(ot_conv_size *s, const ot_run *r)
{
    const ot_tensor *x = &r->x[x_of(r->node)], *w = &r->x[w_of(r->node)];
    ot_fact fx = { .dtype = x->dtype, .rank = x->rank }, fw = { .dtype = w->dtype, .rank = w->rank };
    memcpy(fx.dim, x->dim, sizeof(fx.dim));
    memcpy(fw.dim, w->dim, sizeof(fw.dim));
    return read_size(s, r->node, &fx, &fw);
}

static const char *declines(const ot_prep *p)
{
    ot_conv_size s;
    const char *why = ot_conv_types_decline(p, p->x[x_of(p->node)], p->x[w_of(p->node)]);
    if (why)
        return why;
    if (read_size(&s, p->node, p->x[x_of(p->node)], p->x[w_of(p->node)]) != OT_OK)
        return "its attributes";
    return ot_window_size(&s.win, s.win.in) == 0 ? "an empty tensor" : ot_window_declines(&s.win);
}

static ot_status prepare(ot_prep *p, ot_conv_pass pass)
{
    ot_conv_size size;
    ot_conv_shape *s = p->state = ot_calloc(1, sizeof(*s));
    if (!s)
        return OT_ENOMEM;
    OT_TRY(read_size(&size, p->node, p->x[x_of(p->node)], p->x[w_of(p->node)]));
    *s = ot_conv_shape_of(&size);
    p->scratch = ot_conv_workspace(s, pass, p->threads);
    return OT_OK;
}

static ot_status transpose_prepare(ot_prep *p)
{
    return prepare(p, OT_CONV_BACKWARD_DATA);
}

static ot_status grad_x_prepare(ot_prep *p)
{
    return prepare(p, OT_CONV_FORWARD);
}

static ot_status grad_w_prepare(ot_prep *p)
{
    return prepare(p, OT_CONV_BACKWARD_WEIGHTS);
}

static ot_status transpose_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    const ot_epilogue epi = { .bias = ot_has_x(r, 2) ? r->x[2].data : NULL };
    ot_conv_backward_data(r->state, r->x[0].data, r->x[1].data, r->y[0].data, &epi, r->scratch, &pool);
    return OT_OK;
}

static ot_status grad_x_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    const ot_epilogue epi = { .act = OT_ACT_NONE };
    ot_conv_forward(r->state, r->x[0].data, r->x[1].data, NULL, r->y[0].data, &epi, r->scratch, &pool);
    return OT_OK;
}

static ot_status grad_w_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_conv_backward_weights(r->state, r->x[0].data, r->x[1].data, r->y[0].data, NULL, r->scratch, &pool);
    return OT_OK;
}

static ot_status transpose_reference(const ot_run *r)
{
    ot_conv_size s;
    double *y = r->y[0].data;
    OT_TRY(read_size_of_run(&s, r));
    ot_conv_data_double(r, &s, r->x[0].data, r->x[1].data, y);
    const int64_t size = ot_window_size(&s.win, s.win.in);
    for (int64_t i = 0; i < s.n * s.c * size && ot_has_x(r, 2); i++)
        y[i] += ((const double *)r->x[2].data)[i / size % s.c];
    return OT_OK;
}

static ot_status grad_x_reference(const ot_run *r)
{
    ot_conv_size s;
    OT_TRY(read_size_of_run(&s, r));
    ot_conv_double(r, &s, r->x[0].data, r->x[1].data, r->y[0].data);
    return OT_OK;
}

static ot_status grad_w_reference(const ot_run *r)
{
    ot_conv_size s;
    OT_TRY(read_size_of_run(&s, r));
    ot_conv_weights_double(r, &s, r->x[1].data, r->x[0].data, r->y[0].data);
    return OT_OK;
}

static void transpose_differentiate(ot_build *b)
{
    const ot_attr *attr = ot_the_node(b)->attr;
    const ot_val dy = ot_dy(b, 0), x = ot_x(b, 0), w = ot_x(b, 1);
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "ConvTransposeGradX", attr, dy, w, x));
    if (ot_wants(b, 1))
        ot_give(b, 1, OT_EMIT_WITH(b, "ConvTransposeGradW", attr, dy, x, w));
    if (ot_wants(b, 2))
        ot_give(b, 2, OT_EMIT(b, "ConvGradB", dy));
}

static double transpose_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y)
{
    (void)n, (void)y;
    return ot_window_macs(&x[0], &x[1]);
}

static double grad_x_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y)
{
    (void)n;
    return ot_window_macs(&y[0], &x[1]);
}

static double grad_w_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y)
{
    (void)n, (void)y;
    return ot_window_macs(&x[1], &x[2]);
}

static const ot_kernel transpose_kernels[] = {
    { .name = "float", .declines = declines, .prepare = transpose_prepare, .run = transpose_fast },
    { .name = "reference", .run = transpose_reference, .in_double = true },
    { 0 },
};

static const ot_kernel grad_x_kernels[] = {
    { .name = "float", .declines = declines, .prepare = grad_x_prepare, .run = grad_x_fast },
    { .name = "reference", .run = grad_x_reference, .in_double = true },
    { 0 },
};

static const ot_kernel grad_w_kernels[] = {
    { .name = "float", .declines = declines, .prepare = grad_w_prepare, .run = grad_w_fast },
    { .name = "reference", .run = grad_w_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_ConvTranspose = { .domain = "",
                                    .name = "ConvTranspose",
                                    .since = 1,
                                    .until = OT_LATEST,
                                    .min_in = 2,
                                    .max_in = 3,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = transpose_infer,
                                    .grad = transpose_differentiate,
                                    .cpu = transpose_kernels,
                                    .macs = transpose_macs };

const ot_op ot_op_ConvTransposeGradX = { .domain = OT_INTERNAL,
                                         .name = "ConvTransposeGradX",
                                         .since = 1,
                                         .until = 1,
                                         .min_in = 3,
                                         .max_in = 3,
                                         .min_out = 1,
                                         .max_out = 1,
                                         .infer = grad_x_infer,
                                         .cpu = grad_x_kernels,
                                         .shape_only = 1u << 2,
                                         .macs = grad_x_macs };

const ot_op ot_op_ConvTransposeGradW = { .domain = OT_INTERNAL,
                                         .name = "ConvTransposeGradW",
                                         .since = 1,
                                         .until = 1,
                                         .min_in = 3,
                                         .max_in = 3,
                                         .min_out = 1,
                                         .max_out = 1,
                                         .infer = grad_w_infer,
                                         .cpu = grad_w_kernels,
                                         .shape_only = 1u << 2,
                                         .macs = grad_w_macs };

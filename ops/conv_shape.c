#include "conv_shape.h"

#include <string.h>

#define MAX_ATTR ((int64_t)1 << 31) /* of a stride, dilation, pad or kernel: keeps every sum inside 63 bits */

static ot_status read_list(const ot_node *n, const char *name, int want, int64_t lo, int64_t otherwise, int64_t *out)
{
    int count;
    const ot_attr *a = ot_attr_find(n, name);
    const int64_t *v = ot_attr_ints(n, name, &count);
    if (a && a->type != OT_ATTR_INTS)
        return ot_fail(OT_EMODEL, "attribute %s is not a list of integers", name);
    if (a && count != want)
        return ot_fail(OT_EMODEL, "%s has %d entries, wanted are %d", name, count, want);
    for (int i = 0; i < want; i++) {
        out[i] = a ? v[i] : otherwise;
        if (out[i] < lo || out[i] > MAX_ATTR)
            return ot_fail(OT_EMODEL, "%s[%d] is %lld", name, i, (long long)out[i]);
    }
    return OT_OK;
}

static ot_status read_auto_pad(ot_window *w, const ot_node *n)
{
    static const char *const names[] = { "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER" };
    const char *text = ot_attr_text(n, "auto_pad", "NOTSET");
    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            w->auto_pad = (ot_auto_pad)i;
            return OT_OK;
        }
    return ot_fail(OT_EMODEL, "auto_pad is '%s'", text);
}

static ot_status read_kernel(ot_window *w, const ot_node *n, const ot_dim *kernel)
{
    int64_t given[OT_MAX_SPATIAL];
    bool there = ot_attr_find(n, "kernel_shape") != NULL;
    if (!there && !kernel)
        return ot_fail(OT_EMODEL, "attribute kernel_shape is missing");
    OT_TRY(read_list(n, "kernel_shape", w->spatial, 1, 1, given));
    for (int d = 0; d < w->spatial; d++) {
        w->kernel[d] = there ? given[d] : kernel[d];
        if (!kernel)
            continue;
        if (there)
            OT_TRY(ot_dims_agree(&w->kernel[d], given[d], kernel[d], "kernel_shape and the dims of W"));
        if (!ot_is_symbol(w->kernel[d]) && (w->kernel[d] < 1 || w->kernel[d] > MAX_ATTR))
            return ot_fail(OT_ESHAPE, "W has a window of %lld", (long long)w->kernel[d]);
    }
    return OT_OK;
}

ot_status ot_window_read(ot_window *w, const ot_node *n, const ot_fact *x, const ot_dim *kernel)
{
    int64_t pads[2 * OT_MAX_SPATIAL];
    *w = (ot_window){ .spatial = x->rank - 2 };
    if (w->spatial < 1 || w->spatial > OT_MAX_SPATIAL)
        return ot_fail(OT_ESHAPE, "the input has rank %d, wanted is 3 to %d", x->rank, OT_MAX_RANK);
    memcpy(w->in, x->dim + 2, (size_t)w->spatial * sizeof(*w->in));
    OT_TRY(read_auto_pad(w, n));
    OT_TRY(read_kernel(w, n, kernel));
    OT_TRY(read_list(n, "strides", w->spatial, 1, 1, w->stride));
    OT_TRY(read_list(n, "dilations", w->spatial, 1, 1, w->dilation));
    OT_TRY(read_list(n, "pads", 2 * w->spatial, kernel ? -MAX_ATTR : 0, 0, pads));
    for (int d = 0; d < w->spatial && w->auto_pad == OT_PAD_GIVEN; d++) {
        w->pad[d] = pads[d];
        w->pad_end[d] = pads[d + w->spatial];
    }
    w->ceil = ot_attr_int(n, "ceil_mode", 0) != 0;
    return OT_OK;
}

/* The span of a window, without its first element. */
static int64_t reach(const ot_window *w, int d)
{
    return (w->kernel[d] - 1) * w->dilation[d];
}

static void same_pads(ot_window *w, int d)
{
    int64_t total = (w->out[d] - 1) * w->stride[d] + reach(w, d) + 1 - w->in[d];
    total = total < 0 ? 0 : total;
    w->pad[d] = w->auto_pad == OT_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    w->pad_end[d] = total - w->pad[d];
}

static bool has_same_pads(const ot_window *w)
{
    return w->auto_pad == OT_PAD_SAME_UPPER || w->auto_pad == OT_PAD_SAME_LOWER;
}

/* One output size from a known input size, which the window fits. */
static int64_t out_of(const ot_window *w, int d)
{
    int64_t stride = w->stride[d], room = w->in[d] + w->pad[d] + w->pad_end[d] - reach(w, d) - 1;
    if (has_same_pads(w))
        return w->in[d] / stride + (w->in[d] % stride != 0);
    int64_t last = room / stride;
    if (w->ceil && room % stride != 0 && (last + 1) * stride < w->in[d] + w->pad[d])
        last++; /* a window may hang over the end, but must start in the input or the padding before it */
    return last + 1;
}

static ot_dim out_of_symbol(ot_infer *c, const ot_window *w, int d)
{
    int64_t stride = w->stride[d];
    if (has_same_pads(w))
        return ot_dim_div(c, ot_dim_add(c, w->in[d], stride - 1), stride);
    if (ot_is_symbol(w->kernel[d]))
        return ot_dim_unknown(c);
    int64_t off = w->pad[d] + w->pad_end[d] - reach(w, d) - 1;
    if (!w->ceil || stride == 1)
        return ot_dim_add(c, ot_dim_div(c, ot_dim_add(c, w->in[d], off), stride), 1);
    if (stride + w->pad_end[d] > reach(w, d) + 1) /* the last window may be dropped */
        return ot_dim_unknown(c);
    return ot_dim_add(c, ot_dim_div(c, ot_dim_add(c, w->in[d], off + stride - 1), stride), 1);
}

ot_status ot_window_out(ot_infer *c, ot_window *w)
{
    for (int d = 0; d < w->spatial; d++) {
        if (ot_is_symbol(w->in[d]) || ot_is_symbol(w->kernel[d])) {
            w->out[d] = out_of_symbol(c, w, d);
            continue;
        }
        if (w->in[d] > INT64_MAX / 4)
            return ot_fail(OT_ESHAPE, "dimension %d is %lld", d + 2, (long long)w->in[d]);
        int64_t padded = w->in[d] + w->pad[d] + w->pad_end[d];
        if (!has_same_pads(w) && padded < reach(w, d) + 1)
            return ot_fail(OT_ESHAPE, "a window of %lld does not fit into dimension %d, which is %lld with its padding",
                           (long long)reach(w, d) + 1, d + 2, (long long)padded);
        w->out[d] = out_of(w, d);
        if (has_same_pads(w))
            same_pads(w, d);
    }
    return OT_OK;
}

void ot_window_settle(ot_window *w)
{
    for (int d = 0; d < w->spatial; d++) {
        w->out[d] = out_of(w, d);
        if (has_same_pads(w))
            same_pads(w, d);
    }
}

int64_t ot_window_size(const ot_window *w, const int64_t *dim)
{
    int64_t n = 1;
    for (int d = 0; d < w->spatial; d++)
        n *= dim[d];
    return n;
}

ot_inside ot_window_inside(const ot_window *w, const int64_t *o)
{
    ot_inside r = { .taps = 1 };
    for (int d = 0; d < w->spatial; d++) {
        r.count[d] =
            ot_taps_between(o[d] * w->stride[d] - w->pad[d], w->dilation[d], w->kernel[d], 0, w->in[d], &r.first[d]);
        r.taps *= r.count[d];
    }
    return r;
}

#define FREE_TAPS 1024 /* are looked at in any case */

const char *ot_window_declines(const ot_window *w)
{
    if (ot_window_size(w, w->kernel) <= FREE_TAPS)
        return NULL;
    for (int d = 0; d < w->spatial; d++)
        if (reach(w, d) > 4 * w->in[d] || w->pad[d] > reach(w, d) || w->pad_end[d] > reach(w, d))
            return "a large window that is padding for the most part";
    return NULL;
}

/* ---- Convolutions ---------------------------------------------------------------------------------------------- */

ot_status ot_conv_rule(ot_infer *c, const ot_fact *x, const ot_fact *w, ot_fact *y)
{
    ot_window win;
    int64_t group = ot_attr_int(c->node, "group", 1);
    if (x->rank < 3 || w->rank != x->rank)
        return ot_fail(OT_ESHAPE, "X has rank %d and W %d, wanted are 3 or more, and the same", x->rank, w->rank);
    if (x->dtype != w->dtype)
        return ot_fail(OT_ESHAPE, "X is %s, W is %s", ot_dtype_name(x->dtype), ot_dtype_name(w->dtype));
    if (group < 1 || group > MAX_ATTR)
        return ot_fail(OT_EMODEL, "group is %lld", (long long)group);
    if (!ot_is_symbol(x->dim[1]) && !ot_is_symbol(w->dim[1]) &&
        (x->dim[1] % group != 0 || x->dim[1] / group != w->dim[1]))
        return ot_fail(OT_ESHAPE, "X has %lld channels in %lld groups, W takes %lld", (long long)x->dim[1],
                       (long long)group, (long long)w->dim[1]);
    if (!ot_is_symbol(w->dim[0]) && w->dim[0] % group != 0)
        return ot_fail(OT_ESHAPE, "%lld output channels are not %lld equal groups", (long long)w->dim[0],
                       (long long)group);
    OT_TRY(ot_window_read(&win, c->node, x, w->dim + 2));
    OT_TRY(ot_window_out(c, &win));
    ot_dim dim[OT_MAX_RANK] = { x->dim[0], w->dim[0] };
    memcpy(dim + 2, win.out, (size_t)win.spatial * sizeof(*dim));
    ot_set_shape(y, x->dtype, x->rank, dim);
    return OT_OK;
}

ot_status ot_conv_read(ot_conv_size *s, const ot_node *n, const ot_fact *x, const ot_fact *w)
{
    OT_TRY(ot_window_read(&s->win, n, x, w->dim + 2));
    ot_window_settle(&s->win);
    s->n = x->dim[0];
    s->c = x->dim[1];
    s->k = w->dim[0];
    s->group = ot_attr_int(n, "group", 1);
    return OT_OK;
}

ot_status ot_conv_read_run(ot_conv_size *s, const ot_node *n, const ot_tensor *x, const ot_tensor *w)
{
    ot_fact fx = { .dtype = x->dtype, .rank = x->rank }, fw = { .dtype = w->dtype, .rank = w->rank };
    memcpy(fx.dim, x->dim, sizeof(fx.dim));
    memcpy(fw.dim, w->dim, sizeof(fw.dim));
    return ot_conv_read(s, n, &fx, &fw);
}

ot_conv_shape ot_conv_shape_of(const ot_conv_size *s)
{
    ot_conv_shape out = { .spatial = s->win.spatial, .n = s->n, .c = s->c, .k = s->k, .group = s->group };
    for (int d = 0; d < s->win.spatial && d < 3; d++) {
        out.in[d] = s->win.in[d];
        out.out[d] = s->win.out[d];
        out.kernel[d] = s->win.kernel[d];
        out.stride[d] = s->win.stride[d];
        out.dilation[d] = s->win.dilation[d];
        out.pad[d] = s->win.pad[d];
    }
    return out;
}

#define TILES_OF_A_RUN 64 /* 4x4 outputs over which transforming filters for one run pays */

ot_conv_way ot_conv_choose_once(const ot_conv_shape *s)
{
    int64_t tiles = s->n;
    for (int d = 0; d < s->spatial; d++)
        tiles *= (s->out[d] + 3) / 4;
    return tiles >= TILES_OF_A_RUN ? ot_conv_choose(s) : OT_CONV_DIRECT;
}

double ot_window_macs(const ot_tensor *places, const ot_tensor *w)
{
    double macs = (double)places->dim[0] * (double)ot_tensor_count(w);
    for (int d = 2; d < places->rank; d++)
        macs *= (double)places->dim[d];
    return macs;
}

double ot_conv_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y)
{
    (void)n;
    return ot_window_macs(&y[0], &x[1]);
}

const char *ot_conv_types_decline(const ot_prep *p, const ot_fact *x, const ot_fact *w)
{
    const char *why = ot_float32_only(p);
    if (why)
        return why;
    if (x->rank > 5)
        return "more than 3 spatial dimensions";
    for (int d = 0; d < x->rank; d++)
        if (x->dim[d] == 0 || w->dim[d] == 0)
            return "an empty tensor";
    return NULL;
}

const char *ot_conv_declines(const ot_prep *p, const ot_fact *x, const ot_fact *w)
{
    ot_conv_size s;
    const char *why = ot_conv_types_decline(p, x, w);
    if (why)
        return why;
    return ot_conv_read(&s, p->node, x, w) == OT_OK ? ot_window_declines(&s.win) : "its attributes";
}

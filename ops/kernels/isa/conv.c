/* Convolution forward and the gradient of its input. */
#include "conv.h"

#include <string.h>

static const ot_epilogue nothing;

/* The lattice of the forward pass. */
static lattice forward_lattice(const conv3 *v, const float *x, const float *w)
{
    lattice l = { .images = v->n,
                  .channels = v->cg,
                  .x = x,
                  .x_image = v->c * v->plane_x,
                  .x_group = v->cg * v->plane_x,
                  .plane = v->plane_x,
                  .w = w,
                  .w_group = v->kg * v->cg * v->taps,
                  .w_row = v->cg * v->taps,
                  .w_channel = v->taps,
                  .y_image = v->k * v->plane_y };
    int64_t w_tap = 1, y_step = 1;
    for (int d = 2; d >= 0; d--) {
        l.grid[d] = v->out[d];
        l.in[d] = v->in[d];
        l.step[d] = v->stride[d];
        l.taps[d] = v->kernel[d];
        l.off[d] = -v->pad[d];
        l.off_step[d] = v->dilation[d];
        l.w_tap[d] = w_tap;
        l.y_step[d] = y_step;
        w_tap *= v->kernel[d];
        y_step *= v->out[d];
    }
    return l;
}

static product lattice_product(const lattice *l, int64_t groups, int64_t rows, float *y, int64_t plane_y,
                               const ot_epilogue *epi)
{
    product p = { .groups = groups,
                  .m = rows,
                  .n = l->images * lattice_points(l),
                  .k = l->channels * lattice_taps(l),
                  .pack_a = OT_K(ot_lattice_pack_weights),
                  .pack_b = OT_K(ot_lattice_pack_b),
                  .segments = OT_K(ot_lattice_segments),
                  .ctx = l,
                  .c = y,
                  .c_row = plane_y,
                  .c_group = rows * plane_y,
                  .step = l->y_step[2],
                  .epi = *epi };
    p.epi.ldr = plane_y;
    p.epi.bias_col = NULL;
    return p;
}

winograd OT_K(ot_conv_winograd)(const conv3 *v, const float *x, const float *w, float *y, const ot_epilogue *epi)
{
    return (winograd){ .images = v->n,
                       .groups = v->group,
                       .channels = v->cg,
                       .rows = v->kg,
                       .in = { v->in[1], v->in[2] },
                       .out = { v->out[1], v->out[2] },
                       .pad = { v->pad[1], v->pad[2] },
                       .x = x,
                       .y = y,
                       .epi = *epi,
                       .w = w,
                       .w_group = v->kg * v->cg * 9,
                       .w_row = v->cg * 9,
                       .w_channel = 9,
                       .th = k_ceil(v->out[1], 4),
                       .tw = k_ceil(v->out[2], 4) };
}

/* dx is the convolution of dy with the filters turned, and rows and channels exchanged. */
static winograd backward_winograd(const conv3 *v, const float *dy, const float *w, float *dx, const ot_epilogue *epi)
{
    return (winograd){ .images = v->n,
                       .groups = v->group,
                       .channels = v->kg,
                       .rows = v->cg,
                       .in = { v->out[1], v->out[2] },
                       .out = { v->in[1], v->in[2] },
                       .pad = { 2 - v->pad[1], 2 - v->pad[2] },
                       .x = dy,
                       .y = dx,
                       .epi = *epi,
                       .w = w,
                       .w_group = v->kg * v->cg * 9,
                       .w_row = 9,
                       .w_channel = v->cg * 9,
                       .turned = true,
                       .th = k_ceil(v->in[1], 4),
                       .tw = k_ceil(v->in[2], 4) };
}

/* The gradient's filters are transformed each time, which pays only over this many tiles. */
static bool data_by_winograd(const conv3 *v)
{
    return v->winograd && v->n * k_ceil(v->in[1], 4) * k_ceil(v->in[2], 4) >= 64;
}

/* Winograd pays where its products, and the transforms that weigh like so many of them, are fewer. */
ot_conv_way OT_K(ot_conv_choose)(const ot_conv_shape *s)
{
    conv3 v = conv3_of(s);
    int64_t tiles = k_ceil(v.out[1], 4) * k_ceil(v.out[2], 4);
    if (!conv3_fits_winograd(&v) || v.cg < 16 || v.kg < 16 || v.n * tiles < 12 || 9 * v.plane_y < 54 * tiles)
        return OT_CONV_DIRECT;
    return OT_CONV_WINOGRAD;
}

size_t OT_K(ot_conv_packed_size)(const ot_conv_shape *s)
{
    conv3 v = conv3_of(s);
    if (v.winograd) {
        winograd w = OT_K(ot_conv_winograd)(&v, NULL, NULL, NULL, &nothing);
        return sizeof(float) * (size_t)OT_K(ot_wino_packed)(&w);
    }
    if (conv3_depthwise(&v))
        return sizeof(float) * (size_t)(v.k * v.taps);
    return sizeof(float) * (size_t)OT_K(ot_product_packed)(v.group, v.kg, v.cg * v.taps);
}

void OT_K(ot_conv_pack_weights)(const ot_conv_shape *s, const float *w, float *packed, const ot_kernel_pool *pool)
{
    conv3 v = conv3_of(s);
    if (conv3_depthwise(&v)) {
        memcpy(packed, w, sizeof(float) * (size_t)(v.k * v.taps));
        return;
    }
    if (v.winograd) {
        winograd t = OT_K(ot_conv_winograd)(&v, NULL, w, NULL, &nothing);
        OT_K(ot_wino_pack)(&t, packed, pool);
        return;
    }
    lattice l = forward_lattice(&v, NULL, w);
    product p = lattice_product(&l, v.group, v.kg, NULL, v.plane_y, &nothing);
    OT_K(ot_product_pack)(&p, packed, pool);
}

size_t OT_K(ot_conv_workspace)(const ot_conv_shape *s, ot_conv_pass pass, int threads)
{
    conv3 v = conv3_of(s);
    int64_t floats = 0;
    if (conv3_depthwise(&v))
        return 0;
    if (v.winograd && pass == OT_CONV_BACKWARD_WEIGHTS) {
        winograd w = OT_K(ot_conv_winograd)(&v, NULL, NULL, NULL, &nothing);
        return sizeof(float) * (size_t)OT_K(ot_wino_weights_workspace)(&w, threads);
    }
    if (pass == OT_CONV_BACKWARD_DATA ? data_by_winograd(&v) : v.winograd) {
        winograd w = pass == OT_CONV_BACKWARD_DATA ? backward_winograd(&v, NULL, NULL, NULL, &nothing)
                                                   : OT_K(ot_conv_winograd)(&v, NULL, NULL, NULL, &nothing);
        return sizeof(float) * (size_t)OT_K(ot_wino_workspace)(&w, pass == OT_CONV_FORWARD_PACKED, threads);
    }
    switch (pass) {
    case OT_CONV_FORWARD:
    case OT_CONV_FORWARD_PACKED:
        floats = OT_K(ot_product_workspace)(v.group, v.kg, v.n * v.plane_y, v.cg * v.taps,
                                            pass == OT_CONV_FORWARD_PACKED, threads);
        break;
    case OT_CONV_BACKWARD_DATA: /* each residue of the strides has some of the taps */
        floats = OT_K(ot_product_workspace)(v.group, v.cg, v.n * v.plane_x, v.kg * v.taps, false, threads);
        break;
    case OT_CONV_BACKWARD_WEIGHTS:
        floats = OT_K(ot_conv_weights_floats)(&v, threads);
        break;
    }
    return sizeof(float) * (size_t)floats;
}

void OT_K(ot_conv_forward)(const ot_conv_shape *s, const float *x, const float *w, const float *packed, float *y,
                           const ot_epilogue *epi, void *work, const ot_kernel_pool *pool)
{
    conv3 v = conv3_of(s);
    if (!epi)
        epi = &nothing;
    if (conv3_depthwise(&v)) {
        OT_K(ot_depthwise_forward)(&v, x, packed ? packed : w, y, epi, pool);
        return;
    }
    if (v.winograd) {
        winograd t = OT_K(ot_conv_winograd)(&v, x, w, y, epi);
        t.u = packed;
        OT_K(ot_wino_run)(&t, work, pool);
        return;
    }
    lattice l = forward_lattice(&v, x, w);
    product p = lattice_product(&l, v.group, v.kg, y, v.plane_y, epi);
    p.packed = packed;
    OT_K(ot_product_run)(&p, work, pool);
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* Dimension d of the places of x that are r modulo the stride.  i = q * stride + r is read by output o through tap t
 * where o * stride = i + pad - t * dilation, so every stride/gcd(stride, dilation)-th tap takes part, and
 * o = q + (r + pad - t * dilation) / stride. */
static void residue(const conv3 *v, lattice *l, int d, int64_t r)
{
    int64_t s = v->stride[d], dil = v->dilation[d], each = s / gcd(s, dil), first = 0;
    while (first < k_min(each, v->kernel[d]) && (r + v->pad[d] - first * dil) % s != 0)
        first++;
    bool any = first < each && first < v->kernel[d];
    l->taps[d] = any ? (v->kernel[d] - first + each - 1) / each : 0;
    l->off[d] = any ? (r + v->pad[d] - first * dil) / s : 0;
    l->off_step[d] = -(each * dil / s);
    l->step[d] = 1;
    l->w_off[d] = first * l->w_tap[d];
    l->w_tap[d] *= each;
    l->grid[d] = r < v->in[d] ? (v->in[d] - r + s - 1) / s : 0;
    l->in[d] = v->out[d];
}

void OT_K(ot_conv_backward_data)(const ot_conv_shape *s, const float *dy, const float *w, float *dx,
                                 const ot_epilogue *epi, void *work, const ot_kernel_pool *pool)
{
    conv3 v = conv3_of(s);
    if (!epi)
        epi = &nothing;
    if (conv3_depthwise(&v)) {
        OT_K(ot_depthwise_data)(&v, dy, w, dx, epi, pool);
        return;
    }
    if (data_by_winograd(&v)) {
        winograd t = backward_winograd(&v, dy, w, dx, epi);
        OT_K(ot_wino_run)(&t, work, pool);
        return;
    }
    int64_t residues[3];
    for (int d = 0; d < 3; d++)
        residues[d] = k_min(v.stride[d], v.in[d]);
    for (int64_t i = 0; i < volume3(residues); i++) {
        int64_t r[3], y_at = 0, y_step = 1, w_tap = 1;
        lattice l = { .images = v.n,
                      .channels = v.kg,
                      .x = dy,
                      .x_image = v.k * v.plane_y,
                      .x_group = v.kg * v.plane_y,
                      .plane = v.plane_y,
                      .w = w,
                      .w_group = v.kg * v.cg * v.taps,
                      .w_row = v.taps,
                      .w_channel = v.cg * v.taps,
                      .y_image = v.c * v.plane_x };
        lattice_split(residues, i, r);
        for (int d = 2; d >= 0; d--) {
            l.w_tap[d] = w_tap;
            w_tap *= v.kernel[d];
            residue(&v, &l, d, r[d]);
            l.y_step[d] = y_step * v.stride[d];
            y_at += r[d] * y_step;
            y_step *= v.in[d];
        }
        product p = lattice_product(&l, v.group, v.cg, dx + y_at, v.plane_x, epi);
        if (p.epi.residual)
            p.epi.residual += y_at;
        OT_K(ot_product_run)(&p, work, pool);
    }
}

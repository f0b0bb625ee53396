/* What the convolution sources share. */
#ifndef OT_KERNELS_ISA_CONV_H
#define OT_KERNELS_ISA_CONV_H

#include "../conv.h"
#include "lattice.h"
#include "shape3.h"
#include "table.h"
#include "winograd.h"

/* ot_conv_shape in three dimensions, with the sizes that are used again and again. */
typedef struct conv3 {
    int64_t n, c, k, group, cg, kg; /* cg = c / group, kg = k / group */
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
    int64_t plane_x, plane_y, taps; /* volumes of in, out, kernel */
    bool winograd;
} conv3;

OT_INLINE bool conv3_fits_winograd(const conv3 *v)
{
    bool flat = v->in[0] == 1 && v->out[0] == 1 && v->kernel[0] == 1 && v->pad[0] == 0, fits = v->cg > 1;
    for (int d = 1; d < 3; d++)
        fits = fits && v->kernel[d] == 3 && v->stride[d] == 1 && v->dilation[d] == 1;
    return flat && fits;
}

OT_INLINE conv3 conv3_of(const ot_conv_shape *s)
{
    conv3 v = { .n = s->n, .c = s->c, .k = s->k, .group = s->group };
    v.cg = s->c / s->group;
    v.kg = s->k / s->group;
    shape3(s->spatial, s->in, 1, v.in);
    shape3(s->spatial, s->out, 1, v.out);
    shape3(s->spatial, s->kernel, 1, v.kernel);
    shape3(s->spatial, s->stride, 1, v.stride);
    shape3(s->spatial, s->dilation, 1, v.dilation);
    shape3(s->spatial, s->pad, 0, v.pad);
    v.plane_x = volume3(v.in);
    v.plane_y = volume3(v.out);
    v.taps = volume3(v.kernel);
    v.winograd = s->way == OT_CONV_WINOGRAD && conv3_fits_winograd(&v);
    return v;
}

/* One channel of x in a group: planes are convolved one by one. */
OT_INLINE bool conv3_depthwise(const conv3 *v)
{
    return v->cg == 1 && v->group > 1;
}

void OT_K(ot_depthwise_forward)(const conv3 *v, const float *x, const float *w, float *y, const ot_epilogue *epi,
                                const ot_kernel_pool *pool);
void OT_K(ot_depthwise_data)(const conv3 *v, const float *dy, const float *w, float *dx, const ot_epilogue *epi,
                             const ot_kernel_pool *pool);
void OT_K(ot_depthwise_weights)(const conv3 *v, const float *x, const float *dy, float *dw, const ot_kernel_pool *pool);

winograd OT_K(ot_conv_winograd)(const conv3 *v, const float *x, const float *w, float *y, const ot_epilogue *epi);

int64_t OT_K(ot_conv_weights_floats)(const conv3 *v, int threads);
void OT_K(ot_conv_weights)(const conv3 *v, const float *x, const float *dy, float *dw, float *work,
                           const ot_kernel_pool *pool);

#endif

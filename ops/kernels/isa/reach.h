/* Sliding windows by rows: which part of an output row meets x through one tap. */
#ifndef OT_KERNELS_REACH_H
#define OT_KERNELS_REACH_H

#include "lattice.h"

typedef struct window3 {
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
} window3;

typedef struct reach {
    bool inside;
    int64_t at, lo, hi; /* output o in [lo, hi) of the row meets x[at + o * stride[2]] */
} reach;

OT_INLINE reach reach_of(const window3 *v, int64_t tap, int64_t oz, int64_t oy)
{
    int64_t t[3];
    reach r = { 0 };
    lattice_split(v->kernel, tap, t);
    int64_t z = oz * v->stride[0] + t[0] * v->dilation[0] - v->pad[0];
    int64_t y = oy * v->stride[1] + t[1] * v->dilation[1] - v->pad[1];
    int64_t off = t[2] * v->dilation[2] - v->pad[2];
    lattice_inside(v->in[2], v->out[2], v->stride[2], off, &r.lo, &r.hi);
    r.inside = z >= 0 && z < v->in[0] && y >= 0 && y < v->in[1] && r.lo < r.hi;
    r.at = (z * v->in[1] + y) * v->in[2] + off;
    return r;
}

/* dx[stride * i] += w * dy[i] */
OT_INLINE void scatter_row(int64_t n, float w, const float *dy, int64_t stride, float *restrict dx)
{
    if (stride == 1)
        for (int64_t i = 0; i < n; i++)
            dx[i] += w * dy[i];
    else
        for (int64_t i = 0; i < n; i++)
            dx[stride * i] += w * dy[i];
}

/* y[i] += w * x[stride * i] */
OT_INLINE void gather_row(int64_t n, float w, const float *x, int64_t stride, float *restrict y)
{
    if (stride == 1)
        for (int64_t i = 0; i < n; i++)
            y[i] += w * x[i];
    else if (stride == 2)
        for (int64_t i = 0; i < n; i++)
            y[i] += w * x[2 * i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] += w * x[stride * i];
}

#endif

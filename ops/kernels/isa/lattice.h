/* A convolution as a product: column n of B is a point (image, q0, q1, q2) of a grid, depth k is (tap, channel),
 * channel fastest; the value is x at the place that point and tap name, 0 outside.  Forward convolutions and, for each
 * residue of the stride, gradients of the input have this form; the gradient of the weights reads it transposed. */
#ifndef OT_KERNELS_LATTICE_H
#define OT_KERNELS_LATTICE_H

#include "../conv.h"
#include "product.h"

typedef struct lattice {
    int64_t grid[3], images;
    int64_t channels;            /* of x, in a group */
    int64_t in[3];               /* the size of x's planes, rows dense */
    const float *x;              /* [images][x_image / plane channels][plane] */
    int64_t x_image, x_group;    /* strides; a channel's is the plane's size */
    int64_t plane;               /* in[0] * in[1] * in[2] */
    int64_t step[3];             /* of x's coordinate with a grid coordinate */
    int64_t taps[3];             /* how many in each dimension, the last fastest */
    int64_t off[3], off_step[3]; /* tap t in dimension d reads at off + t * off_step + q * step */
    /* the weight of row m, tap, channel: w + group * w_group + m * w_row + channel * w_channel
     *                                    + sum of w_off[d] + tap[d] * w_tap[d] */
    const float *w;
    int64_t w_group, w_row, w_channel, w_off[3], w_tap[3];
    /* the output: point (image, q) of row m is at image * y_image + m * c_row + sum of q[d] * y_step[d] */
    int64_t y_image, y_step[3];
} lattice;

OT_INLINE int64_t lattice_points(const lattice *l)
{
    return l->grid[0] * l->grid[1] * l->grid[2];
}
OT_INLINE int64_t lattice_taps(const lattice *l)
{
    return l->taps[0] * l->taps[1] * l->taps[2];
}
OT_INLINE void lattice_split(const int64_t size[3], int64_t i, int64_t at[3])
{
    at[2] = i % size[2];
    at[1] = i / size[2] % size[1];
    at[0] = i / size[2] / size[1];
}
/* The grid coordinates q in [lo, hi) read inside of x for an offset. */
OT_INLINE void lattice_inside(int64_t in, int64_t grid, int64_t step, int64_t off, int64_t *lo, int64_t *hi)
{
    *lo = off < 0 ? k_min(grid, (-off + step - 1) / step) : 0;
    *hi = in - 1 - off < 0 ? 0 : k_min(grid, (in - 1 - off) / step + 1);
    if (*hi < *lo)
        *hi = *lo;
}

/* Callbacks of a product whose ctx is a lattice. */
void OT_K(ot_lattice_pack_weights)(const product *p, int64_t group, int64_t m0, int rows, int64_t k0, int64_t depth,
                                   float *dst);
void OT_K(ot_lattice_pack_b)(const product *p, int64_t group, int64_t n0, int cols, int64_t k0, int64_t depth,
                             float *dst);
int OT_K(ot_lattice_segments)(const product *p, int64_t n0, int cols, product_seg *seg);

#endif

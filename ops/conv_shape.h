/* Sliding windows: the attributes that convolutions and pooling share, and the sizes that follow from them. */
#ifndef OT_OPS_CONV_SHAPE_H
#define OT_OPS_CONV_SHAPE_H

#include "run.h"
#include "kernels/conv.h"

#define OT_MAX_SPATIAL (OT_MAX_RANK - 2)

typedef enum ot_auto_pad { OT_PAD_GIVEN, OT_PAD_VALID, OT_PAD_SAME_UPPER, OT_PAD_SAME_LOWER } ot_auto_pad;

/* in, out and kernel may be symbols while a shape rule runs over symbols; everything else is a number.  pad and pad_end
 * are the attribute's until ot_window_out has seen numbers: then they are those in use. */
typedef struct ot_window {
    int spatial;
    ot_auto_pad auto_pad;
    bool ceil;
    ot_dim in[OT_MAX_SPATIAL], out[OT_MAX_SPATIAL], kernel[OT_MAX_SPATIAL];
    int64_t stride[OT_MAX_SPATIAL], dilation[OT_MAX_SPATIAL], pad[OT_MAX_SPATIAL], pad_end[OT_MAX_SPATIAL];
} ot_window;

/* Reads kernel_shape, strides, dilations, pads, auto_pad and ceil_mode of a node for x of 3 or more dims (N, C, ...).
 * kernel: the dims of the weights' window; NULL: kernel_shape is required.  Every length and value is checked. */
ot_status ot_window_read(ot_window *w, const ot_node *n, const ot_fact *x, const ot_dim *kernel);
/* Fills out (and pad, pad_end where auto_pad sets them).  OT_ESHAPE where the window does not fit. */
ot_status ot_window_out(ot_infer *c, ot_window *w);
/* The same where all sizes are numbers, for kernels: what the rule accepted cannot fail. */
void ot_window_settle(ot_window *w);

/* Row-major position `linear` of dims. */
static inline void ot_unravel(int n, const int64_t *dim, int64_t linear, int64_t *at)
{
    for (int d = n - 1; d >= 0; d--) {
        at[d] = linear % dim[d];
        linear /= dim[d];
    }
}

/* Of `kernel` taps at start, start + dilation, ...: how many lie in lo .. hi - 1, from tap *first on. */
static inline int64_t ot_taps_between(int64_t start, int64_t dilation, int64_t kernel, int64_t lo, int64_t hi,
                                      int64_t *first)
{
    const int64_t from = start < lo ? (lo - start + dilation - 1) / dilation : 0;
    const int64_t to = start < hi ? (hi - start + dilation - 1) / dilation : 0;
    *first = from;
    return from >= kernel || to <= from ? 0 : (to < kernel ? to : kernel) - from;
}

/* The taps of a window that lie in the input: a box of them, so that a window far larger than its input costs no more
 * than what it meets. */
typedef struct ot_inside {
    int64_t taps, first[OT_MAX_SPATIAL], count[OT_MAX_SPATIAL];
} ot_inside;

ot_inside ot_window_inside(const ot_window *w, const int64_t *o);

/* The place in the input's plane that the i-th of the taps inside the window at o reads; *tap: its number among all. */
static inline int64_t ot_inside_place(const ot_window *w, const int64_t *o, const ot_inside *r, int64_t i, int64_t *tap)
{
    int64_t at = 0, plane = 1, taps = 1;
    *tap = 0;
    for (int d = w->spatial - 1; d >= 0; d--) {
        const int64_t t = r->first[d] + i % r->count[d];
        i /= r->count[d];
        at += plane * (o[d] * w->stride[d] - w->pad[d] + t * w->dilation[d]);
        plane *= w->in[d];
        *tap += taps * t;
        taps *= w->kernel[d];
    }
    return at;
}

/* NULL where kernels that look at every tap take the window, else why not: most of its taps meet padding. */
const char *ot_window_declines(const ot_window *w);

/* The place in the input's plane that tap t of the window at o reads; -1: padding. */
static inline int64_t ot_window_place(const ot_window *w, const int64_t *o, const int64_t *t)
{
    int64_t at = 0;
    for (int d = 0; d < w->spatial; d++) {
        int64_t i = o[d] * w->stride[d] - w->pad[d] + t[d] * w->dilation[d];
        if (i < 0 || i >= w->in[d])
            return -1;
        at = at * w->in[d] + i;
    }
    return at;
}

/* Product of `spatial` sizes. */
int64_t ot_window_size(const ot_window *w, const int64_t *dim);

/* ---- Convolutions ---------------------------------------------------------------------------------------------- */

/* The output of a convolution of x (N, C, ...) with w (K, C / group, ...) into y; all of both is checked. */
ot_status ot_conv_rule(ot_infer *c, const ot_fact *x, const ot_fact *w, ot_fact *y);

typedef struct ot_conv_size {
    int64_t n, c, k, group;
    ot_window win;
} ot_conv_size;

/* Concrete sizes of a node whose rule has accepted x and w. */
ot_status ot_conv_read(ot_conv_size *s, const ot_node *n, const ot_fact *x, const ot_fact *w);
/* The same from the tensors of a run. */
ot_status ot_conv_read_run(ot_conv_size *s, const ot_node *n, const ot_tensor *x, const ot_tensor *w);
/* For ops/kernels; spatial is at most 3. */
ot_conv_shape ot_conv_shape_of(const ot_conv_size *s);
/* The way for weights that change with every run, whose filters are transformed each time. */
ot_conv_way ot_conv_choose_once(const ot_conv_shape *s);
/* The three products in double; y, dx and dw are written. */
void ot_conv_double(const ot_run *r, const ot_conv_size *s, const double *x, const double *w, double *y);
void ot_conv_data_double(const ot_run *r, const ot_conv_size *s, const double *dy, const double *w, double *dx);
void ot_conv_weights_double(const ot_run *r, const ot_conv_size *s, const double *dy, const double *x, double *dw);
/* Multiply-adds of weights w over places (N, any, sizes...): the output of a convolution, the input of a transposed
 * one.
 */
double ot_window_macs(const ot_tensor *places, const ot_tensor *w);
/* As .macs: (X, W, ...) -> Y. */
double ot_conv_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y);
/* NULL where the float32 kernels take types and ranks, and for convolutions the window too; else why not. */
const char *ot_conv_types_decline(const ot_prep *p, const ot_fact *x, const ot_fact *w);
const char *ot_conv_declines(const ot_prep *p, const ot_fact *x, const ot_fact *w);

#endif

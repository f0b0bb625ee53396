/* What the kernels over blocks of channels share. */
#ifndef OT_KERNELS_ISA_BLOCK_H
#define OT_KERNELS_ISA_BLOCK_H

#include "../block.h"
#include "table.h"

#include <math.h>

/* A panel is `blocks` blocks of 16 output channels that are computed together: what the registers hold beside a useful
 * number of rows. */
#if OT_VL == 16
#define OT_PANEL 4
#else
#define OT_PANEL 1
#endif
#define OT_BLOCK_VECTORS (OT_BLOCK / OT_VL)

/* Most rows of a tile for a panel of this many blocks. */
OT_INLINE int block_rows(int blocks)
{
    if (OT_VL < 16)
        return OT_VL == 8 ? 6 : 2;
    return blocks == 4 ? 7 : 14;
}

/* `n` blocks are cut into panels of OT_PANEL, and the rest into panels of powers of two. */
OT_INLINE int64_t panel_count(int64_t n)
{
    return n / OT_PANEL + __builtin_popcount((unsigned)(n % OT_PANEL));
}
OT_INLINE int panel_at(int64_t n, int64_t i, int64_t *first)
{
    int64_t rest = n % OT_PANEL;
    *first = k_min(i, n / OT_PANEL) * OT_PANEL;
    if (i < n / OT_PANEL)
        return OT_PANEL;
    int size = rest & 2 ? 2 : 1;
    if (i > n / OT_PANEL) {
        *first += size;
        size = 1;
    }
    return size;
}

/* What is done to a sum: bias and residual are added before the products, the activation keeps it in lo .. hi. */
typedef struct block_bounds {
    bool clamp;
    float lo, hi;
} block_bounds;

OT_INLINE block_bounds block_bounds_of(const ot_epilogue *e)
{
    return (block_bounds){ .clamp = e->act != OT_ACT_NONE,
                           .lo = e->act == OT_ACT_CLIP ? e->lo : 0,
                           .hi = e->act == OT_ACT_CLIP ? e->hi : INFINITY };
}
OT_INLINE vf block_clamp(const block_bounds *b, vf v)
{
    return b->clamp ? v_at_most(v_set(b->hi), v_at_least(v_set(b->lo), v)) : v;
}

/* One tile: rows of places by a panel of output channels.
 *   c[r][k] = clamp(start[r][k] + bias[k] + sum over s < steps, d < depth of
 *                   a[a_off[s] + r * a_row + d] * b[b_off[s] + d * panel + k])
 * Each element is one chain of multiply-adds over (s, d), whatever the rows and the panel are. */
typedef struct block_tile {
    const float *a, *b;
    const int64_t *a_off, *b_off;
    int64_t steps, depth, a_row;
    float *c;
    int64_t c_row, c_block; /* between rows, between blocks of 16 channels */
    const float *start;     /* laid out as c (c itself goes on with what it holds), or NULL: 0 */
    const float *bias;      /* of the panel's channels, or NULL */
    block_bounds bounds;
    const float *ahead; /* weights that are wanted soon: `lines` cache lines are fetched for each d; or NULL */
    int lines;
} block_tile;

void OT_K(ot_block_micro)(int rows, int blocks, const block_tile *t);

OT_INLINE int64_t blocks_of(int64_t channels)
{
    return k_ceil(channels, OT_BLOCK);
}

/* Where weights lie: output k and input c of a group are steps apart, tap t of `taps`, last first where turned. */
typedef struct block_filters {
    const float *w;
    int64_t group, k, c, taps;
    bool turned;
} block_filters;

OT_INLINE block_filters block_filters_of(const ot_block_conv *v, const float *w)
{
    const ot_conv_shape *s = &v->shape;
    int64_t cg = s->c / s->group, kg = s->k / s->group, taps = s->kernel[0] * s->kernel[1];
    return (block_filters){ .w = w,
                            .group = kg * cg * taps,
                            .k = v->turned ? taps : cg * taps,
                            .c = v->turned ? kg * taps : taps,
                            .taps = taps,
                            .turned = v->turned };
}
OT_INLINE int64_t block_tap(const block_filters *f, int64_t t)
{
    return f->turned ? f->taps - 1 - t : t;
}

/* Where a window of `kernel` taps is inside the input: outputs from .. to-1 see the taps tap0 .. tap1-1. */
typedef struct block_span {
    int64_t from, to, tap0, tap1;
} block_span;
/* The span that begins at output o and ends before `end` at the latest. */
block_span OT_K(ot_block_span)(const ot_conv_shape *s, int d, int64_t o, int64_t end);

size_t OT_K(ot_block_wino_packed)(const ot_block_conv *v);
void OT_K(ot_block_wino_pack)(const ot_block_conv *v, const float *w, float *packed, const ot_kernel_pool *pool);
size_t OT_K(ot_block_wino_workspace)(const ot_block_conv *v, int threads);
void OT_K(ot_block_wino_run)(const ot_block_conv *v, const float *x, const float *packed, float *y,
                             const ot_epilogue *epi, float *work, const ot_kernel_pool *pool);
void OT_K(ot_block_depthwise)(const ot_block_conv *v, const float *x, const float *packed, float *y,
                              const ot_epilogue *epi, const ot_kernel_pool *pool);

#endif

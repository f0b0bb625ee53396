/* Winograd's F(4x4, 3x3): 4x4 outputs of a 3x3 convolution of stride 1 from 6x6 inputs by 36 products where the direct
 * sum has 144.  With d the inputs, g the filter and the points 0, a, -a, b, -b and infinity, a = 3/4, b = 3/2:
 * y = A'((G g G') . (B' d B)) A; powers of a and b are exact in float32, and the error is about twice the direct sum's.
 * The 36 products of all channels are 36 matrix products U[xi][k][c] V[xi][c][tile]. */
#ifndef OT_KERNELS_WINOGRAD_H
#define OT_KERNELS_WINOGRAD_H

#include "../kernels.h"
#include "isa.h"

#define WINO_XI    36
#define WINO_TILES 64 /* tiles of a block; a multiple of OT_NR */

/* One convolution: rows of output channels from channels of input, 2-D, stride 1, the output at -pad. */
typedef struct winograd {
    int64_t images, groups, channels, rows; /* channels and rows of a group */
    int64_t in[2], out[2], pad[2];
    const float *x; /* [images][groups * channels][in] */
    float *y;       /* [images][groups * rows][out] */
    ot_epilogue epi;
    /* filter of row r and channel c: w + group * w_group + r * w_row + c * w_channel, 9 taps, last first if turned */
    const float *w;
    int64_t w_group, w_row, w_channel;
    bool turned;
    const float *u; /* filters, packed */
    int64_t th, tw; /* tiles of an image */
} winograd;

/* A block of tiles: where its transformed inputs and products are. */
typedef struct wino_block {
    int64_t group, tile0, tiles;
    int64_t row;        /* floats between channels of v, and between rows of m: tiles rounded up to a vector */
    int64_t v_xi, m_xi; /* between xi */
    float *v, *m;
} wino_block;

/* Where u keeps xi, group: panels [rows of the panel][...] follow each other as packed A does. */
OT_INLINE int64_t wino_at(const winograd *w, int64_t group, int64_t xi)
{
    return (group * WINO_XI + xi) * w->rows * w->channels;
}

/* Packs the filters of rows m0 .. m0+rows-1, one panel. */
void OT_K(ot_wino_filters)(const winograd *w, int64_t group, int64_t m0, int rows, float *u);
/* Transforms channel c of the block's tiles into b->v. */
void OT_K(ot_wino_input)(const winograd *w, const wino_block *b, int64_t c);
/* Transforms row r of b->m into the output. */
void OT_K(ot_wino_output)(const winograd *w, const wino_block *b, int64_t r);

int64_t OT_K(ot_wino_packed)(const winograd *w); /* floats of u */
void OT_K(ot_wino_pack)(const winograd *w, float *u, const ot_kernel_pool *pool);
int64_t OT_K(ot_wino_workspace)(const winograd *w, bool packed, int threads); /* floats */
void OT_K(ot_wino_run)(winograd *w, float *work, const ot_kernel_pool *pool);

/* Transforms row r of dy, laid out as y, into b->m: the adjoint of ot_wino_output. */
void OT_K(ot_wino_gradient)(const winograd *w, const wino_block *b, const float *dy, int64_t row);
/* dw = the gradient of the filters, [groups][rows][channels][9]; w->x and the geometry count.  Floats of workspace. */
int64_t OT_K(ot_wino_weights_workspace)(const winograd *w, int threads);
void OT_K(ot_wino_weights)(const winograd *w, const float *dy, float *dw, float *work, const ot_kernel_pool *pool);

#endif

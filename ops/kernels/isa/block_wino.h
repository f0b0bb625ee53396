/* What the parts of the blocked Winograd convolutions share. */
#ifndef OT_KERNELS_ISA_BLOCK_WINO_H
#define OT_KERNELS_ISA_BLOCK_WINO_H

#include "block.h"

#define WINO_TILES 112 /* most tiles of a block */

/* Blocks of output channels of a panel: narrower than elsewhere, because a point has few tiles and large filters, and a
 * narrow panel is read for more tiles at a time. */
#define WINO_PANEL (OT_PANEL < 2 ? OT_PANEL : 2)

typedef struct wino {
    const ot_block_conv *v;
    int64_t out, xi; /* outputs of a tile along a side; products of a tile */
    int64_t cg, kg, cb, kb, panels, th, tw;
    int64_t low, narrow; /* outputs of a tile of the last row, of the last column */
    const float *x, *u;
    block_filters w;
    float *y, *pack;
    const ot_epilogue *epi;
    block_bounds bounds;
    float *scratch;
    int64_t tiles, blocks, scratch_floats; /* tiles of a block at most; blocks of a group */
} wino;

/* A tile: its image and its first output. */
typedef struct wino_place {
    int64_t image, y, x;
} wino_place;

/* A block of tiles and where it is transformed.  A tile that is cut off at the picture's edge needs fewer points along
 * that side.  So tiles of the last column, if it is cut off, come first, then whole tiles, then those of the last row,
 * then the corner: the tiles that have a product at a point follow each other. */
typedef struct wino_block {
    int64_t group, n;
    int64_t right, whole, bottom; /* how many tiles of each kind; the rest are corners */
    int64_t v_xi, m_xi;
    float *v, *m;
    wino_place place[WINO_TILES];
} wino_block;

/* Whether a side of m outputs, of tiles with `out`, needs point i.  Of F(4, 3), the first three outputs have no part in
 * infinity; one or two outputs do with 0, a, -a and infinity. */
OT_INLINE bool wino_needs(int64_t out, int64_t m, int64_t i)
{
    if (out == 4 && m <= 2)
        return i < 3 || (i == 5 && m == 2);
    return i <= out || m == out;
}

/* The tiles of the block that have a product at point xi: *from .. *to-1. */
OT_INLINE void wino_tiles_at(const wino *k, const wino_block *b, int64_t xi, int64_t *from, int64_t *to)
{
    bool narrow = wino_needs(k->out, k->narrow, xi % (k->out + 2)), low = wino_needs(k->out, k->low, xi / (k->out + 2));
    *from = narrow ? 0 : b->right;
    *to = low ? narrow ? b->n : b->right + b->whole + b->bottom : b->right + b->whole;
}

/* Places b->n tiles from `first` on, kind by kind. */
void OT_K(ot_wino_lay_out)(const wino *k, wino_block *b, int64_t first);
/* All tiles of the block, for one block of input or of output channels of the group. */
void OT_K(ot_wino_inputs)(const wino *k, const wino_block *b, int64_t block);
void OT_K(ot_wino_outputs)(const wino *k, const wino_block *b, int64_t block);

#endif

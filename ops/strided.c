#include "strided.h"

#include <string.h>

#define TILE 32 /* of a transposed pair of dims: 32 rows of 32 elements stay in the first cache */

void ot_dense_strides(int64_t *stride, int rank, const int64_t *dim)
{
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= dim[i];
    }
}

ot_walk ot_walk_into(const ot_tensor *y, const ot_tensor *x)
{
    ot_walk w = { .rank = y->rank, .to = y->data, .from = x->data, .dtype = y->dtype };
    memcpy(w.dim, y->dim, sizeof(w.dim));
    ot_dense_strides(w.to_stride, y->rank, y->dim);
    return w;
}

/* Leaves out dims of 1 and joins neighbours that are walked as one. */
static void collapse(ot_walk *w)
{
    int n = 0;
    for (int i = 0; i < w->rank; i++) {
        if (w->dim[i] == 1)
            continue;
        if (n > 0 && w->to_stride[n - 1] == w->to_stride[i] * w->dim[i] &&
            w->from_stride[n - 1] == w->from_stride[i] * w->dim[i]) {
            w->dim[n - 1] *= w->dim[i];
            w->to_stride[n - 1] = w->to_stride[i];
            w->from_stride[n - 1] = w->from_stride[i];
        } else {
            w->dim[n] = w->dim[i];
            w->to_stride[n] = w->to_stride[i];
            w->from_stride[n] = w->from_stride[i];
            n++;
        }
    }
    if (n == 0) {
        w->dim[0] = 1;
        w->to_stride[0] = w->from_stride[0] = 1;
        n = 1;
    }
    w->rank = n;
}

static void swap_dims(ot_walk *w, int a, int b)
{
    int64_t *const lists[] = { w->dim, w->to_stride, w->from_stride };
    for (int i = 0; i < 3; i++) {
        int64_t t = lists[i][a];
        lists[i][a] = lists[i][b];
        lists[i][b] = t;
    }
}

/* Where outer index i (over the first `dims` dims) lies in both. */
static void place_of(const ot_walk *w, int dims, int64_t i, int64_t *to, int64_t *from)
{
    *to = w->to_at;
    *from = w->from_at;
    for (int d = dims - 1; d >= 0; d--) {
        int64_t k = i % w->dim[d];
        i /= w->dim[d];
        *to += k * w->to_stride[d];
        *from += k * w->from_stride[d];
    }
}

#define ROW(SIZE)                                                                                                      \
    for (int64_t j = 0; j < n; j++)                                                                                    \
        memcpy(to + j * ts * SIZE, from + j * fs * SIZE, SIZE);                                                        \
    break

static void copy_row(int64_t n, size_t size, char *to, int64_t ts, const char *from, int64_t fs)
{
    if (ts == 1 && fs == 1) {
        memcpy(to, from, (size_t)n * size);
        return;
    }
    switch (size) {
    case 1:
        ROW(1);
    case 2:
        ROW(2);
    case 4:
        ROW(4);
    case 8:
        ROW(8);
    default:
        ROW(16);
    }
}

/* A tile: rows that lie side by side in `from`, columns that lie side by side in `to`. */
#define TILE_OF(SIZE)                                                                                                  \
    for (int64_t i = 0; i < rows; i++)                                                                                 \
        for (int64_t j = 0; j < cols; j++)                                                                             \
            memcpy(to + (i * tr + j * tc) * SIZE, from + (i * fr + j * fc) * SIZE, SIZE);                              \
    break

static void copy_tile(size_t size, int64_t rows, int64_t cols, char *to, int64_t tr, int64_t tc, const char *from,
                      int64_t fr, int64_t fc)
{
    switch (size) {
    case 1:
        TILE_OF(1);
    case 2:
        TILE_OF(2);
    case 4:
        TILE_OF(4);
    case 8:
        TILE_OF(8);
    default:
        TILE_OF(16);
    }
}

typedef struct copying {
    ot_walk w;
    size_t size;   /* bytes of an element */
    int64_t tiles; /* of the last dim but one, when tiled */
} copying;

static void copy_rows(void *ctx, int64_t first, int64_t end)
{
    const copying *c = ctx;
    const ot_walk *w = &c->w;
    int last = w->rank - 1;
    for (int64_t i = first; i < end; i++) {
        int64_t to, from;
        place_of(w, last, i, &to, &from);
        copy_row(w->dim[last], c->size, (char *)w->to + to * (int64_t)c->size, w->to_stride[last],
                 (const char *)w->from + from * (int64_t)c->size, w->from_stride[last]);
    }
}

static void copy_tiles(void *ctx, int64_t first, int64_t end)
{
    const copying *c = ctx;
    const ot_walk *w = &c->w;
    int col = w->rank - 1, row = w->rank - 2;
    for (int64_t i = first; i < end; i++) {
        int64_t to, from, r0 = i % c->tiles * TILE;
        int64_t rows = w->dim[row] - r0 < TILE ? w->dim[row] - r0 : TILE;
        place_of(w, row, i / c->tiles, &to, &from);
        to += r0 * w->to_stride[row];
        from += r0 * w->from_stride[row];
        for (int64_t c0 = 0; c0 < w->dim[col]; c0 += TILE) {
            int64_t cols = w->dim[col] - c0 < TILE ? w->dim[col] - c0 : TILE;
            copy_tile(c->size, rows, cols, (char *)w->to + (to + c0 * w->to_stride[col]) * (int64_t)c->size,
                      w->to_stride[row], w->to_stride[col],
                      (const char *)w->from + (from + c0 * w->from_stride[col]) * (int64_t)c->size, w->from_stride[row],
                      w->from_stride[col]);
        }
    }
}

/* Neighbours share a byte: one thread, one element at a time. */
static void copy_packed(const ot_walk *w, int bits, int64_t n)
{
    int per = 8 / bits;
    unsigned mask = (1u << bits) - 1;
    uint8_t *out = w->to;
    const uint8_t *in = w->from;
    for (int64_t i = 0; i < n; i++) {
        int64_t to, from;
        place_of(w, w->rank, i, &to, &from);
        unsigned v = in[from / per] >> (int)(from % per) * bits & mask;
        int shift = (int)(to % per) * bits;
        out[to / per] = (uint8_t)((out[to / per] & ~(mask << shift)) | v << shift);
    }
}

void ot_walk_copy(const ot_run *r, const ot_walk *walk)
{
    copying c = { .w = *walk };
    int64_t n = 1;
    for (int i = 0; i < walk->rank; i++)
        n *= walk->dim[i];
    if (n == 0)
        return;
    collapse(&c.w);
    int bits = ot_dtype_bits(walk->dtype);
    if (bits > 0 && bits < 8) {
        copy_packed(&c.w, bits, n);
        return;
    }
    c.size = ot_dtype_size(walk->dtype);
    int last = c.w.rank - 1, lead = -1;
    for (int i = 0; i < last; i++)
        if (c.w.from_stride[i] == 1 && c.w.dim[i] >= 4)
            lead = i;
    if (lead >= 0 && c.w.from_stride[last] != 1 && c.w.from_stride[last] != 0) {
        swap_dims(&c.w, lead, last - 1);
        c.tiles = (c.w.dim[last - 1] + TILE - 1) / TILE;
        int64_t work = TILE * c.w.dim[last], blocks = c.tiles;
        for (int i = 0; i < last - 1; i++)
            blocks *= c.w.dim[i];
        ot_for_ranges(r, blocks, work < OT_GRAIN ? OT_GRAIN / work : 1, copy_tiles, &c);
    } else {
        int64_t row = c.w.dim[last];
        ot_for_ranges(r, n / row, row < OT_GRAIN ? OT_GRAIN / row : 1, copy_rows, &c);
    }
}

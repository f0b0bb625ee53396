#include "lattice.h"
#include "transpose.h"

#include <string.h>

void OT_K(ot_lattice_pack_weights)(const product *p, int64_t group, int64_t m0, int rows, int64_t k0, int64_t depth,
                                   float *dst)
{
    const lattice *l = p->ctx;
    const float *w = l->w + group * l->w_group + m0 * l->w_row;
    while (depth > 0) {
        int64_t tap = k0 / l->channels, ch = k0 % l->channels, run = k_min(depth, l->channels - ch), t[3];
        int64_t at = ch * l->w_channel;
        lattice_split(l->taps, tap, t);
        for (int d = 0; d < 3; d++)
            at += l->w_off[d] + t[d] * l->w_tap[d];
        OT_K(ot_pack_rows)(rows, run, w + at, l->w_row, l->w_channel, dst);
        dst += run * rows;
        k0 += run;
        depth -= run;
    }
}

int OT_K(ot_lattice_segments)(const product *p, int64_t n0, int cols, product_seg *seg)
{
    const lattice *l = p->ctx;
    int64_t points = lattice_points(l), row = l->grid[2], q[3];
    int n = 0;
    /* rows that follow each other without a gap are one run up to the end of the image */
    bool dense = l->y_step[1] == l->y_step[2] * l->grid[2] && l->y_step[0] == l->y_step[1] * l->grid[1];
    for (int j = 0; j < cols;) {
        int64_t image = (n0 + j) / points, point = (n0 + j) % points;
        int64_t len = k_min(cols - j, dense ? points - point : row - point % row);
        lattice_split(l->grid, point, q);
        seg[n++] = (product_seg){ image * l->y_image + q[0] * l->y_step[0] + q[1] * l->y_step[1] + q[2] * l->y_step[2],
                                  j, (int)len };
        j += (int)len;
    }
    return n;
}

/* A run of a panel's columns along one row of the grid. */
struct run {
    int64_t image_at; /* the image in x */
    int64_t q[3];
    int j, len;
};

/* A run of columns that reads inside of x: j .. j+len-1 from src, src + step ... */
struct copy {
    int64_t src;
    int j, len;
};

static int find_runs(const lattice *l, int64_t n0, int cols, struct run *run)
{
    int64_t points = lattice_points(l);
    int n = 0;
    for (int j = 0; j < cols; n++) {
        int64_t image = (n0 + j) / points, point = (n0 + j) % points;
        run[n].image_at = image * l->x_image;
        lattice_split(l->grid, point, run[n].q);
        run[n].j = j;
        run[n].len = (int)k_min(cols - j, l->grid[2] - run[n].q[2]);
        j += run[n].len;
    }
    return n;
}

/* Where a tap reads: its offsets, and the columns of the grid that it reads inside of x. */
struct tap {
    int64_t off[3], lo, hi;
};

static struct tap tap_at(const lattice *l, int64_t tap)
{
    int64_t t[3];
    struct tap at;
    lattice_split(l->taps, tap, t);
    for (int d = 0; d < 3; d++)
        at.off[d] = l->off[d] + t[d] * l->off_step[d];
    lattice_inside(l->in[2], l->grid[2], l->step[2], at.off[2], &at.lo, &at.hi);
    return at;
}

/* What of the runs a tap reads inside of x; true if that leaves columns of the panel at 0. */
static bool find_copies(const lattice *l, const struct run *run, int runs, const struct tap *t, struct copy *copy,
                        int *copies)
{
    int n = 0, covered = 0;
    for (int i = 0; i < runs; i++) {
        const int64_t *q = run[i].q;
        int64_t z = q[0] * l->step[0] + t->off[0], y = q[1] * l->step[1] + t->off[1];
        int64_t first = k_max(q[2], t->lo), end = k_min(q[2] + run[i].len, t->hi);
        if (z < 0 || z >= l->in[0] || y < 0 || y >= l->in[1] || first >= end)
            continue;
        struct copy c = { run[i].image_at + (z * l->in[1] + y) * l->in[2] + first * l->step[2] + t->off[2],
                          run[i].j + (int)(first - q[2]), (int)(end - first) };
        covered += c.len;
        if (n > 0 && copy[n - 1].j + copy[n - 1].len == c.j && copy[n - 1].src + copy[n - 1].len * l->step[2] == c.src)
            copy[n - 1].len += c.len;
        else
            copy[n++] = c;
    }
    *copies = n;
    return covered < OT_NR;
}

/* One run of columns for `channels` rows of a panel.  Lengths 4 to 16 are two vectors that may overlap. */
static void copy_dense(const float *src, int64_t plane, int64_t channels, int len, float *dst)
{
    if (len == OT_NR) {
        for (int64_t c = 0; c < channels; c++, src += plane, dst += OT_NR) {
            vf a = v_load(src), b = v_load(src + OT_VL);
            v_store(dst, a);
            v_store(dst + OT_VL, b);
        }
    } else if (len >= OT_VL) {
        for (int64_t c = 0; c < channels; c++, src += plane, dst += OT_NR) {
            vf a = v_load(src), b = v_load(src + len - OT_VL);
            v_store(dst, a);
            v_store(dst + len - OT_VL, b);
        }
#if OT_VL == 16
    } else if (len >= 8) {
        for (int64_t c = 0; c < channels; c++, src += plane, dst += OT_NR) {
            float a[8], b[8];
            memcpy(a, src, sizeof(a));
            memcpy(b, src + len - 8, sizeof(b));
            memcpy(dst, a, sizeof(a));
            memcpy(dst + len - 8, b, sizeof(b));
        }
#endif
    } else if (len >= 4) {
        for (int64_t c = 0; c < channels; c++, src += plane, dst += OT_NR) {
            v4u a = *(const v4u *)src, b = *(const v4u *)(src + len - 4);
            *(v4u *)dst = a;
            *(v4u *)(dst + len - 4) = b;
        }
    } else {
        for (int64_t c = 0; c < channels; c++, src += plane, dst += OT_NR)
            for (int i = 0; i < len; i++)
                dst[i] = src[i];
    }
}

/* Every second float; the last few one by one, so that nothing behind the last is read. */
static void copy_second(const float *src, int64_t plane, int64_t channels, int len, float *dst)
{
    for (int64_t c = 0; c < channels; c++, src += plane, dst += OT_NR) {
        int i = 0;
        for (; i + 4 < len; i += 4) {
            v4 a = *(const v4u *)(src + 2 * i), b = *(const v4u *)(src + 2 * i + 4);
            *(v4u *)(dst + i) = __builtin_shufflevector(a, b, 0, 2, 4, 6);
        }
        for (; i < len; i++)
            dst[i] = src[2 * i];
    }
}

static void copy_strided(const float *src, int64_t plane, int64_t channels, int len, int64_t step, float *dst)
{
    if (step == 2) {
        copy_second(src, plane, channels, len, dst);
        return;
    }
    for (int64_t c = 0; c < channels; c++, src += plane, dst += OT_NR)
        for (int i = 0; i < len; i++)
            dst[i] = src[i * step];
}

/* The rows k of a panel that one tap and `channels` channels make. */
static void pack_tap(const lattice *l, const struct run *run, int runs, const struct tap *tap, const float *x,
                     int64_t channels, float *dst)
{
    struct copy copy[OT_NR];
    int copies;
    if (find_copies(l, run, runs, tap, copy, &copies))
        memset(dst, 0, sizeof(float) * OT_NR * (size_t)channels);
    for (int i = 0; i < copies; i++) {
        if (l->step[2] == 1 || copy[i].len == 1)
            copy_dense(x + copy[i].src, l->plane, channels, copy[i].len, dst + copy[i].j);
        else
            copy_strided(x + copy[i].src, l->plane, channels, copy[i].len, l->step[2], dst + copy[i].j);
    }
}

void OT_K(ot_lattice_pack_b)(const product *p, int64_t group, int64_t n0, int cols, int64_t k0, int64_t depth,
                             float *dst)
{
    const lattice *l = p->ctx;
    struct run run[OT_NT];
    int runs[OT_NT / OT_NR], panels = (int)k_ceil(cols, OT_NR);
    for (int i = 0; i < panels; i++)
        runs[i] = find_runs(l, n0 + i * OT_NR, (int)k_min(OT_NR, cols - i * OT_NR), run + i * OT_NR);
    for (int64_t k = 0; k < depth;) {
        int64_t ch = (k0 + k) % l->channels, n = k_min(depth - k, l->channels - ch);
        struct tap tap = tap_at(l, (k0 + k) / l->channels);
        const float *x = l->x + group * l->x_group + ch * l->plane;
        for (int i = 0; i < panels; i++)
            pack_tap(l, run + i * OT_NR, runs[i], &tap, x, n, dst + (i * depth + k) * OT_NR);
        k += n;
    }
}

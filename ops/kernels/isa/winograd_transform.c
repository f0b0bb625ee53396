/* The transforms of Winograd's F(4x4, 3x3): filters, inputs, outputs. */
#include "winograd.h"
#include "transpose.h"
#include "winograd_points.h"

#include <string.h>

#define LANES OT_VL /* filters at once: a panel's rows */

/* G of three taps, in double. */
OT_INLINE void filter_1d(double g[3][LANES], double t[6][LANES])
{
    const double a = WINO_A1, b = WINO_B1, a2 = a * a, b2 = b * b, n0 = 1 / (a2 * b2);
    const double na = 1 / (2 * a2 * (a2 - b2)), nb = 1 / (2 * b2 * (b2 - a2));
    for (int l = 0; l < LANES; l++) {
        double even = (g[0][l] + a2 * g[2][l]) * na, odd = a * na * g[1][l];
        t[0][l] = g[0][l] * n0;
        t[1][l] = even + odd;
        t[2][l] = even - odd;
        even = (g[0][l] + b2 * g[2][l]) * nb;
        odd = b * nb * g[1][l];
        t[3][l] = even + odd;
        t[4][l] = even - odd;
        t[5][l] = g[2][l];
    }
}

/* The 36 values of each of the filters; g[tap] by filter. */
static void filter_2d(double g[9][LANES], float u[WINO_XI][LANES])
{
    double t[3][6][LANES];
    for (int i = 0; i < 3; i++)
        filter_1d(g + 3 * i, t[i]);
    for (int j = 0; j < 6; j++) {
        double column[3][LANES], s[6][LANES];
        for (int i = 0; i < 3; i++)
            memcpy(column[i], t[i][j], sizeof(column[i]));
        filter_1d(column, s);
        for (int i = 0; i < 6; i++)
            for (int l = 0; l < LANES; l++)
                u[i * 6 + j][l] = (float)s[i][l];
    }
}

void OT_K(ot_wino_filters)(const winograd *w, int64_t group, int64_t m0, int rows, float *u)
{
    double g[9][LANES] = { { 0 } };
    float t[WINO_XI][LANES];
    for (int64_t c = 0; c < w->channels; c++) {
        for (int r = 0; r < rows; r++) {
            const float *f = w->w + group * w->w_group + (m0 + r) * w->w_row + c * w->w_channel;
            for (int i = 0; i < 9; i++)
                g[i][r] = w->turned ? f[8 - i] : f[i];
        }
        filter_2d(g, t);
        for (int xi = 0; xi < WINO_XI; xi++)
            memcpy(u + wino_at(w, group, xi) + m0 * w->channels + c * rows, t[xi], sizeof(float) * (size_t)rows);
    }
}

#define RUN  64                              /* tiles of a row that are transformed together */
#define WIDE (4 * RUN + 8 + OT_LINE + OT_VL) /* their inputs, with room for whole vectors and groups of four */

/* Rows y0 .. y0+rows-1 of a plane, from column x0 on: `width` floats, zeros outside of it and up to `room` floats. */
static void read_rows(const float *x, const int64_t size[2], int64_t y0, int64_t x0, int rows, int64_t width,
                      int64_t room, float d[6][WIDE])
{
    int64_t lo = k_max(0, -x0), hi = k_min(width, size[1] - x0);
    for (int i = 0; i < rows; i++) {
        int64_t y = y0 + i;
        if (y < 0 || y >= size[0] || lo >= hi) {
            memset(d[i], 0, sizeof(float) * (size_t)room);
            continue;
        }
        memset(d[i], 0, sizeof(float) * (size_t)lo);
        memcpy(d[i] + lo, x + y * size[1] + x0 + lo, sizeof(float) * (size_t)(hi - lo));
        memset(d[i] + hi, 0, sizeof(float) * (size_t)(room - hi));
    }
}

OT_INLINE void keep4(float *out, v4 v, int64_t keep)
{
    if (keep >= 4)
        *(v4u *)out = v;
    else
        memcpy(out, &v, sizeof(float) * (size_t)keep);
}

/* Along the row: four tiles, six values each, four apart in s; `keep` of them to out + xi * stride. */
OT_INLINE void input_across(const float *s, float *out, int64_t stride, int64_t keep)
{
    v4 d[6], e[4], t[6];
    for (int i = 0; i < 4; i++)
        d[i] = *(const v4u *)(s + 4 * i);
    transpose4(d);
    e[0] = *(const v4u *)(s + 16);
    d[4] = __builtin_shufflevector(d[0], e[0], 1, 2, 3, 4);
    d[5] = __builtin_shufflevector(d[1], e[0], 1, 2, 3, 5);
    WINO4_INPUT(t, d);
    for (int i = 0; i < 6; i++)
        keep4(out + i * stride, t[i], keep);
}

/* Tiles tx .. tx+n-1 of a tile row to lane 0 .. n-1 of out, which has `lanes`.  Up to three lanes behind are spoilt. */
static void input_run(const winograd *w, const wino_block *b, const float *x, int64_t ty, int64_t tx, int64_t n,
                      int64_t lanes, float *out)
{
    float d[6][WIDE], e[6][WIDE];
    int64_t room = k_ceil(4 * n + 8, OT_VL) * OT_VL + OT_LINE;
    read_rows(x, w->in, 4 * ty - w->pad[0], 4 * tx - w->pad[1], 6, 4 * n + 2, room, d);
    for (int64_t i = 0; i < room; i += OT_VL) {
        vf s[6], t[6];
        for (int j = 0; j < 6; j++)
            s[j] = v_load(d[j] + i);
        WINO4_INPUT(t, s);
        for (int j = 0; j < 6; j++)
            v_store(e[j] + i, t[j]);
    }
    for (int j = 0; j < 6; j++)
        for (int64_t t = 0; t < n; t += 4)
            input_across(e[j] + 4 * t, out + 6 * j * b->v_xi + t, b->v_xi, lanes - t);
}

/* The next run of tiles that lie in one tile row. */
struct tile_run {
    int64_t image, ty, tx, n;
};

static struct tile_run run_at(const winograd *w, const wino_block *b, int64_t t)
{
    int64_t tile = b->tile0 + t, each = w->th * w->tw;
    struct tile_run r = { tile / each, tile % each / w->tw, tile % w->tw, 0 };
    r.tx = tile % each % w->tw;
    r.n = k_min(k_min(w->tw - r.tx, b->tiles - t), RUN);
    return r;
}

void OT_K(ot_wino_input)(const winograd *w, const wino_block *b, int64_t c)
{
    int64_t plane = w->in[0] * w->in[1];
    for (int64_t t = 0; t < b->tiles;) {
        struct tile_run r = run_at(w, b, t);
        const float *x = w->x + ((r.image * w->groups + b->group) * w->channels + c) * plane;
        input_run(w, b, x, r.ty, r.tx, r.n, b->row - t, b->v + c * b->row + t);
        t += r.n;
    }
    for (int64_t t = b->tiles; t < b->row; t++) /* spare lanes: any finite number would do */
        for (int xi = 0; xi < WINO_XI; xi++)
            b->v[xi * b->v_xi + c * b->row + t] = 0;
}

static void gradient_run(const winograd *w, const wino_block *b, const float *dy, const struct tile_run *r,
                         int64_t lanes, float *out)
{
    float d[6][WIDE], e[6][WIDE];
    int64_t room = k_ceil(4 * r->n + 8, OT_VL) * OT_VL + OT_LINE;
    read_rows(dy, w->out, 4 * r->ty, 4 * r->tx, 4, 4 * r->n, room, d);
    for (int64_t i = 0; i < room; i += OT_VL) {
        vf s[4], t[6];
        for (int j = 0; j < 4; j++)
            s[j] = v_load(d[j] + i);
        WINO4_GRADIENT(t, s);
        for (int j = 0; j < 6; j++)
            v_store(e[j] + i, t[j]);
    }
    for (int j = 0; j < 6; j++)
        for (int64_t t = 0; t < r->n; t += 4) {
            v4 y[4], m[6];
            for (int i = 0; i < 4; i++)
                y[i] = *(const v4u *)(e[j] + 4 * (t + i));
            transpose4(y);
            WINO4_GRADIENT(m, y);
            for (int i = 0; i < 6; i++)
                keep4(out + (6 * j + i) * b->m_xi + t, m[i], lanes - t);
        }
}

void OT_K(ot_wino_gradient)(const winograd *w, const wino_block *b, const float *dy, int64_t row)
{
    int64_t plane = w->out[0] * w->out[1];
    for (int64_t t = 0; t < b->tiles;) {
        struct tile_run r = run_at(w, b, t);
        gradient_run(w, b, dy + ((r.image * w->groups + b->group) * w->rows + row) * plane, &r, b->row - t,
                     b->m + row * b->row + t);
        t += r.n;
    }
    for (int64_t t = b->tiles; t < b->row; t++)
        for (int xi = 0; xi < WINO_XI; xi++)
            b->m[xi * b->m_xi + row * b->row + t] = 0;
}

OT_INLINE v4 act4(const ot_epilogue *e, v4 v)
{
    typedef int32_t i4 __attribute__((vector_size(16)));
    if (e->act == OT_ACT_RELU) {
        i4 low = v < 0.0f;
        return (v4)(~low & (i4)v);
    }
    if (e->act == OT_ACT_CLIP) {
        v4 lo = (v4){ 0 } + e->lo, hi = (v4){ 0 } + e->hi;
        i4 low = v < lo;
        v = (v4)((low & (i4)lo) | (~low & (i4)v));
        low = v > hi;
        v = (v4)((low & (i4)hi) | (~low & (i4)v));
    }
    return v;
}

/* Four outputs of a row, of which `len` exist. */
OT_INLINE void put4(const ot_epilogue *e, v4 v, float bias, float *y, const float *res, int64_t len)
{
    v += bias;
    if (len >= 4) {
        if (res)
            v += *(const v4u *)res;
        *(v4u *)y = act4(e, v);
        return;
    }
    v4 r = { 0 };
    if (res)
        memcpy(&r, res, sizeof(float) * (size_t)len);
    v = act4(e, v + r);
    memcpy(y, &v, sizeof(float) * (size_t)len);
}

/* The 4x4 outputs of OT_VL tiles, [y][x] by tile. */
static void output_vectors(const wino_block *b, const float *m, float out[4][4][OT_VL])
{
    vf s[4][6];
    for (int j = 0; j < 6; j++) {
        vf p[6], y[6];
        for (int i = 0; i < 6; i++)
            p[i] = *(const vf *)(m + (i * 6 + j) * b->m_xi);
        WINO4_OUTPUT(y, p);
        for (int i = 0; i < 4; i++)
            s[i][j] = y[i];
    }
    for (int i = 0; i < 4; i++) {
        vf y[6];
        WINO4_OUTPUT(y, s[i]);
        for (int j = 0; j < 4; j++)
            v_store(out[i][j], y[j]);
    }
}

static void output_tiles(const winograd *w, int64_t at, float bias, const struct tile_run *r, float out[4][4][OT_VL],
                         int64_t lane, int64_t n)
{
    for (int64_t t = 0; t < n; t++) {
        int64_t y0 = 4 * r->ty, x0 = 4 * (r->tx + t), rows = k_min(4, w->out[0] - y0), cols = w->out[1] - x0;
        for (int i = 0; i < rows; i++) {
            int64_t to = at + (y0 + i) * w->out[1] + x0;
            v4 v = { out[i][0][lane + t], out[i][1][lane + t], out[i][2][lane + t], out[i][3][lane + t] };
            put4(&w->epi, v, bias, w->y + to, w->epi.residual ? w->epi.residual + to : NULL, cols);
        }
    }
}

void OT_K(ot_wino_output)(const winograd *w, const wino_block *b, int64_t row)
{
    float out[4][4][OT_VL];
    int64_t channel = b->group * w->rows + row, plane = w->out[0] * w->out[1];
    float bias = w->epi.bias ? w->epi.bias[channel] : 0;
    for (int64_t t0 = 0; t0 < b->tiles; t0 += OT_VL) {
        output_vectors(b, b->m + row * b->row + t0, out);
        for (int64_t t = t0; t < k_min(b->tiles, t0 + OT_VL);) {
            struct tile_run r = run_at(w, b, t);
            r.n = k_min(r.n, t0 + OT_VL - t);
            output_tiles(w, (r.image * w->groups * w->rows + channel) * plane, bias, &r, out, t - t0, r.n);
            t += r.n;
        }
    }
}

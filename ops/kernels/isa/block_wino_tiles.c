/* The transforms of tiles over blocks of channels, F(4x4, 3x3) and F(2x2, 3x3): lanes are channels, so they are plain
 * vector arithmetic.  `low` and `narrow` tiles have at most two outputs down or across: see wino_needs. */
#include "block_wino.h"
#include "winograd_points.h"

OT_INLINE void points_of_inputs(vf t[6], const vf d[6], const bool few)
{
    if (few)
        WINO4_INPUT_FEW(t, d);
    else
        WINO4_INPUT(t, d);
}

OT_INLINE void outputs_of_points(vf y[6], const vf m[6], const bool few)
{
    if (few)
        WINO4_OUTPUT_FEW(y, m);
    else
        WINO4_OUTPUT(y, m);
}

OT_INLINE bool unused(int i, const bool few)
{
    return few && (i == 3 || i == 4);
}

/* Inputs (i, j) are at x + i * row + j * col, products go to out + xi * stride. */
OT_INLINE void transform_in4(const float *x, int64_t row, int64_t col, float *out, int64_t stride, const bool low,
                             const bool narrow)
{
    vf s[6][6];
    for (int j = 0; j < (narrow ? 4 : 6); j++) {
        vf c[6], t[6];
        for (int i = 0; i < (low ? 4 : 6); i++)
            c[i] = v_load(x + i * row + j * col);
        points_of_inputs(t, c, low);
        for (int i = 0; i < 6; i++)
            if (!unused(i, low))
                s[i][j] = t[i];
    }
    for (int i = 0; i < 6; i++) {
        vf t[6];
        if (unused(i, low))
            continue;
        points_of_inputs(t, s[i], narrow);
        for (int j = 0; j < 6; j++)
            if (!unused(j, narrow))
                v_store(out + (i * 6 + j) * stride, t[j]);
    }
}

OT_INLINE void transform_in2(const float *x, int64_t row, int64_t col, float *out, int64_t stride)
{
    vf s[4][4];
    for (int j = 0; j < 4; j++) {
        vf c[4], t[4];
        for (int i = 0; i < 4; i++)
            c[i] = v_load(x + i * row + j * col);
        WINO2_INPUT(t, c);
        for (int i = 0; i < 4; i++)
            s[i][j] = t[i];
    }
    for (int i = 0; i < 4; i++) {
        vf t[4];
        WINO2_INPUT(t, s[i]);
        for (int j = 0; j < 4; j++)
            v_store(out + (i * 4 + j) * stride, t[j]);
    }
}

static void transform_in(const wino *k, const wino_place *p, const float *x, int64_t row, int64_t col, float *out,
                         int64_t stride)
{
    const ot_conv_shape *s = &k->v->shape;
    bool low = s->out[0] - p->y <= 2, narrow = s->out[1] - p->x <= 2;
    if (k->out == 2)
        transform_in2(x, row, col, out, stride);
    else if (low && narrow)
        transform_in4(x, row, col, out, stride, true, true);
    else if (low)
        transform_in4(x, row, col, out, stride, true, false);
    else if (narrow)
        transform_in4(x, row, col, out, stride, false, true);
    else
        transform_in4(x, row, col, out, stride, false, false);
}

/* Inputs of a tile that looks over the picture's edge. */
static void copy_padded(const wino *k, const float *x, int64_t y0, int64_t x0, vf d[36])
{
    const ot_conv_shape *s = &k->v->shape;
    int64_t side = k->out + 2;
    for (int64_t i = 0; i < side; i++)
        for (int64_t j = 0; j < side; j++) {
            bool inside = y0 + i >= 0 && y0 + i < s->in[0] && x0 + j >= 0 && x0 + j < s->in[1];
            d[i * side + j] = inside ? v_load(x + ((y0 + i) * s->in[1] + x0 + j) * OT_BLOCK) : v_set(0);
        }
}

void OT_K(ot_wino_inputs)(const wino *k, const wino_block *b, int64_t block)
{
    const ot_conv_shape *s = &k->v->shape;
    int64_t plane = s->in[0] * s->in[1] * OT_BLOCK, side = k->out + 2;
    for (int64_t t = 0; t < b->n; t++) {
        const wino_place *p = &b->place[t];
        int64_t y0 = p->y - s->pad[0], x0 = p->x - s->pad[1];
        bool inside = y0 >= 0 && x0 >= 0 && y0 + side <= s->in[0] && x0 + side <= s->in[1];
        const float *x = k->x + (p->image * s->group * k->cb + b->group * k->cb + block) * plane;
        float *out = b->v + (block * b->n + t) * OT_BLOCK;
        for (int part = 0; part < OT_BLOCK; part += OT_VL) {
            if (inside) {
                transform_in(k, p, x + (y0 * s->in[1] + x0) * OT_BLOCK + part, s->in[1] * OT_BLOCK, OT_BLOCK,
                             out + part, b->v_xi);
            } else {
                vf d[36];
                copy_padded(k, x + part, y0, x0, d);
                transform_in(k, p, (const float *)d, side * OT_VL, OT_VL, out + part, b->v_xi);
            }
        }
    }
}

OT_INLINE void transform_out4(const float *m, int64_t stride, vf y[16], const bool low, const bool narrow)
{
    vf s[4][6];
    for (int j = 0; j < 6; j++) {
        vf c[6], t[6];
        if (unused(j, narrow))
            continue;
        for (int i = 0; i < 6; i++)
            if (!unused(i, low))
                c[i] = v_load(m + (i * 6 + j) * stride);
        outputs_of_points(t, c, low);
        for (int i = 0; i < (low ? 2 : 4); i++)
            s[i][j] = t[i];
    }
    for (int i = 0; i < (low ? 2 : 4); i++) {
        vf t[6];
        outputs_of_points(t, s[i], narrow);
        for (int j = 0; j < (narrow ? 2 : 4); j++)
            y[i * 4 + j] = t[j];
    }
}

OT_INLINE void transform_out2(const float *m, int64_t stride, vf y[16])
{
    vf s[2][4];
    for (int j = 0; j < 4; j++) {
        vf c[4], t[2];
        for (int i = 0; i < 4; i++)
            c[i] = v_load(m + (i * 4 + j) * stride);
        WINO2_OUTPUT(t, c);
        s[0][j] = t[0];
        s[1][j] = t[1];
    }
    for (int i = 0; i < 2; i++) {
        vf t[2];
        WINO2_OUTPUT(t, s[i]);
        y[i * 4] = t[0];
        y[i * 4 + 1] = t[1];
    }
}

/* y[4 i + j] of a tile; what lies behind the picture's edge holds anything. */
static void transform_out(const wino *k, const float *m, int64_t stride, int64_t high, int64_t wide, vf y[16])
{
    if (k->out == 2)
        transform_out2(m, stride, y);
    else if (high <= 2 && wide <= 2)
        transform_out4(m, stride, y, true, true);
    else if (high <= 2)
        transform_out4(m, stride, y, true, false);
    else if (wide <= 2)
        transform_out4(m, stride, y, false, true);
    else
        transform_out4(m, stride, y, false, false);
}

void OT_K(ot_wino_outputs)(const wino *k, const wino_block *b, int64_t block)
{
    const ot_conv_shape *s = &k->v->shape;
    const ot_epilogue *e = k->epi;
    int64_t plane = s->out[0] * s->out[1] * OT_BLOCK, channel = (b->group * k->kb + block) * OT_BLOCK;
    for (int64_t t = 0; t < b->n; t++) {
        const wino_place *p = &b->place[t];
        int64_t to = (p->image * s->group * k->kb + b->group * k->kb + block) * plane;
        int64_t high = k_min(k->out, s->out[0] - p->y), wide = k_min(k->out, s->out[1] - p->x);
        for (int part = 0; part < OT_BLOCK; part += OT_VL) {
            vf y[16], bias = e->bias ? v_load(e->bias + channel + part) : v_set(0);
            transform_out(k, b->m + (block * b->n + t) * OT_BLOCK + part, b->m_xi, high, wide, y);
            for (int64_t i = 0; i < high; i++)
                for (int64_t j = 0; j < wide; j++) {
                    int64_t place = to + ((p->y + i) * s->out[1] + p->x + j) * OT_BLOCK + part;
                    vf v = y[i * 4 + j] + bias;
                    if (e->residual)
                        v += v_load(e->residual + place);
                    v_store(k->y + place, block_clamp(&k->bounds, v));
                }
        }
    }
}

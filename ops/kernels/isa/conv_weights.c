/* The gradient of a convolution's weights: dw[k][tap, channel] = sum over points of dy[k][point] * x[channel][point,
 * tap] as a product with the points as depth, and the gradient of the bias. */
#include "conv.h"
#include "transpose.h"
#include "../rows.h"

#include <string.h>

typedef struct gradient {
    const conv3 *v;
    const float *x, *dy;
} gradient;

/* A[k][image, point] = dy. */
static void pack_dy(const product *p, int64_t group, int64_t m0, int rows, int64_t k0, int64_t depth, float *dst)
{
    const gradient *g = p->ctx;
    const conv3 *v = g->v;
    while (depth > 0) {
        int64_t image = k0 / v->plane_y, point = k0 % v->plane_y, n = k_min(depth, v->plane_y - point);
        const float *dy = g->dy + ((image * v->k + group * v->kg + m0) * v->plane_y + point);
        OT_K(ot_pack_rows)(rows, n, dy, v->plane_y, 1, dst);
        dst += n * rows;
        k0 += n;
        depth -= n;
    }
}

/* A column of B: a tap and a channel. */
struct column {
    const float *x; /* the channel, at the tap's offset in the first two dimensions of the point 0 */
    int64_t off[3], lo, hi;
};

static void find_columns(const gradient *g, int64_t group, int64_t n0, int cols, struct column *col)
{
    const conv3 *v = g->v;
    for (int j = 0; j < cols; j++) {
        int64_t channel = (n0 + j) / v->taps, t[3];
        lattice_split(v->kernel, (n0 + j) % v->taps, t);
        for (int d = 0; d < 3; d++)
            col[j].off[d] = t[d] * v->dilation[d] - v->pad[d];
        col[j].x = g->x + (group * v->cg + channel) * v->plane_x;
        lattice_inside(v->in[2], v->out[2], v->stride[2], col[j].off[2], &col[j].lo, &col[j].hi);
    }
}

/* What a column reads for a row of the grid: output i of lo .. hi-1 at src[i * stride]; lo == hi for nothing. */
struct source {
    const float *src;
    int64_t lo, hi;
};

static struct source source_of(const conv3 *v, const struct column *c, int64_t image, const int64_t q[3], int64_t len)
{
    int64_t z = q[0] * v->stride[0] + c->off[0], y = q[1] * v->stride[1] + c->off[1];
    struct source s = { c->x, k_max(q[2], c->lo), k_min(q[2] + len, c->hi) };
    if (z < 0 || z >= v->in[0] || y < 0 || y >= v->in[1] || s.lo >= s.hi)
        s.lo = s.hi = q[2];
    else
        s.src += image * v->c * v->plane_x + (z * v->in[1] + y) * v->in[2] + c->off[2];
    return s;
}

static void pack_one(const struct source *s, int64_t stride, int64_t lo, int64_t hi, float *dst)
{
    for (int64_t i = k_max(lo, s->lo); i < k_min(hi, s->hi); i++)
        dst[i * OT_NR] = s->src[i * stride];
}

/* Points q[2] .. q[2]+len-1 of a row of the grid; four columns at once where all four read inside of x. */
static void pack_row(const conv3 *v, const struct column *col, int cols, int64_t image, const int64_t q[3], int64_t len,
                     float *dst)
{
    float *from = dst - q[2] * OT_NR; /* at point 0 of the row */
    int j = 0;
    memset(dst, 0, sizeof(float) * OT_NR * (size_t)len);
    for (; v->stride[2] == 1 && j + 4 <= cols; j += 4) {
        struct source s[4];
        int64_t lo = q[2], hi = q[2] + len;
        for (int i = 0; i < 4; i++) {
            s[i] = source_of(v, &col[j + i], image, q, len);
            lo = k_max(lo, s[i].lo);
            hi = k_min(hi, s[i].hi);
        }
        int64_t at = k_min(lo, hi);
        for (; at + 4 <= hi; at += 4) {
            v4 r[4];
            for (int i = 0; i < 4; i++)
                r[i] = *(const v4u *)(s[i].src + at);
            transpose4(r);
            for (int i = 0; i < 4; i++)
                *(v4u *)(from + (at + i) * OT_NR + j) = r[i];
        }
        for (int i = 0; i < 4; i++) {
            pack_one(&s[i], 1, q[2], k_min(lo, at), from + j + i);
            pack_one(&s[i], 1, at, q[2] + len, from + j + i);
        }
    }
    for (; j < cols; j++) {
        struct source s = source_of(v, &col[j], image, q, len);
        pack_one(&s, v->stride[2], s.lo, s.hi, from + j);
    }
}

static void pack_panel(const product *p, int64_t group, int64_t n0, int cols, int64_t k0, int64_t depth, float *dst)
{
    const gradient *g = p->ctx;
    const conv3 *v = g->v;
    struct column col[OT_NR];
    find_columns(g, group, n0, cols, col);
    while (depth > 0) {
        int64_t q[3];
        lattice_split(v->out, k0 % v->plane_y, q);
        int64_t len = k_min(depth, v->out[2] - q[2]);
        pack_row(v, col, cols, k0 / v->plane_y, q, len, dst);
        dst += len * OT_NR;
        k0 += len;
        depth -= len;
    }
}

static void pack_x(const product *p, int64_t group, int64_t n0, int cols, int64_t k0, int64_t depth, float *dst)
{
    for (int j = 0; j < cols; j += OT_NR, dst += depth * OT_NR)
        pack_panel(p, group, n0 + j, (int)k_min(OT_NR, cols - j), k0, depth, dst);
}

static int segments(const product *p, int64_t n0, int cols, product_seg *seg)
{
    (void)p;
    *seg = (product_seg){ n0, 0, cols };
    return 1;
}

int64_t OT_K(ot_conv_weights_floats)(const conv3 *v, int threads)
{
    return OT_K(ot_product_workspace)(v->group, v->kg, v->cg * v->taps, v->n * v->plane_y, false, threads);
}

void OT_K(ot_conv_weights)(const conv3 *v, const float *x, const float *dy, float *dw, float *work,
                           const ot_kernel_pool *pool)
{
    gradient g = { v, x, dy };
    int64_t n = v->cg * v->taps;
    product p = { .groups = v->group,
                  .m = v->kg,
                  .n = n,
                  .k = v->n * v->plane_y,
                  .pack_a = pack_dy,
                  .pack_b = pack_x,
                  .segments = segments,
                  .ctx = &g,
                  .c = dw,
                  .c_row = n,
                  .c_group = v->kg * n,
                  .step = 1 };
    OT_K(ot_product_run)(&p, work, pool);
}

struct bias {
    const conv3 *v;
    const float *dy;
    float *db;
};

static void bias_task(void *ctx, int64_t k, int worker)
{
    const struct bias *b = ctx;
    double sum = 0;
    (void)worker;
    for (int64_t n = 0; n < b->v->n; n++)
        sum += OT_K(ot_row_sum)(b->v->plane_y, b->dy + (n * b->v->k + k) * b->v->plane_y);
    b->db[k] = (float)sum;
}

void OT_K(ot_conv_backward_weights)(const ot_conv_shape *s, const float *x, const float *dy, float *dw, float *db,
                                    void *work, const ot_kernel_pool *pool)
{
    conv3 v = conv3_of(s);
    struct bias b = { &v, dy, db };
    if (dw && conv3_depthwise(&v))
        OT_K(ot_depthwise_weights)(&v, x, dy, dw, pool);
    else if (dw && v.winograd) {
        const ot_epilogue nothing = { 0 };
        winograd t = OT_K(ot_conv_winograd)(&v, x, NULL, NULL, &nothing);
        OT_K(ot_wino_weights)(&t, dy, dw, work, pool);
    } else if (dw)
        OT_K(ot_conv_weights)(&v, x, dy, dw, work, pool);
    if (db)
        k_run(pool, v.k, bias_task, &b);
}

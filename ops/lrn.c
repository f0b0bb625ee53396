/* LRN: y = x / s^beta with s = bias + alpha / size * the sum of x^2 over `size` channels around, from
 * c - (size - 1) / 2 to c + size / 2 (whole numbers), as far as they exist.  Backward reads x.
 *
 * LrnGrad: (dy, x) -> dx[c] = dy[c] / s[c]^beta - 2 alpha beta / size x[c] * the sum of dy[j] x[j] / s[j]^(beta + 1)
 * over the channels j whose windows hold c. */
#include "loss.h"

#include <math.h>

#define TILE   128  /* places of a plane that are worked on together */
#define WIDEST 1024 /* channels of a window; each is summed anew, so a vast one would take for ever */

typedef struct lrn {
    const ot_run *r;
    int64_t n, c, size, before, after, tiles;
    double bias, alpha, beta; /* alpha over size */
} lrn;

static lrn read_lrn(const ot_run *r, const ot_tensor *x)
{
    const int64_t size = ot_attr_int(r->node, "size", 1);
    lrn l = { .r = r,
              .n = x->dim[0],
              .c = x->dim[1],
              .size = 1,
              .before = (size - 1) / 2,
              .after = size / 2,
              .bias = ot_attr_float(r->node, "bias", 1),
              .alpha = ot_attr_float(r->node, "alpha", 1e-4) / (double)size,
              .beta = ot_attr_float(r->node, "beta", 0.75) };
    for (int d = 2; d < x->rank; d++)
        l.size *= x->dim[d];
    l.tiles = (l.size + TILE - 1) / TILE;
    return l;
}

static ot_status lrn_infer(ot_infer *c)
{
    const int64_t size = ot_attr_int(c->node, "size", 0);
    ot_dim d;
    OT_TRY(ot_rank_between(c, 0, 2, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    if (size < 1 || size > INT32_MAX)
        return ot_fail(OT_EMODEL, "size is %lld", (long long)size);
    if (size > WIDEST && !ot_is_symbol(c->x[0]->dim[1]) && c->x[0]->dim[1] > WIDEST)
        return ot_fail(OT_EUNSUPPORTED, "a window of %lld channels over %lld, at most %d are summed", (long long)size,
                       (long long)c->x[0]->dim[1], WIDEST);
    if (c->n_in > 1) { /* LrnGrad */
        OT_TRY(ot_rank_between(c, 1, c->x[0]->rank, c->x[0]->rank));
        for (int i = 0; i < c->x[0]->rank; i++)
            OT_TRY(ot_dims_agree(&d, c->x[0]->dim[i], c->x[1]->dim[i], "dy and x"));
    }
    return ot_same_shape(c);
}

/* The channels first .. last - 1 of a window that reaches `down` below and `up` above c. */
static int64_t first_of(int64_t c, int64_t down)
{
    return c > down ? c - down : 0;
}

static int64_t last_of(const lrn *l, int64_t c, int64_t up)
{
    return l->c - c > up ? c + up + 1 : l->c;
}

#define LRN(T, power, square_root)                                                                                     \
    static T power_##T(T s, double beta) /* s^-beta */                                                                 \
    {                                                                                                                  \
        return beta == 0.75 ? 1 / (square_root(s) * square_root(square_root(s))) : power(s, (T)-beta);                 \
    }                                                                                                                  \
    /* s of channel c for `cols` places */                                                                             \
    static void sums_##T(const lrn *l, const T *x, int64_t c, int64_t cols, T *s)                                      \
    {                                                                                                                  \
        for (int64_t i = 0; i < cols; i++)                                                                             \
            s[i] = 0;                                                                                                  \
        for (int64_t j = first_of(c, l->before); j < last_of(l, c, l->after); j++)                                     \
            for (int64_t i = 0; i < cols; i++)                                                                         \
                s[i] += x[j * l->size + i] * x[j * l->size + i];                                                       \
        for (int64_t i = 0; i < cols; i++)                                                                             \
            s[i] = (T)l->bias + (T)l->alpha * s[i];                                                                    \
    }                                                                                                                  \
    static void forward_##T(void *ctx, int64_t from, int64_t to)                                                       \
    {                                                                                                                  \
        const lrn *l = ctx;                                                                                            \
        T s[TILE];                                                                                                     \
        for (int64_t t = from; t < to; t++) {                                                                          \
            int64_t col = t % l->tiles * TILE, cols = l->size - col < TILE ? l->size - col : TILE;                     \
            int64_t at = t / l->tiles * l->c * l->size + col;                                                          \
            const T *x = (const T *)l->r->x[0].data + at;                                                              \
            T *y = (T *)l->r->y[0].data + at;                                                                          \
            for (int64_t c = 0; c < l->c; c++) {                                                                       \
                sums_##T(l, x, c, cols, s);                                                                            \
                for (int64_t i = 0; i < cols; i++)                                                                     \
                    y[c * l->size + i] = x[c * l->size + i] * power_##T(s[i], l->beta);                                \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void backward_##T(void *ctx, int64_t from, int64_t to)                                                      \
    {                                                                                                                  \
        const lrn *l = ctx;                                                                                            \
        T s[TILE];                                                                                                     \
        const T factor = (T)(2 * l->alpha * l->beta);                                                                  \
        for (int64_t t = from; t < to; t++) {                                                                          \
            int64_t col = t % l->tiles * TILE, cols = l->size - col < TILE ? l->size - col : TILE;                     \
            int64_t at = t / l->tiles * l->c * l->size + col;                                                          \
            const T *dy = (const T *)l->r->x[0].data + at, *x = (const T *)l->r->x[1].data + at;                       \
            T *dx = (T *)l->r->y[0].data + at;                                                                         \
            for (int64_t c = 0; c < l->c; c++)                                                                         \
                for (int64_t i = 0; i < cols; i++)                                                                     \
                    dx[c * l->size + i] = 0;                                                                           \
            for (int64_t c = 0; c < l->c; c++) {                                                                       \
                sums_##T(l, x, c, cols, s);                                                                            \
                for (int64_t i = 0; i < cols; i++) {                                                                   \
                    T g = dy[c * l->size + i] * power_##T(s[i], l->beta);                                              \
                    dx[c * l->size + i] += g;                                                                          \
                    s[i] = factor * g * x[c * l->size + i] / s[i];                                                     \
                }                                                                                                      \
                for (int64_t j = first_of(c, l->before); j < last_of(l, c, l->after); j++)                             \
                    for (int64_t i = 0; i < cols; i++)                                                                 \
                        dx[j * l->size + i] -= x[j * l->size + i] * s[i];                                              \
            }                                                                                                          \
        }                                                                                                              \
    }
LRN(float, powf, sqrtf)
LRN(double, pow, sqrt)

static ot_status lrn_run(const ot_run *r)
{
    lrn l = read_lrn(r, &r->x[0]);
    ot_for_ranges(r, l.n * l.tiles, 1, r->x[0].dtype == OT_DOUBLE ? forward_double : forward_float, &l);
    return OT_OK;
}

static ot_status lrn_grad_run(const ot_run *r)
{
    lrn l = read_lrn(r, &r->x[0]);
    ot_for_ranges(r, l.n * l.tiles, 1, r->x[0].dtype == OT_DOUBLE ? backward_double : backward_float, &l);
    return OT_OK;
}

static void lrn_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "LrnGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0)));
}

static const ot_kernel lrn_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = lrn_run },
    { .name = "reference", .run = lrn_run, .in_double = true },
    { 0 },
};

static const ot_kernel lrn_grad_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = lrn_grad_run },
    { .name = "reference", .run = lrn_grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_LRN = { .domain = "",
                          .name = "LRN",
                          .since = 1,
                          .until = OT_LATEST,
                          .min_in = 1,
                          .max_in = 1,
                          .min_out = 1,
                          .max_out = 1,
                          .infer = lrn_infer,
                          .grad = lrn_differentiate,
                          .cpu = lrn_kernels };

const ot_op ot_op_LrnGrad = { .domain = OT_INTERNAL,
                              .name = "LrnGrad",
                              .since = 1,
                              .until = 1,
                              .min_in = 2,
                              .max_in = 2,
                              .min_out = 1,
                              .max_out = 1,
                              .infer = lrn_infer,
                              .cpu = lrn_grad_kernels };

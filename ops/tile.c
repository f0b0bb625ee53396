/* Tile: (x, repeats) -> x repeated along every axis.  Opset 1 has (x, tiles, axis), floats, instead:
 * TileRepeats: (x, tiles, axis) -> the repeats, which are known where tiles and axis are.
 * Backward reads the repeats, of x only the shape: TileGrad: (dy, x, repeats) -> every element of x gets the sum of its
 * copies, in their order, in double. */
#include "axes.h"
#include "known.h"
#include "run.h"

#include <string.h>

static ot_status check_repeats(const ot_infer *c, int i, int rank)
{
    OT_TRY(ot_rank_between(c, i, 1, 1));
    if (c->x[i]->dtype != OT_INT64)
        return ot_fail(OT_ESHAPE, "the repeats are %s, wanted is int64", ot_dtype_name(c->x[i]->dtype));
    if (!ot_is_symbol(c->x[i]->dim[0]) && c->x[i]->dim[0] != rank)
        return ot_fail(OT_ESHAPE, "%lld repeats for rank %d", (long long)c->x[i]->dim[0], rank);
    return OT_OK;
}

/* Element k of x for element i of y, both in row-major order. */
static int64_t source(const ot_tensor *y, const int64_t *dim, int64_t i)
{
    int64_t at = 0, step = 1;
    for (int d = y->rank - 1; d >= 0; d--) {
        at += i % y->dim[d] % dim[d] * step;
        step *= dim[d];
        i /= y->dim[d];
    }
    return at;
}

static void tile_value(ot_infer *c)
{
    ot_tensor from, to;
    if (!ot_known_view(c, 0, &from) || !ot_value_room(c, &to))
        return;
    for (int64_t i = 0, n = ot_tensor_count(&to); i < n; i++)
        ((ot_dim *)to.data)[i] = ((const ot_dim *)from.data)[source(&to, from.dim, i)];
    ot_hand_on(c, &to);
}

static ot_status tile_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_dim repeat[OT_MAX_RANK], dim[OT_MAX_RANK];
    int n = -1;
    if (ot_open_rank(c, 0))
        return ot_open_like(c, 0);
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    if (!ot_open_rank(c, 1)) {
        OT_TRY(check_repeats(c, 1, x->rank));
        OT_TRY(ot_known_ints(c, 1, OT_MAX_RANK, repeat, &n));
    }
    for (int d = 0; d < x->rank; d++) {
        if (n >= 0 && !ot_is_symbol(repeat[d]) && repeat[d] < 0)
            return ot_fail(OT_ESHAPE, "axis %d is to be repeated %lld times", d, (long long)repeat[d]);
        dim[d] = n < 0 ? ot_dim_unknown(c) : ot_dim_mul(c, x->dim[d], repeat[d]);
    }
    ot_set_shape(&c->y[0], x->dtype, x->rank, dim);
    tile_value(c);
    return OT_OK;
}

/* Dims of x, dims from `inner` on being repeated once: their elements lie together in x and y. */
typedef struct tiling {
    const ot_tensor *x, *y;
    int inner;
    int64_t block, bytes; /* elements, and bytes, of one block */
} tiling;

static tiling tiling_of(const ot_tensor *x, const ot_tensor *y)
{
    tiling t = { .x = x, .y = y, .inner = x->rank, .block = 1 };
    while (t.inner > 0 && x->dim[t.inner - 1] == y->dim[t.inner - 1])
        t.block *= x->dim[--t.inner];
    t.bytes = t.block * (int64_t)ot_dtype_size(x->dtype);
    return t;
}

/* Rows of y: all dims before the last repeated one. */
static void tile_range(void *ctx, int64_t first, int64_t end)
{
    const tiling *t = ctx;
    int last = t->inner - 1;
    int64_t row = last < 0 ? 1 : t->x->dim[last];
    size_t bytes = (size_t)(row * t->bytes);
    for (int64_t i = first; i < end; i++) {
        int64_t k = i, at = 0, step = row;
        for (int d = last - 1; d >= 0; d--) {
            at += k % t->y->dim[d] % t->x->dim[d] * step;
            step *= t->x->dim[d];
            k /= t->y->dim[d];
        }
        int64_t repeats = last < 0 ? 1 : t->y->dim[last] / row;
        char *to = (char *)t->y->data + (size_t)(i * repeats) * bytes;
        memcpy(to, (const char *)t->x->data + at * t->bytes, bytes);
        for (size_t done = bytes, all = (size_t)repeats * bytes; done < all; done *= 2)
            memcpy(to + done, to, done < all - done ? done : all - done);
    }
}

static ot_status tile_run(const ot_run *r)
{
    const ot_tensor *x = &r->x[0], *y = &r->y[0];
    int64_t n = ot_tensor_count(y);
    tiling t = tiling_of(x, y);
    for (int d = 0; d < x->rank; d++)
        if (x->dim[d] && y->dim[d] / x->dim[d] != ot_tensor_get_int(&r->x[1], d))
            return ot_fail(OT_ESHAPE, "the repeats are not what was planned");
    if (n == 0)
        return OT_OK;
    int64_t row = t.block * (t.inner > 0 ? y->dim[t.inner - 1] : 1);
    ot_for_ranges(r, n / row, row < OT_GRAIN ? OT_GRAIN / row : 1, tile_range, &t);
    return OT_OK;
}

static void tile_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "TileGrad", ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1)));
}

static void tile_normalise(ot_build *b)
{
    if (ot_the_node(b)->opset >= 6)
        return;
    if (ot_x(b, 2) == OT_NONE)
        ot_build_fail(b, ot_fail(OT_EMODEL, "the axis is missing"));
    ot_becomes(b, 0, OT_EMIT(b, "Tile", ot_x(b, 0), OT_EMIT(b, "TileRepeats", ot_x(b, 0), ot_x(b, 1), ot_x(b, 2))));
}

/* ---- TileRepeats ---------------------------------------------------------------------------------------------------
 */

static ot_status repeats_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_dim tiles, axis;
    int at;
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, 0, 1));
    OT_TRY(ot_rank_between(c, 2, 0, 1));
    ot_set_shape(&c->y[0], OT_INT64, 1, (const ot_dim[]){ x->rank });
    if (!ot_known_scalar(c, 1, &tiles) || !ot_known_scalar(c, 2, &axis) || ot_is_symbol(axis))
        return OT_OK;
    OT_TRY(ot_axis(&at, axis, x->rank));
    ot_dim *v = ot_value_alloc(c, x->rank);
    for (int d = 0; v && d < x->rank; d++)
        v[d] = d == at ? tiles : 1;
    c->y[0].value = v;
    c->y[0].n_value = v ? x->rank : 0;
    return OT_OK;
}

static ot_status repeats_run(const ot_run *r)
{
    int64_t *y = r->y[0].data;
    int at;
    if (ot_tensor_count(&r->x[1]) != 1 || ot_tensor_count(&r->x[2]) != 1)
        return ot_fail(OT_ESHAPE, "tiles and axis have %lld and %lld elements", (long long)ot_tensor_count(&r->x[1]),
                       (long long)ot_tensor_count(&r->x[2]));
    double tiles = ot_tensor_get(&r->x[1], 0), axis = ot_tensor_get(&r->x[2], 0);
    if (!(tiles >= 0 && tiles < 0x1p62) || !(axis >= -OT_MAX_RANK && axis < OT_MAX_RANK))
        return ot_fail(OT_ESHAPE, "axis %g is to be repeated %g times", axis, tiles);
    OT_TRY(ot_axis(&at, (int64_t)axis, r->x[0].rank));
    for (int d = 0; d < r->x[0].rank; d++)
        y[d] = d == at ? (int64_t)tiles : 1;
    return OT_OK;
}

/* ---- TileGrad ------------------------------------------------------------------------------------------------------
 */

static ot_status grad_infer(ot_infer *c)
{
    const ot_fact *dy = c->x[0], *x = c->x[1];
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_rank_between(c, 1, 0, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 0, x->rank, x->rank));
    OT_TRY(check_repeats(c, 2, x->rank));
    for (int d = 0; d < x->rank; d++) {
        ot_dim of = x->dim[d], to = dy->dim[d];
        if (!ot_is_symbol(of) && !ot_is_symbol(to) && (of == 0 ? to != 0 : to % of != 0))
            return ot_fail(OT_ESHAPE, "%s is no tiling of %s", OT_DIMS(dy->rank, dy->dim), OT_DIMS(x->rank, x->dim));
    }
    return ot_like_shape(c);
}

/* The sum over the copies of element i of x. */
#define GRAD(T)                                                                                                        \
    static void grad_range_##T(void *ctx, int64_t first, int64_t end)                                                  \
    {                                                                                                                  \
        const ot_run *r = ctx;                                                                                         \
        const ot_tensor *dy = &r->x[0], *x = &r->y[0];                                                                 \
        for (int64_t i = first; i < end; i++) {                                                                        \
            int64_t at = 0, step = 1, hop[OT_MAX_RANK], n[OT_MAX_RANK], count[OT_MAX_RANK] = { 0 }, k = i;             \
            double sum = 0;                                                                                            \
            int d;                                                                                                     \
            for (d = x->rank - 1; d >= 0; d--) {                                                                       \
                at += k % x->dim[d] * step;                                                                            \
                hop[d] = x->dim[d] * step;                                                                             \
                n[d] = dy->dim[d] / x->dim[d];                                                                         \
                step *= dy->dim[d];                                                                                    \
                k /= x->dim[d];                                                                                        \
            }                                                                                                          \
            do {                                                                                                       \
                sum += (double)((const T *)dy->data)[at];                                                              \
                for (d = x->rank - 1; d >= 0; d--) {                                                                   \
                    at += hop[d];                                                                                      \
                    if (++count[d] < n[d])                                                                             \
                        break;                                                                                         \
                    at -= hop[d] * n[d];                                                                               \
                    count[d] = 0;                                                                                      \
                }                                                                                                      \
            } while (d >= 0);                                                                                          \
            ((T *)x->data)[i] = (T)sum;                                                                                \
        }                                                                                                              \
    }                                                                                                                  \
    static ot_status grad_##T(const ot_run *r)                                                                         \
    {                                                                                                                  \
        int64_t n = ot_tensor_count(&r->y[0]), copies = n ? ot_tensor_count(&r->x[0]) / n : 0;                         \
        if (n && !copies)                                                                                              \
            memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));                                                        \
        else                                                                                                           \
            ot_for_ranges(r, n, OT_GRAIN / (copies + 1) + 1, grad_range_##T, (void *)r);                               \
        return OT_OK;                                                                                                  \
    }
GRAD(float)
GRAD(double)

static void grad_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "Tile", ot_dy(b, 0), ot_x(b, 2)));
}

/* ---- Registration --------------------------------------------------------------------------------------------------
 */

static const ot_kernel tile_kernels[] = { { .name = "blocks", .run = tile_run }, { 0 } };
static const ot_kernel repeats_kernels[] = { { .name = "loop", .run = repeats_run }, { 0 } };
static const ot_kernel grad_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = grad_float },
    { .name = "reference", .run = grad_double, .in_double = true },
    { 0 },
};

const ot_op ot_op_Tile = { .domain = "",
                           .name = "Tile",
                           .since = 1,
                           .until = OT_LATEST,
                           .min_in = 2,
                           .max_in = 3,
                           .min_out = 1,
                           .max_out = 1,
                           .normalise = tile_normalise,
                           .infer = tile_infer,
                           .grad = tile_differentiate,
                           .cpu = tile_kernels,
                           .view = ot_view_same_dims };

const ot_op ot_op_TileRepeats = { .domain = OT_INTERNAL,
                                  .name = "TileRepeats",
                                  .since = 1,
                                  .until = 1,
                                  .min_in = 3,
                                  .max_in = 3,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = repeats_infer,
                                  .grad = ot_grad_none,
                                  .cpu = repeats_kernels,
                                  .shape_only = 1 };

const ot_op ot_op_TileGrad = { .domain = OT_INTERNAL,
                               .name = "TileGrad",
                               .since = 1,
                               .until = 1,
                               .min_in = 3,
                               .max_in = 3,
                               .min_out = 1,
                               .max_out = 1,
                               .infer = grad_infer,
                               .grad = grad_differentiate,
                               .cpu = grad_kernels,
                               .view = ot_view_same_dims,
                               .shape_only = 6 };

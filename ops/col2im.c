/* Col2Im: x [N, C * block elements, blocks] added up into pictures [N, C, image...]: element t of block o goes to place
 * o * stride - pad + t * dilation, where that is inside.  image and block dims are the inputs 1 and 2.
 * Its gradient is the way back: Im2Col: (dy, image_shape, block_shape) -> dx, with the same attributes. */
#include "axes.h"
#include "conv_shape.h"

#include <string.h>

#define MOST ((int64_t)1 << 31) /* of an attribute, an image's or a block's dim */

static ot_status read_list(const ot_node *n, const char *name, int want, int64_t lo, int64_t otherwise, int64_t *out)
{
    int count;
    const int64_t *v = ot_attr_ints(n, name, &count);
    if (v && count != want)
        return ot_fail(OT_EMODEL, "%s has %d entries, wanted are %d", name, count, want);
    for (int i = 0; i < want; i++) {
        out[i] = v ? v[i] : otherwise;
        if (out[i] < lo || out[i] > MOST)
            return ot_fail(OT_EMODEL, "%s[%d] is %lld", name, i, (long long)out[i]);
    }
    return OT_OK;
}

/* The window of n dims over the image: all are numbers. */
static ot_status read_window(ot_window *w, const ot_node *node, int n, const int64_t *image, const int64_t *block)
{
    int64_t pads[2 * OT_MAX_SPATIAL];
    *w = (ot_window){ .spatial = n };
    OT_TRY(read_list(node, "strides", n, 1, 1, w->stride));
    OT_TRY(read_list(node, "dilations", n, 1, 1, w->dilation));
    OT_TRY(read_list(node, "pads", 2 * n, 0, 0, pads));
    for (int d = 0; d < n; d++) {
        if (image[d] < 0 || image[d] > MOST || block[d] < 1 || block[d] > MOST)
            return ot_fail(OT_ESHAPE, "dimension %d: the image has %lld, the block %lld", d, (long long)image[d],
                           (long long)block[d]);
        w->pad[d] = pads[d];
        w->pad_end[d] = pads[d + n];
        w->in[d] = image[d];
        w->kernel[d] = block[d];
        const int64_t room = image[d] + pads[d] + pads[d + n] - (block[d] - 1) * w->dilation[d] - 1;
        w->out[d] = room < 0 ? 0 : room / w->stride[d] + 1;
    }
    return OT_OK;
}

/* Products of block elements and of blocks; false: out of range. */
static bool products(const ot_window *w, int64_t *taps, int64_t *places)
{
    return ot_count(taps, w->spatial, w->kernel) && ot_count(places, w->spatial, w->out);
}

/* Known dims of image and block; *n of them, -1 when one list is not known. */
static ot_status read_shapes(const ot_infer *c, int *n, ot_dim *image, ot_dim *block)
{
    int n_image, n_block;
    for (int i = 1; i < 3; i++)
        OT_TRY(ot_rank_between(c, i, 1, 1));
    OT_TRY(ot_known_ints(c, 1, OT_MAX_SPATIAL, image, &n_image));
    OT_TRY(ot_known_ints(c, 2, OT_MAX_SPATIAL, block, &n_block));
    *n = n_image < 0 || n_block < 0 ? -1 : n_image;
    if (*n >= 0 && n_image != n_block)
        return ot_fail(OT_ESHAPE, "the image has %d dims, the block %d", n_image, n_block);
    if (*n == 0)
        return ot_fail(OT_ESHAPE, "an image of no dims");
    for (int i = 0; i < *n; i++)
        if (ot_is_symbol(block[i]))
            *n = -1;
    return OT_OK;
}

static bool all_numbers(int n, const ot_dim *dim)
{
    for (int i = 0; i < n; i++)
        if (ot_is_symbol(dim[i]))
            return false;
    return true;
}

static ot_status col2im_infer(ot_infer *c)
{
    ot_dim image[OT_MAX_SPATIAL], block[OT_MAX_SPATIAL], dim[OT_MAX_RANK], d;
    ot_window w;
    int n;
    int64_t taps, places;
    OT_TRY(ot_rank_between(c, 0, 3, 3));
    const ot_fact *x = c->x[0];
    if (!ot_dtype_is_int(x->dtype) || ot_dtype_size(x->dtype) == 0)
        OT_TRY(ot_needs_float(c, 0));
    OT_TRY(read_shapes(c, &n, image, block));
    if (n < 0) {
        const ot_dim rank = c->x[1]->dim[0];
        c->y[0].dtype = x->dtype;
        if (ot_is_symbol(rank) || rank < 1 || rank > OT_MAX_SPATIAL)
            return OT_OK;
        for (int k = 0; k < (int)rank + 2; k++)
            dim[k] = k == 0 ? x->dim[0] : k > 1 && c->x[1]->value ? c->x[1]->value[k - 2] : ot_dim_unknown(c);
        ot_set_shape(&c->y[0], x->dtype, (int)rank + 2, dim);
        return OT_OK;
    }
    const bool numbers = all_numbers(n, image);
    int64_t stand_in[OT_MAX_SPATIAL];
    for (int i = 0; i < n; i++)
        stand_in[i] = numbers ? image[i] : 1;
    OT_TRY(read_window(&w, c->node, n, stand_in, block));
    if (!products(&w, &taps, &places))
        return ot_fail(OT_ESHAPE, "blocks of %s in %s", OT_DIMS(n, w.kernel), OT_DIMS(n, w.in));
    if (!ot_is_symbol(x->dim[1]) && x->dim[1] % taps != 0)
        return ot_fail(OT_ESHAPE, "%lld rows are not channels of %lld elements of a block", (long long)x->dim[1],
                       (long long)taps);
    if (numbers)
        OT_TRY(ot_dims_agree(&d, x->dim[2], places, "the number of blocks"));
    dim[0] = x->dim[0];
    dim[1] = ot_dim_div(c, x->dim[1], taps);
    memcpy(dim + 2, image, (size_t)n * sizeof(*dim));
    ot_set_shape(&c->y[0], x->dtype, n + 2, dim);
    return OT_OK;
}

static ot_status im2col_infer(ot_infer *c)
{
    ot_dim image[OT_MAX_SPATIAL], block[OT_MAX_SPATIAL];
    ot_window w;
    int n;
    int64_t taps, places;
    OT_TRY(ot_rank_between(c, 0, 3, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(read_shapes(c, &n, image, block));
    const ot_fact *dy = c->x[0];
    ot_dim dim[3] = { dy->dim[0], 0, 0 };
    if (n < 0 || !all_numbers(n, image)) {
        dim[1] = ot_dim_unknown(c);
        dim[2] = ot_dim_unknown(c);
    } else {
        if (dy->rank != n + 2)
            return ot_fail(OT_ESHAPE, "dy has rank %d, the image %d", dy->rank, n);
        for (int d = 0; d < n; d++)
            OT_TRY(ot_dims_agree(&image[d], image[d], dy->dim[d + 2], "dims of dy and of the image"));
        OT_TRY(read_window(&w, c->node, n, image, block));
        if (!products(&w, &taps, &places))
            return ot_fail(OT_ESHAPE, "blocks of %s in %s", OT_DIMS(n, w.kernel), OT_DIMS(n, w.in));
        dim[1] = ot_dim_mul(c, dy->dim[1], taps);
        dim[2] = places;
    }
    ot_set_shape(&c->y[0], dy->dtype, 3, dim);
    return OT_OK;
}

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

typedef struct fold {
    const ot_run *r;
    ot_window w;
    int64_t planes, taps, places, size;
} fold;

static ot_status read_fold(fold *f, const ot_run *r, const ot_tensor *pictures)
{
    const int n = (int)ot_tensor_count(&r->x[1]);
    int64_t image[OT_MAX_SPATIAL], block[OT_MAX_SPATIAL];
    if (n < 1 || n != pictures->rank - 2 || ot_tensor_count(&r->x[2]) != n)
        return ot_fail(OT_ESHAPE, "the image has %d dims, the pictures %d", n, pictures->rank - 2);
    for (int d = 0; d < n; d++) {
        image[d] = ot_tensor_get_int(&r->x[1], d);
        block[d] = ot_tensor_get_int(&r->x[2], d);
        if (image[d] != pictures->dim[d + 2])
            return ot_fail(OT_ESHAPE, "dimension %d of the image changed", d);
    }
    *f = (fold){ .r = r, .planes = pictures->dim[0] * pictures->dim[1] };
    OT_TRY(read_window(&f->w, r->node, n, image, block));
    f->size = ot_window_size(&f->w, f->w.in);
    if (!products(&f->w, &f->taps, &f->places))
        return ot_fail(OT_ESHAPE, "blocks of %s", OT_DIMS(n, f->w.kernel));
    const ot_tensor *columns = pictures == &r->y[0] ? &r->x[0] : &r->y[0];
    if (columns->dim[1] != pictures->dim[1] * f->taps || columns->dim[2] != f->places)
        return ot_fail(OT_ESHAPE, "columns of %s", OT_DIMS(3, columns->dim));
    return OT_OK;
}

/* One plane; places where an element of a block goes, or -1. */
#define PLANES(name, statement)                                                                                        \
    static void name(void *ctx, int64_t from, int64_t to)                                                              \
    {                                                                                                                  \
        const fold *f = ctx;                                                                                           \
        int64_t o[OT_MAX_SPATIAL], t[OT_MAX_SPATIAL];                                                                  \
        for (int64_t p = from; p < to; p++)                                                                            \
            for (int64_t i = 0; i < f->taps * f->places; i++) {                                                        \
                ot_unravel(f->w.spatial, f->w.kernel, i / f->places, t);                                               \
                ot_unravel(f->w.spatial, f->w.out, i % f->places, o);                                                  \
                const int64_t inside = ot_window_place(&f->w, o, t), at = p * f->size + inside;                        \
                const int64_t column = p * f->taps * f->places + i;                                                    \
                statement;                                                                                             \
            }                                                                                                          \
    }
#define ADD(T)                                                                                                         \
    if (inside >= 0)                                                                                                   \
    ((T *)f->r->y[0].data)[at] += ((const T *)f->r->x[0].data)[column]
#define TAKE(T) ((T *)f->r->y[0].data)[column] = inside < 0 ? 0 : ((const T *)f->r->x[0].data)[at]
PLANES(add_float, ADD(float))
PLANES(add_double, ADD(double))
PLANES(take_float, TAKE(float))
PLANES(take_double, TAKE(double))

PLANES(
    add_int, if (inside >= 0) {
        ot_tensor y = f->r->y[0];
        ot_tensor_set_int(
            &y, at, (int64_t)((uint64_t)ot_tensor_get_int(&y, at) + (uint64_t)ot_tensor_get_int(&f->r->x[0], column)));
    })

static ot_status col2im_run(const ot_run *r)
{
    fold f;
    const ot_dtype t = r->y[0].dtype;
    OT_TRY(read_fold(&f, r, &r->y[0]));
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    ot_for_ranges(r, f.planes, 1, t == OT_FLOAT ? add_float : t == OT_DOUBLE ? add_double : add_int, &f);
    return OT_OK;
}

static ot_status im2col_run(const ot_run *r)
{
    fold f;
    OT_TRY(read_fold(&f, r, &r->x[0]));
    ot_for_ranges(r, f.planes, 1, r->y[0].dtype == OT_FLOAT ? take_float : take_double, &f);
    return OT_OK;
}

static void col2im_differentiate(ot_build *b)
{
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "Im2Col", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 1), ot_x(b, 2)));
}

static void im2col_differentiate(ot_build *b)
{
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "Col2Im", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 1), ot_x(b, 2)));
}

static const ot_kernel col2im_kernels[] = {
    { .name = "loop", .declines = ot_float32_only, .run = col2im_run },
    { .name = "reference", .run = col2im_run, .in_double = true },
    { 0 },
};

static const ot_kernel im2col_kernels[] = {
    { .name = "loop", .declines = ot_float32_only, .run = im2col_run },
    { .name = "reference", .run = im2col_run, .in_double = true },
    { 0 },
};

#define FOLD(Name, where, first, last, rule, gradient, kernels)                                                        \
    const ot_op ot_op_##Name = { .domain = (where),                                                                    \
                                 .name = #Name,                                                                        \
                                 .since = (first),                                                                     \
                                 .until = (last),                                                                      \
                                 .min_in = 3,                                                                          \
                                 .max_in = 3,                                                                          \
                                 .min_out = 1,                                                                         \
                                 .max_out = 1,                                                                         \
                                 .infer = (rule),                                                                      \
                                 .grad = (gradient),                                                                   \
                                 .cpu = (kernels) }

FOLD(Col2Im, "", 18, OT_LATEST, col2im_infer, col2im_differentiate, col2im_kernels);
FOLD(Im2Col, OT_INTERNAL, 1, 1, im2col_infer, im2col_differentiate, im2col_kernels);

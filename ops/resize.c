/* Resize: x with some axes longer or shorter, by nearest, linear or cubic interpolation; Upsample is its old form.
 * Inputs are x, roi, scales and sizes (one of the two).  Resizing is separable: axis after axis, each by its table of
 * taps (resize_taps.h); for nearest all at once, by copying.  Backward needs the shape of x alone:
 * ResizeGrad: (dy, x for its shape, roi, scales, sizes) -> dx, the adjoint. */
#include "resize_taps.h"

#include <math.h>
#include <string.h>

/* ---- Nearest: any element type --------------------------------------------------------------------------------- */

static bool is_empty(int rank, const int64_t *a, const int64_t *b)
{
    for (int d = 0; d < rank; d++)
        if (a[d] == 0 || b[d] == 0)
            return true;
    return false;
}

static const char *nearest_declines(const ot_prep *p)
{
    return strcmp(ot_attr_text(p->node, "mode", "nearest"), "nearest") ? "it interpolates" : NULL;
}

static ot_status nearest_prepare(ot_prep *p)
{
    ot_resize h;
    const ot_fact *x = p->x[0], *y = p->y[0];
    OT_TRY(ot_resize_read(&h, p->node, x->rank));
    if (!is_empty(x->rank, x->dim, y->dim) && !ot_resize_room(&h, x->rank, x->dim, y->dim, &p->scratch))
        return ot_fail(OT_ENOMEM, "%s", OT_DIMS(y->rank, y->dim));
    return OT_OK;
}

typedef struct nearest {
    const ot_tensor *x;
    const ot_tensor *y;
    const int64_t *from[OT_MAX_RANK]; /* of each index of a dim of y; NULL: the same */
    size_t size;
    _Alignas(16) char outside[16]; /* the extrapolation value */
} nearest;

/* One row, along the last axis, of `n` elements; from: NULL or an index for each. */
static void copy_row(const nearest *s, char *y, const char *x, const int64_t *from, int64_t n)
{
    if (!from) {
        memcpy(y, x, (size_t)n * s->size);
        return;
    }
#define ROW(T)                                                                                                         \
    for (int64_t i = 0; i < n; i++)                                                                                    \
    ((T *)(void *)y)[i] = from[i] < 0 ? *(const T *)(const void *)s->outside : ((const T *)(const void *)x)[from[i]]
    switch (s->size) {
    case 1:
        ROW(uint8_t);
        break;
    case 2:
        ROW(uint16_t);
        break;
    case 4:
        ROW(uint32_t);
        break;
    case 8:
        ROW(uint64_t);
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            memcpy(y + (size_t)i * s->size, from[i] < 0 ? s->outside : x + (size_t)from[i] * s->size, s->size);
    }
#undef ROW
}

static void nearest_rows(void *ctx, int64_t from, int64_t to)
{
    const nearest *s = ctx;
    const int last = s->y->rank - 1;
    const int64_t n = s->y->dim[last];
    for (int64_t row = from; row < to; row++) {
        int64_t at = 0, rest = row, step = 1;
        bool inside = true;
        for (int d = last - 1; d >= 0; d--) {
            const int64_t o = rest % s->y->dim[d], i = s->from[d] ? s->from[d][o] : o;
            rest /= s->y->dim[d];
            inside &= i >= 0;
            at += i * step;
            step *= s->x->dim[d];
        }
        char *y = (char *)s->y->data + (size_t)(row * n) * s->size;
        if (inside)
            copy_row(s, y, (const char *)s->x->data + (size_t)(at * s->x->dim[last]) * s->size, s->from[last], n);
        for (int64_t i = 0; i < n && !inside; i++)
            memcpy(y + (size_t)i * s->size, s->outside, s->size);
    }
}

static ot_status nearest_run(const ot_run *r)
{
    ot_resize h;
    ot_taps taps[OT_MAX_RANK];
    const ot_tensor *x = &r->x[0], *y = &r->y[0];
    const ot_resize_target t = ot_resize_target_of(r, 1);
    nearest s = { .x = x, .y = y, .size = ot_dtype_size(y->dtype) };
    ot_tensor one = { .dtype = y->dtype, .data = s.outside };
    OT_TRY(ot_resize_read(&h, r->node, x->rank));
    if (ot_tensor_count(y) == 0)
        return OT_OK;
    if (x->rank == 0) {
        memcpy(y->data, x->data, s.size);
        return OT_OK;
    }
    ot_tensor_set(&one, 0, h.extrapolation);
    OT_TRY(ot_resize_tables(&h, &t, x->rank, x->dim, y->dim, r->scratch, taps));
    for (int k = 0; k < h.n_axes; k++)
        s.from[taps[k].axis] = taps[k].same ? NULL : taps[k].at;
    const int64_t n = y->dim[y->rank - 1];
    ot_for_ranges(r, ot_tensor_count(y) / n, OT_GRAIN / n + 1, nearest_rows, &s);
    return OT_OK;
}

/* ---- Linear and cubic ------------------------------------------------------------------------------------------ */

typedef struct pass {
    const ot_taps *t;
    const void *x;
    void *y;
    double outside;
} pass;

/* y[outer][out][inner] from x[outer][in][inner]; a range is of pairs (outer, out), or of outer where inner is 1. */
#define PASS(T)                                                                                                        \
    static void row_##T(const ot_taps *t, T outside, const T *x, T *y)                                                 \
    {                                                                                                                  \
        for (int64_t o = 0; o < t->out; o++) {                                                                         \
            const int64_t *at = t->at + o * t->n;                                                                      \
            const double *w = t->weight + o * t->n;                                                                    \
            T sum = at[0] < 0 ? outside : (T)w[0] * x[at[0]];                                                          \
            for (int k = 1; k < t->n && at[0] >= 0; k++)                                                               \
                sum += (T)w[k] * x[at[k]];                                                                             \
            y[o] = sum;                                                                                                \
        }                                                                                                              \
    }                                                                                                                  \
    static void mix_##T(const ot_taps *t, const int64_t *at, const double *w, T outside, const T *x, T *restrict y)    \
    {                                                                                                                  \
        const int64_t n = t->inner;                                                                                    \
        if (at[0] < 0) {                                                                                               \
            for (int64_t i = 0; i < n; i++)                                                                            \
                y[i] = outside;                                                                                        \
            return;                                                                                                    \
        }                                                                                                              \
        const T *a = x + at[0] * n, wa = (T)w[0];                                                                      \
        if (t->n > 1) {                                                                                                \
            const T *b = x + at[1] * n, wb = (T)w[1];                                                                  \
            for (int64_t i = 0; i < n; i++)                                                                            \
                y[i] = wa * a[i] + wb * b[i];                                                                          \
        } else {                                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                                            \
                y[i] = wa * a[i];                                                                                      \
        }                                                                                                              \
        for (int k = 2; k < t->n; k++) {                                                                               \
            const T *c = x + at[k] * n, wc = (T)w[k];                                                                  \
            for (int64_t i = 0; i < n; i++)                                                                            \
                y[i] += wc * c[i];                                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    static void pass_##T(void *ctx, int64_t from, int64_t to)                                                          \
    {                                                                                                                  \
        const pass *p = ctx;                                                                                           \
        const ot_taps *t = p->t;                                                                                       \
        for (int64_t i = from; i < to; i++) {                                                                          \
            if (t->inner == 1) {                                                                                       \
                row_##T(t, (T)p->outside, (const T *)p->x + i * t->in, (T *)p->y + i * t->out);                        \
                continue;                                                                                              \
            }                                                                                                          \
            const int64_t o = i % t->out;                                                                              \
            mix_##T(t, t->at + o * t->n, t->weight + o * t->n, (T)p->outside,                                          \
                    (const T *)p->x + i / t->out * t->in * t->inner, (T *)p->y + i * t->inner);                        \
        }                                                                                                              \
    }
PASS(float)
PASS(double)

static const char *separable_declines(const ot_prep *p)
{
    return nearest_declines(p) ? ot_float32_only(p) : "it copies";
}

static const char *reference_declines(const ot_prep *p)
{
    return nearest_declines(p) ? NULL : "it copies";
}

/* Scratch: tables, then two buffers as large as x or y, of doubles. */
static ot_status separable_prepare(ot_prep *p)
{
    ot_resize h;
    const ot_fact *x = p->x[0], *y = p->y[0];
    int64_t a, b;
    size_t bytes, buffers;
    OT_TRY(ot_resize_read(&h, p->node, x->rank));
    if (is_empty(x->rank, x->dim, y->dim))
        return OT_OK;
    if (!ot_count(&a, x->rank, x->dim) || !ot_count(&b, y->rank, y->dim) ||
        !ot_resize_room(&h, x->rank, x->dim, y->dim, &bytes) ||
        !ot_mul(&buffers, (size_t)(a > b ? a : b), 2 * sizeof(double)) || bytes + buffers < bytes)
        return ot_fail(OT_ENOMEM, "%s", OT_DIMS(y->rank, y->dim));
    p->scratch = bytes + buffers;
    return OT_OK;
}

/* The turns of r, x and y being of double or float data. */
static void turns(const ot_run *r, const ot_taps *taps, int n, double outside, const void *x, void *y,
                  void *const *room)
{
    const bool wide = r->y[0].dtype != OT_FLOAT;
    for (int k = 0; k < n; k++) {
        const ot_taps *t = &taps[k];
        pass p = { t, k == 0 ? x : room[(k - 1) & 1], k == n - 1 ? y : room[k & 1], outside };
        const int64_t units = t->inner == 1 ? t->outer : t->outer * t->out;
        const int64_t cost = (t->inner == 1 ? t->out : t->inner) * t->n;
        ot_for_ranges(r, units, OT_GRAIN / cost + 1, wide ? pass_double : pass_float, &p);
    }
}

static ot_status separable_run(const ot_run *r)
{
    ot_resize h;
    ot_taps taps[OT_MAX_RANK];
    size_t bytes;
    const ot_tensor *x = &r->x[0];
    ot_tensor *y = &r->y[0];
    const ot_resize_target t = ot_resize_target_of(r, 1);
    const bool whole = ot_dtype_is_int(x->dtype);
    const int64_t nx = ot_tensor_count(x), ny = ot_tensor_count(y), larger = nx > ny ? nx : ny;
    OT_TRY(ot_resize_read(&h, r->node, x->rank));
    if (nx == 0 || ny == 0)
        return OT_OK;
    OT_TRY(ot_resize_tables(&h, &t, x->rank, x->dim, y->dim, r->scratch, taps));
    ot_resize_room(&h, x->rank, x->dim, y->dim, &bytes);
    const int n = ot_resize_order(taps, h.n_axes, x->rank, x->dim);
    double *room[2] = { (double *)(void *)((char *)r->scratch + bytes), NULL };
    room[1] = room[0] + larger;
    if (n == 0) {
        memcpy(y->data, x->data, ot_tensor_bytes(y));
    } else if (whole) { /* x goes where turn 1 writes to, y where the last but one does not */
        double *last = room[(n - 1) & 1];
        for (int64_t i = 0; i < nx; i++)
            room[1][i] = (double)ot_tensor_get_int(x, i);
        turns(r, taps, n, h.extrapolation, room[1], last, (void *const *)room);
        for (int64_t i = 0; i < ny; i++)
            ot_tensor_set(y, i, rint(last[i]));
    } else {
        turns(r, taps, n, h.extrapolation, x->data, y->data, (void *const *)room);
    }
    return OT_OK;
}

/* ---- The gradient ---------------------------------------------------------------------------------------------- */

static void resize_differentiate(ot_build *b)
{
    if (!ot_wants(b, 0))
        return;
    ot_give(b, 0,
            OT_EMIT_WITH(b, "ResizeGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1), ot_x(b, 2),
                         ot_x(b, 3)));
}

static ot_status grad_infer(ot_infer *c)
{
    ot_resize h;
    OT_TRY(ot_rank_between(c, 1, 0, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_rank_between(c, 0, c->x[1]->rank, c->x[1]->rank));
    OT_TRY(ot_resize_read(&h, c->node, c->x[1]->rank));
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

/* x[outer][in][inner] gets y[outer][out][inner] through the taps. */
#define ADJOINT(T)                                                                                                     \
    static void adjoint_##T(void *ctx, int64_t from, int64_t to)                                                       \
    {                                                                                                                  \
        const pass *p = ctx;                                                                                           \
        const ot_taps *t = p->t;                                                                                       \
        for (int64_t i = from; i < to; i++) {                                                                          \
            T *x = (T *)p->y + i * t->in * t->inner;                                                                   \
            memset(x, 0, (size_t)(t->in * t->inner) * sizeof(T));                                                      \
            for (int64_t o = 0; o < t->out * t->n; o++) {                                                              \
                const T *y = (const T *)p->x + (i * t->out + o / t->n) * t->inner, w = (T)t->weight[o];                \
                T *to_x = x + (t->at[o] < 0 ? 0 : t->at[o]) * t->inner;                                                \
                for (int64_t k = 0; k < t->inner && t->at[o] >= 0; k++)                                                \
                    to_x[k] += w * y[k];                                                                               \
            }                                                                                                          \
        }                                                                                                              \
    }
ADJOINT(float)
ADJOINT(double)

static ot_status grad_prepare(ot_prep *p)
{
    const ot_fact *x[2] = { p->x[1], p->x[0] };
    ot_prep forward = { .node = p->node, .x = x, .y = x + 1 };
    OT_TRY(separable_prepare(&forward));
    p->scratch = forward.scratch;
    return OT_OK;
}

static ot_status grad_run(const ot_run *r)
{
    ot_resize h;
    ot_taps taps[OT_MAX_RANK];
    size_t bytes;
    const ot_tensor *dy = &r->x[0], *dx = &r->y[0];
    const ot_resize_target t = ot_resize_target_of(r, 2);
    const int64_t nx = ot_tensor_count(dx), ny = ot_tensor_count(dy), larger = nx > ny ? nx : ny;
    OT_TRY(ot_resize_read(&h, r->node, dx->rank));
    if (nx == 0 || ny == 0) {
        memset(dx->data, 0, ot_tensor_bytes(dx));
        return OT_OK;
    }
    OT_TRY(ot_resize_tables(&h, &t, dx->rank, dx->dim, dy->dim, r->scratch, taps));
    ot_resize_room(&h, dx->rank, dx->dim, dy->dim, &bytes);
    const int n = ot_resize_order(taps, h.n_axes, dx->rank, dx->dim);
    double *room[2] = { (double *)(void *)((char *)r->scratch + bytes), NULL };
    room[1] = room[0] + larger;
    if (n == 0)
        memcpy(dx->data, dy->data, ot_tensor_bytes(dx));
    for (int k = n - 1; k >= 0; k--) {
        pass p = { &taps[k], k == n - 1 ? dy->data : (void *)room[(k + 1) & 1], k == 0 ? dx->data : (void *)room[k & 1],
                   0 };
        const int64_t cost = taps[k].out * taps[k].n * taps[k].inner;
        ot_for_ranges(r, taps[k].outer, OT_GRAIN / cost + 1, dx->dtype == OT_FLOAT ? adjoint_float : adjoint_double,
                      &p);
    }
    return OT_OK;
}

static void grad_differentiate(ot_build *b) /* linear: the adjoint of the adjoint */
{
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "Resize", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 2), ot_x(b, 3), ot_x(b, 4)));
}

/* ---- Old forms ------------------------------------------------------------------------------------------------- */

/* Resize-10 and Upsample take the element before x / scale. */
static void emit_old(ot_build *b, const char *mode, ot_val scales)
{
    const ot_attr *attr = OT_ATTRS(OT_TEXT("mode", mode), OT_TEXT("coordinate_transformation_mode", "asymmetric"),
                                   OT_TEXT("nearest_mode", "floor"));
    ot_becomes(b, 0, OT_EMIT_WITH(b, "Resize", attr, ot_x(b, 0), OT_NONE, scales));
}

static void resize_normalise(ot_build *b)
{
    if (ot_the_node(b)->opset < 11)
        emit_old(b, ot_attr_text(ot_the_node(b), "mode", "nearest"), ot_x(b, 1));
}

static void upsample_normalise(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const char *mode = ot_attr_text(n, "mode", "nearest");
    const ot_attr *given = ot_attr_find(n, "scales");
    float scales[OT_MAX_RANK] = { 1, 1, (float)ot_attr_float(n, "height_scale", 0),
                                  (float)ot_attr_float(n, "width_scale", 0) };
    ot_tensor t = { .dtype = OT_FLOAT, .rank = 1, .dim = { 4 }, .data = scales };
    ot_val v = ot_x(b, 1);
    if (n->opset >= 7 && n->opset < 9) {
        if (!given || given->type != OT_ATTR_FLOATS || given->n > OT_MAX_RANK) {
            ot_build_fail(b, ot_fail(OT_EMODEL, "attribute scales is missing or too long"));
            return;
        }
        if (given->n > 0)
            memcpy(scales, given->floats, (size_t)given->n * sizeof(*scales));
        t.dim[0] = given->n;
    }
    if (n->opset < 9)
        v = ot_const_tensor(b, &t);
    emit_old(b, strcmp(mode, "bilinear") == 0 ? "linear" : mode, v);
}

static const ot_kernel resize_kernels[] = {
    { .name = "copy", .declines = nearest_declines, .prepare = nearest_prepare, .run = nearest_run },
    { .name = "separable", .declines = separable_declines, .prepare = separable_prepare, .run = separable_run },
    { .name = "reference",
      .declines = reference_declines,
      .prepare = separable_prepare,
      .run = separable_run,
      .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "separable", .declines = ot_float32_only, .prepare = grad_prepare, .run = grad_run },
    { .name = "reference", .prepare = grad_prepare, .run = grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_Resize = { .domain = "",
                             .name = "Resize",
                             .since = 10,
                             .until = OT_LATEST,
                             .min_in = 1,
                             .max_in = 4,
                             .min_out = 1,
                             .max_out = 1,
                             .normalise = resize_normalise,
                             .infer = ot_resize_rule,
                             .grad = resize_differentiate,
                             .cpu = resize_kernels };

const ot_op ot_op_Upsample = { .domain = "",
                               .name = "Upsample",
                               .since = 1,
                               .until = 9,
                               .min_in = 1,
                               .max_in = 2,
                               .min_out = 1,
                               .max_out = 1,
                               .normalise = upsample_normalise,
                               .infer = ot_resize_rule };

const ot_op ot_op_ResizeGrad = { .domain = OT_INTERNAL,
                                 .name = "ResizeGrad",
                                 .since = 1,
                                 .until = 1,
                                 .min_in = 2,
                                 .max_in = 5,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = grad_infer,
                                 .grad = grad_differentiate,
                                 .cpu = grad_kernels,
                                 .shape_only = 1u << 1 };

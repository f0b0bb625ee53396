#include "resize_taps.h"

#include <math.h>
#include <string.h>

enum { FLOOR_FIRST, CEIL_FIRST, FLOOR, CEIL };
enum { HALF_PIXEL, SYMMETRIC, PYTORCH, ALIGN, ASYMMETRIC, CROP };
enum { STRETCH, NOT_LARGER, NOT_SMALLER };

static ot_status choice(int *out, const ot_node *n, const char *name, const char *const *words)
{
    const char *text = ot_attr_text(n, name, words[0]);
    for (*out = 0; words[*out]; ++*out)
        if (strcmp(words[*out], text) == 0)
            return OT_OK;
    return ot_fail(OT_EMODEL, "%s is '%s'", name, text);
}

static ot_status read_axes(ot_resize *h, const ot_node *n, int rank)
{
    int count;
    const int64_t *axes = ot_attr_ints(n, "axes", &count);
    bool seen[OT_MAX_RANK] = { 0 };
    if (count > rank)
        return ot_fail(OT_EMODEL, "%d axes of rank %d", count, rank);
    h->n_axes = ot_attr_find(n, "axes") ? count : rank;
    for (int i = 0; i < h->n_axes; i++) {
        h->axis[i] = i;
        if (axes)
            OT_TRY(ot_axis(&h->axis[i], axes[i], rank));
        if (seen[h->axis[i]])
            return ot_fail(OT_EMODEL, "axis %d is there twice", h->axis[i]);
        seen[h->axis[i]] = true;
    }
    return OT_OK;
}

ot_status ot_resize_read(ot_resize *h, const ot_node *n, int rank)
{
    static const char *const modes[] = { "nearest", "linear", "cubic", NULL };
    static const char *const nearest[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL };
    static const char *const transforms[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize",
        NULL
    };
    static const char *const policies[] = { "stretch", "not_larger", "not_smaller", NULL };
    int mode;
    *h = (ot_resize){ .antialias = ot_attr_int(n, "antialias", 0) != 0,
                      .exclude_outside = ot_attr_int(n, "exclude_outside", 0) != 0,
                      .cubic_a = ot_attr_float(n, "cubic_coeff_a", -0.75),
                      .extrapolation = ot_attr_float(n, "extrapolation_value", 0) };
    OT_TRY(choice(&mode, n, "mode", modes));
    h->mode = (ot_resize_mode)mode;
    h->antialias &= h->mode != OT_RESIZE_NEAREST;
    OT_TRY(choice(&h->nearest, n, "nearest_mode", nearest));
    OT_TRY(choice(&h->transform, n, "coordinate_transformation_mode", transforms));
    h->crops = h->transform == CROP;
    OT_TRY(choice(&h->policy, n, "keep_aspect_ratio_policy", policies));
    return read_axes(h, n, rank);
}

ot_resize_target ot_resize_target_of(const ot_run *r, int first)
{
    const ot_tensor *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = ot_has_x(r, first + i) && ot_tensor_count(&r->x[first + i]) > 0 ? &r->x[first + i] : NULL;
    return (ot_resize_target){ t[0], t[1], t[2] };
}

/* ---- Dims ------------------------------------------------------------------------------------------------------ */

/* Scale and size of axis k of h->axis, where sizes are given. */
static void by_sizes(const ot_resize *h, const ot_resize_target *t, const int64_t *in, int k, double *scale,
                     double *size)
{
    *size = (double)ot_tensor_get_int(t->sizes, k);
    *scale = *size / (double)in[h->axis[k]];
    if (h->policy == STRETCH)
        return;
    for (int i = 0; i < h->n_axes; i++) {
        double s = (double)ot_tensor_get_int(t->sizes, i) / (double)in[h->axis[i]];
        *scale = i == 0 || (h->policy == NOT_LARGER ? s < *scale : s > *scale) ? s : *scale;
    }
    *size = floor(*scale * (double)in[h->axis[k]] + 0.5);
}

ot_status ot_resize_dims(const ot_resize *h, const ot_resize_target *t, int rank, const int64_t *in, int64_t *out)
{
    const ot_tensor *list = t->sizes ? t->sizes : t->scales;
    const int64_t n = list ? ot_tensor_count(list) : 0;
    memcpy(out, in, (size_t)rank * sizeof(*out));
    if (n != h->n_axes)
        return ot_fail(OT_ESHAPE, "%lld %s for %d axes", (long long)n, t->sizes ? "sizes" : "scales", h->n_axes);
    for (int k = 0; k < h->n_axes; k++) {
        const int d = h->axis[k];
        double scale = t->sizes ? 1 : ot_tensor_get(t->scales, k), size;
        if (!(scale > 0) || !isfinite(scale) || (t->sizes && ot_tensor_get_int(t->sizes, k) < 0))
            return ot_fail(OT_ESHAPE, "%s %d is %g", t->sizes ? "size" : "scale", k,
                           t->sizes ? (double)ot_tensor_get_int(t->sizes, k) : scale);
        if (t->sizes && h->policy != STRETCH && in[d] == 0)
            return ot_fail(OT_ESHAPE, "dimension %d is 0: its aspect ratio cannot be kept", d);
        if (t->sizes && h->policy != STRETCH)
            by_sizes(h, t, in, k, &scale, &size);
        else if (t->sizes)
            size = (double)ot_tensor_get_int(t->sizes, k);
        else
            size = (double)floorf((float)in[d] * (float)scale);
        if (!(size < 0x1p62))
            return ot_fail(OT_ESHAPE, "dimension %d becomes %g", d, size);
        out[d] = t->sizes && h->policy == STRETCH ? ot_tensor_get_int(t->sizes, k) : (int64_t)size;
        if (in[d] == 0 && out[d] != 0)
            return ot_fail(OT_ESHAPE, "dimension %d is 0 and cannot become %lld", d, (long long)out[d]);
    }
    return OT_OK;
}

/* ---- Tables ---------------------------------------------------------------------------------------------------- */

/* No table has more taps an output; with antialias they are as many as inputs under the stretched filter, and a scale
 * is at least (out - 1/2) / in. */
static int64_t most_taps(const ot_resize *h, int64_t in, int64_t out)
{
    if (h->antialias)
        return 8 * (in / (out ? out : 1)) + 12;
    return h->mode == OT_RESIZE_NEAREST ? 1 : h->mode == OT_RESIZE_LINEAR ? 2 : 4;
}

bool ot_resize_room(const ot_resize *h, int rank, const int64_t *in, const int64_t *out, size_t *bytes)
{
    size_t total = 0, one;
    (void)rank;
    for (int k = 0; k < h->n_axes; k++) {
        const int64_t a = in[h->axis[k]], b = out[h->axis[k]];
        if (a > INT64_MAX / 64 || !ot_mul(&one, (size_t)most_taps(h, a, b), (size_t)b) || !ot_mul(&one, one, 16) ||
            total + one < total)
            return false;
        total += one;
    }
    *bytes = total;
    return true;
}

/* An axis as the transformation sees it. */
typedef struct line {
    double scale, length; /* length: of the output, before it was made a whole number */
    double in, out, roi_from, roi_to;
} line;

/* Where output i lies among the inputs. */
static double origin(const ot_resize *h, const line *l, int64_t i)
{
    const double x = (double)i;
    switch (h->transform) {
    case ALIGN:
        return l->length == 1 ? 0 : x * (l->in - 1) / (l->length - 1);
    case ASYMMETRIC:
        return x / l->scale;
    case CROP:
        return l->roi_from * (l->in - 1) + (l->length == 1
                                                ? (l->roi_to - l->roi_from) * (l->in - 1) / 2
                                                : x * (l->roi_to - l->roi_from) * (l->in - 1) / (l->length - 1));
    case PYTORCH:
        return l->length == 1 ? 0 : (x + 0.5) / l->scale - 0.5;
    case SYMMETRIC:
        return l->in / 2 * (1 - l->out / l->length) + (x + 0.5) / l->scale - 0.5;
    default:
        return (x + 0.5) / l->scale - 0.5;
    }
}

static double round_to(int how, double x)
{
    switch (how) {
    case FLOOR_FIRST:
        return ceil(x - 0.5);
    case CEIL_FIRST:
        return floor(x + 0.5);
    case FLOOR:
        return floor(x);
    default:
        return ceil(x);
    }
}

/* The filter at distance d: a triangle, or Keys' cubic. */
static double filter(const ot_resize *h, double d)
{
    const double a = h->cubic_a;
    d = fabs(d);
    if (h->mode == OT_RESIZE_LINEAR)
        return d < 1 ? 1 - d : 0;
    if (d <= 1)
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

static int64_t clamp(double i, int64_t in)
{
    return i < 0 ? 0 : i > (double)(in - 1) ? in - 1 : (int64_t)i;
}

/* The taps of the output that lies at x. */
static void fill_taps(const ot_resize *h, const ot_taps *t, double scale, double x, int64_t *at, double *weight)
{
    if (h->mode == OT_RESIZE_NEAREST) {
        at[0] = clamp(round_to(h->nearest, x), t->in);
        weight[0] = 1;
        return;
    }
    const double shrink = h->antialias && scale < 1 ? scale : 1;
    const double first = x == floor(x) ? x - t->n / 2 : floor(x) - t->n / 2 + 1;
    double sum = 0;
    for (int k = 0; k < t->n; k++) {
        const double i = first + k;
        const bool outside = i < 0 || i > (double)(t->in - 1);
        weight[k] = h->exclude_outside && outside ? 0 : filter(h, (i - x) * shrink);
        at[k] = clamp(i, t->in);
        sum += weight[k];
    }
    for (int k = 0; k < t->n && (h->antialias || h->exclude_outside) && sum != 0; k++)
        weight[k] /= sum;
}

static void fill_axis(const ot_resize *h, ot_taps *t, const line *l)
{
    t->same = t->in == t->out;
    for (int64_t o = 0; o < t->out; o++) {
        int64_t *at = t->at + o * t->n;
        double *weight = t->weight + o * t->n, x = origin(h, l, o);
        if (h->transform == CROP && !(x >= 0 && x <= l->in - 1)) {
            for (int k = 0; k < t->n; k++) {
                at[k] = -1;
                weight[k] = 0;
            }
            t->same = false;
            continue;
        }
        x = x > -0x1p52 && x < 0x1p52 ? x : x > 0 ? 0x1p52 : -0x1p52; /* NaN: the front */
        fill_taps(h, t, l->scale, x, at, weight);
        for (int k = 0; k < t->n; k++)
            t->same &= at[k] == o || weight[k] == 0;
        double sum = 0;
        for (int k = 0; k < t->n; k++)
            sum += weight[k];
        t->same &= sum == 1;
    }
}

ot_status ot_resize_tables(const ot_resize *h, const ot_resize_target *t, int rank, const int64_t *in,
                           const int64_t *out, void *room, ot_taps *taps)
{
    int64_t dim[OT_MAX_RANK];
    char *free = room;
    OT_TRY(ot_resize_dims(h, t, rank, in, dim));
    if (h->transform == CROP && (!t->roi || ot_tensor_count(t->roi) != 2 * h->n_axes))
        return ot_fail(OT_ESHAPE, "roi has %lld elements, wanted are %d",
                       (long long)(t->roi ? ot_tensor_count(t->roi) : 0), 2 * h->n_axes);
    for (int k = 0; k < h->n_axes; k++) {
        const int d = h->axis[k];
        const int64_t most = most_taps(h, in[d], out[d]);
        line l = { .in = (double)in[d], .out = (double)out[d] };
        if (dim[d] != out[d])
            return ot_fail(OT_ESHAPE, "dimension %d is %lld, it should be %lld", d, (long long)out[d],
                           (long long)dim[d]);
        if (t->sizes) {
            by_sizes(h, t, in, k, &l.scale, &l.length);
            if (h->policy != STRETCH)
                l.length = l.scale * l.in;
        } else {
            l.scale = ot_tensor_get(t->scales, k);
            l.length = l.scale * l.in;
        }
        if (h->transform == CROP) {
            l.roi_from = ot_tensor_get(t->roi, k);
            l.roi_to = ot_tensor_get(t->roi, h->n_axes + k);
        }
        taps[k] = (ot_taps){ .axis = d, .in = in[d], .out = out[d], .n = (int)(most > INT32_MAX ? INT32_MAX : most) };
        if (h->antialias && out[d] > 0) {
            const double reach = (h->mode == OT_RESIZE_CUBIC ? 2 : 1) / (l.scale < 1 ? l.scale : 1);
            const double n = 2 - 2 * (floor(-reach) + 1);
            if (!(n <= (double)taps[k].n))
                return ot_fail(OT_EUNSUPPORTED, "a filter of %g elements on axis %d", n, d);
            taps[k].n = (int)n;
        }
        taps[k].at = (int64_t *)(void *)free;
        taps[k].weight = (double *)(void *)(free + out[d] * taps[k].n * 8);
        free += out[d] * taps[k].n * 16;
        fill_axis(h, &taps[k], &l);
    }
    return OT_OK;
}

int ot_resize_order(ot_taps *taps, int n, int rank, const int64_t *in)
{
    int64_t dim[OT_MAX_RANK];
    int turns = 0;
    memcpy(dim, in, (size_t)rank * sizeof(*dim));
    for (int k = 0; k < n; k++)
        if (!taps[k].same)
            taps[turns++] = taps[k];
    for (int k = 0; k < turns; k++) {
        int first = k;
        for (int i = k + 1; i < turns; i++) /* out / in, the least first */
            if ((double)taps[i].out * (double)taps[first].in < (double)taps[first].out * (double)taps[i].in)
                first = i;
        ot_taps t = taps[first];
        memmove(taps + k + 1, taps + k, (size_t)(first - k) * sizeof(*taps));
        t.outer = t.inner = 1;
        for (int d = 0; d < rank; d++)
            if (d != t.axis)
                *(d < t.axis ? &t.outer : &t.inner) *= dim[d];
        dim[t.axis] = t.out;
        taps[k] = t;
    }
    return turns;
}

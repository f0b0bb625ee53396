#include "data/resize.h"

#include <math.h>
#include <string.h>

/* Weights are fixed-point with this many bits behind the point; 255 times their sum fits 31 bits. */
#define BITS 22

/* One axis: output from + i is the sum over k < count[i] of weight[i * taps + k] * input[first[i] + k]. */
typedef struct axis {
    int64_t from, n, taps;
    bool same; /* nothing changes along it */
    int32_t *first, *count, *weight;
} axis;

static void axis_release(axis *a)
{
    ot_free(a->first);
    ot_free(a->count);
    ot_free(a->weight);
    *a = (axis){ 0 };
}

/* The triangle |t| < 1 about the centre of output i, `stretch` input pixels wide on each side. */
static void axis_weights(axis *a, int64_t i, int64_t in, double scale, double stretch, double *w)
{
    double centre = ((double)(a->from + i) + 0.5) * scale, sum = 0;
    int64_t lo = (int64_t)(centre - stretch + 0.5), hi = (int64_t)(centre + stretch + 0.5);
    lo = lo < 0 ? 0 : lo;
    hi = hi > in ? in : hi;
    for (int64_t k = 0; k < hi - lo; k++) {
        double t = fabs(((double)(k + lo) - centre + 0.5) * (1.0 / stretch));
        w[k] = t < 1 ? 1 - t : 0;
        sum += w[k];
    }
    for (int64_t k = 0; k < hi - lo; k++)
        a->weight[i * a->taps + k] = (int32_t)(0.5 + w[k] / sum * (1 << BITS));
    a->first[i] = (int32_t)lo;
    a->count[i] = (int32_t)(hi - lo);
}

/* in pixels become out, of which n are wanted, the first is `from`. */
static ot_status axis_prepare(axis *a, int64_t in, int64_t out, int64_t from, int64_t n)
{
    double scale = (double)in / (double)out, stretch = scale < 1 ? 1 : scale;
    size_t weights;
    *a = (axis){ .from = from, .n = n, .taps = (int64_t)ceil(stretch) * 2 + 1, .same = in == out };
    if (!ot_mul(&weights, (size_t)n, (size_t)a->taps))
        return ot_fail(OT_ENOMEM, "out of memory: the weights of a resize");
    double *w = ot_malloc((size_t)a->taps, sizeof(double));
    a->first = ot_malloc((size_t)n, sizeof(int32_t));
    a->count = ot_malloc((size_t)n, sizeof(int32_t));
    a->weight = ot_calloc(weights, sizeof(int32_t));
    bool ok = w && a->first && a->count && a->weight;
    for (int64_t i = 0; ok && i < n; i++)
        axis_weights(a, i, in, scale, stretch, w);
    ot_free(w);
    if (!ok)
        axis_release(a);
    return ok ? OT_OK : OT_ENOMEM;
}

static inline uint8_t to_byte(int32_t v)
{
    v >>= BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Rows y0 .. y0+rows-1 of in, made a->n pixels wide. */
static void across(uint8_t *restrict out, const ot_image *in, const axis *a, int64_t y0, int64_t rows)
{
    for (int64_t y = 0; y < rows; y++) {
        const uint8_t *row = in->rgb + (y0 + y) * in->w * 3;
        for (int64_t x = 0; x < a->n; x++, out += 3) {
            const uint8_t *p = row + 3 * (int64_t)a->first[x];
            const int32_t *w = a->weight + x * a->taps;
            int32_t r = 1 << (BITS - 1), g = r, b = r;
            for (int32_t k = 0; k < a->count[x]; k++, p += 3) {
                r += p[0] * w[k];
                g += p[1] * w[k];
                b += p[2] * w[k];
            }
            out[0] = to_byte(r);
            out[1] = to_byte(g);
            out[2] = to_byte(b);
        }
    }
}

/* in holds rows from `y0` on, `n` bytes each; sum has room for n. */
static void down(uint8_t *restrict out, const uint8_t *in, const axis *a, int64_t y0, int64_t n, int32_t *restrict sum)
{
    for (int64_t y = 0; y < a->n; y++, out += n) {
        for (int64_t i = 0; i < n; i++)
            sum[i] = 1 << (BITS - 1);
        for (int32_t k = 0; k < a->count[y]; k++) {
            const uint8_t *row = in + (a->first[y] - y0 + k) * n;
            int32_t w = a->weight[y * a->taps + k];
            for (int64_t i = 0; i < n; i++)
                sum[i] += row[i] * w;
        }
        for (int64_t i = 0; i < n; i++)
            out[i] = to_byte(sum[i]);
    }
}

/* Rows y0 .. y0+rows-1 of in, the columns that ax wants, unchanged. */
static void copy_columns(uint8_t *out, const ot_image *in, const axis *ax, int64_t y0, int64_t rows)
{
    for (int64_t y = 0; y < rows; y++)
        memcpy(out + y * ax->n * 3, in->rgb + ((y0 + y) * in->w + ax->from) * 3, (size_t)(ax->n * 3));
}

static ot_status two_passes(ot_image *out, const ot_image *in, const axis *ax, const axis *ay)
{
    int64_t y0 = ay->same ? ay->from : ay->first[0], n = out->w * 3;
    int64_t y1 = ay->same ? y0 + ay->n : ay->first[ay->n - 1] + ay->count[ay->n - 1];
    uint8_t *middle = ay->same ? out->rgb : ot_malloc((size_t)(y1 - y0), (size_t)n);
    int32_t *sum = ot_malloc((size_t)n, sizeof(int32_t));
    bool ok = middle && sum;
    if (ok && ax->same)
        copy_columns(middle, in, ax, y0, y1 - y0);
    else if (ok)
        across(middle, in, ax, y0, y1 - y0);
    if (ok && !ay->same)
        down(out->rgb, middle, ay, y0, n, sum);
    if (!ay->same)
        ot_free(middle);
    ot_free(sum);
    return ok ? OT_OK : OT_ENOMEM;
}

ot_status ot_image_resize_crop(ot_image *out, const ot_image *in, int64_t w, int64_t h, int64_t x0, int64_t y0,
                               int64_t cw, int64_t ch)
{
    axis ax = { 0 }, ay = { 0 };
    *out = (ot_image){ 0 };
    if (x0 < 0 || y0 < 0 || cw > w - x0 || ch > h - y0)
        return ot_fail(OT_EARG, "a crop of %lldx%lld at (%lld, %lld) is not inside %lldx%lld", (long long)cw,
                       (long long)ch, (long long)x0, (long long)y0, (long long)w, (long long)h);
    OT_TRY(ot_image_create(out, cw, ch));
    ot_status st = axis_prepare(&ax, in->w, w, x0, cw);
    if (st == OT_OK)
        st = axis_prepare(&ay, in->h, h, y0, ch);
    if (st == OT_OK)
        st = two_passes(out, in, &ax, &ay);
    axis_release(&ax);
    axis_release(&ay);
    if (st != OT_OK)
        ot_image_release(out);
    return st;
}

ot_status ot_image_resize(ot_image *out, const ot_image *in, int64_t w, int64_t h)
{
    return ot_image_resize_crop(out, in, w, h, 0, 0, w, h);
}

void ot_image_fit_short(int64_t *w, int64_t *h, const ot_image *in, int64_t side)
{
    *w = in->w <= in->h ? side : side * in->w / in->h;
    *h = in->h <= in->w ? side : side * in->h / in->w;
}

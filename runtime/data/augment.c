#include "data/augment.h"
#include "base/rng.h"
#include "data/preprocess.h"
#include "data/resize.h"

#include <math.h>

#define DEGREES 10.0
#define LIGHT   0.05

/* Each decision has a number of its own in the key's stream, so that one more or less leaves the others alone. */
enum { FLIP, TURN, ANGLE, BRIGHTNESS, CONTRAST, ZOOM, ZOOMED, LEFT, TOP, EIGHT, AREAS };

static double draw(uint64_t key, uint64_t what, double lo, double hi)
{
    return lo + (hi - lo) * ot_rng_uniform(key, what);
}

ot_status ot_augment_check(ot_augment kind, float zoom)
{
    if (kind < OT_AUGMENT_NONE || kind > OT_AUGMENT_CROP_FLIP)
        return ot_fail(OT_EARG, "augmentation %d is not known", (int)kind);
    if (!(zoom >= 1 && zoom <= 8))
        return ot_fail(OT_EARG, "zoom %g is not in 1..8", (double)zoom);
    return OT_OK;
}

int64_t ot_augment_min_side(const ot_image_spec *s, ot_augment kind, float zoom)
{
    if (kind == OT_AUGMENT_NONE)
        return 0;
    return kind == OT_AUGMENT_CROP_FLIP ? 2 * s->size : (int64_t)ceil((double)s->size * (double)zoom);
}

static int64_t short_side(const ot_image *m)
{
    return m->w < m->h ? m->w : m->h;
}

/* Mirrors (bit 0: left-right, bit 1: up-down) and transposes (bit 2) the square of `size` that a view shows. */
static void mirror(ot_view *v, int64_t size, int how)
{
    double last = (double)(size - 1);
    for (int i = 0; i < 2; i++) {
        if (how & 1) {
            v->at[i] += last * v->dx[i];
            v->dx[i] = -v->dx[i];
        }
        if (how & 2) {
            v->at[i] += last * v->dy[i];
            v->dy[i] = -v->dy[i];
        }
        if (how & 4) {
            double t = v->dx[i];
            v->dx[i] = v->dy[i];
            v->dy[i] = t;
        }
    }
}

/* The contrast turns about the picture's mean, from every seventh value. */
static void light(ot_view *v, const ot_image *in, uint64_t key)
{
    int64_t n = in->w * in->h * 3, count = 0, sum = 0;
    for (int64_t i = 0; i < n; i += 7, count++)
        sum += in->rgb[i];
    double mean = (double)sum / (double)count / 255.0;
    double b = draw(key, BRIGHTNESS, -LIGHT, LIGHT), c = draw(key, CONTRAST, -LIGHT, LIGHT);
    c = c < 0 ? -1 / (c - 1) : c + 1;
    v->contrast = (float)c;
    v->brightness = (float)(mean - mean * c + b);
}

/* Scaled so that the shorter side is size * zoom, turned about the middle, cropped anywhere. */
static void scale_turn_crop(ot_view *v, const ot_image *in, int64_t size, float zoom, uint64_t key)
{
    double z = draw(key, ZOOMED, 0, 1) < 0.75 ? draw(key, ZOOM, 1, (double)zoom) : 1;
    double angle = draw(key, TURN, 0, 1) < 0.75 ? draw(key, ANGLE, -DEGREES, DEGREES) * 0.017453292519943295 : 0;
    double step = (double)short_side(in) / ((double)size * z), w = (double)in->w, h = (double)in->h;
    double x = draw(key, LEFT, 0, w - step * (double)size) + 0.5 * step - 0.5 * w; /* from the middle */
    double y = draw(key, TOP, 0, h - step * (double)size) + 0.5 * step - 0.5 * h;
    double c = cos(angle), s = sin(angle);
    v->at[0] = c * x - s * y + 0.5 * w;
    v->at[1] = s * x + c * y + 0.5 * h;
    v->dx[0] = v->dy[1] = c * step;
    v->dx[1] = s * step;
    v->dy[0] = -s * step;
}

/* A box of 8 to 100 % of the area; after ten that do not fit, the largest square in the middle. */
static void any_crop(ot_view *v, const ot_image *in, int64_t size, uint64_t key)
{
    double w = (double)in->w, h = (double)in->h, side = (double)short_side(in), cw = side, ch = side;
    double x = 0.5 * (w - side), y = 0.5 * (h - side);
    for (uint64_t i = 0; i < 10; i++) {
        double area = draw(key, AREAS + 2 * i, 0.08, 1) * w * h;
        double shape = exp(draw(key, AREAS + 2 * i + 1, -0.28768207245178, 0.28768207245178)); /* log(4/3) */
        double tw = sqrt(area * shape), th = sqrt(area / shape);
        if (tw > w || th > h)
            continue;
        cw = tw;
        ch = th;
        x = draw(key, LEFT, 0, w - tw);
        y = draw(key, TOP, 0, h - th);
        break;
    }
    v->dx[0] = cw / (double)size;
    v->dy[1] = ch / (double)size;
    v->at[0] = x + 0.5 * v->dx[0];
    v->at[1] = y + 0.5 * v->dy[1];
}

/* Whole pixels of a picture padded by size / 8: nothing is interpolated. */
static void padded_crop(ot_view *v, const ot_image *in, int64_t size, uint64_t key)
{
    int64_t pad = size / 8, mx = in->w + 2 * pad - size, my = in->h + 2 * pad - size;
    v->dx[0] = v->dy[1] = 1;
    v->at[0] = floor(draw(key, LEFT, 0, (double)(mx > 0 ? mx + 1 : 1))) - (double)pad + 0.5;
    v->at[1] = floor(draw(key, TOP, 0, (double)(my > 0 ? my + 1 : 1))) - (double)pad + 0.5;
}

ot_view ot_view_draw(const ot_image *in, int64_t size, ot_augment kind, float zoom, uint64_t key)
{
    ot_view v = { .contrast = 1 };
    bool flip = draw(key, FLIP, 0, 1) < 0.5;
    if (kind == OT_AUGMENT_CROP_FLIP) {
        if (in->w <= size && in->h <= size)
            padded_crop(&v, in, size, key);
        else
            any_crop(&v, in, size, key);
        mirror(&v, size, flip);
        return v;
    }
    scale_turn_crop(&v, in, size, zoom, key);
    light(&v, in, key);
    mirror(&v, size, kind == OT_AUGMENT_TOP_DOWN ? (int)draw(key, EIGHT, 0, 8) : flip);
    return v;
}

/* ---- Sampling ---------------------------------------------------------------------------------------------- */

#define ONE 65536 /* places are fixed-point with 16 bits behind the point */

static int64_t reflect(int64_t i, int64_t n)
{
    if (i >= 0 && i < n)
        return i;
    i %= 2 * n;
    if (i < 0)
        i += 2 * n;
    return i < n ? i : 2 * n - 1 - i;
}

/* The four neighbours of a place whose first pixel's centre is at 0, and their weights, 2^16 in all. */
static inline void blend(int32_t sum[3], const ot_image *in, int64_t x, int64_t y)
{
    int64_t ix = x >> 16, iy = y >> 16, row = in->w * 3;
    int32_t fx = (int32_t)(x & (ONE - 1)) >> 8, fy = (int32_t)(y & (ONE - 1)) >> 8;
    const uint8_t *p = in->rgb, *q = in->rgb, *r = in->rgb, *s = in->rgb;
    if (ix >= 0 && iy >= 0 && ix < in->w - 1 && iy < in->h - 1) {
        p += iy * row + ix * 3;
        q = p + 3;
        r = p + row;
        s = r + 3;
    } else {
        int64_t x0 = reflect(ix, in->w) * 3, x1 = reflect(ix + 1, in->w) * 3;
        int64_t y0 = reflect(iy, in->h) * row, y1 = reflect(iy + 1, in->h) * row;
        p += y0 + x0;
        q += y0 + x1;
        r += y1 + x0;
        s += y1 + x1;
    }
    int32_t a = (256 - fx) * (256 - fy), b = fx * (256 - fy), c = (256 - fx) * fy, d = fx * fy;
    for (int k = 0; k < 3; k++)
        sum[k] = p[k] * a + q[k] * b + r[k] * c + s[k] * d;
}

void ot_view_sample(float *out, const ot_image *in, const ot_image_spec *s, const ot_view *v)
{
    int64_t n = s->size, step = s->nhwc ? 3 : 1, plane = s->nhwc ? 1 : n * n;
    float scale[3], shift[3], gain = v->contrast / (255.0f * ONE);
    for (int c = 0; c < 3; c++) {
        scale[c] = s->range / s->std[c];
        shift[c] = -s->mean[c] / s->std[c];
    }
    float *to[3] = { out + (s->bgr ? 2 * plane : 0), out + plane, out + (s->bgr ? 0 : 2 * plane) };
    if (s->bgr) { /* indexed by the picture's channel from here on */
        float t = scale[0], u = shift[0];
        scale[0] = scale[2];
        shift[0] = shift[2];
        scale[2] = t;
        shift[2] = u;
    }
    int64_t dx[2] = { llrint(v->dx[0] * ONE), llrint(v->dx[1] * ONE) };
    for (int64_t row = 0; row < n; row++) {
        int64_t x = llrint((v->at[0] + (double)row * v->dy[0] - 0.5) * ONE);
        int64_t y = llrint((v->at[1] + (double)row * v->dy[1] - 0.5) * ONE);
        for (int64_t col = 0, at = row * n * step; col < n; col++, at += step, x += dx[0], y += dx[1]) {
            int32_t sum[3];
            blend(sum, in, x, y);
            for (int c = 0; c < 3; c++) {
                float t = (float)sum[c] * gain + v->brightness;
                t = t < 0 ? 0 : t > 1 ? 1 : t;
                to[c][at] = t * scale[c] + shift[c];
            }
        }
    }
}

/* Source pixels that one output pixel steps over, the larger of both directions. */
static double factor(const ot_view *v)
{
    double a = hypot(v->dx[0], v->dx[1]), b = hypot(v->dy[0], v->dy[1]);
    return a > b ? a : b;
}

ot_status ot_image_augment(float *out, const ot_image *in, const ot_image_spec *spec, ot_augment kind, float zoom,
                           uint64_t key)
{
    if (kind == OT_AUGMENT_NONE)
        return ot_image_preprocess(out, in, spec);
    OT_TRY(ot_image_spec_check(spec));
    OT_TRY(ot_augment_check(kind, zoom));
    ot_view v = ot_view_draw(in, spec->size, kind, zoom, key);
    double f = factor(&v);
    if (f <= 1.5) { /* two by two neighbours see nearly all of the picture */
        ot_view_sample(out, in, spec, &v);
        return OT_OK;
    }
    ot_image small;
    int64_t w = (int64_t)ceil((double)in->w / f), h = (int64_t)ceil((double)in->h / f);
    OT_TRY(ot_image_resize(&small, in, w, h));
    double by[2] = { (double)w / (double)in->w, (double)h / (double)in->h };
    for (int i = 0; i < 2; i++) {
        v.at[i] *= by[i];
        v.dx[i] *= by[i];
        v.dy[i] *= by[i];
    }
    ot_view_sample(out, &small, spec, &v);
    ot_image_release(&small);
    return OT_OK;
}

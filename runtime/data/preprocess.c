#include "data/preprocess.h"
#include "base/tensor.h"
#include "data/resize.h"

#include <math.h>

ot_status ot_image_spec_check(const ot_image_spec *s)
{
    if (s->size < 1 || s->size > 16384)
        return ot_fail(OT_EARG, "picture size %lld is not in 1..16384", (long long)s->size);
    if (s->resize && (s->resize < s->size || s->resize > 32768))
        return ot_fail(OT_EARG, "a shorter side of %lld does not hold a crop of %lld", (long long)s->resize,
                       (long long)s->size);
    if (!(s->range > 0 && s->range <= 65535))
        return ot_fail(OT_EARG, "pixel range %g is not in (0, 65535]", (double)s->range);
    for (int c = 0; c < 3; c++)
        if (!isfinite(s->mean[c]) || !isfinite(s->std[c]) || s->std[c] == 0)
            return ot_fail(OT_EARG, "channel %d has mean %g and deviation %g", c, (double)s->mean[c],
                           (double)s->std[c]);
    return OT_OK;
}

int64_t ot_image_spec_resize(const ot_image_spec *s)
{
    return s->resize ? s->resize : (s->size * 256 + 112) / 224;
}

void ot_image_normalise(float *out, const ot_image *in, int64_t x0, int64_t y0, const ot_image_spec *s)
{
    float table[3][256];
    int64_t n = s->size, step = s->nhwc ? 3 : 1, plane = s->nhwc ? 1 : n * n;
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] = ((float)v / 255.0f * s->range - s->mean[c]) / s->std[c];
    for (int c = 0; c < 3; c++) {
        const uint8_t *from = in->rgb + (y0 * in->w + x0) * 3 + (s->bgr ? 2 - c : c);
        float *to = out + c * plane;
        for (int64_t y = 0; y < n; y++, from += in->w * 3)
            for (int64_t x = 0; x < n; x++, to += step)
                *to = table[c][from[3 * x]];
    }
}

ot_status ot_image_preprocess(float *out, const ot_image *in, const ot_image_spec *s)
{
    int64_t w, h;
    ot_image small;
    OT_TRY(ot_image_spec_check(s));
    ot_image_fit_short(&w, &h, in, ot_image_spec_resize(s));
    OT_TRY(ot_image_resize_crop(&small, in, w, h, (w - s->size) / 2, (h - s->size) / 2, s->size, s->size));
    ot_image_normalise(out, &small, 0, 0, s);
    ot_image_release(&small);
    return OT_OK;
}

ot_status ot_image_load(ot_tensor **out, const char *path, const ot_image_spec *s)
{
    ot_image m;
    *out = NULL;
    OT_TRY(ot_image_spec_check(s));
    OT_TRY(ot_image_read(&m, path));
    int64_t n = s->size;
    ot_status st = s->nhwc ? ot_tensor_create(out, OT_FLOAT, 4, (int64_t[]){ 1, n, n, 3 })
                           : ot_tensor_create(out, OT_FLOAT, 4, (int64_t[]){ 1, 3, n, n });
    if (st == OT_OK)
        st = ot_image_preprocess((*out)->data, &m, s);
    ot_image_release(&m);
    if (st == OT_OK)
        return st;
    ot_tensor_free(*out);
    *out = NULL;
    return ot_context(st, "%s", path);
}

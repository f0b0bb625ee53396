/* PGM and PPM, plain (P2, P3) and binary (P5, P6), samples up to 65535. */
#include "data/decoders.h"

typedef struct reader {
    const uint8_t *p, *end;
} reader;

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next decimal number, at most 2^24; comments run from '#' to the end of the line.  -1: there is none. */
static int64_t next_number(reader *r)
{
    while (r->p < r->end && (is_space(*r->p) || *r->p == '#')) {
        if (*r->p == '#')
            while (r->p < r->end && *r->p != '\n' && *r->p != '\r')
                r->p++;
        else
            r->p++;
    }
    int64_t v = -1;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9' && v < (1 << 24))
        v = (v < 0 ? 0 : v * 10) + (*r->p++ - '0');
    return v > (1 << 24) ? -1 : v;
}

static int64_t next_sample(reader *r, bool plain, bool wide)
{
    if (plain)
        return next_number(r);
    int64_t v = *r->p++;
    return wide ? v << 8 | *r->p++ : v;
}

/* max < 256: scaled so that max is 255, rounded; 65535: the high byte, as elsewhere. */
static uint8_t to_byte(int64_t v, int64_t max)
{
    if (v > max)
        v = max;
    return (uint8_t)(max == 65535 ? v >> 8 : (v * 255 + max / 2) / max);
}

ot_status ot_pnm_decode(ot_image *out, const uint8_t *bytes, size_t n)
{
    reader r = { bytes + 2, bytes + n };
    bool plain = bytes[1] <= '3', colour = bytes[1] == '3' || bytes[1] == '6';
    *out = (ot_image){ 0 };
    int64_t w = next_number(&r), h = next_number(&r), max = next_number(&r);
    if (w < 1 || h < 1 || max < 1 || max > 65535 || r.p == r.end || !is_space(*r.p++))
        return ot_fail(OT_EDATA, "damaged PNM: no valid header");
    bool wide = max > 255;
    int64_t samples = w * h * (colour ? 3 : 1), least = samples * (plain || !wide ? 1 : 2);
    if (w * h > OT_IMAGE_MAX_PIXELS || (int64_t)(r.end - r.p) < least)
        return ot_fail(OT_EDATA, "damaged PNM: %lldx%lld pixels in %zu bytes", (long long)w, (long long)h, n);
    OT_TRY(ot_image_create(out, w, h));
    for (int64_t i = 0; i < samples; i++) {
        int64_t v = next_sample(&r, plain, wide);
        if (v < 0) {
            ot_image_release(out);
            return ot_fail(OT_EDATA, "damaged PNM: it ends too early, after %lld of %lld samples", (long long)i,
                           (long long)samples);
        }
        uint8_t b = to_byte(v, max);
        if (colour)
            out->rgb[i] = b;
        else
            out->rgb[3 * i] = out->rgb[3 * i + 1] = out->rgb[3 * i + 2] = b;
    }
    return OT_OK;
}

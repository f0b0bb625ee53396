#include "data/image.h"
#include "base/file.h"
#include "data/decoders.h"

#include <string.h>

#define MAX_FILE ((size_t)1 << 30)

ot_status ot_image_create(ot_image *out, int64_t w, int64_t h)
{
    *out = (ot_image){ 0 };
    if (w < 1 || h < 1 || w > OT_IMAGE_MAX_PIXELS || h > OT_IMAGE_MAX_PIXELS || w * h > OT_IMAGE_MAX_PIXELS)
        return ot_fail(OT_EDATA, "a picture of %lldx%lld pixels: the limit is %lld", (long long)w, (long long)h,
                       (long long)OT_IMAGE_MAX_PIXELS);
    uint8_t *rgb = ot_malloc((size_t)(w * h), 3);
    if (!rgb)
        return OT_ENOMEM;
    *out = (ot_image){ w, h, rgb };
    return OT_OK;
}

void ot_image_release(ot_image *m)
{
    ot_free(m->rgb);
    *m = (ot_image){ 0 };
}

ot_status ot_image_plausible(int64_t w, int64_t h, size_t n, int64_t ratio)
{
    if (w < 1 || h < 1 || w > OT_IMAGE_MAX_PIXELS / h)
        return ot_fail(OT_EDATA, "a picture of %lldx%lld pixels: the limit is %lld", (long long)w, (long long)h,
                       (long long)OT_IMAGE_MAX_PIXELS);
    if (w * h / ratio > (int64_t)n)
        return ot_fail(OT_EDATA, "damaged picture: %zu bytes cannot hold %lldx%lld pixels", n, (long long)w,
                       (long long)h);
    return OT_OK;
}

/* Where pixel (x, y) of the turned picture comes from: start + x * dx + y * dy, in pixels of the stored one. */
typedef struct walk {
    int64_t start, dx, dy;
} walk;

static walk walk_of(int orientation, int64_t w, int64_t h)
{
    int64_t last = w * h - 1;
    switch (orientation) {
    case 2:
        return (walk){ w - 1, -1, w }; /* left and right change places */
    case 3:
        return (walk){ last, -1, -w }; /* upside down */
    case 4:
        return (walk){ last - w + 1, 1, -w }; /* top and bottom change places */
    case 5:
        return (walk){ 0, w, 1 }; /* rows become columns */
    case 6:
        return (walk){ last - w + 1, -w, 1 }; /* to be turned right */
    case 7:
        return (walk){ last, -w, -1 };
    default:
        return (walk){ w - 1, w, -1 }; /* 8: to be turned left */
    }
}

ot_status ot_image_orient(ot_image *m, int orientation)
{
    if (orientation < 2 || orientation > 8)
        return OT_OK;
    ot_image turned;
    bool swap = orientation >= 5;
    OT_TRY(ot_image_create(&turned, swap ? m->h : m->w, swap ? m->w : m->h));
    walk k = walk_of(orientation, m->w, m->h);
    uint8_t *to = turned.rgb;
    for (int64_t y = 0; y < turned.h; y++) {
        int64_t at = k.start + y * k.dy;
        for (int64_t x = 0; x < turned.w; x++, at += k.dx, to += 3)
            memcpy(to, m->rgb + 3 * at, 3);
    }
    ot_image_release(m);
    *m = turned;
    return OT_OK;
}

/* ---- Which format ------------------------------------------------------------------------------------------ */

static bool begins(const uint8_t *p, size_t n, size_t at, const char *with)
{
    size_t k = strlen(with);
    return n >= at + k && memcmp(p + at, with, k) == 0;
}

/* The name of a format that is known but not read, or NULL. */
static const char *known_other(const uint8_t *p, size_t n)
{
    static const char *const heic[] = { "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1" };
    if (begins(p, n, 0, "RIFF") && begins(p, n, 8, "WEBP"))
        return "WebP";
    if (begins(p, n, 4, "ftypavif") || begins(p, n, 4, "ftypavis"))
        return "AVIF";
    for (size_t i = 0; i < sizeof(heic) / sizeof(heic[0]); i++)
        if (begins(p, n, 4, "ftyp") && begins(p, n, 8, heic[i]))
            return "HEIC";
    if (begins(p, n, 0, "GIF8"))
        return "GIF";
    if (begins(p, n, 0, "II*") || (begins(p, n, 0, "MM") && n > 3 && p[2] == 0 && p[3] == '*'))
        return "TIFF";
    if (begins(p, n, 0, "\xFF\x0A") || begins(p, n, 4, "JXL "))
        return "JPEG XL";
    return NULL;
}

static bool is_pnm(const uint8_t *p, size_t n)
{
    return n > 2 && p[0] == 'P' && (p[1] == '2' || p[1] == '3' || p[1] == '5' || p[1] == '6');
}

static ot_status decode_any(ot_image *out, const uint8_t *p, size_t n, int64_t min_side, int *orientation)
{
    *orientation = 1;
    if (begins(p, n, 0, "\xFF\xD8")) {
        *orientation = ot_jpeg_orientation(p, n);
#ifdef OT_HAVE_LIBJPEG
        return ot_jpeg_decode(out, p, n, min_side);
#else
        (void)min_side;
        return ot_stb_decode(out, p, n);
#endif
    }
    if (begins(p, n, 0, "\x89PNG\r\n\x1a\n")) {
        OT_TRY(ot_png_check(p, n, orientation));
        return ot_stb_decode(out, p, n);
    }
    if (begins(p, n, 0, "BM"))
        return ot_stb_decode(out, p, n);
    if (is_pnm(p, n))
        return ot_pnm_decode(out, p, n);
    if (n == 0)
        return ot_fail(OT_EDATA, "the file is empty");
    const char *other = known_other(p, n);
    if (other)
        return ot_fail(OT_EDATA, "%s pictures are not supported: convert to JPEG or PNG", other);
    return ot_fail(OT_EDATA, "no picture: neither JPEG, PNG, BMP nor PNM");
}

ot_status ot_image_decode_near(ot_image *out, const uint8_t *bytes, size_t n, int64_t min_side)
{
    int orientation;
    *out = (ot_image){ 0 };
    OT_TRY(decode_any(out, bytes, n, min_side, &orientation));
    ot_status st = ot_image_orient(out, orientation);
    if (st != OT_OK)
        ot_image_release(out);
    return st;
}

ot_status ot_image_decode(ot_image *out, const uint8_t *bytes, size_t n)
{
    return ot_image_decode_near(out, bytes, n, 0);
}

ot_status ot_image_read_near(ot_image *out, const char *path, int64_t min_side)
{
    uint8_t *bytes;
    size_t n;
    *out = (ot_image){ 0 };
    OT_TRY(ot_file_read(&bytes, &n, path, MAX_FILE));
    ot_status st = ot_image_decode_near(out, bytes, n, min_side);
    ot_free(bytes);
    return st == OT_OK ? st : ot_context(st, "%s", path);
}

ot_status ot_image_read(ot_image *out, const char *path)
{
    return ot_image_read_near(out, path, 0);
}

const char *ot_image_libraries(void)
{
#ifdef OT_HAVE_LIBJPEG
    return ot_jpeg_library();
#else
    return "stb_image";
#endif
}

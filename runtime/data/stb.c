/* stb_image and stb_image_write, all of them in this one file, on our allocator. */
#include "data/decoders.h"
#include "base/file.h"

#include <limits.h>
#include <string.h>

/* stb_image has several words for a failed allocation, so that is noted here. */
static _Thread_local bool no_memory;

static void *noted(void *p)
{
    no_memory |= !p;
    return p;
}

#define STBI_MALLOC(n)     noted(ot_malloc(n, 1))
#define STBI_REALLOC(p, n) noted(ot_realloc(p, n, 1))
#define STBI_FREE(p)       ot_free(p)
#define STBI_ASSERT(x)     ((void)0)
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_JPEG
#define STBI_MAX_DIMENSIONS 65535
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

#define STBIW_MALLOC(n)     ot_malloc(n, 1)
#define STBIW_REALLOC(p, n) ot_realloc(p, n, 1)
#define STBIW_FREE(p)       ot_free(p)
#define STBIW_ASSERT(x)     ((void)0)
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

/* A deflate stream grows by 1032 at most, and a byte holds 8 pixels of one bit; a JPEG block of 8x8 takes a bit. */
#define PIXELS_A_BYTE 8256

/* stb_image fills what is missing at the end with zeros, so the reader notes when it is asked for more. */
typedef struct source {
    const uint8_t *p;
    size_t left;
    bool overrun;
} source;

static int source_read(void *user, char *data, int n)
{
    source *s = user;
    size_t k = n < 0 ? 0 : (size_t)n;
    if (k > s->left)
        k = s->left;
    if (k == 0 && n > 0)
        s->overrun = true;
    memcpy(data, s->p, k);
    s->p += k;
    s->left -= k;
    return (int)k;
}

static void source_skip(void *user, int n)
{
    source *s = user;
    size_t k = n < 0 ? 0 : (size_t)n;
    if (k > s->left) {
        k = s->left;
        s->overrun = true;
    }
    s->p += k;
    s->left -= k;
}

static int source_eof(void *user)
{
    return ((source *)user)->left == 0;
}

static const stbi_io_callbacks from_memory = { source_read, source_skip, source_eof };

ot_status ot_stb_decode(ot_image *out, const uint8_t *bytes, size_t n)
{
    int w, h, channels;
    *out = (ot_image){ 0 };
    source s = { bytes, n, false };
    no_memory = false;
    if (n > 2 && bytes[0] == 0xFF && bytes[1] == 0xD8)
        OT_TRY(ot_jpeg_check(bytes, n));
    if (stbi_info_from_callbacks(&from_memory, &s, &w, &h, &channels)) {
        OT_TRY(ot_image_plausible(w, h, n, PIXELS_A_BYTE));
        s = (source){ bytes, n, false };
        out->rgb = stbi_load_from_callbacks(&from_memory, &s, &w, &h, &channels, 3);
    }
    if (no_memory) {
        ot_image_release(out);
        return ot_fail(OT_ENOMEM, "out of memory: the pixels of a picture of %zu bytes", n);
    }
    if (!out->rgb || s.overrun) {
        ot_image_release(out);
        return ot_fail(OT_EDATA, "damaged picture: %s", s.overrun ? "it ends too early" : stbi_failure_reason());
    }
    out->w = w;
    out->h = h;
    return OT_OK;
}

ot_status ot_png_encode(uint8_t **out, size_t *n, const uint8_t *pixels, int64_t w, int64_t h, int channels)
{
    int bytes = 0;
    *out = NULL;
    *n = 0;
    if (w < 1 || h < 1 || w > INT_MAX || h > INT_MAX || w * h > OT_IMAGE_MAX_PIXELS / 2 || channels < 1 || channels > 4)
        return ot_fail(OT_EARG, "cannot make a PNG of %lldx%lld pixels of %d channels", (long long)w, (long long)h,
                       channels);
    *out = stbi_write_png_to_mem(pixels, (int)w * channels, (int)w, (int)h, channels, &bytes);
    if (!*out)
        return ot_fail(OT_ENOMEM, "out of memory: a PNG of %lldx%lld", (long long)w, (long long)h);
    *n = (size_t)bytes;
    return OT_OK;
}

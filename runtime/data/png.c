/* PNG: the frame of chunks around the picture (stb_image decodes it, but checks no sums), and writing to a file. */
#include "data/decoders.h"
#include "base/file.h"

#include <pthread.h>
#include <string.h>

static uint32_t table[256];

static void make_table(void) /* of the CRC of PNG: polynomial 0xedb88320, reflected */
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
}

static uint32_t check_sum(const uint8_t *p, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint32_t c = 0xffffffffu;
    pthread_once(&once, make_table);
    for (size_t i = 0; i < n; i++)
        c = table[(c ^ p[i]) & 255] ^ c >> 8;
    return c ^ 0xffffffffu;
}

static uint32_t word(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

ot_status ot_png_check(const uint8_t *bytes, size_t n, int *orientation)
{
    size_t at = 8; /* behind the signature */
    *orientation = 1;
    for (;;) {
        if (n < 12 || at > n - 12)
            return ot_fail(OT_EDATA, "damaged PNG: it ends too early, at byte %zu", n);
        const uint8_t *chunk = bytes + at;
        size_t len = word(chunk);
        if (len > n - at - 12)
            return ot_fail(OT_EDATA, "damaged PNG: a chunk at byte %zu has %zu bytes, the file %zu more", at, len,
                           n - at - 12);
        if (check_sum(chunk + 4, len + 4) != word(chunk + 8 + len))
            return ot_fail(OT_EDATA, "damaged PNG: wrong check sum of the chunk at byte %zu", at);
        if (memcmp(chunk + 4, "eXIf", 4) == 0)
            *orientation = ot_exif_orientation(chunk + 8, len);
        if (memcmp(chunk + 4, "IEND", 4) == 0)
            return OT_OK;
        at += 12 + len;
    }
}

ot_status ot_png_write(const char *path, const uint8_t *pixels, int64_t w, int64_t h, int channels)
{
    uint8_t *png;
    size_t n;
    OT_TRY(ot_png_encode(&png, &n, pixels, w, h, channels));
    ot_status st = ot_file_write(path, png, n);
    ot_free(png);
    return st;
}

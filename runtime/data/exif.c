#include "data/decoders.h"

#include <string.h>

static uint32_t number(const uint8_t *p, int bytes, bool little)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[little ? bytes - 1 - i : i];
    return v;
}

/* TIFF 6.0: "II" or "MM", 42, offset of the first directory; a directory is a count and entries of 12 bytes:
 * tag, type, number of values, value.  Orientation is tag 0x112, type SHORT. */
int ot_exif_orientation(const uint8_t *tiff, size_t n)
{
    if (n < 8 || (memcmp(tiff, "II", 2) && memcmp(tiff, "MM", 2)))
        return 1;
    bool little = tiff[0] == 'I';
    size_t at = number(tiff + 4, 4, little);
    if (number(tiff + 2, 2, little) != 42 || at > n - 2)
        return 1;
    size_t entries = number(tiff + at, 2, little), room = (n - at - 2) / 12;
    const uint8_t *e = tiff + at + 2;
    for (size_t i = 0; i < entries && i < room; i++, e += 12) {
        if (number(e, 2, little) != 0x112)
            continue;
        uint32_t v = number(e + 8, 2, little);
        return number(e + 2, 2, little) == 3 && v >= 1 && v <= 8 ? (int)v : 1;
    }
    return 1;
}

int ot_jpeg_orientation(const uint8_t *bytes, size_t n)
{
    size_t at = 2; /* behind SOI */
    while (at + 4 <= n && bytes[at] == 0xFF) {
        int marker = bytes[at + 1];
        if (marker == 0xFF) { /* a fill byte */
            at++;
            continue;
        }
        if (marker == 0xDA || marker == 0xD9) /* the scan begins, or the end: no more headers */
            break;
        size_t len = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
        if (len < 2 || len > n - at - 2)
            break;
        const uint8_t *body = bytes + at + 4;
        if (marker == 0xE1 && len >= 8 && memcmp(body, "Exif\0\0", 6) == 0)
            return ot_exif_orientation(body + 6, len - 8);
        at += 2 + len;
    }
    return 1;
}

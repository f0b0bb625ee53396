/* Code points of UTF-8. */
#ifndef OT_OPS_UTF8_H
#define OT_OPS_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The code point at the start of s, which has `left` > 0 bytes, and its length in *n; a byte that begins none stands
 * for itself, as -1 - byte. */
static inline int32_t ot_utf8_decode(const unsigned char *s, size_t left, size_t *n)
{
    static const int32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const size_t length = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    int32_t c = length == 1 ? s[0] : length ? s[0] & (0x7f >> length) : 0;
    *n = 1;
    if (length == 0 || length > left)
        return -1 - s[0];
    for (size_t i = 1; i < length; i++) {
        if (s[i] >> 6 != 2)
            return -1 - s[0];
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return -1 - s[0];
    *n = length;
    return c;
}

#endif

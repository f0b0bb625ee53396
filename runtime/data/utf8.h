/* Characters in UTF-8. */
#ifndef OT_DATA_UTF8_H
#define OT_DATA_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The character at s[0 .. n-1] and its bytes; 0: no character begins there (or n is 0). */
size_t ot_utf8_decode(uint32_t *out, const uint8_t *s, size_t n);
/* Writes up to 4 bytes; how many. */
size_t ot_utf8_encode(char out[4], uint32_t c);
/* The small letter of a capital one: Latin (with Latin-1 and Extended-A), Greek and Cyrillic; others as they are. */
uint32_t ot_utf8_lower(uint32_t c);

#endif

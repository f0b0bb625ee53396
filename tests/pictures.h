/* Picture files for tests, made in memory: nothing here uses the code under test. */
#ifndef OT_TESTS_PICTURES_H
#define OT_TESTS_PICTURES_H

#include <stddef.h>
#include <stdint.h>

typedef struct bytes {
    uint8_t p[1 << 18];
    size_t n;
} bytes;

/* w * h * 3 bytes of a fixed pattern with no flat areas; seed changes it. */
void pattern(uint8_t *rgb, int w, int h, int seed);
/* A baseline JPEG of quality 90. */
void make_jpeg(bytes *out, const uint8_t *rgb, int w, int h);
/* The same with an APP1 segment of n bytes behind SOI. */
void insert_app1(bytes *out, const bytes *jpeg, const uint8_t *body, size_t n);
/* A TIFF block that says an orientation. */
size_t exif_block(uint8_t *out, int orientation, int big_endian);
/* A PNG from rows that are already in PNG's form (without the filter byte), `row` bytes each, stored uncompressed.
 * extra: whole chunks (made by png_chunk) between IHDR and IDAT, or NULL. */
void make_png(bytes *out, int w, int h, int depth, int colour, const uint8_t *rows, size_t row, const bytes *extra);
void png_chunk(bytes *out, const char *type, const uint8_t *body, size_t n);
/* A 24-bit BMP, bottom row first. */
void make_bmp(bytes *out, const uint8_t *rgb, int w, int h);
/* FNV-1a, 64 bits. */
uint64_t fnv(const uint8_t *p, size_t n);
void save(const char *path, const bytes *b);

#endif

#include "pictures.h"

#include <stdio.h>
#include <string.h>

#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

static void put(bytes *b, const void *p, size_t n)
{
    if (n > sizeof(b->p) - b->n)
        n = sizeof(b->p) - b->n; /* the test that made it so large will see */
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void put_big(bytes *b, uint32_t v)
{
    put(b, (uint8_t[]){ (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v }, 4);
}

static void put_little(bytes *b, uint32_t v, size_t n)
{
    put(b, (uint8_t[]){ (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) }, n);
}

void pattern(uint8_t *rgb, int w, int h, int seed)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, rgb += 3) {
            rgb[0] = (uint8_t)(x * 7 + y * 13 + seed);
            rgb[1] = (uint8_t)(x * x + 3 * y + seed * 5);
            rgb[2] = (uint8_t)(x ^ (y * 5) ^ seed);
        }
}

static void append(void *to, void *data, int n)
{
    put(to, data, (size_t)n);
}

void make_jpeg(bytes *out, const uint8_t *rgb, int w, int h)
{
    out->n = 0;
    stbi_write_jpg_to_func(append, out, w, h, 3, rgb, 90);
}

void insert_app1(bytes *out, const bytes *jpeg, const uint8_t *body, size_t n)
{
    out->n = 0;
    put(out, jpeg->p, 2);
    put(out, (uint8_t[]){ 0xFF, 0xE1, (uint8_t)((n + 2) >> 8), (uint8_t)(n + 2) }, 4);
    put(out, body, n);
    put(out, jpeg->p + 2, jpeg->n - 2);
}

size_t exif_block(uint8_t *out, int orientation, int big_endian)
{
    static const uint8_t little[] = { 'I', 'I', 42, 0,    8, 0, 0, 0, 2, 0, 0x0F, 1, 2, 0, 1, 0, 0, 0, 'x',
                                      0,   0,   0,  0x12, 1, 3, 0, 1, 0, 0, 0,    0, 0, 0, 0, 0, 0, 0, 0 };
    static const uint8_t big[] = {
        'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0
    };
    size_t n = big_endian ? sizeof(big) : sizeof(little);
    memcpy(out, big_endian ? big : little, n);
    out[big_endian ? 19 : 30] = (uint8_t)orientation;
    return n;
}

static uint32_t crc(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    }
    return ~c;
}

void png_chunk(bytes *out, const char *type, const uint8_t *body, size_t n)
{
    put_big(out, (uint32_t)n);
    size_t from = out->n;
    put(out, type, 4);
    put(out, body, n);
    put_big(out, crc(out->p + from, out->n - from));
}

void make_png(bytes *out, int w, int h, int depth, int colour, const uint8_t *rows, size_t row, const bytes *extra)
{
    static bytes idat, head;
    uint32_t a = 1, b = 0;
    idat.n = head.n = out->n = 0;
    put(out, "\x89PNG\r\n\x1a\n", 8);
    put_big(&head, (uint32_t)w);
    put_big(&head, (uint32_t)h);
    put(&head, (uint8_t[]){ (uint8_t)depth, (uint8_t)colour, 0, 0, 0 }, 5);
    png_chunk(out, "IHDR", head.p, head.n);
    if (extra)
        put(out, extra->p, extra->n);
    put(&idat, "\x78\x01", 2);
    for (int y = 0; y < h; y++) { /* one stored block a row: filter byte 0 and the row */
        put(&idat, y + 1 == h ? "\1" : "\0", 1);
        put_little(&idat, (uint32_t)row + 1, 2);
        put_little(&idat, ~((uint32_t)row + 1), 2);
        put(&idat, "\0", 1);
        put(&idat, rows + (size_t)y * row, row);
        b = (b + a) % 65521;
        for (size_t i = 0; i < row; i++) {
            a = (a + rows[(size_t)y * row + i]) % 65521;
            b = (b + a) % 65521;
        }
    }
    put_big(&idat, b << 16 | a);
    png_chunk(out, "IDAT", idat.p, idat.n);
    png_chunk(out, "IEND", NULL, 0);
}

void make_bmp(bytes *out, const uint8_t *rgb, int w, int h)
{
    size_t row = ((size_t)w * 3 + 3) / 4 * 4;
    out->n = 0;
    put(out, "BM", 2);
    put_little(out, (uint32_t)(54 + row * (size_t)h), 4);
    put_little(out, 0, 4);
    put_little(out, 54, 4);
    put_little(out, 40, 4);
    put_little(out, (uint32_t)w, 4);
    put_little(out, (uint32_t)h, 4);
    put_little(out, 1, 2);
    put_little(out, 24, 2);
    for (int i = 0; i < 6; i++)
        put_little(out, 0, 4);
    for (int y = h - 1; y >= 0; y--) {
        for (int x = 0; x < w; x++) {
            const uint8_t *p = rgb + (y * w + x) * 3;
            put(out, (uint8_t[]){ p[2], p[1], p[0] }, 3);
        }
        put(out, "\0\0\0", row - (size_t)w * 3);
    }
}

uint64_t fnv(const uint8_t *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

void save(const char *path, const bytes *b)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(b->p, 1, b->n, f) != b->n)
        printf("cannot write %s\n", path);
    if (f)
        fclose(f);
}

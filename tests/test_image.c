#include "harness.h"
#include "pictures.h"
#include "base/alloc.h"
#include "base/file.h"
#include "data/decoders.h"
#include "data/preprocess.h"
#include "data/resize.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define W 37
#define H 23

static uint8_t rgb[W * H * 3];
static bytes file, other;

static bool same(const ot_image *m, const uint8_t *want, int64_t w, int64_t h)
{
    return m->w == w && m->h == h && memcmp(m->rgb, want, (size_t)(w * h * 3)) == 0;
}

static double mean_difference(const uint8_t *a, const uint8_t *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)a[i] - b[i]);
    return sum / (double)n;
}

static void lossless_formats(void)
{
    ot_image m;
    char head[64];
    pattern(rgb, W, H, 1);
    make_png(&file, W, H, 8, 2, rgb, W * 3, NULL);
    CHECK_OK(ot_image_decode(&m, file.p, file.n));
    CHECK(same(&m, rgb, W, H));
    ot_image_release(&m);
    make_bmp(&file, rgb, W, H);
    CHECK_OK(ot_image_decode(&m, file.p, file.n));
    CHECK(same(&m, rgb, W, H));
    ot_image_release(&m);
    int n = snprintf(head, sizeof(head), "P6\n# a comment\n%d %d\n255\n", W, H);
    memcpy(file.p, head, (size_t)n);
    memcpy(file.p + n, rgb, sizeof(rgb));
    CHECK_OK(ot_image_decode(&m, file.p, (size_t)n + sizeof(rgb)));
    CHECK(same(&m, rgb, W, H));
    ot_image_release(&m);
    CHECK_FAILS(ot_image_decode(&m, file.p, (size_t)n + sizeof(rgb) - 1), OT_EDATA, "37x23 pixels in");
}

static void small_pnm(void)
{
    static const struct {
        const char *text;
        size_t n;
        uint8_t want[6];
    } rows[] = {
        { "P5 2 1 255\n\x10\x20", 13, { 0x10, 0x10, 0x10, 0x20, 0x20, 0x20 } },
        { "P5 2 1 65535\n\x10\x99\x20\x99", 17, { 0x10, 0x10, 0x10, 0x20, 0x20, 0x20 } },
        { "P5 2 1 15\n\x0f\x01", 12, { 255, 255, 255, 17, 17, 17 } },
        { "P2 2 1 4\n2 # half\n4", 20, { 128, 128, 128, 255, 255, 255 } },
        { "P3\n2\n1\n255\n1 2 3\n4 5 6\n", 24, { 1, 2, 3, 4, 5, 6 } },
    };
    ot_image m;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (CHECK_OK(ot_image_decode(&m, (const uint8_t *)rows[i].text, rows[i].n))) {
            CHECK(same(&m, rows[i].want, 2, 1));
            ot_image_release(&m);
        }
    CHECK_FAILS(ot_image_decode(&m, (const uint8_t *)"P3 2 1 255 1 2 3 4 5", 20), OT_EDATA, "5 of 6");
    CHECK_FAILS(ot_image_decode(&m, (const uint8_t *)"P5 0 1 255\n1", 12), OT_EDATA, "header");
    CHECK_FAILS(ot_image_decode(&m, (const uint8_t *)"P6 16000000 16000000 255\n1", 26), OT_EDATA, "pixels in");
    CHECK_FAILS(ot_image_decode(&m, (const uint8_t *)"P6 99999999999 1 255\n1", 22), OT_EDATA, "header");
}

static void png_kinds(void)
{
    ot_image m;
    static const uint8_t grey16[] = { 0x12, 0xff, 0x80, 0x00 };
    make_png(&file, 2, 1, 16, 0, grey16, 4, NULL);
    CHECK_OK(ot_image_decode(&m, file.p, file.n));
    CHECK(same(&m, (const uint8_t[]){ 0x12, 0x12, 0x12, 0x80, 0x80, 0x80 }, 2, 1));
    ot_image_release(&m);
    static const uint8_t rgba[] = { 10, 20, 30, 0, 40, 50, 60, 255 };
    make_png(&file, 2, 1, 8, 6, rgba, 8, NULL);
    CHECK_OK(ot_image_decode(&m, file.p, file.n));
    CHECK(same(&m, (const uint8_t[]){ 10, 20, 30, 40, 50, 60 }, 2, 1)); /* alpha is dropped, as Pillow does */
    ot_image_release(&m);
    other.n = 0;
    png_chunk(&other, "PLTE", (const uint8_t *)"\x01\x02\x03\x04\x05\x06", 6);
    make_png(&file, 2, 1, 1, 3, (const uint8_t *)"\x40", 1, &other);
    CHECK_OK(ot_image_decode(&m, file.p, file.n));
    CHECK(same(&m, (const uint8_t[]){ 1, 2, 3, 4, 5, 6 }, 2, 1));
    ot_image_release(&m);
    make_png(&file, 2, 1, 1, 0, (const uint8_t *)"\x40", 1, NULL);
    CHECK_OK(ot_image_decode(&m, file.p, file.n));
    CHECK(same(&m, (const uint8_t[]){ 0, 0, 0, 255, 255, 255 }, 2, 1));
    ot_image_release(&m);
}

static void jpeg_by_both_libraries(void)
{
    ot_image m;
    static uint8_t smooth[64 * 48 * 3];
    for (int i = 0; i < 64 * 48; i++) {
        smooth[3 * i] = (uint8_t)(i % 64 * 3);
        smooth[3 * i + 1] = (uint8_t)(i / 64 * 4);
        smooth[3 * i + 2] = 90;
    }
    make_jpeg(&file, smooth, 64, 48);
    if (CHECK_OK(ot_image_decode(&m, file.p, file.n)))
        CHECK(m.w == 64 && m.h == 48 && mean_difference(m.rgb, smooth, sizeof(smooth)) < 2);
    ot_image_release(&m);
    if (CHECK_OK(ot_stb_decode(&m, file.p, file.n)))
        CHECK(m.w == 64 && m.h == 48 && mean_difference(m.rgb, smooth, sizeof(smooth)) < 2);
    ot_image_release(&m);
    if (strncmp(ot_image_libraries(), "libjpeg", 7) == 0) { /* only it can scale while decoding */
        CHECK_OK(ot_image_decode_near(&m, file.p, file.n, 13));
        CHECK(m.w == 32 && m.h == 24);
        ot_image_release(&m);
    }
}

/* tests/data holds 16x16 pictures; the numbers are FNV-1a of the pixels that Pillow 11 gives. */
static void jpeg_kinds(void)
{
    static const struct {
        const char *name;
        uint64_t pillow;
        uint8_t at[2][3]; /* pixels (5, 3) and (15, 12) */
    } rows[] = {
        { "cmyk.jpg", 0xc20c41f694670cbdu, { { 74, 44, 118 }, { 184, 148, 98 } } },
        { "ycck.jpg", 0x4a49f7a966032670u, { { 73, 44, 116 }, { 179, 148, 101 } } },
        { "grey.jpg", 0x044e5087737cdf25u, { { 80, 80, 80 }, { 240, 240, 240 } } },
        { "progressive.jpg", 0x057b5eb5013cbfb5u, { { 77, 49, 126 }, { 234, 194, 132 } } },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[1024];
        uint8_t *raw;
        size_t n;
        ot_image m[2];
        const char *slash = strrchr(__FILE__, '/');
        snprintf(path, sizeof(path), "%.*s/data/%s", (int)(slash - __FILE__), __FILE__, rows[i].name);
        if (!CHECK_OK(ot_file_read(&raw, &n, path, 10000)))
            continue;
        CHECK_OK(ot_image_decode(&m[0], raw, n));
        CHECK_OK(ot_stb_decode(&m[1], raw, n));
        if (strncmp(ot_image_libraries(), "libjpeg-turbo", 13) == 0)
            CHECK(fnv(m[0].rgb, 768) == rows[i].pillow);
        for (int k = 0; k < 2; k++) { /* stb's colour interpolation differs a little */
            for (int c = 0; c < 3; c++) {
                CHECK(abs(m[k].rgb[(3 * 16 + 5) * 3 + c] - rows[i].at[0][c]) <= 6);
                CHECK(abs(m[k].rgb[(12 * 16 + 15) * 3 + c] - rows[i].at[1][c]) <= 6);
            }
            ot_image_release(&m[k]);
        }
        ot_free(raw);
    }
}

static void orientations(void)
{
    /* Pixel (x, y) of the upright picture from the stored one of W x H. */
    uint8_t body[64] = "Exif\0";
    ot_image plain, m;
    pattern(rgb, W, H, 2);
    make_jpeg(&other, rgb, W, H);
    CHECK_OK(ot_image_decode(&plain, other.p, other.n));
    for (int o = 1; o <= 8; o++)
        for (int big = 0; big < 2; big++) {
            size_t n = exif_block(body + 6, o, big);
            insert_app1(&file, &other, body, n + 6);
            if (!CHECK_OK(ot_image_decode(&m, file.p, file.n)))
                continue;
            CHECK(o < 5 ? m.w == W && m.h == H : m.w == H && m.h == W);
            int wrong = 0;
            for (int64_t y = 0; y < m.h; y++)
                for (int64_t x = 0; x < m.w; x++) {
                    const int64_t X = W - 1, Y = H - 1;
                    const int64_t u[] = { x, X - x, X - x, x, y, y, X - y, X - y };
                    const int64_t v[] = { y, y, Y - y, Y - y, x, Y - x, Y - x, x };
                    wrong += memcmp(m.rgb + (y * m.w + x) * 3, plain.rgb + (v[o - 1] * W + u[o - 1]) * 3, 3) != 0;
                }
            CHECK(wrong == 0);
            ot_image_release(&m);
        }
    for (size_t n = 0; n < 38; n++) /* a block that is cut short says nothing */
        CHECK(ot_exif_orientation(body + 6, n < 26 ? n : 26) == (n < 26 - 4 ? 1 : 8));
    ot_image_release(&plain);
    other.n = 0;
    png_chunk(&other, "eXIf", body + 6, exif_block(body + 6, 6, 1));
    make_png(&file, W, H, 8, 2, rgb, W * 3, &other);
    CHECK_OK(ot_image_decode(&m, file.p, file.n));
    CHECK(m.w == H && m.h == W);
    ot_image_release(&m);
}

static void truncated_at_every_byte(void)
{
    ot_image m;
    int64_t before = ot_live_blocks();
    pattern(rgb, W, H, 3);
    make_jpeg(&file, rgb, W, H);
    for (size_t n = 0; n < file.n; n++) {
        CHECK(ot_image_decode(&m, file.p, n) == OT_EDATA && !m.rgb);
        CHECK(ot_stb_decode(&m, file.p, n) == OT_EDATA && !m.rgb);
    }
    make_png(&file, W, H, 8, 2, rgb, W * 3, NULL);
    for (size_t n = 0; n < file.n; n++)
        CHECK(ot_image_decode(&m, file.p, n) == OT_EDATA && !m.rgb);
    make_bmp(&file, rgb, W, H);
    for (size_t n = 0; n < file.n - 1; n++) /* the last byte is padding */
        CHECK(ot_image_decode(&m, file.p, n) == OT_EDATA && !m.rgb);
    CHECK(ot_live_blocks() == before);
}

/* Damage at fixed places must never be more than an error; run under the sanitisers, this is a small fuzzer. */
static void damaged(void)
{
    ot_image m;
    int64_t before = ot_live_blocks();
    uint32_t r = 1;
    pattern(rgb, W, H, 4);
    for (int kind = 0; kind < 4; kind++) {
        if (kind < 2)
            make_jpeg(&other, rgb, W, H);
        else if (kind == 2)
            make_png(&other, W, H, 8, 2, rgb, W * 3, NULL);
        else
            make_bmp(&other, rgb, W, H);
        for (int i = 0; i < 400; i++) {
            memcpy(file.p, other.p, other.n);
            for (int k = 0; k < 1 + i % 3; k++) {
                r = r * 1664525u + 1013904223u;
                file.p[2 + (r >> 8) % (i % 2 ? other.n - 2 : 60)] = (uint8_t)(r >> 3);
            }
            ot_status st = kind == 0 ? ot_image_decode(&m, file.p, other.n) : ot_stb_decode(&m, file.p, other.n);
            CHECK(st == OT_OK ? m.rgb != NULL : st == OT_EDATA && !m.rgb && ot_last_error()[0]);
            ot_image_release(&m);
        }
    }
    CHECK(ot_live_blocks() == before);
}

static void refused(void)
{
    static const struct {
        const char *head;
        const char *words;
    } rows[] = {
        { "RIFF\1\1\1\1WEBPVP8 ", "WebP" },
        { "\1\1\1\x18"
          "ftypheic\1\1\1\1",
          "HEIC" },
        { "\1\1\1\x18"
          "ftypmif1\1\1\1\1",
          "HEIC" },
        { "\1\1\1\x18"
          "ftypavif\1\1\1\1",
          "AVIF" },
        { "GIF89a", "GIF" },
        { "II*\1", "TIFF" },
        { "<html>", "no picture" },
        { "\xFF\xD8\xFF", "damaged" },
        { "\x89PNG\r\n\x1a\n", "too early" },
        { "BM", "damaged" },
    };
    ot_image m;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK_FAILS(ot_image_decode(&m, (const uint8_t *)rows[i].head, strlen(rows[i].head)), OT_EDATA, rows[i].words);
    CHECK_FAILS(ot_image_decode(&m, (const uint8_t *)"", 0), OT_EDATA, "empty");
    snprintf((char *)file.p, 100, "%s", test_tmp("web.jpg"));
    other.n = 12;
    memcpy(other.p, "RIFF\1\1\1\1WEBP", 12);
    save((char *)file.p, &other);
    CHECK_FAILS(ot_image_read(&m, (char *)file.p), OT_EDATA, "web.jpg: WebP");
    CHECK_FAILS(ot_image_read(&m, "/no/such.jpg"), OT_EIO, "/no/such.jpg");
}

static void huge_headers(void)
{
    ot_image m;
    pattern(rgb, W, H, 5);
    make_jpeg(&file, rgb, W, H);
    for (size_t i = 0; i + 9 < file.n; i++)
        if (file.p[i] == 0xFF && file.p[i + 1] == 0xC0)
            memcpy(file.p + i + 5, "\xFD\xE8\xFD\xE8", 4); /* 65000 x 65000 */
    CHECK_FAILS(ot_image_decode(&m, file.p, file.n), OT_EDATA, "65000x65000");
    CHECK_FAILS(ot_stb_decode(&m, file.p, file.n), OT_EDATA, "65000x65000");
    uint8_t head[13] = { 0, 0, 0x3E, 0x80, 0, 0, 0x3E, 0x80, 8, 2, 0, 0, 0 };
    make_png(&file, 1, 1, 8, 2, rgb, 3, NULL);
    file.n = 8; /* the signature stays */
    png_chunk(&file, "IHDR", head, 13);
    png_chunk(&file, "IDAT", (const uint8_t *)"\x78\x01\x03\x00\x00\x00\x00\x01", 8);
    png_chunk(&file, "IEND", NULL, 0);
    CHECK_FAILS(ot_image_decode(&m, file.p, file.n), OT_EDATA, "cannot hold 16000x16000");
}

static void resize_equals_pillow(void)
{
    static const struct {
        int64_t w, h;
        uint64_t pillow;
    } rows[] = {
        { 67, 53, 0xce063b69cffbe9eeu }, { 32, 25, 0xbe162f5f08e32069u },   { 20, 53, 0x35ea508cd7b1ce61u },
        { 67, 11, 0xa8e8b0a8754e7de3u }, { 150, 120, 0x9a69e849bb633e2cu }, { 1, 1, 0x2d38371adf5c1884u },
        { 66, 54, 0xac3231fbddfb0f61u }, { 7, 200, 0xb5b5b2f8d3e59e82u },
    };
    ot_image in, m;
    CHECK_OK(ot_image_create(&in, 67, 53));
    pattern(in.rgb, 67, 53, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (CHECK_OK(ot_image_resize(&m, &in, rows[i].w, rows[i].h))) {
            CHECK(fnv(m.rgb, (size_t)(m.w * m.h * 3)) == rows[i].pillow);
            ot_image_release(&m);
        }
    int64_t w, h;
    ot_image_fit_short(&w, &h, &in, 30);
    CHECK(w == 37 && h == 30);
    ot_image_release(&in);
    CHECK_FAILS(ot_image_resize(&m, &in, 0, 5), OT_EDATA, "0x5");
}

static void resize_crop_is_a_part(void)
{
    static const int64_t sizes[][2] = { { 67, 53 }, { 32, 25 }, { 67, 20 }, { 20, 53 }, { 150, 120 } };
    ot_image in, whole, part;
    CHECK_OK(ot_image_create(&in, 67, 53));
    pattern(in.rgb, 67, 53, 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int64_t w = sizes[i][0], h = sizes[i][1], wrong = 0;
        CHECK_OK(ot_image_resize(&whole, &in, w, h));
        CHECK_OK(ot_image_resize_crop(&part, &in, w, h, 3, 5, w - 10, h - 7));
        for (int64_t y = 0; y < part.h; y++)
            wrong += memcmp(part.rgb + y * part.w * 3, whole.rgb + ((y + 5) * w + 3) * 3, (size_t)part.w * 3) != 0;
        CHECK(wrong == 0 && part.w == w - 10 && part.h == h - 7);
        ot_image_release(&whole);
        ot_image_release(&part);
    }
    CHECK_FAILS(ot_image_resize_crop(&part, &in, 20, 20, 1, 0, 20, 20), OT_EARG, "not inside 20x20");
    ot_image_release(&in);
}

/* A strip one pixel wide must not become a picture of the same shape and 256 pixels wide. */
static void a_strip(void)
{
    static float out[3 * 224 * 224];
    const ot_image_spec s = OT_IMAGE_SPEC_INIT;
    ot_image in;
    CHECK_OK(ot_image_create(&in, 1, 60000));
    memset(in.rgb, 51, 180000);
    CHECK_OK(ot_image_preprocess(out, &in, &s));
    for (size_t i = 0; i < 224 * 224; i++)
        CHECK(test_close((0.2 - 0.485) / 0.229, out[i], 1e-5, 0));
    ot_image_release(&in);
}

static void preprocess_layouts(void)
{
    ot_image in;
    float chw[3 * 16], hwc[3 * 16];
    ot_image_spec s = { 4, 4, { 1, 2, 3 }, { 2, 4, 8 }, 255, true, false };
    CHECK_OK(ot_image_create(&in, 8, 4));
    pattern(in.rgb, 8, 4, 6);
    CHECK_OK(ot_image_preprocess(chw, &in, &s));
    s.nhwc = true;
    CHECK_OK(ot_image_preprocess(hwc, &in, &s));
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < 4; y++)
            for (int x = 0; x < 4; x++) {
                double v = in.rgb[(y * 8 + x + 2) * 3 + 2 - c], want = (v - s.mean[c]) / s.std[c];
                CHECK(test_close(want, chw[c * 16 + y * 4 + x], 1e-4, 0));
                CHECK(test_close(want, hwc[(y * 4 + x) * 3 + c], 1e-4, 0));
            }
    s.std[1] = 0;
    CHECK_FAILS(ot_image_preprocess(chw, &in, &s), OT_EARG, "channel 1");
    s = (ot_image_spec)OT_IMAGE_SPEC_INIT;
    s.resize = 100;
    CHECK_FAILS(ot_image_preprocess(chw, &in, &s), OT_EARG, "crop of 224");
    s.size = 0;
    CHECK_FAILS(ot_image_preprocess(chw, &in, &s), OT_EARG, "size 0");
    ot_image_release(&in);
}

/* Against the tensors that PyTorch's pipeline made: raw_data, the last field, is 3*224*224 floats. */
static void photos(void)
{
    static const char *const names[][2] = {
        { "data/photos/cat-chelsea.png", "data/models/testdata/cat-chelsea-224.input.pb" },
        { "data/photos/dog-samoyed.jpg", "data/models/testdata/dog-samoyed-224.input.pb" }
    };
    const ot_image_spec s = OT_IMAGE_SPEC_INIT;
    for (int k = 0; k < 2; k++) {
        char photo[1024];
        uint8_t *pb;
        size_t n, floats = 3 * 224 * 224;
        ot_tensor *t;
        const char *path = test_shared(names[k][0]);
        if (!path)
            return;
        snprintf(photo, sizeof(photo), "%s", path);
        CHECK_OK(ot_image_load(&t, photo, &s));
        path = test_shared(names[k][1]);
        if (!path || !t || !CHECK_OK(ot_file_read(&pb, &n, path, 1 << 24)))
            return;
        double most = 0, sum = 0;
        for (size_t i = 0; i < floats && CHECK(n >= floats * 4); i++) {
            float want;
            memcpy(&want, pb + n - (floats - i) * 4, 4);
            double d = fabs((double)((float *)t->data)[i] - want);
            most = d > most ? d : most;
            sum += d;
        }
        /* stb_image interpolates colour differently; a step of one in 255 is 0.017 here */
        if (k == 1 && strncmp(ot_image_libraries(), "libjpeg", 7))
            CHECK(sum / (double)floats < 0.01);
        else
            CHECK(most < 1e-5);
        ot_free(pb);
        ot_tensor_free(t);
    }
}

static void png_file(void)
{
    ot_image m;
    char path[512];
    pattern(rgb, W, H, 7);
    snprintf(path, sizeof(path), "%s", test_tmp("out.png"));
    CHECK_OK(ot_png_write(path, rgb, W, H, 3));
    CHECK_OK(ot_image_read(&m, path));
    CHECK(same(&m, rgb, W, H));
    ot_image_release(&m);
    CHECK_OK(ot_png_write(path, rgb, W * 3, H, 1));
    CHECK_OK(ot_image_read(&m, path));
    CHECK(m.w == W * 3 && m.rgb[0] == rgb[0] && m.rgb[1] == rgb[0] && m.rgb[3] == rgb[1]);
    ot_image_release(&m);
    CHECK_FAILS(ot_png_write(path, rgb, 0, H, 3), OT_EARG, "0x23");
}

static void out_of_memory(void)
{
    static float out[3 * 32 * 32];
    ot_image_spec s = OT_IMAGE_SPEC_INIT;
    int64_t before = ot_live_blocks();
    s.size = 32;
    for (int kind = 0; kind < 3; kind++) {
        pattern(rgb, W, H, 8);
        if (kind == 0)
            make_jpeg(&file, rgb, W, H);
        else
            make_png(&file, W, H, 8, 2, rgb, W * 3, NULL);
        ot_status st = OT_ENOMEM;
        for (int64_t n = 0; st != OT_OK && n < 1000; n++) {
            ot_image m;
            ot_fail_alloc_after(n);
            st = kind == 2 ? ot_stb_decode(&m, file.p, file.n) : ot_image_decode(&m, file.p, file.n);
            if (st == OT_OK)
                st = ot_image_preprocess(out, &m, &s);
            ot_fail_alloc_after(-1);
            ot_image_release(&m);
            CHECK(st == OT_OK || st == OT_ENOMEM);
            CHECK(ot_live_blocks() == before);
        }
        CHECK(st == OT_OK);
    }
}

const ot_test image_tests[] = { { "lossless formats", lossless_formats },
                                { "small pnm", small_pnm },
                                { "png kinds", png_kinds },
                                { "jpeg by both libraries", jpeg_by_both_libraries },
                                { "jpeg kinds", jpeg_kinds },
                                { "orientations", orientations },
                                { "truncated at every byte", truncated_at_every_byte },
                                { "damaged", damaged },
                                { "refused", refused },
                                { "huge headers", huge_headers },
                                { "resize equals Pillow", resize_equals_pillow },
                                { "resize crop is a part", resize_crop_is_a_part },
                                { "a strip", a_strip },
                                { "preprocess layouts", preprocess_layouts },
                                { "photos", photos },
                                { "png file", png_file },
                                { "out of memory", out_of_memory },
                                { NULL, NULL } };

/* JPEG by libjpeg-turbo.  Its errors leave by longjmp, so all that must survive sits in one struct. */
#include "data/decoders.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

#define MAX_SCANS 200 /* a progressive file has about ten; each costs a pass over all coefficients */
/* A block of 8x8 pixels takes a bit or more: 512 pixels a byte, twice that with subsampled colour left out. */
#define PIXELS_A_BYTE 1024

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr err;
    struct jpeg_progress_mgr progress;
    jmp_buf out;
    char why[JMSG_LENGTH_MAX];
    ot_status st;
    ot_image image;
    uint8_t *row; /* of CMYK pixels */
} decoder;

static void leave(j_common_ptr c)
{
    decoder *d = c->client_data;
    c->err->format_message(c, d->why);
    d->st = OT_EDATA;
    longjmp(d->out, 1);
}

/* Warnings about missing or wrong picture data count as errors; others (stray bytes before a marker) do not. */
static void warned(j_common_ptr c, int level)
{
    int code = c->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE))
        leave(c);
}

static void silent(j_common_ptr c)
{
    (void)c;
}

static void count_scans(j_common_ptr c)
{
    decoder *d = c->client_data;
    if (d->jpeg.input_scan_number <= MAX_SCANS)
        return;
    snprintf(d->why, sizeof(d->why), "more than %d scans", MAX_SCANS);
    d->st = OT_EDATA;
    longjmp(d->out, 1);
}

/* Adobe stores inverted ink: c is 255 for none, so R = c * k / 255, rounded. */
static void cmyk_to_rgb(uint8_t *rgb, const uint8_t *cmyk, int64_t w)
{
    for (int64_t x = 0; x < w; x++)
        for (int i = 0; i < 3; i++) {
            unsigned t = (255u - cmyk[4 * x + i]) * cmyk[4 * x + 3] + 128;
            rgb[3 * x + i] = (uint8_t)(cmyk[4 * x + 3] - (((t >> 8) + t) >> 8));
        }
}

static void scale_down(struct jpeg_decompress_struct *j, int64_t min_side)
{
    int64_t side = j->image_width < j->image_height ? j->image_width : j->image_height;
    j->scale_num = 1;
    j->scale_denom = 1;
    while (min_side > 0 && j->scale_denom < 8 && side / (2 * j->scale_denom) >= min_side)
        j->scale_denom *= 2;
}

static void decode(decoder *d, const uint8_t *bytes, size_t n, int64_t min_side)
{
    struct jpeg_decompress_struct *j = &d->jpeg;
    jpeg_create_decompress(j);
    j->progress = &d->progress;
    jpeg_mem_src(j, bytes, (unsigned long)n);
    jpeg_read_header(j, TRUE);
    d->st = ot_image_plausible(j->image_width, j->image_height, n, PIXELS_A_BYTE);
    bool cmyk = j->num_components == 4;
    j->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    scale_down(j, min_side);
    if (d->st != OT_OK)
        return;
    jpeg_start_decompress(j);
    d->st = ot_image_create(&d->image, j->output_width, j->output_height);
    if (d->st == OT_OK && cmyk && !(d->row = ot_malloc(j->output_width, 4)))
        d->st = OT_ENOMEM;
    while (d->st == OT_OK && j->output_scanline < j->output_height) {
        uint8_t *rgb = d->image.rgb + (size_t)j->output_scanline * j->output_width * 3;
        JSAMPROW to = cmyk ? d->row : rgb;
        jpeg_read_scanlines(j, &to, 1);
        if (cmyk)
            cmyk_to_rgb(rgb, d->row, d->image.w);
    }
    if (d->st == OT_OK)
        jpeg_finish_decompress(j);
}

ot_status ot_jpeg_decode(ot_image *out, const uint8_t *bytes, size_t n, int64_t min_side)
{
    *out = (ot_image){ 0 };
    decoder *d = ot_calloc(1, sizeof(*d));
    if (!d)
        return OT_ENOMEM;
    d->jpeg.err = jpeg_std_error(&d->err);
    d->err.error_exit = leave;
    d->err.emit_message = warned;
    d->err.output_message = silent;
    d->progress.progress_monitor = count_scans;
    d->jpeg.client_data = d;
    if (setjmp(d->out) == 0)
        decode(d, bytes, n, min_side);
    jpeg_destroy_decompress(&d->jpeg);
    ot_status st = d->st;
    if (d->why[0])
        ot_fail(st, "damaged JPEG: %s", d->why);
    if (st == OT_OK)
        *out = d->image;
    else
        ot_image_release(&d->image);
    ot_free(d->row);
    ot_free(d);
    return st;
}

#define TEXT(x)    TEXT_OF(x)
#define TEXT_OF(x) #x
const char *ot_jpeg_library(void)
{
#ifdef LIBJPEG_TURBO_VERSION
    return "libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION);
#else
    return "libjpeg " TEXT(JPEG_LIB_VERSION);
#endif
}

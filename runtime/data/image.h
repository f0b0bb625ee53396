/* Pictures: JPEG, PNG, BMP and PNM files to 8-bit RGB, and RGB to PNG.  A picture file is hostile input. */
#ifndef OT_DATA_IMAGE_H
#define OT_DATA_IMAGE_H

#include "base/alloc.h"

#define OT_IMAGE_MAX_PIXELS ((int64_t)1 << 28)

/* w x h pixels, row after row from the top, three bytes R G B each, no padding.  Owned: ot_image_release. */
typedef struct ot_image {
    int64_t w, h;
    uint8_t *rgb;
} ot_image; /* all zero is no picture */

/* Any of the formats, found by content.  Grey, CMYK, palette and 16-bit pictures are converted (16 bits: the high
 * byte), an alpha channel is dropped, EXIF orientation is obeyed.  OT_EDATA: no such format (others are named),
 * damaged or cut short, over OT_IMAGE_MAX_PIXELS; OT_ENOMEM. */
ot_status ot_image_decode(ot_image *out, const uint8_t *bytes, size_t n);
/* The same, but a JPEG may come out at 1/2, 1/4 or 1/8 of its size as long as its shorter side stays >= min_side:
 * faster, for pictures that are made smaller next.  0: full size. */
ot_status ot_image_decode_near(ot_image *out, const uint8_t *bytes, size_t n, int64_t min_side);
/* From a file: the text of an error begins with the path.  OT_EDATA as above; OT_EIO. */
ot_status ot_image_read(ot_image *out, const char *path);
ot_status ot_image_read_near(ot_image *out, const char *path, int64_t min_side);
/* Memory for w x h pixels, not cleared.  OT_EDATA when a side is < 1 or there are too many pixels. */
ot_status ot_image_create(ot_image *out, int64_t w, int64_t h);
void ot_image_release(ot_image *m);

/* Turns and mirrors as EXIF's orientation (1 to 8; any other number: nothing) asks. */
ot_status ot_image_orient(ot_image *m, int orientation);

/* A PNG file in a new buffer (ot_free); as ot_png_write of onnxtune.h. */
ot_status ot_png_encode(uint8_t **out, size_t *n, const uint8_t *pixels, int64_t w, int64_t h, int channels);

/* What decodes JPEG, with its version: for --version. */
const char *ot_image_libraries(void);

#endif

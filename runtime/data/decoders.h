/* The decoders behind image.h, each for one format or library; only data/ and its tests include this. */
#ifndef OT_DATA_DECODERS_H
#define OT_DATA_DECODERS_H

#include "data/image.h"

/* All decode n bytes to RGB, unoriented; OT_EDATA with the reason. */
#ifdef OT_HAVE_LIBJPEG
ot_status ot_jpeg_decode(ot_image *out, const uint8_t *bytes, size_t n, int64_t min_side);
const char *ot_jpeg_library(void);
#endif
/* PNG, BMP, JPEG by stb_image; a file that ends early is an error. */
ot_status ot_stb_decode(ot_image *out, const uint8_t *bytes, size_t n);
ot_status ot_pnm_decode(ot_image *out, const uint8_t *bytes, size_t n);

/* All segments lie inside the file, tables and headers are possible, each scan names what is defined, an end is there:
 * without that stb_image must not see a JPEG. */
ot_status ot_jpeg_check(const uint8_t *bytes, size_t n);

/* All chunks lie inside the file, their check sums are right, an end is there.  *orientation: from eXIf, else 1. */
ot_status ot_png_check(const uint8_t *bytes, size_t n, int *orientation);

/* The orientation (1 to 8) of a TIFF block as EXIF has it, or of a JPEG file's APP1 segment; 1 when none is found. */
int ot_exif_orientation(const uint8_t *tiff, size_t n);
int ot_jpeg_orientation(const uint8_t *bytes, size_t n);

/* OT_EDATA when w x h pixels cannot have come from n bytes of a format that packs at most `ratio` pixels in a byte:
 * a header of a few bytes must not make us allocate gigabytes. */
ot_status ot_image_plausible(int64_t w, int64_t h, size_t n, int64_t ratio);

#endif

/* Resizing as Pillow's Image.resize(BILINEAR) does it, bit for bit. */
#ifndef OT_DATA_RESIZE_H
#define OT_DATA_RESIZE_H

#include "data/image.h"

/* Bilinear with the filter widened by the factor when the picture gets smaller, so that nothing is lost or aliased. */
ot_status ot_image_resize(ot_image *out, const ot_image *in, int64_t w, int64_t h);
/* The same made w x h, but only the cw x ch pixels from (x0, y0) on are computed; OT_EARG when they lie outside. */
ot_status ot_image_resize_crop(ot_image *out, const ot_image *in, int64_t w, int64_t h, int64_t x0, int64_t y0,
                               int64_t cw, int64_t ch);
/* The sides that go with a shorter side of `side`: the longer one is rounded down, as torchvision does. */
void ot_image_fit_short(int64_t *w, int64_t *h, const ot_image *in, int64_t side);

#endif

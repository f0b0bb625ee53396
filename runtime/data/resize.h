/* Resizing as Pillow's Image.resize(BILINEAR) does it, bit for bit. */
#ifndef OT_DATA_RESIZE_H
#define OT_DATA_RESIZE_H

#include "data/image.h"

/* Bilinear with the filter widened by the factor when the picture gets smaller, so that nothing is lost or aliased. */
ot_status ot_image_resize(ot_image *out, const ot_image *in, int64_t w, int64_t h);
/* The sides that go with a shorter side of `side`: the longer one is rounded down, as torchvision does. */
void ot_image_fit_short(int64_t *w, int64_t *h, const ot_image *in, int64_t side);

#endif

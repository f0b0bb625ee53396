/* Random changes of a training picture: one pass that turns, mirrors, scales, crops, lights and normalises. */
#ifndef OT_DATA_AUGMENT_H
#define OT_DATA_AUGMENT_H

#include "data/image.h"

/* How an output pixel finds its place in the picture: x = at[0] + dx[0] * column + dy[0] * row, y likewise with [1],
 * in pixels of the picture, whose first pixel's centre is at 0.5. */
typedef struct ot_view {
    double at[2], dx[2], dy[2];
    float contrast, brightness; /* v * contrast + brightness, v in 0..1, then clipped to 0..1 */
} ot_view;

/* OT_EARG: zoom. */
ot_status ot_augment_check(ot_augment kind, float zoom);
/* The smallest shorter side a picture may be decoded at (ot_image_decode_near) without loss. */
int64_t ot_augment_min_side(const ot_image_spec *spec, ot_augment kind, float zoom);
/* 3 * size * size floats in the spec's layout: a pure function of the picture, the options and the key. */
ot_status ot_image_augment(float *out, const ot_image *in, const ot_image_spec *spec, ot_augment kind, float zoom,
                           uint64_t key);

/* The view that a key draws, and the sampling: bilinear, edges reflected (fedcba|abcdef). */
ot_view ot_view_draw(const ot_image *in, int64_t size, ot_augment kind, float zoom, uint64_t key);
void ot_view_sample(float *out, const ot_image *in, const ot_image_spec *spec, const ot_view *v);

#endif

/* From a picture to what a model's input wants: ot_image_spec (onnxtune.h) carried out. */
#ifndef OT_DATA_PREPROCESS_H
#define OT_DATA_PREPROCESS_H

#include "data/image.h"

/* OT_EARG with the field when a spec cannot be carried out. */
ot_status ot_image_spec_check(const ot_image_spec *spec);
/* The shorter side before the crop: spec->resize, or its default. */
int64_t ot_image_spec_resize(const ot_image_spec *spec);

/* Shorter side to the resize, centre crop, normalise: 3 * size * size floats in the spec's layout. */
ot_status ot_image_preprocess(float *out, const ot_image *in, const ot_image_spec *spec);
/* Normalises the size x size pixels at (x0, y0), which must lie inside. */
void ot_image_normalise(float *out, const ot_image *in, int64_t x0, int64_t y0, const ot_image_spec *spec);

#endif

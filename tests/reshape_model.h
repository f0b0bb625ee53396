/* Variants of a model for comparisons of training. */
#ifndef OT_TESTS_RESHAPE_MODEL_H
#define OT_TESTS_RESHAPE_MODEL_H

#include "onnxtune.h"

/* Every float initialiser, Constant, input and output becomes double. */
ot_status ot_model_to_double(ot_model *m);
/* Dimensions 2 and on of the inputs become free, and what the document says of shapes inside is forgotten. */
ot_status ot_model_free_size(ot_model *m);

#endif

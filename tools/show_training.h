/* How a model would train: for `show --freeze-to` and `--grad`, without any data. */
#ifndef OT_TOOLS_SHOW_TRAINING_H
#define OT_TOOLS_SHOW_TRAINING_H

#include "tool.h"

/* A data set of one sample as the model's only input and output ask for, which cannot be loaded.  given: the input's
 * shape, where the model's is not meant; may be NULL.  False after an error line that begins with path. */
bool ot_phantom_dataset(ot_dataset *out, const ot_model *m, const ot_session *s, const ot_tensor *given,
                        const char *path);

#endif

/* Opening what a command line names, with the errors said. */
#ifndef OT_TOOLS_MODEL_FILE_H
#define OT_TOOLS_MODEL_FILE_H

#include "args.h"

/* NULL after an error line, with the exit code in *code.  values: what is given back, NULL: the outputs. */
ot_model *ot_open_model(const char *path, int *code);
ot_session *ot_open_session(const ot_model *m, const char *path, const ot_common_args *a, const ot_strings *values,
                            const ot_strings *given, bool no_fusion, int *code);
/* Names of classes from a file (when not NULL) or the model's metadata; NULL when it has none.  An exit code. */
int ot_open_labels(ot_labels **out, const char *file, const ot_model *m, const char *path);
/* Says what was made: layers, parameters, the first output.  A model that cannot run here is said, but is a result all
 * the same.  An exit code. */
int ot_report_model(const ot_model *m, const char *path, bool json);
/* Notes a run in the model's metadata: a line more in onnxtune.history, and onnxtune.version. */
ot_status ot_note_run(ot_model *m, const char *fmt, ...) OT_TOOL_PRINTF(2, 3);
/* A declared shape made definite: a free first dimension becomes 1.  False when another one is free. */
bool ot_settle_shape(ot_tensor *shape);

#endif

/* onnxtune check DIR: runs models on the test data that lies beside them, as ONNX's own tests have it. */
#ifndef OT_TOOLS_CHECK_CASES_H
#define OT_TOOLS_CHECK_CASES_H

#include "args.h"

typedef struct ot_cases_args {
    const ot_common_args *common;
    const ot_strings *folders;
    const char *list; /* a file of the names that must pass; NULL: all must */
    double rtol, atol;
} ot_cases_args;

/* Every folder with a model.onnx below the folders is a case, named by the folder.  Prints what failed and what was
 * skipped, the reasons, and "N passed, N failed, N skipped".  An exit code. */
int ot_check_folders(const ot_cases_args *a);

#endif

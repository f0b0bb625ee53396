/* What a plan does, as text. */
#ifndef OT_EXEC_EXPLAIN_H
#define OT_EXEC_EXPLAIN_H

#include "exec/executor.h"

/* One line a step of the last plan; the caller frees it.  OT_EARG when nothing was planned. */
ot_status ot_explain(char **out, const ot_executor *e);
/* Step i of the last plan; OT_EARG when there is none. */
ot_status ot_explain_step(ot_step_info *out, const ot_executor *e, int64_t i);

#endif

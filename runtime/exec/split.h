/* Large batches in parts, for graphs that compute each sample by itself: the activations of a part stay in the cache.
 */
#ifndef OT_EXEC_SPLIT_H
#define OT_EXEC_SPLIT_H

#include "exec/executor.h"

typedef struct ot_split ot_split;

/* What the activations of a part may take; memory as below. */
size_t ot_part_bytes(const ot_graph *g, size_t memory);

/* NULL in *out, and OT_OK, where the graph does not allow it.  memory: the executor's cap, of which a part's
 * activations take half at most; 0: none.  The executor is not owned. */
ot_status ot_split_create(ot_split **out, ot_executor *e, size_t memory);
void ot_split_close(ot_split *s);

/* Plans for these inputs.  *parts: into how many they go; 1: the executor is to run them whole, nothing was done. */
ot_status ot_split_prepare(ot_split *s, const ot_tensor *input, int64_t *parts);
/* After ot_split_prepare of the same shapes with more than one part. */
ot_status ot_split_run(ot_split *s, const ot_tensor *input);
/* Output i of the last run; bytes that all of them take. */
ot_tensor *ot_split_output(ot_split *s, int64_t i);
size_t ot_split_bytes(const ot_split *s);
/* Samples of the batch over those of the part whose plan was used last. */
double ot_split_share(const ot_split *s);

#endif

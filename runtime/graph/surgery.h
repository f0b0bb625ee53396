/* Surgery on the document, in the model's own opset.  The public functions are ot_model_cut, ot_model_append,
 * ot_model_rename and ot_model_set_batch; here is what they and export share. */
#ifndef OT_GRAPH_SURGERY_H
#define OT_GRAPH_SURGERY_H

#include "model/edit.h"

/* Runs fn on a clone of m and puts the clone's content in m's place when it succeeds; else m is as it was.
 * Pointers into m's document are dead afterwards. */
ot_status ot_model_change(ot_model *m, ot_status (*fn)(ot_model *clone, void *ctx), void *ctx);

/* Removes what no graph output needs: nodes, initializers (their inputs too), notes about values that are gone. */
ot_status ot_model_sweep(ot_model *m);

/* Calls fn with every name that the node reads, those that its subgraphs capture included. */
ot_status ot_node_reads(const Onnx__NodeProto *n, ot_status (*fn)(void *ctx, const char *name), void *ctx);

/* Every use of the value `old` in the main graph and below gets the name `fresh`: inputs of nodes, outputs, notes. */
ot_status ot_replace_value(Onnx__GraphProto *g, const char *old, const char *fresh);

#endif

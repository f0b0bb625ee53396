/* Export: the finished model for others.  The public function is ot_model_export; its steps are here, each on the
 * document, each leaving a valid model. */
#ifndef OT_GRAPH_EXPORT_H
#define OT_GRAPH_EXPORT_H

#include "base/strmap.h"
#include "graph/surgery.h"

/* How often each value is read: by nodes, by subgraphs, and as a graph output. */
ot_status ot_count_reads(ot_strmap *reads, const Onnx__GraphProto *g);

/* Dropout goes; BatchNormalization uses its statistics; training_info goes.
 * OT_EUNSUPPORTED: a node that can only train, or whose training outputs are read. */
ot_status ot_export_inference(ot_model *m);
/* A BatchNormalization that alone reads a Conv of constant weights goes into them; computed in double. */
ot_status ot_export_fold_bn(ot_model *m);
/* Rewrites the nodes into the forms of a newer opset of ai.onnx.  OT_EUNSUPPORTED names the first node that has none,
 * or when the model is at a newer opset already. */
ot_status ot_export_upgrade(ot_model *m, int64_t opset);
/* The output becomes probabilities. */
ot_status ot_export_softmax(ot_model *m);

#endif

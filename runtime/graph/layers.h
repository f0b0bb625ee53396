/* Layers: the nodes of the document's main graph in file order, Constant and Identity left out.  The index of a layer
 * is what `--freeze-to` and `--cut` count by.  A call of a function that the model defines is one layer, whatever its
 * body holds: the document can be cut before it and after it, but not within. */
#ifndef OT_GRAPH_LAYERS_H
#define OT_GRAPH_LAYERS_H

#include "model/model.h"

bool ot_is_layer(const Onnx__NodeProto *n);
/* Does the node call a function of the model? */
bool ot_is_call(const ot_model *m, const Onnx__NodeProto *n);
int64_t ot_layer_total(const ot_model *m);
/* The node of layer i; NULL when out of range. */
const Onnx__NodeProto *ot_layer_node(const ot_model *m, int64_t i);
/* The node's name; that of its first output where it has none. */
const char *ot_node_name(const Onnx__NodeProto *n);
/* "12", "-4" (from the end; "0" is the first), a layer's name, or a prefix of names (the first that has it).
 * A number may also be the total: behind the last.  OT_EARG says the range. */
ot_status ot_find_layer(int64_t *index, const ot_model *m, const char *text);

#endif

#ifndef OT_GRAPH_TRAIN_MODE_H
#define OT_GRAPH_TRAIN_MODE_H

#include "graph/graph.h"

/* Puts nodes into their training forms, in place: BatchNormalizations of layers with bn[layer] == OT_BN_TRAINS use the
 * batch's statistics and bind the running ones; every Dropout drops, keyed by (seed, its name, step).  step is an int64
 * scalar input of the graph. */
ot_status ot_train_mode(ot_graph *g, const ot_bn_mode *bn, uint64_t seed, ot_val step);

#endif

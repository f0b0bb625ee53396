/* The frozen part of a training graph: what it computes of each sample by itself, from constants alone.  It can be run
 * as inference is, apart from the rest, which then takes the values that cross from one to the other as inputs. */
#ifndef OT_GRAPH_FROZEN_H
#define OT_GRAPH_FROZEN_H

#include "graph/graph.h"

/* Values of a graph that cross; in the graph's arena. */
typedef struct ot_crossing {
    ot_val *value;
    int64_t n; /* 0: there is no frozen part that is worth a run of its own */
} ot_crossing;

/* Of a pruned and folded graph, whose samples are input 0.  Values that cross are float and have the batch as dimension
 * 0, and none is the input itself. */
ot_status ot_frozen_find(ot_crossing *out, ot_graph *g);
/* Leaves the frozen part alone: input 0, and the values that cross as outputs, in their order. */
ot_status ot_frozen_keep(ot_graph *g, const ot_crossing *c);
/* Leaves the rest: the first value that crosses takes the place of input 0, the others are inputs behind all that there
 * are.  *whole: input 0 was still read, and the graph is as it was. */
ot_status ot_frozen_drop(ot_graph *g, const ot_crossing *c, bool *whole);

#endif

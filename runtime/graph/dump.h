#ifndef OT_GRAPH_DUMP_H
#define OT_GRAPH_DUMP_H

#include "graph/graph.h"

/* The working graph as an .onnx file for viewers such as Netron: every node with its attributes and shapes, internal
 * operators in the domain "onnxtune".  Constants of up to 64 elements are written with their values, larger ones and
 * state as inputs, so the file is small and cannot be run. */
ot_status ot_graph_save(const ot_graph *g, const char *path);

#endif

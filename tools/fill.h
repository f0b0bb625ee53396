/* Inputs made up: random numbers that depend on nothing but seed, input and position. */
#ifndef OT_TOOLS_FILL_H
#define OT_TOOLS_FILL_H

#include "tool.h"

/* A new tensor like `like`: floating types uniform in -1..1, all others 0. */
ot_status ot_fill_create(ot_tensor **out, const ot_tensor *like, uint64_t seed, uint64_t input);

#endif

/* The epilogue of fused convolutions: attributes activation none|relu|clip, lo, hi. */
#ifndef OT_OPS_CONV_FUSED_H
#define OT_OPS_CONV_FUSED_H

#include "conv_shape.h"

/* Everything but the activation becomes 0.  OT_EMODEL: another name. */
ot_status ot_read_activation(const ot_node *n, ot_epilogue *epi);
double ot_activate(const ot_epilogue *epi, double v);

#endif

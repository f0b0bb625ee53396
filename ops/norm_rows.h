/* Normalisation over the dims from `axis` on: what LayerNormalization and RMSNormalization share. */
#ifndef OT_OPS_NORM_ROWS_H
#define OT_OPS_NORM_ROWS_H

#include "run.h"

/* The dims before the attribute `axis` (default -1), and from it on, as one number each. */
typedef struct ot_norm_rows {
    int64_t rows, n;
} ot_norm_rows;
ot_norm_rows ot_norm_rows_of(const ot_node *node, int rank, const int64_t *dim);

/* Does s have the dims of x from axis on, and 1s at most before them?  Where symbols leave it open: not if `sure`. */
bool ot_norm_fits(const ot_fact *x, const ot_fact *s, int axis, bool sure);

#endif

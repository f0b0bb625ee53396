/* How a scale and a zero point lie over a tensor: one for all, one for each index of an axis, or one for each block of
 * `block_size` indices of an axis. */
#ifndef OT_OPS_QUANTIZE_H
#define OT_OPS_QUANTIZE_H

#include "run.h"

typedef enum ot_grain { OT_PER_TENSOR, OT_PER_AXIS, OT_PER_BLOCK } ot_grain;

/* The way for x and a scale of node n (attributes axis and block_size); *axis where there is one.  Dims are checked. */
ot_status ot_quant_grain(ot_grain *grain, int *axis, const ot_node *n, const ot_fact *x, const ot_fact *scale);

/* For loops: element i of x has the scale of index ot_quant_at(.., i). */
typedef struct ot_quant_map {
    ot_grain grain;
    int64_t inner, dim, block, blocks; /* elements behind the axis; the axis' length, cut into blocks */
} ot_quant_map;
ot_status ot_quant_map_of(ot_quant_map *m, const ot_run *r);

static inline int64_t ot_quant_at(const ot_quant_map *m, int64_t i)
{
    if (m->grain == OT_PER_TENSOR)
        return 0;
    int64_t k = i / m->inner % m->dim;
    if (m->grain == OT_PER_AXIS)
        return k;
    return (i / m->inner / m->dim * m->blocks + k / m->block) * m->inner + i % m->inner;
}

#endif

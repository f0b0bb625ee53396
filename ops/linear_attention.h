/* LinearAttention: sizes, and one head's work, which ops/linear_attention_head.h says once for each type. */
#ifndef OT_OPS_LINEAR_ATTENTION_H
#define OT_OPS_LINEAR_ATTENTION_H

#include "run.h"

enum { LA_Q, LA_K, LA_V, LA_PAST, LA_DECAY, LA_BETA, LA_DY, LA_DSTATE, LA_IN };
enum { LA_DQ, LA_DK, LA_DV, LA_DPAST, LA_DDECAY, LA_DBETA, LA_OUT };

typedef struct ot_linear {
    int64_t b, t, heads, group; /* heads of K and V; heads of Q for each of them */
    int64_t dk, dv;             /* a state is [dk][dv] */
    int64_t decays, betas;      /* last dims of decay and beta; 0: absent */
    bool delta;
    double scale;
    int64_t stretch, stretches; /* backward keeps a state for each stretch of steps, and those of one stretch */
    size_t floats;              /* work space of a head, in elements */
} ot_linear;

#endif

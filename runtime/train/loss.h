/* Losses as nodes, and the same losses per sample for evaluation. */
#ifndef OT_TRAIN_LOSS_H
#define OT_TRAIN_LOSS_H

#include "graph/graph.h"

/* What the model's first output holds. */
typedef enum ot_ending { OT_ENDS_SCORES, OT_ENDS_SOFTMAX, OT_ENDS_LOG_SOFTMAX } ot_ending;

typedef struct ot_head {
    ot_ending ending;
    ot_val scores; /* before a softmax, [N, C] */
    ot_val output; /* the model's own */
} ot_head;

/* Recognises the ending, so that a softmax is never applied twice; [N, C, 1, 1] is flattened, and each step of a
 * sequence [T, N, C] is a sample.  OT_ESHAPE: the output is
 * no [N, C], or C is not `classes` (0: any; one output may stand for two classes where the loss takes floats). */
ot_status ot_find_head(ot_head *out, ot_build *b, int64_t classes, ot_loss loss);
/* A mean over the batch, times `scale`.  target: int64 [N] for cross-entropy and NLL, float [N, C] for the others. */
ot_val ot_emit_loss(ot_build *b, const ot_head *h, ot_loss loss, double smoothing, ot_val target, double scale);
/* What evaluation reads, [N, C]: log-probabilities for cross-entropy, else the output itself. */
ot_val ot_emit_eval(ot_build *b, const ot_head *h, ot_loss loss);
/* True when the target is float [N, C] (one-hot, or the label itself where C is 1). */
bool ot_loss_wants_floats(ot_loss loss);
/* One sample's row of ot_emit_eval: its loss, and probabilities into p[classes]. */
double ot_sample_loss(ot_loss loss, const float *row, int64_t c, int64_t label, int64_t classes, float *p);

#endif

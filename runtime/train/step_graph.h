/* The training step as one graph: forward, loss, gradients, optimiser. */
#ifndef OT_TRAIN_STEP_GRAPH_H
#define OT_TRAIN_STEP_GRAPH_H

#include "train/parameters.h"

/* What a run of the graph does with its gradients. */
typedef enum ot_step_kind {
    OT_STEP_WHOLE,  /* uses them */
    OT_STEP_GATHER, /* adds them to sums beside the parameters; BatchNormalization's statistics move */
    OT_STEP_FINISH  /* adds the sums and uses the result; the caller clears the sums */
} ot_step_kind;

#define OT_STEP_SUM "onnxtune.sum" /* "onnxtune.sum/NAME" is the slot of a parameter's sum */

/* The inputs of the graph, in order: the model's own; then these. */
enum {
    OT_STEP_TARGET, /* int64 [N], or float [N, C] */
    OT_STEP_NUMBER, /* int64 scalar: of the batch, from 0; keys dropout */
    OT_STEP_T,      /* int64 scalar: of the optimiser's step, from 1 */
    OT_STEP_FIRST,  /* int64 scalar: 1 in the optimiser's first step, else 0 */
    OT_STEP_LR      /* float scalar, one a group */
};
/* The outputs. */
enum { OT_STEP_LOSS, OT_STEP_NORM /* not for GATHER */ };

/* classes: of the data, 0 when any number will do. */
ot_status ot_step_graph(ot_graph **out, const ot_model *m, const ot_parameters *ps, const ot_train_options *o,
                        int64_t classes, ot_step_kind kind);
/* The same without the last passes: ot_graph_finish is to follow. */
ot_status ot_step_graph_build(ot_graph **out, const ot_model *m, const ot_parameters *ps, const ot_train_options *o,
                              int64_t classes, ot_step_kind kind);
/* The model with the parameters as slots, and what evaluation reads as its one output; ot_graph_finish is to follow.
 * batch: of a model with states. */
ot_status ot_eval_graph_build(ot_graph **out, const ot_model *m, const ot_strmap *slots, ot_loss loss, int64_t classes,
                              int64_t batch);
/* states.c: inputs behind the first are states: they become slots of zeros, bound to the outputs behind the first, in
 * order.  Open dims are the batch.  OT_EUNSUPPORTED: no such output; OT_ESHAPE: one that does not fit. */
ot_status ot_bind_states(ot_graph *g, int64_t batch);

#endif

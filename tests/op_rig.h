/* What the parts of the row runner share: one graph of a row, and comparisons that name the row. */
#ifndef OT_TESTS_OP_RIG_H
#define OT_TESTS_OP_RIG_H

#include "exec/executor.h"
#include "op_case.h"

typedef struct op_rig {
    const op_case *row;
    ot_dtype real;     /* what floating inputs are in this graph */
    bool for_gradient; /* composites without a gradient are expanded */
    ot_graph *g;
    int n_in, n_out;
    ot_val in[OP_MAX_IN], out[OP_MAX_OUT];
    ot_tensor x[OP_MAX_IN];       /* owned data of all inputs, constants included */
    ot_tensor weight[OP_MAX_OUT]; /* of float outputs, for the loss */
    ot_executor *e;
    ot_store *store;
    ot_threads *threads;
    ot_workspace work;
    ot_tensor feed[OP_MAX_IN + OP_MAX_OUT]; /* views, in the order of the graph's inputs */
} op_rig;

/* The operator that the row is about, and the opset that its node is bound by. */
ot_status op_row_operator(const ot_op **op, int *opset, const op_case *row);
/* A graph with the row's node; close it also when this fails.  for_gradient: composites without a gradient are
 * expanded.
 */
ot_status op_rig_open(op_rig *r, const op_case *row, ot_dtype real, int threads, bool symbolic, bool for_gradient);
/* Every output of the node becomes one of the graph. */
ot_status op_rig_outputs(op_rig *r);
/* Hands the graph to an executor whose memory is full of NaN. */
ot_status op_rig_start(op_rig *r);
void op_rig_close(op_rig *r);
/* All of that and a run; false, and said, when something fails. */
bool op_rig_forward(op_rig *r, const op_case *row, ot_dtype real, int threads, bool symbolic);

/* A new tensor with the elements that `in` says, drawn by this key. */
ot_status op_fill_input(ot_tensor *t, const op_in *in, ot_dtype dtype, uint64_t key);
bool op_is_real(ot_dtype t);

/* As test_check, with the row in front of the message. */
bool op_say(const op_case *row, bool ok, const char *fmt, ...) OT_PRINTF(3, 4);
void op_check_same_bits(const op_case *row, const ot_tensor *a, const ot_tensor *b, const char *what);
/* want and got within tol, relative to the largest element of want (at least 1). */
void op_check_close(const op_case *row, const ot_tensor *want, const ot_tensor *got, double tol, const char *what);

/* op_case_gradient.c: all that op_case.h says of gradients. */
void op_check_gradients(const op_case *row);

#endif

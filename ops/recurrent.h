/* RNN, GRU and LSTM: what their kernels share.  q is a recurrence; D are its directions, G the gates of its cell: RNN
 * has one, GRU z r h, LSTM i o f c. */
#ifndef OT_OPS_RECURRENT_H
#define OT_OPS_RECURRENT_H

#include "run.h"

/* Inputs of the operators, and behind them those of their gradients. */
enum { IN_X, IN_W, IN_R, IN_B, IN_LENS, IN_H, IN_C, IN_P, IN_DY, IN_DYH, IN_DYC, IN_KEPT, IN_COUNT };
/* Outputs of the operators, and of their gradients.  A gradient that is not wanted is empty. */
enum { OUT_Y, OUT_H, OUT_C, OUT_KEPT };
enum { OUT_DX, OUT_DW, OUT_DR, OUT_DB, OUT_DH, OUT_DC, OUT_DP, OUT_COUNT };

typedef enum ot_squash {
    SQUASH_AFFINE,
    SQUASH_ELU,
    SQUASH_HARD_SIGMOID,
    SQUASH_LEAKY_RELU,
    SQUASH_RELU,
    SQUASH_SCALED_TANH,
    SQUASH_SIGMOID,
    SQUASH_SOFTPLUS,
    SQUASH_SOFTSIGN,
    SQUASH_TANH,
    SQUASH_THRESHOLDED_RELU
} ot_squash;

typedef struct ot_activation {
    ot_squash kind;
    double alpha, beta;
} ot_activation;

typedef enum ot_cell { CELL_RNN, CELL_GRU, CELL_LSTM } ot_cell;

typedef struct ot_recurrence {
    ot_cell cell;
    int gates, directions;
    bool reverse;     /* the first direction goes backward; the second always does */
    bool batch_first; /* layout 1 */
    bool coupled;     /* LSTM: f = 1 - i */
    bool linear_before_reset;
    double clip;         /* of what enters an activation; 0: none */
    int64_t hidden_size; /* as the attribute says; 0: it does not */
    ot_activation act[2][3];
    int64_t s, b, i, h; /* steps, batch, elements of an input, and of a state */
} ot_recurrence;

/* From the attributes; which cell it is tells the first letter of the operator's name. */
ot_status ot_recurrence_read(ot_recurrence *q, const ot_node *node);
/* The same with sizes. */
ot_status ot_recurrence_of(ot_recurrence *q, const ot_prep *p);

double ot_squash_of(const ot_activation *a, double x);
double ot_squash_slope(const ot_activation *a, double x); /* its derivative */

/* Places, in elements: of the row of X (and of anything with a row for each step and batch index), of Y, of a state. */
static inline int64_t ot_row_at(const ot_recurrence *q, int64_t t, int64_t b)
{
    return q->batch_first ? b * q->s + t : t * q->b + b;
}
static inline int64_t ot_y_at(const ot_recurrence *q, int64_t t, int d, int64_t b)
{
    return (q->batch_first ? (b * q->s + t) * q->directions + d : (t * q->directions + d) * q->b + b) * q->h;
}
static inline int64_t ot_state_at(const ot_recurrence *q, int d, int64_t b)
{
    return (q->batch_first ? b * q->directions + d : d * q->b + b) * q->h;
}
static inline bool ot_goes_back(const ot_recurrence *q, int d)
{
    return q->reverse || d == 1;
}
/* The steps of a batch index; S without sequence_lens. */
static inline int64_t ot_length_of(const ot_recurrence *q, const ot_run *r, int64_t b)
{
    return ot_has_x(r, IN_LENS) ? ((const int32_t *)r->x[IN_LENS].data)[b] : q->s;
}
/* sequence_lens are data: run checks them. */
ot_status ot_check_lengths(const ot_recurrence *q, const ot_run *r);

/* Data of an input or output, NULL where it is absent or (a gradient) not wanted. */
static inline const void *ot_data_in(const ot_run *r, int i)
{
    return ot_has_x(r, i) ? r->x[i].data : NULL;
}
static inline void *ot_data_out(const ot_run *r, int i)
{
    return ot_has_y(r, i) && ot_tensor_count(&r->y[i]) ? r->y[i].data : NULL;
}

ot_status ot_recurrent_prepare(ot_prep *p);
ot_status ot_recurrent_grad_prepare(ot_prep *p);
ot_status ot_recurrent_reference(const ot_run *r);
ot_status ot_recurrent_grad_reference(const ot_run *r);

/* Why the float32 kernels do not serve the gradient of this recurrence; NULL: they do. */
const char *ot_recurrence_declines(const ot_recurrence *q);
const char *ot_recurrent_grad_declines(const ot_prep *p);
ot_status ot_recurrent_fast_prepare(ot_prep *p);
ot_status ot_recurrent_grad_fast_prepare(ot_prep *p);
ot_status ot_recurrent_fast(const ot_run *r);
ot_status ot_recurrent_grad_fast(const ot_run *r);

#endif

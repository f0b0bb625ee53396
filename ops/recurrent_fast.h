/* RNN, GRU and LSTM in float32: what forward and backward share.  One direction at a time; a row is of one step and one
 * batch index, where X has it. */
#ifndef OT_OPS_RECURRENT_FAST_H
#define OT_OPS_RECURRENT_FAST_H

#include "recurrent.h"
#include "kernels/gemm.h"

/* Where things lie in scratch, in floats; 0 where backward alone has them. */
typedef struct ot_fast_places {
    size_t
        gates;   /* [rows][G H]: X W' + B, then activated, where they are not kept; backward: gradients of these sums */
    size_t bias; /* [G H] */
    size_t h, c; /* [B][H]; backward: gradients of them */
    size_t rec;  /* [B][G H]: H R' of a step; backward: the gradients of it */
    size_t reset;  /* [B][H]: GRU's r H; LSTM's h(C); backward: a product */
    size_t packed; /* R packed, where it has no place among the weights; backward: the other way */
    size_t late;   /* [rows][H]: gradients of what GRU multiplies by r, where that is after the product */
    size_t work, end;
} ot_fast_places;

typedef struct ot_fast_state {
    ot_recurrence q;
    ot_fast_places at;
    ot_packed *packed;
} ot_fast_state;

/* What forward keeps of a direction for backward; all NULL: nothing.  Zeros behind sequence_lens. */
typedef struct ot_kept {
    float *gates;  /* [rows][G H], activated */
    float *before; /* [rows][H]: H before the step */
    float *extra;  /* [rows][H]: of LSTM C before the step, of GRU r H, or what is multiplied by r; RNN has none */
} ot_kept;

typedef struct ot_fast {
    const ot_run *r;
    const ot_recurrence *q;
    const ot_fast_places *at;
    ot_kernel_pool pool;
    int d;
    int64_t k; /* the step, as the direction counts */
    ot_kept kept;
    float *gates, *h, *c, *rec, *reset, *work;
    const float *packed, *p, *late_bias; /* late_bias: Rbh where it is multiplied by r */
} ot_fast;

/* Fills p->state and p->scratch. */
ot_status ot_fast_prepare(ot_prep *p, bool backward);
void ot_fast_open(ot_fast *f, const ot_run *r, int d);
ot_kept ot_kept_of(const ot_recurrence *q, int d, void *data);
/* c[B][n] = a[B][k] times what is packed; rows of a and c follow each other with lda and ldc. */
void ot_fast_product(const ot_fast *f, int64_t n, int64_t k, const float *a, int64_t lda, const float *packed, float *c,
                     int64_t ldc);

static inline float *ot_fast_at(const ot_fast *f, size_t place)
{
    return (float *)f->r->scratch + place;
}
/* The row of the step for batch index b; -1 where its sequence has ended. */
static inline int64_t ot_fast_row(const ot_fast *f, int64_t b, int64_t *t)
{
    const int64_t length = ot_length_of(f->q, f->r, b);
    *t = ot_goes_back(f->q, f->d) ? length - 1 - f->k : f->k;
    return f->k < length ? ot_row_at(f->q, *t, b) : -1;
}
/* fn over all batch indices, on the threads. */
static inline void ot_fast_batch(ot_fast *f, ot_range_fn *fn)
{
    ot_for_ranges(f->r, f->q->b, OT_GRAIN / (f->q->gates * f->q->h + 1) + 1, fn, f);
}

#endif

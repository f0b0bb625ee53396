/* What the losses over classes share: scores as [n][c][d], a label for each of n * d elements. */
#ifndef OT_OPS_LOSS_H
#define OT_OPS_LOSS_H

#include "softmax.h"

typedef enum ot_reduction { OT_REDUCE_NONE, OT_REDUCE_MEAN, OT_REDUCE_SUM } ot_reduction;

typedef struct ot_labelled {
    ot_axes a; /* outer n, classes, inner d */
    ot_reduction reduction;
    bool ignores;
    int64_t ignored;
    double smoothing;
    const ot_tensor *label, *weight; /* weight: NULL: all 1 */
} ot_labelled;

/* Reads reduction (mean where absent); OT_EMODEL for an unknown one. */
ot_status ot_reduction_of(const ot_node *n, ot_reduction *out);
/* Scores, labels and weights (input numbers) fit together; y gets the shape of the loss. */
ot_status ot_labelled_rule(ot_infer *c, int scores, int labels, int weights, ot_fact *y);
void ot_labelled_read(ot_labelled *l, const ot_run *r, const ot_tensor *scores, int labels, int weights);
static inline int64_t ot_labelled_count(const ot_labelled *l)
{
    return l->a.outer * l->a.inner;
}
/* The label of element i and the weight of its class; ignored elements have weight 0 and label -1.
 * OT_EDATA where the label is no class. */
ot_status ot_label_at(const ot_labelled *l, int64_t i, int64_t *label, double *weight);
/* The sum of all weights: what a mean is divided by. */
ot_status ot_labelled_weight(const ot_labelled *l, double *sum);

/* Element i of a float or double tensor. */
static inline double ot_real(const ot_tensor *t, int64_t i)
{
    return t->dtype == OT_DOUBLE ? ((const double *)t->data)[i] : (double)((const float *)t->data)[i];
}

static inline void ot_put_real(const ot_tensor *t, int64_t i, double v)
{
    if (t->dtype == OT_DOUBLE)
        ((double *)t->data)[i] = v;
    else
        ((float *)t->data)[i] = (float)v;
}

#endif

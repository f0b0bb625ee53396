/* What the parts of the layout pass share: blocks.c walks and knows the forward operators, blocks_grad.c knows what
 * training adds. */
#ifndef OT_GRAPH_BLOCKS_H
#define OT_GRAPH_BLOCKS_H

#include "graph/graph.h"

#define LANES 16
#define FEW   16 /* channels of a plain picture that a convolution reads as it lies */
#define LEAST 8  /* output channels of a convolution that is worth a block */

typedef struct blocker {
    ot_graph *g;
    ot_build b;
    ot_val *twin;  /* by value that was there before; OT_NONE: it has none */
    bool *pending; /* by value: only the twin is computed so far */
    int64_t n_before;
} blocker;

/* The blocked form of v, or OT_NONE. */
static inline ot_val ot_twin_of(const blocker *k, ot_val v)
{
    return v != OT_NONE && v < k->n_before ? k->twin[v] : OT_NONE;
}

static inline const ot_fact *ot_blocker_fact(const blocker *k, ot_val v)
{
    return &k->g->value[v].fact;
}

/* A float tensor of rank 4 with a known number of channels. */
bool ot_is_picture(const blocker *k, ot_val v);
bool ot_has_twin(const blocker *k, ot_val v);
/* v in blocks, for a picture of any kind. */
ot_val ot_in_blocks(blocker *k, ot_val v);
/* From now on v is what `twin` holds. */
void ot_becomes_blocked(blocker *k, ot_val v, ot_val twin);
/* Weights w for n's `group` are such that blocks serve the convolution. */
bool ot_blocks_serve(const blocker *k, const ot_node *n, ot_val w);
/* x of a convolution with n's attributes: as it lies or in blocks. */
ot_val ot_conv_input(blocker *k, const ot_node *n, ot_val x);
/* n's attributes, and `trains` where the weights are another in each run. */
const ot_attr *ot_conv_attr(blocker *k, const ot_node *n, ot_val w);

/* Emits the blocked form of a node of the backward pass, or of a training form; false: it stays as it is. */
bool ot_block_training(blocker *k, const ot_node *n);

#endif

/* Models that are wrong on purpose: graphs of random nodes over every registered operator, and changes to real models.
 * All of it is a pure function of the generator's state, so a round that found something can be had again. */
#ifndef OT_TESTS_MUTATE_H
#define OT_TESTS_MUTATE_H

#include "model/edit.h"

typedef struct mutate_rng {
    uint64_t state;
} mutate_rng;

uint64_t mutate_bits(mutate_rng *r);
/* 0 .. n-1, n > 0 */
int64_t mutate_below(mutate_rng *r, int64_t n);
/* Small numbers mostly; else one of those that break things: 0, -1, powers of two and the ends of int32 and int64. */
int64_t mutate_number(mutate_rng *r);

/* One to five nodes, each of a random operator with random inputs, constants and attributes. */
ot_status mutate_soup(ot_model **out, mutate_rng *r);
/* A small classifier for [N,1,8,8] or [N,3,32,32] of many operators with gradients. */
ot_status mutate_classifier(ot_model **out, mutate_rng *r);
/* One to three changes to m: dims, attributes, names, operators, opsets, weights. */
ot_status mutate_model(ot_model *m, mutate_rng *r);
/* Elements at random: small ones mostly, NaN, infinities and large ones among them; indices from 0 .. 3 mostly. */
void mutate_fill(ot_tensor *t, mutate_rng *r);

#endif

/* The Mersenne twister MT19937 (Matsumoto and Nishimura, 1998), for operators whose documents give a seed: ONNX's
 * reference draws from it.  All other random numbers are those of base/rng.h. */
#ifndef OT_BASE_MERSENNE_H
#define OT_BASE_MERSENNE_H

#include <stdint.h>

#define OT_MERSENNE_N 624

typedef struct ot_mersenne {
    uint32_t state[OT_MERSENNE_N];
    int at;
} ot_mersenne;

void ot_mersenne_seed(ot_mersenne *g, uint32_t seed);
uint32_t ot_mersenne_next(ot_mersenne *g);
/* Uniform in [0, 1), from 53 bits of two draws. */
double ot_mersenne_uniform(ot_mersenne *g);

#endif

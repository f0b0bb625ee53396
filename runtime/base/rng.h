/* Random numbers by counter: a draw is a pure function of (key, index), so the order of work does not matter and a
 * resumed run sees the same numbers.  The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as
 * easy as 1, 2, 3", 2011). */
#ifndef OT_BASE_RNG_H
#define OT_BASE_RNG_H

#include <stdint.h>

/* A key for one purpose: mixes its parts, so that (seed, "flip", epoch, path) and the like give unrelated streams. */
uint64_t ot_rng_key(uint64_t seed, uint64_t purpose, uint64_t a, uint64_t b);
/* Four 32-bit words for block `index` of the key's stream. */
void ot_rng_block(uint64_t key, uint64_t index, uint32_t out[4]);
/* Uniform in [0, 1), from 53 bits. */
double ot_rng_uniform(uint64_t key, uint64_t index);
/* Standard normal (Box-Muller on one block). */
double ot_rng_normal(uint64_t key, uint64_t index);
/* A uniform permutation of 0..n-1 (Fisher-Yates). */
void ot_rng_permute(uint64_t key, int64_t *out, int64_t n);

#endif

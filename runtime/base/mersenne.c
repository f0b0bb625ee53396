#include "base/mersenne.h"

#define N OT_MERSENNE_N
#define M 397

void ot_mersenne_seed(ot_mersenne *g, uint32_t seed)
{
    g->state[0] = seed;
    for (uint32_t i = 1; i < N; i++)
        g->state[i] = 1812433253u * (g->state[i - 1] ^ g->state[i - 1] >> 30) + i;
    g->at = N;
}

static void refill(ot_mersenne *g)
{
    uint32_t *s = g->state;
    for (int i = 0; i < N; i++) {
        uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % N] & 0x7fffffffu);
        s[i] = s[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    g->at = 0;
}

uint32_t ot_mersenne_next(ot_mersenne *g)
{
    if (g->at >= N)
        refill(g);
    uint32_t y = g->state[g->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double ot_mersenne_uniform(ot_mersenne *g)
{
    uint32_t a = ot_mersenne_next(g) >> 5, b = ot_mersenne_next(g) >> 6;
    return ((double)a * 67108864.0 + (double)b) / 9007199254740992.0;
}

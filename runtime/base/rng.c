#include "base/rng.h"

#include <math.h>

static uint64_t mix(uint64_t z) /* the finaliser of splitmix64 */
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t ot_rng_key(uint64_t seed, uint64_t purpose, uint64_t a, uint64_t b)
{
    uint64_t k = mix(seed + 0x9e3779b97f4a7c15u);
    k = mix(k ^ mix(purpose + 0x9e3779b97f4a7c15u));
    k = mix(k + mix(a + 0x632be59bd9b4e019u));
    return mix(k ^ mix(b + 0xd1b54a32d192ed03u));
}

void ot_rng_block(uint64_t key, uint64_t index, uint32_t out[4])
{
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = 0, c3 = 0;
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p = (uint64_t)0xD2511F53u * c0, q = (uint64_t)0xCD9E8D57u * c2;
        uint32_t hi = (uint32_t)(q >> 32) ^ c1 ^ k0, hj = (uint32_t)(p >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)q;
        c3 = (uint32_t)p;
        c0 = hi;
        c2 = hj;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static double unit(uint32_t a, uint32_t b) /* 27 + 26 bits */
{
    return ((double)(a >> 5) * 67108864.0 + (double)(b >> 6)) / 9007199254740992.0;
}

double ot_rng_uniform(uint64_t key, uint64_t index)
{
    uint32_t w[4];
    ot_rng_block(key, index, w);
    return unit(w[0], w[1]);
}

double ot_rng_normal(uint64_t key, uint64_t index)
{
    uint32_t w[4];
    ot_rng_block(key, index, w);
    double u = 1.0 - unit(w[0], w[1]), v = unit(w[2], w[3]); /* u in (0, 1] */
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void ot_rng_permute(uint64_t key, int64_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(ot_rng_uniform(key, (uint64_t)i) * (double)(i + 1));
        int64_t t = out[i];
        out[i] = out[j];
        out[j] = t;
    }
}

#include "base/half.h"

#include <string.h>

static uint32_t bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

float ot_f16_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = (h >> 10) & 31, m = h & 1023;
    if (e == 31)
        return from_bits(sign | 0x7f800000u | m << 13);
    if (e)
        return from_bits(sign | (e + 112) << 23 | m << 13);
    float f = (float)m * 0x1p-24f; /* zero and subnormals */
    return sign ? -f : f;
}

uint16_t ot_float_to_f16(float f)
{
    uint32_t u = bits(f), a = u & 0x7fffffffu;
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    if (a > 0x7f800000u)
        return sign | 0x7e00; /* NaN */
    if (a >= 0x477ff000u)
        return sign | 0x7c00;          /* 65520 and more round to infinity */
    if (a < 0x38800000u) {             /* under 2^-14: subnormal */
        float r = from_bits(a) + 0.5f; /* the addition rounds at 2^-24 */
        return sign | (uint16_t)(bits(r) - bits(0.5f));
    }
    uint32_t odd = a >> 13 & 1;
    return sign | (uint16_t)((a - 0x38000000u + 0xfff + odd) >> 13);
}

float ot_bf16_to_float(uint16_t h)
{
    return from_bits((uint32_t)h << 16);
}

uint16_t ot_float_to_bf16(float f)
{
    uint32_t u = bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

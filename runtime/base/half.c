#include "base/half.h"

#include <math.h>
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

/* Rounding to an odd last bit where the float is not exact: a second rounding to 16 bits is then right. */
static float round_to_odd(double v)
{
    float f = (float)v;
    uint32_t u = bits(f);
    if (isnan(v) || (double)f == v || (u & 1))
        return f;
    return from_bits(fabs((double)f) > fabs(v) ? u - 1 : u + 1);
}

uint16_t ot_double_to_f16(double v)
{
    return ot_float_to_f16(round_to_odd(v));
}

uint16_t ot_double_to_bf16(double v)
{
    return ot_float_to_bf16(round_to_odd(v));
}

/* ---- Floats of 8 and 4 bits ----------------------------------------------------------------------------------------
 */

typedef struct small_format {
    int exponent, mantissa, bias; /* widths in bits */
    int largest;                  /* magnitude bits of the largest finite number */
    int infinity, nan;            /* magnitude bits; -1: none */
    bool fnuz;                    /* no negative zero: its bits are the only NaN */
} small_format;

static small_format format_of(ot_dtype dtype)
{
    switch (dtype) {
    case OT_FLOAT8E4M3FN:
        return (small_format){ 4, 3, 7, 126, -1, 127, false };
    case OT_FLOAT8E4M3FNUZ:
        return (small_format){ 4, 3, 8, 127, -1, -1, true };
    case OT_FLOAT8E5M2:
        return (small_format){ 5, 2, 15, 123, 124, 126, false };
    case OT_FLOAT8E5M2FNUZ:
        return (small_format){ 5, 2, 16, 127, -1, -1, true };
    default:
        return (small_format){ 2, 1, 1, 7, -1, -1, false }; /* float4e2m1 */
    }
}

double ot_small_to_double(ot_dtype dtype, unsigned code)
{
    if (dtype == OT_FLOAT8E8M0)
        return code == 255 ? (double)NAN : ldexp(1.0, (int)code - 127);
    small_format f = format_of(dtype);
    int sign = 1 << (f.exponent + f.mantissa), magnitude = (int)code & (sign - 1);
    int e = magnitude >> f.mantissa, m = magnitude & ((1 << f.mantissa) - 1);
    if (f.fnuz ? (int)code == sign : f.nan >= 0 && magnitude > f.largest && magnitude != f.infinity)
        return (double)NAN;
    double v = magnitude == f.infinity ? HUGE_VAL
               : e                     ? ldexp(m + (1 << f.mantissa), e - f.bias - f.mantissa)
                                       : ldexp(m, 1 - f.bias - f.mantissa);
    return (int)code & sign ? -v : v;
}

static int beyond(const small_format *f, int sign, bool saturate)
{
    if (saturate || (f->infinity < 0 && f->nan < 0 && !f->fnuz))
        return f->largest;
    return f->infinity >= 0 ? f->infinity : f->fnuz ? sign : f->nan;
}

unsigned ot_double_to_small(ot_dtype dtype, double v, bool saturate)
{
    small_format f = format_of(dtype);
    int sign = 1 << (f.exponent + f.mantissa), lowest = 1 - f.bias, e = 0, magnitude;
    double a = fabs(v);
    if (isnan(v)) {
        magnitude = f.fnuz ? sign : f.nan >= 0 ? f.nan : 0;
    } else if (isinf(v)) {
        magnitude = beyond(&f, sign, saturate);
    } else {
        frexp(a, &e); /* a = m * 2^e with m under 1 */
        e = a == 0 || e - 1 < lowest ? lowest : e - 1;
        /* A mantissa that rounds up to the next power carries into the exponent by itself. */
        double steps = rint(ldexp(a, f.mantissa - e)) + ldexp(e - lowest, f.mantissa);
        magnitude = steps > f.largest ? beyond(&f, sign, saturate) : (int)steps;
    }
    bool minus = signbit(v) && !(f.fnuz && (magnitude == 0 || magnitude == sign));
    return (unsigned)(minus ? magnitude | sign : magnitude);
}

uint8_t ot_double_to_e8m0(double v, bool saturate, ot_rounding rounding)
{
    int e;
    if (isnan(v))
        return 255;
    if (v == 0 || isinf(v))
        return !saturate ? 255 : v == 0 ? 0 : 254;
    double m = frexp(fabs(v), &e);
    bool up = rounding == OT_ROUND_UP ? m > 0.5 : rounding == OT_ROUND_NEAREST && m >= 0.75;
    e += 126 + up; /* |v| = 2m * 2^(e-1), biased by 127 */
    if (e < 0 || e > 254)
        return !saturate ? 255 : e < 0 ? 0 : 254;
    return (uint8_t)e;
}

double ot_rounded(ot_dtype dtype, double v)
{
    switch (dtype) {
    case OT_DOUBLE:
        return v;
    case OT_FLOAT:
        return (double)(float)v;
    case OT_FLOAT16:
        return (double)ot_f16_to_float(ot_double_to_f16(v));
    case OT_BFLOAT16:
        return (double)ot_bf16_to_float(ot_double_to_bf16(v));
    default:
        return ot_small_to_double(dtype, dtype == OT_FLOAT8E8M0 ? ot_double_to_e8m0(v, true, OT_ROUND_NEAREST)
                                                                : ot_double_to_small(dtype, v, true));
    }
}

/* Elementary functions of vectors. */
#ifndef OT_KERNELS_VMATH_H
#define OT_KERNELS_VMATH_H

#include "isa.h"

/* e^x within 2 ulp: x = n ln 2 + r with |r| <= ln 2 / 2, e^r by its Taylor polynomial of degree 7 (the rest is below
 * 6e-9), times 2^n in two halves so that the whole range is reached.  Below -87.33 it is 0; NaN stays NaN. */
OT_INLINE vf v_exp(vf x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    vf in = v_pick(x > 88.8f, v_set(88.8f), x);
    in = v_pick(in < -87.33f, v_set(-87.33f), in);
    vf t = in * 1.44269504088896341f + magic;
    vi n = (vi)t - (vi)v_set(magic);
    vf k = t - magic;
    vf r = in - k * 0.693359375f; /* ln 2 in two parts; the first has few bits, so the product is exact */
    r = r + k * 2.12194440054690583e-4f;
    vf p = r * (1.0f / 5040) + (1.0f / 720);
    p = p * r + (1.0f / 120);
    p = p * r + (1.0f / 24);
    p = p * r + (1.0f / 6);
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    vi half = n >> 1, other = n - half;
    vf y = p * (vf)((half + 127) << 23) * (vf)((other + 127) << 23);
    y = v_pick(x < -87.33f, (vf){ 0 }, y);
    return v_pick(x != x, x, y);
}

OT_INLINE vf v_sigmoid(vf x)
{
    return 1.0f / (1.0f + v_exp(-x));
}

/* Below 1/2 by the Taylor series, above by (1 - e^-2|x|) / (1 + e^-2|x|). */
OT_INLINE vf v_tanh(vf x)
{
    vf size = v_pick(x < 0.0f, -x, x), q = x * x, e = v_exp(size * -2.0f);
    vf big = (1.0f - e) / (1.0f + e);
    vf p = q * (float)(-929569.0 / 638512875) + (float)(21844.0 / 6081075);
    p = p * q + (float)(-1382.0 / 155925);
    p = p * q + (float)(62.0 / 2835);
    p = p * q + (float)(-17.0 / 315);
    p = p * q + (float)(2.0 / 15);
    p = p * q + (float)(-1.0 / 3);
    vf small = x + x * q * p;
    return v_pick(size < 0.5f, small, v_pick(x < 0.0f, -big, big));
}

/* Below 1 as x + x P(x^2), above as 1 - e^Q(|x|), where erf rounds to 1 from 4 on; P and Q are Chebyshev fits of
 * erf(x) / x - 1 and of ln erfc(x). */
OT_INLINE vf v_erf(vf x)
{
    static const float small[] = { 0.12837916612625122f,    -0.37612637877464294f,  0.11283782869577408f,
                                   -0.026865437626838684f,  0.005221053492277861f,  -0.0008484396385028958f,
                                   0.00011268253729213029f, -9.673590284364764e-06f };
    static const float big[] = { 0.0004005004884675145f, -1.1306045055389404f,    -0.6310888528823853f,
                                 -0.1109074205160141f,   0.026999497786164284f,   -0.005021044984459877f,
                                 0.0006733375485055149f, -6.006879630149342e-05f, 3.0952046472521033e-06f,
                                 -6.582858702586236e-08f };
    vf size = v_pick(x < 0.0f, -x, x), t = v_pick(size > 4.0f, v_set(4.0f), size), q = x * x;
    vf p = v_set(small[7]), e = v_set(big[9]);
    for (int i = 6; i >= 0; i--)
        p = p * q + small[i];
    for (int i = 8; i >= 0; i--)
        e = e * t + big[i];
    vf tail = 1.0f - v_exp(e);
    vf y = v_pick(size < 1.0f, x + x * p, v_pick(x < 0.0f, -tail, tail));
    return v_pick(x != x, x, y);
}

/* x / 2 (1 + erf(x / sqrt 2)) */
OT_INLINE vf v_gelu(vf x)
{
    return 0.5f * x * (1.0f + v_erf(x * 0.70710678118654752f));
}

#endif

/* Conversions between float or double and the floating types of 16, 8 and 4 bits, rounding to nearest, ties to even,
 * and once only. */
#ifndef OT_BASE_HALF_H
#define OT_BASE_HALF_H

#include "onnxtune.h"

float ot_f16_to_float(uint16_t h);
uint16_t ot_float_to_f16(float f);
float ot_bf16_to_float(uint16_t h);
uint16_t ot_float_to_bf16(float f);
uint16_t ot_double_to_f16(double v);
uint16_t ot_double_to_bf16(double v);

/* The float8 types and float4e2m1, by their bits. */
double ot_small_to_double(ot_dtype dtype, unsigned code);
/* Not for float8e8m0.  What is too large, infinities included, becomes the largest number when saturating; otherwise
 * infinity, or NaN where the type has none.  float4e2m1 has neither: it always saturates, and NaN becomes 0. */
unsigned ot_double_to_small(ot_dtype dtype, double v, bool saturate);

typedef enum ot_rounding { OT_ROUND_UP, OT_ROUND_DOWN, OT_ROUND_NEAREST } ot_rounding;
/* float8e8m0 holds powers of two only; the sign is dropped, NEAREST takes ties up.  What is too large or too small (0
 * is) becomes the largest or smallest number when saturating, else NaN. */
uint8_t ot_double_to_e8m0(double v, bool saturate, ot_rounding rounding);

/* v as the nearest number of any floating type. */
double ot_rounded(ot_dtype dtype, double v);

#endif

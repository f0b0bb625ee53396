/* Conversions between float and the 16-bit and 8-bit floating types, rounding to nearest, ties to even. */
#ifndef OT_BASE_HALF_H
#define OT_BASE_HALF_H

#include <stdint.h>

float ot_f16_to_float(uint16_t h);
uint16_t ot_float_to_f16(float f);
float ot_bf16_to_float(uint16_t h);
uint16_t ot_float_to_bf16(float f);

#endif

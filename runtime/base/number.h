/* Numbers as text, the same in every locale. */
#ifndef OT_BASE_NUMBER_H
#define OT_BASE_NUMBER_H

#include "onnxtune.h"

#define OT_NUMBER_TEXT 32 /* bytes that the text of a number takes, the end included */

/* The shortest decimal text that reads back as v, a number of this floating type: "0.1", "3.0", "1e-07", "nan", "-inf";
 * plain from 1e-4 to under 1e16.  Returns its length. */
int ot_number_text(char text[OT_NUMBER_TEXT], double v, ot_dtype dtype);

/* The number that all of the n bytes are: decimal, plain or with an exponent; INF, +INF, -INF and NaN in any case.
 * false: they are no number, or over 400 bytes. */
bool ot_number_read(double *out, const char *text, size_t n);

#endif

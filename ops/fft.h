/* Fourier transforms of complex numbers in double, of any length, in n log n steps. */
#ifndef OT_OPS_FFT_H
#define OT_OPS_FFT_H

#include "op.h"

#define OT_MOST_FFT ((int64_t)1 << 31) /* of a length */

typedef struct ot_fft {
    int64_t n, m; /* m: the power of two that the work is done in */
    double *twiddle, *chirp, *filter, *work;
} ot_fft;

/* Bytes of work space that a transform of 1 <= n <= OT_MOST_FFT takes. */
size_t ot_fft_room(int64_t n);
/* Fills the tables, which lie in `room`. */
void ot_fft_open(ot_fft *f, int64_t n, void *room);
/* a[k] becomes sum over j of a[j] e^(-2 pi i jk / n), or of e^(2 pi i jk / n) (not divided by n): n pairs of real and
 * imaginary part. */
void ot_fft_run(const ot_fft *f, double *a, bool inverse);

#endif

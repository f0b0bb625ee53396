#include "fft.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

static int64_t power_for(int64_t n)
{
    int64_t m = 1;
    while (m < n)
        m *= 2;
    return m == n ? m : m < 2 * n - 1 ? 2 * m : m; /* Bluestein's needs 2n - 1 */
}

size_t ot_fft_room(int64_t n)
{
    const int64_t m = power_for(n);
    return (size_t)(m == n ? 2 * m : 6 * m + 2 * n) * sizeof(double);
}

/* e^(-2 pi i k / n) */
static void root(int64_t k, int64_t n, double *out)
{
    const double angle = 2 * PI * (double)k / (double)n;
    out[0] = cos(angle);
    out[1] = -sin(angle);
}

static void multiply(const double *a, const double *b, double *out)
{
    const double re = a[0] * b[0] - a[1] * b[1], im = a[0] * b[1] + a[1] * b[0];
    out[0] = re;
    out[1] = im;
}

/* In place, of m elements, m a power of two. */
static void by_halves(double *a, int64_t m, const double *twiddle)
{
    for (int64_t i = 1, j = 0; i < m; i++) {
        int64_t bit = m >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j)
            for (int k = 0; k < 2; k++) {
                const double swap = a[2 * i + k];
                a[2 * i + k] = a[2 * j + k];
                a[2 * j + k] = swap;
            }
    }
    for (int64_t half = 1; half < m; half *= 2)
        for (int64_t first = 0; first < m; first += 2 * half)
            for (int64_t k = 0; k < half; k++) {
                double *p = a + 2 * (first + k), *q = p + 2 * half, t[2];
                multiply(q, twiddle + 2 * k * (m / (2 * half)), t);
                q[0] = p[0] - t[0];
                q[1] = p[1] - t[1];
                p[0] += t[0];
                p[1] += t[1];
            }
}

static void conjugate(double *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        a[2 * i + 1] = -a[2 * i + 1];
}

void ot_fft_open(ot_fft *f, int64_t n, void *room)
{
    *f = (ot_fft){ .n = n, .m = power_for(n), .twiddle = room };
    for (int64_t k = 0; k < f->m; k++)
        root(k, f->m, f->twiddle + 2 * k);
    if (f->m == n)
        return;
    f->filter = f->twiddle + 2 * f->m;
    f->work = f->filter + 2 * f->m;
    f->chirp = f->work + 2 * f->m;
    memset(f->filter, 0, (size_t)(2 * f->m) * sizeof(double));
    for (int64_t k = 0; k < n; k++) {
        double *c = f->chirp + 2 * k;
        root((int64_t)((uint64_t)k * (uint64_t)k % (uint64_t)(2 * n)), 2 * n, c);
        for (int side = 0; side < 2; side++) {
            double *to = f->filter + 2 * (side && k ? f->m - k : k);
            to[0] = c[0];
            to[1] = -c[1];
        }
    }
    by_halves(f->filter, f->m, f->twiddle);
}

/* Bluestein: jk = (j^2 + k^2 - (k - j)^2) / 2 makes a convolution of the transform. */
static void by_chirp(const ot_fft *f, double *a)
{
    memset(f->work, 0, (size_t)(2 * f->m) * sizeof(double));
    for (int64_t k = 0; k < f->n; k++)
        multiply(a + 2 * k, f->chirp + 2 * k, f->work + 2 * k);
    by_halves(f->work, f->m, f->twiddle);
    for (int64_t k = 0; k < f->m; k++)
        multiply(f->work + 2 * k, f->filter + 2 * k, f->work + 2 * k);
    conjugate(f->work, f->m);
    by_halves(f->work, f->m, f->twiddle);
    for (int64_t k = 0; k < f->n; k++) {
        const double c[2] = { f->work[2 * k] / (double)f->m, -f->work[2 * k + 1] / (double)f->m };
        multiply(c, f->chirp + 2 * k, a + 2 * k);
    }
}

void ot_fft_run(const ot_fft *f, double *a, bool inverse)
{
    if (inverse)
        conjugate(a, f->n);
    if (f->m == f->n)
        by_halves(a, f->m, f->twiddle);
    else
        by_chirp(f, a);
    if (inverse)
        conjugate(a, f->n);
}

/* What tests of ops/kernels share: inputs, threads, and one kernel run with every instruction set of the machine. */
#ifndef OT_TESTS_KERNEL_RIG_H
#define OT_TESTS_KERNEL_RIG_H

#include "ops/kernels/kernels.h"

/* The names of all instruction sets, the best last; ot_kernels_use says which are there. */
#define N_ISAS 3
extern const char *const kernel_isas[N_ISAS];

/* n floats, at least one; ot_free.  Noise is in -1 .. 1. */
float *kernel_floats(int64_t n);
float *kernel_noise(int64_t n, uint32_t seed);
/* As ot_kernel_pool.run, over ot_threads. */
void kernel_run_threads(void *pool, int64_t blocks, ot_kernel_task *fn, void *ctx);

/* The kernel under test: fills out, whose n floats are compared. */
typedef struct subject {
    size_t (*work)(const void *args, int threads);
    void (*run)(const void *args, float *out, void *work, const ot_kernel_pool *pool);
    const void *args;
    const char *name;
    const float *start; /* what out holds before, or NULL */
    int64_t n;
} subject;

/* The largest |got - want| / scale over all instruction sets; checks that the threads do not matter. */
double kernel_worst(const subject *s, const double *want, const double *scale);

/* Rounding of a sum of k products whose partial sums are about `size`, the root of the sum of the squared terms:
 * sqrt(k) eps size, and a little. */
double kernel_scale(int64_t k, double size);
double kernel_activate(const ot_epilogue *e, double v);

#endif

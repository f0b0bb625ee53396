#include "kernel_rig.h"
#include "harness.h"

#include "base/alloc.h"
#include "base/threads.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const kernel_isas[N_ISAS] = { "baseline", "avx2", "avx512" };
static const int thread_counts[] = { 1, 2, 3, 7 };
#define N_THREADS 4

float *kernel_floats(int64_t n)
{
    return ot_malloc((size_t)(n > 0 ? n : 1), sizeof(float));
}

float *kernel_noise(int64_t n, uint32_t seed)
{
    float *x = kernel_floats(n);
    uint32_t s = seed * 2654435761u + 12345;
    for (int64_t i = 0; x && i < n; i++) {
        s = s * 1664525u + 1013904223u;
        x[i] = (float)(s >> 8) / (float)(1 << 23) - 1;
    }
    return x;
}

void kernel_run_threads(void *pool, int64_t blocks, ot_kernel_task *fn, void *ctx)
{
    ot_threads_run(pool, blocks, fn, ctx);
}

double kernel_worst(const subject *s, const double *want, const double *scale)
{
    double most = 0;
    float *first = kernel_floats(s->n), *out = kernel_floats(s->n);
    for (int a = 0; a < N_ISAS; a++) {
        if (!ot_kernels_use(kernel_isas[a]))
            continue;
        for (int t = 0; t < N_THREADS; t++) {
            ot_threads *threads = NULL;
            CHECK_OK(ot_threads_create(&threads, thread_counts[t]));
            ot_kernel_pool pool = { kernel_run_threads, threads, thread_counts[t] };
            void *work = ot_malloc(1, s->work(s->args, pool.threads) + 64);
            float *y = t == 0 ? first : out;
            for (int64_t i = 0; i < s->n; i++)
                y[i] = s->start ? s->start[i] : NAN;
            s->run(s->args, y, (void *)(((uintptr_t)work + 63) & ~(uintptr_t)63), &pool);
            if (t > 0 && !CHECK(memcmp(first, out, sizeof(float) * (size_t)s->n) == 0))
                printf("    %s: %s, %d threads: other bits than one thread\n", s->name, kernel_isas[a], pool.threads);
            ot_free(work);
            ot_threads_close(threads);
        }
        for (int64_t i = 0; i < s->n; i++) {
            double err = fabs((double)first[i] - want[i]) / scale[i];
            if (!(err <= most))
                most = err;
        }
    }
    for (int a = 0; a < N_ISAS; a++)
        ot_kernels_use(kernel_isas[a]); /* leaves the best */
    ot_free(first);
    ot_free(out);
    return most;
}

double kernel_scale(int64_t k, double size)
{
    return (sqrt((double)k) + 2) * FLT_EPSILON * (size + 1e-3);
}

double kernel_activate(const ot_epilogue *e, double v)
{
    if (e->act == OT_ACT_RELU)
        return v < 0 ? 0 : v;
    if (e->act == OT_ACT_CLIP)
        return v < e->lo ? e->lo : v > e->hi ? e->hi : v;
    return v;
}

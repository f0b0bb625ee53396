/* Matrix products against plain double loops, for each instruction set that this machine has, and for 1, 2, 3 and 7
 * threads. */
#include "harness.h"
#include "kernel_rig.h"

#include "base/alloc.h"
#include "ops/kernels/gemm.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t gemm_work(const void *args, int threads)
{
    const ot_gemm_args *g = args;
    return ot_gemm_workspace(g->m, g->n, g->k, threads);
}

static void gemm_run(const void *args, float *out, void *work, const ot_kernel_pool *pool)
{
    ot_gemm_args g = *(const ot_gemm_args *)args;
    g.c = out;
    ot_gemm(&g, work, pool);
}

static void gemm_case(int64_t m, int64_t n, int64_t k, int form)
{
    bool ta = form & 1, tb = form & 2, full = form & 4;
    int64_t ldc = n + (full ? 3 : 0);
    float *a = kernel_noise(m * k, 1), *b = kernel_noise(k * n, 2), *c = kernel_noise(m * ldc, 3),
          *res = kernel_noise(m * (n + 1), 4);
    float *bias = kernel_noise(m + n, 5);
    double *want = ot_calloc((size_t)(m * ldc), sizeof(double)), *scale = ot_calloc((size_t)(m * ldc), sizeof(double));
    ot_gemm_args g = { .m = m,
                       .n = n,
                       .k = k,
                       .a = a,
                       .a_row = ta ? 1 : k,
                       .a_col = ta ? m : 1,
                       .b = b,
                       .b_row = tb ? 1 : n,
                       .b_col = tb ? k : 1,
                       .ldc = ldc,
                       .alpha = full ? 0.75f : 1,
                       .beta = full ? -1.5f : 0 };
    if (full)
        g.epi = (ot_epilogue){ .bias = bias,
                               .bias_col = bias + m,
                               .residual = res,
                               .ldr = n + 1,
                               .act = m % 2 ? OT_ACT_RELU : OT_ACT_CLIP,
                               .lo = -0.5f,
                               .hi = 1.5f };
    for (int64_t i = 0; i < m * ldc; i++) {
        int64_t r = i / ldc, j = i % ldc;
        scale[i] = 1e-30; /* columns beyond n must not change */
        want[i] = c[i];
        if (j >= n)
            continue;
        double sum = 0, size = 0;
        for (int64_t p = 0; p < k; p++) {
            double term = (double)a[r * g.a_row + p * g.a_col] * b[p * g.b_row + j * g.b_col];
            sum += term;
            size += term * term;
        }
        sum = g.alpha * sum + (g.beta != 0 ? (double)g.beta * c[i] : 0);
        if (full)
            sum = kernel_activate(&g.epi, sum + bias[r] + bias[m + j] + res[r * (n + 1) + j]);
        want[i] = sum;
        scale[i] = kernel_scale(k, sqrt(size) + fabs(sum) + (full ? 4 : 0));
    }
    subject s = { gemm_work, gemm_run, &g, "gemm", c, m * ldc };
    double err = kernel_worst(&s, want, scale);
    if (!CHECK(err < 1))
        printf("    gemm %d x %d x %d, form %d: %g of the tolerance\n", (int)m, (int)n, (int)k, form, err);
    ot_free(a), ot_free(b), ot_free(c), ot_free(res), ot_free(bias), ot_free(want), ot_free(scale);
}

static void test_gemm(void)
{
    static const int64_t size[][3] = { { 1, 1, 1 },    { 3, 5, 7 },    { 17, 33, 9 },   { 64, 49, 100 },
                                       { 1, 130, 65 }, { 130, 1, 65 }, { 15, 16, 400 }, { 29, 250, 785 },
                                       { 5, 7, 0 },    { 90, 40, 31 } };
    for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++)
        for (int form = 0; form < 8; form++)
            gemm_case(size[i][0], size[i][1], size[i][2], form);
}

/* More depth than is packed in one round, and more rows. */
static void test_gemm_rounds(void)
{
    gemm_case(40, 3, 150000, 4);
    gemm_case(8200, 5, 800, 6);
}

static void test_isa(void)
{
    CHECK(!ot_kernels_use("mmx"));
    CHECK(ot_kernels_use("baseline") && strcmp(ot_kernels_isa(), "baseline") == 0);
    if (ot_kernels_use("avx2"))
        CHECK(strcmp(ot_kernels_isa(), "avx2") == 0);
    if (ot_kernels_use("avx512"))
        CHECK(strcmp(ot_kernels_isa(), "avx512") == 0);
}

const ot_test kernels_tests[] = {
    { "gemm", test_gemm },
    { "gemm_rounds", test_gemm_rounds },
    { "isa", test_isa },
    { NULL, NULL },
};

/* Kernels against plain double loops, for each instruction set that this machine has, and for 1, 2, 3 and 7 threads. */
#include "harness.h"

#include "base/alloc.h"
#include "base/threads.h"
#include "ops/kernels/conv.h"
#include "ops/kernels/gemm.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const isas[] = { "baseline", "avx2", "avx512" };
static const int thread_counts[] = { 1, 2, 3, 7 };
#define N_ISAS    3
#define N_THREADS 4

static float *floats(int64_t n)
{
    return ot_malloc((size_t)(n > 0 ? n : 1), sizeof(float));
}

static float *noise(int64_t n, uint32_t seed)
{
    float *x = floats(n);
    uint32_t s = seed * 2654435761u + 12345;
    for (int64_t i = 0; x && i < n; i++) {
        s = s * 1664525u + 1013904223u;
        x[i] = (float)(s >> 8) / (float)(1 << 23) - 1;
    }
    return x;
}

static void run_threads(void *pool, int64_t blocks, ot_kernel_task *fn, void *ctx)
{
    ot_threads_run(pool, blocks, fn, ctx);
}

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
static double worst(const subject *s, const double *want, const double *scale)
{
    double most = 0;
    float *first = floats(s->n), *out = floats(s->n);
    for (int a = 0; a < N_ISAS; a++) {
        if (!ot_kernels_use(isas[a]))
            continue;
        for (int t = 0; t < N_THREADS; t++) {
            ot_threads *threads = NULL;
            CHECK_OK(ot_threads_create(&threads, thread_counts[t]));
            ot_kernel_pool pool = { run_threads, threads, thread_counts[t] };
            void *work = ot_malloc(1, s->work(s->args, pool.threads) + 64);
            float *y = t == 0 ? first : out;
            for (int64_t i = 0; i < s->n; i++)
                y[i] = s->start ? s->start[i] : NAN;
            s->run(s->args, y, (void *)(((uintptr_t)work + 63) & ~(uintptr_t)63), &pool);
            if (t > 0 && !CHECK(memcmp(first, out, sizeof(float) * (size_t)s->n) == 0))
                printf("    %s: %s, %d threads: other bits than one thread\n", s->name, isas[a], pool.threads);
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
        ot_kernels_use(isas[a]); /* leaves the best */
    ot_free(first);
    ot_free(out);
    return most;
}

/* Rounding of a sum of k products whose partial sums are about `size`, the root of the sum of the squared terms:
 * sqrt(k) eps size, and a little. */
static double scale_of(int64_t k, double size)
{
    return (sqrt((double)k) + 2) * FLT_EPSILON * (size + 1e-3);
}

static double activate(const ot_epilogue *e, double v)
{
    if (e->act == OT_ACT_RELU)
        return v < 0 ? 0 : v;
    if (e->act == OT_ACT_CLIP)
        return v < e->lo ? e->lo : v > e->hi ? e->hi : v;
    return v;
}

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
    float *a = noise(m * k, 1), *b = noise(k * n, 2), *c = noise(m * ldc, 3), *res = noise(m * (n + 1), 4);
    float *bias = noise(m + n, 5);
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
            sum = activate(&g.epi, sum + bias[r] + bias[m + j] + res[r * (n + 1) + j]);
        want[i] = sum;
        scale[i] = scale_of(k, sqrt(size) + fabs(sum) + (full ? 4 : 0));
    }
    subject s = { gemm_work, gemm_run, &g, "gemm", c, m * ldc };
    double err = worst(&s, want, scale);
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

/* ---- convolution ---- */

enum { FORWARD, PACKED, DATA, WEIGHTS, BIAS };

typedef struct conv_args {
    ot_conv_shape s;
    const float *x, *w, *dy;
    ot_epilogue epi;
    int pass;
} conv_args;

static size_t conv_work(const void *args, int threads)
{
    static const ot_conv_pass pass[] = { OT_CONV_FORWARD, OT_CONV_FORWARD_PACKED, OT_CONV_BACKWARD_DATA,
                                         OT_CONV_BACKWARD_WEIGHTS, OT_CONV_BACKWARD_WEIGHTS };
    const conv_args *a = args;
    return ot_conv_workspace(&a->s, pass[a->pass], threads);
}

static void conv_run(const void *args, float *out, void *work, const ot_kernel_pool *pool)
{
    const conv_args *a = args;
    ot_epilogue e = a->epi;
    if (e.residual)
        e.residual = out; /* what is there before */
    if (a->pass == FORWARD) {
        ot_conv_forward(&a->s, a->x, a->w, NULL, out, &e, work, pool);
    } else if (a->pass == PACKED) {
        void *packed = ot_malloc(1, ot_conv_packed_size(&a->s) + 64);
        float *p = (float *)(((uintptr_t)packed + 63) & ~(uintptr_t)63);
        ot_conv_pack_weights(&a->s, a->w, p, pool);
        ot_conv_forward(&a->s, a->x, NULL, p, out, &e, work, pool);
        ot_free(packed);
    } else if (a->pass == DATA) {
        ot_conv_backward_data(&a->s, a->dy, a->w, out, &e, work, pool);
    } else {
        ot_conv_backward_weights(&a->s, a->x, a->dy, a->pass == WEIGHTS ? out : NULL, a->pass == BIAS ? out : NULL,
                                 work, pool);
    }
}

static int64_t volume(int spatial, const int64_t *v)
{
    int64_t n = 1;
    for (int d = 0; d < spatial; d++)
        n *= v[d];
    return n;
}

/* The place in x's plane that output point o reads through tap t, or -1. */
static int64_t place(const ot_conv_shape *s, int64_t o, int64_t t)
{
    int64_t at = 0, stride = 1;
    for (int d = s->spatial - 1; d >= 0; d--) {
        int64_t i = o % s->out[d] * s->stride[d] + t % s->kernel[d] * s->dilation[d] - s->pad[d];
        if (i < 0 || i >= s->in[d])
            return -1;
        at += i * stride;
        stride *= s->in[d];
        o /= s->out[d];
        t /= s->kernel[d];
    }
    return at;
}

/* Adds each product of the convolution to what `pass` computes, and its square to `size`. */
static void naive_conv(const conv_args *a, double *sum, double *size)
{
    const ot_conv_shape *s = &a->s;
    int64_t px = volume(s->spatial, s->in), py = volume(s->spatial, s->out), taps = volume(s->spatial, s->kernel);
    int64_t cg = s->c / s->group, kg = s->k / s->group;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t k = 0; k < s->k; k++)
            for (int64_t c = 0; c < cg; c++)
                for (int64_t o = 0; o < py; o++)
                    for (int64_t t = 0; t < taps; t++) {
                        int64_t at = place(s, o, t);
                        if (at < 0)
                            continue;
                        int64_t ix = (n * s->c + k / kg * cg + c) * px + at, iy = (n * s->k + k) * py + o;
                        int64_t iw = (k * cg + c) * taps + t;
                        int64_t to = a->pass == DATA ? ix : a->pass == WEIGHTS ? iw : iy;
                        double term = a->pass == DATA      ? (double)a->dy[iy] * a->w[iw]
                                      : a->pass == WEIGHTS ? (double)a->dy[iy] * a->x[ix]
                                                           : (double)a->x[ix] * a->w[iw];
                        sum[to] += term;
                        size[to] += term * term;
                    }
}

static void conv_pass(conv_args *a, const char *what)
{
    const ot_conv_shape *s = &a->s;
    int64_t px = volume(s->spatial, s->in), py = volume(s->spatial, s->out), taps = volume(s->spatial, s->kernel);
    int64_t nx = s->n * s->c * px, ny = s->n * s->k * py, nw = s->k * (s->c / s->group) * taps;
    int64_t n = a->pass == DATA ? nx : a->pass == WEIGHTS ? nw : a->pass == BIAS ? s->k : ny;
    int64_t depth = a->pass == DATA ? s->k * taps : a->pass == WEIGHTS || a->pass == BIAS ? s->n * py : s->c * taps;
    double *want = ot_calloc((size_t)n, sizeof(double)), *scale = ot_calloc((size_t)n, sizeof(double));
    float *start = noise(n, 9), *bias = noise(s->k + s->c, 10);
    bool fused = (a->pass == FORWARD || a->pass == PACKED || a->pass == DATA) && s->n > 1;
    a->epi = (ot_epilogue){ 0 };
    if (fused)
        a->epi = (ot_epilogue){
            .bias = bias, .residual = start, .act = s->k % 2 ? OT_ACT_RELU : OT_ACT_CLIP, .lo = -0.5f, .hi = 2
        };
    if (a->pass == BIAS)
        for (int64_t i = 0; i < ny; i++)
            want[i / py % s->k] += a->dy[i];
    else
        naive_conv(a, want, scale);
    for (int64_t i = 0; i < n; i++) {
        if (fused)
            want[i] = activate(&a->epi, want[i] + start[i] + bias[a->pass == DATA ? i / px % s->c : i / py % s->k]);
        scale[i] =
            (s->way == OT_CONV_WINOGRAD ? 4 : 1) * scale_of(depth, sqrt(scale[i]) + fabs(want[i]) + (fused ? 2 : 0) +
                                                                       (a->pass == BIAS ? sqrt((double)depth) : 0));
    }
    subject sub = { conv_work, conv_run, a, what, start, n };
    double err = worst(&sub, want, scale);
    if (!CHECK(err < 1))
        printf("    %s%s, pass %d: %g of the tolerance\n", what, s->way ? ", Winograd" : "", a->pass, err);
    ot_free(want), ot_free(scale), ot_free(start), ot_free(bias);
}

/* Both ways; the second is the first but for 3x3 kernels of stride 1. */
static void conv_case(ot_conv_shape s, const int64_t pad_end[3], const char *what)
{
    for (int d = 0; d < s.spatial; d++)
        s.out[d] = (s.in[d] + s.pad[d] + pad_end[d] - (s.kernel[d] - 1) * s.dilation[d] - 1) / s.stride[d] + 1;
    float *x = noise(s.n * s.c * volume(s.spatial, s.in), 6), *dy = noise(s.n * s.k * volume(s.spatial, s.out), 7);
    float *w = noise(s.k * (s.c / s.group) * volume(s.spatial, s.kernel), 8);
    conv_args a = { .s = s, .x = x, .w = w, .dy = dy };
    for (int way = OT_CONV_DIRECT; way <= OT_CONV_WINOGRAD; way++) {
        a.s.way = (ot_conv_way)way;
        for (a.pass = FORWARD; a.pass <= BIAS; a.pass++)
            conv_pass(&a, what);
    }
    ot_free(x), ot_free(w), ot_free(dy);
}

static const struct {
    const char *name;
    ot_conv_shape s; /* out is computed */
    int64_t pad_end[3];
} convs[] = {
    { "3x3", { 2, 2, 5, 19, 1, { 13, 11 }, { 0 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, OT_CONV_DIRECT }, { 1, 1 } },
    { "3x3 on 7x7, many images",
      { 2, 5, 16, 20, 1, { 7, 7 }, { 0 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, OT_CONV_DIRECT },
      { 1, 1 } },
    { "1x1", { 2, 3, 17, 9, 1, { 6, 7 }, { 0 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0 }, OT_CONV_DIRECT }, { 0, 0 } },
    { "1x1 stride 2",
      { 2, 2, 8, 15, 1, { 9, 8 }, { 0 }, { 1, 1 }, { 2, 2 }, { 1, 1 }, { 0, 0 }, OT_CONV_DIRECT },
      { 0, 0 } },
    { "7x7 stride 2",
      { 2, 1, 3, 16, 1, { 40, 38 }, { 0 }, { 7, 7 }, { 2, 2 }, { 1, 1 }, { 3, 3 }, OT_CONV_DIRECT },
      { 3, 3 } },
    { "3x3 stride 2",
      { 2, 2, 6, 8, 1, { 12, 15 }, { 0 }, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1 }, OT_CONV_DIRECT },
      { 1, 1 } },
    { "stride 3, dilation 2, odd pads",
      { 2, 2, 4, 5, 1, { 17, 14 }, { 0 }, { 3, 2 }, { 3, 2 }, { 2, 3 }, { 2, 0 }, OT_CONV_DIRECT },
      { 0, 1 } },
    { "stride 2, dilation 2",
      { 2, 1, 2, 3, 1, { 11, 10 }, { 0 }, { 3, 3 }, { 2, 2 }, { 2, 2 }, { 2, 2 }, OT_CONV_DIRECT },
      { 2, 2 } },
    { "stride beyond the kernel",
      { 2, 2, 3, 4, 1, { 13, 13 }, { 0 }, { 2, 2 }, { 4, 5 }, { 1, 1 }, { 0, 0 }, OT_CONV_DIRECT },
      { 0, 0 } },
    { "negative pads",
      { 2, 2, 3, 4, 1, { 13, 12 }, { 0 }, { 3, 3 }, { 1, 2 }, { 1, 1 }, { -2, -1 }, OT_CONV_DIRECT },
      { -1, 0 } },
    { "pads beyond the kernel",
      { 2, 2, 3, 4, 1, { 3, 4 }, { 0 }, { 2, 2 }, { 1, 2 }, { 1, 1 }, { 4, 5 }, OT_CONV_DIRECT },
      { 5, 3 } },
    { "groups",
      { 2, 2, 12, 18, 3, { 8, 9 }, { 0 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, OT_CONV_DIRECT },
      { 1, 1 } },
    { "groups stride 2",
      { 2, 1, 8, 4, 2, { 8, 9 }, { 0 }, { 3, 3 }, { 2, 1 }, { 1, 1 }, { 1, 1 }, OT_CONV_DIRECT },
      { 1, 1 } },
    { "depthwise",
      { 2, 2, 7, 7, 7, { 20, 37 }, { 0 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, OT_CONV_DIRECT },
      { 1, 1 } },
    { "depthwise stride 2, two a channel",
      { 2, 2, 5, 10, 5, { 15, 14 }, { 0 }, { 5, 3 }, { 2, 2 }, { 1, 2 }, { 2, 1 }, OT_CONV_DIRECT },
      { 2, 2 } },
    { "depthwise, long rows", { 1, 1, 3, 3, 3, { 700 }, { 0 }, { 5 }, { 1 }, { 3 }, { 6 }, OT_CONV_DIRECT }, { 6 } },
    { "1-D", { 1, 3, 6, 7, 1, { 50 }, { 0 }, { 4 }, { 1 }, { 2 }, { 3 }, OT_CONV_DIRECT }, { 2 } },
    { "3-D",
      { 3, 2, 3, 5, 1, { 5, 6, 7 }, { 0 }, { 3, 2, 3 }, { 1, 2, 1 }, { 1, 1, 2 }, { 1, 0, 2 }, OT_CONV_DIRECT },
      { 1, 1, 2 } },
    { "many tiles",
      { 2, 5, 6, 7, 1, { 18, 17 }, { 0 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, OT_CONV_DIRECT },
      { 1, 1 } },
    { "many tiles, groups",
      { 2, 4, 6, 4, 2, { 20, 15 }, { 0 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 0, 2 }, OT_CONV_DIRECT },
      { 1, 0 } },
    { "wide and low",
      { 2, 1, 4, 3, 1, { 3, 290 }, { 0 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 0, 2 }, OT_CONV_DIRECT },
      { 1, 0 } },
    { "much depth",
      { 2, 2, 130, 10, 1, { 5, 5 }, { 0 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, OT_CONV_DIRECT },
      { 1, 1 } },
};

static void test_conv(void)
{
    for (size_t i = 0; i < sizeof(convs) / sizeof(convs[0]); i++)
        conv_case(convs[i].s, convs[i].pad_end, convs[i].name);
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
    { "conv", test_conv }, { "gemm", test_gemm }, { "gemm_rounds", test_gemm_rounds },
    { "isa", test_isa },   { NULL, NULL },
};

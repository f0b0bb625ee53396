/* GFLOP/s of the matrix product and of ResNet-34's convolutions: bench_kernels [BATCH [SECONDS]].
 * Each number is the best of the runs that fit into SECONDS (0.3), for 1 and 2 threads. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "base/alloc.h"
#include "base/threads.h"
#include "ops/kernels/block.h"
#include "ops/kernels/conv.h"
#include "ops/kernels/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef void action(void *ctx, void *work, const ot_kernel_pool *pool);

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *ones(int64_t n)
{
    float *x = aligned_alloc(64, ((size_t)n * sizeof(float) + 127) / 64 * 64);
    if (!x) {
        fprintf(stderr, "bench_kernels: no memory for %lld floats\n", (long long)n);
        exit(1);
    }
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i % 7) * 0.125f;
    return x;
}

static double best(action *run, void *ctx, void *work, const ot_kernel_pool *pool, double seconds)
{
    double least = 1e30, begin = now();
    for (int i = 0; i < 2 || now() - begin < seconds; i++) {
        double t = now();
        run(ctx, work, pool);
        t = now() - t;
        if (t < least)
            least = t;
    }
    return least;
}

static void run_threads(void *pool, int64_t blocks, ot_kernel_task *fn, void *ctx)
{
    ot_threads_run(pool, blocks, fn, ctx);
}

static void run_gemm(void *ctx, void *work, const ot_kernel_pool *pool)
{
    ot_gemm(ctx, work, pool);
}

struct conv {
    ot_conv_shape s;
    const float *x, *w, *packed, *dy;
    float *y, *dx, *dw;
};

static void run_forward(void *ctx, void *work, const ot_kernel_pool *pool)
{
    struct conv *c = ctx;
    ot_epilogue e = { .act = OT_ACT_RELU };
    ot_conv_forward(&c->s, c->x, NULL, c->packed, c->y, &e, work, pool);
}

static void run_data(void *ctx, void *work, const ot_kernel_pool *pool)
{
    struct conv *c = ctx;
    ot_conv_backward_data(&c->s, c->dy, c->w, c->dx, NULL, work, pool);
}

static void run_weights(void *ctx, void *work, const ot_kernel_pool *pool)
{
    struct conv *c = ctx;
    ot_conv_backward_weights(&c->s, c->x, c->dy, c->dw, NULL, work, pool);
}

static void bench_gemm(int64_t m, int64_t n, int64_t k, const ot_kernel_pool *pools, double seconds)
{
    ot_gemm_args g = { .m = m,
                       .n = n,
                       .k = k,
                       .a = ones(m * k),
                       .a_row = k,
                       .a_col = 1,
                       .b = ones(k * n),
                       .b_row = n,
                       .b_col = 1,
                       .c = ones(m * n),
                       .ldc = n,
                       .alpha = 1 };
    printf("gemm %lld x %lld x %lld:", (long long)m, (long long)n, (long long)k);
    for (int i = 0; i < 2; i++) {
        void *work = ones((int64_t)(ot_gemm_workspace(m, n, k, pools[i].threads) / sizeof(float)));
        double t = best(run_gemm, &g, work, &pools[i], seconds);
        printf("  %7.1f", 2e-9 * (double)(m * n * k) / t);
        free(work);
    }
    printf("\n");
    free((void *)g.a), free((void *)g.b), free(g.c);
}

static void bench_conv(int64_t batch, const int64_t v[6], const ot_kernel_pool *pools, double seconds, double sum[3][2])
{
    static const ot_conv_pass pass[] = { OT_CONV_FORWARD_PACKED, OT_CONV_BACKWARD_DATA, OT_CONV_BACKWARD_WEIGHTS };
    static action *const act[] = { run_forward, run_data, run_weights };
    int64_t c = v[0], k = v[1], in = v[2], kernel = v[3], stride = v[4], out = (in - 1) / stride + 1;
    struct conv t = { .s = { 2,
                             batch,
                             c,
                             k,
                             1,
                             { in, in },
                             { out, out },
                             { kernel, kernel },
                             { stride, stride },
                             { 1, 1 },
                             { kernel / 2, kernel / 2 },
                             OT_CONV_DIRECT } };
    t.s.way = ot_conv_choose(&t.s);
    float *packed = ones((int64_t)(ot_conv_packed_size(&t.s) / sizeof(float)));
    t.x = ones(batch * c * in * in);
    t.dx = ones(batch * c * in * in);
    t.w = ones(k * c * kernel * kernel);
    t.dw = ones(k * c * kernel * kernel);
    t.y = ones(batch * k * out * out);
    t.dy = ones(batch * k * out * out);
    t.packed = packed;
    ot_conv_pack_weights(&t.s, t.w, packed, NULL);
    double flop = 2e-9 * (double)(batch * k * out * out * c * kernel * kernel);
    printf("%c %2lld x %lldx%lld %3lld->%3lld @%3lld /%lld:", t.s.way ? 'W' : ' ', (long long)v[5], (long long)kernel,
           (long long)kernel, (long long)c, (long long)k, (long long)in, (long long)stride);
    for (int p = 0; p < 3; p++)
        for (int i = 0; i < 2; i++) {
            void *work = ones((int64_t)(ot_conv_workspace(&t.s, pass[p], pools[i].threads) / sizeof(float)));
            double s = best(act[p], &t, work, &pools[i], seconds);
            sum[p][i] += s * (double)v[5];
            printf("  %7.1f", flop / s);
            free(work);
        }
    printf("\n");
    free((void *)t.x), free(t.dx), free((void *)t.w), free(t.dw), free(t.y), free((void *)t.dy), free(packed);
}

/* ---- Over blocks of channels ------------------------------------------------------------------------------------- */

struct block {
    ot_block_conv forward, turned;
    const float *x, *w, *dy;
    float *packed, *y, *dx, *dw;
};

static void run_block(void *ctx, void *work, const ot_kernel_pool *pool)
{
    struct block *b = ctx;
    ot_block_conv_run(&b->forward, b->x, b->packed, b->y, NULL, work, pool);
}

static void run_block_packing(void *ctx, void *work, const ot_kernel_pool *pool)
{
    struct block *b = ctx;
    ot_block_conv_pack(&b->forward, b->w, b->packed, pool);
    run_block(ctx, work, pool);
}

static void run_block_data(void *ctx, void *work, const ot_kernel_pool *pool)
{
    struct block *b = ctx;
    ot_block_conv_pack(&b->turned, b->w, b->packed, pool);
    ot_block_conv_run(&b->turned, b->dy, b->packed, b->dx, NULL, work, pool);
}

static void run_block_weights(void *ctx, void *work, const ot_kernel_pool *pool)
{
    struct block *b = ctx;
    ot_block_weights(&b->forward, b->x, b->dy, b->dw, NULL, work, pool);
}

static void bench_block(int64_t batch, const int64_t v[6], const ot_kernel_pool *pools, double seconds,
                        double sum[4][2])
{
    static action *const act[] = { run_block, run_block_packing, run_block_data, run_block_weights };
    int64_t c = v[0], k = v[1], in = v[2], kernel = v[3], stride = v[4], out = (in - 1) / stride + 1;
    int64_t cb = (c + 15) / 16 * 16, kb = (k + 15) / 16 * 16;
    struct block b = { .forward = { .planar = c < 16 } };
    b.forward.shape = (ot_conv_shape){ .spatial = 2,
                                       .n = batch,
                                       .c = c,
                                       .k = k,
                                       .group = 1,
                                       .in = { in, in },
                                       .out = { out, out },
                                       .kernel = { kernel, kernel },
                                       .stride = { stride, stride },
                                       .dilation = { 1, 1 },
                                       .pad = { kernel / 2, kernel / 2 } };
    b.turned = b.forward;
    b.forward.way = ot_block_conv_choose(&b.forward.shape, b.forward.planar, false);
    b.turned.planar = false;
    b.turned.turned = true;
    b.turned.shape.c = k;
    b.turned.shape.k = c;
    b.turned.way = ot_block_conv_choose(&b.turned.shape, false, false);
    b.x = ones(batch * cb * in * in);
    b.dx = ones(batch * cb * in * in);
    b.w = ones(k * c * kernel * kernel);
    b.dw = ones(k * c * kernel * kernel);
    b.y = ones(batch * kb * out * out);
    b.dy = ones(batch * kb * out * out);
    size_t bytes = ot_block_conv_packed_size(&b.forward), other = ot_block_conv_packed_size(&b.turned);
    b.packed = ones((int64_t)(bytes > other ? bytes : other) / 4);
    double flop = 2e-9 * (double)(batch * k * out * out * c * kernel * kernel);
    printf("%c %2lld x %lldx%lld %3lld->%3lld @%3lld /%lld:", "DWwd"[b.forward.way], (long long)v[5], (long long)kernel,
           (long long)kernel, (long long)c, (long long)k, (long long)in, (long long)stride);
    ot_block_conv_pack(&b.forward, b.w, b.packed, NULL);
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < 2; i++) {
            int n = pools[i].threads;
            size_t size = p == 3   ? ot_block_weights_workspace(&b.forward, n)
                          : p == 2 ? ot_block_conv_workspace(&b.turned, n)
                                   : ot_block_conv_workspace(&b.forward, n);
            void *work = ones((int64_t)(size / sizeof(float)));
            double s = p == 2 && stride > 1 ? 1e30 : best(act[p], &b, work, &pools[i], seconds);
            sum[p][i] += s < 1e30 ? s * (double)v[5] : 0;
            printf("  %7.1f", flop / s);
            free(work);
        }
    printf("\n");
    free((void *)b.x), free(b.dx), free((void *)b.w), free(b.dw), free(b.y), free((void *)b.dy), free(b.packed);
}

int main(int argc, char **argv)
{
    /* channels, filters, size, kernel, stride, how many of them there are */
    static const int64_t convs[][6] = {
        { 3, 64, 224, 7, 2, 1 },   { 64, 64, 56, 3, 1, 6 },   { 64, 128, 56, 3, 2, 1 },  { 64, 128, 56, 1, 2, 1 },
        { 128, 128, 28, 3, 1, 7 }, { 128, 256, 28, 3, 2, 1 }, { 128, 256, 28, 1, 2, 1 }, { 256, 256, 14, 3, 1, 11 },
        { 256, 512, 14, 3, 2, 1 }, { 256, 512, 14, 1, 2, 1 }, { 512, 512, 7, 3, 1, 5 }
    };
    int64_t batch = argc > 1 ? atoll(argv[1]) : 16;
    double seconds = argc > 2 ? atof(argv[2]) : 0.3, sum[3][2] = { { 0 } };
    ot_threads *two = NULL;
    if (ot_threads_create(&two, 2) != OT_OK || batch < 1) {
        fprintf(stderr, "bench_kernels: %s\n", batch < 1 ? "the batch must be at least 1" : ot_last_error());
        return 1;
    }
    const ot_kernel_pool pools[2] = { { run_threads, NULL, 1 }, { run_threads, two, 2 } };
    printf("instruction set %s; GFLOP/s with 1 and 2 threads\n", ot_kernels_isa());
    bench_gemm(1024, 1024, 1024, pools, seconds);
    bench_gemm(64, 2048, 512, pools, seconds);
    bench_gemm(16, 1000, 512, pools, seconds);
    printf("ResNet-34, batch %lld:                 forward           input's gradient  weights' gradient\n",
           (long long)batch);
    for (size_t i = 0; i < sizeof(convs) / sizeof(convs[0]); i++)
        bench_conv(batch, convs[i], pools, seconds, sum);
    printf("all of them, ms:           ");
    for (int p = 0; p < 3; p++)
        for (int i = 0; i < 2; i++)
            printf("  %7.1f", 1e3 * sum[p][i]);
    printf("\nThe same over blocks:              forward                and packing  input's gradient  weights' "
           "gradient\n");
    double blocks[4][2] = { { 0 } };
    for (size_t i = 0; i < sizeof(convs) / sizeof(convs[0]); i++)
        bench_block(batch, convs[i], pools, seconds, blocks);
    printf("all of them, ms:           ");
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < 2; i++)
            printf("  %7.1f", 1e3 * blocks[p][i]);
    printf("\n");
    ot_threads_close(two);
    return 0;
}

/* Convolutions against plain double loops: forward plain, packed and in blocks of channels, and the gradients. */
#include "harness.h"
#include "kernel_rig.h"

#include "base/alloc.h"
#include "ops/kernels/block.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FORWARD, PACKED, DATA, WEIGHTS, BIAS, BLOCKED };

typedef struct conv_args {
    ot_conv_shape s;
    const float *x, *w, *dy;
    ot_epilogue epi;
    int pass;
    ot_block_conv block; /* BLOCKED: the way, and how x lies */
} conv_args;

static int64_t volume(int spatial, const int64_t *v)
{
    int64_t n = 1;
    for (int d = 0; d < spatial; d++)
        n *= v[d];
    return n;
}

static float *aligned(void *p)
{
    return (float *)(((uintptr_t)p + 63) & ~(uintptr_t)63);
}

/* Blocks of a plain tensor, with NaN in the spare lanes. */
static float *to_blocks(int64_t n, int64_t c, int64_t size, const float *x)
{
    int64_t blocks = (c + OT_BLOCK - 1) / OT_BLOCK;
    float *y = kernel_floats(n * blocks * size * OT_BLOCK);
    ot_block_from_plain(n, c, size, x, y, NULL);
    for (int64_t i = 0; i < n * blocks * size * OT_BLOCK; i++)
        if (i / OT_BLOCK / size % blocks * OT_BLOCK + i % OT_BLOCK >= c)
            y[i] = NAN;
    return y;
}

static void run_blocked(const conv_args *a, float *out, void *work, const ot_kernel_pool *pool)
{
    const ot_conv_shape *s = &a->s;
    int64_t px = volume(2, s->in), py = volume(2, s->out);
    float *x = to_blocks(s->n, s->c, px, a->x), *y = to_blocks(s->n, s->k, py, out);
    float *residual = to_blocks(s->n, s->k, py, out);
    void *packed = ot_malloc(1, ot_block_conv_packed_size(&a->block) + 64);
    ot_epilogue e = a->epi;
    if (e.residual)
        e.residual = residual;
    ot_block_conv_pack(&a->block, a->w, aligned(packed), pool);
    ot_block_conv_run(&a->block, a->block.planar ? a->x : x, aligned(packed), y, &e, work, pool);
    ot_block_to_plain(s->n, s->k, py, y, out, pool);
    ot_free(x), ot_free(y), ot_free(residual), ot_free(packed);
}

static size_t conv_work(const void *args, int threads)
{
    static const ot_conv_pass pass[] = { OT_CONV_FORWARD, OT_CONV_FORWARD_PACKED, OT_CONV_BACKWARD_DATA,
                                         OT_CONV_BACKWARD_WEIGHTS, OT_CONV_BACKWARD_WEIGHTS };
    const conv_args *a = args;
    if (a->pass == BLOCKED)
        return ot_block_conv_workspace(&a->block, threads);
    return ot_conv_workspace(&a->s, pass[a->pass], threads);
}

static void conv_run(const void *args, float *out, void *work, const ot_kernel_pool *pool)
{
    const conv_args *a = args;
    ot_epilogue e = a->epi;
    if (e.residual)
        e.residual = out; /* what is there before */
    if (a->pass == BLOCKED) {
        run_blocked(a, out, work, pool);
    } else if (a->pass == FORWARD) {
        ot_conv_forward(&a->s, a->x, a->w, NULL, out, &e, work, pool);
    } else if (a->pass == PACKED) {
        void *packed = ot_malloc(1, ot_conv_packed_size(&a->s) + 64);
        ot_conv_pack_weights(&a->s, a->w, aligned(packed), pool);
        ot_conv_forward(&a->s, a->x, NULL, aligned(packed), out, &e, work, pool);
        ot_free(packed);
    } else if (a->pass == DATA) {
        ot_conv_backward_data(&a->s, a->dy, a->w, out, &e, work, pool);
    } else {
        ot_conv_backward_weights(&a->s, a->x, a->dy, a->pass == WEIGHTS ? out : NULL, a->pass == BIAS ? out : NULL,
                                 work, pool);
    }
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
    float *start = kernel_noise(n, 9), *bias = kernel_noise(s->k + s->c, 10);
    bool fused = a->pass != WEIGHTS && a->pass != BIAS && s->n > 1;
    bool winograd = a->pass == BLOCKED ? a->block.way == OT_BLOCK_WINOGRAD4 : s->way == OT_CONV_WINOGRAD;
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
            want[i] =
                kernel_activate(&a->epi, want[i] + start[i] + bias[a->pass == DATA ? i / px % s->c : i / py % s->k]);
        scale[i] = (winograd ? 4 : 1) * kernel_scale(depth, sqrt(scale[i]) + fabs(want[i]) + (fused ? 2 : 0) +
                                                                (a->pass == BIAS ? sqrt((double)depth) : 0));
    }
    subject sub = { conv_work, conv_run, a, what, start, n };
    double err = kernel_worst(&sub, want, scale);
    if (!CHECK(err < 1))
        printf("    %s, pass %d, way %d: %g of the tolerance\n", what, a->pass,
               a->pass == BLOCKED ? (int)a->block.way : (int)s->way, err);
    ot_free(want), ot_free(scale), ot_free(start), ot_free(bias);
}

/* Every way that takes the shape, x in blocks and plain. */
static void blocked_cases(conv_args *a, const char *what)
{
    const ot_conv_shape *s = &a->s;
    bool square = s->kernel[0] == 3 && s->kernel[1] == 3, unit = true;
    for (int d = 0; d < 2; d++)
        unit = unit && s->stride[d] == 1 && s->dilation[d] == 1;
    a->pass = BLOCKED;
    for (int planar = 0; planar < 2; planar++) {
        if (ot_block_conv_declines(s, planar))
            continue;
        for (ot_block_way way = OT_BLOCK_DIRECT; way <= OT_BLOCK_DEPTHWISE; way++) {
            bool depthwise = s->group > 1 && s->c == s->group && s->k == s->group;
            bool winograd = way == OT_BLOCK_WINOGRAD4 || way == OT_BLOCK_WINOGRAD2;
            if (depthwise != (way == OT_BLOCK_DEPTHWISE) || (winograd && (planar || !square || !unit)))
                continue;
            a->block = (ot_block_conv){ .shape = *s, .planar = planar, .way = way };
            conv_pass(a, what);
        }
    }
}

/* Both ways; the second is the first but for 3x3 kernels of stride 1. */
static void conv_case(ot_conv_shape s, const int64_t pad_end[3], const char *what)
{
    for (int d = 0; d < s.spatial; d++)
        s.out[d] = (s.in[d] + s.pad[d] + pad_end[d] - (s.kernel[d] - 1) * s.dilation[d] - 1) / s.stride[d] + 1;
    float *x = kernel_noise(s.n * s.c * volume(s.spatial, s.in), 6),
          *dy = kernel_noise(s.n * s.k * volume(s.spatial, s.out), 7);
    float *w = kernel_noise(s.k * (s.c / s.group) * volume(s.spatial, s.kernel), 8);
    conv_args a = { .s = s, .x = x, .w = w, .dy = dy };
    for (int way = OT_CONV_DIRECT; way <= OT_CONV_WINOGRAD; way++) {
        a.s.way = (ot_conv_way)way;
        for (a.pass = FORWARD; a.pass <= BIAS; a.pass++)
            conv_pass(&a, what);
    }
    blocked_cases(&a, what);
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
    { "blocks of channels, tails",
      { 2, 2, 37, 56, 1, { 9, 10 }, { 0 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, OT_CONV_DIRECT },
      { 1, 1 } },
    { "blocks of channels, panels of all sizes",
      { 2, 1, 16, 112, 1, { 5, 31 }, { 0 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 0, 1 }, OT_CONV_DIRECT },
      { 0, 1 } },
    { "groups of 16 channels",
      { 2, 2, 32, 32, 2, { 9, 8 }, { 0 }, { 3, 3 }, { 2, 1 }, { 1, 1 }, { 1, 1 }, OT_CONV_DIRECT },
      { 1, 1 } },
    { "groups of 16 channels, stride 1",
      { 2, 2, 32, 64, 2, { 9, 8 }, { 0 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, OT_CONV_DIRECT },
      { 1, 1 } },
    { "1x1 of many channels",
      { 2, 2, 330, 48, 1, { 21, 40 }, { 0 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0 }, OT_CONV_DIRECT },
      { 0, 0 } },
    { "depthwise in blocks, stride 2",
      { 2, 2, 40, 40, 40, { 23, 22 }, { 0 }, { 3, 5 }, { 2, 2 }, { 1, 1 }, { 1, 2 }, OT_CONV_DIRECT },
      { 1, 2 } },
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

const ot_test kernel_conv_tests[] = { { "conv", test_conv }, { 0 } };

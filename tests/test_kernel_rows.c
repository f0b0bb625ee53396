/* Pooling, rows and channel kernels against plain double loops, for each instruction set that this machine has. */
#include "harness.h"
#include "kernel_rig.h"

#include "base/alloc.h"
#include "base/threads.h"
#include "ops/kernels/pooling.h"
#include "ops/kernels/rows.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static double ulps(double want, float got)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got) ? 0 : 1e9;
    if (isinf(want) || isinf(got))
        return (float)want == got ? 0 : 1e9;
    int e;
    frexp(want, &e);
    return fabs(want - (double)got) / fmax(ldexp(1, e - 24), (double)FLT_MIN);
}

/* Runs `each` with every instruction set, without threads and with three. */
static void everywhere(void (*each)(const ot_kernel_pool *pool))
{
    ot_threads *threads = NULL;
    CHECK_OK(ot_threads_create(&threads, 3));
    ot_kernel_pool pool = { kernel_run_threads, threads, 3 };
    for (int a = 0; a < N_ISAS; a++)
        if (ot_kernels_use(kernel_isas[a])) { /* the last that is there, the best, stays in use */
            each(NULL);
            each(&pool);
        }
    ot_threads_close(threads);
}

/* ---- pooling ---- */

static const struct {
    ot_pool_shape s;
    bool ceil;
} pools[] = {
    { { 2, 6, { 13, 14 }, { 0 }, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, false }, false },
    { { 2, 3, { 13, 14 }, { 0 }, { 3, 2 }, { 2, 3 }, { 1, 2 }, { 1, 0 }, { 0, 1 }, true }, true },
    { { 2, 2, { 9, 40 }, { 0 }, { 2, 5 }, { 1, 1 }, { 3, 1 }, { 2, 4 }, { 2, 4 }, true }, false },
    { { 1, 4, { 600 }, { 0 }, { 4 }, { 1 }, { 1 }, { 2 }, { 1 }, false }, false },
    { { 1, 4, { 31 }, { 0 }, { 5 }, { 5 }, { 2 }, { 0 }, { 0 }, false }, true },
    { { 3, 2, { 5, 6, 7 }, { 0 }, { 2, 3, 2 }, { 1, 2, 3 }, { 2, 1, 1 }, { 1, 1, 0 }, { 0, 1, 1 }, false }, false },
    { { 2, 2, { 4, 4 }, { 0 }, { 2, 2 }, { 2, 2 }, { 1, 1 }, { 3, 3 }, { 3, 3 }, false },
      false }, /* windows of padding */
};

static int64_t volume(int n, const int64_t *v)
{
    int64_t p = 1;
    for (int d = 0; d < n; d++)
        p *= v[d];
    return p;
}

/* Tap t of output o: its place in the plane or -1; *counts is whether count_pad counts it. */
static int64_t place(const ot_pool_shape *s, int64_t o, int64_t t, bool *counts)
{
    int64_t at = 0, stride = 1;
    bool in = true;
    *counts = true;
    for (int d = s->spatial - 1; d >= 0; d--) {
        int64_t i = o % s->out[d] * s->stride[d] + t % s->kernel[d] * s->dilation[d] - s->pad[d];
        in = in && i >= 0 && i < s->in[d];
        *counts = *counts && i >= -s->pad[d] && i < s->in[d] + s->pad_end[d];
        at += i * stride;
        stride *= s->in[d];
        o /= s->out[d];
        t /= s->kernel[d];
    }
    return in ? at : -1;
}

typedef struct pool_truth {
    float *max;
    int64_t *index;
    double *avg, *max_grad, *avg_grad;
} pool_truth;

static void naive_pool(const ot_pool_shape *s, const float *x, const float *dy, const pool_truth *v)
{
    int64_t px = volume(s->spatial, s->in), py = volume(s->spatial, s->out), taps = volume(s->spatial, s->kernel);
    for (int64_t i = 0; i < s->planes * py; i++) {
        int64_t base = i / py * px, winner = -1, count = 0;
        double sum = 0;
        bool counts;
        for (int64_t t = 0; t < taps; t++) {
            int64_t at = place(s, i % py, t, &counts);
            count += s->count_pad ? counts : at >= 0;
            if (at < 0)
                continue;
            sum += x[base + at];
            if (winner < 0 || x[base + at] > x[winner] || (isnan(x[base + at]) && !isnan(x[winner])))
                winner = base + at;
        }
        v->index[i] = winner;
        v->max[i] = winner < 0 ? -INFINITY : x[winner];
        v->avg[i] = count ? sum / (double)count : 0;
        if (winner >= 0)
            v->max_grad[winner] += dy[i];
        for (int64_t t = 0; t < taps; t++) {
            int64_t at = place(s, i % py, t, &counts);
            if (at >= 0)
                v->avg_grad[base + at] += (double)dy[i] / (double)count;
        }
    }
}

static bool close_all(const double *want, const float *got, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!test_close(want[i], got[i], 2e-6, 2e-6))
            return false;
    return true;
}

static void pool_case(ot_pool_shape s, bool ceil, const ot_kernel_pool *pool)
{
    for (int d = 0; d < s.spatial; d++) {
        int64_t room = s.in[d] + s.pad[d] + s.pad_end[d] - (s.kernel[d] - 1) * s.dilation[d] - 1;
        s.out[d] = (room + (ceil ? s.stride[d] - 1 : 0)) / s.stride[d] + 1;
    }
    int64_t nx = s.planes * volume(s.spatial, s.in), ny = s.planes * volume(s.spatial, s.out);
    float *x = kernel_noise(nx, 1), *dy = kernel_noise(ny, 2), *y = kernel_floats(ny), *dx = kernel_floats(nx);
    int64_t *index = ot_malloc((size_t)ny, sizeof(int64_t));
    pool_truth v = { kernel_floats(ny), ot_malloc((size_t)ny, sizeof(int64_t)), ot_calloc((size_t)ny, sizeof(double)),
                     ot_calloc((size_t)nx, sizeof(double)), ot_calloc((size_t)nx, sizeof(double)) };
    for (int64_t i = 0; i < nx; i += 3)
        x[i] = 0.5f; /* equals: the first must win */
    naive_pool(&s, x, dy, &v);
    ot_max_pool(&s, x, y, NULL, pool);
    CHECK(memcmp(y, v.max, sizeof(float) * (size_t)ny) == 0);
    memset(y, 1, sizeof(float) * (size_t)ny);
    ot_max_pool(&s, x, y, index, pool);
    CHECK(memcmp(y, v.max, sizeof(float) * (size_t)ny) == 0);
    CHECK(memcmp(index, v.index, sizeof(int64_t) * (size_t)ny) == 0);
    ot_max_pool_backward(&s, x, dy, dx, pool);
    CHECK(close_all(v.max_grad, dx, nx));
    ot_avg_pool(&s, x, y, pool);
    CHECK(close_all(v.avg, y, ny));
    ot_avg_pool_backward(&s, dy, dx, pool);
    CHECK(close_all(v.avg_grad, dx, nx));
    x[nx / 2] = NAN;
    naive_pool(&s, x, dy, &v);
    ot_max_pool(&s, x, y, NULL, pool);
    for (int64_t i = 0; i < ny; i++)
        CHECK(isnan(v.max[i]) ? isnan(y[i]) : y[i] == v.max[i]);
    ot_free(x), ot_free(dy), ot_free(y), ot_free(dx), ot_free(index);
    ot_free(v.max), ot_free(v.index), ot_free(v.avg), ot_free(v.max_grad), ot_free(v.avg_grad);
}

static void each_pool(const ot_kernel_pool *pool)
{
    for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++)
        pool_case(pools[i].s, pools[i].ceil, pool);
    float x[3 * 77], y[3];
    for (int i = 0; i < 3 * 77; i++)
        x[i] = (float)(i % 10);
    ot_global_avg_pool(3, 77, x, y, pool);
    for (int p = 0; p < 3; p++) {
        double sum = 0;
        for (int i = 0; i < 77; i++)
            sum += x[p * 77 + i];
        CHECK(test_close(sum / 77, y[p], 0, 1e-6));
    }
}

static void test_pooling(void)
{
    everywhere(each_pool);
}

/* ---- rows ---- */

#define N 1037

static void each_row(const ot_kernel_pool *pool)
{
    float *a = kernel_noise(N, 3), *b = kernel_noise(N, 4), *y = kernel_floats(N);
    double sum = 0, dot = 0;
    (void)pool;
    a[17] = NAN;
    ot_row_relu(N, a, y);
    for (int i = 0; i < N; i++)
        CHECK(i == 17 ? isnan(y[i]) : y[i] == (a[i] < 0 ? 0 : a[i]));
    ot_row_clip(N, -0.25f, 0.5f, a, y);
    for (int i = 0; i < N; i++)
        CHECK(i == 17 ? isnan(y[i]) : y[i] == fminf(fmaxf(a[i], -0.25f), 0.5f));
    a[17] = 0.125f;
    ot_row_relu_grad(N, a, b, y);
    for (int i = 0; i < N; i++)
        CHECK(y[i] == (a[i] > 0 ? b[i] : 0));
    ot_row_add(N, a, b, y);
    for (int i = 0; i < N; i++)
        CHECK(y[i] == a[i] + b[i]);
    ot_row_sub(N, a, b, y);
    for (int i = 0; i < N; i++)
        CHECK(y[i] == a[i] - b[i]);
    ot_row_mul(N, a, b, y);
    for (int i = 0; i < N; i++)
        CHECK(y[i] == a[i] * b[i]);
    ot_row_scale(N, 1.5f, -0.25f, a, y);
    for (int i = 0; i < N; i++)
        CHECK(test_close(1.5 * a[i] - 0.25, y[i], 1e-7, 1e-7));
    memcpy(y, b, sizeof(float) * N);
    ot_row_axpy(N, 2.5f, a, y);
    for (int i = 0; i < N; i++) {
        CHECK(test_close(2.5 * a[i] + b[i], y[i], 3e-7, 1e-7));
        sum += a[i];
        dot += (double)a[i] * b[i];
    }
    CHECK(test_close(sum, ot_row_sum(N, a), 1e-5, 0));
    CHECK(test_close(dot, ot_row_dot(N, a, b), 1e-5, 0));
    ot_free(a), ot_free(b), ot_free(y);
}

static void test_rows(void)
{
    everywhere(each_row);
}

static void each_function(const ot_kernel_pool *pool)
{
    static const float special[] = { 0, -0.0f, INFINITY, -INFINITY, NAN, 88.72f, 88.73f, 100, -87.3f, -110, 1e-30f };
    enum { M = 20011 };
    float *x = kernel_floats(M), *y = kernel_floats(M);
    double most[4] = { 0 };
    (void)pool;
    for (int i = 0; i < M; i++)
        x[i] = (float)(i - M / 2) * (88.0f / (M / 2)) * (i % 3 == 0 ? 0.01f : 0.99f);
    memcpy(x + 5, special, sizeof(special));
    ot_row_exp(M, x, y);
    for (int i = 0; i < M; i++)
        most[0] = fmax(most[0], ulps((double)(float)exp(x[i]) < FLT_MIN ? 0 : exp(x[i]), y[i]));
    ot_row_sigmoid(M, x, y);
    for (int i = 0; i < M; i++)
        most[1] = fmax(most[1], ulps(1 / (1 + exp(-(double)x[i])), y[i]));
    ot_row_tanh(M, x, y);
    for (int i = 0; i < M; i++)
        most[2] = fmax(most[2], ulps(tanh(x[i]), y[i]));
    for (int i = 16; i < M; i++)
        x[i] = (float)(i - M / 2) * (5.0f / (M / 2));
    ot_row_erf(M, x, y);
    for (int i = 0; i < M; i++)
        most[3] = fmax(most[3], ulps(erf(x[i]), y[i]));
    ot_row_gelu(M, x, y);
    for (int i = 16; i < M; i++) /* 1 + erf cancels on the left */
        CHECK(fabs(0.5 * x[i] * (1 + erf(x[i] * sqrt(0.5))) - y[i]) <= 4e-7 * (1 + fabs((double)x[i])));
    if (!CHECK(most[0] <= 2 && most[1] <= 4 && most[2] <= 4 && most[3] <= 2))
        printf("    %s: exp %.2f, sigmoid %.2f, tanh %.2f, erf %.2f ulp\n", ot_kernels_isa(), most[0], most[1], most[2],
               most[3]);
    ot_free(x), ot_free(y);
}

static void test_functions(void)
{
    everywhere(each_function);
}

/* ---- channels ---- */

static void channel_case(int64_t n, int64_t c, int64_t size, const ot_kernel_pool *pool)
{
    int64_t all = n * c * size;
    float *x = kernel_noise(all, 8), *dy = kernel_noise(all, 9), *y = kernel_floats(all), *p = kernel_noise(c, 10),
          *q = kernel_noise(c, 11);
    float *r = kernel_noise(c, 12), *s = kernel_floats(c), *t = kernel_floats(c);
    for (int64_t i = 0; i < all; i++)
        x[i] += 3;
    ot_channel_scale(n, c, size, x, p, q, OT_ACT_RELU, y, pool);
    for (int64_t i = 0; i < all; i++) {
        int64_t k = i / size % c;
        CHECK(test_close(fmax(0, (double)p[k] * x[i] + q[k]), y[i], 1e-6, 1e-6));
    }
    ot_channel_moments(n, c, size, x, s, t, pool);
    for (int64_t k = 0; k < c; k++) {
        double sum = 0, squares = 0, count = (double)(n * size);
        for (int64_t i = 0; i < all; i++)
            sum += i / size % c == k ? x[i] : 0;
        for (int64_t i = 0; i < all; i++)
            squares += i / size % c == k ? (x[i] - sum / count) * (x[i] - sum / count) : 0;
        CHECK(test_close(sum / count, s[k], 0, 1e-6));
        CHECK(test_close(squares / count, t[k], 1e-9, 2e-5));
    }
    ot_channel_grad_sums(n, c, size, x, dy, p, s, t, pool);
    for (int64_t k = 0; k < c; k++) {
        double sum = 0, dot = 0;
        for (int64_t i = 0; i < all; i++)
            if (i / size % c == k) {
                sum += dy[i];
                dot += dy[i] * ((double)x[i] - p[k]);
            }
        CHECK(test_close(sum, s[k], 1e-4, 1e-6));
        CHECK(test_close(dot, t[k], 1e-3, 1e-6));
    }
    ot_channel_grad_apply(n, c, size, x, dy, p, q, r, y, pool);
    for (int64_t i = 0; i < all; i++) {
        int64_t k = i / size % c;
        CHECK(test_close((double)p[k] * dy[i] + (double)q[k] * x[i] + r[k], y[i], 2e-6, 1e-6));
    }
    ot_free(x), ot_free(dy), ot_free(y), ot_free(p), ot_free(q), ot_free(r), ot_free(s), ot_free(t);
}

static void each_channels(const ot_kernel_pool *pool)
{
    channel_case(3, 5, 49, pool);
    channel_case(7, 19, 1, pool);
    channel_case(1, 2, 5003, pool);
}

static void test_channels(void)
{
    everywhere(each_channels);
}

static void softmax_case(int64_t rows, int64_t cols, const ot_kernel_pool *pool)
{
    int64_t n = rows * cols;
    float *x = kernel_noise(n, 13), *dy = kernel_noise(n, 14), *y = kernel_floats(n), *l = kernel_floats(n),
          *dx = kernel_floats(n), *dl = kernel_floats(n);
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] * 20 + 300;
    ot_softmax_rows(rows, cols, x, y, pool);
    ot_log_softmax_rows(rows, cols, x, l, pool);
    ot_softmax_grad_rows(rows, cols, y, dy, dx, pool);
    ot_log_softmax_grad_rows(rows, cols, l, dy, dl, pool);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t at = r * cols;
        double most = -INFINITY, sum = 0, dot = 0, total = 0;
        for (int64_t i = 0; i < cols; i++)
            most = fmax(most, x[at + i]);
        for (int64_t i = 0; i < cols; i++)
            sum += exp(x[at + i] - most);
        for (int64_t i = 0; i < cols; i++) {
            dot += exp(x[at + i] - most) / sum * dy[at + i];
            total += dy[at + i];
        }
        for (int64_t i = 0; i < cols; i++) {
            double p = exp(x[at + i] - most) / sum;
            CHECK(test_close(p, y[at + i], 1e-12, 3e-6));
            CHECK(test_close(log(p), l[at + i], 1e-6, 1e-6));
            CHECK(test_close(p * (dy[at + i] - dot), dx[at + i], 1e-6, 1e-5));
            CHECK(test_close(dy[at + i] - p * total, dl[at + i], 2e-6, 2e-5));
        }
    }
    ot_free(x), ot_free(dy), ot_free(y), ot_free(l), ot_free(dx), ot_free(dl);
}

static void each_softmax(const ot_kernel_pool *pool)
{
    softmax_case(5, 1, pool);
    softmax_case(700, 37, pool);
    softmax_case(3, 10007, pool);
}

static void test_softmax(void)
{
    everywhere(each_softmax);
}

const ot_test kernel_rows_tests[] = {
    { "channels", test_channels }, { "functions", test_functions }, { "pooling", test_pooling },
    { "rows", test_rows },         { "softmax", test_softmax },     { NULL, NULL },
};

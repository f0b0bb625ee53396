/* Rows of elementary functions, and softmax. */
#include "../rows.h"
#include "table.h"
#include "vmath.h"

#include <math.h>
#include <string.h>

/* y = f(x) in vectors; the last, partial one by way of a whole one. */
#define MAP(n, x, y, f)                                                                                                \
    do {                                                                                                               \
        int64_t map_i = 0;                                                                                             \
        for (; map_i + OT_VL <= (n); map_i += OT_VL)                                                                   \
            v_store((y) + map_i, f(v_load((x) + map_i)));                                                              \
        if (map_i < (n)) {                                                                                             \
            float map_t[OT_VL] = { 0 };                                                                                \
            memcpy(map_t, (x) + map_i, sizeof(float) * (size_t)((n)-map_i));                                           \
            v_store(map_t, f(v_load(map_t)));                                                                          \
            memcpy((y) + map_i, map_t, sizeof(float) * (size_t)((n)-map_i));                                           \
        }                                                                                                              \
    } while (0)

void OT_K(ot_row_exp)(int64_t n, const float *x, float *y)
{
    MAP(n, x, y, v_exp);
}

void OT_K(ot_row_erf)(int64_t n, const float *x, float *y)
{
    MAP(n, x, y, v_erf);
}

void OT_K(ot_row_gelu)(int64_t n, const float *x, float *y)
{
    MAP(n, x, y, v_gelu);
}

void OT_K(ot_row_sigmoid)(int64_t n, const float *x, float *y)
{
    MAP(n, x, y, v_sigmoid);
}

void OT_K(ot_row_tanh)(int64_t n, const float *x, float *y)
{
    MAP(n, x, y, v_tanh);
}

static float row_max(int64_t n, const float *x)
{
    vf m = v_set(-INFINITY);
    int64_t i = 0;
    float t[OT_VL], best = -INFINITY;
    for (; i + OT_VL <= n; i += OT_VL) {
        vf v = v_load(x + i);
        m = v_pick(v > m, v, m);
    }
    v_store(t, m);
    for (int j = 0; j < OT_VL; j++)
        best = t[j] > best ? t[j] : best;
    for (; i < n; i++)
        best = x[i] > best ? x[i] : best;
    return best;
}

/* The sum of e^(x - shift); y, where not NULL, gets the terms. */
static float exp_sum(int64_t n, const float *x, float shift, float *y)
{
    vf sum = { 0 };
    int64_t i = 0;
    float t[OT_VL], rest = 0;
    for (; i + OT_VL <= n; i += OT_VL) {
        vf e = v_exp(v_load(x + i) - shift);
        sum += e;
        if (y)
            v_store(y + i, e);
    }
    if (i < n) {
        for (int j = 0; j < OT_VL; j++)
            t[j] = i + j < n ? x[i + j] : shift;
        v_store(t, v_exp(v_load(t) - shift));
        for (int j = 0; i + j < n; j++) {
            rest += t[j];
            if (y)
                y[i + j] = t[j];
        }
    }
    return v_sum(sum) + rest;
}

struct softmax {
    int64_t rows, cols, each; /* rows of a block */
    const float *x, *dy;
    float *y; /* what is computed */
    void (*row)(int64_t cols, const float *x, const float *dy, float *y);
};

static void softmax_row(int64_t cols, const float *x, const float *dy, float *y)
{
    (void)dy;
    float scale = 1 / exp_sum(cols, x, row_max(cols, x), y);
    for (int64_t i = 0; i < cols; i++)
        y[i] *= scale;
}

static void log_softmax_row(int64_t cols, const float *x, const float *dy, float *y)
{
    (void)dy;
    float most = row_max(cols, x), log_sum = logf(exp_sum(cols, x, most, NULL));
    for (int64_t i = 0; i < cols; i++)
        y[i] = (x[i] - most) - log_sum;
}

static void softmax_grad_row(int64_t cols, const float *x, const float *dy, float *y)
{
    float dot = (float)OT_K(ot_row_dot)(cols, x, dy);
    for (int64_t i = 0; i < cols; i++)
        y[i] = x[i] * (dy[i] - dot);
}

static void log_softmax_grad_row(int64_t cols, const float *x, const float *dy, float *y)
{
    float sum = (float)OT_K(ot_row_sum)(cols, dy), t[OT_VL];
    int64_t i = 0;
    for (; i + OT_VL <= cols; i += OT_VL)
        v_store(y + i, v_load(dy + i) - v_exp(v_load(x + i)) * sum);
    if (i < cols) {
        memset(t, 0, sizeof(t));
        memcpy(t, x + i, sizeof(float) * (size_t)(cols - i));
        v_store(t, v_exp(v_load(t)));
        for (int j = 0; i + j < cols; j++)
            y[i + j] = dy[i + j] - t[j] * sum;
    }
}

static void softmax_task(void *ctx, int64_t block, int worker)
{
    const struct softmax *s = ctx;
    (void)worker;
    for (int64_t r = block * s->each; r < k_min(s->rows, (block + 1) * s->each); r++)
        s->row(s->cols, s->x + r * s->cols, s->dy ? s->dy + r * s->cols : NULL, s->y + r * s->cols);
}

static void run_rows(struct softmax s, const ot_kernel_pool *pool)
{
    if (s.rows == 0 || s.cols == 0)
        return;
    s.each = k_max(1, 8192 / s.cols);
    k_run(pool, k_ceil(s.rows, s.each), softmax_task, &s);
}

void OT_K(ot_softmax_rows)(int64_t rows, int64_t cols, const float *x, float *y, const ot_kernel_pool *pool)
{
    run_rows((struct softmax){ .rows = rows, .cols = cols, .x = x, .y = y, .row = softmax_row }, pool);
}

void OT_K(ot_log_softmax_rows)(int64_t rows, int64_t cols, const float *x, float *y, const ot_kernel_pool *pool)
{
    run_rows((struct softmax){ .rows = rows, .cols = cols, .x = x, .y = y, .row = log_softmax_row }, pool);
}

void OT_K(ot_softmax_grad_rows)(int64_t rows, int64_t cols, const float *y, const float *dy, float *dx,
                                const ot_kernel_pool *pool)
{
    run_rows((struct softmax){ .rows = rows, .cols = cols, .x = y, .dy = dy, .y = dx, .row = softmax_grad_row }, pool);
}

void OT_K(ot_log_softmax_grad_rows)(int64_t rows, int64_t cols, const float *y, const float *dy, float *dx,
                                    const ot_kernel_pool *pool)
{
    run_rows((struct softmax){ .rows = rows, .cols = cols, .x = y, .dy = dy, .y = dx, .row = log_softmax_grad_row },
             pool);
}

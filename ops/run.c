#include "run.h"

static void run_pool(void *pool, int64_t blocks, ot_kernel_task *fn, void *ctx)
{
    ot_threads_run(pool, blocks, fn, ctx);
}

ot_kernel_pool ot_pool_of(const ot_run *r)
{
    return (ot_kernel_pool){ .run = run_pool, .pool = r->threads, .threads = ot_threads_count(r->threads) };
}

struct ranges {
    int64_t n, grain;
    ot_range_fn *fn;
    void *ctx;
};

static void one_range(void *ctx, int64_t block, int worker)
{
    const struct ranges *s = ctx;
    int64_t from = block * s->grain, to = s->n - from > s->grain ? from + s->grain : s->n;
    (void)worker;
    s->fn(s->ctx, from, to);
}

void ot_for_ranges(const ot_run *r, int64_t n, int64_t grain, ot_range_fn *fn, void *ctx)
{
    struct ranges s = { n, grain, fn, ctx };
    ot_threads_run(r->threads, n / grain + (n % grain != 0), one_range, &s);
}

void ot_broadcast_strides(int64_t *stride, const ot_tensor *x, const ot_tensor *y)
{
    int64_t step = 1;
    for (int i = y->rank - 1; i >= 0; i--) {
        int k = i - (y->rank - x->rank);
        stride[i] = k < 0 || x->dim[k] == 1 ? 0 : step;
        if (k >= 0)
            step *= x->dim[k];
    }
}

/* ReverseSequence: of every batch index, the first sequence_lens elements along the time axis the other way round, the
 * rest as it is.  Its gradient is itself. */
#include "known.h"
#include "run.h"

#include <string.h>

static ot_status axes_of(const ot_node *n, int *batch, int *time)
{
    int64_t b = ot_attr_int(n, "batch_axis", 1), t = ot_attr_int(n, "time_axis", 0);
    if ((b != 0 && b != 1) || t != 1 - b)
        return ot_fail(OT_EMODEL, "batch_axis is %lld and time_axis %lld, wanted are 0 and 1 or 1 and 0", (long long)b,
                       (long long)t);
    *batch = (int)b;
    *time = (int)t;
    return OT_OK;
}

static ot_status reverse_infer(ot_infer *c)
{
    int batch = 0, time = 0;
    ot_dim same;
    OT_TRY(axes_of(c->node, &batch, &time));
    if (ot_open_rank(c, -1))
        return ot_open_like(c, 0);
    OT_TRY(ot_rank_between(c, 0, 2, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, 1, 1));
    if (c->x[1]->dtype != OT_INT64)
        return ot_fail(OT_ESHAPE, "the lengths are %s, wanted is int64", ot_dtype_name(c->x[1]->dtype));
    OT_TRY(ot_dims_agree(&same, c->x[0]->dim[batch], c->x[1]->dim[0], "the batch"));
    if (!ot_dtype_size(c->x[0]->dtype))
        return ot_fail(OT_ESHAPE, "ReverseSequence is not defined for %s", ot_dtype_name(c->x[0]->dtype));
    return ot_same_shape(c);
}

typedef struct turning {
    const ot_run *r;
    int batch;
    size_t bytes; /* of one element along both axes */
} turning;

static void turn(void *ctx, int64_t first, int64_t end)
{
    const turning *t = ctx;
    const ot_tensor *x = &t->r->x[0];
    int64_t cols = x->dim[1];
    for (int64_t i = first; i < end; i++) {
        int64_t row = i / cols, col = i % cols, time = t->batch ? row : col;
        int64_t n = ot_tensor_get_int(&t->r->x[1], t->batch ? col : row), from = time < n ? n - 1 - time : time;
        int64_t at = t->batch ? from * cols + col : row * cols + from;
        memcpy((char *)t->r->y[0].data + (size_t)i * t->bytes, (const char *)x->data + (size_t)at * t->bytes, t->bytes);
    }
}

static ot_status reverse_run(const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    turning t = { .r = r, .bytes = ot_dtype_size(x->dtype) };
    int time = 0;
    OT_TRY(axes_of(r->node, &t.batch, &time));
    for (int64_t i = 0, n = x->dim[t.batch]; i < n; i++) {
        int64_t length = ot_tensor_get_int(&r->x[1], i);
        if (length < 0 || length > x->dim[time])
            return ot_fail(OT_ESHAPE, "sequence %lld has %lld steps, there are %lld", (long long)i, (long long)length,
                           (long long)x->dim[time]);
    }
    for (int d = 2; d < x->rank; d++)
        t.bytes *= (size_t)x->dim[d];
    if (ot_tensor_count(x))
        ot_for_ranges(r, x->dim[0] * x->dim[1], (int64_t)(4 * OT_GRAIN / (t.bytes + 1)) + 1, turn, &t);
    return OT_OK;
}

static void reverse_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "ReverseSequence", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 1)));
}

static const ot_kernel reverse_kernels[] = { { .name = "blocks", .run = reverse_run }, { 0 } };

const ot_op ot_op_ReverseSequence = { .domain = "",
                                      .name = "ReverseSequence",
                                      .since = 10,
                                      .until = OT_LATEST,
                                      .min_in = 2,
                                      .max_in = 2,
                                      .min_out = 1,
                                      .max_out = 1,
                                      .infer = reverse_infer,
                                      .grad = reverse_differentiate,
                                      .cpu = reverse_kernels };

/* Dropout at inference: y is x; the optional mask is all true.  Before opset 12 ratio is an attribute; opsets 1 and 6
 * are training forms unless is_test says otherwise, and are taken as inference: a trainer puts DropoutTrain in.  One
 * whose training_mode is not known to be false becomes DropoutSeeded.
 *
 * DropoutTrain: (x, step) -> y = x / (1 - ratio) where the mask holds, else 0, and the mask, as bool.  Element i is
 * kept when its 32-bit draw is at least ratio * 2^32; draws are keyed by (seed, the node's name, step), so they depend
 * on neither threads nor the order of nodes.  Backward keeps the mask alone:
 * DropoutGrad: (dy, mask) -> dy / (1 - ratio) where the mask holds, else 0. */
#include "base/rng.h"
#include "base/strmap.h"
#include "run.h"

#include <string.h>

/* ---- Inference ------------------------------------------------------------------------------------------------------
 */

static void dropout_normalise(ot_build *b)
{
    ot_val mode = ot_x(b, 2), out[2] = { 0 };
    const ot_fact *f = mode == OT_NONE ? NULL : ot_fact_of(b, mode);
    if (!f || (f->value && f->n_value == 1 && f->value[0] == 0))
        return;
    ot_emit_outputs(b, "DropoutSeeded", ot_the_node(b)->attr, 3, (const ot_val[]){ ot_x(b, 0), mode, ot_x(b, 1) }, 2,
                    out);
    ot_becomes(b, 0, out[0]);
    if (ot_the_node(b)->n_out > 1)
        ot_becomes(b, 1, out[1]);
}

static ot_status dropout_infer(ot_infer *c)
{
    if (!ot_dtype_is_float(c->x[0]->dtype))
        return ot_fail(OT_ESHAPE, "input 0 is %s, wanted is a floating type", ot_dtype_name(c->x[0]->dtype));
    OT_TRY(ot_same_shape(c));
    if (c->n_out > 1 && c->node->opset >= 10)
        c->y[1].dtype = OT_BOOL;
    return OT_OK;
}

static ot_status dropout_run(const ot_run *r)
{
    memcpy(r->y[0].data, r->x[0].data, ot_tensor_bytes(&r->y[0]));
    if (!ot_has_y(r, 1))
        return OT_OK;
    ot_tensor mask = r->y[1];
    for (int64_t i = 0, n = ot_tensor_count(&mask); i < n; i++)
        ot_tensor_set(&mask, i, 1);
    return OT_OK;
}

static int dropout_view(const ot_prep *p)
{
    return p->n_out > 1 && p->y[1] ? -1 : 0;
}

static void dropout_differentiate(ot_build *b)
{
    ot_give(b, 0, ot_dy(b, 0));
}

static const ot_kernel dropout_kernels[] = {
    { .name = "copy", .run = dropout_run },
    { 0 },
};

const ot_op ot_op_Dropout = { .domain = "",
                              .name = "Dropout",
                              .since = 1,
                              .until = OT_LATEST,
                              .min_in = 1,
                              .max_in = 3,
                              .min_out = 1,
                              .max_out = 2,
                              .normalise = dropout_normalise,
                              .infer = dropout_infer,
                              .grad = dropout_differentiate,
                              .cpu = dropout_kernels,
                              .view = dropout_view,
                              .shape_only = 6 };

/* ---- DropoutTrain ---------------------------------------------------------------------------------------------------
 */

static ot_status check_ratio(const ot_node *n)
{
    double ratio = ot_attr_float(n, "ratio", 0.5);
    if (!(ratio >= 0 && ratio < 1))
        return ot_fail(OT_EMODEL, "ratio is %g, wanted is 0 or more and less than 1", ratio);
    return OT_OK;
}

static ot_status train_infer(ot_infer *c)
{
    OT_TRY(check_ratio(c->node));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_rank_between(c, 1, 0, 1));
    if (c->x[1]->dtype != OT_INT64)
        return ot_fail(OT_ESHAPE, "the step is %s, wanted is int64", ot_dtype_name(c->x[1]->dtype));
    OT_TRY(ot_same_shape(c));
    c->y[1].dtype = OT_BOOL;
    return OT_OK;
}

typedef struct dropping {
    const ot_run *r;
    uint64_t key;
    uint64_t below; /* draws below this are dropped */
    double scale;
} dropping;

static dropping dropping_of(const ot_run *r)
{
    double ratio = ot_attr_float(r->node, "ratio", 0.5);
    uint64_t step = (uint64_t)ot_tensor_get_int(&r->x[1], 0);
    return (dropping){ .r = r,
                       .key = ot_rng_key((uint64_t)ot_attr_int(r->node, "seed", 0), ot_hash(r->node->name), step, 0),
                       .below = (uint64_t)(ratio * 4294967296.0),
                       .scale = 1 / (1 - ratio) };
}

/* Four elements from one block of the generator; ranges begin at multiples of 4. */
#define TRAIN(T)                                                                                                       \
    static void train_range_##T(void *ctx, int64_t from, int64_t to)                                                   \
    {                                                                                                                  \
        const dropping *d = ctx;                                                                                       \
        const T *x = d->r->x[0].data;                                                                                  \
        T *y = d->r->y[0].data, scale = (T)d->scale;                                                                   \
        uint8_t *mask = d->r->y[1].data;                                                                               \
        for (int64_t i = from; i < to; i += 4) {                                                                       \
            uint32_t w[4];                                                                                             \
            ot_rng_block(d->key, (uint64_t)(i / 4), w);                                                                \
            for (int k = 0; k < 4 && i + k < to; k++) {                                                                \
                mask[i + k] = w[k] >= d->below;                                                                        \
                y[i + k] = mask[i + k] ? x[i + k] * scale : 0;                                                         \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static ot_status train_##T(const ot_run *r)                                                                        \
    {                                                                                                                  \
        dropping d = dropping_of(r);                                                                                   \
        ot_for_ranges(r, ot_tensor_count(&r->y[0]), OT_GRAIN, train_range_##T, &d);                                    \
        return OT_OK;                                                                                                  \
    }                                                                                                                  \
    static ot_status train_grad_##T(const ot_run *r)                                                                   \
    {                                                                                                                  \
        const T *dy = r->x[0].data;                                                                                    \
        const uint8_t *mask = r->x[1].data;                                                                            \
        T scale = (T)(1 / (1 - ot_attr_float(r->node, "ratio", 0.5)));                                                 \
        for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++)                                                 \
            ((T *)r->y[0].data)[i] = mask[i] ? dy[i] * scale : 0;                                                      \
        return OT_OK;                                                                                                  \
    }
TRAIN(float)
TRAIN(double)

static void train_differentiate(ot_build *b)
{
    double ratio = ot_attr_float(ot_the_node(b), "ratio", 0.5);
    ot_give(b, 0, OT_EMIT_WITH(b, "DropoutGrad", OT_ATTRS(OT_REAL("ratio", ratio)), ot_dy(b, 0), ot_y(b, 1)));
}

static const ot_kernel train_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .run = train_float },
    { .name = "reference", .run = train_double, .in_double = true },
    { 0 },
};

const ot_op ot_op_DropoutTrain = { .domain = OT_INTERNAL,
                                   .name = "DropoutTrain",
                                   .since = 1,
                                   .until = 1,
                                   .min_in = 2,
                                   .max_in = 2,
                                   .min_out = 2,
                                   .max_out = 2,
                                   .infer = train_infer,
                                   .grad = train_differentiate,
                                   .cpu = train_kernels,
                                   .in_place = 1 };

/* ---- DropoutGrad ----------------------------------------------------------------------------------------------------
 */

static ot_status grad_infer(ot_infer *c)
{
    OT_TRY(check_ratio(c->node));
    OT_TRY(ot_needs_float(c, 0));
    if (c->x[1]->dtype != OT_BOOL)
        return ot_fail(OT_ESHAPE, "the mask is %s, wanted is bool", ot_dtype_name(c->x[1]->dtype));
    return ot_same_shape(c);
}

static void grad_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "DropoutGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 1)));
}

static const ot_kernel grad_kernels[] = {
    { .name = "loop", .declines = ot_float32_only, .run = train_grad_float },
    { .name = "reference", .run = train_grad_double, .in_double = true },
    { 0 },
};

const ot_op ot_op_DropoutGrad = { .domain = OT_INTERNAL,
                                  .name = "DropoutGrad",
                                  .since = 1,
                                  .until = 1,
                                  .min_in = 2,
                                  .max_in = 2,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = grad_infer,
                                  .grad = grad_differentiate,
                                  .cpu = grad_kernels,
                                  .in_place = 1 };

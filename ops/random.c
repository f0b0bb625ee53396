/* RandomNormal, RandomUniform, and their ...Like: numbers of these distributions; Multinomial: for every row of
 * log-probabilities, the classes of sample_size draws; Bernoulli: 1 with the probability that x tells.
 * Element i is a pure function of the attribute `seed`, or of the node's name where there is none, and of i: every run
 * draws the same.  Draws do not depend on what they are drawn for, so gradients are zero. */
#include "base/rng.h"
#include "base/strmap.h"
#include "known.h"
#include "run.h"

#include <math.h>
#include <string.h>

static uint64_t key_of(const ot_node *n)
{
    const ot_attr *seed = ot_attr_find(n, "seed");
    float f = seed && seed->type == OT_ATTR_FLOAT ? (float)seed->f : 0;
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return ot_rng_key(bits, ot_hash(n->op->name), seed ? 0 : ot_hash(n->name), 0);
}

static bool is_real(int64_t t)
{
    return t == OT_FLOAT || t == OT_DOUBLE || t == OT_FLOAT16 || t == OT_BFLOAT16;
}

static ot_status real_type(ot_dtype *t, const ot_node *n, ot_dtype otherwise)
{
    int64_t v = ot_attr_int(n, "dtype", (int64_t)otherwise);
    if (!is_real(v))
        return ot_fail(OT_EMODEL, "dtype is %lld, wanted is a float type", (long long)v);
    *t = (ot_dtype)v;
    return OT_OK;
}

/* ---- Normal and uniform --------------------------------------------------------------------------------------------
 */

static ot_status shape_infer(ot_infer *c)
{
    ot_dtype t = OT_FLOAT;
    int rank;
    const int64_t *dim = ot_attr_ints(c->node, "shape", &rank);
    OT_TRY(real_type(&t, c->node, OT_FLOAT));
    if (!ot_attr_find(c->node, "shape"))
        return ot_fail(OT_EMODEL, "the shape is missing");
    if (rank > OT_MAX_RANK)
        return ot_fail(OT_EUNSUPPORTED, "rank %d; the most is %d", rank, OT_MAX_RANK);
    for (int d = 0; d < rank; d++)
        if (dim[d] < 0)
            return ot_fail(OT_EMODEL, "dimension %d of the shape is %lld", d, (long long)dim[d]);
    ot_set_shape(&c->y[0], t, rank, dim);
    return OT_OK;
}

static ot_status like_infer(ot_infer *c)
{
    ot_dtype t = OT_FLOAT;
    OT_TRY(real_type(&t, c->node, c->x[0]->dtype));
    c->y[0].dtype = t;
    if (ot_open_rank(c, 0))
        return OT_OK;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    ot_set_shape(&c->y[0], t, c->x[0]->rank, c->x[0]->dim);
    return OT_OK;
}

typedef struct drawing {
    ot_tensor y;
    uint64_t key;
    double at, scale; /* y = at + scale * draw */
    bool normal;
} drawing;

static void draw_range(void *ctx, int64_t first, int64_t end)
{
    const drawing *d = ctx;
    ot_tensor y = d->y;
    for (int64_t i = first; i < end; i++) {
        double u = d->normal ? ot_rng_normal(d->key, (uint64_t)i) : ot_rng_uniform(d->key, (uint64_t)i);
        ot_tensor_set(&y, i, d->at + d->scale * u);
    }
}

static ot_status draw_run(const ot_run *r)
{
    const ot_node *n = r->node;
    drawing d = { .y = r->y[0], .key = key_of(n), .normal = n->op->name[6] == 'N' };
    double low = ot_attr_float(n, "low", 0);
    d.at = d.normal ? ot_attr_float(n, "mean", 0) : low;
    d.scale = d.normal ? ot_attr_float(n, "scale", 1) : ot_attr_float(n, "high", 1) - low;
    ot_for_ranges(r, ot_tensor_count(&d.y), OT_GRAIN / 8, draw_range, &d);
    return OT_OK;
}

/* ---- Bernoulli -----------------------------------------------------------------------------------------------------
 */

static ot_status coin_infer(ot_infer *c)
{
    OT_TRY(ot_needs_float(c, 0));
    int64_t t = ot_attr_int(c->node, "dtype", (int64_t)c->x[0]->dtype);
    if (!is_real(t) && t != OT_BOOL && !(t > 0 && t <= OT_UINT64 && ot_dtype_is_int((ot_dtype)t)))
        return ot_fail(OT_EMODEL, "dtype is %lld, which is no number that Bernoulli makes", (long long)t);
    c->y[0].dtype = (ot_dtype)t;
    if (ot_open_rank(c, 0))
        return OT_OK;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    ot_set_shape(&c->y[0], (ot_dtype)t, c->x[0]->rank, c->x[0]->dim);
    return OT_OK;
}

static void coin_range(void *ctx, int64_t first, int64_t end)
{
    const ot_run *r = ctx;
    ot_tensor y = r->y[0];
    uint64_t key = key_of(r->node);
    for (int64_t i = first; i < end; i++)
        ot_tensor_set(&y, i, ot_rng_uniform(key, (uint64_t)i) < ot_tensor_get(&r->x[0], i));
}

static ot_status coin_run(const ot_run *r)
{
    ot_for_ranges(r, ot_tensor_count(&r->y[0]), OT_GRAIN / 8, coin_range, (void *)r);
    return OT_OK;
}

/* ---- Multinomial ---------------------------------------------------------------------------------------------------
 */

static ot_status dice_infer(ot_infer *c)
{
    int64_t t = ot_attr_int(c->node, "dtype", OT_INT32), n = ot_attr_int(c->node, "sample_size", 1);
    OT_TRY(ot_needs_float(c, 0));
    if (!ot_open_rank(c, 0))
        OT_TRY(ot_rank_between(c, 0, 2, 2));
    if (t != OT_INT32 && t != OT_INT64)
        return ot_fail(OT_EMODEL, "dtype is %lld, wanted is int32 or int64", (long long)t);
    if (n < 0)
        return ot_fail(OT_EMODEL, "sample_size is %lld", (long long)n);
    if (n > 0 && c->x[0]->rank == 2 && c->x[0]->dim[1] == 0)
        return ot_fail(OT_ESHAPE, "there are no classes to draw");
    ot_set_shape(&c->y[0], (ot_dtype)t, 2,
                 (const ot_dim[]){ ot_open_rank(c, 0) ? ot_dim_unknown(c) : c->x[0]->dim[0], n });
    return OT_OK;
}

/* Cumulated weights of a row, relative to the largest; a draw is the first class whose sum is above it. */
static ot_status dice_run(const ot_run *r)
{
    ot_tensor y = r->y[0];
    double *sum = r->scratch;
    int64_t classes = r->x[0].dim[1], n = y.dim[1];
    uint64_t key = key_of(r->node);
    for (int64_t b = 0; b < y.dim[0] && n; b++) {
        double most = -INFINITY, total = 0;
        for (int64_t k = 0; k < classes; k++)
            most = fmax(most, ot_tensor_get(&r->x[0], b * classes + k));
        for (int64_t k = 0; k < classes; k++)
            sum[k] = total += exp(ot_tensor_get(&r->x[0], b * classes + k) - most);
        if (!(total > 0 && total < INFINITY))
            return ot_fail(OT_ESHAPE, "row %lld holds no log-probabilities", (long long)b);
        for (int64_t i = 0; i < n; i++) {
            double u = ot_rng_uniform(key, (uint64_t)(b * n + i)) * total;
            int64_t low = 0, high = classes - 1;
            while (low < high) {
                int64_t middle = low + (high - low) / 2;
                if (sum[middle] > u)
                    high = middle;
                else
                    low = middle + 1;
            }
            ot_tensor_set_int(&y, b * n + i, low);
        }
    }
    return OT_OK;
}

static ot_status dice_prepare(ot_prep *p)
{
    p->scratch = (size_t)p->x[0]->dim[1] * sizeof(double);
    return OT_OK;
}

/* ---- Registration --------------------------------------------------------------------------------------------------
 */

static const ot_kernel draw_kernels[] = { { .name = "loop", .run = draw_run }, { 0 } };
static const ot_kernel coin_kernels[] = { { .name = "loop", .run = coin_run }, { 0 } };
static const ot_kernel dice_kernels[] = { { .name = "loop", .prepare = dice_prepare, .run = dice_run }, { 0 } };

#define DRAWS(id, first, inputs, rule, kernels, of_shape)                                                              \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = first,                                                                         \
                               .until = OT_LATEST,                                                                     \
                               .min_in = inputs,                                                                       \
                               .max_in = inputs,                                                                       \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .infer = rule,                                                                          \
                               .grad = ot_grad_none,                                                                   \
                               .cpu = kernels,                                                                         \
                               .shape_only = of_shape };

DRAWS(Bernoulli, 15, 1, coin_infer, coin_kernels, 0)
DRAWS(Multinomial, 7, 1, dice_infer, dice_kernels, 0)
DRAWS(RandomNormal, 1, 0, shape_infer, draw_kernels, 0)
DRAWS(RandomNormalLike, 1, 1, like_infer, draw_kernels, 1)
DRAWS(RandomUniform, 1, 0, shape_infer, draw_kernels, 0)
DRAWS(RandomUniformLike, 1, 1, like_infer, draw_kernels, 1)

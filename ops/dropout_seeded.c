/* DropoutSeeded: (x, training_mode[, ratio]) -> y, mask: a Dropout whose document asks for training, at each run. Where
 * training_mode holds, y = x * mask / (1 - ratio), and the mask is true where a draw from [0, 1) is at least ratio;
 * otherwise y = x and the mask is true everywhere.  The draws are those of ONNX's reference: the Mersenne twister begun
 * with `seed`, or with a number made from the node's name.  Every run draws the same.  (A trainer puts DropoutTrain
 * in its place, which draws anew at each step.)
 * Backward keeps the mask and the two scalars. */
#include "base/mersenne.h"
#include "base/strmap.h"
#include "run.h"

#include <string.h>

static ot_status one_element(const ot_infer *c, int i, const char *what)
{
    OT_TRY(ot_rank_between(c, i, 0, 1));
    if (c->x[i]->rank == 1 && c->x[i]->dim[0] != 1 && !ot_is_symbol(c->x[i]->dim[0]))
        return ot_fail(OT_ESHAPE, "%s has %lld elements, wanted is one", what, (long long)c->x[i]->dim[0]);
    return OT_OK;
}

static ot_status seeded_infer(ot_infer *c)
{
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_same_shape(c));
    OT_TRY(one_element(c, 1, "training_mode"));
    if (c->x[1]->dtype != OT_BOOL)
        return ot_fail(OT_ESHAPE, "training_mode is %s, wanted is bool", ot_dtype_name(c->x[1]->dtype));
    if (c->n_in > 2 && c->x[2]) {
        OT_TRY(ot_needs_float(c, 2));
        OT_TRY(one_element(c, 2, "ratio"));
    }
    c->y[1].dtype = OT_BOOL;
    return OT_OK;
}

static uint32_t seed_of(const ot_node *n)
{
    const ot_attr *seed = ot_attr_find(n, "seed");
    return (uint32_t)(seed && seed->type == OT_ATTR_INT ? (uint64_t)seed->i : ot_hash(n->name));
}

static ot_status seeded_run(const ot_run *r)
{
    const double *x = r->x[0].data;
    double *y = r->y[0].data, ratio = ot_has_x(r, 2) ? *(const double *)r->x[2].data : 0.5;
    uint8_t *mask = r->y[1].data;
    int64_t n = ot_tensor_count(&r->y[0]);
    if (!*(const uint8_t *)r->x[1].data || ratio == 0) {
        if (n && y != x)
            memcpy(y, x, (size_t)n * sizeof(*y));
        memset(mask, 1, (size_t)n);
        return OT_OK;
    }
    if (!(ratio > 0 && ratio < 1))
        return ot_fail(OT_EARG, "ratio is %g, wanted is 0 or more and less than 1", ratio);
    ot_mersenne g;
    ot_mersenne_seed(&g, seed_of(r->node));
    for (int64_t i = 0; i < n; i++) {
        mask[i] = ot_mersenne_uniform(&g) >= ratio;
        y[i] = mask[i] ? x[i] / (1 - ratio) : 0;
    }
    return OT_OK;
}

static void seeded_differentiate(ot_build *b)
{
    ot_val dy = ot_dy(b, 0), ratio = ot_x(b, 2);
    ot_dtype t = ot_fact_of(b, dy)->dtype;
    ot_val one = ot_const_scalar(b, t, 1), scalar = ot_const_ints(b, 0, NULL);
    ratio = ratio == OT_NONE ? ot_const_scalar(b, t, 0.5) : OT_EMIT(b, "CastLike", ratio, dy);
    ot_val scale = OT_EMIT(b, "Div", one, OT_EMIT(b, "Sub", one, OT_EMIT(b, "Reshape", ratio, scalar)));
    scale = OT_EMIT(b, "Where", OT_EMIT(b, "Reshape", ot_x(b, 1), scalar), scale, one);
    ot_give(b, 0, OT_EMIT(b, "Where", ot_y(b, 1), OT_EMIT(b, "Mul", dy, scale), ot_const_scalar(b, t, 0)));
}

static const ot_kernel seeded_kernels[] = {
    { .name = "reference", .run = seeded_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_DropoutSeeded = { .domain = OT_INTERNAL,
                                    .name = "DropoutSeeded",
                                    .since = 1,
                                    .until = 1,
                                    .min_in = 2,
                                    .max_in = 3,
                                    .min_out = 2,
                                    .max_out = 2,
                                    .infer = seeded_infer,
                                    .grad = seeded_differentiate,
                                    .cpu = seeded_kernels,
                                    .in_place = 1 };

/* Pow: y = x ^ e, element by element under numpy's broadcasting; y has the type of x, e may have another.
 * Backward reads x and e: dx = e x^(e-1), 0 where e is 0; de = x^e ln x, 0 where x is 0 and e is not negative. */
#include "broadcast.h"

#include <math.h>

static ot_status pow_infer(ot_infer *c)
{
    int rank;
    ot_dim dim[OT_MAX_RANK];
    for (int i = 0; i < 2; i++) {
        OT_TRY(ot_rank_between(c, i, 0, OT_MAX_RANK));
        if (!ot_dtype_is_int(c->x[i]->dtype) || ot_dtype_bits(c->x[i]->dtype) < 8)
            OT_TRY(ot_needs_float(c, i));
    }
    OT_TRY(ot_broadcast_dims(c, &rank, dim, c->x[0], c->x[1]));
    ot_set_shape(&c->y[0], c->x[0]->dtype, rank, dim);
    return OT_OK;
}

OT_PAIR(power_f32, float, float, z == 2 ? x * x : z == 0.5f ? sqrtf(x) : powf(x, z))

static const char *fast_declines(const ot_prep *p)
{
    return p->x[0]->dtype == OT_FLOAT && p->x[1]->dtype == OT_FLOAT ? NULL : "only for two float32 inputs";
}

static ot_status fast_run(const ot_run *r)
{
    ot_for_pairs(r, power_f32);
    return OT_OK;
}

/* By repeated squaring, wrapping; a negative exponent leaves 1, -1 or 0, as the cut quotient. */
static int64_t int_power(int64_t x, int64_t e)
{
    uint64_t y = 1, factor = (uint64_t)x;
    if (e < 0)
        return x == 1 ? 1 : x == -1 ? (e % 2 ? -1 : 1) : 0;
    for (; e; e >>= 1, factor *= factor)
        if (e & 1)
            y *= factor;
    return (int64_t)y;
}

static ot_status reference_run(const ot_run *r)
{
    int64_t sa[OT_MAX_RANK], sb[OT_MAX_RANK];
    ot_tensor *y = &r->y[0];
    bool ints = ot_dtype_is_int(r->x[0].dtype) && ot_dtype_is_int(r->x[1].dtype);
    ot_broadcast_strides(sa, &r->x[0], y);
    ot_broadcast_strides(sb, &r->x[1], y);
    for (int64_t i = 0, n = ot_tensor_count(y); i < n; i++) {
        int64_t a = 0, b = 0, rest = i;
        for (int d = y->rank - 1; d >= 0; d--) {
            a += rest % y->dim[d] * sa[d];
            b += rest % y->dim[d] * sb[d];
            rest /= y->dim[d];
        }
        if (ints)
            ot_tensor_set_int(y, i, int_power(ot_tensor_get_int(&r->x[0], a), ot_tensor_get_int(&r->x[1], b)));
        else
            ot_tensor_set(y, i, pow(ot_tensor_get(&r->x[0], a), ot_tensor_get(&r->x[1], b)));
    }
    return OT_OK;
}

static void pow_differentiate(ot_build *b)
{
    ot_val x = ot_x(b, 0), e = ot_x(b, 1), dy = ot_dy(b, 0);
    if (ot_fact_of(b, e)->dtype != ot_fact_of(b, x)->dtype)
        e = OT_EMIT(b, "CastLike", e, x);
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT(b, "Mul", dy, OT_EMIT(b, "PowDx", x, e)));
    if (ot_wants(b, 1)) {
        ot_val de = OT_EMIT(b, "Mul", dy, OT_EMIT(b, "PowDz", x, e));
        ot_give(b, 1, e == ot_x(b, 1) ? de : OT_EMIT(b, "CastLike", de, ot_x(b, 1)));
    }
}

static const ot_kernel pow_kernels[] = {
    { .name = "rows", .declines = fast_declines, .run = fast_run },
    { .name = "reference", .run = reference_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_Pow = { .domain = "",
                          .name = "Pow",
                          .since = 1,
                          .until = OT_LATEST,
                          .min_in = 2,
                          .max_in = 2,
                          .min_out = 1,
                          .max_out = 1,
                          .normalise = ot_old_broadcast,
                          .infer = pow_infer,
                          .grad = pow_differentiate,
                          .cpu = pow_kernels,
                          .in_place = 1 };

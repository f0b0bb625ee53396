/* Range: start, start + delta, .. before limit: ceil((limit - start) / delta) elements, none when that is negative.
 * Floats are computed in double, integers exactly.  The gradient of start is the sum of dy, that of delta the sum of
 * dy[i] i; limit decides on the number of elements alone. */
#include "known.h"
#include "run.h"

#include <math.h>

/* Three integers, symbols among them where data says no number; false when they are not known. */
static bool known_ints(const ot_infer *c, ot_dim v[3], bool *open)
{
    *open = false;
    for (int i = 0; i < 3; i++) {
        const ot_tensor *t = c->constant[i];
        if (t && ot_tensor_count(t) == 1) {
            v[i] = ot_tensor_get_int(t, 0);
            continue;
        }
        if (!ot_known_scalar(c, i, &v[i]))
            return false;
        *open |= ot_is_symbol(v[i]);
    }
    return true;
}

/* The span over the step, rounded up. */
static uint64_t count_ints(int64_t from, int64_t to, int64_t by)
{
    uint64_t step = by < 0 ? 0 - (uint64_t)by : (uint64_t)by;
    uint64_t span = by < 0 ? (uint64_t)from - (uint64_t)to : (uint64_t)to - (uint64_t)from;
    return (by < 0 ? from > to : to > from) ? (span - 1) / step + 1 : 0;
}

static ot_status of_ints(ot_infer *c, ot_dim *dim)
{
    ot_dim v[3];
    bool open;
    *dim = ot_dim_unknown(c);
    if (!known_ints(c, v, &open))
        return OT_OK;
    if (v[2] == 0)
        return ot_fail(OT_EMODEL, "the step of Range is 0");
    if (open) {
        *dim = v[2] == 1 ? ot_dim_sub(c, v[1], v[0]) : *dim;
        return OT_OK;
    }
    uint64_t n = count_ints(v[0], v[1], v[2]);
    if (n >= (uint64_t)1 << 53)
        return ot_fail(OT_ESHAPE, "a Range of %llu elements", (unsigned long long)n);
    *dim = (ot_dim)n;
    return OT_OK;
}

static void int_values(ot_infer *c)
{
    ot_tensor y;
    ot_dim v[3];
    bool open;
    if (!known_ints(c, v, &open) || open || !ot_value_room(c, &y))
        return;
    for (int64_t i = 0, n = ot_tensor_count(&y); i < n; i++)
        ((ot_dim *)y.data)[i] = ot_known_element((int64_t)((uint64_t)v[0] + (uint64_t)i * (uint64_t)v[2]));
    ot_hand_on(c, &y);
}

static ot_status of_floats(ot_infer *c, ot_dim *dim)
{
    double v[3];
    *dim = ot_dim_unknown(c);
    for (int i = 0; i < 3; i++) {
        if (!c->constant[i] || ot_tensor_count(c->constant[i]) != 1)
            return OT_OK;
        v[i] = ot_tensor_get(c->constant[i], 0);
    }
    if (v[2] == 0)
        return ot_fail(OT_EMODEL, "the step of Range is 0");
    double n = ceil((v[1] - v[0]) / v[2]);
    if (!(n < 0x1p53))
        return ot_fail(OT_ESHAPE, "a Range of %g elements", n);
    *dim = n > 0 ? (ot_dim)n : 0;
    return OT_OK;
}

static ot_status range_infer(ot_infer *c)
{
    ot_dtype t = c->x[0]->dtype;
    bool ints = ot_dtype_is_int(t) && ot_dtype_size(t);
    ot_dim dim;
    if (!ints)
        OT_TRY(ot_needs_float(c, 0));
    for (int i = 0; i < 3; i++) {
        if (!ot_open_rank(c, i))
            OT_TRY(ot_rank_between(c, i, 0, 1));
        if (c->x[i]->dtype != t)
            return ot_fail(OT_ESHAPE, "input %d is %s, input 0 is %s", i, ot_dtype_name(c->x[i]->dtype),
                           ot_dtype_name(t));
        if (c->x[i]->rank == 1 && !ot_is_symbol(c->x[i]->dim[0]) && c->x[i]->dim[0] != 1)
            return ot_fail(OT_ESHAPE, "input %d has %lld elements", i, (long long)c->x[i]->dim[0]);
    }
    OT_TRY(ints ? of_ints(c, &dim) : of_floats(c, &dim));
    ot_set_shape(&c->y[0], t, 1, &dim);
    if (ints)
        int_values(c);
    return OT_OK;
}

static ot_status range_run(const ot_run *r)
{
    ot_tensor y = r->y[0];
    double from = ot_tensor_get(&r->x[0], 0), by = ot_tensor_get(&r->x[2], 0);
    int64_t n = ot_tensor_count(&y);
    if (ot_dtype_is_int(y.dtype)) {
        uint64_t first = (uint64_t)ot_tensor_get_int(&r->x[0], 0), step = (uint64_t)ot_tensor_get_int(&r->x[2], 0);
        for (int64_t i = 0; i < n; i++)
            ot_tensor_set_int(&y, i, (int64_t)(first + (uint64_t)i * step));
        return OT_OK;
    }
    for (int64_t i = 0; i < n; i++)
        ot_tensor_set(&y, i, from + (double)i * by);
    return OT_OK;
}

static void range_differentiate(ot_build *b)
{
    const ot_attr *flat = OT_ATTRS(OT_INT("keepdims", 0));
    ot_val dy = ot_dy(b, 0), start = ot_x(b, 0), delta = ot_x(b, 2);
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT(b, "ReshapeLike", OT_EMIT_WITH(b, "ReduceSum", flat, dy), start));
    if (ot_wants(b, 2)) {
        ot_val i = OT_EMIT(b, "Div", OT_EMIT(b, "Sub", ot_y(b, 0), start), delta);
        ot_val sum = OT_EMIT_WITH(b, "ReduceSum", flat, OT_EMIT(b, "Mul", dy, i));
        ot_give(b, 2, OT_EMIT(b, "ReshapeLike", sum, delta));
    }
}

static const ot_kernel range_kernels[] = { { .name = "loop", .run = range_run }, { 0 } };

const ot_op ot_op_Range = { .domain = "",
                            .name = "Range",
                            .since = 11,
                            .until = OT_LATEST,
                            .min_in = 3,
                            .max_in = 3,
                            .min_out = 1,
                            .max_out = 1,
                            .infer = range_infer,
                            .grad = range_differentiate,
                            .cpu = range_kernels };

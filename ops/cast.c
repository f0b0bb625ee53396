/* Cast and CastLike: (x[, like]) -> x in another element type.  Between floats it rounds to nearest, ties to even; from
 * floats to integers it cuts towards 0, saturates, and NaN gives 0; between integers it wraps; to bool it is x != 0.
 * Backward casts back. */
#include "run.h"

#include <string.h>

static const struct {
    const char *name;
    ot_dtype dtype;
} old_names[] = {
    /* of the string that `to` was at opset 1 */
    { "FLOAT", OT_FLOAT },     { "UINT8", OT_UINT8 },   { "INT8", OT_INT8 },     { "UINT16", OT_UINT16 },
    { "INT16", OT_INT16 },     { "INT32", OT_INT32 },   { "INT64", OT_INT64 },   { "STRING", OT_STRING },
    { "BOOL", OT_BOOL },       { "DOUBLE", OT_DOUBLE }, { "UINT32", OT_UINT32 }, { "UINT64", OT_UINT64 },
    { "FLOAT16", OT_FLOAT16 },
};

/* A type whose elements ot_tensor_set writes. */
static bool is_plain(ot_dtype t)
{
    return t == OT_BOOL || t == OT_FLOAT || t == OT_DOUBLE || t == OT_FLOAT16 || t == OT_BFLOAT16 ||
           (ot_dtype_is_int(t) && ot_dtype_bits(t) >= 8);
}

static ot_status cast_to(ot_infer *c, ot_dtype to)
{
    const ot_fact *x = c->x[0];
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    if (x->dtype != to && (!is_plain(x->dtype) || !is_plain(to)))
        return ot_fail(OT_EUNSUPPORTED, "a cast from %s to %s is not known", ot_dtype_name(x->dtype),
                       ot_dtype_name(to));
    ot_set_shape(&c->y[0], to, x->rank, x->dim);
    bool keeps = to == OT_INT64 || to == x->dtype;
    for (int i = 0; x->value && i < x->n_value && to == OT_INT32; i++)
        keeps = (i == 0 || keeps) && (ot_is_symbol(x->value[i]) || x->value[i] == (int32_t)x->value[i]);
    if (x->value && keeps) {
        c->y[0].value = x->value;
        c->y[0].n_value = x->n_value;
    }
    return OT_OK;
}

static ot_status cast_infer(ot_infer *c)
{
    const ot_attr *to = ot_attr_find(c->node, "to");
    if (!to || to->type != OT_ATTR_INT || (!ot_dtype_bits((ot_dtype)to->i) && to->i != OT_STRING))
        return ot_fail(OT_EMODEL, "'to' names no element type");
    return cast_to(c, (ot_dtype)to->i);
}

static ot_status cast_like_infer(ot_infer *c)
{
    return cast_to(c, c->x[1]->dtype);
}

static void cast_normalise(ot_build *b)
{
    const char *name = ot_attr_text(ot_the_node(b), "to", NULL);
    for (size_t i = 0; name && i < sizeof(old_names) / sizeof(old_names[0]); i++)
        if (strcmp(old_names[i].name, name) == 0)
            ot_becomes(b, 0, OT_EMIT_WITH(b, "Cast", OT_ATTRS(OT_INT("to", (int64_t)old_names[i].dtype)), ot_x(b, 0)));
}

#define WRAP(type, T)                                                                                                  \
    case type:                                                                                                         \
        for (int64_t i = from; i < to; i++)                                                                            \
            ((T *)y.data)[i] = (T)ot_tensor_get_int(x, i);                                                             \
        break;

static void cast_range(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const ot_tensor *x = &r->x[0];
    ot_tensor y = r->y[0];
    if (x->dtype == OT_FLOAT && y.dtype == OT_DOUBLE) {
        for (int64_t i = from; i < to; i++)
            ((double *)y.data)[i] = ((const float *)x->data)[i];
    } else if (x->dtype == OT_DOUBLE && y.dtype == OT_FLOAT) {
        for (int64_t i = from; i < to; i++)
            ((float *)y.data)[i] = (float)((const double *)x->data)[i];
    } else if (ot_dtype_is_float(x->dtype) || ot_dtype_is_float(y.dtype)) {
        for (int64_t i = from; i < to; i++)
            ot_tensor_set(&y, i, ot_tensor_get(x, i));
    } else {
        switch (y.dtype) {
            WRAP(OT_INT8, int8_t)
            WRAP(OT_INT16, int16_t)
            WRAP(OT_INT32, int32_t)
            WRAP(OT_INT64, int64_t)
            WRAP(OT_UINT8, uint8_t)
            WRAP(OT_UINT16, uint16_t)
            WRAP(OT_UINT32, uint32_t)
            WRAP(OT_UINT64, uint64_t)
        default: /* bool */
            for (int64_t i = from; i < to; i++)
                ((uint8_t *)y.data)[i] = ot_tensor_get_int(x, i) != 0;
            break;
        }
    }
}

static ot_status cast_run(const ot_run *r)
{
    if (r->x[0].dtype == r->y[0].dtype)
        memcpy(r->y[0].data, r->x[0].data, ot_tensor_bytes(&r->y[0]));
    else
        ot_for_ranges(r, ot_tensor_count(&r->y[0]), OT_GRAIN, cast_range, (void *)r);
    return OT_OK;
}

static void cast_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "CastLike", ot_dy(b, 0), ot_x(b, 0)));
}

static const ot_kernel cast_kernels[] = {
    { .name = "loop", .run = cast_run },
    { 0 },
};

const ot_op ot_op_Cast = { .domain = "",
                           .name = "Cast",
                           .since = 1,
                           .until = OT_LATEST,
                           .min_in = 1,
                           .max_in = 1,
                           .min_out = 1,
                           .max_out = 1,
                           .normalise = cast_normalise,
                           .infer = cast_infer,
                           .grad = cast_differentiate,
                           .cpu = cast_kernels,
                           .view = ot_view_same_dims };

const ot_op ot_op_CastLike = { .domain = "",
                               .name = "CastLike",
                               .since = 15,
                               .until = OT_LATEST,
                               .min_in = 2,
                               .max_in = 2,
                               .min_out = 1,
                               .max_out = 1,
                               .infer = cast_like_infer,
                               .grad = cast_differentiate,
                               .cpu = cast_kernels,
                               .view = ot_view_same_dims,
                               .shape_only = 1u << 1 };

/* Cast and CastLike: (x[, like]) -> x in another element type.  Between floats it rounds to nearest, ties to even,
 * once; to float8 types as `saturate` and `round_mode` say.  From floats to integers it cuts towards 0, saturates
 * (types under 8 bits wrap), and NaN gives 0; between integers it wraps; to bool it is x != 0.  Strings hold decimal
 * numbers. Backward casts back. BitCast: the same bits read as another type of the same width. */
#include "base/half.h"
#include "base/number.h"
#include "run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
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

static bool is_complex(ot_dtype t)
{
    return t == OT_COMPLEX64 || t == OT_COMPLEX128;
}

static ot_status rounding_of(ot_rounding *out, const ot_node *n)
{
    static const char *const modes[] = {
        [OT_ROUND_UP] = "up", [OT_ROUND_DOWN] = "down", [OT_ROUND_NEAREST] = "nearest"
    };
    const char *mode = ot_attr_text(n, "round_mode", "up");
    for (int i = 0; i < 3; i++)
        if (strcmp(mode, modes[i]) == 0) {
            *out = (ot_rounding)i;
            return OT_OK;
        }
    return ot_fail(OT_EMODEL, "round_mode '%s' is none of up, down, nearest", mode);
}

static ot_status cast_to(ot_infer *c, ot_dtype to)
{
    const ot_fact *x = c->x[0];
    ot_rounding rounding;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(rounding_of(&rounding, c->node));
    if (is_complex(x->dtype) || is_complex(to))
        return ot_fail(OT_ESHAPE, "a cast from %s to %s is not defined", ot_dtype_name(x->dtype), ot_dtype_name(to));
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

static ot_status find_type(ot_dtype *out, const ot_node *n)
{
    const ot_attr *to = ot_attr_find(n, "to");
    if (!to || to->type != OT_ATTR_INT || to->i < 0 || to->i > INT32_MAX ||
        (!ot_dtype_bits((ot_dtype)to->i) && to->i != OT_STRING))
        return ot_fail(OT_EMODEL, "'to' names no element type");
    *out = (ot_dtype)to->i;
    return OT_OK;
}

static ot_status cast_infer(ot_infer *c)
{
    ot_dtype to = OT_UNDEFINED;
    OT_TRY(find_type(&to, c->node));
    return cast_to(c, to);
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

/* ---- Between numbers ------------------------------------------------------------------------------------------------
 */

typedef struct casting {
    const ot_tensor *x;
    ot_tensor y;
    bool saturate;
    ot_rounding rounding;
} casting;

/* Element i for a type narrower than double: a 64-bit integer keeps 53 bits, the last of which is 1 when any below it
 * was (rounding to odd), so that it is rounded once. */
static double number_at(const ot_tensor *x, int64_t i)
{
    if (x->dtype != OT_INT64 && x->dtype != OT_UINT64)
        return ot_tensor_get(x, i);
    int64_t v = ot_tensor_get_int(x, i);
    bool minus = x->dtype == OT_INT64 && v < 0;
    uint64_t u = minus ? 0 - (uint64_t)v : (uint64_t)v;
    if (u >> 53)
        u = (u & ~UINT64_C(2047)) | (u & 2047 ? 2048 : 0);
    return minus ? -(double)u : (double)u;
}

static void put_real(casting *c, int64_t i, double v)
{
    ot_dtype t = c->y.dtype;
    int bits = ot_dtype_bits(t);
    if (t == OT_FLOAT8E8M0)
        ((uint8_t *)c->y.data)[i] = ot_double_to_e8m0(v, c->saturate, c->rounding);
    else if (ot_dtype_is_float(t) && bits == 8)
        ((uint8_t *)c->y.data)[i] = (uint8_t)ot_double_to_small(t, v, c->saturate);
    else if (ot_dtype_is_int(t) && bits < 8)
        ot_tensor_set_int(&c->y, i, fabs(v) < 0x1p62 ? (int64_t)v : 0); /* as ONNX's own cases have it: it wraps */
    else
        ot_tensor_set(&c->y, i, v);
}

#define TO_REAL(type, T)                                                                                               \
    case type:                                                                                                         \
        for (int64_t i = from; i < to; i++)                                                                            \
            y[i] = (float)((const T *)c->x->data)[i];                                                                  \
        return true;

/* The casts that models have in long tensors. */
static bool cast_fast(const casting *c, int64_t from, int64_t to)
{
    float *y = c->y.data;
    if (c->x->dtype == OT_FLOAT && c->y.dtype == OT_DOUBLE) {
        for (int64_t i = from; i < to; i++)
            ((double *)c->y.data)[i] = (double)((const float *)c->x->data)[i];
        return true;
    }
    if (c->y.dtype != OT_FLOAT)
        return false;
    switch (c->x->dtype) {
        TO_REAL(OT_DOUBLE, double)
        TO_REAL(OT_BOOL, uint8_t)
        TO_REAL(OT_UINT8, uint8_t)
        TO_REAL(OT_INT8, int8_t)
        TO_REAL(OT_INT32, int32_t)
        TO_REAL(OT_INT64, int64_t)
    default:
        return false;
    }
}

static void cast_range(void *ctx, int64_t from, int64_t to)
{
    casting *c = ctx;
    bool real = ot_dtype_is_float(c->x->dtype);
    if (cast_fast(c, from, to))
        return;
    for (int64_t i = from; i < to; i++)
        if (c->y.dtype == OT_DOUBLE)
            ((double *)c->y.data)[i] = ot_tensor_get(c->x, i);
        else if (real || ot_dtype_is_float(c->y.dtype))
            put_real(c, i, number_at(c->x, i));
        else if (c->y.dtype == OT_BOOL)
            ((uint8_t *)c->y.data)[i] = ot_tensor_get_int(c->x, i) != 0;
        else
            ot_tensor_set_int(&c->y, i, ot_tensor_get_int(c->x, i));
}

/* ---- Strings --------------------------------------------------------------------------------------------------------
 */

/* All n bytes as a decimal integer that 64 bits hold, two's complement where there is a minus. */
static bool read_integer(uint64_t *out, const char *p, size_t n)
{
    uint64_t v = 0;
    size_t i = n && (p[0] == '-' || p[0] == '+');
    if (i == n)
        return false;
    for (; i < n; i++)
        if (p[i] < '0' || p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(p[i] - '0'), &v))
            return false;
    *out = p[0] == '-' ? 0 - v : v;
    return p[0] != '-' || v <= (uint64_t)1 << 63;
}

static bool read_bool(double *out, const ot_str *s)
{
    static const char *const words[] = { "False", "false", "FALSE", "True", "true", "TRUE" };
    for (int i = 0; i < 6; i++)
        if (s->n == strlen(words[i]) && memcmp(s->bytes, words[i], s->n) == 0) {
            *out = i >= 3;
            return true;
        }
    return false;
}

static ot_status cast_from_string(casting *c)
{
    bool to_bool = c->y.dtype == OT_BOOL, to_int = ot_dtype_is_int(c->y.dtype);
    for (int64_t i = 0, n = ot_tensor_count(&c->y); i < n; i++) {
        const ot_str *s = (const ot_str *)c->x->data + i;
        uint64_t whole;
        double v;
        if (to_int && read_integer(&whole, s->bytes, s->n))
            ot_tensor_set_int(&c->y, i, (int64_t)whole);
        else if ((to_bool && read_bool(&v, s)) || ot_number_read(&v, s->bytes, s->n))
            put_real(c, i, v);
        else
            return ot_fail(OT_EDATA, "element %lld, '%.*s', is no number", (long long)i, (int)(s->n < 40 ? s->n : 40),
                           s->n ? s->bytes : "");
    }
    return OT_OK;
}

typedef struct writing {
    const ot_run *r;
    char *text; /* of all elements, OT_NUMBER_TEXT bytes each */
} writing;

static void string_range(void *ctx, int64_t from, int64_t to)
{
    const writing *w = ctx;
    const ot_tensor *x = &w->r->x[0];
    for (int64_t i = from; i < to; i++) {
        char *text = w->text + i * OT_NUMBER_TEXT;
        int n = x->dtype == OT_BOOL ? snprintf(text, OT_NUMBER_TEXT, ot_tensor_get_int(x, i) ? "True" : "False")
                : ot_dtype_is_float(x->dtype) ? ot_number_text(text, ot_tensor_get(x, i), x->dtype)
                : x->dtype == OT_UINT64 ? snprintf(text, OT_NUMBER_TEXT, "%" PRIu64, ((const uint64_t *)x->data)[i])
                                        : snprintf(text, OT_NUMBER_TEXT, "%" PRId64, ot_tensor_get_int(x, i));
        ((ot_str *)w->r->y[0].data)[i] = (ot_str){ text, (size_t)n };
    }
}

static ot_status cast_to_string(const ot_run *r)
{
    int64_t n = ot_tensor_count(&r->y[0]);
    writing w = { r, ot_arena_calloc(r->text, (size_t)n + 1, OT_NUMBER_TEXT) };
    if (!w.text)
        return OT_ENOMEM;
    ot_for_ranges(r, n, OT_GRAIN, string_range, &w);
    return OT_OK;
}

static ot_status cast_run(const ot_run *r)
{
    casting c = { .x = &r->x[0], .y = r->y[0], .saturate = ot_attr_int(r->node, "saturate", 1) != 0 };
    if (c.x->dtype == c.y.dtype) {
        memcpy(c.y.data, c.x->data, ot_tensor_bytes(&c.y));
        return OT_OK;
    }
    OT_TRY(rounding_of(&c.rounding, r->node));
    if (c.x->dtype == OT_STRING)
        return cast_from_string(&c);
    if (c.y.dtype == OT_STRING)
        return cast_to_string(r);
    ot_for_ranges(r, ot_tensor_count(&c.y), OT_GRAIN, cast_range, &c);
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

/* ---- BitCast --------------------------------------------------------------------------------------------------------
 */

static ot_status bit_cast_infer(ot_infer *c)
{
    ot_dtype to = OT_UNDEFINED, from = c->x[0]->dtype;
    OT_TRY(find_type(&to, c->node));
    if (ot_dtype_bits(from) != ot_dtype_bits(to) || to == OT_STRING)
        return ot_fail(OT_ESHAPE, "%s (%d bits) cannot be read as %s (%d bits)", ot_dtype_name(from),
                       ot_dtype_bits(from), ot_dtype_name(to), ot_dtype_bits(to));
    OT_TRY(ot_same_shape(c));
    c->y[0].dtype = to;
    return OT_OK;
}

static ot_status bit_cast_run(const ot_run *r)
{
    memcpy(r->y[0].data, r->x[0].data, ot_tensor_bytes(&r->y[0]));
    return OT_OK;
}

static const ot_kernel bit_cast_kernels[] = {
    { .name = "copy", .run = bit_cast_run },
    { 0 },
};

const ot_op ot_op_BitCast = { .domain = "",
                              .name = "BitCast",
                              .since = 26,
                              .until = OT_LATEST,
                              .min_in = 1,
                              .max_in = 1,
                              .min_out = 1,
                              .max_out = 1,
                              .infer = bit_cast_infer,
                              .cpu = bit_cast_kernels,
                              .view = ot_view_always };

/* Comparisons and logic of two tensors under numpy's broadcasting, to bool; Not, IsNaN, IsInf of one.  No gradient. */
#include "broadcast.h"

#include <math.h>
#include <string.h>

#define COMPARE(name, op)                                                                                              \
    OT_PAIR(name##_f32, float, uint8_t, x op z)                                                                        \
    OT_PAIR(name##_f64, double, uint8_t, x op z)                                                                       \
    OT_PAIR(name##_i8, int8_t, uint8_t, x op z)                                                                        \
    OT_PAIR(name##_i16, int16_t, uint8_t, x op z)                                                                      \
    OT_PAIR(name##_i32, int32_t, uint8_t, x op z)                                                                      \
    OT_PAIR(name##_i64, int64_t, uint8_t, x op z)                                                                      \
    OT_PAIR(name##_u8, uint8_t, uint8_t, x op z)                                                                       \
    OT_PAIR(name##_u16, uint16_t, uint8_t, x op z)                                                                     \
    OT_PAIR(name##_u32, uint32_t, uint8_t, x op z)                                                                     \
    OT_PAIR(name##_u64, uint64_t, uint8_t, x op z)
#define ROWS(name)                                                                                                     \
    [OT_FLOAT] = name##_f32, [OT_DOUBLE] = name##_f64, [OT_INT8] = name##_i8, [OT_INT16] = name##_i16,                 \
    [OT_INT32] = name##_i32, [OT_INT64] = name##_i64, [OT_UINT8] = name##_u8, [OT_UINT16] = name##_u16,                \
    [OT_UINT32] = name##_u32, [OT_UINT64] = name##_u64

COMPARE(equal, ==)
COMPARE(less, <)
COMPARE(greater, >)
COMPARE(less_equal, <=)
COMPARE(greater_equal, >=)
OT_PAIR(equal_bool, uint8_t, uint8_t, !x == !z)
OT_PAIR(and_bool, uint8_t, uint8_t, x &&z)
OT_PAIR(or_bool, uint8_t, uint8_t, x || z)
OT_PAIR(xor_bool, uint8_t, uint8_t, !x != !z)

static void equal_string(int64_t n, const void *a, int64_t sa, const void *b, int64_t sb, void *y)
{
    for (int64_t i = 0; i < n; i++) {
        const ot_str *p = (const ot_str *)a + i * sa, *q = (const ot_str *)b + i * sb;
        ((uint8_t *)y)[i] = p->n == q->n && (p->n == 0 || memcmp(p->bytes, q->bytes, p->n) == 0);
    }
}

static const struct {
    const char *name;
    ot_pair_row *row[OT_BFLOAT16];
} families[] = {
    { "And", { [OT_BOOL] = and_bool } },
    { "Equal", { ROWS(equal), [OT_BOOL] = equal_bool, [OT_STRING] = equal_string } },
    { "Greater", { ROWS(greater) } },
    { "GreaterOrEqual", { ROWS(greater_equal) } },
    { "Less", { ROWS(less) } },
    { "LessOrEqual", { ROWS(less_equal) } },
    { "Or", { [OT_BOOL] = or_bool } },
    { "Xor", { [OT_BOOL] = xor_bool } },
};

static ot_pair_row *row_of(const ot_node *n, ot_dtype t)
{
    for (size_t i = 0; t < OT_BFLOAT16 && i < sizeof(families) / sizeof(families[0]); i++)
        if (strcmp(families[i].name, n->op->name) == 0)
            return families[i].row[t];
    return NULL;
}

/* Whether two known elements compare so, where that can be said: a dimension is never negative. */
static bool decide(const char *name, ot_dim p, ot_dim q, bool *yes)
{
    bool open = ot_is_symbol(p) || ot_is_symbol(q);
    if (p == OT_CLAMPED || q == OT_CLAMPED)
        return false;
    bool apart = (ot_is_symbol(p) && !ot_is_symbol(q) && q < 0) || (ot_is_symbol(q) && !ot_is_symbol(p) && p < 0);
    if (strcmp(name, "Equal") == 0) {
        *yes = p == q;
        return p == q || apart || !open;
    }
    if (open)
        return false;
    *yes = strcmp(name, "And") == 0           ? p && q
           : strcmp(name, "Or") == 0          ? p || q
           : strcmp(name, "Xor") == 0         ? !p != !q
           : strcmp(name, "Less") == 0        ? p < q
           : strcmp(name, "LessOrEqual") == 0 ? p <= q
           : strcmp(name, "Greater") == 0     ? p > q
                                              : p >= q;
    return true;
}

static void carry_value(ot_infer *c)
{
    const ot_fact *a = c->x[0], *b = c->x[1];
    if (!a->value || !b->value || a->rank > 1 || b->rank > 1 || a->dtype == OT_UINT64)
        return;
    int n = a->n_value == 1 ? b->n_value : a->n_value;
    ot_dim *v = ot_value_alloc(c, n);
    for (int i = 0; v && i < n; i++) {
        bool yes;
        if (!decide(c->node->op->name, a->value[a->n_value == 1 ? 0 : i], b->value[b->n_value == 1 ? 0 : i], &yes))
            return;
        v[i] = yes;
    }
    c->y[0].value = v;
    c->y[0].n_value = v ? n : 0;
}

static ot_status compare_infer(ot_infer *c)
{
    OT_TRY(ot_broadcast_shape(c));
    ot_dtype t = c->x[0]->dtype;
    if (!row_of(c->node, t == OT_FLOAT16 || t == OT_BFLOAT16 ? OT_FLOAT : t))
        return ot_fail(OT_ESHAPE, "not defined for %s", ot_dtype_name(t));
    c->y[0].dtype = OT_BOOL;
    carry_value(c);
    return OT_OK;
}

static const char *rows_decline(const ot_prep *p)
{
    return row_of(p->node, p->x[0]->dtype) ? NULL : "no rows of this element type";
}

static ot_status rows_run(const ot_run *r)
{
    ot_for_pairs(r, row_of(r->node, r->x[0].dtype));
    return OT_OK;
}

static const ot_kernel compare_kernels[] = {
    { .name = "rows", .declines = rows_decline, .run = rows_run },
    { .name = "reference", .run = rows_run, .in_double = true },
    { 0 },
};

/* ---- Not, IsNaN, IsInf ----------------------------------------------------------------------------------------------
 */

static ot_status not_infer(ot_infer *c)
{
    if (c->x[0]->dtype != OT_BOOL)
        return ot_fail(OT_ESHAPE, "input 0 is %s, wanted is bool", ot_dtype_name(c->x[0]->dtype));
    OT_TRY(ot_same_shape(c));
    const ot_fact *x = c->x[0];
    ot_dim *v = x->value ? ot_value_alloc(c, x->n_value) : NULL;
    for (int i = 0; v && i < x->n_value; i++)
        v[i] = !x->value[i];
    c->y[0].value = v;
    c->y[0].n_value = v ? x->n_value : 0;
    return OT_OK;
}

static ot_status not_run(const ot_run *r)
{
    for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++)
        ((uint8_t *)r->y[0].data)[i] = !((const uint8_t *)r->x[0].data)[i];
    return OT_OK;
}

static ot_status is_infer(ot_infer *c)
{
    if (!ot_dtype_is_float(c->x[0]->dtype))
        return ot_fail(OT_ESHAPE, "input 0 is %s, wanted is a floating type", ot_dtype_name(c->x[0]->dtype));
    OT_TRY(ot_same_shape(c));
    c->y[0].dtype = OT_BOOL;
    return OT_OK;
}

static ot_status is_nan_run(const ot_run *r)
{
    for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++)
        ((uint8_t *)r->y[0].data)[i] = isnan(((const double *)r->x[0].data)[i]) != 0;
    return OT_OK;
}

static ot_status is_inf_run(const ot_run *r)
{
    bool above = ot_attr_int(r->node, "detect_positive", 1) != 0,
         below = ot_attr_int(r->node, "detect_negative", 1) != 0;
    for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++) {
        double v = ((const double *)r->x[0].data)[i];
        ((uint8_t *)r->y[0].data)[i] = isinf(v) && (v > 0 ? above : below);
    }
    return OT_OK;
}

static const ot_kernel not_kernels[] = { { .name = "loop", .run = not_run }, { 0 } };
static const ot_kernel is_nan_kernels[] = { { .name = "reference", .run = is_nan_run, .in_double = true }, { 0 } };
static const ot_kernel is_inf_kernels[] = { { .name = "reference", .run = is_inf_run, .in_double = true }, { 0 } };

#define TO_BOOL(id, first, inputs, rewrite, rule, kernels)                                                             \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = first,                                                                         \
                               .until = OT_LATEST,                                                                     \
                               .min_in = inputs,                                                                       \
                               .max_in = inputs,                                                                       \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .normalise = rewrite,                                                                   \
                               .infer = rule,                                                                          \
                               .grad = ot_grad_none,                                                                   \
                               .cpu = kernels };

TO_BOOL(And, 1, 2, ot_old_broadcast, compare_infer, compare_kernels)
TO_BOOL(Equal, 1, 2, ot_old_broadcast, compare_infer, compare_kernels)
TO_BOOL(Greater, 1, 2, ot_old_broadcast, compare_infer, compare_kernels)
TO_BOOL(GreaterOrEqual, 12, 2, NULL, compare_infer, compare_kernels)
TO_BOOL(IsInf, 10, 1, NULL, is_infer, is_inf_kernels)
TO_BOOL(IsNaN, 9, 1, NULL, is_infer, is_nan_kernels)
TO_BOOL(Less, 1, 2, ot_old_broadcast, compare_infer, compare_kernels)
TO_BOOL(LessOrEqual, 12, 2, NULL, compare_infer, compare_kernels)
TO_BOOL(Not, 1, 1, NULL, not_infer, not_kernels)
TO_BOOL(Or, 1, 2, ot_old_broadcast, compare_infer, compare_kernels)
TO_BOOL(Xor, 1, 2, ot_old_broadcast, compare_infer, compare_kernels)

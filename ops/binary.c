/* Add, Sub, Mul, Div, Min, Max, Mod, and what their gradients and Pow's are made of: two tensors, element by element,
 * under numpy's broadcasting; the driver of gradients sums back what was broadcast.  Signed integers wrap, integer
 * division cuts towards 0, a division by an integer 0 gives 0.
 * Backward keeps nothing for Add and Sub, both inputs for Mul, Min and Max, the divisor and y for Div. */
#include "broadcast.h"
#include "kernels/rows.h"

#include <math.h>
#include <string.h>

typedef struct family {
    const char *name;
    ot_pair_row *row[OT_BFLOAT16]; /* by element type */
} family;

#define U(v) ((uint64_t)(v))
#define SIGNED(name, expr)                                                                                             \
    OT_PAIR(name##_i8, int8_t, int8_t, expr)                                                                           \
    OT_PAIR(name##_i16, int16_t, int16_t, expr)                                                                        \
    OT_PAIR(name##_i32, int32_t, int32_t, expr)                                                                        \
    OT_PAIR(name##_i64, int64_t, int64_t, expr)
#define UNSIGNED(name, expr)                                                                                           \
    OT_PAIR(name##_u8, uint8_t, uint8_t, expr)                                                                         \
    OT_PAIR(name##_u16, uint16_t, uint16_t, expr)                                                                      \
    OT_PAIR(name##_u32, uint32_t, uint32_t, expr)                                                                      \
    OT_PAIR(name##_u64, uint64_t, uint64_t, expr)
#define INTS(name, expr) SIGNED(name, expr) UNSIGNED(name, expr)
#define REALS(name, expr)                                                                                              \
    OT_PAIR(name##_f32, float, float, expr)                                                                            \
    OT_PAIR(name##_f64, double, double, expr)
#define REAL_ROWS(name) [OT_FLOAT] = name##_f32, [OT_DOUBLE] = name##_f64
#define SIGNED_ROWS(name)                                                                                              \
    [OT_INT8] = name##_i8, [OT_INT16] = name##_i16, [OT_INT32] = name##_i32, [OT_INT64] = name##_i64
#define UNSIGNED_ROWS(name)                                                                                            \
    [OT_UINT8] = name##_u8, [OT_UINT16] = name##_u16, [OT_UINT32] = name##_u32, [OT_UINT64] = name##_u64
#define INT_ROWS(name) SIGNED_ROWS(name), UNSIGNED_ROWS(name)

#define NEGATE(v) (0 - U(v))
REALS(add, x + z)
INTS(add, U(x) + U(z))
REALS(sub, x - z)
INTS(sub, U(x) - U(z))
REALS(mul, x *z)
INTS(mul, U(x) * U(z))
REALS(div, x / z)
SIGNED(div, z == 0 ? 0 : z == -1 ? NEGATE(x) : U(x / z))
UNSIGNED(div, z == 0 ? 0 : x / z)
REALS(max, x > z || x != x ? x : z)
INTS(max, x > z ? x : z)
REALS(min, x < z || x != x ? x : z)
INTS(min, x < z ? x : z)
REALS(fmod, fmod(x, z))
/* C's remainder, and Python's: of the divisor's sign. */
#define CUT_MOD(x, z) (z == 0 || z == -1 ? 0 : x % z)
SIGNED(fmod, CUT_MOD(x, z))
SIGNED(mod, CUT_MOD(x, z) != 0 && (CUT_MOD(x, z) < 0) != (z < 0) ? CUT_MOD(x, z) + z : CUT_MOD(x, z))
UNSIGNED(mod, z == 0 ? 0 : x % z)
REALS(share, x > z ? 1 : x == z ? 0.5 : 0)
REALS(pow_dx, z == 0 ? 0 : z * pow(x, z - 1))
REALS(pow_dz, x == 0 && z >= 0 ? 0 : pow(x, z) * log(x))

REALS(prelu, x < 0 ? z * x : x)
SIGNED(prelu, x < 0 ? U(x) * U(z) : U(x))
UNSIGNED(prelu, ((void)z, x))
REALS(prelu_dx, x < 0 ? z : 1)

static void add_fast(int64_t n, const void *a, int64_t sa, const void *b, int64_t sb, void *y)
{
    if (sa == 1 && sb == 1)
        ot_row_add(n, a, b, y);
    else
        add_f32(n, a, sa, b, sb, y);
}

static void sub_fast(int64_t n, const void *a, int64_t sa, const void *b, int64_t sb, void *y)
{
    if (sa == 1 && sb == 1)
        ot_row_sub(n, a, b, y);
    else
        sub_f32(n, a, sa, b, sb, y);
}

static void mul_fast(int64_t n, const void *a, int64_t sa, const void *b, int64_t sb, void *y)
{
    if (sa == 1 && sb == 1)
        ot_row_mul(n, a, b, y);
    else
        mul_f32(n, a, sa, b, sb, y);
}

static const family families[] = {
    { "Add", { [OT_FLOAT] = add_fast, [OT_DOUBLE] = add_f64, INT_ROWS(add) } },
    { "Sub", { [OT_FLOAT] = sub_fast, [OT_DOUBLE] = sub_f64, INT_ROWS(sub) } },
    { "Mul", { [OT_FLOAT] = mul_fast, [OT_DOUBLE] = mul_f64, INT_ROWS(mul) } },
    { "Div", { REAL_ROWS(div), INT_ROWS(div) } },
    { "Max", { REAL_ROWS(max), INT_ROWS(max) } },
    { "Min", { REAL_ROWS(min), INT_ROWS(min) } },
    { "Mod", { REAL_ROWS(fmod), SIGNED_ROWS(mod), UNSIGNED_ROWS(mod) } },
    { "Share", { REAL_ROWS(share) } },
    { "PowDx", { REAL_ROWS(pow_dx) } },
    { "PowDz", { REAL_ROWS(pow_dz) } },
    { "PRelu", { REAL_ROWS(prelu), INT_ROWS(prelu) } },
    { "PReluDx", { REAL_ROWS(prelu_dx) } },
};
static const family truncating_mod = { "Mod", { REAL_ROWS(fmod), SIGNED_ROWS(fmod), UNSIGNED_ROWS(mod) } };

static ot_pair_row *row_of(const ot_node *n, ot_dtype t)
{
    if (t >= OT_BFLOAT16)
        return NULL;
    if (strcmp(n->op->name, "Mod") == 0 && ot_attr_int(n, "fmod", 0))
        return truncating_mod.row[t];
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (strcmp(families[i].name, n->op->name) == 0)
            return families[i].row[t];
    return NULL;
}

/* ---- Shape rule ----------------------------------------------------------------------------------------------------
 */

static bool combine(ot_infer *c, char op, ot_dim a, ot_dim b, ot_dim *out)
{
    bool numbers = !ot_is_symbol(a) && !ot_is_symbol(b);
    if (a == OT_CLAMPED || b == OT_CLAMPED)
        return false;
    switch (op) {
    case 'A':
        *out = ot_dim_add(c, a, b);
        return true;
    case 'S':
        *out = ot_dim_sub(c, a, b);
        return true;
    case 'M':
        *out = ot_dim_mul(c, a, b);
        return true;
    case 'D':
        if (b == 0)
            return false;
        *out = numbers ? a / b : ot_dim_div(c, a, b);
        return true;
    case 'm': /* of numbers that are not negative, where both kinds of remainder agree */
        if (!numbers || a < 0 || b <= 0)
            return false;
        *out = a % b;
        return true;
    case 'x':
        *out = a == b ? a : numbers ? (a > b ? a : b) : ot_dim_unknown(c);
        return true;
    case 'n':
        *out = a == b ? a : numbers ? (a < b ? a : b) : ot_dim_unknown(c);
        return true;
    default:
        return false;
    }
}

/* Small integers that stand for shapes are computed while shapes are. */
static void carry_value(ot_infer *c)
{
    static const char *const names[] = { "Add", "Sub", "Mul", "Div", "Max", "Min", "Mod" };
    const ot_fact *a = c->x[0], *b = c->x[1];
    char op = 0;
    for (int i = 0; i < 7; i++)
        if (strcmp(names[i], c->node->op->name) == 0)
            op = "ASMDxnm"[i];
    if (!op || !a->value || !b->value || (a->dtype != OT_INT64 && a->dtype != OT_INT32) || a->rank > 1 || b->rank > 1)
        return;
    int n = a->n_value == 1 ? b->n_value : a->n_value;
    ot_dim *v = ot_value_alloc(c, n);
    for (int i = 0; v && i < n; i++) {
        if (!combine(c, op, a->value[a->n_value == 1 ? 0 : i], b->value[b->n_value == 1 ? 0 : i], &v[i]))
            return;
        if (a->dtype == OT_INT32 && !ot_is_symbol(v[i]) && v[i] != (int32_t)v[i])
            return;
    }
    c->y[0].value = v;
    c->y[0].n_value = v ? n : 0;
}

static ot_status binary_infer(ot_infer *c)
{
    if (c->n_in != 2)
        return ot_fail(OT_EUNSUPPORTED, "%d inputs where two are computed at a time", c->n_in);
    OT_TRY(ot_broadcast_shape(c));
    ot_dtype t = c->x[0]->dtype;
    bool half = t == OT_FLOAT16 || t == OT_BFLOAT16;
    if (!row_of(c->node, half ? OT_FLOAT : t))
        return ot_fail(OT_ESHAPE, "not defined for %s", ot_dtype_name(t));
    if (strcmp(c->node->op->name, "Mod") == 0 && ot_dtype_is_float(t) && !ot_attr_int(c->node, "fmod", 0))
        return ot_fail(OT_EMODEL, "fmod must be 1 for %s", ot_dtype_name(t));
    carry_value(c);
    return OT_OK;
}

/* ---- Kernels -------------------------------------------------------------------------------------------------------
 */

static const char *rows_decline(const ot_prep *p)
{
    return row_of(p->node, p->x[0]->dtype) ? NULL : "no rows of this element type";
}

static ot_status rows_run(const ot_run *r)
{
    ot_for_pairs(r, row_of(r->node, r->x[0].dtype));
    return OT_OK;
}

static void pair_elements(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const int64_t sa = ot_tensor_count(&r->x[0]) == 1 ? 0 : 1, sb = ot_tensor_count(&r->x[1]) == 1 ? 0 : 1;
    row_of(r->node, OT_FLOAT)(to - from, (const float *)r->x[0].data + sa * from, sa,
                              (const float *)r->x[1].data + sb * from, sb, (float *)r->y[0].data + from);
}

static const char *reference_declines(const ot_prep *p)
{
    return ot_dtype_is_float(p->x[0]->dtype) ? NULL : "integers are computed as they are";
}

static ot_status reference_run(const ot_run *r)
{
    int64_t sa[OT_MAX_RANK], sb[OT_MAX_RANK];
    const ot_tensor *y = &r->y[0];
    ot_pair_row *row = row_of(r->node, OT_DOUBLE);
    ot_broadcast_strides(sa, &r->x[0], y);
    ot_broadcast_strides(sb, &r->x[1], y);
    for (int64_t i = 0, n = ot_tensor_count(y); i < n; i++) {
        int64_t a = 0, b = 0, rest = i;
        for (int d = y->rank - 1; d >= 0; d--) {
            a += rest % y->dim[d] * sa[d];
            b += rest % y->dim[d] * sb[d];
            rest /= y->dim[d];
        }
        row(1, (const double *)r->x[0].data + a, 0, (const double *)r->x[1].data + b, 0, (double *)y->data + i);
    }
    return OT_OK;
}

static const ot_kernel binary_kernels[] = {
    { .name = "rows", .declines = rows_decline, .run = rows_run, .elements = pair_elements },
    { .name = "reference", .declines = reference_declines, .run = reference_run, .in_double = true },
    { 0 },
};

/* ---- Gradients -----------------------------------------------------------------------------------------------------
 */

static void add_differentiate(ot_build *b)
{
    ot_give(b, 0, ot_dy(b, 0));
    ot_give(b, 1, ot_dy(b, 0));
}

static void sub_differentiate(ot_build *b)
{
    ot_give(b, 0, ot_dy(b, 0));
    if (ot_wants(b, 1))
        ot_give(b, 1, OT_EMIT(b, "Neg", ot_dy(b, 0)));
}

static void mul_differentiate(ot_build *b)
{
    for (int i = 0; i < 2; i++)
        if (ot_wants(b, i))
            ot_give(b, i, OT_EMIT(b, "Mul", ot_dy(b, 0), ot_x(b, 1 - i)));
}

static void div_differentiate(ot_build *b) /* d(a/b)/db = -y/b */
{
    ot_val q = OT_EMIT(b, "Div", ot_dy(b, 0), ot_x(b, 1));
    ot_give(b, 0, q);
    if (ot_wants(b, 1))
        ot_give(b, 1, OT_EMIT(b, "Neg", OT_EMIT(b, "Mul", q, ot_y(b, 0))));
}

/* Share(a, b): 1 where a wins, 1/2 where they are equal, as in PyTorch. */
static void max_differentiate(ot_build *b)
{
    for (int i = 0; i < 2; i++)
        if (ot_wants(b, i))
            ot_give(b, i, OT_EMIT(b, "Mul", ot_dy(b, 0), OT_EMIT(b, "Share", ot_x(b, i), ot_x(b, 1 - i))));
}

static void min_differentiate(ot_build *b)
{
    for (int i = 0; i < 2; i++)
        if (ot_wants(b, i))
            ot_give(b, i, OT_EMIT(b, "Mul", ot_dy(b, 0), OT_EMIT(b, "Share", ot_x(b, 1 - i), ot_x(b, i))));
}

static void prelu_differentiate(ot_build *b)
{
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT(b, "Mul", ot_dy(b, 0), OT_EMIT(b, "PReluDx", ot_x(b, 0), ot_x(b, 1))));
    if (ot_wants(b, 1)) { /* dslope = dy * min(x, 0) */
        ot_val below = OT_EMIT(b, "Neg", OT_EMIT(b, "Relu", OT_EMIT(b, "Neg", ot_x(b, 0))));
        ot_give(b, 1, OT_EMIT(b, "Mul", ot_dy(b, 0), below));
    }
}

/* Before opset 7 a slope of rank 1 was one for each channel. */
static void prelu_normalise(ot_build *b)
{
    int rank = ot_fact_of(b, ot_x(b, 0))->rank;
    const ot_fact *slope = ot_fact_of(b, ot_x(b, 1));
    int64_t trail[OT_MAX_RANK];
    if (ot_the_node(b)->opset >= 7 || slope->rank != 1 || rank < 3 || slope->dim[0] == 1)
        return;
    for (int i = 0; i < rank - 2; i++)
        trail[i] = i + 1;
    ot_val v = OT_EMIT(b, "Unsqueeze", ot_x(b, 1), ot_const_ints(b, rank - 2, trail));
    ot_becomes(b, 0, OT_EMIT(b, "PRelu", ot_x(b, 0), v));
}

/* ---- Variadic forms ------------------------------------------------------------------------------------------------
 */

/* The inputs joined two at a time by `op`, in order. */
static ot_val chain(ot_build *b, const char *op)
{
    ot_val v = ot_x(b, 0);
    for (int i = 1; i < ot_the_node(b)->n_in; i++)
        v = OT_EMIT(b, op, v, ot_x(b, i));
    return ot_the_node(b)->n_in == 1 ? OT_EMIT(b, "Identity", v) : v;
}

static void extremum_normalise(ot_build *b)
{
    if (ot_the_node(b)->n_in != 2)
        ot_becomes(b, 0, chain(b, ot_the_node(b)->op->name));
}

static void sum_normalise(ot_build *b)
{
    ot_becomes(b, 0, chain(b, "Add"));
}

static void mean_normalise(ot_build *b)
{
    int n = ot_the_node(b)->n_in;
    ot_val sum = chain(b, "Add");
    ot_dtype t = ot_fact_of(b, sum)->dtype;
    ot_becomes(b, 0, n == 1 ? sum : OT_EMIT(b, "Div", sum, ot_const_scalar(b, t, n)));
}

/* ---- Registration --------------------------------------------------------------------------------------------------
 */

#define BINARY(id, rewrite, differentiate)                                                                             \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = 1,                                                                             \
                               .until = OT_LATEST,                                                                     \
                               .min_in = 2,                                                                            \
                               .max_in = 2,                                                                            \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .normalise = rewrite,                                                                   \
                               .infer = binary_infer,                                                                  \
                               .grad = differentiate,                                                                  \
                               .cpu = binary_kernels,                                                                  \
                               .in_place = 3 };
#define VARIADIC(id, rewrite, differentiate, kernels)                                                                  \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = 1,                                                                             \
                               .until = OT_LATEST,                                                                     \
                               .min_in = 1,                                                                            \
                               .max_in = OT_MANY,                                                                      \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .normalise = rewrite,                                                                   \
                               .infer = binary_infer,                                                                  \
                               .grad = differentiate,                                                                  \
                               .cpu = kernels,                                                                         \
                               .in_place = 3 };
#define INTERNAL(id)                                                                                                   \
    const ot_op ot_op_##id = { .domain = OT_INTERNAL,                                                                  \
                               .name = #id,                                                                            \
                               .since = 1,                                                                             \
                               .until = 1,                                                                             \
                               .min_in = 2,                                                                            \
                               .max_in = 2,                                                                            \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .infer = binary_infer,                                                                  \
                               .cpu = binary_kernels,                                                                  \
                               .in_place = 3 };

BINARY(Add, ot_old_broadcast, add_differentiate)
BINARY(Sub, ot_old_broadcast, sub_differentiate)
BINARY(Mul, ot_old_broadcast, mul_differentiate)
BINARY(Div, ot_old_broadcast, div_differentiate)
BINARY(Mod, NULL, NULL)
BINARY(PRelu, prelu_normalise, prelu_differentiate)
VARIADIC(Max, extremum_normalise, max_differentiate, binary_kernels)
VARIADIC(Min, extremum_normalise, min_differentiate, binary_kernels)
VARIADIC(Sum, sum_normalise, NULL, NULL)
VARIADIC(Mean, mean_normalise, NULL, NULL)
INTERNAL(Share)
INTERNAL(PowDx)
INTERNAL(PowDz)
INTERNAL(PReluDx)

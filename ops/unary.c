/* Functions of one tensor, element by element: a row of the table holds f, its derivative and the defaults of its
 * attributes.  The gradient is UnaryGrad: (dy, v) -> dy * f'(v), where v is x or, where the derivative is cheaper from
 * it, y; only that one is kept. */
#include "kernels/rows.h"
#include "run.h"

#include <math.h>
#include <string.h>

typedef double scalar_fn(double v, double a, double b);
typedef void row_fn(int64_t n, const float *x, float a, float b, float *y);
typedef void grad_row_fn(int64_t n, const float *dy, const float *v, float a, float b, float *dx);

typedef struct function {
    const char *name;
    scalar_fn *f, *d; /* d: the derivative; NULL: 0 everywhere */
    bool reads_y;     /* d takes y */
    row_fn *row;      /* float32 rows, where they are faster than f */
    grad_row_fn *grad_row;
    const char *key[2]; /* attributes a and b */
    double otherwise[2];
} function;

#define F(id, expr)                                                                                                    \
    static double id##_f(double x, double a, double b)                                                                 \
    {                                                                                                                  \
        (void)a, (void)b;                                                                                              \
        return expr;                                                                                                   \
    }
#define D(id, v, expr)                                                                                                 \
    static double id##_d(double v, double a, double b)                                                                 \
    {                                                                                                                  \
        (void)a, (void)b, (void)v;                                                                                     \
        return expr;                                                                                                   \
    }
/* The same in float32, in loops that compilers turn into vectors. */
#define ROW(id, expr)                                                                                                  \
    static void id##_row(int64_t n, const float *x_, float a, float b, float *y)                                       \
    {                                                                                                                  \
        (void)a, (void)b;                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            float x = x_[i];                                                                                           \
            y[i] = expr;                                                                                               \
        }                                                                                                              \
    }
#define GRAD_ROW(id, v, expr)                                                                                          \
    static void id##_grad_row(int64_t n, const float *dy, const float *v_, float a, float b, float *dx)                \
    {                                                                                                                  \
        (void)a, (void)b;                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            float v = v_[i];                                                                                           \
            dx[i] = dy[i] * (expr);                                                                                    \
        }                                                                                                              \
    }
#define CALL_ROW(id, kernel)                                                                                           \
    static void id##_row(int64_t n, const float *x, float a, float b, float *y)                                        \
    {                                                                                                                  \
        (void)a, (void)b;                                                                                              \
        kernel(n, x, y);                                                                                               \
    }

static double sigmoid_of(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double softplus_of(double x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

#define PI 3.14159265358979323846
F(neg, -x)
D(neg, x, -1)
ROW(neg, -x)
F(abs, fabs(x))
D(abs, x, x > 0 ? 1 : x < 0 ? -1 : 0)
ROW(abs, fabsf(x))
F(exp, exp(x))
D(exp, y, y)
CALL_ROW(exp, ot_row_exp)
GRAD_ROW(exp, y, y)
F(log, log(x))
D(log, x, 1 / x)
F(sqrt, sqrt(x))
D(sqrt, y, 0.5 / y)
ROW(sqrt, sqrtf(x))
F(reciprocal, 1 / x)
D(reciprocal, y, -y *y)
ROW(reciprocal, 1 / x)
F(erf, erf(x))
D(erf, x, 2 / sqrt(PI) * exp(-x * x))
CALL_ROW(erf, ot_row_erf)
F(sigmoid, sigmoid_of(x))
D(sigmoid, y, y *(1 - y))
CALL_ROW(sigmoid, ot_row_sigmoid)
GRAD_ROW(sigmoid, y, y *(1 - y))
F(tanh, tanh(x))
D(tanh, y, 1 - y * y)
CALL_ROW(tanh, ot_row_tanh)
GRAD_ROW(tanh, y, 1 - y * y)
F(softplus, softplus_of(x))
D(softplus, x, sigmoid_of(x))
F(softsign, x / (1 + fabs(x)))
D(softsign, x, 1 / ((1 + fabs(x)) * (1 + fabs(x))))
ROW(softsign, x / (1 + fabsf(x)))
F(sin, sin(x))
D(sin, x, cos(x))
F(cos, cos(x))
D(cos, x, -sin(x))
F(tan, tan(x))
D(tan, y, 1 + y * y)
F(asin, asin(x))
D(asin, x, 1 / sqrt(1 - x * x))
F(acos, acos(x))
D(acos, x, -1 / sqrt(1 - x * x))
F(atan, atan(x))
D(atan, x, 1 / (1 + x * x))
F(sinh, sinh(x))
D(sinh, x, cosh(x))
F(cosh, cosh(x))
D(cosh, x, sinh(x))
F(asinh, asinh(x))
D(asinh, x, 1 / sqrt(x * x + 1))
F(acosh, acosh(x))
D(acosh, x, 1 / sqrt(x * x - 1))
F(atanh, atanh(x))
D(atanh, x, 1 / (1 - x * x))
F(floor, floor(x))
F(ceil, ceil(x))
F(round, nearbyint(x))
F(sign, x > 0 ? 1 : x < 0 ? -1 : x)
F(leaky, x < 0 ? a * x : x)
D(leaky, x, x < 0 ? a : 1)
ROW(leaky, x < 0 ? a * x : x)
GRAD_ROW(leaky, x, x < 0 ? a : 1)
F(elu, x < 0 ? a * expm1(x) : x)
D(elu, x, x < 0 ? a * exp(x) : 1)
F(selu, b *(x < 0 ? a * expm1(x) : x))
D(selu, x, b *(x < 0 ? a * exp(x) : 1))
F(celu, x < 0 ? a * expm1(x / a) : x)
D(celu, x, x < 0 ? exp(x / a) : 1)
F(thresholded, x > a ? x : 0)
D(thresholded, x, x > a ? 1 : 0)
F(hard_sigmoid, fmin(1, fmax(0, a *x + b)))
D(hard_sigmoid, x, a *x + b > 0 && a * x + b < 1 ? a : 0)
F(hard_swish, x *fmin(1, fmax(0, x / 6 + 0.5)))
D(hard_swish, x, x<-3 ? 0 : x> 3 ? 1 : x / 3 + 0.5)
ROW(hard_swish, x *(x <= -3 ? 0 : x >= 3 ? 1 : x * (1.0f / 6) + 0.5f))
GRAD_ROW(hard_swish, x, x<-3 ? 0 : x> 3 ? 1 : x *(1.0f / 3) + 0.5f)
F(swish, x *sigmoid_of(a *x))
D(swish, x, sigmoid_of(a *x) + a * x * sigmoid_of(a * x) * (1 - sigmoid_of(a * x)))
F(mish, x *tanh(softplus_of(x)))
D(mish, x, tanh(softplus_of(x)) + x * sigmoid_of(x) * (1 - tanh(softplus_of(x)) * tanh(softplus_of(x))))
F(shrink, x<-b ? x + a : x> b ? x - a : 0)
D(shrink, x, x<-b || x> b ? 1 : 0)
F(gelu, 0.5 * x * (1 + erf(x * sqrt(0.5))))
D(gelu, x, 0.5 * (1 + erf(x * sqrt(0.5))) + x * exp(-0.5 * x * x) / sqrt(2 * PI))
CALL_ROW(gelu, ot_row_gelu)
#define GELU_INNER (sqrt(2 / PI) * (x + 0.044715 * x * x * x))
F(gelu_tanh, 0.5 * x * (1 + tanh(GELU_INNER)))
D(gelu_tanh, x,
  0.5 * (1 + tanh(GELU_INNER)) +
      0.5 * x * (1 - tanh(GELU_INNER) * tanh(GELU_INNER)) * sqrt(2 / PI) * (1 + 3 * 0.044715 * x * x))

#define FD(id) .f = id##_f, .d = id##_d
static const function functions[] = {
    { "Abs", FD(abs), .row = abs_row },
    { "Acos", FD(acos) },
    { "Acosh", FD(acosh) },
    { "Asin", FD(asin) },
    { "Asinh", FD(asinh) },
    { "Atan", FD(atan) },
    { "Atanh", FD(atanh) },
    { "Ceil", .f = ceil_f },
    { "Celu", FD(celu), .key = { "alpha" }, .otherwise = { 1 } },
    { "Cos", FD(cos) },
    { "Cosh", FD(cosh) },
    { "Elu", FD(elu), .key = { "alpha" }, .otherwise = { 1 } },
    { "Erf", FD(erf), .row = erf_row },
    { "Exp", FD(exp), .reads_y = true, .row = exp_row, .grad_row = exp_grad_row },
    { "Floor", .f = floor_f },
    { "Gelu", FD(gelu), .row = gelu_row },
    { "HardSigmoid", FD(hard_sigmoid), .key = { "alpha", "beta" }, .otherwise = { 0.2, 0.5 } },
    { "HardSwish", FD(hard_swish), .row = hard_swish_row, .grad_row = hard_swish_grad_row },
    { "LeakyRelu", FD(leaky), .row = leaky_row, .grad_row = leaky_grad_row, .key = { "alpha" }, .otherwise = { 0.01 } },
    { "Log", FD(log) },
    { "Mish", FD(mish) },
    { "Neg", FD(neg), .row = neg_row },
    { "Reciprocal", FD(reciprocal), .reads_y = true, .row = reciprocal_row },
    { "Round", .f = round_f },
    { "Selu", FD(selu), .key = { "alpha", "gamma" },
      .otherwise = { 1.67326319217681884765625, 1.05070102214813232421875 } },
    { "Shrink", FD(shrink), .key = { "bias", "lambd" }, .otherwise = { 0, 0.5 } },
    { "Sigmoid", FD(sigmoid), .reads_y = true, .row = sigmoid_row, .grad_row = sigmoid_grad_row },
    { "Sign", .f = sign_f },
    { "Sin", FD(sin) },
    { "Sinh", FD(sinh) },
    { "Softplus", FD(softplus) },
    { "Softsign", FD(softsign), .row = softsign_row },
    { "Sqrt", FD(sqrt), .reads_y = true, .row = sqrt_row },
    { "Swish", FD(swish), .key = { "alpha" }, .otherwise = { 1 } },
    { "Tan", FD(tan), .reads_y = true },
    { "Tanh", FD(tanh), .reads_y = true, .row = tanh_row, .grad_row = tanh_grad_row },
    { "ThresholdedRelu", FD(thresholded), .key = { "alpha" }, .otherwise = { 1 } },
};
static const function gelu_by_tanh = { "Gelu", FD(gelu_tanh) };

/* Of a node of the family, and of its UnaryGrad, which carries the name and all attributes. */
static const function *function_of(const ot_node *n)
{
    const char *name = ot_attr_text(n, "unary", n->op->name);
    if (strcmp(name, "Gelu") == 0 && strcmp(ot_attr_text(n, "approximate", "none"), "tanh") == 0)
        return &gelu_by_tanh;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}

static double parameter(const ot_node *n, const function *f, int i)
{
    return f->key[i] ? ot_attr_float(n, f->key[i], f->otherwise[i]) : 0;
}

/* ---- Shape rule ----------------------------------------------------------------------------------------------------
 */

static bool takes_ints(const ot_node *n)
{
    const char *name = n->op->name;
    return strcmp(name, "Abs") == 0 || strcmp(name, "Neg") == 0 || strcmp(name, "Sign") == 0 ||
           strcmp(name, "Shrink") == 0;
}

static void negate_value(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_dim *v = ot_value_alloc(c, x->n_value);
    for (int i = 0; v && i < x->n_value; i++) {
        if (x->value[i] == OT_CLAMPED || (x->dtype == OT_INT32 && x->value[i] == INT32_MIN))
            return;
        v[i] = ot_dim_sub(c, 0, x->value[i]);
    }
    c->y[0].value = v;
    c->y[0].n_value = v ? x->n_value : 0;
}

static ot_status unary_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    bool is_int = ot_dtype_is_int(x->dtype) && ot_dtype_bits(x->dtype) >= 8;
    if (!(is_int && takes_ints(c->node)))
        OT_TRY(ot_needs_float(c, 0));
    if (strcmp(c->node->op->name, "Gelu") == 0) {
        const char *how = ot_attr_text(c->node, "approximate", "none");
        if (strcmp(how, "none") != 0 && strcmp(how, "tanh") != 0)
            return ot_fail(OT_EMODEL, "approximate is '%s', wanted is none or tanh", how);
    }
    OT_TRY(ot_same_shape(c));
    if (x->value && (x->dtype == OT_INT64 || x->dtype == OT_INT32) && strcmp(c->node->op->name, "Neg") == 0)
        negate_value(c);
    return OT_OK;
}

/* ---- Kernels -------------------------------------------------------------------------------------------------------
 */

static const char *float_declines(const ot_prep *p)
{
    return p->x[0]->dtype == OT_FLOAT ? NULL : "only for float32";
}

static void float_range(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const function *f = function_of(r->node);
    double a = parameter(r->node, f, 0), b = parameter(r->node, f, 1);
    const float *x = r->x[0].data;
    float *y = r->y[0].data;
    if (f->row)
        f->row(to - from, x + from, (float)a, (float)b, y + from);
    else
        for (int64_t i = from; i < to; i++)
            y[i] = (float)f->f(x[i], a, b);
}

static ot_status float_run(const ot_run *r)
{
    ot_for_ranges(r, ot_tensor_count(&r->y[0]), function_of(r->node)->row ? OT_GRAIN : OT_GRAIN / 16, float_range,
                  (void *)r);
    return OT_OK;
}

static const char *int_declines(const ot_prep *p)
{
    return ot_dtype_is_int(p->x[0]->dtype) ? NULL : "only for integers";
}

#define INT_CASE(type, T, U)                                                                                           \
    case type:                                                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            T x = ((const T *)r->x[0].data)[i];                                                                        \
            bool below = !(x > 0) && x != 0;                                                                           \
            ((T *)r->y[0].data)[i] =                                                                                   \
                what == 'S' ? (T)(below ? -1 : x != 0) : (what == 'N' || below ? (T)((U)0 - (U)x) : x);                \
        }                                                                                                              \
        break;

static ot_status int_run(const ot_run *r)
{
    const function *f = function_of(r->node);
    char what = r->node->op->name[0];
    int64_t n = ot_tensor_count(&r->y[0]);
    if (strcmp(f->name, "Shrink") == 0) { /* its attributes are floats */
        for (int64_t i = 0; i < n; i++)
            ot_tensor_set(&r->y[0], i,
                          f->f(ot_tensor_get(&r->x[0], i), parameter(r->node, f, 0), parameter(r->node, f, 1)));
        return OT_OK;
    }
    switch (r->x[0].dtype) {
        INT_CASE(OT_INT8, int8_t, uint8_t)
        INT_CASE(OT_INT16, int16_t, uint16_t)
        INT_CASE(OT_INT32, int32_t, uint32_t)
        INT_CASE(OT_INT64, int64_t, uint64_t)
        INT_CASE(OT_UINT8, uint8_t, uint8_t)
        INT_CASE(OT_UINT16, uint16_t, uint16_t)
        INT_CASE(OT_UINT32, uint32_t, uint32_t)
        INT_CASE(OT_UINT64, uint64_t, uint64_t)
    default:
        break;
    }
    return OT_OK;
}

static const char *reference_declines(const ot_prep *p)
{
    return ot_dtype_is_int(p->x[0]->dtype) ? "integers are computed as they are" : NULL;
}

static ot_status reference_run(const ot_run *r)
{
    const function *f = function_of(r->node);
    double a = parameter(r->node, f, 0), b = parameter(r->node, f, 1);
    for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++)
        ((double *)r->y[0].data)[i] = f->f(((const double *)r->x[0].data)[i], a, b);
    return OT_OK;
}

static const ot_kernel unary_kernels[] = {
    { .name = "integers", .declines = int_declines, .run = int_run },
    { .name = "rows", .declines = float_declines, .run = float_run, .elements = float_range },
    { .name = "reference", .declines = reference_declines, .run = reference_run, .in_double = true },
    { 0 },
};

/* ---- Gradient ------------------------------------------------------------------------------------------------------
 */

static void unary_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const function *f = function_of(n);
    ot_attr attrs[4] = { OT_TEXT("unary", n->op->name) };
    int at = 1;
    for (int i = 0; i < 2; i++)
        if (f->key[i])
            attrs[at++] = (ot_attr)OT_REAL(f->key[i], parameter(n, f, i));
    if (f == &gelu_by_tanh)
        attrs[at++] = (ot_attr)OT_TEXT("approximate", "tanh");
    attrs[at] = (ot_attr){ .name = NULL };
    ot_give(b, 0, OT_EMIT_WITH(b, "UnaryGrad", attrs, ot_dy(b, 0), f->reads_y ? ot_y(b, 0) : ot_x(b, 0)));
}

static ot_status grad_infer(ot_infer *c)
{
    const function *f = function_of(c->node);
    if (!f || !f->d)
        return ot_fail(OT_EMODEL, "no function '%s'", ot_attr_text(c->node, "unary", ""));
    return ot_same_shape(c);
}

static void grad_range(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const function *f = function_of(r->node);
    double a = parameter(r->node, f, 0), b = parameter(r->node, f, 1);
    const float *dy = r->x[0].data, *v = r->x[1].data;
    float *dx = r->y[0].data;
    if (f->grad_row)
        f->grad_row(to - from, dy + from, v + from, (float)a, (float)b, dx + from);
    else
        for (int64_t i = from; i < to; i++)
            dx[i] = (float)(dy[i] * f->d(v[i], a, b));
}

static ot_status grad_run(const ot_run *r)
{
    ot_for_ranges(r, ot_tensor_count(&r->y[0]), function_of(r->node)->grad_row ? OT_GRAIN : OT_GRAIN / 16, grad_range,
                  (void *)r);
    return OT_OK;
}

static ot_status grad_reference_run(const ot_run *r)
{
    const function *f = function_of(r->node);
    double a = parameter(r->node, f, 0), b = parameter(r->node, f, 1);
    const double *dy = r->x[0].data, *v = r->x[1].data;
    for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++)
        ((double *)r->y[0].data)[i] = dy[i] * f->d(v[i], a, b);
    return OT_OK;
}

static void grad_differentiate(ot_build *b) /* linear in dy; the second derivative of f is not known */
{
    const ot_node *n = ot_the_node(b);
    if (ot_wants(b, 1))
        ot_build_fail(b, ot_fail(OT_ENOGRAD, "the second derivative of %s is not known", function_of(n)->name));
    ot_give(b, 0, OT_EMIT_WITH(b, "UnaryGrad", n->attr, ot_dy(b, 0), ot_x(b, 1)));
}

static const ot_kernel grad_kernels[] = {
    { .name = "rows", .declines = ot_float32_only, .run = grad_run, .elements = grad_range },
    { .name = "reference", .run = grad_reference_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_UnaryGrad = { .domain = OT_INTERNAL,
                                .name = "UnaryGrad",
                                .since = 1,
                                .until = 1,
                                .min_in = 2,
                                .max_in = 2,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = grad_infer,
                                .grad = grad_differentiate,
                                .cpu = grad_kernels,
                                .in_place = 3 };

#define UNARY(id, first, differentiate)                                                                                \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = first,                                                                         \
                               .until = OT_LATEST,                                                                     \
                               .min_in = 1,                                                                            \
                               .max_in = 1,                                                                            \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .infer = unary_infer,                                                                   \
                               .grad = differentiate,                                                                  \
                               .cpu = unary_kernels,                                                                   \
                               .in_place = 1 };

UNARY(Abs, 1, unary_differentiate)
UNARY(Acos, 7, unary_differentiate)
UNARY(Acosh, 9, unary_differentiate)
UNARY(Asin, 7, unary_differentiate)
UNARY(Asinh, 9, unary_differentiate)
UNARY(Atan, 7, unary_differentiate)
UNARY(Atanh, 9, unary_differentiate)
UNARY(Ceil, 1, ot_grad_none)
UNARY(Celu, 12, unary_differentiate)
UNARY(Cos, 7, unary_differentiate)
UNARY(Cosh, 9, unary_differentiate)
UNARY(Elu, 1, unary_differentiate)
UNARY(Erf, 9, unary_differentiate)
UNARY(Exp, 1, unary_differentiate)
UNARY(Floor, 1, ot_grad_none)
UNARY(Gelu, 20, unary_differentiate)
UNARY(HardSigmoid, 1, unary_differentiate)
UNARY(HardSwish, 14, unary_differentiate)
UNARY(LeakyRelu, 1, unary_differentiate)
UNARY(Log, 1, unary_differentiate)
UNARY(Mish, 18, unary_differentiate)
UNARY(Neg, 1, unary_differentiate)
UNARY(Reciprocal, 1, unary_differentiate)
UNARY(Round, 11, ot_grad_none)
UNARY(Selu, 1, unary_differentiate)
UNARY(Shrink, 9, unary_differentiate)
UNARY(Sigmoid, 1, unary_differentiate)
UNARY(Sign, 9, ot_grad_none)
UNARY(Sin, 7, unary_differentiate)
UNARY(Sinh, 9, unary_differentiate)
UNARY(Softplus, 1, unary_differentiate)
UNARY(Softsign, 1, unary_differentiate)
UNARY(Sqrt, 1, unary_differentiate)
UNARY(Swish, 24, unary_differentiate)
UNARY(Tan, 7, unary_differentiate)
UNARY(Tanh, 1, unary_differentiate)
UNARY(ThresholdedRelu, 1, unary_differentiate)

/* Losses element by element, (x, target) of one shape; reduction none|mean|sum, mean where absent.
 *  BceWithLogits: max(x, 0) - x t + log(1 + exp(-|x|));  dx = sigmoid(x) - t.
 *  MseLoss:       (x - t)^2;                             dx = 2 (x - t).
 *  L1Loss:        |x - t|;                               dx = sign(x - t), 0 at 0.
 * Each has a gradient operator, (dy, x, target) -> dx.  Only MseLoss and L1Loss have one for the target. */
#include "loss.h"

#include <math.h>
#include <string.h>

typedef struct elementwise {
    const char *name;
    double (*loss)(double x, double t);
    double (*slope)(double x, double t);
} elementwise;

static double bce(double x, double t)
{
    return (x > 0 ? x : x - x) - x * t + log1p(exp(-fabs(x))); /* x - x keeps NaN */
}

static double bce_slope(double x, double t)
{
    return (x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x))) - t;
}

static double mse(double x, double t)
{
    return (x - t) * (x - t);
}

static double mse_slope(double x, double t)
{
    return 2 * (x - t);
}

static double l1(double x, double t)
{
    return fabs(x - t);
}

static double l1_slope(double x, double t)
{
    return x > t ? 1 : x < t ? -1 : x - t;
}

static const elementwise table[] = {
    { "BceWithLogits", bce, bce_slope },
    { "L1Loss", l1, l1_slope },
    { "MseLoss", mse, mse_slope },
};

static const elementwise *row_of(const ot_node *n)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strncmp(table[i].name, n->op->name, strlen(table[i].name)) == 0)
            return &table[i];
    return &table[0]; /* never: each operator below has a row */
}

/* x and target are inputs `at` and the next. */
static ot_status rule(ot_infer *c, int at, ot_reduction *reduction)
{
    ot_dim d;
    OT_TRY(ot_reduction_of(c->node, reduction));
    OT_TRY(ot_rank_between(c, at, 0, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, at));
    const ot_fact *x = c->x[at];
    OT_TRY(ot_rank_between(c, at + 1, x->rank, x->rank));
    if (c->x[at + 1]->dtype != x->dtype)
        return ot_fail(OT_ESHAPE, "the target is %s, x is %s", ot_dtype_name(c->x[at + 1]->dtype),
                       ot_dtype_name(x->dtype));
    for (int i = 0; i < x->rank; i++)
        OT_TRY(ot_dims_agree(&d, x->dim[i], c->x[at + 1]->dim[i], "x and the target"));
    return OT_OK;
}

static ot_status loss_infer(ot_infer *c)
{
    ot_reduction reduction;
    OT_TRY(rule(c, 0, &reduction));
    ot_set_shape(&c->y[0], c->x[0]->dtype, reduction == OT_REDUCE_NONE ? c->x[0]->rank : 0, c->x[0]->dim);
    return OT_OK;
}

static ot_status loss_run(const ot_run *r)
{
    const elementwise *e = row_of(r->node);
    const int64_t n = ot_tensor_count(&r->x[0]);
    ot_reduction reduction;
    double sum = 0;
    OT_TRY(ot_reduction_of(r->node, &reduction));
    for (int64_t i = 0; i < n; i++) {
        double v = e->loss(ot_real(&r->x[0], i), ot_real(&r->x[1], i));
        if (reduction == OT_REDUCE_NONE)
            ot_put_real(&r->y[0], i, v);
        sum += v;
    }
    if (reduction != OT_REDUCE_NONE)
        ot_put_real(&r->y[0], 0, reduction == OT_REDUCE_MEAN ? sum / (double)n : sum);
    return OT_OK;
}

static ot_status grad_infer(ot_infer *c)
{
    ot_reduction reduction;
    ot_dim d;
    OT_TRY(rule(c, 1, &reduction));
    int rank = reduction == OT_REDUCE_NONE ? c->x[1]->rank : 0;
    OT_TRY(ot_rank_between(c, 0, rank, rank));
    for (int i = 0; i < rank; i++)
        OT_TRY(ot_dims_agree(&d, c->x[0]->dim[i], c->x[1]->dim[i], "dy and the loss"));
    ot_set_shape(&c->y[0], c->x[1]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

static ot_status grad_run(const ot_run *r)
{
    const elementwise *e = row_of(r->node);
    const int64_t n = ot_tensor_count(&r->y[0]);
    ot_reduction reduction;
    OT_TRY(ot_reduction_of(r->node, &reduction));
    for (int64_t i = 0; i < n; i++) {
        double dy = ot_real(&r->x[0], reduction == OT_REDUCE_NONE ? i : 0);
        dy = reduction == OT_REDUCE_MEAN ? dy / (double)n : dy;
        ot_put_real(&r->y[0], i, dy * e->slope(ot_real(&r->x[1], i), ot_real(&r->x[2], i)));
    }
    return OT_OK;
}

static void differentiate(ot_build *b, const char *grad, bool of_target)
{
    if (ot_wants(b, 1) && !of_target) {
        ot_build_fail(b, ot_fail(OT_ENOGRAD, "the target has no gradient"));
        return;
    }
    ot_val d = OT_EMIT_WITH(b, grad, ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1));
    ot_give(b, 0, d);
    if (ot_wants(b, 1))
        ot_give(b, 1, OT_EMIT(b, "Neg", d));
}

static void bce_differentiate(ot_build *b)
{
    differentiate(b, "BceWithLogitsGrad", false);
}

static void mse_differentiate(ot_build *b)
{
    differentiate(b, "MseLossGrad", true);
}

static void l1_differentiate(ot_build *b)
{
    differentiate(b, "L1LossGrad", true);
}

static const ot_kernel loss_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = loss_run },
    { .name = "reference", .run = loss_run, .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "float", .declines = ot_float32_only, .run = grad_run },
    { .name = "reference", .run = grad_run, .in_double = true },
    { 0 },
};

#define LOSS(Name, inputs, rule, differentiate, kernels)                                                               \
    const ot_op ot_op_##Name = { .domain = OT_INTERNAL,                                                                \
                                 .name = #Name,                                                                        \
                                 .since = 1,                                                                           \
                                 .until = 1,                                                                           \
                                 .min_in = (inputs),                                                                   \
                                 .max_in = (inputs),                                                                   \
                                 .min_out = 1,                                                                         \
                                 .max_out = 1,                                                                         \
                                 .infer = (rule),                                                                      \
                                 .grad = (differentiate),                                                              \
                                 .cpu = (kernels) }

LOSS(BceWithLogits, 2, loss_infer, bce_differentiate, loss_kernels);
LOSS(BceWithLogitsGrad, 3, grad_infer, NULL, grad_kernels);
LOSS(L1Loss, 2, loss_infer, l1_differentiate, loss_kernels);
LOSS(L1LossGrad, 3, grad_infer, NULL, grad_kernels);
LOSS(MseLoss, 2, loss_infer, mse_differentiate, loss_kernels);
LOSS(MseLossGrad, 3, grad_infer, NULL, grad_kernels);

/* One step of an optimiser for one parameter, by PyTorch's formulas.  Inputs: the parameter w, its states, the gradient
 * g, the rate lr and the factor of gradient clipping `scale` (float scalars); outputs: w and the states after the step.
 * Everywhere d = scale * g + weight_decay * w (AdamW leaves the second term out) and r = lr * lr_mult.  When scale is
 * not finite, the step leaves all as it was.
 *
 *  SgdStep:     (w, v, g, lr, scale[, first]) v = momentum v + (1 - dampening) d, d alone where first is not 0;
 *               w -= r (nesterov ? d + momentum v : v).  v may be absent with momentum 0: then w -= r d.
 *  AdamStep:    (w, m, v, g, lr, scale, t) m = beta1 m + (1 - beta1) d; v = beta2 v + (1 - beta2) d^2;
 *               w -= r / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon); t counts from 1; with decoupled = 1
 *               (AdamW), w is first multiplied by 1 - r weight_decay.
 *  AdagradStep: (w, h, g, lr, scale[, t]) h += d^2; w -= r / (1 + (t - 1) lr_decay) d / (sqrt(h) + epsilon).
 *  RmspropStep: (w, h, b, g, lr, scale) h = alpha h + (1 - alpha) d^2; b = momentum b + d / (sqrt(h) + epsilon);
 *               w -= r b.  b may be absent with momentum 0. */
#include "loss.h"

#include <math.h>
#include <string.h>

typedef struct step {
    const ot_run *r;
    double rate, scale, decay;                  /* rate: lr_mult included */
    double momentum, keep;                      /* of SGD: keep = 1 - dampening; of RMSprop */
    bool nesterov, fresh;                       /* fresh: the first step, where v becomes d, not damped */
    double beta1, beta2, epsilon, shrink, root; /* of Adam: shrink of w, root = sqrt(1 - beta2^t) */
    double alpha;
} step;

static int states_of(const ot_node *n)
{
    return n->op->name[0] == 'S' || strcmp(n->op->name, "AdagradStep") == 0 ? 1 : 2;
}

static ot_status check_scalar(const ot_infer *c, int i, const char *what)
{
    OT_TRY(ot_rank_between(c, i, 0, 1));
    if (c->x[i]->rank == 1 && c->x[i]->dim[0] != 1)
        return ot_fail(OT_ESHAPE, "%s is no scalar", what);
    return OT_OK;
}

static ot_status check_like_w(const ot_infer *c, int i)
{
    ot_dim d;
    const ot_fact *w = c->x[0];
    OT_TRY(ot_rank_between(c, i, w->rank, w->rank));
    if (c->x[i]->dtype != w->dtype)
        return ot_fail(OT_ESHAPE, "input %d is %s, the parameter is %s", i, ot_dtype_name(c->x[i]->dtype),
                       ot_dtype_name(w->dtype));
    for (int k = 0; k < w->rank; k++)
        OT_TRY(ot_dims_agree(&d, w->dim[k], c->x[i]->dim[k], "the parameter and its gradient or state"));
    return OT_OK;
}

static ot_status step_infer(ot_infer *c)
{
    const int states = states_of(c->node), last = states; /* the state that momentum 0 does without */
    const char *name = c->node->op->name;
    const bool optional = name[0] == 'S' || name[0] == 'R';
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    for (int i = 1; i <= states + 1; i++) {
        bool absent = i < c->n_in && !c->x[i];
        if (absent && i == last && optional && ot_attr_float(c->node, "momentum", 0) == 0)
            continue;
        OT_TRY(check_like_w(c, i));
    }
    OT_TRY(check_scalar(c, states + 2, "lr"));
    OT_TRY(ot_needs_float(c, states + 2));
    OT_TRY(check_scalar(c, states + 3, "scale"));
    OT_TRY(ot_needs_float(c, states + 3));
    if (states + 4 < c->n_in && c->x[states + 4]) {
        OT_TRY(check_scalar(c, states + 4, "the number of the step"));
        if (c->x[states + 4]->dtype != OT_INT64)
            return ot_fail(OT_ESHAPE, "the number of the step is not int64");
    } else if (strcmp(name, "AdamStep") == 0 || ot_attr_float(c->node, "lr_decay", 0) != 0) {
        return ot_fail(OT_EMODEL, "the number of the step is missing");
    }
    for (int i = 0; i < c->n_out; i++) {
        if (i > 0 && !c->x[i])
            return ot_fail(OT_EMODEL, "output %d has no state to come from", i);
        ot_set_shape(&c->y[i], c->x[0]->dtype, c->x[0]->rank, c->x[0]->dim);
    }
    return OT_OK;
}

static step read_step(const ot_run *r)
{
    const ot_node *n = r->node;
    const int states = states_of(n);
    step s = { .r = r,
               .rate = ot_real(&r->x[states + 2], 0) * ot_attr_float(n, "lr_mult", 1),
               .scale = ot_real(&r->x[states + 3], 0),
               .decay = ot_attr_float(n, "weight_decay", 0),
               .momentum = ot_attr_float(n, "momentum", 0),
               .keep = 1 - ot_attr_float(n, "dampening", 0),
               .nesterov = ot_attr_int(n, "nesterov", 0) != 0 };
    return s;
}

/* The number in the optional input after scale. */
static int64_t counter(const ot_run *r, int64_t otherwise)
{
    const int i = states_of(r->node) + 4;
    return ot_has_x(r, i) ? ot_tensor_get_int(&r->x[i], 0) : otherwise;
}

/* True, with everything copied, where the step is to be left out. */
static bool left_out(const step *s)
{
    if (isfinite(s->scale))
        return false;
    for (int i = 0; i < s->r->n_out; i++)
        if (ot_has_y(s->r, i) && s->r->y[i].data != s->r->x[i].data)
            memcpy(s->r->y[i].data, s->r->x[i].data, ot_tensor_bytes(&s->r->y[i]));
    return true;
}

/* An output that is not there is written over nothing: such states are read only. */
#define OUT(T, i)     (ot_has_y(s->r, i) ? (T *)s->r->y[i].data : NULL)
#define IN(T, i)      ((const T *)s->r->x[i].data)
#define RANGES(T, of) ot_for_ranges(r, ot_tensor_count(&r->x[0]), OT_GRAIN, of##_##T, &s)
#define BY_TYPE(of)                                                                                                    \
    do {                                                                                                               \
        if (r->x[0].dtype == OT_DOUBLE)                                                                                \
            RANGES(double, of);                                                                                        \
        else                                                                                                           \
            RANGES(float, of);                                                                                         \
    } while (0)

/* ---- SgdStep --------------------------------------------------------------------------------------------------- */

#define SGD(T)                                                                                                         \
    static void sgd_##T(void *ctx, int64_t from, int64_t to)                                                           \
    {                                                                                                                  \
        const step *s = ctx;                                                                                           \
        const T *w = IN(T, 0), *v = IN(T, 1), *g = IN(T, 2);                                                           \
        T *new_w = OUT(T, 0), *new_v = OUT(T, 1);                                                                      \
        const T rate = (T)s->rate, scale = (T)s->scale, decay = (T)s->decay;                                           \
        const T momentum = (T)s->momentum, keep = (T)s->keep;                                                          \
        for (int64_t i = from; i < to; i++) {                                                                          \
            T d = scale * g[i] + decay * w[i];                                                                         \
            if (v) {                                                                                                   \
                T next = s->fresh ? d : momentum * v[i] + keep * d;                                                    \
                if (new_v)                                                                                             \
                    new_v[i] = next;                                                                                   \
                d = s->nesterov ? d + momentum * next : next;                                                          \
            }                                                                                                          \
            new_w[i] = w[i] - rate * d;                                                                                \
        }                                                                                                              \
    }
SGD(float)
SGD(double)

static ot_status sgd_run(const ot_run *r)
{
    step s = read_step(r);
    if (left_out(&s))
        return OT_OK;
    s.fresh = counter(r, 0) != 0;
    BY_TYPE(sgd);
    return OT_OK;
}

/* ---- AdamStep -------------------------------------------------------------------------------------------------- */

#define ADAM(T, square_root)                                                                                           \
    static void adam_##T(void *ctx, int64_t from, int64_t to)                                                          \
    {                                                                                                                  \
        const step *s = ctx;                                                                                           \
        const T *w = IN(T, 0), *m = IN(T, 1), *v = IN(T, 2), *g = IN(T, 3);                                            \
        T *new_w = OUT(T, 0), *new_m = OUT(T, 1), *new_v = OUT(T, 2);                                                  \
        const T rate = (T)s->rate, scale = (T)s->scale, decay = (T)s->decay, shrink = (T)s->shrink;                    \
        const T b1 = (T)s->beta1, c1 = (T)(1 - s->beta1), b2 = (T)s->beta2, c2 = (T)(1 - s->beta2);                    \
        const T root = (T)s->root, epsilon = (T)s->epsilon;                                                            \
        for (int64_t i = from; i < to; i++) {                                                                          \
            T d = scale * g[i] + decay * w[i];                                                                         \
            T first = b1 * m[i] + c1 * d, second = b2 * v[i] + c2 * d * d;                                             \
            if (new_m)                                                                                                 \
                new_m[i] = first;                                                                                      \
            if (new_v)                                                                                                 \
                new_v[i] = second;                                                                                     \
            new_w[i] = shrink * w[i] - rate * first / (square_root(second) / root + epsilon);                          \
        }                                                                                                              \
    }
ADAM(float, sqrtf)
ADAM(double, sqrt)

static ot_status adam_run(const ot_run *r)
{
    step s = read_step(r);
    const double t = (double)counter(r, 1);
    if (left_out(&s))
        return OT_OK;
    s.beta1 = ot_attr_float(r->node, "beta1", 0.9);
    s.beta2 = ot_attr_float(r->node, "beta2", 0.999);
    s.epsilon = ot_attr_float(r->node, "epsilon", 1e-8);
    s.shrink = 1;
    if (ot_attr_int(r->node, "decoupled", 0)) {
        s.shrink = 1 - s.rate * s.decay;
        s.decay = 0;
    }
    s.rate /= 1 - pow(s.beta1, t);
    s.root = sqrt(1 - pow(s.beta2, t));
    BY_TYPE(adam);
    return OT_OK;
}

/* ---- AdagradStep ----------------------------------------------------------------------------------------------- */

#define ADAGRAD(T, square_root)                                                                                        \
    static void adagrad_##T(void *ctx, int64_t from, int64_t to)                                                       \
    {                                                                                                                  \
        const step *s = ctx;                                                                                           \
        const T *w = IN(T, 0), *h = IN(T, 1), *g = IN(T, 2);                                                           \
        T *new_w = OUT(T, 0), *new_h = OUT(T, 1);                                                                      \
        const T rate = (T)s->rate, scale = (T)s->scale, decay = (T)s->decay, epsilon = (T)s->epsilon;                  \
        for (int64_t i = from; i < to; i++) {                                                                          \
            T d = scale * g[i] + decay * w[i], sum = h[i] + d * d;                                                     \
            if (new_h)                                                                                                 \
                new_h[i] = sum;                                                                                        \
            new_w[i] = w[i] - rate * d / (square_root(sum) + epsilon);                                                 \
        }                                                                                                              \
    }
ADAGRAD(float, sqrtf)
ADAGRAD(double, sqrt)

static ot_status adagrad_run(const ot_run *r)
{
    step s = read_step(r);
    if (left_out(&s))
        return OT_OK;
    s.epsilon = ot_attr_float(r->node, "epsilon", 1e-10);
    s.rate /= 1 + (double)(counter(r, 1) - 1) * ot_attr_float(r->node, "lr_decay", 0);
    BY_TYPE(adagrad);
    return OT_OK;
}

/* ---- RmspropStep ----------------------------------------------------------------------------------------------- */

#define RMSPROP(T, square_root)                                                                                        \
    static void rmsprop_##T(void *ctx, int64_t from, int64_t to)                                                       \
    {                                                                                                                  \
        const step *s = ctx;                                                                                           \
        const T *w = IN(T, 0), *h = IN(T, 1), *b = IN(T, 2), *g = IN(T, 3);                                            \
        T *new_w = OUT(T, 0), *new_h = OUT(T, 1), *new_b = OUT(T, 2);                                                  \
        const T rate = (T)s->rate, scale = (T)s->scale, decay = (T)s->decay, epsilon = (T)s->epsilon;                  \
        const T alpha = (T)s->alpha, rest = (T)(1 - s->alpha), momentum = (T)s->momentum;                              \
        for (int64_t i = from; i < to; i++) {                                                                          \
            T d = scale * g[i] + decay * w[i], mean = alpha * h[i] + rest * d * d;                                     \
            T move = d / (square_root(mean) + epsilon) + (b ? momentum * b[i] : 0);                                    \
            if (new_h)                                                                                                 \
                new_h[i] = mean;                                                                                       \
            if (new_b)                                                                                                 \
                new_b[i] = move;                                                                                       \
            new_w[i] = w[i] - rate * move;                                                                             \
        }                                                                                                              \
    }
RMSPROP(float, sqrtf)
RMSPROP(double, sqrt)

static ot_status rmsprop_run(const ot_run *r)
{
    step s = read_step(r);
    if (left_out(&s))
        return OT_OK;
    s.epsilon = ot_attr_float(r->node, "epsilon", 1e-8);
    s.alpha = ot_attr_float(r->node, "alpha", 0.99);
    BY_TYPE(rmsprop);
    return OT_OK;
}

#define STEP(Name, of, states)                                                                                         \
    static const ot_kernel of##_kernels[] = {                                                                          \
        { .name = "float", .declines = ot_float32_only, .run = of##_run },                                             \
        { .name = "reference", .run = of##_run, .in_double = true },                                                   \
        { 0 },                                                                                                         \
    };                                                                                                                 \
    const ot_op ot_op_##Name = { .domain = OT_INTERNAL,                                                                \
                                 .name = #Name,                                                                        \
                                 .since = 1,                                                                           \
                                 .until = 1,                                                                           \
                                 .min_in = 1,                                                                          \
                                 .max_in = (states) + 5,                                                               \
                                 .min_out = 1,                                                                         \
                                 .max_out = (states) + 1,                                                              \
                                 .infer = step_infer,                                                                  \
                                 .cpu = of##_kernels,                                                                  \
                                 .in_place = (1u << ((states) + 1)) - 1 }

STEP(SgdStep, sgd, 1);
STEP(AdamStep, adam, 2);
STEP(AdagradStep, adagrad, 1);
STEP(RmspropStep, rmsprop, 2);

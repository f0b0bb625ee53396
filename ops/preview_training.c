/* Adagrad, Adam and Momentum of ai.onnx.preview.training: one step for any number of tensors.  Inputs are R (the rate),
 * T (steps made), then all X, all their gradients G, and all accumulators, V and (Adam) H, or H (Adagrad); outputs are
 * the new X and accumulators in the same order.  With g = norm_coefficient X + G: Adagrad:  H += g^2;  X -= R / (1 + T
 * decay_factor) g / (sqrt(H) + epsilon) Adam:     V = alpha V + (1 - alpha) g;  H = beta H + (1 - beta) g^2;  X -= r V
 * / (sqrt(H) + epsilon), where r is R for T = 0, else R sqrt(1 - beta^T) / (1 - alpha^T);  X *= 1 -
 * norm_coefficient_post Momentum: V = alpha V + beta g, beta being 1 for T = 0;  X -= R V, or (nesterov) R (g + alpha
 * V) All are composites. */
#include "run.h"

#include <string.h>

#define ADD(x, y) OT_EMIT(b, "Add", x, y)
#define SUB(x, y) OT_EMIT(b, "Sub", x, y)
#define MUL(x, y) OT_EMIT(b, "Mul", x, y)
#define DIV(x, y) OT_EMIT(b, "Div", x, y)

typedef struct stepping {
    ot_build *b;
    ot_dtype t;                  /* of the tensors */
    ot_val rate, steps, started; /* scalars: of that type; T > 0 */
    int n, of;                   /* tensors; inputs for each of them */
} stepping;

static ot_val number(const stepping *s, double v)
{
    return ot_const_scalar(s->b, s->t, v);
}

static ot_val attribute(const stepping *s, const char *name, double otherwise)
{
    return number(s, ot_attr_float(ot_the_node(s->b), name, otherwise));
}

static ot_val scalar(ot_build *b, int i, ot_dtype t)
{
    const ot_val v = OT_EMIT(b, "Reshape", ot_x(b, i), ot_const_ints(b, 0, NULL));
    return OT_EMIT_WITH(b, "Cast", OT_ATTRS(OT_INT("to", t)), v);
}

/* The tensor of this kind that belongs to tensor i: 0 X, 1 its gradient, then the accumulators. */
static ot_val tensor(const stepping *s, int kind, int i)
{
    return ot_x(s->b, 2 + kind * s->n + i);
}

static bool begin(stepping *s, ot_build *b, int of)
{
    const ot_node *n = ot_the_node(b);
    *s = (stepping){ .b = b, .of = of, .n = (n->n_in - 2) / of };
    if ((n->n_in - 2) % of != 0 || s->n < 1 || n->n_out != s->n * (of - 1)) {
        ot_build_fail(b, ot_fail(OT_EMODEL, "%d inputs and %d outputs; each tensor has %d and %d, behind R and T",
                                 n->n_in, n->n_out, of, of - 1));
        return false;
    }
    for (int i = 0; i < n->n_in; i++)
        if (ot_x(b, i) == OT_NONE) {
            ot_build_fail(b, ot_fail(OT_EMODEL, "input %d is missing", i));
            return false;
        }
    s->t = ot_fact_of(b, ot_x(b, 2))->dtype;
    s->rate = scalar(b, 0, s->t);
    s->steps = scalar(b, 1, s->t);
    s->started = OT_EMIT(b, "Greater", s->steps, number(s, 0));
    return true;
}

/* The gradient with that of the norm. */
static ot_val regularised(const stepping *s, int i)
{
    ot_build *b = s->b;
    return ADD(MUL(attribute(s, "norm_coefficient", 0), tensor(s, 0, i)), tensor(s, 1, i));
}

static ot_val root(const stepping *s, ot_val h)
{
    ot_build *b = s->b;
    return ADD(OT_EMIT(b, "Sqrt", h), attribute(s, "epsilon", 1e-6));
}

static void adagrad_compose(ot_build *b)
{
    stepping s;
    if (!begin(&s, b, 3))
        return;
    const ot_val rate = DIV(s.rate, ADD(number(&s, 1), MUL(s.steps, attribute(&s, "decay_factor", 0))));
    for (int i = 0; i < s.n; i++) {
        const ot_val g = regularised(&s, i), h = ADD(tensor(&s, 2, i), MUL(g, g));
        ot_becomes(b, i, SUB(tensor(&s, 0, i), DIV(MUL(rate, g), root(&s, h))));
        ot_becomes(b, s.n + i, h);
    }
}

static void adam_compose(ot_build *b)
{
    stepping s;
    if (!begin(&s, b, 4))
        return;
    const double alpha = ot_attr_float(ot_the_node(b), "alpha", 0.9),
                 beta = ot_attr_float(ot_the_node(b), "beta", 0.999);
    const double after = ot_attr_float(ot_the_node(b), "norm_coefficient_post", 0);
    const ot_val one = number(&s, 1);
    const ot_val up = OT_EMIT(b, "Sqrt", SUB(one, OT_EMIT(b, "Pow", number(&s, beta), s.steps)));
    const ot_val down = SUB(one, OT_EMIT(b, "Pow", number(&s, alpha), s.steps));
    const ot_val rate = OT_EMIT(b, "Where", s.started, DIV(MUL(s.rate, up), down), s.rate);
    for (int i = 0; i < s.n; i++) {
        const ot_val g = regularised(&s, i);
        const ot_val v = ADD(MUL(number(&s, alpha), tensor(&s, 2, i)), MUL(number(&s, 1 - alpha), g));
        const ot_val h = ADD(MUL(number(&s, beta), tensor(&s, 3, i)), MUL(number(&s, 1 - beta), MUL(g, g)));
        const ot_val x = SUB(tensor(&s, 0, i), DIV(MUL(rate, v), root(&s, h)));
        ot_becomes(b, i, MUL(number(&s, 1 - after), x));
        ot_becomes(b, s.n + i, v);
        ot_becomes(b, 2 * s.n + i, h);
    }
}

static void momentum_compose(ot_build *b)
{
    stepping s;
    const char *mode = ot_attr_text(ot_the_node(b), "mode", "standard");
    const bool nesterov = strcmp(mode, "nesterov") == 0;
    if (!nesterov && strcmp(mode, "standard") != 0)
        ot_build_fail(b, ot_fail(OT_EMODEL, "mode is '%.40s'", mode));
    if (!begin(&s, b, 3))
        return;
    const ot_val alpha = attribute(&s, "alpha", 0);
    const ot_val beta = OT_EMIT(b, "Where", s.started, attribute(&s, "beta", 1), number(&s, 1));
    for (int i = 0; i < s.n; i++) {
        const ot_val g = regularised(&s, i), v = ADD(MUL(alpha, tensor(&s, 2, i)), MUL(beta, g));
        const ot_val by = nesterov ? ADD(g, MUL(alpha, v)) : v;
        ot_becomes(b, i, SUB(tensor(&s, 0, i), MUL(s.rate, by)));
        ot_becomes(b, s.n + i, v);
    }
}

#define TRAINING(NAME, COMPOSE)                                                                                        \
    const ot_op ot_op_##NAME = { .domain = "ai.onnx.preview.training",                                                 \
                                 .name = #NAME,                                                                        \
                                 .since = 1,                                                                           \
                                 .until = 1,                                                                           \
                                 .min_in = 5,                                                                          \
                                 .max_in = OT_MANY,                                                                    \
                                 .min_out = 1,                                                                         \
                                 .max_out = OT_MANY,                                                                   \
                                 .compose = COMPOSE };

TRAINING(Adagrad, adagrad_compose)
TRAINING(Adam, adam_compose)
TRAINING(Momentum, momentum_compose)

/* RNN, GRU and LSTM, of one or two directions.  With X_t the input of a step, H_t and C_t the states, B = Wb, Rb:
 *   RNN:  H_t = f(X_t W' + H_t-1 R' + Wb + Rb)
 *   GRU:  z, r = f(..), g = g(X_t Wh' + Wbh + (r H_t-1) Rh' + Rbh), or r (H_t-1 Rh' + Rbh) with linear_before_reset;
 *         H_t = (1 - z) g + z H_t-1
 *   LSTM: i = f(.. + Pi C_t-1), f = f(.. + Pf C_t-1), c = g(..), C_t = f C_t-1 + i c, o = f(.. + Po C_t), H_t = o
 * h(C_t) Y has H_t of each step, zeros behind sequence_lens; Y_h and Y_c are the states after the last step of a
 * sequence, zeros where it has none.  A backward direction begins at the last step of each sequence.
 *
 * RNNKept, GRUKept, LSTMKept give a fourth output, what backward needs of all steps (see ot_kept): forward becomes one
 * of these where the float32 kernels serve the gradient.
 * RNNGrad, GRUGrad, LSTMGrad: (X, W, R, B, sequence_lens, initial_h, initial_c, P, dY, dY_h, dY_c, kept; want) -> the
 * gradients of X, W, R, B, initial_h, initial_c, P; those whose bit is not set in `want` have no elements.  Without
 * `kept` they run forward again. */
#include "recurrent.h"

#include <math.h>
#include <string.h>
#include <strings.h>

/* ---- Activations ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    ot_squash kind;
    int takes; /* alpha, or alpha and beta, from the lists of the node */
    double alpha, beta;
} squashes[] = {
    { "Affine", SQUASH_AFFINE, 2, 1, 0 },
    { "Elu", SQUASH_ELU, 1, 1, 0 },
    { "HardSigmoid", SQUASH_HARD_SIGMOID, 2, 0.2, 0.5 },
    { "LeakyRelu", SQUASH_LEAKY_RELU, 1, 0.01, 0 },
    { "Relu", SQUASH_RELU, 0, 0, 0 },
    { "ScaledTanh", SQUASH_SCALED_TANH, 2, 1, 1 },
    { "Sigmoid", SQUASH_SIGMOID, 0, 0, 0 },
    { "Softplus", SQUASH_SOFTPLUS, 0, 0, 0 },
    { "Softsign", SQUASH_SOFTSIGN, 0, 0, 0 },
    { "Tanh", SQUASH_TANH, 0, 0, 0 },
    { "ThresholdedRelu", SQUASH_THRESHOLDED_RELU, 1, 1, 0 },
};
#define SQUASHES ((int)(sizeof(squashes) / sizeof(squashes[0])))

double ot_squash_of(const ot_activation *a, double x)
{
    switch (a->kind) {
    case SQUASH_AFFINE:
        return a->alpha * x + a->beta;
    case SQUASH_ELU:
        return x < 0 ? a->alpha * expm1(x) : x;
    case SQUASH_HARD_SIGMOID:
        return fmin(1, fmax(0, a->alpha * x + a->beta));
    case SQUASH_LEAKY_RELU:
        return x < 0 ? a->alpha * x : x;
    case SQUASH_RELU:
        return x < 0 ? 0 : x;
    case SQUASH_SCALED_TANH:
        return a->alpha * tanh(a->beta * x);
    case SQUASH_SIGMOID:
        return 1 / (1 + exp(-x));
    case SQUASH_SOFTPLUS:
        return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    case SQUASH_SOFTSIGN:
        return x / (1 + fabs(x));
    case SQUASH_TANH:
        return tanh(x);
    case SQUASH_THRESHOLDED_RELU:
        return x > a->alpha ? x : 0;
    }
    return x;
}

double ot_squash_slope(const ot_activation *a, double x)
{
    double y;
    switch (a->kind) {
    case SQUASH_AFFINE:
        return a->alpha;
    case SQUASH_ELU:
        return x < 0 ? a->alpha * exp(x) : 1;
    case SQUASH_HARD_SIGMOID:
        y = a->alpha * x + a->beta;
        return y > 0 && y < 1 ? a->alpha : 0;
    case SQUASH_LEAKY_RELU:
        return x < 0 ? a->alpha : 1;
    case SQUASH_RELU:
        return x > 0;
    case SQUASH_SCALED_TANH:
        y = tanh(a->beta * x);
        return a->alpha * a->beta * (1 - y * y);
    case SQUASH_SIGMOID:
        y = 1 / (1 + exp(-x));
        return y * (1 - y);
    case SQUASH_SOFTPLUS:
        return 1 / (1 + exp(-x));
    case SQUASH_SOFTSIGN:
        y = 1 + fabs(x);
        return 1 / (y * y);
    case SQUASH_TANH:
        y = tanh(x);
        return 1 - y * y;
    case SQUASH_THRESHOLDED_RELU:
        return x > a->alpha;
    }
    return 1;
}

/* ---- Attributes ------------------------------------------------------------------------------------------------ */

static const ot_attr *list_of(const ot_node *node, const char *name, ot_attr_type type)
{
    const ot_attr *a = ot_attr_find(node, name);
    return a && a->type == type ? a : NULL;
}

/* The next number of a list that activations take from in turn. */
static double next_of(const ot_attr *list, int *at, double otherwise)
{
    return list && *at < list->n ? (double)list->floats[(*at)++] : otherwise;
}

static ot_status read_activations(ot_recurrence *q, const ot_node *node)
{
    static const char *const usual[] = { "Sigmoid", "Tanh", "Tanh" };
    const ot_attr *names = list_of(node, "activations", OT_ATTR_STRINGS);
    const ot_attr *alpha = list_of(node, "activation_alpha", OT_ATTR_FLOATS);
    const ot_attr *beta = list_of(node, "activation_beta", OT_ATTR_FLOATS);
    const int each = q->cell == CELL_RNN ? 1 : q->cell == CELL_GRU ? 2 : 3;
    int at_alpha = 0, at_beta = 0;
    if (names && names->n != each * q->directions)
        return ot_fail(OT_EMODEL, "%d activations, wanted are %d", names->n, each * q->directions);
    for (int i = 0; i < each * q->directions; i++) {
        const char *name = names ? names->strings[i] : usual[q->cell == CELL_RNN ? 1 : i % each];
        ot_activation *a = &q->act[i / each][i % each];
        int k = 0;
        while (k < SQUASHES && strcasecmp(name, squashes[k].name) != 0)
            k++;
        if (k == SQUASHES)
            return ot_fail(OT_EMODEL, "activation '%.40s' is not known", name);
        *a = (ot_activation){ squashes[k].kind, squashes[k].alpha, squashes[k].beta };
        if (squashes[k].takes > 0)
            a->alpha = next_of(alpha, &at_alpha, a->alpha);
        if (squashes[k].takes > 1)
            a->beta = next_of(beta, &at_beta, a->beta);
    }
    return OT_OK;
}

ot_status ot_recurrence_read(ot_recurrence *q, const ot_node *node)
{
    const char letter = node->op->name[0], *direction = ot_attr_text(node, "direction", "forward");
    *q = (ot_recurrence){ .cell = letter == 'L' ? CELL_LSTM : letter == 'G' ? CELL_GRU : CELL_RNN };
    q->gates = q->cell == CELL_LSTM ? 4 : q->cell == CELL_GRU ? 3 : 1;
    q->directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1;
    q->reverse = strcmp(direction, "reverse") == 0;
    if (q->directions == 1 && !q->reverse && strcmp(direction, "forward") != 0)
        return ot_fail(OT_EMODEL, "direction is '%.40s'", direction);
    const int64_t layout = ot_attr_int(node, "layout", 0);
    if (layout != 0 && layout != 1)
        return ot_fail(OT_EMODEL, "layout is %lld", (long long)layout);
    q->batch_first = layout == 1;
    q->coupled = ot_attr_int(node, "input_forget", 0) != 0;
    q->linear_before_reset = ot_attr_int(node, "linear_before_reset", 0) != 0;
    q->clip = ot_attr_float(node, "clip", 0);
    if (!(q->clip >= 0))
        return ot_fail(OT_EMODEL, "clip is %g", q->clip);
    q->hidden_size = ot_attr_int(node, "hidden_size", 0);
    if (q->hidden_size < 0)
        return ot_fail(OT_EMODEL, "hidden_size is %lld", (long long)q->hidden_size);
    return read_activations(q, node);
}

ot_status ot_recurrence_of(ot_recurrence *q, const ot_prep *p)
{
    OT_TRY(ot_recurrence_read(q, p->node));
    q->s = p->x[IN_X]->dim[q->batch_first];
    q->b = p->x[IN_X]->dim[!q->batch_first];
    q->i = p->x[IN_X]->dim[2];
    q->h = p->x[IN_R]->dim[2];
    return OT_OK;
}

ot_status ot_check_lengths(const ot_recurrence *q, const ot_run *r)
{
    for (int64_t b = 0; b < q->b; b++)
        if (ot_length_of(q, r, b) < 0 || ot_length_of(q, r, b) > q->s)
            return ot_fail(OT_ESHAPE, "sequence %lld has %lld steps, there are %lld", (long long)b,
                           (long long)ot_length_of(q, r, b), (long long)q->s);
    return OT_OK;
}

/* ---- Shapes ---------------------------------------------------------------------------------------------------- */

typedef struct sizes {
    ot_dim s, b, i, h;
} sizes;

/* Dims of input i, where it is there and its rank is known, against these; the more definite ones come back. */
static ot_status agree(const ot_infer *c, int i, int rank, ot_dim *const *dim, const char *what)
{
    if (i >= c->n_in || !c->x[i])
        return OT_OK;
    if (i == IN_LENS ? c->x[i]->dtype != OT_INT32 : c->x[i]->dtype != c->x[0]->dtype)
        return ot_fail(OT_ESHAPE, "%s is %s, X is %s", what, ot_dtype_name(c->x[i]->dtype),
                       ot_dtype_name(c->x[0]->dtype));
    if (c->x[i]->rank < 0)
        return OT_OK;
    if (c->x[i]->rank != rank)
        return ot_fail(OT_ESHAPE, "%s has rank %d, wanted is %d", what, c->x[i]->rank, rank);
    for (int d = 0; d < rank; d++)
        OT_TRY(ot_dims_agree(dim[d], *dim[d], c->x[i]->dim[d], what));
    return OT_OK;
}

static ot_status rule(ot_infer *c, ot_recurrence *q, sizes *z)
{
    OT_TRY(ot_recurrence_read(q, c->node));
    OT_TRY(ot_needs_float(c, IN_X));
    ot_dim d = q->directions, *const directions = &d;
    *z = (sizes){ ot_dim_unknown(c), ot_dim_unknown(c), ot_dim_unknown(c),
                  q->hidden_size ? q->hidden_size : ot_dim_unknown(c) };
    const bool first = q->batch_first;
    OT_TRY(agree(c, IN_X, 3, (ot_dim *const[]){ first ? &z->b : &z->s, first ? &z->s : &z->b, &z->i }, "X"));
    ot_dim rows = ot_dim_unknown(c), biases = ot_dim_unknown(c), peepholes = ot_dim_unknown(c);
    OT_TRY(agree(c, IN_R, 3, (ot_dim *const[]){ directions, &rows, &z->h }, "R"));
    OT_TRY(agree(c, IN_W, 3, (ot_dim *const[]){ directions, &rows, &z->i }, "W"));
    OT_TRY(agree(c, IN_B, 2, (ot_dim *const[]){ directions, &biases }, "B"));
    OT_TRY(agree(c, IN_LENS, 1, (ot_dim *const[]){ &z->b }, "sequence_lens"));
    ot_dim *const state[] = { first ? &z->b : directions, first ? directions : &z->b, &z->h };
    OT_TRY(agree(c, IN_H, 3, state, "initial_h"));
    OT_TRY(agree(c, IN_C, 3, state, "initial_c"));
    OT_TRY(agree(c, IN_P, 2, (ot_dim *const[]){ directions, &peepholes }, "P"));
    ot_dim same, gates = ot_dim_mul(c, z->h, q->gates);
    OT_TRY(ot_dims_agree(&same, rows, gates, "rows of W and R"));
    OT_TRY(ot_dims_agree(&same, biases, ot_dim_mul(c, gates, 2), "B"));
    return ot_dims_agree(&same, peepholes, ot_dim_mul(c, z->h, 3), "P");
}

static ot_status recurrent_infer(ot_infer *c)
{
    ot_recurrence q;
    sizes z;
    OT_TRY(rule(c, &q, &z));
    const ot_dim y[2][4] = { { z.s, q.directions, z.b, z.h }, { z.b, z.s, q.directions, z.h } };
    const ot_dim state[2][3] = { { q.directions, z.b, z.h }, { z.b, q.directions, z.h } };
    const int64_t planes = q.gates + (q.cell == CELL_RNN ? 1 : 2);
    for (int i = 0; i < c->n_out; i++)
        if (i == OUT_Y)
            ot_set_shape(&c->y[i], c->x[0]->dtype, 4, y[q.batch_first]);
        else if (i == OUT_KEPT)
            ot_set_shape(&c->y[i], c->x[0]->dtype, 4,
                         (const ot_dim[]){ q.directions, z.s, z.b, ot_dim_mul(c, z.h, planes) });
        else
            ot_set_shape(&c->y[i], c->x[0]->dtype, 3, state[q.batch_first]);
    return OT_OK;
}

static ot_status grad_infer(ot_infer *c)
{
    static const int input[OUT_COUNT] = { IN_X, IN_W, IN_R, IN_B, IN_H, IN_C, IN_P };
    const int64_t want = ot_attr_int(c->node, "want", 0);
    ot_recurrence q;
    sizes z;
    OT_TRY(rule(c, &q, &z));
    ot_dim d = q.directions;
    const bool first = q.batch_first;
    ot_dim *const y[] = { first ? &z.b : &z.s, first ? &z.s : &d, first ? &d : &z.b, &z.h };
    ot_dim *const state[] = { first ? &z.b : &d, first ? &d : &z.b, &z.h };
    OT_TRY(agree(c, IN_DY, 4, y, "dY"));
    OT_TRY(agree(c, IN_DYH, 3, state, "dY_h"));
    OT_TRY(agree(c, IN_DYC, 3, state, "dY_c"));
    for (int i = 0; i < c->n_out; i++)
        if (want >> i & 1 && input[i] < c->n_in && c->x[input[i]])
            ot_set_shape(&c->y[i], c->x[0]->dtype, c->x[input[i]]->rank, c->x[input[i]]->dim);
        else
            ot_set_shape(&c->y[i], c->x[0]->dtype, 1, (const ot_dim[]){ 0 });
    return OT_OK;
}

/* ---- Gradient and description ---------------------------------------------------------------------------------- */

/* What forward keeps for backward; OT_NONE where the float32 kernels do not serve. */
static ot_val kept(ot_build *b, const char *keeping)
{
    ot_recurrence q;
    if (ot_fact_of(b, ot_x(b, IN_X))->dtype != OT_FLOAT || ot_recurrence_read(&q, ot_the_node(b)) != OT_OK ||
        ot_recurrence_declines(&q))
        return OT_NONE;
    return ot_keep(b, keeping, OUT_KEPT);
}

static void differentiate(ot_build *b, const char *op, const char *keeping)
{
    static const char *const keys[] = {
        "activation_alpha", "activation_beta", "activations",         "clip",  "direction",
        "hidden_size",      "input_forget",    "linear_before_reset", "layout"
    };
    static const int input[OUT_COUNT] = { IN_X, IN_W, IN_R, IN_B, IN_H, IN_C, IN_P };
    ot_attr attr[sizeof(keys) / sizeof(keys[0]) + 2];
    ot_val in[IN_COUNT], out[OUT_COUNT];
    int n = 0, want = 0;
    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
        const ot_attr *a = ot_attr_find(ot_the_node(b), keys[k]);
        if (a)
            attr[n++] = *a;
    }
    for (int i = 0; i < OUT_COUNT; i++)
        want |= ot_x(b, input[i]) != OT_NONE && ot_wants(b, input[i]) ? 1 << i : 0;
    attr[n++] = (ot_attr)OT_INT("want", want);
    attr[n] = (ot_attr){ 0 };
    for (int i = 0; i < IN_COUNT; i++)
        in[i] = i < IN_DY ? ot_x(b, i) : i < IN_KEPT ? ot_dy(b, i - IN_DY) : kept(b, keeping);
    ot_emit_outputs(b, op, attr, IN_COUNT, in, OUT_COUNT, out);
    for (int i = 0; i < OUT_COUNT; i++)
        if (want >> i & 1)
            ot_give(b, input[i], out[i]);
}

static void rnn_differentiate(ot_build *b)
{
    differentiate(b, "RNNGrad", "RNNKept");
}

static void gru_differentiate(ot_build *b)
{
    differentiate(b, "GRUGrad", "GRUKept");
}

static void lstm_differentiate(ot_build *b)
{
    differentiate(b, "LSTMGrad", "LSTMKept");
}

static const ot_kernel kernels[] = {
    { .name = "packed", .declines = ot_float32_only, .prepare = ot_recurrent_fast_prepare, .run = ot_recurrent_fast },
    { .name = "reference", .prepare = ot_recurrent_prepare, .run = ot_recurrent_reference, .in_double = true },
    { 0 },
};

static const ot_kernel kept_kernels[] = {
    { .name = "packed", .declines = ot_float32_only, .prepare = ot_recurrent_fast_prepare, .run = ot_recurrent_fast },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "packed",
      .declines = ot_recurrent_grad_declines,
      .prepare = ot_recurrent_grad_fast_prepare,
      .run = ot_recurrent_grad_fast },
    { .name = "reference",
      .prepare = ot_recurrent_grad_prepare,
      .run = ot_recurrent_grad_reference,
      .in_double = true },
    { 0 },
};

#define RECURRENT(NAME, INPUTS, OUTPUTS, GRAD)                                                                         \
    const ot_op ot_op_##NAME = { .domain = "",                                                                         \
                                 .name = #NAME,                                                                        \
                                 .since = 1,                                                                           \
                                 .until = OT_LATEST,                                                                   \
                                 .min_in = 3,                                                                          \
                                 .max_in = INPUTS,                                                                     \
                                 .min_out = 0,                                                                         \
                                 .max_out = OUTPUTS,                                                                   \
                                 .infer = recurrent_infer,                                                             \
                                 .grad = GRAD,                                                                         \
                                 .cpu = kernels };                                                                     \
    const ot_op ot_op_##NAME##Kept = { .domain = OT_INTERNAL,                                                          \
                                       .name = #NAME "Kept",                                                           \
                                       .since = 1,                                                                     \
                                       .until = 1,                                                                     \
                                       .min_in = 3,                                                                    \
                                       .max_in = INPUTS,                                                               \
                                       .min_out = OUT_KEPT + 1,                                                        \
                                       .max_out = OUT_KEPT + 1,                                                        \
                                       .infer = recurrent_infer,                                                       \
                                       .cpu = kept_kernels };                                                          \
    const ot_op ot_op_##NAME##Grad = { .domain = OT_INTERNAL,                                                          \
                                       .name = #NAME "Grad",                                                           \
                                       .since = 1,                                                                     \
                                       .until = 1,                                                                     \
                                       .min_in = 3,                                                                    \
                                       .max_in = IN_COUNT,                                                             \
                                       .min_out = OUT_COUNT,                                                           \
                                       .max_out = OUT_COUNT,                                                           \
                                       .infer = grad_infer,                                                            \
                                       .cpu = grad_kernels };

RECURRENT(RNN, 6, 2, rnn_differentiate)
RECURRENT(GRU, 6, 2, gru_differentiate)
RECURRENT(LSTM, 8, 3, lstm_differentiate)

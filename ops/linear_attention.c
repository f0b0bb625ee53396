/* LinearAttention: a state S [dk][dv] for each batch index and head of K and V, and for each step
 *   S' = exp(decay) S (gated),  u = v, or beta (v - S' k) (delta),  S = S' + k u',  y = scale S' q
 * for every head of Q in the group.  Packed as [batch, steps, heads * size]; decay has an element for a head or for
 * each row of its state, beta one for a head or for all.  present_state is S after the last step.
 *
 * Backward reads the inputs and runs forward again, keeping about 2 sqrt(steps) states of a head.
 * LinearAttentionGrad: (query, key, value, past_state, decay, beta, dy, dstate; want) -> the gradients of the first
 * six; those whose bit is not set in `want` have no elements. */
#include "linear_attention.h"

#include <math.h>
#include <string.h>

#define REAL   double
#define FN(x)  x##_double
#define EXP(x) exp(x)
#include "linear_attention_head.h"
#undef REAL
#undef FN
#undef EXP
#define REAL   float
#define FN(x)  x##_float
#define EXP(x) expf(x)
#include "linear_attention_head.h"

/* ---- Sizes ----------------------------------------------------------------------------------------------------- */

static ot_status read_node(const ot_node *n, ot_linear *l)
{
    const char *rule = ot_attr_text(n, "update_rule", "gated_delta");
    const int64_t q = ot_attr_int(n, "q_num_heads", 0), kv = ot_attr_int(n, "kv_num_heads", 0);
    const bool gated = strcmp(rule, "gated") == 0 || strcmp(rule, "gated_delta") == 0;
    *l = (ot_linear){ .heads = kv, .delta = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0 };
    if (!gated && !l->delta && strcmp(rule, "linear") != 0)
        return ot_fail(OT_EMODEL, "update_rule is '%.40s'", rule);
    if (q < 1 || kv < 1 || q % kv != 0)
        return ot_fail(OT_EMODEL, "q_num_heads is %lld, kv_num_heads %lld", (long long)q, (long long)kv);
    l->group = q / kv;
    l->decays = gated;
    return OT_OK;
}

/* The last dim of an input over the heads that share it, where it is a number. */
static ot_status per_head(const ot_infer *c, int i, int64_t heads, ot_dim *each, const char *what)
{
    const ot_dim all = c->x[i]->dim[2];
    if (!ot_is_symbol(all) && (all == 0 || all % heads != 0))
        return ot_fail(OT_ESHAPE, "%s has %lld elements for %lld heads", what, (long long)all, (long long)heads);
    return ot_is_symbol(all) ? OT_OK : ot_dims_agree(each, *each, all / heads, what);
}

/* Dims of decay or beta; wide is the other last dim that it may have. */
static ot_status gate_dims(const ot_infer *c, int i, bool wanted, ot_dim heads, ot_dim other, const char *what)
{
    ot_dim d;
    const bool there = i < c->n_in && c->x[i];
    if (there != wanted)
        return ot_fail(OT_EMODEL, "%s is %s with this update_rule", what, there ? "not taken" : "missing");
    if (!there)
        return OT_OK;
    OT_TRY(ot_rank_between(c, i, 3, 3));
    for (int k = 0; k < 2; k++)
        OT_TRY(ot_dims_agree(&d, c->x[i]->dim[k], c->x[LA_Q]->dim[k], what));
    d = c->x[i]->dim[2];
    if (!ot_is_symbol(d) && !ot_is_symbol(other) && d != heads && d != other)
        return ot_fail(OT_ESHAPE, "%s has %lld elements, wanted are %lld or %lld", what, (long long)d, (long long)heads,
                       (long long)other);
    if (c->x[i]->dtype != c->x[LA_Q]->dtype)
        return ot_fail(OT_ESHAPE, "%s is %s", what, ot_dtype_name(c->x[i]->dtype));
    return OT_OK;
}

static ot_status rule(ot_infer *c, ot_linear *l, ot_dim state[4])
{
    static const char *const names[] = { "query", "key", "value" };
    ot_dim d;
    OT_TRY(read_node(c->node, l));
    for (int i = LA_Q; i <= LA_V; i++) {
        OT_TRY(ot_rank_between(c, i, 3, 3));
        OT_TRY(ot_needs_float(c, i));
        for (int k = 0; k < 2; k++)
            OT_TRY(ot_dims_agree(&d, c->x[i]->dim[k], c->x[LA_Q]->dim[k], names[i]));
        if (c->x[i]->dtype != c->x[LA_Q]->dtype)
            return ot_fail(OT_ESHAPE, "%s is %s", names[i], ot_dtype_name(c->x[i]->dtype));
    }
    ot_dim dk = ot_dim_div(c, c->x[LA_Q]->dim[2], l->heads * l->group),
           dv = ot_dim_div(c, c->x[LA_V]->dim[2], l->heads);
    OT_TRY(per_head(c, LA_Q, l->heads * l->group, &dk, "query"));
    OT_TRY(per_head(c, LA_K, l->heads, &dk, "key"));
    OT_TRY(per_head(c, LA_V, l->heads, &dv, "value"));
    const ot_dim all[4] = { c->x[LA_Q]->dim[0], l->heads, dk, dv };
    memcpy(state, all, sizeof(all));
    if (LA_PAST < c->n_in && c->x[LA_PAST]) {
        OT_TRY(ot_rank_between(c, LA_PAST, 4, 4));
        OT_TRY(ot_needs_float(c, LA_PAST));
        for (int k = 0; k < 4; k++)
            OT_TRY(ot_dims_agree(&state[k], state[k], c->x[LA_PAST]->dim[k], "past_state"));
    }
    OT_TRY(gate_dims(c, LA_DECAY, l->decays != 0, l->heads, ot_dim_mul(c, state[2], l->heads), "decay"));
    return gate_dims(c, LA_BETA, l->delta, l->heads, 1, "beta");
}

static ot_status linear_infer(ot_infer *c)
{
    ot_linear l;
    ot_dim state[4];
    OT_TRY(rule(c, &l, state));
    const ot_dim *q = c->x[LA_Q]->dim, wide = ot_dim_mul(c, state[3], l.heads * l.group);
    ot_set_shape(&c->y[0], c->x[LA_Q]->dtype, 3, (const ot_dim[]){ q[0], q[1], wide });
    const bool past = LA_PAST < c->n_in && c->x[LA_PAST];
    if (c->n_out > 1)
        ot_set_shape(&c->y[1], c->x[past ? LA_PAST : LA_Q]->dtype, 4, state);
    return OT_OK;
}

static ot_status grad_infer(ot_infer *c)
{
    ot_linear l;
    ot_dim state[4], d;
    OT_TRY(rule(c, &l, state));
    const ot_dim y[] = { c->x[LA_Q]->dim[0], c->x[LA_Q]->dim[1], ot_dim_mul(c, state[3], l.heads * l.group) };
    for (int i = LA_DY; i < c->n_in; i++) {
        const int rank = i == LA_DY ? 3 : 4;
        if (!c->x[i])
            continue;
        OT_TRY(ot_rank_between(c, i, rank, rank));
        for (int k = 0; k < rank; k++)
            OT_TRY(ot_dims_agree(&d, c->x[i]->dim[k], i == LA_DY ? y[k] : state[k], "the gradient of an output"));
    }
    for (int i = 0; i < LA_OUT; i++) {
        const bool want = ot_attr_int(c->node, "want", 0) >> i & 1 && i < c->n_in && c->x[i];
        ot_set_shape(&c->y[i], c->x[want ? i : LA_Q]->dtype, want ? c->x[i]->rank : 1,
                     want ? c->x[i]->dim : (const ot_dim[]){ 0 });
    }
    return OT_OK;
}

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

static ot_status prepare_size(ot_prep *p, size_t element, bool backward)
{
    ot_linear *l = p->state = ot_calloc(1, sizeof(*l));
    if (!l)
        return OT_ENOMEM;
    OT_TRY(read_node(p->node, l));
    l->b = p->x[LA_Q]->dim[0];
    l->t = p->x[LA_Q]->dim[1];
    l->dk = p->x[LA_K]->dim[2] / l->heads;
    l->dv = p->x[LA_V]->dim[2] / l->heads;
    l->decays = LA_DECAY < p->n_in && p->x[LA_DECAY] ? p->x[LA_DECAY]->dim[2] : 0;
    l->betas = LA_BETA < p->n_in && p->x[LA_BETA] ? p->x[LA_BETA]->dim[2] : 0;
    l->scale = ot_attr_float(p->node, "scale", 0);
    l->scale = l->scale == 0 ? 1 / sqrt((double)l->dk) : l->scale;
    l->stretch = (int64_t)ceil(sqrt((double)l->t));
    l->stretch += l->stretch == 0;
    l->stretches = l->t ? (l->t + l->stretch - 1) / l->stretch : 1;
    const int64_t states = backward ? l->stretches + l->stretch + 3 : 1;
    size_t all;
    if (!ot_mul(&all, (size_t)l->dk, (size_t)l->dv) || !ot_mul(&all, all, (size_t)states) ||
        !ot_add(&l->floats, all, (size_t)(3 * l->dv + l->dk)) || !ot_mul(&all, l->floats, (size_t)p->threads) ||
        !ot_add(&all, all, backward ? (size_t)l->b * (size_t)l->heads * (size_t)l->t : 0) ||
        !ot_mul(&all, all, element))
        return ot_fail(OT_ENOMEM, "states of %lld x %lld", (long long)l->dk, (long long)l->dv);
    p->scratch = all;
    return OT_OK;
}

static ot_status prepare_float(ot_prep *p)
{
    return prepare_size(p, sizeof(float), false);
}

static ot_status prepare_double(ot_prep *p)
{
    return prepare_size(p, sizeof(double), false);
}

static ot_status prepare_grad_float(ot_prep *p)
{
    return prepare_size(p, sizeof(float), true);
}

static ot_status prepare_grad_double(ot_prep *p)
{
    return prepare_size(p, sizeof(double), true);
}

#define TASKS(T)                                                                                                       \
    static void task_##T(void *ctx, int64_t index, int worker)                                                         \
    {                                                                                                                  \
        const ot_run *r = ctx;                                                                                         \
        const ot_linear *l = r->state;                                                                                 \
        head_##T(r, l, index, (T *)r->scratch + (size_t)worker * l->floats);                                           \
    }                                                                                                                  \
    static T *betas_##T(const ot_run *r)                                                                               \
    {                                                                                                                  \
        const ot_linear *l = r->state;                                                                                 \
        return (T *)r->scratch + (size_t)ot_threads_count(r->threads) * l->floats;                                     \
    }                                                                                                                  \
    static void back_task_##T(void *ctx, int64_t index, int worker)                                                    \
    {                                                                                                                  \
        const ot_run *r = ctx;                                                                                         \
        const ot_linear *l = r->state;                                                                                 \
        head_back_##T(r, l, index, (T *)r->scratch + (size_t)worker * l->floats, betas_##T(r) + index * l->t);         \
    }                                                                                                                  \
    static ot_status forward_##T(const ot_run *r)                                                                      \
    {                                                                                                                  \
        const ot_linear *l = r->state;                                                                                 \
        ot_threads_run(r->threads, l->b * l->heads, task_##T, (void *)r);                                              \
        return OT_OK;                                                                                                  \
    }                                                                                                                  \
    static ot_status backward_##T(const ot_run *r)                                                                     \
    {                                                                                                                  \
        const ot_linear *l = r->state;                                                                                 \
        ot_threads_run(r->threads, l->b * l->heads, back_task_##T, (void *)r);                                         \
        T *to = r->y[LA_DBETA].data;                                                                                   \
        for (int64_t i = 0, n = ot_tensor_count(&r->y[LA_DBETA]); i < n; i++)                                          \
            to[i] = 0;                                                                                                 \
        for (int64_t i = 0; i < l->b * l->heads * l->t && ot_tensor_count(&r->y[LA_DBETA]); i++)                       \
            *beta_at_##T(&r->y[LA_DBETA], l, i / l->t / l->heads, i % l->t, i / l->t % l->heads) += betas_##T(r)[i];   \
        return OT_OK;                                                                                                  \
    }
TASKS(float)
TASKS(double)

static const ot_kernel linear_kernels[] = {
    { .name = "heads", .declines = ot_float32_only, .prepare = prepare_float, .run = forward_float },
    { .name = "reference", .prepare = prepare_double, .run = forward_double, .in_double = true },
    { 0 },
};

static const ot_kernel grad_kernels[] = {
    { .name = "heads", .declines = ot_float32_only, .prepare = prepare_grad_float, .run = backward_float },
    { .name = "reference", .prepare = prepare_grad_double, .run = backward_double, .in_double = true },
    { 0 },
};

/* ---- Gradient -------------------------------------------------------------------------------------------------- */

static void linear_differentiate(ot_build *b)
{
    static const char *const keys[] = { "kv_num_heads", "q_num_heads", "scale", "update_rule" };
    ot_attr attr[6];
    ot_val in[LA_IN], out[LA_OUT];
    int n = 0, want = 0;
    for (int k = 0; k < 4; k++) {
        const ot_attr *a = ot_attr_find(ot_the_node(b), keys[k]);
        if (a)
            attr[n++] = *a;
    }
    for (int i = 0; i < LA_OUT; i++) {
        in[i] = ot_x(b, i);
        want |= in[i] != OT_NONE && ot_wants(b, i) ? 1 << i : 0;
    }
    attr[n++] = (ot_attr)OT_INT("want", want);
    attr[n] = (ot_attr){ 0 };
    in[LA_DY] = ot_dy(b, 0);
    in[LA_DSTATE] = ot_the_node(b)->n_out > 1 ? ot_dy(b, 1) : OT_NONE;
    ot_emit_outputs(b, "LinearAttentionGrad", attr, LA_IN, in, LA_OUT, out);
    for (int i = 0; i < LA_OUT; i++)
        if (want >> i & 1)
            ot_give(b, i, out[i]);
}

const ot_op ot_op_LinearAttention = { .domain = "",
                                      .name = "LinearAttention",
                                      .since = 27,
                                      .until = OT_LATEST,
                                      .min_in = 3,
                                      .max_in = 6,
                                      .min_out = 2,
                                      .max_out = 2,
                                      .infer = linear_infer,
                                      .grad = linear_differentiate,
                                      .cpu = linear_kernels };

const ot_op ot_op_LinearAttentionGrad = { .domain = OT_INTERNAL,
                                          .name = "LinearAttentionGrad",
                                          .since = 1,
                                          .until = 1,
                                          .min_in = 3,
                                          .max_in = LA_IN,
                                          .min_out = LA_OUT,
                                          .max_out = LA_OUT,
                                          .infer = grad_infer,
                                          .cpu = grad_kernels };

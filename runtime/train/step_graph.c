#include "train/step_graph.h"
#include "graph/step.h"
#include "graph/train_mode.h"
#include "train/loss.h"

#include <string.h>

typedef struct stepper {
    const ot_parameters *ps;
    const ot_train_options *o;
    ot_step_kind kind;
    ot_graph *g;
    ot_build b;
    ot_val target, number, t, first, lr[OT_MAX_GROUPS];
    int64_t n; /* trained parameters */
    ot_val *slot, *grad;
} stepper;

static ot_val scalar_input(stepper *s, const char *name, ot_dtype dtype)
{
    ot_fact f = { .kind = OT_TENSOR };
    ot_set_shape(&f, dtype, 0, NULL);
    return ot_graph_input(s->g, name, &f);
}

static ot_status add_inputs(stepper *s, const ot_head *h)
{
    const ot_fact *out = &s->g->value[ot_loss_wants_floats(s->o->loss) ? h->output : h->scores].fact;
    ot_fact target = { .kind = OT_TENSOR };
    if (ot_loss_wants_floats(s->o->loss))
        ot_set_shape(&target, out->dtype, 2, out->dim);
    else
        ot_set_shape(&target, OT_INT64, 1, out->dim);
    s->target = ot_graph_input(s->g, "onnxtune.target", &target);
    return s->target == OT_NONE ? OT_ENOMEM : OT_OK;
}

static ot_status add_clocks(stepper *s)
{
    s->t = scalar_input(s, "onnxtune.t", OT_INT64);
    s->first = scalar_input(s, "onnxtune.first", OT_INT64);
    for (int i = 0; i < s->ps->groups; i++) {
        char *name = ot_arena_printf(&s->g->arena, "onnxtune.lr.%d", i);
        s->lr[i] = name ? scalar_input(s, name, OT_FLOAT) : OT_NONE;
        if (s->lr[i] == OT_NONE)
            return OT_ENOMEM;
    }
    return s->t == OT_NONE || s->first == OT_NONE ? OT_ENOMEM : OT_OK;
}

/* A slot of zeros beside a parameter: a moment, an accumulator. */
static ot_val beside(stepper *s, const char *kind, ot_val parameter)
{
    const ot_value *p = &s->g->value[parameter];
    ot_tensor zeros = *p->tensor;
    zeros.data = NULL;
    char *name = ot_arena_printf(&s->g->arena, "%s/%s", kind, p->name);
    ot_val v = name ? ot_graph_tensor(s->g, name, OT_FROM_SLOT, &zeros) : OT_NONE;
    if (v == OT_NONE)
        ot_build_fail(&s->b, OT_ENOMEM);
    return v;
}

/* What each optimiser keeps beside a parameter. */
typedef struct optimiser {
    const char *op;
    int n_state;
    const char *state[2];
    bool momentum_last; /* the last state is kept for momentum alone */
} optimiser;

static const optimiser optimisers[] = {
    [OT_SGD] = { "SgdStep", 1, { "onnxtune.velocity" }, true },
    [OT_ADAM] = { "AdamStep", 2, { "onnxtune.m", "onnxtune.v" }, false },
    [OT_ADAMW] = { "AdamStep", 2, { "onnxtune.m", "onnxtune.v" }, false },
    [OT_ADAGRAD] = { "AdagradStep", 1, { "onnxtune.squares" }, false },
    [OT_RMSPROP] = { "RmspropStep", 2, { "onnxtune.squares", "onnxtune.velocity" }, true },
};

static double epsilon(const ot_train_options *o)
{
    return o->eps > 0 ? o->eps : o->optimizer == OT_ADAGRAD ? 1e-10 : 1e-8;
}

/* (w, state..., g, lr, scale[, clock]) -> (w', state'...), bound to where they came from. */
static ot_status add_update(stepper *s, ot_val w, ot_val grad, ot_val scale, int group)
{
    const optimiser *k = &optimisers[s->o->optimizer];
    const ot_train_options *o = s->o;
    ot_val in[8], out[3];
    int n = 0, states = k->n_state - (k->momentum_last && o->momentum == 0);
    in[n++] = w;
    for (int i = 0; i < k->n_state; i++)
        in[n++] = i < states ? beside(s, k->state[i], w) : OT_NONE;
    in[n++] = grad;
    in[n++] = s->lr[group];
    in[n++] = scale;
    if (o->optimizer == OT_ADAM || o->optimizer == OT_ADAMW)
        in[n++] = s->t;
    else if (o->optimizer == OT_SGD)
        in[n++] = s->first;
    const ot_attr *attr = OT_ATTRS(OT_REAL("weight_decay", s->ps->wd[group]), OT_REAL("momentum", o->momentum),
                                   OT_REAL("dampening", o->dampening), OT_INT("nesterov", o->nesterov),
                                   OT_REAL("beta1", o->beta1), OT_REAL("beta2", o->beta2), OT_REAL("alpha", o->alpha),
                                   OT_REAL("epsilon", epsilon(o)), OT_INT("decoupled", o->optimizer == OT_ADAMW));
    ot_emit_outputs(&s->b, k->op, attr, n, in, 1 + states, out);
    if (s->b.st != OT_OK)
        return s->b.st;
    for (int i = 0; i <= states; i++)
        OT_TRY(ot_graph_bind(s->g, in[i], out[i], false));
    return OT_OK;
}

/* A sum takes in gradients that are not finite too, so that the step that uses it is skipped. */
static ot_status gather_gradients(stepper *s)
{
    s->b.prefix = "gather";
    for (int64_t i = 0; i < s->n && s->b.st == OT_OK; i++) {
        ot_val acc = beside(s, OT_STEP_SUM, s->slot[i]);
        s->grad[i] = OT_EMIT(&s->b, "Add", acc, s->grad[i]);
        if (s->b.st == OT_OK && s->kind == OT_STEP_GATHER)
            OT_TRY(ot_graph_bind(s->g, acc, s->grad[i], true));
    }
    return s->b.st;
}

static ot_status add_updates(stepper *s)
{
    ot_val norm_scale[2];
    const ot_attr *attr = OT_ATTRS(OT_REAL("clip", s->o->clip));
    s->b.prefix = "optimiser";
    ot_emit_outputs(&s->b, "GradNorm", attr, (int)s->n, s->grad, 2, norm_scale);
    if (s->b.st != OT_OK)
        return s->b.st;
    s->g->guard = norm_scale[1];
    OT_TRY(ot_graph_output(s->g, "norm", norm_scale[0]));
    for (int64_t i = 0; i < s->n; i++) {
        const ot_parameter *p = ot_parameter_named(s->ps, s->g->value[s->slot[i]].name);
        s->b.layer = (int)p->layer;
        OT_TRY(add_update(s, s->slot[i], s->grad[i], norm_scale[1], p->group));
    }
    return OT_OK;
}

/* The trained parameters that the graph reads; one that the loss does not depend on drops out. */
static ot_status find_slots(stepper *s)
{
    s->slot = ot_arena_calloc(&s->g->arena, (size_t)s->ps->n + 1, sizeof(*s->slot));
    s->grad = ot_arena_calloc(&s->g->arena, (size_t)s->ps->n + 1, sizeof(*s->grad));
    if (!s->slot || !s->grad)
        return OT_ENOMEM;
    for (int64_t i = 0; i < s->ps->n; i++) {
        ot_val v = ot_graph_find(s->g, s->ps->p[i].name);
        if (s->ps->p[i].trains && v != OT_NONE)
            s->slot[s->n++] = v;
    }
    return OT_OK;
}

static ot_status differentiate(stepper *s, ot_val loss)
{
    OT_TRY(find_slots(s));
    OT_TRY(ot_differentiate(s->g, loss, s->n, s->slot, s->grad));
    int64_t kept = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->grad[i] == OT_NONE)
            continue;
        s->slot[kept] = s->slot[i];
        s->grad[kept++] = s->grad[i];
    }
    s->n = kept;
    return kept ? OT_OK : ot_fail(OT_EARG, "the loss depends on none of the parameters that train");
}

static ot_status build(stepper *s, int64_t classes)
{
    ot_head head;
    s->b = (ot_build){ .g = s->g, .prefix = "loss", .layer = -1 };
    OT_TRY(ot_bind_states(s->g, s->o->batch));
    OT_TRY(ot_find_head(&head, &s->b, classes, s->o->loss));
    OT_TRY(add_inputs(s, &head));
    s->number = scalar_input(s, "onnxtune.batch", OT_INT64);
    if (s->number == OT_NONE)
        return OT_ENOMEM;
    OT_TRY(add_clocks(s));
    OT_TRY(ot_train_mode(s->g, s->ps->bn, s->o->seed, s->number));
    double scale = s->kind == OT_STEP_WHOLE ? 1 : 1 / (double)s->o->accumulate;
    ot_val loss = ot_emit_loss(&s->b, &head, s->o->loss, s->o->label_smoothing, s->target, scale);
    if (s->b.st != OT_OK)
        return s->b.st;
    s->g->n_output = 0;
    OT_TRY(ot_graph_output(s->g, "loss", loss));
    OT_TRY(differentiate(s, loss));
    if (s->kind != OT_STEP_WHOLE)
        OT_TRY(gather_gradients(s));
    if (s->kind != OT_STEP_GATHER)
        return add_updates(s);
    s->g->guard = loss; /* for the running statistics */
    return OT_OK;
}

/* Takes g over when st or the passes fail. */
static ot_status settle(ot_graph **out, ot_graph *g, ot_status st)
{
    if (st == OT_OK)
        st = ot_prune(g);
    if (st == OT_OK)
        st = ot_fold(g, OT_FOLD_LIMIT);
    if (st == OT_OK)
        *out = g;
    else
        ot_graph_close(g);
    return st;
}

ot_status ot_step_graph_build(ot_graph **out, const ot_model *m, const ot_parameters *ps, const ot_train_options *o,
                              int64_t classes, ot_step_kind kind)
{
    ot_derive_opts d = { .slots = &ps->slots, .for_gradient = true, .free_batch = true };
    stepper s = { .ps = ps, .o = o, .kind = kind };
    *out = NULL;
    OT_TRY(ot_derive(&s.g, m, &d));
    return settle(out, s.g, build(&s, classes));
}

ot_status ot_eval_graph_build(ot_graph **out, const ot_model *m, const ot_strmap *slots, ot_loss loss, int64_t classes,
                              int64_t batch)
{
    ot_derive_opts d = { .slots = slots, .free_batch = true };
    ot_graph *g;
    ot_head head;
    *out = NULL;
    OT_TRY(ot_derive(&g, m, &d));
    ot_build b = { .g = g, .prefix = "eval", .layer = -1 };
    ot_status st = ot_bind_states(g, batch);
    if (st == OT_OK)
        st = ot_find_head(&head, &b, classes, loss);
    ot_val v = st == OT_OK ? ot_emit_eval(&b, &head, loss) : OT_NONE;
    st = st == OT_OK ? b.st : st;
    g->n_output = 0;
    if (st == OT_OK)
        st = ot_graph_output(g, "scores", v);
    return settle(out, g, st);
}

ot_status ot_step_graph(ot_graph **out, const ot_model *m, const ot_parameters *ps, const ot_train_options *o,
                        int64_t classes, ot_step_kind kind)
{
    OT_TRY(ot_step_graph_build(out, m, ps, o, classes, kind));
    ot_status st = ot_graph_finish(*out);
    if (st == OT_OK)
        return st;
    ot_graph_close(*out);
    *out = NULL;
    return st;
}

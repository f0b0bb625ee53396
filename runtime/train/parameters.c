#include "train/parameters.h"
#include "graph/layers.h"

#include <string.h>

/* BatchNormalization's inputs 3 and 4 are running statistics, not parameters. */
#define BN_MEAN 3
#define BN_VAR  4

static bool is_batchnorm(const ot_node *n)
{
    return strcmp(n->op->name, "BatchNormalization") == 0;
}

static ot_parameter *named(const ot_parameters *ps, const char *name)
{
    for (int64_t i = 0; i < ps->n; i++)
        if (strcmp(ps->p[i].name, name) == 0)
            return &ps->p[i];
    return NULL;
}

const ot_parameter *ot_parameter_named(const ot_parameters *ps, const char *name)
{
    return named(ps, name);
}

/* Arithmetic on the input before any layer with weights is preprocessing: a mean that is subtracted does not train. */
static bool is_arithmetic(const ot_node *n)
{
    static const char *const names[] = { "Add", "Sub", "Mul", "Div" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(n->op->name, names[i]) == 0)
            return true;
    return false;
}

static ot_status add_parameter(ot_parameters *ps, const ot_value *v, int64_t layer)
{
    ot_parameter *known = named(ps, v->name);
    if (known) { /* tied: frozen if any of its layers is, so the earliest decides */
        if (layer < known->layer)
            known->layer = layer;
        return OT_OK;
    }
    OT_TRY(ot_grow(&ps->p, ps->n, &ps->cap, sizeof(*ps->p)));
    const char *name = ot_arena_strdup(&ps->arena, v->name);
    if (!name)
        return OT_ENOMEM;
    ps->p[ps->n++] = (ot_parameter){ .name = name, .elements = ot_tensor_count(v->tensor), .layer = layer };
    return OT_OK;
}

/* Floating initialisers of more than one element on inputs that can carry a gradient. */
static ot_status collect(ot_parameters *ps, const ot_graph *g)
{
    bool *weighted = ot_calloc((size_t)g->n_value + 1, sizeof(bool)); /* behind a layer with weights */
    ot_status st = weighted ? OT_OK : OT_ENOMEM;
    for (int64_t i = 0; i < g->n_node && st == OT_OK; i++) {
        const ot_node *n = g->node[i];
        bool behind = false, has = false;
        for (int k = 0; k < n->n_in; k++)
            behind |= n->in[k] != OT_NONE && weighted[n->in[k]];
        for (int k = 0; k < n->n_in && st == OT_OK; k++) {
            if (n->in[k] == OT_NONE || n->layer < 0 || n->op->grad == ot_grad_none)
                continue;
            const ot_value *v = &g->value[n->in[k]];
            bool statistic = is_batchnorm(n) && (k == BN_MEAN || k == BN_VAR);
            if (v->origin != OT_FROM_CONSTANT || v->stays || !ot_dtype_is_float(v->fact.dtype) ||
                ot_tensor_count(v->tensor) < 2 || statistic || ot_graph_find(g, v->name) != n->in[k] ||
                (is_arithmetic(n) && !behind))
                continue;
            has = true;
            st = add_parameter(ps, v, n->layer);
        }
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] != OT_NONE)
                weighted[n->out[k]] = behind || has;
    }
    ot_free(weighted);
    return st;
}

static ot_status override(ot_parameters *ps, const char *const *names, int64_t n, bool trains)
{
    for (int64_t i = 0; i < n; i++) {
        ot_parameter *p = named(ps, names[i]);
        if (!p)
            return ot_fail(OT_EARG, "no parameter is named '%s'", names[i]);
        p->trains = trains;
    }
    return OT_OK;
}

static ot_status freeze(ot_parameters *ps, const ot_model *m, const ot_train_options *o)
{
    if (o->freeze_to)
        OT_TRY(ot_find_layer(&ps->first_layer, m, o->freeze_to));
    for (int64_t i = 0; i < ps->n; i++)
        ps->p[i].trains = ps->p[i].layer >= ps->first_layer;
    OT_TRY(override(ps, o->train, o->n_train, true));
    OT_TRY(override(ps, o->no_train, o->n_no_train, false));
    for (int64_t i = 0; i < ps->n; i++)
        if (ps->p[i].trains)
            return OT_OK;
    return ot_fail(OT_EARG, "nothing trains: %lld layers are frozen of %lld, which hold all %lld parameters",
                   (long long)ps->first_layer, (long long)ps->layers, (long long)ps->n);
}

/* A BatchNormalization of a frozen layer uses its running statistics, as does every one under bn_freeze. */
static ot_status find_batchnorms(ot_parameters *ps, const ot_graph *g, const ot_train_options *o)
{
    ps->bn = ot_arena_calloc(&ps->arena, (size_t)ps->layers + 1, sizeof(*ps->bn));
    if (!ps->bn)
        return OT_ENOMEM;
    for (int64_t i = 0; i < g->n_node; i++) {
        const ot_node *n = g->node[i];
        if (!is_batchnorm(n) || n->layer < 0)
            continue;
        bool stays = g->value[n->in[BN_MEAN]].stays || g->value[n->in[BN_VAR]].stays;
        bool learns = n->layer >= ps->first_layer && !o->bn_freeze && !stays;
        if (ps->bn[n->layer] != OT_BN_TRAINS) /* a call of a function may hold several */
            ps->bn[n->layer] = learns ? OT_BN_TRAINS : OT_BN_FROZEN;
        for (int k = BN_MEAN; k <= BN_VAR && learns; k++)
            OT_TRY(ot_strmap_put(&ps->slots, g->value[n->in[k]].name, 1));
    }
    return OT_OK;
}

/* Three rates without groups: the head (the last layer with parameters) and the body, split where the parameters below
 * are half of the body's; two: body and head. */
static ot_status default_groups(ot_parameters *ps, int rates)
{
    int64_t head = 0, body = 0, so_far = 0;
    for (int64_t i = 0; i < ps->n; i++)
        if (ps->p[i].layer > head)
            head = ps->p[i].layer;
    for (int64_t i = 0; i < ps->n; i++)
        body += ps->p[i].layer < head ? ps->p[i].elements : 0;
    ps->groups = rates;
    if (rates > 3)
        return ot_fail(OT_EARG, "%d rates want groups: the layers at which the 2nd, 3rd, ... begin", rates);
    if (rates > 1)
        ps->group_layer[rates - 1] = head;
    if (rates == 3) {
        ps->group_layer[1] = head;
        for (int64_t layer = 0; layer < head; layer++) {
            for (int64_t i = 0; i < ps->n; i++)
                so_far += ps->p[i].layer == layer ? ps->p[i].elements : 0;
            if (2 * so_far >= body) {
                ps->group_layer[1] = layer + 1 < head ? layer + 1 : head;
                break;
            }
        }
    }
    return OT_OK;
}

static ot_status make_groups(ot_parameters *ps, const ot_train_options *o)
{
    int rates = o->n_lr > o->n_wd ? o->n_lr : o->n_wd;
    if (o->n_lr < 1 || o->n_lr > OT_MAX_GROUPS || o->n_wd < 0 || o->n_wd > OT_MAX_GROUPS)
        return ot_fail(OT_EARG, "%d rates and %d decays, at least one rate and at most %d", o->n_lr, o->n_wd,
                       OT_MAX_GROUPS);
    if (o->n_groups > 0) {
        if (o->n_groups >= OT_MAX_GROUPS)
            return ot_fail(OT_EARG, "%d groups, at most %d", o->n_groups + 1, OT_MAX_GROUPS);
        ps->groups = o->n_groups + 1;
        for (int i = 0; i < o->n_groups; i++) {
            int64_t layer = o->groups[i] < 0 ? o->groups[i] + ps->layers : o->groups[i];
            if (layer <= ps->group_layer[i] || layer >= ps->layers)
                return ot_fail(OT_EARG, "group %d begins at layer %lld, which is not after layer %lld and before %lld",
                               i + 1, (long long)layer, (long long)ps->group_layer[i], (long long)ps->layers);
            ps->group_layer[i + 1] = layer;
        }
    } else {
        OT_TRY(default_groups(ps, rates < 1 ? 1 : rates));
    }
    if ((o->n_lr != 1 && o->n_lr != ps->groups) || (o->n_wd > 1 && o->n_wd != ps->groups))
        return ot_fail(OT_EARG, "%d rates and %d decays for %d groups", o->n_lr, o->n_wd, ps->groups);
    for (int i = 0; i < ps->groups; i++) {
        ps->lr[i] = o->lr[o->n_lr == 1 ? 0 : i];
        ps->wd[i] = o->n_wd == 0 ? 0 : o->wd[o->n_wd == 1 ? 0 : i];
        if (!(ps->lr[i] >= 0) || !(ps->wd[i] >= 0))
            return ot_fail(OT_EARG, "rate %g and decay %g of group %d", ps->lr[i], ps->wd[i], i);
    }
    for (int64_t i = 0; i < ps->n; i++)
        for (int k = 0; k < ps->groups; k++)
            if (ps->p[i].layer >= ps->group_layer[k])
                ps->p[i].group = k;
    return OT_OK;
}

ot_status ot_parameters_find(ot_parameters *ps, const ot_model *m, const ot_train_options *o)
{
    ot_derive_opts d = { .for_gradient = true };
    ot_graph *g;
    *ps = (ot_parameters){ .layers = ot_layer_total(m) };
    OT_TRY(ot_derive(&g, m, &d));
    ot_status st = collect(ps, g);
    if (st == OT_OK)
        st = freeze(ps, m, o);
    if (st == OT_OK)
        st = find_batchnorms(ps, g, o);
    if (st == OT_OK)
        st = make_groups(ps, o);
    for (int64_t i = 0; i < ps->n && st == OT_OK; i++)
        if (ps->p[i].trains)
            st = ot_strmap_put(&ps->slots, ps->p[i].name, 1);
    ot_graph_close(g);
    if (st != OT_OK)
        ot_parameters_release(ps);
    return st;
}

void ot_parameters_release(ot_parameters *ps)
{
    ot_free(ps->p);
    ot_strmap_release(&ps->slots);
    ot_arena_release(&ps->arena);
    *ps = (ot_parameters){ 0 };
}

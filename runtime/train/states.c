/* A model that carries a state from run to run takes it as inputs behind its first and returns what becomes of it as
 * outputs behind its first.  In training and evaluation the state lies in the store: no gradient passes to the batch
 * before. */
#include "train/trainer.h"

#include <string.h>

/* The dims of a state of this batch. */
static ot_status state_dims(int64_t *dim, const ot_value *v, int64_t batch)
{
    const ot_fact *f = &v->fact;
    ot_dim open = 0;
    if (f->kind != OT_TENSOR || f->rank < 1 || !ot_dtype_is_float(f->dtype))
        return ot_fail(OT_EUNSUPPORTED, "input '%s' is no floating tensor of a known rank, so it is no state", v->name);
    for (int i = 0; i < f->rank; i++) {
        bool is_open = ot_is_symbol(f->dim[i]);
        if (is_open && open && f->dim[i] != open)
            return ot_fail(OT_EUNSUPPORTED, "state '%s' has two open dimensions, one is the batch", v->name);
        open = is_open ? f->dim[i] : open;
        dim[i] = is_open ? batch : f->dim[i];
    }
    return OT_OK;
}

static ot_status check_update(const ot_value *in, const ot_value *out, const int64_t *dim)
{
    const ot_fact *f = &out->fact;
    bool fits = f->kind == OT_TENSOR && f->dtype == in->fact.dtype && f->rank == in->fact.rank;
    for (int i = 0; fits && i < f->rank; i++)
        fits = ot_is_symbol(f->dim[i]) || f->dim[i] == dim[i];
    return fits ? OT_OK
                : ot_fail(OT_ESHAPE, "state '%s' is %s, output '%s' that is to follow it has another shape or type",
                          in->name, OT_DIMS(in->fact.rank, dim), out->name);
}

ot_status ot_bind_states(ot_graph *g, int64_t batch)
{
    for (int64_t i = 1; i < g->n_input; i++) {
        ot_value *in = &g->value[g->input[i]];
        int64_t dim[OT_MAX_RANK];
        if (i >= g->n_output)
            return ot_fail(OT_EUNSUPPORTED,
                           "the model has %lld inputs and %lld outputs: training takes one input, and states each of "
                           "which an output follows",
                           (long long)g->n_input, (long long)g->n_output);
        OT_TRY(state_dims(dim, in, batch));
        OT_TRY(check_update(in, &g->value[g->output[i].value], dim));
        ot_tensor *zeros = ot_arena_calloc(&g->arena, 1, sizeof(*zeros));
        if (!zeros)
            return OT_ENOMEM;
        *zeros = (ot_tensor){ .dtype = in->fact.dtype, .rank = in->fact.rank };
        memcpy(zeros->dim, dim, (size_t)zeros->rank * sizeof(*dim));
        ot_set_shape(&in->fact, zeros->dtype, zeros->rank, dim);
        in->origin = OT_FROM_SLOT;
        in->tensor = zeros;
        OT_TRY(ot_graph_bind(g, g->input[i], g->output[i].value, false));
    }
    if (g->n_input < 1)
        return ot_fail(OT_EUNSUPPORTED, "the model has no input");
    g->n_input = 1;
    return OT_OK;
}

/* The slot of the i-th input of the model, or NULL. */
static ot_tensor *state(const ot_trainer *t, int64_t i)
{
    const char *name = ot_model_input_name(t->m, i);
    for (int64_t k = 0; k < t->store->n && name; k++)
        if (strcmp(t->store->slot[k].name, name) == 0)
            return &t->store->slot[k].tensor;
    return NULL;
}

ot_status ot_states_copy(char **out, const ot_trainer *t)
{
    size_t bytes = 0, at = 0;
    const int64_t n = ot_model_input_count(t->m);
    for (int64_t i = 1; i < n; i++)
        bytes += state(t, i) ? ot_tensor_bytes(state(t, i)) : 0;
    *out = ot_malloc(bytes + 1, 1);
    for (int64_t i = 1; i < n && *out; i++) {
        const ot_tensor *s = state(t, i);
        if (!s)
            continue;
        memcpy(*out + at, s->data, ot_tensor_bytes(s));
        at += ot_tensor_bytes(s);
    }
    return *out ? OT_OK : OT_ENOMEM;
}

void ot_states_restore(const ot_trainer *t, const char *copy)
{
    for (int64_t i = 1; i < ot_model_input_count(t->m); i++) {
        const ot_tensor *s = state(t, i);
        if (!s)
            continue;
        memcpy(s->data, copy, ot_tensor_bytes(s));
        copy += ot_tensor_bytes(s);
    }
}

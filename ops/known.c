#include "known.h"

#include <string.h>

bool ot_known_scalar(const ot_infer *c, int i, ot_dim *v)
{
    if (i >= c->n_in || !c->x[i])
        return false;
    const ot_tensor *t = c->constant[i];
    if (c->x[i]->value && c->x[i]->n_value == 1) {
        *v = c->x[i]->value[0];
        return true;
    }
    if (!t || ot_tensor_count(t) != 1)
        return false;
    if (ot_dtype_is_int(t->dtype) || t->dtype == OT_BOOL) {
        *v = ot_known_element(ot_tensor_get_int(t, 0));
        return true;
    }
    double d = ot_dtype_is_float(t->dtype) ? ot_tensor_get(t, 0) : 0;
    if (!ot_dtype_is_float(t->dtype) || !(d > -0x1p62 && d < 0x1p62))
        return false;
    *v = (ot_dim)d;
    return true;
}

bool ot_open_rank(const ot_infer *c, int i)
{
    for (int k = i < 0 ? 0 : i; k < c->n_in && (i < 0 || k == i); k++)
        if (c->x[k] && c->x[k]->kind == OT_TENSOR && c->x[k]->rank < 0)
            return true;
    return false;
}

ot_status ot_open_like(ot_infer *c, int i)
{
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[i]->rank, c->x[i]->dim);
    return OT_OK;
}

bool ot_is_small(const ot_fact *f, int64_t most)
{
    int64_t n;
    for (int d = 0; d < f->rank; d++)
        if (ot_is_symbol(f->dim[d]))
            return false;
    return f->kind == OT_TENSOR && f->rank >= 0 && ot_count(&n, f->rank, f->dim) && n <= most;
}

static void view_of(ot_tensor *t, const ot_fact *f, const ot_dim *v)
{
    union {
        const void *in;
        void *out;
    } data = { .in = v };
    *t = (ot_tensor){ .dtype = OT_INT64, .rank = f->rank, .data = data.out };
    memcpy(t->dim, f->dim, sizeof(t->dim));
}

bool ot_known_view(const ot_infer *c, int i, ot_tensor *t)
{
    if (i >= c->n_in || !c->x[i] || !c->x[i]->value || !ot_is_small(c->x[i], c->x[i]->n_value))
        return false;
    view_of(t, c->x[i], c->x[i]->value);
    return ot_tensor_count(t) == c->x[i]->n_value;
}

bool ot_known_numbers(const ot_infer *c, int i, ot_tensor *t)
{
    if (i < c->n_in && c->x[i] && c->constant[i]) {
        *t = *c->constant[i];
        return true;
    }
    if (!ot_known_view(c, i, t))
        return false;
    for (int k = 0; k < c->x[i]->n_value; k++)
        if (ot_is_symbol(c->x[i]->value[k]))
            return false;
    return true;
}

bool ot_value_room(ot_infer *c, ot_tensor *t)
{
    ot_fact *y = &c->y[0];
    ot_dim *v = NULL;
    int64_t n;
    if (ot_is_small(y, OT_MAX_VALUE) && ot_count(&n, y->rank, y->dim))
        v = ot_value_alloc(c, (int)n);
    if (v)
        view_of(t, y, v);
    return v != NULL;
}

void ot_hand_on(ot_infer *c, const ot_tensor *t)
{
    c->y[0].value = t->data;
    c->y[0].n_value = (int)ot_tensor_count(t);
}

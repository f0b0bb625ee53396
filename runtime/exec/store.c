#include "exec/store.h"

#include <string.h>

ot_status ot_store_create(ot_store **out)
{
    *out = ot_calloc(1, sizeof(**out));
    if (!*out)
        return OT_ENOMEM;
    (*out)->version = 1;
    return OT_OK;
}

void ot_store_close(ot_store *s)
{
    if (!s)
        return;
    for (int64_t i = 0; i < s->n; i++) {
        ot_free(s->slot[i].name);
        ot_tensor_release(&s->slot[i].tensor);
    }
    ot_free(s->slot);
    ot_strmap_release(&s->by_name);
    ot_packs_release(&s->packs);
    ot_free(s);
}

static ot_status check_same(const char *name, const ot_tensor *have, const ot_tensor *given)
{
    bool same = have->dtype == given->dtype && have->rank == given->rank;
    for (int i = 0; same && i < have->rank; i++)
        same = have->dim[i] == given->dim[i];
    if (same)
        return OT_OK;
    return ot_fail(OT_ESHAPE, "state '%s' is %s %s, given %s %s", name, ot_dtype_name(have->dtype),
                   OT_DIMS(have->rank, have->dim), ot_dtype_name(given->dtype), OT_DIMS(given->rank, given->dim));
}

ot_status ot_store_slot(ot_store *s, int64_t *index, const char *name, const ot_tensor *initial)
{
    *index = ot_strmap_get(&s->by_name, name, -1);
    if (*index >= 0)
        return check_same(name, &s->slot[*index].tensor, initial);
    OT_TRY(ot_grow(&s->slot, s->n, &s->cap, sizeof(*s->slot)));
    ot_slot slot = { .name = ot_strdup(name) };
    ot_status st = slot.name ? ot_tensor_init(&slot.tensor, initial->dtype, initial->rank, initial->dim) : OT_ENOMEM;
    if (st == OT_OK)
        st = ot_strmap_put(&s->by_name, name, s->n);
    if (st != OT_OK) {
        ot_free(slot.name);
        ot_tensor_release(&slot.tensor);
        return st;
    }
    size_t bytes = ot_tensor_bytes(initial);
    if (initial->data)
        memcpy(slot.tensor.data, initial->data, bytes);
    s->bytes += bytes;
    *index = s->n;
    s->slot[s->n++] = slot;
    return OT_OK;
}

const ot_tensor *ot_store_find(const ot_store *s, const char *name)
{
    int64_t i = ot_strmap_get(&s->by_name, name, -1);
    return i < 0 ? NULL : &s->slot[i].tensor;
}

ot_status ot_store_set(ot_store *s, const char *name, const ot_tensor *value)
{
    int64_t i = ot_strmap_get(&s->by_name, name, -1);
    if (i < 0)
        return ot_fail(OT_EARG, "no state is named '%s'", name);
    OT_TRY(check_same(name, &s->slot[i].tensor, value));
    memcpy(s->slot[i].tensor.data, value->data, ot_tensor_bytes(value));
    s->version++;
    return OT_OK;
}

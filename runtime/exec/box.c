/* Boxes: values of a walk, shared by count.  Every byte is counted against the cap. */
#include "exec/walk.h"

#include <string.h>

static ot_status charge(ot_walker *w, size_t bytes)
{
    size_t cap = w->o->memory, fixed = w->o->store->bytes + w->o->store->packs.bytes + w->scratch_bytes;
    if (cap && (fixed > cap || bytes > cap - fixed || w->live > cap - fixed - bytes))
        return ot_fail(OT_ENOMEM, "the values take %zu bytes beside %zu, the cap is %zu", w->live + bytes, fixed, cap);
    w->live += bytes;
    if (w->live > w->peak)
        w->peak = w->live;
    return OT_OK;
}

/* What a box takes besides its value: a sequence may hold very many empty ones. */
#define BOX_BYTES (sizeof(ot_box) + 256)

static void free_box(ot_box *b)
{
    if (b)
        b->walker->live -= BOX_BYTES;
    ot_free(b);
}

static ot_box *new_box(ot_walker *w, ot_kind kind)
{
    if (charge(w, BOX_BYTES) != OT_OK)
        return NULL;
    ot_box *b = ot_calloc(1, sizeof(*b));
    if (b)
        *b = (ot_box){ .kind = kind, .refs = 1, .walker = w };
    else
        w->live -= BOX_BYTES;
    return b;
}

static ot_box *new_tensor(ot_walker *w, ot_dtype dtype, int rank, const int64_t *dim, bool zeroed)
{
    size_t bytes;
    if (ot_check_span(rank, dim) != OT_OK || ot_bytes(&bytes, dtype, rank, dim) != OT_OK || charge(w, bytes) != OT_OK)
        return NULL;
    ot_box *b = new_box(w, OT_TENSOR);
    void *data = zeroed || dtype == OT_STRING ? ot_calloc(bytes + 1, 1) : ot_malloc(bytes + 1, 1);
    if (!b || !data) {
        free_box(b);
        ot_free(data);
        w->live -= bytes;
        return NULL;
    }
    b->tensor = (ot_tensor){ .dtype = dtype, .rank = rank, .data = data };
    if (rank)
        memcpy(b->tensor.dim, dim, (size_t)rank * sizeof(*dim));
    return b;
}

ot_box *ot_box_tensor(const ot_flow *f, ot_dtype dtype, int rank, const int64_t *dim)
{
    return new_tensor(f->walker, dtype, rank, dim, true);
}

ot_box *ot_box_blank(ot_walker *w, const ot_fact *f)
{
    return new_tensor(w, f->dtype, f->rank, f->dim, false);
}

ot_box *ot_box_lend(ot_walker *w, const ot_tensor *t)
{
    ot_box *b = new_box(w, OT_TENSOR);
    if (b) {
        b->tensor = *t;
        b->lent = true;
    }
    return b;
}

ot_box *ot_box_view(ot_walker *w, ot_box *b, const ot_fact *f)
{
    ot_box *view = new_box(w, OT_TENSOR);
    if (!view)
        return NULL;
    view->tensor = (ot_tensor){ .dtype = f->dtype, .rank = f->rank, .data = b->tensor.data };
    memcpy(view->tensor.dim, f->dim, (size_t)f->rank * sizeof(*f->dim));
    view->owner = ot_box_share(b->owner ? b->owner : b);
    return view;
}

ot_box *ot_box_items(const ot_flow *f, ot_kind kind, ot_kind holds, int64_t n, ot_box *const *item)
{
    size_t bytes;
    if (!ot_mul(&bytes, (size_t)n, sizeof(*item)) || charge(f->walker, bytes) != OT_OK)
        return NULL;
    ot_box *b = new_box(f->walker, kind);
    ot_box **list = ot_calloc((size_t)n + 1, sizeof(*list));
    if (!b || !list) {
        free_box(b);
        ot_free(list);
        f->walker->live -= bytes;
        return NULL;
    }
    for (int64_t i = 0; i < n; i++)
        list[i] = ot_box_share(item[i]);
    b->item = list;
    b->n = n;
    b->holds = holds;
    return b;
}

ot_box *ot_box_share(ot_box *b)
{
    if (b)
        b->refs++;
    return b;
}

/* As deep as the kinds of the model's types lie inside each other. */
void ot_box_drop(ot_box *b)
{
    if (!b || --b->refs > 0)
        return;
    for (int64_t i = 0; i < b->n; i++)
        ot_box_drop(b->item[i]);
    if (b->item)
        b->walker->live -= (size_t)b->n * sizeof(*b->item);
    ot_free(b->item);
    ot_box_drop(b->owner);
    if (b->kind == OT_TENSOR && !b->owner && !b->lent) {
        b->walker->live -= ot_tensor_bytes(&b->tensor);
        ot_tensor_release(&b->tensor);
    }
    free_box(b);
}

ot_status ot_box_own_text(ot_box *b)
{
    int64_t n = b->tensor.dtype == OT_STRING ? ot_tensor_count(&b->tensor) : 0;
    ot_str *s = b->tensor.data;
    ot_status st = OT_OK;
    for (int64_t i = 0; i < n; i++) {
        const char *from = s[i].bytes;
        char *copy = st == OT_OK ? ot_malloc(s[i].n + 1, 1) : NULL;
        s[i].bytes = copy;
        if (!copy) {
            st = OT_ENOMEM;
            s[i].n = 0;
            continue;
        }
        if (s[i].n)
            memcpy(copy, from, s[i].n);
        copy[s[i].n] = 0;
    }
    return st;
}

ot_status ot_box_fact(ot_fact *out, ot_arena *arena, const ot_box *b, bool with_elements)
{
    *out = (ot_fact){ .kind = b->kind, .rank = -1 };
    if (b->kind != OT_TENSOR)
        return OT_OK;
    if (with_elements)
        return ot_fact_of_tensor(out, arena, &b->tensor);
    ot_set_shape(out, b->tensor.dtype, b->tensor.rank, b->tensor.dim);
    return OT_OK;
}

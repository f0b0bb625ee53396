/* Boxes and the items of the public header. */
#include "exec/walk.h"

#include <string.h>

ot_box *ot_box_of_item(ot_walker *w, const ot_item *v)
{
    if (v->kind == OT_TENSOR)
        return ot_box_lend(w, v->tensor);
    const ot_flow f = { .walker = w };
    ot_box **item = ot_calloc((size_t)v->n + 1, sizeof(*item)), *out = NULL;
    bool good = item != NULL;
    for (int64_t i = 0; i < v->n && good; i++) {
        item[i] = ot_box_of_item(w, &v->item[i]);
        good = item[i] != NULL;
    }
    if (good)
        out = ot_box_items(&f, v->kind, v->n ? v->item[0].kind : v->holds, v->n, item);
    for (int64_t i = 0; i < v->n && item; i++)
        ot_box_drop(item[i]);
    ot_free(item);
    return out;
}

ot_status ot_item_of_box(ot_item *out, ot_arena *arena, ot_box *b)
{
    *out = (ot_item){ .kind = b->kind };
    if (b->kind == OT_TENSOR) {
        out->tensor = &b->tensor;
        return OT_OK;
    }
    out->n = b->n;
    out->holds = b->n ? b->item[0]->kind : b->holds;
    out->item = ot_arena_calloc(arena, (size_t)b->n + 1, sizeof(*out->item));
    if (!out->item)
        return OT_ENOMEM;
    for (int64_t i = 0; i < b->n; i++)
        OT_TRY(ot_item_of_box(&out->item[i], arena, b->item[i]));
    return OT_OK;
}

/* Items of sequences have no dims in common, and none that others are bound to. */
static ot_status check_held(const ot_graph *g, const char *name, const ot_fact *f, const ot_tensor *t)
{
    bool good = (f->dtype == t->dtype || f->dtype == OT_UNDEFINED) && (f->rank < 0 || f->rank == t->rank);
    for (int i = 0; i < f->rank && good; i++)
        good = ot_is_symbol(f->dim[i]) || f->dim[i] == t->dim[i];
    if (!good)
        return ot_fail(OT_ESHAPE, "an item of input '%s' is %s %s, not %s", name, ot_dtype_name(t->dtype),
                       OT_DIMS(t->rank, t->dim), ot_fact_text(g, f, (char[OT_DIMS_TEXT]){ 0 }, OT_DIMS_TEXT));
    ot_status st = ot_check_span(t->rank, t->dim);
    return st == OT_OK ? st : ot_context(st, "input '%s'", name);
}

static ot_status check_inside(const ot_graph *g, const char *name, const ot_fact *f, const ot_item *v)
{
    static const char *const kinds[] = { "tensor", "sequence", "optional", "map" };
    if (v->kind != f->kind)
        return ot_fail(OT_ESHAPE, "input '%s' holds a%s %s where a%s %s is taken", name,
                       v->kind == OT_OPTIONAL ? "n" : "", kinds[v->kind], f->kind == OT_OPTIONAL ? "n" : "",
                       kinds[f->kind]);
    if (v->kind == OT_TENSOR)
        return v->tensor ? check_held(g, name, f, v->tensor)
                         : ot_fail(OT_EARG, "a tensor of input '%s' is missing", name);
    if (v->n < 0 || (v->kind == OT_OPTIONAL && v->n > 1) || (v->n && !v->item))
        return ot_fail(OT_EARG, "input '%s' holds %lld items", name, (long long)v->n);
    for (int64_t i = 0; i < v->n && f->element; i++)
        OT_TRY(check_inside(g, name, f->element, &v->item[i]));
    return OT_OK;
}

ot_status ot_check_item(const ot_graph *g, ot_dim *binding, const ot_value *input, const ot_fact *f, const ot_item *v)
{
    if (!v)
        return ot_fail(OT_EARG, "input '%s' is missing", input->name);
    if (f->kind == OT_TENSOR && v->kind == OT_TENSOR && v->tensor)
        return ot_bind_input(g, binding, input, v->tensor);
    return check_inside(g, input->name, f, v);
}

#include "boxes.h"

#include <string.h>

ot_status ot_list_add(ot_box_list *l, ot_box *b)
{
    ot_status st = b ? ot_grow(&l->box, l->n, &l->cap, sizeof(*l->box)) : OT_ENOMEM;
    if (st == OT_OK)
        l->box[l->n++] = b;
    else
        ot_box_drop(b);
    return st;
}

void ot_list_drop(ot_box_list *l)
{
    for (int64_t i = 0; i < l->n; i++)
        ot_box_drop(l->box[i]);
    ot_free(l->box);
    *l = (ot_box_list){ 0 };
}

ot_status ot_flow_tensor(const ot_tensor **out, const ot_flow *f, int i)
{
    if (i >= f->n_in || !f->x[i])
        return ot_fail(OT_EMODEL, "input %d is missing", i);
    if (f->x[i]->kind != OT_TENSOR)
        return ot_fail(OT_EMODEL, "input %d is not a tensor", i);
    *out = &f->x[i]->tensor;
    return OT_OK;
}

ot_status ot_flow_scalar(int64_t *out, const ot_flow *f, int i, int64_t otherwise)
{
    const ot_tensor *t = NULL;
    *out = otherwise;
    if (i >= f->n_in || !f->x[i])
        return OT_OK;
    OT_TRY(ot_flow_tensor(&t, f, i));
    if (ot_tensor_count(t) != 1 || !(ot_dtype_is_int(t->dtype) || t->dtype == OT_BOOL))
        return ot_fail(OT_ESHAPE, "input %d must be one integer or bool, not %s %s", i, ot_dtype_name(t->dtype),
                       OT_DIMS(t->rank, t->dim));
    *out = ot_tensor_get_int(t, 0);
    return OT_OK;
}

/* n elements of x from `from` on to y from `at` on; calls come in rising order of `at`. */
static void copy_elements(ot_tensor *y, int64_t at, const ot_tensor *x, int64_t from, int64_t n)
{
    size_t size = ot_dtype_size(x->dtype);
    if (size && n)
        memcpy((char *)y->data + (size_t)at * size, (const char *)x->data + (size_t)from * size, (size_t)n * size);
    for (int64_t i = 0; i < n && !size; i++)
        ot_tensor_set_packed(y, at + i, ot_tensor_get_packed(x, from + i));
}

static int64_t product(const int64_t *dim, int from, int to)
{
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= dim[i];
    return n;
}

static ot_status check_piece(const ot_tensor *first, const ot_box *b, int64_t i, int free_axis)
{
    const ot_tensor *t = &b->tensor;
    if (b->kind != OT_TENSOR)
        return ot_fail(OT_EMODEL, "piece %lld is not a tensor", (long long)i);
    bool same = t->dtype == first->dtype && t->rank == first->rank;
    for (int d = 0; d < t->rank && same; d++)
        same = d == free_axis || t->dim[d] == first->dim[d];
    return same ? OT_OK
                : ot_fail(OT_ESHAPE, "piece %lld is %s %s, the first %s %s", (long long)i, ot_dtype_name(t->dtype),
                          OT_DIMS(t->rank, t->dim), ot_dtype_name(first->dtype), OT_DIMS(first->rank, first->dim));
}

/* The dims of the whole. */
static ot_status join_dims(ot_tensor *y, int *at, int64_t n, ot_box *const *piece, int64_t axis, bool fresh)
{
    const ot_tensor *first = &piece[0]->tensor;
    *y = (ot_tensor){ .dtype = first->dtype, .rank = first->rank + fresh };
    if (y->rank > OT_MAX_RANK)
        return ot_fail(OT_EUNSUPPORTED, "rank %d, at most %d is taken", y->rank, OT_MAX_RANK);
    OT_TRY(ot_axis(at, axis, y->rank));
    for (int i = 0, k = 0; i < y->rank; i++)
        y->dim[i] = fresh && i == *at ? n : first->dim[k++];
    if (!fresh)
        y->dim[*at] = 0;
    for (int64_t i = 0; i < n; i++) {
        OT_TRY(check_piece(first, piece[i], i, fresh ? -1 : *at));
        if (!fresh && __builtin_add_overflow(y->dim[*at], piece[i]->tensor.dim[*at], &y->dim[*at]))
            return ot_fail(OT_ENOMEM, "the pieces come to over 2^63 elements");
    }
    return OT_OK;
}

ot_status ot_join(ot_box **out, const ot_flow *f, int64_t n, ot_box *const *piece, int64_t axis, bool fresh,
                  bool backward)
{
    ot_tensor y;
    int at;
    *out = NULL;
    if (n == 0)
        return ot_fail(OT_EMODEL, "there is nothing to put together");
    if (piece[0]->kind != OT_TENSOR)
        return ot_fail(OT_EMODEL, "piece 0 is not a tensor");
    OT_TRY(join_dims(&y, &at, n, piece, axis, fresh));
    ot_box *b = ot_box_tensor(f, y.dtype, y.rank, y.dim);
    if (!b)
        return OT_ENOMEM;
    int64_t outer = product(y.dim, 0, at), inner = product(y.dim, at + 1, y.rank), to = 0;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++) {
            const ot_tensor *x = &piece[backward ? n - 1 - i : i]->tensor;
            int64_t run = inner * (fresh ? 1 : x->dim[at]);
            copy_elements(&b->tensor, to, x, o * run, run);
            to += run;
        }
    *out = b;
    return ot_box_own_text(b);
}

ot_status ot_cut(ot_box **out, const ot_flow *f, const ot_tensor *x, int axis, int64_t at, int64_t n, bool keep)
{
    int64_t dim[OT_MAX_RANK] = { 0 }, outer = product(x->dim, 0, axis), inner = product(x->dim, axis + 1, x->rank);
    int rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (i != axis || keep)
            dim[rank++] = i == axis ? n : x->dim[i];
    ot_box *b = ot_box_tensor(f, x->dtype, rank, dim);
    *out = b;
    if (!b)
        return OT_ENOMEM;
    for (int64_t o = 0; o < outer; o++)
        copy_elements(&b->tensor, o * n * inner, x, (o * x->dim[axis] + at) * inner, n * inner);
    return ot_box_own_text(b);
}

#include "broadcast.h"

typedef struct pairs {
    int rank;
    int64_t dim[OT_MAX_RANK], sa[OT_MAX_RANK], sb[OT_MAX_RANK];
    int64_t chunks; /* of a row */
    ot_pair_row *fn;
    const char *a, *b;
    char *y;
    int64_t size_a, size_b, size_y; /* bytes of an element */
} pairs;

/* Neighbouring dims that both inputs walk as one become one. */
static void collapse(pairs *p, const ot_run *r)
{
    int64_t sa[OT_MAX_RANK], sb[OT_MAX_RANK];
    const ot_tensor *y = &r->y[0];
    ot_broadcast_strides(sa, &r->x[0], y);
    ot_broadcast_strides(sb, &r->x[1], y);
    for (int i = 0; i < y->rank; i++) {
        int last = p->rank - 1;
        if (y->dim[i] == 1)
            continue;
        if (last >= 0 && p->sa[last] == sa[i] * y->dim[i] && p->sb[last] == sb[i] * y->dim[i])
            p->dim[last] *= y->dim[i];
        else
            p->dim[last = p->rank++] = y->dim[i];
        p->sa[last] = sa[i];
        p->sb[last] = sb[i];
    }
    if (p->rank == 0)
        p->dim[p->rank++] = 1;
}

static void some_rows(void *ctx, int64_t first, int64_t end)
{
    const pairs *p = ctx;
    int last = p->rank - 1;
    for (int64_t t = first; t < end; t++) {
        int64_t row = t / p->chunks, from = t % p->chunks * OT_GRAIN, a = 0, b = 0, n = p->dim[last] - from;
        int64_t y = row * p->dim[last] + from;
        for (int d = last - 1; d >= 0; d--) {
            int64_t k = row % p->dim[d];
            row /= p->dim[d];
            a += k * p->sa[d];
            b += k * p->sb[d];
        }
        a += from * p->sa[last];
        b += from * p->sb[last];
        p->fn(n < OT_GRAIN ? n : OT_GRAIN, p->a + a * p->size_a, p->sa[last], p->b + b * p->size_b, p->sb[last],
              p->y + y * p->size_y);
    }
}

void ot_for_pairs(const ot_run *r, ot_pair_row *fn)
{
    pairs p = { .fn = fn, .a = r->x[0].data, .b = r->x[1].data, .y = r->y[0].data };
    int64_t n = ot_tensor_count(&r->y[0]);
    if (n == 0)
        return;
    collapse(&p, r);
    p.size_a = (int64_t)ot_dtype_size(r->x[0].dtype);
    p.size_b = (int64_t)ot_dtype_size(r->x[1].dtype);
    p.size_y = (int64_t)ot_dtype_size(r->y[0].dtype);
    int64_t row = p.dim[p.rank - 1];
    p.chunks = (row + OT_GRAIN - 1) / OT_GRAIN;
    ot_for_ranges(r, n / row * p.chunks, row < OT_GRAIN ? OT_GRAIN / row : 1, some_rows, &p);
}

void ot_old_broadcast(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const ot_fact *x = ot_fact_of(b, ot_x(b, 0)), *z = ot_fact_of(b, ot_x(b, 1));
    const ot_attr *axis = ot_attr_find(n, "axis");
    if (n->opset >= 7 || !axis || !ot_attr_int(n, "broadcast", 0))
        return;
    int64_t at = axis->i < 0 ? axis->i + x->rank : axis->i, trail[OT_MAX_RANK];
    if (x->rank < 0 || z->rank < 0 || at < 0 || at + z->rank > x->rank) {
        ot_build_fail(b, ot_fail(OT_ESHAPE, "axis %lld: rank %d does not lie within rank %d", (long long)axis->i,
                                 z->rank, x->rank));
        return;
    }
    int count = (int)(x->rank - at - z->rank);
    for (int i = 0; i < count; i++)
        trail[i] = z->rank + i;
    ot_val v = count ? OT_EMIT(b, "Unsqueeze", ot_x(b, 1), ot_const_ints(b, count, trail)) : ot_x(b, 1);
    ot_becomes(b, 0, OT_EMIT(b, n->op->name, ot_x(b, 0), v));
}

/* Transpose: y[i] has the dims of x in the order of `perm`; no perm reverses them.  Where only dims of 1 change places
 * it is a view.  Backward reads no data. */
#include "strided.h"

static ot_status permutation(int *perm, const ot_node *n, int rank)
{
    int count;
    bool seen[OT_MAX_RANK] = { 0 };
    const int64_t *given = ot_attr_ints(n, "perm", &count);
    if (!ot_attr_find(n, "perm"))
        for (int i = 0; i < rank; i++)
            perm[i] = rank - 1 - i;
    else if (count != rank)
        return ot_fail(OT_ESHAPE, "perm has %d axes, the input %d", count, rank);
    for (int i = 0; i < count; i++) {
        if (given[i] < 0 || given[i] >= rank || seen[given[i]])
            return ot_fail(OT_EMODEL, "perm %s is no order of %d axes", OT_DIMS(count, given), rank);
        seen[given[i]] = true;
        perm[i] = (int)given[i];
    }
    return OT_OK;
}

static ot_status transpose_infer(ot_infer *c)
{
    int perm[OT_MAX_RANK];
    ot_dim dim[OT_MAX_RANK];
    c->y[0].dtype = c->x[0]->dtype;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(permutation(perm, c->node, c->x[0]->rank));
    for (int i = 0; i < c->x[0]->rank; i++)
        dim[i] = c->x[0]->dim[perm[i]];
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[0]->rank, dim);
    if (c->x[0]->rank <= 1) {
        c->y[0].value = c->x[0]->value;
        c->y[0].n_value = c->x[0]->n_value;
    }
    return OT_OK;
}

static ot_status transpose_run(const ot_run *r)
{
    int perm[OT_MAX_RANK];
    int64_t stride[OT_MAX_RANK];
    const ot_tensor *x = &r->x[0];
    ot_walk w = ot_walk_into(&r->y[0], x);
    OT_TRY(permutation(perm, r->node, x->rank));
    ot_dense_strides(stride, x->rank, x->dim);
    for (int i = 0; i < x->rank; i++)
        w.from_stride[i] = stride[perm[i]];
    ot_walk_copy(r, &w);
    return OT_OK;
}

static int transpose_view(const ot_prep *p)
{
    int perm[OT_MAX_RANK], last = -1;
    if (permutation(perm, p->node, p->x[0]->rank) != OT_OK)
        return -1;
    for (int i = 0; i < p->x[0]->rank; i++) {
        if (p->x[0]->dim[perm[i]] == 1)
            continue;
        if (perm[i] < last)
            return -1;
        last = perm[i];
    }
    return 0;
}

static void transpose_differentiate(ot_build *b)
{
    int perm[OT_MAX_RANK];
    int64_t inverse[OT_MAX_RANK];
    int rank = ot_fact_of(b, ot_x(b, 0))->rank;
    ot_status st = permutation(perm, ot_the_node(b), rank);
    if (st != OT_OK)
        ot_build_fail(b, st);
    for (int i = 0; st == OT_OK && i < rank; i++)
        inverse[perm[i]] = i;
    ot_give(b, 0, OT_EMIT_WITH(b, "Transpose", OT_ATTRS(OT_INTS("perm", inverse, rank)), ot_dy(b, 0)));
}

static const ot_kernel transpose_kernels[] = {
    { .name = "strided", .run = transpose_run, .in_bytes = true },
    { 0 },
};

const ot_op ot_op_Transpose = { .domain = "",
                                .name = "Transpose",
                                .since = 1,
                                .until = OT_LATEST,
                                .min_in = 1,
                                .max_in = 1,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = transpose_infer,
                                .grad = transpose_differentiate,
                                .cpu = transpose_kernels,
                                .view = transpose_view };

/* Gemm: Y = alpha A' B' + beta C, where A' [M,K] and B' [K,N] are A and B, transposed by transA and transB, and C (may
 * be absent) broadcasts to [M,N].  Backward reads A for B and B for A; Y and C may be freed.  Integers wrap. */
#include "product.h"

#include <string.h>

typedef struct gemm_size {
    ot_dim m, n, k;
    bool trans_a, trans_b;
} gemm_size;

static gemm_size size_of(const ot_node *node, const ot_dim *a, const ot_dim *b)
{
    gemm_size s = { .trans_a = ot_attr_int(node, "transA", 0) != 0, .trans_b = ot_attr_int(node, "transB", 0) != 0 };
    s.m = a[s.trans_a];
    s.k = a[!s.trans_a];
    s.n = b[!s.trans_b];
    return s;
}

static ot_status check_c(ot_infer *c, const gemm_size *s)
{
    const ot_fact *x = c->x[2];
    const ot_dim want[2] = { s->m, s->n };
    OT_TRY(ot_rank_between(c, 2, 0, 2));
    for (int i = 0; i < x->rank; i++) {
        ot_dim d = x->dim[x->rank - 1 - i], w = want[1 - i];
        if (d != 1 && d != w && !ot_is_symbol(d) && !ot_is_symbol(w))
            return ot_fail(OT_ESHAPE, "C %s does not broadcast to %s", OT_DIMS(x->rank, x->dim), OT_DIMS(2, want));
    }
    return OT_OK;
}

static ot_status gemm_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 2, 2));
    OT_TRY(ot_rank_between(c, 1, 2, 2));
    gemm_size s = size_of(c->node, c->x[0]->dim, c->x[1]->dim);
    ot_dim k = c->x[1]->dim[s.trans_b];
    OT_TRY(ot_product_type(c));
    if (s.k != k && !ot_is_symbol(s.k) && !ot_is_symbol(k))
        return ot_fail(OT_ESHAPE, "A' has %lld columns, B' has %lld rows", (long long)s.k, (long long)k);
    if (c->n_in > 2 && c->x[2])
        OT_TRY(check_c(c, &s));
    ot_set_shape(&c->y[0], c->x[0]->dtype, 2, (const ot_dim[]){ s.m, s.n });
    return OT_OK;
}

static ot_status gemm_prepare(ot_prep *p)
{
    gemm_size s = size_of(p->node, p->x[0]->dim, p->x[1]->dim);
    p->scratch = ot_gemm_workspace(s.m, s.n, s.k, p->threads);
    return OT_OK;
}

/* Y = beta * C, broadcast. */
static void spread(const ot_tensor *c, float beta, const gemm_size *s, float *y)
{
    const ot_tensor like = { .dtype = OT_FLOAT, .rank = 2, .dim = { s->m, s->n } };
    const float *v = c->data;
    int64_t step[OT_MAX_RANK];
    ot_broadcast_strides(step, c, &like);
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->n; j++)
            y[i * s->n + j] = beta * v[i * step[0] + j * step[1]];
}

static ot_gemm_args args_of(const ot_run *r)
{
    const gemm_size s = size_of(r->node, r->x[0].dim, r->x[1].dim);
    return (ot_gemm_args){ .m = s.m,
                           .n = s.n,
                           .k = s.k,
                           .a = r->x[0].data,
                           .a_row = s.trans_a ? 1 : s.k,
                           .a_col = s.trans_a ? s.m : 1,
                           .b = r->x[1].data,
                           .b_row = s.trans_b ? 1 : s.n,
                           .b_col = s.trans_b ? s.k : 1,
                           .c = r->y[0].data,
                           .ldc = s.n,
                           .alpha = (float)ot_attr_float(r->node, "alpha", 1) };
}

/* C is one row that is added as it is. */
static bool is_row(const ot_node *node, int rank, const int64_t *dim, int64_t n)
{
    int64_t count = 1;
    for (int d = 0; d < rank; d++)
        count *= dim[d];
    return ot_attr_float(node, "beta", 1) == 1 && count == n && (rank == 1 || (rank == 2 && dim[0] == 1));
}

static ot_status gemm_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    const gemm_size s = size_of(r->node, r->x[0].dim, r->x[1].dim);
    const float beta = (float)ot_attr_float(r->node, "beta", 1);
    ot_gemm_args g = args_of(r);
    if (s.m == 0 || s.n == 0)
        return OT_OK;
    const ot_tensor *c = ot_has_x(r, 2) ? &r->x[2] : NULL;
    if (c && is_row(r->node, c->rank, c->dim, s.n)) {
        g.epi.bias_col = c->data;
    } else if (c && beta != 0) {
        spread(c, beta, &s, r->y[0].data);
        g.beta = 1;
    }
    ot_gemm(&g, r->scratch, &pool);
    return OT_OK;
}

static const char *packed_declines(const ot_prep *p)
{
    const gemm_size s = size_of(p->node, p->x[0]->dim, p->x[1]->dim);
    const ot_fact *c = p->n_in > 2 ? p->x[2] : NULL;
    if (s.k == 0 || s.n == 0)
        return "an empty tensor";
    if (ot_attr_float(p->node, "alpha", 1) != 1 || (c && !is_row(p->node, c->rank, c->dim, s.n)))
        return "alpha, beta or the shape of C";
    return ot_packed_product_declines(p, s.m, s.trans_a);
}

static ot_status packed_prepare(ot_prep *p)
{
    const gemm_size s = size_of(p->node, p->x[0]->dim, p->x[1]->dim);
    return ot_packed_product_prepare(p, s.n, s.k);
}

static ot_status packed_run(const ot_run *r)
{
    ot_gemm_args g = args_of(r);
    g.epi.bias_col = ot_has_x(r, 2) ? r->x[2].data : NULL;
    return ot_packed_product_run(r, &g);
}

static ot_status gemm_reference(const ot_run *r)
{
    const gemm_size s = size_of(r->node, r->x[0].dim, r->x[1].dim);
    const double alpha = ot_attr_float(r->node, "alpha", 1), beta = ot_attr_float(r->node, "beta", 1);
    const ot_matrix a = { &r->x[0], 0, s.trans_a ? 1 : s.k, s.trans_a ? s.m : 1 };
    const ot_matrix b = { &r->x[1], 0, s.trans_b ? 1 : s.n, s.trans_b ? s.k : 1 };
    int64_t step[OT_MAX_RANK] = { 0 };
    if (ot_has_x(r, 2))
        ot_broadcast_strides(step, &r->x[2], &r->y[0]);
    for (int64_t i = 0; i < s.m; i++)
        for (int64_t j = 0; j < s.n; j++) {
            int64_t at = i * step[0] + j * step[1];
            if (r->y[0].dtype == OT_DOUBLE) {
                double add = ot_has_x(r, 2) && beta != 0 ? beta * ((const double *)r->x[2].data)[at] : 0;
                ((double *)r->y[0].data)[i * s.n + j] = alpha * ot_dot(&a, &b, i, j, s.k) + add;
            } else {
                uint64_t sum = ot_dot_int(&a, &b, i, j, s.k);
                uint64_t add = ot_has_x(r, 2) ? (uint64_t)ot_tensor_get_int(&r->x[2], at) : 0;
                if (alpha != 1 || beta != 1) { /* as floats that are rounded towards 0 */
                    sum = (uint64_t)(int64_t)(alpha * (double)(int64_t)sum + beta * (double)(int64_t)add);
                    add = 0;
                }
                ot_put_int(&r->y[0], i * s.n + j, sum + add);
            }
        }
    return OT_OK;
}

static void gemm_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const ot_val dy = ot_dy(b, 0), x = ot_x(b, 0), w = ot_x(b, 1);
    const double alpha = ot_attr_float(n, "alpha", 1), beta = ot_attr_float(n, "beta", 1);
    const bool ta = ot_attr_int(n, "transA", 0) != 0, tb = ot_attr_int(n, "transB", 0) != 0;
#define PRODUCT(p, trans_p, q, trans_q)                                                                                \
    OT_EMIT_WITH(b, "Gemm",                                                                                            \
                 OT_ATTRS(OT_REAL("alpha", alpha), OT_INT("transA", (trans_p)), OT_INT("transB", (trans_q))), p, q)
    if (ot_wants(b, 0))
        ot_give(b, 0, ta ? PRODUCT(w, tb, dy, 1) : PRODUCT(dy, 0, w, !tb));
    if (ot_wants(b, 1))
        ot_give(b, 1, tb ? PRODUCT(dy, 1, x, ta) : PRODUCT(x, !ta, dy, 0));
    if (ot_wants(b, 2))
        ot_give(b, 2, beta == 1 ? dy : OT_EMIT(b, "Mul", dy, ot_const_scalar(b, ot_fact_of(b, dy)->dtype, beta)));
#undef PRODUCT
}

static double gemm_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y)
{
    return (double)ot_tensor_count(&y[0]) * (double)size_of(n, x[0].dim, x[1].dim).k;
}

static const ot_kernel gemm_kernels[] = {
    { .name = "packed", .declines = packed_declines, .prepare = packed_prepare, .run = packed_run },
    { .name = "gemm", .declines = ot_product_declines, .prepare = gemm_prepare, .run = gemm_fast },
    { .name = "reference", .run = gemm_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_Gemm = { .domain = "",
                           .name = "Gemm",
                           .since = 1,
                           .until = OT_LATEST,
                           .min_in = 2,
                           .max_in = 3,
                           .min_out = 1,
                           .max_out = 1,
                           .infer = gemm_infer,
                           .grad = gemm_differentiate,
                           .cpu = gemm_kernels,
                           .macs = gemm_macs };

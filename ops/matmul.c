/* MatMul: numpy's product.  A is [..., M, K], B is [..., K, N], the dims before them broadcast; a vector A is a row, a
 * vector B a column, and that dimension is left out of the result.  Backward reads A for B and B for A.
 *
 * MatMulTrans: (A, B), both of rank 2 or more: the product with the last two dims of A swapped by transA, of B by
 * transB.  With flatten = 1 all dims but the last are one before that: A [..., K] with transA and B [..., N] give
 * [K, N], the sum over the batch. */
#include "product.h"

#include <string.h>

/* One product for each of `batch` matrices; dims of the batch are numbers when kernels use it. */
typedef struct product {
    int rank; /* of the batch */
    ot_dim dim[OT_MAX_RANK], dim_a[OT_MAX_RANK], dim_b[OT_MAX_RANK];
    ot_dim m, n, k, k_of_b;
    bool trans_a, trans_b;
} product;

/* The last two dims as rows and columns, and those before, aligned at the end in `batch` entries. */
static void split(const ot_dim *dim, int rank, int batch, ot_dim *before, ot_dim *rows, ot_dim *cols, bool row_vector)
{
    *rows = rank > 1 ? dim[rank - 2] : row_vector ? 1 : dim[0];
    *cols = rank > 1 || row_vector ? dim[rank - 1] : 1;
    for (int d = 0; d < batch; d++) {
        int at = d - (batch - (rank > 2 ? rank - 2 : 0));
        before[d] = at < 0 ? 1 : dim[at];
    }
}

static void swap(ot_dim *a, ot_dim *b)
{
    ot_dim t = *a;
    *a = *b;
    *b = t;
}

static product product_of(const ot_node *node, int rank_a, const ot_dim *a, int rank_b, const ot_dim *b)
{
    product p = { .trans_a = ot_attr_int(node, "transA", 0) != 0, .trans_b = ot_attr_int(node, "transB", 0) != 0 };
    int more = rank_a > rank_b ? rank_a : rank_b;
    p.rank = more > 2 ? more - 2 : 0;
    split(a, rank_a, p.rank, p.dim_a, &p.m, &p.k, true);
    split(b, rank_b, p.rank, p.dim_b, &p.k_of_b, &p.n, false);
    if (p.trans_a)
        swap(&p.m, &p.k);
    if (p.trans_b)
        swap(&p.k_of_b, &p.n);
    for (int d = 0; d < p.rank; d++)
        p.dim[d] = p.dim_a[d] == 1 ? p.dim_b[d] : p.dim_a[d];
    return p;
}

static ot_status check_inner(const product *p)
{
    if (p->k != p->k_of_b && !ot_is_symbol(p->k) && !ot_is_symbol(p->k_of_b))
        return ot_fail(OT_ESHAPE, "A has %lld columns, B has %lld rows", (long long)p->k, (long long)p->k_of_b);
    return OT_OK;
}

static ot_status matmul_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 1, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, 1, OT_MAX_RANK));
    OT_TRY(ot_product_type(c));
    const int ra = c->x[0]->rank, rb = c->x[1]->rank;
    product p = product_of(c->node, ra, c->x[0]->dim, rb, c->x[1]->dim);
    OT_TRY(check_inner(&p));
    ot_fact a = { .rank = p.rank }, b = { .rank = p.rank };
    memcpy(a.dim, p.dim_a, sizeof(a.dim));
    memcpy(b.dim, p.dim_b, sizeof(b.dim));
    ot_dim dim[OT_MAX_RANK];
    int rank;
    OT_TRY(ot_broadcast_dims(c, &rank, dim, &a, &b));
    if (ra > 1)
        dim[rank++] = p.m;
    if (rb > 1)
        dim[rank++] = p.n;
    ot_set_shape(&c->y[0], c->x[0]->dtype, rank, dim);
    return OT_OK;
}

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

/* All products are one when B is one matrix and A's rows follow each other. */
static void collapse(product *p)
{
    int64_t batch_b = 1, batch = 1;
    for (int d = 0; d < p->rank; d++) {
        batch_b *= p->dim_b[d];
        batch *= p->dim[d];
    }
    if (p->rank > 0 && batch_b == 1 && !p->trans_a) {
        p->m *= batch;
        p->rank = 0;
    }
}

static int64_t batch_of(const product *p)
{
    int64_t n = 1;
    for (int d = 0; d < p->rank; d++)
        n *= p->dim[d];
    return n;
}

/* Where the matrices of product i begin, in matrices. */
static void places(const product *p, int64_t i, int64_t *a, int64_t *b)
{
    int64_t step_a = 1, step_b = 1;
    *a = *b = 0;
    for (int d = p->rank - 1; d >= 0; d--) {
        int64_t at = i % p->dim[d];
        i /= p->dim[d];
        *a += p->dim_a[d] == 1 ? 0 : at * step_a;
        *b += p->dim_b[d] == 1 ? 0 : at * step_b;
        step_a *= p->dim_a[d];
        step_b *= p->dim_b[d];
    }
}

typedef struct job {
    const ot_run *r;
    product p;
    size_t work; /* bytes for one worker */
    const ot_kernel_pool *pool;
} job;

static product product_of_run(const ot_run *r)
{
    return product_of(r->node, r->x[0].rank, r->x[0].dim, r->x[1].rank, r->x[1].dim);
}

static ot_gemm_args args_of(const ot_run *r, const product *p, int64_t i)
{
    int64_t a, b;
    places(p, i, &a, &b);
    return (ot_gemm_args){ .m = p->m,
                           .n = p->n,
                           .k = p->k,
                           .a = (const float *)r->x[0].data + a * p->m * p->k,
                           .a_row = p->trans_a ? 1 : p->k,
                           .a_col = p->trans_a ? p->m : 1,
                           .b = (const float *)r->x[1].data + b * p->k * p->n,
                           .b_row = p->trans_b ? 1 : p->n,
                           .b_col = p->trans_b ? p->k : 1,
                           .c = (float *)r->y[0].data + i * p->m * p->n,
                           .ldc = p->n,
                           .alpha = 1 };
}

static void one_product(void *ctx, int64_t i, int worker)
{
    const job *j = ctx;
    const product *p = &j->p;
    ot_gemm_args g = args_of(j->r, p, i);
    ot_gemm(&g, (char *)j->r->scratch + (size_t)worker * j->work, j->pool);
}

/* Many products are the threads' blocks; of few, each has all threads. */
static bool many(const product *p, int threads)
{
    return batch_of(p) >= threads && batch_of(p) > 1;
}

static size_t work_of(const product *p, int threads)
{
    return (ot_gemm_workspace(p->m, p->n, p->k, many(p, threads) ? 1 : threads) + 63) / 64 * 64;
}

static product collapsed(const ot_prep *p)
{
    product s = product_of(p->node, p->x[0]->rank, p->x[0]->dim, p->x[1]->rank, p->x[1]->dim);
    collapse(&s);
    return s;
}

static ot_status matmul_prepare(ot_prep *p)
{
    product s = collapsed(p);
    p->scratch = work_of(&s, p->threads) * (size_t)(many(&s, p->threads) ? p->threads : 1);
    return OT_OK;
}

static ot_status matmul_fast(const ot_run *r)
{
    const ot_kernel_pool pool = ot_pool_of(r);
    job j = { .r = r, .p = product_of_run(r) };
    if (ot_tensor_count(&r->y[0]) == 0)
        return OT_OK;
    collapse(&j.p);
    j.work = work_of(&j.p, pool.threads);
    if (many(&j.p, pool.threads)) {
        ot_threads_run(r->threads, batch_of(&j.p), one_product, &j);
        return OT_OK;
    }
    j.pool = &pool;
    for (int64_t i = 0; i < batch_of(&j.p); i++)
        one_product(&j, i, 0);
    return OT_OK;
}

static const char *packed_declines(const ot_prep *p)
{
    product s = collapsed(p);
    if (s.rank > 0)
        return "more than one B";
    return s.k == 0 || s.n == 0 ? "an empty tensor" : ot_packed_product_declines(p, s.m, s.trans_a);
}

static ot_status packed_prepare(ot_prep *p)
{
    product s = collapsed(p);
    return ot_packed_product_prepare(p, s.n, s.k);
}

static ot_status packed_run(const ot_run *r)
{
    product p = product_of_run(r);
    collapse(&p);
    ot_gemm_args g = args_of(r, &p, 0);
    return ot_packed_product_run(r, &g);
}

static void reference_product(const ot_run *r, const product *p, int64_t i)
{
    int64_t at_a, at_b;
    places(p, i, &at_a, &at_b);
    const ot_matrix a = { &r->x[0], at_a * p->m * p->k, p->trans_a ? 1 : p->k, p->trans_a ? p->m : 1 };
    const ot_matrix b = { &r->x[1], at_b * p->k * p->n, p->trans_b ? 1 : p->n, p->trans_b ? p->k : 1 };
    for (int64_t row = 0; row < p->m; row++)
        for (int64_t col = 0; col < p->n; col++) {
            int64_t at = (i * p->m + row) * p->n + col;
            if (r->y[0].dtype == OT_DOUBLE)
                ((double *)r->y[0].data)[at] = ot_dot(&a, &b, row, col, p->k);
            else
                ot_put_int(&r->y[0], at, ot_dot_int(&a, &b, row, col, p->k));
        }
}

static ot_status matmul_reference(const ot_run *r)
{
    const product p = product_of_run(r);
    for (int64_t i = 0; i < batch_of(&p); i++)
        reference_product(r, &p, i);
    return OT_OK;
}

/* ---- MatMulTrans ----------------------------------------------------------------------------------------------- */

static void flat_dims(ot_infer *c, const ot_fact *x, ot_dim *out)
{
    out[0] = ot_dims_product(c, x->dim, 0, x->rank - 1);
    out[1] = x->dim[x->rank - 1];
}

static ot_status trans_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 2, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, 2, OT_MAX_RANK));
    if (!ot_attr_int(c->node, "flatten", 0))
        return matmul_infer(c);
    ot_dim a[2], b[2];
    OT_TRY(ot_product_type(c));
    flat_dims(c, c->x[0], a);
    flat_dims(c, c->x[1], b);
    product p = product_of(c->node, 2, a, 2, b);
    OT_TRY(check_inner(&p));
    ot_set_shape(&c->y[0], c->x[0]->dtype, 2, (const ot_dim[]){ p.m, p.n });
    return OT_OK;
}

static void flatten(const ot_node *n, int *rank, int64_t *dim)
{
    if (!ot_attr_int(n, "flatten", 0))
        return;
    int64_t rows = 1;
    for (int d = 0; d < *rank - 1; d++)
        rows *= dim[d];
    dim[1] = dim[*rank - 1];
    dim[0] = rows;
    *rank = 2;
}

static ot_status trans_prepare(ot_prep *p)
{
    ot_fact a = *p->x[0], b = *p->x[1];
    ot_prep flat = *p;
    flatten(p->node, &a.rank, a.dim);
    flatten(p->node, &b.rank, b.dim);
    flat.x = (const ot_fact *const[]){ &a, &b };
    OT_TRY(matmul_prepare(&flat));
    p->scratch = flat.scratch;
    return OT_OK;
}

static ot_status trans_run(const ot_run *r, ot_status (*run)(const ot_run *))
{
    ot_tensor x[2] = { r->x[0], r->x[1] };
    ot_run flat = *r;
    for (int i = 0; i < 2; i++)
        flatten(r->node, &x[i].rank, x[i].dim);
    flat.x = x;
    return run(&flat);
}

static ot_status trans_fast(const ot_run *r)
{
    return trans_run(r, matmul_fast);
}

static ot_status trans_reference(const ot_run *r)
{
    return trans_run(r, matmul_reference);
}

/* ---- Gradient -------------------------------------------------------------------------------------------------- */

/* v with a dimension of 1 put in at this axis. */
static ot_val with_axis(ot_build *b, ot_val v, int64_t axis)
{
    return OT_EMIT(b, "Unsqueeze", v, ot_const_ints(b, 1, &axis));
}

/* The gradient `d` of `wide`, a vector with a dimension put in at `axis`, as that of the vector. */
static void give_vector(ot_build *b, int i, ot_val d, ot_val wide, int64_t axis)
{
    ot_give(b, i, OT_EMIT(b, "Squeeze", OT_EMIT(b, "SumTo", d, wide), ot_const_ints(b, 1, &axis)));
}

static void matmul_differentiate(ot_build *b)
{
    ot_val x = ot_x(b, 0), w = ot_x(b, 1), dy = ot_dy(b, 0);
    const int rx = ot_fact_of(b, x)->rank, rw = ot_fact_of(b, w)->rank;
    if (rx == 1)
        x = with_axis(b, x, 0);
    if (rw == 1) {
        w = with_axis(b, w, 1);
        dy = with_axis(b, dy, -1);
    }
    if (rx == 1)
        dy = with_axis(b, dy, -2);
    if (ot_wants(b, 0)) {
        ot_val dx = OT_EMIT_WITH(b, "MatMulTrans", OT_ATTRS(OT_INT("transB", 1)), dy, w);
        if (rx == 1)
            give_vector(b, 0, dx, x, 0);
        else
            ot_give(b, 0, dx);
    }
    if (ot_wants(b, 1)) {
        bool flat = rw <= 2 && rx > 2;
        ot_val dw = OT_EMIT_WITH(b, "MatMulTrans", OT_ATTRS(OT_INT("transA", 1), OT_INT("flatten", flat)), x, dy);
        if (rw == 1)
            give_vector(b, 1, dw, w, 1);
        else
            ot_give(b, 1, dw);
    }
}

static double matmul_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y)
{
    return (double)ot_tensor_count(&y[0]) * (double)product_of(n, x[0].rank, x[0].dim, x[1].rank, x[1].dim).k;
}

static double trans_macs(const ot_node *n, const ot_tensor *x, const ot_tensor *y)
{
    ot_tensor flat[2] = { x[0], x[1] };
    for (int i = 0; i < 2; i++)
        flatten(n, &flat[i].rank, flat[i].dim);
    return matmul_macs(n, flat, y);
}

static const ot_kernel matmul_kernels[] = {
    { .name = "packed", .declines = packed_declines, .prepare = packed_prepare, .run = packed_run },
    { .name = "gemm", .declines = ot_product_declines, .prepare = matmul_prepare, .run = matmul_fast },
    { .name = "reference", .run = matmul_reference, .in_double = true },
    { 0 },
};

static const ot_kernel trans_kernels[] = {
    { .name = "gemm", .declines = ot_product_declines, .prepare = trans_prepare, .run = trans_fast },
    { .name = "reference", .run = trans_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_MatMul = { .domain = "",
                             .name = "MatMul",
                             .since = 1,
                             .until = OT_LATEST,
                             .min_in = 2,
                             .max_in = 2,
                             .min_out = 1,
                             .max_out = 1,
                             .infer = matmul_infer,
                             .grad = matmul_differentiate,
                             .cpu = matmul_kernels,
                             .macs = matmul_macs };

const ot_op ot_op_MatMulTrans = { .domain = OT_INTERNAL,
                                  .name = "MatMulTrans",
                                  .since = 1,
                                  .until = 1,
                                  .min_in = 2,
                                  .max_in = 2,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = trans_infer,
                                  .cpu = trans_kernels,
                                  .macs = trans_macs };

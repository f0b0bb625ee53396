/* Einsum of two operands as a batch of matrix products: copies in the order of a matrix, where the operands do not lie
 * so, the kernel, and a copy of the result into the order of the output. */
#include "einsum.h"
#include "kernels/gemm.h"
#include "strided.h"

#include <string.h>

/* Labels by where they are: both and the output; output and a; output and b; both. */
enum { BATCH, ROW, COL, INNER, GROUPS };

static int group_of(const ot_sums *s, int k)
{
    bool a = s->has[0][k], b = s->has[1][k], y = s->has[2][k];
    if (!y)
        return a && b ? INNER : -1;
    return a && b ? BATCH : a ? ROW : b ? COL : -1;
}

typedef struct product {
    int64_t count[GROUPS];
    size_t a, b, c, work; /* bytes of copies of operands and result, and of the kernel's work space */
} product;

static bool product_of(product *p, const ot_sums *s, int threads)
{
    *p = (product){ .count = { 1, 1, 1, 1 } };
    for (int k = 0; k < s->n_label; k++) {
        int g = s->size[k] == 1 ? BATCH : group_of(s, k);
        if (g < 0)
            return false;
        p->count[g] *= s->size[k];
    }
    const int64_t *n = p->count;
    p->a = (size_t)(n[BATCH] * n[ROW] * n[INNER]) * sizeof(float);
    p->b = (size_t)(n[BATCH] * n[INNER] * n[COL]) * sizeof(float);
    p->c = (size_t)(n[BATCH] * n[ROW] * n[COL]) * sizeof(float);
    p->work = ot_gemm_workspace(n[ROW], n[COL], n[INNER], threads);
    return s->n == 2 && !s->sparse;
}

/* A walk over the labels of three groups, the order of a dense matrix; `stride` are those of the term. */
static ot_walk matrix_walk(const ot_sums *s, int term, const int *groups, int64_t *strides)
{
    ot_walk w = { .dtype = OT_FLOAT };
    for (int g = 0; g < 3; g++)
        for (int k = 0; k < s->n_label; k++)
            if (s->size[k] != 1 && group_of(s, k) == groups[g]) {
                w.dim[w.rank] = s->size[k];
                strides[w.rank++] = s->stride[term][k];
            }
    return w;
}

/* A copy of operand i as [batch, groups[1], groups[2]], or the operand where it lies so. */
static const float *as_matrix(const ot_run *r, const ot_sums *s, int i, int first, const int *groups, float *room)
{
    int64_t stride[OT_MAX_RANK] = { 0 }, dense[OT_MAX_RANK] = { 0 };
    ot_walk w = matrix_walk(s, i, groups, stride);
    ot_dense_strides(dense, w.rank, w.dim);
    if (memcmp(dense, stride, (size_t)w.rank * sizeof(*dense)) == 0)
        return r->x[first + i].data;
    memcpy(w.to_stride, dense, sizeof(dense));
    memcpy(w.from_stride, stride, sizeof(stride));
    w.from = r->x[first + i].data;
    w.to = room;
    ot_walk_copy(r, &w);
    return room;
}

ot_status ot_einsum_product_run(const ot_run *r)
{
    static const int of_a[3] = { BATCH, ROW, INNER }, of_b[3] = { BATCH, INNER, COL }, of_c[3] = { BATCH, ROW, COL };
    ot_sums s;
    product p;
    int first = ot_einsum_is_like(r->node);
    ot_kernel_pool pool = ot_pool_of(r);
    OT_TRY(ot_sums_of_run(&s, r));
    if (!product_of(&p, &s, pool.threads))
        return ot_fail(OT_EUNSUPPORTED, "no matrix product");
    if (ot_tensor_count(&r->y[0]) == 0)
        return OT_OK;
    char *work = r->scratch, *at = work + (p.work + 63) / 64 * 64;
    int64_t m = p.count[ROW], n = p.count[COL], k = p.count[INNER], stride[OT_MAX_RANK] = { 0 };
    const float *a = as_matrix(r, &s, 0, first, of_a, (float *)(void *)at);
    at += (p.a + 63) / 64 * 64;
    const float *b = as_matrix(r, &s, 1, first, of_b, (float *)(void *)at);
    at += (p.b + 63) / 64 * 64;
    ot_walk w = matrix_walk(&s, 2, of_c, stride);
    ot_dense_strides(w.from_stride, w.rank, w.dim);
    bool straight = memcmp(w.from_stride, stride, (size_t)w.rank * sizeof(*stride)) == 0;
    float *c = straight ? r->y[0].data : (void *)at;
    for (int64_t i = 0; i < p.count[BATCH]; i++) {
        ot_gemm_args g = { m, n, k, a + i * m * k, k, 1, b + i * k * n, n, 1, c + i * m * n, n, .alpha = 1 };
        ot_gemm(&g, work, &pool);
    }
    if (straight)
        return OT_OK;
    memcpy(w.to_stride, stride, sizeof(stride));
    w.from = c;
    w.to = r->y[0].data;
    ot_walk_copy(r, &w);
    return OT_OK;
}

const char *ot_einsum_product_declines(const ot_prep *p)
{
    ot_sums s;
    product of;
    if (p->x[0]->dtype != OT_FLOAT)
        return "only for float32";
    return ot_sums_of_prep(&s, p) == OT_OK && s.n == 2 && product_of(&of, &s, 1) ? NULL : "no matrix product";
}

ot_status ot_einsum_product_prepare(ot_prep *p)
{
    ot_sums s;
    product of;
    OT_TRY(ot_sums_of_prep(&s, p));
    if (!product_of(&of, &s, p->threads))
        return ot_fail(OT_EUNSUPPORTED, "no matrix product");
    p->scratch = of.work + of.a + of.b + of.c + 4 * 64;
    return OT_OK;
}

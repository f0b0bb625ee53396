#include "product.h"

#include <stdio.h>

ot_status ot_product_type(const ot_infer *c)
{
    const ot_dtype t = c->x[0]->dtype;
    if (t != OT_INT32 && t != OT_INT64 && t != OT_UINT32 && t != OT_UINT64)
        OT_TRY(ot_needs_float(c, 0));
    for (int i = 1; i < c->n_in; i++)
        if (c->x[i] && c->x[i]->dtype != t)
            return ot_fail(OT_ESHAPE, "input %d is %s, input 0 is %s", i, ot_dtype_name(c->x[i]->dtype),
                           ot_dtype_name(t));
    return OT_OK;
}

const char *ot_product_declines(const ot_prep *p)
{
    return p->x[0]->dtype == OT_FLOAT ? NULL : "only for float32";
}

#define FEWEST_ROWS 5 /* thinner products read B as it lies */

const char *ot_packed_product_declines(const ot_prep *p, int64_t m, bool trans_a)
{
    if (p->x[0]->dtype != OT_FLOAT)
        return "only for float32";
    if (!p->packs || !p->weight || !p->weight[1] || !p->constant[1])
        return "weights that change";
    if (trans_a)
        return "A is transposed";
    return m < FEWEST_ROWS ? "too few rows to pack for" : NULL;
}

ot_status ot_packed_product_prepare(ot_prep *p, int64_t n, int64_t k)
{
    char form[64];
    ot_status st;
    ot_packed **packed = p->state = ot_calloc(1, sizeof(*packed));
    if (!packed)
        return OT_ENOMEM;
    snprintf(form, sizeof(form), "product %s %lld %lld", ot_kernels_isa(), (long long)n, (long long)k);
    *packed = ot_prep_packed(p, 1, form, ot_gemm_packed_size(n, k), &st);
    return st;
}

ot_status ot_packed_product_run(const ot_run *r, const ot_gemm_args *g)
{
    ot_packed *packed = *(ot_packed **)r->state;
    const ot_kernel_pool pool = ot_pool_of(r);
    if (packed->version != r->version[1]) {
        ot_gemm_pack(g->n, g->k, g->b, g->b_row, g->b_col, packed->data, &pool);
        packed->version = r->version[1];
    }
    ot_gemm_by_packed(g, packed->data, &pool);
    return OT_OK;
}

double ot_dot(const ot_matrix *a, const ot_matrix *b, int64_t i, int64_t j, int64_t k)
{
    const double *x = a->t->data, *y = b->t->data;
    double sum = 0;
    for (int64_t p = 0; p < k; p++)
        sum += x[a->at + i * a->row + p * a->col] * y[b->at + p * b->row + j * b->col];
    return sum;
}

uint64_t ot_dot_int(const ot_matrix *a, const ot_matrix *b, int64_t i, int64_t j, int64_t k)
{
    uint64_t sum = 0;
    for (int64_t p = 0; p < k; p++)
        sum += (uint64_t)ot_tensor_get_int(a->t, a->at + i * a->row + p * a->col) *
               (uint64_t)ot_tensor_get_int(b->t, b->at + p * b->row + j * b->col);
    return sum;
}

void ot_put_int(const ot_tensor *t, int64_t i, uint64_t v)
{
    if (t->dtype == OT_INT32 || t->dtype == OT_UINT32)
        ((uint32_t *)t->data)[i] = (uint32_t)v;
    else
        ((uint64_t *)t->data)[i] = v;
}

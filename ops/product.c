#include "product.h"

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

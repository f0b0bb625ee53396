/* Det: the determinant of every matrix of the last two dims, by elimination with row exchange, in double.
 * DetGrad: (dy, x) -> dy times the cofactors of x: from the inverse, or minor by minor where the matrix is singular. */
#include "known.h"
#include "run.h"

#include <math.h>
#include <string.h>

static ot_status square(const ot_infer *c, int i)
{
    OT_TRY(ot_rank_between(c, i, 2, OT_MAX_RANK));
    const ot_fact *x = c->x[i];
    ot_dim same;
    return ot_dims_agree(&same, x->dim[x->rank - 2], x->dim[x->rank - 1], "rows and columns");
}

static ot_status det_infer(ot_infer *c)
{
    OT_TRY(ot_needs_float(c, 0));
    if (ot_open_rank(c, 0))
        return ot_open_like(c, 0);
    OT_TRY(square(c, 0));
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[0]->rank - 2, c->x[0]->dim);
    return OT_OK;
}

/* Reduces the n x n matrix to an upper triangle in place, rows of b (n x m, may be NULL) along; the determinant. */
static double eliminate(double *a, int64_t n, double *b, int64_t m)
{
    double det = 1;
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        for (int64_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[best * n + k]))
                best = i;
        if (a[best * n + k] == 0)
            return 0;
        for (int64_t j = 0; j < n && best != k; j++) {
            double t = a[k * n + j];
            a[k * n + j] = a[best * n + j];
            a[best * n + j] = t;
        }
        for (int64_t j = 0; j < m && best != k; j++) {
            double t = b[k * m + j];
            b[k * m + j] = b[best * m + j];
            b[best * m + j] = t;
        }
        det *= best == k ? a[k * n + k] : -a[k * n + k];
        for (int64_t i = k + 1; i < n; i++) {
            double f = a[i * n + k] / a[k * n + k];
            for (int64_t j = k; j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
            for (int64_t j = 0; j < m; j++)
                b[i * m + j] -= f * b[k * m + j];
        }
    }
    return det;
}

static int64_t order_of(int rank, const int64_t *dim)
{
    return dim[rank - 1];
}

static ot_status det_run(const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    int64_t n = order_of(x->rank, x->dim), size = n * n;
    double *a = r->scratch, *y = r->y[0].data;
    for (int64_t i = 0, count = ot_tensor_count(&r->y[0]); i < count; i++) {
        if (size)
            memcpy(a, (const double *)x->data + i * size, (size_t)size * sizeof(*a));
        y[i] = eliminate(a, n, NULL, 0);
    }
    return OT_OK;
}

static ot_status det_prepare(ot_prep *p)
{
    size_t n = (size_t)order_of(p->x[0]->rank, p->x[0]->dim);
    p->scratch = n * n * sizeof(double);
    return OT_OK;
}

static void det_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT(b, "DetGrad", ot_dy(b, 0), ot_x(b, 0)));
}

static const ot_kernel det_kernels[] = {
    { .name = "reference", .prepare = det_prepare, .run = det_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_Det = { .domain = "",
                          .name = "Det",
                          .since = 11,
                          .until = OT_LATEST,
                          .min_in = 1,
                          .max_in = 1,
                          .min_out = 1,
                          .max_out = 1,
                          .infer = det_infer,
                          .grad = det_differentiate,
                          .cpu = det_kernels };

/* ---- DetGrad -------------------------------------------------------------------------------------------------------
 */

static ot_status grad_infer(ot_infer *c)
{
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(square(c, 1));
    OT_TRY(ot_rank_between(c, 0, c->x[1]->rank - 2, c->x[1]->rank - 2));
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

/* Every cofactor as the determinant of what is left without its row and column. */
static void minors(const double *x, int64_t n, double *a, double dy, double *dx)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            int64_t at = 0;
            for (int64_t p = 0; p < n; p++)
                for (int64_t q = 0; q < n; q++)
                    if (p != i && q != j)
                        a[at++] = x[p * n + q];
            dx[i * n + j] = dy * ((i + j) % 2 ? -1 : 1) * eliminate(a, n - 1, NULL, 0);
        }
}

static ot_status grad_run(const ot_run *r)
{
    const ot_tensor *x = &r->x[1];
    int64_t n = order_of(x->rank, x->dim), size = n * n;
    double *a = r->scratch, *b = a + size;
    for (int64_t i = 0, count = ot_tensor_count(&r->x[0]); i < count && size; i++) {
        const double *m = (const double *)x->data + i * size;
        double dy = ((const double *)r->x[0].data)[i], *dx = (double *)r->y[0].data + i * size;
        memcpy(a, m, (size_t)size * sizeof(*a));
        memset(b, 0, (size_t)size * sizeof(*b));
        for (int64_t k = 0; k < n; k++)
            b[k * n + k] = 1;
        double det = eliminate(a, n, b, n);
        if (det == 0) {
            minors(m, n, a, dy, dx);
            continue;
        }
        for (int64_t k = n - 1; k >= 0; k--) /* b becomes the inverse */
            for (int64_t j = 0; j < n; j++) {
                double v = b[k * n + j];
                for (int64_t q = k + 1; q < n; q++)
                    v -= a[k * n + q] * b[q * n + j];
                b[k * n + j] = v / a[k * n + k];
            }
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = 0; q < n; q++)
                dx[p * n + q] = dy * det * b[q * n + p];
    }
    return OT_OK;
}

static ot_status grad_prepare(ot_prep *p)
{
    size_t n = (size_t)order_of(p->x[1]->rank, p->x[1]->dim);
    p->scratch = 2 * n * n * sizeof(double);
    return OT_OK;
}

static const ot_kernel grad_kernels[] = {
    { .name = "reference", .prepare = grad_prepare, .run = grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_DetGrad = { .domain = OT_INTERNAL,
                              .name = "DetGrad",
                              .since = 1,
                              .until = 1,
                              .min_in = 2,
                              .max_in = 2,
                              .min_out = 1,
                              .max_out = 1,
                              .infer = grad_infer,
                              .cpu = grad_kernels };

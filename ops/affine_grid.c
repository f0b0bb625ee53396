/* AffineGrid: the grid of places that GridSample reads after an affine map: grid[n][o] = theta[n] (x, y[, z], 1) of the
 * place o of a picture of `size` (N, C, [D,] H, W), whose ends are -1 and 1 as GridSample has them.  Linear in theta:
 * AffineGridGrad: (dgrid, theta for its shape) -> dtheta. */
#include "axes.h"
#include "run.h"

#include <string.h>

static ot_status grid_infer(ot_infer *c)
{
    ot_dim size[5], dim[5], d;
    int n;
    OT_TRY(ot_rank_between(c, 0, 3, 3));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_rank_between(c, 1, 1, 1));
    const ot_fact *theta = c->x[0];
    OT_TRY(ot_known_ints(c, 1, 5, size, &n));
    if (n < 0 && !ot_is_symbol(c->x[1]->dim[0]))
        n = c->x[1]->dim[0] > 5 ? 6 : (int)c->x[1]->dim[0];
    else if (n < 0 && !ot_is_symbol(theta->dim[1]))
        n = theta->dim[1] == 3 ? 5 : 4;
    if (n < 0)
        return OT_OK;
    if (n != 4 && n != 5)
        return ot_fail(OT_ESHAPE, "size has %d elements, wanted are 4 or 5", n);
    OT_TRY(ot_dims_agree(&d, theta->dim[1], n - 2, "rows of theta"));
    OT_TRY(ot_dims_agree(&d, theta->dim[2], n - 1, "columns of theta"));
    const bool known = c->x[1]->value != NULL;
    for (int k = 0; k < n && known; k++)
        if (!ot_is_symbol(size[k]) && size[k] < 0)
            return ot_fail(OT_ESHAPE, "size[%d] is %lld", k, (long long)size[k]);
    dim[0] = theta->dim[0];
    if (known)
        OT_TRY(ot_dims_agree(&dim[0], theta->dim[0], size[0], "theta and size[0]"));
    for (int k = 2; k < n; k++)
        dim[k - 1] = known ? size[k] : ot_dim_unknown(c);
    dim[n - 1] = n - 2;
    ot_set_shape(&c->y[0], theta->dtype, n, dim);
    return OT_OK;
}

/* The place o of n spatial dims as x, y[, z], 1. */
static void place(int n, const int64_t *dim, bool align, int64_t o, double *v)
{
    for (int d = n - 1, i = 0; d >= 0; d--, i++) {
        const double at = (double)(o % dim[d]), size = (double)dim[d];
        o /= dim[d];
        v[i] = !align ? (2 * at + 1) / size - 1 : size > 1 ? 2 * at / (size - 1) - 1 : -1;
    }
    v[n] = 1;
}

static ot_status grid_run(const ot_run *r)
{
    const ot_tensor *grid = &r->y[0];
    const bool align = ot_attr_int(r->node, "align_corners", 0) != 0;
    const int n = grid->rank - 2;
    int64_t places = 1;
    for (int d = 0; d < n; d++)
        places *= grid->dim[d + 1];
    for (int64_t i = 0; i < grid->dim[0] * places; i++) {
        const double *theta = (const double *)r->x[0].data + i / places * n * (n + 1);
        double v[4], *y = (double *)grid->data + i * n;
        place(n, grid->dim + 1, align, i % places, v);
        for (int k = 0; k < n; k++) {
            y[k] = 0;
            for (int j = 0; j <= n; j++)
                y[k] += theta[k * (n + 1) + j] * v[j];
        }
    }
    return OT_OK;
}

static void grid_differentiate(ot_build *b)
{
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "AffineGridGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0)));
}

static ot_status grad_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 4, 5));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_rank_between(c, 1, 3, 3));
    ot_set_shape(&c->y[0], c->x[0]->dtype, 3, c->x[1]->dim);
    return OT_OK;
}

static ot_status grad_run(const ot_run *r)
{
    const ot_tensor *dgrid = &r->x[0];
    const bool align = ot_attr_int(r->node, "align_corners", 0) != 0;
    const int n = dgrid->rank - 2;
    int64_t places = 1;
    for (int d = 0; d < n; d++)
        places *= dgrid->dim[d + 1];
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    for (int64_t i = 0; i < dgrid->dim[0] * places; i++) {
        double *dtheta = (double *)r->y[0].data + i / places * n * (n + 1), v[4];
        place(n, dgrid->dim + 1, align, i % places, v);
        for (int k = 0; k < n * (n + 1); k++)
            dtheta[k] += ((const double *)dgrid->data)[i * n + k / (n + 1)] * v[k % (n + 1)];
    }
    return OT_OK;
}

static const ot_kernel grid_kernels[] = { { .name = "reference", .run = grid_run, .in_double = true }, { 0 } };
static const ot_kernel grad_kernels[] = { { .name = "reference", .run = grad_run, .in_double = true }, { 0 } };

const ot_op ot_op_AffineGrid = { .domain = "",
                                 .name = "AffineGrid",
                                 .since = 20,
                                 .until = OT_LATEST,
                                 .min_in = 2,
                                 .max_in = 2,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = grid_infer,
                                 .grad = grid_differentiate,
                                 .cpu = grid_kernels };

const ot_op ot_op_AffineGridGrad = { .domain = OT_INTERNAL,
                                     .name = "AffineGridGrad",
                                     .since = 1,
                                     .until = 1,
                                     .min_in = 2,
                                     .max_in = 2,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = grad_infer,
                                     .cpu = grad_kernels,
                                     .shape_only = 1u << 1 };

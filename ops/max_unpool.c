/* MaxUnpool: zeros, but x[i] at the place index[i] of a tensor of the size that a MaxPool with these attributes had as
 * its input: (x - 1) * stride - pads + kernel.  A larger output_shape holds that tensor in its first corner.  Where an
 * index is there twice, the last counts.
 * MaxUnpoolGrad: (dy, x for its shape, index) -> dy at these places; 0 for those that did not count. */
#include "axes.h"
#include "conv_shape.h"

#include <string.h>

/* Dims of the tensor that indices speak of. */
static ot_status size_before(ot_infer *c, const ot_node *n, const ot_fact *x, ot_dim *dim)
{
    ot_window w;
    OT_TRY(ot_window_read(&w, n, x, NULL));
    memcpy(dim, x->dim, 2 * sizeof(*dim));
    for (int d = 0; d < w.spatial; d++) {
        const int64_t rest = w.kernel[d] - w.pad[d] - w.pad_end[d];
        dim[d + 2] = ot_is_symbol(w.in[d]) ? ot_dim_add(c, ot_dim_mul(c, ot_dim_sub(c, w.in[d], 1), w.stride[d]), rest)
                                           : (w.in[d] - 1) * w.stride[d] + rest;
        if (!ot_is_symbol(dim[d + 2]) && (dim[d + 2] < 0 || w.in[d] > INT64_MAX >> 32))
            return ot_fail(OT_ESHAPE, "dimension %d becomes %lld", d + 2, (long long)dim[d + 2]);
    }
    return OT_OK;
}

static ot_status check_index(const ot_infer *c, int at_x, int at_index)
{
    ot_dim d;
    OT_TRY(ot_rank_between(c, at_x, 3, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, at_x));
    const ot_fact *x = c->x[at_x];
    OT_TRY(ot_rank_between(c, at_index, x->rank, x->rank));
    for (int k = 0; k < x->rank; k++)
        OT_TRY(ot_dims_agree(&d, x->dim[k], c->x[at_index]->dim[k], "x and the indices"));
    if (c->x[at_index]->dtype != OT_INT64)
        return ot_fail(OT_ESHAPE, "the indices are %s", ot_dtype_name(c->x[at_index]->dtype));
    return OT_OK;
}

static ot_status unpool_infer(ot_infer *c)
{
    ot_dim dim[OT_MAX_RANK], given[OT_MAX_RANK];
    int n;
    OT_TRY(check_index(c, 0, 1));
    const ot_fact *x = c->x[0];
    OT_TRY(size_before(c, c->node, x, dim));
    OT_TRY(ot_known_ints(c, 2, OT_MAX_RANK, given, &n));
    const bool has_shape = c->n_in > 2 && c->x[2];
    if (has_shape && n >= 0 && n != x->rank)
        return ot_fail(OT_ESHAPE, "output_shape has %d elements, x has rank %d", n, x->rank);
    for (int d = 0; d < x->rank && has_shape; d++) {
        if (n < 0) {
            dim[d] = ot_dim_unknown(c);
            continue;
        }
        if (!ot_is_symbol(given[d]) && (given[d] < 0 || (!ot_is_symbol(dim[d]) && given[d] < dim[d])))
            return ot_fail(OT_ESHAPE, "dimension %d of output_shape is %lld, the least is %lld", d, (long long)given[d],
                           (long long)dim[d]);
        dim[d] = given[d];
    }
    ot_set_shape(&c->y[0], x->dtype, x->rank, dim);
    return OT_OK;
}

/* The dims that indices speak of, and their number. */
static ot_status read_size(const ot_node *n, const ot_tensor *x, int64_t *dim, int64_t *count)
{
    ot_fact f = { .dtype = x->dtype, .rank = x->rank };
    memcpy(f.dim, x->dim, sizeof(f.dim));
    OT_TRY(size_before(NULL, n, &f, dim));
    return ot_count(count, x->rank, dim) ? OT_OK : ot_fail(OT_ESHAPE, "%s", OT_DIMS(x->rank, dim));
}

/* Where index i of a tensor of the dims `from` lies in one of the dims `to`. */
static int64_t place(int rank, const int64_t *from, const int64_t *to, int64_t i)
{
    int64_t at[OT_MAX_RANK], out = 0;
    ot_unravel(rank, from, i, at);
    for (int d = 0; d < rank; d++)
        out = out * to[d] + at[d];
    return out;
}

static ot_status outside(int64_t index, int64_t count)
{
    return ot_fail(OT_EDATA, "index %lld is outside of %lld elements", (long long)index, (long long)count);
}

static ot_status unpool_run(const ot_run *r)
{
    const ot_tensor *x = &r->x[0], *y = &r->y[0];
    const int64_t *index = r->x[1].data;
    const size_t size = ot_dtype_size(y->dtype);
    int64_t dim[OT_MAX_RANK], count;
    OT_TRY(read_size(r->node, x, dim, &count));
    memset(y->data, 0, ot_tensor_bytes(y));
    for (int64_t i = 0, n = ot_tensor_count(x); i < n; i++) {
        if (index[i] < 0 || index[i] >= count)
            return outside(index[i], count);
        memcpy((char *)y->data + (size_t)place(x->rank, dim, y->dim, index[i]) * size,
               (const char *)x->data + (size_t)i * size, size);
    }
    return OT_OK;
}

static void unpool_differentiate(ot_build *b)
{
    if (ot_wants(b, 0))
        ot_give(b, 0, OT_EMIT_WITH(b, "MaxUnpoolGrad", ot_the_node(b)->attr, ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1)));
}

/* ---- MaxUnpoolGrad --------------------------------------------------------------------------------------------- */

static ot_status grad_infer(ot_infer *c)
{
    OT_TRY(check_index(c, 1, 2));
    OT_TRY(ot_rank_between(c, 0, c->x[1]->rank, c->x[1]->rank));
    ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

/* Scratch: for each place the last element that went there. */
static ot_status grad_prepare(ot_prep *p)
{
    int64_t n;
    if (!ot_count(&n, p->x[0]->rank, p->x[0]->dim) || !ot_mul(&p->scratch, (size_t)n, sizeof(int64_t)))
        return ot_fail(OT_ENOMEM, "%s", OT_DIMS(p->x[0]->rank, p->x[0]->dim));
    return OT_OK;
}

static ot_status grad_run(const ot_run *r)
{
    const ot_tensor *dy = &r->x[0], *dx = &r->y[0];
    const int64_t *index = r->x[2].data, n = ot_tensor_count(dx);
    int64_t dim[OT_MAX_RANK], count, *last = r->scratch;
    OT_TRY(read_size(r->node, dx, dim, &count));
    for (int64_t i = 0; i < n; i++) {
        if (index[i] < 0 || index[i] >= count)
            return outside(index[i], count);
        last[place(dx->rank, dim, dy->dim, index[i])] = i;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = place(dx->rank, dim, dy->dim, index[i]);
        if (dx->dtype == OT_DOUBLE)
            ((double *)dx->data)[i] = last[at] == i ? ((const double *)dy->data)[at] : 0;
        else
            ((float *)dx->data)[i] = last[at] == i ? ((const float *)dy->data)[at] : 0;
    }
    return OT_OK;
}

static const ot_kernel unpool_kernels[] = { { .name = "copy", .run = unpool_run }, { 0 } };

static const ot_kernel grad_kernels[] = {
    { .name = "loop", .declines = ot_float32_only, .prepare = grad_prepare, .run = grad_run },
    { .name = "reference", .prepare = grad_prepare, .run = grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_MaxUnpool = { .domain = "",
                                .name = "MaxUnpool",
                                .since = 9,
                                .until = OT_LATEST,
                                .min_in = 2,
                                .max_in = 3,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = unpool_infer,
                                .grad = unpool_differentiate,
                                .cpu = unpool_kernels };

const ot_op ot_op_MaxUnpoolGrad = { .domain = OT_INTERNAL,
                                    .name = "MaxUnpoolGrad",
                                    .since = 1,
                                    .until = 1,
                                    .min_in = 3,
                                    .max_in = 3,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = grad_infer,
                                    .cpu = grad_kernels,
                                    .shape_only = 1u << 1 };

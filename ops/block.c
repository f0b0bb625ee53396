/* ToBlocks: (N, C, d...) to blocks, spare lanes 0.  FromBlocks: back, where the attribute `channels` is C. */
#include "block.h"

#include <string.h>

static int64_t plane_of(const int64_t *dim, int rank)
{
    int64_t n = 1;
    for (int d = 2; d < rank; d++)
        n *= dim[d];
    return n;
}

ot_status ot_unblocked_fact(const ot_infer *c, int i, ot_fact *out)
{
    OT_TRY(ot_rank_between(c, i, 4, OT_MAX_RANK));
    *out = *c->x[i];
    out->value = NULL;
    out->rank--;
    return out->dim[out->rank] == OT_BLOCK || ot_is_symbol(out->dim[out->rank])
               ? OT_OK
               : ot_fail(OT_ESHAPE, "input %d has %lld lanes, blocks have %d", i, (long long)out->dim[out->rank],
                         OT_BLOCK);
}

/* ---- ToBlocks ---------------------------------------------------------------------------------------------------- */

static ot_status to_blocks_infer(ot_infer *c)
{
    ot_dim dim[OT_MAX_RANK];
    OT_TRY(ot_rank_between(c, 0, 3, OT_MAX_RANK - 1));
    OT_TRY(ot_needs_float(c, 0));
    const ot_fact *x = c->x[0];
    memcpy(dim, x->dim, sizeof(dim));
    dim[1] = ot_dim_div(c, ot_dim_add(c, x->dim[1], OT_BLOCK - 1), OT_BLOCK);
    dim[x->rank] = OT_BLOCK;
    ot_set_shape(&c->y[0], x->dtype, x->rank + 1, dim);
    return OT_OK;
}

static ot_status to_blocks_fast(const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_block_from_plain(x->dim[0], x->dim[1], plane_of(x->dim, x->rank), x->data, r->y[0].data, &pool);
    return OT_OK;
}

static ot_status to_blocks_reference(const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    const double *from = x->data;
    double *to = r->y[0].data;
    int64_t size = plane_of(x->dim, x->rank), channels = x->dim[1], blocks = r->y[0].dim[1];
    memset(to, 0, ot_tensor_bytes(&r->y[0]));
    for (int64_t i = 0, n = ot_tensor_count(x); i < n; i++)
        to[ot_block_at(blocks, size, i / size / channels, i / size % channels, i % size)] = from[i];
    return OT_OK;
}

/* ---- FromBlocks -------------------------------------------------------------------------------------------------- */

static ot_status from_blocks_infer(ot_infer *c)
{
    ot_fact x;
    int64_t channels = ot_attr_int(c->node, "channels", 0);
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_unblocked_fact(c, 0, &x));
    if (channels < 1 || channels > INT32_MAX ||
        (!ot_is_symbol(x.dim[1]) && x.dim[1] != (channels + OT_BLOCK - 1) / OT_BLOCK))
        return ot_fail(OT_ESHAPE, "%lld channels in %lld blocks", (long long)channels, (long long)x.dim[1]);
    x.dim[1] = channels;
    ot_set_shape(&c->y[0], x.dtype, x.rank, x.dim);
    return OT_OK;
}

static ot_status from_blocks_fast(const ot_run *r)
{
    const ot_tensor *y = &r->y[0];
    const ot_kernel_pool pool = ot_pool_of(r);
    ot_block_to_plain(y->dim[0], y->dim[1], plane_of(y->dim, y->rank), r->x[0].data, y->data, &pool);
    return OT_OK;
}

static ot_status from_blocks_reference(const ot_run *r)
{
    const ot_tensor *y = &r->y[0];
    const double *from = r->x[0].data;
    double *to = y->data;
    int64_t size = plane_of(y->dim, y->rank), channels = y->dim[1], blocks = r->x[0].dim[1];
    for (int64_t i = 0, n = ot_tensor_count(y); i < n; i++)
        to[i] = from[ot_block_at(blocks, size, i / size / channels, i / size % channels, i % size)];
    return OT_OK;
}

static const ot_kernel to_blocks_kernels[] = {
    { .name = "lanes", .declines = ot_float32_only, .run = to_blocks_fast },
    { .name = "reference", .run = to_blocks_reference, .in_double = true },
    { 0 },
};

static const ot_kernel from_blocks_kernels[] = {
    { .name = "lanes", .declines = ot_float32_only, .run = from_blocks_fast },
    { .name = "reference", .run = from_blocks_reference, .in_double = true },
    { 0 },
};

const ot_op ot_op_ToBlocks = { .domain = OT_INTERNAL,
                               .name = "ToBlocks",
                               .since = 1,
                               .until = 1,
                               .min_in = 1,
                               .max_in = 1,
                               .min_out = 1,
                               .max_out = 1,
                               .infer = to_blocks_infer,
                               .cpu = to_blocks_kernels };

const ot_op ot_op_FromBlocks = { .domain = OT_INTERNAL,
                                 .name = "FromBlocks",
                                 .since = 1,
                                 .until = 1,
                                 .min_in = 1,
                                 .max_in = 1,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = from_blocks_infer,
                                 .cpu = from_blocks_kernels };

/* DepthToSpace: [N, C b b, H, W] -> [N, C, H b, W b]; the channels count (row, column, C) in mode DCR, (C, row, column)
 * in mode CRD.  SpaceToDepth is the way back, and each is the other's gradient. */
#include "known.h"
#include "strided.h"

#include <string.h>

static ot_status mode_of(bool *crd, int64_t *block, const ot_node *n)
{
    const char *mode = ot_attr_text(n, "mode", "DCR");
    *crd = strcmp(mode, "CRD") == 0;
    *block = ot_attr_int(n, "blocksize", 0);
    if (!*crd && strcmp(mode, "DCR") != 0)
        return ot_fail(OT_EMODEL, "mode is '%s', wanted is DCR or CRD", mode);
    if (*block < 1 || *block > INT32_MAX)
        return ot_fail(OT_EMODEL, "blocksize is %lld", (long long)*block);
    return OT_OK;
}

/* A dimension over `by`, which must divide it. */
static ot_status part(ot_infer *c, ot_dim *out, ot_dim dim, int64_t by, const char *what)
{
    if (!ot_is_symbol(dim) && dim % by != 0)
        return ot_fail(OT_ESHAPE, "%s is %lld, no multiple of %lld", what, (long long)dim, (long long)by);
    *out = ot_dim_div(c, dim, by);
    return OT_OK;
}

static ot_status to_space_infer(ot_infer *c)
{
    const ot_dim *x = c->x[0]->dim;
    bool crd;
    int64_t b;
    OT_TRY(mode_of(&crd, &b, c->node));
    if (ot_open_rank(c, 0))
        return ot_open_like(c, 0);
    OT_TRY(ot_rank_between(c, 0, 4, 4));
    ot_dim dim[4] = { x[0], 0, ot_dim_mul(c, x[2], b), ot_dim_mul(c, x[3], b) };
    OT_TRY(part(c, &dim[1], x[1], b * b, "the number of channels"));
    ot_set_shape(&c->y[0], c->x[0]->dtype, 4, dim);
    return OT_OK;
}

static ot_status to_depth_infer(ot_infer *c)
{
    const ot_dim *x = c->x[0]->dim;
    bool crd;
    int64_t b;
    OT_TRY(mode_of(&crd, &b, c->node));
    if (ot_open_rank(c, 0))
        return ot_open_like(c, 0);
    OT_TRY(ot_rank_between(c, 0, 4, 4));
    ot_dim dim[4] = { x[0], ot_dim_mul(c, x[1], b * b) };
    OT_TRY(part(c, &dim[2], x[2], b, "the height"));
    OT_TRY(part(c, &dim[3], x[3], b, "the width"));
    ot_set_shape(&c->y[0], c->x[0]->dtype, 4, dim);
    return OT_OK;
}

/* A walk over (n, C, H, row, W, column), which is dense in space; `deep` are its strides in depth. */
static void walk_space(ot_walk *w, int64_t *deep, const ot_tensor *space, int64_t b, bool crd)
{
    int64_t n = space->dim[0], c = space->dim[1], h = space->dim[2] / b, wide = space->dim[3] / b, plane = h * wide;
    const int64_t dim[6] = { n, c, h, b, wide, b };
    const int64_t each[6] = {
        c * b * b * plane,      crd ? b * b * plane : plane, wide, crd ? b * plane : b * c * plane, 1,
        crd ? plane : c * plane
    };
    w->rank = 6;
    memcpy(w->dim, dim, sizeof(dim));
    memcpy(deep, each, sizeof(each));
}

static ot_status to_space_run(const ot_run *r)
{
    ot_walk w = ot_walk_into(&r->y[0], &r->x[0]);
    bool crd;
    int64_t b;
    OT_TRY(mode_of(&crd, &b, r->node));
    walk_space(&w, w.from_stride, &r->y[0], b, crd);
    ot_dense_strides(w.to_stride, 6, w.dim);
    ot_walk_copy(r, &w);
    return OT_OK;
}

static ot_status to_depth_run(const ot_run *r)
{
    static const int orders[2][6] = { { 0, 3, 5, 1, 2, 4 }, { 0, 1, 3, 5, 2, 4 } }; /* of the dims in depth */
    ot_walk w = ot_walk_into(&r->y[0], &r->x[0]), s = w;
    int64_t deep[6];
    bool crd;
    int64_t b;
    OT_TRY(mode_of(&crd, &b, r->node));
    walk_space(&s, deep, &r->x[0], b, crd);
    ot_dense_strides(s.from_stride, 6, s.dim);
    w.rank = 6;
    for (int d = 0; d < 6; d++) {
        w.dim[d] = s.dim[orders[crd][d]];
        w.to_stride[d] = deep[orders[crd][d]];
        w.from_stride[d] = s.from_stride[orders[crd][d]];
    }
    ot_walk_copy(r, &w);
    return OT_OK;
}

static void to_space_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "SpaceToDepth", ot_the_node(b)->attr, ot_dy(b, 0)));
}

static void to_depth_differentiate(ot_build *b)
{
    ot_give(b, 0, OT_EMIT_WITH(b, "DepthToSpace", ot_the_node(b)->attr, ot_dy(b, 0)));
}

static const ot_kernel to_space_kernels[] = { { .name = "strided", .run = to_space_run }, { 0 } };
static const ot_kernel to_depth_kernels[] = { { .name = "strided", .run = to_depth_run }, { 0 } };

#define MOVES(id, rule, differentiate, kernels)                                                                        \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = 1,                                                                             \
                               .until = OT_LATEST,                                                                     \
                               .min_in = 1,                                                                            \
                               .max_in = 1,                                                                            \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .infer = rule,                                                                          \
                               .grad = differentiate,                                                                  \
                               .cpu = kernels };

MOVES(DepthToSpace, to_space_infer, to_space_differentiate, to_space_kernels)
MOVES(SpaceToDepth, to_depth_infer, to_depth_differentiate, to_depth_kernels)

/* BitwiseAnd, BitwiseOr, BitwiseXor, BitShift: integers bit by bit, under numpy's broadcasting; BitwiseNot of one
 * tensor. A shift by the width of the type or more gives 0.  No gradient. */
#include "broadcast.h"

#include <string.h>

#define BITS(name, expr)                                                                                               \
    OT_PAIR(name##_8, uint8_t, uint8_t, expr)                                                                          \
    OT_PAIR(name##_16, uint16_t, uint16_t, expr)                                                                       \
    OT_PAIR(name##_32, uint32_t, uint32_t, expr)                                                                       \
    OT_PAIR(name##_64, uint64_t, uint64_t, expr)
#define ROWS(name)                                                                                                     \
    {                                                                                                                  \
        name##_8, name##_16, name##_32, name##_64                                                                      \
    }

BITS(and, x &z)
BITS(or, x | z)
BITS(xor, x ^ z)
BITS(left, z < 8 * sizeof(x) ? (uint64_t)x << z : 0)
BITS(right, z < 8 * sizeof(x) ? x >> z : 0)

static const struct {
    const char *name;
    ot_pair_row *row[4]; /* of elements of 8, 16, 32, 64 bits, whatever the sign */
} families[] = {
    { "BitwiseAnd", ROWS(and) }, { "BitwiseOr", ROWS(or) }, { "BitwiseXor", ROWS(xor) },
    { "LEFT", ROWS(left) },      { "RIGHT", ROWS(right) },
};

/* NULL where there is none: a BitShift whose direction is neither. */
static ot_pair_row *row_of(const ot_node *n, ot_dtype t)
{
    bool shift = strcmp(n->op->name, "BitShift") == 0;
    const char *name = shift ? ot_attr_text(n, "direction", "") : n->op->name;
    int bits = ot_dtype_bits(t);
    for (size_t i = shift ? 3 : 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (strcmp(families[i].name, name) == 0)
            return families[i].row[bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3];
    return NULL;
}

static ot_status needs_int(const ot_infer *c, bool is_unsigned)
{
    ot_dtype t = c->x[0]->dtype;
    bool u = t == OT_UINT8 || t == OT_UINT16 || t == OT_UINT32 || t == OT_UINT64;
    if (!ot_dtype_is_int(t) || ot_dtype_bits(t) < 8 || (is_unsigned && !u))
        return ot_fail(OT_ESHAPE, "not defined for %s", ot_dtype_name(t));
    return OT_OK;
}

static ot_status bitwise_infer(ot_infer *c)
{
    OT_TRY(needs_int(c, strcmp(c->node->op->name, "BitShift") == 0));
    if (!row_of(c->node, c->x[0]->dtype))
        return ot_fail(OT_EMODEL, "direction is '%s', wanted is LEFT or RIGHT", ot_attr_text(c->node, "direction", ""));
    return ot_broadcast_shape(c);
}

static ot_status bitwise_run(const ot_run *r)
{
    ot_for_pairs(r, row_of(r->node, r->x[0].dtype));
    return OT_OK;
}

static ot_status not_infer(ot_infer *c)
{
    OT_TRY(needs_int(c, false));
    return ot_same_shape(c);
}

static void not_range(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const uint8_t *x = r->x[0].data;
    uint8_t *y = r->y[0].data;
    for (int64_t i = from; i < to; i++)
        y[i] = (uint8_t)~x[i];
}

static ot_status not_run(const ot_run *r)
{
    ot_for_ranges(r, (int64_t)ot_tensor_bytes(&r->y[0]), OT_GRAIN, not_range, (void *)r);
    return OT_OK;
}

static const ot_kernel bitwise_kernels[] = { { .name = "rows", .run = bitwise_run }, { 0 } };
static const ot_kernel not_kernels[] = { { .name = "bytes", .run = not_run }, { 0 } };

#define BITWISE(id, first, inputs, rule, kernels)                                                                      \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = first,                                                                         \
                               .until = OT_LATEST,                                                                     \
                               .min_in = inputs,                                                                       \
                               .max_in = inputs,                                                                       \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .infer = rule,                                                                          \
                               .grad = ot_grad_none,                                                                   \
                               .cpu = kernels,                                                                         \
                               .in_place = (1 << inputs) - 1 };

BITWISE(BitShift, 11, 2, bitwise_infer, bitwise_kernels)
BITWISE(BitwiseAnd, 18, 2, bitwise_infer, bitwise_kernels)
BITWISE(BitwiseNot, 18, 1, not_infer, not_kernels)
BITWISE(BitwiseOr, 18, 2, bitwise_infer, bitwise_kernels)
BITWISE(BitwiseXor, 18, 2, bitwise_infer, bitwise_kernels)

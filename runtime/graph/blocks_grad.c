/* The layout pass over what training adds: batch normalisation in its training form, and the backward pass. */
#include "graph/blocks.h"

#include <string.h>

/* Output i of the node that was emitted last is v, which is no picture. */
static void gives(blocker *k, int i, ot_val v)
{
    ot_node *made = k->g->node[k->g->n_node - 1];
    if (k->b.st != OT_OK || v == OT_NONE || made->out[i] == OT_NONE)
        return;
    made->out[i] = v;
    k->g->value[v].producer = made;
}

/* Emits a node whose first output is the blocked form of n's, and whose others are n's. */
static void emit_outputs(blocker *k, const ot_node *n, const char *op, const ot_attr *attr, int n_in, const ot_val *in)
{
    ot_val out[8];
    for (int i = 0; i < n->n_out; i++)
        out[i] = i == 0 ? 0 : n->out[i];
    ot_emit_outputs(&k->b, op, attr, n_in, in, n->n_out, out);
    if (k->b.st != OT_OK)
        return;
    for (int i = 1; i < n->n_out; i++)
        gives(k, i, n->out[i]);
    ot_becomes_blocked(k, n->out[0], out[0]);
}

static bool block_norm(blocker *k, const ot_node *n)
{
    if (!ot_has_twin(k, n->in[0]))
        return false;
    const ot_val in[5] = { k->twin[n->in[0]], n->in[1], n->in[2], n->in[3], n->in[4] };
    emit_outputs(k, n, "BlockNormTrain", n->attr, 5, in);
    return true;
}

static bool block_norm_grad(blocker *k, const ot_node *n)
{
    if (!ot_has_twin(k, n->in[1]) || !ot_is_picture(k, n->in[0]))
        return false;
    const ot_val in[5] = { ot_in_blocks(k, n->in[0]), k->twin[n->in[1]], n->in[2], n->in[3], n->in[4] };
    emit_outputs(k, n, "BlockNormTrainGrad", n->attr, 5, in);
    return true;
}

static bool strides_are_one(const ot_node *n)
{
    int count;
    const int64_t *stride = ot_attr_ints(n, "strides", &count);
    for (int i = 0; i < count; i++)
        if (stride[i] != 1)
            return false;
    return true;
}

/* (dy, w, x for its shape) */
static bool block_conv_grad_x(blocker *k, const ot_node *n)
{
    ot_val dy = n->in[0], w = n->in[1], x = n->in[2];
    if (!ot_has_twin(k, dy) || !ot_is_picture(k, x) || !ot_blocks_serve(k, n, w) || !strides_are_one(n))
        return false;
    const ot_val in[3] = { k->twin[dy], w, ot_has_twin(k, x) ? k->twin[x] : x };
    ot_becomes_blocked(k, n->out[0], ot_emit(&k->b, "BlockConvGradX", ot_conv_attr(k, n, w), 3, in));
    return true;
}

/* (dy, x, w for its shape) -> dw, db */
static bool block_conv_grad_w(blocker *k, const ot_node *n)
{
    ot_val dy = n->in[0], x = n->in[1], out[2];
    if (!ot_has_twin(k, dy) || !ot_is_picture(k, x) || !ot_blocks_serve(k, n, n->in[2]))
        return false;
    const ot_val in[3] = { k->twin[dy], ot_conv_input(k, n, x), n->in[2] };
    for (int i = 0; i < n->n_out; i++)
        out[i] = n->out[i];
    ot_emit_outputs(&k->b, "BlockConvGradW", n->attr, 3, in, n->n_out, out);
    for (int i = 0; i < n->n_out; i++)
        gives(k, i, n->out[i]);
    return true;
}

/* (dy, x) of a pooling whose output is a picture. */
static bool block_pool_grad(blocker *k, const ot_node *n, const char *op)
{
    if (!ot_has_twin(k, n->in[1]) || !ot_is_picture(k, n->in[0]))
        return false;
    const ot_val in[2] = { ot_in_blocks(k, n->in[0]), k->twin[n->in[1]] };
    ot_becomes_blocked(k, n->out[0], ot_emit(&k->b, op, n->attr, 2, in));
    return true;
}

/* (dy, x or y, scalars): element by element. */
static bool block_slope(blocker *k, const ot_node *n)
{
    ot_val in[4];
    if (!ot_has_twin(k, n->in[1]) || !ot_is_picture(k, n->in[0]) || n->n_in > 4)
        return false;
    in[0] = ot_in_blocks(k, n->in[0]);
    in[1] = k->twin[n->in[1]];
    for (int i = 2; i < n->n_in; i++)
        in[i] = n->in[i];
    ot_becomes_blocked(k, n->out[0], ot_emit(&k->b, n->op->name, n->attr, n->n_in, in));
    return true;
}

bool ot_block_training(blocker *k, const ot_node *n)
{
    const char *op = n->op->name;
    if (strcmp(op, "BatchNormTrain") == 0)
        return block_norm(k, n);
    if (strcmp(op, "BatchNormTrainGrad") == 0)
        return block_norm_grad(k, n);
    if (strcmp(op, "ConvGradX") == 0)
        return block_conv_grad_x(k, n);
    if (strcmp(op, "ConvGradW") == 0)
        return block_conv_grad_w(k, n);
    if (strcmp(op, "MaxPoolGrad") == 0)
        return block_pool_grad(k, n, "BlockMaxPoolGrad");
    if (strcmp(op, "GlobalAveragePoolGrad") == 0)
        return block_pool_grad(k, n, "GlobalBlockAveragePoolGrad");
    return (strcmp(op, "ReluGrad") == 0 || strcmp(op, "ClipGrad") == 0 || strcmp(op, "UnaryGrad") == 0) &&
           block_slope(k, n);
}

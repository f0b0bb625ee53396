/* The layout pass: pictures between convolutions lie in blocks of 16 channels (ops/block.h), where a convolution of
 * constant weights is fastest.  A convolution makes its output blocked; element-wise nodes, poolings and concatenations
 * that read a blocked value stay in blocks; whatever else reads one gets it back in ONNX's order.  The blocked form of
 * a value is a value of its own, its twin; the plain one is computed only where something reads it. */
#include "graph/blocks.h"

#include <string.h>

bool ot_is_picture(const blocker *k, ot_val v)
{
    return v != OT_NONE && ot_blocker_fact(k, v)->rank == 4 && ot_blocker_fact(k, v)->dtype == OT_FLOAT &&
           !ot_is_symbol(ot_blocker_fact(k, v)->dim[1]) && ot_blocker_fact(k, v)->dim[1] > 0;
}

/* Emitted nodes belong to the layer of the node they stand for. */
static void stand_for(blocker *k, const ot_node *n)
{
    k->b.prefix = n->name;
    k->b.layer = n->layer;
    k->b.made = 0;
}

ot_val ot_in_blocks(blocker *k, ot_val v)
{
    ot_val twin = ot_twin_of(k, v);
    if (twin != OT_NONE)
        return twin;
    twin = OT_EMIT(&k->b, "ToBlocks", v);
    if (v < k->n_before)
        k->twin[v] = twin;
    return twin;
}

void ot_becomes_blocked(blocker *k, ot_val v, ot_val twin)
{
    k->twin[v] = twin;
    k->pending[v] = true;
}

/* v in ONNX's order, under its own name. */
static ot_status in_order(blocker *k, ot_val v)
{
    if (v == OT_NONE || v >= k->n_before || !k->pending[v])
        return OT_OK;
    const ot_attr attr[] = { OT_INT("channels", ot_blocker_fact(k, v)->dim[1]), { .name = NULL } };
    k->b.prefix = k->g->value[v].name;
    k->b.made = 0;
    OT_EMIT_WITH(&k->b, "FromBlocks", attr, k->twin[v]);
    if (k->b.st != OT_OK)
        return k->b.st;
    ot_node *n = k->g->node[k->g->n_node - 1];
    n->out[0] = v;
    k->g->value[v].producer = n;
    k->pending[v] = false;
    return OT_OK;
}

/* ---- Convolutions ------------------------------------------------------------------------------------------------ */

bool ot_blocks_serve(const blocker *k, const ot_node *n, ot_val w)
{
    const ot_value *v = &k->g->value[w];
    int64_t out = v->fact.dim[0], each = v->fact.dim[1], group = ot_attr_int(n, "group", 1);
    bool weight = v->origin == OT_FROM_CONSTANT || v->origin == OT_FROM_SLOT;
    if (!weight || !ot_is_picture(k, w) || ot_is_symbol(out) || out < LEAST || ot_is_symbol(each) || group < 1)
        return false;
    bool depthwise = each == 1 && out == group;
    return group == 1 || depthwise || (each % LANES == 0 && out / group % LANES == 0);
}

ot_val ot_conv_input(blocker *k, const ot_node *n, ot_val x)
{
    bool as_it_lies = ot_twin_of(k, x) == OT_NONE && ot_blocker_fact(k, x)->dim[1] < FEW;
    return as_it_lies && ot_attr_int(n, "group", 1) == 1 ? x : ot_in_blocks(k, x);
}

const ot_attr *ot_conv_attr(blocker *k, const ot_node *n, ot_val w)
{
    int count = 0;
    if (k->g->value[w].origin != OT_FROM_SLOT || k->g->n_binding == 0)
        return n->attr;
    while (n->attr && n->attr[count].name)
        count++;
    ot_attr *attr = ot_arena_calloc(&k->g->arena, (size_t)count + 2, sizeof(*attr));
    if (!attr) {
        ot_build_fail(&k->b, OT_ENOMEM);
        return n->attr;
    }
    if (count)
        memcpy(attr, n->attr, (size_t)count * sizeof(*attr));
    attr[count] = (ot_attr)OT_INT("trains", 1);
    return attr;
}

static bool is_conv(const blocker *k, const ot_node *n)
{
    bool conv = strcmp(n->op->name, "Conv") == 0 || strcmp(n->op->name, "ConvFused") == 0;
    return conv && ot_is_picture(k, n->in[0]) && ot_is_picture(k, n->out[0]) && ot_blocks_serve(k, n, n->in[1]);
}

static void block_conv(blocker *k, const ot_node *n)
{
    ot_val residual = n->n_in > 3 ? n->in[3] : OT_NONE;
    ot_val in[4] = { ot_conv_input(k, n, n->in[0]), n->in[1], n->n_in > 2 ? n->in[2] : OT_NONE,
                     residual == OT_NONE ? OT_NONE : ot_in_blocks(k, residual) };
    ot_becomes_blocked(k, n->out[0], ot_emit(&k->b, "BlockConv", ot_conv_attr(k, n, n->in[1]), 4, in));
}

/* ---- What follows them ------------------------------------------------------------------------------------------- */

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

/* y has x's dims, and element i of y depends on element i of x and on scalars. */
static const char *const unary[] = { "Abs",       "Ceil",      "Celu",  "Clip",    "Elu",
                                     "Erf",       "Exp",       "Floor", "Gelu",    "HardSigmoid",
                                     "HardSwish", "LeakyRelu", "Mish",  "Neg",     "Reciprocal",
                                     "Relu",      "Round",     "Selu",  "Sigmoid", "Softplus",
                                     "Softsign",  "Sqrt",      "Swish", "Tanh",    "ThresholdedRelu",
                                     NULL };
static const char *const binary[] = { "Add", "Div", "Max", "Min", "Mul", "PRelu", "Sub", NULL };

/* A constant of one number for each channel, (1,) C, 1, 1, in blocks. */
static ot_val channel_constant(blocker *k, ot_val v, int64_t channels)
{
    const ot_value *value = &k->g->value[v];
    const ot_fact *f = &value->fact;
    bool shaped = (f->rank == 3 || (f->rank == 4 && f->dim[0] == 1)) && f->dim[f->rank - 3] == channels &&
                  f->dim[f->rank - 2] == 1 && f->dim[f->rank - 1] == 1;
    if (value->origin != OT_FROM_CONSTANT || f->dtype != OT_FLOAT || !shaped)
        return OT_NONE;
    int64_t blocks = (channels + LANES - 1) / LANES;
    ot_tensor *t = ot_graph_own(k->g, OT_FLOAT, 5, (const int64_t[]){ 1, blocks, 1, 1, LANES });
    if (!t) {
        ot_build_fail(&k->b, OT_ENOMEM);
        return OT_NONE;
    }
    memcpy(t->data, value->tensor->data, (size_t)channels * sizeof(float));
    return ot_graph_tensor(k->g, value->name, OT_FROM_CONSTANT, t);
}

/* The form of another operand that broadcasts against a blocked picture of so many channels; OT_NONE: there is none. */
static ot_val operand(blocker *k, ot_val v, int64_t channels)
{
    int64_t count;
    if (v == OT_NONE)
        return OT_NONE;
    if (ot_count(&count, ot_blocker_fact(k, v)->rank, ot_blocker_fact(k, v)->dim) && count == 1 &&
        ot_blocker_fact(k, v)->rank < 5)
        return ot_twin_of(k, v) != OT_NONE && k->pending[v] ? OT_NONE : v;
    ot_val constant = channel_constant(k, v, channels);
    if (constant != OT_NONE || !ot_is_picture(k, v) || ot_blocker_fact(k, v)->dim[1] != channels)
        return constant;
    return ot_in_blocks(k, v);
}

bool ot_has_twin(const blocker *k, ot_val v)
{
    return ot_twin_of(k, v) != OT_NONE && ot_is_picture(k, v);
}

static bool block_binary(blocker *k, const ot_node *n)
{
    if (n->n_in != 2 || !ot_is_picture(k, n->out[0]))
        return false;
    int64_t channels = ot_blocker_fact(k, n->out[0])->dim[1];
    bool any = false;
    for (int i = 0; i < 2; i++)
        any |= ot_has_twin(k, n->in[i]) && ot_blocker_fact(k, n->in[i])->dim[1] == channels;
    if (!any)
        return false;
    ot_val in[2];
    for (int i = 0; i < 2; i++) {
        in[i] = ot_has_twin(k, n->in[i]) && ot_blocker_fact(k, n->in[i])->dim[1] == channels
                    ? k->twin[n->in[i]]
                    : operand(k, n->in[i], channels);
        if (in[i] == OT_NONE)
            return false;
    }
    ot_becomes_blocked(k, n->out[0], ot_emit(&k->b, n->op->name, n->attr, 2, in));
    return true;
}

static bool block_unary(blocker *k, const ot_node *n)
{
    ot_val in[3];
    if (!ot_has_twin(k, n->in[0]) || n->n_in > 3 || n->n_out != 1)
        return false;
    in[0] = k->twin[n->in[0]];
    for (int i = 1; i < n->n_in; i++)
        in[i] = n->in[i]; /* bounds are scalars */
    ot_becomes_blocked(k, n->out[0], ot_emit(&k->b, n->op->name, n->attr, n->n_in, in));
    return true;
}

static bool block_pool(blocker *k, const ot_node *n, const char *op)
{
    if (!ot_has_twin(k, n->in[0]))
        return false;
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i] != OT_NONE)
            return false;
    ot_becomes_blocked(k, n->out[0], OT_EMIT_WITH(&k->b, op, n->attr, k->twin[n->in[0]]));
    return true;
}

/* All inputs but the last are whole blocks, so the blocks follow each other too. */
static bool block_concat(blocker *k, const ot_node *n)
{
    int64_t axis = ot_attr_int(n, "axis", 1);
    bool any = false;
    if (!ot_is_picture(k, n->out[0]) || (axis != 1 && axis != -3))
        return false;
    for (int i = 0; i < n->n_in; i++) {
        if (!ot_is_picture(k, n->in[i]) || (i < n->n_in - 1 && ot_blocker_fact(k, n->in[i])->dim[1] % LANES))
            return false;
        any |= ot_has_twin(k, n->in[i]);
    }
    if (!any)
        return false;
    ot_val *in = ot_arena_calloc(&k->g->arena, (size_t)n->n_in + 1, sizeof(*in));
    if (!in) {
        ot_build_fail(&k->b, OT_ENOMEM);
        return false;
    }
    for (int i = 0; i < n->n_in; i++)
        in[i] = ot_in_blocks(k, n->in[i]);
    const ot_attr attr[] = { OT_INT("axis", 1), { .name = NULL } };
    ot_becomes_blocked(k, n->out[0], ot_emit(&k->b, "Concat", attr, n->n_in, in));
    return true;
}

static bool block_node(blocker *k, const ot_node *n)
{
    const char *op = n->op->name;
    if (n->n_in < 1 || n->n_out < 1 || n->in[0] == OT_NONE || n->out[0] == OT_NONE)
        return false;
    stand_for(k, n);
    if (is_conv(k, n)) {
        block_conv(k, n);
        return true;
    }
    if (is_one_of(op, unary))
        return block_unary(k, n);
    if (is_one_of(op, binary))
        return block_binary(k, n);
    if (strcmp(op, "MaxPool") == 0)
        return block_pool(k, n, "BlockMaxPool");
    if (strcmp(op, "AveragePool") == 0)
        return block_pool(k, n, "BlockAveragePool");
    if (strcmp(op, "GlobalAveragePool") == 0)
        return block_pool(k, n, "GlobalBlockAveragePool");
    if (strcmp(op, "Concat") == 0)
        return block_concat(k, n);
    return ot_block_training(k, n);
}

/* ---- The pass ---------------------------------------------------------------------------------------------------- */

static ot_status keep(blocker *k, ot_node *n)
{
    ot_graph *g = k->g;
    for (int i = 0; i < n->n_in; i++)
        OT_TRY(in_order(k, n->in[i]));
    OT_TRY(ot_grow(&g->node, g->n_node, &g->cap_node, sizeof(*g->node)));
    g->node[g->n_node++] = n;
    return OT_OK;
}

static ot_status rebuild(blocker *k, ot_node *const *node, int64_t n)
{
    ot_graph *g = k->g;
    for (int64_t i = 0; i < n; i++) {
        bool blocked = block_node(k, node[i]);
        if (k->b.st != OT_OK)
            return k->b.st;
        if (!blocked)
            OT_TRY(keep(k, node[i]));
    }
    for (int64_t i = 0; i < g->n_output; i++)
        OT_TRY(in_order(k, g->output[i].value));
    for (int64_t i = 0; i < g->n_binding; i++)
        OT_TRY(in_order(k, g->binding[i].value));
    return g->guard == OT_NONE ? OT_OK : in_order(k, g->guard);
}

ot_status ot_block_layout(ot_graph *g)
{
    blocker k = { .g = g, .b = { .g = g, .prefix = "", .layer = -1 }, .n_before = g->n_value };
    int64_t n = g->n_node;
    ot_status st = OT_ENOMEM;
    ot_node **node = ot_malloc((size_t)n + 1, sizeof(*node));
    k.twin = ot_malloc((size_t)g->n_value + 1, sizeof(*k.twin));
    k.pending = ot_calloc((size_t)g->n_value + 1, sizeof(*k.pending));
    if (node && k.twin && k.pending) {
        for (int64_t v = 0; v < g->n_value; v++)
            k.twin[v] = OT_NONE;
        if (n)
            memcpy(node, g->node, (size_t)n * sizeof(*node));
        g->n_node = 0;
        st = rebuild(&k, node, n);
    }
    ot_free(node);
    ot_free(k.twin);
    ot_free(k.pending);
    return st;
}

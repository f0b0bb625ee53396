/* Is a graph the same computation for each sample of a batch?  Then a large batch may run in parts whose activations
 * stay in the cache.  True only where it can be told of every node from symbols: the batch is dimension 0 of all inputs
 * and outputs, and no node mixes it. */
#include "graph/graph.h"

#include <string.h>

typedef struct checker {
    const ot_graph *g;
    ot_dim batch;
} checker;

static const ot_fact *fact(const checker *k, ot_val v)
{
    return &k->g->value[v].fact;
}

/* Is the batch part of this dimension? */
static bool has_batch(const checker *k, ot_dim d, int depth)
{
    if (!ot_is_symbol(d))
        return false;
    if (d == k->batch || depth > 16)
        return true;
    const ot_symbol *s = &k->g->symbol[d - OT_SYMBOL(0)];
    return s->op != 'n' && (s->op == '?' || has_batch(k, s->a, depth + 1) || has_batch(k, s->b, depth + 1));
}

/* Dimension 0 is the batch, no other has it. */
static bool is_batched(const checker *k, ot_val v)
{
    const ot_fact *f = fact(k, v);
    if (f->kind != OT_TENSOR || f->rank < 1 || f->dim[0] != k->batch)
        return false;
    for (int d = 1; d < f->rank; d++)
        if (has_batch(k, f->dim[d], 0))
            return false;
    return true;
}

static bool is_free(const checker *k, ot_val v)
{
    return v == OT_NONE || k->g->value[v].origin == OT_FROM_CONSTANT;
}

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

/* Inputs from the second on never mix samples when they are constants. */
static const char *const windows[] = { "AveragePool",
                                       "BatchNormalization",
                                       "BlockAveragePool",
                                       "BlockConv",
                                       "BlockMaxPool",
                                       "Conv",
                                       "ConvFused",
                                       "FromBlocks",
                                       "GlobalAveragePool",
                                       "GlobalBlockAveragePool",
                                       "GlobalMaxPool",
                                       "LRN",
                                       "MaxPool",
                                       "ToBlocks",
                                       NULL };
/* Element i of the output depends on element i of the inputs, broadcast. */
static const char *const elementwise[] = { "Abs",       "Add",      "Cast",
                                           "Ceil",      "Celu",     "Chain",
                                           "Clip",      "Div",      "Dropout",
                                           "Elu",       "Erf",      "Exp",
                                           "Floor",     "Gelu",     "HardSigmoid",
                                           "HardSwish", "Identity", "LeakyRelu",
                                           "Log",       "Max",      "Min",
                                           "Mish",      "Mul",      "Neg",
                                           "PRelu",     "Pow",      "Reciprocal",
                                           "Relu",      "Round",    "Selu",
                                           "Sigmoid",   "Softplus", "Softsign",
                                           "Sqrt",      "Sub",      "Sum",
                                           "Swish",     "Tanh",     "ThresholdedRelu",
                                           "Where",     NULL };
/* Row-major order and dimension 0 stay, so samples do. */
static const char *const views[] = { "Flatten", "Reshape", "Squeeze", "Unsqueeze", NULL };

/* Constants of fewer dims, or of one sample, are the same for all samples; the rest has samples of its own. */
static bool is_elementwise(const checker *k, const ot_node *n)
{
    int rank = fact(k, n->out[0])->rank;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] == OT_NONE)
            continue;
        const ot_fact *f = fact(k, n->in[i]);
        bool shared = is_free(k, n->in[i]) && (f->rank < rank || (f->rank == rank && f->dim[0] == 1));
        if (!shared && !(is_batched(k, n->in[i]) && f->rank == rank))
            return false;
    }
    return true;
}

static int64_t axis_of(const checker *k, const ot_node *n, int64_t otherwise)
{
    int64_t axis = ot_attr_int(n, "axis", otherwise);
    return axis < 0 ? axis + fact(k, n->in[0])->rank : axis;
}

static bool rest_is_free(const checker *k, const ot_node *n, int from)
{
    for (int i = from; i < n->n_in; i++)
        if (!is_free(k, n->in[i]))
            return false;
    return true;
}

static bool reduces_within(const checker *k, const ot_node *n)
{
    const ot_fact *axes = n->n_in > 1 && n->in[1] != OT_NONE ? fact(k, n->in[1]) : NULL;
    if (!axes || !is_free(k, n->in[1]) || axes->n_value < 1)
        return false;
    for (int i = 0; i < axes->n_value; i++)
        if (axes->value[i] == 0 || axes->value[i] == -fact(k, n->in[0])->rank)
            return false;
    return true;
}

static bool is_matmul(const checker *k, const ot_node *n)
{
    const ot_fact *a = fact(k, n->in[0]), *b = fact(k, n->in[1]);
    if (is_free(k, n->in[1]))
        return a->rank >= 2 && b->rank == 2;
    return a->rank >= 3 && a->rank == b->rank && is_batched(k, n->in[1]);
}

static bool keeps_samples(const checker *k, const ot_node *n)
{
    const char *op = n->op->name;
    int count = 0;
    if (is_one_of(op, elementwise))
        return is_elementwise(k, n);
    if (!is_batched(k, n->in[0]))
        return false;
    if (strcmp(op, "BatchNormalization") == 0 && ot_attr_int(n, "training_mode", 0))
        return false;
    if (is_one_of(op, windows)) /* a fused residual is the only other input with samples */
        return rest_is_free(k, n, 1) ||
               (n->n_in == 4 && is_free(k, n->in[1]) && is_free(k, n->in[2]) && is_batched(k, n->in[3]));
    if (is_one_of(op, views))
        return rest_is_free(k, n, 1);
    if (strcmp(op, "Gemm") == 0)
        return !ot_attr_int(n, "transA", 0) && is_free(k, n->in[1]) &&
               (n->n_in < 3 || is_free(k, n->in[2]) || fact(k, n->in[2])->rank == 2);
    if (strcmp(op, "MatMul") == 0)
        return is_matmul(k, n);
    if (strcmp(op, "Transpose") == 0) {
        const int64_t *perm = ot_attr_ints(n, "perm", &count);
        return count > 0 && perm[0] == 0;
    }
    if (strcmp(op, "Concat") == 0) {
        for (int i = 0; i < n->n_in; i++)
            if (!is_batched(k, n->in[i]))
                return false;
        return axis_of(k, n, 0) > 0;
    }
    if (strcmp(op, "Softmax") == 0 || strcmp(op, "LogSoftmax") == 0)
        return axis_of(k, n, n->opset < 13 ? 1 : -1) > 0;
    if (strcmp(op, "LayerNormalization") == 0)
        return axis_of(k, n, -1) > 0 && rest_is_free(k, n, 1);
    return strncmp(op, "Reduce", 6) == 0 && reduces_within(k, n);
}

bool ot_node_keeps_samples(const ot_graph *g, const ot_node *n, ot_dim batch)
{
    checker k = { .g = g, .batch = batch };
    if (n->n_in < 1 || n->in[0] == OT_NONE || !keeps_samples(&k, n))
        return false;
    for (int o = 0; o < n->n_out; o++)
        if (n->out[o] != OT_NONE && !is_batched(&k, n->out[o]))
            return false;
    return true;
}

bool ot_is_samplewise(const ot_graph *g)
{
    checker k = { .g = g };
    if (g->n_input < 1 || g->n_output < 1 || g->n_binding > 0)
        return false;
    const ot_fact *first = &g->value[g->input[0]].fact;
    if (first->rank < 1 || !ot_is_symbol(first->dim[0]) || g->symbol[first->dim[0] - OT_SYMBOL(0)].op != 'n')
        return false;
    k.batch = first->dim[0];
    for (int64_t i = 0; i < g->n_input; i++)
        if (!is_batched(&k, g->input[i]))
            return false;
    for (int64_t i = 0; i < g->n_output; i++)
        if (!is_batched(&k, g->output[i].value) || fact(&k, g->output[i].value)->dtype == OT_STRING)
            return false;
    for (int64_t i = 0; i < g->n_node; i++)
        if (!ot_node_keeps_samples(g, g->node[i], k.batch))
            return false;
    return true;
}

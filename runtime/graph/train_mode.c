/* BatchNormalization and Dropout in their training forms. */
#include "graph/train_mode.h"

#include <string.h>

/* Makes the node that takes n's place at index `at`; its first output is n's, so readers notice nothing. */
static ot_status replace(ot_build *b, int64_t at, const char *op_name, const ot_attr *attr, int n_in, const ot_val *in,
                         int n_out, ot_val *out)
{
    ot_graph *g = b->g;
    const ot_node *old = g->node[at];
    const ot_op *op;
    OT_TRY(ot_find_op(&op, OT_INTERNAL, op_name, 1));
    b->layer = old->layer;
    OT_TRY(ot_add_node(b, op, 1, old->name, attr, n_in, in, n_out, out, NULL));
    ot_node *made = g->node[--g->n_node];
    if (!ot_fact_same(&g->value[out[0]].fact, &g->value[old->out[0]].fact))
        return ot_fail(OT_ESHAPE, "node '%s': its training form has another shape", old->name);
    for (int i = 0; i < n_out && i < old->n_out; i++)
        if (old->out[i] != OT_NONE && (i == 0 || strcmp(op_name, "DropoutTrain") == 0)) {
            made->out[i] = out[i] = old->out[i];
            g->value[out[i]].producer = made;
        }
    g->node[at] = made;
    return OT_OK;
}

static ot_status train_batchnorm(ot_build *b, int64_t at)
{
    const ot_node *n = b->g->node[at];
    ot_val in[5], out[5];
    if (n->n_in != 5 || n->n_out != 1)
        return ot_fail(OT_EUNSUPPORTED, "node '%s': a BatchNormalization with %d outputs does not train", n->name,
                       n->n_out);
    memcpy(in, n->in, sizeof(in));
    const ot_attr *attr = OT_ATTRS(OT_REAL("epsilon", ot_attr_float(n, "epsilon", 1e-5)),
                                   OT_REAL("momentum", ot_attr_float(n, "momentum", 0.9)));
    OT_TRY(replace(b, at, "BatchNormTrain", attr, 5, in, 5, out));
    OT_TRY(ot_graph_bind(b->g, in[3], out[1], false));
    return ot_graph_bind(b->g, in[4], out[2], false);
}

/* *ratio: the index of the input that is its ratio. */
static bool is_dropout(const ot_node *n, int *ratio)
{
    *ratio = strcmp(n->op->name, "DropoutSeeded") == 0 ? 2 : 1;
    return *ratio == 2 || strcmp(n->op->name, "Dropout") == 0;
}

static ot_status dropout_ratio(double *out, const ot_graph *g, const ot_node *n, int at)
{
    *out = ot_attr_float(n, "ratio", 0.5);
    if (n->n_in <= at || n->in[at] == OT_NONE)
        return OT_OK;
    if (g->value[n->in[at]].origin != OT_FROM_CONSTANT)
        return ot_fail(OT_EUNSUPPORTED, "node '%s': the dropout ratio is no constant", n->name);
    if (ot_tensor_count(g->value[n->in[at]].tensor) != 1)
        return ot_fail(OT_ESHAPE, "node '%s': the dropout ratio is no single number", n->name);
    *out = ot_tensor_get(g->value[n->in[at]].tensor, 0);
    return OT_OK;
}

static ot_status train_dropout(ot_build *b, int64_t at, int ratio_at, uint64_t seed, ot_val step)
{
    const ot_node *n = b->g->node[at];
    ot_val in[2] = { n->in[0], step }, out[2];
    double ratio;
    OT_TRY(dropout_ratio(&ratio, b->g, n, ratio_at));
    if (ratio == 0)
        return OT_OK;
    if (!(ratio > 0 && ratio < 1))
        return ot_fail(OT_EMODEL, "node '%s': a dropout ratio of %g", n->name, ratio);
    const ot_attr *attr = OT_ATTRS(OT_REAL("ratio", ratio), OT_INT("seed", (int64_t)seed));
    return replace(b, at, "DropoutTrain", attr, 2, in, 2, out);
}

/* Its statistics have no place in the document that could take new ones. */
static bool stays(const ot_graph *g, const ot_node *n)
{
    return n->n_in == 5 && (g->value[n->in[3]].stays || g->value[n->in[4]].stays);
}

ot_status ot_train_mode(ot_graph *g, const ot_bn_mode *bn, uint64_t seed, ot_val step)
{
    ot_build b = { .g = g, .prefix = "train", .layer = -1 };
    for (int64_t i = 0, n = g->n_node; i < n; i++) {
        const ot_node *node = g->node[i];
        int ratio;
        if (strcmp(node->op->name, "BatchNormalization") == 0 && node->layer >= 0 && bn[node->layer] == OT_BN_TRAINS &&
            !stays(g, node))
            OT_TRY(train_batchnorm(&b, i));
        else if (is_dropout(node, &ratio))
            OT_TRY(train_dropout(&b, i, ratio, seed, step));
    }
    return b.st;
}

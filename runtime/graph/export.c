#include "graph/export.h"
#include "graph/layers.h"
#include "base/tensor.h"

#include <string.h>

static ot_status count_one(void *ctx, const char *name)
{
    return ot_strmap_put(ctx, name, ot_strmap_get(ctx, name, 0) + 1);
}

ot_status ot_count_reads(ot_strmap *reads, const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_node; i++)
        OT_TRY(ot_node_reads(g->node[i], count_one, reads));
    for (size_t i = 0; i < g->n_output; i++)
        OT_TRY(count_one(reads, ot_text(g->output[i]->name)));
    return OT_OK;
}

static bool is_op(const Onnx__NodeProto *n, const char *op)
{
    return ot_same_domain(n->domain, "") && strcmp(ot_text(n->op_type), op) == 0;
}

static bool is_output(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_output; i++)
        if (strcmp(ot_text(g->output[i]->name), name) == 0)
            return true;
    return false;
}

static bool is_made(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            if (strcmp(g->node[i]->output[k], name) == 0)
                return true;
    return false;
}

/* ---- Training forms ----------------------------------------------------------------------------------------- */

static void forget_value(Onnx__GraphProto *g, const char *name)
{
    for (size_t i = g->n_value_info; i-- > 0;)
        if (strcmp(ot_text(g->value_info[i]->name), name) == 0)
            ot_remove(&g->base, "value_info", (int64_t)i);
}

static void keep_one(size_t *n, char **list)
{
    while (*n > 1)
        ot_free(list[--*n]);
}

static ot_status make_identity(Onnx__NodeProto *n)
{
    OT_TRY(ot_set_string(&n->op_type, "Identity"));
    keep_one(&n->n_input, n->input);
    keep_one(&n->n_output, n->output);
    while (n->n_attribute)
        ot_remove(&n->base, "attribute", (int64_t)n->n_attribute - 1);
    return OT_OK;
}

/* Node i gives its input 0 as output 0: readers read the input.  Where a graph output is tied to a name that cannot be
 * moved, the node becomes an Identity.  *gone tells which. */
static ot_status bypass(Onnx__GraphProto *g, size_t i, bool *gone)
{
    Onnx__NodeProto *n = g->node[i];
    const char *in = n->input[0], *out = n->output[0];
    *gone = true;
    if (is_output(g, out) && (is_output(g, in) || !is_made(g, in))) {
        *gone = false;
        return make_identity(n);
    }
    char *from = ot_strdup(is_output(g, out) ? in : out), *to = ot_strdup(is_output(g, out) ? out : in);
    ot_status st = from && to ? OT_OK : OT_ENOMEM;
    if (st == OT_OK) {
        forget_value(g, from);
        ot_remove(&g->base, "node", (int64_t)i);
        st = ot_replace_value(g, from, to);
    }
    ot_free(from);
    ot_free(to);
    return st;
}

/* Outputs from `first` on go; none of them may be read. */
static ot_status drop_outputs(const ot_strmap *reads, Onnx__NodeProto *n, size_t first)
{
    for (size_t k = first; k < n->n_output; k++)
        if (*n->output[k] && ot_strmap_get(reads, n->output[k], 0))
            return ot_fail(OT_EUNSUPPORTED, "node '%s' (%s): its output '%s' exists in training only, but is read",
                           ot_node_name(n), n->op_type, n->output[k]);
    while (n->n_output > first)
        ot_free(n->output[--n->n_output]);
    return OT_OK;
}

static ot_status settle_norm(Onnx__NodeProto *n, const ot_strmap *reads, int64_t opset)
{
    OT_TRY(drop_outputs(reads, n, 1));
    ot_node_remove_attr(n, "training_mode");
    return opset < 7 ? ot_node_set_int(n, "is_test", 1) : OT_OK;
}

static ot_status inference(ot_model *m, const ot_strmap *reads)
{
    Onnx__GraphProto *g = m->proto->graph;
    int64_t opset = ot_model_opset(m, "");
    for (size_t i = g->n_node; i-- > 0;) {
        Onnx__NodeProto *n = g->node[i];
        bool gone;
        if (ot_text(n->domain)[0] && strcmp(n->domain, "ai.onnx.preview.training") == 0)
            return ot_fail(OT_EUNSUPPORTED, "node '%s' (%s) exists for training only", ot_node_name(n), n->op_type);
        if (ot_is_call(m, n))
            continue; /* whatever the function is called */
        if (is_op(n, "BatchNormalization")) {
            OT_TRY(settle_norm(n, reads, opset));
        } else if (is_op(n, "Dropout") && n->n_input && n->n_output) {
            OT_TRY(drop_outputs(reads, n, 1));
            OT_TRY(bypass(g, i, &gone));
        }
    }
    return OT_OK;
}

/* The same in the body of a function, where a Dropout becomes an Identity. */
static ot_status settle_body(const ot_model *m, Onnx__FunctionProto *f, ot_strmap *reads)
{
    int64_t opset = 1;
    for (size_t i = 0; i < f->n_opset_import; i++)
        if (ot_same_domain(f->opset_import[i]->domain, ""))
            opset = f->opset_import[i]->version;
    for (size_t i = 0; i < f->n_node; i++)
        OT_TRY(ot_node_reads(f->node[i], count_one, reads));
    for (size_t i = 0; i < f->n_output; i++)
        OT_TRY(count_one(reads, f->output[i]));
    for (size_t i = 0; i < f->n_node; i++) {
        Onnx__NodeProto *n = f->node[i];
        if (ot_is_call(m, n))
            continue;
        if (is_op(n, "BatchNormalization")) {
            OT_TRY(settle_norm(n, reads, opset));
        } else if (is_op(n, "Dropout") && n->n_input && n->n_output) {
            OT_TRY(drop_outputs(reads, n, 1));
            OT_TRY(make_identity(n));
        }
    }
    return OT_OK;
}

static ot_status settle_bodies(ot_model *m)
{
    for (size_t i = 0; i < m->proto->n_functions; i++) {
        Onnx__FunctionProto *f = m->proto->functions[i];
        ot_strmap reads = { 0 };
        ot_status st = settle_body(m, f, &reads);
        ot_strmap_release(&reads);
        if (st != OT_OK)
            return ot_context(st, "function '%s'", ot_text(f->name));
    }
    return OT_OK;
}

ot_status ot_export_inference(ot_model *m)
{
    ot_strmap reads = { 0 };
    while (m->proto->n_training_info)
        ot_remove(&m->proto->base, "training_info", (int64_t)m->proto->n_training_info - 1);
    ot_status st = ot_count_reads(&reads, m->proto->graph);
    if (st == OT_OK)
        st = inference(m, &reads);
    ot_strmap_release(&reads);
    if (st == OT_OK)
        st = settle_bodies(m);
    return st == OT_OK ? ot_model_sweep(m) : st;
}

/* ---- Probabilities ------------------------------------------------------------------------------------------- */

ot_status ot_export_softmax(ot_model *m)
{
    Onnx__GraphProto *g = m->proto->graph;
    ot_strmap reads = { 0 };
    if (g->n_output != 1)
        return ot_fail(OT_EARG, "the model has %zu outputs, so it is not clear which is to become probabilities",
                       g->n_output);
    const char *name = ot_text(g->output[0]->name);
    for (size_t i = 0; i < g->n_node; i++) {
        Onnx__NodeProto *n = g->node[i];
        if (!n->n_output || strcmp(n->output[0], name) != 0)
            continue;
        if (is_op(n, "Softmax"))
            return OT_OK;
        ot_status st = is_op(n, "LogSoftmax") ? ot_count_reads(&reads, g) : OT_OK;
        bool alone = ot_strmap_get(&reads, name, 0) == 1;
        ot_strmap_release(&reads);
        OT_TRY(st);
        if (alone) /* the logarithm is all that differs */
            return ot_set_string(&n->op_type, "Softmax");
    }
    return ot_model_append(m, "softmax", 0, NULL, NULL);
}

/* ---- All of it ------------------------------------------------------------------------------------------------ */

static ot_status export_model(ot_model *m, void *ctx)
{
    const ot_export_opts *o = ctx;
    OT_TRY(ot_export_inference(m));
    if (o->fold_bn)
        OT_TRY(ot_export_fold_bn(m));
    if (o->batch)
        OT_TRY(ot_model_set_batch(m, o->batch));
    if (o->opset)
        OT_TRY(ot_export_upgrade(m, o->opset));
    return o->with_softmax ? ot_export_softmax(m) : OT_OK;
}

ot_status ot_model_export(ot_model *m, const ot_export_opts *opts)
{
    ot_export_opts o = *opts;
    return ot_model_change(m, export_model, &o);
}

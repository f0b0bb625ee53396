/* Newer forms of the operators of ai.onnx.  Most versions of most operators only widen what was allowed; the table at
 * the end has those that changed a form or a meaning, from ONNX's changelog up to opset 28, and what to do about it. */
#include "graph/export.h"
#include "graph/derive.h"
#include "graph/docshape.h"
#include "graph/layers.h"
#include "base/tensor.h"

#include <string.h>

typedef struct upgrade {
    ot_model *m;
    int64_t from, to;
    const ot_graph *before; /* facts of the values of the main graph; NULL where they cannot be inferred */
} upgrade;

static const ot_fact *fact_of(const upgrade *u, const char *value)
{
    ot_val v = u->before ? ot_graph_find(u->before, value) : OT_NONE;
    return v == OT_NONE ? NULL : &u->before->value[v].fact;
}

/* -1 where it is not known. */
static int rank_of(const upgrade *u, const Onnx__NodeProto *n, size_t input)
{
    const ot_fact *f = input < n->n_input ? fact_of(u, n->input[input]) : NULL;
    return f ? f->rank : -1;
}

/* ---- Attributes that became inputs ---------------------------------------------------------------------------- */

/* An initializer of the main graph as input `at` of the node; places between stay empty. */
static ot_status set_input(const upgrade *u, Onnx__NodeProto *n, size_t at, const char *suffix, const ot_tensor *t)
{
    char wish[256];
    const char *base = ot_node_name(n);
    size_t length = strlen(base) < 200 ? strlen(base) : 200;
    memcpy(wish, base, length);
    strncpy(wish + length, suffix, sizeof(wish) - length - 1);
    wish[sizeof(wish) - 1] = 0;
    char *name = ot_unique_name(u->m->proto->graph, wish);
    ot_status st = name ? ot_model_add_initializer(u->m, name, t) : OT_ENOMEM;
    while (st == OT_OK && n->n_input < at)
        st = ot_append_string(&n->n_input, &n->input, "");
    if (st == OT_OK && at < n->n_input)
        st = ot_set_string(&n->input[at], name);
    else if (st == OT_OK)
        st = ot_append_string(&n->n_input, &n->input, name);
    ot_free(name);
    return st;
}

/* The attribute's list of integers as an input; an absent attribute leaves the input out. */
static ot_status ints_to_input(const upgrade *u, Onnx__NodeProto *n, const char *attr, size_t at)
{
    Onnx__AttributeProto *a = ot_node_attr(n, attr);
    if (!a)
        return OT_OK;
    char suffix[64] = ".";
    strncpy(suffix + 1, attr, sizeof(suffix) - 2);
    ot_tensor t = { .dtype = OT_INT64, .rank = 1, .dim = { (int64_t)a->n_ints }, .data = a->ints };
    OT_TRY(set_input(u, n, at, suffix, &t));
    ot_node_remove_attr(n, attr);
    return OT_OK;
}

static bool has_input(const Onnx__NodeProto *n, size_t i)
{
    return i < n->n_input && *n->input[i];
}

/* A number as an input of the type that the data has: float where that is not known. */
static ot_status float_to_input(const upgrade *u, Onnx__NodeProto *n, const char *attr, size_t at)
{
    Onnx__AttributeProto *a = ot_node_attr(n, attr);
    if (!a)
        return OT_OK;
    char suffix[64] = ".";
    strncpy(suffix + 1, attr, sizeof(suffix) - 2);
    const ot_fact *f = n->n_input ? fact_of(u, n->input[0]) : NULL;
    ot_tensor t;
    OT_TRY(ot_tensor_init(&t, f && ot_dtype_is_float(f->dtype) ? f->dtype : OT_FLOAT, 0, NULL));
    ot_tensor_set(&t, 0, (double)a->f);
    ot_status st = set_input(u, n, at, suffix, &t);
    ot_tensor_release(&t);
    if (st == OT_OK)
        ot_node_remove_attr(n, attr);
    return st;
}

/* ---- Converters: each takes a node from the form before its version ------------------------------------------- */

static ot_status refuse(const upgrade *u, Onnx__NodeProto *n)
{
    return ot_fail(OT_EUNSUPPORTED, "node '%s' (%s): opset %lld has no form of it that can be written from opset %lld",
                   ot_node_name(n), n->op_type, (long long)u->to, (long long)u->from);
}

static ot_status no_consumed(const upgrade *u, Onnx__NodeProto *n)
{
    (void)u;
    ot_node_remove_attr(n, "consumed_inputs");
    return OT_OK;
}

/* One-sided broadcasting from an axis became numpy's from the last axis; the same where B ends with A. */
static ot_status numpy_broadcast(const upgrade *u, Onnx__NodeProto *n)
{
    int a = rank_of(u, n, 0), b = rank_of(u, n, 1);
    int64_t axis = ot_node_int(n, "axis", 0);
    if (ot_node_attr(n, "axis") && (a < 0 || b < 0 || (axis < 0 ? axis + a : axis) + b != a))
        return refuse(u, n);
    ot_node_remove_attr(n, "broadcast");
    ot_node_remove_attr(n, "axis");
    return OT_OK;
}

static ot_status no_is_test(const upgrade *u, Onnx__NodeProto *n)
{
    if (!ot_node_int(n, "is_test", 0))
        return refuse(u, n);
    ot_node_remove_attr(n, "is_test");
    return OT_OK;
}

static ot_status no_spatial(const upgrade *u, Onnx__NodeProto *n)
{
    if (!ot_node_int(n, "spatial", 1))
        return refuse(u, n);
    ot_node_remove_attr(n, "spatial");
    return OT_OK;
}

static ot_status no_output_sequence(const upgrade *u, Onnx__NodeProto *n)
{
    (void)u;
    ot_node_remove_attr(n, "output_sequence");
    return OT_OK;
}

static ot_status reshape_input(const upgrade *u, Onnx__NodeProto *n)
{
    return ints_to_input(u, n, "shape", 1);
}

static ot_status selu_defaults(const upgrade *u, Onnx__NodeProto *n)
{
    OT_TRY(no_consumed(u, n));
    if (!ot_node_attr(n, "alpha"))
        OT_TRY(ot_node_set_float(n, "alpha", 1.6732f));
    return ot_node_attr(n, "gamma") ? OT_OK : ot_node_set_float(n, "gamma", 1.0507f);
}

static ot_status slice_inputs(const upgrade *u, Onnx__NodeProto *n)
{
    OT_TRY(ints_to_input(u, n, "starts", 1));
    OT_TRY(ints_to_input(u, n, "ends", 2));
    return ints_to_input(u, n, "axes", 3);
}

static ot_status topk_input(const upgrade *u, Onnx__NodeProto *n)
{
    int64_t k = ot_node_int(n, "k", -1);
    ot_tensor t = { .dtype = OT_INT64, .rank = 1, .dim = { 1 }, .data = &k };
    if (k < 0)
        return refuse(u, n);
    OT_TRY(set_input(u, n, 1, ".k", &t));
    ot_node_remove_attr(n, "k");
    return OT_OK;
}

static ot_status clip_inputs(const upgrade *u, Onnx__NodeProto *n)
{
    OT_TRY(float_to_input(u, n, "min", 1));
    return float_to_input(u, n, "max", 2);
}

static ot_status pad_name(const upgrade *u, Onnx__NodeProto *n)
{
    (void)u;
    Onnx__AttributeProto *a = ot_node_attr(n, "paddings");
    return a ? ot_set_string(&a->name, "pads") : OT_OK;
}

static ot_status pad_inputs(const upgrade *u, Onnx__NodeProto *n)
{
    OT_TRY(ints_to_input(u, n, "pads", 1));
    return float_to_input(u, n, "value", 2);
}

static ot_status scatter_name(const upgrade *u, Onnx__NodeProto *n)
{
    (void)u;
    return ot_set_string(&n->op_type, "ScatterElements");
}

/* Inference only, as ot_export_inference leaves it; what is left has its mask read. */
static ot_status dropout_input(const upgrade *u, Onnx__NodeProto *n)
{
    return float_to_input(u, n, "ratio", 1);
}

static ot_status axes_input(const upgrade *u, Onnx__NodeProto *n)
{
    return ints_to_input(u, n, "axes", 1);
}

static ot_status split_input(const upgrade *u, Onnx__NodeProto *n)
{
    return ints_to_input(u, n, "split", 1);
}

static ot_status split_count(const upgrade *u, Onnx__NodeProto *n)
{
    (void)u;
    return has_input(n, 1) ? OT_OK : ot_node_set_int(n, "num_outputs", (int64_t)n->n_output);
}

/* The old form flattens all axes from `axis` (1) on; the new one works on `axis` (-1) alone: the same for the last. */
static ot_status softmax_axis(const upgrade *u, Onnx__NodeProto *n)
{
    int rank = rank_of(u, n, 0);
    int64_t axis = ot_node_int(n, "axis", 1);
    ot_doc_shape declared;
    if (rank < 0 && n->n_output) {
        ot_status st = ot_doc_shape_of(&declared, u->m, n->output[0]);
        if (st == OT_ENOMEM)
            return st;
        rank = st == OT_OK ? declared.rank : -1;
    }
    if (axis != -1 && (rank < 1 || (axis < 0 ? axis + rank : axis) != rank - 1))
        return refuse(u, n);
    return ot_node_set_int(n, "axis", -1);
}

static ot_status old_batch_norm(const upgrade *u, Onnx__NodeProto *n)
{
    return n->n_output > 1 ? refuse(u, n) : OT_OK;
}

static ot_status roi_offset(const upgrade *u, Onnx__NodeProto *n)
{
    (void)u;
    return ot_node_set_string(n, "coordinate_transformation_mode", "output_half_pixel");
}

static ot_status grid_names(const upgrade *u, Onnx__NodeProto *n)
{
    (void)u;
    Onnx__AttributeProto *a = ot_node_attr(n, "mode");
    if (a && a->s.len == 7 && memcmp(a->s.data, "bicubic", 7) == 0)
        return ot_node_set_string(n, "mode", "cubic");
    if (!a || (a->s.len == 8 && memcmp(a->s.data, "bilinear", 8) == 0))
        return ot_node_set_string(n, "mode", "linear");
    return OT_OK;
}

static ot_status dft_axis(const upgrade *u, Onnx__NodeProto *n)
{
    int64_t axis = ot_node_int(n, "axis", 1);
    ot_tensor t = { .dtype = OT_INT64, .rank = 0, .data = &axis };
    OT_TRY(set_input(u, n, 2, ".axis", &t));
    ot_node_remove_attr(n, "axis");
    return OT_OK;
}

/* ---- The table ------------------------------------------------------------------------------------------------- */

typedef struct change {
    int64_t at; /* the opset that brought it */
    ot_status (*convert)(const upgrade *u, Onnx__NodeProto *n);
    const char *ops; /* " A B " */
} change;

/* In the order of the opsets: a node passes through all of them that lie on its way. */
static const change changes[] = {
    { 2, pad_name, " Pad " },
    { 5, reshape_input, " Reshape " },
    { 6, selu_defaults, " Selu " },
    { 6, refuse, " Cast Tile " }, /* Cast named its type by a string */
    { 6, no_consumed,
      " Abs Add And BatchNormalization Ceil Clip Div Dropout Elu Equal Exp Floor HardSigmoid InstanceNormalization"
      " LeakyRelu Log Max Mean Min Mul Neg Not Or PRelu Reciprocal Relu Sigmoid Sqrt Sub Sum Tanh Xor " },
    { 7, numpy_broadcast, " Add And Div Equal Gemm Greater Less Mul Or Pow Sub Xor " },
    { 7, no_is_test, " BatchNormalization Dropout " },
    { 7, no_output_sequence, " GRU LSTM RNN " },
    { 7, refuse, " PRelu Upsample " },
    { 9, no_spatial, " BatchNormalization " },
    { 9, refuse, " Scan Upsample " },
    { 10, slice_inputs, " Slice " },
    { 10, topk_input, " TopK " },
    { 10, refuse, " Upsample " },
    { 11, clip_inputs, " Clip " },
    { 11, pad_inputs, " Pad " },
    { 11, scatter_name, " Scatter " },
    { 11, refuse, " Resize " },
    { 12, dropout_input, " Dropout " },
    { 13, axes_input, " ReduceSum Squeeze Unsqueeze " },
    { 13, split_input, " Split " },
    { 13, softmax_axis, " Hardmax LogSoftmax Softmax " },
    { 14, old_batch_norm, " BatchNormalization " },
    { 16, roi_offset, " RoiAlign " },
    { 18, axes_input,
      " ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare " },
    { 18, split_count, " Split " },
    { 20, dft_axis, " DFT " },
    { 20, grid_names, " GridSample " },
    { 21, refuse, " GroupNormalization " },
};
#define NEWEST 28 /* up to where the table has been read */

static bool listed(const char *ops, const char *op)
{
    size_t n = strlen(op);
    if (!n || strchr(op, ' '))
        return false;
    for (const char *p = ops; (p = strstr(p, op)) != NULL; p += n)
        if (p[-1] == ' ' && p[n] == ' ') /* a list begins with a space, which op does not */
            return true;
    return false;
}

static ot_status upgrade_graph(const upgrade *u, Onnx__GraphProto *g);

static ot_status upgrade_node(const upgrade *u, Onnx__NodeProto *n)
{
    for (size_t i = 0; i < n->n_attribute; i++) {
        if (n->attribute[i]->g)
            OT_TRY(upgrade_graph(u, n->attribute[i]->g));
        for (size_t k = 0; k < n->attribute[i]->n_graphs; k++)
            OT_TRY(upgrade_graph(u, n->attribute[i]->graphs[k]));
    }
    if (!ot_same_domain(n->domain, "") || ot_is_call(u->m, n))
        return OT_OK;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        if (u->from < changes[i].at && changes[i].at <= u->to && listed(changes[i].ops, ot_text(n->op_type)))
            OT_TRY(changes[i].convert(u, n));
    return OT_OK;
}

static ot_status upgrade_graph(const upgrade *u, Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_node; i++)
        OT_TRY(upgrade_node(u, g->node[i]));
    return OT_OK;
}

/* ---- Functions of the model ------------------------------------------------------------------------------------ */

static ot_status check_nodes(const upgrade *u, size_t n, Onnx__NodeProto *const *node);

/* Converters would make initializers, which a body cannot have: a form that changed is refused. */
static ot_status check_node(const upgrade *u, Onnx__NodeProto *n)
{
    for (size_t i = 0; i < n->n_attribute; i++) {
        const Onnx__AttributeProto *a = n->attribute[i];
        if (a->g)
            OT_TRY(check_nodes(u, a->g->n_node, a->g->node));
        for (size_t k = 0; k < a->n_graphs; k++)
            OT_TRY(check_nodes(u, a->graphs[k]->n_node, a->graphs[k]->node));
    }
    if (!ot_same_domain(n->domain, "") || ot_is_call(u->m, n))
        return OT_OK;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        if (u->from < changes[i].at && changes[i].at <= u->to && listed(changes[i].ops, ot_text(n->op_type)))
            return refuse(u, n);
    return OT_OK;
}

static ot_status check_nodes(const upgrade *u, size_t n, Onnx__NodeProto *const *node)
{
    for (size_t i = 0; i < n; i++)
        OT_TRY(check_node(u, node[i]));
    return OT_OK;
}

/* ONNX wants the imports of a function to agree with the model's. */
static ot_status upgrade_function(const upgrade *u, Onnx__FunctionProto *f)
{
    for (size_t i = 0; i < f->n_opset_import; i++) {
        Onnx__OperatorSetIdProto *o = f->opset_import[i];
        if (!ot_same_domain(o->domain, "") || o->version >= u->to)
            continue;
        upgrade body = { u->m, o->version, u->to, NULL };
        ot_status st = check_nodes(&body, f->n_node, f->node);
        if (st != OT_OK)
            return ot_context(st, "function '%s'", ot_text(f->name));
        o->version = u->to;
    }
    return OT_OK;
}

static ot_status upgrade_functions(const upgrade *u)
{
    for (size_t i = 0; i < u->m->proto->n_functions; i++)
        OT_TRY(upgrade_function(u, u->m->proto->functions[i]));
    return OT_OK;
}

/* The IR version that came with an opset, or one later. */
static int64_t ir_of(int64_t opset)
{
    static const struct {
        int64_t opset, ir;
    } row[] = { { 25, 13 }, { 24, 12 }, { 23, 11 }, { 21, 10 }, { 19, 9 }, { 15, 8 },
                { 12, 7 },  { 11, 6 },  { 10, 5 },  { 9, 4 },   { 1, 3 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        if (opset >= row[i].opset)
            return row[i].ir;
    return 3;
}

/* From IR version 4 on an initializer that is no input is a constant. */
static void drop_default_inputs(ot_model *m)
{
    Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = g->n_input; i-- > 0;)
        if (ot_model_find_initializer(m, ot_text(g->input[i]->name)))
            ot_remove(&g->base, "input", (int64_t)i);
}

ot_status ot_export_upgrade(ot_model *m, int64_t opset)
{
    upgrade u = { m, ot_model_opset(m, ""), opset, NULL };
    if (opset < u.from)
        return ot_fail(OT_EUNSUPPORTED, "the model is at opset %lld, which is newer than %lld", (long long)u.from,
                       (long long)opset);
    if (opset > NEWEST)
        return ot_fail(OT_EUNSUPPORTED, "opset %lld is newer than %d, the newest that this version knows",
                       (long long)opset, NEWEST);
    ot_graph *before = NULL;
    ot_status st = ot_derive(&before, m, &(ot_derive_opts){ 0 });
    if (st == OT_ENOMEM)
        return st;
    u.before = st == OT_OK ? before : NULL;
    st = upgrade_graph(&u, m->proto->graph);
    if (st == OT_OK)
        st = upgrade_functions(&u);
    ot_graph_close(before);
    if (st == OT_OK)
        st = ot_model_set_opset(m, "", opset);
    if (st == OT_OK && m->proto->ir_version < ir_of(opset)) {
        if (m->proto->ir_version < 4)
            drop_default_inputs(m);
        m->proto->ir_version = ir_of(opset);
    }
    return st;
}

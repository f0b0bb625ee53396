#define _POSIX_C_SOURCE 200809L
/* Functions that a model defines: calls made inline, with their attributes, imports, absent inputs and names; what is
 * refused; training through them. */
#include "harness.h"
#include "net.h"
#include "graph/derive.h"
#include "model/edit.h"

#include <stdio.h>
#include <string.h>

/* ---- Small documents ----------------------------------------------------------------------------------------- */

/* x float[N,4] -> y at opset 17. */
static ot_model *document(void)
{
    ot_model *m = NULL;
    if (!CHECK_OK(ot_model_empty(&m, 17)))
        return NULL;
    Onnx__ValueInfoProto *x = ot_append(&m->proto->graph->base, "input");
    CHECK_OK(ot_set_string(&x->name, "x"));
    CHECK_OK(ot_set_value_type(x, OT_FLOAT, 2, (ot_doc_dim[]){ { -1, "N" }, { 4, NULL } }));
    CHECK(ot_append_output(m->proto->graph, "y", OT_FLOAT, 2, (ot_doc_dim[]){ { -1, "N" }, { 4, NULL } }) != NULL);
    return m;
}

/* Words, separated by spaces; "-" is an empty one. */
static void put_words(size_t *n, char ***list, const char *words)
{
    char text[256], *rest = text;
    snprintf(text, sizeof(text), "%s", words);
    for (char *w; (w = strtok_r(rest, " ", &rest)) != NULL;)
        CHECK_OK(ot_append_string(n, list, strcmp(w, "-") == 0 ? "" : w));
}

/* A node "domain:Op", or "Op" of ONNX. */
static Onnx__NodeProto *fill_node(Onnx__NodeProto *n, const char *op, const char *name, const char *in, const char *out)
{
    const char *colon = strchr(op, ':');
    char domain[32] = "";
    if (colon)
        memcpy(domain, op, (size_t)(colon - op));
    CHECK_OK(ot_set_string(&n->op_type, colon ? colon + 1 : op));
    CHECK_OK(ot_set_string(&n->domain, domain));
    CHECK_OK(ot_set_string(&n->name, name));
    put_words(&n->n_input, &n->input, in);
    put_words(&n->n_output, &n->output, out);
    return n;
}

static Onnx__NodeProto *node(ot_model *m, const char *op, const char *name, const char *in, const char *out)
{
    return fill_node(ot_append(&m->proto->graph->base, "node"), op, name, in, out);
}

static Onnx__FunctionProto *function(ot_model *m, const char *name, const char *in, const char *out, int64_t opset)
{
    Onnx__FunctionProto *f = ot_append(&m->proto->base, "functions");
    CHECK_OK(ot_set_string(&f->name, name));
    CHECK_OK(ot_set_string(&f->domain, "pkg"));
    put_words(&f->n_input, &f->input, in);
    put_words(&f->n_output, &f->output, out);
    Onnx__OperatorSetIdProto *o = ot_append(&f->base, "opset_import");
    o->has_version = 1;
    o->version = opset;
    return f;
}

static Onnx__NodeProto *inside(Onnx__FunctionProto *f, const char *op, const char *name, const char *in,
                               const char *out)
{
    return fill_node(ot_append(&f->base, "node"), op, name, in, out);
}

/* The attribute `name` of a node of a body is what the call gives as `from`. */
static void refer(Onnx__NodeProto *n, const char *name, const char *from, int type)
{
    Onnx__AttributeProto *a = ot_append(&n->base, "attribute");
    CHECK_OK(ot_set_string(&a->name, name));
    CHECK_OK(ot_set_string(&a->ref_attr_name, from));
    a->has_type = 1;
    a->type = type;
}

static void float_default(Onnx__FunctionProto *f, const char *name, float value)
{
    Onnx__AttributeProto *a = ot_append(&f->base, "attribute_proto");
    CHECK_OK(ot_set_string(&a->name, name));
    a->has_type = a->has_f = 1;
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    a->f = value;
}

/* Runs on {-3,-1,1,3} and compares; closes the model. */
static void gives(ot_model *m, const char *value, const float want[4])
{
    float data[4] = { -3, -1, 1, 3 };
    ot_tensor x = { .dtype = OT_FLOAT, .rank = 2, .dim = { 1, 4 }, .data = data };
    ot_session_options o = OT_SESSION_INIT;
    ot_session *s = NULL;
    o.values = &value;
    o.n_values = 1;
    if (CHECK_OK(ot_session_create(&s, m, &o)) && CHECK_OK(ot_session_run(s, &x, 1)))
        for (int i = 0; i < 4; i++)
            if (!CHECK(test_close(want[i], ot_tensor_get(ot_session_output(s, 0), i), 1e-6, 1e-6)))
                printf("    %s[%d] is %g, not %g\n", value, i, ot_tensor_get(ot_session_output(s, 0), i), want[i]);
    ot_session_close(s);
}

static void refuse(ot_model *m, ot_status status, const char *words)
{
    ot_graph *g = NULL;
    CHECK_FAILS(ot_derive(&g, m, &(ot_derive_opts){ 0 }), status, words);
    CHECK(g == NULL && strchr(ot_last_error(), '\n') == NULL);
    ot_model_close(m);
}

enum { FLOAT = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT, INT = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT };

/* ---- What calls do ------------------------------------------------------------------------------------------- */

/* Clip-6 takes its ends as attributes: the body's own import binds it, in a model at opset 17. */
static ot_model *bounded(float lo, bool give_hi)
{
    ot_model *m = document();
    Onnx__FunctionProto *f = function(m, "Bounded", "a", "b", 6);
    Onnx__NodeProto *clip = inside(f, "Clip", "clip", "a", "b"), *call;
    refer(clip, "min", "lo", FLOAT);
    refer(clip, "max", "hi", FLOAT);
    put_words(&f->n_attribute, &f->attribute, "lo");
    float_default(f, "hi", 0.5f);
    call = node(m, "pkg:Bounded", "call", "x", "y");
    if (lo > -100)
        CHECK_OK(ot_node_set_float(call, "lo", lo));
    if (give_hi)
        CHECK_OK(ot_node_set_float(call, "hi", 2));
    return m;
}

static void attributes(void)
{
    ot_model *m = bounded(-2, false);
    gives(m, "y", (float[]){ -2, -1, 0.5f, 0.5f });
    ot_model_close(m);
    m = bounded(-2, true);
    gives(m, "y", (float[]){ -2, -1, 1, 2 });
    ot_model_close(m);
    m = bounded(-1000, true); /* neither given nor a default: the operator's own */
    gives(m, "y", (float[]){ -3, -1, 1, 2 });
    ot_model_close(m);
}

/* Outer hands its attribute on to Bounded, whose body refers to it. */
static void nested_calls(void)
{
    ot_model *m = bounded(-1000, false);
    Onnx__FunctionProto *f = function(m, "Outer", "p", "q r", 17);
    inside(f, "Neg", "", "p", "t");
    refer(inside(f, "pkg:Bounded", "in", "t", "u"), "lo", "edge", FLOAT);
    inside(f, "Add", "sum", "u t", "q");
    inside(f, "Identity", "", "t", "r");
    float_default(f, "edge", -2);
    node(m, "pkg:Outer", "out", "y", "z w");
    node(m, "pkg:Outer", "out", "x", "v -");
    gives(m, "v", (float[]){ 3.5f, 1.5f, -2, -5 }); /* -x + clip(-x, -2, .5) */
    gives(m, "out_2/u", (float[]){ 0.5f, 0.5f, -1, -2 });
    gives(m, "z", (float[]){ 3.5f, 1.5f, -1, -1 }); /* of min(x, .5) */
    gives(m, "out/u", (float[]){ 0.5f, 0.5f, -0.5f, -0.5f });
    ot_model_close(m);
}

static void absent_inputs(void)
{
    ot_model *m = document();
    const float two = 2;
    Onnx__FunctionProto *f = function(m, "Range", "a lo hi", "b", 13);
    inside(f, "Clip", "", "a lo hi", "b");
    CHECK_OK(ot_model_add_initializer(m, "two", &(ot_tensor){ .dtype = OT_FLOAT, .data = (float[]){ two } }));
    node(m, "pkg:Range", "first", "x - two", "h");
    node(m, "pkg:Range", "second", "h", "y");
    gives(m, "y", (float[]){ -3, -1, 1, 2 });
    ot_model_close(m);
}

/* A function hides the operator of its name; overloads are told apart; an output may be an input handed through. */
static void names(void)
{
    ot_model *m = document();
    Onnx__FunctionProto *f = function(m, "Relu", "a", "b", 17), *g = function(m, "Relu", "a", "a", 17);
    CHECK_OK(ot_set_string(&f->domain, "ai.onnx"));
    CHECK_OK(ot_set_string(&g->domain, ""));
    CHECK_OK(ot_set_string(&g->overload, "nothing"));
    inside(f, "Neg", "", "a", "b");
    node(m, "Relu", "r", "x", "h");
    CHECK_OK(ot_set_string(&node(m, "Relu", "s", "h", "y")->overload, "nothing"));
    gives(m, "y", (float[]){ 3, 1, -1, -3 });
    ot_model_close(m);
}

static void constants_of_bodies(void)
{
    ot_model *m = document();
    Onnx__FunctionProto *f = function(m, "Shift", "a", "b", 17);
    Onnx__NodeProto *c = inside(f, "Constant", "", "", "c");
    CHECK_OK(ot_node_set_tensor(
        m, c, "value", &(ot_tensor){ .dtype = OT_FLOAT, .rank = 1, .dim = { 4 }, .data = (float[]){ 1, 2, 3, 4 } }));
    inside(f, "Add", "", "a c", "b");
    node(m, "pkg:Shift", "one", "x", "h");
    node(m, "pkg:Shift", "two", "h", "y");
    gives(m, "y", (float[]){ -1, 3, 7, 11 });
    ot_model_close(m);
}

/* ---- What is refused ----------------------------------------------------------------------------------------- */

static ot_model *chain(int levels, int calls, const char *innermost)
{
    ot_model *m = document();
    char name[32], below[32], in[32], out[32];
    for (int i = 0; i < levels; i++) {
        snprintf(name, sizeof(name), "F%d", i);
        snprintf(below, sizeof(below), "pkg:F%d", i + 1);
        Onnx__FunctionProto *f = function(m, name, "v0", i + 1 < levels ? "out" : "v1", 17);
        if (i + 1 == levels) {
            inside(f, innermost, "", "v0", "v1");
            continue;
        }
        for (int k = 0; k < calls; k++) {
            snprintf(in, sizeof(in), "v%d", k);
            snprintf(out, sizeof(out), k + 1 < calls ? "v%d" : "out", k + 1);
            inside(f, below, "", in, out);
        }
    }
    node(m, "pkg:F0", "call", "x", "y");
    return m;
}

static void refusals(void)
{
    ot_model *m = chain(1, 1, "pkg:F0");
    refuse(m, OT_EMODEL, "node 'call/v1' (F0): function 'F0' calls itself");
    refuse(chain(3, 1, "pkg:F1"), OT_EMODEL, "function 'F1' calls itself through 'F2'");
    refuse(chain(70, 1, "Relu"), OT_EUNSUPPORTED, "called at a depth of more than 64");
    refuse(chain(40, 2, "Relu"), OT_EUNSUPPORTED, "come to more than 500000 nodes");
    m = chain(60, 1, "Relu");
    gives(m, "y", (float[]){ 0, 0, 1, 3 });
    ot_model_close(m);
    m = chain(3, 1, "Frobnicate");
    node(m, "Twiddle", "t", "x", "z");
    refuse(m, OT_EUNSUPPORTED, "2 operators are missing: Twiddle, Frobnicate");
    m = chain(2, 1, "Relu");
    function(m, "F1", "a", "b", 17);
    refuse(m, OT_EMODEL, "the function 'F1' of domain 'pkg' is defined twice");
    m = chain(2, 1, "Relu");
    node(m, "pkg:F1", "more", "x x", "z");
    refuse(m, OT_EMODEL, "2 inputs and 1 outputs; function 'F1' has 1 and 1");
    m = chain(1, 1, "Relu");
    CHECK_OK(ot_set_string(&m->proto->functions[0]->output[0], "other"));
    refuse(m, OT_EMODEL, "output 'other' of function 'F0' is made by no node");
    m = chain(1, 1, "Relu");
    m->proto->functions[0]->opset_import[0]->version = 99;
    refuse(m, OT_EUNSUPPORTED, "the model is at 99");
    m = chain(1, 1, "Relu");
    CHECK_OK(ot_set_string(&m->proto->functions[0]->opset_import[0]->domain, "other"));
    refuse(m, OT_EUNSUPPORTED, "the domain '' of operator 'Relu' is not imported");
    m = document();
    refer(node(m, "Elu", "e", "x", "y"), "alpha", "a", FLOAT);
    refuse(m, OT_EMODEL, "refers to 'a' of a function, but stands in none");
    m = document();
    Onnx__FunctionProto *f = function(m, "G", "a", "b", 17);
    refer(inside(f, "Elu", "", "a", "b"), "alpha", "k", FLOAT);
    CHECK_OK(ot_node_set_int(node(m, "pkg:G", "g", "x", "y"), "k", 3));
    refuse(m, OT_EMODEL, "'alpha' is to be of type 1, but 'k' of the call is of another");
    m = document();
    f = function(m, "G", "a b", "b", 17);
    node(m, "pkg:G", "g", "x", "y");
    refuse(m, OT_EMODEL, "output 'b' of function 'G' is an input that the call leaves out");
}

/* ---- Training ------------------------------------------------------------------------------------------------ */

static bool made_before(const Onnx__FunctionProto *f, const char *name)
{
    for (size_t i = 0; i < f->n_input; i++)
        if (strcmp(f->input[i], name) == 0)
            return true;
    for (size_t i = 0; i < f->n_node; i++)
        for (size_t k = 0; k < f->node[i]->n_output; k++)
            if (strcmp(f->node[i]->output[k], name) == 0)
                return true;
    return false;
}

/* Nodes [from, to) of the graph become a function and a call of it; the last one's output is the function's. */
static void wrap(ot_model *m, const char *name, size_t from, size_t to)
{
    Onnx__GraphProto *g = m->proto->graph;
    Onnx__FunctionProto *f = function(m, name, "", g->node[to - 1]->output[0], ot_model_opset(m, ""));
    for (size_t i = from; i < to; i++) {
        ProtobufCMessage *copy = NULL;
        if (!CHECK_OK(ot_proto_copy(&copy, &g->node[from]->base)))
            return;
        Onnx__NodeProto *n = ot_append(&f->base, "node"), *c = (Onnx__NodeProto *)copy, old = *n;
        for (size_t k = 0; k < c->n_input; k++)
            if (!made_before(f, c->input[k]))
                CHECK_OK(ot_append_string(&f->n_input, &f->input, c->input[k]));
        *n = *c;
        *c = old;
        protobuf_c_message_free_unpacked(copy, &ot_proto_alloc);
        ot_remove(&g->base, "node", (int64_t)from);
    }
    Onnx__NodeProto *call = node(m, name, name, "", f->output[0]);
    CHECK_OK(ot_set_string(&call->domain, "pkg"));
    for (size_t k = 0; k < f->n_input; k++)
        CHECK_OK(ot_append_string(&call->n_input, &call->input, f->input[k]));
    ot_move(&g->base, "node", (int64_t)g->n_node - 1, (int64_t)from);
}

static ot_model *wrapped(void)
{
    ot_model *m = net_small(8, 3, true, 5);
    wrap(m, "Head", 7, 11);
    wrap(m, "Stem", 0, 3);
    wrap(m, "Both", 0, 2); /* calls Stem */
    return m;
}

static void layers_of_calls(void)
{
    ot_model *flat = net_small(8, 3, true, 5), *m = wrapped();
    ot_layers *a = NULL, *b = NULL;
    if (CHECK_OK(ot_layers_open(&a, flat, NULL, NULL, 0)) && CHECK_OK(ot_layers_open(&b, m, NULL, NULL, 0))) {
        CHECK(ot_layers_problem(b) == NULL);
        CHECK(ot_layers_count(a) == 11 && ot_layers_count(b) == 5);
        CHECK(ot_layers_parameters(a) == ot_layers_parameters(b));
        CHECK(strcmp(ot_layers_get(b, 0)->op, "Both") == 0 && strcmp(ot_layers_get(b, 0)->domain, "pkg") == 0);
        CHECK(ot_layers_get(b, 0)->parameters == ot_layers_get(a, 0)->parameters + ot_layers_get(a, 1)->parameters);
        CHECK(strcmp(ot_layers_get(b, 0)->shape, ot_layers_get(a, 3)->shape) == 0);
    }
    ot_layers_close(a);
    ot_layers_close(b);
    ot_model_close(flat);
    ot_model_close(m);
}

static void trains_to_the_same_bits(void)
{
    ot_model *flat = net_small(8, 3, true, 5), *m = wrapped();
    patterns p;
    ot_train_options o = net_options();
    patterns_init(&p, 64, 16, 3, 3, (const int64_t[]){ 3, 8, 8 });
    if (CHECK(flat && m) && net_train(flat, &p.d, &o, NULL, NULL) && net_train(m, &p.d, &o, NULL, NULL))
        CHECK(net_all_same(flat, m));
    ot_model *untrained = net_small(8, 3, true, 5);
    CHECK(!net_same(m, untrained, "w0") && m->proto->n_functions == 3);
    ot_model_close(untrained);
    ot_model_close(flat);
    ot_model_close(m);
}

/* Export settles bodies as it does the graph, and takes their imports along. */
static void exports(void)
{
    ot_model *m = document();
    ot_export_opts o = OT_EXPORT_INIT;
    Onnx__FunctionProto *f = function(m, "Drop", "a", "b", 17);
    inside(f, "Dropout", "d", "a", "h mask");
    inside(f, "Relu", "r", "h", "b");
    node(m, "pkg:Drop", "call", "x", "y");
    o.opset = 21;
    CHECK_OK(ot_model_export(m, &o));
    f = m->proto->functions[0];
    CHECK(strcmp(f->node[0]->op_type, "Identity") == 0 && f->node[0]->n_output == 1);
    CHECK(f->opset_import[0]->version == 21 && ot_model_opset(m, "") == 21);
    gives(m, "y", (float[]){ 0, 0, 1, 3 });
    inside(function(m, "Pools", "a", "b", 17), "ReduceMean", "mean", "a", "b");
    CHECK_FAILS(ot_model_export(m, &o), OT_EUNSUPPORTED, "function 'Pools': node 'mean' (ReduceMean): opset 21");
    ot_model_close(m);
    m = document();
    f = function(m, "Drop", "a", "mask", 17);
    inside(f, "Dropout", "d", "a", "h mask");
    node(m, "pkg:Drop", "call", "x", "y");
    o.opset = 0;
    CHECK_FAILS(ot_model_export(m, &o), OT_EUNSUPPORTED, "function 'Drop': node 'd' (Dropout): its output 'mask'");
    ot_model_close(m);
}

static void out_of_memory(void)
{
    int64_t before = ot_live_blocks();
    ot_model *m = bounded(-2, false);
    for (int64_t k = 0;; k++) {
        ot_graph *g = NULL;
        ot_fail_alloc_after(k);
        ot_status st = ot_derive(&g, m, &(ot_derive_opts){ 0 });
        ot_fail_alloc_after(-1);
        ot_graph_close(g);
        if (st == OT_OK || !CHECK(st == OT_ENOMEM))
            break;
    }
    ot_model_close(m);
    CHECK(ot_live_blocks() == before);
}

const ot_test functions_tests[] = { { "attributes, defaults and the body's imports", attributes },
                                    { "nested calls", nested_calls },
                                    { "absent inputs", absent_inputs },
                                    { "hidden operators and overloads", names },
                                    { "constants of bodies", constants_of_bodies },
                                    { "refusals", refusals },
                                    { "layers", layers_of_calls },
                                    { "training gives the same bits", trains_to_the_same_bits },
                                    { "export", exports },
                                    { "out of memory", out_of_memory },
                                    { 0 } };

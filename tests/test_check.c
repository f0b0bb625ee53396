/* Checking models: a model of everything passes, and each way to break it is found, with its place.  The schema table.
 */
#define _DEFAULT_SOURCE
#include "harness.h"
#include "model/edit.h"
#include "model/schema.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- A model of everything ---------------------------------------------------------------------------------- */

static char *copy(const char *s)
{
    return ot_strdup(s);
}

static Onnx__NodeProto *add_node(Onnx__GraphProto *g, const char *op, const char *in, const char *in2, const char *out)
{
    return ot_append_node(g, op, op, in2 ? 2 : in ? 1 : 0, (const char *[]){ in, in2 }, 1, (const char *[]){ out });
}

static Onnx__AttributeProto *add_graph(Onnx__NodeProto *n, const char *name)
{
    Onnx__AttributeProto *a = ot_append(&n->base, "attribute");
    a->name = copy(name);
    a->has_type = 1;
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
    a->g = ot_new_message(&onnx__graph_proto__descriptor);
    a->g->name = copy(name);
    add_node(a->g, "Relu", "h", NULL, "inner");
    ((Onnx__ValueInfoProto *)ot_append(&a->g->base, "output"))->name = copy("inner");
    return a;
}

/* twice(v) = v + v, scaled by an attribute `alpha` of LeakyRelu. */
static void add_function(ot_model *m)
{
    Onnx__FunctionProto *f = ot_append(&m->proto->base, "functions");
    Onnx__OperatorSetIdProto *o = ot_append(&f->base, "opset_import");
    f->name = copy("twice");
    f->domain = copy("my");
    ot_append_string(&f->n_input, &f->input, "v");
    ot_append_string(&f->n_output, &f->output, "w");
    ot_append_string(&f->n_attribute, &f->attribute, "slope");
    o->domain = copy("");
    o->has_version = 1;
    o->version = 17;
    for (int i = 0; i < 2; i++) {
        Onnx__NodeProto *n = ot_append(&f->base, "node");
        n->op_type = copy(i ? "LeakyRelu" : "Add");
        ot_append_string(&n->n_input, &n->input, i ? "sum" : "v");
        if (!i)
            ot_append_string(&n->n_input, &n->input, "v");
        ot_append_string(&n->n_output, &n->output, i ? "w" : "sum");
        if (!i)
            continue;
        Onnx__AttributeProto *a = ot_append(&n->base, "attribute");
        a->name = copy("alpha");
        a->has_type = 1;
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        a->ref_attr_name = copy("slope");
    }
}

static void add_sparse(Onnx__GraphProto *g)
{
    static const int64_t place[] = { 1, 4 };
    Onnx__SparseTensorProto *s = ot_append(&g->base, "sparse_initializer");
    Onnx__TensorProto *t = ot_new_message(&onnx__tensor_proto__descriptor),
                      *v = ot_new_message(&onnx__tensor_proto__descriptor);
    s->indices = t;
    s->values = v;
    s->n_dims = t->n_dims = t->n_int64_data = 1;
    s->dims = ot_malloc(1, sizeof(*s->dims));
    s->dims[0] = 6;
    t->dims = ot_malloc(1, sizeof(*t->dims));
    t->dims[0] = 2;
    t->has_data_type = v->has_data_type = 1;
    t->data_type = OT_INT64;
    t->n_int64_data = 2;
    t->int64_data = ot_malloc(2, sizeof(*t->int64_data));
    memcpy(t->int64_data, place, sizeof(place));
    v->name = copy("sparse");
    v->data_type = OT_FLOAT;
    v->n_dims = 1;
    v->dims = ot_malloc(1, sizeof(*v->dims));
    v->dims[0] = 2;
    v->n_float_data = 2;
    v->float_data = ot_calloc(2, sizeof(*v->float_data));
}

/* x [2,3] -> Gemm with w [3,4] -> h -> If -> y; z = twice(h). */
static ot_model *everything(void)
{
    static float w[12];
    ot_model *m = NULL;
    ot_tensor t = { .dtype = OT_FLOAT, .rank = 2, .dim = { 3, 4 }, .data = w }, yes = { .dtype = OT_BOOL, .data = w };
    if (!CHECK_OK(ot_model_empty(&m, 17)))
        return NULL;
    Onnx__GraphProto *g = m->proto->graph;
    Onnx__ValueInfoProto *x = ot_append(&g->base, "input");
    CHECK_OK(ot_set_string(&g->name, "all"));
    CHECK_OK(ot_set_string(&x->name, "x"));
    CHECK_OK(ot_set_value_type(x, OT_FLOAT, 2, (ot_doc_dim[]){ { 2, NULL }, { 3, NULL } }));
    CHECK_OK(ot_model_add_initializer(m, "w", &t));
    CHECK_OK(ot_model_add_initializer(m, "yes", &yes));
    CHECK_OK(ot_model_set_opset(m, "my", 1));
    CHECK_OK(ot_node_set_float(add_node(g, "Gemm", "x", "w", "h"), "alpha", 2));
    Onnx__NodeProto *n = add_node(g, "If", "yes", NULL, "y");
    add_graph(n, "then_branch");
    add_graph(n, "else_branch");
    n = add_node(g, "twice", "h", NULL, "z");
    CHECK_OK(ot_set_string(&n->domain, "my"));
    CHECK_OK(ot_node_set_tensor(m, add_node(g, "Constant", NULL, NULL, "c"), "value", &t));
    CHECK(ot_append_output(g, "y", OT_FLOAT, 2, (ot_doc_dim[]){ { 2, NULL }, { 4, NULL } }) != NULL);
    CHECK(ot_append_output(g, "z", OT_FLOAT, 2, (ot_doc_dim[]){ { 2, NULL }, { 4, NULL } }) != NULL);
    CHECK_OK(ot_model_set_metadata(m, "key", "value"));
    add_function(m);
    add_sparse(g);
    return m;
}

/* ---- Ways to break it --------------------------------------------------------------------------------------- */

static Onnx__GraphProto *graph_of(ot_model *m)
{
    return m->proto->graph;
}
static Onnx__NodeProto *node_of(ot_model *m, int i)
{
    return m->proto->graph->node[i];
}
static Onnx__FunctionProto *function_of(ot_model *m)
{
    return m->proto->functions[0];
}
static Onnx__TensorProto *weight_of(ot_model *m)
{
    return m->proto->graph->initializer[0];
}
static Onnx__SparseTensorProto *sparse_of(ot_model *m)
{
    return m->proto->graph->sparse_initializer[0];
}
static void rename_to(char **field, const char *name)
{
    ot_set_string(field, name);
}

#define HARM(name, ...)                                                                                                \
    static void name(ot_model *m)                                                                                      \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

HARM(no_ir, m->proto->ir_version = 0;)
HARM(new_ir, m->proto->ir_version = OT_NEWEST_IR + 1;)
HARM(old_ir, m->proto->ir_version = 3;)
HARM(oldest_ir, m->proto->ir_version = 2;)
HARM(no_imports, while (m->proto->n_opset_import) ot_remove(&m->proto->base, "opset_import", 0);)
HARM(two_imports, Onnx__OperatorSetIdProto *o = ot_append(&m->proto->base, "opset_import"); o->domain = copy("ai.onnx");
     o->has_version = 1; o->version = 17;)
HARM(bad_import, m->proto->opset_import[0]->version = 0;)
HARM(two_keys, Onnx__StringStringEntryProto *e = ot_append(&m->proto->base, "metadata_props"); e->key = copy("key");)
HARM(no_graph_name, rename_to(&graph_of(m)->name, NULL);)
HARM(no_input_name, rename_to(&graph_of(m)->input[0]->name, "");)
HARM(no_input_type, protobuf_c_message_free_unpacked(&graph_of(m)->input[0]->type->base, &ot_proto_alloc);
     graph_of(m)->input[0]->type = NULL;)
HARM(no_elem_type, graph_of(m)->input[0]->type->tensor_type->elem_type = 0;)
HARM(odd_elem_type, graph_of(m)->input[0]->type->tensor_type->elem_type = 99;)
HARM(two_inputs, Onnx__ValueInfoProto *v = ot_append(&graph_of(m)->base, "input"); v->name = copy("x");)
HARM(two_weights, rename_to(&graph_of(m)->initializer[1]->name, "w");)
HARM(no_weight_name, rename_to(&weight_of(m)->name, "");)
HARM(lost_output, rename_to(&graph_of(m)->output[0]->name, "nothing");)
HARM(no_operator, rename_to(&node_of(m, 0)->op_type, "");)
HARM(unknown_operator, rename_to(&node_of(m, 0)->op_type, "Gemmm");)
HARM(unknown_domain, rename_to(&node_of(m, 0)->domain, "elsewhere");)
HARM(deprecated, rename_to(&node_of(m, 0)->op_type, "Scatter");)
HARM(too_new, rename_to(&node_of(m, 0)->op_type, "Gelu");)
HARM(too_many_inputs,
     for (int i = 0; i < 2; i++) ot_append_string(&node_of(m, 0)->n_input, &node_of(m, 0)->input, "w");)
HARM(left_out, rename_to(&node_of(m, 0)->input[0], "");)
HARM(too_many_outputs, ot_append_string(&node_of(m, 0)->n_output, &node_of(m, 0)->output, "h2");)
HARM(no_such_value, rename_to(&node_of(m, 0)->input[0], "nowhere");)
HARM(wrong_order, ot_move(&graph_of(m)->base, "node", 0, 3);)
HARM(made_twice, rename_to(&node_of(m, 3)->output[0], "h");)
HARM(input_made, rename_to(&node_of(m, 3)->output[0], "x");)
HARM(inner_shadows, rename_to(&node_of(m, 1)->attribute[0]->g->node[0]->output[0], "h");)
HARM(inner_unknown, rename_to(&node_of(m, 1)->attribute[0]->g->node[0]->input[0], "c");)
HARM(unknown_attribute, ot_node_set_int(node_of(m, 0), "gamma", 1);)
HARM(mistyped_attribute, ot_node_set_int(node_of(m, 0), "transA", 1); node_of(m, 0)->attribute[1]->type = 1;)
HARM(other_type, ot_node_set_float(node_of(m, 0), "transA", 1);)
HARM(same_attribute, Onnx__AttributeProto *a = ot_append(&node_of(m, 0)->base, "attribute"); a->name = copy("alpha");
     a->has_type = 1; a->type = 1;)
HARM(untyped_attribute, node_of(m, 0)->attribute[0]->has_type = 0; node_of(m, 0)->attribute[0]->type = 0;)
HARM(two_values, node_of(m, 0)->attribute[0]->has_i = 1;)
HARM(missing_attribute, ot_node_remove_attr(node_of(m, 1), "then_branch");)
HARM(empty_attribute, protobuf_c_message_free_unpacked(&node_of(m, 3)->attribute[0]->t->base, &ot_proto_alloc);
     node_of(m, 3)->attribute[0]->t = NULL;)
HARM(reference, node_of(m, 0)->attribute[0]->ref_attr_name = copy("slope");)
HARM(no_data_type, weight_of(m)->data_type = 0;)
HARM(odd_data_type, weight_of(m)->data_type = 77;)
HARM(short_data, weight_of(m)->dims[0] = 4;)
HARM(long_data, weight_of(m)->dims[0] = 2;)
HARM(negative_dim, weight_of(m)->dims[0] = -3;)
HARM(huge_dims, weight_of(m)->dims[0] = weight_of(m)->dims[1] = INT64_MAX / 2;)
HARM(two_fields, weight_of(m)->n_float_data = 1; weight_of(m)->float_data = ot_calloc(1, sizeof(float));)
HARM(wrong_field, sparse_of(m)->values->data_type = OT_DOUBLE;)
HARM(string_bytes, weight_of(m)->data_type = OT_STRING;)
HARM(odd_location, weight_of(m)->has_data_location = 1; weight_of(m)->data_location = 2;)
HARM(unsorted, sparse_of(m)->indices->int64_data[1] = 0;)
HARM(out_of_range, sparse_of(m)->indices->int64_data[1] = 6;)
HARM(negative_index, sparse_of(m)->indices->int64_data[0] = -1;)
HARM(index_type, sparse_of(m)->indices->data_type = OT_UINT64;)
HARM(more_indices, sparse_of(m)->indices->dims[0] = 1; sparse_of(m)->indices->n_int64_data = 1;)
HARM(flat_tensor, sparse_of(m)->dims[0] = 0;)
HARM(sparse_name, rename_to(&sparse_of(m)->values->name, "w");)
HARM(no_function_name, rename_to(&function_of(m)->name, "");)
HARM(no_function_domain, rename_to(&function_of(m)->domain, NULL);)
HARM(two_functions, add_function(m);)
HARM(recursive, rename_to(&function_of(m)->node[0]->op_type, "twice");
     rename_to(&function_of(m)->node[0]->domain, "my");)
HARM(function_domain, rename_to(&function_of(m)->node[0]->domain, "elsewhere");)
HARM(function_output, rename_to(&function_of(m)->output[0], "nothing");)
HARM(function_input, rename_to(&function_of(m)->node[0]->input[0], "x");)
HARM(function_version, function_of(m)->opset_import[0]->version = 6;)
HARM(function_attribute, rename_to(&function_of(m)->node[1]->attribute[0]->ref_attr_name, "steepness");)
HARM(same_outputs, ot_append_string(&function_of(m)->n_output, &function_of(m)->output, "w");)
HARM(annotation, Onnx__TensorAnnotation *a = ot_append(&graph_of(m)->base, "quantization_annotation");
     a->tensor_name = copy("nothing");)
HARM(training, Onnx__TrainingInfoProto *t = ot_append(&m->proto->base, "training_info");
     Onnx__StringStringEntryProto *e = ot_append(&t->base, "update_binding"); e->key = copy("w");
     e->value = copy("w2");)

typedef struct harm {
    void (*harm)(ot_model *m);
    const char *words;
} harm;

static const harm harms[] = {
    { no_ir, "no IR version" },
    { new_ir, "known are 1 to 14" },
    { old_ir, "initializer 0 'w': no input has its name" },
    { oldest_ir, "2 operator sets are imported" },
    { no_imports, "no operator set is imported" },
    { two_imports, "the import of domain '' is there twice" },
    { bad_import, "version 0" },
    { two_keys, "the metadata key 'key' is there twice" },
    { no_graph_name, "the graph has no name" },
    { no_input_name, "input 0 '': no name" },
    { no_input_type, "input 0 'x': no type" },
    { no_elem_type, "input 0 'x': the tensor has no element type" },
    { odd_elem_type, "element type 99" },
    { two_inputs, "two inputs are called 'x'" },
    { two_weights, "initializer 1 'w': the name 'w' is there twice" },
    { no_weight_name, "initializer 0 '': no name" },
    { lost_output, "output 0, 'nothing', is made by no node" },
    { no_operator, "node 0 'Gemm' (): no operator" },
    { unknown_operator, "node 0 'Gemm' (Gemmm): there is no such operator in version 17" },
    { unknown_domain, "its domain 'elsewhere' is not imported" },
    { deprecated, "Scatter is deprecated since version 11" },
    { too_new, "there is no such operator in version 17" },
    { too_many_inputs, "4 inputs, Gemm-13 takes 2 to 3" },
    { left_out, "input 0 (A) is left out" },
    { too_many_outputs, "2 outputs, Gemm-13 has 1" },
    { no_such_value, "input 0, 'nowhere', is made by no node" },
    { wrong_order, "input 0, 'h', is made by no node before this one" },
    { made_twice, "output 0, 'h', is the name of another value" },
    { input_made, "output 0, 'x', is the name of another value" },
    { inner_shadows, "graph 'then_branch': node 0 'Relu' (Relu): output 0, 'h', is the name of another value" },
    { inner_unknown, "attribute 'then_branch': graph 'then_branch': node 0 'Relu' (Relu): input 0, 'c'" },
    { unknown_attribute, "Gemm-13 has no attribute 'gamma'" },
    { mistyped_attribute, "attribute 'transA': it is FLOAT, but its value is in the field of another type" },
    { other_type, "attribute 'transA' is FLOAT, Gemm-13 takes INT" },
    { same_attribute, "attribute 'alpha' is there twice" },
    { untyped_attribute, "attribute 'alpha': no type" },
    { two_values, "more than one field holds a value" },
    { missing_attribute, "If-16 needs the attribute 'then_branch'" },
    { empty_attribute, "attribute 'value' is TENSOR, but holds none" },
    { reference, "only the body of a function may" },
    { no_data_type, "initializer 0 'w': no element type" },
    { odd_data_type, "element type 77 is not known" },
    { short_data, "raw_data has 48 bytes, 16 elements of float take 64" },
    { long_data, "raw_data has 48 bytes, 8 elements of float take 32" },
    { negative_dim, "dimension 0 is -3" },
    { huge_dims, "the product of the dims is too large" },
    { two_fields, "2 fields that hold data" },
    { wrong_field, "values: the values of double are in float_data, not in double_data" },
    { string_bytes, "strings cannot be in raw_data" },
    { odd_location, "data_location is 2" },
    { unsorted, "index 1 is not after the one before it" },
    { out_of_range, "index 1 is 6, the tensor has 6 elements" },
    { negative_index, "index 0 is -1" },
    { index_type, "uint64" },
    { more_indices, "1 indices of 1 numbers for 2 values" },
    { flat_tensor, "dimension 0 is 0, and must be positive" },
    { sparse_name, "the name 'w' is there twice" },
    { no_function_name, "function 0 '': no name" },
    { no_function_domain, "function 0 'twice': no domain" },
    { two_functions, "'my:twice:' (domain:name:overload) is there twice" },
    { recursive, "function 'twice' calls itself" },
    { function_domain, "function 0 'twice': node 0 'sum' (Add): its domain 'elsewhere' is not imported" },
    { function_output, "output 0, 'nothing', is made by no node" },
    { function_input, "function 0 'twice': node 0 'sum' (Add): input 0, 'x', is made by no node" },
    { function_version, "version 6 of its domain has another one than the model's version 17" },
    { function_attribute, "it refers to 'steepness', which the function has not" },
    { same_outputs, "output 'w' is there twice" },
    { annotation, "quantization annotation 0 'nothing': the graph has no value of this name" },
    { training, "update binding 0: 'w2' is no output of its graph" },
};

typedef struct heard {
    const char *words;
    int64_t n;
    bool found;
    char last[512];
} heard;

static void hear(void *ctx, const char *text)
{
    heard *h = ctx;
    h->n++;
    h->found |= h->words && strstr(text, h->words);
    snprintf(h->last, sizeof(h->last), "%s", text);
}

static void breaks(void)
{
    int64_t before = ot_live_blocks(), n;
    for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++) {
        ot_model *m = everything();
        heard h = { .words = harms[i].words };
        if (!m)
            return;
        harms[i].harm(m);
        if (CHECK_OK(ot_model_check(&n, m, hear, &h)) && !CHECK(h.found && n == h.n))
            printf("    not found: %s; the last of %lld: %s\n", h.words, (long long)h.n, h.last);
        ot_model_close(m);
    }
    CHECK(ot_live_blocks() == before);
}

static void passes(void)
{
    ot_model *m = everything();
    heard h = { 0 };
    int64_t n;
    if (CHECK_OK(ot_model_check(&n, m, hear, &h)) && !CHECK(n == 0))
        printf("    %s\n", h.last);
    ot_model_close(m);
}

/* Every allocation that can fail, fails once. */
static void without_memory(void)
{
    ot_model *m = everything();
    int64_t before = ot_live_blocks(), n;
    for (int64_t k = 0; k < 10000; k++) {
        ot_fail_alloc_after(k);
        ot_status st = ot_model_check(&n, m, NULL, NULL);
        ot_fail_alloc_after(-1);
        if (st == OT_OK)
            break;
        if (!CHECK(st == OT_ENOMEM && ot_live_blocks() == before))
            break;
    }
    CHECK(n == 0);
    ot_model_close(m);
}

/* ---- Files -------------------------------------------------------------------------------------------------- */

static void finds(const char *path, const char *words)
{
    heard h = { .words = words };
    int64_t n;
    if (CHECK_OK(ot_model_check_file(&n, path, hear, &h)) && !CHECK(words ? h.found : n == 0))
        printf("    %s\n", h.last);
}

static void external_data(void)
{
    char path[512], data[512], other[512], link_path[512];
    ot_model *m = everything();
    snprintf(path, sizeof(path), "%s", test_tmp("check.onnx"));
    snprintf(data, sizeof(data), "%s", test_tmp("check.bin"));
    snprintf(other, sizeof(other), "%s", test_tmp("check2.bin"));
    snprintf(link_path, sizeof(link_path), "%s", test_tmp("check3.bin"));
    unlink(other);
    unlink(link_path);
    CHECK_OK(ot_file_write(data, "0123456789012345678901234567890123456789012345678901234567890123", 64));
    const struct {
        const char *location;
        uint64_t offset;
        size_t n;
        const char *words;
    } cases[] = {
        { "check.bin", 0, 48, NULL },
        { "./check.bin", 0, 48, NULL },
        { "check.bin", 16, 48, NULL },
        { "check.bin", 17, 48, "64 bytes" },
        { "check.bin", 0, 44, "has 44 bytes, 12 elements of float take 48" },
        { "nosuch.bin", 0, 48, "cannot be opened" },
        { "../check.bin", 0, 48, "not a plain path" },
        { "a/../../check.bin", 0, 48, "external data" },
        { "/check.bin", 0, 48, "not a plain path" },
        { "", 0, 48, "without a location" },
        { ".", 0, 48, "external data" },
        { "check3.bin", 0, 48, "symbolic link" },
    };
    CHECK(symlink("check.bin", link_path) == 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_OK(ot_model_set_external(m, weight_of(m), cases[i].location, cases[i].offset, cases[i].n));
        CHECK_OK(ot_model_save(m, path));
        finds(path, cases[i].words);
    }
    CHECK_OK(ot_model_set_external(m, weight_of(m), "check.bin", 0, 48));
    CHECK_OK(ot_model_save(m, path));
    CHECK(link(data, other) == 0);
    finds(path, "2 hard links");
    unlink(other);
    unlink(link_path);
    ot_model_close(m);
}

static void no_model(void)
{
    char path[512];
    int64_t n;
    snprintf(path, sizeof(path), "%s", test_tmp("check-none.onnx"));
    CHECK_OK(ot_file_write(path, "", 0));
    finds(path, "the model has no graph");
    CHECK_OK(ot_file_write(path, "\x3a\x7f", 2));
    finds(path, "");
    CHECK_FAILS(ot_model_check_file(&n, test_tmp("no-such.onnx"), NULL, NULL), OT_EIO, "No such file");
}

/* ---- The table ---------------------------------------------------------------------------------------------- */

static bool finds_schema(ot_schema *s, const char *domain, const char *name, int64_t opset, int since)
{
    return CHECK(ot_schema_find(s, domain, name, opset)) && CHECK(s->since == since && strcmp(s->name, name) == 0);
}

static void schemas(void)
{
    ot_schema s;
    ot_schema_attr a;
    CHECK(finds_schema(&s, "", "Abs", 1, 1) && finds_schema(&s, "ai.onnx", "Abs", 12, 6));
    CHECK(!ot_schema_find(&s, "", "Gelu", 19) && finds_schema(&s, "", "Gelu", 20, 20) && s.function);
    CHECK(!ot_schema_find(&s, "", "A", 20) && !ot_schema_find(&s, "", "zzz", 20) &&
          !ot_schema_find(&s, "x", "Abs", 20));
    CHECK(finds_schema(&s, "", "Upsample", 10, 10) && s.deprecated && !s.function);
    CHECK(finds_schema(&s, "ai.onnx.ml", "ZipMap", 5, 1) && s.n_attr == 2);
    CHECK(finds_schema(&s, "ai.onnx.preview.training", "Adam", 1, 1) && s.max_in == INT32_MAX);
    CHECK(ot_schema_newest("") == 28 && ot_schema_newest("ai.onnx.ml") == 5 && ot_schema_newest("x") == 0);
    CHECK(finds_schema(&s, "", "Conv", 17, 11) && s.min_in == 2 && s.max_in == 3 && s.n_out == 1);
    ot_formal x = ot_schema_input(&s, 0), b = ot_schema_input(&s, 2), y = ot_schema_output(&s, 0);
    CHECK(strcmp(x.name, "X") == 0 && x.option == OT_FORMAL_SINGLE && b.option == OT_FORMAL_OPTIONAL);
    CHECK(x.variable == y.variable && x.types->tensor == (1u << OT_FLOAT | 1u << OT_FLOAT16 | 1u << OT_DOUBLE));
    CHECK(ot_schema_find_attribute(&a, &s, "auto_pad") && a.type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    CHECK(!a.required && !ot_schema_find_attribute(&a, &s, "nothing"));
    CHECK(finds_schema(&s, "", "Loop", 21, 21) && ot_schema_input(&s, 7).mixed);
    CHECK(ot_schema_input(&s, 7).option == OT_FORMAL_VARIADIC && ot_schema_input(&s, 7).types->sequence != 0);
    CHECK(ot_schema_find_attribute(&a, &s, "body") && a.required);
    CHECK(finds_schema(&s, "", "BatchNormalization", 9, 9));
    CHECK(ot_schema_outputs_allowed(&s, 1) && !ot_schema_outputs_allowed(&s, 3) && ot_schema_outputs_allowed(&s, 5));
    CHECK(finds_schema(&s, "ai.onnx.ml", "ArrayFeatureExtractor", 1, 1) && ot_schema_input(&s, 0).types->tensor);
}

const ot_test check_tests[] = { { "a model of everything passes", passes },
                                { "each way to break it is found", breaks },
                                { "without memory", without_memory },
                                { "external data", external_data },
                                { "no model", no_model },
                                { "schemas", schemas },
                                { 0 } };

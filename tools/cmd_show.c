/* onnxtune show: what is in a model, and what running it takes. */
#include "model_file.h"
#include "output.h"
#include "show_training.h"

#include <string.h>

typedef struct show_args {
    ot_common_args common;
    const char *model;
    ot_strings names; /* of --shape */
    ot_tensor *shape; /* one a name */
    bool explain, grad, freezes;
    const char *freeze_to, *out;
} show_args;

typedef struct show {
    const show_args *a;
    ot_model *m;
    ot_layers *layers;
    ot_session *session; /* NULL: it cannot run, or its shapes are open */
    bool has_memory, open;
    ot_memory memory;
    char *explained;
    ot_trainer *trainer; /* NULL: how it trains is not asked for */
    ot_dataset data;     /* of the trainer */
} show;

enum { SHAPE = OT_KEY_OWN, EXPLAIN, FREEZE_TO, GRAD };

static const struct argp_option options[] = {
    { "shape", SHAPE, "NAME=DIMS", 0,
      "shape of an input, as data=1x3x224x224; repeatable (default: the model's, batch 1)", 0 },
    { "freeze-to", FREEZE_TO, "N|NODE", 0, "which layers train when those before this one are frozen", 0 },
    { "grad", GRAD, NULL, 0, "the training step, a line a kernel; with -o as a graph", 0 },
    { "output", 'o', "FILE.onnx", 0, "with --grad: the step as a graph for Netron", 0 },
    { "explain", EXPLAIN, NULL, 0, "the kernel and place of each node, and why a faster kernel declined", 0 },
    { 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    show_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case SHAPE:
        ot_arg_shape(state, arg, &a->names, &a->shape);
        return 0;
    case EXPLAIN:
        a->explain = true;
        return 0;
    case FREEZE_TO:
        a->freeze_to = arg;
        a->freezes = true;
        return 0;
    case GRAD:
        a->grad = true;
        return 0;
    case 'o':
        a->out = arg;
        return 0;
    case ARGP_KEY_ARG:
        ot_take_model(state, arg, "is shown", &a->model);
        return 0;
    case ARGP_KEY_END:
        ot_need_model(state, a->model);
        if (a->out && !a->grad)
            ot_usage(state, "-o FILE belongs to --grad");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = { { &ot_common_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "MODEL",
    .doc = "Shows inputs, outputs and layers of an ONNX model with their output shapes and parameters, and the memory "
           "that running it takes.\v"
           "Example:\n  onnxtune show resnet34.onnx --shape input=16x3x224x224",
    .children = children
};

/* ---- Memory ------------------------------------------------------------------------------------------------- */

static const ot_tensor *given_shape(const show_args *a, const char *name)
{
    for (size_t i = 0; i < a->names.n; i++)
        if (strcmp(a->names.s[i], name) == 0)
            return &a->shape[i];
    return NULL;
}

/* Plans for the shapes given; without them for a batch of 1.  An exit code. */
static int plan(show *s)
{
    int code = OT_EXIT_OK;
    s->session = ot_open_session(s->m, s->a->model, &s->a->common, NULL, NULL, false, &code);
    if (!s->session)
        return code;
    int64_t n = ot_session_input_count(s->session);
    ot_tensor *input = ot_tool_calloc((size_t)n, sizeof(*input));
    bool settled = true;
    for (int64_t i = 0; i < n; i++) {
        const ot_tensor *given = given_shape(s->a, ot_session_input_name(s->session, i));
        ot_session_input(s->session, i, &input[i]);
        if (given) {
            input[i].rank = given->rank;
            memcpy(input[i].dim, given->dim, sizeof(given->dim));
        }
        settled &= ot_settle_shape(&input[i]);
    }
    s->open = !settled;
    ot_status st = settled ? ot_session_prepare(s->session, input, n) : OT_OK;
    if (st == OT_OK && settled) {
        st = ot_session_memory(s->session, &s->memory);
        s->has_memory = true;
    }
    if (st == OT_OK && settled && s->a->explain)
        st = ot_session_explain(&s->explained, s->session);
    free(input);
    return st == OT_OK ? OT_EXIT_OK : ot_tool_failed(st, s->a->model);
}

/* ---- Training ----------------------------------------------------------------------------------------------- */

/* An exit code. */
static int plan_training(show *s)
{
    const show_args *a = s->a;
    ot_train_options o = OT_TRAIN_INIT;
    if (!ot_phantom_dataset(&s->data, s->m, s->session, NULL, a->model))
        return OT_EXIT_FAILED;
    o.freeze_to = a->freeze_to;
    o.batch = 1;
    o.threads = a->common.threads;
    o.memory = a->common.memory;
    ot_status st = ot_trainer_create(&s->trainer, s->m, &s->data, &o);
    if (st == OT_OK && a->grad && a->out)
        st = ot_trainer_save_graph(s->trainer, a->out);
    else if (st == OT_OK && a->grad) {
        ot_text_free(s->explained);
        st = ot_trainer_explain(&s->explained, s->trainer);
    }
    return st == OT_OK ? OT_EXIT_OK : ot_tool_failed(st, a->model);
}

static const char *bn_text(const show *s, int64_t i)
{
    static const char *const words[] = { "", "statistics fixed", "statistics update" };
    return words[ot_trainer_layer_bn(s->trainer, i)];
}

/* ---- JSON --------------------------------------------------------------------------------------------------- */

static json_t *values_json(show *s, int64_t n, const char *(*name)(const ot_model *, int64_t))
{
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o, s:o}", "name", ot_json_text(name(s->m, i)), "type",
                                              ot_json_text(ot_layers_value(s->layers, name(s->m, i)))));
    return list;
}

static json_t *layers_json(const show *s)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < ot_layers_count(s->layers); i++) {
        const ot_layer_info *l = ot_layers_get(s->layers, i);
        json_t *row = json_pack("{s:I, s:o, s:o, s:o, s:o, s:I}", "index", (json_int_t)i, "name", ot_json_text(l->name),
                                "operator", ot_json_text(l->op), "output", ot_json_text(l->output), "shape",
                                ot_json_text(l->shape), "parameters", (json_int_t)l->parameters);
        if (s->trainer) {
            json_object_set_new(row, "trains", json_boolean(ot_trainer_layer_trains(s->trainer, i)));
            json_object_set_new(row, "batchnorm", ot_json_text(bn_text(s, i)));
        }
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *memory_json(const show *s)
{
    const ot_memory *m = &s->memory;
    if (!s->has_memory)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I}", "weights", (json_int_t)m->weights, "packed", (json_int_t)m->packed,
                     "activations", (json_int_t)m->activations, "workspace", (json_int_t)m->workspace);
}

static bool print_json(show *s)
{
    const char *problem = ot_layers_problem(s->layers);
    return ot_print_json(json_pack("{s:o, s:I, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "model",
                                   ot_json_text(s->a->model), "ir_version", (json_int_t)ot_model_ir_version(s->m),
                                   "opset", (json_int_t)ot_model_opset(s->m, ""), "inputs",
                                   values_json(s, ot_model_input_count(s->m), ot_model_input_name), "outputs",
                                   values_json(s, ot_model_output_count(s->m), ot_model_output_name), "layers",
                                   layers_json(s), "parameters", (json_int_t)ot_layers_parameters(s->layers), "memory",
                                   memory_json(s), "problem", problem ? ot_json_text(problem) : json_null(), "explain",
                                   s->explained ? ot_json_text(s->explained) : json_null()));
}

/* ---- Text --------------------------------------------------------------------------------------------------- */

/* "float[N,64,56,56]" without the type where it is float. */
static const char *short_shape(const char *shape)
{
    return strncmp(shape, "float[", 6) == 0 ? shape + 5 : *shape ? shape : "?";
}

static void print_values(show *s, const char *what, int64_t n, const char *(*name)(const ot_model *, int64_t))
{
    for (int64_t i = 0; i < n; i++) {
        const char *type = ot_layers_value(s->layers, name(s->m, i));
        printf("%-8s %s  %s\n", i ? "" : what, name(s->m, i), *type ? type : "?");
    }
}

static void print_layers(const show *s)
{
    ot_table *t = ot_table_open(s->trainer ? "rlllrll" : "rlllr");
    static const char *const heads[] = { "layer", "name", "operator", "output", "parameters", "trains", "BN" };
    for (int i = 0; i < (s->trainer ? 7 : 5); i++)
        ot_table_cell(t, "%s", heads[i]);
    for (int64_t i = 0; i < ot_layers_count(s->layers); i++) {
        const ot_layer_info *l = ot_layers_get(s->layers, i);
        ot_table_cell(t, "%lld", (long long)i);
        ot_table_cell(t, "%s", l->name);
        ot_table_cell(t, *l->domain ? "%s.%s" : "%s%s", l->domain, l->op);
        ot_table_cell(t, "%s", short_shape(l->shape));
        ot_table_cell(t, "%s", l->parameters ? ot_count_text(l->parameters) : "");
        if (!s->trainer)
            continue;
        ot_table_cell(t, "%s", !l->parameters ? "" : ot_trainer_layer_trains(s->trainer, i) ? "yes" : "frozen");
        ot_table_cell(t, "%s", bn_text(s, i));
    }
    ot_table_print(t);
}

static void print_training(const show *s)
{
    ot_train_plan p;
    if (!s->trainer || ot_trainer_plan(s->trainer, &p) != OT_OK)
        return;
    printf("training: %s of %s parameters, from layer %lld on; memory (batch 1): activations %s, state %s, work space "
           "%s\n",
           ot_count_text(p.trained), ot_count_text(p.parameters), (long long)p.first_layer,
           ot_bytes_text((double)p.memory.activations), ot_bytes_text((double)p.memory.state),
           ot_bytes_text((double)p.memory.workspace));
}

static void print_text(show *s)
{
    printf("%s: IR version %lld, opset %lld\n", s->a->model, (long long)ot_model_ir_version(s->m),
           (long long)ot_model_opset(s->m, ""));
    print_values(s, "inputs", ot_model_input_count(s->m), ot_model_input_name);
    print_values(s, "outputs", ot_model_output_count(s->m), ot_model_output_name);
    putchar('\n');
    print_layers(s);
    printf("\n%s layers, %s parameters\n", ot_count_text(ot_layers_count(s->layers)),
           ot_count_text(ot_layers_parameters(s->layers)));
    if (s->has_memory)
        printf("memory%s: weights %s, packed weights %s, activations %s, work space %s\n",
               s->a->names.n ? "" : " (batch 1)", ot_bytes_text((double)s->memory.weights),
               ot_bytes_text((double)s->memory.packed), ot_bytes_text((double)s->memory.activations),
               ot_bytes_text((double)s->memory.workspace));
    else if (s->open)
        printf("memory: depends on the shapes of the inputs: --shape NAME=DIMS\n");
    print_training(s);
    if (s->explained)
        printf("\n%s", s->explained);
}

static int show_model(show *s)
{
    int code = OT_EXIT_OK;
    s->m = ot_open_model(s->a->model, &code);
    if (!s->m)
        return code;
    ot_status st = ot_layers_open(&s->layers, s->m, s->a->names.s, s->a->shape, (int64_t)s->a->names.n);
    if (st != OT_OK)
        return ot_tool_failed(st, s->a->model);
    if (!ot_layers_problem(s->layers))
        code = plan(s);
    if (s->session && code == OT_EXIT_OK && (s->a->freezes || s->a->grad))
        code = plan_training(s);
    if (s->a->common.json) {
        if (!print_json(s))
            code = OT_EXIT_FAILED;
    } else {
        print_text(s);
    }
    if (ot_layers_problem(s->layers)) {
        ot_tool_error("%s: %s", s->a->model, ot_layers_problem(s->layers));
        code = OT_EXIT_FAILED;
    }
    return code;
}

int ot_cmd_show(int argc, char **argv)
{
    static show_args a = { .common = OT_COMMON_ARGS_INIT };
    ot_parse(&argp, argc, argv, &a);
    show s = { .a = &a };
    int code = show_model(&s);
    ot_trainer_close(s.trainer);
    ot_text_free(s.explained);
    ot_session_close(s.session);
    ot_layers_close(s.layers);
    ot_model_close(s.m);
    return code;
}

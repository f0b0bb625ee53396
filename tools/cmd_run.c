/* onnxtune run: a model on tensors or pictures, and any value of its graph. */
#include "fill.h"
#include "model_file.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct run_args {
    ot_common_args common;
    ot_image_args image;
    const char *model;
    ot_strings input_names, input_files;
    ot_strings shape_names;
    ot_tensor *shape;
    ot_strings values, value_files; /* a file may be NULL */
    int fill;                       /* of fill_words; -1: not given */
} run_args;

enum { INPUT = OT_KEY_OWN, VALUE, SHAPE, FILL };

static const char *const fill_words[] = { "zeros", "random", NULL };

static const struct argp_option options[] = {
    { "input", INPUT, "NAME=FILE", 0,
      "an input, one with a default too: .npy, .pb (TensorProto), or a picture; repeatable", 0 },
    { "value", VALUE, "NAME[=FILE.npy]", 0,
      "a value of the graph to print, and to write; repeatable (default: the outputs)", 0 },
    { "shape", SHAPE, "NAME=DIMS", 0, "shape of an input that is filled, as data=1x3x224x224; repeatable", 0 },
    { "fill", FILL, "WITH", 0, "zeros or random (uniform in -1..1), for inputs without a file", 0 },
    { 0 }
};

static void add_value(run_args *a, char *arg)
{
    char *at = strrchr(arg, '=');
    if (at)
        *at = 0;
    ot_strings_add(&a->values, arg);
    ot_strings_add(&a->value_files, at ? at + 1 : NULL);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    run_args *a = state->input;
    const char *name, *rest;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->image;
        state->child_inputs[1] = &a->common;
        return 0;
    case INPUT:
        rest = ot_arg_pair(state, "input", arg, &name);
        ot_strings_add(&a->input_names, name);
        ot_strings_add(&a->input_files, rest);
        return 0;
    case VALUE:
        add_value(a, arg);
        return 0;
    case SHAPE:
        ot_arg_shape(state, arg, &a->shape_names, &a->shape);
        return 0;
    case FILL:
        a->fill = ot_arg_word(state, "fill", arg, fill_words);
        return 0;
    case ARGP_KEY_ARG:
        ot_take_model(state, arg, "runs", &a->model);
        return 0;
    case ARGP_KEY_END:
        ot_need_model(state, a->model);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = { { &ot_image_argp, 0, NULL, 0 }, { &ot_common_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = { .options = options,
                                  .parser = parse,
                                  .args_doc = "MODEL",
                                  .doc = "Runs a model and prints name, type, shape and a summary of each output.\v"
                                         "Examples:\n"
                                         "  onnxtune run net.onnx --input x=x.npy --value logits=logits.npy\n"
                                         "  onnxtune run net.onnx --fill random --shape x=8x3x224x224",
                                  .children = children };

/* ---- Inputs ------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n > k && strcasecmp(s + n - k, end) == 0;
}

static ot_tensor *read_input(const run_args *a, const ot_model *m, const char *file, int *code)
{
    ot_tensor *t = NULL;
    ot_image_spec spec;
    ot_status st = OT_OK;
    if (ends_with(file, ".npy"))
        st = ot_npy_read(&t, file);
    else if (ends_with(file, ".pb"))
        st = ot_tensor_file_read(&t, file);
    else if ((*code = ot_image_spec_from_args(&spec, &a->image, m, a->model)) == OT_EXIT_OK)
        st = ot_image_load(&t, file, &spec);
    if (st != OT_OK) {
        ot_tool_failed(st, file);
        *code = OT_EXIT_FAILED;
    }
    return t;
}

static ot_tensor *filled_input(const run_args *a, const ot_session *s, int64_t i, int *code)
{
    const char *name = ot_session_input_name(s, i);
    ot_tensor want, *t = NULL;
    ot_status st = ot_session_input(s, i, &want);
    for (size_t k = 0; k < a->shape_names.n; k++)
        if (strcmp(a->shape_names.s[k], name) == 0) {
            want.rank = a->shape[k].rank;
            memcpy(want.dim, a->shape[k].dim, sizeof(want.dim));
        }
    *code = OT_EXIT_USAGE;
    if (a->fill < 0) {
        ot_tool_error("%s: the input '%s' (%s %s) is not given", a->model, name, ot_dtype_name(want.dtype),
                      ot_dims_text_of(&want));
        ot_tool_advice("--input %s=FILE gives it, --fill zeros|random fills it", name);
        return NULL;
    }
    if (!ot_settle_shape(&want)) {
        ot_tool_error("%s: the input '%s' is %s: --shape %s=DIMS must say its size", a->model, name,
                      ot_dims_text_of(&want), name);
        return NULL;
    }
    if (a->fill == 1 && want.dtype != OT_FLOAT && want.dtype != OT_DOUBLE) {
        ot_tool_error("%s: the input '%s' is %s: --fill random is for float and double", a->model, name,
                      ot_dtype_name(want.dtype));
        return NULL;
    }
    if (st == OT_OK)
        st = a->fill == 1 ? ot_fill_create(&t, &want, a->common.seed, (uint64_t)i)
                          : ot_tensor_create(&t, want.dtype, want.rank, want.dim);
    *code = st == OT_OK ? OT_EXIT_OK : ot_tool_failed(st, a->model);
    return t;
}

static ot_tensor *make_input(const run_args *a, const ot_model *m, const ot_session *s, int64_t i, int *code)
{
    for (size_t k = 0; k < a->input_names.n; k++)
        if (strcmp(a->input_names.s[k], ot_session_input_name(s, i)) == 0)
            return read_input(a, m, a->input_files.s[k], code);
    return filled_input(a, s, i, code);
}

/* Those of --input that replace a default value of the model. */
static ot_strings given_defaults(const run_args *a, const ot_model *m)
{
    ot_strings given = { 0 };
    for (int64_t i = 0; i < ot_model_default_count(m); i++)
        for (size_t k = 0; k < a->input_names.n; k++)
            if (strcmp(ot_model_default_name(m, i), a->input_names.s[k]) == 0)
                ot_strings_add(&given, a->input_names.s[k]);
    return given;
}

static bool has_input(const ot_session *s, const char *name)
{
    for (int64_t i = 0; i < ot_session_input_count(s); i++)
        if (strcmp(ot_session_input_name(s, i), name) == 0)
            return true;
    return false;
}

/* A name that is no input of what runs: a mistake, unless the wanted values do not depend on it. */
static int check_names(const run_args *a, const ot_model *m, const ot_session *s)
{
    const ot_strings *lists[] = { &a->input_names, &a->shape_names };
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->n; i++) {
            bool known = has_input(s, lists[k]->s[i]);
            for (int64_t n = 0; n < ot_model_input_count(m) && !known; n++)
                known = strcmp(ot_model_input_name(m, n), lists[k]->s[i]) == 0;
            for (int64_t n = 0; n < ot_model_default_count(m) && !known; n++)
                known = strcmp(ot_model_default_name(m, n), lists[k]->s[i]) == 0;
            if (!known) {
                ot_tool_error("%s: the model has no input '%s'", a->model, lists[k]->s[i]);
                ot_tool_advice("its first input is '%s'",
                               ot_session_input_name(s, 0) ? ot_session_input_name(s, 0) : "");
                return OT_EXIT_USAGE;
            }
        }
    return OT_EXIT_OK;
}

/* ---- Outputs ------------------------------------------------------------------------------------------------ */

typedef struct summary {
    double min, max, mean, std;
    int64_t nan, inf; /* left out of the others */
} summary;

static summary summarise(const ot_tensor *t)
{
    summary s = { .min = INFINITY, .max = -INFINITY };
    int64_t n = ot_tensor_count(t), used = 0;
    double m2 = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = ot_tensor_get(t, i);
        s.nan += isnan(v) != 0;
        s.inf += isinf(v) != 0;
        if (!isfinite(v))
            continue;
        double d = v - s.mean;
        s.min = fmin(s.min, v);
        s.max = fmax(s.max, v);
        s.mean += d / (double)++used;
        m2 += d * (v - s.mean);
    }
    s.std = used ? sqrt(m2 / (double)used) : NAN;
    if (!used)
        s.min = s.max = s.mean = NAN;
    return s;
}

static void print_output(const char *name, const ot_tensor *t)
{
    int64_t n = ot_tensor_count(t);
    printf("%s  %s %s", name, ot_dtype_name(t->dtype), ot_dims_text_of(t));
    if (t->dtype != OT_STRING && n > 0) {
        summary s = summarise(t);
        printf("  min %.6g  max %.6g  mean %.6g  std %.6g", s.min, s.max, s.mean, s.std);
        if (s.nan || s.inf)
            printf("  NaN %lld  infinite %lld", (long long)s.nan, (long long)s.inf);
        printf("\n ");
        for (int64_t i = 0; i < n && i < 8; i++)
            printf(" %.6g", ot_tensor_get(t, i));
        printf("%s", n > 8 ? " ..." : "");
    }
    putchar('\n');
}

static json_t *output_json(const char *name, const ot_tensor *t)
{
    summary s = summarise(t);
    json_t *first = json_array();
    for (int64_t i = 0; i < ot_tensor_count(t) && i < 8; i++)
        json_array_append_new(first, ot_json_real(ot_tensor_get(t, i)));
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "name", ot_json_text(name), "type",
                     ot_dtype_name(t->dtype), "shape", ot_json_dims(t), "min", ot_json_real(s.min), "max",
                     ot_json_real(s.max), "mean", ot_json_real(s.mean), "std", ot_json_real(s.std), "nan",
                     (json_int_t)s.nan, "infinite", (json_int_t)s.inf, "first", first);
}

static int report(const run_args *a, const ot_session *s)
{
    json_t *list = a->common.json ? json_array() : NULL;
    int code = OT_EXIT_OK;
    for (int64_t i = 0; i < ot_session_output_count(s); i++) {
        const char *name = ot_session_output_name(s, i);
        const char *file = a->values.n ? a->value_files.s[i] : NULL;
        const ot_tensor *t = ot_session_output(s, i);
        if (list)
            json_array_append_new(list, output_json(name, t));
        else
            print_output(name, t);
        ot_status st = file ? ot_npy_write(file, t) : OT_OK;
        if (st != OT_OK)
            code = ot_tool_failed(st, file);
    }
    if (list && !ot_print_json(json_pack("{s:o, s:o}", "model", ot_json_text(a->model), "outputs", list)))
        code = OT_EXIT_FAILED;
    return code;
}

static int run(const run_args *a, const ot_model *m, ot_session *s)
{
    int64_t n = ot_session_input_count(s);
    ot_tensor **owned = ot_tool_calloc((size_t)n, sizeof(*owned));
    ot_tensor *input = ot_tool_calloc((size_t)n, sizeof(*input));
    int code = check_names(a, m, s);
    for (int64_t i = 0; i < n && code == OT_EXIT_OK; i++) {
        owned[i] = make_input(a, m, s, i, &code);
        if (owned[i])
            input[i] = *owned[i];
    }
    if (code == OT_EXIT_OK) {
        ot_status st = ot_session_run(s, input, n);
        code = st == OT_OK ? report(a, s) : ot_tool_failed(st, a->model);
    }
    for (int64_t i = 0; i < n; i++)
        ot_tensor_free(owned[i]);
    free(owned);
    free(input);
    return code;
}

int ot_cmd_run(int argc, char **argv)
{
    static run_args a = { .common = OT_COMMON_ARGS_INIT, .fill = -1 };
    int code = OT_EXIT_OK;
    ot_parse(&argp, argc, argv, &a);
    ot_model *m = ot_open_model(a.model, &code);
    ot_strings given = { 0 };
    if (m)
        given = given_defaults(&a, m);
    ot_session *s = m ? ot_open_session(m, a.model, &a.common, &a.values, &given, false, &code) : NULL;
    if (s)
        code = run(&a, m, s);
    ot_session_close(s);
    ot_model_close(m);
    free(given.s);
    return code;
}

/* onnxtune predict: the most likely classes of pictures. */
#include "model_file.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct predict_args {
    ot_common_args common;
    ot_image_args image;
    const char *model, *labels;
    ot_strings pictures;
    int64_t top;
} predict_args;

typedef struct predictor {
    const predict_args *a;
    ot_model *m;
    ot_session *session;
    ot_labels *labels;
    ot_image_spec spec;
    double *p;      /* probabilities of the last picture */
    int64_t *order; /* classes, the likeliest first */
    int64_t classes;
} predictor;

enum { TOP = OT_KEY_OWN, LABELS };

static const struct argp_option options[] = {
    { "top", TOP, "N", 0, "classes to print for each picture (default: 5)", 0 },
    { "labels", LABELS, "FILE", 0, "text file with a class name a line (default: the model's metadata)", 0 },
    { 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    predict_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->image;
        state->child_inputs[1] = &a->common;
        return 0;
    case TOP:
        a->top = ot_arg_int(state, "top", arg, 1, 1000000);
        return 0;
    case LABELS:
        a->labels = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->model)
            ot_strings_add(&a->pictures, arg);
        else
            a->model = arg;
        return 0;
    case ARGP_KEY_END:
        ot_need_model(state, a->model);
        if (!a->pictures.n)
            ot_usage(state, "a picture is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = { { &ot_image_argp, 0, NULL, 0 }, { &ot_common_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = { .options = options,
                                  .parser = parse,
                                  .args_doc = "MODEL PICTURE...",
                                  .doc = "Prints the most likely classes of pictures (JPEG, PNG, BMP, PPM, PGM), with "
                                         "names and probabilities.\v"
                                         "Example:\n  onnxtune predict resnet34.onnx cat.jpg dog.png --top 3",
                                  .children = children };

/* Scores may be probabilities already, their logarithms, or plain: whatever they sum up to tells. */
static void to_probabilities(double *p, int64_t n)
{
    double sum = 0, low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        sum += p[i];
        low = fmin(low, p[i]);
        high = fmax(high, p[i]);
    }
    if (low >= 0 && fabs(sum - 1) < 1e-3)
        return;
    sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += p[i] = exp(p[i] - high);
    for (int64_t i = 0; i < n; i++)
        p[i] /= sum;
}

static const double *sort_by;

static int likelier(const void *a, const void *b)
{
    int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    if (sort_by[i] != sort_by[j])
        return sort_by[i] < sort_by[j] ? 1 : -1;
    return (i > j) - (i < j);
}

/* The first output as probabilities and their order.  An exit code. */
static int take_scores(predictor *s, const char *file)
{
    const ot_tensor *y = ot_session_output(s->session, 0);
    int64_t n = y ? ot_tensor_count(y) : 0;
    if (n < 1) {
        ot_tool_error("%s: the output '%s' has no elements", file, ot_session_output_name(s->session, 0));
        return OT_EXIT_FAILED;
    }
    if (n != s->classes) {
        free(s->p);
        free(s->order);
        s->p = ot_tool_calloc((size_t)n, sizeof(*s->p));
        s->order = ot_tool_calloc((size_t)n, sizeof(*s->order));
        s->classes = n;
        if (s->labels && s->labels->n != n)
            ot_tool_warning("%s: %lld labels, the output '%s' has %lld classes", s->a->model, (long long)s->labels->n,
                            ot_session_output_name(s->session, 0), (long long)n);
    }
    for (int64_t i = 0; i < n; i++) {
        s->p[i] = ot_tensor_get(y, i);
        s->order[i] = i;
        if (isnan(s->p[i])) {
            ot_tool_error("%s: the score of class %lld is not a number", file, (long long)i);
            return OT_EXIT_FAILED;
        }
    }
    to_probabilities(s->p, n);
    sort_by = s->p;
    qsort(s->order, (size_t)n, sizeof(*s->order), likelier);
    return OT_EXIT_OK;
}

static int predict_one(predictor *s, const char *file)
{
    ot_tensor *x;
    ot_status st = ot_image_load(&x, file, &s->spec);
    if (st != OT_OK) {
        ot_tool_failed(st, file);
        return OT_EXIT_FAILED;
    }
    st = ot_session_run(s->session, x, 1);
    ot_tensor_free(x);
    if (st == OT_OK)
        return take_scores(s, file);
    int code = ot_tool_failed(st, s->a->model);
    if (st == OT_ESHAPE)
        ot_tool_advice("pictures come in as %s of %lldx%lld pixels: --size and --layout change that",
                       s->spec.nhwc ? "nhwc" : "nchw", (long long)s->spec.size, (long long)s->spec.size);
    return code;
}

static const char *label(const predictor *s, int64_t i, char *text, size_t n)
{
    if (s->labels && i < s->labels->n)
        return s->labels->name[i];
    snprintf(text, n, "class %lld", (long long)i);
    return text;
}

static json_t *one_json(const predictor *s, const char *file)
{
    json_t *top = json_array();
    for (int64_t k = 0; k < s->a->top && k < s->classes; k++) {
        int64_t i = s->order[k];
        char text[32];
        json_array_append_new(top, json_pack("{s:o, s:I, s:o}", "label", ot_json_text(label(s, i, text, sizeof(text))),
                                             "index", (json_int_t)i, "probability", ot_json_real(s->p[i])));
    }
    return json_pack("{s:o, s:o}", "file", ot_json_text(file), "top", top);
}

static void print_one(const predictor *s, const char *file)
{
    printf("%s\n", file);
    for (int64_t k = 0; k < s->a->top && k < s->classes; k++) {
        char text[32];
        int64_t i = s->order[k];
        printf("  %6.2f %%  %5lld  %s\n", 100 * s->p[i], (long long)i, label(s, i, text, sizeof(text)));
    }
}

/* All pictures, also behind one that fails. */
static int predict_all(predictor *s)
{
    json_t *list = s->a->common.json ? json_array() : NULL;
    int code = OT_EXIT_OK;
    for (size_t i = 0; i < s->a->pictures.n; i++) {
        const char *file = s->a->pictures.s[i];
        int one = predict_one(s, file);
        if (one != OT_EXIT_OK)
            code = one;
        else if (list)
            json_array_append_new(list, one_json(s, file));
        else
            print_one(s, file);
    }
    if (list && !ot_print_json(list))
        code = OT_EXIT_FAILED;
    return code;
}

static int prepare(predictor *s)
{
    const predict_args *a = s->a;
    int code = OT_EXIT_OK;
    s->m = ot_open_model(a->model, &code);
    if (!s->m)
        return code;
    code = ot_image_spec_from_args(&s->spec, &a->image, s->m, a->model);
    if (code != OT_EXIT_OK)
        return code;
    code = ot_open_labels(&s->labels, a->labels, s->m, a->model);
    if (code != OT_EXIT_OK)
        return code;
    s->session = ot_open_session(s->m, a->model, &a->common, NULL, NULL, false, &code);
    if (s->session && ot_session_input_count(s->session) != 1) {
        ot_tool_error("%s: %lld inputs, predict wants a model with one", a->model,
                      (long long)ot_session_input_count(s->session));
        return OT_EXIT_FAILED;
    }
    return code;
}

int ot_cmd_predict(int argc, char **argv)
{
    static predict_args a = { .common = OT_COMMON_ARGS_INIT, .top = 5 };
    ot_parse(&argp, argc, argv, &a);
    predictor s = { .a = &a };
    int code = prepare(&s);
    if (code == OT_EXIT_OK)
        code = predict_all(&s);
    ot_session_close(s.session);
    ot_labels_free(s.labels);
    ot_model_close(s.m);
    free(s.p);
    free(s.order);
    return code;
}

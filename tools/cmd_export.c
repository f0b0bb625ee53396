/* onnxtune export: the finished model for others, verified after writing. */
#include "fill.h"
#include "model_file.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct export_args {
    ot_common_args common;
    const char *model, *out, *external;
    ot_export_opts opts;
} export_args;

enum { FOLD_BN = OT_KEY_OWN, OPSET, EXTERNAL, SET_BATCH, WITH_SOFTMAX };

static const struct argp_option options[] = {
    { "output", 'o', "FILE", 0, "the exported model (needed)", 0 },
    { "fold-bn", FOLD_BN, NULL, 0, "BatchNormalization goes into the Conv before it", 0 },
    { "opset", OPSET, "N", 0, "rewrite for a newer opset (default: the model's)", 0 },
    { "external-data", EXTERNAL, "FILE", 0, "weights go into this file, a plain name beside the model", 0 },
    { "set-batch", SET_BATCH, "N|NAME", 0, "the first dimension of inputs and outputs: a number or a name", 0 },
    { "with-softmax", WITH_SOFTMAX, NULL, 0, "the output becomes probabilities", 0 },
    { 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    export_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case 'o':
        a->out = arg;
        return 0;
    case FOLD_BN:
        a->opts.fold_bn = true;
        return 0;
    case OPSET:
        a->opts.opset = ot_arg_int(state, "opset", arg, 1, 1000);
        return 0;
    case EXTERNAL:
        a->external = arg;
        return 0;
    case SET_BATCH:
        a->opts.batch = arg;
        return 0;
    case WITH_SOFTMAX:
        a->opts.with_softmax = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->model)
            ot_usage(state, "one model is exported at a time, '%s' is a second", arg);
        a->model = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->model)
            ot_usage(state, "the model is missing");
        if (!a->out)
            ot_usage(state, "-o FILE is missing: where the exported model goes");
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
    .doc = "Writes the finished model for others: dropout and training forms gone. The written file is opened again, "
           "and run against the original on random input.\v"
           "Example:\n  onnxtune export pets.onnx --fold-bn --with-softmax -o pets-final.onnx",
    .children = children
};

/* ---- Verifying ---------------------------------------------------------------------------------------------- */

/* The first output for random inputs as new numbers (free them); NULL with *why where that cannot be. */
static double *outcome(const ot_model *m, const char *path, const export_args *a, int64_t *count, int *code,
                       const char **why)
{
    double *y = NULL;
    ot_session *s = ot_open_session(m, path, &a->common, NULL, code);
    if (!s)
        return NULL;
    int64_t n = ot_session_input_count(s);
    ot_tensor **owned = ot_tool_calloc((size_t)n, sizeof(*owned));
    ot_tensor *input = ot_tool_calloc((size_t)n, sizeof(*input));
    ot_status st = OT_OK;
    for (int64_t i = 0; i < n && st == OT_OK && !*why; i++) {
        st = ot_session_input(s, i, &input[i]);
        if (st == OT_OK && !ot_settle_shape(&input[i]))
            *why = "the shape of an input is open";
        else if (st == OT_OK)
            st = ot_fill_create(&owned[i], &input[i], a->common.seed, (uint64_t)i);
        if (owned[i])
            input[i] = *owned[i];
    }
    if (st == OT_OK && !*why)
        st = ot_session_run(s, input, n);
    if (st != OT_OK) {
        *code = ot_tool_failed(st, path);
    } else if (!*why) {
        const ot_tensor *t = ot_session_output(s, 0);
        *count = ot_tensor_count(t);
        y = ot_tool_calloc((size_t)*count, sizeof(*y));
        for (int64_t i = 0; i < *count; i++)
            y[i] = ot_tensor_get(t, i);
    }
    for (int64_t i = 0; i < n; i++)
        ot_tensor_free(owned[i]);
    free(owned);
    free(input);
    ot_session_close(s);
    return y;
}

/* The largest difference, as a share of the largest value. */
static double difference(const double *a, const double *b, int64_t n)
{
    double top = 0, d = 0;
    for (int64_t i = 0; i < n; i++) {
        top = fmax(top, fabs(a[i]));
        d = fabs(a[i] - b[i]) <= d ? d : fabs(a[i] - b[i]);
    }
    return d / fmax(top, 1e-6);
}

#define TOLERANCE 1e-3 /* folding changes the order of sums */

static int compare(const export_args *a, const ot_model *before, const ot_model *after, json_t *result)
{
    int64_t n = 0, k = 0;
    int code = OT_EXIT_OK;
    const char *why = NULL;
    double *y = outcome(after, a->out, a, &n, &code, &why);
    double *x =
        code == OT_EXIT_OK && !why && !a->opts.with_softmax ? outcome(before, a->model, a, &k, &code, &why) : NULL;
    if (x && y) {
        double d = n == k ? difference(x, y, n) : INFINITY;
        json_object_set_new(result, "difference", ot_json_real(d));
        if (!(d <= TOLERANCE)) {
            ot_tool_error("%s: on random input it differs from %s by %g of the largest output, %g is allowed", a->out,
                          a->model, d, TOLERANCE);
            code = OT_EXIT_FAILED;
        } else if (!a->common.json) {
            printf("verified: on random input it differs from %s by %.2g of the largest output\n", a->model, d);
        }
    } else if (code == OT_EXIT_OK && !a->common.json) {
        printf("verified: it opens%s%s\n", y ? " and runs" : "; not run: ", y ? "" : why);
    }
    free(x);
    free(y);
    return code;
}

static int verify(const export_args *a)
{
    int code = OT_EXIT_OK;
    ot_model *before = ot_open_model(a->model, &code);
    ot_model *after = before ? ot_open_model(a->out, &code) : NULL;
    json_t *result = json_pack("{s:o}", "model", ot_json_text(a->out));
    if (after)
        code = compare(a, before, after, result);
    if (after && a->common.json && !ot_print_json(json_incref(result)))
        code = OT_EXIT_FAILED;
    json_decref(result);
    ot_model_close(after);
    ot_model_close(before);
    return code;
}

int ot_cmd_export(int argc, char **argv)
{
    static export_args a = { .common = OT_COMMON_ARGS_INIT, .opts = OT_EXPORT_INIT };
    int code = OT_EXIT_OK;
    ot_parse(&argp, argc, argv, &a);
    ot_model *m = ot_open_model(a.model, &code);
    if (!m)
        return code;
    ot_status st = ot_model_export(m, &a.opts);
    if (st == OT_OK)
        st = ot_note_run(m, "export%s", a.opts.fold_bn ? " --fold-bn" : "");
    if (st != OT_OK) {
        code = ot_tool_failed(st, a.model);
    } else {
        bool same = strcmp(a.model, a.out) == 0;
        st = a.external ? ot_model_save_external(m, a.out, a.external) : ot_model_save(m, a.out);
        if (st != OT_OK)
            code = ot_tool_failed(st, a.out);
        else if (!same)
            code = verify(&a);
        else
            ot_tool_note("%s was replaced by its export: not compared with what it was", a.out);
    }
    ot_model_close(m);
    return code;
}

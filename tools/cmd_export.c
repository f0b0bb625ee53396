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
        ot_take_model(state, arg, "is exported", &a->model);
        return 0;
    case ARGP_KEY_END:
        ot_need_model(state, a->model);
        ot_need_output(state, a->out, "the exported model");
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

/* Inputs of one run, and the first output. */
typedef struct outcome {
    int64_t n_input;
    ot_tensor **input; /* owned */
    double *y;         /* NULL: was not run */
    int64_t count;
} outcome;

static void release(outcome *r)
{
    for (int64_t i = 0; i < r->n_input; i++)
        ot_tensor_free(r->input[i]);
    free(r->input);
    free(r->y);
}

/* Random inputs; false where the shape of one is open. */
static bool make_inputs(outcome *r, const ot_session *s, uint64_t seed, ot_status *st)
{
    r->n_input = ot_session_input_count(s);
    r->input = ot_tool_calloc((size_t)r->n_input, sizeof(ot_tensor *));
    for (int64_t i = 0; i < r->n_input && *st == OT_OK; i++) {
        ot_tensor shape;
        *st = ot_session_input(s, i, &shape);
        if (*st == OT_OK && !ot_settle_shape(&shape))
            return false;
        if (*st == OT_OK)
            *st = ot_fill_create(&r->input[i], &shape, seed, (uint64_t)i);
    }
    return true;
}

/* Runs on `like`'s inputs, node by node as the document has them, or on new ones.  An exit code; r->y stays NULL where
 * the inputs do not settle. */
static int run_once(outcome *r, const outcome *like, const ot_model *m, const char *path, const export_args *a)
{
    int code = OT_EXIT_OK;
    ot_status st = OT_OK;
    ot_session *s = ot_open_session(m, path, &a->common, NULL, NULL, like != NULL, &code);
    if (!s)
        return code;
    bool settled = like || make_inputs(r, s, a->common.seed, &st);
    const outcome *from = like ? like : r;
    ot_tensor *x = ot_tool_calloc((size_t)from->n_input, sizeof(*x));
    for (int64_t i = 0; i < from->n_input && settled && st == OT_OK; i++)
        x[i] = *from->input[i];
    if (settled && st == OT_OK)
        st = ot_session_run(s, x, from->n_input);
    if (st != OT_OK) {
        code = ot_tool_failed(st, path);
    } else if (settled) {
        const ot_tensor *t = ot_session_output(s, 0);
        r->count = ot_tensor_count(t);
        r->y = ot_tool_calloc((size_t)r->count, sizeof(*r->y));
        for (int64_t i = 0; i < r->count; i++)
            r->y[i] = ot_tensor_get(t, i);
    }
    free(x);
    ot_session_close(s);
    return code;
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
    outcome old = { 0 }, now = { 0 };
    int code = run_once(&now, NULL, after, a->out, a);
    if (code == OT_EXIT_OK && now.y && !a->opts.with_softmax)
        code = run_once(&old, &now, before, a->model, a);
    if (code == OT_EXIT_OK && old.y) {
        double d = old.count == now.count ? difference(old.y, now.y, old.count) : INFINITY;
        json_object_set_new(result, "difference", ot_json_real(d));
        if (!(d <= TOLERANCE)) {
            ot_tool_error("%s: on random input it differs from %s by %g of the largest output, %g is allowed", a->out,
                          a->model, d, TOLERANCE);
            code = OT_EXIT_FAILED;
        } else if (!a->common.json) {
            printf("verified: on random input it differs from %s by %.2g of the largest output\n", a->model, d);
        }
    } else if (code == OT_EXIT_OK && !a->common.json) {
        printf("verified: it opens%s\n", now.y ? " and runs" : "; not run: the shape of an input is open");
    }
    release(&old);
    release(&now);
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

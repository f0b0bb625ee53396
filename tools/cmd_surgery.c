/* onnxtune surgery: cuts the end off a model and grows a new one. */
#include "model_file.h"
#include "output.h"

#include <string.h>

typedef struct surgery_args {
    ot_common_args common;
    const char *model, *out, *cut, *append, *batch;
    ot_strings rename_old, rename_new;
} surgery_args;

enum { CUT = OT_KEY_OWN, APPEND, RENAME, SET_BATCH };

static const struct argp_option options[] = {
    { "output", 'o', "FILE", 0, "the new model (needed; MODEL's own name replaces it)", 0 },
    { "cut", CUT, "N|NODE", 0, "drop from this layer on: an index, -3 for the last three, a name or a prefix", 0 },
    { "append", APPEND, "LAYERS", 0,
      "layers to grow, as \"conv 2 3x3 pad=1; gap; flatten; logsoftmax\"; also gemm N or linear N, relu, dropout P, "
      "batchnorm, maxpool, avgpool, concat-pool, softmax",
      0 },
    { "rename", RENAME, "OLD=NEW", 0, "rename a value or node; repeatable", 0 },
    { "set-batch", SET_BATCH, "N|NAME", 0, "the first dimension of inputs and outputs: a number or a name", 0 },
    { 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    surgery_args *a = state->input;
    const char *name;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case 'o':
        a->out = arg;
        return 0;
    case CUT:
        a->cut = arg;
        return 0;
    case APPEND:
        a->append = arg;
        return 0;
    case RENAME:
        ot_strings_add(&a->rename_new, ot_arg_pair(state, "rename", arg, &name));
        ot_strings_add(&a->rename_old, name);
        return 0;
    case SET_BATCH:
        a->batch = arg;
        return 0;
    case ARGP_KEY_ARG:
        ot_take_model(state, arg, "is changed", &a->model);
        return 0;
    case ARGP_KEY_END:
        ot_need_model(state, a->model);
        ot_need_output(state, a->out, "the new model");
        if (!a->cut && !a->append && !a->batch && !a->rename_old.n)
            ot_usage(state, "nothing to do is missing: --cut, --append, --rename or --set-batch");
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
    .doc = "Cuts layers off the end of a model, grows new ones there (initialised from --seed), renames, and sets the "
           "batch; in this order.\v"
           "Example:\n  onnxtune surgery resnet34.onnx --cut -3 --append \"conv 2 3x3 pad=1; gap; flatten; "
           "logsoftmax\" -o pets.onnx",
    .children = children
};

static void warn(void *ctx, const char *text)
{
    ot_tool_warning("%s: %s", ((const surgery_args *)ctx)->model, text);
}

static ot_status change(ot_model *m, const surgery_args *a)
{
    ot_status st = OT_OK;
    if (a->cut)
        st = ot_model_cut(m, a->cut);
    if (st == OT_OK && a->append)
        st = ot_model_append(m, a->append, a->common.seed, warn, (void *)(uintptr_t)a);
    for (size_t i = 0; i < a->rename_old.n && st == OT_OK; i++)
        st = ot_model_rename(m, a->rename_old.s[i], a->rename_new.s[i]);
    if (st == OT_OK && a->batch)
        st = ot_model_set_batch(m, a->batch);
    if (st == OT_OK && (a->cut || a->append)) /* names of the old classes */
        st = ot_model_set_metadata(m, "onnxtune.labels", NULL);
    if (st == OT_OK)
        st = ot_note_run(m, "surgery%s%s%s%s", a->cut ? " --cut " : "", a->cut ? a->cut : "",
                         a->append ? " --append " : "", a->append ? a->append : "");
    return st;
}

int ot_cmd_surgery(int argc, char **argv)
{
    static surgery_args a = { .common = OT_COMMON_ARGS_INIT };
    int code = OT_EXIT_OK;
    ot_parse(&argp, argc, argv, &a);
    ot_model *m = ot_open_model(a.model, &code);
    if (!m)
        return code;
    ot_status st = change(m, &a);
    if (st != OT_OK) {
        code = ot_tool_failed(st, a.model);
    } else {
        st = ot_model_save(m, a.out);
        code = st == OT_OK ? ot_report_model(m, a.out, a.common.json) : ot_tool_failed(st, a.out);
    }
    ot_model_close(m);
    return code;
}

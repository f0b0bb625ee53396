/* onnxtune lm eval: loss and accuracy of a character model on a text. */
#include "lm.h"
#include "model_file.h"
#include "output.h"
#include "progress.h"

#include <math.h>

typedef struct eval_args {
    ot_common_args common;
    ot_text_args text;
    const char *model;
    int64_t batch;
    int split;
} eval_args;

enum { SPLIT = OT_KEY_OWN, BATCH };

static const struct argp_option options[] = { { "split", SPLIT, "WHICH", 0, "valid or train (default: valid)", 6 },
                                              { "batch", BATCH, "N", 0, "rows of a batch (default: 64)", 6 },
                                              { 0 } };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const splits[] = { "train", "valid", NULL };
    eval_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->text;
        state->child_inputs[1] = &a->common;
        return 0;
    case SPLIT:
        a->split = ot_arg_word(state, "split", arg, splits);
        return 0;
    case BATCH:
        a->batch = ot_arg_int(state, "batch", arg, 1, 1000000);
        return 0;
    case ARGP_KEY_ARG:
        ot_take_model(state, arg, "is evaluated", &a->model);
        return 0;
    case ARGP_KEY_END:
        ot_need_model(state, a->model);
        ot_need_text(state, &a->text);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = { { &ot_text_argp, 0, NULL, 0 }, { &ot_common_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "MODEL --text FILE",
    .doc =
        "Prints the loss a character (cross-entropy, in nats), the perplexity and the accuracy of a character model on "
        "a text.\v"
        "Example:\n  onnxtune lm eval gru.onnx --text nietzsche.txt",
    .children = children
};

static bool progress(void *ctx, int64_t done, int64_t total)
{
    (void)ctx;
    ot_progress_show(&(ot_progress_state){ "evaluating", done, total > done ? total : done, NAN, NAN, false });
    return true;
}

static int report(const eval_args *a, const ot_eval_result *r)
{
    double bits = r->loss / log(2);
    if (a->common.json)
        return ot_print_json(json_pack("{s:o, s:o, s:o, s:o, s:I}", "loss", ot_json_real(r->loss), "perplexity",
                                       ot_json_real(exp(r->loss)), "bits", ot_json_real(bits), "accuracy",
                                       ot_json_real(r->accuracy), "samples", (json_int_t)r->samples))
                   ? OT_EXIT_OK
                   : OT_EXIT_FAILED;
    printf("loss       %.5f\nperplexity %.4f\nbits       %.4f\naccuracy   %.2f %%\ncharacters %s\n", r->loss,
           exp(r->loss), bits, 100 * r->accuracy, ot_count_text(r->samples));
    return OT_EXIT_OK;
}

static int evaluate(const eval_args *a, const ot_model *m, const ot_dataset *d)
{
    ot_eval_options o = OT_EVAL_INIT;
    ot_eval_result r;
    o.split = a->split;
    o.batch = a->batch;
    o.seed = a->common.seed;
    o.threads = a->common.threads;
    o.memory = a->common.memory;
    o.progress = progress;
    ot_progress_begin();
    ot_status st = ot_evaluate(&r, m, d, &o);
    ot_progress_begin();
    if (st != OT_OK) {
        ot_tool_failed(st, a->model);
        return OT_EXIT_FAILED;
    }
    int code = report(a, &r);
    ot_eval_result_release(&r);
    return code;
}

int ot_lm_eval(int argc, char **argv)
{
    static eval_args a = { .common = OT_COMMON_ARGS_INIT, .text = OT_TEXT_ARGS_INIT, .batch = 64, .split = OT_VALID };
    int code = OT_EXIT_OK;
    ot_parse(&argp, argc, argv, &a);
    ot_model *m = ot_open_model(a.model, &code);
    if (!m)
        return code;
    ot_dataset *d = ot_open_text(&a.text, &a.common, m, a.model, &code);
    if (d)
        code = evaluate(&a, m, d);
    ot_dataset_close(d);
    ot_model_close(m);
    return code;
}

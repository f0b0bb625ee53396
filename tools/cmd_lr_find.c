/* onnxtune lr-find: the loss against a growing rate, and the suggested rate. */
#include "model_file.h"
#include "output.h"
#include "progress.h"
#include "svg.h"
#include "train_args.h"

#include <math.h>
#include <stdlib.h>

typedef struct find_args {
    ot_common_args common;
    ot_image_args image;
    ot_train_args train;
    ot_data_args data;
    ot_lr_find_options find;
    const char *model, *out;
} find_args;

enum { FROM = OT_KEY_OWN, TO };

static const struct argp_option options[] = { { "output", 'o', "FILE.svg", 0, "the curve as a picture", 0 },
                                              { "find-from", FROM, "RATE", 0, "the first rate (default: 1e-5)", 0 },
                                              { "find-to", TO, "RATE", 0, "the last rate (default: 10)", 0 },
                                              { 0 } };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    find_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->data;
        state->child_inputs[1] = &a->train;
        state->child_inputs[2] = &a->image;
        state->child_inputs[3] = &a->common;
        return 0;
    case 'o':
        a->out = arg;
        return 0;
    case FROM:
        a->find.from = ot_arg_real(state, "find-from", arg, 1e-30, 1e6);
        return 0;
    case TO:
        a->find.to = ot_arg_real(state, "find-to", arg, 1e-30, 1e6);
        return 0;
    case ARGP_KEY_ARG:
        ot_take_model(state, arg, "is tried", &a->model);
        return 0;
    case ARGP_KEY_END:
        ot_need_model(state, a->model);
        ot_need_data(state, a->data.dir);
        if (!(a->find.from < a->find.to))
            ot_usage(state, "--find-from %g is not below --find-to %g", a->find.from, a->find.to);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = { { &ot_data_argp, 0, NULL, 0 },
                                              { &ot_train_argp, 0, NULL, 0 },
                                              { &ot_image_argp, 0, NULL, 0 },
                                              { &ot_common_argp, 0, NULL, 0 },
                                              { 0 } };
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "MODEL --data DIR",
    .doc =
        "Trains for a while at a rate that grows with every step (--steps; default: an epoch, 100 at least), watches "
        "the loss, and suggests the rate at which it fell fastest.  The model is not changed.\v"
        "Example:\n  onnxtune lr-find pets.onnx --data photos/ --freeze-to -4 -o rate.svg",
    .children = children
};

static bool on_event(void *ctx, const ot_event *e)
{
    (void)ctx;
    if (e->kind == OT_BATCH_END)
        ot_progress_show(&(ot_progress_state){ "finding a rate", e->step, e->steps, e->loss, e->lr, false });
    return true;
}

static json_t *to_json(const find_args *a, const ot_lr_find_result *r)
{
    json_t *lr = json_array(), *loss = json_array();
    for (int64_t i = 0; i < r->n; i++) {
        json_array_append_new(lr, ot_json_real(r->lr[i]));
        json_array_append_new(loss, ot_json_real(r->loss[i]));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "model", ot_json_text(a->model), "suggested",
                     r->suggested > 0 ? ot_json_real(r->suggested) : json_null(), "lr", lr, "loss", loss);
}

static void print_text(const ot_lr_find_result *r)
{
    ot_table *t = ot_table_open("rr");
    ot_table_cell(t, "rate");
    ot_table_cell(t, "loss");
    int64_t step = r->n > 20 ? r->n / 20 : 1;
    for (int64_t i = 0; i < r->n; i += step) {
        ot_table_cell(t, "%.2e", r->lr[i]);
        ot_table_cell(t, "%.4f", r->loss[i]);
    }
    ot_table_print(t);
    if (r->suggested > 0)
        printf("\nsuggested rate: %.2g\n", r->suggested);
    else
        printf("\nno suggestion: the loss never fell\n");
}

static int report(const find_args *a, const ot_lr_find_result *r)
{
    ot_status st = OT_OK;
    if (a->common.json) {
        if (!ot_print_json(to_json(a, r)))
            return OT_EXIT_FAILED;
    } else {
        print_text(r);
    }
    if (a->out && r->n > 1)
        st = ot_svg_log_curve(a->out, "Loss against the rate", "rate", "loss", r->n, r->lr, r->loss, r->suggested);
    return st == OT_OK ? OT_EXIT_OK : ot_tool_failed(st, a->out);
}

static int find(find_args *a, ot_model *m, const ot_dataset *d)
{
    ot_train_options o = ot_train_options_from_args(&a->train, &a->common);
    ot_lr_find_result r;
    a->find.steps = o.steps;
    o.steps = 0;
    ot_progress_begin();
    ot_status st = ot_lr_find(&r, m, d, &o, &a->find, on_event, NULL);
    ot_progress_begin();
    if (st != OT_OK)
        return ot_tool_failed(st, a->model);
    int code = report(a, &r);
    ot_lr_find_result_release(&r);
    return code;
}

int ot_cmd_lr_find(int argc, char **argv)
{
    static find_args a = {
        .common = OT_COMMON_ARGS_INIT, .train = OT_TRAIN_ARGS_INIT, .data = OT_DATA_ARGS_INIT, .find = OT_LR_FIND_INIT
    };
    ot_image_spec spec;
    ot_dataset *d = NULL;
    int code = OT_EXIT_OK;
    ot_parse(&argp, argc, argv, &a);
    ot_model *m = ot_open_model(a.model, &code);
    if (m)
        code = ot_image_spec_from_args(&spec, &a.image, m, a.model);
    if (m && code == OT_EXIT_OK)
        d = ot_open_data(&a.data, &spec, &a.common, &code);
    if (d)
        code = find(&a, m, d);
    ot_dataset_close(d);
    ot_model_close(m);
    return code;
}

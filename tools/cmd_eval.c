/* onnxtune eval: loss, accuracy, figures a class, the confusion matrix. */
#include "model_file.h"
#include "output.h"
#include "progress.h"
#include "train_args.h"

#include <math.h>
#include <string.h>

typedef struct eval_args {
    ot_common_args common;
    ot_image_args image;
    ot_data_args data;
    ot_eval_options o;
    const char *model;
} eval_args;

enum { TTA = OT_KEY_OWN, SPLIT, BATCH };

static const struct argp_option options[] = {
    { "tta", TTA, "N", 0, "also N augmented passes; the mean of the probabilities counts (default: 0)", 0 },
    { "split", SPLIT, "WHICH", 0, "valid or train (default: valid)", 0 },
    { "batch", BATCH, "N", 0, "pictures of a batch (default: 64)", 0 },
    { 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const splits[] = { "train", "valid", NULL };
    eval_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->data;
        state->child_inputs[1] = &a->image;
        state->child_inputs[2] = &a->common;
        return 0;
    case TTA:
        a->o.tta = (int)ot_arg_int(state, "tta", arg, 0, 1000);
        return 0;
    case SPLIT:
        a->o.split = ot_arg_word(state, "split", arg, splits) == 0 ? OT_TRAIN : OT_VALID;
        return 0;
    case BATCH:
        a->o.batch = ot_arg_int(state, "batch", arg, 1, 1000000);
        return 0;
    case ARGP_KEY_ARG:
        ot_take_model(state, arg, "is evaluated", &a->model);
        return 0;
    case ARGP_KEY_END:
        ot_need_model(state, a->model);
        ot_need_data(state, a->data.dir);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {
    { &ot_data_argp, 0, NULL, 0 }, { &ot_image_argp, 0, NULL, 0 }, { &ot_common_argp, 0, NULL, 0 }, { 0 }
};
static const struct argp argp = { .options = options,
                                  .parser = parse,
                                  .args_doc = "MODEL --data DIR",
                                  .doc = "Prints the loss, the accuracy, figures for each class and the confusion "
                                         "matrix of a model on a folder of pictures.\v"
                                         "Example:\n  onnxtune eval pets.onnx --data photos/ --tta 4",
                                  .children = children };

/* ---- Figures a class ---------------------------------------------------------------------------------------- */

typedef struct figures {
    int64_t samples, correct, guessed; /* of the class; told right; told to be it */
    double recall, precision, f1;      /* NaN where there is nothing to divide by */
} figures;

static figures figures_of(const ot_eval_result *r, int64_t c)
{
    figures f = { .correct = r->confusion[c * r->classes + c] };
    for (int64_t k = 0; k < r->classes; k++) {
        f.samples += r->confusion[c * r->classes + k];
        f.guessed += r->confusion[k * r->classes + c];
    }
    f.recall = f.samples ? (double)f.correct / (double)f.samples : NAN;
    f.precision = f.guessed ? (double)f.correct / (double)f.guessed : NAN;
    f.f1 = f.samples + f.guessed ? 2.0 * (double)f.correct / (double)(f.samples + f.guessed) : NAN;
    return f;
}

static const char *class_name(const ot_dataset *d, int64_t c)
{
    static char text[4][32];
    static int at;
    if (d->class_names)
        return d->class_names[c];
    at = (at + 1) % 4;
    snprintf(text[at], sizeof(text[at]), "class %lld", (long long)c);
    return text[at];
}

static json_t *to_json(const ot_eval_result *r, const ot_dataset *d)
{
    json_t *classes = json_array(), *matrix = json_array();
    for (int64_t c = 0; c < r->classes; c++) {
        figures f = figures_of(r, c);
        json_t *row = json_array();
        json_array_append_new(classes, json_pack("{s:o, s:I, s:I, s:o, s:o, s:o}", "label",
                                                 ot_json_text(class_name(d, c)), "samples", (json_int_t)f.samples,
                                                 "correct", (json_int_t)f.correct, "recall", ot_json_real(f.recall),
                                                 "precision", ot_json_real(f.precision), "f1", ot_json_real(f.f1)));
        for (int64_t k = 0; k < r->classes; k++)
            json_array_append_new(row, json_integer(r->confusion[c * r->classes + k]));
        json_array_append_new(matrix, row);
    }
    return json_pack("{s:o, s:o, s:I, s:o, s:o}", "loss", ot_json_real(r->loss), "accuracy", ot_json_real(r->accuracy),
                     "samples", (json_int_t)r->samples, "per_class", classes, "confusion", matrix);
}

static void cell_percent(ot_table *t, double v)
{
    if (isnan(v))
        ot_table_cell(t, "-");
    else
        ot_table_cell(t, "%.2f %%", 100 * v);
}

static void print_classes(const ot_eval_result *r, const ot_dataset *d)
{
    static const char *const heads[] = { "class", "pictures", "right", "recall", "precision", "F1" };
    ot_table *t = ot_table_open("lrrrrr");
    for (int i = 0; i < 6; i++)
        ot_table_cell(t, "%s", heads[i]);
    for (int64_t c = 0; c < r->classes; c++) {
        figures f = figures_of(r, c);
        ot_table_cell(t, "%s", class_name(d, c));
        ot_table_cell(t, "%lld", (long long)f.samples);
        ot_table_cell(t, "%lld", (long long)f.correct);
        cell_percent(t, f.recall);
        cell_percent(t, f.precision);
        cell_percent(t, f.f1);
    }
    ot_table_print(t);
}

#define MOST_COLUMNS 20

static void print_matrix(const ot_eval_result *r, const ot_dataset *d)
{
    char columns[MOST_COLUMNS + 2] = "l";
    memset(columns + 1, 'r', (size_t)r->classes);
    ot_table *t = ot_table_open(columns);
    ot_table_cell(t, "true \\ told");
    for (int64_t c = 0; c < r->classes; c++)
        ot_table_cell(t, "%s", class_name(d, c));
    for (int64_t c = 0; c < r->classes; c++) {
        ot_table_cell(t, "%s", class_name(d, c));
        for (int64_t k = 0; k < r->classes; k++)
            ot_table_cell(t, "%lld", (long long)r->confusion[c * r->classes + k]);
    }
    ot_table_print(t);
}

/* The ten pairs that are confused most, where a matrix would be too wide. */
static void print_pairs(const ot_eval_result *r, const ot_dataset *d)
{
    int64_t below = INT64_MAX, after = -1;
    for (int shown = 0; shown < 10; shown++) {
        int64_t best = -1;
        for (int64_t i = 0; i < r->classes * r->classes; i++) {
            int64_t n = r->confusion[i];
            bool later = n < below || (n == below && i > after);
            if (i / r->classes != i % r->classes && n > 0 && later && (best < 0 || n > r->confusion[best]))
                best = i;
        }
        if (best < 0)
            return;
        if (shown == 0)
            printf("confused most:\n");
        printf("  %lld times %s was told to be %s\n", (long long)r->confusion[best], class_name(d, best / r->classes),
               class_name(d, best % r->classes));
        below = r->confusion[best];
        after = best;
    }
}

static int report(const eval_args *a, const ot_eval_result *r, const ot_dataset *d)
{
    if (a->common.json)
        return ot_print_json(to_json(r, d)) ? OT_EXIT_OK : OT_EXIT_FAILED;
    printf("%s pictures%s: loss %.4f, accuracy %.2f %% (%lld wrong)\n\n", ot_count_text(r->samples),
           a->o.tta ? ", with augmented passes" : "", r->loss, 100 * r->accuracy, (long long)(r->samples - r->correct));
    print_classes(r, d);
    putchar('\n');
    if (r->classes <= MOST_COLUMNS)
        print_matrix(r, d);
    else
        print_pairs(r, d);
    return OT_EXIT_OK;
}

/* ---- The run ------------------------------------------------------------------------------------------------ */

/* Classes are told apart by their order, so the folder's must be the model's. */
static void compare_labels(const eval_args *a, const ot_model *m, const ot_dataset *d)
{
    ot_labels *l = NULL;
    if (!d->class_names || ot_open_labels(&l, NULL, m, a->model) != OT_EXIT_OK || !l)
        return;
    for (int64_t c = 0; c < d->classes; c++)
        if (c >= l->n || strcmp(l->name[c], d->class_names[c]) != 0) {
            ot_tool_warning("%s: class %lld is '%s' in the folder and '%s' in the model", a->data.dir, (long long)c,
                            d->class_names[c], c < l->n ? l->name[c] : "");
            break;
        }
    ot_labels_free(l);
}

static bool progress(void *ctx, int64_t done, int64_t total)
{
    static int64_t before, passes; /* each augmented pass counts from the start */
    const eval_args *a = ctx;
    passes += done <= before;
    before = done;
    ot_progress_show(
        &(ot_progress_state){ "evaluating", passes * total + done, (1 + a->o.tta) * total, NAN, NAN, false });
    return true;
}

static int evaluate(eval_args *a, const ot_model *m, const ot_dataset *d)
{
    ot_eval_result r;
    if (d->count[a->o.split] == 0) {
        ot_tool_error("%s: no picture in the %s part", a->data.dir, a->o.split == OT_TRAIN ? "train" : "valid");
        return OT_EXIT_FAILED;
    }
    compare_labels(a, m, d);
    a->o.seed = a->common.seed;
    a->o.threads = a->common.threads;
    a->o.memory = a->common.memory;
    a->o.progress = progress;
    a->o.ctx = a;
    ot_progress_begin();
    ot_status st = ot_evaluate(&r, m, d, &a->o);
    ot_progress_begin();
    if (st != OT_OK)
        return ot_tool_failed(st, a->model);
    int code = report(a, &r, d);
    ot_eval_result_release(&r);
    return code;
}

int ot_cmd_eval(int argc, char **argv)
{
    static eval_args a = { .common = OT_COMMON_ARGS_INIT, .data = OT_DATA_ARGS_INIT, .o = OT_EVAL_INIT };
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
        code = evaluate(&a, m, d);
    ot_dataset_close(d);
    ot_model_close(m);
    return code;
}

/* onnxtune tune: fine-tunes or trains a model on a folder of pictures. */
#include "model_file.h"
#include "training.h"

#include <string.h>

typedef struct tune_args {
    ot_common_args common;
    ot_image_args image;
    ot_train_args train;
    ot_data_args data;
    ot_run_args run;
    const char *model;
} tune_args;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    tune_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->run;
        state->child_inputs[1] = &a->data;
        state->child_inputs[2] = &a->train;
        state->child_inputs[3] = &a->image;
        state->child_inputs[4] = &a->common;
        return 0;
    case ARGP_KEY_ARG:
        ot_take_model(state, arg, "is trained", &a->model);
        return 0;
    case ARGP_KEY_END:
        ot_need_model(state, a->model);
        ot_need_data(state, a->data.dir);
        ot_need_output(state, a->run.out, "the trained model");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = { { &ot_run_argp, 0, NULL, 0 },    { &ot_data_argp, 0, NULL, 0 },
                                              { &ot_train_argp, 0, NULL, 0 },  { &ot_image_argp, 0, NULL, 0 },
                                              { &ot_common_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = {
    .parser = parse,
    .args_doc = "MODEL --data DIR -o FILE",
    .doc = "Fine-tunes or trains a model on a folder of pictures.  Ctrl-C finishes the batch, saves a checkpoint and "
           "ends with 130; SIGUSR1 saves one and goes on.\v"
           "Example:\n  onnxtune tune pets.onnx --data photos/ --freeze-to -4 --lr 1e-2 --cycles 3 --cycle-mult 2 -o "
           "pets.onnx",
    .children = children
};

static int prepare(ot_training *s, const tune_args *a)
{
    ot_image_spec spec;
    char *text = NULL;
    int code = OT_EXIT_OK;
    s->m = ot_open_model(a->model, &code);
    if (!s->m)
        return code;
    code = ot_image_spec_from_args(&spec, &a->image, s->m, a->model);
    if (code != OT_EXIT_OK)
        return code;
    s->d = ot_open_data(&a->data, &spec, &a->common, &code);
    if (!s->d)
        return code;
    ot_status st = ot_image_spec_text(&text, &spec);
    if (st == OT_OK)
        st = ot_model_set_metadata(s->m, "onnxtune.input", text);
    ot_text_free(text);
    text = NULL;
    if (st == OT_OK && s->d->class_names)
        st = ot_labels_text(&text, s->d->class_names, s->d->classes);
    if (st == OT_OK && text)
        st = ot_model_set_metadata(s->m, "onnxtune.labels", text);
    ot_text_free(text);
    return st == OT_OK ? OT_EXIT_OK : ot_tool_failed(st, a->model);
}

static void say_data(const ot_training *s)
{
    ot_tool_note("%s pictures train and %s validate, %lld classes", ot_count_text(s->d->count[OT_TRAIN]),
                 ot_count_text(s->d->count[OT_VALID]), (long long)s->d->classes);
}

int ot_cmd_tune(int argc, char **argv)
{
    static tune_args a = { .common = OT_COMMON_ARGS_INIT, .train = OT_TRAIN_ARGS_INIT, .data = OT_DATA_ARGS_INIT };
    ot_parse(&argp, argc, argv, &a);
    a.train.o.augment = a.data.augment != OT_AUGMENT_NONE;
    ot_training s = { .common = &a.common,
                      .train = &a.train,
                      .run = &a.run,
                      .model = a.model,
                      .waits_for = "pictures",
                      .say = say_data };
    char note[1024];
    snprintf(note, sizeof(note), "tune --data %s", a.data.dir);
    s.note = note;
    int code = prepare(&s, &a);
    if (code == OT_EXIT_OK)
        code = ot_training_run(&s);
    ot_training_close(&s);
    return code;
}

/* onnxtune lm: character models.  `lm train` is here; the others are in lm_eval.c and lm_generate.c. */
#include "lm.h"
#include "model_file.h"
#include "progress.h"
#include "training.h"

#include <stdlib.h>
#include <string.h>

typedef struct train_args {
    ot_common_args common;
    ot_train_args train;
    ot_run_args run;
    ot_text_args text;
    ot_new_options net;
    const char *model, *cell, *name;
    int64_t sample;
    bool sized; /* options of a new net were given */
} train_args;

enum { CELL = OT_KEY_OWN, NET, HIDDEN, LAYERS, EMBED, DROPOUT, INIT, SAMPLE };

static const struct argp_option options[] = {
    { NULL, 0, NULL, 0, "A new net (without MODEL):", 3 },
    { "cell", CELL, "KIND", 0, "rnn, gru or lstm, with a state from batch to batch (default: gru)", 0 },
    { "net", NET, "NAME", 0, "instead: a text net of `onnxtune new --list`", 0 },
    { "hidden", HIDDEN, "N", 0, "numbers in a layer (default: 256; lstm: 512)", 0 },
    { "layers", LAYERS, "N", 0, "recurrent layers (default: 1; lstm: 2)", 0 },
    { "embed", EMBED, "N", 0, "numbers that stand for a character (default: 42)", 0 },
    { "dropout", DROPOUT, "P", 0, "of an lstm, between its layers, 0..1 (default: .5)", 0 },
    { "init", INIT, "HOW", 0, "another initialisation, where the net has one (default: its own)", 0 },
    { NULL, 0, NULL, 0, "Telling:", 35 },
    { "sample", SAMPLE, "N", 0, "after each cycle, or epoch, the model writes N characters (default: 0)", 0 },
    { 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const cells[] = { "rnn", "gru", "lstm", NULL };
    static const char *const nets[] = { "char-rnn", "char-gru", "char-lstm" };
    train_args *a = state->input;
    a->sized |= key >= CELL && key <= INIT;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->run;
        state->child_inputs[1] = &a->text;
        state->child_inputs[2] = &a->train;
        state->child_inputs[3] = &a->common;
        return 0;
    case CELL:
        a->cell = nets[ot_arg_word(state, "cell", arg, cells)];
        return 0;
    case NET:
        a->name = arg;
        return 0;
    case HIDDEN:
        a->net.hidden = ot_arg_int(state, "hidden", arg, 1, 65536);
        return 0;
    case LAYERS:
        a->net.layers = ot_arg_int(state, "layers", arg, 1, 64);
        return 0;
    case EMBED:
        a->net.embed = ot_arg_int(state, "embed", arg, 1, 65536);
        return 0;
    case DROPOUT:
        a->net.dropout = ot_arg_real(state, "dropout", arg, 0, 0.999999);
        return 0;
    case INIT:
        a->net.init = arg;
        return 0;
    case SAMPLE:
        a->sample = ot_arg_int(state, "sample", arg, 0, 1000000);
        return 0;
    case ARGP_KEY_ARG:
        ot_take_model(state, arg, "is trained", &a->model);
        return 0;
    case ARGP_KEY_END:
        ot_need_text(state, &a->text);
        ot_need_output(state, a->run.out, "the trained model");
        if (a->cell && a->name)
            ot_usage(state, "--cell and --net exclude each other");
        if (a->model && a->sized)
            ot_usage(state, "'%s' has its own layers: --cell, --net, --hidden and the like are for a new net",
                     a->model);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = { { &ot_run_argp, 0, NULL, 0 },
                                              { &ot_text_argp, 0, NULL, 0 },
                                              { &ot_train_argp, 0, NULL, 0 },
                                              { &ot_common_argp, 0, NULL, 0 },
                                              { 0 } };
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[MODEL] --text FILE -o FILE",
    .doc =
        "Trains a character model on a text: a new one, or MODEL.  Here the optimiser is adam and the rate .001 unless "
        "told otherwise, and a batch is of rows of characters.  Ctrl-C finishes the batch, saves a checkpoint and "
        "ends with 130; SIGUSR1 saves one and goes on.\v"
        "Example:\n  onnxtune lm train --text nietzsche.txt --cell gru --lower --min-count 3 --epochs 6 -o gru.onnx",
    .children = children
};

/* A new net for the text's vocabulary, which goes into its metadata. */
static ot_status make_net(ot_model **m, train_args *a)
{
    char *vocabulary;
    ot_text_options o = ot_text_options_from_args(&a->text, &a->common);
    a->net.seed = a->common.seed;
    ot_status st = ot_text_vocabulary(&vocabulary, &a->net.classes, a->text.file, &o);
    if (st != OT_OK)
        return st;
    st = ot_model_new(m, a->name ? a->name : a->cell ? a->cell : "char-gru", &a->net);
    if (st == OT_OK)
        st = ot_model_set_metadata(*m, "onnxtune.vocab", vocabulary);
    ot_text_free(vocabulary);
    return st;
}

static int prepare(ot_training *s, train_args *a)
{
    int code = OT_EXIT_OK;
    if (a->model) {
        s->m = ot_open_model(a->model, &code);
        if (!s->m)
            return code;
    } else {
        ot_status st = make_net(&s->m, a);
        if (st != OT_OK)
            return ot_tool_failed(st, a->name);
    }
    s->d = ot_open_text(&a->text, &a->common, s->m, s->model, &code);
    if (!s->d)
        return code;
    ot_status st = ot_text_describe(s->m, s->d);
    return st == OT_OK ? OT_EXIT_OK : ot_tool_failed(st, s->model);
}

static void say_data(const ot_training *s)
{
    ot_tool_note("%s %s train and %s validate, %lld kinds of characters", ot_count_text(s->d->count[OT_TRAIN]),
                 ot_model_input_count(s->m) > 1 ? "characters" : "windows", ot_count_text(s->d->count[OT_VALID]),
                 (long long)s->d->classes);
}

/* ---- Samples ------------------------------------------------------------------------------------------------- */

static bool collect(void *ctx, const char *bytes, size_t n)
{
    strncat(ctx, bytes, n); /* there is room */
    return true;
}

static void write_sample(const ot_training *s, const ot_event *e)
{
    const train_args *a = s->ctx;
    ot_generate_options o = OT_GENERATE_INIT;
    ot_model *m;
    bool cycles = a->train.cycles || a->train.cycle_steps;
    if (!a->sample || a->common.json || cycles != (e->kind == OT_CYCLE_END))
        return;
    o.prompt = a->text.prompt;
    o.length = a->sample;
    o.seed = a->common.seed;
    o.threads = a->common.threads;
    o.text = collect;
    o.ctx = ot_tool_calloc((size_t)a->sample + 1, 8);
    ot_status st = ot_trainer_model(&m, s->t);
    if (st == OT_OK) {
        st = ot_text_generate(m, &o);
        ot_model_close(m);
    }
    ot_progress_clear();
    if (st == OT_OK)
        printf("%s%s\n", a->text.prompt ? a->text.prompt : "", (const char *)o.ctx);
    else
        ot_tool_warning("no sample: %s", ot_last_error());
    fflush(stdout);
    free(o.ctx);
}

static int lm_train(int argc, char **argv)
{
    static train_args a = {
        .common = OT_COMMON_ARGS_INIT, .train = OT_TRAIN_ARGS_INIT, .text = OT_TEXT_ARGS_INIT, .net = OT_NEW_INIT
    };
    a.train.o.optimizer = OT_ADAM;
    a.train.o.lr[0] = 0.001;
    ot_parse(&argp, argc, argv, &a);
    char note[1024];
    snprintf(note, sizeof(note), "lm train --text %s", a.text.file);
    ot_training s = { .common = &a.common,
                      .train = &a.train,
                      .run = &a.run,
                      .model = a.model ? a.model : a.text.file,
                      .note = note,
                      .waits_for = "text",
                      .say = say_data,
                      .after = write_sample,
                      .ctx = &a };
    int code = prepare(&s, &a);
    if (code == OT_EXIT_OK)
        code = ot_training_run(&s);
    ot_training_close(&s);
    return code;
}

/* ---- The table ----------------------------------------------------------------------------------------------- */

static const ot_command commands[] = {
    { "lm train", lm_train, "train a new character model, or one that is there, on a text" },
    { "lm eval", ot_lm_eval, "loss and accuracy of a character model on a text" },
    { "lm generate", ot_lm_generate, "let a character model write" },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *f)
{
    fprintf(f, "Usage: onnxtune lm train|eval|generate [options]\nCharacter models: text in, model out, text out.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(f, "  %-12s %s\n", commands[i].name, commands[i].does);
    fprintf(f, "\n  onnxtune lm train --help   all options of a command\n\nExample:\n"
               "  onnxtune lm train --text nietzsche.txt --cell gru -o gru.onnx\n");
}

int ot_cmd_lm(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name + 3, name) == 0) {
            argv[1] = (char *)(uintptr_t)commands[i].name;
            return commands[i].run(argc - 1, argv + 1);
        }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help(stdout);
        return OT_EXIT_OK;
    }
    ot_usage(NULL, *name ? "'%s' is none of lm train, lm eval, lm generate" : "lm: train, eval or generate is missing",
             name);
    return OT_EXIT_USAGE;
}

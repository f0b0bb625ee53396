/* onnxtune lm generate: lets a character model write. */
#include "lm.h"
#include "model_file.h"
#include "output.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct generate_args {
    ot_common_args common;
    ot_generate_options o;
    const char *model;
} generate_args;

enum { PROMPT = OT_KEY_OWN, LENGTH, TEMPERATURE };

static const struct argp_option options[] = {
    { "prompt", PROMPT, "TEXT", 0, "what the text begins with (default: a line's end)", 0 },
    { "length", LENGTH, "N", 0, "characters to write (default: 400)", 0 },
    { "temperature", TEMPERATURE, "T", 0,
      "divides the scores: below 1 bolder, above 1 freer; 0: always the likeliest character (default: 1)", 0 },
    { 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    generate_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case PROMPT:
        a->o.prompt = arg;
        return 0;
    case LENGTH:
        a->o.length = ot_arg_int(state, "length", arg, 0, 1000000000);
        return 0;
    case TEMPERATURE:
        a->o.temperature = ot_arg_real(state, "temperature", arg, 0, 1000);
        return 0;
    case ARGP_KEY_ARG:
        ot_take_model(state, arg, "writes", &a->model);
        return 0;
    case ARGP_KEY_END:
        ot_need_model(state, a->model);
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
    .doc = "Lets a character model write: the prompt, and then character by character what the model draws.  The same "
           "seed "
           "gives the same text.\v"
           "Example:\n  onnxtune lm generate gru.onnx --prompt 'for thos' --length 400 --temperature .8",
    .children = children
};

static volatile sig_atomic_t stopped_by;

static void on_stop(int sig)
{
    stopped_by = sig;
}

/* What was written, for --json. */
typedef struct output {
    char *text;
    size_t n, room;
    bool json;
} output;

static bool put(void *ctx, const char *bytes, size_t n)
{
    output *out = ctx;
    if (!out->json) {
        fwrite(bytes, 1, n, stdout);
        return fflush(stdout) == 0 && !stopped_by;
    }
    if (out->n + n + 1 > out->room) {
        out->room = 2 * (out->n + n + 1);
        char *more = ot_tool_calloc(out->room, 1);
        if (out->n)
            memcpy(more, out->text, out->n);
        free(out->text);
        out->text = more;
    }
    memcpy(out->text + out->n, bytes, n);
    out->n += n;
    return !stopped_by;
}

static int generate(generate_args *a, const ot_model *m)
{
    output out = { .json = a->common.json };
    const char *prompt = a->o.prompt ? a->o.prompt : "";
    a->o.seed = a->common.seed;
    a->o.threads = a->common.threads ? a->common.threads : 1; /* one character is too little work for more */
    a->o.memory = a->common.memory;
    a->o.text = put;
    a->o.ctx = &out;
    signal(SIGINT, on_stop);
    signal(SIGTERM, on_stop);
    if (!out.json)
        fputs(prompt, stdout);
    ot_status st = ot_text_generate(m, &a->o);
    int code = OT_EXIT_OK;
    if (!out.json)
        putchar('\n');
    if (stopped_by)
        code = stopped_by == SIGTERM ? OT_EXIT_TERM : OT_EXIT_INT;
    else if (st != OT_OK)
        code = ot_tool_failed(st, a->model);
    else if (out.json && !ot_print_json(json_pack("{s:o, s:o}", "prompt", ot_json_text(prompt), "text",
                                                  ot_json_text(out.text ? out.text : ""))))
        code = OT_EXIT_FAILED;
    free(out.text);
    return code;
}

int ot_lm_generate(int argc, char **argv)
{
    static generate_args a = { .common = OT_COMMON_ARGS_INIT, .o = OT_GENERATE_INIT };
    int code = OT_EXIT_OK;
    ot_parse(&argp, argc, argv, &a);
    ot_model *m = ot_open_model(a.model, &code);
    if (m)
        code = generate(&a, m);
    ot_model_close(m);
    return code;
}

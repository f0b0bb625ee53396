/* onnxtune: the command.  Each subcommand is a file cmd_*.c and a row of this table. */
#include "args.h"
#include "output.h"

#include <stdio.h>
#include <string.h>

static const ot_command commands[] = {
    { "show", ot_cmd_show, "inputs, outputs, layers, parameters and memory of a model" },
    { "check", ot_cmd_check, "a model against the rules of ONNX; folders of models against expected results" },
    { "run", ot_cmd_run, "run a model on tensors or pictures, and look at any value of its graph" },
    { "predict", ot_cmd_predict, "the most likely classes of pictures" },
    { "surgery", ot_cmd_surgery, "cut the end off a model and grow a new one" },
    { "tune", ot_cmd_tune, "fine-tune or train a model on a folder of pictures" },
    { "lr-find", ot_cmd_lr_find, "the loss against a growing rate, and the suggested rate" },
    { "eval", ot_cmd_eval, "loss, accuracy, figures a class and the confusion matrix" },
    { "lm", ot_cmd_lm, "character models: train on a text, evaluate, let them write" },
    { "new", ot_cmd_new, "a net of a known kind, freshly initialised" },
    { "export", ot_cmd_export, "the finished model for others, verified" },
    { "bench", ot_cmd_bench, "time of loading, running and training steps, and peak memory" },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *f)
{
    fprintf(f, "Usage: onnxtune COMMAND [MODEL] [options]\n"
               "Run ONNX models, change their ends, fine-tune them, and write plain ONNX models.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].does);
    fprintf(f, "\n  onnxtune COMMAND --help   all options of a command, with an example\n"
               "  onnxtune --version        the version, and what this build can do\n\n"
               "Exit code: 0 done, 1 the work failed, 2 wrong usage, 130 and 143 stopped by SIGINT and SIGTERM.\n");
}

static void print_version(void)
{
    ot_version v;
    ot_version_info(&v);
    printf("onnxtune %s\n", v.version);
    printf("newest opset     %d (IR version %d)\n", v.opset, v.ir_version);
    printf("instruction set  %s\n", v.isa);
    printf("libraries        %s, jansson %s\n", v.libraries, JANSSON_VERSION);
    printf("devices          %s\n", v.devices);
    printf("threads          %d\n", v.cores);
}

static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    ot_tool_error("stdout: the result could not be written");
    return code ? code : OT_EXIT_FAILED;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        print_version();
        return finish(OT_EXIT_OK);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help(stdout);
        return finish(OT_EXIT_OK);
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return finish(commands[i].run(argc - 1, argv + 1));
    if (!*name)
        print_help(stderr);
    else
        ot_usage(NULL, *name == '-' ? "no option '%s'" : "no command '%s'", name);
    return OT_EXIT_USAGE;
}

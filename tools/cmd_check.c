/* onnxtune check: a model against the rules of ONNX, or folders of models against the results that lie beside them. */
#include "check_cases.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct check_args {
    ot_common_args common;
    ot_strings paths;
    const char *list;
    double rtol, atol;
    bool for_folders; /* an option was given that only they have */
} check_args;

enum { LIST = OT_KEY_OWN, RTOL, ATOL };

static const struct argp_option options[] = {
    { "list", LIST, "FILE", 0,
      "folders: names of the cases that must pass, one a line; others are skipped when they fail (default: all must)",
      0 },
    { "rtol", RTOL, "X", 0, "folders: tolerance relative to the expected value (default: 1e-3)", 0 },
    { "atol", ATOL, "X", 0, "folders: absolute tolerance, added to it (default: 1e-7)", 0 },
    { 0 }
};

static bool is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* All paths are folders, or one is a model. */
static void check_usage(struct argp_state *state, const check_args *a)
{
    ot_need_model(state, a->paths.n ? a->paths.s[0] : NULL);
    bool folder = is_folder(a->paths.s[0]);
    for (size_t i = 1; i < a->paths.n; i++)
        if (!folder || !is_folder(a->paths.s[i]))
            ot_usage(state, "'%s': check takes one model, or folders", a->paths.s[i]);
    if (!folder && a->for_folders)
        ot_usage(state, "--list, --rtol and --atol are for folders, and '%s' is none", a->paths.s[0]);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    check_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case LIST:
        a->list = arg;
        a->for_folders = true;
        return 0;
    case RTOL:
        a->rtol = ot_arg_real(state, "rtol", arg, 0, 1e9);
        a->for_folders = true;
        return 0;
    case ATOL:
        a->atol = ot_arg_real(state, "atol", arg, 0, 1e9);
        a->for_folders = true;
        return 0;
    case ARGP_KEY_ARG:
        ot_strings_add(&a->paths, arg);
        return 0;
    case ARGP_KEY_END:
        check_usage(state, a);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = { { &ot_common_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "MODEL\nDIR...",
    .doc =
        "Checks a model against all structural rules of ONNX, and prints a line for each finding.  Of folders, every "
        "model.onnx below them is run on the test_data_set_*/input_N.pb beside it and compared with output_N.pb: "
        "the same number, types and shapes, equal strings, and |got - expected| <= atol + rtol * |expected|.\v"
        "Exit code 1: there is a finding, or a case failed.\n\n"
        "Examples:\n"
        "  onnxtune check net.onnx\n"
        "  onnxtune check onnx/backend/test/data/node --list must-pass.txt --json",
    .children = children
};

/* ---- A model ------------------------------------------------------------------------------------------------ */

typedef struct findings {
    const char *model;
    json_t *list; /* NULL: they are printed */
} findings;

/* A name in the file may hold anything; a finding is one line. */
static void tell(void *ctx, const char *text)
{
    findings *f = ctx;
    if (f->list) {
        json_array_append_new(f->list, ot_json_text(text));
        return;
    }
    printf("%s: ", f->model);
    for (; *text; text++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text);
    putchar('\n');
}

static int check_model(const check_args *a)
{
    findings f = { a->paths.s[0], a->common.json ? json_array() : NULL };
    int64_t n = 0;
    ot_status st = ot_model_check_file(&n, f.model, tell, &f);
    if (st != OT_OK) {
        json_decref(f.list);
        ot_tool_failed(st, f.model);
        return OT_EXIT_FAILED;
    }
    if (f.list && !ot_print_json(json_pack("{s:o, s:o}", "model", ot_json_text(f.model), "findings", f.list)))
        return OT_EXIT_FAILED;
    if (!f.list && !a->common.quiet)
        printf("%s: %lld finding%s\n", f.model, (long long)n, n == 1 ? "" : "s");
    return n ? OT_EXIT_FAILED : OT_EXIT_OK;
}

int ot_cmd_check(int argc, char **argv)
{
    static check_args a = { .common = OT_COMMON_ARGS_INIT, .rtol = 1e-3, .atol = 1e-7 };
    ot_parse(&argp, argc, argv, &a);
    ot_cases_args cases = { &a.common, &a.paths, a.list, a.rtol, a.atol };
    return is_folder(a.paths.s[0]) ? ot_check_folders(&cases) : check_model(&a);
}

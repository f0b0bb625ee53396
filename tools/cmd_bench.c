/* onnxtune bench: how long a model takes to load, to run and to train a step, and what memory that takes. */
#include "bench.h"

enum { BATCH = OT_KEY_OWN, TRAIN, FREEZE_TO, PROFILE, REPEAT, SHAPE };

static const struct argp_option options[] = {
    { "batch", BATCH, "N[,N...]", 0, "samples of a run, a row each (default: that of --shape or the model, else 1)",
      0 },
    { "train", TRAIN, NULL, 0, "time training steps too, on generated samples", 0 },
    { "freeze-to", FREEZE_TO, "N|NODE", 0, "with --train: the layers before this one are frozen (default: none is)",
      0 },
    { "profile", PROFILE, NULL, 0, "the time of each node, and GFLOP/s of convolutions and matrix products", 0 },
    { "repeat", REPEAT, "N", 0, "timed runs of each row, 3 at least (default: for two seconds, but 5 to 1000 runs)",
      0 },
    { "shape", SHAPE, "NAME=DIMS", 0, "shape of an input, as data=1x3x224x224; repeatable (default: the model's)", 0 },
    { 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    ot_bench_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case BATCH:
        a->batches =
            ot_arg_ints(state, "batch", arg, 1, 1 << 20, (int)(sizeof(a->batch) / sizeof(*a->batch)), a->batch);
        return 0;
    case TRAIN:
        a->train = true;
        return 0;
    case FREEZE_TO:
        a->freeze_to = arg;
        return 0;
    case PROFILE:
        a->profile = true;
        return 0;
    case REPEAT:
        a->repeat = ot_arg_int(state, "repeat", arg, OT_BENCH_LEAST, 1000000);
        return 0;
    case SHAPE:
        ot_arg_shape(state, arg, &a->shape_names, &a->shape);
        return 0;
    case ARGP_KEY_ARG:
        ot_take_model(state, arg, "is timed", &a->model);
        return 0;
    case ARGP_KEY_END:
        ot_need_model(state, a->model);
        if (a->freeze_to && !a->train)
            ot_usage(state, "--freeze-to belongs to --train");
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
    .doc = "Times a model on made-up inputs: loading, running and training steps, as the least and the median of "
           "several; with the peak of memory.\v"
           "Examples:\n"
           "  onnxtune bench resnet34.onnx --batch 1,16 --profile\n"
           "  onnxtune bench pets.onnx --train --freeze-to -4 --batch 32 --threads 1 --json",
    .children = children
};

int ot_cmd_bench(int argc, char **argv)
{
    static ot_bench_args a = { .common = OT_COMMON_ARGS_INIT };
    ot_parse(&argp, argc, argv, &a);
    ot_bench b = { .a = &a };
    int code = ot_bench_load(&b);
    if (code == OT_EXIT_OK)
        code = ot_bench_infer(&b);
    if (code == OT_EXIT_OK && a.train)
        code = ot_bench_train(&b);
    if (code == OT_EXIT_OK && !ot_bench_report(&b))
        code = OT_EXIT_FAILED;
    ot_bench_release(&b);
    return code;
}

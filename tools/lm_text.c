/* The text block of the command line. */
#include "lm.h"

enum { TEXT = OT_KEY_DATA + 20, LOWER, MIN_COUNT, VALID_TEXT, VALID_FRACTION, BPTT, STRIDE, BATCH_FIRST };

static const struct argp_option options[] = {
    { "text", TEXT, "FILE", 0, "the text, UTF-8 (needed)", 1 },
    { NULL, 0, NULL, 0, "Reading the text:", 5 },
    { "lower", LOWER, NULL, 0, "capital letters become small ones (default: as the model's metadata says)", 0 },
    { "min-count", MIN_COUNT, "N", 0, "of a new net: a character that is there less often becomes <unk> (default: 1)",
      0 },
    { "valid-text", VALID_TEXT, "FILE", 0, "this file validates (default: a share of the text)", 0 },
    { "valid-fraction", VALID_FRACTION, "F", 0,
      "that share: the end of a stream (default: .18), or windows by chance (default: .2)", 0 },
    { "bptt", BPTT, "N", 0,
      "of a model with a state: about so many characters a batch; training draws their number around it (default: 8)",
      0 },
    { "stride", STRIDE, "N", 0,
      "of a model with a window: characters from one to the next (default: the window where each character is "
      "predicted, "
      "else 1)",
      0 },
    { "batch-first", BATCH_FIRST, NULL, 0, "the model reads [N, T], not [T, N] (default: as its metadata says)", 0 },
    { 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    ot_text_args *a = state->input;
    switch (key) {
    case TEXT:
        a->file = arg;
        return 0;
    case LOWER:
        a->o.lower = a->lower = true;
        return 0;
    case MIN_COUNT:
        a->o.min_count = ot_arg_int(state, "min-count", arg, 1, 1000000000);
        return 0;
    case VALID_TEXT:
        a->o.valid = arg;
        return 0;
    case VALID_FRACTION:
        a->o.valid_fraction = ot_arg_real(state, "valid-fraction", arg, 0, 0.9);
        return 0;
    case BPTT:
        a->o.bptt = ot_arg_int(state, "bptt", arg, 1, 100000);
        return 0;
    case STRIDE:
        a->o.stride = ot_arg_int(state, "stride", arg, 1, 1000000);
        return 0;
    case BATCH_FIRST:
        a->o.batch_first = a->batch_first = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp ot_text_argp = { .options = options, .parser = parse };

void ot_need_text(const struct argp_state *state, const ot_text_args *a)
{
    if (!a->file)
        ot_usage(state, "the text is missing: --text FILE");
}

ot_text_options ot_text_options_from_args(const ot_text_args *a, const ot_common_args *common)
{
    ot_text_options o = a->o;
    o.seed = common->seed;
    return o;
}

ot_dataset *ot_open_text(const ot_text_args *a, const ot_common_args *common, const ot_model *m, const char *path,
                         int *code)
{
    ot_text_options o = ot_text_options_from_args(a, common);
    ot_dataset *d = NULL;
    ot_status st = ot_text_options_from_model(&o, m);
    if (st != OT_OK) {
        *code = ot_tool_failed(st, path);
        return NULL;
    }
    o.lower |= a->lower;
    if (a->batch_first && !o.batch_first) { /* asked again, since the steps lie elsewhere */
        o.batch_first = true;
        st = ot_text_options_from_model(&o, m);
    }
    if (st == OT_OK)
        st = ot_text_open(&d, a->file, &o);
    if (st != OT_OK) {
        ot_tool_failed(st, a->file);
        *code = OT_EXIT_FAILED;
    }
    return d;
}

/* What the parts of `onnxtune lm` share: the text block of the command line. */
#ifndef OT_TOOLS_LM_H
#define OT_TOOLS_LM_H

#include "args.h"

typedef struct ot_text_args {
    ot_text_options o;
    const char *file, *prompt;
    bool lower, batch_first, bptt, stride; /* which of them were given */
} ot_text_args;
#define OT_TEXT_ARGS_INIT                                                                                              \
    {                                                                                                                  \
        .o = OT_TEXT_INIT                                                                                              \
    }
extern const struct argp ot_text_argp;

/* Wrong usage where no --text was given. */
void ot_need_text(const struct argp_state *state, const ot_text_args *a);
ot_text_options ot_text_options_from_args(const ot_text_args *a, const ot_common_args *common);
/* The text as m reads it.  NULL after an error line, with the exit code in *code. */
ot_dataset *ot_open_text(const ot_text_args *a, const ot_common_args *common, const ot_model *m, const char *path,
                         int *code);

int ot_lm_eval(int argc, char **argv);
int ot_lm_generate(int argc, char **argv);

#endif

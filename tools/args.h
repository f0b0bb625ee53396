/* Command lines, through glibc's argp: option blocks that several commands share, and the reading of values.
 *
 * A command declares its own options and an argp whose children are ot_common_argp and the blocks that it takes, and
 * calls ot_parse.  Its parser sets state->child_inputs in ARGP_KEY_INIT in the order of the children. */
#ifndef OT_TOOLS_ARGS_H
#define OT_TOOLS_ARGS_H

#include "tool.h"

#include <argp.h>

typedef struct ot_common_args {
    int threads; /* 0: the physical cores */
    uint64_t seed;
    size_t memory; /* 0: no cap */
    bool json, quiet, fast;
} ot_common_args;
#define OT_COMMON_ARGS_INIT                                                                                            \
    {                                                                                                                  \
        0, 42, 0, false, false, false                                                                                  \
    }

/* What was given of the image block; the rest comes from the model. */
typedef struct ot_image_args {
    int64_t size;
    bool has_mean, has_std, has_channels, has_range, has_layout;
    float mean[3], std[3], range;
    bool bgr, nhwc;
} ot_image_args;

extern const struct argp ot_common_argp, ot_image_argp;

/* Parses (argv[0] is the command's name); ends the process on wrong usage and after --help. */
void ot_parse(const struct argp *argp, int argc, char **argv, void *input);
/* "onnxtune: text" and where the help is; ends the process with 2. */
void ot_usage(const struct argp_state *state, const char *fmt, ...) OT_TOOL_PRINTF(2, 3);

/* Values of options; each ends the process with 2 when the text is no such value.  `option` is named in the error. */
int64_t ot_arg_int(const struct argp_state *state, const char *option, const char *text, int64_t min, int64_t max);
uint64_t ot_arg_u64(const struct argp_state *state, const char *option, const char *text);
double ot_arg_real(const struct argp_state *state, const char *option, const char *text, double min, double max);
/* Bytes: 4096, 512K, 1.5G (powers of 1024). */
size_t ot_arg_size(const struct argp_state *state, const char *option, const char *text);
/* "1e-6,1e-4": at most `most` numbers; the count. */
int ot_arg_reals(const struct argp_state *state, const char *option, const char *text, double min, double max, int most,
                 double *out);
int ot_arg_ints(const struct argp_state *state, const char *option, const char *text, int64_t min, int64_t max,
                int most, int64_t *out);
/* The index of text among words (NULL ends them). */
int ot_arg_word(const struct argp_state *state, const char *option, const char *text, const char *const *words);
/* "NAME=VALUE": VALUE, with *name a copy of what is before the last '=' (never freed). */
const char *ot_arg_pair(const struct argp_state *state, const char *option, const char *text, const char **name);
/* "1x3x224x224" into rank and dims of a tensor without data. */
void ot_arg_dims(const struct argp_state *state, const char *option, const char *text, ot_tensor *out);

/* The model's own preprocessing, changed as the options say.  An exit code: 0, or after an error line. */
int ot_image_spec_from_args(ot_image_spec *out, const ot_image_args *a, const ot_model *m, const char *path);

/* The argument MODEL of a command that takes one: its text into *model; a second one is wrong usage, said as "one model
 * DOES at a time". */
void ot_take_model(const struct argp_state *state, const char *arg, const char *does, const char **model);
/* What must have been given, asked at ARGP_KEY_END; wrong usage where it is NULL.  what: "the trained model". */
void ot_need_model(const struct argp_state *state, const char *model);
void ot_need_data(const struct argp_state *state, const char *dir);
void ot_need_output(const struct argp_state *state, const char *file, const char *what);

/* A list of texts that grows. */
typedef struct ot_strings {
    const char **s;
    size_t n;
} ot_strings;
void ot_strings_add(ot_strings *l, const char *s);
/* "--shape NAME=DIMS", repeatable: adds the name, and the dims as a tensor without data at the same place of *shape. */
void ot_arg_shape(const struct argp_state *state, const char *text, ot_strings *names, ot_tensor **shape);

/* Keys of long options without a letter, beyond any character. */
enum {
    OT_KEY_COMMON = 1000,
    OT_KEY_IMAGE = 1100,
    OT_KEY_TRAIN = 1200,
    OT_KEY_DATA = 1300,
    OT_KEY_RUN = 1350,
    OT_KEY_OWN = 1400
};

#endif

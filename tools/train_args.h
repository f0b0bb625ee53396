/* The training block and the data block of the command line. */
#ifndef OT_TOOLS_TRAIN_ARGS_H
#define OT_TOOLS_TRAIN_ARGS_H

#include "args.h"

typedef struct ot_train_args {
    ot_train_options o; /* ready but for what the common block says */
    ot_strings train, no_train;
    bool one_cycle, cycles, cycle_steps, decays, decay_factor, epochs, cycle_len, cycle_mult,
        momentum; /* which of them were given */
} ot_train_args;
#define OT_TRAIN_ARGS_INIT                                                                                             \
    {                                                                                                                  \
        .o = OT_TRAIN_INIT                                                                                             \
    }

typedef struct ot_data_args {
    const char *dir;
    ot_augment augment;
    double zoom, valid_fraction;
    bool channel_stats;
} ot_data_args;
#define OT_DATA_ARGS_INIT                                                                                              \
    {                                                                                                                  \
        NULL, OT_AUGMENT_SIDE_ON, 1.1, 0.2, false                                                                      \
    }

extern const struct argp ot_train_argp, ot_data_argp;

/* The options as the library takes them; o->train and o->no_train point into a. */
ot_train_options ot_train_options_from_args(ot_train_args *a, const ot_common_args *common);

/* The data folder as the model wants it, with warnings and the progress of the check.  NULL after an error line.  With
 * a->channel_stats, mean and deviation of spec become those of the pictures. */
ot_dataset *ot_open_data(const ot_data_args *a, ot_image_spec *spec, const ot_common_args *common, int *code);

#endif

/* Gives a pretrained classifier a new head, trains the head on a folder of pictures, and saves the result.
 *
 *     fine_tune MODEL.onnx DIR OUT.onnx [EPOCHS]
 *
 * DIR holds train/CLASS/ and valid/CLASS/ with pictures.  The model must end as ResNets do, in GlobalAveragePool,
 * Flatten and Gemm: these three layers are cut off, and a 3x3 convolution to one map a class takes their place. */
#include "onnxtune.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static ot_trainer *running; /* what Ctrl-C stops */

static void interrupted(int signal_number)
{
    (void)signal_number;
    ot_trainer_stop(running);
}

static void warn(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "fine_tune: %s\n", text);
}

/* Sees every event of the run; returning false stops it.  Here: one line an epoch, and a stop when all validation
 * pictures are right. */
static bool watch(void *ctx, const ot_event *e)
{
    int64_t *skipped = ctx;
    if (e->kind == OT_BATCH_END && e->skipped)
        ++*skipped;
    if (e->kind != OT_EPOCH_END)
        return true;
    printf("epoch %lld of %lld: loss %.4f, validation loss %.4f, accuracy %.3f\n", (long long)e->epoch + 1,
           (long long)e->epochs, e->loss, e->valid_loss, e->valid_accuracy);
    return isnan(e->valid_accuracy) || e->valid_accuracy < 1;
}

static ot_status new_head(ot_model *model, int64_t classes)
{
    char head[80];
    snprintf(head, sizeof(head), "conv %lld 3x3 pad=1; gap; flatten; logsoftmax", (long long)classes);
    ot_status st = ot_model_cut(model, "-3");
    return st == OT_OK ? ot_model_append(model, head, 42, warn, NULL) : st;
}

static ot_status train(ot_model *model, const ot_dataset *data, int64_t epochs)
{
    ot_train_options options = OT_TRAIN_INIT;
    ot_train_plan plan;
    int64_t skipped = 0;

    options.freeze_to = "-4"; /* the new convolution and what follows it */
    options.epochs = epochs;
    options.batch = 16;
    ot_status st = ot_trainer_create(&running, model, data, &options);
    if (st != OT_OK)
        return st;
    if (ot_trainer_plan(running, &plan) == OT_OK)
        printf("training layers %lld to %lld: %lld of %lld parameters, %lld steps\n", (long long)plan.first_layer,
               (long long)plan.layers - 1, (long long)plan.trained, (long long)plan.parameters, (long long)plan.steps);
    signal(SIGINT, interrupted);
    st = ot_trainer_run(running, watch, &skipped);
    signal(SIGINT, SIG_DFL);
    ot_trainer_close(running); /* the model keeps the trained weights */
    if (skipped)
        printf("%lld steps had gradients that were not finite and changed nothing\n", (long long)skipped);
    return st == OT_ESTOPPED ? OT_OK : st;
}

/* The side of the pictures that the model takes: input 1x3xSxS, or 224 where it takes any size. */
static ot_status input_side(int64_t *side, const ot_model *model)
{
    ot_session *session;
    ot_tensor input;
    *side = 224;
    ot_status st = ot_session_create(&session, model, NULL);
    if (st == OT_OK && (st = ot_session_input(session, 0, &input)) == OT_OK && input.rank == 4 && input.dim[2] > 0)
        *side = input.dim[2];
    ot_session_close(session);
    return st;
}

int main(int argc, char **argv)
{
    ot_model *model = NULL;
    ot_dataset *data = NULL;
    ot_folder_options folder = OT_FOLDER_INIT;
    const char *failed = NULL; /* the file or folder that the error is about */

    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: fine_tune MODEL.onnx DIR OUT.onnx [EPOCHS]\n");
        return 2;
    }
    folder.warn = warn;
    if (ot_model_open(&model, argv[1]) != OT_OK || input_side(&folder.spec.size, model) != OT_OK)
        failed = argv[1];
    else if (ot_folder_open(&data, argv[2], &folder) != OT_OK)
        failed = argv[2];
    else if (new_head(model, data->classes) != OT_OK || train(model, data, argc == 5 ? atoi(argv[4]) : 5) != OT_OK)
        failed = argv[1];
    else if (ot_model_save(model, argv[3]) != OT_OK)
        failed = argv[3];

    if (failed)
        fprintf(stderr, "fine_tune: %s: %s\n", failed, ot_last_error());
    else
        printf("saved %s\n", argv[3]);
    ot_dataset_close(data);
    ot_model_close(model);
    return failed != NULL;
}

/* The side of compare_text.py that runs onnxtune: text_on_request MODEL THREADS step TEXT, or MODEL THREADS run.
 *
 * step trains a character model on TEXT, 64 streams, 8 characters of each a step, by Adam, a step for every line that
 * comes on stdin; run lets it read one character, states of zeros.  Prints "ready" once the first is done, then the
 * milliseconds that each took. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "on_request.h"

#include <string.h>

static void steps(ot_model *m, const char *text, int threads)
{
    ot_dataset *d;
    ot_trainer *t;
    double start = 0;
    ot_text_options to = OT_TEXT_INIT;
    ot_train_options o = OT_TRAIN_INIT;
    need(ot_text_options_from_model(&to, m));
    to.steps = 8;
    need(ot_text_open(&d, text, &to));
    o.batch = 64;
    o.threads = threads;
    o.optimizer = OT_ADAM;
    o.lr[0] = 1e-4;
    o.epochs = 100000;
    o.augment = false;
    need(ot_trainer_create(&t, m, d, &o));
    ot_trainer_run(t, step_on_request, &start);
    ot_trainer_close(t);
    ot_dataset_close(d);
}

static void characters(const ot_model *m, int threads)
{
    enum { MOST = 8 };
    ot_session *s;
    ot_tensor in[MOST], *x[MOST];
    ot_session_options o = OT_SESSION_INIT;
    o.threads = threads;
    need(ot_session_create(&s, m, &o));
    const int64_t n = ot_session_input_count(s) < MOST ? ot_session_input_count(s) : MOST;
    for (int64_t i = 0; i < n; i++) {
        ot_tensor shape;
        need(ot_session_input(s, i, &shape));
        for (int k = 0; k < shape.rank; k++)
            shape.dim[k] = shape.dim[k] < 0 ? 1 : shape.dim[k];
        need(ot_tensor_create(&x[i], shape.dtype, shape.rank, shape.dim));
        memset(x[i]->data, 0, ot_tensor_bytes(x[i]));
        in[i] = *x[i];
    }
    need(ot_session_run(s, in, n));
    printf("ready\n");
    fflush(stdout);
    run_on_request(s, in, n);
    for (int64_t i = 0; i < n; i++)
        ot_tensor_free(x[i]);
    ot_session_close(s);
}

int main(int argc, char **argv)
{
    ot_model *m;
    if (argc < 4 || (strcmp(argv[3], "run") != 0 && argc < 5)) {
        fprintf(stderr, "usage: text_on_request MODEL THREADS step TEXT | run\n");
        return 2;
    }
    need(ot_model_open(&m, argv[1]));
    if (strcmp(argv[3], "run") == 0)
        characters(m, atoi(argv[2]));
    else
        steps(m, argv[4], atoi(argv[2]));
    ot_model_close(m);
    return 0;
}

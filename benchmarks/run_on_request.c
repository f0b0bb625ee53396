/* The side of compare_ort.py that runs onnxtune: run_on_request MODEL BATCH THREADS [DIM...].
 *
 * Prints "ready LOAD_MS" once the first run is done, then runs the model once for every line that comes on stdin and
 * prints the milliseconds it took.  DIMs replace all dims of the first input; without them its batch is BATCH, and
 * other dims that are not fixed are 224. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "on_request.h"

/* The same numbers as compare_ort.py makes: 0, 1, ... 30, 0, ... over 31, less a half. */
static void fill(ot_tensor *x)
{
    float *data = x->data;
    for (int64_t i = 0, n = ot_tensor_count(x); i < n; i++)
        data[i] = (float)(i % 31) / 31 - 0.5f;
}

int main(int argc, char **argv)
{
    ot_model *m;
    ot_session *s;
    ot_tensor *x, shape;
    ot_session_options o = OT_SESSION_INIT;
    if (argc < 4) {
        fprintf(stderr, "usage: run_on_request MODEL BATCH THREADS [DIM...]\n");
        return 2;
    }
    double start = now_ms();
    o.threads = atoi(argv[3]);
    need(ot_model_open(&m, argv[1]));
    need(ot_session_create(&s, m, &o));
    need(ot_session_input(s, 0, &shape));
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = argc > 4 + i       ? atoll(argv[4 + i])
                       : i == 0           ? atoll(argv[2])
                       : shape.dim[i] < 0 ? 224
                                          : shape.dim[i];
    need(ot_tensor_create(&x, OT_FLOAT, shape.rank, shape.dim));
    fill(x);
    need(ot_session_run(s, x, 1));
    printf("ready %.2f\n", now_ms() - start);
    fflush(stdout);
    run_on_request(s, x, 1);
    ot_tensor_free(x);
    ot_session_close(s);
    ot_model_close(m);
    return 0;
}

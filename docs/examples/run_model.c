/* Runs a model on one input and prints the largest elements of its first output.
 *
 *     run_model MODEL.onnx INPUT
 *
 * INPUT is a .npy file, a TensorProto (.pb) or a picture; a picture becomes what an ImageNet network expects (shorter
 * side 256, centre 224x224, RGB, ImageNet's mean and deviation), of the size that the model's input asks for. */
#include "onnxtune.h"

#include <stdio.h>
#include <string.h>

enum { TOP = 5 };

static int failed(const char *what)
{
    fprintf(stderr, "run_model: %s: %s\n", what, ot_last_error());
    return 1;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* The input as a tensor of its own; free it with ot_tensor_free. */
static ot_status read_input(ot_tensor **out, const ot_session *s, const char *path)
{
    ot_image_spec spec = OT_IMAGE_SPEC_INIT;
    ot_tensor wanted;
    if (ends_with(path, ".npy"))
        return ot_npy_read(out, path);
    if (ends_with(path, ".pb"))
        return ot_tensor_file_read(out, path);
    if (ot_session_input(s, 0, &wanted) == OT_OK && wanted.rank == 4 && wanted.dim[2] > 0)
        spec.size = wanted.dim[2]; /* NCHW; -1 where any size is taken */
    return ot_image_load(out, path, &spec);
}

static void print_largest(const char *name, const ot_tensor *t)
{
    int64_t count = ot_tensor_count(t), best[TOP] = { 0 };
    int n = 0;
    for (int64_t i = 0; i < count; i++) { /* best[] stays sorted, largest first */
        int at = n;
        while (at > 0 && ot_tensor_get(t, i) > ot_tensor_get(t, best[at - 1]))
            at--;
        if (at == TOP)
            continue;
        n += n < TOP;
        memmove(best + at + 1, best + at, (size_t)(n - at - 1) * sizeof(best[0]));
        best[at] = i;
    }
    printf("%s: %s, %lld elements; the largest:\n", name, ot_dtype_name(t->dtype), (long long)count);
    for (int i = 0; i < n; i++)
        printf("%8lld  %g\n", (long long)best[i], ot_tensor_get(t, best[i]));
}

int main(int argc, char **argv)
{
    ot_model *model = NULL;
    ot_session *session = NULL;
    ot_tensor *input = NULL;
    ot_session_options options = OT_SESSION_INIT;
    int rc = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: run_model MODEL.onnx INPUT.npy|INPUT.pb|PICTURE\n");
        return 2;
    }
    if (ot_model_open(&model, argv[1]) != OT_OK || ot_session_create(&session, model, &options) != OT_OK) {
        rc = failed(argv[1]);
    } else if (ot_session_input_count(session) != 1) {
        fprintf(stderr, "run_model: %s: the model has %lld inputs, this program gives one\n", argv[1],
                (long long)ot_session_input_count(session));
        rc = 1;
    } else if (read_input(&input, session, argv[2]) != OT_OK) {
        rc = failed(argv[2]);
    } else if (ot_session_run(session, input, 1) != OT_OK) {
        rc = failed(argv[1]);
    } else {
        print_largest(ot_session_output_name(session, 0), ot_session_output(session, 0));
    }

    ot_tensor_free(input);
    ot_session_close(session);
    ot_model_close(model);
    return rc;
}

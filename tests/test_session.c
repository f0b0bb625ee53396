/* Whole models against reference outputs: the logits of real networks, and the zoo's own test sets. */
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The largest difference, as a share of the largest reference value. */
static double worst(const ot_tensor *want, const ot_tensor *got)
{
    double largest = 0, diff = 0;
    if (ot_tensor_count(want) != ot_tensor_count(got))
        return HUGE_VAL;
    for (int64_t i = 0; i < ot_tensor_count(want); i++) {
        double a = ot_tensor_get(want, i), b = ot_tensor_get(got, i);
        largest = fmax(largest, fabs(a));
        diff = isnan(b) ? HUGE_VAL : fmax(diff, fabs(a - b));
    }
    return diff / largest;
}

static ot_tensor *shared_tensor(const char *name)
{
    ot_tensor *t = NULL;
    const char *path = test_shared(name);
    if (path)
        CHECK_OK(ot_tensor_file_read(&t, path));
    return t;
}

/* Runs the model on the input, with and without fusion, and compares the one output. */
static void compare(const char *model, const char *input, const char *output)
{
    char path[1024];
    const char *found = test_shared(model);
    if (!found)
        return;
    snprintf(path, sizeof(path), "%s", found);
    ot_tensor *x = shared_tensor(input), *want = shared_tensor(output);
    ot_model *m = NULL;
    if (x && want && CHECK_OK(ot_model_open(&m, path)))
        for (int no_fusion = 0; no_fusion < 2; no_fusion++) {
            ot_session_options o = OT_SESSION_INIT;
            ot_session *s = NULL;
            o.no_fusion = no_fusion;
            if (CHECK_OK(ot_session_create(&s, m, &o)) && CHECK_OK(ot_session_run(s, x, 1))) {
                double d = worst(want, ot_session_output(s, 0));
                if (!CHECK(d <= 1e-4))
                    printf("    %s on %s: off by %g of the largest value\n", model, input, d);
            }
            ot_session_close(s);
        }
    ot_model_close(m);
    ot_tensor_free(x);
    ot_tensor_free(want);
}

#define TESTDATA "data/models/testdata/"

static void softmax(const ot_tensor *logits, double *p)
{
    int64_t n = ot_tensor_count(logits);
    double top = -HUGE_VAL, sum = 0;
    for (int64_t i = 0; i < n; i++)
        top = fmax(top, ot_tensor_get(logits, i));
    for (int64_t i = 0; i < n; i++)
        sum += p[i] = exp(ot_tensor_get(logits, i) - top);
    for (int64_t i = 0; i < n; i++)
        p[i] /= sum;
}

/* From the photo file itself: the same best class, probabilities within .01. */
static void photo(const char *file, const char *output)
{
    char path[1024];
    const char *found = test_shared(file);
    if (!found)
        return;
    snprintf(path, sizeof(path), "%s", found);
    ot_image_spec spec = OT_IMAGE_SPEC_INIT;
    ot_tensor *x = NULL, *want = shared_tensor(output);
    ot_model *m = NULL;
    ot_session *s = NULL;
    CHECK_OK(ot_image_load(&x, path, &spec));
    found = test_shared("data/models/resnet18.onnx");
    if (x && want && found && CHECK_OK(ot_model_open(&m, found)) && CHECK_OK(ot_session_create(&s, m, NULL)) &&
        CHECK_OK(ot_session_run(s, x, 1))) {
        static double a[1000], b[1000];
        int64_t best_a = 0, best_b = 0;
        softmax(want, a);
        softmax(ot_session_output(s, 0), b);
        for (int64_t i = 0; i < 1000; i++) {
            best_a = a[i] > a[best_a] ? i : best_a;
            best_b = b[i] > b[best_b] ? i : best_b;
            CHECK(fabs(a[i] - b[i]) <= .01);
        }
        CHECK(best_a == best_b);
    }
    ot_session_close(s);
    ot_model_close(m);
    ot_tensor_free(x);
    ot_tensor_free(want);
}

static void photos(void)
{
    photo("data/photos/cat-chelsea.png", TESTDATA "cat-chelsea.resnet18.output.pb");
    photo("data/photos/dog-samoyed.jpg", TESTDATA "dog-samoyed.resnet18.output.pb");
}

static void imagenet(const char *name)
{
    static const char *const photos[] = { "cat-chelsea", "dog-samoyed" };
    for (size_t i = 0; i < 2; i++) {
        char model[128], input[128], output[128];
        snprintf(model, sizeof(model), "data/models/%s.onnx", name);
        snprintf(input, sizeof(input), TESTDATA "%s-224.input.pb", photos[i]);
        snprintf(output, sizeof(output), TESTDATA "%s.%s.output.pb", photos[i], name);
        compare(model, input, output);
    }
}

static void resnet18(void)
{
    imagenet("resnet18");
}

static void resnet34(void)
{
    imagenet("resnet34-grown");
}

static void squeezenet(void)
{
    imagenet("squeezenet1_1");
}

static void mobilenet(void)
{
    imagenet("mobilenetv2");
}

static void cifar_resnet18(void)
{
    compare("data/models/cifar10-resnet18-thin.onnx", TESTDATA "cifar10-resnet18-thin.test0.input.pb",
            TESTDATA "cifar10-resnet18-thin.test0.output.pb");
}

static void cifar_resnet20(void)
{
    compare("data/models/cifar10-resnet20.onnx", TESTDATA "cifar10-resnet20.test0.input.pb",
            TESTDATA "cifar10-resnet20.test0.output.pb");
}

static void mnist(void)
{
    for (int i = 0; i < 3; i++) {
        char input[128], output[128];
        snprintf(input, sizeof(input), "data/models/mnist-8/test_data_set_%d/input_0.pb", i);
        snprintf(output, sizeof(output), "data/models/mnist-8/test_data_set_%d/output_0.pb", i);
        compare("data/models/mnist-8/model.onnx", input, output);
    }
}

const ot_test session_tests[] = {
    { "photos", photos },
    { "resnet18", resnet18 },
    { "resnet34", resnet34 },
    { "squeezenet", squeezenet },
    { "mobilenetv2", mobilenet },
    { "cifar resnet18, any batch", cifar_resnet18 },
    { "cifar resnet20", cifar_resnet20 },
    { "mnist-8", mnist },
    { 0 },
};

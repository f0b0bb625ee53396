/* Hostile models: whatever is in them, a session and a trainer end with OT_OK or a one-line error, soon, and nothing is
 * left behind.  ONNXTUNE_MUTATIONS=N makes N rounds of each kind (for long runs under the sanitizers) and
 * ONNXTUNE_MUTATION_FIRST=K begins at round K: a round depends on its number only.  The number of the running round
 * stands in the file hostile-round of the temporary folder. */
#define _DEFAULT_SOURCE /* fork, setrlimit, clock_gettime */
#include "feed.h"
#include "harness.h"

#include "base/tensor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define MAX_SECONDS 30.
#else
#define MAX_SECONDS 3.
#endif
#define MEMORY ((size_t)256 << 20)

typedef ot_status one_round(mutate_rng *r, int64_t number);

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int64_t setting(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : otherwise;
}

static void note_round(const char *kind, int64_t number)
{
    FILE *f = fopen(test_tmp("hostile-round"), "w");
    if (f) {
        fprintf(f, "%s %lld\n", kind, (long long)number);
        fclose(f);
    }
}

static void rounds(const char *kind, one_round *f, int64_t n)
{
    bool many = getenv("ONNXTUNE_MUTATIONS") != NULL;
    int64_t first = setting("ONNXTUNE_MUTATION_FIRST", 0), good = 0;
    n = setting("ONNXTUNE_MUTATIONS", n);
    for (int64_t i = first; i < first + n; i++) {
        int64_t before = ot_live_blocks();
        mutate_rng r = { (uint64_t)i * 0x2545f4914f6cdd1du + 99 };
        if (many)
            note_round(kind, i);
        double start = cpu_seconds();
        ot_status st = f(&r, i);
        double took = cpu_seconds() - start;
        const char *text = ot_last_error();
        good += st == OT_OK;
        if (!CHECK(took < MAX_SECONDS) || !CHECK(st == OT_OK || (*text && !strchr(text, '\n'))) ||
            !CHECK(ot_live_blocks() == before))
            printf("    %s, round %lld: status %d, %.1f s, %lld blocks: %s\n", kind, (long long)i, (int)st, took,
                   (long long)(ot_live_blocks() - before), st == OT_OK ? "" : text);
    }
    if (many)
        printf("    %s: %lld of %lld rounds ran\n", kind, (long long)good, (long long)n);
}

/* ---- Sessions ------------------------------------------------------------------------------------------------ */

static ot_status run_model(const ot_model *m, mutate_rng *r)
{
    return feed_model(m, r, MEMORY);
}

static ot_status soup_round(mutate_rng *r, int64_t number)
{
    ot_model *m = NULL;
    ot_status st = mutate_soup(&m, r);
    (void)number;
    if (CHECK_OK(st))
        st = run_model(m, r);
    ot_model_close(m);
    return st;
}

static void random_nodes(void)
{
    rounds("random_nodes", soup_round, 3000);
}

static ot_model *base_model; /* of the rounds that change one */

static ot_status change_round(mutate_rng *r, int64_t number)
{
    ot_model *m = NULL;
    ot_status st = ot_model_clone(&m, base_model);
    (void)number;
    if (st == OT_OK)
        st = mutate_model(m, r);
    if (CHECK_OK(st))
        st = run_model(m, r);
    ot_model_close(m);
    return st;
}

static void changed(const char *kind, const char *name, int64_t n)
{
    const char *path = test_shared(name);
    if (path && CHECK_OK(ot_model_open(&base_model, path)))
        rounds(kind, change_round, n);
    ot_model_close(base_model);
    base_model = NULL;
}

static void changed_mnist(void)
{
    changed("changed_mnist", "data/models/mnist-8/model.onnx", 800);
}

static void changed_resnet(void)
{
    changed("changed_resnet", "data/models/cifar10-resnet20.onnx", 60);
}

static ot_status classifier_round(mutate_rng *r, int64_t number)
{
    ot_model *m = NULL;
    ot_status st = mutate_classifier(&m, r);
    (void)number;
    if (CHECK_OK(st) && CHECK_OK(mutate_model(m, r)))
        st = run_model(m, r);
    ot_model_close(m);
    return st;
}

static void changed_classifier(void)
{
    rounds("changed_classifier", classifier_round, 1000);
}

/* ---- Training -------------------------------------------------------------------------------------------------- */

static ot_status load_noise(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample,
                            int64_t *label)
{
    mutate_rng r = { (uint64_t)(index * 2 + split) };
    (void)augment;
    (void)epoch;
    for (int64_t i = 0; i < *(const int64_t *)ctx; i++)
        sample[i] = (float)mutate_below(&r, 1001) / 500 - 1;
    *label = index % 3;
    return OT_OK;
}

static int64_t noise_label(void *ctx, int split, int64_t index)
{
    (void)ctx;
    (void)split;
    return index % 3;
}

static void draw_options(ot_train_options *o, mutate_rng *r)
{
    o->steps = 2;
    o->batch = 4;
    o->threads = o->loaders = 1;
    o->memory = MEMORY;
    o->optimizer = (ot_optimizer)mutate_below(r, 5);
    o->bn_freeze = mutate_below(r, 4) == 0;
    o->loss = mutate_below(r, 3) ? OT_LOSS_AUTO : (ot_loss)mutate_below(r, 5);
    o->clip = mutate_below(r, 3) ? 0 : 1;
    o->accumulate = 1 + mutate_below(r, 2);
    o->freeze_to = (const char *[]){ NULL, NULL, "-1", "-2", "0", "99", "c", "" }[mutate_below(r, 8)];
}

static ot_status train(ot_model *m, mutate_rng *r)
{
    int64_t count = 3 * 8 * 8;
    ot_dataset d = { .ctx = &count,
                     .count = { 10, 3 },
                     .classes = 3,
                     .rank = 3,
                     .dim = { 3, 8, 8 },
                     .load = load_noise,
                     .label = noise_label };
    ot_train_options o = OT_TRAIN_INIT;
    ot_trainer *t = NULL;
    draw_options(&o, r);
    ot_status st = ot_trainer_create(&t, m, &d, &o);
    if (st == OT_OK)
        st = ot_trainer_run(t, NULL, NULL);
    ot_trainer_close(t);
    return st;
}

static ot_status train_round(mutate_rng *r, int64_t number)
{
    ot_model *m = NULL;
    ot_status st = mutate_classifier(&m, r);
    if (CHECK_OK(st)) {
        if (number % 8)
            st = mutate_model(m, r);
        if (CHECK_OK(st))
            st = train(m, r);
    }
    ot_model_close(m);
    return st;
}

static void trained_classifier(void)
{
    rounds("trained_classifier", train_round, 300);
}

/* ---- Chosen models ---------------------------------------------------------------------------------------------- */

/* One node over x [1,1,4,4] of float; the caller changes it and runs it. */
static ot_model *one_node(const char *op, int n_in, const char *const *in)
{
    ot_model *m = NULL;
    if (!CHECK_OK(ot_model_empty(&m, 13)))
        return NULL;
    Onnx__GraphProto *g = m->proto->graph;
    Onnx__ValueInfoProto *v = ot_append(&g->base, "input");
    CHECK(v && ot_set_string(&v->name, "x") == OT_OK);
    CHECK_OK(ot_set_value_type(v, OT_FLOAT, 4, (const ot_doc_dim[]){ { 1, 0 }, { 1, 0 }, { 4, 0 }, { 4, 0 } }));
    CHECK(ot_append_node(g, op, "n", n_in, in, 1, (const char *const[]){ "y" }) != NULL);
    CHECK(ot_append_output(g, "y", OT_FLOAT, 0, NULL) != NULL);
    return m;
}

static void fails(ot_model *m, ot_status want, const char *words)
{
    mutate_rng r = { 1 };
    CHECK_FAILS(run_model(m, &r), want, words);
    ot_model_close(m);
}

static void chosen(void)
{
    static const char *const x[] = { "x", "x" };
    ot_model *m = one_node("MaxPool", 1, x);
    Onnx__NodeProto *n = m->proto->graph->node[0];
    CHECK_OK(ot_node_set_ints(n, "kernel_shape", 2, (const int64_t[]){ 1 << 30, 1 << 30 }));
    CHECK_OK(ot_node_set_ints(n, "pads", 4, (const int64_t[]){ 1 << 30, 1 << 30, 1 << 30, 1 << 30 }));
    fails(m, OT_ENOMEM, "node 'n");

    m = one_node("ReluGrad", 2, x);
    CHECK_OK(ot_set_string(&m->proto->graph->node[0]->domain, "onnxtune"));
    CHECK_OK(ot_model_set_opset(m, "onnxtune", 1));
    fails(m, OT_EUNSUPPORTED, "models cannot use");

    m = one_node("Pad", 1, x);
    CHECK_OK(ot_model_set_opset(m, "", 2));
    n = m->proto->graph->node[0];
    CHECK_OK(ot_node_set_ints(n, "pads", 8, (const int64_t[]){ 0, 0, 1 << 30, 1 << 30, 0, 0, 1 << 30, 1 << 30 }));
    fails(m, OT_ENOMEM, "node 'n");
}

/* Padding for the most part: kernels visit what lies in the input, not every tap of every window. */
static void windows_of_padding(void)
{
    static const char *const ops[] = { "MaxPool", "AveragePool", "LpPool" };
    static const char *const x[] = { "x" };
    const int64_t wide = 1 << 16;
    for (int i = 0; i < 6; i++) {
        mutate_rng r = { 1 };
        ot_model *m = one_node(ops[i % 3], 1, x);
        Onnx__NodeProto *n = m->proto->graph->node[0];
        CHECK_OK(ot_node_set_ints(n, "kernel_shape", 2, (const int64_t[]){ 1, wide }));
        CHECK_OK(ot_node_set_ints(n, "pads", 4, (const int64_t[]){ 0, wide - 1, 0, wide - 1 }));
        if (i >= 3)
            CHECK_OK(ot_node_set_ints(n, "strides", 2, (const int64_t[]){ 1, 7 }));
        double start = cpu_seconds();
        CHECK_OK(run_model(m, &r));
        CHECK(cpu_seconds() - start < MAX_SECONDS);
        ot_model_close(m);
    }
}

static void wide_convolution(void)
{
    static const char *const in[] = { "x", "w" };
    const int64_t wide = 1 << 16;
    const int64_t dim[] = { 1, 1, 1, wide };
    mutate_rng r = { 1 };
    ot_tensor *w = NULL;
    ot_model *m = one_node("Conv", 2, in);
    CHECK_OK(ot_tensor_create(&w, OT_FLOAT, 4, dim));
    CHECK_OK(ot_model_add_initializer(m, "w", w));
    CHECK_OK(ot_node_set_ints(m->proto->graph->node[0], "pads", 4, (const int64_t[]){ 0, wide - 1, 0, wide - 1 }));
    double start = cpu_seconds();
    CHECK_OK(run_model(m, &r));
    CHECK(cpu_seconds() - start < MAX_SECONDS);
    ot_tensor_free(w);
    ot_model_close(m);
}

/* Kernels multiply its dims although it holds nothing. */
static void empty_but_vast(void)
{
    int64_t vast[] = { 0, (int64_t)1 << 30, (int64_t)1 << 30 };
    ot_tensor *t = NULL;
    ot_model *m = one_node("Transpose", 1, (const char *const[]){ "w" });
    CHECK_OK(ot_tensor_create(&t, OT_FLOAT, 3, vast));
    CHECK_OK(ot_model_add_initializer(m, "w", t));
    ot_tensor_free(t);
    fails(m, OT_ENOMEM, "product over 2^44");
}

/* ---- No memory, no disk ------------------------------------------------------------------------------------------ */

static ot_status open_and_run(const char *path)
{
    mutate_rng r = { 7 };
    ot_session_options o = OT_SESSION_INIT;
    ot_model *m = NULL;
    ot_session *s = NULL;
    o.threads = 1;
    ot_status st = ot_model_open(&m, path);
    if (st == OT_OK)
        st = ot_session_create(&s, m, &o);
    if (st == OT_OK)
        st = feed_session(s, &r);
    ot_session_close(s);
    ot_model_close(m);
    return st;
}

static void no_memory(void)
{
    char path[1024];
    const char *found = test_shared("data/models/mnist-8/model.onnx");
    if (!found)
        return;
    snprintf(path, sizeof(path), "%s", found);
    int64_t before = ot_live_blocks(), n = 0;
    for (ot_status st = OT_ENOMEM; st != OT_OK && n < 20000; n++) {
        ot_fail_alloc_after(n);
        st = open_and_run(path);
        ot_fail_alloc_after(-1);
        bool known = st == OT_OK || (st == OT_ENOMEM && *ot_last_error());
        if (!CHECK(known) || !CHECK(ot_live_blocks() == before)) {
            printf("    allocation %lld: status %d: %s\n", (long long)n, (int)st, ot_last_error());
            return;
        }
    }
    CHECK(n > 100 && n < 20000);
}

/* In a child whose files end at 1000 bytes: 0 when the save failed with a one-line OT_EIO. */
static int save_onto_full(const ot_model *m, const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        struct rlimit full = { 1000, 1000 };
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &full);
        bool good = ot_model_save(m, path) == OT_EIO && *ot_last_error() && !strchr(ot_last_error(), '\n');
        _exit(good ? 0 : 1);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return status;
}

static void full_disk(void)
{
    static float data[4096];
    char path[1024];
    int64_t dim[] = { 4096 };
    ot_model *m = NULL, *back = NULL;
    ot_tensor t = { .dtype = OT_FLOAT, .rank = 1, .dim = { dim[0] }, .data = data };
    snprintf(path, sizeof(path), "%s", test_tmp("full.onnx"));
    if (!CHECK_OK(ot_model_empty(&m, 13)) || !CHECK_OK(ot_model_add_initializer(m, "old", &t)))
        return;
    CHECK_OK(ot_model_save(m, path));
    CHECK_OK(ot_model_add_initializer(m, "new", &t));
    CHECK(save_onto_full(m, path) == 0);
    ot_model_close(m);
    if (CHECK_OK(ot_model_open(&back, path)))
        CHECK(ot_model_initializer_count(back) == 1);
    ot_model_close(back);
}

const ot_test hostile_tests[] = { { "chosen models", chosen },
                                  { "windows of padding", windows_of_padding },
                                  { "a wide convolution", wide_convolution },
                                  { "empty but vast", empty_but_vast },
                                  { "no memory", no_memory },
                                  { "full disk", full_disk },
                                  { "random nodes", random_nodes },
                                  { "changed mnist", changed_mnist },
                                  { "changed resnet", changed_resnet },
                                  { "changed classifier", changed_classifier },
                                  { "trained classifier", trained_classifier },
                                  { NULL, NULL } };

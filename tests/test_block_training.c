/* A training step whose pictures lie in blocks of channels does what the same step in ONNX's order does: loss,
 * gradients, running statistics. */
#include "harness.h"
#include "net.h"
#include "exec/executor.h"
#include "train/step_graph.h"

#include <stdio.h>
#include <string.h>

enum { SAMPLES = 5, SIDE = 20, CLASSES = 4, EACH = 3 * SIDE * SIDE };

/* Whole and cut blocks, strides, a pooling, a residual sum, and a value that leaves for ONNX's order and is read in
 * both. */
static ot_model *residual(void)
{
    char early[32];
    net n = net_begin(3, SIDE, 11);
    net_conv(&n, 16, 5, 1);
    net_norm(&n);
    net_relu(&n);
    net_max_pool(&n);
    memcpy(early, n.last, sizeof(early));
    net_conv(&n, 16, 3, 1);
    net_norm(&n);
    net_relu(&n);
    net_add(&n, early);
    net_conv(&n, 20, 3, 2);
    net_norm(&n);
    net_relu(&n);
    net_conv(&n, 36, 1, 1);
    net_relu(&n);
    net_gap(&n);
    net_flatten(&n);
    net_gemm(&n, CLASSES);
    net_log_softmax(&n);
    return net_done(&n);
}

static int64_t count_nodes(const ot_graph *g, const char *op)
{
    int64_t n = 0;
    for (int64_t i = 0; i < g->n_node; i++)
        n += strcmp(g->node[i]->op->name, op) == 0;
    return n;
}

typedef struct rig {
    ot_parameters ps;
    ot_store *store;
    ot_threads *threads;
    ot_workspace workspace;
    ot_executor *e;
} rig;

/* The first step of m, with or without the passes that change the layout. */
static bool prepare(rig *r, const ot_model *m, bool blocks)
{
    ot_train_options o = net_options();
    ot_graph *g = NULL;
    *r = (rig){ 0 };
    if (!CHECK_OK(ot_parameters_find(&r->ps, m, &o)) || !CHECK_OK(ot_store_create(&r->store)) ||
        !CHECK_OK(ot_threads_create(&r->threads, 2)) ||
        !CHECK_OK(ot_step_graph_build(&g, m, &r->ps, &o, CLASSES, OT_STEP_GATHER)))
        return false;
    if (blocks && CHECK_OK(ot_graph_finish(g))) {
        CHECK(count_nodes(g, "BlockConv") == 4 && count_nodes(g, "BlockNormTrain") == 3);
        CHECK(count_nodes(g, "BlockConvGradW") == 4 && count_nodes(g, "BlockConvGradX") == 2);
        CHECK(count_nodes(g, "BlockMaxPoolGrad") == 1 && count_nodes(g, "Conv") == 0);
    }
    return CHECK_OK(ot_executor_create(
        &r->e, g, &(ot_executor_opts){ .store = r->store, .threads = r->threads, .workspace = &r->workspace }));
}

static void release(rig *r)
{
    ot_executor_close(r->e);
    ot_threads_close(r->threads);
    ot_store_close(r->store);
    ot_workspace_release(&r->workspace);
    ot_parameters_release(&r->ps);
}

static bool run(const rig *r)
{
    static float x[SAMPLES * EACH];
    int64_t label[SAMPLES], zero = 0, one = 1;
    float rate = 0;
    for (int64_t i = 0; i < SAMPLES * EACH; i++)
        x[i] = (float)((i * 7919 + i / 41) % 1009) / 252.0f - 2.0f;
    for (int64_t i = 0; i < SAMPLES; i++)
        label[i] = i % CLASSES;
    const ot_tensor in[] = {
        { .dtype = OT_FLOAT, .rank = 4, .dim = { SAMPLES, 3, SIDE, SIDE }, .data = x },
        { .dtype = OT_INT64, .rank = 1, .dim = { SAMPLES }, .data = label },
        { .dtype = OT_INT64, .data = &zero },
        { .dtype = OT_INT64, .data = &one },
        { .dtype = OT_INT64, .data = &one },
        { .dtype = OT_FLOAT, .data = &rate },
    };
    return CHECK_OK(ot_executor_run(r->e, in));
}

/* Every value of the store, the sums of gradients among them, within 2e-5 of the tensor's largest.  The gradient of a
 * bias before a normalisation is 0 but for rounding. */
static void compare(const ot_store *a, const ot_store *b)
{
    CHECK(a->n == b->n && a->n > 20);
    for (int64_t i = 0; i < a->n; i++) {
        const ot_tensor *x = &a->slot[i].tensor, *y = ot_store_find(b, a->slot[i].name);
        double most = 0, apart = 0;
        if (!CHECK(y && ot_tensor_count(x) == ot_tensor_count(y)))
            continue;
        for (int64_t k = 0; k < ot_tensor_count(x); k++) {
            const double p = ot_tensor_get(x, k), q = ot_tensor_get(y, k);
            most = p > most ? p : -p > most ? -p : most;
            apart = p - q > apart ? p - q : q - p > apart ? q - p : apart;
        }
        if (!CHECK(apart <= 2e-5 * most + 1e-7))
            printf("    '%s': %g apart, the largest is %g\n", a->slot[i].name, apart, most);
    }
}

static void same_step(void)
{
    ot_model *m = residual();
    rig plain, blocks;
    const bool ready[2] = { prepare(&plain, m, false), prepare(&blocks, m, true) };
    if (ready[0] && ready[1] && run(&plain) && run(&blocks)) {
        const double a = ot_tensor_get(ot_executor_output(plain.e, 0), 0);
        const double b = ot_tensor_get(ot_executor_output(blocks.e, 0), 0);
        CHECK(test_close(a, b, 0, 1e-6));
        compare(plain.store, blocks.store);
    }
    release(&plain);
    release(&blocks);
    ot_model_close(m);
}

const ot_test block_training_tests[] = { { "the same step", same_step }, { 0 } };

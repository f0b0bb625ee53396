/* The frozen part: where it ends, and that a sample's features do not depend on the batch it comes in. */
#include "harness.h"
#include "net.h"
#include "exec/features.h"
#include "graph/frozen.h"
#include "train/step_graph.h"

#include <stdio.h>
#include <string.h>

/* What a step of m with these layers frozen has for values that cross; "" for none. */
static void crossing(char text[128], const ot_model *m, const char *freeze_to)
{
    ot_train_options o = net_options();
    ot_parameters ps = { 0 };
    ot_graph *g = NULL;
    ot_crossing c = { 0 };
    o.freeze_to = freeze_to;
    text[0] = 0;
    if (CHECK_OK(ot_parameters_find(&ps, m, &o)) && CHECK_OK(ot_step_graph_build(&g, m, &ps, &o, 4, OT_STEP_WHOLE)) &&
        CHECK_OK(ot_frozen_find(&c, g)))
        for (int64_t i = 0; i < c.n; i++) {
            strcat(text, i ? " " : "");
            strncat(text, g->value[c.value[i]].name, 30);
        }
    ot_graph_close(g);
    ot_parameters_release(&ps);
}

/* conv 8 (v0) - bn - relu (v2) - conv 8 (v3) - relu (v4) - add v2 (v5) - conv 8 (v6) - dropout (v7) - gap - flatten -
 * gemm. */
static ot_model *branched(void)
{
    char early[32];
    net n = net_begin(3, 16, 3);
    net_conv(&n, 8, 3, 1);
    net_norm(&n);
    net_relu(&n);
    memcpy(early, n.last, sizeof(early));
    net_conv(&n, 8, 3, 1);
    net_relu(&n);
    net_add(&n, early);
    net_conv(&n, 8, 3, 1);
    net_dropout(&n, 0.5f);
    net_gap(&n);
    net_flatten(&n);
    net_gemm(&n, 4);
    return net_done(&n);
}

static void where_it_ends(void)
{
    static const struct {
        const char *freeze_to, *values;
    } rows[] = {
        { NULL, "" },     /* all trains */
        { "1", "v0" },    /* the normalisation trains */
        { "3", "v2" },    /* what the convolution and the sum read */
        { "6", "v5" },    /* the second convolution */
        { "-1", "v6" },   /* the dropout acts: what is before it */
        { "gemm", NULL }, /* no such name here */
    };
    ot_model *m = branched();
    for (int i = 0; m && rows[i].values; i++) {
        char text[128];
        crossing(text, m, rows[i].freeze_to);
        if (!CHECK(strcmp(text, rows[i].values) == 0))
            printf("    freeze_to %s: '%s'\n", rows[i].freeze_to ? rows[i].freeze_to : "-", text);
    }
    ot_model_close(m);
}

/* The features of `n` samples from `from` on, run in one call. */
static bool features(float *rows, ot_features *f, const float *samples, int64_t from, int64_t n)
{
    return CHECK_OK(ot_features_run(f, rows, samples + from * 3 * 16 * 16, n));
}

static void any_batch(ot_features *f)
{
    enum { SAMPLES = 23, SIZE = 3 * 16 * 16 };
    static float x[SAMPLES * SIZE];
    for (int i = 0; i < SAMPLES * SIZE; i++)
        x[i] = (float)(i * 7919 % 1009) / 500 - 1;
    size_t row = (size_t)f->floats * sizeof(float);
    float *all = ot_malloc(SAMPLES, row), *some = ot_malloc(SAMPLES, row);
    if (!CHECK(all && some && f->part > 1) || !features(all, f, x, 0, SAMPLES))
        return;
    for (int64_t n = 1; n <= SAMPLES; n++)
        for (int64_t from = 0; from + n <= SAMPLES; from += 3)
            if (features(some, f, x, from, n))
                CHECK(memcmp(some, all + from * f->floats, (size_t)n * row) == 0);
    ot_free(all);
    ot_free(some);
}

static void same_bits_in_any_batch(void)
{
    ot_train_options o = net_options();
    ot_parameters ps = { 0 };
    ot_graph *g = NULL;
    ot_crossing c = { 0 };
    ot_features *f = NULL;
    ot_threads *threads = NULL;
    ot_store *store = NULL;
    ot_workspace w = { 0 };
    ot_model *m = branched();
    o.freeze_to = "6";
    ot_tensor sample = { .dtype = OT_FLOAT, .rank = 4, .dim = { 1, 3, 16, 16 } };
    if (CHECK_OK(ot_threads_create(&threads, 2)) && CHECK_OK(ot_store_create(&store)) &&
        CHECK_OK(ot_parameters_find(&ps, m, &o)) && CHECK_OK(ot_step_graph_build(&g, m, &ps, &o, 4, OT_STEP_WHOLE)) &&
        CHECK_OK(ot_frozen_find(&c, g)) && CHECK_OK(ot_frozen_keep(g, &c)) && CHECK_OK(ot_graph_finish(g))) {
        ot_executor_opts eo = { .store = store, .threads = threads, .workspace = &w, .memory = 1 << 20 };
        if (CHECK_OK(ot_features_create(&f, g, &eo, &sample, 20))) {
            CHECK(f->floats == 8 * 16 * 16 && f->n_output == 1 && f->part < 20);
            any_batch(f);
        }
    }
    ot_features_close(f);
    ot_store_close(store);
    ot_threads_close(threads);
    ot_workspace_release(&w);
    ot_parameters_release(&ps);
    ot_model_close(m);
}

const ot_test frozen_tests[] = {
    { "where it ends", where_it_ends },
    { "the same bits in any batch", same_bits_in_any_batch },
    { 0 },
};

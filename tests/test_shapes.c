#define _GNU_SOURCE /* strtok_r, access */
/* Shape inference knows at least what ONNX's own finds: tests/onnx_shapes.txt holds that for every conformance model
 * and every shared model (benchmarks/record_shapes.py says the form). */
#include "graph/derive.h"
#include "harness.h"
#include "model/edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One dimension: ours against a number, "s" or "?". */
static bool knows_dim(const ot_graph *g, ot_dim d, const char *want)
{
    if (*want == '?')
        return true;
    if (*want != 's')
        return d == strtoll(want, NULL, 10);
    return !ot_is_symbol(d) || g->symbol[d - OT_SYMBOL(0)].op != '?';
}

/* "TYPE[DIM,...]" */
static bool knows(const ot_graph *g, const ot_fact *f, const char *want)
{
    char *at;
    int rank = 0;
    if ((long)f->dtype != strtol(want, &at, 10) || f->kind != OT_TENSOR || *at++ != '[')
        return false;
    for (; *at && *at != ']'; rank++) {
        if (rank >= f->rank || !knows_dim(g, f->dim[rank], at))
            return false;
        at += strcspn(at, ",]");
        at += *at == ',';
    }
    return rank == f->rank;
}

/* "NODE.OUTPUT:TYPE[DIM,...]" against the derived graph. */
static void compare(const ot_model *m, const ot_graph *g, const char *name, const char *entry)
{
    char *at, text[200];
    long node = strtol(entry, &at, 10), output = *at == '.' ? strtol(at + 1, &at, 10) : 0;
    const Onnx__GraphProto *doc = m->proto->graph;
    if (!CHECK(node >= 0 && (size_t)node < doc->n_node && (size_t)output < doc->node[node]->n_output && *at == ':'))
        return;
    const char *value = doc->node[node]->output[output];
    ot_val v = ot_graph_find(g, value);
    if (!CHECK(v != OT_NONE && knows(g, &g->value[v].fact, at + 1)))
        printf("    %s: '%s' is %s, the reference has %s\n", name, value,
               v == OT_NONE ? "not there" : ot_fact_text(g, &g->value[v].fact, text, sizeof(text)), at + 1);
}

static bool open_model(ot_model **m, const char *root, const char *shared, const char *name)
{
    char path[4][1280];
    snprintf(path[0], sizeof(path[0]), "%s/node/%s/model.onnx", root, name);
    snprintf(path[1], sizeof(path[1]), "%s/simple/%s/model.onnx", root, name);
    snprintf(path[2], sizeof(path[2]), "%s/data/models/%s.onnx", shared, name);
    snprintf(path[3], sizeof(path[3]), "%s/data/models/%s/model.onnx", shared, name);
    for (int i = 0; i < 4; i++)
        if (access(path[i], R_OK) == 0)
            return CHECK_OK(ot_model_open(m, path[i]));
    return CHECK(false);
}

/* Batch, height and width of the first input become symbols. */
static void free_input(ot_model *m)
{
    const Onnx__ValueInfoProto *x = m->proto->graph->input[0];
    int64_t channels = x->type->tensor_type->shape->dim[1]->dim_value;
    CHECK_OK(ot_set_value_type(m->proto->graph->input[0], OT_FLOAT, 4,
                               (ot_doc_dim[]){ { -1, "n" }, { channels, NULL }, { -1, "h" }, { -1, "w" } }));
}

static void compare_model(char *line, const char *root, const char *shared, int64_t *derived, int64_t *missing)
{
    ot_model *m = NULL;
    ot_graph *g = NULL;
    char *rest, *name = strtok_r(line, " \n", &rest), *mark = strstr(name, "+free");
    if (mark)
        *mark = 0;
    if (open_model(&m, root, shared, name)) {
        if (mark)
            free_input(m);
        if (ot_derive(&g, m, &(ot_derive_opts){ 0 }) == OT_OK) {
            ++*derived;
            for (char *entry; (entry = strtok_r(NULL, " \n", &rest));)
                compare(m, g, name, entry);
        } else {
            ++*missing;
            if (getenv("ONNXTUNE_SHAPES_MISSING"))
                printf("    %s: %s\n", name, ot_last_error());
        }
    } else {
        printf("    %s is not there\n", name);
    }
    ot_graph_close(g);
    ot_model_close(m);
}

static void as_the_reference(void)
{
    static char line[1 << 16];
    const char *root = getenv("ONNXTUNE_CONFORMANCE"), *shared = getenv("ONNXTUNE_SHARED");
    int64_t derived = 0, missing = 0;
    if (!root || !shared) {
        test_skip("ONNXTUNE_CONFORMANCE or ONNXTUNE_SHARED is not set");
        return;
    }
    FILE *f = fopen(TEST_SHAPES, "r");
    if (!CHECK(f != NULL))
        return;
    while (fgets(line, sizeof(line), f))
        compare_model(line, root, shared, &derived, &missing);
    fclose(f);
    CHECK(derived > 0);
    printf("    shapes of %lld models compared, %lld models not derived\n", (long long)derived, (long long)missing);
}

const ot_test shapes_tests[] = { { "as ONNX's own inference", as_the_reference }, { 0 } };

/* Every allocation of loading, planning, running and one training step fails in turn: each is an OT_ENOMEM of one line,
 * and nothing is left behind. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "base/alloc.h"
#include "doc.h"
#include "feed.h"
#include "harness.h"
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct subject {
    const char *path;     /* of its file */
    const patterns *data; /* that it trains on; NULL: it is not trained */
    const char *op;       /* that its plan must hold */
    bool explained;
    const char *head; /* the layer whose training leaves the others frozen; NULL: that is not tried */
    ot_cache cache;
} subject;

typedef ot_status stage(subject *s, ot_model *m);

static ot_status open_it(subject *s, ot_model *m)
{
    ot_model *own = NULL;
    ot_status st = ot_model_open(&own, s->path);
    (void)m;
    ot_model_close(own);
    return st;
}

static ot_status run_it(subject *s, ot_model *m)
{
    ot_session_options o = OT_SESSION_INIT;
    ot_session *session = NULL;
    mutate_rng r = { 7 };
    o.threads = 2;
    ot_status st = ot_session_create(&session, m, &o);
    if (st == OT_OK)
        st = feed_session(session, &r);
    if (st == OT_OK) {
        char *text = NULL;
        st = ot_session_explain(&text, session);
        s->explained |= st == OT_OK && strstr(text, s->op);
        ot_text_free(text);
    }
    ot_session_close(session);
    return st;
}

static ot_status train_it(subject *s, ot_model *m)
{
    ot_train_options o = net_options();
    ot_trainer *t = NULL;
    o.steps = 1;
    o.batch = 2;
    ot_status st = ot_trainer_create(&t, m, &s->data->d, &o);
    if (st == OT_OK)
        st = ot_trainer_run(t, NULL, NULL);
    ot_trainer_close(t);
    return st;
}

static uint64_t version; /* of all samples */

static uint64_t stamp(void *ctx, int split, int64_t index, bool augment, uint64_t epoch)
{
    (void)ctx, (void)split, (void)augment, (void)epoch;
    return version << 8 | (uint64_t)index << 1 | 1;
}

/* The last layer alone, its features kept. */
static ot_status train_head(subject *s, ot_model *m)
{
    ot_train_options o = net_options();
    ot_trainer *t = NULL;
    o.freeze_to = s->head;
    o.epochs = 2;
    o.batch = 2;
    o.cache = s->cache;
    version++; /* nothing is found on the disk */
    ot_status st = ot_trainer_create(&t, m, &s->data->d, &o);
    if (st == OT_OK)
        st = ot_trainer_run(t, NULL, NULL);
    ot_trainer_close(t);
    return st;
}

/* The model is opened anew each time, with all the memory there is. */
static void fail_each(subject *s, stage *f, const char *what)
{
    ot_status st = OT_ENOMEM;
    int64_t n = 0;
    for (; st != OT_OK && n < 20000; n++) {
        ot_model *m = NULL;
        int64_t before = ot_live_blocks();
        if (!CHECK_OK(ot_model_open(&m, s->path)))
            return;
        ot_fail_alloc_after(n);
        st = f(s, m);
        ot_fail_alloc_after(-1);
        ot_model_close(m);
        bool known = st == OT_OK || (st == OT_ENOMEM && *ot_last_error() && !strchr(ot_last_error(), '\n'));
        if (!CHECK(known) || !CHECK(ot_live_blocks() == before)) {
            printf("    %s, allocation %lld: status %d, %lld blocks: %s\n", what, (long long)n, (int)st,
                   (long long)(ot_live_blocks() - before), ot_last_error());
            return;
        }
    }
    CHECK(st == OT_OK && n > 10);
}

/* Takes the model. */
static void fail_all(ot_model *m, const char *op, const patterns *data, const char *head)
{
    char path[512];
    subject s = { .path = path, .data = data, .op = op, .head = head };
    snprintf(path, sizeof(path), "%s", test_tmp("no-memory.onnx"));
    if (m && CHECK_OK(ot_model_save(m, path))) {
        fail_each(&s, open_it, "open");
        fail_each(&s, run_it, "run");
        CHECK(s.explained);
        if (data)
            fail_each(&s, train_it, "train");
        for (int k = OT_CACHE_MEMORY; head && k <= OT_CACHE_DISK; k++) {
            s.cache = (ot_cache)k;
            fail_each(&s, train_head, k == OT_CACHE_DISK ? "cache on the disk" : "cache in memory");
        }
    }
    ot_model_close(m);
}

static void convolutions(void)
{
    patterns p;
    patterns_init(&p, 2, 0, 2, 3, (const int64_t[]){ 3, 6, 6 });
    p.d.place = "/patterns";
    p.d.stamp = stamp;
    setenv("XDG_CACHE_HOME", test_tmp("no-memory-cache"), 1);
    fail_all(net_small(6, 2, true, 1), "Gemm", &p, "9");
}

/* Residual, pooling and a plain reader, all over blocks of 16 channels. */
static void blocks(void)
{
    patterns p;
    patterns_init(&p, 2, 0, 20, 3, (const int64_t[]){ 3, 8, 8 });
    net n = net_begin(3, 8, 1);
    net_conv(&n, 20, 3, 1);
    net_norm(&n);
    net_relu(&n);
    char last[sizeof(n.last)];
    memcpy(last, n.last, sizeof(last));
    net_conv(&n, 20, 3, 1);
    net_add(&n, last);
    net_relu(&n);
    net_max_pool(&n);
    net_gap(&n);
    net_flatten(&n);
    net_log_softmax(&n);
    fail_all(net_done(&n), "BlockConv", &p, NULL);
}

/* y = LogSoftmax(Relu(Gemm(x, w, b))), of which the first two are a function's body. */
static ot_model *with_function(void)
{
    static const doc_node nodes[] = { NODE("Block", "x w b", "h", NULL), NODE("LogSoftmax", "h", "y", NULL), { 0 } };
    const doc_tensor tensors[] = { DOC_FLOATS("w", 4, 3), DOC_FLOATS("b", 3), { 0 } };
    static const char *const names[2][4] = { { "a", "w", "b", "g" }, { "g", NULL, NULL, "r" } };
    static const char *const ops[] = { "Gemm", "Relu" };
    ot_model *m = doc_model(&(doc){ .opset = 17, .x = "N,4", .nodes = nodes, .tensors = tensors }, false);
    Onnx__FunctionProto *f = m ? ot_append(&m->proto->base, "functions") : NULL;
    if (!CHECK(f != NULL))
        return m;
    CHECK_OK(ot_set_string(&m->proto->graph->node[0]->domain, "pkg"));
    CHECK_OK(ot_model_set_opset(m, "pkg", 1));
    CHECK_OK(ot_set_string(&f->name, "Block"));
    CHECK_OK(ot_set_string(&f->domain, "pkg"));
    for (int i = 0; i < 3; i++)
        CHECK_OK(ot_append_string(&f->n_input, &f->input, names[0][i]));
    CHECK_OK(ot_append_string(&f->n_output, &f->output, "r"));
    for (int i = 0; i < 2; i++) {
        Onnx__NodeProto *n = ot_append(&f->base, "node");
        CHECK_OK(ot_set_string(&n->op_type, ops[i]));
        for (int k = 0; k < 3 && names[i][k]; k++)
            CHECK_OK(ot_append_string(&n->n_input, &n->input, names[i][k]));
        CHECK_OK(ot_append_string(&n->n_output, &n->output, names[i][3]));
    }
    Onnx__OperatorSetIdProto *o = ot_append(&f->base, "opset_import");
    CHECK(o != NULL);
    o->has_version = 1;
    o->version = 17;
    return m;
}

static void functions(void)
{
    patterns p;
    patterns_init(&p, 2, 0, 3, 1, (const int64_t[]){ 4 });
    fail_all(with_function(), "Gemm", &p, NULL);
}

/* How many elements of x are not 0, and the size of a Range, are known only with the data; a trainer refuses them. */
static void data_dependent(void)
{
    static const doc_node counting[] = { NODE("Relu", "x", "p", NULL),          NODE("NonZero", "p", "at", NULL),
                                         NODE("Transpose", "at", "rows", NULL), NODE("GatherND", "p rows", "v", NULL),
                                         NODE("Unique", "v", "u", NULL),        { 0 } };
    static const doc_node scoring[] = { NODE("Gemm", "x w", "h", NULL),
                                        NODE("Abs", "x", "a", NULL),
                                        NODE("ReduceMax", "a", "m", "keepdims=0"),
                                        NODE("Ceil", "m", "c", NULL),
                                        NODE("Range", "zero c one", "r", NULL),
                                        NODE("ReduceSum", "r", "s", "keepdims=0"),
                                        NODE("Add", "h s", "t", NULL),
                                        NODE("LogSoftmax", "t", "y", NULL),
                                        { 0 } };
    const doc_tensor tensors[] = {
        DOC_FLOATS("w", 4, 3), DOC_SCALAR("zero", OT_FLOAT, 0), DOC_SCALAR("one", OT_FLOAT, 1), { 0 }
    };
    fail_all(doc_model(&(doc){ .opset = 17, .x = "N,4", .nodes = counting }, false), "Unique", NULL, NULL);
    fail_all(doc_model(&(doc){ .opset = 17, .x = "N,4", .nodes = scoring, .tensors = tensors }, false), "LogSoftmax",
             NULL, NULL);
}

const ot_test no_memory_tests[] = { { "convolutions", convolutions },
                                    { "blocks", blocks },
                                    { "functions", functions },
                                    { "shapes that depend on data", data_dependent },
                                    { 0 } };

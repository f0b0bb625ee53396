#define _DEFAULT_SOURCE
#include "net.h"
#include "harness.h"
#include "base/rng.h"
#include "base/tensor.h"
#include "model/edit.h"
#include "wire_data.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void note(net *n, ot_status st)
{
    if (n->st == OT_OK)
        n->st = st;
}

/* A fresh initialiser, normal with this deviation around `mean`. */
static const char *weight(net *n, char name[32], const char *kind, int rank, const int64_t *dim, double mean,
                          double deviation)
{
    ot_tensor *t;
    snprintf(name, 32, "%s%d", kind, n->count);
    if (n->st != OT_OK)
        return name;
    note(n, ot_tensor_create(&t, OT_FLOAT, rank, dim));
    if (n->st != OT_OK)
        return name;
    for (int64_t i = 0, count = ot_tensor_count(t); i < count; i++)
        ot_tensor_set(t, i, mean + deviation * ot_rng_normal(7, n->draws++));
    note(n, ot_model_add_initializer(n->m, name, t));
    ot_tensor_free(t);
    return name;
}

static Onnx__NodeProto *node(net *n, const char *op, int n_in, const char *const *in)
{
    char name[32], out[32];
    if (n->st != OT_OK)
        return NULL;
    snprintf(name, sizeof(name), "%s.%d", op, n->count);
    snprintf(out, sizeof(out), "v%d", n->count);
    Onnx__NodeProto *p = ot_append_node(n->m->proto->graph, op, name, n_in, in, 1, (const char *const[]){ out });
    note(n, p ? OT_OK : OT_ENOMEM);
    memcpy(n->last, out, sizeof(out));
    n->count++;
    return p;
}

static Onnx__NodeProto *unary(net *n, const char *op)
{
    return node(n, op, 1, (const char *const[]){ n->last });
}

net net_begin(int64_t channels, int64_t side, uint64_t seed)
{
    static wire_data graph, model;
    net n = { .channels = channels, .side = side, .draws = seed << 32, .last = "x" };
    ot_doc_dim dim[4] = { { 0, "N" }, { channels, NULL }, { side, NULL }, { side, NULL } };
    graph.n = model.n = 0;
    wire_model(&model, &graph);
    n.st = ot_model_open_memory(&n.m, model.bytes, model.n);
    if (n.st != OT_OK)
        return n;
    Onnx__ValueInfoProto *x = ot_append(&n.m->proto->graph->base, "input");
    note(&n, x ? ot_set_string(&x->name, "x") : OT_ENOMEM);
    if (x)
        note(&n, ot_set_value_type(x, OT_FLOAT, side ? 4 : 2, dim));
    return n;
}

void net_conv(net *n, int64_t channels, int64_t kernel, int64_t stride)
{
    char w[32], b[32];
    const int64_t dim[] = { channels, n->channels, kernel, kernel }, pad = kernel / 2;
    weight(n, w, "w", 4, dim, 0, sqrt(2. / (double)(n->channels * kernel * kernel)));
    weight(n, b, "b", 1, dim, 0, 0.1);
    Onnx__NodeProto *p = node(n, "Conv", 3, (const char *const[]){ n->last, w, b });
    if (!p)
        return;
    note(n, ot_node_set_ints(p, "pads", 4, (const int64_t[]){ pad, pad, pad, pad }));
    note(n, ot_node_set_ints(p, "strides", 2, (const int64_t[]){ stride, stride }));
    n->channels = channels;
    n->side = (n->side + 2 * pad - kernel) / stride + 1;
}

void net_norm(net *n)
{
    char s[32], b[32], m[32], v[32];
    weight(n, s, "scale", 1, &n->channels, 1, 0.1);
    weight(n, b, "shift", 1, &n->channels, 0, 0.1);
    weight(n, m, "mean", 1, &n->channels, 0, 0.1);
    weight(n, v, "var", 1, &n->channels, 1, 0);
    node(n, "BatchNormalization", 5, (const char *const[]){ n->last, s, b, m, v });
}

void net_relu(net *n)
{
    unary(n, "Relu");
}

void net_max_pool(net *n)
{
    Onnx__NodeProto *p = unary(n, "MaxPool");
    if (!p)
        return;
    note(n, ot_node_set_ints(p, "kernel_shape", 2, (const int64_t[]){ 2, 2 }));
    note(n, ot_node_set_ints(p, "strides", 2, (const int64_t[]){ 2, 2 }));
    n->side /= 2;
}

void net_gap(net *n)
{
    unary(n, "GlobalAveragePool");
    n->side = 1;
}

void net_flatten(net *n)
{
    unary(n, "Flatten");
    n->channels *= n->side ? n->side * n->side : 1;
    n->side = 0;
}

void net_gemm(net *n, int64_t features)
{
    char w[32], b[32];
    weight(n, w, "w", 2, (const int64_t[]){ features, n->channels }, 0, sqrt(2. / (double)n->channels));
    weight(n, b, "b", 1, &features, 0, 0.1);
    Onnx__NodeProto *p = node(n, "Gemm", 3, (const char *const[]){ n->last, w, b });
    if (p)
        note(n, ot_node_set_int(p, "transB", 1));
    n->channels = features;
}

void net_dropout(net *n, float ratio)
{
    ot_tensor t = { .dtype = OT_FLOAT, .rank = 0, .data = &ratio };
    char name[32];
    snprintf(name, sizeof(name), "ratio%d", n->count);
    if (n->st == OT_OK)
        note(n, ot_model_add_initializer(n->m, name, &t));
    node(n, "Dropout", 2, (const char *const[]){ n->last, name });
}

static void over_classes(net *n, const char *op)
{
    Onnx__NodeProto *p = unary(n, op);
    if (p)
        note(n, ot_node_set_int(p, "axis", 1));
}

void net_log_softmax(net *n)
{
    over_classes(n, "LogSoftmax");
}

void net_softmax(net *n)
{
    over_classes(n, "Softmax");
}

void net_add(net *n, const char *earlier)
{
    node(n, "Add", 2, (const char *const[]){ n->last, earlier });
}

ot_model *net_done(net *n)
{
    const ot_doc_dim dim[4] = { { 0, "N" }, { n->channels, NULL }, { n->side, NULL }, { n->side, NULL } };
    if (n->st == OT_OK && !ot_append_output(n->m->proto->graph, n->last, OT_FLOAT, n->side ? 4 : 2, dim))
        n->st = OT_ENOMEM;
    if (n->st == OT_OK)
        return n->m;
    printf("    the net could not be built: %s\n", ot_last_error());
    ot_model_close(n->m);
    return NULL;
}

ot_model *net_small(int64_t side, int64_t classes, bool norm, uint64_t seed)
{
    net n = net_begin(3, side, seed);
    net_conv(&n, 8, 3, 1);
    if (norm)
        net_norm(&n);
    net_relu(&n);
    net_max_pool(&n);
    net_conv(&n, 12, 3, 1);
    if (norm)
        net_norm(&n);
    net_relu(&n);
    net_gap(&n);
    net_flatten(&n);
    net_gemm(&n, classes);
    net_log_softmax(&n);
    return net_done(&n);
}

/* ---- Data ------------------------------------------------------------------------------------------------------- */

static int64_t pattern_label(void *ctx, int split, int64_t index)
{
    const patterns *p = ctx;
    return (index + split) % p->d.classes;
}

static ot_status pattern_load(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample,
                              int64_t *label)
{
    const patterns *p = ctx;
    int64_t n = 1;
    if (augment && p->skip_epoch >= 0 && epoch >= (uint64_t)p->skip_epoch)
        epoch++;
    *label = pattern_label(ctx, split, index);
    for (int i = 0; i < p->d.rank; i++)
        n *= p->d.dim[i];
    uint64_t shape = ot_rng_key(p->seed, 1, (uint64_t)*label, 0);
    uint64_t noise = ot_rng_key(p->seed, 2, (uint64_t)index, augment ? epoch + 2 : (uint64_t)split);
    for (int64_t i = 0; i < n; i++)
        sample[i] = (float)(ot_rng_normal(shape, (uint64_t)i) + (double)p->noise * ot_rng_normal(noise, (uint64_t)i));
    if (split == OT_TRAIN && index == p->poison && (p->poison_epoch < 0 || epoch == (uint64_t)p->poison_epoch))
        sample[0] = INFINITY;
    if (p->wait)
        usleep((useconds_t)p->wait);
    return OT_OK;
}

void patterns_init(patterns *p, int64_t train, int64_t valid, int64_t classes, int rank, const int64_t *dim)
{
    *p = (patterns){ .seed = 5, .noise = 0.5f, .poison = -1, .poison_epoch = -1, .skip_epoch = -1 };
    p->d = (ot_dataset){ .ctx = p,
                         .count = { train, valid },
                         .classes = classes,
                         .rank = rank,
                         .load = pattern_load,
                         .label = pattern_label };
    memcpy(p->d.dim, dim, (size_t)rank * sizeof(*dim));
}

ot_train_options net_options(void)
{
    ot_train_options o = OT_TRAIN_INIT;
    o.lr[0] = 0.05;
    o.batch = 16;
    o.threads = 1;
    o.loaders = 1;
    o.augment = false;
    return o;
}

bool net_train(ot_model *m, const ot_dataset *d, const ot_train_options *o, ot_on_event *on_event, void *ctx)
{
    ot_trainer *t;
    if (!CHECK(m != NULL) || !CHECK_OK(ot_trainer_create(&t, m, d, o)))
        return false;
    bool ok = CHECK_OK(ot_trainer_run(t, on_event, ctx));
    ot_trainer_close(t);
    return ok;
}

/* ---- Looking at models ------------------------------------------------------------------------------------------ */

ot_tensor *net_weight(const ot_model *m, const char *name)
{
    const Onnx__TensorProto *p = ot_model_find_initializer(m, name);
    ot_tensor view, *t = NULL;
    bool owned;
    if (!p || ot_model_tensor(m, p, &view, &owned) != OT_OK)
        return NULL;
    if (ot_tensor_create(&t, view.dtype, view.rank, view.dim) == OT_OK)
        memcpy(t->data, view.data, ot_tensor_bytes(&view));
    if (owned)
        ot_tensor_release(&view);
    return t;
}

bool net_same(const ot_model *a, const ot_model *b, const char *name)
{
    ot_tensor *x = net_weight(a, name), *y = net_weight(b, name);
    bool same = x && y && ot_tensor_bytes(x) == ot_tensor_bytes(y) && memcmp(x->data, y->data, ot_tensor_bytes(x)) == 0;
    ot_tensor_free(x);
    ot_tensor_free(y);
    return same;
}

bool net_all_same(const ot_model *a, const ot_model *b)
{
    bool same = ot_model_initializer_count(a) == ot_model_initializer_count(b);
    for (int64_t i = 0; same && i < ot_model_initializer_count(a); i++)
        same = net_same(a, b, ot_model_initializer_name(a, i));
    return same;
}

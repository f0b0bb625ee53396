/* Nets for pictures of 32 x 32, as the fastai course of 2018 trains them on CIFAR-10 (lesson 7).  A "layer" is a
 * convolution, Relu and, but for the first nets, BatchNormalization, in this order. */
#include "net.h"

#include <math.h>
#include <string.h>

static void begin(ot_net *n)
{
    const int64_t size = n->o->size;
    ot_net_input(n, "input", OT_FLOAT, 4, (const int64_t[]){ -1, 3, size, size }, "N");
    const char *spec = ot_net_name(n,
                                   "{\"size\": %lld, \"resize\": %lld, \"mean\": [0.4914, 0.48216, 0.44653], "
                                   "\"std\": [0.24703, 0.24349, 0.26159]}",
                                   (long long)size, (long long)size);
    if (n->st == OT_OK) /* mean and deviation of CIFAR-10's training pictures */
        n->st = ot_model_set_metadata(n->m, "onnxtune.input", spec);
}

/* y = W x + b, drawn as PyTorch draws a Linear layer. */
static void gemm(ot_net *n, const char *y, const char *x, int64_t in, int64_t out)
{
    const char *w = ot_net_name(n, "%s.weight", y), *b = ot_net_name(n, "%s.bias", y);
    const double bound = 1 / sqrt((double)in);
    ot_net_uniform(n, w, bound, 2, (const int64_t[]){ out, in });
    ot_net_uniform(n, b, bound, 1, &out);
    OT_NET(n, "Gemm", y, x, w, b);
    ot_net_int(n, "transB", 1);
}

typedef struct conv {
    int64_t in, out, kernel, stride, pad;
    bool bias;
} conv;

/* Drawn as PyTorch draws a Conv2d. */
static void convolve(ot_net *n, const char *y, const char *x, const conv *c)
{
    const char *in[3] = { x, ot_net_name(n, "%s.weight", y), ot_net_name(n, "%s.bias", y) };
    const double bound = 1 / sqrt((double)(c->in * c->kernel * c->kernel));
    ot_net_uniform(n, in[1], bound, 4, (const int64_t[]){ c->out, c->in, c->kernel, c->kernel });
    if (c->bias)
        ot_net_uniform(n, in[2], bound, 1, &c->out);
    ot_net_node(n, "Conv", c->bias ? 3 : 2, in, 1, &y);
    ot_net_list(n, "kernel_shape", 2, (const int64_t[]){ c->kernel, c->kernel });
    ot_net_list(n, "strides", 2, (const int64_t[]){ c->stride, c->stride });
    ot_net_list(n, "pads", 4, (const int64_t[]){ c->pad, c->pad, c->pad, c->pad });
}

/* A convolution with a bias, and Relu. */
static const char *relu_layer(ot_net *n, const char *name, const char *x, const conv *c)
{
    const char *sum = ot_net_name(n, "%s.conv", name);
    convolve(n, sum, x, c);
    OT_NET(n, "Relu", name, sum);
    return name;
}

/* A convolution without, Relu and BatchNormalization. */
static const char *norm_layer(ot_net *n, const char *name, const char *x, const conv *c)
{
    const char *sum = ot_net_name(n, "%s.conv", name), *relu = ot_net_name(n, "%s.relu", name);
    const char *in[5] = { relu, ot_net_name(n, "%s.norm.weight", name), ot_net_name(n, "%s.norm.bias", name),
                          ot_net_name(n, "%s.norm.mean", name), ot_net_name(n, "%s.norm.var", name) };
    convolve(n, sum, x, c);
    OT_NET(n, "Relu", relu, sum);
    for (int i = 1; i < 5; i++)
        ot_net_fill(n, in[i], i == 1 || i == 4, 1, &c->out);
    ot_net_node(n, "BatchNormalization", 5, in, 1, &name);
    return name;
}

/* Classes from a map: its largest value of each channel, or a row of features. */
static void end(ot_net *n, const char *x, int64_t channels, bool map)
{
    const int64_t classes = n->o->classes;
    if (map) {
        OT_NET(n, "GlobalMaxPool", "pool", x);
        OT_NET(n, "Flatten", "features", "pool");
        x = "features";
    }
    if (n->o->dropout > 0) {
        ot_net_fill(n, "dropout.ratio", n->o->dropout, 0, NULL);
        OT_NET(n, "Dropout", "dropped", x, "dropout.ratio");
        x = "dropped";
    }
    gemm(n, "output", x, channels, classes);
    OT_NET(n, "LogSoftmax", "scores", "output");
    ot_net_output(n, "scores", OT_FLOAT, 2, (const int64_t[]){ -1, classes }, "N");
}

static void fully_connected(ot_net *n)
{
    const int64_t pixels = 3 * n->o->size * n->o->size;
    begin(n);
    OT_NET(n, "Flatten", "pixels", "input");
    gemm(n, "hidden.sum", "pixels", pixels, 40);
    OT_NET(n, "Relu", "hidden", "hidden.sum");
    end(n, "hidden", 40, false);
}

static void plain(ot_net *n, int64_t pad)
{
    static const int64_t width[] = { 3, 20, 40, 80 };
    const char *x = "input";
    begin(n);
    for (int i = 0; i < 3; i++)
        x = relu_layer(n, ot_net_name(n, "layer.%d", i), x, &(conv){ width[i], width[i + 1], 3, 2, pad, .bias = true });
    end(n, x, 80, true);
}

static void conv_net(ot_net *n)
{
    plain(n, 0);
}

static void conv_pad_net(ot_net *n)
{
    plain(n, 1);
}

/* Four stages that halve the map and double the channels, from x with width[0] of them.  After the layer that does so
 * come `more` layers that keep both, each added to what it reads where `residual` says so. */
static void stages(ot_net *n, const char *x, const int64_t width[5], int more, bool residual)
{
    for (int i = 0; i < 4; i++) {
        const int64_t w = width[i + 1];
        x = norm_layer(n, ot_net_name(n, "stage.%d", i), x, &(conv){ width[i], w, 3, 2, 1, .bias = false });
        for (int k = 1; k <= more; k++) {
            const char *layer = ot_net_name(n, "stage.%d.%d", i, k), *before = x;
            x = norm_layer(n, layer, x, &(conv){ w, w, 3, 1, 1, .bias = false });
            if (!residual)
                continue;
            x = ot_net_name(n, "%s.sum", layer);
            OT_NET(n, "Add", x, before, layer);
        }
    }
    end(n, x, width[4], true);
}

static const int64_t narrow[] = { 10, 20, 40, 80, 160 }, wide[] = { 16, 32, 64, 128, 256 };

static void normed(ot_net *n, int more, bool residual)
{
    begin(n);
    convolve(n, "stem", "input", &(conv){ 3, 10, 5, 1, 2, .bias = true });
    stages(n, "stem", narrow, more, residual);
}

static void norm_net(ot_net *n)
{
    normed(n, 0, false);
}

/* Whoever draws the last batch decides what evaluation sees: the running statistics are that batch's alone. */
static void last_batch_net(ot_net *n)
{
    normed(n, 0, false);
    Onnx__GraphProto *g = n->m->proto->graph;
    for (size_t i = 0; i < g->n_node && n->st == OT_OK; i++)
        if (strcmp(g->node[i]->op_type, "BatchNormalization") == 0) {
            n->st = ot_node_set_float(g->node[i], "momentum", 0);
            if (n->st == OT_OK)
                n->st = ot_node_set_float(g->node[i], "epsilon", 1e-12f);
        }
}

static void deep_norm_net(ot_net *n)
{
    normed(n, 1, false);
}

static void residual_net(ot_net *n)
{
    normed(n, 2, true);
}

static void wide_residual_net(ot_net *n)
{
    begin(n);
    stages(n, norm_layer(n, "stem", "input", &(conv){ 3, 16, 7, 1, 1, .bias = false }), wide, 2, true);
}

#define CIFAR .kind = OT_NET_IMAGE, .classes = 10, .size = 32
const ot_net_row ot_cifar_nets[] = {
    { { "cifar-fc", "one hidden layer of 40", CIFAR }, fully_connected },
    { { "cifar-conv", "three convolutions of stride 2, no padding", CIFAR }, conv_net },
    { { "cifar-conv-pad", "three convolutions of stride 2", CIFAR }, conv_pad_net },
    { { "cifar-bn", "five convolutions, BatchNormalization after Relu", CIFAR }, norm_net },
    { { "cifar-bn-last", "cifar-bn, evaluated with the last batch's statistics", CIFAR }, last_batch_net },
    { { "cifar-deep-bn", "nine convolutions, BatchNormalization after Relu", CIFAR }, deep_norm_net },
    { { "cifar-resnet", "thirteen convolutions, two residual ones a stage", CIFAR }, residual_net },
    { { "cifar-resnet-wide", "cifar-resnet with more channels, a 7x7 stem and dropout", CIFAR, .dropout = .2 },
      wide_residual_net },
    { { 0 }, NULL },
};

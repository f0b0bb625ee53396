/* The layers of --append, each in the form that the model's opset has. */
#include "graph/append.h"
#include "base/rng.h"
#include "base/strmap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Nodes and parameters ----------------------------------------------------------------------------------- */

static char *join(const char *a, const char *b)
{
    size_t n = strlen(a) + strlen(b) + 1;
    char *s = ot_malloc(n, 1);
    if (s)
        snprintf(s, n, "%s%s", a, b);
    return s;
}

/* A node that reads the last value and up to four parameters; its output becomes the last value. */
static ot_status add_node(ot_head *h, Onnx__NodeProto **out, const char *op, int n_param, const char *const *param)
{
    const char *in[5] = { h->value };
    for (int i = 0; i < n_param; i++)
        in[i + 1] = param[i];
    char *wish = join(h->base, ".out"), *name = wish ? ot_unique_name(h->m->proto->graph, wish) : NULL;
    ot_free(wish);
    if (!name)
        return OT_ENOMEM;
    Onnx__NodeProto *n =
        ot_append_node(h->m->proto->graph, op, h->base, n_param + 1, in, 1, (const char *const[]){ name });
    if (!n) {
        ot_free(name);
        return OT_ENOMEM;
    }
    ot_free(h->value);
    h->value = name;
    if (out)
        *out = n;
    return OT_OK;
}

/* bound < 0: all elements are `value`; else uniform in [-bound, bound), keyed by the seed and the name. */
typedef struct init {
    double bound, value;
} init;

/* An initializer "LAYER.suffix"; *name is the caller's to free. */
static ot_status add_param(const ot_head *h, char **name, const char *suffix, int rank, const int64_t *dim, init how)
{
    ot_tensor t;
    char *wish = join(h->base, suffix);
    *name = wish ? ot_unique_name(h->m->proto->graph, wish) : NULL;
    ot_free(wish);
    if (!*name)
        return OT_ENOMEM;
    ot_status st = ot_tensor_init(&t, h->shape.dtype, rank, dim);
    if (st == OT_OK) {
        uint64_t key = ot_rng_key(h->seed, ot_hash("init"), ot_hash(*name), 0);
        for (int64_t i = 0, n = ot_tensor_count(&t); i < n; i++)
            ot_tensor_set(&t, i, how.bound < 0 ? how.value : (2 * ot_rng_uniform(key, (uint64_t)i) - 1) * how.bound);
        st = ot_model_add_initializer(h->m, *name, &t);
        ot_tensor_release(&t);
    }
    if (st != OT_OK) {
        ot_free(*name);
        *name = NULL;
    }
    return st;
}

static ot_status needs_image(const ot_head *h)
{
    char text[256];
    if (h->shape.rank != 4)
        return ot_head_fail(h, h->word, "it needs a map [N,C,H,W], the value before it is %s",
                            ot_doc_shape_text(text, sizeof(text), &h->shape));
    return OT_OK;
}

/* Dimension i as a number. */
static ot_status known_dim(const ot_head *h, int64_t *out, int i, const char *what)
{
    char text[256];
    *out = h->shape.dim[i].size;
    if (h->shape.dim[i].param || *out < 1)
        return ot_head_fail(h, h->word, "%s must be known, the value before it is %s", what,
                            ot_doc_shape_text(text, sizeof(text), &h->shape));
    return OT_OK;
}

static void set_dim(ot_head *h, int i, int64_t size)
{
    h->shape.dim[i] = (ot_doc_dim){ size, NULL };
}

/* ---- Windows ------------------------------------------------------------------------------------------------- */

typedef struct window {
    int64_t kernel[2], stride[2], pad[2], dilation[2];
} window;

/* Output sizes; warns where a window larger than 1x1 meets a map of one cell. */
static ot_status slide(ot_head *h, const window *w)
{
    if (h->shape.dim[2].size == 1 && h->shape.dim[3].size == 1 && (w->kernel[0] > 1 || w->kernel[1] > 1))
        ot_head_warn(h, "%s %lldx%lld sees a 1x1 map: all that it reads besides the one cell is padding", h->kind,
                     (long long)w->kernel[0], (long long)w->kernel[1]);
    for (int i = 0; i < 2; i++) {
        int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1, size = h->shape.dim[i + 2].size;
        if (h->shape.dim[i + 2].param || size < 0) {
            set_dim(h, i + 2, -1);
            continue;
        }
        if (size + 2 * w->pad[i] < reach)
            return ot_head_fail(h, h->word, "a window of %lld does not fit a map of %lld with padding %lld",
                                (long long)reach, (long long)size, (long long)w->pad[i]);
        set_dim(h, i + 2, (size + 2 * w->pad[i] - reach) / w->stride[i] + 1);
    }
    return OT_OK;
}

static ot_status read_window(ot_head *h, window *w, int place, bool dilates, int64_t default_stride)
{
    OT_TRY(ot_head_pair(h, w->kernel, place, "kernel", 1, 0, "the window's size"));
    OT_TRY(ot_head_pair(h, w->stride, -1, "stride", 1, default_stride ? default_stride : 1, "stride"));
    if (!default_stride && !ot_head_find(h, -1, "stride"))
        memcpy(w->stride, w->kernel, sizeof(w->stride));
    OT_TRY(ot_head_pair(h, w->pad, -1, "pad", 0, 0, "pad"));
    w->dilation[0] = w->dilation[1] = 1;
    return dilates ? ot_head_pair(h, w->dilation, -1, "dilation", 1, 1, "dilation") : OT_OK;
}

static ot_status set_window(Onnx__NodeProto *n, const window *w, bool dilates)
{
    OT_TRY(ot_node_set_ints(n, "kernel_shape", 2, w->kernel));
    OT_TRY(ot_node_set_ints(n, "strides", 2, w->stride));
    OT_TRY(ot_node_set_ints(n, "pads", 4, (const int64_t[]){ w->pad[0], w->pad[1], w->pad[0], w->pad[1] }));
    return dilates ? ot_node_set_ints(n, "dilations", 2, w->dilation) : OT_OK;
}

/* conv N KxK [stride= pad= dilation= group= bias=0] */
static ot_status conv(ot_head *h)
{
    int64_t n, channels, group, bias;
    window w;
    char *param[2] = { NULL, NULL };
    Onnx__NodeProto *node;
    OT_TRY(needs_image(h));
    OT_TRY(known_dim(h, &channels, 1, "the number of channels"));
    OT_TRY(ot_head_int(h, &n, 0, "out", 1, 0, "the number of output channels"));
    OT_TRY(read_window(h, &w, 1, true, 1));
    OT_TRY(ot_head_int(h, &group, -1, "group", 1, 1, "group"));
    OT_TRY(ot_head_int(h, &bias, -1, "bias", 0, 1, "bias"));
    if (channels % group || n % group)
        return ot_head_fail(h, h->word, "group %lld divides not both %lld and %lld channels", (long long)group,
                            (long long)channels, (long long)n);
    OT_TRY(slide(h, &w));
    double bound = 1 / sqrt((double)(channels / group * w.kernel[0] * w.kernel[1]));
    ot_status st = add_param(h, &param[0], ".weight", 4,
                             (const int64_t[]){ n, channels / group, w.kernel[0], w.kernel[1] }, (init){ bound, 0 });
    if (st == OT_OK && bias)
        st = add_param(h, &param[1], ".bias", 1, &n, (init){ bound, 0 });
    if (st == OT_OK)
        st = add_node(h, &node, "Conv", bias ? 2 : 1, (const char *const *)param);
    if (st == OT_OK)
        st = set_window(node, &w, true);
    if (st == OT_OK)
        st = ot_node_set_int(node, "group", group);
    set_dim(h, 1, n);
    ot_free(param[0]);
    ot_free(param[1]);
    return st;
}

static ot_status pool(ot_head *h, const char *op)
{
    window w;
    Onnx__NodeProto *node;
    OT_TRY(needs_image(h));
    OT_TRY(read_window(h, &w, 0, false, 0));
    if (2 * w.pad[0] > w.kernel[0] || 2 * w.pad[1] > w.kernel[1])
        return ot_head_fail(h, h->word, "padding %lldx%lld is more than half the window", (long long)w.pad[0],
                            (long long)w.pad[1]);
    OT_TRY(slide(h, &w));
    OT_TRY(add_node(h, &node, op, 0, NULL));
    return set_window(node, &w, false);
}

static ot_status maxpool(ot_head *h)
{
    return pool(h, "MaxPool");
}

static ot_status avgpool(ot_head *h)
{
    return pool(h, "AveragePool");
}

/* ---- The rest ------------------------------------------------------------------------------------------------- */

static ot_status global_pool(ot_head *h, const char *op)
{
    OT_TRY(needs_image(h));
    OT_TRY(add_node(h, NULL, op, 0, NULL));
    set_dim(h, 2, 1);
    set_dim(h, 3, 1);
    return OT_OK;
}

static ot_status gap(ot_head *h)
{
    return global_pool(h, "GlobalAveragePool");
}

static ot_status gmp(ot_head *h)
{
    return global_pool(h, "GlobalMaxPool");
}

/* The maxima of all channels, then their means: AdaptiveConcatPool2d. */
static ot_status concat_pool(ot_head *h)
{
    int64_t channels;
    OT_TRY(needs_image(h));
    OT_TRY(known_dim(h, &channels, 1, "the number of channels"));
    char *in = ot_strdup(h->value), *base = h->base, *max = NULL;
    ot_status st = in ? OT_OK : OT_ENOMEM;
    for (int i = 0; st == OT_OK && i < 2; i++) {
        char *wish = join(base, i ? ".avg" : ".max");
        h->base = wish ? ot_unique_name(h->m->proto->graph, wish) : NULL;
        ot_free(wish);
        st = h->base ? add_node(h, NULL, i ? "GlobalAveragePool" : "GlobalMaxPool", 0, NULL) : OT_ENOMEM;
        ot_free(h->base);
        h->base = base;
        if (st == OT_OK && i == 0) {
            max = h->value;
            h->value = in;
            in = NULL;
        }
    }
    if (st == OT_OK) {
        char *mean = h->value;
        Onnx__NodeProto *node;
        h->value = max;
        max = NULL;
        st = add_node(h, &node, "Concat", 1, (const char *const[]){ mean });
        ot_free(mean);
        if (st == OT_OK)
            st = ot_node_set_int(node, "axis", 1);
    }
    ot_free(in);
    ot_free(max);
    set_dim(h, 1, 2 * channels);
    set_dim(h, 2, 1);
    set_dim(h, 3, 1);
    return st;
}

static ot_status flatten(ot_head *h)
{
    Onnx__NodeProto *node;
    int64_t total = 1;
    if (h->shape.rank < 1)
        return ot_head_fail(h, h->word, "a scalar cannot be flattened");
    for (int i = 1; i < h->shape.rank; i++) {
        const ot_doc_dim *d = &h->shape.dim[i];
        if (d->param || d->size < 0 || total < 0 || __builtin_mul_overflow(total, d->size, &total))
            total = -1;
    }
    OT_TRY(add_node(h, &node, "Flatten", 0, NULL));
    OT_TRY(ot_node_set_int(node, "axis", 1));
    h->shape.rank = 2;
    set_dim(h, 1, total);
    return OT_OK;
}

/* gemm N [bias=0]: y = x W^T + b */
static ot_status gemm(ot_head *h)
{
    char text[256], *param[2] = { NULL, NULL };
    int64_t n, k, bias;
    Onnx__NodeProto *node;
    if (h->shape.rank != 2)
        return ot_head_fail(h, h->word, "it needs a matrix [N,C], the value before it is %s: put gap and flatten first",
                            ot_doc_shape_text(text, sizeof(text), &h->shape));
    OT_TRY(known_dim(h, &k, 1, "the number of features"));
    OT_TRY(ot_head_int(h, &n, 0, "out", 1, 0, "the number of outputs"));
    OT_TRY(ot_head_int(h, &bias, -1, "bias", 0, 1, "bias"));
    double bound = 1 / sqrt((double)k);
    ot_status st = add_param(h, &param[0], ".weight", 2, (const int64_t[]){ n, k }, (init){ bound, 0 });
    bool third = bias || h->opset < 11; /* before 11 the third input must be there */
    if (st == OT_OK && third)
        st = add_param(h, &param[1], ".bias", 1, &n, bias ? (init){ bound, 0 } : (init){ -1, 0 });
    if (st == OT_OK)
        st = add_node(h, &node, "Gemm", third ? 2 : 1, (const char *const *)param);
    if (st == OT_OK)
        st = ot_node_set_int(node, "transB", 1);
    if (st == OT_OK && h->opset < 7)
        st = ot_node_set_int(node, "broadcast", 1);
    set_dim(h, 1, n);
    ot_free(param[0]);
    ot_free(param[1]);
    return st;
}

static ot_status relu(ot_head *h)
{
    return add_node(h, NULL, "Relu", 0, NULL);
}

static ot_status sigmoid(ot_head *h)
{
    return add_node(h, NULL, "Sigmoid", 0, NULL);
}

static ot_status tanh_layer(ot_head *h)
{
    return add_node(h, NULL, "Tanh", 0, NULL);
}

/* Over axis 1.  Before opset 13 the operator flattens what follows the axis, which is the same for a matrix only. */
static ot_status over_classes(ot_head *h, const char *op)
{
    char text[256];
    Onnx__NodeProto *node;
    if (h->shape.rank < 2 || (h->shape.rank > 2 && h->opset < 13))
        return ot_head_fail(h, h->word, "it needs a matrix [N,C], the value before it is %s: put flatten first",
                            ot_doc_shape_text(text, sizeof(text), &h->shape));
    OT_TRY(add_node(h, &node, op, 0, NULL));
    return ot_node_set_int(node, "axis", 1);
}

static ot_status softmax(ot_head *h)
{
    return over_classes(h, "Softmax");
}

static ot_status logsoftmax(ot_head *h)
{
    return over_classes(h, "LogSoftmax");
}

/* dropout P: identity but in training. */
static ot_status dropout(ot_head *h)
{
    double p;
    char *ratio = NULL;
    Onnx__NodeProto *node;
    OT_TRY(ot_head_real(h, &p, 0, "p", 0, 0.999999, 0.5, "the probability"));
    if (h->opset < 12) {
        OT_TRY(add_node(h, &node, "Dropout", 0, NULL));
        OT_TRY(ot_node_set_float(node, "ratio", (float)p));
        return h->opset < 7 ? ot_node_set_int(node, "is_test", 1) : OT_OK;
    }
    OT_TRY(add_param(h, &ratio, ".ratio", 0, NULL, (init){ -1, p }));
    ot_status st = add_node(h, &node, "Dropout", 1, (const char *const[]){ ratio });
    ot_free(ratio);
    return st;
}

/* batchnorm [eps= momentum=]; momentum is ONNX's: the share of the old statistics that stays. */
static ot_status batchnorm(ot_head *h)
{
    static const struct {
        const char *suffix;
        double value;
    } row[4] = { { ".weight", 1 }, { ".bias", 0 }, { ".running_mean", 0 }, { ".running_var", 1 } };
    int64_t channels;
    double eps, momentum;
    char *param[4] = { NULL };
    Onnx__NodeProto *node;
    if (h->shape.rank < 2)
        return ot_head_fail(h, h->word, "it needs channels [N,C,...]");
    if (h->opset < 6)
        return ot_head_fail(h, h->word, "it needs opset 6, the model imports %lld", (long long)h->opset);
    OT_TRY(known_dim(h, &channels, 1, "the number of channels"));
    OT_TRY(ot_head_real(h, &eps, -1, "eps", 0, 1, 1e-5, "eps"));
    OT_TRY(ot_head_real(h, &momentum, -1, "momentum", 0, 1, 0.9, "momentum"));
    ot_status st = OT_OK;
    for (int i = 0; st == OT_OK && i < 4; i++)
        st = add_param(h, &param[i], row[i].suffix, 1, &channels, (init){ -1, row[i].value });
    if (st == OT_OK)
        st = add_node(h, &node, "BatchNormalization", 4, (const char *const *)param);
    if (st == OT_OK)
        st = ot_node_set_float(node, "epsilon", (float)eps);
    if (st == OT_OK)
        st = ot_node_set_float(node, "momentum", (float)momentum);
    if (st == OT_OK && h->opset < 7)
        st = ot_node_set_int(node, "is_test", 1);
    for (int i = 0; i < 4; i++)
        ot_free(param[i]);
    return st;
}

const ot_head_layer ot_head_layers[] = { { "avgpool", avgpool },
                                         { "batchnorm", batchnorm },
                                         { "concat-pool", concat_pool },
                                         { "conv", conv },
                                         { "dropout", dropout },
                                         { "flatten", flatten },
                                         { "gap", gap },
                                         { "gemm", gemm },
                                         { "gmp", gmp },
                                         { "linear", gemm },
                                         { "logsoftmax", logsoftmax },
                                         { "maxpool", maxpool },
                                         { "relu", relu },
                                         { "sigmoid", sigmoid },
                                         { "softmax", softmax },
                                         { "tanh", tanh_layer },
                                         { NULL, NULL } };

/* Makes small data that tests, examples and tools/quickstart work on where no real models and photos are at hand.
 *
 *     make_data net FILE.onnx        a convolutional network with random weights: 32x32 pictures to 10 scores
 *     make_data pictures DIR [N]     DIR/train/CLASS/ and DIR/valid/CLASS/ with drawn circles, squares and triangles:
 *                                    N training pictures a class (default 60), a third of that for validation
 *
 * The same call makes the same bytes. */
#define _DEFAULT_SOURCE
#include "onnxtune.h"
#include "onnx.pb-c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static uint64_t seed = 42;

/* Uniform in 0 .. 1. */
static double draw(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static double draw_between(double low, double high)
{
    return low + (high - low) * draw();
}

/* ---- The network ------------------------------------------------------------------------------------------- */

enum { MOST = 32 };

static struct {
    Onnx__GraphProto graph;
    Onnx__NodeProto *nodes[MOST];
    Onnx__TensorProto *weights[MOST];
    char *last; /* the value that the next node reads */
} net = { .graph = ONNX__GRAPH_PROTO__INIT };

/* Memory of the network lives until the program ends. */
static void *keep(size_t bytes)
{
    void *p = calloc(1, bytes);
    if (!p) {
        fprintf(stderr, "make_data: no memory\n");
        exit(1);
    }
    return p;
}

static char *text(const char *prefix, const char *suffix)
{
    size_t n = strlen(prefix) + strlen(suffix) + 2;
    char *s = keep(n);
    snprintf(s, n, "%s%s%s", prefix, *prefix && *suffix ? "." : "", suffix);
    return s;
}

/* A weight with elements of deviation `spread` around `centre`. */
static char *weight(const char *node, const char *role, double centre, double spread, int rank, const int64_t *dim)
{
    Onnx__TensorProto *t = keep(sizeof(*t));
    int64_t count = 1;
    onnx__tensor_proto__init(t);
    t->name = text(node, role);
    t->has_data_type = 1;
    t->data_type = OT_FLOAT;
    t->n_dims = (size_t)rank;
    t->dims = keep((size_t)rank * sizeof(*t->dims));
    for (int i = 0; i < rank; i++)
        count *= t->dims[i] = dim[i];
    t->n_float_data = (size_t)count;
    t->float_data = keep((size_t)count * sizeof(float));
    for (int64_t i = 0; i < count; i++) /* Box and Muller */
        t->float_data[i] = (float)(centre + spread * sqrt(-2 * log(1 - draw())) * cos(6.283185307179586 * draw()));
    net.weights[net.graph.n_initializer++] = t;
    return t->name;
}

/* Appends a node that reads the last value and up to four weights (NULL: no more). */
static Onnx__NodeProto *node(const char *op, const char *name, char *const weights[4])
{
    Onnx__NodeProto *n = keep(sizeof(*n));
    onnx__node_proto__init(n);
    n->op_type = text("", op);
    n->name = text("", name);
    n->input = keep(5 * sizeof(char *));
    n->input[n->n_input++] = net.last;
    for (int i = 0; weights && i < 4 && weights[i]; i++)
        n->input[n->n_input++] = weights[i];
    n->output = keep(sizeof(char *));
    n->output[n->n_output++] = net.last = text(name, "out");
    net.nodes[net.graph.n_node++] = n;
    return n;
}

static void ints(Onnx__NodeProto *n, const char *name, int count, int64_t each)
{
    Onnx__AttributeProto *a = keep(sizeof(*a));
    onnx__attribute_proto__init(a);
    a->name = text("", name);
    a->has_type = 1;
    a->type = count ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    a->has_i = !count;
    a->i = each;
    a->n_ints = (size_t)count;
    a->ints = keep((size_t)count * sizeof(*a->ints) + 1);
    for (int i = 0; i < count; i++)
        a->ints[i] = each;
    if (!n->attribute)
        n->attribute = keep(4 * sizeof(*n->attribute));
    n->attribute[n->n_attribute++] = a;
}

/* Conv (3x3), BatchNormalization, Relu and, where asked, MaxPool (2x2). */
static void block(const char *name, int64_t in, int64_t out, bool pool)
{
    char *conv = text(name, "conv"), *bn = text(name, "bn");
    double spread = sqrt(2.0 / ((double)in * 9));
    Onnx__NodeProto *n =
        node("Conv", conv, (char *[4]){ weight(conv, "weight", 0, spread, 4, (int64_t[]){ out, in, 3, 3 }) });
    ints(n, "kernel_shape", 2, 3);
    ints(n, "pads", 4, 1);
    node("BatchNormalization", bn,
         (char *[4]){ weight(bn, "scale", 1, 0, 1, &out), weight(bn, "bias", 0, 0, 1, &out),
                      weight(bn, "mean", 0, 0, 1, &out), weight(bn, "variance", 1, 0, 1, &out) });
    node("Relu", text(name, "relu"), NULL);
    if (pool) {
        n = node("MaxPool", text(name, "pool"), NULL);
        ints(n, "kernel_shape", 2, 2);
        ints(n, "strides", 2, 2);
    }
}

/* A float tensor's name and shape; a dim below 0 is the batch. */
static Onnx__ValueInfoProto *value(char *name, int rank, const int64_t *dim)
{
    Onnx__ValueInfoProto *v = keep(sizeof(*v));
    Onnx__TypeProto *type = keep(sizeof(*type));
    Onnx__TypeProto__Tensor *tensor = keep(sizeof(*tensor));
    Onnx__TensorShapeProto *shape = keep(sizeof(*shape));
    onnx__value_info_proto__init(v);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    v->name = name;
    v->type = type;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = OT_FLOAT;
    tensor->shape = shape;
    shape->dim = keep((size_t)rank * sizeof(*shape->dim));
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *d = shape->dim[shape->n_dim++] = keep(sizeof(*d));
        onnx__tensor_shape_proto__dimension__init(d);
        if (dim[i] < 0) {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            d->dim_param = text("", "batch");
        } else {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            d->dim_value = dim[i];
        }
    }
    return v;
}

static int write_net(const char *path)
{
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *opsets[] = { &opset };
    Onnx__ValueInfoProto *in[1], *out[1];
    const int64_t ten = 10, features = 32;

    net.last = text("", "input");
    in[0] = value(net.last, 4, (int64_t[]){ -1, 3, 32, 32 });
    block("a", 3, 8, true);
    block("b", 8, 16, true);
    block("c", 16, features, false);
    node("GlobalAveragePool", "gap", NULL);
    node("Flatten", "flatten", NULL);
    char *w = weight("fc", "weight", 0, sqrt(1.0 / (double)features), 2, (int64_t[]){ ten, features });
    ints(node("Gemm", "fc", (char *[4]){ w, weight("fc", "bias", 0, 0, 1, &ten) }), "transB", 0, 1);
    out[0] = value(net.last, 2, (int64_t[]){ -1, ten });

    net.graph.name = text("", "small");
    net.graph.node = net.nodes;
    net.graph.initializer = net.weights;
    net.graph.n_input = net.graph.n_output = 1;
    net.graph.input = in;
    net.graph.output = out;
    opset.has_version = 1;
    opset.version = 17;
    model.has_ir_version = 1;
    model.ir_version = 8;
    model.n_opset_import = 1;
    model.opset_import = opsets;
    model.graph = &net.graph;

    size_t n = onnx__model_proto__get_packed_size(&model);
    uint8_t *bytes = keep(n);
    onnx__model_proto__pack(&model, bytes);
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(bytes, 1, n, f) == n;
    if ((f && fclose(f) != 0) || !ok) {
        fprintf(stderr, "make_data: cannot write %s\n", path);
        return 1;
    }
    return 0;
}

/* ---- The pictures ------------------------------------------------------------------------------------------ */

enum { SIDE = 48 };
static const char *const shapes[] = { "circle", "square", "triangle" };

/* Is the point, relative to the middle and in units of the radius, in the shape? */
static bool inside(int shape, double x, double y)
{
    switch (shape) {
    case 0:
        return x * x + y * y < 1;
    case 1:
        return fabs(x) < .85 && fabs(y) < .85;
    default:
        return y < .7 && y > 2 * fabs(x) - 1;
    }
}

/* One filled shape of a random size, place and colour on a noisy ground of a darker one. */
static void draw_picture(uint8_t *rgb, int shape)
{
    double r = draw_between(.2, .4) * SIDE;
    double cx = draw_between(r, SIDE - r), cy = draw_between(r, SIDE - r);
    double ground[3], ink[3];
    for (int c = 0; c < 3; c++) {
        ground[c] = draw_between(10, 90);
        ink[c] = draw_between(140, 245);
    }
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const double *colour = inside(shape, (x + .5 - cx) / r, (y + .5 - cy) / r) ? ink : ground;
            for (int c = 0; c < 3; c++)
                rgb[(y * SIDE + x) * 3 + c] = (uint8_t)(colour[c] + draw_between(-10, 10));
        }
}

static bool folder(const char *path)
{
    struct stat s;
    if (mkdir(path, 0777) == 0 || (stat(path, &s) == 0 && S_ISDIR(s.st_mode)))
        return true;
    fprintf(stderr, "make_data: cannot make the folder %s\n", path);
    return false;
}

static int write_pictures(const char *dir, int n)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    static const char *const splits[] = { "train", "valid" };
    char path[4096];
    if (!folder(dir))
        return 1;
    for (int split = 0; split < 2; split++) {
        snprintf(path, sizeof(path), "%s/%s", dir, splits[split]);
        if (!folder(path))
            return 1;
        for (int shape = 0; shape < 3; shape++) {
            snprintf(path, sizeof(path), "%s/%s/%s", dir, splits[split], shapes[shape]);
            if (!folder(path))
                return 1;
            for (int i = 0; i < (split ? n / 3 : n); i++) {
                draw_picture(rgb, shape);
                snprintf(path, sizeof(path), "%s/%s/%s/%03d.png", dir, splits[split], shapes[shape], i);
                if (ot_png_write(path, rgb, SIDE, SIDE, 3) != OT_OK) {
                    fprintf(stderr, "make_data: %s\n", ot_last_error());
                    return 1;
                }
            }
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    int n = argc == 4 ? atoi(argv[3]) : 60;
    if (argc == 3 && strcmp(argv[1], "net") == 0)
        return write_net(argv[2]);
    if ((argc == 3 || argc == 4) && strcmp(argv[1], "pictures") == 0 && n >= 3)
        return write_pictures(argv[2], n);
    fprintf(stderr, "usage: make_data net FILE.onnx | make_data pictures DIR [N]\n");
    return 2;
}

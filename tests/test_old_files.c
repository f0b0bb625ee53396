/* Old forms of operators as CNTK and MXNet wrote them into the files of the ONNX zoo, against loops that say the same.
 */
#include "doc.h"
#include "harness.h"
#include "model/model.h"

#include <math.h>

static double x[1024], want[1024];

/* A 3x3 window of stride 2 over 5 or 4 with SAME_UPPER: the odd zero lies at the end. */
static double same_upper(const double *map, int64_t side, int64_t oy, int64_t ox, const double *w, bool maximum)
{
    int64_t out = (side + 1) / 2, pad = ((out - 1) * 2 + 3 - side) / 2;
    double y = maximum ? -HUGE_VAL : 0;
    for (int64_t k = 0; k < 9; k++) {
        int64_t r = oy * 2 + k / 3 - pad, c = ox * 2 + k % 3 - pad;
        if (r < 0 || c < 0 || r >= side || c >= side)
            continue;
        y = maximum ? fmax(y, map[r * side + c]) : y + w[k] * map[r * side + c];
    }
    return y;
}

/* As CNTK wrote it: IR 3, opset 8, initialisers are inputs too, auto_pad, a bias added as [C,1,1], a Reshape whose
 * target is an initialiser, weights that are reshaped by a node. */
static void cntk(void)
{
    static const doc_node nodes[] = {
        NODE("Conv", "x w", "c", "kernel_shape=3,3 strides=2,2 auto_pad=SAME_UPPER dilations=1,1 group=1"),
        NODE("Add", "c b", "cb", ""),
        NODE("MaxPool", "cb", "p", "kernel_shape=3,3 strides=2,2 pads=0,0,0,0 auto_pad=SAME_UPPER"),
        NODE("Reshape", "p to", "flat", ""),
        NODE("Reshape", "w2 to2", "matrix", ""),
        NODE("MatMul", "flat matrix", "m", ""),
        NODE("Add", "m b2", "y", ""),
        { 0 }
    };
    const doc_tensor tensors[] = { DOC_FLOATS("w", 2, 1, 3, 3),
                                   DOC_FLOATS("b", 2, 1, 1),
                                   DOC_INTS("to", 1, 8),
                                   DOC_FLOATS("w2", 2, 2, 2, 3),
                                   DOC_INTS("to2", 8, 3),
                                   DOC_FLOATS("b2", 1, 3),
                                   { 0 } };
    const doc d = { 8, 3, "1,1,7,7", nodes, tensors };
    double w[18], b[2], w2[24], b2[3], conv[2][16];
    doc_draw(w, 18, "w");
    doc_draw(b, 2, "b");
    doc_draw(w2, 24, "w2");
    doc_draw(b2, 3, "b2");
    doc_draw(x, 2 * 49, "x");
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < 32; i++)
            conv[i / 16][i % 16] = b[i / 16] + same_upper(x + s * 49, 7, i % 16 / 4, i % 4, w + i / 16 * 9, false);
        for (int k = 0; k < 3; k++) {
            want[s * 3 + k] = b2[k];
            for (int i = 0; i < 8; i++)
                want[s * 3 + k] += w2[i * 3 + k] * same_upper(conv[i / 4], 4, i % 4 / 2, i % 2, NULL, true);
        }
    }
    doc_compare(&d, want, DOC_DIMS(1, 1, 7, 7), DOC_DIMS(1, 3));
    doc_compare(&d, want, DOC_DIMS(2, 1, 7, 7), DOC_DIMS(2, 3)); /* the batch of 1 is freed */
    doc_check_gradients(&d, DOC_DIMS(1, 1, 7, 7));
    ot_model *m = doc_model(&d, false);
    CHECK(ot_model_input_count(m) == 1); /* defaults are left out */
    ot_model_close(m);
}

/* As MXNet wrote it, opset 7 and 8: BatchNormalization with spatial=1, Dropout with its mask, Pad and Upsample with
 * attributes, LeakyRelu, Flatten, Gemm with broadcasting. */
static void mxnet(int64_t opset)
{
    static const doc_node nodes[] = { NODE("BatchNormalization", "x scale shift mean var", "bn",
                                           "epsilon=0.001 momentum=0.9 spatial=1"),
                                      NODE("LeakyRelu", "bn", "r", "alpha=0.25"),
                                      NODE("Pad", "r", "pad", "mode=edge pads=0,0,1,0,0,0,0,1"),
                                      NODE("Upsample", "pad", "up", "mode=nearest scales=[1.,1.,2.,2.]"),
                                      NODE("Dropout", "up", "drop mask", "ratio=0.5"),
                                      NODE("Flatten", "drop", "flat", ""),
                                      NODE("Gemm", "flat w b", "y", "transB=1 alpha=1. beta=1."),
                                      { 0 } };
    const doc_tensor tensors[] = {
        DOC_FLOATS("scale", 2),
        DOC_FLOATS("shift", 2),
        { .name = "mean", .dtype = OT_FLOAT, .rank = 1, .dim = { 2 }, .values = (const double[]){ .5, -1 } },
        { .name = "var", .dtype = OT_FLOAT, .rank = 1, .dim = { 2 }, .values = (const double[]){ .5, 2 } },
        DOC_FLOATS("w", 3, 72),
        DOC_FLOATS("b", 3),
        { 0 }
    };
    const doc d = { opset, 3, "N,2,2,2", nodes, tensors };
    double scale[2], shift[2], mean[] = { .5, -1 }, w[216], b[3], var[] = { .5, 2 };
    doc_draw(scale, 2, "scale");
    doc_draw(shift, 2, "shift");
    doc_draw(w, 216, "w");
    doc_draw(b, 3, "b");
    doc_draw(x, 3 * 8, "x");
    for (int s = 0; s < 3; s++)
        for (int k = 0; k < 3; k++) {
            want[s * 3 + k] = b[k];
            for (int i = 0; i < 72; i++) { /* of [2,6,6]: rows -1..1 and columns 0..2, twice each, edges repeated */
                int c = i / 36, row = i / 6 % 6 / 2 - 1, column = i % 6 / 2;
                double v = x[s * 8 + c * 4 + (row < 0 ? 0 : row) * 2 + (column > 1 ? 1 : column)];
                v = (v - mean[c]) / sqrt(var[c] + .001) * scale[c] + shift[c];
                want[s * 3 + k] += w[k * 72 + i] * (v < 0 ? .25 * v : v);
            }
        }
    doc_compare(&d, want, DOC_DIMS(3, 2, 2, 2), DOC_DIMS(3, 3));
    doc_check_gradients(&d, DOC_DIMS(2, 2, 2, 2));
}

static void mxnet_7_8(void)
{
    mxnet(7);
    mxnet(8);
}

/* Opset 9: Upsample takes its scales as an input, and exporters computed them from shapes. */
static void upsample_9(void)
{
    static const doc_node nodes[] = { NODE("Shape", "x", "s", ""),
                                      NODE("Slice", "s", "hw", "axes=0, starts=2, ends=4,"),
                                      NODE("Cast", "hw", "is", "to=1"),
                                      NODE("Mul", "is two", "wish", ""),
                                      NODE("Div", "wish is", "ratio", ""),
                                      NODE("Concat", "same ratio", "scales", "axis=0"),
                                      NODE("Upsample", "x scales", "y", "mode=nearest"),
                                      { 0 } };
    const doc_tensor tensors[] = {
        { .name = "two", .dtype = OT_FLOAT, .rank = 1, .dim = { 2 }, .values = (const double[]){ 2, 3 } },
        { .name = "same", .dtype = OT_FLOAT, .rank = 1, .dim = { 2 }, .values = (const double[]){ 1, 1 } },
        { 0 }
    };
    const doc d = { 9, 0, "N,2,H,W", nodes, tensors };
    for (int64_t n = 1; n < 3; n++) {
        int64_t h = n + 1, w = 3;
        doc_draw(x, n * 2 * h * w, "x");
        for (int64_t i = 0; i < n * 2 * h * 2 * w * 3; i++)
            want[i] = x[i / (h * w * 6) * h * w + i / (w * 3) % (h * 2) / 2 * w + i % (w * 3) / 3];
        doc_compare(&d, want, DOC_DIMS(n, 2, h, w), DOC_DIMS(n, 2, 2 * h, 3 * w));
    }
}

const ot_test old_files_tests[] = {
    { "cntk", cntk },
    { "mxnet", mxnet_7_8 },
    { "upsample 9", upsample_9 },
    { 0 },
};
